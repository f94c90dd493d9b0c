/* SPDX-License-Identifier: MIT */
/* The layers' weights of an open model as panels (compute/packed.h), which decoding reads faster than the blocks of the model
 * file. They lie in a side file in the cache folder (side_file.h), in the order of use; a thread that gives way to everything
 * else makes it or checks it. Until it is there, and if it never will be, the model file is read: the bits are the same. */
#ifndef BZ_WEIGHT_PACK_H
#define BZ_WEIGHT_PACK_H

#include "model/model_impl.h"

typedef struct bz_weight_pack bz_weight_pack;

/* ORDER: of the pointers of a layer, and of their use. */
enum { BZ_PACK_Q, BZ_PACK_K, BZ_PACK_V, BZ_PACK_ATTN_OUTPUT, BZ_PACK_GATE, BZ_PACK_UP, BZ_PACK_DOWN, BZ_PACK_PARTS };

typedef struct bz_packed_layer {
    const uint8_t *part[BZ_PACK_PARTS]; /* panels of all rows, 64-byte aligned; NULL = only in the model file */
} bz_packed_layer;

/* Starts nothing. *out stays NULL, and that is no error, where the kernels take no panels, no matrix has such a form, or they
 * would be more than 1 GiB. folder must not be NULL. */
bezel_status bz_weight_pack_new(bz_weight_pack **out, const bezel_model *model, const char *folder, bezel_error *err);
/* [n_layers] once they are there, else NULL; may_start: asks for them. p may be NULL. Thread: any. */
const bz_packed_layer *bz_weight_pack_get(bz_weight_pack *p, int may_start);
/* Starts, and waits until they are there or cannot be. */
bezel_status bz_weight_pack_wait(bz_weight_pack *p, bezel_error *err);
void bz_weight_pack_free(bz_weight_pack *p); /* stops the thread; NULL is fine */

#endif
