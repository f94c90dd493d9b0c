/* SPDX-License-Identifier: MIT */
/* Files of beginnings: named, found, written, cleaned (see prefix_folder.h).
 * Invariant: `bases` are mapped and checked; each is held once by the list. One file is written at a time. */
#include "model/prefix_folder.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/byte_order.h"
#include "model/side_file.h"

#include <stdio.h>
#include <string.h>

#define PREFIX_MAGIC "BZPREFIX"
#define PREFIX_VERSION 1u /* to be raised with every change of the numbers that a pass computes */

enum { PREFIX_AT_IDS = 64, PREFIX_KEY = 16, PREFIX_MOST_UNUSED = 8 };

/* A mapped file. */
typedef struct prefix_base {
    bz_kv_base base; /* first */
    const bezel_world *world;
    bz_side_map map;
    uint8_t key[PREFIX_KEY];
    struct prefix_base *next;
} prefix_base;

/* A file to be: rows copied, names laid out. */
typedef struct prefix_work {
    bz_side_plan plan;
    char *path;
    uint8_t *names;
    uint8_t *data;
} prefix_work;

struct bz_prefix_folder {
    const bezel_model *model;
    const bezel_world *world;
    char *path;
    uint64_t limit;
    bz_mutex *mutex;     /* guards what follows, and opening of files */
    prefix_base *bases;
    bezel_thread *thread; /* the last one started; joined before the next */
    prefix_work work;     /* the thread's while is_busy */
    atomic_int is_busy;
};

/* --- Names -------------------------------------------------------------------------------- */

/* Everything that the rows depend on. The level counts: float passes differ in the last bits. */
static void prefix_key(uint8_t key[PREFIX_KEY], const bezel_model *m, const bz_prefix *p)
{
    const bezel_engine *engine = m->engine;
    const uint32_t numbers[] = {PREFIX_VERSION,  engine->isa,       (uint32_t)engine->blas_ok, p->activations,
                                p->dtype,        m->config.window,  (uint32_t)p->row_size,     (uint32_t)p->n};
    const float scales[] = {m->config.embed_scale, m->config.score_scale, m->config.rope_base_global,
                            m->config.rope_base_local, m->config.rope_factor_global};
    bz_hash h;
    bz_hash_init(&h);
    bz_hash_add(&h, p->fingerprint, sizeof m->fingerprint);
    bz_weight_source_identify(m->source, &h);
    bz_hash_add(&h, BEZEL_VERSION_TEXT, sizeof BEZEL_VERSION_TEXT);
    bz_hash_add(&h, numbers, sizeof numbers);
    bz_hash_add(&h, scales, sizeof scales);
    bz_hash_add(&h, p->ids, p->n * sizeof *p->ids);
    bz_hash_finish(&h, key);
}

static void prefix_work_free(prefix_work *k, const bezel_world *w)
{
    bz_free(w, k->path);
    bz_free(w, k->names);
    bz_free_aligned(w, k->data);
    memset(k, 0, sizeof *k);
}

/* Path and header of the file; base is laid out. 0 when memory is out. */
static int prefix_work_init(prefix_work *k, bz_kv_base *base, const bz_prefix_folder *f, const bz_prefix *p,
                            const uint8_t key[PREFIX_KEY])
{
    const bezel_world *w = f->world;
    const size_t path_size = strlen(f->path) + 2 * PREFIX_KEY + 16, names_size = PREFIX_AT_IDS + 4 * p->n;
    char hex[2 * PREFIX_KEY + 1];
    memset(k, 0, sizeof *k);
    *base = (bz_kv_base){.n = p->n, .low = bz_kv_base_low(&f->model->config, p->n), .row_size = p->row_size};
    k->path = bz_alloc(w, path_size);
    k->names = bz_zalloc(w, names_size);
    if (k->path == NULL || k->names == NULL) {
        prefix_work_free(k, w);
        return 0;
    }
    for (int i = 0; i < PREFIX_KEY; i++)
        snprintf(hex + 2 * i, 3, "%02x", key[i]);
    snprintf(k->path, path_size, "%s/%s.prefix", f->path, hex);
    memcpy(k->names, PREFIX_MAGIC, 8);
    bz_store_u32(k->names + 8, PREFIX_VERSION);
    bz_store_u32(k->names + 12, p->dtype);
    bz_store_u64(k->names + 16, p->row_size);
    bz_store_u64(k->names + 24, p->n);
    bz_store_u64(k->names + 32, base->low);
    memcpy(k->names + 40, key, PREFIX_KEY);
    for (size_t i = 0; i < p->n; i++)
        bz_store_u32(k->names + PREFIX_AT_IDS + 4 * i, (uint32_t)p->ids[i]);
    k->plan = (bz_side_plan){.world = w,
                             .origin = "prefix",
                             .path = k->path,
                             .names = k->names,
                             .names_size = names_size,
                             .head_size = names_size,
                             .data_size = bz_kv_base_layout(base, &f->model->config)};
    return 1;
}

/* --- Life --------------------------------------------------------------------------------- */

bezel_status bz_prefix_folder_new(bz_prefix_folder **out, const bezel_model *model, const char *folder, uint64_t limit,
                                  bezel_error *err)
{
    const bezel_world *w = &model->engine->world;
    *out = NULL;
    bz_prefix_folder *f = bz_zalloc(w, sizeof *f);
    if (f == NULL)
        return bz_fail_memory(err, "prefix", "the folder of beginnings", sizeof *f);
    f->model = model;
    f->world = w;
    f->limit = limit != 0 ? limit : BZ_PREFIX_LIMIT;
    f->path = bz_text_dup(w, folder, SIZE_MAX);
    f->mutex = bz_mutex_new(w);
    if (f->path == NULL || f->mutex == NULL) {
        bz_prefix_folder_free(f);
        return bz_fail_memory(err, "prefix", "the folder of beginnings", strlen(folder));
    }
    *out = f;
    return BEZEL_OK;
}

static void prefix_base_destroy(bz_kv_base *base)
{
    prefix_base *b = (prefix_base *)base;
    bz_side_close(&b->map, b->world);
    bz_free(b->world, b);
}

void bz_prefix_folder_free(bz_prefix_folder *f)
{
    if (f == NULL)
        return;
    const bezel_world *w = f->world;
    if (f->thread != NULL)
        w->thread_join(w->ud, f->thread);
    for (prefix_base *b = f->bases, *next; b != NULL; b = next) {
        next = b->next;
        bz_kv_base_release(&b->base);
    }
    bz_mutex_free(w, f->mutex);
    bz_free(w, f->path);
    bz_free(w, f);
}

/* --- Finding ------------------------------------------------------------------------------ */

/* Mappings that no session uses are few; the newest stay. */
static void prefix_drop_unused(bz_prefix_folder *f)
{
    size_t n = 0;
    for (prefix_base **at = &f->bases; *at != NULL;) {
        prefix_base *b = *at;
        if (atomic_load(&b->base.refs) == 1 && ++n > PREFIX_MOST_UNUSED) {
            *at = b->next;
            bz_kv_base_release(&b->base);
        } else {
            at = &b->next;
        }
    }
}

static prefix_base *prefix_open(bz_prefix_folder *f, const bz_prefix *p, const uint8_t key[PREFIX_KEY])
{
    const bezel_world *w = f->world;
    prefix_work k;
    bezel_error err = BEZEL_ERROR_INIT;
    prefix_base *b = bz_zalloc(w, sizeof *b);
    if (b == NULL || !prefix_work_init(&k, &b->base, f, p, key)) {
        bz_free(w, b);
        return NULL;
    }
    k.plan.pool = f->model->engine->pool;
    const bezel_status status = bz_side_open(&b->map, &k.plan, &err);
    if (status == BEZEL_OK) {
        b->world = w;
        b->base.data = (uint8_t *)(uintptr_t)b->map.data; /* read only: see bz_kv_base */
        b->base.destroy = prefix_base_destroy;
        atomic_store(&b->base.refs, 1);
        memcpy(b->key, key, PREFIX_KEY);
        bz_side_touch(w, k.path);
    } else {
        if (status == BEZEL_ERR_CHECKSUM || status == BEZEL_ERR_TRUNCATED || status == BEZEL_ERR_FORMAT ||
            status == BEZEL_ERR_VERSION) {
            bz_log_write(f->model->engine->log, BEZEL_LOG_INFO, "prefix", "%s; it is made again", err.text);
            (void)w->file_remove(w->ud, k.path);
        }
        bz_free(w, b);
        b = NULL;
    }
    prefix_work_free(&k, w);
    return b;
}

static prefix_base *prefix_listed(const bz_prefix_folder *f, const bz_prefix *p, const uint8_t key[PREFIX_KEY])
{
    for (prefix_base *b = f->bases; b != NULL; b = b->next) {
        if (memcmp(b->key, key, PREFIX_KEY) != 0 || b->base.n != p->n)
            continue;
        size_t same = 0; /* the hash is not made against who chooses ids */
        while (same < p->n && (int32_t)bz_load_u32(b->map.head + PREFIX_AT_IDS + 4 * same) == p->ids[same])
            same++;
        if (same == p->n)
            return b;
    }
    return NULL;
}

bz_kv_base *bz_prefix_folder_find(bz_prefix_folder *f, const bz_prefix *p)
{
    uint8_t key[PREFIX_KEY];
    prefix_key(key, f->model, p);
    bz_mutex_lock(f->mutex);
    prefix_base *b = prefix_listed(f, p, key);
    if (b == NULL && (b = prefix_open(f, p, key)) != NULL) {
        b->next = f->bases;
        f->bases = b;
    }
    if (b != NULL)
        atomic_fetch_add(&b->base.refs, 1);
    prefix_drop_unused(f);
    bz_mutex_unlock(f->mutex);
    return b != NULL ? &b->base : NULL;
}

/* --- Keeping ------------------------------------------------------------------------------ */

static void prefix_run(void *arg)
{
    bz_prefix_folder *f = arg;
    prefix_work *k = &f->work;
    bz_log *log = f->model->engine->log;
    bezel_error err = BEZEL_ERROR_INIT;
    bz_side_writer writer;
    const uint64_t size = bz_side_size(k->plan.head_size, k->plan.data_size);
    bz_side_clean(f->world, f->path, ".prefix", k->path, size, f->limit, BZ_SIDE_MAX_AGE_MS);
    bezel_status status = bz_side_begin(&writer, &k->plan, &err);
    if (status == BEZEL_OK) {
        status = bz_side_add(&writer, k->data, (size_t)k->plan.data_size, &err);
        if (status == BEZEL_OK)
            status = bz_side_finish(&writer, &err);
        else
            bz_side_abandon(&writer);
    }
    if (status == BEZEL_OK)
        bz_log_write(log, BEZEL_LOG_INFO, "prefix", "the beginning of the prompt is kept in %s", k->path);
    else
        bz_log_write(log, BEZEL_LOG_INFO, "prefix", "the beginning of the prompt is not kept: %s", err.text);
    prefix_work_free(k, f->world);
    atomic_store_explicit(&f->is_busy, 0, memory_order_release);
}

static int prefix_is_there(const bz_prefix_folder *f, const char *path)
{
    const bezel_world *w = f->world;
    bezel_file *file;
    if (w->file_open(w->ud, &file, path, BEZEL_FILE_READ) != BEZEL_OK)
        return 0;
    w->file_close(w->ud, file);
    return 1;
}

static void prefix_join(bz_prefix_folder *f)
{
    const bezel_world *w = f->world;
    if (f->thread != NULL)
        w->thread_join(w->ud, f->thread);
    f->thread = NULL;
}

/* With the mutex held and no thread at work. */
static void prefix_start(bz_prefix_folder *f, const bz_prefix *p, const bz_kv_cache *cache)
{
    const bezel_world *w = f->world;
    prefix_work *k = &f->work;
    bz_kv_base base;
    uint8_t key[PREFIX_KEY];
    prefix_join(f);
    prefix_key(key, f->model, p);
    if (!prefix_work_init(k, &base, f, p, key))
        return;
    const uint64_t size = bz_side_size(k->plan.head_size, k->plan.data_size);
    if (size <= f->limit && !prefix_is_there(f, k->path)) {
        k->data = base.data = bz_alloc_aligned(w, (size_t)k->plan.data_size);
        if (k->data != NULL && bz_kv_cache_extract(&base, cache)) {
            atomic_store(&f->is_busy, 1);
            if (w->thread_start(w->ud, &f->thread, "bezel-prefix", prefix_run, f) == BEZEL_OK)
                return;
            f->thread = NULL;
            atomic_store(&f->is_busy, 0);
        }
    }
    prefix_work_free(k, w);
}

int bz_prefix_folder_keep(bz_prefix_folder *f, const bz_prefix *p, const bz_kv_cache *cache)
{
    if (atomic_load_explicit(&f->is_busy, memory_order_acquire) || !bz_mutex_try(f->mutex))
        return 0;
    const int is_free = !atomic_load_explicit(&f->is_busy, memory_order_acquire);
    if (is_free)
        prefix_start(f, p, cache);
    bz_mutex_unlock(f->mutex);
    return is_free;
}

void bz_prefix_folder_wait(bz_prefix_folder *f)
{
    bz_mutex_lock(f->mutex);
    prefix_join(f);
    bz_mutex_unlock(f->mutex);
}
