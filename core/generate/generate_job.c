/* SPDX-License-Identifier: MIT */
/* bezel_generate: computes the prompt and draws tokens, as a job.
 *
 * One unit is one layer of a chunk or token, or one slice of the output matrix; the last slice also picks the token. A
 * token is in the timeline before its text is given out, and a chunk is in the cache only once its last layer is done, so
 * the session is valid after a cancel or an error at any unit. The end token is neither in the timeline nor in `ids`:
 * whoever writes the next turn writes the end mark as its template wants it. The tokens of a stop string are in both; only
 * the text ends before it. Everything is allocated by bezel_generate but the text, which grows. */
#include <bezel/session.h>

#include "base/alloc.h"
#include "base/job_impl.h"
#include "base/options.h"
#include "base/status.h"
#include "base/utf8.h"
#include "generate/logit_filter.h"
#include "generate/sampler.h"
#include "generate/session_impl.h"
#include "model/head_copy.h"
#include "text/detokenizer.h"
#include "text/stop_match.h"

#include <string.h>

#define GENERATE_MAX_LOGPROBS 64U
#define GENERATE_MAX_TOKENS ((uint32_t)INT32_MAX)

enum { PHASE_START, PHASE_CHUNK, PHASE_LAYER, PHASE_HEAD, PHASE_SCREEN, PHASE_END };

typedef struct bz_generate_job {
    bezel_job job; /* first */
    bezel_session *session;
    const bezel_world *world;
    bz_sampler *sampler;
    bz_stop_match *stops; /* NULL when there are none */
    bz_detokenizer detokenizer;
    bz_strbuf piece; /* text of the newest token */
    bz_strbuf text;  /* answer so far */
    uint32_t phase;
    uint32_t max_tokens, n_top;
    uint32_t stop_reason;
    int32_t stop_index;
    size_t n_prompt, n_cached;
    size_t capacity;       /* tokens that the arrays hold: all that can come */
    size_t n_ids;
    int32_t *ids;
    float *logprobs;       /* NULL unless asked for */
    int32_t *top_ids;      /* [capacity, n_top] */
    float *top_logprobs;
    bz_candidate *best;    /* [n_top] scratch */
    int is_argmax;         /* the token is an argmax, so the head may be screened */
    int32_t *forbidden;    /* ids that it must not be */
    size_t n_forbidden;
    int64_t start_ns, prompt_ns, first_ns, end_ns; /* 0 = not yet */
} bz_generate_job;

/* --- Text --------------------------------------------------------------------------------- */

/* Moves `piece` through the stop strings into `text`; 1 when one was found. */
static int generate_take_piece(bz_generate_job *g)
{
    int found = -1;
    if (g->stops != NULL)
        found = bz_stop_match_push(g->stops, &g->text, bz_strbuf_cstr(&g->piece), g->piece.size);
    else
        bz_strbuf_add(&g->text, bz_strbuf_cstr(&g->piece), g->piece.size);
    if (g->piece.status == BEZEL_OK) /* keep a failure for generate_emit */
        bz_strbuf_reset(&g->piece);
    if (found < 0)
        return 0;
    g->stop_index = found;
    return 1;
}

/* Gives out what `text` holds from `begin` on. */
static bezel_status generate_emit(bz_generate_job *g, size_t begin, bezel_error *err)
{
    const bezel_status status = g->piece.status != BEZEL_OK ? g->piece.status : g->text.status;
    if (status != BEZEL_OK)
        return bz_fail(err, status, "generate", "the text of the answer does not fit in memory (%zu bytes so far)",
                       g->text.size);
    if (g->text.size == begin)
        return BEZEL_OK;
    return bz_job_emit_text(&g->job, g->text.data + begin, g->text.size - begin, err);
}

/* --- End ---------------------------------------------------------------------------------- */

static void generate_leave(bz_generate_job *g)
{
    if (g->phase == PHASE_END)
        return;
    g->phase = PHASE_END;
    g->end_ns = g->world->monotonic_ns(g->world->ud);
    bz_session_release(g->session);
}

/* Releases held text (a character or stop string that never became whole), tells the reason, lets the session go. */
static bezel_status generate_finish(bz_generate_job *g, uint32_t reason, bezel_error *err)
{
    const size_t begin = g->text.size;
    g->stop_reason = reason;
    if (reason != BEZEL_STOP_STRING) {
        bz_detokenizer_finish(&g->detokenizer, &g->piece);
        if (generate_take_piece(g))
            g->stop_reason = BEZEL_STOP_STRING;
        else if (g->stops != NULL)
            bz_stop_match_finish(g->stops, &g->text);
    }
    const bezel_status status = generate_emit(g, begin, err);
    generate_leave(g);
    return status == BEZEL_OK ? BEZEL_DONE : status;
}

static void generate_cancelled(bezel_job *job)
{
    bz_generate_job *g = (bz_generate_job *)job;
    if (g->phase != PHASE_END)
        (void)generate_finish(g, BEZEL_STOP_CANCELLED, NULL);
}

/* --- Units -------------------------------------------------------------------------------- */

static void generate_start(bz_generate_job *g)
{
    bezel_session *s = g->session;
    g->start_ns = g->world->monotonic_ns(g->world->ud);
    /* The last position is always computed: its logits are what the answer begins with. */
    g->n_cached = bz_kv_cache_trim(s->cache, g->n_prompt - 1);
    g->phase = PHASE_CHUNK;
}

static void generate_chunk(bz_generate_job *g)
{
    bezel_session *s = g->session;
    const size_t left = s->n_ids - s->cache->n;
    const bz_segment segment = {.cache = s->cache, .ids = s->ids + s->cache->n, .T = left < s->chunk ? left : s->chunk};
    bz_decoder_begin(s->decoder, &segment, 1);
    g->phase = PHASE_LAYER;
}

static bezel_status generate_layer(bz_generate_job *g, bezel_error *err)
{
    bezel_session *s = g->session;
    if (bz_decoder_layer(s->decoder))
        return BEZEL_MORE;
    g->phase = s->cache->n < s->n_ids ? PHASE_CHUNK : PHASE_HEAD;
    if (s->cache->n > g->n_prompt)
        return BEZEL_MORE;
    const bezel_status status =
        bz_job_emit_progress(&g->job, (double)(s->cache->n - g->n_cached) / (double)(g->n_prompt - g->n_cached), err);
    if (status != BEZEL_OK)
        return status;
    if (g->phase == PHASE_HEAD)
        g->prompt_ns = g->world->monotonic_ns(g->world->ud);
    if (g->phase == PHASE_HEAD && g->max_tokens == 0)
        return generate_finish(g, BEZEL_STOP_MAX_TOKENS, err);
    return BEZEL_MORE;
}

static void generate_note_logprobs(bz_generate_job *g, int32_t id)
{
    const bezel_session *s = g->session;
    const size_t V = s->model->config.V;
    const double log_sum = bz_logit_log_sum(s->logits, V, s->model->engine->pool);
    g->logprobs[g->n_ids] = (float)((double)s->logits[id] - log_sum);
    bz_logit_top(g->best, s->logits, V, g->n_top);
    for (size_t i = 0; i < g->n_top; ++i) {
        g->top_ids[g->n_ids * g->n_top + i] = g->best[i].id;
        g->top_logprobs[g->n_ids * g->n_top + i] = (float)((double)g->best[i].logit - log_sum);
    }
}

/* The next token is known: keep, give out. */
static bezel_status generate_token(bz_generate_job *g, int32_t id, bezel_error *err)
{
    bezel_session *s = g->session;
    if (g->first_ns == 0)
        g->first_ns = g->world->monotonic_ns(g->world->ud);
    if (bz_vocab_is_end(s->model->vocab, id))
        return generate_finish(g, BEZEL_STOP_EOS, err);
    if (g->n_ids >= g->capacity) /* s->n_ids == n_ctx: no place for it */
        return generate_finish(g, BEZEL_STOP_CONTEXT, err);
    if (g->logprobs != NULL)
        generate_note_logprobs(g, id);
    s->ids[s->n_ids++] = id;
    g->ids[g->n_ids++] = id;

    const size_t begin = g->text.size;
    bz_detokenizer_push(&g->detokenizer, &g->piece, id);
    const int is_stop = generate_take_piece(g);
    const bezel_status emitted = generate_emit(g, begin, err);
    if (emitted != BEZEL_OK)
        return emitted;
    if (is_stop)
        return generate_finish(g, BEZEL_STOP_STRING, err);
    if (g->n_ids >= g->max_tokens)
        return generate_finish(g, BEZEL_STOP_MAX_TOKENS, err);
    g->phase = PHASE_CHUNK;
    return BEZEL_MORE;
}

/* The first token is not kept waiting: the copy of the output matrix is asked for with the second. */
static const bz_screen *generate_screen(const bz_generate_job *g)
{
    return g->is_argmax ? bz_head_copy_get(g->session->model->head_copy, g->first_ns != 0) : NULL;
}

static bezel_status generate_head(bz_generate_job *g, bezel_error *err)
{
    bezel_session *s = g->session;
    int32_t id;
    if (s->decoder->head_count == 0) {
        bz_decoder_head(s->decoder, s->decoder->T - 1, 1);
        if (bz_decoder_screen_begin(s->decoder, generate_screen(g))) {
            g->phase = PHASE_SCREEN;
            return BEZEL_MORE;
        }
    }
    if (bz_decoder_head_slice(s->decoder, s->logits, s->model->config.V))
        return BEZEL_MORE;
    const bezel_status status = bz_sampler_pick(&id, g->sampler, s->logits, s->ids, s->n_ids, err);
    return status == BEZEL_OK ? generate_token(g, id, err) : status;
}

static bezel_status generate_screened(bz_generate_job *g, bezel_error *err)
{
    bezel_session *s = g->session;
    if (bz_decoder_screen_slice(s->decoder, s->logits))
        return BEZEL_MORE;
    const int32_t id = bz_decoder_screen_pick(s->decoder, s->logits, g->forbidden, g->n_forbidden);
    if (id >= 0)
        return generate_token(g, id, err);
    g->phase = PHASE_HEAD; /* too many rows are left: all of them */
    return BEZEL_MORE;
}

static bezel_status generate_unit(bezel_job *job, bezel_error *err)
{
    bz_generate_job *g = (bz_generate_job *)job;
    bezel_status status = BEZEL_MORE;
    if (g->phase == PHASE_START)
        generate_start(g);
    if (g->phase == PHASE_CHUNK)
        generate_chunk(g); /* cheap: goes with the first layer */
    if (g->phase == PHASE_LAYER)
        status = generate_layer(g, err);
    else if (g->phase == PHASE_HEAD)
        status = generate_head(g, err);
    else if (g->phase == PHASE_SCREEN)
        status = generate_screened(g, err);
    else
        status = BEZEL_DONE;
    if (status < 0)
        generate_leave(g);
    return status;
}

static void generate_destroy(bezel_job *job)
{
    bz_generate_job *g = (bz_generate_job *)job;
    generate_leave(g);
    bz_sampler_free(g->sampler);
    bz_stop_match_free(g->stops);
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
    for (uint32_t i = 0; i < o->n_stops; ++i)
        if (o->stops[i] == NULL || !bz_utf8_valid(o->stops[i], strlen(o->stops[i])))
            return bz_fail(err, BEZEL_ERR_ARGUMENT, "generate", "stop string %u is %s", (unsigned)i,
                           o->stops[i] == NULL ? "NULL" : "not valid UTF-8");
    return BEZEL_OK;
}

static bezel_status generate_alloc(bz_generate_job *g, const bezel_generate_options *o, bezel_error *err)
{
    const bezel_world *w = g->world;
    const size_t n_top = o->n_logprobs < g->session->model->config.V ? o->n_logprobs : g->session->model->config.V;
    bezel_status status = bz_sampler_new(&g->sampler, w, g->session->model->engine->pool, &o->sampling,
                                         g->session->model->config.V, err);
    if (status == BEZEL_OK && o->n_stops > 0)
        status = bz_stop_match_new(&g->stops, w, o->stops, o->n_stops, err);
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
    g->is_argmax = bz_sampler_is_argmax(g->sampler, g->forbidden, &g->n_forbidden) && n_top == 0 &&
                   g->session->head == BEZEL_HEAD_SCREENED;
    return BEZEL_OK;
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
    bz_generate_job *g = bz_zalloc(w, sizeof *g);
    if (g == NULL)
        return bz_fail_memory(err, "generate", "the job", sizeof *g);
    g->session = session;
    g->world = w;
    g->max_tokens = o.max_tokens;
    g->stop_index = -1;
    g->n_prompt = session->n_ids;
    g->capacity = session->n_ctx - session->n_ids;
    if (g->capacity > o.max_tokens)
        g->capacity = o.max_tokens;
    g->phase = PHASE_END; /* it does not hold the session yet */
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
    g->phase = PHASE_START;
    (void)bz_session_acquire(session, NULL); /* was free above, and a session belongs to one thread */
    *out = &g->job;
    return BEZEL_OK;
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
    const bz_generate_job *g = (const bz_generate_job *)job;
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
                          .top_logprobs = g->top_logprobs};
    bz_struct_give(out, &r, sizeof r);
    return BEZEL_OK;
}
