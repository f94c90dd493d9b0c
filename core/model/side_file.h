/* SPDX-License-Identifier: MIT */
/* Files in the cache folder of a model: made once, mapped from then on, and never believed before every byte was checked.
 *
 *     0        head: names (what the file is and of what it was made), then what belongs to its content
 *     head     a hash [16] for each 256 KiB of data; zeros to a multiple of 4 KiB; in the last 16 bytes a hash of all before
 *     4096x    data
 *
 * It is written under a name of its own, header last, then renamed: a reader finds a whole file or none, and a file is never
 * written to once it has its name. Does not: know what the data is (head_file, vocab_file, prefix_folder). */
#ifndef BZ_SIDE_FILE_H
#define BZ_SIDE_FILE_H

#include "base/thread_pool.h"

#include <stdatomic.h>

#define BZ_SIDE_PIECE ((size_t)256 << 10)
#define BZ_SIDE_MAX_AGE_MS ((int64_t)90 * 24 * 3600 * 1000) /* what nobody used for so long is removed */

typedef struct bz_side_plan {
    const bezel_world *world;
    bz_thread_pool *pool; /* checks the pieces; NULL = the caller alone, and it can be cancelled */
    const char *origin;   /* of errors */
    const char *path;
    const uint8_t *names; /* the first bytes of every such file: 8 that tell the kind, u32 version, the rest */
    size_t names_size;    /* 12 or more */
    size_t head_size;     /* names_size or more */
    uint64_t data_size;
    const atomic_int *cancel; /* NULL or looked at between pieces */
} bz_side_plan;

typedef struct bz_side_map {
    const void *map; /* NULL = none */
    uint64_t size;
    const uint8_t *head, *data;
} bz_side_map;

/* Bytes of the file. */
uint64_t bz_side_size(size_t head_size, uint64_t data_size);
/* Maps the file and checks all of it.
 *   Errors   MISSING when there is none; VERSION, FORMAT, TRUNCATED, CHECKSUM when it is another's or damaged; CANCELLED */
bezel_status bz_side_open(bz_side_map *out, const bz_side_plan *p, bezel_error *err);
void bz_side_close(bz_side_map *m, const bezel_world *w); /* zeroed is fine */

/* --- Making --- */

typedef struct bz_side_writer {
    const bz_side_plan *plan;
    bezel_file *file; /* NULL = not open */
    char *temp;       /* its name until it is whole */
    uint8_t *header;  /* the head is the caller's to fill before bz_side_finish; the names are in it */
    uint8_t *piece;
    size_t header_size, held, n_written;
} bz_side_writer;

/* All but finish leave the writer to be ended by bz_side_finish or bz_side_abandon; plan outlives it. */
bezel_status bz_side_begin(bz_side_writer *out, const bz_side_plan *p, bezel_error *err);
bezel_status bz_side_add(bz_side_writer *s, const void *bytes, size_t size, bezel_error *err);
/* After data_size bytes: the file gets its name, or nothing is left. */
bezel_status bz_side_finish(bz_side_writer *s, bezel_error *err);
void bz_side_abandon(bz_side_writer *s); /* nothing is left; a zeroed or finished writer is fine */

/* --- Folder --- */

/* Notes that the file is in use now, so that cleaning takes it last. */
void bz_side_touch(const bezel_world *w, const char *path);
/* Removes files named *suffix: those not used for max_age_ms, then the least recently used until the rest and `more` bytes
 * fit into limit; and what killed processes left unfinished an hour ago. keep is a path that stays, or NULL. */
void bz_side_clean(const bezel_world *w, const char *folder, const char *suffix, const char *keep, uint64_t more,
                   uint64_t limit, int64_t max_age_ms);

#endif
