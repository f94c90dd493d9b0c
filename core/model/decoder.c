/* SPDX-License-Identifier: MIT */
/* Layer loop of the text model (see decoder.h).
 *
 * Every buffer has room for `chunk` positions from the start, so a pass allocates nothing and cannot fail. What a pass
 * needs beyond the weights is in the decoder; what outlives it is in the cache. */
#include "model/decoder.h"

#include "base/alloc.h"
#include "base/status.h"

#include <math.h>

/* Weight bytes a head slice reads: about a millisecond, so that a host with a frame to draw can stop in between. */
#define DECODER_HEAD_SLICE ((size_t)16 << 20)

int bz_decoder_default_q8(const bezel_engine *engine)
{
    return engine->isa != BEZEL_ISA_SCALAR;
}

/* --- Memory ------------------------------------------------------------------------------- */

/* ORDER: as decoder_place hands them out. */
enum {
    PART_X, PART_A, PART_Q, PART_K, PART_V, PART_ATT, PART_GATE, PART_UP, PART_COS0, PART_COS1, PART_SIN0, PART_SIN1,
    PART_FREQ0, PART_FREQ1, PART_ATTENTION, PART_PARTS, PART_Q8, PART_SCREEN, PART_SEGMENTS, PART_OWNER, PART_PROMPTS, PART_LIMIT
};

static size_t decoder_widest(const bz_config *c)
{
    const size_t q_width = (size_t)c->H * c->Dh;
    size_t widest = c->D > c->F ? c->D : c->F;
    return widest > q_width ? widest : q_width;
}

/* Bytes of each part, a multiple of 64; 0 on overflow. */
static int decoder_sizes(uint64_t sizes[PART_LIMIT], const bz_config *c, const bezel_engine *engine,
                         uint32_t chunk)
{
    const uint64_t threads = bz_thread_pool_size(engine->pool);
    const uint64_t half = c->Dh / 2;
    /* One row of 8-bit activations of the widest input; counted even where the float path will be taken. */
    const uint64_t q8_row = engine->kernel->q8_row_size(decoder_widest(c));
    const uint64_t rows[PART_LIMIT][3] = {
        [PART_X] = {chunk, c->D, 4},
        [PART_A] = {chunk, c->D, 4},
        [PART_Q] = {chunk, (uint64_t)c->H * c->Dh, 4},
        [PART_K] = {chunk, (uint64_t)c->Hkv * c->Dh, 4},
        [PART_V] = {chunk, (uint64_t)c->Hkv * c->Dh, 4},
        [PART_ATT] = {chunk, (uint64_t)c->H * c->Dh, 4},
        [PART_GATE] = {chunk, c->F, 4},
        [PART_UP] = {chunk, c->F, 4},
        [PART_COS0] = {chunk, half, 4},
        [PART_COS1] = {chunk, half, 4},
        [PART_SIN0] = {chunk, half, 4},
        [PART_SIN1] = {chunk, half, 4},
        [PART_FREQ0] = {1, half, 8},
        [PART_FREQ1] = {1, half, 8},
        [PART_ATTENTION] = {threads, bz_attention_scratch(c), 1},
        [PART_PARTS] = {bz_attention_parts(c), 1, 1},
        [PART_Q8] = {chunk, q8_row, 1},
        [PART_SCREEN] = {bz_decoder_screen_bytes(c->V, c->D), 1, 1},
        [PART_SEGMENTS] = {chunk, sizeof(bz_segment), 1},
        [PART_OWNER] = {chunk, sizeof(uint32_t), 1},
        [PART_PROMPTS] = {chunk, 1, 1},
    };
    for (int i = 0; i < PART_LIMIT; ++i) {
        if (!bz_u64_mul(&sizes[i], rows[i][0], rows[i][1]) || !bz_u64_mul(&sizes[i], sizes[i], rows[i][2]) ||
            !bz_u64_add(&sizes[i], sizes[i], 63))
            return 0;
        sizes[i] &= ~(uint64_t)63;
    }
    return 1;
}

static uint64_t decoder_total(const uint64_t sizes[PART_LIMIT])
{
    uint64_t total = 0;
    for (int i = 0; i < PART_LIMIT; ++i)
        if (!bz_u64_add(&total, total, sizes[i]))
            return UINT64_MAX;
    return total;
}

uint64_t bz_decoder_bytes(const bz_config *config, const bezel_engine *engine, uint32_t chunk)
{
    uint64_t sizes[PART_LIMIT];
    return decoder_sizes(sizes, config, engine, chunk) ? decoder_total(sizes) : UINT64_MAX;
}

static void decoder_place(bz_decoder *d, const uint64_t sizes[PART_LIMIT])
{
    void *parts[PART_LIMIT];
    size_t at = 0;
    for (int i = 0; i < PART_LIMIT; ++i) {
        parts[i] = d->block + at;
        at += (size_t)sizes[i];
    }
    d->x = parts[PART_X];
    d->a = parts[PART_A];
    d->q = parts[PART_Q];
    d->k = parts[PART_K];
    d->v = parts[PART_V];
    d->att = parts[PART_ATT];
    d->gate = parts[PART_GATE];
    d->up = parts[PART_UP];
    d->rope_cos[0] = parts[PART_COS0];
    d->rope_cos[1] = parts[PART_COS1];
    d->rope_sin[0] = parts[PART_SIN0];
    d->rope_sin[1] = parts[PART_SIN1];
    d->inv_freq[0] = parts[PART_FREQ0];
    d->inv_freq[1] = parts[PART_FREQ1];
    d->attention_scratch = parts[PART_ATTENTION];
    d->attention_parts = parts[PART_PARTS];
    d->q8 = d->use_q8 ? parts[PART_Q8] : NULL;
    d->screen_block = sizes[PART_SCREEN] > 0 ? parts[PART_SCREEN] : NULL;
    d->segments = parts[PART_SEGMENTS];
    d->owner = parts[PART_OWNER];
    d->prompts = parts[PART_PROMPTS];
}

bezel_status bz_decoder_new(bz_decoder **out, const bezel_model *model, uint32_t chunk, int use_q8, bezel_error *err)
{
    *out = NULL;
    const bz_config *c = &model->config;
    const bezel_world *w = &model->engine->world;
    if (c->attn_softcap > 0.0F)
        return bz_fail(err, BEZEL_ERR_UNSUPPORTED, "decoder",
                       "model \"%s\" caps its attention scores (%g), which this build cannot compute", c->arch,
                       (double)c->attn_softcap);
    const bezel_status whole = bz_model_check_weights(model, err);
    if (whole != BEZEL_OK)
        return whole;
    uint64_t sizes[PART_LIMIT];
    const uint64_t total =
        decoder_sizes(sizes, c, model->engine, chunk) ? decoder_total(sizes) : UINT64_MAX;
    if (total > SIZE_MAX / 2)
        return bz_fail(err, BEZEL_ERR_OVERFLOW, "decoder", "scratch for chunks of %u tokens does not fit in memory",
                       (unsigned)chunk);
    bz_decoder *d = bz_zalloc(w, sizeof *d);
    if (d == NULL)
        return bz_fail_memory(err, "decoder", "the decoder", sizeof *d);
    d->model = model;
    d->config = c;
    d->engine = model->engine;
    d->kernel = model->engine->kernel;
    d->chunk = chunk;
    d->use_q8 = use_q8;
    d->layer = c->n_layers;
    d->block = bz_alloc_aligned(w, (size_t)total);
    if (d->block == NULL) {
        bz_decoder_free(d);
        return bz_error_hint(err, bz_fail_memory(err, "decoder", "scratch", (size_t)total),
                             "a smaller chunk needs less");
    }
    decoder_place(d, sizes);
    bz_attention_rope_init(d);
    *out = d;
    return BEZEL_OK;
}

void bz_decoder_free(bz_decoder *d)
{
    if (d == NULL)
        return;
    const bezel_world *w = &d->engine->world;
    bz_free_aligned(w, d->block);
    bz_free(w, d);
}

/* --- Pass --------------------------------------------------------------------------------- */

void bz_decoder_begin(bz_decoder *d, const bz_segment *segments, size_t n)
{
    size_t T = 0;
    for (size_t i = 0; i < n; ++i) {
        bz_segment *s = &d->segments[i];
        *s = segments[i];
        s->row = T;
        s->position = s->cache->n;
        bz_kv_cache_begin(s->cache, s->T);
        for (const size_t end = T + s->T; T < end; ++T) {
            d->owner[T] = (uint32_t)i;
            d->prompts[T] = s->is_prompt;
        }
    }
    d->n_segments = n;
    d->T = T;
    d->layer = 0;
    d->head_count = 0;
    /* The first token is not kept waiting: panels are asked for with the second. */
    d->packed = bz_weight_pack_get(d->model->weight_pack, d->use_q8 && T == n && !d->prompts[0]);
    bz_embedding_lookup(d);
    bz_attention_rope(d);
}

static void decoder_norm_rows(void *ctx, size_t begin, size_t end, unsigned worker)
{
    (void)worker;
    bz_decoder *d = ctx;
    const size_t D = d->config->D;
    const float *w = d->model->weights.layers[d->layer].attn_norm;
    for (size_t t = begin; t < end; ++t)
        d->kernel->rms_norm(d->a + t * D, d->x + t * D, w, D, d->config->eps);
}

/* x += norm(a), where the family has that norm. */
static void decoder_residual(bz_decoder *d, size_t t, const float *post_norm)
{
    const size_t D = d->config->D;
    float *a = d->a + t * D;
    if (post_norm != NULL)
        d->kernel->rms_norm(a, a, post_norm, D, d->config->eps);
    d->kernel->add(d->x + t * D, a, D);
}

static void decoder_middle_rows(void *ctx, size_t begin, size_t end, unsigned worker)
{
    (void)worker;
    bz_decoder *d = ctx;
    const size_t D = d->config->D;
    const bz_layer_weights *w = &d->model->weights.layers[d->layer];
    for (size_t t = begin; t < end; ++t) {
        decoder_residual(d, t, w->post_attn_norm);
        d->kernel->rms_norm(d->a + t * D, d->x + t * D, w->ffn_norm, D, d->config->eps);
    }
}

static void decoder_end_rows(void *ctx, size_t begin, size_t end, unsigned worker)
{
    (void)worker;
    bz_decoder *d = ctx;
    for (size_t t = begin; t < end; ++t)
        decoder_residual(d, t, d->model->weights.layers[d->layer].post_ffn_norm);
}

int bz_decoder_layer(bz_decoder *d)
{
    if (d->layer >= d->config->n_layers)
        return 0;
    bz_thread_pool *pool = d->engine->pool;
    bz_thread_pool_run(pool, d->T, 1, decoder_norm_rows, d);
    bz_attention_forward(d, d->layer);
    bz_thread_pool_run(pool, d->T, 1, decoder_middle_rows, d);
    bz_feed_forward(d, d->layer);
    bz_thread_pool_run(pool, d->T, 1, decoder_end_rows, d);
    ++d->layer;
    if (d->layer < d->config->n_layers)
        return 1;
    for (size_t i = 0; i < d->n_segments; ++i)
        bz_kv_cache_commit(d->segments[i].cache, d->segments[i].T);
    return 0;
}

/* --- Head --------------------------------------------------------------------------------- */

void bz_decoder_head_add(bz_decoder *d, size_t row)
{
    const size_t D = d->config->D, i = d->head_count++;
    d->kernel->rms_norm(d->a + i * D, d->x + row * D, d->model->weights.output_norm, D, d->config->eps);
    d->head_row = 0;
}

void bz_decoder_head(bz_decoder *d, size_t t, size_t count)
{
    d->head_count = 0;
    for (size_t i = 0; i < count; ++i)
        bz_decoder_head_add(d, t + i);
}

static void decoder_cap_logits(bz_decoder *d, float *y, size_t stride, size_t n)
{
    const float cap = d->config->final_softcap;
    for (size_t t = 0; t < d->head_count; ++t)
        for (size_t i = 0; i < n; ++i)
            y[t * stride + i] = cap * tanhf(y[t * stride + i] / cap);
}

size_t bz_decoder_head_next(bz_decoder *d, float *y, size_t stride, size_t most)
{
    const bz_tensor *w = &d->model->weights.output;
    const size_t begin = d->head_row, left = w->N - begin;
    size_t n = DECODER_HEAD_SLICE / bz_tensor_row_size(w);
    n = (n < most ? n : most) & ~(size_t)63;
    n = n == 0 ? 64 : n;
    n = n < left ? n : left;
    bz_activations act;
    bz_activations_set(&act, d->a, d->config->D, d->head_count, d->config->D, d->q8);
    act.q8_ready = d->q8 != NULL && begin > 0; /* the 8-bit rows of the first slice are still in d->q8 */
    /* Row n of w goes to place n: as an integer, because the place of row 0 may lie before y. */
    float *row_0 = (float *)((uintptr_t)y - begin * sizeof *y);
    bz_matmul(row_0, stride, d->engine, w, begin, begin + n, &act);
    if (d->config->final_softcap > 0.0F)
        decoder_cap_logits(d, y, stride, n);
    d->head_row = begin + n;
    return n;
}

int bz_decoder_head_slice(bz_decoder *d, float *logits, size_t stride)
{
    const size_t N = d->model->weights.output.N;
    if (d->head_row < N)
        (void)bz_decoder_head_next(d, logits + d->head_row, stride, N);
    return d->head_row < N;
}

void bz_decoder_head_tokens(bz_decoder *d, float *logits, const int32_t *rows, size_t n)
{
    const float cap = d->config->final_softcap;
    bz_activations act;
    bz_activations_set(&act, d->a, d->config->D, 1, d->config->D, d->q8);
    bz_matmul_rows(logits, d->engine, &d->model->weights.output, rows, n, &act);
    for (size_t i = 0; cap > 0.0F && i < n; ++i)
        logits[rows[i]] = cap * tanhf(logits[rows[i]] / cap);
}
