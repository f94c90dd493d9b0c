/* SPDX-License-Identifier: MIT */
/* Products over the pool: the same bits for any number of threads, any cut of positions and rows, one fork or several. */
#include <bezel/engine.h>

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "compute/activation.h"
#include "compute/matmul.h"
#include "compute/quant.h"
#include "support/test_engine.h"

Suite *matmul_suite(void);

enum { N_LEVELS = 5, N = 205, N2 = 64, K = 512, MAX_T = 37 };

static const uint32_t levels[N_LEVELS] = {BEZEL_ISA_SCALAR, TEST_FAST_LEVELS};
static const uint32_t types[] = {BZ_DTYPE_Q5_0, BZ_DTYPE_Q8_0, BZ_DTYPE_Q4_K, BZ_DTYPE_Q6_K, BZ_DTYPE_Q2_K, BZ_DTYPE_F16, BZ_DTYPE_F32};
enum { N_TYPES = sizeof types / sizeof *types };

typedef struct table { /* weights, activations, room for answers */
    uint8_t w[N * K * 4], w2[N2 * K * 4];
    float x[MAX_T * K];
    float y[2][MAX_T * N], y2[MAX_T * N2];
    _Alignas(64) char q8[MAX_T * (K * 4 + 512)];
    uint8_t prompts[MAX_T];
    bz_tensor a, b;
} table;

static table *t;

static void encode_rows(uint8_t *w, size_t rows, uint32_t dtype, bz_rng *rng)
{
    float row[K];
    for (size_t n = 0; n < rows; n++) {
        for (size_t k = 0; k < K; k++)
            row[k] = (float)bz_rng_unit(rng) - 0.5f;
        bz_quant_encode(w + n * bz_quant_row_size(dtype, K), row, dtype, K);
    }
}

static void setup(void)
{
    t = aligned_alloc(64, (sizeof *t + 63) / 64 * 64);
}

static void teardown(void)
{
    free(t);
}

static void fill(uint32_t dtype, uint32_t dtype2)
{
    bz_rng rng;
    bz_rng_seed(&rng, dtype + 1);
    encode_rows(t->w, N, dtype, &rng);
    encode_rows(t->w2, N2, dtype2, &rng);
    for (size_t i = 0; i < MAX_T * K; i++)
        t->x[i] = ((float)bz_rng_unit(&rng) - 0.5f) * (i % 101 == 0 ? 200.0f : 1.0f);
    for (size_t i = 0; i < MAX_T; i++)
        t->prompts[i] = i % 13 != 3 && i % 7 != 5;
    t->a = (bz_tensor){t->w, dtype, 2, K, N};
    t->b = (bz_tensor){t->w2, dtype2, 2, K, N2};
}

/* Positions with integer activations, without (all decoded), without (prompts and decoded ones mixed). */
enum { WAY_Q8, WAY_DECODED, WAY_MIXED, N_WAYS };

static void product(float *y, bezel_engine *engine, int way, size_t from, size_t T, size_t n_begin, size_t n_end)
{
    bz_activations a;
    bz_activations_set(&a, t->x + from * K, K, T, K, way == WAY_Q8 ? t->q8 : NULL);
    a.prompts = way == WAY_MIXED ? t->prompts + from : NULL;
    bz_matmul(y + from * N, N, engine, &t->a, n_begin, n_end, &a);
}

static const char *describe(int level, uint32_t dtype, int way)
{
    static const char *const names[N_WAYS] = {"integers", "decoded", "mixed"};
    static char text[64];
    snprintf(text, sizeof text, "level %u type %u %s", levels[level], dtype, names[way]);
    return text;
}

START_TEST(one_two_and_three_threads_give_the_same_bits)
{
    for (int level = 0; level < N_LEVELS; level++) {
        if (!bz_kernel_has(levels[level]))
            continue;
        bezel_engine *engines[3];
        for (uint32_t i = 0; i < 3; i++)
            engines[i] = test_engine_new(NULL, i + 1, levels[level]);
        fill(types[_i], BZ_DTYPE_Q8_0);
        static const size_t lengths[] = {1, 2, 5, MAX_T};
        for (int way = 0; way < N_WAYS; way++)
            for (size_t l = 0; l < 4; l++) {
                product(t->y[0], engines[0], way, 0, lengths[l], 0, N);
                for (int i = 1; i < 3; i++) {
                    memset(t->y[1], 0xff, sizeof t->y[1]);
                    product(t->y[1], engines[i], way, 0, lengths[l], 0, N);
                    ck_assert_msg(memcmp(t->y[0], t->y[1], lengths[l] * N * sizeof(float)) == 0, "%s T %zu, %d threads",
                                  describe(level, types[_i], way), lengths[l], i + 1);
                }
            }
        for (int i = 0; i < 3; i++)
            bezel_engine_free(engines[i]);
    }
}
END_TEST

static void assert_same_answers(const char *what)
{
    for (size_t i = 0; i < MAX_T * N; i++)
        ck_assert_msg(t->y[0][i] == t->y[1][i], "%s [%zu] %g and %g", what, i, (double)t->y[0][i], (double)t->y[1][i]);
}

START_TEST(positions_and_rows_may_be_cut_anywhere)
{
    for (int level = 0; level < N_LEVELS; level++) {
        if (!bz_kernel_has(levels[level]))
            continue;
        bezel_engine *engine = test_engine_new(NULL, 2, levels[level]);
        fill(types[_i], BZ_DTYPE_Q8_0);
        for (int way = 0; way < N_WAYS; way++) {
            product(t->y[0], engine, way, 0, MAX_T, 0, N);
            for (size_t cut = 1; cut < MAX_T; cut += cut < 6 ? 1 : 9) {
                memset(t->y[1], 0xff, sizeof t->y[1]);
                for (size_t from = 0; from < MAX_T; from += cut) {
                    const size_t T = MAX_T - from < cut ? MAX_T - from : cut;
                    product(t->y[1], engine, way, from, T, 0, 3 * cut);
                    product(t->y[1], engine, way, from, T, 3 * cut, N);
                }
                assert_same_answers(describe(level, types[_i], way));
            }
        }
        bezel_engine_free(engine);
    }
}
END_TEST

/* A prompt may be longer than what one widened panel serves, rows fewer than a block. */
START_TEST(a_long_prompt_is_its_positions_one_by_one)
{
    enum { LONG = 300, ROWS = 101, WIDTH = 160 };
    float *w = malloc(ROWS * WIDTH * sizeof *w), *x = malloc(LONG * WIDTH * sizeof *x);
    float *whole = malloc(LONG * ROWS * sizeof *whole), single[ROWS];
    uint8_t prompts[LONG];
    bezel_engine *engine = test_engine_new(NULL, 2, BEZEL_ISA_AUTO);
    const bz_tensor tensor = {w, BZ_DTYPE_F32, 2, WIDTH, ROWS};
    bz_rng rng;
    bz_activations a;
    bz_rng_seed(&rng, 9);
    for (size_t i = 0; i < ROWS * WIDTH; i++)
        w[i] = (float)bz_rng_unit(&rng) - 0.5f;
    for (size_t i = 0; i < LONG * WIDTH; i++)
        x[i] = (float)bz_rng_unit(&rng) - 0.5f;
    memset(prompts, 1, sizeof prompts);
    bz_activations_set(&a, x, WIDTH, LONG, WIDTH, NULL);
    a.prompts = prompts;
    bz_matmul(whole, ROWS, engine, &tensor, 0, ROWS, &a);
    for (size_t p = 0; p < LONG; p++) {
        bz_activations_set(&a, x + p * WIDTH, WIDTH, 1, WIDTH, NULL);
        a.prompts = prompts;
        bz_matmul(single, ROWS, engine, &tensor, 0, 33, &a);
        bz_matmul(single, ROWS, engine, &tensor, 33, ROWS, &a);
        ck_assert_msg(memcmp(single, whole + p * ROWS, sizeof single) == 0, "position %zu", p);
    }
    bezel_engine_free(engine);
    free(w);
    free(x);
    free(whole);
}
END_TEST

/* Chunks of a prompt, single positions, batches, threads and levels: one set of bits. */
START_TEST(integer_products_have_the_scalar_bits_on_every_level_for_every_cut_and_thread_count)
{
    static const size_t cuts[] = {1, 2, 3, 5, 16, MAX_T};
    bezel_engine *scalar = test_engine_new(NULL, 1, BEZEL_ISA_SCALAR);
    fill(types[_i], BZ_DTYPE_Q8_0);
    product(t->y[0], scalar, WAY_Q8, 0, MAX_T, 0, N);
    bezel_engine_free(scalar);
    for (int level = 0; level < N_LEVELS; level++)
        for (uint32_t threads = 1; threads <= 3 && bz_kernel_has(levels[level]) && bz_quant_has_groups(types[_i]); threads++) {
            bezel_engine *engine = test_engine_new(NULL, threads, levels[level]);
            for (size_t c = 0; c < sizeof cuts / sizeof *cuts; c++) {
                memset(t->y[1], 0xff, sizeof t->y[1]);
                for (size_t from = 0; from < MAX_T; from += cuts[c])
                    product(t->y[1], engine, WAY_Q8, from, MAX_T - from < cuts[c] ? MAX_T - from : cuts[c], 0, N);
                ck_assert_msg(memcmp(t->y[0], t->y[1], sizeof t->y[0]) == 0, "%s, %u threads, pieces of %zu",
                              describe(level, types[_i], WAY_Q8), threads, cuts[c]);
            }
            bezel_engine_free(engine);
        }
}
END_TEST

START_TEST(listed_rows_are_those_of_the_whole_product_and_no_others_are_written)
{
    int32_t rows[N];
    bz_rng rng;
    bz_rng_seed(&rng, 31);
    for (int level = 0; level < N_LEVELS; level++) {
        if (!bz_kernel_has(levels[level]))
            continue;
        bezel_engine *engine = test_engine_new(NULL, 2, levels[level]);
        fill(types[_i], BZ_DTYPE_Q8_0);
        for (int way = WAY_Q8; way <= WAY_DECODED; way++) {
            product(t->y[0], engine, way, 0, 1, 0, N);
            for (size_t n = 0; n < N; n = n < 18 ? n + 1 : n * 2) {
                bz_activations a;
                for (size_t i = 0; i < n; i++)
                    rows[i] = (int32_t)(bz_rng_next(&rng) % N);
                for (size_t i = 0; i < N; i++)
                    t->y[1][i] = -1e30f;
                bz_activations_set(&a, t->x, K, 1, K, way == WAY_Q8 ? t->q8 : NULL);
                bz_matmul_rows(t->y[1], engine, &t->a, rows, n, &a);
                for (size_t i = 0; i < n; i++)
                    ck_assert_msg(t->y[1][rows[i]] == t->y[0][rows[i]], "%s: row %d of %zu", describe(level, types[_i], way),
                                  rows[i], n);
                for (size_t i = 0; i < n; i++)
                    t->y[1][rows[i]] = -1e30f;
                for (size_t i = 0; i < N; i++)
                    ck_assert(t->y[1][i] == -1e30f);
            }
        }
        bezel_engine_free(engine);
    }
}
END_TEST

START_TEST(several_products_in_one_fork_are_the_single_ones)
{
    for (int level = 0; level < N_LEVELS; level++) {
        if (!bz_kernel_has(levels[level]))
            continue;
        bezel_engine *engine = test_engine_new(NULL, 2, levels[level]);
        fill(types[_i], types[(_i + 3) % N_TYPES]);
        for (size_t T = 1; T <= MAX_T; T += 12) {
            bz_activations a;
            float *single = malloc(MAX_T * N2 * sizeof *single);
            const bz_matmul_part parts[2] = {{t->y[1], N, &t->a, NULL}, {t->y2, N2, &t->b, NULL}};
            bz_activations_set(&a, t->x, K, T, K, t->q8);
            a.prompts = t->prompts;
            bz_matmul(t->y[0], N, engine, &t->a, 0, N, &a);
            bz_matmul(single, N2, engine, &t->b, 0, N2, &a);
            bz_activations_set(&a, t->x, K, T, K, t->q8);
            a.prompts = t->prompts;
            bz_matmul_many(engine, parts, 2, &a);
            for (size_t i = 0; i < T * N; i++)
                ck_assert(t->y[0][i] == t->y[1][i]);
            for (size_t i = 0; i < T * N2; i++)
                ck_assert(single[i] == t->y2[i]);
            free(single);
        }
        bezel_engine_free(engine);
    }
}
END_TEST

START_TEST(products_are_right_whatever_way_they_take)
{
    for (int level = 0; level < N_LEVELS; level++) {
        if (!bz_kernel_has(levels[level]))
            continue;
        bezel_engine *engine = test_engine_new(NULL, 2, levels[level]);
        fill(types[_i], BZ_DTYPE_Q8_0);
        for (int way = 0; way < N_WAYS; way++) {
            product(t->y[0], engine, way, 0, MAX_T, 0, N);
            for (size_t n = 0; n < N; n++) {
                float row[K];
                bz_quant_decode(row, t->w + n * bz_tensor_row_size(&t->a), types[_i], K);
                for (size_t p = 0; p < MAX_T; p++) {
                    double sum = 0.0;
                    for (size_t k = 0; k < K; k++)
                        sum += (double)row[k] * (double)t->x[p * K + k];
                    /* a step of 100 / 32767 in a group with a large value, times weights of 0.5, five such groups */
                    ck_assert_msg(fabs(sum - (double)t->y[0][p * N + n]) < (way == WAY_Q8 ? 2e-2 : 1e-3), "%s row %zu: %g, expected %g",
                                  describe(level, types[_i], way), n, (double)t->y[0][p * N + n], sum);
                }
            }
        }
        bezel_engine_free(engine);
    }
}
END_TEST

START_TEST(integer_rows_are_made_once_and_only_when_a_product_wants_them)
{
    bezel_engine *engine = test_engine_new(NULL, 1, BEZEL_ISA_SCALAR);
    bz_activations a;
    fill(BZ_DTYPE_F32, BZ_DTYPE_Q8_0);
    bz_activations_set(&a, t->x, K, 1, K, t->q8);
    ck_assert_int_eq(a.q8_ready, 0);
    bz_matmul(t->y[0], N, engine, &t->a, 0, N, &a);
    ck_assert_int_eq(a.q8_ready, 0);
    bz_matmul(t->y2, N2, engine, &t->b, 0, N2, &a);
    ck_assert_int_eq(a.q8_ready, 1);
    const float before = t->y2[0];
    t->x[0] += 1e6f; /* the rows made above are used again */
    bz_matmul(t->y2, N2, engine, &t->b, 0, N2, &a);
    ck_assert(t->y2[0] == before);
    bz_matmul(t->y[0], N, engine, &t->a, 5, 5, &a); /* no rows: nothing happens */
    bezel_engine_free(engine);
}
END_TEST

Suite *matmul_suite(void)
{
    Suite *s = suite_create("matmul");
    TCase *c = tcase_create("pool");
    tcase_add_unchecked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 120);
    tcase_add_loop_test(c, one_two_and_three_threads_give_the_same_bits, 0, N_TYPES);
    tcase_add_loop_test(c, positions_and_rows_may_be_cut_anywhere, 0, N_TYPES);
    tcase_add_test(c, a_long_prompt_is_its_positions_one_by_one);
    tcase_add_loop_test(c, integer_products_have_the_scalar_bits_on_every_level_for_every_cut_and_thread_count, 0, N_TYPES);
    tcase_add_loop_test(c, listed_rows_are_those_of_the_whole_product_and_no_others_are_written, 0, N_TYPES);
    tcase_add_loop_test(c, several_products_in_one_fork_are_the_single_ones, 0, N_TYPES);
    tcase_add_loop_test(c, products_are_right_whatever_way_they_take, 0, N_TYPES);
    tcase_add_test(c, integer_rows_are_made_once_and_only_when_a_product_wants_them);
    suite_add_tcase(s, c);
    return s;
}
