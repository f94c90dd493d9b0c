/* SPDX-License-Identifier: MIT */
/* bezel score: log-probabilities of every position of a text, {"positions":[{"id","logprob","top":[...]}]}. */
#include "command.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

typedef struct score_output {
    bezel_tree *tree;
    bezel_value *positions;
} score_output;

static bezel_status score_position(void *ud, size_t position, int32_t id, float logprob, const int32_t *top_ids,
                                   const float *top_logprobs, uint32_t n_top) {
    score_output *out = ud;
    bezel_tree *tree = out->tree;
    bezel_value *map = bezel_tree_map(tree), *top = bezel_tree_list(tree);
    (void)position;
    cmd_set_integer(tree, map, "id", id);
    bezel_value_set(tree, map, "logprob",
                    isnan(logprob) ? bezel_tree_null(tree) : bezel_tree_number(tree, (double)logprob));
    for (uint32_t i = 0; i < n_top; i++) {
        bezel_value *item = bezel_tree_map(tree);
        cmd_set_integer(tree, item, "id", top_ids[i]);
        cmd_set_number(tree, item, "logprob", (double)top_logprobs[i]);
        bezel_value_append(tree, top, item);
    }
    bezel_value_set(tree, map, "top", top);
    bezel_value_append(tree, out->positions, map);
    return bezel_tree_status(tree);
}

/* Ids of --ids as they stand, else BOS and the text. */
static int score_ids(int32_t **out, size_t *out_count, const cmd_options *o, cmd_host *host) {
    char *text = NULL;
    size_t size = 0;
    uint32_t flags = BEZEL_TOKENIZE_BOS | (o->plain ? 0u : BEZEL_TOKENIZE_SPECIAL);
    int status;
    if (o->ids && strcmp(o->ids, "-") != 0) return cmd_ids_read(out, out_count, o->ids, strlen(o->ids), host);
    if (o->ids) {
        if ((status = cmd_read_file(&text, &size, "-")) == CMD_OK) status = cmd_ids_read(out, out_count, text, size, host);
        free(text);
        return status;
    }
    if ((status = cmd_read_input(&text, &size, o)) != CMD_OK) return status;
    *out = malloc((size + 1) * sizeof **out);
    if (!*out)
        status = cmd_error("out of memory");
    else if (bezel_tokenize(*out, size + 1, out_count, host->model, text, size, flags, &host->error) != BEZEL_OK)
        status = cmd_host_fail(host);
    free(text);
    return status;
}

int cmd_score(int argc, char **argv) {
    cmd_options o = {.subcommand = "score", .usage = "score [--top N] [--ids LIST | text]"};
    cmd_host host = {0};
    bezel_session_options session_options;
    bezel_session *session = NULL;
    score_output out = {0};
    int32_t *ids = NULL;
    size_t count = 0;
    int status = cmd_options_read(&o, argc, argv, CMD_ENGINE_OPTIONS " " CMD_SESSION_OPTIONS " seed top ids plain adapter adapter-scale");
    if (status != CMD_OK) return status;
    if ((status = cmd_session_options(&session_options, &o)) != CMD_OK) return status;
    if ((status = cmd_host_model(&host, &o)) != CMD_OK) goto done;
    if ((status = score_ids(&ids, &count, &o, &host)) != CMD_OK) goto done;
    if (!session_options.n_ctx && count > 4096) session_options.n_ctx = (uint32_t)count;
    if (bezel_session_new(&session, host.model, &session_options, &host.error) != BEZEL_OK ||
        cmd_adapt(&host, session, &o, &host.error) != BEZEL_OK ||
        bezel_tree_new(&out.tree, host.engine, &host.error) != BEZEL_OK) {
        status = cmd_host_fail(&host);
        goto done;
    }
    out.positions = bezel_tree_list(out.tree);
    if (bezel_score(session, ids, count, (uint32_t)o.top, score_position, &out, &host.error) != BEZEL_OK) {
        status = cmd_host_fail(&host);
        goto done;
    }
    bezel_value *map = bezel_tree_map(out.tree);
    bezel_value_set(out.tree, map, "positions", out.positions);
    status = cmd_print_json(&host, map);
done:
    bezel_tree_free(out.tree);
    bezel_session_free(session);
    free(ids);
    cmd_host_free(&host);
    return status;
}
