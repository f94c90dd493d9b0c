/* SPDX-License-Identifier: MIT */
/* Tokens as a trie in depth-first order (see vocab_trie.h).
 *
 * Node i is followed by its subtree; `next` is the index behind it. The bytes of all tokens, sorted, lie in one block, so a
 * token is a place and a length in it. Of tokens with the same bytes (byte pieces beside written ones) a node has a group. */
#include "text/vocab_trie.h"

#include "base/alloc.h"
#include "base/status.h"
#include "base/utf8.h"

#include <string.h>

typedef struct trie_node {
    uint32_t next_and_byte; /* index behind the subtree << 8 | byte */
    int32_t id;             /* token that ends here, -1 = none, -2 - i = the group at `groups + i` */
} trie_node;

typedef struct trie_list { /* nodes in depth-first order */
    trie_node *nodes;
    size_t count, capacity;
} trie_list;

struct bz_vocab_trie {
    const bezel_world *world;
    size_t V;
    uint8_t *bytes;      /* of all tokens */
    uint32_t *at;        /* [V] where a token's begin */
    uint8_t *sizes;      /* [V] 0 = not in the trie */
    uint8_t *safe;       /* [V] code points of a safe token, 0 = not safe */
    int32_t *groups;     /* a count and as many ids, one behind the other */
    size_t n_groups;     /* numbers in it */
    size_t longest;
    trie_list all, unsafe;
};

/* ---- tokens ----------------------------------------------------------------------------------------------------------- */

/* Writes the bytes that an entry stands for, at most its text's; 0 for one that is not offered. */
static size_t trie_token(uint8_t *out, const bz_vocab *v, int32_t id)
{
    size_t size, n = 0;
    const char *text = bz_vocab_text(v, id, &size);
    const int32_t type = bz_vocab_type(v, id);
    if (bz_vocab_is_byte(v, id, out))
        return 1;
    if (text == NULL || size > BZ_VOCAB_TRIE_DEPTH || bz_vocab_is_structure(v, id) ||
        (type != BZ_TOKEN_NORMAL && type != BZ_TOKEN_USER_DEFINED))
        return 0;
    for (size_t i = 0; i < size; n++) {
        const int is_space = size - i >= 3 && memcmp(text + i, "\xE2\x96\x81", 3) == 0;
        out[n] = is_space ? ' ' : (uint8_t)text[i];
        i += is_space ? 3 : 1;
    }
    return n;
}

static uint8_t trie_safe_points(const uint8_t *bytes, size_t n)
{
    size_t points = 0;
    for (size_t i = 0; i < n; i++) {
        const uint8_t b = bytes[i];
        if (b < 0x20 || b == 0x7F || b == '"' || b == '\\' || b == '<')
            return 0;
        points += (b & 0xC0) != 0x80;
    }
    return bz_utf8_valid((const char *)bytes, n) ? (uint8_t)points : 0;
}

/* ---- sorting ---------------------------------------------------------------------------------------------------------- */

static const uint8_t *trie_bytes(const bz_vocab_trie *t, int32_t id)
{
    return t->bytes + t->at[id];
}

/* Byte `depth` of a token, 0 for its end, else byte + 1. */
static uint32_t trie_digit(const bz_vocab_trie *t, int32_t id, size_t depth)
{
    return depth < t->sizes[id] ? (uint32_t)trie_bytes(t, id)[depth] + 1U : 0U;
}

static int trie_before(const bz_vocab_trie *t, int32_t a, int32_t b, size_t depth)
{
    const size_t n = t->sizes[a] < t->sizes[b] ? t->sizes[a] : t->sizes[b];
    const int order = n > depth ? memcmp(trie_bytes(t, a) + depth, trie_bytes(t, b) + depth, n - depth) : 0;
    return order != 0 ? order < 0 : t->sizes[a] != t->sizes[b] ? t->sizes[a] < t->sizes[b] : a < b;
}

/* Radix sort from the first byte on, insertion for short runs. Its depth is a token's length at most. */
static void trie_sort(const bz_vocab_trie *t, int32_t *ids, int32_t *scratch, size_t n, size_t depth)
{
    uint32_t begin[258] = {0};
    if (n < 32) {
        for (size_t i = 1; i < n; i++) {
            const int32_t id = ids[i];
            size_t k = i;
            for (; k > 0 && trie_before(t, id, ids[k - 1], depth); k--)
                ids[k] = ids[k - 1];
            ids[k] = id;
        }
        return;
    }
    for (size_t i = 0; i < n; i++)
        begin[trie_digit(t, ids[i], depth) + 1]++;
    for (uint32_t d = 1; d < 258; d++)
        begin[d] += begin[d - 1];
    uint32_t place[257];
    memcpy(place, begin, sizeof place);
    for (size_t i = 0; i < n; i++)
        scratch[place[trie_digit(t, ids[i], depth)]++] = ids[i];
    memcpy(ids, scratch, n * sizeof *ids);
    for (uint32_t d = 1; d < 257; d++)
        if (begin[d + 1] > begin[d] + 1)
            trie_sort(t, ids + begin[d], scratch, begin[d + 1] - begin[d], depth + 1);
}

/* ---- building --------------------------------------------------------------------------------------------------------- */

static size_t trie_shared(const bz_vocab_trie *t, int32_t a, int32_t b)
{
    const size_t n = t->sizes[a] < t->sizes[b] ? t->sizes[a] : t->sizes[b];
    const uint8_t *x = trie_bytes(t, a), *y = trie_bytes(t, b);
    size_t i = 0;
    while (i < n && x[i] == y[i])
        i++;
    return i;
}

static size_t trie_count(const bz_vocab_trie *t, const int32_t *ids, size_t n)
{
    size_t nodes = 0;
    for (size_t i = 0; i < n; i++)
        nodes += t->sizes[ids[i]] - (i > 0 ? trie_shared(t, ids[i - 1], ids[i]) : 0);
    return nodes;
}

static void trie_close(trie_list *list, const uint32_t *path, size_t from, size_t to)
{
    for (size_t d = from; d < to; d++) {
        trie_node *node = &list->nodes[path[d]];
        node->next_and_byte = (uint32_t)list->count << 8 | (node->next_and_byte & 0xFF);
    }
}

static int trie_equal(const bz_vocab_trie *t, int32_t a, int32_t b)
{
    return t->sizes[a] == t->sizes[b] && trie_shared(t, a, b) == t->sizes[a];
}

/* Room for the groups of both lists: of n equal neighbours n + 1 numbers, at most 3 for each that equals the one before. */
static int trie_make_groups(bz_vocab_trie *t, const int32_t *ids, size_t n)
{
    size_t equal = 0;
    for (size_t i = 1; i < n; i++)
        equal += (size_t)trie_equal(t, ids[i - 1], ids[i]);
    t->groups = bz_zalloc_array(t->world, 6 * equal + 2, sizeof *t->groups);
    return t->groups != NULL;
}

/* The tokens ids [n] with the same bytes end at a node. */
static int32_t trie_end(bz_vocab_trie *t, const int32_t *ids, size_t n)
{
    if (n == 1)
        return ids[0];
    const size_t at = t->n_groups;
    t->groups[at] = (int32_t)n;
    memcpy(t->groups + at + 1, ids, n * sizeof *ids);
    t->n_groups += n + 1;
    return -2 - (int32_t)at;
}

static void trie_set(const bz_vocab_trie *t, uint32_t *bits, int32_t id)
{
    if (id >= 0) {
        bits[(size_t)id / 32] |= 1U << ((uint32_t)id % 32);
        return;
    }
    const int32_t *group = t->groups + (-2 - id);
    for (int32_t i = 1; i <= group[0]; i++)
        bits[(size_t)group[i] / 32] |= 1U << ((uint32_t)group[i] % 32);
}

/* ids sorted. */
static int trie_fill(bz_vocab_trie *t, trie_list *list, const int32_t *ids, size_t n)
{
    uint32_t path[BZ_VOCAB_TRIE_DEPTH + 1];
    size_t depth = 0, run;
    list->capacity = trie_count(t, ids, n);
    if (list->capacity >= (size_t)1 << 24)
        return 0;
    list->nodes = bz_zalloc_array(t->world, list->capacity + 1, sizeof *list->nodes);
    if (list->nodes == NULL)
        return 0;
    for (size_t i = 0; i < n; i += run) {
        const int32_t id = ids[i];
        const size_t shared = i > 0 ? trie_shared(t, ids[i - 1], id) : 0, size = t->sizes[id];
        trie_close(list, path, shared, depth);
        for (depth = shared; depth < size; depth++) {
            path[depth] = (uint32_t)list->count;
            list->nodes[list->count++] = (trie_node){trie_bytes(t, id)[depth], -1};
        }
        for (run = 1; i + run < n && trie_equal(t, id, ids[i + run]);)
            run++;
        list->nodes[path[size - 1]].id = trie_end(t, ids + i, run);
    }
    trie_close(list, path, 0, depth);
    return 1;
}

static int trie_allocate(bz_vocab_trie *t, size_t n_bytes)
{
    t->bytes = bz_alloc(t->world, n_bytes + 1);
    t->at = bz_zalloc_array(t->world, t->V, sizeof *t->at);
    t->sizes = bz_zalloc_array(t->world, t->V, 1);
    t->safe = bz_zalloc_array(t->world, t->V, 1);
    return t->bytes != NULL && t->at != NULL && t->sizes != NULL && t->safe != NULL;
}

static size_t trie_take_tokens(bz_vocab_trie *t, const bz_vocab *v, int32_t *ids)
{
    size_t n = 0, at = 0;
    for (size_t i = 0; i < t->V; i++) {
        const int32_t id = (int32_t)i;
        const size_t size = trie_token(t->bytes + at, v, id);
        if (size == 0)
            continue;
        t->at[i] = (uint32_t)at;
        t->sizes[i] = (uint8_t)size;
        t->longest = size > t->longest ? size : t->longest;
        t->safe[i] = trie_safe_points(t->bytes + at, size);
        at += size;
        ids[n++] = id;
    }
    return n;
}

static size_t trie_text_bytes(const bz_vocab *v)
{
    size_t total = 0, size;
    for (size_t i = 0; i < bz_vocab_size(v); i++)
        if (bz_vocab_text(v, (int32_t)i, &size) != NULL && size <= BZ_VOCAB_TRIE_DEPTH)
            total += size;
    return total;
}

static int trie_build(bz_vocab_trie *t, const bz_vocab *v, int32_t *ids)
{
    if (!trie_allocate(t, trie_text_bytes(v)))
        return 0;
    const size_t n = trie_take_tokens(t, v, ids);
    trie_sort(t, ids, ids + t->V, n, 0);
    if (!trie_make_groups(t, ids, n) || !trie_fill(t, &t->all, ids, n))
        return 0;
    size_t n_unsafe = 0;
    for (size_t i = 0; i < n; i++)
        if (t->safe[ids[i]] == 0)
            ids[n_unsafe++] = ids[i];
    return trie_fill(t, &t->unsafe, ids, n_unsafe);
}

bezel_status bz_vocab_trie_new(bz_vocab_trie **out, const bezel_world *w, const bz_vocab *v, bezel_error *err)
{
    *out = NULL;
    const size_t V = bz_vocab_size(v);
    bz_vocab_trie *t = bz_zalloc(w, sizeof *t);
    int32_t *ids = bz_zalloc_array(w, 2 * V, sizeof *ids);
    int built = 0;
    if (t != NULL) {
        t->world = w;
        t->V = V;
        built = ids != NULL && trie_build(t, v, ids);
    }
    bz_free(w, ids);
    if (!built) {
        bz_vocab_trie_free(t);
        return bz_fail_memory(err, "constraint", "the trie of the vocabulary", V * 32);
    }
    *out = t;
    return BEZEL_OK;
}

void bz_vocab_trie_free(bz_vocab_trie *t)
{
    if (t == NULL)
        return;
    bz_free(t->world, t->bytes);
    bz_free(t->world, t->at);
    bz_free(t->world, t->sizes);
    bz_free(t->world, t->safe);
    bz_free(t->world, t->groups);
    bz_free(t->world, t->all.nodes);
    bz_free(t->world, t->unsafe.nodes);
    bz_free(t->world, t);
}

/* ---- asking ----------------------------------------------------------------------------------------------------------- */

size_t bz_vocab_trie_bytes(const bz_vocab_trie *t)
{
    size_t bytes = sizeof *t + (t->all.capacity + t->unsafe.capacity + 2) * sizeof(trie_node) + t->V * 6;
    for (size_t i = 0; i < t->V; i++)
        bytes += t->sizes[i];
    return bytes;
}

size_t bz_vocab_trie_longest(const bz_vocab_trie *t)
{
    return t->longest;
}

const uint8_t *bz_vocab_trie_token(const bz_vocab_trie *t, int32_t id, size_t *out_size)
{
    if (id < 0 || (size_t)id >= t->V || t->sizes[id] == 0) {
        *out_size = 0;
        return NULL;
    }
    *out_size = t->sizes[id];
    return trie_bytes(t, id);
}

void bz_vocab_trie_walk(const bz_vocab_trie *t, uint32_t *bits, int only_unsafe, bz_vocab_trie_fn fn, void *ud)
{
    const trie_list *list = only_unsafe ? &t->unsafe : &t->all;
    uint32_t ends[BZ_VOCAB_TRIE_DEPTH + 1]; /* of the subtrees we are in */
    size_t depth = 0;
    for (uint32_t i = 0; i < list->count;) {
        const trie_node *node = &list->nodes[i];
        while (depth > 0 && ends[depth - 1] <= i)
            depth--;
        if (!fn(ud, depth, (uint8_t)node->next_and_byte)) {
            i = node->next_and_byte >> 8;
            continue;
        }
        if (node->id != -1)
            trie_set(t, bits, node->id);
        ends[depth++] = node->next_and_byte >> 8;
        i++;
    }
}

void bz_vocab_trie_safe(const bz_vocab_trie *t, uint32_t *bits, uint32_t room)
{
    const uint32_t most = room < 255 ? room : 255;
    for (size_t i = 0; i < t->V; i += 32) {
        const size_t n = t->V - i < 32 ? t->V - i : 32;
        uint32_t word = 0;
        for (size_t k = 0; k < n; k++)
            word |= (uint32_t)((uint32_t)t->safe[i + k] - 1U < most) << k;
        bits[i / 32] |= word;
    }
}

int bz_vocab_trie_continues(const bz_vocab_trie *t, const char *bytes, size_t n)
{
    uint32_t i = 0, end = (uint32_t)t->all.count;
    for (size_t k = 0; k < n; k++) {
        while (i < end && (uint8_t)t->all.nodes[i].next_and_byte != (uint8_t)bytes[k])
            i = t->all.nodes[i].next_and_byte >> 8;
        if (i >= end)
            return 0;
        end = t->all.nodes[i].next_and_byte >> 8;
        i++;
    }
    return i < end;
}
