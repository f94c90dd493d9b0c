/* SPDX-License-Identifier: MIT */
/* Bounds-checked little-endian cursor. Invariant: pos <= size, so size - pos never wraps. Knows no format. */
#include "base/reader.h"

#include <string.h>

uint16_t bz_load_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] | (uint16_t)(p[1] << 8));
}

uint32_t bz_load_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

uint64_t bz_load_u64(const uint8_t *p)
{
    return (uint64_t)bz_load_u32(p) | (uint64_t)bz_load_u32(p + 4) << 32;
}

float bz_load_f32(const uint8_t *p)
{
    uint32_t bits = bz_load_u32(p);
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

double bz_load_f64(const uint8_t *p)
{
    uint64_t bits = bz_load_u64(p);
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

void bz_reader_init(bz_reader *r, const void *data, size_t size)
{
    r->data = data;
    r->size = data ? size : 0;
    r->pos = 0;
}

size_t bz_reader_left(const bz_reader *r)
{
    return r->size - r->pos;
}

int bz_reader_seek(bz_reader *r, uint64_t pos)
{
    if (pos > r->size)
        return 0;
    r->pos = (size_t)pos;
    return 1;
}

const uint8_t *bz_reader_bytes(bz_reader *r, uint64_t n)
{
    static const uint8_t none[1];
    const uint8_t *p;
    if (n > r->size - r->pos)
        return NULL;
    p = r->data ? r->data + r->pos : none;
    r->pos += (size_t)n;
    return p;
}

int bz_reader_u8(bz_reader *r, uint8_t *out)
{
    const uint8_t *p = bz_reader_bytes(r, 1);
    if (p)
        *out = *p;
    return p != NULL;
}

int bz_reader_u16(bz_reader *r, uint16_t *out)
{
    const uint8_t *p = bz_reader_bytes(r, 2);
    if (p)
        *out = bz_load_u16(p);
    return p != NULL;
}

int bz_reader_u32(bz_reader *r, uint32_t *out)
{
    const uint8_t *p = bz_reader_bytes(r, 4);
    if (p)
        *out = bz_load_u32(p);
    return p != NULL;
}

int bz_reader_u64(bz_reader *r, uint64_t *out)
{
    const uint8_t *p = bz_reader_bytes(r, 8);
    if (p)
        *out = bz_load_u64(p);
    return p != NULL;
}

int bz_reader_i32(bz_reader *r, int32_t *out)
{
    const uint8_t *p = bz_reader_bytes(r, 4);
    if (p) {
        uint32_t bits = bz_load_u32(p);
        memcpy(out, &bits, sizeof *out);
    }
    return p != NULL;
}

int bz_reader_f32(bz_reader *r, float *out)
{
    const uint8_t *p = bz_reader_bytes(r, 4);
    if (p)
        *out = bz_load_f32(p);
    return p != NULL;
}

int bz_reader_f64(bz_reader *r, double *out)
{
    const uint8_t *p = bz_reader_bytes(r, 8);
    if (p)
        *out = bz_load_f64(p);
    return p != NULL;
}
