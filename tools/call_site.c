/* SPDX-License-Identifier: MIT */
/* Names and arguments of a call. Main invariant: a name only ever selects a registered tool; arguments that are not valid
 * never become an empty table, they become a named error. Soft errors (a wrong value) leave the cursor behind the call,
 * hard ones (no end in sight) leave scan->code. Does not decide whether text is a call site. */
#include "call_site.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/utf8.h"
#include "call_string.h"

static void note(bz_site_call *call, const char *code, const char *parameter, const char *format, ...) BZ_PRINTF(4, 5);

/* The first problem of a call is the one that is told. */
static void note(bz_site_call *call, const char *code, const char *parameter, const char *format, ...)
{
    if (call->code != NULL)
        return;
    va_list list;
    va_start(list, format);
    vsnprintf(call->message, sizeof call->message, format, list);
    va_end(list);
    call->message[bz_utf8_cut(call->message, strlen(call->message))] = '\0';
    snprintf(call->parameter, sizeof call->parameter, "%s", parameter != NULL ? parameter : "");
    call->code = code;
}

/* --- Names -------------------------------------------------------------------------------- */

void bz_call_describe_unknown(bz_site_call *call, const bezel_toolset *tools)
{
    char name[72];
    bz_utf8_show(name, sizeof name, call->name, call->name_size);
    note(call, "unknown_function", NULL, "there is no function %s; available:", name);
    size_t size = strlen(call->message);
    for (size_t i = 0; i < tools->count; i++) {
        int n = snprintf(call->message + size, sizeof call->message - size, "%s %s", i > 0 ? "," : "", tools->tools[i].name);
        if (n < 0 || (size_t)n >= sizeof call->message - size) {
            call->message[size] = '\0'; /* whole names only */
            break;
        }
        size += (size_t)n;
    }
    if (tools->count == 0)
        snprintf(call->message + size, sizeof call->message - size, " none");
}

static bz_site_call *begin_call(bz_site *site, size_t at, const char *name, size_t size)
{
    bz_scan *scan = &site->scan;
    if (site->count > BZ_CALL_COUNT)
        site->count = BZ_CALL_COUNT; /* the surplus one is overwritten; its presence alone counts */
    bz_site_call *call = &site->calls[site->count];
    int changed = 0;
    memset(call, 0, sizeof *call);
    call->offset = scan->base + at;
    call->name = bz_arena_text(scan->arena, name, size);
    call->name_size = size;
    call->args = bz_arena_alloc(scan->arena, sizeof *call->args);
    if (call->name == NULL || call->args == NULL) {
        scan->failed = 1;
        return NULL;
    }
    call->args->kind = BEZEL_MAP;
    call->args->offset = call->offset;
    call->tool = bz_tool_resolve(&changed, scan->tools, name, size);
    if (call->tool == NULL)
        bz_call_describe_unknown(call, scan->tools);
    else
        scan->warnings[BZ_WARN_NAME_NORMALISED] += (uint32_t)changed;
    site->current = call;
    return call;
}

static int end_call(bz_site *site)
{
    if (bz_scan_stuck(&site->scan))
        return 0;
    site->count++;
    site->current = NULL;
    return 1;
}

/* --- Arguments ---------------------------------------------------------------------------- */

/* A declared name that is no identifier ("user-id", "@timestamp") before a separator. */
static size_t odd_key(bz_scan *scan, const bz_tool *tool)
{
    for (size_t i = 0; tool != NULL && i < bz_tool_parameter_count(tool); i++) {
        const bz_schema_property *p = bz_tool_parameter(tool, i);
        size_t same = 0;
        while (same < p->name_size && bz_scan_peek(scan, same) == (unsigned char)p->name[same])
            same++;
        if (same > 0 && same == p->name_size && (bz_scan_peek(scan, same) == '=' || bz_scan_peek(scan, same) == ':'))
            return same;
    }
    return 0;
}

/* The key at the cursor, and behind it its separator. A quoted text without separator is a positional value. */
static int scan_argument_key(bz_site *site, const bz_tool *tool, const char **key, size_t *size, bz_raw **value)
{
    bz_scan *scan = &site->scan;
    int separator = 0;
    bz_quote quote = bz_quote_at(scan);
    if (bz_scan_stuck(scan))
        return 0;
    if (quote.kind != BZ_QUOTE_NONE) {
        bz_value_place place = {BZ_IN_KEY, tool, 0, 0, NULL, 0};
        bz_raw *raw = bz_string_scan(scan, &place, quote);
        if (raw == NULL)
            return 0;
        size_t behind = scan->i;
        bz_scan_blanks(scan, 1);
        separator = bz_scan_peek(scan, 0);
        if ((separator != ':' && separator != '=') || scan->more) {
            scan->i = behind;
            *value = raw;
            return 0;
        }
        *key = raw->text;
        *size = raw->size;
        scan->i++;
        return separator;
    }
    size_t n = 0;
    if (!bz_scan_key(scan, scan->i, &n, &separator)) {
        n = odd_key(scan, tool);
        if (n == 0)
            return 0;
        separator = bz_scan_peek(scan, n);
    }
    if (bz_scan_stuck(scan))
        return 0;
    *key = bz_arena_text(scan->arena, scan->s + scan->i, n);
    *size = n;
    scan->failed |= *key == NULL;
    size_t at = scan->i + n;
    while (bz_scan_at(scan, at) == ' ')
        at++;
    if (separator == ':' && bz_scan_at(scan, at + 1) == '/' && bz_scan_at(scan, at + 2) == '/')
        return 0; /* an address, not a key */
    scan->i = at + 1;
    return separator;
}

/* Behind an argument: a separator, the closer, or the next key. */
static void expect_next(bz_scan *scan, const bz_tool *tool)
{
    size_t size;
    int separator;
    bz_scan_blanks(scan, 1);
    int c = bz_scan_peek(scan, 0);
    if (c < 0 || c == ',' || c == ';' || c == ')' || c == '}' || bz_scan_stuck(scan))
        return;
    if (!bz_scan_key(scan, scan->i, &size, &separator) && !bz_value_quoted(scan) && odd_key(scan, tool) == 0)
        bz_scan_fail(scan, "syntax", "expected a comma or the closing bracket");
}

static void scan_argument(bz_site *site, bz_site_call *call, int *complete)
{
    bz_scan *scan = &site->scan;
    const char *key = NULL;
    size_t size = 0, at = scan->i;
    bz_raw *value = NULL;
    char shown[72];
    if (call->args->count >= BZ_CALL_ARGUMENTS) {
        bz_scan_fail(scan, "too_many_arguments", "more than 64 arguments");
        return;
    }
    *complete = 1;
    int separator = scan_argument_key(site, call->tool, &key, &size, &value);
    if (bz_scan_stuck(scan))
        return;
    bz_utf8_show(shown, sizeof shown, key != NULL && separator ? key : "", separator ? size : 0);
    if (value == NULL) {
        bz_value_place place = {BZ_IN_ARGUMENTS, call->tool, separator, 0, NULL, 0};
        bz_scan_blanks(scan, 1);
        value = bz_value_scan(scan, &place);
        *complete = place.complete;
        if (bz_scan_stuck(scan))
            return;
        if (place.nested != NULL)
            note(call, "nested_call", shown, "%s holds a call of %s; call %s first and use its result", shown, place.nested,
                 place.nested);
        if (value == NULL) {
            int c = bz_scan_peek(scan, 0);
            if (separator && (c == ',' || c == ')' || c == '}'))
                note(call, "syntax", shown, "%s has no value", shown);
            else
                bz_scan_fail(scan, scan->ended ? "truncated" : "syntax", "expected a value");
            return;
        }
    }
    value->key = separator ? key : NULL;
    value->key_size = separator ? size : 0;
    value->offset = scan->base + at;
    scan->warnings[BZ_WARN_POSITIONAL] += separator == 0;
    bz_raw_append(call->args, value);
    expect_next(scan, call->tool);
}

/* Up to the closing bracket. */
static void scan_arguments(bz_site *site, bz_site_call *call, int close)
{
    bz_scan *scan = &site->scan;
    int complete = 0;
    while (!bz_scan_stuck(scan)) {
        bz_scan_blanks(scan, 1);
        int c = bz_scan_peek(scan, 0);
        if (c == close) {
            scan->i++;
            return;
        }
        if (c == ',' || c == ';') {
            scan->i++;
        } else if (c < 0) {
            if (bz_scan_stuck(scan))
                return;
            if (scan->repair_tail && !scan->cut && complete) {
                call->repaired = 1;
                scan->warnings[BZ_WARN_REPAIRED]++;
                return;
            }
            bz_scan_fail(scan, "truncated", "the call has no closing bracket");
        } else if (c == ')' || c == '}' || c == ']') {
            bz_scan_fail(scan, "syntax", "a bracket that closes nothing");
        } else {
            scan_argument(site, call, &complete);
        }
    }
}

/* --- name(args) --------------------------------------------------------------------------- */

/* A name alone counts before the end of its line (or the tag that closes it). */
static int is_line_end(bz_scan *scan, size_t i)
{
    int c = bz_scan_at(scan, i);
    while (c == ' ' || c == '\t' || c == '\r' || c == '`' || c == '*')
        c = bz_scan_at(scan, ++i);
    return c == '\n' || c == '<' || (c < 0 && scan->ended);
}

int bz_call_scan(bz_site *site, int flags)
{
    bz_scan *scan = &site->scan;
    int in_print = 0;
    if (bz_scan_take(scan, "print(")) {
        in_print = 1;
        bz_scan_blanks(scan, 1);
    }
    if (bz_scan_take(scan, "call:"))
        bz_scan_blanks(scan, 0);
    size_t at = scan->i, n = bz_scan_name(scan, at);
    if (bz_scan_stuck(scan) || n == 0)
        return 0;
    if (n > BZ_CALL_NAME_BYTES) {
        scan->i = at + n;
        bz_scan_fail(scan, "syntax", "a function name of more than 128 bytes");
        return 0;
    }
    bz_site_call *call = begin_call(site, at, scan->s + at, n);
    if (call == NULL || (call->tool == NULL && !(flags & BZ_SITE_REPORT))) {
        site->current = NULL;
        return 0;
    }
    size_t behind = at + n;
    while (bz_scan_at(scan, behind) == ' ')
        behind++;
    int c = bz_scan_at(scan, behind);
    if (bz_scan_stuck(scan))
        return 0;
    scan->i = at + n;
    if (c == '(' || c == '{') {
        scan->i = behind + 1;
        scan_arguments(site, call, c == '(' ? ')' : '}');
    } else if ((flags & BZ_SITE_BARE_NAME) && is_line_end(scan, behind)) {
        if (scan->ended && scan->cut)
            bz_scan_fail(scan, "truncated", "the output ends inside a name");
    } else {
        if (flags & BZ_SITE_REPORT)
            bz_scan_fail(scan, "syntax", "expected ( behind the function name");
        return 0;
    }
    if (in_print && !bz_scan_stuck(scan)) {
        bz_scan_blanks(scan, 1);
        if (bz_scan_peek(scan, 0) == ')')
            scan->i++;
    }
    return end_call(site);
}

/* --- JSON --------------------------------------------------------------------------------- */

static const bz_raw *find_member(const bz_raw *map, const char *const *names)
{
    for (size_t k = 0; names[k] != NULL; k++)
        for (const bz_raw *item = map->first; item != NULL; item = item->next)
            if (item->key_size == strlen(names[k]) && memcmp(item->key, names[k], item->key_size) == 0)
                return item;
    return NULL;
}

static int json_object(bz_site *site, const bz_raw *map, int flags, unsigned depth);

static int json_list(bz_site *site, const bz_raw *list, int flags, unsigned depth)
{
    for (const bz_raw *item = list->first; item != NULL; item = item->next)
        if (!json_object(site, item, flags, depth))
            return 0;
    return list->count > 0;
}

/* Arguments as an object, as text that holds one, or none. */
static const bz_raw *json_arguments(bz_site *site, const bz_raw *args)
{
    if (args == NULL || bz_raw_is_null(args) || args->kind == BEZEL_MAP)
        return args;
    if (args->kind != BEZEL_TEXT)
        return NULL;
    if (args->size == 0)
        return args;
    const bz_raw *inner = bz_value_parse_text(&site->scan, args->text, args->size);
    return inner != NULL && inner->kind == BEZEL_MAP ? inner : NULL;
}

static int json_take(bz_site *site, const bz_raw *map, const char *name, size_t size, const bz_raw *args)
{
    bz_site_call *call = begin_call(site, map->offset - site->scan.base, name, size);
    if (call == NULL)
        return 0;
    size_t count = 0;
    if (args != NULL && args->kind == BEZEL_MAP) {
        *call->args = *args;
        count = args->count;
    }
    if (count > BZ_CALL_ARGUMENTS)
        bz_scan_fail(&site->scan, "too_many_arguments", "more than 64 arguments");
    return end_call(site);
}

static int json_object(bz_site *site, const bz_raw *map, int flags, unsigned depth)
{
    static const char *const name_keys[] = {"name", "function", "tool", "tool_name", "function_name", NULL};
    static const char *const argument_keys[] = {"arguments", "parameters", "args", "params", NULL};
    static const char *const list_keys[] = {"tool_calls", NULL};
    int changed;
    if (map->kind != BEZEL_MAP || depth > 3)
        return 0;
    const bz_raw *list = find_member(map, list_keys);
    if (list != NULL && list->kind == BEZEL_LIST)
        return json_list(site, list, flags, depth + 1);
    const bz_raw *name = find_member(map, name_keys), *given = find_member(map, argument_keys);
    if (name != NULL && name->kind == BEZEL_MAP)
        return json_object(site, name, flags, depth + 1); /* {"type":"function","function":{...}} */
    if (name != NULL && name->kind == BEZEL_TEXT && name->size > 0 && name->size <= BZ_CALL_NAME_BYTES) {
        const bz_raw *args = json_arguments(site, given);
        int known = bz_tool_resolve(&changed, site->scan.tools, name->text, name->size) != NULL;
        if (given != NULL && args == NULL) {
            if (known || (flags & BZ_SITE_REPORT))
                bz_scan_fail(&site->scan, "syntax", "arguments must be an object");
            return 0;
        }
        /* a name alone is data as often as it is a call */
        if (!known && given == NULL && !(flags & BZ_SITE_REPORT))
            return 0;
        return json_take(site, map, name->text, name->size, args);
    }
    if (map->count == 1 && map->first->kind == BEZEL_MAP && map->first->key_size <= BZ_CALL_NAME_BYTES &&
        bz_tool_resolve(&changed, site->scan.tools, map->first->key, map->first->key_size) != NULL)
        return json_take(site, map, map->first->key, map->first->key_size, map->first);
    return 0;
}

int bz_call_scan_json(bz_site *site, int flags)
{
    bz_scan *scan = &site->scan;
    bz_value_place place = {BZ_IN_LIST, NULL, 0, 0, NULL, 0};
    const bz_raw *raw = bz_value_scan(scan, &place);
    if (raw == NULL || bz_scan_stuck(scan))
        return 0;
    scan->warnings[BZ_WARN_JSON]++;
    return raw->kind == BEZEL_LIST ? json_list(site, raw, flags, 0) : json_object(site, raw, flags, 0);
}

/* --- Binding ------------------------------------------------------------------------------ */

/* Equal as values: quotes do not count. */
static int same_value(const bz_raw *a, const bz_raw *b)
{
    int texts = (a->kind == BEZEL_TEXT || a->kind == BZ_RAW_LEXEME) && (b->kind == BEZEL_TEXT || b->kind == BZ_RAW_LEXEME);
    if (texts)
        return a->size == b->size && memcmp(a->text, b->text, a->size) == 0;
    return bz_raw_equal(a, b);
}

static bz_raw *find_bound(const bz_raw *map, const char *name, size_t size)
{
    for (bz_raw *item = map->first; item != NULL; item = item->next)
        if (item->key_size == size && memcmp(item->key, name, size) == 0)
            return item;
    return NULL;
}

/* f({"city": "Paris"}): one object whose keys are all parameters is the table of arguments. */
static bz_raw *unwrap_table(const bz_site_call *call)
{
    bz_raw *only = call->args->first;
    if (call->args->count != 1 || only->key != NULL || only->kind != BEZEL_MAP)
        return call->args;
    for (const bz_raw *item = only->first; item != NULL; item = item->next)
        if (bz_tool_parameter_find(call->tool, item->key, item->key_size) == NULL)
            return call->args;
    return only;
}

/* Gives each argument the name of its parameter. */
static void name_arguments(bz_site_call *call, bz_scan *scan, bz_raw *out)
{
    bz_raw *args = unwrap_table(call), *next;
    char shown[72];
    out->kind = BEZEL_MAP;
    out->offset = call->offset;
    for (bz_raw *item = args->first; item != NULL && call->code == NULL; item = next) {
        const bz_schema_property *p = NULL;
        next = item->next;
        if (item->key != NULL) {
            p = bz_tool_parameter_find(call->tool, item->key, item->key_size);
        } else {
            for (size_t i = 0; i < bz_tool_parameter_count(call->tool) && p == NULL; i++) {
                const bz_schema_property *candidate = bz_tool_parameter(call->tool, i);
                p = find_bound(out, candidate->name, candidate->name_size) == NULL ? candidate : NULL;
            }
            if (p == NULL) {
                note(call, "too_many_arguments", NULL, "%s takes %zu arguments", call->tool->name,
                     bz_tool_parameter_count(call->tool));
                return;
            }
        }
        if (p != NULL) {
            scan->warnings[BZ_WARN_NAME_NORMALISED] +=
                item->key != NULL && (item->key_size != p->name_size || memcmp(item->key, p->name, p->name_size) != 0);
            item->key = p->name;
            item->key_size = p->name_size;
        }
        const bz_raw *before = find_bound(out, item->key, item->key_size);
        if (before != NULL) {
            bz_utf8_show(shown, sizeof shown, item->key, item->key_size);
            if (!same_value(before, item))
                note(call, "duplicate_parameter", shown, "%s is given twice with different values", shown);
            scan->warnings[BZ_WARN_REPEATED]++;
            continue;
        }
        item->next = NULL;
        bz_raw_append(out, item);
    }
}

bezel_status bz_call_bind(bz_site_call *call, bz_scan *scan, bezel_engine *engine)
{
    bz_raw named;
    bz_schema_check check;
    bezel_value *value = NULL;
    if (call->code != NULL)
        return BEZEL_OK;
    memset(&named, 0, sizeof named);
    memset(&check, 0, sizeof check);
    name_arguments(call, scan, &named);
    if (call->code != NULL)
        return BEZEL_OK;
    bezel_status status = bezel_tree_new(&call->tree, engine, NULL);
    if (status != BEZEL_OK)
        return BEZEL_ERR_MEMORY;
    check.schema = call->tool->schema;
    check.tree = call->tree;
    check.coerce = 1;
    check.parse = bz_value_parse_text;
    check.ud = scan;
    status = bz_schema_apply(&value, &check, 0, &named);
    if (scan->failed)
        status = BEZEL_ERR_MEMORY;
    if (status == BEZEL_OK) {
        call->arguments = value;
        scan->warnings[BZ_WARN_COERCED] += check.n_coerced;
        scan->warnings[BZ_WARN_WRAPPED] += check.n_wrapped;
        return BEZEL_OK;
    }
    bezel_tree_free(call->tree);
    call->tree = NULL;
    if (status != BEZEL_ERR_PARSE)
        return BEZEL_ERR_MEMORY;
    int cut_off = call->repaired && strcmp(check.problem.code, "missing_parameter") == 0;
    note(call, cut_off ? "truncated" : check.problem.code, check.problem.parameter, "%s", check.problem.text);
    call->offset = check.problem.offset != 0 && check.problem.offset > call->offset ? check.problem.offset : call->offset;
    return BEZEL_OK;
}
