/* SPDX-License-Identifier: MIT */
/* Training as a job: it learns, is taken up again with the same bits wherever it was broken off, measures, ends early, and
 * refuses what it cannot use. */
#include <bezel/train.h>

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "model/adapter_impl.h"
#include "support/temp_folder.h"
#include "support/test_world.h"
#include "support/tiny_model.h"

Suite *train_job_suite(void);

enum { EXAMPLES = 14, LONGEST = 20 };

static temp_folder folder;
static int32_t ids[EXAMPLES][LONGEST];
static uint8_t learn[LONGEST];
static bezel_train_example examples[EXAMPLES];

/* Examples that all end in the same few ids: something to learn. */
static void setup(void)
{
    temp_folder_make(&folder);
    for (size_t i = 0; i < EXAMPLES; i++) {
        const size_t n = 9 + i * 7 % 12;
        tiny_model_ids(ids[i], LONGEST, (uint32_t)i);
        for (size_t t = n - 3; t < n; t++)
            ids[i][t] = (int32_t)(20 + t + 3 - n);
        examples[i] = (bezel_train_example){ids[i], learn, n};
    }
    memset(learn, 0, sizeof learn);
    memset(learn + 6, 1, sizeof learn - 6);
}

static void teardown(void)
{
    temp_folder_remove(&folder);
}

static bezel_train_options options_with(const char *checkpoint)
{
    bezel_train_options o;
    bezel_train_options_init(&o);
    o.rank = 4;
    o.alpha = 8.0f;
    o.rate = 5e-3;
    o.warm_up = 2;
    o.batch = 1;
    o.accumulation = 2;
    o.epochs = 4;
    o.max_length = 48;
    o.validation = 0.2;
    o.log_every = 3;
    o.evaluate_every = 4;
    o.save_every = 2;
    o.checkpoint = checkpoint;
    return o;
}

static bezel_job *job_with(const tiny_model *t, const bezel_train_options *o)
{
    bezel_job *job = NULL;
    bezel_error err = BEZEL_ERROR_INIT;
    ck_assert_msg(bezel_train(&job, t->model, examples, EXAMPLES, o, &err) == BEZEL_OK, "%s", err.text);
    return job;
}

static bezel_adapter *finish(bezel_job *job)
{
    bezel_adapter *a = NULL;
    bezel_error err = BEZEL_ERROR_INIT;
    ck_assert_msg(tiny_model_drive(job, &err) == BEZEL_DONE, "%s", err.text);
    ck_assert_msg(bezel_train_adapter(&a, job, &err) == BEZEL_OK, "%s", err.text);
    bezel_job_free(job);
    return a;
}

/* Values of a key of the log's lines, in order. */
static size_t logged(double *out, size_t most, bezel_job *job, const char *key)
{
    size_t n = 0;
    bezel_status status;
    do {
        bezel_event event = {.size = (uint32_t)sizeof event};
        status = bezel_job_step(job, -1, NULL);
        while (bezel_job_event(job, &event)) {
            const char *at = event.text != NULL ? strstr(event.text, key) : NULL;
            if (at != NULL && n < most)
                out[n++] = strtod(at + strlen(key), NULL);
        }
    } while (status > 0 && status != BEZEL_DONE);
    ck_assert_int_eq(status, BEZEL_DONE);
    return n;
}

START_TEST(it_learns_and_measures)
{
    double loss[64], measured[64];
    tiny_model t = {0};
    bezel_train_options o = options_with(NULL);
    o.epochs = 12;
    tiny_model_open(&t, BEZEL_ISA_AUTO, 2, NULL);
    bezel_job *job = job_with(&t, &o);
    const size_t n = logged(loss, 64, job, "\"loss\":");
    ck_assert_uint_ge(n, 4);
    ck_assert_double_lt(loss[n - 1], 0.5 * loss[0]);
    bezel_job_free(job);
    job = job_with(&t, &o);
    const size_t n_measured = logged(measured, 64, job, "\"validation_loss\":");
    ck_assert_uint_ge(n_measured, 4);
    ck_assert_double_lt(measured[n_measured - 1], measured[0]);
    bezel_job_free(job);
    tiny_model_close(&t);
}
END_TEST

/* That many units. */
static void drive_for(bezel_job *job, size_t units)
{
    for (size_t i = 0; i < units; i++) {
        const bezel_status status = bezel_job_step(job, 0, NULL);
        ck_assert(status == BEZEL_MORE || status == BEZEL_TOKEN);
    }
}

START_TEST(taken_up_again_it_ends_with_the_same_bits)
{
    const size_t breaks[] = {0, 1, 11, 40, 77, 150};
    tiny_model t = {0};
    bezel_train_options o = options_with(NULL);
    tiny_model_open(&t, BEZEL_ISA_AUTO, 2, NULL);
    bezel_adapter *whole = finish(job_with(&t, &o));
    o.checkpoint = temp_folder_file(&folder, "c");
    for (size_t i = 0; i < sizeof breaks / sizeof breaks[0]; i++) {
        bezel_job *job = job_with(&t, &o);
        drive_for(job, breaks[i]);
        bezel_job_free(job); /* cancels: the steps done are kept */
    }
    bezel_adapter *parts = finish(job_with(&t, &o));
    ck_assert_mem_eq(whole->fingerprint, parts->fingerprint, sizeof whole->fingerprint);
    bezel_adapter *again = finish(job_with(&t, &o)); /* all was done */
    ck_assert_mem_eq(whole->fingerprint, again->fingerprint, sizeof whole->fingerprint);
    bezel_adapter_free(whole);
    bezel_adapter_free(parts);
    bezel_adapter_free(again);
    tiny_model_close(&t);
}
END_TEST

static void copy_file(const char *from, const char *to)
{
    char command[1024];
    snprintf(command, sizeof command, "cp '%s' '%s'", from, to);
    ck_assert_int_eq(system(command), 0);
}

START_TEST(after_a_kill_it_goes_on_from_the_last_checkpoint)
{
    char path[256], kept[256];
    tiny_model t = {0};
    bezel_train_options o = options_with(NULL);
    tiny_model_open(&t, BEZEL_ISA_AUTO, 2, NULL);
    bezel_adapter *whole = finish(job_with(&t, &o));
    snprintf(path, sizeof path, "%s", temp_folder_file(&folder, "c"));
    snprintf(kept, sizeof kept, "%s", temp_folder_file(&folder, "kept"));
    o.checkpoint = path;
    bezel_job *job = job_with(&t, &o);
    while (access(path, R_OK) != 0)
        drive_for(job, 1);
    copy_file(path, kept); /* what a kill would leave */
    drive_for(job, 23);
    bezel_job_free(job);
    copy_file(kept, path);
    bezel_adapter *parts = finish(job_with(&t, &o));
    ck_assert_mem_eq(whole->fingerprint, parts->fingerprint, sizeof whole->fingerprint);
    bezel_adapter_free(whole);
    bezel_adapter_free(parts);
    tiny_model_close(&t);
}
END_TEST

START_TEST(a_checkpoint_of_another_run_or_a_damaged_one_is_refused)
{
    tiny_model t = {0};
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_train_options o = options_with(temp_folder_file(&folder, "c"));
    tiny_model_open(&t, BEZEL_ISA_AUTO, 2, NULL);
    bezel_adapter_free(finish(job_with(&t, &o)));
    o.rate = 1e-3;
    bezel_job *job = job_with(&t, &o);
    ck_assert_int_eq(tiny_model_drive(job, &err), BEZEL_ERR_FORMAT);
    ck_assert_ptr_nonnull(strstr(err.hint, "remove it"));
    bezel_job_free(job);
    o.rate = 5e-3;
    FILE *file = fopen(o.checkpoint, "r+b");
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(fseek(file, -9, SEEK_END), 0);
    ck_assert_int_ne(fputc(0x5A, file), EOF);
    ck_assert_int_eq(fclose(file), 0);
    job = job_with(&t, &o);
    ck_assert_int_eq(tiny_model_drive(job, &err), BEZEL_ERR_CHECKSUM);
    bezel_job_free(job);
    tiny_model_close(&t);
}
END_TEST

START_TEST(it_ends_early_and_keeps_the_best)
{
    double measured[64];
    tiny_model t = {0};
    bezel_train_options o = options_with(NULL);
    o.epochs = 40;
    o.rate = 0.3; /* soon worse than before */
    o.evaluate_every = 1;
    o.patience = 3;
    tiny_model_open(&t, BEZEL_ISA_AUTO, 2, NULL);
    bezel_job *job = job_with(&t, &o);
    const size_t n = logged(measured, 64, job, "\"validation_loss\":");
    ck_assert_uint_lt(n, 60);
    ck_assert_uint_gt(n, 3);
    for (size_t i = n - 3; i < n; i++)
        ck_assert_double_ge(measured[i], measured[n - 4]);
    bezel_job_free(job);
    tiny_model_close(&t);
}
END_TEST

START_TEST(wrong_options_and_examples_are_refused)
{
    tiny_model t = {0};
    bezel_job *job = NULL;
    bezel_train_options o = options_with(NULL);
    tiny_model_open(&t, BEZEL_ISA_AUTO, 1, NULL);
    o.rank = 0;
    ck_assert_int_eq(bezel_train(&job, t.model, examples, EXAMPLES, &o, NULL), BEZEL_ERR_RANGE);
    o = options_with(NULL);
    o.validation = 1.0;
    ck_assert_int_eq(bezel_train(&job, t.model, examples, EXAMPLES, &o, NULL), BEZEL_ERR_RANGE);
    o = options_with(NULL);
    ck_assert_int_eq(bezel_train(&job, t.model, examples, 0, &o, NULL), BEZEL_ERR_MISSING);
    ck_assert_int_eq(bezel_train(&job, NULL, examples, EXAMPLES, &o, NULL), BEZEL_ERR_ARGUMENT);
    ids[3][4] = 1 << 20;
    bezel_error err = BEZEL_ERROR_INIT;
    ck_assert_int_eq(bezel_train(&job, t.model, examples, EXAMPLES, &o, &err), BEZEL_ERR_RANGE);
    ck_assert_ptr_nonnull(strstr(err.text, "example 3"));
    ck_assert_ptr_null(job);
    tiny_model_close(&t);
}
END_TEST

/* All of a short run, with a checkpoint; for sweeps of faults. */
static bezel_status train_once(test_world *tw, void *ctx)
{
    tiny_model t = {0};
    bezel_engine_options eo;
    bezel_job *job = NULL;
    bezel_adapter *a = NULL;
    bezel_train_options o = options_with(ctx);
    o.epochs = 1;
    bezel_engine_options_init(&eo);
    eo.world = &tw->world;
    eo.threads = 1;
    (void)unlink(ctx);
    bezel_status status = bezel_engine_new(&t.engine, &eo, NULL);
    if (status == BEZEL_OK)
        status = bezel_model_open(&t.model, t.engine, TINY_MODEL_PATH, NULL, NULL);
    if (status == BEZEL_OK)
        status = bezel_train(&job, t.model, examples, 4, &o, NULL);
    if (status == BEZEL_OK && (status = tiny_model_drive(job, NULL)) == BEZEL_DONE)
        status = bezel_train_adapter(&a, job, NULL);
    bezel_adapter_free(a);
    bezel_job_free(job);
    tiny_model_close(&t);
    return status;
}

START_TEST(it_survives_every_failing_allocation)
{
    test_world tw;
    char path[256];
    snprintf(path, sizeof path, "%s", temp_folder_file(&folder, "c"));
    test_world_init(&tw);
    test_world_sweep(&tw, train_once, path, BEZEL_OK);
}
END_TEST

Suite *train_job_suite(void)
{
    Suite *s = suite_create("train_job");
    TCase *tc = tcase_create("train_job");
    tcase_set_timeout(tc, 120);
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, it_learns_and_measures);
    tcase_add_test(tc, taken_up_again_it_ends_with_the_same_bits);
    tcase_add_test(tc, after_a_kill_it_goes_on_from_the_last_checkpoint);
    tcase_add_test(tc, a_checkpoint_of_another_run_or_a_damaged_one_is_refused);
    tcase_add_test(tc, it_ends_early_and_keeps_the_best);
    tcase_add_test(tc, wrong_options_and_examples_are_refused);
    tcase_add_test(tc, it_survives_every_failing_allocation);
    suite_add_tcase(s, tc);
    return s;
}
