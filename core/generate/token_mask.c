/* SPDX-License-Identifier: MIT */
/* Masks by a walk through the trie (see token_mask.h). Inside of a string without a pattern nearly all tokens are legal: those
 * are one precomputed set, cut to the room that is left, and only the others are walked. */
#include "generate/token_mask.h"

#include "base/alloc.h"
#include "base/status.h"

#include <string.h>

bezel_status bz_token_mask_init(bz_token_mask *m, const bezel_world *w, const bz_call_form *form, const bz_vocab_trie *trie,
                                const bz_vocab *vocab, const bz_token_marks *marks, bezel_error *err)
{
    m->form = form;
    m->trie = trie;
    m->vocab = vocab;
    m->marks = *marks;
    m->n_words = (bz_vocab_size(vocab) + 31) / 32;
    m->bits = bz_zalloc_array(w, m->n_words, sizeof *m->bits);
    const size_t depth = bz_vocab_trie_longest(trie) + 1;
    m->states = bz_zalloc_array(w, depth, sizeof *m->states);
    if (m->bits != NULL && m->states != NULL)
        return BEZEL_OK;
    bz_token_mask_free(m, w);
    return bz_fail_memory(err, "constraint", "the mask of the vocabulary",
                          m->n_words * 4 + depth * sizeof *m->states);
}

void bz_token_mask_free(bz_token_mask *m, const bezel_world *w)
{
    bz_free(w, m->bits);
    bz_free(w, m->states);
    m->bits = NULL;
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
    bz_call_copy(&m->states[depth + 1], &m->states[depth]);
    return bz_call_feed(&m->states[depth + 1], m->form, byte);
}

void bz_token_mask_add(bz_token_mask *m, int32_t id)
{
    m->bits[(size_t)id / 32] |= 1U << ((uint32_t)id % 32);
}

static void mask_try_mark(bz_token_mask *m, const bz_call_state *s, int32_t id)
{
    bz_call_state next;
    if (id < 0)
        return;
    bz_call_copy(&next, s);
    if (bz_call_feed(&next, m->form, (uint8_t)mask_byte_of(&m->marks, id)))
        bz_token_mask_add(m, id);
}

static uint32_t mask_bit_count(uint32_t x)
{
    x -= x >> 1 & 0x55555555U;
    x = (x & 0x33333333U) + (x >> 2 & 0x33333333U);
    return ((x + (x >> 4)) & 0x0F0F0F0FU) * 0x01010101U >> 24;
}

size_t bz_token_mask_fill(bz_token_mask *m, const bz_call_state *s)
{
    uint32_t room;
    size_t count = 0;
    memset(m->bits, 0, m->n_words * sizeof *m->bits);
    bz_call_copy(&m->states[0], s);
    const int in_string = bz_call_in_string(s, m->form, &room);
    if (in_string)
        bz_vocab_trie_safe(m->trie, m->bits, room);
    bz_vocab_trie_walk(m->trie, m->bits, in_string, mask_step, m);
    mask_try_mark(m, s, m->marks.open);
    mask_try_mark(m, s, m->marks.close);
    mask_try_mark(m, s, m->marks.string);
    for (size_t i = 0; i < m->n_words; i++)
        count += mask_bit_count(m->bits[i]);
    return count;
}

int bz_token_mask_has(const bz_token_mask *m, int32_t id)
{
    return id >= 0 && (int)(m->bits[(size_t)id / 32] >> ((uint32_t)id % 32) & 1);
}
