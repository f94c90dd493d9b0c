/* SPDX-License-Identifier: MIT */
/* AdamW (see optimizer.h): a pair's halves are plain arrays here. */
#include "train/optimizer.h"

#include "train/trainer.h"

#include <math.h>
#include <string.h>

/* Half h (0 = A, 1 = B) of a pair and its length, 0 where there is none. */
static size_t optimizer_half(float **x, const bezel_adapter *a, uint32_t place, int h)
{
    const bz_low_rank *p = &a->pairs[place];
    const bz_tensor *m = bz_adapter_matrix(a->model, place / BZ_N_TARGETS, place % BZ_N_TARGETS);
    *x = h == 0 ? p->a : p->b;
    return (h == 0 ? m->K : m->N) * p->rank;
}

static uint32_t optimizer_places(const bezel_adapter *a)
{
    return a->model->config.n_layers * BZ_N_TARGETS;
}

bezel_status bz_optimizer_init(bz_optimizer *o, bezel_adapter *adapter, float decay, bezel_error *err)
{
    *o = (bz_optimizer){.adapter = adapter, .beta1 = 0.9f, .beta2 = 0.999f, .eps = 1e-8f, .decay = decay};
    bezel_status status = bz_train_same_shapes(&o->mean, adapter, err);
    if (status == BEZEL_OK)
        status = bz_train_same_shapes(&o->square, adapter, err);
    if (status != BEZEL_OK)
        bz_optimizer_free(o);
    return status;
}

void bz_optimizer_free(bz_optimizer *o)
{
    bezel_adapter_free(o->mean);
    bezel_adapter_free(o->square);
    memset(o, 0, sizeof *o);
}

void bz_optimizer_step(bz_optimizer *o, const bezel_adapter *grad, double rate, double factor)
{
    const double step = (double)++o->step;
    const float kept = (float)(1.0 - rate * (double)o->decay), scale = (float)factor;
    const float pace = (float)(rate / (1.0 - pow((double)o->beta1, step)));
    const float root = (float)(1.0 / sqrt(1.0 - pow((double)o->beta2, step)));
    for (uint32_t i = 0; i < optimizer_places(grad) * 2; ++i) {
        float *x, *g, *m, *v;
        const size_t n = optimizer_half(&x, o->adapter, i / 2, (int)(i % 2));
        (void)optimizer_half(&g, grad, i / 2, (int)(i % 2));
        (void)optimizer_half(&m, o->mean, i / 2, (int)(i % 2));
        (void)optimizer_half(&v, o->square, i / 2, (int)(i % 2));
        for (size_t k = 0; k < n; ++k) {
            const float d = g[k] * scale;
            m[k] = o->beta1 * m[k] + (1.0f - o->beta1) * d;
            v[k] = o->beta2 * v[k] + (1.0f - o->beta2) * d * d;
            x[k] = x[k] * kept - pace * m[k] / (sqrtf(v[k]) * root + o->eps);
        }
    }
}

double bz_gradient_norm(const bezel_adapter *grad)
{
    double sum = 0.0;
    for (uint32_t i = 0; i < optimizer_places(grad) * 2; ++i) {
        float *g;
        const size_t n = optimizer_half(&g, grad, i / 2, (int)(i % 2));
        for (size_t k = 0; k < n; ++k)
            sum += (double)g[k] * (double)g[k];
    }
    return sqrt(sum);
}

double bz_gradient_clip(double norm, double most)
{
    return most > 0.0 && norm > most ? most / norm : 1.0;
}

double bz_rate_course(uint32_t course, uint64_t step, uint64_t warm_up, uint64_t total)
{
    if (step < warm_up)
        return (double)(step + 1) / (double)warm_up;
    if (course == BZ_RATE_CONSTANT)
        return 1.0;
    if (step >= total)
        return 0.0;
    const double done = (double)(step - warm_up) / (double)(total - warm_up);
    return course == BZ_RATE_LINEAR ? 1.0 - done : 0.5 * (1.0 + cos(3.14159265358979323846 * done));
}
