/* SPDX-License-Identifier: MIT */
/* When the side file of the output matrix is made, and for which model file (see head_copy.h).
 * Invariant: `file` is written by the job's thread before it is ready and only read from then on. */
#include "model/head_copy.h"

#include "base/alloc.h"
#include "compute/quant.h"
#include "model/head_file.h"
#include "model/side_job.h"

#define COPY_SUFFIX ".head"
#define COPY_LIMIT ((uint64_t)2 << 30) /* bytes of the copies of all models */

struct bz_head_copy {
    const bezel_model *model;
    const bezel_world *world;
    bz_head_plan plan;
    char *path, *folder;
    double *weight; /* [K] */
    bz_side_job job;
    bz_head_file file;
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

static bezel_status copy_run(void *arg, bezel_error *err)
{
    bz_head_copy *c = arg;
    bz_log *log = c->model->engine->log;
    copy_weigh(c->weight, &c->model->weights, &c->model->config);
    bezel_status status = bz_head_file_open(&c->file, &c->plan, err);
    if (status < 0 && status != BEZEL_ERR_CANCELLED) {
        if (status != BEZEL_ERR_MISSING)
            bz_log_write(log, BEZEL_LOG_INFO, "head", "%s; it is made again", err->text);
        const bz_tensor *matrix = c->plan.matrix;
        bz_side_clean(c->world, c->folder, COPY_SUFFIX, c->path, bz_head_file_size(matrix->N, matrix->K), COPY_LIMIT,
                      BZ_SIDE_MAX_AGE_MS);
        status = bz_head_file_make(&c->plan, err);
        if (status == BEZEL_OK)
            status = bz_head_file_open(&c->file, &c->plan, err);
    }
    if (status == BEZEL_OK) {
        bz_side_touch(c->world, c->path);
        bz_log_write(log, BEZEL_LOG_INFO, "head", "greedy tokens are screened with %s", c->path);
    } else if (status != BEZEL_ERR_CANCELLED) {
        bz_log_write(log, BEZEL_LOG_INFO, "head", "no screening: %s", err->text);
    }
    return status;
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
    bz_side_job_key(c->plan.key, model);
    c->weight = bz_zalloc_array(w, model->config.D, sizeof *c->weight);
    c->folder = bz_text_dup(w, folder, SIZE_MAX);
    c->path = bz_side_job_path(w, folder, c->plan.key, COPY_SUFFIX);
    if (!bz_side_job_init(&c->job, w, "bezel-head", copy_run, c) || c->weight == NULL || c->folder == NULL || c->path == NULL) {
        bz_head_copy_free(c);
        return bz_fail_memory(err, "head", "the copy of the output matrix", model->config.D * sizeof *c->weight);
    }
    c->plan.world = w;
    c->plan.kernel = model->engine->kernel;
    c->plan.matrix = &model->weights.output;
    c->plan.weight = c->weight;
    c->plan.path = c->path;
    c->plan.cancel = &c->job.cancel;
    *out = c;
    return BEZEL_OK;
}

void bz_head_copy_free(bz_head_copy *c)
{
    if (c == NULL)
        return;
    const bezel_world *w = c->world;
    bz_side_job_end(&c->job);
    bz_head_file_close(&c->file, w);
    bz_free(w, c->path);
    bz_free(w, c->folder);
    bz_free(w, c->weight);
    bz_free(w, c);
}

/* --- Use ---------------------------------------------------------------------------------- */

const bz_screen *bz_head_copy_get(bz_head_copy *c, int may_start)
{
    return c != NULL && bz_side_job_ready(&c->job, may_start) ? &c->file.screen : NULL;
}

bezel_status bz_head_copy_wait(bz_head_copy *c, bezel_error *err)
{
    return bz_side_job_wait(&c->job, err);
}
