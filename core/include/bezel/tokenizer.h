/* SPDX-License-Identifier: MIT */
/* Text to token ids and back, with the tokenizer inside a model. */
#ifndef BEZEL_TOKENIZER_H
#define BEZEL_TOKENIZER_H

#include <bezel/model.h>

#ifdef __cplusplus
extern "C" {
#endif

enum {
    BEZEL_TOKENIZE_BOS = 1,     /* begin with the model's BOS id */
    BEZEL_TOKENIZE_SPECIAL = 2  /* text may spell control and structure tokens; never use it on text of others */
};

/* Shapes   out [capacity] i32; *out_count ids were or would be written. out may be NULL with capacity 0 to ask.
 * Errors   BEZEL_ERR_LIMIT when capacity is too small (*out_count tells) or text is over 1 GiB
 * Thread   any */
BEZEL_API bezel_status bezel_tokenize(int32_t *out, size_t capacity, size_t *out_count, const bezel_model *model,
                                      const char *text, size_t size, uint32_t flags, bezel_error *err);
/* Bytes of the ids, exactly (they need not be valid UTF-8). special 1 spells control tokens, 0 leaves them out.
 *   Owns     *out is the caller's, free with bezel_text_free; NUL-terminated
 *   Errors   BEZEL_ERR_RANGE for an id outside the vocabulary */
BEZEL_API bezel_status bezel_detokenize(char **out, size_t *out_size, const bezel_model *model, const int32_t *ids,
                                        size_t count, int32_t special, bezel_error *err);
/* Id of the entry with exactly this text, -1 when there is none. */
BEZEL_API int32_t bezel_token_id(const bezel_model *model, const char *text, size_t size);
/* Text of an entry as the file has it (U+2581 for a space, <0x0A> for a byte). Belongs to the model; not NUL-terminated. */
BEZEL_API const char *bezel_token_text(const bezel_model *model, int32_t id, size_t *out_size);
BEZEL_API int32_t bezel_token_is_end(const bezel_model *model, int32_t id); /* 1 when the id ends a generation */
BEZEL_API int32_t bezel_token_bos(const bezel_model *model);                /* BOS id, -1 when the model has none */

#ifdef __cplusplus
}
#endif
#endif
