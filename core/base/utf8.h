/* SPDX-License-Identifier: MIT */
/* UTF-8, strictly: no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef BZ_UTF8_H
#define BZ_UTF8_H

#include <stddef.h>
#include <stdint.h>

/* Length 1..4 of the valid character at s (n bytes left) and its code point, 0 when the bytes there are none. */
size_t bz_utf8_decode(uint32_t *out_cp, const char *s, size_t n);
size_t bz_utf8_encode(char out[4], uint32_t cp); /* bytes written, 0 for a code point that has no form */
int bz_utf8_valid(const char *s, size_t n);
size_t bz_utf8_count(const char *s, size_t n); /* code points; an invalid byte counts as one */
/* How many bytes at the end of s begin a character that more bytes could complete: 0..3. Looks back over at most three
 * continuation bytes and stops at the first byte that is none. */
size_t bz_utf8_incomplete_tail(const char *s, size_t n);
/* Largest m <= n at which s can be cut without splitting a character. */
size_t bz_utf8_cut(const char *s, size_t n);
/* Text from outside for a message of one line: control characters and broken bytes become "?", and "..." ends what is cut.
 * capacity is at least 8, with the NUL. */
void bz_utf8_show(char *out, size_t capacity, const char *s, size_t n);

#endif
