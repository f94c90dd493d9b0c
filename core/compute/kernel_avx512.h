/* SPDX-License-Identifier: MIT */
/* What the files of the AVX-512 level share. Call only where bz_cpu_can(BEZEL_ISA_AVX512). */
#ifndef BZ_KERNEL_AVX512_H
#define BZ_KERNEL_AVX512_H

#include "compute/activation.h"
#include "compute/key_block.h"
#include "compute/screen.h"

#include <stddef.h>
#include <stdint.h>

/* One position, a range of rows. Returns 0 for a type that has no such kernel. */
int bz_avx512_decode(float *y, const void *w, uint32_t dtype, size_t n_begin, size_t n_end, const void *x, size_t K);
/* As the table of kernels says. */
int bz_avx512_matmul_q8(float *y, size_t y_stride, const void *w, uint32_t dtype, size_t n_begin, size_t n_end, const void *x,
                        size_t x_stride, size_t T, size_t K);
/* From panels, likewise. */
int bz_avx512_matmul_packed(float *y, size_t y_stride, const uint8_t *panels, uint32_t dtype, size_t n_begin, size_t n_end,
                            const void *x, size_t x_stride, size_t T, size_t K);
/* matmul_q8 for processors with AMX, after bz_cpu_can(BEZEL_ISA_AMX) said so. */
int bz_avx512_matmul_q8_amx(float *y, size_t y_stride, const void *w, uint32_t dtype, size_t n_begin, size_t n_end, const void *x,
                            size_t x_stride, size_t T, size_t K);

/* Rows of activations for it: room for the bytes of q behind them; the bytes of a row that is quantised. */
size_t bz_amx_row_size(size_t K);
void bz_amx_split(void *row, size_t K);

void bz_avx512_product(float *y, size_t y_stride, const float *x, size_t x_row, size_t x_column, const float *w, size_t w_stride,
                     size_t T, size_t K, size_t N);
/* Where bz_cpu_has_bf16; see train_kernel.h. */
void bz_avx512_product_pairs(float *y, size_t y_stride, const uint32_t *x, size_t x_stride, const uint32_t *w, size_t w_stride,
                             size_t T, size_t K, size_t N);
void bz_avx512_rms_norm(float *out, const float *x, const float *w, size_t n, float eps);
void bz_avx512_geglu(float *out, const float *gate, const float *up, size_t n);
void bz_avx512_add(float *x, const float *y, size_t n);
void bz_avx512_rope(float *x, const float *cos_table, const float *sin_table, size_t D);
void bz_avx512_key_expand(float *out, size_t stride, const void *rows, size_t row_size, uint32_t dtype, size_t D, size_t n);
void bz_avx512_key_scores(float *s, const float *q, size_t q_stride, size_t n_rows, const float *k, size_t k_stride,
                        size_t D16, const uint8_t *begin, const uint8_t *end, float scale);
void bz_avx512_key_softmax(float *s, bz_key_state *state, size_t r, size_t n_rows, const uint8_t *begin, const uint8_t *end);
void bz_avx512_key_mix(float *o, size_t o_stride, const float *p, size_t n_rows, const float *v, size_t v_stride, size_t D16,
                     const uint8_t *begin, const uint8_t *end, const float *a, const float *b);
void bz_avx512_key_join(float *into, const float *part, size_t stride, size_t n_rows, size_t D16);
void bz_avx512_f32_to_f16(uint16_t *out, const float *x, size_t n);

void bz_avx512_screen(float *high, const uint8_t *blocks, size_t n_blocks, const bz_screen_query *q);

#endif
