/* SPDX-License-Identifier: MIT */
/* bezel_batch: answers of many sessions computed together.
 *
 *     bezel_batch_new(&batch, model, NULL, &err);
 *     for (i = 0; i < n; ++i) {
 *         bezel_generate(&job[i], session[i], &options[i], &err);
 *         bezel_batch_add(batch, job[i], &err);
 *     }
 *     while (bezel_batch_step(batch, 4000, &err) != BEZEL_DONE)
 *         for (i = 0; i < n; ++i)
 *             while (bezel_job_event(job[i], &event)) show(i, event.text);
 *
 * A pass reads the weights once for the next token of every session, so 16 sessions take far less than 16 times as long
 * as one. A job may join or leave at any step, whatever its prompt, sampling and stop strings are; it has its own events,
 * end and result as ever. What it answers is what it would have answered alone. */
#ifndef BEZEL_BATCH_H
#define BEZEL_BATCH_H

#include <bezel/session.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Jobs of bezel_generate that are computed together.
 *   Thread   confined; jobs in it may be on the engine's worker, all or some */
typedef struct bezel_batch bezel_batch;

/* How a batch is made. Fill it with bezel_batch_options_init, then set what you need. */
typedef struct bezel_batch_options {
    /* set by bezel_batch_options_init */
    uint32_t size;
    /* tokens a pass, 16 to 512; 0 (default) = 128. Sessions that are at their answer come first, with one token each;
     * prompts share the rest, a quarter at least, in the order of joining. So a long prompt holds nobody up for longer than
     * one pass */
    uint32_t chunk;
    /* 0: room for members to come */
    uint64_t spare[3];
} bezel_batch_options;

/* Fills the options with the defaults above.
 * out must not be NULL.
 *   Thread   any
 *   Since    0.1 */
BEZEL_API void bezel_batch_options_init(bezel_batch_options *out);

/* Makes an empty batch for sessions of a model; options NULL are the defaults.
 *   Owns     *out is the caller's, free with bezel_batch_free before the model
 *   Thread   any
 *   Errors   RANGE for an option; MEMORY. *out is NULL
 *   Since    0.1 */
BEZEL_API bezel_status bezel_batch_new(bezel_batch **out, bezel_model *model, const bezel_batch_options *options,
                                       bezel_error *err);

/* Puts a job of bezel_generate into the batch: from its next step on it is computed with the others. One that was stepped
 * before goes on where it stood. Whatever steps the batch or any of its jobs (bezel_batch_step, bezel_job_step, or the
 * worker after bezel_job_start) computes all of them.
 * The first job, and each with a larger context than those before, makes the batch's working memory: what a session of
 * that context and chunk takes, but its keys and values.
 *   Owns     the job stays the caller's; bezel_job_free takes it out
 *   Thread   that of the batch, which is that of the job
 *   Errors   ARGUMENT when the job is no generation, is of another model, is in a batch, or computes with other
 *            activations than the jobs before; BUSY when the worker has it (add first, then start); MEMORY. The job is
 *            as it was
 *   Since    0.1 */
BEZEL_API bezel_status bezel_batch_add(bezel_batch *batch, bezel_job *job, bezel_error *err);

/* Takes a job out: it goes on alone. For a job that is not to go on: bezel_job_cancel or bezel_job_free. The pass in
 * progress begins anew.
 *   Thread   that of the batch
 *   Errors   ARGUMENT when it is not in this batch; BUSY when the worker has it
 *   Since    0.1 */
BEZEL_API bezel_status bezel_batch_remove(bezel_batch *batch, bezel_job *job, bezel_error *err);

/* Works on this thread for about budget_us microseconds, for all jobs: BEZEL_TOKEN when an event of one of them waits,
 * BEZEL_MORE while some work, BEZEL_DONE when none has anything left to do; more may be added then. The smallest unit is
 * one layer of one pass. 0 does one unit; a negative budget works until there is an event or nothing to do.
 * A job that fails (no memory for its text, logits that are no numbers) ends alone, and tells it itself: bezel_job_poll.
 *   Units    microseconds
 *   Thread   that of the batch; the engine's pool helps
 *   Errors   ARGUMENT for NULL
 *   Since    0.1 */
BEZEL_API bezel_status bezel_batch_step(bezel_batch *batch, int64_t budget_us, bezel_error *err);

/* Frees a batch; NULL is fine. Jobs that are in it go on alone; none of them may be on the worker, nothing checks that.
 *   Thread   that of the batch
 *   Since    0.1 */
BEZEL_API void bezel_batch_free(bezel_batch *batch);

#ifdef __cplusplus
}
#endif
#endif
