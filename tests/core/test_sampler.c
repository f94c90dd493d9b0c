/* SPDX-License-Identifier: MIT */
/* Sampler and logit filters against cases computed by hand and against the definitions of MODEL.md 7.1. */
#include "generate/sampler.h"

#include "base/rng.h"
#include "generate/logit_filter.h"
#include "support/test_world.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

Suite *sampler_suite(void);

static bezel_world sampler_world(void)
{
    bezel_world w;
    bezel_world_init(&w);
    return w;
}

/* Draws n tokens and counts them. */
static void draw_many(uint32_t *counts, size_t V, const bezel_sampling *o, const float *logits, const int32_t *ids,
                      size_t n_ids, uint32_t n)
{
    const bezel_world w = sampler_world();
    bezel_error err = BEZEL_ERROR_INIT;
    bz_sampler *s = NULL;
    ck_assert_msg(bz_sampler_new(&s, &w, NULL, o, V, &err) == BEZEL_OK, "%s", err.text);
    memset(counts, 0, V * sizeof *counts);
    for (uint32_t i = 0; i < n; ++i) {
        int32_t id = -1;
        ck_assert_msg(bz_sampler_pick(&id, s, logits, ids, n_ids, &err) == BEZEL_OK, "%s", err.text);
        ck_assert(id >= 0 && (size_t)id < V);
        ++counts[id];
    }
    bz_sampler_free(s);
}

static bezel_sampling plain(void)
{
    bezel_sampling o;
    bezel_sampling_greedy(&o);
    o.temperature = 1.0F;
    o.seed = 7;
    return o;
}

/* Sum of (seen - expected)^2 / expected over ids with probability p[id] > 0; ids with 0 must not occur. */
static double chi_square(const uint32_t *counts, const double *p, size_t V, uint32_t n)
{
    double sum = 0.0;
    for (size_t i = 0; i < V; ++i) {
        if (p[i] <= 0.0) {
            ck_assert_msg(counts[i] == 0, "token %zu was drawn %u times, it should be filtered", i, counts[i]);
            continue;
        }
        const double e = p[i] * n, d = counts[i] - e;
        sum += d * d / e;
    }
    return sum;
}

START_TEST(greedy_takes_the_lowest_id_of_a_tie)
{
    const float logits[5] = {1, 3, 3, 2, 3};
    uint32_t counts[5];
    bezel_sampling o;
    bezel_sampling_greedy(&o);
    draw_many(counts, 5, &o, logits, NULL, 0, 3);
    ck_assert_uint_eq(counts[1], 3);
}
END_TEST

START_TEST(penalty_divides_positive_and_multiplies_negative_logits_once_per_id)
{
    float logits[4] = {4, -2, 3, 0};
    const int32_t ids[6] = {0, 0, 1, 1, 1, 0};
    uint64_t seen[1] = {0};
    bz_logit_penalty(logits, ids, 6, 2.0F, seen);
    ck_assert(logits[0] == 2.0F && logits[1] == -4.0F && logits[2] == 3.0F && logits[3] == 0.0F);
    ck_assert_uint_eq(seen[0], 0);
}
END_TEST

START_TEST(bias_comes_before_the_penalty)
{
    /* (1 + 3) / 4 = 1 loses to 1.5; the other order, 1 / 4 + 3, would win. */
    const float logits[2] = {1, 1.5F};
    const int32_t ids[1] = {0};
    const bezel_logit_bias bias = {0, 3.0F};
    uint32_t counts[2];
    bezel_sampling o;
    bezel_sampling_greedy(&o);
    o.repetition_penalty = 4.0F;
    o.bias = &bias;
    o.n_bias = 1;
    draw_many(counts, 2, &o, logits, ids, 1, 1);
    ck_assert_uint_eq(counts[1], 1);
}
END_TEST

START_TEST(penalty_acts_on_the_logit_and_leaves_the_callers_logits_alone)
{
    float logits[3] = {2, 1.9F, 0};
    const int32_t ids[1] = {0};
    uint32_t counts[3];
    bezel_sampling o;
    bezel_sampling_greedy(&o);
    o.repetition_penalty = 1.5F;
    draw_many(counts, 3, &o, logits, ids, 1, 2);
    ck_assert_uint_eq(counts[1], 2);
    ck_assert(logits[0] == 2.0F);
}
END_TEST

START_TEST(temperature_divides_logits)
{
    const float logits[3] = {2, 1, 0};
    double p[3], sum = 0;
    uint32_t counts[3];
    bezel_sampling o = plain();
    o.temperature = 0.5F;
    for (int i = 0; i < 3; ++i)
        sum += p[i] = exp((double)logits[i] / 0.5);
    for (int i = 0; i < 3; ++i)
        p[i] /= sum;
    draw_many(counts, 3, &o, logits, NULL, 0, 20000);
    ck_assert_double_lt(chi_square(counts, p, 3, 20000), 18.4); /* 2 degrees, p = 1e-4 */
}
END_TEST

START_TEST(a_list_keeps_what_top_k_keeps_of_all)
{
    float logits[600];
    bz_candidate list[600], all[600];
    bz_rng rng;
    bz_rng_seed(&rng, 3);
    for (size_t k = 1; k < 70; k += 4) {
        size_t n = 0;
        for (size_t i = 0; i < 600; ++i)
            logits[i] = (float)(bz_rng_next(&rng) % 40); /* many ties */
        for (size_t i = 0; i < 600; ++i)
            if (logits[i] > 20.0F)
                list[n++] = (bz_candidate){0.0, logits[i], (int32_t)i};
        const size_t want = bz_logit_top_k(all, logits, 600, k);
        n = bz_logit_keep(list, n, k);
        ck_assert_uint_eq(n, want);
        for (size_t i = 0; i < n; ++i)
            ck_assert_int_eq(list[i].id, all[i].id);
    }
}
END_TEST

START_TEST(top_k_keeps_ties_with_the_last)
{
    const float logits[6] = {1, 5, 3, 3, 2, 3};
    bz_candidate list[6];
    ck_assert_uint_eq(bz_logit_top_k(list, logits, 6, 2), 4);
    ck_assert_int_eq(list[0].id, 1);
    ck_assert_int_eq(list[3].id, 5);
    ck_assert_uint_eq(bz_logit_top_k(list, logits, 6, 1), 1);
    ck_assert_uint_eq(bz_logit_top_k(list, logits, 6, 100), 6);
}
END_TEST

START_TEST(top_p_keeps_the_smallest_prefix_that_reaches_the_mass)
{
    /* probabilities 0.5, 0.25, 0.125, 0.125 */
    const float logits[4] = {logf(0.125F), logf(0.5F), logf(0.125F), logf(0.25F)};
    uint32_t counts[4];
    bezel_sampling o = plain();
    const double kept_two[4] = {0, 2.0 / 3, 0, 1.0 / 3}, kept_one[4] = {0, 1, 0, 0},
                 kept_three[4] = {0.125 / 0.875, 0.5 / 0.875, 0, 0.25 / 0.875};
    o.top_p = 0.7F;
    draw_many(counts, 4, &o, logits, NULL, 0, 20000);
    ck_assert_double_lt(chi_square(counts, kept_two, 4, 20000), 15.2);
    o.top_p = 0.4F;
    draw_many(counts, 4, &o, logits, NULL, 0, 100);
    ck_assert_double_lt(chi_square(counts, kept_one, 4, 100), 1e-9);
    o.top_p = 0.8F; /* of the two at 0.125 the lower id is taken */
    draw_many(counts, 4, &o, logits, NULL, 0, 20000);
    ck_assert_double_lt(chi_square(counts, kept_three, 4, 20000), 18.4);
}
END_TEST

START_TEST(top_p_counts_mass_after_top_k)
{
    /* 0.4 0.3 0.2 0.1: after top_k 2 the first has 0.571 of the mass, so top_p 0.5 keeps it alone; before, it has 0.4. */
    const float logits[4] = {logf(0.4F), logf(0.3F), logf(0.2F), logf(0.1F)};
    uint32_t counts[4];
    bezel_sampling o = plain();
    o.top_k = 2;
    o.top_p = 0.5F;
    draw_many(counts, 4, &o, logits, NULL, 0, 200);
    ck_assert_uint_eq(counts[0], 200);
    o.top_k = 0;
    draw_many(counts, 4, &o, logits, NULL, 0, 200);
    ck_assert_uint_gt(counts[1], 0);
}
END_TEST

START_TEST(temperature_comes_before_top_p)
{
    /* 0.5 0.3 0.2 at temperature 1; at 0.25 the first has 0.85 of the mass, so top_p 0.8 keeps it alone. */
    const float logits[3] = {logf(0.5F), logf(0.3F), logf(0.2F)};
    uint32_t counts[3];
    bezel_sampling o = plain();
    o.temperature = 0.25F;
    o.top_p = 0.8F;
    draw_many(counts, 3, &o, logits, NULL, 0, 500);
    ck_assert_uint_eq(counts[0], 500);
}
END_TEST

START_TEST(min_p_is_relative_to_the_best)
{
    const float logits[4] = {logf(0.5F), logf(0.3F), logf(0.15F), logf(0.05F)};
    const double p[4] = {0.5 / 0.8, 0.3 / 0.8, 0, 0};
    uint32_t counts[4];
    bezel_sampling o = plain();
    o.min_p = 0.4F; /* 0.2 */
    draw_many(counts, 4, &o, logits, NULL, 0, 20000);
    ck_assert_double_lt(chi_square(counts, p, 4, 20000), 15.2);
    o.min_p = 1.0F;
    draw_many(counts, 4, &o, logits, NULL, 0, 50);
    ck_assert_uint_eq(counts[0], 50);
}
END_TEST

START_TEST(a_large_vocabulary_is_drawn_by_its_probabilities)
{
    enum { V = 262144, N = 40000, BINS = 32 };
    float *logits = malloc(V * sizeof *logits);
    uint32_t *counts = malloc(V * sizeof *counts);
    double bins[BINS] = {0}, total = 0, chi = 0;
    uint32_t seen[BINS] = {0};
    bz_rng r;
    bz_rng_seed(&r, 3);
    for (size_t i = 0; i < V; ++i)
        logits[i] = (float)(4.0 * (bz_rng_unit(&r) + bz_rng_unit(&r) + bz_rng_unit(&r)));
    for (size_t i = 0; i < V; ++i) {
        bins[i % BINS] += exp((double)logits[i]);
        total += exp((double)logits[i]);
    }
    bezel_sampling o = plain();
    draw_many(counts, V, &o, logits, NULL, 0, 400);
    for (size_t i = 0; i < V; ++i)
        seen[i % BINS] += counts[i];
    for (size_t b = 0; b < BINS; ++b) {
        const double e = bins[b] / total * 400, d = seen[b] - e;
        chi += d * d / e;
    }
    ck_assert_double_lt(chi, 70.0); /* 31 degrees, p = 1e-4 */
    free(logits);
    free(counts);
}
END_TEST

static int descending(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return x < y ? 1 : x > y ? -1 : 0;
}

START_TEST(top_p_over_a_large_flat_vocabulary_keeps_exactly_the_nucleus)
{
    enum { V = 262144 };
    const float spreads[] = {0.5F, 5.0F, 30.0F}; /* nearly flat, so that the first limits do not reach; and peaked */
    float *logits = malloc(V * sizeof *logits), *sorted = malloc(V * sizeof *sorted);
    uint32_t *counts = malloc(V * sizeof *counts);
    for (size_t k = 0; k < 3; ++k) {
        double total = 0, mass = 0;
        size_t n = 0;
        bz_rng r;
        bz_rng_seed(&r, 9 + k);
        for (size_t i = 0; i < V; ++i)
            logits[i] = spreads[k] * (float)(bz_rng_unit(&r) + bz_rng_unit(&r) + bz_rng_unit(&r));
        memcpy(sorted, logits, V * sizeof *sorted);
        qsort(sorted, V, sizeof *sorted, descending);
        for (size_t i = 0; i < V; ++i)
            total += exp((double)sorted[i]);
        while (mass < 0.9 * total)
            mass += exp((double)sorted[n++]);
        bezel_sampling o = plain();
        o.top_p = 0.9F;
        draw_many(counts, V, &o, logits, NULL, 0, 60);
        for (size_t i = 0; i < V; ++i)
            ck_assert_msg(counts[i] == 0 || logits[i] >= sorted[n - 1] - 1e-4F, "spread %zu: %g drawn, nucleus ends at %g",
                          k, (double)logits[i], (double)sorted[n - 1]);
    }
    free(counts);
    free(sorted);
    free(logits);
}
END_TEST

START_TEST(the_same_seed_gives_the_same_tokens_and_another_seed_others)
{
    float logits[100];
    uint32_t a[100], b[100], c[100];
    for (int i = 0; i < 100; ++i)
        logits[i] = (float)(i % 10);
    bezel_sampling o = plain();
    draw_many(a, 100, &o, logits, NULL, 0, 1000);
    draw_many(b, 100, &o, logits, NULL, 0, 1000);
    o.seed = 8;
    draw_many(c, 100, &o, logits, NULL, 0, 1000);
    ck_assert_mem_eq(a, b, sizeof a);
    ck_assert_mem_ne(a, c, sizeof a);
    o.seed = 0;
    draw_many(a, 100, &o, logits, NULL, 0, 1000);
    draw_many(b, 100, &o, logits, NULL, 0, 1000);
    ck_assert_mem_ne(a, b, sizeof a);
}
END_TEST

START_TEST(a_forbidden_token_never_comes_and_forbidding_all_is_an_error)
{
    const float logits[3] = {5, 1, 1};
    const bezel_logit_bias bias[3] = {{0, -INFINITY}, {1, -INFINITY}, {2, -INFINITY}};
    const bezel_world w = sampler_world();
    uint32_t counts[3];
    int32_t id;
    bezel_error err = BEZEL_ERROR_INIT;
    bz_sampler *s;
    bezel_sampling o = plain();
    o.bias = bias;
    o.n_bias = 1;
    draw_many(counts, 3, &o, logits, NULL, 0, 200);
    ck_assert_uint_eq(counts[0], 0);
    o.top_k = 3;
    o.n_bias = 2;
    draw_many(counts, 3, &o, logits, NULL, 0, 50);
    ck_assert_uint_eq(counts[2], 50);
    o.n_bias = 3;
    ck_assert_int_eq(bz_sampler_new(&s, &w, NULL, &o, 3, &err), BEZEL_OK);
    ck_assert_int_eq(bz_sampler_pick(&id, s, logits, NULL, 0, &err), BEZEL_ERR_NUMERIC);
    bz_sampler_free(s);
}
END_TEST

START_TEST(nan_and_infinite_logits_are_a_numeric_error)
{
    const bezel_world w = sampler_world();
    const float bad[3] = {NAN, INFINITY, -INFINITY};
    bezel_error err = BEZEL_ERROR_INIT;
    bz_sampler *s;
    int32_t id;
    bezel_sampling o = plain();
    ck_assert_int_eq(bz_sampler_new(&s, &w, NULL, &o, 4, &err), BEZEL_OK);
    for (int i = 0; i < 3; ++i) {
        const float logits[4] = {0, 1, bad[i], 2};
        ck_assert_int_eq(bz_sampler_pick(&id, s, logits, NULL, 0, &err), BEZEL_ERR_NUMERIC);
        ck_assert_ptr_nonnull(strstr(err.text, "token 2"));
    }
    bz_sampler_free(s);
}
END_TEST

static void refuse(bezel_sampling o, const char *member)
{
    bezel_error err = BEZEL_ERROR_INIT;
    ck_assert_msg(bz_sampling_check(&o, 10, &err) == BEZEL_ERR_RANGE, "%s was accepted", member);
    ck_assert_msg(strstr(err.text, member) != NULL, "\"%s\" does not name %s", err.text, member);
}

START_TEST(every_option_out_of_range_is_refused_by_name)
{
    const float bad_temperature[] = {NAN, -1, INFINITY, 1e30F}, bad_top_p[] = {0, 1.0001F, NAN, -0.5F},
                bad_min_p[] = {-0.1F, 1.5F, NAN}, bad_penalty[] = {0, -1, NAN, INFINITY};
    bezel_sampling o;
    for (size_t i = 0; i < 4; ++i) {
        o = plain();
        o.temperature = bad_temperature[i];
        refuse(o, "temperature");
        o = plain();
        o.top_p = bad_top_p[i];
        refuse(o, "top_p");
        o = plain();
        o.repetition_penalty = bad_penalty[i];
        refuse(o, "repetition_penalty");
    }
    for (size_t i = 0; i < 3; ++i) {
        o = plain();
        o.min_p = bad_min_p[i];
        refuse(o, "min_p");
    }
    o = plain();
    o.top_k = (uint32_t)-1;
    refuse(o, "top_k");
    const bezel_logit_bias bias[3] = {{10, 1}, {-1, 1}, {0, NAN}};
    for (size_t i = 0; i < 3; ++i) {
        o = plain();
        o.bias = &bias[i];
        o.n_bias = 1;
        refuse(o, "bias");
    }
    o = plain();
    o.size = 0;
    ck_assert_int_eq(bz_sampling_check(&o, 10, NULL), BEZEL_ERR_VERSION);
}
END_TEST

START_TEST(the_best_are_reported_in_order)
{
    const float logits[7] = {0, 4, 2, 4, -1, 9, 2};
    bz_candidate best[7];
    ck_assert_uint_eq(bz_logit_top(best, logits, 7, 4), 4);
    ck_assert(best[0].id == 5 && best[1].id == 1 && best[2].id == 3 && best[3].id == 2);
    ck_assert_uint_eq(bz_logit_top(best, logits, 7, 0), 0);
    ck_assert_uint_eq(bz_logit_top(best, logits, 7, 9), 7);
    ck_assert_int_eq(best[6].id, 4);
}
END_TEST

START_TEST(the_log_sum_is_the_same_for_any_number_of_threads)
{
    enum { V = 262144 + 77 };
    const bezel_world w = sampler_world();
    float *logits = malloc(V * sizeof *logits);
    bz_thread_pool *pool = NULL;
    double sum = 0;
    bz_rng r;
    bz_rng_seed(&r, 5);
    for (size_t i = 0; i < V; ++i) {
        logits[i] = (float)(40.0 * bz_rng_unit(&r)) - 90.0F;
        sum += exp((double)logits[i] + 50.0);
    }
    const double alone = bz_logit_log_sum(logits, V, NULL);
    ck_assert_double_eq_tol(alone, log(sum) - 50.0, 1e-9);
    for (unsigned threads = 2; threads <= 3; ++threads) {
        ck_assert_int_eq(bz_thread_pool_new(&pool, &w, threads, NULL), BEZEL_OK);
        const double together = bz_logit_log_sum(logits, V, pool);
        ck_assert_mem_eq(&alone, &together, sizeof alone);
        bz_thread_pool_free(pool);
    }
    free(logits);
}
END_TEST

START_TEST(a_penalty_that_leaves_the_range_of_a_float_still_gives_a_token)
{
    float logits[64];
    const int32_t ids[2] = {5, 9};
    bezel_sampling o;
    bz_sampler *s = NULL;
    bezel_world w;
    bezel_world_init(&w);
    for (size_t i = 0; i < 64; ++i)
        logits[i] = 1.0F;
    logits[5] = logits[9] = 3.0e38F;
    bezel_sampling_init(&o);
    o.repetition_penalty = 0.001F;
    o.min_p = 0.5F;
    o.seed = 1;
    for (uint32_t k = 0; k <= 64; k += 64) { /* with and without a nucleus, with and without the k best */
        for (int cut = 0; cut < 2; ++cut) {
            int32_t id = -1;
            o.top_k = k == 0 ? 0 : 8;
            o.top_p = cut ? 0.9F : 1.0F;
            ck_assert_int_eq(bz_sampler_new(&s, &w, NULL, &o, 64, NULL), BEZEL_OK);
            ck_assert_int_eq(bz_sampler_pick(&id, s, logits, ids, 2, NULL), BEZEL_OK);
            ck_assert(id == 5 || id == 9);
            bz_sampler_free(s);
        }
    }
}
END_TEST

static bezel_status sampler_once(test_world *tw, void *ctx)
{
    const bezel_sampling *o = ctx;
    bz_sampler *s = NULL;
    const bezel_status status = bz_sampler_new(&s, &tw->world, NULL, o, 100, NULL);
    ck_assert_int_eq(s == NULL, status != BEZEL_OK);
    bz_sampler_free(s);
    return status;
}

START_TEST(a_failing_allocation_leaves_nothing_behind)
{
    const bezel_logit_bias bias = {1, 1.0F};
    bezel_sampling o;
    test_world tw;
    bezel_sampling_service(&o);
    o.bias = &bias;
    o.n_bias = 1;
    test_world_init(&tw);
    ck_assert_int_ge(test_world_sweep(&tw, sampler_once, &o, BEZEL_OK), 5);
}
END_TEST

Suite *sampler_suite(void)
{
    Suite *s = suite_create("sampler");
    TCase *t = tcase_create("sampler");
    tcase_set_timeout(t, 120);
    tcase_add_test(t, greedy_takes_the_lowest_id_of_a_tie);
    tcase_add_test(t, penalty_divides_positive_and_multiplies_negative_logits_once_per_id);
    tcase_add_test(t, bias_comes_before_the_penalty);
    tcase_add_test(t, penalty_acts_on_the_logit_and_leaves_the_callers_logits_alone);
    tcase_add_test(t, temperature_divides_logits);
    tcase_add_test(t, a_list_keeps_what_top_k_keeps_of_all);
    tcase_add_test(t, top_k_keeps_ties_with_the_last);
    tcase_add_test(t, top_p_keeps_the_smallest_prefix_that_reaches_the_mass);
    tcase_add_test(t, top_p_counts_mass_after_top_k);
    tcase_add_test(t, temperature_comes_before_top_p);
    tcase_add_test(t, min_p_is_relative_to_the_best);
    tcase_add_test(t, a_large_vocabulary_is_drawn_by_its_probabilities);
    tcase_add_test(t, top_p_over_a_large_flat_vocabulary_keeps_exactly_the_nucleus);
    tcase_add_test(t, the_same_seed_gives_the_same_tokens_and_another_seed_others);
    tcase_add_test(t, a_forbidden_token_never_comes_and_forbidding_all_is_an_error);
    tcase_add_test(t, nan_and_infinite_logits_are_a_numeric_error);
    tcase_add_test(t, every_option_out_of_range_is_refused_by_name);
    tcase_add_test(t, the_best_are_reported_in_order);
    tcase_add_test(t, the_log_sum_is_the_same_for_any_number_of_threads);
    tcase_add_test(t, a_penalty_that_leaves_the_range_of_a_float_still_gives_a_token);
    tcase_add_test(t, a_failing_allocation_leaves_nothing_behind);
    suite_add_tcase(s, t);
    return s;
}
