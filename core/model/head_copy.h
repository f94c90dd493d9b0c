/* SPDX-License-Identifier: MIT */
/* The coarse output matrix of an open model: its side file in the cache folder is mapped, or made first, by a thread that
 * gives way to everything else. Until it is there, and if it never will be, the full matrix is used. */
#ifndef BZ_HEAD_COPY_H
#define BZ_HEAD_COPY_H

#include "compute/screen.h"
#include "model/model_impl.h"

typedef struct bz_head_copy bz_head_copy;

/* Starts nothing. *out stays NULL, and that is no error, for a matrix that cannot be screened: logits are capped, rows
 * are too short, a type with minimum. folder must not be NULL. */
bezel_status bz_head_copy_new(bz_head_copy **out, const bezel_model *model, const char *folder, bezel_error *err);
/* The copy once it is there, else NULL; may_start: asks for it. c may be NULL. Thread: any. */
const bz_screen *bz_head_copy_get(bz_head_copy *c, int may_start);
/* Starts, and waits until it is there or cannot be. */
bezel_status bz_head_copy_wait(bz_head_copy *c, bezel_error *err);
void bz_head_copy_free(bz_head_copy *c); /* stops the thread; NULL is fine */

#endif
