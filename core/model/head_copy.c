/* SPDX-License-Identifier: MIT */
/* When the side file of the output matrix is made, and for which model file (see head_copy.h).
 * Invariant: state goes from idle to busy to ready or failed and never back; `file` is written by the thread before ready
 * and only read from then on. */
#include "model/head_copy.h"

#include "base/alloc.h"
#include "base/hash.h"
#include "compute/quant.h"
#include "model/head_file.h"

#include <stdio.h>
#include <string.h>

#define COPY_SUFFIX ".head"
#define COPY_LIMIT ((uint64_t)2 << 30) /* bytes of the copies of all models */

enum { COPY_IDLE, COPY_BUSY, COPY_READY, COPY_FAILED };

struct bz_head_copy {
    const bezel_model *model;
    const bezel_world *world;
    bz_head_plan plan;
    char *path, *folder;
    double *weight; /* [K] */
    bz_mutex *mutex;
    bz_cond *cond; /* state left busy */
    atomic_int state, cancel;
    bezel_thread *thread; /* NULL before start */
    bz_head_file file;
    bezel_error error; /* why, when failed */
};

/* --- Life --------------------------------------------------------------------------------- */

/* Expected square of the hidden state in each dimension: the residual stream is a sum of normed block outputs, so their
 * norms' weights tell how much each adds. Families without these norms have only the last one's. */
static void copy_weigh(double *weight, const bz_weights *w, const bz_config *c)
{
    for (size_t k = 0; k < c->D; k++) {
        double sum = 0.0;
        for (size_t i = 0; i < c->n_layers; i++) {
            const bz_layer_weights *layer = &w->layers[i];
            const double a = layer->post_attn_norm ? (double)layer->post_attn_norm[k] : 0.0;
            const double b = layer->post_ffn_norm ? (double)layer->post_ffn_norm[k] : 0.0;
            sum += a * a + b * b;
        }
        weight[k] = (double)w->output_norm[k] * (double)w->output_norm[k] * (sum > 0.0 ? sum : 1.0);
    }
}

static int copy_is_possible(const bezel_model *m)
{
    const bz_tensor *t = &m->weights.output;
    return m->config.final_softcap <= 0.0F && !bz_quant_has_min(t->dtype) && t->N == m->config.V && bz_screen_fits(t->N, t->K);
}

/* folder/<32 hex digits of the key>.head: a file of another version has the same name and is replaced. */
static int copy_name(bz_head_copy *c, const char *folder)
{
    char hex[33];
    const size_t size = strlen(folder) + sizeof hex + 16;
    for (int i = 0; i < 16; i++)
        snprintf(hex + 2 * i, 3, "%02x", c->plan.key[i]);
    c->folder = bz_text_dup(c->world, folder, SIZE_MAX);
    c->path = bz_alloc(c->world, size);
    if (c->path == NULL || c->folder == NULL)
        return 0;
    snprintf(c->path, size, "%s/%s" COPY_SUFFIX, folder, hex);
    return 1;
}

static void copy_key(uint8_t key[16], const bezel_model *m)
{
    bz_hash h;
    bz_hash_init(&h);
    bz_hash_add(&h, m->fingerprint, sizeof m->fingerprint);
    bz_weight_source_identify(m->source, &h);
    bz_hash_finish(&h, key);
}

bezel_status bz_head_copy_new(bz_head_copy **out, const bezel_model *model, const char *folder, bezel_error *err)
{
    const bezel_world *w = &model->engine->world;
    *out = NULL;
    if (!copy_is_possible(model))
        return BEZEL_OK;
    bz_head_copy *c = bz_zalloc(w, sizeof *c);
    if (c == NULL)
        return bz_fail_memory(err, "head", "the copy of the output matrix", sizeof *c);
    c->model = model;
    c->world = w;
    c->error = (bezel_error)BEZEL_ERROR_INIT;
    copy_key(c->plan.key, model);
    c->weight = bz_zalloc_array(w, model->config.D, sizeof *c->weight);
    c->mutex = bz_mutex_new(w);
    c->cond = bz_cond_new(w);
    if (c->weight == NULL || c->mutex == NULL || c->cond == NULL || !copy_name(c, folder)) {
        bz_head_copy_free(c);
        return bz_fail_memory(err, "head", "the copy of the output matrix", model->config.D * sizeof *c->weight);
    }
    c->plan.world = w;
    c->plan.kernel = model->engine->kernel;
    c->plan.matrix = &model->weights.output;
    c->plan.weight = c->weight;
    c->plan.path = c->path;
    c->plan.cancel = &c->cancel;
    *out = c;
    return BEZEL_OK;
}

void bz_head_copy_free(bz_head_copy *c)
{
    if (c == NULL)
        return;
    const bezel_world *w = c->world;
    atomic_store(&c->cancel, 1);
    if (c->thread != NULL)
        w->thread_join(w->ud, c->thread);
    bz_head_file_close(&c->file, w);
    bz_mutex_free(w, c->mutex);
    bz_cond_free(w, c->cond);
    bz_free(w, c->path);
    bz_free(w, c->folder);
    bz_free(w, c->weight);
    bz_free(w, c);
}

/* --- Thread ------------------------------------------------------------------------------- */

static void copy_finish(bz_head_copy *c, bezel_status status)
{
    bz_mutex_lock(c->mutex);
    atomic_store_explicit(&c->state, status == BEZEL_OK ? COPY_READY : COPY_FAILED, memory_order_release);
    bz_cond_broadcast(c->cond);
    bz_mutex_unlock(c->mutex);
}

static void copy_run(void *arg)
{
    bz_head_copy *c = arg;
    bz_log *log = c->model->engine->log;
    bz_os_give_way();
    copy_weigh(c->weight, &c->model->weights, &c->model->config);
    bezel_status status = bz_head_file_open(&c->file, &c->plan, &c->error);
    if (status < 0 && status != BEZEL_ERR_CANCELLED) {
        if (status != BEZEL_ERR_MISSING)
            bz_log_write(log, BEZEL_LOG_INFO, "head", "%s; it is made again", c->error.text);
        const bz_tensor *matrix = c->plan.matrix;
        bz_side_clean(c->world, c->folder, COPY_SUFFIX, c->path, bz_head_file_size(matrix->N, matrix->K), COPY_LIMIT,
                      BZ_SIDE_MAX_AGE_MS);
        status = bz_head_file_make(&c->plan, &c->error);
        if (status == BEZEL_OK)
            status = bz_head_file_open(&c->file, &c->plan, &c->error);
    }
    if (status == BEZEL_OK) {
        bz_side_touch(c->world, c->path);
        bz_log_write(log, BEZEL_LOG_INFO, "head", "greedy tokens are screened with %s", c->path);
    } else if (status != BEZEL_ERR_CANCELLED) {
        bz_log_write(log, BEZEL_LOG_INFO, "head", "no screening: %s", c->error.text);
    }
    copy_finish(c, status);
}

static void copy_start(bz_head_copy *c)
{
    bz_mutex_lock(c->mutex);
    if (atomic_load(&c->state) == COPY_IDLE) {
        const bezel_world *w = c->world;
        atomic_store(&c->state, COPY_BUSY);
        const bezel_status status = w->thread_start(w->ud, &c->thread, "bezel-head", copy_run, c);
        if (status < 0) {
            c->thread = NULL;
            bz_fail(&c->error, status, "head", "no thread to make the copy of the output matrix");
            atomic_store(&c->state, COPY_FAILED);
        }
    }
    bz_mutex_unlock(c->mutex);
}

const bz_screen *bz_head_copy_get(bz_head_copy *c, int may_start)
{
    if (c == NULL)
        return NULL;
    const int state = atomic_load_explicit(&c->state, memory_order_acquire);
    if (state == COPY_READY)
        return &c->file.screen;
    if (state == COPY_IDLE && may_start)
        copy_start(c);
    return NULL;
}

bezel_status bz_head_copy_wait(bz_head_copy *c, bezel_error *err)
{
    copy_start(c);
    bz_mutex_lock(c->mutex);
    while (atomic_load(&c->state) == COPY_BUSY)
        bz_cond_wait(c->cond, c->mutex);
    bz_mutex_unlock(c->mutex);
    return atomic_load(&c->state) == COPY_READY ? BEZEL_OK : bz_error_copy(err, &c->error);
}
