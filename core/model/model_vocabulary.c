/* SPDX-License-Identifier: MIT */
/* Models without weights: what may not be asked of them, and the file that they need. */
#include "model/model_impl.h"

#include <string.h>

#include "base/alloc.h"

#define COUNT_AT 8u /* where a GGUF file has its number of tensors, 64 bits */

bezel_status bz_model_check_weights(const bezel_model *model, bezel_error *err)
{
    if (model->weights.layers)
        return BEZEL_OK;
    bezel_status status = bz_fail(err, BEZEL_ERR_UNSUPPORTED, "model", "%s was opened with vocabulary_only: it has no weights to compute with",
                                  model->path);
    return bz_error_hint(err, status, "open the whole model, or give the agent a recording to replay");
}

/* The header's bytes up to the tensor directory, with a directory of none. */
static bezel_status vocabulary_write(const bezel_model *model, bezel_file *file)
{
    static const uint8_t none[8];
    const bezel_world *w = &model->engine->world;
    const bz_gguf *g = bz_weight_source_metadata(model->source);
    const size_t size = (size_t)(g->n_tensors ? g->tensors[0].entry_at : g->header_size);
    bezel_status status = w->file_write(w->ud, file, 0, g->header, COUNT_AT);
    if (status == BEZEL_OK)
        status = w->file_write(w->ud, file, COUNT_AT, none, sizeof none);
    return status == BEZEL_OK ? w->file_write(w->ud, file, COUNT_AT + sizeof none, g->header + COUNT_AT + sizeof none,
                                              size - COUNT_AT - sizeof none)
                              : status;
}

bezel_status bezel_model_save_vocabulary(const bezel_model *model, const char *path, bezel_error *err)
{
    bezel_file *file = NULL;
    if (!model || !path || !*path)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "model", "bezel_model_save_vocabulary needs a model and a path");
    const bezel_world *w = &model->engine->world;
    if (bz_weight_source_parts(model->source) != 1)
        return bz_fail(err, BEZEL_ERR_UNSUPPORTED, "model", "%s is one of several files, whose vocabulary cannot be saved", model->path);
    if (w->file_open(w->ud, &file, path, BEZEL_FILE_READ) == BEZEL_OK) {
        w->file_close(w->ud, file);
        bezel_status status = bz_fail(err, BEZEL_ERR_DENIED, "model", "%s exists and is not overwritten", path);
        bz_error_hint(err, status, "choose a new name, or remove the file first");
        return bz_error_place(err, status, "%s", path);
    }
    bezel_status status = w->file_open(w->ud, &file, path, BEZEL_FILE_CREATE);
    if (status == BEZEL_OK) {
        status = vocabulary_write(model, file);
        w->file_close(w->ud, file);
        if (status != BEZEL_OK)
            w->file_remove(w->ud, path);
    }
    if (status == BEZEL_OK)
        return BEZEL_OK;
    bz_fail(err, status, "model", "the vocabulary cannot be written (%s)", bezel_status_name(status));
    return bz_error_place(err, status, "%s", path);
}
