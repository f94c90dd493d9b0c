/* SPDX-License-Identifier: MIT */
/* Background work of a model (see side_job.h).
 * Invariant: state goes from idle to busy to ready or failed and never back; what the work makes is written before ready and
 * only read from then on. */
#include "model/side_job.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/status.h"

#include <stdio.h>
#include <string.h>

enum { JOB_IDLE, JOB_BUSY, JOB_READY, JOB_FAILED };

int bz_side_job_init(bz_side_job *job, const bezel_world *w, const char *thread_name,
                     bezel_status (*run)(void *arg, bezel_error *err), void *arg)
{
    job->world = w;
    job->thread_name = thread_name;
    job->run = run;
    job->arg = arg;
    job->error = (bezel_error)BEZEL_ERROR_INIT;
    job->mutex = bz_mutex_new(w);
    job->cond = bz_cond_new(w);
    return job->mutex != NULL && job->cond != NULL;
}

void bz_side_job_end(bz_side_job *job)
{
    const bezel_world *w = job->world;
    if (w == NULL)
        return;
    atomic_store(&job->cancel, 1);
    if (job->thread != NULL)
        w->thread_join(w->ud, job->thread);
    bz_mutex_free(w, job->mutex);
    bz_cond_free(w, job->cond);
}

static void job_main(void *arg)
{
    bz_side_job *job = arg;
    bz_os_give_way();
    const bezel_status status = job->run(job->arg, &job->error);
    bz_mutex_lock(job->mutex);
    atomic_store_explicit(&job->state, status == BEZEL_OK ? JOB_READY : JOB_FAILED, memory_order_release);
    bz_cond_broadcast(job->cond);
    bz_mutex_unlock(job->mutex);
}

static void job_start(bz_side_job *job)
{
    bz_mutex_lock(job->mutex);
    if (atomic_load(&job->state) == JOB_IDLE) {
        const bezel_world *w = job->world;
        atomic_store(&job->state, JOB_BUSY);
        const bezel_status status = w->thread_start(w->ud, &job->thread, job->thread_name, job_main, job);
        if (status < 0) {
            job->thread = NULL;
            bz_fail(&job->error, status, "model", "no thread \"%s\" for the work on a side file", job->thread_name);
            atomic_store(&job->state, JOB_FAILED);
        }
    }
    bz_mutex_unlock(job->mutex);
}

int bz_side_job_ready(bz_side_job *job, int may_start)
{
    const int state = atomic_load_explicit(&job->state, memory_order_acquire);
    if (state == JOB_IDLE && may_start)
        job_start(job);
    return state == JOB_READY;
}

bezel_status bz_side_job_wait(bz_side_job *job, bezel_error *err)
{
    job_start(job);
    bz_mutex_lock(job->mutex);
    while (atomic_load(&job->state) == JOB_BUSY)
        bz_cond_wait(job->cond, job->mutex);
    bz_mutex_unlock(job->mutex);
    return atomic_load(&job->state) == JOB_READY ? BEZEL_OK : bz_error_copy(err, &job->error);
}

/* --- Names -------------------------------------------------------------------------------- */

void bz_side_job_key(uint8_t key[16], const bezel_model *m)
{
    bz_hash h;
    bz_hash_init(&h);
    bz_hash_add(&h, m->fingerprint, sizeof m->fingerprint);
    bz_weight_source_identify(m->source, &h);
    bz_hash_finish(&h, key);
}

char *bz_side_job_path(const bezel_world *w, const char *folder, const uint8_t key[16], const char *suffix)
{
    const size_t size = strlen(folder) + 33 + strlen(suffix) + 1;
    char hex[33];
    char *path = bz_alloc(w, size);
    for (int i = 0; i < 16; i++)
        snprintf(hex + 2 * i, 3, "%02x", key[i]);
    if (path != NULL)
        snprintf(path, size, "%s/%s%s", folder, hex, suffix);
    return path;
}
