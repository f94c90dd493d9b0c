/* SPDX-License-Identifier: MIT */
/* bezel_batch: a scheduler over jobs of several sessions, with one decoder of its own.
 *
 * Invariant: whoever computes holds `mutex`, for one unit at a time; a member is in the list from add to remove or to the
 * free of its job, over or not, so the list never holds a job that is gone. `gate` is held while waiting for `mutex`: a
 * thread that steps without pause cannot keep another one out. */
#include "base/alloc.h"
#include "base/options.h"
#include "base/status.h"
#include "generate/batch_impl.h"
#include "generate/generation.h"

#include <errno.h>

#define BATCH_LEAST_CHUNK 16U
#define BATCH_SCRATCH ((size_t)1 << 18) /* logits that are looked at together: 1 MiB, so that they stay in cache */

struct bezel_batch {
    bezel_model *model;
    const bezel_world *world;
    bz_mutex *gate, *mutex;
    bz_scheduler scheduler; /* members, segments, heads and scratch are the batch's */
    size_t capacity;        /* of scheduler.members */
    uint32_t n_ctx;         /* of the decoder, 0 = none yet */
    uint32_t activations;   /* of the sessions, 0 = none yet */
};

static void batch_lock(bezel_batch *b)
{
    bz_mutex_lock(b->gate);
    bz_mutex_lock(b->mutex);
    bz_mutex_unlock(b->gate);
}

static void batch_unlock(bezel_batch *b)
{
    bz_mutex_unlock(b->mutex);
}

static int batch_unit(bezel_batch *b, int64_t unit_ns)
{
    batch_lock(b);
    b->scheduler.unit_ns = unit_ns;
    const int more = bz_scheduler_unit(&b->scheduler);
    batch_unlock(b);
    return more;
}

int bz_batch_unit(bz_generation *g)
{
    if (g->batch == NULL)
        return 0;
    (void)batch_unit(g->batch, g->job.unit_ns);
    return 1;
}

/* --- Life --------------------------------------------------------------------------------- */

void bezel_batch_options_init(bezel_batch_options *out)
{
    *out = (bezel_batch_options){.size = (uint32_t)sizeof *out};
}

bezel_status bezel_batch_new(bezel_batch **out, bezel_model *model, const bezel_batch_options *options, bezel_error *err)
{
    if (out == NULL || model == NULL)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "batch", "%s is NULL", out == NULL ? "out" : "model");
    *out = NULL;
    bezel_batch_options o;
    bezel_batch_options_init(&o);
    const bezel_status status = bz_options_read(&o, sizeof o, options, "batch", err);
    if (status != BEZEL_OK)
        return status;
    const uint32_t chunk = o.chunk == 0 ? BZ_DEFAULT_CHUNK : o.chunk;
    if (chunk < BATCH_LEAST_CHUNK || chunk > BZ_KV_SLACK)
        return bz_fail(err, BEZEL_ERR_RANGE, "batch", "chunk is %u, expected %u to %u, or 0 for the default",
                       (unsigned)chunk, BATCH_LEAST_CHUNK, (unsigned)BZ_KV_SLACK);
    const bezel_world *w = &model->engine->world;
    bezel_batch *b = bz_zalloc(w, sizeof *b);
    if (b == NULL)
        return bz_fail_memory(err, "batch", "the batch", sizeof *b);
    b->model = model;
    b->world = w;
    b->gate = bz_mutex_new(w);
    b->mutex = bz_mutex_new(w);
    bz_scheduler *s = &b->scheduler;
    s->most = chunk;
    s->segments = bz_zalloc_array(w, chunk, sizeof *s->segments);
    s->heads = bz_zalloc_array(w, chunk, sizeof *s->heads);
    s->n_scratch = BATCH_SCRATCH;
    s->scratch = bz_alloc_aligned(w, s->n_scratch * sizeof *s->scratch);
    if (b->gate == NULL || b->mutex == NULL || s->segments == NULL || s->heads == NULL || s->scratch == NULL) {
        bezel_batch_free(b);
        return bz_fail_memory(err, "batch", "passes", BATCH_SCRATCH * sizeof(float));
    }
    *out = b;
    return BEZEL_OK;
}

void bezel_batch_free(bezel_batch *batch)
{
    if (batch == NULL)
        return;
    const bezel_world *w = batch->world;
    for (size_t i = 0; i < batch->scheduler.n_members; ++i)
        batch->scheduler.members[i]->batch = NULL;
    bz_decoder_free(batch->scheduler.decoder);
    bz_free(w, batch->scheduler.members);
    bz_free(w, batch->scheduler.segments);
    bz_free(w, batch->scheduler.heads);
    bz_free_aligned(w, batch->scheduler.scratch);
    bz_mutex_free(w, batch->gate);
    bz_mutex_free(w, batch->mutex);
    bz_free(w, batch);
}

/* --- Joining and leaving ------------------------------------------------------------------ */

static bezel_status batch_check_job(const bezel_batch *b, bz_generation *g, bezel_error *err)
{
    if (g == NULL)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "batch", "the job is none of bezel_generate");
    if (g->batch != NULL)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "batch", "the job is in %s batch", g->batch == b ? "this" : "another");
    if (g->session->model != b->model)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "batch", "the job's session is of another model");
    if (b->activations != 0 && g->session->activations != b->activations)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "batch", "the job's session has activations %u, the batch computes with %u",
                       (unsigned)g->session->activations, (unsigned)b->activations);
    if (g->job.started && bz_job_status(&g->job) == BEZEL_MORE)
        return bz_error_hint(err, bz_fail(err, BEZEL_ERR_BUSY, "batch", "the job is on the engine's worker"),
                             "add it before bezel_job_start");
    return BEZEL_OK;
}

/* A decoder for contexts up to n_ctx, and room for one more member. */
static bezel_status batch_fit(bezel_batch *b, const bezel_session *session, bezel_error *err)
{
    bz_scheduler *s = &b->scheduler;
    if (s->n_members == b->capacity) {
        const size_t capacity = b->capacity == 0 ? 16 : b->capacity * 2;
        bz_generation **members = bz_realloc(b->world, s->members, capacity * sizeof(bz_generation *));
        if (members == NULL)
            return bz_fail_memory(err, "batch", "members", capacity * sizeof(bz_generation *));
        s->members = members;
        b->capacity = capacity;
    }
    if (session->n_ctx <= b->n_ctx)
        return BEZEL_OK;
    bz_decoder *decoder;
    const int use_q8 = session->activations == BEZEL_ACTIVATIONS_Q8;
    const bezel_status status = bz_decoder_new(&decoder, b->model, s->most, use_q8, err);
    if (status != BEZEL_OK)
        return status;
    bz_scheduler_drop_pass(s);
    bz_decoder_free(s->decoder);
    s->decoder = decoder;
    b->n_ctx = session->n_ctx;
    b->activations = session->activations;
    return BEZEL_OK;
}

bezel_status bezel_batch_add(bezel_batch *batch, bezel_job *job, bezel_error *err)
{
    if (batch == NULL || job == NULL)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "batch", "%s is NULL", batch == NULL ? "batch" : "job");
    bz_generation *g = bz_generation_of(job);
    bezel_status status = batch_check_job(batch, g, err);
    if (status != BEZEL_OK)
        return status;
    batch_lock(batch);
    status = batch_fit(batch, g->session, err);
    if (status == BEZEL_OK) {
        bz_scheduler_drop_pass(&g->own);
        g->batch = batch;
        batch->scheduler.members[batch->scheduler.n_members++] = g;
    }
    batch_unlock(batch);
    return status;
}

void bz_batch_leave(bz_generation *g)
{
    bezel_batch *b = g->batch;
    if (b == NULL)
        return;
    batch_lock(b);
    bz_scheduler *s = &b->scheduler;
    if (!g->is_over)
        bz_scheduler_drop_pass(s);
    size_t n = 0;
    for (size_t i = 0; i < s->n_members; ++i)
        if (s->members[i] != g)
            s->members[n++] = s->members[i];
    s->n_members = n;
    g->batch = NULL;
    batch_unlock(b);
}

bezel_status bezel_batch_remove(bezel_batch *batch, bezel_job *job, bezel_error *err)
{
    bz_generation *g = bz_generation_of(job);
    if (batch == NULL || g == NULL || g->batch != batch)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "batch", "%s", batch == NULL ? "batch is NULL" : "the job is not in this batch");
    if (g->job.started && bz_job_status(&g->job) == BEZEL_MORE)
        return bz_error_hint(err, bz_fail(err, BEZEL_ERR_BUSY, "batch", "the job is on the engine's worker"),
                             "cancel it, or free it");
    bz_batch_leave(g);
    return BEZEL_OK;
}

/* --- Step --------------------------------------------------------------------------------- */

/* Only the batch's own thread changes the list, so it may read it. */
static int batch_has_event(const bezel_batch *b)
{
    for (size_t i = 0; i < b->scheduler.n_members; ++i)
        if (bz_job_has_event(&b->scheduler.members[i]->job))
            return 1;
    return 0;
}

bezel_status bezel_batch_step(bezel_batch *batch, int64_t budget_us, bezel_error *err)
{
    if (batch == NULL)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "batch", "batch is NULL");
    const int saved = errno; /* exp and pow of the units may set it; it is the host's */
    const bezel_world *w = batch->world;
    const int64_t start = w->monotonic_ns(w->ud), wish = bz_job_unit_wish(budget_us);
    int64_t before = start, now;
    int more, has_event, did_work = 0;
    bz_log_drain(batch->model->engine->log);
    for (;;) {
        more = batch_unit(batch, wish);
        has_event = batch_has_event(batch);
        did_work |= more;
        now = w->monotonic_ns(w->ud);
        if (!more || (budget_us < 0 ? has_event : bz_job_is_spent(now - start, now - before, budget_us)))
            break;
        before = now;
    }
    errno = saved;
    bz_log_drain(batch->model->engine->log);
    if (did_work && has_event)
        return BEZEL_TOKEN;
    return more ? BEZEL_MORE : BEZEL_DONE;
}
