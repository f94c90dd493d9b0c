/* SPDX-License-Identifier: MIT */
/* GGUF header and metadata. Invariant: every offset stored in bz_gguf lies inside the header copy, and what it points at
 * was checked once and cannot change. Nothing recurses (nested arrays are refused). Does not look at tensor data. */
#include "format/gguf.h"

#include "base/alloc.h"
#include "base/byte_order.h"
#include "base/index_sort.h"
#include "format/gguf_parse.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define GGUF_FIRST_READ (256u << 10)
#define GGUF_LATER_READ (1u << 20)
#define GGUF_UNIT_TEXTS 32768u /* texts of an array that a unit walks over */
#define GGUF_MIN_VALUE 13u  /* bytes: key length 8, type 4, value 1 */
#define GGUF_MIN_TENSOR 25u /* bytes: name length 8, name 1, dimensions 4, type 4, offset 8 */

/* --- Cursor ------------------------------------------------------------------------------- */

bezel_status bz_gguf_fail_at(bz_gguf_parse *p, bezel_status status, uint64_t at, const char *format, ...)
{
    char detail[384];
    va_list args;
    va_start(args, format);
    vsnprintf(detail, sizeof detail, format, args);
    va_end(args);
    bz_fail(p->err, status, "gguf", "%s @0x%" PRIx64 ": %s", p->input->name, at, detail);
    return bz_error_offset(p->err, status, (int64_t)at);
}

static bezel_status gguf_grow(bz_gguf_parse *p, uint64_t needed)
{
    bz_gguf *g = p->g;
    uint64_t size = needed <= p->capacity ? p->capacity : p->capacity * 2;
    uint8_t *header;
    bezel_status status;
    if (needed > BZ_GGUF_MAX_HEADER)
        return bz_gguf_fail_at(p, BEZEL_ERR_LIMIT, p->pos, "header over %u bytes", BZ_GGUF_MAX_HEADER);
    if (size < GGUF_FIRST_READ)
        size = GGUF_FIRST_READ;
    if (size < needed)
        size = needed;
    if (size > p->input->size)
        size = p->input->size;
    if (size > BZ_GGUF_MAX_HEADER)
        size = BZ_GGUF_MAX_HEADER;
    if (size > p->capacity) {
        header = bz_realloc(g->world, g->header, (size_t)size);
        if (!header)
            return bz_fail_memory(p->err, "gguf", "header", (size_t)size);
        g->header = header;
        p->capacity = size;
    }
    size = g->header_size + GGUF_LATER_READ; /* in pieces, so that a unit of a load stays short */
    if (size < needed)
        size = needed;
    if (size > p->capacity)
        size = p->capacity;
    status = p->input->read(p->input->ud, g->header_size, g->header + g->header_size, (size_t)(size - g->header_size));
    if (status < 0)
        return bz_gguf_fail_at(p, status, g->header_size, "cannot read %" PRIu64 " bytes: %s", size - g->header_size,
                               bezel_status_name(status));
    g->header_size = size;
    return BEZEL_OK;
}

bezel_status bz_gguf_need(bz_gguf_parse *p, uint64_t n, const char *what)
{
    if (n > p->input->size - p->pos) {
        bezel_status status = bz_gguf_fail_at(p, BEZEL_ERR_TRUNCATED, p->pos,
                                              "%s needs %" PRIu64 " bytes, the file has %" PRIu64 " left", what, n,
                                              p->input->size - p->pos);
        return bz_error_hint(p->err, status, "The file is cut short; fetch it again.");
    }
    if (p->pos + n > p->g->header_size)
        return gguf_grow(p, p->pos + n);
    return BEZEL_OK;
}

bezel_status bz_gguf_take_u32(bz_gguf_parse *p, uint32_t *out, const char *what)
{
    bezel_status status = bz_gguf_need(p, 4, what);
    if (status == BEZEL_OK) {
        *out = bz_load_u32(p->g->header + p->pos);
        p->pos += 4;
    }
    return status;
}

bezel_status bz_gguf_take_u64(bz_gguf_parse *p, uint64_t *out, const char *what)
{
    bezel_status status = bz_gguf_need(p, 8, what);
    if (status == BEZEL_OK) {
        *out = bz_load_u64(p->g->header + p->pos);
        p->pos += 8;
    }
    return status;
}

bezel_status bz_gguf_take_text(bz_gguf_parse *p, uint64_t *out_at, uint64_t *out_size, uint64_t limit,
                               bezel_status too_long, const char *what)
{
    uint64_t start = p->pos, size = 0;
    bezel_status status = bz_gguf_take_u64(p, &size, what);
    if (status != BEZEL_OK)
        return status;
    if (size > BZ_GGUF_MAX_TEXT)
        return bz_gguf_fail_at(p, BEZEL_ERR_LIMIT, start, "%s of %" PRIu64 " bytes, at most %u", what, size,
                               BZ_GGUF_MAX_TEXT);
    status = bz_gguf_need(p, size, what);
    if (status != BEZEL_OK)
        return status;
    if (size > limit)
        return bz_gguf_fail_at(p, too_long, start, "%s of %" PRIu64 " bytes, at most %" PRIu64, what, size, limit);
    *out_at = p->pos;
    *out_size = size;
    p->pos += size;
    return BEZEL_OK;
}

/* --- Start of the file -------------------------------------------------------------------- */

/* Names what a file that is no GGUF seems to be: people save web pages and pointers under a model's name. */
static const char *gguf_looks_like(const uint8_t *b, size_t n)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *what;
    } known[] = {
        {"PK\003\004", 4, "a ZIP archive (or PyTorch checkpoint)"},
        {"\x1f\x8b", 2, "a gzip archive"},
        {"\x28\xb5\x2f\xfd", 4, "a zstd archive"},
        {"version https://git-lfs", 23, "a Git LFS pointer, not the file itself"},
        {"GGML", 4, "a GGML file from before GGUF"},
        {"lmgg", 4, "a GGML file from before GGUF"},
        {"tjgg", 4, "a GGML file from before GGUF"},
        {"\177ELF", 4, "a program"},
        {"SQLite format 3", 15, "a SQLite database"},
        {"\x89HDF", 4, "an HDF5 file"},
    };
    size_t i;
    for (i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (n >= known[i].size && memcmp(b, known[i].bytes, known[i].size) == 0)
            return known[i].what;
    }
    if (n >= 9 && b[8] == '{' && bz_load_u64(b) < (UINT64_C(1) << 32))
        return "a safetensors file";
    if (n >= 2 && b[0] == 0x80 && b[1] >= 2 && b[1] <= 5)
        return "a Python pickle";
    for (i = 0; i < n && (b[i] == ' ' || b[i] == '\n' || b[i] == '\r' || b[i] == '\t' || b[i] >= 0x80); i++)
        ;
    if (i < n && b[i] == '<')
        return "a web page or XML file";
    if (i < n && (b[i] == '{' || b[i] == '['))
        return "JSON text";
    return NULL;
}

static bezel_status gguf_magic(bz_gguf_parse *p)
{
    const char *what;
    bezel_status status;
    size_t n;
    if (p->input->size < 4)
        return bz_gguf_need(p, 24, "GGUF header");
    status = bz_gguf_need(p, 4, "GGUF header");
    if (status != BEZEL_OK)
        return status;
    n = p->g->header_size < 64 ? (size_t)p->g->header_size : 64;
    if (memcmp(p->g->header, "GGUF", 4) != 0) {
        what = gguf_looks_like(p->g->header, n);
        status = what ? bz_gguf_fail_at(p, BEZEL_ERR_FORMAT, 0, "not a GGUF file; it looks like %s", what)
                      : bz_gguf_fail_at(p, BEZEL_ERR_FORMAT, 0, "not a GGUF file (it does not begin with \"GGUF\")");
        return bz_error_hint(p->err, status, "Bezel reads models in GGUF format; fetch the .gguf file itself.");
    }
    p->pos = 4;
    return BEZEL_OK;
}

static bezel_status gguf_version(bz_gguf_parse *p)
{
    uint32_t version = 0;
    bezel_status status = bz_gguf_take_u32(p, &version, "GGUF version");
    if (status != BEZEL_OK)
        return status;
    if (version != 0 && (version & 0xFFFF) == 0) {
        status = bz_gguf_fail_at(p, BEZEL_ERR_VERSION, 4, "big-endian GGUF file (version bytes 0x%08" PRIx32 ")", version);
        return bz_error_hint(p->err, status, "Convert it to little-endian, for example with gguf-py's convert endian.");
    }
    if (version != 2 && version != 3)
        return bz_gguf_fail_at(p, BEZEL_ERR_VERSION, 4, "GGUF version %" PRIu32 ", this build reads 2 and 3", version);
    p->g->version = version;
    return BEZEL_OK;
}

static bezel_status gguf_count(bz_gguf_parse *p, uint64_t n, uint64_t at, uint32_t limit, uint32_t min_size,
                               const char *what)
{
    uint64_t left = p->input->size - p->pos;
    if (n > limit)
        return bz_gguf_fail_at(p, BEZEL_ERR_LIMIT, at, "%" PRIu64 " %s, at most %" PRIu32, n, what, limit);
    if (n * min_size > left)
        return bz_gguf_fail_at(p, BEZEL_ERR_TRUNCATED, at,
                               "%" PRIu64 " %s need at least %" PRIu64 " bytes, the file has %" PRIu64 " left", n, what,
                               n * min_size, left);
    return BEZEL_OK;
}

static bezel_status gguf_counts(bz_gguf_parse *p)
{
    uint64_t n_tensors = 0, n_values = 0;
    bezel_status status = bz_gguf_take_u64(p, &n_tensors, "tensor count");
    if (status == BEZEL_OK)
        status = bz_gguf_take_u64(p, &n_values, "key count");
    if (status == BEZEL_OK)
        status = gguf_count(p, n_tensors, 8, BZ_GGUF_MAX_TENSORS, GGUF_MIN_TENSOR, "tensors");
    if (status == BEZEL_OK)
        status = gguf_count(p, n_values, 16, BZ_GGUF_MAX_VALUES, GGUF_MIN_VALUE, "keys");
    if (status != BEZEL_OK)
        return status;
    p->g->n_tensors = (uint32_t)n_tensors;
    p->g->n_values = (uint32_t)n_values;
    return BEZEL_OK;
}

/* --- Metadata ----------------------------------------------------------------------------- */

static bezel_status gguf_key(bz_gguf_parse *p, bz_gguf_value *v)
{
    uint64_t start = p->pos, size = 0;
    const uint8_t *key;
    bezel_status status = bz_gguf_take_text(p, &v->key_at, &size, BZ_GGUF_MAX_KEY, BEZEL_ERR_FORMAT, "key");
    if (status != BEZEL_OK)
        return status;
    if (size == 0)
        return bz_gguf_fail_at(p, BEZEL_ERR_FORMAT, start, "empty key");
    v->key_size = (uint32_t)size;
    key = p->g->header + v->key_at;
    for (uint64_t i = 0; i < size; i++) {
        if (key[i] <= ' ' || key[i] >= 0x7F || (key[i] >= 'A' && key[i] <= 'Z'))
            return bz_gguf_fail_at(p, BEZEL_ERR_FORMAT, v->key_at + i,
                                   "key \"%.*s\" has byte 0x%02x; keys are lower-case ASCII without blanks",
                                   size < 64 ? (int)size : 64, (const char *)key, key[i]);
    }
    return BEZEL_OK;
}

static bezel_status gguf_bools(bz_gguf_parse *p, const bz_gguf_value *v)
{
    for (uint64_t i = 0; i < v->count; i++) {
        uint8_t byte = p->g->header[v->at + i];
        if (byte > 1)
            return bz_gguf_fail_at(p, BEZEL_ERR_FORMAT, v->at + i, "key \"%.*s\": bool byte %u, expected 0 or 1",
                                   (int)v->key_size, bz_gguf_key(p->g, v), byte);
    }
    return BEZEL_OK;
}

/* BEZEL_MORE when texts are left for another unit. */
static bezel_status gguf_texts(bz_gguf_parse *p, bz_gguf_value *v)
{
    bezel_status status = BEZEL_OK;
    for (uint32_t n = 0; p->n_texts < v->count && status == BEZEL_OK; n++) {
        uint64_t at, size;
        if (n == GGUF_UNIT_TEXTS)
            return BEZEL_MORE;
        status = bz_gguf_take_text(p, &at, &size, BZ_GGUF_MAX_TEXT, BEZEL_ERR_LIMIT, "text of an array");
        p->n_texts++;
    }
    v->size = p->pos - v->at;
    return status;
}

static bezel_status gguf_array(bz_gguf_parse *p, bz_gguf_value *v)
{
    uint64_t start = p->pos, size = 0;
    uint32_t item_size;
    bezel_status status = bz_gguf_take_u32(p, &v->item_type, "array type");
    if (status == BEZEL_OK)
        status = bz_gguf_take_u64(p, &v->count, "array length");
    if (status != BEZEL_OK)
        return status;
    if (v->item_type == BZ_GGUF_ARRAY)
        return bz_gguf_fail_at(p, BEZEL_ERR_UNSUPPORTED, start, "key \"%.*s\": array of arrays", (int)v->key_size,
                               bz_gguf_key(p->g, v));
    item_size = v->item_type == BZ_GGUF_TEXT ? 8 : bz_gguf_type_size(v->item_type);
    if (item_size == 0)
        return bz_gguf_fail_at(p, BEZEL_ERR_TYPE, start, "key \"%.*s\": array of unknown type %" PRIu32,
                               (int)v->key_size, bz_gguf_key(p->g, v), v->item_type);
    if (!bz_u64_mul(&size, v->count, item_size))
        return bz_gguf_fail_at(p, BEZEL_ERR_OVERFLOW, start, "key \"%.*s\": %" PRIu64 " items of %" PRIu32 " bytes",
                               (int)v->key_size, bz_gguf_key(p->g, v), v->count, item_size);
    if (v->count > BZ_GGUF_MAX_ITEMS)
        return bz_gguf_fail_at(p, BEZEL_ERR_LIMIT, start, "key \"%.*s\": array of %" PRIu64 " items, at most %u",
                               (int)v->key_size, bz_gguf_key(p->g, v), v->count, BZ_GGUF_MAX_ITEMS);
    status = bz_gguf_need(p, size, "array");
    v->at = p->pos;
    if (status != BEZEL_OK || v->item_type == BZ_GGUF_TEXT)
        return status == BEZEL_OK ? gguf_texts(p, v) : status;
    v->size = size;
    p->pos += size;
    return v->item_type == BZ_GGUF_BOOL ? gguf_bools(p, v) : BEZEL_OK;
}

static bezel_status gguf_value(bz_gguf_parse *p, bz_gguf_value *v)
{
    uint64_t start;
    bezel_status status = gguf_key(p, v);
    if (status != BEZEL_OK)
        return status;
    start = p->pos;
    status = bz_gguf_take_u32(p, &v->type, "value type");
    if (status != BEZEL_OK)
        return status;
    v->item_type = v->type;
    v->count = 1;
    if (v->type == BZ_GGUF_ARRAY)
        return gguf_array(p, v);
    if (v->type == BZ_GGUF_TEXT)
        return bz_gguf_take_text(p, &v->at, &v->size, BZ_GGUF_MAX_TEXT, BEZEL_ERR_LIMIT, "text");
    v->size = bz_gguf_type_size(v->type);
    if (v->size == 0)
        return bz_gguf_fail_at(p, BEZEL_ERR_TYPE, start, "key \"%.*s\" has unknown value type %" PRId64 ", types are 0 to 12",
                               (int)v->key_size, bz_gguf_key(p->g, v), (int64_t)(int32_t)v->type);
    status = bz_gguf_need(p, v->size, "value");
    v->at = p->pos;
    if (status == BEZEL_OK)
        p->pos += v->size;
    if (status == BEZEL_OK && v->type == BZ_GGUF_BOOL)
        status = gguf_bools(p, v);
    return status;
}

static int gguf_compare_keys(const void *ctx, uint32_t a, uint32_t b)
{
    const bz_gguf *g = ctx;
    const bz_gguf_value *x = &g->values[a], *y = &g->values[b];
    return bz_gguf_compare_names(bz_gguf_key(g, x), x->key_size, bz_gguf_key(g, y), y->key_size);
}

static bezel_status gguf_index_values(bz_gguf_parse *p)
{
    bz_gguf *g = p->g;
    for (uint32_t i = 0; i < g->n_values; i++)
        g->value_index[i] = i;
    bz_index_sort(g->value_index, g->n_values, gguf_compare_keys, g);
    for (uint32_t i = 1; i < g->n_values; i++) {
        const bz_gguf_value *a = &g->values[g->value_index[i - 1]], *b = &g->values[g->value_index[i]];
        if (gguf_compare_keys(g, g->value_index[i - 1], g->value_index[i]) == 0)
            return bz_gguf_fail_at(p, BEZEL_ERR_DUPLICATE, b->key_at,
                                   "key \"%.*s\" occurs twice, first at 0x%" PRIx64, (int)b->key_size,
                                   bz_gguf_key(g, b), a->key_at);
    }
    return BEZEL_OK;
}

static bezel_status gguf_values(bz_gguf_parse *p)
{
    bz_gguf *g = p->g;
    bezel_status status = BEZEL_OK;
    if (g->n_values == 0)
        return BEZEL_OK;
    if (!g->values) {
        g->values = bz_zalloc_array(g->world, g->n_values, sizeof *g->values);
        g->value_index = bz_zalloc_array(g->world, g->n_values, sizeof *g->value_index);
        if (!g->values || !g->value_index)
            return bz_fail_memory(p->err, "gguf", "keys", g->n_values * sizeof *g->values);
    }
    for (; p->n_values < g->n_values; p->n_values++, p->n_texts = 0) {
        bz_gguf_value *v = &g->values[p->n_values];
        status = p->n_texts > 0 ? gguf_texts(p, v) : gguf_value(p, v);
        if (status != BEZEL_OK)
            return status;
    }
    return gguf_index_values(p);
}

static bezel_status gguf_alignment(bz_gguf_parse *p)
{
    bz_gguf *g = p->g;
    const bz_gguf_value *v = bz_gguf_find(g, "general.alignment");
    g->alignment = 32;
    if (!v)
        return BEZEL_OK;
    if (v->type != BZ_GGUF_U32)
        return bz_gguf_value_fail(p->err, BEZEL_ERR_TYPE, g, v, "has type %s, expected u32", bz_gguf_type_name(v->type));
    g->alignment = bz_load_u32(g->header + v->at);
    if (g->alignment < BZ_GGUF_MIN_ALIGNMENT || g->alignment > BZ_GGUF_MAX_ALIGNMENT ||
        (g->alignment & (g->alignment - 1)) != 0)
        return bz_gguf_value_fail(p->err, BEZEL_ERR_RANGE, g, v, "is %" PRIu32 ", expected a power of two from %u to %u",
                                  g->alignment, BZ_GGUF_MIN_ALIGNMENT, BZ_GGUF_MAX_ALIGNMENT);
    return BEZEL_OK;
}

/* --- Public ------------------------------------------------------------------------------- */

void bz_gguf_begin(bz_gguf_parse *p, bz_gguf *out, const bezel_world *w, const bz_gguf_input *input, bz_notes *notes)
{
    *p = (bz_gguf_parse){.g = out, .input = input, .notes = notes};
    memset(out, 0, sizeof *out);
    out->world = w;
    out->name = input->name;
    out->file_size = input->size;
}

/* Gives back what was read ahead. */
static bezel_status gguf_shrink(bz_gguf_parse *p)
{
    uint8_t *header = bz_realloc(p->g->world, p->g->header, (size_t)p->pos);
    if (!header)
        return bz_fail_memory(p->err, "gguf", "header", (size_t)p->pos);
    p->g->header = header;
    p->g->header_size = p->pos;
    return BEZEL_OK;
}

bezel_status bz_gguf_unit(bz_gguf_parse *p, bezel_error *err)
{
    bezel_status status = BEZEL_OK;
    p->err = err;
    if (p->pos == 0) {
        status = gguf_magic(p);
        if (status == BEZEL_OK)
            status = gguf_version(p);
        if (status == BEZEL_OK)
            status = gguf_counts(p);
    }
    if (status == BEZEL_OK)
        status = gguf_values(p);
    if (status == BEZEL_OK)
        status = gguf_alignment(p);
    if (status == BEZEL_OK)
        status = bz_gguf_parse_tensors(p);
    if (status == BEZEL_OK)
        status = gguf_shrink(p);
    if (status < 0)
        bz_gguf_free(p->g);
    return status;
}

bezel_status bz_gguf_open(bz_gguf *out, const bezel_world *w, const bz_gguf_input *input, bz_notes *notes,
                          bezel_error *err)
{
    bz_gguf_parse p;
    bezel_status status;
    bz_gguf_begin(&p, out, w, input, notes);
    do {
        status = bz_gguf_unit(&p, err);
    } while (status == BEZEL_MORE);
    return status;
}

void bz_gguf_free(bz_gguf *g)
{
    if (!g || !g->world)
        return;
    bz_free(g->world, g->header);
    bz_free(g->world, g->values);
    bz_free(g->world, g->value_index);
    bz_free(g->world, g->tensors);
    bz_free(g->world, g->tensor_index);
    memset(g, 0, sizeof *g);
}
