/* SPDX-License-Identifier: MIT */
/* Naming, mapping and writing of the trie's side file (see trie_file.h). */
#include "model/trie_file.h"

#include "base/alloc.h"
#include "base/byte_order.h"
#include "base/status.h"

#include <stdio.h>
#include <string.h>

#define TRIE_FILE_ORIGIN "trie"
#define TRIE_FILE_MAGIC "BZTRIE\n"
#define TRIE_FILE_VERSION 1u /* to be raised with every change of the block or of which tokens are in it */
#define TRIE_FILE_SUFFIX ".trie"
#define TRIE_FILE_LIMIT ((uint64_t)256 << 20) /* bytes of those of all models */

bezel_status bz_trie_file_init(bz_trie_file *f, const bezel_world *w, const char *folder, const uint8_t key[16], bezel_error *err)
{
    const size_t size = strlen(folder) + 2 * 16 + sizeof TRIE_FILE_SUFFIX + 1;
    char hex[33];
    memset(f, 0, sizeof *f);
    f->folder = bz_text_dup(w, folder, SIZE_MAX);
    f->path = bz_alloc(w, size);
    if (f->folder == NULL || f->path == NULL) {
        bz_trie_file_free(f, w);
        return bz_fail_memory(err, TRIE_FILE_ORIGIN, "path", size);
    }
    for (int i = 0; i < 16; i++)
        snprintf(hex + 2 * i, 3, "%02x", key[i]);
    snprintf(f->path, size, "%s/%s" TRIE_FILE_SUFFIX, folder, hex);
    memcpy(f->names + 32, key, 16);
    return BEZEL_OK;
}

static void trie_file_plan(bz_trie_file *f, const bezel_world *w, bz_thread_pool *pool, const bz_vocab *v)
{
    const uint32_t order = 0x01020304;
    const uint64_t size = bz_vocab_trie_measure(v);
    memcpy(f->names, TRIE_FILE_MAGIC, 8);
    bz_store_u32(f->names + 8, TRIE_FILE_VERSION);
    memcpy(f->names + 12, &order, sizeof order);
    bz_store_u64(f->names + 16, bz_vocab_size(v));
    bz_store_u64(f->names + 24, size);
    f->plan = (bz_side_plan){.world = w,
                             .pool = pool,
                             .origin = TRIE_FILE_ORIGIN,
                             .path = f->path,
                             .names = f->names,
                             .names_size = BZ_TRIE_FILE_NAMES,
                             .head_size = BZ_TRIE_FILE_NAMES,
                             .data_size = size};
}

static bezel_status trie_file_open(bz_vocab_trie **out, bz_trie_file *f, const bezel_world *w, const bz_vocab *v, bezel_error *err)
{
    bezel_status status = bz_side_open(&f->map, &f->plan, err);
    if (status != BEZEL_OK)
        return status;
    status = bz_vocab_trie_from_block(out, w, v, f->map.data, (size_t)f->plan.data_size, err);
    if (status != BEZEL_OK)
        bz_side_close(&f->map, w);
    else
        bz_side_touch(w, f->path);
    return status;
}

static bezel_status trie_file_keep(bz_trie_file *f, const bz_vocab_trie *trie, bezel_error *err)
{
    bz_side_writer writer = {0};
    bz_side_clean(f->plan.world, f->folder, TRIE_FILE_SUFFIX, f->path, bz_side_size(BZ_TRIE_FILE_NAMES, f->plan.data_size),
                  TRIE_FILE_LIMIT, BZ_SIDE_MAX_AGE_MS);
    bezel_status status = bz_side_begin(&writer, &f->plan, err);
    if (status == BEZEL_OK)
        status = bz_side_add(&writer, bz_vocab_trie_block(trie), (size_t)f->plan.data_size, err);
    if (status == BEZEL_OK)
        status = bz_side_finish(&writer, err);
    bz_side_abandon(&writer);
    return status;
}

bezel_status bz_trie_file_get(bz_vocab_trie **out, bz_trie_file *f, bezel_engine *engine, const bz_vocab *v, bezel_error *err)
{
    const bezel_world *w = &engine->world;
    bezel_error why = BEZEL_ERROR_INIT;
    if (f->path == NULL)
        return bz_vocab_trie_new(out, w, v, err);
    trie_file_plan(f, w, engine->pool, v);
    bezel_status status = trie_file_open(out, f, w, v, &why);
    if (status == BEZEL_OK || status == BEZEL_ERR_MEMORY)
        return status == BEZEL_OK ? status : bz_error_copy(err, &why);
    if (status != BEZEL_ERR_MISSING)
        bz_log_write(engine->log, BEZEL_LOG_INFO, TRIE_FILE_ORIGIN, "%s; it is made again", why.text);
    status = bz_vocab_trie_new(out, w, v, err);
    if (status == BEZEL_OK && trie_file_keep(f, *out, &why) < 0)
        bz_log_write(engine->log, BEZEL_LOG_INFO, TRIE_FILE_ORIGIN, "it is not kept: %s", why.text);
    return status;
}

void bz_trie_file_free(bz_trie_file *f, const bezel_world *w)
{
    bz_side_close(&f->map, w);
    bz_free(w, f->path);
    bz_free(w, f->folder);
    memset(f, 0, sizeof *f);
}
