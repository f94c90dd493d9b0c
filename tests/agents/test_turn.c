/* SPDX-License-Identifier: MIT */
/* Agents on the tiny model: the session as a source, on the caller's thread and on the worker; cancel from elsewhere. */
#include <bezel/agent.h>

#include <check.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "agent_impl.h"
#include "support/test_world.h"
#include "support/tiny_model.h"

static tiny_model tiny;
static bezel_agent_options options;
static bezel_tool_profile small_profile;
static bezel_agent *agent;
static bezel_error err;

static void setup(void)
{
    err = (bezel_error)BEZEL_ERROR_INIT;
    agent = NULL;
    tiny_model_open(&tiny, BEZEL_ISA_SCALAR, 1, NULL);
    bezel_agent_options_init(&options);
    options.generate.max_tokens = 16;
}

static void teardown(void)
{
    bezel_agent_free(agent);
    tiny_model_close(&tiny);
}

static void begin(void)
{
    bezel_status st = bezel_agent_new(&agent, tiny.model, &options, &err);
    ck_assert_msg(st == BEZEL_OK, "%s", err.text);
}

typedef struct heard {
    char text[4096];
    size_t size;
    int steps;
} heard;

static bezel_status drive(heard *h, int64_t budget_us)
{
    bezel_agent_event event = {.size = sizeof event};
    bezel_status st;
    do {
        st = bezel_agent_step(agent, budget_us, &err);
        h->steps++;
        while (bezel_agent_event_next(agent, &event)) {
            if (event.type == BEZEL_AGENT_TEXT && h->size + event.text_size < sizeof h->text) {
                memcpy(h->text + h->size, event.text, event.text_size);
                h->size += event.text_size;
            }
        }
    } while (st > 0 && st != BEZEL_DONE);
    return st;
}

static heard ask(const char *question, int64_t budget_us)
{
    heard h = {0};
    ck_assert_int_eq(bezel_agent_send(agent, question, SIZE_MAX, &err), BEZEL_OK);
    bezel_status st = drive(&h, budget_us);
    ck_assert_msg(st == BEZEL_DONE, "%s", err.text);
    return h;
}

static bezel_agent_turn turn_result(void)
{
    bezel_agent_turn turn = {.size = sizeof turn};
    ck_assert_int_eq(bezel_agent_result(agent, &turn, &err), BEZEL_OK);
    return turn;
}

START_TEST(the_answer_is_the_same_in_small_steps_in_one_go_and_on_the_worker)
{
    heard first = {0};
    for (int way = 0; way < 3; way++) {
        options.background = way == 2;
        begin();
        heard h = ask("Hello there", way == 0 ? -1 : 0);
        ck_assert_uint_gt(h.size, 0);
        if (way == 0)
            first = h;
        if (way == 1)
            ck_assert_int_gt(h.steps, first.steps);
        ck_assert_uint_eq(h.size, first.size);
        ck_assert_mem_eq(h.text, first.text, h.size);
        bezel_agent_turn turn = turn_result();
        ck_assert_uint_eq(turn.n_steps, 1);
        ck_assert_uint_gt(turn.n_prompt, 3);
        ck_assert_uint_le(turn.n_generated, 16);
        ck_assert_int_ge(turn.total_us, turn.first_token_us);
        bezel_agent_free(agent);
        agent = NULL;
    }
}
END_TEST

START_TEST(the_second_turn_finds_the_first_in_the_cache)
{
    begin();
    ask("One", -1);
    bezel_agent_turn one = turn_result();
    ask("Two", -1);
    bezel_agent_turn two = turn_result();
    ck_assert_uint_eq(one.n_cached, 0);
    ck_assert_uint_ge(two.n_cached, one.n_prompt);
    ck_assert_uint_gt(two.n_prompt, two.n_cached);
}
END_TEST

START_TEST(the_text_of_the_turn_is_what_the_events_said)
{
    begin();
    heard h = ask("Hello there", -1);
    bezel_agent_turn turn = turn_result();
    h.text[h.size] = 0;
    ck_assert_ptr_nonnull(strstr(h.text, turn.text));
    ck_assert_uint_eq(agent->n_history, 2);
    ck_assert_str_eq(agent->history[1].text, h.text); /* verbatim */
}
END_TEST

START_TEST(the_descriptor_is_readable_when_there_is_something_to_do)
{
    options.background = 1;
    options.generate.max_tokens = 64;
    begin();
    ck_assert_int_ge(bezel_agent_fd(agent), 0);
    ck_assert_int_eq(bezel_agent_send(agent, "Hello", SIZE_MAX, &err), BEZEL_OK);
    bezel_status st;
    int waits = 0;
    do {
        struct pollfd p = {.fd = bezel_agent_fd(agent), .events = POLLIN};
        ck_assert_int_eq(poll(&p, 1, 10000), 1);
        st = bezel_agent_step(agent, 0, &err);
        ck_assert_int_lt(++waits, 5000);
    } while (st > 0 && st != BEZEL_DONE);
    ck_assert_int_eq(st, BEZEL_DONE);
    bezel_agent_free(agent);
    options.background = 0;
    begin();
    ck_assert_int_eq(bezel_agent_fd(agent), -1);
}
END_TEST

static void *cancel_soon(void *arg)
{
    usleep(*(useconds_t *)arg);
    bezel_agent_cancel(agent);
    return NULL;
}

START_TEST(another_thread_may_cancel_at_any_time_and_the_agent_goes_on)
{
    int n_cancelled = 0;
    options.generate.max_tokens = 300;
    for (int way = 0; way < 2; way++) {
        options.background = way == 1;
        begin();
        for (int i = 0; i < 12; i++) {
            pthread_t thread;
            useconds_t delay = (useconds_t)(i * i * 150);
            heard h = {0};
            ck_assert_int_eq(bezel_agent_send(agent, "Tell me something long", SIZE_MAX, &err), BEZEL_OK);
            ck_assert_int_eq(pthread_create(&thread, NULL, cancel_soon, &delay), 0);
            bezel_status st = drive(&h, -1);
            pthread_join(thread, NULL);
            ck_assert_msg(st == BEZEL_ERR_CANCELLED || st == BEZEL_DONE, "%d %s", st, err.text);
            n_cancelled += st == BEZEL_ERR_CANCELLED;
            if (st == BEZEL_ERR_CANCELLED)
                ck_assert_uint_eq(turn_result().stop_reason, BEZEL_STOP_CANCELLED);
            ck_assert_uint_eq(agent->n_history % 2, 0); /* questions have answers */
        }
        bezel_agent_free(agent);
        agent = NULL;
    }
    ck_assert_int_gt(n_cancelled, 4);
}
END_TEST

START_TEST(an_agent_may_be_freed_while_its_turn_runs)
{
    for (int way = 0; way < 2; way++) {
        options.background = way == 1;
        options.generate.max_tokens = 300;
        begin();
        ck_assert_int_eq(bezel_agent_send(agent, "Tell me", SIZE_MAX, &err), BEZEL_OK);
        for (int i = 0; i < 5; i++)
            bezel_agent_step(agent, 0, &err);
        bezel_agent_free(agent);
        agent = NULL;
    }
}
END_TEST

static bezel_status sweep_once(test_world *tw, void *ctx)
{
    tiny_model *t = ctx;
    bezel_agent *a = NULL;
    bezel_error e = BEZEL_ERROR_INIT;
    bezel_agent_options o;
    (void)tw;
    bezel_agent_options_init(&o);
    o.generate.max_tokens = 3;
    o.session.n_ctx = 64;
    bezel_status st = bezel_agent_new(&a, t->model, &o, &e);
    if (st == BEZEL_OK)
        st = bezel_agent_send(a, "Hi", SIZE_MAX, &e);
    while (st >= 0 && st != BEZEL_DONE)
        st = bezel_agent_step(a, -1, &e);
    bezel_agent_free(a);
    return st == BEZEL_DONE ? BEZEL_OK : st;
}

START_TEST(a_failing_allocation_at_any_point_of_a_chat_turn_is_an_error_without_a_leak)
{
    test_world tw;
    tiny_model t;
    test_world_init(&tw);
    tiny_model_open(&t, BEZEL_ISA_SCALAR, 1, &tw.world);
    ck_assert_int_gt(test_world_sweep(&tw, sweep_once, &t, BEZEL_OK), 20);
    tiny_model_close(&t);
    ck_assert(test_world_is_clean(&tw));
}
END_TEST

Suite *turn_suite(void);
/* --- Choice of tools ---------------------------------------------------------------------- */

static bezel_toolset *switches(void)
{
    static const char *const names[] = {"turn_on", "turn_off"};
    bezel_toolset *set = NULL;
    ck_assert_int_eq(bezel_toolset_new(&set, tiny.engine, &err), BEZEL_OK);
    for (size_t i = 0; i < 2; i++) { /* without code: a turn ends after its calls */
        bezel_tool t = BEZEL_TOOL_INIT;
        t.name = names[i];
        t.parameters_json = "{\"type\":\"object\",\"properties\":{\"slow\":{\"type\":\"boolean\"}},\"required\":[\"slow\"]}";
        ck_assert_int_eq(bezel_toolset_add(set, &t, &err), BEZEL_OK);
    }
    small_profile = *bezel_tool_profile_find("transcript");
    small_profile.n_examples = 0;
    small_profile.examples = NULL;
    options.tool_profile = &small_profile;
    options.generate.max_tokens = 200;
    options.max_calls = 1;
    options.tools = set;
    return set;
}

static const char *first_call(void)
{
    bezel_agent_turn turn = turn_result();
    return bezel_value_text(bezel_value_get(bezel_value_at(turn.calls, 0), "name"), NULL);
}

START_TEST(a_required_call_is_made_whatever_the_model_prefers)
{
    bezel_toolset *set = switches();
    options.tool_choice = "required";
    begin();
    ask("On, please.", -1);
    bezel_agent_turn turn = turn_result();
    ck_assert_uint_eq(bezel_value_count(turn.calls), 1);
    ck_assert(strncmp(first_call(), "turn_o", 6) == 0);
    ck_assert_uint_gt(turn.n_forced, 0);
    ck_assert(isnan(turn.call_probability)); /* there was no choice */
    bezel_agent_free(agent);
    agent = NULL;
    bezel_toolset_free(set);
}
END_TEST

/* Written under the constraint of the dialect, read by the parser, run by the agent. */
START_TEST(a_call_is_made_in_every_dialect)
{
    static const char *const dialects[] = {"function_call", "python", "json", "functiongemma", "gemma4"};
    for (size_t i = 0; i < sizeof dialects / sizeof *dialects; i++) {
        bezel_toolset *set = switches();
        const bezel_tool_profile *row = bezel_tool_profile_find_in("transcript", dialects[i]);
        small_profile.dialect = row->dialect;
        small_profile.call_marker = row->call_marker;
        options.tool_choice = "required";
        begin();
        ask("On, please.", -1);
        ck_assert_msg(bezel_value_count(turn_result().calls) == 1, "%s: %s", dialects[i], turn_result().text);
        ck_assert(strncmp(first_call(), "turn_o", 6) == 0);
        bezel_agent_free(agent);
        agent = NULL;
        bezel_toolset_free(set);
    }
}
END_TEST

START_TEST(a_tool_that_is_chosen_by_name_is_called_even_when_it_was_added_later)
{
    bezel_toolset *set = switches();
    bezel_tool late = BEZEL_TOOL_INIT;
    late.name = "dim";
    options.tool_choice = "dim";
    begin();
    ck_assert_int_eq(bezel_agent_send(agent, "Dim.", SIZE_MAX, &err), BEZEL_ERR_MISSING);
    ck_assert_int_eq(bezel_toolset_add(set, &late, &err), BEZEL_OK);
    ask("Dim.", -1);
    ck_assert_str_eq(first_call(), "dim");
    bezel_agent_free(agent);
    agent = NULL;
    bezel_toolset_free(set);
}
END_TEST

START_TEST(no_call_is_made_where_none_may_be)
{
    bezel_toolset *set = switches();
    options.tool_choice = "none";
    options.generate.max_tokens = 16;
    begin();
    ask("On, please.", -1);
    ck_assert_uint_eq(bezel_value_count(turn_result().calls), 0);
    ck_assert(isnan(turn_result().call_probability));
    bezel_agent_free(agent);
    agent = NULL;
    bezel_toolset_free(set);
}
END_TEST

START_TEST(a_turn_that_is_free_to_call_tells_how_probable_a_call_was)
{
    bezel_toolset *set = switches();
    options.generate.max_tokens = 4;
    begin();
    ask("On, please.", -1);
    double free_probability = turn_result().call_probability;
    ck_assert(free_probability > 0 && free_probability < 1);
    bezel_agent_free(agent);
    agent = NULL;
    options.generate.call_bias = 50.0F;
    begin();
    ask("On, please.", -1);
    ck_assert_double_eq(turn_result().call_probability, free_probability); /* the model's, before the bias */
    bezel_agent_free(agent);
    agent = NULL;
    options.constrain = 0;
    begin();
    ask("On, please.", -1);
    ck_assert(isnan(turn_result().call_probability));
    bezel_agent_free(agent);
    agent = NULL;
    bezel_toolset_free(set);
}
END_TEST

/* Call probability of a turn that may call, and its name's. */
static bezel_agent_turn fitted(uint32_t fit, const char *choice)
{
    options.fit = fit;
    options.tool_choice = choice;
    begin();
    ask("On, please.", -1);
    return turn_result();
}

START_TEST(the_fit_weighs_calls_and_names_and_only_where_it_is_wanted)
{
    bezel_toolset *set = switches();
    options.generate.max_tokens = 8;
    double p = fitted(0, NULL).call_probability;
    ck_assert_ptr_null(agent->fit);
    ck_assert(p > 0 && p < 1);
    bezel_agent_free(agent);
    bezel_agent_turn turn = fitted(1, NULL);
    ck_assert_uint_eq(agent->n_fits, 3); /* of each tool, of both */
    const double bias = (double)bezel_tool_fit_bias(&small_profile, agent->fits[2]);
    ck_assert_double_eq_tol(turn.call_probability, p / (p + (1 - p) * exp(-bias)), 1e-6);
    const bezel_tool_fit *made = agent->fit;
    ask("And off?", -1); /* the declarations are not computed again */
    ck_assert_ptr_eq(agent->fit, made);
    ck_assert_uint_eq(agent->n_fits, 3);
    bezel_agent_free(agent);

    options.generate.max_tokens = 200;
    small_profile.name_weight = 1e6f; /* the model has no say */
    turn = fitted(1, "required");
    const int best = agent->fits[1] > agent->fits[0];
    ck_assert_str_eq(first_call(), best ? "turn_off" : "turn_on");
    ck_assert(turn.name_probability > 0 && turn.name_probability <= 1);
    ck_assert_uint_eq(agent->n_fits, 2); /* there is no choice whether to call */
    bezel_agent_free(agent);
    ck_assert(isnan(fitted(0, "required").name_probability));
    bezel_agent_free(agent);
    ck_assert(isnan(fitted(1, "turn_on").name_probability)); /* nothing to choose */
    ck_assert_ptr_null(agent->fit);
    bezel_agent_free(agent);
    agent = NULL;
    bezel_toolset_free(set);
}
END_TEST

START_TEST(a_set_that_no_constraint_can_be_made_of_is_used_freely_and_said)
{
    bezel_toolset *set = switches();
    small_profile.call_marker = "CALL: ";
    options.generate.max_tokens = 8;
    begin();
    bezel_agent_event event = {.size = sizeof event};
    ck_assert_int_eq(bezel_agent_send(agent, "On.", SIZE_MAX, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_agent_event_next(agent, &event), 1);
    ck_assert_uint_eq(event.type, BEZEL_AGENT_NOTE);
    ck_assert(strstr(event.text, "without a constraint") != NULL);
    bezel_agent_free(agent);
    agent = NULL;
    options.tool_choice = "required";
    begin();
    ck_assert_int_eq(bezel_agent_send(agent, "On.", SIZE_MAX, &err), BEZEL_ERR_UNSUPPORTED);
    bezel_agent_free(agent);
    agent = NULL;
    bezel_toolset_free(set);
}
END_TEST

Suite *turn_suite(void)
{
    Suite *s = suite_create("turn");
    TCase *t = tcase_create("turn");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, the_answer_is_the_same_in_small_steps_in_one_go_and_on_the_worker);
    tcase_add_test(t, the_second_turn_finds_the_first_in_the_cache);
    tcase_add_test(t, the_text_of_the_turn_is_what_the_events_said);
    tcase_add_test(t, the_descriptor_is_readable_when_there_is_something_to_do);
    tcase_add_test(t, another_thread_may_cancel_at_any_time_and_the_agent_goes_on);
    tcase_add_test(t, an_agent_may_be_freed_while_its_turn_runs);
    tcase_add_test(t, a_failing_allocation_at_any_point_of_a_chat_turn_is_an_error_without_a_leak);
    tcase_add_test(t, a_required_call_is_made_whatever_the_model_prefers);
    tcase_add_test(t, a_call_is_made_in_every_dialect);
    tcase_add_test(t, a_tool_that_is_chosen_by_name_is_called_even_when_it_was_added_later);
    tcase_add_test(t, no_call_is_made_where_none_may_be);
    tcase_add_test(t, a_turn_that_is_free_to_call_tells_how_probable_a_call_was);
    tcase_add_test(t, the_fit_weighs_calls_and_names_and_only_where_it_is_wanted);
    tcase_add_test(t, a_set_that_no_constraint_can_be_made_of_is_used_freely_and_said);
    suite_add_tcase(s, t);
    return s;
}
