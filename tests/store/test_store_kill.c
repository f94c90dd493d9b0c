/* SPDX-License-Identifier: MIT */
/* Processes that are killed while they write: every acknowledged turn is there, wholly, and none is torn. BEZEL_KILL_ROUNDS says
 * how often (60 unless told; 300 kills are the documented proof, with 5,000 acknowledged turns at least). */
#include <bezel/bezel.h>
#include <bezel/store.h>

#include <check.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rng.h"
#include "support/store_turn.h"
#include "support/temp_folder.h"
#include "support/test_engine.h"

enum { ROUNDS = 60, WHOLE_ROUNDS = 300, WHOLE_TURNS = 5000, WRITERS = 2 };

static temp_folder folder;
static char path[600];
static bezel_engine *engine;
static bezel_error err;

static void setup(void)
{
    err = (bezel_error)BEZEL_ERROR_INIT;
    temp_folder_make(&folder);
    snprintf(path, sizeof path, "%s", temp_folder_file(&folder, "kill.db"));
    engine = test_engine_new(NULL, 1, BEZEL_ISA_SCALAR);
}

static void teardown(void)
{
    bezel_engine_free(engine);
    temp_folder_remove(&folder);
}

static void writer_exit(const char *what)
{
    fprintf(stderr, "writer: %s: %s\n", what, err.text);
    _exit(3);
}

/* Writes turns for ever; the number of each one goes into the pipe once the store has acknowledged it. */
static void write_turns(int fd, int32_t first)
{
    bezel_store *store = NULL;
    char id[32], question[64];
    if (bezel_store_open(&store, engine, path, NULL, &err) != BEZEL_OK)
        writer_exit("open");
    if (bezel_store_begin(id, store, "killed", NULL, &err) != BEZEL_OK)
        writer_exit("begin");
    for (int32_t n = first;; n++) {
        snprintf(question, sizeof question, "turn-%d", (int)n);
        if (store_turn_write(store, id, question, question, &err) != BEZEL_OK)
            writer_exit(question);
        if (write(fd, &n, sizeof n) != sizeof n)
            writer_exit("pipe");
    }
}

/* Starts a writer, kills it `delay_us` after its first acknowledged turn (or, with `early`, after its start), and
 * returns the number of the last acknowledged turn, first - 1 when there is none. */
static int32_t kill_writer(int32_t first, unsigned delay_us, int early, int *out_status)
{
    int ends[2];
    int32_t last = first - 1, n;
    ck_assert_int_eq(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        write_turns(ends[1], first);
    }
    close(ends[1]);
    if (!early) {
        ck_assert_int_eq(read(ends[0], &n, sizeof n), sizeof n);
        last = n;
    }
    usleep(delay_us);
    kill(pid, SIGKILL);
    waitpid(pid, out_status, 0);
    while (read(ends[0], &n, sizeof n) == (ssize_t)sizeof n)
        last = n;
    close(ends[0]);
    return last;
}

static void assert_whole(bezel_store *store)
{
    ck_assert_int_eq(store_turn_count(store, engine, "SELECT count(*) FROM turn WHERE"
                                                     " (SELECT count(*) FROM message m WHERE m.turn = turn.id) <> 4 OR"
                                                     " (SELECT count(*) FROM tool_call c WHERE c.turn = turn.id) <> 2 OR"
                                                     " (SELECT count(*) FROM usage u WHERE u.turn = turn.id) <> 2"),
                     0);
    ck_assert_int_eq(store_turn_count(store, engine, "SELECT count(*) FROM message_words WHERE message_words MATCH 'turn'"),
                     store_turn_count(store, engine, "SELECT count(*) FROM message WHERE role IN ('user','assistant')"
                                                     " AND text LIKE 'turn-%'"));
}

static void assert_integrity(void)
{
    sqlite3 *db;
    sqlite3_stmt *stmt;
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &stmt, NULL), SQLITE_OK);
    ck_assert_int_eq(sqlite3_step(stmt), SQLITE_ROW);
    ck_assert_str_eq((const char *)sqlite3_column_text(stmt, 0), "ok");
    sqlite3_finalize(stmt);
    ck_assert_int_eq(
        sqlite3_exec(db, "INSERT INTO message_words(message_words, rank) VALUES ('integrity-check', 1)", NULL, NULL, NULL),
        SQLITE_OK);
    sqlite3_close(db);
}

START_TEST(every_acknowledged_turn_survives_a_kill_at_any_moment)
{
    bz_rng rng;
    const char *wish = getenv("BEZEL_KILL_ROUNDS");
    const int rounds = wish ? atoi(wish) : ROUNDS;
    int32_t acknowledged = 0, first = 0;
    int status;
    bz_rng_seed(&rng, 20261124);
    for (int round = 0; round < rounds; round++) {
        /* every third round dies early: while opening, creating or recovering */
        int early = round % 3 == 2;
        const unsigned longest = early ? 12000 : wish ? 100000 : 25000;
        int32_t last = kill_writer(first, (unsigned)(bz_rng_next(&rng) % longest), early, &status);
        ck_assert(WIFSIGNALED(status));
        acknowledged += last - first + 1;
        bezel_store *store = NULL;
        bezel_status st = bezel_store_open(&store, engine, path, NULL, &err);
        ck_assert_msg(st == BEZEL_OK, "round %d: %s", round, err.text);
        char sql[200];
        snprintf(sql, sizeof sql,
                 "SELECT count(DISTINCT text) FROM message WHERE role = 'user' AND"
                 " CAST(substr(text, 6) AS INTEGER) BETWEEN %d AND %d",
                 (int)first, (int)last);
        ck_assert_int_eq(store_turn_count(store, engine, sql), last - first + 1);
        if (round % 10 == 0)
            assert_whole(store);
        bezel_store_close(store);
        first = last + 1000; /* the turn after the last acknowledged one may be there, too */
    }
    ck_assert_int_gt(acknowledged, rounds >= WHOLE_ROUNDS ? WHOLE_TURNS : rounds);
    if (wish)
        fprintf(stderr, "%d kills, %d acknowledged turns, none lost, none torn\n", rounds, (int)acknowledged);
    bezel_store *store = NULL;
    ck_assert_int_eq(bezel_store_open(&store, engine, path, NULL, &err), BEZEL_OK);
    assert_whole(store);
    bezel_store_close(store);
    assert_integrity();
}
END_TEST

START_TEST(killing_one_of_several_writers_does_not_disturb_the_others)
{
    int ends[WRITERS][2], status;
    pid_t pids[WRITERS];
    for (int i = 0; i < WRITERS; i++) {
        ck_assert_int_eq(pipe(ends[i]), 0);
        pids[i] = fork();
        if (pids[i] == 0)
            write_turns(ends[i][1], i * 1000000);
        close(ends[i][1]);
    }
    for (int round = 0; round < 10; round++) {
        int32_t last = kill_writer(10000000 + round * 10000, 2000, 0, &status);
        ck_assert(WIFSIGNALED(status));
        ck_assert_int_ge(last, 10000000 + round * 10000);
    }
    int64_t n = 0;
    for (int i = 0; i < WRITERS; i++) {
        int32_t number;
        kill(pids[i], SIGKILL);
        waitpid(pids[i], &status, 0);
        ck_assert(WIFSIGNALED(status)); /* it had not ended by itself: no write of it failed */
        while (read(ends[i][0], &number, sizeof number) == (ssize_t)sizeof number)
            n++;
        close(ends[i][0]);
    }
    bezel_store *store = NULL;
    ck_assert_int_eq(bezel_store_open(&store, engine, path, NULL, &err), BEZEL_OK);
    int64_t kept = store_turn_count(store, engine, "SELECT count(*) FROM message WHERE role = 'user' AND"
                                                   " CAST(substr(text, 6) AS INTEGER) < 10000000");
    ck_assert_int_ge(kept, n);
    ck_assert_int_le(kept, n + WRITERS);
    ck_assert_int_gt(n, 10);
    assert_whole(store);
    bezel_store_close(store);
    assert_integrity();
}
END_TEST

START_TEST(four_processes_write_500_turns_each_and_none_is_told_that_the_file_is_busy)
{
    enum { N = 4, TURNS = 500 };
    pid_t pids[N];
    for (int i = 0; i < N; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            bezel_store *store = NULL;
            char id[32];
            bezel_status st = bezel_store_open(&store, engine, path, NULL, &err);
            if (st == BEZEL_OK)
                st = bezel_store_begin(id, store, "t", NULL, &err);
            for (int k = 0; st == BEZEL_OK && k < TURNS; k++)
                st = store_turn_write(store, id, "turn-1", "turn-1", &err);
            if (st != BEZEL_OK)
                writer_exit("write");
            bezel_store_close(store);
            _exit(0);
        }
    }
    for (int i = 0; i < N; i++) {
        int status = -1;
        waitpid(pids[i], &status, 0);
        ck_assert_int_eq(status, 0);
    }
    bezel_store *store = NULL;
    ck_assert_int_eq(bezel_store_open(&store, engine, path, NULL, &err), BEZEL_OK);
    ck_assert_int_eq(store_turn_count(store, engine, "SELECT count(*) FROM turn"), N * TURNS);
    ck_assert_int_eq(store_turn_count(store, engine, "SELECT turns FROM usage_by_user"), N * TURNS);
    assert_whole(store);
    bezel_store_close(store);
    assert_integrity();
}
END_TEST

Suite *store_kill_suite(void);
Suite *store_kill_suite(void)
{
    Suite *s = suite_create("store_kill");
    TCase *t = tcase_create("kill");
    tcase_set_timeout(t, 600);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, every_acknowledged_turn_survives_a_kill_at_any_moment);
    tcase_add_test(t, killing_one_of_several_writers_does_not_disturb_the_others);
    tcase_add_test(t, four_processes_write_500_turns_each_and_none_is_told_that_the_file_is_busy);
    suite_add_tcase(s, t);
    return s;
}
