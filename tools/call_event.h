/* SPDX-License-Identifier: MIT */
/* What a parser has found so far: text, calls and errors, in order. Text is kept as its reader sees it: segments trimmed,
 * one newline between them. */
#ifndef BZ_CALL_EVENT_H
#define BZ_CALL_EVENT_H

#include "call_site.h"

#include "base/strbuf.h"

typedef struct bz_event {
    uint32_t type;         /* BEZEL_PARSE_... */
    size_t offset;
    size_t from, to;       /* TEXT: bytes of `text` */
    char *tool;            /* owned, or NULL */
    char *parameter;
    char *message;
    const char *code;      /* static */
    bezel_tree *tree;      /* owns the arguments */
    const bezel_value *arguments;
} bz_event;

typedef struct bz_event_list {
    const bezel_world *world;
    bz_event *items;
    size_t count, capacity, next; /* next: first one not read */
    bz_strbuf text;     /* everything outside of calls */
    bz_strbuf blanks;   /* held until something follows them */
    size_t blanks_at;
    int broken;         /* a call stands between the last text and the next */
    uint32_t warnings[BZ_WARN_COUNT];
} bz_event_list;

void bz_events_init(bz_event_list *list, const bezel_world *world);
void bz_events_free(bz_event_list *list);
/* Room for n more events: after this, adding them cannot fail. */
bezel_status bz_events_reserve(bz_event_list *list, size_t n);
/* Text at `offset` of the output. */
bezel_status bz_events_text(bz_event_list *list, const char *s, size_t n, size_t offset);
/* A bound call, or its error; takes call->tree on success. */
bezel_status bz_events_call(bz_event_list *list, bz_site_call *call);
bezel_status bz_events_error(bz_event_list *list, const char *code, const char *tool, const char *message, size_t offset);
const char *bz_warning_name(int warning);

#endif
