/* SPDX-License-Identifier: MIT */
/* Attention inside each example of a pack, forward and backward (see trainer.h). Query i sees key j iff both are of one
 * example, j <= i and (window) i - j < W. Weights are not stored: the backward pass makes them again.
 * A task is one query head of one example; heads that share keys get gradients of their own, added afterwards. */
#include "train/trainer.h"

#include <math.h>
#include <string.h>

typedef struct attention {
    bz_trainer *t;
    const bz_train_layer *a;
    size_t window; /* 0 = none */
} attention;

/* One head of one example; row 0 is the example's first. */
typedef struct attention_head {
    const bz_kernel *kernel;
    const float *q, *k, *v;
    size_t q_stride, k_stride, n, Dh, window;
    float scale;
    float *k_turned, *v_turned; /* [Dh, n] */
    float *p, *ds;              /* [BZ_TRAIN_QUERIES, n] */
} attention_head;

size_t bz_train_attention_scratch(const bz_config *c, size_t rows)
{
    return 2 * rows * (c->Dh + BZ_TRAIN_QUERIES);
}

static void attention_turn(float *out, const float *x, size_t stride, size_t n, size_t Dh)
{
    for (size_t t = 0; t < n; ++t)
        for (size_t d = 0; d < Dh; ++d)
            out[d * n + t] = x[t * stride + d];
}

static attention_head attention_head_of(const attention *at, size_t first, size_t n, size_t h, float *scratch)
{
    const bz_config *c = at->t->config;
    const size_t kv = h / (c->H / c->Hkv), q_stride = (size_t)c->H * c->Dh, k_stride = (size_t)c->Hkv * c->Dh;
    attention_head p = {.kernel = at->t->kernel,
                        .q = at->a->q_rot + first * q_stride + h * c->Dh,
                        .k = at->a->k_rot + first * k_stride + kv * c->Dh,
                        .v = at->a->v + first * k_stride + kv * c->Dh,
                        .q_stride = q_stride,
                        .k_stride = k_stride,
                        .n = n,
                        .Dh = c->Dh,
                        .window = at->window,
                        .scale = c->score_scale};
    p.k_turned = scratch;
    p.v_turned = p.k_turned + n * p.Dh;
    p.p = p.v_turned + n * p.Dh;
    p.ds = p.p + n * BZ_TRAIN_QUERIES;
    attention_turn(p.k_turned, p.k, p.k_stride, n, p.Dh);
    return p;
}

static size_t attention_low(const attention_head *p, size_t i)
{
    return p->window > 0 && i + 1 > p->window ? i + 1 - p->window : 0;
}

/* p [rows, n]: weights of the queries t .. t + rows - 1 over the keys low .. t + rows - 1, 0 for those not seen. */
static void attention_weights(const attention_head *p, size_t t, size_t rows, size_t low)
{
    const size_t keys = t + rows - low;
    for (size_t r = 0; r < rows; ++r)
        memset(p->p + r * p->n + low, 0, keys * sizeof *p->p);
    p->kernel->product(p->p + low, p->n, p->q + t * p->q_stride, p->q_stride, 1, p->k_turned + low, p->n, rows, p->Dh, keys);
    for (size_t r = 0; r < rows; ++r) {
        float *s = p->p + r * p->n, most = -INFINITY;
        const size_t begin = attention_low(p, t + r), end = t + r + 1;
        for (size_t j = begin; j < end; ++j) {
            s[j] *= p->scale;
            most = s[j] > most ? s[j] : most;
        }
        const float sum = p->kernel->train->exp_less(s + begin, end - begin, most);
        for (size_t j = begin; j < end; ++j)
            s[j] /= sum;
        memset(s + low, 0, (begin - low) * sizeof *s);
        memset(s + end, 0, (low + keys - end) * sizeof *s);
    }
}

static void attention_head_forward(const attention_head *p, float *out)
{
    for (size_t t = 0, rows; t < p->n; t += rows) {
        rows = p->n - t < BZ_TRAIN_QUERIES ? p->n - t : BZ_TRAIN_QUERIES;
        const size_t low = attention_low(p, t);
        attention_weights(p, t, rows, low);
        for (size_t r = 0; r < rows; ++r)
            memset(out + (t + r) * p->q_stride, 0, p->Dh * sizeof *out);
        p->kernel->product(out + t * p->q_stride, p->q_stride, p->p + low, p->n, 1, p->v + low * p->k_stride, p->k_stride,
                           rows, t + rows - low, p->Dh);
    }
}

/* ds = scale * p (dp - sum of p dp), dp in ds before. */
static void attention_softmax_back(const attention_head *p, size_t rows, size_t low, size_t keys)
{
    for (size_t r = 0; r < rows; ++r) {
        const float *w = p->p + r * p->n + low;
        float *ds = p->ds + r * p->n + low;
        double sum = 0.0;
        for (size_t j = 0; j < keys; ++j)
            sum += (double)w[j] * (double)ds[j];
        for (size_t j = 0; j < keys; ++j)
            ds[j] = p->scale * w[j] * (ds[j] - (float)sum);
    }
}

/* dq, dk, dv: rows of q_stride, zeros before; dout likewise. */
static void attention_head_back(const attention_head *p, const float *dout, float *dq, float *dk, float *dv)
{
    const size_t stride = p->q_stride;
    attention_turn(p->v_turned, p->v, p->k_stride, p->n, p->Dh);
    for (size_t t = 0, rows; t < p->n; t += rows) {
        rows = p->n - t < BZ_TRAIN_QUERIES ? p->n - t : BZ_TRAIN_QUERIES;
        const size_t low = attention_low(p, t), keys = t + rows - low;
        const float *dout_row = dout + t * stride, *q_row = p->q + t * stride;
        attention_weights(p, t, rows, low);
        for (size_t r = 0; r < rows; ++r)
            memset(p->ds + r * p->n + low, 0, keys * sizeof *p->ds);
        p->kernel->product(p->ds + low, p->n, dout_row, stride, 1, p->v_turned + low, p->n, rows, p->Dh, keys);
        attention_softmax_back(p, rows, low, keys);
        p->kernel->product(dv + low * stride, stride, p->p + low, 1, p->n, dout_row, stride, keys, rows, p->Dh);
        p->kernel->product(dq + t * stride, stride, p->ds + low, p->n, 1, p->k + low * p->k_stride, p->k_stride, rows, keys,
                           p->Dh);
        p->kernel->product(dk + low * stride, stride, p->ds + low, 1, p->n, q_row, stride, keys, rows, p->Dh);
    }
}

/* A task is a head of an example. */
static void attention_tasks(void *ctx, size_t begin, size_t end, unsigned worker)
{
    const attention *at = ctx;
    const bz_config *c = at->t->config;
    for (size_t i = begin; i < end; ++i) {
        const size_t first = at->t->starts[i / c->H], n = at->t->starts[i / c->H + 1] - first, h = i % c->H;
        const attention_head p = attention_head_of(at, first, n, h, bz_train_scratch(at->t, worker));
        attention_head_forward(&p, at->a->att + first * p.q_stride + h * c->Dh);
    }
}

static void attention_tasks_back(void *ctx, size_t begin, size_t end, unsigned worker)
{
    const attention *at = ctx;
    const bz_config *c = at->t->config;
    const bz_train_back *b = &at->t->back;
    for (size_t i = begin; i < end; ++i) {
        const size_t first = at->t->starts[i / c->H], n = at->t->starts[i / c->H + 1] - first, h = i % c->H;
        const attention_head p = attention_head_of(at, first, n, h, bz_train_scratch(at->t, worker));
        const size_t place = first * p.q_stride + h * c->Dh;
        attention_head_back(&p, b->att + place, b->q + place, b->k_head + place, b->v_head + place);
    }
}

/* k and v of a KV head: the sum over its query heads. */
static void attention_join_rows(void *ctx, size_t begin, size_t end, unsigned worker)
{
    const attention *at = ctx;
    const bz_config *c = at->t->config;
    const bz_train_back *b = &at->t->back;
    const size_t group = c->H / c->Hkv, Dh = c->Dh;
    (void)worker;
    for (size_t i = begin * c->Hkv; i < end * c->Hkv; ++i) {
        float *k = b->k + i * Dh, *v = b->v + i * Dh;
        const float *k_head = b->k_head + i * group * Dh, *v_head = b->v_head + i * group * Dh;
        memcpy(k, k_head, Dh * sizeof *k);
        memcpy(v, v_head, Dh * sizeof *v);
        for (size_t g = 1; g < group; ++g) {
            at->t->kernel->add(k, k_head + g * Dh, Dh);
            at->t->kernel->add(v, v_head + g * Dh, Dh);
        }
    }
}

static attention attention_of(bz_trainer *t, const bz_train_layer *a, int is_global)
{
    return (attention){t, a, is_global ? 0 : t->config->window};
}

void bz_train_attention(bz_trainer *t, const bz_train_layer *a, int is_global)
{
    attention at = attention_of(t, a, is_global);
    bz_thread_pool_run(t->engine->pool, t->n_starts * t->config->H, 1, attention_tasks, &at);
}

void bz_train_attention_back(bz_trainer *t, const bz_train_layer *a, int is_global)
{
    attention at = attention_of(t, a, is_global);
    const size_t size = t->pack.T * t->config->H * t->config->Dh * sizeof(float);
    memset(t->back.q, 0, size);
    memset(t->back.k_head, 0, size);
    memset(t->back.v_head, 0, size);
    bz_thread_pool_run(t->engine->pool, t->n_starts * t->config->H, 1, attention_tasks_back, &at);
    bz_thread_pool_run(t->engine->pool, t->pack.T, 1, attention_join_rows, &at);
}
