/* SPDX-License-Identifier: MIT */
/* NEON level: blocks of quantised weights to groups of 8-bit integers. Same bits as quant.c, for the types that models are
 * mostly made of; the others (Q8_1, Q2_K, Q3_K, Q8_K, IQ4_XS) go through quant.c. */
#include "base/dtype.h"
#include "compute/kernel_neon.h"
#include "compute/quant.h"

#include <arm_neon.h>
#include <string.h>

/* Bytes asked for ahead; past the end of a mapping is harmless, a prefetch never faults. */
enum { UNPACK_NEON_AHEAD = 4096 };

BZ_NEON_INLINE float unpack_neon_half(const uint8_t *p)
{
    uint16_t h;
    memcpy(&h, p, sizeof h);
    return vgetq_lane_f32(vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(h))), 0);
}

/* Scales (and negated minima, where has_min) of n blocks of `size` bytes that begin with them. */
static void unpack_neon_scales(float *d, float *m, const uint8_t *p, size_t size, size_t n, int has_min)
{
    for (size_t g = 0; g < n; g++, p += size) {
        d[g] = unpack_neon_half(p);
        if (has_min)
            m[g] = -unpack_neon_half(p + 2);
    }
}

BZ_NEON_INLINE void unpack_neon_store(int8_t *w, uint8x16_t low, uint8x16_t high)
{
    vst1q_s8(w, vreinterpretq_s8_u8(low));
    vst1q_s8(w + 16, vreinterpretq_s8_u8(high));
}

static void unpack_neon_q8_0(int8_t *w, const uint8_t *p, size_t n)
{
    for (size_t g = 0; g < n; g++, p += 34, w += 32) {
        __builtin_prefetch(p + UNPACK_NEON_AHEAD);
        unpack_neon_store(w, vld1q_u8(p + 2), vld1q_u8(p + 18));
    }
}

static void unpack_neon_q4(int8_t *w, const uint8_t *p, size_t n, size_t size, uint8_t offset)
{
    const uint8x16_t middle = vdupq_n_u8(offset);
    for (size_t g = 0; g < n; g++, p += size, w += 32) {
        const uint8x16_t x = vld1q_u8(p + size - 16);
        __builtin_prefetch(p + UNPACK_NEON_AHEAD);
        unpack_neon_store(w, vsubq_u8(vandq_u8(x, vdupq_n_u8(15)), middle), vsubq_u8(vshrq_n_u8(x, 4), middle));
    }
}

/* 16 where bit i of the two bytes at p is set. */
BZ_NEON_INLINE uint8x16_t unpack_neon_fifth(const uint8_t *p)
{
    const uint8x16_t place = vcombine_u8(vcreate_u8(0x8040201008040201), vcreate_u8(0x8040201008040201));
    return vandq_u8(vtstq_u8(vcombine_u8(vdup_n_u8(p[0]), vdup_n_u8(p[1])), place), vdupq_n_u8(16));
}

static void unpack_neon_q5(int8_t *w, const uint8_t *p, size_t n, size_t size, uint8_t offset)
{
    const uint8x16_t middle = vdupq_n_u8(offset);
    for (size_t g = 0; g < n; g++, p += size, w += 32) {
        const uint8x16_t x = vld1q_u8(p + size - 16);
        const uint8x16_t low = vorrq_u8(vandq_u8(x, vdupq_n_u8(15)), unpack_neon_fifth(p + size - 20));
        const uint8x16_t high = vorrq_u8(vshrq_n_u8(x, 4), unpack_neon_fifth(p + size - 18));
        __builtin_prefetch(p + UNPACK_NEON_AHEAD);
        unpack_neon_store(w, vsubq_u8(low, middle), vsubq_u8(high, middle));
    }
}

static void unpack_neon_iq4_nl(int8_t *w, const uint8_t *p, size_t n)
{
    const int8x16_t table = vld1q_s8(bz_quant_iq4_values);
    for (size_t g = 0; g < n; g++, p += 18, w += 32) {
        const uint8x16_t x = vld1q_u8(p + 2);
        __builtin_prefetch(p + UNPACK_NEON_AHEAD);
        vst1q_s8(w, vqtbl1q_s8(table, vandq_u8(x, vdupq_n_u8(15))));
        vst1q_s8(w + 16, vqtbl1q_s8(table, vshrq_n_u8(x, 4)));
    }
}

/* Scales and minima of Q4_K and Q5_K. */
static void unpack_neon_scales_k4(float *d, float *m, const uint8_t *p)
{
    uint8_t scale[8], min[8];
    const float all = unpack_neon_half(p), all_min = unpack_neon_half(p + 2);
    bz_quant_scales_k4(scale, min, p + 4);
    for (size_t B = 0; B < 8; B++) {
        d[B] = all * (float)scale[B];
        m[B] = all_min * (float)min[B];
    }
}

static void unpack_neon_q4_k(int8_t *w, float *d, float *m, const uint8_t *p)
{
    unpack_neon_scales_k4(d, m, p);
    for (size_t line = 0; line < 144; line += 64)
        __builtin_prefetch(p + UNPACK_NEON_AHEAD + line);
    for (size_t pair = 0; pair < 4; pair++, w += 64) {
        const uint8x16_t a = vld1q_u8(p + 16 + 32 * pair), b = vld1q_u8(p + 32 + 32 * pair), mask = vdupq_n_u8(15);
        unpack_neon_store(w, vandq_u8(a, mask), vandq_u8(b, mask));
        unpack_neon_store(w + 32, vshrq_n_u8(a, 4), vshrq_n_u8(b, 4));
    }
}

static void unpack_neon_q5_k(int8_t *w, float *d, float *m, const uint8_t *p)
{
    const uint8x16_t mask = vdupq_n_u8(15), fifth = vdupq_n_u8(16), high[2] = {vld1q_u8(p + 16), vld1q_u8(p + 32)};
    unpack_neon_scales_k4(d, m, p);
    for (size_t line = 0; line < 176; line += 64)
        __builtin_prefetch(p + UNPACK_NEON_AHEAD + line);
    for (size_t B = 0; B < 8; B++, w += 32) {
        uint8x16_t v[2];
        for (size_t h = 0; h < 2; h++) {
            const uint8x16_t x = vld1q_u8(p + 48 + 32 * (B >> 1) + 16 * h);
            const uint8x16_t set = vtstq_u8(high[h], vdupq_n_u8((uint8_t)(1 << B)));
            v[h] = vorrq_u8(B & 1 ? vshrq_n_u8(x, 4) : vandq_u8(x, mask), vandq_u8(set, fifth));
        }
        unpack_neon_store(w, v[0], v[1]);
    }
}

static void unpack_neon_q6_k(int8_t *w, float *d, const uint8_t *p)
{
    const uint8x16_t mask = vdupq_n_u8(15), top = vdupq_n_u8(0x30), middle = vdupq_n_u8(32);
    const float all = unpack_neon_half(p + 208);
    for (size_t S = 0; S < 16; S++)
        d[S] = all * (float)(int8_t)p[192 + S];
    for (size_t line = 0; line < 256; line += 64)
        __builtin_prefetch(p + UNPACK_NEON_AHEAD + line);
    for (size_t B = 0; B < 8; B++, w += 32) {
        const size_t H = B >> 2, J = B & 3;
        uint8x16_t v[2];
        for (size_t h = 0; h < 2; h++) {
            const uint8x16_t low = vld1q_u8(p + 64 * H + 32 * (J & 1) + 16 * h), high = vld1q_u8(p + 128 + 32 * H + 16 * h);
            const uint8x16_t two = vshlq_u8(high, vdupq_n_s8((int8_t)(4 - 2 * (int)J))); /* bits 2J, 2J + 1 to 4, 5 */
            v[h] = vsubq_u8(vorrq_u8(J < 2 ? vandq_u8(low, mask) : vshrq_n_u8(low, 4), vandq_u8(two, top)), middle);
        }
        unpack_neon_store(w, v[0], v[1]);
    }
}

static void unpack_neon_k_blocks(int8_t *w, float *d, float *m, const uint8_t *p, uint32_t dtype, size_t n_blocks)
{
    for (size_t b = 0; b < n_blocks; b++, w += 256) {
        if (dtype == BZ_DTYPE_Q4_K)
            unpack_neon_q4_k(w, d + 8 * b, m + 8 * b, p + b * 144);
        else if (dtype == BZ_DTYPE_Q5_K)
            unpack_neon_q5_k(w, d + 8 * b, m + 8 * b, p + b * 176);
        else
            unpack_neon_q6_k(w, d + 16 * b, p + b * 210);
    }
}

void bz_neon_unpack(int8_t *w, float *d, float *m, const void *row, uint32_t dtype, size_t group, size_t n)
{
    const uint8_t *p = (const uint8_t *)row + bz_quant_row_size(dtype, group * BZ_QUANT_GROUP);
    switch (dtype) {
    case BZ_DTYPE_Q8_0:
        unpack_neon_scales(d, m, p, 34, n, 0);
        unpack_neon_q8_0(w, p, n);
        break;
    case BZ_DTYPE_Q5_0:
        unpack_neon_scales(d, m, p, 22, n, 0);
        unpack_neon_q5(w, p, n, 22, 16);
        break;
    case BZ_DTYPE_Q5_1:
        unpack_neon_scales(d, m, p, 24, n, 1);
        unpack_neon_q5(w, p, n, 24, 0);
        break;
    case BZ_DTYPE_Q4_0:
        unpack_neon_scales(d, m, p, 18, n, 0);
        unpack_neon_q4(w, p, n, 18, 8);
        break;
    case BZ_DTYPE_Q4_1:
        unpack_neon_scales(d, m, p, 20, n, 1);
        unpack_neon_q4(w, p, n, 20, 0);
        break;
    case BZ_DTYPE_IQ4_NL:
        unpack_neon_scales(d, m, p, 18, n, 0);
        unpack_neon_iq4_nl(w, p, n);
        break;
    case BZ_DTYPE_Q4_K:
    case BZ_DTYPE_Q5_K:
    case BZ_DTYPE_Q6_K:
        unpack_neon_k_blocks(w, d, m, p, dtype, n / 8);
        break;
    default:
        bz_quant_unpack(w, d, m, row, dtype, group, n);
        break;
    }
}
