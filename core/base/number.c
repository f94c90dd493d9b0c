/* SPDX-License-Identifier: MIT */
/* Numbers to text and back. The C library converts, but never sees or writes a decimal point: text is read as an integer
 * with an exponent ("1.25e3" as "125e1") and digits are picked out of what it writes, so the host's locale does not count.
 * Reads no hexadecimal, no infinity, no NaN. */
#include "base/number.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A double's exact value has at most 767 significant digits: what follows only matters by being nonzero. */
#define BZ_NUMBER_DIGITS 780
/* Exponents beyond this give 0 or infinity for any text this module can meet. */
#define BZ_NUMBER_EXPONENT 100000000

/* --- Reading ------------------------------------------------------------------------------ */

typedef struct number_text {
    const char *s;
    size_t n, i;
    char digits[BZ_NUMBER_DIGITS + 2];
    size_t n_digits;
    int64_t exponent; /* the value is digits * 10^exponent */
    int any;          /* a digit was there */
} number_text;

static int number_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static void number_read_digits(number_text *t, int fraction)
{
    for (; t->i < t->n && number_is_digit(t->s[t->i]); t->i++) {
        char c = t->s[t->i];
        t->any = 1;
        if (t->n_digits < BZ_NUMBER_DIGITS) {
            if (t->n_digits > 0 || c != '0')
                t->digits[t->n_digits++] = c;
            t->exponent -= fraction;
        } else {
            if (c != '0' && t->n_digits == BZ_NUMBER_DIGITS)
                t->digits[t->n_digits - 1] = (char)(t->digits[t->n_digits - 1] | 1);
            t->exponent += 1 - fraction;
        }
    }
}

/* Optional "e" part. Returns 0 when it has no digits. */
static int number_read_exponent(number_text *t)
{
    int64_t value = 0;
    int negative = 0;
    size_t start;
    if (t->i == t->n || (t->s[t->i] != 'e' && t->s[t->i] != 'E'))
        return 1;
    t->i++;
    if (t->i < t->n && (t->s[t->i] == '+' || t->s[t->i] == '-'))
        negative = t->s[t->i++] == '-';
    start = t->i;
    for (; t->i < t->n && number_is_digit(t->s[t->i]); t->i++) {
        if (value < BZ_NUMBER_EXPONENT)
            value = value * 10 + (t->s[t->i] - '0');
    }
    t->exponent += negative ? -value : value;
    return t->i > start;
}

int bz_number_parse(double *out, const char *s, size_t n)
{
    number_text t = {.s = s, .n = n};
    char plain[BZ_NUMBER_DIGITS + 32];
    int negative = 0;
    int saved;
    double x;
    if (n > 0 && (s[0] == '+' || s[0] == '-')) {
        negative = s[0] == '-';
        t.i = 1;
    }
    number_read_digits(&t, 0);
    if (t.i < n && s[t.i] == '.') {
        t.i++;
        number_read_digits(&t, 1);
    }
    if (!t.any || !number_read_exponent(&t) || t.i != n)
        return 0;
    if (t.n_digits == 0) {
        *out = negative ? -0.0 : 0.0;
        return 1;
    }
    t.digits[t.n_digits] = '\0';
    if (t.exponent > BZ_NUMBER_EXPONENT)
        return 0;
    if (t.exponent < -BZ_NUMBER_EXPONENT)
        t.exponent = -BZ_NUMBER_EXPONENT;
    snprintf(plain, sizeof plain, "%se%lld", t.digits, (long long)t.exponent);
    saved = errno; /* strtod reports what underflows there; it is the host's */
    x = strtod(plain, NULL);
    errno = saved;
    if (!isfinite(x))
        return 0;
    *out = negative ? -x : x;
    return 1;
}

int bz_integer_parse(int64_t *out, const char *s, size_t n)
{
    uint64_t value = 0;
    uint64_t limit = INT64_MAX;
    size_t i = 0;
    if (n > 0 && (s[0] == '+' || s[0] == '-')) {
        limit += s[0] == '-';
        i = 1;
    }
    if (i == n)
        return 0;
    for (; i < n; i++) {
        if (!number_is_digit(s[i]))
            return 0;
        uint64_t digit = (uint64_t)(s[i] - '0');
        if (value > (limit - digit) / 10)
            return 0;
        value = value * 10 + digit;
    }
    *out = s[0] != '-' ? (int64_t)value : value == 0 ? 0 : -(int64_t)(value - 1) - 1;
    return 1;
}

/* --- Writing ------------------------------------------------------------------------------ */

/* Writes |x| with `count` significant digits, rounded, into digits (no trailing zeros) and the power of ten of the first.
 * Returns how many digits are left. */
static int number_digits(char digits[20], int *out_exponent, double x, int count)
{
    char text[48];
    int n = 0;
    const char *p = text;
    snprintf(text, sizeof text, "%.*e", count - 1, x);
    for (; *p != '\0' && *p != 'e'; p++) {
        if (number_is_digit(*p) && n < 18)
            digits[n++] = *p;
    }
    *out_exponent = *p == 'e' ? atoi(p + 1) : 0;
    while (n > 1 && digits[n - 1] == '0')
        n--;
    return n;
}

static int number_reads_back(const char *digits, int n, int exponent, double x)
{
    char text[40];
    int saved = errno;
    double back;
    snprintf(text, sizeof text, "%.*se%d", n, digits, exponent - (n - 1));
    back = strtod(text, NULL);
    errno = saved;
    return !(back < x) && !(back > x);
}

/* The fewest digits that read back. Fifteen always survive the way through a normal double, so for these the search
 * starts there; subnormals have fewer bits and are searched from one digit on. */
static int number_shortest(char digits[20], int *out_exponent, double x)
{
    int n = 0;
    for (int count = x < DBL_MIN ? 1 : 15; count <= 17; count++) {
        n = number_digits(digits, out_exponent, x, count);
        if (number_reads_back(digits, n, *out_exponent, x))
            break;
    }
    return n;
}

/* digits[0..n) with the point behind the first `whole` of them; whole may be negative or beyond n. */
static size_t number_positional(char *out, const char *digits, int n, int whole)
{
    size_t used = 0;
    int i = 0;
    if (whole <= 0)
        out[used++] = '0';
    for (; i < whole; i++)
        out[used++] = i < n ? digits[i] : '0';
    if (i < n) {
        out[used++] = '.';
        for (int zero = whole; zero < 0; zero++)
            out[used++] = '0';
        for (; i < n; i++)
            out[used++] = digits[i];
    }
    return used;
}

size_t bz_number_format(char out[32], double x)
{
    char digits[20];
    int exponent = 0;
    int n;
    size_t used = 0;
    out[0] = '\0';
    if (!isfinite(x))
        return 0;
    if (signbit(x)) {
        out[used++] = '-';
        x = -x;
    }
    if (x > 0)
        n = number_shortest(digits, &exponent, x);
    else
        n = (digits[0] = '0', 1);
    /* Up to 2^53 every integer is exact; beyond, an exponent says that it is not. */
    if (exponent >= -5 && x <= 0x1p53) {
        used += number_positional(out + used, digits, n, exponent + 1);
    } else {
        out[used++] = digits[0];
        if (n > 1) {
            out[used++] = '.';
            memcpy(out + used, digits + 1, (size_t)n - 1);
            used += (size_t)n - 1;
        }
        used += (size_t)snprintf(out + used, 32 - used, "e%d", exponent);
    }
    out[used] = '\0';
    return used;
}
