/* SPDX-License-Identifier: MIT */
/* Stop strings across token borders: text that could be the start of one is held back. */
#ifndef BZ_STOP_MATCH_H
#define BZ_STOP_MATCH_H

#include "base/strbuf.h"

typedef struct bz_stop_match bz_stop_match;

/* Copies the strings; empty ones are BEZEL_ERR_ARGUMENT; at most 64 of at most 256 bytes. */
bezel_status bz_stop_match_new(bz_stop_match **out, const bezel_world *w, const char *const *stops, size_t n,
                               bezel_error *err);
void bz_stop_match_free(bz_stop_match *m);
/* Appends to out what can no longer belong to a stop string. Returns the index of the string that was found (the one
 * that ends first; among those the longest), after which out ends before it and later pushes give nothing; else -1. */
int bz_stop_match_push(bz_stop_match *m, bz_strbuf *out, const char *text, size_t size);
void bz_stop_match_finish(bz_stop_match *m, bz_strbuf *out); /* releases what is held */

#endif
