/* SPDX-License-Identifier: MIT */
/* Which part of a history is sent: exchanges go as a whole, calls stay with their results, questions are never lost. */
#include <check.h>
#include <string.h>

#include "memory.h"

enum { U = BEZEL_ROLE_USER, A = BEZEL_ROLE_ASSISTANT, T = BEZEL_ROLE_TOOL };

/* The measure of the tests: 10 tokens of system text and one for each byte of a message. */
typedef struct history {
    bz_memory_message messages[16];
    size_t count;
    int fail;
    int measured;
} history;

static void add(history *h, uint32_t role, size_t size)
{
    static char text[1];
    h->messages[h->count++] = (bz_memory_message){role, 0, text, size, 0};
}

static bezel_status measure(void *ud, const bz_memory_plan *plan, size_t *out_tokens, bezel_error *err)
{
    history *h = ud;
    h->measured++;
    if (h->fail)
        return bz_fail(err, BEZEL_ERR_MEMORY, "test", "no memory");
    ck_assert_uint_eq(h->messages[plan->first].role, U);
    *out_tokens = 10;
    for (size_t i = plan->first; i < h->count; i++)
        *out_tokens += i >= plan->skip_begin && i < plan->skip_end ? 0 : h->messages[i].size;
    return BEZEL_OK;
}

static bz_memory_fit fit_of(history *h, size_t limit, size_t target, int drop)
{
    return (bz_memory_fit){h->messages, h->count, limit, target, drop, h, measure};
}

START_TEST(a_history_that_fits_is_sent_whole)
{
    history h = {0};
    bz_memory_plan plan = {0};
    add(&h, U, 20), add(&h, A, 20), add(&h, U, 20);
    bz_memory_fit fit = fit_of(&h, 100, 50, 1);
    ck_assert_int_eq(bz_memory_choose(&plan, &fit, NULL), BEZEL_OK);
    ck_assert_uint_eq(plan.first, 0);
    ck_assert_uint_eq(plan.n_tokens, 70);
    ck_assert_uint_eq(plan.n_dropped, 0);
    ck_assert_int_eq(h.measured, 1);
}
END_TEST

START_TEST(the_oldest_exchanges_go_as_a_whole_with_their_calls_and_results)
{
    history h = {0};
    bz_memory_plan plan = {0};
    add(&h, U, 20), add(&h, A, 20), add(&h, T, 20), add(&h, A, 20); /* 0..3 */
    add(&h, U, 20), add(&h, A, 20);                                 /* 4..5 */
    add(&h, U, 20);
    bz_memory_fit fit = fit_of(&h, 100, 80, 1);
    ck_assert_int_eq(bz_memory_choose(&plan, &fit, NULL), BEZEL_OK);
    ck_assert_uint_eq(plan.first, 4);
    ck_assert_uint_eq(plan.n_tokens, 70);
    ck_assert_uint_eq(plan.n_dropped, 80);
}
END_TEST

START_TEST(what_was_dropped_stays_dropped_and_is_reported_once)
{
    history h = {0};
    bz_memory_plan plan = {0};
    for (int i = 0; i < 4; i++)
        add(&h, U, 20), add(&h, A, 20);
    add(&h, U, 20);
    bz_memory_fit fit = fit_of(&h, 150, 100, 1);
    ck_assert_int_eq(bz_memory_choose(&plan, &fit, NULL), BEZEL_OK);
    ck_assert_uint_eq(plan.first, 6); /* below the target, so that the next turns fit as well */
    ck_assert_uint_eq(plan.n_dropped, 120);
    add(&h, A, 20), add(&h, U, 20);
    fit = fit_of(&h, 150, 100, 1);
    ck_assert_int_eq(bz_memory_choose(&plan, &fit, NULL), BEZEL_OK);
    ck_assert_uint_eq(plan.first, 6);
    ck_assert_uint_eq(plan.n_dropped, 0);
    ck_assert_uint_eq(plan.n_tokens, 110);
}
END_TEST

START_TEST(old_calls_of_the_current_exchange_go_with_their_results_but_not_the_last)
{
    history h = {0};
    bz_memory_plan plan = {0};
    add(&h, U, 20), add(&h, A, 20);
    add(&h, U, 20);
    add(&h, A, 20), add(&h, T, 40); /* 3, 4 */
    add(&h, A, 20), add(&h, T, 40); /* 5, 6 */
    add(&h, A, 20), add(&h, T, 40); /* 7, 8 */
    bz_memory_fit fit = fit_of(&h, 160, 150, 1);
    ck_assert_int_eq(bz_memory_choose(&plan, &fit, NULL), BEZEL_OK);
    ck_assert_uint_eq(plan.first, 2);
    ck_assert_uint_eq(plan.skip_begin, 3);
    ck_assert_uint_eq(plan.skip_end, 5);
    ck_assert_uint_eq(plan.n_tokens, 150);
    ck_assert_uint_eq(plan.n_dropped, 100);
    fit = fit_of(&h, 95, 20, 1);
    ck_assert_int_eq(bz_memory_choose(&plan, &fit, NULL), BEZEL_OK);
    ck_assert_uint_eq(plan.skip_end, 7);
    ck_assert_uint_eq(plan.n_tokens, 90);
    /* the next exchange begins without the gap */
    add(&h, A, 20), add(&h, U, 5);
    fit = fit_of(&h, 400, 300, 1);
    ck_assert_int_eq(bz_memory_choose(&plan, &fit, NULL), BEZEL_OK);
    ck_assert_uint_eq(plan.first, 2);
    ck_assert_uint_eq(plan.skip_end - plan.skip_begin, 0);
}
END_TEST

START_TEST(a_question_that_does_not_fit_is_an_error_and_changes_nothing)
{
    history h = {0};
    bezel_error err = BEZEL_ERROR_INIT;
    bz_memory_plan plan = {0};
    add(&h, U, 20), add(&h, A, 20), add(&h, U, 200);
    bz_memory_fit fit = fit_of(&h, 100, 50, 1);
    ck_assert_int_eq(bz_memory_choose(&plan, &fit, &err), BEZEL_ERR_FULL);
    ck_assert_ptr_nonnull(strstr(err.text, "210"));
    ck_assert_ptr_nonnull(strstr(err.text, "100"));
    ck_assert_str_ne(err.hint, "");
    ck_assert_uint_eq(plan.first, 0);
}
END_TEST

START_TEST(the_error_policy_drops_nothing)
{
    history h = {0};
    bezel_error err = BEZEL_ERROR_INIT;
    bz_memory_plan plan = {0};
    add(&h, U, 60), add(&h, A, 20), add(&h, U, 20);
    bz_memory_fit fit = fit_of(&h, 100, 50, 0);
    ck_assert_int_eq(bz_memory_choose(&plan, &fit, &err), BEZEL_ERR_FULL);
    ck_assert_uint_eq(plan.first, 0);
    h.messages[0].size = 40;
    ck_assert_int_eq(bz_memory_choose(&plan, &fit, &err), BEZEL_OK);
}
END_TEST

START_TEST(a_failing_measure_is_passed_on)
{
    history h = {0};
    bezel_error err = BEZEL_ERROR_INIT;
    bz_memory_plan plan = {0};
    add(&h, U, 60);
    h.fail = 1;
    bz_memory_fit fit = fit_of(&h, 100, 50, 1);
    ck_assert_int_eq(bz_memory_choose(&plan, &fit, &err), BEZEL_ERR_MEMORY);
}
END_TEST

Suite *memory_suite(void);
Suite *memory_suite(void)
{
    Suite *s = suite_create("memory");
    TCase *t = tcase_create("memory");
    tcase_add_test(t, a_history_that_fits_is_sent_whole);
    tcase_add_test(t, the_oldest_exchanges_go_as_a_whole_with_their_calls_and_results);
    tcase_add_test(t, what_was_dropped_stays_dropped_and_is_reported_once);
    tcase_add_test(t, old_calls_of_the_current_exchange_go_with_their_results_but_not_the_last);
    tcase_add_test(t, a_question_that_does_not_fit_is_an_error_and_changes_nothing);
    tcase_add_test(t, the_error_policy_drops_nothing);
    tcase_add_test(t, a_failing_measure_is_passed_on);
    suite_add_tcase(s, t);
    return s;
}
