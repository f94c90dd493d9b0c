/* SPDX-License-Identifier: MIT */
/* Little-endian bytes piece by piece, for files that no writer would write. */
#ifndef TEST_BYTE_MAKER_H
#define TEST_BYTE_MAKER_H

#include <stddef.h>
#include <stdint.h>

typedef struct byte_maker {
    uint8_t *data;
    size_t size, capacity;
} byte_maker;

void byte_maker_free(byte_maker *b); /* a zeroed struct is empty */
void byte_maker_add(byte_maker *b, const void *bytes, size_t n);
void byte_maker_number(byte_maker *b, uint64_t n, size_t size); /* 1, 2, 4 or 8 bytes */
void byte_maker_sized(byte_maker *b, const char *text, size_t n); /* u64 length and the bytes; SIZE_MAX = strlen */
void byte_maker_zeros(byte_maker *b, size_t n);
void byte_maker_align(byte_maker *b, size_t alignment);

/* --- Parts of a GGUF file --- */
void byte_maker_gguf(byte_maker *b, uint32_t version, uint64_t n_tensors, uint64_t n_values);
void byte_maker_key(byte_maker *b, const char *key, uint32_t type); /* the value follows */
void byte_maker_u32_key(byte_maker *b, const char *key, uint32_t value);
/* One directory entry of one or two dimensions (rows 0 = one). */
void byte_maker_tensor(byte_maker *b, const char *name, uint64_t row, uint64_t rows, uint32_t dtype, uint64_t offset);

#endif
