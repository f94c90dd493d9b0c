/* SPDX-License-Identifier: MIT */
/* bezel render: {"messages","tools","context"} to the exact prompt that an agent would send. */
#include "command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bezel_value *render_stops(bezel_tree *tree, const bezel_agent_options *a) {
    bezel_value *stops = bezel_tree_list(tree);
    const char *const *lists[] = {a->profile->stops, a->tools ? a->tool_profile->stops : NULL};
    for (int k = 0; k < 2; k++)
        for (const char *const *s = lists[k]; s && *s; s++)
            bezel_value_append(tree, stops, bezel_tree_text(tree, *s, SIZE_MAX));
    return stops;
}

static int render_print(cmd_host *host, bezel_tree *tree, const cmd_options *o, const bezel_prompt *prompt,
                        const bezel_agent_options *a) {
    size_t size = 0, count = 0;
    const char *text = bezel_prompt_text(prompt, &size);
    if (!o->json) {
        fwrite(text, 1, size, stdout);
        return CMD_OK;
    }
    const int32_t *ids = bezel_prompt_ids(prompt, &count);
    bezel_value *map = bezel_tree_map(tree), *list = bezel_tree_list(tree);
    for (size_t i = 0; i < count; i++) bezel_value_append(tree, list, bezel_tree_integer(tree, ids[i]));
    cmd_set_text(tree, map, "prompt", text, size);
    bezel_value_set(tree, map, "ids", list);
    bezel_value_set(tree, map, "stops", render_stops(tree, a));
    return cmd_print_json(host, map);
}

/* Messages of the input; a leading system message becomes the agent's system text. Owns: *out is free()d by the caller. */
static int render_messages(bezel_message **out, size_t *out_count, bezel_agent_options *a, const bezel_value *list) {
    size_t n = bezel_value_count(list), count = 0;
    if (bezel_value_type(list) != BEZEL_LIST || n == 0) return cmd_error("messages: a list of {role, content} is expected");
    bezel_message *messages = calloc(n, sizeof *messages);
    if (!messages) return cmd_error("out of memory");
    *out = messages;
    for (size_t i = 0; i < n; i++) {
        const bezel_value *item = bezel_value_at(list, i), *content = bezel_value_get(item, "content");
        const char *role = bezel_value_text(bezel_value_get(item, "role"), NULL);
        if (!content) content = bezel_value_get(item, "text");
        if (bezel_value_type(content) != BEZEL_TEXT || !bezel_role_from_name(role))
            return cmd_error("message %zu: a role (system, user, assistant, tool) and a text are needed", i);
        if (i == 0 && bezel_role_from_name(role) == BEZEL_ROLE_SYSTEM) {
            a->system = bezel_value_text(content, NULL);
            continue;
        }
        messages[count].size = sizeof *messages;
        messages[count].role = bezel_role_from_name(role);
        messages[count].text = bezel_value_text(content, &messages[count].text_size);
        count++;
    }
    *out_count = count;
    return CMD_OK;
}

static int render_agent(cmd_host *host, bezel_tree *tree, const cmd_options *o, const bezel_value *input) {
    bezel_agent_options a;
    bezel_toolset *tools = NULL;
    bezel_agent *agent = NULL;
    bezel_prompt *prompt = NULL;
    bezel_message *messages = NULL;
    const bezel_value *list = bezel_value_get(input, "tools"), *context = bezel_value_get(input, "context");
    size_t count = 0;
    bezel_agent_options_init(&a);
    a.profile = bezel_profile_of(host->model);
    if (cmd_profile(&a.profile, o) != CMD_OK) return CMD_USAGE;
    a.tool_profile = bezel_tool_profile_of(a.profile);
    a.context = bezel_value_type(context) == BEZEL_TEXT ? bezel_value_text(context, NULL) : NULL;
    a.session.n_ctx = (uint32_t)o->n_ctx;
    int status = list ? cmd_tools_from_value(&tools, host, list, NULL) : CMD_OK;
    a.tools = tools;
    if (status == CMD_OK) status = render_messages(&messages, &count, &a, bezel_value_get(input, "messages"));
    if (status != CMD_OK) goto done;
    if (bezel_agent_new(&agent, host->model, &a, &host->error) != BEZEL_OK ||
        bezel_agent_append(agent, messages, count, &host->error) != BEZEL_OK ||
        bezel_agent_prompt(&prompt, agent, NULL, 0, &host->error) != BEZEL_OK)
        status = cmd_host_fail(host);
    else
        status = render_print(host, tree, o, prompt, &a);
done:
    bezel_prompt_free(prompt);
    bezel_agent_free(agent);
    bezel_toolset_free(tools);
    free(messages);
    return status;
}

int cmd_render(int argc, char **argv) {
    cmd_options o = {.subcommand = "render", .usage = "render [--json] [--profile NAME] < input.json"};
    cmd_host host = {0};
    bezel_tree *tree = NULL;
    bezel_value *input = NULL;
    char *text = NULL;
    size_t size = 0;
    int status = cmd_options_read(&o, argc, argv, CMD_ENGINE_OPTIONS " json profile n-ctx");
    if (status != CMD_OK) return status;
    if ((status = cmd_read_input(&text, &size, &o)) != CMD_OK) goto done;
    if ((status = cmd_host_model(&host, &o)) != CMD_OK) goto done;
    if (bezel_tree_new(&tree, host.engine, &host.error) != BEZEL_OK ||
        bezel_json_read(&input, tree, text, size, &host.error) != BEZEL_OK)
        status = cmd_host_fail(&host);
    else
        status = render_agent(&host, tree, &o, input);
done:
    bezel_tree_free(tree);
    free(text);
    cmd_host_free(&host);
    return status;
}
