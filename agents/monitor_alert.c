/* SPDX-License-Identifier: MIT */
/* Limits over the last requests of a model (R31). Invariant: of each limit at most one alert holds; it is told when it begins and
 * when it ends, not in between. */
#include "monitor_impl.h"

#include "base/number.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef struct alert_means {
    size_t n, n_success;
    double response_s, memory_mb, tokens_per_second, success_rate;
} alert_means;

typedef struct alert_rule { /* ORDER of bz_monitor_model.alarms */
    const char *type, *metric, *format; /* value and threshold */
    uint32_t severity;
} alert_rule;

static const alert_rule rules[BZ_MONITOR_ALERTS] = {
    {"performance", "response_time", "response time of %s s is above %s s", BEZEL_SEVERITY_MEDIUM},
    {"memory", "memory", "memory of %s MB is above %s MB", BEZEL_SEVERITY_MEDIUM},
    {"performance", "tokens_per_second", "%s tokens per second are below %s", BEZEL_SEVERITY_LOW},
    {"reliability", "success_rate", "success rate of %s is below %s", BEZEL_SEVERITY_HIGH},
    {"error", "successful_requests", "no successful requests: %s, expected at least %s", BEZEL_SEVERITY_HIGH},
};

static void alert_mean(alert_means *out, const bz_monitor_ring *recent)
{
    *out = (alert_means){.n = recent->count};
    for (size_t i = 0; i < recent->count; i++) {
        const bz_monitor_recent *r = bz_monitor_ring_at(recent, i);
        if (!r->is_success)
            continue;
        out->n_success++;
        out->response_s += (double)r->duration_us / 1e6;
        out->memory_mb += (double)r->memory_bytes / 1048576;
        out->tokens_per_second += r->tokens_per_second;
    }
    if (out->n_success) {
        out->response_s /= (double)out->n_success;
        out->memory_mb /= (double)out->n_success;
        out->tokens_per_second /= (double)out->n_success;
    }
    out->success_rate = out->n ? (double)out->n_success / (double)out->n : 1;
}

/* Without memory: the row is there already. Numbers do not follow the host's locale. */
static void alert_message(bz_monitor_alarm *a, const char *format)
{
    char value[32], threshold[32];
    bz_number_format(value, round(a->alert.value * 100) / 100);
    bz_number_format(threshold, a->alert.threshold);
    snprintf(a->message, sizeof a->message, format, value, threshold);
}

static void alert_tell(bezel_monitor *m, const bz_monitor_alarm *a)
{
    bz_monitor_alarm *event = &m->events[m->n_events++ % BZ_MONITOR_EVENTS];
    *event = *a;
    if (m->n_events - m->first_event > BZ_MONITOR_EVENTS)
        m->first_event = m->n_events - BZ_MONITOR_EVENTS;
    m->changes[m->n_changes] = a->alert;
    m->changes[m->n_changes++].message = a->message;
}

void bz_monitor_alerts(bezel_monitor *m, bz_monitor_model *model, int64_t at_ms)
{
    alert_means mean;
    alert_mean(&mean, &model->recent);
    const bezel_monitor_thresholds *t = &model->limits;
    const double values[] = {mean.response_s, mean.memory_mb, mean.tokens_per_second, mean.success_rate, (double)mean.n_success};
    const double limits[] = {t->max_response_s, t->max_memory_mb, t->min_tokens_per_second, t->min_success_rate, 1};
    const int none = mean.n_success == 0;
    const int is_on[] = {!none && values[0] > limits[0], !none && values[1] > limits[1], !none && values[2] < limits[2],
                         !none && values[3] < limits[3], none};
    m->n_changes = 0;
    for (int i = 0; i < BZ_MONITOR_ALERTS; i++) {
        bz_monitor_alarm *a = &model->alarms[i];
        const int was_on = a->is_on;
        if (!was_on && !is_on[i])
            continue;
        a->is_on = is_on[i];
        a->alert = (bezel_monitor_alert){.at_ms = was_on && is_on[i] ? a->alert.at_ms : at_ms,
                                         .severity = rules[i].severity,
                                         .is_over = was_on && !is_on[i],
                                         .type = rules[i].type,
                                         .metric = rules[i].metric,
                                         .value = values[i],
                                         .threshold = limits[i],
                                         .model = model->name};
        if (is_on[i])
            alert_message(a, rules[i].format);
        if (was_on != is_on[i])
            alert_tell(m, a);
    }
}

int32_t bezel_monitor_alert_at(bezel_monitor_alert *out, bezel_monitor *m, size_t i)
{
    for (uint32_t k = 0; k < m->n_models; k++) {
        for (int a = 0; a < BZ_MONITOR_ALERTS; a++) {
            bz_monitor_alarm *alarm = &m->models[k]->alarms[a];
            if (!alarm->is_on || i-- > 0)
                continue;
            *out = alarm->alert;
            out->message = alarm->message;
            return 1;
        }
    }
    return 0;
}

int32_t bezel_monitor_alert_next(bezel_monitor_alert *out, bezel_monitor *m)
{
    if (m->first_event == m->n_events)
        return 0;
    bz_monitor_alarm *event = &m->events[m->first_event++ % BZ_MONITOR_EVENTS];
    *out = event->alert;
    out->message = event->message;
    return 1;
}
