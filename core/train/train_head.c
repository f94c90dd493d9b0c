/* SPDX-License-Identifier: MIT */
/* Loss of the labelled positions and its gradient, in one scan of the output matrix W (see trainer.h).
 *
 * With l = W h, loss = log sum exp(l) - l_y and its gradient by h is (sum of exp(l_v) W_v) / sum of exp(l) - W_y: attention of
 * h over the rows of W. So a tile of rows is widened once and used twice, for its logits and for the weighted sum, with the
 * largest logit so far taken out of both; no logits are kept. */
#include "train/trainer.h"

#include <math.h>
#include <string.h>

enum { HEAD_APART = 16 }; /* numbers between rows that are read by columns */

typedef struct head_scan {
    bz_trainer *t;
    const bz_tensor *w;
    size_t first, n; /* labelled rows of this scan */
} head_scan;

size_t bz_train_head_scratch(const bz_config *c)
{
    const size_t floats = (size_t)BZ_TRAIN_PANEL * (2 * (size_t)c->D + BZ_TRAIN_HEAD_ROWS);
    const size_t halves = bz_train_panel_scratch(c->D) + (size_t)BZ_TRAIN_PANEL * (c->D / 2 + BZ_TRAIN_HEAD_ROWS * 3 / 2);
    return floats > halves ? floats : halves;
}

static int32_t head_target(const head_scan *s, size_t i)
{
    return s->t->pack.targets[s->t->head.rows[s->first + i]];
}

/* One position takes a tile in: logits to weights. */
static void head_take(const head_scan *s, float *logits, size_t n, size_t first, size_t part, size_t i)
{
    bz_train_head *h = &s->t->head;
    const size_t at = part * BZ_TRAIN_HEAD_ROWS + i, D = s->w->K, target = (size_t)head_target(s, i);
    float most = h->most[at];
    uint32_t best = h->best[at];
    if (target >= first && target - first < n)
        h->wanted[i] = logits[target - first];
    for (size_t r = 0; r < n; ++r)
        if (logits[r] > most) {
            most = logits[r];
            best = (uint32_t)(first + r);
        }
    if (most > h->most[at]) {
        const float shrink = expf(h->most[at] - most);
        float *acc = h->acc + at * D;
        for (size_t k = 0; k < D; ++k)
            acc[k] *= shrink;
        h->sum[at] *= (double)shrink;
        h->most[at] = most;
        h->best[at] = best;
    }
    h->sum[at] += (double)s->t->kernel->train->exp_less(logits, n, most);
}

/* Rows [begin, end) of W for all positions of the scan. */
static void head_part(const head_scan *s, size_t begin, size_t end, size_t part, float *scratch)
{
    const bz_trainer *t = s->t;
    const bz_train_head *h = &t->head;
    const size_t D = s->w->K, row_size = bz_tensor_row_size(s->w);
    float *rows = scratch, *panel = rows + BZ_TRAIN_PANEL * D, *logits = panel + BZ_TRAIN_PANEL * D;
    float *acc = h->acc + part * BZ_TRAIN_HEAD_ROWS * D;
    for (size_t first = begin, n; first < end; first += n) {
        n = end - first < BZ_TRAIN_PANEL ? end - first : BZ_TRAIN_PANEL;
        for (size_t r = 0; r < n; ++r) {
            t->kernel->dequantize(rows + r * D, (const char *)s->w->data + (first + r) * row_size, s->w->dtype, D);
            for (size_t k = 0; k < D; ++k)
                panel[k * n + r] = rows[r * D + k];
        }
        memset(logits, 0, s->n * n * sizeof *logits);
        t->kernel->product(logits, n, h->x, D, 1, panel, n, s->n, D, n);
        for (size_t i = 0; i < s->n; ++i)
            head_take(s, logits + i * n, n, first, part, i);
        if (!t->only_loss)
            t->kernel->product(acc, D, logits, n, 1, rows, D, s->n, n, D);
    }
}

/* The same with all products of bf16; n is even but in the last tile of a vocabulary of odd size. */
static void head_part_bf16(const head_scan *s, size_t begin, size_t end, size_t part, float *scratch)
{
    const bz_trainer *t = s->t;
    const bz_train_head *h = &t->head;
    const bz_train_kernel *train = t->kernel->train;
    const size_t D = s->w->K, row_size = bz_tensor_row_size(s->w), stride = D / 2 + HEAD_APART;
    float *low = scratch, *high = low + D, *acc = h->acc + part * BZ_TRAIN_HEAD_ROWS * D;
    uint32_t *rows = (uint32_t *)(void *)(high + D), *panel = rows + BZ_TRAIN_PANEL * stride;
    uint32_t *pairs = panel + BZ_TRAIN_PANEL * (D / 2); /* [n / 2, D] of two rows */
    float *logits = (float *)(void *)(pairs + BZ_TRAIN_PANEL / 2 * D);
    uint32_t *weights = (uint32_t *)(void *)(logits + BZ_TRAIN_PANEL * BZ_TRAIN_HEAD_ROWS);
    for (size_t first = begin, n; first < end; first += n) {
        n = end - first < BZ_TRAIN_PANEL ? end - first : BZ_TRAIN_PANEL;
        const size_t even = (n + 1) / 2 * 2;
        for (size_t r = 0; r < n; r += 2) {
            const char *row = (const char *)s->w->data + (first + r) * row_size;
            t->kernel->dequantize(low, row, s->w->dtype, D);
            memset(high, 0, D * sizeof *high);
            if (r + 1 < n)
                t->kernel->dequantize(high, row + row_size, s->w->dtype, D);
            train->to_bf16((uint16_t *)(void *)(rows + r * stride), low, D);
            train->to_bf16((uint16_t *)(void *)(rows + (r + 1) * stride), high, D);
            train->to_pairs(pairs + r / 2 * D, low, high, D);
        }
        train->turn(panel, even, rows, stride, even, D / 2);
        memset(logits, 0, s->n * even * sizeof *logits);
        t->product_pairs(logits, even, h->x_pairs, D / 2, panel, even, s->n, D / 2, n);
        for (size_t i = 0; i < s->n; ++i)
            head_take(s, logits + i * even, n, first, part, i);
        if (t->only_loss)
            continue;
        train->to_bf16((uint16_t *)(void *)weights, logits, s->n * even);
        t->product_pairs(acc, D, weights, even / 2, pairs, D, s->n, even / 2, D);
    }
}

static void head_parts(void *ctx, size_t begin, size_t end, unsigned worker)
{
    const head_scan *s = ctx;
    const size_t panels = (s->w->N + BZ_TRAIN_PANEL - 1) / BZ_TRAIN_PANEL;
    for (size_t part = begin; part < end; ++part) {
        const size_t from = panels * part / BZ_TRAIN_HEAD_PARTS * BZ_TRAIN_PANEL;
        const size_t to = panels * (part + 1) / BZ_TRAIN_HEAD_PARTS * BZ_TRAIN_PANEL;
        (s->t->options.bf16 ? head_part_bf16 : head_part)(s, from, to < s->w->N ? to : s->w->N, part,
                                                          bz_train_scratch(s->t, worker));
    }
}

static void head_start_rows(void *ctx, size_t begin, size_t end, unsigned worker)
{
    const head_scan *s = ctx;
    const bz_trainer *t = s->t;
    const bz_train_head *h = &t->head;
    const size_t D = t->config->D;
    (void)worker;
    for (size_t i = begin; i < end; ++i) {
        const float *x = t->x[t->config->n_layers] + h->rows[s->first + i] * D;
        t->kernel->rms_norm(h->x + i * D, x, t->model->weights.output_norm, D, t->config->eps);
        for (size_t part = 0; part < BZ_TRAIN_HEAD_PARTS; ++part) {
            const size_t at = part * BZ_TRAIN_HEAD_ROWS + i;
            h->most[at] = -INFINITY;
            h->sum[at] = 0.0;
            h->best[at] = 0;
            memset(h->acc + at * D, 0, D * sizeof *h->acc);
        }
    }
}

/* Joins the parts of a position: its loss, and dh in the place of its first part. */
static void head_join(const head_scan *s, size_t i)
{
    bz_train_head *h = &s->t->head;
    const size_t D = s->w->K, stride = BZ_TRAIN_HEAD_ROWS;
    size_t top = i;
    double sum = 0.0;
    for (size_t at = i; at < BZ_TRAIN_HEAD_PARTS * stride; at += stride)
        top = h->most[at] > h->most[top] ? at : top;
    const float most = h->most[top];
    h->best[i] = h->best[top];
    for (size_t at = i; at < BZ_TRAIN_HEAD_PARTS * stride; at += stride)
        sum += h->sum[at] * exp((double)h->most[at] - (double)most);
    h->loss[i] = log(sum) + (double)most - (double)h->wanted[i];
    for (size_t part = 0; part < BZ_TRAIN_HEAD_PARTS; ++part) {
        const size_t at = part * stride + i;
        const float share = (float)(exp((double)h->most[at] - (double)most) / sum);
        float *acc = h->acc + i * D;
        const float *from = h->acc + at * D;
        for (size_t k = 0; k < D; ++k)
            acc[k] = part == 0 ? from[k] * share : acc[k] + from[k] * share;
    }
}

static void head_end_rows(void *ctx, size_t begin, size_t end, unsigned worker)
{
    const head_scan *s = ctx;
    const bz_trainer *t = s->t;
    const bz_train_head *h = &t->head;
    const size_t D = t->config->D, row_size = bz_tensor_row_size(s->w);
    const float weight = (float)t->weight;
    (void)worker;
    for (size_t i = begin; i < end; ++i) {
        const size_t row = h->rows[s->first + i];
        float *dh = h->acc + i * D, *wanted = h->x + i * D;
        head_join(s, i);
        if (t->only_loss)
            continue;
        t->kernel->dequantize(wanted, (const char *)s->w->data + (size_t)head_target(s, i) * row_size, s->w->dtype, D);
        for (size_t k = 0; k < D; ++k)
            dh[k] = (dh[k] - wanted[k]) * weight;
        t->kernel->train->norm_back(t->back.x + row * D, dh, t->x[t->config->n_layers] + row * D, t->model->weights.output_norm, D,
                           t->config->eps, 0);
    }
}

void bz_train_head_begin(bz_trainer *t)
{
    bz_train_head *h = &t->head;
    h->n = 0;
    h->at = 0;
    for (size_t i = 0; i < t->pack.T; ++i)
        if (t->pack.targets[i] >= 0)
            h->rows[h->n++] = (uint32_t)i;
    memset(t->back.x, 0, t->pack.T * t->config->D * sizeof *t->back.x);
}

int bz_train_head_scan(bz_trainer *t)
{
    bz_train_head *h = &t->head;
    const size_t left = h->n - h->at;
    head_scan s = {t, &t->model->weights.output, h->at, left < BZ_TRAIN_HEAD_ROWS ? left : BZ_TRAIN_HEAD_ROWS};
    bz_thread_pool_run(t->engine->pool, s.n, 1, head_start_rows, &s);
    if (t->options.bf16)
        bz_train_to_pairs(t, h->x_pairs, h->x, s.n, s.w->K);
    bz_thread_pool_run(t->engine->pool, BZ_TRAIN_HEAD_PARTS, 1, head_parts, &s);
    bz_thread_pool_run(t->engine->pool, s.n, 1, head_end_rows, &s);
    for (size_t i = 0; i < s.n; ++i) {
        t->loss += h->loss[i] * t->weight;
        t->hits += h->best[i] == (uint32_t)head_target(&s, i);
    }
    t->labels += s.n;
    h->at += s.n;
    return h->at < h->n;
}
