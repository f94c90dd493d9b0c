/* SPDX-License-Identifier: MIT */
/* Adapters: what they add is what a merged model computes; files of both forms give back what was written; sessions, batches,
 * forks and saved sessions keep theirs apart; wrong files are refused. */
#include <bezel/adapter.h>

#include <bezel/batch.h>

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/rng.h"
#include "generate/session_impl.h"
#include "support/model_maker.h"
#include "support/temp_folder.h"
#include "support/test_world.h"
#include "support/tiny_model.h"

Suite *adapter_suite(void);

enum { PROMPT = 150, ANSWER = 12, CTX = 400 };

static temp_folder folder;

static void setup(void)
{
    temp_folder_make(&folder);
}

static void teardown(void)
{
    temp_folder_remove(&folder);
}

/* --- Helpers ------------------------------------------------------------------------------ */

static void fill(float *x, size_t n, float range, bz_rng *rng)
{
    for (size_t i = 0; i < n; i++)
        x[i] = ((float)bz_rng_unit(rng) * 2.0f - 1.0f) * range;
}

/* Random pairs for the targets of `mask`, of ranks that differ; strong enough to change every answer. */
static bezel_adapter *random_adapter(const bezel_model *model, uint32_t mask, uint64_t seed)
{
    bezel_adapter *a = NULL;
    bz_rng rng;
    bz_rng_seed(&rng, seed);
    ck_assert_int_eq(bz_adapter_new(&a, model, NULL), BEZEL_OK);
    for (uint32_t i = 0; i < model->config.n_layers * BZ_N_TARGETS; i++) {
        const uint32_t layer = i / BZ_N_TARGETS, target = i % BZ_N_TARGETS, rank = 1 + (i * 5 + (uint32_t)seed) % 18;
        const bz_tensor *m = bz_adapter_matrix(model, layer, target);
        if (!(mask >> target & 1))
            continue;
        ck_assert_int_eq(bz_adapter_add(a, layer, target, rank, 16.0f / (float)rank, NULL), BEZEL_OK);
        fill(a->pairs[i].a, m->K * rank, 0.1f, &rng);
        fill(a->pairs[i].b, m->N * rank, 0.1f, &rng);
    }
    bz_adapter_seal(a);
    return a;
}

enum { ALL = (1 << BZ_N_TARGETS) - 1 };

static void adapt(bezel_session *s, const bezel_adapter *a, float scale)
{
    const bezel_adapter_use use = {a, scale, 0};
    bezel_error err = BEZEL_ERROR_INIT;
    ck_assert_msg(bezel_session_adapt(s, &use, a != NULL, &err) == BEZEL_OK, "%s", err.text);
}

static bezel_session *session_with(const tiny_model *t, uint32_t chunk, uint32_t activations, const bezel_adapter *a)
{
    int32_t ids[PROMPT];
    bezel_session *s = tiny_model_session(t, CTX, chunk, activations);
    tiny_model_ids(ids, PROMPT, 3);
    ck_assert_int_eq(bezel_session_set(s, ids, PROMPT, NULL), BEZEL_OK);
    adapt(s, a, 1.0f);
    return s;
}

static void greedy_with(int32_t out[ANSWER], const tiny_model *t, uint32_t chunk, uint32_t activations, const bezel_adapter *a)
{
    bezel_session *s = session_with(t, chunk, activations, a);
    ck_assert_uint_eq(tiny_model_greedy(out, s, ANSWER), ANSWER);
    bezel_session_free(s);
}

static const char *saved(const bezel_adapter *a, uint32_t form)
{
    const char *path = form == BEZEL_ADAPTER_PEFT ? folder.path : temp_folder_file(&folder, "a.gguf");
    bezel_error err = BEZEL_ERROR_INIT;
    ck_assert_msg(bezel_adapter_save(a, path, form, &err) == BEZEL_OK, "%s", err.text);
    return path;
}

/* --- Numbers ------------------------------------------------------------------------------ */

/* The file of a model with float matrices, with scale * B A added to each of them. */
static void merged_file(const model_maker *k, const bezel_adapter *a, float scale, char path[MODEL_MAKER_PATH])
{
    size_t size;
    uint8_t *bytes = model_maker_bytes(k, &size);
    for (uint32_t i = 0; i < a->model->config.n_layers * BZ_N_TARGETS; i++) {
        const bz_low_rank *p = &a->pairs[i];
        const bz_tensor *m = bz_adapter_matrix(a->model, i / BZ_N_TARGETS, i % BZ_N_TARGETS);
        uint8_t *at = memmem(bytes, size, m->data, m->N * m->K * sizeof(float)); /* random numbers stand in one place */
        ck_assert_ptr_nonnull(at);
        for (size_t n = 0; n < m->N; n++)
            for (size_t c = 0; c < m->K; c++) {
                float w;
                double sum = 0.0;
                for (size_t r = 0; r < p->rank; r++)
                    sum += (double)p->b[r * m->N + n] * (double)p->a[c * p->rank + r];
                memcpy(&w, at + (n * m->K + c) * sizeof w, sizeof w);
                w += (float)(sum * (double)(p->scale * scale));
                memcpy(at + (n * m->K + c) * sizeof w, &w, sizeof w);
            }
    }
    model_maker_put(path, bytes, size);
    free(bytes);
}

START_TEST(an_adapter_computes_what_a_merged_model_does)
{
    char path[MODEL_MAKER_PATH], merged[MODEL_MAKER_PATH];
    int32_t mine[ANSWER], theirs[ANSWER];
    tiny_model t = {0}, other = {0};
    model_maker k;
    bezel_engine_options o;
    model_maker_init(&k, 11);
    k.matrix_dtype = k.embedding_dtype = BZ_DTYPE_F32;
    model_maker_file(&k, path);
    bezel_engine_options_init(&o);
    o.isa = _i == 0 ? BEZEL_ISA_SCALAR : BEZEL_ISA_AUTO;
    ck_assert_int_eq(bezel_engine_new(&t.engine, &o, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_model_open(&t.model, t.engine, path, NULL, NULL), BEZEL_OK);
    bezel_adapter *a = random_adapter(t.model, ALL, 1);
    merged_file(&k, a, 0.5f, merged);
    other.engine = t.engine;
    ck_assert_int_eq(bezel_model_open(&other.model, t.engine, merged, NULL, NULL), BEZEL_OK);
    bezel_session *s = session_with(&t, 32, BEZEL_ACTIVATIONS_F32, NULL), *m = session_with(&other, 32, BEZEL_ACTIVATIONS_F32, NULL);
    ck_assert_uint_eq(tiny_model_greedy(theirs, m, ANSWER), ANSWER);
    ck_assert_uint_eq(tiny_model_greedy(mine, s, ANSWER), ANSWER);
    float apart = 0.0f;
    for (size_t i = 0; i < t.model->config.V; i++)
        apart = fmaxf(apart, fabsf(s->logits[i] - m->logits[i]));
    ck_assert(apart > 0.05f); /* without it the numbers are others */
    ck_assert_int_eq(bezel_session_rewind(s, PROMPT, NULL), BEZEL_OK);
    adapt(s, a, 0.5f);
    ck_assert_uint_eq(tiny_model_greedy(mine, s, ANSWER), ANSWER);
    ck_assert_mem_eq(mine, theirs, sizeof mine);
    for (size_t i = 0; i < t.model->config.V; i++)
        ck_assert_msg(fabsf(s->logits[i] - m->logits[i]) <= 2e-4f * (1.0f + fabsf(m->logits[i])), "%zu: %g, expected %g", i,
                      (double)s->logits[i], (double)m->logits[i]);
    bezel_session_free(s);
    bezel_session_free(m);
    bezel_adapter_free(a);
    bezel_model_free(other.model);
    tiny_model_close(&t);
    unlink(path);
    unlink(merged);
}
END_TEST

START_TEST(an_adapter_of_peft_computes_what_peft_does)
{
    static int32_t ids[PROMPT], one;
    static float want[1024];
    uint32_t head[2];
    bezel_adapter *a = NULL;
    bezel_error err = BEZEL_ERROR_INIT;
    tiny_model t;
    FILE *f = fopen("tests/golden/tiny_adapter.bin", "rb");
    ck_assert_msg(f != NULL, "run the tests from the root of the repository");
    ck_assert_uint_eq(fread(head, 4, 2, f), 2);
    ck_assert(head[0] <= PROMPT && head[1] <= 1024);
    ck_assert_uint_eq(fread(ids, 4, head[0], f), head[0]);
    ck_assert_uint_eq(fread(want, 4, head[1], f), head[1]);
    fclose(f);
    tiny_model_open(&t, _i == 0 ? BEZEL_ISA_SCALAR : BEZEL_ISA_AUTO, 1, NULL);
    ck_assert_msg(bezel_adapter_open(&a, t.model, "tests/golden/tiny_adapter", &err) == BEZEL_OK, "%s", err.text);
    bezel_session *s = tiny_model_session(&t, CTX, 16, BEZEL_ACTIVATIONS_F32);
    adapt(s, a, 1.0f);
    ck_assert_int_eq(bezel_session_set(s, ids, head[0], NULL), BEZEL_OK);
    ck_assert_uint_eq(tiny_model_greedy(&one, s, 1), 1);
    for (size_t i = 0; i < head[1]; i++) /* 1 and 6 are kept out by a bias */
        ck_assert_msg(i == 1 || i == 6 || fabsf(s->logits[i] - want[i]) <= 1e-3f, "%zu: %g, expected %g", i, (double)s->logits[i],
                      (double)want[i]);
    bezel_session_free(s);
    bezel_adapter_free(a);
    tiny_model_close(&t);
}
END_TEST

START_TEST(two_adapters_add_up_and_half_twice_is_whole)
{
    int32_t one[ANSWER], both[ANSWER], halves[ANSWER];
    tiny_model t;
    tiny_model_open(&t, BEZEL_ISA_AUTO, 1, NULL);
    bezel_adapter *a = random_adapter(t.model, ALL, 1), *b = random_adapter(t.model, 0x2D, 2);
    const bezel_adapter_use uses[2] = {{a, 1.0f, 0}, {b, 1.0f, 0}}, split[2] = {{a, 0.5f, 0}, {a, 0.5f, 0}};
    bezel_session *s = session_with(&t, 64, BEZEL_ACTIVATIONS_F32, NULL);
    greedy_with(one, &t, 64, BEZEL_ACTIVATIONS_F32, a);
    ck_assert_int_eq(bezel_session_adapt(s, uses, 2, NULL), BEZEL_OK);
    ck_assert_uint_eq(tiny_model_greedy(both, s, ANSWER), ANSWER);
    ck_assert(memcmp(both, one, sizeof one) != 0);
    ck_assert_int_eq(bezel_session_rewind(s, PROMPT, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_session_adapt(s, split, 2, NULL), BEZEL_OK);
    ck_assert_uint_eq(tiny_model_greedy(halves, s, ANSWER), ANSWER);
    ck_assert_mem_eq(halves, one, sizeof one);
    bezel_session_free(s);
    bezel_adapter_free(a);
    bezel_adapter_free(b);
    tiny_model_close(&t);
}
END_TEST

START_TEST(the_text_does_not_depend_on_threads_or_chunks)
{
    static const uint32_t chunks[] = {1, 7, 64, 150};
    int32_t first[ANSWER], now[ANSWER];
    for (uint32_t activations = BEZEL_ACTIVATIONS_F32; activations <= BEZEL_ACTIVATIONS_Q8; activations++)
        for (uint32_t threads = 1; threads <= 3; threads++) {
            tiny_model t;
            tiny_model_open(&t, BEZEL_ISA_AUTO, threads, NULL);
            bezel_adapter *a = random_adapter(t.model, ALL, 4);
            for (size_t i = 0; i < sizeof chunks / sizeof *chunks; i++) {
                greedy_with(now, &t, chunks[i], activations, a);
                if (threads == 1 && i == 0)
                    memcpy(first, now, sizeof first);
                ck_assert_mem_eq(now, first, sizeof first);
            }
            bezel_adapter_free(a);
            tiny_model_close(&t);
        }
}
END_TEST

/* --- Sessions ----------------------------------------------------------------------------- */

START_TEST(members_of_a_batch_keep_their_own)
{
    enum { N = 3 };
    int32_t alone[N][ANSWER];
    bezel_session *sessions[N];
    bezel_job *jobs[N];
    bezel_batch *batch = NULL;
    tiny_model t;
    tiny_model_open(&t, BEZEL_ISA_AUTO, 2, NULL);
    bezel_adapter *a[N] = {random_adapter(t.model, ALL, 1), NULL, random_adapter(t.model, 0x51, 2)};
    ck_assert_int_eq(bezel_batch_new(&batch, t.model, NULL, NULL), BEZEL_OK);
    for (int i = 0; i < N; i++) {
        bezel_generate_options o;
        greedy_with(alone[i], &t, 64, 0, a[i]);
        for (int j = 0; j < i; j++)
            ck_assert(memcmp(alone[i], alone[j], sizeof alone[i]) != 0);
        const bezel_logit_bias no_end[2] = {{1, -INFINITY}, {6, -INFINITY}};
        sessions[i] = session_with(&t, 64, 0, a[i]);
        bezel_generate_options_init(&o);
        bezel_sampling_greedy(&o.sampling);
        o.sampling.bias = no_end;
        o.sampling.n_bias = 2;
        o.max_tokens = ANSWER;
        ck_assert_int_eq(bezel_generate(&jobs[i], sessions[i], &o, NULL), BEZEL_OK);
        ck_assert_int_eq(bezel_batch_add(batch, jobs[i], NULL), BEZEL_OK);
    }
    for (int i = 0; i < N; i++) {
        bezel_generation g = {.size = (uint32_t)sizeof g};
        ck_assert_int_eq(tiny_model_drive(jobs[i], NULL), BEZEL_DONE);
        ck_assert_int_eq(bezel_generation_get(jobs[i], &g, NULL), BEZEL_OK);
        ck_assert_uint_eq(g.n_ids, ANSWER);
        ck_assert_mem_eq(g.ids, alone[i], sizeof alone[i]);
    }
    for (int i = 0; i < N; i++) {
        bezel_job_free(jobs[i]);
        bezel_session_free(sessions[i]);
        bezel_adapter_free(a[i]);
    }
    bezel_batch_free(batch);
    tiny_model_close(&t);
}
END_TEST

START_TEST(switching_computes_anew_and_forks_and_files_keep_theirs)
{
    int32_t with[ANSWER], without[ANSWER], now[ANSWER];
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_session *f = NULL;
    tiny_model t;
    tiny_model_open(&t, BEZEL_ISA_AUTO, 1, NULL);
    bezel_adapter *a = random_adapter(t.model, ALL, 1);
    greedy_with(with, &t, 64, 0, a);
    greedy_with(without, &t, 64, 0, NULL);
    bezel_session *s = session_with(&t, 64, 0, NULL);
    for (int i = 0; i < 4; i++) {
        adapt(s, i % 2 ? a : NULL, 1.0f);
        ck_assert_uint_eq(tiny_model_greedy(now, s, ANSWER), ANSWER);
        ck_assert_mem_eq(now, i % 2 ? with : without, sizeof now);
        ck_assert_int_eq(bezel_session_rewind(s, PROMPT, NULL), BEZEL_OK);
    }
    const size_t cached = bezel_session_cached(s);
    ck_assert_uint_gt(cached, 0);
    adapt(s, a, 1.0f); /* nothing changes, nothing is lost */
    ck_assert_uint_eq(bezel_session_cached(s), cached);
    ck_assert_int_eq(bezel_session_fork(&f, s, NULL), BEZEL_OK);
    ck_assert_uint_eq(tiny_model_greedy(now, f, ANSWER), ANSWER);
    ck_assert_mem_eq(now, with, sizeof now);
    ck_assert_int_eq(bezel_session_save(s, temp_folder_file(&folder, "s"), NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_session_load(f, temp_folder_file(&folder, "s"), NULL), BEZEL_OK);
    adapt(f, a, 0.25f); /* another scale is another session */
    ck_assert_int_eq(bezel_session_load(f, temp_folder_file(&folder, "s"), &err), BEZEL_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(err.text, "adapters"));
    adapt(f, NULL, 0.0f);
    ck_assert_int_eq(bezel_session_load(f, temp_folder_file(&folder, "s"), NULL), BEZEL_ERR_ARGUMENT);
    bezel_session_free(f);
    bezel_session_free(s);
    bezel_adapter_free(a);
    tiny_model_close(&t);
}
END_TEST

START_TEST(a_session_refuses_what_it_cannot_use)
{
    tiny_model t, other;
    bezel_adapter_use uses[9];
    tiny_model_open(&t, BEZEL_ISA_SCALAR, 1, NULL);
    tiny_model_open(&other, BEZEL_ISA_SCALAR, 1, NULL);
    bezel_adapter *a = random_adapter(t.model, 1, 1);
    bezel_session *s = session_with(&t, 64, 0, a), *o = session_with(&other, 64, 0, NULL);
    for (int i = 0; i < 9; i++)
        uses[i] = (bezel_adapter_use){a, 1.0f, 0};
    ck_assert_int_eq(bezel_session_adapt(s, uses, 9, NULL), BEZEL_ERR_RANGE);
    ck_assert_int_eq(bezel_session_adapt(o, uses, 1, NULL), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(bezel_session_adapt(s, NULL, 1, NULL), BEZEL_ERR_ARGUMENT);
    uses[1].scale = NAN;
    ck_assert_int_eq(bezel_session_adapt(s, uses, 2, NULL), BEZEL_ERR_RANGE);
    uses[1].adapter = NULL;
    ck_assert_int_eq(bezel_session_adapt(s, uses, 2, NULL), BEZEL_ERR_ARGUMENT);
    ck_assert_uint_eq(s->adapters.n, 1); /* as before */
    bezel_session_free(s);
    bezel_session_free(o);
    bezel_adapter_free(a);
    tiny_model_close(&t);
    tiny_model_close(&other);
}
END_TEST

/* --- Files -------------------------------------------------------------------------------- */

START_TEST(both_forms_give_back_what_was_written)
{
    tiny_model t;
    bezel_error err = BEZEL_ERROR_INIT;
    tiny_model_open(&t, BEZEL_ISA_SCALAR, 1, NULL);
    bezel_adapter *a = random_adapter(t.model, ALL - 2, 7), *b = NULL;
    ck_assert_msg(bezel_adapter_open(&b, t.model, saved(a, (uint32_t)_i), &err) == BEZEL_OK, "%s", err.text);
    ck_assert_mem_eq(a->fingerprint, b->fingerprint, sizeof a->fingerprint);
    ck_assert_uint_eq(bezel_adapter_pairs(b, NULL), 6 * t.model->config.n_layers);
    ck_assert_int_eq(temp_folder_count(&folder, "tmp"), 0);
    a->pairs[0].scale *= 3.0f; /* not the others' scale any more: moved into B */
    bezel_adapter_free(b);
    ck_assert_int_eq(bezel_adapter_open(&b, t.model, saved(a, (uint32_t)_i), NULL), BEZEL_OK);
    for (uint32_t i = 0; i < 3; i += 2) {
        const bz_low_rank *p = &a->pairs[i], *q = &b->pairs[i];
        ck_assert(fabsf(p->scale * p->b[0] - q->scale * q->b[0]) <= 1e-5f * fabsf(p->scale * p->b[0]));
    }
    bezel_adapter_free(b);
    bezel_adapter_free(a);
    tiny_model_close(&t);
}
END_TEST

/* Replaces the first `from` of a file by `to` of the same length. */
static void patch(const char *path, const char *from, const char *to)
{
    size_t size;
    char *text = temp_folder_read(path, &size), *at = memmem(text, size, from, strlen(from));
    ck_assert_msg(at != NULL && strlen(from) == strlen(to), "%s", from);
    memcpy(at, to, strlen(to));
    temp_folder_write(path, text, size);
    free(text);
}

START_TEST(wrong_folders_are_refused_with_their_place)
{
    static const struct {
        const char *file, *from, *to, *place;
        bezel_status status;
    } rows[] = {
        {"adapter_config.json", "\"LORA\"", "\"IA33\"", "peft_type", BEZEL_ERR_UNSUPPORTED},
        {"adapter_config.json", "\"bias\": \"none\"", "\"bias\": \"some\"", "bias", BEZEL_ERR_UNSUPPORTED},
        {"adapter_config.json", "use_rslora\": false", "use_dora\" :   true", "use_dora", BEZEL_ERR_UNSUPPORTED},
        {"adapter_config.json", "lora_alpha", "lora_delta", "lora_alpha", BEZEL_ERR_TYPE},
        {"adapter_model.safetensors", "layers.3.mlp.up_proj.lora_A", "layers.9.mlp.up_proj.lora_A", "layers.9", BEZEL_ERR_SHAPE},
        {"adapter_model.safetensors", "layers.3.mlp.up_proj.lora_A", "layers.3.mlp.up_proj.lora_C", "lora_C", BEZEL_ERR_SHAPE},
        {"adapter_model.safetensors", "layers.3.mlp.up_proj.lora_A", "layers.2.mlp.up_proj.lora_A", "layers.", BEZEL_ERR_DUPLICATE},
        {"adapter_model.safetensors", "\"F32\"", "\"I32\"", "lora_A", BEZEL_ERR_UNSUPPORTED},
        {"adapter_model.safetensors", "\"data_offsets\":[0", "\"data_offsets\":[4", "lora_A", BEZEL_ERR_RANGE},
    };
    tiny_model t;
    tiny_model_open(&t, BEZEL_ISA_SCALAR, 1, NULL);
    bezel_adapter *a = random_adapter(t.model, ALL, 7), *b = NULL;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bezel_error err = BEZEL_ERROR_INIT;
        patch(temp_folder_file(&folder, (saved(a, BEZEL_ADAPTER_PEFT), rows[i].file)), rows[i].from, rows[i].to);
        const bezel_status status = bezel_adapter_open(&b, t.model, folder.path, &err);
        ck_assert_msg(status == rows[i].status, "%zu: %s: %s", i, bezel_status_name(status), err.text);
        if (status != BEZEL_ERR_DUPLICATE)
            ck_assert_msg(strstr(err.place, rows[i].place) != NULL, "%zu: %s", i, err.place);
        ck_assert_ptr_null(b);
    }
    ck_assert_int_eq(bezel_adapter_open(&b, t.model, temp_folder_file(&folder, "none"), NULL), BEZEL_ERR_MISSING);
    ck_assert_int_eq(bezel_adapter_open(&b, t.model, TINY_MODEL_PATH, NULL), BEZEL_ERR_UNSUPPORTED); /* a model */
    bezel_adapter_free(a);
    tiny_model_close(&t);
}
END_TEST

START_TEST(an_adapter_of_another_model_is_refused)
{
    char path[MODEL_MAKER_PATH];
    tiny_model t;
    bezel_model *other = NULL;
    model_maker k;
    tiny_model_open(&t, BEZEL_ISA_SCALAR, 1, NULL);
    model_maker_init(&k, 1); /* twice as wide, as many layers */
    if (_i == BEZEL_ADAPTER_GGUF)
        k.arch = "gemma2"; /* GGUF names the family */
    model_maker_file(&k, path);
    bezel_status status = bezel_model_open(&other, t.engine, path, NULL, NULL);
    ck_assert_int_eq(status, BEZEL_OK);
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_adapter *a = random_adapter(t.model, ALL, 7), *b = NULL;
    ck_assert_int_eq(bezel_adapter_open(&b, other, saved(a, (uint32_t)_i), &err), BEZEL_ERR_SHAPE);
    ck_assert_msg(strstr(err.hint, "model it was trained on") != NULL, "%s", err.text);
    bezel_adapter_free(a);
    bezel_model_free(other);
    tiny_model_close(&t);
    unlink(path);
}
END_TEST

START_TEST(a_file_cut_anywhere_or_with_a_flipped_byte_is_never_a_fault)
{
    static const char *const names[3] = {"a.gguf", "adapter_model.safetensors", "adapter_config.json"};
    tiny_model t;
    tiny_model_open(&t, BEZEL_ISA_SCALAR, 1, NULL);
    bezel_adapter *a = random_adapter(t.model, 3, 7), *b = NULL;
    for (int f = 0; f < 3; f++) {
        size_t size;
        const uint32_t form = f == 0 ? BEZEL_ADAPTER_GGUF : BEZEL_ADAPTER_PEFT;
        (void)saved(a, form);
        char *whole = temp_folder_read(temp_folder_file(&folder, names[f]), &size);
        for (size_t n = 0; n < 2000 && n + 2 < size; n += 7) {
            const char *path = form == BEZEL_ADAPTER_PEFT ? folder.path : temp_folder_file(&folder, names[f]);
            temp_folder_write(temp_folder_file(&folder, names[f]), whole, n);
            ck_assert_int_ne(bezel_adapter_open(&b, t.model, path, NULL), BEZEL_OK);
            whole[n] ^= 0x10;
            temp_folder_write(temp_folder_file(&folder, names[f]), whole, size);
            (void)bezel_adapter_open(&b, t.model, path, NULL);
            bezel_adapter_free(b);
            whole[n] ^= 0x10;
        }
        free(whole);
    }
    bezel_adapter_free(a);
    tiny_model_close(&t);
}
END_TEST

/* --- Memory ------------------------------------------------------------------------------- */

typedef struct sweep_place {
    bezel_model *model;
    uint32_t form;
} sweep_place;

static bezel_status open_and_save(test_world *tw, void *ctx)
{
    const sweep_place *p = ctx;
    bezel_adapter *b = NULL;
    (void)tw;
    const char *path = p->form == BEZEL_ADAPTER_PEFT ? folder.path : temp_folder_file(&folder, "a.gguf");
    bezel_status status = bezel_adapter_open(&b, p->model, path, NULL);
    if (status == BEZEL_OK)
        status = bezel_adapter_save(b, path, p->form, NULL);
    bezel_adapter_free(b);
    return status;
}

START_TEST(every_allocation_may_fail)
{
    test_world tw;
    tiny_model t;
    test_world_init(&tw);
    tiny_model_open(&t, BEZEL_ISA_SCALAR, 1, &tw.world);
    sweep_place p = {t.model, (uint32_t)_i};
    bezel_adapter *a = random_adapter(t.model, 1, 7);
    (void)saved(a, p.form);
    bezel_adapter_free(a);
    ck_assert_int_gt(test_world_sweep(&tw, open_and_save, &p, BEZEL_OK), 3);
    tiny_model_close(&t);
    ck_assert(test_world_is_clean(&tw));
}
END_TEST

Suite *adapter_suite(void)
{
    Suite *s = suite_create("adapter");
    TCase *c = tcase_create("adapter");
    tcase_add_checked_fixture(c, setup, teardown);
    tcase_set_timeout(c, 60);
    tcase_add_loop_test(c, an_adapter_computes_what_a_merged_model_does, 0, 2);
    tcase_add_loop_test(c, an_adapter_of_peft_computes_what_peft_does, 0, 2);
    tcase_add_test(c, two_adapters_add_up_and_half_twice_is_whole);
    tcase_add_test(c, the_text_does_not_depend_on_threads_or_chunks);
    tcase_add_test(c, members_of_a_batch_keep_their_own);
    tcase_add_test(c, switching_computes_anew_and_forks_and_files_keep_theirs);
    tcase_add_test(c, a_session_refuses_what_it_cannot_use);
    tcase_add_loop_test(c, both_forms_give_back_what_was_written, BEZEL_ADAPTER_PEFT, BEZEL_ADAPTER_GGUF + 1);
    tcase_add_test(c, wrong_folders_are_refused_with_their_place);
    tcase_add_loop_test(c, an_adapter_of_another_model_is_refused, BEZEL_ADAPTER_PEFT, BEZEL_ADAPTER_GGUF + 1);
    tcase_add_test(c, a_file_cut_anywhere_or_with_a_flipped_byte_is_never_a_fault);
    tcase_add_loop_test(c, every_allocation_may_fail, BEZEL_ADAPTER_PEFT, BEZEL_ADAPTER_GGUF + 1);
    suite_add_tcase(s, c);
    return s;
}
