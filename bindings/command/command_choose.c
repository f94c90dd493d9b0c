/* SPDX-License-Identifier: MIT */
/* bezel choose: which of some texts follows a raw text, {"choice","choices":[{"text","probability","logprob"}]}. */
#include "command.h"

#include <stdlib.h>

static int choose_print(cmd_host *host, const cmd_options *o, const double *probabilities, const double *logprobs) {
    bezel_tree *tree;
    int best = 0;
    if (bezel_tree_new(&tree, host->engine, &host->error) != BEZEL_OK) return cmd_host_fail(host);
    bezel_value *map = bezel_tree_map(tree), *list = bezel_tree_list(tree);
    for (int i = 0; i < o->n_stops; i++) {
        bezel_value *item = bezel_tree_map(tree);
        best = probabilities[i] > probabilities[best] ? i : best;
        cmd_set_text(tree, item, "text", o->stops[i], SIZE_MAX);
        cmd_set_number(tree, item, "probability", probabilities[i]);
        cmd_set_number(tree, item, "logprob", logprobs[i]);
        bezel_value_append(tree, list, item);
    }
    cmd_set_text(tree, map, "choice", o->stops[best], SIZE_MAX);
    bezel_value_set(tree, map, "choices", list);
    int status = cmd_print_json(host, map);
    bezel_tree_free(tree);
    return status;
}

int cmd_choose(int argc, char **argv) {
    cmd_options o = {.subcommand = "choose", .usage = "choose --choice TEXT --choice TEXT ... [text]"};
    cmd_host host = {0};
    bezel_session_options session_options;
    bezel_session *session = NULL;
    double probabilities[CMD_MAX_STOPS], logprobs[CMD_MAX_STOPS];
    char *text = NULL;
    size_t size = 0;
    int status = cmd_options_read(&o, argc, argv, CMD_ENGINE_OPTIONS " " CMD_SESSION_OPTIONS " plain choice json");
    if (status != CMD_OK) return status;
    if (o.n_stops == 0) return cmd_usage(&o, "--choice is missing");
    if ((status = cmd_session_options(&session_options, &o)) != CMD_OK) return status;
    if ((status = cmd_read_input(&text, &size, &o)) != CMD_OK) goto done;
    if ((status = cmd_host_model(&host, &o)) != CMD_OK) goto done;
    uint32_t flags = BEZEL_TOKENIZE_BOS | (o.plain ? 0u : BEZEL_TOKENIZE_SPECIAL);
    if (bezel_session_new(&session, host.model, &session_options, &host.error) != BEZEL_OK ||
        bezel_session_append_text(session, text, size, flags, &host.error) != BEZEL_OK ||
        bezel_choose(probabilities, logprobs, session, o.stops, (size_t)o.n_stops, &host.error) != BEZEL_OK)
        status = cmd_host_fail(&host);
    else
        status = choose_print(&host, &o, probabilities, logprobs);
done:
    bezel_session_free(session);
    free(text);
    cmd_host_free(&host);
    return status;
}
