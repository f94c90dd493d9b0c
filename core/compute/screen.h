/* SPDX-License-Identifier: MIT */
/* A coarse copy of the output matrix that proves which rows cannot have the largest product, so that greedy decoding reads
 * 400 bytes a row of 640 instead of 680 and computes only a few rows from the original.
 *
 * Row i of the matrix is w = m + r, with m the mean row: m . h is the same for all rows and ranks nothing. The copy holds
 * r in two pieces: the BZ_SCREEN_HEAVY dimensions where hidden states are largest in 8 bits with one scale, the rest in
 * 4 bits with a scale every 32; and beside each row the norms of what that left out. With c the copy of r, g the integer
 * form of h and | | the Euclidean norm,
 *
 *     w.h - m.h = r.h <= c.g + |r - c|rest |h|rest + |r - c|heavy |h|heavy + |c|rest |h - g|rest + |c|heavy |h - g|heavy
 *
 * by Cauchy-Schwarz; rounding of the floats in here and in the full product adds at most `slack` (see screen.c). A row
 * whose bound is below the exact product of any other row is out, also for a tie.
 * Does not: choose the rows (model/head_pass), keep the copy (model/head_copy). Source: perf study, 6.2. */
#ifndef BZ_SCREEN_H
#define BZ_SCREEN_H

#include <stddef.h>
#include <stdint.h>

enum {
    BZ_SCREEN_HEAVY = 64, /* dimensions kept in 8 bits; a multiple of 32 */
    BZ_SCREEN_ROWS = 16,  /* rows interleaved in a block, one a lane */
    BZ_SCREEN_CHUNK = 64  /* blocks that share one maximum */
};

/* Members filled by whoever maps or builds the copy. The same bytes on every level. */
typedef struct bz_screen {
    size_t N, K;            /* shape of the matrix */
    const uint32_t *order;  /* [K] dimensions, heavy ones first */
    const float *mean;      /* [K] m, by dimension of the matrix */
    double norm;            /* at least |w| + |m| + |c| of any row */
    double rest, heavy;     /* at least |c|rest and |c|heavy of any row */
    const uint8_t *blocks;  /* [bz_screen_blocks] records of bz_screen_block_size bytes */
} bz_screen;

/* A hidden state made ready. The arrays lie in the scratch that bz_screen_query_set was given. */
typedef struct bz_screen_query {
    size_t n_groups;      /* of 32, without the heavy dimensions */
    const int16_t *heavy; /* [BZ_SCREEN_HEAVY] */
    const int8_t *rest;   /* [n_groups * 32] */
    const float *d;       /* [n_groups] scales of `rest` */
    const int32_t *sum;   /* [n_groups] 8 * sum of the group: what the offset of the nibbles adds */
    float heavy_d;
    float a, b, e0;       /* bound = a * |r - c|rest + b * |r - c|heavy + e0 */
    double mean;          /* m . h */
} bz_screen_query;

/* 1 for a shape that a copy can be made of: K a multiple of 32, more than the heavy ones. */
int bz_screen_fits(size_t N, size_t K);
size_t bz_screen_blocks(size_t N);
size_t bz_screen_block_size(size_t K);
/* Dimensions by falling weight; equal ones by number. order [K], weight [K]. */
void bz_screen_order(uint32_t *order, const double *weight, size_t K);

/* Builds one block from rows [n, K] of finite floats, n in 1..BZ_SCREEN_ROWS; lanes without a row are zero. Raises norm,
 * rest and heavy of `screen`, whose order and mean must be set. row is scratch [K]. 0 when a value is not finite. */
int bz_screen_encode(uint8_t *out, bz_screen *screen, const float *rows, size_t n, float *row);

size_t bz_screen_scratch_size(size_t K); /* for a query; a multiple of 64 */
/* h [K] is what the full product multiplies. 0 when it is not finite or so large that floats could overflow. */
int bz_screen_query_set(bz_screen_query *q, const bz_screen *screen, const float *h, void *scratch);

/* The kernel in plain C: high [n_blocks * BZ_SCREEN_ROWS] = c.g + bound of each row. All levels make the same bits. */
void bz_screen_scan_ref(float *high, const uint8_t *blocks, size_t n_blocks, const bz_screen_query *q);

/* Places inside a block. ORDER: lanes are rows everywhere. */
enum {
    BZ_SCREEN_AT_REST = 0,     /* f32 [16] norms |r - c|rest */
    BZ_SCREEN_AT_HEAVY = 64,   /* f32 [16] norms |r - c|heavy */
    BZ_SCREEN_AT_SCALE = 128,  /* f32 [16] scales of the heavy dimensions */
    BZ_SCREEN_AT_BYTES = 192,  /* i8 [HEAVY / 4][16][4] */
    BZ_SCREEN_AT_GROUPS = 192 + BZ_SCREEN_HEAVY * BZ_SCREEN_ROWS, /* then each group: f16 [16] scales, u8 [4][16][4] */
    BZ_SCREEN_GROUP = 32 + 256 /* nibbles: vector v has dimensions 8v + t low and 8v + 4 + t high, less 8 */
};

#endif
