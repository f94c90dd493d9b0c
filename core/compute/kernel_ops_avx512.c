/* SPDX-License-Identifier: MIT */
/* AVX-512 level: norm, gated GELU, rotation, halves. Same formulas as kernel_ref.c in 16 lanes, exp by a polynomial.
 * Invariant: a result depends only on the operands, never on where they lie. It allocates nothing. */
#include "base/dtype.h"
#include "compute/kernel_avx512.h"
#include "compute/kernel_exp_avx512.h"

#include <immintrin.h>
#include <math.h>

static inline __mmask16 ops_avx512_first(size_t n)
{
    return (__mmask16)(n >= 16 ? 0xffffu : (1u << n) - 1u);
}

static inline float ops_avx512_sum(__m512 v)
{
    const __m256 a = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    const __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    const __m128 c = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(c, _mm_shuffle_ps(c, c, 1)));
}

/* exp, x clamped to -87..88; NaN stays NaN. */
static inline __m512 ops_avx512_exp(__m512 x)
{
    return bz_avx512_exp(_mm512_min_ps(_mm512_set1_ps(88.0f), _mm512_max_ps(_mm512_set1_ps(-87.0f), x))); /* NaN: the second */
}

void bz_avx512_rms_norm(float *out, const float *x, const float *w, size_t n, float eps)
{
    __m512 sum = _mm512_setzero_ps();
    for (size_t i = 0; i < n; i += 16) {
        const __m512 v = _mm512_maskz_loadu_ps(ops_avx512_first(n - i), x + i);
        sum = _mm512_fmadd_ps(v, v, sum);
    }
    const float scale = (float)(1.0 / sqrt((double)ops_avx512_sum(sum) / (double)n + (double)eps));
    for (size_t i = 0; i < n; i += 16) {
        const __mmask16 mask = ops_avx512_first(n - i);
        const __m512 v = _mm512_mul_ps(_mm512_maskz_loadu_ps(mask, x + i), _mm512_set1_ps(scale));
        _mm512_mask_storeu_ps(out + i, mask, _mm512_mul_ps(v, _mm512_maskz_loadu_ps(mask, w + i)));
    }
}

/* z / (1 + exp(-2u)), u = sqrt(2/pi) (z + 0.044715 z^3). */
void bz_avx512_geglu(float *out, const float *gate, const float *up, size_t n)
{
    const __m512 one = _mm512_set1_ps(1.0f), cube = _mm512_set1_ps(0.044715f), factor = _mm512_set1_ps(-1.5957691216f);
    for (size_t i = 0; i < n; i += 16) {
        const __mmask16 mask = ops_avx512_first(n - i);
        const __m512 z = _mm512_maskz_loadu_ps(mask, gate + i);
        const __m512 inner = _mm512_mul_ps(z, _mm512_fmadd_ps(_mm512_mul_ps(z, z), cube, one));
        const __m512 e = ops_avx512_exp(_mm512_mul_ps(inner, factor));
        const __m512 v = _mm512_div_ps(z, _mm512_add_ps(one, e));
        _mm512_mask_storeu_ps(out + i, mask, _mm512_mul_ps(v, _mm512_maskz_loadu_ps(mask, up + i)));
    }
}

void bz_avx512_add(float *x, const float *y, size_t n)
{
    for (size_t i = 0; i < n; i += 16) {
        const __mmask16 mask = ops_avx512_first(n - i);
        const __m512 v = _mm512_add_ps(_mm512_maskz_loadu_ps(mask, x + i), _mm512_maskz_loadu_ps(mask, y + i));
        _mm512_mask_storeu_ps(x + i, mask, v);
    }
}

void bz_avx512_rope(float *x, const float *cos_table, const float *sin_table, size_t D)
{
    const size_t half = D / 2;
    for (size_t p = 0; p < half; p += 16) {
        const __mmask16 mask = ops_avx512_first(half - p);
        const __m512 a = _mm512_maskz_loadu_ps(mask, x + p), b = _mm512_maskz_loadu_ps(mask, x + half + p);
        const __m512 c = _mm512_maskz_loadu_ps(mask, cos_table + p), s = _mm512_maskz_loadu_ps(mask, sin_table + p);
        _mm512_mask_storeu_ps(x + p, mask, _mm512_sub_ps(_mm512_mul_ps(a, c), _mm512_mul_ps(b, s)));
        _mm512_mask_storeu_ps(x + half + p, mask, _mm512_add_ps(_mm512_mul_ps(b, c), _mm512_mul_ps(a, s)));
    }
}

void bz_avx512_f32_to_f16(uint16_t *out, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i += 16) {
        const __mmask16 mask = ops_avx512_first(n - i);
        const __m256i h = _mm512_cvtps_ph(_mm512_maskz_loadu_ps(mask, x + i), _MM_FROUND_TO_NEAREST_INT);
        _mm256_mask_storeu_epi16(out + i, mask, h);
    }
}
