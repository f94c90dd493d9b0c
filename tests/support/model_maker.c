/* SPDX-License-Identifier: MIT */
/* Small random Gemma files. The same options give the same bytes on every machine. */
#include "support/model_maker.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/rng.h"
#include "compute/quant.h"
#include "model/weight_map.h"
#include "text/vocab.h"

/* --- Vocabulary --------------------------------------------------------------------------- */

typedef struct maker_vocab {
    char texts[MODEL_MAKER_MAX_TOKENS][48];
    const char *pointers[MODEL_MAKER_MAX_TOKENS];
    uint32_t sizes[MODEL_MAKER_MAX_TOKENS];
    float scores[MODEL_MAKER_MAX_TOKENS];
    int32_t types[MODEL_MAKER_MAX_TOKENS];
    uint32_t count;
} maker_vocab;

static void maker_token(maker_vocab *v, const char *text, size_t size, int32_t type, float score)
{
    if (type == BZ_TOKEN_NORMAL) { /* the same piece may come from two words */
        for (uint32_t i = 0; i < v->count; i++) {
            if (v->sizes[i] == size && memcmp(v->texts[i], text, size) == 0)
                return;
        }
    }
    ck_assert_uint_lt(v->count, MODEL_MAKER_MAX_TOKENS);
    ck_assert_uint_lt(size, sizeof v->texts[0]);
    memcpy(v->texts[v->count], text, size);
    v->pointers[v->count] = v->texts[v->count];
    v->sizes[v->count] = (uint32_t)size;
    v->types[v->count] = type;
    v->scores[v->count] = score;
    v->count++;
}

static void maker_run(maker_vocab *v, char c, int from, int to)
{
    char run[32];
    memset(run, c, sizeof run);
    for (int n = from; n <= to; n++)
        maker_token(v, run, (size_t)n, BZ_TOKEN_USER_DEFINED, -1000.0f);
}

/* Every beginning of a word that starts with U+2581, so that each is made from the one before and a letter. */
static void maker_word(maker_vocab *v, const char *word)
{
    char text[48];
    int n = snprintf(text, sizeof text, "\xe2\x96\x81%s", word);
    for (int i = 4; i <= n; i++)
        maker_token(v, text, (size_t)i, BZ_TOKEN_NORMAL, -(float)v->count);
}

static void maker_vocabulary(maker_vocab *v)
{
    static const char *const control[] = {"<pad>", "<eos>", "<bos>", "<unk>", "<mask>"};
    static const char *const marks[] = {"<unused0>", "<unused1>", "<start_of_turn>", "<end_of_turn>"};
    static const char *const user[] = {"<table>", "</table>", "<b>", "</b>", "</s>", "\t", "\t\t", "<start_of_image>",
                                       "<end_of_image>"};
    static const char *const words[] = {"the", "of", "and", "to", "in", "is", "what", "weather", "temperature", "user",
                                        "assistant", "model", "result", "call", "get", "city", "tokyo", "paris", "hello",
                                        "world", "answer", "question", "tool", "function", "name", "value", "today"};
    static const char *const pieces[] = {"er", "in", "th", "he", "User", "Us", "ser", "ing", "ng", "un", "\xc3\xa9", "\xe4\xb8\xad",
                                         "\xe6\x96\x87", "\xf0\x9f\x99\x82"};
    char text[8];
    memset(v, 0, sizeof *v);
    for (size_t i = 0; i < 5; i++)
        maker_token(v, control[i], strlen(control[i]), BZ_TOKEN_CONTROL, -1000.0f);
    maker_token(v, "[multimodal]", 12, BZ_TOKEN_USER_DEFINED, -1000.0f);
    for (size_t i = 0; i < 4; i++)
        maker_token(v, marks[i], strlen(marks[i]), BZ_TOKEN_CONTROL, -1000.0f);
    maker_run(v, '\n', 1, 31);
    maker_run(v, ' ', 2, 31);
    for (size_t i = 0; i < sizeof user / sizeof user[0]; i++)
        maker_token(v, user[i], strlen(user[i]), BZ_TOKEN_USER_DEFINED, -1000.0f);
    for (unsigned b = 0; b < 256; b++) {
        snprintf(text, sizeof text, "<0x%02X>", b);
        maker_token(v, text, 6, BZ_TOKEN_BYTE, 0.0f);
    }
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        maker_word(v, words[i]);
    for (size_t i = 0; i < sizeof pieces / sizeof pieces[0]; i++)
        maker_token(v, pieces[i], strlen(pieces[i]), BZ_TOKEN_NORMAL, -(float)v->count);
    maker_token(v, "\xe2\x96\x81", 3, BZ_TOKEN_NORMAL, -(float)v->count);
    for (char c = '!'; c <= '~'; c++)
        maker_token(v, &c, 1, BZ_TOKEN_NORMAL, -(float)v->count);
}

/* --- Metadata ----------------------------------------------------------------------------- */

static int maker_wants(const model_maker *k, const char *key)
{
    return !k->skip_key || strcmp(k->skip_key, key) != 0;
}

static void maker_uint(const model_maker *k, bz_gguf_writer *g, const char *suffix, uint32_t value)
{
    char key[96];
    snprintf(key, sizeof key, "%s.%s", k->arch, suffix);
    if (maker_wants(k, key))
        bz_gguf_writer_uint(g, key, BZ_GGUF_U32, value);
}

static void maker_numbers(const model_maker *k, bz_gguf_writer *g)
{
    char key[96];
    if (maker_wants(k, "general.architecture"))
        bz_gguf_writer_text(g, "general.architecture", k->arch, SIZE_MAX);
    if (k->name && maker_wants(k, "general.name"))
        bz_gguf_writer_text(g, "general.name", k->name, SIZE_MAX);
    maker_uint(k, g, "context_length", k->n_ctx);
    maker_uint(k, g, "embedding_length", k->D);
    maker_uint(k, g, "block_count", k->layers);
    maker_uint(k, g, "feed_forward_length", k->F);
    maker_uint(k, g, "attention.head_count", k->H);
    maker_uint(k, g, "attention.head_count_kv", k->Hkv);
    maker_uint(k, g, "attention.key_length", k->Dh);
    maker_uint(k, g, "attention.value_length", k->Dh);
    if (strcmp(k->arch, "gemma") != 0)
        maker_uint(k, g, "attention.sliding_window", k->window);
    snprintf(key, sizeof key, "%s.attention.layer_norm_rms_epsilon", k->arch);
    if (maker_wants(k, key))
        bz_gguf_writer_float(g, key, BZ_GGUF_F32, 1e-6);
    snprintf(key, sizeof key, "%s.rope.freq_base", k->arch);
    if (maker_wants(k, key))
        bz_gguf_writer_float(g, key, BZ_GGUF_F32, strcmp(k->arch, "gemma3") == 0 ? 1e6 : 1e4);
}

static void maker_tokenizer(const model_maker *k, bz_gguf_writer *g, const maker_vocab *v)
{
    static const struct {
        const char *key;
        uint32_t id;
    } ids[] = {{"tokenizer.ggml.bos_token_id", 2},
               {"tokenizer.ggml.eos_token_id", 1},
               {"tokenizer.ggml.unknown_token_id", 3},
               {"tokenizer.ggml.padding_token_id", 0}};
    if (maker_wants(k, "tokenizer.ggml.model"))
        bz_gguf_writer_text(g, "tokenizer.ggml.model", "llama", SIZE_MAX);
    if (maker_wants(k, "tokenizer.ggml.tokens"))
        bz_gguf_writer_texts(g, "tokenizer.ggml.tokens", v->pointers, v->sizes, v->count);
    if (maker_wants(k, "tokenizer.ggml.scores"))
        bz_gguf_writer_array(g, "tokenizer.ggml.scores", BZ_GGUF_F32, v->scores, v->count);
    if (maker_wants(k, "tokenizer.ggml.token_type"))
        bz_gguf_writer_array(g, "tokenizer.ggml.token_type", BZ_GGUF_I32, v->types, v->count);
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        if (maker_wants(k, ids[i].key))
            bz_gguf_writer_uint(g, ids[i].key, BZ_GGUF_U32, ids[i].id);
    }
    if (maker_wants(k, "tokenizer.ggml.add_bos_token"))
        bz_gguf_writer_uint(g, "tokenizer.ggml.add_bos_token", BZ_GGUF_BOOL, 1);
    if (maker_wants(k, "tokenizer.ggml.add_space_prefix"))
        bz_gguf_writer_uint(g, "tokenizer.ggml.add_space_prefix", BZ_GGUF_BOOL, 0);
    if (k->chat_template)
        bz_gguf_writer_text(g, "tokenizer.chat_template", k->chat_template, SIZE_MAX);
}

/* --- Tensors ------------------------------------------------------------------------------ */

typedef struct maker_file {
    const model_maker *k;
    bz_gguf_writer *g;
    bz_rng rng;
    bz_config config;
    const bz_family *family;
    void **data; /* blocks to free */
    uint32_t n_data;
} maker_file;

/* About normal, standard deviation 1: the sum of three uniform numbers. */
static float maker_random(bz_rng *r)
{
    return (float)(2.0 * (bz_rng_unit(r) + bz_rng_unit(r) + bz_rng_unit(r) - 1.5));
}

static uint32_t maker_dtype(const model_maker *k, const bz_weight_row *row)
{
    if (row->is_norm)
        return k->norm_dtype;
    if (!row->is_layer)
        return k->embedding_dtype;
    if (row->member == offsetof(bz_layer_weights, down) && k->down_dtype != UINT32_MAX)
        return k->down_dtype;
    return k->matrix_dtype;
}

/* Blocks of N rows of K elements; *out_size bytes. */
static void *maker_rows(bz_rng *rng, const bz_weight_row *row, uint32_t dtype, uint64_t K, uint64_t N, size_t *out_size)
{
    size_t row_size = bz_quant_row_size(dtype, (size_t)K);
    uint8_t *data = malloc((size_t)N * row_size);
    float *x = malloc((size_t)K * sizeof *x);
    float scale = row->is_norm ? 0.1f : row->is_layer ? 1.0f / sqrtf((float)K) : 0.25f;
    ck_assert_ptr_nonnull(data);
    ck_assert_ptr_nonnull(x);
    ck_assert_uint_gt(row_size, 0);
    for (uint64_t n = 0; n < N; n++) {
        for (uint64_t i = 0; i < K; i++)
            x[i] = (row->is_norm ? 1.0f : 0.0f) + scale * maker_random(rng);
        if (dtype == BZ_DTYPE_F32)
            memcpy(data + n * row_size, x, (size_t)K * sizeof *x);
        else
            ck_assert_int_eq(bz_quant_encode(data + n * row_size, x, dtype, (size_t)K), 1);
    }
    free(x);
    *out_size = (size_t)N * row_size;
    return data;
}

static void maker_bad_scale(uint8_t *data, size_t size, uint32_t dtype)
{
    const bz_dtype *d = bz_dtype_find(dtype);
    uint8_t *block = data + size - d->block_size;
    uint32_t at = dtype == BZ_DTYPE_Q6_K ? 208 : dtype == BZ_DTYPE_Q3_K ? 108 : dtype == BZ_DTYPE_Q2_K ? 80 : 0;
    if (dtype == BZ_DTYPE_F32)
        at = 2;
    block[at] = dtype == BZ_DTYPE_F32 || dtype == BZ_DTYPE_BF16 ? 0xC0 : 0x01; /* a NaN of the type */
    block[at + 1] = dtype == BZ_DTYPE_F32 || dtype == BZ_DTYPE_BF16 ? 0x7F : 0x7E;
}

static void maker_tensor(maker_file *f, const bz_weight_row *row, uint32_t layer)
{
    const model_maker *k = f->k;
    char name[64];
    uint64_t K = bz_weight_size(&f->config, row->K), N = bz_weight_size(&f->config, row->N);
    uint32_t dtype = maker_dtype(k, row), no = f->n_data, n_dims = row->is_norm ? 1 : 2;
    int how;
    size_t size = 0;
    uint64_t dims[2];
    void *data;
    bz_weight_name(name, row, layer);
    how = k->spoil && strcmp(k->spoil, name) == 0 ? k->spoil_how : MODEL_MAKER_WHOLE;
    if (how == MODEL_MAKER_SHORT || how == MODEL_MAKER_LONG) {
        uint64_t *changed = row->is_norm ? &K : &N;
        *changed += how == MODEL_MAKER_SHORT ? UINT64_MAX : 1;
    }
    data = maker_rows(&f->rng, row, dtype, K, N, &size); /* always, so that one change moves no other number */
    if (how == MODEL_MAKER_LEAVE_OUT || (k->split_count > 1 && no % k->split_count != k->split_no)) {
        free(data);
        f->data[f->n_data++] = NULL;
        return;
    }
    dims[0] = how == MODEL_MAKER_TRANSPOSE ? N : K;
    dims[1] = how == MODEL_MAKER_TRANSPOSE ? K : N;
    if (how == MODEL_MAKER_TRANSPOSE)
        n_dims = 2;
    if (how == MODEL_MAKER_AS_I32) {
        dtype = 26;
        dims[0] = size / 4;
        n_dims = 1;
        if (row->is_norm == 0) { /* keep the shape, so that only the type is wrong */
            dims[0] = K;
            n_dims = 2;
            free(data);
            size = (size_t)(K * N * 4);
            data = calloc(1, size);
            ck_assert_ptr_nonnull(data);
        }
    }
    if (how == MODEL_MAKER_BAD_SCALE)
        maker_bad_scale(data, size, dtype);
    f->data[f->n_data++] = data;
    bz_gguf_writer_tensor(f->g, name, dtype, n_dims, dims, data, size);
}

static void maker_tensors(maker_file *f)
{
    for (uint32_t i = 0; i < bz_n_weight_rows; i++) {
        const bz_weight_row *row = &bz_weight_rows[i];
        int need = bz_weight_row_need(row, f->family);
        if (need < 0 || (need == 0 && !f->k->untied))
            continue;
        for (uint32_t layer = 0; layer < (row->is_layer ? f->config.n_layers : 1); layer++)
            maker_tensor(f, row, layer);
    }
}

static void maker_config(maker_file *f, const maker_vocab *v)
{
    const model_maker *k = f->k;
    memset(&f->config, 0, sizeof f->config);
    f->config.n_layers = k->layers;
    f->config.D = k->D;
    f->config.F = k->F;
    f->config.H = k->H;
    f->config.Hkv = k->Hkv;
    f->config.Dh = k->Dh;
    f->config.V = v->count;
    f->family = bz_family_find(k->arch, strlen(k->arch));
    ck_assert_ptr_nonnull(f->family);
}

static void maker_split(const maker_file *f)
{
    const model_maker *k = f->k;
    if (k->split_count < 2)
        return;
    if (maker_wants(k, "split.no"))
        bz_gguf_writer_uint(f->g, "split.no", BZ_GGUF_U16, k->split_no);
    if (maker_wants(k, "split.count"))
        bz_gguf_writer_uint(f->g, "split.count", BZ_GGUF_U16, k->split_count);
    if (maker_wants(k, "split.tensors.count")) {
        uint32_t n = 0;
        while (model_maker_tensor(k, n))
            n++;
        bz_gguf_writer_uint(f->g, "split.tensors.count", BZ_GGUF_I32, n);
    }
}

/* --- Public ------------------------------------------------------------------------------- */

void model_maker_init(model_maker *k, uint64_t seed)
{
    memset(k, 0, sizeof *k);
    k->seed = seed;
    k->arch = "gemma3";
    k->name = "Made Gemma";
    k->layers = 7;
    k->n_ctx = 1024;
    k->D = 64;
    k->F = 128;
    k->H = 2;
    k->Hkv = 1;
    k->Dh = 32;
    k->window = 8;
    k->matrix_dtype = BZ_DTYPE_Q8_0;
    k->embedding_dtype = BZ_DTYPE_Q8_0;
    k->norm_dtype = BZ_DTYPE_F32;
    k->down_dtype = UINT32_MAX;
}

void *model_maker_bytes(const model_maker *k, size_t *out_size)
{
    static maker_vocab vocab; /* 60 KiB: too much for a stack, the same for all */
    bezel_world world;
    bezel_error err = BEZEL_ERROR_INIT;
    maker_file f = {0};
    void *made = NULL, *bytes;
    bezel_world_init(&world);
    maker_vocabulary(&vocab);
    for (size_t i = 0; k->control && k->control[i]; i++)
        maker_token(&vocab, k->control[i], strlen(k->control[i]), BZ_TOKEN_CONTROL, -1000.0f);
    f.k = k;
    bz_rng_seed(&f.rng, k->seed);
    maker_config(&f, &vocab);
    f.data = calloc(bz_n_weight_rows * (size_t)(k->layers + 1), sizeof *f.data);
    ck_assert_ptr_nonnull(f.data);
    ck_assert_msg(bz_gguf_writer_new(&f.g, &world, &err) == BEZEL_OK, "%s", err.text);
    maker_split(&f);
    if (k->split_no == 0) {
        maker_numbers(k, f.g);
        maker_tokenizer(k, f.g, &vocab);
    }
    if (k->extra)
        k->extra(f.g, k->extra_ud);
    maker_tensors(&f);
    ck_assert_msg(bz_gguf_writer_memory(&made, out_size, f.g, &err) == BEZEL_OK, "%s", err.text);
    bytes = malloc(*out_size);
    ck_assert_ptr_nonnull(bytes);
    memcpy(bytes, made, *out_size);
    bz_free(&world, made);
    bz_gguf_writer_free(f.g);
    for (uint32_t i = 0; i < f.n_data; i++)
        free(f.data[i]);
    free(f.data);
    return bytes;
}

static const char *maker_temporary(void)
{
    const char *folder = getenv("TMPDIR");
    return folder && *folder ? folder : "/tmp";
}

void model_maker_put(char path[MODEL_MAKER_PATH], const void *bytes, size_t size)
{
    FILE *file;
    int fd;
    snprintf(path, MODEL_MAKER_PATH, "%s/bezel-test-XXXXXX", maker_temporary());
    fd = mkstemp(path);
    ck_assert_msg(fd >= 0, "cannot make %s", path);
    file = fdopen(fd, "wb");
    ck_assert_ptr_nonnull(file);
    ck_assert_uint_eq(fwrite(bytes, 1, size, file), size);
    ck_assert_int_eq(fclose(file), 0);
}

void model_maker_file(const model_maker *k, char path[MODEL_MAKER_PATH])
{
    size_t size = 0;
    void *bytes = model_maker_bytes(k, &size);
    model_maker_put(path, bytes, size);
    free(bytes);
}

void model_maker_folder(char path[MODEL_MAKER_PATH])
{
    snprintf(path, MODEL_MAKER_PATH, "%s/bezel-test-XXXXXX", maker_temporary());
    ck_assert_ptr_nonnull(mkdtemp(path));
}

const char *model_maker_tensor(const model_maker *k, uint32_t i)
{
    static char name[64];
    const bz_family *family = bz_family_find(k->arch, strlen(k->arch));
    for (uint32_t r = 0; r < bz_n_weight_rows; r++) {
        const bz_weight_row *row = &bz_weight_rows[r];
        uint32_t n = row->is_layer ? k->layers : 1;
        int need = bz_weight_row_need(row, family);
        if (need < 0 || (need == 0 && !k->untied))
            continue;
        if (i < n)
            return bz_weight_name(name, row, i);
        i -= n;
    }
    return NULL;
}
