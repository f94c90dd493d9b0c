/* SPDX-License-Identifier: MIT */
/* Sampler (see sampler.h). Probabilities are summed in double; the same seed gives the same token wherever the logits
 * are the same. It knows nothing of text and stop strings. */
#include "generate/sampler.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "base/status.h"
#include "generate/logit_filter.h"
#include "model/decoder.h"

#include <math.h>
#include <string.h>

struct bz_sampler {
    const bezel_world *world;
    bz_thread_pool *pool;
    bezel_sampling options; /* bias points to `bias` */
    bezel_logit_bias *bias;
    size_t V;
    bz_rng rng;
    float *work;              /* [V] logits with bias and penalty, NULL when neither is asked for */
    uint64_t *seen;           /* bitmap of V, for the penalty */
    bz_candidate *candidates; /* [V], NULL when greedy */
};

/* --- Options ------------------------------------------------------------------------------ */

void bezel_sampling_init(bezel_sampling *out)
{
    *out = (bezel_sampling){.size = (uint32_t)sizeof *out,
                            .temperature = 1.0F,
                            .top_k = 64,
                            .top_p = 0.95F,
                            .repetition_penalty = 1.0F};
}

void bezel_sampling_greedy(bezel_sampling *out)
{
    *out = (bezel_sampling){.size = (uint32_t)sizeof *out, .top_p = 1.0F, .repetition_penalty = 1.0F};
}

void bezel_sampling_service(bezel_sampling *out)
{
    *out = (bezel_sampling){.size = (uint32_t)sizeof *out,
                            .temperature = 0.7F,
                            .top_p = 0.9F,
                            .repetition_penalty = 1.05F};
}

static bezel_status sampling_range(bezel_error *err, const char *member, float value, const char *expected)
{
    return bz_error_place(err,
                          bz_fail(err, BEZEL_ERR_RANGE, "sampler", "%s is %g, expected %s", member, (double)value,
                                  expected),
                          "%s", member);
}

static bezel_status sampling_check_bias(const bezel_sampling *s, size_t V, bezel_error *err)
{
    if (s->n_bias > 0 && s->bias == NULL)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "sampler", "n_bias is %u but bias is NULL", (unsigned)s->n_bias);
    if (s->n_bias > V)
        return bz_fail(err, BEZEL_ERR_RANGE, "sampler", "n_bias is %u, expected at most the %zu tokens there are",
                       (unsigned)s->n_bias, V);
    for (uint32_t i = 0; i < s->n_bias; ++i) {
        if (s->bias[i].id < 0 || (size_t)s->bias[i].id >= V)
            return bz_fail(err, BEZEL_ERR_RANGE, "sampler", "bias %u is for token %d, expected 0 to %zu", (unsigned)i,
                           (int)s->bias[i].id, V - 1);
        const float b = s->bias[i].bias;
        if (!(b >= -1e6F && b <= 1e6F) && !(isinf(b) && b < 0.0F))
            return bz_fail(err, BEZEL_ERR_RANGE, "sampler",
                           "bias %u of token %d is %g, expected -1e6 to 1e6 or -infinity", (unsigned)i,
                           (int)s->bias[i].id, (double)b);
    }
    return BEZEL_OK;
}

bezel_status bz_sampling_check(const bezel_sampling *s, size_t V, bezel_error *err)
{
    if (s->size < sizeof *s)
        return bz_error_hint(err,
                             bz_fail(err, BEZEL_ERR_VERSION, "sampler", "sampling.size is %u, expected %zu",
                                     (unsigned)s->size, sizeof *s),
                             "set it with bezel_sampling_init");
    /* Written so that NaN fails. */
    if (!(s->temperature >= 0.0F && s->temperature <= 100.0F))
        return sampling_range(err, "temperature", s->temperature, "0 to 100");
    if (s->top_k > INT32_MAX)
        return sampling_range(err, "top_k", (float)s->top_k, "0 to 2147483647");
    if (!(s->top_p > 0.0F && s->top_p <= 1.0F))
        return sampling_range(err, "top_p", s->top_p, "more than 0 and at most 1");
    if (!(s->min_p >= 0.0F && s->min_p <= 1.0F))
        return sampling_range(err, "min_p", s->min_p, "0 to 1");
    if (!(s->repetition_penalty >= 0.001F && s->repetition_penalty <= 1000.0F))
        return sampling_range(err, "repetition_penalty", s->repetition_penalty, "0.001 to 1000");
    return sampling_check_bias(s, V, err);
}

/* --- Life --------------------------------------------------------------------------------- */

static bezel_status sampler_alloc(bz_sampler *s, const bezel_sampling *options, bezel_error *err)
{
    const bezel_world *w = s->world;
    const int has_penalty = options->repetition_penalty < 1.0F || options->repetition_penalty > 1.0F;
    if (options->n_bias > 0) {
        s->bias = bz_zalloc_array(w, options->n_bias, sizeof *s->bias);
        if (s->bias == NULL)
            return bz_fail_memory(err, "sampler", "logit bias", options->n_bias * sizeof *s->bias);
        memcpy(s->bias, options->bias, options->n_bias * sizeof *s->bias);
        s->options.bias = s->bias;
    }
    if (has_penalty) {
        s->seen = bz_zalloc_array(w, (s->V + 63) / 64, sizeof *s->seen);
        if (s->seen == NULL)
            return bz_fail_memory(err, "sampler", "penalty", s->V / 8);
    }
    if (has_penalty || options->n_bias > 0) {
        s->work = bz_alloc(w, s->V * sizeof *s->work);
        if (s->work == NULL)
            return bz_fail_memory(err, "sampler", "logits", s->V * sizeof *s->work);
    }
    if (options->temperature > 0.0F) {
        s->candidates = bz_alloc(w, s->V * sizeof *s->candidates);
        if (s->candidates == NULL)
            return bz_fail_memory(err, "sampler", "candidates", s->V * sizeof *s->candidates);
    }
    return BEZEL_OK;
}

bezel_status bz_sampler_new(bz_sampler **out, const bezel_world *w, bz_thread_pool *pool,
                            const bezel_sampling *options, size_t V, bezel_error *err)
{
    *out = NULL;
    bezel_status status = bz_sampling_check(options, V, err);
    if (status != BEZEL_OK)
        return status;
    bz_sampler *s = bz_zalloc(w, sizeof *s);
    if (s == NULL)
        return bz_fail_memory(err, "sampler", "the sampler", sizeof *s);
    s->world = w;
    s->pool = pool;
    s->options = *options;
    s->options.bias = NULL;
    s->V = V;
    status = sampler_alloc(s, options, err);
    if (status != BEZEL_OK)
        goto done;
    uint64_t seed = options->seed;
    if (seed == 0 && options->temperature > 0.0F) {
        status = w->random(w->ud, &seed, sizeof seed);
        if (status != BEZEL_OK) {
            bz_fail(err, status, "sampler", "the system gave no random seed (%s)", bezel_status_name(status));
            bz_error_hint(err, status, "set sampling.seed");
            goto done;
        }
    }
    bz_rng_seed(&s->rng, seed);
    *out = s;
    s = NULL;
done:
    bz_sampler_free(s);
    return status;
}

void bz_sampler_free(bz_sampler *s)
{
    if (s == NULL)
        return;
    bz_free(s->world, s->bias);
    bz_free(s->world, s->seen);
    bz_free(s->world, s->work);
    bz_free(s->world, s->candidates);
    bz_free(s->world, s);
}

/* --- Pick --------------------------------------------------------------------------------- */

/* Weights of the n candidates; their sum. */
static double sampler_weigh(bz_sampler *s, size_t n, double best, double scale)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; ++i) {
        bz_candidate *c = &s->candidates[i];
        c->weight = bz_logit_weight(((double)c->logit - best) * scale);
        sum += c->weight;
    }
    return sum;
}

/* Candidates with their weights into s->candidates. Without top-k: everything down to a limit below which nothing can be
 * kept. Few tokens hold most of the mass, so the limit is lowered in steps until top_p of it is in. */
static size_t sampler_gather(bz_sampler *s, const float *logits, float best, double *out_total)
{
    const bezel_sampling *o = &s->options;
    const double scale = 1.0 / (double)o->temperature;
    if (o->top_k > 0 && o->top_k < s->V) {
        const size_t n = bz_logit_top_k(s->candidates, logits, s->V, o->top_k);
        *out_total = sampler_weigh(s, n, (double)best, scale);
        return n;
    }
    const int is_cut = o->top_p < 1.0F;
    *out_total = is_cut ? bz_logit_mass(logits, s->V, (double)best, scale, s->pool) : 0.0;
    size_t n = 0;
    for (double limit = is_cut ? 7.5 : 60.0; limit <= 60.0; limit *= 2.0) {
        const double least = (double)best - limit * (double)o->temperature;
        n = 0;
        for (size_t i = 0; i < s->V; ++i)
            if ((double)logits[i] >= least && logits[i] > -INFINITY)
                s->candidates[n++] = (bz_candidate){0.0, logits[i], (int32_t)i};
        const double mass = sampler_weigh(s, n, (double)best, scale);
        if (is_cut && mass >= (double)o->top_p * *out_total)
            break;
    }
    return n;
}

/* One of n candidates with weights whose sum is `total`. */
static int32_t sampler_draw(bz_sampler *s, size_t n, double total)
{
    bz_candidate *list = s->candidates;
    if (s->options.top_p < 1.0F) {
        const size_t kept = bz_logit_top_p(list, n, (double)s->options.top_p, total);
        list += n - kept;
        n = kept;
    }
    /* The best weight is exp(0) = 1, so min_p * best is min_p. */
    const double least = (double)s->options.min_p;
    total = 0.0;
    size_t kept = 0;
    for (size_t i = 0; i < n; ++i) {
        if (list[i].weight < least)
            continue;
        list[kept++] = list[i];
        total += list[i].weight;
    }
    double rest = bz_rng_unit(&s->rng) * total;
    for (size_t i = 0; i + 1 < kept; ++i) {
        rest -= list[i].weight;
        if (rest < 0.0)
            return list[i].id;
    }
    return list[kept - 1].id;
}

bezel_status bz_sampler_fail_forbidden(bezel_error *err)
{
    return bz_error_hint(err, bz_fail(err, BEZEL_ERR_NUMERIC, "sampler", "the logit bias forbids every token"),
                         "leave at least one token without -infinity");
}

bezel_status bz_sampler_pick(int32_t *out, bz_sampler *s, const float *logits, const int32_t *ids, size_t n,
                             bezel_error *err)
{
    const bezel_status status = bz_logit_check(logits, s->V, err);
    if (status != BEZEL_OK)
        return status;
    if (s->work != NULL) {
        memcpy(s->work, logits, s->V * sizeof *logits);
        logits = s->work;
        bz_logit_bias(s->work, s->bias, s->options.n_bias);
        if (s->seen != NULL)
            bz_logit_penalty(s->work, ids, n, s->options.repetition_penalty, s->seen);
    }
    const int32_t best = bz_logit_argmax(logits, s->V);
    if (best < 0)
        return bz_sampler_fail_forbidden(err);
    *out = best;
    if (s->options.temperature > 0.0F) {
        double total;
        const size_t n_kept = sampler_gather(s, logits, logits[best], &total);
        *out = sampler_draw(s, n_kept, total);
    }
    return BEZEL_OK;
}

int bz_sampler_is_argmax(const bz_sampler *s, int32_t *out, size_t *out_n)
{
    *out_n = 0;
    if (s->options.temperature > 0.0F || s->seen != NULL)
        return 0;
    for (uint32_t i = 0; i < s->options.n_bias; ++i) {
        if (s->bias[i].bias > -INFINITY)
            return 0;
        out[(*out_n)++] = s->bias[i].id;
    }
    return 1;
}

/* --- From a few logits -------------------------------------------------------------------- */

size_t bz_sampler_needs(const bz_sampler *s)
{
    const bezel_sampling *o = &s->options;
    if (o->repetition_penalty < 1.0F)
        return 0;
    if (o->temperature <= 0.0F)
        return 1;
    if (o->top_k > 0 && o->top_k < s->V)
        return o->top_k <= BZ_SCREEN_KEPT && o->top_k <= s->V / 8 ? o->top_k : 0;
    return o->min_p > 0.0F && o->top_p >= 1.0F ? 1 : 0;
}

const bezel_logit_bias *bz_sampler_bias(const bz_sampler *s, size_t *out_n)
{
    *out_n = s->options.n_bias;
    return s->bias;
}

/* The logits after bias and penalty, at the places of rows; elsewhere they mean nothing. */
static const float *sampler_change_rows(bz_sampler *s, const float *logits, const int32_t *rows, size_t n, const int32_t *ids,
                                        size_t n_ids)
{
    if (s->work == NULL)
        return logits;
    for (uint32_t i = 0; i < s->options.n_bias; ++i)
        s->work[s->bias[i].id] = 0.0F;
    for (size_t i = 0; s->seen != NULL && i < n_ids; ++i)
        s->work[ids[i]] = 0.0F;
    for (size_t i = 0; i < n; ++i)
        s->work[rows[i]] = logits[rows[i]];
    bz_logit_bias(s->work, s->bias, s->options.n_bias);
    if (s->seen != NULL)
        bz_logit_penalty(s->work, ids, n_ids, s->options.repetition_penalty, s->seen);
    return s->work;
}

/* Lowest of the rows with the largest logit, -1 when there is none above -infinity. */
static int32_t sampler_best_row(const float *logits, const int32_t *rows, size_t n)
{
    int32_t best = -1;
    for (size_t i = 0; i < n; ++i)
        if (logits[rows[i]] > (best < 0 ? -INFINITY : logits[best]))
            best = rows[i];
    return best;
}

/* Candidates of top-k among the rows, in order of ids if rows are. */
static size_t sampler_keep_rows(bz_sampler *s, const float *logits, const int32_t *rows, size_t n)
{
    size_t n_kept = 0;
    for (size_t i = 0; i < n; ++i)
        if (logits[rows[i]] > -INFINITY)
            s->candidates[n_kept++] = (bz_candidate){0.0, logits[rows[i]], rows[i]};
    const uint32_t k = s->options.top_k;
    return k > 0 && k < s->V ? bz_logit_keep(s->candidates, n_kept, k) : n_kept;
}

double bz_sampler_floor(bz_sampler *s, const float *logits, const int32_t *rows, size_t n, const int32_t *ids, size_t n_ids)
{
    const bezel_sampling *o = &s->options;
    logits = sampler_change_rows(s, logits, rows, n, ids, n_ids);
    const int32_t best = sampler_best_row(logits, rows, n);
    if (best < 0)
        return -(double)INFINITY;
    if (o->temperature <= 0.0F)
        return (double)logits[best];
    if (o->top_k == 0 || o->top_k >= s->V) /* a weight is right to 1e-7, so its logit to as much */
        return (double)logits[best] + (double)o->temperature * (log((double)o->min_p) - 1e-5);
    const size_t n_kept = sampler_keep_rows(s, logits, rows, n);
    if (n_kept < o->top_k)
        return -(double)INFINITY;
    float least = s->candidates[0].logit;
    for (size_t i = 1; i < n_kept; ++i)
        least = s->candidates[i].logit < least ? s->candidates[i].logit : least;
    return (double)least;
}

int32_t bz_sampler_pick_rows(bz_sampler *s, const float *logits, const int32_t *rows, size_t n, const int32_t *ids,
                             size_t n_ids)
{
    logits = sampler_change_rows(s, logits, rows, n, ids, n_ids);
    const int32_t best = sampler_best_row(logits, rows, n);
    if (s->options.temperature <= 0.0F)
        return best;
    const size_t n_kept = sampler_keep_rows(s, logits, rows, n);
    const double scale = 1.0 / (double)s->options.temperature;
    return sampler_draw(s, n_kept, sampler_weigh(s, n_kept, (double)logits[best], scale));
}
