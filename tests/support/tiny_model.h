/* SPDX-License-Identifier: MIT */
/* The tiny seeded Gemma 3 of tests/golden with an engine of its own. Tests run from the root of the repository. */
#ifndef TEST_TINY_MODEL_H
#define TEST_TINY_MODEL_H

#include <bezel/session.h>

#define TINY_MODEL_PATH "tests/golden/tiny_gemma3.gguf"

typedef struct tiny_model {
    bezel_engine *engine;
    bezel_model *model;
} tiny_model;

/* isa BEZEL_ISA_...; world NULL = the system's. Fails the test when it cannot be opened. */
void tiny_model_open(tiny_model *t, uint32_t isa, uint32_t threads, const bezel_world *world);
void tiny_model_close(tiny_model *t);
bezel_session *tiny_model_session(const tiny_model *t, uint32_t n_ctx, uint32_t chunk, uint32_t activations);
/* Steps a job to its end; its status. */
bezel_status tiny_model_drive(bezel_job *job, bezel_error *err);
/* Greedy answer of up to n tokens into out [n]; returns their number. End tokens are kept out by bias, so there are n
 * unless the context ends. */
size_t tiny_model_greedy(int32_t *out, bezel_session *s, uint32_t n);
/* n ids that the vocabulary has, the first one BOS, by a fixed rule from `seed`. */
void tiny_model_ids(int32_t *out, size_t n, uint32_t seed);

#endif
