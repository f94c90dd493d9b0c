/* SPDX-License-Identifier: MIT */
/* A 60 Hz loop that gives Bezel 4 ms of each frame, loading included, and prints how long the frames really took.
 *
 *     game_loop MODEL.gguf [frames at most] */
#include <bezel/bezel.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BUDGET_US 4000
#define FRAME_US 16667
#define BUCKETS 12 /* of 1 ms; the last one holds everything longer */

typedef struct game {
    long frames, over_budget; /* over: more than 1 ms above the budget */
    long histogram[BUCKETS];
    int64_t longest_us;
} game;

static int64_t now_us(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/* One frame: Bezel's share, then whatever is left of the frame for the game itself (here: sleep). */
static bezel_status frame(game *g, bezel_job *job, bezel_error *err) {
    bezel_event event = {.size = sizeof event};
    int64_t start = now_us();
    bezel_status st = bezel_job_step(job, BUDGET_US, err);
    int64_t took = now_us() - start;
    while (bezel_job_event(job, &event))
        if (event.type == BEZEL_EVENT_TEXT) fwrite(event.text, 1, event.text_size, stdout);
    fflush(stdout);
    int64_t bucket = took / 1000;
    g->frames++;
    g->histogram[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
    g->over_budget += took > BUDGET_US + 1000;
    if (took > g->longest_us) g->longest_us = took;
    struct timespec rest = {0, (FRAME_US - took % FRAME_US) * 1000};
    nanosleep(&rest, NULL);
    return st;
}

static bezel_status play(game *g, bezel_job *job, long max_frames, bezel_error *err) {
    bezel_status st = BEZEL_MORE;
    while (st > 0 && st != BEZEL_DONE && g->frames < max_frames) st = frame(g, job, err);
    return st < 0 ? st : BEZEL_OK;
}

static void print_histogram(const game *g) {
    printf("\n\n%ld frames, longest %.1f ms, over 5 ms: %.2f %%\n", g->frames, (double)g->longest_us / 1e3,
           g->frames ? 100.0 * (double)g->over_budget / (double)g->frames : 0.0);
    for (int i = 0; i < BUCKETS; i++) {
        printf("%2d%s ms %6ld ", i, i == BUCKETS - 1 ? "+" : " ", g->histogram[i]);
        for (long k = 0; g->frames && k < g->histogram[i] * 50 / g->frames; k++) putchar('#');
        putchar('\n');
    }
}

int main(int argc, char **argv) {
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_engine *engine = NULL;
    bezel_model *model = NULL;
    bezel_session *session = NULL;
    bezel_job *job = NULL;
    bezel_generate_options options;
    game g = {0};
    long max_frames = argc > 2 ? strtol(argv[2], NULL, 10) : 2000;
    if (argc < 2) {
        fprintf(stderr, "usage: game_loop MODEL.gguf [frames]\n");
        return 2;
    }
    bezel_generate_options_init(&options);
    options.max_tokens = 48;
    options.sampling.seed = 7;
    bezel_status st = bezel_engine_new(&engine, NULL, &err);
    if (st == BEZEL_OK) st = bezel_model_open_job(&job, engine, argv[1], NULL, &err);
    if (st == BEZEL_OK) st = play(&g, job, LONG_MAX, &err);
    if (st == BEZEL_OK) st = bezel_model_take(&model, job, &err);
    bezel_job_free(job);
    job = NULL;
    if (st == BEZEL_OK) st = bezel_session_new(&session, model, NULL, &err);
    if (st == BEZEL_OK)
        st = bezel_session_append_text(session, "The old innkeeper looked up and said:", SIZE_MAX, BEZEL_TOKENIZE_BOS, &err);
    if (st == BEZEL_OK) st = bezel_generate(&job, session, &options, &err);
    if (st == BEZEL_OK) st = play(&g, job, max_frames, &err);
    if (st != BEZEL_OK) fprintf(stderr, "%s: %s\n%s\n", err.origin, err.text, err.hint);
    print_histogram(&g);
    bezel_job_free(job);
    bezel_session_free(session);
    bezel_model_free(model);
    bezel_engine_free(engine);
    return st == BEZEL_OK ? 0 : 1;
}
