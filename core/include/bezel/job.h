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
 * A job is stepped by the host or run by the worker, never both. Events wait in the job until the host takes them;
 * nothing of the host is called from another thread, but for the functions of its world and the read function of a
 * model. */
#ifndef BEZEL_JOB_H
#define BEZEL_JOB_H

#include <bezel/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One piece of work with its events and its end. Made by bezel_model_open_job and bezel_generate.
 *   Thread   confined, but for bezel_job_cancel and bezel_job_fd */
typedef struct bezel_job bezel_job;

/* --- Events ------------------------------------------------------------------------------- */

enum {
    /* progress changed; events of this kind that nobody took are merged into the newest */
    BEZEL_EVENT_PROGRESS = 1,
    /* a piece of answer: whole characters only, nothing that may still turn out to be a stop string */
    BEZEL_EVENT_TEXT = 2
};

/* What bezel_job_event gives. */
typedef struct bezel_event {
    /* sizeof(bezel_event), set by the caller; a smaller one of an older header gets its members */
    uint32_t size;
    /* BEZEL_EVENT_... */
    uint32_t type;
    /* TEXT: valid UTF-8, NUL-terminated. Lives until the next step, start, poll, wait, event or free of the job */
    const char *text;
    /* TEXT: bytes; a model may write a NUL, which is counted */
    size_t text_size;
    /* PROGRESS: 0 to 1, of the load or of the prompt */
    double progress;
} bezel_event;

/* Takes the next event: 1, or 0 when none waits, a parameter is NULL or out->size is not set.
 * Events come in order and stay until they are taken or the job is freed, also after its end. One that is not taken
 * holds nothing up.
 * Never blocks for the work.
 *   Owns     the text is the job's, see bezel_event
 *   Thread   that of the job
 *   Since    0.1 */
BEZEL_API int32_t bezel_job_event(bezel_job *job, bezel_event *out);

/* --- Driven by the host ------------------------------------------------------------------- */

/* Works on this thread for about budget_us microseconds and tells how it stands.
 * The smallest unit is a part of a load, one layer of a token or of a piece of the prompt, or a slice of the output
 * matrix. A unit is not begun when it would not fit, as far as the last one tells; at least one is done. Under budgets
 * below 100 ms the pieces of a prompt are cut so that a layer takes about a quarter of the budget.
 * 0 does one unit; a negative budget works until there is an event or the end. BEZEL_TOKEN says that events wait; it
 * comes even when this very call ended the job, and the next step then tells the end. After the end every further step
 * returns the same BEZEL_DONE or error.
 *   Units    microseconds
 *   Thread   that of the job; the engine's pool helps
 *   Errors   BUSY when the worker has the job, which goes on; CANCELLED after bezel_job_cancel; else the job's own
 *            error, as its maker's comment lists them.
 *            The job is over then: read its events, free it
 *   Since    0.1 */
BEZEL_API bezel_status bezel_job_step(bezel_job *job, int64_t budget_us, bezel_error *err);

/* --- Driven by the engine's worker -------------------------------------------------------- */

/* Hands the job to the engine's worker thread, which it starts if it is the first. From then on use poll, wait, event,
 * fd, cancel and free only; a second start changes nothing.
 * An engine has one worker: its jobs take turns of about 4 ms.
 * A job that was stepped before goes on where it stood; one that has ended may be started, to have its descriptor.
 *   Thread   that of the job
 *   Errors   IO when the system has no descriptor or thread left, MEMORY; the job can still be stepped
 *   Since    0.1 */
BEZEL_API bezel_status bezel_job_start(bezel_job *job, bezel_error *err);

/* How the job stands, at once: BEZEL_TOKEN while an event waits, BEZEL_MORE while it works, BEZEL_DONE, or its error.
 * The end shows only when all events were taken. For a job that is stepped it tells the same and does no work.
 *   Thread   that of the job
 *   Errors   those of bezel_job_step, but for BUSY
 *   Since    0.1 */
BEZEL_API bezel_status bezel_job_poll(bezel_job *job, bezel_error *err);

/* As bezel_job_poll, but blocks up to timeout_ms for something other than BEZEL_MORE; negative waits without end, 0 not
 * at all.
 * After the time it returns BEZEL_MORE. Take the events between two waits, else it returns BEZEL_TOKEN at once.
 *   Units    milliseconds
 *   Thread   that of the job
 *   Errors   those of bezel_job_poll; ARGUMENT when the job was not started and has nothing to tell: nobody would work
 *   Since    0.1 */
BEZEL_API bezel_status bezel_job_wait(bezel_job *job, int64_t timeout_ms, bezel_error *err);

/* File descriptor that is readable while bezel_job_poll would return something other than BEZEL_MORE; -1 before
 * bezel_job_start or for NULL. For poll, epoll or the loop of a GUI. Only wait on it: reading, writing or closing it
 * breaks the promise.
 * It stays the same until the job is freed.
 *   Owns     the job's; closed by bezel_job_free
 *   Thread   any, before bezel_job_free
 *   Since    0.1 */
BEZEL_API int32_t bezel_job_fd(bezel_job *job);

/* --- End ---------------------------------------------------------------------------------- */

/* Asks the job to end and returns at once; it ends with BEZEL_ERR_CANCELLED at its next unit. A stepped job sees it at
 * its next step.
 * A job that has ended keeps its result. NULL is fine.
 *   Thread   any, before bezel_job_free; not from a signal handler
 *   Since    0.1 */
BEZEL_API void bezel_job_cancel(bezel_job *job);

/* Cancels, waits until the worker lets go (one slice, about 4 ms, or one unit if that is longer), and frees the job
 * with its events and results; NULL is fine.
 * What a job works on, session or engine, must still be there. The session of a generation is free for other calls
 * afterwards.
 *   Thread   that of the job
 *   Since    0.1 */
BEZEL_API void bezel_job_free(bezel_job *job);

#ifdef __cplusplus
}
#endif
#endif
