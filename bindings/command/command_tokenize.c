/* SPDX-License-Identifier: MIT */
/* bezel tokenize: text to {"ids":[...]}; control tokens only with --special. */
#include "command.h"

#include <stdlib.h>

static int tokenize_print(cmd_host *host, const int32_t *ids, size_t count) {
    bezel_tree *tree;
    if (bezel_tree_new(&tree, host->engine, &host->error) != BEZEL_OK) return cmd_host_fail(host);
    bezel_value *map = bezel_tree_map(tree), *list = bezel_tree_list(tree);
    for (size_t i = 0; i < count; i++) bezel_value_append(tree, list, bezel_tree_integer(tree, ids[i]));
    bezel_value_set(tree, map, "ids", list);
    int status = cmd_print_json(host, map);
    bezel_tree_free(tree);
    return status;
}

int cmd_tokenize(int argc, char **argv) {
    cmd_options o = {.subcommand = "tokenize", .usage = "tokenize [--bos] [--special] [text]"};
    cmd_host host = {0};
    char *text = NULL;
    int32_t *ids = NULL;
    size_t size = 0, count = 0;
    int status = cmd_options_read(&o, argc, argv, CMD_ENGINE_OPTIONS " bos special");
    if (status != CMD_OK) return status;
    uint32_t flags = (o.bos ? BEZEL_TOKENIZE_BOS : 0u) | (o.special ? BEZEL_TOKENIZE_SPECIAL : 0u);
    if ((status = cmd_read_input(&text, &size, &o)) != CMD_OK) goto done;
    if ((status = cmd_host_model(&host, &o)) != CMD_OK) goto done;
    ids = malloc((size + 1) * sizeof *ids); /* no text has more ids than bytes, and BOS */
    if (!ids)
        status = cmd_error("out of memory");
    else if (bezel_tokenize(ids, size + 1, &count, host.model, text, size, flags, &host.error) != BEZEL_OK)
        status = cmd_host_fail(&host);
    else
        status = tokenize_print(&host, ids, count);
done:
    free(ids);
    free(text);
    cmd_host_free(&host);
    return status;
}
