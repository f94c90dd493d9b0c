/* SPDX-License-Identifier: MIT */
/* Coarse output matrix: the bound holds for random and hostile rows and hidden states, against products in double and
 * against the kernels' own; all levels make the same bits. */
#include <bezel/engine.h>

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "compute/activation.h"
#include "compute/kernel.h"
#include "compute/quant.h"
#include "support/test_engine.h"

Suite *screen_suite(void);

enum { N = 203, MAX_K = 640, N_ROUNDS = 6 };
static const uint32_t levels[] = {BEZEL_ISA_SCALAR, TEST_FAST_LEVELS};
enum { N_LEVELS = sizeof levels / sizeof *levels };
static const size_t widths[] = {96, 128, 256, 640};
enum { N_WIDTHS = sizeof widths / sizeof *widths };

enum { ROWS_PLAIN, ROWS_SHIFTED, ROWS_ZERO, ROWS_SPIKE, ROWS_TINY, ROWS_HUGE, ROWS_EQUAL, N_ROWS_KINDS };
enum { STATE_PLAIN, STATE_ROGUE, STATE_ONE, STATE_ZERO, STATE_TINY, STATE_HUGE, N_STATES };

typedef struct table {
    float rows[N * MAX_K], mean[MAX_K], h[MAX_K], row[MAX_K];
    uint32_t order[MAX_K];
    double weight[MAX_K];
    uint8_t *blocks;
    bz_screen screen;
    bz_screen_query query;
    _Alignas(64) uint8_t scratch[8192];
    float high[N_LEVELS][N + BZ_SCREEN_ROWS];
} table;

static table *t;
static bz_rng rng;

static void setup(void)
{
    t = calloc(1, sizeof *t);
    bz_rng_seed(&rng, 11);
}

static void teardown(void)
{
    free(t->blocks);
    free(t);
}

static float wave(float range)
{
    return ((float)bz_rng_unit(&rng) + (float)bz_rng_unit(&rng) - 1.0f) * range;
}

static void fill_rows(int kind, size_t K)
{
    for (size_t n = 0; n < N; n++)
        for (size_t k = 0; k < K; k++) {
            float x = wave(0.1f);
            if (kind == ROWS_SHIFTED)
                x += k % 3 == 0 ? 0.7f : -0.2f;
            if (kind == ROWS_ZERO && n % 4 != 0)
                x = 0.0f;
            if (kind == ROWS_SPIKE && k == n % K)
                x = n % 2 ? -128.0f : 127.0f;
            if (kind == ROWS_TINY)
                x *= 1e-36f;
            if (kind == ROWS_HUGE)
                x *= 1e12f;
            if (kind == ROWS_EQUAL && n > 0)
                x = t->rows[k];
            t->rows[n * K + k] = x;
        }
}

static void fill_state(int kind, size_t K)
{
    for (size_t k = 0; k < K; k++) {
        t->h[k] = wave(10.0f);
        if (kind == STATE_ROGUE && k % 37 == 5)
            t->h[k] *= 300.0f;
        if (kind == STATE_ONE && k != K / 2)
            t->h[k] = 0.0f;
        if (kind == STATE_ZERO)
            t->h[k] = 0.0f;
        if (kind == STATE_TINY)
            t->h[k] *= 1e-35f;
        if (kind == STATE_HUGE)
            t->h[k] *= 1e10f;
    }
}

static void choose_order(size_t K)
{
    for (size_t k = 0; k < K; k++)
        t->weight[k] = (k * 7919) % K < 64 ? 10.0 : (double)((k * 31) % 17);
    bz_screen_order(t->order, t->weight, K);
}

static void build(size_t K)
{
    for (size_t k = 0; k < K; k++) {
        double sum = 0.0;
        for (size_t n = 0; n < N; n++)
            sum += (double)t->rows[n * K + k];
        t->mean[k] = (float)(sum / N);
    }
    choose_order(K);
    const size_t n_blocks = bz_screen_blocks(N), size = bz_screen_block_size(K);
    free(t->blocks);
    t->blocks = malloc(n_blocks * size);
    t->screen = (bz_screen){.N = N, .K = K, .order = t->order, .mean = t->mean, .blocks = t->blocks};
    for (size_t b = 0; b < n_blocks; b++) {
        const size_t left = N - b * BZ_SCREEN_ROWS;
        ck_assert_int_eq(bz_screen_encode(t->blocks + b * size, &t->screen, t->rows + b * BZ_SCREEN_ROWS * K,
                                          left < BZ_SCREEN_ROWS ? left : BZ_SCREEN_ROWS, t->row), 1);
    }
}

static void scan_all(void)
{
    for (int i = 0; i < N_LEVELS; i++) {
        const bz_kernel *k = bz_kernel_find(levels[i]);
        if (k == NULL)
            continue;
        k->screen(t->high[i], t->blocks, bz_screen_blocks(N), &t->query);
        ck_assert_msg(memcmp(t->high[0], t->high[i], sizeof t->high[0]) == 0, "%s differs from the scalar scan", k->name);
    }
}

/* No row above its bound; `tight` gets the mean distance over the norms' product. */
static void assert_bound(size_t K, const char *what)
{
    for (size_t n = 0; n < N; n++) {
        double z = 0.0;
        for (size_t k = 0; k < K; k++)
            z += ((double)t->rows[n * K + k] - (double)t->mean[k]) * (double)t->h[k];
        ck_assert_msg(z <= (double)t->high[0][n], "%s, K %zu, row %zu: product %.9g is above the bound %.9g", what, K, n, z,
                      (double)t->high[0][n]);
    }
}

START_TEST(no_product_is_above_its_bound_and_all_levels_agree)
{
    const size_t K = widths[_i % N_WIDTHS];
    const int kind = _i / N_WIDTHS;
    fill_rows(kind, K);
    build(K);
    for (int state = 0; state < N_STATES * N_ROUNDS; state++) {
        fill_state(state % N_STATES, K);
        if (!bz_screen_query_set(&t->query, &t->screen, t->h, t->scratch)) {
            ck_assert_msg(kind == ROWS_HUGE && state % N_STATES == STATE_HUGE, "rows %d, state %d refused", kind, state);
            continue;
        }
        scan_all();
        assert_bound(K, "random");
    }
}
END_TEST

/* The state that points at what the copy left out of one row: there Cauchy-Schwarz is nearly reached. */
START_TEST(the_bound_holds_for_the_worst_direction_of_a_row)
{
    const size_t K = 256;
    fill_rows(_i % N_ROWS_KINDS, K);
    if (_i % N_ROWS_KINDS == ROWS_TINY || _i % N_ROWS_KINDS == ROWS_HUGE)
        return;
    build(K);
    for (size_t n = 0; n < N; n++) {
        static _Alignas(64) uint8_t scratch[8192];
        bz_screen_query unit;
        float e[MAX_K], h[MAX_K];
        for (size_t k = 0; k < K; k++) { /* the copy's value of each dimension, by unit states without their bound */
            memset(e, 0, sizeof e);
            e[k] = 1.0f;
            if (n % 16 != 3)
                break;
            ck_assert_int_eq(bz_screen_query_set(&unit, &t->screen, e, scratch), 1);
            unit.a = unit.b = unit.e0 = 0.0f;
            bz_screen_scan_ref(t->high[1], t->blocks + n / 16 * bz_screen_block_size(K), 1, &unit);
            h[k] = t->rows[n * K + k] - t->mean[k] - t->high[1][n % 16];
        }
        if (n % 16 != 3)
            continue;
        for (size_t k = 0; k < K; k++)
            t->h[k] = h[k] * 1000.0f;
        ck_assert_int_eq(bz_screen_query_set(&t->query, &t->screen, t->h, t->scratch), 1);
        scan_all();
        assert_bound(K, "worst direction");
    }
}
END_TEST

/* Rows that the copy holds exactly, in blocks of Q8_0: nothing but the slack is between the bound and the product. Rows come in
 * pairs of both signs, so that the mean row is zero. */
static void fill_exact(uint8_t *blocks, size_t K)
{
    const uint16_t scale = 0x2000; /* 2^-7 */
    int most[MAX_K];
    choose_order(K);
    for (size_t i = 0; i < K; i++)
        most[t->order[i]] = i < BZ_SCREEN_HEAVY ? 127 : 7;
    for (size_t n = 0; n < N; n++)
        for (size_t k = 0; k < K; k++) {
            uint8_t *block = blocks + (n * K + k) / 32 * 34;
            int q = bz_rng_next(&rng) % 5 == 0 ? most[k] : (int)(bz_rng_next(&rng) % (unsigned)(2 * most[k] + 1)) - most[k];
            if (n % 2 == 1)
                q = -(int8_t)blocks[((n - 1) * K + k) / 32 * 34 + 2 + k % 32];
            if (n == N - 1)
                q = 0;
            memcpy(block, &scale, sizeof scale);
            block[2 + k % 32] = (uint8_t)(int8_t)q;
            t->rows[n * K + k] = (float)q * 0x1p-7f;
        }
}

START_TEST(the_bound_holds_for_the_rounding_of_every_kernel_where_the_copy_is_exact)
{
    const size_t K = widths[_i % N_WIDTHS];
    uint8_t *blocks = malloc(N * K / 32 * 34);
    char *x = aligned_alloc(64, (bz_activation_row_size(K) + 2 * K + 63) & ~(size_t)63); /* some levels put bytes behind */
    float y[N];
    fill_exact(blocks, K);
    build(K);
    for (int round = 0; round < N_LEVELS * N_STATES * N_ROUNDS; round++) {
        fill_state(round % N_STATES, K);
        const bz_kernel *kernel = bz_kernel_find(levels[round / N_STATES % N_LEVELS]);
        if (kernel == NULL)
            continue;
        kernel->q8_quantize(x, t->h, K);
        const bz_activation_row row = bz_activation_row_at(x, 0, 0, K, 0);
        for (int is_q8 = 0; is_q8 < 2; is_q8++) {
            for (size_t k = 0; is_q8 && k < K; k++)
                t->h[k] = row.d[k / 32] * (float)row.q[k];
            if (is_q8)
                kernel->matmul_q8(y, N, blocks, BZ_DTYPE_Q8_0, 0, N, x, bz_activation_row_size(K), 1, K);
            else
                kernel->matmul_f32(y, N, blocks, BZ_DTYPE_Q8_0, 0, N, t->h, K, 1, K);
            ck_assert_int_eq(bz_screen_query_set(&t->query, &t->screen, t->h, t->scratch), 1);
            ck_assert(t->query.mean == 0.0);
            scan_all();
            for (size_t n = 0; n < N; n++)
                ck_assert_msg(y[n] <= t->high[0][n], "%s q8 %d, K %zu, row %zu: product %.9g is above the bound %.9g",
                              kernel->name, is_q8, K, n, (double)y[n], (double)t->high[0][n]);
        }
    }
    for (size_t b = 0; b < bz_screen_blocks(N); b++) /* the copy is exact, so the test tests what it says */
        for (size_t n = 0; n < 2 * BZ_SCREEN_ROWS; n++) {
            float norm;
            memcpy(&norm, t->blocks + b * bz_screen_block_size(K) + 4 * n, sizeof norm);
            ck_assert_msg(norm == 0.0f, "block %zu lane %zu: %g", b, n, (double)norm);
        }
    free(blocks);
    free(x);
}
END_TEST

START_TEST(the_bound_is_tight_enough_to_be_of_use)
{
    const size_t K = 640;
    fill_rows(ROWS_SHIFTED, K);
    build(K);
    fill_state(STATE_PLAIN, K);
    ck_assert_int_eq(bz_screen_query_set(&t->query, &t->screen, t->h, t->scratch), 1);
    scan_all();
    double norm_h = 0.0, loose = 0.0;
    for (size_t k = 0; k < K; k++)
        norm_h += (double)t->h[k] * (double)t->h[k];
    for (size_t n = 0; n < N; n++) {
        double z = 0.0, norm = 0.0;
        for (size_t k = 0; k < K; k++) {
            const double r = (double)t->rows[n * K + k] - (double)t->mean[k];
            z += r * (double)t->h[k];
            norm += r * r;
        }
        loose += ((double)t->high[0][n] - z) / sqrt(norm * norm_h) / N;
    }
    ck_assert_double_le(loose, 0.12); /* 4 bits leave out about 8 % of a row */
}
END_TEST

START_TEST(states_and_rows_that_are_no_numbers_are_refused)
{
    static const float bad[] = {NAN, INFINITY, -INFINITY, 1e36f};
    const size_t K = 128;
    fill_rows(ROWS_PLAIN, K);
    build(K);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        fill_state(STATE_PLAIN, K);
        t->h[_i % (int)K] = bad[i];
        ck_assert_int_eq(bz_screen_query_set(&t->query, &t->screen, t->h, t->scratch), 0);
        t->rows[_i] = bad[i];
        ck_assert_int_eq(bz_screen_encode(t->blocks, &t->screen, t->rows, BZ_SCREEN_ROWS, t->row), 0);
    }
}
END_TEST

START_TEST(only_shapes_that_a_block_can_hold_fit)
{
    ck_assert_int_eq(bz_screen_fits(262144, 640), 1);
    ck_assert_int_eq(bz_screen_fits(16, 96), 1);
    ck_assert_int_eq(bz_screen_fits(262144, 64), 0);
    ck_assert_int_eq(bz_screen_fits(262144, 648), 0);
    ck_assert_int_eq(bz_screen_fits(15, 640), 0);
    ck_assert_uint_eq(bz_screen_block_size(640), 6400);
    ck_assert_uint_eq(bz_screen_blocks(17), 2);
}
END_TEST

START_TEST(dimensions_are_ordered_by_weight_then_by_number)
{
    static const double weight[] = {1.0, 5.0, 1.0, 7.0, 5.0};
    static const uint32_t want[] = {3, 1, 4, 0, 2};
    uint32_t order[5];
    bz_screen_order(order, weight, 5);
    ck_assert_mem_eq(order, want, sizeof want);
}
END_TEST

Suite *screen_suite(void)
{
    Suite *s = suite_create("screen");
    TCase *c = tcase_create("bound");
    tcase_set_timeout(c, 120);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_loop_test(c, no_product_is_above_its_bound_and_all_levels_agree, 0, N_WIDTHS * N_ROWS_KINDS);
    tcase_add_loop_test(c, the_bound_holds_for_the_worst_direction_of_a_row, 0, N_ROWS_KINDS);
    tcase_add_loop_test(c, the_bound_holds_for_the_rounding_of_every_kernel_where_the_copy_is_exact, 0, N_WIDTHS);
    tcase_add_test(c, the_bound_is_tight_enough_to_be_of_use);
    tcase_add_loop_test(c, states_and_rows_that_are_no_numbers_are_refused, 0, 3);
    tcase_add_test(c, only_shapes_that_a_block_can_hold_fit);
    tcase_add_test(c, dimensions_are_ordered_by_weight_then_by_number);
    suite_add_tcase(s, c);
    return s;
}
