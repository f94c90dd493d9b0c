/* SPDX-License-Identifier: MIT */
/* Constraints over the real vocabulary of 262,144 tokens: masks against stepping every token, and what they cost.
 * BEZEL_TEST_MASKS=1000 compares about as many states. */
#include <bezel/constraint.h>

#include <check.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "generate/constraint_impl.h"
#include "model/model_impl.h"
#include "support/random_forms.h"
#include "support/real_model.h"

Suite *real_forms_suite(void);

START_TEST(a_mask_of_the_real_vocabulary_is_what_stepping_every_token_gives)
{
    real_model real;
    random_forms out;
    const size_t n = random_forms_count("BEZEL_TEST_MASKS", 20);
    real_model_open(&real, NULL);
    random_forms_run(&out, real.model, 7, n / 2, n);
    ck_assert_uint_gt(out.n_states, n / 10);
    printf("real vocabulary: %zu answers, %zu masks, %zu tokens sampled, %zu forced\n", out.n_answers, out.n_states, out.n_sampled,
           out.n_forced);
    const bz_vocab_trie *trie = NULL;
    ck_assert_int_eq(bz_model_trie(&trie, real.model, NULL), BEZEL_OK);
    printf("vocabulary index: %zu bytes\n", bz_vocab_trie_bytes(trie));
    real_model_close(&real);
}
END_TEST

static double now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

/* A set of 20 tools, and the masks along a call of one of them. The figures are printed; the limits are far above them, since
 * other processes run. */
START_TEST(a_set_of_20_tools_compiles_in_milliseconds_and_a_mask_takes_microseconds)
{
    enum { TOOLS = 20 };
    static const char schema[] =
        "{\"type\":\"object\",\"properties\":{\"location\":{\"type\":\"string\",\"maxLength\":60},\"days\":{\"type\":\"integer\","
        "\"minimum\":1,\"maximum\":7},\"units\":{\"enum\":[\"celsius\",\"fahrenheit\"]},\"tags\":{\"type\":\"array\",\"items\":"
        "{\"type\":\"string\"}},\"when\":{\"type\":\"string\",\"format\":\"date\"}},\"required\":[\"location\"]}";
    static const char text[] = "FUNCTION_CALL: get_weather_7(location=\"New York\", days=3, units=\"celsius\", tags=[\"a\", \"b\"])";
    real_model real;
    bezel_tree *tree = NULL;
    bezel_value *parameters = NULL;
    bezel_constraint_function functions[TOOLS];
    char names[TOOLS][32];
    bezel_constraint *c = NULL;
    bezel_constraint_options o;
    bz_token_mask mask;
    bz_call_state s;
    double first, best = 1e9, begin, masks = 0;
    real_model_open(&real, NULL);
    ck_assert_int_eq(bezel_tree_new(&tree, real.engine, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_json_read(&parameters, tree, schema, sizeof schema - 1, NULL), BEZEL_OK);
    for (int i = 0; i < TOOLS; i++) {
        snprintf(names[i], sizeof names[i], "get_weather_%d", i);
        functions[i] = (bezel_constraint_function){names[i], parameters};
    }
    bezel_constraint_options_init(&o);
    o.functions = functions;
    o.n_functions = TOOLS;
    begin = now_us();
    ck_assert_int_eq(bezel_constraint_new(&c, real.model, &o, NULL), BEZEL_OK);
    first = now_us() - begin;
    for (int i = 0; i < 5; i++) {
        bezel_constraint_free(c);
        begin = now_us();
        ck_assert_int_eq(bezel_constraint_new(&c, real.model, &o, NULL), BEZEL_OK);
        best = now_us() - begin < best ? now_us() - begin : best;
    }
    ck_assert_int_eq(bz_token_mask_init(&mask, c->world, c->form, c->trie, real.model->vocab, &c->marks, NULL), BEZEL_OK);
    bz_call_start(&s, c->form, 0, NULL);
    for (size_t i = 0; i < sizeof text - 1; i++) {
        begin = now_us();
        ck_assert_uint_gt(bz_token_mask_fill(&mask, &s), 0);
        masks += now_us() - begin;
        ck_assert(bz_call_feed(&s, c->form, (uint8_t)text[i]));
    }
    printf("20 tools: first %.1f ms (with the vocabulary's index), then %.2f ms; a mask %.1f us\n", first / 1e3, best / 1e3,
           masks / (double)(sizeof text - 1));
    ck_assert_double_lt(best, 50e3);
    ck_assert_double_lt(masks / (double)(sizeof text - 1), 2000);
    bz_token_mask_free(&mask, c->world);
    bezel_constraint_free(c);
    bezel_tree_free(tree);
    real_model_close(&real);
}
END_TEST

Suite *real_forms_suite(void)
{
    char path[1024];
    Suite *s = suite_create("real_forms");
    TCase *t = tcase_create("270m");
    tcase_set_timeout(t, 3600);
    if (!real_model_path(path, sizeof path))
        return s; /* not downloaded: nothing to test */
    tcase_add_test(t, a_set_of_20_tools_compiles_in_milliseconds_and_a_mask_takes_microseconds);
    tcase_add_test(t, a_mask_of_the_real_vocabulary_is_what_stepping_every_token_gives);
    suite_add_tcase(s, t);
    return s;
}
