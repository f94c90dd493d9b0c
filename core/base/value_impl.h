/* SPDX-License-Identifier: MIT */
/* Inside of bezel_tree and bezel_value: 32 bytes a node, everything in the tree's arena. */
#ifndef BZ_VALUE_IMPL_H
#define BZ_VALUE_IMPL_H

#include <bezel/value.h>

#include "base/arena.h"
#include "base/strbuf.h"

#define BZ_VALUE_MAX_DEPTH 64u
#define BZ_VALUE_MAX_COUNT (16u << 20)

typedef struct bz_value_entry {
    const char *key;
    bezel_value *item;
    uint32_t key_size;
    uint32_t hash; /* used once the map has an index */
} bz_value_entry;

typedef struct bz_value_map {
    bz_value_entry *entries; /* in the order in which keys were first set */
    uint32_t capacity;
    uint32_t index_size;  /* power of two, 0 while the map is small */
    uint32_t *index;      /* open addressing: entry number + 1, 0 = free */
    const uint64_t *seed; /* the tree's: keys that collide in one process do not in another */
} bz_value_map;

struct bezel_value {
    uint8_t type;     /* BEZEL_NULL... */
    uint8_t height;   /* levels of lists and maps from here down; 0 for scalars. May be too high after a replacement */
    uint8_t attached; /* is an item of up.parent */
    uint8_t unused;
    uint32_t count; /* items of a list or map */
    union {
        bezel_value *parent; /* when attached */
        bezel_tree *tree;    /* else */
    } up;
    union {
        int64_t integer; /* BOOL too */
        double number;
        struct {
            const char *bytes;
            size_t size;
        } text;
        struct {
            bezel_value **items;
            uint32_t capacity;
        } list;
        bz_value_map *map;
    } as;
};

struct bezel_tree {
    const bezel_world *world;
    bz_arena arena;
    uint64_t seed[2];
    uint32_t n_values;
    bezel_status status; /* first failure */
};

bezel_status bz_tree_new(bezel_tree **out, const bezel_world *w, bezel_error *err);
/* Room for n items at once. A failure sets the tree's status. */
void bz_value_reserve(bezel_tree *tree, bezel_value *container, size_t n);
const bezel_value *bz_value_get_n(const bezel_value *map, const char *key, size_t key_size);

/* Appends JSON text to b (its status tells of memory and limit). indent as in bezel_json_write. */
bezel_status bz_json_append(bz_strbuf *b, const bezel_value *value, uint32_t indent, bezel_error *err);
/* Appends valid UTF-8 as a JSON string with its quotes. */
void bz_json_append_text(bz_strbuf *b, const char *text, size_t size);
/* bezel_json_read with a limit on the text of the caller's choice. */
bezel_status bz_json_read(bezel_value **out, bezel_tree *tree, const char *json, size_t size, size_t max_size,
                          bezel_error *err);

#endif
