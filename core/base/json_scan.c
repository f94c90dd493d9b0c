/* SPDX-License-Identifier: MIT */
/* Strict check of JSON text, without recursion and without memory. Whatever passes is accepted by cJSON too, so a failure of
 * cJSON after this check can only mean that memory ran out. Makes no values. */
#include "base/json_scan.h"

#include "base/number.h"
#include "base/utf8.h"
#include "base/value_impl.h"

#include <string.h>

/* cJSON copies a number into a buffer of this many characters before it reads it. */
#define BZ_JSON_NUMBER_SIZE 63u
#define BZ_JSON_LARGEST_INTEGER (INT64_C(1) << 53)

typedef struct json_scan {
    const char *s;
    size_t n, i;
    unsigned depth;
    char open[BZ_VALUE_MAX_DEPTH]; /* '[' or '{' of each open level */
    bezel_error *err;
} json_scan;

static bezel_status json_fail(json_scan *j, bezel_status status, size_t at, const char *expected)
{
    unsigned char c;
    if (at >= j->n) {
        bz_fail(j->err, BEZEL_ERR_TRUNCATED, "json", "the text ends where %s is expected", expected);
        return bz_error_offset(j->err, BEZEL_ERR_TRUNCATED, (int64_t)at);
    }
    c = (unsigned char)j->s[at];
    if (c > 0x20 && c < 0x7F)
        bz_fail(j->err, status, "json", "found '%c', expected %s", c, expected);
    else
        bz_fail(j->err, status, "json", "found byte 0x%02x, expected %s", c, expected);
    return bz_error_offset(j->err, status, (int64_t)at);
}

static void json_blanks(json_scan *j)
{
    while (j->i < j->n && (j->s[j->i] == ' ' || j->s[j->i] == '\t' || j->s[j->i] == '\n' || j->s[j->i] == '\r'))
        j->i++;
}

/* --- Strings ------------------------------------------------------------------------------ */

/* Four hex digits at `at`; -1 when they are not there. */
static int32_t json_hex(const json_scan *j, size_t at)
{
    int32_t value = 0;
    for (size_t k = at; k < at + 4; k++) {
        char c = k < j->n ? j->s[k] : '\0';
        if (c >= '0' && c <= '9')
            value = value * 16 + (c - '0');
        else if (c >= 'a' && c <= 'f')
            value = value * 16 + (c - 'a' + 10);
        else if (c >= 'A' && c <= 'F')
            value = value * 16 + (c - 'A' + 10);
        else
            return -1;
    }
    return value;
}

static bezel_status json_unicode(json_scan *j)
{
    size_t start = j->i;
    int32_t unit = json_hex(j, j->i + 2);
    int32_t low;
    if (unit < 0)
        return json_fail(j, BEZEL_ERR_FORMAT, j->n - start < 6 ? j->n : start, "four hex digits after \\u");
    if (unit == 0)
        return json_fail(j, BEZEL_ERR_FORMAT, start, "text without NUL (\\u0000)");
    j->i += 6;
    if (unit < 0xD800 || unit > 0xDFFF)
        return BEZEL_OK;
    low = unit <= 0xDBFF && j->n - j->i >= 6 && j->s[j->i] == '\\' && j->s[j->i + 1] == 'u' ? json_hex(j, j->i + 2) : -1;
    if (low < 0xDC00 || low > 0xDFFF)
        return json_fail(j, BEZEL_ERR_FORMAT, start, "a surrogate pair, not half of one");
    j->i += 6;
    return BEZEL_OK;
}

static bezel_status json_escape(json_scan *j)
{
    char c = j->i + 1 < j->n ? j->s[j->i + 1] : '\0';
    if (j->i + 1 >= j->n)
        return json_fail(j, BEZEL_ERR_TRUNCATED, j->n, "an escape");
    if (c == 'u')
        return json_unicode(j);
    if (c == '\0' || strchr("\"\\/bfnrt", c) == NULL)
        return json_fail(j, BEZEL_ERR_FORMAT, j->i + 1, "one of \" \\ / b f n r t u after a backslash");
    j->i += 2;
    return BEZEL_OK;
}

static bezel_status json_string(json_scan *j, const char *expected)
{
    if (j->i >= j->n || j->s[j->i] != '"')
        return json_fail(j, BEZEL_ERR_FORMAT, j->i, expected);
    j->i++;
    while (j->i < j->n && j->s[j->i] != '"') {
        unsigned char c = (unsigned char)j->s[j->i];
        uint32_t cp;
        size_t length = 1;
        if (c == '\\') {
            bezel_status status = json_escape(j);
            if (status != BEZEL_OK)
                return status;
            continue;
        }
        if (c < 0x20)
            return json_fail(j, BEZEL_ERR_FORMAT, j->i, "a control character in text to be escaped");
        if (c >= 0x80)
            length = bz_utf8_decode(&cp, j->s + j->i, j->n - j->i);
        if (length == 0)
            return json_fail(j, BEZEL_ERR_FORMAT, j->i, "valid UTF-8");
        j->i += length;
    }
    if (j->i >= j->n)
        return json_fail(j, BEZEL_ERR_TRUNCATED, j->n, "the closing quote of a text");
    j->i++;
    return BEZEL_OK;
}

/* --- Numbers and words -------------------------------------------------------------------- */

static int json_digits(json_scan *j)
{
    size_t start = j->i;
    while (j->i < j->n && j->s[j->i] >= '0' && j->s[j->i] <= '9')
        j->i++;
    return j->i > start;
}

static bezel_status json_number_range(json_scan *j, size_t start, int is_integer)
{
    int64_t integer;
    double number;
    size_t size = j->i - start;
    if (size > BZ_JSON_NUMBER_SIZE) {
        bz_fail(j->err, BEZEL_ERR_LIMIT, "json", "a number has %llu characters, at most %u are read",
                (unsigned long long)size, BZ_JSON_NUMBER_SIZE);
        return bz_error_offset(j->err, BEZEL_ERR_LIMIT, (int64_t)start);
    }
    if (is_integer) {
        if (bz_integer_parse(&integer, j->s + start, size) && integer >= -BZ_JSON_LARGEST_INTEGER &&
            integer <= BZ_JSON_LARGEST_INTEGER)
            return BEZEL_OK;
        bz_fail(j->err, BEZEL_ERR_RANGE, "json", "integer %.*s is beyond 2^53", (int)size, j->s + start);
        bz_error_hint(j->err, BEZEL_ERR_RANGE, "write it as a text");
        return bz_error_offset(j->err, BEZEL_ERR_RANGE, (int64_t)start);
    }
    if (bz_number_parse(&number, j->s + start, size))
        return BEZEL_OK;
    bz_fail(j->err, BEZEL_ERR_RANGE, "json", "number %.*s does not fit a double", (int)size, j->s + start);
    return bz_error_offset(j->err, BEZEL_ERR_RANGE, (int64_t)start);
}

static bezel_status json_number(json_scan *j)
{
    size_t start = j->i;
    int is_integer = 1;
    if (j->s[j->i] == '-')
        j->i++;
    if (j->i < j->n && j->s[j->i] == '0')
        j->i++;
    else if (!json_digits(j))
        return json_fail(j, BEZEL_ERR_FORMAT, j->i, "a digit");
    if (j->i < j->n && j->s[j->i] >= '0' && j->s[j->i] <= '9')
        return json_fail(j, BEZEL_ERR_FORMAT, j->i, "no digit after a leading 0");
    if (j->i < j->n && j->s[j->i] == '.') {
        is_integer = 0;
        j->i++;
        if (!json_digits(j))
            return json_fail(j, BEZEL_ERR_FORMAT, j->i, "a digit after the point");
    }
    if (j->i < j->n && (j->s[j->i] == 'e' || j->s[j->i] == 'E')) {
        is_integer = 0;
        j->i++;
        if (j->i < j->n && (j->s[j->i] == '+' || j->s[j->i] == '-'))
            j->i++;
        if (!json_digits(j))
            return json_fail(j, BEZEL_ERR_FORMAT, j->i, "a digit of the exponent");
    }
    return json_number_range(j, start, is_integer);
}

static bezel_status json_word(json_scan *j)
{
    static const char *const words[] = {"true", "false", "null"};
    for (size_t k = 0; k < 3; k++) {
        size_t length = strlen(words[k]);
        size_t left = j->n - j->i;
        if (memcmp(j->s + j->i, words[k], left < length ? left : length) != 0)
            continue;
        if (left < length)
            return json_fail(j, BEZEL_ERR_TRUNCATED, j->n, words[k]);
        j->i += length;
        return BEZEL_OK;
    }
    return json_fail(j, BEZEL_ERR_FORMAT, j->i, "a JSON value");
}

/* --- Structure ---------------------------------------------------------------------------- */

static bezel_status json_open(json_scan *j)
{
    if (j->depth == BZ_VALUE_MAX_DEPTH) {
        bz_fail(j->err, BEZEL_ERR_LIMIT, "json", "nested deeper than %u levels", BZ_VALUE_MAX_DEPTH);
        return bz_error_offset(j->err, BEZEL_ERR_LIMIT, (int64_t)j->i);
    }
    j->open[j->depth++] = j->s[j->i++];
    return BEZEL_OK;
}

/* Closes the innermost level when the next character does that. */
static int json_close(json_scan *j)
{
    char end = j->open[j->depth - 1] == '[' ? ']' : '}';
    if (j->i >= j->n || j->s[j->i] != end)
        return 0;
    j->i++;
    j->depth--;
    return 1;
}

static bezel_status json_key(json_scan *j)
{
    bezel_status status = json_string(j, "a key in double quotes");
    if (status != BEZEL_OK)
        return status;
    json_blanks(j);
    if (j->i >= j->n || j->s[j->i] != ':')
        return json_fail(j, BEZEL_ERR_FORMAT, j->i, "':' after a key");
    j->i++;
    json_blanks(j);
    return BEZEL_OK;
}

/* After a value: closes what ends here, reads the comma and the next key. *out_done is set when the whole value ended. */
static bezel_status json_after(json_scan *j, int *out_done)
{
    for (;;) {
        json_blanks(j);
        if (j->depth == 0) {
            *out_done = 1;
            return BEZEL_OK;
        }
        if (!json_close(j))
            break;
    }
    if (j->i >= j->n || j->s[j->i] != ',')
        return json_fail(j, BEZEL_ERR_FORMAT, j->i, j->open[j->depth - 1] == '[' ? "',' or ']'" : "',' or '}'");
    j->i++;
    json_blanks(j);
    return j->open[j->depth - 1] == '{' ? json_key(j) : BEZEL_OK;
}

/* A scalar, or the opening of a list or map up to its first item. *out_open is set when an item must follow. */
static bezel_status json_value(json_scan *j, int *out_open)
{
    bezel_status status;
    char c;
    *out_open = 0;
    if (j->i >= j->n)
        return json_fail(j, BEZEL_ERR_TRUNCATED, j->n, "a JSON value");
    c = j->s[j->i];
    if (c == '"')
        return json_string(j, "a text");
    if (c == '-' || (c >= '0' && c <= '9'))
        return json_number(j);
    if (c != '[' && c != '{')
        return json_word(j);
    status = json_open(j);
    if (status != BEZEL_OK)
        return status;
    json_blanks(j);
    if (json_close(j))
        return BEZEL_OK;
    *out_open = 1;
    return c == '{' ? json_key(j) : BEZEL_OK;
}

bezel_status bz_json_check(const char *json, size_t size, bezel_error *err)
{
    json_scan j = {.s = json, .n = size, .err = err};
    bezel_status status = BEZEL_OK;
    int is_done = 0;
    int is_open = 0;
    if (size >= 3 && memcmp(json, "\xEF\xBB\xBF", 3) == 0) {
        json_fail(&j, BEZEL_ERR_FORMAT, 0, "a JSON value, not a byte order mark");
        return bz_error_hint(err, BEZEL_ERR_FORMAT, "save the text as UTF-8 without a byte order mark");
    }
    json_blanks(&j);
    while (status == BEZEL_OK && !is_done) {
        status = json_value(&j, &is_open);
        if (status == BEZEL_OK && !is_open)
            status = json_after(&j, &is_done);
    }
    if (status == BEZEL_OK && j.i < j.n)
        status = json_fail(&j, BEZEL_ERR_FORMAT, j.i, "nothing after the value");
    return status;
}

int bz_json_next(bz_json_token *out, const char *json, size_t size, size_t *at)
{
    size_t i = *at;
    size_t start;
    while (i < size && strchr(" \t\r\n[]{},:", json[i]) != NULL)
        i++;
    if (i >= size)
        return 0;
    start = i;
    if (json[i] == '"') {
        for (i++; i < size && json[i] != '"'; i++)
            i += json[i] == '\\';
        i++;
    } else {
        while (i < size && strchr(" \t\r\n]},", json[i]) == NULL)
            i++;
    }
    out->offset = start;
    out->size = i - start;
    *at = i;
    return 1;
}
