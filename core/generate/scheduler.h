/* SPDX-License-Identifier: MIT */
/* Computes the answers of one or more generations together: which rows stand in the next pass, whose logits are needed.
 * A member that decodes has a row in every pass where there is room, prompts share what is left in the order of joining.
 * What a member gets does not depend on the others. Allocates nothing. Thread: confined. */
#ifndef BZ_SCHEDULER_H
#define BZ_SCHEDULER_H

#include "generate/lookup.h"
#include "model/decoder.h"

#define BZ_HEADS_ALONE (1 + BZ_LOOKUP_MOST) /* positions of one session whose logits a pass needs */

typedef struct bz_generation bz_generation;

/* One position that needs its logits. */
typedef struct bz_head {
    bz_generation *g;
    uint32_t row; /* of the pass */
    float best;   /* largest logit so far and its id, -1 = none; only for an argmax */
    int32_t id;
    int32_t bad; /* first id whose logit is no number, -1 = none */
} bz_head;

typedef struct bz_scheduler {
    bz_decoder *decoder;
    bz_generation **members; /* [n_members] in order of joining; the over ones are passed by */
    size_t n_members;
    size_t turn;     /* member that the next pass looks at first */
    uint32_t most;   /* rows a pass */
    int64_t unit_ns; /* how long a unit should take at most, 0 = no wish: prompts go in smaller pieces then */
    uint32_t phase;  /* of a pass; 0 between two */
    bz_segment *segments; /* [most or members] */
    bz_head *heads;       /* likewise, or BZ_HEADS_ALONE; between planning and head: one a segment */
    size_t n_segments, n_heads;
    float *scratch; /* [n_scratch] logits of a slice */
    size_t n_scratch;
} bz_scheduler;

/* One layer of a pass, or one slice of the output matrix; the last slice also takes the tokens. A member that ends is
 * told so by its job. 0 when no member is left to compute. */
int bz_scheduler_unit(bz_scheduler *s);
/* The pass in progress is given up and will be planned anew: before a member leaves, or when the decoder changes. */
void bz_scheduler_drop_pass(bz_scheduler *s);

#endif
