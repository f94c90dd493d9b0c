/* SPDX-License-Identifier: MIT */
/* Grouped-query attention with rotary positions: global, or over a sliding window.
 *
 * Query i sees key j iff j <= i and (window) i - j < W. Query head h reads KV head h / (H / Hkv). Norms of q and k come
 * before the rotation (MODEL.md 2.4). No images: every key after the query is hidden. */
#include "model/decoder.h"

#include <math.h>

/* inv_freq[p] = base^(-2p / Dh), divided by the linear factor on global layers. */
void bz_attention_rope_init(bz_decoder *d)
{
    const bz_config *c = d->config;
    const size_t half = c->Dh / 2;
    for (size_t p = 0; p < half; ++p) {
        const double e = -2.0 * (double)p / (double)c->Dh;
        d->inv_freq[0][p] = pow((double)c->rope_base_local, e);
        d->inv_freq[1][p] = pow((double)c->rope_base_global, e) / (double)c->rope_factor_global;
    }
}

static void rope_rows(void *ctx, size_t begin, size_t end, unsigned worker)
{
    (void)worker;
    bz_decoder *d = ctx;
    const size_t half = d->config->Dh / 2;
    for (size_t t = begin; t < end; ++t) {
        const bz_segment *s = &d->segments[d->owner[t]];
        const size_t position = s->position + t - s->row;
        for (int g = 0; g < 2; ++g) {
            float *cos_row = d->rope_cos[g] + t * half;
            float *sin_row = d->rope_sin[g] + t * half;
            for (size_t p = 0; p < half; ++p) {
                const double angle = (double)position * d->inv_freq[g][p];
                cos_row[p] = (float)cos(angle);
                sin_row[p] = (float)sin(angle);
            }
        }
    }
}

void bz_attention_rope(bz_decoder *d)
{
    bz_thread_pool_run(d->engine->pool, d->T, 1, rope_rows, d);
}

typedef struct attention_pass {
    bz_decoder *d;
    const bz_layer_weights *w;
    uint32_t layer;
    int is_global;
    const bz_segment *segment; /* of the tasks */
    size_t step;               /* positions a task */
    size_t first_task;         /* of a round */
} attention_pass;

/* Norm and rotation of q and k, then K and V into the cache. */
static void attention_prepare_rows(void *ctx, size_t begin, size_t end, unsigned worker)
{
    (void)worker;
    const attention_pass *p = ctx;
    bz_decoder *d = p->d;
    const bz_config *c = d->config;
    const size_t Dh = c->Dh;
    for (size_t t = begin; t < end; ++t) {
        const float *cos_row = d->rope_cos[p->is_global] + t * (Dh / 2);
        const float *sin_row = d->rope_sin[p->is_global] + t * (Dh / 2);
        float *q = d->q + t * c->H * Dh;
        float *k = d->k + t * c->Hkv * Dh;
        for (uint32_t h = 0; h < c->H; ++h) {
            if (p->w->q_norm != NULL)
                d->kernel->rms_norm(q + h * Dh, q + h * Dh, p->w->q_norm, Dh, c->eps);
            d->kernel->rope(q + h * Dh, cos_row, sin_row, Dh);
        }
        for (uint32_t h = 0; h < c->Hkv; ++h) {
            if (p->w->k_norm != NULL)
                d->kernel->rms_norm(k + h * Dh, k + h * Dh, p->w->k_norm, Dh, c->eps);
            d->kernel->rope(k + h * Dh, cos_row, sin_row, Dh);
        }
        const bz_segment *s = &d->segments[d->owner[t]];
        bz_kv_cache_store(s->cache, d->kernel, p->layer, s->position + t - s->row, k, d->v + t * c->Hkv * Dh);
    }
}

/* --- Queries over keys ----------------------------------------------------------------------
 *
 * Query heads that share a KV head go together, at most BZ_KEY_QUERIES: a unit. */

static size_t attention_unit_heads(const bz_config *c)
{
    const size_t group = c->H / c->Hkv;
    return group < BZ_KEY_QUERIES ? group : BZ_KEY_QUERIES;
}

static size_t attention_units(const bz_config *c)
{
    const size_t group = c->H / c->Hkv, heads = attention_unit_heads(c);
    return c->Hkv * ((group + heads - 1) / heads);
}

uint64_t bz_attention_scratch(const bz_config *c)
{
    return bz_key_scratch_size(c->Dh);
}

/* BZ_ATTENTION_PARTS parts of a unit, and one of every head to join them in. */
uint64_t bz_attention_parts(const bz_config *c)
{
    return (BZ_ATTENTION_PARTS * (uint64_t)attention_unit_heads(c) + c->H) * bz_key_part_stride(c->Dh) * sizeof(float);
}

/* Rows [t, t + positions) of segment s, unit u. Returns the unit's first head. */
static size_t attention_queries(bz_key_queries *q, bz_key_rows *keys, const attention_pass *p, const bz_segment *s, size_t u,
                                size_t t, size_t positions)
{
    bz_decoder *d = p->d;
    const bz_config *c = d->config;
    const size_t group = c->H / c->Hkv, heads = attention_unit_heads(c), cuts = (group + heads - 1) / heads;
    const size_t skipped = u % cuts * heads, head = u / cuts * group + skipped;
    const size_t at = (s->row + t) * c->H * c->Dh + head * c->Dh;
    *q = (bz_key_queries){.q = d->q + at,
                          .out = d->att + at,
                          .stride = (size_t)c->H * c->Dh,
                          .heads = group - skipped < heads ? group - skipped : heads,
                          .position = s->position + t,
                          .positions = positions,
                          .window = p->is_global ? 0 : c->window,
                          .scale = c->score_scale};
    *keys = (bz_key_rows){.k = bz_kv_cache_rows(s->cache, p->layer, 0, (uint32_t)(u / cuts)),
                          .v = bz_kv_cache_rows(s->cache, p->layer, 1, (uint32_t)(u / cuts)),
                          .row_size = s->cache->row_size,
                          .ring = bz_kv_cache_ring(c, p->layer, s->cache->n_ctx),
                          .D = c->Dh,
                          .dtype = s->cache->dtype};
    if (s->cache->base_n > 0) {
        const bz_kv_base *base = s->cache->base;
        keys->base_k = bz_kv_base_rows(base, c, p->layer, 0, (uint32_t)(u / cuts));
        keys->base_v = bz_kv_base_rows(base, c, p->layer, 1, (uint32_t)(u / cuts));
        keys->base_first = bz_kv_base_first(base, c, p->layer);
        keys->base_n = s->cache->base_n;
    }
    return head;
}

static void *attention_scratch_of(const bz_decoder *d, unsigned worker)
{
    return (uint8_t *)d->attention_scratch + worker * (size_t)bz_attention_scratch(d->config);
}

/* Task: a unit of some positions of one segment; tasks of a position lie together. */
static void attention_position_tasks(void *ctx, size_t begin, size_t end, unsigned worker)
{
    const attention_pass *p = ctx;
    bz_decoder *d = p->d;
    const size_t units = attention_units(d->config);
    for (size_t i = begin; i < end; ++i) {
        const size_t t = i / units * p->step;
        size_t positions = p->segment->T - t;
        bz_key_queries q;
        bz_key_rows keys;
        if (positions > p->step)
            positions = p->step;
        (void)attention_queries(&q, &keys, p, p->segment, i % units, t, positions);
        bz_key_attend(d->kernel, &q, &keys, attention_scratch_of(d, worker));
    }
}

/* Task: the only position of a segment that is one. */
static void attention_single_tasks(void *ctx, size_t begin, size_t end, unsigned worker)
{
    const attention_pass *p = ctx;
    bz_decoder *d = p->d;
    const size_t units = attention_units(d->config);
    for (size_t i = begin; i < end; ++i) {
        bz_key_queries q;
        bz_key_rows keys;
        (void)attention_queries(&q, &keys, p, &p->segment[i / units], i % units, 0, 1);
        bz_key_attend(d->kernel, &q, &keys, attention_scratch_of(d, worker));
    }
}

/* Task: one block of keys for one unit of one position. */
static void attention_block_tasks(void *ctx, size_t begin, size_t end, unsigned worker)
{
    const attention_pass *p = ctx;
    bz_decoder *d = p->d;
    const size_t units = attention_units(d->config);
    const size_t size = attention_unit_heads(d->config) * bz_key_part_stride(d->config->Dh);
    for (size_t i = begin; i < end; ++i) {
        const size_t task = p->first_task + i;
        bz_key_queries q;
        bz_key_rows keys;
        (void)attention_queries(&q, &keys, p, p->segment, task % units, 0, 1);
        const size_t first = bz_key_first(q.position, q.window) / BZ_KEY_BLOCK;
        bz_key_part(d->attention_parts + i * size, d->kernel, &q, &keys, first + task / units,
                    attention_scratch_of(d, worker));
    }
}

/* One position whose keys are cut among the threads; rounds of BZ_ATTENTION_PARTS blocks, joined in order. */
static void attention_by_keys(attention_pass *p)
{
    bz_decoder *d = p->d;
    const bz_config *c = d->config;
    const size_t units = attention_units(c), stride = bz_key_part_stride(c->Dh);
    const size_t size = attention_unit_heads(c) * stride;
    const size_t position = p->segment->position, window = p->is_global ? 0 : c->window;
    const size_t blocks = position / BZ_KEY_BLOCK - bz_key_first(position, window) / BZ_KEY_BLOCK + 1;
    float *whole = d->attention_parts + BZ_ATTENTION_PARTS * size;
    bz_key_queries q;
    bz_key_rows keys;
    bz_key_part_clear(whole, c->H, c->Dh);
    for (p->first_task = 0; p->first_task < blocks * units; p->first_task += BZ_ATTENTION_PARTS) {
        const size_t left = blocks * units - p->first_task;
        const size_t n = left < BZ_ATTENTION_PARTS ? left : BZ_ATTENTION_PARTS;
        bz_thread_pool_run(d->engine->pool, n, 1, attention_block_tasks, p);
        for (size_t i = 0; i < n; ++i) {
            const size_t head = attention_queries(&q, &keys, p, p->segment, (p->first_task + i) % units, 0, 1);
            bz_key_part_join(whole + head * stride, d->attention_parts + i * size, d->kernel, q.heads, c->Dh);
        }
    }
    for (size_t u = 0; u < units; ++u) {
        const size_t head = attention_queries(&q, &keys, p, p->segment, u, 0, 1);
        bz_key_part_finish(whole + head * stride, &q, c->Dh);
    }
}

/* Positions of a task: as many as share a block of keys, fewer where the threads would have too few tasks. */
static size_t attention_step(const bz_decoder *d, size_t T)
{
    const size_t most = BZ_KEY_QUERIES / attention_unit_heads(d->config);
    const size_t even = T / ((size_t)4 * bz_thread_pool_size(d->engine->pool));
    const size_t step = even < most ? even : most;
    return step == 0 ? 1 : step;
}

static void attention_over_keys(attention_pass *p)
{
    bz_decoder *d = p->d;
    const size_t units = attention_units(d->config), threads = bz_thread_pool_size(d->engine->pool);
    for (size_t i = 0, n; i < d->n_segments; i += n) {
        p->segment = &d->segments[i];
        for (n = 0; i + n < d->n_segments && d->segments[i + n].T == 1; ++n) {
        }
        if (n * units >= threads) {
            bz_thread_pool_run(d->engine->pool, n * units, 1, attention_single_tasks, p);
        } else if (n > 0) {
            for (size_t j = 0; j < n; ++j, ++p->segment)
                attention_by_keys(p);
        } else {
            n = 1;
            p->step = attention_step(d, p->segment->T);
            bz_thread_pool_run(d->engine->pool, (p->segment->T + p->step - 1) / p->step * units, 1,
                               attention_position_tasks, p);
        }
    }
}

void bz_attention_forward(bz_decoder *d, uint32_t layer)
{
    const bz_config *c = d->config;
    const size_t q_width = (size_t)c->H * c->Dh, kv_width = (size_t)c->Hkv * c->Dh;
    attention_pass pass = {d, &d->model->weights.layers[layer], layer, c->is_global[layer] != 0, NULL, 0, 0};
    bz_activations act;
    bz_activations_set(&act, d->a, c->D, d->T, c->D, d->q8);
    act.prompts = d->prompts;
    const bz_matmul_part parts[3] = {
        {d->q, q_width, &pass.w->q, bz_decoder_panels(d, layer, BZ_PACK_Q)},
        {d->k, kv_width, &pass.w->k, bz_decoder_panels(d, layer, BZ_PACK_K)},
        {d->v, kv_width, &pass.w->v, bz_decoder_panels(d, layer, BZ_PACK_V)}};
    const bz_adapter_part added[3] = {{d->q, BZ_TARGET_Q}, {d->k, BZ_TARGET_K}, {d->v, BZ_TARGET_V}};
    const bz_adapter_part added_last = {d->a, BZ_TARGET_O};
    bz_matmul_many(d->engine, parts, 3, &act);
    bz_adapter_pass(d, layer, added, 3, d->a, c->D);
    bz_thread_pool_run(d->engine->pool, d->T, 1, attention_prepare_rows, &pass);
    attention_over_keys(&pass);
    bz_activations_set(&act, d->att, q_width, d->T, q_width, d->q8);
    act.prompts = d->prompts;
    const bz_matmul_part output = {d->a, c->D, &pass.w->attn_output, bz_decoder_panels(d, layer, BZ_PACK_ATTN_OUTPUT)};
    bz_matmul_many(d->engine, &output, 1, &act);
    bz_adapter_pass(d, layer, &added_last, 1, d->att, q_width);
}
