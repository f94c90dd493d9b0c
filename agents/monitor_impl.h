/* SPDX-License-Identifier: MIT */
/* Inside of a monitor: monitor.c takes rows, monitor_alert.c compares them with limits, monitor_quality.c scores answers,
 * monitor_summary.c sums rows up, monitor_health.c probes a model, monitor_export.c and monitor_prometheus.c write them out. */
#ifndef BZ_MONITOR_IMPL_H
#define BZ_MONITOR_IMPL_H

#include <bezel/monitor.h>

#include "base/status.h"
#include "base/strbuf.h"

enum {
    BZ_MONITOR_MODELS = 65, /* the last one is "other" */
    BZ_MONITOR_ALERTS = 5,
    BZ_MONITOR_EVENTS = 64,
    BZ_MONITOR_BUCKETS = 15,
    BZ_MONITOR_ERRORS = 32,    /* codes of a model that are counted apart; the last one is "other" */
    BZ_MONITOR_DECISIONS = 32, /* kinds with outcomes that are counted */
    BZ_MONITOR_TEXT = 200,
};

typedef struct bz_monitor_row { /* a request that is kept */
    int64_t at_ms, duration_us, first_token_us;
    uint64_t memory_bytes, allocator_bytes, gpu_bytes, n_prompt, n_cached, n_generated, n_input;
    double tokens_per_second;
    uint32_t model;
    int32_t is_success;
    char span[33], input_hash[17], operation[24], code[24];
    char *error; /* NULL = none */
} bz_monitor_row;

typedef struct bz_monitor_score { /* scores that are kept */
    int64_t at_ms;
    double relevance, coherence, safety, accuracy, satisfaction;
    uint32_t model;
    int32_t has_reference;
    char span[33];
} bz_monitor_score;

typedef struct bz_monitor_ring { /* the last `max` elements of `size` bytes; grows up to there */
    uint8_t *data;
    size_t size, count, capacity, max, next; /* next: where the following one goes once it is full */
} bz_monitor_ring;

typedef struct bz_monitor_sum { /* one bucket more than bounds: all above */
    uint64_t counts[BZ_MONITOR_BUCKETS + 1], n;
    double sum;
} bz_monitor_sum;

enum { /* histograms of a model, ORDER as in monitor_prometheus.c */
    BZ_SUM_DURATION,
    BZ_SUM_INPUT,
    BZ_SUM_OUTPUT,
    BZ_SUM_FIRST,
    BZ_SUM_PER_TOKEN,
    BZ_SUMS
};

typedef struct bz_monitor_recent { /* what alerts look at */
    int64_t duration_us;
    uint64_t memory_bytes;
    double tokens_per_second;
    int32_t is_success;
} bz_monitor_recent;

typedef struct bz_monitor_alarm {
    bezel_monitor_alert alert;
    int is_on;
    char message[BZ_MONITOR_TEXT];
} bz_monitor_alarm;

typedef struct bz_monitor_model {
    char *name;
    bezel_monitor_thresholds limits;
    bz_monitor_ring recent; /* of bz_monitor_recent */
    bz_monitor_alarm alarms[BZ_MONITOR_ALERTS];
    bz_monitor_sum sums[BZ_SUMS];
    uint64_t n_success, n_cached;
    uint64_t errors[BZ_MONITOR_ERRORS];
    char codes[BZ_MONITOR_ERRORS][24];
    uint32_t n_codes;
    uint64_t n_scores, n_satisfaction;
    double scores[5]; /* sums, ORDER relevance, coherence, safety, accuracy, satisfaction */
} bz_monitor_model;

typedef struct bz_monitor_count {
    char kind[24], outcome[24];
    uint64_t n;
} bz_monitor_count;

typedef struct bz_monitor_tee bz_monitor_tee;
struct bz_monitor_tee { /* a journal of the monitor */
    bz_monitor_tee *after;
    bezel_monitor *monitor;
    bezel_journal journal, next; /* next.write NULL: nobody */
};

struct bezel_monitor {
    const bezel_world *world;
    bezel_engine *engine;
    bezel_monitor_options options; /* lists are not kept */
    bezel_monitor_sink sink;       /* write NULL: nowhere */
    bezel_monitor_thresholds defaults;
    bezel_monitor_thresholds *thresholds; /* [options.n_thresholds], models are copies */
    bz_monitor_ring rows, scores;
    bz_monitor_model *models[BZ_MONITOR_MODELS];
    uint32_t n_models;
    bz_monitor_count decisions[BZ_MONITOR_DECISIONS];
    uint32_t n_decisions;
    uint64_t n_lost; /* records of turns that the sink or memory refused */
    bz_monitor_alarm events[BZ_MONITOR_EVENTS];
    uint64_t first_event, n_events; /* numbers of events since the beginning */
    bezel_monitor_alert changes[BZ_MONITOR_ALERTS]; /* of the request that is being added */
    uint32_t n_changes;
    bz_monitor_tee *tees;
    char health_text[4][BZ_MONITOR_TEXT * 2];
    const char *health_errors[5];
};

/* --- monitor.c ---------------------------------------------------------------------------- */

/* Element i, from the oldest. */
void *bz_monitor_ring_at(const bz_monitor_ring *r, size_t i);
/* The model of a name ("" for NULL); NULL when memory is out. */
bz_monitor_model *bz_monitor_model_of(bezel_monitor *m, const char *name, uint32_t *out_index);
/* 1 when row or score of model i is one of `name` (NULL = all). */
int bz_monitor_is_model(const bezel_monitor *m, uint32_t i, const char *name);

/* --- monitor_alert.c ---------------------------------------------------------------------- */

/* Compares the last requests of a model with its limits; what begins and ends goes to m->changes and waits as events. */
void bz_monitor_alerts(bezel_monitor *m, bz_monitor_model *model, int64_t at_ms);

/* --- monitor_quality.c -------------------------------------------------------------------- */

/* The built-in scores of an answer. MEMORY. */
bezel_status bz_monitor_score_answer(bezel_monitor_quality *out, const bezel_world *w, const bezel_monitor_answer *answer,
                                     bezel_error *err);

/* --- monitor_prometheus.c ----------------------------------------------------------------- */

void bz_monitor_count_request(bz_monitor_model *model, const bezel_monitor_request *request);

#endif
