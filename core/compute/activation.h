/* SPDX-License-Identifier: MIT */
/* Activations in integers, the `q8` rows of the kernel table: per group of 32 elements one float scale d and 16-bit integers,
 * x[i] = d * q[i].
 *
 * Why 16 bits and not the usual 8: a few dimensions of Gemma's activations are 100 times the others, and at 8 bits the
 * small neighbours of such a one vanish. At 16 bits the error is 2^-16 of the group's largest, which is lost in the rounding
 * of the float sums. Decoding reads weights, not activations, so it costs nothing there; in prompts vpmaddwd makes half as
 * many products an instruction as vpdpbusd, but needs no sign trick and no second pass.
 *
 * A row in memory (64-byte aligned): q [K] i16, d [K/32] f32, and for types with a minimum sum [K/16] f32 = d * (sum of q over
 * half a group), total [K/32] f32 = d * (sum of q over the group). All levels make the same bits.
 *
 * The product of such a row and a row of weights is defined bit for bit, on every level and for any number of positions,
 * rows and threads. With the weights in parts p = 0, 1, ... of 32 or 16 elements as compute/quant.h has them (w, d, m), x the
 * activations and g the group that p lies in, in float with every operation rounded to nearest even:
 *
 *     y = 0
 *     for each p in order:
 *         i = sum of w[k] * x.q[k] over p          exact: at most 128 * 32767 * 32 < 2^31
 *         y = fma(float(i), d[p] * x.d[g], y)
 *         y = fma(-m[p], s, y)                     only types with a minimum; s = x.total[g], for parts of 16 x.sum[p]
 *
 * A scale or minimum that is Inf or NaN makes what this makes of it; NaNs are alike whatever their payload. */
#ifndef BZ_ACTIVATION_H
#define BZ_ACTIVATION_H

#include <stddef.h>
#include <stdint.h>

typedef struct bz_activation_row {
    const int16_t *q;
    const float *d;
    const float *sum;
    const float *total;
} bz_activation_row;

size_t bz_activation_row_size(size_t K);
/* A group that holds an Inf or NaN gets d = NaN, so that the products of its row are NaN; one below 1e-30 becomes zero. */
void bz_activation_quantize(void *out, const float *x, size_t K);

/* Row t of rows that lie x_stride bytes apart, seen from `group` on. */
static inline bz_activation_row bz_activation_row_at(const void *x, size_t x_stride, size_t t, size_t K, size_t group)
{
    const char *p = (const char *)x + t * x_stride;
    const float *d = (const float *)(const void *)(p + K * sizeof(int16_t));
    const bz_activation_row row = {(const int16_t *)(const void *)p + group * 32, d + group, d + K / 32 + group * 2,
                                   d + K / 32 * 3 + group};
    return row;
}

#endif
