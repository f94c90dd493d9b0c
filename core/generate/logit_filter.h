/* SPDX-License-Identifier: MIT */
/* What is done to logits before a token is picked, and what is read from them. All over V logits, nothing allocated. */
#ifndef BZ_LOGIT_FILTER_H
#define BZ_LOGIT_FILTER_H

#include <bezel/sampling.h>

#include "base/thread_pool.h"

typedef struct bz_candidate {
    double weight; /* exp((logit - best) / temperature) where a draw needs it */
    float logit;
    int32_t id;
} bz_candidate;

/* BEZEL_ERR_NUMERIC naming the first id whose logit is NaN or infinite. */
bezel_status bz_logit_check(const float *logits, size_t V, bezel_error *err);
/* bz_logit_argmax, and *out_bad: place of the first NaN or infinity, n when there is none. */
int32_t bz_logit_scan(const float *logits, size_t n, size_t *out_bad);
/* The error that bz_logit_check gives. */
bezel_status bz_logit_fail(int32_t id, int is_nan, bezel_error *err);
void bz_logit_bias(float *logits, const bezel_logit_bias *bias, size_t n);
/* l < 0 ? l * r : l / r, at most the largest float, for each distinct id of ids, once. seen is a zeroed bitmap of V bits and is zero again after. */
void bz_logit_penalty(float *logits, const int32_t *ids, size_t n, float r, uint64_t *seen);
/* Lowest id of the largest logit, -1 when all are -infinity. */
int32_t bz_logit_argmax(const float *logits, size_t V);
/* The k best into out [k], best first, lowest id first among equals; their number is min(k, V). */
size_t bz_logit_top(bz_candidate *out, const float *logits, size_t V, size_t k);
/* All ids whose logit is at least that of the k-th best, so ties with it stay; -infinity never does. In order of ids.
 * out [V]. */
size_t bz_logit_top_k(bz_candidate *out, const float *logits, size_t V, size_t k);
/* The same of a list [n] in place: keeps those that are as good as the k-th, in their order; how many. list has room for k
 * more. */
size_t bz_logit_keep(bz_candidate *list, size_t n, size_t k);
/* Moves the best candidates, until their weights sum to at least p * total, to the end of list [n]; returns how many. */
size_t bz_logit_top_p(bz_candidate *list, size_t n, double p, double total);
/* Sum of exp((l - best) * scale), best the largest logit; in double, in fixed blocks, so that it is the same for any number
 * of threads. pool may be NULL. */
double bz_logit_mass(const float *logits, size_t V, double best, double scale, bz_thread_pool *pool);
/* ln(sum(exp(logits))) */
double bz_logit_log_sum(const float *logits, size_t V, bz_thread_pool *pool);
/* exp(x) for x <= 0: to the last bit of a double down to -12, to that of a float below, 0 under -60. Weights of 262,144
 * tokens under -60 together do not reach the last bit of a sum that holds the best one, exp(0). */
double bz_logit_weight(double x);

#endif
