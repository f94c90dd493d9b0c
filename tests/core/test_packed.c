/* SPDX-License-Identifier: MIT */
/* Panels of weights: products with them have the bits of the scalar level's with the blocks, whatever is in the blocks, for any
 * number of positions and any rows. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "compute/activation.h"
#include "compute/cpu_features.h"
#include "compute/kernel.h"
#include "compute/packed.h"
#include "compute/quant.h"

Suite *packed_suite(void);

static const uint32_t types[] = {BZ_DTYPE_Q8_0, BZ_DTYPE_Q4_0, BZ_DTYPE_Q5_0, BZ_DTYPE_Q4_K, BZ_DTYPE_Q6_K};
enum { N_TYPES = sizeof types / sizeof *types, N = 64, MAX_T = 18, MAX_K = 8448 };

static const bz_kernel *const tables[] = {
#if defined(__x86_64__)
    &bz_kernel_avx2, &bz_kernel_avx2_vnni, &bz_kernel_avx512, &bz_kernel_amx,
#endif
    &bz_kernel_ref,
};
enum { N_TABLES = sizeof tables / sizeof *tables };

static int table_runs(const bz_kernel *k)
{
#if defined(__x86_64__)
    if (k == &bz_kernel_avx2_vnni && !bz_cpu_has_avx_vnni())
        return 0;
#endif
    return k->matmul_packed != NULL && bz_cpu_can(k->isa);
}

/* Exactly as large as the products need, so that a sanitizer sees a read past the end. */
typedef struct product {
    uint32_t dtype;
    size_t K, T;
    uint8_t *w, *panels;
    float *x;
    char *q8;
    float want[MAX_T * N], got[MAX_T * N];
} product;

static product p;

static void product_free(void)
{
    free(p.w);
    free(p.panels);
    free(p.x);
    free(p.q8);
    p.w = p.panels = NULL;
    p.x = NULL;
    p.q8 = NULL;
}

static void product_size(uint32_t dtype, size_t K, size_t T)
{
    product_free();
    p.dtype = dtype;
    p.K = K;
    p.T = T;
    p.w = malloc(N * bz_quant_row_size(dtype, K));
    p.panels = aligned_alloc(64, (N / BZ_PACKED_ROWS * bz_packed_panel_size(dtype, K) + 63) / 64 * 64);
    p.x = malloc(T * K * sizeof *p.x);
}

static void product_pack(void)
{
    const size_t row = bz_quant_row_size(p.dtype, p.K), panel = bz_packed_panel_size(p.dtype, p.K);
    for (size_t n = 0; n < N; n += BZ_PACKED_ROWS)
        bz_packed_fill(p.panels + n / BZ_PACKED_ROWS * panel, p.w + n * row, row, p.dtype, p.K);
}

/* The rows of activations of a table; their size. */
static size_t product_quantize(const bz_kernel *k)
{
    const size_t size = k->q8_row_size(p.K);
    free(p.q8);
    p.q8 = aligned_alloc(64, p.T * size);
    for (size_t t = 0; t < p.T; t++)
        k->q8_quantize(p.q8 + t * size, p.x + t * p.K, p.K);
    return size;
}

static void product_oracle(void)
{
    const size_t size = product_quantize(&bz_kernel_ref);
    ck_assert_int_eq(bz_kernel_ref.matmul_q8(p.want, N, p.w, p.dtype, 0, N, p.q8, size, p.T, p.K), 1);
}

static void product_compare(const bz_kernel *k)
{
    for (size_t i = 0; i < p.T * N; i++) {
        const int is_same = memcmp(&p.want[i], &p.got[i], sizeof p.want[i]) == 0 || (isnan(p.want[i]) && isnan(p.got[i]));
        ck_assert_msg(is_same, "%s %s K %zu T %zu position %zu row %zu: %.9g, expected %.9g", k->name,
                      bz_dtype_find(p.dtype)->name, p.K, p.T, i / N, i % N, (double)p.got[i], (double)p.want[i]);
    }
}

static void product_run_all(void)
{
    product_pack();
    product_oracle();
    for (int i = 0; i < N_TABLES; i++) {
        if (!table_runs(tables[i]))
            continue;
        const size_t size = product_quantize(tables[i]);
        memset(p.got, 0xff, sizeof p.got);
        for (size_t n = 0; n < N; n += 48) /* two ranges */
            ck_assert_int_eq(tables[i]->matmul_packed(p.got, N, p.panels, p.dtype, n, n + 48 < N ? n + 48 : N, p.q8, size, p.T, p.K),
                             1);
        product_compare(tables[i]);
    }
}

static void fill_x(bz_rng *rng)
{
    for (size_t i = 0; i < p.T * p.K; i++) {
        p.x[i] = (float)bz_rng_unit(rng) * 2.0f - 1.0f;
        if (bz_rng_next(rng) % 97 == 0)
            p.x[i] *= 300.0f;
    }
}

START_TEST(products_have_the_bits_of_the_scalar_level)
{
    static const size_t counts[] = {1, 2, 3, 20, 33};
    bz_rng rng;
    bz_rng_seed(&rng, 11);
    for (size_t c = 0; c < 5; c++) {
        const size_t block = bz_dtype_find(types[_i])->block, K = block * counts[c] * (block == 32 ? 8 : 1) - (block == 32 ? c % 3 * 32 : 0);
        const size_t size = bz_quant_row_size(types[_i], K);
        for (size_t T = 1; T <= (c < 3 ? MAX_T : 3); T++) {
            product_size(types[_i], K, T);
            for (size_t n = 0; n < N; n++) {
                for (size_t k = 0; k < K; k++)
                    p.x[k] = (float)bz_rng_unit(&rng) * 2.0f - 1.0f;
                bz_quant_encode(p.w + n * size, p.x, types[_i], K);
            }
            fill_x(&rng);
            product_run_all();
        }
    }
}
END_TEST

/* Blocks of any bytes: scales that are subnormal, Inf or NaN, integers at both ends; activations at both ends. */
START_TEST(hostile_blocks_have_the_bits_of_the_scalar_level)
{
    static const int fills[] = {-1, 0x00, 0x80, 0x7f, 0xff, 0x01, -2};
    bz_rng rng;
    bz_rng_seed(&rng, 12);
    for (size_t f = 0; f < sizeof fills / sizeof *fills; f++) {
        product_size(types[_i], 768, 5);
        const size_t bytes = N * bz_quant_row_size(types[_i], 768);
        for (size_t i = 0; i < bytes; i++)
            p.w[i] = fills[f] == -1 ? (uint8_t)bz_rng_next(&rng) : fills[f] == -2 ? (bz_rng_next(&rng) & 1 ? 0xff : 0x80) : (uint8_t)fills[f];
        for (size_t t = 0; t < p.T; t++) { /* all 32767, all -32767, both, one Inf, subnormals */
            static const float at[5][2] = {{1.0f, 1.0f}, {-1.0f, -1.0f}, {1.0f, -1.0f}, {0.5f, 0.25f}, {1e-40f, 1e-42f}};
            for (size_t k = 0; k < 768; k++)
                p.x[t * 768 + k] = at[t][bz_rng_next(&rng) & 1];
        }
        p.x[3 * 768 + 70] = INFINITY;
        product_run_all();
    }
}
END_TEST

START_TEST(only_whole_blocks_of_five_types_have_a_form)
{
    for (uint32_t dtype = 0; dtype < BZ_DTYPE_LIMIT; dtype++) {
        int is_there = 0;
        for (int i = 0; i < N_TYPES; i++)
            is_there |= types[i] == dtype;
        ck_assert_int_eq(bz_packed_panel_size(dtype, 512) > 0, is_there);
        ck_assert_uint_eq(bz_packed_panel_size(dtype, 512) % 32, 0);
        for (int i = 0; i < N_TABLES && !is_there; i++)
            if (table_runs(tables[i]))
                ck_assert_int_eq(tables[i]->matmul_packed(NULL, 0, NULL, dtype, 0, 0, NULL, 0, 0, 512), 0);
    }
    ck_assert_uint_eq(bz_packed_panel_size(BZ_DTYPE_Q4_K, 640), 0);
    ck_assert_uint_eq(bz_packed_panel_size(BZ_DTYPE_Q5_0, 640), 20 * BZ_PACKED_Q5_0);
}
END_TEST

Suite *packed_suite(void)
{
    Suite *s = suite_create("packed");
    TCase *c = tcase_create("packed");
    tcase_set_timeout(c, 300);
    tcase_add_checked_fixture(c, NULL, product_free);
    tcase_add_loop_test(c, products_have_the_bits_of_the_scalar_level, 0, N_TYPES);
    tcase_add_loop_test(c, hostile_blocks_have_the_bits_of_the_scalar_level, 0, N_TYPES);
    tcase_add_test(c, only_whole_blocks_of_five_types_have_a_form);
    suite_add_tcase(s, c);
    return s;
}
