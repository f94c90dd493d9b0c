/* SPDX-License-Identifier: MIT */
/* bezel detokenize: a JSON list of ids (or {"ids":[...]}) to the raw bytes they stand for. */
#include "command.h"

#include <stdio.h>
#include <stdlib.h>

int cmd_ids_read(int32_t **out, size_t *out_count, const char *json, size_t size, cmd_host *host) {
    bezel_tree *tree;
    bezel_value *value = NULL;
    int status = CMD_OK;
    int32_t *ids = NULL;
    if (bezel_tree_new(&tree, host->engine, &host->error) != BEZEL_OK) return cmd_host_fail(host);
    if (bezel_json_read(&value, tree, json, size, &host->error) != BEZEL_OK) {
        status = cmd_host_fail(host);
        goto done;
    }
    const bezel_value *list = bezel_value_type(value) == BEZEL_MAP ? bezel_value_get(value, "ids") : value;
    size_t count = bezel_value_count(list);
    if (bezel_value_type(list) != BEZEL_LIST) {
        status = cmd_error("a JSON list of token ids is expected");
        goto done;
    }
    ids = malloc((count + 1) * sizeof *ids);
    for (size_t i = 0; ids && i < count; i++) {
        const bezel_value *item = bezel_value_at(list, i);
        int64_t id = bezel_value_integer(item);
        if (bezel_value_type(item) != BEZEL_INTEGER || id < INT32_MIN || id > INT32_MAX) {
            status = cmd_error("item %zu of the list is no token id", i);
            goto done;
        }
        ids[i] = (int32_t)id;
    }
    if (!ids) status = cmd_error("out of memory");
    *out = ids;
    *out_count = count;
done:
    if (status != CMD_OK) free(ids);
    bezel_tree_free(tree);
    return status;
}

int cmd_detokenize(int argc, char **argv) {
    cmd_options o = {.subcommand = "detokenize", .usage = "detokenize [--special] [ids]"};
    cmd_host host = {0};
    char *json = NULL, *text = NULL;
    int32_t *ids = NULL;
    size_t size = 0, count = 0;
    int status = cmd_options_read(&o, argc, argv, CMD_ENGINE_OPTIONS " special");
    if (status != CMD_OK) return status;
    if ((status = cmd_read_input(&json, &size, &o)) != CMD_OK) goto done;
    if ((status = cmd_host_model(&host, &o)) != CMD_OK) goto done;
    if ((status = cmd_ids_read(&ids, &count, json, size, &host)) != CMD_OK) goto done;
    if (bezel_detokenize(&text, &size, host.model, ids, count, o.special, &host.error) != BEZEL_OK)
        status = cmd_host_fail(&host);
    else
        fwrite(text, 1, size, stdout);
done:
    bezel_text_free(host.engine, text);
    free(ids);
    free(json);
    cmd_host_free(&host);
    return status;
}
