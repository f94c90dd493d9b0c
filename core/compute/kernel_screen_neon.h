/* SPDX-License-Identifier: MIT */
/* The frame of the scan of the coarse output matrix (compute/screen.h), for the NEON files with and without dot products.
 * Invariant: integer sums are exact and the floats follow in the order of bz_screen_scan_ref: the same bits. The file that
 * includes this defines, before it uses screen_neon_scan,
 *     screen_neon_heavy    sums of the heavy dimensions
 *     screen_neon_group    sums of the nibbles of a group with 32 activations, offset and all */
#ifndef BZ_KERNEL_SCREEN_NEON_H
#define BZ_KERNEL_SCREEN_NEON_H

#include "compute/kernel_neon.h"
#include "compute/screen.h"

#include <arm_neon.h>

enum { SCREEN_NEON_AHEAD = 4096 }; /* bytes asked for ahead */

/* Four rows a vector. */
BZ_NEON_INLINE void screen_neon_heavy(int32x4_t out[4], const uint8_t *p, const int16_t *x);
BZ_NEON_INLINE void screen_neon_group(int32x4_t out[4], const uint8_t *p, const int8_t *x);

BZ_NEON_INLINE float32x4_t screen_neon_floats(const uint8_t *p)
{
    return vreinterpretq_f32_u8(vld1q_u8(p));
}

static void screen_neon_scan(float *high, const uint8_t *blocks, size_t n_blocks, const bz_screen_query *q)
{
    const size_t size = BZ_SCREEN_AT_GROUPS + q->n_groups * BZ_SCREEN_GROUP;
    for (size_t b = 0; b < n_blocks; b++) {
        const uint8_t *block = blocks + b * size, *p = block + BZ_SCREEN_AT_GROUPS;
        int32x4_t sum[4];
        float32x4_t v[4];
        screen_neon_heavy(sum, block + BZ_SCREEN_AT_BYTES, q->heavy);
        BZ_NEON_UNROLL for (size_t i = 0; i < 4; i++) v[i] =
            vmulq_f32(vcvtq_f32_s32(sum[i]), vmulq_n_f32(screen_neon_floats(block + BZ_SCREEN_AT_SCALE + 16 * i), q->heavy_d));
        for (size_t g = 0; g < q->n_groups; g++, p += BZ_SCREEN_GROUP) {
            for (size_t line = 0; line < BZ_SCREEN_GROUP; line += 64)
                __builtin_prefetch(p + SCREEN_NEON_AHEAD + line);
            screen_neon_group(sum, p + 32, q->rest + 32 * g);
            BZ_NEON_UNROLL for (size_t i = 0; i < 4; i++)
            {
                const float32x4_t d = vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(p + 8 * i)));
                const int32x4_t total = vsubq_s32(sum[i], vdupq_n_s32(q->sum[g]));
                v[i] = vfmaq_f32(v[i], vcvtq_f32_s32(total), vmulq_n_f32(d, q->d[g]));
            }
        }
        BZ_NEON_UNROLL for (size_t i = 0; i < 4; i++)
        {
            const float32x4_t rest = screen_neon_floats(block + BZ_SCREEN_AT_REST + 16 * i);
            const float32x4_t heavy = screen_neon_floats(block + BZ_SCREEN_AT_HEAVY + 16 * i);
            v[i] = vaddq_f32(v[i], vfmaq_n_f32(vdupq_n_f32(q->e0), heavy, q->b));
            vst1q_f32(high + b * BZ_SCREEN_ROWS + 4 * i, vfmaq_n_f32(v[i], rest, q->a));
        }
    }
}

#endif
