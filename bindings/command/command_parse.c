/* SPDX-License-Identifier: MIT */
/* bezel parse: the calls in a model's output. Needs no model; parse errors are part of the answer, not of the status. */
#include "command.h"

#include <stdlib.h>
#include <string.h>

int cmd_parse(int argc, char **argv) {
    cmd_options o = {.subcommand = "parse", .usage = "parse --tools FILE [--repair-tail] [--stopped end|limit] [text]"};
    cmd_host host = {0};
    bezel_tree *tree = NULL;
    bezel_toolset *tools = NULL;
    bezel_parser *parser = NULL;
    bezel_value *value = NULL;
    char *text = NULL;
    size_t size = 0;
    int status = cmd_options_read(&o, argc, argv, "tools repair-tail stopped json quiet");
    if (status != CMD_OK) return status;
    if (!o.tools) return cmd_usage(&o, "--tools FILE is needed");
    if (o.stopped && strcmp(o.stopped, "end") != 0 && strcmp(o.stopped, "limit") != 0)
        return cmd_usage(&o, "--stopped %s: end or limit expected", o.stopped);
    uint32_t stopped = o.stopped && strcmp(o.stopped, "limit") == 0 ? BEZEL_STOPPED_LIMIT : BEZEL_STOPPED_END;
    if ((status = cmd_read_input(&text, &size, &o)) != CMD_OK) goto done;
    if ((status = cmd_host_engine(&host, &o)) != CMD_OK) goto done;
    if (bezel_tree_new(&tree, host.engine, &host.error) != BEZEL_OK) goto fail;
    if ((status = cmd_read_json(&value, tree, o.tools, &host)) != CMD_OK) goto done;
    if (bezel_toolset_new(&tools, host.engine, &host.error) != BEZEL_OK ||
        bezel_toolset_add_list(tools, value, &host.error) != BEZEL_OK ||
        bezel_parser_new(&parser, tools, o.repair_tail, &host.error) != BEZEL_OK ||
        bezel_parser_push(parser, text, size, &host.error) < 0 ||
        bezel_parser_finish(parser, stopped, &host.error) < 0 ||
        bezel_parser_result(&value, tree, parser, &host.error) != BEZEL_OK)
        goto fail;
    status = cmd_print_json(&host, value);
    goto done;
fail:
    status = cmd_host_fail(&host);
done:
    bezel_parser_free(parser);
    bezel_toolset_free(tools);
    bezel_tree_free(tree);
    free(text);
    cmd_host_free(&host);
    return status;
}
