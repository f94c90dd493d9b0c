/* SPDX-License-Identifier: MIT */
/* Screened output layer on the real model: tokens equal to the full pass's, token by token, greedy and drawn with the same
 * seed, over texts of several kinds and the golden prompts; few rows are left to compute, which is why it is done.
 * BEZEL_SCREEN_TOKENS=N (and BEZEL_SCREEN_SEED=S, another stretch of texts each) compares N tokens in place of some hundred;
 * with CK_RUN_CASE=many nothing else runs. */
#include "base/rng.h"
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
enum { SAMPLER_GREEDY, SAMPLER_GEMMA, SAMPLER_GREEDY_PENALTY, SAMPLER_TOP_K_PENALTY, SAMPLER_MIN_P, SAMPLER_TOP_K_WARM, N_SAMPLERS };

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

static bezel_logit_bias ends[16];

/* 100 tokens: the samplers that can be screened, one after another. */
static void options_of(bezel_generate_options *o, int sampler)
{
    bezel_generate_options_init(o);
    o->max_tokens = N_TOKENS;
    o->sampling.seed = 17;
    if (sampler == SAMPLER_GREEDY || sampler == SAMPLER_GREEDY_PENALTY)
        bezel_sampling_greedy(&o->sampling);
    if (sampler == SAMPLER_GREEDY_PENALTY || sampler == SAMPLER_TOP_K_PENALTY)
        o->sampling.repetition_penalty = 1.2f;
    if (sampler == SAMPLER_MIN_P) {
        o->sampling.top_k = 0;
        o->sampling.top_p = 1.0f;
        o->sampling.min_p = 0.05f;
    }
    if (sampler == SAMPLER_TOP_K_WARM) {
        o->sampling.temperature = 1.5f;
        o->sampling.top_k = 200;
        o->sampling.top_p = 1.0f;
    }
    o->sampling.n_bias = 0;
    for (int32_t id = 0; id < 256 && o->sampling.n_bias < 16; id++)
        if (bezel_token_is_end(model, id))
            ends[o->sampling.n_bias++] = (bezel_logit_bias){id, -INFINITY};
    o->sampling.bias = ends;
}

/* Tokens after the timeline, end tokens left out. */
static size_t answer(int32_t *out, bezel_session *s, int sampler)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_generation g = {.size = (uint32_t)sizeof g};
    bezel_generate_options o;
    bezel_job *job;
    bezel_status status;
    options_of(&o, sampler);
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

static void assert_same(const char *what, bezel_session *const sessions[2], int sampler)
{
    int32_t ids[2][N_TOKENS];
    const size_t n = answer(ids[0], sessions[0], sampler), m = answer(ids[1], sessions[1], sampler);
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
        assert_same(texts[i], s, SAMPLER_GREEDY);
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
        assert_same(bezel_value_text(bezel_value_get(bezel_value_at(prompts, i), "name"), NULL), s, SAMPLER_GREEDY);
    }
    bezel_session_free(s[0]);
    bezel_session_free(s[1]);
    bezel_tree_free(tree);
    close_all();
}
END_TEST

START_TEST(drawn_tokens_are_the_same_screened_and_full)
{
    bezel_error err = BEZEL_ERROR_INIT;
    open_all();
    bezel_session *s[2] = {session_new(BEZEL_HEAD_FULL), session_new(BEZEL_HEAD_SCREENED)};
    for (int sampler = SAMPLER_GEMMA; sampler < N_SAMPLERS; sampler++) {
        for (int k = 0; k < 2; k++) {
            ck_assert_int_eq(bezel_session_set(s[k], NULL, 0, NULL), BEZEL_OK);
            ck_assert_int_eq(bezel_session_append_text(s[k], texts[sampler], SIZE_MAX, BEZEL_TOKENIZE_BOS, &err), BEZEL_OK);
        }
        const uint64_t before = s[1]->decoder->screen_tries;
        assert_same(texts[sampler], s, sampler);
        if (bezel_engine_isa(engine) != BEZEL_ISA_SCALAR)
            ck_assert_uint_ge(s[1]->decoder->screen_tries - before, N_TOKENS / 2);
    }
    bezel_session_free(s[0]);
    bezel_session_free(s[1]);
    close_all();
}
END_TEST

/* Random tokens and a beginning of text, so that each round is another place of the language; on from there. */
START_TEST(many_tokens_are_the_same_screened_and_full)
{
    const char *wanted = getenv("BEZEL_SCREEN_TOKENS"), *seed = getenv("BEZEL_SCREEN_SEED");
    const size_t n_wanted = wanted ? (size_t)strtoul(wanted, NULL, 10) : 400;
    bezel_error err = BEZEL_ERROR_INIT;
    bz_rng rng;
    open_all();
    bz_rng_seed(&rng, seed ? strtoul(seed, NULL, 10) : 1);
    bezel_session *s[2] = {session_new(BEZEL_HEAD_FULL), session_new(BEZEL_HEAD_SCREENED)};
    size_t n_done = 0;
    for (int round = 0; n_done < n_wanted; round++) {
        int32_t ids[8];
        for (size_t i = 0; i < 8; i++)
            ids[i] = (int32_t)(500 + bz_rng_next(&rng) % 200000);
        for (int k = 0; k < 2; k++) {
            ck_assert_int_eq(bezel_session_set(s[k], ids, (size_t)round % 8, NULL), BEZEL_OK);
            ck_assert_int_eq(bezel_session_append_text(s[k], texts[round % N_TEXTS], SIZE_MAX,
                                                       round % 8 ? 0 : BEZEL_TOKENIZE_BOS, &err), BEZEL_OK);
        }
        for (int part = 0; part < 4; part++, n_done += N_TOKENS) /* on from its own text: longer contexts too */
            assert_same(texts[round % N_TEXTS], s, round % 2 ? SAMPLER_GEMMA : SAMPLER_GREEDY);
    }
    if (wanted)
        printf("%zu tokens are equal; %.3f of them screened, %.0f rows a token\n", n_done,
               (double)s[1]->decoder->screen_tries / (double)n_done,
               (double)s[1]->decoder->screen_rows / (double)s[1]->decoder->screen_tries);
    bezel_session_free(s[0]);
    bezel_session_free(s[1]);
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
    tcase_add_test(c, drawn_tokens_are_the_same_screened_and_full);
    suite_add_tcase(s, c);
    c = tcase_create("many");
    tcase_set_timeout(c, 7200);
    tcase_add_test(c, many_tokens_are_the_same_screened_and_full);
    suite_add_tcase(s, c);
    return s;
}
