/* SPDX-License-Identifier: MIT */
/* Hyper-parameters of a text model, read from metadata and checked. */
#ifndef BZ_CONFIG_H
#define BZ_CONFIG_H

#include "format/gguf.h"

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

/* One family of models. */
typedef struct bz_family {
    const char *arch;
    uint32_t period;         /* layer l is global iff (l + 1) % period == 0; 0 = no local layers */
    uint32_t default_window; /* when the file names none; 0 = the file must (if period is not 0) */
    float rope_base_global, rope_base_local; /* when the file names none */
    float attn_softcap, final_softcap;       /* when the file names none; 0 = no cap */
    uint32_t wide_layers;    /* the size with this many layers scales scores by sqrt(D / H), not sqrt(Dh); 0 = none */
    int has_qk_norm;         /* q_norm, k_norm */
    int has_post_norm;       /* post_attn_norm, post_ffn_norm */
} bz_family;

const bz_family *bz_family_find(const char *arch, size_t size); /* NULL for a family this build does not know */
/* "gemma, gemma2, gemma3" */
void bz_family_names(char *out, size_t capacity);

/* Reads and checks every number. Absent keys take the family's defaults. V is the length of the token list.
 *   Errors   MISSING, TYPE, RANGE, SHAPE, UNSUPPORTED, each with the key */
bezel_status bz_config_read(bz_config *out, const bz_gguf *g, int bf16_embedding_scale, bz_notes *notes,
                            bezel_error *err);

#endif
