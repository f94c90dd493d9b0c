/* SPDX-License-Identifier: MIT */
/* Passes over the rows of several generations (see scheduler.h).
 *
 * A unit is one layer of a pass or one slice of the output matrix. Invariant: between two passes every member's cache holds
 * all of its timeline but what is left of the prompt, or the one newest token. A pass that is dropped has changed nothing.
 * Slices of the output matrix are looked through while they are in cache, so greedy members need no V logits. */
#include "generate/scheduler.h"

#include "base/status.h"
#include "generate/generation.h"
#include "model/head_copy.h"

#include <float.h>
#include <math.h>
#include <string.h>

enum { SCHEDULER_FEW_ROWS = 8 }; /* a pass of fewer reads the weights in vain */
enum { PASS_PLAN, PASS_LAYER, PASS_HEAD, PASS_SCREEN }; /* bz_scheduler.phase */

void bz_scheduler_drop_pass(bz_scheduler *s)
{
    s->phase = PASS_PLAN;
}

/* After something was done for a member: MORE goes on, else its job ends. */
static void scheduler_settle(bz_generation *g, bezel_status status, const bezel_error *error)
{
    if (status == BEZEL_MORE)
        return;
    bz_generation_leave(g);
    bz_job_end(&g->job, status, error);
}

/* --- Plan --------------------------------------------------------------------------------- */

/* Positions that a member waits for: 0 when it is over, 1 when it decodes. */
static size_t scheduler_pending(bz_generation *g)
{
    bezel_session *session = g->session;
    if (!g->is_over && bz_job_cancel_asked(&g->job)) {
        (void)bz_generation_finish(g, BEZEL_STOP_CANCELLED, NULL);
        bz_generation_leave(g);
        bz_job_end_cancelled(&g->job);
    }
    if (g->is_over)
        return 0;
    if (!g->is_started)
        bz_generation_start(g);
    if (session->cache->n >= session->n_ids) /* a pass was dropped when only its logits were missing */
        (void)bz_kv_cache_trim(session->cache, session->n_ids - 1);
    return session->n_ids - session->cache->n;
}

static void scheduler_add_segment(bz_scheduler *s, bz_generation *g, size_t T)
{
    bezel_session *session = g->session;
    s->segments[s->n_segments] = (bz_segment){.cache = session->cache, .ids = session->ids + session->cache->n, .T = T,
                                              .adapters = &session->adapters,
                                              .is_prompt = session->cache->n < g->n_prompt};
    s->heads[s->n_segments++].g = g;
}

/* Rows for a member that decodes: its newest token, and with it what lookup guesses to follow. Not beside others: there
 * every row takes its time. */
static size_t scheduler_decode_rows(const bz_scheduler *s, bz_generation *g)
{
    bezel_session *session = g->session;
    size_t room = s->n_members > 1 ? 0 : s->most - 1;
    if (room > session->n_ctx - session->n_ids)
        room = session->n_ctx - session->n_ids;
    if (room > g->max_tokens - g->n_ids)
        room = g->max_tokens - g->n_ids;
    return 1 + (room > 1 && g->n_ids > 0 ? bz_lookup_draft(&g->lookup, session->ids, session->n_ids, room - 1) : 0);
}

/* Rows of a prompt that a layer gets through in the time that is wished for, as the last such pass went; few at first. */
static size_t scheduler_prompt_rows(const bz_scheduler *s, size_t left)
{
    const int64_t row_ns = s->decoder->row_ns;
    const int64_t rows = s->unit_ns == 0 ? INT32_MAX : row_ns == 0 ? SCHEDULER_FEW_ROWS : s->unit_ns / row_ns;
    const size_t most = rows < SCHEDULER_FEW_ROWS ? SCHEDULER_FEW_ROWS : (size_t)rows;
    return most < left ? most : left;
}

/* The next pass; 0 when nobody needs one. Those that wait for one token come first, from `turn` on. */
static int scheduler_plan(bz_scheduler *s)
{
    size_t n_prompts = 0;
    for (size_t i = 0; i < s->n_members; ++i)
        n_prompts += scheduler_pending(s->members[i]) > 1;
    size_t left = s->most, next = s->turn;
    const size_t reserve = n_prompts > 0 ? s->most / 4 : 0; /* so that prompts come in beside any number that decode */
    s->n_segments = 0;
    for (size_t i = 0; i < s->n_members && left > reserve; ++i) {
        const size_t at = (s->turn + i) % s->n_members;
        if (scheduler_pending(s->members[at]) != 1)
            continue;
        const size_t rows = scheduler_decode_rows(s, s->members[at]);
        scheduler_add_segment(s, s->members[at], rows);
        next = at + 1;
        left -= rows;
    }
    s->turn = left == reserve ? next : 0;
    if (n_prompts > 0)
        left = scheduler_prompt_rows(s, left);
    for (size_t i = 0; i < s->n_members && left > 0; ++i) {
        bz_generation *g = s->members[i];
        const size_t pending = scheduler_pending(g);
        if (pending < 2)
            continue;
        const size_t T = pending < left ? pending : left;
        scheduler_add_segment(s, g, T);
        left -= T;
    }
    if (s->n_segments == 0)
        return 0;
    bz_decoder_begin(s->decoder, s->segments, s->n_segments);
    s->phase = PASS_LAYER;
    return 1;
}

/* --- Head --------------------------------------------------------------------------------- */

/* What a constraint decides without all logits: 1 when the member needs none of this pass any more. */
static int scheduler_constrained(bz_scheduler *s, bz_generation *g, size_t row)
{
    bezel_error error = BEZEL_ERROR_INIT;
    const int32_t *rows;
    size_t n;
    float *logits = g->session->logits;
    const size_t V = s->decoder->config->V;
    bezel_status status = bz_generation_plan(g, &rows, &n, &error);
    if (status == BEZEL_MORE && n == 0)
        return 0;
    if (status == BEZEL_MORE) {
        for (size_t i = 0; i < V; ++i)
            logits[i] = -FLT_MAX;
        bz_decoder_head(s->decoder, row, 1);
        bz_decoder_head_tokens(s->decoder, logits, rows, n);
        status = bz_generation_draw(g, &error);
    }
    scheduler_settle(g, status == BEZEL_TOKEN ? BEZEL_MORE : status, &error);
    return 1;
}

/* The first token is not kept waiting: the copy of the output matrix is asked for with the second. */
static const bz_screen *scheduler_screen(const bz_generation *g)
{
    return bz_generation_needs(g) > 0 && g->session->head == BEZEL_HEAD_SCREENED
               ? bz_head_copy_get(g->session->model->head_copy, g->first_ns != 0)
               : NULL;
}

/* The coarse copy, when the heads of this pass can be looked for with it: all of them, in the logits of their sessions, one
 * each or several guesses of one member. */
static int scheduler_begin_screen(const bz_scheduler *s)
{
    const size_t size = bz_screen_blocks(s->decoder->config->V) * BZ_SCREEN_ROWS;
    float *high[BZ_SCREEN_MOST];
    const bz_screen *screen = NULL;
    if (s->n_heads > BZ_SCREEN_MOST)
        return 0;
    for (size_t i = 0, place = 0; i < s->n_heads; ++i) {
        const bz_generation *g = s->heads[i].g;
        place = i > 0 && s->heads[i - 1].g == g ? place + size : 0;
        screen = scheduler_screen(g);
        if (screen == NULL || place + size > g->session->n_logits)
            return 0;
        high[i] = g->session->logits + place;
    }
    return bz_decoder_screen_begin(s->decoder, screen, high);
}

/* All layers are done: which rows need logits. */
static void scheduler_begin_heads(bz_scheduler *s)
{
    const bz_decoder *d = s->decoder;
    s->n_heads = 0;
    for (size_t i = 0; i < s->n_segments; ++i) {
        bz_generation *g = s->heads[i].g;
        const bezel_session *session = g->session;
        bezel_error error = BEZEL_ERROR_INIT;
        if (session->cache->n <= g->n_prompt) {
            const bezel_status status = bz_generation_prompt(g, &error);
            scheduler_settle(g, status, &error);
            if (status != BEZEL_MORE)
                continue;
        }
        const size_t end = d->segments[i].row + d->segments[i].T;
        if (session->cache->n >= session->n_ids && scheduler_constrained(s, g, end - 1))
            continue;
        const size_t n = session->cache->n < session->n_ids ? 0 : session->cache->n - session->n_ids + 1;
        for (size_t row = end - n; row < end; ++row)
            s->heads[s->n_heads++] =
                (bz_head){.g = g, .row = (uint32_t)row, .best = -INFINITY, .id = -1, .bad = -1};
    }
    s->phase = s->n_heads > 0 ? PASS_HEAD : PASS_PLAN;
    s->decoder->head_count = 0;
    for (size_t i = 0; i < s->n_heads; ++i)
        bz_decoder_head_add(s->decoder, s->heads[i].row);
    if (scheduler_begin_screen(s))
        s->phase = PASS_SCREEN;
}

typedef struct head_slice {
    bz_scheduler *s;
    size_t first, n, stride; /* ids of the slice, and how far apart its rows lie */
} head_slice;

static int head_is_forbidden(const bz_generation *g, int32_t id)
{
    for (size_t i = 0; i < g->n_forbidden; ++i)
        if (g->forbidden[i] == id)
            return 1;
    return 0;
}

static int32_t head_scan_allowed(const bz_generation *g, float *logits, size_t first, size_t n)
{
    for (size_t i = 0; i < g->n_forbidden; ++i)
        if ((size_t)g->forbidden[i] >= first && (size_t)g->forbidden[i] - first < n)
            logits[(size_t)g->forbidden[i] - first] = -INFINITY;
    return bz_logit_argmax(logits, n);
}

/* Looks through a slice: the best so far of those that want an argmax, all logits for the others. */
static void head_slice_rows(void *ctx, size_t begin, size_t end, unsigned worker)
{
    const head_slice *slice = ctx;
    (void)worker;
    for (size_t i = begin; i < end; ++i) {
        bz_head *head = &slice->s->heads[i];
        bz_generation *g = head->g;
        float *logits = slice->s->scratch + i * slice->stride;
        if (!bz_generation_is_argmax(g)) {
            memcpy(g->session->logits + slice->first, logits, slice->n * sizeof *logits);
            continue;
        }
        size_t bad;
        int32_t id = bz_logit_scan(logits, slice->n, &bad);
        if (head->bad < 0 && bad < slice->n) {
            head->bad = (int32_t)(slice->first + bad);
            head->best = logits[bad];
        }
        if (head->bad >= 0)
            continue;
        if (id >= 0 && head_is_forbidden(g, (int32_t)slice->first + id)) /* rare: once more without the forbidden */
            id = head_scan_allowed(g, logits, slice->first, slice->n);
        if (id >= 0 && logits[id] > head->best) {
            head->best = logits[id];
            head->id = (int32_t)slice->first + id;
        }
    }
}

/* 1 while rows of the output matrix are left. */
static int scheduler_head_slice(bz_scheduler *s)
{
    head_slice slice = {.s = s, .first = s->decoder->head_row};
    if (s->n_heads == 1 && !bz_generation_is_argmax(s->heads[0].g)) /* alone, and it wants them all: straight to where they belong */
        return bz_decoder_head_slice(s->decoder, s->heads[0].g->session->logits, 0);
    slice.stride = s->n_scratch / s->n_heads;
    slice.n = bz_decoder_head_next(s->decoder, s->scratch, slice.stride, slice.stride);
    bz_thread_pool_run(s->decoder->engine->pool, s->n_heads, 1, head_slice_rows, &slice);
    return slice.first + slice.n < s->decoder->config->V;
}

static bezel_status scheduler_take_token(bz_head *head, bezel_error *err)
{
    bz_generation *g = head->g;
    if (!bz_generation_is_argmax(g))
        return bz_generation_draw(g, err);
    if (head->bad >= 0)
        return bz_logit_fail(head->bad, isnan(head->best), err);
    if (head->id < 0)
        return bz_sampler_fail_forbidden(err);
    return bz_generation_token(g, head->id, err);
}

/* The n heads of one member: the token that follows, then those that follow guesses which held. */
static void scheduler_take_run(bz_head *heads, size_t n)
{
    bz_generation *g = heads[0].g;
    bezel_session *session = g->session;
    bezel_error error = BEZEL_ERROR_INIT;
    bezel_status status = BEZEL_MORE;
    size_t accepted = 0;
    for (size_t i = 0; i < n; ++i) {
        const int32_t guess = i + 1 < n ? session->ids[session->n_ids] : -1;
        status = scheduler_take_token(&heads[i], &error);
        if (status != BEZEL_MORE || heads[i].id != guess)
            break;
        ++accepted;
    }
    if (n > 1) {
        bz_lookup_note(&g->lookup, n - 1, accepted);
        const size_t computed = session->cache->n - (n - 1) + accepted; /* the newest token never is */
        (void)bz_kv_cache_trim(session->cache, computed < session->n_ids ? computed : session->n_ids);
    }
    scheduler_settle(g, status, &error);
}

static void scheduler_take_tokens(bz_scheduler *s)
{
    s->phase = PASS_PLAN;
    for (size_t i = 0, n; i < s->n_heads; i += n) {
        for (n = 1; i + n < s->n_heads && s->heads[i + n].g == s->heads[i].g;)
            ++n;
        scheduler_take_run(s->heads + i, n);
    }
}

/* The token of a head from the few rows that can matter, -1 when they are not few. */
static int32_t scheduler_pick_screened(bz_scheduler *s, size_t i)
{
    bz_generation *g = s->heads[i].g;
    bz_decoder *d = s->decoder;
    const bezel_session *session = g->session;
    const float *logits = d->screen_high[i];
    const int32_t *rows;
    size_t n_bias;
    const bezel_logit_bias *bias = bz_sampler_bias(g->sampler, &n_bias);
    for (size_t k = 0; k < n_bias; ++k)
        if (bias[k].bias <= -INFINITY)
            bz_decoder_screen_mark(d, i, bias[k].id, 0);
    size_t n = bz_decoder_screen_seed(d, i, bz_generation_needs(g), &rows);
    const double floor = bz_sampler_floor(g->sampler, logits, rows, n, session->ids, session->n_ids);
    for (size_t k = 0; k < n_bias; ++k)
        if (bias[k].bias > -INFINITY)
            bz_decoder_screen_mark(d, i, bias[k].id, 1);
    n = bz_decoder_screen_narrow(d, i, floor, &rows);
    return n > 0 ? bz_sampler_pick_rows(g->sampler, logits, rows, n, session->ids, session->n_ids) : -1;
}

/* The guesses of one member: up to the first that was wrong, what follows it has no use. 0 = all rows are needed. */
static int scheduler_screened_run(bz_scheduler *s)
{
    const bezel_session *session = s->heads[0].g->session;
    for (size_t i = 0; i < s->n_heads; ++i) {
        s->heads[i].id = scheduler_pick_screened(s, i);
        if (s->heads[i].id < 0)
            return 0;
        if (i + 1 < s->n_heads && s->heads[i].id != session->ids[session->n_ids + i])
            break;
    }
    scheduler_take_tokens(s);
    return 1;
}

/* 0 = all rows are needed: too many are left, or a constraint refuses the token. */
static int scheduler_screened_head(bz_scheduler *s, size_t i)
{
    bz_generation *g = s->heads[i].g;
    bezel_error error = BEZEL_ERROR_INIT;
    const int32_t id = scheduler_pick_screened(s, i);
    const bezel_status status = id < 0 ? BEZEL_ERR_BUSY : bz_generation_picked(g, id, &error);
    if (status == BEZEL_ERR_BUSY)
        return 0;
    scheduler_settle(g, status, &error);
    return 1;
}

static void scheduler_screened(bz_scheduler *s)
{
    bz_decoder *d = s->decoder;
    if (bz_decoder_screen_slice(d))
        return;
    size_t left = 0;
    if (s->n_heads > 1 && s->heads[0].g == s->heads[1].g) {
        left = scheduler_screened_run(s) ? 0 : s->n_heads;
    } else {
        for (size_t i = 0; i < s->n_heads; ++i)
            if (!scheduler_screened_head(s, i))
                s->heads[left++] = s->heads[i];
    }
    s->n_heads = left;
    s->phase = left > 0 ? PASS_HEAD : PASS_PLAN;
    d->head_count = 0;
    for (size_t i = 0; i < left; ++i)
        bz_decoder_head_add(d, s->heads[i].row);
}

/* --- Unit --------------------------------------------------------------------------------- */

/* One layer; notes how long a row took, where a pass has enough of them to tell. */
static int scheduler_layer(bz_scheduler *s)
{
    bz_decoder *d = s->decoder;
    const bezel_world *w = &d->engine->world;
    const int64_t start = w->monotonic_ns(w->ud);
    const int more = bz_decoder_layer(d);
    if (d->T >= SCHEDULER_FEW_ROWS) {
        const int64_t row_ns = (w->monotonic_ns(w->ud) - start) / (int64_t)d->T + 1;
        d->row_ns = d->row_ns == 0 ? row_ns : (3 * d->row_ns + row_ns) / 4;
    }
    return more;
}

int bz_scheduler_unit(bz_scheduler *s)
{
    if (s->phase == PASS_PLAN && !scheduler_plan(s))
        return 0;
    if (s->phase == PASS_LAYER) { /* the plan is cheap: it goes with the first layer */
        if (!scheduler_layer(s))
            scheduler_begin_heads(s);
    } else if (s->phase == PASS_SCREEN) {
        scheduler_screened(s);
    } else if (!scheduler_head_slice(s)) {
        scheduler_take_tokens(s);
    }
    return 1;
}
