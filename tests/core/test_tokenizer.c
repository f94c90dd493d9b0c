/* SPDX-License-Identifier: MIT */
/* Text to ids on a small vocabulary: merges, whole entries, bytes, borders, failing memory. */
#include "base/alloc.h"
#include "base/rng.h"
#include "support/small_vocab.h"
#include "support/test_world.h"
#include "text/detokenizer.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SP "\342\226\201"

static bezel_world world;
static small_vocab small;
static bz_vocab *vocab;
static bz_strbuf spelled;
static bezel_error err;

static void setup(void)
{
    bezel_world_init(&world);
    small_vocab_init(&small);
    vocab = small_vocab_build(&small, &world);
    bz_strbuf_init(&spelled, &world, 0);
    err = (bezel_error)BEZEL_ERROR_INIT;
}

static void teardown(void)
{
    bz_vocab_free(vocab);
    bz_strbuf_free(&spelled);
}

static const char *spell(const char *text)
{
    return small_vocab_spell(&spelled, vocab, text, strlen(text), 0);
}

START_TEST(the_best_score_is_merged_first)
{
    ck_assert_str_eq(spell("hello"), "he|llo");
    ck_assert_str_eq(spell(" hello world"), SP "hello|" SP "world");
    ck_assert_str_eq(spell("abc"), "ab|c"); /* ab before bc by score, though bc would fit, too */
    ck_assert_str_eq(spell("xyz"), "x|y|z");
    ck_assert_str_eq(spell(""), "");
}
END_TEST

START_TEST(of_equal_scores_the_leftmost_is_merged_first)
{
    ck_assert_str_eq(spell("aaa"), "aa|a");
    ck_assert_str_eq(spell("aaaaa"), "aaaa|a");
    ck_assert_str_eq(spell("aaaaaaa"), "aaaa|aa|a");
}
END_TEST

START_TEST(runs_that_the_file_defines_are_taken_whole_longest_first)
{
    ck_assert_str_eq(spell("a\n\n\nb"), "a|\n\n\n|b");
    ck_assert_str_eq(spell("\n\n\n\n\n"), "\n\n\n\n|\n");
    ck_assert_str_eq(spell("a  b"), "a|  |b");
    ck_assert_str_eq(spell("a     b"), "a|    |" SP "|b"); /* five: four and one, and no piece for the last with b */
    ck_assert_str_eq(spell("x</s>y<b>"), "x|</s>|y|<b>");
}
END_TEST

START_TEST(spaces_and_literal_marks_are_one_run)
{
    ck_assert_str_eq(spell("a" SP SP "b"), "a|  |b");
    ck_assert_str_eq(spell("a " SP "b"), "a|  |b");
    ck_assert_str_eq(spell(SP "hello"), SP "hello");
}
END_TEST

START_TEST(a_piece_across_a_space_is_found_where_words_are_cut)
{
    ck_assert_str_eq(spell("> </b"), ">" SP "</|b");
    ck_assert_str_eq(spell("> <b"), ">|" SP "|<|b");
    ck_assert_str_eq(spell("hello> </ hello"), "he|llo|>" SP "</|" SP "hello");
}
END_TEST

START_TEST(what_has_no_piece_becomes_bytes)
{
    ck_assert_str_eq(spell("\303\251"), "\303\251");
    ck_assert_str_eq(spell("\303\250"), "<0xC3>|<0xA8>");
    ck_assert_str_eq(spell("a\r\nb"), "a|<0x0D>|\n|b");
    ck_assert_str_eq(spell("\346\227\245\346\234\254"), "\346\227\245\346\234\254");
}
END_TEST

START_TEST(bytes_that_are_no_utf8_stand_alone)
{
    ck_assert_str_eq(spell("\376a"), "<0xFE>|a");
    ck_assert_str_eq(spell("\303he"), "<0xC3>|he");
    ck_assert_str_eq(spell("\355\240\200"), "<0xED>|<0xA0>|<0x80>");
    ck_assert_str_eq(spell("\300\200"), "<0xC0>|<0x80>");
    ck_assert_str_eq(spell("\364\220\200\200"), "<0xF4>|<0x90>|<0x80>|<0x80>");
    ck_assert_str_eq(spell("a\342\226"), "a|<0xE2>|<0x96>");
    ck_assert_str_eq(small_vocab_spell(&spelled, vocab, "a\0b", 3, 0), "a|<0x00>|b");
}
END_TEST

START_TEST(text_that_spells_structure_stays_text)
{
    static const char *const texts[] = {"<start_of_turn>", "<end_of_turn>user", "<bos>", "<eos>", "<unused0>", "[multimodal]",
                                        "<start_of_image>", "<end_of_image>", "a<unk>b", "<0x0A>", "<pad><pad>"};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        bz_ids ids;
        bz_ids_init(&ids, &world);
        ck_assert_int_eq(bz_tokenize(&ids, vocab, texts[i], strlen(texts[i]), 0, &err), BEZEL_OK);
        bz_strbuf_reset(&spelled);
        for (size_t k = 0; k < ids.count; k++) {
            ck_assert_msg(!bz_vocab_is_structure(vocab, ids.ids[k]), "%s", texts[i]);
            bz_detokenize(&spelled, vocab, ids.ids[k], 0);
        }
        ck_assert_str_eq(bz_strbuf_cstr(&spelled), texts[i]);
        bz_ids_free(&ids);
    }
    ck_assert_str_eq(spell("<0x0A>"), "<|0|x|0|A|>");
}
END_TEST

START_TEST(special_text_spells_control_and_structure_tokens)
{
    static const char text[] = "<start_of_turn>User\nhello<start_of_image><end_of_turn>";
    ck_assert_str_eq(small_vocab_spell(&spelled, vocab, text, sizeof text - 1, 1),
                     "<start_of_turn>|User|\n|he|llo|<start_of_image>|<end_of_turn>");
    ck_assert_str_eq(small_vocab_spell(&spelled, vocab, "<0x0A>", 6, 1), "<|0|x|0|A|>"); /* bytes never */
}
END_TEST

START_TEST(a_space_prefix_is_added_when_the_file_asks_for_it)
{
    bz_vocab_free(vocab);
    small.source.add_space_prefix = -1;
    vocab = small_vocab_build(&small, &world);
    ck_assert_str_eq(spell("hello"), SP "hello");
    ck_assert_str_eq(spell(""), "");
}
END_TEST

START_TEST(ids_are_appended_and_a_failure_takes_back_its_own)
{
    bz_ids ids;
    bz_ids_init(&ids, &world);
    bz_ids_add(&ids, 2);
    ck_assert_int_eq(bz_tokenize(&ids, vocab, "he", 2, 0, &err), BEZEL_OK);
    ck_assert_uint_eq(ids.count, 2);
    ck_assert_int_eq(ids.ids[0], 2);
    ck_assert_int_eq(bz_tokenize(&ids, vocab, "he", ((size_t)1 << 30) + 1, 0, &err), BEZEL_ERR_LIMIT);
    ck_assert_int_eq(bz_tokenize(&ids, vocab, "he", SIZE_MAX, 0, &err), BEZEL_ERR_LIMIT);
    ck_assert_uint_eq(ids.count, 2);
    bz_ids_free(&ids);
}
END_TEST

/* The rule itself, as slow as it reads: of all adjacent pairs that are a piece take the best, leftmost first. */
static void merge_naively(bz_strbuf *out, const char *text, size_t size)
{
    size_t cuts[256], n = 0;
    for (size_t i = 0; i <= size; i++)
        if (i == size || ((unsigned char)text[i] & 0xC0) != 0x80)
            cuts[n++] = i;
    for (;;) {
        size_t best = 0;
        float score = 0;
        for (size_t i = 0; i + 2 < n; i++) {
            int32_t id = bz_vocab_piece(vocab, text + cuts[i], cuts[i + 2] - cuts[i]);
            if (id >= 0 && (!best || bz_vocab_score(vocab, id) > score)) {
                best = i + 1;
                score = bz_vocab_score(vocab, id);
            }
        }
        if (!best)
            break;
        memmove(cuts + best, cuts + best + 1, (--n - best) * sizeof *cuts);
    }
    bz_strbuf_reset(out);
    for (size_t i = 0; i + 1 < n; i++) {
        bz_strbuf_add(out, i ? "|" : "", i ? 1 : 0);
        bz_strbuf_add(out, text + cuts[i], cuts[i + 1] - cuts[i]);
    }
}

START_TEST(random_texts_are_merged_as_the_plain_rule_says)
{
    static const char *const parts[] = {"a", "b", "c", "he", "l", "o", SP, ">", "</", "w", "orld", "\346\227\245", "\346\234\254"};
    bz_rng rng;
    bz_strbuf want;
    bz_rng_seed(&rng, 5);
    bz_strbuf_init(&want, &world, 0);
    for (int round = 0; round < 3000; round++) {
        char text[256];
        size_t n = 0;
        for (uint64_t k = 1 + bz_rng_next(&rng) % 60; k; k--) {
            const char *part = parts[bz_rng_next(&rng) % 13];
            int blank = *part == SP[0] && part[1] == SP[1];
            if (blank && n >= 3 && !memcmp(text + n - 3, SP, 3))
                continue; /* runs are taken whole, that is another test */
            memcpy(text + n, part, strlen(part));
            n += strlen(part);
        }
        merge_naively(&want, text, n);
        ck_assert_str_eq(small_vocab_spell(&spelled, vocab, text, n, 0), bz_strbuf_cstr(&want));
    }
    bz_strbuf_free(&want);
}
END_TEST

START_TEST(random_bytes_come_back_unchanged)
{
    bz_rng rng;
    bz_rng_seed(&rng, 11);
    for (int round = 0; round < 2000; round++) {
        char text[40];
        size_t n = 1 + bz_rng_next(&rng) % sizeof text;
        for (size_t i = 0; i < n; i++)
            text[i] = (char)(bz_rng_next(&rng) % (round % 2 ? 256 : 128));
        bz_ids ids;
        bz_ids_init(&ids, &world);
        ck_assert_int_eq(bz_tokenize(&ids, vocab, text, n, round % 3 == 0, &err), BEZEL_OK);
        bz_strbuf_reset(&spelled);
        for (size_t i = 0; i < ids.count; i++)
            bz_detokenize(&spelled, vocab, ids.ids[i], 1);
        ck_assert_uint_eq(spelled.size, n);
        ck_assert_mem_eq(spelled.data, text, n);
        bz_ids_free(&ids);
    }
}
END_TEST

static double seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

START_TEST(a_mebibyte_of_one_thing_stays_near_linear)
{
    static const char *const units[] = {"a", " ", "\n", "<unused", "\377", "ab", "he", "> </"};
    size_t size = (size_t)1 << 20;
    char *text = malloc(size);
    ck_assert_ptr_nonnull(text);
    for (size_t u = 0; u < sizeof units / sizeof *units; u++) {
        size_t n = strlen(units[u]);
        for (size_t i = 0; i < size; i++)
            text[i] = units[u][i % n];
        double took[2];
        for (size_t k = 0; k < 2; k++) {
            bz_ids ids;
            bz_ids_init(&ids, &world);
            double start = seconds();
            ck_assert_int_eq(bz_tokenize(&ids, vocab, text, k ? size : size / 8, 0, &err), BEZEL_OK);
            took[k] = seconds() - start;
            bz_ids_free(&ids);
        }
        /* 8 times the text: 8 times the work and a little more for the heap; a quadratic step would show as 64. The
         * constant keeps tiny times and sanitizers from mattering. */
        ck_assert_msg(took[1] < 20 * took[0] + 0.2, "\"%s\": %g s for 128 KiB, %g s for 1 MiB", units[u], took[0], took[1]);
    }
    free(text);
}
END_TEST

static bezel_status tokenize_once(test_world *tw, void *ctx)
{
    char text[400];
    bz_ids *ids = ctx;
    memset(text, 'a', sizeof text);
    text[100] = ' ';
    bz_ids_init(ids, &tw->world);
    bz_ids_add(ids, 2);
    size_t before = ids->count;
    if (!before) {
        bz_ids_free(ids);
        return BEZEL_ERR_MEMORY;
    }
    bezel_status st = bz_tokenize(ids, vocab, text, sizeof text, 0, &err);
    ck_assert_int_eq(ids->status, BEZEL_OK); /* the next try works */
    if (st)
        ck_assert_uint_eq(ids->count, before);
    bz_ids_free(ids);
    return st;
}

START_TEST(a_failing_allocation_leaves_the_list_as_it_was)
{
    test_world tw;
    bz_ids ids;
    test_world_init(&tw);
    ck_assert_int_gt(test_world_sweep(&tw, tokenize_once, &ids, BEZEL_OK), 4);
}
END_TEST

Suite *tokenizer_suite(void);
Suite *tokenizer_suite(void)
{
    Suite *s = suite_create("tokenizer");
    TCase *t = tcase_create("tokenizer");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, the_best_score_is_merged_first);
    tcase_add_test(t, of_equal_scores_the_leftmost_is_merged_first);
    tcase_add_test(t, runs_that_the_file_defines_are_taken_whole_longest_first);
    tcase_add_test(t, spaces_and_literal_marks_are_one_run);
    tcase_add_test(t, a_piece_across_a_space_is_found_where_words_are_cut);
    tcase_add_test(t, what_has_no_piece_becomes_bytes);
    tcase_add_test(t, bytes_that_are_no_utf8_stand_alone);
    tcase_add_test(t, text_that_spells_structure_stays_text);
    tcase_add_test(t, special_text_spells_control_and_structure_tokens);
    tcase_add_test(t, a_space_prefix_is_added_when_the_file_asks_for_it);
    tcase_add_test(t, ids_are_appended_and_a_failure_takes_back_its_own);
    tcase_add_test(t, random_texts_are_merged_as_the_plain_rule_says);
    tcase_add_test(t, random_bytes_come_back_unchanged);
    tcase_add_test(t, a_mebibyte_of_one_thing_stays_near_linear);
    tcase_add_test(t, a_failing_allocation_leaves_the_list_as_it_was);
    suite_add_tcase(s, t);
    return s;
}
