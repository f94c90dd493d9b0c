/* SPDX-License-Identifier: MIT */
/* AVX-512 level: the scan of the coarse output matrix (compute/screen.h), 16 rows a vector.
 * Invariant: integer sums are exact and the floats follow in the order of bz_screen_scan_ref: the same bits. It reads the
 * blocks as one stream and is bound by memory. */
#include "compute/kernel_avx512.h"
#include "compute/screen.h"

#include <immintrin.h>
#include <string.h>

#define SCREEN512_AHEAD 16384 /* bytes asked for ahead */

static inline __attribute__((always_inline)) __m512i screen512_load(const uint8_t *p)
{
    _mm_prefetch((const char *)p + SCREEN512_AHEAD, _MM_HINT_T0);
    return _mm512_loadu_si512(p);
}

static inline __attribute__((always_inline)) int32_t screen512_four(const int8_t *p)
{
    int32_t x;
    memcpy(&x, p, sizeof x);
    return x;
}

static inline __attribute__((always_inline)) __m512i screen512_heavy(const uint8_t *p, const int16_t *x)
{
    const __m512i even = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    const __m512i odd = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
    __m512i low = _mm512_setzero_si512(), high = low; /* rows 0-7 and 8-15, two sums a row */
    for (size_t i = 0; i < BZ_SCREEN_HEAVY / 4; i++, p += 64) {
        int64_t four;
        memcpy(&four, x + 4 * i, sizeof four);
        const __m512i a = _mm512_set1_epi64(four), w = screen512_load(p);
        low = _mm512_add_epi32(low, _mm512_madd_epi16(_mm512_cvtepi8_epi16(_mm512_castsi512_si256(w)), a));
        high = _mm512_add_epi32(high, _mm512_madd_epi16(_mm512_cvtepi8_epi16(_mm512_extracti64x4_epi64(w, 1)), a));
    }
    return _mm512_add_epi32(_mm512_permutex2var_epi32(low, even, high), _mm512_permutex2var_epi32(low, odd, high));
}

/* The nibbles of a group against 32 activations, less the offset. */
static inline __attribute__((always_inline)) __m512i screen512_group(const uint8_t *p, const int8_t *x, int32_t sum)
{
    const __m512i mask = _mm512_set1_epi8(15);
    __m512i low = _mm512_set1_epi32(-sum), high = _mm512_setzero_si512();
    for (size_t v = 0; v < 4; v++) {
        const __m512i w = screen512_load(p + 64 * v);
        low = _mm512_dpbusd_epi32(low, _mm512_and_si512(w, mask), _mm512_set1_epi32(screen512_four(x + 8 * v)));
        high = _mm512_dpbusd_epi32(high, _mm512_and_si512(_mm512_srli_epi16(w, 4), mask),
                                   _mm512_set1_epi32(screen512_four(x + 8 * v + 4)));
    }
    return _mm512_add_epi32(low, high);
}

void bz_avx512_screen(float *high, const uint8_t *blocks, size_t n_blocks, const bz_screen_query *q)
{
    const uint8_t *p = blocks;
    for (size_t b = 0; b < n_blocks; b++) {
        const __m512 rest_off = _mm512_loadu_ps(p + BZ_SCREEN_AT_REST), heavy_off = _mm512_loadu_ps(p + BZ_SCREEN_AT_HEAVY);
        const __m512 scale = _mm512_mul_ps(_mm512_loadu_ps(p + BZ_SCREEN_AT_SCALE), _mm512_set1_ps(q->heavy_d));
        __m512 v = _mm512_mul_ps(_mm512_cvtepi32_ps(screen512_heavy(p + BZ_SCREEN_AT_BYTES, q->heavy)), scale);
        p += BZ_SCREEN_AT_GROUPS;
        for (size_t g = 0; g < q->n_groups; g++, p += BZ_SCREEN_GROUP) {
            const __m512 d = _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)p));
            v = _mm512_fmadd_ps(_mm512_cvtepi32_ps(screen512_group(p + 32, q->rest + 32 * g, q->sum[g])),
                                _mm512_mul_ps(d, _mm512_set1_ps(q->d[g])), v);
        }
        v = _mm512_add_ps(v, _mm512_fmadd_ps(_mm512_set1_ps(q->b), heavy_off, _mm512_set1_ps(q->e0)));
        _mm512_storeu_ps(high + b * BZ_SCREEN_ROWS, _mm512_fmadd_ps(_mm512_set1_ps(q->a), rest_off, v));
    }
}
