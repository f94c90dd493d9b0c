/* SPDX-License-Identifier: MIT */
/* Fills bezel_error. Every function takes NULL for err. Texts are cleaned: invalid UTF-8 and control characters are
 * escaped as \xNN, and cut at a character border. */
#ifndef BZ_STATUS_H
#define BZ_STATUS_H

#include <bezel/base.h>

#if defined(__GNUC__)
#define BZ_PRINTF(f, a) __attribute__((format(printf, f, a)))
#else
#define BZ_PRINTF(f, a)
#endif

/* Overwrites the whole error (offset -1, no hint, no place) and returns status. */
bezel_status bz_fail(bezel_error *err, bezel_status status, const char *origin, const char *format, ...) BZ_PRINTF(4, 5);
/* "out of memory: N bytes for WHAT", BEZEL_ERR_MEMORY. */
bezel_status bz_fail_memory(bezel_error *err, const char *origin, const char *what, size_t size);
/* These add to an error that bz_fail has just filled and return its status. */
bezel_status bz_error_hint(bezel_error *err, bezel_status status, const char *format, ...) BZ_PRINTF(3, 4);
bezel_status bz_error_place(bezel_error *err, bezel_status status, const char *format, ...) BZ_PRINTF(3, 4);
bezel_status bz_error_offset(bezel_error *err, bezel_status status, int64_t offset);
/* Copies a kept error into the caller's and returns its status. */
bezel_status bz_error_copy(bezel_error *err, const bezel_error *from);
/* Cleans n bytes into out (capacity bytes with the NUL) as the texts of an error are. Returns the bytes written. */
size_t bz_text_clean(char *out, size_t capacity, const char *text, size_t n);

#endif
