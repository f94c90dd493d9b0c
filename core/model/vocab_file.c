/* SPDX-License-Identifier: MIT */
/* Naming, mapping and writing of the vocabulary's side file (see vocab_file.h).
 * Invariant: the file holds the tables as they lie in memory; its names say whose, of which version and which byte order. */
#include "model/vocab_file.h"

#include "base/alloc.h"
#include "base/byte_order.h"
#include "base/status.h"

#include <stdio.h>
#include <string.h>

#define VOCAB_FILE_ORIGIN "vocab"
#define VOCAB_FILE_MAGIC "BZVOCAB\n"
#define VOCAB_FILE_VERSION 1u /* to be raised with every change of the tables, their hash or what makes a token structure */
#define VOCAB_FILE_SUFFIX ".vocab"
#define VOCAB_FILE_LIMIT ((uint64_t)256 << 20) /* bytes of those of all models */
#define VOCAB_FILE_UNIT ((size_t)1 << 20)

bezel_status bz_vocab_file_init(bz_vocab_file *f, const bezel_world *w, bz_thread_pool *pool, const char *folder,
                                const uint8_t key[16], size_t n_tokens, bezel_error *err)
{
    const size_t size = strlen(folder) + 2 * 16 + sizeof VOCAB_FILE_SUFFIX + 1;
    const uint32_t order = 0x01020304;
    char hex[33];
    memset(f, 0, sizeof *f);
    f->folder = bz_text_dup(w, folder, SIZE_MAX);
    f->path = bz_alloc(w, size);
    if (f->folder == NULL || f->path == NULL) {
        bz_vocab_file_free(f, w);
        return bz_fail_memory(err, VOCAB_FILE_ORIGIN, "path", size);
    }
    for (int i = 0; i < 16; i++)
        snprintf(hex + 2 * i, 3, "%02x", key[i]);
    snprintf(f->path, size, "%s/%s" VOCAB_FILE_SUFFIX, folder, hex);
    bz_vocab_measure(&f->sizes, n_tokens);
    memcpy(f->names, VOCAB_FILE_MAGIC, 8);
    bz_store_u32(f->names + 8, VOCAB_FILE_VERSION);
    memcpy(f->names + 12, &order, sizeof order);
    bz_store_u64(f->names + 16, n_tokens);
    bz_store_u64(f->names + 24, f->sizes.slots_size);
    memcpy(f->names + 32, key, 16);
    f->plan = (bz_side_plan){.world = w,
                             .pool = pool,
                             .origin = VOCAB_FILE_ORIGIN,
                             .path = f->path,
                             .names = f->names,
                             .names_size = BZ_VOCAB_FILE_NAMES,
                             .head_size = BZ_VOCAB_FILE_NAMES,
                             .data_size = (uint64_t)f->sizes.slots_size + f->sizes.entries_size};
    return BEZEL_OK;
}

bezel_status bz_vocab_file_open(bz_vocab_tables *out, bz_side_map *map, bz_vocab_file *f, bezel_error *err)
{
    const bezel_status status = bz_side_open(map, &f->plan, err);
    if (status != BEZEL_OK)
        return status;
    *out = f->sizes;
    out->slots = map->data;
    out->entries = map->data + f->sizes.slots_size;
    bz_side_touch(f->plan.world, f->path);
    return BEZEL_OK;
}

/* Bytes [at, at + n) of both tables, one behind the other. */
static bezel_status vocab_file_add(bz_vocab_file *f, const bz_vocab_tables *t, size_t n, bezel_error *err)
{
    bezel_status status = BEZEL_OK;
    while (n > 0 && status == BEZEL_OK) {
        const int is_slot = f->n_written < t->slots_size;
        const size_t at = is_slot ? f->n_written : f->n_written - t->slots_size;
        const size_t left = (is_slot ? t->slots_size : t->entries_size) - at, part = left < n ? left : n;
        status = bz_side_add(&f->writer, (const uint8_t *)(is_slot ? t->slots : t->entries) + at, part, err);
        f->n_written += part;
        n -= part;
    }
    return status;
}

bezel_status bz_vocab_file_unit(bz_vocab_file *f, const bz_vocab *v, bezel_error *err)
{
    bz_vocab_tables tables;
    bezel_status status = BEZEL_OK;
    bz_vocab_tables_of(&tables, v);
    if (f->writer.plan == NULL) {
        bz_side_clean(f->plan.world, f->folder, VOCAB_FILE_SUFFIX, f->path,
                      bz_side_size(BZ_VOCAB_FILE_NAMES, f->plan.data_size), VOCAB_FILE_LIMIT, BZ_SIDE_MAX_AGE_MS);
        status = bz_side_begin(&f->writer, &f->plan, err);
    }
    const size_t left = (size_t)f->plan.data_size - f->n_written, n = left < VOCAB_FILE_UNIT ? left : VOCAB_FILE_UNIT;
    if (status == BEZEL_OK)
        status = vocab_file_add(f, &tables, n, err);
    if (status == BEZEL_OK && n < left)
        return BEZEL_MORE;
    if (status == BEZEL_OK)
        status = bz_side_finish(&f->writer, err);
    bz_side_abandon(&f->writer);
    return status;
}

void bz_vocab_file_free(bz_vocab_file *f, const bezel_world *w)
{
    bz_side_abandon(&f->writer);
    bz_free(w, f->path);
    bz_free(w, f->folder);
    memset(f, 0, sizeof *f);
}
