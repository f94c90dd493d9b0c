/* SPDX-License-Identifier: MIT */
/* Little-endian loads, and the small helpers of the file readers: hash, index sort, notes. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/byte_order.h"
#include "base/hash.h"
#include "base/index_sort.h"
#include "base/notes.h"
#include "base/rng.h"
#include "support/test_world.h"

/* --- Loads -------------------------------------------------------------------------------- */

START_TEST(numbers_are_little_endian_at_any_alignment)
{
    static const uint8_t bytes[] = {0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x88, 0x00, 0x00, 0x80, 0x3F};
    static const uint8_t minus[] = {0xFF, 0, 0, 0, 0, 0, 0, 0xF0, 0xBF};
    ck_assert_uint_eq(bz_load_u16(bytes + 1), 0x0302);
    ck_assert_uint_eq(bz_load_u32(bytes + 3), 0x07060504);
    ck_assert_uint_eq(bz_load_u64(bytes), UINT64_C(0x8807060504030201));
    ck_assert_double_eq((double)bz_load_f32(bytes + 8), 1.0);
    ck_assert_double_eq(bz_load_f64(minus + 1), -1.0);
}
END_TEST

/* --- Hash --------------------------------------------------------------------------------- */

static void hash_pieces(uint8_t out[16], const uint8_t *p, size_t n, size_t piece)
{
    bz_hash h;
    bz_hash_init(&h);
    for (size_t i = 0; i < n; i += piece)
        bz_hash_add(&h, p + i, n - i < piece ? n - i : piece);
    bz_hash_finish(&h, out);
}

START_TEST(a_hash_does_not_depend_on_how_the_bytes_are_cut)
{
    uint8_t data[100], whole[16], cut[16];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 37);
    for (size_t n = 0; n <= sizeof data; n++) {
        hash_pieces(whole, data, n, 1000);
        for (size_t piece = 1; piece < 20; piece++) {
            hash_pieces(cut, data, n, piece);
            ck_assert_int_eq(memcmp(whole, cut, 16), 0);
        }
    }
}
END_TEST

START_TEST(a_hash_tells_lengths_zeros_and_single_bits_apart)
{
    static uint8_t seen[1 + 64 + 512][16];
    uint8_t data[64] = {0};
    size_t n = 0;
    for (size_t size = 0; size <= 64; size++) /* zeros of every length */
        hash_pieces(seen[n++], data, size, 64);
    for (size_t bit = 0; bit < 512; bit++) {
        data[bit / 8] = (uint8_t)(1 << bit % 8);
        hash_pieces(seen[n++], data, 64, 64);
        data[bit / 8] = 0;
    }
    for (size_t i = 0; i < n; i++) {
        for (size_t k = 0; k < i; k++) {
            ck_assert_int_ne(memcmp(seen[i], seen[k], 8), 0); /* each half alone, too */
            ck_assert_int_ne(memcmp(seen[i] + 8, seen[k] + 8, 8), 0);
        }
    }
}
END_TEST

/* --- Sort --------------------------------------------------------------------------------- */

static int compare_keys(const void *ctx, uint32_t a, uint32_t b)
{
    const uint32_t *keys = ctx;
    return (keys[a] > keys[b]) - (keys[a] < keys[b]);
}

START_TEST(indices_are_sorted_by_key_and_equal_ones_by_index)
{
    uint32_t keys[200], index[200];
    bz_rng rng;
    bz_rng_seed(&rng, 5);
    for (uint32_t n = 0; n < 200; n++) {
        for (uint32_t i = 0; i < n; i++) {
            keys[i] = (uint32_t)(bz_rng_next(&rng) % (n / 2 + 1)); /* many equal */
            index[i] = i;
        }
        bz_index_sort(index, n, compare_keys, keys);
        for (uint32_t i = 1; i < n; i++) {
            ck_assert_uint_le(keys[index[i - 1]], keys[index[i]]);
            if (keys[index[i - 1]] == keys[index[i]])
                ck_assert_uint_lt(index[i - 1], index[i]);
        }
    }
}
END_TEST

/* --- Notes -------------------------------------------------------------------------------- */

START_TEST(notes_keep_the_first_ones_and_count_the_rest)
{
    test_world tw;
    bz_notes n;
    test_world_init(&tw);
    bz_notes_init(&n, &tw.world, NULL);
    for (int i = 0; i < BZ_NOTES_MAX + 5; i++)
        bz_notes_add(&n, "test", "note %d", i);
    ck_assert_uint_eq(n.count, BZ_NOTES_MAX);
    ck_assert_uint_eq(n.dropped, 5);
    ck_assert_str_eq(n.texts[0], "note 0");
    bz_notes_free(&n);
    ck_assert(test_world_is_clean(&tw));
}
END_TEST

START_TEST(a_remark_about_a_hostile_name_is_clean_text)
{
    test_world tw;
    bz_notes n;
    test_world_init(&tw);
    bz_notes_init(&n, &tw.world, NULL);
    bz_notes_add(&n, "test", "tensor \"%s\"", "\x1b[2J\xff\n");
    ck_assert_uint_eq(n.count, 1);
    ck_assert_str_eq(n.texts[0], "tensor \"\\x1b[2J\\xff\\x0a\"");
    bz_notes_free(&n);
}
END_TEST

START_TEST(a_note_is_dropped_when_memory_is_out)
{
    test_world tw;
    bz_notes n;
    test_world_init(&tw);
    bz_notes_init(&n, &tw.world, NULL);
    test_world_arm(&tw, 1, 1);
    bz_notes_add(&n, "test", "lost");
    ck_assert_uint_eq(n.count, 0);
    ck_assert_uint_eq(n.dropped, 1);
    bz_notes_free(&n);
}
END_TEST

Suite *byte_order_suite(void)
{
    Suite *s = suite_create("byte_order");
    TCase *t = tcase_create("bytes");
    tcase_add_test(t, numbers_are_little_endian_at_any_alignment);
    tcase_add_test(t, a_hash_does_not_depend_on_how_the_bytes_are_cut);
    tcase_add_test(t, a_hash_tells_lengths_zeros_and_single_bits_apart);
    tcase_add_test(t, indices_are_sorted_by_key_and_equal_ones_by_index);
    tcase_add_test(t, notes_keep_the_first_ones_and_count_the_rest);
    tcase_add_test(t, a_remark_about_a_hostile_name_is_clean_text);
    tcase_add_test(t, a_note_is_dropped_when_memory_is_out);
    suite_add_tcase(s, t);
    return s;
}
