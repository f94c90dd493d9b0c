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
    const bezel_value **flats;   /* the same with its allOf in it: what is asserted */
    const char **paths;          /* where it was found first, of the tree */
    uint32_t n_nodes, nodes_capacity;
    bz_schema_property *properties;
    uint32_t n_properties, properties_capacity;
    uint32_t *links;
    uint32_t n_links, links_capacity;
    const bezel_value **members;
    uint32_t n_members, members_capacity;
    bz_schema_patterns *patterns; /* NULL: none */
    int all_patterns;             /* those of keywords that the table does not hold are there, too */
};

/* Compiles a pattern. BEZEL_OK and its index, BEZEL_ERR_PARSE with a reason in text, BEZEL_ERR_LIMIT, BEZEL_ERR_MEMORY. */
bezel_status bz_schema_pattern_add(bz_schema *schema, uint32_t *out, const char *pattern, size_t size, char text[128]);
void bz_schema_patterns_free(bz_schema *schema);
/* bz_schema_match for the pattern that was added with this text; 1 for one that was not. */
int bz_schema_match_text(const bz_schema *schema, const char *pattern, const char *text, size_t size);
/* NULL when the value meets the keywords of a schema that `assertions` names (0 = all of them), else the name of one that it
 * does not: the standard's meaning, without conversion. */
const char *bz_schema_refusing(const bz_schema *schema, const bezel_value *source, uint32_t assertions, const bezel_value *value);
int bz_schema_is_multiple(double x, double step); /* step 0: of anything */
/* Is the text this lower-case word, in any case? */
int bz_lexeme_is(const char *s, size_t n, const char *word);

#endif
