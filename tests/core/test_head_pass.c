/* SPDX-License-Identifier: MIT */
/* Screened output layer: the token of the full pass, for random and hostile matrices and hidden states, at every level and
 * number of threads; and in generations, with forbidden ids, on the worker, switched off. */
#include <bezel/batch.h>

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/rng.h"
#include "compute/quant.h"
#include "generate/logit_filter.h"
#include "generate/session_impl.h"
#include "model/head_copy.h"
#include "model/head_file.h"
#include "support/model_maker.h"
#include "support/temp_folder.h"
#include "support/test_engine.h"
#include "support/tiny_model.h"

Suite *head_pass_suite(void);

enum { V = 9001, D = 256, N_STATES = 160 };
enum { MATRIX_PLAIN, MATRIX_TIES, MATRIX_EXTREMES, MATRIX_ZERO, N_MATRICES };
static const uint32_t levels[] = {TEST_FAST_LEVELS};
enum { N_LEVELS = sizeof levels / sizeof *levels };
static const uint32_t types[] = {BZ_DTYPE_Q8_0, BZ_DTYPE_Q6_K, BZ_DTYPE_Q4_0, BZ_DTYPE_F16, BZ_DTYPE_F32};
enum { N_TYPES = sizeof types / sizeof *types };

/* A model whose output matrix is ours. */
typedef struct table {
    temp_folder folder;
    bezel_engine *engine;
    bezel_model *whole, model; /* as opened; with the other matrix */
    char path[MODEL_MAKER_PATH];
    uint8_t *rows;
    float *norm;
    double weight[D];
    bz_head_file file;
    bz_decoder *decoder;
    float *full, *high;
    bz_rng rng;
    size_t n_screened;
} table;

static table t;

static void setup(void)
{
    memset(&t, 0, sizeof t);
    temp_folder_make(&t.folder);
    bz_rng_seed(&t.rng, 5);
    t.rows = aligned_alloc(64, (size_t)V * D * 4);
    t.norm = malloc(D * sizeof *t.norm);
    t.full = malloc((V + 16) * sizeof *t.full);
    t.high = malloc((V + 16) * sizeof *t.high);
}

static void teardown(void)
{
    temp_folder_remove(&t.folder);
    free(t.rows);
    free(t.norm);
    free(t.full);
    free(t.high);
}

static float wave(float range)
{
    return ((float)bz_rng_unit(&t.rng) + (float)bz_rng_unit(&t.rng) - 1.0f) * range;
}

static void fill_matrix(int kind, uint32_t dtype)
{
    const size_t size = bz_quant_row_size(dtype, D);
    float row[D];
    for (size_t n = 0; n < V; n++) {
        for (size_t k = 0; k < D; k++) {
            row[k] = wave(0.1f) + (k % 5 == 0 ? 0.05f : 0.0f);
            if (kind == MATRIX_EXTREMES)
                row[k] = bz_rng_unit(&t.rng) < 0.5 ? -1.0f : 1.0f; /* bytes -128 are set below */
            if (kind == MATRIX_ZERO && n % 3)
                row[k] = 0.0f;
        }
        bz_quant_encode(t.rows + n * size, row, dtype, D);
        if (kind == MATRIX_TIES && n % 2)
            memcpy(t.rows + n * size, t.rows + bz_rng_next(&t.rng) % n * size, size);
        if (kind == MATRIX_EXTREMES && dtype == BZ_DTYPE_Q8_0)
            for (size_t i = 0; i < size; i++)
                if (i % 34 >= 2 && t.rows[n * size + i] == 0x81)
                    t.rows[n * size + i] = 0x80;
    }
}

static void open_table(uint32_t isa, uint32_t threads, uint32_t dtype, int kind, int use_q8)
{
    bezel_error err = BEZEL_ERROR_INIT;
    model_maker k;
    model_maker_init(&k, 4);
    k.D = D;
    model_maker_file(&k, t.path);
    t.engine = test_engine_new(NULL, threads, isa);
    ck_assert_msg(bezel_model_open(&t.whole, t.engine, t.path, NULL, &err) == BEZEL_OK, "%s", err.text);
    fill_matrix(kind, dtype);
    t.model = *t.whole;
    t.model.config.V = V;
    t.model.weights.output = (bz_tensor){t.rows, dtype, 2, D, V};
    for (size_t i = 0; i < D; i++) {
        t.norm[i] = i % 23 == 7 ? 40.0f : 1.0f;
        t.weight[i] = (double)t.norm[i];
    }
    t.model.weights.output_norm = t.norm;
    char path[300];
    snprintf(path, sizeof path, "%s/a.head", t.folder.path);
    const bz_head_plan plan = {.world = &t.engine->world, .kernel = t.engine->kernel, .matrix = &t.model.weights.output,
                               .weight = t.weight, .path = path};
    ck_assert_msg(bz_head_file_make(&plan, &err) == BEZEL_OK, "%s", err.text);
    ck_assert_msg(bz_head_file_open(&t.file, &plan, &err) == BEZEL_OK, "%s", err.text);
    ck_assert_msg(bz_decoder_new(&t.decoder, &t.model, 4, use_q8, &err) == BEZEL_OK, "%s", err.text);
}

static void close_table(void)
{
    bz_decoder_free(t.decoder);
    bz_head_file_close(&t.file, &t.engine->world);
    bezel_model_free(t.whole);
    bezel_engine_free(t.engine);
    unlink(t.path);
}

/* Hidden states: random, one dimension far above, along a row of the matrix (few candidates), one-hot, zero. */
static void fill_state(float *x, int kind)
{
    for (size_t k = 0; k < D; k++)
        x[k] = wave(3.0f);
    if (kind % 5 == 1)
        x[7 + 23 * (size_t)(kind % 7)] = kind % 2 ? 90000.0f : -90000.0f;
    if (kind % 5 == 2 || kind % 5 == 3) {
        const size_t n = bz_rng_next(&t.rng) % V;
        t.engine->kernel->dequantize(x, t.rows + n * bz_tensor_row_size(&t.model.weights.output),
                                     t.model.weights.output.dtype, D);
        for (size_t k = 0; k < D; k++)
            x[k] = x[k] * 50.0f / t.norm[k] + wave(0.5f);
    }
    if (kind % 20 == 4)
        for (size_t k = 0; k < D; k++)
            x[k] = k == (size_t)kind % D ? 1.0f : 0.0f;
    if (kind % 20 == 9)
        memset(x, 0, D * sizeof *x);
}

static int32_t pick_screened(const int32_t *forbidden, size_t n_forbidden)
{
    const int32_t *rows;
    for (size_t i = 0; i < n_forbidden; i++)
        bz_decoder_screen_mark(t.decoder, 0, forbidden[i], 0);
    size_t n = bz_decoder_screen_seed(t.decoder, 0, 1, &rows);
    float floor = -INFINITY;
    for (size_t i = 0; i < n; i++)
        floor = t.high[rows[i]] > floor ? t.high[rows[i]] : floor;
    n = bz_decoder_screen_narrow(t.decoder, 0, (double)floor, &rows);
    int32_t best = -1;
    for (size_t i = 0; i < n; i++)
        if (best < 0 || t.high[rows[i]] > t.high[best])
            best = rows[i];
    return best;
}

/* One state through both; forbids the winner of the full pass n_forbidden times over. */
static void compare(int state, size_t n_forbidden)
{
    int32_t forbidden[4], id = -1;
    bz_decoder *d = t.decoder;
    fill_state(d->x + D, state);
    bz_decoder_head(d, 1, 1);
    while (bz_decoder_head_slice(d, t.full, V)) {
    }
    for (size_t i = 0; i < n_forbidden; i++) {
        forbidden[i] = bz_logit_argmax(t.full, V);
        t.full[forbidden[i]] = -INFINITY;
    }
    bz_decoder_head(d, 1, 1);
    d->screen_wait = 0;
    ck_assert_int_eq(bz_decoder_screen_begin(d, &t.file.screen, &t.high), 1);
    while (bz_decoder_screen_slice(d)) {
    }
    id = pick_screened(forbidden, n_forbidden);
    if (id < 0)
        return;
    ++t.n_screened;
    ck_assert_msg(id == bz_logit_argmax(t.full, V), "state %d: screened %d, full %d", state, (int)id,
                  (int)bz_logit_argmax(t.full, V));
    ck_assert_msg(memcmp(&t.high[id], &t.full[id], sizeof t.high[id]) == 0, "state %d: the logit differs", state);
}

START_TEST(the_token_is_the_full_pass_s_at_every_level_type_and_matrix)
{
    const uint32_t isa = levels[_i % N_LEVELS], dtype = types[_i / N_LEVELS % N_TYPES];
    const int kind = _i / N_LEVELS / N_TYPES;
    if (!bz_kernel_has(isa))
        return;
    for (int use_q8 = 0; use_q8 < 2; use_q8++) {
        open_table(isa, 1 + (uint32_t)use_q8, dtype, kind, use_q8);
        for (int state = 0; state < N_STATES; state++)
            compare(state, (size_t)state % 3);
        close_table();
    }
    if (kind == MATRIX_PLAIN || kind == MATRIX_TIES)
        ck_assert_uint_gt(t.n_screened, N_STATES / 4);
}
END_TEST

/* The list holds every row of the k largest logits and their ties, with the bits of the full pass. */
static void compare_largest(int state, size_t k)
{
    const int32_t *rows;
    bz_candidate best[BZ_SCREEN_KEPT];
    bz_decoder *d = t.decoder;
    fill_state(d->x + D, state);
    bz_decoder_head(d, 1, 1);
    while (bz_decoder_head_slice(d, t.full, V)) {
    }
    bz_decoder_head(d, 1, 1);
    d->screen_wait = 0;
    ck_assert_int_eq(bz_decoder_screen_begin(d, &t.file.screen, &t.high), 1);
    while (bz_decoder_screen_slice(d)) {
    }
    size_t n = bz_decoder_screen_seed(d, 0, k, &rows);
    ck_assert_uint_ge(n, k);
    float list[BZ_SCREEN_KEPT * 4 + 8];
    ck_assert_uint_le(n, sizeof list / sizeof *list);
    for (size_t i = 0; i < n; i++)
        list[i] = t.high[rows[i]];
    ck_assert_uint_eq(bz_logit_top(best, list, n, k), k);
    n = bz_decoder_screen_narrow(d, 0, (double)best[k - 1].logit, &rows);
    if (n == 0)
        return;
    ++t.n_screened;
    bz_logit_top(best, t.full, V, k);
    size_t at = 0;
    for (size_t row = 0; row < V; row++) {
        const int is_on = at < n && (size_t)rows[at] == row;
        at += (size_t)is_on;
        ck_assert_msg(is_on || t.full[row] < best[k - 1].logit, "state %d: row %zu is missing", state, row);
        ck_assert_msg(!is_on || memcmp(&t.full[row], &t.high[row], sizeof t.full[row]) == 0, "state %d: row %zu", state, row);
    }
}

START_TEST(the_list_holds_the_largest_logits_and_their_ties)
{
    static const size_t counts[] = {1, 7, 64, BZ_SCREEN_KEPT};
    const uint32_t isa = levels[_i % N_LEVELS];
    if (!bz_kernel_has(isa))
        return;
    for (int kind = 0; kind < N_MATRICES; kind++) {
        open_table(isa, 2, types[_i / N_LEVELS], kind, 1);
        for (int state = 0; state < N_STATES / 4; state++)
            compare_largest(state, counts[state / 5 % 4]);
        close_table();
    }
    ck_assert_uint_gt(t.n_screened, N_STATES / 16);
}
END_TEST

START_TEST(a_state_without_a_number_or_a_level_without_kernels_takes_the_full_pass)
{
    open_table(BEZEL_ISA_AUTO, 1, BZ_DTYPE_Q8_0, MATRIX_PLAIN, 1);
    fill_state(t.decoder->x, 0);
    bz_decoder_head(t.decoder, 0, 1);
    ck_assert_int_eq(bz_decoder_screen_begin(t.decoder, NULL, &t.high), 0);
    t.decoder->x[3] = NAN;
    bz_decoder_head(t.decoder, 0, 1);
    ck_assert_int_eq(bz_decoder_screen_begin(t.decoder, &t.file.screen, &t.high), 0);
    close_table();
    open_table(BEZEL_ISA_SCALAR, 1, BZ_DTYPE_Q8_0, MATRIX_PLAIN, 1);
    fill_state(t.decoder->x, 0);
    bz_decoder_head(t.decoder, 0, 1);
    ck_assert_int_eq(bz_decoder_screen_begin(t.decoder, &t.file.screen, &t.high), 0);
    close_table();
}
END_TEST

START_TEST(tries_that_fail_become_rarer_until_one_succeeds)
{
    unsigned waits[9];
    open_table(BEZEL_ISA_AUTO, 1, BZ_DTYPE_Q8_0, MATRIX_PLAIN, 1);
    if (t.engine->isa == BEZEL_ISA_SCALAR) {
        close_table();
        return;
    }
    for (int i = 0; i < 9; i++) {
        memset(t.decoder->x, 0, D * sizeof(float)); /* all logits are equal */
        for (waits[i] = 0;; waits[i]++) {
            bz_decoder_head(t.decoder, 0, 1);
            if (bz_decoder_screen_begin(t.decoder, &t.file.screen, &t.high))
                break;
        }
        while (bz_decoder_screen_slice(t.decoder)) {
        }
        ck_assert_int_eq(pick_screened(NULL, 0), -1);
    }
    static const unsigned want[9] = {0, 1, 2, 4, 8, 16, 32, 64, 64};
    ck_assert_mem_eq(waits, want, sizeof want);
    t.decoder->screen_wait = 0;
    compare(2, 0);
    ck_assert_uint_eq(t.n_screened, 1);
    ck_assert_uint_eq(t.decoder->screen_wait, 0);
    close_table();
}
END_TEST

/* --- Generations --------------------------------------------------------------------------- */

typedef struct answer {
    int32_t ids[256];
    size_t n;
    uint64_t tries;
} answer;

static bezel_job *start(bezel_session **s, bezel_model *m, uint32_t head, const bezel_sampling *sampling)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_session_options so;
    bezel_generate_options o;
    bezel_job *job;
    int32_t prompt[20];
    bezel_session_options_init(&so);
    so.n_ctx = 256;
    so.head = head;
    ck_assert_msg(bezel_session_new(s, m, &so, &err) == BEZEL_OK, "%s", err.text);
    tiny_model_ids(prompt, 20, 9);
    ck_assert_int_eq(bezel_session_set(*s, prompt, 20, NULL), BEZEL_OK);
    bezel_generate_options_init(&o);
    o.sampling = *sampling;
    o.max_tokens = 150;
    ck_assert_msg(bezel_generate(&job, *s, &o, &err) == BEZEL_OK, "%s", err.text);
    return job;
}

static void generate(answer *out, bezel_model *m, uint32_t head, int on_worker, const bezel_sampling *sampling)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_generation g = {.size = (uint32_t)sizeof g};
    bezel_session *s;
    bezel_job *job = start(&s, m, head, sampling);
    if (on_worker) {
        ck_assert_int_eq(bezel_job_start(job, &err), BEZEL_OK);
        while (bezel_job_wait(job, -1, &err) > 0 && bz_job_status(job) != BEZEL_DONE) {
            bezel_event e = {.size = (uint32_t)sizeof e};
            while (bezel_job_event(job, &e)) {
            }
        }
    } else {
        ck_assert_msg(tiny_model_drive(job, &err) == BEZEL_DONE, "%s", err.text);
    }
    ck_assert_int_eq(bezel_generation_get(job, &g, &err), BEZEL_OK);
    memcpy(out->ids, g.ids, g.n_ids * sizeof *out->ids);
    out->n = g.n_ids;
    out->tries = s->decoder->screen_tries;
    bezel_job_free(job);
    bezel_session_free(s);
}

static bezel_model *open_model(bezel_engine **engine, char path[MODEL_MAKER_PATH])
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_model_options o;
    bezel_model *m;
    model_maker k;
    model_maker_init(&k, 21);
    k.D = D;
    model_maker_file(&k, path);
    *engine = test_engine_new(NULL, 2, BEZEL_ISA_AUTO);
    bezel_model_options_init(&o);
    o.cache_folder = t.folder.path;
    ck_assert_msg(bezel_model_open(&m, *engine, path, &o, &err) == BEZEL_OK, "%s", err.text);
    return m;
}

static const bezel_logit_bias bias[4] = {{1, -INFINITY}, {6, -INFINITY}, {40, 3.0f}, {41, -0.5f}};

static bezel_sampling greedy(uint32_t n_bias, float penalty)
{
    bezel_sampling o;
    bezel_sampling_greedy(&o);
    o.bias = bias;
    o.n_bias = n_bias;
    o.repetition_penalty = penalty;
    return o;
}

static bezel_sampling drawn(float temperature, uint32_t top_k, float top_p, float min_p, float penalty)
{
    bezel_sampling o = greedy(penalty > 1.2f ? 4 : 0, penalty);
    o.temperature = temperature;
    o.top_k = top_k;
    o.top_p = top_p;
    o.min_p = min_p;
    o.seed = 11;
    return o;
}

/* Tokens screened and full; tries 1 = the copy must have been used, 0 = must not. */
static void assert_same_answer(bezel_model *m, const bezel_sampling *o, int tries)
{
    answer full, screened;
    generate(&full, m, BEZEL_HEAD_FULL, 0, o);
    ck_assert_uint_eq(full.tries, 0);
    for (int on_worker = 0; on_worker < 2; on_worker++) {
        generate(&screened, m, BEZEL_HEAD_SCREENED, on_worker, o);
        ck_assert_uint_eq(full.n, screened.n);
        ck_assert_mem_eq(full.ids, screened.ids, full.n * sizeof *full.ids);
        ck_assert_int_eq(screened.tries > 0, tries);
    }
}

START_TEST(a_generation_gives_the_same_tokens_screened_and_full)
{
    bezel_engine *engine;
    char path[MODEL_MAKER_PATH];
    answer full, screened;
    bezel_model *m = open_model(&engine, path);
    const bezel_sampling first = greedy(2, 1.0f);
    generate(&full, m, BEZEL_HEAD_FULL, 0, &first);
    generate(&screened, m, BEZEL_HEAD_SCREENED, 0, &first); /* while the copy is made */
    ck_assert_uint_eq(full.n, screened.n);
    ck_assert_mem_eq(full.ids, screened.ids, full.n * sizeof *full.ids);
    ck_assert_int_eq(bezel_model_prepare(m, NULL), BEZEL_OK);
    const int is_used = bezel_engine_isa(engine) != BEZEL_ISA_SCALAR;
    const bezel_sampling few[] = {
        first, greedy(4, 1.0f), greedy(4, 1.3f), drawn(1.0f, 8, 0.95f, 0.0f, 1.0f), drawn(0.5f, 1, 1.0f, 0.0f, 1.0f),
        drawn(2.0f, 20, 1.0f, 0.1f, 1.0f), drawn(0.8f, 12, 0.9f, 0.02f, 1.5f), drawn(0.7f, 0, 1.0f, 0.3f, 1.0f)};
    for (size_t i = 0; i < sizeof few / sizeof *few; i++)
        assert_same_answer(m, &few[i], is_used);
    const bezel_sampling all[] = {drawn(1.0f, 0, 1.0f, 0.0f, 1.0f), drawn(1.0f, 0, 0.9f, 0.1f, 1.0f),
                                  drawn(1.0f, 5, 1.0f, 0.0f, 0.9f), greedy(0, 0.5f)};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        assert_same_answer(m, &all[i], 0);
    bezel_model_free(m);
    bezel_engine_free(engine);
    unlink(path);
}
END_TEST

/* Five sessions in one batch: scanned together while all of them can be, of the full matrix once one needs all logits. */
START_TEST(sessions_of_a_batch_get_the_same_tokens_screened_and_full)
{
    enum { N = 5 };
    bezel_engine *engine;
    bezel_error err = BEZEL_ERROR_INIT;
    char path[MODEL_MAKER_PATH];
    answer alone[N];
    bezel_session *s[N];
    bezel_job *job[N];
    bezel_batch *batch;
    bezel_status status;
    bezel_model *m = open_model(&engine, path);
    ck_assert_int_eq(bezel_model_prepare(m, NULL), BEZEL_OK);
    for (int with_all = 0; with_all < 2; with_all++) {
        const bezel_sampling o[N] = {greedy(2, 1.0f), drawn(1.0f, 8, 0.95f, 0.0f, 1.0f), greedy(4, 1.3f),
                                     drawn(0.7f, 0, 1.0f, 0.3f, 1.0f), drawn(1.0f, with_all ? 0 : 6, 0.9f, 0.0f, 1.0f)};
        ck_assert_int_eq(bezel_batch_new(&batch, m, NULL, &err), BEZEL_OK);
        for (size_t i = 0; i < N; i++) {
            generate(&alone[i], m, BEZEL_HEAD_FULL, 0, &o[i]);
            job[i] = start(&s[i], m, BEZEL_HEAD_SCREENED, &o[i]);
            ck_assert_msg(bezel_batch_add(batch, job[i], &err) == BEZEL_OK, "%s", err.text);
        }
        do
            status = bezel_batch_step(batch, 1000, &err);
        while (status > 0 && status != BEZEL_DONE);
        for (size_t i = 0; i < N; i++) {
            bezel_generation g = {.size = (uint32_t)sizeof g};
            ck_assert_msg(tiny_model_drive(job[i], &err) == BEZEL_DONE, "%s", err.text); /* ended: its events, its end */
            ck_assert_int_eq(bezel_generation_get(job[i], &g, &err), BEZEL_OK);
            ck_assert_uint_eq(g.n_ids, alone[i].n);
            ck_assert_mem_eq(g.ids, alone[i].ids, g.n_ids * sizeof *g.ids);
            bezel_job_free(job[i]);
            bezel_session_free(s[i]);
        }
        bezel_batch_free(batch);
    }
    bezel_model_free(m);
    bezel_engine_free(engine);
    unlink(path);
}
END_TEST

START_TEST(the_environment_and_the_option_switch_it_off)
{
    bezel_engine *engine;
    bezel_error err = BEZEL_ERROR_INIT;
    char path[MODEL_MAKER_PATH];
    answer a;
    bezel_session *s;
    bezel_session_options so;
    bezel_model *m = open_model(&engine, path);
    ck_assert_int_eq(bezel_model_prepare(m, NULL), BEZEL_OK);
    setenv("BEZEL_HEAD", "full", 1);
    const bezel_sampling o = greedy(0, 1.0f);
    generate(&a, m, BEZEL_HEAD_AUTO, 0, &o);
    ck_assert_uint_eq(a.tries, 0);
    setenv("BEZEL_HEAD", "half", 1);
    bezel_session_options_init(&so);
    ck_assert_int_eq(bezel_session_new(&s, m, &so, &err), BEZEL_ERR_ARGUMENT);
    unsetenv("BEZEL_HEAD");
    so.head = 3;
    ck_assert_int_eq(bezel_session_new(&s, m, &so, &err), BEZEL_ERR_RANGE);
    bezel_model_free(m);
    bezel_engine_free(engine);
    unlink(path);
}
END_TEST

Suite *head_pass_suite(void)
{
    Suite *s = suite_create("head_pass");
    TCase *c = tcase_create("pass");
    tcase_set_timeout(c, 180);
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_add_loop_test(c, the_token_is_the_full_pass_s_at_every_level_type_and_matrix, 0, N_LEVELS * N_TYPES * N_MATRICES);
    tcase_add_loop_test(c, the_list_holds_the_largest_logits_and_their_ties, 0, N_LEVELS * N_TYPES);
    tcase_add_test(c, a_state_without_a_number_or_a_level_without_kernels_takes_the_full_pass);
    tcase_add_test(c, tries_that_fail_become_rarer_until_one_succeeds);
    tcase_add_test(c, a_generation_gives_the_same_tokens_screened_and_full);
    tcase_add_test(c, sessions_of_a_batch_get_the_same_tokens_screened_and_full);
    tcase_add_test(c, the_environment_and_the_option_switch_it_off);
    suite_add_tcase(s, c);
    return s;
}
