/* SPDX-License-Identifier: MIT */
/* Opens a model stage by stage: header and numbers, vocabulary (mapped from its side file, or built and kept), tensor table,
 * data (mapped, or read in slices), binding, values on request, fingerprint. Invariant: a stage either completes or reports an error with the lowest cause, and the
 * half-built model can be freed after any of them. The forward pass is not touched here. */
#include "model/model_load.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "base/options.h"
#include "model/head_copy.h"
#include "model/weight_pack.h"
#include "model/prefix_folder.h"
#include "model/token_source.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LOAD_MAX_TEMPLATE (1u << 20)
#define LOAD_CHECK_SLICE (16u << 20) /* bytes of weights checked a unit */
#define LOAD_SAMPLES 64u             /* tensors whose first and last bytes are in the fingerprint */
#define LOAD_SAMPLE_SIZE 64u
#define LOAD_HASH_PIECE ((size_t)1 << 18)

enum {
    LOAD_HEADER,
    LOAD_TOKENS,
    LOAD_VOCABULARY,
    LOAD_KEEP_VOCABULARY,
    LOAD_TABLE,
    LOAD_DATA,
    LOAD_BIND,
    LOAD_VALUES,
    LOAD_FINISH,
    LOAD_DONE
};

/* --- Options ------------------------------------------------------------------------------ */

void bezel_model_options_init(bezel_model_options *out)
{
    memset(out, 0, sizeof *out);
    out->size = sizeof *out;
    out->map = 1;
}

static bezel_status load_options(bezel_model_options *out, const bezel_model_options *options, bezel_error *err)
{
    bezel_status status;
    bezel_model_options_init(out);
    status = bz_options_read(out, sizeof *out, options, "model", err);
    if (status != BEZEL_OK)
        return status;
    if (out->kind > BEZEL_KIND_INSTRUCT)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "model", "kind is %" PRIu32 ", expected 0 (auto), 1 (pretrained) or 2 (instruct)",
                       out->kind);
    if (out->read && out->read_size == 0)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "model", "read is given without read_size");
    if (!out->read && (out->read_size != 0 || out->read_ud))
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "model", "read_size or read_ud is given without read");
    return BEZEL_OK;
}

/* --- Header ------------------------------------------------------------------------------- */

static bezel_status load_template(bezel_model *m, bezel_error *err)
{
    const bz_gguf *g = bz_weight_source_metadata(m->source);
    const bz_gguf_value *v = bz_gguf_find(g, "tokenizer.chat_template");
    bezel_status status;
    if (!v)
        return BEZEL_OK;
    status = bz_gguf_text(&m->chat_template, &m->chat_template_size, g, v, err);
    if (status == BEZEL_OK && m->chat_template_size > LOAD_MAX_TEMPLATE)
        status = bz_gguf_value_fail(err, BEZEL_ERR_LIMIT, g, v, "has %zu bytes, at most %u", m->chat_template_size,
                                    LOAD_MAX_TEMPLATE);
    return status;
}

/* Whether a name calls the model instruction-tuned: a part "it", "instruct" or "chat" between marks of any kind. */
static int load_name_says_instruct(const char *name)
{
    static const char *const words[] = {"it", "instruct", "chat"};
    char word[16];
    size_t n = 0;
    for (;; name++) {
        char c = *name >= 'A' && *name <= 'Z' ? (char)(*name - 'A' + 'a') : *name;
        if (c >= 'a' && c <= 'z') {
            if (n < sizeof word - 1)
                word[n] = c;
            n++;
            continue;
        }
        for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
            if (n == strlen(words[i]) && memcmp(word, words[i], n) == 0)
                return 1;
        }
        if (c == '\0')
            return 0;
        n = 0;
    }
}

static void load_kind(bezel_model *m, uint32_t wanted)
{
    const char *slash = strrchr(m->path, '/');
    m->kind = wanted != BEZEL_KIND_AUTO  ? wanted
              : m->chat_template != NULL ? BEZEL_KIND_INSTRUCT
                                         : BEZEL_KIND_PRETRAINED;
    if (wanted == BEZEL_KIND_AUTO && m->kind == BEZEL_KIND_PRETRAINED &&
        (load_name_says_instruct(m->config.name) || load_name_says_instruct(slash ? slash + 1 : m->path)))
        bz_notes_add(&m->notes, "model",
                     "%s: no chat template, so it is treated as pretrained, but its name says instruct; set kind", m->path);
}

static bezel_status load_header(bz_model_loader *l, bezel_error *err)
{
    bezel_model *m = l->model;
    bz_weight_host host = {l->options.read, l->options.read_ud, l->options.read_size};
    bezel_status status;
    if (!m->source) {
        status = bz_weight_source_begin(&m->source, &l->engine->world, m->path, host.read ? &host : NULL, &m->notes, err);
        return status == BEZEL_OK ? BEZEL_MORE : status;
    }
    status = bz_weight_source_unit(m->source, err);
    if (status == BEZEL_OK)
        status = bz_config_read(&m->config, bz_weight_source_metadata(m->source), l->options.bf16_embedding_scale,
                                &m->notes, err);
    if (status == BEZEL_OK)
        status = load_template(m, err);
    if (status == BEZEL_OK)
        load_kind(m, l->options.kind);
    return status;
}

/* --- Vocabulary --------------------------------------------------------------------------- */

/* Of the header's pieces a hash each, made by the pool; then of these and of sampled bytes of the tensors. */
typedef struct load_pieces {
    const bz_gguf *g;
    uint8_t *hashes; /* [n, 16] */
} load_pieces;

static void load_hash_pieces(void *ctx, size_t begin, size_t end, unsigned worker)
{
    const load_pieces *p = ctx;
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        const size_t at = i * LOAD_HASH_PIECE, left = (size_t)p->g->header_size - at;
        bz_hash h;
        bz_hash_init(&h);
        bz_hash_add(&h, p->g->header + at, left < LOAD_HASH_PIECE ? left : LOAD_HASH_PIECE);
        bz_hash_finish(&h, p->hashes + 16 * i);
    }
}

static bezel_status load_hash_header(bz_model_loader *l, bezel_error *err)
{
    const bezel_world *w = &l->engine->world;
    load_pieces pieces = {bz_weight_source_metadata(l->model->source), NULL};
    const size_t n = ((size_t)pieces.g->header_size + LOAD_HASH_PIECE - 1) / LOAD_HASH_PIECE;
    pieces.hashes = bz_zalloc_array(w, n, 16);
    if (!pieces.hashes)
        return bz_fail_memory(err, "model", "fingerprint", n * 16);
    bz_thread_pool_run(l->engine->pool, n, 1, load_hash_pieces, &pieces);
    bz_hash_init(&l->hash);
    bz_hash_add(&l->hash, pieces.hashes, n * 16);
    bz_free(w, pieces.hashes);
    return BEZEL_OK;
}

/* The vocabulary from its side file; the model has none afterwards when there is no good one. */
static bezel_status load_kept_vocabulary(bz_model_loader *l, bezel_error *err)
{
    bezel_model *m = l->model;
    const bezel_world *w = &l->engine->world;
    bz_vocab_tables tables;
    bz_hash h = l->hash;
    uint8_t key[16];
    bezel_error why = BEZEL_ERROR_INIT;
    if (!l->cache_folder || l->options.read)
        return BEZEL_OK;
    bz_weight_source_identify(m->source, &h);
    bz_hash_finish(&h, key);
    bezel_status status = bz_trie_file_init(&m->trie_file, w, l->cache_folder, key, err);
    if (status == BEZEL_OK)
        status = bz_vocab_file_init(&l->vocab_file, w, l->engine->pool, l->cache_folder, key, l->tokens.facts.n_tokens, err);
    if (status != BEZEL_OK)
        return status;
    status = bz_vocab_file_open(&tables, &m->vocab_map, &l->vocab_file, &why);
    if (status == BEZEL_OK)
        status = bz_vocab_from_tables(&m->vocab, w, &l->tokens.facts, &tables, l->engine->log, &why);
    if (status == BEZEL_OK)
        return BEZEL_OK;
    bz_side_close(&m->vocab_map, w);
    if (status == BEZEL_ERR_MEMORY)
        return bz_error_copy(err, &why);
    if (status != BEZEL_ERR_MISSING)
        bz_log_write(l->engine->log, BEZEL_LOG_INFO, "vocab", "%s; it is made again", why.text);
    return BEZEL_OK;
}

static bezel_status load_tokens(bz_model_loader *l, bezel_error *err)
{
    bezel_status status = bz_token_source_begin(&l->tokens, &l->model->special, bz_weight_source_metadata(l->model->source), err);
    if (status == BEZEL_OK)
        status = load_hash_header(l, err);
    return status == BEZEL_OK ? load_kept_vocabulary(l, err) : status;
}

static bezel_status load_keep_vocabulary(bz_model_loader *l, bezel_error *err)
{
    bezel_error why = BEZEL_ERROR_INIT;
    if (!l->vocab_file.path || l->model->vocab_map.map)
        return BEZEL_OK;
    const bezel_status status = bz_vocab_file_unit(&l->vocab_file, l->model->vocab, &why);
    if (status == BEZEL_ERR_MEMORY)
        return bz_error_copy(err, &why);
    if (status < 0)
        bz_log_write(l->engine->log, BEZEL_LOG_INFO, "vocab", "the vocabulary is not kept: %s", why.text);
    return status == BEZEL_MORE ? BEZEL_MORE : BEZEL_OK;
}

/* --- Values ------------------------------------------------------------------------------- */

static bezel_status load_bad_value(const bz_weight_entry *e, uint64_t row, bezel_error *err)
{
    const char *name = bz_gguf_tensor_name(e->gguf, e->tensor);
    int size = (int)e->tensor->name_size;
    uint64_t rows = e->tensor->dims[1] * e->tensor->dims[2] * e->tensor->dims[3];
    bz_fail(err, BEZEL_ERR_NUMERIC, "model", "%s @0x%" PRIx64 ": tensor \"%.*s\", row %" PRIu64 ": %s is NaN or infinite",
            e->gguf->name, e->tensor->offset + row * (e->tensor->size / rows), size, name, row,
            e->tensor->dtype == BZ_DTYPE_F32 || e->tensor->dtype == BZ_DTYPE_F16 || e->tensor->dtype == BZ_DTYPE_BF16
                ? "a value"
                : "the scale of a block");
    bz_error_offset(err, BEZEL_ERR_NUMERIC, (int64_t)(e->tensor->offset + row * (e->tensor->size / rows)));
    bz_error_hint(err, BEZEL_ERR_NUMERIC, "The weights are damaged; fetch the file again.");
    return bz_error_place(err, BEZEL_ERR_NUMERIC, "%.*s", size, name);
}

/* Checks up to LOAD_CHECK_SLICE bytes, across tensors. BEZEL_OK when all were checked. */
static bezel_status load_values(bz_model_loader *l, bezel_error *err)
{
    const bz_weight_source *s = l->model->source;
    uint64_t budget = LOAD_CHECK_SLICE;
    while (l->tensor < bz_weight_source_count(s)) {
        bz_weight_entry e = bz_weight_source_at(s, l->tensor);
        uint64_t rows = e.tensor->dims[1] * e.tensor->dims[2] * e.tensor->dims[3];
        uint64_t row_size = e.tensor->size / rows;
        uint64_t n = budget / row_size + 1, bad;
        if (n > rows - l->row)
            n = rows - l->row;
        bad = bz_weights_bad_row(e.tensor, bz_weight_source_data(s, e), l->row, l->row + n);
        if (bad < l->row + n)
            return load_bad_value(&e, bad, err);
        l->row += n;
        l->checked += n * row_size;
        if (l->row == rows) {
            l->row = 0;
            l->tensor++;
        }
        if (n * row_size >= budget)
            return BEZEL_MORE;
        budget -= n * row_size;
    }
    return BEZEL_OK;
}

/* --- End ---------------------------------------------------------------------------------- */

static void load_fingerprint(bz_model_loader *l)
{
    const bz_weight_source *s = l->model->source;
    const uint32_t n = bz_weight_source_count(s), step = n / LOAD_SAMPLES + 1;
    bz_hash h = l->hash;
    for (uint32_t i = 0; i < n; i += step) {
        bz_weight_entry e = bz_weight_source_at(s, i);
        const uint8_t *data = bz_weight_source_data(s, e);
        size_t size = (size_t)e.tensor->size, part = size < LOAD_SAMPLE_SIZE ? size : LOAD_SAMPLE_SIZE;
        bz_hash_add(&h, data, part);
        bz_hash_add(&h, data + size - part, part);
    }
    bz_hash_finish(&h, l->model->fingerprint);
}

static bezel_status load_data(bz_model_loader *l, bezel_error *err)
{
    if (l->model->is_mapped)
        return bz_weight_source_map(l->model->source, err);
    return bz_weight_source_read(l->model->source, err);
}

static bezel_status load_finish(bz_model_loader *l, bezel_error *err)
{
    bezel_model *m = l->model;
    if (l->options.vocabulary_only)
        bz_hash_finish(&l->hash, m->fingerprint);
    else
        load_fingerprint(l);
    bezel_status status = bz_weight_source_verify(m->source, err);
    if (l->options.vocabulary_only)
        return status;
    if (status == BEZEL_OK && l->cache_folder && !l->options.read)
        status = bz_head_copy_new(&m->head_copy, m, l->cache_folder, err);
    if (status == BEZEL_OK && l->cache_folder && !l->options.read && !l->options.raw_weights)
        status = bz_weight_pack_new(&m->weight_pack, m, l->cache_folder, err);
    if (status == BEZEL_OK && l->cache_folder && !l->options.read)
        status = bz_prefix_folder_new(&m->prefixes, m, l->cache_folder, l->options.cache_limit, err);
    return status;
}

/* Share of the whole that is done: reading and checking take as long as their bytes, the rest is short. */
static double load_progress(const bz_model_loader *l)
{
    static const double before[] = {0.0, 0.02, 0.03, 0.07, 0.08, 0.1, 0.8, 0.8, 1.0, 1.0};
    double share = 0.0;
    if (l->stage == LOAD_DATA && !l->model->is_mapped)
        share = 0.7 * bz_weight_source_progress(l->model->source);
    if (l->stage == LOAD_VALUES)
        share = 0.2 * ((double)l->checked / (double)bz_weight_source_file_size(l->model->source));
    return before[l->stage] + share;
}

/* --- Loader ------------------------------------------------------------------------------- */

bezel_status bz_model_loader_init(bz_model_loader *l, bezel_engine *engine, const char *path,
                                  const bezel_model_options *options, bezel_error *err)
{
    const bezel_world *w;
    bezel_status status;
    memset(l, 0, sizeof *l);
    if (!engine)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "model", "engine is NULL");
    if (!path || !*path)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "model", "no path given");
    status = load_options(&l->options, options, err);
    if (status != BEZEL_OK)
        return status;
    w = &engine->world;
    l->engine = engine;
    l->model = bz_zalloc(w, sizeof *l->model);
    if (!l->model)
        return bz_fail_memory(err, "model", "model", sizeof *l->model);
    l->model->engine = engine;
    l->model->is_mapped = l->options.map != 0 && !l->options.read;
    bz_notes_init(&l->model->notes, w, engine->log);
    l->model->path = bz_text_dup(w, path, SIZE_MAX);
    l->model->trie_mutex = bz_mutex_new(w);
    if (l->options.cache_folder && *l->options.cache_folder)
        l->cache_folder = bz_text_dup(w, l->options.cache_folder, SIZE_MAX);
    if (!l->model->path || !l->model->trie_mutex || (!l->cache_folder && l->options.cache_folder && *l->options.cache_folder)) {
        bz_model_loader_free(l);
        return bz_fail_memory(err, "model", "path", strlen(path));
    }
    return BEZEL_OK;
}

void bz_model_loader_free(bz_model_loader *l)
{
    if (l->engine) {
        bz_vocab_file_free(&l->vocab_file, &l->engine->world);
        bz_free(&l->engine->world, l->cache_folder);
    }
    l->cache_folder = NULL;
    bezel_model_free(l->model);
    l->model = NULL;
}

bezel_status bz_model_loader_unit(bz_model_loader *l, bezel_error *err)
{
    bezel_model *m = l->model;
    const bezel_world *w = &l->engine->world;
    bezel_status status = BEZEL_OK;
    if (l->options.vocabulary_only && l->stage == LOAD_TABLE)
        l->stage = LOAD_FINISH; /* nothing in between is needed */
    switch (l->stage) {
    case LOAD_HEADER: status = load_header(l, err); break;
    case LOAD_TOKENS: status = load_tokens(l, err); break;
    case LOAD_VOCABULARY:
        if (!m->vocab_map.map)
            status = bz_token_source_unit(&l->tokens, &m->vocab, l->engine, bz_weight_source_metadata(m->source), err);
        break;
    case LOAD_KEEP_VOCABULARY: status = load_keep_vocabulary(l, err); break;
    case LOAD_TABLE: status = bz_weights_check(&m->config, m->source, &m->notes, err); break;
    case LOAD_DATA: status = load_data(l, err); break;
    case LOAD_BIND: status = bz_weights_bind(&m->weights, w, &m->config, m->source, err); break;
    case LOAD_VALUES: status = l->options.check_weights ? load_values(l, err) : BEZEL_OK; break;
    case LOAD_FINISH:
        status = load_finish(l, err);
        break;
    default: return BEZEL_DONE;
    }
    if (status < 0)
        return status;
    if (status == BEZEL_OK)
        l->stage++;
    l->progress = load_progress(l);
    return l->stage == LOAD_DONE ? BEZEL_DONE : BEZEL_MORE;
}
