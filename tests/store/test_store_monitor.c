/* SPDX-License-Identifier: MIT */
/* What a monitor tells, kept row by row and summed up (R27 to R31, R34, R35), and the names of users (R24). */
#include <bezel/bezel.h>
#include <bezel/monitor.h>
#include <bezel/store.h>

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "support/store_turn.h"
#include "support/temp_folder.h"
#include "support/test_engine.h"

static temp_folder folder;
static char path[600];
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
    snprintf(path, sizeof path, "%s", temp_folder_file(&folder, "m.db"));
    engine = test_engine_new(NULL, 1, BEZEL_ISA_SCALAR);
    ck_assert_int_eq(bezel_tree_new(&tree, engine, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_store_open(&store, engine, path, NULL, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_store_begin(id, store, NULL, "ann", &err), BEZEL_OK);
}

static void teardown(void)
{
    bezel_store_close(store);
    bezel_tree_free(tree);
    bezel_engine_free(engine);
    temp_folder_remove(&folder);
}

static void query(const char *sql)
{
    bezel_status st = bezel_store_query(&rows, tree, store, sql, NULL, &err);
    ck_assert_msg(st == BEZEL_OK, "%s: %s", sql, err.text);
}

static const bezel_value *cell(size_t row, const char *name) { return bezel_value_get(bezel_value_at(rows, row), name); }
static const char *text(size_t row, const char *name) { return bezel_value_text(cell(row, name), NULL); }
static double number(size_t row, const char *name)
{
    const bezel_value *v = cell(row, name);
    ck_assert_msg(bezel_value_type(v) == BEZEL_NUMBER || bezel_value_type(v) == BEZEL_INTEGER, "%s is no number", name);
    return bezel_value_type(v) == BEZEL_NUMBER ? bezel_value_number(v) : (double)bezel_value_integer(v);
}
static int64_t count(const char *sql) { return store_turn_count(store, engine, sql); }

static bezel_status record_write(const bezel_monitor_record *record)
{
    const bezel_monitor_sink *sink = bezel_store_monitor(store);
    return sink->write(sink->ud, record, &err);
}

static bezel_monitor_request sample(void)
{
    return (bezel_monitor_request){.size = sizeof(bezel_monitor_request),
                                   .is_success = 1,
                                   .at_ms = 1700000000000,
                                   .duration_us = 2000000,
                                   .first_token_us = 200000,
                                   .memory_bytes = UINT64_C(512) << 20,
                                   .allocator_bytes = UINT64_C(100) << 20,
                                   .n_prompt = 30,
                                   .n_cached = 10,
                                   .n_generated = 19,
                                   .n_input = 77,
                                   .tokens_per_second = 9.5,
                                   .model = "tiny",
                                   .user = "ann",
                                   .operation = "chat",
                                   .stop_reason = "eos",
                                   .span = "0123456789abcdef0123456789abcdef",
                                   .input_hash = "00112233445566ff"};
}

static void request_write(const bezel_monitor_request *request)
{
    const bezel_monitor_record record = {.size = sizeof record, .request = request};
    ck_assert_msg(record_write(&record) == BEZEL_OK, "%s", err.text);
}

START_TEST(r27_a_request_is_kept_field_by_field)
{
    bezel_monitor_request r = sample();
    request_write(&r);
    query("SELECT * FROM recent_requests");
    ck_assert_str_eq(text(0, "started"), "2023-11-14T22:13:20.000Z");
    ck_assert_double_eq(number(0, "seconds"), 2);
    ck_assert_double_eq(number(0, "memory_mb"), 512);
    ck_assert_double_eq(number(0, "allocator_mb"), 100);
    ck_assert_double_eq(number(0, "gpu_mb"), 0);
    ck_assert_double_eq(number(0, "generated_tokens"), 19);
    ck_assert_double_eq(number(0, "tokens_per_second"), 9.5);
    ck_assert_str_eq(text(0, "model"), "tiny");
    ck_assert_double_eq(number(0, "input_characters"), 77);
    ck_assert_double_eq(number(0, "success"), 1);
    ck_assert_uint_eq(bezel_value_type(cell(0, "error")), BEZEL_NULL);
    query("SELECT * FROM otel_requests");
    ck_assert_str_eq(text(0, "gen_ai.operation.name"), "chat");
    ck_assert_str_eq(text(0, "gen_ai.response.finish_reasons"), "[\"stop\"]");
    ck_assert_double_eq(number(0, "gen_ai.usage.input_tokens"), 30);
    ck_assert_double_eq_tol(number(0, "gen_ai.server.time_to_first_token"), 0.2, 1e-9);
    ck_assert_double_eq_tol(number(0, "gen_ai.server.time_per_output_token"), 0.1, 1e-9);
    ck_assert_double_eq_tol(number(0, "gen_ai.client.operation.duration"), 2, 1e-9);
    ck_assert_int_eq(count("SELECT count(*) FROM request WHERE span = '0123456789abcdef0123456789abcdef'"
                           " AND input_hash = '00112233445566ff' AND cached_tokens = 10"),
                     1);
}
END_TEST

START_TEST(r29_the_summary_has_the_documented_numbers_of_the_last_100)
{
    bezel_monitor_request r = sample();
    query("SELECT * FROM performance_summary");
    ck_assert_uint_eq(bezel_value_count(rows), 0); /* no data: no row */
    r.duration_us = 900000000;
    for (int i = 0; i < 7; i++)
        request_write(&r); /* not among the last 100 */
    for (int i = 0; i < 100; i++) {
        r.duration_us = (i * 37 % 100 + 1) * INT64_C(1000000); /* 1 to 100 s in any order */
        r.tokens_per_second = i % 2 ? 10 : 30;
        r.model = i % 10 ? "tiny" : NULL;
        request_write(&r);
    }
    query("SELECT * FROM performance_summary");
    ck_assert_double_eq(number(0, "total_requests"), 100);
    ck_assert_double_eq(number(0, "success_rate"), 1);
    ck_assert_double_eq_tol(number(0, "mean_response_time"), 50.5, 1e-9);
    ck_assert_double_eq_tol(number(0, "mean_memory_mb"), 512, 1e-9);
    ck_assert_double_eq_tol(number(0, "mean_tokens_per_second"), 20, 1e-9);
    ck_assert_double_eq_tol(number(0, "p50_response_time"), 50.5, 1e-9);
    ck_assert_double_eq_tol(number(0, "p95_response_time"), 95.95, 1e-9); /* statistics.quantiles(range(1, 101), n=20)[18] */
    ck_assert_double_eq_tol(number(0, "p99_response_time"), 99.99, 1e-9);
    ck_assert_double_eq(number(0, "total_tokens"), 1900);
    query("SELECT * FROM performance_by_model");
    ck_assert_uint_eq(bezel_value_count(rows), 2);
    ck_assert_double_eq(number(0, "total_requests"), 10); /* of a model without a name */
    ck_assert_double_eq(number(1, "total_requests"), 97);
}
END_TEST

START_TEST(r29_failures_count_in_the_rate_and_few_values_have_quantiles_beyond_the_largest)
{
    bezel_monitor_request r = sample();
    for (int i = 1; i <= 10; i++) {
        r.duration_us = i * INT64_C(1000000);
        request_write(&r);
    }
    r.is_success = 0;
    r.code = "GENERATION_ERROR";
    r.error = "may quote";
    r.duration_us = 1;
    for (int i = 0; i < 10; i++)
        request_write(&r);
    query("SELECT * FROM performance_summary");
    ck_assert_double_eq(number(0, "total_requests"), 20);
    ck_assert_double_eq(number(0, "successful_requests"), 10);
    ck_assert_double_eq(number(0, "success_rate"), 0.5);
    ck_assert_double_eq_tol(number(0, "mean_response_time"), 5.5, 1e-9);
    ck_assert_double_eq_tol(number(0, "p95_response_time"), 10.45, 1e-9); /* statistics.quantiles(range(1, 11), n=20)[18] */
    query("SELECT * FROM errors_by_code");
    ck_assert_str_eq(text(0, "code"), "GENERATION_ERROR");
    ck_assert_double_eq(number(0, "n"), 10);
    query("SELECT * FROM requests_by_day");
    ck_assert_double_eq(number(0, "requests"), 20);
    ck_assert_double_eq(number(0, "success_rate"), 0.5);
    query("SELECT * FROM recent_requests");
    ck_assert_str_eq(text(0, "error"), "not kept"); /* it has no conversation */
}
END_TEST

START_TEST(percentiles_of_histograms_are_right_within_eight_percent)
{
    bezel_monitor_request r = sample();
    for (int i = 1; i <= 1000; i++) {
        r.duration_us = i * INT64_C(1234);
        request_write(&r);
    }
    query("SELECT * FROM latency_by_model WHERE metric = 'request'");
    ck_assert_double_eq(number(0, "n"), 1000);
    ck_assert_double_eq_tol(number(0, "p50_ms"), 617, 617 * 0.08);
    ck_assert_double_eq_tol(number(0, "p95_ms"), 1172.3, 1172.3 * 0.08);
    ck_assert_double_eq_tol(number(0, "p99_ms"), 1221.66, 1221.66 * 0.08);
    query("SELECT * FROM otel_metrics WHERE metric = 'gen_ai.server.request.duration'");
    ck_assert_double_eq_tol(number(0, "p50"), 0.617, 0.617 * 0.08);
}
END_TEST

START_TEST(r28_r30_scores_are_kept_and_averaged)
{
    bezel_monitor_quality q = {.size = sizeof q,
                               .at_ms = 1700000000000,
                               .relevance = 1,
                               .coherence = 0.9,
                               .safety = 1,
                               .accuracy = 0.5,
                               .satisfaction = (double)NAN,
                               .model = "tiny",
                               .user = "ann",
                               .span = "s"};
    const bezel_monitor_record record = {.size = sizeof record, .quality = &q};
    query("SELECT * FROM quality_summary");
    ck_assert_uint_eq(bezel_value_count(rows), 0);
    ck_assert_int_eq(record_write(&record), BEZEL_OK);
    q.relevance = 0;
    q.safety = 0.3;
    q.satisfaction = 0.8;
    q.has_reference = 1;
    ck_assert_int_eq(record_write(&record), BEZEL_OK);
    for (int i = 0; i < 2; i++) {
        query(i ? "SELECT * FROM quality_by_model" : "SELECT * FROM quality_summary");
        ck_assert_double_eq(number(0, "evaluations"), 2);
        ck_assert_double_eq_tol(number(0, "mean_relevance"), 0.5, 1e-6);
        ck_assert_double_eq_tol(number(0, "mean_coherence"), 0.9, 1e-6);
        ck_assert_double_eq_tol(number(0, "mean_safety"), 0.65, 1e-6);
        ck_assert_double_eq_tol(number(0, "mean_accuracy"), 0.5, 1e-6);
        ck_assert_double_eq_tol(number(0, "overall"), (0.5 + 0.9 + 0.65 + 0.5) / 4, 1e-6);
        ck_assert_double_eq_tol(number(0, "mean_satisfaction"), 0.8, 1e-6);
    }
    query("SELECT * FROM quality_by_day");
    ck_assert_double_eq_tol(number(0, "mean_safety"), 0.65, 1e-6);
    query("SELECT * FROM otel_evaluations WHERE \"gen_ai.evaluation.name\" = 'satisfaction'");
    ck_assert_uint_eq(bezel_value_count(rows), 1);
    ck_assert_double_eq(number(0, "gen_ai.evaluation.score.value"), 0.8);
}
END_TEST

START_TEST(r31_alerts_begin_and_end)
{
    bezel_monitor_alert a[2] = {{.at_ms = 1700000000000,
                                 .severity = BEZEL_SEVERITY_MEDIUM,
                                 .type = "performance",
                                 .metric = "response_time",
                                 .value = 12.5,
                                 .threshold = 10,
                                 .message = "slow",
                                 .model = "tiny"},
                                {.at_ms = 1700000000000,
                                 .severity = BEZEL_SEVERITY_HIGH,
                                 .type = "reliability",
                                 .metric = "success_rate",
                                 .value = 0.5,
                                 .threshold = 0.95,
                                 .message = "failing",
                                 .model = "tiny"}};
    const bezel_monitor_record record = {.size = sizeof record, .n_alerts = 2, .alerts = a};
    ck_assert_int_eq(record_write(&record), BEZEL_OK);
    query("SELECT * FROM open_alerts");
    ck_assert_uint_eq(bezel_value_count(rows), 2);
    ck_assert_str_eq(text(0, "severity"), "high");
    ck_assert_str_eq(text(1, "type"), "performance");
    ck_assert_double_eq(number(1, "value"), 12.5);
    a[0].is_over = a[1].is_over = 1;
    const bezel_monitor_record over = {.size = sizeof over, .n_alerts = 1, .alerts = a};
    ck_assert_int_eq(record_write(&over), BEZEL_OK);
    query("SELECT * FROM open_alerts");
    ck_assert_uint_eq(bezel_value_count(rows), 1);
    ck_assert_str_eq(text(0, "message"), "failing");
    query("SELECT * FROM recent_alerts");
    ck_assert_uint_eq(bezel_value_count(rows), 3);
    ck_assert_int_eq(count("SELECT sum(n) FROM event_total WHERE kind = 'alert' AND day = '2023-11-14'"), 2);
}
END_TEST

START_TEST(r14_a_health_check_is_kept)
{
    const char *const errors[] = {"no model", "no disk", NULL};
    const bezel_monitor_health h = {.size = sizeof h, .status = BEZEL_UNHEALTHY, .at_ms = 1, .memory_bytes = 1 << 20,
                                     .errors = errors};
    const bezel_monitor_record record = {.size = sizeof record, .health = &h};
    ck_assert_int_eq(record_write(&record), BEZEL_OK);
    query("SELECT * FROM recent_health");
    ck_assert_str_eq(text(0, "status"), "unhealthy");
    ck_assert_str_eq(text(0, "errors"), "no model\nno disk");
    ck_assert_double_eq(number(0, "memory_mb"), 1);
}
END_TEST

static void decided_write(const char *conversation)
{
    static const bezel_monitor_decision decisions[] = {{10, "rate", "allowed", NULL, NULL},
                                                       {2000, "input", "denied", "word", "quotes the secret"}};
    bezel_monitor_request r = sample();
    r.is_success = 0;
    r.code = "CONTENT_FILTERED";
    r.error = "a sentence with the secret";
    r.conversation = conversation;
    const bezel_monitor_record record = {.size = sizeof record, .request = &r, .n_decisions = 2, .decisions = decisions};
    ck_assert_msg(record_write(&record) == BEZEL_OK, "%s", err.text);
}

START_TEST(r20_to_r26_decisions_are_kept_and_counted)
{
    decided_write(NULL);
    query("SELECT * FROM guard_decisions");
    ck_assert_uint_eq(bezel_value_count(rows), 2);
    ck_assert_str_eq(text(0, "kind"), "input");
    ck_assert_str_eq(text(0, "rule"), "word");
    ck_assert_str_eq(text(0, "user"), "ann");
    ck_assert_str_eq(text(0, "at"), "2023-11-14T22:13:20.002Z");
    query("SELECT * FROM guard_by_day");
    ck_assert_str_eq(text(0, "decision"), "input denied word");
    ck_assert_double_eq(number(0, "n"), 1);
}
END_TEST

START_TEST(r24_content_is_kept_only_for_a_named_conversation_and_goes_with_it)
{
    decided_write(NULL);
    ck_assert_int_eq(count("SELECT count(*) FROM guard_decision WHERE detail IS NOT NULL"), 0);
    ck_assert_int_eq(count("SELECT count(*) FROM request WHERE error LIKE '%secret%'"), 0);
    decided_write(id);
    ck_assert_int_eq(count("SELECT count(*) FROM guard_decision WHERE detail IS NOT NULL"), 1);
    ck_assert_int_eq(count("SELECT count(*) FROM request WHERE error LIKE '%secret%'"), 1);
    ck_assert_int_eq(bezel_store_delete(store, id, &err), BEZEL_OK);
    ck_assert_int_eq(count("SELECT count(*) FROM guard_decision WHERE detail IS NOT NULL"), 0);
    ck_assert_int_eq(count("SELECT count(*) FROM request WHERE error LIKE '%secret%' OR conversation IS NOT NULL"), 0);
    ck_assert_int_eq(count("SELECT count(*) FROM request"), 2);
}
END_TEST

START_TEST(r26_requests_of_the_last_hour_by_user)
{
    bezel_monitor_request r = sample();
    const int64_t now = (int64_t)time(NULL) * 1000;
    r.at_ms = now - 3700000;
    request_write(&r);
    r.at_ms = now - 3000000;
    request_write(&r);
    r.at_ms = now - 1000;
    request_write(&r);
    r.code = "RATE_LIMIT_EXCEEDED"; /* was not counted by the guard either */
    request_write(&r);
    query("SELECT *, strftime('%s', reset_time) - strftime('%s', 'now') AS left FROM users_last_hour");
    ck_assert_uint_eq(bezel_value_count(rows), 1);
    ck_assert_str_eq(text(0, "user"), "ann");
    ck_assert_double_eq(number(0, "requests_last_hour"), 2);
    ck_assert_double_eq(number(0, "remaining_of_100"), 98);
    ck_assert_double_eq_tol(number(0, "left"), 600, 5);
}
END_TEST

START_TEST(a_record_that_is_not_whole_is_refused_wholly)
{
    static const bezel_monitor_decision bad[] = {{0, "rate", NULL, NULL, NULL}};
    bezel_monitor_request r = sample();
    bezel_monitor_record record = {.size = sizeof record, .request = &r, .n_decisions = 1, .decisions = bad};
    ck_assert_int_eq(record_write(&record), BEZEL_ERR_ARGUMENT);
    record.decisions = NULL;
    ck_assert_int_eq(record_write(&record), BEZEL_ERR_ARGUMENT);
    record.n_decisions = 0;
    record.size--;
    ck_assert_int_eq(record_write(&record), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(count("SELECT count(*) FROM request"), 0);
    ck_assert_int_eq(count("SELECT count(*) FROM request_total"), 0);
    ck_assert_ptr_null(bezel_store_monitor(NULL));
}
END_TEST

/* --- Names of users ------------------------------------------------------------------------- */

static bezel_status reopen(const char *keys, uint32_t n)
{
    bezel_store_options o;
    bezel_store_close(store);
    bezel_store_options_init(&o);
    o.user_keys = keys;
    o.n_user_keys = n;
    return bezel_store_open(&store, engine, path, &o, &err);
}

static const char keys[] = "0123456789abcdef0123456789abcdefABCDEFGHIJKLMNOPQRSTUVWXYZ@@@@@@zyxwvutsrqponmlkjihgfedcba######";

static int64_t rows_of(const char *name)
{
    char sql[1000];
    snprintf(sql, sizeof sql,
             "SELECT (SELECT count(*) FROM conversation WHERE user = '%s') + (SELECT count(*) FROM turn WHERE user = '%s')"
             " + (SELECT count(*) FROM usage WHERE user = '%s') + (SELECT count(*) FROM request WHERE user = '%s')"
             " + (SELECT count(*) FROM usage_total WHERE kind = 'user' AND name = '%s')",
             name, name, name, name, name);
    return count(sql);
}

START_TEST(r24_users_are_called_by_keyed_hashes_and_stay_the_same_over_rotations)
{
    char name[64], first_name[64];
    bezel_monitor_request r = sample();
    ck_assert_int_eq(store_turn_write(store, id, "q", "a", &err), BEZEL_OK);
    request_write(&r);
    const int64_t n = rows_of("ann");
    ck_assert_int_eq(n, 7);
    ck_assert_int_eq(reopen(keys, 1), BEZEL_OK); /* what stood there before is renamed, too */
    ck_assert_int_eq(rows_of("ann"), 0);
    ck_assert_int_eq(bezel_store_user(first_name, store, "ann", &err), BEZEL_OK);
    ck_assert_uint_eq(strlen(first_name), 35);
    ck_assert_int_eq(strncmp(first_name, "u1-", 3), 0);
    ck_assert_int_eq(rows_of(first_name), n);
    ck_assert_int_eq(store_turn_write(store, id, "q", "a", &err), BEZEL_OK);
    ck_assert_int_eq(count("SELECT count(DISTINCT user) FROM turn"), 1);
    ck_assert_int_eq(reopen(keys, 3), BEZEL_OK);
    ck_assert_int_eq(bezel_store_user(name, store, "ann", &err), BEZEL_OK);
    ck_assert_int_eq(strncmp(name, "u3-", 3), 0);
    ck_assert_int_eq(rows_of(first_name), 0);
    ck_assert_int_eq(store_turn_write(store, id, "q", "a", &err), BEZEL_OK);
    ck_assert_int_eq(count("SELECT count(DISTINCT user) FROM turn"), 1);
    ck_assert_int_eq(count("SELECT turns FROM usage_by_user"), 3);
    ck_assert_int_eq(rows_of(name), n + 2 * 3); /* a turn and two usage rows each */
    bezel_store_close(store); /* nothing of the id or of a key is left in the file or its log */
    store = NULL;
    size_t size;
    char *file = temp_folder_read(path, &size);
    for (size_t i = 0; i + 35 < size; i++) {
        ck_assert(memcmp(file + i, "0123456789abcdef0123456789abcdefAB", 34) != 0);
        ck_assert(memcmp(file + i, first_name, 35) != 0);
    }
    free(file);
}
END_TEST

START_TEST(a_store_without_the_right_keys_writes_no_users)
{
    char name[64];
    ck_assert_int_eq(reopen(keys, 2), BEZEL_OK);
    ck_assert_int_eq(reopen(keys + 32, 1), BEZEL_ERR_DENIED);
    ck_assert_ptr_nonnull(strstr(err.hint, "oldest first"));
    ck_assert_int_eq(reopen(keys, 1), BEZEL_ERR_DENIED);
    ck_assert_int_eq(reopen(NULL, 0), BEZEL_OK); /* may look, and write what is of nobody */
    ck_assert_int_eq(store_turn_write(store, id, "q", "a", &err), BEZEL_ERR_DENIED);
    ck_assert_int_eq(bezel_store_user(name, store, "ann", &err), BEZEL_ERR_DENIED);
    ck_assert_str_eq(name, "");
    ck_assert_int_eq(bezel_store_begin(id, store, "t", NULL, &err), BEZEL_OK);
    /* another process adds a key while this one has the file open */
    bezel_store_options o;
    bezel_store *other = NULL;
    ck_assert_int_eq(reopen(keys, 2), BEZEL_OK);
    ck_assert_int_eq(store_turn_write(store, id, "q", "a", &err), BEZEL_OK);
    bezel_store_options_init(&o);
    o.user_keys = keys;
    o.n_user_keys = 3;
    ck_assert_int_eq(bezel_store_open(&other, engine, path, &o, &err), BEZEL_OK);
    bezel_store_close(other);
    ck_assert_int_eq(store_turn_write(store, id, "q", "a", &err), BEZEL_ERR_DENIED);
    ck_assert_int_eq(reopen(keys, 17), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(reopen(NULL, 1), BEZEL_ERR_ARGUMENT);
}
END_TEST

Suite *store_monitor_suite(void);
Suite *store_monitor_suite(void)
{
    Suite *s = suite_create("store_monitor");
    TCase *t = tcase_create("rows");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, r27_a_request_is_kept_field_by_field);
    tcase_add_test(t, r29_the_summary_has_the_documented_numbers_of_the_last_100);
    tcase_add_test(t, r29_failures_count_in_the_rate_and_few_values_have_quantiles_beyond_the_largest);
    tcase_add_test(t, percentiles_of_histograms_are_right_within_eight_percent);
    tcase_add_test(t, r28_r30_scores_are_kept_and_averaged);
    tcase_add_test(t, r31_alerts_begin_and_end);
    tcase_add_test(t, r14_a_health_check_is_kept);
    tcase_add_test(t, r20_to_r26_decisions_are_kept_and_counted);
    tcase_add_test(t, r24_content_is_kept_only_for_a_named_conversation_and_goes_with_it);
    tcase_add_test(t, r26_requests_of_the_last_hour_by_user);
    tcase_add_test(t, a_record_that_is_not_whole_is_refused_wholly);
    tcase_add_test(t, r24_users_are_called_by_keyed_hashes_and_stay_the_same_over_rotations);
    tcase_add_test(t, a_store_without_the_right_keys_writes_no_users);
    suite_add_tcase(s, t);
    return s;
}
