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

/* What a model file says about its tokenizer. The arrays are read during bz_vocab_build only (copy them out of a file
 * whose arrays are not aligned, and free them afterwards); the bytes of the texts are borrowed and must outlive the
 * vocabulary (they lie in the private copy of the header). Array lengths are the caller's to check. */
typedef struct bz_vocab_source {
    size_t n_tokens;            /* 1..2,000,000, else BEZEL_ERR_RANGE */
    const char *const *texts;   /* [n_tokens], not NUL-terminated */
    const uint32_t *text_sizes; /* [n_tokens] bytes, 1..65535 */
    const float *scores;        /* [n_tokens] or NULL = all 0 */
    const int32_t *types;       /* [n_tokens] BZ_TOKEN_... or NULL = normal, and <0xXX> a byte */
    int64_t bos, eos, unk, pad, eot; /* ids, -1 when the file names none; others outside 0..n_tokens-1: BEZEL_ERR_RANGE */
    int add_bos, add_space_prefix; /* -1 when the file says nothing (then 1 and 1, SentencePiece's defaults) */
} bz_vocab_source;

/* log may be NULL. Errors: BEZEL_ERR_FORMAT for an empty text, one that is no UTF-8 and a missing byte token,
 * BEZEL_ERR_LIMIT for a text over 65,535 bytes, BEZEL_ERR_RANGE for an unknown type or a special id outside,
 * BEZEL_ERR_NUMERIC for a score that is no finite number. Of entries with the same text the lowest id wins and one
 * warning is logged. */
bezel_status bz_vocab_build(bz_vocab **out, const bezel_world *w, bz_log *log, const bz_vocab_source *source,
                            bezel_error *err);
void bz_vocab_free(bz_vocab *v);

size_t bz_vocab_size(const bz_vocab *v);
const char *bz_vocab_text(const bz_vocab *v, int32_t id, size_t *out_size); /* NULL for an id outside */
int32_t bz_vocab_type(const bz_vocab *v, int32_t id);
float bz_vocab_score(const bz_vocab *v, int32_t id);
int32_t bz_vocab_find(const bz_vocab *v, const char *text, size_t size); /* exact text, lowest id; -1 */
int32_t bz_vocab_byte(const bz_vocab *v, uint8_t byte);                  /* id of <0xXX> */
int bz_vocab_is_byte(const bz_vocab *v, int32_t id, uint8_t *out);       /* 1 and the byte when the id is <0xXX> */
int bz_vocab_is_end(const bz_vocab *v, int32_t id);
int32_t bz_vocab_bos(const bz_vocab *v); /* -1 when none; also when add_bos is 0 the id is given */
int bz_vocab_add_bos(const bz_vocab *v);          /* 0 or 1 */
int bz_vocab_add_space_prefix(const bz_vocab *v); /* 1: a text gets a space before it, which decoding gives back */
/* 1 for what users must not be able to spell: control and unknown tokens and, whatever type the file gives them, the
 * marks of turns, images, audio and tools. */
int bz_vocab_is_structure(const bz_vocab *v, int32_t id);

/* --- For the tokenizer: texts here have U+2581 for each space ------------------------------ */

/* Id of the ordinary piece with this text, -1 when there is none: what a merge may produce. */
int32_t bz_vocab_piece(const bz_vocab *v, const char *text, size_t size);
/* Longest entry that is taken whole (user-defined; with special 1 structure, too) at the start of text: its size and
 * id, or 0. */
size_t bz_vocab_match(int32_t *out_id, const bz_vocab *v, const char *text, size_t size, int special);
/* 1 when no piece can reach across `cut`, the place of a U+2581 in text: what stands before and after it may be merged
 * on its own. */
int bz_vocab_may_cut(const bz_vocab *v, const char *text, size_t size, size_t cut);

#endif
