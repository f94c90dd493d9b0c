/* SPDX-License-Identifier: MIT */
/* Which tokens may come next in a constrained answer: the form read through the vocabulary's trie. */
#ifndef BZ_TOKEN_MASK_H
#define BZ_TOKEN_MASK_H

#include "generate/call_machine.h"
#include "text/vocab_trie.h"

/* Control tokens that stand for the marks of a dialect; -1: the vocabulary has none and the mark is spelled. */
typedef struct bz_token_marks {
    int32_t open, close, string;
} bz_token_marks;

#define BZ_TOKEN_MASK_ROWS 1024U /* legal tokens up to which they are listed */
#define BZ_TOKEN_MASK_KEPT 4U    /* sets of a pattern's state that are kept */

/* The safe tokens (vocab_trie.h) that a pattern takes in a state, where nothing but the pattern limits them. */
typedef struct bz_token_mask_kept {
    const bz_call_pattern *pattern; /* NULL = none */
    bz_call_pattern_set state;
    uint32_t *bits;
} bz_token_mask_kept;

typedef struct bz_token_mask {
    const bz_call_form *form;
    const bz_vocab_trie *trie;
    const bz_vocab *vocab;
    bz_token_marks marks;
    bz_token_set set;      /* as of the last bz_token_mask_fill; the end tokens are not among them */
    size_t n_words;
    bz_call_state *states; /* [longest token + 1] of the path in the trie */
    bz_token_mask_kept kept[BZ_TOKEN_MASK_KEPT];
    uint32_t next_kept;
} bz_token_mask;

bezel_status bz_token_mask_init(bz_token_mask *m, const bezel_world *w, const bz_call_form *form, const bz_vocab_trie *trie,
                                const bz_vocab *vocab, const bz_token_marks *marks, bezel_error *err);
void bz_token_mask_free(bz_token_mask *m, const bezel_world *w);

/* 1 and the state after it when the token is legal in s; an end token is when the answer may end, and leaves s as it is. */
int bz_token_mask_accepts(const bz_token_mask *m, bz_call_state *s, int32_t id);
/* Fills the set for s and returns how many tokens are legal, end tokens not counted. */
size_t bz_token_mask_fill(bz_token_mask *m, const bz_call_state *s);
int bz_token_mask_has(const bz_token_mask *m, int32_t id);
/* Writes the ids of the set in ascending order when they are at most BZ_TOKEN_MASK_ROWS, and returns their number, else 0. */
size_t bz_token_mask_rows(const bz_token_mask *m, int32_t *out);
/* Makes the logits [V] of all other tokens the least ones. */
void bz_token_mask_apply(const bz_token_mask *m, float *logits, size_t V);

#endif
