/* SPDX-License-Identifier: MIT */
/* One answer while it grows: text, tokens, times. What computes it is a bz_scheduler, the job's own or that of a batch. */
#ifndef BZ_GENERATION_H
#define BZ_GENERATION_H

#include <bezel/batch.h>

#include "base/job_impl.h"
#include "base/strbuf.h"
#include "generate/constraint_run.h"
#include "generate/logit_filter.h"
#include "generate/sampler.h"
#include "generate/scheduler.h"
#include "generate/session_impl.h"
#include "text/detokenizer.h"
#include "text/stop_match.h"

struct bz_generation {
    bezel_job job; /* first */
    bezel_session *session;
    const bezel_world *world;
    bezel_batch *batch; /* that computes it, NULL = its own scheduler */
    bz_scheduler own;   /* of this answer alone, with the session's decoder and logits */
    bz_generation *self;        /* own.members */
    bz_segment segment;         /* own.segments */
    bz_head heads[BZ_HEADS_ALONE]; /* own.heads */
    bz_sampler *sampler;
    bz_stop_match *stops; /* NULL when there are none */
    bz_constraint_run *run; /* NULL: the answer is free */
    int jump;      /* text without a choice comes without the model */
    int may_end;   /* the next token is another call or the end */
    int is_masked; /* the next token is one of many that a constraint allows */
    int wants_all; /* a screened token was refused: all logits are needed */
    size_t n_forced;
    bz_detokenizer detokenizer;
    bz_strbuf piece; /* text of the newest token */
    bz_strbuf text;  /* answer so far */
    int is_started, is_over;
    uint32_t max_tokens, n_top;
    uint32_t stop_reason;
    int32_t stop_index;
    size_t n_prompt, n_cached;
    size_t capacity;       /* tokens that the arrays hold: all that can come */
    size_t n_ids;
    int32_t *ids;
    float *logprobs;       /* NULL unless asked for */
    int32_t *top_ids;      /* [capacity, n_top] */
    float *top_logprobs;
    bz_candidate *best;    /* [n_top] scratch */
    bz_lookup lookup;      /* off unless is_argmax */
    int is_greedy;         /* never draws */
    int is_argmax;         /* the token is the largest logit of all but the forbidden ids */
    int32_t *forbidden;
    size_t n_forbidden;
    int64_t start_ns, prompt_ns, first_ns, end_ns; /* 0 = not yet */
};

/* The answer begins: what the cache holds of the prompt stays. */
void bz_generation_start(bz_generation *g);
/* The prompt is computed up to cache->n: progress. BEZEL_DONE when no token was asked for. */
bezel_status bz_generation_prompt(bz_generation *g, bezel_error *err);
/* What a constraint leaves of the next token: BEZEL_MORE when the model decides (*out_rows, *out_n: among few, their logits
 * are enough; n 0: among all). BEZEL_TOKEN when tokens came without it, BEZEL_DONE or an error when it ended. */
bezel_status bz_generation_plan(bz_generation *g, const int32_t **out_rows, size_t *out_n, bezel_error *err);
/* 1 when the token is an argmax that may be looked for in slices. */
int bz_generation_is_argmax(const bz_generation *g);
/* bz_sampler_needs for the next token; 0 when it takes all logits, also because of a constraint or logprobs. */
size_t bz_generation_needs(const bz_generation *g);
/* A token that was picked without looking at the constraint. BEZEL_ERR_BUSY when that refuses it: draw from all logits. */
bezel_status bz_generation_picked(bz_generation *g, int32_t id, bezel_error *err);
/* From the logits [V] of the last position, in session->logits: draws and takes the next token. */
bezel_status bz_generation_draw(bz_generation *g, bezel_error *err);
/* The next token is known: keep, give out. BEZEL_MORE, BEZEL_DONE or an error. */
bezel_status bz_generation_token(bz_generation *g, int32_t id, bezel_error *err);
/* Gives out held text, notes the reason. BEZEL_DONE or an error. */
bezel_status bz_generation_finish(bz_generation *g, uint32_t reason, bezel_error *err);
/* Lets the session go; nothing more will be computed. */
void bz_generation_leave(bz_generation *g);
/* The generation behind a job of bezel_generate, NULL for another job. */
bz_generation *bz_generation_of(bezel_job *job);

#endif
