/* SPDX-License-Identifier: MIT */
/* Numbers of the real model against transformers in float32: tests/golden/gold_270m.json names source and rule.
 *
 * Reference path (scalar, float activations): mean difference of the 16 best log-probabilities at most 0.002, the same top
 * token wherever the margin exceeds 0.02; of the long prompt only the first 640 positions. Fast paths: mean at most half of
 * llama.cpp's 0.163 on the same file, the same top token at no fewer than 437 of 451 positions with a margin over 0.15.
 * Greedy text on all: equal up to a near tie. */
#include "generate/logit_filter.h"
#include "generate/session_impl.h"
#include "support/real_model.h"
#include "support/test_engine.h"

#include <bezel/value.h>

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

Suite *real_golden_suite(void);

#define GOLDEN "tests/golden/gold_270m.json"
#define MODEL_SIZE 253113024L /* the file the answers are of; another BEZEL_MODEL leaves the suite out */

enum { N_BEST = 16, MAX_IDS = 2048 };

typedef struct golden_run {
    real_model real;
    bezel_tree *tree;
    bezel_value *prompts;
    bezel_session *session;
    double top_margin;    /* the top token must be the same above it */
    double greedy_margin; /* greedy text may part below it */
    size_t most;          /* positions and greedy tokens of a prompt that are tried: the scalar level is slow */
    double sum;           /* of differences */
    size_t n, top_same, top_of;
} golden_run;

static void golden_open(golden_run *g, uint32_t isa, uint32_t activations)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_engine_options o;
    bezel_session_options so;
    bezel_value *golden;
    size_t size;
    char *text = real_model_file(GOLDEN, &size);
    bezel_engine_options_init(&o);
    o.isa = isa;
    real_model_open(&g->real, &o);
    ck_assert_int_eq(bezel_tree_new(&g->tree, g->real.engine, &err), BEZEL_OK);
    ck_assert_msg(bezel_json_read(&golden, g->tree, text, size, &err) == BEZEL_OK, "%s: %s", GOLDEN, err.text);
    free(text);
    g->prompts = (bezel_value *)(uintptr_t)bezel_value_get(golden, "prompts");
    ck_assert_uint_eq(bezel_value_count(g->prompts), 6);
    bezel_session_options_init(&so);
    so.activations = activations;
    ck_assert_msg(bezel_session_new(&g->session, g->real.model, &so, &err) == BEZEL_OK, "%s", err.text);
}

static void golden_close(golden_run *g)
{
    bezel_session_free(g->session);
    bezel_tree_free(g->tree);
    real_model_close(&g->real);
}

static size_t golden_ids(int32_t *out, const bezel_value *list)
{
    const size_t n = bezel_value_count(list);
    ck_assert_uint_le(n, MAX_IDS);
    for (size_t i = 0; i < n; ++i)
        out[i] = (int32_t)bezel_value_integer(bezel_value_at(list, i));
    return n;
}

static void golden_compare(golden_run *g, const bezel_value *top)
{
    const bezel_session *s = g->session;
    const size_t V = s->model->config.V;
    const bezel_value *ids = bezel_value_get(top, "ids"), *logprobs = bezel_value_get(top, "logprob");
    const double log_sum = bz_logit_log_sum(s->logits, V, NULL);
    for (size_t i = 0; i < N_BEST; ++i) {
        const int64_t id = bezel_value_integer(bezel_value_at(ids, i));
        ck_assert(id >= 0 && (uint64_t)id < V);
        g->sum += fabs((double)s->logits[id] - log_sum - bezel_value_number(bezel_value_at(logprobs, i)));
        ++g->n;
    }
    if (bezel_value_number(bezel_value_at(logprobs, 0)) - bezel_value_number(bezel_value_at(logprobs, 1)) > g->top_margin) {
        ++g->top_of;
        g->top_same += bz_logit_argmax(s->logits, V) == bezel_value_integer(bezel_value_at(ids, 0));
    }
}

/* The prompt in chunks, with logits only where there is an answer to compare with. */
static void golden_prompt(golden_run *g, const bezel_value *prompt)
{
    int32_t ids[MAX_IDS];
    bezel_session *s = g->session;
    const size_t n = golden_ids(ids, bezel_value_get(prompt, "ids"));
    const bezel_value *probes = bezel_value_get(prompt, "probes"), *top = bezel_value_get(prompt, "top");
    size_t next = 0;
    ck_assert_int_eq(bezel_session_set(s, NULL, 0, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_session_set(s, ids, n, NULL), BEZEL_OK);
    while (s->cache->n < n && s->cache->n < g->most) {
        const size_t begin = s->cache->n, T = n - begin < s->chunk ? n - begin : s->chunk;
        bz_decoder_begin(s->decoder, &(bz_segment){.cache = s->cache, .ids = s->ids + begin, .T = T}, 1);
        while (bz_decoder_layer(s->decoder)) {
        }
        for (; next < bezel_value_count(probes); ++next) {
            const size_t probe = (size_t)bezel_value_integer(bezel_value_at(probes, next));
            if (probe >= begin + T)
                break;
            bz_decoder_head(s->decoder, probe - begin, 1);
            while (bz_decoder_head_slice(s->decoder, s->logits, s->model->config.V)) {
            }
            golden_compare(g, bezel_value_at(top, next));
        }
    }
    ck_assert(next == bezel_value_count(probes) || n > g->most);
}

static void golden_greedy(const golden_run *g, const bezel_value *prompt)
{
    int32_t expected[MAX_IDS];
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_generation r = {.size = (uint32_t)sizeof r};
    bezel_generate_options o;
    bezel_job *job;
    bezel_status status;
    size_t n = golden_ids(expected, bezel_value_get(prompt, "greedy"));
    if (bezel_value_count(bezel_value_get(prompt, "ids")) > g->most)
        return;
    if (n > g->most / 32)
        n = g->most / 32;
    bezel_generate_options_init(&o);
    bezel_sampling_greedy(&o.sampling);
    o.max_tokens = (uint32_t)n;
    ck_assert_msg(bezel_generate(&job, g->session, &o, &err) == BEZEL_OK, "%s", err.text);
    do
        status = bezel_job_step(job, 1000000, &err);
    while (status > 0 && status != BEZEL_DONE);
    ck_assert_msg(status == BEZEL_DONE, "%s", err.text);
    ck_assert_int_eq(bezel_generation_get(job, &r, &err), BEZEL_OK);
    for (size_t i = 0; i < n; ++i) {
        if (i < r.n_ids && r.ids[i] == expected[i])
            continue;
        if (i == r.n_ids && r.stop_reason == BEZEL_STOP_EOS && bezel_token_is_end(g->real.model, expected[i]))
            break;
        const double margin = bezel_value_number(bezel_value_at(bezel_value_get(prompt, "greedy_margin"), i));
        ck_assert_msg(margin < g->greedy_margin, "%s: greedy token %zu differs at a margin of %g",
                      bezel_value_text(bezel_value_get(prompt, "name"), NULL), i, margin);
        break;
    }
    bezel_job_free(job);
}

static void golden_all(golden_run *g, uint32_t isa, uint32_t activations)
{
    golden_open(g, isa, activations);
    for (size_t i = 0; i < bezel_value_count(g->prompts); ++i) {
        golden_prompt(g, bezel_value_at(g->prompts, i));
        golden_greedy(g, bezel_value_at(g->prompts, i));
    }
    golden_close(g);
}

START_TEST(the_reference_path_agrees_to_two_thousandths)
{
    golden_run g = {.top_margin = 0.02, .greedy_margin = 0.02, .most = 640};
    golden_all(&g, BEZEL_ISA_SCALAR, BEZEL_ACTIVATIONS_F32);
    ck_assert_double_le(g.sum / (double)g.n, 0.002);
    ck_assert_uint_eq(g.top_same, g.top_of);
}
END_TEST

static const uint32_t fast_levels[] = {TEST_FAST_LEVELS};

START_TEST(a_fast_path_is_at_most_half_as_far_away_as_llama_cpp)
{
    golden_run g = {.top_margin = 0.15, .greedy_margin = 0.15, .most = MAX_IDS};
    if (!bz_kernel_has(fast_levels[_i]))
        return;
    golden_all(&g, fast_levels[_i], BEZEL_ACTIVATIONS_Q8);
    ck_assert_double_le(g.sum / (double)g.n, 0.163 / 2);
    ck_assert_double_ge((double)g.top_same, (double)g.top_of * 437.0 / 451.0);
}
END_TEST

Suite *real_golden_suite(void)
{
    Suite *s = suite_create("real_golden");
    char path[4096];
    FILE *f = real_model_path(path, sizeof path) ? fopen(path, "rb") : NULL;
    if (f == NULL)
        return s;
    fseek(f, 0, SEEK_END);
    const long size = ftell(f);
    fclose(f);
    if (size != MODEL_SIZE)
        return s;
    TCase *t = tcase_create("golden");
    tcase_set_timeout(t, 900);
    tcase_add_test(t, the_reference_path_agrees_to_two_thousandths);
    tcase_add_loop_test(t, a_fast_path_is_at_most_half_as_far_away_as_llama_cpp, 0, 3);
    suite_add_tcase(s, t);
    return s;
}
