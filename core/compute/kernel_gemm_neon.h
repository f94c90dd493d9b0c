/* SPDX-License-Identifier: MIT */
/* The frame of products of several positions with integer activations, for the NEON files with and without dot products:
 * eight rows of weights are unpacked once into a panel with the rows side by side, a lane each, and multiplied with tiles of
 * four positions whose elements are broadcast by the multiplication itself; integer sums need no shuffles.
 * Invariant: the bits of compute/activation.h. Lanes are rows, so no operation of one depends on another row or position.
 * The file that includes this defines, before it uses gemm_neon_matmul,
 *     gemm_neon_sums    sums of part p of the panel with the elements of `positions` positions
 *     gemm_neon_fill    one of the two of kernel_panel_neon.h */
#ifndef BZ_KERNEL_GEMM_NEON_H
#define BZ_KERNEL_GEMM_NEON_H

#include "compute/activation.h"
#include "compute/kernel_neon.h"
#include "compute/kernel_panel_neon.h"
#include "compute/quant.h"

#include <arm_neon.h>
#include <string.h>

enum { GEMM_NEON_POSITIONS = 4 };

/* Where a tile reads and writes. */
typedef struct gemm_neon_place {
    float *y;
    size_t y_stride;
    const char *x; /* rows of activations from the chunk's first group on, x_stride bytes apart */
    size_t x_stride;
    size_t at_d, at_sum, at_total; /* bytes from q to the scales, half sums and sums of the same group */
    size_t at_low, at_high;        /* and to the bytes that bz_dotprod_split made */
} gemm_neon_place;

BZ_NEON_INLINE void gemm_neon_sums(int32x4_t sum[GEMM_NEON_POSITIONS][2], const bz_neon_panel *panel, const gemm_neon_place *at,
                                   size_t p, const size_t part, const int positions);
static void gemm_neon_fill(bz_neon_panel *panel, const char *w, size_t row_size, uint32_t dtype, size_t g);

BZ_NEON_INLINE float gemm_neon_one(const char *x)
{
    float v;
    memcpy(&v, x, sizeof v);
    return v;
}

/* Sums so far of the panel's rows, 0 in other lanes. */
BZ_NEON_INLINE void gemm_neon_load(float32x4_t y[2], const float *from, const bz_neon_panel *panel)
{
    float copy[BZ_NEON_ROWS] = {0};
    if (panel->add && panel->rows < BZ_NEON_ROWS)
        from = memcpy(copy, from, panel->rows * sizeof copy[0]);
    if (!panel->add)
        from = copy;
    y[0] = vld1q_f32(from);
    y[1] = vld1q_f32(from + 4);
}

BZ_NEON_INLINE void gemm_neon_store(float *to, const float32x4_t y[2], const bz_neon_panel *panel)
{
    float copy[BZ_NEON_ROWS];
    float *whole = panel->rows < BZ_NEON_ROWS ? copy : to;
    vst1q_f32(whole, y[0]);
    vst1q_f32(whole + 4, y[1]);
    if (whole == copy)
        memcpy(to, copy, panel->rows * sizeof *to);
}

/* 8 rows against `positions` positions. */
BZ_NEON_INLINE void gemm_neon_tile(const bz_neon_panel *panel, const gemm_neon_place *at, const int positions, const size_t part,
                                   const int has_min)
{
    float32x4_t y[GEMM_NEON_POSITIONS][2];
    const size_t parts = panel->n_groups * (BZ_QUANT_GROUP / part);
    BZ_NEON_UNROLL for (int t = 0; t < positions; t++) gemm_neon_load(y[t], at->y + (size_t)t * at->y_stride, panel);
    for (size_t p = 0; p < parts; p++) {
        const size_t g = p * part / BZ_QUANT_GROUP;
        int32x4_t sum[GEMM_NEON_POSITIONS][2];
        gemm_neon_sums(sum, panel, at, p, part, positions);
        BZ_NEON_UNROLL for (int t = 0; t < positions; t++)
        {
            const char *x = at->x + (size_t)t * at->x_stride;
            const float d = gemm_neon_one(x + at->at_d + 4 * g);
            BZ_NEON_UNROLL for (int h = 0; h < 2; h++) y[t][h] =
                vfmaq_f32(y[t][h], vcvtq_f32_s32(sum[t][h]), vmulq_n_f32(vld1q_f32(panel->d[p] + 4 * h), d));
            if (has_min) {
                const float s = gemm_neon_one(x + (part == 16 ? at->at_sum + 4 * p : at->at_total + 4 * g));
                BZ_NEON_UNROLL for (int h = 0; h < 2; h++) y[t][h] =
                    vfmsq_f32(y[t][h], vld1q_f32(panel->m[p] + 4 * h), vdupq_n_f32(s));
            }
        }
    }
    BZ_NEON_UNROLL for (int t = 0; t < positions; t++) gemm_neon_store(at->y + (size_t)t * at->y_stride, y[t], panel);
}

BZ_NEON_INLINE void gemm_neon_positions(const bz_neon_panel *panel, gemm_neon_place at, size_t T, const size_t part,
                                        const int has_min)
{
    for (; T >= 4; T -= 4, at.y += 4 * at.y_stride, at.x += 4 * at.x_stride)
        gemm_neon_tile(panel, &at, 4, part, has_min);
    for (; T > 0; T--, at.y += at.y_stride, at.x += at.x_stride)
        gemm_neon_tile(panel, &at, 1, part, has_min);
}

#define GEMM_NEON_COPY(name, part, has_min)                                                   \
    static void name(const bz_neon_panel *panel, const gemm_neon_place *at, size_t T)         \
    {                                                                                         \
        gemm_neon_positions(panel, *at, T, part, has_min);                                    \
    }

GEMM_NEON_COPY(gemm_neon_plain, 32, 0)
GEMM_NEON_COPY(gemm_neon_min, 32, 1)
GEMM_NEON_COPY(gemm_neon_halves, 16, 0)
GEMM_NEON_COPY(gemm_neon_halves_min, 16, 1)

static void gemm_neon_matmul(float *y, size_t y_stride, const void *w, uint32_t dtype, size_t n_begin, size_t n_end,
                             const void *x, size_t x_stride, size_t T, size_t K)
{
    static void (*const copies[4])(const bz_neon_panel *, const gemm_neon_place *, size_t) = {
        gemm_neon_plain, gemm_neon_min, gemm_neon_halves, gemm_neon_halves_min};
    bz_neon_panel panel;
    const int kind = (bz_quant_part(dtype) == 16) * 2 + bz_quant_has_min(dtype);
    const size_t row_size = bz_quant_row_size(dtype, K), n_groups = K / BZ_QUANT_GROUP, most = BZ_NEON_CHUNK / BZ_QUANT_GROUP;
    for (size_t n = n_begin; n < n_end; n += panel.rows) {
        panel.rows = n_end - n < BZ_NEON_ROWS ? n_end - n : BZ_NEON_ROWS;
        for (size_t g = 0; g < n_groups; g += panel.n_groups) {
            panel.n_groups = n_groups - g < most ? n_groups - g : most;
            panel.add = g > 0;
            gemm_neon_fill(&panel, (const char *)w + n * row_size, row_size, dtype, g);
            const bz_activation_row a = bz_activation_row_at(x, 0, 0, K, g);
            const char *q = (const char *)a.q;
            const size_t at_low = bz_activation_row_size(K) - BZ_QUANT_GROUP * g;
            const gemm_neon_place at = {
                y + n, y_stride, q, x_stride, (size_t)((const char *)a.d - q), (size_t)((const char *)a.sum - q),
                (size_t)((const char *)a.total - q), at_low, at_low + K};
            copies[kind](&panel, &at, T);
        }
    }
}

#endif
