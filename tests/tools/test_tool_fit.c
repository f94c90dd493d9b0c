/* SPDX-License-Identifier: MIT */
/* The fit of tools and a question: it is the difference of two sums of log-probabilities, however it was computed, and
 * counts only where a profile says so and no tool brings examples. */
#include <bezel/tools.h>

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "support/test_world.h"
#include "support/tiny_model.h"

Suite *tool_fit_suite(void);

static tiny_model tiny;
static bezel_toolset *tools;
static bezel_error err;

static void setup(void)
{
    bezel_tool tool = BEZEL_TOOL_INIT;
    err = (bezel_error)BEZEL_ERROR_INIT;
    tiny_model_open(&tiny, BEZEL_ISA_SCALAR, 1, NULL);
    ck_assert_int_eq(bezel_toolset_new(&tools, tiny.engine, &err), BEZEL_OK);
    tool.name = "get_time";
    tool.description = "Time of day";
    ck_assert_int_eq(bezel_toolset_add(tools, &tool, &err), BEZEL_OK);
}

static void teardown(void)
{
    bezel_toolset_free(tools);
    tiny_model_close(&tiny);
}

static bezel_status add(void *ud, size_t position, int32_t id, float logprob, const int32_t *ids, const float *logprobs,
                        uint32_t n)
{
    (void)position, (void)id, (void)ids, (void)logprobs, (void)n;
    *(double *)ud += (double)logprob;
    return BEZEL_OK;
}

/* Sum of the log-probabilities of the tokens of `tail` behind those of `head`, by plain scoring. */
static double sum_behind(const char *head, const char *tail)
{
    int32_t ids[400];
    size_t n_head = 0, n_tail = 0;
    double whole = 0;
    bezel_session *s = tiny_model_session(&tiny, 512, 0, 0);
    ck_assert_int_eq(bezel_tokenize(ids, 300, &n_head, tiny.model, head, SIZE_MAX, BEZEL_TOKENIZE_BOS, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_tokenize(ids + n_head, 100, &n_tail, tiny.model, tail, SIZE_MAX, 0, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_score_from(s, ids, n_head + n_tail, n_head, 0, add, &whole, &err), BEZEL_OK);
    bezel_session_free(s);
    return whole;
}

START_TEST(the_fit_is_the_difference_of_two_log_probabilities)
{
    bezel_tool_fit *fit = NULL;
    bezel_job *job = NULL;
    double nats = 0, again = 0, other = 0;
    const double expected =
        sum_behind("Available Functions:\n- get_time: Time of day\n  Parameters: none\n\nUser:", " What time?") -
        sum_behind("User:", " What time?");
    ck_assert_msg(bezel_tool_fit_new(&fit, tools, tiny.model, NULL, &err) == BEZEL_OK, "%s", err.text);
    ck_assert_int_eq(bezel_tool_fit_score(&nats, fit, SIZE_MAX, "What time?", SIZE_MAX, &err), BEZEL_OK);
    ck_assert_double_eq_tol(nats, expected, 1e-9);
    ck_assert_int_eq(bezel_tool_fit_score(&other, fit, SIZE_MAX, "A joke, please", SIZE_MAX, &err), BEZEL_OK);
    ck_assert(other != nats);
    bezel_tool_fit_free(fit);
    ck_assert_int_eq(bezel_tool_fit_new(&fit, tools, tiny.model, NULL, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_tool_fit_prepare(&job, fit, SIZE_MAX, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_tool_fit_score(&again, fit, SIZE_MAX, "What time?", SIZE_MAX, &err), BEZEL_ERR_BUSY);
    ck_assert_int_eq(tiny_model_drive(job, &err), BEZEL_DONE);
    bezel_job_free(job);
    ck_assert_int_eq(bezel_tool_fit_score(&again, fit, SIZE_MAX, " \n What time?", SIZE_MAX, &err), BEZEL_OK);
    ck_assert(again == nats);
    ck_assert_int_eq(bezel_tool_fit_score(&again, fit, SIZE_MAX, "  ", SIZE_MAX, &err), BEZEL_OK);
    ck_assert(again == 0.0);
    bezel_tool_fit_free(fit);
}
END_TEST

START_TEST(each_tool_is_measured_by_itself_and_many_together)
{
    bezel_tool_fit *fit = NULL;
    bezel_tool tool = BEZEL_TOOL_INIT;
    double nats[2] = {0, 0}, whole = 0, second;
    char name[24];
    tool.name = "get_date";
    ck_assert_int_eq(bezel_toolset_add(tools, &tool, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_tool_fit_new(&fit, tools, tiny.model, NULL, &err), BEZEL_OK);
    ck_assert_uint_eq(bezel_tool_fit_count(fit), 2);
    for (size_t i = 0; i < 2; i++)
        ck_assert_int_eq(bezel_tool_fit_score(&nats[i], fit, i, "What time?", SIZE_MAX, &err), BEZEL_OK);
    second = sum_behind("Available Functions:\n- get_date\n  Parameters: none\n\nUser:", " What time?") -
             sum_behind("User:", " What time?");
    ck_assert_double_eq_tol(nats[1], second, 1e-9);
    ck_assert_int_eq(bezel_tool_fit_score(&whole, fit, SIZE_MAX, "What time?", SIZE_MAX, &err), BEZEL_OK);
    second = sum_behind("Available Functions:\n- get_time: Time of day\n  Parameters: none\n- get_date\n  Parameters: none\n\nUser:",
                        " What time?") -
             sum_behind("User:", " What time?");
    ck_assert_double_eq_tol(whole, second, 1e-9);
    ck_assert_int_eq(bezel_tool_fit_score(&whole, fit, 2, "What time?", SIZE_MAX, &err), BEZEL_ERR_RANGE);
    bezel_tool_fit_free(fit);
    tool.name = name;
    for (int i = 0; i < 15; i++) {
        snprintf(name, sizeof name, "tool_%d", i);
        ck_assert_int_eq(bezel_toolset_add(tools, &tool, &err), BEZEL_OK);
    }
    ck_assert_int_eq(bezel_tool_fit_new(&fit, tools, tiny.model, NULL, &err), BEZEL_OK);
    ck_assert_uint_eq(bezel_tool_fit_count(fit), 0); /* too many */
    bezel_tool_fit_free(fit);
}
END_TEST

START_TEST(what_a_tool_fits_worse_than_the_best_lowers_its_name)
{
    static const double nats[] = {7.0, -2.0, 5.5, -100.0};
    bezel_tool_profile profile = *bezel_tool_profile_find("transcript");
    float bias[4];
    profile.name_weight = 0.5f;
    bezel_tool_fit_name_bias(bias, &profile, nats, 4);
    ck_assert(bias[0] == 0.0f && bias[1] == -4.5f && bias[2] == -0.75f && bias[3] == -12.0f);
    bezel_tool_fit_name_bias(bias, bezel_tool_profile_find("instruct"), nats, 4);
    for (int i = 0; i < 4; i++)
        ck_assert(bias[i] == 0.0f);
}
END_TEST

START_TEST(the_fit_counts_where_a_profile_says_so_and_no_tool_brings_examples)
{
    static const char *const lines[] = {"User: What time?", NULL};
    bezel_tool_profile profile = *bezel_tool_profile_find("transcript");
    bezel_tool tool = BEZEL_TOOL_INIT;
    profile.fit_weight = 2.0f;
    profile.fit_neutral = 3.0f;
    ck_assert(bezel_tool_fit_bias(&profile, 3.5) == 1.0f);
    ck_assert(bezel_tool_fit_bias(&profile, 1000.0) == 12.0f);
    ck_assert(bezel_tool_fit_bias(&profile, -1000.0) == -12.0f);
    ck_assert(bezel_tool_fit_bias(bezel_tool_profile_find("instruct"), 1000.0) == 0.0f);
    ck_assert_int_eq(bezel_tool_fit_counts(tools, &profile), 1);
    ck_assert_int_eq(bezel_tool_fit_counts(tools, bezel_tool_profile_find("instruct")), 0);
    tool.name = "get_date";
    tool.examples = lines;
    ck_assert_int_eq(bezel_toolset_add(tools, &tool, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_tool_fit_counts(tools, &profile), 0);
}
END_TEST

static bezel_status fit_once(test_world *tw, void *ctx)
{
    bezel_tool_fit *fit = NULL;
    double nats;
    (void)tw;
    bezel_status st = bezel_tool_fit_new(&fit, tools, ctx, NULL, NULL);
    if (st == BEZEL_OK)
        st = bezel_tool_fit_score(&nats, fit, SIZE_MAX, "What time?", SIZE_MAX, NULL);
    bezel_tool_fit_free(fit);
    return st;
}

START_TEST(a_set_without_tools_has_no_fit_and_a_failing_allocation_is_an_error_without_a_leak)
{
    test_world tw;
    bezel_toolset *empty = NULL;
    bezel_tool_fit *fit = NULL;
    bezel_tool tool = BEZEL_TOOL_INIT;
    teardown();
    test_world_init(&tw);
    tiny_model_open(&tiny, BEZEL_ISA_SCALAR, 1, &tw.world);
    ck_assert_int_eq(bezel_toolset_new(&empty, tiny.engine, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_tool_fit_new(&fit, empty, tiny.model, NULL, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_ptr_null(fit);
    bezel_toolset_free(empty);
    ck_assert_int_eq(bezel_toolset_new(&tools, tiny.engine, &err), BEZEL_OK);
    tool.name = "get_time";
    ck_assert_int_eq(bezel_toolset_add(tools, &tool, &err), BEZEL_OK);
    ck_assert_int_gt(test_world_sweep(&tw, fit_once, tiny.model, BEZEL_OK), 6);
    bezel_toolset_free(tools);
    tiny_model_close(&tiny);
    ck_assert(test_world_is_clean(&tw));
    setup();
}
END_TEST

Suite *tool_fit_suite(void)
{
    Suite *s = suite_create("tool_fit");
    TCase *t = tcase_create("fit");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, the_fit_is_the_difference_of_two_log_probabilities);
    tcase_add_test(t, each_tool_is_measured_by_itself_and_many_together);
    tcase_add_test(t, what_a_tool_fits_worse_than_the_best_lowers_its_name);
    tcase_add_test(t, the_fit_counts_where_a_profile_says_so_and_no_tool_brings_examples);
    tcase_add_test(t, a_set_without_tools_has_no_fit_and_a_failing_allocation_is_an_error_without_a_leak);
    suite_add_tcase(s, t);
    return s;
}
