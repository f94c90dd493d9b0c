/* SPDX-License-Identifier: MIT */
/* Token embedding: rows of token_embd, dequantised exactly, times sqrt(D).
 *
 * Ids were checked against the vocabulary when they joined the timeline. Positions of media are not made here. */
#include "model/decoder.h"

void bz_embedding_lookup(bz_decoder *d)
{
    const bz_tensor *e = &d->model->weights.embedding;
    const size_t row_size = bz_tensor_row_size(e);
    const float scale = d->config->embed_scale;
    for (size_t t = 0; t < d->T; ++t) {
        const bz_segment *s = &d->segments[d->owner[t]];
        const size_t id = (size_t)s->ids[t - s->row];
        float *x = d->x + t * d->config->D;
        d->kernel->dequantize(x, (const uint8_t *)e->data + id * row_size, e->dtype, e->K);
        for (size_t i = 0; i < e->K; ++i)
            x[i] *= scale;
    }
}
