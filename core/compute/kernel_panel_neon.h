/* SPDX-License-Identifier: MIT */
/* Eight rows of weights with the rows side by side, a lane each: what products of several positions read again and again
 * from cache. */
#ifndef BZ_KERNEL_PANEL_NEON_H
#define BZ_KERNEL_PANEL_NEON_H

#include <stddef.h>
#include <stdint.h>

enum { BZ_NEON_ROWS = 8, BZ_NEON_CHUNK = 512 };

/* ORDER: element k of all rows is side by side; scales, minima and sums have part p of all rows side by side. */
typedef struct bz_neon_panel {
    union {
        _Alignas(64) int16_t w[BZ_NEON_CHUNK][BZ_NEON_ROWS];
        _Alignas(64) int8_t quads[BZ_NEON_CHUNK / 4][BZ_NEON_ROWS][4]; /* as bytes, four of a row side by side */
    };
    _Alignas(64) float d[BZ_NEON_CHUNK / 16][BZ_NEON_ROWS];
    _Alignas(64) float m[BZ_NEON_CHUNK / 16][BZ_NEON_ROWS];
    _Alignas(64) int32_t sum[BZ_NEON_CHUNK / 16][BZ_NEON_ROWS]; /* quads only: 128 times the sum of a part's weights */
    size_t n_groups, rows;
    int add; /* not the first chunk of the rows: goes on from y */
} bz_neon_panel;

/* panel->rows rows from w on, groups [g, g + panel->n_groups); lanes without a row are zero. */
void bz_neon_panel_fill(bz_neon_panel *panel, const char *w, size_t row_size, uint32_t dtype, size_t g);
void bz_neon_panel_fill_quads(bz_neon_panel *panel, const char *w, size_t row_size, uint32_t dtype, size_t g);

#endif
