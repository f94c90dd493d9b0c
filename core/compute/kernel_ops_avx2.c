/* SPDX-License-Identifier: MIT */
/* AVX2 level: norm, gated GELU, rotation, halves. Same formulas as kernel_ref.c in 8 lanes, exp by a polynomial.
 * Invariant: a result depends only on the operands, never on where they lie. It allocates nothing. */
#include "base/dtype.h"
#include "compute/kernel_avx2.h"
#include "compute/kernel_exp_avx2.h"

#include <immintrin.h>
#include <math.h>
#include <string.h>

static float ops_avx2_sum(__m256 v)
{
    const __m128 b = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 c = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(c, _mm_shuffle_ps(c, c, 1)));
}

static __m256i ops_avx2_first(size_t n)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n >= 8 ? 8 : (int)n), lane);
}

/* exp, x clamped to -87..88; NaN stays NaN. */
static __m256 ops_avx2_exp(__m256 x)
{
    const __m256 low = _mm256_set1_ps(-87.0f), high = _mm256_set1_ps(88.0f);
    return bz_avx2_exp(_mm256_min_ps(high, _mm256_max_ps(low, x))); /* the second operand is what comes out for NaN */
}

void bz_avx2_rms_norm(float *out, const float *x, const float *w, size_t n, float eps)
{
    __m256 sum = _mm256_setzero_ps();
    for (size_t i = 0; i < n; i += 8) {
        const __m256 v = _mm256_maskload_ps(x + i, ops_avx2_first(n - i));
        sum = _mm256_fmadd_ps(v, v, sum);
    }
    const float scale = (float)(1.0 / sqrt((double)ops_avx2_sum(sum) / (double)n + (double)eps));
    for (size_t i = 0; i < n; i += 8) {
        const __m256i mask = ops_avx2_first(n - i);
        const __m256 v = _mm256_mul_ps(_mm256_maskload_ps(x + i, mask), _mm256_set1_ps(scale));
        _mm256_maskstore_ps(out + i, mask, _mm256_mul_ps(v, _mm256_maskload_ps(w + i, mask)));
    }
}

/* z / (1 + exp(-2u)), u = sqrt(2/pi) (z + 0.044715 z^3). */
void bz_avx2_geglu(float *out, const float *gate, const float *up, size_t n)
{
    const __m256 one = _mm256_set1_ps(1.0f), cube = _mm256_set1_ps(0.044715f), factor = _mm256_set1_ps(-1.5957691216f);
    for (size_t i = 0; i < n; i += 8) {
        const __m256i mask = ops_avx2_first(n - i);
        const __m256 z = _mm256_maskload_ps(gate + i, mask);
        const __m256 inner = _mm256_mul_ps(z, _mm256_fmadd_ps(_mm256_mul_ps(z, z), cube, one));
        const __m256 e = ops_avx2_exp(_mm256_mul_ps(inner, factor));
        const __m256 v = _mm256_div_ps(z, _mm256_add_ps(one, e));
        _mm256_maskstore_ps(out + i, mask, _mm256_mul_ps(v, _mm256_maskload_ps(up + i, mask)));
    }
}

void bz_avx2_add(float *x, const float *y, size_t n)
{
    for (size_t i = 0; i < n; i += 8) {
        const __m256i mask = ops_avx2_first(n - i);
        _mm256_maskstore_ps(x + i, mask, _mm256_add_ps(_mm256_maskload_ps(x + i, mask), _mm256_maskload_ps(y + i, mask)));
    }
}

void bz_avx2_rope(float *x, const float *cos_table, const float *sin_table, size_t D)
{
    const size_t half = D / 2;
    for (size_t p = 0; p < half; p += 8) {
        const __m256i mask = ops_avx2_first(half - p);
        const __m256 a = _mm256_maskload_ps(x + p, mask), b = _mm256_maskload_ps(x + half + p, mask);
        const __m256 c = _mm256_maskload_ps(cos_table + p, mask), s = _mm256_maskload_ps(sin_table + p, mask);
        _mm256_maskstore_ps(x + p, mask, _mm256_sub_ps(_mm256_mul_ps(a, c), _mm256_mul_ps(b, s)));
        _mm256_maskstore_ps(x + half + p, mask, _mm256_add_ps(_mm256_mul_ps(b, c), _mm256_mul_ps(a, s)));
    }
}

void bz_avx2_f32_to_f16(uint16_t *out, const float *x, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm_storeu_si128((__m128i *)(void *)(out + i), _mm256_cvtps_ph(_mm256_loadu_ps(x + i), _MM_FROUND_TO_NEAREST_INT));
    for (; i < n; i++)
        out[i] = _cvtss_sh(x[i], _MM_FROUND_TO_NEAREST_INT);
}
