/* SPDX-License-Identifier: MIT */
/* Compiles a JSON schema to the node table. Main invariant: a node that was handed out is complete or belongs to a
 * schema that is being freed. A keyword it does not know is reported and ignored: one odd schema must not take the other
 * tools away. Only a schema that no value could ever meet is refused.
 * Does not follow remote references, does not rewrite values. */
#include "base/schema_compile.h"

#include <bezel/engine.h>

#include "base/alloc.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define ORIGIN "schema"

static bezel_status new_node(bz_schema_compiler *c, uint32_t *out, const bezel_value *source);

/* The schema that no value meets. */
int bz_schema_is_never(const bezel_value *value)
{
    return bezel_value_type(value) == BEZEL_BOOL && !bezel_value_bool(value);
}

bezel_status bz_schema_store_links(bz_schema_compiler *c, bz_schema_node *node, const uint32_t *links, uint32_t count)
{
    bz_schema *s = c->schema;
    if (!bz_schema_grow(s->world, (void *)&s->links, &s->links_capacity, s->n_links, count, sizeof *s->links))
        return bz_schema_no_memory(c);
    memcpy(s->links + s->n_links, links, count * sizeof *links);
    node->first = s->n_links;
    node->count = count;
    s->n_links += count;
    return BEZEL_OK;
}

/* --- Objects and arrays ------------------------------------------------------------------- */

static int is_required(const bezel_value *value, const char *name, size_t size)
{
    const bezel_value *list = bezel_value_get(value, "required");
    for (size_t i = 0; i < bezel_value_count(list); i++) {
        size_t n;
        const char *text = bezel_value_text(bezel_value_at(list, i), &n);
        if (n == size && memcmp(text, name, n) == 0)
            return 1;
    }
    return 0;
}

/* A default that the node itself would refuse is worse than none. */
static bezel_status read_default(bz_schema_compiler *c, bz_schema_property *p, const bezel_value *value)
{
    const bezel_value *fallback = bezel_value_get(value, "default");
    if (fallback == NULL || bezel_value_type(fallback) == BEZEL_NULL)
        return BEZEL_OK;
    bz_arena arena;
    bz_arena_init(&arena, c->schema->world, 0);
    bz_schema_check check;
    memset(&check, 0, sizeof check);
    check.schema = c->schema;
    check.tree = c->schema->tree;
    bezel_value *typed = NULL;
    bezel_status status = bz_schema_apply_value(&typed, &check, p->node, &arena, fallback);
    bz_arena_free(&arena);
    if (status == BEZEL_ERR_MEMORY)
        return bz_schema_no_memory(c);
    if (status == BEZEL_OK)
        p->default_value = typed;
    else
        bz_schema_warn(c, "default", check.problem.text);
    return BEZEL_OK;
}

static bezel_status add_property(bz_schema_compiler *c, bz_schema_property *p, const bezel_value *owner, size_t i, uint32_t depth)
{
    const bezel_value *map = bezel_value_get(owner, "properties"), *value = bezel_value_at(map, i);
    memset(p, 0, sizeof *p);
    p->name = bezel_value_key(map, i, &p->name_size);
    p->required = (uint32_t)is_required(owner, p->name, p->name_size);
    size_t before = bz_schema_enter(c, p->name);
    bezel_status status = bz_schema_compile_node(c, &p->node, value, depth + 1);
    const bezel_value *description = bezel_value_get(value, "description");
    if (status == BEZEL_OK && bezel_value_type(description) == BEZEL_TEXT && bezel_value_text(description, NULL)[0])
        p->description = bezel_value_text(description, NULL);
    if (status == BEZEL_OK)
        status = read_default(c, p, value);
    bz_schema_leave(c, before);
    return status;
}

/* Names in "required" that no property has: unknown keys may bear them, except where there are none. */
static uint32_t count_undeclared(const bz_schema_compiler *c, const bezel_value *value, int is_open)
{
    const bezel_value *list = bezel_value_get(value, "required"), *map = bezel_value_get(value, "properties");
    uint32_t n = 0;
    if (list != NULL && bezel_value_type(list) != BEZEL_LIST)
        bz_schema_warn(c, "required", "not a list, ignored");
    for (size_t i = 0; i < bezel_value_count(list); i++) {
        if (bezel_value_type(bezel_value_at(list, i)) != BEZEL_TEXT ||
            bezel_value_get(map, bezel_value_text(bezel_value_at(list, i), NULL)) != NULL)
            continue;
        n++;
        if (!is_open)
            bz_schema_warn(c, "required", "names a property that is not declared");
    }
    return is_open ? n : 0;
}

/* A property that is only named in "required". */
static bezel_status add_undeclared(bz_schema_compiler *c, bz_schema_property *p, const bezel_value *value, uint32_t nth,
                                   uint32_t item)
{
    const bezel_value *list = bezel_value_get(value, "required"), *map = bezel_value_get(value, "properties");
    memset(p, 0, sizeof *p);
    for (size_t i = 0; i < bezel_value_count(list); i++) {
        p->name = bezel_value_text(bezel_value_at(list, i), &p->name_size);
        if (bezel_value_type(bezel_value_at(list, i)) == BEZEL_TEXT && bezel_value_get(map, p->name) == NULL && nth-- == 0)
            break;
    }
    p->required = 1;
    p->node = item;
    return item != BZ_SCHEMA_NONE ? BEZEL_OK : new_node(c, &p->node, NULL);
}

/* The schema of unknown keys: one that says so, or the first of patternProperties. */
static bezel_status read_unknown_keys(bz_schema_compiler *c, uint32_t node, const bezel_value *value, uint32_t depth)
{
    const bezel_value *more = bezel_value_get(value, "additionalProperties"), *names = bezel_value_get(value, "propertyNames");
    const bezel_value *patterns = bezel_value_get(value, "patternProperties"), *schema = NULL;
    const size_t n = bezel_value_type(patterns) == BEZEL_MAP ? bezel_value_count(patterns) : 0;
    bezel_status status = BEZEL_OK;
    uint32_t item = BZ_SCHEMA_NONE, flags = BZ_SCHEMA_OPEN;
    size_t size;
    if (more == NULL)
        more = bezel_value_get(value, "unevaluatedProperties");
    if (bezel_value_type(more) == BEZEL_BOOL)
        flags = bezel_value_bool(more) ? BZ_SCHEMA_OPEN | BZ_SCHEMA_OPEN_ASKED : 0;
    if (bezel_value_type(more) == BEZEL_MAP)
        flags = BZ_SCHEMA_OPEN | BZ_SCHEMA_OPEN_ASKED;
    if (n > 0) {
        const char *text = bezel_value_key(patterns, 0, &size);
        const int is_closed = flags == 0, is_plain = n == 1 && bezel_value_get(value, "properties") == NULL;
        schema = bezel_value_at(patterns, 0);
        status = bz_schema_read_pattern(c, &c->schema->nodes[node], "patternProperties", text, size);
        if (status == BEZEL_OK)
            status = bz_schema_assert(c, node, BZ_ASSERT_PATTERN_PROPERTIES, "patternProperties",
                                      is_plain ? NULL : "is checked afterwards, only keys of the first pattern are written");
        if (status == BEZEL_OK && (n > 1 || !is_closed))
            status = bz_schema_assert(c, node, BZ_ASSERT_MORE_PROPERTIES, "additionalProperties", NULL);
        flags = BZ_SCHEMA_OPEN | BZ_SCHEMA_OPEN_ASKED | (is_closed && n == 1 ? BZ_SCHEMA_KEYS_ONLY : 0U);
    } else if (bezel_value_type(more) == BEZEL_MAP) {
        schema = more;
    }
    if (n == 0 && bezel_value_type(bezel_value_get(names, "pattern")) == BEZEL_TEXT) {
        const char *text = bezel_value_text(bezel_value_get(names, "pattern"), &size);
        status = bz_schema_read_pattern(c, &c->schema->nodes[node], "propertyNames", text, size);
    }
    if (status == BEZEL_OK && schema != NULL && bezel_value_type(schema) == BEZEL_MAP) {
        size_t before = bz_schema_enter(c, "*");
        status = bz_schema_compile_node(c, &item, schema, depth + 1);
        bz_schema_leave(c, before);
    }
    c->schema->nodes[node].item = item;
    c->schema->nodes[node].flags |= flags;
    return status;
}

/* Properties of one object stand side by side, so children are compiled into a scratch list first. */
static bezel_status read_object(bz_schema_compiler *c, uint32_t node, const bezel_value *value, uint32_t depth)
{
    bz_schema *s = c->schema;
    const bezel_value *map = bezel_value_get(value, "properties");
    if (map != NULL && bezel_value_type(map) != BEZEL_MAP && bezel_value_count(map) > 0)
        return bz_schema_refuse(c, BEZEL_ERR_FORMAT, "properties", "not an object");
    size_t n = bezel_value_type(map) == BEZEL_MAP ? bezel_value_count(map) : 0;
    if (n > BZ_SCHEMA_MAX_NODES)
        return bz_schema_refuse(c, BEZEL_ERR_LIMIT, "properties", "more than 4,096");
    bezel_status status = bz_schema_read_counts(c, &c->schema->nodes[node], value, "minProperties", "maxProperties");
    if (status == BEZEL_OK)
        status = read_unknown_keys(c, node, value, depth);
    if (status != BEZEL_OK)
        return status;
    const int is_open = (c->schema->nodes[node].flags & (BZ_SCHEMA_OPEN | BZ_SCHEMA_KEYS_ONLY)) == BZ_SCHEMA_OPEN;
    const uint32_t declared = (uint32_t)n, undeclared = count_undeclared(c, value, is_open && !(node == 0 && c->source->closed));
    n += undeclared;
    bz_schema_property *list = n > 0 ? bz_zalloc_array(s->world, n, sizeof *list) : NULL;
    if (n > 0 && list == NULL)
        return bz_schema_no_memory(c);
    uint32_t count = 0;
    for (size_t i = 0; i < declared && status == BEZEL_OK; i++) {
        if (bz_schema_is_never(bezel_value_at(map, i)))
            status = bz_schema_assert(c, node, BZ_ASSERT_PROPERTIES, "properties", NULL);
        else
            status = add_property(c, &list[count++], value, i, depth);
    }
    for (uint32_t i = 0; i < undeclared && status == BEZEL_OK; i++)
        status = add_undeclared(c, &list[count++], value, i, s->nodes[node].item);
    if (status == BEZEL_OK && !bz_schema_grow(s->world, (void *)&s->properties, &s->properties_capacity, s->n_properties, count,
                                    sizeof *list))
        status = bz_schema_no_memory(c);
    if (status == BEZEL_OK) {
        if (count > 0)
            memcpy(s->properties + s->n_properties, list, count * sizeof *list);
        s->nodes[node].first = s->n_properties;
        s->nodes[node].count = count;
        s->n_properties += count;
    }
    bz_free(s->world, list);
    return status;
}

/* An enum that was written beside the array and not in its items: the meaning is clear. */
static void move_enum(bz_schema_compiler *c, uint32_t node)
{
    bz_schema_node *array = &c->schema->nodes[node];
    if (array->n_values == 0)
        return;
    bz_schema_node *item = array->item == BZ_SCHEMA_NONE ? NULL : &c->schema->nodes[array->item];
    if (item != NULL && item->n_values == 0 && item->kind < BZ_SCHEMA_ARRAY) {
        item->first_value = array->first_value;
        item->n_values = array->n_values;
    }
    array->n_values = 0;
    bz_schema_warn(c, "enum", "belongs to the items of an array");
}

/* prefixItems: a schema for each of the first items, as links. */
static bezel_status read_first_items(bz_schema_compiler *c, bz_schema_node *array, const bezel_value *list, uint32_t depth)
{
    uint32_t links[BZ_SCHEMA_MAX_PARTS];
    const size_t n = bezel_value_count(list);
    bezel_status status = BEZEL_OK;
    if (n > BZ_SCHEMA_MAX_PARTS)
        return bz_schema_refuse(c, BEZEL_ERR_LIMIT, "prefixItems", "more than 32 schemas");
    for (size_t i = 0; i < n && status == BEZEL_OK; i++) {
        char name[32];
        snprintf(name, sizeof name, "[%zu]", i);
        size_t before = bz_schema_enter(c, name);
        status = bz_schema_compile_node(c, &links[i], bezel_value_at(list, i), depth + 1);
        bz_schema_leave(c, before);
    }
    return status == BEZEL_OK ? bz_schema_store_links(c, array, links, (uint32_t)n) : status;
}

static bezel_status read_array(bz_schema_compiler *c, uint32_t node, const bezel_value *value, uint32_t depth)
{
    bz_schema_node counts = c->schema->nodes[node];
    bezel_status status = bz_schema_read_counts(c, &counts, value, "minItems", "maxItems");
    if (status != BEZEL_OK)
        return status;
    const bezel_value *items = bezel_value_get(value, "items"), *first = bezel_value_get(value, "prefixItems");
    uint32_t item = BZ_SCHEMA_NONE;
    if (bezel_value_type(items) == BEZEL_LIST) { /* before draft 2020 */
        first = items;
        items = bezel_value_get(value, "additionalItems");
    }
    if (bezel_value_type(items) == BEZEL_MAP) {
        size_t before = bz_schema_enter(c, "items");
        status = bz_schema_compile_node(c, &item, items, depth + 1);
        bz_schema_leave(c, before);
    } else if (items != NULL && bezel_value_type(items) != BEZEL_BOOL) {
        bz_schema_warn(c, "items", "not a schema, any item is taken");
    }
    if (status == BEZEL_OK && bezel_value_type(first) == BEZEL_LIST)
        status = read_first_items(c, &counts, first, depth);
    const int64_t most = bezel_value_type(first) == BEZEL_LIST ? (int64_t)bezel_value_count(first) : 0;
    if (bz_schema_is_never(items) && (counts.max_count < 0 || counts.max_count > most))
        counts.max_count = most;
    if (status == BEZEL_OK && counts.max_count >= 0 && counts.min_count > counts.max_count)
        status = bz_schema_refuse(c, BEZEL_ERR_RANGE, "minItems", "larger than the maximum, no value can meet it");
    counts.item = item;
    counts.flags |= bezel_value_bool(bezel_value_get(value, "uniqueItems")) ? BZ_SCHEMA_UNIQUE : 0u;
    counts.asserts |= c->schema->nodes[node].asserts;
    if (status == BEZEL_OK)
        c->schema->nodes[node] = counts;
    return status;
}

/* --- Unions and references ---------------------------------------------------------------- */

/* Follows "#/$defs/x" by JSON pointer (RFC 6901). NULL when there is no such place. */
const bezel_value *bz_schema_pointer(const bezel_value *root, const char *pointer)
{
    const bezel_value *at = root;
    while (*pointer != '\0' && at != NULL) {
        char key[128];
        size_t n = 0;
        if (*pointer++ != '/')
            return NULL;
        while (*pointer != '\0' && *pointer != '/') {
            char byte = *pointer++;
            if (byte == '~' && (*pointer == '0' || *pointer == '1'))
                byte = *pointer++ == '0' ? '~' : '/';
            if (n + 1 >= sizeof key)
                return NULL;
            key[n++] = byte;
        }
        key[n] = '\0';
        if (bezel_value_type(at) == BEZEL_LIST) {
            size_t index = 0;
            for (size_t i = 0; i < n && index < 100000; i++)
                index = key[i] >= '0' && key[i] <= '9' ? index * 10 + (size_t)(key[i] - '0') : 100000;
            at = n > 0 ? bezel_value_at(at, index) : NULL;
        } else {
            at = bezel_value_get(at, key);
        }
    }
    return at;
}

static int is_only_reference(const bezel_value *value)
{
    for (size_t i = 0; i < bezel_value_count(value); i++) {
        const char *key = bezel_value_key(value, i, NULL);
        if (strcmp(key, "$ref") != 0 && !bz_schema_is_annotation(key))
            return 0;
    }
    return 1;
}

static bezel_status follow_ref(bz_schema_compiler *c, uint32_t *out, const bezel_value *value, uint32_t depth)
{
    const bezel_value *target = value;
    for (int hops = 0; bezel_value_get(target, "$ref") != NULL && is_only_reference(target); hops++) {
        const char *ref = bezel_value_text(bezel_value_get(target, "$ref"), NULL);
        if (hops == 16)
            return bz_schema_refuse(c, BEZEL_ERR_UNSUPPORTED, "$ref", "only refers to itself");
        if (ref[0] != '#')
            return bz_schema_refuse(c, BEZEL_ERR_UNSUPPORTED, "$ref", "leaves the schema; only \"#/...\" is followed");
        target = bz_schema_pointer(c->schema->root, ref + 1);
        if (target == NULL)
            return bz_schema_refuse(c, BEZEL_ERR_MISSING, "$ref", "points to nothing");
    }
    for (uint32_t i = 0; i < c->schema->n_nodes; i++) {
        if (c->schema->sources[i] == target) {
            *out = i;
            return BEZEL_OK;
        }
    }
    return bz_schema_compile_node(c, out, target, depth + 1);
}

/* --- Nodes -------------------------------------------------------------------------------- */

static bezel_status new_node(bz_schema_compiler *c, uint32_t *out, const bezel_value *source)
{
    bz_schema *s = c->schema;
    if (s->n_nodes >= BZ_SCHEMA_MAX_NODES)
        return bz_schema_refuse(c, BEZEL_ERR_LIMIT, "properties", "more than 4,096 nodes in one schema");
    if (s->n_nodes == s->nodes_capacity) {
        uint32_t nodes = s->nodes_capacity, sources = nodes, flats = nodes, paths = nodes;
        if (!bz_schema_grow(s->world, (void *)&s->paths, &paths, s->n_nodes, 1, sizeof *s->paths) ||
            !bz_schema_grow(s->world, (void *)&s->sources, &sources, s->n_nodes, 1, sizeof *s->sources) ||
            !bz_schema_grow(s->world, (void *)&s->flats, &flats, s->n_nodes, 1, sizeof *s->flats) ||
            !bz_schema_grow(s->world, (void *)&s->nodes, &nodes, s->n_nodes, 1, sizeof *s->nodes))
            return bz_schema_no_memory(c);
        s->nodes_capacity = nodes;
    }
    const bezel_value *path = bezel_tree_text(s->tree, c->path, c->path_size);
    bz_schema_node *node = &s->nodes[s->n_nodes];
    if (path == NULL)
        return bz_schema_no_memory(c);
    s->paths[s->n_nodes] = bezel_value_text(path, NULL);
    memset(node, 0, sizeof *node);
    node->item = node->pattern = BZ_SCHEMA_NONE;
    node->min_count = node->max_count = -1;
    node->min_integer = INT64_MIN;
    node->max_integer = INT64_MAX;
    s->sources[s->n_nodes] = s->flats[s->n_nodes] = source;
    *out = s->n_nodes++;
    return BEZEL_OK;
}

/* What a schema without "type" means. */
static uint32_t guess_kind(const bezel_value *value)
{
    static const struct {
        const char *keyword;
        uint32_t kind;
    } rows[] = {{"properties", BZ_SCHEMA_OBJECT},        {"patternProperties", BZ_SCHEMA_OBJECT}, {"required", BZ_SCHEMA_OBJECT},
                {"minProperties", BZ_SCHEMA_OBJECT},     {"maxProperties", BZ_SCHEMA_OBJECT},     {"items", BZ_SCHEMA_ARRAY},
                {"additionalProperties", BZ_SCHEMA_OBJECT}, {"prefixItems", BZ_SCHEMA_ARRAY},     {"minItems", BZ_SCHEMA_ARRAY},
                {"maxItems", BZ_SCHEMA_ARRAY},           {"uniqueItems", BZ_SCHEMA_ARRAY},        {"contains", BZ_SCHEMA_ARRAY},
                {"pattern", BZ_SCHEMA_STRING},           {"maxLength", BZ_SCHEMA_STRING},         {"minLength", BZ_SCHEMA_STRING},
                {"minimum", BZ_SCHEMA_NUMBER},           {"maximum", BZ_SCHEMA_NUMBER},
                {"multipleOf", BZ_SCHEMA_NUMBER},
                {"exclusiveMinimum", BZ_SCHEMA_NUMBER},  {"exclusiveMaximum", BZ_SCHEMA_NUMBER}};
    const bezel_value *type = bezel_value_get(value, "type");
    if (bezel_value_type(type) == BEZEL_TEXT)
        return bz_schema_kind_of(bezel_value_text(type, NULL));
    for (size_t i = 0; type == NULL && i < sizeof rows / sizeof *rows; i++)
        if (bezel_value_get(value, rows[i].keyword) != NULL)
            return rows[i].kind;
    return BZ_SCHEMA_ANY;
}

static bezel_status fill_kind(bz_schema_compiler *c, uint32_t node, const bezel_value *value, uint32_t depth)
{
    bz_schema_node *at = &c->schema->nodes[node];
    c->schema->flats[node] = value;
    const bezel_value *format = bezel_value_get(value, "format");
    if (bezel_value_type(format) == BEZEL_TEXT)
        at->format = bezel_value_text(format, NULL);
    bezel_status status = bz_schema_read_enum(c, at, value);
    if (status != BEZEL_OK)
        return status;
    if (at->kind == BZ_SCHEMA_OBJECT)
        at->n_values = 0; /* scalars beside "object" */
    switch (at->kind) {
    case BZ_SCHEMA_OBJECT: return read_object(c, node, value, depth);
    case BZ_SCHEMA_STRING: return bz_schema_read_string(c, at, value);
    case BZ_SCHEMA_INTEGER:
    case BZ_SCHEMA_NUMBER: return bz_schema_read_range(c, at, value);
    case BZ_SCHEMA_ARRAY:
        status = read_array(c, node, value, depth);
        if (status == BEZEL_OK)
            move_enum(c, node);
        return status;
    default: return BEZEL_OK;
    }
}

/* "type": ["string", "null"] and friends. */
static bezel_status fill_type_list(bz_schema_compiler *c, uint32_t node, const bezel_value *value, uint32_t depth)
{
    const bezel_value *list = bezel_value_get(value, "type");
    uint32_t kinds[8], n = 0, links[8];
    for (size_t i = 0; i < bezel_value_count(list); i++) {
        uint32_t kind = bz_schema_kind_of(bezel_value_text(bezel_value_at(list, i), NULL));
        int seen = kind == BZ_SCHEMA_NONE;
        for (uint32_t k = 0; k < n; k++)
            seen |= kinds[k] == kind;
        if (kind == BZ_SCHEMA_NULL)
            c->schema->nodes[node].flags |= BZ_SCHEMA_NULLABLE;
        else if (!seen)
            kinds[n++] = kind;
    }
    if (n <= 1) {
        c->schema->nodes[node].kind = n == 1 ? kinds[0] : bezel_value_count(list) > 0 ? BZ_SCHEMA_NULL : BZ_SCHEMA_ANY;
        return fill_kind(c, node, value, depth);
    }
    for (uint32_t i = 0; i < n; i++) {
        bezel_status status = new_node(c, &links[i], NULL);
        if (status != BEZEL_OK)
            return status;
        c->schema->nodes[links[i]].kind = kinds[i];
        status = fill_kind(c, links[i], value, depth + 1);
        if (status != BEZEL_OK)
            return status;
    }
    c->schema->nodes[node].kind = BZ_SCHEMA_UNION;
    return bz_schema_store_links(c, &c->schema->nodes[node], links, n);
}

bezel_status bz_schema_check_tree(const bz_schema_compiler *c)
{
    return bezel_tree_status(c->schema->tree) == BEZEL_OK ? BEZEL_OK : bz_schema_no_memory(c);
}

/* Keywords that hold for the finished value. */
static bezel_status read_asserts(bz_schema_compiler *c, uint32_t node, const bezel_value *value)
{
    static const struct {
        const char *keyword;
        uint32_t assertion;
    } rows[] = {{"not", BZ_ASSERT_NOT},
                {"contains", BZ_ASSERT_CONTAINS},
                {"propertyNames", BZ_ASSERT_NAMES},
                {"dependentRequired", BZ_ASSERT_DEPENDENT},
                {"dependentSchemas", BZ_ASSERT_DEPENDENT},
                {"dependencies", BZ_ASSERT_DEPENDENT}};
    bezel_status status = BEZEL_OK;
    for (size_t i = 0; i < sizeof rows / sizeof *rows && status == BEZEL_OK; i++)
        if (bezel_value_get(value, rows[i].keyword) != NULL)
            status = bz_schema_assert(c, node, rows[i].assertion, rows[i].keyword, "is only checked afterwards");
    return status;
}

/* The parameters of a tool stay one object: what would make them a choice of objects is checked afterwards. */
static bezel_status fill_parameters(bz_schema_compiler *c, const bezel_value *value, uint32_t depth)
{
    static const char *const choices[] = {"anyOf", "oneOf", "if", "then", "else", NULL};
    static const uint32_t assertions[] = {BZ_ASSERT_ANY_OF, BZ_ASSERT_ONE_OF, BZ_ASSERT_IF};
    const bezel_value *rest = bz_schema_without(c, value, choices);
    bezel_status status = bz_schema_check_tree(c);
    for (int i = 0; i < 3 && status == BEZEL_OK; i++)
        if (bezel_value_get(value, choices[i]) != NULL)
            status = bz_schema_assert(c, 0, assertions[i], choices[i], "of all parameters is checked afterwards");
    c->schema->nodes[0].kind = BZ_SCHEMA_OBJECT;
    if (status == BEZEL_OK)
        status = fill_kind(c, 0, rest, depth);
    c->schema->flats[0] = value;
    return status;
}

/* The type of a schema that has no parts. */
static bezel_status fill_plain(bz_schema_compiler *c, uint32_t node, const bezel_value *value, uint32_t depth)
{
    const bezel_value *type = bezel_value_get(value, "type");
    if (bezel_value_type(type) == BEZEL_LIST)
        return fill_type_list(c, node, value, depth);
    uint32_t kind = type == NULL ? guess_kind(value) : bz_schema_kind_of(bezel_value_text(type, NULL));
    if (kind == BZ_SCHEMA_NONE) {
        bz_schema_warn(c, "type", "unknown type, any value is taken");
        kind = BZ_SCHEMA_ANY;
    }
    c->schema->nodes[node].kind = kind;
    return fill_kind(c, node, value, depth);
}

/* allOf and keywords beside $ref become one schema; what goes no further into it is checked afterwards. */
static bezel_status flatten(bz_schema_compiler *c, uint32_t node, const bezel_value **value, uint32_t depth)
{
    const bezel_value *all = bezel_value_get(*value, "allOf");
    bz_schema_merged merged = {0};
    if (all != NULL && (bezel_value_type(all) != BEZEL_LIST || bezel_value_count(all) == 0))
        return bz_schema_refuse(c, BEZEL_ERR_FORMAT, "allOf", "not a list with at least one schema");
    if (bezel_value_count(all) > BZ_SCHEMA_MAX_PARTS)
        return bz_schema_refuse(c, BEZEL_ERR_LIMIT, "allOf", "more than 32 schemas");
    const bezel_value *flat = bz_schema_flatten(c, *value, &merged, depth);
    bezel_status status = bz_schema_check_tree(c);
    if (status == BEZEL_OK && merged.impossible) {
        bz_schema_warn(c, "allOf", "no value meets all of it, only the first part is taken");
        flat = all != NULL ? bezel_value_at(all, 0) : *value;
    } else if (status == BEZEL_OK && merged.loose) {
        status = bz_schema_assert(c, node, BZ_ASSERT_ALL_OF | BZ_ASSERT_REF, "allOf",
                                  "some keywords of it are checked afterwards");
    }
    *value = flat;
    return status;
}

static bezel_status fill_node(bz_schema_compiler *c, uint32_t node, const bezel_value *value, uint32_t depth)
{
    bezel_status status = BEZEL_OK;
    bz_schema_warn_unknown(c, value);
    if (bezel_value_get(value, "allOf") != NULL || bezel_value_get(value, "$ref") != NULL)
        status = flatten(c, node, &value, depth);
    c->schema->flats[node] = value;
    if (status == BEZEL_OK && bezel_value_bool(bezel_value_get(value, "nullable")))
        c->schema->nodes[node].flags |= BZ_SCHEMA_NULLABLE;
    if (status == BEZEL_OK)
        status = read_asserts(c, node, value);
    if (status != BEZEL_OK)
        return status;
    const int has_choice = bezel_value_get(value, "anyOf") != NULL || bezel_value_get(value, "oneOf") != NULL;
    const int has_branches = bezel_value_get(value, "if") != NULL;
    if ((has_choice || has_branches) && node == 0 && c->source->closed && guess_kind(value) == BZ_SCHEMA_OBJECT)
        return fill_parameters(c, value, depth);
    if (has_branches)
        return bz_schema_fill_branches(c, node, value, depth);
    return has_choice ? bz_schema_fill_alternatives(c, node, value, depth) : fill_plain(c, node, value, depth);
}

bezel_status bz_schema_compile_node(bz_schema_compiler *c, uint32_t *out, const bezel_value *value, uint32_t depth)
{
    if (depth > BZ_SCHEMA_MAX_DEPTH)
        return bz_schema_refuse(c, BEZEL_ERR_LIMIT, "properties", "nested deeper than 64");
    uint32_t type = bezel_value_type(value);
    if (type == BEZEL_MAP && bezel_value_get(value, "$ref") != NULL && is_only_reference(value))
        return follow_ref(c, out, value, depth);
    bezel_status status = new_node(c, out, value);
    if (status != BEZEL_OK || (type == BEZEL_BOOL && bezel_value_bool(value)))
        return status;
    if (type != BEZEL_MAP)
        return bz_schema_refuse(c, BEZEL_ERR_FORMAT, "type", "a schema must be an object");
    return fill_node(c, *out, value, depth);
}

/* --- How many values there are ------------------------------------------------------------ */

static uint64_t distinct_members(const bz_schema *s, const bz_schema_node *node, uint64_t most)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < node->n_values && n < most; i++) {
        uint32_t k = 0;
        while (k < i && !bezel_value_equal(s->members[node->first_value + k], s->members[node->first_value + i]))
            k++;
        n += k == i;
    }
    return n;
}

static uint64_t distinct_numbers(const bz_schema_node *node, uint64_t most)
{
    const uint32_t limits = BZ_SCHEMA_HAS_MIN | BZ_SCHEMA_HAS_MAX;
    double low = node->minimum, high = node->maximum, step = node->multiple;
    if (node->kind == BZ_SCHEMA_INTEGER) {
        low = (double)node->min_integer;
        high = (double)node->max_integer;
        step = step >= 1.0 && step == floor(step) ? step : 1.0;
    } else if ((node->flags & limits) != limits || step <= 0.0) {
        return (node->flags & limits) == limits && low >= high ? 1 : most;
    }
    const double values = floor(high / step + 1e-9) - ceil(low / step - 1e-9) + 1;
    return values < (double)most ? (uint64_t)fmax(values, 1.0) : most;
}

uint64_t bz_schema_distinct(const bz_schema *schema, uint32_t node, uint64_t most)
{
    const bz_schema_node *at = bz_schema_at(schema, node);
    uint64_t n = most;
    if (at->n_values > 0)
        n = distinct_members(schema, at, most);
    else if (at->kind == BZ_SCHEMA_BOOLEAN)
        n = 2;
    else if (at->kind == BZ_SCHEMA_NULL || (at->kind == BZ_SCHEMA_STRING && at->max_count == 0))
        n = 1;
    else if (at->kind == BZ_SCHEMA_INTEGER || at->kind == BZ_SCHEMA_NUMBER)
        n = distinct_numbers(at, most);
    n += (at->flags & BZ_SCHEMA_NULLABLE) != 0;
    return n < most ? n : most;
}

/* A list that needs more different items than there are is met by no value. Once all nodes are there: items may be references. */
static bezel_status check_lists(bz_schema_compiler *c)
{
    for (uint32_t i = 0; i < c->schema->n_nodes; i++) {
        const bz_schema_node *list = &c->schema->nodes[i];
        if (list->kind != BZ_SCHEMA_ARRAY || !(list->flags & BZ_SCHEMA_UNIQUE) || list->count > 0 || list->min_count <= 1 ||
            bz_schema_distinct(c->schema, list->item, (uint64_t)list->min_count) >= (uint64_t)list->min_count)
            continue;
        c->path_size = strlen(c->schema->paths[i]);
        memcpy(c->path, c->schema->paths[i], c->path_size + 1); /* it came from there */
        return bz_schema_refuse(c, BEZEL_ERR_RANGE, "uniqueItems", "there are fewer different items than minItems asks for");
    }
    return BEZEL_OK;
}

/* --- Public ------------------------------------------------------------------------------- */

static bezel_status compile_root(bz_schema_compiler *c)
{
    bz_schema *s = c->schema;
    uint32_t root;
    bezel_status status;
    if (s->root == NULL || (bezel_value_type(s->root) == BEZEL_LIST && bezel_value_count(s->root) == 0)) {
        status = new_node(c, &root, NULL); /* no parameters; an empty Lua table arrives as a list */
        if (status == BEZEL_OK)
            s->nodes[root].kind = BZ_SCHEMA_OBJECT;
    } else if (bezel_value_get(s->root, "$ref") != NULL) {
        status = bz_schema_refuse(c, BEZEL_ERR_UNSUPPORTED, "$ref", "not at the root");
    } else {
        status = bz_schema_compile_node(c, &root, s->root, 0);
        if (status == BEZEL_OK && c->source->closed && s->nodes[0].kind == BZ_SCHEMA_ANY)
            s->nodes[0].kind = BZ_SCHEMA_OBJECT;
    }
    if (status == BEZEL_OK)
        status = check_lists(c);
    if (status == BEZEL_OK && c->source->closed && !(s->nodes[0].flags & BZ_SCHEMA_OPEN_ASKED))
        s->nodes[0].flags &= ~(uint32_t)BZ_SCHEMA_OPEN;
    return status;
}

bezel_status bz_schema_new(bz_schema **out, bezel_engine *engine, const bz_schema_source *source, bezel_error *err)
{
    const bezel_world *w = bezel_engine_world(engine);
    bz_schema_compiler c;
    memset(&c, 0, sizeof c);
    c.source = source;
    c.err = err;
    memcpy(c.path, "parameters", sizeof "parameters");
    c.path_size = strlen(c.path);
    *out = NULL;
    bz_schema *s = bz_zalloc(w, sizeof *s);
    if (s == NULL)
        return bz_fail_memory(err, ORIGIN, "a schema", sizeof *s);
    s->world = w;
    c.schema = s;
    bezel_status status = bezel_tree_new(&s->tree, engine, err);
    if (status == BEZEL_OK && source->value != NULL) {
        s->root = bezel_tree_copy(s->tree, source->value);
        if (s->root == NULL)
            status = bz_fail_memory(err, ORIGIN, "a copy of the schema", 0);
    }
    if (status == BEZEL_OK)
        status = compile_root(&c);
    if (status != BEZEL_OK) {
        bz_schema_free(s);
        return status;
    }
    *out = s;
    return BEZEL_OK;
}

void bz_schema_free(bz_schema *schema)
{
    if (schema == NULL)
        return;
    const bezel_world *w = schema->world;
    bz_schema_patterns_free(schema);
    bz_free(w, schema->nodes);
    bz_free(w, (void *)schema->sources);
    bz_free(w, (void *)schema->flats);
    bz_free(w, (void *)schema->paths);
    bz_free(w, schema->properties);
    bz_free(w, schema->links);
    bz_free(w, (void *)schema->members);
    bezel_tree_free(schema->tree);
    bz_free(w, schema);
}

uint32_t bz_schema_size(const bz_schema *schema)
{
    return schema->n_nodes;
}

const bz_schema_node *bz_schema_at(const bz_schema *schema, uint32_t node)
{
    static const bz_schema_node any = {.item = BZ_SCHEMA_NONE, .pattern = BZ_SCHEMA_NONE, .min_count = -1,
                                       .max_count = -1, .min_integer = INT64_MIN, .max_integer = INT64_MAX};
    return node < schema->n_nodes ? &schema->nodes[node] : &any;
}

const bz_schema_property *bz_schema_property_at(const bz_schema *schema, uint32_t i)
{
    return &schema->properties[i];
}

uint32_t bz_schema_link(const bz_schema *schema, uint32_t i)
{
    return schema->links[i];
}

const bezel_value *bz_schema_member(const bz_schema *schema, uint32_t i)
{
    return schema->members[i];
}

const char *bz_schema_path(const bz_schema *schema, uint32_t node)
{
    return node < schema->n_nodes ? schema->paths[node] : "parameters";
}

const char *bz_schema_kind_name(uint32_t kind)
{
    static const char *const names[] = {"any", "string", "integer", "number", "boolean", "null", "array", "object", "any"};
    return kind < sizeof names / sizeof names[0] ? names[kind] : "any";
}
