/* SPDX-License-Identifier: MIT */
/* Whose file is it: foreign, newer, damaged and empty files; several processes that create one store at once. */
#include <bezel/bezel.h>
#include <bezel/store.h>

#include <check.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rng.h"
#include "store_impl.h"
#include "support/store_turn.h"
#include "support/temp_folder.h"
#include "support/test_engine.h"

static temp_folder folder;
static char path[600];
static bezel_engine *engine;
static bezel_error err;

static void setup(void)
{
    err = (bezel_error)BEZEL_ERROR_INIT;
    temp_folder_make(&folder);
    snprintf(path, sizeof path, "%s", temp_folder_file(&folder, "store.db"));
    engine = test_engine_new(NULL, 1, BEZEL_ISA_SCALAR);
}

static void teardown(void)
{
    bezel_engine_free(engine);
    temp_folder_remove(&folder);
}

static bezel_status open_close(void)
{
    bezel_store *store = NULL;
    bezel_status st = bezel_store_open(&store, engine, path, NULL, &err);
    bezel_store_close(store);
    return st;
}

static void run_sql(const char *sql)
{
    sqlite3 *db;
    char *words = NULL;
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    int rc = sqlite3_exec(db, sql, NULL, NULL, &words);
    ck_assert_msg(rc == SQLITE_OK, "%s", words ? words : "");
    sqlite3_close(db);
}

static void assert_refused_untouched(bezel_status expected)
{
    size_t size, after_size;
    char *before = temp_folder_read(path, &size);
    ck_assert_int_eq(open_close(), expected);
    char *after = temp_folder_read(path, &after_size);
    ck_assert_uint_eq(size, after_size);
    ck_assert_mem_eq(before, after, size);
    ck_assert_int_eq(temp_folder_count(&folder, ""), 1);
    ck_assert_ptr_nonnull(strstr(err.text, path));
    ck_assert_str_ne(err.hint, "");
    free(before);
    free(after);
}

START_TEST(a_file_of_another_program_is_refused_and_not_changed)
{
    run_sql("CREATE TABLE notes(x); INSERT INTO notes VALUES (1);");
    assert_refused_untouched(BEZEL_ERR_FORMAT);
}
END_TEST

START_TEST(a_file_with_another_application_id_is_refused_and_not_changed)
{
    run_sql("PRAGMA application_id=7; PRAGMA user_version=1;");
    assert_refused_untouched(BEZEL_ERR_FORMAT);
}
END_TEST

START_TEST(a_file_that_is_no_database_is_refused_and_not_changed)
{
    static const char text[] = "This is a diary and not a database. This is a diary and not a database. Really, it is none.";
    temp_folder_write(path, text, sizeof text);
    assert_refused_untouched(BEZEL_ERR_FORMAT);
}
END_TEST

START_TEST(a_newer_schema_is_a_version_error_and_not_changed)
{
    ck_assert_int_eq(open_close(), BEZEL_OK);
    run_sql("PRAGMA journal_mode=DELETE; PRAGMA user_version=999;");
    assert_refused_untouched(BEZEL_ERR_VERSION);
    ck_assert_ptr_nonnull(strstr(err.text, "999"));
}
END_TEST

START_TEST(an_empty_file_becomes_a_store)
{
    temp_folder_write(path, "", 0);
    ck_assert_int_eq(open_close(), BEZEL_OK);
    ck_assert_int_eq(open_close(), BEZEL_OK);
    bezel_store_options o;
    bezel_store *store = NULL;
    bezel_store_options_init(&o);
    o.read_only = 1;
    snprintf(path, sizeof path, "%s", temp_folder_file(&folder, "empty.db"));
    temp_folder_write(path, "", 0);
    ck_assert_int_eq(bezel_store_open(&store, engine, path, &o, &err), BEZEL_ERR_FORMAT);
}
END_TEST

START_TEST(the_schema_says_whose_it_is)
{
    ck_assert_int_eq(open_close(), BEZEL_OK);
    bezel_store *store = NULL;
    ck_assert_int_eq(bezel_store_open(&store, engine, path, NULL, &err), BEZEL_OK);
    ck_assert_int_eq(store_turn_count(store, engine, "PRAGMA application_id"), 0x425a4c31);
    ck_assert_int_eq(store_turn_count(store, engine, "PRAGMA user_version"), bz_store_version);
    bezel_store_close(store);
}
END_TEST

START_TEST(a_file_of_an_older_schema_is_raised_and_keeps_its_rows)
{
    bezel_store *store = NULL;
    bezel_store_options o;
    run_sql(bz_store_steps[0]);
    run_sql("PRAGMA application_id=1113214001; PRAGMA user_version=1;"
            "INSERT INTO conversation VALUES ('C', 'old', 'ann', 'm', 1, 2);"
            "INSERT INTO turn VALUES ('T', 'C', 'ann', 'm', 1, 2, NULL, NULL, 0);");
    bezel_store_options_init(&o);
    o.read_only = 1;
    ck_assert_int_eq(bezel_store_open(&store, engine, path, &o, &err), BEZEL_ERR_VERSION);
    ck_assert_int_eq(bezel_store_open(&store, engine, path, NULL, &err), BEZEL_OK);
    ck_assert_int_eq(store_turn_count(store, engine, "PRAGMA user_version"), bz_store_version);
    ck_assert_int_eq(store_turn_count(store, engine, "SELECT count(*) FROM turn WHERE span IS NULL"), 1);
    ck_assert_int_eq(store_turn_write(store, "C", "question", "answer", &err), BEZEL_OK);
    ck_assert_int_eq(store_turn_count(store, engine, "SELECT count(*) FROM decisions"), 1);
    ck_assert_int_eq(store_turn_count(store, engine, "SELECT count(*) FROM usage_by_root"), 2);
    ck_assert_int_eq(store_turn_count(store, engine, "SELECT count(forced_tokens) FROM usage"), 2);
    bezel_store_close(store);
}
END_TEST

/* Tables of totals and the columns that tell their rows apart. */
static const char *const totals[] = {"usage_total", "tool_total", "event_total", "histogram"};

START_TEST(totals_of_an_older_file_are_those_that_its_turns_would_have_made)
{
    bezel_store *store = NULL;
    char id[32], sql[2000], newer[600];
    store_turn t;
    ck_assert_int_eq(bezel_store_open(&store, engine, path, NULL, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_store_begin(id, store, "t", NULL, &err), BEZEL_OK);
    const bezel_journal *journal = bezel_store_journal(store);
    for (int i = 0; i < 60; i++) {
        store_turn_fill(&t, i % 2 ? id : NULL, "question", "answer");
        t.turn.user = i % 3 ? "ann" : i % 2 ? "bob" : NULL;
        t.turn.model = i % 5 ? "tiny" : NULL;
        t.turn.started_ms += i * 20000000LL; /* about five and a half hours */
        t.usages[0].total_us = 1000 + 7919LL * i * i;
        t.usages[1].n_generated = (uint64_t)i % 3;
        t.usages[1].error = i % 7 == 0 ? "loop" : NULL;
        t.turn.status = i % 7 == 0 ? "loop" : i % 11 == 0 ? "full" : NULL;
        t.turn.error = t.turn.status;
        ck_assert_int_eq(journal->write(journal->ud, &t.turn, &err), BEZEL_OK);
    }
    ck_assert_int_gt(store_turn_count(store, engine, "SELECT count(*) FROM usage_total WHERE kind = 'all'"), 10);
    bezel_store_close(store);

    snprintf(newer, sizeof newer, "%s", path);
    snprintf(path, sizeof path, "%s", temp_folder_file(&folder, "older.db"));
    for (int v = 0; v < 3; v++)
        run_sql(bz_store_steps[v]);
    snprintf(sql, sizeof sql,
             "PRAGMA application_id=1113214001; PRAGMA user_version=3; ATTACH '%s' AS n;"
             "INSERT INTO conversation SELECT * FROM n.conversation; INSERT INTO turn SELECT * FROM n.turn;"
             "INSERT INTO usage SELECT * FROM n.usage; INSERT INTO tool_call SELECT * FROM n.tool_call;",
             newer);
    run_sql(sql);
    ck_assert_int_eq(open_close(), BEZEL_OK);
    for (size_t i = 0; i < sizeof totals / sizeof totals[0]; i++) {
        snprintf(sql, sizeof sql,
                 "ATTACH '%s' AS n; CREATE TEMP TABLE differs(n CHECK (n = 0));"
                 "INSERT INTO differs SELECT count(*) FROM (SELECT * FROM main.%s EXCEPT SELECT * FROM n.%s);"
                 "INSERT INTO differs SELECT count(*) FROM (SELECT * FROM n.%s EXCEPT SELECT * FROM main.%s);",
                 newer, totals[i], totals[i], totals[i], totals[i]);
        run_sql(sql);
    }
}
END_TEST

START_TEST(every_byte_flip_either_opens_or_is_an_error)
{
    char id[32];
    bezel_store *store = NULL;
    size_t size;
    bz_rng rng;
    ck_assert_int_eq(bezel_store_open(&store, engine, path, NULL, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_store_begin(id, store, "t", NULL, &err), BEZEL_OK);
    for (int i = 0; i < 20; i++)
        ck_assert_int_eq(store_turn_write(store, id, "question", "answer", &err), BEZEL_OK);
    bezel_store_close(store);
    char *good = temp_folder_read(path, &size);
    bz_rng_seed(&rng, 11);
    int opened = 0;
    for (int i = 0; i < 400; i++) {
        size_t at = i < 100 ? (size_t)i : (size_t)(bz_rng_next(&rng) % size);
        char old = good[at];
        good[at] = (char)(old ^ (1 << (bz_rng_next(&rng) % 8)));
        temp_folder_write(path, good, size);
        good[at] = old;
        bezel_status st = bezel_store_open(&store, engine, path, NULL, &err);
        if (st == BEZEL_OK) {
            bezel_tree *tree = NULL;
            bezel_value *rows = NULL;
            opened++;
            bezel_tree_new(&tree, engine, NULL);
            bezel_store_messages(&rows, tree, store, id, &err);
            bezel_store_search(&rows, tree, store, "question", 10, &err);
            bezel_store_query(&rows, tree, store, "SELECT * FROM usage_by_day", NULL, &err);
            store_turn_write(store, id, "question", "answer", &err);
            bezel_store_delete(store, id, &err);
            bezel_tree_free(tree);
        }
        bezel_store_close(store);
        unlink(temp_folder_file(&folder, "store.db-wal"));
        unlink(temp_folder_file(&folder, "store.db-shm"));
    }
    ck_assert_int_gt(opened, 10);
    free(good);
}
END_TEST

START_TEST(triggers_that_a_file_brings_do_not_run)
{
    ck_assert_int_eq(open_close(), BEZEL_OK);
    run_sql("CREATE TABLE stolen(x); CREATE TRIGGER thief AFTER INSERT ON message BEGIN"
            " INSERT INTO stolen VALUES (new.text); END;");
    bezel_store *store = NULL;
    char id[32];
    ck_assert_int_eq(bezel_store_open(&store, engine, path, NULL, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_store_begin(id, store, "t", NULL, &err), BEZEL_OK);
    ck_assert_int_eq(store_turn_write(store, id, "question", "answer", &err), BEZEL_OK);
    ck_assert_int_eq(store_turn_count(store, engine, "SELECT count(*) FROM stolen"), 0);
    bezel_store_close(store);
}
END_TEST

START_TEST(another_program_that_deletes_messages_keeps_the_index_right)
{
    bezel_store *store = NULL;
    char id[32];
    ck_assert_int_eq(bezel_store_open(&store, engine, path, NULL, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_store_begin(id, store, "t", NULL, &err), BEZEL_OK);
    ck_assert_int_eq(store_turn_write(store, id, "question", "answer", &err), BEZEL_OK);
    ck_assert_int_eq(store_turn_write(store, id, "question", "answer", &err), BEZEL_OK);
    run_sql("DELETE FROM message WHERE id = 1; UPDATE message SET text = 'changed' WHERE id = 5;"
            "INSERT INTO message_words(message_words, rank) VALUES ('integrity-check', 1);");
    ck_assert_int_eq(
        store_turn_count(store, engine, "SELECT count(*) FROM message_words WHERE message_words MATCH 'question'"), 0);
    bezel_store_close(store);
}
END_TEST

START_TEST(several_processes_that_create_one_store_at_once_all_succeed)
{
    enum { N = 6, TURNS = 20 };
    pid_t pids[N];
    for (int i = 0; i < N; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            bezel_store *store = NULL;
            char id[32];
            int bad = bezel_store_open(&store, engine, path, NULL, &err) != BEZEL_OK ||
                      bezel_store_begin(id, store, "t", NULL, &err) != BEZEL_OK;
            for (int k = 0; !bad && k < TURNS; k++)
                bad = store_turn_write(store, id, "question", "answer", &err) != BEZEL_OK;
            if (bad)
                fprintf(stderr, "%s\n", err.text);
            bezel_store_close(store);
            _exit(bad);
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
    ck_assert_int_eq(store_turn_count(store, engine, "SELECT count(DISTINCT id) FROM conversation"), N);
    bezel_store_close(store);
}
END_TEST

Suite *store_migrate_suite(void);
Suite *store_migrate_suite(void)
{
    Suite *s = suite_create("store_migrate");
    TCase *t = tcase_create("files");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_file_of_another_program_is_refused_and_not_changed);
    tcase_add_test(t, a_file_with_another_application_id_is_refused_and_not_changed);
    tcase_add_test(t, a_file_that_is_no_database_is_refused_and_not_changed);
    tcase_add_test(t, a_newer_schema_is_a_version_error_and_not_changed);
    tcase_add_test(t, an_empty_file_becomes_a_store);
    tcase_add_test(t, the_schema_says_whose_it_is);
    tcase_add_test(t, a_file_of_an_older_schema_is_raised_and_keeps_its_rows);
    tcase_add_test(t, totals_of_an_older_file_are_those_that_its_turns_would_have_made);
    tcase_add_test(t, every_byte_flip_either_opens_or_is_an_error);
    tcase_add_test(t, triggers_that_a_file_brings_do_not_run);
    tcase_add_test(t, another_program_that_deletes_messages_keeps_the_index_right);
    tcase_add_test(t, several_processes_that_create_one_store_at_once_all_succeed);
    suite_add_tcase(s, t);
    return s;
}
