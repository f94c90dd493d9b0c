/* SPDX-License-Identifier: MIT */
/* Every level the machine has against the scalar one: every type, odd sizes, hostile blocks, any T and row range. */
#include <bezel/engine.h>

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "compute/activation.h"
#include "compute/cpu_features.h"
#include "compute/kernel.h"
#include "compute/quant.h"
#include "support/test_engine.h"

Suite *kernel_suite(void);

static const uint32_t all_types[] = {
    BZ_DTYPE_F32,  BZ_DTYPE_F16,  BZ_DTYPE_BF16, BZ_DTYPE_Q4_0, BZ_DTYPE_Q4_1, BZ_DTYPE_Q5_0, BZ_DTYPE_Q5_1,   BZ_DTYPE_Q8_0,
    BZ_DTYPE_Q8_1, BZ_DTYPE_Q2_K, BZ_DTYPE_Q3_K, BZ_DTYPE_Q4_K, BZ_DTYPE_Q5_K, BZ_DTYPE_Q6_K, BZ_DTYPE_Q8_K,   BZ_DTYPE_IQ4_NL,
    BZ_DTYPE_IQ4_XS,
};
enum { N_TYPES = sizeof all_types / sizeof *all_types, MAX_K = 4608, MAX_N = 11, MAX_T = 9 };

static const uint32_t levels[] = {BEZEL_ISA_SCALAR, TEST_FAST_LEVELS};
enum { N_LEVELS = sizeof levels / sizeof *levels };

/* Tables to compare with the scalar one. */
static const bz_kernel *const tables[] = {
#if defined(__x86_64__)
    &bz_kernel_avx2,
    &bz_kernel_avx2_vnni,
    &bz_kernel_avx512,
    &bz_kernel_amx,
#elif defined(__aarch64__)
    &bz_kernel_neon,
    &bz_kernel_neon_dotprod,
#endif
    &bz_kernel_ref,
};
enum { N_TABLES = sizeof tables / sizeof *tables };

static int table_runs(const bz_kernel *k)
{
#if defined(__x86_64__)
    if (k == &bz_kernel_avx2_vnni && !bz_cpu_has_avx_vnni())
        return 0;
#elif defined(__aarch64__)
    if (k == &bz_kernel_neon_dotprod && !bz_cpu_has_dotprod())
        return 0;
#endif
    return bz_cpu_can(k->isa);
}

typedef struct bench { /* one product and room for its answers */
    uint8_t *w;
    float *x;
    char *q8[N_LEVELS];
    float y[2][MAX_T * MAX_N];
    size_t K, N, T, q8_size;
    uint32_t dtype;
} bench;

static bench b;

/* Bytes of a row of integer activations on the level that takes most. */
static size_t widest_row(size_t K)
{
    size_t widest = 0;
    for (int i = 0; i < N_LEVELS; i++)
        if (bz_kernel_has(levels[i]) && bz_kernel_find(levels[i])->q8_row_size(K) > widest)
            widest = bz_kernel_find(levels[i])->q8_row_size(K);
    return widest;
}

/* Exactly as large as the product needs, so that a sanitizer sees a read past the end. */
static void bench_resize(uint32_t dtype, size_t K, size_t N, size_t T)
{
    free(b.w);
    free(b.x);
    b.dtype = dtype;
    b.K = K;
    b.N = N;
    b.T = T;
    b.w = malloc(N * bz_quant_row_size(dtype, K));
    b.x = malloc(T * K * sizeof *b.x);
}

static void bench_setup(void)
{
    for (int i = 0; i < N_LEVELS; i++)
        b.q8[i] = aligned_alloc(64, MAX_T * widest_row(MAX_K));
}

static void bench_teardown(void)
{
    free(b.w);
    free(b.x);
    for (int i = 0; i < N_LEVELS; i++)
        free(b.q8[i]);
}

/* Sizes of a row: short, one block, several, odd ones where the type has no blocks, more than a chunk of any kernel. */
static const size_t block_counts[] = {1, 2, 3, 7, 18};

static size_t row_length(uint32_t dtype, size_t which)
{
    static const size_t odd[] = {1, 15, 33, 640, 2071};
    const size_t block = bz_dtype_find(dtype)->block;
    if (block == 1)
        return odd[which];
    return block * (block == 32 ? block_counts[which] * 8 - which % 3 : block_counts[which]);
}

/* Weights from random floats, then bytes of every block but its scales made random: all bit patterns of q occur. */
static void fill_weights(bz_rng *rng)
{
    float *row = malloc(b.K * sizeof *row);
    const size_t size = bz_quant_row_size(b.dtype, b.K);
    for (size_t n = 0; n < b.N; n++) {
        for (size_t k = 0; k < b.K; k++)
            row[k] = (float)bz_rng_unit(rng) * 2.0f - 1.0f;
        bz_quant_encode(b.w + n * size, row, b.dtype, b.K);
    }
    free(row);
}

static void fill_activations(bz_rng *rng)
{
    for (size_t i = 0; i < b.T * b.K; i++) {
        b.x[i] = (float)bz_rng_unit(rng) * 2.0f - 1.0f;
        if (bz_rng_next(rng) % 97 == 0)
            b.x[i] *= 300.0f; /* Gemma's few huge dimensions */
    }
}

static void quantize_all(void)
{
    b.q8_size = widest_row(b.K);
    for (int i = 0; i < N_LEVELS; i++)
        for (size_t t = 0; bz_kernel_has(levels[i]) && b.K % 32 == 0 && t < b.T && t < MAX_T; t++)
            bz_kernel_find(levels[i])->q8_quantize(b.q8[i] + t * b.q8_size, b.x + t * b.K, b.K);
}

static void make_bench(uint32_t dtype, size_t K, size_t N, size_t T, uint64_t seed)
{
    bz_rng rng;
    bz_rng_seed(&rng, seed);
    bench_resize(dtype, K, N, T);
    fill_weights(&rng);
    fill_activations(&rng);
    quantize_all();
}

/* Sum of |w x| of a value: what rounding errors are a part of. */
static double magnitude(size_t n, size_t t)
{
    static float row[MAX_K];
    double sum = 0.0;
    bz_quant_decode(row, b.w + n * bz_quant_row_size(b.dtype, b.K), b.dtype, b.K);
    for (size_t k = 0; k < b.K; k++)
        sum += fabs((double)row[k] * (double)b.x[t * b.K + k]);
    return sum;
}

static double exact(size_t n, size_t t)
{
    static float row[MAX_K];
    double sum = 0.0;
    bz_quant_decode(row, b.w + n * bz_quant_row_size(b.dtype, b.K), b.dtype, b.K);
    for (size_t k = 0; k < b.K; k++)
        sum += (double)row[k] * (double)b.x[t * b.K + k];
    return sum;
}

static int run_level(float *y, int level, int is_q8, size_t n_begin, size_t n_end, size_t t, size_t T)
{
    const bz_kernel *kernel = bz_kernel_find(levels[level]);
    float *out = y + t * MAX_N;
    if (is_q8)
        return kernel->matmul_q8(out, MAX_N, b.w, b.dtype, n_begin, n_end, b.q8[level] + t * b.q8_size, b.q8_size, T, b.K);
    kernel->matmul_f32(out, MAX_N, b.w, b.dtype, n_begin, n_end, b.x + t * b.K, b.K, T, b.K);
    return 1;
}

/* Errors: the float sums of each level, and for the types with minima what cancels between d * w and m, a few times the
 * largest term; at 16 bits the activations add 2^-16 of the group's largest an element, at most 32 x a term. */
static void compare_to_exact(int level, int is_q8)
{
    for (size_t t = 0; t < b.T; t++) {
        for (size_t n = 0; n < b.N; n++) {
            const double tolerance = magnitude(n, t) * (is_q8 ? 6e-5 : 2e-6) + 1e-9 + (is_q8 ? 300.0 * 3e-4 : 300.0 * 1e-5);
            const double got = (double)b.y[0][t * MAX_N + n], want = exact(n, t);
            ck_assert_msg(fabs(got - want) <= tolerance, "%s %s%s K %zu row %zu position %zu: %.9g, expected %.9g (+- %g)",
                          bz_kernel_find(levels[level])->name, bz_dtype_find(b.dtype)->name, is_q8 ? " q8" : "", b.K, n, t,
                          got, want, tolerance);
        }
    }
}

static int cannot(int level, int is_q8)
{
    return !bz_kernel_has(levels[level]) || (is_q8 && !bz_quant_has_groups(b.dtype));
}

/* ---- products --------------------------------------------------------------------------------------------------------- */

START_TEST(products_of_every_type_and_size_are_those_of_exact_sums)
{
    for (size_t s = 0; s < 5; s++) {
        make_bench(all_types[_i], row_length(all_types[_i], s), 1 + s * 2, 1 + s * 2, 100 + s);
        for (int level = 0; level < N_LEVELS; level++)
            for (int is_q8 = 0; is_q8 < 2; is_q8++) {
                if (cannot(level, is_q8))
                    continue;
                run_level(b.y[0], level, is_q8, 0, b.N, 0, b.T);
                compare_to_exact(level, is_q8);
            }
    }
}
END_TEST

START_TEST(integer_activations_keep_the_small_values_beside_huge_ones)
{
    double worst = 0.0;
    make_bench(BZ_DTYPE_Q8_0, 640, MAX_N, MAX_T, 3);
    run_level(b.y[0], 0, 1, 0, b.N, 0, b.T);
    for (size_t t = 0; t < b.T; t++)
        for (size_t n = 0; n < b.N; n++)
            worst = fmax(worst, fabs((double)b.y[0][t * MAX_N + n] - exact(n, t)) / magnitude(n, t));
    /* a neighbour of a value 300 times larger still has 7 bits; at 8-bit activations this is 1.6e-2 */
    ck_assert_msg(worst < 1e-4, "worst relative error %g", worst);
}
END_TEST

START_TEST(any_t_and_any_row_range_give_the_same_bits)
{
    make_bench(all_types[_i], row_length(all_types[_i], 4), MAX_N, MAX_T, 7);
    for (int level = 0; level < N_LEVELS; level++)
        for (int is_q8 = 0; is_q8 < 2; is_q8++) {
            if (cannot(level, is_q8))
                continue;
            run_level(b.y[0], level, is_q8, 0, b.N, 0, b.T);
            for (size_t T = 1; T < MAX_T; T++) {
                memset(b.y[1], 0xff, sizeof b.y[1]);
                for (size_t t = 0; t < b.T; t += T)
                    for (size_t n = 0; n < b.N; n += T) /* row pieces of 1 to 8 as well */
                        run_level(b.y[1], level, is_q8, n, n + T < b.N ? n + T : b.N, t, t + T < b.T ? T : b.T - t);
                ck_assert_msg(memcmp(b.y[0], b.y[1], sizeof b.y[0]) == 0, "%s %s q8 %d differs in pieces of %zu",
                              bz_kernel_find(levels[level])->name, bz_dtype_find(b.dtype)->name, is_q8, T);
            }
        }
}
END_TEST

START_TEST(a_product_writes_only_its_own_rows_and_positions)
{
    make_bench(all_types[_i], row_length(all_types[_i], 2), MAX_N, MAX_T, 9);
    for (int level = 0; level < N_LEVELS; level++)
        for (int is_q8 = 0; is_q8 < 2; is_q8++) {
            if (cannot(level, is_q8))
                continue;
            for (size_t i = 0; i < MAX_T * MAX_N; i++)
                b.y[0][i] = 12345.0f;
            run_level(b.y[0], level, is_q8, 2, 8, 1, 6);
            for (size_t t = 0; t < MAX_T; t++)
                for (size_t n = 0; n < MAX_N; n++) {
                    const int inside = n >= 2 && n < 8 && t >= 1 && t < 7;
                    ck_assert_int_eq(b.y[0][t * MAX_N + n] == 12345.0f, !inside);
                }
        }
}
END_TEST

START_TEST(an_empty_range_only_answers_whether_the_type_has_an_integer_kernel)
{
    for (int level = 0; level < N_LEVELS; level++) {
        if (!bz_kernel_has(levels[level]))
            continue;
        const bz_kernel *kernel = bz_kernel_find(levels[level]);
        for (int i = 0; i < N_TYPES; i++)
            ck_assert_int_eq(kernel->matmul_q8(NULL, 0, NULL, all_types[i], 0, 0, NULL, 0, 0, 256),
                             bz_quant_has_groups(all_types[i]));
    }
}
END_TEST

/* ---- hostile blocks --------------------------------------------------------------------------------------------------- */

/* Every byte of the blocks set to `fill`, then halves of the first bytes and last bytes that would be Inf or NaN cleared. */
static void fill_hostile(uint32_t dtype, int fill, bz_rng *rng)
{
    bench_resize(dtype, 768, 4, 5);
    const bz_dtype *type = bz_dtype_find(dtype);
    const size_t blocks = b.N * b.K / type->block;
    for (size_t i = 0; i < blocks * type->block_size; i++)
        b.w[i] = fill < 0 ? (uint8_t)bz_rng_next(rng) : (uint8_t)fill;
    for (size_t i = 0; i < blocks; i++) {
        uint8_t *p = b.w + i * type->block_size;
        static const uint8_t high[4] = {0x80, 0x00, 0x2b, 0xb0}; /* subnormal of both signs, ordinary */
        const size_t ends[5] = {1, 3, type->block_size - 1, type->block_size - 3, 81};
        for (int e = 0; type->block > 1 && e < 5; e++)
            if (ends[e] < type->block_size && (p[ends[e]] & 0x7c) == 0x7c)
                p[ends[e]] = high[(i + (size_t)e) % 4];
    }
}

static int is_finite_row(const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (!(fabsf(x[i]) < 1e30f))
            return 0;
    return 1;
}

START_TEST(hostile_blocks_decode_to_the_same_bits_on_every_level)
{
    static const int fills[] = {-1, 0x00, 0x80, 0x7f, 0xff};
    bz_rng rng;
    bz_rng_seed(&rng, 77);
    for (size_t f = 0; f < sizeof fills / sizeof *fills; f++) {
        float want[768], got[768];
        fill_hostile(all_types[_i], fills[f], &rng);
        bz_quant_decode(want, b.w, b.dtype, 768);
        for (int level = 0; level < N_LEVELS; level++) {
            if (!bz_kernel_has(levels[level]))
                continue;
            bz_kernel_find(levels[level])->dequantize(got, b.w, b.dtype, 768);
            for (int k = 0; k < 768; k++)
                ck_assert_msg(memcmp(got + k, want + k, 4) == 0 || (isnan(got[k]) && isnan(want[k])),
                              "%s %s fill %d [%d]: %a, expected %a", bz_kernel_find(levels[level])->name,
                              bz_dtype_find(b.dtype)->name, fills[f], k, (double)got[k], (double)want[k]);
        }
    }
}
END_TEST

START_TEST(hostile_blocks_with_the_largest_activations_do_not_overflow)
{
    static const int fills[] = {-1, 0x80, 0x7f, 0xff};
    bz_rng rng;
    bz_rng_seed(&rng, 78);
    for (size_t f = 0; f < sizeof fills / sizeof *fills; f++) {
        float row[768];
        fill_hostile(all_types[_i], fills[f], &rng);
        for (size_t i = 0; i < b.T * b.K; i++)
            b.x[i] = f % 2 ? 50.0f : (i & 1 ? -50.0f : 50.0f); /* every integer at its limit */
        quantize_all();
        for (int level = 0; level < N_LEVELS; level++) {
            if (cannot(level, 1))
                continue;
            run_level(b.y[0], level, 1, 0, b.N, 0, b.T);
            for (size_t n = 0; n < b.N; n++) {
                bz_quant_decode(row, b.w + n * bz_quant_row_size(b.dtype, b.K), b.dtype, b.K);
                if (!is_finite_row(row, b.K))
                    continue;
                const double want = exact(n, 1), tolerance = magnitude(n, 1) * 4e-4 + 1e-6;
                const double got = (double)b.y[0][MAX_N + n];
                ck_assert_msg(fabs(got - want) <= tolerance, "%s %s fill %d row %zu: %g, expected %g",
                              bz_kernel_find(levels[level])->name, bz_dtype_find(b.dtype)->name, fills[f], n, got, want);
            }
        }
    }
}
END_TEST

/* ---- the defined order (compute/activation.h) ------------------------------------------------------------------------- */

enum { ROWS = 37, POSITIONS = 40 };

static int same_bits(const float *a, const float *c, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (memcmp(a + i, c + i, sizeof *a) != 0 && !(isnan(a[i]) && isnan(c[i])))
            return 0;
    return 1;
}

/* Rows by a list, the first position alone: all but one, backwards. */
static void assert_listed_bits(const bz_kernel *kernel, const float *want, const char *x, const char *what)
{
    int32_t list[ROWS];
    float y[ROWS];
    const float untouched = 12345.0f;
    for (size_t n = 0; n < b.N; n++) {
        list[n] = (int32_t)(b.N - 1 - n);
        y[n] = untouched;
    }
    if (kernel->matmul_q8_listed == NULL || !kernel->matmul_q8_listed(y, b.w, b.dtype, list, b.N - 1, x, b.K))
        return;
    ck_assert_msg(same_bits(y + 1, want + 1, b.N - 1) && y[0] == untouched, "%s %s, %s: K %zu, listed", kernel->name,
                  bz_dtype_find(b.dtype)->name, what, b.K);
}

/* All positions of the bench on every level, then pieces of T and of rows, against the scalar level. */
static void assert_defined_bits(const char *what)
{
    static float want[POSITIONS * ROWS], got[POSITIONS * ROWS];
    if (!bz_quant_has_groups(b.dtype))
        return;
    const size_t size = widest_row(b.K);
    char *x = aligned_alloc(64, b.T * size);
    for (size_t t = 0; t < b.T; t++)
        bz_activation_quantize(x + t * size, b.x + t * b.K, b.K);
    bz_kernel_ref.matmul_q8(want, ROWS, b.w, b.dtype, 0, b.N, x, size, b.T, b.K);
    for (int i = 0; i < N_TABLES; i++) {
        const bz_kernel *kernel = tables[i];
        for (size_t t = 0; t < b.T && table_runs(kernel); t++) /* some levels put more behind the row */
            kernel->q8_quantize(x + t * size, b.x + t * b.K, b.K);
        for (size_t step = 0; step <= b.T && table_runs(kernel); step = step < 7 ? step + 1 : step + 11) {
            const size_t T = step > 0 ? step : 1, rows = step > 0 ? T : b.N; /* single positions, then row pieces of all lengths */
            memset(got, 0xff, sizeof got);
            for (size_t t = 0; t < b.T; t += T)
                for (size_t n = 0; n < b.N; n += rows)
                    kernel->matmul_q8(got + t * ROWS, ROWS, b.w, b.dtype, n, n + rows < b.N ? n + rows : b.N, x + t * size, size,
                                      t + T < b.T ? T : b.T - t, b.K);
            for (size_t t = 0; t < b.T; t++)
                ck_assert_msg(same_bits(got + t * ROWS, want + t * ROWS, b.N), "%s %s, %s: K %zu T %zu position %zu",
                              kernel->name, bz_dtype_find(b.dtype)->name, what, b.K, T, t);
        }
        if (table_runs(kernel))
            assert_listed_bits(kernel, want, x, what);
    }
    free(x);
}

START_TEST(every_level_has_the_defined_bits_for_every_type_and_size)
{
    for (size_t s = 0; s < 5; s++) {
        static const size_t rows[] = {1, 8, 15, 17, ROWS}, positions[] = {1, 2, 7, 3, POSITIONS};
        make_bench(all_types[_i], row_length(all_types[_i], s), rows[s], positions[s], 200 + s);
        assert_defined_bits("random");
    }
}
END_TEST

/* Blocks of any bytes: scales of both signs, subnormal, zero, Inf and NaN among them. */
START_TEST(every_level_has_the_defined_bits_for_hostile_blocks)
{
    static const int fills[] = {-2, -1, 0x00, 0x80, 0x7f, 0xff};
    bz_rng rng;
    bz_rng_seed(&rng, 79);
    for (size_t f = 0; f < sizeof fills / sizeof *fills; f++)
        for (int kind = 0; kind < 4; kind++) {
            fill_hostile(all_types[_i], fills[f] < 0 ? -1 : fills[f], &rng);
            for (size_t i = 0; fills[f] == -2 && i < b.N * bz_quant_row_size(b.dtype, b.K); i++)
                b.w[i] = (uint8_t)bz_rng_next(&rng); /* nothing cleared */
            for (size_t i = 0; i < b.T * b.K; i++)
                b.x[i] = kind == 0   ? 50.0f
                         : kind == 1 ? (i & 1 ? -50.0f : 50.0f)
                         : kind == 2 ? ((float)bz_rng_unit(&rng) - 0.5f) * (i / 32 % 3 ? 1e-28f : 1e30f)
                                     : (i / 32 % 2 ? 0.0f : 1e-20f);
            b.x[b.K + 70] = kind == 3 ? NAN : b.x[b.K + 70];
            assert_defined_bits("hostile");
        }
}
END_TEST

/* The order written out once more for three groups whose sum depends on it. */
START_TEST(parts_are_added_in_order_with_one_rounding_each)
{
    enum { K = 96 };
    static const uint16_t scales[3] = {0x7800, 0x0400, 0xf800}; /* 2^15, 2^-14, -2^15 */
    static const float value[3] = {0x1p15f, 0x1p-14f, -0x1p15f};
    uint8_t row[K / 32 * 34] = {0};
    float x[K] = {0}, y, want = 0.0f;
    _Alignas(64) char a[1024];
    for (int g = 0; g < 3; g++) {
        memcpy(row + 34 * g, scales + g, 2);
        row[34 * g + 2] = 3;
        x[32 * g] = 1.0f;
        want = fmaf(3.0f * 32767.0f, value[g] * (1.0f / 32767.0f), want);
    }
    ck_assert(want != 3.0f * 0x1p-14f);
    bz_activation_quantize(a, x, K);
    for (int i = 0; i < N_TABLES; i++) {
        if (!table_runs(tables[i]))
            continue;
        tables[i]->matmul_q8(&y, 1, row, BZ_DTYPE_Q8_0, 0, 1, a, bz_activation_row_size(K), 1, K);
        ck_assert_msg(y == want, "%s: %a, expected %a", tables[i]->name, (double)y, (double)want);
    }
}
END_TEST

/* ---- integer activations ---------------------------------------------------------------------------------------------- */

static void fill_special(float *x, size_t n)
{
    static const float values[] = {0.0f, -0.0f, 1e-45f, -1e-38f, 1e-30f, 9.99e-31f, 3.4e38f, -3.4e38f, 1.0f, -0.5f, 295.0f};
    bz_rng rng;
    bz_rng_seed(&rng, 4);
    for (size_t i = 0; i < n; i++) {
        const size_t group = i / 32;
        x[i] = (float)bz_rng_unit(&rng) - 0.5f;
        if (group < 11)
            x[i] = i % 5 ? 0.0f : values[group];
        else if (group < 16)
            x[i] *= values[bz_rng_next(&rng) % 11];
    }
    x[20 * 32 + 7] = INFINITY;
    x[21 * 32 + 31] = NAN;
    x[22 * 32] = -INFINITY;
}

START_TEST(every_level_makes_the_same_integer_rows)
{
    enum { K = 32 * 24 };
    bench_resize(BZ_DTYPE_F32, K, 1, 1);
    fill_special(b.x, K);
    const size_t size = widest_row(K);
    for (int level = 0; level < N_LEVELS; level++) {
        if (!bz_kernel_has(levels[level]))
            continue;
        const bz_kernel *kernel = bz_kernel_find(levels[level]);
        ck_assert_uint_ge(kernel->q8_row_size(K), bz_activation_row_size(K));
        memset(b.q8[level], 0x55, size);
        kernel->q8_quantize(b.q8[level], b.x, K);
        const bz_activation_row row = bz_activation_row_at(b.q8[level], size, 0, K, 0);
        const bz_activation_row want = bz_activation_row_at(b.q8[0], size, 0, K, 0);
        ck_assert_mem_eq(row.q, want.q, K * sizeof *row.q);
        for (size_t g = 0; g < K / 32; g++) {
            ck_assert(row.d[g] == want.d[g] || (isnan(row.d[g]) && isnan(want.d[g]) && g >= 20 && g <= 22));
            ck_assert(row.total[g] == want.total[g] || (isnan(row.total[g]) && isnan(want.total[g])));
            for (size_t h = 2 * g; h < 2 * g + 2; h++)
                ck_assert(row.sum[h] == want.sum[h] || (isnan(row.sum[h]) && isnan(want.sum[h])));
        }
    }
}
END_TEST

START_TEST(a_value_that_is_no_number_makes_the_products_of_its_position_nan_and_no_others)
{
    make_bench(BZ_DTYPE_Q5_0, 640, 5, 4, 8);
    b.x[2 * b.K + 100] = INFINITY;
    quantize_all();
    for (int level = 0; level < N_LEVELS; level++) {
        if (!bz_kernel_has(levels[level]))
            continue;
        run_level(b.y[0], level, 1, 0, b.N, 0, b.T);
        for (size_t t = 0; t < b.T; t++)
            for (size_t n = 0; n < b.N; n++)
                ck_assert_int_eq(isnan(b.y[0][t * MAX_N + n]) != 0, t == 2);
    }
}
END_TEST

START_TEST(rows_of_activations_are_aligned_and_hold_everything)
{
    for (size_t K = 32; K <= MAX_K; K += 32) {
        ck_assert_uint_eq(bz_activation_row_size(K) % 64, 0);
        ck_assert_uint_ge(bz_activation_row_size(K), K * 2 + K / 32 * 4 * 2 + K / 16 * 4);
    }
}
END_TEST

/* ---- choice of the level ---------------------------------------------------------------------------------------------- */

START_TEST(levels_are_found_by_id_and_the_best_one_is_runnable)
{
    ck_assert_ptr_eq(bz_kernel_find(BEZEL_ISA_SCALAR), &bz_kernel_ref);
    ck_assert_ptr_nonnull(bz_kernel_find(BEZEL_ISA_AUTO));
    ck_assert_int_eq(bz_kernel_has(bz_kernel_best_isa()), 1);
    ck_assert_int_eq(bz_kernel_has(BEZEL_ISA_AUTO), 0);
    ck_assert_ptr_null(bz_kernel_find(77));
    for (int level = 0; level < N_LEVELS; level++) {
        const bz_kernel *kernel = bz_kernel_find(levels[level]);
        ck_assert_int_eq(bz_kernel_has(levels[level]), kernel != NULL);
        ck_assert(kernel == NULL || kernel->isa == levels[level]);
    }
#if defined(__aarch64__)
    ck_assert_ptr_eq(bz_kernel_find(BEZEL_ISA_AUTO), bz_cpu_has_dotprod() ? &bz_kernel_neon_dotprod : &bz_kernel_neon);
    ck_assert_ptr_eq(bz_kernel_find(BEZEL_ISA_NEON), bz_kernel_find(BEZEL_ISA_AUTO));
#endif
}
END_TEST

Suite *kernel_suite(void)
{
    Suite *s = suite_create("kernel");
    TCase *c = tcase_create("products");
    tcase_add_unchecked_fixture(c, bench_setup, bench_teardown);
    tcase_set_timeout(c, 120);
    tcase_add_loop_test(c, products_of_every_type_and_size_are_those_of_exact_sums, 0, N_TYPES);
    tcase_add_test(c, integer_activations_keep_the_small_values_beside_huge_ones);
    tcase_add_loop_test(c, any_t_and_any_row_range_give_the_same_bits, 0, N_TYPES);
    tcase_add_loop_test(c, a_product_writes_only_its_own_rows_and_positions, 0, N_TYPES);
    tcase_add_test(c, an_empty_range_only_answers_whether_the_type_has_an_integer_kernel);
    tcase_add_loop_test(c, hostile_blocks_decode_to_the_same_bits_on_every_level, 0, N_TYPES);
    tcase_add_loop_test(c, hostile_blocks_with_the_largest_activations_do_not_overflow, 0, N_TYPES);
    tcase_add_loop_test(c, every_level_has_the_defined_bits_for_every_type_and_size, 0, N_TYPES);
    tcase_add_loop_test(c, every_level_has_the_defined_bits_for_hostile_blocks, 0, N_TYPES);
    tcase_add_test(c, parts_are_added_in_order_with_one_rounding_each);
    tcase_add_test(c, every_level_makes_the_same_integer_rows);
    tcase_add_test(c, a_value_that_is_no_number_makes_the_products_of_its_position_nan_and_no_others);
    tcase_add_test(c, rows_of_activations_are_aligned_and_hold_everything);
    suite_add_tcase(s, c);
    c = tcase_create("levels");
    tcase_add_test(c, levels_are_found_by_id_and_the_best_one_is_runnable);
    suite_add_tcase(s, c);
    return s;
}
