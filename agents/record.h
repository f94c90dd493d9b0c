/* SPDX-License-Identifier: MIT */
/* A session on record: what the world outside answered to an agent, so that it can be played again without computing.
 *
 * The seam is where the agent asks others: a model call (bz_turn_source) and a tool (bezel_dispatch_start_in). All between is
 * the agent's own and runs for real in a replay: prompts, parser, schemas, permissions, limits, history, journal. So a replay
 * tests the agent and the host, and needs of the model only its words (bezel_model_options.vocabulary_only). One seam further
 * out, the agent's events, would test nothing but a player; one further in, logits, would need the model's arithmetic.
 *
 * The file is lines of JSON in the order in which things ended:
 *
 *     {"bezel_record":1,"model":"…","n_ctx":4096}
 *     {"tool":{"name":"…","arguments":{…},"result":…,"summary":"…","us":12}}   or "code" (a status) and "error"
 *     {"call":{"prompt":[…],"forced":[…],"options":{…},"pieces":["…"],"ids":[…],"stop_reason":1,…}}
 *
 * A call has what bezel_generation has, as far as it was asked for; times in microseconds. What was the model's own at random
 * (seed) is in the options. A replay compares prompts and forced ids with what the agent asks now, and takes of the tools'
 * results between two calls the first unused one with the same name and equal arguments. */
#ifndef BZ_RECORD_H
#define BZ_RECORD_H

#include <stdatomic.h>

#include "turn.h"

typedef struct bz_record bz_record;

/* A new recording; a file of that name must not be there. */
bezel_status bz_record_new(bz_record **out, bezel_engine *engine, const char *path, const char *model, uint32_t n_ctx,
                           bezel_error *err);
/* Reads a recording, and how long the context was. */
bezel_status bz_record_open(bz_record **out, uint32_t *out_n_ctx, bezel_engine *engine, const char *path, bezel_error *err);
void bz_record_free(bz_record *r);
int bz_record_plays(const bz_record *r); /* 0 for NULL */

/* The source that records `inner` (borrowed), or plays. */
void bz_record_source(bz_turn_source *out, bz_record *r, const bz_turn_source *inner);

/* What else had a say in the call that starts next: kept of a recording, given by a replay. */
typedef struct bz_record_say {
    float fit_bias; /* of calls against text */
    int is_named;   /* names of tools were weighed */
} bz_record_say;
void bz_record_say_next(bz_record *r, bz_record_say *say);

/* How a tool ended: result (and summary, or NULL), or a failure. */
typedef struct bz_record_tool {
    const char *name;
    const bezel_value *arguments, *result;
    const char *summary;
    bezel_status status; /* BEZEL_OK, or why it failed */
    const char *error;
    int is_undeclared; /* a declaration without code */
    int is_dropped;    /* the turn ended before, with status */
    int64_t us;
} bz_record_tool;
/* A recording that cannot be written fails here and at the next call. */
bezel_status bz_record_tool_add(bz_record *r, const bz_record_tool *tool, bezel_error *err);
/* Fills the rest for name and arguments; pointers live as long as r. */
bezel_status bz_record_tool_next(bz_record *r, bz_record_tool *tool, bezel_error *err);

#endif
