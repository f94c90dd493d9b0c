/* SPDX-License-Identifier: MIT */
/* Bounds-checked little-endian cursor over bytes. Every call either reads all it was asked for and moves on, or returns
 * 0 (NULL) and stays where it is. Works on any host byte order and any alignment. */
#ifndef BZ_READER_H
#define BZ_READER_H

#include <stddef.h>
#include <stdint.h>

typedef struct bz_reader {
    const uint8_t *data;
    size_t size;
    size_t pos; /* never above size */
} bz_reader;

void bz_reader_init(bz_reader *r, const void *data, size_t size);
size_t bz_reader_left(const bz_reader *r);
int bz_reader_seek(bz_reader *r, uint64_t pos); /* 0 when pos is beyond the end */
/* The next n bytes, in place. n 0 gives a valid pointer. */
const uint8_t *bz_reader_bytes(bz_reader *r, uint64_t n);
int bz_reader_u8(bz_reader *r, uint8_t *out);
int bz_reader_u16(bz_reader *r, uint16_t *out);
int bz_reader_u32(bz_reader *r, uint32_t *out);
int bz_reader_u64(bz_reader *r, uint64_t *out);
int bz_reader_i32(bz_reader *r, int32_t *out);
int bz_reader_f32(bz_reader *r, float *out);
int bz_reader_f64(bz_reader *r, double *out);

/* Little-endian loads from bytes whose range was checked. */
uint16_t bz_load_u16(const uint8_t *p);
uint32_t bz_load_u32(const uint8_t *p);
uint64_t bz_load_u64(const uint8_t *p);
float bz_load_f32(const uint8_t *p);
double bz_load_f64(const uint8_t *p);

#endif
