/* SPDX-License-Identifier: MIT */
/* Ids to bytes, and to whole characters as they come. */
#ifndef BZ_DETOKENIZER_H
#define BZ_DETOKENIZER_H

#include "base/strbuf.h"
#include "text/vocab.h"

/* Appends the bytes of one id: U+2581 is a space, <0xXX> the byte, control tokens only with special 1. */
void bz_detokenize(bz_strbuf *out, const bz_vocab *v, int32_t id, int special);

/* Streaming: holds back a character until it is whole; what can no longer become one is given out as U+FFFD. Control tokens of calls
 * are spelled. */
typedef struct bz_detokenizer {
    const bz_vocab *vocab;
    char held[8];
    size_t n_held;
} bz_detokenizer;
void bz_detokenizer_init(bz_detokenizer *d, const bz_vocab *v);
void bz_detokenizer_push(bz_detokenizer *d, bz_strbuf *out, int32_t id); /* appends valid UTF-8 */
void bz_detokenizer_finish(bz_detokenizer *d, bz_strbuf *out);           /* held bytes become U+FFFD */

#endif
