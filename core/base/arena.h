/* SPDX-License-Identifier: MIT */
/* Memory that is freed all at once: chunks from the world's allocator, growing. */
#ifndef BZ_ARENA_H
#define BZ_ARENA_H

#include <bezel/base.h>

typedef struct bz_arena_chunk bz_arena_chunk;
typedef struct bz_arena {
    const bezel_world *world;
    bz_arena_chunk *head;
    size_t used;  /* bytes handed out */
    size_t limit; /* 0 = none */
} bz_arena;

void bz_arena_init(bz_arena *a, const bezel_world *w, size_t limit);
void bz_arena_free(bz_arena *a);
void bz_arena_reset(bz_arena *a); /* everything handed out is gone; the largest chunk is kept */
void *bz_arena_alloc(bz_arena *a, size_t size);   /* aligned to 16, zeroed, NULL on failure */
char *bz_arena_text(bz_arena *a, const char *text, size_t n); /* copy with NUL; n SIZE_MAX = strlen */

#endif
