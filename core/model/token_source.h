/* SPDX-License-Identifier: MIT */
/* The tokenizer arrays of a model file as bz_vocab wants them, types and lengths checked, in units of work. */
#ifndef BZ_TOKEN_SOURCE_H
#define BZ_TOKEN_SOURCE_H

#include "model/model_impl.h"

/* Where a build stands; zeroed before bz_token_source_begin. */
typedef struct bz_token_source {
    bz_vocab_facts facts;
    const bz_gguf_value *texts;
    const uint8_t *scores, *types; /* in the header, NULL = none */
    uint64_t at, n;                /* next text, its id */
} bz_token_source;

/* What g says about its tokenizer, and where the entries are. Their texts stay in the header copy of g.
 *   Errors   MISSING, TYPE, SHAPE, RANGE, UNSUPPORTED with the key */
bezel_status bz_token_source_begin(bz_token_source *t, bz_special_ids *out_special, const bz_gguf *g, bezel_error *err);
/* One unit of building *vocab (NULL before the first, the caller's from then on, also after a failure); g must outlive it.
 * BEZEL_MORE, or BEZEL_OK when it is whole.
 *   Errors   those of bz_vocab_begin, add and finish */
bezel_status bz_token_source_unit(bz_token_source *t, bz_vocab **vocab, bezel_engine *engine, const bz_gguf *g, bezel_error *err);

#endif
