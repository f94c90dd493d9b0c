/* SPDX-License-Identifier: MIT */
/* A store of many requests, for reports and statistics:
 *
 *     fill_store FILE TURNS [END_MS]     ends now, or at END_MS; prints what is in it as a line of JSON
 *
 * 45 days with nights and weekends, two models, forty users, five tools, failures, alerts, some conversations, among them one
 * whose texts try to break out of a page. The same numbers each time. Rows go in by SQL, conversations through the journal. */
#include <bezel/bezel.h>
#include <bezel/store.h>

#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DAYS = 45, HOURS = DAYS * 24 };
#define HOUR_MS 3600000LL

typedef struct fill_sums {
    long long turns, failed, calls, failed_calls, prompt, generated;
} fill_sums;

static uint64_t seed = 20261124;
static double uniform(void)
{
    seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
    return ((double)(seed >> 11) + 0.5) / 9007199254740992.0;
}
/* About e to a normal distribution: median times exp(spread * z). */
static double about(double median, double spread)
{
    double z = 0;
    for (int i = 0; i < 12; i++)
        z += uniform();
    return median * exp(spread * (z - 6));
}

static void check(int rc, sqlite3 *db, int wanted)
{
    if (rc == wanted)
        return;
    fprintf(stderr, "fill_store: %s\n", sqlite3_errmsg(db));
    exit(1);
}
static sqlite3_stmt *prepare(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *s = NULL;
    check(sqlite3_prepare_v2(db, sql, -1, &s, NULL), db, SQLITE_OK);
    return s;
}
static void run(sqlite3 *db, sqlite3_stmt *s)
{
    check(sqlite3_step(s), db, SQLITE_DONE);
    sqlite3_reset(s);
    sqlite3_clear_bindings(s);
}
static void text(sqlite3_stmt *s, int i, const char *value)
{
    if (value)
        sqlite3_bind_text(s, i, value, -1, SQLITE_TRANSIENT);
}

/* Requests in an hour, relative: few at night and on weekends, more each week. */
static double weight(int hour)
{
    int h = hour % 24, d = hour / 24;
    double day = h < 6 ? 0.15 : h < 9 ? 0.6 : h < 18 ? 1.6 : 0.9;
    return day * (d % 7 >= 5 ? 0.45 : 1) * (0.7 + 0.6 * d / DAYS);
}

static void fill_calls(sqlite3 *db, sqlite3_stmt *s, const char *turn, fill_sums *sums)
{
    static const char *const names[] = {"get_weather", "get_alerts", "search_notes", "send_message", "convert_units"};
    static const double share[] = {0.42, 0.63, 0.85, 0.93, 1};
    double u = uniform(), bad = uniform();
    int which = 0;
    while (which < 4 && u > share[which])
        which++;
    const char *code = which == 1 && bad < 0.13 ? "timeout" : which == 3 && bad < 0.2 ? "denied" : bad < 0.02 ? "callback" : NULL;
    text(s, 1, turn);
    text(s, 2, names[which]);
    text(s, 3, code);
    sqlite3_bind_int64(s, 4, (sqlite3_int64)about(which == 4 ? 300 : 90000, 0.7));
    run(db, s);
    sums->calls++;
    sums->failed_calls += code != NULL;
}

static void fill_rows(sqlite3 *db, long long n, long long end, fill_sums *sums)
{
    static const char *const codes[] = {"timeout", "loop", "full", "cancelled"};
    sqlite3_stmt *turn = prepare(db, "INSERT INTO turn(id, user, model, started_ms, duration_us, status, error, withdrawn)"
                                     " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 0)");
    sqlite3_stmt *usage = prepare(db, "INSERT INTO usage(turn, user, model, step, started_ms, prompt_tokens, cached_tokens,"
                                      " generated_tokens, dropped_tokens, first_token_us, duration_us, tokens_per_second,"
                                      " stop_reason, error) VALUES (?1, ?2, ?3, 0, ?4, ?5, ?6, ?7, 0, ?8, ?9, ?10, ?11, ?12)");
    sqlite3_stmt *call = prepare(db, "INSERT INTO tool_call(turn, step, name, error_code, repeated, duration_us)"
                                     " VALUES (?1, 0, ?2, ?3, 0, ?4)");
    sqlite3_stmt *request = prepare(db, "INSERT INTO request(at_ms, user, model, operation, success, code, input_characters,"
                                        " prompt_tokens, cached_tokens, generated_tokens, first_token_us, duration_us,"
                                        " memory_bytes, allocator_bytes, gpu_bytes)"
                                        " VALUES (?1, ?2, ?3, 'chat', ?4, ?5, 80, 100, 60, 40, 90000, ?6, ?7, ?7, 0)");
    double all = 0, begin = 0;
    for (int h = 0; h < HOURS; h++)
        all += weight(h);
    long long made = 0;
    for (int h = 0; h < HOURS; h++) {
        begin += weight(h);
        for (long long upto = (long long)((double)n * begin / all + 0.5); made < upto; made++) {
            char id[32], user[32];
            int big = uniform() < 0.24, ill = h / 24 == 31 && uniform() < 0.3;
            const char *model = big ? "gemma-3-1b-it" : "gemma-3-270m-it", *code = NULL;
            long long at = end - (HOURS - h) * HOUR_MS + (long long)(uniform() * HOUR_MS), prompt = (long long)about(420, 0.5),
                      cached = (long long)((double)prompt * (0.4 + 0.5 * uniform())), generated = 1 + (long long)about(60, 0.8);
            double speed = about(big ? 24 : 88, 0.15), first = about(big ? 420 : 110, 0.5) * (ill ? 6 : 1);
            double us = first * 1000 + (double)(generated - 1) * 1e6 / speed;
            if (uniform() < (ill ? 0.25 : 0.012))
                code = codes[ill ? 0 : (int)(uniform() * 4)];
            snprintf(id, sizeof id, "0FILL%021lld", made);
            snprintf(user, sizeof user, "user-%02d", (int)(40 * uniform() * uniform()));
            text(turn, 1, id), text(turn, 2, user), text(turn, 3, model);
            sqlite3_bind_int64(turn, 4, at);
            sqlite3_bind_int64(turn, 5, (sqlite3_int64)(us + about(30000, 0.8)));
            text(turn, 6, code), text(turn, 7, code ? "the turn did not end in an answer" : NULL);
            run(db, turn);
            text(usage, 1, id), text(usage, 2, user), text(usage, 3, model);
            sqlite3_bind_int64(usage, 4, at), sqlite3_bind_int64(usage, 5, prompt), sqlite3_bind_int64(usage, 6, cached);
            sqlite3_bind_int64(usage, 7, generated), sqlite3_bind_int64(usage, 8, (sqlite3_int64)(first * 1000));
            sqlite3_bind_int64(usage, 9, (sqlite3_int64)us), sqlite3_bind_double(usage, 10, speed);
            text(usage, 11, code ? "none" : uniform() < 0.07 ? "max_tokens" : uniform() < 0.5 ? "stop" : "eos"), text(usage, 12, code);
            run(db, usage);
            sqlite3_bind_int64(request, 1, at), text(request, 2, user), text(request, 3, model);
            sqlite3_bind_int(request, 4, code == NULL), text(request, 5, code);
            sqlite3_bind_int64(request, 6, (sqlite3_int64)us);
            sqlite3_bind_int64(request, 7, (sqlite3_int64)((big ? 1180 : 410) + 90 * uniform()) << 20);
            run(db, request);
            sums->turns++, sums->failed += code != NULL, sums->prompt += prompt, sums->generated += generated;
            if (uniform() < 0.55)
                fill_calls(db, call, id, sums);
        }
    }
    sqlite3_finalize(turn), sqlite3_finalize(usage), sqlite3_finalize(call), sqlite3_finalize(request);
}

static void fill_alerts(sqlite3 *db, long long end)
{
    sqlite3_stmt *s = prepare(db, "INSERT INTO alert(at_ms, model, type, severity, metric, value, threshold, is_over, message)"
                                  " VALUES (?1, 'gemma-3-270m-it', 'reliability', 'high', 'success_rate', ?2, 0.95, ?3, ?4)");
    sqlite3_stmt *q = prepare(db, "INSERT INTO quality(at_ms, model, relevance, coherence, safety, accuracy, has_reference)"
                                  " VALUES (?1, ?2, ?3, 0.85, 1, 0.6, 0)");
    for (int i = 0; i < 2; i++) {
        sqlite3_bind_int64(s, 1, end - (14 - i) * 24 * HOUR_MS + 5 * HOUR_MS);
        sqlite3_bind_double(s, 2, i ? 0.98 : 0.72);
        sqlite3_bind_int(s, 3, i);
        text(s, 4, i ? "the success rate is 98 % again" : "the success rate is 72 %, at least 95 % is wanted");
        run(db, s);
    }
    for (int i = 0; i < 400; i++) {
        sqlite3_bind_int64(q, 1, end - i * HOUR_MS);
        text(q, 2, i % 4 ? "gemma-3-270m-it" : "gemma-3-1b-it");
        sqlite3_bind_double(q, 3, 0.4 + 0.5 * uniform());
        run(db, q);
    }
    sqlite3_finalize(s), sqlite3_finalize(q);
    check(sqlite3_exec(db,
                       "INSERT INTO guard_decision(at_ms, kind, outcome, rule) SELECT at_ms, 'input', 'changed', 'invisible' FROM"
                       " request WHERE id % 900 = 0; INSERT INTO guard_decision(at_ms, kind, outcome, rule) SELECT at_ms, 'rate',"
                       " 'refused', 'window' FROM request WHERE id % 2100 = 0; INSERT INTO decision(turn, step, at_us, kind,"
                       " outcome, name) SELECT turn, 0, 1, 'permission', 'denied', name FROM tool_call WHERE error_code = 'denied';",
                       NULL, NULL, NULL), db, SQLITE_OK);
}

static void talk(bezel_store *store, const char *title, const char *user, const char *question, const char *tool, const char *arguments,
                 const char *result, const char *answer, long long at)
{
    bezel_error err = BEZEL_ERROR_INIT;
    char id[32], call[256];
    snprintf(call, sizeof call, "FUNCTION_CALL: %s(...)", tool);
    bezel_journal_message messages[4] = {{BEZEL_ROLE_USER, 0, question, strlen(question)}, {BEZEL_ROLE_ASSISTANT, 0, call, strlen(call)},
                                         {BEZEL_ROLE_TOOL, 0, result, strlen(result)}, {BEZEL_ROLE_ASSISTANT, 1, answer, strlen(answer)}};
    bezel_journal_call calls[1] = {{0, 0, tool, arguments, result, NULL, NULL, 84000}};
    bezel_journal_usage usages[2] = {{0, BEZEL_STOP_STRING, 380, 300, 18, 0, 90000, 300000, NULL, 0},
                                     {1, BEZEL_STOP_EOS, 430, 400, 34, 0, 40000, 420000, NULL, 0}};
    bezel_journal_turn turn = {.size = sizeof turn, .conversation = id, .user = user, .model = "gemma-3-270m-it", .started_ms = at,
                               .duration_us = 900000, .messages = messages, .n_messages = 4, .calls = calls, .n_calls = 1,
                               .usages = usages, .n_usages = 2};
    if (bezel_store_begin(id, store, title, user, &err) != BEZEL_OK ||
        bezel_store_journal(store)->write(bezel_store_journal(store)->ud, &turn, &err) != BEZEL_OK) {
        fprintf(stderr, "fill_store: %s\n", err.text);
        exit(1);
    }
}

static void fill_talks(bezel_store *store, long long end, fill_sums *sums)
{
    static const struct { const char *title, *user, *question, *tool, *arguments, *result, *answer; } talks[] = {
        {"Umbrella for Tokyo?", "user-03", "Will it rain in Tokyo this afternoon?", "get_weather", "{\"city\":\"Tokyo\"}",
         "{\"rain_mm\":4.2,\"wind\":\"18 km/h\"}", "Yes. About 4 mm are expected between two and five; take an umbrella."},
        {"Storm warnings", "user-07", "Are there any severe weather alerts for Hamburg?", "get_alerts",
         "{\"city\":\"Hamburg\",\"severity\":\"severe\"}", "[]", "No, there are none for Hamburg at the moment."},
        {"Miles", "user-01", "How many kilometres are 26.2 miles?", "convert_units", "{\"from\":\"mile\",\"to\":\"km\",\"x\":26.2}", "42.16",
         "26.2 miles are 42.16 km."},
        {"</script><script>document.title='broken'</script>", "user-<b>", "<img src=x onerror=\"document.title='broken'\"> & \xe2\x80\xa8 <!-- <script>",
         "search_notes", "{\"q\":\"</script>\"}", "\"--></style>\"", "Nothing <b>bold</b> happened."},
    };
    for (size_t i = 0; i < sizeof talks / sizeof *talks; i++) {
        talk(store, talks[i].title, talks[i].user, talks[i].question, talks[i].tool, talks[i].arguments, talks[i].result,
             talks[i].answer, end - 60000);
        sums->turns++, sums->calls++, sums->prompt += 810, sums->generated += 52;
    }
}

int main(int argc, char **argv)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_engine *engine = NULL;
    bezel_store *store = NULL;
    sqlite3 *db = NULL;
    fill_sums sums = {0};
    if (argc < 3) {
        fputs("usage: fill_store FILE TURNS [END_MS]\n", stderr);
        return 2;
    }
    if (bezel_engine_new(&engine, NULL, &err) != BEZEL_OK || bezel_store_open(&store, engine, argv[1], NULL, &err) != BEZEL_OK) {
        fprintf(stderr, "fill_store: %s\n", err.text);
        return 1;
    }
    const bezel_world *world = bezel_engine_world(engine);
    long long end = argc > 3 ? atoll(argv[3]) : (long long)world->wall_ms(world->ud);
    check(sqlite3_open(argv[1], &db), db, SQLITE_OK);
    check(sqlite3_exec(db, "BEGIN", NULL, NULL, NULL), db, SQLITE_OK);
    fill_rows(db, atoll(argv[2]), end, &sums);
    fill_alerts(db, end);
    check(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), db, SQLITE_OK);
    sqlite3_close(db);
    fill_talks(store, end, &sums);
    bezel_store_close(store);
    bezel_engine_free(engine);
    printf("{\"turns\":%lld,\"failed\":%lld,\"calls\":%lld,\"failed_calls\":%lld,\"prompt_tokens\":%lld,\"generated_tokens\":%lld}\n",
           sums.turns, sums.failed, sums.calls, sums.failed_calls, sums.prompt, sums.generated);
    return 0;
}
