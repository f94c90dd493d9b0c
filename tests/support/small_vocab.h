/* SPDX-License-Identifier: MIT */
/* A vocabulary of about 350 entries in the manner of Gemma 3: control tokens, turn and image marks, runs of newlines and
 * spaces, tags, 256 bytes, letters and a few merges. */
#ifndef TEST_SMALL_VOCAB_H
#define TEST_SMALL_VOCAB_H

#include "base/strbuf.h"
#include "text/tokenizer_impl.h"

#define SMALL_VOCAB_MAX 512

typedef struct small_vocab {
    const char *texts[SMALL_VOCAB_MAX];
    uint32_t sizes[SMALL_VOCAB_MAX];
    float scores[SMALL_VOCAB_MAX];
    int32_t types[SMALL_VOCAB_MAX];
    char bytes[256][8];
    bz_vocab_source source;
} small_vocab;

void small_vocab_init(small_vocab *s); /* s must not move afterwards */
int32_t small_vocab_add(small_vocab *s, const char *text, int32_t type, float score);
bz_vocab *small_vocab_build(small_vocab *s, const bezel_world *w); /* fails the test when it cannot */

/* Ids of a text, spelled: the entries' texts joined by '|'. Belongs to out. */
const char *small_vocab_spell(bz_strbuf *out, const bz_vocab *v, const char *text, size_t size, int special);

#endif
