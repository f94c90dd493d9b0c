/* SPDX-License-Identifier: MIT */
/* Loss of a model with low-rank pairs in plain f64 loops (see train_reference.h). */
#include "support/train_reference.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>

#include "compute/quant.h"

static double *numbers(size_t n)
{
    double *x = calloc(n ? n : 1, sizeof *x);
    ck_assert_ptr_nonnull(x);
    return x;
}

static double *widened(const float *from, size_t n)
{
    double *x = numbers(n);
    for (size_t i = 0; i < n; i++)
        x[i] = (double)from[i];
    return x;
}

void train_reference_init(train_reference *r, const bezel_adapter *adapter)
{
    const uint32_t n = adapter->model->config.n_layers * BZ_N_TARGETS;
    r->adapter = adapter;
    r->a = calloc(n, sizeof *r->a);
    r->b = calloc(n, sizeof *r->b);
    ck_assert(r->a != NULL && r->b != NULL);
    for (uint32_t i = 0; i < n; i++) {
        const bz_tensor *m = bz_adapter_matrix(adapter->model, i / BZ_N_TARGETS, i % BZ_N_TARGETS);
        r->a[i] = widened(adapter->pairs[i].a, m->K * adapter->pairs[i].rank);
        r->b[i] = widened(adapter->pairs[i].b, m->N * adapter->pairs[i].rank);
    }
}

void train_reference_free(train_reference *r)
{
    for (uint32_t i = 0; i < r->adapter->model->config.n_layers * BZ_N_TARGETS; i++) {
        free(r->a[i]);
        free(r->b[i]);
    }
    free(r->a);
    free(r->b);
}

static void decoded(float *row, const bz_tensor *w, size_t n)
{
    bz_quant_decode(row, (const char *)w->data + n * bz_tensor_row_size(w), w->dtype, w->K);
}

/* y [n, N] = x W' + scale (x A) B */
static double *linear(const train_reference *r, uint32_t layer, uint32_t target, const double *x, size_t n)
{
    const uint32_t place = layer * BZ_N_TARGETS + target;
    const bz_tensor *w = bz_adapter_matrix(r->adapter->model, layer, target);
    const bz_low_rank *pair = &r->adapter->pairs[place];
    double *y = numbers(n * w->N), *low = numbers(n * pair->rank);
    float *row = malloc(w->K * sizeof *row);
    ck_assert_ptr_nonnull(row);
    for (size_t t = 0; t < n; t++)
        for (size_t k = 0; k < w->K; k++)
            for (size_t j = 0; j < pair->rank; j++)
                low[t * pair->rank + j] += x[t * w->K + k] * r->a[place][k * pair->rank + j];
    for (size_t i = 0; i < w->N; i++) {
        decoded(row, w, i);
        for (size_t t = 0; t < n; t++) {
            double sum = 0.0, added = 0.0;
            for (size_t k = 0; k < w->K; k++)
                sum += x[t * w->K + k] * (double)row[k];
            for (size_t j = 0; j < pair->rank; j++)
                added += low[t * pair->rank + j] * r->b[place][j * w->N + i];
            y[t * w->N + i] = sum + (double)pair->scale * added;
        }
    }
    free(row);
    free(low);
    return y;
}

static void norm(double *out, const double *x, const float *w, size_t n, const bz_config *c)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++)
        sum += x[i] * x[i];
    for (size_t i = 0; i < n; i++)
        out[i] = w ? x[i] / sqrt(sum / (double)n + (double)c->eps) * (double)w[i] : x[i];
}

static double *normed(const double *x, const float *w, size_t rows, size_t n, const bz_config *c)
{
    double *out = numbers(rows * n);
    for (size_t t = 0; t < rows; t++)
        norm(out + t * n, x + t * n, w, n, c);
    return out;
}

static void rotate(double *x, size_t position, int is_global, const bz_config *c)
{
    const size_t half = c->Dh / 2;
    for (size_t p = 0; p < half; p++) {
        const double base = (double)(is_global ? c->rope_base_global : c->rope_base_local);
        const double angle = (double)position * pow(base, -2.0 * (double)p / (double)c->Dh);
        const double a = x[p], b = x[p + half];
        x[p] = a * cos(angle) - b * sin(angle);
        x[p + half] = b * cos(angle) + a * sin(angle);
    }
}

static void attend(double *out, const double *q, const double *k, const double *v, size_t t, size_t stride, size_t window,
                   const bz_config *c)
{
    const size_t begin = window > 0 && t + 1 > window ? t + 1 - window : 0;
    double total = 0.0;
    for (size_t j = begin; j <= t; j++) {
        double s = 0.0;
        for (size_t d = 0; d < c->Dh; d++)
            s += q[d] * k[j * stride + d];
        s = exp((double)c->score_scale * s);
        total += s;
        for (size_t d = 0; d < c->Dh; d++)
            out[d] += s * v[j * stride + d];
    }
    for (size_t d = 0; d < c->Dh; d++)
        out[d] /= total;
}

static double *attention(const train_reference *r, uint32_t layer, const double *x, size_t n)
{
    const bz_config *c = &r->adapter->model->config;
    const bz_layer_weights *w = &r->adapter->model->weights.layers[layer];
    const int is_global = c->is_global[layer];
    double *q0 = linear(r, layer, BZ_TARGET_Q, x, n), *k0 = linear(r, layer, BZ_TARGET_K, x, n);
    double *q = normed(q0, w->q_norm, n * c->H, c->Dh, c), *k = normed(k0, w->k_norm, n * c->Hkv, c->Dh, c);
    double *v = linear(r, layer, BZ_TARGET_V, x, n), *att = numbers(n * c->H * c->Dh);
    for (size_t i = 0; i < n * c->H; i++)
        rotate(q + i * c->Dh, i / c->H, is_global, c);
    for (size_t i = 0; i < n * c->Hkv; i++)
        rotate(k + i * c->Dh, i / c->Hkv, is_global, c);
    for (size_t i = 0; i < n * c->H; i++) {
        const size_t kv = i % c->H / (c->H / c->Hkv) * c->Dh;
        attend(att + i * c->Dh, q + i * c->Dh, k + kv, v + kv, i / c->H, c->Hkv * c->Dh, is_global ? 0 : c->window, c);
    }
    double *out = linear(r, layer, BZ_TARGET_O, att, n);
    free(q0);
    free(k0);
    free(q);
    free(k);
    free(v);
    free(att);
    return out;
}

static double *feed_forward(const train_reference *r, uint32_t layer, const double *x, size_t n)
{
    const double root = sqrt(2.0 / acos(-1.0));
    double *gate = linear(r, layer, BZ_TARGET_GATE, x, n), *up = linear(r, layer, BZ_TARGET_UP, x, n);
    for (size_t i = 0; i < n * r->adapter->model->config.F; i++) {
        const double z = gate[i];
        gate[i] = 0.5 * z * (1.0 + tanh(root * (z + 0.044715 * z * z * z))) * up[i];
    }
    double *out = linear(r, layer, BZ_TARGET_DOWN, gate, n);
    free(gate);
    free(up);
    return out;
}

/* x += norm(block(norm(x))) */
static void block(const train_reference *r, uint32_t layer, double *x, size_t n, const float *before, const float *after,
                  double *(*of)(const train_reference *, uint32_t, const double *, size_t))
{
    const bz_config *c = &r->adapter->model->config;
    double *in = normed(x, before, n, c->D, c), *out = of(r, layer, in, n), *added = normed(out, after, n, c->D, c);
    for (size_t i = 0; i < n * c->D; i++)
        x[i] += added[i];
    free(in);
    free(out);
    free(added);
}

static double head(const bezel_model *model, const double *x, int32_t target)
{
    const bz_config *c = &model->config;
    const bz_tensor *w = &model->weights.output;
    double *h = normed(x, model->weights.output_norm, 1, c->D, c), *l = numbers(w->N), most = -(double)INFINITY, sum = 0.0;
    float *row = malloc(w->K * sizeof *row);
    ck_assert_ptr_nonnull(row);
    for (size_t i = 0; i < w->N; i++) {
        decoded(row, w, i);
        for (size_t k = 0; k < w->K; k++)
            l[i] += h[k] * (double)row[k];
        most = fmax(most, l[i]);
    }
    for (size_t i = 0; i < w->N; i++)
        sum += exp(l[i] - most);
    const double loss = log(sum) + most - l[target];
    free(h);
    free(l);
    free(row);
    return loss;
}

static double example(const train_reference *r, const int32_t *ids, const int32_t *targets, size_t n)
{
    const bezel_model *model = r->adapter->model;
    const bz_config *c = &model->config;
    double *x = numbers(n * c->D), loss = 0.0;
    float *row = malloc(c->D * sizeof *row);
    ck_assert_ptr_nonnull(row);
    for (size_t t = 0; t < n; t++) {
        decoded(row, &model->weights.embedding, (size_t)ids[t]);
        for (size_t k = 0; k < c->D; k++)
            x[t * c->D + k] = (double)row[k] * (double)c->embed_scale;
    }
    free(row);
    for (uint32_t l = 0; l < c->n_layers; l++) {
        const bz_layer_weights *w = &model->weights.layers[l];
        block(r, l, x, n, w->attn_norm, w->post_attn_norm, attention);
        block(r, l, x, n, w->ffn_norm, w->post_ffn_norm, feed_forward);
    }
    for (size_t t = 0; t < n; t++)
        if (targets[t] >= 0)
            loss += head(model, x + t * c->D, targets[t]);
    free(x);
    return loss;
}

double train_reference_loss(const train_reference *r, const bz_train_pack *pack)
{
    double loss = 0.0;
    for (size_t t = 0, n; t < pack->T; t += n) {
        for (n = 1; t + n < pack->T && pack->first[t + n] == t;)
            n++;
        loss += example(r, pack->ids + t, pack->targets + t, n);
    }
    return loss;
}

double train_reference_slope(const train_reference *r, const bz_train_pack *pack, double *p)
{
    const double at = *p, step = 1e-5;
    *p = at + step;
    const double above = train_reference_loss(r, pack);
    *p = at - step;
    const double below = train_reference_loss(r, pack);
    *p = at;
    return (above - below) / (2.0 * step);
}
