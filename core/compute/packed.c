/* SPDX-License-Identifier: MIT */
/* Filling panels in plain C (see packed.h): the slow side, once for each model file. */
#include "compute/packed.h"

#include "compute/quant.h"

#include <string.h>

enum { PACKED_MOST = 256, R = BZ_PACKED_ROWS };

/* Elements and bytes of what a panel is a run of; 0 for other types. */
static size_t packed_block(size_t *out_size, uint32_t dtype)
{
    switch (dtype) {
    case BZ_DTYPE_Q8_0: *out_size = BZ_PACKED_Q8_0; return 32;
    case BZ_DTYPE_Q4_0: *out_size = BZ_PACKED_Q4_0; return 32;
    case BZ_DTYPE_Q5_0: *out_size = BZ_PACKED_Q5_0; return 32;
    case BZ_DTYPE_Q4_K: *out_size = BZ_PACKED_Q4_K; return 256;
    case BZ_DTYPE_Q6_K: *out_size = BZ_PACKED_Q6_K; return 256;
    default: *out_size = 0; return 0;
    }
}

size_t bz_packed_panel_size(uint32_t dtype, size_t K)
{
    size_t size;
    const size_t block = packed_block(&size, dtype);
    return block > 0 && K % block == 0 ? K / block * size : 0;
}

/* Nibbles of n steps of row r; w has elements without sign. */
static void packed_nibbles(uint8_t *out, const int8_t *w, size_t n, size_t r)
{
    for (size_t v = 0; v < n / 2; v++)
        for (size_t t = 0; t < 4; t++)
            out[(v * R + r) * 4 + t] = (uint8_t)((w[8 * v + t] & 15) | (w[8 * v + 4 + t] & 15) << 4);
}

/* `bits` bits above the nibbles, of each element of n steps. */
static void packed_upper(uint8_t *out, const int8_t *w, size_t n, size_t bits, size_t r)
{
    for (size_t t = 0; t < 4; t++) {
        unsigned byte = 0;
        for (size_t s = 0; s < n; s++)
            byte |= ((unsigned)w[4 * s + t] >> 4 & ((1U << bits) - 1)) << (bits * s);
        out[4 * r + t] = (uint8_t)byte;
    }
}

/* The block of row r that lies at p, its integers w with the sign taken off. */
static void packed_row_block(uint8_t *out, const uint8_t *p, const int8_t *w, uint32_t dtype, size_t r)
{
    if (dtype == BZ_DTYPE_Q4_K) {
        uint8_t scale[8], min[8];
        bz_quant_scales_k4(scale, min, p + 4);
        memcpy(out + 2 * r, p, 2);
        memcpy(out + 32 + 2 * r, p + 2, 2);
        for (size_t g = 0; g < 8; g++) {
            out[64 + R * g + r] = scale[g];
            out[192 + R * g + r] = min[g];
            packed_nibbles(out + 320 + 256 * g, w + 32 * g, 8, r);
        }
        return;
    }
    if (dtype == BZ_DTYPE_Q6_K) {
        memcpy(out + 2 * r, p + 208, 2);
        for (size_t part = 0; part < 16; part++) {
            uint8_t *to = out + 288 + 192 * part;
            out[32 + R * part + r] = p[192 + part];
            packed_upper(to, w + 16 * part, 4, 2, r);
            packed_nibbles(to + 64, w + 16 * part, 4, r);
        }
        return;
    }
    memcpy(out + 2 * r, p, 2);
    if (dtype == BZ_DTYPE_Q8_0) {
        for (size_t s = 0; s < 8; s++)
            memcpy(out + 32 + (s * R + r) * 4, w + 4 * s, 4);
    } else if (dtype == BZ_DTYPE_Q4_0) {
        packed_nibbles(out + 32, w, 8, r);
    } else {
        packed_upper(out + 32, w, 8, 1, r);
        packed_nibbles(out + 96, w, 8, r);
    }
}

void bz_packed_fill(uint8_t *panel, const void *rows, size_t row_size, uint32_t dtype, size_t K)
{
    size_t size;
    const size_t block = packed_block(&size, dtype), raw = bz_quant_row_size(dtype, block);
    const int offset = dtype == BZ_DTYPE_Q4_0 ? 8 : dtype == BZ_DTYPE_Q5_0 ? 16 : dtype == BZ_DTYPE_Q6_K ? 32 : 0;
    for (size_t b = 0; b < K / block; b++) {
        for (size_t r = 0; r < R; r++) {
            const uint8_t *p = (const uint8_t *)rows + r * row_size + b * raw;
            int8_t w[PACKED_MOST];
            float d[PACKED_MOST / 16], m[PACKED_MOST / 16];
            bz_quant_unpack(w, d, m, p, dtype, 0, block / BZ_QUANT_GROUP);
            for (size_t i = 0; i < block; i++)
                w[i] = (int8_t)(w[i] + offset);
            packed_row_block(panel + b * size, p, w, dtype, r);
        }
    }
}
