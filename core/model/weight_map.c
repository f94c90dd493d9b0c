/* SPDX-License-Identifier: MIT */
/* The tensor table. One row a tensor of the file; no code but the look-ups. Source: names that the Gemma converters write
 * (gguf constants); shapes are [N, K] rows, so the file's dimensions are {K, N}. */
#include "model/weight_map.h"

#include <stdio.h>

#define TOP(member) (uint16_t) offsetof(bz_weights, member)
#define LAYER(member) (uint16_t) offsetof(bz_layer_weights, member)

const bz_weight_row bz_weight_rows[] = {
    /* name, layer, norm, K, N, when, member */
    {"token_embd", 0, 0, BZ_SIZE_D, BZ_SIZE_V, BZ_WEIGHT_REQUIRED, TOP(embedding)},
    {"output_norm", 0, 1, BZ_SIZE_D, BZ_SIZE_ONE, BZ_WEIGHT_REQUIRED, TOP(output_norm)},
    {"output", 0, 0, BZ_SIZE_D, BZ_SIZE_V, BZ_WEIGHT_OPTIONAL, TOP(output)},
    {"attn_norm", 1, 1, BZ_SIZE_D, BZ_SIZE_ONE, BZ_WEIGHT_REQUIRED, LAYER(attn_norm)},
    {"attn_q", 1, 0, BZ_SIZE_D, BZ_SIZE_Q, BZ_WEIGHT_REQUIRED, LAYER(q)},
    {"attn_k", 1, 0, BZ_SIZE_D, BZ_SIZE_KV, BZ_WEIGHT_REQUIRED, LAYER(k)},
    {"attn_v", 1, 0, BZ_SIZE_D, BZ_SIZE_KV, BZ_WEIGHT_REQUIRED, LAYER(v)},
    {"attn_output", 1, 0, BZ_SIZE_Q, BZ_SIZE_D, BZ_WEIGHT_REQUIRED, LAYER(attn_output)},
    {"attn_q_norm", 1, 1, BZ_SIZE_DH, BZ_SIZE_ONE, BZ_WEIGHT_QK_NORM, LAYER(q_norm)},
    {"attn_k_norm", 1, 1, BZ_SIZE_DH, BZ_SIZE_ONE, BZ_WEIGHT_QK_NORM, LAYER(k_norm)},
    {"post_attention_norm", 1, 1, BZ_SIZE_D, BZ_SIZE_ONE, BZ_WEIGHT_POST_NORM, LAYER(post_attn_norm)},
    {"ffn_norm", 1, 1, BZ_SIZE_D, BZ_SIZE_ONE, BZ_WEIGHT_REQUIRED, LAYER(ffn_norm)},
    {"ffn_gate", 1, 0, BZ_SIZE_D, BZ_SIZE_F, BZ_WEIGHT_REQUIRED, LAYER(gate)},
    {"ffn_up", 1, 0, BZ_SIZE_D, BZ_SIZE_F, BZ_WEIGHT_REQUIRED, LAYER(up)},
    {"ffn_down", 1, 0, BZ_SIZE_F, BZ_SIZE_D, BZ_WEIGHT_REQUIRED, LAYER(down)},
    {"post_ffw_norm", 1, 1, BZ_SIZE_D, BZ_SIZE_ONE, BZ_WEIGHT_POST_NORM, LAYER(post_ffn_norm)},
};
const uint32_t bz_n_weight_rows = sizeof bz_weight_rows / sizeof bz_weight_rows[0];

uint64_t bz_weight_size(const bz_config *c, uint8_t size)
{
    switch (size) {
    case BZ_SIZE_D: return c->D;
    case BZ_SIZE_F: return c->F;
    case BZ_SIZE_V: return c->V;
    case BZ_SIZE_Q: return (uint64_t)c->H * c->Dh;
    case BZ_SIZE_KV: return (uint64_t)c->Hkv * c->Dh;
    case BZ_SIZE_DH: return c->Dh;
    default: return 1;
    }
}

int bz_weight_row_need(const bz_weight_row *row, const bz_family *family)
{
    switch (row->when) {
    case BZ_WEIGHT_OPTIONAL: return 0;
    case BZ_WEIGHT_QK_NORM: return family->has_qk_norm ? 1 : -1;
    case BZ_WEIGHT_POST_NORM: return family->has_post_norm ? 1 : -1;
    default: return 1;
    }
}

const char *bz_weight_name(char out[64], const bz_weight_row *row, uint32_t layer)
{
    if (row->is_layer)
        snprintf(out, 64, "blk.%u.%s.weight", (unsigned)layer, row->name);
    else
        snprintf(out, 64, "%s.weight", row->name);
    return out;
}
