/* SPDX-License-Identifier: MIT */
/* A trainer's memory and the order of its pass (see trainer.h): layers upwards, the head, layers downwards.
 * Invariant: all arrays lie in one block with room for options.rows positions, so a pass allocates nothing. */
#include "train/trainer.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "base/status.h"
#include "compute/cpu_features.h"

#include <math.h>
#include <string.h>

#define TRAIN_MOST_ROWS 65536U

enum { STAGE_FORWARD, STAGE_HEAD, STAGE_BACK, STAGE_DONE };

/* --- Memory ------------------------------------------------------------------------------- */

/* Hands out pieces of a block, or only counts them (base NULL). */
typedef struct trainer_room {
    float *base;
    uint64_t n; /* floats so far */
} trainer_room;

static float *trainer_take(trainer_room *room, uint64_t rows, uint64_t columns)
{
    float *at = room->base != NULL ? room->base + room->n : NULL;
    room->n += (rows * columns + 15) & ~(uint64_t)15;
    return at;
}

static uint64_t trainer_widest(const bz_config *c)
{
    const uint64_t q = (uint64_t)c->H * c->Dh;
    const uint64_t widest = c->D > c->F ? c->D : c->F;
    return widest > q ? widest : q;
}

static void trainer_place_layer(bz_trainer *t, bz_train_layer *a, uint32_t layer, trainer_room *room)
{
    const bz_config *c = t->config;
    const uint64_t T = t->options.rows, q = (uint64_t)c->H * c->Dh, k = (uint64_t)c->Hkv * c->Dh;
    a->x_norm = trainer_take(room, T, c->D);
    a->q = trainer_take(room, T, q);
    a->k = trainer_take(room, T, k);
    a->v = trainer_take(room, T, k);
    a->q_rot = trainer_take(room, T, q);
    a->k_rot = trainer_take(room, T, k);
    a->att = trainer_take(room, T, q);
    a->out = trainer_take(room, T, c->D);
    a->mid = trainer_take(room, T, c->D);
    a->mid_norm = trainer_take(room, T, c->D);
    a->gate = trainer_take(room, T, c->F);
    a->up = trainer_take(room, T, c->F);
    a->hidden = trainer_take(room, T, c->F);
    a->down = trainer_take(room, T, c->D);
    for (uint32_t target = 0; target < BZ_N_TARGETS; ++target) {
        const uint32_t rank = t->adapter->pairs[layer * BZ_N_TARGETS + target].rank;
        a->low[target] = trainer_take(room, T, t->options.recompute ? t->max_rank : rank);
    }
}

static void trainer_place_back(bz_trainer *t, trainer_room *room)
{
    const bz_config *c = t->config;
    const uint64_t T = t->options.rows, q = (uint64_t)c->H * c->Dh, k = (uint64_t)c->Hkv * c->Dh;
    bz_train_back *b = &t->back;
    b->x = trainer_take(room, T, c->D);
    b->a = trainer_take(room, T, c->D);
    b->b = trainer_take(room, T, c->D);
    b->hidden = trainer_take(room, T, c->F);
    b->gate = trainer_take(room, T, c->F);
    b->up = trainer_take(room, T, c->F);
    b->att = trainer_take(room, T, q);
    b->q = trainer_take(room, T, q);
    b->k_head = trainer_take(room, T, q);
    b->v_head = trainer_take(room, T, q);
    b->k = trainer_take(room, T, k);
    b->v = trainer_take(room, T, k);
    b->low = trainer_take(room, T, t->max_rank);
    b->turned = trainer_take(room, t->max_rank, trainer_widest(c));
    b->pairs = t->options.bf16 ? (void *)trainer_take(room, T, trainer_widest(c) / 2) : NULL;
    b->dropped = t->options.dropout > 0.0f ? trainer_take(room, T, trainer_widest(c)) : NULL;
}

static void trainer_place_head(bz_trainer *t, trainer_room *room)
{
    const uint64_t sums = (uint64_t)BZ_TRAIN_HEAD_PARTS * BZ_TRAIN_HEAD_ROWS;
    bz_train_head *h = &t->head;
    h->rows = (void *)trainer_take(room, t->options.rows, 1);
    h->x = trainer_take(room, BZ_TRAIN_HEAD_ROWS, t->config->D);
    h->x_pairs = t->options.bf16 ? (void *)trainer_take(room, BZ_TRAIN_HEAD_ROWS, t->config->D / 2) : NULL;
    h->acc = trainer_take(room, sums, t->config->D);
    h->most = trainer_take(room, sums, 1);
    h->sum = (void *)trainer_take(room, sums, 2);
    h->best = (void *)trainer_take(room, sums, 1);
    h->wanted = trainer_take(room, BZ_TRAIN_HEAD_ROWS, 1);
    h->loss = (void *)trainer_take(room, BZ_TRAIN_HEAD_ROWS, 2);
}

static size_t trainer_scratch(const bz_config *c, size_t rows)
{
    const size_t sizes[3] = {bz_train_linear_scratch(c), bz_train_attention_scratch(c, rows), bz_train_head_scratch(c)};
    size_t most = 0;
    for (int i = 0; i < 3; ++i)
        most = sizes[i] > most ? sizes[i] : most;
    return (most + 15) & ~(size_t)15;
}

/* Floats of all arrays; with t->block they get their places too. */
static uint64_t trainer_place(bz_trainer *t)
{
    const bz_config *c = t->config;
    const uint64_t T = t->options.rows, half = c->Dh / 2;
    trainer_room room = {t->block, 0};
    bz_train_layer none;
    for (uint32_t i = 0; i <= c->n_layers; ++i) {
        float *x = trainer_take(&room, T, c->D);
        if (t->x != NULL)
            t->x[i] = x;
    }
    for (uint32_t i = 0; i < (t->options.recompute ? 1 : c->n_layers); ++i)
        trainer_place_layer(t, t->layers != NULL ? &t->layers[i] : &none, i, &room);
    trainer_place_back(t, &room);
    trainer_place_head(t, &room);
    for (int g = 0; g < 2; ++g) {
        t->rope_cos[g] = trainer_take(&room, T, half);
        t->rope_sin[g] = trainer_take(&room, T, half);
        t->inv_freq[g] = (void *)trainer_take(&room, half, 2);
    }
    t->starts = (void *)trainer_take(&room, T + 1, 1);
    t->scratch_size = trainer_scratch(c, t->options.rows);
    t->scratch = trainer_take(&room, bz_thread_pool_size(t->engine->pool), t->scratch_size);
    return room.n;
}

int bz_train_has_bf16(const bz_kernel *kernel)
{
    return kernel->train->product_pairs_fast != NULL && bz_cpu_has_bf16();
}

static void trainer_set(bz_trainer *t, bezel_adapter *adapter, const bz_train_options *o)
{
    t->model = adapter->model;
    t->engine = adapter->model->engine;
    t->kernel = t->engine->kernel;
    t->product_pairs = bz_train_has_bf16(t->kernel) ? t->kernel->train->product_pairs_fast : t->kernel->train->product_pairs;
    t->config = &adapter->model->config;
    t->adapter = adapter;
    t->options = *o;
    t->stage = STAGE_DONE;
    (void)bezel_adapter_pairs(adapter, &t->max_rank);
}

uint64_t bz_trainer_bytes(const bezel_adapter *adapter, const bz_train_options *o)
{
    bz_trainer t = {0};
    uint64_t grads = 0;
    if (o->rows == 0 || o->rows > TRAIN_MOST_ROWS)
        return UINT64_MAX;
    trainer_set(&t, (bezel_adapter *)(uintptr_t)adapter, o);
    for (uint32_t i = 0; i < t.config->n_layers * BZ_N_TARGETS; ++i) {
        const bz_tensor *m = bz_adapter_matrix(t.model, i / BZ_N_TARGETS, i % BZ_N_TARGETS);
        grads += (m->K + m->N) * adapter->pairs[i].rank;
    }
    return (trainer_place(&t) + grads) * sizeof(float);
}

/* --- Life --------------------------------------------------------------------------------- */

static bezel_status trainer_check(const bezel_adapter *adapter, const bz_train_options *o, bezel_error *err)
{
    const bz_config *c = &adapter->model->config;
    if (c->attn_softcap > 0.0f || c->final_softcap > 0.0f)
        return bz_fail(err, BEZEL_ERR_UNSUPPORTED, "train", "model \"%s\" caps its scores, which cannot be trained here", c->arch);
    if (bezel_adapter_pairs(adapter, NULL) == 0)
        return bz_fail(err, BEZEL_ERR_MISSING, "train", "the adapter has no pair to train");
    if (o->rows == 0 || o->rows > TRAIN_MOST_ROWS)
        return bz_fail(err, BEZEL_ERR_RANGE, "train", "a pack of %u tokens, expected 1 to %u", (unsigned)o->rows, TRAIN_MOST_ROWS);
    if (o->bf16 && (c->D % 2 != 0 || c->F % 2 != 0 || c->Dh % 2 != 0))
        return bz_fail(err, BEZEL_ERR_UNSUPPORTED, "train", "a model with an odd width cannot be trained in bf16");
    if (!(o->dropout >= 0.0f && o->dropout < 1.0f))
        return bz_fail(err, BEZEL_ERR_RANGE, "train", "dropout is %g, expected 0 or more and below 1", (double)o->dropout);
    return BEZEL_OK;
}

static void trainer_frequencies(bz_trainer *t)
{
    const bz_config *c = t->config;
    for (size_t p = 0; p < c->Dh / 2; ++p) {
        const double e = -2.0 * (double)p / (double)c->Dh;
        t->inv_freq[0][p] = pow((double)c->rope_base_local, e);
        t->inv_freq[1][p] = pow((double)c->rope_base_global, e) / (double)c->rope_factor_global;
    }
}

bezel_status bz_train_same_shapes(bezel_adapter **out, const bezel_adapter *like, bezel_error *err)
{
    bezel_status status = bz_adapter_new(out, like->model, err);
    for (uint32_t i = 0; status == BEZEL_OK && i < like->model->config.n_layers * BZ_N_TARGETS; ++i)
        if (like->pairs[i].rank > 0)
            status = bz_adapter_add(*out, i / BZ_N_TARGETS, i % BZ_N_TARGETS, like->pairs[i].rank, like->pairs[i].scale, err);
    if (status != BEZEL_OK) {
        bezel_adapter_free(*out);
        *out = NULL;
    }
    return status;
}

static bezel_status trainer_fill(bz_trainer *t, bezel_error *err)
{
    const bezel_world *w = &t->engine->world;
    const uint64_t n = trainer_place(t);
    t->x = bz_zalloc_array(w, t->config->n_layers + 1, sizeof *t->x);
    t->layers = bz_zalloc_array(w, t->options.recompute ? 1 : t->config->n_layers, sizeof *t->layers);
    t->block = n < SIZE_MAX / 8 ? bz_alloc_huge(w, (size_t)n * sizeof *t->block) : NULL;
    if (t->x == NULL || t->layers == NULL || t->block == NULL)
        return bz_error_hint(err, bz_fail_memory(err, "train", "the activations of a pack", (size_t)n * sizeof *t->block),
                             "shorter packs, or checkpointing of activations, need less");
    (void)trainer_place(t);
    trainer_frequencies(t);
    return bz_train_same_shapes(&t->grad, t->adapter, err);
}

bezel_status bz_trainer_new(bz_trainer **out, bezel_adapter *adapter, const bz_train_options *o, bezel_error *err)
{
    *out = NULL;
    bezel_status status = trainer_check(adapter, o, err);
    if (status != BEZEL_OK)
        return status;
    bz_trainer *t = bz_zalloc(&adapter->model->engine->world, sizeof *t);
    if (t == NULL)
        return bz_fail_memory(err, "train", "the trainer", sizeof *t);
    trainer_set(t, adapter, o);
    status = trainer_fill(t, err);
    if (status != BEZEL_OK) {
        bz_trainer_free(t);
        return status;
    }
    *out = t;
    return BEZEL_OK;
}

void bz_trainer_free(bz_trainer *t)
{
    if (t == NULL)
        return;
    const bezel_world *w = &t->engine->world;
    bezel_adapter_free(t->grad);
    bz_free_aligned(w, t->block);
    bz_free(w, (void *)t->x);
    bz_free(w, t->layers);
    bz_free(w, t);
}

void bz_trainer_clear(bz_trainer *t)
{
    t->loss = 0.0;
    t->labels = t->hits = 0;
    for (uint32_t i = 0; i < t->config->n_layers * BZ_N_TARGETS; ++i) {
        const bz_low_rank *p = &t->grad->pairs[i];
        const bz_tensor *m = bz_adapter_matrix(t->model, i / BZ_N_TARGETS, i % BZ_N_TARGETS);
        if (p->rank == 0)
            continue;
        memset(p->a, 0, m->K * p->rank * sizeof *p->a);
        memset(p->b, 0, m->N * p->rank * sizeof *p->b);
    }
}

bezel_status bz_train_adapter_new(bezel_adapter **out, const bezel_model *model, uint32_t mask, uint32_t rank, float scale,
                                  uint64_t seed, bezel_error *err)
{
    bezel_status status = bz_adapter_new(out, model, err);
    bz_rng rng;
    bz_rng_seed(&rng, seed);
    for (uint32_t i = 0; status == BEZEL_OK && i < model->config.n_layers * BZ_N_TARGETS; ++i) {
        const uint32_t layer = i / BZ_N_TARGETS, target = i % BZ_N_TARGETS;
        if (!(mask >> target & 1))
            continue;
        status = bz_adapter_add(*out, layer, target, rank, scale, err);
        const size_t K = bz_adapter_matrix(model, layer, target)->K;
        for (size_t n = 0; status == BEZEL_OK && n < K * rank; ++n)
            (*out)->pairs[i].a[n] = (float)((2.0 * bz_rng_unit(&rng) - 1.0) / sqrt((double)K));
    }
    if (status != BEZEL_OK) {
        bezel_adapter_free(*out);
        *out = NULL;
    }
    return status;
}

/* --- Pass --------------------------------------------------------------------------------- */

static void trainer_begin_rows(void *ctx, size_t begin, size_t end, unsigned worker)
{
    bz_trainer *t = ctx;
    const bz_tensor *e = &t->model->weights.embedding;
    const size_t row_size = bz_tensor_row_size(e), half = t->config->Dh / 2;
    (void)worker;
    for (size_t i = begin; i < end; ++i) {
        float *x = t->x[0] + i * e->K;
        t->kernel->dequantize(x, (const char *)e->data + (size_t)t->pack.ids[i] * row_size, e->dtype, e->K);
        for (size_t k = 0; k < e->K; ++k)
            x[k] *= t->config->embed_scale;
        for (int g = 0; g < 2; ++g)
            for (size_t p = 0; p < half; ++p) {
                const double angle = (double)(i - t->pack.first[i]) * t->inv_freq[g][p];
                t->rope_cos[g][i * half + p] = (float)cos(angle);
                t->rope_sin[g][i * half + p] = (float)sin(angle);
            }
    }
}

static void trainer_start(bz_trainer *t, const bz_train_pack *pack, double weight, int only_loss)
{
    t->pack = *pack;
    t->weight = weight;
    t->only_loss = only_loss;
    t->pass += !only_loss;
    t->stage = STAGE_FORWARD;
    t->layer = 0;
    t->n_starts = 0;
    for (size_t i = 0; i < pack->T; ++i)
        if (pack->first[i] == i)
            t->starts[t->n_starts++] = (uint32_t)i;
    t->starts[t->n_starts] = (uint32_t)pack->T;
    bz_thread_pool_run(t->engine->pool, pack->T, 1, trainer_begin_rows, t);
}

void bz_trainer_begin(bz_trainer *t, const bz_train_pack *pack, double weight)
{
    trainer_start(t, pack, weight, 0);
}

void bz_trainer_begin_loss(bz_trainer *t, const bz_train_pack *pack, double weight)
{
    trainer_start(t, pack, weight, 1);
}

static void trainer_forward(bz_trainer *t)
{
    bz_train_layer_forward(t, t->layer);
    if (++t->layer < t->config->n_layers)
        return;
    bz_train_head_begin(t);
    t->stage = t->head.n > 0 ? STAGE_HEAD : STAGE_DONE;
}

static void trainer_back(bz_trainer *t)
{
    --t->layer;
    /* The buffer still holds the last layer after the forward pass. */
    if (t->options.recompute && t->layer + 1 < t->config->n_layers)
        bz_train_layer_forward(t, t->layer);
    bz_train_layer_back(t, t->layer);
    if (t->layer == 0)
        t->stage = STAGE_DONE;
}

int bz_trainer_unit(bz_trainer *t)
{
    if (t->stage == STAGE_FORWARD)
        trainer_forward(t);
    else if (t->stage == STAGE_HEAD && !bz_train_head_scan(t))
        t->stage = t->only_loss ? STAGE_DONE : STAGE_BACK;
    else if (t->stage == STAGE_BACK)
        trainer_back(t);
    return t->stage != STAGE_DONE;
}
