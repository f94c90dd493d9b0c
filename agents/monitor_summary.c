/* SPDX-License-Identifier: MIT */
/* The last rows in numbers (R29, R30). Changes nothing. */
#include "monitor_impl.h"

#include "base/alloc.h"
#include "base/index_sort.h"
#include "base/options.h"

#include <math.h>

static int summary_compare(const void *ctx, uint32_t a, uint32_t b)
{
    const double *times = ctx;
    return (times[a] > times[b]) - (times[a] < times[b]);
}

/* Quantile k of `of` by the exclusive method: place k (n + 1) / of of the sorted values, in proportion between two of them;
 * beyond the ends the line through the last two goes on.
 *   Source   Hyndman and Fan 1996, type 6; Python's statistics.quantiles(method="exclusive") */
static double summary_quantile(const double *times, const uint32_t *order, size_t n, size_t k, size_t of)
{
    if (n == 1)
        return times[order[0]];
    size_t at = k * (n + 1) / of;
    at = at < 1 ? 1 : at > n - 1 ? n - 1 : at;
    const double part = (double)(k * (n + 1)) - (double)(at * of);
    return (times[order[at - 1]] * ((double)of - part) + times[order[at]] * part) / (double)of;
}

static bezel_status summary_times(bezel_monitor_performance *p, const bezel_world *w, const double *times, bezel_error *err)
{
    uint32_t *order = bz_zalloc_array(w, p->n_success, sizeof *order);
    if (order == NULL)
        return bz_fail_memory(err, "monitor", "a summary", p->n_success * sizeof *order);
    for (uint32_t i = 0; i < p->n_success; i++)
        order[i] = i;
    bz_index_sort(order, p->n_success, summary_compare, times);
    p->p50_response_s = summary_quantile(times, order, p->n_success, 10, 20);
    p->p95_response_s = summary_quantile(times, order, p->n_success, 19, 20);
    p->p99_response_s = summary_quantile(times, order, p->n_success, 99, 100);
    bz_free(w, order);
    return BEZEL_OK;
}

static void summary_collect(bezel_monitor_performance *p, double *times, const bezel_monitor *m, const char *model, uint32_t n)
{
    for (size_t i = m->rows.count; i-- > 0 && p->n_requests < n;) {
        const bz_monitor_row *r = bz_monitor_ring_at(&m->rows, i);
        if (!bz_monitor_is_model(m, r->model, model))
            continue;
        p->n_requests++;
        p->total_tokens += r->n_generated;
        if (!r->is_success)
            continue;
        times[p->n_success++] = (double)r->duration_us / 1e6;
        p->mean_response_s += (double)r->duration_us / 1e6;
        p->mean_memory_mb += (double)r->memory_bytes / 1048576;
        p->mean_tokens_per_second += r->tokens_per_second;
    }
    if (p->n_requests)
        p->success_rate = (double)p->n_success / p->n_requests;
    if (p->n_success) {
        p->mean_response_s /= p->n_success;
        p->mean_memory_mb /= p->n_success;
        p->mean_tokens_per_second /= p->n_success;
    }
}

bezel_status bezel_monitor_summary(bezel_monitor_performance *out, const bezel_monitor *m, const char *model, uint32_t n,
                                   bezel_error *err)
{
    if (!bz_struct_sized(out))
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "monitor", "the size of the summary is not set");
    bezel_monitor_performance p = {.size = sizeof p};
    const uint32_t last = n ? n : 100;
    const size_t most = m->rows.count < last ? m->rows.count : last;
    bezel_status st = BEZEL_OK;
    double *times = bz_zalloc_array(m->world, most + 1, sizeof *times);
    if (times == NULL)
        return bz_fail_memory(err, "monitor", "a summary", most * sizeof *times);
    summary_collect(&p, times, m, model, last);
    if (p.n_requests == 0)
        st = bz_fail(err, BEZEL_ERR_MISSING, "monitor", "no performance data");
    else if (p.n_success == 0)
        st = bz_fail(err, BEZEL_ERR_MISSING, "monitor", "no successful requests among the last %u", p.n_requests);
    else
        st = summary_times(&p, m->world, times, err);
    bz_free(m->world, times);
    if (st != BEZEL_ERR_MEMORY)
        bz_struct_give(out, &p, sizeof p);
    return st;
}

bezel_status bezel_monitor_quality_summary(bezel_monitor_scores *out, const bezel_monitor *m, const char *model, uint32_t n,
                                           bezel_error *err)
{
    if (!bz_struct_sized(out))
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "monitor", "the size of the summary is not set");
    bezel_monitor_scores s = {.size = sizeof s};
    uint32_t n_satisfaction = 0;
    double satisfaction = 0;
    for (size_t i = m->scores.count; i-- > 0 && s.n_evaluations < (n ? n : 100);) {
        const bz_monitor_score *r = bz_monitor_ring_at(&m->scores, i);
        if (!bz_monitor_is_model(m, r->model, model))
            continue;
        s.n_evaluations++;
        s.relevance += r->relevance;
        s.coherence += r->coherence;
        s.safety += r->safety;
        s.accuracy += r->accuracy;
        if (!isnan(r->satisfaction)) {
            n_satisfaction++;
            satisfaction += r->satisfaction;
        }
    }
    if (s.n_evaluations == 0)
        return bz_fail(err, BEZEL_ERR_MISSING, "monitor", "no quality data");
    double *const means[] = {&s.relevance, &s.coherence, &s.safety, &s.accuracy};
    for (int i = 0; i < 4; i++) {
        *means[i] /= s.n_evaluations;
        s.overall += *means[i] / 4;
    }
    s.satisfaction = n_satisfaction ? satisfaction / n_satisfaction : (double)NAN;
    bz_struct_give(out, &s, sizeof s);
    return BEZEL_OK;
}
