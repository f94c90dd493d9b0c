/* SPDX-License-Identifier: MIT */
/* AdamW over the numbers of an adapter, the length of its gradient, and the course of the learning rate. All of it runs in one
 * order on one thread: the same bits on every machine of a level. */
#ifndef BZ_OPTIMIZER_H
#define BZ_OPTIMIZER_H

#include "model/adapter_impl.h"

/* Moments f32, as wide as the numbers. Source: Loshchilov and Hutter, "Decoupled weight decay regularization". */
typedef struct bz_optimizer {
    bezel_adapter *adapter;   /* what is changed; the caller's */
    bezel_adapter *mean, *square; /* moments */
    uint64_t step;            /* steps done */
    float beta1, beta2, eps, decay;
} bz_optimizer;

/* beta 0.9 and 0.999, eps 1e-8. */
bezel_status bz_optimizer_init(bz_optimizer *o, bezel_adapter *adapter, float decay, bezel_error *err);
void bz_optimizer_free(bz_optimizer *o); /* zeroed struct is fine */
/* One step against grad times factor. */
void bz_optimizer_step(bz_optimizer *o, const bezel_adapter *grad, double rate, double factor);

/* Euclidean length of all its numbers; NaN or infinite when one of them is. */
double bz_gradient_norm(const bezel_adapter *grad);
/* What a gradient of this length is multiplied by so that it is no longer than `most` (0 = as long as it likes). */
double bz_gradient_clip(double norm, double most);

enum { BZ_RATE_CONSTANT, BZ_RATE_LINEAR, BZ_RATE_COSINE };

/* Part of the learning rate for a step (from 0) of `total`: rising to 1 over `warm_up` steps, then as the course says, towards 0. */
double bz_rate_course(uint32_t course, uint64_t step, uint64_t warm_up, uint64_t total);

#endif
