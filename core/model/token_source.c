/* SPDX-License-Identifier: MIT */
/* tokenizer.ggml.* to the items of a vocabulary. Invariant: every array has one item a token; numbers are read byte by byte,
 * as those of the file have no alignment. The meaning of texts, scores and types is checked where the vocabulary is built. */
#include "model/token_source.h"

#include "base/byte_order.h"

#include <inttypes.h>
#include <string.h>

enum {
    TOKENS_BATCH = 2048, /* items on the stack: 48 KiB */
    TOKENS_BATCHES = 4   /* a unit: some tenths of a millisecond */
};

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

static bezel_status tokens_texts(bz_token_source *t, const bz_gguf *g, bezel_error *err)
{
    const bz_gguf_value *v = bz_gguf_find(g, "tokenizer.ggml.tokens");
    if (!v)
        return tokens_missing(g, "tokenizer.ggml.tokens", err);
    if (v->type != BZ_GGUF_ARRAY || v->item_type != BZ_GGUF_TEXT)
        return bz_gguf_value_fail(err, BEZEL_ERR_TYPE, g, v, "has type %s, expected an array of texts",
                                  bz_gguf_type_name(v->type));
    t->texts = v;
    return BEZEL_OK;
}

/* An optional array with one 4-byte item a token: its bytes in the header, NULL when the key is absent. */
static bezel_status tokens_numbers(const uint8_t **out, const bz_gguf *g, const char *key, uint32_t type, size_t n,
                                   bezel_error *err)
{
    const bz_gguf_value *v = bz_gguf_find(g, key);
    *out = NULL;
    if (!v)
        return BEZEL_OK;
    if (v->type != BZ_GGUF_ARRAY || v->item_type != type)
        return bz_gguf_value_fail(err, BEZEL_ERR_TYPE, g, v, "has type %s of %s, expected an array of %s",
                                  bz_gguf_type_name(v->type), bz_gguf_type_name(v->item_type), bz_gguf_type_name(type));
    if (v->count != n)
        return bz_gguf_value_fail(err, BEZEL_ERR_SHAPE, g, v, "has %" PRIu64 " items for %zu tokens", v->count, n);
    *out = g->header + v->at;
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

bezel_status bz_token_source_begin(bz_token_source *t, bz_special_ids *out_special, const bz_gguf *g, bezel_error *err)
{
    bz_vocab_facts *facts = &t->facts;
    bezel_status status = tokens_check_model(g, err);
    if (status == BEZEL_OK)
        status = tokens_texts(t, g, err);
    if (status != BEZEL_OK)
        return status;
    const size_t n = facts->n_tokens = (size_t)t->texts->count;
    status = tokens_numbers(&t->scores, g, "tokenizer.ggml.scores", BZ_GGUF_F32, n, err);
    if (status == BEZEL_OK)
        status = tokens_numbers(&t->types, g, "tokenizer.ggml.token_type", BZ_GGUF_I32, n, err);
    if (status == BEZEL_OK)
        status = tokens_special(out_special, g, n, err);
    if (status == BEZEL_OK)
        status = tokens_flag(&facts->add_bos, g, "tokenizer.ggml.add_bos_token", err);
    if (status == BEZEL_OK)
        status = tokens_flag(&facts->add_space_prefix, g, "tokenizer.ggml.add_space_prefix", err);
    facts->has_types = t->types != NULL;
    facts->bos = out_special->bos;
    facts->eos = out_special->eos;
    facts->unk = out_special->unk;
    facts->pad = out_special->pad;
    facts->eot = out_special->eot;
    facts->block = (const char *)g->header;
    facts->block_size = (size_t)g->header_size;
    return status;
}

static bezel_status tokens_add(bz_token_source *t, bz_vocab *vocab, const bz_gguf *g, bz_thread_pool *pool, bezel_error *err)
{
    bz_vocab_item items[TOKENS_BATCH];
    size_t n = 0, size = 0;
    while (n < TOKENS_BATCH && bz_gguf_next_text(&items[n].text, &size, g, t->texts, &t->at)) {
        items[n].size = (uint32_t)size; /* at most BZ_GGUF_MAX_TEXT */
        items[n].score = t->scores ? bz_load_f32(t->scores + 4 * (t->n + n)) : 0.0F;
        items[n].type = t->types ? (int32_t)bz_load_u32(t->types + 4 * (t->n + n)) : 0;
        n++;
    }
    t->n += n;
    return bz_vocab_add(vocab, items, n, pool, err);
}

bezel_status bz_token_source_unit(bz_token_source *t, bz_vocab **vocab, bezel_engine *engine, const bz_gguf *g, bezel_error *err)
{
    bezel_status status = BEZEL_OK;
    if (!*vocab)
        status = bz_vocab_begin(vocab, &engine->world, &t->facts, err);
    for (int i = 0; i < TOKENS_BATCHES && status == BEZEL_OK && t->n < t->texts->count; i++)
        status = tokens_add(t, *vocab, g, engine->pool, err);
    if (status != BEZEL_OK)
        return status;
    return t->n < t->texts->count ? BEZEL_MORE : bz_vocab_finish(*vocab, engine->log, err);
}
