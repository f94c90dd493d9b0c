/* SPDX-License-Identifier: MIT */
/* State of a training run between two units, and its checkpoint. Thread: the job's. */
#ifndef BZ_TRAIN_RUN_H
#define BZ_TRAIN_RUN_H

#include "base/job_impl.h"
#include "train/optimizer.h"
#include "train/train_data.h"

typedef struct bz_train_run {
    bezel_job job; /* first */
    bezel_model *model;
    bezel_train_options options; /* its texts are not the caller's */
    char *checkpoint;            /* path, NULL = none */
    uint8_t name[16];            /* of all that the numbers follow from: a checkpoint belongs to it */
    bz_train_data data;
    bezel_adapter *adapter, *best; /* best: numbers of the best measurement */
    bz_trainer *trainer;
    bz_optimizer optimizer;

    int phase;
    uint64_t step, steps;        /* done; of the whole run */
    uint64_t epoch, epoch_step;  /* epoch in hand; step at which it began */
    int packs_ready;             /* data has the packs of `epoch` */
    size_t pack, pack_end;       /* of the step, or of the measurement, in hand */
    uint64_t tokens;             /* taught by the steps done */
    uint64_t step_tokens;        /* by the step in hand */
    double best_loss;            /* infinite before the first measurement */
    uint32_t waited;             /* measurements since the best one */
    int is_measured;             /* the numbers as they are */

    double log_loss, log_norm;   /* since the last line of the log: sum over steps; of the last gradient */
    uint64_t log_steps, log_labels, log_hits;
} bz_train_run;

/* What options and examples decide. */
void bz_train_run_name(bz_train_run *r);
/* Reads the checkpoint, where there is one. */
bezel_status bz_train_run_load(bz_train_run *r, bezel_error *err);
/* Writes it beside its name, then renames; the old one stays until then. */
bezel_status bz_train_run_save(bz_train_run *r, bezel_error *err);

#endif
