/* SPDX-License-Identifier: MIT */
/* Sixteen rows of weights as 16-bit pairs with the rows side by side, a lane each: what products of several positions read
 * again and again from cache. */
#ifndef BZ_KERNEL_PANEL_AVX2_H
#define BZ_KERNEL_PANEL_AVX2_H

#include <stddef.h>
#include <stdint.h>

enum { BZ_PANEL_ROWS = 16, BZ_PANEL_CHUNK = 512, BZ_PANEL_CHUNK_BYTES = 1024 };

/* ORDER: w has pair i of all rows in 64 bytes; scales and minima have part p of all rows side by side. */
typedef struct bz_panel {
    _Alignas(64) int16_t w[BZ_PANEL_CHUNK / 2][BZ_PANEL_ROWS][2];
    _Alignas(64) float d[BZ_PANEL_CHUNK / 16][BZ_PANEL_ROWS];
    _Alignas(64) float m[BZ_PANEL_CHUNK / 16][BZ_PANEL_ROWS];
    size_t n_groups;
    int add; /* not the first chunk of the rows: goes on from y */
} bz_panel;

/* The same memory with the weights as bytes, four of a row side by side: w8[group][quad][row][byte]. */
typedef int8_t bz_panel_bytes[BZ_PANEL_CHUNK_BYTES / 32][8][BZ_PANEL_ROWS][4];

/* Rows from w on, `rows` of them, groups [g, g + panel->n_groups); lanes without a row are zero. */
void bz_avx2_panel_fill(bz_panel *panel, const char *w, size_t row_size, uint32_t dtype, size_t rows, size_t g);
/* The same as bz_panel_bytes, up to BZ_PANEL_CHUNK_BYTES; only types with one scale a group. */
void bz_avx2_panel_fill_bytes(bz_panel *panel, const char *w, size_t row_size, uint32_t dtype, size_t rows, size_t g);

#endif
