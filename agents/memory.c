/* SPDX-License-Identifier: MIT */
/* Fitting a history into the context. Invariant: what is sent begins with a question, keeps calls and their results
 * together, and changes its beginning rarely, so that the session's cache stays of use. It renders nothing itself. */
#include "memory.h"

/* Index of the next question after i, count when there is none. */
static size_t memory_next_question(const bz_memory_fit *fit, size_t i)
{
    for (i++; i < fit->count; i++) {
        if (fit->messages[i].role == BEZEL_ROLE_USER)
            break;
    }
    return i;
}

static size_t memory_last_question(const bz_memory_fit *fit)
{
    size_t i = fit->count;
    while (i > 0 && fit->messages[i - 1].role != BEZEL_ROLE_USER)
        i--;
    return i ? i - 1 : 0;
}

static bezel_status memory_full(const bz_memory_fit *fit, size_t n_tokens, bezel_error *err)
{
    bezel_status st = bz_fail(err, BEZEL_ERR_FULL, "agent", "the prompt has %zu tokens, %zu fit", n_tokens, fit->limit);
    return bz_error_hint(err, st, fit->drop ? "shorten the question, the tools or the system text, or raise n_ctx"
                                            : "raise n_ctx, clear the history, or choose BEZEL_OVERFLOW_DROP_OLDEST");
}

/* Drops exchanges before the current one until the prompt has at most `goal` tokens or none is left. */
static bezel_status memory_drop_exchanges(bz_memory_plan *next, const bz_memory_fit *fit, size_t current, size_t goal,
                                          bezel_error *err)
{
    bezel_status st = BEZEL_OK;
    while (st == BEZEL_OK && next->n_tokens > goal && next->first < current) {
        next->first = memory_next_question(fit, next->first);
        st = fit->measure(fit->ud, next, &next->n_tokens, err);
    }
    return st;
}

/* Drops calls with their results of the current exchange, but not the last pair. */
static bezel_status memory_drop_calls(bz_memory_plan *next, const bz_memory_fit *fit, size_t current, size_t goal,
                                      bezel_error *err)
{
    bezel_status st = BEZEL_OK;
    if (next->skip_end <= current)
        next->skip_begin = next->skip_end = current + 1;
    while (st == BEZEL_OK && next->n_tokens > goal) {
        size_t end = next->skip_end + 1;
        while (end < fit->count && fit->messages[end].role != BEZEL_ROLE_ASSISTANT)
            end++;
        if (end >= fit->count)
            break;
        next->skip_end = end;
        st = fit->measure(fit->ud, next, &next->n_tokens, err);
    }
    return st;
}

bezel_status bz_memory_choose(bz_memory_plan *plan, const bz_memory_fit *fit, bezel_error *err)
{
    bz_memory_plan next = *plan;
    size_t current = memory_last_question(fit);
    next.n_dropped = 0;
    if (next.first > current)
        next.first = current;
    if (next.skip_begin != current + 1 || next.skip_end > fit->count || next.skip_end < next.skip_begin)
        next.skip_begin = next.skip_end = 0; /* it belonged to an earlier exchange */
    bezel_status st = fit->measure(fit->ud, &next, &next.n_tokens, err);
    if (st != BEZEL_OK)
        return st;
    size_t before = next.n_tokens;
    if (next.n_tokens > fit->limit && fit->drop) {
        st = memory_drop_exchanges(&next, fit, current, fit->target, err);
        if (st == BEZEL_OK && next.n_tokens > fit->limit)
            st = memory_drop_calls(&next, fit, current, fit->target, err);
    }
    if (st == BEZEL_OK && next.n_tokens > fit->limit)
        st = memory_full(fit, next.n_tokens, err);
    if (st != BEZEL_OK)
        return st;
    next.n_dropped = before > next.n_tokens ? before - next.n_tokens : 0;
    *plan = next;
    return BEZEL_OK;
}
