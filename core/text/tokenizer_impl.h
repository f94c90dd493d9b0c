/* SPDX-License-Identifier: MIT */
/* Text to ids (MODEL.md 3.2). Immutable, any thread. */
#ifndef BZ_TOKENIZER_IMPL_H
#define BZ_TOKENIZER_IMPL_H

#include "text/vocab.h"

typedef struct bz_ids { /* growing list of ids; the first failure sticks in status */
    const bezel_world *world;
    int32_t *ids;
    size_t count, capacity;
    bezel_status status;
} bz_ids;
void bz_ids_init(bz_ids *l, const bezel_world *w);
void bz_ids_free(bz_ids *l);
void bz_ids_add(bz_ids *l, int32_t id);

/* Appends the ids of `text`. special 0: control texts and the structure marks that the file only calls user-defined
 * (turn, image, audio and tool marks, [multimodal]) stay plain pieces. No BOS is added. */
bezel_status bz_tokenize(bz_ids *out, const bz_vocab *v, const char *text, size_t size, int special, bezel_error *err);

#endif
