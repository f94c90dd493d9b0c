/* SPDX-License-Identifier: MIT */
/* A constraint at work in one generation: watches free text for the marker of a call, then says before each token what may
 * come and after it whether it did. Text that only one continuation allows is handed out as tokens without the model.
 * Thread: confined, that of the generation. */
#ifndef BZ_CONSTRAINT_RUN_H
#define BZ_CONSTRAINT_RUN_H

#include <bezel/session.h>

#include "base/thread_pool.h"
#include "generate/constraint_impl.h"
#include "text/tokenizer_impl.h"

#define BZ_CONSTRAINT_ROWS BZ_TOKEN_MASK_ROWS /* legal tokens up to which only their rows of the output matrix are computed */

typedef struct bz_constraint_run bz_constraint_run;

typedef enum bz_constraint_plan {
    BZ_PLAN_FREE,   /* any token; ask bz_constraint_run_take afterwards */
    BZ_PLAN_NEXT,   /* any token: the next call when take accepts it, else the end */
    BZ_PLAN_END,    /* only the end is legal */
    BZ_PLAN_FORCED, /* the tokens of bz_constraint_run_forced come next, whatever the model says */
    BZ_PLAN_ROWS,   /* one of the few tokens of bz_constraint_run_rows */
    BZ_PLAN_MASK    /* many are legal: bz_constraint_run_mask before the pick, or take afterwards */
} bz_constraint_plan;

/* last: the token before the answer, -1 = none. */
bezel_status bz_constraint_run_new(bz_constraint_run **out, const bezel_world *w, const bezel_generate_options *o, int32_t last,
                                   bezel_error *err);
void bz_constraint_run_free(bz_constraint_run *run);

/* What may come next. jump 0: forced tokens come one by one, as a plan of one row. left: tokens that there is room for; before it is too late to end what was
 * begun, only that is left to do. */
bezel_status bz_constraint_run_plan(bz_constraint_plan *out, bz_constraint_run *run, int jump, size_t left, bezel_error *err);
/* 1 when the answer was ended for want of room. */
int bz_constraint_run_is_cut(const bz_constraint_run *run);
const int32_t *bz_constraint_run_forced(const bz_constraint_run *run, size_t *out_n);
const int32_t *bz_constraint_run_rows(const bz_constraint_run *run, size_t *out_n); /* end tokens among them */
/* Makes illegal logits the least ones; for plans ROWS and MASK. */
void bz_constraint_run_mask(bz_constraint_run *run, float *logits, size_t V);
/* 1 when the first token is still to come and calls have a bias: the plan is FREE, all logits are needed. */
int bz_constraint_run_wants_gate(const bz_constraint_run *run);
/* Adds the bias to the tokens that begin a call and notes what probability the model gave them. */
void bz_constraint_run_gate(bz_constraint_run *run, float *logits, size_t V, bz_thread_pool *pool);
/* Notes that the token comes. 0: it is refused, and the plan is another one now. */
int bz_constraint_run_take(bz_constraint_run *run, int32_t id);
/* For the plan NEXT: adds to the tokens that begin one more call what the evidence says for it. */
void bz_constraint_run_next(bz_constraint_run *run, float *logits, size_t V);
int bz_constraint_run_is_weighed(const bz_constraint_run *run); /* of plans MASK and NEXT all logits are needed, some have weights */
double bz_constraint_run_probability(const bz_constraint_run *run); /* of the gate, NaN = not measured */
double bz_constraint_run_name_probability(const bz_constraint_run *run); /* of the first call's name, NaN = it had no weights */

#endif
