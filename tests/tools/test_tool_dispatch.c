/* SPDX-License-Identifier: MIT */
/* Dispatch: exact names, valid arguments, results, failures, pending calls, timeouts, orphans. */
#include <bezel/tools.h>

#include <check.h>
#include <string.h>

#include "base/status.h"
#include "support/test_engine.h"

Suite *tool_dispatch_suite(void);

static test_world tw;
static bezel_engine *engine;
static bezel_toolset *tools;
static bezel_tree *tree;
static bezel_call *kept;
static int runs;

enum { ANSWER, FAIL_STATUS, FAIL_REASON, SILENT, LATER, SLOW, NAN_RESULT };

static bezel_status tool_fn(void *ud, bezel_call *call, bezel_error *err)
{
    bezel_tree *t = bezel_call_tree(call);
    runs++;
    switch (*(int *)ud) {
    case ANSWER:
        ck_assert_str_eq(bezel_call_name(call), "add");
        bezel_call_finish(call, bezel_tree_integer(t, bezel_value_integer(bezel_value_get(bezel_call_arguments(call), "a")) +
                                                          bezel_value_integer(bezel_value_get(bezel_call_arguments(call), "b"))));
        bezel_call_fail(call, "too late"); /* the first answer counts */
        return BEZEL_OK;
    case FAIL_STATUS: return bz_fail(err, BEZEL_ERR_IO, "test", "the disk is gone");
    case FAIL_REASON: bezel_call_fail(call, "no such city"); return BEZEL_ERR_CALLBACK;
    case LATER: kept = call; return BEZEL_TOOL_PENDING;
    case SLOW:
        tw.now_ns += INT64_C(2000000000);
        bezel_call_finish(call, NULL);
        return BEZEL_OK;
    default: return BEZEL_OK;
    }
}

static int mode;

static void setup(void)
{
    static const char schema[] = "{\"properties\":{\"a\":{\"type\":\"integer\"},\"b\":{\"type\":\"integer\",\"default\":5}},"
                                 "\"required\":[\"a\"]}";
    test_world_init(&tw);
    test_world_clock(&tw, 1000000, 0);
    engine = test_engine_new(&tw, 1, BEZEL_ISA_SCALAR);
    ck_assert_int_eq(bezel_toolset_new(&tools, engine, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_tree_new(&tree, engine, NULL), BEZEL_OK);
    bezel_tool tool = BEZEL_TOOL_INIT;
    tool.name = "add";
    tool.parameters_json = schema;
    tool.fn = tool_fn;
    tool.ud = &mode;
    tool.timeout_ms = 1000;
    ck_assert_int_eq(bezel_toolset_add(tools, &tool, NULL), BEZEL_OK);
    tool.name = "declared";
    tool.fn = NULL;
    ck_assert_int_eq(bezel_toolset_add(tools, &tool, NULL), BEZEL_OK);
    mode = ANSWER;
    runs = 0;
    kept = NULL;
}

static void teardown(void)
{
    bezel_tree_free(tree);
    bezel_toolset_free(tools);
    bezel_engine_free(engine);
    ck_assert(test_world_is_clean(&tw));
}

static bezel_value *json(const char *text)
{
    bezel_value *value = NULL;
    ck_assert_int_eq(bezel_json_read(&value, tree, text, strlen(text), NULL), BEZEL_OK);
    return value;
}

static bezel_dispatch *start(const char *arguments)
{
    bezel_dispatch *d = NULL;
    bezel_error err = BEZEL_ERROR_INIT;
    ck_assert_msg(bezel_dispatch_start(&d, tools, "add", json(arguments), &err) == BEZEL_OK, "%s", err.text);
    return d;
}

START_TEST(a_call_runs_with_defaults_and_gives_its_result)
{
    bezel_dispatch *d = start("{\"a\":2}");
    ck_assert_int_eq(bezel_dispatch_poll(d, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_value_integer(bezel_dispatch_result(d)), 7);
    bezel_dispatch_free(d);
}
END_TEST

START_TEST(only_the_exact_name_and_valid_arguments_run)
{
    static const struct {
        const char *name, *arguments, *place;
        bezel_status status;
    } rows[] = {
        {"Add", "{\"a\":1}", "Add", BEZEL_ERR_DENIED},
        {"os.execute", "{}", "os.execute", BEZEL_ERR_DENIED},
        {"add", "{}", "add.a", BEZEL_ERR_PARSE},
        {"add", "{\"a\":\"1\"}", "add.a", BEZEL_ERR_PARSE},
        {"add", "{\"a\":1,\"c\":2}", "add.c", BEZEL_ERR_PARSE},
        {"add", "[1]", "add", BEZEL_ERR_PARSE},
        {"add", "null", "add.a", BEZEL_ERR_PARSE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bezel_dispatch *d = NULL;
        bezel_error err = BEZEL_ERROR_INIT;
        ck_assert_int_eq(bezel_dispatch_start(&d, tools, rows[i].name, json(rows[i].arguments), &err), rows[i].status);
        ck_assert_ptr_null(d);
        ck_assert_str_eq(err.place, rows[i].place);
    }
    ck_assert_int_eq(runs, 0);
}
END_TEST

START_TEST(a_failure_keeps_the_words_of_the_function)
{
    bezel_error err = BEZEL_ERROR_INIT;
    mode = FAIL_STATUS;
    bezel_dispatch *d = start("{\"a\":1}");
    ck_assert_int_eq(bezel_dispatch_poll(d, &err), BEZEL_ERR_IO);
    ck_assert_str_eq(err.text, "the disk is gone");
    ck_assert_ptr_null(bezel_dispatch_result(d));
    bezel_dispatch_free(d);
    mode = FAIL_REASON;
    d = start("{\"a\":1}");
    ck_assert_int_eq(bezel_dispatch_poll(d, &err), BEZEL_ERR_CALLBACK);
    ck_assert_str_eq(err.text, "no such city");
    bezel_dispatch_free(d);
    mode = SILENT;
    d = start("{\"a\":1}");
    ck_assert_int_eq(bezel_dispatch_poll(d, &err), BEZEL_ERR_CALLBACK);
    bezel_dispatch_free(d);
    ck_assert_int_eq(bezel_dispatch_start(&d, tools, "declared", json("{\"a\":1}"), &err), BEZEL_OK);
    ck_assert_int_eq(bezel_dispatch_poll(d, &err), BEZEL_ERR_UNSUPPORTED);
    bezel_dispatch_free(d);
}
END_TEST

START_TEST(a_pending_call_is_answered_later_and_timed_by_the_world)
{
    mode = LATER;
    bezel_dispatch *d = start("{\"a\":1}");
    ck_assert_int_eq(bezel_dispatch_poll(d, NULL), BEZEL_TOOL_PENDING);
    ck_assert_ptr_null(bezel_dispatch_result(d));
    tw.now_ns += 3000000;
    bezel_call_finish(kept, bezel_tree_text(bezel_call_tree(kept), "done", 4));
    ck_assert_int_eq(bezel_dispatch_poll(d, NULL), BEZEL_OK);
    ck_assert_str_eq(bezel_value_text(bezel_dispatch_result(d), NULL), "done");
    ck_assert_int_eq(bezel_dispatch_us(d), 3000);
    tw.now_ns += 9000000;
    ck_assert_int_eq(bezel_dispatch_us(d), 3000);
    bezel_dispatch_free(d);
}
END_TEST

START_TEST(a_late_call_is_reported_and_may_still_answer)
{
    bezel_error err = BEZEL_ERROR_INIT;
    mode = LATER;
    bezel_dispatch *d = start("{\"a\":1}");
    tw.now_ns += INT64_C(1500000000);
    ck_assert_int_eq(bezel_dispatch_poll(d, &err), BEZEL_ERR_TIMEOUT);
    ck_assert_str_eq(err.place, "add");
    bezel_call_finish(kept, NULL);
    bezel_dispatch_free(d);
    mode = SLOW;
    d = start("{\"a\":1}");
    ck_assert_int_eq(bezel_dispatch_poll(d, &err), BEZEL_ERR_TIMEOUT);
    bezel_dispatch_free(d);
}
END_TEST

START_TEST(an_orphaned_call_lives_until_its_tool_answers)
{
    mode = LATER;
    bezel_dispatch *d = start("{\"a\":1}");
    bezel_dispatch_free(d);
    ck_assert_int_eq(bezel_value_integer(bezel_value_get(bezel_call_arguments(kept), "a")), 1);
    bezel_call_fail(kept, "nobody listens");
    bezel_dispatch *e = start("{\"a\":1}");
    bezel_dispatch_free(e);
    bezel_call_finish(kept, NULL);
}
END_TEST

static bezel_status run_call(test_world *world, void *ctx)
{
    static int answer = ANSWER;
    bezel_engine *e = NULL;
    bezel_toolset *set = NULL;
    bezel_tree *t = NULL;
    bezel_dispatch *d = NULL;
    bezel_tool tool = BEZEL_TOOL_INIT;
    (void)ctx;
    tool.name = "add";
    tool.parameters_json = "{\"properties\":{\"a\":{\"type\":\"integer\"},\"b\":{\"type\":\"integer\",\"default\":5}}}";
    tool.fn = tool_fn;
    tool.ud = &answer;
    bezel_status status = test_engine_try(&e, world, 1, BEZEL_ISA_SCALAR, NULL);
    if (status == BEZEL_OK)
        status = bezel_toolset_new(&set, e, NULL);
    if (status == BEZEL_OK)
        status = bezel_toolset_add(set, &tool, NULL);
    if (status == BEZEL_OK)
        status = bezel_tree_new(&t, e, NULL);
    bezel_value *arguments = bezel_tree_map(t);
    bezel_value_set(t, arguments, "a", bezel_tree_integer(t, 1));
    if (status == BEZEL_OK)
        status = bezel_tree_status(t);
    if (status == BEZEL_OK)
        status = bezel_dispatch_start(&d, set, "add", arguments, NULL);
    if (status == BEZEL_OK)
        status = bezel_dispatch_poll(d, NULL);
    bezel_dispatch_free(d);
    bezel_tree_free(t);
    bezel_toolset_free(set);
    bezel_engine_free(e);
    return status;
}

START_TEST(a_failing_random_source_is_told_as_it_is)
{
    bezel_dispatch *d = NULL;
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_value *arguments = json("{\"a\":2}");
    tw.random_status = BEZEL_ERR_IO;
    ck_assert_int_eq(bezel_dispatch_start(&d, tools, "add", arguments, &err), BEZEL_ERR_IO);
    ck_assert_int_eq(err.status, BEZEL_ERR_IO);
    ck_assert_ptr_null(d);
    ck_assert_int_eq(runs, 0);
}
END_TEST

START_TEST(an_error_of_a_newer_header_keeps_its_size)
{
    struct {
        bezel_error err;
        char newer[64];
    } larger = {.err = BEZEL_ERROR_INIT};
    mode = FAIL_REASON;
    bezel_dispatch *d = start("{\"a\":2}");
    larger.err.size = sizeof larger;
    ck_assert_int_eq(bezel_dispatch_poll(d, &larger.err), BEZEL_ERR_CALLBACK);
    ck_assert_str_eq(larger.err.text, "no such city");
    ck_assert_uint_eq(larger.err.size, sizeof larger);
    bezel_dispatch_free(d);
}
END_TEST

START_TEST(failing_memory_is_an_error_without_leak)
{
    test_world world;
    test_world_init(&world);
    test_world_sweep(&world, run_call, NULL, BEZEL_OK);
}
END_TEST

/* --- Pending calls that are resumed ------------------------------------------------------- */

typedef struct waiter {
    bezel_call *call;
    int left, resumes, cancels, answers_when_cancelled;
    int64_t delay_us;
    bezel_status end;
} waiter;

static bezel_status waiter_resume(void *ud, bezel_call *call, bezel_error *err)
{
    waiter *w = ud;
    (void)err;
    w->resumes++;
    if (w->left-- > 0) {
        bezel_call_delay(call, w->delay_us);
        return BEZEL_TOOL_PENDING;
    }
    if (w->end == BEZEL_OK)
        bezel_call_finish(call, bezel_tree_text(bezel_call_tree(call), "at last", SIZE_MAX));
    return w->end;
}

static void waiter_cancel(void *ud, bezel_call *call)
{
    waiter *w = ud;
    w->cancels++;
    ck_assert_int_eq(bezel_call_left_us(call), 0);
    if (w->answers_when_cancelled)
        bezel_call_finish(call, NULL);
}

static bezel_status waiter_tool(void *ud, bezel_call *call, bezel_error *err)
{
    waiter *w = ud;
    (void)err;
    w->call = call;
    bezel_call_pending(call, waiter_resume, waiter_cancel, w);
    bezel_call_delay(call, w->delay_us);
    return BEZEL_TOOL_PENDING;
}

static bezel_dispatch *start_waiter(waiter *w)
{
    bezel_dispatch *d = NULL;
    bezel_tool tool = BEZEL_TOOL_INIT;
    tool.name = "waits";
    tool.fn = waiter_tool;
    tool.ud = w;
    tool.timeout_ms = 1000;
    ck_assert_int_eq(bezel_toolset_add(tools, &tool, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_dispatch_start(&d, tools, "waits", NULL, NULL), BEZEL_OK);
    return d;
}

START_TEST(a_pending_call_is_resumed_by_each_poll_after_its_delay)
{
    waiter w = {.left = 2, .delay_us = 5000};
    bezel_dispatch *d = start_waiter(&w);
    ck_assert_int_eq(bezel_dispatch_wait_us(d), 5000);
    ck_assert_int_eq(bezel_call_left_us(w.call), 1000000);
    for (int round = 0; round < 3; round++) {
        tw.now_ns += 4999999;
        ck_assert_int_eq(bezel_dispatch_poll(d, NULL), BEZEL_TOOL_PENDING);
        ck_assert_int_eq(w.resumes, round);
        ck_assert_int_eq(bezel_dispatch_wait_us(d), 1);
        tw.now_ns += 1;
        ck_assert_int_eq(bezel_dispatch_poll(d, NULL), round == 2 ? BEZEL_OK : BEZEL_TOOL_PENDING);
    }
    ck_assert_str_eq(bezel_value_text(bezel_dispatch_result(d), NULL), "at last");
    ck_assert_int_eq(bezel_dispatch_us(d), 15000);
    ck_assert_int_eq(bezel_dispatch_wait_us(d), -1);
    bezel_dispatch_free(d);
    ck_assert_int_eq(w.cancels, 0);
}
END_TEST

START_TEST(a_resumed_call_may_fail_or_forget_its_answer)
{
    static const bezel_status ends[] = {BEZEL_ERR_NETWORK, BEZEL_DONE};
    for (size_t i = 0; i < 2; i++) {
        bezel_error err = BEZEL_ERROR_INIT;
        waiter w = {.end = ends[i], .delay_us = -1};
        bezel_toolset_free(tools);
        ck_assert_int_eq(bezel_toolset_new(&tools, engine, NULL), BEZEL_OK);
        bezel_dispatch *d = start_waiter(&w);
        ck_assert_int_eq(bezel_dispatch_wait_us(d), 0); /* at once */
        ck_assert_int_eq(bezel_dispatch_poll(d, &err), i ? BEZEL_ERR_CALLBACK : BEZEL_ERR_NETWORK);
        ck_assert_ptr_nonnull(strstr(err.text, i ? "without a result" : "waits failed"));
        bezel_dispatch_free(d);
        ck_assert_int_eq(w.resumes, 1);
        ck_assert_int_eq(w.cancels, 0);
    }
}
END_TEST

START_TEST(a_pending_tool_is_told_once_when_nobody_waits_any_more)
{
    for (int how = 0; how < 4; how++) { /* late or freed, answering meanwhile or not */
        waiter w = {.left = 1000, .answers_when_cancelled = how & 1};
        bezel_toolset_free(tools);
        ck_assert_int_eq(bezel_toolset_new(&tools, engine, NULL), BEZEL_OK);
        bezel_dispatch *d = start_waiter(&w);
        if (how < 2) {
            tw.now_ns += 1000000000;
            ck_assert_int_eq(bezel_dispatch_poll(d, NULL), BEZEL_TOOL_PENDING);
            tw.now_ns += 1;
            ck_assert_int_eq(bezel_dispatch_poll(d, NULL), BEZEL_ERR_TIMEOUT);
            ck_assert_int_eq(w.cancels, 1);
            ck_assert_int_eq(w.resumes, 0); /* not when the time is over */
            ck_assert_int_eq(bezel_dispatch_poll(d, NULL), BEZEL_ERR_TIMEOUT);
        }
        bezel_dispatch_free(d);
        ck_assert_int_eq(w.cancels, 1);
    }
}
END_TEST

Suite *tool_dispatch_suite(void)
{
    Suite *suite = suite_create("tool_dispatch");
    TCase *t = tcase_create("dispatch");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_call_runs_with_defaults_and_gives_its_result);
    tcase_add_test(t, only_the_exact_name_and_valid_arguments_run);
    tcase_add_test(t, a_failure_keeps_the_words_of_the_function);
    tcase_add_test(t, a_pending_call_is_answered_later_and_timed_by_the_world);
    tcase_add_test(t, a_late_call_is_reported_and_may_still_answer);
    tcase_add_test(t, an_orphaned_call_lives_until_its_tool_answers);
    tcase_add_test(t, a_failing_random_source_is_told_as_it_is);
    tcase_add_test(t, an_error_of_a_newer_header_keeps_its_size);
    tcase_add_test(t, failing_memory_is_an_error_without_leak);
    tcase_add_test(t, a_pending_call_is_resumed_by_each_poll_after_its_delay);
    tcase_add_test(t, a_resumed_call_may_fail_or_forget_its_answer);
    tcase_add_test(t, a_pending_tool_is_told_once_when_nobody_waits_any_more);
    suite_add_tcase(suite, t);
    return suite;
}
