/* SPDX-License-Identifier: MIT */
/* Products of floats for NEON: the vectors of kernel_product.h. */
#include <arm_neon.h>

#include "compute/kernel_neon.h"

typedef float32x4_t product_vector;
enum { PRODUCT_LANES = 4, PRODUCT_VECTORS = 4 };
#define product_load(p) vld1q_f32(p)
#define product_store(p, v) vst1q_f32(p, v)
#define product_step(sum, x, w) vfmaq_n_f32(sum, w, x)

#include "compute/kernel_product.h"

void bz_neon_product(float *y, size_t y_stride, const float *x, size_t x_row, size_t x_column, const float *w, size_t w_stride,
                     size_t T, size_t K, size_t N)
{
    product_run(y, y_stride, x, x_row, x_column, w, w_stride, T, K, N);
}
