/* SPDX-License-Identifier: MIT */
/* NEON level without dot products: the scan of the coarse output matrix (the frame and its invariant: kernel_screen_neon.h).
 * The eight products of a lane that are added in 16 bits are at most 15 * 127 each, 15,240 together. */
#include "compute/kernel_screen_neon.h"

BZ_NEON_INLINE int32x4_t screen_neon_four(const int32x4_t row[4])
{
    return vpaddq_s32(vpaddq_s32(row[0], row[1]), vpaddq_s32(row[2], row[3]));
}

BZ_NEON_INLINE void screen_neon_heavy(int32x4_t out[4], const uint8_t *p, const int16_t *x)
{
    int32x4_t row[16];
    BZ_NEON_UNROLL for (size_t r = 0; r < 16; r++) row[r] = vdupq_n_s32(0);
    for (size_t i = 0; i < BZ_SCREEN_HEAVY / 4; i++, p += 64) {
        const int16x4_t four = vld1_s16(x + 4 * i);
        BZ_NEON_UNROLL for (size_t r = 0; r < 16; r += 2)
        {
            const int16x8_t w = vmovl_s8(vreinterpret_s8_u8(vld1_u8(p + 4 * r)));
            row[r] = vmlal_s16(row[r], vget_low_s16(w), four);
            row[r + 1] = vmlal_s16(row[r + 1], vget_high_s16(w), four);
        }
    }
    BZ_NEON_UNROLL for (size_t i = 0; i < 4; i++) out[i] = screen_neon_four(row + 4 * i);
}

BZ_NEON_INLINE int8x16_t screen_neon_quad(const int8_t *x)
{
    return vreinterpretq_s8_s32(vld1q_dup_s32((const int32_t *)(const void *)x));
}

BZ_NEON_INLINE void screen_neon_group(int32x4_t out[4], const uint8_t *p, const int8_t *x)
{
    BZ_NEON_UNROLL for (size_t i = 0; i < 4; i++)
    {
        int16x8_t sum[2] = {vdupq_n_s16(0), vdupq_n_s16(0)}; /* two rows each, four sums a row */
        BZ_NEON_UNROLL for (size_t v = 0; v < 4; v++)
        {
            const uint8x16_t w = vld1q_u8(p + 64 * v + 16 * i);
            const int8x16_t low = vreinterpretq_s8_u8(vandq_u8(w, vdupq_n_u8(15))), high = vreinterpretq_s8_u8(vshrq_n_u8(w, 4));
            const int8x16_t a = screen_neon_quad(x + 8 * v), b = screen_neon_quad(x + 8 * v + 4);
            sum[0] = vmlal_s8(vmlal_s8(sum[0], vget_low_s8(low), vget_low_s8(a)), vget_low_s8(high), vget_low_s8(b));
            sum[1] = vmlal_high_s8(vmlal_high_s8(sum[1], low, a), high, b);
        }
        out[i] = vpaddq_s32(vpaddlq_s16(sum[0]), vpaddlq_s16(sum[1]));
    }
}

void bz_neon_screen(float *high, const uint8_t *blocks, size_t n_blocks, const bz_screen_query *q)
{
    screen_neon_scan(high, blocks, n_blocks, q);
}
