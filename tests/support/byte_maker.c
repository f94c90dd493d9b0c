/* SPDX-License-Identifier: MIT */
/* Little-endian bytes piece by piece. Out of memory fails the running test. */
#include "support/byte_maker.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

void byte_maker_free(byte_maker *b)
{
    free(b->data);
    memset(b, 0, sizeof *b);
}

void byte_maker_add(byte_maker *b, const void *bytes, size_t n)
{
    if (b->size + n > b->capacity) {
        b->capacity = 2 * (b->size + n) + 64;
        b->data = realloc(b->data, b->capacity);
        ck_assert_ptr_nonnull(b->data);
    }
    if (n)
        memcpy(b->data + b->size, bytes, n);
    b->size += n;
}

void byte_maker_number(byte_maker *b, uint64_t n, size_t size)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(n >> (8 * i));
    byte_maker_add(b, bytes, size);
}

void byte_maker_sized(byte_maker *b, const char *text, size_t n)
{
    if (n == SIZE_MAX)
        n = strlen(text);
    byte_maker_number(b, n, 8);
    byte_maker_add(b, text, n);
}

void byte_maker_zeros(byte_maker *b, size_t n)
{
    static const uint8_t zero;
    while (n-- > 0)
        byte_maker_add(b, &zero, 1);
}

void byte_maker_align(byte_maker *b, size_t alignment)
{
    byte_maker_zeros(b, (alignment - b->size % alignment) % alignment);
}

void byte_maker_gguf(byte_maker *b, uint32_t version, uint64_t n_tensors, uint64_t n_values)
{
    byte_maker_add(b, "GGUF", 4);
    byte_maker_number(b, version, 4);
    byte_maker_number(b, n_tensors, 8);
    byte_maker_number(b, n_values, 8);
}

void byte_maker_key(byte_maker *b, const char *key, uint32_t type)
{
    byte_maker_sized(b, key, SIZE_MAX);
    byte_maker_number(b, type, 4);
}

void byte_maker_u32_key(byte_maker *b, const char *key, uint32_t value)
{
    byte_maker_key(b, key, 4);
    byte_maker_number(b, value, 4);
}

void byte_maker_tensor(byte_maker *b, const char *name, uint64_t row, uint64_t rows, uint32_t dtype, uint64_t offset)
{
    byte_maker_sized(b, name, SIZE_MAX);
    byte_maker_number(b, rows ? 2 : 1, 4);
    byte_maker_number(b, row, 8);
    if (rows)
        byte_maker_number(b, rows, 8);
    byte_maker_number(b, dtype, 4);
    byte_maker_number(b, offset, 8);
}
