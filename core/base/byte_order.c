/* SPDX-License-Identifier: MIT */
/* Little-endian loads; see byte_order.h. Checks no range. */
#include "base/byte_order.h"

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
