/* SPDX-License-Identifier: MIT */
/* What the files of the AVX2 level share; the unpacker serves AVX-512 as well. Call only where bz_cpu_can(BEZEL_ISA_AVX2). */
#ifndef BZ_KERNEL_AVX2_H
#define BZ_KERNEL_AVX2_H

#include "compute/screen.h"

#include <stddef.h>
#include <stdint.h>

/* bz_quant_unpack with the same bits. Asks for the cache lines that follow in memory. */
void bz_avx2_unpack(int8_t *w, float *d, float *m, const void *row, uint32_t dtype, size_t group, size_t n);
/* As the table of kernels says. */
int bz_avx2_matmul_q8(float *y, size_t y_stride, const void *w, uint32_t dtype, size_t n_begin, size_t n_end, const void *x,
                      size_t x_stride, size_t T, size_t K);
/* The same for processors with AVX-VNNI. */
int bz_avx2_matmul_q8_vnni(float *y, size_t y_stride, const void *w, uint32_t dtype, size_t n_begin, size_t n_end,
                           const void *x, size_t x_stride, size_t T, size_t K);
/* The same for one position. Returns 0 for a type that has no such kernel. */
int bz_avx2_decode(float *y, const void *w, uint32_t dtype, size_t n_begin, size_t n_end, const void *x, size_t K);

void bz_avx2_rms_norm(float *out, const float *x, const float *w, size_t n, float eps);
void bz_avx2_geglu(float *out, const float *gate, const float *up, size_t n);
void bz_avx2_add(float *x, const float *y, size_t n);
void bz_avx2_rope(float *x, const float *cos_table, const float *sin_table, size_t D);
void bz_avx2_attention(float *out, const float *q, const void *k, const void *v, uint32_t kv_dtype, size_t D, size_t stride,
                       size_t start, size_t ring, size_t n, float scale, float *scores);
void bz_avx2_f32_to_f16(uint16_t *out, const float *x, size_t n);

void bz_avx2_screen(float *high, const uint8_t *blocks, size_t n_blocks, const bz_screen_query *q);

#endif
