/* SPDX-License-Identifier: MIT */
/* Picks a token from logits. Order as in Hugging Face (MODEL.md 7.1): bias, repetition penalty, then unless greedy
 * temperature, top-k, top-p, min-p, softmax, draw. All memory is taken when it is made. Thread: confined. */
#ifndef BZ_SAMPLER_H
#define BZ_SAMPLER_H

#include <bezel/sampling.h>

#include "base/thread_pool.h"

typedef struct bz_sampler bz_sampler;

/* BEZEL_ERR_RANGE naming the member, its value and the range; BEZEL_ERR_ARGUMENT for a bias list that is not there. */
bezel_status bz_sampling_check(const bezel_sampling *s, size_t V, bezel_error *err);
/* Checks and copies the options, the bias list too. seed 0 takes one from the world. pool (may be NULL) only makes it
 * faster. */
bezel_status bz_sampler_new(bz_sampler **out, const bezel_world *w, bz_thread_pool *pool,
                            const bezel_sampling *options, size_t V, bezel_error *err);
void bz_sampler_free(bz_sampler *s);
/* logits [V] stay as they are; ids [n] is the whole timeline, for the penalty.
 *   Errors   BEZEL_ERR_NUMERIC for NaN or infinity in logits, and when the bias forbids every token */
bezel_status bz_sampler_pick(int32_t *out, bz_sampler *s, const float *logits, const int32_t *ids, size_t n,
                             bezel_error *err);
bezel_status bz_sampler_fail_forbidden(bezel_error *err); /* every token is */
/* 1 when the token is the largest logit of all ids but those with a bias of -infinity: greedy, without penalty and without
 * other bias. out [n_bias] gets these ids, *out_n their number; room for options->n_bias of them. */
int bz_sampler_is_argmax(const bz_sampler *s, int32_t *out, size_t *out_n);

/* --- From a few logits ----------------------------------------------------------------------
 *
 * Greedy, top-k, and min-p without top-p need only the logits from a floor upwards. Those are enough for the token that all
 * logits would give, with the same random numbers: the lists of candidates are equal, element by element. */

/* How many logits are needed to set the floor; 0 when the token depends on all: no top-k or min-p to cut with, more than
 * BZ_SCREEN_KEPT of a top-k, or a penalty below 1, which raises logits. */
size_t bz_sampler_needs(const bz_sampler *s);
const bezel_logit_bias *bz_sampler_bias(const bz_sampler *s, size_t *out_n);
/* A logit below this (before bias and penalty, of an id without bias) cannot matter. From rows [n], any of them, whose logits
 * stand at their places; -INFINITY when they are too few. ids: the timeline. */
double bz_sampler_floor(bz_sampler *s, const float *logits, const int32_t *rows, size_t n, const int32_t *ids, size_t n_ids);
/* As bz_sampler_pick. rows [n], upwards: all that reach the floor, and those with a bias that is finite. */
int32_t bz_sampler_pick_rows(bz_sampler *s, const float *logits, const int32_t *rows, size_t n, const int32_t *ids,
                             size_t n_ids);

#endif
