/* SPDX-License-Identifier: MIT */
/* bezel_session_save and _load: timeline and cache in a file.
 *
 * Layout, numbers little-endian, rows as in memory (the order mark tells whether that is this machine's order):
 *    0  magic "BZLSESS\n"     8  version u32         12  order mark u32, as in memory
 *   16  fingerprint of the model with its adapters [16]
 *   32  n_ctx u32            36  activations u32     40  n_layers u32   44  Hkv u32   48  Dh u32   52  window u32
 *   56  n_ids u64            64  n_cached u64        72  low u64        80  size of the file u64   88  kv u32   92  zero u32
 *   96  ids i32 [n_ids]; then for each layer, k and v, each head: rows [first, n_cached); then a hash [16] of all before
 *
 * A file is written beside its name and renamed, so the old one stays until the new one is whole. A file is read twice:
 * once for its hash, before anything is changed, and once into the cache. The hash finds damage, not malice: numbers from
 * a hostile file can spoil an answer but are never used as sizes or places. */

#include "base/alloc.h"
#include "base/byte_order.h"
#include "base/hash.h"
#include "base/status.h"
#include "base/strbuf.h"
#include "generate/prefix_snapshot.h"

#include <string.h>

#define SESSION_FILE_HEADER ((size_t)96)
#define SESSION_FILE_HASH ((size_t)16)
#define SESSION_FILE_VERSION 2U
#define SESSION_FILE_ORDER 0x01020304U
#define SESSION_FILE_BUFFER ((size_t)65536)

static const char session_file_magic[8] = {'B', 'Z', 'L', 'S', 'E', 'S', 'S', '\n'};

/* --- Header ------------------------------------------------------------------------------- */

/* First position of a layer's rows for a cache of n positions whose local layers begin at low. */
static uint64_t session_file_first(const bz_kv_cache *c, uint32_t layer, uint64_t low)
{
    return c->config->window != 0 && !c->config->is_global[layer] ? low : 0;
}

/* Size of the whole file; every factor is bounded by what the session has allocated. */
static uint64_t session_file_size(const bz_kv_cache *c, uint64_t n_ids, uint64_t n_cached, uint64_t low)
{
    uint64_t size = SESSION_FILE_HEADER + SESSION_FILE_HASH + n_ids * sizeof(int32_t);
    for (uint32_t l = 0; l < c->config->n_layers; ++l)
        size += (n_cached - session_file_first(c, l, low)) * c->config->Hkv * 2 * c->row_size;
    return size;
}

static void session_file_header(uint8_t h[SESSION_FILE_HEADER], const bezel_session *s)
{
    const bz_config *c = &s->model->config;
    const uint32_t order = SESSION_FILE_ORDER;
    const uint64_t low = s->cache->low < s->cache->n ? s->cache->low : s->cache->n;
    memset(h, 0, SESSION_FILE_HEADER);
    memcpy(h, session_file_magic, sizeof session_file_magic);
    bz_store_u32(h + 8, SESSION_FILE_VERSION);
    memcpy(h + 12, &order, sizeof order);
    memcpy(h + 16, s->fingerprint, 16);
    bz_store_u32(h + 32, s->n_ctx);
    bz_store_u32(h + 36, s->activations);
    bz_store_u32(h + 40, c->n_layers);
    bz_store_u32(h + 44, c->Hkv);
    bz_store_u32(h + 48, c->Dh);
    bz_store_u32(h + 52, c->window);
    bz_store_u64(h + 56, s->n_ids);
    bz_store_u64(h + 64, s->cache->n);
    bz_store_u64(h + 72, low);
    bz_store_u32(h + 88, s->kv);
    bz_store_u64(h + 80, session_file_size(s->cache, s->n_ids, s->cache->n, low));
}

/* --- Moving bytes ------------------------------------------------------------------------- */

typedef struct session_io {
    const bezel_world *world;
    bezel_file *file;
    const char *path;
    bezel_error *err;
    bz_hash hash;
    uint64_t at;
    int is_load;
} session_io;

static bezel_status session_io_fail(session_io *io, bezel_status status)
{
    return bz_error_place(io->err,
                          bz_fail(io->err, status, "session", "the saved session cannot be %s at byte %llu (%s)",
                                  io->is_load ? "read" : "written", (unsigned long long)io->at,
                                  bezel_status_name(status)),
                          "%s", io->path);
}

/* The next n bytes of the file from or into memory. */
static bezel_status session_io_move(session_io *io, void *bytes, size_t n)
{
    const bezel_world *w = io->world;
    const bezel_status status = io->is_load ? w->file_read(w->ud, io->file, io->at, bytes, n)
                                            : w->file_write(w->ud, io->file, io->at, bytes, n);
    if (status != BEZEL_OK)
        return session_io_fail(io, status);
    bz_hash_add(&io->hash, bytes, n);
    io->at += n;
    return BEZEL_OK;
}

static bezel_status session_io_layer(session_io *io, bz_kv_cache *c, uint32_t layer)
{
    for (int is_v = 0; is_v < 2; ++is_v) {
        for (uint32_t head = 0; head < c->config->Hkv; ++head) {
            size_t rows;
            for (size_t p = bz_kv_cache_first(c, layer); p < c->n; p += rows) {
                uint8_t *span = bz_kv_cache_span(c, layer, is_v, head, p, &rows);
                const bezel_status status = session_io_move(io, span, rows * c->row_size);
                if (status != BEZEL_OK)
                    return status;
            }
        }
    }
    return BEZEL_OK;
}

static bezel_status session_io_cache(session_io *io, bz_kv_cache *c)
{
    for (uint32_t l = 0; l < c->config->n_layers; ++l) {
        const bezel_status status = session_io_layer(io, c, l);
        if (status != BEZEL_OK)
            return status;
    }
    return BEZEL_OK;
}

/* --- Save --------------------------------------------------------------------------------- */

static bezel_status session_write(const bezel_session *s, session_io *io)
{
    uint8_t header[SESSION_FILE_HEADER], hash[SESSION_FILE_HASH];
    session_file_header(header, s);
    bezel_status status = session_io_move(io, header, sizeof header);
    if (status == BEZEL_OK && s->n_ids > 0)
        status = session_io_move(io, s->ids, s->n_ids * sizeof *s->ids);
    if (status == BEZEL_OK)
        status = session_io_cache(io, s->cache);
    if (status != BEZEL_OK)
        return status;
    bz_hash_finish(&io->hash, hash);
    status = session_io_move(io, hash, sizeof hash);
    if (status != BEZEL_OK)
        return status;
    status = io->world->file_sync(io->world->ud, io->file);
    return status == BEZEL_OK ? BEZEL_OK : session_io_fail(io, status);
}

bezel_status bezel_session_save(const bezel_session *session, const char *path, bezel_error *err)
{
    bezel_status status = bz_session_check(session, err);
    if (status != BEZEL_OK)
        return status;
    if (path == NULL)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "session", "path is NULL");
    const bezel_world *w = session->world;
    bz_strbuf part;
    bz_strbuf_init(&part, w, 0);
    bz_strbuf_text(&part, path);
    bz_strbuf_text(&part, ".part");
    session_io io = {.world = w, .path = path, .err = err};
    bz_hash_init(&io.hash);
    if (part.status != BEZEL_OK) {
        status = bz_fail(err, part.status, "session", "no memory for the path");
        goto done;
    }
    status = w->file_open(w->ud, &io.file, part.data, BEZEL_FILE_CREATE);
    if (status != BEZEL_OK) {
        (void)session_io_fail(&io, status);
        goto done;
    }
    status = session_write(session, &io);
    w->file_close(w->ud, io.file);
    if (status == BEZEL_OK) {
        status = w->file_rename(w->ud, part.data, path);
        if (status != BEZEL_OK)
            (void)session_io_fail(&io, status);
    }
    if (status != BEZEL_OK)
        (void)w->file_remove(w->ud, part.data);
done:
    bz_strbuf_free(&part);
    return status;
}

/* --- Load --------------------------------------------------------------------------------- */

typedef struct session_saved {
    uint8_t header[SESSION_FILE_HEADER];
    uint64_t n_ids, n_cached, low;
    int32_t *ids;
} session_saved;

static bezel_status session_refuse(session_io *io, bezel_status status, const char *what, uint64_t found,
                                   uint64_t expected)
{
    return bz_error_place(io->err,
                          bz_fail(io->err, status, "session", "the saved session has %s %llu, expected %llu", what,
                                  (unsigned long long)found, (unsigned long long)expected),
                          "%s", io->path);
}

static bezel_status session_check_identity(session_io *io, const bezel_session *s, const uint8_t *h)
{
    const bz_config *c = &s->model->config;
    uint32_t order;
    memcpy(&order, h + 12, sizeof order);
    if (memcmp(h, session_file_magic, sizeof session_file_magic) != 0)
        return bz_error_place(io->err, bz_fail(io->err, BEZEL_ERR_FORMAT, "session", "the file is no saved session"),
                              "%s", io->path);
    if (bz_load_u32(h + 8) != SESSION_FILE_VERSION)
        return session_refuse(io, BEZEL_ERR_VERSION, "version", bz_load_u32(h + 8), SESSION_FILE_VERSION);
    if (order != SESSION_FILE_ORDER)
        return session_refuse(io, BEZEL_ERR_FORMAT, "byte order mark", order, SESSION_FILE_ORDER);
    if (memcmp(h + 16, s->fingerprint, 16) != 0)
        return bz_error_hint(io->err,
                             bz_fail(io->err, BEZEL_ERR_ARGUMENT, "session",
                                     "the session was saved with another model than \"%s\", or with other adapters",
                                     bezel_model_name(s->model)),
                             "open the model file it was saved with, and set the same adapters and scales");
    const struct {
        const char *what;
        size_t at;
        uint32_t expected;
        bezel_status status;
    } rows[] = {
        {"n_ctx", 32, s->n_ctx, BEZEL_ERR_ARGUMENT},      {"activations", 36, s->activations, BEZEL_ERR_ARGUMENT},
        {"n_layers", 40, c->n_layers, BEZEL_ERR_FORMAT},  {"Hkv", 44, c->Hkv, BEZEL_ERR_FORMAT},
        {"Dh", 48, c->Dh, BEZEL_ERR_FORMAT},              {"window", 52, c->window, BEZEL_ERR_FORMAT},
        {"kv", 88, s->kv, BEZEL_ERR_ARGUMENT},             {"a reserved field of", 92, 0, BEZEL_ERR_VERSION},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; ++i)
        if (bz_load_u32(h + rows[i].at) != rows[i].expected)
            return session_refuse(io, rows[i].status, rows[i].what, bz_load_u32(h + rows[i].at), rows[i].expected);
    return BEZEL_OK;
}

/* Counts against each other, against the session and against the size of the file. */
static bezel_status session_check_counts(session_io *io, const bezel_session *s, session_saved *saved,
                                         uint64_t file_size)
{
    const uint8_t *h = saved->header;
    const uint32_t window = s->model->config.window;
    saved->n_ids = bz_load_u64(h + 56);
    saved->n_cached = bz_load_u64(h + 64);
    saved->low = bz_load_u64(h + 72);
    if (saved->n_ids > s->n_ctx)
        return session_refuse(io, BEZEL_ERR_FORMAT, "more tokens than its context:", saved->n_ids, s->n_ctx);
    if (saved->n_cached > saved->n_ids)
        return session_refuse(io, BEZEL_ERR_FORMAT, "more cached positions than tokens:", saved->n_cached, saved->n_ids);
    /* What local layers hold: not more than a ring, not less than the next position reads. */
    const uint64_t ring = (uint64_t)window + BZ_KV_SLACK;
    const uint64_t least = window != 0 && ring < s->n_ctx && saved->n_cached > ring ? saved->n_cached - ring : 0;
    const uint64_t most = window != 0 && saved->n_cached >= window ? saved->n_cached - window + 1 : 0;
    if (saved->low < least || saved->low > most)
        return session_refuse(io, BEZEL_ERR_FORMAT, "a wrong first local position:", saved->low, least);
    const uint64_t size = session_file_size(s->cache, saved->n_ids, saved->n_cached, saved->low);
    if (bz_load_u64(h + 80) != size)
        return session_refuse(io, BEZEL_ERR_FORMAT, "a wrong size in its header:", bz_load_u64(h + 80), size);
    if (file_size != size)
        return session_refuse(io, file_size < size ? BEZEL_ERR_TRUNCATED : BEZEL_ERR_FORMAT, "size", file_size, size);
    return BEZEL_OK;
}

/* Reads from io->at to the hash at the end and compares it. */
static bezel_status session_check_hash(session_io *io, uint64_t file_size)
{
    uint8_t found[SESSION_FILE_HASH], hash[SESSION_FILE_HASH];
    bezel_status status = BEZEL_OK;
    uint8_t *buffer = bz_alloc(io->world, SESSION_FILE_BUFFER);
    if (buffer == NULL)
        return bz_fail_memory(io->err, "session", "reading", SESSION_FILE_BUFFER);
    while (status == BEZEL_OK && io->at < file_size - SESSION_FILE_HASH) {
        const uint64_t left = file_size - SESSION_FILE_HASH - io->at;
        status = session_io_move(io, buffer, left < SESSION_FILE_BUFFER ? (size_t)left : SESSION_FILE_BUFFER);
    }
    bz_free(io->world, buffer);
    bz_hash_finish(&io->hash, hash);
    if (status == BEZEL_OK)
        status = session_io_move(io, found, sizeof found);
    if (status == BEZEL_OK && memcmp(found, hash, sizeof hash) != 0)
        status = bz_error_place(io->err,
                                bz_fail(io->err, BEZEL_ERR_CHECKSUM, "session", "the saved session is damaged"), "%s",
                                io->path);
    return status;
}

/* First reading: everything is checked, saved->ids are the caller's to free, the session is as before. */
static bezel_status session_read_checked(session_io *io, const bezel_session *s, session_saved *saved)
{
    bezel_file_info info;
    bezel_status status = io->world->file_info(io->world->ud, io->file, &info);
    if (status != BEZEL_OK)
        return session_io_fail(io, status);
    if (info.size < SESSION_FILE_HEADER + SESSION_FILE_HASH)
        return session_refuse(io, BEZEL_ERR_TRUNCATED, "size", info.size, SESSION_FILE_HEADER + SESSION_FILE_HASH);
    status = session_io_move(io, saved->header, SESSION_FILE_HEADER);
    if (status == BEZEL_OK)
        status = session_check_identity(io, s, saved->header);
    if (status == BEZEL_OK)
        status = session_check_counts(io, s, saved, info.size);
    if (status != BEZEL_OK)
        return status;
    if (saved->n_ids > 0) {
        saved->ids = bz_zalloc_array(s->world, (size_t)saved->n_ids, sizeof *saved->ids);
        if (saved->ids == NULL)
            return bz_fail_memory(io->err, "session", "the timeline", (size_t)saved->n_ids * sizeof *saved->ids);
        status = session_io_move(io, saved->ids, (size_t)saved->n_ids * sizeof *saved->ids);
    }
    if (status == BEZEL_OK)
        status = session_check_hash(io, info.size);
    if (status == BEZEL_OK)
        status = bz_session_check_ids(s, saved->ids, (size_t)saved->n_ids, io->err);
    return status;
}

/* Second reading, into the cache. A failure leaves an empty timeline. */
static bezel_status session_read_cache(session_io *io, bezel_session *s, const session_saved *saved)
{
    uint8_t found[SESSION_FILE_HASH], hash[SESSION_FILE_HASH];
    bz_hash_init(&io->hash);
    bz_hash_add(&io->hash, saved->header, SESSION_FILE_HEADER);
    bz_hash_add(&io->hash, saved->ids, (size_t)saved->n_ids * sizeof *saved->ids);
    io->at = SESSION_FILE_HEADER + saved->n_ids * sizeof *saved->ids;
    (void)bz_kv_cache_trim(s->cache, 0);
    bz_prefix_snapshot_cut(s, 0);
    s->n_ids = 0;
    s->cache->n = (size_t)saved->n_cached;
    s->cache->low = (size_t)saved->low;
    bezel_status status = session_io_cache(io, s->cache);
    bz_hash_finish(&io->hash, hash);
    if (status == BEZEL_OK)
        status = session_io_move(io, found, sizeof found);
    if (status == BEZEL_OK && memcmp(found, hash, sizeof hash) != 0)
        status = bz_fail(io->err, BEZEL_ERR_CHANGED, "session", "the saved session changed while it was read");
    if (status != BEZEL_OK) {
        (void)bz_kv_cache_trim(s->cache, 0);
        return status;
    }
    if (saved->n_ids > 0)
        memcpy(s->ids, saved->ids, (size_t)saved->n_ids * sizeof *saved->ids);
    s->n_ids = (size_t)saved->n_ids;
    return BEZEL_OK;
}

bezel_status bezel_session_load(bezel_session *session, const char *path, bezel_error *err)
{
    bezel_status status = bz_session_check(session, err);
    if (status != BEZEL_OK)
        return status;
    if (path == NULL)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "session", "path is NULL");
    const bezel_world *w = session->world;
    session_saved saved = {.ids = NULL};
    session_io io = {.world = w, .path = path, .err = err, .is_load = 1};
    bz_hash_init(&io.hash);
    status = w->file_open(w->ud, &io.file, path, BEZEL_FILE_READ);
    if (status != BEZEL_OK)
        return session_io_fail(&io, status);
    status = session_read_checked(&io, session, &saved);
    if (status == BEZEL_OK)
        status = session_read_cache(&io, session, &saved);
    bz_free(w, saved.ids);
    w->file_close(w->ud, io.file);
    return status;
}
