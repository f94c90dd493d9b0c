/* SPDX-License-Identifier: MIT */
/* Several sessions of one model computed together, and the same one after another: the answers are equal, the time is not.
 *
 *     together MODEL.gguf */
#include <bezel/bezel.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { N = 4 };
static const char *const texts[N] = {"The capital of France is", "Once upon a time there was", "Water boils at",
                                     "My favourite colour is"};

typedef struct run {
    bezel_session *session[N];
    bezel_job *job[N];
    bezel_generation answer[N];
    double seconds;
} run;

static bezel_status start(run *r, bezel_model *model, bezel_error *err) {
    bezel_status st = BEZEL_OK;
    for (int i = 0; i < N && st == BEZEL_OK; i++) {
        bezel_generate_options options;
        bezel_generate_options_init(&options);
        bezel_sampling_greedy(&options.sampling);
        options.max_tokens = 32;
        st = bezel_session_new(&r->session[i], model, NULL, err);
        if (st == BEZEL_OK) st = bezel_session_append_text(r->session[i], texts[i], SIZE_MAX, BEZEL_TOKENIZE_BOS, err);
        if (st == BEZEL_OK) st = bezel_generate(&r->job[i], r->session[i], &options, err);
    }
    return st;
}

static void finish(run *r) {
    for (int i = 0; i < N; i++) {
        bezel_job_free(r->job[i]);
        bezel_session_free(r->session[i]);
    }
}

/* In one batch, or each alone. */
static bezel_status compute(run *r, bezel_engine *engine, bezel_model *model, int together, bezel_error *err) {
    const bezel_world *world = bezel_engine_world(engine);
    bezel_batch *batch = NULL;
    bezel_status st = start(r, model, err);
    int64_t begin = world->monotonic_ns(world->ud);
    if (st == BEZEL_OK && together) {
        st = bezel_batch_new(&batch, model, NULL, err);
        for (int i = 0; i < N && st == BEZEL_OK; i++) st = bezel_batch_add(batch, r->job[i], err);
        while (st >= BEZEL_OK && st != BEZEL_DONE) st = bezel_batch_step(batch, 10000, err);
    }
    for (int i = 0; i < N && st >= BEZEL_OK; i++) {
        do st = bezel_job_step(r->job[i], 10000, err); /* in a batch it has ended already */
        while (st > 0 && st != BEZEL_DONE);
        r->answer[i].size = sizeof r->answer[i];
        if (st >= BEZEL_OK) st = bezel_generation_get(r->job[i], &r->answer[i], err);
    }
    r->seconds = (double)(world->monotonic_ns(world->ud) - begin) / 1e9;
    bezel_batch_free(batch);
    return st;
}

int main(int argc, char **argv) {
    static run alone, together;
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_engine *engine = NULL;
    bezel_model *model = NULL;
    int status = 1;
    if (argc < 2) {
        fprintf(stderr, "usage: together MODEL.gguf\n");
        return 2;
    }
    if (bezel_engine_new(&engine, NULL, &err) != BEZEL_OK || bezel_model_open(&model, engine, argv[1], NULL, &err) != BEZEL_OK ||
        compute(&alone, engine, model, 0, &err) != BEZEL_OK || compute(&together, engine, model, 1, &err) != BEZEL_OK) {
        fprintf(stderr, "%s: %s\n%s\n", err.origin, err.text, err.hint);
    } else {
        status = 0;
        for (int i = 0; i < N; i++) {
            const bezel_generation *a = &alone.answer[i], *b = &together.answer[i];
            printf("%s%s\n\n", texts[i], b->text);
            if (a->n_ids != b->n_ids || memcmp(a->ids, b->ids, a->n_ids * sizeof *a->ids) != 0) status = 1;
        }
        printf("%d answers: %.2f s one after another, %.2f s together%s\n", N, alone.seconds, together.seconds,
               status ? ", and they DIFFER" : "");
    }
    finish(&alone);
    finish(&together);
    bezel_model_free(model);
    bezel_engine_free(engine);
    return status;
}
