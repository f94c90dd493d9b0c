/* SPDX-License-Identifier: MIT */
/* A store that is used for long: many rows of usage and requests, every view answers soon. BEZEL_SOAK_ROWS (default 20,000) says
 * how many rows of usage, BEZEL_SOAK_BYTES the bound of the file (default 1 GiB); with
 * BEZEL_SOAK_SHOW set the times are printed, and BEZEL_SOAK_FILE keeps the file there. */
#include <bezel/bezel.h>
#include <bezel/monitor.h>
#include <bezel/store.h>

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/rng.h"
#include "support/store_turn.h"
#include "support/temp_folder.h"
#include "support/test_engine.h"

enum { CALLS = 4, DAYS = 400, USERS = 2000 };

static temp_folder folder;
static char path[600];
static bezel_engine *engine;
static bezel_store *store;
static bezel_error err;
static bz_rng rng;

static void setup(void)
{
    err = (bezel_error)BEZEL_ERROR_INIT;
    temp_folder_make(&folder);
    const char *file = getenv("BEZEL_SOAK_FILE");
    snprintf(path, sizeof path, "%s", file ? file : temp_folder_file(&folder, "soak.db"));
    engine = test_engine_new(NULL, 1, BEZEL_ISA_SCALAR);
    bz_rng_seed(&rng, 20261124);
}

static void teardown(void)
{
    bezel_store_close(store);
    bezel_engine_free(engine);
    temp_folder_remove(&folder);
}

static uint64_t below(uint64_t n) { return bz_rng_next(&rng) % n; }

/* Some users ask much, most ask little. */
static uint64_t a_user(void) { return below(below(USERS) + 1); }

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void turn_write(const char *conversation, int64_t at_ms)
{
    static const char *const models[] = {"gemma-270m", "gemma-1b", "gemma-4b"};
    static const char *const tools[] = {"get_weather", "get_tide", "search", "read_file", "get_time"};
    static const char *const errors[] = {"loop", "full", "cancelled"};
    bezel_journal_usage usages[CALLS] = {{0}};
    char user[24];
    store_turn t;
    store_turn_fill(&t, conversation, "What is the tide at the pier tomorrow at noon?", "It is two metres and falling.");
    snprintf(user, sizeof user, "user-%d", (int)a_user());
    t.turn.user = user;
    t.turn.model = models[below(3)];
    t.turn.started_ms = at_ms;
    t.turn.duration_us = 0;
    t.calls[0].name = tools[below(5)];
    t.calls[0].duration_us = 100 + (int64_t)below(50000);
    for (int i = 0; i < CALLS; i++) {
        usages[i] = (bezel_journal_usage){(uint32_t)i, BEZEL_STOP_EOS, 100 + below(900), 50, 10 + below(90), 0, 20000, 0, NULL, 0};
        usages[i].first_token_us = 10000 + (int64_t)below(300000);
        usages[i].total_us = usages[i].first_token_us + 100000 + (int64_t)below(2000000);
        t.turn.duration_us += usages[i].total_us;
    }
    t.turn.usages = usages;
    t.turn.n_usages = CALLS;
    t.turn.status = below(50) ? NULL : errors[below(3)];
    t.turn.error = t.turn.status;
    if (t.turn.status && below(2))
        usages[CALLS - 1].error = t.turn.status;
    const bezel_journal *journal = bezel_store_journal(store);
    ck_assert_msg(journal->write(journal->ud, &t.turn, &err) == BEZEL_OK, "%s", err.text);

    static const bezel_monitor_decision decisions[] = {{1, "rate", "allowed", NULL, NULL}, {2, "output", "allowed", NULL, NULL}};
    const bezel_monitor_request r = {.size = sizeof r,
                                     .is_success = t.turn.status == NULL,
                                     .at_ms = at_ms,
                                     .duration_us = t.turn.duration_us,
                                     .first_token_us = usages[0].first_token_us,
                                     .memory_bytes = UINT64_C(700) << 20,
                                     .n_prompt = 400,
                                     .n_generated = 200,
                                     .n_input = 80,
                                     .tokens_per_second = 20,
                                     .model = t.turn.model,
                                     .user = user,
                                     .operation = "invoke_agent",
                                     .stop_reason = "eos",
                                     .code = t.turn.status};
    const bezel_monitor_quality q = {.size = sizeof q, .at_ms = at_ms, .relevance = 1, .coherence = 0.9, .safety = 1,
                                     .accuracy = 0.5, .satisfaction = 0.5, .model = t.turn.model, .user = user};
    const bezel_monitor_record record = {
        .size = sizeof record, .request = &r, .quality = &q, .n_decisions = 2, .decisions = decisions};
    const bezel_monitor_sink *sink = bezel_store_monitor(store);
    ck_assert_msg(sink->write(sink->ud, &record, &err) == BEZEL_OK, "%s", err.text);
}

/* Seconds until the first 100 rows of a view are there, at best of three. */
static double view_seconds(const char *view)
{
    double best = 1e9;
    for (int i = 0; i < 3; i++) {
        bezel_value *rows = NULL;
        bezel_tree *tree = NULL;
        char sql[100];
        ck_assert_int_eq(bezel_tree_new(&tree, engine, &err), BEZEL_OK);
        snprintf(sql, sizeof sql, "SELECT * FROM %s LIMIT 100", view);
        const double begin = seconds();
        ck_assert_msg(bezel_store_query(&rows, tree, store, sql, NULL, &err) == BEZEL_OK, "%s: %s", view, err.text);
        const double took = seconds() - begin;
        best = took < best ? took : best;
        bezel_tree_free(tree);
    }
    return best;
}

START_TEST(r34_r35_every_view_of_a_full_store_answers_in_a_tenth_of_a_second)
{
    const char *wish = getenv("BEZEL_SOAK_ROWS");
    const int show = getenv("BEZEL_SOAK_SHOW") != NULL;
    const int turns = (wish ? atoi(wish) : 20000) / CALLS;
    const int64_t now = (int64_t)time(NULL) * 1000;
    char id[32];
    struct stat info;
    bezel_store_options o;
    bezel_store_options_init(&o);
    if (getenv("BEZEL_SOAK_BYTES"))
        o.max_bytes = strtoull(getenv("BEZEL_SOAK_BYTES"), NULL, 10);
    ck_assert_int_eq(bezel_store_open(&store, engine, path, &o, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_store_begin(id, store, "long", "user-1", &err), BEZEL_OK);
    const double begin = seconds();
    if (store_turn_count(store, engine, "SELECT count(*) FROM (SELECT 1 FROM turn LIMIT 1)") == 0) {
        for (int i = 0; i < turns; i++)
            turn_write(i % 20 ? NULL : id, now - (int64_t)(turns - i) * (DAYS * INT64_C(86400000) / turns));
    }
    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert_uint_le((uint64_t)info.st_size, o.max_bytes);
    ck_assert_int_eq(store_turn_count(store, engine, "SELECT sum(turns) FROM usage_by_day"), turns);
    if (show) {
        fprintf(stderr, "%d usage rows in %.1f s, %.1f us a turn with its request; file %.1f MB\n", turns * CALLS, seconds() - begin,
                (seconds() - begin) * 1e6 / turns, (double)info.st_size / 1e6);
    }
    const char *const *views = bezel_store_views();
    for (; *views; views++) {
        const double took = view_seconds(*views);
        if (show)
            fprintf(stderr, "%8.2f ms  %s\n", took * 1e3, *views);
        ck_assert_msg(took < 0.1 || wish == NULL, "%s took %.0f ms", *views, took * 1e3);
        ck_assert_msg(took < 1, "%s took %.0f ms", *views, took * 1e3); /* a loaded machine is no failure */
    }
}
END_TEST

Suite *store_soak_suite(void);
Suite *store_soak_suite(void)
{
    Suite *s = suite_create("store_soak");
    TCase *t = tcase_create("soak");
    tcase_set_timeout(t, 900);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, r34_r35_every_view_of_a_full_store_answers_in_a_tenth_of_a_second);
    suite_add_tcase(s, t);
    return s;
}
