/* SPDX-License-Identifier: MIT */
/* Tensor directory of a GGUF file. Invariant: on success every tensor lies inside the file, aligned, and no two overlap;
 * no product or sum exceeds 2^63-1. Order in the file is free; holes and trailing bytes are only remarked. Whether a
 * type can be computed with is decided by who binds the tensor. */
#include "base/alloc.h"
#include "base/byte_order.h"
#include "base/index_sort.h"
#include "base/utf8.h"
#include "format/gguf_parse.h"

#include <inttypes.h>
#include <string.h>

#define GGUF_MAX_BYTES ((uint64_t)INT64_MAX)

/* Elements and bytes of a block of every ggml type whose layout is fixed (ggml.h, ggml-common.h). This is more than
 * base/dtype has: a file may hold a tensor we never touch, and its range must still be checked. */
static const struct {
    const char *name;
    uint32_t block, block_size;
} gguf_dtypes[] = {
    [0] = {"F32", 1, 4},         [1] = {"F16", 1, 2},         [2] = {"Q4_0", 32, 18},      [3] = {"Q4_1", 32, 20},
    [6] = {"Q5_0", 32, 22},      [7] = {"Q5_1", 32, 24},      [8] = {"Q8_0", 32, 34},      [9] = {"Q8_1", 32, 36},
    [10] = {"Q2_K", 256, 84},    [11] = {"Q3_K", 256, 110},   [12] = {"Q4_K", 256, 144},   [13] = {"Q5_K", 256, 176},
    [14] = {"Q6_K", 256, 210},   [15] = {"Q8_K", 256, 292},   [16] = {"IQ2_XXS", 256, 66}, [17] = {"IQ2_XS", 256, 74},
    [18] = {"IQ3_XXS", 256, 98}, [19] = {"IQ1_S", 256, 50},   [20] = {"IQ4_NL", 32, 18},   [21] = {"IQ3_S", 256, 110},
    [22] = {"IQ2_S", 256, 82},   [23] = {"IQ4_XS", 256, 136}, [24] = {"I8", 1, 1},         [25] = {"I16", 1, 2},
    [26] = {"I32", 1, 4},        [27] = {"I64", 1, 8},        [28] = {"F64", 1, 8},        [29] = {"IQ1_M", 256, 56},
    [30] = {"BF16", 1, 2},       [34] = {"TQ1_0", 256, 54},   [35] = {"TQ2_0", 256, 66},   [39] = {"MXFP4", 32, 17},
};
#define GGUF_N_DTYPES ((uint32_t)(sizeof gguf_dtypes / sizeof gguf_dtypes[0]))

const char *bz_gguf_dtype_name(uint32_t dtype)
{
    return dtype < GGUF_N_DTYPES ? gguf_dtypes[dtype].name : NULL;
}

const char *bz_gguf_tensor_name(const bz_gguf *g, const bz_gguf_tensor *t)
{
    return (const char *)g->header + t->name_at;
}

int bz_gguf_compare_names(const char *a, size_t a_size, const char *b, size_t b_size)
{
    int c = memcmp(a, b, a_size < b_size ? a_size : b_size);
    return c ? c : (a_size > b_size) - (a_size < b_size);
}

/* As bz_gguf_fail_at, with the tensor's name in the text and as place. */
#define GGUF_TENSOR_FORMAT "tensor \"%.*s\" "
#define GGUF_TENSOR_ARGS(p, t) (int)(t)->name_size, bz_gguf_tensor_name((p)->g, t)

static bezel_status directory_name(bz_gguf_parse *p, bz_gguf_tensor *t)
{
    uint64_t size = 0;
    const char *name;
    bezel_status status = bz_gguf_take_text(p, &t->name_at, &size, BZ_GGUF_MAX_NAME, BEZEL_ERR_FORMAT, "tensor name");
    if (status != BEZEL_OK)
        return status;
    t->name_size = (uint32_t)size;
    name = bz_gguf_tensor_name(p->g, t);
    if (size == 0)
        return bz_gguf_fail_at(p, BEZEL_ERR_FORMAT, t->entry_at, "empty tensor name");
    if (memchr(name, 0, (size_t)size) || !bz_utf8_valid(name, (size_t)size))
        return bz_gguf_fail_at(p, BEZEL_ERR_FORMAT, t->entry_at,
                               GGUF_TENSOR_FORMAT "has a name with a NUL byte or invalid UTF-8", GGUF_TENSOR_ARGS(p, t));
    return BEZEL_OK;
}

static bezel_status directory_dims(bz_gguf_parse *p, bz_gguf_tensor *t, uint64_t *out_elements)
{
    uint64_t elements = 1;
    bezel_status status = bz_gguf_take_u32(p, &t->n_dims, "tensor dimension count");
    if (status != BEZEL_OK)
        return status;
    if (t->n_dims > 4)
        return bz_gguf_fail_at(p, BEZEL_ERR_RANGE, t->entry_at, GGUF_TENSOR_FORMAT "has %" PRIu32 " dimensions, at most 4",
                               GGUF_TENSOR_ARGS(p, t), t->n_dims);
    for (uint32_t i = 0; i < 4; i++)
        t->dims[i] = 1;
    for (uint32_t i = 0; i < t->n_dims && status == BEZEL_OK; i++)
        status = bz_gguf_take_u64(p, &t->dims[i], "tensor dimension");
    if (status != BEZEL_OK)
        return status;
    for (uint32_t i = 0; i < t->n_dims; i++) {
        if (t->dims[i] == 0 || t->dims[i] > GGUF_MAX_BYTES)
            return bz_gguf_fail_at(p, BEZEL_ERR_SHAPE, t->entry_at, GGUF_TENSOR_FORMAT "has dimension %" PRId64,
                                   GGUF_TENSOR_ARGS(p, t), (int64_t)t->dims[i]);
    }
    for (uint32_t i = 0; i < t->n_dims; i++) {
        if (!bz_u64_mul(&elements, elements, t->dims[i]) || elements > GGUF_MAX_BYTES)
            return bz_gguf_fail_at(p, BEZEL_ERR_OVERFLOW, t->entry_at,
                                   GGUF_TENSOR_FORMAT "has %" PRIu64 " x %" PRIu64 " x %" PRIu64 " x %" PRIu64 " elements",
                                   GGUF_TENSOR_ARGS(p, t), t->dims[0], t->dims[1], t->dims[2], t->dims[3]);
    }
    *out_elements = elements;
    return BEZEL_OK;
}

static bezel_status directory_size(bz_gguf_parse *p, bz_gguf_tensor *t, uint64_t elements)
{
    uint32_t block, block_size;
    const char *name;
    bezel_status status = bz_gguf_take_u32(p, &t->dtype, "tensor type");
    if (status != BEZEL_OK)
        return status;
    name = bz_gguf_dtype_name(t->dtype);
    if (!name && t->dtype >= 40 && t->dtype <= 42)
        return bz_gguf_fail_at(p, BEZEL_ERR_UNSUPPORTED, t->entry_at, GGUF_TENSOR_FORMAT "has type %" PRIu32 " (NVFP4, Q1_0, Q2_0)",
                               GGUF_TENSOR_ARGS(p, t), t->dtype);
    if (!name)
        return bz_gguf_fail_at(p, BEZEL_ERR_TYPE, t->entry_at, GGUF_TENSOR_FORMAT "has unknown type %" PRId64,
                               GGUF_TENSOR_ARGS(p, t), (int64_t)(int32_t)t->dtype);
    block = gguf_dtypes[t->dtype].block;
    block_size = gguf_dtypes[t->dtype].block_size;
    if (t->dims[0] % block != 0)
        return bz_gguf_fail_at(p, BEZEL_ERR_SHAPE, t->entry_at,
                               GGUF_TENSOR_FORMAT "has rows of %" PRIu64 " elements; %s needs multiples of %" PRIu32,
                               GGUF_TENSOR_ARGS(p, t), t->dims[0], name, block);
    if (!bz_u64_mul(&t->size, elements / block, block_size) || t->size > GGUF_MAX_BYTES - BZ_GGUF_MAX_ALIGNMENT)
        return bz_gguf_fail_at(p, BEZEL_ERR_OVERFLOW, t->entry_at, GGUF_TENSOR_FORMAT "has %" PRIu64 " elements of type %s",
                               GGUF_TENSOR_ARGS(p, t), elements, name);
    return BEZEL_OK;
}

static bezel_status directory_entry(bz_gguf_parse *p, bz_gguf_tensor *t, uint64_t *total)
{
    uint64_t elements = 0, mask = p->g->alignment - 1, end;
    bezel_status status;
    t->entry_at = p->pos;
    status = directory_name(p, t);
    if (status == BEZEL_OK)
        status = directory_dims(p, t, &elements);
    if (status == BEZEL_OK)
        status = directory_size(p, t, elements);
    if (status == BEZEL_OK)
        status = bz_gguf_take_u64(p, &t->offset, "tensor offset");
    if (status != BEZEL_OK)
        return status;
    if ((t->offset & mask) != 0)
        return bz_gguf_fail_at(p, BEZEL_ERR_RANGE, t->entry_at,
                               GGUF_TENSOR_FORMAT "starts at %" PRIu64 ", no multiple of the alignment %" PRIu32,
                               GGUF_TENSOR_ARGS(p, t), t->offset, p->g->alignment);
    if (!bz_u64_add(&end, t->offset, t->size) || end > GGUF_MAX_BYTES ||
        !bz_u64_add(total, *total, (t->size + mask) & ~mask) || *total > GGUF_MAX_BYTES)
        return bz_gguf_fail_at(p, BEZEL_ERR_OVERFLOW, t->entry_at,
                               GGUF_TENSOR_FORMAT "starts at %" PRIu64 " and has %" PRIu64 " bytes",
                               GGUF_TENSOR_ARGS(p, t), t->offset, t->size);
    return BEZEL_OK;
}

static int directory_by_name(const void *ctx, uint32_t a, uint32_t b)
{
    const bz_gguf *g = ctx;
    const bz_gguf_tensor *x = &g->tensors[a], *y = &g->tensors[b];
    return bz_gguf_compare_names(bz_gguf_tensor_name(g, x), x->name_size, bz_gguf_tensor_name(g, y), y->name_size);
}

static int directory_by_offset(const void *ctx, uint32_t a, uint32_t b)
{
    const bz_gguf *g = ctx;
    return (g->tensors[a].offset > g->tensors[b].offset) - (g->tensors[a].offset < g->tensors[b].offset);
}

static void directory_sort(bz_gguf *g, bz_index_compare_fn compare)
{
    for (uint32_t i = 0; i < g->n_tensors; i++)
        g->tensor_index[i] = i;
    bz_index_sort(g->tensor_index, g->n_tensors, compare, g);
}

static bezel_status directory_places(bz_gguf_parse *p)
{
    bz_gguf *g = p->g;
    uint64_t mask = g->alignment - 1;
    g->data_at = (p->pos + mask) & ~mask;
    for (uint32_t i = 0; i < g->n_tensors; i++) {
        bz_gguf_tensor *t = &g->tensors[i];
        uint64_t end = 0;
        bezel_status status;
        if (!bz_u64_add(&t->offset, t->offset, g->data_at) || !bz_u64_add(&end, t->offset, t->size) ||
            end > GGUF_MAX_BYTES)
            return bz_gguf_fail_at(p, BEZEL_ERR_OVERFLOW, t->entry_at, GGUF_TENSOR_FORMAT "ends beyond 2^63 bytes",
                                   GGUF_TENSOR_ARGS(p, t));
        if (end <= g->file_size)
            continue;
        status = bz_gguf_fail_at(p, BEZEL_ERR_TRUNCATED, t->entry_at,
                                 GGUF_TENSOR_FORMAT "needs the file to have %" PRIu64 " bytes, it has %" PRIu64,
                                 GGUF_TENSOR_ARGS(p, t), end, g->file_size);
        return bz_error_hint(p->err, status, "The file is cut short; fetch it again.");
    }
    return BEZEL_OK;
}

/* Uses the index for the order by offset; directory_names puts it in its final order afterwards. */
static bezel_status directory_overlap(bz_gguf_parse *p)
{
    bz_gguf *g = p->g;
    uint64_t mask = g->alignment - 1, end = g->data_at, holes = 0;
    directory_sort(g, directory_by_offset);
    for (uint32_t i = 0; i < g->n_tensors; i++) {
        const bz_gguf_tensor *t = &g->tensors[g->tensor_index[i]];
        if (i > 0 && t->offset < end) {
            const bz_gguf_tensor *before = &g->tensors[g->tensor_index[i - 1]];
            return bz_gguf_fail_at(p, BEZEL_ERR_RANGE, t->entry_at,
                                   GGUF_TENSOR_FORMAT "starts inside tensor \"%.*s\" (0x%" PRIx64 " before 0x%" PRIx64 ")",
                                   GGUF_TENSOR_ARGS(p, t), GGUF_TENSOR_ARGS(p, before), t->offset, end);
        }
        holes += t->offset > ((end + mask) & ~mask);
        end = t->offset + t->size;
    }
    if (holes && p->notes)
        bz_notes_add(p->notes, "gguf", "%s: %" PRIu64 " holes between tensors", g->name, holes);
    if (((end + mask) & ~mask) < g->file_size && p->notes)
        bz_notes_add(p->notes, "gguf", "%s: %" PRIu64 " bytes after the last tensor belong to nothing", g->name,
                     g->file_size - end);
    return BEZEL_OK;
}

static bezel_status directory_names(bz_gguf_parse *p)
{
    bz_gguf *g = p->g;
    directory_sort(g, directory_by_name);
    for (uint32_t i = 1; i < g->n_tensors; i++) {
        const bz_gguf_tensor *a = &g->tensors[g->tensor_index[i - 1]], *b = &g->tensors[g->tensor_index[i]];
        if (directory_by_name(g, g->tensor_index[i - 1], g->tensor_index[i]) == 0)
            return bz_gguf_fail_at(p, BEZEL_ERR_DUPLICATE, b->entry_at,
                                   GGUF_TENSOR_FORMAT "occurs twice, first at 0x%" PRIx64, GGUF_TENSOR_ARGS(p, b),
                                   a->entry_at);
    }
    return BEZEL_OK;
}

bezel_status bz_gguf_parse_tensors(bz_gguf_parse *p)
{
    bz_gguf *g = p->g;
    uint64_t total = 0;
    bezel_status status = BEZEL_OK;
    if (g->n_tensors == 0) { /* the first part of a split file may hold metadata only */
        g->data_at = p->pos;
        return BEZEL_OK;
    }
    g->tensors = bz_zalloc_array(g->world, g->n_tensors, sizeof *g->tensors);
    g->tensor_index = bz_zalloc_array(g->world, g->n_tensors, sizeof *g->tensor_index);
    if (!g->tensors || !g->tensor_index)
        return bz_fail_memory(p->err, "gguf", "tensor directory", g->n_tensors * sizeof *g->tensors);
    for (uint32_t i = 0; i < g->n_tensors && status == BEZEL_OK; i++)
        status = directory_entry(p, &g->tensors[i], &total);
    if (status == BEZEL_OK)
        status = directory_places(p);
    if (status == BEZEL_OK)
        status = directory_overlap(p);
    if (status == BEZEL_OK)
        status = directory_names(p);
    return status;
}
