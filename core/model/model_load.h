/* SPDX-License-Identifier: MIT */
/* Opening a model in units of work, for bezel_model_open and for the job. Thread: confined. */
#ifndef BZ_MODEL_LOAD_H
#define BZ_MODEL_LOAD_H

#include "base/hash.h"
#include "model/token_source.h"
#include "model/vocab_file.h"

typedef struct bz_model_loader {
    bezel_engine *engine;
    bezel_model_options options;
    bezel_model *model; /* being built; the loader's until it is taken */
    char *cache_folder; /* copied, NULL = none */
    uint32_t stage;
    double progress;    /* 0..1 */
    bz_hash hash;           /* of the header */
    bz_token_source tokens; /* of the vocabulary */
    bz_vocab_file vocab_file;
    uint32_t tensor;    /* of the check of the weights */
    uint64_t row;
    uint64_t checked;   /* bytes */
} bz_model_loader;

/* Checks the options and copies the path. On failure nothing is held. */
bezel_status bz_model_loader_init(bz_model_loader *l, bezel_engine *engine, const char *path,
                                  const bezel_model_options *options, bezel_error *err);
void bz_model_loader_free(bz_model_loader *l);
/* One unit: BEZEL_MORE, or BEZEL_DONE when l->model is whole. */
bezel_status bz_model_loader_unit(bz_model_loader *l, bezel_error *err);

#endif
