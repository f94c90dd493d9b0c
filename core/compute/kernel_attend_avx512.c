/* SPDX-License-Identifier: MIT */
/* AVX-512 level of attention: the order of sums of key_block.h, the 16 lanes of a sum in one vector.
 * Invariant: the bits of kernel_attend_ref.c. Register tiles of 4 rows by 4 keys and of 4 rows by 64 elements; rows of a
 * tile see nearly the same keys, and what one of them does not see counts with weight 0. */
#include "base/dtype.h"
#include "compute/kernel_avx512.h"
#include "compute/kernel_exp_avx512.h"

#include <immintrin.h>
#include <math.h>
#include <string.h>

#define ATTEND512_INLINE static inline __attribute__((always_inline))

/* --- Parts of sums ------------------------------------------------------------------------------------------- */

ATTEND512_INLINE __mmask16 attend512_first(size_t n)
{
    return (__mmask16)(n >= 16 ? 0xffffu : (1u << n) - 1u);
}

/* bz_key_exp. */
ATTEND512_INLINE __m512 attend512_exp(__m512 x)
{
    const __mmask16 kept = _mm512_cmp_ps_mask(x, _mm512_set1_ps(-87.0f), _CMP_NLT_UQ); /* NaN is kept */
    return _mm512_maskz_mov_ps(kept, bz_avx512_exp(x));
}

/* Halves of each pair are added: of a pair (a, b) the lower lanes are a's sums, the upper b's. */
ATTEND512_INLINE __m512 attend512_fold8(__m512 a, __m512 b)
{
    return _mm512_add_ps(_mm512_mask_blend_ps(0xff00, a, b), _mm512_shuffle_f32x4(a, b, 0x4e));
}

ATTEND512_INLINE __m512 attend512_fold4(__m512 a, __m512 b)
{
    const __m512i cross = _mm512_setr_epi32(4, 5, 6, 7, 16, 17, 18, 19, 12, 13, 14, 15, 24, 25, 26, 27);
    return _mm512_add_ps(_mm512_mask_blend_ps(0xf0f0, a, b), _mm512_permutex2var_ps(a, cross, b));
}

ATTEND512_INLINE __m512 attend512_fold2(__m512 a, __m512 b)
{
    return _mm512_add_ps(_mm512_mask_blend_ps(0xcccc, a, b), _mm512_shuffle_ps(a, b, 0x4e));
}

ATTEND512_INLINE __m512 attend512_fold1(__m512 a, __m512 b)
{
    const __m512 sums = _mm512_add_ps(_mm512_shuffle_ps(a, b, 0x88), _mm512_shuffle_ps(a, b, 0xdd));
    return _mm512_permute_ps(sums, 0xd8);
}

/* Lane i = sum of the lanes of v[i], as a tree. */
ATTEND512_INLINE __m512 attend512_sums(const __m512 v[16])
{
    __m512 a[8], b[4];
    for (size_t i = 0; i < 8; i++)
        a[i] = attend512_fold8(v[i], v[i + 8]);
    for (size_t i = 0; i < 4; i++)
        b[i] = attend512_fold4(a[i], a[i + 4]);
    return attend512_fold1(attend512_fold2(b[0], b[2]), attend512_fold2(b[1], b[3]));
}

ATTEND512_INLINE float attend512_sum(__m512 v)
{
    const __m256 a = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    const __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    const __m128 c = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(c, _mm_shuffle_ps(c, c, 1)));
}

/* --- Rows to floats ------------------------------------------------------------------------------------------ */

ATTEND512_INLINE __m512 attend512_load(const uint8_t *row, uint32_t dtype, size_t i, __mmask16 mask, __m512 scale)
{
    if (dtype == BZ_DTYPE_F16)
        return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask, row + 2 * i));
    if (dtype == BZ_DTYPE_I8)
        return _mm512_mul_ps(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_maskz_loadu_epi8(mask, row + 4 + i))), scale);
    return _mm512_maskz_loadu_ps(mask, row + 4 * i);
}

ATTEND512_INLINE void attend512_expand(float *out, size_t stride, const uint8_t *row, size_t row_size, uint32_t dtype,
                                       size_t D, size_t n)
{
    for (size_t r = 0; r < n; r++, row += row_size, out += stride) {
        __m512 scale = _mm512_setzero_ps();
        if (dtype == BZ_DTYPE_I8) {
            float one;
            memcpy(&one, row, sizeof one);
            scale = _mm512_set1_ps(one);
        }
        for (size_t i = 0; i < D; i += 16)
            _mm512_storeu_ps(out + i, attend512_load(row, dtype, i, attend512_first(D - i), scale));
    }
}

void bz_avx512_key_expand(float *out, size_t stride, const void *rows, size_t row_size, uint32_t dtype, size_t D, size_t n)
{
    if (dtype == BZ_DTYPE_F16)
        attend512_expand(out, stride, rows, row_size, BZ_DTYPE_F16, D, n);
    else if (dtype == BZ_DTYPE_I8)
        attend512_expand(out, stride, rows, row_size, BZ_DTYPE_I8, D, n);
    else
        attend512_expand(out, stride, rows, row_size, BZ_DTYPE_F32, D, n);
}

/* --- Scores -------------------------------------------------------------------------------------------------- */

/* n_q rows by four keys. */
ATTEND512_INLINE void attend512_tile(float *s, const float *q, size_t q_stride, size_t n_q, const float *k, size_t k_stride,
                                     size_t D16, float scale)
{
    __m512 acc[16];
    for (size_t i = 0; i < 16; i++)
        acc[i] = _mm512_setzero_ps();
    for (size_t i = 0; i < D16; i += 16) {
        __m512 key[4];
        for (size_t j = 0; j < 4; j++)
            key[j] = _mm512_loadu_ps(k + j * k_stride + i);
        for (size_t r = 0; r < n_q; r++) {
            const __m512 x = _mm512_loadu_ps(q + r * q_stride + i);
            for (size_t j = 0; j < 4; j++)
                acc[r * 4 + j] = _mm512_fmadd_ps(x, key[j], acc[r * 4 + j]);
        }
    }
    const __m512 sums = _mm512_mul_ps(attend512_sums(acc), _mm512_set1_ps(scale));
    _mm_storeu_ps(s, _mm512_castps512_ps128(sums));
    if (n_q > 1)
        _mm_storeu_ps(s + BZ_KEY_BLOCK, _mm512_extractf32x4_ps(sums, 1));
    if (n_q > 2) {
        _mm_storeu_ps(s + 2 * BZ_KEY_BLOCK, _mm512_extractf32x4_ps(sums, 2));
        _mm_storeu_ps(s + 3 * BZ_KEY_BLOCK, _mm512_extractf32x4_ps(sums, 3));
    }
}

enum { ATTEND512_NEAR = 16 }; /* rows of queries that stay in the first cache with a tile's keys */

void bz_avx512_key_scores(float *s, const float *q, size_t q_stride, size_t n_rows, const float *k, size_t k_stride,
                          size_t D16, const uint8_t *begin, const uint8_t *end, float scale)
{
    for (size_t near = 0; near < n_rows; near += ATTEND512_NEAR) {
        const size_t last = n_rows - near < ATTEND512_NEAR ? n_rows : near + ATTEND512_NEAR;
        for (size_t j = begin[near] & ~(size_t)3; j < end[last - 1]; j += 4) {
            size_t r = near;
            for (; r + 4 <= last; r += 4)
                attend512_tile(s + r * BZ_KEY_BLOCK + j, q + r * q_stride, q_stride, 4, k + j * k_stride, k_stride, D16, scale);
            if (r + 2 <= last) {
                attend512_tile(s + r * BZ_KEY_BLOCK + j, q + r * q_stride, q_stride, 2, k + j * k_stride, k_stride, D16, scale);
                r += 2;
            }
            if (r < last)
                attend512_tile(s + r * BZ_KEY_BLOCK + j, q + r * q_stride, q_stride, 1, k + j * k_stride, k_stride, D16, scale);
        }
    }
}

/* --- Weights ------------------------------------------------------------------------------------------------- */

/* Blocks of up to 16 rows with maxima mb and sums lb join m and l; a and b are the factors. */
ATTEND512_INLINE void attend512_take(float *m, float *l, float *a, float *b, const float *mb, const float *lb, size_t n)
{
    const __mmask16 mask = attend512_first(n);
    const __m512 none = _mm512_set1_ps(-INFINITY);
    const __m512 before = _mm512_mask_loadu_ps(none, mask, m), block = _mm512_mask_loadu_ps(none, mask, mb);
    const __m512 most = _mm512_max_ps(block, before);
    const __m512 c = _mm512_maskz_mov_ps(_mm512_cmp_ps_mask(most, none, _CMP_NEQ_UQ), most);
    const __m512 old = attend512_exp(_mm512_sub_ps(before, c)), new = attend512_exp(_mm512_sub_ps(block, c));
    const __m512 sum = _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, lb), new);
    _mm512_mask_storeu_ps(l, mask, _mm512_fmadd_ps(_mm512_maskz_loadu_ps(mask, l), old, sum));
    _mm512_mask_storeu_ps(m, mask, most);
    _mm512_mask_storeu_ps(a, mask, old);
    _mm512_mask_storeu_ps(b, mask, new);
}

/* Returns the sum, sets the maximum. */
ATTEND512_INLINE float attend512_weights(float *s, float *out_most, size_t begin, size_t end)
{
    const __m512 none = _mm512_set1_ps(-INFINITY);
    const uint64_t seen = (end == 64 ? 0 : UINT64_C(1) << end) - (UINT64_C(1) << begin);
    __m512 v[4], most = none, sum = _mm512_setzero_ps();
    for (size_t i = 0; i < 4; i++) {
        v[i] = _mm512_mask_loadu_ps(none, (__mmask16)(seen >> 16 * i), s + 16 * i);
        most = _mm512_max_ps(v[i], most); /* NaN: the second operand */
    }
    *out_most = _mm512_reduce_max_ps(most);
    const __m512 c = _mm512_set1_ps(*out_most == -INFINITY ? 0.0f : *out_most);
    for (size_t i = 0; i < 4; i++) {
        const __m512 p = attend512_exp(_mm512_sub_ps(v[i], c));
        _mm512_storeu_ps(s + 16 * i, p);
        sum = _mm512_add_ps(sum, p);
    }
    return attend512_sum(sum);
}

void bz_avx512_key_softmax(float *s, bz_key_state *state, size_t r, size_t n_rows, const uint8_t *begin, const uint8_t *end)
{
    for (size_t i = 0; i < n_rows; i += 16) {
        const size_t n = n_rows - i < 16 ? n_rows - i : 16;
        float mb[16], lb[16];
        for (size_t j = 0; j < n; j++)
            lb[j] = attend512_weights(s + (i + j) * BZ_KEY_BLOCK, &mb[j], begin[i + j], end[i + j]);
        attend512_take(state->m + r + i, state->l + r + i, state->a + r + i, state->b + r + i, mb, lb, n);
    }
}

/* --- Values -------------------------------------------------------------------------------------------------- */

/* n_r rows by n_v vectors. */
ATTEND512_INLINE void attend512_mix(float *o, size_t o_stride, const float *p, size_t n_r, const float *v, size_t v_stride,
                                    size_t n_v, size_t begin, size_t end, const float *a, const float *b)
{
    __m512 acc[16];
    for (size_t i = 0; i < 16; i++)
        acc[i] = _mm512_setzero_ps();
    for (size_t j = begin; j < end; j++) {
        __m512 value[16];
        for (size_t i = 0; i < n_v; i++)
            value[i] = _mm512_loadu_ps(v + j * v_stride + 16 * i);
        for (size_t r = 0; r < n_r; r++) {
            const __m512 weight = _mm512_set1_ps(p[r * BZ_KEY_BLOCK + j]);
            for (size_t i = 0; i < n_v; i++)
                acc[r * n_v + i] = _mm512_fmadd_ps(weight, value[i], acc[r * n_v + i]);
        }
    }
    for (size_t r = 0; r < n_r; r++) {
        const __m512 old = _mm512_set1_ps(a[r]), new = _mm512_set1_ps(b[r]);
        for (size_t i = 0; i < n_v; i++) {
            float *at = o + r * o_stride + 16 * i;
            _mm512_storeu_ps(at, _mm512_fmadd_ps(_mm512_loadu_ps(at), old, _mm512_mul_ps(acc[r * n_v + i], new)));
        }
    }
}

/* A strip of n_v vectors of all rows. */
ATTEND512_INLINE void attend512_strip(float *o, size_t o_stride, const float *p, size_t n_rows, const float *v,
                                      size_t v_stride, size_t n_v, const uint8_t *begin, const uint8_t *end, const float *a,
                                      const float *b)
{
    size_t r = 0;
    for (; r + 4 <= n_rows; r += 4)
        attend512_mix(o + r * o_stride, o_stride, p + r * BZ_KEY_BLOCK, 4, v, v_stride, n_v, begin[r], end[r + 3], a + r, b + r);
    if (r + 2 <= n_rows) {
        attend512_mix(o + r * o_stride, o_stride, p + r * BZ_KEY_BLOCK, 2, v, v_stride, n_v, begin[r], end[r + 1], a + r, b + r);
        r += 2;
    }
    if (r < n_rows)
        attend512_mix(o + r * o_stride, o_stride, p + r * BZ_KEY_BLOCK, 1, v, v_stride, n_v, begin[r], end[r], a + r, b + r);
}

void bz_avx512_key_mix(float *o, size_t o_stride, const float *p, size_t n_rows, const float *v, size_t v_stride, size_t D16,
                       const uint8_t *begin, const uint8_t *end, const float *a, const float *b)
{
    size_t i = 0;
    for (; i + 64 <= D16; i += 64)
        attend512_strip(o + i, o_stride, p, n_rows, v + i, v_stride, 4, begin, end, a, b);
    for (; i < D16; i += 16)
        attend512_strip(o + i, o_stride, p, n_rows, v + i, v_stride, 1, begin, end, a, b);
}

void bz_avx512_key_join(float *into, const float *part, size_t stride, size_t n_rows, size_t D16)
{
    for (size_t r = 0; r < n_rows; r++, into += stride, part += stride) {
        float a, b;
        attend512_take(&into[0], &into[1], &a, &b, &part[0], &part[1], 1);
        const __m512 old = _mm512_set1_ps(a), new = _mm512_set1_ps(b);
        for (size_t i = BZ_KEY_PART_HEAD; i < BZ_KEY_PART_HEAD + D16; i += 16) {
            const __m512 other = _mm512_mul_ps(_mm512_loadu_ps(part + i), new);
            _mm512_storeu_ps(into + i, _mm512_fmadd_ps(_mm512_loadu_ps(into + i), old, other));
        }
    }
}
