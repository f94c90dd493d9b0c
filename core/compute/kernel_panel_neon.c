/* SPDX-License-Identifier: MIT */
/* NEON level: eight rows of weights unpacked to a panel (see kernel_panel_neon.h). */
#include "compute/kernel_panel_neon.h"

#include "compute/kernel_neon.h"
#include "compute/quant.h"

#include <arm_neon.h>
#include <string.h>

typedef struct panel_neon_rows { /* eight rows unpacked */
    _Alignas(64) int8_t w[BZ_NEON_ROWS][BZ_NEON_CHUNK];
    _Alignas(64) float d[BZ_NEON_ROWS][BZ_NEON_CHUNK / 16], m[BZ_NEON_ROWS][BZ_NEON_CHUNK / 16];
} panel_neon_rows;

static void panel_neon_unpack(panel_neon_rows *u, bz_neon_panel *panel, const char *w, size_t row_size, uint32_t dtype, size_t g)
{
    const size_t parts = panel->n_groups * (BZ_QUANT_GROUP / bz_quant_part(dtype));
    const int has_min = bz_quant_has_min(dtype);
    for (size_t r = 0; r < BZ_NEON_ROWS; r++) {
        if (r < panel->rows) {
            bz_neon_unpack(u->w[r], u->d[r], u->m[r], w + r * row_size, dtype, g, panel->n_groups);
        } else {
            memset(u->w[r], 0, panel->n_groups * BZ_QUANT_GROUP);
            memset(u->d[r], 0, parts * sizeof u->d[r][0]);
            memset(u->m[r], 0, parts * sizeof u->m[r][0]);
        }
        for (size_t p = 0; p < parts; p++) {
            panel->d[p][r] = u->d[r][p];
            if (has_min)
                panel->m[p][r] = u->m[r][p];
        }
    }
}

/* Eight bytes of eight rows, transposed and widened. */
BZ_NEON_INLINE void panel_neon_transpose(int16_t (*out)[BZ_NEON_ROWS], const panel_neon_rows *u, size_t k)
{
    int8x8_t a[8], b[8];
    BZ_NEON_UNROLL for (int r = 0; r < 8; r++) a[r] = vld1_s8(u->w[r] + k);
    BZ_NEON_UNROLL for (int r = 0; r < 8; r += 2)
    {
        b[r] = vtrn1_s8(a[r], a[r + 1]);
        b[r + 1] = vtrn2_s8(a[r], a[r + 1]);
    }
    BZ_NEON_UNROLL for (int i = 0; i < 4; i++)
    {
        const int r = i / 2 * 4 + i % 2;
        const int16x4_t low = vreinterpret_s16_s8(b[r]), high = vreinterpret_s16_s8(b[r + 2]);
        a[r] = vreinterpret_s8_s16(vtrn1_s16(low, high));
        a[r + 2] = vreinterpret_s8_s16(vtrn2_s16(low, high));
    }
    BZ_NEON_UNROLL for (int i = 0; i < 4; i++)
    {
        const int32x2_t low = vreinterpret_s32_s8(a[i]), high = vreinterpret_s32_s8(a[i + 4]);
        vst1q_s16(out[i], vmovl_s8(vreinterpret_s8_s32(vtrn1_s32(low, high))));
        vst1q_s16(out[i + 4], vmovl_s8(vreinterpret_s8_s32(vtrn2_s32(low, high))));
    }
}

void bz_neon_panel_fill(bz_neon_panel *panel, const char *w, size_t row_size, uint32_t dtype, size_t g)
{
    panel_neon_rows u;
    panel_neon_unpack(&u, panel, w, row_size, dtype, g);
    for (size_t k = 0; k < panel->n_groups * BZ_QUANT_GROUP; k += 8)
        panel_neon_transpose(panel->w + k, &u, k);
}

/* Four quads of four rows from r on. */
BZ_NEON_INLINE void panel_neon_interleave(bz_neon_panel *panel, const panel_neon_rows *u, size_t k, size_t r)
{
    int32x4_t a[4];
    int64x2_t b[4];
    BZ_NEON_UNROLL for (size_t i = 0; i < 4; i++) a[i] = vreinterpretq_s32_s8(vld1q_s8(u->w[r + i] + k));
    BZ_NEON_UNROLL for (size_t i = 0; i < 4; i += 2)
    {
        b[i] = vreinterpretq_s64_s32(vtrn1q_s32(a[i], a[i + 1])); /* quads 0 and 2 of two rows */
        b[i + 1] = vreinterpretq_s64_s32(vtrn2q_s32(a[i], a[i + 1]));
    }
    BZ_NEON_UNROLL for (size_t i = 0; i < 2; i++)
    {
        vst1q_s8(panel->quads[k / 4 + i][r], vreinterpretq_s8_s64(vtrn1q_s64(b[i], b[i + 2])));
        vst1q_s8(panel->quads[k / 4 + i + 2][r], vreinterpretq_s8_s64(vtrn2q_s64(b[i], b[i + 2])));
    }
}

static void panel_neon_sums(bz_neon_panel *panel, const panel_neon_rows *u, size_t part)
{
    for (size_t r = 0; r < BZ_NEON_ROWS; r++)
        for (size_t p = 0; p < panel->n_groups * BZ_QUANT_GROUP / part; p++) {
            int32_t sum = vaddlvq_s8(vld1q_s8(u->w[r] + p * part));
            if (part > 16)
                sum += vaddlvq_s8(vld1q_s8(u->w[r] + p * part + 16));
            panel->sum[p][r] = 128 * sum;
        }
}

void bz_neon_panel_fill_quads(bz_neon_panel *panel, const char *w, size_t row_size, uint32_t dtype, size_t g)
{
    panel_neon_rows u;
    panel_neon_unpack(&u, panel, w, row_size, dtype, g);
    for (size_t k = 0; k < panel->n_groups * BZ_QUANT_GROUP; k += 16)
        for (size_t r = 0; r < BZ_NEON_ROWS; r += 4)
            panel_neon_interleave(panel, &u, k, r);
    panel_neon_sums(panel, &u, bz_quant_part(dtype));
}
