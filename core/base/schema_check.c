/* SPDX-License-Identifier: MIT */
/* Reads a value through the node table: conversion, defaults and one named problem. Main invariant: what comes out is
 * valid for its node; the first problem in declared order is the one reported, unknown keys before everything else.
 * Work and depth are bounded, so a recursive schema and a hostile value cannot run away. */
#include "base/schema_impl.h"

#include "base/number.h"
#include "base/utf8.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define CHECK_DEPTH 128u     /* of nodes and values together */
#define CHECK_WORK 1000000u  /* visited nodes of one call: bounds nested anyOf */

static bezel_status apply_node(bezel_value **out, bz_schema_check *k, uint32_t index, const bz_raw *raw);
static bezel_status apply_any(bezel_value **out, bz_schema_check *k, const bz_raw *raw);

/* --- Problems ----------------------------------------------------------------------------- */

static void show_raw(char *out, size_t capacity, const bz_raw *raw)
{
    char text[40];
    switch (raw->kind) {
    case BEZEL_NULL: snprintf(out, capacity, "null"); break;
    case BEZEL_BOOL: snprintf(out, capacity, "%s", raw->truth ? "true" : "false"); break;
    case BEZEL_INTEGER: snprintf(out, capacity, "%lld", (long long)raw->integer); break;
    case BEZEL_NUMBER:
        text[bz_number_format(text, raw->number)] = '\0';
        snprintf(out, capacity, "%s", text);
        break;
    case BEZEL_LIST: snprintf(out, capacity, "a list"); break;
    case BEZEL_MAP: snprintf(out, capacity, "an object"); break;
    default:
        bz_utf8_show(text, sizeof text, raw->text, raw->size);
        snprintf(out, capacity, raw->kind == BEZEL_TEXT ? "\"%s\"" : "%s", text);
    }
}

static bezel_status problem(bz_schema_check *k, const bz_raw *raw, const char *code, const char *format, ...)
    BZ_PRINTF(4, 5);

static bezel_status problem(bz_schema_check *k, const bz_raw *raw, const char *code, const char *format, ...)
{
    char reason[176];
    va_list list;
    va_start(list, format);
    vsnprintf(reason, sizeof reason, format, list);
    va_end(list);
    size_t cut = bz_utf8_cut(reason, strlen(reason));
    reason[cut] = '\0';
    k->problem.code = code;
    k->problem.offset = raw->offset;
    int shown = (int)(k->path_size < 72 ? k->path_size : bz_utf8_cut(k->path, 72));
    snprintf(k->problem.text, sizeof k->problem.text, "%.*s%s%s", shown, k->path, shown > 0 ? " " : "", reason);
    return BEZEL_ERR_PARSE;
}

static bezel_status mismatch(bz_schema_check *k, uint32_t index, const bz_raw *raw, const char *code)
{
    char found[64], valid[128];
    show_raw(found, sizeof found, raw);
    bz_schema_describe(valid, sizeof valid, k->schema, index);
    return problem(k, raw, code, "must be %s, not %s", valid, found);
}

/* Steps into a key (NULL: item i) for the path of problems; the topmost one is the parameter. */
static size_t enter_key(bz_schema_check *k, const char *key, size_t size, size_t i)
{
    size_t before = k->path_size;
    char name[68];
    if (key != NULL)
        bz_utf8_show(name, sizeof name, key, size);
    else
        snprintf(name, sizeof name, "[%zu]", i);
    if (before == 0)
        snprintf(k->problem.parameter, sizeof k->problem.parameter, "%s", name);
    size_t n = strlen(name);
    if (before + n + 2 < sizeof k->path) {
        if (before > 0 && key != NULL)
            k->path[k->path_size++] = '.';
        memcpy(k->path + k->path_size, name, n + 1);
        k->path_size += n;
    }
    return before;
}

static void leave_key(bz_schema_check *k, size_t before)
{
    k->path_size = before;
    k->path[before] = '\0';
    if (before == 0 && k->problem.code == NULL)
        k->problem.parameter[0] = '\0';
}

/* --- Scalars ------------------------------------------------------------------------------ */

/* Every builder answers NULL only when memory or the tree's limit ran out. */
static bezel_status built(bezel_value **out, bezel_value *value)
{
    *out = value;
    return value != NULL ? BEZEL_OK : BEZEL_ERR_MEMORY;
}

static int is_text(const bz_raw *raw)
{
    return raw->kind == BEZEL_TEXT || raw->kind == BZ_RAW_LEXEME;
}

static bezel_status apply_string(bezel_value **out, bz_schema_check *k, uint32_t index, const bz_raw *raw)
{
    const bz_schema_node *node = bz_schema_at(k->schema, index);
    if (raw->kind != BEZEL_TEXT && !(k->coerce && raw->kind == BZ_RAW_LEXEME))
        return mismatch(k, index, raw, "bad_type");
    if (raw->kind == BZ_RAW_LEXEME)
        k->n_coerced++;
    bezel_status status = built(out, bezel_tree_text(k->tree, raw->text, raw->size));
    if (status != BEZEL_OK)
        return status;
    size_t size;
    const char *text = bezel_value_text(*out, &size); /* valid UTF-8 from here on */
    int64_t count = (int64_t)bz_utf8_count(text, size);
    if (node->max_count >= 0 && count > node->max_count)
        return problem(k, raw, "too_long", "must have at most %lld characters, not %lld", (long long)node->max_count,
                       (long long)count);
    if (count < node->min_count)
        return problem(k, raw, "too_short", "must have at least %lld characters, not %lld", (long long)node->min_count,
                       (long long)count);
    int match = node->pattern == BZ_SCHEMA_NONE ? 1 : bz_schema_match(k->schema, node->pattern, text, size);
    if (match == -2)
        return BEZEL_ERR_MEMORY;
    if (match != 1)
        return problem(k, raw, "pattern", "must match the pattern %.80s", node->pattern_text);
    return BEZEL_OK;
}

/* 1 = integer, 2 = number, 3 = too large, 0 = not numeric. */
static int read_numeric(bz_schema_check *k, int64_t *integer, double *number, const bz_raw *raw)
{
    if (raw->kind == BEZEL_INTEGER || raw->kind == BEZEL_NUMBER) {
        *integer = raw->integer;
        *number = raw->number;
        return raw->kind == BEZEL_INTEGER ? 1 : 2;
    }
    if (!is_text(raw) || (raw->kind == BEZEL_TEXT && !k->coerce))
        return 0;
    k->n_coerced += raw->kind == BEZEL_TEXT;
    return bz_lexeme_number(integer, number, raw->text, raw->size);
}

static bezel_status apply_integer(bezel_value **out, bz_schema_check *k, uint32_t index, const bz_raw *raw)
{
    const bz_schema_node *node = bz_schema_at(k->schema, index);
    int64_t x = 0;
    double number = 0;
    int form = read_numeric(k, &x, &number, raw);
    if (form == 2) {
        /* 3.0 is 3; beyond 2^53 a double no longer says which integer was meant */
        if (number != floor(number) || !isfinite(number))
            return mismatch(k, index, raw, "bad_type");
        if (fabs(number) > 9007199254740992.0)
            return mismatch(k, index, raw, "out_of_range");
        x = (int64_t)number;
        k->n_coerced++;
    } else if (form == 3) {
        return mismatch(k, index, raw, "out_of_range");
    } else if (form == 0) {
        return mismatch(k, index, raw, "bad_type");
    }
    if (x < node->min_integer || x > node->max_integer || !bz_schema_is_multiple((double)x, node->multiple))
        return mismatch(k, index, raw, "out_of_range");
    return built(out, bezel_tree_integer(k->tree, x));
}

static bezel_status apply_number(bezel_value **out, bz_schema_check *k, uint32_t index, const bz_raw *raw)
{
    const bz_schema_node *node = bz_schema_at(k->schema, index);
    int64_t integer = 0;
    double x = 0;
    int form = read_numeric(k, &integer, &x, raw);
    if (form == 0 || isnan(x))
        return mismatch(k, index, raw, "bad_type");
    if (form == 3 && (x == 0 || !isfinite(x)))
        return mismatch(k, index, raw, "out_of_range");
    int low = (node->flags & BZ_SCHEMA_HAS_MIN) &&
              ((node->flags & BZ_SCHEMA_MIN_EXCLUSIVE) ? x <= node->minimum : x < node->minimum);
    int high = (node->flags & BZ_SCHEMA_HAS_MAX) &&
               ((node->flags & BZ_SCHEMA_MAX_EXCLUSIVE) ? x >= node->maximum : x > node->maximum);
    if (low || high || !isfinite(x) || !bz_schema_is_multiple(x, node->multiple))
        return mismatch(k, index, raw, "out_of_range");
    return built(out, form == 1 ? bezel_tree_integer(k->tree, integer) : bezel_tree_number(k->tree, x));
}

static int read_truth(int *out, const char *s, size_t n)
{
    static const char *const words[] = {"false", "true", "no", "yes", "off", "on", "0", "1"};
    for (int i = 0; i < 8; i++) {
        if (bz_lexeme_is(s, n, words[i])) {
            *out = i & 1;
            return 1;
        }
    }
    return 0;
}

static bezel_status apply_boolean(bezel_value **out, bz_schema_check *k, uint32_t index, const bz_raw *raw)
{
    int truth = raw->truth;
    if (raw->kind == BEZEL_BOOL)
        return built(out, bezel_tree_bool(k->tree, truth));
    if (!k->coerce || !is_text(raw) || !read_truth(&truth, raw->text, raw->size))
        return mismatch(k, index, raw, "bad_type");
    k->n_coerced += raw->kind == BEZEL_TEXT || !(bz_lexeme_is(raw->text, raw->size, "true") ||
                                                 bz_lexeme_is(raw->text, raw->size, "false"));
    return built(out, bezel_tree_bool(k->tree, truth));
}

/* --- Enums -------------------------------------------------------------------------------- */

static int text_is_member(const bezel_value *member, const char *s, size_t n, int fold)
{
    size_t size;
    const char *text = bezel_value_text(member, &size);
    if (size != n)
        return 0;
    if (!fold)
        return memcmp(text, s, n) == 0;
    for (size_t i = 0; i < n; i++) {
        char a = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] + 32) : text[i];
        char b = s[i] >= 'A' && s[i] <= 'Z' ? (char)(s[i] + 32) : s[i];
        if (a != b)
            return 0;
    }
    return 1;
}

static int raw_is_member(bz_schema_check *k, const bz_raw *raw, const bezel_value *member, int fold)
{
    int64_t integer = 0;
    double number = 0;
    int truth = 0;
    switch (bezel_value_type(member)) {
    case BEZEL_TEXT:
        return (raw->kind == BEZEL_TEXT || (k->coerce && raw->kind == BZ_RAW_LEXEME)) &&
               text_is_member(member, raw->text, raw->size, fold);
    case BEZEL_BOOL:
        if (raw->kind == BEZEL_BOOL)
            return raw->truth == bezel_value_bool(member);
        return k->coerce && is_text(raw) && read_truth(&truth, raw->text, raw->size) && truth == bezel_value_bool(member);
    default: {
        int form = read_numeric(k, &integer, &number, raw);
        return (form == 1 || form == 2) && number == bezel_value_number(member);
    }
    }
}

/* Members that are lists or objects are compared with the whole value. */
static bezel_status apply_whole_enum(bezel_value **out, bz_schema_check *k, uint32_t index, const bz_raw *raw)
{
    const bz_schema_node *node = bz_schema_at(k->schema, index);
    bezel_status status = apply_any(out, k, raw);
    for (uint32_t i = 0; status == BEZEL_OK && i < node->n_values; i++)
        if (bezel_value_equal(*out, bz_schema_member(k->schema, node->first_value + i)))
            return BEZEL_OK;
    return status == BEZEL_OK ? mismatch(k, index, raw, "bad_enum") : status;
}

static bezel_status apply_enum(bezel_value **out, bz_schema_check *k, uint32_t index, const bz_raw *raw)
{
    const bz_schema_node *node = bz_schema_at(k->schema, index);
    if (raw->kind == BEZEL_LIST || raw->kind == BEZEL_MAP)
        return node->kind == BZ_SCHEMA_ANY ? apply_whole_enum(out, k, index, raw) : mismatch(k, index, raw, "bad_type");
    for (int fold = 0; fold <= (k->coerce ? 1 : 0); fold++) {
        uint32_t found = 0, n_found = 0;
        for (uint32_t i = 0; i < node->n_values; i++) {
            if (raw_is_member(k, raw, bz_schema_member(k->schema, node->first_value + i), fold)) {
                found = node->first_value + i;
                n_found++;
                if (!fold)
                    break;
            }
        }
        if (n_found == 1) {
            k->n_coerced += (uint32_t)fold;
            return built(out, bezel_tree_copy(k->tree, bz_schema_member(k->schema, found)));
        }
    }
    return mismatch(k, index, raw, "bad_enum");
}

/* --- Lists and objects -------------------------------------------------------------------- */

/* Quadratic, so each comparison counts as work. */
static bezel_status check_unique(bz_schema_check *k, const bezel_value *list, const bz_raw *raw)
{
    for (size_t i = 1; i < bezel_value_count(list); i++) {
        for (size_t j = 0; j < i; j++) {
            if (++k->work > CHECK_WORK)
                return problem(k, raw, "too_long", "has too many items to compare");
            if (bezel_value_equal(bezel_value_at(list, i), bezel_value_at(list, j)))
                return problem(k, raw, "duplicate_item", "must not have the same item twice (items %zu and %zu)", j + 1,
                               i + 1);
        }
    }
    return BEZEL_OK;
}

static bezel_status apply_items(bezel_value **out, bz_schema_check *k, uint32_t index, const bz_raw *raw)
{
    const bz_schema_node *node = bz_schema_at(k->schema, index);
    if (node->max_count >= 0 && (int64_t)raw->count > node->max_count)
        return problem(k, raw, "too_long", "must have at most %lld items, not %zu", (long long)node->max_count, raw->count);
    if ((int64_t)raw->count < node->min_count)
        return problem(k, raw, "too_short", "must have at least %lld items, not %zu", (long long)node->min_count,
                       raw->count);
    bezel_value *list = bezel_tree_list(k->tree);
    if (list == NULL)
        return BEZEL_ERR_MEMORY;
    size_t i = 0;
    for (const bz_raw *item = raw->first; item != NULL; item = item->next, i++) {
        bezel_value *value = NULL;
        size_t before = enter_key(k, NULL, 0, i);
        bezel_status status =
            apply_node(&value, k, i < node->count ? bz_schema_link(k->schema, node->first + (uint32_t)i) : node->item, item);
        leave_key(k, before);
        if (status != BEZEL_OK)
            return status;
        bezel_value_append(k->tree, list, value);
    }
    *out = list;
    return node->flags & BZ_SCHEMA_UNIQUE ? check_unique(k, list, raw) : BEZEL_OK;
}

/* The value a text of "[...]" or "{...}" spells, where the caller can read such text. */
static const bz_raw *reparse(bz_schema_check *k, const bz_raw *raw, char open, uint32_t kind)
{
    if (!k->coerce || k->parse == NULL || !is_text(raw) || raw->size < 2)
        return NULL;
    size_t i = 0;
    while (i < raw->size && (raw->text[i] == ' ' || raw->text[i] == '\n' || raw->text[i] == '\t'))
        i++;
    if (i == raw->size || raw->text[i] != open)
        return NULL;
    const bz_raw *inner = k->parse(k->ud, raw->text, raw->size);
    return inner != NULL && inner->kind == kind ? inner : NULL;
}

static bezel_status apply_array(bezel_value **out, bz_schema_check *k, uint32_t index, const bz_raw *raw)
{
    if (raw->kind == BEZEL_LIST)
        return apply_items(out, k, index, raw);
    if (raw->kind == BEZEL_MAP && raw->count == 0 && !k->coerce)
        return apply_items(out, k, index, raw); /* an empty Lua table has no kind */
    const bz_raw *inner = reparse(k, raw, '[', BEZEL_LIST);
    if (inner != NULL) {
        k->n_coerced++;
        return apply_items(out, k, index, inner);
    }
    if (!k->coerce || bz_raw_is_null(raw))
        return mismatch(k, index, raw, "bad_type");
    bz_raw item = *raw, list;
    memset(&list, 0, sizeof list);
    item.next = NULL;
    list.kind = BEZEL_LIST;
    list.offset = raw->offset;
    list.first = list.last = &item;
    list.count = 1;
    k->n_wrapped++;
    return apply_items(out, k, index, &list);
}

static const bz_raw *find_key(const bz_raw *map, const char *key, size_t size)
{
    for (const bz_raw *item = map->first; item != NULL; item = item->next)
        if (item->key_size == size && memcmp(item->key, key, size) == 0)
            return item;
    return NULL;
}

static int is_declared(const bz_schema *s, const bz_schema_node *node, const bz_raw *item)
{
    for (uint32_t i = 0; i < node->count; i++) {
        const bz_schema_property *p = bz_schema_property_at(s, node->first + i);
        if (p->name_size == item->key_size && memcmp(p->name, item->key, item->key_size) == 0)
            return 1;
    }
    return 0;
}

static void list_names(char *out, size_t capacity, const bz_schema *s, const bz_schema_node *node)
{
    size_t size = 0;
    out[0] = '\0';
    for (uint32_t i = 0; i < node->count; i++) {
        const bz_schema_property *p = bz_schema_property_at(s, node->first + i);
        int n = snprintf(out + size, capacity - size, "%s%s", i > 0 ? ", " : "", p->name);
        if (n < 0 || (size_t)n >= capacity - size) {
            out[size] = '\0';
            return;
        }
        size += (size_t)n;
    }
    if (size == 0)
        snprintf(out, capacity, "none");
}

/* Does the schema for unknown keys hold for this one? */
static int is_for_key(const bz_schema_check *k, const bz_schema_node *node, const bz_raw *item)
{
    return node->pattern == BZ_SCHEMA_NONE || bz_schema_match(k->schema, node->pattern, item->key, item->key_size) == 1;
}

static int is_refused_key(const bz_schema_check *k, const bz_schema_node *node, const bz_raw *item)
{
    return !(node->flags & BZ_SCHEMA_OPEN) || ((node->flags & BZ_SCHEMA_KEYS_ONLY) && !is_for_key(k, node, item));
}

static bezel_status refuse_unknown(bz_schema_check *k, const bz_schema_node *node, const bz_raw *raw)
{
    for (const bz_raw *item = raw->first; item != NULL; item = item->next) {
        if (is_declared(k->schema, node, item) || !is_refused_key(k, node, item))
            continue;
        char names[120];
        list_names(names, sizeof names, k->schema, node);
        size_t before = enter_key(k, item->key, item->key_size, 0);
        bezel_status status = problem(k, item, "unknown_parameter", "is not a parameter; valid: %s", names);
        leave_key(k, before);
        return status;
    }
    return BEZEL_OK;
}

/* Is null a value of the node? Else it stands for a parameter that is left out. */
static int takes_null(const bz_schema *s, uint32_t index, uint32_t depth)
{
    const bz_schema_node *node = bz_schema_at(s, index);
    if ((node->flags & BZ_SCHEMA_NULLABLE) || node->kind == BZ_SCHEMA_NULL ||
        (node->kind == BZ_SCHEMA_ANY && node->n_values == 0))
        return 1;
    for (uint32_t i = 0; node->kind == BZ_SCHEMA_UNION && depth < 8 && i < node->count; i++)
        if (takes_null(s, bz_schema_link(s, node->first + i), depth + 1))
            return 1;
    return 0;
}

static bezel_status apply_property(bezel_value *map, bz_schema_check *k, const bz_schema_property *p, const bz_raw *raw)
{
    const bz_raw *item = find_key(raw, p->name, p->name_size);
    bezel_value *value = NULL;
    bezel_status status = BEZEL_OK;
    size_t before = enter_key(k, p->name, p->name_size, 0);
    if (item != NULL && bz_raw_is_null(item) && !takes_null(k->schema, p->node, 0))
        item = NULL; /* null for an optional parameter is no parameter */
    if (item != NULL) {
        status = apply_node(&value, k, p->node, item);
    } else if (p->default_value != NULL) {
        value = bezel_tree_copy(k->tree, p->default_value);
        status = value != NULL ? BEZEL_OK : BEZEL_ERR_MEMORY;
    } else if (p->required) {
        char valid[128];
        bz_schema_describe(valid, sizeof valid, k->schema, p->node);
        status = problem(k, raw, "missing_parameter", "is missing; it must be %s", valid);
    }
    leave_key(k, before);
    if (status == BEZEL_OK && value != NULL)
        bezel_value_set_n(k->tree, map, p->name, p->name_size, value);
    return status;
}

static bezel_status apply_others(bezel_value *map, bz_schema_check *k, const bz_schema_node *node, const bz_raw *raw)
{
    for (const bz_raw *item = raw->first; item != NULL; item = item->next) {
        if (is_declared(k->schema, node, item))
            continue;
        bezel_value *value = NULL;
        size_t before = enter_key(k, item->key, item->key_size, 0);
        bezel_status status = apply_node(&value, k, is_for_key(k, node, item) ? node->item : BZ_SCHEMA_NONE, item);
        leave_key(k, before);
        if (status != BEZEL_OK)
            return status;
        bezel_value_set_n(k->tree, map, item->key, item->key_size, value);
    }
    return BEZEL_OK;
}

static bezel_status apply_object(bezel_value **out, bz_schema_check *k, uint32_t index, const bz_raw *raw)
{
    const bz_schema_node *node = bz_schema_at(k->schema, index);
    if (raw->kind != BEZEL_MAP) {
        const bz_raw *inner = reparse(k, raw, '{', BEZEL_MAP);
        if (inner == NULL && !(raw->kind == BEZEL_LIST && raw->count == 0 && !k->coerce))
            return mismatch(k, index, raw, "bad_type");
        if (inner != NULL) {
            k->n_coerced++;
            raw = inner;
        }
    }
    /* Two loops over keys make this quadratic; the caller's limits (64 parameters, 64 KiB) keep it small, and each key
     * counts as work. */
    k->work += (uint32_t)(raw->count > CHECK_WORK ? CHECK_WORK : raw->count);
    bezel_status status = refuse_unknown(k, node, raw);
    bezel_value *map = bezel_tree_map(k->tree);
    if (map == NULL)
        return BEZEL_ERR_MEMORY;
    for (uint32_t i = 0; i < node->count && status == BEZEL_OK; i++)
        status = apply_property(map, k, bz_schema_property_at(k->schema, node->first + i), raw);
    if (status == BEZEL_OK && (node->flags & BZ_SCHEMA_OPEN))
        status = apply_others(map, k, node, raw);
    *out = map;
    const int64_t n = (int64_t)bezel_value_count(map);
    if (status == BEZEL_OK && node->max_count >= 0 && n > node->max_count)
        return problem(k, raw, "too_long", "must have at most %lld keys, not %lld", (long long)node->max_count, (long long)n);
    if (status == BEZEL_OK && n < node->min_count)
        return problem(k, raw, "too_short", "must have at least %lld keys, not %lld", (long long)node->min_count, (long long)n);
    return status;
}

/* --- Any value and unions ----------------------------------------------------------------- */

static bezel_status apply_any_lexeme(bezel_value **out, bz_schema_check *k, const bz_raw *raw)
{
    int64_t integer = 0;
    double number = 0;
    if (bz_raw_is_null(raw))
        return built(out, bezel_tree_null(k->tree));
    if (bz_lexeme_is(raw->text, raw->size, "true") || bz_lexeme_is(raw->text, raw->size, "false"))
        return built(out, bezel_tree_bool(k->tree, (raw->text[0] | 0x20) == 't'));
    int form = bz_lexeme_number(&integer, &number, raw->text, raw->size);
    if (form == 1)
        return built(out, bezel_tree_integer(k->tree, integer));
    if (form == 2)
        return built(out, bezel_tree_number(k->tree, number));
    if (form == 3)
        return problem(k, raw, "out_of_range", "holds a number that is too large");
    return built(out, bezel_tree_text(k->tree, raw->text, raw->size));
}

static bezel_status apply_any(bezel_value **out, bz_schema_check *k, const bz_raw *raw)
{
    switch (raw->kind) {
    case BEZEL_NULL: return built(out, bezel_tree_null(k->tree));
    case BEZEL_BOOL: return built(out, bezel_tree_bool(k->tree, raw->truth));
    case BEZEL_INTEGER: return built(out, bezel_tree_integer(k->tree, raw->integer));
    case BEZEL_NUMBER: return built(out, bezel_tree_number(k->tree, raw->number));
    case BEZEL_TEXT: return built(out, bezel_tree_text(k->tree, raw->text, raw->size));
    case BEZEL_LIST: return apply_items(out, k, BZ_SCHEMA_NONE, raw);
    case BEZEL_MAP: {
        bezel_value *map = bezel_tree_map(k->tree);
        *out = map;
        return map == NULL ? BEZEL_ERR_MEMORY : apply_others(map, k, bz_schema_at(k->schema, BZ_SCHEMA_NONE), raw);
    }
    default: return apply_any_lexeme(out, k, raw);
    }
}

/* Alternatives as they are written first, converted second: "3" stays text where text is allowed. */
static bezel_status apply_union(bezel_value **out, bz_schema_check *k, uint32_t index, const bz_raw *raw)
{
    const bz_schema_node *node = bz_schema_at(k->schema, index);
    int coerce = k->coerce;
    bezel_status status = BEZEL_ERR_PARSE;
    bz_schema_problem first;
    memset(&first, 0, sizeof first);
    for (int pass = 0; pass <= coerce && status == BEZEL_ERR_PARSE; pass++) {
        for (uint32_t i = 0; i < node->count && status == BEZEL_ERR_PARSE; i++) {
            uint32_t coerced = k->n_coerced, wrapped = k->n_wrapped;
            k->coerce = pass;
            k->problem.code = NULL;
            status = apply_node(out, k, bz_schema_link(k->schema, node->first + i), raw);
            if (status == BEZEL_ERR_PARSE) {
                k->n_coerced = coerced;
                k->n_wrapped = wrapped;
                if (first.code == NULL || strcmp(first.code, "bad_type") == 0)
                    first = k->problem;
            }
        }
    }
    k->coerce = coerce;
    if (status == BEZEL_OK)
        k->problem.code = NULL;
    else if (status == BEZEL_ERR_PARSE)
        k->problem = first;
    return status;
}

/* A pass without conversion still has to give unquoted text its natural type. */
static const bz_raw *type_lexeme(bz_raw *out, const bz_raw *raw)
{
    int64_t integer = 0;
    double number = 0;
    *out = *raw;
    if (bz_raw_is_null(raw)) {
        out->kind = BEZEL_NULL;
    } else if (bz_lexeme_is(raw->text, raw->size, "true") || bz_lexeme_is(raw->text, raw->size, "false")) {
        out->kind = BEZEL_BOOL;
        out->truth = (raw->text[0] | 0x20) == 't';
    } else {
        int form = bz_lexeme_number(&integer, &number, raw->text, raw->size);
        out->kind = form == 1 ? BEZEL_INTEGER : form == 2 ? BEZEL_NUMBER : form == 3 ? BZ_RAW_LEXEME : BEZEL_TEXT;
        out->integer = integer;
        out->number = number;
    }
    return out;
}

/* What the table does not hold, on the finished value. */
static bezel_status check_asserts(bz_schema_check *k, uint32_t index, const bz_raw *raw, const bezel_value *value)
{
    const uint32_t asserts = bz_schema_at(k->schema, index)->asserts, parts = asserts & (BZ_ASSERT_ALL_OF | BZ_ASSERT_REF);
    const char *keyword = parts != 0 ? bz_schema_refusing(k->schema, k->schema->sources[index], parts, value) : NULL;
    if (keyword == NULL && asserts != parts)
        keyword = bz_schema_refusing(k->schema, k->schema->flats[index], asserts & ~parts, value);
    return keyword == NULL ? BEZEL_OK : problem(k, raw, "bad_value", "does not meet \"%s\" of its schema", keyword);
}

static bezel_status apply_node(bezel_value **out, bz_schema_check *k, uint32_t index, const bz_raw *raw)
{
    const bz_schema_node *node = bz_schema_at(k->schema, index);
    bz_raw typed;
    bezel_status status;
    if (++k->work > CHECK_WORK || k->depth >= CHECK_DEPTH)
        return problem(k, raw, "too_deep", "is nested too deep");
    if (!k->coerce && raw->kind == BZ_RAW_LEXEME)
        raw = type_lexeme(&typed, raw);
    if ((node->flags & BZ_SCHEMA_NULLABLE) && bz_raw_is_null(raw))
        return built(out, bezel_tree_null(k->tree));
    k->depth++;
    if (node->n_values > 0 && node->kind < BZ_SCHEMA_ARRAY) { /* ANY, too: there members may be lists and objects */
        status = apply_enum(out, k, index, raw);
    } else {
        switch (node->kind) {
        case BZ_SCHEMA_STRING: status = apply_string(out, k, index, raw); break;
        case BZ_SCHEMA_INTEGER: status = apply_integer(out, k, index, raw); break;
        case BZ_SCHEMA_NUMBER: status = apply_number(out, k, index, raw); break;
        case BZ_SCHEMA_BOOLEAN: status = apply_boolean(out, k, index, raw); break;
        case BZ_SCHEMA_NULL:
            status = bz_raw_is_null(raw) ? built(out, bezel_tree_null(k->tree)) : mismatch(k, index, raw, "bad_type");
            break;
        case BZ_SCHEMA_ARRAY: status = apply_array(out, k, index, raw); break;
        case BZ_SCHEMA_OBJECT: status = apply_object(out, k, index, raw); break;
        case BZ_SCHEMA_UNION: status = apply_union(out, k, index, raw); break;
        default: status = apply_any(out, k, raw);
        }
    }
    k->depth--;
    return status == BEZEL_OK && node->asserts != 0 ? check_asserts(k, index, raw, *out) : status;
}

/* --- Public ------------------------------------------------------------------------------- */

bezel_status bz_schema_apply(bezel_value **out, bz_schema_check *check, uint32_t node, const bz_raw *raw)
{
    bezel_value *value = NULL;
    check->depth = check->work = 0;
    check->path_size = 0;
    check->path[0] = '\0';
    memset(&check->problem, 0, sizeof check->problem);
    bezel_status status = apply_node(&value, check, node, raw);
    if (status == BEZEL_OK && bezel_tree_status(check->tree) != BEZEL_OK)
        status = BEZEL_ERR_MEMORY;
    *out = status == BEZEL_OK ? value : NULL;
    return status;
}

bezel_status bz_schema_apply_value(bezel_value **out, bz_schema_check *check, uint32_t node, bz_arena *arena,
                                   const bezel_value *value)
{
    const bz_raw *raw = bz_raw_from_value(arena, value);
    *out = NULL;
    if (raw == NULL)
        return BEZEL_ERR_MEMORY;
    check->coerce = 0;
    return bz_schema_apply(out, check, node, raw);
}
