/* SPDX-License-Identifier: MIT */
/* Products of pairs of bf16 for AVX-512 with its bf16 instructions: the frame of kernel_product.h, whose floats carry pairs here.
 * A pair moves as the bits of a float, which loads, copies and broadcasts leave alone. */
#include <immintrin.h>
#include <stdint.h>
#include <string.h>

#include "compute/kernel_avx512.h"

#define PRODUCT_TARGET __attribute__((target("avx512bf16")))

typedef __m512 product_vector;
enum { PRODUCT_LANES = 16, PRODUCT_VECTORS = 4 };
#define product_load(p) _mm512_loadu_ps(p)
#define product_store(p, v) _mm512_storeu_ps(p, v)
#define product_step(sum, x, w) _mm512_dpbf16_ps(sum, (__m512bh)_mm512_set1_ps(x), (__m512bh)(w))
#define product_one(sum, x, w) product_one_pair(sum, x, w)

/* One step of product_step's in one lane. */
static inline PRODUCT_TARGET float product_one_pair(float sum, float x, float w)
{
    return _mm_cvtss_f32(_mm_dpbf16_ps(_mm_set_ss(sum), (__m128bh)_mm_set_ss(x), (__m128bh)_mm_set_ss(w)));
}

#include "compute/kernel_product.h"

void PRODUCT_TARGET bz_avx512_product_pairs(float *y, size_t y_stride, const uint32_t *x, size_t x_stride, const uint32_t *w,
                                            size_t w_stride, size_t T, size_t K, size_t N)
{
    product_run(y, y_stride, (const float *)(const void *)x, x_stride, 1, (const float *)(const void *)w, w_stride, T, K, N);
}
