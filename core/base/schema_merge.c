/* SPDX-License-Identifier: MIT */
/* Several schemas that all hold, written as one: allOf, keywords beside $ref, beside anyOf and oneOf, the branches of if.
 * Main invariant: what the merged schema takes, each part takes too, unless the merge says that it is loose; nothing of what
 * all parts take is lost.
 * The parts are copied into the schema's tree: a value there has one parent. */
#include "base/schema_compile.h"

#include <string.h>

#define MERGE_HOPS 16
#define MERGE_DEPTH 24U /* merges inside of merged parts; deeper only the first part counts */

/* How a keyword that both schemas have becomes one. */
typedef enum merge_rule {
    MERGE_FIRST,    /* says nothing about values */
    MERGE_TYPE,
    MERGE_ALL,      /* a schema: allOf of both */
    MERGE_EACH,     /* a map of schemas: name by name */
    MERGE_UNION,
    MERGE_COMMON,
    MERGE_LARGER,
    MERGE_SMALLER,
    MERGE_EITHER,   /* true wins */
    MERGE_CLOSED,   /* false wins, else a schema */
    MERGE_SAME      /* only equal ones; else the first, loosely */
} merge_rule;

static merge_rule merge_rule_of(const char *keyword)
{
    static const struct {
        const char *keyword;
        merge_rule rule;
    } rules[] = {
        {"type", MERGE_TYPE},           {"properties", MERGE_EACH},         {"patternProperties", MERGE_EACH},
        {"dependentSchemas", MERGE_EACH}, {"required", MERGE_UNION},        {"enum", MERGE_COMMON},
        {"items", MERGE_ALL},           {"propertyNames", MERGE_ALL},       {"minimum", MERGE_LARGER},
        {"minLength", MERGE_LARGER},    {"minItems", MERGE_LARGER},         {"minProperties", MERGE_LARGER},
        {"exclusiveMinimum", MERGE_LARGER}, {"maximum", MERGE_SMALLER},     {"maxLength", MERGE_SMALLER},
        {"maxItems", MERGE_SMALLER},    {"maxProperties", MERGE_SMALLER},   {"exclusiveMaximum", MERGE_SMALLER},
        {"uniqueItems", MERGE_EITHER},  {"additionalProperties", MERGE_CLOSED}, {"unevaluatedProperties", MERGE_CLOSED},
    };
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
        if (strcmp(rules[i].keyword, keyword) == 0)
            return rules[i].rule;
    return bz_schema_is_annotation(keyword) ? MERGE_FIRST : MERGE_SAME;
}

/* --- Types -------------------------------------------------------------------------------- */

static size_t merge_type_count(const bezel_value *type)
{
    return bezel_value_type(type) == BEZEL_LIST ? bezel_value_count(type) : 1;
}

static const bezel_value *merge_type_at(const bezel_value *type, size_t i)
{
    return bezel_value_type(type) == BEZEL_LIST ? bezel_value_at(type, i) : type;
}

/* The narrower of two names of types, NULL when no value has both. */
static const bezel_value *merge_narrow(const bezel_value *a, const bezel_value *b)
{
    const uint32_t x = bz_schema_kind_of(bezel_value_text(a, NULL)), y = bz_schema_kind_of(bezel_value_text(b, NULL));
    if (x == y || y == BZ_SCHEMA_ANY || y == BZ_SCHEMA_NONE || (x == BZ_SCHEMA_INTEGER && y == BZ_SCHEMA_NUMBER))
        return a;
    if (x == BZ_SCHEMA_ANY || x == BZ_SCHEMA_NONE || (x == BZ_SCHEMA_NUMBER && y == BZ_SCHEMA_INTEGER))
        return b;
    return NULL;
}

static bezel_value *merge_types(bezel_tree *t, const bezel_value *a, const bezel_value *b)
{
    bezel_value *out = bezel_tree_list(t);
    for (size_t i = 0; i < merge_type_count(a); i++)
        for (size_t k = 0; k < merge_type_count(b); k++) {
            const bezel_value *one = merge_narrow(merge_type_at(a, i), merge_type_at(b, k));
            if (one != NULL)
                bezel_value_append(t, out, bezel_tree_copy(t, one));
        }
    return bezel_value_count(out) == 1 ? bezel_tree_copy(t, bezel_value_at(out, 0)) : out;
}

/* --- Keywords ----------------------------------------------------------------------------- */

static int merge_is_in(const bezel_value *list, const bezel_value *item)
{
    for (size_t i = 0; i < bezel_value_count(list); i++)
        if (bezel_value_equal(bezel_value_at(list, i), item))
            return 1;
    return 0;
}

/* Items of both lists (all = 1), or those of a that b has, too. */
static bezel_value *merge_lists(bezel_tree *t, const bezel_value *a, const bezel_value *b, int all)
{
    bezel_value *out = bezel_tree_list(t);
    for (size_t i = 0; i < bezel_value_count(a); i++)
        if (all || merge_is_in(b, bezel_value_at(a, i)))
            bezel_value_append(t, out, bezel_tree_copy(t, bezel_value_at(a, i)));
    for (size_t i = 0; all && i < bezel_value_count(b); i++)
        if (!merge_is_in(a, bezel_value_at(b, i)))
            bezel_value_append(t, out, bezel_tree_copy(t, bezel_value_at(b, i)));
    return out;
}

static bezel_value *merge_both(bezel_tree *t, const bezel_value *a, const bezel_value *b)
{
    bezel_value *out, *list;
    if (bezel_value_equal(a, b))
        return bezel_tree_copy(t, a);
    out = bezel_tree_map(t);
    list = bezel_tree_list(t);
    bezel_value_append(t, list, bezel_tree_copy(t, a));
    bezel_value_append(t, list, bezel_tree_copy(t, b));
    bezel_value_set(t, out, "allOf", list);
    return out;
}

static bezel_value *merge_each(bezel_tree *t, const bezel_value *a, const bezel_value *b)
{
    bezel_value *out = bezel_tree_copy(t, a);
    for (size_t i = 0; i < bezel_value_count(b); i++) {
        size_t size;
        const char *name = bezel_value_key(b, i, &size);
        const bezel_value *other = bezel_value_get(a, name), *one = bezel_value_at(b, i);
        bezel_value_set_n(t, out, name, size, other != NULL ? merge_both(t, other, one) : bezel_tree_copy(t, one));
    }
    return out;
}

static bezel_value *merge_keyword(bezel_tree *t, const char *keyword, const bezel_value *a, const bezel_value *b,
                                  bz_schema_merged *out)
{
    const merge_rule rule = merge_rule_of(keyword);
    const int larger = bezel_value_number(b) > bezel_value_number(a), is_bool = bezel_value_type(a) == BEZEL_BOOL;
    const uint32_t type = bezel_value_type(a);
    if (rule == MERGE_FIRST || bezel_value_equal(a, b))
        return bezel_tree_copy(t, a);
    if (type == bezel_value_type(b) || rule == MERGE_TYPE || rule == MERGE_CLOSED || rule >= MERGE_LARGER)
        switch (rule) {
        case MERGE_TYPE: {
            bezel_value *types = merge_types(t, a, b);
            out->impossible |= bezel_value_type(types) == BEZEL_LIST && bezel_value_count(types) == 0;
            return types;
        }
        case MERGE_ALL:
            if (type == BEZEL_MAP)
                return merge_both(t, a, b);
            break;
        case MERGE_EACH: return merge_each(t, a, b);
        case MERGE_UNION:
        case MERGE_COMMON: {
            bezel_value *list = merge_lists(t, a, b, rule == MERGE_UNION);
            out->impossible |= bezel_value_count(list) == 0;
            return list;
        }
        case MERGE_LARGER:
        case MERGE_SMALLER:
            if (!is_bool && bezel_value_type(b) != BEZEL_BOOL)
                return bezel_tree_copy(t, larger == (rule == MERGE_LARGER) ? b : a);
            break;
        case MERGE_EITHER: return bezel_tree_copy(t, bezel_value_bool(a) ? a : b);
        case MERGE_CLOSED:
            if (is_bool)
                return bezel_tree_copy(t, bezel_value_bool(a) ? b : a);
            if (bezel_value_type(b) == BEZEL_BOOL)
                return bezel_tree_copy(t, bezel_value_bool(b) ? a : b);
            return merge_both(t, a, b);
        default: break;
        }
    out->loose = 1;
    return bezel_tree_copy(t, a);
}

/* --- Schemas ------------------------------------------------------------------------------ */

/* A copy without some keywords; definitions stay where references find them, at the root. */
static bezel_value *merge_without(bezel_tree *t, const bezel_value *value, const char *const *without)
{
    bezel_value *out = bezel_tree_map(t);
    for (size_t i = 0; i < bezel_value_count(value); i++) {
        size_t size, k = 0;
        const char *name = bezel_value_key(value, i, &size);
        while (without[k] != NULL && strcmp(without[k], name) != 0)
            k++;
        if (without[k] == NULL && strcmp(name, "$defs") != 0 && strcmp(name, "definitions") != 0)
            bezel_value_set_n(t, out, name, size, bezel_tree_copy(t, bezel_value_at(value, i)));
    }
    return out;
}

static bezel_value *merge_two(bezel_tree *t, const bezel_value *a, const bezel_value *b, bz_schema_merged *out)
{
    bezel_value *merged = bezel_tree_map(t);
    for (size_t i = 0; i < bezel_value_count(a); i++) {
        size_t size;
        const char *name = bezel_value_key(a, i, &size);
        const bezel_value *one = bezel_value_at(a, i), *other = bezel_value_get(b, name);
        bezel_value_set_n(t, merged, name, size,
                          other != NULL ? merge_keyword(t, name, one, other, out) : bezel_tree_copy(t, one));
    }
    for (size_t i = 0; i < bezel_value_count(b); i++) {
        size_t size;
        const char *name = bezel_value_key(b, i, &size);
        if (bezel_value_get(a, name) == NULL && strcmp(name, "$defs") != 0 && strcmp(name, "definitions") != 0)
            bezel_value_set_n(t, merged, name, size, bezel_tree_copy(t, bezel_value_at(b, i)));
    }
    return merged;
}

/* A schema with its reference followed and the parts of its allOf in it; NULL without memory. */
static const bezel_value *merge_flat(bz_schema_compiler *c, const bezel_value *value, bz_schema_merged *out, uint32_t hops)
{
    static const char *const ref_only[] = {"$ref", NULL}, *const all_only[] = {"allOf", NULL};
    bezel_tree *t = c->schema->tree;
    if (bezel_value_type(value) != BEZEL_MAP)
        return value;
    const bezel_value *ref = bezel_value_get(value, "$ref"), *all = bezel_value_get(value, "allOf");
    if (ref == NULL && bezel_value_type(all) != BEZEL_LIST)
        return value;
    if (hops >= MERGE_HOPS) {
        out->loose = 1;
        return value;
    }
    if (ref != NULL) {
        const char *text = bezel_value_text(ref, NULL);
        const bezel_value *target = text[0] == '#' ? bz_schema_pointer(c->schema->root, text + 1) : NULL;
        const bezel_value *rest = merge_without(t, value, ref_only);
        if (target == NULL || target == value || target == out->source)
            return merge_flat(c, rest, out, hops + 1);
        return merge_flat(c, merge_two(t, rest, merge_flat(c, target, out, hops + 1), out), out, hops + 1);
    }
    const bezel_value *merged = merge_without(t, value, all_only);
    for (size_t i = 0; i < bezel_value_count(all); i++)
        merged = bz_schema_merge(c, merged, bezel_value_at(all, i), out, hops + 1);
    return merged;
}

const bezel_value *bz_schema_merge(bz_schema_compiler *c, const bezel_value *a, const bezel_value *b, bz_schema_merged *out,
                                   uint32_t hops)
{
    const bezel_value *part = merge_flat(c, b, out, hops);
    if (bezel_value_type(part) == BEZEL_BOOL && !bezel_value_bool(part))
        out->impossible = 1;
    return bezel_value_type(part) == BEZEL_MAP ? merge_two(c->schema->tree, a, part, out) : a;
}

const bezel_value *bz_schema_flatten(bz_schema_compiler *c, const bezel_value *value, bz_schema_merged *out, uint32_t depth)
{
    if (depth > MERGE_DEPTH) { /* parts that go on for ever */
        out->loose = 1;
        return value;
    }
    out->source = value;
    return merge_flat(c, value, out, 0);
}

bezel_value *bz_schema_without(bz_schema_compiler *c, const bezel_value *value, const char *const *keywords)
{
    return merge_without(c->schema->tree, value, keywords);
}
