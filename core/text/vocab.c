/* SPDX-License-Identifier: MIT */
/* Purpose: the entries of a tokenizer, found by id and by text. Invariant: immutable after bz_vocab_finish; every id
 * handed out is below n_tokens. One table of 16-byte entries and one open-addressing hash over the borrowed bytes; the
 * workers of the pool check and hash the entries of a batch, one thread puts them into the table in order of ids, and
 * nothing is allocated per entry.
 * Not here: reading the file (format/), the merge rule (tokenizer_spm.c). Source of the rules: the key list of
 * llama.cpp's converter and SentencePiece's piece types; deny list by name because files disagree about types. */
#include "text/vocab.h"

#include "base/alloc.h"
#include "base/status.h"
#include "base/utf8.h"
#include "text/mark_trie.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>

#define VOCAB_ORIGIN "vocab"
#define VOCAB_MAX_TOKENS 2000000u /* must fit the id part of a slot */
#define VOCAB_MAX_MARK 1024u     /* bytes of an entry that is taken whole: bounds the scan per position */
#define VOCAB_MAX_BRIDGES 64u    /* pieces with an inner U+2581; above, words are not cut at all */
#define VOCAB_MAX_PROBES 512u    /* honest texts need fewer than 100 at a load of one half */
#define VOCAB_ID_BITS 21u
#define VOCAB_ID_MASK ((1u << VOCAB_ID_BITS) - 1u)

static const char vocab_space[3] = {'\xE2', '\x96', '\x81'}; /* U+2581 */

enum { VOCAB_PIECE = 1, VOCAB_STRUCTURE = 2, VOCAB_END = 4, VOCAB_IS_BYTE = 8, VOCAB_BRIDGE = 16 };

typedef struct vocab_entry {
    uint64_t at; /* of its text in the block; its address when the facts have none */
    float score;
    uint16_t size;
    uint8_t type;
    uint8_t flags;
} vocab_entry;
_Static_assert(sizeof(vocab_entry) == 16, "the tables of side files have no padding");

typedef struct vocab_bridge { /* a piece that has U+2581 at offset > 0 */
    int32_t id;
    uint32_t offset;
} vocab_bridge;

struct bz_vocab {
    const bezel_world *world;
    const vocab_entry *entries;
    size_t count; /* entries added */
    const uint32_t *slots; /* id + 1 in the low 21 bits, hash bits above; 0 = empty */
    vocab_entry *own_entries; /* the same when built here, NULL when the tables are another's */
    uint32_t *own_slots;
    size_t slot_mask;
    size_t max_piece; /* bytes of the longest ordinary piece */
    bz_mark_trie marks;
    vocab_bridge bridges[VOCAB_MAX_BRIDGES];
    size_t n_bridges;
    int no_cut;
    int32_t bytes[256];
    int32_t bos;
    bz_vocab_facts facts;
    int has_types;
    size_t n_twice, first_twice; /* entries whose text a lower id has, and the first of them */
    uint64_t *hashes;            /* [BZ_VOCAB_BATCH] of the entries being added; NULL once built */
};

static const char *vocab_text(const bz_vocab *v, const vocab_entry *e)
{
    return (const char *)((uintptr_t)v->facts.block + (uintptr_t)e->at);
}

/* --- Names -------------------------------------------------------------------------------- */

/* Marks of turns, media and tools of the Gemma family. Files call some of them user-defined (the image marks of Gemma
 * 3) or even normal; text of a user must never become one, whatever the type. */
static const char *const vocab_structure_names[] = {
    "<bos>", "<eos>", "<pad>", "<start_of_turn>", "<end_of_turn>", "<|turn>", "<turn|>", "[multimodal]",
    "<start_of_image>", "<end_of_image>", "<image_soft_token>", "<|image>", "<|image|>", "<image|>",
    "<start_of_audio>", "<end_of_audio>", "<audio_soft_token>", "<|audio>", "<|audio|>", "<audio|>", "<|video|>",
    "<start_function_declaration>", "<end_function_declaration>", "<start_function_call>", "<end_function_call>",
    "<start_function_response>", "<end_function_response>", "<escape>", "<|tool>", "<tool|>", "<|tool_call>",
    "<tool_call|>", "<|tool_response>", "<tool_response|>", "<|channel>", "<channel|>", "<|think|>", "<|\"|>"};

/* `</s>` is not among them: in Gemma's vocabulary it closes struck-through text. */
static const char *const vocab_end_names[] = {"<eos>", "<end_of_turn>", "<turn|>", "<start_function_response>", "<|tool_response>"};

static int vocab_is_named(const char *const *names, size_t n, const char *text, size_t size)
{
    for (size_t i = 0; i < n; i++)
        if (strlen(names[i]) == size && !memcmp(names[i], text, size))
            return 1;
    return 0;
}

static int vocab_names_structure(const char *text, size_t size, int32_t type)
{
    if (size < 3 || (text[0] != '<' && text[0] != '['))
        return 0;
    if (vocab_is_named(vocab_structure_names, sizeof vocab_structure_names / sizeof *vocab_structure_names, text, size))
        return 1;
    /* Newer files add marks of the forms <|x>, <x|> and <|x|>; they never stand for text. */
    return type == BZ_TOKEN_USER_DEFINED && text[0] == '<' && text[size - 1] == '>' &&
           (text[1] == '|' || text[size - 2] == '|');
}

static int vocab_hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The byte of exactly <0xXX> with upper-case digits, else -1. */
static int vocab_byte_text(const char *text, size_t size)
{
    if (size != 6 || memcmp(text, "<0x", 3) || text[5] != '>')
        return -1;
    int high = vocab_hex_digit(text[3]), low = vocab_hex_digit(text[4]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

/* --- Hash --------------------------------------------------------------------------------- */

static uint64_t vocab_hash(const char *text, size_t size)
{
    uint64_t h = 0x9E3779B97F4A7C15u ^ (uint64_t)size, word;
    for (; size >= 8; text += 8, size -= 8) {
        memcpy(&word, text, 8);
        h = (h ^ word) * 0xFF51AFD7ED558CCDu;
        h ^= h >> 32;
    }
    if (size) {
        word = 0;
        memcpy(&word, text, size);
        h = (h ^ word) * 0xC4CEB9FE1A85EC53u;
        h ^= h >> 32;
    }
    h *= 0xFF51AFD7ED558CCDu;
    return h ^ (h >> 29);
}

/* Place of the text, whose hash is h, or of the empty slot where it belongs; SIZE_MAX when the probes run out. */
static size_t vocab_slot(const bz_vocab *v, uint64_t h, const char *text, size_t size, uint32_t *out_tag)
{
    uint32_t tag = (uint32_t)(h >> 32) & ~VOCAB_ID_MASK;
    size_t at = (size_t)h & v->slot_mask;
    *out_tag = tag;
    for (size_t probes = 0; probes < VOCAB_MAX_PROBES; probes++, at = (at + 1) & v->slot_mask) {
        uint32_t slot = v->slots[at];
        if (!slot)
            return at;
        if ((slot & ~VOCAB_ID_MASK) != tag)
            continue;
        const vocab_entry *e = &v->entries[(slot & VOCAB_ID_MASK) - 1];
        if (e->size == size && !memcmp(vocab_text(v, e), text, size))
            return at;
    }
    return SIZE_MAX;
}

/* --- Building ------------------------------------------------------------------------------ */

static bezel_status vocab_check_item(const bz_vocab *v, const bz_vocab_item *item, size_t i, bezel_error *err)
{
    if (!item->size || !item->text)
        return bz_fail(err, BEZEL_ERR_FORMAT, VOCAB_ORIGIN, "entry %zu of the vocabulary has no text", i);
    if (item->size > BZ_VOCAB_MAX_TEXT)
        return bz_error_hint(err,
                             bz_fail(err, BEZEL_ERR_LIMIT, VOCAB_ORIGIN,
                                     "entry %zu of the vocabulary has %lu bytes, at most %u are read", i,
                                     (unsigned long)item->size, BZ_VOCAB_MAX_TEXT),
                             "No tokenizer of the Gemma family has such entries; the file is damaged or made to be slow.");
    if (!bz_utf8_valid(item->text, item->size))
        return bz_fail(err, BEZEL_ERR_FORMAT, VOCAB_ORIGIN, "entry %zu of the vocabulary is no valid UTF-8", i);
    if (!isfinite(item->score))
        return bz_fail(err, BEZEL_ERR_NUMERIC, VOCAB_ORIGIN, "the score of vocabulary entry %zu is no finite number", i);
    if (v->has_types && (item->type < BZ_TOKEN_NORMAL || item->type > BZ_TOKEN_BYTE))
        return bz_fail(err, BEZEL_ERR_RANGE, VOCAB_ORIGIN, "vocabulary entry %zu has type %d, expected %d to %d", i,
                       (int)item->type, BZ_TOKEN_NORMAL, BZ_TOKEN_BYTE);
    return BEZEL_OK;
}

/* Whether U+2581 stands inside, not only in front. */
static int vocab_has_bridge(const char *text, size_t size)
{
    for (size_t i = 1; i + 3 <= size; i++) {
        const char *lead = memchr(text + i, vocab_space[0], size - i);
        if (!lead)
            return 0;
        i = (size_t)(lead - text);
        if (i + 3 <= size && !memcmp(lead, vocab_space, 3))
            return 1;
    }
    return 0;
}

static void vocab_fill_entry(vocab_entry *e, const bz_vocab *v, const bz_vocab_item *item)
{
    const int byte = vocab_byte_text(item->text, item->size);
    const int32_t type = v->has_types ? item->type : byte >= 0 ? BZ_TOKEN_BYTE : BZ_TOKEN_NORMAL;
    const uint64_t at = (uint64_t)((uintptr_t)item->text - (uintptr_t)v->facts.block);
    *e = (vocab_entry){at, item->score, (uint16_t)item->size, (uint8_t)type, 0};
    if (type == BZ_TOKEN_CONTROL || type == BZ_TOKEN_UNKNOWN || vocab_names_structure(item->text, e->size, type))
        e->flags |= VOCAB_STRUCTURE;
    else if (type == BZ_TOKEN_NORMAL)
        e->flags |= VOCAB_PIECE | (vocab_has_bridge(item->text, e->size) ? VOCAB_BRIDGE : 0);
    if (item->text[0] == '<' &&
        vocab_is_named(vocab_end_names, sizeof vocab_end_names / sizeof *vocab_end_names, item->text, e->size))
        e->flags |= VOCAB_END;
    if (type == BZ_TOKEN_BYTE && byte >= 0)
        e->flags |= VOCAB_IS_BYTE;
}

typedef struct vocab_batch {
    bz_vocab *v;
    const bz_vocab_item *items;
    atomic_size_t bad; /* lowest item that is refused; n when none is */
} vocab_batch;

/* What needs no other entry: checks, flags and hashes; any thread may do any of them. */
static void vocab_read_items(void *ctx, size_t begin, size_t end, unsigned worker)
{
    vocab_batch *b = ctx;
    bz_vocab *v = b->v;
    (void)worker;
    for (size_t i = begin; i < end; i++) {
        if (vocab_check_item(v, &b->items[i], 0, NULL)) {
            size_t bad = atomic_load(&b->bad);
            while (i < bad && !atomic_compare_exchange_weak(&b->bad, &bad, i))
                continue;
            return;
        }
        vocab_fill_entry(&v->own_entries[v->count + i], v, &b->items[i]);
        v->hashes[i] = vocab_hash(b->items[i].text, b->items[i].size);
    }
}

/* Remembers the places of U+2581 inside a piece: across them no word may be cut. */
static void vocab_note_bridges(bz_vocab *v, size_t id)
{
    const vocab_entry *e = &v->entries[id];
    const char *text = vocab_text(v, e);
    for (size_t i = 1; i + 3 <= e->size && !v->no_cut; i++) {
        if (memcmp(text + i, vocab_space, 3))
            continue;
        if (v->n_bridges == VOCAB_MAX_BRIDGES) {
            v->no_cut = 1;
            return;
        }
        v->bridges[v->n_bridges++] = (vocab_bridge){(int32_t)id, (uint32_t)i};
    }
}

static bezel_status vocab_add_mark(bz_vocab *v, size_t id, bezel_error *err)
{
    const vocab_entry *e = &v->entries[id];
    const char *from = vocab_text(v, e);
    char text[VOCAB_MAX_MARK];
    size_t n = 0;
    for (size_t i = 0; i < e->size && n <= sizeof text; i++) {
        size_t add = from[i] == ' ' ? 3 : 1;
        if (n + add > sizeof text)
            return bz_fail(err, BEZEL_ERR_LIMIT, VOCAB_ORIGIN, "special entry %zu of the vocabulary has over %u bytes", id,
                           VOCAB_MAX_MARK);
        memcpy(text + n, add == 3 ? vocab_space : from + i, add);
        n += add;
    }
    if (!bz_mark_trie_add(&v->marks, v->world, text, n, (int32_t)id, e->flags & VOCAB_STRUCTURE))
        return bz_fail_memory(err, VOCAB_ORIGIN, "the special entries", v->marks.capacity * 2 * sizeof(bz_mark_node));
    return BEZEL_OK;
}

/* What an entry's kind asks for, beside its place in the hash. is_first: no lower id has its text. */
static bezel_status vocab_note(bz_vocab *v, size_t id, int is_first, bezel_error *err)
{
    const vocab_entry *e = &v->entries[id];
    if (e->flags & VOCAB_IS_BYTE) {
        const int byte = vocab_byte_text(vocab_text(v, e), e->size);
        if (byte >= 0 && v->bytes[byte] < 0)
            v->bytes[byte] = (int32_t)id;
    }
    if (!is_first) {
        if (!v->n_twice++)
            v->first_twice = id;
        return BEZEL_OK;
    }
    if ((e->flags & VOCAB_PIECE) && e->size > v->max_piece)
        v->max_piece = e->size;
    if (e->flags & VOCAB_BRIDGE)
        vocab_note_bridges(v, id);
    return (e->flags & VOCAB_STRUCTURE) || e->type == BZ_TOKEN_USER_DEFINED ? vocab_add_mark(v, id, err) : BEZEL_OK;
}

static bezel_status vocab_index(bz_vocab *v, size_t id, uint64_t hash, bezel_error *err)
{
    const vocab_entry *e = &v->entries[id];
    uint32_t tag;
    const size_t at = vocab_slot(v, hash, vocab_text(v, e), e->size, &tag);
    if (at == SIZE_MAX)
        return bz_fail(err, BEZEL_ERR_LIMIT, VOCAB_ORIGIN,
                       "over %u entries of the vocabulary have the same hash; the file is made to be slow", VOCAB_MAX_PROBES);
    const int is_first = v->slots[at] == 0;
    if (is_first)
        v->own_slots[at] = tag | (uint32_t)(id + 1);
    return vocab_note(v, id, is_first, err);
}

bezel_status bz_vocab_add(bz_vocab *v, const bz_vocab_item *items, size_t n, bz_thread_pool *pool, bezel_error *err)
{
    vocab_batch batch = {v, items, n};
    bezel_status st = BEZEL_OK;
    if (n > BZ_VOCAB_BATCH || n > v->facts.n_tokens - v->count)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, VOCAB_ORIGIN, "%zu entries at once", n);
    if (pool)
        bz_thread_pool_run(pool, n, 512, vocab_read_items, &batch);
    else
        vocab_read_items(&batch, 0, n, 0);
    if (atomic_load(&batch.bad) < n)
        return vocab_check_item(v, &items[batch.bad], v->count + batch.bad, err);
    for (size_t i = 0; i < n && !st; i++, v->count++)
        st = vocab_index(v, v->count, v->hashes[i], err);
    return st;
}

static bezel_status vocab_special_ids(bz_vocab *v, bezel_error *err)
{
    static const char *const names[5] = {"bos", "eos", "unknown", "padding", "eot"};
    const bz_vocab_facts *s = &v->facts;
    const int64_t ids[5] = {s->bos, s->eos, s->unk, s->pad, s->eot};
    for (size_t i = 0; i < 5; i++)
        if (ids[i] != -1 && (ids[i] < 0 || (uint64_t)ids[i] >= v->count))
            return bz_fail(err, BEZEL_ERR_RANGE, VOCAB_ORIGIN, "the %s id %lld is outside the vocabulary of %zu entries",
                           names[i], (long long)ids[i], v->count);
    if (s->eos >= 0 && v->own_entries)
        v->own_entries[s->eos].flags |= VOCAB_END;
    if (s->eot >= 0 && v->own_entries)
        v->own_entries[s->eot].flags |= VOCAB_END;
    v->bos = s->bos >= 0 ? (int32_t)s->bos : bz_vocab_find(v, "<bos>", 5);
    for (int b = 0; b < 256; b++)
        if (v->bytes[b] < 0)
            return bz_fail(err, BEZEL_ERR_FORMAT, VOCAB_ORIGIN,
                           "the vocabulary has no byte entry <0x%02X>; all 256 are needed so that every text has ids", b);
    return BEZEL_OK;
}

bezel_status bz_vocab_finish(bz_vocab *v, bz_log *log, bezel_error *err)
{
    if (v->count != v->facts.n_tokens)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, VOCAB_ORIGIN, "%zu of %zu entries were added", v->count, v->facts.n_tokens);
    const bezel_status st = vocab_special_ids(v, err);
    if (!st && v->n_twice && log)
        bz_log_write(log, BEZEL_LOG_WARNING, VOCAB_ORIGIN,
                     "%zu entries of the vocabulary repeat the text of a lower id, which is used (first: entry %zu)",
                     v->n_twice, v->first_twice);
    bz_free(v->world, v->hashes);
    v->hashes = NULL;
    return st;
}

/* A vocabulary without tables. */
static bezel_status vocab_new(bz_vocab **out, const bezel_world *w, const bz_vocab_facts *facts, bezel_error *err)
{
    *out = NULL;
    if (!facts->n_tokens || facts->n_tokens > VOCAB_MAX_TOKENS)
        return bz_fail(err, BEZEL_ERR_RANGE, VOCAB_ORIGIN, "the vocabulary has %zu entries, expected 1 to %u",
                       facts->n_tokens, VOCAB_MAX_TOKENS);
    bz_vocab *v = bz_zalloc(w, sizeof *v);
    if (!v)
        return bz_fail_memory(err, VOCAB_ORIGIN, "the vocabulary", sizeof *v);
    v->world = w;
    v->facts = *facts;
    v->has_types = facts->has_types != 0;
    memset(v->bytes, 0xFF, sizeof v->bytes);
    bz_mark_trie_init(&v->marks);
    *out = v;
    return BEZEL_OK;
}

bezel_status bz_vocab_begin(bz_vocab **out, const bezel_world *w, const bz_vocab_facts *facts, bezel_error *err)
{
    bz_vocab_tables sizes;
    const bezel_status st = vocab_new(out, w, facts, err);
    if (st)
        return st;
    bz_vocab *v = *out;
    bz_vocab_measure(&sizes, facts->n_tokens);
    v->slot_mask = sizes.slots_size / sizeof *v->slots - 1;
    v->entries = v->own_entries = bz_alloc(w, sizes.entries_size); /* pages are touched as entries come */
    v->hashes = bz_alloc(w, BZ_VOCAB_BATCH * sizeof *v->hashes);
    v->slots = v->own_slots = bz_zalloc(w, sizes.slots_size);
    if (!v->entries || !v->slots || !v->hashes) {
        bz_vocab_free(v);
        *out = NULL;
        return bz_fail_memory(err, VOCAB_ORIGIN, "the vocabulary", sizes.entries_size + sizes.slots_size);
    }
    return BEZEL_OK;
}

void bz_vocab_free(bz_vocab *v)
{
    if (!v)
        return;
    const bezel_world *w = v->world;
    bz_mark_trie_free(&v->marks, w);
    bz_free(w, v->hashes);
    bz_free(w, v->own_slots);
    bz_free(w, v->own_entries);
    bz_free(w, v);
}

/* --- Tables -------------------------------------------------------------------------------- */

void bz_vocab_measure(bz_vocab_tables *out, size_t n_tokens)
{
    size_t slots = 8;
    while (slots < n_tokens * 2)
        slots *= 2;
    *out = (bz_vocab_tables){NULL, NULL, slots * sizeof(uint32_t), n_tokens * sizeof(vocab_entry)};
}

void bz_vocab_tables_of(bz_vocab_tables *out, const bz_vocab *v)
{
    bz_vocab_measure(out, v->count);
    out->slots = v->slots;
    out->entries = v->entries;
}

/* first [(n_tokens + 31) / 32]: bits of the ids that the hash leads to. */
static bezel_status vocab_take_tables(bz_vocab *v, uint32_t *first, bezel_error *err)
{
    const size_t n = v->facts.n_tokens;
    for (size_t i = 0; i <= v->slot_mask; i++) {
        const uint32_t id = v->slots[i] & VOCAB_ID_MASK; /* + 1 */
        if (id > n || (id == 0 && v->slots[i] != 0))
            return bz_fail(err, BEZEL_ERR_FORMAT, VOCAB_ORIGIN, "slot %zu of the tables is wrong", i);
        if (id > 0)
            first[(id - 1) / 32] |= 1u << ((id - 1) % 32);
    }
    for (size_t i = 0; i < n; i++, v->count++) {
        const vocab_entry *e = &v->entries[i];
        if (!e->size || e->size > BZ_VOCAB_MAX_TEXT || e->at > v->facts.block_size || e->size > v->facts.block_size - e->at ||
            e->type < BZ_TOKEN_NORMAL || e->type > BZ_TOKEN_BYTE || !isfinite(e->score))
            return bz_fail(err, BEZEL_ERR_FORMAT, VOCAB_ORIGIN, "entry %zu of the tables is wrong", i);
        const int is_first = (first[i / 32] >> (i % 32) & 1) != 0;
        if (is_first && e->type == BZ_TOKEN_NORMAL && !(e->flags & ~VOCAB_PIECE)) { /* nearly all */
            v->max_piece = e->size > v->max_piece ? e->size : v->max_piece;
            continue;
        }
        const bezel_status st = vocab_note(v, i, is_first, err);
        if (st)
            return st;
    }
    return BEZEL_OK;
}

bezel_status bz_vocab_from_tables(bz_vocab **out, const bezel_world *w, const bz_vocab_facts *facts,
                                  const bz_vocab_tables *tables, bz_log *log, bezel_error *err)
{
    bezel_status st = vocab_new(out, w, facts, err);
    if (st)
        return st;
    bz_vocab *v = *out;
    uint32_t *first = bz_zalloc_array(w, facts->n_tokens / 32 + 1, sizeof *first);
    v->entries = tables->entries;
    v->slots = tables->slots;
    v->slot_mask = tables->slots_size / sizeof *v->slots - 1;
    st = first ? vocab_take_tables(v, first, err) : bz_fail_memory(err, VOCAB_ORIGIN, "the vocabulary", facts->n_tokens / 8);
    bz_free(w, first);
    if (!st)
        st = bz_vocab_finish(v, log, err);
    if (st) {
        bz_vocab_free(v);
        *out = NULL;
    }
    return st;
}

/* --- Looking up ---------------------------------------------------------------------------- */

static const vocab_entry *vocab_at(const bz_vocab *v, int32_t id)
{
    return id >= 0 && (size_t)id < v->count ? &v->entries[id] : NULL;
}

size_t bz_vocab_size(const bz_vocab *v)
{
    return v->count;
}

const char *bz_vocab_text(const bz_vocab *v, int32_t id, size_t *out_size)
{
    const vocab_entry *e = vocab_at(v, id);
    if (out_size)
        *out_size = e ? e->size : 0;
    return e ? vocab_text(v, e) : NULL;
}

int32_t bz_vocab_type(const bz_vocab *v, int32_t id)
{
    const vocab_entry *e = vocab_at(v, id);
    return e ? e->type : BZ_TOKEN_UNUSED;
}

float bz_vocab_score(const bz_vocab *v, int32_t id)
{
    const vocab_entry *e = vocab_at(v, id);
    return e ? e->score : 0.0f;
}

int32_t bz_vocab_find(const bz_vocab *v, const char *text, size_t size)
{
    uint32_t tag;
    if (!size)
        return -1;
    size_t at = vocab_slot(v, vocab_hash(text, size), text, size, &tag);
    return at == SIZE_MAX ? -1 : (int32_t)(v->slots[at] & VOCAB_ID_MASK) - 1;
}

int32_t bz_vocab_byte(const bz_vocab *v, uint8_t byte)
{
    return v->bytes[byte];
}

int bz_vocab_is_byte(const bz_vocab *v, int32_t id, uint8_t *out)
{
    const vocab_entry *e = vocab_at(v, id);
    if (!e || !(e->flags & VOCAB_IS_BYTE))
        return 0;
    *out = (uint8_t)vocab_byte_text(vocab_text(v, e), e->size);
    return 1;
}

int bz_vocab_is_end(const bz_vocab *v, int32_t id)
{
    const vocab_entry *e = vocab_at(v, id);
    return e && (e->flags & VOCAB_END);
}

int32_t bz_vocab_bos(const bz_vocab *v)
{
    return v->bos;
}

int bz_vocab_add_bos(const bz_vocab *v)
{
    return v->facts.add_bos != 0;
}

int bz_vocab_add_space_prefix(const bz_vocab *v)
{
    return v->facts.add_space_prefix != 0;
}

int bz_vocab_is_structure(const bz_vocab *v, int32_t id)
{
    const vocab_entry *e = vocab_at(v, id);
    return e && (e->flags & VOCAB_STRUCTURE);
}

int bz_vocab_is_call_mark(const bz_vocab *v, int32_t id)
{
    static const char *const names[] = {"<start_function_call>", "<end_function_call>", "<escape>",
                                        "<|tool_call>",          "<tool_call|>",        "<|\"|>"};
    size_t size;
    const char *text = bz_vocab_text(v, id, &size);
    return text != NULL && bz_vocab_is_structure(v, id) && vocab_is_named(names, sizeof names / sizeof *names, text, size);
}

int bz_vocab_wants_blank(const bz_vocab *v, int32_t id)
{
    uint8_t last = ' ';
    size_t size;
    const char *text = bz_vocab_text(v, id, &size);
    const int32_t type = bz_vocab_type(v, id);
    if (bz_vocab_is_byte(v, id, &last))
        return last != ' ' && last != '\n' && last != '\t';
    if (text == NULL || size == 0 || bz_vocab_is_structure(v, id) || (type != BZ_TOKEN_NORMAL && type != BZ_TOKEN_USER_DEFINED))
        return 0;
    last = (uint8_t)text[size - 1];
    return last != ' ' && last != '\n' && last != '\t' && !(size >= 3 && memcmp(text + size - 3, "\xE2\x96\x81", 3) == 0);
}

int32_t bz_vocab_piece(const bz_vocab *v, const char *text, size_t size)
{
    if (size > v->max_piece)
        return -1;
    int32_t id = bz_vocab_find(v, text, size);
    return id >= 0 && (v->entries[id].flags & VOCAB_PIECE) ? id : -1;
}

size_t bz_vocab_match(int32_t *out_id, const bz_vocab *v, const char *text, size_t size, int special)
{
    return bz_mark_trie_match(out_id, &v->marks, text, size, special);
}

int bz_vocab_may_cut(const bz_vocab *v, const char *text, size_t size, size_t cut)
{
    if (v->no_cut)
        return 0;
    for (size_t i = 0; i < v->n_bridges; i++) {
        const vocab_bridge *b = &v->bridges[i];
        const vocab_entry *e = &v->entries[b->id];
        if (cut >= b->offset && e->size <= size - (cut - b->offset) && !memcmp(text + cut - b->offset, vocab_text(v, e), e->size))
            return 0;
    }
    return 1;
}
