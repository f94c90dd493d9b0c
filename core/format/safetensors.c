/* SPDX-License-Identifier: MIT */
/* Safetensors, read and written (see safetensors.h). Source: the format's README, huggingface/safetensors.
 * Invariant: no byte outside the file is looked at, whatever the header says. Does not know what tensors mean. */
#include "format/safetensors.h"

#include "base/alloc.h"
#include "base/byte_order.h"
#include "base/dtype.h"

#include <string.h>

static const struct {
    const char *name;
    uint32_t dtype;
    uint64_t size;
} safetensors_types[] = {{"F32", BZ_DTYPE_F32, 4}, {"F16", BZ_DTYPE_F16, 2}, {"BF16", BZ_DTYPE_BF16, 2}};

static bezel_status safetensors_fail_file(const bz_safetensors *s, bezel_status status, const char *what, bezel_error *err)
{
    bz_fail(err, status, "safetensors", "%s: cannot %s it: %s", s->path, what, bezel_status_name(status));
    return bz_error_place(err, status, "%s", s->path);
}

/* --- Reading ------------------------------------------------------------------------------ */

static bezel_status safetensors_load(bz_safetensors *s, bezel_error *err)
{
    const bezel_world *w = s->world;
    bezel_file *file = NULL;
    bezel_file_info info;
    bezel_status status = w->file_open(w->ud, &file, s->path, BEZEL_FILE_READ);
    if (status != BEZEL_OK)
        return safetensors_fail_file(s, status, "open", err);
    status = w->file_info(w->ud, file, &info);
    if (status != BEZEL_OK) {
        safetensors_fail_file(s, status, "read", err);
    } else if (info.size < 8 || info.size > BZ_SAFETENSORS_MAX_SIZE) {
        status = bz_fail(err, info.size < 8 ? BEZEL_ERR_TRUNCATED : BEZEL_ERR_LIMIT, "safetensors",
                         "%s has %llu bytes, expected 8 to %llu", s->path, (unsigned long long)info.size,
                         (unsigned long long)BZ_SAFETENSORS_MAX_SIZE);
    } else {
        s->size = info.size;
        s->bytes = bz_alloc(w, (size_t)s->size);
        if (s->bytes == NULL)
            status = bz_fail_memory(err, "safetensors", "the file", (size_t)s->size);
        else if ((status = w->file_read(w->ud, file, 0, s->bytes, (size_t)s->size)) != BEZEL_OK)
            safetensors_fail_file(s, status, "read", err);
    }
    w->file_close(w->ud, file);
    return status;
}

static bezel_status safetensors_header(bz_safetensors *s, bezel_error *err)
{
    const uint64_t size = bz_load_u64(s->bytes);
    if (size > BZ_SAFETENSORS_MAX_HEADER || size > s->size - 8) {
        bz_fail(err, BEZEL_ERR_FORMAT, "safetensors", "%s: its header would have %llu bytes, the file has %llu", s->path,
                (unsigned long long)size, (unsigned long long)s->size);
        return bz_error_hint(err, BEZEL_ERR_FORMAT, "It is cut off, or no file of safetensors.");
    }
    s->data_at = 8 + size;
    bezel_status status = bz_tree_new(&s->tree, s->world, err);
    if (status == BEZEL_OK)
        status = bezel_json_read(&s->header, s->tree, (const char *)s->bytes + 8, (size_t)size, err);
    if (status == BEZEL_OK && bezel_value_type(s->header) != BEZEL_MAP)
        status = bz_fail(err, BEZEL_ERR_FORMAT, "safetensors", "%s: the header is no map of tensors", s->path);
    return status == BEZEL_OK ? status : bz_error_place(err, status, "%s", s->path);
}

bezel_status bz_safetensors_open(bz_safetensors *out, const bezel_world *w, const char *path, bezel_error *err)
{
    *out = (bz_safetensors){.world = w, .path = path};
    bezel_status status = safetensors_load(out, err);
    if (status == BEZEL_OK)
        status = safetensors_header(out, err);
    if (status != BEZEL_OK)
        bz_safetensors_free(out);
    return status;
}

void bz_safetensors_free(bz_safetensors *s)
{
    if (s->world == NULL)
        return;
    bz_free(s->world, s->bytes);
    bezel_tree_free(s->tree);
    memset(s, 0, sizeof *s);
}

size_t bz_safetensors_count(const bz_safetensors *s)
{
    return bezel_value_count(s->header);
}

static bezel_status safetensors_refuse(bezel_error *err, bezel_status status, const bz_safetensors *s, const char *name,
                                       const char *what)
{
    bz_fail(err, status, "safetensors", "%s: tensor \"%s\" %s", s->path, name, what);
    return bz_error_place(err, status, "%s", name);
}

/* Item i of a list as a size. */
static int safetensors_size(uint64_t *out, const bezel_value *list, size_t i)
{
    const bezel_value *v = bezel_value_at(list, i);
    *out = (uint64_t)bezel_value_integer(v);
    return bezel_value_type(v) == BEZEL_INTEGER && bezel_value_integer(v) >= 0;
}

bezel_status bz_safetensors_at(bz_safetensor *out, const bz_safetensors *s, size_t i, bezel_error *err)
{
    const char *name = bezel_value_key(s->header, i, NULL);
    const bezel_value *entry = bezel_value_at(s->header, i);
    const bezel_value *shape = bezel_value_get(entry, "shape"), *offsets = bezel_value_get(entry, "data_offsets");
    const char *type = bezel_value_text(bezel_value_get(entry, "dtype"), NULL);
    const size_t n_dims = bezel_value_count(shape);
    uint64_t element = 0, begin, end, size;
    if (strcmp(name, "__metadata__") == 0)
        return BEZEL_MORE;
    *out = (bz_safetensor){.name = name, .rows = 1};
    for (size_t k = 0; k < sizeof safetensors_types / sizeof *safetensors_types; ++k)
        if (strcmp(type, safetensors_types[k].name) == 0) {
            out->dtype = safetensors_types[k].dtype;
            element = safetensors_types[k].size;
        }
    if (element == 0)
        return safetensors_refuse(err, BEZEL_ERR_UNSUPPORTED, s, name, "has a type that is not F32, F16 or BF16");
    if (n_dims < 1 || n_dims > 2 || !safetensors_size(&out->columns, shape, n_dims - 1) ||
        (n_dims == 2 && !safetensors_size(&out->rows, shape, 0)))
        return safetensors_refuse(err, BEZEL_ERR_SHAPE, s, name, "is no vector or matrix");
    if (bezel_value_count(offsets) != 2 || !safetensors_size(&begin, offsets, 0) || !safetensors_size(&end, offsets, 1))
        return safetensors_refuse(err, BEZEL_ERR_TYPE, s, name, "has no two data_offsets");
    if (begin > end || end > s->size - s->data_at || !bz_u64_mul(&size, out->rows, out->columns) ||
        !bz_u64_mul(&size, size, element) || size != end - begin)
        return safetensors_refuse(err, BEZEL_ERR_RANGE, s, name, "lies outside of the data, or is not as large as its shape says");
    out->data = s->bytes + s->data_at + begin;
    return BEZEL_OK;
}

/* --- Writing ------------------------------------------------------------------------------ */

/* Size and header, filled up with blanks to a multiple of 8. */
static void safetensors_describe(bz_strbuf *b, const bz_safetensor *tensors, size_t n)
{
    uint64_t at = 0;
    uint8_t size[8] = {0};
    bz_strbuf_add(b, size, sizeof size);
    bz_strbuf_text(b, "{\"__metadata__\":{\"format\":\"pt\"}");
    for (size_t i = 0; i < n; ++i) {
        const uint64_t bytes = tensors[i].rows * tensors[i].columns * sizeof(float);
        bz_strbuf_text(b, ",");
        bz_json_append_text(b, tensors[i].name, strlen(tensors[i].name));
        bz_strbuf_format(b, ":{\"dtype\":\"F32\",\"shape\":[%llu,%llu],\"data_offsets\":[%llu,%llu]}",
                         (unsigned long long)tensors[i].rows, (unsigned long long)tensors[i].columns, (unsigned long long)at,
                         (unsigned long long)(at + bytes));
        at += bytes;
    }
    bz_strbuf_text(b, "}");
    while (b->status == BEZEL_OK && b->size % 8 != 0)
        bz_strbuf_char(b, ' ');
    if (b->status == BEZEL_OK)
        bz_store_u64((uint8_t *)b->data, b->size - 8);
}

static bezel_status safetensors_put(const bezel_world *w, bezel_file *file, const bz_strbuf *header,
                                    const bz_safetensor *tensors, size_t n)
{
    uint64_t at = header->size;
    bezel_status status = w->file_write(w->ud, file, 0, header->data, header->size);
    for (size_t i = 0; i < n && status == BEZEL_OK; ++i) {
        const size_t bytes = (size_t)(tensors[i].rows * tensors[i].columns) * sizeof(float);
        status = w->file_write(w->ud, file, at, tensors[i].data, bytes);
        at += bytes;
    }
    return status == BEZEL_OK ? w->file_sync(w->ud, file) : status;
}

bezel_status bz_safetensors_write(const bezel_world *w, const char *path, const bz_safetensor *tensors, size_t n,
                                  bezel_error *err)
{
    const bz_safetensors s = {.world = w, .path = path};
    bezel_file *file = NULL;
    bz_strbuf header, temporary;
    bz_strbuf_init(&header, w, 0);
    bz_strbuf_init(&temporary, w, 0);
    bz_strbuf_text(&temporary, path);
    bz_strbuf_text(&temporary, ".tmp");
    safetensors_describe(&header, tensors, n);
    bezel_status status = header.status != BEZEL_OK ? header.status : temporary.status;
    if (status != BEZEL_OK) {
        status = bz_fail_memory(err, "safetensors", "the header", header.size);
        goto done;
    }
    status = w->file_open(w->ud, &file, temporary.data, BEZEL_FILE_CREATE);
    if (status == BEZEL_OK) {
        status = safetensors_put(w, file, &header, tensors, n);
        w->file_close(w->ud, file);
        if (status == BEZEL_OK)
            status = w->file_rename(w->ud, temporary.data, path);
        if (status != BEZEL_OK)
            (void)w->file_remove(w->ud, temporary.data);
    }
    if (status != BEZEL_OK)
        safetensors_fail_file(&s, status, "write", err);
done:
    bz_strbuf_free(&header);
    bz_strbuf_free(&temporary);
    return status;
}
