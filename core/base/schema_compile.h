/* SPDX-License-Identifier: MIT */
/* One compilation of a schema, shared by schema.c (structure) and schema_keyword.c (keywords of scalars). */
#ifndef BZ_SCHEMA_COMPILE_H
#define BZ_SCHEMA_COMPILE_H

#include "base/schema_impl.h"

#define BZ_SCHEMA_MAX_PARTS 32U /* of one allOf, anyOf, oneOf, prefixItems */

typedef struct bz_schema_compiler {
    bz_schema *schema;
    const bz_schema_source *source;
    bezel_error *err;
    size_t path_size;
    char path[192]; /* "parameters.city": where the compiler is */
} bz_schema_compiler;

/* Where the compiler is: bz_schema_enter answers what bz_schema_leave takes. Reports name that path; every failing
 * function has filled the compiler's error. */
size_t bz_schema_enter(bz_schema_compiler *c, const char *name);
void bz_schema_leave(bz_schema_compiler *c, size_t before);
void bz_schema_warn(const bz_schema_compiler *c, const char *keyword, const char *reason);
bezel_status bz_schema_refuse(const bz_schema_compiler *c, bezel_status status, const char *keyword, const char *reason);
bezel_status bz_schema_no_memory(const bz_schema_compiler *c);
int bz_schema_grow(const bezel_world *w, void *array, uint32_t *capacity, uint32_t count, uint32_t more, size_t size);
uint32_t bz_schema_kind_of(const char *name);
void bz_schema_warn_unknown(const bz_schema_compiler *c, const bezel_value *value);
bezel_status bz_schema_read_counts(bz_schema_compiler *c, bz_schema_node *node, const bezel_value *value, const char *low,
                                const char *high);
bezel_status bz_schema_read_range(bz_schema_compiler *c, bz_schema_node *node, const bezel_value *value);
bezel_status bz_schema_read_string(bz_schema_compiler *c, bz_schema_node *node, const bezel_value *value);
bezel_status bz_schema_read_enum(bz_schema_compiler *c, bz_schema_node *node, const bezel_value *value);
/* Compiles the pattern of a string or of keys; one that cannot be used is a warning. */
bezel_status bz_schema_read_pattern(bz_schema_compiler *c, bz_schema_node *node, const char *keyword, const char *text,
                                    size_t size);
int bz_schema_is_annotation(const char *keyword); /* says nothing about which values are valid */
/* Marks keywords as ones for bz_schema_refusing, with a warning unless reason is NULL. */
bezel_status bz_schema_assert(bz_schema_compiler *c, uint32_t node, uint32_t assertion, const char *keyword, const char *reason);
bezel_status bz_schema_compile_node(bz_schema_compiler *c, uint32_t *out, const bezel_value *value, uint32_t depth);
bezel_status bz_schema_store_links(bz_schema_compiler *c, bz_schema_node *node, const uint32_t *links, uint32_t count);
int bz_schema_is_never(const bezel_value *value); /* the schema that no value meets */
bezel_status bz_schema_check_tree(const bz_schema_compiler *c); /* after merging: was there memory? */
/* Follows "/$defs/x" by JSON pointer (RFC 6901). NULL when there is no such place. */
const bezel_value *bz_schema_pointer(const bezel_value *root, const char *pointer);

/* --- schema_union.c ----------------------------------------------------------------------- */

/* Make the node a union: of anyOf or oneOf, of what if, then and else allow. */
bezel_status bz_schema_fill_alternatives(bz_schema_compiler *c, uint32_t node, const bezel_value *value, uint32_t depth);
bezel_status bz_schema_fill_branches(bz_schema_compiler *c, uint32_t node, const bezel_value *value, uint32_t depth);

/* --- schema_merge.c ----------------------------------------------------------------------- */

typedef struct bz_schema_merged {
    const bezel_value *source; /* a part that refers to it adds nothing */
    int loose;                 /* a keyword of a later part is lost */
    int impossible;            /* no value meets all parts */
} bz_schema_merged;

/* The schema with references beside other keywords followed and the parts of allOf in it. Copies are the schema's tree's,
 * whose status says whether memory was there. */
const bezel_value *bz_schema_flatten(bz_schema_compiler *c, const bezel_value *value, bz_schema_merged *out, uint32_t depth);
/* Both as one; b may have references and allOf. hops: merges around this one. */
const bezel_value *bz_schema_merge(bz_schema_compiler *c, const bezel_value *a, const bezel_value *b, bz_schema_merged *out,
                                   uint32_t hops);
bezel_value *bz_schema_without(bz_schema_compiler *c, const bezel_value *value, const char *const *keywords);

#endif
