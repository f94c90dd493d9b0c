/* SPDX-License-Identifier: MIT */
/* What the files of the AVX-512 level share. Call only where bz_cpu_can(BEZEL_ISA_AVX512). */
#ifndef BZ_KERNEL_AVX512_H
#define BZ_KERNEL_AVX512_H

#include "compute/activation.h"
#include "compute/screen.h"

#include <stddef.h>
#include <stdint.h>

void bz_avx512_rms_norm(float *out, const float *x, const float *w, size_t n, float eps);
void bz_avx512_geglu(float *out, const float *gate, const float *up, size_t n);
void bz_avx512_add(float *x, const float *y, size_t n);
void bz_avx512_rope(float *x, const float *cos_table, const float *sin_table, size_t D);
void bz_avx512_attention(float *out, const float *q, const void *k, const void *v, uint32_t kv_dtype, size_t D,
                         size_t stride, size_t start, size_t ring, size_t n, float scale, float *scores);
void bz_avx512_f32_to_f16(uint16_t *out, const float *x, size_t n);

void bz_avx512_screen(float *high, const uint8_t *blocks, size_t n_blocks, const bz_screen_query *q);

#endif
