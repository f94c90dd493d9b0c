/* SPDX-License-Identifier: MIT */
/* Tolerant values: quoted texts, lists, objects, tuples and unquoted text. Main invariant: numbers and literals stay the
 * bytes they are (a lexeme) until the schema says what they should be. Recursion stops at 32 levels. */
#include "call_value.h"

#include <string.h>

#include "call_string.h"
#include "tool_schema.h"

static bz_raw *new_raw(bz_scan *scan, uint32_t kind, size_t at)
{
    bz_raw *raw = bz_arena_alloc(scan->arena, sizeof *raw);
    if (raw == NULL) {
        scan->failed = 1;
        return NULL;
    }
    raw->kind = kind;
    raw->offset = scan->base + at;
    return raw;
}

void bz_raw_append(bz_raw *to, bz_raw *item)
{
    if (to->last != NULL)
        to->last->next = item;
    else
        to->first = item;
    to->last = item;
    to->count++;
}

int bz_value_quoted(bz_scan *scan)
{
    return bz_quote_at(scan).kind != BZ_QUOTE_NONE;
}

/* --- Unquoted text ------------------------------------------------------------------------ */

static int is_numeric(const char *s, size_t n)
{
    int64_t integer;
    double number;
    return n > 0 && bz_lexeme_number(&integer, &number, s, n) != 0;
}

static int is_word(const char *s, size_t n, const char *word)
{
    if (strlen(word) != n)
        return 0;
    for (size_t i = 0; i < n; i++)
        if ((s[i] | 0x20) != word[i])
            return 0;
    return 1;
}

static int is_literal(const char *s, size_t n)
{
    static const char *const words[] = {"true", "false", "null", "none", "nil", "undefined"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (is_word(s, n, words[i]))
            return 1;
    return 0;
}

/* Behind the comma in `city=New York, NY`: does the text go on, or does the next argument begin? */
static int text_goes_on(bz_scan *scan, size_t i, const bz_value_place *place)
{
    size_t n;
    int separator;
    while (bz_scan_at(scan, i) == ' ')
        i++;
    int c = bz_scan_at(scan, i);
    if (c < 0 || c == '"' || c == '\'' || c == '[' || c == '{' || c == '<' || c == ')' || c == ']' || c == '}' || c == ',' ||
        c == '\n' || (c >= '0' && c <= '9') || ((c == '-' || c == '+') && bz_scan_at(scan, i + 1) >= '0'))
        return 0;
    if (bz_scan_key(scan, i, &n, &separator) && (separator == '=' || separator == place->separator))
        return 0;
    n = bz_scan_identifier(scan, i);
    return n == 0 || i + n > scan->n || !is_literal(scan->s + i, n);
}

/* "days=3 city=": the next argument begins without a comma. */
static int parameter_starts(bz_scan *scan, size_t i, const bz_value_place *place)
{
    size_t n;
    int separator;
    return place->where == BZ_IN_ARGUMENTS && place->tool != NULL && bz_scan_key(scan, i, &n, &separator) &&
           separator == '=' && n <= BZ_CALL_NAME_BYTES && bz_tool_parameter_find(place->tool, scan->s + i, n) != NULL;
}

/* Only a text behind a key may hold commas; a number or literal ends there. */
static int may_hold_comma(const char *s, size_t n, const bz_value_place *place)
{
    while (n > 0 && s[n - 1] == ' ')
        n--;
    return place->where == BZ_IN_ARGUMENTS && place->separator != 0 && n > 0 && !is_literal(s, n) && !is_numeric(s, n);
}

/* First byte behind the unquoted text that starts at the cursor. */
static size_t find_bare_end(bz_scan *scan, const bz_value_place *place)
{
    size_t start = scan->i, i = start;
    unsigned depth = 0;
    for (;; i++) {
        int c = bz_scan_at(scan, i);
        if (c < 0 || c == '\n')
            return i;
        if (c == '(' || c == '[' || c == '{') {
            depth++;
        } else if (c == ')' || c == ']' || c == '}') {
            if (depth == 0)
                return i;
            depth--;
        } else if (depth > 0) {
            continue;
        } else if (c == ',') {
            if (!may_hold_comma(scan->s + start, i - start, place) || !text_goes_on(scan, i + 1, place))
                return i;
        } else if (c == ';' && (is_numeric(scan->s + start, i - start) || is_literal(scan->s + start, i - start))) {
            return i;
        } else if (c == ' ' && parameter_starts(scan, i + 1, place)) {
            return i;
        } else if (c == '<' && (bz_scan_tag(scan, i, &(size_t){0}) == BZ_TAG_CLOSE)) {
            return i;
        }
    }
}

/* name( of a registered tool at the cursor. */
static const char *nested_tool(bz_scan *scan)
{
    size_t n = bz_scan_identifier(scan, scan->i);
    int changed;
    while (n > 0 && n < BZ_TOOL_NAME_BYTES && bz_scan_peek(scan, n) == '.' && bz_is_word(bz_scan_peek(scan, n + 1)))
        n += 1 + bz_scan_identifier(scan, scan->i + n + 1);
    if (n == 0 || n > BZ_CALL_NAME_BYTES || bz_scan_peek(scan, n) != '(')
        return NULL;
    const bz_tool *tool = bz_tool_resolve(&changed, scan->tools, scan->s + scan->i, n);
    return tool != NULL ? tool->name : NULL;
}

static bz_raw *scan_bare(bz_scan *scan, bz_value_place *place)
{
    size_t start = scan->i;
    const char *nested = nested_tool(scan);
    size_t end = find_bare_end(scan, place);
    if (bz_scan_stuck(scan))
        return NULL;
    size_t n = end - start;
    while (n > 0 && bz_is_blank((unsigned char)scan->s[start + n - 1]))
        n--;
    if (n == 0)
        return NULL;
    bz_raw *raw = new_raw(scan, BZ_RAW_LEXEME, start);
    if (raw == NULL)
        return NULL;
    raw->text = bz_arena_text(scan->arena, scan->s + start, n);
    raw->size = n;
    if (raw->text == NULL) {
        scan->failed = 1;
        return NULL;
    }
    if (nested != NULL)
        place->nested = nested;
    int literal = is_literal(raw->text, n);
    scan->warnings[BZ_WARN_PYTHON_LITERAL] += literal && (raw->text[0] < 'a' || is_word(raw->text, n, "none"));
    place->complete = literal || is_numeric(raw->text, n);
    scan->warnings[BZ_WARN_UNQUOTED] += !place->complete;
    scan->i = end;
    return raw;
}

/* --- Lists and objects -------------------------------------------------------------------- */

static bz_raw *scan_inner(bz_scan *scan, bz_value_place *outer, int where)
{
    bz_value_place place = {where, outer->tool, 0, outer->depth + 1, NULL, 0};
    bz_raw *item = bz_value_scan(scan, &place);
    if (place.nested != NULL)
        outer->nested = place.nested;
    return item;
}

static bz_raw *scan_list(bz_scan *scan, bz_value_place *place, char close)
{
    bz_raw *list = new_raw(scan, BEZEL_LIST, scan->i++);
    while (!bz_scan_stuck(scan)) {
        bz_scan_blanks(scan, 1);
        int c = bz_scan_peek(scan, 0);
        if (c == ',' || c == ';') {
            scan->i++;
        } else if (c == (unsigned char)close) {
            scan->i++;
            place->complete = 1;
            return bz_scan_stuck(scan) ? NULL : list;
        } else if (c < 0) {
            bz_scan_fail(scan, "truncated", "the text ends inside a list");
        } else {
            bz_raw *item = scan_inner(scan, place, BZ_IN_LIST);
            if (item != NULL && list != NULL)
                bz_raw_append(list, item);
            else if (!bz_scan_stuck(scan))
                bz_scan_fail(scan, "syntax", "a list has no end");
        }
    }
    return NULL;
}

/* A key of an object: quoted, or bytes up to the separator. */
static int scan_key(bz_scan *scan, bz_value_place *outer, const char **out, size_t *out_size)
{
    bz_quote quote = bz_quote_at(scan);
    if (bz_scan_stuck(scan))
        return 0;
    if (quote.kind != BZ_QUOTE_NONE) {
        bz_value_place place = {BZ_IN_KEY, outer->tool, 0, outer->depth, NULL, 0};
        bz_raw *raw = bz_string_scan(scan, &place, quote);
        if (raw == NULL)
            return 0;
        *out = raw->text;
        *out_size = raw->size;
    } else {
        size_t n = 0;
        for (int c = bz_scan_peek(scan, 0); c >= 0 && strchr(":=,;{}[]()\n\"", c) == NULL; c = bz_scan_peek(scan, n)) {
            if (c == 0)
                break;
            n++;
        }
        size_t used = n;
        while (n > 0 && scan->s[scan->i + n - 1] == ' ')
            n--;
        if (n == 0 || scan->more)
            return 0;
        *out = bz_arena_text(scan->arena, scan->s + scan->i, n);
        *out_size = n;
        scan->failed |= *out == NULL;
        scan->i += used;
    }
    bz_scan_blanks(scan, 1);
    int c = bz_scan_peek(scan, 0);
    if (c != ':' && c != '=')
        return 0;
    scan->i++;
    return !bz_scan_stuck(scan);
}

static bz_raw *scan_object(bz_scan *scan, bz_value_place *place)
{
    bz_raw *map = new_raw(scan, BEZEL_MAP, scan->i++);
    while (!bz_scan_stuck(scan)) {
        const char *key = NULL;
        size_t key_size = 0;
        bz_scan_blanks(scan, 1);
        int c = bz_scan_peek(scan, 0);
        if (c == ',' || c == ';') {
            scan->i++;
            continue;
        }
        if (c == '}') {
            scan->i++;
            place->complete = 1;
            return bz_scan_stuck(scan) ? NULL : map;
        }
        if (c < 0) {
            bz_scan_fail(scan, "truncated", "the text ends inside an object");
            break;
        }
        if (!scan_key(scan, place, &key, &key_size)) {
            bz_scan_fail(scan, scan->ended ? "truncated" : "syntax", "an object needs \"key\": value");
            break;
        }
        bz_scan_blanks(scan, 1);
        bz_raw *item = scan_inner(scan, place, BZ_IN_OBJECT);
        if (item == NULL || map == NULL) {
            if (!bz_scan_stuck(scan))
                bz_scan_fail(scan, scan->ended ? "truncated" : "syntax", "a key of an object has no value");
            break;
        }
        item->key = key;
        item->key_size = key_size;
        bz_raw_append(map, item);
    }
    return NULL;
}

/* --- Public ------------------------------------------------------------------------------- */

bz_raw *bz_value_scan(bz_scan *scan, bz_value_place *place)
{
    bz_quote quote = bz_quote_at(scan);
    int c = bz_scan_peek(scan, 0);
    if (bz_scan_stuck(scan) || c < 0)
        return NULL;
    if (quote.kind != BZ_QUOTE_NONE)
        return bz_string_scan(scan, place, quote);
    if ((c == '[' || c == '(' || c == '{') && place->depth >= BZ_CALL_DEPTH) {
        bz_scan_fail(scan, "too_deep", "values are nested deeper than 32");
        return NULL;
    }
    if (c == '[')
        return scan_list(scan, place, ']');
    if (c == '(')
        return scan_list(scan, place, ')');
    return c == '{' ? scan_object(scan, place) : scan_bare(scan, place);
}

bz_raw *bz_value_parse_text(void *ud, const char *text, size_t size)
{
    bz_scan *outer = ud, scan;
    memset(&scan, 0, sizeof scan);
    scan.s = text;
    scan.n = size;
    scan.final = 1;
    scan.arena = outer->arena;
    scan.tools = outer->tools;
    bz_value_place place = {BZ_IN_LIST, NULL, 0, 0, NULL, 0};
    bz_scan_blanks(&scan, 1);
    bz_raw *raw = bz_value_scan(&scan, &place);
    bz_scan_blanks(&scan, 1);
    outer->failed |= scan.failed;
    return raw != NULL && scan.i == size && !bz_scan_stuck(&scan) ? raw : NULL;
}
