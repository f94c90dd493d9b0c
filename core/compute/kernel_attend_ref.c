/* SPDX-License-Identifier: MIT */
/* Scalar level of attention: the order of sums of key_block.h in plain C, the oracle of the other levels.
 * Invariant: a row's numbers depend on the row and the keys it sees. It is not tuned. */
#include "compute/kernel_ref.h"
#include "compute/quant.h"

#include <math.h>
#include <string.h>

enum { ATTEND_LANES = 16 };

/* n = x / ln2 rounded to nearest even (by adding and taking off 1.5 * 2^23), r = x - n ln2 with |r| <= ln2 / 2, Taylor to r^7
 * (remainder 5e-9), times 2^n. ln2 in two parts, the first of 10 bits. */
float bz_key_exp(float x)
{
    static const float factor[8] = {1.0f / 5040.0f, 1.0f / 720.0f, 1.0f / 120.0f, 1.0f / 24.0f,
                                    1.0f / 6.0f,    0.5f,          1.0f,          1.0f};
    if (x != x)
        return x;
    if (x < -87.0f)
        return 0.0f;
    const float n = x * 1.44269504f + 12582912.0f - 12582912.0f;
    const float r = fmaf(-n, -2.12194440e-4f, fmaf(-n, 0.693359375f, x));
    float p = factor[0];
    for (int i = 1; i < 8; i++)
        p = fmaf(p, r, factor[i]);
    const uint32_t bits = (uint32_t)((int32_t)n + 127) << 23;
    float power;
    memcpy(&power, &bits, sizeof power);
    return p * power;
}

static float attend_tree(float *lane)
{
    for (size_t half = ATTEND_LANES / 2; half > 0; half /= 2)
        for (size_t i = 0; i < half; i++)
            lane[i] += lane[i + half];
    return lane[0];
}

static float attend_dot(const float *q, const float *k, size_t n)
{
    float lane[ATTEND_LANES] = {0};
    for (size_t i = 0; i < n; i += ATTEND_LANES)
        for (size_t j = 0; j < ATTEND_LANES; j++)
            lane[j] = fmaf(q[i + j], k[i + j], lane[j]);
    return attend_tree(lane);
}

void bz_ref_key_expand(float *out, size_t stride, const void *rows, size_t row_size, uint32_t dtype, size_t D, size_t n)
{
    for (size_t r = 0; r < n; r++, out += stride) {
        const uint8_t *row = (const uint8_t *)rows + r * row_size;
        if (dtype == BZ_DTYPE_F16) {
            for (size_t i = 0; i < D; i++)
                out[i] = bz_f16_to_f32(((const uint16_t *)(const void *)row)[i]);
        } else if (dtype == BZ_DTYPE_I8) {
            float scale;
            memcpy(&scale, row, sizeof scale);
            for (size_t i = 0; i < D; i++)
                out[i] = (float)(int8_t)row[sizeof scale + i] * scale;
        } else {
            memcpy(out, row, D * sizeof *out);
        }
        memset(out + D, 0, ((D + 15) / 16 * 16 - D) * sizeof *out);
    }
}

void bz_ref_key_scores(float *s, const float *q, size_t q_stride, size_t n_rows, const float *k, size_t k_stride, size_t D16,
                       const uint8_t *begin, const uint8_t *end, float scale)
{
    for (size_t r = 0; r < n_rows; r++)
        for (size_t j = begin[r]; j < end[r]; j++)
            s[r * BZ_KEY_BLOCK + j] = attend_dot(q + r * q_stride, k + j * k_stride, D16) * scale;
}

/* Maximum mb and sum lb of a block, or of a part, join row i of the state. */
static void attend_take(float *m, float *l, float *a, float *b, float mb, float lb)
{
    const float most = mb > *m ? mb : *m, c = most == -INFINITY ? 0.0f : most;
    *a = bz_key_exp(*m - c);
    *b = bz_key_exp(mb - c);
    *l = fmaf(*l, *a, lb * *b);
    *m = most;
}

void bz_ref_key_softmax(float *s, bz_key_state *state, size_t r, size_t n_rows, const uint8_t *begin, const uint8_t *end)
{
    for (size_t i = 0; i < n_rows; i++) {
        float *p = s + i * BZ_KEY_BLOCK, lane[ATTEND_LANES] = {0}, most = -INFINITY;
        for (size_t j = begin[i]; j < end[i]; j++)
            most = p[j] > most ? p[j] : most;
        const float c = most == -INFINITY ? 0.0f : most;
        for (size_t j = 0; j < BZ_KEY_BLOCK; j++) {
            p[j] = j >= begin[i] && j < end[i] ? bz_key_exp(p[j] - c) : 0.0f;
            lane[j % ATTEND_LANES] += p[j];
        }
        attend_take(&state->m[r + i], &state->l[r + i], &state->a[r + i], &state->b[r + i], most, attend_tree(lane));
    }
}

void bz_ref_key_mix(float *o, size_t o_stride, const float *p, size_t n_rows, const float *v, size_t v_stride, size_t D16,
                    const uint8_t *begin, const uint8_t *end, const float *a, const float *b)
{
    for (size_t r = 0; r < n_rows; r++) {
        for (size_t i = 0; i < D16; i++) {
            float sum = 0.0f;
            for (size_t j = begin[r]; j < end[r]; j++)
                sum = fmaf(p[r * BZ_KEY_BLOCK + j], v[j * v_stride + i], sum);
            o[r * o_stride + i] = fmaf(o[r * o_stride + i], a[r], sum * b[r]);
        }
    }
}

void bz_ref_key_join(float *into, const float *part, size_t stride, size_t n_rows, size_t D16)
{
    for (size_t r = 0; r < n_rows; r++, into += stride, part += stride) {
        float a, b;
        attend_take(&into[0], &into[1], &a, &b, part[0], part[1]);
        for (size_t i = BZ_KEY_PART_HEAD; i < BZ_KEY_PART_HEAD + D16; i++)
            into[i] = fmaf(into[i], a, part[i] * b);
    }
}
