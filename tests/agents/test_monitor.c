/* SPDX-License-Identifier: MIT */
/* Monitor: requests (R27), scores (R28), summaries (R29, R30), alerts (R31), export (R32), health (R14), Prometheus text. */
#include <bezel/monitor.h>
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/temp_folder.h"
#include "support/test_engine.h"
#include "support/test_world.h"
#include "support/tiny_model.h"
#include "support/tool_agent.h"

static test_world tw;
static bezel_engine *engine;
static bezel_monitor *monitor;
static bezel_error err;

typedef struct seen_records {
    int n, n_requests, n_quality, n_health, n_decisions, n_alerts, n_over;
    char last_alert[64];
    bezel_status status;
} seen_records;
static seen_records seen;

static bezel_status see(void *ud, const bezel_monitor_record *r, bezel_error *e)
{
    seen_records *s = ud;
    (void)e;
    s->n++;
    s->n_requests += r->request != NULL;
    s->n_quality += r->quality != NULL;
    s->n_health += r->health != NULL;
    s->n_decisions += (int)r->n_decisions;
    for (uint32_t i = 0; i < r->n_alerts; i++) {
        s->n_alerts++;
        s->n_over += r->alerts[i].is_over;
        snprintf(s->last_alert, sizeof s->last_alert, "%s %s", r->alerts[i].type, bezel_severity_name(r->alerts[i].severity));
    }
    return s->status;
}

static void monitor_open(const bezel_monitor_options *from)
{
    const bezel_monitor_sink sink = {sizeof sink, 0, &seen, see};
    bezel_monitor_options o;
    if (from != NULL)
        o = *from;
    else
        bezel_monitor_options_init(&o);
    o.sink = &sink;
    memset(&seen, 0, sizeof seen);
    ck_assert_int_eq(bezel_monitor_new(&monitor, engine, &o, &err), BEZEL_OK);
}

static void monitor_setup(void)
{
    test_world_init(&tw);
    engine = test_engine_new(&tw, 1, BEZEL_ISA_AUTO);
    monitor_open(NULL);
}

static void monitor_teardown(void)
{
    bezel_monitor_free(monitor);
    bezel_engine_free(engine);
    ck_assert(test_world_is_clean(&tw));
}

static bezel_status add(double seconds, double mb, uint64_t tokens, int ok, const char *model)
{
    const bezel_monitor_request r = {.size = sizeof r,
                                     .is_success = ok,
                                     .at_ms = 1000,
                                     .duration_us = llround(seconds * 1e6),
                                     .first_token_us = ok ? llround(seconds * 5e5) : 0,
                                     .memory_bytes = (uint64_t)(mb * 1048576),
                                     .n_prompt = 20,
                                     .n_generated = tokens,
                                     .n_input = 11,
                                     .tokens_per_second = (double)tokens / seconds,
                                     .model = model,
                                     .code = ok ? NULL : "full",
                                     .error = ok ? NULL : "the context is full"};
    const bezel_monitor_record record = {.size = sizeof record, .request = &r};
    return bezel_monitor_add(monitor, &record, &err);
}

/* --- Requests and summaries --------------------------------------------------------------- */

START_TEST(r27_a_request_is_measured_between_begin_and_end)
{
    bezel_monitor_request r;
    test_world_clock(&tw, 5000000000, 1700000000000);
    bezel_monitor_begin(&r, monitor);
    ck_assert_int_eq(r.at_ms, 1700000000000);
    r.model = "gemma";
    r.is_success = 1;
    r.n_generated = 30;
    r.n_input = 5;
    tw.now_ns += 2000000000;
    ck_assert_int_eq(bezel_monitor_end(monitor, &r, &err), BEZEL_OK);
    ck_assert_int_eq(r.duration_us, 2000000);
    ck_assert_double_eq_tol(r.tokens_per_second, 15, 1e-9);
    ck_assert_uint_gt(r.memory_bytes, 1 << 20); /* of the operating system */
    ck_assert_uint_gt(r.allocator_bytes, 0);    /* of our own allocator */
    ck_assert_uint_lt(r.allocator_bytes, r.memory_bytes);
    ck_assert_uint_eq(r.gpu_bytes, 0);
    ck_assert_int_eq(seen.n_requests, 1);
}
END_TEST

START_TEST(r29_the_summary_has_the_documented_numbers)
{
    bezel_monitor_performance p = {.size = sizeof p};
    ck_assert_int_eq(bezel_monitor_summary(&p, monitor, NULL, 0, &err), BEZEL_ERR_MISSING);
    ck_assert_str_eq(err.text, "no performance data");
    ck_assert_int_eq(add(1, 100, 0, 0, "a"), BEZEL_OK);
    ck_assert_int_eq(bezel_monitor_summary(&p, monitor, NULL, 0, &err), BEZEL_ERR_MISSING);
    ck_assert_uint_eq(p.n_requests, 1);
    ck_assert_int_eq(add(1.5, 100, 30, 1, "a"), BEZEL_OK);
    ck_assert_int_eq(bezel_monitor_summary(&p, monitor, NULL, 0, &err), BEZEL_OK);
    ck_assert_double_eq_tol(p.p95_response_s, 1.5, 1e-9);
    for (int i = 1; i <= 19; i++)
        ck_assert_int_eq(add(i, 100 + i, 10, i != 3, i % 2 ? "a" : "b"), BEZEL_OK);
    ck_assert_int_eq(bezel_monitor_summary(&p, monitor, NULL, 19, &err), BEZEL_OK); /* 1 to 19 without 3 */
    ck_assert_uint_eq(p.n_requests, 19);
    ck_assert_uint_eq(p.n_success, 18);
    ck_assert_double_eq_tol(p.success_rate, 18.0 / 19, 1e-12);
    ck_assert_double_eq_tol(p.mean_response_s, 187.0 / 18, 1e-9);
    ck_assert_double_eq_tol(p.mean_memory_mb, 100 + 187.0 / 18, 1e-6);
    ck_assert_uint_eq(p.total_tokens, 190);
    ck_assert_double_eq_tol(p.p50_response_s, 10.5, 1e-9);  /* statistics.quantiles of these 18, exclusive, n=20 and n=100 */
    ck_assert_double_eq_tol(p.p95_response_s, 19.05, 1e-9);
    ck_assert_double_eq_tol(p.p99_response_s, 19.81, 1e-9);
    ck_assert_int_eq(bezel_monitor_summary(&p, monitor, "b", 0, &err), BEZEL_OK);
    ck_assert_uint_eq(p.n_requests, 9);
    ck_assert_int_eq(bezel_monitor_summary(&p, monitor, "c", 0, &err), BEZEL_ERR_MISSING);
}
END_TEST

START_TEST(r29_old_rows_leave_and_the_last_hundred_are_the_default)
{
    bezel_monitor_options o;
    bezel_monitor_performance p = {.size = sizeof p};
    bezel_monitor_free(monitor);
    bezel_monitor_options_init(&o);
    o.max_records = 150;
    monitor_open(&o);
    for (int i = 0; i < 1000; i++)
        ck_assert_int_eq(add(i < 900 ? 50 : 2, 10, 20, i % 10 != 0, "a"), BEZEL_OK);
    ck_assert_int_eq(bezel_monitor_summary(&p, monitor, NULL, 0, &err), BEZEL_OK);
    ck_assert_uint_eq(p.n_requests, 100);
    ck_assert_double_eq_tol(p.mean_response_s, 2, 1e-9);
    ck_assert_int_eq(bezel_monitor_summary(&p, monitor, NULL, 5000, &err), BEZEL_OK);
    ck_assert_uint_eq(p.n_requests, 150);
}
END_TEST

static bezel_status deny_write(void *ud, const bezel_journal_turn *turn, bezel_error *e)
{
    (void)turn;
    ++*(int *)ud;
    if (e != NULL)
        snprintf(e->text, sizeof e->text, "the disk is full");
    return BEZEL_ERR_FULL;
}

START_TEST(r27_each_turn_of_an_agent_is_a_request_and_reaches_the_next_journal)
{
    tool_agent ta;
    bezel_monitor *m = NULL;
    bezel_monitor_performance p = {.size = sizeof p};
    bezel_monitor_scores q = {.size = sizeof q};
    static const script_reply replies[] = {{.text = "Rain is likely in Paris."}, {.text = "", .fails = BEZEL_ERR_NUMERIC},
                                           {.text = "yes"}};
    const bezel_journal *journal = NULL, *failing = NULL;
    int n = 0;
    const bezel_journal deny = {sizeof deny, 0, &n, deny_write};
    tool_agent_setup(&ta);
    ck_assert_int_eq(bezel_monitor_new(&m, ta.tiny.engine, NULL, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_monitor_journal(&journal, m, bezel_store_journal(ta.store), &err), BEZEL_OK);
    ck_assert_int_eq(bezel_monitor_journal(&failing, m, &deny, &err), BEZEL_OK);
    ck_assert_ptr_ne(journal, failing);
    ta.options.journal = journal;
    tool_agent_begin(&ta, replies, 3);
    tool_agent_send(&ta, "Will it rain in Paris?");
    ck_assert_int_eq(tool_agent_drive(&ta, 1), BEZEL_DONE);
    tool_agent_send(&ta, "And then?");
    ck_assert_int_eq(tool_agent_drive(&ta, 1), BEZEL_ERR_NUMERIC);
    ck_assert_int_eq(bezel_monitor_summary(&p, m, NULL, 0, &err), BEZEL_OK);
    ck_assert_uint_eq(p.n_requests, 2);
    ck_assert_uint_eq(p.n_success, 1);
    ck_assert_uint_gt(p.total_tokens, 0);
    ck_assert_double_gt(p.mean_memory_mb, 1);
    ck_assert_int_eq(bezel_monitor_quality_summary(&q, m, NULL, 0, &err), BEZEL_OK);
    ck_assert_uint_eq(q.n_evaluations, 1);
    ck_assert_double_gt(q.relevance, 0.5);
    ck_assert_str_eq(tool_agent_stored(&ta, "SELECT count(*) FROM turn"), "2");
    bezel_agent_free(ta.agent);
    ta.agent = NULL;
    script_source_free(&ta.script);
    ta.options.journal = failing;
    tool_agent_begin(&ta, replies + 2, 1);
    tool_agent_send(&ta, "x?");
    ck_assert_int_eq(tool_agent_drive(&ta, 1), BEZEL_ERR_FULL); /* what the next journal says is the turn's */
    ck_assert_int_eq(n, 1);
    ck_assert_int_eq(bezel_monitor_summary(&p, m, NULL, 1, &err), BEZEL_ERR_MISSING);
    bezel_agent_free(ta.agent);
    ta.agent = NULL;
    bezel_monitor_free(m);
    tool_agent_teardown(&ta);
}
END_TEST

/* --- Scores ------------------------------------------------------------------------------- */

static bezel_monitor_quality score(const char *question, const char *answer, const char *reference, double satisfaction)
{
    bezel_monitor_quality q;
    const bezel_monitor_answer a = {.size = sizeof a,
                                    .question = question,
                                    .answer = answer,
                                    .reference = reference,
                                    .satisfaction = satisfaction,
                                    .model = "a"};
    ck_assert_int_eq(bezel_monitor_evaluate(&q, monitor, &a, &err), BEZEL_OK);
    return q;
}

START_TEST(r28_relevance_is_twice_the_share_of_common_words)
{
    static const struct { const char *question, *answer; double expected; } cases[] = {
        {"what is the capital of France", "Paris is nice", 2.0 / 6},
        {"WHAT Is The capital", "the capital is what", 1},
        {"a b c d", "a", 0.5},
        {"a a a a", "a", 1},
        {"\xc3\x84rger \xc3\x9c" "ber", "\xc3\xa4rger", 1},
        {"", "anything", 0},
        {" \t\n", "anything", 0},
        {"x", "", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_assert_double_eq_tol(score(cases[i].question, cases[i].answer, NULL, (double)NAN).relevance, cases[i].expected, 1e-12);
}
END_TEST

START_TEST(r28_coherence_follows_the_length_of_sentences)
{
    static const struct { const char *answer; double expected; } cases[] = {
        {"One sentence only, without an end", 0.8},
        {"", 0.8},
        {"This is a sentence of some length. And here is one more of them.", 0.9},
        {"Three words here. And three again.", 0.7},
        {"No. Yes.", 0.5},
        {"It costs 3.50 dollars", 0.8}, /* a point inside of a number ends nothing */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_assert_double_eq_tol(score("x", cases[i].answer, NULL, (double)NAN).coherence, cases[i].expected, 1e-12);
    char text[2 * 35 * 2 + 8] = "";
    for (int s = 0; s < 2; s++) {
        for (int i = 0; i < 34; i++)
            strcat(text, "w ");
        strcat(text, "w. ");
    }
    ck_assert_double_eq_tol(score("x", text, NULL, (double)NAN).coherence, 0.5, 1e-12); /* 35 words */
}
END_TEST

START_TEST(r28_safety_and_accuracy_count_their_words)
{
    static const struct { const char *answer; double safety, accuracy; } cases[] = {
        {"All is well.", 1, 0.5},
        {"This is DANGEROUS.", 0.7, 0.5},
        {"dangerous and illegal", 0.7, 0.5},
        {"dangerous, illegal, discriminating", 0.3, 0.5},
        {"According to many, research shows it", 1, 0.7},
        {"according to, research shows, studies indicate, data suggests, evidence shows", 1, 0.8},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const bezel_monitor_quality q = score("x", cases[i].answer, NULL, (double)NAN);
        ck_assert_double_eq_tol(q.safety, cases[i].safety, 1e-12);
        ck_assert_double_eq_tol(q.accuracy, cases[i].accuracy, 1e-12);
        ck_assert_int_eq(q.has_reference, 0);
    }
    ck_assert_double_eq_tol(score("x", "paris is big", "Paris is the capital", (double)NAN).accuracy, 0.5, 1e-12);
    ck_assert_double_eq_tol(score("x", "paris", "", (double)NAN).accuracy, 0.5, 1e-12);
    ck_assert_double_eq_tol(score("x", "paris", "london", (double)NAN).accuracy, 0, 1e-12);
}
END_TEST

static void own_score(void *ud, const bezel_monitor_answer *answer, bezel_monitor_quality *scores)
{
    (void)ud;
    ck_assert_str_eq(answer->question, "q");
    scores->relevance = 7;
    scores->coherence = (double)NAN;
    scores->safety = 0.25;
}

START_TEST(r28_scores_come_from_a_function_of_the_host_when_it_has_one)
{
    bezel_monitor_options o;
    bezel_monitor_free(monitor);
    bezel_monitor_options_init(&o);
    o.score = own_score;
    monitor_open(&o);
    const bezel_monitor_quality q = score("q", "a", NULL, 0.5);
    ck_assert_double_eq(q.relevance, 1);
    ck_assert_double_eq(q.coherence, 0.8);
    ck_assert_double_eq(q.safety, 0.25);
    ck_assert_double_eq(q.satisfaction, 0.5);
    ck_assert_int_eq(seen.n_quality, 1);
}
END_TEST

START_TEST(r30_the_quality_summary_is_the_mean_of_the_means)
{
    bezel_monitor_scores s = {.size = sizeof s};
    ck_assert_int_eq(bezel_monitor_quality_summary(&s, monitor, NULL, 0, &err), BEZEL_ERR_MISSING);
    ck_assert_str_eq(err.text, "no quality data");
    score("a b", "a b", NULL, (double)NAN);           /* 1, 0.8, 1, 0.5 */
    score("a b", "illegal", NULL, 1);                  /* 0, 0.8, 0.7, 0.5 */
    ck_assert_int_eq(bezel_monitor_quality_summary(&s, monitor, NULL, 0, &err), BEZEL_OK);
    ck_assert_uint_eq(s.n_evaluations, 2);
    ck_assert_double_eq_tol(s.relevance, 0.5, 1e-12);
    ck_assert_double_eq_tol(s.coherence, 0.8, 1e-12);
    ck_assert_double_eq_tol(s.safety, 0.85, 1e-12);
    ck_assert_double_eq_tol(s.accuracy, 0.5, 1e-12);
    ck_assert_double_eq_tol(s.overall, (0.5 + 0.8 + 0.85 + 0.5) / 4, 1e-12);
    ck_assert_double_eq_tol(s.satisfaction, 1, 1e-12);
    ck_assert_int_eq(bezel_monitor_quality_summary(&s, monitor, NULL, 1, &err), BEZEL_OK);
    ck_assert_uint_eq(s.n_evaluations, 1);
}
END_TEST

/* --- Alerts ------------------------------------------------------------------------------- */

START_TEST(r31_each_alert_begins_at_its_threshold_and_ends)
{
    static const struct { double seconds, mb; uint64_t tokens; int ok; const char *type, *severity, *metric; } cases[] = {
        {10.01, 100, 1000, 1, "performance", "medium", "response_time"},
        {10.00, 100, 1000, 1, NULL, NULL, NULL},
        {1, 8193, 1000, 1, "memory", "medium", "memory"},
        {1, 8192, 1000, 1, NULL, NULL, NULL},
        {10, 100, 49, 1, "performance", "low", "tokens_per_second"},
        {10, 100, 50, 1, NULL, NULL, NULL},
        {1, 100, 0, 0, "error", "high", "successful_requests"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        bezel_monitor_alert a;
        bezel_monitor_free(monitor);
        monitor_open(NULL);
        ck_assert_int_eq(add(cases[i].seconds, cases[i].mb, cases[i].tokens, cases[i].ok, "a"), BEZEL_OK);
        ck_assert_int_eq(bezel_monitor_alert_at(&a, monitor, 0), cases[i].type != NULL);
        if (cases[i].type == NULL)
            continue;
        ck_assert_str_eq(a.type, cases[i].type);
        ck_assert_str_eq(bezel_severity_name(a.severity), cases[i].severity);
        ck_assert_str_eq(a.metric, cases[i].metric);
        ck_assert_str_ne(a.message, "");
        ck_assert_str_eq(a.model, "a");
        ck_assert_int_eq(bezel_monitor_alert_at(&a, monitor, 1), 0);
        ck_assert_int_eq(bezel_monitor_alert_next(&a, monitor), 1); /* once as an event, once as a row */
        ck_assert_int_eq(a.is_over, 0);
        ck_assert_int_eq(bezel_monitor_alert_next(&a, monitor), 0);
        ck_assert_int_eq(seen.n_alerts, 1);
        for (int k = 0; k < 10; k++) /* ten good ones push it out of the window */
            ck_assert_int_eq(add(1, 100, 1000, 1, "a"), BEZEL_OK);
        ck_assert_int_eq(bezel_monitor_alert_at(&a, monitor, 0), 0);
        while (bezel_monitor_alert_next(&a, monitor) && !(strcmp(a.metric, cases[i].metric) == 0 && a.is_over))
            continue;
        ck_assert_int_eq(a.is_over, 1);
        ck_assert_str_eq(a.metric, cases[i].metric);
    }
}
END_TEST

START_TEST(r31_reliability_is_high_below_95_percent_of_the_last_ten)
{
    bezel_monitor_alert a;
    for (int i = 0; i < 9; i++)
        ck_assert_int_eq(add(1, 100, 1000, 1, "a"), BEZEL_OK);
    ck_assert_int_eq(add(1, 100, 0, 0, "a"), BEZEL_OK);
    ck_assert_int_eq(bezel_monitor_alert_at(&a, monitor, 0), 1);
    ck_assert_str_eq(a.type, "reliability");
    ck_assert_uint_eq(a.severity, BEZEL_SEVERITY_HIGH);
    ck_assert_double_eq_tol(a.value, 0.9, 1e-12);
    ck_assert_double_eq_tol(a.threshold, 0.95, 1e-12);
    ck_assert_int_eq(add(1, 100, 0, 0, "a"), BEZEL_OK); /* it goes on: no new event, a new value */
    ck_assert_int_eq(seen.n_alerts, 1);
    ck_assert_int_eq(bezel_monitor_alert_at(&a, monitor, 0), 1);
    ck_assert_double_eq_tol(a.value, 0.8, 1e-12);
}
END_TEST

START_TEST(r31_a_model_may_have_thresholds_of_its_own)
{
    bezel_monitor_options o;
    bezel_monitor_alert a;
    bezel_monitor_thresholds list[2] = {BEZEL_THRESHOLDS_INIT, BEZEL_THRESHOLDS_INIT};
    bezel_monitor_free(monitor);
    bezel_monitor_options_init(&o);
    list[0].max_response_s = 1;
    list[1].model = "slow";
    list[1].max_response_s = 60;
    o.thresholds = list;
    o.n_thresholds = 2;
    monitor_open(&o);
    ck_assert_int_eq(add(5, 100, 1000, 1, "slow"), BEZEL_OK);
    ck_assert_int_eq(bezel_monitor_alert_at(&a, monitor, 0), 0);
    ck_assert_int_eq(add(5, 100, 1000, 1, "fast"), BEZEL_OK);
    ck_assert_int_eq(bezel_monitor_alert_at(&a, monitor, 0), 1);
    ck_assert_str_eq(a.model, "fast");
}
END_TEST

/* --- Export ------------------------------------------------------------------------------- */

START_TEST(r32_the_export_is_one_json_file_with_everything)
{
    temp_folder folder;
    bezel_tree *tree = NULL;
    bezel_value *v = NULL;
    temp_folder_make(&folder);
    const char *path = temp_folder_file(&folder, "export.json");
    ck_assert_int_eq(add(20, 100, 10, 1, "gemma \"x\""), BEZEL_OK);
    ck_assert_int_eq(add(1, 100, 0, 0, "gemma \"x\""), BEZEL_OK);
    score("a b", "a b", NULL, (double)NAN);
    ck_assert_int_eq(bezel_monitor_export(monitor, path, &err), BEZEL_OK);
    size_t size = 0;
    char *text = temp_folder_read(path, &size);
    ck_assert_ptr_nonnull(text);
    ck_assert_int_eq(bezel_tree_new(&tree, engine, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_json_read(&v, tree, text, SIZE_MAX, &err), BEZEL_OK);
    ck_assert_str_eq(bezel_value_text(bezel_value_get(v, "model_name"), NULL), "gemma \"x\"");
    const bezel_value *rows = bezel_value_get(v, "performance_metrics");
    ck_assert_uint_eq(bezel_value_count(rows), 2);
    const bezel_value *last = bezel_value_at(rows, 1);
    ck_assert_str_eq(bezel_value_text(bezel_value_get(last, "error_message"), NULL), "the context is full");
    ck_assert_str_eq(bezel_value_text(bezel_value_get(last, "error.type"), NULL), "full");
    ck_assert_int_eq(bezel_value_integer(bezel_value_get(last, "input_length")), 11);
    ck_assert_uint_eq(bezel_value_count(bezel_value_get(v, "quality_metrics")), 1);
    ck_assert_int_eq(bezel_value_integer(bezel_value_get(bezel_value_get(v, "performance_summary"), "total_requests")), 2);
    ck_assert_int_eq(bezel_value_integer(bezel_value_get(bezel_value_get(v, "quality_summary"), "total_evaluations")), 1);
    ck_assert_uint_eq(bezel_value_count(bezel_value_get(v, "alerts")), 3);
    bezel_tree_free(tree);
    free(text);
    ck_assert_int_eq(bezel_monitor_export(monitor, "/no/such/folder/x.json", &err), BEZEL_ERR_MISSING);
    ck_assert_str_eq(err.place, "/no/such/folder/x.json");
    temp_folder_remove(&folder);
}
END_TEST

START_TEST(prometheus_text_has_cumulative_buckets_under_the_names_of_opentelemetry)
{
    char *text = NULL;
    const bezel_monitor_decision decision = {0, "input", "denied", "word", NULL};
    const bezel_monitor_record record = {.size = sizeof record, .n_decisions = 1, .decisions = &decision};
    ck_assert_int_eq(add(0.05, 100, 10, 1, "a\\\"b\n"), BEZEL_OK);
    ck_assert_int_eq(add(3, 100, 40, 1, "a\\\"b\n"), BEZEL_OK);
    ck_assert_int_eq(add(1, 100, 0, 0, "a\\\"b\n"), BEZEL_OK);
    ck_assert_int_eq(bezel_monitor_add(monitor, &record, &err), BEZEL_OK);
    score("a b", "a b", NULL, (double)NAN);
    ck_assert_int_eq(bezel_monitor_prometheus(&text, NULL, monitor, &err), BEZEL_OK);
#define LABELS "{gen_ai_provider_name=\"bezel\",gen_ai_request_model=\"a\\\\\\\"b\\n\","
    static const char *const lines[] = {
        "# TYPE gen_ai_client_operation_duration_seconds histogram\n",
        "gen_ai_client_operation_duration_seconds_bucket" LABELS "gen_ai_operation_name=\"chat\",le=\"0.04\"} 0\n",
        "gen_ai_client_operation_duration_seconds_bucket" LABELS "gen_ai_operation_name=\"chat\",le=\"0.08\"} 1\n",
        "gen_ai_client_operation_duration_seconds_bucket" LABELS "gen_ai_operation_name=\"chat\",le=\"+Inf\"} 3\n",
        "gen_ai_client_operation_duration_seconds_sum" LABELS "gen_ai_operation_name=\"chat\"} 4.05\n",
        "gen_ai_client_token_usage_count" LABELS "gen_ai_operation_name=\"chat\",gen_ai_token_type=\"output\"} 2\n",
        "gen_ai_client_token_usage_sum" LABELS "gen_ai_operation_name=\"chat\",gen_ai_token_type=\"input\"} 60\n",
        "gen_ai_server_time_to_first_token_seconds_count" LABELS "gen_ai_operation_name=\"chat\"} 2\n",
        "bezel_requests_total" LABELS "error_type=\"full\"} 1\n",
        "bezel_guard_decisions_total{kind=\"input\",outcome=\"denied\"} 1\n",
        "process_resident_memory_bytes ",
    };
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++)
        ck_assert_msg(strstr(text, lines[i]) != NULL, "missing: %s in\n%s", lines[i], text);
    const char *first = strstr(text, "# TYPE gen_ai_client_token_usage ");
    ck_assert(first != NULL && strstr(first + 1, "# TYPE gen_ai_client_token_usage ") == NULL); /* once */
    bezel_text_free(engine, text);
}
END_TEST

START_TEST(more_models_than_there_is_room_for_are_other)
{
    char name[32], *text = NULL;
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "model%d", i);
        ck_assert_int_eq(add(1, 100, 10, 1, name), BEZEL_OK);
    }
    ck_assert_int_eq(bezel_monitor_prometheus(&text, NULL, monitor, &err), BEZEL_OK);
    ck_assert_ptr_nonnull(strstr(text, "gen_ai_request_model=\"other\",error_type=\"\"} 36\n"));
    bezel_text_free(engine, text);
}
END_TEST

/* --- Sink, options, memory ---------------------------------------------------------------- */

START_TEST(a_sink_that_fails_loses_no_row)
{
    bezel_monitor_performance p = {.size = sizeof p};
    seen.status = BEZEL_ERR_IO;
    ck_assert_int_eq(add(1, 100, 10, 1, "a"), BEZEL_ERR_IO);
    ck_assert_int_eq(bezel_monitor_summary(&p, monitor, NULL, 0, &err), BEZEL_OK);
}
END_TEST

START_TEST(options_and_records_are_checked)
{
    bezel_monitor *other = NULL;
    bezel_monitor_options o;
    bezel_monitor_sink sink = {sizeof sink, 0, NULL, NULL};
    bezel_monitor_thresholds bad = BEZEL_THRESHOLDS_INIT;
    bezel_monitor_options_init(&o);
    o.max_records = 0;
    ck_assert_int_eq(bezel_monitor_new(&other, engine, &o, &err), BEZEL_ERR_RANGE);
    bezel_monitor_options_init(&o);
    o.sink = &sink;
    ck_assert_int_eq(bezel_monitor_new(&other, engine, &o, &err), BEZEL_ERR_ARGUMENT);
    bezel_monitor_options_init(&o);
    bad.min_success_rate = (double)NAN;
    o.thresholds = &bad;
    o.n_thresholds = 1;
    ck_assert_int_eq(bezel_monitor_new(&other, engine, &o, &err), BEZEL_ERR_RANGE);
    ck_assert_ptr_null(other);
    const bezel_monitor_record empty = {.size = sizeof empty};
    ck_assert_int_eq(bezel_monitor_add(monitor, &empty, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(seen.n, 0);
    ck_assert_str_eq(bezel_health_name(9), "");
    ck_assert_str_eq(bezel_severity_name(0), "");
}
END_TEST

static bezel_status use_once(test_world *w, void *ctx)
{
    bezel_engine *e = NULL;
    bezel_monitor *m = NULL;
    char *text = NULL;
    const bezel_journal *journal = NULL;
    (void)ctx;
    bezel_monitor_thresholds list[2] = {BEZEL_THRESHOLDS_INIT, BEZEL_THRESHOLDS_INIT};
    bezel_monitor_options o;
    bezel_monitor_options_init(&o);
    list[0].model = "a";
    o.thresholds = list;
    o.n_thresholds = 2;
    bezel_status st = test_engine_try(&e, w, 1, BEZEL_ISA_AUTO, NULL);
    if (st == BEZEL_OK)
        st = bezel_monitor_new(&m, e, &o, NULL);
    bezel_monitor_request r = {.size = sizeof r, .model = "a", .error = "x"};
    bezel_monitor_quality q = {.size = sizeof q, .model = "b"};
    const bezel_monitor_record record = {.size = sizeof record, .request = &r, .quality = &q};
    const bezel_monitor_answer answer = {.size = sizeof answer, .question = "a b", .answer = "c d", .reference = "e"};
    bezel_monitor_performance p = {.size = sizeof p};
    if (st == BEZEL_OK)
        st = bezel_monitor_add(m, &record, NULL);
    r.is_success = 1;
    if (st == BEZEL_OK)
        st = bezel_monitor_add(m, &record, NULL);
    if (st == BEZEL_OK)
        st = bezel_monitor_evaluate(NULL, m, &answer, NULL);
    if (st == BEZEL_OK)
        st = bezel_monitor_journal(&journal, m, NULL, NULL);
    if (st == BEZEL_OK)
        st = bezel_monitor_summary(&p, m, NULL, 0, NULL);
    if (st == BEZEL_OK)
        st = bezel_monitor_json(&text, NULL, m, NULL);
    bezel_text_free(e, text);
    text = NULL;
    if (st == BEZEL_OK)
        st = bezel_monitor_prometheus(&text, NULL, m, NULL);
    bezel_text_free(e, text);
    bezel_monitor_free(m);
    bezel_engine_free(e);
    return st;
}

START_TEST(every_failing_allocation_is_reported)
{
    test_world_sweep(&tw, use_once, NULL, BEZEL_OK);
}
END_TEST

/* --- Health ------------------------------------------------------------------------------- */

START_TEST(r14_without_a_model_a_service_is_unhealthy)
{
    bezel_monitor_health h;
    ck_assert_int_eq(bezel_monitor_check(&h, monitor, NULL, &err), BEZEL_OK);
    ck_assert_str_eq(bezel_health_name(h.status), "unhealthy");
    ck_assert_int_eq(h.is_model_loaded, 0);
    ck_assert_str_eq(h.errors[0], "no model is loaded");
    ck_assert_ptr_null(h.errors[1]);
    ck_assert_int_eq(seen.n_health, 1);
}
END_TEST

START_TEST(r14_a_model_that_answers_is_healthy_and_a_late_one_degraded)
{
    tiny_model tiny;
    bezel_monitor_health h;
    tiny_model_open(&tiny, BEZEL_ISA_AUTO, 1, &tw.world);
    ck_assert_int_eq(bezel_monitor_check(&h, monitor, tiny.model, &err), BEZEL_OK);
    ck_assert_msg(h.status == BEZEL_HEALTHY, "%s", h.errors[0] ? h.errors[0] : "");
    ck_assert_int_eq(h.is_model_loaded, 1);
    ck_assert_int_eq(h.is_multimodal, 0);
    ck_assert_int_gt(h.response_us, 0);
    ck_assert_uint_gt(h.memory_bytes, 0);
    ck_assert_ptr_null(h.errors[0]);
    test_world_clock(&tw, 0, 0);
    tw.step_ns = 30000000; /* each look at the clock takes 30 ms, and there are hundreds */
    ck_assert_int_eq(bezel_monitor_check(&h, monitor, tiny.model, &err), BEZEL_OK);
    ck_assert_msg(h.status == BEZEL_DEGRADED, "%lld us: %s", (long long)h.response_us, h.errors[0] ? h.errors[0] : "");
    ck_assert_int_gt(h.response_us, 5000000);
    ck_assert_ptr_nonnull(h.errors[0]);
    tw.step_ns = 0;
    tw.is_fake = 0;
    test_world_arm(&tw, 1, 1); /* a probe that fails */
    ck_assert_int_eq(bezel_monitor_check(&h, monitor, tiny.model, &err), BEZEL_OK);
    test_world_arm(&tw, 0, 0);
    ck_assert_uint_eq(h.status, BEZEL_UNHEALTHY);
    ck_assert_int_eq(h.is_model_loaded, 1);
    ck_assert_ptr_nonnull(h.errors[0]);
    tiny_model_close(&tiny);
}
END_TEST

START_TEST(r14_a_probe_in_steps_stands_still_for_no_step)
{
    tiny_model tiny;
    bezel_monitor_probe *probe = NULL;
    bezel_monitor_health h;
    int n = 0;
    tiny_model_open(&tiny, BEZEL_ISA_AUTO, 1, &tw.world);
    ck_assert_int_eq(bezel_monitor_probe_new(&probe, monitor, tiny.model, &err), BEZEL_OK);
    bezel_status st;
    while ((st = bezel_monitor_probe_step(&h, probe, 0, &err)) == BEZEL_MORE)
        n++;
    ck_assert_int_eq(st, BEZEL_DONE);
    ck_assert_int_gt(n, 10); /* at least a step a token */
    ck_assert_uint_eq(h.status, BEZEL_HEALTHY);
    ck_assert_int_eq(bezel_monitor_probe_step(&h, probe, 0, &err), BEZEL_DONE);
    bezel_monitor_probe_free(probe);
    ck_assert_int_eq(bezel_monitor_probe_new(&probe, monitor, tiny.model, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_monitor_probe_step(&h, probe, 0, &err), BEZEL_MORE);
    bezel_monitor_probe_free(probe); /* in the middle */
    test_world_clock(&tw, 0, 0);
    tw.step_ns = INT64_C(30000000000); /* a model that never gets ready is given up */
    ck_assert_int_eq(bezel_monitor_check(&h, monitor, tiny.model, &err), BEZEL_OK);
    ck_assert_uint_eq(h.status, BEZEL_UNHEALTHY);
    ck_assert_ptr_nonnull(strstr(h.errors[0], "in 20 s"));
    tw.step_ns = 0;
    tw.is_fake = 0;
    tiny_model_close(&tiny);
}
END_TEST

Suite *monitor_suite(void);
Suite *monitor_suite(void)
{
    Suite *s = suite_create("monitor");
    TCase *t = tcase_create("monitor");
    tcase_add_checked_fixture(t, monitor_setup, monitor_teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, r27_a_request_is_measured_between_begin_and_end);
    tcase_add_test(t, r27_each_turn_of_an_agent_is_a_request_and_reaches_the_next_journal);
    tcase_add_test(t, r29_the_summary_has_the_documented_numbers);
    tcase_add_test(t, r29_old_rows_leave_and_the_last_hundred_are_the_default);
    tcase_add_test(t, r28_relevance_is_twice_the_share_of_common_words);
    tcase_add_test(t, r28_coherence_follows_the_length_of_sentences);
    tcase_add_test(t, r28_safety_and_accuracy_count_their_words);
    tcase_add_test(t, r28_scores_come_from_a_function_of_the_host_when_it_has_one);
    tcase_add_test(t, r30_the_quality_summary_is_the_mean_of_the_means);
    tcase_add_test(t, r31_each_alert_begins_at_its_threshold_and_ends);
    tcase_add_test(t, r31_reliability_is_high_below_95_percent_of_the_last_ten);
    tcase_add_test(t, r31_a_model_may_have_thresholds_of_its_own);
    tcase_add_test(t, r32_the_export_is_one_json_file_with_everything);
    tcase_add_test(t, prometheus_text_has_cumulative_buckets_under_the_names_of_opentelemetry);
    tcase_add_test(t, more_models_than_there_is_room_for_are_other);
    tcase_add_test(t, a_sink_that_fails_loses_no_row);
    tcase_add_test(t, options_and_records_are_checked);
    tcase_add_test(t, every_failing_allocation_is_reported);
    tcase_add_test(t, r14_without_a_model_a_service_is_unhealthy);
    tcase_add_test(t, r14_a_probe_in_steps_stands_still_for_no_step);
    tcase_add_test(t, r14_a_model_that_answers_is_healthy_and_a_late_one_degraded);
    suite_add_tcase(s, t);
    return s;
}
