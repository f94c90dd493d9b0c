/* SPDX-License-Identifier: MIT */
/* The one file that knows PCRE2. Invariant: limits of work, depth and memory are set on every search. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "base/pattern.h"

#include "base/alloc.h"

#include <pcre2.h>
#include <string.h>

#define PATTERN_STEPS 10000000u /* of PCRE2 itself, for what a callout does not see */
#define PATTERN_HEAP_KIB 1024u
#define PATTERN_LONG (1u << 20) /* bytes of a pattern of the host: its words are one */

struct bz_patterns {
    const bezel_world *world;
    pcre2_general_context *general;
    pcre2_compile_context *compile;
    uint32_t count, capacity;
    pcre2_code *codes[];
};

static void *pattern_malloc(size_t size, void *ud)
{
    return bz_alloc(ud, size);
}

static void pattern_free(void *block, void *ud)
{
    bz_free(ud, block);
}

bezel_status bz_patterns_new(bz_patterns **out, const bezel_world *w, uint32_t capacity)
{
    bz_patterns *p = bz_zalloc(w, sizeof *p + capacity * sizeof p->codes[0]);
    *out = NULL;
    if (p == NULL)
        return BEZEL_ERR_MEMORY;
    p->world = w;
    p->capacity = capacity;
    /* PCRE2 hands the pointer back as it got it; the world is only read. */
    p->general = pcre2_general_context_create(pattern_malloc, pattern_free, (void *)(uintptr_t)w);
    if (p->general != NULL)
        p->compile = pcre2_compile_context_create(p->general);
    if (p->compile == NULL) {
        bz_patterns_free(p);
        return BEZEL_ERR_MEMORY;
    }
    pcre2_set_parens_nest_limit(p->compile, 32);
    *out = p;
    return BEZEL_OK;
}

void bz_patterns_free(bz_patterns *p)
{
    if (p == NULL)
        return;
    for (uint32_t i = 0; i < p->count; i++)
        pcre2_code_free(p->codes[i]);
    pcre2_compile_context_free(p->compile);
    pcre2_general_context_free(p->general);
    bz_free(p->world, p);
}

uint32_t bz_patterns_count(const bz_patterns *p)
{
    return p->count;
}

bezel_status bz_pattern_add(bz_patterns *p, uint32_t kind, const char *pattern, size_t size, char text[BZ_PATTERN_TEXT],
                            size_t *out_at)
{
    /* Callouts count the steps; possessive loops made by PCRE2 itself would run past them. */
    const uint32_t always = PCRE2_UTF | PCRE2_NEVER_BACKSLASH_C | PCRE2_AUTO_CALLOUT | PCRE2_NO_AUTO_POSSESS;
    static const uint32_t options[] = {
        [BZ_PATTERN_ECMA] = PCRE2_DOLLAR_ENDONLY | PCRE2_ALT_BSUX,
        [BZ_PATTERN_HOST] = PCRE2_UCP | PCRE2_CASELESS | PCRE2_DOTALL,
    };
    uint32_t may_be_empty = 0;
    int code = 0;
    PCRE2_SIZE at = 0;
    text[0] = 0;
    *out_at = 0;
    if (p->count == p->capacity)
        return BEZEL_ERR_LIMIT;
    pcre2_set_max_pattern_length(p->compile, kind == BZ_PATTERN_HOST ? PATTERN_LONG : BZ_PATTERN_BYTES);
    pcre2_code *compiled = pcre2_compile((PCRE2_SPTR)pattern, size, always | options[kind], &code, &at, p->compile);
    if (compiled == NULL) {
        *out_at = at;
        if (code == PCRE2_ERROR_HEAP_FAILED)
            return BEZEL_ERR_MEMORY;
        if (pcre2_get_error_message(code, (PCRE2_UCHAR *)text, BZ_PATTERN_TEXT) < 0)
            memcpy(text, "not a regular expression", sizeof "not a regular expression");
        return BEZEL_ERR_PARSE;
    }
    if (kind == BZ_PATTERN_HOST && pcre2_pattern_info(compiled, PCRE2_INFO_MATCHEMPTY, &may_be_empty) == 0 && may_be_empty) {
        pcre2_code_free(compiled);
        memcpy(text, "it matches the empty text, and so everything", sizeof "it matches the empty text, and so everything");
        return BEZEL_ERR_PARSE;
    }
    p->codes[p->count++] = compiled;
    return BEZEL_OK;
}

static int pattern_step(pcre2_callout_block *block, void *ud)
{
    uint32_t *steps = ud;
    (void)block;
    if (*steps == 0)
        return PCRE2_ERROR_MATCHLIMIT;
    --*steps;
    return 0;
}

int bz_pattern_match(const bz_patterns *p, uint32_t i, bz_pattern_search *search)
{
    pcre2_match_context *context = pcre2_match_context_create(p->general);
    pcre2_match_data *data = context == NULL ? NULL : pcre2_match_data_create(1, p->general);
    int rc = PCRE2_ERROR_NOMEMORY;
    if (data != NULL) {
        pcre2_set_callout(context, pattern_step, &search->steps);
        pcre2_set_match_limit(context, PATTERN_STEPS);
        pcre2_set_depth_limit(context, PATTERN_STEPS);
        pcre2_set_heap_limit(context, PATTERN_HEAP_KIB);
        rc = pcre2_match(p->codes[i], (PCRE2_SPTR)search->text, search->size, search->from,
                         PCRE2_NO_UTF_CHECK | (search->more ? PCRE2_PARTIAL_HARD : 0), data, context);
        if (rc >= 0 || rc == PCRE2_ERROR_PARTIAL) {
            const PCRE2_SIZE *span = pcre2_get_ovector_pointer(data);
            search->begin = span[0];
            search->end = span[1];
        }
    }
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
    if (rc >= 0)
        return BZ_PATTERN_FOUND;
    if (rc == PCRE2_ERROR_PARTIAL)
        return BZ_PATTERN_OPEN;
    return rc == PCRE2_ERROR_NOMATCH ? BZ_PATTERN_NONE : rc == PCRE2_ERROR_NOMEMORY ? BZ_PATTERN_MEMORY : BZ_PATTERN_SLOW;
}
