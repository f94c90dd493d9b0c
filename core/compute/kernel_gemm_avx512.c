/* SPDX-License-Identifier: MIT */
/* AVX-512 level: products of several positions with integer activations, in tiles of 16 rows and up to 12 positions of a panel
 * (kernel_panel_avx2); on processors with AMX blocks of 16 and 32 positions go through its tiles.
 * Invariant: the bits of compute/activation.h; AMX only makes the exact integer sums of a part.
 *
 * AMX multiplies bytes. Its rows of activations have, behind what activation.h says, the low bytes of q (unsigned) and the
 * high ones (signed), so each is a tile as it lies. Two tiles of sums come out, and high * 256 + low is the sum.
 * Does not: know threads, or one position (kernel_decode_avx2). */
#include "compute/activation.h"
#include "compute/kernel_avx2.h"
#include "compute/kernel_avx512.h"
#include "compute/kernel_panel_avx2.h"
#include "compute/quant.h"

#include <immintrin.h>
#include <string.h>

#define GEMM512_INLINE static inline __attribute__((always_inline))
#define GEMM512_AMX __attribute__((target("amx-tile,amx-int8")))
#if defined(__clang__)
#define GEMM512_UNROLL _Pragma("clang loop unroll(full)")
#else
#define GEMM512_UNROLL _Pragma("GCC unroll 32")
#endif

enum { GEMM512_POSITIONS = 12, GEMM512_BLOCK = 16 /* positions of an AMX tile */, GEMM512_LEAST = 4 /* worth one */ };

/* Where a tile reads and writes. */
typedef struct gemm512_place {
    float *y;
    size_t y_stride;
    const char *x; /* rows of activations from the chunk's first group on, x_stride bytes apart */
    size_t x_stride;
    size_t at_d, at_sum, at_total; /* bytes from q to the scales, half sums and sums of the same group */
    size_t at_low, high;           /* AMX: bytes from q to the low bytes of the same group, from there to the high ones */
    __mmask16 own; /* lanes that have a row */
    const char *ahead;   /* of the weights: what the next panel is made of, fetched beside the first tile */
    size_t ahead_lines;  /* cache lines a part */
} gemm512_place;

/* What is known when a copy of a tile is compiled. */
typedef struct gemm512_kind {
    size_t part;
    int has_min;
} gemm512_kind;

GEMM512_INLINE float gemm512_float(const char *p)
{
    float v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* y + i * (d * x.d) - m * s: the float part of one part of the rows. */
GEMM512_INLINE __m512 gemm512_add(__m512 y, __m512i sum, const bz_panel *panel, size_t p, const gemm512_place *at, size_t t,
                                  const gemm512_kind kind)
{
    const size_t g = p * kind.part / BZ_QUANT_GROUP;
    const char *q = at->x + t * at->x_stride;
    const __m512 d = _mm512_mul_ps(_mm512_load_ps(panel->d[p]), _mm512_set1_ps(gemm512_float(q + at->at_d + 4 * g)));
    y = _mm512_fmadd_ps(_mm512_cvtepi32_ps(sum), d, y);
    if (kind.has_min) {
        const float s = gemm512_float(q + (kind.part == 16 ? at->at_sum + 4 * p : at->at_total + 4 * g));
        y = _mm512_fnmadd_ps(_mm512_load_ps(panel->m[p]), _mm512_set1_ps(s), y);
    }
    return y;
}

/* Unpacking would wait for memory, multiplying does not: it asks for the lines that are unpacked next. */
GEMM512_INLINE void gemm512_fetch(const gemm512_place *at, size_t p)
{
    const char *line = at->ahead + p * at->ahead_lines * 64;
    for (size_t i = 0; i < at->ahead_lines; i++)
        _mm_prefetch(line + 64 * i, _MM_HINT_T1);
}

/* ---- VNNI tiles ------------------------------------------------------------------------------------------------------- */

/* sum + the two products of each lane with a pair of activations. */
GEMM512_INLINE __m512i gemm512_multiply(__m512i sum, __m512i w, const char *pair)
{
    /* spelled out, because gcc 12 copies the accumulator of the intrinsic to the stack and back */
    __asm__("vpdpwssd %2%{1to16%}, %1, %0" : "+v"(sum) : "v"(w), "m"(*(const char(*)[4])pair));
    return sum;
}

GEMM512_INLINE void gemm512_tile(const bz_panel *panel, const gemm512_place *at, const int positions, const gemm512_kind kind)
{
    __m512 y[GEMM512_POSITIONS];
    GEMM512_UNROLL for (int t = 0; t < positions; t++) y[t] =
        panel->add ? _mm512_maskz_loadu_ps(at->own, at->y + (size_t)t * at->y_stride) : _mm512_setzero_ps();
    const size_t parts = panel->n_groups * (BZ_QUANT_GROUP / kind.part);
    const char *x = at->x;
    const __m512i *w = (const __m512i *)(const void *)panel->w;
    for (size_t p = 0; p < parts; p++, x += 2 * kind.part, w += kind.part / 2) {
        __m512i sum[GEMM512_POSITIONS];
        gemm512_fetch(at, p);
        GEMM512_UNROLL for (int t = 0; t < positions; t++) sum[t] = _mm512_setzero_si512();
        GEMM512_UNROLL for (size_t i = 0; i < kind.part / 2; i++)
            GEMM512_UNROLL for (int t = 0; t < positions; t++) sum[t] =
                gemm512_multiply(sum[t], w[i], x + (size_t)t * at->x_stride + 4 * i);
        GEMM512_UNROLL for (int t = 0; t < positions; t++) y[t] = gemm512_add(y[t], sum[t], panel, p, at, (size_t)t, kind);
    }
    GEMM512_UNROLL for (int t = 0; t < positions; t++) _mm512_mask_storeu_ps(at->y + (size_t)t * at->y_stride, at->own, y[t]);
}

/* On to the position behind a tile. */
GEMM512_INLINE void gemm512_pass(gemm512_place *at, size_t positions)
{
    at->y += positions * at->y_stride;
    at->x += positions * at->x_stride;
    at->ahead_lines = 0;
}

/* Positions of the next tile. Fewer than four would wait for their own sums, so a rest of one to four takes some of a twelve. */
GEMM512_INLINE size_t gemm512_cut(size_t T)
{
    if (T < 12)
        return T > 8 ? (T + 1) / 2 : T;
    return T % 12 == 0 || T % 12 > 4 ? 12 : 8;
}

GEMM512_INLINE void gemm512_positions(const bz_panel *panel, gemm512_place at, size_t T, const gemm512_kind kind)
{
    for (size_t n; T > 0; T -= n, gemm512_pass(&at, n)) {
        n = gemm512_cut(T);
        switch (n) {
        case 12: gemm512_tile(panel, &at, 12, kind); break;
        case 8: gemm512_tile(panel, &at, 8, kind); break;
        case 7: gemm512_tile(panel, &at, 7, kind); break;
        case 6: gemm512_tile(panel, &at, 6, kind); break;
        case 5: gemm512_tile(panel, &at, 5, kind); break;
        case 4: gemm512_tile(panel, &at, 4, kind); break;
        case 3: gemm512_tile(panel, &at, 3, kind); break;
        case 2: gemm512_tile(panel, &at, 2, kind); break;
        default: gemm512_tile(panel, &at, 1, kind); break;
        }
    }
}

/* ---- AMX tiles -------------------------------------------------------------------------------------------------------- */

/* Tiles 0, 1 and 4, 5: sums of even and odd groups, of low and high bytes; 2, 3: low and high bytes of activations; 6:
 * weights. */
static void GEMM512_AMX gemm512_configure(size_t positions)
{
    struct {
        uint8_t palette, start, zero[14];
        uint16_t columns[16]; /* bytes */
        uint8_t rows[16];
    } c;
    memset(&c, 0, sizeof c);
    c.palette = 1;
    for (int i = 0; i < 8; i++) {
        c.rows[i] = (uint8_t)(i == 6 ? BZ_QUANT_GROUP / 4 : positions);
        c.columns[i] = (uint16_t)(i == 2 || i == 3 ? BZ_QUANT_GROUP : 64);
    }
    _tile_loadconfig(&c);
}

typedef int32_t gemm512_sums[2][GEMM512_BLOCK][BZ_PANEL_ROWS];

/* The sums of group g. */
GEMM512_INLINE void GEMM512_AMX gemm512_products(gemm512_sums sums, const bz_panel *panel, const gemm512_place *at, size_t g,
                                                 const int odd)
{
    const bz_panel_bytes *w8 = (const bz_panel_bytes *)(const void *)panel->w;
    const char *low = at->x + at->at_low + BZ_QUANT_GROUP * g;
    _tile_loadd(6, (*w8)[g], 64);
    _tile_loadd(2, low, at->x_stride);
    _tile_loadd(3, low + at->high, at->x_stride);
    if (odd) {
        _tile_zero(4);
        _tile_zero(5);
        _tile_dpbusd(4, 2, 6);
        _tile_dpbssd(5, 3, 6);
        _tile_stored(4, sums[0], 64);
        _tile_stored(5, sums[1], 64);
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_dpbusd(0, 2, 6);
        _tile_dpbssd(1, 3, 6);
        _tile_stored(0, sums[0], 64);
        _tile_stored(1, sums[1], 64);
    }
}

/* Places behind position `last` are computed as that one is and never stored. */
GEMM512_INLINE void gemm512_add_block(__m512 y[GEMM512_BLOCK], gemm512_sums sums, const bz_panel *panel, size_t p,
                                      const gemm512_place *at, size_t last, const gemm512_kind kind)
{
    GEMM512_UNROLL for (size_t i = 0; i < GEMM512_BLOCK; i++)
    {
        const size_t t = i < last ? i : last;
        const __m512i high = _mm512_slli_epi32(_mm512_load_si512(sums[1][t]), 8);
        const __m512i sum = _mm512_add_epi32(high, _mm512_load_si512(sums[0][t]));
        y[i] = gemm512_add(y[i], sum, panel, p, at, t, kind);
    }
}

/* 16 rows against `positions` positions, up to 16, of which those from `skip` on are stored. The tiles work on the next group while the sums of
 * this one are added up. */
GEMM512_INLINE void GEMM512_AMX gemm512_block(const bz_panel *panel, const gemm512_place *at, size_t positions, size_t skip,
                                              const gemm512_kind kind)
{
    _Alignas(64) gemm512_sums even, odd;
    __m512 y[GEMM512_BLOCK];
    const size_t last = positions - 1;
    GEMM512_UNROLL for (size_t t = 0; t < GEMM512_BLOCK; t++) y[t] =
        panel->add ? _mm512_maskz_loadu_ps(at->own, at->y + (t < last ? t : last) * at->y_stride) : _mm512_setzero_ps();
    const size_t groups = panel->n_groups;
    gemm512_products(even, panel, at, 0, 0);
    for (size_t g = 0; g < groups; g += 2) {
        gemm512_fetch(at, g);
        gemm512_fetch(at, g + 1);
        if (g + 1 < groups)
            gemm512_products(odd, panel, at, g + 1, 1);
        gemm512_add_block(y, even, panel, g, at, last, kind);
        if (g + 2 < groups)
            gemm512_products(even, panel, at, g + 2, 0);
        if (g + 1 < groups)
            gemm512_add_block(y, odd, panel, g + 1, at, last, kind);
    }
    GEMM512_UNROLL for (size_t t = 0; t < GEMM512_BLOCK; t++)
        if (t >= skip && t <= last)
            _mm512_mask_storeu_ps(at->y + t * at->y_stride, at->own, y[t]);
}

/* The last of several blocks may overlap the one before it. */
GEMM512_INLINE void GEMM512_AMX gemm512_blocks(const bz_panel *panel, gemm512_place at, size_t T, const gemm512_kind kind)
{
    if (T < GEMM512_BLOCK) {
        gemm512_block(panel, &at, T, 0, kind);
        return;
    }
    for (; T >= GEMM512_BLOCK; T -= GEMM512_BLOCK, gemm512_pass(&at, GEMM512_BLOCK))
        gemm512_block(panel, &at, GEMM512_BLOCK, 0, kind);
    if (T > 0) {
        at.y -= (GEMM512_BLOCK - T) * at.y_stride;
        at.x -= (GEMM512_BLOCK - T) * at.x_stride;
        gemm512_block(panel, &at, GEMM512_BLOCK, GEMM512_BLOCK - T, kind);
    }
}

/* ---- the table's function --------------------------------------------------------------------------------------------- */

#define GEMM512_COPY(name, part, has_min)                                                          \
    static void name(const bz_panel *panel, const gemm512_place *at, size_t T)                     \
    {                                                                                              \
        gemm512_positions(panel, *at, T, (gemm512_kind){part, has_min});                           \
    }
#define GEMM512_COPY_AMX(name, part, has_min)                                                      \
    static void GEMM512_AMX name(const bz_panel *panel, const gemm512_place *at, size_t T)               \
    {                                                                                              \
        gemm512_blocks(panel, *at, T, (gemm512_kind){part, has_min});                              \
    }

GEMM512_COPY(gemm512_plain, 32, 0)
GEMM512_COPY(gemm512_min, 32, 1)
GEMM512_COPY(gemm512_halves, 16, 0)
GEMM512_COPY(gemm512_halves_min, 16, 1)
GEMM512_COPY_AMX(gemm512_plain_amx, 32, 0)
GEMM512_COPY_AMX(gemm512_min_amx, 32, 1)

typedef void (*gemm512_copy)(const bz_panel *panel, const gemm512_place *at, size_t T);

static void gemm512_rows(float *y, size_t y_stride, const char *w, uint32_t dtype, size_t rows, const void *x, size_t x_stride,
                         size_t T, size_t K, gemm512_copy multiply, const int as_bytes)
{
    bz_panel panel;
    const size_t row_size = bz_quant_row_size(dtype, K), n_groups = K / BZ_QUANT_GROUP;
    const size_t most = (as_bytes ? BZ_PANEL_CHUNK_BYTES : BZ_PANEL_CHUNK) / BZ_QUANT_GROUP;
    for (size_t g = 0; g < n_groups; g += panel.n_groups) {
        panel.n_groups = n_groups - g < most ? n_groups - g : most;
        panel.add = g > 0;
        (as_bytes ? bz_avx2_panel_fill_bytes : bz_avx2_panel_fill)(&panel, w, row_size, dtype, rows, g);
        const bz_activation_row a = bz_activation_row_at(x, 0, 0, K, g);
        const char *q = (const char *)a.q;
        const gemm512_place at = {y, y_stride, q, x_stride, (size_t)((const char *)a.d - q), (size_t)((const char *)a.sum - q),
                                  (size_t)((const char *)a.total - q),
                                  bz_activation_row_size(K) - BZ_QUANT_GROUP * g, K, (__mmask16)(0xFFFFU >> (BZ_PANEL_ROWS - rows)),
                                  w + BZ_PANEL_ROWS * row_size + g * row_size * BZ_PANEL_ROWS / n_groups,
                                  BZ_PANEL_ROWS * row_size / 64 / (n_groups * (BZ_QUANT_GROUP / bz_quant_part(dtype))) + 1};
        multiply(&panel, &at, T);
    }
}

int bz_avx512_matmul_q8(float *y, size_t y_stride, const void *w, uint32_t dtype, size_t n_begin, size_t n_end, const void *x,
                        size_t x_stride, size_t T, size_t K)
{
    static const gemm512_copy copies[4] = {gemm512_plain, gemm512_min, gemm512_halves, gemm512_halves_min};
    if (!bz_quant_has_groups(dtype))
        return 0;
    if (T == 1 && (bz_avx512_decode(y, w, dtype, n_begin, n_end, x, K) || bz_avx2_decode(y, w, dtype, n_begin, n_end, x, K)))
        return 1;
    const gemm512_copy multiply = copies[(bz_quant_part(dtype) == 16) * 2 + bz_quant_has_min(dtype)];
    const size_t row_size = bz_quant_row_size(dtype, K);
    for (size_t n = n_begin, rows; n < n_end; n += rows) {
        rows = n_end - n < BZ_PANEL_ROWS ? n_end - n : BZ_PANEL_ROWS;
        gemm512_rows(y + n, y_stride, (const char *)w + n * row_size, dtype, rows, x, x_stride, T, K, multiply, 0);
    }
    return 1;
}

/* Parts of 16 fill only half a tile, and the vectors are faster then. */
int GEMM512_AMX bz_avx512_matmul_q8_amx(float *y, size_t y_stride, const void *w, uint32_t dtype, size_t n_begin, size_t n_end,
                                        const void *x, size_t x_stride, size_t T, size_t K)
{
    if (T < GEMM512_LEAST || !bz_quant_has_groups(dtype) || bz_quant_part(dtype) == 16 || n_begin >= n_end)
        return bz_avx512_matmul_q8(y, y_stride, w, dtype, n_begin, n_end, x, x_stride, T, K);
    const gemm512_copy multiply = bz_quant_has_min(dtype) ? gemm512_min_amx : gemm512_plain_amx;
    const size_t row_size = bz_quant_row_size(dtype, K);
    gemm512_configure(T < GEMM512_BLOCK ? T : GEMM512_BLOCK);
    for (size_t n = n_begin, rows; n < n_end; n += rows) {
        rows = n_end - n < BZ_PANEL_ROWS ? n_end - n : BZ_PANEL_ROWS;
        gemm512_rows(y + n, y_stride, (const char *)w + n * row_size, dtype, rows, x, x_stride, T, K, multiply, 1);
    }
    _tile_release();
    return 1;
}

size_t bz_amx_row_size(size_t K)
{
    return (bz_activation_row_size(K) + 2 * K + 63) & ~(size_t)63;
}

void bz_amx_split(void *row, size_t K)
{
    const int16_t *q = row;
    uint8_t *low = (uint8_t *)row + bz_activation_row_size(K), *high = low + K;
    for (size_t k = 0; k < K; k += 32) {
        const __m512i v = _mm512_loadu_si512(q + k);
        _mm256_storeu_si256((__m256i *)(void *)(low + k), _mm512_cvtepi16_epi8(v));
        _mm256_storeu_si256((__m256i *)(void *)(high + k), _mm512_cvtepi16_epi8(_mm512_srai_epi16(v, 8)));
    }
}
