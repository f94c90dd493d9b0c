/* SPDX-License-Identifier: MIT */
/* Entries of a vocabulary by id and by text, what counts as structure, and files that are not right. */
#include "base/alloc.h"
#include "base/log.h"
#include "support/small_vocab.h"
#include "support/test_world.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bezel_world world;
static small_vocab small;
static bz_vocab *vocab;
static bezel_error err;

static void setup(void)
{
    bezel_world_init(&world);
    small_vocab_init(&small);
    vocab = NULL;
    err = (bezel_error)BEZEL_ERROR_INIT;
}

static void teardown(void)
{
    bz_vocab_free(vocab);
    vocab = NULL;
}

static bezel_status build(void)
{
    bz_vocab_free(vocab);
    return small_vocab_make(&vocab, &world, NULL, NULL, &small.source, &err);
}

static int32_t id_of(const char *text)
{
    return bz_vocab_find(vocab, text, strlen(text));
}

START_TEST(every_entry_is_found_by_its_text)
{
    ck_assert_int_eq(build(), BEZEL_OK);
    ck_assert_uint_eq(bz_vocab_size(vocab), small.source.n_tokens);
    for (size_t i = 0; i < small.source.n_tokens; i++) {
        size_t n;
        const char *text = bz_vocab_text(vocab, (int32_t)i, &n);
        ck_assert_ptr_eq(text, small.texts[i]);
        ck_assert_int_eq(bz_vocab_find(vocab, text, n), (int32_t)i);
        ck_assert_int_eq(bz_vocab_type(vocab, (int32_t)i), small.types[i]);
        ck_assert_double_eq((double)bz_vocab_score(vocab, (int32_t)i), (double)small.scores[i]);
    }
    ck_assert_int_eq(id_of("no such entry"), -1);
    ck_assert_int_eq(bz_vocab_find(vocab, "", 0), -1);
}
END_TEST

START_TEST(ids_outside_give_nothing)
{
    const int32_t ids[] = {-1, INT32_MIN, INT32_MAX, (int32_t)small.source.n_tokens};
    ck_assert_int_eq(build(), BEZEL_OK);
    for (size_t i = 0; i < 4; i++) {
        size_t n = 7;
        ck_assert_ptr_null(bz_vocab_text(vocab, ids[i], &n));
        ck_assert_uint_eq(n, 0);
        ck_assert_int_eq(bz_vocab_is_end(vocab, ids[i]), 0);
        ck_assert_int_eq(bz_vocab_is_structure(vocab, ids[i]), 0);
        ck_assert_int_eq(bz_vocab_type(vocab, ids[i]), BZ_TOKEN_UNUSED);
    }
}
END_TEST

START_TEST(the_arrays_of_the_source_are_not_needed_after_the_build)
{
    ck_assert_int_eq(build(), BEZEL_OK);
    memset(small.texts, 0, sizeof small.texts);
    memset(small.sizes, 0, sizeof small.sizes);
    memset(small.scores, 0, sizeof small.scores);
    memset(small.types, 0, sizeof small.types);
    ck_assert_int_ge(id_of("llo"), 0);
    ck_assert_int_eq(bz_vocab_type(vocab, id_of("<start_of_turn>")), BZ_TOKEN_CONTROL);
}
END_TEST

static void count_line(void *ud, uint32_t level, const char *origin, const char *text)
{
    ck_assert_uint_eq(level, BEZEL_LOG_WARNING);
    ck_assert_str_eq(origin, "vocab");
    ck_assert_ptr_nonnull(strstr(text, "2 entries"));
    ++*(int *)ud;
}

START_TEST(of_equal_texts_the_lowest_id_wins_with_one_warning)
{
    int lines = 0;
    bz_log *log;
    int32_t first = small_vocab_add(&small, "twice", BZ_TOKEN_NORMAL, -5);
    small_vocab_add(&small, "twice", BZ_TOKEN_NORMAL, -1);
    small_vocab_add(&small, "twice", BZ_TOKEN_CONTROL, -1);
    ck_assert_int_eq(bz_log_new(&log, &world, BEZEL_LOG_WARNING, count_line, &lines, &err), BEZEL_OK);
    ck_assert_int_eq(small_vocab_make(&vocab, &world, log, NULL, &small.source, &err), BEZEL_OK);
    bz_log_drain(log);
    bz_log_free(log);
    ck_assert_int_eq(lines, 1);
    ck_assert_int_eq(id_of("twice"), first);
    ck_assert_int_eq(bz_vocab_piece(vocab, "twice", 5), first);
}
END_TEST

START_TEST(byte_entries_are_exactly_two_upper_case_digits)
{
    static const char *const bad[] = {"<0x-1>", "<0xZZ>", "<0x100>", "<0xA>", "<0x4a>", "<0X4A>", "<0x4A", "<0x4A>>"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        small_vocab_init(&small);
        int32_t id = 0;
        while (strcmp(small.texts[id], "<0x4A>"))
            id++;
        small.texts[id] = bad[i];
        small.sizes[id] = (uint32_t)strlen(bad[i]);
        ck_assert_int_eq(build(), BEZEL_ERR_FORMAT);
        ck_assert_msg(strstr(err.text, "<0x4A>") != NULL, "%s", err.text);
    }
    small_vocab_init(&small);
    ck_assert_int_eq(build(), BEZEL_OK);
    for (unsigned b = 0; b < 256; b++) {
        uint8_t back;
        int32_t id = bz_vocab_byte(vocab, (uint8_t)b);
        ck_assert_int_eq(bz_vocab_is_byte(vocab, id, &back), 1);
        ck_assert_uint_eq(back, b);
    }
}
END_TEST

START_TEST(without_types_bytes_are_known_by_their_text)
{
    small.source.types = NULL;
    ck_assert_int_eq(build(), BEZEL_OK);
    ck_assert_int_eq(bz_vocab_type(vocab, id_of("<0x0A>")), BZ_TOKEN_BYTE);
    ck_assert_int_eq(bz_vocab_type(vocab, id_of("he")), BZ_TOKEN_NORMAL);
    ck_assert_int_eq(bz_vocab_is_structure(vocab, id_of("<start_of_turn>")), 1);
}
END_TEST

START_TEST(broken_entries_are_refused)
{
    static char large[70000];
    memset(large, 'x', sizeof large - 1);
    const float scores[] = {NAN, INFINITY, -INFINITY};
    int32_t id = small_vocab_add(&small, "entry", BZ_TOKEN_NORMAL, 0);
    for (size_t i = 0; i < 3; i++) {
        small.scores[id] = scores[i];
        ck_assert_int_eq(build(), BEZEL_ERR_NUMERIC);
    }
    small.scores[id] = 0;
    small.types[id] = 7;
    ck_assert_int_eq(build(), BEZEL_ERR_RANGE);
    small.types[id] = 0;
    ck_assert_int_eq(build(), BEZEL_ERR_RANGE);
    small.types[id] = BZ_TOKEN_NORMAL;
    small.sizes[id] = 0;
    ck_assert_int_eq(build(), BEZEL_ERR_FORMAT);
    small.texts[id] = "\xC3(";
    small.sizes[id] = 2;
    ck_assert_int_eq(build(), BEZEL_ERR_FORMAT);
    small.texts[id] = large;
    small.sizes[id] = 65535; /* would make merging a long word slow */
    ck_assert_int_eq(build(), BEZEL_ERR_LIMIT);
    ck_assert_ptr_nonnull(strstr(err.text, "65535"));
    small.sizes[id] = 1025;
    ck_assert_int_eq(build(), BEZEL_ERR_LIMIT);
    small.sizes[id] = 1024;
    ck_assert_int_eq(build(), BEZEL_OK);
    memset(large, ' ', 1024); /* an entry that is taken whole has U+2581 for each space */
    small.types[id] = BZ_TOKEN_CONTROL;
    ck_assert_int_eq(build(), BEZEL_ERR_LIMIT);
}
END_TEST

START_TEST(counts_and_special_ids_outside_are_refused)
{
    size_t n = small.source.n_tokens;
    int64_t *ids[] = {&small.source.bos, &small.source.eos, &small.source.unk, &small.source.pad, &small.source.eot};
    const int64_t bad[] = {(int64_t)n, -2, UINT32_MAX, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < 5; i++) {
        int64_t kept = *ids[i];
        for (size_t k = 0; k < 5; k++) {
            *ids[i] = bad[k];
            ck_assert_int_eq(build(), BEZEL_ERR_RANGE);
        }
        *ids[i] = kept;
    }
    small.source.n_tokens = 0;
    ck_assert_int_eq(build(), BEZEL_ERR_RANGE);
    small.source.n_tokens = 2000001;
    ck_assert_int_eq(build(), BEZEL_ERR_RANGE);
    small.source.n_tokens = 1;
    small.source.bos = small.source.eos = small.source.unk = -1;
    ck_assert_int_eq(build(), BEZEL_ERR_FORMAT); /* no bytes */
}
END_TEST

START_TEST(ends_come_from_texts_and_metadata_but_never_from_the_tag_s)
{
    small.source.eos = small.source.eot = -1;
    ck_assert_int_eq(build(), BEZEL_OK);
    ck_assert_int_eq(bz_vocab_is_end(vocab, id_of("<eos>")), 1);
    ck_assert_int_eq(bz_vocab_is_end(vocab, id_of("<end_of_turn>")), 1);
    ck_assert_int_eq(bz_vocab_is_end(vocab, id_of("</s>")), 0);
    ck_assert_int_eq(bz_vocab_is_end(vocab, id_of("<bos>")), 0);
    small.source.eot = id_of("<unused0>");
    ck_assert_int_eq(build(), BEZEL_OK);
    ck_assert_int_eq(bz_vocab_is_end(vocab, id_of("<unused0>")), 1);
}
END_TEST

START_TEST(bos_is_named_by_the_file_or_found_by_text)
{
    small.source.bos = 3;
    small.source.add_bos = 0;
    ck_assert_int_eq(build(), BEZEL_OK);
    ck_assert_int_eq(bz_vocab_bos(vocab), 3);
    ck_assert_int_eq(bz_vocab_add_bos(vocab), 0);
    small.source.bos = -1;
    small.source.add_bos = small.source.add_space_prefix = -1;
    ck_assert_int_eq(build(), BEZEL_OK);
    ck_assert_int_eq(bz_vocab_bos(vocab), id_of("<bos>"));
    ck_assert_int_eq(bz_vocab_add_bos(vocab), 1);
    ck_assert_int_eq(bz_vocab_add_space_prefix(vocab), 1);
}
END_TEST

START_TEST(structure_is_known_by_name_whatever_type_the_file_gives)
{
    small_vocab_add(&small, "<start_function_call>", BZ_TOKEN_NORMAL, -1);
    small_vocab_add(&small, "<|newer|>", BZ_TOKEN_USER_DEFINED, -1);
    small_vocab_add(&small, "<|>", BZ_TOKEN_NORMAL, -1);
    ck_assert_int_eq(build(), BEZEL_OK);
    static const char *const yes[] = {"<start_of_image>", "[multimodal]", "<end_of_turn>", "<unused0>",
                                      "<start_function_call>", "<|newer|>"};
    static const char *const no[] = {"</s>", "<b>", "\n", "he", "<0x41>", "<|>"};
    for (size_t i = 0; i < 6; i++) {
        ck_assert_msg(bz_vocab_is_structure(vocab, id_of(yes[i])) == 1, "%s", yes[i]);
        ck_assert_msg(bz_vocab_is_structure(vocab, id_of(no[i])) == 0, "%s", no[i]);
        ck_assert_int_eq(bz_vocab_piece(vocab, yes[i], strlen(yes[i])), -1);
    }
}
END_TEST

START_TEST(words_may_be_cut_but_where_a_piece_reaches_across)
{
    static const char text[] = "a\342\226\201b>\342\226\201</>\342\226\201<";
    ck_assert_int_eq(build(), BEZEL_OK);
    ck_assert_int_eq(bz_vocab_may_cut(vocab, text, sizeof text - 1, 1), 1);
    ck_assert_int_eq(bz_vocab_may_cut(vocab, text, sizeof text - 1, 6), 0);
    ck_assert_int_eq(bz_vocab_may_cut(vocab, text, sizeof text - 1, 12), 1);
}
END_TEST

START_TEST(a_vocabulary_full_of_bridges_is_not_cut_at_all)
{
    char texts[70][16];
    for (int i = 0; i < 70; i++) {
        snprintf(texts[i], sizeof texts[i], "%d\342\226\201x", i);
        small_vocab_add(&small, texts[i], BZ_TOKEN_NORMAL, -200);
    }
    ck_assert_int_eq(build(), BEZEL_OK);
    ck_assert_int_eq(bz_vocab_may_cut(vocab, "a\342\226\201b", 5, 1), 0);
}
END_TEST

START_TEST(two_hundred_thousand_entries_are_built_and_found)
{
    enum { N = 200000 };
    char *bytes = malloc((size_t)N * 12);
    const char **texts = malloc(N * sizeof *texts);
    uint32_t *sizes = malloc(N * sizeof *sizes);
    ck_assert(bytes && texts && sizes);
    for (unsigned i = 0; i < N; i++) {
        texts[i] = bytes + (size_t)i * 12;
        sizes[i] = (uint32_t)snprintf(bytes + (size_t)i * 12, 12, i < 256 ? "<0x%02X>" : "t%u", i);
    }
    small_vocab_source s = {N, texts, sizes, NULL, NULL, -1, -1, -1, -1, -1, 0, 0};
    ck_assert_int_eq(small_vocab_make(&vocab, &world, NULL, NULL, &s, &err), BEZEL_OK);
    for (int32_t i = 0; i < N; i++)
        ck_assert_int_eq(bz_vocab_find(vocab, texts[i], sizes[i]), i);
    bz_vocab_free(vocab);
    bz_thread_pool *pool;
    ck_assert_int_eq(bz_thread_pool_new(&pool, &world, 4, &err), BEZEL_OK);
    ck_assert_int_eq(small_vocab_make(&vocab, &world, NULL, pool, &s, &err), BEZEL_OK);
    for (int32_t i = 0; i < N; i++)
        ck_assert_int_eq(bz_vocab_find(vocab, texts[i], sizes[i]), i);
    bz_vocab *broken;
    sizes[150700] = sizes[150999] = 0; /* of two in one batch the lower is named */
    ck_assert_int_eq(small_vocab_make(&broken, &world, NULL, pool, &s, &err), BEZEL_ERR_FORMAT);
    ck_assert_msg(strstr(err.text, "entry 150700") != NULL, "%s", err.text);
    bz_thread_pool_free(pool);
    free(bytes);
    free(texts);
    free(sizes);
}
END_TEST

static bezel_status build_once(test_world *tw, void *ctx)
{
    bz_vocab *v;
    bezel_status st = small_vocab_make(&v, &tw->world, NULL, NULL, ctx, &err);
    bz_vocab_free(v); /* NULL after a failure */
    return st;
}

START_TEST(a_failing_allocation_leaves_nothing_behind)
{
    test_world tw;
    test_world_init(&tw);
    ck_assert_int_eq(test_world_sweep(&tw, build_once, &small.source, BEZEL_OK), 5); /* none an entry */
}
END_TEST

Suite *vocab_suite(void);
Suite *vocab_suite(void)
{
    Suite *s = suite_create("vocab");
    TCase *t = tcase_create("vocab");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, every_entry_is_found_by_its_text);
    tcase_add_test(t, ids_outside_give_nothing);
    tcase_add_test(t, the_arrays_of_the_source_are_not_needed_after_the_build);
    tcase_add_test(t, of_equal_texts_the_lowest_id_wins_with_one_warning);
    tcase_add_test(t, byte_entries_are_exactly_two_upper_case_digits);
    tcase_add_test(t, without_types_bytes_are_known_by_their_text);
    tcase_add_test(t, broken_entries_are_refused);
    tcase_add_test(t, counts_and_special_ids_outside_are_refused);
    tcase_add_test(t, ends_come_from_texts_and_metadata_but_never_from_the_tag_s);
    tcase_add_test(t, bos_is_named_by_the_file_or_found_by_text);
    tcase_add_test(t, structure_is_known_by_name_whatever_type_the_file_gives);
    tcase_add_test(t, words_may_be_cut_but_where_a_piece_reaches_across);
    tcase_add_test(t, a_vocabulary_full_of_bridges_is_not_cut_at_all);
    tcase_add_test(t, two_hundred_thousand_entries_are_built_and_found);
    tcase_add_test(t, a_failing_allocation_leaves_nothing_behind);
    suite_add_tcase(s, t);
    return s;
}
