/* SPDX-License-Identifier: MIT */
/* Compiles a JSON schema to the node table. Main invariant: a node that was handed out is complete or belongs to a
 * schema that is being freed. A keyword it does not know is reported and ignored: one odd schema must not take the other
 * tools away. Only a schema that no value could ever meet is refused.
 * Does not follow remote references, does not rewrite values. */
#include "base/schema_compile.h"

#include <bezel/engine.h>

#include "base/alloc.h"

#include <string.h>

#define ORIGIN "schema"

static bezel_status compile_node(bz_schema_compiler *c, uint32_t *out, const bezel_value *value, uint32_t depth);

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
    bezel_status status = compile_node(c, &p->node, value, depth + 1);
    const bezel_value *description = bezel_value_get(value, "description");
    if (status == BEZEL_OK && bezel_value_type(description) == BEZEL_TEXT && bezel_value_text(description, NULL)[0])
        p->description = bezel_value_text(description, NULL);
    if (status == BEZEL_OK)
        status = read_default(c, p, value);
    bz_schema_leave(c, before);
    return status;
}

static void warn_required(const bz_schema_compiler *c, const bezel_value *value)
{
    const bezel_value *list = bezel_value_get(value, "required"), *map = bezel_value_get(value, "properties");
    if (list != NULL && bezel_value_type(list) != BEZEL_LIST)
        bz_schema_warn(c, "required", "not a list, ignored");
    for (size_t i = 0; i < bezel_value_count(list); i++)
        if (bezel_value_get(map, bezel_value_text(bezel_value_at(list, i), NULL)) == NULL)
            bz_schema_warn(c, "required", "names a property that is not declared");
}

/* Properties of one object stand side by side, so children are compiled into a scratch list first. */
static bezel_status read_object(bz_schema_compiler *c, uint32_t node, const bezel_value *value, uint32_t depth)
{
    bz_schema *s = c->schema;
    const bezel_value *map = bezel_value_get(value, "properties"), *more = bezel_value_get(value, "additionalProperties");
    if (map != NULL && bezel_value_type(map) != BEZEL_MAP && bezel_value_count(map) > 0)
        return bz_schema_refuse(c, BEZEL_ERR_FORMAT, "properties", "not an object");
    size_t n = bezel_value_type(map) == BEZEL_MAP ? bezel_value_count(map) : 0;
    if (n > BZ_SCHEMA_MAX_NODES)
        return bz_schema_refuse(c, BEZEL_ERR_LIMIT, "properties", "more than 4,096");
    uint32_t item = BZ_SCHEMA_NONE, flags = BZ_SCHEMA_OPEN;
    bezel_status status = BEZEL_OK;
    if (bezel_value_type(more) == BEZEL_MAP) {
        size_t before = bz_schema_enter(c, "*");
        status = compile_node(c, &item, more, depth + 1);
        bz_schema_leave(c, before);
        flags |= BZ_SCHEMA_OPEN_ASKED;
    } else if (bezel_value_type(more) == BEZEL_BOOL) {
        flags = bezel_value_bool(more) ? BZ_SCHEMA_OPEN | BZ_SCHEMA_OPEN_ASKED : 0;
    }
    if (status != BEZEL_OK)
        return status;
    bz_schema_property *list = n > 0 ? bz_zalloc_array(s->world, n, sizeof *list) : NULL;
    if (n > 0 && list == NULL)
        return bz_schema_no_memory(c);
    for (size_t i = 0; i < n && status == BEZEL_OK; i++)
        status = add_property(c, &list[i], value, i, depth);
    uint32_t count = (uint32_t)n;
    if (status == BEZEL_OK && !bz_schema_grow(s->world, (void *)&s->properties, &s->properties_capacity, s->n_properties, count,
                                    sizeof *list))
        status = bz_schema_no_memory(c);
    if (status == BEZEL_OK) {
        if (n > 0)
            memcpy(s->properties + s->n_properties, list, n * sizeof *list);
        s->nodes[node].first = s->n_properties;
        s->nodes[node].count = count;
        s->nodes[node].item = item;
        s->nodes[node].flags |= flags;
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

static bezel_status read_array(bz_schema_compiler *c, uint32_t node, const bezel_value *value, uint32_t depth)
{
    bz_schema_node counts = c->schema->nodes[node];
    bezel_status status = bz_schema_read_counts(c, &counts, value, "minItems", "maxItems");
    if (status != BEZEL_OK)
        return status;
    const bezel_value *items = bezel_value_get(value, "items");
    uint32_t item = BZ_SCHEMA_NONE;
    if (bezel_value_type(items) == BEZEL_MAP) {
        size_t before = bz_schema_enter(c, "items");
        status = compile_node(c, &item, items, depth + 1);
        bz_schema_leave(c, before);
    } else if (items != NULL && bezel_value_type(items) != BEZEL_BOOL) {
        bz_schema_warn(c, "items", "not a schema, any item is taken");
    }
    counts.item = item;
    counts.flags |= bezel_value_bool(bezel_value_get(value, "uniqueItems")) ? BZ_SCHEMA_UNIQUE : 0u;
    if (status == BEZEL_OK)
        c->schema->nodes[node] = counts;
    return status;
}

/* --- Unions and references ---------------------------------------------------------------- */

/* Follows "#/$defs/x" by JSON pointer (RFC 6901). NULL when there is no such place. */
static const bezel_value *find_pointer(const bezel_value *root, const char *pointer)
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

static bezel_status follow_ref(bz_schema_compiler *c, uint32_t *out, const bezel_value *value, uint32_t depth)
{
    const bezel_value *target = value;
    for (int hops = 0; bezel_value_get(target, "$ref") != NULL; hops++) {
        const char *ref = bezel_value_text(bezel_value_get(target, "$ref"), NULL);
        if (hops == 16)
            return bz_schema_refuse(c, BEZEL_ERR_UNSUPPORTED, "$ref", "only refers to itself");
        if (ref[0] != '#')
            return bz_schema_refuse(c, BEZEL_ERR_UNSUPPORTED, "$ref", "leaves the schema; only \"#/...\" is followed");
        target = find_pointer(c->schema->root, ref + 1);
        if (target == NULL)
            return bz_schema_refuse(c, BEZEL_ERR_MISSING, "$ref", "points to nothing");
    }
    for (uint32_t i = 0; i < c->schema->n_nodes; i++) {
        if (c->schema->sources[i] == target) {
            *out = i;
            return BEZEL_OK;
        }
    }
    return compile_node(c, out, target, depth + 1);
}

/* Fills a UNION from nodes; one that is left over becomes an alias of its place in the table. */
static bezel_status store_links(bz_schema_compiler *c, uint32_t node, const uint32_t *links, uint32_t count)
{
    bz_schema *s = c->schema;
    if (!bz_schema_grow(s->world, (void *)&s->links, &s->links_capacity, s->n_links, count, sizeof *s->links))
        return bz_schema_no_memory(c);
    memcpy(s->links + s->n_links, links, count * sizeof *links);
    s->nodes[node].kind = BZ_SCHEMA_UNION;
    s->nodes[node].first = s->n_links;
    s->nodes[node].count = count;
    s->n_links += count;
    return BEZEL_OK;
}

enum { UNION_MAX = 32 };

static bezel_status read_alternatives(bz_schema_compiler *c, uint32_t node, const bezel_value *list, uint32_t depth)
{
    uint32_t links[UNION_MAX], count = 0;
    if (bezel_value_type(list) != BEZEL_LIST || bezel_value_count(list) == 0)
        return bz_schema_refuse(c, BEZEL_ERR_FORMAT, "anyOf", "not a list with at least one schema");
    if (bezel_value_count(list) > UNION_MAX)
        return bz_schema_refuse(c, BEZEL_ERR_LIMIT, "anyOf", "more than 32 alternatives");
    for (size_t i = 0; i < bezel_value_count(list); i++) {
        const bezel_value *one = bezel_value_at(list, i);
        if (strcmp(bezel_value_text(bezel_value_get(one, "type"), NULL), "null") == 0) {
            c->schema->nodes[node].flags |= BZ_SCHEMA_NULLABLE;
            continue;
        }
        bezel_status status = compile_node(c, &links[count], one, depth + 1);
        if (status != BEZEL_OK)
            return status;
        count++;
    }
    if (count == 0) {
        c->schema->nodes[node].kind = BZ_SCHEMA_NULL;
        return BEZEL_OK;
    }
    if (count == 1 && links[0] > node && links[0] + 1 == c->schema->n_nodes &&
        c->schema->nodes[links[0]].kind < BZ_SCHEMA_ARRAY) {
        uint32_t flags = c->schema->nodes[node].flags; /* anyOf [x, null] is a nullable x */
        c->schema->nodes[node] = c->schema->nodes[links[0]];
        c->schema->nodes[node].flags |= flags;
        return BEZEL_OK;
    }
    return store_links(c, node, links, count);
}

/* --- Nodes -------------------------------------------------------------------------------- */

static bezel_status new_node(bz_schema_compiler *c, uint32_t *out, const bezel_value *source)
{
    bz_schema *s = c->schema;
    if (s->n_nodes >= BZ_SCHEMA_MAX_NODES)
        return bz_schema_refuse(c, BEZEL_ERR_LIMIT, "properties", "more than 4,096 nodes in one schema");
    if (s->n_nodes == s->nodes_capacity) {
        uint32_t nodes = s->nodes_capacity, sources = s->nodes_capacity;
        if (!bz_schema_grow(s->world, (void *)&s->sources, &sources, s->n_nodes, 1, sizeof *s->sources) ||
            !bz_schema_grow(s->world, (void *)&s->nodes, &nodes, s->n_nodes, 1, sizeof *s->nodes))
            return bz_schema_no_memory(c);
        s->nodes_capacity = nodes;
    }
    bz_schema_node *node = &s->nodes[s->n_nodes];
    memset(node, 0, sizeof *node);
    node->item = node->pattern = BZ_SCHEMA_NONE;
    node->min_count = node->max_count = -1;
    node->min_integer = INT64_MIN;
    node->max_integer = INT64_MAX;
    s->sources[s->n_nodes] = source;
    *out = s->n_nodes++;
    return BEZEL_OK;
}

/* What a schema without "type" means. */
static uint32_t guess_kind(const bezel_value *value)
{
    if (bezel_value_get(value, "properties") != NULL)
        return BZ_SCHEMA_OBJECT;
    if (bezel_value_get(value, "items") != NULL)
        return BZ_SCHEMA_ARRAY;
    if (bezel_value_get(value, "pattern") != NULL || bezel_value_get(value, "maxLength") != NULL ||
        bezel_value_get(value, "minLength") != NULL)
        return BZ_SCHEMA_STRING;
    if (bezel_value_get(value, "minimum") != NULL || bezel_value_get(value, "maximum") != NULL)
        return BZ_SCHEMA_NUMBER;
    return BZ_SCHEMA_ANY;
}

static bezel_status fill_kind(bz_schema_compiler *c, uint32_t node, const bezel_value *value, uint32_t depth)
{
    bz_schema_node *at = &c->schema->nodes[node];
    const bezel_value *format = bezel_value_get(value, "format");
    if (bezel_value_type(format) == BEZEL_TEXT)
        at->format = bezel_value_text(format, NULL);
    if (at->kind == BZ_SCHEMA_OBJECT) {
        warn_required(c, value);
        return read_object(c, node, value, depth);
    }
    bezel_status status = bz_schema_read_enum(c, at, value);
    if (status != BEZEL_OK)
        return status;
    switch (at->kind) {
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
    return store_links(c, node, links, n);
}

enum { MERGED_MAX = 4 * BZ_SCHEMA_MAX_NODES }; /* properties of a table with merged objects: parts may be shared */

/* Gives `node` the properties of `part`, too; of two with one name the first counts, and it is required if either is. */
static bezel_status merge_object(bz_schema_compiler *c, uint32_t node, uint32_t part)
{
    bz_schema *s = c->schema;
    uint32_t count = s->nodes[node].count, more = s->nodes[part].count;
    if (s->n_properties + count + more > MERGED_MAX)
        return bz_schema_refuse(c, BEZEL_ERR_LIMIT, "allOf", "more than 16,384 properties in one tool");
    if (!bz_schema_grow(s->world, (void *)&s->properties, &s->properties_capacity, s->n_properties, count + more,
                        sizeof *s->properties))
        return bz_schema_no_memory(c);
    bz_schema_property *out = s->properties + s->n_properties;
    for (uint32_t i = 0; i < count; i++)
        out[i] = s->properties[s->nodes[node].first + i];
    for (uint32_t i = 0; i < more; i++) {
        const bz_schema_property *p = &s->properties[s->nodes[part].first + i];
        uint32_t k = 0;
        while (k < count && (out[k].name_size != p->name_size || memcmp(out[k].name, p->name, p->name_size) != 0))
            k++;
        if (k < count)
            out[k].required |= p->required;
        else
            out[count++] = *p;
    }
    s->nodes[node].first = s->n_properties;
    s->nodes[node].count = count;
    s->n_properties += count;
    s->nodes[node].flags |= s->nodes[part].flags & BZ_SCHEMA_OPEN_ASKED;
    if (!(s->nodes[part].flags & BZ_SCHEMA_OPEN))
        s->nodes[node].flags &= ~(uint32_t)(BZ_SCHEMA_OPEN | BZ_SCHEMA_OPEN_ASKED);
    if (s->nodes[node].item == BZ_SCHEMA_NONE)
        s->nodes[node].item = s->nodes[part].item;
    return BEZEL_OK;
}

/* allOf is only a way to write one object in parts, beside properties of its own or not; of anything else the first part
 * is taken. Closed if one part is, but all parts' properties are known then: that is what those who write it mean. */
static bezel_status fill_all_of(bz_schema_compiler *c, uint32_t node, const bezel_value *value, uint32_t depth)
{
    const bezel_value *list = bezel_value_get(value, "allOf");
    uint32_t links[UNION_MAX], n = (uint32_t)bezel_value_count(list), objects = 0;
    bezel_status status = BEZEL_OK;
    if (bezel_value_type(list) != BEZEL_LIST || n == 0)
        return bz_schema_refuse(c, BEZEL_ERR_FORMAT, "allOf", "not a list with at least one schema");
    if (bezel_value_count(list) > UNION_MAX)
        return bz_schema_refuse(c, BEZEL_ERR_LIMIT, "allOf", "more than 32 schemas");
    c->schema->nodes[node].kind = BZ_SCHEMA_OBJECT;
    status = read_object(c, node, value, depth);
    for (uint32_t i = 0; i < n && status == BEZEL_OK; i++) {
        status = compile_node(c, &links[i], bezel_value_at(list, i), depth + 1);
        if (status == BEZEL_OK && c->schema->nodes[links[i]].kind == BZ_SCHEMA_OBJECT && links[i] != node) {
            status = merge_object(c, node, links[i]);
            objects++;
        }
    }
    if (status != BEZEL_OK)
        return status;
    if (objects < n && (objects > 0 || n > 1))
        bz_schema_warn(c, "allOf", objects > 0 ? "what is no object is not checked" : "only its first schema is checked");
    if (objects == 0 && c->schema->nodes[node].count == 0)
        return store_links(c, node, links, 1);
    for (uint32_t i = 0; i < c->schema->nodes[node].count; i++) {
        bz_schema_property *p = &c->schema->properties[c->schema->nodes[node].first + i];
        p->required |= (uint32_t)is_required(value, p->name, p->name_size);
    }
    return BEZEL_OK;
}

static bezel_status fill_node(bz_schema_compiler *c, uint32_t node, const bezel_value *value, uint32_t depth)
{
    const bezel_value *type = bezel_value_get(value, "type"), *any = bezel_value_get(value, "anyOf");
    any = any != NULL ? any : bezel_value_get(value, "oneOf");
    const bezel_value *nullable = bezel_value_get(value, "nullable"), *all = bezel_value_get(value, "allOf");
    if (bezel_value_bool(nullable))
        c->schema->nodes[node].flags |= BZ_SCHEMA_NULLABLE;
    bz_schema_warn_unknown(c, value);
    if (any != NULL)
        return read_alternatives(c, node, any, depth);
    uint32_t beside = type == NULL                          ? guess_kind(value)
                      : bezel_value_type(type) == BEZEL_LIST ? BZ_SCHEMA_UNION
                                                             : bz_schema_kind_of(bezel_value_text(type, NULL));
    if (all != NULL && (beside == BZ_SCHEMA_OBJECT || (type == NULL && beside == BZ_SCHEMA_ANY)))
        return fill_all_of(c, node, value, depth);
    if (all != NULL)
        bz_schema_warn(c, "allOf", "beside other keywords, ignored");
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

static bezel_status compile_node(bz_schema_compiler *c, uint32_t *out, const bezel_value *value, uint32_t depth)
{
    if (depth > BZ_SCHEMA_MAX_DEPTH)
        return bz_schema_refuse(c, BEZEL_ERR_LIMIT, "properties", "nested deeper than 64");
    uint32_t type = bezel_value_type(value);
    if (type == BEZEL_MAP && bezel_value_get(value, "$ref") != NULL)
        return follow_ref(c, out, value, depth);
    bezel_status status = new_node(c, out, value);
    if (status != BEZEL_OK || (type == BEZEL_BOOL && bezel_value_bool(value)))
        return status;
    if (type != BEZEL_MAP)
        return bz_schema_refuse(c, BEZEL_ERR_FORMAT, "type", "a schema must be an object");
    return fill_node(c, *out, value, depth);
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
        status = compile_node(c, &root, s->root, 0);
        if (status == BEZEL_OK && c->source->closed && s->nodes[0].kind == BZ_SCHEMA_ANY)
            s->nodes[0].kind = BZ_SCHEMA_OBJECT;
    }
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

const char *bz_schema_kind_name(uint32_t kind)
{
    static const char *const names[] = {"any", "string", "integer", "number", "boolean", "null", "array", "object", "any"};
    return kind < sizeof names / sizeof names[0] ? names[kind] : "any";
}
