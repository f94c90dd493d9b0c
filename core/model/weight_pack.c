/* SPDX-License-Identifier: MIT */
/* Making and mapping the panels of a model's layers (see weight_pack.h).
 *
 *     0     "BZPACK\r\n", u32 version, u32 rows of a panel, u64 bytes of data, key [16]
 *     data  layer by layer the matrices in the order of bz_packed_layer, each from a multiple of 64 on
 *
 * The same bytes on every level. Invariant: `layers` is filled by the job's thread before it is ready. */
#include "model/weight_pack.h"

#include "base/alloc.h"
#include "base/byte_order.h"
#include "base/status.h"
#include "compute/packed.h"
#include "model/side_file.h"
#include "model/side_job.h"

#include <string.h>

#define PACK_ORIGIN "weights"
#define PACK_MAGIC "BZPACK\r\n"
#define PACK_VERSION 1u /* to be raised with every change of what bz_packed_fill writes */
#define PACK_SUFFIX ".packed"
#define PACK_MOST ((uint64_t)1 << 30)  /* bytes of one model's panels */
#define PACK_LIMIT ((uint64_t)2 << 30) /* of all models' */

enum { PACK_NAMES = 40, PACK_ALIGN = 64 };

struct bz_weight_pack {
    const bezel_model *model;
    const bezel_world *world;
    bz_side_plan plan;
    uint8_t names[PACK_NAMES];
    char *path, *folder;
    bz_side_job job;
    bz_side_map map;
    bz_packed_layer *layers; /* [n_layers] */
};

/* --- Layout ------------------------------------------------------------------------------- */

/* ORDER: BZ_PACK_... */
static const size_t pack_members[BZ_PACK_PARTS] = {
    offsetof(bz_layer_weights, q),    offsetof(bz_layer_weights, k),  offsetof(bz_layer_weights, v),
    offsetof(bz_layer_weights, attn_output), offsetof(bz_layer_weights, gate), offsetof(bz_layer_weights, up),
    offsetof(bz_layer_weights, down)};

static const bz_tensor *pack_tensor(const bz_layer_weights *w, size_t part)
{
    return (const bz_tensor *)(const void *)((const char *)w + pack_members[part]);
}

/* Bytes of a matrix with what aligns the next; 0 for one that stays in the model file. */
static size_t pack_size(const bz_tensor *t)
{
    const size_t panel = t->N % BZ_PACKED_ROWS == 0 ? bz_packed_panel_size(t->dtype, t->K) : 0;
    return (t->N / BZ_PACKED_ROWS * panel + PACK_ALIGN - 1) / PACK_ALIGN * PACK_ALIGN;
}

/* Points the layers into data; returns its bytes. data NULL: only these. */
static uint64_t pack_place(bz_weight_pack *p, const uint8_t *data)
{
    uint64_t at = 0;
    for (size_t i = 0; i < p->model->config.n_layers; i++) {
        for (size_t part = 0; part < BZ_PACK_PARTS; part++) {
            const size_t size = pack_size(pack_tensor(&p->model->weights.layers[i], part));
            if (data != NULL && size > 0)
                p->layers[i].part[part] = data + at;
            at += size;
        }
    }
    return at;
}

/* --- Making ------------------------------------------------------------------------------- */

static bezel_status pack_add_matrix(bz_weight_pack *p, bz_side_writer *writer, uint8_t *panel, const bz_tensor *t,
                                    bezel_error *err)
{
    static const uint8_t zeros[PACK_ALIGN];
    const size_t row_size = bz_tensor_row_size(t), panel_size = bz_packed_panel_size(t->dtype, t->K);
    const size_t size = pack_size(t);
    bezel_status status = BEZEL_OK;
    for (size_t n = 0; n < t->N && size > 0 && status == BEZEL_OK; n += BZ_PACKED_ROWS) {
        if (atomic_load_explicit(&p->job.cancel, memory_order_relaxed))
            return bz_fail(err, BEZEL_ERR_CANCELLED, PACK_ORIGIN, "the work on the layers' weights was cancelled");
        bz_packed_fill(panel, (const uint8_t *)t->data + n * row_size, row_size, t->dtype, t->K);
        status = bz_side_add(writer, panel, panel_size, err);
    }
    return status == BEZEL_OK && size > 0 ? bz_side_add(writer, zeros, size - t->N / BZ_PACKED_ROWS * panel_size, err) : status;
}

static bezel_status pack_make(bz_weight_pack *p, bezel_error *err)
{
    bz_side_writer writer;
    size_t largest = 0;
    for (size_t i = 0; i < p->model->config.n_layers; i++) {
        for (size_t part = 0; part < BZ_PACK_PARTS; part++) {
            const bz_tensor *t = pack_tensor(&p->model->weights.layers[i], part);
            const size_t size = bz_packed_panel_size(t->dtype, t->K);
            largest = size > largest ? size : largest;
        }
    }
    uint8_t *panel = bz_alloc(p->world, largest);
    if (panel == NULL)
        return bz_fail_memory(err, PACK_ORIGIN, "a panel of weights", largest);
    bezel_status status = bz_side_begin(&writer, &p->plan, err);
    for (size_t i = 0; i < p->model->config.n_layers && status == BEZEL_OK; i++)
        for (size_t part = 0; part < BZ_PACK_PARTS && status == BEZEL_OK; part++)
            status = pack_add_matrix(p, &writer, panel, pack_tensor(&p->model->weights.layers[i], part), err);
    if (status == BEZEL_OK)
        status = bz_side_finish(&writer, err);
    bz_side_abandon(&writer);
    bz_free(p->world, panel);
    return status;
}

static bezel_status pack_run(void *arg, bezel_error *err)
{
    bz_weight_pack *p = arg;
    bz_log *log = p->model->engine->log;
    bezel_status status = bz_side_open(&p->map, &p->plan, err);
    if (status < 0 && status != BEZEL_ERR_CANCELLED) {
        if (status != BEZEL_ERR_MISSING)
            bz_log_write(log, BEZEL_LOG_INFO, PACK_ORIGIN, "%s; it is made again", err->text);
        bz_side_clean(p->world, p->folder, PACK_SUFFIX, p->path, bz_side_size(PACK_NAMES, p->plan.data_size), PACK_LIMIT,
                      BZ_SIDE_MAX_AGE_MS);
        status = pack_make(p, err);
        if (status == BEZEL_OK)
            status = bz_side_open(&p->map, &p->plan, err);
    }
    if (status == BEZEL_OK) {
        (void)pack_place(p, p->map.data);
        bz_side_touch(p->world, p->path);
        bz_log_write(log, BEZEL_LOG_INFO, PACK_ORIGIN, "layers are read from %s", p->path);
    } else if (status != BEZEL_ERR_CANCELLED) {
        bz_log_write(log, BEZEL_LOG_INFO, PACK_ORIGIN, "layers are read from the model file: %s", err->text);
    }
    return status;
}

/* --- Life --------------------------------------------------------------------------------- */

static void pack_plan(bz_weight_pack *p, uint64_t data_size)
{
    uint8_t key[16];
    bz_side_job_key(key, p->model);
    memcpy(p->names, PACK_MAGIC, 8);
    bz_store_u32(p->names + 8, PACK_VERSION);
    bz_store_u32(p->names + 12, BZ_PACKED_ROWS);
    bz_store_u64(p->names + 16, data_size);
    memcpy(p->names + 24, key, 16);
    p->path = bz_side_job_path(p->world, p->folder, key, PACK_SUFFIX);
    p->plan = (bz_side_plan){.world = p->world,
                             .origin = PACK_ORIGIN,
                             .path = p->path,
                             .names = p->names,
                             .names_size = PACK_NAMES,
                             .head_size = PACK_NAMES,
                             .data_size = data_size,
                             .cancel = &p->job.cancel};
}

bezel_status bz_weight_pack_new(bz_weight_pack **out, const bezel_model *model, const char *folder, bezel_error *err)
{
    const bezel_world *w = &model->engine->world;
    *out = NULL;
    if (model->engine->kernel->matmul_packed == NULL)
        return BEZEL_OK;
    bz_weight_pack *p = bz_zalloc(w, sizeof *p);
    if (p == NULL)
        return bz_fail_memory(err, PACK_ORIGIN, "the panels of the layers", sizeof *p);
    p->model = model;
    p->world = w;
    const uint64_t data_size = pack_place(p, NULL);
    if (data_size == 0 || data_size > PACK_MOST) {
        bz_weight_pack_free(p);
        return BEZEL_OK;
    }
    p->layers = bz_zalloc_array(w, model->config.n_layers, sizeof *p->layers);
    p->folder = bz_text_dup(w, folder, SIZE_MAX);
    if (p->folder != NULL)
        pack_plan(p, data_size);
    if (!bz_side_job_init(&p->job, w, "bezel-pack", pack_run, p) || p->layers == NULL || p->path == NULL) {
        bz_weight_pack_free(p);
        return bz_fail_memory(err, PACK_ORIGIN, "the panels of the layers", model->config.n_layers * sizeof *p->layers);
    }
    *out = p;
    return BEZEL_OK;
}

void bz_weight_pack_free(bz_weight_pack *p)
{
    if (p == NULL)
        return;
    const bezel_world *w = p->world;
    bz_side_job_end(&p->job);
    bz_side_close(&p->map, w);
    bz_free(w, p->path);
    bz_free(w, p->folder);
    bz_free(w, p->layers);
    bz_free(w, p);
}

const bz_packed_layer *bz_weight_pack_get(bz_weight_pack *p, int may_start)
{
    return p != NULL && bz_side_job_ready(&p->job, may_start) ? p->layers : NULL;
}

bezel_status bz_weight_pack_wait(bz_weight_pack *p, bezel_error *err)
{
    return bz_side_job_wait(&p->job, err);
}
