/* SPDX-License-Identifier: MIT */
/* Constraints over the real vocabulary of 262,144 tokens: masks against stepping every token, what they cost, and that text without
 * a choice is what the model would have written. BEZEL_TEST_MASKS=1000 compares about as many states, BEZEL_TEST_SEED=S others;
 * BEZEL_TEST_JUMPS=90 compares as many answers. */
#include <bezel/constraint.h>
#include <bezel/session.h>

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "generate/constraint_impl.h"
#include "model/model_impl.h"
#include "support/random_forms.h"
#include "support/real_model.h"
#include "support/temp_folder.h"

Suite *real_forms_suite(void);

START_TEST(a_mask_of_the_real_vocabulary_is_what_stepping_every_token_gives)
{
    real_model real;
    random_forms out;
    const size_t n = random_forms_count("BEZEL_TEST_MASKS", 20);
    real_model_open(&real, NULL);
    random_forms_run(&out, real.model, random_forms_count("BEZEL_TEST_SEED", 7), n / 2, n);
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
    double first, mapped, best = 1e9, begin, masks = 0;
    temp_folder folder;
    bezel_model_options kept;
    temp_folder_make(&folder);
    bezel_model_options_init(&kept);
    kept.cache_folder = folder.path;
    real_model_open_with(&real, NULL, &kept);
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
    bezel_constraint_free(c);
    bezel_model_free(real.model);
    real_model_open_again(&real, &kept);
    begin = now_us();
    ck_assert_int_eq(bezel_constraint_new(&c, real.model, &o, NULL), BEZEL_OK);
    mapped = now_us() - begin;
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
    printf("20 tools: %.1f ms where the vocabulary's index is made, %.2f ms where it is mapped, then %.2f ms; a mask %.1f us\n",
           first / 1e3, mapped / 1e3, best / 1e3, masks / (double)(sizeof text - 1));
    ck_assert_double_lt(mapped, 50e3);
    ck_assert_double_lt(best, 50e3);
    ck_assert_double_lt(masks / (double)(sizeof text - 1), 2000);
    bz_token_mask_free(&mask, c->world);
    bezel_constraint_free(c);
    bezel_tree_free(tree);
    real_model_close(&real);
    temp_folder_remove(&folder);
}
END_TEST

/* ---- jump-ahead ------------------------------------------------------------------------------------------------------- */

static const char *const jump_tools[] = { /* a function's parameters */
    "{\"properties\":{\"location\":{\"type\":\"string\",\"maxLength\":40},\"days\":{\"type\":\"integer\",\"minimum\":1,"
    "\"maximum\":7}},\"required\":[\"location\",\"days\"]}",
    "{\"properties\":{\"query\":{\"type\":\"string\",\"maxLength\":30},\"language\":{\"enum\":[\"english\",\"french\",\"german\"]},"
    "\"exact\":{\"type\":\"boolean\"}},\"required\":[\"query\",\"language\",\"exact\"]}",
    "{\"properties\":{\"from\":{\"type\":\"object\",\"properties\":{\"latitude\":{\"type\":\"number\"},\"longitude\":{\"type\":"
    "\"number\"}},\"required\":[\"latitude\",\"longitude\"],\"additionalProperties\":false},\"tags\":{\"type\":\"array\",\"items\":"
    "{\"enum\":[\"car\",\"train\",\"plane\"]},\"minItems\":1,\"maxItems\":2},\"when\":{\"type\":\"string\",\"format\":\"date\"}},"
    "\"required\":[\"from\",\"tags\",\"when\"]}"};
static const char *const jump_questions[] = {
    "Will it rain in Paris over the next 3 days?", "Find books about the sea in French.", "How do I get from Berlin to Rome by train?",
    "What is the weather in New York City?", "Tell me about the history of Hamburg.", "Any flood alerts in Bangkok?"};
static const char *const jump_dialects[] = {"function_call", "python", "json", "functiongemma", "gemma4"};

/* The greedy answer; free() it. */
static char *jump_answer(bezel_model *model, const bezel_constraint *c, const char *question, uint32_t no_jump, size_t *out_forced)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_generation g = {.size = (uint32_t)sizeof g};
    bezel_session *s = NULL;
    bezel_job *job = NULL;
    bezel_status status;
    bezel_generate_options o;
    char prompt[512];
    snprintf(prompt, sizeof prompt, "User: %s\nAssistant:", question);
    ck_assert_int_eq(bezel_session_new(&s, model, NULL, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_session_append_text(s, prompt, SIZE_MAX, BEZEL_TOKENIZE_BOS, &err), BEZEL_OK);
    bezel_generate_options_init(&o);
    bezel_sampling_greedy(&o.sampling);
    o.max_tokens = 96;
    o.constraint = c;
    o.calls = BEZEL_CALLS_REQUIRED;
    o.no_jump = no_jump;
    ck_assert_msg(bezel_generate(&job, s, &o, &err) == BEZEL_OK, "%s", err.text);
    do
        status = bezel_job_step(job, -1, &err);
    while (status > 0 && status != BEZEL_DONE);
    ck_assert_msg(status == BEZEL_DONE, "%s", err.text);
    ck_assert_int_eq(bezel_generation_get(job, &g, &err), BEZEL_OK);
    char *text = strdup(g.text);
    *out_forced = g.n_forced;
    bezel_job_free(job);
    bezel_session_free(s);
    return text;
}

START_TEST(text_that_comes_without_the_model_is_what_the_model_would_have_written)
{
    const size_t n = random_forms_count("BEZEL_TEST_JUMPS", 6);
    size_t n_equal = 0, n_forced = 0, forced;
    real_model real;
    bezel_tree *tree = NULL;
    bezel_value *parameters = NULL;
    real_model_open(&real, NULL);
    ck_assert_int_eq(bezel_tree_new(&tree, real.engine, NULL), BEZEL_OK);
    for (size_t i = 0; i < n; i++) {
        const char *schema = jump_tools[i % 3], *question = jump_questions[i / 15 % 6];
        bezel_constraint *c = NULL;
        bezel_constraint_options o;
        ck_assert_int_eq(bezel_json_read(&parameters, tree, schema, strlen(schema), NULL), BEZEL_OK);
        const bezel_constraint_function function = {"look_up", parameters};
        bezel_constraint_options_init(&o);
        o.dialect = jump_dialects[i / 3 % 5];
        o.functions = &function;
        o.n_functions = 1;
        o.max_calls = 1;
        ck_assert_int_eq(bezel_constraint_new(&c, real.model, &o, NULL), BEZEL_OK);
        char *jumped = jump_answer(real.model, c, question, 0, &forced), *stepped = jump_answer(real.model, c, question, 1, &(size_t){0});
        n_forced += forced;
        if (strcmp(jumped, stepped) == 0)
            n_equal++;
        else
            printf("%s: %s\n  with jumps    %s\n  without jumps %s\n", o.dialect, question, jumped, stepped);
        free(jumped);
        free(stepped);
        bezel_constraint_free(c);
    }
    printf("jump-ahead: %zu of %zu greedy answers equal, %zu tokens forced\n", n_equal, n, n_forced);
    ck_assert_uint_gt(n_forced, n);
    ck_assert_uint_eq(n_equal, n);
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
    tcase_add_test(t, text_that_comes_without_the_model_is_what_the_model_would_have_written);
    tcase_add_test(t, a_mask_of_the_real_vocabulary_is_what_stepping_every_token_gives);
    suite_add_tcase(s, t);
    return s;
}
