/* SPDX-License-Identifier: MIT */
/* Opening, conversations, deletion, backup, and every allocation failing. */
#include <bezel/bezel.h>
#include <bezel/store.h>

#include <check.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/store_turn.h"
#include "support/temp_folder.h"
#include "support/test_engine.h"

static temp_folder folder;
static bezel_engine *engine;
static bezel_tree *tree;
static bezel_error err;

static void setup(void)
{
    err = (bezel_error)BEZEL_ERROR_INIT;
    temp_folder_make(&folder);
    engine = test_engine_new(NULL, 1, BEZEL_ISA_SCALAR);
    ck_assert_int_eq(bezel_tree_new(&tree, engine, &err), BEZEL_OK);
}

static void teardown(void)
{
    bezel_tree_free(tree);
    bezel_engine_free(engine);
    temp_folder_remove(&folder);
}

static bezel_store *open_store(const bezel_store_options *options)
{
    bezel_store *store = NULL;
    bezel_status st = bezel_store_open(&store, engine, temp_folder_file(&folder, "a b?#%.db"), options, &err);
    ck_assert_msg(st == BEZEL_OK, "%s", err.text);
    return store;
}

static const char *text_of(const bezel_value *list, size_t i, const char *key)
{
    return bezel_value_text(bezel_value_get(bezel_value_at(list, i), key), NULL);
}

START_TEST(a_new_store_belongs_to_its_owner_only_and_has_the_name_that_was_given)
{
    bezel_store *store = open_store(NULL);
    char id[32];
    ck_assert_int_eq(bezel_store_begin(id, store, "Trip", "ann", &err), BEZEL_OK);
    static const char *const names[] = {"a b?#%.db", "a b?#%.db-wal", "a b?#%.db-shm"};
    for (size_t i = 0; i < 3; i++) {
        struct stat info;
        ck_assert_int_eq(stat(temp_folder_file(&folder, names[i]), &info), 0);
        ck_assert_int_eq(info.st_mode & 0777, 0600);
    }
    bezel_store_close(store);
    ck_assert_int_eq(temp_folder_count(&folder, ""), 1); /* no log, no helper file is left */
}
END_TEST

START_TEST(r33_a_conversation_is_there_again_after_a_restart)
{
    bezel_store *store = open_store(NULL);
    char id[32];
    ck_assert_int_eq(bezel_store_begin(id, store, NULL, "ann", &err), BEZEL_OK);
    ck_assert_uint_eq(strlen(id), 26);
    ck_assert_int_eq(store_turn_write(store, id, "Will it rain in Tokyo?\nSay yes.", "Yes.", &err), BEZEL_OK);
    bezel_store_close(store);

    store = open_store(NULL);
    bezel_value *list = NULL;
    ck_assert_int_eq(bezel_store_conversations(&list, tree, store, 10, 0, &err), BEZEL_OK);
    ck_assert_uint_eq(bezel_value_count(list), 1);
    ck_assert_str_eq(text_of(list, 0, "id"), id);
    ck_assert_str_eq(text_of(list, 0, "title"), "Will it rain in Tokyo?"); /* first line of the first question */
    ck_assert_str_eq(text_of(list, 0, "user"), "ann");
    ck_assert_str_eq(text_of(list, 0, "model"), "tiny");
    ck_assert_int_eq(bezel_value_integer(bezel_value_get(bezel_value_at(list, 0), "messages")), 4);
    ck_assert_int_eq(bezel_value_integer(bezel_value_get(bezel_value_at(list, 0), "tokens")), 261);
    ck_assert_int_eq(bezel_store_messages(&list, tree, store, id, &err), BEZEL_OK);
    ck_assert_uint_eq(bezel_value_count(list), 4);
    ck_assert_str_eq(text_of(list, 0, "role"), "user");
    ck_assert_str_eq(text_of(list, 0, "created"), "2023-11-14T22:13:20.000Z");
    ck_assert_str_eq(text_of(list, 1, "role"), "assistant");
    ck_assert_str_eq(text_of(list, 2, "text"), "Result: get_weather = rain");
    ck_assert_str_eq(text_of(list, 3, "text"), "Yes.");
    ck_assert_int_eq(bezel_value_integer(bezel_value_get(bezel_value_at(list, 3), "step")), 1);
    bezel_store_close(store);
}
END_TEST

START_TEST(texts_come_back_with_nul_bytes_and_any_script)
{
    bezel_store *store = open_store(NULL);
    char id[32];
    store_turn t;
    static const char text[] = "a\0b 東京 \xF0\x9F\x8C\xA7 '); DROP TABLE message;--";
    ck_assert_int_eq(bezel_store_begin(id, store, "x", NULL, &err), BEZEL_OK);
    store_turn_fill(&t, id, "", "");
    t.messages[0].text = text;
    t.messages[0].text_size = sizeof text - 1;
    const bezel_journal *journal = bezel_store_journal(store);
    ck_assert_int_eq(journal->write(journal->ud, &t.turn, &err), BEZEL_OK);
    bezel_value *list = NULL;
    size_t size = 0;
    ck_assert_int_eq(bezel_store_messages(&list, tree, store, id, &err), BEZEL_OK);
    const char *back = bezel_value_text(bezel_value_get(bezel_value_at(list, 0), "text"), &size);
    ck_assert_uint_eq(size, sizeof text - 1);
    ck_assert_mem_eq(back, text, size);
    bezel_store_close(store);
}
END_TEST

START_TEST(ids_sort_in_the_order_they_were_made_even_when_the_clock_goes_back)
{
    test_world tw;
    test_world_init(&tw);
    bezel_engine *e = test_engine_new(&tw, 1, BEZEL_ISA_SCALAR);
    bezel_store *store = NULL;
    ck_assert_int_eq(bezel_store_open(&store, e, temp_folder_file(&folder, "ids.db"), NULL, &err), BEZEL_OK);
    char last[32] = "", id[32];
    for (int i = 0; i < 300; i++) {
        test_world_clock(&tw, 1000 * i, 1700000000000 + (i % 7) * 10 - (i % 3) * 1000);
        ck_assert_int_eq(bezel_store_begin(id, store, "t", NULL, &err), BEZEL_OK);
        ck_assert_int_lt(strcmp(last, id), 0);
        memcpy(last, id, sizeof last);
    }
    bezel_store_close(store);
    bezel_engine_free(e);
    ck_assert(test_world_is_clean(&tw));
}
END_TEST

START_TEST(an_unknown_conversation_is_missing_and_says_so)
{
    bezel_store *store = open_store(NULL);
    bezel_value *list = NULL;
    ck_assert_int_eq(bezel_store_messages(&list, tree, store, "nobody", &err), BEZEL_ERR_MISSING);
    ck_assert_ptr_nonnull(strstr(err.text, "nobody"));
    ck_assert_int_eq(bezel_store_delete(store, "nobody", &err), BEZEL_ERR_MISSING);
    ck_assert_int_eq(store_turn_write(store, "nobody", "q", "a", &err), BEZEL_ERR_MISSING);
    ck_assert_int_eq(store_turn_count(store, engine, "SELECT count(*) FROM turn"), 0);
    bezel_store_close(store);
}
END_TEST

/* Whether the bytes of any file in the folder hold the word. */
static int folder_holds(const char *word)
{
    static const char *const names[] = {"a b?#%.db", "a b?#%.db-wal"};
    int found = 0;
    for (size_t i = 0; i < 2; i++) {
        size_t size;
        char *bytes = temp_folder_read(temp_folder_file(&folder, names[i]), &size);
        found |= bytes && memmem(bytes, size, word, strlen(word)) != NULL;
        free(bytes);
    }
    return found;
}

START_TEST(r33_a_deleted_conversation_leaves_its_numbers_but_no_byte_of_its_texts)
{
    bezel_store *store = open_store(NULL);
    char id[32], other[32];
    ck_assert_int_eq(bezel_store_begin(id, store, "a", NULL, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_store_begin(other, store, "b", NULL, &err), BEZEL_OK);
    for (int i = 0; i < 30; i++) {
        ck_assert_int_eq(store_turn_write(store, id, "xylophonesecret question", "xylophonesecret answer", &err), BEZEL_OK);
        ck_assert_int_eq(store_turn_write(store, other, "ordinary question", "ordinary answer", &err), BEZEL_OK);
    }
    ck_assert(folder_holds("xylophonesecret"));
    ck_assert_int_eq(bezel_store_delete(store, id, &err), BEZEL_OK);
    ck_assert(!folder_holds("xylophonesecret"));
    bezel_value *list = NULL;
    ck_assert_int_eq(bezel_store_search(&list, tree, store, "xylophonesecret", 10, &err), BEZEL_OK);
    ck_assert_uint_eq(bezel_value_count(list), 0);
    ck_assert_int_eq(bezel_store_search(&list, tree, store, "ordinary", 100, &err), BEZEL_OK);
    ck_assert_uint_eq(bezel_value_count(list), 60);
    ck_assert_int_eq(store_turn_count(store, engine, "SELECT count(*) FROM usage"), 120);
    ck_assert_int_eq(store_turn_count(store, engine, "SELECT count(*) FROM tool_call"), 60);
    ck_assert_int_eq(store_turn_count(store, engine, "SELECT count(*) FROM conversation"), 1);
    bezel_store_close(store);
}
END_TEST

START_TEST(without_content_there_are_numbers_and_no_text)
{
    bezel_store_options o;
    bezel_store_options_init(&o);
    o.keep_content = 0;
    bezel_store *store = open_store(&o);
    char id[32];
    ck_assert_int_eq(bezel_store_begin(id, store, "plantedtitle", "ann", &err), BEZEL_OK);
    store_turn t;
    store_turn_fill(&t, id, "plantedquestion", "plantedanswer");
    t.turn.error = "plantederror";
    t.calls[0].arguments = "{\"x\":\"plantedargument\"}";
    t.calls[1].error = "plantedreason";
    const bezel_journal *journal = bezel_store_journal(store);
    ck_assert_int_eq(journal->write(journal->ud, &t.turn, &err), BEZEL_OK);
    ck_assert(!folder_holds("planted"));
    ck_assert_int_eq(store_turn_count(store, engine, "SELECT sum(bytes) FROM message WHERE text IS NULL AND role='user'"),
                     15);
    ck_assert_int_eq(store_turn_count(store, engine, "SELECT calls FROM usage_by_tool WHERE tool='get_weather'"), 1);
    bezel_store_close(store);
}
END_TEST

START_TEST(a_turn_without_a_conversation_is_kept_as_numbers)
{
    bezel_store *store = open_store(NULL);
    ck_assert_int_eq(store_turn_write(store, NULL, "plantedquestion", "plantedanswer", &err), BEZEL_OK);
    ck_assert(!folder_holds("planted"));
    ck_assert_int_eq(store_turn_count(store, engine, "SELECT count(*) FROM message"), 0);
    ck_assert_int_eq(store_turn_count(store, engine, "SELECT model_calls FROM usage_by_user WHERE user='ann'"), 2);
    bezel_store_close(store);
}
END_TEST

START_TEST(a_read_only_store_reads_and_refuses_to_write)
{
    bezel_store *store = open_store(NULL);
    char id[32], id2[32];
    ck_assert_int_eq(bezel_store_begin(id, store, "a", NULL, &err), BEZEL_OK);
    ck_assert_int_eq(store_turn_write(store, id, "q", "a", &err), BEZEL_OK);
    bezel_store_options o;
    bezel_store_options_init(&o);
    o.read_only = 1;
    bezel_store *reader = open_store(&o);
    ck_assert_int_eq(store_turn_count(reader, engine, "SELECT count(*) FROM message"), 4);
    ck_assert_int_eq(bezel_store_begin(id2, reader, "b", NULL, &err), BEZEL_ERR_DENIED);
    ck_assert_int_eq(store_turn_write(reader, id, "q", "a", &err), BEZEL_ERR_DENIED);
    ck_assert_int_eq(bezel_store_delete(reader, id, &err), BEZEL_ERR_DENIED);
    /* it sees what the writer adds */
    ck_assert_int_eq(store_turn_write(store, id, "q", "a", &err), BEZEL_OK);
    ck_assert_int_eq(store_turn_count(reader, engine, "SELECT count(*) FROM message"), 8);
    bezel_store_close(reader);
    bezel_store_close(store);
}
END_TEST

START_TEST(a_read_only_store_that_is_not_there_is_an_error_and_is_not_created)
{
    bezel_store_options o;
    bezel_store_options_init(&o);
    o.read_only = 1;
    bezel_store *store = (bezel_store *)&o;
    ck_assert_int_eq(bezel_store_open(&store, engine, temp_folder_file(&folder, "none.db"), &o, &err), BEZEL_ERR_IO);
    ck_assert_ptr_null(store);
    ck_assert_ptr_nonnull(strstr(err.text, "none.db"));
    ck_assert_int_eq(bezel_store_open(&store, engine, temp_folder_file(&folder, "no/folder.db"), NULL, &err), BEZEL_ERR_IO);
    ck_assert_str_ne(err.hint, "");
    ck_assert_int_eq(temp_folder_count(&folder, ""), 0);
}
END_TEST

START_TEST(wrong_arguments_are_refused)
{
    bezel_store *store = NULL;
    char id[32];
    bezel_store_options o;
    bezel_store_options_init(&o);
    o.size = 3;
    ck_assert_int_eq(bezel_store_open(&store, engine, temp_folder_file(&folder, "x.db"), &o, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(bezel_store_open(&store, NULL, "x", NULL, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(bezel_store_open(&store, engine, "", NULL, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(bezel_store_open(NULL, engine, "x", NULL, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(bezel_store_begin(id, NULL, NULL, NULL, &err), BEZEL_ERR_ARGUMENT);
    bezel_store_close(NULL);
}
END_TEST

START_TEST(a_backup_is_a_whole_store_and_replaces_nothing)
{
    bezel_store *store = open_store(NULL), *copy = NULL;
    char id[32], path[600];
    snprintf(path, sizeof path, "%s", temp_folder_file(&folder, "copy.db"));
    ck_assert_int_eq(bezel_store_begin(id, store, "a", NULL, &err), BEZEL_OK);
    for (int i = 0; i < 50; i++)
        ck_assert_int_eq(store_turn_write(store, id, "question", "answer", &err), BEZEL_OK);
    ck_assert_int_eq(bezel_store_backup(store, path, &err), BEZEL_OK);
    ck_assert_int_eq(temp_folder_count(&folder, ".part"), 0);
    struct stat info;
    ck_assert_int_eq(stat(path, &info), 0);
    ck_assert_int_eq(info.st_mode & 0777, 0600);
    ck_assert_int_eq(bezel_store_backup(store, path, &err), BEZEL_ERR_DENIED);
    ck_assert_int_eq(store_turn_write(store, id, "later", "answer", &err), BEZEL_OK);
    ck_assert_int_eq(bezel_store_open(&copy, engine, path, NULL, &err), BEZEL_OK);
    ck_assert_int_eq(store_turn_count(copy, engine, "SELECT count(*) FROM turn"), 50);
    ck_assert_int_eq(store_turn_write(copy, id, "q", "a", &err), BEZEL_OK);
    bezel_store_close(copy);
    bezel_store_close(store);
}
END_TEST

START_TEST(a_backup_leaves_alone_what_it_cannot_look_at)
{
    static const char *const names[] = {"pipe", "link", "folder", "secret"};
    bezel_store *store = open_store(NULL);
    struct stat before, after;
    char path[600], nowhere[600];
    snprintf(nowhere, sizeof nowhere, "%s", temp_folder_file(&folder, "nowhere"));
    ck_assert_int_eq(mkfifo(temp_folder_file(&folder, names[0]), 0600), 0);
    ck_assert_int_eq(symlink(nowhere, temp_folder_file(&folder, names[1])), 0);
    ck_assert_int_eq(mkdir(temp_folder_file(&folder, names[2]), 0700), 0);
    FILE *secret = fopen(temp_folder_file(&folder, names[3]), "w");
    ck_assert_int_ge(fputs("secret", secret), 0);
    fclose(secret);
    ck_assert_int_eq(chmod(temp_folder_file(&folder, names[3]), 0), 0); /* root reads it all the same: then DENIED, too */
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s", temp_folder_file(&folder, names[i]));
        ck_assert_int_eq(lstat(path, &before), 0);
        bezel_status st = bezel_store_backup(store, path, &err);
        ck_assert_msg(st == BEZEL_ERR_IO || st == BEZEL_ERR_DENIED, "%s: %d", names[i], st);
        ck_assert_int_eq(st, err.status);
        ck_assert_ptr_nonnull(strstr(err.text, path));
        ck_assert_str_eq(err.place, path);
        ck_assert_int_eq(lstat(path, &after), 0);
        ck_assert(before.st_ino == after.st_ino && before.st_mode == after.st_mode);
    }
    ck_assert_int_eq(access(nowhere, F_OK), -1);
    ck_assert_int_eq(rmdir(temp_folder_file(&folder, names[2])), 0);
    snprintf(path, sizeof path, "%s", temp_folder_file(&folder, "empty"));
    fclose(fopen(path, "w"));
    ck_assert_int_eq(bezel_store_backup(store, path, &err), BEZEL_OK); /* as store.h says */
    snprintf(path, sizeof path, "%s", temp_folder_file(&folder, "none/copy.db"));
    ck_assert_int_eq(bezel_store_backup(store, path, &err), BEZEL_ERR_MISSING);
    bezel_store_close(store);
}
END_TEST

/* --- Allocation --------------------------------------------------------------------------- */

typedef struct sweep_context {
    bezel_engine *engine;
    int round;
} sweep_context;

static bezel_status sweep_once(test_world *tw, void *ctx)
{
    sweep_context *c = ctx;
    bezel_store *store = NULL;
    bezel_tree *t = NULL;
    bezel_value *list = NULL;
    char id[32], name[64];
    bezel_error e = BEZEL_ERROR_INIT;
    (void)tw;
    snprintf(name, sizeof name, "sweep%d.db", c->round++ % 4);
    bezel_status st = bezel_store_open(&store, c->engine, temp_folder_file(&folder, name), NULL, &e);
    if (st == BEZEL_OK)
        st = bezel_store_begin(id, store, "t", NULL, &e);
    if (st == BEZEL_OK)
        st = store_turn_write(store, id, "question words", "answer", &e);
    if (st == BEZEL_OK)
        st = bezel_tree_new(&t, c->engine, &e);
    if (st == BEZEL_OK)
        st = bezel_store_messages(&list, t, store, id, &e);
    if (st == BEZEL_OK)
        st = bezel_store_search(&list, t, store, "question", 5, &e);
    if (st == BEZEL_OK)
        st = bezel_store_query(&list, t, store, "SELECT * FROM usage_by_day", NULL, &e);
    if (st == BEZEL_OK)
        st = bezel_store_delete(store, id, &e);
    if (st == BEZEL_OK) {
        const char *path = temp_folder_file(&folder, "copy.db");
        st = bezel_store_backup(store, path, &e);
        unlink(path);
    }
    bezel_tree_free(t);
    bezel_store_close(store);
    return st;
}

START_TEST(a_failing_allocation_of_ours_is_an_error_and_nothing_leaks)
{
    test_world tw;
    test_world_init(&tw);
    sweep_context c = {test_engine_new(&tw, 1, BEZEL_ISA_SCALAR), 0};
    ck_assert_int_gt(test_world_sweep(&tw, sweep_once, &c, BEZEL_OK), 5);
    bezel_engine_free(c.engine);
    ck_assert(test_world_is_clean(&tw));
}
END_TEST

/* SQLite's memory is the process's: its own hook stands in for malloc while no connection is open. */
static sqlite3_mem_methods real_methods;
static long sqlite_calls, sqlite_fail_at, sqlite_failed;

static int sqlite_fails(void)
{
    int fails = ++sqlite_calls == sqlite_fail_at;
    sqlite_failed += fails;
    return fails;
}

static void *sqlite_malloc(int size)
{
    return sqlite_fails() ? NULL : real_methods.xMalloc(size);
}

static void *sqlite_realloc(void *old, int size)
{
    return sqlite_fails() ? NULL : real_methods.xRealloc(old, size);
}

START_TEST(a_failing_allocation_of_sqlite_is_an_error_and_the_next_write_works)
{
    sqlite3_shutdown();
    ck_assert_int_eq(sqlite3_config(SQLITE_CONFIG_GETMALLOC, &real_methods), SQLITE_OK);
    sqlite3_mem_methods failing = real_methods;
    failing.xMalloc = sqlite_malloc;
    failing.xRealloc = sqlite_realloc;
    ck_assert_int_eq(sqlite3_config(SQLITE_CONFIG_MALLOC, &failing), SQLITE_OK);

    sqlite_fail_at = 0;
    bezel_store *store = open_store(NULL);
    char id[32];
    int64_t kept = 0;
    ck_assert_int_eq(bezel_store_begin(id, store, "t", NULL, &err), BEZEL_OK);
    ck_assert_int_eq(store_turn_write(store, id, "warm", "up", &err), BEZEL_OK);
    kept++;
    int done = 0;
    for (long n = 1; !done && n < 20000; n += n < 60 ? 1 : 7) {
        sqlite_calls = sqlite_failed = 0;
        sqlite_fail_at = n;
        bezel_status st = store_turn_write(store, id, "question", "answer", &err);
        done = !sqlite_failed;
        sqlite_fail_at = 0;
        kept += st == BEZEL_OK; /* SQLite may do without some allocations */
        if (st != BEZEL_OK)
            ck_assert_msg(st == BEZEL_ERR_MEMORY, "%s", err.text);
        ck_assert_int_eq(store_turn_write(store, id, "question", "answer", &err), BEZEL_OK);
        kept++;
        if (n % 10 == 1)
            ck_assert_int_eq(store_turn_count(store, engine, "SELECT count(*) FROM turn"), kept);
    }
    ck_assert(done);
    bezel_store_close(store);
    done = 0;
    for (long n = 1; !done && n < 20000; n += n < 100 ? 1 : 11) { /* opening */
        sqlite_calls = sqlite_failed = 0;
        sqlite_fail_at = n;
        bezel_status st = bezel_store_open(&store, engine, temp_folder_file(&folder, "a b?#%.db"), NULL, &err);
        done = !sqlite_failed;
        sqlite_fail_at = 0;
        if (st != BEZEL_OK)
            ck_assert_msg(st == BEZEL_ERR_MEMORY || st == BEZEL_ERR_IO, "%ld: %d %s", n, st, err.text);
        bezel_store_close(store);
    }
    ck_assert(done);
    sqlite3_shutdown();
    sqlite3_config(SQLITE_CONFIG_MALLOC, &real_methods);
    store = open_store(NULL);
    ck_assert_int_eq(store_turn_count(store, engine, "SELECT count(*) FROM turn"), kept);
    ck_assert_int_eq(
        store_turn_count(store, engine, "SELECT count(*) FROM message_words WHERE message_words MATCH 'question'"),
        kept - 1);
    bezel_store_close(store);
}
END_TEST

Suite *store_suite(void);
Suite *store_suite(void)
{
    Suite *s = suite_create("store");
    TCase *t = tcase_create("store");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_new_store_belongs_to_its_owner_only_and_has_the_name_that_was_given);
    tcase_add_test(t, r33_a_conversation_is_there_again_after_a_restart);
    tcase_add_test(t, texts_come_back_with_nul_bytes_and_any_script);
    tcase_add_test(t, ids_sort_in_the_order_they_were_made_even_when_the_clock_goes_back);
    tcase_add_test(t, an_unknown_conversation_is_missing_and_says_so);
    tcase_add_test(t, r33_a_deleted_conversation_leaves_its_numbers_but_no_byte_of_its_texts);
    tcase_add_test(t, without_content_there_are_numbers_and_no_text);
    tcase_add_test(t, a_turn_without_a_conversation_is_kept_as_numbers);
    tcase_add_test(t, a_read_only_store_reads_and_refuses_to_write);
    tcase_add_test(t, a_read_only_store_that_is_not_there_is_an_error_and_is_not_created);
    tcase_add_test(t, wrong_arguments_are_refused);
    tcase_add_test(t, a_backup_is_a_whole_store_and_replaces_nothing);
    tcase_add_test(t, a_backup_leaves_alone_what_it_cannot_look_at);
    tcase_add_test(t, a_failing_allocation_of_ours_is_an_error_and_nothing_leaks);
    tcase_add_test(t, a_failing_allocation_of_sqlite_is_an_error_and_the_next_write_works);
    suite_add_tcase(s, t);
    return s;
}
