/* SPDX-License-Identifier: MIT */
/* One view over the file or files of a model: metadata, tensor directory, bytes of a tensor. The header is parsed from a
 * private copy; the data is mapped read-only, or read into memory, only when asked for.
 *
 *     open -> (metadata, find) -> map, or read until done -> verify -> data
 *
 * Thread: confined until verify, then immutable. */
#ifndef BZ_WEIGHT_SOURCE_H
#define BZ_WEIGHT_SOURCE_H

#include "base/hash.h"
#include "format/gguf.h"

#define BZ_WEIGHT_MAX_PARTS 512u      /* files of a split model */
#define BZ_WEIGHT_SLICE (16u << 20)   /* bytes that one read call takes in */

typedef struct bz_weight_source bz_weight_source;

typedef struct bz_weight_host { /* bytes from the host instead of a file */
    bezel_read_fn read;
    void *ud;
    uint64_t size;
} bz_weight_host;

typedef struct bz_weight_entry {
    const bz_gguf *gguf; /* the file it is in */
    const bz_gguf_tensor *tensor;
    uint32_t part;
} bz_weight_entry;

/* Reads the header of `path`, and of a split file, whose first part `path` must be, those of all parts; they are looked
 * for only beside the first, under names made from its name. host NULL = files of the world. notes may be NULL.
 *   Errors   MISSING, IO, DENIED for the file; those of bz_gguf_open; RANGE, MISSING, SHAPE for parts that do not
 *            belong together; UNSUPPORTED for a split file from a host */
bezel_status bz_weight_source_open(bz_weight_source **out, const bezel_world *w, const char *path,
                                   const bz_weight_host *host, bz_notes *notes, bezel_error *err);
/* The same in units of work: begin opens the first file, unit reads a part of the header, until it gives BEZEL_OK instead of
 * BEZEL_MORE. After a failure of unit only bz_weight_source_free may follow. */
bezel_status bz_weight_source_begin(bz_weight_source **out, const bezel_world *w, const char *path,
                                    const bz_weight_host *host, bz_notes *notes, bezel_error *err);
bezel_status bz_weight_source_unit(bz_weight_source *s, bezel_error *err);
void bz_weight_source_free(bz_weight_source *s); /* NULL is fine */

/* Metadata of the first part. */
const bz_gguf *bz_weight_source_metadata(const bz_weight_source *s);
uint32_t bz_weight_source_parts(const bz_weight_source *s);
uint64_t bz_weight_source_file_size(const bz_weight_source *s); /* bytes of all parts */
uint32_t bz_weight_source_count(const bz_weight_source *s);     /* tensors of all parts */
bz_weight_entry bz_weight_source_at(const bz_weight_source *s, uint32_t i); /* in order of names */
/* 1 and the entry, or 0. */
int bz_weight_source_find(bz_weight_entry *out, const bz_weight_source *s, const char *name);

/* Maps every part. BEZEL_ERR_UNSUPPORTED when the bytes come from a host. */
bezel_status bz_weight_source_map(bz_weight_source *s, bezel_error *err);
/* Reads up to BZ_WEIGHT_SLICE bytes of tensor data into memory: BEZEL_MORE, or BEZEL_OK when all is there. */
bezel_status bz_weight_source_read(bz_weight_source *s, bezel_error *err);
double bz_weight_source_progress(const bz_weight_source *s); /* share that bz_weight_source_read has read */
/* Checks that each path still names the file that was read: size, time of change and identity; else
 * BEZEL_ERR_CHANGED. Closes the files (a mapping stays). */
bezel_status bz_weight_source_verify(bz_weight_source *s, bezel_error *err);
/* Adds size, time of change and identity of each file to h; nothing for bytes from a host. */
void bz_weight_source_identify(const bz_weight_source *s, bz_hash *h);
/* First byte of a tensor; NULL before map or read. Aligned to the file's alignment, at most 64. */
const void *bz_weight_source_data(const bz_weight_source *s, bz_weight_entry entry);

#endif
