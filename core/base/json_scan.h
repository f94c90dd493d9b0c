/* SPDX-License-Identifier: MIT */
/* Strict check of JSON text before a lenient parser sees it, and a walk over its tokens afterwards. */
#ifndef BZ_JSON_SCAN_H
#define BZ_JSON_SCAN_H

#include "base/status.h"

/* RFC 8259 to the letter, and narrower: no NUL (raw or \u0000), no lone surrogates, depth at most 64, numbers of at most
 * 63 characters, integers within 2^53, numbers within a double. Sets err->offset to the byte. Duplicate keys pass. */
bezel_status bz_json_check(const char *json, size_t size, bezel_error *err);

typedef struct bz_json_token {
    size_t offset, size; /* a string with its quotes, a number, or true, false, null */
} bz_json_token;

/* The next string, number or word at or after *at in text that bz_json_check accepted; keys are strings. Moves *at behind
 * it. Returns 0 at the end. */
int bz_json_next(bz_json_token *out, const char *json, size_t size, size_t *at);

#endif
