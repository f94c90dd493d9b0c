/* SPDX-License-Identifier: MIT */
/* The seam to OpenBLAS: its self-check, lengths and strides, the same bits at every place, calls from two threads at once. */
#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/os.h"
#include "base/rng.h"
#include "compute/blas.h"

Suite *blas_suite(void);

enum { N_BLOCKS = 3, MAX_T = N_BLOCKS * BZ_BLAS_T, MAX_K = 300 };

typedef struct sample {
    float w[BZ_BLAS_N * MAX_K], x[MAX_T * MAX_K], y[N_BLOCKS * BZ_BLAS_BLOCK];
    size_t n_blocks, K;
    uint64_t seed;
    int wrong;
} sample;

static void sample_fill(sample *s)
{
    bz_rng rng;
    bz_rng_seed(&rng, s->seed);
    for (size_t i = 0; i < BZ_BLAS_N * MAX_K; i++)
        s->w[i] = (float)bz_rng_unit(&rng) - 0.5f;
    for (size_t i = 0; i < MAX_T * MAX_K; i++)
        s->x[i] = (float)bz_rng_unit(&rng) - 0.5f;
}

static void sample_multiply(sample *s, int add)
{
    bz_blas_multiply(s->y, s->w, MAX_K, s->x, MAX_K, s->n_blocks, s->K, add);
}

static float *sample_at(sample *s, size_t t, size_t n)
{
    return &s->y[t / BZ_BLAS_T * BZ_BLAS_BLOCK + n * BZ_BLAS_T + t % BZ_BLAS_T];
}

static float sample_error(sample *s, float start)
{
    double worst = 0.0;
    for (size_t t = 0; t < s->n_blocks * BZ_BLAS_T; t++)
        for (size_t n = 0; n < BZ_BLAS_N; n++) {
            double sum = (double)start;
            for (size_t k = 0; k < s->K; k++)
                sum += (double)s->w[n * MAX_K + k] * (double)s->x[t * MAX_K + k];
            worst = fmax(worst, fabs(sum - (double)*sample_at(s, t, n)));
        }
    return (float)worst;
}

START_TEST(the_library_of_this_machine_passes_its_check)
{
    ck_assert_int_eq(bz_blas_check(), 1);
    ck_assert_int_gt((int)strlen(bz_blas_name()), 3);
}
END_TEST

START_TEST(products_of_any_length_and_number_of_blocks_are_right)
{
    static const size_t lengths[] = {1, 7, 64, 128, 255, MAX_K};
    sample *s = calloc(1, sizeof *s);
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        s->n_blocks = i % (N_BLOCKS + 1);
        s->K = lengths[i];
        s->seed = i;
        sample_fill(s);
        for (size_t j = 0; j < N_BLOCKS * BZ_BLAS_BLOCK; j++)
            s->y[j] = NAN;
        sample_multiply(s, 0);
        ck_assert_msg(sample_error(s, 0.0f) < 1e-4f, "length %zu: error %g", s->K, (double)sample_error(s, 0.0f));
        for (size_t j = 0; j < N_BLOCKS * BZ_BLAS_BLOCK; j++)
            ck_assert_int_eq(isnan(s->y[j]) != 0, j >= s->n_blocks * BZ_BLAS_BLOCK);
    }
    free(s);
}
END_TEST

START_TEST(adding_keeps_what_was_there)
{
    sample *s = calloc(1, sizeof *s);
    s->n_blocks = 2;
    s->K = 100;
    sample_fill(s);
    for (size_t j = 0; j < N_BLOCKS * BZ_BLAS_BLOCK; j++)
        s->y[j] = 5.0f;
    sample_multiply(s, 1);
    ck_assert(sample_error(s, 5.0f) < 1e-4f);
    free(s);
}
END_TEST

/* One row and one position at every place, among neighbours that change. */
START_TEST(a_value_has_the_same_bits_at_every_place_and_beside_any_neighbours)
{
    sample *s = calloc(1, sizeof *s);
    float row[MAX_K], position[MAX_K];
    s->n_blocks = N_BLOCKS;
    for (size_t K = 1; K <= MAX_K; K += K < 40 ? 3 : 37) {
        float expected = 0.0f;
        s->K = K;
        for (size_t place = 0; place < MAX_T * BZ_BLAS_N; place += 11) {
            const size_t t = place / BZ_BLAS_N, n = place % BZ_BLAS_N;
            s->seed = place == 0 ? K : place * 1000 + K;
            sample_fill(s);
            if (place == 0) {
                memcpy(row, s->w, sizeof row);
                memcpy(position, s->x, sizeof position);
            }
            memcpy(s->w + n * MAX_K, row, sizeof row);
            memcpy(s->x + t * MAX_K, position, sizeof position);
            *sample_at(s, t, n) = 0.3f;
            sample_multiply(s, 1);
            if (place == 0)
                expected = *sample_at(s, 0, 0);
            ck_assert_msg(memcmp(sample_at(s, t, n), &expected, sizeof expected) == 0, "K %zu, place %zu, %zu", K, t, n);
        }
    }
    free(s);
}
END_TEST

static void many_calls(void *ud)
{
    sample *s = ud;
    for (int i = 0; i < 200; i++) {
        sample_multiply(s, 0);
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
        s[i].n_blocks = N_BLOCKS;
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
    tcase_add_test(c, products_of_any_length_and_number_of_blocks_are_right);
    tcase_add_test(c, adding_keeps_what_was_there);
    tcase_add_test(c, a_value_has_the_same_bits_at_every_place_and_beside_any_neighbours);
    tcase_add_test(c, calls_from_several_threads_do_not_disturb_each_other);
    suite_add_tcase(s, c);
    return s;
}
