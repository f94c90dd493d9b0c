/* SPDX-License-Identifier: MIT */
/* Bookkeeping for tests of tools; holds no expectation of its own but that what it makes can be made. */
#include "support/tool_agent.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

void tool_agent_setup(tool_agent *t)
{
    memset(t, 0, sizeof *t);
    t->err = (bezel_error)BEZEL_ERROR_INIT;
    test_world_init(&t->tw);
    temp_folder_make(&t->folder);
    tiny_model_open(&t->tiny, BEZEL_ISA_SCALAR, 1, &t->tw.world);
    ck_assert_int_eq(bezel_toolset_new(&t->tools, t->tiny.engine, &t->err), BEZEL_OK);
    ck_assert_int_eq(bezel_store_open(&t->store, t->tiny.engine, temp_folder_file(&t->folder, "s.db"), NULL, &t->err), BEZEL_OK);
    ck_assert_int_eq(bezel_store_begin(t->conversation, t->store, NULL, "ann", &t->err), BEZEL_OK);
    bezel_agent_options_init(&t->options);
    t->profile = *bezel_tool_profile_find("transcript");
    t->profile.n_examples = 0;
    t->profile.examples = NULL;
    t->options.tool_profile = &t->profile;
    t->options.tools = t->tools;
    t->options.journal = bezel_store_journal(t->store);
    t->options.conversation = t->conversation;
    t->options.generate.max_tokens = 64;
}

void tool_agent_teardown(tool_agent *t)
{
    bezel_agent_free(t->agent);
    script_source_free(&t->script);
    bezel_toolset_free(t->tools);
    bezel_store_close(t->store);
    tiny_model_close(&t->tiny);
    temp_folder_remove(&t->folder);
}

bezel_tool tool_agent_tool(const char *name, uint32_t permission, bezel_tool_fn fn, void *ud)
{
    bezel_tool tool = BEZEL_TOOL_INIT;
    tool.name = name;
    tool.permission = permission;
    tool.parameters_json = "{\"properties\":{\"n\":{\"type\":\"integer\"}}}";
    tool.fn = fn;
    tool.ud = ud;
    return tool;
}

void tool_agent_add(tool_agent *t, const bezel_tool *tool)
{
    ck_assert_msg(bezel_toolset_add(t->tools, tool, &t->err) == BEZEL_OK, "%s", t->err.text);
}

void tool_agent_begin(tool_agent *t, const script_reply *replies, size_t n)
{
    script_source_init(&t->script, t->tiny.model, replies, n);
    bezel_status st = bz_agent_new_with(&t->agent, t->tiny.model, &t->options, &t->script.source, &t->err);
    ck_assert_msg(st == BEZEL_OK, "%s", t->err.text);
}

void tool_agent_send(tool_agent *t, const char *question)
{
    ck_assert_msg(bezel_agent_send(t->agent, question, SIZE_MAX, &t->err) == BEZEL_OK, "%s", t->err.text);
}

bezel_status tool_agent_drive(tool_agent *t, int wait)
{
    bezel_agent_event event = {.size = sizeof event};
    bezel_status st;
    while ((st = bezel_agent_step(t->agent, -1, &t->err)) > 0 && st != BEZEL_DONE) {
        while (bezel_agent_event_next(t->agent, &event)) {
            if (event.type != BEZEL_AGENT_ASK)
                continue;
            t->asked = event.count;
            t->n_asked++;
            snprintf(t->asked_text, sizeof t->asked_text, "%s", event.text);
        }
        if (st == BEZEL_TOOL_PENDING && !wait)
            return st;
        if (st == BEZEL_TOOL_PENDING)
            bezel_agent_wait(t->agent, -1);
    }
    return st;
}

const char *tool_agent_stored(tool_agent *t, const char *sql)
{
    static char text[4096];
    bezel_tree *tree = NULL;
    bezel_value *rows = NULL;
    ck_assert_int_eq(bezel_tree_new(&tree, t->tiny.engine, &t->err), BEZEL_OK);
    bezel_status st = bezel_store_query(&rows, tree, t->store, sql, NULL, &t->err);
    ck_assert_msg(st == BEZEL_OK, "%s: %s", sql, t->err.text);
    const bezel_value *value = bezel_value_at(bezel_value_at(rows, 0), 0);
    if (bezel_value_type(value) == BEZEL_INTEGER)
        snprintf(text, sizeof text, "%lld", (long long)bezel_value_integer(value));
    else
        snprintf(text, sizeof text, "%s", bezel_value_type(value) == BEZEL_TEXT ? bezel_value_text(value, NULL) : "");
    bezel_tree_free(tree);
    return text;
}

const char *tool_agent_call(tool_agent *t, size_t i, const char *key)
{
    static char text[256];
    bezel_agent_turn turn = {.size = sizeof turn};
    ck_assert_int_eq(bezel_agent_result(t->agent, &turn, &t->err), BEZEL_OK);
    const bezel_value *value = bezel_value_get(bezel_value_at(turn.calls, i), key);
    snprintf(text, sizeof text, "%s", bezel_value_type(value) == BEZEL_TEXT ? bezel_value_text(value, NULL) : "");
    return text;
}

const char *tool_agent_decisions(tool_agent *t)
{
    return tool_agent_stored(t, "SELECT group_concat(x, '; ') FROM (SELECT kind || ' ' || outcome || coalesce(' ' || name, '')"
                                " AS x FROM decision ORDER BY id)");
}
