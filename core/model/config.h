/* SPDX-License-Identifier: MIT */
/* Hyper-parameters of a text model, read from metadata and checked. */
#ifndef BZ_CONFIG_H
#define BZ_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#define BZ_MAX_LAYERS 512

typedef struct bz_config {
    char arch[32];      /* general.architecture: "gemma3" */
    char name[128];     /* general.name, may be empty */
    uint32_t n_layers;  /* block_count */
    uint32_t n_ctx;     /* context_length: positions it was trained for */
    uint32_t D;         /* embedding_length: model width */
    uint32_t F;         /* feed_forward_length */
    uint32_t H;         /* attention.head_count */
    uint32_t Hkv;       /* attention.head_count_kv */
    uint32_t Dh;        /* attention.key_length = value_length: head width */
    uint32_t V;         /* vocabulary: rows of token_embd */
    uint32_t window;    /* sliding window W of local layers: query i sees j with i - j < W; 0 = none */
    float eps;          /* RMSNorm */
    float score_scale;  /* of q.k */
    float embed_scale;  /* sqrt(D), f32 (or rounded to bf16 by option) */
    float rope_base_global, rope_base_local;
    float rope_factor_global;       /* positions are divided by it on global layers; 1 = none */
    float attn_softcap, final_softcap; /* 0 = none */
    uint8_t is_global[BZ_MAX_LAYERS]; /* 1: the layer sees the whole context */
} bz_config;

#endif
