/* SPDX-License-Identifier: MIT */
/* bezel ask: one turn. For people the answer as it comes; with --json the turn as one object. */
#include "command.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static bezel_value *ask_usage(bezel_tree *tree, const bezel_agent_turn *turn) {
    bezel_value *usage = bezel_tree_map(tree);
    cmd_set_integer(tree, usage, "steps", turn->n_steps);
    cmd_set_integer(tree, usage, "prompt_tokens", (int64_t)turn->n_prompt);
    cmd_set_integer(tree, usage, "cached_tokens", (int64_t)turn->n_cached);
    cmd_set_integer(tree, usage, "generated_tokens", (int64_t)turn->n_generated);
    cmd_set_integer(tree, usage, "forced_tokens", (int64_t)turn->n_forced);
    cmd_set_integer(tree, usage, "dropped_tokens", (int64_t)turn->n_dropped);
    cmd_set_number(tree, usage, "first_token_ms", (double)turn->first_token_us / 1e3);
    cmd_set_number(tree, usage, "total_ms", (double)turn->total_us / 1e3);
    return usage;
}

/* {"text","calls":[{"name","arguments"}],"results":[{"name","value"|"error"}],"usage","stop_reason","call_probability",
 * "name_probability"} */
static int ask_print(cmd_host *host, const bezel_agent_turn *turn) {
    bezel_tree *tree;
    if (bezel_tree_new(&tree, host->engine, &host->error) != BEZEL_OK) return cmd_host_fail(host);
    bezel_value *map = bezel_tree_map(tree), *calls = bezel_tree_list(tree), *results = bezel_tree_list(tree);
    for (size_t i = 0; i < bezel_value_count(turn->calls); i++) {
        const bezel_value *item = bezel_value_at(turn->calls, i), *error = bezel_value_get(item, "error");
        const bezel_value *result = bezel_value_get(item, "result");
        bezel_value *call = bezel_tree_map(tree), *answer = bezel_tree_map(tree);
        bezel_value_set(tree, call, "name", bezel_tree_copy(tree, bezel_value_get(item, "name")));
        bezel_value_set(tree, call, "arguments", bezel_tree_copy(tree, bezel_value_get(item, "arguments")));
        if (bezel_value_type(bezel_value_get(item, "arguments")) == BEZEL_MAP) bezel_value_append(tree, calls, call);
        if (!error && !result) continue; /* a tool without code */
        bezel_value_set(tree, answer, "name", bezel_tree_copy(tree, bezel_value_get(item, "name")));
        bezel_value_set(tree, answer, error ? "error" : "value", bezel_tree_copy(tree, error ? error : result));
        bezel_value_append(tree, results, answer);
    }
    cmd_set_text(tree, map, "text", turn->text, turn->text_size);
    bezel_value_set(tree, map, "calls", calls);
    bezel_value_set(tree, map, "results", results);
    bezel_value_set(tree, map, "usage", ask_usage(tree, turn));
    cmd_set_text(tree, map, "stop_reason", bezel_stop_name(turn->stop_reason), SIZE_MAX);
    if (!isnan(turn->call_probability)) cmd_set_number(tree, map, "call_probability", turn->call_probability);
    if (!isnan(turn->name_probability)) cmd_set_number(tree, map, "name_probability", turn->name_probability);
    int status = cmd_print_json(host, map);
    bezel_tree_free(tree);
    return status;
}

static int ask_show_prompt(cmd_host *host, bezel_agent *agent, const char *text, size_t size) {
    bezel_prompt *prompt;
    size_t n = 0;
    if (bezel_agent_prompt(&prompt, agent, text, size, &host->error) != BEZEL_OK) return cmd_host_fail(host);
    const char *rendered = bezel_prompt_text(prompt, &n);
    fwrite(rendered, 1, n, stdout);
    bezel_prompt_free(prompt);
    return CMD_OK;
}

static int ask_turn(cmd_host *host, bezel_agent *agent, const cmd_options *o, const char *text, size_t size) {
    bezel_agent_turn turn = {.size = sizeof turn};
    cmd_interrupt_watch();
    if (cmd_talk_turn(host, agent, text, size, !o->json) != BEZEL_OK) {
        if (!o->json) putchar('\n');
        return cmd_host_fail(host);
    }
    if (!o->json) {
        putchar('\n');
        return CMD_OK;
    }
    if (bezel_agent_result(agent, &turn, &host->error) != BEZEL_OK) return cmd_host_fail(host);
    return ask_print(host, &turn);
}

int cmd_ask(int argc, char **argv) {
    cmd_options o = {.subcommand = "ask", .usage = "ask [--tools FILE] [--allow LIST] [--json] [question]"};
    cmd_host host = {0};
    bezel_tree *tree = NULL;
    bezel_toolset *tools = NULL;
    bezel_agent *agent = NULL;
    char *text = NULL;
    size_t size = 0;
    int status = cmd_options_read(&o, argc, argv,
                                  CMD_ENGINE_OPTIONS " " CMD_SESSION_OPTIONS " adapter adapter-scale " CMD_SAMPLING_OPTIONS
                                                     " store no-store user conversation system context profile tools "
                                                     "results allow deny json show-prompt max-steps overflow tool-choice "
                                                     "constrain call-bias no-fit no-evidence");
    if (status != CMD_OK) return status;
    if (o.results && !o.tools) return cmd_usage(&o, "--results goes with --tools");
    if ((status = cmd_read_input(&text, &size, &o)) != CMD_OK) goto done;
    if ((status = cmd_host_model(&host, &o)) != CMD_OK) goto done;
    if (!o.show_prompt && (status = cmd_host_store(&host, &o)) != CMD_OK) goto done;
    if (bezel_tree_new(&tree, host.engine, &host.error) != BEZEL_OK) {
        status = cmd_host_fail(&host);
        goto done;
    }
    if ((status = cmd_tools_read(&tools, &host, tree, &o)) != CMD_OK) goto done;
    if ((status = cmd_talk_agent(&agent, &host, &o, tools, o.conversation)) != CMD_OK) goto done;
    if (o.conversation && host.store && (status = cmd_talk_resume(agent, &host, o.conversation)) != CMD_OK) goto done;
    status = o.show_prompt ? ask_show_prompt(&host, agent, text, size) : ask_turn(&host, agent, &o, text, size);
done:
    bezel_agent_free(agent);
    bezel_toolset_free(tools);
    bezel_tree_free(tree);
    free(text);
    cmd_host_free(&host);
    return status;
}
