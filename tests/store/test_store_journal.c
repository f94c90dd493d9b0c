/* SPDX-License-Identifier: MIT */
/* The journal: what of a turn is kept, all or nothing, and what a turn must have. */
#include <bezel/bezel.h>
#include <bezel/store.h>

#include <check.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <signal.h>

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
    snprintf(path, sizeof path, "%s", temp_folder_file(&folder, "j.db"));
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

static bezel_status journal_write(const bezel_journal_turn *turn)
{
    const bezel_journal *journal = bezel_store_journal(store);
    return journal->write(journal->ud, turn, &err);
}

static const bezel_value *first(const char *sql, const char *name)
{
    bezel_status st = bezel_store_query(&rows, tree, store, sql, NULL, &err);
    ck_assert_msg(st == BEZEL_OK, "%s", err.text);
    return bezel_value_get(bezel_value_at(rows, 0), name);
}

START_TEST(r33_r34_a_turn_is_kept_field_by_field)
{
    store_turn t;
    store_turn_fill(&t, id, "q", "a");
    t.calls[0].repeated = 1;
    t.turn.error = "why";
    t.usages[1].n_forced = 5;
    ck_assert_int_eq(journal_write(&t.turn), BEZEL_OK);
    ck_assert_str_eq(bezel_value_text(first("SELECT * FROM turn", "user"), NULL), "ann");
    ck_assert_str_eq(bezel_value_text(first("SELECT * FROM turn", "error"), NULL), "why");
    ck_assert_int_eq(bezel_value_integer(first("SELECT * FROM turn", "duration_us")), 2000000);
    const char *call = "SELECT * FROM tool_call ORDER BY id";
    ck_assert_str_eq(bezel_value_text(first(call, "arguments"), NULL), "{\"city\":\"Tokyo\"}");
    ck_assert_str_eq(bezel_value_text(first(call, "result"), NULL), "\"rain\"");
    ck_assert_int_eq(bezel_value_integer(first(call, "repeated")), 1);
    ck_assert_int_eq(bezel_value_integer(first(call, "duration_us")), 1500);
    call = "SELECT * FROM tool_call ORDER BY id DESC";
    ck_assert_str_eq(bezel_value_text(first(call, "error_code"), NULL), "network");
    ck_assert_uint_eq(bezel_value_type(first(call, "result")), BEZEL_NULL);
    const char *usage = "SELECT * FROM usage ORDER BY id DESC";
    ck_assert_int_eq(bezel_value_integer(first(usage, "prompt_tokens")), 130);
    ck_assert_int_eq(bezel_value_integer(first(usage, "cached_tokens")), 100);
    ck_assert_int_eq(bezel_value_integer(first(usage, "generated_tokens")), 11);
    ck_assert_int_eq(bezel_value_integer(first(usage, "dropped_tokens")), 7);
    ck_assert_int_eq(bezel_value_integer(first(usage, "forced_tokens")), 5);
    ck_assert_int_eq(bezel_value_integer(first(usage, "first_token_us")), 50000);
    ck_assert_double_eq_tol(bezel_value_number(first(usage, "tokens_per_second")), 20, 1e-9);
    ck_assert_str_eq(bezel_value_text(first(usage, "stop_reason"), NULL), "eos");
    ck_assert_str_eq(bezel_value_text(first("SELECT * FROM usage ORDER BY id", "stop_reason"), NULL), "stop");
}
END_TEST

START_TEST(a_withdrawn_turn_is_kept_for_people_and_no_part_of_the_conversation)
{
    store_turn t;
    store_turn_fill(&t, id, "q", "half");
    t.turn.error = "the question does not fit";
    t.turn.withdrawn = 1;
    t.turn.n_usages = 0;
    ck_assert_int_eq(journal_write(&t.turn), BEZEL_OK);
    ck_assert_int_eq(store_turn_write(store, id, "q2", "a2", &err), BEZEL_OK);
    bezel_value *list = NULL;
    ck_assert_int_eq(bezel_store_messages(&list, tree, store, id, &err), BEZEL_OK);
    ck_assert_uint_eq(bezel_value_count(list), 4);
    ck_assert_str_eq(bezel_value_text(bezel_value_get(bezel_value_at(list, 0), "text"), NULL), "q2");
    ck_assert_int_eq(bezel_store_conversations(&list, tree, store, 1, 0, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_value_integer(bezel_value_get(bezel_value_at(list, 0), "messages")), 4);
    ck_assert_int_eq(store_turn_count(store, engine, "SELECT count(*) FROM conversation_text WHERE error IS NOT NULL"), 4);
    ck_assert_int_eq(store_turn_count(store, engine, "SELECT count(*) FROM recent_errors"), 1); /* without a model call */
}
END_TEST

START_TEST(a_turn_that_is_not_whole_is_refused_wholly)
{
    store_turn t;
    store_turn_fill(&t, id, "q", "a");
    t.messages[3].role = 77;
    ck_assert_int_eq(journal_write(&t.turn), BEZEL_ERR_ARGUMENT);
    store_turn_fill(&t, id, "q", "a");
    t.calls[1].name = NULL;
    ck_assert_int_eq(journal_write(&t.turn), BEZEL_ERR_ARGUMENT);
    store_turn_fill(&t, id, "q", "a");
    t.turn.usages = NULL;
    ck_assert_int_eq(journal_write(&t.turn), BEZEL_ERR_ARGUMENT);
    store_turn_fill(&t, id, "q", "a");
    t.turn.size = 8;
    ck_assert_int_eq(journal_write(&t.turn), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(journal_write(NULL), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(store_turn_count(store, engine, "SELECT count(*) FROM turn"), 0);
    ck_assert_int_eq(store_turn_count(store, engine, "SELECT count(*) FROM message"), 0);
    store_turn_fill(&t, id, "q", "a");
    ck_assert_int_eq(journal_write(&t.turn), BEZEL_OK);
}
END_TEST

START_TEST(a_text_over_the_limit_is_an_error_and_leaves_nothing)
{
    store_turn t;
    size_t size = (size_t)65 << 20;
    char *text = malloc(size);
    memset(text, 'x', size);
    store_turn_fill(&t, id, "q", "a");
    t.messages[3].text = text;
    t.messages[3].text_size = size;
    ck_assert_int_eq(journal_write(&t.turn), BEZEL_ERR_LIMIT);
    ck_assert_int_eq(store_turn_count(store, engine, "SELECT count(*) FROM turn"), 0);
    store_turn_fill(&t, id, "q", "a");
    ck_assert_int_eq(journal_write(&t.turn), BEZEL_OK);
    free(text);
}
END_TEST

START_TEST(a_writer_that_keeps_the_lock_makes_us_wait_and_then_says_busy)
{
    sqlite3 *db;
    bezel_store *hasty = NULL;
    bezel_store_options o;
    bezel_store_options_init(&o);
    o.busy_ms = 30;
    ck_assert_int_eq(bezel_store_open(&hasty, engine, path, &o, &err), BEZEL_OK);
    ck_assert_int_eq(sqlite3_open(path, &db), SQLITE_OK);
    ck_assert_int_eq(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    ck_assert_int_eq(store_turn_write(hasty, id, "q", "a", &err), BEZEL_ERR_BUSY);
    ck_assert_ptr_nonnull(strstr(err.text, path));
    ck_assert_str_ne(err.hint, "");
    ck_assert_int_eq(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    ck_assert_int_eq(store_turn_write(hasty, id, "q", "a", &err), BEZEL_OK);
    sqlite3_close(db);
    bezel_store_close(hasty);
}
END_TEST

/* A file size limit stands in for a full disk: what was acknowledged stays, and writing goes on when there is room. */
START_TEST(a_full_disk_is_an_error_and_what_was_kept_stays)
{
    struct rlimit old, small;
    int64_t kept = 0;
    char text[8000];
    memset(text, 'a', sizeof text - 1);
    text[sizeof text - 1] = 0;
    void (*handler)(int) = signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &old);
    small = old;
    small.rlim_cur = 900000;
    setrlimit(RLIMIT_FSIZE, &small);
    bezel_status st = BEZEL_OK;
    for (int i = 0; i < 200 && st == BEZEL_OK; i++) {
        st = store_turn_write(store, id, text, text, &err);
        kept += st == BEZEL_OK;
    }
    setrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, handler);
    ck_assert_int_eq(st, BEZEL_ERR_IO);
    ck_assert_int_gt(kept, 2);
    ck_assert_int_eq(store_turn_count(store, engine, "SELECT count(*) FROM turn"), kept);
    ck_assert_int_eq(store_turn_write(store, id, text, text, &err), BEZEL_OK);
    ck_assert_int_eq(store_turn_count(store, engine, "SELECT count(*) FROM message"), 4 * (kept + 1));
}
END_TEST

START_TEST(a_durable_store_writes_as_well)
{
    bezel_store *durable = NULL;
    bezel_store_options o;
    bezel_store_options_init(&o);
    o.durable = 1;
    ck_assert_int_eq(bezel_store_open(&durable, engine, path, &o, &err), BEZEL_OK);
    ck_assert_int_eq(store_turn_write(durable, id, "q", "a", &err), BEZEL_OK);
    bezel_store_close(durable);
}
END_TEST

START_TEST(the_title_of_an_unnamed_conversation_is_cut_at_a_character)
{
    static const char question[] = "ありがとうございますありがとうございますありがとうございますありがとうございます";
    ck_assert_int_eq(store_turn_write(store, id, question, "a", &err), BEZEL_OK);
    size_t size;
    const char *title = bezel_value_text(first("SELECT title FROM conversation", "title"), &size);
    ck_assert_uint_eq(size, 78); /* 26 characters of three bytes */
    ck_assert_mem_eq(title, question, size);
}
END_TEST

Suite *store_journal_suite(void);
Suite *store_journal_suite(void)
{
    Suite *s = suite_create("store_journal");
    TCase *t = tcase_create("journal");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, r33_r34_a_turn_is_kept_field_by_field);
    tcase_add_test(t, a_withdrawn_turn_is_kept_for_people_and_no_part_of_the_conversation);
    tcase_add_test(t, a_turn_that_is_not_whole_is_refused_wholly);
    tcase_add_test(t, a_text_over_the_limit_is_an_error_and_leaves_nothing);
    tcase_add_test(t, a_writer_that_keeps_the_lock_makes_us_wait_and_then_says_busy);
    tcase_add_test(t, a_full_disk_is_an_error_and_what_was_kept_stays);
    tcase_add_test(t, a_durable_store_writes_as_well);
    tcase_add_test(t, the_title_of_an_unnamed_conversation_is_cut_at_a_character);
    suite_add_tcase(s, t);
    return s;
}
