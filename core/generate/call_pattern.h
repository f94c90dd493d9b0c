/* SPDX-License-Identifier: MIT */
/* Regular expressions of string schemas as automata over bytes, for constrained text: a position automaton (Glushkov), whose
 * states are sets of at most 255 positions.
 *
 * Covered: literals, . classes (ASCII ranges, negation), \d \w \s and their negations, groups, | * + ? {m,n}, lazy forms, ^ and
 * $ at the ends. Everything else is refused here and only checked afterwards. Bytes come from a string that is valid UTF-8:
 * that is the caller's to see to. */
#ifndef BZ_CALL_PATTERN_H
#define BZ_CALL_PATTERN_H

#include "base/arena.h"

#include <stdint.h>

#define BZ_CALL_PATTERN_WORDS 4
#define BZ_CALL_PATTERN_FAR 64U /* bz_call_pattern_needs gives less where low is 0 and there is a match */

typedef struct bz_call_pattern_set {
    uint64_t bits[BZ_CALL_PATTERN_WORDS]; /* bit 0: the start; bit i: position i was just read; bit 255: all is accepted; or,
                                             of a pattern with few such sets, the number of one */
} bz_call_pattern_set;

typedef struct bz_call_pattern bz_call_pattern;

/* NULL and *out_reason (static) when the pattern is outside of the subset; NULL and no reason when memory is out. */
bz_call_pattern *bz_call_pattern_new(bz_arena *arena, const char *pattern, size_t size, const char **out_reason);
/* The pattern that stands for a schema's "format": date, time, date-time, uuid, ipv4, email; NULL for others. */
const char *bz_call_pattern_format(const char *format);

void bz_call_pattern_start(bz_call_pattern_set *out, const bz_call_pattern *p);
/* 0 when no text that goes on with this byte can match. at_character: it begins a code point. */
int bz_call_pattern_step(bz_call_pattern_set *set, const bz_call_pattern *p, uint8_t byte);
int bz_call_pattern_accepts(const bz_call_pattern_set *set, const bz_call_pattern *p);
/* Both in one: step, and a match is at most `room` code points away, at least `missing`. */
int bz_call_pattern_allows(bz_call_pattern_set *set, const bz_call_pattern *p, uint8_t byte, uint32_t missing, uint32_t room);
/* 1 when every text that matches is the beginning of a longer one that does. */
int bz_call_pattern_goes_on(const bz_call_pattern *p);
/* The fewest code points, `low` or more, that may follow to a match; UINT32_MAX when there are none. Exact below 63. */
uint32_t bz_call_pattern_needs(const bz_call_pattern_set *set, const bz_call_pattern *p, uint32_t low);

#endif
