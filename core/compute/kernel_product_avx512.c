/* SPDX-License-Identifier: MIT */
/* Products of floats for AVX-512: the vectors of kernel_product.h. */
#include <immintrin.h>

#include "compute/kernel_avx512.h"

typedef __m512 product_vector;
enum { PRODUCT_LANES = 16, PRODUCT_VECTORS = 4 };
#define product_load(p) _mm512_loadu_ps(p)
#define product_store(p, v) _mm512_storeu_ps(p, v)
#define product_step(sum, x, w) _mm512_fmadd_ps(_mm512_set1_ps(x), w, sum)

#include "compute/kernel_product.h"

void bz_avx512_product(float *y, size_t y_stride, const float *x, size_t x_row, size_t x_column, const float *w, size_t w_stride,
                     size_t T, size_t K, size_t N)
{
    product_run(y, y_stride, x, x_row, x_column, w, w_stride, T, K, N);
}
