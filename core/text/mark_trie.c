/* SPDX-License-Identifier: MIT */
/* Purpose: one pass over a text finds every entry that must not be cut. Invariant: the nodes are a tree, an index of
 * 0 ends a list. Children of the root have a table, since nearly every byte of a text asks there and fails. Not here:
 * which entries count; vocab.c decides. */
#include "text/mark_trie.h"

#include "base/alloc.h"

#include <string.h>

#define MARK_TRIE_MAX_NODES ((size_t)1 << 22) /* a real vocabulary needs about 20,000 */

void bz_mark_trie_init(bz_mark_trie *t)
{
    memset(t, 0, sizeof *t);
}

void bz_mark_trie_free(bz_mark_trie *t, const bezel_world *w)
{
    bz_free(w, t->nodes);
    bz_mark_trie_init(t);
}

/* Index of a new node, 0 on failure. */
static uint32_t mark_trie_node(bz_mark_trie *t, const bezel_world *w, uint8_t byte)
{
    if (t->count == t->capacity) {
        size_t capacity = t->capacity ? t->capacity * 2 : 256;
        if (capacity > MARK_TRIE_MAX_NODES)
            return 0;
        bz_mark_node *nodes = bz_realloc(w, t->nodes, capacity * sizeof *nodes);
        if (!nodes)
            return 0;
        t->nodes = nodes;
        t->capacity = capacity;
        if (!t->count)
            t->nodes[t->count++] = (bz_mark_node){0, 0, -1, 0, 0};
    }
    t->nodes[t->count] = (bz_mark_node){0, 0, -1, byte, 0};
    return (uint32_t)t->count++;
}

static uint32_t mark_trie_child(const bz_mark_trie *t, uint32_t node, uint8_t byte)
{
    if (!node)
        return t->first[byte];
    uint32_t child = t->nodes[node].child;
    while (child && t->nodes[child].byte != byte)
        child = t->nodes[child].next;
    return child;
}

int bz_mark_trie_add(bz_mark_trie *t, const bezel_world *w, const char *text, size_t size, int32_t id, int structure)
{
    uint32_t node = 0;
    for (size_t i = 0; i < size; i++) {
        uint8_t byte = (uint8_t)text[i];
        uint32_t child = mark_trie_child(t, node, byte);
        if (!child) {
            child = mark_trie_node(t, w, byte);
            if (!child)
                return 0;
            if (node) {
                t->nodes[child].next = t->nodes[node].child;
                t->nodes[node].child = child;
            } else {
                t->first[byte] = child;
            }
        }
        node = child;
    }
    if (node && t->nodes[node].id < 0) {
        t->nodes[node].id = id;
        t->nodes[node].structure = (uint8_t)(structure != 0);
    }
    return 1;
}

size_t bz_mark_trie_match(int32_t *out_id, const bz_mark_trie *t, const char *text, size_t size, int structure)
{
    size_t best = 0;
    uint32_t node = 0;
    for (size_t i = 0; i < size; i++) {
        node = mark_trie_child(t, node, (uint8_t)text[i]);
        if (!node)
            break;
        const bz_mark_node *n = &t->nodes[node];
        if (n->id >= 0 && (structure || !n->structure)) {
            *out_id = n->id;
            best = i + 1;
        }
    }
    return best;
}
