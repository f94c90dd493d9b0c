/* SPDX-License-Identifier: MIT */
/* Memory that is freed all at once: a list of chunks, the newest first, each at least twice the one before up to 1 MiB.
 * Everything handed out is zeroed and aligned to 16. Single things are never given back. */
#include "base/arena.h"

#include "base/alloc.h"

#include <string.h>

#define BZ_ARENA_FIRST_CHUNK 2048u
#define BZ_ARENA_LARGEST_CHUNK 1048576u

struct bz_arena_chunk {
    bz_arena_chunk *next;
    size_t size; /* bytes after the header */
    size_t used;
    size_t padding; /* keeps the bytes after the header at a multiple of 16 on 64-bit and 32-bit machines */
};

void bz_arena_init(bz_arena *a, const bezel_world *w, size_t limit)
{
    a->world = w;
    a->head = NULL;
    a->used = 0;
    a->limit = limit;
}

void bz_arena_free(bz_arena *a)
{
    bz_arena_chunk *chunk = a->head;
    while (chunk != NULL) {
        bz_arena_chunk *next = chunk->next;
        bz_free(a->world, chunk);
        chunk = next;
    }
    a->head = NULL;
    a->used = 0;
}

void bz_arena_reset(bz_arena *a)
{
    bz_arena_chunk *largest = a->head;
    bz_arena_chunk *chunk;
    for (chunk = a->head; chunk != NULL; chunk = chunk->next) {
        if (chunk->size > largest->size)
            largest = chunk;
    }
    chunk = a->head;
    while (chunk != NULL) {
        bz_arena_chunk *next = chunk->next;
        if (chunk != largest)
            bz_free(a->world, chunk);
        chunk = next;
    }
    if (largest != NULL) {
        largest->next = NULL;
        largest->used = 0;
    }
    a->head = largest;
    a->used = 0;
}

/* A new chunk with room for size bytes. A thing larger than the usual chunk gets one of its own behind the head, so that
 * the head's rest stays usable. */
static bz_arena_chunk *arena_grow(bz_arena *a, size_t size)
{
    size_t usual = a->head == NULL ? BZ_ARENA_FIRST_CHUNK : a->head->size * 2;
    size_t total;
    bz_arena_chunk *chunk;
    while (usual < BZ_ARENA_LARGEST_CHUNK && usual / 2 < size)
        usual *= 2;
    if (usual > BZ_ARENA_LARGEST_CHUNK)
        usual = BZ_ARENA_LARGEST_CHUNK;
    int apart = size > usual / 2 && a->head != NULL;
    size_t wanted = apart || size > usual ? size : usual;
    if (!bz_size_add(&total, wanted, sizeof *chunk))
        return NULL;
    chunk = bz_alloc(a->world, total);
    if (chunk == NULL)
        return NULL;
    chunk->size = wanted;
    chunk->used = 0;
    if (apart) {
        chunk->next = a->head->next;
        a->head->next = chunk;
    } else {
        chunk->next = a->head;
        a->head = chunk;
    }
    return chunk;
}

void *bz_arena_alloc(bz_arena *a, size_t size)
{
    size_t rounded;
    size_t total;
    bz_arena_chunk *chunk = a->head;
    unsigned char *p;
    if (size == 0 || !bz_size_add(&rounded, size, 15u))
        return NULL;
    rounded &= ~(size_t)15u;
    if (!bz_size_add(&total, a->used, rounded) || (a->limit != 0 && total > a->limit))
        return NULL;
    if (chunk == NULL || chunk->size - chunk->used < rounded)
        chunk = arena_grow(a, rounded);
    if (chunk == NULL)
        return NULL;
    p = (unsigned char *)(chunk + 1) + chunk->used;
    chunk->used += rounded;
    a->used = total;
    memset(p, 0, rounded);
    return p;
}

char *bz_arena_text(bz_arena *a, const char *text, size_t n)
{
    size_t total;
    char *copy;
    if (n == SIZE_MAX)
        n = strlen(text);
    if (!bz_size_add(&total, n, 1))
        return NULL;
    copy = bz_arena_alloc(a, total);
    if (copy != NULL && n > 0)
        memcpy(copy, text, n);
    return copy;
}
