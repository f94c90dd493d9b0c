/* SPDX-License-Identifier: MIT */
/* Keeps the first BZ_NOTES_MAX remarks as texts of at most 255 bytes. Never fails: a remark is no result. */
#include "base/notes.h"

#include "base/alloc.h"
#include "base/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void bz_notes_init(bz_notes *n, const bezel_world *w, bz_log *log)
{
    memset(n, 0, sizeof *n);
    n->world = w;
    n->log = log;
}

void bz_notes_free(bz_notes *n)
{
    for (uint32_t i = 0; i < n->count; i++)
        bz_free(n->world, n->texts[i]);
    n->count = 0;
    n->dropped = 0;
}

void bz_notes_add(bz_notes *n, const char *origin, const char *format, ...)
{
    char raw[512], text[256];
    char *kept = NULL;
    va_list args;
    va_start(args, format);
    int n_raw = vsnprintf(raw, sizeof raw, format, args);
    va_end(args);
    /* Names of a file may hold anything; people will see the remark in a terminal. */
    bz_text_clean(text, sizeof text, raw, n_raw < 0 ? 0 : (size_t)n_raw < sizeof raw ? (size_t)n_raw : sizeof raw - 1);
    if (n->log)
        bz_log_write(n->log, BEZEL_LOG_WARNING, origin, "%s", text);
    if (n->count < BZ_NOTES_MAX)
        kept = bz_text_dup(n->world, text, SIZE_MAX);
    if (kept)
        n->texts[n->count++] = kept;
    else
        n->dropped++;
}
