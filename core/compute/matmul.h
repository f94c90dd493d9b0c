/* SPDX-License-Identifier: MIT */
/* Weight times activations: chooses the kernel, spreads rows over the pool, feeds OpenBLAS for unquantised prompts. */
#ifndef BZ_MATMUL_H
#define BZ_MATMUL_H

#include "compute/engine_impl.h"

/* A weight matrix [N, K] as it lies in the file: N rows of K elements. Immutable. */
typedef struct bz_tensor {
    const void *data; /* mapped or owned by the model; alignment of the file (32) or better */
    uint32_t dtype;   /* BZ_DTYPE_... */
    uint32_t n_dims;
    size_t K;         /* elements a row (first dimension of the file) */
    size_t N;         /* rows (product of the others) */
} bz_tensor;

size_t bz_tensor_row_size(const bz_tensor *t); /* bytes */

/* Activations of T positions for one or more products: float rows, and integer rows made once on demand. */
typedef struct bz_activations {
    const float *x;   /* [T, K], rows x_stride floats apart */
    size_t x_stride, T, K;
    void *q8;         /* scratch for T * q8_row_size(K) bytes, 64-byte aligned; NULL = float path only */
    int q8_ready;     /* q8 holds x */
    const uint8_t *prompts; /* [T], 1 where a position belongs to a prompt; NULL = nowhere */
} bz_activations;

/* `prompts` becomes NULL. */
void bz_activations_set(bz_activations *a, const float *x, size_t x_stride, size_t T, size_t K, void *q8);
/* y [T, N] f32 rows y_stride apart = a times w. q8 of `a` is filled when first needed. Deterministic for any number of
 * threads and any T. Unquantised weights have two ways, which round differently: prompt positions go through OpenBLAS above
 * the scalar level, all others through our own kernels; a position's way depends on `prompts` alone. Rows [n_begin, n_end) of
 * w only. */
void bz_matmul(float *y, size_t y_stride, bezel_engine *engine, const bz_tensor *w, size_t n_begin, size_t n_end,
               bz_activations *a);
/* What the product of one position (a->T is 1) really multiplies: the floats, or the integer row times its scales. x [K]. */
void bz_matmul_input(float *x, bezel_engine *engine, const bz_tensor *w, bz_activations *a);
/* y[rows[i]] for the listed rows of w, one position: the bits that bz_matmul gives. */
void bz_matmul_rows(float *y, bezel_engine *engine, const bz_tensor *w, const int32_t *rows, size_t n_rows, bz_activations *a);
/* Several products of the same activations in one fork (q, k, v; gate, up). Few positions take w's panels where there are
 * any; the bits are the same. */
typedef struct bz_matmul_part {
    float *y;
    size_t y_stride;
    const bz_tensor *w;
    const uint8_t *panels; /* of w (compute/packed.h), 64-byte aligned; NULL = none */
} bz_matmul_part;
void bz_matmul_many(bezel_engine *engine, const bz_matmul_part *parts, size_t n_parts, bz_activations *a);

#endif
