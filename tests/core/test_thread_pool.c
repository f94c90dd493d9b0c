/* SPDX-License-Identifier: MIT */
/* Row ranges over workers. Meant to be run under ThreadSanitizer too. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "base/thread_pool.h"
#include "base/os.h"
#include "base/rng.h"
#include "support/test_world.h"

#include <check.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

#define MAX_ROWS 5000

typedef struct rows_seen {
    unsigned char count[MAX_ROWS];
    size_t n_rows, grain;
    unsigned n_threads;
    atomic_int wrong;
    atomic_int in_use[8]; /* a worker number is never used by two threads at once */
} rows_seen;

static void rows_count(void *ctx, size_t begin, size_t end, unsigned worker)
{
    rows_seen *seen = ctx;
    if (worker >= seen->n_threads || begin >= end || end > seen->n_rows || begin % seen->grain != 0 ||
        (end % seen->grain != 0 && end != seen->n_rows)) {
        atomic_store(&seen->wrong, 1);
        return;
    }
    if (atomic_fetch_add(&seen->in_use[worker], 1) != 0)
        atomic_store(&seen->wrong, 1);
    for (size_t i = begin; i < end; i++)
        seen->count[i]++;
    atomic_fetch_sub(&seen->in_use[worker], 1);
}

static void rows_check(bz_thread_pool *pool, size_t n_rows, size_t grain)
{
    static rows_seen seen;
    memset(&seen, 0, sizeof seen);
    seen.n_rows = n_rows;
    seen.grain = grain;
    seen.n_threads = bz_thread_pool_size(pool);
    bz_thread_pool_run(pool, n_rows, grain, rows_count, &seen);
    ck_assert_int_eq(atomic_load(&seen.wrong), 0);
    for (size_t i = 0; i < n_rows; i++) {
        if (seen.count[i] != 1)
            ck_abort_msg("row %zu of %zu, grain %zu: computed %d times", i, n_rows, grain, seen.count[i]);
    }
}

static bz_thread_pool *pool_of(test_world *tw, unsigned n)
{
    bz_thread_pool *pool = NULL;
    ck_assert_int_eq(bz_thread_pool_new(&pool, &tw->world, n, NULL), BEZEL_OK);
    return pool;
}

START_TEST(every_row_is_computed_once_in_whole_grains)
{
    test_world tw;
    bz_rng rng;
    test_world_init(&tw);
    bz_rng_seed(&rng, 9);
    for (unsigned n = 1; n <= 8; n++) {
        bz_thread_pool *pool = pool_of(&tw, n);
        for (int i = 0; i < 300; i++)
            rows_check(pool, bz_rng_next(&rng) % MAX_ROWS, 1 + bz_rng_next(&rng) % 70);
        rows_check(pool, 0, 1);
        rows_check(pool, 1, 1);
        rows_check(pool, 17, 5000);
        bz_thread_pool_free(pool);
    }
    ck_assert(test_world_is_clean(&tw));
}
END_TEST

START_TEST(workers_start_with_the_first_run_that_needs_them)
{
    test_world tw;
    test_world_init(&tw);
    bz_thread_pool *pool = pool_of(&tw, 4);
    ck_assert_uint_eq(bz_thread_pool_size(pool), 4);
    rows_check(pool, 4, 4);
    ck_assert_int_eq(atomic_load(&tw.n_thread_starts), 0);
    rows_check(pool, 5, 4);
    ck_assert_int_eq(atomic_load(&tw.n_thread_starts), 3);
    rows_check(pool, 1000, 4);
    ck_assert_int_eq(atomic_load(&tw.n_thread_starts), 3);
    bz_thread_pool_free(pool);
}
END_TEST

START_TEST(threads_that_cannot_start_are_done_without)
{
    for (long failing = 1; failing <= 3; failing++) {
        test_world tw;
        test_world_init(&tw);
        atomic_store(&tw.fail_thread_start, failing);
        bz_thread_pool *pool = pool_of(&tw, 4);
        for (int i = 0; i < 20; i++)
            rows_check(pool, 997, 3);
        bz_thread_pool_free(pool);
        ck_assert(test_world_is_clean(&tw));
    }
}
END_TEST

typedef struct inner_run {
    bz_thread_pool *pool;
    atomic_size_t rows;
} inner_run;

static void rows_add(void *ctx, size_t begin, size_t end, unsigned worker)
{
    (void)worker;
    atomic_fetch_add(&((inner_run *)ctx)->rows, end - begin);
}

static void rows_nest(void *ctx, size_t begin, size_t end, unsigned worker)
{
    inner_run *inner = ctx;
    (void)worker;
    for (size_t i = begin; i < end; i++)
        bz_thread_pool_run(inner->pool, 100, 1, rows_add, inner);
}

START_TEST(a_run_inside_a_run_is_done_alone)
{
    test_world tw;
    inner_run inner = {0};
    test_world_init(&tw);
    inner.pool = pool_of(&tw, 3);
    bz_thread_pool_run(inner.pool, 50, 1, rows_nest, &inner);
    ck_assert_uint_eq(atomic_load(&inner.rows), 5000);
    bz_thread_pool_free(inner.pool);
}
END_TEST

static void caller_main(void *arg)
{
    inner_run *run = arg;
    for (int i = 0; i < 500; i++)
        bz_thread_pool_run(run->pool, 200, 8, rows_add, run);
}

START_TEST(several_threads_may_call_at_once)
{
    test_world tw;
    inner_run runs[4] = {0};
    bezel_thread *threads[4];
    test_world_init(&tw);
    bz_thread_pool *pool = pool_of(&tw, 3);
    for (int i = 0; i < 4; i++) {
        runs[i].pool = pool;
        ck_assert_int_eq(tw.world.thread_start(tw.world.ud, &threads[i], "caller", caller_main, &runs[i]), BEZEL_OK);
    }
    for (int i = 0; i < 4; i++) {
        tw.world.thread_join(tw.world.ud, threads[i]);
        ck_assert_uint_eq(atomic_load(&runs[i].rows), 100000);
    }
    bz_thread_pool_free(pool);
    ck_assert(test_world_is_clean(&tw));
}
END_TEST

static void sleep_ms(long ms)
{
    struct timespec t = {ms / 1000, ms % 1000 * 1000000};
    while (nanosleep(&t, &t) != 0)
        continue;
}

START_TEST(runs_after_a_pause_wake_the_workers_again)
{
    test_world tw;
    test_world_init(&tw);
    bz_thread_pool *pool = pool_of(&tw, 3);
    for (int i = 0; i < 30; i++) {
        rows_check(pool, 4000, 16);
        sleep_ms(i % 3);
    }
    bz_thread_pool_free(pool);
}
END_TEST

START_TEST(an_idle_pool_uses_no_processor_time)
{
    test_world tw;
    struct timespec before;
    struct timespec after;
    test_world_init(&tw);
    bz_thread_pool *pool = pool_of(&tw, 4);
    rows_check(pool, 4000, 16);
    sleep_ms(50);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
    sleep_ms(200);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
    int64_t used_us = (after.tv_sec - before.tv_sec) * 1000000 + (after.tv_nsec - before.tv_nsec) / 1000;
    ck_assert_msg(used_us < 20000, "%lld us in 200 ms", (long long)used_us);
    bz_thread_pool_free(pool);
}
END_TEST

typedef struct seen_cpus {
    atomic_int worker[2]; /* processor it ran on, plus 1 */
} seen_cpus;

static void note_cpu(void *ctx, size_t begin, size_t end, unsigned worker)
{
    seen_cpus *seen = ctx;
    (void)begin;
    (void)end;
    atomic_store(&seen->worker[worker], sched_getcpu() + 1);
    for (volatile int i = 0; i < 20000; i++)
        continue;
}

START_TEST(a_placed_worker_stays_and_the_caller_is_not_moved)
{
    test_world tw;
    cpu_set_t before, after;
    unsigned cpus[2];
    size_t n = 0;
    test_world_init(&tw);
    for (unsigned i = 0; i < CPU_SETSIZE && n < 2; i++)
        if (bz_os_may_use(i))
            cpus[n++] = i;
    ck_assert_uint_ge(n, 1);
    ck_assert_int_eq(bz_os_may_use(CPU_SETSIZE), 0);
    ck_assert_int_eq(sched_getaffinity(0, sizeof before, &before), 0);
    bz_thread_pool *pool = pool_of(&tw, 2);
    bz_thread_pool_place(pool, cpus, n);
    seen_cpus seen = {{0, 0}};
    for (int i = 0; i < 1000 && atomic_load(&seen.worker[1]) == 0; i++)
        bz_thread_pool_run(pool, 64, 1, note_cpu, &seen);
    ck_assert_int_eq(atomic_load(&seen.worker[1]), (int)cpus[1 % n] + 1);
    ck_assert_int_eq(sched_getaffinity(0, sizeof after, &after), 0);
    ck_assert(CPU_EQUAL(&before, &after));
    bz_thread_pool_free(pool);
    ck_assert(test_world_is_clean(&tw));
}
END_TEST

START_TEST(a_pool_of_one_starts_no_thread)
{
    test_world tw;
    test_world_init(&tw);
    bz_thread_pool *pool = pool_of(&tw, 1);
    rows_check(pool, 1000, 4);
    ck_assert_int_eq(atomic_load(&tw.n_thread_starts), 0);
    bz_thread_pool_free(pool);
    ck_assert(test_world_is_clean(&tw));
}
END_TEST

START_TEST(wrong_counts_are_refused_and_null_is_free)
{
    test_world tw;
    bz_thread_pool *pool = NULL;
    bezel_error err = BEZEL_ERROR_INIT;
    test_world_init(&tw);
    ck_assert_int_eq(bz_thread_pool_new(&pool, &tw.world, 0, &err), BEZEL_ERR_RANGE);
    ck_assert_int_eq(bz_thread_pool_new(&pool, &tw.world, 257, &err), BEZEL_ERR_RANGE);
    ck_assert_ptr_null(pool);
    bz_thread_pool_free(NULL);
}
END_TEST

static bezel_status pool_try(test_world *tw, void *ctx)
{
    bz_thread_pool *pool = NULL;
    bezel_status status = bz_thread_pool_new(&pool, &tw->world, 3, NULL);
    (void)ctx;
    if (status == BEZEL_OK)
        rows_check(pool, 500, 7);
    bz_thread_pool_free(pool);
    return status;
}

START_TEST(a_failing_allocation_is_told_and_leaks_nothing)
{
    test_world tw;
    test_world_init(&tw);
    ck_assert_int_eq(test_world_sweep(&tw, pool_try, NULL, BEZEL_OK), 5);
}
END_TEST

Suite *thread_pool_suite(void)
{
    Suite *s = suite_create("thread_pool");
    TCase *t = tcase_create("pool");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, every_row_is_computed_once_in_whole_grains);
    tcase_add_test(t, workers_start_with_the_first_run_that_needs_them);
    tcase_add_test(t, threads_that_cannot_start_are_done_without);
    tcase_add_test(t, a_run_inside_a_run_is_done_alone);
    tcase_add_test(t, several_threads_may_call_at_once);
    tcase_add_test(t, runs_after_a_pause_wake_the_workers_again);
    tcase_add_test(t, an_idle_pool_uses_no_processor_time);
    tcase_add_test(t, a_placed_worker_stays_and_the_caller_is_not_moved);
    tcase_add_test(t, a_pool_of_one_starts_no_thread);
    tcase_add_test(t, wrong_counts_are_refused_and_null_is_free);
    tcase_add_test(t, a_failing_allocation_is_told_and_leaks_nothing);
    suite_add_tcase(s, t);
    return s;
}
