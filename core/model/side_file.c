/* SPDX-License-Identifier: MIT */
/* Making, checking, mapping and cleaning of side files (see side_file.h).
 * Invariant: what bz_side_open gives out had all its hashes right. Unfinished files have random names, so two makers never
 * write to one file; they are not synced, since damage of a power loss is found like any other. */
#include "model/side_file.h"

#include "base/alloc.h"
#include "base/byte_order.h"
#include "base/hash.h"
#include "base/status.h"

#include <stdio.h>
#include <string.h>

#define SIDE_PAGE ((size_t)4096)
#define SIDE_NEW ".new-" /* and 16 hex digits */
#define SIDE_USED ".used"
#define SIDE_LEFT_MS ((int64_t)3600 * 1000)

enum { SIDE_HASH = 16, SIDE_MOST_NAMES = 4096 };

/* --- Layout ------------------------------------------------------------------------------- */

static size_t side_pieces(uint64_t data_size)
{
    return (size_t)((data_size + BZ_SIDE_PIECE - 1) / BZ_SIDE_PIECE);
}

static size_t side_header_size(size_t head_size, uint64_t data_size)
{
    const size_t size = head_size + SIDE_HASH * (side_pieces(data_size) + 1);
    return (size + SIDE_PAGE - 1) / SIDE_PAGE * SIDE_PAGE;
}

uint64_t bz_side_size(size_t head_size, uint64_t data_size)
{
    return side_header_size(head_size, data_size) + data_size;
}

static void side_hash(uint8_t out[SIDE_HASH], const void *bytes, size_t size)
{
    bz_hash h;
    bz_hash_init(&h);
    bz_hash_add(&h, bytes, size);
    bz_hash_finish(&h, out);
}

static int side_is_cancelled(const bz_side_plan *p)
{
    return p->cancel != NULL && atomic_load_explicit(p->cancel, memory_order_relaxed);
}

static bezel_status side_bad(bezel_error *err, bezel_status status, const bz_side_plan *p, const char *what)
{
    return bz_fail(err, status, p->origin, "%s: %s", p->path, what);
}

/* --- Opening ------------------------------------------------------------------------------ */

typedef struct side_check {
    const bz_side_plan *plan;
    const bz_side_map *map;
    atomic_int is_bad;
} side_check;

static void side_check_pieces(void *ctx, size_t begin, size_t end, unsigned worker)
{
    side_check *c = ctx;
    const bz_side_plan *p = c->plan;
    (void)worker;
    for (size_t i = begin; i < end && !side_is_cancelled(p); i++) {
        const uint64_t at = (uint64_t)i * BZ_SIDE_PIECE, left = p->data_size - at;
        uint8_t hash[SIDE_HASH];
        side_hash(hash, c->map->data + at, left < BZ_SIDE_PIECE ? (size_t)left : BZ_SIDE_PIECE);
        if (memcmp(hash, c->map->head + p->head_size + i * SIDE_HASH, SIDE_HASH) != 0)
            atomic_store(&c->is_bad, 1);
    }
}

static bezel_status side_check_all(const bz_side_map *m, const bz_side_plan *p, bezel_error *err)
{
    const size_t header_size = side_header_size(p->head_size, p->data_size), pieces = side_pieces(p->data_size);
    uint8_t hash[SIDE_HASH];
    side_check check = {.plan = p, .map = m};
    if (memcmp(m->head, p->names, 12) != 0)
        return side_bad(err, BEZEL_ERR_VERSION, p, "another version wrote it");
    side_hash(hash, m->head, header_size - SIDE_HASH);
    if (memcmp(hash, m->head + header_size - SIDE_HASH, SIDE_HASH) != 0)
        return side_bad(err, BEZEL_ERR_CHECKSUM, p, "its header is damaged");
    if (memcmp(m->head, p->names, p->names_size) != 0)
        return side_bad(err, BEZEL_ERR_FORMAT, p, "it was made of something else");
    if (p->pool != NULL)
        bz_thread_pool_run(p->pool, pieces, 1, side_check_pieces, &check);
    else
        side_check_pieces(&check, 0, pieces, 0);
    if (side_is_cancelled(p))
        return side_bad(err, BEZEL_ERR_CANCELLED, p, "the check was cancelled");
    return atomic_load(&check.is_bad) ? side_bad(err, BEZEL_ERR_CHECKSUM, p, "its data is damaged") : BEZEL_OK;
}

bezel_status bz_side_open(bz_side_map *out, const bz_side_plan *p, bezel_error *err)
{
    const bezel_world *w = p->world;
    bezel_file *file = NULL;
    bezel_file_info info = {0, 0, 0};
    memset(out, 0, sizeof *out);
    bezel_status status = w->file_open(w->ud, &file, p->path, BEZEL_FILE_READ);
    if (status < 0)
        return side_bad(err, status, p, "it cannot be opened");
    status = w->file_info(w->ud, file, &info);
    if (status < 0)
        side_bad(err, status, p, "its size is unknown");
    else if (info.size != bz_side_size(p->head_size, p->data_size))
        status = side_bad(err, BEZEL_ERR_TRUNCATED, p, "it has the wrong size");
    else if ((status = w->file_map(w->ud, file, info.size, &out->map)) < 0)
        side_bad(err, status, p, "it cannot be mapped");
    w->file_close(w->ud, file);
    if (status < 0) {
        out->map = NULL;
        return status;
    }
    out->size = info.size;
    out->head = out->map;
    out->data = out->head + side_header_size(p->head_size, p->data_size);
    status = side_check_all(out, p, err);
    if (status != BEZEL_OK)
        bz_side_close(out, w);
    return status;
}

void bz_side_close(bz_side_map *m, const bezel_world *w)
{
    if (m->map != NULL)
        w->file_unmap(w->ud, m->map, m->size);
    memset(m, 0, sizeof *m);
}

/* --- Making ------------------------------------------------------------------------------- */

static bezel_status side_failed(bezel_error *err, bezel_status status, const bz_side_writer *s, const char *what)
{
    return bz_fail(err, status, s->plan->origin, "%s: %s (%s)", s->temp, what, bezel_status_name(status));
}

bezel_status bz_side_begin(bz_side_writer *out, const bz_side_plan *p, bezel_error *err)
{
    const bezel_world *w = p->world;
    const size_t temp_size = strlen(p->path) + sizeof SIDE_NEW + 16;
    uint64_t tag = 0;
    *out = (bz_side_writer){.plan = p, .header_size = side_header_size(p->head_size, p->data_size)};
    bezel_status status = w->random(w->ud, &tag, sizeof tag);
    if (status < 0)
        return bz_fail(err, status, p->origin, "no random number for a new file");
    out->temp = bz_alloc(w, temp_size);
    out->header = bz_zalloc(w, out->header_size);
    out->piece = bz_alloc(w, BZ_SIDE_PIECE);
    if (out->temp == NULL || out->header == NULL || out->piece == NULL) {
        bz_side_abandon(out);
        return bz_fail_memory(err, p->origin, "a new file", out->header_size + BZ_SIDE_PIECE);
    }
    snprintf(out->temp, temp_size, "%s" SIDE_NEW "%016llx", p->path, (unsigned long long)tag);
    memcpy(out->header, p->names, p->names_size);
    status = w->file_open(w->ud, &out->file, out->temp, BEZEL_FILE_CREATE);
    if (status < 0) {
        out->file = NULL;
        side_failed(err, status, out, "it cannot be made");
        bz_side_abandon(out);
    }
    return status;
}

static bezel_status side_write(bz_side_writer *s, uint64_t at, const void *bytes, size_t size, bezel_error *err)
{
    const bezel_world *w = s->plan->world;
    const bezel_status status = w->file_write(w->ud, s->file, at, bytes, size);
    return status < 0 ? side_failed(err, status, s, "it cannot be written") : BEZEL_OK;
}

static bezel_status side_flush(bz_side_writer *s, bezel_error *err)
{
    if (s->held == 0)
        return BEZEL_OK;
    const uint64_t at = s->header_size + (uint64_t)s->n_written * BZ_SIDE_PIECE;
    side_hash(s->header + s->plan->head_size + s->n_written * SIDE_HASH, s->piece, s->held);
    const bezel_status status = side_write(s, at, s->piece, s->held, err);
    s->held = 0;
    s->n_written++;
    return status;
}

bezel_status bz_side_add(bz_side_writer *s, const void *bytes, size_t size, bezel_error *err)
{
    const uint8_t *from = bytes;
    while (size > 0) {
        const size_t room = BZ_SIDE_PIECE - s->held, n = size < room ? size : room;
        memcpy(s->piece + s->held, from, n);
        s->held += n;
        from += n;
        size -= n;
        if (s->held < BZ_SIDE_PIECE)
            continue;
        if (side_is_cancelled(s->plan))
            return bz_fail(err, BEZEL_ERR_CANCELLED, s->plan->origin, "%s: its making was cancelled", s->temp);
        const bezel_status status = side_flush(s, err);
        if (status != BEZEL_OK)
            return status;
    }
    return BEZEL_OK;
}

bezel_status bz_side_finish(bz_side_writer *s, bezel_error *err)
{
    const bezel_world *w = s->plan->world;
    bezel_status status = side_flush(s, err);
    if (status == BEZEL_OK) {
        side_hash(s->header + s->header_size - SIDE_HASH, s->header, s->header_size - SIDE_HASH);
        status = side_write(s, 0, s->header, s->header_size, err);
    }
    w->file_close(w->ud, s->file);
    s->file = NULL;
    if (status == BEZEL_OK && (status = w->file_rename(w->ud, s->temp, s->plan->path)) < 0)
        side_failed(err, status, s, "it cannot get its name");
    if (status < 0)
        (void)w->file_remove(w->ud, s->temp);
    bz_side_abandon(s);
    return status;
}

void bz_side_abandon(bz_side_writer *s)
{
    if (s->plan == NULL)
        return;
    const bezel_world *w = s->plan->world;
    if (s->file != NULL) {
        w->file_close(w->ud, s->file);
        (void)w->file_remove(w->ud, s->temp);
    }
    bz_free(w, s->temp);
    bz_free(w, s->header);
    bz_free(w, s->piece);
    memset(s, 0, sizeof *s);
}

/* --- Folder ------------------------------------------------------------------------------- */

typedef struct side_entry {
    char *path;
    uint64_t size;
    int64_t used_ms; /* since 1970 */
} side_entry;

typedef struct side_list {
    const bezel_world *world;
    const char *folder, *suffix, *keep;
    side_entry *entries;
    size_t n, capacity;
} side_list;

static char *side_path(const bezel_world *w, const char *a, const char *between, const char *b)
{
    const size_t size = strlen(a) + strlen(between) + strlen(b) + 1;
    char *path = bz_alloc(w, size);
    if (path != NULL)
        snprintf(path, size, "%s%s%s", a, between, b);
    return path;
}

void bz_side_touch(const bezel_world *w, const char *path)
{
    char *used = side_path(w, path, SIDE_USED, "");
    bezel_file *file;
    const uint8_t mark = 1;
    if (used != NULL && w->file_open(w->ud, &file, used, BEZEL_FILE_CREATE) == BEZEL_OK) {
        (void)w->file_write(w->ud, file, 0, &mark, 1);
        w->file_close(w->ud, file);
    }
    bz_free(w, used);
}

static int side_look(const bezel_world *w, const char *path, bezel_file_info *out)
{
    bezel_file *file;
    if (w->file_open(w->ud, &file, path, BEZEL_FILE_READ) != BEZEL_OK)
        return 0;
    const bezel_status status = w->file_info(w->ud, file, out);
    w->file_close(w->ud, file);
    return status == BEZEL_OK;
}

/* Names that end in the suffix, and unfinished files of it. */
static void side_list_name(void *arg, const char *name)
{
    side_list *l = arg;
    const char *suffix = strstr(name, l->suffix), *rest = suffix != NULL ? suffix + strlen(l->suffix) : NULL;
    if (rest == NULL || (*rest != '\0' && strncmp(rest, SIDE_NEW, strlen(SIDE_NEW)) != 0) || l->n == SIDE_MOST_NAMES)
        return;
    if (l->n == l->capacity) {
        const size_t capacity = l->capacity == 0 ? 16 : l->capacity * 2;
        side_entry *grown = bz_realloc(l->world, l->entries, capacity * sizeof *grown);
        if (grown == NULL)
            return;
        l->entries = grown;
        l->capacity = capacity;
    }
    char *path = side_path(l->world, l->folder, "/", name);
    if (path != NULL)
        l->entries[l->n++] = (side_entry){.path = path};
}

static void side_remove(const bezel_world *w, side_entry *e)
{
    char *used = side_path(w, e->path, SIDE_USED, "");
    (void)w->file_remove(w->ud, e->path);
    if (used != NULL)
        (void)w->file_remove(w->ud, used);
    bz_free(w, used);
    e->size = 0;
}

/* Size and last use; unfinished files and those out of age go at once. */
static void side_weigh(side_list *l, side_entry *e, int64_t now_ms, int64_t max_age_ms)
{
    const bezel_world *w = l->world;
    bezel_file_info info, used;
    if (!side_look(w, e->path, &info))
        return;
    e->size = info.size;
    e->used_ms = info.mtime_ns / 1000000;
    char *path = side_path(w, e->path, SIDE_USED, "");
    if (path != NULL && side_look(w, path, &used) && used.mtime_ns / 1000000 > e->used_ms)
        e->used_ms = used.mtime_ns / 1000000;
    bz_free(w, path);
    const int is_new = strstr(e->path + strlen(l->folder), SIDE_NEW) != NULL;
    if (now_ms - e->used_ms > (is_new ? SIDE_LEFT_MS : max_age_ms))
        side_remove(w, e);
    else if (is_new)
        e->size = 0; /* somebody writes it */
}

void bz_side_clean(const bezel_world *w, const char *folder, const char *suffix, const char *keep, uint64_t more,
                   uint64_t limit, int64_t max_age_ms)
{
    side_list l = {.world = w, .folder = folder, .suffix = suffix, .keep = keep};
    const int64_t now_ms = w->wall_ms(w->ud);
    uint64_t total = more;
    (void)w->file_list(w->ud, folder, side_list_name, &l);
    for (size_t i = 0; i < l.n; i++)
        if (keep == NULL || strcmp(l.entries[i].path, keep) != 0) {
            side_weigh(&l, &l.entries[i], now_ms, max_age_ms);
            total += l.entries[i].size;
        }
    while (total > limit) {
        side_entry *oldest = NULL;
        for (size_t i = 0; i < l.n; i++)
            if (l.entries[i].size > 0 && (oldest == NULL || l.entries[i].used_ms < oldest->used_ms))
                oldest = &l.entries[i];
        if (oldest == NULL)
            break;
        total -= oldest->size;
        side_remove(w, oldest);
    }
    for (size_t i = 0; i < l.n; i++)
        bz_free(w, l.entries[i].path);
    bz_free(w, l.entries);
}
