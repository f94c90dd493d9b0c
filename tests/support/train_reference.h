/* SPDX-License-Identifier: MIT */
/* The loss of a model with low-rank pairs, written down once more: plain loops in f64, one example at a time, no code of
 * core/train. Central differences of it are what gradients are compared with. */
#ifndef TEST_TRAIN_REFERENCE_H
#define TEST_TRAIN_REFERENCE_H

#include "train/trainer.h"

/* The numbers of an adapter as f64, to be changed one at a time. */
typedef struct train_reference {
    const bezel_adapter *adapter;
    double **a, **b; /* [n_layers * BZ_N_TARGETS], as in bz_low_rank */
} train_reference;

void train_reference_init(train_reference *r, const bezel_adapter *adapter);
void train_reference_free(train_reference *r);
/* Sum of the losses of the labelled positions. */
double train_reference_loss(const train_reference *r, const bz_train_pack *pack);
/* Derivative of the loss by *p, one of the numbers of r. */
double train_reference_slope(const train_reference *r, const bz_train_pack *pack, double *p);

#endif
