/* SPDX-License-Identifier: MIT */
/* Forward pass of the text model: T positions of one or more timelines, layer by layer, resumable between layers.
 *
 *     const bz_segment segment = {.cache = cache, .ids = ids, .T = T};
 *     bz_decoder_begin(d, &segment, 1);
 *     while (bz_decoder_layer(d)) {}
 *     bz_decoder_head(d, T - 1, 1);
 *     while (bz_decoder_head_slice(d, logits, V)) {}
 *
 * The result does not depend on how a text is cut into chunks nor on the number of threads: every kernel computes a row
 * the same way whatever stands beside it, other timelines' rows too. The residual stream stays in f32 (it reaches 103,800 in the 270M model).
 * Thread: confined. */
#ifndef BZ_DECODER_H
#define BZ_DECODER_H

#include "compute/matmul.h"
#include "model/adapter_impl.h"
#include "model/kv_cache.h"
#include "model/weight_pack.h"

#define BZ_SCREEN_MOST 8   /* positions that one scan of the coarse output matrix serves */
#define BZ_SCREEN_KEPT 256 /* rows that a floor may have to leave */

/* What a session is when its options leave it open; bezel_model_plan counts with the same. */
#define BZ_DEFAULT_CTX 4096U  /* positions, where the model has as many */
#define BZ_DEFAULT_CHUNK 128U /* tokens a pass */
/* 1 when AUTO means 8-bit activations, and with them a cache in halves: everywhere but on the scalar level. */
int bz_decoder_default_q8(const bezel_engine *engine);

/* What a pass computes of one timeline: positions cache->n .. cache->n + T - 1. */
typedef struct bz_segment {
    bz_kv_cache *cache;
    const int32_t *ids; /* [T]; read by bz_decoder_begin only */
    size_t T;
    const bz_adapter_mix *adapters; /* NULL = none */
    uint8_t is_prompt; /* its positions are a prompt's, not tokens that decoding feeds back: see bz_matmul */
    size_t row;      /* first of its T rows in the buffers; filled by bz_decoder_begin */
    size_t position; /* cache->n when the pass began; likewise */
} bz_segment;

/* One pass. All float buffers lie in one block; letters as in config.h, C = chunk. */
typedef struct bz_decoder {
    const bezel_model *model;
    const bz_config *config;
    const bz_kernel *kernel;
    bezel_engine *engine;
    uint32_t chunk; /* C, most positions a pass */
    int use_q8;     /* 8-bit activations */

    bz_segment *segments; /* [n_segments], room for C: of the pass in progress, upwards in row */
    uint32_t *owner;      /* [T] row -> index of its segment */
    uint8_t *prompts;     /* [T] row -> is_prompt of its segment */
    size_t n_segments, T; /* T: rows of all of them */
    const bz_packed_layer *packed; /* of this pass, NULL = the layers' weights as the file has them */
    uint32_t layer;       /* next layer, n_layers when done */
    size_t head_count;    /* first rows of `a` that hold normed hidden states for the head */
    size_t head_row;      /* next row of the output matrix */
    int64_t row_ns;       /* what a layer of a prompt takes a row, as measured by the scheduler; 0 = not yet */

    const bz_screen *screen;      /* of the screened head in progress */
    bz_screen_query screen_query[BZ_SCREEN_MOST];
    float *screen_high[BZ_SCREEN_MOST]; /* of the caller */
    size_t screen_seeds;          /* rows of bz_decoder_screen_seed */
    void *screen_block;           /* scratch of head_pass.c, NULL when no copy of the matrix can be made */
    uint32_t screen_wait;         /* tokens before the next try */
    uint32_t screen_penalty;      /* the last wait; 0 after a try that succeeded */
    uint64_t screen_tries, screen_rows; /* so far: tries, rows computed exactly */

    uint8_t *block;
    float *x;           /* [C, D] residual stream */
    float *a;           /* [C, D] normed input of a block, or its output */
    float *q, *k, *v;   /* [C, H*Dh], [C, Hkv*Dh] twice */
    float *att;         /* [C, H*Dh] */
    float *gate, *up;   /* [C, F] */
    float *rope_cos[2]; /* [C, Dh/2] of the local (0) and global (1) base */
    float *rope_sin[2];
    double *inv_freq[2]; /* [Dh/2] */
    void *attention_scratch; /* [threads, bz_attention_scratch] */
    float *attention_parts;  /* of bz_attention_parts: blocks of keys of one position */
    void *q8;            /* 8-bit rows, NULL with float activations */
} bz_decoder;

/* Bytes that a decoder takes; UINT64_MAX when they do not fit. For bezel_model_plan. */
uint64_t bz_decoder_bytes(const bz_config *config, const bezel_engine *engine, uint32_t chunk);

/* chunk in 1..BZ_KV_SLACK. Errors: BEZEL_ERR_UNSUPPORTED for a model with attention soft-capping. */
bezel_status bz_decoder_new(bz_decoder **out, const bezel_model *model, uint32_t chunk, int use_q8, bezel_error *err);
void bz_decoder_free(bz_decoder *d);

/* Embeds the ids of n segments: each of another cache and T >= 1, together at most C rows. Caches of one pass have the
 * decoder's config and one dtype. A pass that is never finished leaves the caches as they were; to
 * take back positions of a finished one: bz_kv_cache_trim. */
void bz_decoder_begin(bz_decoder *d, const bz_segment *segments, size_t n);
/* Computes one layer; 1 while layers are left, 0 when the pass is done and the caches hold its positions. */
int bz_decoder_layer(bz_decoder *d);
/* Prepares logits of rows t .. t + count - 1 of the finished pass. May be called several times. */
void bz_decoder_head(bz_decoder *d, size_t t, size_t count);
/* The same for chosen rows, one after another; the first one after bz_decoder_begin begins. */
void bz_decoder_head_add(bz_decoder *d, size_t row);
/* Computes the next slice of the output matrix into logits [count, V], rows `stride` floats apart; 1 while some is left. */
int bz_decoder_head_slice(bz_decoder *d, float *logits, size_t stride);
/* The same, at most `most` rows of it (64 or more, or all), and from the start of y: y[t * stride + i] is row head_row + i. Returns their
 * number. */
size_t bz_decoder_head_next(bz_decoder *d, float *y, size_t stride, size_t most);

/* Exact logits of the listed rows of the output matrix only, for the one position of bz_decoder_head, at their places in
 * logits [V]: the bits of the full head. */
void bz_decoder_head_tokens(bz_decoder *d, float *logits, const int32_t *rows, size_t n);

/* --- Screened head: head_pass.c ------------------------------------------------------------
 *
 *     if (bz_decoder_screen_begin(d, screen, high)) {
 *         while (bz_decoder_screen_slice(d)) {}
 *         for each position t in turn:
 *             n = bz_decoder_screen_seed(d, t, k, &rows);
 *             floor = ... of the logits high[t][rows[0 .. n - 1]]
 *             n = bz_decoder_screen_narrow(d, t, floor, &rows);
 *             n > 0: the same of the new rows; 0: the full head
 *     }
 */

/* After bz_decoder_head for up to BZ_SCREEN_MOST positions. high: for each the caller's [V rounded up to BZ_SCREEN_ROWS],
 * which holds bounds until its rows are computed. 0 = take the full head: no copy (screen NULL), the scalar level, a hidden
 * state that is not finite, or tries before this one failed. */
int bz_decoder_screen_begin(bz_decoder *d, const bz_screen *screen, float *const *high);
/* 1 while rows are left. */
int bz_decoder_screen_slice(bz_decoder *d);
/* Exact logits of the rows of the highest bounds, enough for k of them to set a floor (k in 1..BZ_SCREEN_KEPT), at their
 * places in high[t]; their number. *out_rows [n] is overwritten by the next call. */
size_t bz_decoder_screen_seed(bz_decoder *d, size_t t, size_t k, const int32_t **out_rows);
/* Puts an id out of the running (before the seeds), or on the list whatever its bound (after them). */
void bz_decoder_screen_mark(bz_decoder *d, size_t t, int32_t id, int is_in);
/* Exact logits of all rows whose logit may reach `floor`, upwards, at their places in high[t]; their number, 0 when they are
 * too many: take the full head. */
size_t bz_decoder_screen_narrow(bz_decoder *d, size_t t, double floor, const int32_t **out_rows);
uint64_t bz_decoder_screen_bytes(size_t N, size_t K); /* of screen_block */

/* The panels of a matrix (BZ_PACK_...) of a layer, NULL where this pass has none. */
static inline const uint8_t *bz_decoder_panels(const bz_decoder *d, uint32_t layer, size_t part)
{
    return d->packed != NULL ? d->packed[layer].part[part] : NULL;
}

/* --- Parts of the pass, one file each ------------------------------------------------------ */

/* embedding.c: x [T, D] = rows of token_embd times the embedding scale. */
void bz_embedding_lookup(bz_decoder *d);
/* attention.c: angles of the rows' positions for both bases. */
void bz_attention_rope_init(bz_decoder *d);
void bz_attention_rope(bz_decoder *d);
/* attention.c: bytes of a thread's scratch, and of what a position needs whose keys are cut among the threads. */
#define BZ_ATTENTION_PARTS 32
uint64_t bz_attention_scratch(const bz_config *config);
uint64_t bz_attention_parts(const bz_config *config);
/* attention.c: a [T, D] normed -> a [T, D] attention output, K and V stored in the rows' caches. */
void bz_attention_forward(bz_decoder *d, uint32_t layer);
/* adapter_pass.c: what the adapters of the rows add to products of x: y [T, N of its matrix] of each part. */
typedef struct bz_adapter_part {
    float *y;
    uint32_t target; /* BZ_TARGET_... */
} bz_adapter_part;
void bz_adapter_pass(const bz_decoder *d, uint32_t layer, const bz_adapter_part *parts, size_t n_parts, const float *x,
                     size_t x_stride);
/* feed_forward.c: a [T, D] normed -> a [T, D]. */
void bz_feed_forward(bz_decoder *d, uint32_t layer);

#endif
