/* SPDX-License-Identifier: MIT */
/* Allocation through a world, arenas, option structs. */
#include "base/alloc.h"
#include "base/arena.h"
#include "base/options.h"
#include "base/rng.h"
#include "support/test_world.h"

#include <check.h>
#include <string.h>

static int is_aligned(const void *p, uintptr_t to)
{
    return ((uintptr_t)p & (to - 1)) == 0;
}

START_TEST(sizes_that_overflow_are_refused_and_others_are_exact)
{
    static const uint64_t edges[] = {0, 1, 2, 3, 255, 65535, 65536, 0xFFFFFFFF, 0x100000000, INT64_MAX, (uint64_t)1 << 63,
                                     UINT64_MAX - 1, UINT64_MAX};
    size_t n = sizeof edges / sizeof edges[0];
    for (size_t i = 0; i < n * n; i++) {
        uint64_t a = edges[i / n];
        uint64_t b = edges[i % n];
        uint64_t product = 7;
        uint64_t sum = 7;
        unsigned __int128 wide = (unsigned __int128)a * b;
        ck_assert_int_eq(bz_u64_mul(&product, a, b), wide <= UINT64_MAX);
        ck_assert(product == (wide <= UINT64_MAX ? (uint64_t)wide : 7));
        wide = (unsigned __int128)a + b;
        ck_assert_int_eq(bz_u64_add(&sum, a, b), wide <= UINT64_MAX);
        ck_assert(sum == (wide <= UINT64_MAX ? (uint64_t)wide : 7));
    }
    size_t size = 7;
    ck_assert_int_eq(bz_size_mul(&size, SIZE_MAX / 2, 3), 0);
    ck_assert_int_eq(bz_size_add(&size, SIZE_MAX, 1), 0);
    ck_assert_uint_eq(size, 7);
    ck_assert(bz_size_mul(&size, 6, 7) && size == 42);
}
END_TEST

START_TEST(blocks_are_aligned_keep_their_bytes_and_are_counted_exactly)
{
    test_world tw;
    test_world_init(&tw);
    unsigned char *p = bz_alloc(&tw.world, 5);
    ck_assert(p != NULL && is_aligned(p, 16));
    memcpy(p, "abcde", 5);
    p = bz_realloc(&tw.world, p, 100000);
    ck_assert(p != NULL && memcmp(p, "abcde", 5) == 0);
    p = bz_realloc(&tw.world, p, 2);
    ck_assert_mem_eq(p, "ab", 2);
    unsigned char *zero = bz_zalloc_array(&tw.world, 10, 10);
    for (int i = 0; i < 100; i++)
        ck_assert_int_eq(zero[i], 0);
    bz_free(&tw.world, p);
    bz_free(&tw.world, zero);
    bz_free(&tw.world, NULL);
    ck_assert(test_world_is_clean(&tw));
}
END_TEST

START_TEST(impossible_sizes_give_null_without_asking_the_allocator)
{
    test_world tw;
    test_world_init(&tw);
    ck_assert_ptr_null(bz_alloc(&tw.world, 0));
    ck_assert_ptr_null(bz_alloc(&tw.world, SIZE_MAX));
    ck_assert_ptr_null(bz_alloc(&tw.world, SIZE_MAX - 8));
    ck_assert_ptr_null(bz_alloc_aligned(&tw.world, SIZE_MAX - 8));
    ck_assert_ptr_null(bz_zalloc_array(&tw.world, SIZE_MAX / 2, 3));
    ck_assert_int_eq(atomic_load(&tw.n_allocations), 0);
}
END_TEST

START_TEST(a_failing_realloc_keeps_the_old_block)
{
    test_world tw;
    test_world_init(&tw);
    char *p = bz_text_dup(&tw.world, "kept", SIZE_MAX);
    test_world_arm(&tw, 1, 0);
    ck_assert_ptr_null(bz_realloc(&tw.world, p, 1000));
    ck_assert_str_eq(p, "kept");
    bz_free(&tw.world, p);
    ck_assert(test_world_is_clean(&tw));
}
END_TEST

START_TEST(aligned_blocks_are_aligned_to_64_whatever_the_allocator_gives)
{
    test_world tw;
    void *held[64];
    test_world_init(&tw);
    for (size_t i = 0; i < 64; i++) {
        held[i] = bz_alloc_aligned(&tw.world, i * 7 + 1);
        ck_assert(held[i] != NULL && is_aligned(held[i], 64));
        memset(held[i], 0x5A, i * 7 + 1);
    }
    for (size_t i = 0; i < 64; i++)
        bz_free_aligned(&tw.world, held[i]);
    bz_free_aligned(&tw.world, NULL);
    ck_assert(test_world_is_clean(&tw));
}
END_TEST

START_TEST(large_blocks_begin_at_a_huge_page_and_small_ones_cost_nothing_more)
{
    test_world tw;
    test_world_init(&tw);
    const size_t sizes[] = {1, 100, (4u << 20) - 1, 4u << 20, (6u << 20) + 5};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        unsigned char *p = bz_alloc_huge(&tw.world, sizes[i]);
        ck_assert(p != NULL && is_aligned(p, sizes[i] < 4u << 20 ? 64 : 2u << 20));
        p[0] = p[sizes[i] - 1] = 7;
        bz_free_aligned(&tw.world, p);
    }
    ck_assert_ptr_null(bz_alloc_huge(&tw.world, 0));
    ck_assert_ptr_null(bz_alloc_huge(&tw.world, SIZE_MAX - 8));
    ck_assert(test_world_is_clean(&tw));
}
END_TEST

START_TEST(a_text_copy_ends_with_nul_and_takes_exactly_n_bytes)
{
    test_world tw;
    test_world_init(&tw);
    char *a = bz_text_dup(&tw.world, "Tokyo, Japan", 5);
    char *b = bz_text_dup(&tw.world, "", 0);
    ck_assert_str_eq(a, "Tokyo");
    ck_assert_str_eq(b, "");
    bz_free(&tw.world, a);
    bz_free(&tw.world, b);
    ck_assert(test_world_is_clean(&tw));
}
END_TEST

/* --- Arena -------------------------------------------------------------------------------- */

START_TEST(an_arena_hands_out_zeroed_aligned_memory_that_does_not_overlap)
{
    test_world tw;
    bz_arena a;
    bz_rng rng;
    unsigned char *held[500];
    size_t sizes[500];
    test_world_init(&tw);
    bz_rng_seed(&rng, 3);
    bz_arena_init(&a, &tw.world, 0);
    for (size_t i = 0; i < 500; i++) {
        sizes[i] = 1 + bz_rng_next(&rng) % (i % 50 == 0 ? 100000 : 300);
        held[i] = bz_arena_alloc(&a, sizes[i]);
        ck_assert(held[i] != NULL && is_aligned(held[i], 16));
        for (size_t k = 0; k < sizes[i]; k++)
            ck_assert_int_eq(held[i][k], 0);
        memset(held[i], (int)(i % 255) + 1, sizes[i]);
    }
    for (size_t i = 0; i < 500; i++) {
        for (size_t k = 0; k < sizes[i]; k++)
            ck_assert_int_eq(held[i][k], (int)(i % 255) + 1);
    }
    bz_arena_free(&a);
    ck_assert(test_world_is_clean(&tw));
}
END_TEST

START_TEST(small_things_share_few_chunks)
{
    test_world tw;
    bz_arena a;
    test_world_init(&tw);
    bz_arena_init(&a, &tw.world, 0);
    for (int i = 0; i < 10000; i++)
        ck_assert_ptr_nonnull(bz_arena_alloc(&a, 32));
    ck_assert_msg(atomic_load(&tw.n_allocations) < 12, "%ld chunks for 320 kB", atomic_load(&tw.n_allocations));
    bz_arena_free(&a);
}
END_TEST

START_TEST(an_arena_keeps_its_limit_and_works_on_after_a_failure)
{
    test_world tw;
    bz_arena a;
    test_world_init(&tw);
    bz_arena_init(&a, &tw.world, 1024);
    ck_assert_ptr_nonnull(bz_arena_alloc(&a, 1000));
    ck_assert_ptr_null(bz_arena_alloc(&a, 32));
    ck_assert_ptr_nonnull(bz_arena_alloc(&a, 16));
    ck_assert_ptr_null(bz_arena_alloc(&a, 0));
    ck_assert_ptr_null(bz_arena_alloc(&a, SIZE_MAX));
    bz_arena_free(&a);
    bz_arena_init(&a, &tw.world, 0);
    test_world_arm(&tw, 1, 0);
    ck_assert_ptr_null(bz_arena_text(&a, "text", SIZE_MAX));
    ck_assert_str_eq(bz_arena_text(&a, "text", SIZE_MAX), "text");
    bz_arena_free(&a);
    ck_assert(test_world_is_clean(&tw));
}
END_TEST

START_TEST(a_reset_arena_is_used_again_without_new_memory)
{
    test_world tw;
    bz_arena a;
    test_world_init(&tw);
    bz_arena_init(&a, &tw.world, 0);
    bz_arena_reset(&a);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 100; i++)
            memset(bz_arena_alloc(&a, 4000), 0xFF, 4000);
        bz_arena_reset(&a);
    }
    atomic_store(&tw.n_allocations, 0);
    unsigned char *p = bz_arena_alloc(&a, 4000);
    ck_assert_int_eq(p[0] | p[3999], 0);
    ck_assert_int_eq(atomic_load(&tw.n_allocations), 0);
    bz_arena_free(&a);
    ck_assert(test_world_is_clean(&tw));
}
END_TEST

/* --- Option structs ----------------------------------------------------------------------- */

typedef struct options_old {
    uint32_t size;
    uint32_t a;
} options_old;

typedef struct options_new {
    uint32_t size;
    uint32_t a;
    uint32_t b;
} options_new;

START_TEST(options_of_an_older_program_leave_new_members_at_their_defaults)
{
    options_new out = {sizeof out, 1, 2};
    options_old in = {sizeof in, 10};
    ck_assert_int_eq(bz_options_read(&out, sizeof out, &in, "test", NULL), BEZEL_OK);
    ck_assert_uint_eq(out.size, sizeof out);
    ck_assert_uint_eq(out.a, 10);
    ck_assert_uint_eq(out.b, 2);
    ck_assert_int_eq(bz_options_read(&out, sizeof out, NULL, "test", NULL), BEZEL_OK);
    ck_assert_uint_eq(out.a, 10);
}
END_TEST

START_TEST(options_of_a_newer_program_are_read_unless_they_use_what_is_unknown)
{
    bezel_error err = BEZEL_ERROR_INIT;
    options_old out = {sizeof out, 1};
    options_new in = {sizeof in, 10, 0};
    ck_assert_int_eq(bz_options_read(&out, sizeof out, &in, "test", &err), BEZEL_OK);
    ck_assert_uint_eq(out.a, 10);
    ck_assert_uint_eq(out.size, sizeof out);
    in.a = 11;
    in.b = 1;
    ck_assert_int_eq(bz_options_read(&out, sizeof out, &in, "test", &err), BEZEL_ERR_VERSION);
    ck_assert_uint_eq(out.a, 10);
    ck_assert_ptr_nonnull(strstr(err.hint, bezel_version()));
}
END_TEST

START_TEST(an_option_struct_without_a_size_is_refused_with_a_hint)
{
    bezel_error err = BEZEL_ERROR_INIT;
    options_new out = {sizeof out, 1, 2};
    options_new in = {0, 10, 20};
    ck_assert_int_eq(bz_options_read(&out, sizeof out, &in, "test", &err), BEZEL_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(err.hint, "_init"));
    in.size = 0xCCCCCCCC;
    ck_assert_int_eq(bz_options_read(&out, sizeof out, &in, "test", &err), BEZEL_ERR_ARGUMENT);
    ck_assert_uint_eq(out.a, 1);
}
END_TEST

/* --- Generator ---------------------------------------------------------------------------- */

START_TEST(the_generator_gives_the_published_stream)
{
    /* xoshiro256** after splitmix64 from seed 0: first outputs of the reference programs at prng.di.unimi.it. */
    bz_rng rng;
    bz_rng_seed(&rng, 0);
    ck_assert(rng.s[0] == UINT64_C(0xE220A8397B1DCDAF) && rng.s[1] == UINT64_C(0x6E789E6AA1B965F4));
    ck_assert(rng.s[2] == UINT64_C(0x06C45D188009454F) && rng.s[3] == UINT64_C(0xF88BB8A8724C81EC));
    ck_assert(bz_rng_next(&rng) == UINT64_C(0x99EC5F36CB75F2B4));
    ck_assert(bz_rng_next(&rng) == UINT64_C(0xBF6E1F784956452A));
    for (int i = 0; i < 10000; i++) {
        double x = bz_rng_unit(&rng);
        ck_assert(x >= 0.0 && x < 1.0);
    }
}
END_TEST

Suite *alloc_suite(void)
{
    Suite *s = suite_create("alloc");
    TCase *t = tcase_create("blocks");
    tcase_add_test(t, sizes_that_overflow_are_refused_and_others_are_exact);
    tcase_add_test(t, blocks_are_aligned_keep_their_bytes_and_are_counted_exactly);
    tcase_add_test(t, impossible_sizes_give_null_without_asking_the_allocator);
    tcase_add_test(t, a_failing_realloc_keeps_the_old_block);
    tcase_add_test(t, aligned_blocks_are_aligned_to_64_whatever_the_allocator_gives);
    tcase_add_test(t, large_blocks_begin_at_a_huge_page_and_small_ones_cost_nothing_more);
    tcase_add_test(t, a_text_copy_ends_with_nul_and_takes_exactly_n_bytes);
    suite_add_tcase(s, t);
    t = tcase_create("arena");
    tcase_add_test(t, an_arena_hands_out_zeroed_aligned_memory_that_does_not_overlap);
    tcase_add_test(t, small_things_share_few_chunks);
    tcase_add_test(t, an_arena_keeps_its_limit_and_works_on_after_a_failure);
    tcase_add_test(t, a_reset_arena_is_used_again_without_new_memory);
    suite_add_tcase(s, t);
    t = tcase_create("options");
    tcase_add_test(t, options_of_an_older_program_leave_new_members_at_their_defaults);
    tcase_add_test(t, options_of_a_newer_program_are_read_unless_they_use_what_is_unknown);
    tcase_add_test(t, an_option_struct_without_a_size_is_refused_with_a_hint);
    suite_add_tcase(s, t);
    t = tcase_create("generator");
    tcase_add_test(t, the_generator_gives_the_published_stream);
    suite_add_tcase(s, t);
    return s;
}
