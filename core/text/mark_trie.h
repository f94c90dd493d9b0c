/* SPDX-License-Identifier: MIT */
/* Texts to ids, longest match at a place: the entries of a vocabulary that are taken whole. */
#ifndef BZ_MARK_TRIE_H
#define BZ_MARK_TRIE_H

#include <bezel/base.h>

typedef struct bz_mark_node {
    uint32_t child; /* index of the first child, 0 = none */
    uint32_t next;  /* index of the next sibling, 0 = none */
    int32_t id;     /* entry that ends here, -1 = none */
    uint8_t byte;
    uint8_t structure; /* 1: only for text that may spell structure */
} bz_mark_node;

typedef struct bz_mark_trie {
    bz_mark_node *nodes; /* node 0 is the root */
    size_t count, capacity;
    uint32_t first[256]; /* the root's children by byte, 0 = none */
} bz_mark_trie;

void bz_mark_trie_init(bz_mark_trie *t);
void bz_mark_trie_free(bz_mark_trie *t, const bezel_world *w);
/* 0 when memory is out or the trie would pass its cap of 4 Mi nodes. The first id of a text stays. */
int bz_mark_trie_add(bz_mark_trie *t, const bezel_world *w, const char *text, size_t size, int32_t id, int structure);
/* Size of the longest entry at the start of text and its id, 0 when there is none. */
size_t bz_mark_trie_match(int32_t *out_id, const bz_mark_trie *t, const char *text, size_t size, int structure);

#endif
