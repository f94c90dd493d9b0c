/* SPDX-License-Identifier: MIT */
/* Values of a call as models write them, read into bz_raw trees without knowing their type. */
#ifndef BZ_CALL_VALUE_H
#define BZ_CALL_VALUE_H

#include "call_scan.h"
#include "tool_registry.h"

enum { /* where a value stands: decides what may end it */
    BZ_IN_ARGUMENTS,
    BZ_IN_LIST,
    BZ_IN_OBJECT,
    BZ_IN_KEY /* a quoted text that a ":" may follow */
};

typedef struct bz_value_place {
    int where;
    const bz_tool *tool;   /* of the call, or NULL: its parameter names end unquoted text */
    int separator;         /* '=' or ':' behind the key of this value, 0 for a positional one */
    unsigned depth;
    const char *nested;    /* out: name of a registered tool that is called inside the value, or NULL */
    int complete;          /* out: the value has an end of its own (or is a number or literal) */
} bz_value_place;

/* The value at the cursor; NULL when there is none or the scan is stuck. */
bz_raw *bz_value_scan(bz_scan *scan, bz_value_place *place);
/* Is a quoted text next? */
int bz_value_quoted(bz_scan *scan);
/* Adds an item to a list or map. */
void bz_raw_append(bz_raw *to, bz_raw *item);
/* bz_schema_check.parse: text of a list or object; ud is a bz_scan whose arena and limits are used. */
bz_raw *bz_value_parse_text(void *ud, const char *text, size_t size);

#endif
