/* SPDX-License-Identifier: MIT */
/* Tensor element types of GGUF: ids, block sizes. Values are the file's ids (gguf, ggml type ids). */
#ifndef BZ_DTYPE_H
#define BZ_DTYPE_H

#include <stddef.h>
#include <stdint.h>

enum {
    BZ_DTYPE_F32 = 0,
    BZ_DTYPE_F16 = 1,
    BZ_DTYPE_Q4_0 = 2,
    BZ_DTYPE_Q4_1 = 3,
    BZ_DTYPE_Q5_0 = 6,
    BZ_DTYPE_Q5_1 = 7,
    BZ_DTYPE_Q8_0 = 8,
    BZ_DTYPE_Q8_1 = 9,
    BZ_DTYPE_Q2_K = 10,
    BZ_DTYPE_Q3_K = 11,
    BZ_DTYPE_Q4_K = 12,
    BZ_DTYPE_Q5_K = 13,
    BZ_DTYPE_Q6_K = 14,
    BZ_DTYPE_Q8_K = 15,
    BZ_DTYPE_IQ4_NL = 20,
    BZ_DTYPE_IQ4_XS = 23,
    BZ_DTYPE_I8 = 24, /* no weights: keys and values, see compute/key_block.h */
    BZ_DTYPE_BF16 = 30,
    BZ_DTYPE_LIMIT = 31 /* one more than the largest id here */
};

typedef struct bz_dtype {
    const char *name;    /* "Q4_K" */
    uint32_t block;      /* elements a block, 0 for an id that is unknown or not readable */
    uint32_t block_size; /* bytes a block */
} bz_dtype;

/* Row of the table, or NULL for an id this build cannot read. */
const bz_dtype *bz_dtype_find(uint32_t id);

#endif
