/* SPDX-License-Identifier: MIT */
/* The loop with a scripted model: each of its rules, what the model is shown, what the host and the journal are told. */
#include <bezel/agent.h>

#include <check.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/script_source.h"
#include "support/tiny_model.h"

static tiny_model tiny;
static bezel_tool_profile small_profile;
static bezel_toolset *tools;
static bezel_agent_options options;
static bezel_agent *agent;
static script_source script;
static bezel_error err;
static int n_weather, n_alerts, n_bad, n_big;
static bezel_call *pending;

/* What happened, one line an event. */
static char log_text[16384];

/* --- Tools -------------------------------------------------------------------------------- */

static bezel_status tool_weather(void *ud, bezel_call *call, bezel_error *e)
{
    (void)ud, (void)e;
    n_weather++;
    bezel_tree *t = bezel_call_tree(call);
    const char *city = bezel_value_text(bezel_value_get(bezel_call_arguments(call), "city"), NULL);
    char text[128];
    snprintf(text, sizeof text, "rain in %s", city);
    bezel_call_finish(call, bezel_tree_text(t, text, SIZE_MAX));
    return BEZEL_OK;
}

static bezel_status tool_alerts(void *ud, bezel_call *call, bezel_error *e)
{
    (void)ud, (void)e;
    n_alerts++;
    bezel_call_finish(call, bezel_tree_text(bezel_call_tree(call), "no alerts", SIZE_MAX));
    return BEZEL_OK;
}

static bezel_status tool_bad(void *ud, bezel_call *call, bezel_error *e)
{
    (void)ud, (void)e;
    n_bad++;
    bezel_call_fail(call, "the roof is leaking");
    return BEZEL_ERR_CALLBACK;
}

static bezel_status tool_big(void *ud, bezel_call *call, bezel_error *e)
{
    (void)ud, (void)e;
    n_big++;
    char *text = malloc(20001);
    memset(text, 'x', 20000);
    text[20000] = 0;
    memcpy(text, "HEAD", 4);
    memcpy(text + 19996, "TAIL", 4);
    bezel_call_finish(call, bezel_tree_text(bezel_call_tree(call), text, 20000));
    free(text);
    return BEZEL_OK;
}

static bezel_status tool_slow(void *ud, bezel_call *call, bezel_error *e)
{
    (void)ud, (void)e;
    pending = call;
    return BEZEL_TOOL_PENDING;
}

static bezel_status tool_nosy(void *ud, bezel_call *call, bezel_error *e)
{
    bezel_error why = BEZEL_ERROR_INIT;
    (void)ud, (void)e;
    ck_assert_int_eq(bezel_agent_step(agent, -1, &why), BEZEL_ERR_BUSY);
    ck_assert_int_eq(bezel_agent_send(agent, "x", 1, &why), BEZEL_ERR_BUSY);
    bezel_call_finish(call, bezel_tree_bool(bezel_call_tree(call), 1));
    return BEZEL_OK;
}

static void add_tool(const char *name, const char *parameters, bezel_tool_fn fn)
{
    bezel_tool t = BEZEL_TOOL_INIT;
    t.name = name;
    t.description = "A tool";
    t.parameters_json = parameters;
    t.permission = BEZEL_TOOL_PURE;
    t.fn = fn;
    ck_assert_msg(bezel_toolset_add(tools, &t, &err) == BEZEL_OK, "%s", err.text);
}

/* --- Fixture ------------------------------------------------------------------------------ */

static const char city_schema[] =
    "{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"},\"days\":{\"type\":\"integer\"}},"
    "\"required\":[\"city\"]}";

static void setup(void)
{
    err = (bezel_error)BEZEL_ERROR_INIT;
    log_text[0] = 0;
    n_weather = n_alerts = n_bad = n_big = 0;
    pending = NULL;
    agent = NULL;
    tiny_model_open(&tiny, BEZEL_ISA_SCALAR, 1, NULL);
    ck_assert_int_eq(bezel_toolset_new(&tools, tiny.engine, &err), BEZEL_OK);
    add_tool("get_weather", city_schema, tool_weather);
    add_tool("get_alerts", city_schema, tool_alerts);
    bezel_agent_options_init(&options);
    options.tools = tools;
    small_profile = *bezel_tool_profile_find("transcript"); /* without examples: the tiny context has 1024 tokens */
    small_profile.n_examples = 0;
    small_profile.examples = NULL;
    options.tool_profile = &small_profile;
    options.generate.max_tokens = 64;
    memset(&script, 0, sizeof script);
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

static void log_add(const char *format, const char *a, int a_size, const char *b)
{
    size_t n = strlen(log_text);
    snprintf(log_text + n, sizeof log_text - n, format, a_size, a ? a : "", b ? b : "");
}

static void log_event(const bezel_agent_event *e)
{
    switch (e->type) {
    case BEZEL_AGENT_TEXT:
        log_add("%.*s%s", e->text, (int)e->text_size, "");
        break;
    case BEZEL_AGENT_CALL:
        log_add("<call %.*s %s>", e->name, (int)strlen(e->name),
                bezel_value_text(bezel_value_get(e->arguments, "city"), NULL));
        break;
    case BEZEL_AGENT_RESULT:
        if (bezel_value_type(e->result) == BEZEL_TEXT && strlen(bezel_value_text(e->result, NULL)) > 100)
            break;
        log_add("<result %.*s %s>", e->name, (int)strlen(e->name),
                e->result ? bezel_value_text(e->result, NULL) : e->code);
        break;
    case BEZEL_AGENT_PARSE_ERROR:
        log_add("<bad %.*s%s>", e->code, (int)strlen(e->code), "");
        break;
    case BEZEL_AGENT_DROPPED:
        log_add("<dropped%.*s%s>", "", 0, e->count ? "" : " nothing");
        break;
    default:
        log_add("<note%.*s%s>", "", 0, "");
    }
}

/* Drives the turn to its end. */
static bezel_status drive(void)
{
    bezel_agent_event event = {.size = sizeof event};
    bezel_status st;
    while ((st = bezel_agent_step(agent, -1, &err)) > 0 && st != BEZEL_DONE && st != BEZEL_TOOL_PENDING) {
        while (bezel_agent_event_next(agent, &event))
            log_event(&event);
    }
    return st;
}

static bezel_status ask(const char *question)
{
    ck_assert_msg(bezel_agent_send(agent, question, SIZE_MAX, &err) == BEZEL_OK, "%s", err.text);
    return drive();
}

static void assert_asked(bezel_status expected, const char *question)
{
    bezel_status st = ask(question);
    ck_assert_msg(st == expected, "%d: %s", st, err.text);
}

static bezel_agent_turn turn_result(void)
{
    bezel_agent_turn turn = {.size = sizeof turn};
    ck_assert_int_eq(bezel_agent_result(agent, &turn, &err), BEZEL_OK);
    return turn;
}

static int has(const char *text, const char *part)
{
    return strstr(text, part) != NULL;
}

static size_t history_count(void)
{
    return agent->n_history;
}

/* --- Answers ------------------------------------------------------------------------------ */

START_TEST(without_tools_it_is_a_chat_that_remembers)
{
    static const script_reply replies[] = {{" Blue.", 0, 0, NULL, NULL}, {" Because of the air.", 0, 0, NULL, NULL}};
    options.tools = NULL;
    BEGIN(replies);
    assert_asked(BEZEL_DONE, "Which colour has the sky?");
    ck_assert_str_eq(log_text, " Blue.");
    ck_assert_str_eq(turn_result().text, "Blue.");
    ck_assert_uint_eq(turn_result().n_steps, 1);
    assert_asked(BEZEL_DONE, "Why?");
    ck_assert(has(script.prompts[1], "Which colour has the sky?"));
    ck_assert(has(script.prompts[1], "Blue."));
    /* the second prompt goes on where the first answer ended, so the cache holds */
    ck_assert_mem_eq(script.prompts[1], script.prompts[0], strlen(script.prompts[0]));
    ck_assert_uint_eq(history_count(), 4);
}
END_TEST

START_TEST(a_call_is_run_and_its_result_goes_back_to_the_model)
{
    static const script_reply replies[] = {
        {" FUNCTION_CALL: get_weather(city=\"Tokyo\")", BEZEL_STOP_STRING, 0, NULL, NULL},
        {" It will rain.", 0, 0, NULL, NULL}};
    BEGIN(replies);
    assert_asked(BEZEL_DONE, "Weather in Tokyo?");
    ck_assert_str_eq(log_text, "<call get_weather Tokyo><result get_weather rain in Tokyo>It will rain.");
    ck_assert_int_eq(n_weather, 1);
    ck_assert(has(script.prompts[1], "FUNCTION_CALL: get_weather(city=\"Tokyo\")"));
    ck_assert(has(script.prompts[1], "rain in Tokyo"));
    ck_assert_mem_eq(script.prompts[1], script.prompts[0], strlen(script.prompts[0]));
    bezel_agent_turn turn = turn_result();
    ck_assert_str_eq(turn.text, "It will rain.");
    ck_assert_uint_eq(turn.n_steps, 2);
    ck_assert_uint_eq(turn.stop_reason, BEZEL_STOP_EOS);
    ck_assert_uint_eq(bezel_value_count(turn.calls), 1);
    const bezel_value *call = bezel_value_at(turn.calls, 0);
    ck_assert_str_eq(bezel_value_text(bezel_value_get(call, "name"), NULL), "get_weather");
    ck_assert_str_eq(bezel_value_text(bezel_value_get(call, "result"), NULL), "rain in Tokyo");
    ck_assert_int_eq(bezel_value_bool(bezel_value_get(call, "repeated")), 0);
    ck_assert_uint_gt(turn.n_generated, 0);
    ck_assert_uint_gt(turn.n_prompt, turn.n_cached);
    ck_assert_uint_eq(history_count(), 4);
}
END_TEST

START_TEST(several_calls_of_one_reply_come_back_as_one_message_in_their_order)
{
    static const script_reply replies[] = {
        {" Let me see.\nFUNCTION_CALL: get_weather(city=\"Tokyo\")\nFUNCTION_CALL: get_alerts(city=\"Tokyo\")", 0, 0, NULL,
         NULL},
        {" Rain, no alerts.", 0, 0, NULL, NULL}};
    BEGIN(replies);
    assert_asked(BEZEL_DONE, "Tokyo?");
    ck_assert(has(log_text, "Let me see."));
    ck_assert(has(log_text, "<call get_weather Tokyo><call get_alerts Tokyo><result get_weather rain in Tokyo>"
                            "<result get_alerts no alerts>"));
    ck_assert(strstr(script.prompts[1], "rain in Tokyo") < strstr(script.prompts[1], "no alerts"));
    ck_assert(has(script.prompts[1], "Let me see."));
    ck_assert_uint_eq(history_count(), 4);
    ck_assert_uint_eq(agent->history[2].role, BEZEL_ROLE_TOOL);
}
END_TEST

/* --- Repetition --------------------------------------------------------------------------- */

START_TEST(the_same_call_twice_in_one_reply_is_run_once)
{
    static const script_reply replies[] = {
        {" FUNCTION_CALL: get_weather(city=\"Tokyo\")\nFUNCTION_CALL: get_weather(city=\"Tokyo\")", 0, 0, NULL, NULL},
        {" Rain.", 0, 0, NULL, NULL}};
    BEGIN(replies);
    assert_asked(BEZEL_DONE, "Tokyo?");
    ck_assert_int_eq(n_weather, 1);
    ck_assert(has(log_text, "<note>"));
    bezel_agent_turn turn = turn_result();
    ck_assert_uint_eq(bezel_value_count(turn.calls), 2);
    for (size_t i = 0; i < 2; i++) {
        const bezel_value *call = bezel_value_at(turn.calls, i);
        ck_assert_str_eq(bezel_value_text(bezel_value_get(call, "result"), NULL), "rain in Tokyo");
        ck_assert_int_eq(bezel_value_bool(bezel_value_get(call, "repeated")), (int)i);
    }
    const char *first = strstr(script.prompts[1], "rain in Tokyo");
    ck_assert_ptr_null(strstr(first + 1, "rain in Tokyo"));
}
END_TEST

START_TEST(a_reply_that_only_repeats_gets_the_stored_result_and_the_turn_goes_on)
{
    static const script_reply replies[] = {
        {" FUNCTION_CALL: get_weather(city=\"Tokyo\")", 0, 0, NULL, NULL},
        {" FUNCTION_CALL: get_weather(city = 'Tokyo')", 0, 0, NULL, NULL}, /* the same arguments, written otherwise */
        {" FUNCTION_CALL: get_alerts(city=\"Tokyo\")", 0, 0, NULL, NULL},
        {" Rain.", 0, 0, NULL, NULL}};
    BEGIN(replies);
    assert_asked(BEZEL_DONE, "Tokyo?");
    ck_assert_int_eq(n_weather, 1);
    ck_assert_int_eq(n_alerts, 1);
    ck_assert(has(script.prompts[2], "already called"));
    ck_assert_str_eq(turn_result().text, "Rain.");
}
END_TEST

START_TEST(a_repetition_is_taken_back_and_the_other_tool_comes_next_when_it_was_near)
{
    static const script_reply replies[] = {
        {" FUNCTION_CALL: get_weather(city=\"Tokyo\")", 0, 0, NULL, NULL},
        {" FUNCTION_CALL: get_weather(city=\"Tokyo\")", 0, 0, " It rains", " FUNCTION_CALL: get_alerts(city"},
        {"", 0, 0, NULL, NULL},
        {" Rain.", 0, 0, NULL, NULL}};
    script_reply list[4];
    memcpy(list, replies, sizeof list);
    BEGIN(list);
    /* the third reply goes on from the forced beginning, which depends on how the vocabulary cuts the names */
    ck_assert_int_eq(bezel_agent_send(agent, "Tokyo?", SIZE_MAX, &err), BEZEL_OK);
    while (script.n_asked < 3 && bezel_agent_step(agent, 0, &err) > 0) {}
    ck_assert_uint_eq(script.n_asked, 3);
    static const char whole[] = " FUNCTION_CALL: get_alerts(city=\"Tokyo\")";
    size_t n = strlen(script.forced[2]);
    ck_assert_uint_gt(n, strlen(" FUNCTION_CALL: get_"));
    ck_assert_mem_eq(script.forced[2], whole, n);
    list[2].text = whole + n;
    ck_assert_int_eq(drive(), BEZEL_DONE);
    ck_assert_int_eq(n_weather, 1);
    ck_assert_int_eq(n_alerts, 1);
    ck_assert_str_eq(script.prompts[2], script.prompts[1]); /* the repetition never was */
    ck_assert_str_eq(turn_result().text, "Rain.");
    ck_assert_uint_eq(history_count(), 6);
}
END_TEST

START_TEST(a_repetition_never_leads_to_a_tool_that_changes_something)
{
    static const script_reply replies[] = {
        {" FUNCTION_CALL: get_weather(city=\"Tokyo\")", 0, 0, NULL, NULL},
        {" FUNCTION_CALL: get_weather(city=\"Tokyo\")", 0, 0, NULL, " FUNCTION_CALL: get_money(city"},
        {" Rain.", 0, 0, NULL, NULL}};
    bezel_tool t = BEZEL_TOOL_INIT;
    t.name = "get_money";
    t.parameters_json = city_schema;
    t.fn = tool_bad;
    ck_assert_int_eq(bezel_toolset_add(tools, &t, &err), BEZEL_OK); /* permission unknown: the strictest */
    BEGIN(replies);
    assert_asked(BEZEL_DONE, "Tokyo?");
    ck_assert_str_eq(script.forced[2], "");
    ck_assert_int_eq(n_bad, 0);
}
END_TEST

START_TEST(a_repetition_is_taken_back_and_an_answer_begins_when_that_was_nearest)
{
    static const script_reply replies[] = {
        {" FUNCTION_CALL: get_weather(city=\"Tokyo\")", 0, 0, NULL, NULL},
        {" FUNCTION_CALL: get_weather(city=\"Tokyo\")", 0, 0, "Rain", NULL},
        {" today.", 0, 0, NULL, NULL}};
    BEGIN(replies);
    assert_asked(BEZEL_DONE, "Tokyo?");
    ck_assert_str_ne(script.forced[2], "");
    ck_assert_uint_eq(history_count(), 4);
    ck_assert_int_eq(n_weather, 1);
    ck_assert(has(turn_result().text, "today."));
    /* what was forced is part of the answer and of the history */
    ck_assert_int_eq(strncmp(agent->history[3].text, script.forced[2], strlen(script.forced[2])), 0);
}
END_TEST

START_TEST(a_model_that_repeats_for_ever_ends_in_a_clear_error)
{
    static const script_reply call = {" FUNCTION_CALL: get_weather(city=\"Tokyo\")", 0, 0, NULL, NULL};
    const script_reply replies[] = {call, call, call, call, call, {" Sorry.", 0, 0, NULL, NULL}};
    BEGIN(replies);
    assert_asked(BEZEL_ERR_LOOP, "Tokyo?");
    ck_assert_int_eq(n_weather, 1);
    ck_assert_uint_eq(script.n_asked, 4);
    ck_assert_str_ne(err.hint, "");
    ck_assert_uint_eq(history_count(), 0);
    script.next = 5;
    assert_asked(BEZEL_DONE, "And now?");
    ck_assert_uint_eq(history_count(), 2);
}
END_TEST

/* --- Limits ------------------------------------------------------------------------------- */

START_TEST(after_max_steps_the_model_must_answer)
{
    static const script_reply replies[] = {{" FUNCTION_CALL: get_weather(city=\"A\")", 0, 0, NULL, NULL},
                                           {" FUNCTION_CALL: get_weather(city=\"B\")", 0, 0, NULL, NULL},
                                           {" It rains everywhere.", 0, 0, NULL, NULL}};
    options.max_steps = 2;
    BEGIN(replies);
    assert_asked(BEZEL_DONE, "Weather?");
    ck_assert_int_eq(n_weather, 2);
    ck_assert(has(log_text, "<note>"));
    ck_assert_str_eq(turn_result().text, "It rains everywhere.");
}
END_TEST

START_TEST(a_model_that_never_answers_ends_in_a_clear_error)
{
    static const script_reply replies[] = {{" FUNCTION_CALL: get_weather(city=\"A\")", 0, 0, NULL, NULL},
                                           {" FUNCTION_CALL: get_weather(city=\"B\")", 0, 0, NULL, NULL},
                                           {" FUNCTION_CALL: get_weather(city=\"C\")", 0, 0, NULL, NULL}};
    options.max_steps = 2;
    BEGIN(replies);
    assert_asked(BEZEL_ERR_LOOP, "Weather?");
    ck_assert_int_eq(n_weather, 2);
    ck_assert(has(err.text, "does not answer"));
    ck_assert_uint_eq(bezel_value_count(turn_result().calls), 3);
}
END_TEST

START_TEST(no_more_than_max_calls_of_one_reply_are_run)
{
    static const script_reply replies[] = {
        {" FUNCTION_CALL: get_weather(city=\"A\")\nFUNCTION_CALL: get_weather(city=\"B\")\n"
         "FUNCTION_CALL: get_weather(city=\"C\")",
         0, 0, NULL, NULL},
        {" Rain.", 0, 0, NULL, NULL}};
    options.max_calls = 2;
    BEGIN(replies);
    assert_asked(BEZEL_DONE, "Weather?");
    ck_assert_int_eq(n_weather, 2);
    ck_assert(has(log_text, "<note>"));
    ck_assert(has(log_text, "<result get_weather too_many_calls>"));
    ck_assert(has(script.prompts[1], "too many calls"));
}
END_TEST

START_TEST(a_long_result_is_cut_in_the_middle_and_that_is_said)
{
    static const script_reply replies[] = {{" FUNCTION_CALL: big()", 0, 0, NULL, NULL}, {" Long.", 0, 0, NULL, NULL}};
    add_tool("big", NULL, tool_big);
    options.max_result_tokens = 200;
    BEGIN(replies);
    assert_asked(BEZEL_DONE, "Big?");
    ck_assert_int_eq(n_big, 1);
    ck_assert(has(log_text, "<note>"));
    ck_assert(has(script.prompts[1], "HEADxxx"));
    ck_assert(has(script.prompts[1], "xxxTAIL"));
    size_t n;
    ck_assert_int_eq(bezel_tokenize(NULL, 0, &n, tiny.model, agent->history[2].text, agent->history[2].size, 0, NULL), BEZEL_OK);
    ck_assert_uint_le(n, 200);
    ck_assert_uint_gt(n, 60);
}
END_TEST

/* --- Errors for the model ----------------------------------------------------------------- */

START_TEST(the_failure_of_a_tool_is_told_to_the_model)
{
    static const script_reply replies[] = {{" FUNCTION_CALL: bad()", 0, 0, NULL, NULL},
                                           {" FUNCTION_CALL: bad()", 0, 0, NULL, NULL},
                                           {" It leaks.", 0, 0, NULL, NULL}};
    add_tool("bad", NULL, tool_bad);
    BEGIN(replies);
    assert_asked(BEZEL_DONE, "Try.");
    ck_assert_int_eq(n_bad, 1); /* unchanged arguments after an error count as the same call */
    ck_assert(has(script.prompts[1], "the roof is leaking"));
    ck_assert(has(log_text, "<result bad callback>"));
    const bezel_value *call = bezel_value_at(turn_result().calls, 0);
    ck_assert(has(bezel_value_text(bezel_value_get(call, "error"), NULL), "the roof is leaking"));
}
END_TEST

START_TEST(a_tool_that_fails_again_after_the_model_was_told_ends_the_turn)
{
    static const script_reply replies[] = {{" FUNCTION_CALL: weak(days=1)", 0, 0, NULL, NULL},
                                           {" FUNCTION_CALL: get_weather(city=\"Tokyo\")", 0, 0, NULL, NULL},
                                           {" FUNCTION_CALL: weak(days=2)", 0, 0, NULL, NULL},
                                           {" It leaks.", 0, 0, NULL, NULL}};
    add_tool("weak", "{\"type\":\"object\",\"properties\":{\"days\":{\"type\":\"integer\"}}}", tool_bad);
    BEGIN(replies);
    assert_asked(BEZEL_ERR_CALLBACK, "Try.");
    ck_assert_int_eq(n_bad, 2);
    ck_assert(has(err.text, "weak failed twice"));
    ck_assert(has(err.text, "the roof is leaking"));
    ck_assert_uint_eq(bezel_value_count(turn_result().calls), 3);
    ck_assert_uint_eq(history_count(), 0);
}
END_TEST

START_TEST(a_call_that_cannot_be_read_is_shown_once_and_the_second_ends_the_turn)
{
    static const script_reply replies[] = {{" FUNCTION_CALL: get_wether(city=\"Tokyo\")", 0, 0, NULL, NULL},
                                           {" FUNCTION_CALL: get_weather(city=\"Tokyo\")", 0, 0, NULL, NULL},
                                           {" Rain.", 0, 0, NULL, NULL},
                                           {" FUNCTION_CALL: get_weather()", 0, 0, NULL, NULL},
                                           {" FUNCTION_CALL: get_weather(days=3)", 0, 0, NULL, NULL}};
    BEGIN(replies);
    assert_asked(BEZEL_DONE, "Tokyo?");
    ck_assert(has(log_text, "<bad unknown_function>"));
    ck_assert_uint_gt(strlen(script.prompts[1]), strlen(script.prompts[0]));
    ck_assert_int_eq(n_weather, 1);
    assert_asked(BEZEL_ERR_PARSE, "Tokyo?");
    ck_assert(has(log_text, "<bad missing_parameter>"));
    ck_assert_int_eq(n_weather, 1);
    ck_assert_uint_eq(history_count(), 6); /* of the first turn; nothing of the second */
}
END_TEST

START_TEST(a_declaration_without_code_ends_the_turn_after_the_call)
{
    static const script_reply replies[] = {{" FUNCTION_CALL: elsewhere(city=\"Tokyo\")", 0, 0, NULL, NULL}};
    add_tool("elsewhere", city_schema, NULL);
    BEGIN(replies);
    assert_asked(BEZEL_DONE, "Tokyo?");
    const bezel_value *call = bezel_value_at(turn_result().calls, 0);
    ck_assert_str_eq(bezel_value_text(bezel_value_get(call, "name"), NULL), "elsewhere");
    ck_assert_ptr_null(bezel_value_get(call, "result"));
    ck_assert_ptr_null(bezel_value_get(call, "error"));
}
END_TEST

/* --- Time --------------------------------------------------------------------------------- */

START_TEST(a_pending_tool_is_waited_for_step_by_step)
{
    static const script_reply replies[] = {
        {" FUNCTION_CALL: slow()\nFUNCTION_CALL: get_weather(city=\"Tokyo\")", 0, 0, NULL, NULL},
        {" Done.", 0, 0, NULL, NULL}};
    add_tool("slow", NULL, tool_slow);
    BEGIN(replies);
    assert_asked(BEZEL_TOOL_PENDING, "Slow?");
    ck_assert_ptr_nonnull(pending);
    ck_assert_int_eq(n_weather, 1); /* started before the first was waited for */
    ck_assert_int_eq(bezel_agent_step(agent, -1, &err), BEZEL_TOOL_PENDING);
    bezel_call_finish(pending, bezel_tree_text(bezel_call_tree(pending), "at last", SIZE_MAX));
    ck_assert_int_eq(drive(), BEZEL_DONE);
    ck_assert(strstr(script.prompts[1], "at last") < strstr(script.prompts[1], "rain in Tokyo"));
}
END_TEST

START_TEST(a_cancelled_turn_keeps_what_was_said_and_the_next_one_works)
{
    static const script_reply replies[] = {{" A long answer that is cut short.", 0, 0, NULL, NULL},
                                           {" Yes.", 0, 0, NULL, NULL}};
    BEGIN(replies);
    ck_assert_int_eq(bezel_agent_send(agent, "Tell me.", SIZE_MAX, &err), BEZEL_OK);
    bezel_status st;
    while ((st = bezel_agent_step(agent, 0, &err)) == BEZEL_MORE) {}
    ck_assert_msg(st == BEZEL_TOKEN, "%s", err.text);
    bezel_agent_cancel(agent);
    ck_assert_int_eq(drive(), BEZEL_ERR_CANCELLED);
    bezel_agent_turn turn = turn_result();
    ck_assert_uint_eq(turn.stop_reason, BEZEL_STOP_CANCELLED);
    ck_assert_int_eq(strncmp(turn.text, "A long", 6), 0);
    ck_assert_uint_lt(turn.text_size, 20);
    ck_assert_uint_eq(history_count(), 2);
    assert_asked(BEZEL_DONE, "Go on?");
    ck_assert(has(script.prompts[1], "A long"));
}
END_TEST

START_TEST(a_turn_can_be_cancelled_while_a_tool_is_pending_and_before_it_began)
{
    static const script_reply replies[] = {{" FUNCTION_CALL: slow()", 0, 0, NULL, NULL}, {" Yes.", 0, 0, NULL, NULL}};
    add_tool("slow", NULL, tool_slow);
    BEGIN(replies);
    assert_asked(BEZEL_TOOL_PENDING, "Slow?");
    bezel_agent_cancel(agent);
    ck_assert_int_eq(drive(), BEZEL_ERR_CANCELLED);
    ck_assert_uint_eq(history_count(), 0);
    bezel_call_finish(pending, NULL); /* too late, and harmless */
    ck_assert_int_eq(bezel_agent_send(agent, "x", 1, &err), BEZEL_OK);
    bezel_agent_cancel(agent);
    ck_assert_int_eq(drive(), BEZEL_ERR_CANCELLED);
    assert_asked(BEZEL_DONE, "Now?");
}
END_TEST

START_TEST(a_failing_model_call_ends_the_turn_and_the_next_one_works)
{
    static const script_reply replies[] = {{"", 0, BEZEL_ERR_NUMERIC, NULL, NULL}, {" Yes.", 0, 0, NULL, NULL}};
    BEGIN(replies);
    assert_asked(BEZEL_ERR_NUMERIC, "Now?");
    ck_assert_int_eq(bezel_agent_step(agent, -1, &err), BEZEL_ERR_NUMERIC); /* says so as often as it is asked */
    struct {
        bezel_error err;
        char newer[64];
    } larger = {.err = BEZEL_ERROR_INIT};
    larger.err.size = sizeof larger;
    ck_assert_int_eq(bezel_agent_step(agent, -1, &larger.err), BEZEL_ERR_NUMERIC);
    ck_assert_uint_eq(larger.err.size, sizeof larger);
    ck_assert_uint_eq(history_count(), 0);
    assert_asked(BEZEL_DONE, "Now?");
    ck_assert_str_eq(turn_result().text, "Yes.");
}
END_TEST

START_TEST(a_host_that_takes_no_events_reaches_the_end)
{
    static const script_reply replies[] = {{" FUNCTION_CALL: get_weather(city=\"Tokyo\")", 0, 0, NULL, NULL},
                                           {" It will rain the whole day long.", 0, 0, NULL, NULL}};
    BEGIN(replies);
    ck_assert_int_eq(bezel_agent_send(agent, "Tokyo?", SIZE_MAX, &err), BEZEL_OK);
    int steps = 0;
    bezel_status st;
    while ((st = bezel_agent_step(agent, 0, &err)) > 0 && st != BEZEL_DONE)
        ck_assert_int_lt(++steps, 1000);
    ck_assert_int_eq(st, BEZEL_DONE);
    ck_assert_int_gt(steps, 5);
    bezel_agent_event event = {0};
    ck_assert_int_eq(bezel_agent_event_next(agent, &event), 0);
    event.size = offsetof(bezel_agent_event, step); /* an older header's: type and no more */
    event.step = 77;
    ck_assert_int_eq(bezel_agent_event_next(agent, &event), 1); /* they are still there */
    ck_assert_uint_ne(event.type, 0);
    ck_assert_uint_eq(event.step, 77);
    bezel_agent_turn turn = {.n_steps = 77};
    ck_assert_int_eq(bezel_agent_result(agent, &turn, &err), BEZEL_ERR_ARGUMENT);
    turn.size = offsetof(bezel_agent_turn, n_steps);
    ck_assert_int_eq(bezel_agent_result(agent, &turn, &err), BEZEL_OK);
    ck_assert_uint_eq(turn.n_steps, 77);
    ck_assert_str_ne(turn.text, "");
}
END_TEST

START_TEST(one_turn_at_a_time_and_not_from_within_a_tool)
{
    static const script_reply replies[] = {{" FUNCTION_CALL: nosy()", 0, 0, NULL, NULL}, {" Yes.", 0, 0, NULL, NULL}};
    add_tool("nosy", NULL, tool_nosy);
    BEGIN(replies);
    ck_assert_int_eq(bezel_agent_step(agent, 0, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(bezel_agent_send(agent, "a", 1, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_agent_send(agent, "b", 1, &err), BEZEL_ERR_BUSY);
    bezel_message m = {sizeof m, BEZEL_ROLE_USER, "x", 1};
    ck_assert_int_eq(bezel_agent_append(agent, &m, 1, &err), BEZEL_ERR_BUSY);
    ck_assert_int_eq(drive(), BEZEL_DONE);
}
END_TEST

Suite *agent_suite(void);
Suite *agent_suite(void)
{
    Suite *s = suite_create("agent");
    TCase *t = tcase_create("loop");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, without_tools_it_is_a_chat_that_remembers);
    tcase_add_test(t, a_call_is_run_and_its_result_goes_back_to_the_model);
    tcase_add_test(t, several_calls_of_one_reply_come_back_as_one_message_in_their_order);
    tcase_add_test(t, the_same_call_twice_in_one_reply_is_run_once);
    tcase_add_test(t, a_reply_that_only_repeats_gets_the_stored_result_and_the_turn_goes_on);
    tcase_add_test(t, a_repetition_is_taken_back_and_the_other_tool_comes_next_when_it_was_near);
    tcase_add_test(t, a_repetition_never_leads_to_a_tool_that_changes_something);
    tcase_add_test(t, a_repetition_is_taken_back_and_an_answer_begins_when_that_was_nearest);
    tcase_add_test(t, a_model_that_repeats_for_ever_ends_in_a_clear_error);
    tcase_add_test(t, after_max_steps_the_model_must_answer);
    tcase_add_test(t, a_model_that_never_answers_ends_in_a_clear_error);
    tcase_add_test(t, no_more_than_max_calls_of_one_reply_are_run);
    tcase_add_test(t, a_long_result_is_cut_in_the_middle_and_that_is_said);
    tcase_add_test(t, the_failure_of_a_tool_is_told_to_the_model);
    tcase_add_test(t, a_tool_that_fails_again_after_the_model_was_told_ends_the_turn);
    tcase_add_test(t, a_call_that_cannot_be_read_is_shown_once_and_the_second_ends_the_turn);
    tcase_add_test(t, a_declaration_without_code_ends_the_turn_after_the_call);
    tcase_add_test(t, a_pending_tool_is_waited_for_step_by_step);
    tcase_add_test(t, a_cancelled_turn_keeps_what_was_said_and_the_next_one_works);
    tcase_add_test(t, a_turn_can_be_cancelled_while_a_tool_is_pending_and_before_it_began);
    tcase_add_test(t, a_failing_model_call_ends_the_turn_and_the_next_one_works);
    tcase_add_test(t, a_host_that_takes_no_events_reaches_the_end);
    tcase_add_test(t, one_turn_at_a_time_and_not_from_within_a_tool);
    suite_add_tcase(s, t);
    return s;
}
