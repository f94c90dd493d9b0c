/* SPDX-License-Identifier: MIT */
/* The value tree: null, bool, integer, number, text, list, map. Nodes live in the tree's arena and are never freed singly.
 * An item has one place: a value that is in a list or map cannot be put into another, so there are no cycles and depth is
 * known while building. Knows no JSON and no schema. */
#include "base/value_impl.h"

#include <bezel/engine.h>

#include "base/alloc.h"
#include "base/utf8.h"

#include <math.h>
#include <string.h>

#define BZ_VALUE_FIRST_ITEMS 4u
/* Maps up to this many keys are searched one by one. */
#define BZ_VALUE_SMALL_MAP 8u

/* --- Trees -------------------------------------------------------------------------------- */

bezel_status bz_tree_new(bezel_tree **out, const bezel_world *w, bezel_error *err)
{
    bezel_tree *tree = bz_zalloc(w, sizeof *tree);
    bezel_status status;
    *out = NULL;
    if (tree == NULL)
        return bz_fail_memory(err, "value", "a value tree", sizeof *tree);
    status = w->random(w->ud, tree->seed, sizeof tree->seed);
    if (status != BEZEL_OK) {
        bz_free(w, tree);
        return bz_fail(err, status, "value", "the system's random source failed (%s)", bezel_status_name(status));
    }
    tree->world = w;
    bz_arena_init(&tree->arena, w, 0);
    *out = tree;
    return BEZEL_OK;
}

bezel_status bezel_tree_new(bezel_tree **out, bezel_engine *engine, bezel_error *err)
{
    if (out == NULL || engine == NULL)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "value", "%s is NULL", out == NULL ? "out" : "engine");
    return bz_tree_new(out, bezel_engine_world(engine), err);
}

void bezel_tree_free(bezel_tree *tree)
{
    if (tree == NULL)
        return;
    bz_arena_free(&tree->arena);
    bz_free(tree->world, tree);
}

bezel_status bezel_tree_status(const bezel_tree *tree)
{
    return tree == NULL ? BEZEL_ERR_ARGUMENT : tree->status;
}

static void value_fail(bezel_tree *tree, bezel_status status)
{
    if (tree != NULL && tree->status == BEZEL_OK)
        tree->status = status;
}

static void *value_alloc(bezel_tree *tree, size_t n, size_t size)
{
    size_t total;
    void *p = NULL;
    if (bz_size_mul(&total, n, size))
        p = bz_arena_alloc(&tree->arena, total);
    if (p == NULL)
        value_fail(tree, BEZEL_ERR_MEMORY);
    return p;
}

static bezel_value *value_new(bezel_tree *tree, uint8_t type)
{
    bezel_value *value;
    if (tree == NULL || tree->status != BEZEL_OK)
        return NULL;
    if (tree->n_values == BZ_VALUE_MAX_COUNT) {
        value_fail(tree, BEZEL_ERR_LIMIT);
        return NULL;
    }
    value = value_alloc(tree, 1, sizeof *value);
    if (value == NULL)
        return NULL;
    tree->n_values++;
    value->type = type;
    value->height = type == BEZEL_LIST || type == BEZEL_MAP;
    value->up.tree = tree;
    return value;
}

/* A copy in the arena with every invalid byte replaced by U+FFFD. */
static char *value_text(bezel_tree *tree, const char *text, size_t n, size_t *out_size)
{
    static const char replacement[] = "\xEF\xBF\xBD";
    uint32_t cp;
    size_t size = 0;
    size_t total;
    char *copy;
    char *to;
    for (size_t i = 0, step; i < n; i += step) {
        size_t length = bz_utf8_decode(&cp, text + i, n - i);
        step = length == 0 ? 1 : length;
        if (!bz_size_add(&size, size, length == 0 ? sizeof replacement - 1 : length))
            size = SIZE_MAX - 1;
    }
    if (!bz_size_add(&total, size, 1) || (copy = value_alloc(tree, total, 1)) == NULL)
        return NULL;
    if (size == n) {
        if (n > 0)
            memcpy(copy, text, n);
    } else {
        to = copy;
        for (size_t i = 0, step; i < n; i += step) {
            size_t length = bz_utf8_decode(&cp, text + i, n - i);
            size_t written = length == 0 ? sizeof replacement - 1 : length;
            step = length == 0 ? 1 : length;
            memcpy(to, length == 0 ? replacement : text + i, written);
            to += written;
        }
    }
    *out_size = size;
    return copy;
}

bezel_value *bezel_tree_null(bezel_tree *tree)
{
    return value_new(tree, BEZEL_NULL);
}

bezel_value *bezel_tree_bool(bezel_tree *tree, int32_t truth)
{
    bezel_value *value = value_new(tree, BEZEL_BOOL);
    if (value != NULL)
        value->as.integer = truth != 0;
    return value;
}

bezel_value *bezel_tree_integer(bezel_tree *tree, int64_t integer)
{
    bezel_value *value = value_new(tree, BEZEL_INTEGER);
    if (value != NULL)
        value->as.integer = integer;
    return value;
}

bezel_value *bezel_tree_number(bezel_tree *tree, double number)
{
    bezel_value *value = value_new(tree, BEZEL_NUMBER);
    if (value != NULL)
        value->as.number = number;
    return value;
}

bezel_value *bezel_tree_text(bezel_tree *tree, const char *text, size_t size)
{
    bezel_value *value;
    if (text == NULL) {
        value_fail(tree, BEZEL_ERR_ARGUMENT);
        return NULL;
    }
    value = value_new(tree, BEZEL_TEXT);
    if (value == NULL)
        return NULL;
    value->as.text.bytes = value_text(tree, text, size == SIZE_MAX ? strlen(text) : size, &value->as.text.size);
    return value->as.text.bytes == NULL ? NULL : value;
}

bezel_value *bezel_tree_list(bezel_tree *tree)
{
    return value_new(tree, BEZEL_LIST);
}

bezel_value *bezel_tree_map(bezel_tree *tree)
{
    bezel_value *value = value_new(tree, BEZEL_MAP);
    if (value == NULL)
        return NULL;
    value->as.map = value_alloc(tree, 1, sizeof *value->as.map);
    if (value->as.map == NULL)
        return NULL;
    value->as.map->seed = tree->seed;
    return value;
}

/* --- Keys --------------------------------------------------------------------------------- */

static uint64_t value_rotate(uint64_t x, unsigned k)
{
    return x << k | x >> (64 - k);
}

static void value_sip_round(uint64_t v[4])
{
    v[0] += v[1];
    v[2] += v[3];
    v[1] = value_rotate(v[1], 13) ^ v[0];
    v[3] = value_rotate(v[3], 16) ^ v[2];
    v[0] = value_rotate(v[0], 32);
    v[2] += v[1];
    v[0] += v[3];
    v[1] = value_rotate(v[1], 17) ^ v[2];
    v[3] = value_rotate(v[3], 21) ^ v[0];
    v[2] = value_rotate(v[2], 32);
}

/* SipHash-1-3 (Aumasson and Bernstein, 2012), keyed, so that nobody can choose keys that all collide. */
static uint32_t value_hash(const uint64_t seed[2], const char *key, size_t n)
{
    uint64_t v[4] = {seed[0] ^ UINT64_C(0x736f6d6570736575), seed[1] ^ UINT64_C(0x646f72616e646f6d),
                     seed[0] ^ UINT64_C(0x6c7967656e657261), seed[1] ^ UINT64_C(0x7465646279746573)};
    uint64_t word = 0;
    size_t i;
    for (i = 0; i < n; i++) {
        word |= (uint64_t)(unsigned char)key[i] << (i % 8 * 8);
        if (i % 8 == 7) {
            v[3] ^= word;
            value_sip_round(v);
            v[0] ^= word;
            word = 0;
        }
    }
    word |= (uint64_t)n << 56;
    v[3] ^= word;
    value_sip_round(v);
    v[0] ^= word;
    v[2] ^= 0xFF;
    for (i = 0; i < 3; i++)
        value_sip_round(v);
    word = v[0] ^ v[1] ^ v[2] ^ v[3];
    return (uint32_t)(word ^ word >> 32);
}

static int value_key_is(const bz_value_entry *entry, const char *key, size_t n)
{
    return entry->key_size == n && (n == 0 || memcmp(entry->key, key, n) == 0);
}

/* Number of the entry with that key, or -1. */
static int64_t value_find(const bezel_value *value, const char *key, size_t n)
{
    const bz_value_map *map = value->as.map;
    if (map->index_size == 0) {
        for (uint32_t i = 0; i < value->count; i++) {
            if (value_key_is(&map->entries[i], key, n))
                return i;
        }
        return -1;
    }
    uint32_t hash = value_hash(map->seed, key, n);
    uint32_t mask = map->index_size - 1;
    for (uint32_t at = hash & mask; map->index[at] != 0; at = (at + 1) & mask) {
        const bz_value_entry *entry = &map->entries[map->index[at] - 1];
        if (entry->hash == hash && value_key_is(entry, key, n))
            return map->index[at] - 1;
    }
    return -1;
}

static void value_index_add(bz_value_map *map, uint32_t i)
{
    uint32_t mask = map->index_size - 1;
    uint32_t at = map->entries[i].hash & mask;
    while (map->index[at] != 0)
        at = (at + 1) & mask;
    map->index[at] = i + 1;
}

/* --- Putting things together -------------------------------------------------------------- */

/* Entries and, for a map that is not small, an index at most half full. Returns 0 on failure; nothing changed then. */
static int value_map_grow(bezel_tree *tree, bezel_value *value, uint32_t capacity)
{
    bz_value_map *map = value->as.map;
    bz_value_entry *entries = value_alloc(tree, capacity, sizeof *entries);
    uint32_t *index = NULL;
    uint32_t index_size = 0;
    if (entries == NULL)
        return 0;
    if (capacity > BZ_VALUE_SMALL_MAP) {
        for (index_size = 2 * BZ_VALUE_SMALL_MAP; index_size < 2 * capacity; index_size *= 2)
            continue;
        index = value_alloc(tree, index_size, sizeof *index);
        if (index == NULL)
            return 0;
    }
    if (value->count > 0)
        memcpy(entries, map->entries, value->count * sizeof *entries);
    map->entries = entries;
    map->capacity = capacity;
    map->index = index;
    map->index_size = index_size;
    for (uint32_t i = 0; index_size != 0 && i < value->count; i++) {
        entries[i].hash = value_hash(map->seed, entries[i].key, entries[i].key_size);
        value_index_add(map, i);
    }
    return 1;
}

static int value_list_grow(bezel_tree *tree, bezel_value *value, uint32_t capacity)
{
    bezel_value **items = value_alloc(tree, capacity, sizeof *items);
    if (items == NULL)
        return 0;
    if (value->count > 0)
        memcpy(items, value->as.list.items, value->count * sizeof *items);
    value->as.list.items = items;
    value->as.list.capacity = capacity;
    return 1;
}

void bz_value_reserve(bezel_tree *tree, bezel_value *container, size_t n)
{
    if (tree == NULL || container == NULL || tree->status != BEZEL_OK)
        return;
    if (n > BZ_VALUE_MAX_COUNT)
        value_fail(tree, BEZEL_ERR_LIMIT);
    else if (container->type == BEZEL_LIST && n > container->as.list.capacity)
        value_list_grow(tree, container, (uint32_t)n);
    else if (container->type == BEZEL_MAP && n > container->as.map->capacity)
        value_map_grow(tree, container, (uint32_t)n);
}

/* Whether item may become an item of container: both of this tree, item nowhere else and not above container, not too
 * deep. Sets the tree's status when not. */
static int value_may_attach(bezel_tree *tree, const bezel_value *container, const bezel_value *item, uint8_t type)
{
    const bezel_value *root = container;
    unsigned depth = 1;
    if (tree == NULL || tree->status != BEZEL_OK)
        return 0;
    if (container == NULL || item == NULL || item->attached) {
        value_fail(tree, BEZEL_ERR_ARGUMENT);
        return 0;
    }
    if (container->type != type) {
        value_fail(tree, BEZEL_ERR_TYPE);
        return 0;
    }
    for (; root->attached; root = root->up.parent)
        depth++;
    if (root == item || root->up.tree != tree || item->up.tree != tree) {
        value_fail(tree, BEZEL_ERR_ARGUMENT);
        return 0;
    }
    if (depth + item->height > BZ_VALUE_MAX_DEPTH) {
        value_fail(tree, BEZEL_ERR_LIMIT);
        return 0;
    }
    return 1;
}

static void value_attach(bezel_value *container, bezel_value *item)
{
    unsigned height = item->height + 1u;
    item->attached = 1;
    item->up.parent = container;
    for (bezel_value *v = container; v->height < height; v = v->up.parent) {
        v->height = (uint8_t)height++;
        if (!v->attached)
            break;
    }
}

void bezel_value_append(bezel_tree *tree, bezel_value *list, bezel_value *item)
{
    if (!value_may_attach(tree, list, item, BEZEL_LIST))
        return;
    if (list->count == list->as.list.capacity &&
        !value_list_grow(tree, list, list->count == 0 ? BZ_VALUE_FIRST_ITEMS : 2 * list->count))
        return;
    list->as.list.items[list->count++] = item;
    value_attach(list, item);
}

void bezel_value_set(bezel_tree *tree, bezel_value *map, const char *key, bezel_value *item)
{
    bezel_value_set_n(tree, map, key, key == NULL ? 0 : strlen(key), item);
}

void bezel_value_set_n(bezel_tree *tree, bezel_value *map, const char *key, size_t key_size, bezel_value *item)
{
    bz_value_map *m;
    int64_t at;
    char *copy = NULL;
    size_t size = key_size;
    if (!value_may_attach(tree, map, item, BEZEL_MAP))
        return;
    if (key == NULL || key_size >= UINT32_MAX / 3) {
        value_fail(tree, key == NULL ? BEZEL_ERR_ARGUMENT : BEZEL_ERR_LIMIT);
        return;
    }
    if (!bz_utf8_valid(key, key_size)) {
        copy = value_text(tree, key, key_size, &size);
        if (copy == NULL)
            return;
        key = copy;
    }
    m = map->as.map;
    at = value_find(map, key, size);
    if (at >= 0) {
        m->entries[at].item->attached = 0;
        m->entries[at].item->up.tree = tree;
        m->entries[at].item = item;
        value_attach(map, item);
        return;
    }
    if (copy == NULL && (copy = value_text(tree, key, size, &size)) == NULL)
        return;
    if (map->count == m->capacity &&
        !value_map_grow(tree, map, map->count == 0 ? BZ_VALUE_FIRST_ITEMS : 2 * map->count))
        return;
    m->entries[map->count] = (bz_value_entry){.key = copy, .item = item, .key_size = (uint32_t)size};
    if (m->index_size != 0) {
        m->entries[map->count].hash = value_hash(m->seed, copy, size);
        value_index_add(m, map->count);
    }
    map->count++;
    value_attach(map, item);
}

/* Depth is at most BZ_VALUE_MAX_DEPTH, so is the recursion. */
bezel_value *bezel_tree_copy(bezel_tree *tree, const bezel_value *value)
{
    bezel_value *copy;
    switch (bezel_value_type(value)) {
    case BEZEL_NULL:
        return bezel_tree_null(tree);
    case BEZEL_TEXT:
        return bezel_tree_text(tree, value->as.text.bytes, value->as.text.size);
    case BEZEL_LIST:
        copy = bezel_tree_list(tree);
        bz_value_reserve(tree, copy, value->count);
        for (uint32_t i = 0; i < value->count && copy != NULL && tree->status == BEZEL_OK; i++)
            bezel_value_append(tree, copy, bezel_tree_copy(tree, value->as.list.items[i]));
        break;
    case BEZEL_MAP:
        copy = bezel_tree_map(tree);
        bz_value_reserve(tree, copy, value->count);
        for (uint32_t i = 0; i < value->count && copy != NULL && tree->status == BEZEL_OK; i++) {
            const bz_value_entry *entry = &value->as.map->entries[i];
            bezel_value_set_n(tree, copy, entry->key, entry->key_size, bezel_tree_copy(tree, entry->item));
        }
        break;
    default:
        copy = value_new(tree, value->type);
        if (copy != NULL)
            copy->as = value->as;
        return copy;
    }
    return tree == NULL || tree->status != BEZEL_OK ? NULL : copy;
}

/* --- Reading ------------------------------------------------------------------------------ */

uint32_t bezel_value_type(const bezel_value *value)
{
    return value == NULL ? BEZEL_NULL : value->type;
}

int32_t bezel_value_bool(const bezel_value *value)
{
    return bezel_value_type(value) == BEZEL_BOOL && value->as.integer != 0;
}

/* Numbers outside of the range give its end, NaN gives 0. */
int64_t bezel_value_integer(const bezel_value *value)
{
    if (bezel_value_type(value) == BEZEL_INTEGER)
        return value->as.integer;
    if (bezel_value_type(value) != BEZEL_NUMBER || isnan(value->as.number))
        return 0;
    if (value->as.number >= 0x1p63)
        return INT64_MAX;
    return value->as.number < -0x1p63 ? INT64_MIN : (int64_t)value->as.number;
}

double bezel_value_number(const bezel_value *value)
{
    if (bezel_value_type(value) == BEZEL_INTEGER)
        return (double)value->as.integer;
    return bezel_value_type(value) == BEZEL_NUMBER ? value->as.number : 0.0;
}

const char *bezel_value_text(const bezel_value *value, size_t *out_size)
{
    int is_text = bezel_value_type(value) == BEZEL_TEXT;
    if (out_size != NULL)
        *out_size = is_text ? value->as.text.size : 0;
    return is_text ? value->as.text.bytes : "";
}

size_t bezel_value_count(const bezel_value *value)
{
    return value == NULL ? 0 : value->count;
}

const bezel_value *bezel_value_at(const bezel_value *value, size_t i)
{
    if (i >= bezel_value_count(value))
        return NULL;
    return value->type == BEZEL_LIST ? value->as.list.items[i] : value->as.map->entries[i].item;
}

const char *bezel_value_key(const bezel_value *map, size_t i, size_t *out_size)
{
    const bz_value_entry *entry;
    if (out_size != NULL)
        *out_size = 0;
    if (bezel_value_type(map) != BEZEL_MAP || i >= map->count)
        return "";
    entry = &map->as.map->entries[i];
    if (out_size != NULL)
        *out_size = entry->key_size;
    return entry->key;
}

const bezel_value *bz_value_get_n(const bezel_value *map, const char *key, size_t key_size)
{
    int64_t at;
    if (bezel_value_type(map) != BEZEL_MAP || key == NULL)
        return NULL;
    at = value_find(map, key, key_size);
    return at < 0 ? NULL : map->as.map->entries[at].item;
}

const bezel_value *bezel_value_get(const bezel_value *map, const char *key)
{
    return key == NULL ? NULL : bz_value_get_n(map, key, strlen(key));
}

static int value_integer_is(int64_t integer, double number)
{
    return number >= -0x1p63 && number < 0x1p63 && (double)(int64_t)number >= number &&
           (double)(int64_t)number <= number && (int64_t)number == integer;
}

static int value_scalar_equal(const bezel_value *a, const bezel_value *b)
{
    uint32_t type = bezel_value_type(a);
    if (type == BEZEL_NUMBER && bezel_value_type(b) == BEZEL_INTEGER)
        return value_integer_is(b->as.integer, a->as.number);
    if (type == BEZEL_INTEGER && bezel_value_type(b) == BEZEL_NUMBER)
        return value_integer_is(a->as.integer, b->as.number);
    if (type != bezel_value_type(b))
        return 0;
    switch (type) {
    case BEZEL_NULL:
        return 1;
    case BEZEL_NUMBER:
        return a->as.number >= b->as.number && a->as.number <= b->as.number;
    case BEZEL_TEXT:
        return a->as.text.size == b->as.text.size &&
               memcmp(a->as.text.bytes, b->as.text.bytes, a->as.text.size) == 0;
    default:
        return a->as.integer == b->as.integer;
    }
}

int32_t bezel_value_equal(const bezel_value *a, const bezel_value *b)
{
    uint32_t type = bezel_value_type(a);
    if (type != BEZEL_LIST && type != BEZEL_MAP)
        return value_scalar_equal(a, b);
    if (bezel_value_type(b) != type || a->count != b->count)
        return 0;
    for (uint32_t i = 0; i < a->count; i++) {
        const bezel_value *x = bezel_value_at(a, i);
        const bezel_value *y = bezel_value_at(b, i);
        if (type == BEZEL_MAP) {
            const bz_value_entry *entry = &a->as.map->entries[i];
            int64_t at = value_find(b, entry->key, entry->key_size);
            if (at < 0)
                return 0;
            y = b->as.map->entries[at].item;
        }
        if (!bezel_value_equal(x, y))
            return 0;
    }
    return 1;
}
