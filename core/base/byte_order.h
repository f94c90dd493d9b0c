/* SPDX-License-Identifier: MIT */
/* Little-endian loads from bytes whose range was checked. Work on any host byte order and any alignment. */
#ifndef BZ_BYTE_ORDER_H
#define BZ_BYTE_ORDER_H

#include <stdint.h>

uint16_t bz_load_u16(const uint8_t *p);
uint32_t bz_load_u32(const uint8_t *p);
uint64_t bz_load_u64(const uint8_t *p);
float bz_load_f32(const uint8_t *p);
double bz_load_f64(const uint8_t *p);

#endif
