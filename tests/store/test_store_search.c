/* SPDX-License-Identifier: MIT */
/* Full-text search: words, beginnings of words, scripts without spaces, and queries that are no query language. */
#include <bezel/bezel.h>
#include <bezel/store.h>

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "support/store_turn.h"
#include "support/temp_folder.h"
#include "support/test_engine.h"

static temp_folder folder;
static bezel_engine *engine;
static bezel_store *store;
static bezel_tree *tree;
static bezel_value *rows;
static bezel_error err;

static void add(const char *title, const char *question, const char *answer)
{
    char id[32];
    ck_assert_int_eq(bezel_store_begin(id, store, title, NULL, &err), BEZEL_OK);
    ck_assert_int_eq(store_turn_write(store, id, question, answer, &err), BEZEL_OK);
}

static void setup(void)
{
    err = (bezel_error)BEZEL_ERROR_INIT;
    temp_folder_make(&folder);
    engine = test_engine_new(NULL, 1, BEZEL_ISA_SCALAR);
    ck_assert_int_eq(bezel_tree_new(&tree, engine, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_store_open(&store, engine, temp_folder_file(&folder, "s.db"), NULL, &err), BEZEL_OK);
    add("Kyoto", "Where is the café in Kyoto?", "Near the station. It opens at nine.");
    add("Trains", "When does the train leave?", "The trains to Kyoto leave at \"nine\" o'clock -- AND often.");
    add("日本", "明日の東京の天気はどうですか", "東京は雨です");
}

static void teardown(void)
{
    bezel_store_close(store);
    bezel_tree_free(tree);
    bezel_engine_free(engine);
    temp_folder_remove(&folder);
}

static size_t hits(const char *query)
{
    bezel_status st = bezel_store_search(&rows, tree, store, query, 100, &err);
    ck_assert_msg(st == BEZEL_OK, "%s: %s", query, err.text);
    return bezel_value_count(rows);
}

static const char *field(size_t row, const char *name)
{
    return bezel_value_text(bezel_value_get(bezel_value_at(rows, row), name), NULL);
}

START_TEST(r33_words_are_found_whatever_their_case_and_accents)
{
    ck_assert_uint_eq(hits("KYOTO"), 2);
    ck_assert_uint_eq(hits("cafe"), 1);
    ck_assert_str_eq(field(0, "title"), "Kyoto");
    ck_assert_str_eq(field(0, "role"), "user");
    ck_assert_str_eq(field(0, "snippet"), "Where is the [café] in Kyoto?");
    ck_assert_str_eq(field(0, "created"), "2023-11-14T22:13:20.000Z");
    ck_assert_uint_eq(strlen(field(0, "conversation")), 26);
}
END_TEST

START_TEST(all_words_must_occur_and_each_may_be_a_beginning)
{
    ck_assert_uint_eq(hits("train kyoto"), 1);
    ck_assert_uint_eq(hits("sta near"), 1);
    ck_assert_uint_eq(hits("train station"), 0);
}
END_TEST

START_TEST(scripts_without_spaces_are_found_in_the_middle_too)
{
    ck_assert_uint_eq(hits("東京"), 1); /* at the beginning of a run of letters */
    ck_assert_uint_eq(hits("天気"), 1); /* inside */
    ck_assert_str_eq(field(0, "snippet"), "明日の東京の[天気]はどうですか");
}
END_TEST

START_TEST(any_text_is_a_query)
{
    static const char *const odd[] = {"", " ", "\"", "'", "\"nine\"", "AND", "OR NOT", "NEAR(", "a*", "*", "-", "--", "^",
                                      "text:x", "{a b}", "(", ")", "\\", "\xff\xfe", "\x01", "a\" OR \"b", "%", "_", ";"};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++)
        hits(odd[i]);
    ck_assert_uint_eq(hits("\"nine\""), 2);
    ck_assert_uint_eq(hits("AND"), 1);
    bz_rng rng;
    bz_rng_seed(&rng, 5);
    for (int i = 0; i < 300; i++) {
        char text[24];
        size_t n = bz_rng_next(&rng) % 23;
        for (size_t k = 0; k < n; k++)
            text[k] = "\"'*()-:^{}+ aZ9\xc3\xa9\\,;%_\t"[bz_rng_next(&rng) % 24];
        text[n] = 0;
        hits(text);
    }
    char many[4000];
    for (size_t i = 0; i < sizeof many - 1; i++)
        many[i] = i % 2 ? ' ' : 'a';
    many[sizeof many - 1] = 0;
    hits(many);
}
END_TEST

START_TEST(the_limit_is_kept_and_nothing_found_is_an_empty_list)
{
    ck_assert_int_eq(bezel_store_search(&rows, tree, store, "get_weather", 2, &err), BEZEL_OK);
    ck_assert_uint_eq(bezel_value_count(rows), 2);
    ck_assert_uint_eq(hits("unheardof"), 0);
    ck_assert_int_eq(bezel_store_search(&rows, tree, store, NULL, 2, &err), BEZEL_ERR_ARGUMENT);
}
END_TEST

Suite *store_search_suite(void);
Suite *store_search_suite(void)
{
    Suite *s = suite_create("store_search");
    TCase *t = tcase_create("search");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, r33_words_are_found_whatever_their_case_and_accents);
    tcase_add_test(t, all_words_must_occur_and_each_may_be_a_beginning);
    tcase_add_test(t, scripts_without_spaces_are_found_in_the_middle_too);
    tcase_add_test(t, any_text_is_a_query);
    tcase_add_test(t, the_limit_is_kept_and_nothing_found_is_an_empty_list);
    suite_add_tcase(s, t);
    return s;
}
