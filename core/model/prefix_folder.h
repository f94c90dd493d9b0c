/* SPDX-License-Identifier: MIT */
/* Beginnings of timelines that were computed before: files in the cache folder of an open model, mapped once for all its
 * sessions. A file holds the ids in its header and the rows of a bz_kv_base as data; its name is a hash of everything that
 * the rows depend on. Writing is done by a thread. Thread: every function but free may run at once. */
#ifndef BZ_PREFIX_FOLDER_H
#define BZ_PREFIX_FOLDER_H

#include "model/kv_cache.h"
#include "model/model_impl.h"

#define BZ_PREFIX_LIMIT ((uint64_t)512 << 20) /* bytes of all files, when the host names no limit */

typedef struct bz_prefix_folder bz_prefix_folder;

/* What a beginning is: ids [n] computed with these numbers. */
typedef struct bz_prefix {
    const int32_t *ids;
    size_t n;
    const uint8_t *fingerprint; /* [16] of the model with the session's adapters */
    uint32_t activations; /* as the session's */
    uint32_t dtype;       /* of the cache */
    size_t row_size;
} bz_prefix;

/* folder must not be NULL; limit 0 = BZ_PREFIX_LIMIT. Touches no file. */
bezel_status bz_prefix_folder_new(bz_prefix_folder **out, const bezel_model *model, const char *folder, uint64_t limit,
                                  bezel_error *err);
/* Waits until a file in progress is written. NULL is fine. */
void bz_prefix_folder_free(bz_prefix_folder *f);
/* A hold of the rows, to be released or attached; NULL when they are not there. A damaged file is removed. */
bz_kv_base *bz_prefix_folder_find(bz_prefix_folder *f, const bz_prefix *prefix);
/* Copies the rows and lets the thread write them, unless they are there or one is being written. 0 = to be tried again. */
int bz_prefix_folder_keep(bz_prefix_folder *f, const bz_prefix *prefix, const bz_kv_cache *cache);
/* Waits for the thread. */
void bz_prefix_folder_wait(bz_prefix_folder *f);

#endif
