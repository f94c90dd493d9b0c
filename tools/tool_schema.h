/* SPDX-License-Identifier: MIT */
/* What a tool's node table means to a model: names as a model may spell them, the declaration in a prompt. */
#ifndef BZ_TOOL_SCHEMA_H
#define BZ_TOOL_SCHEMA_H

#include "tool_registry.h"

#include "base/strbuf.h"

/* The tool a model means: the exact name, then without "functions." and friends, then the only one that is equal without
 * case and "_ . - :". NULL when there is none; *out_changed is 1 when it was not exact. */
const bz_tool *bz_tool_resolve(int *out_changed, const bezel_toolset *tools, const char *name, size_t size);
size_t bz_tool_parameter_count(const bz_tool *tool);
const bz_schema_property *bz_tool_parameter(const bz_tool *tool, size_t i);
/* The parameter a model means, or NULL; unique match without case and "_ - .". */
const bz_schema_property *bz_tool_parameter_find(const bz_tool *tool, const char *name, size_t size);

/* "- name: description" and "  Parameters: ..." with marks, enums, ranges and descriptions. */
void bz_tool_declare(bz_strbuf *out, const bz_tool *tool);

/* 1 when a tool brings examples of its own: they serve a small model better than a profile's. */
int bz_tools_have_examples(const bezel_toolset *tools);

#endif
