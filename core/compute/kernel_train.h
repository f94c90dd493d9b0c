/* SPDX-License-Identifier: MIT */
/* The bodies of bz_train_kernel (train_kernel.h) in plain C, for the compiler to make vectors of: each level includes this file
 * and builds a table with TRAIN_TABLE. Sums are taken in TRAIN_LANES lanes, each fused step is written as one, so no level and
 * no compiler changes a bit. */
#ifndef BZ_KERNEL_TRAIN_H
#define BZ_KERNEL_TRAIN_H

#include "compute/train_kernel.h"

#include <math.h>
#include <string.h>

enum { TRAIN_LANES = 16, TRAIN_COLUMNS = 32 /* of a tile of products */ };

static inline uint32_t train_bits(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits;
}

static inline float train_float(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline float train_tree(float *lane)
{
    for (int half = TRAIN_LANES / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            lane[i] += lane[i + half];
    return lane[0];
}

static inline float train_exp(float x)
{
    const float most = x > 88.0f ? 88.0f : x, in = most < -87.0f ? -87.0f : most;
    const float shifted = fmaf(in, 1.44269504f, 12582912.0f), n = shifted - 12582912.0f; /* 1.5 * 2^23: rounds to an integer */
    float r = fmaf(n, -0.693359375f, in);
    r = fmaf(n, 2.12194440e-4f, r);
    float p = fmaf(1.0f / 5040.0f, r, 1.0f / 720.0f);
    p = fmaf(p, r, 1.0f / 120.0f);
    p = fmaf(p, r, 1.0f / 24.0f);
    p = fmaf(p, r, 1.0f / 6.0f);
    p = fmaf(p, r, 0.5f);
    p = fmaf(p, r, 1.0f);
    p = fmaf(p, r, 1.0f);
    return p * train_float((train_bits(shifted) + 127U) << 23); /* the low bits of `shifted` are n */
}

/* What a place decides: two rounds of multiplications, for they are cheap in vectors of 32 bits. */
static inline uint32_t train_hash(uint32_t key, uint32_t place)
{
    uint32_t x = place ^ key;
    x = (x ^ (x >> 16)) * 0x7FEB352DU;
    x = (x ^ (x >> 15)) * 0x846CA68BU;
    return x ^ (x >> 16);
}

static void train_drop(float *out, const float *x, size_t n, uint32_t key, uint32_t first, uint32_t limit, float keep, int add)
{
    if (add)
        for (size_t i = 0; i < n; i++)
            out[i] += train_hash(key, first + (uint32_t)i) < limit ? 0.0f : x[i] * keep;
    else
        for (size_t i = 0; i < n; i++)
            out[i] = train_hash(key, first + (uint32_t)i) < limit ? 0.0f : x[i] * keep;
}

static float train_exp_less(float *x, size_t n, float most)
{
    float lane[TRAIN_LANES] = {0};
    size_t i = 0;
    for (; i + TRAIN_LANES <= n; i += TRAIN_LANES)
        for (size_t j = 0; j < TRAIN_LANES; j++) {
            x[i + j] = train_exp(x[i + j] - most);
            lane[j] += x[i + j];
        }
    for (size_t j = 0; i < n; i++, j++) {
        x[i] = train_exp(x[i] - most);
        lane[j] += x[i];
    }
    return train_tree(lane);
}

/* g(z) = z c(z), c = 1 / (1 + exp(-2 r (z + 0.044715 z^3))), r = sqrt(2 / pi). */
static void train_geglu_back(float *d_gate, float *d_up, const float *d_hidden, const float *gate, const float *up, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const float z = gate[i], zz = z * z, d = d_hidden[i], u = up[i];
        const float c = 1.0f / (1.0f + train_exp(-1.5957691216f * z * (1.0f + 0.044715f * zz)));
        const float slope = c + z * c * (1.0f - c) * 1.5957691216f * (1.0f + 0.134145f * zz);
        d_gate[i] = d * u * slope;
        d_up[i] = d * z * c;
    }
}

/* s = 1 / rms: dx = s (w dy) - x s^3 mean(x w dy). */
static void train_norm_back(float *dx, const float *dy, const float *x, const float *w, size_t n, float eps, int add)
{
    float square[TRAIN_LANES] = {0}, along[TRAIN_LANES] = {0};
    size_t i = 0;
    for (; i + TRAIN_LANES <= n; i += TRAIN_LANES)
        for (size_t j = 0; j < TRAIN_LANES; j++) {
            square[j] = fmaf(x[i + j], x[i + j], square[j]);
            along[j] = fmaf(x[i + j] * w[i + j], dy[i + j], along[j]);
        }
    for (size_t j = 0; i < n; i++, j++) {
        square[j] = fmaf(x[i], x[i], square[j]);
        along[j] = fmaf(x[i] * w[i], dy[i], along[j]);
    }
    const double s = 1.0 / sqrt((double)train_tree(square) / (double)n + (double)eps);
    const float scale = (float)s, back = (float)(s * s * s * (double)train_tree(along) / (double)n);
    if (add)
        for (i = 0; i < n; i++)
            dx[i] += scale * w[i] * dy[i] - x[i] * back;
    else
        for (i = 0; i < n; i++)
            dx[i] = scale * w[i] * dy[i] - x[i] * back;
}

/* Infinite stays infinite, NaN stays NaN. */
static inline uint32_t train_round(float x)
{
    const uint32_t bits = train_bits(x), rounded = (bits + 0x7FFFU + (bits >> 16 & 1U)) >> 16;
    return (bits & 0x7FFFFFFFU) > 0x7F800000U ? bits >> 16 | 0x40U : rounded;
}

static void train_to_bf16(uint16_t *out, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = (uint16_t)train_round(x[i]);
}

static void train_to_pairs(uint32_t *out, const float *low, const float *high, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = train_round(low[i]) | train_round(high[i]) << 16;
}

static void train_turn(uint32_t *out, size_t out_stride, const uint32_t *x, size_t x_stride, size_t rows, size_t columns)
{
    for (size_t c = 0; c < columns; c++)
        for (size_t r = 0; r < rows; r++)
            out[c * out_stride + r] = x[r * x_stride + c];
}

static void train_tile(float *y, const uint32_t *x, const uint32_t *w, size_t w_stride, size_t K, size_t n)
{
    float sum[TRAIN_COLUMNS];
    memcpy(sum, y, n * sizeof *sum);
    for (size_t k = 0; k < K; k++, w += w_stride) {
        const float low = train_float(x[k] << 16), high = train_float(x[k] & 0xFFFF0000U);
        for (size_t i = 0; i < n; i++) {
            sum[i] = fmaf(high, train_float(w[i] & 0xFFFF0000U), sum[i]);
            sum[i] = fmaf(low, train_float(w[i] << 16), sum[i]);
        }
    }
    memcpy(y, sum, n * sizeof *sum);
}

static void train_product_pairs(float *y, size_t y_stride, const uint32_t *x, size_t x_stride, const uint32_t *w, size_t w_stride,
                                size_t T, size_t K, size_t N)
{
    for (size_t t = 0; t < T; t++) {
        size_t n = 0;
        for (; n + TRAIN_COLUMNS <= N; n += TRAIN_COLUMNS)
            train_tile(y + t * y_stride + n, x + t * x_stride, w + n, w_stride, K, TRAIN_COLUMNS);
        if (n < N)
            train_tile(y + t * y_stride + n, x + t * x_stride, w + n, w_stride, K, N - n);
    }
}

#define TRAIN_TABLE(fast) \
    { \
        .drop = train_drop, \
        .exp_less = train_exp_less, \
        .geglu_back = train_geglu_back, \
        .norm_back = train_norm_back, \
        .to_bf16 = train_to_bf16, \
        .to_pairs = train_to_pairs, \
        .turn = train_turn, \
        .product_pairs = train_product_pairs, \
        .product_pairs_fast = fast, \
    }

#endif
