/* SPDX-License-Identifier: MIT */
/* Binds tensors by walking the table. Invariant: after bz_weights_check each row of the table that the family needs has a
 * tensor with exactly the shape that the configuration implies and a type the kernels read; bind then cannot meet a
 * surprise but memory. Matrices stay where they lie; norms become F32. */
#include "model/weights.h"

#include "base/alloc.h"
#include "base/byte_order.h"
#include "compute/quant.h"
#include "format/weight_source.h"
#include "model/weight_map.h"

#include <inttypes.h>
#include <string.h>

/* --- Check -------------------------------------------------------------------------------- */

static bezel_status weights_fail(bezel_error *err, bezel_status status, const bz_weight_entry *e)
{
    bz_error_offset(err, status, (int64_t)e->tensor->entry_at);
    return bz_error_place(err, status, "%.*s", (int)e->tensor->name_size, bz_gguf_tensor_name(e->gguf, e->tensor));
}

static bezel_status weights_check_entry(const bz_config *c, const bz_weight_row *row, const bz_weight_entry *e,
                                        const char *name, bezel_error *err)
{
    const bz_gguf_tensor *t = e->tensor;
    uint64_t K = bz_weight_size(c, row->K), N = bz_weight_size(c, row->N);
    const bz_dtype *dtype = bz_dtype_find(t->dtype);
    bezel_status status;
    if (t->n_dims < 1 || t->dims[0] != K || t->dims[1] != N || t->dims[2] != 1 || t->dims[3] != 1) {
        status = bz_fail(err, BEZEL_ERR_SHAPE, "weights",
                         "%s @0x%" PRIx64 ": tensor \"%s\" has %" PRIu32 " dimensions %" PRIu64 " x %" PRIu64 " x %" PRIu64
                         " x %" PRIu64 ", expected %" PRIu64 " x %" PRIu64,
                         e->gguf->name, t->entry_at, name, t->n_dims, t->dims[0], t->dims[1], t->dims[2], t->dims[3], K, N);
        return weights_fail(err, status, e);
    }
    if (!dtype || dtype->block == 0 ||
        (row->is_norm && t->dtype != BZ_DTYPE_F32 && t->dtype != BZ_DTYPE_F16 && t->dtype != BZ_DTYPE_BF16)) {
        status = bz_fail(err, BEZEL_ERR_UNSUPPORTED, "weights", "%s @0x%" PRIx64 ": tensor \"%s\" has type %s, which %s",
                         e->gguf->name, t->entry_at, name, bz_gguf_dtype_name(t->dtype),
                         row->is_norm ? "is no type of a norm (F32, F16, BF16)" : "this build cannot compute with");
        bz_error_hint(err, status, "Use a file quantised to Q4_0, Q5_0, Q8_0 or a K type, or not quantised at all.");
        return weights_fail(err, status, e);
    }
    return BEZEL_OK;
}

static bezel_status weights_check_row(const bz_config *c, const bz_weight_source *s, const bz_weight_row *row,
                                      uint32_t layer, uint32_t *n_used, bezel_error *err)
{
    char name[64];
    bz_weight_entry e;
    int need = bz_weight_row_need(row, bz_family_find(c->arch, strlen(c->arch)));
    if (need < 0)
        return BEZEL_OK;
    if (!bz_weight_source_find(&e, s, bz_weight_name(name, row, layer))) {
        if (need == 0)
            return BEZEL_OK;
        bz_fail(err, BEZEL_ERR_MISSING, "weights", "%s: tensor \"%s\" is missing", bz_weight_source_metadata(s)->name, name);
        bz_error_hint(err, BEZEL_ERR_MISSING, "The file is not a whole model; fetch or convert it again.");
        return bz_error_place(err, BEZEL_ERR_MISSING, "%s", name);
    }
    ++*n_used;
    return weights_check_entry(c, row, &e, name, err);
}

/* Number after "blk." must be plain decimal without leading zeros, below the limit of layers, and end in a point. */
static bezel_status weights_check_layer_number(const bz_weight_entry *e, bezel_error *err)
{
    const char *name = bz_gguf_tensor_name(e->gguf, e->tensor);
    uint32_t size = e->tensor->name_size, i = 4, n = 0;
    bezel_status status;
    if (size < 4 || memcmp(name, "blk.", 4) != 0)
        return BEZEL_OK;
    while (i < size && i < 8 && name[i] >= '0' && name[i] <= '9')
        n = n * 10 + (uint32_t)(name[i++] - '0');
    if (i > 4 && i < size && name[i] == '.' && n < BZ_MAX_LAYERS && (name[4] != '0' || i == 5))
        return BEZEL_OK;
    status = bz_fail(err, BEZEL_ERR_FORMAT, "weights",
                     "%s @0x%" PRIx64 ": tensor \"%.*s\" has no layer number 0 to %d after \"blk.\"", e->gguf->name,
                     e->tensor->entry_at, (int)size, name, BZ_MAX_LAYERS - 1);
    return weights_fail(err, status, e);
}

/* True when walking the table over n_layers gives the name. */
static int weights_is_known(const bz_config *c, const bz_weight_entry *e)
{
    const char *name = bz_gguf_tensor_name(e->gguf, e->tensor);
    char expected[64];
    uint32_t layer = 0, i;
    int is_layer = e->tensor->name_size > 4 && memcmp(name, "blk.", 4) == 0;
    for (i = 4; is_layer && i < e->tensor->name_size && name[i] != '.'; i++)
        layer = layer * 10 + (uint32_t)(name[i] - '0');
    if (is_layer && layer >= c->n_layers)
        return 0;
    for (i = 0; i < bz_n_weight_rows; i++) {
        if (bz_weight_rows[i].is_layer == is_layer &&
            bz_weight_row_need(&bz_weight_rows[i], bz_family_find(c->arch, strlen(c->arch))) >= 0 &&
            strlen(bz_weight_name(expected, &bz_weight_rows[i], layer)) == e->tensor->name_size &&
            memcmp(expected, name, e->tensor->name_size) == 0)
            return 1;
    }
    return 0;
}

static void weights_note_unknown(const bz_config *c, const bz_weight_source *s, uint32_t n_used, bz_notes *notes)
{
    uint32_t extra = bz_weight_source_count(s) - n_used;
    if (extra == 0 || !notes)
        return;
    for (uint32_t i = 0; i < bz_weight_source_count(s); i++) {
        bz_weight_entry e = bz_weight_source_at(s, i);
        if (!weights_is_known(c, &e)) {
            bz_notes_add(notes, "weights", "%s: %" PRIu32 " tensors are not used, the first is \"%.*s\"", e.gguf->name,
                         extra, (int)e.tensor->name_size, bz_gguf_tensor_name(e.gguf, e.tensor));
            return;
        }
    }
}

bezel_status bz_weights_check(const bz_config *c, const bz_weight_source *s, bz_notes *notes, bezel_error *err)
{
    uint32_t n_used = 0;
    bezel_status status = BEZEL_OK;
    for (uint32_t i = 0; i < bz_weight_source_count(s) && status == BEZEL_OK; i++) {
        bz_weight_entry e = bz_weight_source_at(s, i);
        status = weights_check_layer_number(&e, err);
    }
    for (uint32_t i = 0; i < bz_n_weight_rows && status == BEZEL_OK; i++) {
        const bz_weight_row *row = &bz_weight_rows[i];
        uint32_t n = row->is_layer ? c->n_layers : 1;
        for (uint32_t layer = 0; layer < n && status == BEZEL_OK; layer++)
            status = weights_check_row(c, s, row, layer, &n_used, err);
    }
    if (status == BEZEL_OK)
        weights_note_unknown(c, s, n_used, notes);
    return status;
}

/* --- Bind --------------------------------------------------------------------------------- */

typedef struct weights_walk {
    bz_weights *weights;
    const bz_config *c;
    const bz_weight_source *source;
    float *norms; /* NULL while only counting */
    size_t n_norms;
} weights_walk;

static void weights_set_norm(weights_walk *walk, const float **member, const bz_weight_entry *e)
{
    const uint8_t *data = bz_weight_source_data(walk->source, *e);
    size_t n = (size_t)e->tensor->dims[0];
    if (e->tensor->dtype == BZ_DTYPE_F32) {
        *member = (const float *)(const void *)data; /* aligned: offsets are multiples of 8 or more */
        return;
    }
    if (walk->norms) {
        float *out = walk->norms + walk->n_norms;
        bz_quant_decode(out, data, e->tensor->dtype, n);
        *member = out;
    }
    walk->n_norms += n;
}

static void weights_set(weights_walk *walk, const bz_weight_row *row, uint32_t layer)
{
    char name[64];
    bz_weight_entry e;
    uint8_t *base = row->is_layer ? (uint8_t *)&walk->weights->layers[layer] : (uint8_t *)walk->weights;
    void *member = base + row->member;
    if (bz_weight_row_need(row, bz_family_find(walk->c->arch, strlen(walk->c->arch))) < 0 ||
        !bz_weight_source_find(&e, walk->source, bz_weight_name(name, row, layer)))
        return;
    if (row->is_norm) {
        weights_set_norm(walk, member, &e);
    } else {
        bz_tensor *t = member;
        t->data = bz_weight_source_data(walk->source, e);
        t->dtype = e.tensor->dtype;
        t->n_dims = e.tensor->n_dims;
        t->K = (size_t)e.tensor->dims[0];
        t->N = (size_t)e.tensor->dims[1];
    }
}

static void weights_walk_all(weights_walk *walk)
{
    walk->n_norms = 0;
    for (uint32_t i = 0; i < bz_n_weight_rows; i++) {
        uint32_t n = bz_weight_rows[i].is_layer ? walk->c->n_layers : 1;
        for (uint32_t layer = 0; layer < n; layer++)
            weights_set(walk, &bz_weight_rows[i], layer);
    }
}

bezel_status bz_weights_bind(bz_weights *out, const bezel_world *w, const bz_config *c, const bz_weight_source *s,
                             bezel_error *err)
{
    weights_walk walk = {out, c, s, NULL, 0};
    memset(out, 0, sizeof *out);
    out->layers = bz_zalloc_array(w, c->n_layers, sizeof *out->layers);
    if (!out->layers)
        return bz_fail_memory(err, "weights", "layers", c->n_layers * sizeof *out->layers);
    weights_walk_all(&walk);
    if (walk.n_norms > 0) {
        out->norms = bz_alloc_aligned(w, walk.n_norms * sizeof *out->norms);
        if (!out->norms) {
            bz_weights_free(out, w);
            return bz_fail_memory(err, "weights", "norms", walk.n_norms * sizeof *out->norms);
        }
        walk.norms = out->norms;
        weights_walk_all(&walk);
    }
    if (!out->output.data) /* tied: the embedding is the output matrix */
        out->output = out->embedding;
    return BEZEL_OK;
}

void bz_weights_free(bz_weights *weights, const bezel_world *w)
{
    bz_free(w, weights->layers);
    bz_free_aligned(w, weights->norms);
    memset(weights, 0, sizeof *weights);
}

void bz_weights_total(uint64_t *out_size, uint64_t *out_elements, const bz_config *c, const bz_weight_source *s)
{
    *out_size = 0;
    *out_elements = 0;
    for (uint32_t i = 0; i < bz_weight_source_count(s); i++) {
        bz_weight_entry e = bz_weight_source_at(s, i);
        if (!weights_is_known(c, &e))
            continue;
        *out_size += e.tensor->size;
        *out_elements += e.tensor->dims[0] * e.tensor->dims[1] * e.tensor->dims[2] * e.tensor->dims[3];
    }
}

/* --- Values ------------------------------------------------------------------------------- */

/* Where the half-float scales of a block lie; count 0 = no half scales. ORDER of types is free. */
static const struct {
    uint8_t dtype, count;
    uint16_t at[2];
} weights_scales[] = {
    {BZ_DTYPE_F16, 1, {0, 0}},      {BZ_DTYPE_Q4_0, 1, {0, 0}},   {BZ_DTYPE_Q4_1, 2, {0, 2}},  {BZ_DTYPE_Q5_0, 1, {0, 0}},
    {BZ_DTYPE_Q5_1, 2, {0, 2}},     {BZ_DTYPE_Q8_0, 1, {0, 0}},   {BZ_DTYPE_Q8_1, 2, {0, 2}},  {BZ_DTYPE_Q2_K, 2, {80, 82}},
    {BZ_DTYPE_Q3_K, 1, {108, 0}},   {BZ_DTYPE_Q4_K, 2, {0, 2}},   {BZ_DTYPE_Q5_K, 2, {0, 2}},  {BZ_DTYPE_Q6_K, 1, {208, 0}},
    {BZ_DTYPE_IQ4_NL, 1, {0, 0}},   {BZ_DTYPE_IQ4_XS, 1, {0, 0}},
};

/* 1 when a 16-bit number at one of the places of some block has all exponent bits set. */
static int weights_row_has(const uint8_t *row, uint64_t n_blocks, uint32_t block_size, const uint16_t *at, uint32_t count,
                           uint32_t exponent)
{
    for (uint64_t b = 0; b < n_blocks; b++, row += block_size) {
        for (uint32_t i = 0; i < count; i++) {
            if ((bz_load_u16(row + at[i]) & exponent) == exponent)
                return 1;
        }
    }
    return 0;
}

static int weights_row_is_bad(const uint8_t *row, uint32_t id, const bz_dtype *dtype, uint64_t n_blocks)
{
    static const uint16_t start = 0, upper_half = 2;
    if (id == BZ_DTYPE_F32 || id == BZ_DTYPE_Q8_K) /* a float: its exponent is in the upper two bytes */
        return weights_row_has(row, n_blocks, dtype->block_size, &upper_half, 1, 0x7F80);
    if (id == BZ_DTYPE_BF16)
        return weights_row_has(row, n_blocks, dtype->block_size, &start, 1, 0x7F80);
    for (size_t i = 0; i < sizeof weights_scales / sizeof weights_scales[0]; i++) {
        if (weights_scales[i].dtype == id)
            return weights_row_has(row, n_blocks, dtype->block_size, weights_scales[i].at, weights_scales[i].count, 0x7C00);
    }
    return 0;
}

uint64_t bz_weights_bad_row(const bz_gguf_tensor *t, const void *data, uint64_t row, uint64_t row_end)
{
    const bz_dtype *dtype = bz_dtype_find(t->dtype);
    uint64_t n_blocks, row_size;
    if (!dtype || dtype->block == 0)
        return row_end;
    n_blocks = t->dims[0] / dtype->block;
    row_size = n_blocks * dtype->block_size;
    for (; row < row_end; row++) {
        if (weights_row_is_bad((const uint8_t *)data + row * row_size, t->dtype, dtype, n_blocks))
            return row;
    }
    return row_end;
}
