/* SPDX-License-Identifier: MIT */
/* bezel_choose against bezel_score: the product of the tokens' probabilities, whatever beginnings the choices share. */
#include <bezel/session.h>

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "support/test_engine.h"
#include "support/tiny_model.h"

Suite *choose_suite(void);

enum { PROMPT = 5 };

static const char *const choices[] = {"no", "yes", "not sure", "yes, of course", "not", "n", "maybe later", "maybe never"};
enum { N = sizeof choices / sizeof *choices };

typedef struct score_sum {
    size_t from;
    double sum;
} score_sum;

static bezel_status add_score(void *ud, size_t position, int32_t id, float logprob, const int32_t *top_ids,
                              const float *top_logprobs, uint32_t n_top)
{
    score_sum *s = ud;
    (void)id, (void)top_ids, (void)top_logprobs, (void)n_top;
    if (position >= s->from)
        s->sum += (double)logprob;
    return BEZEL_OK;
}

/* The log-probability of a choice behind the ids, by scoring the whole text. */
static double scored(const tiny_model *t, const int32_t *ids, const char *choice)
{
    int32_t all[64];
    char text[64];
    size_t n;
    score_sum s = {PROMPT, 0.0};
    bezel_session *session = tiny_model_session(t, 100, 16, 0);
    memcpy(all, ids, PROMPT * sizeof *ids);
    snprintf(text, sizeof text, " %s", choice);
    ck_assert_int_eq(bezel_tokenize(all + PROMPT, 50, &n, t->model, text, strlen(text), 0, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_score(session, all, PROMPT + n, 0, add_score, &s, NULL), BEZEL_OK);
    bezel_session_free(session);
    return s.sum;
}

/* A prompt that ends in a word. */
static void word_prompt(int32_t ids[PROMPT], const tiny_model *t)
{
    size_t n;
    tiny_model_ids(ids, PROMPT, 3);
    ck_assert_int_eq(bezel_tokenize(ids + PROMPT - 1, 1, &n, t->model, "e", 1, 0, NULL), BEZEL_OK);
}

START_TEST(a_choice_has_the_product_of_its_tokens_probabilities)
{
    tiny_model t;
    double p[N], logp[N], again[N], total = 0, expected[N];
    int32_t ids[PROMPT];
    tiny_model_open(&t, BEZEL_ISA_AUTO, 1, NULL);
    bezel_session *s = tiny_model_session(&t, 100, (uint32_t)_i, 0);
    word_prompt(ids, &t);
    ck_assert_int_eq(bezel_session_set(s, ids, PROMPT, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_choose(p, logp, s, choices, N, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_choose(again, NULL, s, choices, N, NULL), BEZEL_OK);
    ck_assert_mem_eq(p, again, sizeof p);
    for (size_t i = 0; i < N; i++) {
        expected[i] = scored(&t, ids, choices[i]);
        ck_assert_double_eq_tol(logp[i], expected[i], 1e-5);
        total += exp(expected[i]);
    }
    for (size_t i = 0; i < N; i++)
        ck_assert_double_eq_tol(p[i], exp(expected[i]) / total, 1e-5);
    bezel_session_free(s);
    tiny_model_close(&t);
}
END_TEST

START_TEST(the_timeline_stays_as_it_is)
{
    tiny_model t;
    double p[N];
    int32_t ids[PROMPT], mine[6], fresh[6];
    size_t n;
    tiny_model_open(&t, BEZEL_ISA_AUTO, 1, NULL);
    word_prompt(ids, &t);
    bezel_session *s = tiny_model_session(&t, 100, 16, 0), *other = tiny_model_session(&t, 100, 16, 0);
    ck_assert_int_eq(bezel_session_set(s, ids, PROMPT, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_session_set(other, ids, PROMPT, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_choose(p, NULL, s, choices, N, NULL), BEZEL_OK);
    ck_assert_mem_eq(bezel_session_ids(s, &n), ids, sizeof ids);
    ck_assert_uint_eq(n, PROMPT);
    ck_assert_uint_eq(tiny_model_greedy(mine, s, 6), 6);
    ck_assert_uint_eq(tiny_model_greedy(fresh, other, 6), 6);
    ck_assert_mem_eq(mine, fresh, sizeof mine);
    bezel_session_free(other);
    bezel_session_free(s);
    tiny_model_close(&t);
}
END_TEST

START_TEST(what_cannot_be_chosen_from_is_named)
{
    static const char *const twice[] = {"a", "a"}, *const none[] = {""};
    tiny_model t;
    double p[N] = {7};
    int32_t ids[PROMPT];
    bezel_error err = BEZEL_ERROR_INIT;
    tiny_model_open(&t, BEZEL_ISA_AUTO, 1, NULL);
    word_prompt(ids, &t);
    bezel_session *s = tiny_model_session(&t, 8, 8, 0);
    ck_assert_int_eq(bezel_choose(p, NULL, s, choices, N, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(err.text, "no text"));
    ck_assert_int_eq(bezel_session_set(s, ids, PROMPT, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_choose(p, NULL, s, twice, 2, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(bezel_choose(p, NULL, s, none, 1, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(bezel_choose(p, NULL, s, choices, 0, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(bezel_choose(NULL, NULL, s, choices, N, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(bezel_choose(p, NULL, s, choices, N, &err), BEZEL_ERR_FULL);
    ck_assert_double_eq(p[0], 7);
    bezel_session_free(s);
    tiny_model_close(&t);
}
END_TEST

static bezel_status choose_once(test_world *tw, void *ctx)
{
    double p[N];
    (void)tw;
    return bezel_choose(p, NULL, ctx, choices, N, NULL);
}

START_TEST(a_failing_allocation_is_an_error_without_a_leak)
{
    tiny_model t;
    test_world tw;
    int32_t ids[PROMPT];
    test_world_init(&tw);
    tiny_model_open(&t, BEZEL_ISA_AUTO, 1, &tw.world);
    word_prompt(ids, &t);
    bezel_session *s = tiny_model_session(&t, 100, 16, 0);
    ck_assert_int_eq(bezel_session_set(s, ids, PROMPT, NULL), BEZEL_OK);
    ck_assert_int_gt(test_world_sweep(&tw, choose_once, s, BEZEL_OK), 5);
    bezel_session_free(s);
    tiny_model_close(&t);
    ck_assert(test_world_is_clean(&tw));
}
END_TEST

Suite *choose_suite(void)
{
    Suite *suite = suite_create("choose");
    TCase *t = tcase_create("choices");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, a_choice_has_the_product_of_its_tokens_probabilities, 2, 5);
    tcase_add_test(t, the_timeline_stays_as_it_is);
    tcase_add_test(t, what_cannot_be_chosen_from_is_named);
    tcase_add_test(t, a_failing_allocation_is_an_error_without_a_leak);
    suite_add_tcase(suite, t);
    return suite;
}
