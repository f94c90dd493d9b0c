/* SPDX-License-Identifier: MIT */
/* One view over the parts of a model. Invariant: every entry of the index belongs to a part whose header was checked
 * against its own size, and a part's bytes are reached only through that part. Names of files come from the path that
 * the host gave and never from a file. Does not look at what the tensors mean. */
#include "format/weight_source.h"

#include "base/alloc.h"
#include "base/index_sort.h"
#include "format/gguf_parse.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

typedef struct bz_weight_part {
    const bezel_world *world;
    bz_weight_host host; /* read NULL: the world's file */
    char *path;
    bezel_file *file;
    bezel_file_info info; /* when it was opened */
    bz_gguf gguf;
    const void *map;
    uint64_t map_size;    /* up to the end of the last tensor: bytes that belong to nothing are not mapped */
    uint8_t *memory;      /* the data section */
    uint64_t memory_size; /* up to the end of the last tensor */
    uint64_t memory_done;
} bz_weight_part;

struct bz_weight_source {
    const bezel_world *world;
    bz_weight_part *parts;
    uint32_t n_parts;
    bz_weight_entry *entries; /* part after part */
    uint32_t *index;          /* sorted by name */
    uint32_t n_entries;
    bz_notes *notes;      /* while it is opened */
    bz_gguf_input input;  /* of the first part; likewise */
    bz_gguf_parse parse;
};

/* --- Files -------------------------------------------------------------------------------- */

static bezel_status source_file_fail(bezel_error *err, bezel_status status, const char *path, const char *what)
{
    switch (status) {
    case BEZEL_ERR_MISSING:
        bz_fail(err, status, "weight_source", "%s: no such file", path);
        bz_error_hint(err, status, "Check the path.");
        break;
    case BEZEL_ERR_DENIED:
        bz_fail(err, status, "weight_source", "%s: no permission to read it", path);
        break;
    case BEZEL_ERR_IO:
        bz_fail(err, status, "weight_source", "%s: cannot %s, or not a regular file", path, what);
        break;
    default:
        bz_fail(err, status, "weight_source", "%s: cannot %s: %s", path, what, bezel_status_name(status));
        break;
    }
    return bz_error_place(err, status, "%s", path);
}

static bezel_status source_changed(bezel_error *err, const char *path, const char *what)
{
    bz_fail(err, BEZEL_ERR_CHANGED, "weight_source", "%s: %s while it was loaded", path, what);
    bz_error_hint(err, BEZEL_ERR_CHANGED, "Wait until whatever writes the file is done, then open it again.");
    return bz_error_place(err, BEZEL_ERR_CHANGED, "%s", path);
}

/* bezel_read_fn over a part: the host's bytes or the world's file. */
static bezel_status source_part_read(void *ud, uint64_t offset, void *buffer, size_t size)
{
    bz_weight_part *part = ud;
    bezel_file_info now = {0, 0, 0};
    bezel_status status;
    if (part->host.read)
        return part->host.read(part->host.ud, offset, buffer, size);
    status = part->world->file_read(part->world->ud, part->file, offset, buffer, size);
    if (status < 0 && part->world->file_info(part->world->ud, part->file, &now) == BEZEL_OK &&
        now.size != part->info.size)
        return BEZEL_ERR_CHANGED; /* it shrank since its size was taken */
    return status;
}

static bezel_status source_open_file(bz_weight_part *part, bezel_error *err)
{
    const bezel_world *w = part->world;
    bezel_status status = w->file_open(w->ud, &part->file, part->path, BEZEL_FILE_READ);
    if (status < 0) {
        part->file = NULL;
        return source_file_fail(err, status, part->path, "open it");
    }
    status = w->file_info(w->ud, part->file, &part->info);
    return status < 0 ? source_file_fail(err, status, part->path, "ask for its size") : BEZEL_OK;
}

/* Opens the file of a part; takes over path (freed with the part). */
static bezel_status source_begin_part(bz_gguf_input *input, bz_weight_part *part, const bezel_world *w, char *path,
                                      const bz_weight_host *host, bezel_error *err)
{
    bezel_status status = BEZEL_OK;
    part->world = w;
    part->path = path;
    if (!path)
        return bz_fail_memory(err, "weight_source", "path", 0);
    if (host)
        part->host = *host;
    else
        status = source_open_file(part, err);
    *input = (bz_gguf_input){source_part_read, part, host ? host->size : part->info.size, path};
    return status;
}

static void source_close(bz_weight_part *part)
{
    if (part->file)
        part->world->file_close(part->world->ud, part->file);
    part->file = NULL;
}

static void source_free_part(bz_weight_part *part)
{
    if (!part->world)
        return;
    source_close(part);
    if (part->map)
        part->world->file_unmap(part->world->ud, part->map, part->map_size);
    bz_free_aligned(part->world, part->memory);
    bz_gguf_free(&part->gguf);
    bz_free(part->world, part->path);
}

/* --- Split files -------------------------------------------------------------------------- */

/* 0 and *out = fallback when the key is absent. */
static bezel_status source_split_key(uint64_t *out, const bz_gguf *g, const char *key, uint64_t fallback, uint64_t low,
                                     uint64_t high, bezel_error *err)
{
    const bz_gguf_value *v = bz_gguf_find(g, key);
    bezel_status status = BEZEL_OK;
    *out = fallback;
    if (!v)
        return BEZEL_OK;
    status = bz_gguf_uint(out, g, v, err);
    if (status == BEZEL_OK && (*out < low || *out > high))
        status = bz_gguf_value_fail(err, BEZEL_ERR_RANGE, g, v, "is %" PRIu64 ", expected %" PRIu64 " to %" PRIu64, *out,
                                    low, high);
    return status;
}

#define SOURCE_PART_TAIL 48 /* room for "-00001-of-00003.gguf" whatever the numbers */

/* Whether the name ends as that of the first of `count` parts. */
static int source_is_first_name(const char *path, uint32_t count)
{
    char expected[SOURCE_PART_TAIL];
    size_t size = strlen(path), tail;
    snprintf(expected, sizeof expected, "-%05d-of-%05" PRIu32 ".gguf", 1, count);
    tail = strlen(expected);
    return size > tail && strcmp(path + size - tail, expected) == 0;
}

/* Path of part `no` (from 0): the first part's path with another number. NULL when memory is out. */
static char *source_part_path(const bezel_world *w, const char *first, uint32_t no, uint32_t count)
{
    char tail[SOURCE_PART_TAIL];
    char *path = bz_text_dup(w, first, SIZE_MAX);
    snprintf(tail, sizeof tail, "-%05" PRIu32 "-of-%05" PRIu32 ".gguf", no + 1, count);
    if (path)
        memcpy(path + strlen(path) - strlen(tail), tail, strlen(tail));
    return path;
}

static bezel_status source_check_part(const bz_weight_source *s, uint32_t no, bezel_error *err)
{
    const bz_gguf *g = &s->parts[no].gguf, *first = &s->parts[0].gguf;
    const bz_gguf_value *a = bz_gguf_find(g, "general.architecture"), *b = bz_gguf_find(first, "general.architecture");
    uint64_t found = 0;
    bezel_status status;
    if (!bz_gguf_find(g, "split.no") || !bz_gguf_find(g, "split.count")) {
        status = bz_fail(err, BEZEL_ERR_MISSING, "weight_source", "%s: part %" PRIu32 " has no split.no and split.count",
                         g->name, no + 1);
        return bz_error_place(err, status, "%s", g->name);
    }
    status = source_split_key(&found, g, "split.no", 0, no, no, err);
    if (status == BEZEL_OK)
        status = source_split_key(&found, g, "split.count", 0, s->n_parts, s->n_parts, err);
    if (status != BEZEL_OK)
        return status;
    if (a && b && (a->type != b->type || a->size != b->size ||
                   memcmp(g->header + a->at, first->header + b->at, (size_t)a->size) != 0))
        return bz_gguf_value_fail(err, BEZEL_ERR_RANGE, g, a, "differs from that of the first part; it is another model's part");
    return BEZEL_OK;
}

static bezel_status source_open_parts(bz_weight_source *s, const char *path, uint32_t count, bezel_error *err)
{
    const bezel_world *w = s->world;
    bz_weight_part *parts;
    bezel_status status = BEZEL_OK;
    if (!source_is_first_name(path, count)) {
        bz_fail(err, BEZEL_ERR_MISSING, "weight_source",
                "%s: first of %" PRIu32 " parts, but its name does not end in -00001-of-%05" PRIu32 ".gguf", path, count,
                count);
        return bz_error_hint(err, BEZEL_ERR_MISSING, "Give the parts back the names they were published under.");
    }
    parts = bz_zalloc_array(w, count, sizeof *parts);
    if (!parts)
        return bz_fail_memory(err, "weight_source", "parts", count * sizeof *parts);
    parts[0] = s->parts[0];
    bz_free(w, s->parts);
    s->parts = parts;
    s->n_parts = count;
    for (uint32_t i = 1; i < count && status == BEZEL_OK; i++) {
        bz_gguf_input input;
        status = source_begin_part(&input, &parts[i], w, source_part_path(w, path, i, count), NULL, err);
        if (status == BEZEL_OK)
            status = bz_gguf_open(&parts[i].gguf, w, &input, s->notes, err);
        if (status == BEZEL_OK)
            status = source_check_part(s, i, err);
    }
    return status;
}

static bezel_status source_open_split(bz_weight_source *s, bezel_error *err)
{
    const char *path = s->parts[0].path;
    const bz_gguf *g = &s->parts[0].gguf;
    uint64_t count = 1, no = 0;
    bezel_status status = source_split_key(&count, g, "split.count", 1, 1, BZ_WEIGHT_MAX_PARTS, err);
    if (status == BEZEL_OK)
        status = source_split_key(&no, g, "split.no", 0, 0, count - 1, err);
    if (status != BEZEL_OK || count == 1)
        return status;
    if (no != 0) {
        status = bz_gguf_value_fail(err, BEZEL_ERR_RANGE, g, bz_gguf_find(g, "split.no"),
                                    "says this is part %" PRIu64 " of %" PRIu64, no + 1, count);
        return bz_error_hint(err, status, "Open the first part, whose name ends in -00001-of-%05" PRIu64 ".gguf.", count);
    }
    if (s->parts[0].host.read)
        return bz_fail(err, BEZEL_ERR_UNSUPPORTED, "weight_source", "%s: split files cannot come from a read function", path);
    return source_open_parts(s, path, (uint32_t)count, err);
}

/* --- Index -------------------------------------------------------------------------------- */

static int source_compare(const void *ctx, uint32_t a, uint32_t b)
{
    const bz_weight_source *s = ctx;
    const bz_weight_entry *x = &s->entries[a], *y = &s->entries[b];
    return bz_gguf_compare_names(bz_gguf_tensor_name(x->gguf, x->tensor), x->tensor->name_size,
                                 bz_gguf_tensor_name(y->gguf, y->tensor), y->tensor->name_size);
}

static bezel_status source_check_total(const bz_weight_source *s, uint64_t total, bezel_error *err)
{
    const bz_gguf *g = &s->parts[0].gguf;
    uint64_t expected = total;
    bezel_status status;
    if (total > BZ_GGUF_MAX_TENSORS)
        return bz_fail(err, BEZEL_ERR_LIMIT, "weight_source", "%s: %" PRIu64 " tensors in all parts, at most %u", g->name,
                       total, BZ_GGUF_MAX_TENSORS);
    if (s->n_parts == 1)
        return BEZEL_OK;
    status = source_split_key(&expected, g, "split.tensors.count", total, 0, UINT32_MAX, err);
    if (status == BEZEL_OK && expected != total)
        status = bz_gguf_value_fail(err, BEZEL_ERR_RANGE, g, bz_gguf_find(g, "split.tensors.count"),
                                    "is %" PRIu64 ", the parts have %" PRIu64 " tensors", expected, total);
    return status;
}

static bezel_status source_index(bz_weight_source *s, bezel_error *err)
{
    uint64_t total = 0;
    uint32_t n = 0;
    bezel_status status;
    for (uint32_t p = 0; p < s->n_parts; p++)
        total += s->parts[p].gguf.n_tensors;
    status = source_check_total(s, total, err);
    if (status != BEZEL_OK || total == 0)
        return status;
    s->entries = bz_zalloc_array(s->world, (size_t)total, sizeof *s->entries);
    s->index = bz_zalloc_array(s->world, (size_t)total, sizeof *s->index);
    if (!s->entries || !s->index)
        return bz_fail_memory(err, "weight_source", "tensor index", (size_t)total * sizeof *s->entries);
    for (uint32_t p = 0; p < s->n_parts; p++) {
        const bz_gguf *g = &s->parts[p].gguf;
        for (uint32_t i = 0; i < g->n_tensors; i++, n++) {
            s->entries[n] = (bz_weight_entry){g, &g->tensors[i], p};
            s->index[n] = n;
        }
    }
    s->n_entries = n;
    bz_index_sort(s->index, n, source_compare, s);
    for (uint32_t i = 1; i < n; i++) {
        bz_weight_entry a = s->entries[s->index[i - 1]], b = s->entries[s->index[i]];
        if (source_compare(s, s->index[i - 1], s->index[i]) == 0)
            return bz_fail(err, BEZEL_ERR_DUPLICATE, "weight_source", "tensor \"%.*s\" is in %s and in %s",
                           (int)a.tensor->name_size, bz_gguf_tensor_name(a.gguf, a.tensor), a.gguf->name, b.gguf->name);
    }
    return BEZEL_OK;
}

/* --- Public ------------------------------------------------------------------------------- */

bezel_status bz_weight_source_begin(bz_weight_source **out, const bezel_world *w, const char *path,
                                    const bz_weight_host *host, bz_notes *notes, bezel_error *err)
{
    bz_weight_source *s = bz_zalloc(w, sizeof *s);
    *out = NULL;
    if (!s)
        return bz_fail_memory(err, "weight_source", "model file", sizeof *s);
    s->world = w;
    s->notes = notes;
    s->parts = bz_zalloc_array(w, 1, sizeof *s->parts);
    if (!s->parts) {
        bz_free(w, s);
        return bz_fail_memory(err, "weight_source", "model file", sizeof *s->parts);
    }
    s->n_parts = 1;
    const bezel_status status = source_begin_part(&s->input, &s->parts[0], w, bz_text_dup(w, path, SIZE_MAX), host, err);
    if (status != BEZEL_OK) {
        bz_weight_source_free(s);
        return status;
    }
    bz_gguf_begin(&s->parse, &s->parts[0].gguf, w, &s->input, notes);
    *out = s;
    return BEZEL_OK;
}

bezel_status bz_weight_source_unit(bz_weight_source *s, bezel_error *err)
{
    bezel_status status = bz_gguf_unit(&s->parse, err);
    if (status == BEZEL_OK)
        status = source_open_split(s, err);
    return status == BEZEL_OK ? source_index(s, err) : status;
}

bezel_status bz_weight_source_open(bz_weight_source **out, const bezel_world *w, const char *path,
                                   const bz_weight_host *host, bz_notes *notes, bezel_error *err)
{
    bezel_status status = bz_weight_source_begin(out, w, path, host, notes, err);
    if (status != BEZEL_OK)
        return status;
    do {
        status = bz_weight_source_unit(*out, err);
    } while (status == BEZEL_MORE);
    if (status != BEZEL_OK) {
        bz_weight_source_free(*out);
        *out = NULL;
    }
    return status;
}

void bz_weight_source_free(bz_weight_source *s)
{
    if (!s)
        return;
    for (uint32_t p = 0; p < s->n_parts; p++)
        source_free_part(&s->parts[p]);
    bz_free(s->world, s->parts);
    bz_free(s->world, s->entries);
    bz_free(s->world, s->index);
    bz_free(s->world, s);
}

const bz_gguf *bz_weight_source_metadata(const bz_weight_source *s)
{
    return &s->parts[0].gguf;
}

uint32_t bz_weight_source_parts(const bz_weight_source *s)
{
    return s->n_parts;
}

uint64_t bz_weight_source_file_size(const bz_weight_source *s)
{
    uint64_t size = 0;
    for (uint32_t p = 0; p < s->n_parts; p++)
        size += s->parts[p].gguf.file_size;
    return size;
}

uint32_t bz_weight_source_count(const bz_weight_source *s)
{
    return s->n_entries;
}

bz_weight_entry bz_weight_source_at(const bz_weight_source *s, uint32_t i)
{
    return s->entries[s->index[i]];
}

int bz_weight_source_find(bz_weight_entry *out, const bz_weight_source *s, const char *name)
{
    uint32_t low = 0, high = s->n_entries;
    size_t size = strlen(name);
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        bz_weight_entry e = s->entries[s->index[mid]];
        int c = bz_gguf_compare_names(name, size, bz_gguf_tensor_name(e.gguf, e.tensor), e.tensor->name_size);
        if (c == 0) {
            *out = e;
            return 1;
        }
        if (c < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return 0;
}

/* End of the last tensor in the file; at least the end of the header. */
static uint64_t source_data_end(const bz_gguf *g)
{
    uint64_t end = g->data_at;
    for (uint32_t i = 0; i < g->n_tensors; i++) {
        if (g->tensors[i].offset + g->tensors[i].size > end)
            end = g->tensors[i].offset + g->tensors[i].size;
    }
    return end;
}

bezel_status bz_weight_source_map(bz_weight_source *s, bezel_error *err)
{
    for (uint32_t p = 0; p < s->n_parts; p++) {
        bz_weight_part *part = &s->parts[p];
        bezel_status status;
        if (part->host.read)
            return bz_fail(err, BEZEL_ERR_UNSUPPORTED, "weight_source", "%s: bytes of a read function cannot be mapped",
                           part->path);
        part->map_size = source_data_end(&part->gguf);
        status = s->world->file_map(s->world->ud, part->file, part->map_size, &part->map);
        if (status < 0) {
            part->map = NULL;
            return source_file_fail(err, status, part->path, "map it");
        }
    }
    return BEZEL_OK;
}

static bezel_status source_read_begin(bz_weight_part *part, bezel_error *err)
{
    const bz_gguf *g = &part->gguf;
    uint64_t end = source_data_end(g);
    if (end - g->data_at > SIZE_MAX)
        return bz_fail(err, BEZEL_ERR_OVERFLOW, "weight_source", "%s: %" PRIu64 " bytes of weights", part->path,
                       end - g->data_at);
    part->memory = bz_alloc_aligned(part->world, (size_t)(end - g->data_at));
    if (!part->memory)
        return bz_fail_memory(err, "weight_source", "weights", (size_t)(end - g->data_at));
    part->memory_size = end - g->data_at;
    return BEZEL_OK;
}

bezel_status bz_weight_source_read(bz_weight_source *s, bezel_error *err)
{
    bezel_status status = BEZEL_OK;
    bz_weight_part *part = NULL;
    uint64_t size;
    for (uint32_t p = 0; p < s->n_parts && !part; p++) {
        if (s->parts[p].gguf.n_tensors > 0 && (!s->parts[p].memory || s->parts[p].memory_done < s->parts[p].memory_size))
            part = &s->parts[p];
    }
    if (!part)
        return BEZEL_OK;
    if (!part->memory)
        status = source_read_begin(part, err);
    if (status != BEZEL_OK)
        return status;
    size = part->memory_size - part->memory_done;
    if (size > BZ_WEIGHT_SLICE)
        size = BZ_WEIGHT_SLICE;
    status = source_part_read(part, part->gguf.data_at + part->memory_done, part->memory + part->memory_done, (size_t)size);
    if (status == BEZEL_ERR_CHANGED)
        return source_changed(err, part->path, "it became shorter");
    if (status < 0)
        return source_file_fail(err, status, part->path, "read the weights");
    part->memory_done += size;
    return BEZEL_MORE;
}

double bz_weight_source_progress(const bz_weight_source *s)
{
    uint64_t done = 0, all = 0;
    for (uint32_t p = 0; p < s->n_parts; p++) {
        const bz_weight_part *part = &s->parts[p];
        done += part->memory_done;
        all += part->memory ? part->memory_size : part->gguf.file_size - part->gguf.data_at;
    }
    return all ? (double)done / (double)all : 1.0;
}

static bezel_status source_verify_part(bz_weight_part *part, bezel_error *err)
{
    const bezel_world *w = part->world;
    bezel_file *again = NULL;
    bezel_file_info info = {0, 0, 0};
    bezel_status status = w->file_open(w->ud, &again, part->path, BEZEL_FILE_READ);
    if (status == BEZEL_ERR_MISSING)
        return source_changed(err, part->path, "it was removed");
    if (status < 0)
        return source_file_fail(err, status, part->path, "open it again");
    status = w->file_info(w->ud, again, &info);
    w->file_close(w->ud, again);
    if (status < 0)
        return source_file_fail(err, status, part->path, "ask for its size again");
    if (info.identity != part->info.identity)
        return source_changed(err, part->path, "it was replaced");
    if (info.size != part->info.size || info.mtime_ns != part->info.mtime_ns)
        return source_changed(err, part->path, "it was written to");
    return BEZEL_OK;
}

bezel_status bz_weight_source_verify(bz_weight_source *s, bezel_error *err)
{
    for (uint32_t p = 0; p < s->n_parts; p++) {
        bezel_status status = s->parts[p].host.read ? BEZEL_OK : source_verify_part(&s->parts[p], err);
        if (status != BEZEL_OK)
            return status;
        source_close(&s->parts[p]);
    }
    return BEZEL_OK;
}

void bz_weight_source_identify(const bz_weight_source *s, bz_hash *h)
{
    for (uint32_t p = 0; p < s->n_parts; p++) {
        const bezel_file_info *info = &s->parts[p].info;
        const uint64_t words[3] = {info->size, (uint64_t)info->mtime_ns, info->identity};
        if (s->parts[p].host.read == NULL)
            bz_hash_add(h, words, sizeof words);
    }
}

const void *bz_weight_source_data(const bz_weight_source *s, bz_weight_entry entry)
{
    const bz_weight_part *part = &s->parts[entry.part];
    if (part->map)
        return (const uint8_t *)part->map + entry.tensor->offset;
    if (part->memory)
        return part->memory + (entry.tensor->offset - part->gguf.data_at);
    return NULL;
}
