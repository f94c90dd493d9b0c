/* SPDX-License-Identifier: MIT */
/* AVX2 level: the table, integer activations, and products with float activations: four rows of weights are widened into a
 * buffer and multiplied with tiles of positions. Products with integer activations: kernel_gemm_avx2, kernel_decode_avx2.
 * Invariant: a value is summed in 8 lanes that are added by one tree; tiles only decide what is computed side by side, so a
 * row's value never depends on T or on its neighbours. */
#include "compute/kernel_avx2.h"

#include <bezel/engine.h>

#include "compute/activation.h"
#include "compute/kernel.h"
#include "compute/quant.h"

#include <immintrin.h>
#include <math.h>
#include <string.h>

#define AVX2_INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define AVX2_UNROLL _Pragma("clang loop unroll(full)")
#else
#define AVX2_UNROLL _Pragma("GCC unroll 16")
#endif

/* ORDER: the tile functions are written out for 2 rows x 4 positions, 4 x 1, 1 x 1; 16 registers hold no more. */
enum { AVX2_ROWS = 4, AVX2_CHUNK_F32 = 1024 };

typedef struct avx2_tile_f32 {
    _Alignas(32) float w[AVX2_ROWS][AVX2_CHUNK_F32];
    size_t n; /* elements of the chunk */
    int add;
} avx2_tile_f32;

/* Mask of the first n of 8 lanes. */
AVX2_INLINE __m256i avx2_first(size_t n)
{
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n >= 8 ? 8 : (int)n), lane);
}

/* Lanes added as a tree: 4 apart, 2, 1. */
AVX2_INLINE float avx2_sum(__m256 v)
{
    const __m128 b = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    const __m128 c = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(c, _mm_shuffle_ps(c, c, 1)));
}

/* ---- integer activations ---------------------------------------------------------------------------------------------- */

AVX2_INLINE __m256i avx2_magnitude(const float *x)
{
    const __m256i sign = _mm256_set1_epi32(0x7fffffff);
    return _mm256_and_si256(_mm256_loadu_si256((const __m256i *)(const void *)x), sign);
}

/* Bits of the largest magnitude of 32 floats. */
AVX2_INLINE uint32_t avx2_max_bits(const float *x)
{
    const __m256i a = _mm256_max_epu32(avx2_magnitude(x), avx2_magnitude(x + 8));
    const __m256i b = _mm256_max_epu32(avx2_magnitude(x + 16), avx2_magnitude(x + 24));
    const __m256i c = _mm256_max_epu32(a, b);
    __m128i d = _mm_max_epu32(_mm256_castsi256_si128(c), _mm256_extracti128_si256(c, 1));
    d = _mm_max_epu32(d, _mm_shuffle_epi32(d, 0x4e));
    d = _mm_max_epu32(d, _mm_shuffle_epi32(d, 0xb1));
    return (uint32_t)_mm_cvtsi128_si32(d);
}

/* 16 floats to integers; returns their sum. */
AVX2_INLINE int32_t avx2_quantize_half(int16_t *q, const float *x, __m256 inverse)
{
    const __m256i a = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x), inverse));
    const __m256i b = _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + 8), inverse));
    const __m256i packed = _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xd8);
    _mm256_storeu_si256((__m256i *)(void *)q, packed);
    const __m256i c = _mm256_add_epi32(a, b);
    __m128i s = _mm_add_epi32(_mm256_castsi256_si128(c), _mm256_extracti128_si256(c, 1));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0x4e));
    s = _mm_add_epi32(s, _mm_shuffle_epi32(s, 0xb1));
    return _mm_cvtsi128_si32(s);
}

static void avx2_q8_quantize(void *out, const float *x, size_t K)
{
    int16_t *q = out;
    float *d = (float *)(void *)((char *)out + K * sizeof(int16_t)), *sum = d + K / 32, *total = sum + K / 16;
    for (size_t g = 0; g < K / 32; g++, x += 32, q += 32) {
        const uint32_t bits = avx2_max_bits(x);
        float max;
        memcpy(&max, &bits, sizeof max);
        const int finite = max < INFINITY;
        if (finite && max >= 1e-30f) {
            const __m256 inverse = _mm256_set1_ps(32767.0f / max);
            d[g] = max / 32767.0f;
            const int32_t low = avx2_quantize_half(q, x, inverse), high = avx2_quantize_half(q + 16, x + 16, inverse);
            sum[2 * g] = d[g] * (float)low;
            sum[2 * g + 1] = d[g] * (float)high;
            total[g] = d[g] * (float)(low + high);
        } else {
            d[g] = total[g] = sum[2 * g] = sum[2 * g + 1] = finite ? 0.0f : NAN;
            memset(q, 0, 32 * sizeof *q);
        }
    }
}

/* ---- float activations ------------------------------------------------------------------------------------------------ */

/* Groups of one row to floats, d * w - m: the product is exact, so the fused form rounds as quant.c does. */
static void avx2_widen_groups(float *out, const void *row, uint32_t dtype, size_t group, size_t n)
{
    int8_t w[256];
    float d[16], m[16];
    const int has_min = bz_quant_has_min(dtype);
    const size_t pieces = bz_quant_part(dtype) / 8; /* eights of a part */
    for (size_t g = 0; g < n; g += 8, out += 256) {
        const size_t step = n - g < 8 ? n - g : 8;
        bz_avx2_unpack(w, d, m, row, dtype, group + g, step);
        for (size_t e = 0; e < 4 * step; e++) {
            const __m256i q = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const __m128i *)(const void *)(w + 8 * e)));
            const __m256 v = _mm256_cvtepi32_ps(q), scale = _mm256_broadcast_ss(d + e / pieces);
            _mm256_storeu_ps(out + 8 * e, has_min ? _mm256_fmsub_ps(v, scale, _mm256_broadcast_ss(m + e / pieces))
                                                  : _mm256_mul_ps(v, scale));
        }
    }
}

/* Elements [k, k + n) of a row to floats; k on a border of 256 for quantised types. */
static void avx2_widen(float *out, const void *row, uint32_t dtype, size_t k, size_t n)
{
    const char *p = row;
    size_t i = 0;
    if (dtype == BZ_DTYPE_F32) {
        memcpy(out, p + 4 * k, 4 * n);
        return;
    }
    if (dtype != BZ_DTYPE_F16 && dtype != BZ_DTYPE_BF16) {
        avx2_widen_groups(out, row, dtype, k / 32, n / 32);
        return;
    }
    for (; i + 8 <= n; i += 8) {
        const __m128i h = _mm_loadu_si128((const __m128i *)(const void *)(p + 2 * (k + i)));
        _mm256_storeu_ps(out + i, dtype == BZ_DTYPE_F16
                                      ? _mm256_cvtph_ps(h)
                                      : _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(h), 16)));
    }
    bz_quant_decode(out + i, p + 2 * (k + i), dtype, n - i);
}

AVX2_INLINE void avx2_tile_float(float *y, size_t y_stride, const avx2_tile_f32 *tile, size_t first, const float *x,
                                 size_t x_stride, const int rows, const int positions)
{
    __m256 acc[4][4];
    AVX2_UNROLL for (int r = 0; r < rows; r++)
        AVX2_UNROLL for (int t = 0; t < positions; t++) acc[r][t] = _mm256_setzero_ps();
    for (size_t i = 0; i < tile->n; i += 8) {
        const __m256i mask = avx2_first(tile->n - i);
        __m256 w[4];
        AVX2_UNROLL for (int r = 0; r < rows; r++) w[r] = _mm256_maskload_ps(tile->w[first + (size_t)r] + i, mask);
        AVX2_UNROLL for (int t = 0; t < positions; t++)
        {
            const __m256 a = _mm256_maskload_ps(x + (size_t)t * x_stride + i, mask);
            AVX2_UNROLL for (int r = 0; r < rows; r++) acc[r][t] = _mm256_fmadd_ps(w[r], a, acc[r][t]);
        }
    }
    AVX2_UNROLL for (int t = 0; t < positions; t++)
        AVX2_UNROLL for (int r = 0; r < rows; r++)
        {
            float *out = y + (size_t)t * y_stride + r;
            const float v = avx2_sum(acc[r][t]);
            *out = tile->add ? *out + v : v;
        }
}

static void avx2_float_2x4(float *y, size_t y_stride, const avx2_tile_f32 *tile, size_t first, const float *x, size_t x_stride)
{
    avx2_tile_float(y, y_stride, tile, first, x, x_stride, 2, 4);
}

static void avx2_float_4x1(float *y, size_t y_stride, const avx2_tile_f32 *tile, const float *x, size_t x_stride)
{
    avx2_tile_float(y, y_stride, tile, 0, x, x_stride, 4, 1);
}

static void avx2_float_1x1(float *y, size_t y_stride, const avx2_tile_f32 *tile, const float *x, size_t x_stride)
{
    avx2_tile_float(y, y_stride, tile, 0, x, x_stride, 1, 1);
}

static void avx2_float_positions(float *y, size_t y_stride, const avx2_tile_f32 *tile, size_t rows, const float *x,
                                 size_t x_stride, size_t T)
{
    for (size_t t = 0, step; t < T; t += step) {
        float *out = y + t * y_stride;
        const float *a = x + t * x_stride;
        step = rows == AVX2_ROWS && T - t >= 4 ? 4 : 1;
        if (step == 4) {
            avx2_float_2x4(out, y_stride, tile, 0, a, x_stride);
            avx2_float_2x4(out + 2, y_stride, tile, 2, a, x_stride);
        } else if (rows == AVX2_ROWS) {
            avx2_float_4x1(out, y_stride, tile, a, x_stride);
        } else {
            avx2_float_1x1(out, y_stride, tile, a, x_stride);
        }
    }
}

static void avx2_matmul_f32(float *y, size_t y_stride, const void *w, uint32_t dtype, size_t n_begin, size_t n_end,
                            const float *x, size_t x_stride, size_t T, size_t K)
{
    avx2_tile_f32 tile;
    const size_t row_size = bz_quant_row_size(dtype, K);
    for (size_t n = n_begin, rows; n < n_end; n += rows) {
        rows = n_end - n >= AVX2_ROWS ? AVX2_ROWS : 1;
        for (size_t k = 0; k < K; k += AVX2_CHUNK_F32) {
            tile.n = K - k < AVX2_CHUNK_F32 ? K - k : AVX2_CHUNK_F32;
            tile.add = k > 0;
            for (size_t r = 0; r < rows; r++)
                avx2_widen(tile.w[r], (const char *)w + (n + r) * row_size, dtype, k, tile.n);
            avx2_float_positions(y + n, y_stride, &tile, rows, x + k, x_stride, T);
        }
    }
}

static void avx2_dequantize(float *out, const void *row, uint32_t dtype, size_t K)
{
    avx2_widen(out, row, dtype, 0, K);
}

/* ---- table ------------------------------------------------------------------------------------------------------------ */

#define AVX2_TABLE(quantized) \
    { \
        .name = "avx2", \
        .isa = BEZEL_ISA_AVX2, \
        .q8_row_size = bz_activation_row_size, \
        .q8_quantize = avx2_q8_quantize, \
        .matmul_q8 = quantized, \
        .matmul_q8_listed = bz_avx2_decode_listed, \
        .matmul_packed = bz_avx2_matmul_packed, \
        .packed_most = 2, \
        .matmul_f32 = avx2_matmul_f32, \
        .dequantize = avx2_dequantize, \
        .product = bz_avx2_product, \
        .train = &bz_train_kernel_avx2, \
        .rms_norm = bz_avx2_rms_norm, \
        .geglu = bz_avx2_geglu, \
        .add = bz_avx2_add, \
        .rope = bz_avx2_rope, \
        .key_expand = bz_avx2_key_expand, \
        .key_scores = bz_avx2_key_scores, \
        .key_softmax = bz_avx2_key_softmax, \
        .key_mix = bz_avx2_key_mix, \
        .key_join = bz_avx2_key_join, \
        .f32_to_f16 = bz_avx2_f32_to_f16, \
        .screen = bz_avx2_screen, \
    }

const bz_kernel bz_kernel_avx2 = AVX2_TABLE(bz_avx2_matmul_q8);
const bz_kernel bz_kernel_avx2_vnni = AVX2_TABLE(bz_avx2_matmul_q8_vnni);
