/* SPDX-License-Identifier: MIT */
/* Blocks of quantised weights to numbers and back, in plain C: the oracle of every faster decoder.
 *
 * Every quantised type is seen the same way: parts of 32 elements (16 in Q2_K, Q3_K, Q6_K) with one scale and one minimum
 * each, element i = d * w[i] - m, w an 8-bit integer. d and m have the scales of 4 to 8 bits of a block of 256 multiplied
 * in, which is exact. In all types but Q8_K (whose scale is a float) the product d * w is exact too: 24 bits at most. */
#ifndef BZ_QUANT_H
#define BZ_QUANT_H

#include "base/dtype.h"

#include <stddef.h>
#include <stdint.h>

enum { BZ_QUANT_GROUP = 32 };

/* IEEE half and bfloat16, subnormals kept; to the short form with round to nearest even; NaN stays NaN. */
float bz_f16_to_f32(uint16_t h);
uint16_t bz_f32_to_f16(float x);
float bz_bf16_to_f32(uint16_t h);
uint16_t bz_f32_to_bf16(float x);

/* Bytes of a row of K elements (K a multiple of the block); 0 for an unknown type. */
size_t bz_quant_row_size(uint32_t dtype, size_t K);
/* 1 for types that have the integer form above, 0 for F32, F16, BF16 and unknown ids. */
int bz_quant_has_groups(uint32_t dtype);
/* 1 when m is not always zero. */
int bz_quant_has_min(uint32_t dtype);

/* Elements that share a scale: 32 or 16. */
size_t bz_quant_part(uint32_t dtype);

/* Groups of 32 elements, [group, group + n) of a row. For types with blocks of 256 both are multiples of 8.
 *   Shapes   w [n * 32], d and m [n * 32 / bz_quant_part] (m untouched unless bz_quant_has_min) */
void bz_quant_unpack(int8_t *w, float *d, float *m, const void *row, uint32_t dtype, size_t group, size_t n);
/* One row of K elements to float. Returns 0 for an unknown type. */
int bz_quant_decode(float *out, const void *row, uint32_t dtype, size_t K);

/* One row of K finite floats (K a multiple of the block) to blocks, by the formulas of the reference quantiser for F16, BF16,
 * Q8_0, Q8_1, Q4_0, Q4_1, Q5_0, Q5_1, and by plain ones, valid but not searched for, for the others. 0 for an unknown type. */
int bz_quant_encode(void *row, const float *x, uint32_t dtype, size_t K);

/* Scales and minima of the 8 groups of a Q4_K or Q5_K block, 6 bits each, from its 12 packed bytes. */
void bz_quant_scales_k4(uint8_t scale[8], uint8_t min[8], const uint8_t packed[12]);
/* The 16 values of IQ4_NL and IQ4_XS. */
extern const int8_t bz_quant_iq4_values[16];

#endif
