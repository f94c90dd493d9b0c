/* SPDX-License-Identifier: MIT */
/* Jobs: stepped by the host, or run by the engine's worker and polled. Units run without any lock held, so poll, event and
 * cancel never wait for one; what a unit leaves behind becomes visible under the job's mutex. Events come out in order and
 * before the end of the job. Knows nothing of what a job computes. */
#include "base/job_impl.h"

#include "base/alloc.h"
#include "base/options.h"
#include "base/status.h"

#include <errno.h>
#include <string.h>

struct bz_job_event_node {
    bz_job_event_node *next;
    uint32_t type;
    double progress;
    size_t size;
    char text[];
};

/* --- State, under the job's mutex --------------------------------------------------------- */

/* What poll says. */
static bezel_status job_visible(const bezel_job *job)
{
    return job->first != NULL ? BEZEL_TOKEN : job->status;
}

static void job_tell(bezel_job *job)
{
    if (job->fd >= 0)
        bz_os_flag_set(job->fd);
    bz_cond_broadcast(job->cond);
}

static void job_push(bezel_job *job, bz_job_event_node *node)
{
    if (job->last != NULL)
        job->last->next = node;
    else
        job->first = node;
    job->last = node;
    job->n_emitted++;
    job_tell(job);
}

/* --- For concrete jobs -------------------------------------------------------------------- */

bezel_status bz_job_init(bezel_job *job, const bz_job_ops *ops, const bezel_world *w, bz_log *log, bz_worker *worker,
                         bezel_error *err)
{
    memset(job, 0, sizeof *job);
    job->ops = ops;
    job->world = w;
    job->log = log;
    job->worker = worker;
    job->fd = -1;
    job->status = BEZEL_MORE;
    job->mutex = bz_mutex_new(w);
    job->cond = bz_cond_new(w);
    if (job->mutex == NULL || job->cond == NULL) {
        bz_cond_free(w, job->cond);
        bz_mutex_free(w, job->mutex);
        return bz_fail_memory(err, "job", "the locks of a job", sizeof(void *));
    }
    return BEZEL_OK;
}

bezel_status bz_job_emit_text(bezel_job *job, const char *text, size_t size, bezel_error *err)
{
    bz_job_event_node *node;
    size_t total;
    if (size == 0)
        return BEZEL_OK;
    if (!bz_size_add(&total, size, sizeof *node + 1))
        return bz_fail_memory(err, "job", "a piece of text", size);
    node = bz_alloc(job->world, total);
    if (node == NULL)
        return bz_fail_memory(err, "job", "a piece of text", total);
    memset(node, 0, sizeof *node);
    node->type = BEZEL_EVENT_TEXT;
    node->size = size;
    memcpy(node->text, text, size);
    node->text[size] = '\0';
    bz_mutex_lock(job->mutex);
    job_push(job, node);
    bz_mutex_unlock(job->mutex);
    return BEZEL_OK;
}

bezel_status bz_job_emit_progress(bezel_job *job, double progress, bezel_error *err)
{
    bz_job_event_node *node = NULL;
    int merged;
    bz_mutex_lock(job->mutex);
    merged = job->last != NULL && job->last->type == BEZEL_EVENT_PROGRESS;
    if (merged) {
        job->last->progress = progress;
        job->n_emitted++;
    }
    bz_mutex_unlock(job->mutex);
    if (merged)
        return BEZEL_OK;
    node = bz_zalloc(job->world, sizeof *node + 1);
    if (node == NULL)
        return bz_fail_memory(err, "job", "a progress event", sizeof *node + 1);
    node->type = BEZEL_EVENT_PROGRESS;
    node->progress = progress;
    bz_mutex_lock(job->mutex);
    job_push(job, node);
    bz_mutex_unlock(job->mutex);
    return BEZEL_OK;
}

bezel_status bz_job_status(bezel_job *job)
{
    bezel_status status;
    bz_mutex_lock(job->mutex);
    status = job->status;
    bz_mutex_unlock(job->mutex);
    return status;
}

int bz_job_has_event(bezel_job *job)
{
    bz_mutex_lock(job->mutex);
    const int has = job->first != NULL;
    bz_mutex_unlock(job->mutex);
    return has;
}

int bz_job_cancel_asked(const bezel_job *job)
{
    return atomic_load(&job->cancel);
}

void bz_job_end(bezel_job *job, bezel_status status, const bezel_error *error)
{
    bz_mutex_lock(job->mutex);
    if (job->status == BEZEL_MORE) {
        job->error = *error;
        if (status < 0 && error->status != status)
            bz_fail(&job->error, status, job->ops->name, "the job failed (%s)", bezel_status_name(status));
        job->status = status < 0 ? status : BEZEL_DONE;
        job_tell(job);
    }
    bz_mutex_unlock(job->mutex);
}

void bz_job_end_cancelled(bezel_job *job)
{
    bezel_error error = BEZEL_ERROR_INIT;
    bz_fail(&error, BEZEL_ERR_CANCELLED, job->ops->name, "the job was cancelled");
    bz_job_end(job, BEZEL_ERR_CANCELLED, &error);
}

/* One unit, or the end by cancel. Returns the job's status after it. Only one thread is ever here for a job. */
static bezel_status job_unit(bezel_job *job)
{
    bezel_error error = BEZEL_ERROR_INIT;
    bezel_status status = bz_job_status(job);
    if (status != BEZEL_MORE) /* another job's unit ended it */
        return status;
    if (atomic_load(&job->cancel)) {
        if (job->ops->cancelled != NULL)
            job->ops->cancelled(job);
        bz_job_end_cancelled(job);
    } else {
        status = job->ops->unit(job, &error);
        if (status != BEZEL_MORE)
            bz_job_end(job, status, &error);
    }
    return bz_job_status(job);
}

/* --- The worker --------------------------------------------------------------------------- */

/* A job runs this long before the next one of the ring gets its turn. */
#define BZ_WORKER_SLICE_NS 4000000

struct bz_worker {
    const bezel_world *world;
    bz_mutex *mutex; /* guards everything below */
    bz_cond *work;   /* the ring got a job, or stop */
    bz_cond *idle;   /* the worker let go of `current` */
    bezel_thread *thread;
    bezel_job *ring; /* last of a circular list, NULL when empty: its next is the one whose turn it is */
    bezel_job *current;
    int stop;
};

bezel_status bz_worker_new(bz_worker **out, const bezel_world *w, bezel_error *err)
{
    bz_worker *worker = bz_zalloc(w, sizeof *worker);
    if (worker == NULL)
        return bz_fail_memory(err, "job", "the worker", sizeof *worker);
    worker->world = w;
    worker->mutex = bz_mutex_new(w);
    worker->work = bz_cond_new(w);
    worker->idle = bz_cond_new(w);
    if (worker->mutex == NULL || worker->work == NULL || worker->idle == NULL) {
        bz_worker_free(worker);
        return bz_fail_memory(err, "job", "the locks of the worker", sizeof(void *));
    }
    *out = worker;
    return BEZEL_OK;
}

void bz_worker_free(bz_worker *worker)
{
    if (worker == NULL)
        return;
    if (worker->thread != NULL) {
        bz_mutex_lock(worker->mutex);
        worker->stop = 1;
        bz_cond_broadcast(worker->work);
        bz_mutex_unlock(worker->mutex);
        worker->world->thread_join(worker->world->ud, worker->thread);
    }
    bz_cond_free(worker->world, worker->idle);
    bz_cond_free(worker->world, worker->work);
    bz_mutex_free(worker->world, worker->mutex);
    bz_free(worker->world, worker);
}

static void worker_ring_add(bz_worker *worker, bezel_job *job)
{
    if (worker->ring == NULL) {
        job->next = job;
    } else {
        job->next = worker->ring->next;
        worker->ring->next = job;
    }
    worker->ring = job;
}

static void worker_ring_remove(bz_worker *worker, bezel_job *job)
{
    bezel_job *before = worker->ring;
    if (before == NULL || job->next == NULL)
        return;
    while (before->next != job)
        before = before->next;
    before->next = job->next;
    if (worker->ring == job)
        worker->ring = before == job ? NULL : before;
    job->next = NULL;
}

/* Runs units of a job for one slice. Returns the job's status. */
static bezel_status worker_slice(bz_worker *worker, bezel_job *job)
{
    const bezel_world *w = worker->world;
    int64_t start = w->monotonic_ns(w->ud);
    bezel_status status;
    do {
        status = job_unit(job);
    } while (status == BEZEL_MORE && w->monotonic_ns(w->ud) - start < BZ_WORKER_SLICE_NS);
    return status;
}

static void worker_main(void *arg)
{
    bz_worker *worker = arg;
    bz_mutex_lock(worker->mutex);
    for (;;) {
        bezel_job *job;
        bezel_status status;
        while (worker->ring == NULL && !worker->stop)
            bz_cond_wait(worker->work, worker->mutex);
        if (worker->stop)
            break;
        job = worker->ring->next;
        worker->ring = job;
        worker->current = job;
        bz_mutex_unlock(worker->mutex);
        status = worker_slice(worker, job);
        bz_mutex_lock(worker->mutex);
        if (status != BEZEL_MORE)
            worker_ring_remove(worker, job);
        worker->current = NULL;
        bz_cond_broadcast(worker->idle);
    }
    bz_mutex_unlock(worker->mutex);
}

static bezel_status worker_add(bz_worker *worker, bezel_job *job, bezel_error *err)
{
    bezel_status status = BEZEL_OK;
    bz_mutex_lock(worker->mutex);
    if (worker->thread == NULL)
        status = worker->world->thread_start(worker->world->ud, &worker->thread, "bezel-worker", worker_main, worker);
    if (status == BEZEL_OK) {
        job->started = 1;
        worker_ring_add(worker, job);
        bz_cond_signal(worker->work);
    }
    bz_mutex_unlock(worker->mutex);
    if (status != BEZEL_OK) {
        bz_fail(err, status, "job", "the worker thread could not be started (%s)", bezel_status_name(status));
        return bz_error_hint(err, status, "drive the job with bezel_job_step instead");
    }
    return BEZEL_OK;
}

/* Takes the job from the worker; when it is in the middle of a slice, waits for the end of the unit it is in. */
static void worker_remove(bz_worker *worker, bezel_job *job)
{
    bz_mutex_lock(worker->mutex);
    while (worker->current == job)
        bz_cond_wait(worker->idle, worker->mutex);
    worker_ring_remove(worker, job);
    bz_mutex_unlock(worker->mutex);
}

/* --- For the host ------------------------------------------------------------------------- */

#define BZ_JOB_LARGE_BUDGET_US 100000 /* from here on a step ends well enough with units of any size */

static bezel_status job_no_argument(bezel_error *err, const char *what)
{
    return bz_fail(err, BEZEL_ERR_ARGUMENT, "job", "%s is NULL", what);
}

/* Drops the event that the host was shown: "lives until the next call on the job". */
static void job_forget_taken(bezel_job *job)
{
    bz_free(job->world, job->taken);
    job->taken = NULL;
}

/* Status to return, with the job's error copied when it is one. Called with the mutex held. */
static bezel_status job_answer(const bezel_job *job, bezel_status status, bezel_error *err)
{
    return status < 0 ? bz_error_copy(err, &job->error) : status;
}

int64_t bz_job_unit_wish(int64_t budget_us)
{
    return budget_us > 0 && budget_us < BZ_JOB_LARGE_BUDGET_US ? budget_us * 250 : 0;
}

int bz_job_is_spent(int64_t spent_ns, int64_t last_ns, int64_t budget_us)
{
    return spent_ns / 1000 >= budget_us || (spent_ns + last_ns) / 1000 > budget_us;
}

/* Events emitted by this very call come before the end; once told, the end is told even if nobody takes them, so a host that
 * wants none is not kept in a loop. */
bezel_status bezel_job_step(bezel_job *job, int64_t budget_us, bezel_error *err)
{
    const bezel_world *w;
    const int saved = errno; /* exp and pow of the units may set it; it is the host's */
    uint64_t emitted;
    int64_t start, before;
    bezel_status status;
    if (job == NULL)
        return job_no_argument(err, "job");
    job_forget_taken(job);
    bz_log_drain(job->log);
    if (job->started)
        return bz_fail(err, BEZEL_ERR_BUSY, "job", "the job runs on the engine's worker: poll or wait, do not step");
    w = job->world;
    start = before = w->monotonic_ns(w->ud);
    emitted = job->n_emitted;
    status = bz_job_status(job);
    job->unit_ns = bz_job_unit_wish(budget_us);
    while (status == BEZEL_MORE) {
        status = job_unit(job);
        const int64_t now = w->monotonic_ns(w->ud);
        if (budget_us < 0 ? bz_job_has_event(job) : bz_job_is_spent(now - start, now - before, budget_us))
            break;
        before = now;
    }
    job->unit_ns = 0;
    errno = saved;
    bz_log_drain(job->log);
    if (bz_job_has_event(job) && (status == BEZEL_MORE || job->n_emitted != emitted))
        return BEZEL_TOKEN;
    return job_answer(job, status, err);
}

bezel_status bezel_job_start(bezel_job *job, bezel_error *err)
{
    bezel_status status;
    int fd;
    if (job == NULL)
        return job_no_argument(err, "job");
    job_forget_taken(job);
    bz_log_drain(job->log);
    if (job->started)
        return BEZEL_OK;
    if (job->worker == NULL)
        return bz_fail(err, BEZEL_ERR_UNSUPPORTED, "job", "this job can only be stepped");
    fd = bz_os_flag_open();
    if (fd < 0) {
        bz_fail(err, BEZEL_ERR_IO, "job", "the system gave no descriptor to wait on");
        return bz_error_hint(err, BEZEL_ERR_IO, "close files, raise the limit of open files, or use bezel_job_step");
    }
    bz_mutex_lock(job->mutex);
    job->fd = fd;
    if (job_visible(job) != BEZEL_MORE)
        bz_os_flag_set(fd);
    status = job->status;
    bz_mutex_unlock(job->mutex);
    if (status != BEZEL_MORE) {
        job->started = 1;
        return BEZEL_OK;
    }
    status = worker_add(job->worker, job, err);
    if (status != BEZEL_OK) {
        job->fd = -1;
        bz_os_flag_close(fd);
    }
    return status;
}

static bezel_status job_wait(bezel_job *job, int64_t timeout_ms, bezel_error *err)
{
    const bezel_world *w = job->world;
    const int64_t longest_ms = (int64_t)1 << 40; /* 34 years: no overflow below */
    int64_t end = 0;
    bezel_status status;
    if (timeout_ms > longest_ms)
        timeout_ms = longest_ms;
    if (timeout_ms > 0)
        end = w->monotonic_ns(w->ud) / 1000000 + timeout_ms;
    job_forget_taken(job);
    bz_log_drain(job->log);
    bz_mutex_lock(job->mutex);
    while ((status = job_visible(job)) == BEZEL_MORE && timeout_ms != 0) {
        if (timeout_ms < 0) {
            bz_cond_wait(job->cond, job->mutex);
        } else if (bz_cond_wait_ms(job->cond, job->mutex, timeout_ms)) {
            timeout_ms = end - w->monotonic_ns(w->ud) / 1000000;
            timeout_ms = timeout_ms < 0 ? 0 : timeout_ms;
        } else {
            timeout_ms = 0;
        }
    }
    status = job_answer(job, status, err);
    bz_mutex_unlock(job->mutex);
    bz_log_drain(job->log);
    return status;
}

bezel_status bezel_job_poll(bezel_job *job, bezel_error *err)
{
    if (job == NULL)
        return job_no_argument(err, "job");
    return job_wait(job, 0, err);
}

bezel_status bezel_job_wait(bezel_job *job, int64_t timeout_ms, bezel_error *err)
{
    if (job == NULL)
        return job_no_argument(err, "job");
    if (!job->started && job_visible(job) == BEZEL_MORE) {
        bz_fail(err, BEZEL_ERR_ARGUMENT, "job", "the job was not started: nothing would end the wait");
        return bz_error_hint(err, BEZEL_ERR_ARGUMENT, "call bezel_job_start first, or drive it with bezel_job_step");
    }
    return job_wait(job, timeout_ms, err);
}

int32_t bezel_job_event(bezel_job *job, bezel_event *out)
{
    bz_job_event_node *node;
    bezel_event event = {0};
    if (job == NULL || out == NULL || !bz_struct_sized(out))
        return 0;
    job_forget_taken(job);
    bz_log_drain(job->log);
    bz_mutex_lock(job->mutex);
    node = job->first;
    if (node != NULL) {
        job->first = node->next;
        if (job->first == NULL)
            job->last = NULL;
        if (job->fd >= 0 && job_visible(job) == BEZEL_MORE)
            bz_os_flag_clear(job->fd);
    }
    bz_mutex_unlock(job->mutex);
    if (node == NULL)
        return 0;
    job->taken = node;
    event.type = node->type;
    event.text = node->text;
    event.text_size = node->size;
    event.progress = node->progress;
    bz_struct_give(out, &event, sizeof event);
    return 1;
}

int32_t bezel_job_fd(bezel_job *job)
{
    int32_t fd;
    if (job == NULL)
        return -1;
    bz_mutex_lock(job->mutex);
    fd = job->fd;
    bz_mutex_unlock(job->mutex);
    return fd;
}

void bezel_job_cancel(bezel_job *job)
{
    if (job != NULL)
        atomic_store(&job->cancel, 1);
}

void bezel_job_free(bezel_job *job)
{
    const bezel_world *w;
    bz_log *log;
    if (job == NULL)
        return;
    w = job->world;
    log = job->log;
    bezel_job_cancel(job);
    if (job->started && job->worker != NULL)
        worker_remove(job->worker, job);
    if (bz_job_status(job) == BEZEL_MORE && job->ops->cancelled != NULL)
        job->ops->cancelled(job);
    if (job->ops->destroy != NULL)
        job->ops->destroy(job);
    job_forget_taken(job);
    while (job->first != NULL) {
        bz_job_event_node *next = job->first->next;
        bz_free(w, job->first);
        job->first = next;
    }
    bz_os_flag_close(job->fd);
    bz_cond_free(w, job->cond);
    bz_mutex_free(w, job->mutex);
    bz_free(w, job);
    bz_log_drain(log);
}
