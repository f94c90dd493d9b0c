/* SPDX-License-Identifier: MIT */
/* Gradients of low-rank pairs: forward and backward pass of the text model over a pack of examples.
 *
 *     bz_trainer_begin(t, &pack, 1.0 / labels_of_the_step);
 *     while (bz_trainer_unit(t)) {}
 *     ... t->loss, t->grad; more packs add to them, bz_trainer_clear begins anew
 *
 * A pack is examples one after the other: no attention across them, positions begin anew in each. The weights stay as the
 * file has them and are widened tile by tile; all numbers that a pass keeps are f32. Results do not depend on the number of threads:
 * each product runs in the order of bz_kernel.product, everything else row by row or in fixed parts.
 * Thread: confined. Nothing is allocated after bz_trainer_new. */
#ifndef BZ_TRAINER_H
#define BZ_TRAINER_H

#include "model/adapter_impl.h"

enum {
    BZ_TRAIN_PANEL = 64,      /* rows of a matrix widened at a time */
    BZ_TRAIN_DEPTH = 256,     /* rows of a matrix widened at a time for the backward product */
    BZ_TRAIN_QUERIES = 32,    /* of a block of scores */
    BZ_TRAIN_HEAD_ROWS = 256, /* labelled positions that one scan of the output matrix serves */
    BZ_TRAIN_HEAD_PARTS = 8   /* of the vocabulary, each with its own sums; fixed, so that threads do not change bits */
};

typedef struct bz_train_pack {
    const int32_t *ids;     /* [T] */
    const int32_t *targets; /* [T] id that should follow, -1 = none is learned here */
    const uint32_t *first;  /* [T] row of the first id of the row's example */
    size_t T;
} bz_train_pack;

typedef struct bz_train_options {
    uint32_t rows;   /* most of a pack */
    int recompute;   /* keep only the layers' inputs, and run each layer again before its backward pass */
    int bf16;        /* products with the model's matrices take both sides rounded to bf16; sums are f32 */
    float dropout;   /* of the inputs of A: chance that a number becomes 0 */
    uint64_t seed;   /* of dropout */
} bz_train_options;

/* What the backward pass of a layer reads; [T, ...]. */
typedef struct bz_train_layer {
    float *x_norm, *q, *k, *v;      /* before norm and rotation */
    float *q_rot, *k_rot, *att;
    float *out, *mid, *mid_norm;    /* of attention; residual stream between the blocks */
    float *gate, *up, *hidden, *down;
    float *low[BZ_N_TARGETS];       /* [T, rank] scale * (x A) */
} bz_train_layer;

/* Gradients on their way down. */
typedef struct bz_train_back {
    float *x;               /* [T, D] residual stream */
    float *a, *b;           /* [T, D] */
    float *hidden, *gate, *up; /* [T, F] */
    float *att, *q, *k_head, *v_head; /* [T, H * Dh] */
    float *k, *v;           /* [T, Hkv * Dh] */
    float *low;             /* [T, rank] */
    float *turned;          /* [rank, widest matrix side] a half the other way round */
    float *dropped;         /* [T, widest input] input of A with zeros; its gradient likewise */
    uint32_t *pairs;        /* [T, widest side / 2] what a matrix is multiplied with, as bf16; NULL = f32 */
} bz_train_back;

/* Sums of one scan of the output matrix. */
typedef struct bz_train_head {
    uint32_t *rows;    /* [T] labelled rows of the pack */
    size_t n, at;      /* all of them; first of the next scan */
    float *x;          /* [BZ_TRAIN_HEAD_ROWS, D] normed */
    uint32_t *x_pairs; /* [BZ_TRAIN_HEAD_ROWS, D / 2] likewise as bf16; NULL = f32 */
    float *acc;        /* [PARTS, BZ_TRAIN_HEAD_ROWS, D] sum of exp(l - most) * row of W */
    float *most;       /* [PARTS, BZ_TRAIN_HEAD_ROWS] */
    double *sum;       /* likewise */
    uint32_t *best;    /* likewise, id of `most` */
    float *wanted;     /* [BZ_TRAIN_HEAD_ROWS] logit of the target */
    double *loss;      /* [BZ_TRAIN_HEAD_ROWS] */
} bz_train_head;

typedef struct bz_trainer {
    bezel_engine *engine;
    const bz_kernel *kernel;
    void (*product_pairs)(float *y, size_t y_stride, const uint32_t *x, size_t x_stride, const uint32_t *w, size_t w_stride,
                          size_t T, size_t K, size_t N); /* of bf16, the machine's best */
    const bezel_model *model;
    const bz_config *config;
    bezel_adapter *adapter; /* what is trained; the caller's */
    bezel_adapter *grad;    /* sums of gradients, the same shapes */
    bz_train_options options;
    uint32_t max_rank;

    bz_train_pack pack;     /* of the pass in progress; the caller keeps its arrays until the pass is done */
    double weight;          /* of a labelled position in the loss */
    uint64_t pass;          /* number of passes: another dropout in each */
    uint32_t *starts;       /* [n_starts] first rows of the pack's examples, and T behind them */
    size_t n_starts;
    int only_loss;          /* no backward pass, no dropout */
    uint32_t stage, layer;
    double loss;            /* sum of weight * loss of a position since bz_trainer_clear */
    uint64_t labels, hits;  /* positions with a target, and those whose best id it was */

    float *block;           /* all arrays */
    float **x;              /* [n_layers + 1][T, D] layers' inputs; the last is the head's */
    bz_train_layer *layers; /* [n_layers], or one with `recompute` */
    bz_train_back back;
    bz_train_head head;
    float *rope_cos[2], *rope_sin[2]; /* [T, Dh / 2] of the local and the global base */
    double *inv_freq[2];
    float *scratch;         /* [threads, scratch_size] */
    size_t scratch_size;
} bz_trainer;

/* 1 where this machine multiplies bf16 faster than floats. */
int bz_train_has_bf16(const bz_kernel *kernel);
/* Adapter: at least one pair, alive until bz_trainer_free; its numbers may change between passes.
 *   Errors   UNSUPPORTED for a model with soft caps; RANGE for options; MEMORY */
bezel_status bz_trainer_new(bz_trainer **out, bezel_adapter *adapter, const bz_train_options *o, bezel_error *err);
void bz_trainer_free(bz_trainer *t);
uint64_t bz_trainer_bytes(const bezel_adapter *adapter, const bz_train_options *o); /* UINT64_MAX when they do not fit */
void bz_trainer_clear(bz_trainer *t);                                               /* loss, counts, gradients */
void bz_trainer_begin(bz_trainer *t, const bz_train_pack *pack, double weight);
/* The same without gradients: only loss, labels and hits. */
void bz_trainer_begin_loss(bz_trainer *t, const bz_train_pack *pack, double weight);
/* One layer, or one scan of the output matrix; 1 while some is left. */
int bz_trainer_unit(bz_trainer *t);

/* Fresh pairs of one rank for the targets of `mask` (bit BZ_TARGET_...), A uniform within 1 / sqrt(K), B zero, as peft begins. */
bezel_status bz_train_adapter_new(bezel_adapter **out, const bezel_model *model, uint32_t mask, uint32_t rank, float scale,
                                  uint64_t seed, bezel_error *err);

/* Zeros in the shapes of another adapter: gradients, moments. */
bezel_status bz_train_same_shapes(bezel_adapter **out, const bezel_adapter *like, bezel_error *err);

/* --- Parts, one file each ------------------------------------------------------------------ */

static inline float *bz_train_scratch(const bz_trainer *t, unsigned worker)
{
    return t->scratch + worker * t->scratch_size;
}

/* out [rows, columns / 2] = x as bf16, by all threads. */
void bz_train_to_pairs(bz_trainer *t, uint32_t *out, const float *x, size_t rows, size_t columns);
/* Floats of scratch for a panel of `rows` rows of K numbers and its turned copy as bf16. */
size_t bz_train_panel_scratch(size_t K);

/* train_linear.c: y [T, N] = x W' and what the pair adds. low NULL where there is no pair. */
void bz_train_linear(bz_trainer *t, uint32_t layer, uint32_t target, float *y, const float *x, float *low);
/* dx [T, K] += dy W and the pair's part (dx NULL: not wanted); the pair's gradients grow. */
void bz_train_linear_back(bz_trainer *t, uint32_t layer, uint32_t target, float *dx, const float *dy, const float *x,
                          const float *low);
size_t bz_train_linear_scratch(const bz_config *c); /* floats a thread */

/* train_attention.c: att from q_rot, k_rot, v. */
void bz_train_attention(bz_trainer *t, const bz_train_layer *a, int is_global);
/* back.q, back.k (of the rotated ones), back.v from back.att. */
void bz_train_attention_back(bz_trainer *t, const bz_train_layer *a, int is_global);
size_t bz_train_attention_scratch(const bz_config *c, size_t rows);

/* train_layer.c: x[layer + 1] from x[layer]; then back.x from the gradient of the one to that of the other. */
void bz_train_layer_forward(bz_trainer *t, uint32_t layer);
void bz_train_layer_back(bz_trainer *t, uint32_t layer);

/* train_head.c: loss of the next labelled rows, and their rows of back.x (the others are zero). 1 while some are left. */
void bz_train_head_begin(bz_trainer *t);
int bz_train_head_scan(bz_trainer *t);
size_t bz_train_head_scratch(const bz_config *c);

#endif
