/* SPDX-License-Identifier: MIT */
/* bezel_model: open (at once or as a job), getters, free. Invariant: a model that the host holds is whole and never
 * changes. How it is loaded is model_load.c's, how it is described model_describe.c's. */
#include "base/alloc.h"
#include "base/job_impl.h"
#include "model/head_copy.h"
#include "model/weight_pack.h"
#include "model/model_load.h"
#include "model/prefix_folder.h"

#include <string.h>

/* --- Job ---------------------------------------------------------------------------------- */

typedef struct model_job {
    bezel_job job; /* first */
    bz_model_loader loader;
} model_job;

static bezel_status model_job_unit(bezel_job *job, bezel_error *err)
{
    model_job *j = (model_job *)job;
    bezel_status status = bz_model_loader_unit(&j->loader, err), emitted;
    if (status < 0)
        return status;
    emitted = bz_job_emit_progress(job, j->loader.progress, err);
    return emitted < 0 ? emitted : status;
}

static void model_job_destroy(bezel_job *job)
{
    bz_model_loader_free(&((model_job *)job)->loader);
}

static const bz_job_ops model_job_ops = {"load", model_job_unit, NULL, model_job_destroy};

bezel_status bezel_model_open_job(bezel_job **out, bezel_engine *engine, const char *path,
                                  const bezel_model_options *options, bezel_error *err)
{
    bz_model_loader loader;
    model_job *j;
    bezel_status status;
    if (!out)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "model", "out is NULL");
    *out = NULL;
    status = bz_model_loader_init(&loader, engine, path, options, err);
    if (status != BEZEL_OK)
        return status;
    j = bz_zalloc(&engine->world, sizeof *j);
    if (!j) {
        bz_model_loader_free(&loader);
        return bz_fail_memory(err, "model", "load job", sizeof *j);
    }
    status = bz_job_init(&j->job, &model_job_ops, &engine->world, engine->log, engine->worker, err);
    if (status != BEZEL_OK) {
        bz_model_loader_free(&loader);
        bz_free(&engine->world, j);
        return status;
    }
    j->loader = loader;
    *out = &j->job;
    return BEZEL_OK;
}

bezel_status bezel_model_take(bezel_model **out, bezel_job *job, bezel_error *err)
{
    model_job *j = (model_job *)job;
    bezel_status status;
    if (!out || !job)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "model", "out or job is NULL");
    *out = NULL;
    if (job->ops != &model_job_ops)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "model", "the job is no load job, but \"%s\"", job->ops->name);
    bz_mutex_lock(job->mutex);
    status = job->status;
    if (status < 0)
        bz_error_copy(err, &job->error);
    bz_mutex_unlock(job->mutex);
    if (status < 0)
        return status;
    if (status != BEZEL_DONE)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "model", "the load job is not done");
    if (!j->loader.model)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "model", "the model of this job was taken already");
    *out = j->loader.model;
    j->loader.model = NULL;
    return BEZEL_OK;
}

/* --- Open and free ------------------------------------------------------------------------ */

bezel_status bezel_model_open(bezel_model **out, bezel_engine *engine, const char *path,
                              const bezel_model_options *options, bezel_error *err)
{
    bz_model_loader loader;
    bezel_status status;
    if (!out)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "model", "out is NULL");
    *out = NULL;
    status = bz_model_loader_init(&loader, engine, path, options, err);
    if (status != BEZEL_OK)
        return status;
    do {
        status = bz_model_loader_unit(&loader, err);
    } while (status == BEZEL_MORE);
    if (status == BEZEL_DONE) {
        *out = loader.model;
        loader.model = NULL;
        status = BEZEL_OK;
    }
    bz_model_loader_free(&loader);
    bz_log_drain(engine->log);
    return status;
}

void bezel_model_free(bezel_model *model)
{
    const bezel_world *w;
    if (!model)
        return;
    w = &model->engine->world;
    bz_prefix_folder_free(model->prefixes);
    bz_head_copy_free(model->head_copy);
    bz_weight_pack_free(model->weight_pack);
    bz_weights_free(&model->weights, w);
    bz_vocab_trie_free(model->trie);
    bz_trie_file_free(&model->trie_file, w);
    bz_mutex_free(w, model->trie_mutex);
    bz_vocab_free(model->vocab);
    bz_side_close(&model->vocab_map, w);
    bz_weight_source_free(model->source); /* after the vocabulary, whose texts lie in it */
    bz_notes_free(&model->notes);
    bz_free(w, model->path);
    bz_free(w, model);
}

bezel_status bezel_model_prepare(bezel_model *model, bezel_error *err)
{
    if (!model)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "model", "model is NULL");
    const bz_vocab_trie *trie;
    if (model->prefixes)
        bz_prefix_folder_wait(model->prefixes);
    if (model->trie_file.path) {
        const bezel_status made = bz_model_trie(&trie, model, err);
        if (made != BEZEL_OK)
            return made;
    }
    if (!model->head_copy && !model->weight_pack)
        return bz_fail(err, BEZEL_ERR_UNSUPPORTED, "model", "nothing to prepare: no cache_folder, or \"%s\" gains nothing: its output matrix cannot be screened and its layers' weights are not packed",
                       bezel_model_name(model));
    bezel_status status = model->weight_pack ? bz_weight_pack_wait(model->weight_pack, err) : BEZEL_OK;
    if (model->head_copy) {
        const bezel_status of_head = bz_head_copy_wait(model->head_copy, status == BEZEL_OK ? err : NULL);
        status = status == BEZEL_OK ? of_head : status;
    }
    bz_log_drain(model->engine->log);
    return status;
}

/* --- Getters ------------------------------------------------------------------------------ */

bezel_engine *bezel_model_engine(const bezel_model *model)
{
    return model->engine;
}

const char *bezel_model_path(const bezel_model *model)
{
    return model->path;
}

const char *bezel_model_name(const bezel_model *model)
{
    const char *slash = strrchr(model->path, '/');
    if (model->config.name[0])
        return model->config.name;
    return slash && slash[1] ? slash + 1 : model->path;
}

uint32_t bezel_model_kind(const bezel_model *model)
{
    return model->kind;
}

uint32_t bezel_model_vocab_size(const bezel_model *model)
{
    return model->config.V;
}

uint32_t bezel_model_context_length(const bezel_model *model)
{
    return model->config.n_ctx;
}
