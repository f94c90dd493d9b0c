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

/* Row r is row r / H of the pass, head r % H. */
static void attention_score_rows(void *ctx, size_t begin, size_t end, unsigned worker)
{
    const attention_pass *p = ctx;
    bz_decoder *d = p->d;
    const bz_config *c = d->config;
    const size_t Dh = c->Dh, group = c->H / c->Hkv;
    float *scores = d->scores + worker * d->scores_stride;
    for (size_t r = begin; r < end; ++r) {
        const bz_segment *s = &d->segments[d->owner[r / c->H]];
        const size_t ring = bz_kv_cache_ring(c, p->layer, s->cache->n_ctx);
        const size_t position = s->position + r / c->H - s->row;
        const uint32_t head = (uint32_t)(r % c->H);
        const uint32_t kv_head = (uint32_t)(head / group);
        const int windowed = !p->is_global && c->window != 0 && position >= c->window;
        const size_t first = windowed ? position - c->window + 1 : 0;
        d->kernel->attention(d->att + r * Dh, d->q + r * Dh, bz_kv_cache_rows(s->cache, p->layer, 0, kv_head),
                             bz_kv_cache_rows(s->cache, p->layer, 1, kv_head), s->cache->dtype, Dh, Dh, first % ring,
                             ring, position - first + 1, c->score_scale, scores);
    }
}

void bz_attention_forward(bz_decoder *d, uint32_t layer)
{
    const bz_config *c = d->config;
    const size_t q_width = (size_t)c->H * c->Dh, kv_width = (size_t)c->Hkv * c->Dh;
    attention_pass pass = {d, &d->model->weights.layers[layer], layer, c->is_global[layer] != 0};
    bz_activations act;
    bz_activations_set(&act, d->a, c->D, d->T, c->D, d->q8);
    act.prompts = d->prompts;
    const bz_matmul_part parts[3] = {
        {d->q, q_width, &pass.w->q}, {d->k, kv_width, &pass.w->k}, {d->v, kv_width, &pass.w->v}};
    bz_matmul_many(d->engine, parts, 3, &act);
    bz_thread_pool_run(d->engine->pool, d->T, 1, attention_prepare_rows, &pass);
    bz_thread_pool_run(d->engine->pool, d->T * c->H, 1, attention_score_rows, &pass);
    bz_activations_set(&act, d->att, q_width, d->T, q_width, d->q8);
    act.prompts = d->prompts;
    bz_matmul(d->a, c->D, d->engine, &pass.w->attn_output, 0, c->D, &act);
}
