/* SPDX-License-Identifier: MIT */
/* Which tools a turn offers, roles that hand over to one another, agents that are tools of agents. */
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "support/tool_agent.h"

Suite *agent_offer_suite(void);

static tool_agent ta;

static void setup(void)
{
    tool_agent_setup(&ta);
}

static void teardown(void)
{
    tool_agent_teardown(&ta);
}

static bezel_status works(void *ud, bezel_call *call, bezel_error *e)
{
    (void)ud, (void)e;
    bezel_call_finish(call, bezel_tree_text(bezel_call_tree(call), "done", SIZE_MAX));
    return BEZEL_OK;
}

static void add(bezel_toolset *set, const char *name, const char *description, uint32_t always)
{
    bezel_tool t = tool_agent_tool(name, BEZEL_TOOL_READ, works, NULL);
    t.description = description;
    t.always = always;
    ck_assert_msg(bezel_toolset_add(set, &t, &ta.err) == BEZEL_OK, "%s", ta.err.text);
}

static void add_many(void)
{
    add(ta.tools, "get_weather_forecast", "Weather forecast for a place", 0);
    add(ta.tools, "sendMail", "Sends a mail to somebody", 0);
    add(ta.tools, "list_files", "Lists the files of a folder", 0);
    add(ta.tools, "convert_currency", "Converts an amount from one currency to another", 0);
    add(ta.tools, "ask_user", "Asks the user something", 1);
}

static int prompt_has(size_t i, const char *text)
{
    return strstr(ta.script.prompts[i], text) != NULL;
}

/* --- Ranking and selection ---------------------------------------------------------------- */

START_TEST(tools_are_ranked_by_the_words_that_they_share_with_a_text)
{
    static const struct {
        const char *text, *best;
    } rows[] = {{"What will the weather be tomorrow in Paris?", "get_weather_forecast"},
                {"Please MAIL it to Ann", "sendMail"},
                {"which file is the largest", "list_files"},
                {"converting 5 currencies", "convert_currency"},
                {"Send it", "sendMail"},
                {"hello there", NULL}};
    add_many();
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint32_t places[3];
        double scores[3];
        size_t n = 99;
        ck_assert_int_eq(bezel_toolset_rank(places, scores, &n, ta.tools, rows[i].text, 3, &ta.err), BEZEL_OK);
        if (!rows[i].best) {
            ck_assert_uint_eq(n, 0);
            continue;
        }
        ck_assert_msg(n >= 1 && strcmp(bezel_toolset_name(ta.tools, places[0]), rows[i].best) == 0, "%s", rows[i].text);
        for (size_t k = 1; k < n; k++)
            ck_assert(scores[k - 1] >= scores[k] && scores[k] > 0);
    }
}
END_TEST

START_TEST(words_of_parameters_and_values_count_too)
{
    uint32_t place;
    size_t n;
    add_many();
    bezel_tool t = tool_agent_tool("lookup", BEZEL_TOOL_READ, works, NULL);
    t.parameters_json = "{\"properties\":{\"isbn\":{\"type\":\"string\",\"description\":\"Number of a book\"},"
                        "\"format\":{\"type\":\"string\",\"enum\":[\"paperback\",\"audio\"]}}}";
    tool_agent_add(&ta, &t);
    static const char *const texts[] = {"isbn 3-16-148410-0", "a book about Rome", "is there a paperback?"};
    for (size_t i = 0; i < 3; i++) {
        ck_assert_int_eq(bezel_toolset_rank(&place, NULL, &n, ta.tools, texts[i], 1, &ta.err), BEZEL_OK);
        ck_assert_msg(n == 1 && place == 5, "%s", texts[i]);
    }
}
END_TEST

START_TEST(a_turn_offers_the_tools_that_fit_those_of_the_turn_before_and_those_that_are_always_there)
{
    static const script_reply replies[] = {{" FUNCTION_CALL: get_weather_forecast(n=1)", 0, 0, NULL, NULL},
                                           {" Rain.", 0, 0, NULL, NULL},
                                           {" Sent.", 0, 0, NULL, NULL},
                                           {" Hm.", 0, 0, NULL, NULL}};
    add_many();
    ta.options.select_tools = 1;
    tool_agent_begin(&ta, replies, 4);
    tool_agent_send(&ta, "How is the weather?");
    ck_assert_int_eq(tool_agent_drive(&ta, 1), BEZEL_DONE);
    ck_assert(prompt_has(0, "- get_weather_forecast") && prompt_has(0, "- ask_user"));
    ck_assert(!prompt_has(0, "- sendMail") && !prompt_has(0, "- list_files"));
    ck_assert_str_eq(tool_agent_decisions(&ta), "tools offered");
    ck_assert_int_eq(strncmp(tool_agent_stored(&ta, "SELECT detail FROM decision"), "get_weather_forecast ", 21), 0);
    ck_assert_ptr_nonnull(strstr(tool_agent_stored(&ta, "SELECT detail FROM decision"), ", ask_user"));
    tool_agent_send(&ta, "Mail it to Ann");
    ck_assert_int_eq(tool_agent_drive(&ta, 1), BEZEL_DONE);
    ck_assert(prompt_has(2, "- sendMail") && prompt_has(2, "- get_weather_forecast") && prompt_has(2, "- ask_user"));
    ck_assert(!prompt_has(2, "- list_files"));
    tool_agent_send(&ta, "zzz"); /* nothing fits: the first ones */
    ck_assert_int_eq(tool_agent_drive(&ta, 1), BEZEL_DONE);
    ck_assert(prompt_has(3, "- ask_user") && !prompt_has(3, "- list_files"));
}
END_TEST

START_TEST(a_call_of_a_tool_that_was_not_offered_is_not_run)
{
    static const script_reply replies[] = {{" FUNCTION_CALL: list_files(n=1)", 0, 0, NULL, NULL}, {" Well.", 0, 0, NULL, NULL}};
    add_many();
    ta.options.select_tools = 1;
    ta.options.constrain = 0;
    tool_agent_begin(&ta, replies, 2);
    tool_agent_send(&ta, "How is the weather?");
    ck_assert_int_eq(tool_agent_drive(&ta, 1), BEZEL_DONE);
    ck_assert_str_eq(tool_agent_call(&ta, 0, "code"), "unknown_function");
}
END_TEST

START_TEST(a_borrowed_tool_belongs_to_its_set)
{
    bezel_toolset *part = NULL;
    add_many();
    ck_assert_int_eq(bezel_toolset_new(&part, ta.tiny.engine, &ta.err), BEZEL_OK);
    ck_assert_int_eq(bezel_toolset_borrow(part, ta.tools, 3, &ta.err), BEZEL_OK);
    ck_assert_int_eq(bezel_toolset_borrow(part, ta.tools, 3, &ta.err), BEZEL_ERR_DUPLICATE);
    ck_assert_int_eq(bezel_toolset_borrow(part, ta.tools, 5, &ta.err), BEZEL_ERR_RANGE);
    ck_assert_int_eq(bezel_toolset_borrow(part, part, 0, &ta.err), BEZEL_ERR_ARGUMENT);
    ck_assert_str_eq(bezel_toolset_name(part, 0), "convert_currency");
    ck_assert_int_eq(bezel_toolset_always(ta.tools, 4), 1);
    bezel_toolset_free(part);
    ck_assert_str_eq(bezel_toolset_name(ta.tools, 3), "convert_currency");
}
END_TEST

/* --- Hand-off ----------------------------------------------------------------------------- */

START_TEST(another_role_goes_on_with_its_own_system_text_and_tools)
{
    static const script_reply replies[] = {{" FUNCTION_CALL: transfer_to_billing()", 0, 0, NULL, NULL},
                                           {" FUNCTION_CALL: refund(n=5)", 0, 0, NULL, NULL},
                                           {" You get it back.", 0, 0, NULL, NULL},
                                           {" Still billing.", 0, 0, NULL, NULL},
                                           {" Main again.", 0, 0, NULL, NULL}};
    bezel_toolset *own = NULL;
    ck_assert_int_eq(bezel_toolset_new(&own, ta.tiny.engine, &ta.err), BEZEL_OK);
    add(ta.tools, "search_shop", "Searches the shop", 0);
    add(own, "refund", "Gives money back", 0);
    const bezel_handoff roles[] = {{"billing", "questions about money", "You are the billing desk.", own}};
    ta.options.system = "You are the front desk.";
    ta.options.handoffs = roles;
    ta.options.n_handoffs = 1;
    tool_agent_begin(&ta, replies, 5);
    ck_assert_str_eq(bezel_agent_role(ta.agent), "main");
    tool_agent_send(&ta, "I want my money back.");
    ck_assert_msg(tool_agent_drive(&ta, 1) == BEZEL_DONE, "%s", ta.err.text);
    ck_assert(prompt_has(0, "front desk") && prompt_has(0, "- search_shop") && prompt_has(0, "- transfer_to_billing") &&
              prompt_has(0, "questions about money") && !prompt_has(0, "- refund"));
    ck_assert(prompt_has(1, "billing desk") && prompt_has(1, "- refund") && prompt_has(1, "- transfer_to_main") &&
              !prompt_has(1, "- search_shop") && prompt_has(1, "I want my money back."));
    ck_assert_str_eq(bezel_agent_role(ta.agent), "billing");
    ck_assert_str_eq(tool_agent_decisions(&ta), "hand_off done billing");
    ck_assert_str_eq(tool_agent_call(&ta, 1, "result"), "done");
    tool_agent_send(&ta, "Thanks");
    ck_assert_int_eq(tool_agent_drive(&ta, 1), BEZEL_DONE);
    ck_assert(prompt_has(3, "billing desk"));
    bezel_agent_clear(ta.agent);
    ck_assert_str_eq(bezel_agent_role(ta.agent), "main");
    tool_agent_send(&ta, "Hello");
    ck_assert_int_eq(tool_agent_drive(&ta, 1), BEZEL_DONE);
    ck_assert(prompt_has(4, "front desk") && prompt_has(4, "- search_shop"));
    bezel_agent_free(ta.agent);
    ta.agent = NULL;
    bezel_toolset_free(own);
}
END_TEST

START_TEST(names_of_roles_are_checked_when_the_agent_is_made)
{
    static const char *const names[] = {"", "main", "two words", NULL};
    for (size_t i = 0; i < 4; i++) {
        const bezel_handoff roles[] = {{names[i], NULL, NULL, NULL}};
        bezel_agent *agent = NULL;
        ta.options.handoffs = roles;
        ta.options.n_handoffs = 1;
        ck_assert_int_eq(bezel_agent_new(&agent, ta.tiny.model, &ta.options, &ta.err), BEZEL_ERR_RANGE);
        ck_assert_ptr_null(agent);
    }
}
END_TEST

/* --- Agents as tools ---------------------------------------------------------------------- */

typedef struct inner {
    script_source script;
    bezel_agent *agent;
    bezel_toolset *tools;
} inner;

static void inner_begin(inner *in, const script_reply *replies, size_t n)
{
    bezel_agent_options o = ta.options;
    o.tools = in->tools;
    o.conversation = NULL;
    script_source_init(&in->script, ta.tiny.model, replies, n);
    bezel_status st = bz_agent_new_with(&in->agent, ta.tiny.model, &o, &in->script.source, &ta.err);
    ck_assert_msg(st == BEZEL_OK, "%s", ta.err.text);
}

static void inner_end(inner *in)
{
    bezel_agent_free(in->agent);
    script_source_free(&in->script);
    bezel_toolset_free(in->tools);
}

static void add_agent(bezel_agent *agent)
{
    bezel_tool t = bezel_agent_tool(agent, "expert", "Knows things");
    tool_agent_add(&ta, &t);
}

static const script_reply asks_expert[] = {{" FUNCTION_CALL: expert(task=\"Where is Rome?\")", 0, 0, NULL, NULL},
                                           {" It is in Italy.", 0, 0, NULL, NULL}};

START_TEST(an_agent_that_is_a_tool_answers_and_its_turn_names_its_parent)
{
    static const script_reply knows[] = {{" In Italy.", 0, 0, NULL, NULL}};
    inner in = {.agent = NULL};
    inner_begin(&in, knows, 1);
    add_agent(in.agent);
    tool_agent_begin(&ta, asks_expert, 2);
    tool_agent_send(&ta, "Rome?");
    ck_assert_msg(tool_agent_drive(&ta, 1) == BEZEL_DONE, "%s", ta.err.text);
    ck_assert_str_eq(tool_agent_call(&ta, 0, "result"), "In Italy.");
    ck_assert_ptr_nonnull(strstr(in.script.prompts[0], "Where is Rome?"));
    ck_assert_str_eq(tool_agent_stored(&ta, "SELECT count(*) FROM turn c JOIN turn p ON c.parent = p.span WHERE p.parent IS NULL"), "1");
    ck_assert_str_eq(tool_agent_stored(&ta, "SELECT turns || ' ' || depth || ' ' || model_calls FROM usage_by_root"), "2 1 3");
    inner_end(&in);
}
END_TEST

static bezel_status never(void *ud, bezel_call *call, bezel_error *e)
{
    (void)ud, (void)e;
    bezel_call_pending(call, NULL, NULL, NULL);
    *(bezel_call **)ud = call;
    return BEZEL_TOOL_PENDING;
}

START_TEST(a_dropped_call_ends_the_inner_turn_and_both_are_kept)
{
    static const script_reply waits[] = {{" FUNCTION_CALL: probe(n=1)", 0, 0, NULL, NULL}, {" In Italy.", 0, 0, NULL, NULL}};
    bezel_call *call = NULL;
    inner in = {.agent = NULL};
    ck_assert_int_eq(bezel_toolset_new(&in.tools, ta.tiny.engine, &ta.err), BEZEL_OK);
    bezel_tool t = tool_agent_tool("probe", BEZEL_TOOL_READ, never, &call);
    ck_assert_int_eq(bezel_toolset_add(in.tools, &t, &ta.err), BEZEL_OK);
    inner_begin(&in, waits, 2);
    add_agent(in.agent);
    tool_agent_begin(&ta, asks_expert, 2);
    tool_agent_send(&ta, "Rome?");
    while (!call)
        ck_assert_int_gt(bezel_agent_step(ta.agent, -1, &ta.err), 0);
    while (bezel_agent_step(ta.agent, -1, &ta.err) != BEZEL_TOOL_PENDING) {}
    bezel_agent_cancel(ta.agent);
    ck_assert_int_eq(tool_agent_drive(&ta, 0), BEZEL_ERR_CANCELLED);
    ck_assert_str_eq(tool_agent_stored(&ta, "SELECT count(*) FROM turn WHERE status = 'cancelled'"), "2");
    ck_assert_str_eq(tool_agent_stored(&ta, "SELECT error_code FROM tool_call WHERE name = 'probe'"), "cancelled");
    bezel_call_finish(call, NULL);
    ck_assert_int_eq(bezel_agent_send(in.agent, "Well?", SIZE_MAX, &ta.err), BEZEL_OK); /* it is free again */
    while (bezel_agent_step(in.agent, -1, &ta.err) == BEZEL_TOKEN) {}
    inner_end(&in);
}
END_TEST

START_TEST(an_agent_that_calls_itself_is_told_so)
{
    static const script_reply replies[] = {{" FUNCTION_CALL: expert(task=\"me\")", 0, 0, NULL, NULL}, {" Well.", 0, 0, NULL, NULL}};
    tool_agent_begin(&ta, replies, 2);
    add_agent(ta.agent);
    tool_agent_send(&ta, "Rome?");
    ck_assert_int_eq(tool_agent_drive(&ta, 1), BEZEL_DONE);
    ck_assert_str_eq(tool_agent_call(&ta, 0, "code"), "busy");
    ck_assert_str_eq(tool_agent_call(&ta, 0, "error"), "an agent cannot be called by itself");
}
END_TEST

START_TEST(agents_above_one_another_have_a_limit)
{
    static const script_reply replies[] = {{" FUNCTION_CALL: expert(task=\"x\")", 0, 0, NULL, NULL}, {" Well.", 0, 0, NULL, NULL}};
    inner in[4];
    memset(in, 0, sizeof in);
    for (int i = 3; i >= 0; i--) { /* 0 asks 1, 1 asks 2, 2 asks 3 */
        ck_assert_int_eq(bezel_toolset_new(&in[i].tools, ta.tiny.engine, &ta.err), BEZEL_OK);
        if (i < 3) {
            bezel_tool t = bezel_agent_tool(in[i + 1].agent, "expert", NULL);
            ck_assert_int_eq(bezel_toolset_add(in[i].tools, &t, &ta.err), BEZEL_OK);
        }
        inner_begin(&in[i], replies, 2);
    }
    add_agent(in[0].agent);
    tool_agent_begin(&ta, replies, 2);
    tool_agent_send(&ta, "?");
    ck_assert_msg(tool_agent_drive(&ta, 1) == BEZEL_DONE, "%s", ta.err.text);
    ck_assert_str_eq(tool_agent_stored(&ta, "SELECT group_concat(error_code) FROM tool_call WHERE error_code IS NOT NULL"), "limit");
    ck_assert_str_eq(tool_agent_stored(&ta, "SELECT turns || ' ' || depth FROM usage_by_root"), "4 3");
    for (int i = 0; i < 4; i++)
        inner_end(&in[i]);
}
END_TEST

START_TEST(two_tasks_of_one_agent_wait_for_one_another)
{
    static const script_reply two[] = {
        {" FUNCTION_CALL: expert(task=\"one\")\nFUNCTION_CALL: expert(task=\"two\")", 0, 0, NULL, NULL},
        {" Both.", 0, 0, NULL, NULL}};
    static const script_reply knows[] = {{" First.", 0, 0, NULL, NULL}, {" Second.", 0, 0, NULL, NULL}};
    inner in = {.agent = NULL};
    inner_begin(&in, knows, 2);
    add_agent(in.agent);
    tool_agent_begin(&ta, two, 2);
    tool_agent_send(&ta, "?");
    ck_assert_msg(tool_agent_drive(&ta, 1) == BEZEL_DONE, "%s", ta.err.text);
    ck_assert_str_eq(tool_agent_call(&ta, 0, "result"), "First.");
    ck_assert_str_eq(tool_agent_call(&ta, 1, "result"), "Second.");
    ck_assert_ptr_null(strstr(in.script.prompts[1], "one")); /* each task has a history of its own */
    inner_end(&in);
}
END_TEST

/* --- Allocation --------------------------------------------------------------------------- */

static bezel_status fails_once(void *ud, bezel_call *call, bezel_error *e)
{
    int *n = ud;
    (void)e;
    if ((*n)++ == 0)
        bezel_call_fail(call, "not yet");
    else
        bezel_call_finish(call, bezel_tree_integer(bezel_call_tree(call), 5));
    return BEZEL_OK;
}

/* A turn with all of it: selected tools, another role, a permission, another try, a result in words. */
static bezel_status sweep_once(test_world *tw, void *ctx)
{
    static const script_reply replies[] = {{" FUNCTION_CALL: transfer_to_desk()", 0, 0, NULL, NULL},
                                           {" FUNCTION_CALL: probe(n=7)", 0, 0, NULL, NULL},
                                           {" Done.", 0, 0, NULL, NULL}};
    static const char *const names[] = {"apples", "boats", "cars"};
    static const bezel_permit rules[] = {{"probe", BEZEL_PERMIT_ASK, 0}};
    tiny_model *t = ctx;
    bezel_toolset *sets[2] = {NULL, NULL};
    bezel_agent *a = NULL;
    script_source s = {0};
    bezel_error e = BEZEL_ERROR_INIT;
    bezel_agent_options o = ta.options;
    int n_runs = 0;
    (void)tw;
    script_source_init(&s, t->model, replies, 3);
    bezel_tool probe = tool_agent_tool("probe", BEZEL_TOOL_READ, fails_once, &n_runs);
    probe.summary = "{n} is {}";
    probe.retries = probe.retry_ms = 1;
    bezel_status st = bezel_toolset_new(&sets[0], t->engine, &e);
    if (st == BEZEL_OK)
        st = bezel_toolset_new(&sets[1], t->engine, &e);
    for (int i = 0; st == BEZEL_OK && i < 3; i++) {
        bezel_tool tool = tool_agent_tool(names[i], BEZEL_TOOL_READ, works, NULL);
        st = bezel_toolset_add(sets[0], &tool, &e);
    }
    if (st == BEZEL_OK)
        st = bezel_toolset_add(sets[1], &probe, &e);
    const bezel_handoff roles[] = {{"desk", "knows", "A desk.", sets[1]}};
    o.tools = sets[0];
    o.select_tools = 1;
    o.handoffs = roles;
    o.n_handoffs = 1;
    o.permits = rules;
    o.n_permits = 1;
    o.journal = NULL;
    if (st == BEZEL_OK)
        st = bz_agent_new_with(&a, t->model, &o, &s.source, &e);
    if (st == BEZEL_OK)
        st = bezel_agent_send(a, "How many boats?", SIZE_MAX, &e);
    while (st >= 0 && st != BEZEL_DONE) {
        bezel_agent_event event = {.size = sizeof event};
        st = bezel_agent_step(a, -1, &e);
        while (bezel_agent_event_next(a, &event))
            if (event.type == BEZEL_AGENT_ASK)
                ck_assert_int_eq(bezel_agent_answer(a, event.count, BEZEL_PERMIT_ALLOW, NULL, NULL), BEZEL_OK);
        if (st == BEZEL_TOOL_PENDING)
            bezel_agent_wait(a, -1);
    }
    if (st == BEZEL_DONE)
        ck_assert_ptr_nonnull(strstr(s.prompts[2], "Result: probe = 7 is 5"));
    bezel_agent_free(a);
    bezel_toolset_free(sets[1]);
    bezel_toolset_free(sets[0]);
    script_source_free(&s);
    return st == BEZEL_DONE ? BEZEL_OK : st;
}

START_TEST(a_failing_allocation_at_any_point_is_an_error_without_a_leak)
{
    test_world tw;
    tiny_model t;
    test_world_init(&tw);
    tiny_model_open(&t, BEZEL_ISA_SCALAR, 1, &tw.world);
    ck_assert_int_eq(sweep_once(&tw, &t), BEZEL_OK); /* the model keeps the index of its vocabulary from here on */
    ck_assert_int_gt(test_world_sweep(&tw, sweep_once, &t, BEZEL_OK), 100);
    tiny_model_close(&t);
    ck_assert(test_world_is_clean(&tw));
}
END_TEST

Suite *agent_offer_suite(void)
{
    Suite *suite = suite_create("agent_offer");
    TCase *t = tcase_create("offer");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, tools_are_ranked_by_the_words_that_they_share_with_a_text);
    tcase_add_test(t, words_of_parameters_and_values_count_too);
    tcase_add_test(t, a_turn_offers_the_tools_that_fit_those_of_the_turn_before_and_those_that_are_always_there);
    tcase_add_test(t, a_call_of_a_tool_that_was_not_offered_is_not_run);
    tcase_add_test(t, a_borrowed_tool_belongs_to_its_set);
    tcase_add_test(t, another_role_goes_on_with_its_own_system_text_and_tools);
    tcase_add_test(t, names_of_roles_are_checked_when_the_agent_is_made);
    tcase_add_test(t, an_agent_that_is_a_tool_answers_and_its_turn_names_its_parent);
    tcase_add_test(t, a_dropped_call_ends_the_inner_turn_and_both_are_kept);
    tcase_add_test(t, an_agent_that_calls_itself_is_told_so);
    tcase_add_test(t, agents_above_one_another_have_a_limit);
    tcase_add_test(t, two_tasks_of_one_agent_wait_for_one_another);
    tcase_add_test(t, a_failing_allocation_at_any_point_is_an_error_without_a_leak);
    suite_add_tcase(suite, t);
    return suite;
}
