/* SPDX-License-Identifier: MIT */
/* bezel_score, bezel_score_from: log-probabilities of the positions of a text.
 *
 * What is scored is computed again, because the hidden states of cached positions are gone; what lies before it is not. The
 * output matrix is read once for SCORE_ROWS positions. It draws nothing and applies no penalty. */
#include "base/alloc.h"
#include "base/status.h"
#include "generate/logit_filter.h"
#include "generate/session_impl.h"

#include <errno.h>
#include <math.h>

#define SCORE_ROWS ((size_t)16) /* positions whose logits are held at once: 16 MiB of a Gemma 3 vocabulary */
#define SCORE_MAX_TOP 1024U

typedef struct score_pass {
    bezel_session *session;
    size_t from; /* first position that is told */
    uint32_t n_top;
    bezel_score_fn fn;
    void *ud;
    float *logits;       /* [SCORE_ROWS, V] */
    bz_candidate *best;  /* [n_top] */
    int32_t *top_ids;    /* [n_top] */
    float *top_logprobs; /* [n_top] */
    float logprob;       /* of the next position's id */
} score_pass;

static bezel_status score_alloc(score_pass *p, bezel_error *err)
{
    const bezel_world *w = p->session->world;
    const size_t V = p->session->model->config.V;
    p->logits = bz_alloc_aligned(w, SCORE_ROWS * V * sizeof *p->logits);
    if (p->logits == NULL)
        return bz_fail_memory(err, "score", "logits", SCORE_ROWS * V * sizeof *p->logits);
    p->best = bz_zalloc_array(w, (size_t)p->n_top + 1, sizeof *p->best);
    p->top_ids = bz_zalloc_array(w, (size_t)p->n_top + 1, sizeof *p->top_ids);
    p->top_logprobs = bz_zalloc_array(w, (size_t)p->n_top + 1, sizeof *p->top_logprobs);
    if (p->best == NULL || p->top_ids == NULL || p->top_logprobs == NULL)
        return bz_fail_memory(err, "score", "the best tokens", ((size_t)p->n_top + 1) * 24);
    return BEZEL_OK;
}

static void score_free(score_pass *p)
{
    const bezel_world *w = p->session->world;
    bz_free_aligned(w, p->logits);
    bz_free(w, p->best);
    bz_free(w, p->top_ids);
    bz_free(w, p->top_logprobs);
}

static bezel_status score_position(score_pass *p, size_t position, const float *logits, bezel_error *err)
{
    const bezel_session *s = p->session;
    const size_t V = s->model->config.V;
    const bezel_status status = bz_logit_check(logits, V, err);
    if (status != BEZEL_OK)
        return bz_error_offset(err, status, (int64_t)position);
    const double log_sum = bz_logit_log_sum(logits, V, s->model->engine->pool);
    if (position + 1 == p->from) { /* only what it says of the next */
        p->logprob = (float)((double)logits[s->ids[p->from]] - log_sum);
        return BEZEL_OK;
    }
    bz_logit_top(p->best, logits, V, p->n_top);
    for (size_t i = 0; i < p->n_top; ++i) {
        p->top_ids[i] = p->best[i].id;
        p->top_logprobs[i] = (float)((double)p->best[i].logit - log_sum);
    }
    const bezel_status answer =
        p->fn(p->ud, position, s->ids[position], p->logprob, p->top_ids, p->top_logprobs, p->n_top);
    if (answer != BEZEL_OK)
        return bz_fail(err, BEZEL_ERR_CALLBACK, "score", "the callback stopped at position %zu with %s", position,
                       bezel_status_name(answer));
    if (position + 1 < s->n_ids)
        p->logprob = (float)((double)logits[s->ids[position + 1]] - log_sum);
    return BEZEL_OK;
}

static bezel_status score_chunk(score_pass *p, bezel_error *err)
{
    bezel_session *s = p->session;
    const size_t V = s->model->config.V;
    const size_t position = s->cache->n, left = s->n_ids - position;
    const size_t T = left < s->chunk ? left : s->chunk;
    const bz_segment segment = {.cache = s->cache, .ids = s->ids + position, .T = T, .adapters = &s->adapters, .is_prompt = 1};
    bz_decoder_begin(s->decoder, &segment, 1);
    while (bz_decoder_layer(s->decoder)) {
    }
    const size_t first = p->from > 0 ? p->from - 1 : 0, skipped = first > position ? first - position : 0;
    for (size_t t = skipped; t < T; t += SCORE_ROWS) {
        const size_t rows = T - t < SCORE_ROWS ? T - t : SCORE_ROWS;
        bz_decoder_head(s->decoder, t, rows);
        while (bz_decoder_head_slice(s->decoder, p->logits, V)) {
        }
        for (size_t i = 0; i < rows; ++i) {
            const bezel_status status = score_position(p, position + t + i, p->logits + i * V, err);
            if (status != BEZEL_OK)
                return status;
        }
    }
    return BEZEL_OK;
}

static bezel_status score_check(const bezel_session *session, const int32_t *ids, size_t count, uint32_t n_top,
                                bezel_error *err)
{
    const uint32_t V = session->model->config.V;
    if (n_top > SCORE_MAX_TOP || n_top > V)
        return bz_fail(err, BEZEL_ERR_RANGE, "score", "n_top is %u, expected 0 to %u", (unsigned)n_top,
                       (unsigned)(V < SCORE_MAX_TOP ? V : SCORE_MAX_TOP));
    if (count > session->n_ctx)
        return bz_error_hint(err,
                             bz_fail(err, BEZEL_ERR_FULL, "score", "%zu tokens do not fit: the context has %u positions",
                                     count, (unsigned)session->n_ctx),
                             "open the session with a larger n_ctx, or score less at once");
    return bz_session_check_ids(session, ids, count, err);
}

bezel_status bezel_score(bezel_session *session, const int32_t *ids, size_t count, uint32_t n_top, bezel_score_fn fn,
                         void *ud, bezel_error *err)
{
    return bezel_score_from(session, ids, count, 0, n_top, fn, ud, err);
}

bezel_status bezel_score_from(bezel_session *session, const int32_t *ids, size_t count, size_t from, uint32_t n_top,
                              bezel_score_fn fn, void *ud, bezel_error *err)
{
    bezel_status status = bz_session_check(session, err);
    if (status != BEZEL_OK)
        return status;
    if (fn == NULL)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "score", "fn is NULL");
    if (from > 0 && from >= count)
        return bz_fail(err, BEZEL_ERR_RANGE, "score", "from is %zu, expected a position of the %zu tokens", from, count);
    status = score_check(session, ids, count, n_top, err);
    if (status != BEZEL_OK)
        return status;
    score_pass pass = {.session = session, .from = from, .n_top = n_top, .fn = fn, .ud = ud, .logprob = NAN};
    status = score_alloc(&pass, err);
    if (status != BEZEL_OK)
        goto done;
    bz_session_assign(session, ids, count);
    (void)bz_kv_cache_trim(session->cache, from > 0 ? from - 1 : 0);
    (void)bz_session_acquire(session, NULL); /* keeps the callback out of this session */
    const int saved = errno; /* exp of the kernels may set it; it is the host's */
    while (status == BEZEL_OK && session->cache->n < session->n_ids)
        status = score_chunk(&pass, err);
    errno = saved;
    bz_session_release(session);
done:
    score_free(&pass);
    return status;
}
