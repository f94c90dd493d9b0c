/* SPDX-License-Identifier: MIT */
/* The tensor table of the Gemma families: name in the file, shape from the configuration, where the pointer goes. Load,
 * check and describe walk it; a tensor that is not in it is not used. */
#ifndef BZ_WEIGHT_MAP_H
#define BZ_WEIGHT_MAP_H

#include "model/weights.h"

enum { /* a size taken from bz_config */
    BZ_SIZE_ONE,
    BZ_SIZE_D,
    BZ_SIZE_F,
    BZ_SIZE_V,
    BZ_SIZE_Q,  /* H * Dh */
    BZ_SIZE_KV, /* Hkv * Dh */
    BZ_SIZE_DH
};

enum { /* when a row is in a model */
    BZ_WEIGHT_REQUIRED,
    BZ_WEIGHT_OPTIONAL,
    BZ_WEIGHT_QK_NORM,  /* required when the family has it, else not looked for */
    BZ_WEIGHT_POST_NORM
};

typedef struct bz_weight_row {
    const char *name; /* in the file, without ".weight"; of a layer: after "blk.N." */
    uint8_t is_layer;
    uint8_t is_norm;  /* vector in F32 (F16 and BF16 are converted); else a matrix of any readable type */
    uint8_t K, N;     /* BZ_SIZE_... of a row and of the rows */
    uint8_t when;     /* BZ_WEIGHT_... */
    uint16_t member;  /* offset in bz_weights or bz_layer_weights */
} bz_weight_row;

extern const bz_weight_row bz_weight_rows[];
extern const uint32_t bz_n_weight_rows;

uint64_t bz_weight_size(const bz_config *c, uint8_t size); /* BZ_SIZE_... to a number */
/* Whether a model of this family must (1), may (0) or does not (-1) have the row. */
int bz_weight_row_need(const bz_weight_row *row, const bz_family *family);
/* "blk.3.attn_q.weight"; returns out. */
const char *bz_weight_name(char out[64], const bz_weight_row *row, uint32_t layer);

#endif
