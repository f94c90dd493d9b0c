/* SPDX-License-Identifier: MIT */
/* Norm, gated GELU, add, rotation, half conversion: every level against formulas in double. */
#include <bezel/engine.h>

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "compute/kernel.h"
#include "compute/quant.h"
#include "support/test_engine.h"

Suite *ops_suite(void);

static const uint32_t levels[] = {BEZEL_ISA_SCALAR, TEST_FAST_LEVELS};
enum { N_LEVELS = sizeof levels / sizeof *levels, MAX = 2100 };
static const size_t sizes[] = {1, 2, 7, 8, 15, 16, 17, 31, 64, 100, 256, 640, 2048};
enum { N_SIZES = sizeof sizes / sizeof *sizes };

static float x[MAX], y[MAX], w[MAX], out[MAX + 1];

static void fill(float *v, size_t n, float range, uint64_t seed)
{
    bz_rng rng;
    bz_rng_seed(&rng, seed);
    for (size_t i = 0; i < n; i++)
        v[i] = ((float)bz_rng_unit(&rng) * 2.0f - 1.0f) * range;
}

/* Kernel of loop index i / N_SIZES, or NULL when the machine lacks it. */
static const bz_kernel *level_of(int i)
{
    return bz_kernel_find(levels[i / N_SIZES]);
}

static void assert_near(const char *what, const bz_kernel *k, size_t i, double got, double want, double relative)
{
    ck_assert_msg(fabs(got - want) <= relative * fabs(want) + 1e-37, "%s %s [%zu]: %.9g, expected %.9g", k->name, what, i, got,
                  want);
}

START_TEST(rms_norm_is_its_formula_in_place_and_out_of_place)
{
    const bz_kernel *k = level_of(_i);
    const size_t n = sizes[_i % N_SIZES];
    if (!k)
        return;
    fill(x, n, 100.0f, n);
    fill(w, n, 1657.0f, n + 1);
    x[0] = 103800.0f; /* Gemma's residual stream gets there */
    double sum = 0.0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    const double scale = 1.0 / sqrt(sum / (double)n + 1e-6);
    out[n] = 7.0f;
    k->rms_norm(out, x, w, n, 1e-6f);
    for (size_t i = 0; i < n; i++)
        assert_near("rms_norm", k, i, (double)out[i], (double)x[i] * scale * (double)w[i], 1e-6);
    ck_assert(out[n] == 7.0f);
    memcpy(y, x, n * sizeof *x);
    k->rms_norm(y, y, w, n, 1e-6f);
    ck_assert_mem_eq(y, out, n * sizeof *y);
}
END_TEST

START_TEST(rms_norm_of_zeros_is_zero_and_not_nan)
{
    const bz_kernel *k = level_of(_i);
    const size_t n = sizes[_i % N_SIZES];
    if (!k)
        return;
    memset(x, 0, sizeof x);
    fill(w, n, 1.0f, 1);
    k->rms_norm(out, x, w, n, 1e-6f);
    for (size_t i = 0; i < n; i++)
        ck_assert(out[i] == 0.0f);
}
END_TEST

static double gelu(double z)
{
    return 0.5 * z * (1.0 + tanh(sqrt(2.0 / M_PI) * (z + 0.044715 * z * z * z)));
}

START_TEST(geglu_is_exact_to_a_millionth)
{
    const bz_kernel *k = level_of(_i);
    const size_t n = sizes[_i % N_SIZES];
    if (!k)
        return;
    fill(x, n, 4.0f, n + 2);
    fill(y, n, 30.0f, n + 3);
    out[n] = 7.0f;
    k->geglu(out, x, y, n);
    for (size_t i = 0; i < n; i++) {
        const double z = (double)x[i], want = gelu(z) * (double)y[i];
        /* 1 + tanh cancels for z below -2 in the formula above, not in ours: compare with the form that keeps its digits */
        const double u = sqrt(2.0 / M_PI) * (z + 0.044715 * z * z * z), better = z / (1.0 + exp(-2.0 * u)) * (double)y[i];
        ck_assert(fabs(want - better) < 1e-9 * fabs((double)y[i]) + 1e-12);
        /* exp of up to 2u = 10.9 carries the rounding of u (6e-8 a part) 10.9-fold on the faster levels */
        assert_near("geglu", k, i, (double)out[i], better, k->isa == BEZEL_ISA_SCALAR ? 3e-7 : 2e-6);
    }
    ck_assert(out[n] == 7.0f);
}
END_TEST

START_TEST(geglu_has_the_right_limits)
{
    static const float in[] = {0.0f, -0.0f, 30.0f, -30.0f, 1e6f, -1e6f, 3e38f, -3e38f, INFINITY, 1e-30f, -1e-42f};
    static const float want[] = {0.0f, 0.0f, 30.0f, 0.0f, 1e6f, 0.0f, 3e38f, 0.0f, INFINITY, 5e-31f, -5e-43f};
    for (int level = 0; level < N_LEVELS; level++) {
        const bz_kernel *k = bz_kernel_find(levels[level]);
        float one[11], got[11], nan_in = NAN, nan_up = 1.0f, nan_out = 0.0f;
        if (!k)
            continue;
        for (int i = 0; i < 11; i++)
            one[i] = 1.0f;
        k->geglu(got, in, one, 11);
        for (int i = 0; i < 11; i++)
            ck_assert_msg(got[i] == want[i] || fabsf(got[i] - want[i]) <= 1e-6f * fabsf(want[i]) + 3.0f * (want[i] == 0.0f),
                          "%s gelu(%g) = %g", k->name, (double)in[i], (double)got[i]);
        k->geglu(&nan_out, &nan_in, &nan_up, 1);
        ck_assert(isnan(nan_out));
    }
}
END_TEST

START_TEST(add_adds_and_touches_nothing_else)
{
    const bz_kernel *k = level_of(_i);
    const size_t n = sizes[_i % N_SIZES];
    if (!k)
        return;
    fill(x, n + 1, 1000.0f, 5);
    fill(y, n + 1, 1.0f, 6);
    memcpy(out, x, (n + 1) * sizeof *x);
    k->add(out, y, n);
    for (size_t i = 0; i < n; i++)
        ck_assert(out[i] == x[i] + y[i]);
    ck_assert(out[n] == x[n]);
}
END_TEST

START_TEST(rope_turns_pairs_half_a_head_apart)
{
    const bz_kernel *k = level_of(_i);
    const size_t half = sizes[_i % N_SIZES] / 2 + 1, D = 2 * half;
    static float c[MAX], s[MAX];
    if (!k)
        return;
    fill(x, D, 97.0f, 8);
    for (size_t p = 0; p < half; p++) {
        c[p] = (float)cos((double)p * 0.37);
        s[p] = (float)sin((double)p * 0.37);
    }
    memcpy(out, x, D * sizeof *x);
    k->rope(out, c, s, D);
    for (size_t p = 0; p < half; p++) {
        const double a = (double)x[p], b = (double)x[p + half], cp = (double)c[p], sp = (double)s[p];
        const double size = fabs(a) + fabs(b);
        ck_assert(fabs((double)out[p] - (a * cp - b * sp)) <= 2e-7 * size);
        ck_assert(fabs((double)out[p + half] - (b * cp + a * sp)) <= 2e-7 * size);
    }
}
END_TEST

START_TEST(halves_are_made_with_the_same_bits_on_every_level)
{
    static uint16_t want[MAX], got[MAX];
    fill(x, MAX, 1.0f, 3);
    for (size_t i = 0; i < MAX; i++) {
        x[i] *= exp2f((float)(i % 44) - 27.0f); /* subnormal to overflowing */
        want[i] = bz_f32_to_f16(x[i]);
    }
    for (int level = 0; level < N_LEVELS; level++) {
        const bz_kernel *k = bz_kernel_find(levels[level]);
        if (!k)
            continue;
        for (size_t n = 1; n < 40; n++) {
            memset(got, 0, sizeof got);
            k->f32_to_f16(got, x + n, n);
            ck_assert_mem_eq(got, want + n, n * 2);
            ck_assert_uint_eq(got[n], 0);
        }
        k->f32_to_f16(got, x, MAX);
        ck_assert_mem_eq(got, want, sizeof want);
    }
}
END_TEST

/* y [T, N] apart by y_stride, x by (x_row, x_column), against fused steps in the promised order, bit for bit. */
static void check_product(const bz_kernel *k, size_t T, size_t K, size_t N, int is_transposed)
{
    static float a[40 * 300], b[300 * 150], got[40 * 151], want[40 * 151];
    const size_t y_stride = N + 1, x_row = is_transposed ? 1 : K, x_column = is_transposed ? T : 1;
    fill(a, T * K, 2.0f, T);
    fill(b, K * N, 3.0f, N);
    fill(got, T * y_stride, 5.0f, K);
    memcpy(want, got, T * y_stride * sizeof *got);
    for (size_t t = 0; t < T; t++)
        for (size_t n = 0; n < N; n++)
            for (size_t i = 0; i < K; i++)
                want[t * y_stride + n] = fmaf(a[t * x_row + i * x_column], b[i * N + n], want[t * y_stride + n]);
    k->product(got, y_stride, a, x_row, x_column, b, N, T, K, N);
    ck_assert_msg(memcmp(got, want, T * y_stride * sizeof *got) == 0, "%s %zu x %zu x %zu", k->name, T, K, N);
}

START_TEST(products_add_in_order_with_the_same_bits_on_every_level)
{
    static const size_t widths[] = {1, 3, 4, 8, 15, 16, 17, 33, 64, 65, 100, 150};
    for (int level = 0; level < N_LEVELS; level++) {
        const bz_kernel *k = bz_kernel_find(levels[level]);
        if (!k)
            continue;
        for (size_t i = 0; i < sizeof widths / sizeof *widths; i++) {
            for (size_t T = 1; T < 9; T++)
                check_product(k, T, 19, widths[i], T % 2 == 0);
            check_product(k, 40, 300, widths[i], 0); /* more than one pass over k */
            check_product(k, 40, 300, widths[i], 1);
            check_product(k, 2, 0, widths[i], 0);
        }
    }
}
END_TEST

Suite *ops_suite(void)
{
    Suite *s = suite_create("ops");
    TCase *c = tcase_create("elements");
    tcase_add_loop_test(c, rms_norm_is_its_formula_in_place_and_out_of_place, 0, N_LEVELS * N_SIZES);
    tcase_add_loop_test(c, rms_norm_of_zeros_is_zero_and_not_nan, 0, N_LEVELS * N_SIZES);
    tcase_add_loop_test(c, geglu_is_exact_to_a_millionth, 0, N_LEVELS * N_SIZES);
    tcase_add_test(c, geglu_has_the_right_limits);
    tcase_add_loop_test(c, add_adds_and_touches_nothing_else, 0, N_LEVELS * N_SIZES);
    tcase_add_loop_test(c, rope_turns_pairs_half_a_head_apart, 0, N_LEVELS * N_SIZES);
    tcase_add_test(c, products_add_in_order_with_the_same_bits_on_every_level);
    tcase_add_test(c, halves_are_made_with_the_same_bits_on_every_level);
    suite_add_tcase(s, c);
    return s;
}
