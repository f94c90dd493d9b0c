/* SPDX-License-Identifier: MIT */
/* The tokens of a vocabulary as a trie of the bytes they stand for: which tokens go on with a text that is read byte by byte.
 * Control, unknown and unused entries and the marks of structure are not in it. Immutable; 8 bytes a node. */
#ifndef BZ_VOCAB_TRIE_H
#define BZ_VOCAB_TRIE_H

#include "text/vocab.h"

#define BZ_VOCAB_TRIE_DEPTH 255U /* longer tokens are left out */

typedef struct bz_vocab_trie bz_vocab_trie;

/* Reads one byte more on the path to a token; 0 ends that branch. depth counts the bytes before it. */
typedef int (*bz_vocab_trie_fn)(void *ud, size_t depth, uint8_t byte);

/* Takes some 50 ms for 262,144 tokens. */
bezel_status bz_vocab_trie_new(bz_vocab_trie **out, const bezel_world *w, const bz_vocab *v, bezel_error *err);
void bz_vocab_trie_free(bz_vocab_trie *t);
size_t bz_vocab_trie_bytes(const bz_vocab_trie *t); /* memory it takes */
size_t bz_vocab_trie_longest(const bz_vocab_trie *t); /* bytes of the longest token in it */

/* Bytes that a token stands for, without structure: NULL and 0 for an entry that is not in the trie. */
const uint8_t *bz_vocab_trie_token(const bz_vocab_trie *t, int32_t id, size_t *out_size);

/* Sets the bit of every token whose bytes fn takes all, in words [(V + 31) / 32]. only_unsafe: of those that are not safe. */
void bz_vocab_trie_walk(const bz_vocab_trie *t, uint32_t *bits, int only_unsafe, bz_vocab_trie_fn fn, void *ud);

/* Sets the bits of the tokens that are safe inside of a string, whole characters without quote, backslash, '<' and control
 * characters, and have at most `room` code points. */
void bz_vocab_trie_safe(const bz_vocab_trie *t, uint32_t *bits, uint32_t room);

/* 1 when some token begins with these bytes and has more. */
int bz_vocab_trie_continues(const bz_vocab_trie *t, const char *bytes, size_t n);

#endif
