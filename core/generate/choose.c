/* SPDX-License-Identifier: MIT */
/* bezel_choose: how probable each of some texts is as what comes next.
 *
 * The token sequences are sorted, so those with the same beginning stand side by side and the beginning is computed once: a
 * position's logits are used for all choices that pass it. The cache goes back and forth behind the timeline, which stays. */
#include <bezel/session.h>

#include "base/alloc.h"
#include "base/status.h"
#include "base/strbuf.h"
#include "generate/constraint_impl.h"
#include "generate/logit_filter.h"
#include "generate/session_impl.h"
#include "text/tokenizer_impl.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CHOOSE_ROWS ((size_t)4) /* positions whose logits are held at once */

typedef struct choose_item {
    const int32_t *ids; /* [n] */
    size_t n, place;    /* place: among the choices as given */
    double sum;         /* log-probability of the ids so far */
} choose_item;

typedef struct choose_pass {
    bezel_session *session;
    choose_item *items; /* [n] sorted by ids */
    size_t n, *starts;  /* starts [n + 1]: in ids */
    bz_ids ids;         /* of all choices */
    float *logits;      /* [CHOOSE_ROWS, V] */
} choose_pass;

static int choose_compare(const void *a, const void *b)
{
    const choose_item *x = a, *y = b;
    for (size_t i = 0; i < x->n && i < y->n; i++)
        if (x->ids[i] != y->ids[i])
            return x->ids[i] < y->ids[i] ? -1 : 1;
    return x->n != y->n ? (x->n < y->n ? -1 : 1) : 0;
}

static size_t choose_shared(const choose_item *a, const choose_item *b)
{
    size_t i = 0;
    while (i < a->n && i < b->n && a->ids[i] == b->ids[i])
        i++;
    return i;
}

/* Tokens of the choices as they follow the timeline. */
static bezel_status choose_tokenize(choose_pass *p, const char *const *choices, bezel_error *err)
{
    const bezel_session *s = p->session;
    const bz_vocab *v = s->model->vocab;
    const int spaced = bz_vocab_wants_blank(v, s->ids[s->n_ids - 1]);
    bezel_status status = BEZEL_OK;
    size_t longest = 0;
    for (size_t i = 0; i < p->n && status == BEZEL_OK; i++) {
        bz_strbuf text;
        bz_strbuf_init(&text, s->world, 0);
        bz_strbuf_text(&text, spaced ? " " : "");
        bz_strbuf_text(&text, choices[i]);
        status = text.status == BEZEL_OK ? bz_tokenize(&p->ids, v, bz_strbuf_cstr(&text), text.size, 0, err)
                                         : bz_fail_memory(err, "choose", "a choice", text.size);
        bz_strbuf_free(&text);
        p->starts[i + 1] = p->ids.count;
    }
    if (status == BEZEL_OK && p->ids.status != BEZEL_OK)
        status = bz_fail_memory(err, "choose", "the tokens", p->ids.count * sizeof(int32_t));
    for (size_t i = 0; i < p->n && status == BEZEL_OK; i++) {
        p->items[i] = (choose_item){p->ids.ids + p->starts[i], p->starts[i + 1] - p->starts[i], i, 0.0};
        longest = p->items[i].n > longest ? p->items[i].n : longest;
    }
    if (status != BEZEL_OK)
        return status;
    if (longest > s->n_ctx - s->n_ids)
        return bz_error_hint(err,
                             bz_fail(err, BEZEL_ERR_FULL, "choose", "%zu tokens do not fit: %zu of %u positions are taken",
                                     longest, s->n_ids, (unsigned)s->n_ctx),
                             "open the session with a larger n_ctx");
    qsort(p->items, p->n, sizeof *p->items, choose_compare);
    return BEZEL_OK;
}

/* What the logits behind the first `depth` tokens of item i say about all choices that begin with these. */
static bezel_status choose_row(choose_pass *p, size_t i, size_t depth, const float *logits, bezel_error *err)
{
    const bezel_session *s = p->session;
    const size_t V = s->model->config.V;
    const bezel_status status = bz_logit_check(logits, V, err);
    if (status != BEZEL_OK)
        return status;
    const double log_sum = bz_logit_log_sum(logits, V, s->model->engine->pool);
    for (size_t k = i; k < p->n && choose_shared(&p->items[i], &p->items[k]) >= depth; k++)
        if (p->items[k].n > depth)
            p->items[k].sum += (double)logits[p->items[k].ids[depth]] - log_sum;
    return BEZEL_OK;
}

/* Computes ids [T] behind what the cache holds. Their logits, from row `first` on, are those behind the first depth,
 * depth + 1, ... tokens of item i. */
static bezel_status choose_compute(choose_pass *p, const int32_t *ids, size_t T, size_t first, size_t i, size_t depth,
                                   bezel_error *err)
{
    bezel_session *s = p->session;
    const size_t V = s->model->config.V;
    bezel_status status = BEZEL_OK;
    for (size_t done = 0, n; done < T && status == BEZEL_OK; done += n) {
        n = T - done < s->chunk ? T - done : s->chunk;
        const bz_segment segment = {.cache = s->cache, .ids = ids + done, .T = n, .adapters = &s->adapters, .is_prompt = 1};
        bz_decoder_begin(s->decoder, &segment, 1);
        while (bz_decoder_layer(s->decoder)) {
        }
        for (size_t t = first > done ? first - done : 0, rows; t < n && status == BEZEL_OK; t += rows) {
            rows = n - t < CHOOSE_ROWS ? n - t : CHOOSE_ROWS;
            bz_decoder_head(s->decoder, t, rows);
            while (bz_decoder_head_slice(s->decoder, p->logits, V)) {
            }
            for (size_t r = 0; r < rows && status == BEZEL_OK; r++)
                status = choose_row(p, i, depth + done + t + r - first, p->logits + r * V, err);
        }
    }
    return status;
}

static bezel_status choose_run(choose_pass *p, bezel_error *err)
{
    bezel_session *s = p->session;
    const size_t begin = s->n_ids;
    (void)bz_kv_cache_trim(s->cache, begin - 1); /* hidden states of cached positions are gone */
    const size_t at = s->cache->n;
    bezel_status status = choose_compute(p, s->ids + at, begin - at, begin - at - 1, 0, 0, err);
    for (size_t i = 0, have = 0; i < p->n && status == BEZEL_OK; i++) { /* have: tokens of the choice in the cache */
        const choose_item *item = &p->items[i];
        const size_t shared = i > 0 ? choose_shared(item, item - 1) : 0;
        have = have < shared ? have : shared;
        (void)bz_kv_cache_trim(s->cache, begin + have);
        if (have + 1 < item->n) {
            status = choose_compute(p, item->ids + have, item->n - 1 - have, 0, i, have + 1, err);
            have = item->n - 1;
        }
    }
    (void)bz_kv_cache_trim(s->cache, begin);
    return status;
}

/* Probabilities that sum to 1 from sums of logarithms. */
static void choose_write(double *out_probabilities, double *out_logprobs, const choose_pass *p)
{
    double best = p->items[0].sum, total = 0.0;
    for (size_t i = 1; i < p->n; i++)
        best = fmax(best, p->items[i].sum);
    for (size_t i = 0; i < p->n; i++)
        total += exp(p->items[i].sum - best);
    for (size_t i = 0; i < p->n; i++) {
        out_probabilities[p->items[i].place] = exp(p->items[i].sum - best) / total;
        if (out_logprobs != NULL)
            out_logprobs[p->items[i].place] = p->items[i].sum;
    }
}

bezel_status bezel_choose(double *out_probabilities, double *out_logprobs, bezel_session *session, const char *const *choices,
                          size_t n_choices, bezel_error *err)
{
    choose_pass p = {.session = session, .n = n_choices};
    bezel_status status = bz_session_check(session, err);
    if (status == BEZEL_OK && out_probabilities == NULL)
        status = bz_fail(err, BEZEL_ERR_ARGUMENT, "choose", "out_probabilities is NULL");
    if (status == BEZEL_OK && session->n_ids == 0)
        status = bz_error_hint(err, bz_fail(err, BEZEL_ERR_ARGUMENT, "choose", "the session holds no text"),
                               "append the text that the choices follow");
    if (status == BEZEL_OK)
        status = bz_choices_check(choices, n_choices, err);
    if (status != BEZEL_OK)
        return status;
    const bezel_world *w = session->world;
    const size_t V = session->model->config.V;
    bz_ids_init(&p.ids, w);
    p.items = bz_zalloc_array(w, n_choices, sizeof *p.items);
    p.starts = bz_zalloc_array(w, n_choices + 1, sizeof *p.starts);
    p.logits = bz_alloc_aligned(w, CHOOSE_ROWS * V * sizeof *p.logits);
    status = p.items != NULL && p.starts != NULL && p.logits != NULL
                 ? choose_tokenize(&p, choices, err)
                 : bz_fail_memory(err, "choose", "logits", CHOOSE_ROWS * V * sizeof *p.logits);
    if (status == BEZEL_OK) {
        (void)bz_session_acquire(session, NULL);
        const int saved = errno; /* exp of the kernels may set it; it is the host's */
        status = choose_run(&p, err);
        errno = saved;
        bz_session_release(session);
    }
    if (status == BEZEL_OK)
        choose_write(out_probabilities, out_logprobs, &p);
    bz_free_aligned(w, p.logits);
    bz_free(w, p.starts);
    bz_free(w, p.items);
    bz_ids_free(&p.ids);
    return status;
}
