/* SPDX-License-Identifier: MIT */
/* Attention by blocks of keys: what the kernels of all levels compute, bit for bit, and the loop around them.
 *
 * Blocks are [64 b, 64 b + 64) of absolute positions, so that a result depends on its position alone: not on the chunk it
 * is computed in, the thread, the ring place of a key, or the rows beside it. For query q of position p and the keys
 * first..p that it sees, first = p - window + 1 or 0, each block b in ascending order gives
 *     s[j] = scale * dot(q, k[j])        16 lanes: lane i takes elements i, i + 16, .. in order, by fma from 0; then a tree,
 *                                        lane i + (i + 8), + (i + 4), + (i + 2), + (i + 1)
 *     mb = largest s[j], c = mb, but 0 where mb is -inf; p[j] = e(s[j] - c), 0 for a key that is not seen
 *     lb = sum of p[j]                   16 lanes of j and the same tree
 *     ob[d] = sum of p[j] * v[j][d]      by fma from 0, in order of j
 * and is joined to what came before (m = -inf, l = 0, o = 0 at first):
 *     M = larger of m and mb, c = M, but 0 where M is -inf; a = e(m - c), b = e(mb - c)
 *     l = fma(l, a, lb * b); o[d] = fma(o[d], a, ob[d] * b); m = M
 * The result is o[d] * (1 / l), 0 where l is 0. NaN in a seen key gives NaN. e is bz_key_exp.
 *
 * Keys and values become floats once a block and serve all query heads of their KV head and many positions. Values of
 * not seen keys meet p = 0, so rows must be finite where several positions share them. Thread: every function may run at
 * once with another scratch. */
#ifndef BZ_KEY_BLOCK_H
#define BZ_KEY_BLOCK_H

#include <stddef.h>
#include <stdint.h>

#define BZ_KEY_BLOCK 64 /* keys */
#define BZ_KEY_QUERIES 64 /* most query rows (positions times heads) at a time */
#define BZ_KEY_PART_HEAD 16 /* floats before o in a part: m, l, unused */

struct bz_kernel;

/* Keys and values of one KV head: rows of D elements, row of position p at place p % ring. */
typedef struct bz_key_rows {
    const uint8_t *k, *v; /* place 0 */
    size_t row_size;      /* bytes */
    size_t ring, D;
    uint32_t dtype; /* BZ_DTYPE_F32, F16 or I8 (float scale, then D signed bytes) */
    const uint8_t *base_k, *base_v; /* rows of positions [base_first, base_n), which lie here instead */
    size_t base_first, base_n;      /* base_n 0: none do */
} bz_key_rows;

/* Queries of the heads that share a KV head. */
typedef struct bz_key_queries {
    const float *q;         /* head h of position t at q + t * stride + h * D */
    float *out;             /* likewise; may be q */
    size_t stride;          /* floats */
    size_t heads;           /* heads * positions <= BZ_KEY_QUERIES */
    size_t position, positions; /* the first, their number */
    size_t window;          /* 0 = all keys */
    float scale;
} bz_key_queries;

/* Running maximum and sum of up to BZ_KEY_QUERIES rows, and the factors of the last join. Lengths are multiples of 16. */
typedef struct bz_key_state {
    float m[BZ_KEY_QUERIES], l[BZ_KEY_QUERIES], a[BZ_KEY_QUERIES], b[BZ_KEY_QUERIES];
} bz_key_state;

/* exp(x) for x <= 0 within 1.1 units in the last place; 0 below -87, NaN for NaN. The same polynomial on all levels. */
float bz_key_exp(float x);

/* x [D] to a row of BZ_DTYPE_I8: scale = largest |x| / 127, bytes x / scale to nearest even. NaN or infinity in x makes
 * every element of the row NaN. */
void bz_key_row_int8(void *row, const float *x, size_t D);

/* Bytes of one thread's scratch, a multiple of 64. */
size_t bz_key_scratch_size(size_t D);
/* out = attention of all the rows of q over all keys that they see. scratch is 64-byte aligned. */
void bz_key_attend(const struct bz_kernel *kernel, const bz_key_queries *q, const bz_key_rows *keys, void *scratch);

/* --- One position, cut by keys: the parts may be computed by several threads -------------------------------- */

/* Floats of one row (head) of a part: BZ_KEY_PART_HEAD + D, rounded up to 16. */
size_t bz_key_part_stride(size_t D);
/* part [heads, part_stride] = block b alone, for q->positions = 1. */
void bz_key_part(float *part, const struct bz_kernel *kernel, const bz_key_queries *q, const bz_key_rows *keys, size_t b,
                 void *scratch);
/* Makes a part of `heads` rows with no keys in it. */
void bz_key_part_clear(float *part, size_t heads, size_t D);
/* into = into and the next block. */
void bz_key_part_join(float *into, const float *part, const struct bz_kernel *kernel, size_t heads, size_t D);
/* out of q = the result. */
void bz_key_part_finish(const float *part, const bz_key_queries *q, size_t D);

/* First key that a position sees. */
size_t bz_key_first(size_t position, size_t window);

#endif
