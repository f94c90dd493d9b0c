/* SPDX-License-Identifier: MIT */
/* Weights of a matrix in the order in which decoding uses them: sixteen rows to a panel, one a lane, so that no kernel has to
 * transpose, and a thread reads one stream. Lossless: a panel has the integers and scales of the blocks, the same bytes on every
 * level, and products with it have the bits that compute/activation.h defines.
 *
 * A panel is a run of groups of 32 elements (blocks of 256 in Q4_K, Q6_K), with R = 16 lanes of rows in everything. An element
 * is 4 s + t, s a step of four:
 *
 *     Q8_0   f16 scale [R], i8 [8 steps][R][4]
 *     Q4_0   f16 scale [R], nibbles [4][R][4]: vector v has step 2 v low and step 2 v + 1 high
 *     Q5_0   f16 scale [R], u8 fifth [R][4]: bit s of byte t is of element 4 s + t; nibbles [4][R][4]
 *     Q4_K   f16 d [R], f16 d_min [R], u8 scale [8 groups][R], u8 min [8][R]; nibbles [8][4][R][4]
 *     Q6_K   f16 d [R], i8 scale [16 parts][R]; for each part of 16 elements u8 upper [R][4]: bits 2 s, 2 s + 1 of byte t; and
 *            nibbles [2][R][4]
 *
 * Does not: keep panels (model/pack_file) or multiply (kernel_packed_...). */
#ifndef BZ_PACKED_H
#define BZ_PACKED_H

#include <stddef.h>
#include <stdint.h>

enum {
    BZ_PACKED_ROWS = 16,
    BZ_PACKED_Q8_0 = 32 + 512, /* bytes of a group or block of sixteen rows */
    BZ_PACKED_Q4_0 = 32 + 256,
    BZ_PACKED_Q5_0 = 32 + 64 + 256,
    BZ_PACKED_Q4_K = 64 + 256 + 2048,
    BZ_PACKED_Q6_K = 32 + 256 + 16 * (64 + 128)
};

/* Bytes of a panel, a multiple of 32; 0 for a type that has no such form. K as the type allows. */
size_t bz_packed_panel_size(uint32_t dtype, size_t K);
/* One panel from sixteen rows as the file has them, row_size bytes apart. */
void bz_packed_fill(uint8_t *panel, const void *rows, size_t row_size, uint32_t dtype, size_t K);

#endif
