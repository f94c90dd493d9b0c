/* SPDX-License-Identifier: MIT */
/* Decodes blocks of quantised weights, one function a type, written from the closed forms of the format (MODEL.md 1.2).
 * Invariant: every result is the exactly rounded value of the form, so faster decoders must give the same bits. Blocks are
 * read byte by byte: any alignment, any byte order of the host. Checking that a row is long enough is the reader's part. */
#include "compute/quant.h"

#include <string.h>

/* ---- numbers ---------------------------------------------------------------------------------------------------------- */

static uint32_t quant_float_bits(float x)
{
    uint32_t u;
    memcpy(&u, &x, sizeof u);
    return u;
}

static float quant_bits_float(uint32_t u)
{
    float x;
    memcpy(&x, &u, sizeof x);
    return x;
}

float bz_f16_to_f32(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000u) << 16;
    const uint32_t exponent = (h >> 10) & 31u;
    const uint32_t mantissa = h & 1023u;
    if (exponent == 31) /* a NaN comes out quiet, as from F16C */
        return quant_bits_float(sign | 0x7f800000u | (mantissa << 13) | (mantissa ? 0x400000u : 0));
    if (exponent == 0) { /* subnormal: mantissa * 2^-24, exact in float */
        const float v = (float)mantissa * 0x1p-24f;
        return sign ? -v : v;
    }
    return quant_bits_float(sign | ((exponent + 112) << 23) | (mantissa << 13));
}

uint16_t bz_f32_to_f16(float x)
{
    const uint32_t u = quant_float_bits(x);
    const uint32_t sign = (u >> 16) & 0x8000u;
    const uint32_t a = u & 0x7fffffffu;
    if (a > 0x7f800000u)
        return (uint16_t)(sign | 0x7e00u | ((a >> 13) & 0x3ffu));
    if (a >= 0x477ff000u) /* 65520 and more round to infinity */
        return (uint16_t)(sign | 0x7c00u);
    if (a < 0x38800000u) { /* below 2^-14: the sum with 0.5 rounds to a multiple of 2^-24, to even */
        const float v = quant_bits_float(a) + 0.5f;
        return (uint16_t)(sign | (quant_float_bits(v) - 0x3f000000u));
    }
    const uint32_t even = (a >> 13) & 1u;
    return (uint16_t)(sign | ((a - 0x38000000u + 0xfffu + even) >> 13));
}

float bz_bf16_to_f32(uint16_t h)
{
    return quant_bits_float((uint32_t)h << 16);
}

uint16_t bz_f32_to_bf16(float x)
{
    const uint32_t u = quant_float_bits(x);
    if ((u & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)((u >> 16) | 64u);
    return (uint16_t)((u + 0x7fffu + ((u >> 16) & 1u)) >> 16);
}

static uint16_t quant_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] | (unsigned)p[1] << 8);
}

static float quant_half(const uint8_t *p)
{
    return bz_f16_to_f32(quant_u16(p));
}

static uint32_t quant_u32(const uint8_t *p)
{
    return (uint32_t)quant_u16(p) | (uint32_t)quant_u16(p + 2) << 16;
}

/* Operands are restrict: a byte pointer may alias anything, which would keep these loops from becoming vectors. */

/* ---- groups of blocks with 32 elements -------------------------------------------------------------------------------- */

const int8_t bz_quant_iq4_values[16] = {-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113};

/* Element i of 16 bytes of nibbles: the low ones are the first half. */
static int quant_nibble(const uint8_t *qs, int i)
{
    return i < 16 ? qs[i] & 15 : qs[i - 16] >> 4;
}

static void quant_q4_0(int8_t *restrict w, float *restrict d, float *restrict m, const uint8_t *restrict p)
{
    (void)m;
    *d = quant_half(p);
    for (int i = 0; i < 32; i++)
        w[i] = (int8_t)(quant_nibble(p + 2, i) - 8);
}

static void quant_q4_1(int8_t *restrict w, float *restrict d, float *restrict m, const uint8_t *restrict p)
{
    *d = quant_half(p);
    m[0] = -quant_half(p + 2);
    for (int i = 0; i < 32; i++)
        w[i] = (int8_t)quant_nibble(p + 4, i);
}

static void quant_q5_0(int8_t *restrict w, float *restrict d, float *restrict m, const uint8_t *restrict p)
{
    (void)m;
    *d = quant_half(p);
    const uint32_t high = quant_u32(p + 2);
    for (int i = 0; i < 32; i++)
        w[i] = (int8_t)((quant_nibble(p + 6, i) | (int)((high >> i) & 1u) << 4) - 16);
}

static void quant_q5_1(int8_t *restrict w, float *restrict d, float *restrict m, const uint8_t *restrict p)
{
    *d = quant_half(p);
    m[0] = -quant_half(p + 2);
    const uint32_t high = quant_u32(p + 4);
    for (int i = 0; i < 32; i++)
        w[i] = (int8_t)(quant_nibble(p + 8, i) | (int)((high >> i) & 1u) << 4);
}

static void quant_q8_0(int8_t *restrict w, float *restrict d, float *restrict m, const uint8_t *restrict p)
{
    (void)m;
    *d = quant_half(p);
    for (int i = 0; i < 32; i++)
        w[i] = (int8_t)p[2 + i];
}

static void quant_q8_1(int8_t *restrict w, float *restrict d, float *restrict m, const uint8_t *restrict p)
{
    (void)m;
    *d = quant_half(p);
    for (int i = 0; i < 32; i++)
        w[i] = (int8_t)p[4 + i];
}

static void quant_iq4_nl(int8_t *restrict w, float *restrict d, float *restrict m, const uint8_t *restrict p)
{
    (void)m;
    *d = quant_half(p);
    for (int i = 0; i < 32; i++)
        w[i] = bz_quant_iq4_values[quant_nibble(p + 2, i)];
}

/* ---- groups of blocks with 256 elements ------------------------------------------------------------------------------- */
/* Names of the format: H = i >> 7, J = (i >> 5) & 3, L = i & 31, S = i >> 4 (half group), B = i >> 5 (group). */

static void quant_q2_k(int8_t *restrict w, float *restrict d, float *restrict m, const uint8_t *restrict p)
{
    const float scale = quant_half(p + 80), min = quant_half(p + 82);
    for (int S = 0; S < 16; S++) {
        d[S] = scale * (float)(p[S] & 15);
        m[S] = min * (float)(p[S] >> 4);
    }
    for (int i = 0; i < 256; i++)
        w[i] = (int8_t)((p[16 + 32 * (i >> 7) + (i & 31)] >> (2 * ((i >> 5) & 3))) & 3);
}

static void quant_q3_k(int8_t *restrict w, float *restrict d, float *restrict m, const uint8_t *restrict p)
{
    (void)m;
    const uint8_t *scales = p + 96;
    const float scale = quant_half(p + 108);
    for (int S = 0; S < 16; S++) {
        const int low = S < 8 ? scales[S] & 15 : scales[S - 8] >> 4;
        const int high = (scales[8 + (S & 3)] >> (2 * (S >> 2))) & 3;
        d[S] = scale * (float)((low | high << 4) - 32);
    }
    for (int i = 0; i < 256; i++) {
        const int H = i >> 7, J = (i >> 5) & 3, L = i & 31;
        const int q = (p[32 + 32 * H + L] >> (2 * J)) & 3;
        const int has_bit = (p[L] >> (4 * H + J)) & 1;
        w[i] = (int8_t)(q - (has_bit ? 0 : 4));
    }
}

void bz_quant_scales_k4(uint8_t scale[8], uint8_t min[8], const uint8_t packed[12])
{
    for (int B = 0; B < 4; B++) {
        scale[B] = packed[B] & 63;
        min[B] = packed[B + 4] & 63;
        scale[B + 4] = (uint8_t)((packed[B + 8] & 15) | ((packed[B] >> 6) << 4));
        min[B + 4] = (uint8_t)((packed[B + 8] >> 4) | ((packed[B + 4] >> 6) << 4));
    }
}

/* What Q4_K and Q5_K share: d[B] = d * scale, m = dmin * min, both exact (11 + 6 bits). */
static void quant_scales_to_float(float *d, float *m, const uint8_t *p)
{
    uint8_t scale[8], min[8];
    bz_quant_scales_k4(scale, min, p + 4);
    const float d_all = quant_half(p), min_all = quant_half(p + 2);
    for (int B = 0; B < 8; B++) {
        d[B] = d_all * (float)scale[B];
        m[B] = min_all * (float)min[B];
    }
}

static void quant_q4_k(int8_t *restrict w, float *restrict d, float *restrict m, const uint8_t *restrict p)
{
    quant_scales_to_float(d, m, p);
    for (int i = 0; i < 256; i++) {
        const int byte = p[16 + 32 * (i >> 6) + (i & 31)];
        w[i] = (int8_t)((i >> 5) & 1 ? byte >> 4 : byte & 15);
    }
}

static void quant_q5_k(int8_t *restrict w, float *restrict d, float *restrict m, const uint8_t *restrict p)
{
    quant_scales_to_float(d, m, p);
    for (int i = 0; i < 256; i++) {
        const int byte = p[48 + 32 * (i >> 6) + (i & 31)];
        const int low = (i >> 5) & 1 ? byte >> 4 : byte & 15;
        w[i] = (int8_t)(low + 16 * ((p[16 + (i & 31)] >> (i >> 5)) & 1));
    }
}

static void quant_q6_k(int8_t *restrict w, float *restrict d, float *restrict m, const uint8_t *restrict p)
{
    (void)m;
    const float scale = quant_half(p + 208);
    for (int S = 0; S < 16; S++)
        d[S] = scale * (float)(int8_t)p[192 + S];
    for (int i = 0; i < 256; i++) {
        const int H = i >> 7, J = (i >> 5) & 3, L = i & 31;
        const int byte = p[64 * H + 32 * (J & 1) + L];
        const int low = J < 2 ? byte & 15 : byte >> 4;
        w[i] = (int8_t)((low | ((p[128 + 32 * H + L] >> (2 * J)) & 3) << 4) - 32);
    }
}

static void quant_q8_k(int8_t *restrict w, float *restrict d, float *restrict m, const uint8_t *restrict p)
{
    (void)m;
    const float scale = quant_bits_float(quant_u32(p));
    for (int B = 0; B < 8; B++)
        d[B] = scale;
    for (int i = 0; i < 256; i++)
        w[i] = (int8_t)p[4 + i];
}

static void quant_iq4_xs(int8_t *restrict w, float *restrict d, float *restrict m, const uint8_t *restrict p)
{
    (void)m;
    const float scale = quant_half(p);
    const unsigned high = quant_u16(p + 2);
    for (int B = 0; B < 8; B++) {
        const int ls = ((p[4 + (B >> 1)] >> (4 * (B & 1))) & 15) | (int)((high >> (2 * B)) & 3u) << 4;
        d[B] = scale * (float)(ls - 32);
    }
    for (int i = 0; i < 256; i++)
        w[i] = bz_quant_iq4_values[quant_nibble(p + 8 + 16 * (i >> 5), i & 31)];
}

/* ---- table ------------------------------------------------------------------------------------------------------------ */

typedef struct quant_form {
    void (*unpack)(int8_t *w, float *d, float *m, const uint8_t *block);
    int has_min;
} quant_form;

static const quant_form quant_forms[BZ_DTYPE_LIMIT] = {
    [BZ_DTYPE_Q4_0] = {quant_q4_0, 0}, [BZ_DTYPE_Q4_1] = {quant_q4_1, 1},     [BZ_DTYPE_Q5_0] = {quant_q5_0, 0},
    [BZ_DTYPE_Q5_1] = {quant_q5_1, 1}, [BZ_DTYPE_Q8_0] = {quant_q8_0, 0},     [BZ_DTYPE_Q8_1] = {quant_q8_1, 0},
    [BZ_DTYPE_Q2_K] = {quant_q2_k, 1}, [BZ_DTYPE_Q3_K] = {quant_q3_k, 0},     [BZ_DTYPE_Q4_K] = {quant_q4_k, 1},
    [BZ_DTYPE_Q5_K] = {quant_q5_k, 1}, [BZ_DTYPE_Q6_K] = {quant_q6_k, 0},     [BZ_DTYPE_Q8_K] = {quant_q8_k, 0},
    [BZ_DTYPE_IQ4_NL] = {quant_iq4_nl, 0}, [BZ_DTYPE_IQ4_XS] = {quant_iq4_xs, 0},
};

size_t bz_quant_row_size(uint32_t dtype, size_t K)
{
    const bz_dtype *type = bz_dtype_find(dtype);
    return type ? K / type->block * type->block_size : 0;
}

int bz_quant_has_groups(uint32_t dtype)
{
    return dtype < BZ_DTYPE_LIMIT && quant_forms[dtype].unpack != NULL;
}

int bz_quant_has_min(uint32_t dtype)
{
    return dtype < BZ_DTYPE_LIMIT && quant_forms[dtype].has_min;
}

size_t bz_quant_part(uint32_t dtype)
{
    return dtype == BZ_DTYPE_Q2_K || dtype == BZ_DTYPE_Q3_K || dtype == BZ_DTYPE_Q6_K ? 16 : BZ_QUANT_GROUP;
}

void bz_quant_unpack(int8_t *w, float *d, float *m, const void *row, uint32_t dtype, size_t group, size_t n)
{
    const bz_dtype *type = bz_dtype_find(dtype);
    const size_t step = type->block / BZ_QUANT_GROUP; /* groups a block: 1 or 8 */
    const size_t parts = BZ_QUANT_GROUP / bz_quant_part(dtype);
    const uint8_t *p = (const uint8_t *)row + group / step * type->block_size;
    for (size_t g = 0; g < n; g += step, p += type->block_size)
        quant_forms[dtype].unpack(w + g * BZ_QUANT_GROUP, d + g * parts, m + g * parts, p);
}

static void quant_decode_groups(float *out, const void *row, uint32_t dtype, size_t K)
{
    int8_t w[256];
    float d[16], m[16] = {0};
    const bz_dtype *type = bz_dtype_find(dtype);
    const int has_min = bz_quant_has_min(dtype);
    const size_t step = type->block / BZ_QUANT_GROUP, part = bz_quant_part(dtype);
    for (size_t g = 0; g < K / BZ_QUANT_GROUP; g += step, out += type->block) {
        bz_quant_unpack(w, d, m, row, dtype, g, step);
        for (size_t h = 0; h < 2 * step; h++) { /* 16 at a time, a form that compilers make vectors of */
            const float scale = d[h * 16 / part], min = m[h * 16 / part];
            float *to = out + 16 * h;
            for (size_t i = 0; i < 16; i++)
                to[i] = scale * (float)w[16 * h + i];
            for (size_t i = 0; has_min && i < 16; i++)
                to[i] -= min;
        }
    }
}

int bz_quant_decode(float *out, const void *row, uint32_t dtype, size_t K)
{
    const uint8_t *p = row;
    if (bz_dtype_find(dtype) == NULL)
        return 0;
    if (bz_quant_has_groups(dtype))
        quant_decode_groups(out, row, dtype, K);
    for (size_t i = 0; dtype == BZ_DTYPE_F32 && i < K; i++)
        out[i] = quant_bits_float(quant_u32(p + 4 * i));
    for (size_t i = 0; dtype == BZ_DTYPE_F16 && i < K; i++)
        out[i] = quant_half(p + 2 * i);
    for (size_t i = 0; dtype == BZ_DTYPE_BF16 && i < K; i++)
        out[i] = bz_bf16_to_f32(quant_u16(p + 2 * i));
    return 1;
}
