/* SPDX-License-Identifier: MIT */
/* The tokens of a vocabulary as a trie of the bytes they stand for: which tokens go on with a text that is read byte by byte.
 * Control, unknown and unused entries and the marks of structure are not in it. Immutable; some 25 bytes a token. */
#ifndef BZ_VOCAB_TRIE_H
#define BZ_VOCAB_TRIE_H

#include "text/vocab.h"

#define BZ_VOCAB_TRIE_DEPTH 255U /* longer tokens are left out */

typedef struct bz_vocab_trie bz_vocab_trie;

/* A set of tokens as bits, with the first of them as a list. */
typedef struct bz_token_set {
    uint32_t *bits;  /* [(V + 31) / 32] */
    size_t count;
    int32_t *ids;    /* [capacity] in the order they came; of use while count <= capacity and is_listed */
    size_t capacity;
    int is_listed;   /* ids tells all of them */
} bz_token_set;

/* Reads one byte more on the path to a token; 0 ends that branch. depth counts the bytes before it. */
typedef int (*bz_vocab_trie_fn)(void *ud, size_t depth, uint8_t byte);

/* The trie's memory as one block, which a side file keeps. */
size_t bz_vocab_trie_measure(const bz_vocab *v);
/* Takes some 20 ms for 262,144 tokens. */
bezel_status bz_vocab_trie_new(bz_vocab_trie **out, const bezel_world *w, const bz_vocab *v, bezel_error *err);
/* Over a block of bz_vocab_trie_measure(v) bytes, aligned to 8, that was made of the same vocabulary; it is borrowed. Every
 * place and id in it is checked against its range and the size.
 *   Errors   FORMAT when one is outside; MEMORY */
bezel_status bz_vocab_trie_from_block(bz_vocab_trie **out, const bezel_world *w, const bz_vocab *v, const void *block,
                                      size_t size, bezel_error *err);
void bz_vocab_trie_free(bz_vocab_trie *t);
const void *bz_vocab_trie_block(const bz_vocab_trie *t);
size_t bz_vocab_trie_bytes(const bz_vocab_trie *t); /* memory it takes, a borrowed block's too */
size_t bz_vocab_trie_longest(const bz_vocab_trie *t); /* bytes of the longest token in it */

/* Bytes that a token stands for, without structure: NULL and 0 for an entry that is not in the trie. */
const uint8_t *bz_vocab_trie_token(const bz_vocab_trie *t, int32_t id, size_t *out_size);

void bz_token_set_add(bz_token_set *set, int32_t id);
void bz_token_set_clear(bz_token_set *set, size_t n_words); /* n_words: of bits. In time of what is listed, when all is */

/* Adds every token whose bytes fn takes all. only_unsafe: of those that are not safe. */
void bz_vocab_trie_walk(const bz_vocab_trie *t, bz_token_set *set, int only_unsafe, bz_vocab_trie_fn fn, void *ud);

/* Makes the set that of the tokens which are safe inside of a string, whole characters without quote, backslash, '<' and
 * control characters, and have at most `room` code points. */
void bz_vocab_trie_safe(const bz_vocab_trie *t, bz_token_set *set, uint32_t room);

/* Takes those that are not safe out of the set. */
void bz_vocab_trie_keep_safe(const bz_vocab_trie *t, bz_token_set *set);

/* 1 when some token begins with these bytes and has more. */
int bz_vocab_trie_continues(const bz_vocab_trie *t, const char *bytes, size_t n);

#endif
