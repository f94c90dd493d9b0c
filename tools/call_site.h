/* SPDX-License-Identifier: MIT */
/* One call: its name, its arguments, and what becomes of them under the tool's schema. */
#ifndef BZ_CALL_SITE_H
#define BZ_CALL_SITE_H

#include "call_scan.h"
#include "call_value.h"
#include "tool_schema.h"

typedef struct bz_site_call {
    size_t offset;        /* of the name in the output */
    const bz_tool *tool;  /* NULL: no such function */
    const char *name;     /* as the model wrote it, in the arena */
    size_t name_size;
    bz_raw *args;         /* map; items without a key are positional */
    int repaired;         /* the closing bracket was missing */
    const char *code;     /* an error found while reading, static, or NULL */
    char parameter[72];
    char message[256];
    /* filled by bz_call_bind */
    bezel_tree *tree;
    const bezel_value *arguments;
} bz_site_call;

typedef struct bz_site {
    bz_scan scan;
    bz_site_call calls[BZ_CALL_COUNT + 1]; /* one more, to notice that there are too many */
    size_t count;
    bz_site_call *current; /* being read: names the tool of a hard error */
} bz_site;

enum { /* how a call is read */
    BZ_SITE_REPORT = 1,   /* an unknown name is a call with an error; without it, it is no call */
    BZ_SITE_BARE_NAME = 2 /* a name alone at the end of a line is a call */
};

/* name(args), name{args}, print(name(args)), call:name{args} at the cursor: 1 and one more call, or 0. */
int bz_call_scan(bz_site *site, int flags);
/* A JSON object, or a list of them, that says calls; 0 when it is something else. */
int bz_call_scan_json(bz_site *site, int flags);
/* Checks and converts the arguments. BEZEL_OK (see code), BEZEL_ERR_MEMORY. */
bezel_status bz_call_bind(bz_site_call *call, bz_scan *scan, bezel_engine *engine);
void bz_call_describe_unknown(bz_site_call *call, const bezel_toolset *tools);

#endif
