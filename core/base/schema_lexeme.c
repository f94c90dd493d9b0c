/* SPDX-License-Identifier: MIT */
/* Values before their type is known, and the numbers and words in them. Main invariant: a lexeme is kept as it was
 * written until a node of a schema asks for a type. Does not know schemas. */
#include "base/schema_impl.h"

#include "base/number.h"

#include <string.h>

/* --- Raw values --------------------------------------------------------------------------- */

static bz_raw *raw_copy(bz_arena *arena, const bezel_value *value, unsigned depth)
{
    bz_raw *raw = bz_arena_alloc(arena, sizeof *raw);
    if (raw == NULL || depth > BZ_SCHEMA_MAX_DEPTH)
        return NULL;
    raw->kind = bezel_value_type(value);
    raw->truth = bezel_value_bool(value);
    raw->integer = bezel_value_integer(value);
    raw->number = bezel_value_number(value);
    raw->text = bezel_value_text(value, &raw->size);
    size_t n = raw->kind >= BEZEL_LIST ? bezel_value_count(value) : 0;
    for (size_t i = 0; i < n; i++) {
        bz_raw *item = raw_copy(arena, bezel_value_at(value, i), depth + 1);
        if (item == NULL)
            return NULL;
        if (raw->kind == BEZEL_MAP)
            item->key = bezel_value_key(value, i, &item->key_size);
        if (raw->last != NULL)
            raw->last->next = item;
        else
            raw->first = item;
        raw->last = item;
        raw->count++;
    }
    return raw;
}

bz_raw *bz_raw_from_value(bz_arena *arena, const bezel_value *value)
{
    return raw_copy(arena, value, 0);
}

int bz_lexeme_is(const char *s, size_t n, const char *word)
{
    size_t i = 0;
    for (; i < n && word[i] != '\0'; i++) {
        char byte = s[i] >= 'A' && s[i] <= 'Z' ? (char)(s[i] + 32) : s[i];
        if (byte != word[i])
            return 0;
    }
    return i == n && word[i] == '\0';
}

int bz_raw_is_null(const bz_raw *raw)
{
    if (raw->kind != BZ_RAW_LEXEME)
        return raw->kind == BEZEL_NULL;
    return bz_lexeme_is(raw->text, raw->size, "null") || bz_lexeme_is(raw->text, raw->size, "none") ||
           bz_lexeme_is(raw->text, raw->size, "nil") || bz_lexeme_is(raw->text, raw->size, "undefined");
}

static int raw_equal(const bz_raw *a, const bz_raw *b, unsigned depth)
{
    if (a->kind != b->kind || a->count != b->count || depth > BZ_SCHEMA_MAX_DEPTH)
        return 0;
    switch (a->kind) {
    case BEZEL_NULL: return 1;
    case BEZEL_BOOL: return a->truth == b->truth;
    case BEZEL_INTEGER: return a->integer == b->integer;
    case BEZEL_NUMBER: return a->number == b->number;
    case BEZEL_TEXT:
    case BZ_RAW_LEXEME: return a->size == b->size && (a->size == 0 || memcmp(a->text, b->text, a->size) == 0);
    default: break;
    }
    const bz_raw *x = a->first, *y = b->first;
    for (; x != NULL && y != NULL; x = x->next, y = y->next) {
        if (a->kind == BEZEL_MAP && (x->key_size != y->key_size || memcmp(x->key, y->key, x->key_size) != 0))
            return 0;
        if (!raw_equal(x, y, depth + 1))
            return 0;
    }
    return x == NULL && y == NULL;
}

int bz_raw_equal(const bz_raw *a, const bz_raw *b)
{
    return raw_equal(a, b, 0);
}

/* --- Lexemes ------------------------------------------------------------------------------ */

static int read_hex(int64_t *out, const char *s, size_t n)
{
    uint64_t x = 0;
    if (n == 0 || n > 15)
        return 0;
    for (size_t i = 0; i < n; i++) {
        char b = (char)(s[i] | 0x20);
        if (s[i] >= '0' && s[i] <= '9')
            x = x * 16 + (uint64_t)(s[i] - '0');
        else if (b >= 'a' && b <= 'f')
            x = x * 16 + (uint64_t)(b - 'a' + 10);
        else
            return 0;
    }
    *out = (int64_t)x;
    return 1;
}

/* Digits, point and exponent in the right order: tells 1e400 (too large) from text. */
static int looks_numeric(const char *s, size_t n)
{
    size_t i = 0, digits = 0;
    for (; i < n && s[i] >= '0' && s[i] <= '9'; i++)
        digits++;
    if (i < n && s[i] == '.')
        for (i++; i < n && s[i] >= '0' && s[i] <= '9'; i++)
            digits++;
    if (digits == 0)
        return 0;
    if (i < n && (s[i] | 0x20) == 'e') {
        i += i + 1 < n && (s[i + 1] == '+' || s[i + 1] == '-') ? 2 : 1;
        size_t from = i;
        while (i < n && s[i] >= '0' && s[i] <= '9')
            i++;
        if (i == from)
            return 0;
    }
    return i == n;
}

/* "1." and ".5" are fine for models, not for every reader of numbers: gets the missing 0. Returns the size; *out_point is set
 * when there is a point or an exponent. */
static size_t pad_point(char *out, int *out_point, const char *s, size_t n)
{
    size_t size = 0;
    *out_point = 0;
    for (size_t i = 0; i < n; i++) {
        int is_point = s[i] == '.';
        if (is_point && (i == 0 || s[i - 1] == '-'))
            out[size++] = '0';
        out[size++] = s[i];
        if (is_point && (i + 1 == n || (s[i + 1] | 0x20) == 'e'))
            out[size++] = '0';
        *out_point |= is_point || (s[i] | 0x20) == 'e';
    }
    return size;
}

static int is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* The text without "_" between digits; SIZE_MAX when it has more than `capacity` bytes. */
static size_t drop_underscores(char *out, size_t capacity, const char *s, size_t n)
{
    size_t size = 0;
    for (size_t i = 0; i < n; i++) {
        if (s[i] == '_' && i > 0 && i + 1 < n && is_digit(s[i - 1]) && is_digit(s[i + 1]))
            continue;
        if (size == capacity)
            return SIZE_MAX;
        out[size++] = s[i];
    }
    return size;
}

int bz_lexeme_number(int64_t *out_integer, double *out_number, const char *s, size_t n)
{
    char clean[128], padded[sizeof clean + 2]; /* a point, and so two zeros, at most */
    int negative = n > 0 && s[0] == '-', has_point;
    size_t sign = n > 0 && (s[0] == '-' || s[0] == '+') ? 1 : 0;
    if (n - sign > 2 && s[sign] == '0' && (s[sign + 1] | 0x20) == 'x') {
        if (!read_hex(out_integer, s + sign + 2, n - sign - 2))
            return 0;
        *out_integer = negative ? -*out_integer : *out_integer;
        *out_number = (double)*out_integer;
        return 1;
    }
    clean[0] = '-';
    size_t size = drop_underscores(clean + negative, sizeof clean - 2, s + sign, n - sign);
    if (size == SIZE_MAX) /* no such number fits */
        return looks_numeric(s + sign, n - sign) ? 3 : 0;
    if (!looks_numeric(clean + negative, size))
        return 0;
    size += (size_t)negative;
    if (bz_integer_parse(out_integer, clean, size)) {
        *out_number = (double)*out_integer;
        return 1;
    }
    size_t padded_size = pad_point(padded, &has_point, clean, size);
    if (!bz_number_parse(out_number, padded, padded_size))
        return 3;
    return has_point ? 2 : 3;
}
