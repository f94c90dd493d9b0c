/* SPDX-License-Identifier: MIT */
/* The tiny seeded Gemma 3 of tests/golden with an engine of its own. */
#include "support/tiny_model.h"

#include <check.h>
#include <math.h>
#include <string.h>

void tiny_model_open(tiny_model *t, uint32_t isa, uint32_t threads, const bezel_world *world)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_engine_options o;
    bezel_engine_options_init(&o);
    o.isa = isa;
    o.threads = threads;
    o.world = world;
    ck_assert_msg(bezel_engine_new(&t->engine, &o, &err) == BEZEL_OK, "engine: %s", err.text);
    ck_assert_msg(bezel_model_open(&t->model, t->engine, TINY_MODEL_PATH, NULL, &err) == BEZEL_OK, "model: %s", err.text);
}

void tiny_model_close(tiny_model *t)
{
    bezel_model_free(t->model);
    bezel_engine_free(t->engine);
}

bezel_session *tiny_model_session(const tiny_model *t, uint32_t n_ctx, uint32_t chunk, uint32_t activations)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_session *s = NULL;
    bezel_session_options o;
    bezel_session_options_init(&o);
    o.n_ctx = n_ctx;
    o.chunk = chunk;
    o.activations = activations;
    ck_assert_msg(bezel_session_new(&s, t->model, &o, &err) == BEZEL_OK, "session: %s", err.text);
    return s;
}

bezel_status tiny_model_drive(bezel_job *job, bezel_error *err)
{
    bezel_status status;
    do {
        bezel_event event = {.size = (uint32_t)sizeof event};
        status = bezel_job_step(job, -1, err);
        while (bezel_job_event(job, &event)) {
        }
    } while (status > 0 && status != BEZEL_DONE);
    return status;
}

size_t tiny_model_greedy(int32_t *out, bezel_session *s, uint32_t n)
{
    const bezel_logit_bias no_end[2] = {{1, -INFINITY}, {6, -INFINITY}}; /* <eos>, <end_of_turn> */
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_generation g = {.size = (uint32_t)sizeof g};
    bezel_generate_options o;
    bezel_job *job = NULL;
    bezel_generate_options_init(&o);
    bezel_sampling_greedy(&o.sampling);
    o.sampling.bias = no_end;
    o.sampling.n_bias = 2;
    o.max_tokens = n;
    ck_assert_msg(bezel_generate(&job, s, &o, &err) == BEZEL_OK, "generate: %s", err.text);
    ck_assert_msg(tiny_model_drive(job, &err) == BEZEL_DONE, "generate: %s", err.text);
    ck_assert_int_eq(bezel_generation_get(job, &g, &err), BEZEL_OK);
    memcpy(out, g.ids, g.n_ids * sizeof *out);
    const size_t count = g.n_ids;
    bezel_job_free(job);
    return count;
}

void tiny_model_ids(int32_t *out, size_t n, uint32_t seed)
{
    uint32_t x = seed * 2654435761U + 1;
    for (size_t i = 0; i < n; ++i) {
        x = x * 1664525U + 1013904223U;
        out[i] = i == 0 ? 2 : (int32_t)(12 + (x >> 8) % 360);
    }
}
