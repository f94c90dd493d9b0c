/* SPDX-License-Identifier: MIT */
/* The tokenizer arrays of a model file as bz_vocab wants them: types and lengths checked, aligned copies made. */
#ifndef BZ_TOKEN_SOURCE_H
#define BZ_TOKEN_SOURCE_H

#include "model/model_impl.h"

/* Builds the vocabulary from tokenizer.ggml.*; its texts stay in the header copy of g, which must outlive it.
 *   Errors   MISSING, TYPE, SHAPE, RANGE, UNSUPPORTED with the key; those of bz_vocab_build */
bezel_status bz_token_source_vocab(bz_vocab **out, bz_special_ids *out_special, const bezel_world *w, bz_log *log,
                                   const bz_gguf *g, bezel_error *err);

#endif
