/* SPDX-License-Identifier: MIT */
/* NEON level (Armv8-A; with dot products where the processor has them): the table, integer activations, and products with
 * float activations: four rows of weights are widened into a buffer and multiplied with tiles of positions. Products with
 * integer activations: kernel_gemm_neon, kernel_decode_neon, and the same with dotprod.
 * Invariant: a value is summed in 8 lanes that are added by one tree, the order of the AVX2 level; tiles only decide what is
 * computed side by side, so a row's value never depends on T or on its neighbours.
 * Left to the scalar reference: unpacking of Q8_1, Q2_K, Q3_K, Q8_K and IQ4_XS (their products are NEON), and the last
 * elements of odd rows of halves. Does not use the matrix products of Armv8.6 (i8mm). */
#include "compute/kernel_neon.h"

#include <bezel/engine.h>

#include "compute/activation.h"
#include "compute/kernel.h"
#include "compute/quant.h"

#include <arm_neon.h>
#include <math.h>
#include <string.h>

/* ORDER: the tile functions are written out for 2 rows x 4 positions, 4 x 1, 1 x 1. */
enum { NEON_ROWS = 4, NEON_CHUNK_F32 = 1024 };

typedef struct neon_tile_f32 {
    _Alignas(16) float w[NEON_ROWS][NEON_CHUNK_F32]; /* zero from n to the next multiple of 8 */
    size_t n;                                        /* elements of the chunk */
    int add;
} neon_tile_f32;

/* ---- integer activations ---------------------------------------------------------------------------------------------- */

/* Bits of the largest magnitude of 32 floats. */
BZ_NEON_INLINE uint32_t neon_max_bits(const float *x)
{
    uint32x4_t most = vdupq_n_u32(0);
    BZ_NEON_UNROLL for (size_t i = 0; i < 32; i += 4) most = vmaxq_u32(most, vreinterpretq_u32_f32(vabsq_f32(vld1q_f32(x + i))));
    return vmaxvq_u32(most);
}

/* 16 floats to integers; returns their sum. */
BZ_NEON_INLINE int32_t neon_quantize_half(int16_t *q, const float *x, float inverse)
{
    int32x4_t sum = vdupq_n_s32(0);
    BZ_NEON_UNROLL for (size_t i = 0; i < 16; i += 8)
    {
        const int32x4_t a = vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(x + i), inverse));
        const int32x4_t b = vcvtnq_s32_f32(vmulq_n_f32(vld1q_f32(x + i + 4), inverse));
        vst1q_s16(q + i, vcombine_s16(vqmovn_s32(a), vqmovn_s32(b)));
        sum = vaddq_s32(sum, vaddq_s32(a, b));
    }
    return vaddvq_s32(sum);
}

static void neon_q8_quantize(void *out, const float *x, size_t K)
{
    int16_t *q = out;
    float *d = (float *)(void *)((char *)out + K * sizeof(int16_t)), *sum = d + K / 32, *total = sum + K / 16;
    for (size_t g = 0; g < K / 32; g++, x += 32, q += 32) {
        const uint32_t bits = neon_max_bits(x);
        float max;
        memcpy(&max, &bits, sizeof max);
        const int finite = max < INFINITY;
        if (finite && max >= 1e-30f) {
            const float inverse = 32767.0f / max;
            d[g] = max / 32767.0f;
            const int32_t low = neon_quantize_half(q, x, inverse), high = neon_quantize_half(q + 16, x + 16, inverse);
            sum[2 * g] = d[g] * (float)low;
            sum[2 * g + 1] = d[g] * (float)high;
            total[g] = d[g] * (float)(low + high);
        } else {
            d[g] = total[g] = sum[2 * g] = sum[2 * g + 1] = finite ? 0.0f : NAN;
            memset(q, 0, 32 * sizeof *q);
        }
    }
}

static void neon_q8_quantize_dotprod(void *out, const float *x, size_t K)
{
    neon_q8_quantize(out, x, K);
    bz_dotprod_split(out, K);
}

/* ---- float activations ------------------------------------------------------------------------------------------------ */

/* Groups of one row to floats, d * w - m: the product is exact, so the fused form rounds as quant.c does. */
static void neon_widen_groups(float *out, const void *row, uint32_t dtype, size_t group, size_t n)
{
    int8_t w[256];
    float d[16], m[16];
    const int has_min = bz_quant_has_min(dtype);
    const size_t pieces = bz_quant_part(dtype) / 8; /* eights of a part */
    for (size_t g = 0; g < n; g += 8, out += 256) {
        const size_t step = n - g < 8 ? n - g : 8;
        bz_neon_unpack(w, d, m, row, dtype, group + g, step);
        for (size_t e = 0; e < 4 * step; e++) {
            const int16x8_t q = vmovl_s8(vld1_s8(w + 8 * e));
            const float32x4_t low = vcvtq_f32_s32(vmovl_s16(vget_low_s16(q))), high = vcvtq_f32_s32(vmovl_high_s16(q));
            const float scale = d[e / pieces];
            if (has_min) {
                const float32x4_t min = vdupq_n_f32(-m[e / pieces]);
                vst1q_f32(out + 8 * e, vfmaq_n_f32(min, low, scale));
                vst1q_f32(out + 8 * e + 4, vfmaq_n_f32(min, high, scale));
            } else {
                vst1q_f32(out + 8 * e, vmulq_n_f32(low, scale));
                vst1q_f32(out + 8 * e + 4, vmulq_n_f32(high, scale));
            }
        }
    }
}

/* Elements [k, k + n) of a row to floats; k on a border of 256 for quantised types. */
static void neon_widen(float *out, const void *row, uint32_t dtype, size_t k, size_t n)
{
    const char *p = row;
    size_t i = 0;
    if (dtype == BZ_DTYPE_F32) {
        memcpy(out, p + 4 * k, 4 * n);
        return;
    }
    if (dtype != BZ_DTYPE_F16 && dtype != BZ_DTYPE_BF16) {
        neon_widen_groups(out, row, dtype, k / 32, n / 32);
        return;
    }
    for (; i + 4 <= n; i += 4) {
        const uint16x4_t h = vld1_u16((const uint16_t *)(const void *)(p + 2 * (k + i)));
        vst1q_f32(out + i, dtype == BZ_DTYPE_F16 ? vcvt_f32_f16(vreinterpret_f16_u16(h))
                                                 : vreinterpretq_f32_u32(vshll_n_u16(h, 16)));
    }
    bz_quant_decode(out + i, p + 2 * (k + i), dtype, n - i);
}

/* Lanes added as a tree: 4 apart, 2, 1. */
BZ_NEON_INLINE float neon_sum(float32x4_t low, float32x4_t high)
{
    const float32x4_t four = vaddq_f32(low, high);
    const float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}

BZ_NEON_INLINE void neon_tile_float(float *y, size_t y_stride, const neon_tile_f32 *tile, size_t first, const float *x,
                                    size_t x_stride, const int rows, const int positions)
{
    float32x4_t acc[4][4][2];
    BZ_NEON_UNROLL for (int r = 0; r < rows; r++)
        BZ_NEON_UNROLL for (int t = 0; t < positions; t++) acc[r][t][0] = acc[r][t][1] = vdupq_n_f32(0.0f);
    const size_t whole = tile->n & ~(size_t)7;
    for (size_t i = 0; i < tile->n; i += 8) {
        BZ_NEON_UNROLL for (int t = 0; t < positions; t++)
        {
            const float *a = x + (size_t)t * x_stride + i;
            float copy[8] = {0};
            if (i == whole)
                a = memcpy(copy, a, (tile->n - whole) * sizeof *a);
            BZ_NEON_UNROLL for (size_t h = 0; h < 2; h++)
            {
                const float32x4_t v = vld1q_f32(a + 4 * h);
                BZ_NEON_UNROLL for (int r = 0; r < rows; r++) acc[r][t][h] =
                    vfmaq_f32(acc[r][t][h], vld1q_f32(tile->w[first + (size_t)r] + i + 4 * h), v);
            }
        }
    }
    BZ_NEON_UNROLL for (int t = 0; t < positions; t++)
        BZ_NEON_UNROLL for (int r = 0; r < rows; r++)
        {
            float *out = y + (size_t)t * y_stride + r;
            const float v = neon_sum(acc[r][t][0], acc[r][t][1]);
            *out = tile->add ? *out + v : v;
        }
}

static void neon_float_2x4(float *y, size_t y_stride, const neon_tile_f32 *tile, size_t first, const float *x, size_t x_stride)
{
    neon_tile_float(y, y_stride, tile, first, x, x_stride, 2, 4);
}

static void neon_float_4x1(float *y, size_t y_stride, const neon_tile_f32 *tile, const float *x, size_t x_stride)
{
    neon_tile_float(y, y_stride, tile, 0, x, x_stride, 4, 1);
}

static void neon_float_1x1(float *y, size_t y_stride, const neon_tile_f32 *tile, const float *x, size_t x_stride)
{
    neon_tile_float(y, y_stride, tile, 0, x, x_stride, 1, 1);
}

static void neon_float_positions(float *y, size_t y_stride, const neon_tile_f32 *tile, size_t rows, const float *x,
                                 size_t x_stride, size_t T)
{
    for (size_t t = 0, step; t < T; t += step) {
        float *out = y + t * y_stride;
        const float *a = x + t * x_stride;
        step = rows == NEON_ROWS && T - t >= 4 ? 4 : 1;
        if (step == 4) {
            neon_float_2x4(out, y_stride, tile, 0, a, x_stride);
            neon_float_2x4(out + 2, y_stride, tile, 2, a, x_stride);
        } else if (rows == NEON_ROWS) {
            neon_float_4x1(out, y_stride, tile, a, x_stride);
        } else {
            neon_float_1x1(out, y_stride, tile, a, x_stride);
        }
    }
}

static void neon_matmul_f32(float *y, size_t y_stride, const void *w, uint32_t dtype, size_t n_begin, size_t n_end,
                            const float *x, size_t x_stride, size_t T, size_t K)
{
    neon_tile_f32 tile;
    const size_t row_size = bz_quant_row_size(dtype, K);
    for (size_t n = n_begin, rows; n < n_end; n += rows) {
        rows = n_end - n >= NEON_ROWS ? NEON_ROWS : 1;
        for (size_t k = 0; k < K; k += NEON_CHUNK_F32) {
            tile.n = K - k < NEON_CHUNK_F32 ? K - k : NEON_CHUNK_F32;
            tile.add = k > 0;
            for (size_t r = 0; r < rows; r++) {
                neon_widen(tile.w[r], (const char *)w + (n + r) * row_size, dtype, k, tile.n);
                for (size_t i = tile.n; i % 8 != 0; i++)
                    tile.w[r][i] = 0.0f;
            }
            neon_float_positions(y + n, y_stride, &tile, rows, x + k, x_stride, T);
        }
    }
}

static void neon_dequantize(float *out, const void *row, uint32_t dtype, size_t K)
{
    neon_widen(out, row, dtype, 0, K);
}

/* ---- table ------------------------------------------------------------------------------------------------------------ */

#define NEON_TABLE(row_size, quantize, quantized, listed, scan) \
    { \
        .name = "neon", \
        .isa = BEZEL_ISA_NEON, \
        .q8_row_size = row_size, \
        .q8_quantize = quantize, \
        .matmul_q8 = quantized, \
        .matmul_q8_listed = listed, \
        .matmul_f32 = neon_matmul_f32, \
        .dequantize = neon_dequantize, \
        .product = bz_neon_product, \
        .train = &bz_train_kernel_neon, \
        .rms_norm = bz_neon_rms_norm, \
        .geglu = bz_neon_geglu, \
        .add = bz_neon_add, \
        .rope = bz_neon_rope, \
        .key_expand = bz_neon_key_expand, \
        .key_scores = bz_neon_key_scores, \
        .key_softmax = bz_neon_key_softmax, \
        .key_mix = bz_neon_key_mix, \
        .key_join = bz_neon_key_join, \
        .f32_to_f16 = bz_neon_f32_to_f16, \
        .screen = scan, \
    }

const bz_kernel bz_kernel_neon =
    NEON_TABLE(bz_activation_row_size, neon_q8_quantize, bz_neon_matmul_q8, bz_neon_decode_listed, bz_neon_screen);
const bz_kernel bz_kernel_neon_dotprod = NEON_TABLE(bz_dotprod_row_size, neon_q8_quantize_dotprod, bz_dotprod_matmul_q8,
                                                    bz_dotprod_decode_listed, bz_dotprod_screen);
