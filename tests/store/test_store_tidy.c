/* SPDX-License-Identifier: MIT */
/* Bounds of a store (R35): content goes when it is old, rows when the file is full, totals stay. */
#include <bezel/bezel.h>
#include <bezel/monitor.h>
#include <bezel/store.h>

#include <check.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "support/store_turn.h"
#include "support/temp_folder.h"
#include "support/test_engine.h"
#include "support/test_world.h"

static temp_folder folder;
static char path[600];
static test_world tw;
static bezel_engine *engine;
static bezel_store *store;
static bezel_error err;
static char id[32];

static const int64_t day_ms = 86400000;

static void open_with(uint64_t max_bytes, uint32_t content_days)
{
    bezel_store_options o;
    bezel_store_options_init(&o);
    o.max_bytes = max_bytes;
    o.content_days = content_days;
    ck_assert_msg(bezel_store_open(&store, engine, path, &o, &err) == BEZEL_OK, "%s", err.text);
}

static void setup(void)
{
    err = (bezel_error)BEZEL_ERROR_INIT;
    temp_folder_make(&folder);
    snprintf(path, sizeof path, "%s", temp_folder_file(&folder, "tidy.db"));
    test_world_init(&tw);
    engine = test_engine_new(&tw, 1, BEZEL_ISA_SCALAR);
    test_world_clock(&tw, INT64_C(5000000000), 1700000000000);
}

static void teardown(void)
{
    bezel_store_close(store);
    bezel_engine_free(engine);
    temp_folder_remove(&folder);
}

static int64_t count(const char *sql) { return store_turn_count(store, engine, sql); }

static void tidy_all(void)
{
    int32_t left = 1;
    for (int i = 0; left && i < 10000; i++)
        ck_assert_msg(bezel_store_tidy(&left, store, 0, &err) == BEZEL_OK, "%s", err.text);
    ck_assert_int_eq(left, 0);
}

static int file_has(const char *what)
{
    size_t size, n = strlen(what);
    char *file = temp_folder_read(path, &size);
    int found = 0;
    for (size_t i = 0; i + n <= size && !found; i++)
        found = memcmp(file + i, what, n) == 0;
    free(file);
    return found;
}

START_TEST(content_goes_after_its_days_and_numbers_stay)
{
    char young[32];
    open_with(0, 90);
    ck_assert_int_eq(bezel_store_begin(id, store, "old title", "ann", &err), BEZEL_OK);
    for (int i = 0; i < 50; i++)
        ck_assert_int_eq(store_turn_write(store, id, "an old question", "an oldish answer", &err), BEZEL_OK);
    tw.wall_now_ms += 89 * day_ms;
    ck_assert_int_eq(bezel_store_begin(young, store, "young title", "ann", &err), BEZEL_OK);
    ck_assert_int_eq(store_turn_write(store, young, "a young question", "a young answer", &err), BEZEL_OK);
    tidy_all();
    ck_assert_int_eq(count("SELECT count(*) FROM message"), 51 * 4);
    tw.wall_now_ms += 2 * day_ms;
    tidy_all();
    ck_assert_int_eq(count("SELECT count(*) FROM message"), 4);
    ck_assert_int_eq(count("SELECT count(*) FROM message_words WHERE message_words MATCH 'oldish'"), 0);
    ck_assert_int_eq(count("SELECT count(*) FROM message_words WHERE message_words MATCH 'young'"), 2);
    ck_assert_int_eq(count("SELECT count(*) FROM conversation"), 1);
    ck_assert_int_eq(count("SELECT count(*) FROM turn"), 51);
    ck_assert_int_eq(count("SELECT count(*) FROM usage"), 102);
    ck_assert_int_eq(count("SELECT count(*) FROM tool_call WHERE arguments IS NOT NULL"), 2);
    ck_assert_int_eq(count("SELECT count(*) FROM tool_call"), 102);
    ck_assert_int_eq(count("SELECT count(*) FROM decision WHERE detail IS NOT NULL"), 1);
    ck_assert_int_eq(count("SELECT turns FROM usage_by_user"), 51);
    ck_assert_int_eq(bezel_store_vacuum(store, &err), BEZEL_OK);
    ck_assert(!file_has("oldish"));
    ck_assert(!file_has("old title"));
    ck_assert(file_has("young title"));
}
END_TEST

START_TEST(zero_days_keep_content_for_ever)
{
    open_with(0, 0);
    ck_assert_int_eq(bezel_store_begin(id, store, "t", "ann", &err), BEZEL_OK);
    ck_assert_int_eq(store_turn_write(store, id, "q", "a", &err), BEZEL_OK);
    tw.wall_now_ms += 10000 * day_ms;
    tidy_all();
    ck_assert_int_eq(count("SELECT count(*) FROM message"), 4);
}
END_TEST

static void request_write(void)
{
    const bezel_monitor_request r = {.size = sizeof r, .is_success = 1, .at_ms = tw.wall_now_ms, .duration_us = 1000};
    const bezel_monitor_record record = {.size = sizeof record, .request = &r};
    const bezel_monitor_sink *sink = bezel_store_monitor(store);
    ck_assert_msg(sink->write(sink->ud, &record, &err) == BEZEL_OK, "%s", err.text);
}

START_TEST(r35_a_full_file_stays_under_its_bound_by_writes_alone_and_totals_stay)
{
    enum { MAX = 1500000, TURNS = 1500 };
    struct stat info;
    open_with(MAX, 90);
    ck_assert_int_eq(bezel_store_begin(id, store, "t", "ann", &err), BEZEL_OK);
    for (int i = 0; i < TURNS; i++) {
        char question[700];
        memset(question, 'a' + i % 26, sizeof question - 1);
        question[sizeof question - 1] = 0;
        tw.wall_now_ms += 60000;
        ck_assert_msg(store_turn_write(store, id, question, question, &err) == BEZEL_OK, "%s", err.text);
        request_write();
        ck_assert_int_eq(stat(path, &info), 0);
        ck_assert_int_le(info.st_size, MAX);
    }
    ck_assert_int_lt(count("SELECT count(*) FROM turn"), TURNS);
    ck_assert_int_gt(count("SELECT count(*) FROM turn"), 50);
    ck_assert_int_eq(count("SELECT turns FROM usage_by_user"), TURNS); /* they counted before they went */
    ck_assert_int_eq(count("SELECT sum(requests) FROM requests_by_day"), TURNS);
    ck_assert_int_eq(count("SELECT calls FROM usage_by_tool LIMIT 1"), TURNS);
    ck_assert_int_eq(count("SELECT count(*) FROM message WHERE turn NOT IN (SELECT id FROM turn)"), 0);
    ck_assert_int_eq(count("SELECT count(*) FROM usage WHERE turn NOT IN (SELECT id FROM turn)"), 0);
    ck_assert_int_eq(count("SELECT count(*) FROM tool_call WHERE turn NOT IN (SELECT id FROM turn)"), 0);
}
END_TEST

START_TEST(free_pages_are_given_back_and_vacuum_makes_the_file_small)
{
    struct stat before, after;
    open_with(0, 1);
    ck_assert_int_eq(bezel_store_begin(id, store, "t", "ann", &err), BEZEL_OK);
    static char question[40000];
    for (size_t i = 0; i + 1 < sizeof question; i++)
        question[i] = (char)('a' + (i * i / 7 + i) % 26);
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(store_turn_write(store, id, question, question, &err), BEZEL_OK);
    tw.wall_now_ms += 3 * day_ms;
    ck_assert_int_eq(bezel_store_vacuum(store, &err), BEZEL_OK);
    ck_assert_int_eq(stat(path, &before), 0);
    tidy_all();
    ck_assert_int_eq(bezel_store_vacuum(store, &err), BEZEL_OK);
    ck_assert_int_eq(stat(path, &after), 0);
    ck_assert_int_lt(after.st_size * 10, before.st_size);
    ck_assert_int_eq(count("SELECT count(*) FROM turn"), 100);
}
END_TEST

START_TEST(a_batch_is_short_and_a_read_only_store_is_refused)
{
    int32_t left = 0;
    open_with(0, 1);
    ck_assert_int_eq(bezel_store_begin(id, store, "t", "ann", &err), BEZEL_OK);
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(store_turn_write(store, id, "q", "a", &err), BEZEL_OK);
    tw.wall_now_ms += 3 * day_ms;
    ck_assert_int_eq(bezel_store_tidy(&left, store, 0, &err), BEZEL_OK);
    ck_assert_int_eq(left, 1);
    ck_assert_int_eq(count("SELECT count(*) FROM message"), 80 * 4);
    ck_assert_int_eq(bezel_store_tidy(NULL, NULL, 0, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(bezel_store_vacuum(NULL, &err), BEZEL_ERR_ARGUMENT);
    bezel_store_close(store);
    bezel_store_options o;
    bezel_store_options_init(&o);
    o.read_only = 1;
    ck_assert_int_eq(bezel_store_open(&store, engine, path, &o, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_store_tidy(&left, store, 0, &err), BEZEL_ERR_DENIED);
    ck_assert_int_eq(bezel_store_vacuum(store, &err), BEZEL_ERR_DENIED);
}
END_TEST

Suite *store_tidy_suite(void);
Suite *store_tidy_suite(void)
{
    Suite *s = suite_create("store_tidy");
    TCase *t = tcase_create("bounds");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, content_goes_after_its_days_and_numbers_stay);
    tcase_add_test(t, zero_days_keep_content_for_ever);
    tcase_add_test(t, r35_a_full_file_stays_under_its_bound_by_writes_alone_and_totals_stay);
    tcase_add_test(t, free_pages_are_given_back_and_vacuum_makes_the_file_small);
    tcase_add_test(t, a_batch_is_short_and_a_read_only_store_is_refused);
    suite_add_tcase(s, t);
    return s;
}
