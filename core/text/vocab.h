/* SPDX-License-Identifier: MIT */
/* Pieces, scores, types and special ids of a tokenizer. Immutable after bz_vocab_finish. */
#ifndef BZ_VOCAB_H
#define BZ_VOCAB_H

#include <bezel/base.h>

#include "base/log.h"
#include "base/thread_pool.h"

enum { /* tokenizer.ggml.token_type */
    BZ_TOKEN_NORMAL = 1,
    BZ_TOKEN_UNKNOWN = 2,
    BZ_TOKEN_CONTROL = 3,
    BZ_TOKEN_USER_DEFINED = 4,
    BZ_TOKEN_UNUSED = 5,
    BZ_TOKEN_BYTE = 6
};

typedef struct bz_vocab bz_vocab;

#define BZ_VOCAB_MAX_TEXT 1024u /* bytes of an entry: bounds what merging a word can cost */
#define BZ_VOCAB_BATCH 8192u    /* entries at once */

/* What a model file says about its tokenizer, but for the entries. */
typedef struct bz_vocab_facts {
    size_t n_tokens; /* 1..2,000,000 */
    int has_types;   /* 0: entries have none; then all are normal, and <0xXX> a byte */
    int64_t bos, eos, unk, pad, eot; /* ids, -1 when the file names none */
    int add_bos, add_space_prefix;   /* -1 when the file says nothing (then 1 and 1, SentencePiece's defaults) */
    const char *block;  /* that all texts lie in, borrowed; NULL = anywhere: then the tables are of no use to others */
    size_t block_size;
} bz_vocab_facts;

typedef struct bz_vocab_item {
    const char *text; /* not NUL-terminated; the bytes are borrowed and must outlive the vocabulary */
    uint32_t size;    /* bytes, 1..BZ_VOCAB_MAX_TEXT */
    float score;
    int32_t type;     /* BZ_TOKEN_... */
} bz_vocab_item;

/* Builds in slices, so that a load can stop between them:
 *
 *     bz_vocab_begin(&v, w, &facts, err);
 *     bz_vocab_add(v, items, n, pool, err);   until n_tokens entries are in, in order of ids
 *     bz_vocab_finish(v, log, err);
 *
 * After a failure of add or finish only bz_vocab_free may follow. pool may be NULL, log too.
 * Errors: begin BEZEL_ERR_RANGE for the number of entries; add BEZEL_ERR_FORMAT for an empty text and one that is no
 * UTF-8, BEZEL_ERR_LIMIT for a text over BZ_VOCAB_MAX_TEXT bytes, BEZEL_ERR_RANGE for an unknown type, BEZEL_ERR_NUMERIC
 * for a score that is no finite number; finish BEZEL_ERR_FORMAT for a missing byte token, BEZEL_ERR_RANGE for a special id
 * outside. Of entries with the same text the lowest id wins and one warning is logged. */
bezel_status bz_vocab_begin(bz_vocab **out, const bezel_world *w, const bz_vocab_facts *facts, bezel_error *err);
bezel_status bz_vocab_add(bz_vocab *v, const bz_vocab_item *items, size_t n, bz_thread_pool *pool, bezel_error *err);
bezel_status bz_vocab_finish(bz_vocab *v, bz_log *log, bezel_error *err);
void bz_vocab_free(bz_vocab *v);

/* What building computes, as bytes: the same for the same facts and texts, wherever the block lies. */
typedef struct bz_vocab_tables {
    const void *slots, *entries; /* aligned to 8 */
    size_t slots_size, entries_size;
} bz_vocab_tables;

/* The sizes alone. */
void bz_vocab_measure(bz_vocab_tables *out, size_t n_tokens);
void bz_vocab_tables_of(bz_vocab_tables *out, const bz_vocab *v); /* of a finished one whose facts have a block */
/* A whole vocabulary over tables that were made of these facts; they are borrowed, and facts->block must be there. Every
 * place and id in them is checked against its range, so tables of something else give wrong tokens at worst.
 *   Errors   FORMAT when a place or id is outside; as bz_vocab_finish; MEMORY */
bezel_status bz_vocab_from_tables(bz_vocab **out, const bezel_world *w, const bz_vocab_facts *facts,
                                  const bz_vocab_tables *tables, bz_log *log, bezel_error *err);

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
/* 1 for the control tokens that calls of FunctionGemma and Gemma 4 are made of: an answer holds their texts. */
int bz_vocab_is_call_mark(const bz_vocab *v, int32_t id);

/* 1 when a text that follows this token begins with a blank: the token is ordinary text that does not end in white space. */
int bz_vocab_wants_blank(const bz_vocab *v, int32_t id);

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
