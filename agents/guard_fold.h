/* SPDX-License-Identifier: MIT */
/* Text as a filter sees it: what looks or reads the same is the same. */
#ifndef BZ_GUARD_FOLD_H
#define BZ_GUARD_FOLD_H

#include <stddef.h>
#include <stdint.h>

enum { BZ_FOLD_MAX = 128 }; /* bytes that one character may become (U+FDFA becomes 33) */

/* Compatibility form (NFKD) in lower case, without marks and without what is invisible; letters that look like Latin ones are
 * those. The result does not depend on neighbours, so a text may come in any pieces. Returns the bytes written, 0 for a
 * character that is nothing. */
size_t bz_fold_char(char out[BZ_FOLD_MAX], uint32_t cp);

/* 1 for a character that nobody sees and that a text does not need: zero-width, bidirectional controls, tags, variation
 * selectors, controls other than tab, newline and return. Joiners and the emoji selector are told apart by
 * bz_fold_is_joiner. */
int bz_fold_is_invisible(uint32_t cp);
/* 1 for U+200C, U+200D and U+FE0F, which some scripts and emoji need. */
int bz_fold_is_joiner(uint32_t cp);
/* 1 when the joiner has a meaning between these two characters (0 = the end of the text). */
int bz_fold_joins(uint32_t before, uint32_t joiner, uint32_t after);

#endif
