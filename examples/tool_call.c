/* SPDX-License-Identifier: MIT */
/* A C function as a tool: its schema, its body, and a turn in which the model may call it.
 *
 *     tool_call MODEL.gguf ["question"]
 *
 * BEZEL_RECORD=FILE records the turn; BEZEL_REPLAY=FILE plays it again without weights and without the tool. */
#include <bezel/agent.h>
#include <bezel/bezel.h>
#include <stdio.h>
#include <stdlib.h>

/* Arguments are checked against the schema before this runs. */
static bezel_status get_stock(void *ud, bezel_call *call, bezel_error *err) {
    bezel_tree *tree = bezel_call_tree(call);
    bezel_value *result = bezel_tree_map(tree);
    const bezel_value *item = bezel_value_get(bezel_call_arguments(call), "item");
    (void)ud;
    (void)err;
    bezel_value_set(tree, result, "item", bezel_tree_copy(tree, item));
    bezel_value_set(tree, result, "count", bezel_tree_integer(tree, 12));
    bezel_call_finish(call, result);
    return BEZEL_OK;
}

static int failed(const bezel_error *err) {
    fprintf(stderr, "%s: %s\n%s\n", err->origin, err->text, err->hint);
    return 1;
}

static bezel_status tools_make(bezel_toolset **out, bezel_engine *engine, bezel_error *err) {
    static const char schema[] = "{\"type\":\"object\",\"properties\":{\"item\":{\"type\":\"string\",\"maxLength\":40,"
                                 "\"description\":\"Name of the item\"}},\"required\":[\"item\"]}";
    bezel_tool tool = BEZEL_TOOL_INIT;
    bezel_status st = bezel_toolset_new(out, engine, err);
    if (st != BEZEL_OK) return st;
    tool.name = "get_stock";
    tool.description = "How many pieces of an item are in the shop";
    tool.parameters_json = schema;
    tool.permission = BEZEL_TOOL_READ;
    tool.fn = get_stock;
    return bezel_toolset_add(*out, &tool, err);
}

static bezel_status ask(bezel_agent *agent, const char *question, bezel_error *err) {
    bezel_agent_event event = {.size = sizeof event};
    bezel_status st = bezel_agent_send(agent, question, SIZE_MAX, err);
    while (st >= 0 && st != BEZEL_DONE) {
        st = bezel_agent_step(agent, -1, err);
        while (bezel_agent_event_next(agent, &event)) {
            if (event.type == BEZEL_AGENT_TEXT) fwrite(event.text, 1, event.text_size, stdout);
            if (event.type == BEZEL_AGENT_CALL) printf("[%s is called]\n", event.name);
            if (event.type == BEZEL_AGENT_RESULT)
                printf("[%s answered %lld]\n", event.name,
                       (long long)bezel_value_integer(bezel_value_get(event.result, "count")));
        }
    }
    putchar('\n');
    return st == BEZEL_DONE ? BEZEL_OK : st;
}

int main(int argc, char **argv) {
    const char *question = argc > 2 ? argv[2] : "How many lamps are in the shop?";
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_engine *engine = NULL;
    bezel_model *model = NULL;
    bezel_toolset *tools = NULL;
    bezel_agent *agent = NULL;
    bezel_agent_options options;
    bezel_model_options model_options;
    int status = 0;
    if (argc < 2) {
        fprintf(stderr, "usage: tool_call MODEL.gguf [question]\n");
        return 2;
    }
    bezel_agent_options_init(&options);
    options.generate.max_tokens = 96;
    options.record = getenv("BEZEL_RECORD");
    options.replay = getenv("BEZEL_REPLAY");
    bezel_model_options_init(&model_options);
    model_options.vocabulary_only = options.replay != NULL;
    if (bezel_engine_new(&engine, NULL, &err) != BEZEL_OK ||
        bezel_model_open(&model, engine, argv[1], &model_options, &err) != BEZEL_OK || tools_make(&tools, engine, &err) != BEZEL_OK)
        status = failed(&err);
    options.tools = tools;
    if (!status && (bezel_agent_new(&agent, model, &options, &err) != BEZEL_OK || ask(agent, question, &err) != BEZEL_OK))
        status = failed(&err);
    bezel_agent_free(agent);
    bezel_toolset_free(tools);
    bezel_model_free(model);
    bezel_engine_free(engine);
    return status;
}
