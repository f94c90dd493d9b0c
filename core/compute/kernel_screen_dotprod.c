/* SPDX-License-Identifier: MIT */
/* NEON level with dot products of bytes: the scan of the coarse output matrix (the frame and its invariant:
 * kernel_screen_neon.h). A heavy activation is 256 high + low + 128 with signed bytes, as in kernel_gemm_dotprod.c. */
#include "compute/kernel_screen_neon.h"

/* Quad `lane` of 16 activations with the 16 rows: the lane must be written as a number. */
#define SCREEN_DOTPROD_HEAVY(lane)                                                                        \
    BZ_NEON_UNROLL for (size_t r = 0; r < 4; r++)                                                         \
    {                                                                                                     \
        const int8x16_t w = vreinterpretq_s8_u8(vld1q_u8(p + 64 * (lane) + 16 * r));                      \
        high[r] = vdotq_laneq_s32(high[r], w, x_high, lane);                                              \
        low[r] = vdotq_laneq_s32(low[r], w, x_low, lane);                                                 \
        own[r] = vdotq_s32(own[r], w, one);                                                               \
    }

BZ_NEON_INLINE void screen_neon_heavy(int32x4_t out[4], const uint8_t *p, const int16_t *x)
{
    const int8x16_t one = vdupq_n_s8(1);
    int32x4_t high[4], low[4], own[4];
    BZ_NEON_UNROLL for (size_t r = 0; r < 4; r++) high[r] = low[r] = own[r] = vdupq_n_s32(0);
    for (size_t i = 0; i < BZ_SCREEN_HEAVY; i += 16, p += 256) {
        const int8x16_t a = vreinterpretq_s8_s16(vld1q_s16(x + i)), b = vreinterpretq_s8_s16(vld1q_s16(x + i + 8));
        const int8x16_t x_low = veorq_s8(vuzp1q_s8(a, b), vdupq_n_s8(-128)), x_high = vuzp2q_s8(a, b);
        SCREEN_DOTPROD_HEAVY(0)
        SCREEN_DOTPROD_HEAVY(1)
        SCREEN_DOTPROD_HEAVY(2)
        SCREEN_DOTPROD_HEAVY(3)
    }
    BZ_NEON_UNROLL for (size_t r = 0; r < 4; r++) out[r] =
        vaddq_s32(vaddq_s32(vshlq_n_s32(high[r], 8), low[r]), vshlq_n_s32(own[r], 7));
}

/* Dimensions 8 v + 0..7 of the rows, v being half of `lane`. */
#define SCREEN_DOTPROD_NIBBLES(v, x, lane)                                                                \
    BZ_NEON_UNROLL for (size_t r = 0; r < 4; r++)                                                         \
    {                                                                                                     \
        const uint8x16_t w = vld1q_u8(p + 64 * (v) + 16 * r);                                             \
        out[r] = vdotq_laneq_s32(out[r], vreinterpretq_s8_u8(vandq_u8(w, vdupq_n_u8(15))), x, lane);      \
        out[r] = vdotq_laneq_s32(out[r], vreinterpretq_s8_u8(vshrq_n_u8(w, 4)), x, (lane) + 1);           \
    }

BZ_NEON_INLINE void screen_neon_group(int32x4_t out[4], const uint8_t *p, const int8_t *x)
{
    const int8x16_t a = vld1q_s8(x), b = vld1q_s8(x + 16);
    BZ_NEON_UNROLL for (size_t r = 0; r < 4; r++) out[r] = vdupq_n_s32(0);
    SCREEN_DOTPROD_NIBBLES(0, a, 0)
    SCREEN_DOTPROD_NIBBLES(1, a, 2)
    SCREEN_DOTPROD_NIBBLES(2, b, 0)
    SCREEN_DOTPROD_NIBBLES(3, b, 2)
}

void bz_dotprod_screen(float *high, const uint8_t *blocks, size_t n_blocks, const bz_screen_query *q)
{
    screen_neon_scan(high, blocks, n_blocks, q);
}
