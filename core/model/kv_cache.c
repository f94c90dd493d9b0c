/* SPDX-License-Identifier: MIT */
/* Keys and values of one timeline (see kv_cache.h).
 *
 * Invariant: every position p in [first(layer), n) is at place p % ring of its layer. `low` only grows while positions
 * are written and falls to 0 with n, so stale places after a rewind are never taken for older positions. */
#include "model/kv_cache.h"

#include "base/alloc.h"
#include "base/status.h"

#include <string.h>

size_t bz_kv_cache_ring(const bz_config *config, uint32_t layer, uint32_t n_ctx)
{
    if (config->is_global[layer] || config->window == 0)
        return n_ctx;
    const uint64_t ring = (uint64_t)config->window + BZ_KV_SLACK;
    return ring < n_ctx ? (size_t)ring : n_ctx;
}

static size_t kv_row_size(const bz_config *config, uint32_t kv_dtype)
{
    if (kv_dtype == BZ_DTYPE_I8)
        return sizeof(float) + (size_t)config->Dh;
    return (size_t)config->Dh * (kv_dtype == BZ_DTYPE_F16 ? 2U : 4U);
}

/* Bytes of one layer's keys (values take as many); rounded up to 64 so that every layer starts on a cache line. */
static int kv_layer_size(uint64_t *out, const bz_config *config, uint32_t layer, uint32_t n_ctx, uint32_t kv_dtype)
{
    uint64_t size;
    if (!bz_u64_mul(&size, bz_kv_cache_ring(config, layer, n_ctx), config->Hkv) ||
        !bz_u64_mul(&size, size, kv_row_size(config, kv_dtype)) || !bz_u64_add(&size, size, 63))
        return 0;
    *out = size & ~(uint64_t)63;
    return 1;
}

uint64_t bz_kv_cache_bytes(const bz_config *config, uint32_t n_ctx, uint32_t kv_dtype)
{
    uint64_t total = 0;
    for (uint32_t l = 0; l < config->n_layers; ++l) {
        uint64_t size;
        if (!kv_layer_size(&size, config, l, n_ctx, kv_dtype) || !bz_u64_mul(&size, size, 2) ||
            !bz_u64_add(&total, total, size))
            return UINT64_MAX;
    }
    return total;
}

bezel_status bz_kv_cache_new(bz_kv_cache **out, const bezel_world *w, const bz_config *config, uint32_t n_ctx,
                             uint32_t kv_dtype, bezel_error *err)
{
    *out = NULL;
    const uint64_t total = bz_kv_cache_bytes(config, n_ctx, kv_dtype);
    if (total > SIZE_MAX / 2)
        return bz_fail(err, BEZEL_ERR_OVERFLOW, "kv_cache", "keys and values of %u positions do not fit in memory",
                       (unsigned)n_ctx);
    bz_kv_cache *c = bz_zalloc(w, sizeof *c);
    if (c == NULL)
        return bz_fail_memory(err, "kv_cache", "the cache", sizeof *c);
    c->world = w;
    c->config = config;
    c->n_ctx = n_ctx;
    c->dtype = kv_dtype;
    c->row_size = kv_row_size(config, kv_dtype);
    c->block = bz_alloc_aligned(w, (size_t)total);
    if (c->block == NULL) {
        bz_kv_cache_free(c);
        return bz_error_hint(err, bz_fail_memory(err, "kv_cache", "keys and values", (size_t)total),
                             "a smaller n_ctx needs less");
    }
    size_t at = 0;
    for (uint32_t l = 0; l < config->n_layers; ++l) {
        uint64_t size = 0;
        (void)kv_layer_size(&size, config, l, n_ctx, kv_dtype); /* fitted above */
        c->offset[l] = at;
        at += 2 * (size_t)size;
    }
    *out = c;
    return BEZEL_OK;
}

void bz_kv_cache_free(bz_kv_cache *c)
{
    if (c == NULL)
        return;
    bz_kv_base_release(c->base);
    bz_free_aligned(c->world, c->block);
    bz_free(c->world, c);
}

void bz_kv_cache_begin(bz_kv_cache *c, size_t T)
{
    const uint64_t ring = (uint64_t)c->config->window + BZ_KV_SLACK;
    const size_t end = c->n + T;
    if (c->config->window != 0 && ring < c->n_ctx && end > ring && end - (size_t)ring > c->low)
        c->low = end - (size_t)ring;
}

uint8_t *bz_kv_cache_rows(const bz_kv_cache *c, uint32_t layer, int is_v, uint32_t head)
{
    const size_t head_size = bz_kv_cache_ring(c->config, layer, c->n_ctx) * c->row_size;
    const size_t v_offset = is_v ? (head_size * c->config->Hkv + 63) & ~(size_t)63 : 0;
    return c->block + c->offset[layer] + v_offset + head * head_size;
}

void bz_kv_cache_store(bz_kv_cache *c, const bz_kernel *kernel, uint32_t layer, size_t position, const float *k,
                       const float *v)
{
    const size_t Dh = c->config->Dh;
    const size_t place = position % bz_kv_cache_ring(c->config, layer, c->n_ctx);
    for (uint32_t h = 0; h < c->config->Hkv; ++h) {
        void *k_row = bz_kv_cache_rows(c, layer, 0, h) + place * c->row_size;
        void *v_row = bz_kv_cache_rows(c, layer, 1, h) + place * c->row_size;
        if (c->dtype == BZ_DTYPE_F16) {
            kernel->f32_to_f16(k_row, k + h * Dh, Dh);
            kernel->f32_to_f16(v_row, v + h * Dh, Dh);
        } else if (c->dtype == BZ_DTYPE_I8) {
            bz_key_row_int8(k_row, k + h * Dh, Dh);
            bz_key_row_int8(v_row, v + h * Dh, Dh);
        } else {
            memcpy(k_row, k + h * Dh, c->row_size);
            memcpy(v_row, v + h * Dh, c->row_size);
        }
    }
}

void bz_kv_cache_commit(bz_kv_cache *c, size_t T)
{
    c->n += T;
}

/* --- A shared beginning ------------------------------------------------------------------- */

size_t bz_kv_base_low(const bz_config *config, size_t n)
{
    const size_t held = (size_t)config->window + BZ_KV_BASE_BACK;
    return config->window != 0 && n > held ? n - held : 0;
}

size_t bz_kv_base_first(const bz_kv_base *base, const bz_config *config, uint32_t layer)
{
    return config->window != 0 && !config->is_global[layer] ? base->low : 0;
}

uint64_t bz_kv_base_layout(bz_kv_base *base, const bz_config *config)
{
    uint64_t at = 0;
    for (uint32_t l = 0; l < config->n_layers; ++l) {
        base->offset[l] = at;
        at += (uint64_t)(base->n - bz_kv_base_first(base, config, l)) * base->row_size * config->Hkv * 2;
    }
    return at;
}

uint8_t *bz_kv_base_rows(const bz_kv_base *base, const bz_config *config, uint32_t layer, int is_v, uint32_t head)
{
    const size_t rows = base->n - bz_kv_base_first(base, config, layer);
    const size_t run = head + (is_v ? config->Hkv : 0);
    return base->data + base->offset[layer] + run * rows * base->row_size;
}

void bz_kv_base_release(bz_kv_base *base)
{
    if (base != NULL && atomic_fetch_sub(&base->refs, 1) == 1)
        base->destroy(base);
}

void bz_kv_cache_attach(bz_kv_cache *c, bz_kv_base *base)
{
    bz_kv_base_release(c->base);
    c->base = base;
    c->n = c->base_n = base->n;
    c->low = base->low;
}

int bz_kv_cache_extract(bz_kv_base *base, const bz_kv_cache *c)
{
    if (c->n < base->n || c->low > base->low)
        return 0;
    for (uint32_t l = 0; l < c->config->n_layers; ++l)
        for (uint32_t run = 0; run < 2 * c->config->Hkv; ++run) {
            const int is_v = run >= c->config->Hkv;
            const uint32_t head = is_v ? run - c->config->Hkv : run;
            uint8_t *out = bz_kv_base_rows(base, c->config, l, is_v, head);
            size_t rows;
            for (size_t p = bz_kv_base_first(base, c->config, l); p < base->n; p += rows) {
                const uint8_t *from = bz_kv_cache_span(c, l, is_v, head, p, &rows);
                rows = rows < base->n - p ? rows : base->n - p;
                memcpy(out, from, rows * c->row_size);
                out += rows * c->row_size;
            }
        }
    return 1;
}

/* --- Timeline ----------------------------------------------------------------------------- */

size_t bz_kv_cache_trim(bz_kv_cache *c, size_t count)
{
    if (count >= c->n)
        return c->n;
    const size_t window = c->config->window;
    /* Position `count` reads local keys from count - window + 1 on. */
    const size_t oldest = window != 0 && count >= window ? count - window + 1 : 0;
    c->n = count;
    if (count == 0 || oldest < c->low) {
        c->n = 0;
        c->low = 0;
    }
    if (c->base_n > c->n)
        c->base_n = c->n;
    if (c->base_n == 0) {
        bz_kv_base_release(c->base);
        c->base = NULL;
    }
    return c->n;
}

size_t bz_kv_cache_first(const bz_kv_cache *c, uint32_t layer)
{
    const int is_local = c->config->window != 0 && !c->config->is_global[layer];
    return is_local ? (c->low < c->n ? c->low : c->n) : 0;
}

uint8_t *bz_kv_cache_span(const bz_kv_cache *c, uint32_t layer, int is_v, uint32_t head, size_t position,
                          size_t *out_rows)
{
    if (position < c->base_n) {
        const size_t first = bz_kv_base_first(c->base, c->config, layer);
        *out_rows = c->base_n - position;
        return bz_kv_base_rows(c->base, c->config, layer, is_v, head) + (position - first) * c->row_size;
    }
    const size_t ring = bz_kv_cache_ring(c->config, layer, c->n_ctx);
    const size_t place = position % ring;
    const size_t left = c->n - position;
    *out_rows = ring - place < left ? ring - place : left;
    return bz_kv_cache_rows(c, layer, is_v, head) + place * c->row_size;
}

static void kv_copy_head(bz_kv_cache *dst, const bz_kv_cache *src, uint32_t layer, int is_v, uint32_t head)
{
    size_t rows;
    const size_t first = bz_kv_cache_first(src, layer);
    for (size_t p = first > src->base_n ? first : src->base_n; p < src->n; p += rows) {
        const uint8_t *from = bz_kv_cache_span(src, layer, is_v, head, p, &rows);
        size_t same;
        memcpy(bz_kv_cache_span(dst, layer, is_v, head, p, &same), from, rows * src->row_size);
    }
}

void bz_kv_cache_copy(bz_kv_cache *dst, const bz_kv_cache *src)
{
    bz_kv_base_release(dst->base);
    dst->base = src->base;
    dst->base_n = src->base_n;
    if (dst->base != NULL)
        atomic_fetch_add(&dst->base->refs, 1);
    dst->n = src->n;
    dst->low = src->low;
    for (uint32_t l = 0; l < src->config->n_layers; ++l)
        for (uint32_t h = 0; h < src->config->Hkv; ++h)
            for (int is_v = 0; is_v < 2; ++is_v)
                kv_copy_head(dst, src, l, is_v, h);
}
