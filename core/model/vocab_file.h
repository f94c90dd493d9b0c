/* SPDX-License-Identifier: MIT */
/* Side file (side_file.h) of what building the vocabulary of a model computes: written by the first load, in units of work,
 * mapped by the next.
 *
 *     0     "BZVOCAB\n", u32 version, u32 0x01020304 as this machine writes it, u64 entries, u64 bytes of the slots, key [16]
 *     data  slots, entries (bz_vocab_tables)
 *
 * Does not: decide what a text or an id means (text/vocab). */
#ifndef BZ_VOCAB_FILE_H
#define BZ_VOCAB_FILE_H

#include "model/side_file.h"
#include "text/vocab.h"

enum { BZ_VOCAB_FILE_NAMES = 48 };

typedef struct bz_vocab_file {
    bz_side_plan plan;
    uint8_t names[BZ_VOCAB_FILE_NAMES];
    char *path, *folder; /* path NULL = none is wanted */
    bz_vocab_tables sizes;
    bz_side_writer writer;
    size_t n_written; /* bytes of the data */
} bz_vocab_file;

/* key: of the model file. Touches no file; f must stay where it is. */
bezel_status bz_vocab_file_init(bz_vocab_file *f, const bezel_world *w, bz_thread_pool *pool, const char *folder,
                                const uint8_t key[16], size_t n_tokens, bezel_error *err);
/* Maps the file and checks every byte. out's tables lie in *map. Errors as bz_side_open. */
bezel_status bz_vocab_file_open(bz_vocab_tables *out, bz_side_map *map, bz_vocab_file *f, bezel_error *err);
/* Writes the tables of a finished vocabulary, about 1 MiB a call: BEZEL_MORE, or BEZEL_OK when the file has its name. A
 * failure of the folder leaves nothing behind. */
bezel_status bz_vocab_file_unit(bz_vocab_file *f, const bz_vocab *v, bezel_error *err);
void bz_vocab_file_free(bz_vocab_file *f, const bezel_world *w); /* what is half-written goes; zeroed is fine */

#endif
