/* SPDX-License-Identifier: MIT */
/* Products of floats for AVX2: the vectors of kernel_product.h. */
#include <immintrin.h>

#include "compute/kernel_avx2.h"

typedef __m256 product_vector;
enum { PRODUCT_LANES = 8, PRODUCT_VECTORS = 2 };
#define product_load(p) _mm256_loadu_ps(p)
#define product_store(p, v) _mm256_storeu_ps(p, v)
#define product_step(sum, x, w) _mm256_fmadd_ps(_mm256_set1_ps(x), w, sum)

#include "compute/kernel_product.h"

void bz_avx2_product(float *y, size_t y_stride, const float *x, size_t x_row, size_t x_column, const float *w, size_t w_stride,
                     size_t T, size_t K, size_t N)
{
    product_run(y, y_stride, x, x_row, x_column, w, w_stride, T, K, N);
}
