/* SPDX-License-Identifier: MIT */
/* Side file (side_file.h) of the vocabulary's trie, which constraints need: written by the first that asks, mapped by the next.
 *
 *     0     "BZTRIE\n\0", u32 version, u32 0x01020304 as this machine writes it, u64 entries, u64 bytes of the block, key [16]
 *     data  the block (text/vocab_trie.h)
 *
 * Does not: decide which tokens belong to it. */
#ifndef BZ_TRIE_FILE_H
#define BZ_TRIE_FILE_H

#include "compute/engine_impl.h"
#include "model/side_file.h"
#include "text/vocab_trie.h"

enum { BZ_TRIE_FILE_NAMES = 48 };

typedef struct bz_trie_file {
    bz_side_plan plan;
    uint8_t names[BZ_TRIE_FILE_NAMES];
    char *path, *folder; /* path NULL = none is wanted */
    bz_side_map map;
} bz_trie_file;

/* key: of the model file. Touches no file; f must stay where it is. */
bezel_status bz_trie_file_init(bz_trie_file *f, const bezel_world *w, const char *folder, const uint8_t key[16], bezel_error *err);
/* The trie from the file, every byte of it checked; else it is built and, where a file is wanted, kept. It ends before f does. What
 * the folder refuses is a line in the log. */
bezel_status bz_trie_file_get(bz_vocab_trie **out, bz_trie_file *f, bezel_engine *engine, const bz_vocab *v, bezel_error *err);
void bz_trie_file_free(bz_trie_file *f, const bezel_world *w); /* zeroed is fine */

#endif
