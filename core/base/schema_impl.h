/* SPDX-License-Identifier: MIT */
/* Inside of bz_schema: shared by schema*.c: compiling, PCRE2, lexemes, checking, describing. */
#ifndef BZ_SCHEMA_IMPL_H
#define BZ_SCHEMA_IMPL_H

#include "base/schema.h"

#define BZ_SCHEMA_MAX_DEPTH 64u
#define BZ_SCHEMA_MAX_NODES 4096u
#define BZ_SCHEMA_MAX_PATTERNS 64u

typedef struct bz_schema_patterns bz_schema_patterns; /* compiled regular expressions */

struct bz_schema {
    const bezel_world *world;
    bezel_tree *tree;        /* holds a copy of the schema: every text below points into it */
    const bezel_value *root;
    bz_schema_node *nodes;
    const bezel_value **sources; /* the value each node was made from, for $ref */
    uint32_t n_nodes, nodes_capacity;
    bz_schema_property *properties;
    uint32_t n_properties, properties_capacity;
    uint32_t *links;
    uint32_t n_links, links_capacity;
    const bezel_value **members;
    uint32_t n_members, members_capacity;
    bz_schema_patterns *patterns; /* NULL: none */
};

/* Compiles a pattern. BEZEL_OK and its index, BEZEL_ERR_PARSE with a reason in text, BEZEL_ERR_LIMIT, BEZEL_ERR_MEMORY. */
bezel_status bz_schema_pattern_add(bz_schema *schema, uint32_t *out, const char *pattern, size_t size, char text[128]);
void bz_schema_patterns_free(bz_schema *schema);
/* Is the text this lower-case word, in any case? */
int bz_lexeme_is(const char *s, size_t n, const char *word);

#endif
