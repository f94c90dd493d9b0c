/* SPDX-License-Identifier: MIT */
/* One model call of an agent: ids in; text, calls and errors out as they come. Where the text comes from is a table, so
 * that a script can stand in for the weights. */
#ifndef BZ_TURN_H
#define BZ_TURN_H

#include <bezel/tools.h>

#include <bezel/session.h>

#include "base/os.h"
#include "base/strbuf.h"

typedef struct bz_turn_request {
    const int32_t *ids; /* [n_ids] the prompt */
    size_t n_ids;
    size_t n_prefix; /* of these, how many are the same in every conversation of such an agent; 0 = not known */
    const int32_t *forced; /* [n_forced] ids the answer begins with; they count as prompt */
    size_t n_forced;
    const bezel_generate_options *options;
} bz_turn_request;

/* Where the answer comes from. Thread: confined, but for cancel. */
typedef struct bz_turn_source {
    void *ud;
    bezel_status (*start)(void *ud, const bz_turn_request *request, bezel_error *err);
    /* As bezel_job_step: BEZEL_MORE, BEZEL_TOKEN (text waits), BEZEL_DONE or an error. */
    bezel_status (*step)(void *ud, int64_t budget_us, bezel_error *err);
    /* Next piece: 1 and whole characters that live until the next call, or 0. */
    int (*text)(void *ud, const char **text, size_t *size);
    /* After BEZEL_DONE or a cancel; pointers live until end. The forced ids are not in it. */
    bezel_status (*result)(void *ud, bezel_generation *out, bezel_error *err);
    int (*fd)(void *ud);      /* readable when step has something to do; -1 when there is none */
    void (*cancel)(void *ud); /* any thread, any time */
    void (*end)(void *ud);    /* releases what start made; also without a start */
} bz_turn_source;

/* The source that computes: a session, on the caller's thread or on the engine's worker. */
typedef struct bz_turn_session {
    const bezel_world *world;
    bezel_session *session; /* borrowed */
    int background;
    bezel_job *job;
    bz_mutex *mutex; /* guards `job` against bezel_job_free while another thread cancels */
} bz_turn_session;
bezel_status bz_turn_session_init(bz_turn_session *s, const bezel_world *w, bezel_session *session, int background,
                                  bezel_error *err);
void bz_turn_session_free(bz_turn_session *s);
void bz_turn_session_source(bz_turn_source *out, bz_turn_session *s);

/* One model call. Zeroed = not running. */
typedef struct bz_turn {
    const bezel_world *world;
    const bz_turn_source *source;
    bezel_parser *parser;  /* NULL without tools */
    bz_strbuf text;        /* everything the model wrote, verbatim */
    size_t shown;          /* without a parser: bytes of text given out as events */
    int done;              /* the source has ended, the parser is finished */
    bezel_generation generation; /* once done */
} bz_turn;

/* Starts. forced_text is the text of the forced ids. On failure nothing runs. */
bezel_status bz_turn_start(bz_turn *t, const bezel_world *w, const bz_turn_source *source, const bezel_toolset *tools,
                           const bz_turn_request *request, const char *forced_text, bezel_error *err);
/* BEZEL_MORE, BEZEL_TOKEN after new text was read, BEZEL_DONE or an error. */
bezel_status bz_turn_step(bz_turn *t, int64_t budget_us, bezel_error *err);
/* Takes the next event: 1, or 0. Pointers live until the next call. */
int bz_turn_event(bz_turn *t, bezel_parse_event *out);
/* Takes what was written before a failure or cancel, as far as the source can tell. */
void bz_turn_salvage(bz_turn *t);
void bz_turn_end(bz_turn *t); /* also for one that never started */

#endif
