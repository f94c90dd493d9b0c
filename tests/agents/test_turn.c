/* SPDX-License-Identifier: MIT */
/* Agents on the tiny model: the session as a source, on the caller's thread and on the worker; cancel from elsewhere. */
#include <bezel/agent.h>

#include <check.h>
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
    suite_add_tcase(s, t);
    return s;
}
