/* SPDX-License-Identifier: MIT */
/* Does a model answer? Ten tokens to "Hello" (R14), in a session of their own, in steps of the host or at once. What counts is
 * the time that the steps take, not what the host does between them. */
#include <bezel/chat.h>

#include "monitor_impl.h"

#include "base/alloc.h"
#include "base/os.h"
#include "base/status.h"
#include "base/strbuf.h"

#include <string.h>

#define PROBE_TOKENS 10
#define PROBE_POSITIONS 128
#define PROBE_SLICE_US 50000
#define PROBE_PATIENCE 4 /* times max_probe_ms; who has not answered by then does not answer */

struct bezel_monitor_probe {
    bezel_monitor *monitor;
    bezel_model *model; /* NULL = there is none */
    bezel_session *session;
    bezel_job *job; /* NULL after it ended */
    int64_t us;     /* that the steps have taken so far */
    bezel_status st; /* BEZEL_MORE while it goes on, BEZEL_OK, or why it failed */
    bezel_error why;
};

static bezel_status probe_begin(bezel_monitor_probe *p, bezel_error *err)
{
    const bezel_message hello = {sizeof hello, BEZEL_ROLE_USER, "Hello", SIZE_MAX};
    bezel_session_options o;
    bezel_generate_options g;
    bezel_prompt *prompt = NULL;
    size_t n = 0;
    bezel_session_options_init(&o);
    o.n_ctx = bezel_model_context_length(p->model) < PROBE_POSITIONS ? 0 : PROBE_POSITIONS;
    bezel_generate_options_init(&g);
    g.max_tokens = PROBE_TOKENS;
    g.sampling.temperature = 0;
    bezel_status st = bezel_prompt_render(&prompt, p->model, NULL, &hello, 1, 1, err);
    if (st == BEZEL_OK)
        st = bezel_session_new(&p->session, p->model, &o, err);
    if (st == BEZEL_OK) {
        const int32_t *ids = bezel_prompt_ids(prompt, &n);
        st = bezel_session_set(p->session, ids, n, err);
    }
    if (st == BEZEL_OK)
        st = bezel_generate(&p->job, p->session, &g, err);
    bezel_prompt_free(prompt);
    return st;
}

static void probe_end(bezel_monitor_probe *p)
{
    bezel_job_free(p->job);
    bezel_session_free(p->session);
    p->job = NULL;
    p->session = NULL;
}

/* Works for the budget, or until the probe is over. */
static void probe_work(bezel_monitor_probe *p, int64_t budget_us)
{
    const bezel_world *w = p->monitor->world;
    const int64_t begin = w->monotonic_ns(w->ud), most = (int64_t)p->monitor->options.max_probe_ms * 1000 * PROBE_PATIENCE;
    int64_t us = 0;
    bezel_event event = {.size = sizeof event};
    if (p->session == NULL) {
        const bezel_status st = probe_begin(p, &p->why);
        p->st = st == BEZEL_OK ? BEZEL_MORE : st;
        us = (w->monotonic_ns(w->ud) - begin) / 1000;
    }
    while (p->st == BEZEL_MORE && (us == 0 || budget_us < 0 || us < budget_us)) {
        const int64_t left = budget_us < 0 || budget_us - us > PROBE_SLICE_US ? PROBE_SLICE_US : budget_us - us;
        const bezel_status st = bezel_job_step(p->job, left > 0 ? left : 0, &p->why);
        while (bezel_job_event(p->job, &event))
            continue;
        us = (w->monotonic_ns(w->ud) - begin) / 1000;
        p->st = st == BEZEL_DONE ? BEZEL_OK : st < 0 ? st : BEZEL_MORE;
        if (p->st == BEZEL_MORE && p->us + us > most)
            p->st = bz_fail(&p->why, BEZEL_ERR_TIMEOUT, "monitor", "no ten tokens in %lld s", (long long)most / 1000000);
    }
    p->us += us;
    if (p->st != BEZEL_MORE)
        probe_end(p);
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

/* What was found, for the host and the sink. */
static bezel_status probe_tell(bezel_monitor_health *out, const bezel_monitor_probe *p, bezel_error *err)
{
    bezel_monitor *m = p->monitor;
    memset(m->health_errors, 0, sizeof m->health_errors);
    *out = (bezel_monitor_health){.size = sizeof *out,
                                  .status = BEZEL_UNHEALTHY,
                                  .at_ms = m->world->wall_ms(m->world->ud),
                                  .is_model_loaded = p->model != NULL,
                                  .model = p->model != NULL ? bezel_model_name(p->model) : NULL,
                                  .memory_bytes = bz_os_resident_bytes(),
                                  .errors = m->health_errors};
    if (p->model == NULL) {
        health_note(m, 0, "no model is loaded", "");
    } else if (p->st != BEZEL_OK) {
        health_note(m, 0, "the probe failed: ", p->why.text);
    } else {
        out->response_us = p->us;
        out->status = p->us > (int64_t)m->options.max_probe_ms * 1000 ? BEZEL_DEGRADED : BEZEL_HEALTHY;
    }
    if (out->status == BEZEL_DEGRADED)
        health_note(m, 0, "slow response time", "");
    if (m->sink.write == NULL)
        return BEZEL_OK;
    const bezel_monitor_record record = {.size = sizeof record, .health = out};
    const bezel_status st = m->sink.write(m->sink.ud, &record, err);
    return st > 0 ? BEZEL_OK : st;
}

bezel_status bezel_monitor_probe_new(bezel_monitor_probe **out, bezel_monitor *m, bezel_model *model, bezel_error *err)
{
    *out = bz_zalloc(m->world, sizeof **out);
    if (*out == NULL)
        return bz_fail_memory(err, "monitor", "a probe", sizeof **out);
    **out = (bezel_monitor_probe){.monitor = m, .model = model, .st = model != NULL ? BEZEL_MORE : BEZEL_OK};
    return BEZEL_OK;
}

void bezel_monitor_probe_free(bezel_monitor_probe *probe)
{
    if (probe == NULL)
        return;
    probe_end(probe);
    bz_free(probe->monitor->world, probe);
}

bezel_status bezel_monitor_probe_step(bezel_monitor_health *out, bezel_monitor_probe *probe, int64_t budget_us, bezel_error *err)
{
    if (probe->st == BEZEL_MORE)
        probe_work(probe, budget_us);
    if (probe->st == BEZEL_MORE)
        return BEZEL_MORE;
    const bezel_status st = probe_tell(out, probe, err);
    return st < 0 ? st : BEZEL_DONE;
}

bezel_status bezel_monitor_check(bezel_monitor_health *out, bezel_monitor *m, bezel_model *model, bezel_error *err)
{
    bezel_monitor_probe probe = {.monitor = m, .model = model, .st = model != NULL ? BEZEL_MORE : BEZEL_OK};
    const bezel_status st = bezel_monitor_probe_step(out, &probe, -1, err);
    return st == BEZEL_DONE ? BEZEL_OK : st;
}
