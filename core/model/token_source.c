/* SPDX-License-Identifier: MIT */
/* tokenizer.ggml.* to bz_vocab_source. Invariant: every array handed on has one item a token and its natural alignment
 * (those of the file have none). The meaning of texts, scores and types is checked where the vocabulary is built. */
#include "model/token_source.h"

#include "base/alloc.h"
#include "base/reader.h"

#include <inttypes.h>
#include <string.h>

typedef struct token_arrays { /* freed once the vocabulary is built */
    const char **texts;
    uint32_t *sizes;
} token_arrays;

static bezel_status tokens_missing(const bz_gguf *g, const char *key, bezel_error *err)
{
    bz_fail(err, BEZEL_ERR_MISSING, "tokenizer", "%s: key \"%s\" is missing", g->name, key);
    bz_error_hint(err, BEZEL_ERR_MISSING, "The file holds no tokenizer; convert the model again with its tokenizer files.");
    return bz_error_place(err, BEZEL_ERR_MISSING, "%s", key);
}

static bezel_status tokens_check_model(const bz_gguf *g, bezel_error *err)
{
    const bz_gguf_value *v = bz_gguf_find(g, "tokenizer.ggml.model");
    const char *text = "";
    size_t size = 0;
    bezel_status status;
    if (!v)
        return tokens_missing(g, "tokenizer.ggml.model", err);
    status = bz_gguf_text(&text, &size, g, v, err);
    if (status == BEZEL_OK && (size != 5 || memcmp(text, "llama", 5) != 0))
        status = bz_gguf_value_fail(err, BEZEL_ERR_UNSUPPORTED, g, v,
                                    "is \"%.*s\", this build reads \"llama\" (SentencePiece with scores)",
                                    size < 64 ? (int)size : 64, text);
    return status;
}

static bezel_status tokens_texts(bz_vocab_source *out, token_arrays *a, const bezel_world *w, const bz_gguf *g,
                                 bezel_error *err)
{
    const bz_gguf_value *v = bz_gguf_find(g, "tokenizer.ggml.tokens");
    uint64_t at = 0;
    size_t i, size = 0;
    if (!v)
        return tokens_missing(g, "tokenizer.ggml.tokens", err);
    if (v->type != BZ_GGUF_ARRAY || v->item_type != BZ_GGUF_TEXT)
        return bz_gguf_value_fail(err, BEZEL_ERR_TYPE, g, v, "has type %s, expected an array of texts",
                                  bz_gguf_type_name(v->type));
    out->n_tokens = (size_t)v->count;
    a->texts = bz_zalloc_array(w, out->n_tokens, sizeof *a->texts);
    a->sizes = bz_zalloc_array(w, out->n_tokens, sizeof *a->sizes);
    if (out->n_tokens > 0 && (!a->texts || !a->sizes))
        return bz_fail_memory(err, "tokenizer", "token list", out->n_tokens * sizeof *a->texts);
    for (i = 0; i < out->n_tokens && bz_gguf_next_text(&a->texts[i], &size, g, v, &at); i++)
        a->sizes[i] = (uint32_t)size; /* at most BZ_GGUF_MAX_TEXT */
    out->texts = a->texts;
    out->text_sizes = a->sizes;
    return BEZEL_OK;
}

/* An optional array with one 4-byte item a token: a copy in out, NULL when the key is absent. */
static bezel_status tokens_numbers(void **out, const bezel_world *w, const bz_gguf *g, const char *key, uint32_t type,
                                   size_t n, bezel_error *err)
{
    const bz_gguf_value *v = bz_gguf_find(g, key);
    uint32_t *copy;
    *out = NULL;
    if (!v)
        return BEZEL_OK;
    if (v->type != BZ_GGUF_ARRAY || v->item_type != type)
        return bz_gguf_value_fail(err, BEZEL_ERR_TYPE, g, v, "has type %s of %s, expected an array of %s",
                                  bz_gguf_type_name(v->type), bz_gguf_type_name(v->item_type), bz_gguf_type_name(type));
    if (v->count != n)
        return bz_gguf_value_fail(err, BEZEL_ERR_SHAPE, g, v, "has %" PRIu64 " items for %zu tokens", v->count, n);
    copy = bz_zalloc_array(w, n, sizeof *copy);
    if (!copy)
        return bz_fail_memory(err, "tokenizer", key, n * sizeof *copy);
    for (size_t i = 0; i < n; i++)
        copy[i] = bz_load_u32(g->header + v->at + 4 * i);
    *out = copy;
    return BEZEL_OK;
}

static bezel_status tokens_id(int64_t *out, const bz_gguf *g, const char *key, size_t n_tokens, bezel_error *err)
{
    const bz_gguf_value *v = bz_gguf_find(g, key);
    bezel_status status;
    *out = -1;
    if (!v)
        return BEZEL_OK;
    status = bz_gguf_int(out, g, v, err);
    if (status == BEZEL_OK && (*out < 0 || (uint64_t)*out >= n_tokens))
        status = bz_gguf_value_fail(err, BEZEL_ERR_RANGE, g, v, "is %" PRId64 ", the vocabulary has ids 0 to %zu", *out,
                                    n_tokens - 1);
    return status;
}

static bezel_status tokens_special(bz_special_ids *out, const bz_gguf *g, size_t n, bezel_error *err)
{
    bezel_status status = tokens_id(&out->bos, g, "tokenizer.ggml.bos_token_id", n, err);
    if (status == BEZEL_OK)
        status = tokens_id(&out->eos, g, "tokenizer.ggml.eos_token_id", n, err);
    if (status == BEZEL_OK)
        status = tokens_id(&out->unk, g, "tokenizer.ggml.unknown_token_id", n, err);
    if (status == BEZEL_OK)
        status = tokens_id(&out->pad, g, "tokenizer.ggml.padding_token_id", n, err);
    if (status == BEZEL_OK)
        status = tokens_id(&out->eot, g, "tokenizer.ggml.eot_token_id", n, err);
    return status;
}

static bezel_status tokens_flag(int *out, const bz_gguf *g, const char *key, bezel_error *err)
{
    const bz_gguf_value *v = bz_gguf_find(g, key);
    *out = -1;
    return v ? bz_gguf_bool(out, g, v, err) : BEZEL_OK;
}

bezel_status bz_token_source_vocab(bz_vocab **out, bz_special_ids *out_special, const bezel_world *w, bz_log *log,
                                   const bz_gguf *g, bezel_error *err)
{
    token_arrays a = {NULL, NULL};
    bz_vocab_source source;
    void *scores = NULL, *types = NULL;
    bezel_status status = tokens_check_model(g, err);
    *out = NULL;
    memset(&source, 0, sizeof source);
    if (status == BEZEL_OK)
        status = tokens_texts(&source, &a, w, g, err);
    if (status == BEZEL_OK)
        status = tokens_numbers(&scores, w, g, "tokenizer.ggml.scores", BZ_GGUF_F32, source.n_tokens, err);
    if (status == BEZEL_OK)
        status = tokens_numbers(&types, w, g, "tokenizer.ggml.token_type", BZ_GGUF_I32, source.n_tokens, err);
    if (status == BEZEL_OK)
        status = tokens_special(out_special, g, source.n_tokens, err);
    if (status == BEZEL_OK)
        status = tokens_flag(&source.add_bos, g, "tokenizer.ggml.add_bos_token", err);
    if (status == BEZEL_OK)
        status = tokens_flag(&source.add_space_prefix, g, "tokenizer.ggml.add_space_prefix", err);
    if (status == BEZEL_OK) {
        source.scores = scores;
        source.types = types;
        source.bos = out_special->bos;
        source.eos = out_special->eos;
        source.unk = out_special->unk;
        source.pad = out_special->pad;
        source.eot = out_special->eot;
        status = bz_vocab_build(out, w, log, &source, err);
    }
    bz_free(w, scores);
    bz_free(w, types);
    bz_free(w, a.texts);
    bz_free(w, a.sizes);
    return status;
}
