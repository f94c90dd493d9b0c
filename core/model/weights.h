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
    float *norms;             /* norms that the file has as F16 or BF16, converted; NULL when it has none */
} bz_weights;

typedef struct bz_weight_source bz_weight_source;

/* Checks every tensor of the table against the configuration: there, right shape, readable type. Touches no data. Tensors
 * of the file that the table does not know are remarked (notes may be NULL).
 *   Errors   MISSING, SHAPE, UNSUPPORTED, FORMAT (layer numbers), each with the tensor's name */
bezel_status bz_weights_check(const bz_config *c, const bz_weight_source *s, bz_notes *notes, bezel_error *err);
/* Fills the pointers of a source that passed the check and has its data. On failure nothing is held. */
bezel_status bz_weights_bind(bz_weights *out, const bezel_world *w, const bz_config *c, const bz_weight_source *s,
                             bezel_error *err);
void bz_weights_free(bz_weights *weights, const bezel_world *w); /* zeroed struct is fine */
/* Bytes of the tensors that the table uses, and their number of elements. */
void bz_weights_total(uint64_t *out_size, uint64_t *out_elements, const bz_config *c, const bz_weight_source *s);

/* First row in [row, row_end) of a tensor with a scale or value that is NaN or infinite, or row_end. */
uint64_t bz_weights_bad_row(const bz_gguf_tensor *t, const void *data, uint64_t row, uint64_t row_end);

#endif
