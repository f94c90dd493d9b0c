/* SPDX-License-Identifier: MIT */
/* The log queue. */
#include "base/log.h"
#include "base/utf8.h"
#include "support/test_world.h"

#include <check.h>
#include <stdio.h>
#include <string.h>

typedef struct log_seen {
    int n;
    uint32_t level;
    char origin[64];
    char text[2048];
    bz_log *drain_again; /* the host calls back into the engine from its function */
    bz_log *write_once;
} log_seen;

static void log_host(void *ud, uint32_t level, const char *origin, const char *text)
{
    log_seen *seen = ud;
    seen->n++;
    seen->level = level;
    snprintf(seen->origin, sizeof seen->origin, "%s", origin);
    snprintf(seen->text, sizeof seen->text, "%s", text);
    bz_log_drain(seen->drain_again);
    if (seen->write_once != NULL) {
        bz_log *log = seen->write_once;
        seen->write_once = NULL;
        bz_log_write(log, BEZEL_LOG_ERROR, "host", "written inside");
    }
}

static bz_log *log_of(test_world *tw, uint32_t level, log_seen *seen)
{
    bz_log *log = NULL;
    ck_assert_int_eq(bz_log_new(&log, &tw->world, level, log_host, seen, NULL), BEZEL_OK);
    return log;
}

START_TEST(lines_wait_for_the_drain_and_come_in_order)
{
    test_world tw;
    log_seen seen = {0};
    test_world_init(&tw);
    bz_log *log = log_of(&tw, BEZEL_LOG_INFO, &seen);
    bz_log_write(log, BEZEL_LOG_WARNING, "model", "first %d", 1);
    bz_log_write(log, BEZEL_LOG_INFO, "store", "second");
    bz_log_write(log, BEZEL_LOG_DEBUG, "store", "too detailed");
    bz_log_write(log, 0, "store", "no level");
    ck_assert_int_eq(seen.n, 0);
    bz_log_drain(log);
    ck_assert_int_eq(seen.n, 2);
    ck_assert_str_eq(seen.origin, "store");
    ck_assert_str_eq(seen.text, "second");
    ck_assert_uint_eq(seen.level, BEZEL_LOG_INFO);
    bz_log_drain(log);
    ck_assert_int_eq(seen.n, 2);
    bz_log_free(log);
    ck_assert(test_world_is_clean(&tw));
}
END_TEST

START_TEST(a_silent_log_takes_and_keeps_nothing)
{
    test_world tw;
    bz_log *log = NULL;
    log_seen seen = {0};
    bezel_error err = BEZEL_ERROR_INIT;
    test_world_init(&tw);
    ck_assert_int_eq(bz_log_new(&log, &tw.world, BEZEL_LOG_DEBUG, NULL, NULL, NULL), BEZEL_OK);
    bz_log_write(log, BEZEL_LOG_ERROR, "x", "nobody listens");
    bz_log_drain(log);
    bz_log_free(log);
    log = log_of(&tw, 0, &seen);
    bz_log_write(log, BEZEL_LOG_ERROR, "x", "level 0");
    bz_log_drain(log);
    ck_assert_int_eq(seen.n, 0);
    bz_log_free(log);
    bz_log_write(NULL, BEZEL_LOG_ERROR, "x", "no log");
    bz_log_drain(NULL);
    bz_log_free(NULL);
    ck_assert_int_eq(bz_log_new(&log, &tw.world, 5, log_host, &seen, &err), BEZEL_ERR_RANGE);
    ck_assert(test_world_is_clean(&tw));
}
END_TEST

START_TEST(lines_are_cleaned_and_cut_at_1_kib)
{
    test_world tw;
    log_seen seen = {0};
    char text[3000];
    test_world_init(&tw);
    bz_log *log = log_of(&tw, BEZEL_LOG_INFO, &seen);
    bz_log_write(log, BEZEL_LOG_INFO, "a\tb", "x\n\033[1m\xFF");
    bz_log_drain(log);
    ck_assert_str_eq(seen.text, "x\\x0a\\x1b[1m\\xff");
    ck_assert_str_eq(seen.origin, "a\\x09" "b");
    for (size_t i = 0; i + 3 < sizeof text; i += 3)
        memcpy(text + i, "\xE6\x97\xA5", 4);
    for (size_t shift = 0; shift < 3; shift++) {
        bz_log_write(log, BEZEL_LOG_INFO, "x", "%.*s%s", (int)shift, "ab", text);
        bz_log_drain(log);
        ck_assert(strlen(seen.text) < 1024 && strlen(seen.text) > 1000);
        ck_assert(bz_utf8_valid(seen.text, strlen(seen.text)));
        ck_assert_ptr_null(strchr(seen.text, '\\'));
    }
    bz_log_free(log);
}
END_TEST

START_TEST(the_oldest_of_over_256_lines_are_dropped_and_told)
{
    test_world tw;
    log_seen seen = {0};
    test_world_init(&tw);
    bz_log *log = log_of(&tw, BEZEL_LOG_INFO, &seen);
    for (int i = 0; i < 300; i++)
        bz_log_write(log, BEZEL_LOG_INFO, "x", "line %d", i);
    seen.drain_again = NULL;
    bz_log_drain(log);
    ck_assert_int_eq(seen.n, 257);
    ck_assert_str_eq(seen.text, "line 299");
    bz_log_free(log);
    ck_assert(test_world_is_clean(&tw));
}
END_TEST

START_TEST(a_line_without_memory_is_counted)
{
    test_world tw;
    log_seen seen = {0};
    test_world_init(&tw);
    bz_log *log = log_of(&tw, BEZEL_LOG_INFO, &seen);
    test_world_arm(&tw, 1, 0);
    bz_log_write(log, BEZEL_LOG_INFO, "x", "lost");
    bz_log_drain(log);
    ck_assert_int_eq(seen.n, 1);
    ck_assert_ptr_nonnull(strstr(seen.text, "1 older"));
    bz_log_free(log);
    ck_assert(test_world_is_clean(&tw));
}
END_TEST

START_TEST(the_host_may_call_back_and_lines_it_never_takes_are_freed)
{
    test_world tw;
    log_seen seen = {0};
    test_world_init(&tw);
    bz_log *log = log_of(&tw, BEZEL_LOG_INFO, &seen);
    seen.drain_again = log;
    seen.write_once = log;
    bz_log_write(log, BEZEL_LOG_INFO, "x", "outer");
    bz_log_drain(log);
    ck_assert_int_eq(seen.n, 2);
    ck_assert_str_eq(seen.text, "written inside");
    bz_log_write(log, BEZEL_LOG_INFO, "x", "never taken");
    bz_log_free(log);
    ck_assert(test_world_is_clean(&tw));
}
END_TEST

static void log_writer(void *arg)
{
    for (int i = 0; i < 100; i++)
        bz_log_write(arg, BEZEL_LOG_INFO, "thread", "line %d", i);
}

START_TEST(lines_of_other_threads_reach_the_draining_one)
{
    test_world tw;
    log_seen seen = {0};
    bezel_thread *a = NULL;
    bezel_thread *b = NULL;
    test_world_init(&tw);
    bz_log *log = log_of(&tw, BEZEL_LOG_INFO, &seen);
    ck_assert_int_eq(tw.world.thread_start(tw.world.ud, &a, "a", log_writer, log), BEZEL_OK);
    ck_assert_int_eq(tw.world.thread_start(tw.world.ud, &b, "b", log_writer, log), BEZEL_OK);
    for (int i = 0; i < 100; i++)
        bz_log_drain(log);
    tw.world.thread_join(tw.world.ud, a);
    tw.world.thread_join(tw.world.ud, b);
    bz_log_drain(log);
    ck_assert_int_eq(seen.n, 200);
    bz_log_free(log);
    ck_assert(test_world_is_clean(&tw));
}
END_TEST

Suite *log_suite(void)
{
    Suite *s = suite_create("log");
    TCase *t = tcase_create("log");
    tcase_add_test(t, lines_wait_for_the_drain_and_come_in_order);
    tcase_add_test(t, a_silent_log_takes_and_keeps_nothing);
    tcase_add_test(t, lines_are_cleaned_and_cut_at_1_kib);
    tcase_add_test(t, the_oldest_of_over_256_lines_are_dropped_and_told);
    tcase_add_test(t, a_line_without_memory_is_counted);
    tcase_add_test(t, the_host_may_call_back_and_lines_it_never_takes_are_freed);
    tcase_add_test(t, lines_of_other_threads_reach_the_draining_one);
    suite_add_tcase(s, t);
    return s;
}
