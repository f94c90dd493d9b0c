/* SPDX-License-Identifier: MIT */
/* The seam to OpenBLAS: its self-check, ragged sizes and strides, calls from two threads at once. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/os.h"
#include "base/rng.h"
#include "compute/blas.h"

Suite *blas_suite(void);

enum { MAX_N = 70, MAX_T = 40, MAX_K = 300 };

typedef struct sample {
    float w[MAX_N * MAX_K], x[MAX_T * MAX_K], y[MAX_T * MAX_N];
    size_t N, T, K;
    uint64_t seed;
    int wrong;
} sample;

static void sample_fill(sample *s)
{
    bz_rng rng;
    bz_rng_seed(&rng, s->seed);
    for (size_t i = 0; i < MAX_N * MAX_K; i++)
        s->w[i] = (float)bz_rng_unit(&rng) - 0.5f;
    for (size_t i = 0; i < MAX_T * MAX_K; i++)
        s->x[i] = (float)bz_rng_unit(&rng) - 0.5f;
}

static float sample_error(const sample *s, float start)
{
    double worst = 0.0;
    for (size_t t = 0; t < s->T; t++)
        for (size_t n = 0; n < s->N; n++) {
            double sum = (double)start;
            for (size_t k = 0; k < s->K; k++)
                sum += (double)s->w[n * MAX_K + k] * (double)s->x[t * MAX_K + k];
            worst = fmax(worst, fabs(sum - (double)s->y[t * MAX_N + n]));
        }
    return (float)worst;
}

START_TEST(the_library_of_this_machine_passes_its_check)
{
    ck_assert_int_eq(bz_blas_check(), 1);
    ck_assert_int_gt((int)strlen(bz_blas_name()), 3);
}
END_TEST

START_TEST(products_with_strides_and_ragged_sizes_are_right)
{
    static const size_t sizes[][3] = {{1, 1, 1}, {64, 16, 256}, {63, 17, 255}, {70, 40, 300}, {5, 33, 64}, {64, 1, 7}};
    sample *s = calloc(1, sizeof *s);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        s->N = sizes[i][0];
        s->T = sizes[i][1];
        s->K = sizes[i][2];
        s->seed = i;
        sample_fill(s);
        for (size_t j = 0; j < MAX_T * MAX_N; j++)
            s->y[j] = NAN;
        bz_blas_multiply(s->y, MAX_N, s->w, MAX_K, s->N, s->x, MAX_K, s->T, s->K, 0);
        ck_assert_msg(sample_error(s, 0.0f) < 1e-4f, "size %zu: error %g", i, (double)sample_error(s, 0.0f));
        for (size_t j = 0; j < MAX_T * MAX_N; j++)
            ck_assert_int_eq(isnan(s->y[j]) != 0, j / MAX_N >= s->T || j % MAX_N >= s->N);
    }
    free(s);
}
END_TEST

START_TEST(adding_keeps_what_was_there)
{
    sample *s = calloc(1, sizeof *s);
    s->N = 30;
    s->T = 20;
    s->K = 100;
    sample_fill(s);
    for (size_t j = 0; j < MAX_T * MAX_N; j++)
        s->y[j] = 5.0f;
    bz_blas_multiply(s->y, MAX_N, s->w, MAX_K, s->N, s->x, MAX_K, s->T, s->K, 1);
    ck_assert(sample_error(s, 5.0f) < 1e-4f);
    free(s);
}
END_TEST

static void many_calls(void *ud)
{
    sample *s = ud;
    for (int i = 0; i < 200; i++) {
        bz_blas_multiply(s->y, MAX_N, s->w, MAX_K, s->N, s->x, MAX_K, s->T, s->K, 0);
        s->wrong += i % 20 == 0 && !(sample_error(s, 0.0f) < 1e-4f);
    }
}

START_TEST(calls_from_several_threads_do_not_disturb_each_other)
{
    sample *s = calloc(3, sizeof *s);
    bezel_world world;
    bezel_thread *threads[2];
    bz_os_world(&world);
    for (int i = 0; i < 3; i++) {
        s[i].N = 64;
        s[i].T = 32;
        s[i].K = 256;
        s[i].seed = 50u + (uint64_t)i;
        sample_fill(&s[i]);
    }
    for (int i = 0; i < 2; i++)
        ck_assert_int_eq(world.thread_start(world.ud, &threads[i], "blas", many_calls, &s[i]), BEZEL_OK);
    many_calls(&s[2]);
    for (int i = 0; i < 2; i++)
        world.thread_join(world.ud, threads[i]);
    for (int i = 0; i < 3; i++)
        ck_assert_int_eq(s[i].wrong, 0);
    free(s);
}
END_TEST

Suite *blas_suite(void)
{
    Suite *s = suite_create("blas");
    TCase *c = tcase_create("openblas");
    tcase_add_test(c, the_library_of_this_machine_passes_its_check);
    tcase_add_test(c, products_with_strides_and_ragged_sizes_are_right);
    tcase_add_test(c, adding_keeps_what_was_there);
    tcase_add_test(c, calls_from_several_threads_do_not_disturb_each_other);
    suite_add_tcase(s, c);
    return s;
}
