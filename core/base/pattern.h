/* SPDX-License-Identifier: MIT */
/* Regular expressions through PCRE2. Main invariant: no search works more than its steps, whatever pattern and text are.
 * PCRE2's own limits are for each place where a match may begin, so that a long text has many of them; ours is for all. */
#ifndef BZ_PATTERN_H
#define BZ_PATTERN_H

#include "base/status.h"

enum { BZ_PATTERN_BYTES = 1024, BZ_PATTERN_TEXT = 128 };

typedef struct bz_patterns bz_patterns;
bezel_status bz_patterns_new(bz_patterns **out, const bezel_world *w, uint32_t capacity); /* MEMORY */
void bz_patterns_free(bz_patterns *p); /* NULL is fine */
uint32_t bz_patterns_count(const bz_patterns *p);

enum {
    BZ_PATTERN_ECMA = 0, /* as JSON Schema means them */
    BZ_PATTERN_HOST = 1, /* Perl's syntax; no case, Unicode classes, a dot is any character, long patterns; no match of nothing */
};
/* Appends a pattern. LIMIT when the list is full; MEMORY; PARSE with PCRE2's words in text and the byte in *out_at. */
bezel_status bz_pattern_add(bz_patterns *p, uint32_t kind, const char *pattern, size_t size, char text[BZ_PATTERN_TEXT],
                            size_t *out_at);

typedef struct bz_pattern_search {
    const char *text;    /* valid UTF-8 */
    size_t size, from;   /* bytes; where the search begins */
    int more;            /* 1: the text may go on */
    uint32_t steps;      /* left for this search and the next ones: each is some 20 ns */
    size_t begin, end;   /* out: bytes of the match, or begin of what may become one */
} bz_pattern_search;
enum {
    BZ_PATTERN_NONE = 0,
    BZ_PATTERN_FOUND = 1,
    BZ_PATTERN_OPEN = 2,    /* with more: what begins at `begin` may become a match */
    BZ_PATTERN_SLOW = -1,   /* no steps are left */
    BZ_PATTERN_MEMORY = -2,
};
int bz_pattern_match(const bz_patterns *p, uint32_t i, bz_pattern_search *search);

#endif
