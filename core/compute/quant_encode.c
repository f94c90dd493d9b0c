/* SPDX-License-Identifier: MIT */
/* Floats to blocks of quantised weights, for adapters, checkpoints and test models. The 32-wide types follow the reference
 * quantiser (reciprocal of the scale in float, then round as the format's page says), so files agree with other writers bit
 * by bit. The 256-wide types and IQ4_NL get valid blocks by plain min/max scales: no search for the least error. Values
 * beyond the range of a half scale (65504) are not representable; callers keep to finite, sane input. */
#include "compute/quant.h"

#include <math.h>
#include <string.h>

/* ---- pieces ----------------------------------------------------------------------------------------------------------- */

static void encode_u16(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v & 255u);
    p[1] = (uint8_t)(v >> 8);
}

static void encode_u32(uint8_t *p, uint32_t v)
{
    encode_u16(p, (uint16_t)(v & 0xffffu));
    encode_u16(p + 2, (uint16_t)(v >> 16));
}

static void encode_half(uint8_t *p, float x)
{
    encode_u16(p, bz_f32_to_f16(x));
}

/* Truncates into low..high; NaN becomes low, so that no cast is undefined. */
static int encode_clamp(float v, int low, int high)
{
    if (!(v > (float)low))
        return low;
    return v >= (float)high ? high : (int)v;
}

static float encode_reciprocal(float d)
{
    return fabsf(d) > 1e-38f ? 1.0f / d : 0.0f; /* below, the half scale is zero anyway */
}

/* The element of largest magnitude, with its sign; the first of equal ones. */
static float encode_extreme(const float *x, int n)
{
    float best = 0.0f;
    for (int i = 0; i < n; i++)
        if (fabsf(x[i]) > fabsf(best))
            best = x[i];
    return best;
}

static void encode_range(float *out_min, float *out_max, const float *x, int n)
{
    *out_min = *out_max = x[0];
    for (int i = 1; i < n; i++) {
        if (x[i] < *out_min)
            *out_min = x[i];
        if (x[i] > *out_max)
            *out_max = x[i];
    }
}

/* 32 integers of 4 or 5 bits: low nibbles in order, the fifth bits in `high`. */
static void encode_nibbles(uint8_t *qs, uint32_t *high, const int *q)
{
    *high = 0;
    for (int i = 0; i < 16; i++)
        qs[i] = (uint8_t)((q[i] & 15) | (q[i + 16] & 15) << 4);
    for (int i = 0; i < 32; i++)
        *high |= (uint32_t)((q[i] >> 4) & 1) << i;
}

/* ---- 32-wide types ---------------------------------------------------------------------------------------------------- */

static void encode_symmetric(uint8_t *p, const float *x, int half_range)
{
    const float d = encode_extreme(x, 32) / (float)-half_range, id = encode_reciprocal(d);
    int q[32];
    uint32_t high;
    for (int i = 0; i < 32; i++)
        q[i] = encode_clamp(x[i] * id + ((float)half_range + 0.5f), 0, 2 * half_range - 1);
    encode_half(p, d);
    encode_nibbles(p + (half_range == 16 ? 6 : 2), &high, q);
    if (half_range == 16)
        encode_u32(p + 2, high);
}

static void encode_q4_0(uint8_t *p, const float *x)
{
    encode_symmetric(p, x, 8);
}

static void encode_q5_0(uint8_t *p, const float *x)
{
    encode_symmetric(p, x, 16);
}

static void encode_with_min(uint8_t *p, const float *x, int levels)
{
    float min, max;
    encode_range(&min, &max, x, 32);
    const float d = (max - min) / (float)levels, id = encode_reciprocal(d);
    int q[32];
    uint32_t high;
    for (int i = 0; i < 32; i++)
        q[i] = encode_clamp((x[i] - min) * id + 0.5f, 0, levels);
    encode_half(p, d);
    encode_half(p + 2, min);
    encode_nibbles(p + (levels == 31 ? 8 : 4), &high, q);
    if (levels == 31)
        encode_u32(p + 4, high);
}

static void encode_q4_1(uint8_t *p, const float *x)
{
    encode_with_min(p, x, 15);
}

static void encode_q5_1(uint8_t *p, const float *x)
{
    encode_with_min(p, x, 31);
}

static float encode_bytes(int8_t *q, int *out_sum, const float *x)
{
    const float d = fabsf(encode_extreme(x, 32)) / 127.0f, id = encode_reciprocal(d);
    *out_sum = 0;
    for (int i = 0; i < 32; i++) {
        q[i] = (int8_t)encode_clamp(roundf(x[i] * id), -127, 127);
        *out_sum += q[i];
    }
    return d;
}

static void encode_q8_0(uint8_t *p, const float *x)
{
    int sum;
    encode_half(p, encode_bytes((int8_t *)(p + 2), &sum, x));
}

static void encode_q8_1(uint8_t *p, const float *x)
{
    int sum;
    const float d = encode_bytes((int8_t *)(p + 4), &sum, x);
    encode_half(p, d);
    encode_half(p + 2, d * (float)sum);
}

static int encode_iq4_nearest(float v)
{
    int best = 0;
    for (int i = 1; i < 16; i++)
        if (fabsf(v - (float)bz_quant_iq4_values[i]) < fabsf(v - (float)bz_quant_iq4_values[best]))
            best = i;
    return best;
}

static void encode_iq4_nl(uint8_t *p, const float *x)
{
    const float d = encode_extreme(x, 32) / -127.0f, id = encode_reciprocal(d);
    int q[32];
    uint32_t high;
    for (int i = 0; i < 32; i++)
        q[i] = encode_iq4_nearest(x[i] * id);
    encode_half(p, d);
    encode_nibbles(p + 2, &high, q);
}

/* ---- 256-wide types --------------------------------------------------------------------------------------------------- */
/* Each sub-block gets its own scale (and minimum), those are rounded to integers of one half a block. */

/* Rounds n scales (or minima, >= 0) to integers 0..levels of one half; returns the half as float. */
static float encode_positive_scales(uint8_t *out, const float *scale, int n, int levels)
{
    const float d = bz_f16_to_f32(bz_f32_to_f16(fabsf(encode_extreme(scale, n)) / (float)levels));
    const float id = encode_reciprocal(d);
    for (int i = 0; i < n; i++)
        out[i] = (uint8_t)encode_clamp(scale[i] * id + 0.5f, 0, levels);
    return d;
}

/* Scale and minimum of each sub-block of `width`, x ~ scale * q - min with min >= 0. */
static void encode_sub_ranges(float *scale, float *min, const float *x, int width, int levels)
{
    for (int s = 0; s < 256 / width; s++) {
        float low, high;
        encode_range(&low, &high, x + s * width, width);
        low = low > 0.0f ? 0.0f : low;
        high = high < low ? low : high;
        scale[s] = (high - low) / (float)levels;
        min[s] = -low;
    }
}

static int encode_level(float x, float d, float min, int levels)
{
    return encode_clamp((x + min) * encode_reciprocal(d) + 0.5f, 0, levels);
}

static void encode_q2_k(uint8_t *p, const float *x)
{
    float scale[16], min[16];
    uint8_t sc[16], mn[16];
    encode_sub_ranges(scale, min, x, 16, 3);
    const float d = encode_positive_scales(sc, scale, 16, 15), dmin = encode_positive_scales(mn, min, 16, 15);
    memset(p, 0, 84);
    for (int i = 0; i < 256; i++) {
        const int S = i >> 4;
        const int q = encode_level(x[i], d * (float)sc[S], dmin * (float)mn[S], 3);
        p[16 + 32 * (i >> 7) + (i & 31)] |= (uint8_t)(q << (2 * ((i >> 5) & 3)));
        p[S] = (uint8_t)(sc[S] | mn[S] << 4);
    }
    encode_half(p + 80, d);
    encode_half(p + 82, dmin);
}

/* Signed scales of 16 sub-blocks, integers -limit-1..limit of one half; x ~ d * sc * q, q in -half..half-1. */
static float encode_signed_scales(int *sc, const float *x, int half, int limit)
{
    float scale[16];
    for (int s = 0; s < 16; s++)
        scale[s] = encode_extreme(x + 16 * s, 16) / (float)-half;
    const float d = bz_f16_to_f32(bz_f32_to_f16(encode_extreme(scale, 16) / (float)-(limit + 1)));
    const float id = encode_reciprocal(d);
    for (int s = 0; s < 16; s++)
        sc[s] = encode_clamp(roundf(scale[s] * id), -limit - 1, limit);
    return d;
}

static int encode_signed_level(float x, float d, int half)
{
    return encode_clamp(roundf(x * encode_reciprocal(d)), -half, half - 1);
}

static void encode_q3_k(uint8_t *p, const float *x)
{
    int sc[16];
    const float d = encode_signed_scales(sc, x, 4, 31);
    memset(p, 0, 110);
    for (int S = 0; S < 16; S++) {
        const int v = sc[S] + 32;
        p[96 + (S & 7)] |= (uint8_t)((v & 15) << (S < 8 ? 0 : 4));
        p[104 + (S & 3)] |= (uint8_t)((v >> 4) << (2 * (S >> 2)));
    }
    for (int i = 0; i < 256; i++) {
        const int H = i >> 7, J = (i >> 5) & 3, L = i & 31;
        const int q = encode_signed_level(x[i], d * (float)sc[i >> 4], 4) + 4;
        p[32 + 32 * H + L] |= (uint8_t)((q & 3) << (2 * J));
        p[L] |= (uint8_t)((q >> 2) << (4 * H + J));
    }
    encode_half(p + 108, d);
}

/* d, dmin and the 12 bytes that Q4_K and Q5_K share; the rounded scales and minima come back. */
static void encode_scales_k4(uint8_t *p, float *scale, float *min)
{
    uint8_t sc[8], mn[8];
    const float d = encode_positive_scales(sc, scale, 8, 63), dmin = encode_positive_scales(mn, min, 8, 63);
    encode_half(p, d);
    encode_half(p + 2, dmin);
    for (int B = 0; B < 4; B++) {
        p[4 + B] = (uint8_t)(sc[B] | (sc[B + 4] >> 4) << 6);
        p[8 + B] = (uint8_t)(mn[B] | (mn[B + 4] >> 4) << 6);
        p[12 + B] = (uint8_t)((sc[B + 4] & 15) | (mn[B + 4] & 15) << 4);
    }
    for (int B = 0; B < 8; B++) {
        scale[B] = d * (float)sc[B];
        min[B] = dmin * (float)mn[B];
    }
}

static void encode_q4_k(uint8_t *p, const float *x)
{
    float scale[8], min[8];
    encode_sub_ranges(scale, min, x, 32, 15);
    memset(p, 0, 144);
    encode_scales_k4(p, scale, min);
    for (int i = 0; i < 256; i++) {
        const int q = encode_level(x[i], scale[i >> 5], min[i >> 5], 15);
        p[16 + 32 * (i >> 6) + (i & 31)] |= (uint8_t)(q << (4 * ((i >> 5) & 1)));
    }
}

static void encode_q5_k(uint8_t *p, const float *x)
{
    float scale[8], min[8];
    encode_sub_ranges(scale, min, x, 32, 31);
    memset(p, 0, 176);
    encode_scales_k4(p, scale, min);
    for (int i = 0; i < 256; i++) {
        const int q = encode_level(x[i], scale[i >> 5], min[i >> 5], 31);
        p[48 + 32 * (i >> 6) + (i & 31)] |= (uint8_t)((q & 15) << (4 * ((i >> 5) & 1)));
        p[16 + (i & 31)] |= (uint8_t)((q >> 4) << (i >> 5));
    }
}

static void encode_q6_k(uint8_t *p, const float *x)
{
    int sc[16];
    const float d = encode_signed_scales(sc, x, 32, 127);
    memset(p, 0, 210);
    for (int S = 0; S < 16; S++)
        p[192 + S] = (uint8_t)(sc[S] & 255);
    for (int i = 0; i < 256; i++) {
        const int H = i >> 7, J = (i >> 5) & 3, L = i & 31;
        const int q = encode_signed_level(x[i], d * (float)sc[i >> 4], 32) + 32;
        p[64 * H + 32 * (J & 1) + L] |= (uint8_t)((q & 15) << (J < 2 ? 0 : 4));
        p[128 + 32 * H + L] |= (uint8_t)((q >> 4) << (2 * J));
    }
    encode_half(p + 208, d);
}

static void encode_iq4_xs(uint8_t *p, const float *x)
{
    float scale[8];
    for (int B = 0; B < 8; B++)
        scale[B] = encode_extreme(x + 32 * B, 32) / -127.0f;
    const float d = bz_f16_to_f32(bz_f32_to_f16(encode_extreme(scale, 8) / -32.0f));
    memset(p, 0, 136);
    unsigned high = 0;
    for (int B = 0; B < 8; B++) {
        const int ls = encode_clamp(roundf(scale[B] * encode_reciprocal(d)), -32, 31) + 32;
        const float id = encode_reciprocal(d * (float)(ls - 32));
        p[4 + (B >> 1)] |= (uint8_t)((ls & 15) << (4 * (B & 1)));
        high |= (unsigned)(ls >> 4) << (2 * B);
        for (int i = 0; i < 32; i++)
            p[8 + 16 * B + (i & 15)] |= (uint8_t)(encode_iq4_nearest(x[32 * B + i] * id) << (i < 16 ? 0 : 4));
    }
    encode_half(p, d);
    encode_u16(p + 2, (uint16_t)high);
}

static void encode_q8_k(uint8_t *p, const float *x)
{
    const float m = encode_extreme(x, 256);
    const float iscale = m != 0.0f ? -127.0f / m : 0.0f, d = encode_reciprocal(iscale);
    uint32_t bits;
    memset(p, 0, 292);
    memcpy(&bits, &d, sizeof bits);
    encode_u32(p, bits);
    for (int s = 0; s < 16; s++) {
        int sum = 0;
        for (int i = 16 * s; i < 16 * s + 16; i++) {
            const int q = encode_clamp(rintf(iscale * x[i]), -128, 127);
            p[4 + i] = (uint8_t)(q & 255);
            sum += q;
        }
        encode_u16(p + 260 + 2 * s, (uint16_t)(sum & 0xffff));
    }
}

/* ---- single elements, table ------------------------------------------------------------------------------------------- */

static void encode_f32(uint8_t *p, const float *x)
{
    uint32_t bits;
    memcpy(&bits, x, sizeof bits);
    encode_u32(p, bits);
}

static void encode_f16(uint8_t *p, const float *x)
{
    encode_half(p, *x);
}

static void encode_bf16(uint8_t *p, const float *x)
{
    encode_u16(p, bz_f32_to_bf16(*x));
}

typedef void (*encode_fn)(uint8_t *block, const float *x);

static const encode_fn encode_fns[BZ_DTYPE_LIMIT] = {
    [BZ_DTYPE_F32] = encode_f32,       [BZ_DTYPE_F16] = encode_f16,       [BZ_DTYPE_BF16] = encode_bf16,
    [BZ_DTYPE_Q4_0] = encode_q4_0,     [BZ_DTYPE_Q4_1] = encode_q4_1,     [BZ_DTYPE_Q5_0] = encode_q5_0,
    [BZ_DTYPE_Q5_1] = encode_q5_1,     [BZ_DTYPE_Q8_0] = encode_q8_0,     [BZ_DTYPE_Q8_1] = encode_q8_1,
    [BZ_DTYPE_Q2_K] = encode_q2_k,     [BZ_DTYPE_Q3_K] = encode_q3_k,     [BZ_DTYPE_Q4_K] = encode_q4_k,
    [BZ_DTYPE_Q5_K] = encode_q5_k,     [BZ_DTYPE_Q6_K] = encode_q6_k,     [BZ_DTYPE_Q8_K] = encode_q8_k,
    [BZ_DTYPE_IQ4_NL] = encode_iq4_nl, [BZ_DTYPE_IQ4_XS] = encode_iq4_xs,
};

int bz_quant_encode(void *row, const float *x, uint32_t dtype, size_t K)
{
    const bz_dtype *type = bz_dtype_find(dtype);
    if (!type)
        return 0;
    for (size_t i = 0; i < K / type->block; i++)
        encode_fns[dtype]((uint8_t *)row + i * type->block_size, x + i * type->block);
    return 1;
}
