/* SPDX-License-Identifier: MIT */
/* Typed access to GGUF metadata. Converters disagree about the width and sign of integers, so any integer type is taken
 * and the value checked; text, bool and float are never mixed with them. Knows no key but those it is given. */
#include "base/byte_order.h"
#include "format/gguf.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct {
    const char *name;
    uint32_t size;
} gguf_types[] = {{"u8", 1},   {"i8", 1},   {"u16", 2},  {"i16", 2},   {"u32", 4}, {"i32", 4}, {"f32", 4},
                  {"bool", 1}, {"text", 0}, {"array", 0}, {"u64", 8}, {"i64", 8}, {"f64", 8}};
#define GGUF_N_TYPES ((uint32_t)(sizeof gguf_types / sizeof gguf_types[0]))

const char *bz_gguf_type_name(uint32_t type)
{
    return type < GGUF_N_TYPES ? gguf_types[type].name : "unknown";
}

uint32_t bz_gguf_type_size(uint32_t type)
{
    return type < GGUF_N_TYPES ? gguf_types[type].size : 0;
}

const char *bz_gguf_key(const bz_gguf *g, const bz_gguf_value *v)
{
    return (const char *)g->header + v->key_at;
}

const bz_gguf_value *bz_gguf_find(const bz_gguf *g, const char *key)
{
    uint32_t low = 0, high = g->n_values;
    size_t size = strlen(key);
    while (low < high) {
        uint32_t mid = low + (high - low) / 2;
        const bz_gguf_value *v = &g->values[g->value_index[mid]];
        int c = bz_gguf_compare_names(key, size, bz_gguf_key(g, v), v->key_size);
        if (c == 0)
            return v;
        if (c < 0)
            high = mid;
        else
            low = mid + 1;
    }
    return NULL;
}

bezel_status bz_gguf_value_fail(bezel_error *err, bezel_status status, const bz_gguf *g, const bz_gguf_value *v,
                                const char *format, ...)
{
    char detail[320];
    va_list args;
    va_start(args, format);
    vsnprintf(detail, sizeof detail, format, args);
    va_end(args);
    bz_fail(err, status, "gguf", "%s @0x%" PRIx64 ": key \"%.*s\" %s", g->name, v->key_at,
            v->key_size < 128 ? (int)v->key_size : 128, bz_gguf_key(g, v), detail);
    bz_error_place(err, status, "%.*s", v->key_size < 255 ? (int)v->key_size : 255, bz_gguf_key(g, v));
    return bz_error_offset(err, status, (int64_t)v->key_at);
}

static bezel_status value_type_fail(bezel_error *err, const bz_gguf *g, const bz_gguf_value *v, const char *expected)
{
    return bz_gguf_value_fail(err, BEZEL_ERR_TYPE, g, v, "has type %s%s%s, expected %s", bz_gguf_type_name(v->type),
                              v->type == BZ_GGUF_ARRAY ? " of " : "",
                              v->type == BZ_GGUF_ARRAY ? bz_gguf_type_name(v->item_type) : "", expected);
}

/* An integer of any type as magnitude and sign. 0 when the type is none. */
static int value_load(const uint8_t *p, uint32_t type, uint64_t *out, int *out_negative)
{
    int64_t i = 0;
    *out_negative = 0;
    switch (type) {
    case BZ_GGUF_U8:
    case BZ_GGUF_BOOL: *out = p[0]; return 1;
    case BZ_GGUF_U16: *out = bz_load_u16(p); return 1;
    case BZ_GGUF_U32: *out = bz_load_u32(p); return 1;
    case BZ_GGUF_U64: *out = bz_load_u64(p); return 1;
    case BZ_GGUF_I8: i = (int8_t)p[0]; break;
    case BZ_GGUF_I16: i = (int16_t)bz_load_u16(p); break;
    case BZ_GGUF_I32: i = (int32_t)bz_load_u32(p); break;
    case BZ_GGUF_I64: i = (int64_t)bz_load_u64(p); break;
    default: return 0;
    }
    *out_negative = i < 0;
    *out = i < 0 ? 0 - (uint64_t)i : (uint64_t)i;
    return 1;
}

bezel_status bz_gguf_uint(uint64_t *out, const bz_gguf *g, const bz_gguf_value *v, bezel_error *err)
{
    uint64_t n = 0;
    int negative = 0;
    if (v->type == BZ_GGUF_BOOL || !value_load(g->header + v->at, v->type, &n, &negative))
        return value_type_fail(err, g, v, "an integer");
    if (negative)
        return bz_gguf_value_fail(err, BEZEL_ERR_RANGE, g, v, "is -%" PRIu64 ", expected 0 or more", n);
    *out = n;
    return BEZEL_OK;
}

bezel_status bz_gguf_int(int64_t *out, const bz_gguf *g, const bz_gguf_value *v, bezel_error *err)
{
    uint64_t n = 0;
    int negative = 0;
    if (v->type == BZ_GGUF_BOOL || !value_load(g->header + v->at, v->type, &n, &negative))
        return value_type_fail(err, g, v, "an integer");
    if (!negative && n > INT64_MAX)
        return bz_gguf_value_fail(err, BEZEL_ERR_RANGE, g, v, "is %" PRIu64 ", expected at most 2^63-1", n);
    *out = (int64_t)(negative ? 0 - n : n);
    return BEZEL_OK;
}

bezel_status bz_gguf_float(double *out, const bz_gguf *g, const bz_gguf_value *v, bezel_error *err)
{
    double x;
    if (v->type == BZ_GGUF_F32)
        x = (double)bz_load_f32(g->header + v->at);
    else if (v->type == BZ_GGUF_F64)
        x = bz_load_f64(g->header + v->at);
    else
        return value_type_fail(err, g, v, "f32");
    if (!isfinite(x))
        return bz_gguf_value_fail(err, BEZEL_ERR_RANGE, g, v, "is not a finite number");
    *out = x;
    return BEZEL_OK;
}

bezel_status bz_gguf_bool(int *out, const bz_gguf *g, const bz_gguf_value *v, bezel_error *err)
{
    if (v->type != BZ_GGUF_BOOL)
        return value_type_fail(err, g, v, "bool");
    *out = g->header[v->at];
    return BEZEL_OK;
}

bezel_status bz_gguf_text(const char **out, size_t *out_size, const bz_gguf *g, const bz_gguf_value *v, bezel_error *err)
{
    if (v->type != BZ_GGUF_TEXT)
        return value_type_fail(err, g, v, "text");
    *out = (const char *)g->header + v->at;
    *out_size = (size_t)v->size;
    return BEZEL_OK;
}

bezel_status bz_gguf_item(int64_t *out, const bz_gguf *g, const bz_gguf_value *v, uint64_t i, bezel_error *err)
{
    uint64_t n = 0;
    int negative = 0;
    uint32_t size = bz_gguf_type_size(v->item_type);
    if (v->type != BZ_GGUF_ARRAY || size == 0)
        return value_type_fail(err, g, v, "an array of integers");
    if (i >= v->count)
        return bz_gguf_value_fail(err, BEZEL_ERR_RANGE, g, v, "has %" PRIu64 " items, item %" PRIu64 " was asked for",
                                  v->count, i);
    if (!value_load(g->header + v->at + i * size, v->item_type, &n, &negative))
        return value_type_fail(err, g, v, "an array of integers");
    if (!negative && n > INT64_MAX)
        return bz_gguf_value_fail(err, BEZEL_ERR_RANGE, g, v, "has item %" PRIu64 " beyond 2^63-1", i);
    *out = (int64_t)(negative ? 0 - n : n);
    return BEZEL_OK;
}

int bz_gguf_next_text(const char **out, size_t *out_size, const bz_gguf *g, const bz_gguf_value *v, uint64_t *at)
{
    uint64_t size;
    if (v->type != BZ_GGUF_ARRAY || v->item_type != BZ_GGUF_TEXT || *at >= v->size)
        return 0;
    size = bz_load_u64(g->header + v->at + *at);
    *out = (const char *)g->header + v->at + *at + 8;
    *out_size = (size_t)size;
    *at += 8 + size;
    return 1;
}
