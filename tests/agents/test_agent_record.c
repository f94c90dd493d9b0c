/* SPDX-License-Identifier: MIT */
/* What is around the loop: the journal, the history, the prompt, the context, options, and every allocation failing. */
#include <bezel/agent.h>
#include <bezel/store.h>

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/script_source.h"
#include "support/store_turn.h"
#include "support/temp_folder.h"
#include "support/test_world.h"
#include "support/tiny_model.h"

static tiny_model tiny;
static bezel_tool_profile small_profile;
static bezel_toolset *tools;
static bezel_agent_options options;
static bezel_agent *agent;
static script_source script;
static bezel_error err;

static const script_reply call_and_answer[] = {
    {" Let me see.\nFUNCTION_CALL: get_weather(city=\"Tokyo\")", BEZEL_STOP_STRING, 0, NULL, NULL},
    {" It will rain.", 0, 0, NULL, NULL}};

/* --- A journal that counts ---------------------------------------------------------------- */

typedef struct kept_turn {
    bezel_status answer; /* of write */
    int n_writes;
    uint32_t n_messages, n_calls, n_usages, roles[8];
    char model[64], error[256], texts[8][160], call[64], arguments[64], result[64], code[32], usage_error[32], status[32];
    bezel_journal_usage usages[4];
    int64_t started_ms, duration_us;
    int withdrawn;
} kept_turn;
static kept_turn kept;

static bezel_status keep(void *ud, const bezel_journal_turn *t, bezel_error *e)
{
    kept_turn *k = ud;
    k->n_writes++;
    if (k->answer < 0) {
        e->status = k->answer;
        snprintf(e->text, sizeof e->text, "the journal is full");
        return k->answer;
    }
    k->n_messages = t->n_messages, k->n_calls = t->n_calls, k->n_usages = t->n_usages;
    k->withdrawn = t->withdrawn;
    k->started_ms = t->started_ms, k->duration_us = t->duration_us;
    snprintf(k->model, sizeof k->model, "%s", t->model);
    snprintf(k->error, sizeof k->error, "%s", t->error ? t->error : "");
    for (uint32_t i = 0; i < t->n_messages && i < 8; i++) {
        k->roles[i] = t->messages[i].role;
        snprintf(k->texts[i], sizeof k->texts[i], "%.*s", (int)t->messages[i].text_size, t->messages[i].text);
    }
    for (uint32_t i = 0; i < t->n_usages && i < 4; i++)
        k->usages[i] = t->usages[i];
    snprintf(k->status, sizeof k->status, "%s", t->status ? t->status : "");
    k->usage_error[0] = 0;
    if (t->n_usages && t->usages[t->n_usages - 1].error)
        snprintf(k->usage_error, sizeof k->usage_error, "%s", t->usages[t->n_usages - 1].error);
    if (t->n_calls) {
        snprintf(k->call, sizeof k->call, "%s", t->calls[0].name);
        snprintf(k->arguments, sizeof k->arguments, "%s", t->calls[0].arguments ? t->calls[0].arguments : "none");
        snprintf(k->result, sizeof k->result, "%s", t->calls[0].result ? t->calls[0].result : "none");
        snprintf(k->code, sizeof k->code, "%s", t->calls[0].error_code ? t->calls[0].error_code : "none");
    }
    return BEZEL_OK;
}

static const bezel_journal journal = {sizeof journal, 0, &kept, keep};

/* --- Fixture ------------------------------------------------------------------------------ */

static bezel_status tool_weather(void *ud, bezel_call *call, bezel_error *e)
{
    (void)ud, (void)e;
    bezel_call_finish(call, bezel_tree_text(bezel_call_tree(call), "rain", 4));
    return BEZEL_OK;
}

static bezel_status add_weather(bezel_toolset *set, bezel_error *e)
{
    bezel_tool t = BEZEL_TOOL_INIT;
    t.name = "get_weather";
    t.description = "Weather";
    t.parameters_json = "{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"}},\"required\":[\"city\"]}";
    t.fn = tool_weather;
    return bezel_toolset_add(set, &t, e);
}

static void setup(void)
{
    err = (bezel_error)BEZEL_ERROR_INIT;
    agent = NULL;
    memset(&kept, 0, sizeof kept);
    memset(&script, 0, sizeof script);
    tiny_model_open(&tiny, BEZEL_ISA_SCALAR, 1, NULL);
    ck_assert_int_eq(bezel_toolset_new(&tools, tiny.engine, &err), BEZEL_OK);
    ck_assert_int_eq(add_weather(tools, &err), BEZEL_OK);
    bezel_agent_options_init(&options);
    small_profile = *bezel_tool_profile_find("transcript");
    small_profile.n_examples = 0;
    small_profile.examples = NULL;
    options.tool_profile = &small_profile;
    options.tools = tools;
    options.journal = &journal;
    options.generate.max_tokens = 64;
}

static void teardown(void)
{
    bezel_agent_free(agent);
    script_source_free(&script);
    bezel_toolset_free(tools);
    tiny_model_close(&tiny);
}

static void begin(const script_reply *replies, size_t n)
{
    script_source_init(&script, tiny.model, replies, n);
    bezel_status st = bz_agent_new_with(&agent, tiny.model, &options, &script.source, &err);
    ck_assert_msg(st == BEZEL_OK, "%s", err.text);
}
#define BEGIN(list) begin(list, sizeof list / sizeof list[0])

static uint64_t n_dropped_events;

static bezel_status ask(const char *question)
{
    bezel_agent_event event = {.size = sizeof event};
    bezel_status st = bezel_agent_send(agent, question, SIZE_MAX, &err);
    if (st != BEZEL_OK)
        return st;
    while ((st = bezel_agent_step(agent, -1, &err)) > 0 && st != BEZEL_DONE) {
        while (bezel_agent_event_next(agent, &event)) {
            if (event.type == BEZEL_AGENT_DROPPED) {
                n_dropped_events++;
                ck_assert_uint_gt(event.count, 0);
                ck_assert_uint_gt(event.text_size, 0);
            }
        }
    }
    return st;
}

/* --- Journal ------------------------------------------------------------------------------ */

START_TEST(the_journal_gets_the_whole_turn_once)
{
    options.user = "ann";
    BEGIN(call_and_answer);
    ck_assert_int_eq(ask("Tokyo?"), BEZEL_DONE);
    ck_assert_int_eq(kept.n_writes, 1);
    ck_assert_uint_eq(kept.n_messages, 4);
    static const uint32_t roles[] = {BEZEL_ROLE_USER, BEZEL_ROLE_ASSISTANT, BEZEL_ROLE_TOOL, BEZEL_ROLE_ASSISTANT};
    ck_assert_mem_eq(kept.roles, roles, sizeof roles);
    ck_assert_str_eq(kept.texts[0], "Tokyo?");
    ck_assert_str_eq(kept.texts[1], call_and_answer[0].text); /* verbatim */
    ck_assert_str_eq(kept.texts[3], call_and_answer[1].text);
    ck_assert_uint_eq(kept.n_calls, 1);
    ck_assert_str_eq(kept.call, "get_weather");
    ck_assert_str_eq(kept.arguments, "{\"city\":\"Tokyo\"}");
    ck_assert_str_eq(kept.result, "\"rain\"");
    ck_assert_str_eq(kept.code, "none");
    ck_assert_uint_eq(kept.n_usages, 2);
    ck_assert_uint_eq(kept.usages[0].stop_reason, BEZEL_STOP_STRING);
    ck_assert_uint_eq(kept.usages[1].step, 1);
    ck_assert_uint_gt(kept.usages[1].n_prompt, kept.usages[0].n_prompt);
    ck_assert_uint_gt(kept.usages[0].n_generated, 0);
    ck_assert_int_eq(kept.usages[0].total_us, 100);
    ck_assert_str_eq(kept.error, "");
    ck_assert_str_eq(kept.model, bezel_model_name(tiny.model));
    ck_assert_int_gt(kept.started_ms, 0);
    ck_assert_int_ge(kept.duration_us, 0);
}
END_TEST

START_TEST(a_failed_turn_is_in_the_journal_too)
{
    static const script_reply replies[] = {{" Half an answ", 0, BEZEL_ERR_NUMERIC, NULL, NULL}};
    BEGIN(replies);
    ck_assert_int_eq(ask("Tokyo?"), BEZEL_ERR_NUMERIC);
    ck_assert_int_eq(kept.n_writes, 1);
    ck_assert_str_ne(kept.error, "");
    ck_assert_uint_eq(kept.n_messages, 2);
    ck_assert_str_eq(kept.texts[1], "Half an answ");
    ck_assert_uint_eq(kept.n_usages, 1);
    ck_assert_str_eq(kept.usage_error, "numeric");
    ck_assert_str_eq(kept.status, "numeric");
    ck_assert_int_eq(kept.withdrawn, 1);
    bezel_tree *tree = NULL;
    bezel_value *list = NULL;
    ck_assert_int_eq(bezel_tree_new(&tree, tiny.engine, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_agent_history(&list, tree, agent, &err), BEZEL_OK);
    ck_assert_uint_eq(bezel_value_count(list), 0); /* half an answer is nothing to go on with */
    bezel_tree_free(tree);
}
END_TEST

START_TEST(a_failed_turn_that_the_journal_refuses_says_so)
{
    static const script_reply replies[] = {{" Half an answ", 0, BEZEL_ERR_NUMERIC, NULL, NULL}};
    bezel_agent_event event = {.size = sizeof event};
    int said = 0;
    kept.answer = BEZEL_ERR_STORE;
    BEGIN(replies);
    ck_assert_int_eq(bezel_agent_send(agent, "Tokyo?", SIZE_MAX, &err), BEZEL_OK);
    while (bezel_agent_step(agent, -1, &err) > 0) {}
    while (bezel_agent_event_next(agent, &event))
        said |= event.type == BEZEL_AGENT_NOTE && strstr(event.text, "the journal is full") != NULL;
    ck_assert_int_eq(said, 1);
}
END_TEST

START_TEST(a_turn_that_the_journal_refuses_is_not_done)
{
    kept.answer = BEZEL_ERR_STORE;
    BEGIN(call_and_answer);
    ck_assert_int_eq(ask("Tokyo?"), BEZEL_ERR_STORE);
    ck_assert_str_eq(err.text, "the journal is full");
    ck_assert_int_eq(kept.n_writes, 1);
    bezel_agent_turn turn = {.size = sizeof turn};
    ck_assert_int_eq(bezel_agent_result(agent, &turn, &err), BEZEL_OK);
    ck_assert_str_eq(turn.text, "It will rain."); /* it was shown already */
    kept.answer = BEZEL_OK;
    script.next = 1;
    bezel_prompt *prompt = NULL;
    size_t n;
    ck_assert_int_eq(bezel_agent_prompt(&prompt, agent, "Again?", SIZE_MAX, &err), BEZEL_OK);
    ck_assert_ptr_null(strstr(bezel_prompt_text(prompt, &n), "It will rain.")); /* as after a restart */
    bezel_prompt_free(prompt);
    ck_assert_int_eq(ask("Again?"), BEZEL_DONE);
    ck_assert_uint_eq(kept.n_messages, 2);
}
END_TEST

/* Appends what the store has of a conversation, as a host does after a restart. */
static void resume(bezel_store *store, const char *id)
{
    bezel_tree *tree = NULL;
    bezel_value *list = NULL;
    ck_assert_int_eq(bezel_tree_new(&tree, tiny.engine, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_store_messages(&list, tree, store, id, &err), BEZEL_OK);
    for (size_t i = 0; i < bezel_value_count(list); i++) {
        const bezel_value *m = bezel_value_at(list, i);
        bezel_message message = {.size = sizeof message};
        message.role = bezel_role_from_name(bezel_value_text(bezel_value_get(m, "role"), NULL));
        message.text = bezel_value_text(bezel_value_get(m, "text"), &message.text_size);
        ck_assert_int_eq(bezel_agent_append(agent, &message, 1, &err), BEZEL_OK);
    }
    bezel_tree_free(tree);
}

START_TEST(a_conversation_in_a_store_goes_on_after_a_restart)
{
    temp_folder folder;
    bezel_store *store = NULL;
    char id[32];
    temp_folder_make(&folder);
    ck_assert_int_eq(bezel_store_open(&store, tiny.engine, temp_folder_file(&folder, "a.db"), NULL, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_store_begin(id, store, NULL, "ann", &err), BEZEL_OK);
    options.journal = bezel_store_journal(store);
    options.conversation = id;
    BEGIN(call_and_answer);
    ck_assert_int_eq(ask("Tokyo?"), BEZEL_DONE);
    bezel_agent_free(agent);
    script_source_free(&script);

    static const script_reply again[] = {{" Yes.", 0, 0, NULL, NULL}};
    BEGIN(again);
    resume(store, id);
    ck_assert_int_eq(ask("Really?"), BEZEL_DONE);
    ck_assert_ptr_nonnull(strstr(script.prompts[0], "It will rain."));
    ck_assert_int_eq(store_turn_count(store, tiny.engine, "SELECT count(*) FROM message"), 6);
    ck_assert_int_eq(store_turn_count(store, tiny.engine, "SELECT count(*) FROM usage"), 3);
    bezel_agent_free(agent);
    agent = NULL;
    bezel_store_close(store);
    temp_folder_remove(&folder);
}
END_TEST

/* Ids of the prompt for one more question; free() them. */
static int32_t *next_prompt(size_t *out_n)
{
    bezel_prompt *prompt = NULL;
    bezel_status st = bezel_agent_prompt(&prompt, agent, "And now?", SIZE_MAX, &err);
    ck_assert_msg(st == BEZEL_OK, "%s", err.text);
    const int32_t *ids = bezel_prompt_ids(prompt, out_n);
    int32_t *copy = malloc(*out_n * sizeof *copy);
    memcpy(copy, ids, *out_n * sizeof *copy);
    bezel_prompt_free(prompt);
    return copy;
}

START_TEST(after_a_restart_the_prompt_has_the_same_ids_whatever_failed_before)
{
    static const script_reply replies[] = {{" Let me see.\nFUNCTION_CALL: get_weather(city=\"Tokyo\")", 0, 0, NULL, NULL},
                                           {" Rain,\n  all day. ", 0, 0, NULL, NULL},
                                           {" Half an answ", 0, BEZEL_ERR_NUMERIC, NULL, NULL},
                                           {" A long answer that is cut short.", 0, 0, NULL, NULL},
                                           {" FUNCTION_CALL: get_weather()", 0, 0, NULL, NULL},
                                           {" FUNCTION_CALL: get_weather(days=3)", 0, 0, NULL, NULL},
                                           {" Yes.", 0, 0, NULL, NULL}};
    temp_folder folder;
    bezel_store *store = NULL;
    char id[32];
    temp_folder_make(&folder);
    ck_assert_int_eq(bezel_store_open(&store, tiny.engine, temp_folder_file(&folder, "b.db"), NULL, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_store_begin(id, store, NULL, "ann", &err), BEZEL_OK);
    options.journal = bezel_store_journal(store);
    options.conversation = id;
    BEGIN(replies);
    ck_assert_int_eq(ask("Tokyo?"), BEZEL_DONE);
    ck_assert_int_eq(ask("Kyoto?"), BEZEL_ERR_NUMERIC);
    ck_assert_int_eq(bezel_agent_send(agent, "Tell me.", SIZE_MAX, &err), BEZEL_OK);
    while (bezel_agent_step(agent, 0, &err) == BEZEL_MORE) {}
    bezel_agent_cancel(agent);
    bezel_status st;
    while ((st = bezel_agent_step(agent, -1, &err)) > 0) {}
    ck_assert_int_eq(st, BEZEL_ERR_CANCELLED);
    ck_assert_int_eq(ask("Osaka?"), BEZEL_ERR_PARSE);
    ck_assert_int_eq(ask("Really?"), BEZEL_DONE);
    size_t n_live, n_again;
    int32_t *live = next_prompt(&n_live);
    bezel_agent_free(agent);
    script_source_free(&script);

    BEGIN(replies);
    resume(store, id);
    int32_t *again = next_prompt(&n_again);
    ck_assert_uint_eq(n_again, n_live);
    ck_assert_mem_eq(again, live, n_live * sizeof *live);
    /* people still see what failed */
    ck_assert_int_eq(store_turn_count(store, tiny.engine, "SELECT count(*) FROM conversation_text WHERE text = 'Kyoto?'"
                                                          " AND error IS NOT NULL"), 1);
    ck_assert_int_eq(store_turn_count(store, tiny.engine, "SELECT count(DISTINCT turn) FROM recent_errors"), 3);
    free(live);
    free(again);
    bezel_agent_free(agent);
    agent = NULL;
    bezel_store_close(store);
    temp_folder_remove(&folder);
}
END_TEST

/* --- History and prompt ------------------------------------------------------------------- */

START_TEST(the_prompt_that_is_shown_is_the_prompt_that_is_sent)
{
    bezel_prompt *prompt = NULL;
    size_t n;
    options.system = "Be brief.";
    options.context = "It is Monday.";
    BEGIN(call_and_answer);
    ck_assert_int_eq(bezel_agent_prompt(&prompt, agent, "Tokyo?", SIZE_MAX, &err), BEZEL_OK);
    bezel_agent_turn turn = {.size = sizeof turn};
    ck_assert_int_eq(bezel_agent_result(agent, &turn, &err), BEZEL_ERR_ARGUMENT); /* nothing was asked */
    ck_assert_int_eq(ask("Tokyo?"), BEZEL_DONE);
    ck_assert_str_eq(bezel_prompt_text(prompt, &n), script.prompts[0]);
    const char *text = script.prompts[0];
    ck_assert_ptr_nonnull(strstr(text, "Be brief."));
    ck_assert_ptr_nonnull(strstr(text, "get_weather"));
    ck_assert_ptr_nonnull(strstr(text, "Context: It is Monday."));
    bezel_prompt_free(prompt);
}
END_TEST

START_TEST(tools_added_between_turns_are_declared_in_the_next)
{
    static const script_reply replies[] = {{" Yes.", 0, 0, NULL, NULL}, {" No.", 0, 0, NULL, NULL}};
    BEGIN(replies);
    ck_assert_int_eq(ask("One?"), BEZEL_DONE);
    bezel_tool t = BEZEL_TOOL_INIT;
    t.name = "get_tide";
    t.description = "Tide";
    t.fn = tool_weather;
    ck_assert_int_eq(bezel_toolset_add(tools, &t, &err), BEZEL_OK);
    ck_assert_int_eq(ask("Two?"), BEZEL_DONE);
    ck_assert_ptr_null(strstr(script.prompts[0], "get_tide"));
    ck_assert_ptr_nonnull(strstr(script.prompts[1], "get_tide"));
}
END_TEST

START_TEST(messages_can_be_added_read_and_cleared)
{
    bezel_tree *tree = NULL;
    bezel_value *list = NULL;
    bezel_message good[] = {{sizeof *good, BEZEL_ROLE_USER, "Hi", 2}, {sizeof *good, BEZEL_ROLE_ASSISTANT, "Hello", 5}};
    bezel_message bad[] = {{sizeof *bad, BEZEL_ROLE_USER, "Hi", 2}, {sizeof *bad, BEZEL_ROLE_SYSTEM, "x", 1}};
    BEGIN(call_and_answer);
    ck_assert_int_eq(bezel_agent_append(agent, good, 2, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_agent_append(agent, bad, 2, &err), BEZEL_ERR_FORMAT);
    bad[1].role = BEZEL_ROLE_USER, bad[1].text = NULL;
    ck_assert_int_eq(bezel_agent_append(agent, bad, 2, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(bezel_tree_new(&tree, tiny.engine, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_agent_history(&list, tree, agent, &err), BEZEL_OK);
    ck_assert_uint_eq(bezel_value_count(list), 2);
    ck_assert_str_eq(bezel_value_text(bezel_value_get(bezel_value_at(list, 1), "role"), NULL), "assistant");
    ck_assert_str_eq(bezel_value_text(bezel_value_get(bezel_value_at(list, 1), "text"), NULL), "Hello");
    bezel_agent_clear(agent);
    ck_assert_int_eq(bezel_agent_history(&list, tree, agent, &err), BEZEL_OK);
    ck_assert_uint_eq(bezel_value_count(list), 0);
    bezel_tree_free(tree);
}
END_TEST

/* --- Context ------------------------------------------------------------------------------ */

static const char long_text[] = "word word word word word word word word word word word word word word word word word word "
                                "word word word word word word word word word word word word word word word word word word";

START_TEST(old_exchanges_are_dropped_and_that_is_said)
{
    script_reply replies[12];
    for (size_t i = 0; i < 12; i++)
        replies[i] = (script_reply){long_text, 0, 0, NULL, NULL};
    options.tools = NULL;
    options.system = "SYSTEMTEXT";
    options.session.n_ctx = 1024;
    n_dropped_events = 0;
    BEGIN(replies);
    uint64_t dropped = 0;
    for (int i = 0; i < 12; i++) {
        char question[32];
        snprintf(question, sizeof question, "QUESTION%02d", i);
        bezel_status st = ask(question);
        ck_assert_msg(st == BEZEL_DONE, "%s", err.text);
        ck_assert_ptr_nonnull(strstr(script.prompts[i], "SYSTEMTEXT"));
        ck_assert_ptr_nonnull(strstr(script.prompts[i], question));
        bezel_agent_turn turn = {.size = sizeof turn};
        ck_assert_int_eq(bezel_agent_result(agent, &turn, &err), BEZEL_OK);
        ck_assert_uint_eq(turn.n_dropped, kept.usages[0].n_dropped);
        ck_assert_uint_le(turn.n_prompt, 1024 - 64);
        dropped += turn.n_dropped;
    }
    ck_assert_uint_gt(n_dropped_events, 0);
    ck_assert_uint_lt(n_dropped_events, 6); /* seldom, so that the cache is of use */
    ck_assert_uint_gt(dropped, 100);
    ck_assert_ptr_null(strstr(script.prompts[11], "QUESTION00"));
}
END_TEST

START_TEST(the_error_policy_says_full_and_the_agent_goes_on)
{
    static const script_reply replies[] = {{" Yes.", 0, 0, NULL, NULL}};
    char text[9000];
    memset(text, 'z', sizeof text - 1);
    text[sizeof text - 1] = 0;
    options.overflow = BEZEL_OVERFLOW_ERROR;
    BEGIN(replies);
    ck_assert_int_eq(ask(text), BEZEL_ERR_FULL);
    ck_assert_str_ne(err.hint, "");
    ck_assert_uint_eq(script.n_asked, 0);
    ck_assert_str_ne(kept.error, "");
    ck_assert_str_eq(kept.status, "full");
    ck_assert_int_eq(ask("Short?"), BEZEL_DONE);
    ck_assert_str_eq(kept.status, "");
}
END_TEST

/* --- Options ------------------------------------------------------------------------------ */

START_TEST(wrong_options_are_named)
{
    bezel_agent_options o = options;
    o.max_steps = 0;
    ck_assert_int_eq(bezel_agent_new(&agent, tiny.model, &o, &err), BEZEL_ERR_RANGE);
    ck_assert_ptr_nonnull(strstr(err.text, "max_steps"));
    o = options;
    o.overflow = 9;
    ck_assert_int_eq(bezel_agent_new(&agent, tiny.model, &o, &err), BEZEL_ERR_RANGE);
    o = options;
    o.size = 2;
    ck_assert_int_eq(bezel_agent_new(&agent, tiny.model, &o, &err), BEZEL_ERR_ARGUMENT);
    o = options;
    o.generate.n_stops = 2;
    ck_assert_int_eq(bezel_agent_new(&agent, tiny.model, &o, &err), BEZEL_ERR_RANGE);
    o = options;
    bezel_journal broken = {sizeof broken, 0, NULL, NULL};
    o.journal = &broken;
    ck_assert_int_eq(bezel_agent_new(&agent, tiny.model, &o, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(bezel_agent_new(&agent, NULL, &options, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_ptr_null(agent);
    bezel_agent_free(NULL);
    bezel_agent_cancel(NULL);
    ck_assert_int_eq(bezel_agent_fd(NULL), -1);
}
END_TEST

/* --- Allocation --------------------------------------------------------------------------- */

static bezel_status sweep_once(test_world *tw, void *ctx)
{
    tiny_model *t = ctx;
    bezel_toolset *set = NULL;
    bezel_agent *a = NULL;
    script_source s = {0};
    bezel_error e = BEZEL_ERROR_INIT;
    bezel_agent_options o = options;
    (void)tw;
    script_source_init(&s, t->model, call_and_answer, 2);
    bezel_status st = bezel_toolset_new(&set, t->engine, &e);
    if (st == BEZEL_OK)
        st = add_weather(set, &e);
    o.tools = set;
    o.system = "Be brief.";
    if (st == BEZEL_OK)
        st = bz_agent_new_with(&a, t->model, &o, &s.source, &e);
    if (st == BEZEL_OK)
        st = bezel_agent_send(a, "Tokyo?", SIZE_MAX, &e);
    while (st >= 0 && st != BEZEL_DONE) {
        bezel_agent_event event = {.size = sizeof event};
        st = bezel_agent_step(a, -1, &e);
        while (bezel_agent_event_next(a, &event)) {}
    }
    if (st == BEZEL_DONE)
        ck_assert_uint_eq(a->n_history, 4);
    else if (a && a->state == BZ_AGENT_FINISHED && !a->n_history) {
        /* the agent works again; the failing allocation may be single or lasting */
        script_source_free(&s);
        s.next = 1;
        bezel_status again = bezel_agent_send(a, "Again?", SIZE_MAX, &e);
        while (again >= 0 && again != BEZEL_DONE)
            again = bezel_agent_step(a, -1, &e);
        ck_assert(again == BEZEL_DONE || again == BEZEL_ERR_MEMORY);
    }
    bezel_agent_free(a);
    bezel_toolset_free(set);
    script_source_free(&s);
    return st == BEZEL_DONE ? BEZEL_OK : st;
}

START_TEST(a_failing_allocation_at_any_point_of_a_turn_is_an_error_without_a_leak)
{
    test_world tw;
    tiny_model t;
    test_world_init(&tw);
    tiny_model_open(&t, BEZEL_ISA_SCALAR, 1, &tw.world);
    ck_assert_int_eq(sweep_once(&tw, &t), BEZEL_OK); /* the model keeps the index of its vocabulary from here on */
    long n = test_world_sweep(&tw, sweep_once, &t, BEZEL_OK);
    ck_assert_int_gt(n, 50);
    tiny_model_close(&t);
    ck_assert(test_world_is_clean(&tw));
}
END_TEST

Suite *agent_record_suite(void);
Suite *agent_record_suite(void)
{
    Suite *s = suite_create("agent_record");
    TCase *t = tcase_create("record");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, the_journal_gets_the_whole_turn_once);
    tcase_add_test(t, a_failed_turn_is_in_the_journal_too);
    tcase_add_test(t, a_turn_that_the_journal_refuses_is_not_done);
    tcase_add_test(t, a_failed_turn_that_the_journal_refuses_says_so);
    tcase_add_test(t, a_conversation_in_a_store_goes_on_after_a_restart);
    tcase_add_test(t, after_a_restart_the_prompt_has_the_same_ids_whatever_failed_before);
    tcase_add_test(t, the_prompt_that_is_shown_is_the_prompt_that_is_sent);
    tcase_add_test(t, tools_added_between_turns_are_declared_in_the_next);
    tcase_add_test(t, messages_can_be_added_read_and_cleared);
    tcase_add_test(t, old_exchanges_are_dropped_and_that_is_said);
    tcase_add_test(t, the_error_policy_says_full_and_the_agent_goes_on);
    tcase_add_test(t, wrong_options_are_named);
    tcase_add_test(t, a_failing_allocation_at_any_point_of_a_turn_is_an_error_without_a_leak);
    suite_add_tcase(s, t);
    return s;
}
