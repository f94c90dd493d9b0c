/* SPDX-License-Identifier: MIT */
/* bezel complete: continues a raw text, {"text","ids","stop_reason","timings"}. Greedy unless a temperature is given.
 * --batch: a text a line, answered together (command_complete_batch.c). */
#include "command.h"

#include <stdlib.h>

bezel_value *cmd_complete_value(bezel_tree *tree, const bezel_generation *g) {
    bezel_value *map = bezel_tree_map(tree), *ids = bezel_tree_list(tree), *timings = bezel_tree_map(tree);
    for (size_t i = 0; i < g->n_ids; i++) bezel_value_append(tree, ids, bezel_tree_integer(tree, g->ids[i]));
    int64_t decode_us = g->total_us - g->first_token_us;
    cmd_set_text(tree, map, "text", g->text, g->text_size);
    bezel_value_set(tree, map, "ids", ids);
    cmd_set_text(tree, map, "stop_reason", bezel_stop_name(g->stop_reason), SIZE_MAX);
    cmd_set_integer(tree, timings, "prompt_tokens", (int64_t)g->n_prompt);
    cmd_set_integer(tree, timings, "generated_tokens", (int64_t)g->n_ids);
    cmd_set_integer(tree, timings, "sampled_tokens", (int64_t)(g->n_ids - g->n_forced));
    cmd_set_integer(tree, timings, "forced_tokens", (int64_t)g->n_forced);
    if (g->n_drafted > 0) {
        cmd_set_integer(tree, timings, "drafted_tokens", (int64_t)g->n_drafted);
        cmd_set_integer(tree, timings, "accepted_tokens", (int64_t)g->n_accepted);
    }
    cmd_set_number(tree, timings, "prompt_ms", (double)g->prompt_us / 1e3);
    cmd_set_number(tree, timings, "first_token_ms", (double)g->first_token_us / 1e3);
    cmd_set_number(tree, timings, "total_ms", (double)g->total_us / 1e3);
    cmd_set_number(tree, timings, "tokens_per_second",
                   g->n_ids > 1 && decode_us > 0 ? (double)(g->n_ids - 1) * 1e6 / (double)decode_us : 0);
    bezel_value_set(tree, map, "timings", timings);
    return map;
}

static int complete_print(cmd_host *host, const bezel_generation *g) {
    bezel_tree *tree;
    if (bezel_tree_new(&tree, host->engine, &host->error) != BEZEL_OK) return cmd_host_fail(host);
    int status = cmd_print_json(host, cmd_complete_value(tree, g));
    bezel_tree_free(tree);
    return status;
}

/* Steps the job to its end; Ctrl-C cancels it and keeps what there is. */
static bezel_status complete_run(bezel_job *job, bezel_generation *g, bezel_error *err) {
    bezel_status st;
    do {
        if (cmd_interrupted()) bezel_job_cancel(job);
        st = bezel_job_step(job, 50000, err);
    } while (st > 0 && st != BEZEL_DONE);
    if (st != BEZEL_DONE && st != BEZEL_ERR_CANCELLED) return st;
    return bezel_generation_get(job, g, err);
}

/* The constraint of --schema, NULL without it. */
static int complete_constraint(bezel_constraint **out, cmd_host *host, const cmd_options *o) {
    bezel_constraint_options options;
    bezel_tree *tree;
    bezel_value *schema = NULL;
    if (!o->schema) return CMD_OK;
    if (bezel_tree_new(&tree, host->engine, &host->error) != BEZEL_OK) return cmd_host_fail(host);
    int status = cmd_read_json(&schema, tree, o->schema, host);
    bezel_constraint_options_init(&options);
    options.kind = BEZEL_CONSTRAINT_JSON;
    options.schema = schema;
    if (status == CMD_OK && bezel_constraint_new(out, host->model, &options, &host->error) != BEZEL_OK)
        status = cmd_host_fail(host);
    bezel_tree_free(tree);
    return status;
}

int cmd_complete(int argc, char **argv) {
    cmd_options o = {.subcommand = "complete", .usage = "complete [--max-tokens N] [--temperature X] [--stop S] [--schema FILE] [--batch] [text]"};
    cmd_host host = {0};
    bezel_session_options session_options;
    bezel_session *session = NULL;
    bezel_job *job = NULL;
    bezel_constraint *constraint = NULL;
    bezel_generate_options options;
    bezel_generation g = {.size = sizeof g};
    char *text = NULL;
    size_t size = 0;
    int status =
        cmd_options_read(&o, argc, argv, CMD_ENGINE_OPTIONS " " CMD_SESSION_OPTIONS " " CMD_SAMPLING_OPTIONS " plain lookup json schema batch together adapter adapter-scale");
    if (status != CMD_OK) return status;
    bezel_generate_options_init(&options);
    bezel_sampling_greedy(&options.sampling);
    cmd_generate_options(&options, &o);
    if ((status = cmd_session_options(&session_options, &o)) != CMD_OK) return status;
    session_options.lookup = (uint32_t)o.lookup;
    if ((status = cmd_read_input(&text, &size, &o)) != CMD_OK) goto done;
    if ((status = cmd_host_model(&host, &o)) != CMD_OK) goto done;
    if ((status = complete_constraint(&constraint, &host, &o)) != CMD_OK) goto done;
    options.constraint = constraint;
    cmd_interrupt_watch();
    if (o.batch) {
        status = cmd_complete_batch(&host, &o, &session_options, &options, text, size);
        goto done;
    }
    uint32_t flags = BEZEL_TOKENIZE_BOS | (o.plain ? 0u : BEZEL_TOKENIZE_SPECIAL);
    if (bezel_session_new(&session, host.model, &session_options, &host.error) != BEZEL_OK ||
        cmd_adapt(&host, session, &o, &host.error) != BEZEL_OK ||
        bezel_session_append_text(session, text, size, flags, &host.error) != BEZEL_OK ||
        bezel_generate(&job, session, &options, &host.error) != BEZEL_OK ||
        complete_run(job, &g, &host.error) != BEZEL_OK)
        status = cmd_host_fail(&host);
    else
        status = complete_print(&host, &g);
done:
    bezel_job_free(job);
    bezel_session_free(session);
    bezel_constraint_free(constraint);
    free(text);
    cmd_host_free(&host);
    return status;
}
