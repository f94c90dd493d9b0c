/* SPDX-License-Identifier: MIT */
/* 128-bit fingerprint of bytes: tells files apart that differ by accident. NOT for security: whoever chooses the bytes
 * can make two inputs with one fingerprint. The same bytes in any pieces give the same result on every machine. */
#ifndef BZ_HASH_H
#define BZ_HASH_H

#include <stddef.h>
#include <stdint.h>

typedef struct bz_hash {
    uint64_t a, b;
    uint64_t size;   /* bytes added so far */
    uint8_t part[8]; /* bytes of an unfinished word */
} bz_hash;

void bz_hash_init(bz_hash *h);
void bz_hash_add(bz_hash *h, const void *bytes, size_t n);
void bz_hash_finish(const bz_hash *h, uint8_t out[16]);

#endif
