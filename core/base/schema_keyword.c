/* SPDX-License-Identifier: MIT */
/* Keywords of scalars, paths and reports of a compilation. Main invariant: a range that no value can meet is refused
 * here, by name and path; a keyword that cannot be used is reported and ignored. Structure is schema.c's. */
#include "base/schema_compile.h"

#include "base/alloc.h"
#include "base/utf8.h"

#include <math.h>
#include <string.h>

#define ORIGIN "schema"

/* --- Paths, reports ----------------------------------------------------------------------- */

size_t bz_schema_enter(bz_schema_compiler *c, const char *name)
{
    size_t before = c->path_size;
    size_t room = sizeof c->path - 1 - before;
    size_t n = strlen(name);
    if (room > 1) {
        c->path[c->path_size++] = '.';
        n = n > room - 1 ? bz_utf8_cut(name, room - 1) : n;
        memcpy(c->path + c->path_size, name, n);
        c->path_size += n;
        c->path[c->path_size] = '\0';
    }
    return before;
}

void bz_schema_leave(bz_schema_compiler *c, size_t before)
{
    c->path_size = before;
    c->path[before] = '\0';
}

void bz_schema_warn(const bz_schema_compiler *c, const char *keyword, const char *reason)
{
    if (c->source->warn != NULL)
        c->source->warn(c->source->ud, c->path, keyword, reason);
}

static const char *tool_name(const bz_schema_compiler *c)
{
    return c->source->what != NULL ? c->source->what : "schema";
}

bezel_status bz_schema_refuse(const bz_schema_compiler *c, bezel_status status, const char *keyword, const char *reason)
{
    bz_fail(c->err, status, ORIGIN, "%s: %s: %s: %s", tool_name(c), c->path, keyword, reason);
    bz_error_hint(c->err, status, "correct \"%s\" in the schema of %s", keyword, tool_name(c));
    return bz_error_place(c->err, status, "%s.%s", tool_name(c), c->path);
}

bezel_status bz_schema_no_memory(const bz_schema_compiler *c)
{
    return bz_fail_memory(c->err, ORIGIN, "a schema", 0);
}

/* Makes room for `more` elements. */
int bz_schema_grow(const bezel_world *w, void *array, uint32_t *capacity, uint32_t count, uint32_t more, size_t size)
{
    void **data = array;
    if (count + more <= *capacity)
        return 1;
    uint32_t wanted = (count + more) * 2 < 8 ? 8 : (count + more) * 2;
    void *grown = bz_realloc(w, *data, (size_t)wanted * size);
    if (grown == NULL)
        return 0;
    *data = grown;
    *capacity = wanted;
    return 1;
}

/* --- Type names --------------------------------------------------------------------------- */

static const struct {
    const char *name;
    uint32_t kind;
} type_names[] = {
    {"string", BZ_SCHEMA_STRING},   {"str", BZ_SCHEMA_STRING},      {"text", BZ_SCHEMA_STRING},
    {"char", BZ_SCHEMA_STRING},     {"integer", BZ_SCHEMA_INTEGER}, {"int", BZ_SCHEMA_INTEGER},
    {"long", BZ_SCHEMA_INTEGER},    {"short", BZ_SCHEMA_INTEGER},   {"byte", BZ_SCHEMA_INTEGER},
    {"bigint", BZ_SCHEMA_INTEGER},  {"number", BZ_SCHEMA_NUMBER},   {"float", BZ_SCHEMA_NUMBER},
    {"double", BZ_SCHEMA_NUMBER},   {"boolean", BZ_SCHEMA_BOOLEAN}, {"bool", BZ_SCHEMA_BOOLEAN},
    {"null", BZ_SCHEMA_NULL},       {"none", BZ_SCHEMA_NULL},       {"array", BZ_SCHEMA_ARRAY},
    {"list", BZ_SCHEMA_ARRAY},      {"tuple", BZ_SCHEMA_ARRAY},     {"arraylist", BZ_SCHEMA_ARRAY},
    {"set", BZ_SCHEMA_ARRAY},       {"object", BZ_SCHEMA_OBJECT},   {"dict", BZ_SCHEMA_OBJECT},
    {"map", BZ_SCHEMA_OBJECT},      {"hashmap", BZ_SCHEMA_OBJECT},  {"hashtable", BZ_SCHEMA_OBJECT},
    {"table", BZ_SCHEMA_OBJECT},    {"any", BZ_SCHEMA_ANY},
};

uint32_t bz_schema_kind_of(const char *name)
{
    for (size_t i = 0; i < sizeof type_names / sizeof type_names[0]; i++) {
        const char *a = name, *b = type_names[i].name;
        while (*b != '\0' && (*a | 0x20) == *b)
            a++, b++;
        if (*a == '\0' && *b == '\0')
            return type_names[i].kind;
    }
    return BZ_SCHEMA_NONE;
}

static int is_one_of(const char *key, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(names[i], key) == 0)
            return 1;
    return 0;
}

static int is_known_keyword(const char *key)
{
    static const char *const known[] = {
        "type", "enum", "const", "properties", "required", "additionalProperties", "items", "minItems", "maxItems", "uniqueItems",
        "minLength", "maxLength", "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf",
        "anyOf", "oneOf", "allOf", "$ref", "nullable", "format", "prefixItems", "additionalItems", "patternProperties",
        "propertyNames", "minProperties", "maxProperties", "not", "if", "then", "else", "contains", "minContains", "maxContains",
        "dependentRequired", "dependentSchemas", "dependencies", "unevaluatedProperties"};
    return is_one_of(key, known, sizeof known / sizeof *known) || bz_schema_is_annotation(key);
}

int bz_schema_is_annotation(const char *keyword)
{
    static const char *const names[] = {"title", "description", "$schema", "$id", "$comment", "examples", "example", "deprecated",
                                        "readOnly", "writeOnly", "optional", "strict", "propertyOrdering", "default",
                                        "discriminator", "$defs", "definitions", "nullable"};
    return is_one_of(keyword, names, sizeof names / sizeof *names);
}

void bz_schema_warn_unknown(const bz_schema_compiler *c, const bezel_value *value)
{
    for (size_t i = 0; i < bezel_value_count(value); i++) {
        const char *key = bezel_value_key(value, i, NULL);
        if (!is_known_keyword(key))
            bz_schema_warn(c, key, "not supported, ignored");
    }
}

/* --- Keywords ----------------------------------------------------------------------------- */

static int is_numeric(const bezel_value *v)
{
    uint32_t type = bezel_value_type(v);
    return type == BEZEL_INTEGER || type == BEZEL_NUMBER;
}

/* A count such as minLength; -1 when absent. */
static bezel_status read_count(bz_schema_compiler *c, int64_t *out, const bezel_value *value, const char *keyword)
{
    const bezel_value *v = bezel_value_get(value, keyword);
    *out = -1;
    if (v == NULL || bezel_value_type(v) == BEZEL_NULL)
        return BEZEL_OK;
    double number = bezel_value_number(v);
    if (!is_numeric(v))
        return bz_schema_refuse(c, BEZEL_ERR_FORMAT, keyword, "not a number");
    if (!(number >= 0) || number != floor(number))
        return bz_schema_refuse(c, BEZEL_ERR_RANGE, keyword, "not a count from 0");
    *out = number > 9e15 ? INT64_C(9000000000000000) : (int64_t)number;
    return BEZEL_OK;
}

bezel_status bz_schema_read_counts(bz_schema_compiler *c, bz_schema_node *node, const bezel_value *value, const char *low,
                                const char *high)
{
    bezel_status status = read_count(c, &node->min_count, value, low);
    if (status == BEZEL_OK)
        status = read_count(c, &node->max_count, value, high);
    if (status == BEZEL_OK && node->max_count >= 0 && node->min_count > node->max_count)
        return bz_schema_refuse(c, BEZEL_ERR_RANGE, low, "larger than the maximum, no value can meet it");
    return status;
}

/* One bound; JSON schema's draft 4 spells exclusiveMinimum as a bool beside minimum. */
static bezel_status read_bound(bz_schema_compiler *c, double *out, int *has, int *exclusive, const bezel_value *value, int low)
{
    const char *plain = low ? "minimum" : "maximum", *strict = low ? "exclusiveMinimum" : "exclusiveMaximum";
    const bezel_value *v = bezel_value_get(value, plain), *x = bezel_value_get(value, strict);
    *has = *exclusive = 0;
    if (v != NULL && bezel_value_type(v) != BEZEL_NULL) {
        if (!is_numeric(v))
            return bz_schema_refuse(c, BEZEL_ERR_FORMAT, plain, "not a number");
        *out = bezel_value_number(v);
        *has = 1;
        *exclusive = bezel_value_type(x) == BEZEL_BOOL && bezel_value_bool(x);
    }
    if (is_numeric(x)) {
        double bound = bezel_value_number(x);
        if (!*has || (low ? bound >= *out : bound <= *out)) {
            *out = bound;
            *has = *exclusive = 1;
        }
    } else if (x != NULL && bezel_value_type(x) != BEZEL_BOOL && bezel_value_type(x) != BEZEL_NULL) {
        return bz_schema_refuse(c, BEZEL_ERR_FORMAT, strict, "not a number");
    }
    return BEZEL_OK;
}

/* Integers: exclusive and fractional bounds become the nearest integer inside. */
static void fold_integer(bz_schema_node *node, int has_min, int has_max, int min_out, int max_out)
{
    node->min_integer = INT64_MIN;
    node->max_integer = INT64_MAX;
    if (has_min) {
        double low = ceil(node->minimum);
        if (min_out && low == node->minimum)
            low += 1;
        node->min_integer = low >= 9223372036854775808.0   ? INT64_MAX
                            : low < -9223372036854775808.0 ? INT64_MIN
                                                           : (int64_t)low;
    }
    if (has_max) {
        double high = floor(node->maximum);
        if (max_out && high == node->maximum)
            high -= 1;
        node->max_integer = high >= 9223372036854775808.0   ? INT64_MAX
                            : high < -9223372036854775808.0 ? INT64_MIN
                                                            : (int64_t)high;
    }
}

bezel_status bz_schema_read_range(bz_schema_compiler *c, bz_schema_node *node, const bezel_value *value)
{
    int has_min, has_max, min_out, max_out;
    bezel_status status = read_bound(c, &node->minimum, &has_min, &min_out, value, 1);
    if (status == BEZEL_OK)
        status = read_bound(c, &node->maximum, &has_max, &max_out, value, 0);
    if (status != BEZEL_OK)
        return status;
    const bezel_value *multiple = bezel_value_get(value, "multipleOf");
    node->multiple = is_numeric(multiple) && bezel_value_number(multiple) > 0 ? bezel_value_number(multiple) : 0;
    if (multiple != NULL && node->multiple <= 0)
        bz_schema_warn(c, "multipleOf", "not a positive number, ignored");
    node->flags |= (has_min ? BZ_SCHEMA_HAS_MIN : 0u) | (has_max ? BZ_SCHEMA_HAS_MAX : 0u);
    int empty = has_min && has_max && (node->minimum > node->maximum ||
                                       (node->minimum == node->maximum && (min_out || max_out)));
    if (node->kind == BZ_SCHEMA_INTEGER) {
        fold_integer(node, has_min, has_max, min_out, max_out);
        empty = empty || node->min_integer > node->max_integer;
    } else {
        node->flags |= (min_out ? BZ_SCHEMA_MIN_EXCLUSIVE : 0u) | (max_out ? BZ_SCHEMA_MAX_EXCLUSIVE : 0u);
    }
    return empty ? bz_schema_refuse(c, BEZEL_ERR_RANGE, "minimum", "larger than the maximum, no value can meet it") : BEZEL_OK;
}

bezel_status bz_schema_read_string(bz_schema_compiler *c, bz_schema_node *node, const bezel_value *value)
{
    bezel_status status = bz_schema_read_counts(c, node, value, "minLength", "maxLength");
    if (status != BEZEL_OK)
        return status;
    const bezel_value *pattern = bezel_value_get(value, "pattern");
    size_t size;
    const char *text = bezel_value_text(pattern, &size);
    if (bezel_value_type(pattern) == BEZEL_TEXT)
        return bz_schema_read_pattern(c, node, "pattern", text, size);
    if (pattern != NULL)
        bz_schema_warn(c, "pattern", "not a text, ignored");
    return BEZEL_OK;
}

bezel_status bz_schema_read_pattern(bz_schema_compiler *c, bz_schema_node *node, const char *keyword, const char *text,
                                    size_t size)
{
    char reason[128] = "";
    bezel_status status = bz_schema_pattern_add(c->schema, &node->pattern, text, size, reason);
    if (status == BEZEL_ERR_MEMORY)
        return bz_schema_no_memory(c);
    if (status == BEZEL_OK)
        node->pattern_text = text;
    else
        bz_schema_warn(c, keyword, status == BEZEL_ERR_LIMIT ? "too many patterns, not checked" : reason);
    return BEZEL_OK;
}

/* --- Keywords that are checked afterwards ------------------------------------------------- */

static bezel_status add_pattern(bz_schema_compiler *c, const char *text, size_t size)
{
    char reason[128];
    uint32_t index;
    return bz_schema_pattern_add(c->schema, &index, text, size, reason) == BEZEL_ERR_MEMORY ? bz_schema_no_memory(c) : BEZEL_OK;
}

/* Compiles the patterns in a schema, those of bz_schema_match_text; bad ones are left out. */
static bezel_status add_patterns(bz_schema_compiler *c, const bezel_value *value)
{
    const bezel_value *pattern = bezel_value_get(value, "pattern"), *names = bezel_value_get(value, "patternProperties");
    bezel_status status = BEZEL_OK;
    size_t size;
    if (bezel_value_type(pattern) == BEZEL_TEXT) {
        const char *text = bezel_value_text(pattern, &size);
        status = add_pattern(c, text, size);
    }
    for (size_t i = 0; bezel_value_type(names) == BEZEL_MAP && i < bezel_value_count(names) && status == BEZEL_OK; i++) {
        const char *text = bezel_value_key(names, i, &size);
        status = add_pattern(c, text, size);
    }
    for (size_t i = 0; bezel_value_type(value) >= BEZEL_LIST && i < bezel_value_count(value) && status == BEZEL_OK; i++)
        status = add_patterns(c, bezel_value_at(value, i));
    return status;
}

bezel_status bz_schema_assert(bz_schema_compiler *c, uint32_t node, uint32_t assertion, const char *keyword, const char *reason)
{
    bz_schema *s = c->schema;
    bezel_status status = BEZEL_OK;
    if (reason != NULL)
        bz_schema_warn(c, keyword, reason);
    s->nodes[node].asserts |= assertion;
    if (!s->all_patterns)
        status = add_patterns(c, s->root);
    s->all_patterns = 1;
    return status;
}

/* --- Members ------------------------------------------------------------------------------ */

static bezel_status add_member(bz_schema_compiler *c, bz_schema_node *node, const bezel_value *member)
{
    bz_schema *s = c->schema;
    if (bezel_value_type(member) == BEZEL_NULL) {
        node->flags |= BZ_SCHEMA_NULLABLE;
        return BEZEL_OK;
    }
    for (uint32_t i = 0; i < node->n_values; i++)
        if (bezel_value_equal(s->members[node->first_value + i], member))
            return BEZEL_OK;
    if (s->n_members >= BZ_SCHEMA_MAX_NODES)
        return bz_schema_refuse(c, BEZEL_ERR_LIMIT, "enum", "more than 4,096 members in one tool");
    if (!bz_schema_grow(s->world, (void *)&s->members, &s->members_capacity, s->n_members, 1, sizeof *s->members))
        return bz_schema_no_memory(c);
    s->members[s->n_members++] = member;
    node->n_values++;
    return BEZEL_OK;
}

/* Drops members that other keywords refuse, unless that are all: then the others are wrong. */
static void drop_members(bz_schema_compiler *c, bz_schema_node *node, const bezel_value *value)
{
    bz_schema *s = c->schema;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < node->n_values; i++)
        kept += bz_schema_refusing(s, value, 0, s->members[node->first_value + i]) == NULL;
    if (kept == node->n_values || kept == 0)
        return;
    kept = 0;
    for (uint32_t i = 0; i < node->n_values; i++)
        if (bz_schema_refusing(s, value, 0, s->members[node->first_value + i]) == NULL)
            s->members[node->first_value + kept++] = s->members[node->first_value + i];
    node->n_values = kept;
    s->n_members = node->first_value + kept;
}

/* A member that is a list or an object makes the node one of any kind. */
static void open_kind(const bz_schema *s, bz_schema_node *node)
{
    for (uint32_t i = 0; i < node->n_values; i++)
        if (bezel_value_type(s->members[node->first_value + i]) >= BEZEL_LIST)
            node->kind = BZ_SCHEMA_ANY;
}

bezel_status bz_schema_read_enum(bz_schema_compiler *c, bz_schema_node *node, const bezel_value *value)
{
    const bezel_value *list = bezel_value_get(value, "enum"), *one = bezel_value_get(value, "const");
    bezel_status status = BEZEL_OK;
    node->first_value = c->schema->n_members;
    if (list != NULL && bezel_value_type(list) != BEZEL_NULL && bezel_value_type(list) != BEZEL_LIST)
        return bz_schema_refuse(c, BEZEL_ERR_FORMAT, "enum", "not a list");
    if (bezel_value_type(list) == BEZEL_LIST && bezel_value_count(list) == 0)
        return bz_schema_refuse(c, BEZEL_ERR_RANGE, "enum", "empty, no value can meet it");
    if (one != NULL)
        status = add_member(c, node, one);
    for (size_t i = 0; one == NULL && i < bezel_value_count(list) && status == BEZEL_OK; i++)
        status = add_member(c, node, bezel_value_at(list, i));
    if (status != BEZEL_OK)
        return status;
    if (node->n_values == 0 && (one != NULL || bezel_value_count(list) > 0))
        node->kind = BZ_SCHEMA_NULL; /* null is the only member */
    if (node->n_values == 0)
        return BEZEL_OK;
    drop_members(c, node, value);
    open_kind(c->schema, node);
    return BEZEL_OK;
}
