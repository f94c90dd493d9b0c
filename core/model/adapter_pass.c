/* SPDX-License-Identifier: MIT */
/* Low-rank additions in a pass: y += scale * B (A x) for the rows whose timeline uses adapters (see decoder.h).
 * Invariant: what is added to a row depends on its input and its adapters alone: bz_kernel.product adds in one order however
 * rows are grouped, so it does not matter who shares the pass. It allocates nothing. */
#include "model/decoder.h"

#include <string.h>

enum { ADAPTER_ROWS = 6 }; /* of a task: what the product takes at a time */

typedef struct adapter_pass {
    const bz_decoder *d;
    uint32_t layer;
    const bz_adapter_part *parts;
    size_t n_parts;
    const float *x;
    size_t x_stride;
} adapter_pass;

static void adapter_add(const adapter_pass *p, const bz_adapter_part *part, const bz_low_rank *pair, float scale, size_t t, size_t T)
{
    float u[ADAPTER_ROWS * BZ_ADAPTER_MAX_RANK];
    const bz_kernel *kernel = p->d->kernel;
    const bz_tensor *m = bz_adapter_matrix(p->d->model, p->layer, part->target);
    const size_t rank = pair->rank;
    memset(u, 0, T * rank * sizeof *u);
    kernel->product(u, rank, p->x + t * p->x_stride, p->x_stride, 1, pair->a, rank, T, m->K, rank);
    for (size_t i = 0; i < T * rank; ++i)
        u[i] *= scale;
    kernel->product(part->y + t * m->N, m->N, u, rank, 1, pair->b, m->N, T, rank, m->N);
}

/* Task: one part of a group of rows; rows of one timeline go together. */
static void adapter_tasks(void *ctx, size_t begin, size_t end, unsigned worker)
{
    const adapter_pass *p = ctx;
    const bz_decoder *d = p->d;
    (void)worker;
    for (size_t i = begin; i < end; ++i) {
        const bz_adapter_part *part = &p->parts[i % p->n_parts];
        const size_t first = i / p->n_parts * ADAPTER_ROWS;
        const size_t last = d->T - first < ADAPTER_ROWS ? d->T : first + ADAPTER_ROWS;
        for (size_t t = first, n; t < last; t += n) {
            const bz_adapter_mix *mix = d->segments[d->owner[t]].adapters;
            for (n = 1; t + n < last && d->owner[t + n] == d->owner[t];)
                ++n;
            for (uint32_t k = 0; mix != NULL && k < mix->n; ++k) {
                const bz_low_rank *pair = &mix->adapter[k]->pairs[p->layer * BZ_N_TARGETS + part->target];
                if (pair->rank > 0)
                    adapter_add(p, part, pair, pair->scale * mix->scale[k], t, n);
            }
        }
    }
}

void bz_adapter_pass(const bz_decoder *d, uint32_t layer, const bz_adapter_part *parts, size_t n_parts, const float *x, size_t x_stride)
{
    adapter_pass pass = {d, layer, parts, n_parts, x, x_stride};
    size_t n_adapters = 0;
    for (size_t i = 0; i < d->n_segments; ++i)
        n_adapters += d->segments[i].adapters != NULL ? d->segments[i].adapters->n : 0;
    if (n_adapters > 0)
        bz_thread_pool_run(d->engine->pool, (d->T + ADAPTER_ROWS - 1) / ADAPTER_ROWS * n_parts, 1, adapter_tasks, &pass);
}
