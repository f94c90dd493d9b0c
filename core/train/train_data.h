/* SPDX-License-Identifier: MIT */
/* The examples of a run: copied, split into those that teach and those that measure, put into an order of each epoch and
 * into packs. All of it follows from the examples, the options and the seed, so a run that is taken up again needs only the
 * number of the step. Immutable but for the packs of the epoch in hand. */
#ifndef BZ_TRAIN_DATA_H
#define BZ_TRAIN_DATA_H

#include <bezel/train.h>

#include "train/trainer.h"

typedef struct bz_train_data {
    const bezel_world *world;
    int32_t *ids, *targets; /* of all examples, one after the other; target: the id after it, -1 = not learned */
    size_t *start;          /* [n + 1] */
    uint32_t *order;        /* [n] teaching ones of the epoch in hand, then the measuring ones */
    uint32_t *pack;         /* [n_packs + 1] places in order */
    uint32_t *first;        /* [max_length] of the pack in hand */
    int32_t *pack_ids, *pack_targets; /* likewise */
    size_t n, n_teach, n_packs;
    uint32_t max_length;
    int packing;
    uint64_t seed;
} bz_train_data;

/* Examples without anything to learn are left out.
 *   Errors   RANGE for an id, with the number of the example; MISSING when none is left; MEMORY */
bezel_status bz_train_data_init(bz_train_data *d, const bezel_model *model, const bezel_train_example *examples, size_t count,
                                const bezel_train_options *o, bezel_error *err);
void bz_train_data_free(bz_train_data *d); /* zeroed is fine */
/* Orders and packs the teaching examples of an epoch; the number of packs. */
size_t bz_train_data_epoch(bz_train_data *d, uint64_t epoch);
/* Packs the measuring ones instead. */
size_t bz_train_data_measure(bz_train_data *d);
/* Pack i, valid until the next call; its labels without building it. */
bz_train_pack bz_train_data_pack(bz_train_data *d, size_t i);
size_t bz_train_data_labels(const bz_train_data *d, size_t i);

#endif
