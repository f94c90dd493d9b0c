/* SPDX-License-Identifier: MIT */
/* A conversation in the terminal, a line a turn, through an agent without tools. Messages are kept between turns, so the
 * model's cache is reused and only the new line is computed.
 *
 *     chat MODEL.gguf ["system text"] < lines */
#include <bezel/agent.h>
#include <bezel/bezel.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failed(const bezel_error *err) {
    fprintf(stderr, "%s: %s\n%s\n", err->origin, err->text, err->hint);
    return 1;
}

static bezel_status turn(bezel_agent *agent, const char *line, bezel_error *err) {
    bezel_agent_event event = {.size = sizeof event};
    bezel_status st = bezel_agent_send(agent, line, SIZE_MAX, err);
    while (st >= 0 && st != BEZEL_DONE) {
        st = bezel_agent_step(agent, -1, err);
        while (bezel_agent_event_next(agent, &event))
            if (event.type == BEZEL_AGENT_TEXT)
                fwrite(event.text, 1, event.text_size, stdout);
            else if (event.text)
                fprintf(stderr, "[%s]\n", event.text);
        fflush(stdout);
    }
    putchar('\n');
    return st == BEZEL_DONE ? BEZEL_OK : st;
}

static int talk(bezel_model *model, const char *system) {
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_agent_options options;
    bezel_agent *agent;
    char line[4096];
    int status = 0;
    bezel_agent_options_init(&options);
    options.system = system;
    options.generate.max_tokens = 64;
    options.record = getenv("BEZEL_RECORD");
    options.replay = getenv("BEZEL_REPLAY");
    if (bezel_agent_new(&agent, model, &options, &err) != BEZEL_OK) return failed(&err);
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\r\n")] = 0;
        if (*line && turn(agent, line, &err) != BEZEL_OK) status = failed(&err); /* the conversation goes on */
    }
    bezel_agent_free(agent);
    return status;
}

int main(int argc, char **argv) {
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_engine *engine = NULL;
    bezel_model *model = NULL;
    bezel_model_options model_options;
    int status;
    if (argc < 2) {
        fprintf(stderr, "usage: chat MODEL.gguf [system text]\n");
        return 2;
    }
    bezel_model_options_init(&model_options);
    model_options.vocabulary_only = getenv("BEZEL_REPLAY") != NULL; /* a replay asks the model for its words only */
    if (bezel_engine_new(&engine, NULL, &err) != BEZEL_OK ||
        bezel_model_open(&model, engine, argv[1], &model_options, &err) != BEZEL_OK)
        status = failed(&err);
    else
        status = talk(model, argc > 2 ? argv[2] : NULL);
    bezel_model_free(model);
    bezel_engine_free(engine);
    return status;
}
