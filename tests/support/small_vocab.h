/* SPDX-License-Identifier: MIT */
/* A vocabulary of about 350 entries in the manner of Gemma 3: control tokens, turn and image marks, runs of newlines and
 * spaces, tags, 256 bytes, letters and a few merges. */
#ifndef TEST_SMALL_VOCAB_H
#define TEST_SMALL_VOCAB_H

#include "base/strbuf.h"
#include "text/tokenizer_impl.h"

#define SMALL_VOCAB_MAX 512

/* Entries as arrays; scores and types may be NULL. */
typedef struct small_vocab_source {
    size_t n_tokens;
    const char *const *texts;
    const uint32_t *text_sizes;
    const float *scores;
    const int32_t *types;
    int64_t bos, eos, unk, pad, eot;
    int add_bos, add_space_prefix;
} small_vocab_source;

typedef struct small_vocab {
    const char *texts[SMALL_VOCAB_MAX];
    uint32_t sizes[SMALL_VOCAB_MAX];
    float scores[SMALL_VOCAB_MAX];
    int32_t types[SMALL_VOCAB_MAX];
    char bytes[256][8];
    small_vocab_source source;
} small_vocab;

void small_vocab_init(small_vocab *s); /* s must not move afterwards */
int32_t small_vocab_add(small_vocab *s, const char *text, int32_t type, float score);
/* A vocabulary of these arrays, with a pool or without; *out is NULL after a failure. */
bezel_status small_vocab_make(bz_vocab **out, const bezel_world *w, bz_log *log, bz_thread_pool *pool,
                              const small_vocab_source *source, bezel_error *err);
bz_vocab *small_vocab_build(small_vocab *s, const bezel_world *w); /* fails the test when it cannot */

/* Ids of a text, spelled: the entries' texts joined by '|'. Belongs to out. */
const char *small_vocab_spell(bz_strbuf *out, const bz_vocab *v, const char *text, size_t size, int special);

#endif
