/* SPDX-License-Identifier: MIT */
/* NEON level without dot products: several positions in products of 16 bits (the frame and its invariant: kernel_gemm_neon.h).
 * Does not: know threads, or one position of the common types (kernel_decode_neon). */
#include "compute/kernel_gemm_neon.h"

static void gemm_neon_fill(bz_neon_panel *panel, const char *w, size_t row_size, uint32_t dtype, size_t g)
{
    bz_neon_panel_fill(panel, w, row_size, dtype, g);
}

/* Element k of eight rows with element `lane` of each position: the lane must be written as a number. */
#define GEMM_NEON_ELEMENT(k, lane)                                                                        \
    do {                                                                                                  \
        const int16x8_t weights = vld1q_s16(panel->w[k]);                                                 \
        BZ_NEON_UNROLL for (int t = 0; t < positions; t++)                                                \
        {                                                                                                 \
            sum[t][0] = vmlal_laneq_s16(sum[t][0], vget_low_s16(weights), x[t], lane);                    \
            sum[t][1] = vmlal_high_laneq_s16(sum[t][1], weights, x[t], lane);                             \
        }                                                                                                 \
    } while (0)

BZ_NEON_INLINE void gemm_neon_sums(int32x4_t sum[GEMM_NEON_POSITIONS][2], const bz_neon_panel *panel, const gemm_neon_place *at,
                                   size_t p, const size_t part, const int positions)
{
    BZ_NEON_UNROLL for (int t = 0; t < positions; t++) sum[t][0] = sum[t][1] = vdupq_n_s32(0);
    BZ_NEON_UNROLL for (size_t i = 0; i < part; i += 8)
    {
        const size_t k = p * part + i;
        int16x8_t x[GEMM_NEON_POSITIONS];
        BZ_NEON_UNROLL for (int t = 0; t < positions; t++)
            x[t] = vld1q_s16((const int16_t *)(const void *)(at->x + (size_t)t * at->x_stride + 2 * k));
        GEMM_NEON_ELEMENT(k, 0);
        GEMM_NEON_ELEMENT(k + 1, 1);
        GEMM_NEON_ELEMENT(k + 2, 2);
        GEMM_NEON_ELEMENT(k + 3, 3);
        GEMM_NEON_ELEMENT(k + 4, 4);
        GEMM_NEON_ELEMENT(k + 5, 5);
        GEMM_NEON_ELEMENT(k + 6, 6);
        GEMM_NEON_ELEMENT(k + 7, 7);
    }
}

int bz_neon_matmul_q8(float *y, size_t y_stride, const void *w, uint32_t dtype, size_t n_begin, size_t n_end, const void *x,
                      size_t x_stride, size_t T, size_t K)
{
    if (!bz_quant_has_groups(dtype))
        return 0;
    if (T != 1 || !bz_neon_decode(y, w, dtype, n_begin, n_end, x, K))
        gemm_neon_matmul(y, y_stride, w, dtype, n_begin, n_end, x, x_stride, T, K);
    return 1;
}
