/* SPDX-License-Identifier: MIT */
/* A model as a value tree, and the memory it will need. Reads only; nothing here decides anything. */
#include "model/decoder.h"
#include "model/kv_cache.h"
#include "model/model_impl.h"
#include "model/weights.h"

#include <string.h>

static void describe_integer(bezel_tree *tree, bezel_value *map, const char *key, uint64_t n)
{
    bezel_value_set(tree, map, key, n <= INT64_MAX ? bezel_tree_integer(tree, (int64_t)n) : bezel_tree_number(tree, (double)n));
}

static void describe_text(bezel_tree *tree, bezel_value *map, const char *key, const char *text)
{
    bezel_value_set(tree, map, key, bezel_tree_text(tree, text, SIZE_MAX));
}

/* "tensors": a map from type name to count and bytes, in order of type ids. */
static void describe_tensors(bezel_tree *tree, bezel_value *map, const bezel_model *m)
{
    bezel_value *types = bezel_tree_map(tree);
    for (uint32_t id = 0; id < 64; id++) {
        uint64_t count = 0, bytes = 0;
        bezel_value *type;
        for (uint32_t i = 0; i < bz_weight_source_count(m->source); i++) {
            bz_weight_entry e = bz_weight_source_at(m->source, i);
            if (e.tensor->dtype == id) {
                count++;
                bytes += e.tensor->size;
            }
        }
        if (count == 0)
            continue;
        type = bezel_tree_map(tree);
        describe_integer(tree, type, "count", count);
        describe_integer(tree, type, "bytes", bytes);
        bezel_value_set(tree, types, bz_gguf_dtype_name(id), type);
    }
    describe_integer(tree, map, "n_tensors", bz_weight_source_count(m->source));
    bezel_value_set(tree, map, "tensors", types);
}

static void describe_special(bezel_tree *tree, bezel_value *map, const char *key, int64_t id)
{
    bezel_value_set(tree, map, key, id < 0 ? bezel_tree_null(tree) : bezel_tree_integer(tree, id));
}

static void describe_tokenizer(bezel_tree *tree, bezel_value *map, const bezel_model *m)
{
    bezel_value *special = bezel_tree_map(tree), *ends = bezel_tree_list(tree);
    describe_special(tree, special, "bos", m->special.bos);
    describe_special(tree, special, "eos", m->special.eos);
    describe_special(tree, special, "unknown", m->special.unk);
    describe_special(tree, special, "padding", m->special.pad);
    describe_special(tree, special, "end_of_turn", m->special.eot);
    for (uint32_t id = 0; id < m->config.V; id++) {
        if (bz_vocab_is_end(m->vocab, (int32_t)id))
            bezel_value_append(tree, ends, bezel_tree_integer(tree, id));
    }
    bezel_value_set(tree, map, "special_ids", special);
    bezel_value_set(tree, map, "end_ids", ends);
}

static void describe_config(bezel_tree *tree, bezel_value *map, const bz_config *c)
{
    uint32_t n_global = 0;
    for (uint32_t l = 0; l < c->n_layers; l++)
        n_global += c->is_global[l];
    describe_integer(tree, map, "layers", c->n_layers);
    describe_integer(tree, map, "global_layers", n_global);
    describe_integer(tree, map, "width", c->D);
    describe_integer(tree, map, "feed_forward", c->F);
    describe_integer(tree, map, "heads", c->H);
    describe_integer(tree, map, "kv_heads", c->Hkv);
    describe_integer(tree, map, "head_width", c->Dh);
    describe_integer(tree, map, "window", c->window);
    describe_integer(tree, map, "n_ctx", c->n_ctx);
    describe_integer(tree, map, "vocab_size", c->V);
}

bezel_status bezel_model_describe(bezel_value **out, bezel_tree *tree, const bezel_model *model, bezel_error *err)
{
    static const char hex[] = "0123456789abcdef";
    uint64_t bytes = 0, parameters = 0;
    char fingerprint[33];
    bezel_value *map, *warnings;
    if (!out || !tree || !model)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "model", "out, tree or model is NULL");
    *out = NULL;
    map = bezel_tree_map(tree);
    warnings = bezel_tree_list(tree);
    bz_weights_total(&bytes, &parameters, &model->config, model->source);
    for (int i = 0; i < 16; i++) {
        fingerprint[2 * i] = hex[model->fingerprint[i] >> 4];
        fingerprint[2 * i + 1] = hex[model->fingerprint[i] & 15];
    }
    fingerprint[32] = '\0';
    describe_text(tree, map, "path", model->path);
    describe_text(tree, map, "name", bezel_model_name(model));
    describe_text(tree, map, "architecture", model->config.arch);
    describe_text(tree, map, "kind", model->kind == BEZEL_KIND_INSTRUCT ? "instruct" : "pretrained");
    bezel_value_set(tree, map, "chat_template", bezel_tree_bool(tree, model->chat_template != NULL));
    describe_integer(tree, map, "parameters", parameters);
    describe_config(tree, map, &model->config);
    describe_integer(tree, map, "file_bytes", bz_weight_source_file_size(model->source));
    describe_integer(tree, map, "weight_bytes", bytes);
    describe_integer(tree, map, "files", bz_weight_source_parts(model->source));
    bezel_value_set(tree, map, "mapped", bezel_tree_bool(tree, (int32_t)model->is_mapped));
    describe_tensors(tree, map, model);
    bezel_value_set(tree, map, "tied_output", bezel_tree_bool(tree, model->weights.layers && model->weights.output.data == model->weights.embedding.data));
    describe_tokenizer(tree, map, model);
    describe_text(tree, map, "fingerprint", fingerprint);
    for (uint32_t i = 0; i < model->notes.count; i++)
        bezel_value_append(tree, warnings, bezel_tree_text(tree, model->notes.texts[i], SIZE_MAX));
    bezel_value_set(tree, map, "warnings", warnings);
    if (bezel_tree_status(tree) != BEZEL_OK)
        return bz_fail(err, bezel_tree_status(tree), "model", "the description does not fit: %s",
                       bezel_status_name(bezel_tree_status(tree)));
    *out = map;
    return BEZEL_OK;
}

bezel_status bezel_model_plan(bezel_value **out, bezel_tree *tree, bezel_engine *engine, const char *path, uint32_t n_ctx,
                              bezel_error *err)
{
    bz_weight_source *source = NULL;
    bz_config config;
    uint64_t weights = 0, parameters = 0, kv = 0, scratch = 0;
    uint32_t kv_dtype;
    bezel_value *map;
    bezel_status status;
    if (!out || !tree || !engine || !path)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "model", "out, tree, engine or path is NULL");
    *out = NULL;
    status = bz_weight_source_open(&source, &engine->world, path, NULL, NULL, err);
    if (status == BEZEL_OK)
        status = bz_config_read(&config, bz_weight_source_metadata(source), 0, NULL, err);
    if (status == BEZEL_OK)
        status = bz_weights_check(&config, source, NULL, err);
    if (status != BEZEL_OK)
        goto done;
    if (n_ctx == 0)
        n_ctx = config.n_ctx < BZ_DEFAULT_CTX ? config.n_ctx : BZ_DEFAULT_CTX;
    kv_dtype = bz_decoder_default_q8(engine) ? BZ_DTYPE_F16 : BZ_DTYPE_F32; /* as bezel_session_new pairs them */
    bz_weights_total(&weights, &parameters, &config, source);
    kv = bz_kv_cache_bytes(&config, n_ctx, kv_dtype);
    scratch = bz_decoder_bytes(&config, engine, BZ_DEFAULT_CHUNK);
    if (kv > (uint64_t)INT64_MAX / 4 || scratch > (uint64_t)INT64_MAX / 4) {
        status = bz_fail(err, BEZEL_ERR_LIMIT, "model", "%s: a session of %u positions needs more memory than can be counted",
                         path, (unsigned)n_ctx);
        goto done;
    }
    scratch += (uint64_t)config.V * sizeof(float) + (uint64_t)n_ctx * sizeof(int32_t); /* logits and ids */
    map = bezel_tree_map(tree);
    describe_integer(tree, map, "weights", weights);
    describe_integer(tree, map, "kv", kv);
    describe_integer(tree, map, "kv_int8", bz_kv_cache_bytes(&config, n_ctx, BZ_DTYPE_I8));
    describe_integer(tree, map, "scratch", scratch);
    describe_integer(tree, map, "total", weights + kv + scratch);
    describe_integer(tree, map, "n_ctx", n_ctx);
    status = bezel_tree_status(tree);
    if (status != BEZEL_OK)
        bz_fail(err, status, "model", "the plan does not fit: %s", bezel_status_name(status));
    else
        *out = map;
done:
    bz_weight_source_free(source);
    return status;
}
