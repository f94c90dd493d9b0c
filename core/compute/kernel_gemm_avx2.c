/* SPDX-License-Identifier: MIT */
/* AVX2 level: products of several positions with integer activations. Sixteen rows of weights are unpacked once into a panel
 * of 16-bit pairs with the rows side by side, a lane each, and multiplied with tiles of six positions whose pairs are
 * broadcast: the integer sum of a part is done inside a lane and needs no shuffles.
 * Invariant: the bits of compute/activation.h. Lanes are rows, so no operation of one depends on another row or position.
 * Does not: know threads, or one position of the common types (kernel_decode_avx2). */
#include "compute/activation.h"
#include "compute/kernel_avx2.h"
#include "compute/kernel_panel_avx2.h"
#include "compute/quant.h"

#include <immintrin.h>
#include <string.h>

#define GEMM256_INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define GEMM256_UNROLL _Pragma("clang loop unroll(full)")
#else
#define GEMM256_UNROLL _Pragma("GCC unroll 16")
#endif

enum { GEMM256_ROWS = BZ_PANEL_ROWS, GEMM256_POSITIONS = 6 };

/* The panel, and which of its lanes have a row. */
typedef struct gemm256_panel {
    bz_panel p;
    __m256i own[2];
    int is_full;
} gemm256_panel;

/* Where a tile reads and writes. */
typedef struct gemm256_place {
    float *y;
    size_t y_stride;
    const char *x; /* rows of activations from the chunk's first group on, x_stride bytes apart */
    size_t x_stride;
    size_t at_d, at_sum, at_total; /* bytes from q to the scales, half sums and sums of the same group */
} gemm256_place;

/* ---- tiles ------------------------------------------------------------------------------------------------------------ */

GEMM256_INLINE __m256i gemm256_pair(const char *x, size_t i)
{
    int32_t pair;
    memcpy(&pair, x + 4 * i, sizeof pair);
    return _mm256_set1_epi32(pair);
}

GEMM256_INLINE __m256 gemm256_one(const char *x)
{
    float v;
    memcpy(&v, x, sizeof v);
    return _mm256_set1_ps(v);
}

/* sum + the two products of each lane. AVX-VNNI does it in one instruction, which is spelled out so that only the processor
 * must have it, not the compiler's settings. */
GEMM256_INLINE __m256i gemm256_multiply(__m256i sum, __m256i w, __m256i pair, const int has_vnni)
{
    if (!has_vnni) {
        sum = _mm256_add_epi32(sum, _mm256_madd_epi16(w, pair));
        __asm__("" : "+x"(sum)); /* else gcc makes a tree of a part's sums and spills its leaves */
        return sum;
    }
    __asm__("%{vex%} vpdpwssd %2, %1, %0" : "+x"(sum) : "x"(w), "x"(pair));
    return sum;
}

/* What is known when a copy of the tile is compiled. */
typedef struct gemm256_kind {
    size_t part;
    int has_min, has_vnni;
} gemm256_kind;

/* 16 rows against `positions` positions. */
GEMM256_INLINE void gemm256_tile(const gemm256_panel *panel, const gemm256_place *at, const int positions,
                                 const gemm256_kind kind)
{
    const size_t part = kind.part;
    __m256 y[2][GEMM256_POSITIONS];
    GEMM256_UNROLL for (int t = 0; t < positions; t++)
        GEMM256_UNROLL for (int h = 0; h < 2; h++) y[h][t] =
            panel->p.add ? _mm256_maskload_ps(at->y + (size_t)t * at->y_stride + 8 * h, panel->own[h]) : _mm256_setzero_ps();
    const size_t parts = panel->p.n_groups * (BZ_QUANT_GROUP / part);
    const char *x = at->x;
    const __m256i *w = (const __m256i *)(const void *)panel->p.w;
    for (size_t p = 0; p < parts; p++, x += 2 * part, w += part) {
        __m256i sum[2][GEMM256_POSITIONS];
        GEMM256_UNROLL for (int t = 0; t < positions; t++) sum[0][t] = sum[1][t] = _mm256_setzero_si256();
        GEMM256_UNROLL for (size_t i = 0; i < part / 2; i++)
            GEMM256_UNROLL for (int t = 0; t < positions; t++)
            {
                const __m256i pair = gemm256_pair(x + (size_t)t * at->x_stride, i);
                sum[0][t] = gemm256_multiply(sum[0][t], w[2 * i], pair, kind.has_vnni);
                sum[1][t] = gemm256_multiply(sum[1][t], w[2 * i + 1], pair, kind.has_vnni);
            }
        const size_t g = p * part / BZ_QUANT_GROUP;
        GEMM256_UNROLL for (int t = 0; t < positions; t++)
        {
            const char *q = at->x + (size_t)t * at->x_stride;
            const __m256 d = gemm256_one(q + at->at_d + 4 * g);
            GEMM256_UNROLL for (int h = 0; h < 2; h++) y[h][t] =
                _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum[h][t]), _mm256_mul_ps(_mm256_load_ps(panel->p.d[p] + 8 * h), d), y[h][t]);
            if (kind.has_min) {
                const __m256 s = gemm256_one(q + (part == 16 ? at->at_sum + 4 * p : at->at_total + 4 * g));
                GEMM256_UNROLL for (int h = 0; h < 2; h++) y[h][t] =
                    _mm256_fnmadd_ps(_mm256_load_ps(panel->p.m[p] + 8 * h), s, y[h][t]);
            }
        }
    }
    GEMM256_UNROLL for (int t = 0; t < positions; t++)
        GEMM256_UNROLL for (int h = 0; h < 2; h++)
        {
            float *out = at->y + (size_t)t * at->y_stride + 8 * h;
            if (panel->is_full)
                _mm256_storeu_ps(out, y[h][t]);
            else
                _mm256_maskstore_ps(out, panel->own[h], y[h][t]);
        }
}

GEMM256_INLINE void gemm256_positions(const gemm256_panel *panel, gemm256_place at, size_t T, const gemm256_kind kind)
{
    for (; T >= 6; T -= 6, at.y += 6 * at.y_stride, at.x += 6 * at.x_stride)
        gemm256_tile(panel, &at, 6, kind);
    for (; T >= 3; T -= 3, at.y += 3 * at.y_stride, at.x += 3 * at.x_stride)
        gemm256_tile(panel, &at, 3, kind);
    if (T == 2)
        gemm256_tile(panel, &at, 2, kind);
    if (T == 1)
        gemm256_tile(panel, &at, 1, kind);
}

#define GEMM256_COPY(name, part, has_min, has_vnni)                                                 \
    static void name(const gemm256_panel *panel, const gemm256_place *at, size_t T)                 \
    {                                                                                               \
        gemm256_positions(panel, *at, T, (gemm256_kind){part, has_min, has_vnni});                  \
    }

GEMM256_COPY(gemm256_plain, 32, 0, 0)
GEMM256_COPY(gemm256_min, 32, 1, 0)
GEMM256_COPY(gemm256_halves, 16, 0, 0)
GEMM256_COPY(gemm256_halves_min, 16, 1, 0)
GEMM256_COPY(gemm256_plain_vnni, 32, 0, 1)
GEMM256_COPY(gemm256_min_vnni, 32, 1, 1)
GEMM256_COPY(gemm256_halves_vnni, 16, 0, 1)
GEMM256_COPY(gemm256_halves_min_vnni, 16, 1, 1)

GEMM256_INLINE __m256i gemm256_first(size_t n)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n >= 8 ? 8 : (int)n), lane);
}

typedef void (*gemm256_copy)(const gemm256_panel *panel, const gemm256_place *at, size_t T);

static int gemm256_matmul(float *y, size_t y_stride, const void *w, uint32_t dtype, size_t n_begin, size_t n_end, const void *x,
                          size_t x_stride, size_t T, size_t K, const gemm256_copy copies[4])
{
    gemm256_panel panel;
    if (!bz_quant_has_groups(dtype))
        return 0;
    if (T == 1 && bz_avx2_decode(y, w, dtype, n_begin, n_end, x, K))
        return 1;
    const gemm256_copy multiply = copies[(bz_quant_part(dtype) == 16) * 2 + bz_quant_has_min(dtype)];
    const size_t row_size = bz_quant_row_size(dtype, K), n_groups = K / BZ_QUANT_GROUP;
    for (size_t n = n_begin, rows; n < n_end; n += rows) {
        rows = n_end - n < GEMM256_ROWS ? n_end - n : GEMM256_ROWS;
        panel.is_full = rows == GEMM256_ROWS;
        panel.own[0] = gemm256_first(rows);
        panel.own[1] = gemm256_first(rows > 8 ? rows - 8 : 0);
        for (size_t g = 0; g < n_groups; g += panel.p.n_groups) {
            panel.p.n_groups = n_groups - g < BZ_PANEL_CHUNK / BZ_QUANT_GROUP ? n_groups - g : BZ_PANEL_CHUNK / BZ_QUANT_GROUP;
            panel.p.add = g > 0;
            bz_avx2_panel_fill(&panel.p, (const char *)w + n * row_size, row_size, dtype, rows, g);
            const bz_activation_row a = bz_activation_row_at(x, 0, 0, K, g);
            const char *q = (const char *)a.q;
            const gemm256_place at = {y + n, y_stride, q, x_stride, (size_t)((const char *)a.d - q),
                                      (size_t)((const char *)a.sum - q), (size_t)((const char *)a.total - q)};
            multiply(&panel, &at, T);
        }
    }
    return 1;
}

int bz_avx2_matmul_q8(float *y, size_t y_stride, const void *w, uint32_t dtype, size_t n_begin, size_t n_end, const void *x,
                      size_t x_stride, size_t T, size_t K)
{
    static const gemm256_copy copies[4] = {gemm256_plain, gemm256_min, gemm256_halves, gemm256_halves_min};
    return gemm256_matmul(y, y_stride, w, dtype, n_begin, n_end, x, x_stride, T, K, copies);
}

int bz_avx2_matmul_q8_vnni(float *y, size_t y_stride, const void *w, uint32_t dtype, size_t n_begin, size_t n_end,
                           const void *x, size_t x_stride, size_t T, size_t K)
{
    static const gemm256_copy copies[4] = {gemm256_plain_vnni, gemm256_min_vnni, gemm256_halves_vnni, gemm256_halves_min_vnni};
    return gemm256_matmul(y, y_stride, w, dtype, n_begin, n_end, x, x_stride, T, K, copies);
}
