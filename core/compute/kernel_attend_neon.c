/* SPDX-License-Identifier: MIT */
/* NEON level of attention: the order of sums of key_block.h, the 16 lanes of a sum in four vectors.
 * Invariant: the bits of kernel_attend_ref.c. Register tiles of 2 rows by 2 keys and of 4 rows by 16 elements; rows of a
 * tile see nearly the same keys, and what one of them does not see counts with weight 0. */
#include "base/dtype.h"
#include "compute/kernel_exp_neon.h"
#include "compute/kernel_neon.h"

#include <arm_neon.h>
#include <math.h>
#include <string.h>

/* --- Parts of sums ------------------------------------------------------------------------------------------- */

/* bz_key_exp. */
BZ_NEON_INLINE float32x4_t attend_neon_exp(float32x4_t x)
{
    /* Below -87 the power would wrap, so those lanes compute something harmless; NaN is kept. */
    const uint32x4_t kept = vmvnq_u32(vcltq_f32(x, vdupq_n_f32(-87.0f)));
    const float32x4_t safe = vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(x), kept));
    return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(bz_neon_exp(safe)), kept));
}

/* The larger one, b where either is NaN: as a > b ? a : b. */
BZ_NEON_INLINE float32x4_t attend_neon_most(float32x4_t a, float32x4_t b)
{
    return vbslq_f32(vcgtq_f32(a, b), a, b);
}

/* Sixteen lanes to four: 8 apart, then 4. */
BZ_NEON_INLINE float32x4_t attend_neon_fold(const float32x4_t v[4])
{
    return vaddq_f32(vaddq_f32(v[0], v[2]), vaddq_f32(v[1], v[3]));
}

/* Sums of four times four lanes: 2 apart, then 1. */
BZ_NEON_INLINE float32x4_t attend_neon_sums(float32x4_t a, float32x4_t b, float32x4_t c, float32x4_t d)
{
    const float32x2_t a2 = vadd_f32(vget_low_f32(a), vget_high_f32(a)), b2 = vadd_f32(vget_low_f32(b), vget_high_f32(b));
    const float32x2_t c2 = vadd_f32(vget_low_f32(c), vget_high_f32(c)), d2 = vadd_f32(vget_low_f32(d), vget_high_f32(d));
    return vpaddq_f32(vcombine_f32(a2, b2), vcombine_f32(c2, d2));
}

/* --- Rows to floats ------------------------------------------------------------------------------------------ */

/* Elements [i, i + 8) of a row. */
BZ_NEON_INLINE void attend_neon_load(float32x4_t out[2], const uint8_t *row, uint32_t dtype, size_t i, float scale)
{
    if (dtype == BZ_DTYPE_F16) {
        const uint16x8_t h = vld1q_u16((const uint16_t *)(const void *)(row + 2 * i));
        out[0] = vcvt_f32_f16(vreinterpret_f16_u16(vget_low_u16(h)));
        out[1] = vcvt_f32_f16(vreinterpret_f16_u16(vget_high_u16(h)));
    } else if (dtype == BZ_DTYPE_I8) {
        const int16x8_t q = vmovl_s8(vld1_s8((const int8_t *)(row + 4 + i)));
        out[0] = vmulq_n_f32(vcvtq_f32_s32(vmovl_s16(vget_low_s16(q))), scale);
        out[1] = vmulq_n_f32(vcvtq_f32_s32(vmovl_high_s16(q)), scale);
    } else {
        out[0] = vld1q_f32((const float *)(const void *)(row + 4 * i));
        out[1] = vld1q_f32((const float *)(const void *)(row + 4 * i + 16));
    }
}

/* The last n < 8 elements, through a copy. */
static void attend_neon_load_end(float32x4_t out[2], const uint8_t *row, uint32_t dtype, size_t i, size_t n, float scale)
{
    uint8_t copy[32] = {0};
    if (dtype == BZ_DTYPE_F16)
        memcpy(copy, row + 2 * i, 2 * n);
    else if (dtype == BZ_DTYPE_I8)
        memcpy(copy + 4, row + 4 + i, n);
    else
        memcpy(copy, row + 4 * i, 4 * n);
    attend_neon_load(out, copy, dtype, 0, scale);
}

BZ_NEON_INLINE void attend_neon_expand(float *out, size_t stride, const uint8_t *row, size_t row_size, uint32_t dtype, size_t D,
                                       size_t n)
{
    const size_t D16 = (D + 15) & ~(size_t)15;
    for (size_t r = 0; r < n; r++, row += row_size, out += stride) {
        float32x4_t v[2];
        float scale = 0.0f;
        size_t i = 0;
        if (dtype == BZ_DTYPE_I8)
            memcpy(&scale, row, sizeof scale);
        for (; i + 8 <= D; i += 8) {
            attend_neon_load(v, row, dtype, i, scale);
            vst1q_f32(out + i, v[0]);
            vst1q_f32(out + i + 4, v[1]);
        }
        if (i < D) {
            attend_neon_load_end(v, row, dtype, i, D - i, scale);
            vst1q_f32(out + i, v[0]);
            vst1q_f32(out + i + 4, v[1]);
        }
        if (D < D16) /* a scale that is no number reached beyond D */
            memset(out + D, 0, (D16 - D) * sizeof *out);
    }
}

void bz_neon_key_expand(float *out, size_t stride, const void *rows, size_t row_size, uint32_t dtype, size_t D, size_t n)
{
    if (dtype == BZ_DTYPE_F16)
        attend_neon_expand(out, stride, rows, row_size, BZ_DTYPE_F16, D, n);
    else if (dtype == BZ_DTYPE_I8)
        attend_neon_expand(out, stride, rows, row_size, BZ_DTYPE_I8, D, n);
    else
        attend_neon_expand(out, stride, rows, row_size, BZ_DTYPE_F32, D, n);
}

/* --- Scores -------------------------------------------------------------------------------------------------- */

/* n_q (1 or 2) rows by two keys. */
BZ_NEON_INLINE void attend_neon_tile(float *s, const float *q, size_t q_stride, const size_t n_q, const float *k,
                                     size_t k_stride, size_t D16, float scale)
{
    float32x4_t acc[2][2][4];
    BZ_NEON_UNROLL for (size_t i = 0; i < 16; i++) acc[i / 8][i / 4 % 2][i % 4] = vdupq_n_f32(0.0f);
    for (size_t i = 0; i < D16; i += 16) {
        BZ_NEON_UNROLL for (size_t v = 0; v < 4; v++)
        {
            const float32x4_t key0 = vld1q_f32(k + i + 4 * v), key1 = vld1q_f32(k + k_stride + i + 4 * v);
            BZ_NEON_UNROLL for (size_t r = 0; r < n_q; r++)
            {
                const float32x4_t x = vld1q_f32(q + r * q_stride + i + 4 * v);
                acc[r][0][v] = vfmaq_f32(acc[r][0][v], x, key0);
                acc[r][1][v] = vfmaq_f32(acc[r][1][v], x, key1);
            }
        }
    }
    const float32x4_t sums = attend_neon_sums(attend_neon_fold(acc[0][0]), attend_neon_fold(acc[0][1]),
                                              attend_neon_fold(acc[1][0]), attend_neon_fold(acc[1][1]));
    const float32x4_t scaled = vmulq_n_f32(sums, scale);
    vst1_f32(s, vget_low_f32(scaled));
    if (n_q > 1)
        vst1_f32(s + BZ_KEY_BLOCK, vget_high_f32(scaled));
}

enum { ATTEND_NEON_NEAR = 16 }; /* rows of queries that stay in the first cache with a tile's keys */

void bz_neon_key_scores(float *s, const float *q, size_t q_stride, size_t n_rows, const float *k, size_t k_stride, size_t D16,
                        const uint8_t *begin, const uint8_t *end, float scale)
{
    for (size_t near = 0; near < n_rows; near += ATTEND_NEON_NEAR) {
        const size_t last = n_rows - near < ATTEND_NEON_NEAR ? n_rows : near + ATTEND_NEON_NEAR;
        for (size_t j = begin[near] & ~(size_t)1; j < end[last - 1]; j += 2) {
            size_t r = near;
            for (; r + 2 <= last; r += 2)
                attend_neon_tile(s + r * BZ_KEY_BLOCK + j, q + r * q_stride, q_stride, 2, k + j * k_stride, k_stride, D16, scale);
            if (r < last)
                attend_neon_tile(s + r * BZ_KEY_BLOCK + j, q + r * q_stride, q_stride, 1, k + j * k_stride, k_stride, D16, scale);
        }
    }
}

/* --- Weights ------------------------------------------------------------------------------------------------- */

/* Blocks of four rows with maxima mb and sums lb [4] join m and l; a and b [4] are the factors. */
BZ_NEON_INLINE void attend_neon_take(float *m, float *l, float *a, float *b, const float *mb, const float *lb)
{
    const float32x4_t before = vld1q_f32(m), block = vld1q_f32(mb), most = attend_neon_most(block, before);
    const uint32x4_t none = vceqq_f32(most, vdupq_n_f32(-INFINITY));
    const float32x4_t c = vbslq_f32(none, vdupq_n_f32(0.0f), most);
    const float32x4_t old = attend_neon_exp(vsubq_f32(before, c)), new = attend_neon_exp(vsubq_f32(block, c));
    vst1q_f32(l, vfmaq_f32(vmulq_f32(vld1q_f32(lb), new), vld1q_f32(l), old));
    vst1q_f32(m, most);
    vst1q_f32(a, old);
    vst1q_f32(b, new);
}

/* Returns the sum, sets the maximum. */
static float attend_neon_weights(float *s, float *out_most, size_t begin, size_t end)
{
    const float32x4_t none = vdupq_n_f32(-INFINITY);
    const uint32x4_t first = {0, 1, 2, 3};
    float32x4_t most = none, lane[4] = {vdupq_n_f32(0.0f), vdupq_n_f32(0.0f), vdupq_n_f32(0.0f), vdupq_n_f32(0.0f)};
    for (size_t i = 0; i < BZ_KEY_BLOCK; i += 4) {
        const uint32x4_t at = vaddq_u32(first, vdupq_n_u32((uint32_t)i));
        const uint32x4_t seen = vandq_u32(vcgeq_u32(at, vdupq_n_u32((uint32_t)begin)), vcltq_u32(at, vdupq_n_u32((uint32_t)end)));
        const float32x4_t v = vbslq_f32(seen, vld1q_f32(s + i), none);
        vst1q_f32(s + i, v);
        most = attend_neon_most(v, most); /* NaN: the second operand */
    }
    *out_most = vmaxvq_f32(most);
    const float32x4_t c = vdupq_n_f32(*out_most == -INFINITY ? 0.0f : *out_most);
    for (size_t i = 0; i < BZ_KEY_BLOCK; i += 16) {
        BZ_NEON_UNROLL for (size_t v = 0; v < 4; v++)
        {
            const float32x4_t p = attend_neon_exp(vsubq_f32(vld1q_f32(s + i + 4 * v), c));
            vst1q_f32(s + i + 4 * v, p);
            lane[v] = vaddq_f32(lane[v], p);
        }
    }
    const float32x4_t four = attend_neon_fold(lane);
    return vgetq_lane_f32(attend_neon_sums(four, four, four, four), 0);
}

void bz_neon_key_softmax(float *s, bz_key_state *state, size_t r, size_t n_rows, const uint8_t *begin, const uint8_t *end)
{
    for (size_t i = 0; i < n_rows; i += 4) {
        const size_t n = n_rows - i < 4 ? n_rows - i : 4, size = n * sizeof(float);
        float m[4] = {0}, l[4] = {0}, a[4], b[4], mb[4] = {0}, lb[4] = {0};
        for (size_t j = 0; j < n; j++)
            lb[j] = attend_neon_weights(s + (i + j) * BZ_KEY_BLOCK, &mb[j], begin[i + j], end[i + j]);
        memcpy(m, state->m + r + i, size);
        memcpy(l, state->l + r + i, size);
        attend_neon_take(m, l, a, b, mb, lb);
        memcpy(state->m + r + i, m, size);
        memcpy(state->l + r + i, l, size);
        memcpy(state->a + r + i, a, size);
        memcpy(state->b + r + i, b, size);
    }
}

/* --- Values -------------------------------------------------------------------------------------------------- */

/* n_r (1 or 4) rows by 16 elements. */
BZ_NEON_INLINE void attend_neon_mix(float *o, size_t o_stride, const float *p, const size_t n_r, const float *v, size_t v_stride,
                                    size_t begin, size_t end, const float *a, const float *b)
{
    float32x4_t acc[4][4];
    BZ_NEON_UNROLL for (size_t i = 0; i < 16; i++) acc[i / 4][i % 4] = vdupq_n_f32(0.0f);
    for (size_t j = begin; j < end; j++) {
        float32x4_t value[4];
        BZ_NEON_UNROLL for (size_t i = 0; i < 4; i++) value[i] = vld1q_f32(v + j * v_stride + 4 * i);
        BZ_NEON_UNROLL for (size_t r = 0; r < n_r; r++)
        {
            const float weight = p[r * BZ_KEY_BLOCK + j];
            BZ_NEON_UNROLL for (size_t i = 0; i < 4; i++) acc[r][i] = vfmaq_n_f32(acc[r][i], value[i], weight);
        }
    }
    BZ_NEON_UNROLL for (size_t r = 0; r < n_r; r++)
        BZ_NEON_UNROLL for (size_t i = 0; i < 4; i++)
        {
            float *at = o + r * o_stride + 4 * i;
            vst1q_f32(at, vfmaq_n_f32(vmulq_n_f32(acc[r][i], b[r]), vld1q_f32(at), a[r]));
        }
}

void bz_neon_key_mix(float *o, size_t o_stride, const float *p, size_t n_rows, const float *v, size_t v_stride, size_t D16,
                     const uint8_t *begin, const uint8_t *end, const float *a, const float *b)
{
    for (size_t i = 0; i < D16; i += 16) {
        size_t r = 0;
        for (; r + 4 <= n_rows; r += 4)
            attend_neon_mix(o + r * o_stride + i, o_stride, p + r * BZ_KEY_BLOCK, 4, v + i, v_stride, begin[r], end[r + 3], a + r,
                            b + r);
        for (; r < n_rows; r++)
            attend_neon_mix(o + r * o_stride + i, o_stride, p + r * BZ_KEY_BLOCK, 1, v + i, v_stride, begin[r], end[r], a + r,
                            b + r);
    }
}

void bz_neon_key_join(float *into, const float *part, size_t stride, size_t n_rows, size_t D16)
{
    for (size_t r = 0; r < n_rows; r++, into += stride, part += stride) {
        float m[4] = {into[0]}, l[4] = {into[1]}, a[4], b[4];
        const float mb[4] = {part[0]}, lb[4] = {part[1]};
        attend_neon_take(m, l, a, b, mb, lb);
        into[0] = m[0];
        into[1] = l[0];
        for (size_t i = BZ_KEY_PART_HEAD; i < BZ_KEY_PART_HEAD + D16; i += 4)
            vst1q_f32(into + i, vfmaq_n_f32(vmulq_n_f32(vld1q_f32(part + i), b[0]), vld1q_f32(into + i), a[0]));
    }
}
