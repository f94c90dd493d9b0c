/* SPDX-License-Identifier: MIT */
/* The public tokenizer functions of a model: arguments checked, the work done by core/text. Reads only, any thread. */
#include <bezel/tokenizer.h>

#include "base/strbuf.h"
#include "model/model_impl.h"
#include "text/detokenizer.h"
#include "text/tokenizer_impl.h"

#include <inttypes.h>
#include <string.h>

#define TOKENIZE_MAX_TEXT ((size_t)1 << 30)

bezel_status bezel_tokenize(int32_t *out, size_t capacity, size_t *out_count, const bezel_model *model, const char *text,
                            size_t size, uint32_t flags, bezel_error *err)
{
    bz_ids ids;
    bezel_status status;
    if (!out_count || !model || (!text && size > 0) || (!out && capacity > 0))
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "tokenizer", "a parameter is NULL");
    *out_count = 0;
    if (size == SIZE_MAX)
        size = text ? strlen(text) : 0;
    if (flags & ~(uint32_t)(BEZEL_TOKENIZE_BOS | BEZEL_TOKENIZE_SPECIAL))
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "tokenizer", "unknown flags 0x%" PRIx32, flags);
    if (size > TOKENIZE_MAX_TEXT)
        return bz_fail(err, BEZEL_ERR_LIMIT, "tokenizer", "text of %zu bytes, at most %zu", size, TOKENIZE_MAX_TEXT);
    bz_ids_init(&ids, &model->engine->world);
    if ((flags & BEZEL_TOKENIZE_BOS) && bz_vocab_bos(model->vocab) >= 0)
        bz_ids_add(&ids, bz_vocab_bos(model->vocab));
    status = ids.status == BEZEL_OK ? bz_tokenize(&ids, model->vocab, text ? text : "", size,
                                                  (flags & BEZEL_TOKENIZE_SPECIAL) != 0, err)
                                    : bz_fail_memory(err, "tokenizer", "ids", sizeof(int32_t));
    if (status == BEZEL_OK) {
        *out_count = ids.count;
        if (ids.count <= capacity) {
            if (ids.count > 0)
                memcpy(out, ids.ids, ids.count * sizeof *out);
        } else if (out) {
            status = bz_fail(err, BEZEL_ERR_LIMIT, "tokenizer", "%zu ids, there is room for %zu", ids.count, capacity);
        }
    }
    bz_ids_free(&ids);
    return status;
}

bezel_status bezel_detokenize(char **out, size_t *out_size, const bezel_model *model, const int32_t *ids, size_t count,
                              int32_t special, bezel_error *err)
{
    bz_strbuf text;
    if (!out || !model || (!ids && count > 0))
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "tokenizer", "a parameter is NULL");
    *out = NULL;
    for (size_t i = 0; i < count; i++) {
        if (ids[i] < 0 || (uint32_t)ids[i] >= model->config.V)
            return bz_fail(err, BEZEL_ERR_RANGE, "tokenizer", "id %" PRId32 " at position %zu, the vocabulary has 0 to %" PRIu32,
                           ids[i], i, model->config.V - 1);
    }
    bz_strbuf_init(&text, &model->engine->world, 0);
    bz_strbuf_text(&text, "");
    for (size_t i = 0; i < count; i++)
        bz_detokenize(&text, model->vocab, ids[i], special != 0);
    if (text.status != BEZEL_OK) {
        bezel_status status = text.status == BEZEL_ERR_MEMORY
                                  ? bz_fail_memory(err, "tokenizer", "text", text.size)
                                  : bz_fail(err, text.status, "tokenizer", "the text is over %zu bytes", text.size);
        bz_strbuf_free(&text);
        return status;
    }
    *out = bz_strbuf_take(&text, out_size);
    return *out ? BEZEL_OK : bz_fail_memory(err, "tokenizer", "text", 1);
}

int32_t bezel_token_id(const bezel_model *model, const char *text, size_t size)
{
    return bz_vocab_find(model->vocab, text, size == SIZE_MAX ? strlen(text) : size);
}

const char *bezel_token_text(const bezel_model *model, int32_t id, size_t *out_size)
{
    size_t size = 0;
    const char *text = bz_vocab_text(model->vocab, id, &size);
    if (out_size)
        *out_size = size;
    return text;
}

int32_t bezel_token_is_end(const bezel_model *model, int32_t id)
{
    return bz_vocab_is_end(model->vocab, id) ? 1 : 0;
}

int32_t bezel_token_bos(const bezel_model *model)
{
    return bz_vocab_bos(model->vocab);
}

bezel_status bz_model_trie(const bz_vocab_trie **out, bezel_model *model, bezel_error *err)
{
    bezel_status status = BEZEL_OK;
    bz_mutex_lock(model->trie_mutex);
    if (model->trie == NULL)
        status = bz_trie_file_get(&model->trie, &model->trie_file, model->engine, model->vocab, err);
    *out = model->trie;
    bz_mutex_unlock(model->trie_mutex);
    return status;
}
