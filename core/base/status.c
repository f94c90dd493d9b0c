/* SPDX-License-Identifier: MIT */
/* Status names and the filling of bezel_error. Texts of an error are always valid UTF-8 without control characters,
 * whatever was formatted into them, so that a host may print them. Allocates nothing and keeps nothing. */
#include "base/status.h"

#include "base/utf8.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Longer than any member, so a text that is cut here is cut again when it is copied. */
#define BZ_STATUS_LINE 1024

const char *bezel_status_name(bezel_status status)
{
    static const char *const outcomes[] = {"ok", "more", "token", "tool_pending", "done"};
    /* ORDER BEZEL_ERR_..., from -1 on */
    static const char *const failures[] = {
        "memory",      "argument", "io",      "format",    "version",  "truncated", "limit",
        "overflow",    "type",     "range",   "shape",     "duplicate", "missing",  "unsupported",
        "numeric",     "changed",  "full",    "cancelled", "timeout",  "callback",  "denied",
        "loop",        "store",    "busy",    "network",   "checksum", "parse",     "internal",
    };
    _Static_assert(sizeof failures / sizeof failures[0] == -BEZEL_ERR_INTERNAL, "a status has no name");
    if (status >= 0 && status <= BEZEL_DONE)
        return outcomes[status];
    if (status < 0 && status >= BEZEL_ERR_INTERNAL)
        return failures[-(status + 1)];
    return "unknown";
}

/* --- Cleaning ----------------------------------------------------------------------------- */

/* Characters that change how a terminal or log shows the rest of the line: C0, DEL, C1, line separators, bidi marks. */
static int status_is_control(uint32_t cp)
{
    return cp < 0x20 || (cp >= 0x7F && cp <= 0x9F) || (cp >= 0x2028 && cp <= 0x202E) || (cp >= 0x2066 && cp <= 0x2069) ||
           cp == 0x200E || cp == 0x200F || cp == 0xFEFF;
}

size_t bz_text_clean(char *out, size_t capacity, const char *text, size_t n)
{
    static const char hex[] = "0123456789abcdef";
    size_t used = 0;
    size_t i = 0;
    if (capacity == 0)
        return 0;
    while (i < n) {
        uint32_t cp = 0;
        size_t length = bz_utf8_decode(&cp, text + i, n - i);
        int escape = length == 0 || status_is_control(cp);
        size_t step = length == 0 ? 1 : length;
        if (used + (escape ? 4 * step : step) >= capacity)
            break;
        for (size_t k = 0; k < step; k++) {
            unsigned char byte = (unsigned char)text[i + k];
            if (escape) {
                out[used++] = '\\';
                out[used++] = 'x';
                out[used++] = hex[byte >> 4];
                out[used++] = hex[byte & 15];
            } else {
                out[used++] = (char)byte;
            }
        }
        i += step;
    }
    out[used] = '\0';
    return used;
}

static void status_format(char *out, size_t capacity, const char *format, va_list arguments)
{
    char line[BZ_STATUS_LINE];
    int n = vsnprintf(line, sizeof line, format, arguments);
    size_t size = n < 0 ? 0 : (size_t)n;
    if (size >= sizeof line)
        size = bz_utf8_cut(line, sizeof line - 1);
    bz_text_clean(out, capacity, line, size);
}

/* --- Filling ------------------------------------------------------------------------------ */

/* This is the first form of bezel_error, so every caller's struct has at least these members, whatever `size` says. */
bezel_status bz_fail(bezel_error *err, bezel_status status, const char *origin, const char *format, ...)
{
    va_list arguments;
    if (err == NULL)
        return status;
    if (err->size < sizeof *err)
        err->size = (uint32_t)sizeof *err;
    err->status = status;
    err->offset = -1;
    err->hint[0] = '\0';
    err->place[0] = '\0';
    bz_text_clean(err->origin, sizeof err->origin, origin, strlen(origin));
    va_start(arguments, format);
    status_format(err->text, sizeof err->text, format, arguments);
    va_end(arguments);
    return status;
}

bezel_status bz_fail_memory(bezel_error *err, const char *origin, const char *what, size_t size)
{
    bz_fail(err, BEZEL_ERR_MEMORY, origin, "out of memory: %llu bytes for %s", (unsigned long long)size, what);
    return BEZEL_ERR_MEMORY;
}

bezel_status bz_error_hint(bezel_error *err, bezel_status status, const char *format, ...)
{
    va_list arguments;
    if (err != NULL) {
        va_start(arguments, format);
        status_format(err->hint, sizeof err->hint, format, arguments);
        va_end(arguments);
    }
    return status;
}

bezel_status bz_error_place(bezel_error *err, bezel_status status, const char *format, ...)
{
    va_list arguments;
    if (err != NULL) {
        va_start(arguments, format);
        status_format(err->place, sizeof err->place, format, arguments);
        va_end(arguments);
    }
    return status;
}

bezel_status bz_error_offset(bezel_error *err, bezel_status status, int64_t offset)
{
    if (err != NULL)
        err->offset = offset;
    return status;
}

bezel_status bz_error_copy(bezel_error *err, const bezel_error *from)
{
    if (err != NULL && err != from) {
        uint32_t size = err->size < sizeof *err ? (uint32_t)sizeof *err : err->size;
        *err = *from;
        err->size = size;
    }
    return from->status;
}
