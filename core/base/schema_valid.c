/* SPDX-License-Identifier: MIT */
/* Keywords of JSON Schema (2020-12) on a typed value, as the standard says them: no conversion, no defaults. It reads the
 * schema as it was written and so holds what the node table cannot: not, if, contains, oneOf's "exactly one" and the like.
 * Main invariant: work and depth are bounded; what is beyond them is refused.
 * Not here: format and unevaluatedItems (annotations), references that leave the schema. */
#include "base/schema_compile.h"

#include "base/utf8.h"
#include "base/value_impl.h"

#include <math.h>
#include <string.h>

#define VALID_DEPTH 128U
#define VALID_WORK 1000000U

typedef struct valid_run {
    const bz_schema *schema;
    uint32_t depth, work;
} valid_run;

/* One keyword: k is its value, `owner` the schema it stands in, v what is checked. */
typedef int (*valid_fn)(valid_run *r, const bezel_value *owner, const bezel_value *k, const bezel_value *v);

static int valid_schema(valid_run *r, const bezel_value *schema, const bezel_value *v);

static int valid_is_number(const bezel_value *v)
{
    return bezel_value_type(v) == BEZEL_INTEGER || bezel_value_type(v) == BEZEL_NUMBER;
}

/* --- Any type ----------------------------------------------------------------------------- */

static int valid_is_kind(const bezel_value *v, const bezel_value *name)
{
    const uint32_t type = bezel_value_type(v);
    switch (bz_schema_kind_of(bezel_value_text(name, NULL))) {
    case BZ_SCHEMA_STRING: return type == BEZEL_TEXT;
    case BZ_SCHEMA_INTEGER:
        return type == BEZEL_INTEGER || (type == BEZEL_NUMBER && bezel_value_number(v) == floor(bezel_value_number(v)));
    case BZ_SCHEMA_NUMBER: return valid_is_number(v);
    case BZ_SCHEMA_BOOLEAN: return type == BEZEL_BOOL;
    case BZ_SCHEMA_NULL: return type == BEZEL_NULL;
    case BZ_SCHEMA_ARRAY: return type == BEZEL_LIST;
    case BZ_SCHEMA_OBJECT: return type == BEZEL_MAP;
    default: return 1; /* any, and names nobody knows */
    }
}

static int valid_type(valid_run *r, const bezel_value *owner, const bezel_value *k, const bezel_value *v)
{
    (void)r, (void)owner;
    if (bezel_value_type(k) != BEZEL_LIST)
        return valid_is_kind(v, k);
    for (size_t i = 0; i < bezel_value_count(k); i++)
        if (valid_is_kind(v, bezel_value_at(k, i)))
            return 1;
    return bezel_value_count(k) == 0;
}

static int valid_enum(valid_run *r, const bezel_value *owner, const bezel_value *k, const bezel_value *v)
{
    (void)owner;
    r->work += (uint32_t)bezel_value_count(k);
    for (size_t i = 0; i < bezel_value_count(k); i++)
        if (bezel_value_equal(bezel_value_at(k, i), v))
            return 1;
    return bezel_value_type(k) != BEZEL_LIST;
}

static int valid_const(valid_run *r, const bezel_value *owner, const bezel_value *k, const bezel_value *v)
{
    (void)r, (void)owner;
    return bezel_value_equal(k, v);
}

static size_t valid_how_many(valid_run *r, const bezel_value *list, const bezel_value *v)
{
    size_t n = 0;
    for (size_t i = 0; i < bezel_value_count(list); i++)
        n += (size_t)valid_schema(r, bezel_value_at(list, i), v);
    return n;
}

static int valid_any_of(valid_run *r, const bezel_value *owner, const bezel_value *k, const bezel_value *v)
{
    (void)owner;
    return valid_how_many(r, k, v) > 0;
}

static int valid_one_of(valid_run *r, const bezel_value *owner, const bezel_value *k, const bezel_value *v)
{
    (void)owner;
    return valid_how_many(r, k, v) == 1;
}

static int valid_all_of(valid_run *r, const bezel_value *owner, const bezel_value *k, const bezel_value *v)
{
    (void)owner;
    return valid_how_many(r, k, v) == bezel_value_count(k);
}

static int valid_not(valid_run *r, const bezel_value *owner, const bezel_value *k, const bezel_value *v)
{
    (void)owner;
    return !valid_schema(r, k, v);
}

static int valid_if(valid_run *r, const bezel_value *owner, const bezel_value *k, const bezel_value *v)
{
    const bezel_value *then = bezel_value_get(owner, valid_schema(r, k, v) ? "then" : "else");
    return then == NULL || valid_schema(r, then, v);
}

static int valid_ref(valid_run *r, const bezel_value *owner, const bezel_value *k, const bezel_value *v)
{
    const char *ref = bezel_value_text(k, NULL);
    const bezel_value *target = ref[0] == '#' ? bz_schema_pointer(r->schema->root, ref + 1) : NULL;
    return target == NULL || target == owner || valid_schema(r, target, v);
}

/* --- Numbers and texts -------------------------------------------------------------------- */

int bz_schema_is_multiple(double x, double step)
{
    if (step <= 0) /* none; and no division that a host may have made trap */
        return 1;
    const double quotient = x / step;
    return fabs(quotient - nearbyint(quotient)) <= 1e-9 * fmax(1.0, fabs(quotient));
}

static int valid_minimum(valid_run *r, const bezel_value *owner, const bezel_value *k, const bezel_value *v)
{
    const int strict = bezel_value_bool(bezel_value_get(owner, "exclusiveMinimum")); /* draft 4 */
    (void)r;
    return !valid_is_number(v) ||
           (strict ? bezel_value_number(v) > bezel_value_number(k) : bezel_value_number(v) >= bezel_value_number(k));
}

static int valid_maximum(valid_run *r, const bezel_value *owner, const bezel_value *k, const bezel_value *v)
{
    const int strict = bezel_value_bool(bezel_value_get(owner, "exclusiveMaximum"));
    (void)r;
    return !valid_is_number(v) ||
           (strict ? bezel_value_number(v) < bezel_value_number(k) : bezel_value_number(v) <= bezel_value_number(k));
}

static int valid_above(valid_run *r, const bezel_value *owner, const bezel_value *k, const bezel_value *v)
{
    (void)r, (void)owner;
    return !valid_is_number(v) || !valid_is_number(k) || bezel_value_number(v) > bezel_value_number(k);
}

static int valid_below(valid_run *r, const bezel_value *owner, const bezel_value *k, const bezel_value *v)
{
    (void)r, (void)owner;
    return !valid_is_number(v) || !valid_is_number(k) || bezel_value_number(v) < bezel_value_number(k);
}

static int valid_multiple(valid_run *r, const bezel_value *owner, const bezel_value *k, const bezel_value *v)
{
    (void)r, (void)owner;
    return !valid_is_number(v) || bz_schema_is_multiple(bezel_value_number(v), bezel_value_number(k));
}

static double valid_length(const bezel_value *v)
{
    size_t size;
    const char *text = bezel_value_text(v, &size);
    return (double)bz_utf8_count(text, size);
}

static int valid_min_length(valid_run *r, const bezel_value *owner, const bezel_value *k, const bezel_value *v)
{
    (void)r, (void)owner;
    return bezel_value_type(v) != BEZEL_TEXT || valid_length(v) >= bezel_value_number(k);
}

static int valid_max_length(valid_run *r, const bezel_value *owner, const bezel_value *k, const bezel_value *v)
{
    (void)r, (void)owner;
    return bezel_value_type(v) != BEZEL_TEXT || valid_length(v) <= bezel_value_number(k);
}

static int valid_pattern(valid_run *r, const bezel_value *owner, const bezel_value *k, const bezel_value *v)
{
    size_t size;
    const char *text = bezel_value_text(v, &size);
    (void)owner;
    return bezel_value_type(v) != BEZEL_TEXT || bz_schema_match_text(r->schema, bezel_value_text(k, NULL), text, size) == 1;
}

/* --- Arrays ------------------------------------------------------------------------------- */

static int valid_count_is(const bezel_value *v, uint32_t type, const bezel_value *k, int sign)
{
    return bezel_value_type(v) != type || sign * ((double)bezel_value_count(v) - bezel_value_number(k)) >= 0;
}

static int valid_min_items(valid_run *r, const bezel_value *owner, const bezel_value *k, const bezel_value *v)
{
    (void)r, (void)owner;
    return valid_count_is(v, BEZEL_LIST, k, 1);
}

static int valid_max_items(valid_run *r, const bezel_value *owner, const bezel_value *k, const bezel_value *v)
{
    (void)r, (void)owner;
    return valid_count_is(v, BEZEL_LIST, k, -1);
}

static int valid_unique(valid_run *r, const bezel_value *owner, const bezel_value *k, const bezel_value *v)
{
    (void)owner;
    const size_t n = bezel_value_type(v) == BEZEL_LIST && bezel_value_bool(k) ? bezel_value_count(v) : 0;
    for (size_t i = 1; i < n; i++)
        for (size_t j = 0; j < i; j++)
            if (++r->work > VALID_WORK || bezel_value_equal(bezel_value_at(v, i), bezel_value_at(v, j)))
                return 0;
    return 1;
}

static int valid_prefix(valid_run *r, const bezel_value *owner, const bezel_value *k, const bezel_value *v)
{
    (void)owner;
    for (size_t i = 0; bezel_value_type(v) == BEZEL_LIST && i < bezel_value_count(k) && i < bezel_value_count(v); i++)
        if (!valid_schema(r, bezel_value_at(k, i), bezel_value_at(v, i)))
            return 0;
    return 1;
}

static int valid_items(valid_run *r, const bezel_value *owner, const bezel_value *k, const bezel_value *v)
{
    if (bezel_value_type(k) == BEZEL_LIST) /* before draft 2020 */
        return valid_prefix(r, owner, k, v);
    for (size_t i = bezel_value_count(bezel_value_get(owner, "prefixItems"));
         bezel_value_type(v) == BEZEL_LIST && i < bezel_value_count(v); i++)
        if (!valid_schema(r, k, bezel_value_at(v, i)))
            return 0;
    return 1;
}

static int valid_more_items(valid_run *r, const bezel_value *owner, const bezel_value *k, const bezel_value *v)
{
    const bezel_value *items = bezel_value_get(owner, "items");
    if (bezel_value_type(items) != BEZEL_LIST || bezel_value_type(v) != BEZEL_LIST)
        return 1;
    for (size_t i = bezel_value_count(items); i < bezel_value_count(v); i++)
        if (!valid_schema(r, k, bezel_value_at(v, i)))
            return 0;
    return 1;
}

static int valid_contains(valid_run *r, const bezel_value *owner, const bezel_value *k, const bezel_value *v)
{
    const bezel_value *least = bezel_value_get(owner, "minContains"), *most = bezel_value_get(owner, "maxContains");
    double n = 0;
    if (bezel_value_type(v) != BEZEL_LIST)
        return 1;
    for (size_t i = 0; i < bezel_value_count(v); i++)
        n += valid_schema(r, k, bezel_value_at(v, i));
    return n >= (valid_is_number(least) ? bezel_value_number(least) : 1) &&
           (!valid_is_number(most) || n <= bezel_value_number(most));
}

/* --- Objects ------------------------------------------------------------------------------ */

static int valid_min_keys(valid_run *r, const bezel_value *owner, const bezel_value *k, const bezel_value *v)
{
    (void)r, (void)owner;
    return valid_count_is(v, BEZEL_MAP, k, 1);
}

static int valid_max_keys(valid_run *r, const bezel_value *owner, const bezel_value *k, const bezel_value *v)
{
    (void)r, (void)owner;
    return valid_count_is(v, BEZEL_MAP, k, -1);
}

static int valid_required(valid_run *r, const bezel_value *owner, const bezel_value *k, const bezel_value *v)
{
    (void)r, (void)owner;
    for (size_t i = 0; bezel_value_type(v) == BEZEL_MAP && i < bezel_value_count(k); i++)
        if (bezel_value_get(v, bezel_value_text(bezel_value_at(k, i), NULL)) == NULL)
            return 0;
    return 1;
}

static int valid_properties(valid_run *r, const bezel_value *owner, const bezel_value *k, const bezel_value *v)
{
    (void)owner;
    for (size_t i = 0; bezel_value_type(v) == BEZEL_MAP && i < bezel_value_count(k); i++) {
        const bezel_value *item = bezel_value_get(v, bezel_value_key(k, i, NULL));
        if (item != NULL && !valid_schema(r, bezel_value_at(k, i), item))
            return 0;
    }
    return 1;
}

static int valid_key_matches(valid_run *r, const char *pattern, const bezel_value *map, size_t i)
{
    size_t size;
    const char *key = bezel_value_key(map, i, &size);
    r->work++;
    return bz_schema_match_text(r->schema, pattern, key, size) == 1;
}

static int valid_pattern_properties(valid_run *r, const bezel_value *owner, const bezel_value *k, const bezel_value *v)
{
    (void)owner;
    for (size_t p = 0; bezel_value_type(v) == BEZEL_MAP && p < bezel_value_count(k); p++)
        for (size_t i = 0; i < bezel_value_count(v); i++)
            if (valid_key_matches(r, bezel_value_key(k, p, NULL), v, i) &&
                !valid_schema(r, bezel_value_at(k, p), bezel_value_at(v, i)))
                return 0;
    return 1;
}

static int valid_more_properties(valid_run *r, const bezel_value *owner, const bezel_value *k, const bezel_value *v)
{
    const bezel_value *known = bezel_value_get(owner, "properties"), *patterns = bezel_value_get(owner, "patternProperties");
    for (size_t i = 0; bezel_value_type(v) == BEZEL_MAP && i < bezel_value_count(v); i++) {
        int is_known = bezel_value_get(known, bezel_value_key(v, i, NULL)) != NULL;
        for (size_t p = 0; !is_known && p < bezel_value_count(patterns); p++)
            is_known = valid_key_matches(r, bezel_value_key(patterns, p, NULL), v, i);
        if (!is_known && !valid_schema(r, k, bezel_value_at(v, i)))
            return 0;
    }
    return 1;
}

static int valid_names(valid_run *r, const bezel_value *owner, const bezel_value *k, const bezel_value *v)
{
    (void)owner;
    for (size_t i = 0; bezel_value_type(v) == BEZEL_MAP && i < bezel_value_count(v); i++) {
        bezel_value name = {.type = BEZEL_TEXT};
        name.as.text.bytes = bezel_value_key(v, i, &name.as.text.size);
        if (!valid_schema(r, k, &name))
            return 0;
    }
    return 1;
}

static int valid_dependent(valid_run *r, const bezel_value *owner, const bezel_value *k, const bezel_value *v)
{
    (void)owner;
    for (size_t i = 0; bezel_value_type(v) == BEZEL_MAP && i < bezel_value_count(k); i++) {
        const bezel_value *then = bezel_value_at(k, i);
        if (bezel_value_get(v, bezel_value_key(k, i, NULL)) == NULL)
            continue;
        if (bezel_value_type(then) == BEZEL_LIST ? !valid_required(r, k, then, v) : !valid_schema(r, then, v))
            return 0;
    }
    return 1;
}

/* --- Public ------------------------------------------------------------------------------- */

static const struct valid_keyword {
    const char *name;
    valid_fn fn;
    uint32_t assertion; /* BZ_ASSERT_..., 0 for one that the node table holds */
} valid_keywords[] = {
    {"type", valid_type, 0},
    {"enum", valid_enum, 0},
    {"const", valid_const, 0},
    {"properties", valid_properties, BZ_ASSERT_PROPERTIES},
    {"required", valid_required, 0},
    {"additionalProperties", valid_more_properties, BZ_ASSERT_MORE_PROPERTIES},
    {"patternProperties", valid_pattern_properties, BZ_ASSERT_PATTERN_PROPERTIES},
    {"propertyNames", valid_names, BZ_ASSERT_NAMES},
    {"minProperties", valid_min_keys, 0},
    {"maxProperties", valid_max_keys, 0},
    {"dependentRequired", valid_dependent, BZ_ASSERT_DEPENDENT},
    {"dependentSchemas", valid_dependent, BZ_ASSERT_DEPENDENT},
    {"dependencies", valid_dependent, BZ_ASSERT_DEPENDENT},
    {"items", valid_items, 0},
    {"prefixItems", valid_prefix, 0},
    {"additionalItems", valid_more_items, 0},
    {"contains", valid_contains, BZ_ASSERT_CONTAINS},
    {"minItems", valid_min_items, 0},
    {"maxItems", valid_max_items, 0},
    {"uniqueItems", valid_unique, 0},
    {"minLength", valid_min_length, 0},
    {"maxLength", valid_max_length, 0},
    {"pattern", valid_pattern, 0},
    {"minimum", valid_minimum, 0},
    {"maximum", valid_maximum, 0},
    {"exclusiveMinimum", valid_above, 0},
    {"exclusiveMaximum", valid_below, 0},
    {"multipleOf", valid_multiple, 0},
    {"anyOf", valid_any_of, BZ_ASSERT_ANY_OF},
    {"oneOf", valid_one_of, BZ_ASSERT_ONE_OF},
    {"allOf", valid_all_of, BZ_ASSERT_ALL_OF},
    {"not", valid_not, BZ_ASSERT_NOT},
    {"if", valid_if, BZ_ASSERT_IF},
    {"$ref", valid_ref, BZ_ASSERT_REF},
};

/* The first keyword of `assertions` (0 = all) that refuses v. */
static const char *valid_refusing(valid_run *r, const bezel_value *schema, uint32_t assertions, const bezel_value *v)
{
    for (size_t i = 0; i < sizeof valid_keywords / sizeof *valid_keywords; i++) {
        const struct valid_keyword *row = &valid_keywords[i];
        const bezel_value *k = assertions == 0 || (row->assertion & assertions) ? bezel_value_get(schema, row->name) : NULL;
        if (k != NULL && bezel_value_type(k) != BEZEL_NULL && !row->fn(r, schema, k, v))
            return row->name;
    }
    return NULL;
}

static int valid_schema(valid_run *r, const bezel_value *schema, const bezel_value *v)
{
    if (bezel_value_type(schema) == BEZEL_BOOL)
        return bezel_value_bool(schema);
    if (++r->work > VALID_WORK || r->depth >= VALID_DEPTH)
        return 0;
    if (bezel_value_type(v) == BEZEL_NULL && bezel_value_bool(bezel_value_get(schema, "nullable")))
        return 1;
    r->depth++;
    const char *refusing = valid_refusing(r, schema, 0, v);
    r->depth--;
    return refusing == NULL;
}

const char *bz_schema_refusing(const bz_schema *s, const bezel_value *schema, uint32_t assertions, const bezel_value *value)
{
    valid_run r = {s, 0, 0};
    return valid_refusing(&r, schema, assertions, value);
}
