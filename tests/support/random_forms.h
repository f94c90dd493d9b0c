/* SPDX-License-Identifier: MIT */
/* Random sets of tools, whose schemas have every keyword that a constraint keeps, and random answers under them: as a model
 * with random logits would write them. */
#ifndef TEST_RANDOM_FORMS_H
#define TEST_RANDOM_FORMS_H

#include <bezel/model.h>
#include <bezel/value.h>

#include "base/rng.h"

#include <stddef.h>

enum { RANDOM_FORMS_CALLS = 3 };

typedef struct random_forms {
    size_t n_answers;  /* written */
    size_t n_states;   /* masks compared with stepping every token */
    size_t n_sampled, n_forced; /* tokens */
    size_t n_unfinished; /* answers that were given up as too long */
} random_forms;

/* Writes n answers, each for a new set of tools, the five dialects and both orders in turn. Each has to parse, to be valid, to
 * hold at most RANDOM_FORMS_CALLS calls and none twice; at about n_masks of the states the mask is compared with stepping every
 * token, and what is forced with what is legal. No state is without a legal token. Fails the running test else. */
void random_forms_run(random_forms *out, bezel_model *model, uint64_t seed, size_t n, size_t n_masks);

/* A number of the environment, for tests of which only a part runs by default. */
size_t random_forms_count(const char *variable, size_t otherwise);

#endif
