/* SPDX-License-Identifier: MIT */
/* AVX2 level of attention: the order of sums of key_block.h, the 16 lanes of a sum in two vectors.
 * Invariant: the bits of kernel_attend_ref.c. Register tiles of 2 rows by 2 keys and of 4 rows by 16 elements; rows of a
 * tile see nearly the same keys, and what one of them does not see counts with weight 0. */
#include "base/dtype.h"
#include "compute/kernel_avx2.h"
#include "compute/kernel_exp_avx2.h"

#include <immintrin.h>
#include <math.h>
#include <string.h>

#define ATTEND256_INLINE static inline __attribute__((always_inline))

/* --- Parts of sums ------------------------------------------------------------------------------------------- */

/* bz_key_exp. */
ATTEND256_INLINE __m256 attend256_exp(__m256 x)
{
    /* Below -87 the power would wrap, so those lanes compute something harmless; NaN is kept. */
    const __m256 kept = _mm256_cmp_ps(x, _mm256_set1_ps(-87.0f), _CMP_NLT_UQ);
    return _mm256_and_ps(bz_avx2_exp(_mm256_and_ps(x, kept)), kept);
}

/* Lanes [n, 8) set to what is not seen; n may be beyond 8. */
ATTEND256_INLINE __m256i attend256_between(size_t begin, size_t end, size_t at)
{
    const __m256i lane = _mm256_add_epi32(_mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7), _mm256_set1_epi32((int)at));
    return _mm256_andnot_si256(_mm256_cmpgt_epi32(_mm256_set1_epi32((int)begin), lane),
                               _mm256_cmpgt_epi32(_mm256_set1_epi32((int)end), lane));
}

ATTEND256_INLINE float attend256_sum(__m256 v)
{
    const __m128 b = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 c = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(c, _mm_shuffle_ps(c, c, 1)));
}

/* Lanes 0 and 2 of the lower half: sums of a and b, of the upper half: of c and d. */
ATTEND256_INLINE __m256 attend256_sums(__m256 a, __m256 b, __m256 c, __m256 d)
{
    const __m256 ac = _mm256_add_ps(_mm256_blend_ps(a, c, 0xf0), _mm256_permute2f128_ps(a, c, 0x21));
    const __m256 bd = _mm256_add_ps(_mm256_blend_ps(b, d, 0xf0), _mm256_permute2f128_ps(b, d, 0x21));
    const __m256 all = _mm256_add_ps(_mm256_blend_ps(ac, bd, 0xcc), _mm256_shuffle_ps(ac, bd, 0x4e));
    return _mm256_add_ps(all, _mm256_permute_ps(all, 0xb1));
}

/* --- Rows to floats ------------------------------------------------------------------------------------------ */

ATTEND256_INLINE __m256 attend256_load(const uint8_t *row, uint32_t dtype, size_t i, __m256 scale)
{
    if (dtype == BZ_DTYPE_F16)
        return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(const void *)(row + 2 * i)));
    if (dtype == BZ_DTYPE_I8)
        return _mm256_mul_ps(
            _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(row + 4 + i)))), scale);
    return _mm256_loadu_ps((const float *)(const void *)(row + 4 * i));
}

/* The last D % 8 elements through a copy, zero beyond. */
static __m256 attend256_load_end(const uint8_t *row, uint32_t dtype, size_t i, size_t n, __m256 scale)
{
    uint8_t copy[32] = {0};
    if (dtype == BZ_DTYPE_F16) {
        memcpy(copy, row + 2 * i, 2 * n);
    } else if (dtype == BZ_DTYPE_I8) {
        memcpy(copy + 4, row + 4 + i, n);
    } else {
        memcpy(copy, row + 4 * i, 4 * n);
    }
    return attend256_load(copy, dtype, 0, scale);
}

ATTEND256_INLINE void attend256_expand(float *out, size_t stride, const uint8_t *row, size_t row_size, uint32_t dtype,
                                       size_t D, size_t n)
{
    const size_t D16 = (D + 15) & ~(size_t)15;
    for (size_t r = 0; r < n; r++, row += row_size, out += stride) {
        __m256 scale = _mm256_setzero_ps();
        size_t i = 0;
        if (dtype == BZ_DTYPE_I8) {
            float one;
            memcpy(&one, row, sizeof one);
            scale = _mm256_set1_ps(one);
        }
        for (; i + 8 <= D; i += 8)
            _mm256_storeu_ps(out + i, attend256_load(row, dtype, i, scale));
        if (i < D) {
            _mm256_storeu_ps(out + i, attend256_load_end(row, dtype, i, D - i, scale));
            i += 8;
        }
        if (i < D16)
            _mm256_storeu_ps(out + i, _mm256_setzero_ps());
    }
}

void bz_avx2_key_expand(float *out, size_t stride, const void *rows, size_t row_size, uint32_t dtype, size_t D, size_t n)
{
    if (dtype == BZ_DTYPE_F16)
        attend256_expand(out, stride, rows, row_size, BZ_DTYPE_F16, D, n);
    else if (dtype == BZ_DTYPE_I8)
        attend256_expand(out, stride, rows, row_size, BZ_DTYPE_I8, D, n);
    else
        attend256_expand(out, stride, rows, row_size, BZ_DTYPE_F32, D, n);
}

/* --- Scores -------------------------------------------------------------------------------------------------- */

/* n_q (1 or 2) rows by two keys. */
ATTEND256_INLINE void attend256_tile(float *s, const float *q, size_t q_stride, size_t n_q, const float *k, size_t k_stride,
                                     size_t D16, float scale)
{
    __m256 acc[2][2][2] = {{{_mm256_setzero_ps(), _mm256_setzero_ps()}, {_mm256_setzero_ps(), _mm256_setzero_ps()}},
                           {{_mm256_setzero_ps(), _mm256_setzero_ps()}, {_mm256_setzero_ps(), _mm256_setzero_ps()}}};
    for (size_t i = 0; i < D16; i += 16) {
        for (size_t half = 0; half < 2; half++) {
            const __m256 key0 = _mm256_loadu_ps(k + i + 8 * half), key1 = _mm256_loadu_ps(k + k_stride + i + 8 * half);
            for (size_t r = 0; r < n_q; r++) {
                const __m256 x = _mm256_loadu_ps(q + r * q_stride + i + 8 * half);
                acc[r][0][half] = _mm256_fmadd_ps(x, key0, acc[r][0][half]);
                acc[r][1][half] = _mm256_fmadd_ps(x, key1, acc[r][1][half]);
            }
        }
    }
    const __m256 sums = attend256_sums(_mm256_add_ps(acc[0][0][0], acc[0][0][1]), _mm256_add_ps(acc[0][1][0], acc[0][1][1]),
                                       _mm256_add_ps(acc[1][0][0], acc[1][0][1]), _mm256_add_ps(acc[1][1][0], acc[1][1][1]));
    const __m256 scaled = _mm256_permute_ps(_mm256_mul_ps(sums, _mm256_set1_ps(scale)), 0x08);
    _mm_storel_pi((__m64 *)(void *)s, _mm256_castps256_ps128(scaled));
    if (n_q > 1)
        _mm_storel_pi((__m64 *)(void *)(s + BZ_KEY_BLOCK), _mm256_extractf128_ps(scaled, 1));
}

enum { ATTEND256_NEAR = 16 }; /* rows of queries that stay in the first cache with a tile's keys */

void bz_avx2_key_scores(float *s, const float *q, size_t q_stride, size_t n_rows, const float *k, size_t k_stride,
                        size_t D16, const uint8_t *begin, const uint8_t *end, float scale)
{
    for (size_t near = 0; near < n_rows; near += ATTEND256_NEAR) {
        const size_t last = n_rows - near < ATTEND256_NEAR ? n_rows : near + ATTEND256_NEAR;
        for (size_t j = begin[near] & ~(size_t)1; j < end[last - 1]; j += 2) {
            size_t r = near;
            for (; r + 2 <= last; r += 2)
                attend256_tile(s + r * BZ_KEY_BLOCK + j, q + r * q_stride, q_stride, 2, k + j * k_stride, k_stride, D16, scale);
            if (r < last)
                attend256_tile(s + r * BZ_KEY_BLOCK + j, q + r * q_stride, q_stride, 1, k + j * k_stride, k_stride, D16, scale);
        }
    }
}

/* --- Weights ------------------------------------------------------------------------------------------------- */

/* Blocks of n <= 8 rows with maxima mb and sums lb [8] join m and l; a and b [8] are the factors. */
ATTEND256_INLINE void attend256_take(float *m, float *l, float *a, float *b, const float *mb, const float *lb)
{
    const __m256 none = _mm256_set1_ps(-INFINITY), before = _mm256_loadu_ps(m), block = _mm256_loadu_ps(mb);
    const __m256 most = _mm256_max_ps(block, before);
    const __m256 c = _mm256_and_ps(most, _mm256_cmp_ps(most, none, _CMP_NEQ_UQ));
    const __m256 old = attend256_exp(_mm256_sub_ps(before, c)), new = attend256_exp(_mm256_sub_ps(block, c));
    _mm256_storeu_ps(l, _mm256_fmadd_ps(_mm256_loadu_ps(l), old, _mm256_mul_ps(_mm256_loadu_ps(lb), new)));
    _mm256_storeu_ps(m, most);
    _mm256_storeu_ps(a, old);
    _mm256_storeu_ps(b, new);
}

/* Returns the sum, sets the maximum. */
static float attend256_weights(float *s, float *out_most, size_t begin, size_t end)
{
    const __m256 none = _mm256_set1_ps(-INFINITY);
    __m256 most = none, low = _mm256_setzero_ps(), high = _mm256_setzero_ps();
    for (size_t i = 0; i < BZ_KEY_BLOCK; i += 8) {
        const __m256 seen = _mm256_castsi256_ps(attend256_between(begin, end, i));
        const __m256 v = _mm256_blendv_ps(none, _mm256_loadu_ps(s + i), seen);
        _mm256_storeu_ps(s + i, v);
        most = _mm256_max_ps(v, most); /* NaN: the second operand */
    }
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(most), _mm256_extractf128_ps(most, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    *out_most = _mm_cvtss_f32(_mm_max_ss(m, _mm_shuffle_ps(m, m, 1)));
    const __m256 c = _mm256_set1_ps(*out_most == -INFINITY ? 0.0f : *out_most);
    for (size_t i = 0; i < BZ_KEY_BLOCK; i += 16) {
        const __m256 p0 = attend256_exp(_mm256_sub_ps(_mm256_loadu_ps(s + i), c));
        const __m256 p1 = attend256_exp(_mm256_sub_ps(_mm256_loadu_ps(s + i + 8), c));
        _mm256_storeu_ps(s + i, p0);
        _mm256_storeu_ps(s + i + 8, p1);
        low = _mm256_add_ps(low, p0);
        high = _mm256_add_ps(high, p1);
    }
    return attend256_sum(_mm256_add_ps(low, high));
}

void bz_avx2_key_softmax(float *s, bz_key_state *state, size_t r, size_t n_rows, const uint8_t *begin, const uint8_t *end)
{
    for (size_t i = 0; i < n_rows; i += 8) {
        const size_t n = n_rows - i < 8 ? n_rows - i : 8, size = n * sizeof(float);
        float m[8] = {0}, l[8] = {0}, a[8], b[8], mb[8] = {0}, lb[8] = {0};
        for (size_t j = 0; j < n; j++)
            lb[j] = attend256_weights(s + (i + j) * BZ_KEY_BLOCK, &mb[j], begin[i + j], end[i + j]);
        memcpy(m, state->m + r + i, size);
        memcpy(l, state->l + r + i, size);
        attend256_take(m, l, a, b, mb, lb);
        memcpy(state->m + r + i, m, size);
        memcpy(state->l + r + i, l, size);
        memcpy(state->a + r + i, a, size);
        memcpy(state->b + r + i, b, size);
    }
}

/* --- Values -------------------------------------------------------------------------------------------------- */

/* n_r rows by n_v vectors, at most 8 in all. */
ATTEND256_INLINE void attend256_mix(float *o, size_t o_stride, const float *p, size_t n_r, const float *v, size_t v_stride,
                                    size_t n_v, size_t begin, size_t end, const float *a, const float *b)
{
    __m256 acc[8];
    for (size_t i = 0; i < 8; i++)
        acc[i] = _mm256_setzero_ps();
    for (size_t j = begin; j < end; j++) {
        __m256 value[8];
        for (size_t i = 0; i < n_v; i++)
            value[i] = _mm256_loadu_ps(v + j * v_stride + 8 * i);
        for (size_t r = 0; r < n_r; r++) {
            const __m256 weight = _mm256_broadcast_ss(p + r * BZ_KEY_BLOCK + j);
            for (size_t i = 0; i < n_v; i++)
                acc[r * n_v + i] = _mm256_fmadd_ps(weight, value[i], acc[r * n_v + i]);
        }
    }
    for (size_t r = 0; r < n_r; r++) {
        const __m256 old = _mm256_broadcast_ss(a + r), new = _mm256_broadcast_ss(b + r);
        for (size_t i = 0; i < n_v; i++) {
            float *at = o + r * o_stride + 8 * i;
            _mm256_storeu_ps(at, _mm256_fmadd_ps(_mm256_loadu_ps(at), old, _mm256_mul_ps(acc[r * n_v + i], new)));
        }
    }
}

void bz_avx2_key_mix(float *o, size_t o_stride, const float *p, size_t n_rows, const float *v, size_t v_stride, size_t D16,
                     const uint8_t *begin, const uint8_t *end, const float *a, const float *b)
{
    for (size_t i = 0; i < D16; i += 16) {
        size_t r = 0;
        for (; r + 4 <= n_rows; r += 4)
            attend256_mix(o + r * o_stride + i, o_stride, p + r * BZ_KEY_BLOCK, 4, v + i, v_stride, 2, begin[r], end[r + 3],
                          a + r, b + r);
        for (; r < n_rows; r++)
            attend256_mix(o + r * o_stride + i, o_stride, p + r * BZ_KEY_BLOCK, 1, v + i, v_stride, 2, begin[r], end[r], a + r,
                          b + r);
    }
}

void bz_avx2_key_join(float *into, const float *part, size_t stride, size_t n_rows, size_t D16)
{
    for (size_t r = 0; r < n_rows; r++, into += stride, part += stride) {
        float m[8] = {into[0]}, l[8] = {into[1]}, a[8], b[8];
        const float mb[8] = {part[0]}, lb[8] = {part[1]};
        attend256_take(m, l, a, b, mb, lb);
        into[0] = m[0];
        into[1] = l[0];
        const __m256 old = _mm256_set1_ps(a[0]), new = _mm256_set1_ps(b[0]);
        for (size_t i = BZ_KEY_PART_HEAD; i < BZ_KEY_PART_HEAD + D16; i += 8) {
            const __m256 other = _mm256_mul_ps(_mm256_loadu_ps(part + i), new);
            _mm256_storeu_ps(into + i, _mm256_fmadd_ps(_mm256_loadu_ps(into + i), old, other));
        }
    }
}
