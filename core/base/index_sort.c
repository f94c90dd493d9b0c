/* SPDX-License-Identifier: MIT */
/* Heap sort over indices. Invariant: every parent comes after its children (max-heap) in the first `n` places. */
#include "base/index_sort.h"

static int sort_before(bz_index_compare_fn compare, const void *ctx, uint32_t a, uint32_t b)
{
    int c = compare(ctx, a, b);
    return c < 0 || (c == 0 && a < b);
}

static void sort_sift(uint32_t *v, size_t i, size_t n, bz_index_compare_fn compare, const void *ctx)
{
    uint32_t moved = v[i];
    size_t child;
    while ((child = 2 * i + 1) < n) {
        if (child + 1 < n && sort_before(compare, ctx, v[child], v[child + 1]))
            child++;
        if (!sort_before(compare, ctx, moved, v[child]))
            break;
        v[i] = v[child];
        i = child;
    }
    v[i] = moved;
}

void bz_index_sort(uint32_t *index, size_t n, bz_index_compare_fn compare, const void *ctx)
{
    size_t i;
    for (i = n / 2; i-- > 0;)
        sort_sift(index, i, n, compare, ctx);
    for (i = n; i-- > 1;) {
        uint32_t last = index[i];
        index[i] = index[0];
        index[0] = last;
        sort_sift(index, 0, i, compare, ctx);
    }
}
