/* SPDX-License-Identifier: MIT */
/* OpenBLAS for prompt passes over unquantised weights. Single-threaded calls, driven from our own pool.
 * Every call has one shape, 8 positions by 48 rows, because a sum's rounding depends on the shape of the call and on the
 * place in it: measured with 0.3.21, whose Haswell and Zen kernels round the places of other shapes (16 by 64, 48 by 64 ...)
 * differently. Where a place differs in this shape too, the check at start finds it and the library is not used. */
#ifndef BZ_BLAS_H
#define BZ_BLAS_H

#include <stddef.h>

enum {
    BZ_BLAS_T = 8,  /* positions of a block */
    BZ_BLAS_N = 48, /* rows of a block */
    BZ_BLAS_BLOCK = BZ_BLAS_T * BZ_BLAS_N
};

/* Once at the start of an engine: 1 when products are right and a value has the same bits at every place of a block, 0 when
 * this library must not be used; a build set to several threads of its own must not, either. */
int bz_blas_check(void);
/* "OpenBLAS 0.3.21 ... SkylakeX", for people; Static text. */
const char *bz_blas_name(void);
/* Blocks of 8 positions times the same 48 rows: y[b][n][t] = sum over k of w[n*w_stride + k] * x[(8*b + t)*x_stride + k];
 * `add` adds to what y holds.
 *   Shapes   y [n_blocks, BZ_BLAS_N, BZ_BLAS_T]
 *   Thread   any; calls wait for each other, also those of other engines */
void bz_blas_multiply(float *y, const float *w, size_t w_stride, const float *x, size_t x_stride, size_t n_blocks, size_t K,
                      int add);

#endif
