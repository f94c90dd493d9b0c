/* SPDX-License-Identifier: MIT */
/* Guesses the next tokens from earlier places of the same text. A guess is checked by the model before it counts, so a wrong
 * one costs time and nothing else. */
#ifndef BZ_LOOKUP_H
#define BZ_LOOKUP_H

#include <stddef.h>
#include <stdint.h>

#define BZ_LOOKUP_MOST 7 /* tokens guessed at once */

typedef struct bz_lookup {
    uint32_t length;  /* of the next guess; 0 = off */
    uint32_t wait;    /* tokens without a guess */
    uint32_t penalty; /* the last wait; 0 after a guess that held */
    uint64_t n_drafted, n_accepted;
} bz_lookup;

void bz_lookup_init(bz_lookup *l, int is_on);
/* Guesses what follows ids [n] and writes it behind them, at most `room` tokens; their number. One call a token. */
size_t bz_lookup_draft(bz_lookup *l, int32_t *ids, size_t n, size_t room);
/* How many of the guessed tokens held. */
void bz_lookup_note(bz_lookup *l, size_t n_drafted, size_t n_accepted);

#endif
