/* SPDX-License-Identifier: MIT */
/* Ids to bytes, and the stream that holds back half characters. */
#include "base/rng.h"
#include "base/utf8.h"
#include "support/small_vocab.h"
#include "support/test_world.h"
#include "text/detokenizer.h"

#include <check.h>
#include <string.h>

#define FFFD "\357\277\275"

static bezel_world world;
static small_vocab small;
static bz_vocab *vocab;
static bz_strbuf out;
static bz_detokenizer stream;

static void setup(void)
{
    bezel_world_init(&world);
    small_vocab_init(&small);
    vocab = small_vocab_build(&small, &world);
    bz_strbuf_init(&out, &world, 0);
    bz_detokenizer_init(&stream, vocab);
}

static void teardown(void)
{
    bz_vocab_free(vocab);
    bz_strbuf_free(&out);
}

static const char *whole(const char *entry, int special)
{
    bz_strbuf_reset(&out);
    bz_detokenize(&out, vocab, bz_vocab_find(vocab, entry, strlen(entry)), special);
    return bz_strbuf_cstr(&out);
}

/* Feeds bytes as byte entries and checks after each that what is out is whole. */
static const char *feed(const char *bytes, size_t n)
{
    bz_strbuf_reset(&out);
    for (size_t i = 0; i < n; i++) {
        bz_detokenizer_push(&stream, &out, bz_vocab_byte(vocab, (uint8_t)bytes[i]));
        ck_assert_int_eq(bz_utf8_valid(bz_strbuf_cstr(&out), out.size), 1);
    }
    bz_detokenizer_finish(&stream, &out);
    return bz_strbuf_cstr(&out);
}

START_TEST(marks_of_space_become_spaces_and_bytes_bytes)
{
    ck_assert_str_eq(whole("\342\226\201hello", 0), " hello");
    ck_assert_str_eq(whole(">\342\226\201</", 0), "> </");
    ck_assert_str_eq(whole("\342\226\201", 0), " ");
    ck_assert_str_eq(whole("   ", 0), "   ");
    ck_assert_str_eq(whole("\n\n", 0), "\n\n");
    ck_assert_str_eq(whole("</s>", 0), "</s>");
    ck_assert_str_eq(whole("\346\227\245\346\234\254", 0), "\346\227\245\346\234\254");
    ck_assert_str_eq(whole("<0xC3>", 0), "\303");
}
END_TEST

START_TEST(control_tokens_are_spelled_only_when_asked)
{
    ck_assert_str_eq(whole("<start_of_turn>", 0), "");
    ck_assert_str_eq(whole("<start_of_turn>", 1), "<start_of_turn>");
    ck_assert_str_eq(whole("<unused0>", 0), "");
    ck_assert_str_eq(whole("<start_of_image>", 0), "<start_of_image>"); /* user-defined in the file */
}
END_TEST

START_TEST(unused_entries_and_ids_outside_print_nothing)
{
    const int32_t ids[] = {-1, INT32_MAX, INT32_MIN, 0};
    small_vocab_add(&small, "[PAD1]", BZ_TOKEN_UNUSED, 0);
    small_vocab_add(&small, "<0xGG>", BZ_TOKEN_BYTE, 0);
    bz_vocab_free(vocab);
    vocab = small_vocab_build(&small, &world);
    bz_detokenizer_init(&stream, vocab);
    ck_assert_str_eq(whole("[PAD1]", 1), "");
    ck_assert_str_eq(whole("<0xGG>", 1), "");
    for (size_t i = 0; i < 4; i++) {
        bz_detokenize(&out, vocab, ids[i], 0);
        bz_detokenizer_push(&stream, &out, ids[i]);
    }
    ck_assert_uint_eq(out.size, 0);
}
END_TEST

START_TEST(a_zero_byte_is_a_byte)
{
    bz_detokenize(&out, vocab, bz_vocab_byte(vocab, 0), 0);
    ck_assert_uint_eq(out.size, 1);
    ck_assert_int_eq(out.data[0], 0);
}
END_TEST

START_TEST(a_character_is_held_back_until_it_is_whole)
{
    static const char text[] = "a\303\251\342\202\254\360\237\230\200z";
    static const size_t sizes[] = {1, 1, 3, 3, 3, 6, 6, 6, 6, 10, 11};
    for (size_t i = 0; i < sizeof text - 1; i++) {
        bz_detokenizer_push(&stream, &out, bz_vocab_byte(vocab, (uint8_t)text[i]));
        ck_assert_uint_eq(out.size, sizes[i]);
    }
    bz_detokenizer_finish(&stream, &out);
    ck_assert_str_eq(bz_strbuf_cstr(&out), text);
}
END_TEST

START_TEST(what_cannot_become_a_character_is_replaced_at_once)
{
    /* One U+FFFD for the longest beginning of a character that broke off: Unicode 15, table 3-8 and its like. */
    static const char *const cases[][2] = {
        {"\342A", FFFD "A"},
        {"\342\226A", FFFD "A"},
        {"\377\376", FFFD FFFD},
        {"\300\200", FFFD FFFD},
        {"\355\240\200", FFFD FFFD FFFD},
        {"\360\237\230", FFFD},
        {"\303\303\251", FFFD "\303\251"},
        {"\342\226\360\237\230\200", FFFD "\360\237\230\200"},
        {"\364\220\200\200", FFFD FFFD FFFD FFFD},
        {"a\200b", "a" FFFD "b"},
        {"\303", FFFD},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        ck_assert_str_eq(feed(cases[i][0], strlen(cases[i][0])), cases[i][1]);
}
END_TEST

START_TEST(a_finished_letter_is_not_held_by_an_earlier_broken_one)
{
    bz_detokenizer_push(&stream, &out, bz_vocab_byte(vocab, 0xE2));
    ck_assert_uint_eq(out.size, 0);
    bz_detokenizer_push(&stream, &out, bz_vocab_find(vocab, "a", 1));
    ck_assert_str_eq(bz_strbuf_cstr(&out), FFFD "a");
}
END_TEST

START_TEST(pieces_between_byte_entries_are_joined_in_order)
{
    const char *const entries[] = {"<0xC3>", "<0xA9>", "\342\226\201he", "<0xE2>", "<0x82>", "\342\226\201", "<end_of_turn>"};
    for (size_t i = 0; i < 7; i++)
        bz_detokenizer_push(&stream, &out, bz_vocab_find(vocab, entries[i], strlen(entries[i])));
    ck_assert_str_eq(bz_strbuf_cstr(&out), "\303\251 he" FFFD " ");
}
END_TEST

START_TEST(random_ids_stream_as_valid_text_and_keep_what_is_valid)
{
    bz_rng rng;
    bz_rng_seed(&rng, 3);
    for (int round = 0; round < 500; round++) {
        bz_strbuf raw;
        bz_strbuf_init(&raw, &world, 0);
        bz_strbuf_reset(&out);
        for (int i = 0; i < 40; i++) {
            int32_t id = (int32_t)(bz_rng_next(&rng) % bz_vocab_size(vocab));
            bz_detokenize(&raw, vocab, id, 0);
            bz_detokenizer_push(&stream, &out, id);
            ck_assert_int_eq(bz_utf8_valid(bz_strbuf_cstr(&out), out.size), 1);
        }
        bz_detokenizer_finish(&stream, &out);
        size_t at = 0; /* every valid character of the raw bytes comes out, in order */
        for (size_t i = 0; i < raw.size;) {
            uint32_t cp;
            size_t n = bz_utf8_decode(&cp, raw.data + i, raw.size - i);
            while (n && memcmp(out.data + at, raw.data + i, n)) {
                ck_assert_mem_eq(out.data + at, FFFD, 3);
                at += 3;
                ck_assert_uint_lt(at, out.size);
            }
            at += n;
            i += n ? n : 1;
        }
        bz_strbuf_free(&raw);
    }
}
END_TEST

static bezel_status stream_once(test_world *tw, void *ctx)
{
    (void)ctx;
    bz_strbuf b;
    bz_detokenizer d;
    bz_strbuf_init(&b, &tw->world, 0);
    bz_detokenizer_init(&d, vocab);
    for (int i = 0; i < 300; i++)
        bz_detokenizer_push(&d, &b, bz_vocab_find(vocab, "llo", 3));
    bezel_status st = b.status;
    bz_strbuf_free(&b);
    return st;
}

START_TEST(memory_that_runs_out_shows_in_the_buffer)
{
    test_world tw;
    test_world_init(&tw);
    ck_assert_int_gt(test_world_sweep(&tw, stream_once, NULL, BEZEL_OK), 1);
}
END_TEST

Suite *detokenizer_suite(void);
Suite *detokenizer_suite(void)
{
    Suite *s = suite_create("detokenizer");
    TCase *t = tcase_create("detokenizer");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, marks_of_space_become_spaces_and_bytes_bytes);
    tcase_add_test(t, control_tokens_are_spelled_only_when_asked);
    tcase_add_test(t, unused_entries_and_ids_outside_print_nothing);
    tcase_add_test(t, a_zero_byte_is_a_byte);
    tcase_add_test(t, a_character_is_held_back_until_it_is_whole);
    tcase_add_test(t, what_cannot_become_a_character_is_replaced_at_once);
    tcase_add_test(t, a_finished_letter_is_not_held_by_an_earlier_broken_one);
    tcase_add_test(t, pieces_between_byte_entries_are_joined_in_order);
    tcase_add_test(t, random_ids_stream_as_valid_text_and_keep_what_is_valid);
    tcase_add_test(t, memory_that_runs_out_shows_in_the_buffer);
    suite_add_tcase(s, t);
    return s;
}
