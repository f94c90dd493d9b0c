/* SPDX-License-Identifier: MIT */
/* Keys and values of one timeline. Local layers hold a ring of window + BZ_KV_SLACK positions, global layers all n_ctx.
 *
 * Rows lie [layer][k or v][kv head][place], K after RoPE: Dh floats or halves, or a float scale and Dh signed bytes. Position p is at place p % ring. Nothing is zeroed: a page
 * is touched when its position is computed. The slack is what a chunk may write ahead of the oldest key it still reads,
 * and how far a rewind may go back without computing anything again. Thread: confined, but store may run for different
 * positions at once. */
#ifndef BZ_KV_CACHE_H
#define BZ_KV_CACHE_H

#include <bezel/base.h>

#include <stdatomic.h>

#include "compute/kernel.h"
#include "model/config.h"

#define BZ_KV_SLACK 512 /* positions; also the longest chunk */
#define BZ_KV_BASE_BACK 32

/* Beginning of a timeline that was computed before: rows of [first, n) of each layer, first = low in local layers and 0 in
 * global ones. Many caches read one; nobody writes. Of a layer at data + offset: K of each head, then V. */
typedef struct bz_kv_base {
    uint8_t *data;
    size_t n, low;
    size_t row_size;
    uint64_t offset[BZ_MAX_LAYERS];
    atomic_uint refs;                         /* caches and others that hold it */
    void (*destroy)(struct bz_kv_base *base); /* when the last one lets go */
} bz_kv_base;

typedef struct bz_kv_cache {
    const bezel_world *world;
    const bz_config *config; /* of the model, which outlives the cache */
    uint32_t n_ctx;
    uint32_t dtype;      /* BZ_DTYPE_F32, F16 or I8: the rows of key_block.h */
    size_t row_size;     /* bytes of a row: 4 Dh, 2 Dh or 4 + Dh */
    size_t n;            /* positions computed: [0, n) */
    size_t low;          /* local layers hold no position below */
    uint8_t *block;
    size_t offset[BZ_MAX_LAYERS]; /* of a layer's K in block; V follows */
    bz_kv_base *base;             /* where positions [0, base_n) lie instead of in block; NULL and 0 = nowhere else */
    size_t base_n;
} bz_kv_cache;

/* Bytes that a cache will take when full, from the numbers alone; UINT64_MAX when they do not fit. For bezel_model_plan. */
uint64_t bz_kv_cache_bytes(const bz_config *config, uint32_t n_ctx, uint32_t kv_dtype);
/* Places of a layer's ring; n_ctx for a global layer. */
size_t bz_kv_cache_ring(const bz_config *config, uint32_t layer, uint32_t n_ctx);

bezel_status bz_kv_cache_new(bz_kv_cache **out, const bezel_world *w, const bz_config *config, uint32_t n_ctx,
                             uint32_t kv_dtype, bezel_error *err);
void bz_kv_cache_free(bz_kv_cache *c);

/* Says that positions [n, n + T) will be stored next, T <= BZ_KV_SLACK: their ring places are lost from here on. */
void bz_kv_cache_begin(bz_kv_cache *c, size_t T);
/* K and V [Hkv, Dh] f32 of one position of one layer. */
void bz_kv_cache_store(bz_kv_cache *c, const bz_kernel *kernel, uint32_t layer, size_t position, const float *k,
                       const float *v);
/* The T positions are computed in every layer. */
void bz_kv_cache_commit(bz_kv_cache *c, size_t T);
/* --- A shared beginning --- */

/* From n, low and row_size: fills offset, returns the bytes of data. */
uint64_t bz_kv_base_layout(bz_kv_base *base, const bz_config *config);
/* Row of position bz_kv_base_first of a head. */
uint8_t *bz_kv_base_rows(const bz_kv_base *base, const bz_config *config, uint32_t layer, int is_v, uint32_t head);
size_t bz_kv_base_first(const bz_kv_base *base, const bz_config *config, uint32_t layer);
/* First local position of a base of n positions: what the next position reads, and BZ_KV_BASE_BACK more to go back. */
size_t bz_kv_base_low(const bz_config *config, size_t n);
void bz_kv_base_release(bz_kv_base *base); /* NULL is fine */
/* The cache becomes the base's positions; takes over the caller's hold of it. n <= n_ctx, the same row_size. */
void bz_kv_cache_attach(bz_kv_cache *c, bz_kv_base *base);
/* Copies the cache's rows into base->data, laid out before. 0 when the cache has lost some of them. */
int bz_kv_cache_extract(bz_kv_base *base, const bz_kv_cache *c);

/* --- Rows --- */

/* First row (place 0) of a head's keys (is_v 0) or values (1); rows are row_size bytes apart. */
uint8_t *bz_kv_cache_rows(const bz_kv_cache *c, uint32_t layer, int is_v, uint32_t head);

/* Forgets positions from `count` on. Returns how many stay usable: count, or 0 when a local ring has already lost keys
 * that position `count` would read; then everything must be computed again. */
size_t bz_kv_cache_trim(bz_kv_cache *c, size_t count);

/* First position a layer holds of [0, n). */
size_t bz_kv_cache_first(const bz_kv_cache *c, uint32_t layer);
/* Rows of one head from `position` on that lie in one piece (not to be written where they are the base's): address and their number (at most up to n). */
uint8_t *bz_kv_cache_span(const bz_kv_cache *c, uint32_t layer, int is_v, uint32_t head, size_t position,
                          size_t *out_rows);
/* dst becomes a copy of src, which shares its base; same config, n_ctx and dtype. */
void bz_kv_cache_copy(bz_kv_cache *dst, const bz_kv_cache *src);

#endif
