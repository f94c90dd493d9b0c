/* SPDX-License-Identifier: MIT */
/* One compilation of a schema, shared by schema.c (structure) and schema_keyword.c (keywords of scalars). */
#ifndef BZ_SCHEMA_COMPILE_H
#define BZ_SCHEMA_COMPILE_H

#include "base/schema_impl.h"

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

#endif
