/* SPDX-License-Identifier: MIT */
/* Quoted texts. Main invariant: a quote ends the text only where what follows can follow a value; else it is a character.
 * A quote that might end it ("weak") does so when no better one comes on the same line. Linear: behind a quote only blanks
 * and one identifier are looked at. Does not convert: the text is what was meant, its type is the schema's affair. */
#include "call_string.h"

#include <string.h>

#include "base/utf8.h"
#include "tool_schema.h"

bz_quote bz_quote_at(bz_scan *scan)
{
    static const struct {
        const char *open, *close;
        int kind;
    } quotes[] = {
        {"\"\"\"", "\"\"\"", BZ_QUOTE_TRIPLE},
        {"'''", "'''", BZ_QUOTE_TRIPLE},
        {"\"", "\"", BZ_QUOTE_PLAIN},
        {"'", "'", BZ_QUOTE_PLAIN},
        {"\xE2\x80\x9C", "\xE2\x80\x9D", BZ_QUOTE_PLAIN},
        {"\xE2\x80\x98", "\xE2\x80\x99", BZ_QUOTE_PLAIN},
        {"<escape>", "<escape>", BZ_QUOTE_EXACT},
        {"<|\"|>", "<|\"|>", BZ_QUOTE_EXACT},
    };
    bz_quote quote = {BZ_QUOTE_NONE, 0, 0, NULL};
    size_t prefix = 0;
    int is_raw = 0;
    for (int c = bz_scan_peek(scan, 0); prefix < 2 && c > 0 && strchr("rRbBuUfF", c) != NULL; c = bz_scan_peek(scan, prefix)) {
        is_raw |= c == 'r' || c == 'R';
        prefix++;
    }
    int c = bz_scan_peek(scan, prefix);
    if (c != '"' && c != '\'' && (prefix > 0 || (c != '<' && c != 0xE2)))
        return quote;
    for (size_t k = 0; k < sizeof quotes / sizeof quotes[0]; k++) {
        size_t n = strlen(quotes[k].open), same = 0;
        while (same < n && bz_scan_peek(scan, prefix + same) == (unsigned char)quotes[k].open[same])
            same++;
        if (same < n)
            continue;
        quote.kind = quotes[k].kind;
        quote.open_size = prefix + n;
        quote.is_raw = is_raw;
        quote.close = quotes[k].close;
        return quote;
    }
    return quote;
}

/* --- What may follow a value -------------------------------------------------------------- */

enum { FOLLOW_NO = 0, FOLLOW_YES = 1, FOLLOW_WEAK = 2, FOLLOW_END = 3 };

static size_t skip_blanks(bz_scan *scan, size_t i, int newlines)
{
    for (int c = bz_scan_at(scan, i); bz_is_blank(c) && (newlines || c != '\n'); c = bz_scan_at(scan, i))
        i++;
    return i;
}

/* ")" ends a call only at the end of a line, before another closer, a marker or the next call. */
static int follows_paren(bz_scan *scan, size_t i)
{
    i = skip_blanks(scan, i, 0);
    int c = bz_scan_at(scan, i);
    if (c < 0)
        return FOLLOW_END;
    if (c == '\n' || c == ')' || c == ']' || c == '}' || c == '`' || c == '*' || c == '<')
        return FOLLOW_YES;
    int separated = c == ',' || c == ';';
    if (separated)
        i = skip_blanks(scan, i + 1, 1);
    if (bz_scan_marker(scan, i) > 0)
        return FOLLOW_YES;
    size_t n = bz_scan_name(scan, i);
    int changed;
    if (n > 0 && n <= BZ_TOOL_NAME_BYTES && i + n <= scan->n) {
        c = bz_scan_at(scan, i + n);
        if ((c == '(' || c == '{') && bz_tool_resolve(&changed, scan->tools, scan->s + i, n) != NULL)
            return FOLLOW_YES;
    }
    c = bz_scan_at(scan, i);
    return separated && (c == ')' || c == ']' || c == '}') ? FOLLOW_YES : FOLLOW_WEAK;
}

static int is_literal(bz_scan *scan, size_t i, size_t n)
{
    static const char *const words[] = {"true", "false", "null", "none", "nil"};
    for (size_t k = 0; k < sizeof words / sizeof words[0]; k++) {
        size_t same = 0;
        while (same < n && words[k][same] != '\0' && (bz_scan_at(scan, i + same) | 0x20) == words[k][same])
            same++;
        if (same == n && words[k][n] == '\0')
            return 1;
    }
    return 0;
}

/* "," ends a text before a key, the start of a value or a closer. */
static int follows_comma(bz_scan *scan, size_t i, const bz_value_place *place)
{
    size_t n;
    int separator;
    i = skip_blanks(scan, i, 1);
    int c = bz_scan_at(scan, i);
    if (c < 0)
        return FOLLOW_END;
    if (c == ']' || c == '}' || c == ')' || c == ',')
        return FOLLOW_YES;
    if (c == '"' || c == '\'' || c == '[' || c == '{' || c == '<' || (c >= '0' && c <= '9'))
        return FOLLOW_YES;
    if ((c == '-' || c == '+' || c == '.') && bz_scan_at(scan, i + 1) >= '0' && bz_scan_at(scan, i + 1) <= '9')
        return FOLLOW_YES;
    if (place->where != BZ_IN_LIST && bz_scan_key(scan, i, &n, &separator))
        return FOLLOW_YES;
    n = bz_scan_identifier(scan, i);
    return n > 0 && n <= 5 && is_literal(scan, i, n) ? FOLLOW_YES : FOLLOW_WEAK;
}

/* What the bytes behind a quote say about it. */
static int follows_value(bz_scan *scan, size_t i, const bz_value_place *place)
{
    size_t blank = skip_blanks(scan, i, 1), n;
    int c = bz_scan_at(scan, blank), separator;
    if (c < 0)
        return FOLLOW_END;
    if (c == ']' || c == '}')
        return FOLLOW_YES;
    if (c == ':' || c == '=')
        return place->where == BZ_IN_KEY ? FOLLOW_YES : FOLLOW_NO;
    if (c == ')')
        return follows_paren(scan, blank + 1);
    if (c == ',' || c == ';')
        return follows_comma(scan, blank + 1, place);
    if (blank > i && (place->where == BZ_IN_ARGUMENTS || place->where == BZ_IN_KEY) && place->tool != NULL &&
        bz_scan_key(scan, blank, &n, &separator) && n <= BZ_CALL_NAME_BYTES &&
        bz_tool_parameter_find(place->tool, scan->s + blank, n) != NULL)
        return FOLLOW_YES; /* a comma was forgotten */
    return FOLLOW_NO;
}

/* --- The end ------------------------------------------------------------------------------ */

static int has_close(bz_scan *scan, size_t i, const char *close)
{
    for (size_t k = 0; close[k] != '\0'; k++)
        if (bz_scan_at(scan, i + k) != (unsigned char)close[k])
            return 0;
    return 1;
}

/* C:\x and \\server: backslashes are meant as they stand. */
static int is_path(bz_scan *scan, size_t i)
{
    int c = bz_scan_at(scan, i);
    if (c == '\\')
        return bz_scan_at(scan, i + 1) == '\\' && bz_is_word(bz_scan_at(scan, i + 2));
    int is_drive = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    return is_drive && bz_scan_at(scan, i + 1) == ':' && bz_scan_at(scan, i + 2) == '\\' &&
           bz_scan_at(scan, i + 3) != '\\';
}

/* First byte of the closing quote, or SIZE_MAX. */
static size_t find_exact(bz_scan *scan, size_t i, const bz_quote *quote)
{
    for (;;) {
        int c = bz_scan_at(scan, i);
        if (c < 0)
            return SIZE_MAX;
        if (c == (unsigned char)quote->close[0] && has_close(scan, i, quote->close))
            return i;
        i += c == '\\' && quote->kind == BZ_QUOTE_TRIPLE ? 2 : 1;
    }
}

static size_t find_plain(bz_scan *scan, size_t i, const bz_quote *quote, const bz_value_place *place, int path)
{
    size_t weak = SIZE_MAX, end, inner = 0;
    int colon;
    for (;;) {
        int c = bz_scan_at(scan, i);
        if (bz_scan_stuck(scan))
            return SIZE_MAX;
        if (c < 0 || (c == '\n' && weak != SIZE_MAX))
            break;
        if (c == '\n' && bz_scan_marked_line(scan, i + 1, &end, &colon) && colon) {
            scan->i = i; /* the next call starts here; this text was never closed */
            bz_scan_fail(scan, "syntax", "a quote is not closed");
            return SIZE_MAX;
        }
        if (c == '\\' && !path) {
            i += 2;
            continue;
        }
        if (c != (unsigned char)quote->close[0] || !has_close(scan, i, quote->close)) {
            i++;
            continue;
        }
        int follow = follows_value(scan, i + strlen(quote->close), place);
        if (bz_scan_stuck(scan))
            return SIZE_MAX;
        if (follow == FOLLOW_YES || (follow == FOLLOW_END && weak == SIZE_MAX)) {
            scan->warnings[BZ_WARN_INNER_QUOTE] += inner > 0;
            return i;
        }
        if (follow == FOLLOW_WEAK && weak == SIZE_MAX)
            weak = i;
        inner++;
        i += strlen(quote->close);
    }
    return weak;
}

/* --- Escapes ------------------------------------------------------------------------------ */

/* Reads n hex digits. */
static int read_hex(uint32_t *out, const char *s, size_t left, size_t n)
{
    uint32_t x = 0;
    if (left < n)
        return 0;
    for (size_t i = 0; i < n; i++) {
        char b = (char)(s[i] | 0x20);
        if (s[i] >= '0' && s[i] <= '9')
            x = x * 16 + (uint32_t)(s[i] - '0');
        else if (b >= 'a' && b <= 'f')
            x = x * 16 + (uint32_t)(b - 'a' + 10);
        else
            return 0;
    }
    *out = x;
    return 1;
}

/* Bytes used at s (behind "\u"), 0 when it is no character: then the escape stays as it is written. */
static size_t read_unicode(uint32_t *out, const char *s, size_t left)
{
    uint32_t low;
    if (!read_hex(out, s, left, 4) || (*out >= 0xDC00 && *out < 0xE000))
        return 0;
    if (*out < 0xD800 || *out >= 0xE000)
        return 4;
    if (left < 10 || s[4] != '\\' || s[5] != 'u' || !read_hex(&low, s + 6, left - 6, 4) || low < 0xDC00 || low >= 0xE000)
        return 0;
    *out = 0x10000 + ((*out - 0xD800) << 10) + (low - 0xDC00);
    return 10;
}

/* Decoded size; out holds at least n bytes (no escape is shorter than what it stands for). */
static size_t decode_escapes(char *out, const char *s, size_t n)
{
    static const char from[] = "ntrbf\"'\\/", to[] = "\n\t\r\b\f\"'\\/";
    size_t size = 0;
    for (size_t i = 0; i < n;) {
        if (s[i] != '\\' || i + 1 == n) {
            out[size++] = s[i++];
            continue;
        }
        const char *known = s[i + 1] != '\0' ? strchr(from, s[i + 1]) : NULL;
        uint32_t cp = 0;
        size_t used = 0;
        if (known != NULL) {
            out[size++] = to[known - from];
            i += 2;
            continue;
        }
        if (s[i + 1] == 'u')
            used = read_unicode(&cp, s + i + 2, n - i - 2);
        else if (s[i + 1] == 'x' && read_hex(&cp, s + i + 2, n - i - 2, 2))
            used = 2;
        if (used > 0) {
            char utf8[4];
            size_t bytes = bz_utf8_encode(utf8, cp);
            memcpy(out + size, utf8, bytes);
            size += bytes;
            i += 2 + used;
        } else {
            out[size++] = s[i++];
            out[size++] = s[i++];
        }
    }
    return size;
}

bz_raw *bz_string_scan(bz_scan *scan, bz_value_place *place, bz_quote quote)
{
    size_t start = scan->i, from = start + quote.open_size;
    int path = !quote.is_raw && quote.kind == BZ_QUOTE_PLAIN && is_path(scan, from);
    size_t end = quote.kind == BZ_QUOTE_PLAIN ? find_plain(scan, from, &quote, place, path) : find_exact(scan, from, &quote);
    if (bz_scan_stuck(scan))
        return NULL;
    if (end == SIZE_MAX) {
        scan->i = scan->n;
        bz_scan_fail(scan, "truncated", "the text ends inside a quote");
        return NULL;
    }
    bz_raw *raw = bz_arena_alloc(scan->arena, sizeof *raw);
    char *text = bz_arena_alloc(scan->arena, end - from + 1);
    if (raw == NULL || text == NULL) {
        scan->failed = 1;
        return NULL;
    }
    raw->kind = BEZEL_TEXT;
    raw->offset = scan->base + start;
    raw->text = text;
    if (quote.is_raw || path || quote.kind == BZ_QUOTE_EXACT) {
        memcpy(text, scan->s + from, end - from);
        raw->size = end - from;
    } else {
        raw->size = decode_escapes(text, scan->s + from, end - from);
    }
    scan->warnings[BZ_WARN_SINGLE_QUOTE] += quote.close[0] == '\'';
    scan->warnings[BZ_WARN_NATIVE] += quote.kind == BZ_QUOTE_EXACT;
    scan->i = end + strlen(quote.close);
    place->complete = 1;
    return raw;
}
