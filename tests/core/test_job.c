/* SPDX-License-Identifier: MIT */
/* Jobs by step and on the worker. Meant to be run under ThreadSanitizer too. */
#include "base/job_impl.h"
#include "base/alloc.h"
#include "support/test_world.h"

#include <check.h>
#include <poll.h>
#include <string.h>
#include <time.h>

/* A job that counts to n, with a text event every `every` units. */
typedef struct count_job {
    bezel_job job;
    int n, at, every, fail_at;
    int pause_us;
    int n_cancelled;
    atomic_int *freed;
    atomic_int *order; /* shared by jobs: how often another job ran last */
    int *last;
    int id;
} count_job;

static void job_sleep_us(long us)
{
    struct timespec t = {us / 1000000, us % 1000000 * 1000};
    while (nanosleep(&t, &t) != 0)
        continue;
}

static bezel_status count_unit(bezel_job *job, bezel_error *err)
{
    count_job *c = (count_job *)job;
    if (c->pause_us > 0)
        job_sleep_us(c->pause_us);
    if (c->last != NULL) {
        if (*c->last != c->id)
            atomic_fetch_add(c->order, 1);
        *c->last = c->id;
    }
    c->at++;
    if (c->at == c->fail_at) {
        bz_fail(err, BEZEL_ERR_FORMAT, "count", "unit %d is broken", c->at);
        return bz_error_offset(err, BEZEL_ERR_FORMAT, c->at);
    }
    if (c->every < 0)
        return bz_job_emit_progress(job, (double)c->at / c->n, err) != BEZEL_OK ? BEZEL_ERR_MEMORY
               : c->at < c->n                                                   ? BEZEL_MORE
                                                                                : BEZEL_DONE;
    if (c->every > 0 && c->at % c->every == 0) {
        bezel_status status = bz_job_emit_text(job, "abcdefghij", (size_t)(c->at % 10) + 1, err);
        if (status != BEZEL_OK)
            return status;
    }
    return c->at < c->n ? BEZEL_MORE : BEZEL_DONE;
}

static void count_cancelled(bezel_job *job)
{
    ((count_job *)job)->n_cancelled++;
}

static void count_destroy(bezel_job *job)
{
    count_job *c = (count_job *)job;
    if (c->freed != NULL)
        atomic_store(c->freed, 1 + c->n_cancelled);
}

static const bz_job_ops count_ops = {"count", count_unit, count_cancelled, count_destroy};

static count_job *count_new(test_world *tw, bz_worker *worker, int n, int every)
{
    count_job *c = bz_zalloc(&tw->world, sizeof *c);
    if (c == NULL)
        return NULL;
    if (bz_job_init(&c->job, &count_ops, &tw->world, NULL, worker, NULL) != BEZEL_OK) {
        bz_free(&tw->world, c);
        return NULL;
    }
    c->n = n;
    c->every = every;
    return c;
}

static bz_worker *worker_of(test_world *tw)
{
    bz_worker *worker = NULL;
    ck_assert_int_eq(bz_worker_new(&worker, &tw->world, NULL), BEZEL_OK);
    return worker;
}

static int fd_ready(bezel_job *job, int timeout_ms)
{
    struct pollfd p = {bezel_job_fd(job), POLLIN, 0};
    return poll(&p, 1, timeout_ms) == 1;
}

/* --- Stepping ----------------------------------------------------------------------------- */

START_TEST(a_budget_of_zero_does_one_unit)
{
    test_world tw;
    test_world_init(&tw);
    count_job *c = count_new(&tw, NULL, 3, 0);
    ck_assert_int_eq(bezel_job_step(&c->job, 0, NULL), BEZEL_MORE);
    ck_assert_int_eq(c->at, 1);
    ck_assert_int_eq(bezel_job_step(&c->job, 0, NULL), BEZEL_MORE);
    ck_assert_int_eq(bezel_job_poll(&c->job, NULL), BEZEL_MORE);
    ck_assert_int_eq(bezel_job_step(&c->job, 0, NULL), BEZEL_DONE);
    ck_assert_int_eq(bezel_job_step(&c->job, 0, NULL), BEZEL_DONE);
    ck_assert_int_eq(c->at, 3);
    bezel_job_free(&c->job);
    ck_assert(test_world_is_clean(&tw));
}
END_TEST

START_TEST(a_budget_is_kept_by_the_worlds_clock)
{
    test_world tw;
    test_world_init(&tw);
    test_world_clock(&tw, 1000000, 0);
    atomic_store(&tw.step_ns, 100000); /* each look takes 100 us, one a unit */
    count_job *c = count_new(&tw, NULL, 1000, 0);
    ck_assert_int_eq(bezel_job_step(&c->job, 4000, NULL), BEZEL_MORE);
    ck_assert_int_eq(c->at, 40);
    ck_assert_int_eq(bezel_job_step(&c->job, -1, NULL), BEZEL_DONE);
    ck_assert_int_eq(c->at, 1000);
    bezel_job_free(&c->job);
}
END_TEST

START_TEST(a_unit_that_would_not_fit_is_left_for_the_next_step)
{
    test_world tw;
    test_world_init(&tw);
    test_world_clock(&tw, 1000000, 0);
    atomic_store(&tw.step_ns, 1500000); /* a unit takes 1.5 ms */
    count_job *c = count_new(&tw, NULL, 1000, 0);
    ck_assert_int_eq(bezel_job_step(&c->job, 4000, NULL), BEZEL_MORE);
    ck_assert_int_eq(c->at, 2); /* a third would end at 4.5 ms */
    ck_assert_int_eq(bezel_job_step(&c->job, 4500, NULL), BEZEL_MORE);
    ck_assert_int_eq(c->at, 5);
    ck_assert_int_eq(bezel_job_step(&c->job, 100, NULL), BEZEL_MORE);
    ck_assert_int_eq(c->at, 6); /* one is always done */
    ck_assert(bz_job_unit_wish(4000) == 1000000);
    ck_assert(bz_job_unit_wish(0) == 0 && bz_job_unit_wish(-1) == 0 && bz_job_unit_wish(1000000) == 0);
    bezel_job_free(&c->job);
}
END_TEST

START_TEST(no_budget_stops_at_each_event_and_the_last_comes_before_the_end)
{
    test_world tw;
    bezel_event event = {.size = sizeof event};
    test_world_init(&tw);
    count_job *c = count_new(&tw, NULL, 6, 3);
    ck_assert_int_eq(bezel_job_event(&c->job, &event), 0);
    ck_assert_int_eq(bezel_job_step(&c->job, -1, NULL), BEZEL_TOKEN);
    ck_assert_int_eq(c->at, 3);
    ck_assert_int_eq(bezel_job_poll(&c->job, NULL), BEZEL_TOKEN);
    event.size = 0;
    ck_assert_int_eq(bezel_job_event(&c->job, &event), 0); /* takes nothing */
    event.size = sizeof event;
    ck_assert_int_eq(bezel_job_event(&c->job, &event), 1);
    ck_assert_uint_eq(event.type, BEZEL_EVENT_TEXT);
    ck_assert_str_eq(event.text, "abcd");
    ck_assert_uint_eq(event.text_size, 4);
    ck_assert_uint_eq(event.size, sizeof event);
    ck_assert_int_eq(bezel_job_event(&c->job, &event), 0);
    ck_assert_int_eq(bezel_job_step(&c->job, -1, NULL), BEZEL_TOKEN);
    ck_assert_int_eq(c->at, 6);
    ck_assert_int_eq(bezel_job_event(&c->job, &event), 1);
    ck_assert_str_eq(event.text, "abcdefg");
    ck_assert_int_eq(bezel_job_step(&c->job, -1, NULL), BEZEL_DONE);
    bezel_job_free(&c->job);
    ck_assert(test_world_is_clean(&tw));
}
END_TEST

START_TEST(a_host_that_takes_no_events_still_reaches_the_end)
{
    test_world tw;
    int steps = 0;
    bezel_status status;
    test_world_init(&tw);
    count_job *c = count_new(&tw, NULL, 100, 1);
    while ((status = bezel_job_step(&c->job, -1, NULL)) > 0 && status != BEZEL_DONE)
        ck_assert_int_lt(steps++, 200);
    ck_assert_int_eq(status, BEZEL_DONE);
    ck_assert_int_eq(c->at, 100);
    bezel_job_free(&c->job);
    ck_assert(test_world_is_clean(&tw));
}
END_TEST

START_TEST(progress_that_nobody_took_is_merged)
{
    test_world tw;
    bezel_event event = {.size = sizeof event};
    test_world_init(&tw);
    count_job *c = count_new(&tw, NULL, 4, -1);
    bezel_job_step(&c->job, 0, NULL);
    bezel_job_step(&c->job, 0, NULL);
    ck_assert_int_eq(bezel_job_step(&c->job, 0, NULL), BEZEL_TOKEN);
    ck_assert_int_eq(bezel_job_event(&c->job, &event), 1);
    ck_assert_uint_eq(event.type, BEZEL_EVENT_PROGRESS);
    ck_assert_double_eq(event.progress, 0.75);
    ck_assert_str_eq(event.text, "");
    ck_assert_int_eq(bezel_job_event(&c->job, &event), 0);
    bezel_job_free(&c->job);
    ck_assert(test_world_is_clean(&tw));
}
END_TEST

START_TEST(a_failure_is_told_again_and_again_with_its_text)
{
    test_world tw;
    test_world_init(&tw);
    count_job *c = count_new(&tw, NULL, 10, 0);
    c->fail_at = 2;
    for (int i = 0; i < 3; i++) {
        bezel_error err = BEZEL_ERROR_INIT;
        ck_assert_int_eq(bezel_job_step(&c->job, -1, &err), BEZEL_ERR_FORMAT);
        ck_assert_str_eq(err.text, "unit 2 is broken");
        ck_assert_int_eq(err.offset, 2);
        ck_assert_int_eq(bezel_job_poll(&c->job, NULL), BEZEL_ERR_FORMAT);
    }
    ck_assert_int_eq(c->at, 2);
    ck_assert_int_eq(bz_job_status(&c->job), BEZEL_ERR_FORMAT);
    bezel_job_free(&c->job);
}
END_TEST

START_TEST(cancel_ends_the_job_at_its_next_unit)
{
    test_world tw;
    atomic_int freed = 0;
    bezel_error err = BEZEL_ERROR_INIT;
    test_world_init(&tw);
    count_job *c = count_new(&tw, NULL, 10, 0);
    c->freed = &freed;
    bezel_job_step(&c->job, 0, NULL);
    bezel_job_cancel(&c->job);
    bezel_job_cancel(&c->job);
    ck_assert_int_eq(bezel_job_step(&c->job, -1, &err), BEZEL_ERR_CANCELLED);
    ck_assert_int_eq(err.status, BEZEL_ERR_CANCELLED);
    ck_assert_str_eq(err.origin, "count");
    ck_assert_int_eq(c->at, 1);
    ck_assert_int_eq(c->n_cancelled, 1);
    bezel_job_free(&c->job);
    ck_assert_int_eq(freed, 2); /* told once */
    c = count_new(&tw, NULL, 1, 0);
    ck_assert_int_eq(bezel_job_step(&c->job, -1, NULL), BEZEL_DONE);
    bezel_job_cancel(&c->job);
    ck_assert_int_eq(bezel_job_step(&c->job, -1, NULL), BEZEL_DONE);
    c->freed = &freed;
    bezel_job_free(&c->job);
    ck_assert_int_eq(freed, 1); /* a finished job is not cancelled any more */
}
END_TEST

START_TEST(misuse_is_an_error_and_null_is_harmless)
{
    test_world tw;
    bezel_error err = BEZEL_ERROR_INIT;
    test_world_init(&tw);
    count_job *c = count_new(&tw, NULL, 10, 0);
    ck_assert_int_eq(bezel_job_wait(&c->job, -1, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(err.hint, "bezel_job_start"));
    ck_assert_int_eq(bezel_job_start(&c->job, &err), BEZEL_ERR_UNSUPPORTED);
    ck_assert_int_eq(bezel_job_fd(&c->job), -1);
    bezel_job_free(&c->job);
    ck_assert_int_eq(bezel_job_step(NULL, 0, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(bezel_job_start(NULL, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(bezel_job_poll(NULL, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(bezel_job_wait(NULL, 0, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(bezel_job_event(NULL, NULL), 0);
    ck_assert_int_eq(bezel_job_fd(NULL), -1);
    bezel_job_cancel(NULL);
    bezel_job_free(NULL);
}
END_TEST

/* --- On the worker ------------------------------------------------------------------------ */

START_TEST(a_started_job_runs_alone_and_its_descriptor_tells)
{
    test_world tw;
    bezel_event event = {.size = sizeof event};
    int n_events = 0;
    bezel_status status;
    test_world_init(&tw);
    bz_worker *worker = worker_of(&tw);
    count_job *c = count_new(&tw, worker, 50, 5);
    c->pause_us = 300;
    ck_assert_int_eq(bezel_job_fd(&c->job), -1);
    ck_assert_int_eq(bezel_job_start(&c->job, NULL), BEZEL_OK);
    ck_assert_int_ge(bezel_job_fd(&c->job), 3);
    ck_assert_int_eq(bezel_job_step(&c->job, 0, NULL), BEZEL_ERR_BUSY);
    ck_assert_int_eq(bezel_job_start(&c->job, NULL), BEZEL_OK);
    for (;;) {
        ck_assert_msg(fd_ready(&c->job, 10000), "the descriptor never gets ready");
        status = bezel_job_poll(&c->job, NULL);
        ck_assert_int_ne(status, BEZEL_MORE);
        if (status != BEZEL_TOKEN)
            break;
        ck_assert_int_eq(bezel_job_event(&c->job, &event), 1);
        ck_assert_mem_eq(event.text, "abcdefghij", event.text_size);
        n_events++;
    }
    ck_assert_int_eq(status, BEZEL_DONE);
    ck_assert_int_eq(n_events, 10);
    ck_assert_int_eq(c->at, 50);
    ck_assert_int_eq(fd_ready(&c->job, 0), 1);
    bezel_job_free(&c->job);
    bz_worker_free(worker);
    ck_assert(test_world_is_clean(&tw));
}
END_TEST

START_TEST(the_descriptor_is_quiet_while_there_is_nothing_to_read)
{
    test_world tw;
    bezel_event event = {.size = sizeof event};
    test_world_init(&tw);
    bz_worker *worker = worker_of(&tw);
    count_job *c = count_new(&tw, worker, 2, 1);
    c->pause_us = 100000;
    ck_assert_int_eq(bezel_job_start(&c->job, NULL), BEZEL_OK);
    ck_assert_int_eq(fd_ready(&c->job, 0), 0);
    ck_assert_int_eq(bezel_job_poll(&c->job, NULL), BEZEL_MORE);
    ck_assert_int_eq(bezel_job_wait(&c->job, 1, NULL), BEZEL_MORE);
    ck_assert_int_eq(bezel_job_wait(&c->job, -1, NULL), BEZEL_TOKEN);
    ck_assert_int_eq(bezel_job_event(&c->job, &event), 1);
    ck_assert_int_eq(fd_ready(&c->job, 0), 0);
    ck_assert_int_eq(bezel_job_wait(&c->job, 20000, NULL), BEZEL_TOKEN);
    ck_assert_int_eq(bezel_job_event(&c->job, &event), 1);
    ck_assert_int_eq(bezel_job_wait(&c->job, -1, NULL), BEZEL_DONE);
    bezel_job_free(&c->job);
    bz_worker_free(worker);
}
END_TEST

START_TEST(a_wait_ends_in_time_even_if_the_worlds_clock_stands_still)
{
    test_world tw;
    test_world_init(&tw);
    test_world_clock(&tw, 1, 0);
    bz_worker *worker = worker_of(&tw);
    count_job *c = count_new(&tw, worker, 1, 0);
    c->pause_us = 100000;
    ck_assert_int_eq(bezel_job_start(&c->job, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_job_wait(&c->job, 10, NULL), BEZEL_MORE);
    bezel_job_free(&c->job);
    bz_worker_free(worker);
}
END_TEST

START_TEST(the_longest_wait_that_can_be_said_is_a_wait_and_not_a_poll)
{
    test_world tw;
    test_world_init(&tw);
    bz_worker *worker = worker_of(&tw);
    count_job *c = count_new(&tw, worker, 1, 0);
    c->pause_us = 20000;
    ck_assert_int_eq(bezel_job_start(&c->job, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_job_wait(&c->job, INT64_MAX, NULL), BEZEL_DONE);
    bezel_job_free(&c->job);
    bz_worker_free(worker);
}
END_TEST

START_TEST(a_job_that_was_stepped_first_goes_on_on_the_worker)
{
    test_world tw;
    test_world_init(&tw);
    bz_worker *worker = worker_of(&tw);
    count_job *c = count_new(&tw, worker, 10, 5);
    ck_assert_int_eq(bezel_job_step(&c->job, -1, NULL), BEZEL_TOKEN);
    ck_assert_int_eq(bezel_job_start(&c->job, NULL), BEZEL_OK);
    ck_assert_int_eq(fd_ready(&c->job, 0), 1);
    bezel_job_free(&c->job);
    c = count_new(&tw, worker, 1, 0);
    ck_assert_int_eq(bezel_job_step(&c->job, -1, NULL), BEZEL_DONE);
    ck_assert_int_eq(bezel_job_start(&c->job, NULL), BEZEL_OK);
    ck_assert_int_eq(fd_ready(&c->job, 0), 1);
    ck_assert_int_eq(bezel_job_wait(&c->job, -1, NULL), BEZEL_DONE);
    bezel_job_free(&c->job);
    bz_worker_free(worker);
    ck_assert(test_world_is_clean(&tw));
}
END_TEST

START_TEST(jobs_on_the_worker_take_turns)
{
    test_world tw;
    atomic_int changes = 0;
    int last = -1;
    count_job *jobs[3];
    test_world_init(&tw);
    bz_worker *worker = worker_of(&tw);
    for (int i = 0; i < 3; i++) {
        jobs[i] = count_new(&tw, worker, 60, 0);
        jobs[i]->pause_us = 500;
        jobs[i]->order = &changes;
        jobs[i]->last = &last;
        jobs[i]->id = i;
    }
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(bezel_job_start(&jobs[i]->job, NULL), BEZEL_OK);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(bezel_job_wait(&jobs[i]->job, -1, NULL), BEZEL_DONE);
    /* 30 ms of work each in slices of 4 ms */
    ck_assert_int_ge(atomic_load(&changes), 9);
    for (int i = 0; i < 3; i++)
        bezel_job_free(&jobs[i]->job);
    bz_worker_free(worker);
    ck_assert(test_world_is_clean(&tw));
}
END_TEST

static void cancel_main(void *arg)
{
    job_sleep_us(2000);
    bezel_job_cancel(arg);
}

START_TEST(any_thread_may_cancel_a_running_job)
{
    test_world tw;
    test_world_init(&tw);
    bz_worker *worker = worker_of(&tw);
    for (int stepped = 0; stepped < 2; stepped++) {
        bezel_thread *thread = NULL;
        bezel_error err = BEZEL_ERROR_INIT;
        count_job *c = count_new(&tw, worker, 1000000, 0);
        c->pause_us = 50;
        ck_assert_int_eq(tw.world.thread_start(tw.world.ud, &thread, "canceller", cancel_main, &c->job), BEZEL_OK);
        if (stepped) {
            ck_assert_int_eq(bezel_job_step(&c->job, -1, &err), BEZEL_ERR_CANCELLED);
        } else {
            ck_assert_int_eq(bezel_job_start(&c->job, &err), BEZEL_OK);
            ck_assert_int_eq(bezel_job_wait(&c->job, 20000, &err), BEZEL_ERR_CANCELLED);
        }
        ck_assert_int_eq(c->n_cancelled, 1);
        tw.world.thread_join(tw.world.ud, thread);
        bezel_job_free(&c->job);
    }
    bz_worker_free(worker);
    ck_assert(test_world_is_clean(&tw));
}
END_TEST

START_TEST(free_at_any_moment_waits_for_the_worker)
{
    test_world tw;
    test_world_init(&tw);
    bz_worker *worker = worker_of(&tw);
    for (int i = 0; i < 200; i++) {
        atomic_int freed = 0;
        count_job *a = count_new(&tw, worker, 1 + i % 40, 3);
        count_job *b = count_new(&tw, worker, 100000, 1000);
        a->freed = &freed;
        a->pause_us = i % 4 * 10;
        ck_assert_int_eq(bezel_job_start(&b->job, NULL), BEZEL_OK);
        ck_assert_int_eq(bezel_job_start(&a->job, NULL), BEZEL_OK);
        job_sleep_us(i % 7 * 50);
        bezel_job_free(&a->job);
        ck_assert_int_ge(atomic_load(&freed), 1);
        bezel_job_free(&b->job);
    }
    bz_worker_free(worker);
    ck_assert(test_world_is_clean(&tw));
}
END_TEST

START_TEST(a_worker_that_cannot_start_leaves_the_job_to_be_stepped)
{
    test_world tw;
    bezel_error err = BEZEL_ERROR_INIT;
    test_world_init(&tw);
    atomic_store(&tw.fail_thread_start, 1);
    bz_worker *worker = worker_of(&tw);
    count_job *c = count_new(&tw, worker, 3, 0);
    ck_assert_int_eq(bezel_job_start(&c->job, &err), BEZEL_ERR_IO);
    ck_assert_ptr_nonnull(strstr(err.hint, "bezel_job_step"));
    ck_assert_int_eq(bezel_job_fd(&c->job), -1);
    ck_assert_int_eq(bezel_job_step(&c->job, 0, NULL), BEZEL_MORE);
    ck_assert_int_eq(bezel_job_start(&c->job, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_job_wait(&c->job, -1, NULL), BEZEL_DONE);
    bezel_job_free(&c->job);
    bz_worker_free(worker);
    bz_worker_free(NULL);
    ck_assert(test_world_is_clean(&tw));
}
END_TEST

static bezel_status job_try(test_world *tw, void *ctx)
{
    bz_worker *worker = NULL;
    bezel_event event = {.size = sizeof event};
    bezel_status status = bz_worker_new(&worker, &tw->world, NULL);
    for (int every = 2; every >= -1 && status == BEZEL_OK; every -= 3) {
        count_job *c = count_new(tw, worker, 10, every);
        status = c == NULL ? BEZEL_ERR_MEMORY : ctx != NULL ? bezel_job_start(&c->job, NULL) : BEZEL_OK;
        while (status >= 0 && status != BEZEL_DONE) {
            status = ctx != NULL ? bezel_job_wait(&c->job, -1, NULL) : bezel_job_step(&c->job, -1, NULL);
            while (bezel_job_event(c == NULL ? NULL : &c->job, &event))
                continue;
        }
        bezel_job_free(c == NULL ? NULL : &c->job);
        status = status == BEZEL_DONE ? BEZEL_OK : status;
    }
    bz_worker_free(worker);
    return status;
}

START_TEST(a_failing_allocation_ends_the_job_with_an_error)
{
    test_world tw;
    test_world_init(&tw);
    ck_assert_int_gt(test_world_sweep(&tw, job_try, NULL, BEZEL_OK), 10);
    ck_assert_int_gt(test_world_sweep(&tw, job_try, &tw, BEZEL_OK), 10);
}
END_TEST

Suite *job_suite(void)
{
    Suite *s = suite_create("job");
    TCase *t = tcase_create("step");
    tcase_add_test(t, a_budget_of_zero_does_one_unit);
    tcase_add_test(t, a_budget_is_kept_by_the_worlds_clock);
    tcase_add_test(t, a_unit_that_would_not_fit_is_left_for_the_next_step);
    tcase_add_test(t, no_budget_stops_at_each_event_and_the_last_comes_before_the_end);
    tcase_add_test(t, a_host_that_takes_no_events_still_reaches_the_end);
    tcase_add_test(t, progress_that_nobody_took_is_merged);
    tcase_add_test(t, a_failure_is_told_again_and_again_with_its_text);
    tcase_add_test(t, cancel_ends_the_job_at_its_next_unit);
    tcase_add_test(t, misuse_is_an_error_and_null_is_harmless);
    suite_add_tcase(s, t);
    t = tcase_create("worker");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, a_started_job_runs_alone_and_its_descriptor_tells);
    tcase_add_test(t, the_descriptor_is_quiet_while_there_is_nothing_to_read);
    tcase_add_test(t, a_wait_ends_in_time_even_if_the_worlds_clock_stands_still);
    tcase_add_test(t, the_longest_wait_that_can_be_said_is_a_wait_and_not_a_poll);
    tcase_add_test(t, a_job_that_was_stepped_first_goes_on_on_the_worker);
    tcase_add_test(t, jobs_on_the_worker_take_turns);
    tcase_add_test(t, any_thread_may_cancel_a_running_job);
    tcase_add_test(t, free_at_any_moment_waits_for_the_worker);
    tcase_add_test(t, a_worker_that_cannot_start_leaves_the_job_to_be_stepped);
    tcase_add_test(t, a_failing_allocation_ends_the_job_with_an_error);
    suite_add_tcase(s, t);
    return s;
}
