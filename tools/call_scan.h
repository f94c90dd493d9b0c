/* SPDX-License-Identifier: MIT */
/* A cursor over the part of a model's output that may be a call, and the words that announce one.
 *
 * Main invariant, on which incremental parsing rests: everything is read through bz_scan_peek. A look past the last byte
 * of an unfinished output sets `more`, and then nothing of the attempt counts. So an attempt that succeeds never depends
 * on bytes that had not come yet, and every way to cut the output gives the same result.
 * Not here: values, names of tools. */
#ifndef BZ_CALL_SCAN_H
#define BZ_CALL_SCAN_H

#include <bezel/tools.h>

#include "base/arena.h"

enum { /* ORDER: names in call_event.c */
    BZ_WARN_PYTHON_LITERAL,
    BZ_WARN_SINGLE_QUOTE,
    BZ_WARN_UNQUOTED,
    BZ_WARN_POSITIONAL,
    BZ_WARN_INNER_QUOTE,
    BZ_WARN_NAME_NORMALISED,
    BZ_WARN_COERCED,
    BZ_WARN_WRAPPED,
    BZ_WARN_FENCE,
    BZ_WARN_MIDLINE,
    BZ_WARN_JSON,
    BZ_WARN_NATIVE, /* control texts of other Gemma models */
    BZ_WARN_BARE,   /* a call without a marker */
    BZ_WARN_REPAIRED,
    BZ_WARN_REPEATED, /* the same parameter twice with the same value */
    BZ_WARN_COUNT
};

#define BZ_CALL_BYTES 65536u   /* longest call */
#define BZ_CALL_ARGUMENTS 64u
#define BZ_CALL_COUNT 16u      /* calls of one reply */
#define BZ_CALL_DEPTH 32u
#define BZ_CALL_NAME_BYTES 128u

typedef struct bz_scan {
    const char *s;
    size_t n, i;
    size_t base;     /* offset of s[0] in the output */
    int final;       /* no byte comes after s[n-1] */
    int capped;      /* s ends at the limit of a call */
    int cut;         /* the output ended at a limit: its end closes nothing */
    int repair_tail;
    int more;        /* looked past the end of an unfinished output */
    int limit;       /* looked past the limit */
    int ended;       /* looked past the end of the output */
    int failed;      /* memory ran out */
    const char *code; /* first hard error, static, or NULL */
    const char *reason;
    bz_arena *arena;
    const bezel_toolset *tools;
    uint32_t warnings[BZ_WARN_COUNT];
} bz_scan;

int bz_scan_at(bz_scan *scan, size_t i);    /* byte 0..255, or -1 at the end; i is absolute in s */
int bz_scan_peek(bz_scan *scan, size_t ahead);
void bz_scan_blanks(bz_scan *scan, int newlines); /* skips " \t\r", with newlines "\n" too */
int bz_scan_take(bz_scan *scan, const char *text); /* skips text if it is next; exact */
int bz_scan_stuck(const bz_scan *scan);     /* more, limit, failed or a hard error: unwind */
void bz_scan_fail(bz_scan *scan, const char *code, const char *reason);

int bz_is_blank(int c); /* space, tab, CR, LF */
int bz_is_word(int c);  /* letter, digit, "_" or a byte of a non-ASCII character */

/* Length of the identifier at i (first byte no digit), 0 if there is none. */
size_t bz_scan_identifier(bz_scan *scan, size_t i);
/* The same of a function's name: identifier (("." | "-" | ":") identifier)*. */
size_t bz_scan_name(bz_scan *scan, size_t i);
/* Is a key there: identifier, blanks, then "=" (not "==") or ":"? *out_size is the identifier's length. */
int bz_scan_key(bz_scan *scan, size_t i, size_t *out_size, int *out_separator);

/* FUNCTION_CALL and its spellings at i, as a whole word: bytes it takes, 0 if it is not there. */
size_t bz_scan_marker(bz_scan *scan, size_t i);
/* A line that opens a call: decoration, marker, colon. *out_end is behind it, *out_colon tells whether a colon was there.
 * 1 or 0; i is a line start. */
int bz_scan_marked_line(bz_scan *scan, size_t i, size_t *out_end, int *out_colon);

enum { BZ_TAG_NONE, BZ_TAG_OPEN, BZ_TAG_CLOSE, BZ_TAG_NOISE, BZ_TAG_THINK, BZ_TAG_THINK_END };
/* A control text such as <tool_call> at i; *out_size bytes. */
int bz_scan_tag(bz_scan *scan, size_t i, size_t *out_size);

enum { BZ_FENCE_NONE, BZ_FENCE_PLAIN, BZ_FENCE_TOOL, BZ_FENCE_CODE, BZ_FENCE_OTHER };
/* A line of three backquotes with a language at line start i; *out_end is behind its newline. */
int bz_scan_fence(bz_scan *scan, size_t i, size_t *out_end);

#endif
