/* SPDX-License-Identifier: MIT */
/* NEON level with dot products of bytes: several positions (the frame and its invariant: kernel_gemm_neon.h). An activation
 * is q = 256 high + low + 128 with both bytes signed, so a sum of products is 256 H + L + 128 W: two dot products, and W is
 * the weights' own sum, taken once a panel. All of it is exact: |256 H| is at most 2^27.
 * Does not: know threads, or one position of the common types (kernel_decode_dotprod). */
#include "compute/kernel_gemm_neon.h"

static void gemm_neon_fill(bz_neon_panel *panel, const char *w, size_t row_size, uint32_t dtype, size_t g)
{
    bz_neon_panel_fill_quads(panel, w, row_size, dtype, g);
}

/* Quad `lane` of 16 bytes of each position with that quad of eight rows: the lane must be written as a number. */
#define GEMM_DOTPROD_QUAD(k, lane)                                                                        \
    do {                                                                                                  \
        const int8x16_t a = vld1q_s8(panel->quads[(k) / 4 + (lane)][0]);                                  \
        const int8x16_t b = vld1q_s8(panel->quads[(k) / 4 + (lane)][4]);                                  \
        BZ_NEON_UNROLL for (int t = 0; t < positions; t++)                                                \
        {                                                                                                 \
            sum[t][0] = vdotq_laneq_s32(sum[t][0], a, x[t], lane);                                        \
            sum[t][1] = vdotq_laneq_s32(sum[t][1], b, x[t], lane);                                        \
        }                                                                                                 \
    } while (0)

/* Adds part p with the bytes that lie `from` behind q. */
BZ_NEON_INLINE void gemm_dotprod_add(int32x4_t sum[GEMM_NEON_POSITIONS][2], const bz_neon_panel *panel, const gemm_neon_place *at,
                                     size_t from, size_t p, const size_t part, const int positions)
{
    BZ_NEON_UNROLL for (size_t i = 0; i < part; i += 16)
    {
        const size_t k = p * part + i;
        int8x16_t x[GEMM_NEON_POSITIONS];
        BZ_NEON_UNROLL for (int t = 0; t < positions; t++)
            x[t] = vld1q_s8((const int8_t *)(at->x + (size_t)t * at->x_stride + from + k));
        GEMM_DOTPROD_QUAD(k, 0);
        GEMM_DOTPROD_QUAD(k, 1);
        GEMM_DOTPROD_QUAD(k, 2);
        GEMM_DOTPROD_QUAD(k, 3);
    }
}

BZ_NEON_INLINE void gemm_neon_sums(int32x4_t sum[GEMM_NEON_POSITIONS][2], const bz_neon_panel *panel, const gemm_neon_place *at,
                                   size_t p, const size_t part, const int positions)
{
    BZ_NEON_UNROLL for (int t = 0; t < positions; t++) sum[t][0] = sum[t][1] = vdupq_n_s32(0);
    gemm_dotprod_add(sum, panel, at, at->at_high, p, part, positions);
    BZ_NEON_UNROLL for (int t = 0; t < positions; t++)
        BZ_NEON_UNROLL for (size_t h = 0; h < 2; h++) sum[t][h] =
            vaddq_s32(vshlq_n_s32(sum[t][h], 8), vld1q_s32(panel->sum[p] + 4 * h));
    gemm_dotprod_add(sum, panel, at, at->at_low, p, part, positions);
}

int bz_dotprod_matmul_q8(float *y, size_t y_stride, const void *w, uint32_t dtype, size_t n_begin, size_t n_end, const void *x,
                         size_t x_stride, size_t T, size_t K)
{
    if (!bz_quant_has_groups(dtype))
        return 0;
    if (T != 1 || !bz_dotprod_decode(y, w, dtype, n_begin, n_end, x, K))
        gemm_neon_matmul(y, y_stride, w, dtype, n_begin, n_end, x, x_stride, T, K);
    return 1;
}

size_t bz_dotprod_row_size(size_t K)
{
    return (bz_activation_row_size(K) + 2 * K + 63) & ~(size_t)63;
}

void bz_dotprod_split(void *row, size_t K)
{
    const int8_t *q = row;
    int8_t *low = (int8_t *)row + bz_activation_row_size(K), *high = low + K;
    for (size_t k = 0; k < K; k += 16) {
        const int8x16_t a = vld1q_s8(q + 2 * k), b = vld1q_s8(q + 2 * k + 16);
        vst1q_s8(low + k, veorq_s8(vuzp1q_s8(a, b), vdupq_n_s8(-128)));
        vst1q_s8(high + k, vuzp2q_s8(a, b));
    }
}
