/* SPDX-License-Identifier: MIT */
/* Row ranges spread over workers. One word holds the whole agreement between caller and workers: the number of the run,
 * whether it may still be joined, and how many workers are inside. A worker that wakes too late finds the run closed and is
 * not waited for. Workers and caller spin for some ten microseconds before they sleep, so that the many short runs of one
 * token do not each pay for waking a thread; an idle pool sleeps.
 * Rows are never computed differently because of the number of workers; scheduling policy and priorities are not its business. */
#include "base/thread_pool.h"

#include "base/alloc.h"
#include "base/os.h"
#include "base/status.h"

#include <stdatomic.h>
#include <stdio.h>

#define BZ_POOL_MAX_THREADS 256u
/* Turns of the spin-wait hint before sleeping: 20 to 45 us on x86 machines since 2015, less on older ones. */
#define BZ_POOL_SPINS 1000
/* The same with more threads than processors: who spins may be in the way of the one that is waited for. */
#define BZ_POOL_SPINS_CROWDED 20
/* Ranges a thread gets on average; more even out cores of different speed, fewer cost less. */
#define BZ_POOL_RANGES 4u

/* state: run number << 32 | open << 31 | workers inside */
#define BZ_POOL_OPEN UINT64_C(0x80000000)
#define BZ_POOL_INSIDE UINT64_C(0x7fffffff)

typedef struct pool_worker {
    bz_thread_pool *pool;
    bezel_thread *thread;
    unsigned index; /* 1.. : the caller is 0 */
    int cpu;        /* it stays on, -1 = any */
} pool_worker;

struct bz_thread_pool {
    const bezel_world *world;
    unsigned n_threads;
    int spins; /* turns before sleeping */
    bz_mutex *caller; /* held by the thread that has the workers */
    bz_mutex *mutex;  /* for sleeping and waking only */
    bz_cond *wake;    /* workers: a run was opened */
    bz_cond *left;    /* the caller: the last worker left a closed run */
    int start_tried;  /* guarded by caller */
    unsigned n_started;

    _Atomic uint64_t state;
    atomic_uint n_sleeping;
    atomic_int caller_sleeps;
    atomic_int stop;

    /* The run. Written by the caller while no worker is inside and none can enter. */
    bz_rows_fn fn;
    void *ctx;
    size_t n_rows, range;
    atomic_size_t next; /* number of the next range to take */

    pool_worker workers[];
};

static void pool_work(bz_thread_pool *pool, unsigned worker)
{
    size_t n_ranges = pool->n_rows / pool->range + (pool->n_rows % pool->range != 0);
    for (;;) {
        size_t i = atomic_fetch_add_explicit(&pool->next, 1, memory_order_relaxed);
        size_t begin = i * pool->range;
        size_t end;
        if (i >= n_ranges)
            return;
        end = pool->n_rows - begin > pool->range ? begin + pool->range : pool->n_rows;
        pool->fn(pool->ctx, begin, end, worker);
    }
}

/* --- Workers ------------------------------------------------------------------------------ */

static int pool_has_run(uint64_t state, uint64_t seen)
{
    return (state & BZ_POOL_OPEN) != 0 && state >> 32 != seen;
}

/* Joins the open run, if there is one that is not `seen`. Returns 1 when inside. */
static int pool_join(bz_thread_pool *pool, uint64_t *seen)
{
    uint64_t state = atomic_load(&pool->state);
    while (pool_has_run(state, *seen)) {
        if (atomic_compare_exchange_weak(&pool->state, &state, state + 1)) {
            *seen = state >> 32;
            return 1;
        }
    }
    return 0;
}

static void pool_leave(bz_thread_pool *pool)
{
    uint64_t state = atomic_fetch_sub(&pool->state, 1) - 1;
    if ((state & (BZ_POOL_OPEN | BZ_POOL_INSIDE)) == 0 && atomic_load(&pool->caller_sleeps)) {
        bz_mutex_lock(pool->mutex);
        bz_cond_broadcast(pool->left);
        bz_mutex_unlock(pool->mutex);
    }
}

/* Until a run opens or the pool ends. The sleeper counts itself before it looks a last time, the caller opens before it
 * counts sleepers: one of the two sees the other. */
static void pool_sleep(bz_thread_pool *pool, uint64_t seen)
{
    for (int i = 0; i < pool->spins; i++) {
        if (pool_has_run(atomic_load(&pool->state), seen) || atomic_load(&pool->stop))
            return;
        bz_os_pause();
    }
    bz_mutex_lock(pool->mutex);
    atomic_fetch_add(&pool->n_sleeping, 1);
    while (!pool_has_run(atomic_load(&pool->state), seen) && !atomic_load(&pool->stop))
        bz_cond_wait(pool->wake, pool->mutex);
    atomic_fetch_sub(&pool->n_sleeping, 1);
    bz_mutex_unlock(pool->mutex);
}

static void pool_worker_main(void *arg)
{
    pool_worker *worker = arg;
    bz_thread_pool *pool = worker->pool;
    uint64_t seen = 0;
    if (worker->cpu >= 0)
        bz_os_pin((unsigned)worker->cpu);
    while (!atomic_load(&pool->stop)) {
        if (pool_join(pool, &seen)) {
            pool_work(pool, worker->index);
            pool_leave(pool);
        } else {
            pool_sleep(pool, seen);
        }
    }
}

/* A thread that cannot be started is done without: the rows are computed all the same. */
static void pool_start(bz_thread_pool *pool)
{
    if (pool->start_tried)
        return;
    pool->start_tried = 1;
    for (unsigned i = 0; i + 1 < pool->n_threads; i++) {
        pool_worker *worker = &pool->workers[i];
        char name[16];
        snprintf(name, sizeof name, "bezel-rows-%u", (i + 1) % 1000);
        worker->pool = pool;
        worker->index = i + 1;
        if (pool->world->thread_start(pool->world->ud, &worker->thread, name, pool_worker_main, worker) != BEZEL_OK)
            return;
        pool->n_started++;
    }
}

/* --- The caller --------------------------------------------------------------------------- */

/* After closing, until no worker is inside. */
static void pool_wait(bz_thread_pool *pool)
{
    for (int i = 0; i < pool->spins; i++) {
        if ((atomic_load(&pool->state) & BZ_POOL_INSIDE) == 0)
            return;
        bz_os_pause();
    }
    bz_mutex_lock(pool->mutex);
    atomic_store(&pool->caller_sleeps, 1);
    while ((atomic_load(&pool->state) & BZ_POOL_INSIDE) != 0)
        bz_cond_wait(pool->left, pool->mutex);
    atomic_store(&pool->caller_sleeps, 0);
    bz_mutex_unlock(pool->mutex);
}

/* Whole grains, about BZ_POOL_RANGES a thread. */
static size_t pool_range(const bz_thread_pool *pool, size_t n_rows, size_t grain)
{
    size_t n_grains = n_rows / grain;
    size_t parts = (size_t)pool->n_threads * BZ_POOL_RANGES;
    size_t grains = n_grains / parts + (n_grains % parts != 0);
    return grain * (grains == 0 ? 1 : grains);
}

void bz_thread_pool_run(bz_thread_pool *pool, size_t n_rows, size_t grain, bz_rows_fn fn, void *ctx)
{
    uint64_t run;
    if (n_rows == 0)
        return;
    if (grain == 0)
        grain = 1;
    if (pool->n_threads == 1 || n_rows <= grain || !bz_mutex_try(pool->caller)) {
        fn(ctx, 0, n_rows, 0);
        return;
    }
    pool_start(pool);
    if (pool->n_started == 0) {
        bz_mutex_unlock(pool->caller);
        fn(ctx, 0, n_rows, 0);
        return;
    }
    pool->fn = fn;
    pool->ctx = ctx;
    pool->n_rows = n_rows;
    pool->range = pool_range(pool, n_rows, grain);
    atomic_store_explicit(&pool->next, 0, memory_order_relaxed);
    run = (atomic_load(&pool->state) >> 32) + 1;
    atomic_store(&pool->state, run << 32 | BZ_POOL_OPEN);
    if (atomic_load(&pool->n_sleeping) > 0) {
        bz_mutex_lock(pool->mutex);
        bz_cond_broadcast(pool->wake);
        bz_mutex_unlock(pool->mutex);
    }
    pool_work(pool, 0);
    atomic_fetch_and(&pool->state, ~BZ_POOL_OPEN);
    pool_wait(pool);
    bz_mutex_unlock(pool->caller);
}

bezel_status bz_thread_pool_new(bz_thread_pool **out, const bezel_world *w, unsigned n_threads, bezel_error *err)
{
    bz_thread_pool *pool;
    size_t size;
    if (n_threads < 1 || n_threads > BZ_POOL_MAX_THREADS)
        return bz_fail(err, BEZEL_ERR_RANGE, "thread_pool", "%u threads, expected 1 to %u", n_threads,
                       BZ_POOL_MAX_THREADS);
    size = sizeof *pool + (n_threads - 1) * sizeof(pool_worker);
    pool = bz_zalloc(w, size);
    if (pool == NULL)
        return bz_fail_memory(err, "thread_pool", "the thread pool", size);
    pool->world = w;
    pool->n_threads = n_threads;
    pool->spins = n_threads > bz_os_cores() ? BZ_POOL_SPINS_CROWDED : BZ_POOL_SPINS;
    for (unsigned i = 0; i + 1 < n_threads; i++)
        pool->workers[i].cpu = -1;
    pool->caller = bz_mutex_new(w);
    pool->mutex = bz_mutex_new(w);
    pool->wake = bz_cond_new(w);
    pool->left = bz_cond_new(w);
    if (pool->caller == NULL || pool->mutex == NULL || pool->wake == NULL || pool->left == NULL) {
        bz_thread_pool_free(pool);
        return bz_fail_memory(err, "thread_pool", "the locks of the thread pool", sizeof(void *));
    }
    *out = pool;
    return BEZEL_OK;
}

void bz_thread_pool_place(bz_thread_pool *pool, const unsigned *cpus, size_t n)
{
    for (unsigned i = 0; i + 1 < pool->n_threads && n > 0; i++)
        pool->workers[i].cpu = (int)cpus[(i + 1) % n];
}

void bz_thread_pool_free(bz_thread_pool *pool)
{
    if (pool == NULL)
        return;
    atomic_store(&pool->stop, 1);
    if (pool->n_started > 0) {
        bz_mutex_lock(pool->mutex);
        bz_cond_broadcast(pool->wake);
        bz_mutex_unlock(pool->mutex);
    }
    for (unsigned i = 0; i < pool->n_started; i++)
        pool->world->thread_join(pool->world->ud, pool->workers[i].thread);
    bz_cond_free(pool->world, pool->left);
    bz_cond_free(pool->world, pool->wake);
    bz_mutex_free(pool->world, pool->mutex);
    bz_mutex_free(pool->world, pool->caller);
    bz_free(pool->world, pool);
}

unsigned bz_thread_pool_size(const bz_thread_pool *pool)
{
    return pool->n_threads;
}
