/* SPDX-License-Identifier: MIT */
/* AVX2 level: the scan of the coarse output matrix (compute/screen.h), 8 rows a vector.
 * Invariant: integer sums are exact and the floats follow in the order of bz_screen_scan_ref: the same bits. The eight
 * products of a lane that are added in 16 bits are at most 2 * 15 * 127 each, 30,480 together. */
#include "compute/kernel_avx2.h"
#include "compute/screen.h"

#include <immintrin.h>
#include <string.h>

#define SCREEN256_INLINE static inline __attribute__((always_inline))
#define SCREEN256_AHEAD 16384 /* bytes asked for ahead */

SCREEN256_INLINE __m256i screen256_load(const uint8_t *p)
{
    return _mm256_loadu_si256((const __m256i *)(const void *)p);
}

SCREEN256_INLINE __m256 screen256_floats(const uint8_t *p)
{
    return _mm256_castsi256_ps(screen256_load(p));
}

SCREEN256_INLINE __m256i screen256_four(const int8_t *p)
{
    int32_t x;
    memcpy(&x, p, sizeof x);
    return _mm256_set1_epi32(x);
}

/* Sums of the heavy dimensions for rows 0-7 and 8-15. */
SCREEN256_INLINE void screen256_heavy(__m256i out[2], const uint8_t *p, const int16_t *x)
{
    __m256i sum[4]; /* four rows each, two sums a row */
    for (int i = 0; i < 4; i++)
        sum[i] = _mm256_setzero_si256();
    for (size_t i = 0; i < BZ_SCREEN_HEAVY / 4; i++, p += 64) {
        int64_t four;
        memcpy(&four, x + 4 * i, sizeof four);
        const __m256i a = _mm256_set1_epi64x(four);
        _mm_prefetch((const char *)p + SCREEN256_AHEAD, _MM_HINT_T0);
        for (int j = 0; j < 4; j++) {
            const __m128i w = _mm_loadu_si128((const __m128i *)(const void *)(p + 16 * j));
            sum[j] = _mm256_add_epi32(sum[j], _mm256_madd_epi16(_mm256_cvtepi8_epi16(w), a));
        }
    }
    for (int i = 0; i < 2; i++) /* hadd leaves rows 0 1 4 5, 2 3 6 7 */
        out[i] = _mm256_permute4x64_epi64(_mm256_hadd_epi32(sum[2 * i], sum[2 * i + 1]), 0xd8);
}

/* The nibbles of a group for 8 rows against 32 activations, less the offset. */
SCREEN256_INLINE __m256i screen256_group(const uint8_t *p, const int8_t *x, int32_t sum)
{
    const __m256i mask = _mm256_set1_epi8(15);
    __m256i total = _mm256_setzero_si256();
    for (size_t v = 0; v < 4; v++) {
        const __m256i w = screen256_load(p + 64 * v);
        const __m256i low = _mm256_and_si256(w, mask), high = _mm256_and_si256(_mm256_srli_epi16(w, 4), mask);
        total = _mm256_add_epi16(total, _mm256_maddubs_epi16(low, screen256_four(x + 8 * v)));
        total = _mm256_add_epi16(total, _mm256_maddubs_epi16(high, screen256_four(x + 8 * v + 4)));
    }
    return _mm256_sub_epi32(_mm256_madd_epi16(total, _mm256_set1_epi16(1)), _mm256_set1_epi32(sum));
}

SCREEN256_INLINE __m256 screen256_bound(__m256 v, const uint8_t *block, size_t half, const bz_screen_query *q)
{
    const __m256 rest = screen256_floats(block + BZ_SCREEN_AT_REST + 32 * half);
    const __m256 heavy = screen256_floats(block + BZ_SCREEN_AT_HEAVY + 32 * half);
    v = _mm256_add_ps(v, _mm256_fmadd_ps(_mm256_set1_ps(q->b), heavy, _mm256_set1_ps(q->e0)));
    return _mm256_fmadd_ps(_mm256_set1_ps(q->a), rest, v);
}

void bz_avx2_screen(float *high, const uint8_t *blocks, size_t n_blocks, const bz_screen_query *q)
{
    const size_t size = BZ_SCREEN_AT_GROUPS + q->n_groups * BZ_SCREEN_GROUP;
    for (size_t b = 0; b < n_blocks; b++) {
        const uint8_t *block = blocks + b * size, *p = block + BZ_SCREEN_AT_GROUPS;
        __m256i sum[2];
        __m256 v[2];
        screen256_heavy(sum, block + BZ_SCREEN_AT_BYTES, q->heavy);
        for (size_t i = 0; i < 2; i++) {
            const __m256 scale = screen256_floats(block + BZ_SCREEN_AT_SCALE + 32 * i);
            v[i] = _mm256_mul_ps(_mm256_cvtepi32_ps(sum[i]), _mm256_mul_ps(scale, _mm256_set1_ps(q->heavy_d)));
        }
        for (size_t g = 0; g < q->n_groups; g++, p += BZ_SCREEN_GROUP) {
            for (size_t line = 0; line < BZ_SCREEN_GROUP; line += 64)
                _mm_prefetch((const char *)p + SCREEN256_AHEAD + line, _MM_HINT_T0);
            for (size_t i = 0; i < 2; i++) {
                const __m256 d = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i)));
                const __m256i total = screen256_group(p + 32 + 32 * i, q->rest + 32 * g, q->sum[g]);
                v[i] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(total), _mm256_mul_ps(d, _mm256_set1_ps(q->d[g])), v[i]);
            }
        }
        for (size_t i = 0; i < 2; i++)
            _mm256_storeu_ps(high + b * BZ_SCREEN_ROWS + 8 * i, screen256_bound(v[i], block, i, q));
    }
}
