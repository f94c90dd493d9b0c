/* SPDX-License-Identifier: MIT */
/* bezel_job: work that the host drives. Loading a model and generating an answer are jobs.
 *
 *     // a game gives it 4 ms a frame
 *     st = bezel_job_step(job, 4000, &err);          // BEZEL_MORE, BEZEL_TOKEN, BEZEL_DONE or an error
 *     while (bezel_job_event(job, &event)) show(event.text);
 *
 *     // an editor lets the engine's worker do it and waits on a descriptor
 *     bezel_job_start(job, &err);
 *     poll(bezel_job_fd(job)) ... st = bezel_job_poll(job, &err);
 *
 * Nothing of the host is called from another thread: events wait in the job until the host takes them. */
#ifndef BEZEL_JOB_H
#define BEZEL_JOB_H

#include <bezel/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct bezel_job bezel_job; /* Thread: confined, but for bezel_job_cancel and bezel_job_fd */

enum {
    BEZEL_EVENT_PROGRESS = 1, /* progress changed */
    BEZEL_EVENT_TEXT = 2      /* a piece of answer: whole characters only */
};

typedef struct bezel_event {
    uint32_t size;      /* sizeof(bezel_event), set by the caller */
    uint32_t type;      /* BEZEL_EVENT_... */
    const char *text;   /* TEXT: valid UTF-8, NUL-terminated, lives until the next call on the job */
    size_t text_size;   /* bytes */
    double progress;    /* PROGRESS: 0..1 of the load or of the prompt */
} bezel_event;

/* Works for about budget_us microseconds and returns; the smallest unit is one layer of one prompt chunk or token.
 * 0 does one unit; a negative budget works until there is an event or the end. An event of this very call gives
 * BEZEL_TOKEN even when the job has ended; the next step then tells the end.
 *   Errors   BEZEL_ERR_CANCELLED after bezel_job_cancel; BEZEL_ERR_BUSY when the job runs on the worker */
BEZEL_API bezel_status bezel_job_step(bezel_job *job, int64_t budget_us, bezel_error *err);
/* Hands the job to the engine's worker thread. From then on use poll, wait, event, cancel and free only. */
BEZEL_API bezel_status bezel_job_start(bezel_job *job, bezel_error *err);
/* BEZEL_TOKEN when an event waits, BEZEL_MORE while it runs, BEZEL_DONE, or the job's error. Never blocks. */
BEZEL_API bezel_status bezel_job_poll(bezel_job *job, bezel_error *err);
/* As poll, but waits up to timeout_ms (negative: without end) for something other than BEZEL_MORE. Take the events, else
 * it returns BEZEL_TOKEN at once.
 *   Errors   BEZEL_ERR_ARGUMENT when the job was not started and has nothing to tell */
BEZEL_API bezel_status bezel_job_wait(bezel_job *job, int64_t timeout_ms, bezel_error *err);
/* Takes the next event. Returns 1, or 0 when none waits. */
BEZEL_API int32_t bezel_job_event(bezel_job *job, bezel_event *out);
/* File descriptor that is readable while poll would return something other than BEZEL_MORE; -1 before start.
 * Belongs to the job; only wait on it. */
BEZEL_API int32_t bezel_job_fd(bezel_job *job);
/* Asks the job to end; it does at its next unit. Any thread, any time before free. */
BEZEL_API void bezel_job_cancel(bezel_job *job);
/* Cancels, waits for the worker to let go, and frees; NULL is fine. */
BEZEL_API void bezel_job_free(bezel_job *job);

#ifdef __cplusplus
}
#endif
#endif
