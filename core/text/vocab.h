/* SPDX-License-Identifier: MIT */
/* Pieces, scores, types and special ids of a tokenizer. Immutable after bz_vocab_build. */
#ifndef BZ_VOCAB_H
#define BZ_VOCAB_H

#include <bezel/base.h>

#include "base/log.h"

enum { /* tokenizer.ggml.token_type */
    BZ_TOKEN_NORMAL = 1,
    BZ_TOKEN_UNKNOWN = 2,
    BZ_TOKEN_CONTROL = 3,
    BZ_TOKEN_USER_DEFINED = 4,
    BZ_TOKEN_UNUSED = 5,
    BZ_TOKEN_BYTE = 6
};

typedef struct bz_vocab bz_vocab;

/* What a model file says about its tokenizer; all pointers borrowed and must outlive the vocabulary (they lie in the
 * private copy of the header). */
typedef struct bz_vocab_source {
    size_t n_tokens;
    const char *const *texts; /* [n_tokens], not NUL-terminated; NULL = walk `packed` */
    const uint32_t *text_sizes; /* [n_tokens] */
    const float *scores;      /* [n_tokens] or NULL */
    const int32_t *types;     /* [n_tokens] BZ_TOKEN_... or NULL = all normal */
    int64_t bos, eos, unk, pad, eot; /* ids, -1 when the file names none */
    int add_bos, add_space_prefix; /* -1 when the file says nothing (then 1 and 1, SentencePiece's defaults) */
} bz_vocab_source;

bezel_status bz_vocab_build(bz_vocab **out, const bezel_world *w, bz_log *log, const bz_vocab_source *source,
                            bezel_error *err);
void bz_vocab_free(bz_vocab *v);

size_t bz_vocab_size(const bz_vocab *v);
const char *bz_vocab_text(const bz_vocab *v, int32_t id, size_t *out_size); /* NULL for an id outside */
int32_t bz_vocab_type(const bz_vocab *v, int32_t id);
float bz_vocab_score(const bz_vocab *v, int32_t id);
int32_t bz_vocab_find(const bz_vocab *v, const char *text, size_t size); /* exact text, lowest id; -1 */
int32_t bz_vocab_byte(const bz_vocab *v, uint8_t byte);                  /* id of <0xXX> */
int bz_vocab_is_end(const bz_vocab *v, int32_t id);
int32_t bz_vocab_bos(const bz_vocab *v); /* -1 when none; also when add_bos is 0 the id is given */

#endif
