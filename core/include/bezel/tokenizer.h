/* SPDX-License-Identifier: MIT */
/* Text to token ids and back, with the tokenizer inside a model.
 *
 *     size_t n = 0;
 *     bezel_tokenize(NULL, 0, &n, model, text, SIZE_MAX, BEZEL_TOKENIZE_BOS, &err);   // how many
 *     int32_t *ids = malloc(n * sizeof *ids);
 *     bezel_tokenize(ids, n, &n, model, text, SIZE_MAX, BEZEL_TOKENIZE_BOS, &err);
 *     char *back = NULL;
 *     bezel_detokenize(&back, NULL, model, ids, n, 0, &err);                          // without BOS: the text again
 *     bezel_text_free(engine, back);
 *
 * The ids of any bytes, decoded, give the same bytes; what is no UTF-8 becomes byte tokens. A file that asks for a
 * space before each text (those of Gemma do not) has it in the ids and gives it back. */
#ifndef BEZEL_TOKENIZER_H
#define BEZEL_TOKENIZER_H

#include <bezel/model.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Flags of bezel_tokenize and bezel_session_append_text; 0 is plain text. */
enum {
    /* begin with the model's BOS id, if it has one: right for the first text of a timeline */
    BEZEL_TOKENIZE_BOS = 1,
    /* text may spell control and structure tokens such as <start_of_turn>; never use it on text of others */
    BEZEL_TOKENIZE_SPECIAL = 2
};

/* --- Whole texts -------------------------------------------------------------------------- */

/* Ids of a text. size SIZE_MAX means strlen(text).
 * To learn the count only, pass out NULL with capacity 0: that succeeds. Blanks belong to the word behind them, so the
 * ids of two pieces are in general not those of the whole.
 *   Shapes   out [capacity] i32; *out_count ids were written, or would be
 *   Units    size in bytes
 *   Thread   any
 *   Errors   LIMIT when capacity is too small (*out_count tells, nothing is written) or the text is over 1 GiB
 *            (*out_count 0); ARGUMENT for unknown flags
 *   Source   the BPE of SentencePiece; checked against Hugging Face tokenizers on Gemma 3's tokenizer.json
 *   Since    0.1 */
BEZEL_API bezel_status bezel_tokenize(int32_t *out, size_t capacity, size_t *out_count, const bezel_model *model,
                                      const char *text, size_t size, uint32_t flags, bezel_error *err);

/* Bytes of the ids, exactly: they need not be valid UTF-8, since a character may be cut. special 1 spells control
 * tokens, 0 leaves them out. Whole characters as they come are what the text events of a generation give.
 *   Shapes   ids [count] i32
 *   Units    *out_size in bytes, without the NUL at the end; out_size may be NULL
 *   Owns     *out is the caller's, free with bezel_text_free
 *   Thread   any
 *   Errors   RANGE for an id outside the vocabulary, LIMIT over 1 GiB; *out is NULL
 *   Since    0.1 */
BEZEL_API bezel_status bezel_detokenize(char **out, size_t *out_size, const bezel_model *model, const int32_t *ids,
                                        size_t count, int32_t special, bezel_error *err);

/* --- Entries of the vocabulary ------------------------------------------------------------ */
/* Here model and text must not be NULL. Any thread. */

/* Id of the entry with exactly this text, as the file has it; -1 when there is none. size SIZE_MAX means strlen(text).
 * Finds control tokens, too: bezel_token_id(model, "<end_of_turn>", SIZE_MAX).
 *   Units    size in bytes
 *   Since    0.1 */
BEZEL_API int32_t bezel_token_id(const bezel_model *model, const char *text, size_t size);

/* Text of an entry as the file has it: U+2581 for a space, <0x0A> for a byte. NULL for an id outside the vocabulary.
 * For people use bezel_detokenize. *out_size takes its bytes; out_size may be NULL.
 *   Owns     the model's; not NUL-terminated
 *   Since    0.1 */
BEZEL_API const char *bezel_token_text(const bezel_model *model, int32_t id, size_t *out_size);

/* 1 when the id ends a generation: <eos>, <end_of_turn> and what else the file names; 0 for all others.
 *   Since    0.1 */
BEZEL_API int32_t bezel_token_is_end(const bezel_model *model, int32_t id);

/* BOS id, -1 when the model has none.
 *   Since    0.1 */
BEZEL_API int32_t bezel_token_bos(const bezel_model *model);

#ifdef __cplusplus
}
#endif
#endif
