/* SPDX-License-Identifier: MIT */
/* Masks by a walk through the trie (see token_mask.h). Inside of a string nearly all tokens are legal: those are one precomputed
 * set, cut to the room that is left, and only the others are walked. Under a pattern the set is what the pattern's states say,
 * which is kept for the next token. */
#include "generate/token_mask.h"

#include "base/alloc.h"
#include "base/status.h"

#include <float.h>
#include <string.h>

bezel_status bz_token_mask_init(bz_token_mask *m, const bezel_world *w, const bz_call_form *form, const bz_vocab_trie *trie,
                                const bz_vocab *vocab, const bz_token_marks *marks, bezel_error *err)
{
    memset(m, 0, sizeof *m);
    m->form = form;
    m->trie = trie;
    m->vocab = vocab;
    m->marks = *marks;
    m->n_words = (bz_vocab_size(vocab) + 31) / 32;
    const size_t depth = bz_vocab_trie_longest(trie) + 1, n_kept = form->n_patterns > 0 ? BZ_TOKEN_MASK_KEPT : 0;
    m->set = (bz_token_set){.bits = bz_zalloc_array(w, m->n_words * (1 + n_kept), sizeof *m->set.bits),
                            .ids = bz_zalloc_array(w, BZ_TOKEN_MASK_ROWS, sizeof *m->set.ids),
                            .capacity = BZ_TOKEN_MASK_ROWS};
    m->states = bz_zalloc_array(w, depth, sizeof *m->states);
    if (m->set.bits == NULL || m->set.ids == NULL || m->states == NULL) {
        bz_token_mask_free(m, w);
        return bz_fail_memory(err, "constraint", "the mask of the vocabulary", m->n_words * 4 + depth * sizeof *m->states);
    }
    for (size_t i = 0; i < n_kept; i++)
        m->kept[i].bits = m->set.bits + (i + 1) * m->n_words;
    return BEZEL_OK;
}

void bz_token_mask_free(bz_token_mask *m, const bezel_world *w)
{
    bz_free(w, m->set.bits);
    bz_free(w, m->set.ids);
    bz_free(w, m->states);
    m->set.bits = NULL;
    m->set.ids = NULL;
    m->states = NULL;
}

static int mask_byte_of(const bz_token_marks *marks, int32_t id)
{
    return id < 0                 ? -1
           : id == marks->open    ? BZ_CALL_MARK_OPEN
           : id == marks->close   ? BZ_CALL_MARK_CLOSE
           : id == marks->string  ? BZ_CALL_MARK_STRING
                                  : -1;
}

int bz_token_mask_accepts(const bz_token_mask *m, bz_call_state *s, int32_t id)
{
    size_t size;
    const int mark = mask_byte_of(&m->marks, id);
    if (mark >= 0)
        return bz_call_feed(s, m->form, (uint8_t)mark);
    if (bz_vocab_is_end(m->vocab, id))
        return bz_call_can_end(s, m->form);
    const uint8_t *bytes = bz_vocab_trie_token(m->trie, id, &size);
    return bytes != NULL && bz_call_feed_bytes(s, m->form, (const char *)bytes, size);
}

static int mask_step(void *ud, size_t depth, uint8_t byte)
{
    bz_token_mask *m = ud;
    return bz_call_feed_to(&m->states[depth + 1], &m->states[depth], m->form, byte);
}

/* ---- patterns --------------------------------------------------------------------------------------------------------- */

typedef struct mask_pattern_walk {
    const bz_call_pattern *pattern;
    uint32_t least, most; /* code points of the string */
    uint32_t counts[BZ_VOCAB_TRIE_DEPTH + 1];
    bz_call_pattern_set states[BZ_VOCAB_TRIE_DEPTH + 1];
} mask_pattern_walk;

static int mask_pattern_step(void *ud, size_t depth, uint8_t byte)
{
    mask_pattern_walk *w = ud;
    const uint32_t count = w->counts[depth] + ((byte & 0xC0) != 0x80);
    if (count > w->most)
        return 0;
    w->counts[depth + 1] = count;
    w->states[depth + 1] = w->states[depth];
    return bz_call_pattern_allows(&w->states[depth + 1], w->pattern, byte, count < w->least ? w->least - count : 0, w->most - count);
}

/* The safe tokens of the whole vocabulary that the string may go on with, for a state inside of one string with a pattern. */
static void mask_fill_pattern(bz_token_mask *m, const bz_call_site *site)
{
    const size_t bytes = m->n_words * sizeof *m->set.bits;
    const uint32_t room = site->most - site->count, longest = (uint32_t)bz_vocab_trie_longest(m->trie);
    const int is_free = site->count >= site->least && room >= longest + BZ_CALL_PATTERN_FAR; /* the pattern alone decides */
    bz_token_mask_kept *kept = &m->kept[m->next_kept];
    for (size_t i = 0; is_free && i < BZ_TOKEN_MASK_KEPT; i++)
        if (m->kept[i].pattern == site->pattern && memcmp(&m->kept[i].state, site->state, sizeof *site->state) == 0) {
            memcpy(m->set.bits, m->kept[i].bits, bytes);
            m->set.is_listed = 0;
            m->set.count = 0; /* counted later */
            return;
        }
    mask_pattern_walk w;
    w.pattern = site->pattern;
    w.least = site->least;
    w.most = site->most;
    w.counts[0] = site->count;
    w.states[0] = *site->state;
    bz_vocab_trie_walk(m->trie, &m->set, 0, mask_pattern_step, &w);
    bz_vocab_trie_keep_safe(m->trie, &m->set);
    if (!is_free || m->set.count <= m->set.capacity) /* few: they are found as fast as copied */
        return;
    *kept = (bz_token_mask_kept){site->pattern, *site->state, kept->bits};
    memcpy(kept->bits, m->set.bits, bytes);
    m->next_kept = (m->next_kept + 1) % BZ_TOKEN_MASK_KEPT;
}

/* ---- all tokens ------------------------------------------------------------------------------------------------------- */

static void mask_try_mark(bz_token_mask *m, const bz_call_state *s, int32_t id)
{
    if (id >= 0 && bz_call_feed_to(&m->states[1], s, m->form, (uint8_t)mask_byte_of(&m->marks, id)))
        bz_token_set_add(&m->set, id);
}

static uint32_t mask_bit_count(uint32_t x)
{
    x -= x >> 1 & 0x55555555U;
    x = (x & 0x33333333U) + (x >> 2 & 0x33333333U);
    return ((x + (x >> 4)) & 0x0F0F0F0FU) * 0x01010101U >> 24;
}

size_t bz_token_mask_fill(bz_token_mask *m, const bz_call_state *s)
{
    bz_call_site site;
    const bz_call_string_kind kind = bz_call_in_string(&site, s, m->form, (uint32_t)bz_vocab_trie_longest(m->trie));
    bz_call_copy(&m->states[0], s);
    if (kind == BZ_CALL_STRING_PLAIN) {
        bz_vocab_trie_safe(m->trie, &m->set, site.most - site.count);
    } else {
        bz_token_set_clear(&m->set, m->n_words);
        if (kind == BZ_CALL_STRING_PATTERN)
            mask_fill_pattern(m, &site);
    }
    const int is_kept = kind == BZ_CALL_STRING_PATTERN && !m->set.is_listed;
    bz_vocab_trie_walk(m->trie, &m->set, kind != BZ_CALL_STRING_NONE, mask_step, m);
    mask_try_mark(m, s, m->marks.open);
    mask_try_mark(m, s, m->marks.close);
    mask_try_mark(m, s, m->marks.string);
    if (is_kept) {
        m->set.count = 0;
        for (size_t i = 0; i < m->n_words; i++)
            m->set.count += mask_bit_count(m->set.bits[i]);
    }
    return m->set.count;
}

int bz_token_mask_has(const bz_token_mask *m, int32_t id)
{
    return id >= 0 && (int)(m->set.bits[(size_t)id / 32] >> ((uint32_t)id % 32) & 1);
}

size_t bz_token_mask_rows(const bz_token_mask *m, int32_t *out)
{
    const bz_token_set *set = &m->set;
    size_t n = 0;
    if (set->count > BZ_TOKEN_MASK_ROWS)
        return 0;
    if (set->is_listed && set->count <= 64) { /* insertion sort; else reading all bits is faster */
        for (; n < set->count; n++) {
            size_t k = n;
            for (; k > 0 && out[k - 1] > set->ids[n]; k--)
                out[k] = out[k - 1];
            out[k] = set->ids[n];
        }
        return n;
    }
    for (size_t i = 0; i < m->n_words; i++)
        for (uint32_t word = set->bits[i], k = 0; word != 0; word >>= 1, k++)
            if (word & 1)
                out[n++] = (int32_t)(i * 32 + k);
    return n;
}

void bz_token_mask_apply(const bz_token_mask *m, float *logits, size_t V)
{
    for (size_t i = 0; i < V; i += 32) {
        const uint32_t word = m->set.bits[i / 32];
        const size_t n = V - i < 32 ? V - i : 32;
        for (size_t k = 0; word != UINT32_MAX && k < n; k++)
            if (!(word >> k & 1))
                logits[i + k] = -FLT_MAX;
    }
}
