/* SPDX-License-Identifier: MIT */
/* One decoder layer with what its backward pass needs, and that pass (see trainer.h). The formulas are those of
 * core/model/decoder.c, attention.c and feed_forward.c. Norms and weights of the model get no gradient. */
#include "train/trainer.h"

#include <string.h>

typedef struct layer_pass {
    bz_trainer *t;
    const bz_layer_weights *w;
    bz_train_layer *a;
    const float *x; /* input */
    float *next;    /* output */
    int is_global;
    int is_first;   /* nobody wants the gradient of its input */
} layer_pass;

static layer_pass layer_pass_of(bz_trainer *t, uint32_t layer)
{
    return (layer_pass){.t = t,
                        .w = &t->model->weights.layers[layer],
                        .a = &t->layers[t->options.recompute ? 0 : layer],
                        .x = t->x[layer],
                        .next = t->x[layer + 1],
                        .is_global = t->config->is_global[layer],
                        .is_first = layer == 0};
}

/* --- Forward ------------------------------------------------------------------------------ */

static void layer_norm_rows(void *ctx, size_t begin, size_t end, unsigned worker)
{
    const layer_pass *p = ctx;
    const size_t D = p->t->config->D;
    (void)worker;
    for (size_t t = begin; t < end; ++t)
        p->t->kernel->rms_norm(p->a->x_norm + t * D, p->x + t * D, p->w->attn_norm, D, p->t->config->eps);
}

/* Norm and rotation of n heads. */
static void layer_rotate(const layer_pass *p, float *out, const float *x, const float *norm, size_t n, size_t t)
{
    const size_t Dh = p->t->config->Dh;
    for (size_t h = 0; h < n; ++h, out += Dh, x += Dh) {
        if (norm != NULL)
            p->t->kernel->rms_norm(out, x, norm, Dh, p->t->config->eps);
        else
            memcpy(out, x, Dh * sizeof *out);
        p->t->kernel->rope(out, p->t->rope_cos[p->is_global] + t * (Dh / 2), p->t->rope_sin[p->is_global] + t * (Dh / 2), Dh);
    }
}

static void layer_rotate_rows(void *ctx, size_t begin, size_t end, unsigned worker)
{
    const layer_pass *p = ctx;
    const bz_config *c = p->t->config;
    const size_t q = (size_t)c->H * c->Dh, k = (size_t)c->Hkv * c->Dh;
    (void)worker;
    for (size_t t = begin; t < end; ++t) {
        layer_rotate(p, p->a->q_rot + t * q, p->a->q + t * q, p->w->q_norm, c->H, t);
        layer_rotate(p, p->a->k_rot + t * k, p->a->k + t * k, p->w->k_norm, c->Hkv, t);
    }
}

/* out = x + norm(y), where the family has that norm. */
static void layer_residual(const layer_pass *p, float *out, const float *x, const float *y, const float *norm, size_t t)
{
    const size_t D = p->t->config->D;
    out += t * D;
    if (norm != NULL)
        p->t->kernel->rms_norm(out, y + t * D, norm, D, p->t->config->eps);
    else
        memcpy(out, y + t * D, D * sizeof *out);
    p->t->kernel->add(out, x + t * D, D);
}

static void layer_middle_rows(void *ctx, size_t begin, size_t end, unsigned worker)
{
    const layer_pass *p = ctx;
    const size_t D = p->t->config->D;
    (void)worker;
    for (size_t t = begin; t < end; ++t) {
        layer_residual(p, p->a->mid, p->x, p->a->out, p->w->post_attn_norm, t);
        p->t->kernel->rms_norm(p->a->mid_norm + t * D, p->a->mid + t * D, p->w->ffn_norm, D, p->t->config->eps);
    }
}

static void layer_gate_rows(void *ctx, size_t begin, size_t end, unsigned worker)
{
    const layer_pass *p = ctx;
    const size_t F = p->t->config->F;
    (void)worker;
    for (size_t t = begin; t < end; ++t)
        p->t->kernel->geglu(p->a->hidden + t * F, p->a->gate + t * F, p->a->up + t * F, F);
}

static void layer_end_rows(void *ctx, size_t begin, size_t end, unsigned worker)
{
    const layer_pass *p = ctx;
    (void)worker;
    for (size_t t = begin; t < end; ++t)
        layer_residual(p, p->next, p->a->mid, p->a->down, p->w->post_ffn_norm, t);
}

void bz_train_layer_forward(bz_trainer *t, uint32_t layer)
{
    layer_pass p = layer_pass_of(t, layer);
    bz_thread_pool *pool = t->engine->pool;
    const size_t T = t->pack.T;
    bz_train_layer *a = p.a;
    bz_thread_pool_run(pool, T, 1, layer_norm_rows, &p);
    bz_train_linear(t, layer, BZ_TARGET_Q, a->q, a->x_norm, a->low[BZ_TARGET_Q]);
    bz_train_linear(t, layer, BZ_TARGET_K, a->k, a->x_norm, a->low[BZ_TARGET_K]);
    bz_train_linear(t, layer, BZ_TARGET_V, a->v, a->x_norm, a->low[BZ_TARGET_V]);
    bz_thread_pool_run(pool, T, 1, layer_rotate_rows, &p);
    bz_train_attention(t, a, p.is_global);
    bz_train_linear(t, layer, BZ_TARGET_O, a->out, a->att, a->low[BZ_TARGET_O]);
    bz_thread_pool_run(pool, T, 1, layer_middle_rows, &p);
    bz_train_linear(t, layer, BZ_TARGET_GATE, a->gate, a->mid_norm, a->low[BZ_TARGET_GATE]);
    bz_train_linear(t, layer, BZ_TARGET_UP, a->up, a->mid_norm, a->low[BZ_TARGET_UP]);
    bz_thread_pool_run(pool, T, 1, layer_gate_rows, &p);
    bz_train_linear(t, layer, BZ_TARGET_DOWN, a->down, a->hidden, a->low[BZ_TARGET_DOWN]);
    bz_thread_pool_run(pool, T, 1, layer_end_rows, &p);
}

/* --- Backward ----------------------------------------------------------------------------- */

/* Gradient of y in x + norm(y), for all rows: dy itself where the family has no such norm. */
typedef struct layer_branch {
    const layer_pass *p;
    float *to;
    const float *y, *norm;
} layer_branch;

static void layer_branch_rows(void *ctx, size_t begin, size_t end, unsigned worker)
{
    const layer_branch *b = ctx;
    const bz_trainer *t = b->p->t;
    const size_t D = t->config->D;
    (void)worker;
    for (size_t i = begin * D; i < end * D; i += D)
        t->kernel->train->norm_back(b->to + i, t->back.x + i, b->y + i, b->norm, D, t->config->eps, 0);
}

static const float *layer_branch_back(const layer_pass *p, const float *y, const float *norm)
{
    layer_branch b = {p, p->t->back.a, y, norm};
    if (norm == NULL)
        return p->t->back.x;
    bz_thread_pool_run(p->t->engine->pool, p->t->pack.T, 1, layer_branch_rows, &b);
    return b.to;
}

static void layer_gate_rows_back(void *ctx, size_t begin, size_t end, unsigned worker)
{
    const layer_pass *p = ctx;
    const size_t F = p->t->config->F, at = begin * F;
    const bz_train_back *b = &p->t->back;
    (void)worker;
    p->t->kernel->train->geglu_back(b->gate + at, b->up + at, b->hidden + at, p->a->gate + at, p->a->up + at, end * F - at);
}

static void layer_middle_rows_back(void *ctx, size_t begin, size_t end, unsigned worker)
{
    const layer_pass *p = ctx;
    const bz_trainer *t = p->t;
    const size_t D = t->config->D;
    (void)worker;
    for (size_t i = begin * D; i < end * D; i += D)
        t->kernel->train->norm_back(t->back.x + i, t->back.b + i, p->a->mid + i, p->w->ffn_norm, D, t->config->eps, 1);
}

/* The rotation the other way, then the norm; in place. */
static void layer_rotate_back(const layer_pass *p, float *d, const float *x, const float *norm, size_t n, size_t t)
{
    const size_t Dh = p->t->config->Dh, half = Dh / 2;
    const float *cosine = p->t->rope_cos[p->is_global] + t * half, *sine = p->t->rope_sin[p->is_global] + t * half;
    for (size_t h = 0; h < n; ++h, d += Dh, x += Dh) {
        for (size_t i = 0; i < half; ++i) {
            const float a = d[i], b = d[i + half];
            d[i] = a * cosine[i] + b * sine[i];
            d[i + half] = b * cosine[i] - a * sine[i];
        }
        if (norm != NULL)
            p->t->kernel->train->norm_back(d, d, x, norm, Dh, p->t->config->eps, 0);
    }
}

static void layer_rotate_rows_back(void *ctx, size_t begin, size_t end, unsigned worker)
{
    const layer_pass *p = ctx;
    const bz_config *c = p->t->config;
    const size_t q = (size_t)c->H * c->Dh, k = (size_t)c->Hkv * c->Dh;
    (void)worker;
    for (size_t t = begin; t < end; ++t) {
        layer_rotate_back(p, p->t->back.q + t * q, p->a->q + t * q, p->w->q_norm, c->H, t);
        layer_rotate_back(p, p->t->back.k + t * k, p->a->k + t * k, p->w->k_norm, c->Hkv, t);
    }
}

static void layer_first_rows_back(void *ctx, size_t begin, size_t end, unsigned worker)
{
    const layer_pass *p = ctx;
    const bz_trainer *t = p->t;
    const size_t D = t->config->D;
    (void)worker;
    for (size_t i = begin * D; i < end * D; i += D)
        t->kernel->train->norm_back(t->back.x + i, t->back.b + i, p->x + i, p->w->attn_norm, D, t->config->eps, 1);
}

void bz_train_layer_back(bz_trainer *t, uint32_t layer)
{
    layer_pass p = layer_pass_of(t, layer);
    bz_thread_pool *pool = t->engine->pool;
    const size_t T = t->pack.T, D = t->config->D;
    const bz_train_layer *a = p.a;
    bz_train_back *b = &t->back;
    const float *d = layer_branch_back(&p, a->down, p.w->post_ffn_norm);
    memset(b->hidden, 0, T * t->config->F * sizeof *b->hidden);
    bz_train_linear_back(t, layer, BZ_TARGET_DOWN, b->hidden, d, a->hidden, a->low[BZ_TARGET_DOWN]);
    bz_thread_pool_run(pool, T, 1, layer_gate_rows_back, &p);
    memset(b->b, 0, T * D * sizeof *b->b);
    bz_train_linear_back(t, layer, BZ_TARGET_GATE, b->b, b->gate, a->mid_norm, a->low[BZ_TARGET_GATE]);
    bz_train_linear_back(t, layer, BZ_TARGET_UP, b->b, b->up, a->mid_norm, a->low[BZ_TARGET_UP]);
    bz_thread_pool_run(pool, T, 1, layer_middle_rows_back, &p);
    d = layer_branch_back(&p, a->out, p.w->post_attn_norm);
    memset(b->att, 0, T * t->config->H * t->config->Dh * sizeof *b->att);
    bz_train_linear_back(t, layer, BZ_TARGET_O, b->att, d, a->att, a->low[BZ_TARGET_O]);
    bz_train_attention_back(t, a, p.is_global);
    bz_thread_pool_run(pool, T, 1, layer_rotate_rows_back, &p);
    float *dx = p.is_first ? NULL : b->b;
    memset(b->b, 0, T * D * sizeof *b->b);
    bz_train_linear_back(t, layer, BZ_TARGET_Q, dx, b->q, a->x_norm, a->low[BZ_TARGET_Q]);
    bz_train_linear_back(t, layer, BZ_TARGET_K, dx, b->k, a->x_norm, a->low[BZ_TARGET_K]);
    bz_train_linear_back(t, layer, BZ_TARGET_V, dx, b->v, a->x_norm, a->low[BZ_TARGET_V]);
    if (dx != NULL)
        bz_thread_pool_run(pool, T, 1, layer_first_rows_back, &p);
}
