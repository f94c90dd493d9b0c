/* SPDX-License-Identifier: MIT */
/* Memory through a world's allocator. A block is preceded by 16 bytes that hold its size, so that free and realloc can
 * tell the allocator the exact old size: the sum of what was asked and given back is always zero at the end.
 * Holds no state of its own. */
#include "base/alloc.h"

#include "base/os.h"

#include <string.h>

#define BZ_ALLOC_HEADER 16u
#define BZ_ALLOC_ALIGN 64u
#define BZ_ALLOC_HUGE ((size_t)2 << 20) /* the large page of x86-64 and of arm64 with 4 KiB pages */

/* --- Sizes -------------------------------------------------------------------------------- */

int bz_size_mul(size_t *out, size_t a, size_t b)
{
    if (a != 0 && b > SIZE_MAX / a)
        return 0;
    *out = a * b;
    return 1;
}

int bz_size_add(size_t *out, size_t a, size_t b)
{
    if (b > SIZE_MAX - a)
        return 0;
    *out = a + b;
    return 1;
}

int bz_u64_mul(uint64_t *out, uint64_t a, uint64_t b)
{
    if (a != 0 && b > UINT64_MAX / a)
        return 0;
    *out = a * b;
    return 1;
}

int bz_u64_add(uint64_t *out, uint64_t a, uint64_t b)
{
    if (b > UINT64_MAX - a)
        return 0;
    *out = a + b;
    return 1;
}

/* --- Blocks ------------------------------------------------------------------------------- */

static size_t alloc_block_size(const unsigned char *block)
{
    size_t size;
    memcpy(&size, block, sizeof size);
    return size;
}

void *bz_alloc(const bezel_world *w, size_t size)
{
    return bz_realloc(w, NULL, size);
}

void *bz_zalloc(const bezel_world *w, size_t size)
{
    void *p = bz_realloc(w, NULL, size);
    if (p != NULL)
        memset(p, 0, size);
    return p;
}

void *bz_zalloc_array(const bezel_world *w, size_t n, size_t size)
{
    size_t total;
    if (!bz_size_mul(&total, n, size))
        return NULL;
    return bz_zalloc(w, total);
}

void *bz_realloc(const bezel_world *w, void *p, size_t size)
{
    unsigned char *block = NULL;
    size_t old_total = 0;
    size_t total;
    if (size == 0 || size > PTRDIFF_MAX || !bz_size_add(&total, size, BZ_ALLOC_HEADER))
        return NULL;
    if (p != NULL) {
        block = (unsigned char *)p - BZ_ALLOC_HEADER;
        old_total = alloc_block_size(block) + BZ_ALLOC_HEADER;
    }
    block = w->allocate(w->ud, block, old_total, total);
    if (block == NULL)
        return NULL;
    memcpy(block, &size, sizeof size);
    return block + BZ_ALLOC_HEADER;
}

void bz_free(const bezel_world *w, void *p)
{
    unsigned char *block;
    if (p == NULL)
        return;
    block = (unsigned char *)p - BZ_ALLOC_HEADER;
    w->allocate(w->ud, block, alloc_block_size(block) + BZ_ALLOC_HEADER, 0);
}

/* The word before an aligned block is the address to free. bz_alloc aligns to 16, so rounding up from base + 16 leaves
 * room for it and adds at most `align`. */
static void *alloc_at(const bezel_world *w, size_t size, size_t align)
{
    size_t total;
    unsigned char *base;
    unsigned char *aligned;
    if (size == 0 || !bz_size_add(&total, size, align))
        return NULL;
    base = bz_alloc(w, total);
    if (base == NULL)
        return NULL;
    aligned = base + (align - ((uintptr_t)base & (align - 1u)));
    memcpy(aligned - sizeof base, &base, sizeof base);
    return aligned;
}

void *bz_alloc_aligned(const bezel_world *w, size_t size)
{
    return alloc_at(w, size, BZ_ALLOC_ALIGN);
}

void *bz_alloc_huge(const bezel_world *w, size_t size)
{
    void *p;
    if (size < 2 * BZ_ALLOC_HUGE)
        return alloc_at(w, size, BZ_ALLOC_ALIGN);
    p = alloc_at(w, size, BZ_ALLOC_HUGE);
    if (p != NULL)
        bz_os_huge_pages(p, size & ~(BZ_ALLOC_HUGE - 1u));
    return p;
}

void bz_free_aligned(const bezel_world *w, void *p)
{
    unsigned char *base;
    if (p == NULL)
        return;
    memcpy(&base, (unsigned char *)p - sizeof base, sizeof base);
    bz_free(w, base);
}

char *bz_text_dup(const bezel_world *w, const char *text, size_t n)
{
    size_t total;
    char *copy;
    if (n == SIZE_MAX)
        n = strlen(text);
    if (!bz_size_add(&total, n, 1))
        return NULL;
    copy = bz_alloc(w, total);
    if (copy == NULL)
        return NULL;
    if (n > 0)
        memcpy(copy, text, n);
    copy[n] = '\0';
    return copy;
}
