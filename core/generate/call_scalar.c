/* SPDX-License-Identifier: MIT */
/* Strings and numbers of constrained text (see call_machine.h).
 *
 * A number with limits is read as digits in units of 10^-decimals. After each digit the machine asks whether some way to go on
 * ends inside of the limits and on a multiple: for a prefix p of the integer part the values are the intervals
 * [p 10^j, (p+1) 10^j), j = 0, 1, ...; for one with k decimals [p, p + 10^-k). So a number never runs into a dead end. */
#include "generate/call_machine.h"

#include "base/alloc.h"

#include <string.h>

enum { /* part of a number that was read last */
    NUMBER_START, NUMBER_SIGN, NUMBER_INTEGER, NUMBER_POINT, NUMBER_DECIMALS, NUMBER_E, NUMBER_E_SIGN, NUMBER_EXPONENT
};
enum { NUMBER_DIGITS = 17, NUMBER_INTEGER_DIGITS = 19, NUMBER_FREE_INTEGER = 15, NUMBER_EXPONENT_DIGITS = 2 };

/* ---- numbers ---------------------------------------------------------------------------------------------------------- */

static uint64_t number_power(uint32_t n)
{
    uint64_t power = 1;
    while (n-- > 0)
        power *= 10;
    return power;
}

/* Magnitudes with this sign that are inside of the limits; 0 when there are none. */
static int number_limits(uint64_t *low, uint64_t *high, const bz_call_node *node, int negative)
{
    if (negative) { /* never minus zero */
        *low = node->high < 0 ? 0 - (uint64_t)node->high : 1;
        *high = node->low < 0 ? 0 - (uint64_t)node->low : 0;
    } else {
        *low = node->low > 0 ? (uint64_t)node->low : 0;
        *high = node->high > 0 ? (uint64_t)node->high : 0;
        if (node->high < 0)
            return 0;
    }
    return *low <= *high;
}

/* Does [low, high] hold a multiple? */
static int number_holds(uint64_t low, uint64_t high, uint64_t multiple)
{
    if (low > high)
        return 0;
    if (multiple <= 1)
        return 1;
    const uint64_t rest = low % multiple;
    return rest == 0 || high - low >= multiple - rest;
}

/* Can integer digits that begin like this end inside of the limits? */
static int number_can_grow(const bz_call_leaf_number *n, const bz_call_node *node)
{
    uint64_t limit_low, limit_high, unit = number_power(node->decimals), width = 1, base = n->digits;
    if (!number_limits(&limit_low, &limit_high, node, n->negative))
        return 0;
    for (uint32_t more = 0; n->n_digits + more <= NUMBER_INTEGER_DIGITS; more++) {
        uint64_t low, span;
        if (!bz_u64_mul(&low, base, unit) || low > limit_high)
            return 0;
        if (!bz_u64_mul(&span, width, unit) || !bz_u64_add(&span, span - 1, low))
            span = UINT64_MAX;
        if (number_holds(low > limit_low ? low : limit_low, span < limit_high ? span : limit_high, node->multiple))
            return 1;
        if (n->digits == 0 || !bz_u64_mul(&base, base, 10) || !bz_u64_mul(&width, width, 10)) /* no digit follows a 0 */
            return 0;
    }
    return 0;
}

static int number_can_refine(const bz_call_leaf_number *n, const bz_call_node *node)
{
    uint64_t limit_low, limit_high, low;
    const uint64_t unit = number_power(node->decimals - (uint32_t)n->n_decimals);
    if (!number_limits(&limit_low, &limit_high, node, n->negative) || !bz_u64_mul(&low, n->digits, unit))
        return 0;
    const uint64_t high = low + unit - 1;
    return number_holds(low > limit_low ? low : limit_low, high < limit_high ? high : limit_high, node->multiple);
}

int bz_call_number_complete(const bz_call_leaf_number *n, const bz_call_node *node)
{
    uint64_t low, high, value;
    if (n->part != NUMBER_INTEGER && n->part != NUMBER_DECIMALS && n->part != NUMBER_EXPONENT)
        return 0;
    if (!node->exact)
        return !(n->negative && n->digits == 0);
    if (!number_limits(&low, &high, node, n->negative) ||
        !bz_u64_mul(&value, n->digits, number_power(node->decimals - (uint32_t)n->n_decimals)))
        return 0;
    return value >= low && value <= high && number_holds(value, value, node->multiple);
}

uint32_t bz_call_number_hash(const bz_call_leaf_number *n)
{
    uint64_t digits = n->digits;
    uint32_t decimals = n->n_decimals;
    for (; decimals > 0 && digits % 10 == 0; decimals--)
        digits /= 10;
    return (uint32_t)((digits * 0x9E3779B97F4A7C15U) >> 32) ^ decimals << 1 ^ n->negative ^ (uint32_t)n->n_exponent << 8;
}

static int number_digit(bz_call_leaf_number *n, const bz_call_node *node, uint8_t byte)
{
    const int is_integer = node->kind == BZ_SCHEMA_INTEGER;
    if (n->part >= NUMBER_E) {
        n->part = NUMBER_EXPONENT;
        return ++n->n_exponent <= NUMBER_EXPONENT_DIGITS ? BZ_CALL_READ : BZ_CALL_REFUSED;
    }
    if (n->part == NUMBER_INTEGER && n->digits == 0)
        return BZ_CALL_REFUSED; /* no leading zeros */
    const int in_decimals = n->part == NUMBER_POINT || n->part == NUMBER_DECIMALS;
    const uint32_t most = is_integer ? NUMBER_INTEGER_DIGITS : in_decimals ? NUMBER_DIGITS : NUMBER_FREE_INTEGER;
    if (n->n_digits >= most || (in_decimals && node->exact && n->n_decimals >= node->decimals))
        return BZ_CALL_REFUSED;
    n->digits = n->digits * 10 + (byte - '0');
    n->n_digits++;
    n->n_decimals = (uint8_t)(n->n_decimals + in_decimals);
    n->part = in_decimals ? NUMBER_DECIMALS : NUMBER_INTEGER;
    if (!node->exact)
        return BZ_CALL_READ;
    return (in_decimals ? number_can_refine(n, node) : number_can_grow(n, node)) ? BZ_CALL_READ : BZ_CALL_REFUSED;
}

static int number_point(bz_call_leaf_number *n, const bz_call_node *node)
{
    if (node->kind == BZ_SCHEMA_INTEGER || n->part != NUMBER_INTEGER || (node->exact && node->decimals == 0))
        return BZ_CALL_REFUSED;
    n->part = NUMBER_POINT;
    if (!node->exact)
        return n->n_digits < NUMBER_DIGITS ? BZ_CALL_READ : BZ_CALL_REFUSED;
    return number_can_refine(n, node) ? BZ_CALL_READ : BZ_CALL_REFUSED;
}

int bz_call_number_read(bz_call_leaf_number *n, const bz_call_node *node, uint8_t byte)
{
    if (byte >= '0' && byte <= '9')
        return number_digit(n, node, byte);
    if (byte == '-' && n->part == NUMBER_START) {
        n->part = NUMBER_SIGN;
        n->negative = 1;
        uint64_t low, high;
        return !node->exact || (number_limits(&low, &high, node, 1) && number_holds(low, high, node->multiple))
                   ? BZ_CALL_READ
                   : BZ_CALL_REFUSED;
    }
    if (byte == '.')
        return number_point(n, node);
    if (byte == 'e' && !node->exact && (n->part == NUMBER_INTEGER || n->part == NUMBER_DECIMALS) && n->digits != 0) {
        n->part = NUMBER_E;
        return BZ_CALL_READ;
    }
    if ((byte == '-' || byte == '+') && n->part == NUMBER_E) {
        n->part = NUMBER_E_SIGN;
        return BZ_CALL_READ;
    }
    return bz_call_number_complete(n, node) ? BZ_CALL_BEFORE : BZ_CALL_REFUSED;
}

/* ---- strings ---------------------------------------------------------------------------------------------------------- */

void bz_call_string_start(bz_call_leaf_string *s, const bz_call_form *f, const bz_call_node *node, int is_key)
{
    memset(s, 0, sizeof *s);
    s->is_key = s->is_unique = (uint8_t)is_key;
    if (node->pattern != BZ_CALL_NONE)
        bz_call_pattern_start(&s->pattern, f->patterns[node->pattern]);
}

static const bz_call_pattern *string_pattern(const bz_call_form *f, const bz_call_node *node)
{
    return node->pattern == BZ_CALL_NONE ? NULL : f->patterns[node->pattern];
}

/* Takes one byte of content; the last of a code point, or one of several. */
static int string_take(bz_call_leaf_string *s, const bz_call_form *f, const bz_call_node *node, uint8_t byte)
{
    const uint32_t most = s->is_key ? BZ_CALL_OPEN_KEYS : node->max_count;
    const bz_call_pattern *p = string_pattern(f, node);
    s->hash = bz_call_string_hash(s->hash, byte);
    if ((byte & 0xC0) != 0x80 && ++s->count > most)
        return BZ_CALL_REFUSED;
    if (p == NULL)
        return BZ_CALL_READ;
    const uint32_t least = s->is_key ? 1 : node->min_count, missing = least > s->count ? least - s->count : 0;
    return bz_call_pattern_allows(&s->pattern, p, byte, missing, most - s->count) ? BZ_CALL_READ : BZ_CALL_REFUSED;
}

/* The byte that a letter after a backslash stands for, -1 for none. */
static int string_escaped(const bz_call_form *f, uint8_t letter)
{
    static const char letters[] = "\"\\/bfnrt", bytes[] = "\"\\/\b\f\n\r\t";
    const char *found = letter != '\0' ? strchr(letters, letter) : NULL;
    if (found == NULL || (letter == '/' && f->dialect.escapes == BZ_CALL_ESCAPES_PYTHON))
        return -1;
    return bytes[found - letters];
}

/* Can anything come after a backslash? */
static int string_can_escape(const bz_call_leaf_string *s, const bz_call_form *f, const bz_call_node *node)
{
    static const char letters[] = "\"\\/bfnrt";
    if (s->count >= (s->is_key ? BZ_CALL_OPEN_KEYS : node->max_count))
        return 0;
    if (string_pattern(f, node) == NULL)
        return 1;
    for (const char *letter = letters; *letter != '\0'; letter++) {
        bz_call_leaf_string next = *s;
        const int byte = string_escaped(f, (uint8_t)*letter);
        if (byte >= 0 && string_take(&next, f, node, (uint8_t)byte) == BZ_CALL_READ)
            return 1;
    }
    return 0;
}

/* \uXXXX of a character that is no half of a pair and no control character. */
static int string_hex(bz_call_leaf_string *s, const bz_call_form *f, const bz_call_node *node, uint8_t byte)
{
    const uint8_t low = byte | 0x20;
    if (!((byte >= '0' && byte <= '9') || (low >= 'a' && low <= 'f')))
        return BZ_CALL_REFUSED;
    const uint32_t at = s->escape - 2U;
    if (at == 0)
        s->surrogate = low == 'd';
    if (at == 1 && s->surrogate && !(byte >= '0' && byte <= '7'))
        return BZ_CALL_REFUSED;
    s->zeros = (uint8_t)(at == 0 ? byte == '0' : s->zeros && at < 2 ? byte == '0' : s->zeros);
    if (at == 2 && s->zeros && (byte == '0' || byte == '1'))
        return BZ_CALL_REFUSED;
    s->escape = (uint8_t)(at == 3 ? 0 : s->escape + 1);
    return at == 3 ? string_take(s, f, node, byte) : BZ_CALL_READ;
}

static int string_after_backslash(bz_call_leaf_string *s, const bz_call_form *f, const bz_call_node *node, uint8_t byte)
{
    if (s->escape > 1)
        return string_hex(s, f, node, byte);
    if (byte == 'u' && !s->is_unique && string_pattern(f, node) == NULL) {
        s->escape = 2;
        return BZ_CALL_READ;
    }
    const int value = string_escaped(f, byte);
    s->escape = 0;
    return value >= 0 ? string_take(s, f, node, (uint8_t)value) : BZ_CALL_REFUSED;
}

/* The table of well-formed UTF-8 (Unicode 3.9): how many bytes follow a lead byte and where the first of them lies. */
static int string_lead(bz_call_leaf_string *s, uint8_t byte)
{
    if (byte < 0x80)
        return 1;
    if (byte < 0xC2 || byte > 0xF4)
        return 0;
    s->need = (uint8_t)(byte < 0xE0 ? 1 : byte < 0xF0 ? 2 : 3);
    s->low = byte == 0xE0 ? 0xA0 : byte == 0xF0 ? 0x90 : 0x80;
    s->high = byte == 0xED ? 0x9F : byte == 0xF4 ? 0x8F : 0xBF;
    return 1;
}

static int string_is_word(uint8_t byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'A' && byte <= 'Z') || (byte >= 'a' && byte <= 'z') || byte == '_';
}

static int string_may_close(const bz_call_leaf_string *s, const bz_call_form *f, const bz_call_node *node)
{
    const bz_call_pattern *p = string_pattern(f, node);
    return (s->is_key ? s->count > 0 : s->count >= node->min_count) && (p == NULL || bz_call_pattern_accepts(&s->pattern, p));
}

int bz_call_string_read(bz_call_leaf_string *s, const bz_call_form *f, const bz_call_node *node, uint8_t byte)
{
    if (s->escape > 0)
        return string_after_backslash(s, f, node, byte);
    if (s->need > 0) {
        if (byte < s->low || byte > s->high)
            return BZ_CALL_REFUSED;
        s->need--;
        s->low = 0x80;
        s->high = 0xBF;
        return string_take(s, f, node, byte);
    }
    if (byte == (uint8_t)(s->is_key ? f->dialect.member_close : f->dialect.string_close)[0])
        return string_may_close(s, f, node) ? BZ_CALL_FINISHED : BZ_CALL_REFUSED;
    if (byte == '\\' && f->dialect.escapes != BZ_CALL_ESCAPES_NONE) {
        s->escape = 1;
        return string_can_escape(s, f, node) ? BZ_CALL_READ : BZ_CALL_REFUSED;
    }
    if (s->is_key && f->dialect.member_open[0] == '\0' && !string_is_word(byte))
        return BZ_CALL_REFUSED; /* a bare key */
    const int is_break = f->dialect.escapes == BZ_CALL_ESCAPES_NONE && (byte == '\n' || byte == '\t');
    if ((byte < 0x20 && !is_break) || byte == 0x7F || !string_lead(s, byte))
        return BZ_CALL_REFUSED;
    return string_take(s, f, node, byte);
}
