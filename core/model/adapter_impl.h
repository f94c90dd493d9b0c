/* SPDX-License-Identifier: MIT */
/* Inside of bezel_adapter: low-rank pairs of a model's matrices, and what the passes do with them. Immutable once open. */
#ifndef BZ_ADAPTER_IMPL_H
#define BZ_ADAPTER_IMPL_H

#include <bezel/adapter.h>

#include "model/model_impl.h"

#define BZ_ADAPTER_MAX_RANK 256U
#define BZ_ADAPTER_MOST 8U /* in use at once */

enum { /* matrices of a layer; ORDER bz_adapter_targets */
    BZ_TARGET_Q,
    BZ_TARGET_K,
    BZ_TARGET_V,
    BZ_TARGET_O,
    BZ_TARGET_GATE,
    BZ_TARGET_UP,
    BZ_TARGET_DOWN,
    BZ_N_TARGETS
};

typedef struct bz_adapter_target {
    const char *name;   /* in GGUF files, after "blk.N." */
    const char *module; /* in files of peft, after "layers.N." */
    uint16_t member;    /* offset of the matrix in bz_layer_weights */
} bz_adapter_target;

extern const bz_adapter_target bz_adapter_targets[BZ_N_TARGETS];

/* y += scale * B (A x), A [rank, K] and B [N, rank] as the files have them, both kept the other way round. */
typedef struct bz_low_rank {
    uint32_t rank; /* 0 = no such pair */
    float scale;   /* alpha / rank, or what stands for it */
    float *a;      /* [K, rank] */
    float *b;      /* [rank, N] */
} bz_low_rank;

struct bezel_adapter {
    const bezel_model *model;
    bz_low_rank *pairs; /* [n_layers * BZ_N_TARGETS] */
    uint8_t fingerprint[16];
};

/* The adapters of a session. */
typedef struct bz_adapter_mix {
    uint32_t n;
    float scale[BZ_ADAPTER_MOST];
    const bezel_adapter *adapter[BZ_ADAPTER_MOST];
} bz_adapter_mix;

/* The matrix of a target. */
const bz_tensor *bz_adapter_matrix(const bezel_model *m, uint32_t layer, uint32_t target);

/* --- Making: adapter.c ---------------------------------------------------------------------- */

/* Without any pair. */
bezel_status bz_adapter_new(bezel_adapter **out, const bezel_model *model, bezel_error *err);
/* Gives a pair its room, zeros. BEZEL_ERR_RANGE for a rank of 0 or over 256. */
bezel_status bz_adapter_add(bezel_adapter *a, uint32_t layer, uint32_t target, uint32_t rank, float scale, bezel_error *err);
/* Fills the fingerprint, after the last change. */
void bz_adapter_seal(bezel_adapter *a);

/* Half of a pair as a file has it: rows [rows, columns] of a type that kernels read. */
typedef struct bz_adapter_half {
    const char *name; /* for messages */
    const void *data;
    uint32_t dtype;
    uint64_t rows, columns;
} bz_adapter_half;

typedef struct bz_adapter_halves {
    bz_adapter_half a, b; /* data NULL = not there */
} bz_adapter_halves;

/* Makes all pairs of a file. halves [n_layers * BZ_N_TARGETS]; alpha over the rank (or its root) is the scale. */
bezel_status bz_adapter_fill(bezel_adapter *a, const bz_adapter_halves *halves, float alpha, int by_root, const char *path,
                             bezel_error *err);
/* A pair as a file wants it, alpha being the whole file's: a [rank, K], b [N, rank] with what is left of its scale. */
void bz_adapter_unfill(float *a, float *b, const bezel_adapter *adapter, uint32_t pair, float alpha);
/* The first pair's scale times its rank. */
float bz_adapter_alpha(const bezel_adapter *a);

/* --- Files: adapter_peft.c, adapter_gguf.c --------------------------------------------------- */

bezel_status bz_adapter_read_peft(bezel_adapter *a, const char *folder, bezel_error *err);
bezel_status bz_adapter_write_peft(const bezel_adapter *a, const char *folder, bezel_error *err);
bezel_status bz_adapter_read_gguf(bezel_adapter *a, const char *path, bezel_error *err);
bezel_status bz_adapter_write_gguf(const bezel_adapter *a, const char *path, bezel_error *err);
/* What adapter_gguf.c and adapter_peft.c write: n halves with their data in one block (free it with bz_free). */
typedef struct bz_adapter_out {
    float *block;
    const float **a, **b; /* [n_layers * BZ_N_TARGETS], NULL where there is no pair */
} bz_adapter_out;
bezel_status bz_adapter_out_new(bz_adapter_out *out, const bezel_adapter *a, bezel_error *err);
void bz_adapter_out_free(bz_adapter_out *out, const bezel_adapter *a);

#endif
