/* SPDX-License-Identifier: MIT */
/* One model call: source text goes verbatim into the history and through the parser into events. It decides nothing:
 * whether a call is run is the loop's matter (agent_loop.c). */
#include "turn.h"

#include <string.h>

#include "base/alloc.h"

/* --- The session as a source -------------------------------------------------------------- */

bezel_status bz_turn_session_init(bz_turn_session *s, const bezel_world *w, bezel_session *session, int background,
                                  bezel_error *err)
{
    *s = (bz_turn_session){.world = w, .session = session, .background = background};
    s->mutex = bz_mutex_new(w);
    return s->mutex ? BEZEL_OK : bz_fail_memory(err, "agent", "a lock", sizeof s->mutex);
}

static void session_end(void *ud)
{
    bz_turn_session *s = ud;
    bz_mutex_lock(s->mutex);
    bezel_job *job = s->job;
    s->job = NULL;
    bz_mutex_unlock(s->mutex);
    bezel_job_free(job);
}

void bz_turn_session_free(bz_turn_session *s)
{
    if (!s->mutex)
        return;
    session_end(s);
    bz_mutex_free(s->world, s->mutex);
    s->mutex = NULL;
}

static bezel_status session_start(void *ud, const bz_turn_request *r, bezel_error *err)
{
    bz_turn_session *s = ud;
    bezel_job *job = NULL;
    bezel_status st = bezel_session_set(s->session, r->ids, r->n_ids, err);
    if (st == BEZEL_OK && r->n_prefix)
        st = bezel_session_prefix(s->session, r->n_prefix, err);
    if (st == BEZEL_OK && r->n_forced)
        st = bezel_session_append(s->session, r->forced, r->n_forced, err);
    if (st == BEZEL_OK)
        st = bezel_generate(&job, s->session, r->options, err);
    if (st != BEZEL_OK)
        return st;
    bz_mutex_lock(s->mutex);
    s->job = job;
    bz_mutex_unlock(s->mutex);
    if (s->background)
        st = bezel_job_start(job, err);
    if (st != BEZEL_OK)
        session_end(s);
    return st;
}

static bezel_status session_step(void *ud, int64_t budget_us, bezel_error *err)
{
    bz_turn_session *s = ud;
    if (!s->background)
        return bezel_job_step(s->job, budget_us, err);
    if (budget_us == 0)
        return bezel_job_poll(s->job, err);
    return bezel_job_wait(s->job, budget_us < 0 ? -1 : (budget_us + 999) / 1000, err);
}

static int session_text(void *ud, const char **text, size_t *size)
{
    bz_turn_session *s = ud;
    bezel_event event = {.size = sizeof event};
    while (s->job && bezel_job_event(s->job, &event)) {
        if (event.type == BEZEL_EVENT_TEXT) {
            *text = event.text;
            *size = event.text_size;
            return 1;
        }
    }
    return 0;
}

static bezel_status session_result(void *ud, bezel_generation *out, bezel_error *err)
{
    bz_turn_session *s = ud;
    out->size = sizeof *out;
    return bezel_generation_get(s->job, out, err);
}

static int session_fd(void *ud)
{
    bz_turn_session *s = ud;
    return s->background && s->job ? bezel_job_fd(s->job) : -1;
}

static void session_cancel(void *ud)
{
    bz_turn_session *s = ud;
    bz_mutex_lock(s->mutex);
    if (s->job)
        bezel_job_cancel(s->job);
    bz_mutex_unlock(s->mutex);
}

void bz_turn_session_source(bz_turn_source *out, bz_turn_session *s)
{
    *out = (bz_turn_source){.ud = s,
                            .start = session_start,
                            .step = session_step,
                            .text = session_text,
                            .result = session_result,
                            .fd = session_fd,
                            .cancel = session_cancel,
                            .end = session_end};
}

/* --- The call ----------------------------------------------------------------------------- */

static bezel_status turn_take(bz_turn *t, const char *text, size_t size, bezel_error *err)
{
    bz_strbuf_add(&t->text, text, size);
    if (t->text.status == BEZEL_ERR_MEMORY)
        return bz_fail_memory(err, "agent", "the answer", size);
    if (t->text.status != BEZEL_OK)
        return bz_fail(err, t->text.status, "agent", "the answer has more than %zu bytes", t->text.limit);
    return t->parser ? bezel_parser_push(t->parser, text, size, err) : BEZEL_OK;
}

bezel_status bz_turn_start(bz_turn *t, const bezel_world *w, const bz_turn_source *source, const bezel_toolset *tools,
                           const bz_turn_request *request, const char *forced_text, bezel_error *err)
{
    bezel_status st = BEZEL_OK;
    *t = (bz_turn){.world = w, .source = source};
    bz_strbuf_init(&t->text, w, (size_t)64 << 20);
    /* a call whose closing bracket is missing at the end of a turn is read as one when everything needed is there */
    if (tools && bezel_toolset_count(tools) > 0)
        st = bezel_parser_new(&t->parser, tools, 1, err);
    if (st == BEZEL_OK && forced_text)
        st = turn_take(t, forced_text, strlen(forced_text), err);
    if (st == BEZEL_OK)
        st = source->start(source->ud, request, err);
    if (st != BEZEL_OK)
        bz_turn_end(t);
    return st;
}

static bezel_status turn_read(bz_turn *t, int *out_any, bezel_error *err)
{
    const char *text;
    size_t size;
    bezel_status st = BEZEL_OK;
    while (st == BEZEL_OK && t->source->text(t->source->ud, &text, &size)) {
        *out_any = 1;
        st = turn_take(t, text, size, err);
    }
    return st;
}

static uint32_t turn_stopped(uint32_t stop_reason)
{
    return stop_reason == BEZEL_STOP_EOS || stop_reason == BEZEL_STOP_STRING ? BEZEL_STOPPED_END : BEZEL_STOPPED_LIMIT;
}

bezel_status bz_turn_step(bz_turn *t, int64_t budget_us, bezel_error *err)
{
    if (t->done)
        return BEZEL_DONE;
    int any = 0;
    bezel_status got = t->source->step(t->source->ud, budget_us, err);
    if (got < 0)
        return got;
    bezel_status st = turn_read(t, &any, err);
    if (st != BEZEL_OK)
        return st;
    if (got != BEZEL_DONE)
        return any ? BEZEL_TOKEN : BEZEL_MORE;
    t->generation.size = sizeof t->generation;
    st = t->source->result(t->source->ud, &t->generation, err);
    if (st == BEZEL_OK && t->parser)
        st = bezel_parser_finish(t->parser, turn_stopped(t->generation.stop_reason), err);
    if (st != BEZEL_OK)
        return st;
    t->done = 1;
    return BEZEL_DONE;
}

void bz_turn_salvage(bz_turn *t)
{
    int any = 0;
    if (t->done || !t->source)
        return;
    turn_read(t, &any, NULL);
    t->generation = (bezel_generation){.size = sizeof t->generation};
    if (t->source->result(t->source->ud, &t->generation, NULL) != BEZEL_OK)
        t->generation = (bezel_generation){.size = sizeof t->generation};
    if (t->parser)
        bezel_parser_finish(t->parser, BEZEL_STOPPED_LIMIT, NULL);
    t->done = 1;
}

int bz_turn_event(bz_turn *t, bezel_parse_event *out)
{
    *out = (bezel_parse_event){.size = sizeof *out};
    if (t->parser)
        return bezel_parser_event(t->parser, out);
    if (t->shown == t->text.size)
        return 0;
    out->type = BEZEL_PARSE_TEXT;
    out->text = t->text.data + t->shown;
    out->text_size = t->text.size - t->shown;
    out->offset = t->shown;
    t->shown = t->text.size;
    return 1;
}

void bz_turn_end(bz_turn *t)
{
    if (!t->source)
        return;
    t->source->end(t->source->ud);
    bezel_parser_free(t->parser);
    bz_strbuf_free(&t->text);
    *t = (bz_turn){0};
}
