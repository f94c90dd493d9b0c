/* SPDX-License-Identifier: MIT */
/* Inside of bezel_model. Immutable once open, but for what head_copy, weight_pack, prefixes and trie_mutex guard. */
#ifndef BZ_MODEL_IMPL_H
#define BZ_MODEL_IMPL_H

#include <bezel/model.h>

#include "base/notes.h"
#include "base/os.h"
#include "compute/engine_impl.h"
#include "format/weight_source.h"
#include "model/config.h"
#include "model/trie_file.h"
#include "model/weights.h"

/* Ids that the file names, -1 when it names none. */
typedef struct bz_special_ids {
    int64_t bos, eos, unk, pad, eot;
} bz_special_ids;

struct bezel_model {
    bezel_engine *engine;
    char *path;
    bz_config config;
    bz_weights weights;
    bz_vocab *vocab;
    bz_side_map vocab_map;     /* its tables, when they come from a side file */
    uint32_t kind;             /* BEZEL_KIND_PRETRAINED or _INSTRUCT */
    const char *chat_template; /* the file's Jinja text, NULL when it has none; lives in source */
    size_t chat_template_size;
    uint8_t fingerprint[16];   /* of header and sampled tensor bytes: a saved session belongs to this file */
    bz_weight_source *source;  /* mapping, header copy, tensor directory */
    bz_special_ids special;    /* as the file names them */
    bz_notes notes;            /* what was accepted with a remark */
    uint32_t is_mapped;
    bz_mutex *trie_mutex;
    bz_trie_file trie_file;
    bz_vocab_trie *trie;       /* mapped or made when the first constraint asks for it */
    struct bz_head_copy *head_copy; /* coarse output matrix; NULL when the host gave no cache folder */
    struct bz_weight_pack *weight_pack; /* panels of the layers; likewise, and NULL where nothing takes them */
    struct bz_prefix_folder *prefixes; /* beginnings computed before; likewise */
};

/* The vocabulary's trie, mapped from its side file by the first call (some 2 ms) or made (some 50 ms). It belongs to the model.
 * Thread: any. */
bezel_status bz_model_trie(const bz_vocab_trie **out, bezel_model *model, bezel_error *err);

/* UNSUPPORTED for a model that was opened with vocabulary_only. */
bezel_status bz_model_check_weights(const bezel_model *model, bezel_error *err);

#endif
