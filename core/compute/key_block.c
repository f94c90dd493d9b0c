/* SPDX-License-Identifier: MIT */
/* The loop over blocks of keys (see key_block.h for the order of all sums).
 *
 * Invariant: which rows are computed together changes no bit of any of them. It knows positions and rings; what the
 * numbers are is the kernels' business. It starts no threads and allocates nothing. */
#include "compute/key_block.h"

#include "compute/kernel.h"

#include <math.h>
#include <string.h>

static size_t key_round16(size_t n)
{
    return (n + 15) & ~(size_t)15;
}

/* Rows of k and v are 16 floats longer than D, so that a strip of 64 rows does not fall into a few sets of the cache. */
typedef struct key_scratch {
    float *k, *v; /* [BZ_KEY_BLOCK, kv_stride], zero from D to the next multiple of 16 */
    float *q;     /* [BZ_KEY_QUERIES, q_stride], zero likewise */
    float *o;     /* [BZ_KEY_QUERIES, kv_stride] */
    float *p;     /* [BZ_KEY_QUERIES, BZ_KEY_BLOCK] scores, then weights */
    size_t q_stride, kv_stride;
} key_scratch;

size_t bz_key_scratch_size(size_t D)
{
    const size_t q_stride = key_round16(D), kv_stride = q_stride + 16;
    return sizeof(float) * (2 * BZ_KEY_BLOCK * kv_stride + BZ_KEY_QUERIES * (q_stride + kv_stride + BZ_KEY_BLOCK));
}

static key_scratch key_scratch_place(void *scratch, size_t D)
{
    key_scratch s;
    s.q_stride = key_round16(D);
    s.kv_stride = s.q_stride + 16;
    s.k = scratch;
    s.v = s.k + BZ_KEY_BLOCK * s.kv_stride;
    s.q = s.v + BZ_KEY_BLOCK * s.kv_stride;
    s.o = s.q + BZ_KEY_QUERIES * s.q_stride;
    s.p = s.o + BZ_KEY_QUERIES * s.kv_stride;
    return s;
}

size_t bz_key_first(size_t position, size_t window)
{
    return window != 0 && position >= window ? position - window + 1 : 0;
}

void bz_key_row_int8(void *row, const float *x, size_t D)
{
    uint32_t most = 0; /* bits of the largest |x|: positive floats have the order of their bits */
    for (size_t i = 0; i < D; ++i) {
        uint32_t bits;
        memcpy(&bits, x + i, sizeof bits);
        bits &= 0x7fffffffU;
        most = bits > most ? bits : most;
    }
    float largest, inverse = 0.0f;
    int8_t *out = (int8_t *)row + sizeof(float);
    memcpy(&largest, &most, sizeof largest);
    const int is_finite = most < 0x7f800000U;
    const float scale = is_finite ? largest / 127.0f : NAN;
    if (is_finite && largest > 1e-30f)
        inverse = 127.0f / largest;
    memcpy(row, &scale, sizeof scale);
    if (!is_finite) {
        memset(out, 0, D);
        return;
    }
    for (size_t i = 0; i < D; ++i) /* adding 1.5 * 2^23 rounds to nearest even and leaves the integer in the low bits */
        out[i] = (int8_t)(int32_t)(x[i] * inverse + 12582912.0f - 12582912.0f);
}

/* --- One block ----------------------------------------------------------------------------------------------- */

/* What rows [r_begin, r_end) see of one block: keys [begin[r], end[r]) of it, never none. */
typedef struct key_view {
    size_t r_begin, r_end;
    uint8_t begin[BZ_KEY_QUERIES], end[BZ_KEY_QUERIES];
} key_view;

static void key_view_set(key_view *view, const bz_key_queries *q, size_t block)
{
    const size_t base = block * BZ_KEY_BLOCK;
    view->r_begin = view->r_end = 0;
    for (size_t t = 0; t < q->positions; ++t) {
        const size_t position = q->position + t, first = bz_key_first(position, q->window);
        if (position < base || first >= base + BZ_KEY_BLOCK)
            continue;
        const size_t r = t * q->heads;
        if (view->r_end == 0)
            view->r_begin = r;
        view->r_end = r + q->heads;
        memset(view->begin + r, first > base ? (int)(first - base) : 0, q->heads);
        memset(view->end + r, position - base < BZ_KEY_BLOCK ? (int)(position - base + 1) : BZ_KEY_BLOCK, q->heads);
    }
}

/* Keys [begin, end) of a block to floats: a piece of the base, at most two of the ring. */
static void key_expand(float *out, size_t stride, const bz_kernel *kernel, const bz_key_rows *keys, int is_v, size_t block,
                       size_t begin, size_t end)
{
    while (begin < end) {
        const size_t position = block * BZ_KEY_BLOCK + begin;
        const int is_base = position < keys->base_n;
        const size_t place = is_base ? position - keys->base_first : position % keys->ring;
        const size_t room = is_base ? keys->base_n - position : keys->ring - place;
        const size_t n = room < end - begin ? room : end - begin;
        const uint8_t *k = is_base ? keys->base_k : keys->k, *v = is_base ? keys->base_v : keys->v;
        kernel->key_expand(out + begin * stride, stride, (is_v ? v : k) + place * keys->row_size, keys->row_size,
                           keys->dtype, keys->D, n);
        begin += n;
    }
}

static void key_block_join(key_scratch *s, bz_key_state *state, const bz_kernel *kernel, const bz_key_queries *q,
                           const bz_key_rows *keys, size_t block)
{
    key_view view;
    key_view_set(&view, q, block);
    if (view.r_end == view.r_begin)
        return;
    /* Upwards in position the first key seen and the end grow. */
    const size_t begin = view.begin[view.r_begin], end = view.end[view.r_end - 1];
    const size_t n = view.r_end - view.r_begin, r = view.r_begin;
    key_expand(s->k, s->kv_stride, kernel, keys, 0, block, begin, end);
    key_expand(s->v, s->kv_stride, kernel, keys, 1, block, begin, end);
    kernel->key_scores(s->p + r * BZ_KEY_BLOCK, s->q + r * s->q_stride, s->q_stride, n, s->k, s->kv_stride, s->q_stride,
                       view.begin + r, view.end + r, q->scale);
    kernel->key_softmax(s->p + r * BZ_KEY_BLOCK, state, r, n, view.begin + r, view.end + r);
    kernel->key_mix(s->o + r * s->kv_stride, s->kv_stride, s->p + r * BZ_KEY_BLOCK, n, s->v, s->kv_stride, s->q_stride,
                    view.begin + r, view.end + r, state->a + r, state->b + r);
}

static void key_queries_pack(key_scratch *s, const bz_key_queries *q, size_t D)
{
    for (size_t t = 0; t < q->positions; ++t) {
        for (size_t h = 0; h < q->heads; ++h) {
            float *row = s->q + (t * q->heads + h) * s->q_stride;
            memcpy(row, q->q + t * q->stride + h * D, D * sizeof *row);
            memset(row + D, 0, (s->q_stride - D) * sizeof *row);
        }
    }
}

static void key_state_clear(bz_key_state *state)
{
    memset(state, 0, sizeof *state);
    for (size_t r = 0; r < BZ_KEY_QUERIES; ++r)
        state->m[r] = -INFINITY;
}

static void key_result(float *out, const float *o, float l, size_t D)
{
    const float norm = l > 0.0f || l != l ? 1.0f / l : 0.0f;
    for (size_t i = 0; i < D; ++i)
        out[i] = o[i] * norm;
}

void bz_key_attend(const bz_kernel *kernel, const bz_key_queries *q, const bz_key_rows *keys, void *scratch)
{
    key_scratch s = key_scratch_place(scratch, keys->D);
    bz_key_state state;
    key_state_clear(&state);
    key_queries_pack(&s, q, keys->D);
    memset(s.o, 0, q->positions * q->heads * s.kv_stride * sizeof *s.o);
    const size_t last = (q->position + q->positions - 1) / BZ_KEY_BLOCK;
    for (size_t b = bz_key_first(q->position, q->window) / BZ_KEY_BLOCK; b <= last; ++b)
        key_block_join(&s, &state, kernel, q, keys, b);
    for (size_t t = 0; t < q->positions; ++t)
        for (size_t h = 0; h < q->heads; ++h) {
            const size_t r = t * q->heads + h;
            key_result(q->out + t * q->stride + h * keys->D, s.o + r * s.kv_stride, state.l[r], keys->D);
        }
}

/* --- Parts --------------------------------------------------------------------------------------------------- */

size_t bz_key_part_stride(size_t D)
{
    return BZ_KEY_PART_HEAD + key_round16(D);
}

void bz_key_part(float *part, const bz_kernel *kernel, const bz_key_queries *q, const bz_key_rows *keys, size_t b,
                 void *scratch)
{
    key_scratch s = key_scratch_place(scratch, keys->D);
    bz_key_state state;
    key_state_clear(&state);
    bz_key_part_clear(part, q->heads, keys->D);
    key_queries_pack(&s, q, keys->D);
    s.o = part + BZ_KEY_PART_HEAD; /* the same stride */
    key_block_join(&s, &state, kernel, q, keys, b);
    for (size_t h = 0; h < q->heads; ++h) {
        part[h * s.kv_stride] = state.m[h];
        part[h * s.kv_stride + 1] = state.l[h];
    }
}

void bz_key_part_clear(float *part, size_t heads, size_t D)
{
    const size_t stride = bz_key_part_stride(D);
    memset(part, 0, heads * stride * sizeof *part);
    for (size_t h = 0; h < heads; ++h)
        part[h * stride] = -INFINITY;
}

void bz_key_part_join(float *into, const float *part, const bz_kernel *kernel, size_t heads, size_t D)
{
    kernel->key_join(into, part, bz_key_part_stride(D), heads, key_round16(D));
}

void bz_key_part_finish(const float *part, const bz_key_queries *q, size_t D)
{
    const size_t stride = bz_key_part_stride(D);
    for (size_t h = 0; h < q->heads; ++h)
        key_result(q->out + h * D, part + h * stride + BZ_KEY_PART_HEAD, part[h * stride + 1], D);
}
