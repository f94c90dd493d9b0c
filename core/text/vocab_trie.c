/* SPDX-License-Identifier: MIT */
/* Tokens sorted by their bytes (see vocab_trie.h): a trie without nodes. `shared` says how many bytes a token has in common with
 * the one before it, so a walk steps only the bytes behind them; `next` is the first one behind it that shares no more than it
 * does, so a branch is left in as many steps as it has children. The bytes lie in the same order, so a walk touches little
 * memory. All tables lie in one block without pointers, so that a file can hold them. */
#include "text/vocab_trie.h"

#include "base/alloc.h"
#include "base/status.h"
#include "base/utf8.h"

#include <string.h>

#define TRIE_ORIGIN "constraint"
#define TRIE_NONE UINT32_MAX

enum { TRIE_ROOMS = 16 }; /* sets of the safe tokens with at most 1, 2, ... 15 code points, and of all */

typedef struct trie_counts { /* begins the block */
    uint32_t n, n_bytes, longest, spare;
    uint32_t first[257];       /* of the sorted tokens that begin with a byte */
    uint32_t safe[TRIE_ROOMS]; /* tokens in the sets */
} trie_counts;

typedef struct trie_list { /* sorted tokens */
    const uint32_t *first;
    uint32_t *ids, *next, *places; /* places [count + 1] of the bytes */
    uint8_t *shared, *bytes;
    size_t count;
} trie_list;

struct bz_vocab_trie {
    const bezel_world *world;
    size_t V, n_words, size; /* of the block */
    void *own_block;         /* NULL when it is another's */
    trie_counts *counts;
    trie_list all;
    uint32_t *ranks;     /* [V] where an id stands in it, TRIE_NONE = not in the trie */
    uint32_t *safe_bits; /* [TRIE_ROOMS][n_words] */
    uint8_t *safe;       /* [V] code points of a safe token, 0 = not safe */
    trie_list unsafe;    /* not of the block */
    void *own_unsafe;
    uint32_t unsafe_first[257];
    int32_t *longs;      /* safe tokens of TRIE_ROOMS code points and more, most first */
    size_t n_longs;
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

/* Tokens as they are read: in order of ids. */
typedef struct trie_source {
    uint8_t *bytes;
    uint32_t *at;   /* [V] */
    uint8_t *sizes; /* [V] 0 = not in the trie */
} trie_source;

static const uint8_t *trie_bytes(const trie_source *t, int32_t id)
{
    return t->bytes + t->at[id];
}

/* Byte `depth` of a token, 0 for its end, else byte + 1. */
static uint32_t trie_digit(const trie_source *t, int32_t id, size_t depth)
{
    return depth < t->sizes[id] ? (uint32_t)trie_bytes(t, id)[depth] + 1U : 0U;
}

static int trie_before(const trie_source *t, int32_t a, int32_t b, size_t depth)
{
    const size_t n = t->sizes[a] < t->sizes[b] ? t->sizes[a] : t->sizes[b];
    const int order = n > depth ? memcmp(trie_bytes(t, a) + depth, trie_bytes(t, b) + depth, n - depth) : 0;
    return order != 0 ? order < 0 : t->sizes[a] != t->sizes[b] ? t->sizes[a] < t->sizes[b] : a < b;
}

/* Radix sort from the first byte on, insertion for short runs. Its depth is a token's length at most. */
static void trie_sort(const trie_source *t, int32_t *ids, int32_t *scratch, size_t n, size_t depth)
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

/* ---- block ------------------------------------------------------------------------------------------------------------ */

static size_t trie_text_bytes(const bz_vocab *v)
{
    size_t total = 0, size;
    for (size_t i = 0; i < bz_vocab_size(v); i++)
        if (bz_vocab_text(v, (int32_t)i, &size) != NULL && size <= BZ_VOCAB_TRIE_DEPTH)
            total += size;
    return total;
}

/* Lays the tables over a block, NULL = only counts; returns its size. Numbers first, then bytes. */
static size_t trie_lay(bz_vocab_trie *t, void *block, size_t V, size_t n_bytes)
{
    uint8_t *p = block;
    size_t at = sizeof(trie_counts);
    t->V = V;
    t->n_words = (V + 31) / 32;
    const struct { uint32_t **table; size_t count; } numbers[] = {
        {&t->all.ids, V}, {&t->all.next, V}, {&t->all.places, V + 1}, {&t->ranks, V}, {&t->safe_bits, TRIE_ROOMS * t->n_words}};
    const struct { uint8_t **table; size_t count; } bytes[] = {{&t->all.shared, V}, {&t->safe, V}, {&t->all.bytes, n_bytes}};
    t->counts = block;
    t->all.first = block != NULL ? t->counts->first : NULL;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; at += numbers[i++].count * sizeof(uint32_t))
        *numbers[i].table = p != NULL ? (uint32_t *)(void *)(p + at) : NULL;
    for (size_t i = 0; i < sizeof bytes / sizeof *bytes; at += bytes[i++].count)
        *bytes[i].table = p != NULL ? p + at : NULL;
    return (at + 7) / 8 * 8;
}

size_t bz_vocab_trie_measure(const bz_vocab *v)
{
    bz_vocab_trie t;
    return trie_lay(&t, NULL, bz_vocab_size(v), trie_text_bytes(v));
}

/* ---- building --------------------------------------------------------------------------------------------------------- */

/* first, shared and next of sorted tokens whose bytes are there. */
static void trie_link(trie_list *list, uint32_t *first)
{
    const uint32_t *places = list->places;
    uint32_t ends[256] = {0};
    for (size_t i = 0; i < list->count; i++) {
        const size_t size = places[i + 1] - places[i], before = i > 0 ? places[i] - places[i - 1] : 0, n = size < before ? size : before;
        const uint8_t *x = list->bytes + places[i], *y = x - before;
        size_t k = 0;
        while (k < n && x[k] == y[k])
            k++;
        list->shared[i] = (uint8_t)k;
        ends[x[0]]++;
    }
    first[0] = 0;
    for (uint32_t byte = 0; byte < 256; byte++)
        first[byte + 1] = first[byte] + ends[byte];
    for (size_t i = list->count; i-- > 0;) {
        size_t k = i + 1;
        while (k < list->count && list->shared[k] > list->shared[i])
            k = list->next[k];
        list->next[i] = (uint32_t)k;
    }
    list->first = first;
}

static void trie_add_safe(bz_vocab_trie *t, size_t i)
{
    const uint32_t first = t->safe[i] < TRIE_ROOMS ? t->safe[i] - 1U : TRIE_ROOMS - 1U; /* set with the fewest code points */
    for (uint32_t room = first; room < TRIE_ROOMS; room++) {
        t->safe_bits[room * t->n_words + i / 32] |= 1U << (i % 32);
        t->counts->safe[room]++;
    }
}

static void trie_take_tokens(bz_vocab_trie *t, trie_source *source, const bz_vocab *v)
{
    uint32_t at = 0;
    for (size_t i = 0; i < t->V; i++) {
        const size_t size = trie_token(source->bytes + at, v, (int32_t)i);
        source->sizes[i] = (uint8_t)size;
        t->ranks[i] = TRIE_NONE;
        if (size == 0)
            continue;
        source->at[i] = at;
        t->safe[i] = trie_safe_points(source->bytes + at, size);
        t->counts->longest = size > t->counts->longest ? (uint32_t)size : t->counts->longest;
        at += (uint32_t)size;
        t->all.ids[t->counts->n++] = (uint32_t)i;
        if (t->safe[i] > 0)
            trie_add_safe(t, i);
    }
    t->counts->n_bytes = at;
}

static int trie_build(bz_vocab_trie *t, const bz_vocab *v, size_t n_bytes)
{
    trie_source source = {bz_alloc(t->world, n_bytes + 1), bz_alloc(t->world, (t->V + 1) * sizeof *source.at),
                          bz_alloc(t->world, t->V + 1)};
    int32_t *scratch = bz_alloc(t->world, (t->V + 1) * sizeof *scratch);
    const int ok = source.bytes != NULL && source.at != NULL && source.sizes != NULL && scratch != NULL;
    if (ok) {
        trie_take_tokens(t, &source, v);
        const size_t n = t->all.count = t->counts->n;
        trie_sort(&source, (int32_t *)t->all.ids, scratch, n, 0);
        for (size_t i = 0; i < n; i++) {
            const int32_t id = (int32_t)t->all.ids[i];
            memcpy(t->all.bytes + t->all.places[i], trie_bytes(&source, id), source.sizes[id]);
            t->all.places[i + 1] = t->all.places[i] + source.sizes[id];
            t->ranks[id] = (uint32_t)i;
        }
        trie_link(&t->all, t->counts->first);
    }
    bz_free(t->world, source.bytes);
    bz_free(t->world, source.at);
    bz_free(t->world, source.sizes);
    bz_free(t->world, scratch);
    return ok;
}

/* The tokens that are not safe, as a trie of their own: they are few. */
static int trie_pick_unsafe(bz_vocab_trie *t)
{
    trie_list *u = &t->unsafe;
    size_t n = 0, n_bytes = 0;
    for (size_t i = 0; i < t->all.count; i++)
        if (t->safe[t->all.ids[i]] == 0) {
            n++;
            n_bytes += t->all.places[i + 1] - t->all.places[i];
        }
    t->own_unsafe = bz_zalloc(t->world, (3 * n + 1) * sizeof(uint32_t) + n + n_bytes);
    if (t->own_unsafe == NULL)
        return 0;
    u->ids = t->own_unsafe;
    u->next = u->ids + n;
    u->places = u->next + n;
    u->shared = (uint8_t *)(u->places + n + 1);
    u->bytes = u->shared + n;
    for (size_t i = 0; i < t->all.count; i++) {
        const uint32_t size = t->all.places[i + 1] - t->all.places[i];
        if (t->safe[t->all.ids[i]] > 0)
            continue;
        memcpy(u->bytes + u->places[u->count], t->all.bytes + t->all.places[i], size);
        u->places[u->count + 1] = u->places[u->count] + size;
        u->ids[u->count++] = t->all.ids[i];
    }
    trie_link(u, t->unsafe_first);
    return 1;
}

/* The tables that the block does not hold. */
static int trie_pick(bz_vocab_trie *t)
{
    size_t n = 0, places[257] = {0}; /* counting sort, most code points first */
    t->all.count = t->counts->n;
    for (size_t i = 0; i < t->V; i++)
        if (t->safe[i] >= TRIE_ROOMS)
            places[256 - t->safe[i]]++;
    for (size_t k = 0; k < 257; k++) {
        const size_t count = places[k];
        places[k] = n;
        n += count;
    }
    t->n_longs = n;
    t->longs = bz_zalloc_array(t->world, n + 1, sizeof *t->longs);
    for (size_t i = 0; t->longs != NULL && i < t->V; i++)
        if (t->safe[i] >= TRIE_ROOMS)
            t->longs[places[256 - t->safe[i]]++] = (int32_t)i;
    return t->longs != NULL && trie_pick_unsafe(t);
}

static bz_vocab_trie *trie_alloc(const bezel_world *w)
{
    bz_vocab_trie *t = bz_zalloc(w, sizeof *t);
    if (t != NULL)
        t->world = w;
    return t;
}

bezel_status bz_vocab_trie_new(bz_vocab_trie **out, const bezel_world *w, const bz_vocab *v, bezel_error *err)
{
    const size_t size = bz_vocab_trie_measure(v), n_bytes = trie_text_bytes(v);
    bz_vocab_trie *t = trie_alloc(w);
    int built = 0;
    *out = NULL;
    if (t != NULL && (t->own_block = bz_zalloc(w, size)) != NULL) {
        t->size = trie_lay(t, t->own_block, bz_vocab_size(v), n_bytes);
        built = trie_build(t, v, n_bytes) && trie_pick(t);
    }
    if (!built) {
        bz_vocab_trie_free(t);
        return bz_fail_memory(err, TRIE_ORIGIN, "the trie of the vocabulary", size);
    }
    *out = t;
    return BEZEL_OK;
}

static int trie_is_sound(const bz_vocab_trie *t, size_t n_bytes)
{
    const trie_counts *c = t->counts;
    const trie_list *l = &t->all;
    if (c->n > t->V || c->n_bytes > n_bytes || c->longest > BZ_VOCAB_TRIE_DEPTH || c->first[0] != 0 || c->first[256] != c->n ||
        l->places[0] != 0 || l->places[c->n] != c->n_bytes)
        return 0;
    for (size_t i = 0; i < 256; i++)
        if (c->first[i] > c->first[i + 1])
            return 0;
    for (size_t i = 0; i < t->V; i++)
        if (t->ranks[i] != TRIE_NONE && t->ranks[i] >= c->n)
            return 0;
    for (size_t i = 0; i < c->n; i++)
        if (l->ids[i] >= t->V || l->next[i] <= i || l->next[i] > c->n || l->places[i] >= l->places[i + 1] ||
            l->places[i + 1] - l->places[i] > c->longest || l->shared[i] > l->places[i + 1] - l->places[i])
            return 0;
    return 1;
}

bezel_status bz_vocab_trie_from_block(bz_vocab_trie **out, const bezel_world *w, const bz_vocab *v, const void *block,
                                      size_t size, bezel_error *err)
{
    bz_vocab_trie *t = trie_alloc(w);
    *out = NULL;
    if (t != NULL) {
        t->size = size;
        const size_t tables = trie_lay(t, (void *)(uintptr_t)block, bz_vocab_size(v), 0); /* read only from here on */
        if (tables > size || !trie_is_sound(t, size - tables)) {
            bz_vocab_trie_free(t);
            return bz_fail(err, BEZEL_ERR_FORMAT, TRIE_ORIGIN, "the tables of the vocabulary's trie are wrong");
        }
    }
    if (t == NULL || !trie_pick(t)) {
        bz_vocab_trie_free(t);
        return bz_fail_memory(err, TRIE_ORIGIN, "the trie of the vocabulary", sizeof *t);
    }
    *out = t;
    return BEZEL_OK;
}

void bz_vocab_trie_free(bz_vocab_trie *t)
{
    if (t == NULL)
        return;
    bz_free(t->world, t->own_block);
    bz_free(t->world, t->own_unsafe);
    bz_free(t->world, t->longs);
    bz_free(t->world, t);
}

/* ---- asking ----------------------------------------------------------------------------------------------------------- */

const void *bz_vocab_trie_block(const bz_vocab_trie *t)
{
    return t->counts;
}

size_t bz_vocab_trie_bytes(const bz_vocab_trie *t)
{
    const trie_list *u = &t->unsafe;
    return sizeof *t + t->size + (3 * u->count + 1) * sizeof(uint32_t) + u->count + u->places[u->count] +
           (t->n_longs + 1) * sizeof *t->longs;
}

size_t bz_vocab_trie_longest(const bz_vocab_trie *t)
{
    return t->counts->longest;
}

const uint8_t *bz_vocab_trie_token(const bz_vocab_trie *t, int32_t id, size_t *out_size)
{
    const uint32_t rank = id >= 0 && (size_t)id < t->V ? t->ranks[id] : TRIE_NONE;
    if (rank == TRIE_NONE) {
        *out_size = 0;
        return NULL;
    }
    *out_size = t->all.places[rank + 1] - t->all.places[rank];
    return t->all.bytes + t->all.places[rank];
}

void bz_token_set_clear(bz_token_set *set, size_t n_words)
{
    if (!set->is_listed || set->count > set->capacity)
        memset(set->bits, 0, n_words * sizeof *set->bits);
    else
        for (size_t i = 0; i < set->count; i++)
            set->bits[(size_t)set->ids[i] / 32] = 0;
    set->count = 0;
    set->is_listed = 1;
}

void bz_token_set_add(bz_token_set *set, int32_t id)
{
    uint32_t *word = &set->bits[(size_t)id / 32];
    const uint32_t bit = 1U << ((uint32_t)id % 32);
    if (*word & bit)
        return;
    *word |= bit;
    if (set->count < set->capacity)
        set->ids[set->count] = id;
    set->count++;
}

/* Tokens [i, end) begin with one byte, which was taken. */
static void trie_walk_range(const trie_list *list, size_t i, size_t end, bz_token_set *set, bz_vocab_trie_fn fn, void *ud)
{
    while (i < end) {
        const uint8_t *bytes = list->bytes + list->places[i];
        const size_t size = list->places[i + 1] - list->places[i], shared = list->shared[i];
        size_t depth = shared > 1 ? shared : 1;
        while (depth < size && fn(ud, depth, bytes[depth]))
            depth++;
        if (depth == size) {
            bz_token_set_add(set, (int32_t)list->ids[i++]);
            continue;
        }
        i = depth == shared ? list->next[i] : i + 1;
        while (i < end && list->shared[i] > depth) /* those that begin with the refused bytes */
            i = list->next[i];
    }
}

void bz_vocab_trie_walk(const bz_vocab_trie *t, bz_token_set *set, int only_unsafe, bz_vocab_trie_fn fn, void *ud)
{
    const trie_list *list = only_unsafe ? &t->unsafe : &t->all;
    for (uint32_t byte = 0; byte < 256; byte++)
        if (list->first[byte] < list->first[byte + 1] && fn(ud, 0, (uint8_t)byte))
            trie_walk_range(list, list->first[byte], list->first[byte + 1], set, fn, ud);
}

void bz_vocab_trie_safe(const bz_vocab_trie *t, bz_token_set *set, uint32_t room)
{
    const size_t row = room < TRIE_ROOMS ? room - 1U : TRIE_ROOMS - 1U;
    set->is_listed = 0;
    set->count = 0;
    if (room == 0) {
        memset(set->bits, 0, t->n_words * sizeof *set->bits);
        return;
    }
    memcpy(set->bits, t->safe_bits + row * t->n_words, t->n_words * sizeof *set->bits);
    set->count = t->counts->safe[row];
    for (size_t i = 0; i < t->n_longs && room >= TRIE_ROOMS && t->safe[t->longs[i]] > room; i++, set->count--)
        set->bits[(size_t)t->longs[i] / 32] &= ~(1U << ((uint32_t)t->longs[i] % 32));
}

void bz_vocab_trie_keep_safe(const bz_vocab_trie *t, bz_token_set *set)
{
    const size_t n = set->count;
    size_t kept = 0;
    if (set->is_listed && n <= set->capacity) {
        for (size_t i = 0; i < n; i++) {
            const int32_t id = set->ids[i];
            if (t->safe[id] > 0)
                set->ids[kept++] = id;
            else
                set->bits[(size_t)id / 32] &= ~(1U << ((uint32_t)id % 32));
        }
        set->count = kept;
        return;
    }
    for (size_t i = 0; i < t->unsafe.count; i++) {
        uint32_t *word = &set->bits[t->unsafe.ids[i] / 32];
        const uint32_t bit = 1U << (t->unsafe.ids[i] % 32);
        set->count -= (*word & bit) != 0;
        *word &= ~bit;
    }
}

int bz_vocab_trie_continues(const bz_vocab_trie *t, const char *bytes, size_t n)
{
    const trie_list *l = &t->all;
    size_t low = 0, high = l->count; /* the first token behind the bytes in the order */
    while (low < high) {
        const size_t middle = low + (high - low) / 2, size = l->places[middle + 1] - l->places[middle];
        const int order = memcmp(l->bytes + l->places[middle], bytes, size < n ? size : n);
        if (order > 0 || (order == 0 && size > n))
            high = middle;
        else
            low = middle + 1;
    }
    return low < l->count && l->places[low + 1] - l->places[low] > n && memcmp(l->bytes + l->places[low], bytes, n) == 0;
}
