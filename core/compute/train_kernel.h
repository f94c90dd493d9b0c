/* SPDX-License-Identifier: MIT */
/* What training needs beside bz_kernel: one table a level, all of them the plain C of kernel_train.h, so all make the same bits.
 * Numbers of bf16 lie in pairs: of two that are multiplied one after the other, the first in the low half of a uint32_t. */
#ifndef BZ_TRAIN_KERNEL_H
#define BZ_TRAIN_KERNEL_H

#include <stddef.h>
#include <stdint.h>

typedef struct bz_train_kernel {
    /* out[i] = or += (add) 0 with chance limit / 2^32, else x[i] * keep. A hash of key and place `first + i` decides. */
    void (*drop)(float *out, const float *x, size_t n, uint32_t key, uint32_t first, uint32_t limit, float keep, int add);
    /* x[i] = exp(x[i] - most); returns their sum. Relative error 3e-7; NaN stays NaN. */
    float (*exp_less)(float *x, size_t n, float most);
    /* Gradients of gelu_tanh(gate) * up. Each out may be the row of the same name. */
    void (*geglu_back)(float *d_gate, float *d_up, const float *d_hidden, const float *gate, const float *up, size_t n);
    /* dx = or += (add) gradient of x * w / sqrt(mean(x^2) + eps); dx may be dy. */
    void (*norm_back)(float *dx, const float *dy, const float *x, const float *w, size_t n, float eps, int add);
    /* Rounds to nearest even; out [n]. */
    void (*to_bf16)(uint16_t *out, const float *x, size_t n);
    /* out[i] = the pair low[i], high[i]. */
    void (*to_pairs)(uint32_t *out, const float *low, const float *high, size_t n);
    /* out[c * out_stride + r] = x[r * x_stride + c] */
    void (*turn)(uint32_t *out, size_t out_stride, const uint32_t *x, size_t x_stride, size_t rows, size_t columns);
    /* bz_kernel.product of pairs: y[t * y_stride + n] += sum over K pairs of x[t * x_stride + k] and w[k * w_stride + n], of each
     * pair the second number first, a fused step each. */
    void (*product_pairs)(float *y, size_t y_stride, const uint32_t *x, size_t x_stride, const uint32_t *w, size_t w_stride,
                          size_t T, size_t K, size_t N);
    /* The same with an instruction for it, where bz_cpu_has_bf16; NULL: the level has none. Numbers below 2^-126 count as 0. */
    void (*product_pairs_fast)(float *y, size_t y_stride, const uint32_t *x, size_t x_stride, const uint32_t *w, size_t w_stride,
                               size_t T, size_t K, size_t N);
} bz_train_kernel;

extern const bz_train_kernel bz_train_kernel_ref;
extern const bz_train_kernel bz_train_kernel_avx2;
extern const bz_train_kernel bz_train_kernel_avx512;
extern const bz_train_kernel bz_train_kernel_neon;

#endif
