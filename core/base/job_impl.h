/* SPDX-License-Identifier: MIT */
/* Inside of bezel_job: a table of functions, a queue of events, the worker. Concrete jobs embed bezel_job first. */
#ifndef BZ_JOB_IMPL_H
#define BZ_JOB_IMPL_H

#include <bezel/job.h>

#include "base/log.h"
#include "base/os.h"

#include <stdatomic.h>

typedef struct bz_worker bz_worker; /* the engine's one background thread, started by the first job that needs it */

bezel_status bz_worker_new(bz_worker **out, const bezel_world *w, bezel_error *err);
void bz_worker_free(bz_worker *worker); /* no job may be on it */

typedef struct bz_job_ops {
    const char *name;
    /* One unit of work: a layer of a chunk or token, one part of a load. BEZEL_MORE, BEZEL_DONE or an error.
     * Runs on the host's thread in step, on the worker after start, never on both. */
    bezel_status (*unit)(bezel_job *job, bezel_error *err);
    /* Told once when the job ends by cancel, before the status becomes visible; may be NULL. */
    void (*cancelled)(bezel_job *job);
    void (*destroy)(bezel_job *job); /* frees what the concrete job holds, not the struct */
} bz_job_ops;

typedef struct bz_job_event_node bz_job_event_node;
struct bezel_job {
    const bz_job_ops *ops;
    const bezel_world *world;
    bz_log *log;
    bz_worker *worker;
    bz_mutex *mutex; /* guards the members down to n_emitted */
    bz_cond *cond;   /* an event came or the job ended */
    bz_job_event_node *first, *last; /* waiting events */
    bezel_status status;             /* BEZEL_MORE until the end */
    bezel_error error;               /* why, when status is negative */
    uint64_t n_emitted;              /* events so far */
    bz_job_event_node *taken;        /* the event the host took last; host's thread only */
    int fd;                          /* readable while poll would not return BEZEL_MORE; -1 before start */
    int64_t unit_ns;                 /* how long a unit should take at most, during a step; 0 = no wish */
    int started;                     /* handed to the worker; written by the host before the worker knows the job */
    atomic_int cancel;               /* set from any thread */
    bezel_job *next;                 /* worker's ring, guarded by the worker's mutex */
};

/* Prepares the common part of a struct that the caller allocated with bz_zalloc (or larger, job first): bezel_job_free
 * frees it. On failure nothing is held and the caller frees the struct. worker NULL: the job can only be stepped. */
bezel_status bz_job_init(bezel_job *job, const bz_job_ops *ops, const bezel_world *w, bz_log *log, bz_worker *worker,
                         bezel_error *err);
/* Called by unit. Texts are copied; consecutive progress events are merged. */
bezel_status bz_job_emit_text(bezel_job *job, const char *text, size_t size, bezel_error *err);
bezel_status bz_job_emit_progress(bezel_job *job, double progress, bezel_error *err);
/* Ends the job: DONE, or an error with its text. From its unit, or from the unit of another job that works for it; nothing
 * of the job may be touched afterwards but by its own thread. The first end stays. */
void bz_job_end(bezel_job *job, bezel_status status, const bezel_error *error);
/* For whoever keeps a budget. How long one unit should take: a quarter of it, so that a step ends well; 0 = no wish. */
int64_t bz_job_unit_wish(int64_t budget_us);
/* 1 when a step has to end: units of one sort take about as long as the last one, and the next would not fit. */
int bz_job_is_spent(int64_t spent_ns, int64_t last_ns, int64_t budget_us);
int bz_job_cancel_asked(const bezel_job *job);
void bz_job_end_cancelled(bezel_job *job); /* without ops->cancelled */
int bz_job_has_event(bezel_job *job);      /* events wait */
/* BEZEL_MORE while it runs, else how it ended. What unit wrote before the end may be read once this is not BEZEL_MORE. */
bezel_status bz_job_status(bezel_job *job);

#endif
