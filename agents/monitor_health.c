/* SPDX-License-Identifier: MIT */
/* Does a model answer? Ten tokens to "Hello" (R14), in a session of their own. */
#include <bezel/chat.h>

#include "monitor_impl.h"

#include "base/os.h"
#include "base/strbuf.h"

#include <string.h>

#define PROBE_TOKENS 10
#define PROBE_POSITIONS 128

static bezel_status health_generate(bezel_session *session, bezel_error *err)
{
    bezel_generate_options o;
    bezel_job *job = NULL;
    bezel_event event = {.size = sizeof event};
    bezel_generate_options_init(&o);
    o.max_tokens = PROBE_TOKENS;
    o.sampling.temperature = 0;
    bezel_status st = bezel_generate(&job, session, &o, err);
    while (st >= 0 && job != NULL && (st = bezel_job_step(job, -1, err)) >= 0 && st != BEZEL_DONE) {
        while (bezel_job_event(job, &event))
            continue;
    }
    bezel_job_free(job);
    return st == BEZEL_DONE ? BEZEL_OK : st;
}

static bezel_status health_probe(bezel_model *model, bezel_error *err)
{
    const bezel_message hello = {sizeof hello, BEZEL_ROLE_USER, "Hello", SIZE_MAX};
    bezel_session_options o;
    bezel_session *session = NULL;
    bezel_prompt *prompt = NULL;
    size_t n = 0;
    bezel_session_options_init(&o);
    o.n_ctx = bezel_model_context_length(model) < PROBE_POSITIONS ? 0 : PROBE_POSITIONS;
    bezel_status st = bezel_prompt_render(&prompt, model, NULL, &hello, 1, 1, err);
    if (st == BEZEL_OK)
        st = bezel_session_new(&session, model, &o, err);
    if (st == BEZEL_OK) {
        const int32_t *ids = bezel_prompt_ids(prompt, &n);
        st = bezel_session_set(session, ids, n, err);
    }
    if (st == BEZEL_OK)
        st = health_generate(session, err);
    bezel_session_free(session);
    bezel_prompt_free(prompt);
    return st;
}

/* Adds a sentence to the list of errors. */
static void health_note(bezel_monitor *m, uint32_t i, const char *before, const char *text)
{
    bz_strbuf b;
    bz_strbuf_init(&b, m->world, 0);
    bz_strbuf_format(&b, "%s%s", before, text);
    const char *whole = b.status == BEZEL_OK ? bz_strbuf_cstr(&b) : before;
    bz_text_clean(m->health_text[i], sizeof m->health_text[i], whole, strlen(whole));
    m->health_errors[i] = m->health_text[i];
    bz_strbuf_free(&b);
}

bezel_status bezel_monitor_check(bezel_monitor_health *out, bezel_monitor *m, bezel_model *model, bezel_error *err)
{
    const bezel_world *w = m->world;
    bezel_error why = BEZEL_ERROR_INIT;
    memset(m->health_errors, 0, sizeof m->health_errors);
    *out = (bezel_monitor_health){.size = sizeof *out,
                                  .status = BEZEL_UNHEALTHY,
                                  .at_ms = w->wall_ms(w->ud),
                                  .is_model_loaded = model != NULL,
                                  .errors = m->health_errors};
    if (model != NULL) {
        const int64_t begin = w->monotonic_ns(w->ud);
        bezel_status st = health_probe(model, &why);
        const int64_t us = (w->monotonic_ns(w->ud) - begin) / 1000;
        out->model = bezel_model_name(model);
        if (st != BEZEL_OK) {
            health_note(m, 0, "the probe failed: ", why.text);
        } else {
            out->response_us = us;
            out->status = us > (int64_t)m->options.max_probe_ms * 1000 ? BEZEL_DEGRADED : BEZEL_HEALTHY;
        }
        if (out->status == BEZEL_DEGRADED)
            health_note(m, 0, "slow response time", "");
    } else {
        health_note(m, 0, "no model is loaded", "");
    }
    out->memory_bytes = bz_os_resident_bytes();
    if (m->sink.write == NULL)
        return BEZEL_OK;
    const bezel_monitor_record record = {.size = sizeof record, .health = out};
    bezel_status st = m->sink.write(m->sink.ud, &record, err);
    return st > 0 ? BEZEL_OK : st;
}
