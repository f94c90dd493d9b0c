/* SPDX-License-Identifier: MIT */
/* Numbers and tokenizer arrays of a model file: defaults for what is absent, the named error for what is wrong. The file is
 * a made one in which one key is replaced. */
#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"
#include "model/config.h"
#include "model/model_impl.h"
#include "support/model_maker.h"
#include "support/test_engine.h"

static bezel_engine *engine;
static model_maker maker;

static void setup(void)
{
    engine = test_engine_new(NULL, 1, BEZEL_ISA_SCALAR);
    model_maker_init(&maker, 3);
}

static void teardown(void)
{
    bezel_engine_free(engine);
}

static bezel_status read_bytes(void *ud, uint64_t offset, void *buffer, size_t size)
{
    memcpy(buffer, (const uint8_t *)ud + offset, size);
    return BEZEL_OK;
}

/* Opens what the maker makes, from memory. */
static bezel_status open_made(bezel_model **out, bezel_error *err)
{
    bezel_model_options o;
    bezel_status status;
    size_t size = 0;
    void *bytes = model_maker_bytes(&maker, &size);
    bezel_model_options_init(&o);
    o.read = read_bytes;
    o.read_ud = bytes;
    o.read_size = size;
    status = bezel_model_open(out, engine, "made.gguf", &o, err);
    free(bytes); /* a model from a read function holds all it needs */
    return status;
}

/* --- One key replaced --------------------------------------------------------------------- */

typedef struct change {
    const char *id;  /* of the catalogue */
    const char *key; /* left out, and added again unless type is NONE */
    uint32_t type;
    double value;
    const char *text; /* of a text; NULL else */
    bezel_status status;
    const char *word;
} change;

#define NONE 100u
#define U8_LIST 101u  /* array of u8 with `value` items */
#define U32_LIST 102u /* array of u32 2 with `value` items */
#define F32_LIST 103u /* array of f32 1 */
#define TEXT_LIST 104u

static void add_list(bz_gguf_writer *g, const change *c)
{
    size_t n = (size_t)c->value;
    uint8_t *bytes = calloc(n + 1, 8);
    uint32_t *words = calloc(n + 1, 4);
    float *floats = calloc(n + 1, 4);
    const char **texts = calloc(n + 1, sizeof *texts);
    for (size_t i = 0; i < n; i++) {
        words[i] = 2;
        floats[i] = 1.0f;
        texts[i] = "x";
    }
    if (c->type == U8_LIST)
        bz_gguf_writer_array(g, c->key, BZ_GGUF_U8, bytes, n);
    else if (c->type == U32_LIST)
        bz_gguf_writer_array(g, c->key, BZ_GGUF_U32, words, n);
    else if (c->type == F32_LIST)
        bz_gguf_writer_array(g, c->key, BZ_GGUF_F32, floats, n);
    else
        bz_gguf_writer_texts(g, c->key, texts, NULL, n);
    free(bytes);
    free(words);
    free(floats);
    free(texts);
}

static void add_change(bz_gguf_writer *g, void *ud)
{
    const change *c = ud;
    if (c->type == NONE)
        return;
    if (c->type >= U8_LIST)
        add_list(g, c);
    else if (c->type == BZ_GGUF_TEXT)
        bz_gguf_writer_text(g, c->key, c->text, SIZE_MAX);
    else if (c->type == BZ_GGUF_F32 || c->type == BZ_GGUF_F64)
        bz_gguf_writer_float(g, c->key, c->type, c->value);
    else
        bz_gguf_writer_uint(g, c->key, c->type, (uint64_t)(int64_t)c->value);
}

static bezel_status open_changed(bezel_model **out, const change *c, bezel_error *err)
{
    change copy = *c;
    bezel_status status;
    maker.skip_key = c->key;
    maker.extra = add_change;
    maker.extra_ud = &copy;
    status = open_made(out, err);
    maker.skip_key = NULL;
    maker.extra = NULL;
    return status;
}

#define NO_TEXT NULL
static const change refused[] = {
    {"H01", "general.architecture", NONE, 0, NO_TEXT, BEZEL_ERR_MISSING, "general.architecture"},
    {"H01", "general.architecture", BZ_GGUF_U32, 3, NO_TEXT, BEZEL_ERR_TYPE, "u32"},
    {"H01", "general.architecture", BZ_GGUF_TEXT, 0, "llama", BEZEL_ERR_UNSUPPORTED, "gemma, gemma2, gemma3"},
    {"H01", "general.architecture", BZ_GGUF_TEXT, 0, "gemma33", BEZEL_ERR_UNSUPPORTED, "gemma33"},
    {"", "general.type", BZ_GGUF_TEXT, 0, "adapter", BEZEL_ERR_UNSUPPORTED, "adapter"},
    {"", "general.name", BZ_GGUF_U32, 0, NO_TEXT, BEZEL_ERR_TYPE, "general.name"},
    {"H02", "gemma3.block_count", NONE, 0, NO_TEXT, BEZEL_ERR_MISSING, "block_count"},
    {"H02", "gemma3.block_count", BZ_GGUF_U32, 0, NO_TEXT, BEZEL_ERR_RANGE, "1 to 512"},
    {"H02", "gemma3.block_count", BZ_GGUF_U32, 513, NO_TEXT, BEZEL_ERR_RANGE, "513"},
    {"H02", "gemma3.block_count", BZ_GGUF_U32, 2147483648.0, NO_TEXT, BEZEL_ERR_RANGE, "2147483648"},
    {"H02", "gemma3.block_count", BZ_GGUF_U32, 4294967295.0, NO_TEXT, BEZEL_ERR_RANGE, "4294967295"},
    {"H02", "gemma3.block_count", BZ_GGUF_I32, -1, NO_TEXT, BEZEL_ERR_RANGE, "-1"},
    {"H02", "gemma3.block_count", BZ_GGUF_TEXT, 0, "7", BEZEL_ERR_TYPE, "an integer"},
    {"H02", "gemma3.block_count", BZ_GGUF_F32, 7, NO_TEXT, BEZEL_ERR_TYPE, "f32"},
    {"H02", "gemma3.block_count", BZ_GGUF_BOOL, 1, NO_TEXT, BEZEL_ERR_TYPE, "bool"},
    {"H03", "gemma3.attention.head_count", BZ_GGUF_U32, 0, NO_TEXT, BEZEL_ERR_RANGE, "head_count"},
    {"H03", "gemma3.attention.head_count", NONE, 0, NO_TEXT, BEZEL_ERR_MISSING, "head_count"},
    {"H03", "gemma3.attention.head_count", BZ_GGUF_U32, 1e9, NO_TEXT, BEZEL_ERR_RANGE, "head_count"},
    {"H03", "gemma3.attention.head_count_kv", BZ_GGUF_U32, 0, NO_TEXT, BEZEL_ERR_RANGE, "head_count_kv"},
    {"H03", "gemma3.attention.head_count_kv", BZ_GGUF_U32, 3, NO_TEXT, BEZEL_ERR_RANGE, "head_count_kv"},
    {"H04", "gemma3.attention.head_count", U32_LIST, 3, NO_TEXT, BEZEL_ERR_SHAPE, "3 items for 7 layers"},
    {"H04", "gemma3.attention.head_count", TEXT_LIST, 7, NO_TEXT, BEZEL_ERR_TYPE, "array"},
    {"H05", "gemma3.embedding_length", BZ_GGUF_U32, 0, NO_TEXT, BEZEL_ERR_SHAPE, "embedding_length"},
    {"H05", "gemma3.embedding_length", BZ_GGUF_U32, 63, NO_TEXT, BEZEL_ERR_SHAPE, "even"},
    {"H05", "gemma3.embedding_length", BZ_GGUF_U32, 2147483648.0, NO_TEXT, BEZEL_ERR_SHAPE, "2147483648"},
    {"H05", "gemma3.embedding_length", BZ_GGUF_U32, 96, NO_TEXT, BEZEL_ERR_SHAPE, "token_embd.weight"},
    {"", "gemma3.feed_forward_length", BZ_GGUF_U32, 0, NO_TEXT, BEZEL_ERR_RANGE, "feed_forward_length"},
    {"", "gemma3.feed_forward_length", BZ_GGUF_U32, 160, NO_TEXT, BEZEL_ERR_SHAPE, "ffn_gate"},
    {"", "gemma3.attention.key_length", NONE, 0, NO_TEXT, BEZEL_ERR_MISSING, "key_length"},
    {"", "gemma3.attention.key_length", BZ_GGUF_U32, 0, NO_TEXT, BEZEL_ERR_RANGE, "key_length"},
    {"", "gemma3.attention.key_length", BZ_GGUF_U32, 33, NO_TEXT, BEZEL_ERR_RANGE, "even"},
    {"", "gemma3.attention.value_length", BZ_GGUF_U32, 64, NO_TEXT, BEZEL_ERR_UNSUPPORTED, "value_length"},
    {"H09", "gemma3.context_length", BZ_GGUF_U32, 0, NO_TEXT, BEZEL_ERR_RANGE, "context_length"},
    {"H09", "gemma3.context_length", NONE, 0, NO_TEXT, BEZEL_ERR_MISSING, "context_length"},
    {"H10", "gemma3.attention.sliding_window", BZ_GGUF_U32, 0, NO_TEXT, BEZEL_ERR_RANGE, "sliding_window"},
    {"H10", "gemma3.attention.sliding_window", BZ_GGUF_U32, 1025, NO_TEXT, BEZEL_ERR_RANGE, "1 to 1024"},
    {"H10", "gemma3.attention.sliding_window", NONE, 0, NO_TEXT, BEZEL_ERR_MISSING, "sliding_window"},
    {"H10", "gemma3.attention.sliding_window_pattern", BZ_GGUF_U32, 0, NO_TEXT, BEZEL_ERR_RANGE, "pattern"},
    {"H10", "gemma3.attention.sliding_window_pattern", U8_LIST, 6, NO_TEXT, BEZEL_ERR_SHAPE, "6 items"},
    {"H10", "gemma3.attention.sliding_window_pattern", F32_LIST, 7, NO_TEXT, BEZEL_ERR_TYPE, "f32"},
    {"H11", "gemma3.rope.dimension_count", BZ_GGUF_U32, 0, NO_TEXT, BEZEL_ERR_RANGE, "dimension_count"},
    {"H11", "gemma3.rope.dimension_count", BZ_GGUF_U32, 31, NO_TEXT, BEZEL_ERR_RANGE, "even"},
    {"H11", "gemma3.rope.dimension_count", BZ_GGUF_U32, 34, NO_TEXT, BEZEL_ERR_RANGE, "2 to 32"},
    {"H11", "gemma3.rope.dimension_count", BZ_GGUF_U32, 16, NO_TEXT, BEZEL_ERR_UNSUPPORTED, "whole heads"},
    {"G47", "gemma3.rope.freq_base", BZ_GGUF_F32, (double)NAN, NO_TEXT, BEZEL_ERR_RANGE, "freq_base"},
    {"G47", "gemma3.rope.freq_base", BZ_GGUF_F32, (double)INFINITY, NO_TEXT, BEZEL_ERR_RANGE, "freq_base"},
    {"G47", "gemma3.rope.freq_base", BZ_GGUF_F32, 0, NO_TEXT, BEZEL_ERR_RANGE, "freq_base"},
    {"G47", "gemma3.rope.freq_base", BZ_GGUF_F32, -1e4, NO_TEXT, BEZEL_ERR_RANGE, "freq_base"},
    {"G47", "gemma3.rope.freq_base_swa", BZ_GGUF_F32, (double)NAN, NO_TEXT, BEZEL_ERR_RANGE, "freq_base_swa"},
    {"G47", "gemma3.attention.layer_norm_rms_epsilon", BZ_GGUF_F32, (double)NAN, NO_TEXT, BEZEL_ERR_RANGE, "epsilon"},
    {"G47", "gemma3.attention.layer_norm_rms_epsilon", BZ_GGUF_F32, 0, NO_TEXT, BEZEL_ERR_RANGE, "epsilon"},
    {"G47", "gemma3.final_logit_softcapping", BZ_GGUF_F32, (double)INFINITY, NO_TEXT, BEZEL_ERR_RANGE, "softcapping"},
    {"G47", "gemma3.final_logit_softcapping", BZ_GGUF_F32, -30, NO_TEXT, BEZEL_ERR_RANGE, "softcapping"},
    {"", "gemma3.rope.scaling.type", BZ_GGUF_TEXT, 0, "yarn", BEZEL_ERR_UNSUPPORTED, "yarn"},
    {"", "gemma3.rope.scaling.factor", BZ_GGUF_F32, 0, NO_TEXT, BEZEL_ERR_RANGE, "factor"},
    {"", "tokenizer.ggml.model", NONE, 0, NO_TEXT, BEZEL_ERR_MISSING, "tokenizer.ggml.model"},
    {"", "tokenizer.ggml.model", BZ_GGUF_TEXT, 0, "gpt2", BEZEL_ERR_UNSUPPORTED, "gpt2"},
    {"", "tokenizer.ggml.tokens", NONE, 0, NO_TEXT, BEZEL_ERR_MISSING, "tokenizer.ggml.tokens"},
    {"", "tokenizer.ggml.tokens", U32_LIST, 9, NO_TEXT, BEZEL_ERR_TYPE, "array of texts"},
    {"T02", "tokenizer.ggml.scores", F32_LIST, 5, NO_TEXT, BEZEL_ERR_SHAPE, "5 items"},
    {"T02", "tokenizer.ggml.scores", F32_LIST, 5000, NO_TEXT, BEZEL_ERR_SHAPE, "5000 items"},
    {"T02", "tokenizer.ggml.token_type", U32_LIST, 5, NO_TEXT, BEZEL_ERR_TYPE, "u32"},
    {"T03", "tokenizer.ggml.scores", U8_LIST, 700, NO_TEXT, BEZEL_ERR_TYPE, "u8"},
    {"T03", "tokenizer.ggml.token_type", U8_LIST, 700, NO_TEXT, BEZEL_ERR_TYPE, "u8"},
    {"T03", "tokenizer.ggml.scores", BZ_GGUF_F32, 1, NO_TEXT, BEZEL_ERR_TYPE, "f32"},
    {"T04", "tokenizer.ggml.bos_token_id", BZ_GGUF_U32, 100000, NO_TEXT, BEZEL_ERR_RANGE, "bos_token_id"},
    {"T04", "tokenizer.ggml.eos_token_id", BZ_GGUF_I32, -1, NO_TEXT, BEZEL_ERR_RANGE, "eos_token_id"},
    {"T04", "tokenizer.ggml.padding_token_id", BZ_GGUF_U32, 4294967295.0, NO_TEXT, BEZEL_ERR_RANGE, "padding_token_id"},
    {"T04", "tokenizer.ggml.unknown_token_id", BZ_GGUF_TEXT, 0, "3", BEZEL_ERR_TYPE, "unknown_token_id"},
    {"T04", "tokenizer.ggml.eot_token_id", BZ_GGUF_U64, 1e15, NO_TEXT, BEZEL_ERR_RANGE, "eot_token_id"},
    {"", "tokenizer.ggml.add_bos_token", BZ_GGUF_U32, 1, NO_TEXT, BEZEL_ERR_TYPE, "add_bos_token"},
    {"T10", "tokenizer.ggml.tokens", TEXT_LIST, 0, NO_TEXT, BEZEL_ERR_RANGE, "is 0"},
    {"T10", "tokenizer.ggml.tokens", TEXT_LIST, 1, NO_TEXT, BEZEL_ERR_RANGE, "is 1"},
    {"T10", "tokenizer.ggml.tokens", TEXT_LIST, 2000001, NO_TEXT, BEZEL_ERR_RANGE, "2000001"},
    {"", "tokenizer.chat_template", BZ_GGUF_U32, 1, NO_TEXT, BEZEL_ERR_TYPE, "chat_template"},
};

START_TEST(a_wrong_number_is_refused_with_its_key)
{
    const change *c = &refused[_i];
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_model *m = NULL;
    bezel_status status = open_changed(&m, c, &err);
    ck_assert_msg(status == c->status, "%s %s = %g: %s %s, expected %s", c->id, c->key, c->value, bezel_status_name(status),
                  err.text, bezel_status_name(c->status));
    ck_assert_ptr_null(m);
    ck_assert_msg(strstr(err.text, c->word) != NULL, "%s %s: \"%s\" lacks \"%s\"", c->id, c->key, err.text, c->word);
    ck_assert_ptr_nonnull(strstr(err.text, "made.gguf"));
    ck_assert_msg(err.place[0] != '\0', "%s: no place", c->key);
}
END_TEST

/* --- What is accepted --------------------------------------------------------------------- */

static void expect_opens(bezel_model **out, const change *c)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_status status = open_changed(out, c, &err);
    ck_assert_msg(status == BEZEL_OK, "%s: %s", c->key, err.text);
}

START_TEST(absent_keys_take_the_familys_defaults)
{
    static const char *const optional[] = {"gemma3.attention.head_count_kv", "gemma3.attention.value_length",
                                           "gemma3.attention.layer_norm_rms_epsilon", "gemma3.rope.freq_base",
                                           "general.name", "tokenizer.ggml.bos_token_id", "tokenizer.ggml.add_bos_token",
                                           "tokenizer.ggml.scores"};
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_model *m = NULL;
    maker.Hkv = maker.H; /* what an absent head_count_kv means */
    for (size_t i = 0; i < sizeof optional / sizeof optional[0]; i++) {
        maker.skip_key = optional[i];
        ck_assert_msg(open_made(&m, &err) == BEZEL_OK, "%s: %s", optional[i], err.text);
        ck_assert_uint_eq(m->config.Hkv, 2);
        ck_assert_double_eq((double)m->config.eps, (double)1e-6f);
        ck_assert_double_eq((double)m->config.rope_base_global, (double)1e6f);
        ck_assert_double_eq((double)m->config.rope_base_local, (double)1e4f); /* never the global base */
        ck_assert_double_eq((double)m->config.rope_factor_global, (double)1.0f);
        ck_assert_double_eq((double)m->config.final_softcap, (double)0.0f);
        ck_assert_double_eq((double)m->config.attn_softcap, (double)0.0f);
        bezel_model_free(m);
    }
}
END_TEST

START_TEST(every_sixth_layer_of_gemma_3_is_global_unless_the_file_says_otherwise)
{
    static const change period = {"", "gemma3.attention.sliding_window_pattern", BZ_GGUF_U32, 2, NULL, BEZEL_OK, ""};
    static const change list = {"", "gemma3.attention.sliding_window_pattern", U8_LIST, 7, NULL, BEZEL_OK, ""};
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_model *m = NULL;
    ck_assert_int_eq(open_made(&m, &err), BEZEL_OK);
    for (uint32_t l = 0; l < 7; l++)
        ck_assert_int_eq(m->config.is_global[l], l == 5);
    ck_assert_uint_eq(m->config.window, 8);
    bezel_model_free(m);
    expect_opens(&m, &period);
    for (uint32_t l = 0; l < 7; l++)
        ck_assert_int_eq(m->config.is_global[l], l % 2);
    bezel_model_free(m);
    expect_opens(&m, &list); /* a list of "is local", all 0 */
    for (uint32_t l = 0; l < 7; l++)
        ck_assert_int_eq(m->config.is_global[l], 1);
    ck_assert_uint_eq(m->config.window, 0);
    bezel_model_free(m);
}
END_TEST

START_TEST(integers_of_other_widths_and_equal_lists_are_taken)
{
    static const change rows[] = {
        {"", "gemma3.block_count", BZ_GGUF_U64, 7, NULL, BEZEL_OK, ""},
        {"", "gemma3.block_count", BZ_GGUF_I32, 7, NULL, BEZEL_OK, ""},
        {"", "gemma3.block_count", BZ_GGUF_U8, 7, NULL, BEZEL_OK, ""},
        {"H04", "gemma3.attention.head_count", U32_LIST, 7, NULL, BEZEL_OK, ""},
        {"", "gemma3.rope.freq_base", BZ_GGUF_F64, 1e6, NULL, BEZEL_OK, ""},
        {"H09", "gemma3.context_length", BZ_GGUF_U32, 4294967295.0, NULL, BEZEL_OK, ""},
        {"", "gemma3.rope.scaling.type", BZ_GGUF_TEXT, 0, "none", BEZEL_OK, ""},
        {"", "general.type", BZ_GGUF_TEXT, 0, "model", BEZEL_OK, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bezel_model *m = NULL;
        expect_opens(&m, &rows[i]);
        ck_assert_uint_eq(m->notes.count, 0);
        bezel_model_free(m);
    }
}
END_TEST

START_TEST(unknown_keys_of_the_family_and_a_wrong_vocab_size_are_remarked)
{
    static const change unknown = {"G48", "gemma3.brand_new", BZ_GGUF_U32, 1, NULL, BEZEL_OK, ""};
    static const change general = {"G48", "general.brand_new", BZ_GGUF_U32, 1, NULL, BEZEL_OK, ""};
    static const change vocabulary = {"", "gemma3.vocab_size", BZ_GGUF_U32, 99, NULL, BEZEL_OK, ""};
    bezel_model *m = NULL;
    expect_opens(&m, &unknown);
    ck_assert_uint_eq(m->notes.count, 1);
    ck_assert_ptr_nonnull(strstr(m->notes.texts[0], "gemma3.brand_new"));
    bezel_model_free(m);
    expect_opens(&m, &general);
    ck_assert_uint_eq(m->notes.count, 0);
    bezel_model_free(m);
    expect_opens(&m, &vocabulary);
    ck_assert_uint_eq(m->notes.count, 1);
    ck_assert_uint_ne(bezel_model_vocab_size(m), 99);
    bezel_model_free(m);
}
END_TEST

START_TEST(gemma_1_and_2_take_their_own_defaults)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_model *m = NULL;
    maker.arch = "gemma2";
    maker.skip_key = "gemma2.attention.sliding_window";
    ck_assert_msg(open_made(&m, &err) == BEZEL_OK, "%s", err.text);
    ck_assert_double_eq((double)m->config.attn_softcap, (double)50.0f);
    ck_assert_double_eq((double)m->config.final_softcap, (double)30.0f);
    ck_assert_uint_eq(m->config.window, 1024); /* 4096, but not beyond the context */
    ck_assert_int_eq(m->config.is_global[0], 0);
    ck_assert_int_eq(m->config.is_global[1], 1);
    ck_assert_ptr_null(m->weights.layers[0].q_norm);
    ck_assert_ptr_nonnull(m->weights.layers[0].post_ffn_norm);
    bezel_model_free(m);
    maker.arch = "gemma";
    maker.skip_key = NULL;
    ck_assert_msg(open_made(&m, &err) == BEZEL_OK, "%s", err.text);
    ck_assert_uint_eq(m->config.window, 0);
    ck_assert_int_eq(m->config.is_global[0], 1);
    ck_assert_ptr_null(m->weights.layers[0].post_ffn_norm);
    bezel_model_free(m);
}
END_TEST

START_TEST(scales_follow_the_published_formulas)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_model *m = NULL;
    bezel_model_options o;
    size_t size = 0;
    void *bytes;
    ck_assert_int_eq(open_made(&m, &err), BEZEL_OK);
    ck_assert_double_eq((double)m->config.embed_scale, (double)8.0f);
    ck_assert_double_eq((double)m->config.score_scale, (double)(float)(1.0 / sqrt(32.0)));
    bezel_model_free(m);
    maker.D = 640;
    maker.layers = 62; /* the wide size: 1 / sqrt(D / H) */
    ck_assert_msg(open_made(&m, &err) == BEZEL_OK, "%s", err.text);
    ck_assert_double_eq((double)m->config.score_scale, (double)(float)(1.0 / sqrt(320.0)));
    ck_assert_double_eq((double)m->config.embed_scale, (double)25.298221f);
    bezel_model_free(m);
    maker.layers = 1;
    bytes = model_maker_bytes(&maker, &size);
    bezel_model_options_init(&o);
    o.read = read_bytes;
    o.read_ud = bytes;
    o.read_size = size;
    o.bf16_embedding_scale = 1;
    ck_assert_int_eq(bezel_model_open(&m, engine, "made.gguf", &o, &err), BEZEL_OK);
    ck_assert_double_eq((double)m->config.embed_scale, (double)25.25f);
    bezel_model_free(m);
    free(bytes);
}
END_TEST

START_TEST(a_rope_factor_is_read_for_linear_scaling)
{
    static const change factor = {"", "gemma3.rope.scaling.factor", BZ_GGUF_F32, 8, NULL, BEZEL_OK, ""};
    bezel_model *m = NULL;
    expect_opens(&m, &factor);
    ck_assert_double_eq((double)m->config.rope_factor_global, (double)8.0f);
    bezel_model_free(m);
}
END_TEST

START_TEST(a_chat_template_over_its_limit_is_refused)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_model *m = NULL;
    char *large = malloc((1u << 20) + 2);
    memset(large, 'x', (1u << 20) + 1);
    large[(1u << 20) + 1] = '\0';
    maker.chat_template = large;
    ck_assert_int_eq(open_made(&m, &err), BEZEL_ERR_LIMIT);
    ck_assert_ptr_nonnull(strstr(err.text, "chat_template"));
    free(large);
}
END_TEST

Suite *config_suite(void)
{
    Suite *s = suite_create("config");
    TCase *t = tcase_create("numbers");
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_loop_test(t, a_wrong_number_is_refused_with_its_key, 0, (int)(sizeof refused / sizeof refused[0]));
    tcase_add_test(t, absent_keys_take_the_familys_defaults);
    tcase_add_test(t, every_sixth_layer_of_gemma_3_is_global_unless_the_file_says_otherwise);
    tcase_add_test(t, integers_of_other_widths_and_equal_lists_are_taken);
    tcase_add_test(t, unknown_keys_of_the_family_and_a_wrong_vocab_size_are_remarked);
    tcase_add_test(t, gemma_1_and_2_take_their_own_defaults);
    tcase_add_test(t, scales_follow_the_published_formulas);
    tcase_add_test(t, a_rope_factor_is_read_for_linear_scaling);
    tcase_add_test(t, a_chat_template_over_its_limit_is_refused);
    suite_add_tcase(s, t);
    return s;
}
