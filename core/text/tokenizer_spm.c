/* SPDX-License-Identifier: MIT */
/* Purpose: text to ids as SentencePiece's BPE does it: entries that are taken whole are cut out first, what remains is
 * merged pair by pair, best score first, leftmost first among equals. Invariant: the ids, decoded, give the text back
 * byte for byte (U+2581 comes back as a space); bytes that are no UTF-8 become byte entries.
 * Two facts keep it near linear: the merge order only matters inside a stretch that no piece can leave, so words are
 * merged alone (bz_vocab_may_cut knows the exceptions), and a pair longer than the longest piece needs no lookup.
 * Not here: BOS, chat templates, Unicode normalisation (Gemma has none). Source: the algorithm of SentencePiece's BPE
 * model, checked against Hugging Face tokenizers on Gemma 3's tokenizer.json. */
#include "text/tokenizer_impl.h"

#include "base/alloc.h"
#include "base/status.h"
#include "base/utf8.h"

#include <string.h>

#define TOKENIZER_ORIGIN "tokenizer"
#define TOKENIZER_MAX_TEXT ((size_t)1 << 30) /* 1 GiB; offsets of the escaped text fit 32 bits */
#define SPM_SMALL_WORD 48u                   /* symbols of a word that needs no memory of its own */

static const char spm_space[3] = {'\xE2', '\x96', '\x81'}; /* U+2581 */

/* --- List of ids --------------------------------------------------------------------------- */

void bz_ids_init(bz_ids *l, const bezel_world *w)
{
    memset(l, 0, sizeof *l);
    l->world = w;
}

void bz_ids_free(bz_ids *l)
{
    bz_free(l->world, l->ids);
    bz_ids_init(l, l->world);
}

void bz_ids_add(bz_ids *l, int32_t id)
{
    if (l->status)
        return;
    if (l->count == l->capacity) {
        size_t capacity = l->capacity ? l->capacity * 2 : 64, size;
        int32_t *ids = bz_size_mul(&size, capacity, sizeof *ids) ? bz_realloc(l->world, l->ids, size) : NULL;
        if (!ids) {
            l->status = BEZEL_ERR_MEMORY;
            return;
        }
        l->ids = ids;
        l->capacity = capacity;
    }
    l->ids[l->count++] = id;
}

/* --- Merging one word ---------------------------------------------------------------------- */

typedef struct spm_symbol {
    uint32_t start, size; /* bytes of the word; size 0 once it is merged into its left neighbour */
    int32_t prev, next;   /* -1 at the ends */
    int32_t id;           /* piece, -1 = none: its bytes are spelled */
} spm_symbol;

typedef struct spm_pair { /* a merge that was possible when it was pushed */
    float score;
    uint32_t left; /* symbol */
    uint32_t size; /* bytes of both; differs once one of them has changed */
    int32_t id;    /* piece that comes out */
} spm_pair;

typedef struct spm_work {
    const bz_vocab *vocab;
    bz_ids *out;
    const char *word;
    spm_symbol *symbols;
    spm_pair *heap; /* best pair first */
    size_t n_heap;
    size_t capacity; /* symbols there is room for; pairs: twice that */
    spm_symbol small_symbols[SPM_SMALL_WORD];
    spm_pair small_heap[SPM_SMALL_WORD * 2];
} spm_work;

static int spm_before(const spm_pair *a, const spm_pair *b)
{
    return a->score > b->score || (a->score >= b->score && a->left < b->left);
}

static void spm_push(spm_work *k, spm_pair pair)
{
    size_t i = k->n_heap++;
    while (i && spm_before(&pair, &k->heap[(i - 1) / 2])) {
        k->heap[i] = k->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    k->heap[i] = pair;
}

static spm_pair spm_pop(spm_work *k)
{
    spm_pair top = k->heap[0], last = k->heap[--k->n_heap];
    size_t i = 0, child;
    while ((child = 2 * i + 1) < k->n_heap) {
        if (child + 1 < k->n_heap && spm_before(&k->heap[child + 1], &k->heap[child]))
            child++;
        if (!spm_before(&k->heap[child], &last))
            break;
        k->heap[i] = k->heap[child];
        i = child;
    }
    k->heap[i] = last;
    return top;
}

/* Pushes the pair of a symbol and its right neighbour when their texts together are a piece. */
static void spm_try(spm_work *k, int32_t left)
{
    if (left < 0 || k->symbols[left].next < 0)
        return;
    const spm_symbol *a = &k->symbols[left], *b = &k->symbols[a->next];
    size_t size = (size_t)a->size + b->size;
    int32_t id = bz_vocab_piece(k->vocab, k->word + a->start, size);
    if (id >= 0)
        spm_push(k, (spm_pair){bz_vocab_score(k->vocab, id), (uint32_t)left, (uint32_t)size, id});
}

static void spm_merge(spm_work *k, spm_pair pair)
{
    spm_symbol *a = &k->symbols[pair.left];
    if (!a->size || a->next < 0)
        return;
    spm_symbol *b = &k->symbols[a->next];
    if (a->size + b->size != pair.size)
        return;
    a->size = pair.size;
    a->id = pair.id;
    a->next = b->next;
    b->size = 0;
    if (a->next >= 0)
        k->symbols[a->next].prev = (int32_t)pair.left;
    spm_try(k, a->prev);
    spm_try(k, (int32_t)pair.left);
}

/* Room for n symbols and the 2 n pairs that n symbols can have waiting: n - 1 at first, one more a merge. */
static bezel_status spm_reserve(spm_work *k, size_t n, bezel_error *err)
{
    if (n <= k->capacity)
        return BEZEL_OK;
    const bezel_world *w = k->out->world;
    spm_symbol *symbols = bz_zalloc_array(w, n, sizeof *symbols);
    spm_pair *heap = bz_zalloc_array(w, n, 2 * sizeof *heap);
    if (!symbols || !heap) {
        bz_free(w, symbols);
        bz_free(w, heap);
        return bz_fail_memory(err, TOKENIZER_ORIGIN, "merging a long word", n * (sizeof *symbols + 2 * sizeof *heap));
    }
    if (k->symbols != k->small_symbols) {
        bz_free(w, k->symbols);
        bz_free(w, k->heap);
    }
    k->symbols = symbols;
    k->heap = heap;
    k->capacity = n;
    return BEZEL_OK;
}

/* A character, or one byte that belongs to none. */
static size_t spm_symbol_size(const char *s, size_t n)
{
    uint32_t cp;
    if ((unsigned char)*s < 0x80)
        return 1;
    size_t size = bz_utf8_decode(&cp, s, n);
    return size ? size : 1;
}

static size_t spm_count_symbols(const char *s, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i += spm_symbol_size(s + i, n - i))
        count++;
    return count;
}

static void spm_emit(spm_work *k, const spm_symbol *s)
{
    if (s->id >= 0) {
        bz_ids_add(k->out, s->id);
        return;
    }
    for (uint32_t i = 0; i < s->size; i++)
        bz_ids_add(k->out, bz_vocab_byte(k->vocab, (uint8_t)k->word[s->start + i]));
}

static bezel_status spm_word(spm_work *k, const char *word, size_t size, bezel_error *err)
{
    size_t n = size <= k->capacity ? size : spm_count_symbols(word, size); /* an upper bound will do */
    bezel_status st = spm_reserve(k, n, err);
    if (st)
        return st;
    k->word = word;
    k->n_heap = 0;
    n = 0;
    for (size_t i = 0; i < size; n++) {
        size_t m = spm_symbol_size(word + i, size - i);
        k->symbols[n] = (spm_symbol){(uint32_t)i, (uint32_t)m, (int32_t)n - 1, (int32_t)n + 1,
                                     bz_vocab_piece(k->vocab, word + i, m)};
        i += m;
    }
    if (n)
        k->symbols[n - 1].next = -1;
    for (size_t i = 0; i + 1 < n; i++)
        spm_try(k, (int32_t)i);
    while (k->n_heap)
        spm_merge(k, spm_pop(k));
    for (int32_t i = n ? 0 : -1; i >= 0; i = k->symbols[i].next)
        spm_emit(k, &k->symbols[i]);
    return BEZEL_OK;
}

/* --- Whole texts --------------------------------------------------------------------------- */

/* A stretch without entries that are taken whole: cut before each U+2581 where the vocabulary allows it. */
static bezel_status spm_stretch(spm_work *k, const char *text, size_t size, bezel_error *err)
{
    size_t begin = 0;
    for (size_t i = 1; i + 3 <= size; i++) {
        const char *lead = memchr(text + i, spm_space[0], size - i);
        if (!lead)
            break;
        i = (size_t)(lead - text);
        if (i + 3 > size || memcmp(lead, spm_space, 3) || !bz_vocab_may_cut(k->vocab, text, size, i))
            continue;
        bezel_status st = spm_word(k, text + begin, i - begin, err);
        if (st)
            return st;
        begin = i;
    }
    return size > begin ? spm_word(k, text + begin, size - begin, err) : BEZEL_OK;
}

static bezel_status spm_scan(spm_work *k, const char *text, size_t size, int special, bezel_error *err)
{
    size_t begin = 0, i = 0;
    bezel_status st = BEZEL_OK;
    while (i < size && !st) {
        int32_t id;
        size_t n = bz_vocab_match(&id, k->vocab, text + i, size - i, special);
        if (!n) {
            i++;
            continue;
        }
        st = spm_stretch(k, text + begin, i - begin, err);
        bz_ids_add(k->out, id);
        i += n;
        begin = i;
    }
    return st ? st : spm_stretch(k, text + begin, size - begin, err);
}

/* Copy with U+2581 for each space, and one in front when the vocabulary asks for it; NULL when memory is out. */
static char *spm_escape(const bezel_world *w, const char *text, size_t size, size_t spaces, int prefix, size_t *out_size)
{
    size_t n = size + 2 * spaces + (prefix ? 3 : 0);
    char *escaped = bz_alloc(w, n), *p = escaped;
    *out_size = n;
    if (!escaped)
        return NULL;
    if (prefix) {
        memcpy(p, spm_space, 3);
        p += 3;
    }
    for (size_t i = 0; i < size; i++) {
        if (text[i] == ' ') {
            memcpy(p, spm_space, 3);
            p += 3;
        } else {
            *p++ = text[i];
        }
    }
    return escaped;
}

bezel_status bz_tokenize(bz_ids *out, const bz_vocab *v, const char *text, size_t size, int special, bezel_error *err)
{
    if (out->status)
        return bz_fail(err, out->status, TOKENIZER_ORIGIN, "the list of ids has failed before");
    if (size > TOKENIZER_MAX_TEXT)
        return bz_error_hint(err,
                             bz_fail(err, BEZEL_ERR_LIMIT, TOKENIZER_ORIGIN, "the text has %zu bytes, at most %zu are read",
                                     size, TOKENIZER_MAX_TEXT),
                             "cut the text into parts");
    if (!size)
        return BEZEL_OK;
    size_t spaces = 0, before = out->count;
    for (size_t i = 0; i < size; i++)
        spaces += text[i] == ' ';
    int prefix = bz_vocab_add_space_prefix(v);
    char *escaped = NULL;
    if (spaces || prefix) {
        escaped = spm_escape(out->world, text, size, spaces, prefix, &size);
        if (!escaped)
            return bz_fail_memory(err, TOKENIZER_ORIGIN, "the escaped text", size);
        text = escaped;
    }
    spm_work work;
    work.vocab = v;
    work.out = out;
    work.symbols = work.small_symbols;
    work.heap = work.small_heap;
    work.capacity = SPM_SMALL_WORD;
    bezel_status st = spm_scan(&work, text, size, special, err);
    if (!st && out->status)
        st = bz_fail_memory(err, TOKENIZER_ORIGIN, "the ids", out->capacity * 2 * sizeof *out->ids);
    if (work.symbols != work.small_symbols) {
        bz_free(out->world, work.symbols);
        bz_free(out->world, work.heap);
    }
    bz_free(out->world, escaped);
    if (st) { /* as it was: the caller may try again */
        out->count = before;
        out->status = BEZEL_OK;
    }
    return st;
}
