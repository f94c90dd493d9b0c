/* SPDX-License-Identifier: MIT */
/* Adapters as GGUF files. Source: llama.cpp (convert_lora_to_gguf.py): general.type "adapter", adapter.type "lora",
 * adapter.lora.alpha, and for each matrix NAME.weight.lora_a {K, rank} and NAME.weight.lora_b {rank, N}. */
#include "model/adapter_impl.h"

#include "base/alloc.h"
#include "base/status.h"
#include "format/gguf_writer.h"

#include <stdio.h>
#include <string.h>

/* Text of a key equals `expected`; 0 when it is absent or another. */
static int adapter_key_is(const bz_gguf *g, const char *key, const char *expected)
{
    const char *text;
    size_t size;
    const bz_gguf_value *v = bz_gguf_find(g, key);
    return v != NULL && bz_gguf_text(&text, &size, g, v, NULL) == BEZEL_OK && size == strlen(expected) &&
           memcmp(text, expected, size) == 0;
}

static bezel_status adapter_gguf_alpha(float *out, const bezel_adapter *a, const bz_gguf *g, bezel_error *err)
{
    const bz_gguf_value *v = bz_gguf_find(g, "adapter.lora.alpha");
    double alpha = 0.0;
    if (!adapter_key_is(g, "general.type", "adapter") || !adapter_key_is(g, "adapter.type", "lora")) {
        bz_fail(err, BEZEL_ERR_UNSUPPORTED, "adapter",
                "%s is no LoRA adapter: general.type is not \"adapter\", or adapter.type not \"lora\"", g->name);
        return bz_error_hint(err, BEZEL_ERR_UNSUPPORTED, "A model goes where the model is named.");
    }
    if (!adapter_key_is(g, "general.architecture", a->model->config.arch)) {
        bz_fail(err, BEZEL_ERR_SHAPE, "adapter", "%s is not for models of the family \"%s\"", g->name, a->model->config.arch);
        return bz_error_hint(err, BEZEL_ERR_SHAPE, "The adapter was made for another model; open the model it was trained on.");
    }
    if (v == NULL)
        return bz_fail(err, BEZEL_ERR_MISSING, "adapter", "%s: key \"adapter.lora.alpha\" is missing", g->name);
    const bezel_status status = bz_gguf_float(&alpha, g, v, err);
    *out = (float)alpha;
    return status;
}

/* The place that a tensor's name tells, and which half; -1 for another name. */
static int64_t adapter_gguf_place(int *is_b, const bezel_adapter *a, const char *name, size_t size)
{
    char expected[96];
    for (uint32_t i = 0; i < a->model->config.n_layers * BZ_N_TARGETS; ++i)
        for (*is_b = 0; *is_b < 2; ++*is_b) {
            const int n = snprintf(expected, sizeof expected, "blk.%u.%s.weight.lora_%c", (unsigned)(i / BZ_N_TARGETS),
                                   bz_adapter_targets[i % BZ_N_TARGETS].name, *is_b ? 'b' : 'a');
            if ((size_t)n == size && memcmp(expected, name, size) == 0)
                return i;
        }
    return -1;
}

/* names: room for the texts of messages, BZ_GGUF_MAX_NAME + 1 each. */
static bezel_status adapter_gguf_halves(bz_adapter_halves *halves, char *names, const bezel_adapter *a,
                                        const bz_weight_source *s, bezel_error *err)
{
    for (uint32_t i = 0; i < bz_weight_source_count(s); ++i) {
        const bz_weight_entry e = bz_weight_source_at(s, i);
        char *name = names + (size_t)i * (BZ_GGUF_MAX_NAME + 1);
        int is_b;
        memcpy(name, bz_gguf_tensor_name(e.gguf, e.tensor), e.tensor->name_size);
        const int64_t place = adapter_gguf_place(&is_b, a, name, e.tensor->name_size);
        const bz_dtype *dtype = bz_dtype_find(e.tensor->dtype);
        if (place < 0 || e.tensor->dims[2] != 1 || e.tensor->dims[3] != 1) {
            bz_fail(err, BEZEL_ERR_SHAPE, "adapter", "%s: tensor \"%s\" belongs to no matrix of this model that can be adapted",
                    e.gguf->name, name);
            bz_error_hint(err, BEZEL_ERR_SHAPE, "The adapter was made for another model; open the model it was trained on.");
            return bz_error_place(err, BEZEL_ERR_SHAPE, "%s", name);
        }
        if (dtype == NULL || dtype->block == 0) {
            bz_fail(err, BEZEL_ERR_UNSUPPORTED, "adapter", "%s: tensor \"%s\" has a type that this build cannot read",
                    e.gguf->name, name);
            return bz_error_place(err, BEZEL_ERR_UNSUPPORTED, "%s", name);
        }
        *(is_b ? &halves[place].b : &halves[place].a) = (bz_adapter_half){
            name, bz_weight_source_data(s, e), e.tensor->dtype, e.tensor->dims[1], e.tensor->dims[0]};
    }
    return BEZEL_OK;
}

bezel_status bz_adapter_read_gguf(bezel_adapter *a, const char *path, bezel_error *err)
{
    const bezel_world *w = &a->model->engine->world;
    bz_weight_source *s = NULL;
    bz_adapter_halves *halves = NULL;
    char *names = NULL;
    float alpha = 0.0f;
    bezel_status status = bz_weight_source_open(&s, w, path, NULL, NULL, err);
    if (status == BEZEL_OK)
        status = adapter_gguf_alpha(&alpha, a, bz_weight_source_metadata(s), err);
    while (status == BEZEL_OK && (status = bz_weight_source_read(s, err)) == BEZEL_MORE)
        status = BEZEL_OK;
    if (status != BEZEL_OK)
        goto done;
    halves = bz_zalloc_array(w, (size_t)a->model->config.n_layers * BZ_N_TARGETS, sizeof *halves);
    names = bz_zalloc_array(w, (size_t)bz_weight_source_count(s) + 1, BZ_GGUF_MAX_NAME + 1);
    if (halves == NULL || names == NULL) {
        status = bz_fail_memory(err, "adapter", "the directory", sizeof *halves);
        goto done;
    }
    status = adapter_gguf_halves(halves, names, a, s, err);
    if (status == BEZEL_OK)
        status = bz_adapter_fill(a, halves, alpha, 0, path, err);
done:
    bz_free(w, halves);
    bz_free(w, names);
    bz_weight_source_free(s);
    return status;
}

bezel_status bz_adapter_write_gguf(const bezel_adapter *a, const char *path, bezel_error *err)
{
    bz_gguf_writer *g = NULL;
    bz_adapter_out out;
    char name[96];
    bezel_status status = bz_adapter_out_new(&out, a, err);
    if (status != BEZEL_OK)
        return status;
    status = bz_gguf_writer_new(&g, &a->model->engine->world, err);
    if (status != BEZEL_OK)
        goto done;
    bz_gguf_writer_text(g, "general.architecture", a->model->config.arch, SIZE_MAX);
    bz_gguf_writer_text(g, "general.type", "adapter", SIZE_MAX);
    bz_gguf_writer_text(g, "adapter.type", "lora", SIZE_MAX);
    bz_gguf_writer_float(g, "adapter.lora.alpha", BZ_GGUF_F32, (double)bz_adapter_alpha(a));
    for (uint32_t i = 0; i < a->model->config.n_layers * BZ_N_TARGETS; ++i) {
        const bz_tensor *m = bz_adapter_matrix(a->model, i / BZ_N_TARGETS, i % BZ_N_TARGETS);
        const uint64_t rank = a->pairs[i].rank, dims_a[2] = {m->K, rank}, dims_b[2] = {rank, m->N};
        if (rank == 0)
            continue;
        const int n = snprintf(name, sizeof name, "blk.%u.%s.weight.lora_a", (unsigned)(i / BZ_N_TARGETS),
                               bz_adapter_targets[i % BZ_N_TARGETS].name);
        bz_gguf_writer_tensor(g, name, BZ_DTYPE_F32, 2, dims_a, out.a[i], (size_t)(m->K * rank) * sizeof(float));
        name[n - 1] = 'b';
        bz_gguf_writer_tensor(g, name, BZ_DTYPE_F32, 2, dims_b, out.b[i], (size_t)(m->N * rank) * sizeof(float));
    }
    status = bz_gguf_writer_file(g, path, err);
done:
    bz_gguf_writer_free(g);
    bz_adapter_out_free(&out, a);
    return status;
}
