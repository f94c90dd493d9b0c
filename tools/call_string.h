/* SPDX-License-Identifier: MIT */
/* Quoted texts: where one ends although a model forgot to escape, and what it says. */
#ifndef BZ_CALL_STRING_H
#define BZ_CALL_STRING_H

#include "call_value.h"

enum {
    BZ_QUOTE_NONE,
    BZ_QUOTE_PLAIN,  /* " ' and typographic ones: the closing rule applies */
    BZ_QUOTE_TRIPLE, /* up to the same three */
    BZ_QUOTE_EXACT   /* <escape> and <|"|>: no escapes at all */
};

typedef struct bz_quote {
    int kind;
    size_t open_size;
    int is_raw;        /* prefix r: no escapes */
    const char *close; /* static */
} bz_quote;

/* What kind of quote is at the cursor. */
bz_quote bz_quote_at(bz_scan *scan);
/* Reads it; NULL when the scan is stuck. */
bz_raw *bz_string_scan(bz_scan *scan, bz_value_place *place, bz_quote quote);

#endif
