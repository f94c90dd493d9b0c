/* SPDX-License-Identifier: MIT */
/* Queries of the host: values, parameters, views, and what is not allowed. */
#include <bezel/bezel.h>
#include <bezel/store.h>

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "support/store_turn.h"
#include "support/temp_folder.h"
#include "support/test_engine.h"

static temp_folder folder;
static bezel_engine *engine;
static bezel_store *store;
static bezel_tree *tree;
static bezel_value *rows;
static bezel_error err;
static char id[32];

static void setup(void)
{
    err = (bezel_error)BEZEL_ERROR_INIT;
    temp_folder_make(&folder);
    engine = test_engine_new(NULL, 1, BEZEL_ISA_SCALAR);
    ck_assert_int_eq(bezel_tree_new(&tree, engine, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_store_open(&store, engine, temp_folder_file(&folder, "q.db"), NULL, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_store_begin(id, store, "Trip", "ann", &err), BEZEL_OK);
    ck_assert_int_eq(store_turn_write(store, id, "Will it rain?", "Yes.", &err), BEZEL_OK);
}

static void teardown(void)
{
    bezel_store_close(store);
    bezel_tree_free(tree);
    bezel_engine_free(engine);
    temp_folder_remove(&folder);
}

static bezel_status query(const char *sql, const bezel_value *params)
{
    return bezel_store_query(&rows, tree, store, sql, params, &err);
}

static const bezel_value *cell(size_t row, const char *name)
{
    const bezel_value *v = bezel_value_get(bezel_value_at(rows, row), name);
    ck_assert_msg(v != NULL, "no column %s", name);
    return v;
}

START_TEST(values_keep_their_type_and_columns_their_names)
{
    ck_assert_int_eq(query("SELECT 9223372036854775807 AS big, 1.5 AS real, 'x' AS text, NULL AS empty, 1 AS a, 2 AS a", NULL),
                     BEZEL_OK);
    ck_assert_int_eq(bezel_value_integer(cell(0, "big")), INT64_MAX);
    ck_assert_double_eq(bezel_value_number(cell(0, "real")), 1.5);
    ck_assert_str_eq(bezel_value_text(cell(0, "text"), NULL), "x");
    ck_assert_uint_eq(bezel_value_type(cell(0, "empty")), BEZEL_NULL);
    ck_assert_int_eq(bezel_value_integer(cell(0, "a")), 1);
    ck_assert_int_eq(bezel_value_integer(cell(0, "a:6")), 2);
}
END_TEST

START_TEST(parameters_are_bound_and_never_become_sql)
{
    bezel_value *params = bezel_tree_list(tree);
    bezel_value_append(tree, params, bezel_tree_text(tree, "'; DROP TABLE turn; --", SIZE_MAX));
    bezel_value_append(tree, params, bezel_tree_number(tree, 0.5));
    bezel_value_append(tree, params, bezel_tree_bool(tree, 1));
    ck_assert_int_eq(query("SELECT ?1 AS a, ?2 AS b, ?3 AS c", params), BEZEL_OK);
    ck_assert_str_eq(bezel_value_text(cell(0, "a"), NULL), "'; DROP TABLE turn; --");
    ck_assert_double_eq(bezel_value_number(cell(0, "b")), 0.5);
    ck_assert_int_eq(bezel_value_integer(cell(0, "c")), 1);
    ck_assert_int_eq(query("SELECT ?1", params), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(query("SELECT ?1", NULL), BEZEL_ERR_ARGUMENT);
    bezel_value *nested = bezel_tree_list(tree);
    bezel_value_append(tree, nested, bezel_tree_map(tree));
    ck_assert_int_eq(query("SELECT ?1", nested), BEZEL_ERR_TYPE);
    ck_assert_int_eq(query("SELECT 1", bezel_tree_text(tree, "x", 1)), BEZEL_ERR_TYPE);
}
END_TEST

START_TEST(nothing_that_writes_or_leaves_the_file_is_allowed)
{
    static const char *const refused[] = {
        "DELETE FROM turn",
        "INSERT INTO meta VALUES ('a', 1)",
        "UPDATE turn SET user = 'x'",
        "UPDATE sqlite_master SET sql = ''",
        "DROP TABLE turn",
        "CREATE TABLE x(y)",
        "CREATE TEMP TABLE x(y)",
        "BEGIN",
        "COMMIT",
        "SAVEPOINT a",
        "ATTACH 'other.db' AS o",
        "DETACH main",
        "VACUUM",
        "VACUUM INTO 'x.db'",
        "REINDEX",
        "PRAGMA journal_mode=DELETE",
        "PRAGMA user_version=5",
        "PRAGMA application_id=5",
        "PRAGMA writable_schema=1",
        "PRAGMA wal_checkpoint(TRUNCATE)",
        "SELECT load_extension('x')",
        "SELECT 1; DELETE FROM turn",
        "INSERT INTO message_words(message_words) VALUES ('rebuild')",
        "WITH a AS (SELECT 1) INSERT INTO meta SELECT 1, 2 FROM a",
        "EXPLAIN DELETE FROM turn",
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        bezel_status st = query(refused[i], NULL);
        /* SQLite refuses two of them in its own words before it asks for permission */
        int own_words = strstr(refused[i], "load_extension") || strstr(refused[i], "UPDATE sqlite_master");
        ck_assert_msg(st == BEZEL_ERR_DENIED || (st == BEZEL_ERR_STORE && own_words), "%s: %d %s", refused[i], st, err.text);
        ck_assert_ptr_null(rows);
    }
    ck_assert_int_eq(store_turn_count(store, engine, "SELECT count(*) FROM turn"), 1);
    ck_assert_int_eq(store_turn_write(store, id, "still", "works", &err), BEZEL_OK);
}
END_TEST

START_TEST(wrong_sql_is_an_error_with_the_words_of_sqlite)
{
    ck_assert_int_eq(query("SELECT nonsense FROM turn", NULL), BEZEL_ERR_STORE);
    ck_assert_ptr_nonnull(strstr(err.text, "nonsense"));
    ck_assert_int_eq(query("", NULL), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(query("  -- only a comment", NULL), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(query("SELECT 1; -- a comment\n /* another */ ;", NULL), BEZEL_OK);
    ck_assert_int_eq(query("PRAGMA table_info(turn)", NULL), BEZEL_OK);
    ck_assert_uint_gt(bezel_value_count(rows), 5);
}
END_TEST

START_TEST(a_query_without_end_ends_and_the_store_goes_on)
{
    ck_assert_int_eq(query("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n", NULL),
                     BEZEL_ERR_LIMIT);
    ck_assert_int_eq(query("WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n", NULL),
                     BEZEL_ERR_LIMIT);
    ck_assert_int_eq(query("SELECT hex(randomblob(100000000))", NULL), BEZEL_ERR_LIMIT);
    ck_assert_int_eq(store_turn_write(store, id, "still", "works", &err), BEZEL_OK);
}
END_TEST

START_TEST(every_view_answers)
{
    /* views of failures and of what a monitor and a guard write: see test_store_monitor.c */
    static const char *const others[] = {"recent_errors",    "errors_by_code",  "users_last_hour",  "requests_by_day",
                                         "recent_requests",  "performance_summary", "performance_by_model", "quality_summary",
                                         "quality_by_model", "quality_by_day",  "open_alerts",      "recent_alerts",
                                         "recent_health",    "guard_by_day",    "guard_decisions",  "otel_requests",
                                         "otel_evaluations", "latency_by_day"};
    const char *const *views = bezel_store_views();
    int n = 0;
    for (; views[n]; n++) {
        char sql[100];
        snprintf(sql, sizeof sql, "SELECT * FROM %s", views[n]);
        ck_assert_msg(query(sql, NULL) == BEZEL_OK, "%s: %s", views[n], err.text);
        int of_others = 0;
        for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
            of_others |= strcmp(views[n], others[i]) == 0;
        ck_assert_msg(bezel_value_count(rows) > 0 || of_others, "%s is empty", views[n]);
    }
    ck_assert_int_ge(n, 8);
    ck_assert_int_eq(
        store_turn_count(store, engine, "SELECT count(*) FROM sqlite_schema WHERE type = 'view'"), n);
}
END_TEST

START_TEST(r34_the_views_count_what_the_turn_had)
{
    ck_assert_int_eq(query("SELECT * FROM usage_by_day", NULL), BEZEL_OK);
    ck_assert_str_eq(bezel_value_text(cell(0, "day"), NULL), "2023-11-14");
    ck_assert_int_eq(bezel_value_integer(cell(0, "model_calls")), 2);
    ck_assert_int_eq(bezel_value_integer(cell(0, "turns")), 1);
    ck_assert_int_eq(bezel_value_integer(cell(0, "prompt_tokens")), 230);
    ck_assert_int_eq(bezel_value_integer(cell(0, "cached_tokens")), 100);
    ck_assert_int_eq(bezel_value_integer(cell(0, "generated_tokens")), 31);
    ck_assert_int_eq(bezel_value_integer(cell(0, "dropped_tokens")), 7);
    ck_assert_double_eq_tol(bezel_value_number(cell(0, "seconds")), 1.75, 1e-9);
    ck_assert_double_eq_tol(bezel_value_number(cell(0, "mean_first_token_ms")), 125, 1e-9);
    /* (19 + 10) tokens in (1.0 + 0.5) seconds */
    ck_assert_double_eq_tol(bezel_value_number(cell(0, "answer_tokens_per_second")), 19.3, 1e-9);

    ck_assert_int_eq(query("SELECT * FROM usage_by_tool ORDER BY tool", NULL), BEZEL_OK);
    ck_assert_str_eq(bezel_value_text(cell(0, "tool"), NULL), "get_tide");
    ck_assert_int_eq(bezel_value_integer(cell(0, "failed")), 1);
    ck_assert_int_eq(bezel_value_integer(cell(1, "failed")), 0);
    ck_assert_double_eq_tol(bezel_value_number(cell(1, "mean_ms")), 1.5, 1e-9);

    ck_assert_int_eq(query("SELECT * FROM recent_turns", NULL), BEZEL_OK);
    ck_assert_str_eq(bezel_value_text(cell(0, "question"), NULL), "Will it rain?");
    ck_assert_str_eq(bezel_value_text(cell(0, "answer"), NULL), "Yes.");
    ck_assert_str_eq(bezel_value_text(cell(0, "tools"), NULL), "get_weather, get_tide");

    ck_assert_int_eq(query("SELECT * FROM otel_genai", NULL), BEZEL_OK);
    ck_assert_uint_eq(bezel_value_count(rows), 4);
    ck_assert_str_eq(bezel_value_text(cell(0, "gen_ai.operation.name"), NULL), "chat");
    ck_assert_int_eq(bezel_value_integer(cell(0, "gen_ai.usage.input_tokens")), 100);
    ck_assert_str_eq(bezel_value_text(cell(0, "gen_ai.response.finish_reasons"), NULL), "[\"stop\"]");
    ck_assert_str_eq(bezel_value_text(cell(2, "gen_ai.tool.name"), NULL), "get_weather");
    ck_assert_str_eq(bezel_value_text(cell(3, "error.type"), NULL), "network");
}
END_TEST

START_TEST(a_failed_model_call_is_among_the_recent_errors)
{
    store_turn t;
    store_turn_fill(&t, id, "q", "");
    t.turn.error = "the model repeated itself";
    t.usages[1].error = "loop";
    t.usages[1].total_us = 0;
    const bezel_journal *journal = bezel_store_journal(store);
    ck_assert_int_eq(journal->write(journal->ud, &t.turn, &err), BEZEL_OK);
    ck_assert_int_eq(query("SELECT * FROM recent_errors", NULL), BEZEL_OK);
    ck_assert_uint_eq(bezel_value_count(rows), 1);
    ck_assert_str_eq(bezel_value_text(cell(0, "status"), NULL), "loop");
    ck_assert_str_eq(bezel_value_text(cell(0, "error"), NULL), "the model repeated itself");
    ck_assert_int_eq(query("SELECT tokens_per_second FROM usage WHERE error IS NOT NULL", NULL), BEZEL_OK);
    ck_assert_uint_eq(bezel_value_type(cell(0, "tokens_per_second")), BEZEL_NULL);
}
END_TEST

START_TEST(a_turn_without_a_model_call_or_content_still_says_why_it_failed)
{
    store_turn t;
    store_turn_fill(&t, NULL, "q", ""); /* without a conversation no content is kept */
    t.turn.n_usages = t.turn.n_calls = 0;
    t.turn.status = "full";
    t.turn.error = "a question that quotes content";
    const bezel_journal *journal = bezel_store_journal(store);
    ck_assert_int_eq(journal->write(journal->ud, &t.turn, &err), BEZEL_OK);
    ck_assert_int_eq(query("SELECT * FROM recent_errors", NULL), BEZEL_OK);
    ck_assert_uint_eq(bezel_value_count(rows), 1);
    ck_assert_str_eq(bezel_value_text(cell(0, "status"), NULL), "full");
    ck_assert_str_eq(bezel_value_text(cell(0, "error"), NULL), "not kept");
    ck_assert_int_eq(query("SELECT status FROM recent_turns ORDER BY status IS NULL", NULL), BEZEL_OK);
    ck_assert_str_eq(bezel_value_text(cell(0, "status"), NULL), "full");
    ck_assert_uint_eq(bezel_value_type(cell(1, "status")), BEZEL_NULL);
}
END_TEST

Suite *store_query_suite(void);
Suite *store_query_suite(void)
{
    Suite *s = suite_create("store_query");
    TCase *t = tcase_create("queries");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, values_keep_their_type_and_columns_their_names);
    tcase_add_test(t, parameters_are_bound_and_never_become_sql);
    tcase_add_test(t, nothing_that_writes_or_leaves_the_file_is_allowed);
    tcase_add_test(t, wrong_sql_is_an_error_with_the_words_of_sqlite);
    tcase_add_test(t, a_query_without_end_ends_and_the_store_goes_on);
    tcase_add_test(t, every_view_answers);
    tcase_add_test(t, r34_the_views_count_what_the_turn_had);
    tcase_add_test(t, a_failed_model_call_is_among_the_recent_errors);
    tcase_add_test(t, a_turn_without_a_model_call_or_content_still_says_why_it_failed);
    suite_add_tcase(s, t);
    return s;
}
