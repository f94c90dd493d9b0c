/* SPDX-License-Identifier: MIT */
/* AVX2 level: products of several positions with integer activations. Sixteen rows of weights are unpacked once into a panel
 * of 16-bit pairs with the rows side by side, a lane each, and multiplied with tiles of six positions whose pairs are
 * broadcast: the integer sum of a part is done inside a lane and needs no shuffles.
 * Invariant: the bits of compute/activation.h. Lanes are rows, so no operation of one depends on another row or position.
 * Does not: know threads, or one position of the common types (kernel_decode_avx2). */
#include "compute/activation.h"
#include "compute/kernel_avx2.h"
#include "compute/quant.h"

#include <immintrin.h>
#include <string.h>

#define GEMM256_INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define GEMM256_UNROLL _Pragma("clang loop unroll(full)")
#else
#define GEMM256_UNROLL _Pragma("GCC unroll 16")
#endif

enum { GEMM256_ROWS = 16, GEMM256_CHUNK = 512, GEMM256_POSITIONS = 6 };

/* ORDER: w has pair i of all rows in 64 bytes; scales and minima have part p of all rows side by side. */
typedef struct gemm256_panel {
    _Alignas(64) int16_t w[GEMM256_CHUNK / 2][GEMM256_ROWS][2];
    _Alignas(64) float d[GEMM256_CHUNK / 16][GEMM256_ROWS];
    _Alignas(64) float m[GEMM256_CHUNK / 16][GEMM256_ROWS];
    size_t n_groups;
    int add;        /* not the first chunk of the rows: goes on from y */
    __m256i own[2]; /* lanes that have a row */
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

/* ---- the panel -------------------------------------------------------------------------------------------------------- */

/* One group of 8 rows as pairs side by side. */
GEMM256_INLINE void gemm256_interleave(int16_t *w, const int8_t *rows, size_t stride)
{
    __m256i a[8], b[8];
    GEMM256_UNROLL for (size_t r = 0; r < 8; r++)
        a[r] = _mm256_loadu_si256((const __m256i *)(const void *)(rows + r * stride));
    GEMM256_UNROLL for (int r = 0; r < 8; r += 2)
    {
        b[r] = _mm256_unpacklo_epi16(a[r], a[r + 1]);
        b[r + 1] = _mm256_unpackhi_epi16(a[r], a[r + 1]);
    }
    GEMM256_UNROLL for (int r = 0; r < 8; r += 4)
    {
        a[r] = _mm256_unpacklo_epi32(b[r], b[r + 2]);
        a[r + 1] = _mm256_unpackhi_epi32(b[r], b[r + 2]);
        a[r + 2] = _mm256_unpacklo_epi32(b[r + 1], b[r + 3]);
        a[r + 3] = _mm256_unpackhi_epi32(b[r + 1], b[r + 3]);
    }
    __m256i *out = (__m256i *)(void *)w; /* two vectors a pair, one of them for these rows */
    GEMM256_UNROLL for (int r = 0; r < 4; r++)
    {
        const __m256i even = _mm256_unpacklo_epi64(a[r], a[r + 4]), odd = _mm256_unpackhi_epi64(a[r], a[r + 4]);
        _mm256_store_si256(out + 4 * r, _mm256_cvtepi8_epi16(_mm256_castsi256_si128(even)));
        _mm256_store_si256(out + 4 * r + 2, _mm256_cvtepi8_epi16(_mm256_castsi256_si128(odd)));
        _mm256_store_si256(out + 4 * r + 16, _mm256_cvtepi8_epi16(_mm256_extracti128_si256(even, 1)));
        _mm256_store_si256(out + 4 * r + 18, _mm256_cvtepi8_epi16(_mm256_extracti128_si256(odd, 1)));
    }
}

/* n floats of each of 8 rows, side by side. n is rounded up to 8. */
GEMM256_INLINE void gemm256_transpose(float (*out)[GEMM256_ROWS], float (*rows)[GEMM256_CHUNK / 16], size_t n)
{
    for (size_t i = 0; i < n; i += 8) {
        __m256 a[8], b[8];
        GEMM256_UNROLL for (int r = 0; r < 8; r++) a[r] = _mm256_load_ps(rows[r] + i);
        GEMM256_UNROLL for (int r = 0; r < 8; r += 2)
        {
            b[r] = _mm256_unpacklo_ps(a[r], a[r + 1]);
            b[r + 1] = _mm256_unpackhi_ps(a[r], a[r + 1]);
        }
        GEMM256_UNROLL for (int r = 0; r < 8; r += 4)
        {
            a[r] = _mm256_shuffle_ps(b[r], b[r + 2], 0x44);
            a[r + 1] = _mm256_shuffle_ps(b[r], b[r + 2], 0xee);
            a[r + 2] = _mm256_shuffle_ps(b[r + 1], b[r + 3], 0x44);
            a[r + 3] = _mm256_shuffle_ps(b[r + 1], b[r + 3], 0xee);
        }
        GEMM256_UNROLL for (int r = 0; r < 4; r++)
        {
            _mm256_store_ps(out[i + (size_t)r], _mm256_permute2f128_ps(a[r], a[r + 4], 0x20));
            _mm256_store_ps(out[i + (size_t)r + 4], _mm256_permute2f128_ps(a[r], a[r + 4], 0x31));
        }
    }
}

/* Eight rows from w on, of which the first `rows` exist; the others become zero. */
static void gemm256_fill_half(gemm256_panel *panel, const char *w, size_t row_size, uint32_t dtype, size_t rows, size_t g,
                              size_t first)
{
    _Alignas(32) int8_t bytes[8][GEMM256_CHUNK];
    _Alignas(32) float d[8][GEMM256_CHUNK / 16], m[8][GEMM256_CHUNK / 16];
    const size_t parts = panel->n_groups * (BZ_QUANT_GROUP / bz_quant_part(dtype));
    for (size_t r = 0; r < 8; r++) {
        if (r < rows) {
            bz_avx2_unpack(bytes[r], d[r], m[r], w + r * row_size, dtype, g, panel->n_groups);
        } else {
            memset(bytes[r], 0, panel->n_groups * BZ_QUANT_GROUP);
            memset(d[r], 0, parts * sizeof d[r][0]);
            memset(m[r], 0, parts * sizeof m[r][0]);
        }
    }
    for (size_t i = 0; i < panel->n_groups; i++)
        gemm256_interleave(panel->w[16 * i][first], bytes[0] + i * BZ_QUANT_GROUP, GEMM256_CHUNK);
    gemm256_transpose((float(*)[GEMM256_ROWS])(void *)(panel->d[0] + first), d, parts);
    if (bz_quant_has_min(dtype))
        gemm256_transpose((float(*)[GEMM256_ROWS])(void *)(panel->m[0] + first), m, parts);
}

/* Rows from w on, `rows` of them, groups [g, g + panel->n_groups); lanes without a row are zero. */
static void gemm256_fill(gemm256_panel *panel, const char *w, size_t row_size, uint32_t dtype, size_t rows, size_t g)
{
    gemm256_fill_half(panel, w, row_size, dtype, rows < 8 ? rows : 8, g, 0);
    gemm256_fill_half(panel, w + 8 * row_size, row_size, dtype, rows < 8 ? 0 : rows - 8, g, 8);
}

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
            panel->add ? _mm256_maskload_ps(at->y + (size_t)t * at->y_stride + 8 * h, panel->own[h]) : _mm256_setzero_ps();
    const size_t parts = panel->n_groups * (BZ_QUANT_GROUP / part);
    const char *x = at->x;
    const __m256i *w = (const __m256i *)(const void *)panel->w;
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
                _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum[h][t]), _mm256_mul_ps(_mm256_load_ps(panel->d[p] + 8 * h), d), y[h][t]);
            if (kind.has_min) {
                const __m256 s = gemm256_one(q + (part == 16 ? at->at_sum + 4 * p : at->at_total + 4 * g));
                GEMM256_UNROLL for (int h = 0; h < 2; h++) y[h][t] =
                    _mm256_fnmadd_ps(_mm256_load_ps(panel->m[p] + 8 * h), s, y[h][t]);
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
        for (size_t g = 0; g < n_groups; g += panel.n_groups) {
            panel.n_groups = n_groups - g < GEMM256_CHUNK / 32 ? n_groups - g : GEMM256_CHUNK / 32;
            panel.add = g > 0;
            gemm256_fill(&panel, (const char *)w + n * row_size, row_size, dtype, rows, g);
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
