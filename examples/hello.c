/* SPDX-License-Identifier: MIT */
/* The whole public flow: engine, model, session, a generation that prints as it comes.
 *
 *     hello MODEL.gguf ["text to continue"] */
#include <bezel/bezel.h>
#include <stdio.h>

static int failed(const bezel_error *err) {
    fprintf(stderr, "%s: %s\n%s\n", err->origin, err->text, err->hint);
    return 1;
}

static bezel_status generate(bezel_session *session, bezel_error *err) {
    bezel_job *job;
    bezel_event event = {.size = sizeof event};
    bezel_generate_options options;
    bezel_generate_options_init(&options);
    bezel_sampling_greedy(&options.sampling);
    options.max_tokens = 32;
    bezel_status st = bezel_generate(&job, session, &options, err);
    if (st != BEZEL_OK) return st;
    do {
        st = bezel_job_step(job, -1, err);
        while (bezel_job_event(job, &event))
            if (event.type == BEZEL_EVENT_TEXT) fwrite(event.text, 1, event.text_size, stdout);
        fflush(stdout);
    } while (st > 0 && st != BEZEL_DONE);
    putchar('\n');
    bezel_job_free(job);
    return st == BEZEL_DONE ? BEZEL_OK : st;
}

int main(int argc, char **argv) {
    const char *text = argc > 2 ? argv[2] : "The capital of France is";
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_engine *engine = NULL;
    bezel_model *model = NULL;
    bezel_session *session = NULL;
    int status = 0;
    if (argc < 2) {
        fprintf(stderr, "usage: hello MODEL.gguf [text]\n");
        return 2;
    }
    if (bezel_engine_new(&engine, NULL, &err) != BEZEL_OK || bezel_model_open(&model, engine, argv[1], NULL, &err) != BEZEL_OK ||
        bezel_session_new(&session, model, NULL, &err) != BEZEL_OK ||
        bezel_session_append_text(session, text, SIZE_MAX, BEZEL_TOKENIZE_BOS, &err) != BEZEL_OK) {
        status = failed(&err);
    } else {
        printf("%s", text);
        if (generate(session, &err) != BEZEL_OK) status = failed(&err);
    }
    bezel_session_free(session);
    bezel_model_free(model);
    bezel_engine_free(engine);
    return status;
}
