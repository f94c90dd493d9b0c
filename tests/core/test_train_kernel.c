/* SPDX-License-Identifier: MIT */
/* Kernels of training: every level makes the bits of the scalar one, and that one is right. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "compute/cpu_features.h"
#include "compute/kernel.h"
#include "support/test_engine.h"

Suite *train_kernel_suite(void);

static const uint32_t levels[] = {TEST_FAST_LEVELS};
enum { N_LEVELS = sizeof levels / sizeof *levels, MOST = 300 };

static const bz_train_kernel *const ref = &bz_train_kernel_ref;

static void fill(float *x, size_t n, double size, uint64_t seed)
{
    bz_rng rng;
    bz_rng_seed(&rng, seed);
    for (size_t i = 0; i < n; i++)
        x[i] = (float)((bz_rng_unit(&rng) * 2.0 - 1.0) * size);
}

static void same(const void *a, const void *b, size_t size, const char *what, size_t n)
{
    ck_assert_msg(memcmp(a, b, size) == 0, "%s of %zu numbers differs", what, n);
}

START_TEST(every_level_makes_the_bits_of_the_scalar_one)
{
    static const size_t sizes[] = {1, 15, 16, 17, 64, 299};
    static float x[MOST], y[MOST], z[MOST], w[MOST], a[2][MOST], b[2][MOST];
    static uint16_t half[2][MOST];
    static uint32_t pairs[2][MOST];
    if (!bz_kernel_has(levels[_i]))
        return;
    const bz_train_kernel *k = bz_kernel_find(levels[_i])->train, *both[2] = {ref, k};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        const size_t n = sizes[s];
        float sum[2];
        fill(x, n, 9.0, 1);
        fill(y, n, 3.0, 2);
        fill(z, n, 2.0, 3);
        fill(w, n, 1.0, 4);
        for (int i = 0; i < 2; i++) {
            memcpy(a[i], x, n * sizeof(float));
            sum[i] = both[i]->exp_less(a[i], n, 9.0f);
        }
        same(a[0], a[1], n * sizeof(float), "exp_less", n);
        same(&sum[0], &sum[1], sizeof *sum, "the sum of exp_less", n);
        for (int i = 0; i < 2; i++)
            both[i]->geglu_back(a[i], b[i], w, x, y, n);
        same(a[0], a[1], n * sizeof(float), "geglu_back, gate", n);
        same(b[0], b[1], n * sizeof(float), "geglu_back, up", n);
        for (int add = 0; add < 2; add++) {
            for (int i = 0; i < 2; i++) {
                both[i]->norm_back(a[i], w, x, y, n, 1e-6f, add);
                both[i]->drop(b[i], x, n, 77, 5, 1U << 30, 1.5f, add);
            }
            same(a[0], a[1], n * sizeof(float), "norm_back", n);
            same(b[0], b[1], n * sizeof(float), "drop", n);
        }
        for (int i = 0; i < 2; i++) {
            both[i]->to_bf16(half[i], x, n);
            both[i]->to_pairs(pairs[i], x, y, n);
        }
        same(half[0], half[1], n * sizeof(uint16_t), "to_bf16", n);
        same(pairs[0], pairs[1], n * sizeof(uint32_t), "to_pairs", n);
        for (int i = 0; i < 2; i++)
            both[i]->turn(pairs[i], 20, (const uint32_t *)(const void *)x, 3, n / 3 < 14 ? n / 3 : 14, 3);
        same(pairs[0], pairs[1], n / 3 < 14 ? 0 : 2 * 20 * sizeof(uint32_t), "turn", n);
    }
}
END_TEST

START_TEST(they_are_right)
{
    static float x[MOST], y[MOST];
    size_t dropped = 0;
    fill(x, MOST, 40.0, 5);
    x[0] = -INFINITY;
    x[1] = 41.0f;
    memcpy(y, x, sizeof x);
    (void)ref->exp_less(y, MOST, 41.0f);
    for (size_t i = 1; i < MOST; i++)
        ck_assert_double_eq_tol((double)y[i], exp((double)x[i] - 41.0), 4e-6 * exp((double)x[i] - 41.0) + 1e-37);
    ck_assert(y[0] < 1e-37f);
    x[3] = NAN;
    ck_assert(isnan(ref->exp_less(x, MOST, 0.0f)) && isnan(x[3]));
    for (uint32_t i = 0; i < 10000; i++) {
        const float one = 1.0f;
        float out;
        ref->drop(&out, &one, 1, 123, i, 429496730U, 2.0f, 0); /* a tenth */
        ck_assert(out == 0.0f || out == 2.0f);
        dropped += out == 0.0f;
    }
    ck_assert_uint_ge(dropped, 880);
    ck_assert_uint_le(dropped, 1120);
}
END_TEST

START_TEST(bf16_is_rounded_to_nearest_even)
{
    static const struct {
        uint32_t from;
        uint16_t to;
    } rows[] = {
        {0x3F800000, 0x3F80}, {0x3F807FFF, 0x3F80}, {0x3F808000, 0x3F80}, {0x3F808001, 0x3F81}, {0x3F818000, 0x3F82},
        {0x7F800000, 0x7F80}, {0xFF800000, 0xFF80}, {0x7F7FFFFF, 0x7F80}, {0x7F800001, 0x7FC0}, {0x80000000, 0x8000},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        float x;
        uint16_t out;
        memcpy(&x, &rows[i].from, sizeof x);
        ref->to_bf16(&out, &x, 1);
        ck_assert_msg(out == rows[i].to, "%08x becomes %04x", rows[i].from, out);
    }
}
END_TEST

/* Pairs against the same products in f64, and the instruction against the plain code. */
START_TEST(products_of_pairs_are_right_and_the_same_with_the_instruction)
{
    enum { T = 13, K = 37, N = 150 };
    static const size_t columns[] = {1, 16, 64, 79, 150};
    static float xf[T][2 * K], wf[2 * K][N], y[3][T * N], start[T * N];
    static uint32_t x[T][K], w[K][N];
    fill(&xf[0][0], T * 2 * K, 2.0, 6);
    fill(&wf[0][0], 2 * K * N, 2.0, 7);
    fill(start, T * N, 5.0, 8);
    for (size_t t = 0; t < T; t++)
        ref->to_bf16((uint16_t *)(void *)x[t], xf[t], 2 * K);
    for (size_t k = 0; k < K; k++)
        ref->to_pairs(w[k], wf[2 * k], wf[2 * k + 1], N);
    for (size_t c = 0; c < sizeof columns / sizeof *columns; c++) {
        const size_t n = columns[c];
        memcpy(y[0], start, sizeof start);
        ref->product_pairs(y[0], N, &x[0][0], K, &w[0][0], N, T, K, n);
        for (size_t t = 0; t < T; t++)
            for (size_t i = 0; i < N; i++) {
                double sum = (double)start[t * N + i];
                for (size_t k = 0; i < n && k < 2 * K; k++)
                    sum += (double)xf[t][k] * (double)wf[k][i];
                ck_assert_double_eq_tol((double)y[0][t * N + i], sum, (i < n ? 0.5 : 1e-9));
            }
        for (size_t l = 0; l < N_LEVELS; l++) {
            if (!bz_kernel_has(levels[l]))
                continue;
            const bz_train_kernel *k = bz_kernel_find(levels[l])->train;
            memcpy(y[1], start, sizeof start);
            k->product_pairs(y[1], N, &x[0][0], K, &w[0][0], N, T, K, n);
            same(y[0], y[1], sizeof y[0], "product_pairs", n);
            if (k->product_pairs_fast == NULL || !bz_cpu_has_bf16())
                continue;
            memcpy(y[2], start, sizeof start);
            k->product_pairs_fast(y[2], N, &x[0][0], K, &w[0][0], N, T, K, n);
            for (size_t i = 0; i < T * N; i++)
                ck_assert_double_eq_tol((double)y[2][i], (double)y[0][i], 1e-4);
        }
    }
}
END_TEST

Suite *train_kernel_suite(void)
{
    Suite *s = suite_create("train_kernel");
    TCase *c = tcase_create("kernels");
    tcase_add_loop_test(c, every_level_makes_the_bits_of_the_scalar_one, 0, N_LEVELS);
    tcase_add_test(c, they_are_right);
    tcase_add_test(c, bf16_is_rounded_to_nearest_even);
    tcase_add_test(c, products_of_pairs_are_right_and_the_same_with_the_instruction);
    suite_add_tcase(s, c);
    return s;
}
