/* SPDX-License-Identifier: MIT */
/* Adapters as folders of peft: adapter_config.json and adapter_model.safetensors. Source: peft, LoraConfig and
 * save_pretrained. A matrix is "base_model.model.model.layers.N.MODULE.lora_A.weight" [rank, K], its other half lora_B
 * [N, rank]; models that see images have "language_model" in between. */
#include "model/adapter_impl.h"

#include "base/alloc.h"
#include "base/status.h"
#include "format/safetensors.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define ADAPTER_MAX_CONFIG ((uint64_t)1 << 20)

static bezel_status adapter_path(bz_strbuf *out, const bezel_world *w, const char *folder, const char *name, bezel_error *err)
{
    bz_strbuf_init(out, w, 0);
    bz_strbuf_format(out, "%s/%s", folder, name);
    return out->status == BEZEL_OK ? BEZEL_OK : bz_fail_memory(err, "adapter", "a path", strlen(folder));
}

static bezel_status adapter_fail_file(bezel_error *err, bezel_status status, const char *path, const char *what)
{
    bz_fail(err, status, "adapter", "%s: cannot %s it: %s", path, what, bezel_status_name(status));
    return bz_error_place(err, status, "%s", path);
}

/* --- Configuration ------------------------------------------------------------------------ */

/* What is no plain addition; each must be absent, null, false, empty or the text given. */
static const struct {
    const char *key, *fine;
} adapter_unsupported[] = {
    {"use_dora", ""}, {"bias", "none"}, {"modules_to_save", ""}, {"alpha_pattern", ""}, {"fan_in_fan_out", ""},
    {"lora_bias", ""}, {"megatron_config", ""}, {"use_bdlora", ""}, {"arrow_config", ""}, {"trainable_token_indices", ""},
};

static int adapter_is_fine(const bezel_value *v, const char *fine)
{
    switch (bezel_value_type(v)) {
    case BEZEL_NULL: return 1;
    case BEZEL_BOOL: return !bezel_value_bool(v);
    case BEZEL_TEXT: return strcmp(bezel_value_text(v, NULL), fine) == 0;
    case BEZEL_LIST:
    case BEZEL_MAP: return bezel_value_count(v) == 0;
    default: return 0;
    }
}

static bezel_status adapter_check_config(float *alpha, int *by_root, const bezel_value *config, const char *path,
                                         bezel_error *err)
{
    const char *type = bezel_value_text(bezel_value_get(config, "peft_type"), NULL);
    const bezel_value *a = bezel_value_get(config, "lora_alpha");
    if (strcmp(type, "LORA") != 0) {
        bz_fail(err, BEZEL_ERR_UNSUPPORTED, "adapter", "%s: peft_type is \"%s\", expected \"LORA\"", path, type);
        return bz_error_place(err, BEZEL_ERR_UNSUPPORTED, "peft_type");
    }
    for (size_t i = 0; i < sizeof adapter_unsupported / sizeof *adapter_unsupported; ++i) {
        const char *key = adapter_unsupported[i].key;
        if (!adapter_is_fine(bezel_value_get(config, key), adapter_unsupported[i].fine)) {
            bz_fail(err, BEZEL_ERR_UNSUPPORTED, "adapter", "%s: \"%s\" is set, which is more than an addition of low rank", path, key);
            return bz_error_place(err, BEZEL_ERR_UNSUPPORTED, "%s", key);
        }
    }
    *alpha = (float)bezel_value_number(a);
    *by_root = bezel_value_bool(bezel_value_get(config, "use_rslora"));
    if ((bezel_value_type(a) != BEZEL_INTEGER && bezel_value_type(a) != BEZEL_NUMBER) || !isfinite(*alpha)) {
        bz_fail(err, BEZEL_ERR_TYPE, "adapter", "%s: \"lora_alpha\" is no number", path);
        return bz_error_place(err, BEZEL_ERR_TYPE, "lora_alpha");
    }
    return BEZEL_OK;
}

static bezel_status adapter_read_text(char **out, size_t *out_size, const bezel_world *w, const char *path, bezel_error *err)
{
    bezel_file *file = NULL;
    bezel_file_info info = {0};
    bezel_status status = w->file_open(w->ud, &file, path, BEZEL_FILE_READ);
    if (status != BEZEL_OK) {
        adapter_fail_file(err, status, path, "open");
        return bz_error_hint(err, status, "An adapter is a GGUF file, or a folder with this file and adapter_model.safetensors.");
    }
    status = w->file_info(w->ud, file, &info);
    if (status == BEZEL_OK && (info.size == 0 || info.size > ADAPTER_MAX_CONFIG))
        status = BEZEL_ERR_LIMIT;
    if (status == BEZEL_OK && (*out = bz_alloc(w, (size_t)info.size)) == NULL)
        status = BEZEL_ERR_MEMORY;
    if (status == BEZEL_OK)
        status = w->file_read(w->ud, file, 0, *out, (size_t)info.size);
    w->file_close(w->ud, file);
    *out_size = (size_t)info.size;
    return status == BEZEL_OK ? status : adapter_fail_file(err, status, path, "read");
}

static bezel_status adapter_read_config(float *alpha, int *by_root, const bezel_world *w, const char *folder, bezel_error *err)
{
    bz_strbuf path;
    bezel_tree *tree = NULL;
    bezel_value *config = NULL;
    char *text = NULL;
    size_t size = 0;
    bezel_status status = adapter_path(&path, w, folder, "adapter_config.json", err);
    if (status == BEZEL_OK)
        status = adapter_read_text(&text, &size, w, path.data, err);
    if (status == BEZEL_OK)
        status = bz_tree_new(&tree, w, err);
    if (status == BEZEL_OK && (status = bezel_json_read(&config, tree, text, size, err)) != BEZEL_OK)
        bz_error_place(err, status, "%s", path.data);
    if (status == BEZEL_OK)
        status = adapter_check_config(alpha, by_root, config, path.data, err);
    bezel_tree_free(tree);
    bz_free(w, text);
    bz_strbuf_free(&path);
    return status;
}

/* --- Tensors ------------------------------------------------------------------------------ */

/* What stands before "layers.N.", of the forms in which Gemma is trained. */
static const char *const adapter_prefixes[] = {"base_model.model.model.", "base_model.model.model.language_model.",
                                               "base_model.model.language_model.model."};
enum { ADAPTER_N_PREFIXES = sizeof adapter_prefixes / sizeof *adapter_prefixes };

/* The place that a tensor's name tells, and which half; -1 for another name. */
static int64_t adapter_peft_place(int *is_b, const bezel_adapter *a, const char *name)
{
    char expected[160];
    for (uint32_t i = 0; i < a->model->config.n_layers * BZ_N_TARGETS * 2 * ADAPTER_N_PREFIXES; ++i) {
        const uint32_t place = i / 2 / ADAPTER_N_PREFIXES;
        *is_b = (int)(i % 2);
        snprintf(expected, sizeof expected, "%slayers.%u.%s.lora_%c.weight", adapter_prefixes[i / 2 % ADAPTER_N_PREFIXES],
                 (unsigned)(place / BZ_N_TARGETS), bz_adapter_targets[place % BZ_N_TARGETS].module, *is_b ? 'B' : 'A');
        if (strcmp(expected, name) == 0)
            return place;
    }
    return -1;
}

static bezel_status adapter_peft_halves(bz_adapter_halves *halves, const bezel_adapter *a, const bz_safetensors *s,
                                        bezel_error *err)
{
    for (size_t i = 0; i < bz_safetensors_count(s); ++i) {
        bz_safetensor t;
        int is_b;
        const bezel_status status = bz_safetensors_at(&t, s, i, err);
        if (status == BEZEL_MORE)
            continue;
        if (status != BEZEL_OK)
            return status;
        const int64_t place = adapter_peft_place(&is_b, a, t.name);
        if (place < 0) {
            bz_fail(err, BEZEL_ERR_SHAPE, "adapter", "%s: tensor \"%s\" belongs to no matrix of this model that can be adapted",
                    s->path, t.name);
            bz_error_hint(err, BEZEL_ERR_SHAPE, "The adapter was made for another model; open the model it was trained on.");
            return bz_error_place(err, BEZEL_ERR_SHAPE, "%s", t.name);
        }
        *(is_b ? &halves[place].b : &halves[place].a) = (bz_adapter_half){t.name, t.data, t.dtype, t.rows, t.columns};
    }
    return BEZEL_OK;
}

bezel_status bz_adapter_read_peft(bezel_adapter *a, const char *folder, bezel_error *err)
{
    const bezel_world *w = &a->model->engine->world;
    bz_adapter_halves *halves = NULL;
    bz_safetensors s = {0};
    bz_strbuf path = {0};
    float alpha = 0.0f;
    int by_root = 0;
    bezel_status status = adapter_read_config(&alpha, &by_root, w, folder, err);
    if (status != BEZEL_OK)
        return status;
    status = adapter_path(&path, w, folder, "adapter_model.safetensors", err);
    if (status == BEZEL_OK)
        status = bz_safetensors_open(&s, w, path.data, err);
    if (status != BEZEL_OK)
        goto done;
    halves = bz_zalloc_array(w, (size_t)a->model->config.n_layers * BZ_N_TARGETS, sizeof *halves);
    if (halves == NULL) {
        status = bz_fail_memory(err, "adapter", "the directory", sizeof *halves);
        goto done;
    }
    status = adapter_peft_halves(halves, a, &s, err);
    if (status == BEZEL_OK)
        status = bz_adapter_fill(a, halves, alpha, by_root, path.data, err);
done:
    bz_free(w, halves);
    bz_safetensors_free(&s);
    bz_strbuf_free(&path);
    return status;
}

/* --- Writing ------------------------------------------------------------------------------ */

/* Modules that have a pair in some layer; ranks that differ from `rank`. */
static void adapter_describe(bz_strbuf *b, const bezel_adapter *a, uint32_t rank)
{
    const uint32_t places = a->model->config.n_layers * BZ_N_TARGETS;
    const char *comma = "";
    bz_strbuf_format(b, "{\n  \"peft_type\": \"LORA\",\n  \"task_type\": \"CAUSAL_LM\",\n  \"r\": %u,\n  \"lora_alpha\": %.9g,\n",
                     (unsigned)rank, (double)bz_adapter_alpha(a));
    bz_strbuf_text(b, "  \"lora_dropout\": 0.0,\n  \"bias\": \"none\",\n  \"use_rslora\": false,\n  \"inference_mode\": true,\n");
    bz_strbuf_text(b, "  \"base_model_name_or_path\": ");
    bz_json_append_text(b, a->model->config.name, strlen(a->model->config.name));
    bz_strbuf_text(b, ",\n  \"target_modules\": [");
    for (uint32_t t = 0; t < BZ_N_TARGETS; ++t)
        for (uint32_t i = t; i < places; i += BZ_N_TARGETS)
            if (a->pairs[i].rank > 0) {
                bz_strbuf_format(b, "%s\"%s\"", comma, strchr(bz_adapter_targets[t].module, '.') + 1);
                comma = ", ";
                break;
            }
    bz_strbuf_text(b, "],\n  \"rank_pattern\": {");
    comma = "";
    for (uint32_t i = 0; i < places; ++i)
        if (a->pairs[i].rank > 0 && a->pairs[i].rank != rank) {
            bz_strbuf_format(b, "%s\"layers.%u.%s\": %u", comma, (unsigned)(i / BZ_N_TARGETS),
                             bz_adapter_targets[i % BZ_N_TARGETS].module, (unsigned)a->pairs[i].rank);
            comma = ", ";
        }
    bz_strbuf_text(b, "}\n}\n");
}

static bezel_status adapter_write_text(const bezel_world *w, const char *path, const bz_strbuf *text, bezel_error *err)
{
    bezel_file *file = NULL;
    bz_strbuf temporary;
    bz_strbuf_init(&temporary, w, 0);
    bz_strbuf_format(&temporary, "%s.tmp", path);
    if (temporary.status != BEZEL_OK || text->status != BEZEL_OK) {
        bz_strbuf_free(&temporary);
        return bz_fail_memory(err, "adapter", "adapter_config.json", text->size);
    }
    bezel_status status = w->file_open(w->ud, &file, temporary.data, BEZEL_FILE_CREATE);
    if (status == BEZEL_OK) {
        status = w->file_write(w->ud, file, 0, text->data, text->size);
        if (status == BEZEL_OK)
            status = w->file_sync(w->ud, file);
        w->file_close(w->ud, file);
        if (status == BEZEL_OK)
            status = w->file_rename(w->ud, temporary.data, path);
        if (status != BEZEL_OK)
            (void)w->file_remove(w->ud, temporary.data);
    }
    bz_strbuf_free(&temporary);
    return status == BEZEL_OK ? status : adapter_fail_file(err, status, path, "write");
}

enum { ADAPTER_NAME = 128 };

static size_t adapter_tensors(bz_safetensor *tensors, char (*names)[ADAPTER_NAME], const bezel_adapter *a,
                              const bz_adapter_out *out)
{
    size_t n = 0;
    for (uint32_t i = 0; i < a->model->config.n_layers * BZ_N_TARGETS; ++i) {
        const bz_tensor *m = bz_adapter_matrix(a->model, i / BZ_N_TARGETS, i % BZ_N_TARGETS);
        const uint64_t rank = a->pairs[i].rank;
        for (int is_b = 0; is_b < 2 && rank > 0; ++is_b) {
            snprintf(names[n], sizeof names[n], "%slayers.%u.%s.lora_%c.weight", adapter_prefixes[0],
                     (unsigned)(i / BZ_N_TARGETS), bz_adapter_targets[i % BZ_N_TARGETS].module, is_b ? 'B' : 'A');
            tensors[n] = (bz_safetensor){names[n], BZ_DTYPE_F32, is_b ? m->N : rank, is_b ? rank : m->K,
                                         is_b ? out->b[i] : out->a[i]};
            ++n;
        }
    }
    return n;
}

bezel_status bz_adapter_write_peft(const bezel_adapter *a, const char *folder, bezel_error *err)
{
    const bezel_world *w = &a->model->engine->world;
    const size_t most = (size_t)a->model->config.n_layers * BZ_N_TARGETS * 2;
    bz_safetensor *tensors = NULL;
    char(*names)[ADAPTER_NAME] = NULL;
    bz_strbuf path = {0}, text;
    bz_adapter_out out;
    uint32_t rank;
    bezel_status status = bz_adapter_out_new(&out, a, err);
    if (status != BEZEL_OK)
        return status;
    (void)bezel_adapter_pairs(a, &rank);
    bz_strbuf_init(&text, w, 0);
    tensors = bz_zalloc_array(w, most, sizeof *tensors);
    names = bz_zalloc_array(w, most, sizeof *names);
    if (tensors == NULL || names == NULL) {
        status = bz_fail_memory(err, "adapter", "the directory", most * (sizeof *tensors + sizeof *names));
        goto done;
    }
    status = adapter_path(&path, w, folder, "adapter_model.safetensors", err);
    if (status == BEZEL_OK)
        status = bz_safetensors_write(w, path.data, tensors, adapter_tensors(tensors, names, a, &out), err);
    bz_strbuf_free(&path);
    if (status == BEZEL_OK)
        status = adapter_path(&path, w, folder, "adapter_config.json", err);
    if (status == BEZEL_OK) {
        adapter_describe(&text, a, rank);
        status = adapter_write_text(w, path.data, &text, err);
    }
done:
    bz_free(w, tensors);
    bz_free(w, names);
    bz_strbuf_free(&text);
    bz_strbuf_free(&path);
    bz_adapter_out_free(&out, a);
    return status;
}
