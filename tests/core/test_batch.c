/* SPDX-License-Identifier: MIT */
/* Batches: every answer is the one of its session alone, whoever joins, leaves, is cancelled or fails beside it. */
#include <bezel/batch.h>

#include "base/alloc.h"
#include "base/job_impl.h"
#include "compute/kernel.h"
#include "model/decoder.h"
#include "support/test_world.h"
#include "support/test_engine.h"
#include "support/tiny_model.h"

#include <check.h>
#include <math.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

Suite *batch_suite(void);

enum { MOST = 32, MOST_IDS = 64, MOST_TEXT = 2048 };

static const bezel_logit_bias no_end[3] = {{1, -INFINITY}, {6, -INFINITY}, {20, 2.5F}};
static const char *const stops[2] = {"e", "st"};

/* One answer: what is compared. */
typedef struct reply {
    bezel_status status;
    uint32_t stop_reason;
    size_t n_ids, text_size, n_logprobs;
    int32_t ids[MOST_IDS];
    char text[MOST_TEXT];
    float logprobs[MOST_IDS];
} reply;

/* Member i: length of the prompt, context, tokens, sampling and stops all differ. */
static bezel_session *member_session(const tiny_model *t, uint32_t i)
{
    int32_t ids[300];
    const size_t n = 1 + (i * 37) % 290;
    bezel_session *s = tiny_model_session(t, i % 5 == 3 ? (uint32_t)n + 9 : 400 + i, 16 + i, 0);
    tiny_model_ids(ids, n, i / 3 + 2);
    ck_assert_int_eq(bezel_session_set(s, ids, n, NULL), BEZEL_OK);
    return s;
}

static bezel_job *member_job(bezel_session *s, uint32_t i)
{
    bezel_job *job = NULL;
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_generate_options o;
    bezel_generate_options_init(&o);
    bezel_sampling_greedy(&o.sampling);
    o.sampling.bias = no_end;
    o.sampling.n_bias = i % 4 == 2 ? 3 : 2;
    o.max_tokens = i == 9 ? 0 : 8 + (i * 7) % 30;
    if (i % 3 == 1) {
        o.sampling.temperature = 0.9F;
        o.sampling.top_p = 0.9F;
        o.sampling.repetition_penalty = i % 2 ? 1.2F : 1.0F;
        o.sampling.seed = i + 1;
    }
    o.n_logprobs = i % 7 == 5 ? 3 : 0;
    if (i % 6 == 4) {
        o.stops = stops;
        o.n_stops = 2;
    }
    ck_assert_msg(bezel_generate(&job, s, &o, &err) == BEZEL_OK, "%u: %s", i, err.text);
    return job;
}

static void drain(bezel_job *job, reply *r)
{
    bezel_event e = {.size = (uint32_t)sizeof e};
    while (bezel_job_event(job, &e)) {
        if (e.type != BEZEL_EVENT_TEXT)
            continue;
        ck_assert_uint_lt(r->text_size + e.text_size, sizeof r->text);
        memcpy(r->text + r->text_size, e.text, e.text_size);
        r->text_size += e.text_size;
    }
}

/* Takes the result of a job that has ended. */
static void collect(bezel_job *job, reply *r)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_generation g = {.size = (uint32_t)sizeof g};
    drain(job, r);
    r->status = bezel_job_poll(job, &err);
    ck_assert(r->status == BEZEL_DONE || r->status < 0);
    if (r->status < 0 && r->status != BEZEL_ERR_CANCELLED)
        return;
    ck_assert_int_eq(bezel_generation_get(job, &g, NULL), BEZEL_OK);
    ck_assert_uint_eq(g.text_size, r->text_size);
    ck_assert_mem_eq(g.text, r->text, r->text_size);
    r->stop_reason = g.stop_reason;
    r->n_ids = g.n_ids;
    memcpy(r->ids, g.ids, g.n_ids * sizeof *r->ids);
    r->n_logprobs = g.logprobs != NULL ? g.n_ids : 0;
    if (g.logprobs != NULL)
        memcpy(r->logprobs, g.logprobs, g.n_ids * sizeof *r->logprobs);
}

static void same(const reply *a, const reply *b, uint32_t i)
{
    ck_assert_msg(a->status == b->status && a->stop_reason == b->stop_reason, "%u: %d/%u, alone %d/%u", i, a->status,
                  a->stop_reason, b->status, b->stop_reason);
    ck_assert_msg(a->n_ids == b->n_ids && memcmp(a->ids, b->ids, a->n_ids * sizeof *a->ids) == 0, "%u: other ids", i);
    ck_assert_msg(a->text_size == b->text_size && memcmp(a->text, b->text, a->text_size) == 0, "%u: other text", i);
    ck_assert_msg(a->n_logprobs == b->n_logprobs && memcmp(a->logprobs, b->logprobs, a->n_logprobs * sizeof(float)) == 0,
                  "%u: other logprobs", i);
}

static reply alone[MOST];

static void answer_alone(const tiny_model *t, uint32_t n)
{
    memset(alone, 0, sizeof alone);
    for (uint32_t i = 0; i < n; ++i) {
        bezel_session *s = member_session(t, i);
        bezel_job *job = member_job(s, i);
        while (bezel_job_step(job, 100000, NULL) > 0 && bezel_job_step(job, 0, NULL) != BEZEL_DONE)
            drain(job, &alone[i]);
        collect(job, &alone[i]);
        bezel_job_free(job);
        bezel_session_free(s);
    }
}

typedef struct crowd {
    tiny_model tiny;
    bezel_batch *batch;
    bezel_session *session[MOST];
    bezel_job *job[MOST];
    reply got[MOST];
    uint32_t n;
} crowd;

static void crowd_batch(crowd *c, uint32_t chunk)
{
    bezel_batch_options o;
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_batch_options_init(&o);
    o.chunk = chunk;
    ck_assert_msg(bezel_batch_new(&c->batch, c->tiny.model, &o, &err) == BEZEL_OK, "%s", err.text);
}

static void crowd_add(crowd *c, uint32_t i)
{
    bezel_error err = BEZEL_ERROR_INIT;
    ck_assert_msg(bezel_batch_add(c->batch, c->job[i], &err) == BEZEL_OK, "%u: %s", i, err.text);
}

/* n sessions with their jobs; none is in the batch yet. */
static void crowd_make(crowd *c, uint32_t n, uint32_t chunk)
{
    memset(c->got, 0, sizeof c->got);
    crowd_batch(c, chunk);
    c->n = n;
    for (uint32_t i = 0; i < n; ++i) {
        c->session[i] = member_session(&c->tiny, i);
        c->job[i] = member_job(c->session[i], i);
    }
}

static void crowd_run(crowd *c)
{
    while (bezel_batch_step(c->batch, -1, NULL) != BEZEL_DONE)
        for (uint32_t i = 0; i < c->n; ++i)
            drain(c->job[i], &c->got[i]);
}

/* Frees all; with `check` every answer must be the one alone. */
static void crowd_free(crowd *c, int check)
{
    for (uint32_t i = 0; i < c->n; ++i) {
        if (check) {
            collect(c->job[i], &c->got[i]);
            same(&c->got[i], &alone[i], i);
        }
        bezel_job_free(c->job[i]);
        bezel_session_free(c->session[i]);
    }
    bezel_batch_free(c->batch);
}

static crowd all;

START_TEST(thirty_two_sessions_answer_as_each_alone_on_every_level)
{
    const uint32_t levels[] = {BEZEL_ISA_SCALAR, TEST_FAST_LEVELS}, chunks[] = {16, 128, 512};
    for (size_t l = 0; l < sizeof levels / sizeof *levels; ++l) {
        if (!bz_kernel_has(levels[l]))
            continue;
        for (uint32_t k = 0; k < 3; ++k) {
            tiny_model_open(&all.tiny, levels[l], 1 + k, NULL);
            if (k == 0)
                answer_alone(&all.tiny, MOST);
            crowd_make(&all, MOST, chunks[k]);
            for (uint32_t i = 0; i < MOST; ++i)
                crowd_add(&all, i);
            crowd_run(&all);
            crowd_free(&all, 1);
            tiny_model_close(&all.tiny);
        }
    }
    ck_assert_uint_eq(alone[3].stop_reason, BEZEL_STOP_CONTEXT); /* one with a short context is among them */
    ck_assert_uint_eq(alone[9].n_ids, 0);
}
END_TEST

START_TEST(joining_and_leaving_at_any_unit_changes_no_answer)
{
    enum { N = 6 };
    tiny_model_open(&all.tiny, BEZEL_ISA_AUTO, 2, NULL);
    answer_alone(&all.tiny, N);
    for (uint32_t at = 0; at < 90; ++at) {
        crowd_make(&all, N, 32);
        for (uint32_t i = 0; i < 4; ++i)
            crowd_add(&all, i);
        for (uint32_t u = 0; u < at; ++u)
            (void)bezel_batch_step(all.batch, 0, NULL);
        for (uint32_t u = 0; u < at % 11; ++u) /* one that comes was at work alone */
            (void)bezel_job_step(all.job[4], 0, NULL);
        crowd_add(&all, 4);
        ck_assert_int_eq(bezel_batch_remove(all.batch, all.job[at % 4], NULL), BEZEL_OK);
        (void)bezel_batch_step(all.batch, 0, NULL);
        crowd_add(&all, 5);
        while (bezel_job_step(all.job[at % 4], 1000, NULL) != BEZEL_DONE) /* goes on alone, between the others' steps */
            drain(all.job[at % 4], &all.got[at % 4]), (void)bezel_batch_step(all.batch, 0, NULL);
        crowd_run(&all);
        crowd_free(&all, 1);
    }
    tiny_model_close(&all.tiny);
}
END_TEST

START_TEST(one_that_is_cancelled_or_freed_at_any_unit_ends_alone)
{
    enum { N = 4 };
    tiny_model_open(&all.tiny, BEZEL_ISA_AUTO, 2, NULL);
    answer_alone(&all.tiny, N);
    for (uint32_t at = 0; at < 60; ++at) {
        const uint32_t gone = at % N;
        crowd_make(&all, N, 64);
        for (uint32_t i = 0; i < N; ++i)
            crowd_add(&all, i);
        for (uint32_t u = 0; u < at; ++u)
            (void)bezel_batch_step(all.batch, 0, NULL);
        const int was_over = bezel_job_poll(all.job[gone], NULL) == BEZEL_DONE;
        if (at % 3 == 0) {
            bezel_job_free(all.job[gone]);
            all.job[gone] = member_job(all.session[gone], 8); /* the session is free for another answer */
            crowd_run(&all);
        } else {
            bezel_job_cancel(all.job[gone]);
            crowd_run(&all);
            collect(all.job[gone], &all.got[gone]);
            ck_assert(was_over || all.got[gone].status == BEZEL_ERR_CANCELLED || all.got[gone].status == BEZEL_DONE);
            ck_assert_uint_le(all.got[gone].n_ids, alone[gone].n_ids);
            ck_assert_mem_eq(all.got[gone].ids, alone[gone].ids, all.got[gone].n_ids * sizeof(int32_t));
        }
        for (uint32_t i = 0; i < N; ++i) {
            if (i == gone)
                continue;
            collect(all.job[i], &all.got[i]);
            same(&all.got[i], &alone[i], i);
        }
        crowd_free(&all, 0);
    }
    tiny_model_close(&all.tiny);
}
END_TEST

/* A job that holds the worker inside one unit until it is let go, so that a job started after it has not ended. */
typedef struct gate_job {
    bezel_job job; /* first */
    atomic_int is_in, is_open;
} gate_job;

static bezel_status gate_unit(bezel_job *job, bezel_error *err)
{
    gate_job *gate = (gate_job *)job;
    (void)err;
    atomic_store(&gate->is_in, 1);
    while (!atomic_load(&gate->is_open))
        (void)0;
    return BEZEL_DONE;
}

static gate_job *gate_start(const bezel_job *beside)
{
    static const bz_job_ops ops = {.name = "gate", .unit = gate_unit};
    gate_job *gate = bz_zalloc(beside->world, sizeof *gate);
    ck_assert_ptr_nonnull(gate);
    ck_assert_int_eq(bz_job_init(&gate->job, &ops, beside->world, beside->log, beside->worker, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_job_start(&gate->job, NULL), BEZEL_OK);
    while (!atomic_load(&gate->is_in))
        (void)0;
    return gate;
}

START_TEST(a_step_of_any_job_computes_all_and_the_worker_does_it_too)
{
    enum { N = 8 };
    tiny_model_open(&all.tiny, BEZEL_ISA_AUTO, 2, NULL);
    answer_alone(&all.tiny, N);
    for (uint32_t n_started = 0; n_started <= N; n_started += 4) {
        crowd_make(&all, N, 32);
        for (uint32_t i = 0; i < N; ++i)
            crowd_add(&all, i);
        for (uint32_t i = 0; i < n_started; ++i)
            ck_assert_int_eq(bezel_job_start(all.job[i], NULL), BEZEL_OK);
        for (uint32_t i = N; i-- > 0;) {
            bezel_status st;
            do {
                st = i < n_started ? bezel_job_wait(all.job[i], -1, NULL) : bezel_job_step(all.job[i], 500, NULL);
                drain(all.job[i], &all.got[i]);
            } while (st > 0 && st != BEZEL_DONE);
        }
        if (n_started == N) { /* the last batch of three: freed while the worker is at it */
            bezel_job_free(all.job[0]);
            all.job[0] = member_job(all.session[0], 0);
            gate_job *gate = gate_start(all.job[0]);
            ck_assert_int_eq(bezel_batch_add(all.batch, all.job[0], NULL), BEZEL_OK);
            ck_assert_int_eq(bezel_job_start(all.job[0], NULL), BEZEL_OK);
            ck_assert_int_eq(bezel_batch_remove(all.batch, all.job[0], NULL), BEZEL_ERR_BUSY);
            atomic_store(&gate->is_open, 1);
            bezel_job_free(all.job[0]);
            bezel_job_free(&gate->job);
            all.job[0] = member_job(all.session[0], 0);
        }
        for (uint32_t i = n_started == N; i < N; ++i) {
            collect(all.job[i], &all.got[i]);
            same(&all.got[i], &alone[i], i);
        }
        crowd_free(&all, 0);
    }
    tiny_model_close(&all.tiny);
}
END_TEST

START_TEST(jobs_go_on_alone_when_their_batch_is_freed)
{
    enum { N = 4 };
    tiny_model_open(&all.tiny, BEZEL_ISA_AUTO, 1, NULL);
    answer_alone(&all.tiny, N);
    crowd_make(&all, N, 16);
    for (uint32_t i = 0; i < N; ++i)
        crowd_add(&all, i);
    for (int u = 0; u < 25; ++u)
        (void)bezel_batch_step(all.batch, 0, NULL);
    bezel_batch_free(all.batch);
    all.batch = NULL;
    for (uint32_t i = 0; i < N; ++i)
        while (bezel_job_step(all.job[i], -1, NULL) != BEZEL_DONE)
            drain(all.job[i], &all.got[i]);
    crowd_free(&all, 1);
    tiny_model_close(&all.tiny);
}
END_TEST

START_TEST(wrong_jobs_and_options_are_refused_by_name)
{
    tiny_model other;
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_batch *batch = NULL;
    bezel_batch_options o;
    bezel_batch_options_init(&o);
    tiny_model_open(&all.tiny, BEZEL_ISA_AUTO, 1, NULL);
    tiny_model_open(&other, BEZEL_ISA_AUTO, 1, NULL);
    o.chunk = 15;
    ck_assert_int_eq(bezel_batch_new(&batch, other.model, &o, &err), BEZEL_ERR_RANGE);
    ck_assert_ptr_nonnull(strstr(err.text, "chunk is 15"));
    o.chunk = 513;
    ck_assert_int_eq(bezel_batch_new(&batch, other.model, &o, &err), BEZEL_ERR_RANGE);
    ck_assert_ptr_null(batch);
    ck_assert_int_eq(bezel_batch_new(&batch, NULL, NULL, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(bezel_batch_new(&batch, other.model, NULL, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_batch_step(batch, 0, &err), BEZEL_DONE);
    ck_assert_int_eq(bezel_batch_step(NULL, 0, &err), BEZEL_ERR_ARGUMENT);
    crowd_make(&all, 3, 0);
    ck_assert_int_eq(bezel_batch_add(batch, all.job[0], &err), BEZEL_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(err.text, "another model"));
    ck_assert_int_eq(bezel_batch_add(all.batch, NULL, &err), BEZEL_ERR_ARGUMENT);
    crowd_add(&all, 0);
    ck_assert_int_eq(bezel_batch_add(all.batch, all.job[0], &err), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(bezel_batch_remove(batch, all.job[0], &err), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(bezel_batch_remove(all.batch, all.job[1], &err), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(bezel_job_start(all.job[1], NULL), BEZEL_OK);
    const bezel_status status = bezel_batch_add(all.batch, all.job[1], &err);
    ck_assert(status == BEZEL_ERR_BUSY || status == BEZEL_OK); /* OK when the worker was that fast */
    const uint32_t unlike = bz_decoder_default_q8(all.tiny.engine) ? BEZEL_ACTIVATIONS_F32 : BEZEL_ACTIVATIONS_Q8;
    bezel_session *odd_one = tiny_model_session(&all.tiny, 64, 16, unlike);
    ck_assert_int_eq(bezel_session_set(odd_one, (const int32_t[]){2, 20}, 2, NULL), BEZEL_OK);
    bezel_job *job = member_job(odd_one, 0);
    ck_assert_int_eq(bezel_batch_add(all.batch, job, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(err.text, "activations"));
    bezel_job_free(job);
    bezel_session_free(odd_one);
    crowd_free(&all, 0);
    bezel_batch_free(batch);
    tiny_model_close(&other);
    tiny_model_close(&all.tiny);
}
END_TEST

/* Three members; a failing allocation ends one of them or refuses it, the others answer as ever. */
static bezel_status sweep_try(test_world *tw, void *ctx)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_status worst = BEZEL_OK;
    bezel_batch *batch = NULL;
    bezel_job *jobs[3] = {NULL};
    bezel_session *sessions[3];
    reply got;
    const tiny_model *t = ctx;
    (void)tw;
    for (uint32_t i = 0; i < 3 && worst == BEZEL_OK; ++i) {
        bezel_session_options so;
        bezel_generate_options o;
        bezel_session_options_init(&so);
        so.n_ctx = 100;
        sessions[i] = NULL;
        worst = bezel_session_new(&sessions[i], t->model, &so, &err);
        if (worst != BEZEL_OK)
            continue;
        ck_assert_int_eq(bezel_session_set(sessions[i], (const int32_t[]){2, 20, 30 + (int32_t)i}, 3, NULL), BEZEL_OK);
        bezel_generate_options_init(&o);
        bezel_sampling_greedy(&o.sampling);
        o.max_tokens = 4;
        worst = bezel_generate(&jobs[i], sessions[i], &o, &err);
        if (worst != BEZEL_OK) {
            bezel_session_free(sessions[i]);
            sessions[i] = NULL;
        }
    }
    if (worst == BEZEL_OK)
        worst = bezel_batch_new(&batch, t->model, NULL, &err);
    for (uint32_t i = 0; i < 3 && worst == BEZEL_OK; ++i)
        worst = bezel_batch_add(batch, jobs[i], &err);
    while (worst == BEZEL_OK && bezel_batch_step(batch, 1000, NULL) != BEZEL_DONE) {
    }
    int n_failed = 0;
    for (uint32_t i = 0; i < 3 && worst == BEZEL_OK; ++i) {
        memset(&got, 0, sizeof got);
        collect(jobs[i], &got);
        n_failed += got.status < 0;
        ck_assert(got.status == BEZEL_DONE || got.status == BEZEL_ERR_MEMORY);
    }
    if (n_failed > 0)
        worst = BEZEL_ERR_MEMORY;
    for (uint32_t i = 0; i < 3 && jobs[i] != NULL; ++i) {
        bezel_job_free(jobs[i]);
        bezel_session_free(sessions[i]);
    }
    bezel_batch_free(batch);
    return worst;
}

START_TEST(a_failing_allocation_ends_one_answer_or_refuses_it)
{
    test_world tw;
    tiny_model t;
    test_world_init(&tw);
    tiny_model_open(&t, BEZEL_ISA_AUTO, 1, &tw.world);
    ck_assert_int_gt(test_world_sweep(&tw, sweep_try, &t, BEZEL_OK), 20);
    tiny_model_close(&t);
    ck_assert(test_world_is_clean(&tw));
}
END_TEST

Suite *batch_suite(void)
{
    Suite *s = suite_create("batch");
    TCase *t = tcase_create("batch");
    tcase_set_timeout(t, 600);
    tcase_add_test(t, thirty_two_sessions_answer_as_each_alone_on_every_level);
    tcase_add_test(t, joining_and_leaving_at_any_unit_changes_no_answer);
    tcase_add_test(t, one_that_is_cancelled_or_freed_at_any_unit_ends_alone);
    tcase_add_test(t, a_step_of_any_job_computes_all_and_the_worker_does_it_too);
    tcase_add_test(t, jobs_go_on_alone_when_their_batch_is_freed);
    tcase_add_test(t, wrong_jobs_and_options_are_refused_by_name);
    tcase_add_test(t, a_failing_allocation_ends_one_answer_or_refuses_it);
    suite_add_tcase(s, t);
    return s;
}
