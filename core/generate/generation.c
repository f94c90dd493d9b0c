/* SPDX-License-Identifier: MIT */
/* One answer while it grows (see generation.h).
 *
 * A token is in the timeline before its text is given out, so the session is valid after a cancel or an error at any unit.
 * The end token is neither in the timeline nor in `ids`: whoever writes the next turn writes the end mark as its template
 * wants it. The tokens of a stop string are in both; only the text ends before it. Nothing is allocated here but the text. */
#include "generate/generation.h"

#include "base/status.h"
#include "generate/prefix_snapshot.h"
#include "text/tokenizer_impl.h"

/* --- Text --------------------------------------------------------------------------------- */

/* Moves `piece` through the stop strings into `text`; 1 when one was found. */
static int generation_take_piece(bz_generation *g)
{
    int found = -1;
    if (g->stops != NULL)
        found = bz_stop_match_push(g->stops, &g->text, bz_strbuf_cstr(&g->piece), g->piece.size);
    else
        bz_strbuf_add(&g->text, bz_strbuf_cstr(&g->piece), g->piece.size);
    if (g->piece.status == BEZEL_OK) /* keep a failure for generation_emit */
        bz_strbuf_reset(&g->piece);
    if (found < 0)
        return 0;
    g->stop_index = found;
    return 1;
}

/* Gives out what `text` holds from `begin` on. */
static bezel_status generation_emit(bz_generation *g, size_t begin, bezel_error *err)
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

void bz_generation_leave(bz_generation *g)
{
    if (g->is_over)
        return;
    g->is_over = 1;
    (void)bz_kv_cache_trim(g->session->cache, g->session->n_ids); /* guesses that were never looked at */
    bz_prefix_snapshot_take(g->session);
    g->end_ns = g->world->monotonic_ns(g->world->ud);
    bz_session_release(g->session);
}

/* Held text is a character or stop string that never became whole. */
bezel_status bz_generation_finish(bz_generation *g, uint32_t reason, bezel_error *err)
{
    const size_t begin = g->text.size;
    g->stop_reason = reason;
    if (reason != BEZEL_STOP_STRING) {
        bz_detokenizer_finish(&g->detokenizer, &g->piece);
        if (generation_take_piece(g))
            g->stop_reason = BEZEL_STOP_STRING;
        else if (g->stops != NULL)
            bz_stop_match_finish(g->stops, &g->text);
    }
    const bezel_status status = generation_emit(g, begin, err);
    return status == BEZEL_OK ? BEZEL_DONE : status;
}

/* --- Tokens ------------------------------------------------------------------------------- */

void bz_generation_start(bz_generation *g)
{
    g->is_started = 1;
    g->start_ns = g->world->monotonic_ns(g->world->ud);
    /* The last position is always computed: its logits are what the answer begins with. */
    g->n_cached = bz_kv_cache_trim(g->session->cache, g->n_prompt - 1);
}

bezel_status bz_generation_prompt(bz_generation *g, bezel_error *err)
{
    const size_t n = g->session->cache->n;
    const bezel_status status =
        bz_job_emit_progress(&g->job, (double)(n - g->n_cached) / (double)(g->n_prompt - g->n_cached), err);
    if (status != BEZEL_OK)
        return status;
    if (n == g->n_prompt)
        g->prompt_ns = g->world->monotonic_ns(g->world->ud);
    if (n == g->n_prompt && g->max_tokens == 0)
        return bz_generation_finish(g, BEZEL_STOP_MAX_TOKENS, err);
    return BEZEL_MORE;
}

static void generation_note_logprobs(bz_generation *g, int32_t id)
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

bezel_status bz_generation_token(bz_generation *g, int32_t id, bezel_error *err)
{
    bezel_session *s = g->session;
    if (g->first_ns == 0)
        g->first_ns = g->world->monotonic_ns(g->world->ud);
    if (bz_vocab_is_end(s->model->vocab, id))
        return bz_generation_finish(g, BEZEL_STOP_EOS, err);
    if (g->n_ids >= g->capacity) /* s->n_ids == n_ctx: no place for it */
        return bz_generation_finish(g, BEZEL_STOP_CONTEXT, err);
    if (g->logprobs != NULL)
        generation_note_logprobs(g, id);
    s->ids[s->n_ids++] = id;
    g->ids[g->n_ids++] = id;

    const size_t begin = g->text.size;
    bz_detokenizer_push(&g->detokenizer, &g->piece, id);
    const int is_stop = generation_take_piece(g);
    const bezel_status emitted = generation_emit(g, begin, err);
    if (emitted != BEZEL_OK)
        return emitted;
    bz_prefix_snapshot_take(s); /* with the first token out, and before a window can have left it */
    if (is_stop)
        return bz_generation_finish(g, BEZEL_STOP_STRING, err);
    if (g->n_ids >= g->max_tokens)
        return bz_generation_finish(g, BEZEL_STOP_MAX_TOKENS, err);
    return BEZEL_MORE;
}

/* --- Constraint --------------------------------------------------------------------------- */

/* The tokens that must come; the next pass computes them together. */
static bezel_status generation_force(bz_generation *g, bezel_error *err)
{
    size_t n;
    const int32_t *ids = bz_constraint_run_forced(g->run, &n);
    for (size_t i = 0; i < n; ++i) {
        if (!bz_constraint_run_take(g->run, ids[i]))
            return bz_fail(err, BEZEL_ERR_INTERNAL, "generate", "forced token %d does not fit", (int)ids[i]);
        const size_t before = g->n_ids;
        const bezel_status status = bz_generation_token(g, ids[i], err);
        g->n_forced += g->n_ids - before;
        if (status != BEZEL_MORE)
            return status;
    }
    return BEZEL_TOKEN;
}

bezel_status bz_generation_plan(bz_generation *g, const int32_t **out_rows, size_t *out_n, bezel_error *err)
{
    bz_constraint_plan plan;
    *out_n = 0;
    g->may_end = 0;
    g->is_masked = 0;
    if (g->run == NULL)
        return BEZEL_MORE;
    const bezel_status status = bz_constraint_run_plan(&plan, g->run, g->jump, g->capacity - g->n_ids, err);
    if (status != BEZEL_OK)
        return status;
    if (plan == BZ_PLAN_END)
        return bz_generation_finish(g, bz_constraint_run_is_cut(g->run) ? BEZEL_STOP_MAX_TOKENS : BEZEL_STOP_EOS, err);
    if (plan == BZ_PLAN_FORCED)
        return generation_force(g, err);
    if (plan == BZ_PLAN_ROWS)
        *out_rows = bz_constraint_run_rows(g->run, out_n);
    g->may_end = plan == BZ_PLAN_NEXT;
    g->is_masked = plan == BZ_PLAN_MASK;
    return BEZEL_MORE;
}

int bz_generation_is_argmax(const bz_generation *g)
{
    return g->is_argmax && g->run == NULL;
}

/* Under a constraint the largest logit may be tried first; a draw is among the allowed ones only. */
size_t bz_generation_needs(const bz_generation *g)
{
    if (g->n_top > 0 || g->wants_all || (g->run != NULL && bz_constraint_run_wants_gate(g->run)))
        return 0;
    if ((g->is_masked || g->may_end) && g->run != NULL && bz_constraint_run_is_weighed(g->run))
        return 0;
    return g->is_masked && !g->is_greedy ? 0 : bz_sampler_needs(g->sampler);
}

bezel_status bz_generation_picked(bz_generation *g, int32_t id, bezel_error *err)
{
    if (g->run == NULL || bz_constraint_run_take(g->run, id))
        return bz_generation_token(g, id, err);
    if (g->may_end)
        return bz_generation_finish(g, BEZEL_STOP_EOS, err);
    g->wants_all = 1;
    return BEZEL_ERR_BUSY;
}

bezel_status bz_generation_draw(bz_generation *g, bezel_error *err)
{
    const bezel_session *s = g->session;
    const size_t V = s->model->config.V;
    bezel_status status = BEZEL_ERR_BUSY;
    if (g->run != NULL && bz_constraint_run_wants_gate(g->run))
        bz_constraint_run_gate(g->run, s->logits, V, s->model->engine->pool);
    if (g->run != NULL && g->may_end)
        bz_constraint_run_next(g->run, s->logits, V);
    for (size_t tries = 0; status == BEZEL_ERR_BUSY; ++tries) { /* a refused token has the least logit the next time */
        int32_t id;
        if (g->run != NULL && !g->may_end)
            bz_constraint_run_mask(g->run, s->logits, V);
        status = bz_sampler_pick(&id, g->sampler, s->logits, s->ids, s->n_ids, err);
        if (status == BEZEL_OK)
            status = bz_generation_picked(g, id, err);
        if (tries == V)
            return bz_fail(err, BEZEL_ERR_NUMERIC, "generate", "the constraint refuses token %d again and again", (int)id);
    }
    g->wants_all = 0;
    return status;
}
