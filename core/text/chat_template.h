/* SPDX-License-Identifier: MIT */
/* Messages to prompt text by a profile, without a vocabulary. */
#ifndef BZ_CHAT_TEMPLATE_H
#define BZ_CHAT_TEMPLATE_H

#include <bezel/chat.h>

#include "base/strbuf.h"

typedef struct bz_chat_text {
    bz_strbuf text;
    size_t *marks; /* [2 * n_marks] begin and end of each stretch of text that comes from the profile, rising */
    size_t n_marks, capacity;
} bz_chat_text;

void bz_chat_text_init(bz_chat_text *t, const bezel_world *w);
void bz_chat_text_free(bz_chat_text *t);
/* Appends the rendered messages to an empty t; on failure t holds a part and is only good for being freed. */
bezel_status bz_chat_render(bz_chat_text *t, const bezel_profile *profile, const bezel_message *messages, size_t count,
                            int generation_prompt, bezel_error *err);
/* The part of a text that Python's str.strip would leave: its first byte and size. Invalid bytes are no blanks. */
const char *bz_chat_strip(const char *text, size_t size, size_t *out_size);

#endif
