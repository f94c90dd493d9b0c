/* SPDX-License-Identifier: MIT */
/* Sorts a list of indices. No memory, no recursion, n log n for every input, so hostile keys cannot slow it down. */
#ifndef BZ_INDEX_SORT_H
#define BZ_INDEX_SORT_H

#include <stddef.h>
#include <stdint.h>

/* Negative, 0 or positive as item a comes before, with or after item b. */
typedef int (*bz_index_compare_fn)(const void *ctx, uint32_t a, uint32_t b);

/* Ascending; equal items in order of their index, so the result is the same everywhere. */
void bz_index_sort(uint32_t *index, size_t n, bz_index_compare_fn compare, const void *ctx);

#endif
