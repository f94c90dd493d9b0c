/* SPDX-License-Identifier: MIT */
/* The scalar level: plain C, the oracle of the others and the reference path of the library.
 * Invariant: every value depends on its row and position alone, never on T, the row range or the thread. Products with
 * integer activations go as compute/activation.h defines them. Sums of floats run in 16 interleaved partial sums (which
 * compilers turn into vector adds without being allowed to reorder) that are added as a tree.
 * It does not prefetch, does not use OpenBLAS and is not tuned beyond that. */
#include <bezel/engine.h>

#include "compute/activation.h"
#include "compute/kernel.h"
#include "compute/kernel_ref.h"
#include "compute/quant.h"

#include <math.h>
#include <string.h>

enum { REF_LANES = 16, REF_CHUNK = 1024 };

static float ref_sum(const float *lane)
{
    float s[REF_LANES];
    memcpy(s, lane, sizeof s);
    for (int half = REF_LANES / 2; half > 0; half /= 2)
        for (int i = 0; i < half; i++)
            s[i] += s[i + half];
    return s[0];
}

static float ref_dot(const float *a, const float *b, size_t n)
{
    float lane[REF_LANES] = {0};
    size_t i = 0;
    for (; i + REF_LANES <= n; i += REF_LANES)
        for (size_t j = 0; j < REF_LANES; j++)
            lane[j] += a[i + j] * b[i + j];
    for (size_t j = 0; i < n; i++, j++)
        lane[j] += a[i] * b[i];
    return ref_sum(lane);
}

/* ---- products --------------------------------------------------------------------------------------------------------- */

/* Groups of a chunk of a row, unpacked. */
typedef struct ref_chunk {
    int8_t w[REF_CHUNK];
    float d[REF_CHUNK / 16], m[REF_CHUNK / 16];
    size_t part; /* elements of one scale */
    int has_min;
} ref_chunk;

/* Goes on from y through n groups: the defined order (compute/activation.h). */
static float ref_dot_groups(const ref_chunk *c, bz_activation_row x, size_t n, float y)
{
    const size_t part = c->part;
    for (size_t p = 0; p < n * BZ_QUANT_GROUP / part; p++) {
        int32_t sum = 0;
        for (size_t i = p * part; i < (p + 1) * part; i++)
            sum += c->w[i] * x.q[i];
        y = fmaf((float)sum, c->d[p] * x.d[p * part / BZ_QUANT_GROUP], y);
        if (c->has_min)
            y = fmaf(-c->m[p], part == 16 ? x.sum[p] : x.total[p], y);
    }
    return y;
}

static int ref_matmul_q8(float *y, size_t y_stride, const void *w, uint32_t dtype, size_t n_begin, size_t n_end,
                         const void *x, size_t x_stride, size_t T, size_t K)
{
    if (!bz_quant_has_groups(dtype))
        return 0;
    ref_chunk c = {.part = bz_quant_part(dtype), .has_min = bz_quant_has_min(dtype)};
    const size_t row_size = bz_quant_row_size(dtype, K), n_groups = K / BZ_QUANT_GROUP;
    for (size_t n = n_begin; n < n_end; n++) {
        const uint8_t *row = (const uint8_t *)w + n * row_size;
        for (size_t g = 0; g < n_groups; g += REF_CHUNK / BZ_QUANT_GROUP) {
            const size_t left = n_groups - g;
            const size_t step = left < REF_CHUNK / BZ_QUANT_GROUP ? left : REF_CHUNK / BZ_QUANT_GROUP;
            bz_quant_unpack(c.w, c.d, c.m, row, dtype, g, step);
            for (size_t t = 0; t < T; t++) {
                const bz_activation_row a = bz_activation_row_at(x, x_stride, t, K, g);
                y[t * y_stride + n] = ref_dot_groups(&c, a, step, g ? y[t * y_stride + n] : 0.0f);
            }
        }
    }
    return 1;
}

static void ref_matmul_f32(float *y, size_t y_stride, const void *w, uint32_t dtype, size_t n_begin, size_t n_end,
                           const float *x, size_t x_stride, size_t T, size_t K)
{
    float chunk[REF_CHUNK]; /* a multiple of every block */
    const size_t row_size = bz_quant_row_size(dtype, K), chunk_size = bz_quant_row_size(dtype, REF_CHUNK);
    for (size_t n = n_begin; n < n_end; n++) {
        const uint8_t *p = (const uint8_t *)w + n * row_size;
        for (size_t k = 0; k < K; k += REF_CHUNK, p += chunk_size) {
            const size_t step = K - k < REF_CHUNK ? K - k : REF_CHUNK;
            bz_quant_decode(chunk, p, dtype, step);
            for (size_t t = 0; t < T; t++) {
                const float part = ref_dot(chunk, x + t * x_stride + k, step);
                y[t * y_stride + n] = k ? y[t * y_stride + n] + part : part;
            }
        }
    }
}

static void ref_product(float *y, size_t y_stride, const float *x, size_t x_row, size_t x_column, const float *w, size_t w_stride,
                        size_t T, size_t K, size_t N)
{
    for (size_t t = 0; t < T; t++)
        for (size_t k = 0; k < K; k++)
            for (size_t n = 0; n < N; n++)
                y[t * y_stride + n] = fmaf(x[t * x_row + k * x_column], w[k * w_stride + n], y[t * y_stride + n]);
}

static void ref_dequantize(float *out, const void *row, uint32_t dtype, size_t K)
{
    bz_quant_decode(out, row, dtype, K);
}

/* ---- element-wise ----------------------------------------------------------------------------------------------------- */

static void ref_rms_norm(float *out, const float *x, const float *w, size_t n, float eps)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * (double)x[i];
    const float scale = (float)(1.0 / sqrt(sum / (double)n + (double)eps));
    for (size_t i = 0; i < n; i++)
        out[i] = x[i] * scale * w[i];
}

/* gelu_tanh(z) = z/2 (1 + tanh u) = z / (1 + exp(-2u)), u = sqrt(2/pi) (z + 0.044715 z^3). */
static void ref_geglu(float *out, const float *gate, const float *up, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const double z = (double)gate[i];
        const double u = 0.79788456080286535588 * (z + 0.044715 * z * z * z);
        out[i] = (float)(z / (1.0 + exp(-2.0 * u))) * up[i];
    }
}

static void ref_add(float *x, const float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] += y[i];
}

static void ref_rope(float *x, const float *cos_table, const float *sin_table, size_t D)
{
    const size_t half = D / 2;
    for (size_t p = 0; p < half; p++) {
        const float a = x[p], b = x[p + half];
        x[p] = a * cos_table[p] - b * sin_table[p];
        x[p + half] = b * cos_table[p] + a * sin_table[p];
    }
}

static void ref_f32_to_f16(uint16_t *out, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        out[i] = bz_f32_to_f16(x[i]);
}

/* ---- table ------------------------------------------------------------------------------------------------------------ */

const bz_kernel bz_kernel_ref = {
    .name = "scalar",
    .isa = BEZEL_ISA_SCALAR,
    .q8_row_size = bz_activation_row_size,
    .q8_quantize = bz_activation_quantize,
    .matmul_q8 = ref_matmul_q8,
    .matmul_f32 = ref_matmul_f32,
    .dequantize = ref_dequantize,
    .product = ref_product,
    .train = &bz_train_kernel_ref,
    .rms_norm = ref_rms_norm,
    .geglu = ref_geglu,
    .add = ref_add,
    .rope = ref_rope,
    .key_expand = bz_ref_key_expand,
    .key_scores = bz_ref_key_scores,
    .key_softmax = bz_ref_key_softmax,
    .key_mix = bz_ref_key_mix,
    .key_join = bz_ref_key_join,
    .f32_to_f16 = ref_f32_to_f16,
    .screen = bz_screen_scan_ref,
};
