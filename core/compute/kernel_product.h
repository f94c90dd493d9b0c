/* SPDX-License-Identifier: MIT */
/* The frame of bz_kernel.product that the levels share: they define vectors of PRODUCT_LANES floats and include it. Every sum
 * starts from y and takes one fused step a k, upwards, so all levels and all cuts make the same bits.
 * Of the includer: product_vector, PRODUCT_LANES, PRODUCT_VECTORS (of a tile), and load, store, step (sum + x * w); if it is
 * not a fused multiplication, product_one (a step of one lane), and PRODUCT_TARGET (attribute of all functions). */
#ifndef BZ_KERNEL_PRODUCT_H
#define BZ_KERNEL_PRODUCT_H

#include <math.h>
#include <stddef.h>

#ifndef PRODUCT_TARGET
#define PRODUCT_TARGET
#endif
#ifndef product_one
#define product_one(sum, x, w) fmaf(x, w, sum)
#endif
#define PRODUCT_INLINE static inline PRODUCT_TARGET __attribute__((always_inline))
#if defined(__clang__)
#define PRODUCT_UNROLL _Pragma("clang loop unroll(full)")
#else
#define PRODUCT_UNROLL _Pragma("GCC unroll 8")
#endif

enum {
    PRODUCT_ROWS = 6,    /* positions of a tile */
    PRODUCT_DEPTH = 256, /* k of a pass: the columns of w that it reads stay in cache */
    PRODUCT_WIDTH = PRODUCT_LANES * PRODUCT_VECTORS
};

typedef struct product_at {
    float *y;
    const float *x, *w;
    size_t y_stride, x_row, x_column, w_stride, K;
} product_at;

PRODUCT_INLINE void product_tile(product_at p, const int rows, const int vectors)
{
    product_vector sum[PRODUCT_ROWS][PRODUCT_VECTORS], w[PRODUCT_VECTORS];
    PRODUCT_UNROLL
    for (int r = 0; r < rows; r++) {
        PRODUCT_UNROLL
        for (int v = 0; v < vectors; v++)
            sum[r][v] = product_load(p.y + (size_t)r * p.y_stride + (size_t)v * PRODUCT_LANES);
    }
    for (size_t k = 0; k < p.K; k++) {
        PRODUCT_UNROLL
        for (int v = 0; v < vectors; v++)
            w[v] = product_load(p.w + k * p.w_stride + (size_t)v * PRODUCT_LANES);
        PRODUCT_UNROLL
        for (int r = 0; r < rows; r++) {
            const float x = p.x[(size_t)r * p.x_row + k * p.x_column];
            PRODUCT_UNROLL
            for (int v = 0; v < vectors; v++)
                sum[r][v] = product_step(sum[r][v], x, w[v]);
        }
    }
    PRODUCT_UNROLL
    for (int r = 0; r < rows; r++) {
        PRODUCT_UNROLL
        for (int v = 0; v < vectors; v++)
            product_store(p.y + (size_t)r * p.y_stride + (size_t)v * PRODUCT_LANES, sum[r][v]);
    }
}

#define PRODUCT_CASES(vectors) \
    switch (rows) { \
    case 1: product_tile(p, 1, vectors); break; \
    case 2: product_tile(p, 2, vectors); break; \
    case 3: product_tile(p, 3, vectors); break; \
    case 4: product_tile(p, 4, vectors); break; \
    case 5: product_tile(p, 5, vectors); break; \
    default: product_tile(p, PRODUCT_ROWS, vectors); break; \
    }

static PRODUCT_TARGET void product_wide(product_at p, size_t rows)
{
    PRODUCT_CASES(PRODUCT_VECTORS)
}

static PRODUCT_TARGET void product_narrow(product_at p, size_t rows)
{
    PRODUCT_CASES(1)
}

/* Columns behind the last whole vector. */
static PRODUCT_TARGET void product_rest(product_at p, size_t rows, size_t columns)
{
    for (size_t r = 0; r < rows; r++) {
        for (size_t n = 0; n < columns; n++) {
            float sum = p.y[r * p.y_stride + n];
            for (size_t k = 0; k < p.K; k++)
                sum = product_one(sum, p.x[r * p.x_row + k * p.x_column], p.w[k * p.w_stride + n]);
            p.y[r * p.y_stride + n] = sum;
        }
    }
}

static PRODUCT_TARGET void product_columns(product_at p, size_t T, size_t columns)
{
    for (size_t t = 0; t < T; t += PRODUCT_ROWS) {
        const size_t rows = T - t < PRODUCT_ROWS ? T - t : PRODUCT_ROWS;
        if (columns == PRODUCT_WIDTH)
            product_wide(p, rows);
        else if (columns == PRODUCT_LANES)
            product_narrow(p, rows);
        else
            product_rest(p, rows, columns);
        p.y += PRODUCT_ROWS * p.y_stride;
        p.x += PRODUCT_ROWS * p.x_row;
    }
}

static PRODUCT_TARGET void product_run(float *y, size_t y_stride, const float *x, size_t x_row, size_t x_column, const float *w,
                        size_t w_stride, size_t T, size_t K, size_t N)
{
    for (size_t k = 0; k < K; k += PRODUCT_DEPTH) {
        for (size_t n = 0, columns; n < N; n += columns) {
            const size_t left = N - n;
            columns = left >= PRODUCT_WIDTH ? (size_t)PRODUCT_WIDTH : left >= PRODUCT_LANES ? (size_t)PRODUCT_LANES : left;
            const product_at p = {y + n,    x + k * x_column, w + k * w_stride + n, y_stride, x_row, x_column,
                                  w_stride, K - k < PRODUCT_DEPTH ? K - k : PRODUCT_DEPTH};
            product_columns(p, T, columns);
        }
    }
}

#endif
