/* SPDX-License-Identifier: MIT */
/* GGUF writer. Keeps two texts, the key/value section and the tensor directory, and borrows the tensor data until the
 * end. Invariant: offsets in the directory are the running sum of padded sizes, as every reader expects. Does not
 * convert numbers and does not check names. */
#include "format/gguf_writer.h"

#include "base/alloc.h"
#include "base/strbuf.h"

#include <string.h>

#define WRITER_MAX_TENSORS BZ_GGUF_MAX_TENSORS

typedef struct writer_data {
    const void *bytes;
    size_t size;
} writer_data;

struct bz_gguf_writer {
    const bezel_world *world;
    bz_strbuf values;
    bz_strbuf directory;
    writer_data *data;
    size_t n_data, data_capacity;
    uint64_t n_values;
    uint64_t offset; /* where the next tensor starts in the data section */
    uint32_t alignment;
    bezel_status status;
};

/* --- Little-endian pieces ----------------------------------------------------------------- */

static void writer_number(bz_strbuf *b, uint64_t n, size_t size)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(n >> (8 * i));
    bz_strbuf_add(b, bytes, size);
}

static void writer_sized(bz_strbuf *b, const char *text, size_t size)
{
    writer_number(b, size, 8);
    bz_strbuf_add(b, text, size);
}

static void writer_key(bz_gguf_writer *g, const char *key, uint32_t type)
{
    writer_sized(&g->values, key, strlen(key));
    writer_number(&g->values, type, 4);
    g->n_values++;
}

static void writer_wrong(bz_gguf_writer *g)
{
    if (g->status == BEZEL_OK)
        g->status = BEZEL_ERR_ARGUMENT;
}

static uint64_t writer_float_bits(uint32_t type, double value)
{
    uint64_t bits = 0;
    uint32_t low = 0;
    float x = (float)value;
    if (type == BZ_GGUF_F64) {
        memcpy(&bits, &value, sizeof bits);
        return bits;
    }
    memcpy(&low, &x, sizeof low);
    return low;
}

/* Item i of an array of this machine as a little-endian number. */
static uint64_t writer_item(const void *items, size_t size, size_t i)
{
    const uint8_t *p = (const uint8_t *)items + i * size;
    uint16_t n2;
    uint32_t n4;
    uint64_t n8;
    switch (size) {
    case 1: return p[0];
    case 2: memcpy(&n2, p, 2); return n2;
    case 4: memcpy(&n4, p, 4); return n4;
    default: memcpy(&n8, p, 8); return n8;
    }
}

/* --- Public: filling ---------------------------------------------------------------------- */

bezel_status bz_gguf_writer_new(bz_gguf_writer **out, const bezel_world *w, bezel_error *err)
{
    bz_gguf_writer *g = bz_zalloc(w, sizeof *g);
    *out = g;
    if (!g)
        return bz_fail_memory(err, "gguf_writer", "writer", sizeof *g);
    g->world = w;
    g->alignment = 32;
    bz_strbuf_init(&g->values, w, 0);
    bz_strbuf_init(&g->directory, w, 0);
    return BEZEL_OK;
}

void bz_gguf_writer_free(bz_gguf_writer *g)
{
    if (!g)
        return;
    bz_strbuf_free(&g->values);
    bz_strbuf_free(&g->directory);
    bz_free(g->world, g->data);
    bz_free(g->world, g);
}

void bz_gguf_writer_uint(bz_gguf_writer *g, const char *key, uint32_t type, uint64_t value)
{
    uint32_t size = bz_gguf_type_size(type);
    if (size == 0 || type == BZ_GGUF_F32 || type == BZ_GGUF_F64) {
        writer_wrong(g);
        return;
    }
    writer_key(g, key, type);
    writer_number(&g->values, value, size);
}

void bz_gguf_writer_float(bz_gguf_writer *g, const char *key, uint32_t type, double value)
{
    if (type != BZ_GGUF_F32 && type != BZ_GGUF_F64) {
        writer_wrong(g);
        return;
    }
    writer_key(g, key, type);
    writer_number(&g->values, writer_float_bits(type, value), bz_gguf_type_size(type));
}

void bz_gguf_writer_text(bz_gguf_writer *g, const char *key, const char *text, size_t size)
{
    writer_key(g, key, BZ_GGUF_TEXT);
    writer_sized(&g->values, text, size == SIZE_MAX ? strlen(text) : size);
}

void bz_gguf_writer_array(bz_gguf_writer *g, const char *key, uint32_t type, const void *items, size_t count)
{
    size_t size = bz_gguf_type_size(type);
    if (size == 0) {
        writer_wrong(g);
        return;
    }
    writer_key(g, key, BZ_GGUF_ARRAY);
    writer_number(&g->values, type, 4);
    writer_number(&g->values, count, 8);
    for (size_t i = 0; i < count; i++)
        writer_number(&g->values, writer_item(items, size, i), size);
}

void bz_gguf_writer_texts(bz_gguf_writer *g, const char *key, const char *const *texts, const uint32_t *sizes,
                          size_t count)
{
    writer_key(g, key, BZ_GGUF_ARRAY);
    writer_number(&g->values, BZ_GGUF_TEXT, 4);
    writer_number(&g->values, count, 8);
    for (size_t i = 0; i < count; i++)
        writer_sized(&g->values, texts[i], sizes ? sizes[i] : strlen(texts[i]));
}

void bz_gguf_writer_alignment(bz_gguf_writer *g, uint32_t alignment)
{
    if (g->n_data > 0 || alignment < BZ_GGUF_MIN_ALIGNMENT || alignment > BZ_GGUF_MAX_ALIGNMENT ||
        (alignment & (alignment - 1)) != 0) {
        writer_wrong(g);
        return;
    }
    g->alignment = alignment;
    bz_gguf_writer_uint(g, "general.alignment", BZ_GGUF_U32, alignment);
}

void bz_gguf_writer_tensor(bz_gguf_writer *g, const char *name, uint32_t dtype, uint32_t n_dims, const uint64_t *dims,
                           const void *data, size_t size)
{
    if (g->n_data == g->data_capacity) {
        size_t capacity = g->data_capacity ? 2 * g->data_capacity : 64;
        writer_data *grown = bz_realloc(g->world, g->data, capacity * sizeof *grown);
        if (!grown || capacity > 2 * WRITER_MAX_TENSORS) {
            g->data = grown ? grown : g->data;
            g->status = grown ? BEZEL_ERR_LIMIT : BEZEL_ERR_MEMORY;
            return;
        }
        g->data = grown;
        g->data_capacity = capacity;
    }
    g->data[g->n_data++] = (writer_data){data, size};
    writer_sized(&g->directory, name, strlen(name));
    writer_number(&g->directory, n_dims, 4);
    for (uint32_t i = 0; i < n_dims; i++)
        writer_number(&g->directory, dims[i], 8);
    writer_number(&g->directory, dtype, 4);
    writer_number(&g->directory, g->offset, 8);
    g->offset += (size + g->alignment - 1) & ~(uint64_t)(g->alignment - 1);
}

/* --- Public: the file --------------------------------------------------------------------- */

/* Magic to the padding before the data section. */
static bezel_status writer_header(bz_strbuf *out, const bz_gguf_writer *g, bezel_error *err)
{
    static const char zeros[64];
    size_t padding;
    if (g->status != BEZEL_OK)
        return bz_fail(err, g->status, "gguf_writer", "a value or tensor could not be added: %s",
                       bezel_status_name(g->status));
    bz_strbuf_init(out, g->world, 0);
    bz_strbuf_add(out, "GGUF", 4);
    writer_number(out, 3, 4);
    writer_number(out, g->n_data, 8);
    writer_number(out, g->n_values, 8);
    bz_strbuf_add(out, g->values.data, g->values.size);
    bz_strbuf_add(out, g->directory.data, g->directory.size);
    for (padding = (g->alignment - out->size % g->alignment) % g->alignment; padding > 0;) {
        size_t n = padding < sizeof zeros ? padding : sizeof zeros;
        bz_strbuf_add(out, zeros, n);
        padding -= n;
    }
    if (g->values.status != BEZEL_OK || g->directory.status != BEZEL_OK || out->status != BEZEL_OK) {
        bz_strbuf_free(out);
        return bz_fail_memory(err, "gguf_writer", "header", g->values.size + g->directory.size);
    }
    return BEZEL_OK;
}

bezel_status bz_gguf_writer_memory(void **out, size_t *out_size, bz_gguf_writer *g, bezel_error *err)
{
    bz_strbuf header = {0};
    uint8_t *file;
    size_t at;
    bezel_status status = writer_header(&header, g, err);
    *out = NULL;
    if (status != BEZEL_OK)
        return status;
    file = bz_zalloc(g->world, header.size + (size_t)g->offset);
    if (!file) {
        status = bz_fail_memory(err, "gguf_writer", "file", header.size + (size_t)g->offset);
        bz_strbuf_free(&header);
        return status;
    }
    memcpy(file, header.data, header.size);
    at = header.size;
    for (size_t i = 0; i < g->n_data; i++) {
        if (g->data[i].size)
            memcpy(file + at, g->data[i].bytes, g->data[i].size);
        at += (g->data[i].size + g->alignment - 1) & ~(size_t)(g->alignment - 1);
    }
    *out = file;
    *out_size = at;
    bz_strbuf_free(&header);
    return BEZEL_OK;
}

static bezel_status writer_put(const bz_gguf_writer *g, bezel_file *file, const bz_strbuf *header)
{
    static const uint8_t zero;
    const bezel_world *w = g->world;
    uint64_t at = header->size;
    bezel_status status = w->file_write(w->ud, file, 0, header->data, header->size);
    for (size_t i = 0; i < g->n_data && status >= 0; i++) {
        if (g->data[i].size)
            status = w->file_write(w->ud, file, at, g->data[i].bytes, g->data[i].size);
        at += (g->data[i].size + g->alignment - 1) & ~(uint64_t)(g->alignment - 1);
    }
    /* the file's last byte is padding unless the last tensor fills its place */
    if (status >= 0 && g->n_data > 0 && g->data[g->n_data - 1].size % g->alignment != 0)
        status = w->file_write(w->ud, file, at - 1, &zero, 1);
    return status < 0 ? status : w->file_sync(w->ud, file);
}

bezel_status bz_gguf_writer_file(bz_gguf_writer *g, const char *path, bezel_error *err)
{
    const bezel_world *w = g->world;
    bz_strbuf header = {0}, temporary;
    bezel_file *file = NULL;
    bezel_status status = writer_header(&header, g, err);
    if (status != BEZEL_OK)
        return status;
    bz_strbuf_init(&temporary, w, 0);
    bz_strbuf_text(&temporary, path);
    bz_strbuf_text(&temporary, ".tmp");
    if (temporary.status != BEZEL_OK) {
        status = bz_fail_memory(err, "gguf_writer", "path", strlen(path));
        goto done;
    }
    status = w->file_open(w->ud, &file, temporary.data, BEZEL_FILE_CREATE);
    if (status >= 0) {
        status = writer_put(g, file, &header);
        w->file_close(w->ud, file);
        if (status >= 0)
            status = w->file_rename(w->ud, temporary.data, path);
        if (status < 0)
            w->file_remove(w->ud, temporary.data);
    }
    if (status < 0) {
        bz_fail(err, status, "gguf_writer", "%s: cannot write it: %s", path, bezel_status_name(status));
        bz_error_place(err, status, "%s", path);
    }
done:
    bz_strbuf_free(&temporary);
    bz_strbuf_free(&header);
    return status < 0 ? status : BEZEL_OK;
}
