/* SPDX-License-Identifier: MIT */
/* Choices: anyOf, oneOf, and the branches of if. Main invariant: each alternative is a whole schema, keywords beside the choice
 * are in each of them; what a union cannot say (exactly one, which branch) is asserted of the finished value. */
#include "base/schema_compile.h"

#include <string.h>

/* 1 when a value of one of these kinds is none of the other. */
static int are_kinds_apart(const bz_schema_node *a, const bz_schema_node *b)
{
    const uint32_t low = a->kind < b->kind ? a->kind : b->kind, high = a->kind < b->kind ? b->kind : a->kind;
    if (low == BZ_SCHEMA_ANY || high == BZ_SCHEMA_UNION || low == high || (a->flags & b->flags & BZ_SCHEMA_NULLABLE))
        return 0;
    return !(low == BZ_SCHEMA_INTEGER && high == BZ_SCHEMA_NUMBER);
}

static int are_members_apart(const bz_schema *s, const bz_schema_node *a, const bz_schema_node *b)
{
    if (a->n_values == 0 || b->n_values == 0 || (a->flags & b->flags & BZ_SCHEMA_NULLABLE))
        return 0;
    for (uint32_t i = 0; i < a->n_values; i++)
        for (uint32_t k = 0; k < b->n_values; k++)
            if (bezel_value_equal(s->members[a->first_value + i], s->members[b->first_value + k]))
                return 0;
    return 1;
}

/* No value is valid for both, as far as that shows: other kinds, other members, or a required property that tells them
 * apart. */
static int are_apart(const bz_schema *s, uint32_t i, uint32_t k)
{
    const bz_schema_node *a = bz_schema_at(s, i), *b = bz_schema_at(s, k);
    if (are_kinds_apart(a, b) || are_members_apart(s, a, b))
        return 1;
    for (uint32_t x = 0; a->kind == BZ_SCHEMA_OBJECT && b->kind == BZ_SCHEMA_OBJECT && x < a->count; x++)
        for (uint32_t y = 0; y < b->count; y++) {
            const bz_schema_property *p = &s->properties[a->first + x], *q = &s->properties[b->first + y];
            if (p->required && q->required && p->name_size == q->name_size && memcmp(p->name, q->name, p->name_size) == 0 &&
                (are_members_apart(s, bz_schema_at(s, p->node), bz_schema_at(s, q->node)) ||
                 are_kinds_apart(bz_schema_at(s, p->node), bz_schema_at(s, q->node))))
                return 1;
        }
    return 0;
}

static bezel_status check_exclusive(bz_schema_compiler *c, uint32_t node, const uint32_t *links, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++)
        for (uint32_t k = 0; k < i; k++)
            if (!are_apart(c->schema, links[i], links[k]))
                return bz_schema_assert(c, node, BZ_ASSERT_ONE_OF, "oneOf",
                                        "that only one alternative holds is checked afterwards");
    return BEZEL_OK;
}

/* Makes the node a union of schemas. */
static bezel_status fill_union(bz_schema_compiler *c, uint32_t node, const bezel_value *const *list, uint32_t n, uint32_t depth,
                               int exclusive)
{
    uint32_t links[BZ_SCHEMA_MAX_PARTS], count = 0;
    for (uint32_t i = 0; i < n; i++) {
        if (strcmp(bezel_value_text(bezel_value_get(list[i], "type"), NULL), "null") == 0) {
            c->schema->nodes[node].flags |= BZ_SCHEMA_NULLABLE;
            continue;
        }
        bezel_status status = bz_schema_compile_node(c, &links[count], list[i], depth + 1);
        if (status != BEZEL_OK)
            return status;
        count++;
    }
    if (count == 0) {
        c->schema->nodes[node].kind = BZ_SCHEMA_NULL;
        return BEZEL_OK;
    }
    if (count == 1 && links[0] > node && links[0] + 1 == c->schema->n_nodes &&
        c->schema->nodes[links[0]].kind < BZ_SCHEMA_ARRAY && c->schema->nodes[links[0]].asserts == 0) {
        uint32_t flags = c->schema->nodes[node].flags, asserts = c->schema->nodes[node].asserts;
        c->schema->nodes[node] = c->schema->nodes[links[0]]; /* anyOf [x, null] is a nullable x */
        c->schema->nodes[node].flags |= flags;
        c->schema->nodes[node].asserts = asserts;
        return BEZEL_OK;
    }
    c->schema->nodes[node].kind = BZ_SCHEMA_UNION;
    bezel_status status = bz_schema_store_links(c, &c->schema->nodes[node], links, count);
    return status == BEZEL_OK && exclusive ? check_exclusive(c, node, links, count) : status;
}

/* Does the schema say anything about values? */
static int is_telling(const bezel_value *value)
{
    for (size_t i = 0; i < bezel_value_count(value); i++)
        if (!bz_schema_is_annotation(bezel_value_key(value, i, NULL)))
            return 1;
    return 0;
}

/* anyOf and oneOf. Keywords beside them hold for each alternative; one that cannot be with them falls away. */
bezel_status bz_schema_fill_alternatives(bz_schema_compiler *c, uint32_t node, const bezel_value *value, uint32_t depth)
{
    static const char *const both[] = {"anyOf", "oneOf", NULL}, *const any[] = {"anyOf", NULL}, *const one[] = {"oneOf", NULL};
    const bezel_value *list = bezel_value_get(value, "anyOf"), *parts[BZ_SCHEMA_MAX_PARTS], *rest;
    const char *keyword = list != NULL ? "anyOf" : "oneOf";
    const int is_one = list == NULL, has_both = list != NULL && bezel_value_get(value, "oneOf") != NULL;
    bezel_status status = BEZEL_OK;
    uint32_t n = 0;
    list = is_one ? bezel_value_get(value, "oneOf") : list;
    if (bezel_value_type(list) != BEZEL_LIST || bezel_value_count(list) == 0)
        return bz_schema_refuse(c, BEZEL_ERR_FORMAT, keyword, "not a list with at least one schema");
    if (bezel_value_count(list) > BZ_SCHEMA_MAX_PARTS)
        return bz_schema_refuse(c, BEZEL_ERR_LIMIT, keyword, "more than 32 alternatives");
    rest = bz_schema_without(c, value, has_both ? both : is_one ? one : any);
    if (has_both)
        status = bz_schema_assert(c, node, BZ_ASSERT_ONE_OF, "oneOf", "beside anyOf it is checked afterwards");
    for (size_t i = 0; i < bezel_value_count(list) && status == BEZEL_OK; i++) {
        const bezel_value *alternative = bezel_value_at(list, i);
        bz_schema_merged merged = {value, 0, 0};
        if (bz_schema_is_never(alternative))
            continue;
        if (is_telling(rest))
            alternative = bz_schema_merge(c, rest, alternative, &merged, 0);
        if (merged.loose)
            status = bz_schema_assert(c, node, is_one ? BZ_ASSERT_ONE_OF : BZ_ASSERT_ANY_OF, keyword,
                                      "some keywords of it are checked afterwards");
        if (!merged.impossible)
            parts[n++] = alternative;
    }
    if (status == BEZEL_OK)
        status = bz_schema_check_tree(c);
    for (size_t i = 0; n == 0 && i < bezel_value_count(list); i++) {
        if (i == 0)
            bz_schema_warn(c, keyword, "no alternative goes with what stands beside it, which is ignored");
        parts[i] = bezel_value_at(list, i);
    }
    n = n == 0 ? (uint32_t)bezel_value_count(list) : n;
    return status == BEZEL_OK ? fill_union(c, node, parts, n, depth, is_one) : status;
}

/* if, then, else: a value either meets "if" and "then" or meets "else". What the second way leaves open is checked afterwards. */
bezel_status bz_schema_fill_branches(bz_schema_compiler *c, uint32_t node, const bezel_value *value, uint32_t depth)
{
    static const char *const keywords[] = {"if", "then", "else", NULL};
    const bezel_value *rest = bz_schema_without(c, value, keywords), *parts[2];
    const bezel_value *then = bezel_value_get(value, "then"), *otherwise = bezel_value_get(value, "else");
    bz_schema_merged first = {value, 0, 0}, second = {value, 0, 0};
    bezel_status status = bz_schema_assert(c, node, BZ_ASSERT_IF, "if", "which branch holds is checked afterwards");
    uint32_t n = 0;
    parts[n] = bz_schema_merge(c, rest, bezel_value_get(value, "if"), &first, 0);
    if (then != NULL)
        parts[n] = bz_schema_merge(c, parts[n], then, &first, 0);
    n += first.impossible ? 0U : 1U;
    parts[n] = otherwise != NULL ? bz_schema_merge(c, rest, otherwise, &second, 0) : rest;
    n += second.impossible ? 0U : 1U;
    if (n == 0)
        parts[n++] = rest;
    if (status == BEZEL_OK)
        status = bz_schema_check_tree(c);
    return status == BEZEL_OK ? fill_union(c, node, parts, n, depth, 0) : status;
}
