/* SPDX-License-Identifier: MIT */
/* Patterns of a schema. They search, as JSON Schema says; they are not anchored. Main invariant: pattern.h's steps bound each
 * match. Not here: a subset for constrained decoding. */
#include "base/alloc.h"
#include "base/pattern.h"
#include "base/schema_impl.h"
#include "base/utf8.h"

#include <string.h>

#define PATTERN_STEPS 100000u /* some milliseconds */

struct bz_schema_patterns {
    bz_patterns *list;
    const char *texts[BZ_SCHEMA_MAX_PATTERNS]; /* [those of list] the schema's */
};

void bz_schema_patterns_free(bz_schema *schema)
{
    if (schema->patterns == NULL)
        return;
    bz_patterns_free(schema->patterns->list);
    bz_free(schema->world, schema->patterns);
    schema->patterns = NULL;
}

static bezel_status open_patterns(bz_schema *schema)
{
    schema->patterns = bz_zalloc(schema->world, sizeof *schema->patterns);
    if (schema->patterns == NULL)
        return BEZEL_ERR_MEMORY;
    bezel_status status = bz_patterns_new(&schema->patterns->list, schema->world, BZ_SCHEMA_MAX_PATTERNS);
    if (status != BEZEL_OK)
        bz_schema_patterns_free(schema);
    return status;
}

/* Index of a pattern that is there, or the number of patterns. */
static uint32_t find_pattern(const bz_schema *schema, const char *pattern)
{
    const uint32_t count = schema->patterns == NULL ? 0 : bz_patterns_count(schema->patterns->list);
    uint32_t i = 0;
    while (i < count && strcmp(schema->patterns->texts[i], pattern) != 0)
        i++;
    return i;
}

bezel_status bz_schema_pattern_add(bz_schema *schema, uint32_t *out, const char *pattern, size_t size, char text[128])
{
    bezel_status status = schema->patterns == NULL ? open_patterns(schema) : BEZEL_OK;
    if (status != BEZEL_OK)
        return status;
    bz_schema_patterns *p = schema->patterns;
    const uint32_t i = find_pattern(schema, pattern);
    size_t at = 0;
    if (i == bz_patterns_count(p->list)) {
        status = bz_pattern_add(p->list, BZ_PATTERN_ECMA, pattern, size, text, &at);
        if (status == BEZEL_OK)
            p->texts[i] = pattern;
    }
    if (status == BEZEL_OK)
        *out = i;
    return status;
}

int bz_schema_match(const bz_schema *schema, uint32_t pattern, const char *text, size_t size)
{
    if (schema->patterns == NULL || pattern >= bz_patterns_count(schema->patterns->list))
        return 1;
    bz_pattern_search search = {.text = text, .size = size, .steps = PATTERN_STEPS};
    int rc = bz_utf8_valid(text, size) ? bz_pattern_match(schema->patterns->list, pattern, &search) : BZ_PATTERN_SLOW;
    return rc == BZ_PATTERN_SLOW ? -1 : rc == BZ_PATTERN_MEMORY ? -2 : rc;
}

int bz_schema_match_text(const bz_schema *schema, const char *pattern, const char *text, size_t size)
{
    return bz_schema_match(schema, find_pattern(schema, pattern), text, size);
}
