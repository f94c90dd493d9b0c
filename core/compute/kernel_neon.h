/* SPDX-License-Identifier: MIT */
/* What the files of the NEON level share. Names with dotprod are for processors with the dot products of Armv8.2: call them
 * only where bz_cpu_has_dotprod. */
#ifndef BZ_KERNEL_NEON_H
#define BZ_KERNEL_NEON_H

#include "compute/key_block.h"
#include "compute/screen.h"

#include <stddef.h>
#include <stdint.h>

#define BZ_NEON_INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define BZ_NEON_UNROLL _Pragma("clang loop unroll(full)")
#else
#define BZ_NEON_UNROLL _Pragma("GCC unroll 16")
#endif

/* bz_quant_unpack with the same bits. Asks for the cache lines that follow in memory. */
void bz_neon_unpack(int8_t *w, float *d, float *m, const void *row, uint32_t dtype, size_t group, size_t n);

/* As the table of kernels says. */
int bz_neon_matmul_q8(float *y, size_t y_stride, const void *w, uint32_t dtype, size_t n_begin, size_t n_end, const void *x,
                      size_t x_stride, size_t T, size_t K);
int bz_dotprod_matmul_q8(float *y, size_t y_stride, const void *w, uint32_t dtype, size_t n_begin, size_t n_end, const void *x,
                         size_t x_stride, size_t T, size_t K);
/* Rows for the latter have the high and the low bytes of q behind them, each [K] signed; the low ones less 128. */
size_t bz_dotprod_row_size(size_t K);
void bz_dotprod_split(void *row, size_t K);

/* The same for one position (of which only the part that all levels have is read), a range of rows or listed ones. Return 0
 * for a type that has no such kernel. */
int bz_neon_decode(float *y, const void *w, uint32_t dtype, size_t n_begin, size_t n_end, const void *x, size_t K);
int bz_neon_decode_listed(float *y, const void *w, uint32_t dtype, const int32_t *rows, size_t n_rows, const void *x, size_t K);
int bz_dotprod_decode(float *y, const void *w, uint32_t dtype, size_t n_begin, size_t n_end, const void *x, size_t K);
int bz_dotprod_decode_listed(float *y, const void *w, uint32_t dtype, const int32_t *rows, size_t n_rows, const void *x,
                             size_t K);

void bz_neon_product(float *y, size_t y_stride, const float *x, size_t x_row, size_t x_column, const float *w, size_t w_stride,
                     size_t T, size_t K, size_t N);
void bz_neon_rms_norm(float *out, const float *x, const float *w, size_t n, float eps);
void bz_neon_geglu(float *out, const float *gate, const float *up, size_t n);
void bz_neon_add(float *x, const float *y, size_t n);
void bz_neon_rope(float *x, const float *cos_table, const float *sin_table, size_t D);
void bz_neon_f32_to_f16(uint16_t *out, const float *x, size_t n);

void bz_neon_key_expand(float *out, size_t stride, const void *rows, size_t row_size, uint32_t dtype, size_t D, size_t n);
void bz_neon_key_scores(float *s, const float *q, size_t q_stride, size_t n_rows, const float *k, size_t k_stride, size_t D16,
                        const uint8_t *begin, const uint8_t *end, float scale);
void bz_neon_key_softmax(float *s, bz_key_state *state, size_t r, size_t n_rows, const uint8_t *begin, const uint8_t *end);
void bz_neon_key_mix(float *o, size_t o_stride, const float *p, size_t n_rows, const float *v, size_t v_stride, size_t D16,
                     const uint8_t *begin, const uint8_t *end, const float *a, const float *b);
void bz_neon_key_join(float *into, const float *part, size_t stride, size_t n_rows, size_t D16);

void bz_neon_screen(float *high, const uint8_t *blocks, size_t n_blocks, const bz_screen_query *q);
void bz_dotprod_screen(float *high, const uint8_t *blocks, size_t n_blocks, const bz_screen_query *q);

#endif
