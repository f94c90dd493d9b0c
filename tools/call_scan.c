/* SPDX-License-Identifier: MIT */
/* Cursor and detection of call sites. Main invariant: bz_scan_at is the only reader of bytes. Every look-ahead is bounded
 * by one line prefix (64 bytes), one run of blanks or one identifier, so a scan stays linear. */
#include "call_scan.h"

#include <string.h>

#define DECORATION_BYTES 64u /* list marks, quotes and bold before a marker */

int bz_scan_at(bz_scan *scan, size_t i)
{
    if (i < scan->n)
        return (unsigned char)scan->s[i];
    if (scan->capped)
        scan->limit = 1;
    else if (scan->final)
        scan->ended = 1;
    else
        scan->more = 1;
    return -1;
}

int bz_scan_peek(bz_scan *scan, size_t ahead)
{
    return bz_scan_at(scan, scan->i + ahead);
}

int bz_is_blank(int c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

int bz_is_word(int c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80;
}

void bz_scan_blanks(bz_scan *scan, int newlines)
{
    for (;;) {
        int c = bz_scan_peek(scan, 0);
        if (!bz_is_blank(c) || (c == '\n' && !newlines))
            return;
        scan->i++;
    }
}

static int has_text(bz_scan *scan, size_t i, const char *text)
{
    for (size_t k = 0; text[k] != '\0'; k++)
        if (bz_scan_at(scan, i + k) != (unsigned char)text[k])
            return 0;
    return 1;
}

int bz_scan_take(bz_scan *scan, const char *text)
{
    if (!has_text(scan, scan->i, text))
        return 0;
    scan->i += strlen(text);
    return 1;
}

int bz_scan_stuck(const bz_scan *scan)
{
    return scan->more || scan->limit || scan->failed || scan->code != NULL;
}

void bz_scan_fail(bz_scan *scan, const char *code, const char *reason)
{
    if (scan->code == NULL) {
        scan->code = code;
        scan->reason = reason;
    }
}

size_t bz_scan_identifier(bz_scan *scan, size_t i)
{
    int c = bz_scan_at(scan, i);
    size_t n = 0;
    if (!bz_is_word(c) || (c >= '0' && c <= '9'))
        return 0;
    while (bz_is_word(bz_scan_at(scan, i + n)))
        n++;
    return n;
}

size_t bz_scan_name(bz_scan *scan, size_t i)
{
    size_t n = bz_scan_identifier(scan, i);
    while (n > 0 && n <= BZ_CALL_NAME_BYTES) {
        int c = bz_scan_at(scan, i + n);
        if (c != '.' && c != '-' && c != ':')
            break;
        size_t more = bz_scan_identifier(scan, i + n + 1);
        if (more == 0)
            break;
        n += 1 + more;
    }
    return n;
}

int bz_scan_key(bz_scan *scan, size_t i, size_t *out_size, int *out_separator)
{
    size_t n = bz_scan_identifier(scan, i);
    *out_size = n;
    *out_separator = 0;
    if (n == 0)
        return 0;
    size_t at = i + n;
    while (bz_scan_at(scan, at) == ' ')
        at++;
    int c = bz_scan_at(scan, at);
    if (c == ':' || (c == '=' && bz_scan_at(scan, at + 1) != '=')) {
        *out_separator = c;
        return 1;
    }
    return 0;
}

static int lower_at(bz_scan *scan, size_t i)
{
    int c = bz_scan_at(scan, i);
    return c >= 'A' && c <= 'Z' ? c + 32 : c;
}

size_t bz_scan_marker(bz_scan *scan, size_t i)
{
    static const char first[] = "function", second[] = "call";
    size_t at = i;
    for (size_t k = 0; first[k] != '\0'; k++, at++)
        if (lower_at(scan, at) != first[k])
            return 0;
    int c = bz_scan_at(scan, at);
    if (c == '_' || c == ' ')
        at++;
    for (size_t k = 0; second[k] != '\0'; k++, at++)
        if (lower_at(scan, at) != second[k])
            return 0;
    if (lower_at(scan, at) == 's')
        at++;
    c = bz_scan_at(scan, at);
    /* "FUNCTION_CALL_" with markdown's "__" behind it is still the word; "function_caller" is not. */
    if (c == '_' && bz_scan_at(scan, at + 1) == '_')
        return at - i;
    return bz_is_word(c) ? 0 : at - i;
}

/* Bytes of list marks, quotes, bold and code before a marker. */
static size_t decoration(bz_scan *scan, size_t i)
{
    size_t n = 0;
    while (n < DECORATION_BYTES) {
        int c = bz_scan_at(scan, i + n);
        size_t digits = 0;
        while (digits < 4 && c >= '0' && c <= '9') {
            digits++;
            c = bz_scan_at(scan, i + n + digits);
        }
        if (digits > 0) {
            if (c != '.' && c != ')')
                return n;
            n += digits + 1;
        } else if (c == '*' || c == '_' || c == '`' || c == '#' || c == '>' || c == '-' || c == ' ' || c == '\t' || c == '\r') {
            n++;
        } else {
            return n;
        }
    }
    return n;
}

/* Skips "python\n", "json\n", "tool_code\n" after a marker. */
static size_t language(bz_scan *scan, size_t i)
{
    static const char *const names[] = {"python\n", "json\n", "tool_code\n"};
    for (size_t k = 0; k < sizeof names / sizeof names[0]; k++)
        if (has_text(scan, i, names[k]))
            return strlen(names[k]);
    return 0;
}

int bz_scan_marked_line(bz_scan *scan, size_t i, size_t *out_end, int *out_colon)
{
    size_t at = i + decoration(scan, i);
    size_t n = bz_scan_marker(scan, at);
    *out_colon = 0;
    if (n == 0)
        return 0;
    at += n;
    for (int c = bz_scan_at(scan, at); c == '*' || c == '_' || c == '`' || c == ' ' || c == '\t'; c = bz_scan_at(scan, at))
        at++;
    if (bz_scan_at(scan, at) == ':' || bz_scan_at(scan, at) == '=') {
        *out_colon = 1;
        at++;
    } else if (has_text(scan, at, "\xEF\xBC\x9A")) { /* U+FF1A, the full-width colon */
        *out_colon = 1;
        at += 3;
    }
    for (int c = bz_scan_at(scan, at); c == '*' || c == '`' || c == ' ' || c == '\t' || c == '\r'; c = bz_scan_at(scan, at))
        at++;
    at += language(scan, at);
    *out_end = at;
    return 1;
}

int bz_scan_tag(bz_scan *scan, size_t i, size_t *out_size)
{
    static const struct {
        const char *text;
        int kind;
    } tags[] = {
        {"<start_function_call>", BZ_TAG_OPEN},      {"<end_function_call>", BZ_TAG_CLOSE},
        {"<|tool_call>", BZ_TAG_OPEN},               {"<tool_call|>", BZ_TAG_CLOSE},
        {"<tool_call>", BZ_TAG_OPEN},                {"</tool_call>", BZ_TAG_CLOSE},
        {"<start_function_response>", BZ_TAG_NOISE}, {"<|tool_response>", BZ_TAG_NOISE},
        {"<|channel>", BZ_TAG_THINK},                {"<channel|>", BZ_TAG_THINK_END},
        {"<think>", BZ_TAG_THINK},                   {"</think>", BZ_TAG_THINK_END},
    };
    for (size_t k = 0; k < sizeof tags / sizeof tags[0]; k++) {
        if (has_text(scan, i, tags[k].text)) {
            *out_size = strlen(tags[k].text);
            return tags[k].kind;
        }
        if (scan->more)
            return BZ_TAG_NONE; /* a prefix of one: wait */
    }
    return BZ_TAG_NONE;
}

int bz_scan_fence(bz_scan *scan, size_t i, size_t *out_end)
{
    char name[16];
    size_t n = 0, at = i;
    while (at < i + 8 && (bz_scan_at(scan, at) == ' ' || bz_scan_at(scan, at) == '\t'))
        at++;
    if (!has_text(scan, at, "```"))
        return BZ_FENCE_NONE;
    at += 3;
    while (bz_scan_at(scan, at) == ' ')
        at++;
    while (n + 1 < sizeof name && bz_is_word(bz_scan_at(scan, at)))
        name[n++] = (char)bz_scan_at(scan, at++);
    name[n] = '\0';
    while (bz_scan_at(scan, at) == ' ' || bz_scan_at(scan, at) == '\r')
        at++;
    if (bz_scan_at(scan, at) != '\n')
        return BZ_FENCE_OTHER;
    *out_end = at + 1;
    if (n == 0)
        return BZ_FENCE_PLAIN;
    if (strcmp(name, "tool_code") == 0 || strcmp(name, "tool_call") == 0)
        return BZ_FENCE_TOOL;
    return strcmp(name, "python") == 0 || strcmp(name, "json") == 0 ? BZ_FENCE_CODE : BZ_FENCE_OTHER;
}
