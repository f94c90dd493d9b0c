/* SPDX-License-Identifier: MIT */
/* Weights of a text model, bound by walking the tensor table. All matrices are [N, K] rows as in the file. */
#ifndef BZ_WEIGHTS_H
#define BZ_WEIGHTS_H

#include "compute/matmul.h"
#include "model/config.h"

typedef struct bz_layer_weights {
    const float *attn_norm;      /* [D] f32, the +1 of Gemma is in it */
    bz_tensor q;                 /* [H*Dh, D] */
    bz_tensor k, v;              /* [Hkv*Dh, D] */
    bz_tensor attn_output;       /* [D, H*Dh] */
    const float *q_norm, *k_norm; /* [Dh], NULL when the family has none */
    const float *post_attn_norm; /* [D], NULL when the family has none */
    const float *ffn_norm;       /* [D] */
    bz_tensor gate, up;          /* [F, D] */
    bz_tensor down;              /* [D, F] */
    const float *post_ffn_norm;  /* [D], NULL when the family has none */
} bz_layer_weights;

typedef struct bz_weights {
    bz_tensor embedding;      /* [V, D] token_embd */
    bz_tensor output;         /* [V, D] output.weight, or token_embd again (tied) */
    const float *output_norm; /* [D] */
    bz_layer_weights *layers; /* [n_layers] */
} bz_weights;

#endif
