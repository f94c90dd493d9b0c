/* SPDX-License-Identifier: MIT */
/* Building blocks of the coarse copy, preparing a hidden state, the scan in plain C (see screen.h).
 *
 * Slack. Let u = 2^-24, e(n) = n u / (1 - n u), and h what the product really multiplies (bz_matmul_input: each element
 * rounded once). Every term of a sum of products is multiplied with at most n factors 1 + d, |d| <= u, so it errs by at most
 * e(n) times the sum of the terms' magnitudes, which is at most e(n) |w||h| by Cauchy-Schwarz. n is, a term,
 *   integer activations (the order of compute/activation.h): P parts in a chain of fma, P <= K / 16; the term passes through
 *     P - p of their roundings, the rounding of float(i) (i has up to 28 bits), of d * x.d, of d (Q8_K) and of the element of
 *     h: P + 4 <= K / 16 + 4. In a part |d x.d i| is at most the product of the parts' norms;
 *   float activations, any order of at most K fused or K products and K sums: K + 1;
 *   the scan, a chain of K / 32 fma after one product, with two more for each scale, then the three terms of the bound:
 *     K / 32 + 6, of |c||g|, and 3 u of the bound's own terms, which SCREEN_RAISE covers;
 *   the comparison with an exact product (m . h in double, their difference to float): 3 u (|w| + |m|)|h|.
 * All of it is below (K + 16) u (|w| + |m| + |c|)(|h| + |g|) (1 + 2^-3) while K u < 2^-4 (K <= 2^20: bz_screen_fits); `slack`
 * takes (K + 64) 2 u. Products below the normal floats err by 2^-149 each, times i < 2^28, K of them: less than 1e-30 beside
 * it. Types with a minimum have no copy: their terms can be larger than their sum.
 * Norms are computed in double and raised by 1e-6.
 * Invariant: whatever the scales and orders chosen, the bound holds; they only decide how tight it is. */
#include "compute/screen.h"

#include "compute/quant.h"

#include <math.h>
#include <string.h>

enum { SCREEN_GROUP = 32, SCREEN_TRIES = 3 };

#define SCREEN_RAISE (1.0 + 1e-6)
#define SCREEN_MOST 1e30 /* of norm * |h|: the floats of a product stay far from their limit */

int bz_screen_fits(size_t N, size_t K)
{
    return N >= BZ_SCREEN_ROWS && N <= INT32_MAX && K % SCREEN_GROUP == 0 && K > BZ_SCREEN_HEAVY && K <= 1u << 20;
}

size_t bz_screen_blocks(size_t N)
{
    return (N + BZ_SCREEN_ROWS - 1) / BZ_SCREEN_ROWS;
}

size_t bz_screen_block_size(size_t K)
{
    return BZ_SCREEN_AT_GROUPS + (K - BZ_SCREEN_HEAVY) / SCREEN_GROUP * BZ_SCREEN_GROUP;
}

void bz_screen_order(uint32_t *order, const double *weight, size_t K)
{
    for (size_t i = 0; i < K; i++) {
        size_t at = i;
        for (; at > 0 && weight[order[at - 1]] < weight[i]; at--)
            order[at] = order[at - 1];
        order[at] = (uint32_t)i;
    }
}

/* --- Building ------------------------------------------------------------------------------ */

/* To the nearest integer, also by a compiler that may not use a rounding instruction. |x| < 2^22. */
static float screen_round(float x)
{
    return (x + 12582912.0f) - 12582912.0f;
}

/* Nearest steps of `scale` in [-8, 7]; the least-squares scale for them, as the half float that is stored. */
static float screen_fit(float *q, const float *r, float scale)
{
    const float inverse = 1.0f / scale;
    float rq[4] = {0}, qq[4] = {0}; /* four sums, so that the loop can become vectors */
    for (size_t i = 0; i < SCREEN_GROUP; i += 4)
        for (size_t j = 0; j < 4; j++) {
            float x = screen_round(r[i + j] * inverse);
            x = x > 7.0f ? 7.0f : x;
            x = x < -8.0f ? -8.0f : x;
            q[i + j] = x;
            rq[j] += r[i + j] * x;
            qq[j] += x * x;
        }
    const float sum = qq[0] + qq[1] + qq[2] + qq[3];
    return sum > 0.0f ? bz_f16_to_f32(bz_f32_to_f16((rq[0] + rq[1] + rq[2] + rq[3]) / sum)) : 0.0f;
}

static float screen_miss(const float *r, const float *q, float scale)
{
    float miss[4] = {0};
    for (size_t i = 0; i < SCREEN_GROUP; i += 4)
        for (size_t j = 0; j < 4; j++) {
            const float d = r[i + j] - scale * q[i + j];
            miss[j] += d * d;
        }
    return miss[0] + miss[1] + miss[2] + miss[3];
}

/* Best of a few scales around those that map the largest value to the end of the range. */
static float screen_group(float best_q[SCREEN_GROUP], const float *r)
{
    static const float ends[SCREEN_TRIES] = {-8.2f, 7.2f, -9.2f};
    float q[SCREEN_GROUP], most = 0.0f, best = 0.0f, best_miss = INFINITY;
    for (size_t i = 0; i < SCREEN_GROUP; i++)
        most = fabsf(r[i]) > fabsf(most) ? r[i] : most;
    memset(best_q, 0, SCREEN_GROUP * sizeof *best_q);
    if (fabsf(most) < 1e-6f || fabsf(most) > 60000.0f) /* nothing to keep, or beyond the half floats: left out, which the norm tells */
        return 0.0f;
    for (size_t i = 0; i < SCREEN_TRIES; i++) {
        const float scale = screen_fit(q, r, most / ends[i]);
        const float miss = screen_miss(r, q, scale);
        if (miss < best_miss) {
            best_miss = miss;
            best = scale;
            memcpy(best_q, q, sizeof q);
        }
    }
    return best;
}

static void screen_f32_put(uint8_t *at, float x)
{
    memcpy(at, &x, sizeof x);
}

static float screen_f32_get(const uint8_t *at)
{
    float x;
    memcpy(&x, at, sizeof x);
    return x;
}

typedef struct screen_norms {
    double rest, heavy;           /* squares of |c| */
    double rest_off, heavy_off;   /* squares of |r - c| */
} screen_norms;

static void screen_encode_heavy(uint8_t *out, size_t lane, const float *r, const double *exact, screen_norms *n)
{
    float most = 0.0f;
    for (size_t i = 0; i < BZ_SCREEN_HEAVY; i++)
        most = fabsf(r[i]) > most ? fabsf(r[i]) : most;
    const float scale = most > 1e-30f ? most / 127.0f : 0.0f, inverse = scale > 0.0f ? 127.0f / most : 0.0f;
    screen_f32_put(out + BZ_SCREEN_AT_SCALE + 4 * lane, scale);
    for (size_t i = 0; i < BZ_SCREEN_HEAVY; i++) {
        float q = screen_round(r[i] * inverse);
        q = q > 127.0f ? 127.0f : q < -127.0f ? -127.0f : q;
        const double c = (double)scale * (double)q, off = exact[i] - c;
        n->heavy += c * c;
        n->heavy_off += off * off;
        out[BZ_SCREEN_AT_BYTES + i / 4 * 64 + 4 * lane + i % 4] = (uint8_t)(int8_t)q;
    }
}

static void screen_encode_group(uint8_t *group, size_t lane, const float *r, const double *exact, screen_norms *n)
{
    float q[SCREEN_GROUP];
    const float scale = screen_group(q, r);
    const uint16_t half = bz_f32_to_f16(scale);
    memcpy(group + 2 * lane, &half, sizeof half);
    for (size_t i = 0; i < SCREEN_GROUP; i++) {
        const double c = (double)scale * (double)q[i], off = exact[i] - c;
        const unsigned nibble = (unsigned)((int)q[i] + 8);
        uint8_t *byte = group + 32 + i / 8 * 64 + 4 * lane + i % 4;
        n->rest += c * c;
        n->rest_off += off * off;
        *byte = (uint8_t)(i % 8 < 4 ? nibble : *byte | nibble << 4);
    }
}

static void screen_raise(double *most, double value)
{
    value *= SCREEN_RAISE;
    if (value > *most)
        *most = value;
}

/* One lane. exact: r in double, in pieces of a group; a difference of two floats is within 2^-53 there. */
static void screen_encode_row(uint8_t *out, size_t lane, bz_screen *s, const float *w, float *r)
{
    double exact[BZ_SCREEN_HEAVY], norm = 0.0, mean = 0.0;
    screen_norms n = {0};
    uint8_t *group = out + BZ_SCREEN_AT_GROUPS;
    for (size_t i = 0; i < s->K; i++) {
        const uint32_t k = s->order[i];
        r[i] = w[k] - s->mean[k];
        norm += (double)w[k] * (double)w[k];
        mean += (double)s->mean[k] * (double)s->mean[k];
    }
    for (size_t i = 0; i < BZ_SCREEN_HEAVY; i++)
        exact[i] = (double)w[s->order[i]] - (double)s->mean[s->order[i]];
    screen_encode_heavy(out, lane, r, exact, &n);
    for (size_t i = BZ_SCREEN_HEAVY; i < s->K; i += SCREEN_GROUP, group += BZ_SCREEN_GROUP) {
        for (size_t j = 0; j < SCREEN_GROUP; j++)
            exact[j] = (double)w[s->order[i + j]] - (double)s->mean[s->order[i + j]];
        screen_encode_group(group, lane, r + i, exact, &n);
    }
    screen_f32_put(out + BZ_SCREEN_AT_REST + 4 * lane, (float)(sqrt(n.rest_off) * SCREEN_RAISE));
    screen_f32_put(out + BZ_SCREEN_AT_HEAVY + 4 * lane, (float)(sqrt(n.heavy_off) * SCREEN_RAISE));
    screen_raise(&s->rest, sqrt(n.rest));
    screen_raise(&s->heavy, sqrt(n.heavy));
    screen_raise(&s->norm, sqrt(norm) + sqrt(mean) + sqrt(n.rest + n.heavy));
}

int bz_screen_encode(uint8_t *out, bz_screen *screen, const float *rows, size_t n, float *row)
{
    for (size_t i = 0; i < n * screen->K; i++)
        if (!(fabsf(rows[i]) <= 1e15f)) /* squares of K of them fit a float, too */
            return 0;
    memset(out, 0, bz_screen_block_size(screen->K));
    for (size_t lane = 0; lane < n; lane++)
        screen_encode_row(out, lane, screen, rows + lane * screen->K, row);
    return 1;
}

/* --- Query --------------------------------------------------------------------------------- */

size_t bz_screen_scratch_size(size_t K)
{
    const size_t size = BZ_SCREEN_HEAVY * sizeof(int16_t) + K + K / SCREEN_GROUP * (sizeof(float) + sizeof(int32_t)) + 64;
    return (size + 63) & ~(size_t)63;
}

/* Scale and integers of n values in steps of most / limit. Sums of squares into h2 (values), off2 (what is left out), g2. */
typedef struct screen_sums {
    double h2, off2, g2;
} screen_sums;

static float screen_scale(const float *h, const uint32_t *order, size_t n, float limit)
{
    float most = 0.0f;
    for (size_t i = 0; i < n; i++)
        most = fabsf(h[order[i]]) > most ? fabsf(h[order[i]]) : most;
    return most > 1e-30f ? most / limit : 0.0f;
}

static int screen_step(float h, float scale, float limit, screen_sums *s)
{
    float q = scale > 0.0f ? screen_round(h / scale) : 0.0f;
    q = q > limit ? limit : q < -limit ? -limit : q;
    const double g = (double)scale * (double)q, off = (double)h - g;
    s->h2 += (double)h * (double)h;
    s->off2 += off * off;
    s->g2 += g * g;
    return (int)q;
}

int bz_screen_query_set(bz_screen_query *q, const bz_screen *screen, const float *h, void *scratch)
{
    const size_t n_groups = (screen->K - BZ_SCREEN_HEAVY) / SCREEN_GROUP;
    float *d = scratch;
    int32_t *sum = (int32_t *)(void *)(d + n_groups);
    int16_t *heavy = (int16_t *)(void *)(sum + n_groups);
    int8_t *rest = (int8_t *)(heavy + BZ_SCREEN_HEAVY);
    screen_sums of_heavy = {0}, of_rest = {0};
    double norm = 0.0, mean = 0.0;
    for (size_t k = 0; k < screen->K; k++) {
        norm += (double)h[k] * (double)h[k];
        mean += (double)h[k] * (double)screen->mean[k];
    }
    if (!(sqrt(norm) * screen->norm <= SCREEN_MOST && norm <= SCREEN_MOST)) /* NaN is neither */
        return 0;
    *q = (bz_screen_query){.n_groups = n_groups, .heavy = heavy, .rest = rest, .d = d, .sum = sum, .mean = mean};
    q->heavy_d = screen_scale(h, screen->order, BZ_SCREEN_HEAVY, 32767.0f);
    for (size_t i = 0; i < BZ_SCREEN_HEAVY; i++)
        heavy[i] = (int16_t)screen_step(h[screen->order[i]], q->heavy_d, 32767.0f, &of_heavy);
    for (size_t g = 0; g < n_groups; g++) {
        const uint32_t *order = screen->order + BZ_SCREEN_HEAVY + g * SCREEN_GROUP;
        d[g] = screen_scale(h, order, SCREEN_GROUP, 127.0f);
        sum[g] = 0;
        for (size_t i = 0; i < SCREEN_GROUP; i++) {
            rest[g * SCREEN_GROUP + i] = (int8_t)screen_step(h[order[i]], d[g], 127.0f, &of_rest);
            sum[g] += 8 * rest[g * SCREEN_GROUP + i];
        }
    }
    const double both = sqrt(norm) + sqrt(of_heavy.g2 + of_rest.g2);
    const double slack = (double)(screen->K + 64) * 0x1p-23 * screen->norm * both + 1e-30;
    q->a = (float)(sqrt(of_rest.h2) * SCREEN_RAISE);
    q->b = (float)(sqrt(of_heavy.h2) * SCREEN_RAISE);
    q->e0 = (float)((sqrt(of_rest.off2) * screen->rest + sqrt(of_heavy.off2) * screen->heavy + slack) * SCREEN_RAISE);
    return 1;
}

/* --- Scan ---------------------------------------------------------------------------------- */

static float screen_scan_row(const uint8_t *block, size_t lane, const bz_screen_query *q)
{
    const uint8_t *group = block + BZ_SCREEN_AT_GROUPS;
    int32_t total = 0;
    for (size_t i = 0; i < BZ_SCREEN_HEAVY; i++)
        total += (int8_t)block[BZ_SCREEN_AT_BYTES + i / 4 * 64 + 4 * lane + i % 4] * q->heavy[i];
    float v = (float)total * (screen_f32_get(block + BZ_SCREEN_AT_SCALE + 4 * lane) * q->heavy_d);
    for (size_t g = 0; g < q->n_groups; g++, group += BZ_SCREEN_GROUP) {
        uint16_t half;
        total = -q->sum[g];
        for (size_t i = 0; i < SCREEN_GROUP; i++) {
            const unsigned byte = group[32 + i / 8 * 64 + 4 * lane + i % 4];
            total += (int32_t)(i % 8 < 4 ? byte & 15u : byte >> 4) * q->rest[g * SCREEN_GROUP + i];
        }
        memcpy(&half, group + 2 * lane, sizeof half);
        v = fmaf((float)total, bz_f16_to_f32(half) * q->d[g], v);
    }
    v += fmaf(q->b, screen_f32_get(block + BZ_SCREEN_AT_HEAVY + 4 * lane), q->e0);
    return fmaf(q->a, screen_f32_get(block + BZ_SCREEN_AT_REST + 4 * lane), v);
}

void bz_screen_scan_ref(float *high, const uint8_t *blocks, size_t n_blocks, const bz_screen_query *q)
{
    const size_t size = BZ_SCREEN_AT_GROUPS + q->n_groups * BZ_SCREEN_GROUP;
    for (size_t b = 0; b < n_blocks; b++)
        for (size_t lane = 0; lane < BZ_SCREEN_ROWS; lane++)
            high[b * BZ_SCREEN_ROWS + lane] = screen_scan_row(blocks + b * size, lane, q);
}
