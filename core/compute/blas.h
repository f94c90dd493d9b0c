/* SPDX-License-Identifier: MIT */
/* OpenBLAS for prompt passes over unquantised weights. Single-threaded calls, driven from our own pool. */
#ifndef BZ_BLAS_H
#define BZ_BLAS_H

#include <stddef.h>

/* Once at the start of an engine: multiplies two small matrices with ragged edges and compares with a plain loop. 1 when
 * the result is right, 0 when this library must not be used; a build set to several threads of its own must not, either. */
int bz_blas_check(void);
/* "OpenBLAS 0.3.21 ... SkylakeX", for people; Static text. */
const char *bz_blas_name(void);
/* y[t*y_stride + n] = sum over k of w[n*w_stride + k] * x[t*x_stride + k] for n < N, t < T; `add` adds to what y holds.
 *   Thread   any; calls wait for each other, also those of other engines */
void bz_blas_multiply(float *y, size_t y_stride, const float *w, size_t w_stride, size_t N, const float *x, size_t x_stride,
                      size_t T, size_t K, int add);

#endif
