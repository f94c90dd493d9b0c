/* SPDX-License-Identifier: MIT */
/* Tools of a JSON file, with results from another one in place of code. */
#include "command.h"

#include <stdio.h>
#include <string.h>

/* The result that --results names for this tool; user data is the map of results. */
static bezel_status tool_from_file(void *ud, bezel_call *call, bezel_error *err) {
    const bezel_value *result = bezel_value_get(ud, bezel_call_name(call));
    (void)err;
    if (result)
        bezel_call_finish(call, bezel_tree_copy(bezel_call_tree(call), result));
    else
        bezel_call_fail(call, "the results file has no entry for this tool");
    return result ? BEZEL_OK : BEZEL_ERR_CALLBACK;
}

int cmd_tool_class(uint32_t *out, const char *name) {
    static const char *const names[] = {"unknown", "pure", "read", "write", "network"}; /* ORDER BEZEL_TOOL_... */
    for (uint32_t k = 0; k < 5; k++)
        if (name && strcmp(names[k], name) == 0) {
            *out = k;
            return 1;
        }
    return 0;
}

static int tool_add(cmd_host *host, bezel_toolset *tools, const bezel_value *item, bezel_value *results) {
    const bezel_value *inner = bezel_value_get(item, "function"); /* the OpenAI wrapper */
    const bezel_value *spec = bezel_value_type(inner) == BEZEL_MAP ? inner : item;
    const bezel_value *description = bezel_value_get(spec, "description");
    bezel_tool tool = BEZEL_TOOL_INIT;
    tool.name = bezel_value_text(bezel_value_get(spec, "name"), NULL);
    tool.description = description ? bezel_value_text(description, NULL) : NULL;
    tool.parameters = bezel_value_get(spec, "parameters");
    tool.permission = BEZEL_TOOL_READ; /* a result from a file changes nothing, unless the tool says so */
    if (bezel_value_get(spec, "permission")) {
        const char *class = bezel_value_text(bezel_value_get(spec, "permission"), NULL);
        if (!cmd_tool_class(&tool.permission, class)) return cmd_error("tools: permission %.40s: pure, read, write or network expected", class);
    }
    tool.fn = results ? tool_from_file : NULL;
    tool.ud = results;
    return bezel_toolset_add(tools, &tool, &host->error) == BEZEL_OK ? CMD_OK : cmd_host_fail(host);
}

int cmd_tools_from_value(bezel_toolset **out, cmd_host *host, const bezel_value *list, bezel_value *results) {
    if (bezel_value_type(list) != BEZEL_LIST) return cmd_error("tools: a JSON list of {name, description, parameters} is expected");
    if (results && bezel_value_type(results) != BEZEL_MAP)
        return cmd_error("results: a JSON map of tool name to result is expected");
    if (bezel_toolset_new(out, host->engine, &host->error) != BEZEL_OK) return cmd_host_fail(host);
    for (size_t i = 0; i < bezel_value_count(list); i++) {
        int status = tool_add(host, *out, bezel_value_at(list, i), results);
        if (status != CMD_OK) return status;
    }
    for (size_t i = 0; i < bezel_toolset_warning_count(*out); i++)
        fprintf(stderr, "bezel: warning: %s\n", bezel_toolset_warning(*out, i));
    return CMD_OK;
}

int cmd_tools_read(bezel_toolset **out, cmd_host *host, bezel_tree *tree, const cmd_options *o) {
    bezel_value *list = NULL, *results = NULL;
    int status = CMD_OK;
    if (!o->tools) return CMD_OK;
    status = cmd_read_json(&list, tree, o->tools, host);
    if (status == CMD_OK && o->results) status = cmd_read_json(&results, tree, o->results, host);
    return status == CMD_OK ? cmd_tools_from_value(out, host, list, results) : status;
}
