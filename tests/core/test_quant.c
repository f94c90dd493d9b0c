/* SPDX-License-Identifier: MIT */
/* Number conversions over all halves, decoding against stored blocks of gguf-py, encoding round trips. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "compute/quant.h"
#include "golden/quant_vectors.h"

Suite *quant_suite(void);

static uint32_t bits_of(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

/* ---- halves ----------------------------------------------------------------------------------------------------------- */

START_TEST(every_half_is_its_value_by_the_formula)
{
    for (uint32_t h = 0; h < 65536; h++) {
        const int e = (int)((h >> 10) & 31), m = (int)(h & 1023);
        const float got = bz_f16_to_f32((uint16_t)h);
        if (e == 31 && m != 0) {
            ck_assert(isnan(got));
            continue;
        }
        double want = e == 31 ? (double)INFINITY : e == 0 ? ldexp(m, -24) : ldexp(1024 + m, e - 25);
        want = h & 0x8000 ? -want : want;
        ck_assert_msg(bits_of(got) == bits_of((float)want), "half %04x: %a, expected %a", h, (double)got, want);
    }
}
END_TEST

START_TEST(every_half_survives_the_way_to_float_and_back)
{
    for (uint32_t h = 0; h < 65536; h++) {
        const uint16_t back = bz_f32_to_f16(bz_f16_to_f32((uint16_t)h));
        if ((h & 0x7fff) > 0x7c00)
            ck_assert_msg((back & 0x7fff) > 0x7c00, "NaN %04x became %04x", h, back);
        else
            ck_assert_msg(back == h, "half %04x came back as %04x", h, back);
    }
}
END_TEST

START_TEST(floats_between_two_halves_round_to_nearest_and_ties_to_even)
{
    for (uint32_t h = 0; h < 0x7bff; h++) {
        const float a = bz_f16_to_f32((uint16_t)h), b = bz_f16_to_f32((uint16_t)(h + 1)), middle = a + (b - a) / 2.0f;
        ck_assert_uint_eq(bz_f32_to_f16(middle), (h & 1) ? h + 1 : h);
        ck_assert_uint_eq(bz_f32_to_f16(nextafterf(middle, b)), h + 1);
        ck_assert_uint_eq(bz_f32_to_f16(-nextafterf(middle, a)), h | 0x8000);
    }
    ck_assert_uint_eq(bz_f32_to_f16(65519.99f), 0x7bff);
    ck_assert_uint_eq(bz_f32_to_f16(65520.0f), 0x7c00);
    ck_assert_uint_eq(bz_f32_to_f16(1e30f), 0x7c00);
    ck_assert_uint_eq(bz_f32_to_f16(-1e-30f), 0x8000);
}
END_TEST

START_TEST(bfloat_rounds_to_even_and_keeps_nan)
{
    ck_assert_uint_eq(bz_f32_to_bf16(1.0f), 0x3f80);
    ck_assert_uint_eq(bz_f32_to_bf16(0x1.01p0f), 0x3f80);      /* tie, to even */
    ck_assert_uint_eq(bz_f32_to_bf16(0x1.03p0f), 0x3f82);      /* tie, to even */
    ck_assert_uint_eq(bz_f32_to_bf16(0x1.010002p0f), 0x3f81);
    ck_assert_uint_eq(bz_f32_to_bf16(1e-45f), 0);
    ck_assert(isnan(bz_bf16_to_f32(bz_f32_to_bf16(NAN))));
    for (uint32_t h = 0; h < 65536; h++)
        if ((h & 0x7fff) <= 0x7f80)
            ck_assert_uint_eq(bz_f32_to_bf16(bz_bf16_to_f32((uint16_t)h)), h);
}
END_TEST

/* ---- decoding --------------------------------------------------------------------------------------------------------- */

static uint64_t hash_of(const float *x, size_t n)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < n; i++) {
        const uint32_t u = x[i] == 0.0f ? 0 : bits_of(x[i]);
        for (int b = 0; b < 32; b += 8)
            h = (h ^ ((u >> b) & 255)) * UINT64_C(0x100000001b3);
    }
    return h;
}

START_TEST(stored_blocks_decode_to_the_bits_of_the_reference)
{
    const quant_vector *v = &quant_vectors[_i];
    const bz_dtype *type = bz_dtype_find(v->dtype);
    float out[256];
    ck_assert_ptr_nonnull(type);
    ck_assert_int_eq(bz_quant_decode(out, v->block, v->dtype, type->block), 1);
    for (int i = 0; i < 4; i++)
        ck_assert_msg(out[i] == v->first[i], "%s [%d]: %a, expected %a", v->what, i, (double)out[i], (double)v->first[i]);
    ck_assert_msg(hash_of(out, type->block) == v->hash, "%s: hash differs", v->what);
}
END_TEST

START_TEST(unpacking_part_of_a_row_gives_the_groups_of_the_whole)
{
    static const uint32_t types[] = {BZ_DTYPE_Q5_1, BZ_DTYPE_Q4_K, BZ_DTYPE_Q2_K, BZ_DTYPE_Q8_0};
    for (size_t k = 0; k < sizeof types / sizeof *types; k++) {
        enum { K = 1024 };
        uint8_t row[K * 2];
        int8_t w[K], part[K];
        float d[K / 16], m[K / 16], d2[K / 16], m2[K / 16];
        const size_t parts = 32 / bz_quant_part(types[k]); /* scales a group */
        bz_rng rng;
        bz_rng_seed(&rng, 5 + k);
        for (size_t i = 0; i < sizeof row; i++)
            row[i] = (uint8_t)(bz_rng_next(&rng) & 0x3b); /* no half of Inf or NaN */
        bz_quant_unpack(w, d, m, row, types[k], 0, K / 32);
        bz_quant_unpack(part, d2, m2, row, types[k], 8, 16);
        ck_assert_mem_eq(part, w + 256, 512 * sizeof *w);
        ck_assert_mem_eq(d2, d + 8 * parts, 16 * parts * sizeof *d);
        if (bz_quant_has_min(types[k]))
            ck_assert_mem_eq(m2, m + 8 * parts, 16 * parts * sizeof *m);
    }
}
END_TEST

START_TEST(unknown_types_are_refused)
{
    float x[256] = {0};
    uint8_t row[1024] = {0};
    ck_assert_int_eq(bz_quant_decode(x, row, 4, 256), 0);
    ck_assert_int_eq(bz_quant_encode(row, x, 31, 256), 0);
    ck_assert_uint_eq(bz_quant_row_size(99, 256), 0);
    ck_assert_int_eq(bz_quant_has_groups(UINT32_MAX), 0);
    ck_assert_int_eq(bz_quant_has_groups(BZ_DTYPE_BF16), 0);
}
END_TEST

/* ---- encoding --------------------------------------------------------------------------------------------------------- */

typedef struct encode_case {
    uint32_t dtype;
    float error; /* largest error of an element, as a part of the block's largest magnitude */
} encode_case;

/* Half a step of the type's grid over the range of +-1, and for the types with two scales the rounding of the inner one. */
static const encode_case encode_cases[] = {
    {BZ_DTYPE_F32, 0.0f},     {BZ_DTYPE_F16, 0.0005f},  {BZ_DTYPE_BF16, 0.004f},  {BZ_DTYPE_Q8_0, 0.0045f},
    {BZ_DTYPE_Q8_1, 0.0045f}, {BZ_DTYPE_Q8_K, 0.0045f}, {BZ_DTYPE_Q4_0, 0.13f},   {BZ_DTYPE_Q4_1, 0.07f},
    {BZ_DTYPE_Q5_0, 0.065f},  {BZ_DTYPE_Q5_1, 0.035f},  {BZ_DTYPE_Q6_K, 0.04f},   {BZ_DTYPE_Q5_K, 0.05f},
    {BZ_DTYPE_Q4_K, 0.09f},   {BZ_DTYPE_Q3_K, 0.27f},   {BZ_DTYPE_Q2_K, 0.45f},   {BZ_DTYPE_IQ4_NL, 0.12f},
    {BZ_DTYPE_IQ4_XS, 0.14f},
};

START_TEST(encoded_rows_decode_to_nearly_the_same_numbers)
{
    const encode_case *c = &encode_cases[_i];
    float x[512], back[512];
    uint8_t row[512 * 4];
    bz_rng rng;
    bz_rng_seed(&rng, 11);
    for (int i = 0; i < 512; i++)
        x[i] = (float)bz_rng_unit(&rng) * 2.0f - 1.0f;
    ck_assert_int_eq(bz_quant_encode(row, x, c->dtype, 512), 1);
    ck_assert_int_eq(bz_quant_decode(back, row, c->dtype, 512), 1);
    for (int i = 0; i < 512; i++)
        ck_assert_msg(fabsf(back[i] - x[i]) <= c->error, "%s [%d]: %g became %g", bz_dtype_find(c->dtype)->name, i,
                      (double)x[i], (double)back[i]);
}
END_TEST

START_TEST(zero_constant_and_tiny_rows_encode_without_dividing_by_zero)
{
    static const float values[] = {0.0f, -0.0f, 3.0f, -3.0f, 1e-38f, 1e-45f};
    const encode_case *c = &encode_cases[_i];
    for (size_t k = 0; k < sizeof values / sizeof *values; k++) {
        float x[256], back[256];
        uint8_t row[256 * 4];
        for (int i = 0; i < 256; i++)
            x[i] = values[k];
        ck_assert_int_eq(bz_quant_encode(row, x, c->dtype, 256), 1);
        bz_quant_decode(back, row, c->dtype, 256);
        for (int i = 0; i < 256; i++)
            ck_assert_msg(fabsf(back[i] - x[i]) <= 0.02f * fabsf(x[i]) + 1e-37f, "%s: %g became %g",
                          bz_dtype_find(c->dtype)->name, (double)x[i], (double)back[i]);
    }
}
END_TEST

START_TEST(infinite_input_encodes_to_some_block_without_undefined_casts)
{
    float x[256];
    uint8_t row[256 * 4];
    for (int i = 0; i < 256; i++)
        x[i] = i % 3 == 0 ? INFINITY : i % 3 == 1 ? NAN : 1.0f;
    ck_assert_int_eq(bz_quant_encode(row, x, encode_cases[_i].dtype, 256), 1);
}
END_TEST

START_TEST(q8_0_rounds_half_away_from_zero_by_the_reciprocal)
{
    float x[32] = {127.0f, 0.5f, -0.5f, 1.5f, 2.5f, -2.5f, 126.49f};
    uint8_t block[34];
    static const int8_t want[7] = {127, 1, -1, 2, 3, -3, 126};
    bz_quant_encode(block, x, BZ_DTYPE_Q8_0, 32);
    ck_assert_int_eq(block[0] | block[1] << 8, 0x3c00);
    for (int i = 0; i < 7; i++)
        ck_assert_int_eq((int8_t)block[2 + i], want[i]);
}
END_TEST

Suite *quant_suite(void)
{
    Suite *s = suite_create("quant");
    const int n_encode = sizeof encode_cases / sizeof *encode_cases;
    TCase *c = tcase_create("halves");
    tcase_add_test(c, every_half_is_its_value_by_the_formula);
    tcase_add_test(c, every_half_survives_the_way_to_float_and_back);
    tcase_add_test(c, floats_between_two_halves_round_to_nearest_and_ties_to_even);
    tcase_add_test(c, bfloat_rounds_to_even_and_keeps_nan);
    suite_add_tcase(s, c);
    c = tcase_create("decode");
    tcase_add_loop_test(c, stored_blocks_decode_to_the_bits_of_the_reference, 0, sizeof quant_vectors / sizeof *quant_vectors);
    tcase_add_test(c, unpacking_part_of_a_row_gives_the_groups_of_the_whole);
    tcase_add_test(c, unknown_types_are_refused);
    suite_add_tcase(s, c);
    c = tcase_create("encode");
    tcase_add_loop_test(c, encoded_rows_decode_to_nearly_the_same_numbers, 0, n_encode);
    tcase_add_loop_test(c, zero_constant_and_tiny_rows_encode_without_dividing_by_zero, 0, n_encode);
    tcase_add_loop_test(c, infinite_input_encodes_to_some_block_without_undefined_casts, 0, n_encode);
    tcase_add_test(c, q8_0_rounds_half_away_from_zero_by_the_reciprocal);
    suite_add_tcase(s, c);
    return s;
}
