/* SPDX-License-Identifier: MIT */
/* A disk that is full at each write in turn, and older files whose migration is killed at each write in turn. */
#include <bezel/bezel.h>
#include <bezel/store.h>

#include <check.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "store_impl.h"
#include "support/fault_vfs.h"
#include "support/store_turn.h"
#include "support/temp_folder.h"
#include "support/test_engine.h"

static temp_folder folder;
static char path[600];
static bezel_engine *engine;
static bezel_store *store;
static bezel_error err;
static char id[32];

static void setup(void)
{
    err = (bezel_error)BEZEL_ERROR_INIT;
    temp_folder_make(&folder);
    snprintf(path, sizeof path, "%s", temp_folder_file(&folder, "fault.db"));
    engine = test_engine_new(NULL, 1, BEZEL_ISA_SCALAR);
    fault_vfs_install();
}

static void teardown(void)
{
    bezel_store_close(store);
    fault_vfs_remove();
    bezel_engine_free(engine);
    temp_folder_remove(&folder);
}

static void assert_good(void)
{
    sqlite3 *db;
    sqlite3_stmt *stmt;
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &stmt, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
    ck_assert_str_eq((const char *)sqlite3_column_text(stmt, 0), "ok");
    sqlite3_finalize(stmt);
    sqlite3_close(db);
}

START_TEST(a_full_disk_at_any_write_is_a_clear_error_and_loses_nothing)
{
    int64_t kept = 1;
    int failed = 0;
    ck_assert_int_eq(bezel_store_open(&store, engine, path, NULL, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_store_begin(id, store, "t", "ann", &err), BEZEL_OK);
    ck_assert_int_eq(store_turn_write(store, id, "first", "first", &err), BEZEL_OK);
    for (int64_t n = 0;; n++) {
        fault_vfs_set(FAULT_FULL, n);
        bezel_status st = store_turn_write(store, id, "question", "answer", &err);
        const int reached = fault_vfs_count() > n;
        fault_vfs_set(FAULT_NONE, 0);
        ck_assert_msg(st == BEZEL_OK || st == BEZEL_ERR_IO, "write %d: %s", (int)n, err.text);
        if (st != BEZEL_OK) {
            failed++;
            ck_assert_ptr_nonnull(strstr(err.text, path));
            ck_assert_ptr_nonnull(strstr(err.hint, "full"));
        }
        kept += st == BEZEL_OK;
        ck_assert_int_eq(store_turn_count(store, engine, "SELECT count(*) FROM turn"), kept);
        ck_assert_int_eq(store_turn_count(store, engine, "SELECT turns FROM usage_by_user"), kept);
        if (!reached && n > 0)
            break;
    }
    ck_assert_int_gt(failed, 10);
    ck_assert_int_eq(store_turn_write(store, id, "after", "after", &err), BEZEL_OK);
    bezel_store_close(store);
    store = NULL;
    assert_good();
}
END_TEST

START_TEST(a_full_disk_at_any_write_of_a_tidy_or_vacuum_loses_nothing)
{
    bezel_store_options o;
    bezel_store_options_init(&o);
    o.max_bytes = 150000; /* always full */
    ck_assert_int_eq(bezel_store_open(&store, engine, path, NULL, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_store_begin(id, store, "t", "ann", &err), BEZEL_OK);
    for (int i = 0; i < 200; i++)
        ck_assert_int_eq(store_turn_write(store, id, "question", "answer", &err), BEZEL_OK);
    bezel_store_close(store);
    ck_assert_int_eq(bezel_store_open(&store, engine, path, &o, &err), BEZEL_OK);
    for (int64_t n = 0; n < 60; n++) { /* each place once in a tidy and once in a vacuum */
        fault_vfs_set(FAULT_FULL, n / 2);
        bezel_status st = n % 2 ? bezel_store_tidy(NULL, store, 0, &err) : bezel_store_vacuum(store, &err);
        fault_vfs_set(FAULT_NONE, 0);
        ck_assert_msg(st == BEZEL_OK || st == BEZEL_ERR_IO, "write %d: %s", (int)n, err.text);
        ck_assert_int_eq(store_turn_count(store, engine, "SELECT turns FROM usage_by_user"), 200);
    }
    bezel_store_close(store);
    store = NULL;
    assert_good();
}
END_TEST

/* A file of an older version with rows in it. */
static void older_make(int version)
{
    sqlite3 *db;
    char sql[1200];
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    for (int v = 0; v < version; v++)
        ck_assert_int_eq(sqlite3_exec(db, bz_store_steps[v], NULL, NULL, NULL), SQLITE_OK);
    snprintf(sql, sizeof sql,
             "PRAGMA application_id=1113214001; PRAGMA user_version=%d;"
             "INSERT INTO conversation VALUES ('C', 'old', 'ann', 'm', 1, 2);"
             "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)"
             " INSERT INTO turn(id, conversation, user, model, started_ms, duration_us, withdrawn)"
             " SELECT printf('T%%03d', i), 'C', 'ann', 'm', i, 2, 0 FROM n;"
             "INSERT INTO usage(turn, conversation, user, model, step, started_ms, prompt_tokens, cached_tokens,"
             " generated_tokens, dropped_tokens, first_token_us, duration_us, stop_reason)"
             " SELECT id, 'C', 'ann', 'm', 0, 1, 2, 0, 3, 0, 1000, 2000, 'eos' FROM turn;",
             version);
    /* totals that a file of version 4 has written beside its rows, and what its monitor and guard left */
    static const char monitored[] =
        "INSERT INTO usage_total(kind, name, day, turns, model_calls, prompt_tokens, cached_tokens, generated_tokens,"
        " dropped_tokens, forced_tokens, errors, duration_us, first_tokens, first_token_us, answer_tokens, answer_us)"
        " VALUES ('user', 'ann', '', 100, 100, 200, 0, 300, 0, 0, 0, 200000, 100, 100000, 200, 100000);"
        "INSERT INTO histogram(metric, name, day, value, n) SELECT 'model_call', 'm', d, 2000, 100"
        " FROM (SELECT '' AS d UNION SELECT '1970-01-01');"
        "INSERT INTO request(at_ms, user, model, operation, success, input_characters, prompt_tokens, cached_tokens,"
        " generated_tokens, first_token_us, duration_us, memory_bytes, allocator_bytes, gpu_bytes)"
        " SELECT started_ms, 'ann', 'm', 'chat', 1, 1, 2, 0, 3, 1000, 2000, 1, 1, 0 FROM turn;"
        "INSERT INTO rate_window VALUES ('ann', x'0102', 5); INSERT INTO meta VALUES ('rate_windows', 1);";
    char *words = NULL;
    ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, &words) == SQLITE_OK, "%s", words ? words : "");
    if (version >= 4)
        ck_assert_msg(sqlite3_exec(db, monitored, NULL, NULL, &words) == SQLITE_OK, "%s", words ? words : "");
    sqlite3_close(db);
}

static int open_killed(int64_t n)
{
    int status = 0;
    pid_t pid = fork();
    if (pid == 0) {
        fault_vfs_set(FAULT_KILL, n);
        bezel_status st = bezel_store_open(&store, engine, path, NULL, &err);
        bezel_store_close(store);
        _exit(st == BEZEL_OK ? 0 : 1);
    }
    waitpid(pid, &status, 0);
    ck_assert(WIFEXITED(status));
    return WEXITSTATUS(status);
}

START_TEST(an_older_file_is_raised_even_when_it_is_killed_at_any_write)
{
    const int version = _i + 1;
    int died = 0;
    for (int64_t n = 0;; n++) {
        older_make(version);
        const int status = open_killed(n);
        ck_assert_msg(status == 0 || status == FAULT_KILLED, "version %d, write %d: status %d", version, (int)n, status);
        ck_assert_msg(bezel_store_open(&store, engine, path, NULL, &err) == BEZEL_OK, "version %d, write %d: %s", version, (int)n,
                      err.text);
        ck_assert_int_eq(store_turn_count(store, engine, "PRAGMA user_version"), bz_store_version);
        ck_assert_int_eq(store_turn_count(store, engine, "SELECT count(*) FROM turn"), 100);
        ck_assert_int_eq(store_turn_count(store, engine, "SELECT turns FROM usage_by_user"), 100);
        ck_assert_int_eq(store_turn_count(store, engine, "SELECT n FROM latency_by_model WHERE metric = 'model_call'"), 100);
        if (version >= 4) {
            ck_assert_int_eq(store_turn_count(store, engine, "SELECT count(*) FROM recent_requests"), 100);
            ck_assert_int_eq(store_turn_count(store, engine, "SELECT count(*) FROM rate_window WHERE state = x'0102'"), 1);
        }
        bezel_store_close(store);
        store = NULL;
        assert_good();
        unlink(path);
        unlink(temp_folder_file(&folder, "fault.db-wal"));
        unlink(temp_folder_file(&folder, "fault.db-shm"));
        if (status == 0)
            break;
        died++;
    }
    ck_assert_int_gt(died, 10);
}
END_TEST

Suite *store_fault_suite(void);
Suite *store_fault_suite(void)
{
    Suite *s = suite_create("store_fault");
    TCase *t = tcase_create("fault");
    tcase_set_timeout(t, 300);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_full_disk_at_any_write_is_a_clear_error_and_loses_nothing);
    tcase_add_test(t, a_full_disk_at_any_write_of_a_tidy_or_vacuum_loses_nothing);
    tcase_add_loop_test(t, an_older_file_is_raised_even_when_it_is_killed_at_any_write, 0, bz_store_version - 1);
    suite_add_tcase(s, t);
    return s;
}
