/* SPDX-License-Identifier: MIT */
/* bezel_generate: the job that computes the prompt and draws tokens, with its options and its result.
 *
 * One unit is one of its scheduler: a layer of a chunk or token, or one slice of the output matrix. A chunk is in the cache
 * only once its last layer is done, so the session is valid after a cancel or an error at any unit. Everything is allocated
 * by bezel_generate but the text, which grows. A job in a batch is computed by the batch's scheduler instead. */
#include "generate/generation.h"

#include "base/alloc.h"
#include "base/options.h"
#include "base/status.h"
#include "base/utf8.h"
#include "generate/batch_impl.h"

#include <math.h>
#include <string.h>

#define GENERATE_MAX_LOGPROBS 64U
#define GENERATE_MAX_TOKENS ((uint32_t)INT32_MAX)

static void generate_cancelled(bezel_job *job)
{
    bz_generation *g = (bz_generation *)job;
    bz_batch_leave(g);
    if (!g->is_over)
        (void)bz_generation_finish(g, BEZEL_STOP_CANCELLED, NULL);
    bz_generation_leave(g);
}

static bezel_status generate_unit(bezel_job *job, bezel_error *err)
{
    bz_generation *g = (bz_generation *)job;
    (void)err; /* the scheduler ends the job */
    g->own.unit_ns = job->unit_ns;
    if (!bz_batch_unit(g))
        (void)bz_scheduler_unit(&g->own);
    return BEZEL_MORE;
}

static void generate_destroy(bezel_job *job)
{
    bz_generation *g = (bz_generation *)job;
    bz_batch_leave(g);
    bz_generation_leave(g);
    bz_sampler_free(g->sampler);
    bz_stop_match_free(g->stops);
    bz_constraint_run_free(g->run);
    bz_strbuf_free(&g->piece);
    bz_strbuf_free(&g->text);
    bz_free(g->world, g->ids);
    bz_free(g->world, g->logprobs);
    bz_free(g->world, g->top_ids);
    bz_free(g->world, g->top_logprobs);
    bz_free(g->world, g->best);
    bz_free(g->world, g->forbidden);
}

static const bz_job_ops generate_ops = {"generate", generate_unit, generate_cancelled, generate_destroy};

/* --- Start -------------------------------------------------------------------------------- */

void bezel_generate_options_init(bezel_generate_options *out)
{
    *out = (bezel_generate_options){.size = (uint32_t)sizeof *out, .max_tokens = 512};
    bezel_sampling_init(&out->sampling);
}

static bezel_status generate_check(const bezel_generate_options *o, const bezel_session *session, bezel_error *err)
{
    if (session->n_ids == 0)
        return bz_error_hint(err, bz_fail(err, BEZEL_ERR_ARGUMENT, "generate", "the timeline is empty"),
                             "append a text first; one BOS token is enough");
    if (o->max_tokens > GENERATE_MAX_TOKENS)
        return bz_fail(err, BEZEL_ERR_RANGE, "generate", "max_tokens is %u, expected 0 to %u", (unsigned)o->max_tokens,
                       (unsigned)GENERATE_MAX_TOKENS);
    if (o->n_logprobs > GENERATE_MAX_LOGPROBS)
        return bz_fail(err, BEZEL_ERR_RANGE, "generate", "n_logprobs is %u, expected 0 to %u", (unsigned)o->n_logprobs,
                       (unsigned)GENERATE_MAX_LOGPROBS);
    if (o->n_stops > 0 && o->stops == NULL)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "generate", "n_stops is %u but stops is NULL", (unsigned)o->n_stops);
    if (o->constraint != NULL && o->constraint->model != session->model)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "generate", "the constraint was made for another model");
    if (o->calls > BEZEL_CALLS_NONE || !(fabsf(o->call_bias) <= 1e6F) || (o->n_made_calls > 0 && o->made_calls == NULL))
        return bz_fail(err, BEZEL_ERR_RANGE, "generate", "calls is %u, call_bias %g, made_calls %s", (unsigned)o->calls,
                       (double)o->call_bias, o->made_calls == NULL ? "NULL" : "given");
    if (o->n_function_bias > 0 && o->function_bias == NULL)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "generate", "n_function_bias is %u but function_bias is NULL",
                       (unsigned)o->n_function_bias);
    for (uint32_t i = 0; i < o->n_function_bias; ++i)
        if (!(fabsf(o->function_bias[i]) <= 1e6F))
            return bz_fail(err, BEZEL_ERR_RANGE, "generate", "function_bias %u is %g", (unsigned)i, (double)o->function_bias[i]);
    if (!(o->evidence_weight >= 0.0F && o->evidence_weight <= 1e3F))
        return bz_fail(err, BEZEL_ERR_RANGE, "generate", "evidence_weight is %g, expected 0 to 1000", (double)o->evidence_weight);
    for (uint32_t i = 0; i < o->n_stops; ++i)
        if (o->stops[i] == NULL || !bz_utf8_valid(o->stops[i], strlen(o->stops[i])))
            return bz_fail(err, BEZEL_ERR_ARGUMENT, "generate", "stop string %u is %s", (unsigned)i,
                           o->stops[i] == NULL ? "NULL" : "not valid UTF-8");
    return BEZEL_OK;
}

static bezel_status generate_alloc(bz_generation *g, const bezel_generate_options *o, bezel_error *err)
{
    const bezel_world *w = g->world;
    const size_t n_top = o->n_logprobs < g->session->model->config.V ? o->n_logprobs : g->session->model->config.V;
    bezel_status status = bz_sampler_new(&g->sampler, w, g->session->model->engine->pool, &o->sampling,
                                         g->session->model->config.V, err);
    if (status == BEZEL_OK && o->n_stops > 0)
        status = bz_stop_match_new(&g->stops, w, o->stops, o->n_stops, err);
    if (status == BEZEL_OK && o->constraint != NULL)
        status = bz_constraint_run_new(&g->run, w, o, g->session->ids[g->session->n_ids - 1], err);
    if (status != BEZEL_OK)
        return status;
    g->ids = bz_zalloc_array(w, g->capacity + 1, sizeof *g->ids);
    g->forbidden = bz_zalloc_array(w, o->sampling.n_bias + (size_t)1, sizeof *g->forbidden);
    int is_short = g->ids == NULL || g->forbidden == NULL;
    if (n_top > 0) {
        g->n_top = (uint32_t)n_top;
        g->logprobs = bz_zalloc_array(w, g->capacity + 1, sizeof *g->logprobs);
        g->top_ids = bz_zalloc_array(w, (g->capacity + 1) * n_top, sizeof *g->top_ids);
        g->top_logprobs = bz_zalloc_array(w, (g->capacity + 1) * n_top, sizeof *g->top_logprobs);
        g->best = bz_zalloc_array(w, n_top, sizeof *g->best);
        is_short |= g->logprobs == NULL || g->top_ids == NULL || g->top_logprobs == NULL || g->best == NULL;
    }
    if (is_short)
        return bz_fail_memory(err, "generate", "the answer's tokens", (g->capacity + 1) * (n_top + 1) * 8);
    g->is_greedy = o->sampling.temperature <= 0.0F;
    g->is_argmax = bz_sampler_is_argmax(g->sampler, g->forbidden, &g->n_forbidden) && n_top == 0;
    bz_lookup_init(&g->lookup, g->run == NULL && g->is_argmax && g->session->lookup);
    return BEZEL_OK;
}

/* The scheduler for the answer alone. */
static void generate_schedule(bz_generation *g)
{
    bezel_session *s = g->session;
    g->self = g;
    g->own = (bz_scheduler){.decoder = s->decoder,
                            .members = &g->self,
                            .n_members = 1,
                            .most = s->chunk,
                            .segments = &g->segment,
                            .heads = g->heads,
                            .scratch = s->logits,
                            .n_scratch = s->n_logits};
}

bezel_status bezel_generate(bezel_job **out, bezel_session *session, const bezel_generate_options *options,
                            bezel_error *err)
{
    if (out == NULL)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "generate", "out is NULL");
    *out = NULL;
    bezel_generate_options o;
    bezel_generate_options_init(&o);
    bezel_status status = bz_session_check(session, err);
    if (status == BEZEL_OK)
        status = bz_options_read(&o, sizeof o, options, "generate", err);
    if (status == BEZEL_OK)
        status = generate_check(&o, session, err);
    if (status != BEZEL_OK)
        return status;
    bezel_engine *engine = session->model->engine;
    const bezel_world *w = &engine->world;
    bz_generation *g = bz_zalloc(w, sizeof *g);
    if (g == NULL)
        return bz_fail_memory(err, "generate", "the job", sizeof *g);
    g->session = session;
    g->world = w;
    g->max_tokens = o.max_tokens;
    g->jump = !o.no_jump && o.n_logprobs == 0;
    g->stop_index = -1;
    g->n_prompt = session->n_ids;
    g->capacity = session->n_ctx - session->n_ids;
    if (g->capacity > o.max_tokens)
        g->capacity = o.max_tokens;
    g->is_over = 1; /* it does not hold the session yet */
    generate_schedule(g);
    bz_strbuf_init(&g->piece, w, 0);
    bz_strbuf_init(&g->text, w, 0);
    bz_detokenizer_init(&g->detokenizer, session->model->vocab);
    status = generate_alloc(g, &o, err);
    if (status == BEZEL_OK)
        status = bz_job_init(&g->job, &generate_ops, w, engine->log, engine->worker, err);
    if (status != BEZEL_OK) {
        generate_destroy(&g->job);
        bz_free(w, g);
        return status;
    }
    g->is_over = 0;
    (void)bz_session_acquire(session, NULL); /* was free above, and a session belongs to one thread */
    *out = &g->job;
    return BEZEL_OK;
}

bz_generation *bz_generation_of(bezel_job *job)
{
    return job != NULL && job->ops == &generate_ops ? (bz_generation *)job : NULL;
}

/* --- Result ------------------------------------------------------------------------------- */

/* Microseconds from `begin` to `end`; 0 when `end` was never reached. */
static int64_t generate_us(int64_t begin, int64_t end)
{
    return end != 0 && end > begin ? (end - begin) / 1000 : 0;
}

bezel_status bezel_generation_get(bezel_job *job, bezel_generation *out, bezel_error *err)
{
    if (job == NULL || out == NULL)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "generate", "%s is NULL", job == NULL ? "job" : "out");
    if (job->ops != &generate_ops)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "generate", "the job is a %s, expected one of bezel_generate",
                       job->ops->name);
    if (!bz_struct_sized(out))
        return bz_error_hint(err, bz_fail(err, BEZEL_ERR_ARGUMENT, "generate", "out->size is %u", (unsigned)out->size),
                             "set it to sizeof(bezel_generation)");
    const bezel_status now = bz_job_status(job);
    if (now == BEZEL_MORE)
        return bz_fail(err, BEZEL_ERR_BUSY, "generate", "the generation is not finished");
    if (now < 0 && now != BEZEL_ERR_CANCELLED)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "generate", "the generation failed (%s) and has no result",
                       bezel_status_name(now));
    const bz_generation *g = (const bz_generation *)job;
    bezel_generation r = {.size = sizeof r,
                          .stop_reason = g->stop_reason,
                          .text = bz_strbuf_cstr(&g->text),
                          .text_size = g->text.size,
                          .ids = g->ids,
                          .n_ids = g->n_ids,
                          .n_prompt = g->n_prompt,
                          .n_cached = g->n_cached,
                          .prompt_us = generate_us(g->start_ns, g->prompt_ns),
                          .first_token_us = generate_us(g->start_ns, g->first_ns),
                          .total_us = generate_us(g->start_ns, g->end_ns),
                          .stop_index = g->stop_index,
                          .n_top = g->n_top,
                          .logprobs = g->logprobs,
                          .top_ids = g->top_ids,
                          .top_logprobs = g->top_logprobs,
                          .n_drafted = g->lookup.n_drafted,
                          .n_accepted = g->lookup.n_accepted,
                          .n_forced = g->n_forced,
                          .call_probability = g->run != NULL ? bz_constraint_run_probability(g->run) : (double)NAN,
                          .name_probability = g->run != NULL ? bz_constraint_run_name_probability(g->run) : (double)NAN};
    bz_struct_give(out, &r, sizeof r);
    return BEZEL_OK;
}
