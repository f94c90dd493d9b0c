/* SPDX-License-Identifier: MIT */
/* Memory through a world's allocator, with overflow-checked sizes. Blocks remember their size, so free needs none. */
#ifndef BZ_ALLOC_H
#define BZ_ALLOC_H

#include <bezel/base.h>

/* NULL on failure or when size is 0. Aligned to 16. */
void *bz_alloc(const bezel_world *w, size_t size);
void *bz_zalloc(const bezel_world *w, size_t size);
/* n elements of `size` bytes, zeroed; NULL when the product overflows. */
void *bz_zalloc_array(const bezel_world *w, size_t n, size_t size);
/* Keeps the old block on failure. p may be NULL. */
void *bz_realloc(const bezel_world *w, void *p, size_t size);
void bz_free(const bezel_world *w, void *p); /* NULL is fine */
/* Aligned to 64; free with bz_free_aligned. */
void *bz_alloc_aligned(const bezel_world *w, size_t size);
/* As bz_alloc_aligned; blocks of 4 MiB and more begin at a multiple of 2 MiB and ask for huge pages. For what is read and
 * written whole, again and again: one touched byte makes 2 MiB resident, so not for what may stay mostly unused. */
void *bz_alloc_huge(const bezel_world *w, size_t size);
void bz_free_aligned(const bezel_world *w, void *p); /* of both */
/* Copy of n bytes with a NUL after them; n SIZE_MAX = strlen. Owns: free with bz_free (bezel_text_free does). */
char *bz_text_dup(const bezel_world *w, const char *text, size_t n);

/* 1 and the result, or 0 when it does not fit. */
int bz_size_mul(size_t *out, size_t a, size_t b);
int bz_size_add(size_t *out, size_t a, size_t b);
int bz_u64_mul(uint64_t *out, uint64_t a, uint64_t b);
int bz_u64_add(uint64_t *out, uint64_t a, uint64_t b);

#endif
