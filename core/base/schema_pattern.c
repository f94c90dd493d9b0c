/* SPDX-License-Identifier: MIT */
/* Patterns of a schema through PCRE2. Main invariant: no match works more than the limits below, whatever pattern and
 * text are (PCRE2's own default runs 0.1 s on 41 bytes). Patterns search, as JSON Schema says; they are not anchored.
 * Not here: a subset for constrained decoding. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "base/alloc.h"
#include "base/schema_impl.h"

#include <pcre2.h>
#include <string.h>

#define PATTERN_BYTES 1024u
#define PATTERN_STEPS 100000u /* match and depth limit */
#define PATTERN_HEAP_KIB 1024u

struct bz_schema_patterns {
    pcre2_general_context *general;
    pcre2_compile_context *compile;
    pcre2_match_context *match;
    pcre2_code *codes[BZ_SCHEMA_MAX_PATTERNS];
    const char *texts[BZ_SCHEMA_MAX_PATTERNS]; /* the schema's */
    uint32_t count;
};

static void *pattern_malloc(size_t size, void *ud)
{
    return bz_alloc(ud, size);
}

static void pattern_free(void *block, void *ud)
{
    bz_free(ud, block);
}

void bz_schema_patterns_free(bz_schema *schema)
{
    bz_schema_patterns *p = schema->patterns;
    if (p == NULL)
        return;
    for (uint32_t i = 0; i < p->count; i++)
        pcre2_code_free(p->codes[i]);
    pcre2_match_context_free(p->match);
    pcre2_compile_context_free(p->compile);
    pcre2_general_context_free(p->general);
    bz_free(schema->world, p);
    schema->patterns = NULL;
}

static bezel_status open_patterns(bz_schema *schema)
{
    bz_schema_patterns *p = bz_zalloc(schema->world, sizeof *p);
    if (p == NULL)
        return BEZEL_ERR_MEMORY;
    schema->patterns = p;
    /* PCRE2 hands the pointer back as it got it; the world is only read. */
    void *ud = (void *)(uintptr_t)schema->world;
    p->general = pcre2_general_context_create(pattern_malloc, pattern_free, ud);
    if (p->general != NULL) {
        p->compile = pcre2_compile_context_create(p->general);
        p->match = pcre2_match_context_create(p->general);
    }
    if (p->compile == NULL || p->match == NULL) {
        bz_schema_patterns_free(schema);
        return BEZEL_ERR_MEMORY;
    }
    pcre2_set_max_pattern_length(p->compile, PATTERN_BYTES);
    pcre2_set_parens_nest_limit(p->compile, 32);
    pcre2_set_match_limit(p->match, PATTERN_STEPS);
    pcre2_set_depth_limit(p->match, PATTERN_STEPS);
    pcre2_set_heap_limit(p->match, PATTERN_HEAP_KIB);
    return BEZEL_OK;
}

bezel_status bz_schema_pattern_add(bz_schema *schema, uint32_t *out, const char *pattern, size_t size, char text[128])
{
    if (schema->patterns == NULL) {
        bezel_status status = open_patterns(schema);
        if (status != BEZEL_OK)
            return status;
    }
    bz_schema_patterns *p = schema->patterns;
    for (uint32_t i = 0; i < p->count; i++)
        if (strcmp(p->texts[i], pattern) == 0) {
            *out = i;
            return BEZEL_OK;
        }
    if (p->count == BZ_SCHEMA_MAX_PATTERNS)
        return BEZEL_ERR_LIMIT;
    int code = 0;
    PCRE2_SIZE at = 0;
    uint32_t options = PCRE2_UTF | PCRE2_DOLLAR_ENDONLY | PCRE2_ALT_BSUX | PCRE2_NEVER_BACKSLASH_C;
    pcre2_code *compiled = pcre2_compile((PCRE2_SPTR)pattern, size, options, &code, &at, p->compile);
    if (compiled == NULL) {
        if (code == PCRE2_ERROR_HEAP_FAILED)
            return BEZEL_ERR_MEMORY;
        if (pcre2_get_error_message(code, (PCRE2_UCHAR *)text, 128) < 0)
            memcpy(text, "not a regular expression", sizeof "not a regular expression");
        return BEZEL_ERR_PARSE;
    }
    p->codes[p->count] = compiled;
    p->texts[p->count] = pattern;
    *out = p->count++;
    return BEZEL_OK;
}

int bz_schema_match(const bz_schema *schema, uint32_t pattern, const char *text, size_t size)
{
    const bz_schema_patterns *p = schema->patterns;
    if (p == NULL || pattern >= p->count)
        return 1;
    pcre2_match_data *data = pcre2_match_data_create(1, p->general);
    if (data == NULL)
        return -2;
    int rc = pcre2_match(p->codes[pattern], (PCRE2_SPTR)text, size, 0, 0, data, p->match);
    pcre2_match_data_free(data);
    if (rc >= 0)
        return 1;
    return rc == PCRE2_ERROR_NOMATCH ? 0 : rc == PCRE2_ERROR_NOMEMORY ? -2 : -1;
}

int bz_schema_match_text(const bz_schema *schema, const char *pattern, const char *text, size_t size)
{
    const bz_schema_patterns *p = schema->patterns;
    for (uint32_t i = 0; p != NULL && i < p->count; i++)
        if (strcmp(p->texts[i], pattern) == 0)
            return bz_schema_match(schema, i, text, size);
    return 1;
}
