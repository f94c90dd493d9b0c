/* SPDX-License-Identifier: MIT */
/* Random logits under random schemas of every kind, in every dialect: what comes out parses and is valid. A part runs by default;
 * BEZEL_TEST_FORMS=10000 runs as many. */
#include <check.h>
#include <stdio.h>

#include "support/random_forms.h"
#include "support/tiny_model.h"

Suite *random_forms_suite(void);

START_TEST(random_answers_under_random_schemas_parse_and_are_valid)
{
    tiny_model tiny;
    random_forms out;
    const size_t n = random_forms_count("BEZEL_TEST_FORMS", 400);
    tiny_model_open(&tiny, BEZEL_ISA_SCALAR, 1, NULL);
    random_forms_run(&out, tiny.model, 20261124, n, n / 4);
    ck_assert_uint_eq(out.n_answers, n);
    ck_assert_uint_lt(out.n_unfinished, n / 20 + 1);
    ck_assert_uint_gt(out.n_states, n / 40);
    ck_assert_uint_gt(out.n_forced, out.n_answers);
    if (n > 400)
        printf("%zu answers, %zu too long, %zu masks, %zu tokens sampled, %zu forced\n", out.n_answers, out.n_unfinished, out.n_states,
               out.n_sampled, out.n_forced);
    tiny_model_close(&tiny);
}
END_TEST

Suite *random_forms_suite(void)
{
    Suite *suite = suite_create("random_forms");
    TCase *t = tcase_create("tiny");
    tcase_set_timeout(t, 3600);
    tcase_add_test(t, random_answers_under_random_schemas_parse_and_are_valid);
    suite_add_tcase(suite, t);
    return suite;
}
