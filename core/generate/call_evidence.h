/* SPDX-License-Identifier: MIT */
/* What a text, mostly the user's question, says about the arguments of a call: a value is likely to stand in it, an optional
 * parameter that it does not speak of is likely to be left out. Follows the machine and weighs tokens, in nats; it allows and
 * forbids nothing. Thread: confined, that of the generation. */
#ifndef BZ_CALL_EVIDENCE_H
#define BZ_CALL_EVIDENCE_H

#include "generate/token_mask.h"

typedef struct bz_call_evidence bz_call_evidence;

/* form: must live longer. V: tokens of the vocabulary. weight: how much a nat counts. */
bezel_status bz_call_evidence_new(bz_call_evidence **out, const bezel_world *w, const bz_call_form *form, size_t V, const char *text,
                                  float weight, bezel_error *err);
void bz_call_evidence_free(bz_call_evidence *e);
/* The answer went on from a state with these bytes. */
void bz_call_evidence_take(bz_call_evidence *e, const bz_call_state *from, const uint8_t *bytes, size_t size);
/* 0: in the text that is being written no token has a weight, because it left the evidence. */
int bz_call_evidence_speaks(const bz_call_evidence *e);
/* What speaks for a token of `size` bytes in a state, 0 = nothing. */
float bz_call_evidence_weigh(bz_call_evidence *e, const bz_call_state *s, const uint8_t *bytes, size_t size);
/* For or against one more call of the answer. */
float bz_call_evidence_next(const bz_call_evidence *e);
/* Adds what speaks for them to the logits of all tokens, where a value is being written. */
void bz_call_evidence_add(bz_call_evidence *e, const bz_call_state *s, const bz_vocab_trie *trie, float *logits);

#endif
