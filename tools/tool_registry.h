/* SPDX-License-Identifier: MIT */
/* Inside of bezel_toolset: names to tools. Thread: confined. */
#ifndef BZ_TOOL_REGISTRY_H
#define BZ_TOOL_REGISTRY_H

#include <bezel/tools.h>

#include "base/schema.h"

#define BZ_TOOL_NAME_BYTES 64u
#define BZ_TOOL_PARAMETERS 64u
#define BZ_TOOL_COUNT 1024u

typedef struct bz_tool {
    char *name;
    char *description; /* "" when there is none */
    char **examples;   /* NULL-terminated, or NULL */
    bz_schema *schema; /* root is an object */
    bezel_tree *tree;  /* holds parameters */
    const bezel_value *parameters; /* the schema as it was given, or NULL */
    bezel_tool_fn fn;
    void *ud;
    void (*free_ud)(void *ud);
    int64_t timeout_ms;
    char *summary;     /* checked template, or NULL */
    uint32_t permission, retries, retry_ms, always, serial;
    int borrowed;      /* everything belongs to another set */
} bz_tool;

struct bezel_toolset {
    bezel_engine *engine;
    const bezel_world *world;
    bz_tool *tools;
    size_t count, capacity;
    char **warnings;
    size_t n_warnings, warnings_capacity;
    int warn_failed; /* a warning found no memory */
};

/* NULL unless the bytes are exactly the name of a tool. */
const bz_tool *bz_tool_find(const bezel_toolset *tools, const char *name, size_t size);

#endif
