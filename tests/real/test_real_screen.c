/* SPDX-License-Identifier: MIT */
/* Screened output layer on the real model: greedy tokens equal to the full pass's, token by token, over texts of several
 * kinds and the golden prompts; few rows are left to compute, which is why it is done. */
#include "generate/session_impl.h"
#include "support/real_model.h"
#include "support/temp_folder.h"

#include <bezel/value.h>

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Suite *real_screen_suite(void);

#define GOLDEN "tests/golden/gold_270m.json"

enum { N_TOKENS = 100, MAX_IDS = 2048 };

static const char *const texts[] = {
    "The capital of France is",
    "Once upon a time in a small village by the sea",
    "def quicksort(arr):\n    ",
    "Die Geschichte der Stadt Hamburg beginnt",
    "{\"name\": \"John\", \"age\": 31, \"city\": ",
    "Il était une fois",
    "In 1969, the Apollo 11 mission",
    "User: Will it rain in Paris?\nAssistant: FUNCTION_CALL: get_weather_forecast(location=",
    "人工智能的发展历史",
    "SELECT name, COUNT(*) FROM users",
};
enum { N_TEXTS = sizeof texts / sizeof *texts };

static temp_folder folder;
static bezel_engine *engine;
static bezel_model *model;

static void open_all(void)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_model_options o;
    char path[4096];
    temp_folder_make(&folder);
    ck_assert_msg(bezel_engine_new(&engine, NULL, &err) == BEZEL_OK, "%s", err.text);
    bezel_model_options_init(&o);
    o.cache_folder = folder.path;
    ck_assert_msg(bezel_model_open(&model, engine, real_model_path(path, sizeof path), &o, &err) == BEZEL_OK, "%s", err.text);
    ck_assert_msg(bezel_model_prepare(model, &err) == BEZEL_OK, "%s", err.text);
}

static void close_all(void)
{
    bezel_model_free(model);
    bezel_engine_free(engine);
    temp_folder_remove(&folder);
}

static bezel_session *session_new(uint32_t head)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_session *s;
    bezel_session_options o;
    bezel_session_options_init(&o);
    o.n_ctx = MAX_IDS;
    o.head = head;
    ck_assert_msg(bezel_session_new(&s, model, &o, &err) == BEZEL_OK, "%s", err.text);
    return s;
}

/* Greedy tokens after the timeline, end tokens left out. */
static size_t answer(int32_t *out, bezel_session *s)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_generation g = {.size = (uint32_t)sizeof g};
    bezel_generate_options o;
    bezel_job *job;
    bezel_status status;
    bezel_logit_bias bias[16];
    bezel_generate_options_init(&o);
    bezel_sampling_greedy(&o.sampling);
    o.max_tokens = N_TOKENS;
    o.sampling.bias = bias;
    for (int32_t id = 0; id < 256 && o.sampling.n_bias < 16; id++)
        if (bezel_token_is_end(model, id))
            bias[o.sampling.n_bias++] = (bezel_logit_bias){id, -INFINITY};
    ck_assert_msg(bezel_generate(&job, s, &o, &err) == BEZEL_OK, "%s", err.text);
    do
        status = bezel_job_step(job, -1, &err);
    while (status > 0 && status != BEZEL_DONE);
    ck_assert_msg(status == BEZEL_DONE, "%s", err.text);
    ck_assert_int_eq(bezel_generation_get(job, &g, &err), BEZEL_OK);
    memcpy(out, g.ids, g.n_ids * sizeof *out);
    const size_t n = g.n_ids;
    bezel_job_free(job);
    return n;
}

static void assert_same(const char *what, bezel_session *const sessions[2])
{
    int32_t ids[2][N_TOKENS];
    const size_t n = answer(ids[0], sessions[0]), m = answer(ids[1], sessions[1]);
    ck_assert_uint_eq(n, m);
    for (size_t i = 0; i < n; i++)
        ck_assert_msg(ids[0][i] == ids[1][i], "%s: token %zu is %d full and %d screened", what, i, (int)ids[0][i],
                      (int)ids[1][i]);
}

START_TEST(greedy_text_is_the_same_screened_and_full)
{
    bezel_error err = BEZEL_ERROR_INIT;
    open_all();
    bezel_session *s[2] = {session_new(BEZEL_HEAD_FULL), session_new(BEZEL_HEAD_SCREENED)};
    for (size_t i = 0; i < N_TEXTS; i++) {
        for (int k = 0; k < 2; k++) {
            ck_assert_int_eq(bezel_session_set(s[k], NULL, 0, NULL), BEZEL_OK);
            ck_assert_int_eq(bezel_session_append_text(s[k], texts[i], SIZE_MAX, BEZEL_TOKENIZE_BOS, &err), BEZEL_OK);
        }
        assert_same(texts[i], s);
    }
    if (bezel_engine_isa(engine) != BEZEL_ISA_SCALAR) {
        ck_assert_uint_ge(s[1]->decoder->screen_tries, N_TEXTS * N_TOKENS * 9 / 10);
        ck_assert_uint_lt(s[1]->decoder->screen_rows / s[1]->decoder->screen_tries, 5000);
    }
    bezel_session_free(s[0]);
    bezel_session_free(s[1]);
    close_all();
}
END_TEST

START_TEST(the_golden_prompts_go_on_the_same_screened_and_full)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_tree *tree;
    bezel_value *golden;
    size_t size;
    int32_t ids[MAX_IDS];
    open_all();
    char *text = real_model_file(GOLDEN, &size);
    ck_assert_int_eq(bezel_tree_new(&tree, engine, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_json_read(&golden, tree, text, size, &err), BEZEL_OK);
    free(text);
    const bezel_value *prompts = bezel_value_get(golden, "prompts");
    bezel_session *s[2] = {session_new(BEZEL_HEAD_FULL), session_new(BEZEL_HEAD_SCREENED)};
    for (size_t i = 0; i < bezel_value_count(prompts); i++) {
        const bezel_value *list = bezel_value_get(bezel_value_at(prompts, i), "ids");
        const size_t n = bezel_value_count(list);
        if (n > MAX_IDS - N_TOKENS)
            continue;
        for (size_t k = 0; k < n; k++)
            ids[k] = (int32_t)bezel_value_integer(bezel_value_at(list, k));
        for (int k = 0; k < 2; k++)
            ck_assert_int_eq(bezel_session_set(s[k], ids, n, NULL), BEZEL_OK);
        assert_same(bezel_value_text(bezel_value_get(bezel_value_at(prompts, i), "name"), NULL), s);
    }
    bezel_session_free(s[0]);
    bezel_session_free(s[1]);
    bezel_tree_free(tree);
    close_all();
}
END_TEST

Suite *real_screen_suite(void)
{
    Suite *s = suite_create("real_screen");
    char path[4096];
    if (!real_model_path(path, sizeof path))
        return s;
    TCase *c = tcase_create("screen");
    tcase_set_timeout(c, 900);
    tcase_add_test(c, greedy_text_is_the_same_screened_and_full);
    tcase_add_test(c, the_golden_prompts_go_on_the_same_screened_and_full);
    suite_add_tcase(s, c);
    return s;
}
