/* SPDX-License-Identifier: MIT */
/* Little-endian loads from bytes whose range was checked, and stores. Work on any host byte order and any alignment; inline,
 * because hashes take their words here. */
#ifndef BZ_BYTE_ORDER_H
#define BZ_BYTE_ORDER_H

#include <stdint.h>
#include <string.h>

static inline uint16_t bz_load_u16(const uint8_t *p)
{
    return (uint16_t)(p[0] | (uint16_t)(p[1] << 8));
}

static inline uint32_t bz_load_u32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static inline uint64_t bz_load_u64(const uint8_t *p)
{
    return (uint64_t)bz_load_u32(p) | (uint64_t)bz_load_u32(p + 4) << 32;
}

static inline float bz_load_f32(const uint8_t *p)
{
    const uint32_t bits = bz_load_u32(p);
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline double bz_load_f64(const uint8_t *p)
{
    const uint64_t bits = bz_load_u64(p);
    double x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

static inline void bz_store_u32(uint8_t *p, uint32_t x)
{
    for (int i = 0; i < 4; i++)
        p[i] = (uint8_t)(x >> (8 * i));
}

static inline void bz_store_u64(uint8_t *p, uint64_t x)
{
    bz_store_u32(p, (uint32_t)x);
    bz_store_u32(p + 4, (uint32_t)(x >> 32));
}

static inline void bz_store_f32(uint8_t *p, float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    bz_store_u32(p, bits);
}

static inline void bz_store_f64(uint8_t *p, double x)
{
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    bz_store_u64(p, bits);
}

#endif
