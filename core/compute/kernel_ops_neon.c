/* SPDX-License-Identifier: MIT */
/* NEON level: norm, gated GELU, rotation, halves. The formulas of kernel_ref.c in four lanes, exp by a polynomial; the norm
 * adds squares in the eight lanes and the order of the AVX2 level.
 * Invariant: a result depends only on the operands, never on where they lie. It allocates nothing. */
#include "compute/kernel_exp_neon.h"
#include "compute/kernel_neon.h"

#include <arm_neon.h>
#include <math.h>
#include <string.h>

/* The first n of four floats, zero beyond; n may be more. */
BZ_NEON_INLINE float32x4_t ops_neon_load(const float *x, size_t n)
{
    float copy[4] = {0};
    if (n >= 4)
        return vld1q_f32(x);
    memcpy(copy, x, n * sizeof *x);
    return vld1q_f32(copy);
}

BZ_NEON_INLINE void ops_neon_store(float *out, float32x4_t v, size_t n)
{
    float copy[4];
    if (n >= 4) {
        vst1q_f32(out, v);
        return;
    }
    vst1q_f32(copy, v);
    memcpy(out, copy, n * sizeof *out);
}

void bz_neon_rms_norm(float *out, const float *x, const float *w, size_t n, float eps)
{
    float32x4_t sum[2] = {vdupq_n_f32(0.0f), vdupq_n_f32(0.0f)};
    for (size_t i = 0; i < n; i += 4) {
        const float32x4_t v = ops_neon_load(x + i, n - i);
        sum[i / 4 % 2] = vfmaq_f32(sum[i / 4 % 2], v, v);
    }
    const float32x4_t four = vaddq_f32(sum[0], sum[1]);
    const float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
    const double mean = (double)(vget_lane_f32(two, 0) + vget_lane_f32(two, 1)) / (double)n;
    const float scale = (float)(1.0 / sqrt(mean + (double)eps));
    for (size_t i = 0; i < n; i += 4) {
        const float32x4_t v = vmulq_n_f32(ops_neon_load(x + i, n - i), scale);
        ops_neon_store(out + i, vmulq_f32(v, ops_neon_load(w + i, n - i)), n - i);
    }
}

/* exp, x clamped to -87..88; NaN stays NaN. */
BZ_NEON_INLINE float32x4_t ops_neon_exp(float32x4_t x)
{
    return bz_neon_exp(vminq_f32(vmaxq_f32(x, vdupq_n_f32(-87.0f)), vdupq_n_f32(88.0f)));
}

/* z / (1 + exp(-2u)), u = sqrt(2/pi) (z + 0.044715 z^3). */
void bz_neon_geglu(float *out, const float *gate, const float *up, size_t n)
{
    const float32x4_t one = vdupq_n_f32(1.0f), cube = vdupq_n_f32(0.044715f), factor = vdupq_n_f32(-1.5957691216f);
    for (size_t i = 0; i < n; i += 4) {
        const float32x4_t z = ops_neon_load(gate + i, n - i);
        const float32x4_t inner = vmulq_f32(z, vfmaq_f32(one, vmulq_f32(z, z), cube));
        const float32x4_t v = vdivq_f32(z, vaddq_f32(one, ops_neon_exp(vmulq_f32(inner, factor))));
        ops_neon_store(out + i, vmulq_f32(v, ops_neon_load(up + i, n - i)), n - i);
    }
}

void bz_neon_add(float *x, const float *y, size_t n)
{
    for (size_t i = 0; i < n; i += 4)
        ops_neon_store(x + i, vaddq_f32(ops_neon_load(x + i, n - i), ops_neon_load(y + i, n - i)), n - i);
}

void bz_neon_rope(float *x, const float *cos_table, const float *sin_table, size_t D)
{
    const size_t half = D / 2;
    for (size_t p = 0; p < half; p += 4) {
        const size_t n = half - p;
        const float32x4_t a = ops_neon_load(x + p, n), b = ops_neon_load(x + half + p, n);
        const float32x4_t c = ops_neon_load(cos_table + p, n), s = ops_neon_load(sin_table + p, n);
        ops_neon_store(x + p, vsubq_f32(vmulq_f32(a, c), vmulq_f32(b, s)), n);
        ops_neon_store(x + half + p, vaddq_f32(vmulq_f32(b, c), vmulq_f32(a, s)), n);
    }
}

void bz_neon_f32_to_f16(uint16_t *out, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i += 4) {
        const uint16x4_t half = vreinterpret_u16_f16(vcvt_f16_f32(ops_neon_load(x + i, n - i)));
        uint16_t copy[4];
        vst1_u16(copy, half);
        memcpy(out + i, copy, (n - i < 4 ? n - i : 4) * sizeof *out);
    }
}
