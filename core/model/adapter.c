/* SPDX-License-Identifier: MIT */
/* bezel_adapter: pairs of low-rank matrices, made from halves that a file has (see adapter_impl.h).
 * Invariant: every pair has the shape of its matrix and finite numbers. Both halves are kept with their rank beside the
 * matrix's own side, as bz_kernel.product reads them. Does not know files. */
#include "model/adapter_impl.h"

#include "base/alloc.h"
#include "base/status.h"
#include "compute/quant.h"

#include <math.h>
#include <string.h>

#define TARGET(member) (uint16_t) offsetof(bz_layer_weights, member)

const bz_adapter_target bz_adapter_targets[BZ_N_TARGETS] = {
    {"attn_q", "self_attn.q_proj", TARGET(q)},
    {"attn_k", "self_attn.k_proj", TARGET(k)},
    {"attn_v", "self_attn.v_proj", TARGET(v)},
    {"attn_output", "self_attn.o_proj", TARGET(attn_output)},
    {"ffn_gate", "mlp.gate_proj", TARGET(gate)},
    {"ffn_up", "mlp.up_proj", TARGET(up)},
    {"ffn_down", "mlp.down_proj", TARGET(down)},
};

const bz_tensor *bz_adapter_matrix(const bezel_model *m, uint32_t layer, uint32_t target)
{
    return (const bz_tensor *)(const void *)((const char *)&m->weights.layers[layer] + bz_adapter_targets[target].member);
}

/* --- Life --------------------------------------------------------------------------------- */

static uint32_t adapter_places(const bezel_adapter *a)
{
    return a->model->config.n_layers * BZ_N_TARGETS;
}

bezel_status bz_adapter_new(bezel_adapter **out, const bezel_model *model, bezel_error *err)
{
    const bezel_world *w = &model->engine->world;
    bezel_adapter *a = bz_zalloc(w, sizeof *a);
    *out = NULL;
    if (a == NULL)
        return bz_fail_memory(err, "adapter", "the adapter", sizeof *a);
    a->model = model;
    a->pairs = bz_zalloc_array(w, adapter_places(a), sizeof *a->pairs);
    if (a->pairs == NULL) {
        bz_free(w, a);
        return bz_fail_memory(err, "adapter", "its pairs", sizeof *a->pairs);
    }
    *out = a;
    return BEZEL_OK;
}

void bezel_adapter_free(bezel_adapter *adapter)
{
    if (adapter == NULL)
        return;
    const bezel_world *w = &adapter->model->engine->world;
    for (uint32_t i = 0; i < adapter_places(adapter); ++i) {
        bz_free_aligned(w, adapter->pairs[i].a);
        bz_free_aligned(w, adapter->pairs[i].b);
    }
    bz_free(w, adapter->pairs);
    bz_free(w, adapter);
}

static float *adapter_room(const bezel_world *w, size_t n)
{
    float *x = bz_alloc_aligned(w, n * sizeof *x);
    if (x != NULL)
        memset(x, 0, n * sizeof *x);
    return x;
}

bezel_status bz_adapter_add(bezel_adapter *a, uint32_t layer, uint32_t target, uint32_t rank, float scale, bezel_error *err)
{
    const bezel_world *w = &a->model->engine->world;
    const bz_tensor *m = bz_adapter_matrix(a->model, layer, target);
    bz_low_rank *pair = &a->pairs[layer * BZ_N_TARGETS + target];
    if (rank == 0 || rank > BZ_ADAPTER_MAX_RANK)
        return bz_fail(err, BEZEL_ERR_RANGE, "adapter", "blk.%u.%s has rank %u, expected 1 to %u", (unsigned)layer,
                       bz_adapter_targets[target].name, (unsigned)rank, BZ_ADAPTER_MAX_RANK);
    pair->a = adapter_room(w, m->K * rank);
    pair->b = adapter_room(w, m->N * rank);
    if (pair->a == NULL || pair->b == NULL)
        return bz_fail_memory(err, "adapter", "a pair", (m->K + m->N) * rank * sizeof(float));
    pair->rank = rank;
    pair->scale = scale;
    return BEZEL_OK;
}

void bz_adapter_seal(bezel_adapter *a)
{
    bz_hash h;
    bz_hash_init(&h);
    for (uint32_t i = 0; i < adapter_places(a); ++i) {
        const bz_low_rank *p = &a->pairs[i];
        const bz_tensor *m = bz_adapter_matrix(a->model, i / BZ_N_TARGETS, i % BZ_N_TARGETS);
        bz_hash_add(&h, &p->rank, sizeof p->rank);
        bz_hash_add(&h, &p->scale, sizeof p->scale);
        bz_hash_add(&h, p->a, m->K * p->rank * sizeof(float));
        bz_hash_add(&h, p->b, m->N * p->rank * sizeof(float));
    }
    bz_hash_finish(&h, a->fingerprint);
}

/* --- Halves ------------------------------------------------------------------------------- */

static bezel_status adapter_refuse(bezel_error *err, bezel_status status, const char *path, const char *name, const char *what)
{
    bz_fail(err, status, "adapter", "%s: \"%s\" %s", path, name, what);
    return bz_error_place(err, status, "%s", name);
}

static bezel_status adapter_refuse_shape(bezel_error *err, const char *path, const bz_adapter_half *h, const char *what,
                                         uint64_t expected)
{
    bz_fail(err, BEZEL_ERR_SHAPE, "adapter", "%s: \"%s\" is %llu x %llu, expected %llu %s", path, h->name,
            (unsigned long long)h->rows, (unsigned long long)h->columns, (unsigned long long)expected, what);
    bz_error_hint(err, BEZEL_ERR_SHAPE, "The adapter was made for another model; open the model it was trained on.");
    return bz_error_place(err, BEZEL_ERR_SHAPE, "%s", h->name);
}

/* out [columns, rows] from rows [rows, columns] as the file has them. */
static bezel_status adapter_turn(float *out, const bezel_adapter *a, const bz_adapter_half *h, const char *path,
                                 bezel_error *err)
{
    const bezel_world *w = &a->model->engine->world;
    const size_t rows = (size_t)h->rows, columns = (size_t)h->columns, size = bz_quant_row_size(h->dtype, columns);
    float *row = bz_alloc(w, columns * sizeof *row);
    bezel_status status = BEZEL_OK;
    if (row == NULL)
        return bz_fail_memory(err, "adapter", "a row", columns * sizeof *row);
    for (size_t r = 0; r < rows && status == BEZEL_OK; ++r) {
        bz_quant_decode(row, (const char *)h->data + r * size, h->dtype, columns);
        for (size_t c = 0; c < columns; ++c) {
            out[c * rows + r] = row[c];
            if (!isfinite(row[c]))
                status = adapter_refuse(err, BEZEL_ERR_NUMERIC, path, h->name, "holds a number that is not finite");
        }
    }
    bz_free(w, row);
    return status;
}

static bezel_status adapter_fill_pair(bezel_adapter *a, uint32_t place, const bz_adapter_halves *h, float alpha, int by_root,
                                      const char *path, bezel_error *err)
{
    const uint32_t layer = place / BZ_N_TARGETS, target = place % BZ_N_TARGETS;
    const bz_tensor *m = bz_adapter_matrix(a->model, layer, target);
    if (h->a.data == NULL || h->b.data == NULL)
        return adapter_refuse(err, BEZEL_ERR_MISSING, path, h->a.data ? h->a.name : h->b.name,
                              "is only half of a pair, the other half is missing");
    if (h->a.columns != m->K)
        return adapter_refuse_shape(err, path, &h->a, "columns", m->K);
    if (h->b.rows != m->N)
        return adapter_refuse_shape(err, path, &h->b, "rows", m->N);
    if (h->b.columns != h->a.rows)
        return adapter_refuse_shape(err, path, &h->b, "columns, the rank of its other half", h->a.rows);
    if (h->a.rows == 0 || h->a.rows > BZ_ADAPTER_MAX_RANK)
        return adapter_refuse(err, BEZEL_ERR_RANGE, path, h->a.name, "has a rank that is not 1 to 256");
    const uint32_t rank = (uint32_t)h->a.rows;
    const float scale = alpha / (by_root ? sqrtf((float)rank) : (float)rank);
    bezel_status status = bz_adapter_add(a, layer, target, rank, scale, err);
    if (status == BEZEL_OK)
        status = adapter_turn(a->pairs[place].a, a, &h->a, path, err);
    return status == BEZEL_OK ? adapter_turn(a->pairs[place].b, a, &h->b, path, err) : status;
}

bezel_status bz_adapter_fill(bezel_adapter *a, const bz_adapter_halves *halves, float alpha, int by_root, const char *path,
                             bezel_error *err)
{
    bezel_status status = BEZEL_OK;
    uint32_t n = 0;
    for (uint32_t i = 0; i < adapter_places(a) && status == BEZEL_OK; ++i)
        if (halves[i].a.data != NULL || halves[i].b.data != NULL) {
            status = adapter_fill_pair(a, i, &halves[i], alpha, by_root, path, err);
            ++n;
        }
    if (status == BEZEL_OK && n == 0)
        status = bz_fail(err, BEZEL_ERR_MISSING, "adapter", "%s: no pair for a matrix of this model is in it", path);
    return status;
}

/* --- For files ---------------------------------------------------------------------------- */

float bz_adapter_alpha(const bezel_adapter *a)
{
    for (uint32_t i = 0; i < adapter_places(a); ++i)
        if (a->pairs[i].rank > 0)
            return a->pairs[i].scale * (float)a->pairs[i].rank;
    return 1.0f;
}

void bz_adapter_unfill(float *a, float *b, const bezel_adapter *adapter, uint32_t pair, float alpha)
{
    const bz_low_rank *p = &adapter->pairs[pair];
    const bz_tensor *m = bz_adapter_matrix(adapter->model, pair / BZ_N_TARGETS, pair % BZ_N_TARGETS);
    const float wanted = alpha / (float)p->rank, factor = wanted == p->scale ? 1.0f : p->scale / wanted;
    for (size_t r = 0; r < p->rank; ++r) {
        for (size_t k = 0; k < m->K; ++k)
            a[r * m->K + k] = p->a[k * p->rank + r];
        for (size_t n = 0; n < m->N; ++n)
            b[n * p->rank + r] = p->b[r * m->N + n] * factor;
    }
}

bezel_status bz_adapter_out_new(bz_adapter_out *out, const bezel_adapter *a, bezel_error *err)
{
    const bezel_world *w = &a->model->engine->world;
    const uint32_t places = adapter_places(a);
    size_t n = 0;
    for (uint32_t i = 0; i < places; ++i) {
        const bz_tensor *m = bz_adapter_matrix(a->model, i / BZ_N_TARGETS, i % BZ_N_TARGETS);
        n += (m->K + m->N) * a->pairs[i].rank;
    }
    *out = (bz_adapter_out){.block = bz_alloc(w, n * sizeof(float)),
                            .a = bz_zalloc_array(w, places, sizeof *out->a),
                            .b = bz_zalloc_array(w, places, sizeof *out->b)};
    if (out->block == NULL || out->a == NULL || out->b == NULL) {
        bz_adapter_out_free(out, a);
        return bz_fail_memory(err, "adapter", "what is to be written", n * sizeof(float));
    }
    float *at = out->block;
    for (uint32_t i = 0; i < places; ++i) {
        const bz_tensor *m = bz_adapter_matrix(a->model, i / BZ_N_TARGETS, i % BZ_N_TARGETS);
        const size_t rank = a->pairs[i].rank;
        if (rank == 0)
            continue;
        bz_adapter_unfill(at, at + m->K * rank, a, i, bz_adapter_alpha(a));
        out->a[i] = at;
        out->b[i] = at + m->K * rank;
        at += (m->K + m->N) * rank;
    }
    return BEZEL_OK;
}

void bz_adapter_out_free(bz_adapter_out *out, const bezel_adapter *a)
{
    const bezel_world *w = &a->model->engine->world;
    bz_free(w, out->block);
    bz_free(w, (void *)out->a);
    bz_free(w, (void *)out->b);
}

/* --- Public ------------------------------------------------------------------------------- */

/* 1 when path is a file, else it is taken for a folder. */
static int adapter_is_file(const bezel_world *w, const char *path)
{
    bezel_file *file = NULL;
    const bezel_status status = w->file_open(w->ud, &file, path, BEZEL_FILE_READ);
    if (status == BEZEL_OK)
        w->file_close(w->ud, file);
    return status == BEZEL_OK;
}

bezel_status bezel_adapter_open(bezel_adapter **out, bezel_model *model, const char *path, bezel_error *err)
{
    if (out == NULL || model == NULL || path == NULL)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "adapter", "%s is NULL", out == NULL ? "out" : model == NULL ? "model" : "path");
    bezel_adapter *a = NULL;
    *out = NULL;
    bezel_status status = bz_model_check_weights(model, err);
    if (status == BEZEL_OK)
        status = bz_adapter_new(&a, model, err);
    if (status != BEZEL_OK)
        return status;
    status = adapter_is_file(&model->engine->world, path) ? bz_adapter_read_gguf(a, path, err)
                                                          : bz_adapter_read_peft(a, path, err);
    if (status != BEZEL_OK) {
        bezel_adapter_free(a);
        return status;
    }
    bz_adapter_seal(a);
    *out = a;
    return BEZEL_OK;
}

bezel_status bezel_adapter_save(const bezel_adapter *adapter, const char *path, uint32_t form, bezel_error *err)
{
    if (adapter == NULL || path == NULL)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "adapter", "%s is NULL", adapter == NULL ? "adapter" : "path");
    if (form != BEZEL_ADAPTER_PEFT && form != BEZEL_ADAPTER_GGUF)
        return bz_fail(err, BEZEL_ERR_RANGE, "adapter", "form is %u, expected 1 (peft) or 2 (gguf)", (unsigned)form);
    return form == BEZEL_ADAPTER_PEFT ? bz_adapter_write_peft(adapter, path, err) : bz_adapter_write_gguf(adapter, path, err);
}

size_t bezel_adapter_pairs(const bezel_adapter *adapter, uint32_t *out_rank)
{
    size_t n = 0;
    uint32_t rank = 0;
    for (uint32_t i = 0; adapter != NULL && i < adapter_places(adapter); ++i) {
        n += adapter->pairs[i].rank > 0;
        rank = adapter->pairs[i].rank > rank ? adapter->pairs[i].rank : rank;
    }
    if (out_rank != NULL)
        *out_rank = rank;
    return n;
}
