/* SPDX-License-Identifier: MIT */
/* AVX-512 level: the table, integer activations, and products with float activations: four rows of weights are widened into
 * a buffer and multiplied with tiles of positions.
 * Invariant: a value is summed in 16 lanes that are added by one tree; tiles only decide what is computed side by side, so a
 * row's value never depends on T or on its neighbours. */
#include "compute/kernel_avx512.h"

#include <bezel/engine.h>

#include "compute/activation.h"
#include "compute/kernel.h"
#include "compute/kernel_avx2.h"
#include "compute/quant.h"

#include <immintrin.h>
#include <math.h>
#include <string.h>

#define AVX512_INLINE static inline __attribute__((always_inline))
#if defined(__clang__)
#define AVX512_UNROLL _Pragma("clang loop unroll(full)")
#else
#define AVX512_UNROLL _Pragma("GCC unroll 16")
#endif

/* ORDER: the tile functions are written out for 4 and 1 rows, and 4, 2 and 1 positions. */
enum { AVX512_ROWS = 4, AVX512_CHUNK_F32 = 1024 };

typedef struct avx512_tile_f32 {
    _Alignas(64) float w[AVX512_ROWS][AVX512_CHUNK_F32];
    size_t n; /* elements of the chunk */
    int add;
} avx512_tile_f32;

AVX512_INLINE __mmask16 avx512_first(size_t n)
{
    return (__mmask16)(n >= 16 ? 0xffffu : (1u << n) - 1u);
}

/* Lanes added as a tree: 8 apart, 4, 2, 1. */
AVX512_INLINE float avx512_sum(__m512 v)
{
    const __m256 a = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    const __m128 b = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    const __m128 c = _mm_add_ps(b, _mm_movehl_ps(b, b));
    return _mm_cvtss_f32(_mm_add_ss(c, _mm_shuffle_ps(c, c, 1)));
}

/* ---- integer activations ---------------------------------------------------------------------------------------------- */

AVX512_INLINE __m256i avx512_quantize_half(const float *x, __m512 inverse, int32_t *sum)
{
    const __m512i q = _mm512_cvtps_epi32(_mm512_mul_ps(_mm512_loadu_ps(x), inverse));
    *sum = _mm512_reduce_add_epi32(q);
    return _mm512_cvtepi32_epi16(q);
}

static void avx512_q8_quantize(void *out, const float *x, size_t K)
{
    int16_t *q = out;
    float *d = (float *)(void *)((char *)out + K * sizeof(int16_t)), *sum = d + K / 32, *total = sum + K / 16;
    const __m512i sign = _mm512_set1_epi32(0x7fffffff);
    for (size_t g = 0; g < K / 32; g++, x += 32, q += 32) {
        const __m512i a = _mm512_and_si512(_mm512_loadu_si512(x), sign), b = _mm512_and_si512(_mm512_loadu_si512(x + 16), sign);
        const uint32_t bits = _mm512_reduce_max_epu32(_mm512_max_epu32(a, b));
        float max;
        memcpy(&max, &bits, sizeof max);
        const int finite = max < INFINITY;
        if (finite && max >= 1e-30f) {
            const __m512 inverse = _mm512_set1_ps(32767.0f / max);
            int32_t low, high;
            d[g] = max / 32767.0f;
            _mm256_storeu_si256((__m256i *)(void *)q, avx512_quantize_half(x, inverse, &low));
            _mm256_storeu_si256((__m256i *)(void *)(q + 16), avx512_quantize_half(x + 16, inverse, &high));
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
static void avx512_widen_groups(float *out, const void *row, uint32_t dtype, size_t group, size_t n)
{
    int8_t w[256];
    float d[16], m[16];
    const int has_min = bz_quant_has_min(dtype);
    const size_t pieces = bz_quant_part(dtype) / 16; /* sixteens of a part */
    for (size_t g = 0; g < n; g += 8, out += 256) {
        const size_t step = n - g < 8 ? n - g : 8;
        bz_avx2_unpack(w, d, m, row, dtype, group + g, step);
        for (size_t h = 0; h < 2 * step; h++) {
            const __m512i q = _mm512_cvtepi8_epi32(_mm_loadu_si128((const __m128i *)(const void *)(w + 16 * h)));
            const __m512 v = _mm512_cvtepi32_ps(q), scale = _mm512_set1_ps(d[h / pieces]);
            _mm512_storeu_ps(out + 16 * h,
                             has_min ? _mm512_fmsub_ps(v, scale, _mm512_set1_ps(m[h / pieces])) : _mm512_mul_ps(v, scale));
        }
    }
}

/* Elements [k, k + n) of a row to floats; k on a border of 256 for quantised types. */
static void avx512_widen(float *out, const void *row, uint32_t dtype, size_t k, size_t n)
{
    const char *p = row;
    if (dtype == BZ_DTYPE_F32) {
        memcpy(out, p + 4 * k, 4 * n);
        return;
    }
    if (dtype != BZ_DTYPE_F16 && dtype != BZ_DTYPE_BF16) {
        avx512_widen_groups(out, row, dtype, k / 32, n / 32);
        return;
    }
    for (size_t i = 0; i < n; i += 16) {
        const __mmask16 mask = avx512_first(n - i);
        const __m256i h = _mm256_maskz_loadu_epi16(mask, p + 2 * (k + i));
        const __m512 v = dtype == BZ_DTYPE_F16
                             ? _mm512_cvtph_ps(h)
                             : _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(h), 16));
        _mm512_mask_storeu_ps(out + i, mask, v);
    }
}

AVX512_INLINE void avx512_tile_float(float *y, size_t y_stride, const avx512_tile_f32 *tile, const float *x, size_t x_stride,
                                     const int rows, const int positions)
{
    __m512 acc[AVX512_ROWS][4];
    AVX512_UNROLL for (int r = 0; r < rows; r++)
        AVX512_UNROLL for (int t = 0; t < positions; t++) acc[r][t] = _mm512_setzero_ps();
    for (size_t i = 0; i < tile->n; i += 16) {
        const __mmask16 mask = avx512_first(tile->n - i);
        __m512 a[4];
        AVX512_UNROLL for (int t = 0; t < positions; t++) a[t] = _mm512_maskz_loadu_ps(mask, x + (size_t)t * x_stride + i);
        AVX512_UNROLL for (int r = 0; r < rows; r++)
        {
            const __m512 w = _mm512_maskz_loadu_ps(mask, tile->w[r] + i);
            AVX512_UNROLL for (int t = 0; t < positions; t++) acc[r][t] = _mm512_fmadd_ps(w, a[t], acc[r][t]);
        }
    }
    AVX512_UNROLL for (int t = 0; t < positions; t++)
        AVX512_UNROLL for (int r = 0; r < rows; r++)
        {
            float *out = y + (size_t)t * y_stride + r;
            const float v = avx512_sum(acc[r][t]);
            *out = tile->add ? *out + v : v;
        }
}

static void avx512_float_4x4(float *y, size_t y_stride, const avx512_tile_f32 *tile, const float *x, size_t x_stride)
{
    avx512_tile_float(y, y_stride, tile, x, x_stride, 4, 4);
}

static void avx512_float_4x1(float *y, size_t y_stride, const avx512_tile_f32 *tile, const float *x, size_t x_stride)
{
    avx512_tile_float(y, y_stride, tile, x, x_stride, 4, 1);
}

static void avx512_float_1x1(float *y, size_t y_stride, const avx512_tile_f32 *tile, const float *x, size_t x_stride)
{
    avx512_tile_float(y, y_stride, tile, x, x_stride, 1, 1);
}

static void avx512_matmul_f32(float *y, size_t y_stride, const void *w, uint32_t dtype, size_t n_begin, size_t n_end,
                              const float *x, size_t x_stride, size_t T, size_t K)
{
    avx512_tile_f32 tile;
    const size_t row_size = bz_quant_row_size(dtype, K);
    for (size_t n = n_begin, rows; n < n_end; n += rows) {
        rows = n_end - n >= AVX512_ROWS ? AVX512_ROWS : 1;
        for (size_t k = 0; k < K; k += AVX512_CHUNK_F32) {
            tile.n = K - k < AVX512_CHUNK_F32 ? K - k : AVX512_CHUNK_F32;
            tile.add = k > 0;
            for (size_t r = 0; r < rows; r++)
                avx512_widen(tile.w[r], (const char *)w + (n + r) * row_size, dtype, k, tile.n);
            for (size_t t = 0, step; t < T; t += step) {
                float *out = y + t * y_stride + n;
                const float *a = x + t * x_stride + k;
                step = rows == 4 && T - t >= 4 ? 4 : 1;
                if (step == 4)
                    avx512_float_4x4(out, y_stride, &tile, a, x_stride);
                else if (rows == 4)
                    avx512_float_4x1(out, y_stride, &tile, a, x_stride);
                else
                    avx512_float_1x1(out, y_stride, &tile, a, x_stride);
            }
        }
    }
}

static void avx512_dequantize(float *out, const void *row, uint32_t dtype, size_t K)
{
    avx512_widen(out, row, dtype, 0, K);
}

static void avx512_q8_quantize_amx(void *out, const float *x, size_t K)
{
    avx512_q8_quantize(out, x, K);
    bz_amx_split(out, K);
}

/* ---- table ------------------------------------------------------------------------------------------------------------ */

#define AVX512_TABLE(level, level_name, quantized, row_size, quantize, most) \
    {                                                                       \
        .name = level_name,                                                 \
        .isa = level,                                                       \
        .q8_row_size = row_size,                                            \
        .q8_quantize = quantize,                                            \
        .matmul_q8 = quantized,                                             \
        .matmul_q8_listed = bz_avx2_decode_listed,                          \
        .matmul_packed = bz_avx512_matmul_packed,                           \
        .packed_most = most,                                                \
        .matmul_f32 = avx512_matmul_f32,                                    \
        .dequantize = avx512_dequantize,                                    \
        .product = bz_avx512_product,                                       \
        .train = &bz_train_kernel_avx512,                                   \
        .rms_norm = bz_avx512_rms_norm,                                     \
        .geglu = bz_avx512_geglu,                                           \
        .add = bz_avx512_add,                                               \
        .rope = bz_avx512_rope,                                             \
        .key_expand = bz_avx512_key_expand,                                 \
        .key_scores = bz_avx512_key_scores,                                 \
        .key_softmax = bz_avx512_key_softmax,                               \
        .key_mix = bz_avx512_key_mix,                                       \
        .key_join = bz_avx512_key_join,                                     \
        .f32_to_f16 = bz_avx512_f32_to_f16,                                 \
        .screen = bz_avx512_screen,                                         \
    }

const bz_kernel bz_kernel_avx512 = AVX512_TABLE(BEZEL_ISA_AVX512, "avx512", bz_avx512_matmul_q8, bz_activation_row_size,
                                                avx512_q8_quantize, 16);
const bz_kernel bz_kernel_amx = AVX512_TABLE(BEZEL_ISA_AMX, "amx", bz_avx512_matmul_q8_amx, bz_amx_row_size,
                                             avx512_q8_quantize_amx, 4);
