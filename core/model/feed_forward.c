/* SPDX-License-Identifier: MIT */
/* Gated feed-forward block: down(gelu_tanh(gate(a)) * up(a)), MODEL.md 2.0 GeGLU. */
#include "model/decoder.h"

static void feed_forward_rows(void *ctx, size_t begin, size_t end, unsigned worker)
{
    (void)worker;
    bz_decoder *d = ctx;
    const size_t F = d->config->F;
    for (size_t t = begin; t < end; ++t)
        d->kernel->geglu(d->gate + t * F, d->gate + t * F, d->up + t * F, F);
}

void bz_feed_forward(bz_decoder *d, uint32_t layer)
{
    const bz_config *c = d->config;
    const bz_layer_weights *w = &d->model->weights.layers[layer];
    bz_activations act;
    bz_activations_set(&act, d->a, c->D, d->T, c->D, d->q8);
    act.prompts = d->prompts;
    const bz_matmul_part parts[2] = {{d->gate, c->F, &w->gate, bz_decoder_panels(d, layer, BZ_PACK_GATE)},
                                     {d->up, c->F, &w->up, bz_decoder_panels(d, layer, BZ_PACK_UP)}};
    const bz_adapter_part added[2] = {{d->gate, BZ_TARGET_GATE}, {d->up, BZ_TARGET_UP}};
    const bz_adapter_part added_last = {d->a, BZ_TARGET_DOWN};
    bz_matmul_many(d->engine, parts, 2, &act);
    bz_adapter_pass(d, layer, added, 2, d->a, c->D);
    bz_thread_pool_run(d->engine->pool, d->T, 1, feed_forward_rows, d);
    bz_activations_set(&act, d->gate, c->F, d->T, c->F, d->q8);
    act.prompts = d->prompts;
    const bz_matmul_part down = {d->a, c->D, &w->down, bz_decoder_panels(d, layer, BZ_PACK_DOWN)};
    bz_matmul_many(d->engine, &down, 1, &act);
    bz_adapter_pass(d, layer, &added_last, 1, d->gate, c->F);
}
