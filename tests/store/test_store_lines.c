/* SPDX-License-Identifier: MIT */
/* A store as lines of JSON: everything comes back, nothing twice, and hostile files are refused by line. */
#include <bezel/bezel.h>
#include <bezel/store.h>

#include <check.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/store_turn.h"
#include "support/temp_folder.h"
#include "support/test_engine.h"

static temp_folder folder;
static bezel_engine *engine;
static bezel_error err;
static char lines_path[600];

static void setup(void)
{
    err = (bezel_error)BEZEL_ERROR_INIT;
    temp_folder_make(&folder);
    snprintf(lines_path, sizeof lines_path, "%s", temp_folder_file(&folder, "lines.jsonl"));
    engine = test_engine_new(NULL, 1, BEZEL_ISA_SCALAR);
}

static void teardown(void)
{
    bezel_engine_free(engine);
    temp_folder_remove(&folder);
}

static bezel_store *open_store(const char *name, const bezel_store_options *options)
{
    bezel_store *store = NULL;
    bezel_status st = bezel_store_open(&store, engine, temp_folder_file(&folder, name), options, &err);
    ck_assert_msg(st == BEZEL_OK, "%s", err.text);
    return store;
}

static int64_t count(bezel_store *store, const char *sql) { return store_turn_count(store, engine, sql); }

static void run_sql(const char *name, const char *sql)
{
    sqlite3 *db;
    char *words = NULL;
    ck_assert_int_eq(sqlite3_open(temp_folder_file(&folder, name), &db), SQLITE_OK);
    ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, &words) == SQLITE_OK, "%s", words ? words : "");
    sqlite3_close(db);
}

static void turns(bezel_store *store, const char *title, int n)
{
    char id[32];
    ck_assert_int_eq(bezel_store_begin(id, store, title, "ann", &err), BEZEL_OK);
    for (int i = 0; i < n; i++)
        ck_assert_int_eq(store_turn_write(store, i % 2 ? NULL : id, "Will it rain?", "Yes, \"soon\"\n\xe2\x98\x82", &err), BEZEL_OK);
}

/* Rows in every table, with values that JSON has no form for. */
static void fill(const char *name)
{
    bezel_store *store = open_store(name, NULL);
    turns(store, "Trip", 3);
    bezel_store_close(store);
    run_sql(name,
            "INSERT INTO request(id, at_ms, user, model, success, error, input_characters, prompt_tokens, cached_tokens,"
            " generated_tokens, first_token_us, duration_us, tokens_per_second, memory_bytes, allocator_bytes, gpu_bytes)"
            " VALUES (7, 1700000000000, 'ann', 'm', 1, NULL, 3, 4, 0, 5, 6, 9007199254740993, 9e999, 8, 9, 0),"
            " (9, 1700000000000, 'ann', 'm', 0, CAST(x'41ff' AS TEXT), 3, 4, 0, 5, 6, 7, 12.5, 8, 9, 0),"
            " (10, 1700000000000, 'ann', 'm', 0, CAST(x'41ff' AS TEXT), 3, 4, 0, 5, 6, 7, 12.5, 8, 9, 0);"
            "INSERT INTO quality VALUES (3, 5, NULL, 'ann', 'm', 0.1, 1, 0, 0.333333333333333, 0, NULL);"
            "INSERT INTO alert VALUES (1, 6, 'm', 'slow', 'high', 'latency', 3.0, 2.5, 0, 'it is slow');"
            "INSERT INTO guard_decision VALUES (2, 9, 5, 'filter', 'blocked', 'word', 'what'), (4, 999, 5, 'filter', 'passed', NULL, NULL);"
            "INSERT INTO health VALUES (1, 5, 'healthy', 'm', 1, 0, 3, 4, NULL);"
            "INSERT INTO rate_window VALUES ('ann', x'00ff10', 28000000), ('bob', x'', 28000001);"
            "INSERT INTO request_total VALUES ('m', '', 4, 3, 40, 50, 60, 70);"
            "INSERT INTO quality_total VALUES ('m', '2024-05-01', 2, 1.1, 0.3, 0.1, 2, 0, 0);"
            "UPDATE usage_total SET turns = turns + 1000 WHERE day = '';"); /* of turns that are gone */
}

static uint64_t export_to(bezel_store *store, const char *file)
{
    uint64_t n = 0;
    unlink(file);
    bezel_status st = bezel_store_export(&n, store, file, &err);
    ck_assert_msg(st == BEZEL_OK, "%s", err.text);
    return n;
}

static uint64_t import_from(bezel_store *store, const char *file)
{
    uint64_t n = 0;
    bezel_status st = bezel_store_import(&n, store, file, &err);
    ck_assert_msg(st == BEZEL_OK, "%s %s", err.text, err.place);
    return n;
}

/* The lines without the head, whose source differs; free() it. */
static char *body(const char *file)
{
    size_t size = 0;
    char *all = temp_folder_read(file, &size);
    ck_assert_ptr_nonnull(all);
    char *newline = strchr(all, '\n');
    memmove(all, newline + 1, strlen(newline + 1) + 1);
    return all;
}

START_TEST(what_is_exported_and_imported_is_the_same_in_every_table)
{
    char again_path[600];
    static const char *const tables[] = {"conversation", "turn",        "message",       "tool_call",     "usage",       "decision",
                                         "request",      "quality",     "alert",         "guard_decision", "health",     "rate_window",
                                         "usage_total",  "tool_total",  "request_total", "quality_total", "event_total", "histogram"};
    snprintf(again_path, sizeof again_path, "%s", temp_folder_file(&folder, "again.jsonl"));
    fill("a.db");
    bezel_store *a = open_store("a.db", NULL), *b = open_store("b.db", NULL);
    const uint64_t n = export_to(a, lines_path);
    ck_assert_uint_eq(import_from(b, lines_path), n);
    ck_assert_uint_eq(export_to(b, again_path), n);
    char *first = body(lines_path), *again = body(again_path);
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        char begin[64], sql[96];
        snprintf(begin, sizeof begin, "{\"table\":\"%s\",", tables[i]);
        ck_assert_msg(strstr(first, begin) != NULL, "%s is not exported", tables[i]);
        snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", tables[i]);
        ck_assert_int_eq(count(b, sql), count(a, sql));
    }
    ck_assert_int_eq(count(a, "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'message_words%'"
                              " AND name NOT LIKE 'sqlite%' AND name NOT IN ('meta', 'imported_total')"),
                     (int64_t)(sizeof tables / sizeof tables[0])); /* a new table must be exported, too */
    ck_assert_str_eq(first, again);
    ck_assert_int_eq(count(b, "SELECT turns FROM usage_by_user"), 1003);
    ck_assert_int_eq(count(b, "SELECT duration_us = 9007199254740993 AND tokens_per_second = 9e999 FROM request ORDER BY id"), 1);
    ck_assert_int_eq(count(b, "SELECT hex(error) = '41FF' FROM request WHERE id = 9"), 1);
    ck_assert_int_eq(count(b, "SELECT count(*) FROM message_words WHERE message_words MATCH 'rain'"), 4); /* question and result */
    ck_assert_uint_eq(import_from(b, lines_path), 0); /* known, every one */
    ck_assert_uint_eq(import_from(a, lines_path), 0);
    export_to(b, again_path);
    free(again);
    again = body(again_path);
    ck_assert_str_eq(first, again);
    free(first);
    free(again);
    bezel_store_close(a);
    bezel_store_close(b);
}
END_TEST

START_TEST(two_stores_that_exchange_their_rows_count_each_once)
{
    bezel_store *a = open_store("a.db", NULL), *b = open_store("b.db", NULL), *c = open_store("c.db", NULL);
    turns(a, "Of a", 3);
    turns(b, "Of b", 5);
    for (int round = 0; round < 3; round++) { /* to and fro, by way of a third */
        export_to(a, lines_path);
        import_from(b, lines_path);
        export_to(b, lines_path);
        import_from(c, lines_path);
        export_to(c, lines_path);
        import_from(a, lines_path);
        ck_assert_int_eq(count(a, "SELECT count(*) FROM turn"), 8 + 2 * round);
        ck_assert_int_eq(count(a, "SELECT turns FROM usage_by_user"), 8 + 2 * round);
        ck_assert_int_eq(count(a, "SELECT sum(calls) FROM usage_by_tool"), 2 * (8 + 2 * round));
        ck_assert_int_eq(count(a, "SELECT n FROM latency_by_model WHERE metric = 'model_call'"), 2 * (8 + 2 * round));
        ck_assert_int_eq(count(a, "SELECT count(*) FROM message GROUP BY turn HAVING count(*) <> 4"), 0);
        turns(a, "More of a", 1);
        turns(b, "More of b", 1);
    }
    ck_assert_int_eq(count(c, "SELECT turns FROM usage_by_user"), 12);
    bezel_store_close(a);
    bezel_store_close(b);
    bezel_store_close(c);
}
END_TEST

START_TEST(the_newer_title_stays_and_taken_numbers_make_room)
{
    bezel_store *a = open_store("a.db", NULL), *b = open_store("b.db", NULL);
    turns(a, "Old", 1);
    export_to(a, lines_path);
    turns(b, "Other", 2);
    import_from(b, lines_path);
    bezel_store_close(a);
    run_sql("a.db", "UPDATE conversation SET title = 'New', updated_ms = updated_ms + 1");
    a = open_store("a.db", NULL);
    export_to(a, lines_path);
    import_from(b, lines_path);
    ck_assert_int_eq(count(b, "SELECT count(*) FROM conversation WHERE title = 'New'"), 1);
    import_from(b, lines_path);
    ck_assert_int_eq(count(b, "SELECT count(*) FROM conversation"), 2);
    ck_assert_int_eq(count(b, "SELECT count(*) FROM message m JOIN turn t ON t.id = m.turn WHERE t.conversation IS m.conversation"), 8);
    ck_assert_int_eq(count(b, "SELECT max(id) FROM message"), 4 + 4);
    bezel_store_close(a);
    bezel_store_close(b);
}
END_TEST

START_TEST(a_store_without_content_takes_numbers_only)
{
    bezel_store_options o;
    bezel_store_options_init(&o);
    o.keep_content = 0;
    fill("a.db");
    bezel_store *a = open_store("a.db", NULL), *b = open_store("b.db", &o);
    export_to(a, lines_path);
    import_from(b, lines_path);
    ck_assert_int_eq(count(b, "SELECT count(*) FROM turn"), 3);
    ck_assert_int_eq(count(b, "SELECT count(*) FROM message"), 0);
    ck_assert_int_eq(count(b, "SELECT (SELECT count(title) FROM conversation) + (SELECT count(arguments) + count(result) FROM tool_call)"
                              " + (SELECT count(detail) FROM guard_decision)"), 0);
    ck_assert_int_eq(count(b, "SELECT turns FROM usage_by_user"), 1003);
    bezel_store_close(a);
    bezel_store_close(b);
}
END_TEST

START_TEST(users_that_are_named_with_other_keys_are_refused)
{
    static const char key[32] = "0123456789abcdef0123456789abcde";
    bezel_store_options o;
    bezel_store_options_init(&o);
    o.user_keys = key;
    o.n_user_keys = 1;
    bezel_store *a = open_store("a.db", &o), *b = open_store("b.db", NULL), *c = open_store("c.db", &o);
    turns(a, "Trip", 1);
    export_to(a, lines_path);
    ck_assert_int_eq(bezel_store_import(NULL, b, lines_path, &err), BEZEL_ERR_DENIED);
    ck_assert_ptr_nonnull(strstr(err.hint, "user_keys"));
    import_from(c, lines_path);
    ck_assert_int_eq(count(c, "SELECT count(*) FROM usage_by_user WHERE user LIKE 'u1-%'"), 1);
    bezel_store_close(a);
    bezel_store_close(b);
    bezel_store_close(c);
}
END_TEST

#define HEAD "{\"bezel_store\":1,\"schema\":1,\"source\":\"x\",\"user_keys\":\"\"}\n"
#define TURN "{\"table\":\"turn\",\"row\":{\"id\":\"T\",\"started_ms\":1,\"duration_us\":2,\"withdrawn\":0}}\n"
#define TOTAL(n) "{\"table\":\"event_total\",\"source\":\"x\",\"row\":{\"kind\":\"k\",\"name\":\"n\",\"day\":\"\",\"n\":" n "}}\n"

typedef struct hostile {
    const char *text;
    bezel_status status;
    int line;
    const char *says;
} hostile;

static const hostile hostiles[] = {
    {"", BEZEL_ERR_TRUNCATED, 1, ""},
    {"\n", BEZEL_ERR_TRUNCATED, 1, ""},
    {"SQLite format 3", BEZEL_ERR_TRUNCATED, 1, "ends in the middle"},
    {"{}\n", BEZEL_ERR_FORMAT, 1, "no export"},
    {"[1]\n", BEZEL_ERR_FORMAT, 1, "object"},
    {"{\"bezel_store\":2,\"schema\":1,\"user_keys\":\"\"}\n", BEZEL_ERR_VERSION, 1, "form 2"},
    {"{\"bezel_store\":1,\"schema\":99,\"user_keys\":\"\"}\n", BEZEL_ERR_VERSION, 1, "schema 99"},
    {HEAD, BEZEL_ERR_TRUNCATED, 2, "last line"},
    {HEAD TURN, BEZEL_ERR_TRUNCATED, 3, "last line"},
    {HEAD TURN "{\"rows\":2}\n", BEZEL_ERR_FORMAT, 3, "counts other lines"},
    {HEAD "{\"rows\":0}\n{}\n", BEZEL_ERR_FORMAT, 3, "nothing may follow"},
    {HEAD TURN "{\"table\":\"turn\",\"row\":{\"id\":\"U\",\"started_ms\":1}}\n", BEZEL_ERR_FORMAT, 3, "duration_us"},
    {HEAD TURN "nonsense\n", BEZEL_ERR_FORMAT, 3, ""},
    {HEAD TURN "{\"a\":1,\"a\":2}\n", BEZEL_ERR_DUPLICATE, 3, ""},
    {HEAD TURN "{\"table\":\"meta\",\"row\":{\"key\":\"source\",\"value\":\"x\"}}\n", BEZEL_ERR_FORMAT, 3, "no table 'meta'"},
    {HEAD TURN "{\"table\":\"turn; DROP TABLE turn\",\"row\":{}}\n", BEZEL_ERR_FORMAT, 3, "no table"},
    {HEAD TURN "{\"table\":\"turn\",\"row\":[]}\n", BEZEL_ERR_FORMAT, 3, "object"},
    {HEAD TURN "{\"table\":\"turn\",\"row\":{\"id\":\"U\",\"x\\\"); DROP\":1}}\n", BEZEL_ERR_FORMAT, 3, "no column"},
    {HEAD TURN "{\"table\":\"turn\",\"row\":{\"id\":7,\"started_ms\":1,\"duration_us\":2,\"withdrawn\":0}}\n", BEZEL_ERR_TYPE, 3, "id"},
    {HEAD TURN "{\"table\":\"turn\",\"row\":{\"id\":\"U\",\"started_ms\":\"1\",\"duration_us\":2,\"withdrawn\":0}}\n", BEZEL_ERR_TYPE, 3,
     "started_ms"},
    {HEAD TURN "{\"table\":\"turn\",\"row\":{\"id\":\"U\",\"conversation\":\"none\",\"started_ms\":1,\"duration_us\":2,\"withdrawn\":0}}\n",
     BEZEL_ERR_FORMAT, 3, "FOREIGN KEY"},
    {HEAD TURN "{\"table\":\"decision\",\"row\":{\"id\":1,\"turn\":\"V\",\"step\":0,\"at_us\":0,\"kind\":\"a\",\"outcome\":\"b\"}}\n",
     BEZEL_ERR_FORMAT, 3, "not in a line before"},
    {HEAD TURN "{\"table\":\"decision\",\"row\":{\"id\":0,\"turn\":\"T\",\"step\":0,\"at_us\":0,\"kind\":\"a\",\"outcome\":\"b\"}}\n",
     BEZEL_ERR_FORMAT, 3, "positive"},
    {HEAD TURN "{\"table\":\"decision\",\"row\":{\"id\":{\"integer\":\"9223372036854775807\"},\"turn\":\"T\",\"step\":0,\"at_us\":0,"
     "\"kind\":\"a\",\"outcome\":\"b\"}}\n", BEZEL_ERR_FORMAT, 3, "positive"},
    {HEAD TURN "{\"table\":\"guard_decision\",\"row\":{\"id\":1,\"request\":5,\"at_ms\":1,\"kind\":\"a\",\"outcome\":\"b\"}}\n",
     BEZEL_ERR_FORMAT, 3, "request"},
    {HEAD TURN "{\"table\":\"rate_window\",\"row\":{\"key\":\"k\",\"state\":{\"blob\":\"0g\"},\"used_minute\":1}}\n", BEZEL_ERR_TYPE, 3, "state"},
    {HEAD TURN "{\"table\":\"rate_window\",\"row\":{\"key\":\"k\",\"state\":{\"blob\":\"000\"},\"used_minute\":1}}\n", BEZEL_ERR_TYPE, 3, "state"},
    {HEAD TURN "{\"table\":\"rate_window\",\"row\":{\"key\":\"k\",\"state\":{\"a\":\"00\",\"b\":\"00\"},\"used_minute\":1}}\n", BEZEL_ERR_TYPE, 3,
     "state"},
    {HEAD TURN TOTAL("-1"), BEZEL_ERR_FORMAT, 3, "below 0"},
    {HEAD TURN TOTAL("null"), BEZEL_ERR_FORMAT, 3, "missing"},
    {HEAD TURN TOTAL("{\"integer\":\"9223372036854775807\"}"), BEZEL_ERR_FORMAT, 3, "too large"},
    {HEAD TURN "{\"table\":\"event_total\",\"row\":{\"kind\":\"k\",\"name\":\"n\",\"day\":\"\",\"n\":1}}\n", BEZEL_ERR_FORMAT, 3, "source"},
};

START_TEST(a_hostile_file_is_an_error_with_its_line_and_changes_nothing)
{
    const hostile *h = &hostiles[_i];
    char place[40];
    bezel_store *store = open_store("a.db", NULL);
    turns(store, "Trip", 1);
    temp_folder_write(lines_path, h->text, strlen(h->text));
    ck_assert_msg(bezel_store_import(NULL, store, lines_path, &err) == h->status, "%s", err.text);
    ck_assert_msg(strstr(err.text, h->says) != NULL, "'%s' does not say '%s'", err.text, h->says);
    snprintf(place, sizeof place, ".jsonl:%d", h->line);
    ck_assert_msg(strstr(err.place, place) != NULL, "%s", err.place);
    ck_assert_int_eq(count(store, "SELECT count(*) FROM turn"), 1);
    ck_assert_int_eq(store_turn_write(store, NULL, "after", "after", &err), BEZEL_OK);
    bezel_store_close(store);
}
END_TEST

START_TEST(a_file_that_is_cut_anywhere_changes_nothing)
{
    size_t size = 0;
    bezel_store *a = open_store("a.db", NULL), *b = open_store("b.db", NULL);
    turns(a, "Trip", 1);
    export_to(a, lines_path);
    char *all = temp_folder_read(lines_path, &size);
    for (size_t n = 0; n < size; n += n + 40 < size ? 37 : 1) {
        temp_folder_write(lines_path, all, n);
        ck_assert_int_lt(bezel_store_import(NULL, b, lines_path, &err), 0);
        ck_assert_int_eq(count(b, "SELECT (SELECT count(*) FROM turn) + (SELECT count(*) FROM usage_total)"), 0);
    }
    temp_folder_write(lines_path, all, size);
    import_from(b, lines_path);
    free(all);
    bezel_store_close(a);
    bezel_store_close(b);
}
END_TEST

START_TEST(a_file_that_is_there_is_not_overwritten_and_one_that_is_not_cannot_be_read)
{
    bezel_store_options o;
    bezel_store_options_init(&o);
    bezel_store *store = open_store("a.db", NULL);
    temp_folder_write(lines_path, "mine", 4);
    ck_assert_int_eq(bezel_store_export(NULL, store, lines_path, &err), BEZEL_ERR_DENIED);
    ck_assert_int_lt(bezel_store_export(NULL, store, "/nowhere/at/all.jsonl", &err), 0);
    ck_assert_int_eq(bezel_store_import(NULL, store, temp_folder_file(&folder, "none"), &err), BEZEL_ERR_MISSING);
    ck_assert_int_eq(bezel_store_export(NULL, NULL, "x", &err), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(bezel_store_import(NULL, store, "", &err), BEZEL_ERR_ARGUMENT);
    bezel_store_close(store);
    o.read_only = 1;
    store = open_store("a.db", &o);
    export_to(store, lines_path);
    ck_assert_int_eq(bezel_store_import(NULL, store, lines_path, &err), BEZEL_ERR_DENIED);
    bezel_store_close(store);
    ck_assert_int_eq(temp_folder_count(&folder, ".part"), 0);
}
END_TEST

Suite *store_lines_suite(void);
Suite *store_lines_suite(void)
{
    Suite *s = suite_create("store_lines");
    TCase *t = tcase_create("lines");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, what_is_exported_and_imported_is_the_same_in_every_table);
    tcase_add_test(t, two_stores_that_exchange_their_rows_count_each_once);
    tcase_add_test(t, the_newer_title_stays_and_taken_numbers_make_room);
    tcase_add_test(t, a_store_without_content_takes_numbers_only);
    tcase_add_test(t, users_that_are_named_with_other_keys_are_refused);
    tcase_add_loop_test(t, a_hostile_file_is_an_error_with_its_line_and_changes_nothing, 0,
                        (int)(sizeof hostiles / sizeof hostiles[0]));
    tcase_add_test(t, a_file_that_is_cut_anywhere_changes_nothing);
    tcase_add_test(t, a_file_that_is_there_is_not_overwritten_and_one_that_is_not_cannot_be_read);
    suite_add_tcase(s, t);
    return s;
}
