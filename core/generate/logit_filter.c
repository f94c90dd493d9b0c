/* SPDX-License-Identifier: MIT */
/* Passes over the logits of one position.
 *
 * A vocabulary has 262,144 entries, so nothing here sorts all of them: the k best are held in a heap while one pass goes
 * by, and a nucleus is taken from a heap until its mass is reached. Order everywhere: larger logit first, then lower id. */
#include "generate/logit_filter.h"

#include "base/status.h"

#include <float.h>
#include <math.h>

#define LOGIT_SPAN ((size_t)512) /* logits looked at together */

/* --- Reading and changing ----------------------------------------------------------------- */

/* Largest of n floats, n at most LOGIT_SPAN; is_bad: one of them is no number (x * 0 is 0 for all others). In lanes, because
 * the compiler turns no sum and no largest of floats into vectors by itself. */
static float logit_span_max(const float *x, size_t n, int *is_bad)
{
    float most[16], zero[16];
    for (size_t l = 0; l < 16; ++l) {
        most[l] = -INFINITY;
        zero[l] = 0.0F;
    }
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        for (size_t l = 0; l < 16; ++l) {
            most[l] = x[i + l] > most[l] ? x[i + l] : most[l];
            zero[l] += x[i + l] * 0.0F;
        }
    }
    for (; i < n; ++i) {
        most[0] = x[i] > most[0] ? x[i] : most[0];
        zero[0] += x[i] * 0.0F;
    }
    for (size_t l = 1; l < 16; ++l) {
        most[0] = most[l] > most[0] ? most[l] : most[0];
        zero[0] += zero[l];
    }
    *is_bad = isnan(zero[0]);
    return most[0];
}

int32_t bz_logit_scan(const float *logits, size_t n, size_t *out_bad)
{
    float best = -INFINITY;
    size_t span = n;
    *out_bad = n;
    for (size_t i = 0; i < n; i += LOGIT_SPAN) {
        int is_bad;
        const float most = logit_span_max(logits + i, n - i < LOGIT_SPAN ? n - i : LOGIT_SPAN, &is_bad);
        for (size_t j = i; is_bad && *out_bad == n && j < n; ++j)
            if (!isfinite(logits[j]))
                *out_bad = j;
        if (most > best) {
            best = most;
            span = i;
        }
    }
    for (size_t i = span; i < n; ++i)
        if (logits[i] >= best)
            return (int32_t)i;
    return -1;
}

bezel_status bz_logit_fail(int32_t id, int is_nan, bezel_error *err)
{
    return bz_error_hint(err,
                         bz_fail(err, BEZEL_ERR_NUMERIC, "sampler", "the logit of token %d is %s, expected a number",
                                 (int)id, is_nan ? "NaN" : "infinite"),
                         "the model file is damaged, or a loaded session was");
}

bezel_status bz_logit_check(const float *logits, size_t V, bezel_error *err)
{
    size_t bad;
    (void)bz_logit_scan(logits, V, &bad);
    return bad == V ? BEZEL_OK : bz_logit_fail((int32_t)bad, isnan(logits[bad]), err);
}

void bz_logit_bias(float *logits, const bezel_logit_bias *bias, size_t n)
{
    for (size_t i = 0; i < n; ++i)
        logits[bias[i].id] += bias[i].bias;
}

void bz_logit_penalty(float *logits, const int32_t *ids, size_t n, float r, uint64_t *seen)
{
    for (size_t i = 0; i < n; ++i) {
        const uint32_t id = (uint32_t)ids[i];
        const uint64_t bit = (uint64_t)1 << (id % 64);
        if (seen[id / 64] & bit)
            continue;
        seen[id / 64] |= bit;
        /* Held to the range of a float: a damaged file has logits whose quotient is infinite, and infinity minus itself
         * is no weight. */
        const float l = logits[id] < 0.0F ? logits[id] * r : logits[id] / r;
        logits[id] = l > FLT_MAX ? FLT_MAX : l;
    }
    for (size_t i = 0; i < n; ++i)
        seen[(uint32_t)ids[i] / 64] = 0;
}

int32_t bz_logit_argmax(const float *logits, size_t V)
{
    size_t bad;
    return bz_logit_scan(logits, V, &bad);
}

/* --- Selection ---------------------------------------------------------------------------- */

/* a comes after b in the order */
static int candidate_after(const bz_candidate *a, const bz_candidate *b)
{
    return a->logit < b->logit || (a->logit == b->logit && a->id > b->id);
}

/* Sifts list[at] down in a heap of n whose root is the last of the order (last_first 1) or the first (0). */
static void candidate_sift(bz_candidate *list, size_t n, size_t at, int last_first)
{
    const bz_candidate moved = list[at];
    for (;;) {
        size_t child = 2 * at + 1;
        if (child >= n)
            break;
        if (child + 1 < n && candidate_after(&list[child + 1], &list[child]) == last_first)
            ++child;
        if (candidate_after(&list[child], &moved) != last_first)
            break;
        list[at] = list[child];
        at = child;
    }
    list[at] = moved;
}

static void candidate_heapify(bz_candidate *list, size_t n, int last_first)
{
    for (size_t i = n / 2; i-- > 0;)
        candidate_sift(list, n, i, last_first);
}

/* The k best as a heap with the worst of them at the root. */
static size_t logit_select(bz_candidate *out, const float *logits, size_t V, size_t k)
{
    if (k > V)
        k = V;
    if (k == 0)
        return 0;
    for (size_t i = 0; i < k; ++i)
        out[i] = (bz_candidate){0.0, logits[i], (int32_t)i};
    candidate_heapify(out, k, 1);
    for (size_t i = k; i < V; ++i) {
        if (logits[i] > out[0].logit) {
            out[0] = (bz_candidate){0.0, logits[i], (int32_t)i};
            candidate_sift(out, k, 0, 1);
        }
    }
    return k;
}

size_t bz_logit_top(bz_candidate *out, const float *logits, size_t V, size_t k)
{
    const size_t n = logit_select(out, logits, V, k);
    for (size_t left = n; left > 1; --left) { /* the worst goes to the end, again and again */
        const bz_candidate worst = out[0];
        out[0] = out[left - 1];
        candidate_sift(out, left - 1, 0, 1);
        out[left - 1] = worst;
    }
    return n;
}

size_t bz_logit_top_k(bz_candidate *out, const float *logits, size_t V, size_t k)
{
    const size_t selected = logit_select(out, logits, V, k);
    const float least = selected > 0 ? out[0].logit : -INFINITY;
    size_t n = 0;
    for (size_t i = 0; i < V; ++i)
        if (logits[i] >= least && logits[i] > -INFINITY)
            out[n++] = (bz_candidate){0.0, logits[i], (int32_t)i};
    return n;
}

size_t bz_logit_keep(bz_candidate *list, size_t n, size_t k)
{
    if (k >= n)
        return n;
    bz_candidate *heap = list + n;
    for (size_t i = 0; i < k; ++i)
        heap[i] = list[i];
    candidate_heapify(heap, k, 1);
    for (size_t i = k; i < n; ++i) {
        if (list[i].logit > heap[0].logit) {
            heap[0] = list[i];
            candidate_sift(heap, k, 0, 1);
        }
    }
    const float least = heap[0].logit;
    size_t kept = 0;
    for (size_t i = 0; i < n; ++i)
        if (list[i].logit >= least)
            list[kept++] = list[i];
    return kept;
}

size_t bz_logit_top_p(bz_candidate *list, size_t n, double p, double total)
{
    candidate_heapify(list, n, 0);
    double mass = 0.0;
    size_t left = n;
    while (left > 0) {
        const bz_candidate best = list[0];
        list[0] = list[left - 1];
        candidate_sift(list, left - 1, 0, 0);
        list[--left] = best;
        mass += best.weight;
        if (mass >= p * total)
            break;
    }
    return n - left;
}

/* --- Log-probability ---------------------------------------------------------------------- */

#define LOGIT_BLOCK ((size_t)8192) /* ids a partial sum */
#define LOGIT_BLOCKS ((size_t)64)  /* partial sums on the stack; larger vocabularies go round again */

typedef struct logit_mass_pass {
    const float *logits;
    size_t V;
    double best, scale;
    double sums[LOGIT_BLOCKS];
} logit_mass_pass;

double bz_logit_weight(double x)
{
    if (x >= -12.0)
        return exp(x);
    return x >= -60.0 ? (double)expf((float)x) : 0.0;
}

static void logit_mass_rows(void *ctx, size_t begin, size_t end, unsigned worker)
{
    (void)worker;
    logit_mass_pass *p = ctx;
    for (size_t block = begin; block < end; ++block) {
        double sum = 0.0;
        for (size_t start = block * LOGIT_BLOCK; start < p->V; start += LOGIT_BLOCK * LOGIT_BLOCKS) {
            const size_t stop = p->V - start > LOGIT_BLOCK ? start + LOGIT_BLOCK : p->V;
            for (size_t i = start; i < stop; ++i)
                sum += bz_logit_weight(((double)p->logits[i] - p->best) * p->scale);
        }
        p->sums[block] = sum;
    }
}

double bz_logit_mass(const float *logits, size_t V, double best, double scale, bz_thread_pool *pool)
{
    logit_mass_pass pass = {logits, V, best, scale, {0.0}};
    const size_t blocks = V > LOGIT_BLOCK * (LOGIT_BLOCKS - 1) ? LOGIT_BLOCKS : V / LOGIT_BLOCK + 1;
    if (pool != NULL)
        bz_thread_pool_run(pool, blocks, 1, logit_mass_rows, &pass);
    else
        logit_mass_rows(&pass, 0, blocks, 0);
    double sum = 0.0;
    for (size_t i = 0; i < blocks; ++i)
        sum += pass.sums[i];
    return sum;
}

double bz_logit_log_sum(const float *logits, size_t V, bz_thread_pool *pool)
{
    const int32_t best = bz_logit_argmax(logits, V);
    if (best < 0)
        return -(double)INFINITY;
    return (double)logits[best] + log(bz_logit_mass(logits, V, (double)logits[best], 1.0, pool));
}
