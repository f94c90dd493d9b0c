/* SPDX-License-Identifier: MIT */
/* UTF-8, strictly (Unicode 15, table 3-7): no overlong forms, no surrogates, nothing above U+10FFFF.
 * Reads no byte past n. Knows nothing of normal forms, case or display width. */
#include "base/utf8.h"

#include <string.h>

/* Length that a lead byte announces, 0 for a byte that cannot lead. */
static size_t utf8_lead_length(unsigned char c)
{
    if (c < 0x80)
        return 1;
    if (c >= 0xC2 && c <= 0xDF)
        return 2;
    if (c >= 0xE0 && c <= 0xEF)
        return 3;
    if (c >= 0xF0 && c <= 0xF4)
        return 4;
    return 0;
}

/* Whether `second` may follow `lead`: the ranges that exclude overlong forms, surrogates and the end of the code space. */
static int utf8_second_ok(unsigned char lead, unsigned char second)
{
    unsigned char low = 0x80;
    unsigned char high = 0xBF;
    switch (lead) {
    case 0xE0:
        low = 0xA0;
        break;
    case 0xED:
        high = 0x9F;
        break;
    case 0xF0:
        low = 0x90;
        break;
    case 0xF4:
        high = 0x8F;
        break;
    default:
        break;
    }
    return second >= low && second <= high;
}

size_t bz_utf8_decode(uint32_t *out_cp, const char *s, size_t n)
{
    const unsigned char *u = (const unsigned char *)s;
    static const unsigned char lead_mask[5] = {0, 0x7F, 0x1F, 0x0F, 0x07};
    size_t length;
    uint32_t cp;
    if (n == 0)
        return 0;
    length = utf8_lead_length(u[0]);
    if (length == 0 || length > n)
        return 0;
    cp = u[0] & lead_mask[length];
    for (size_t i = 1; i < length; i++) {
        if ((u[i] & 0xC0) != 0x80 || (i == 1 && !utf8_second_ok(u[0], u[1])))
            return 0;
        cp = cp << 6 | (u[i] & 0x3Fu);
    }
    *out_cp = cp;
    return length;
}

size_t bz_utf8_encode(char out[4], uint32_t cp)
{
    if (cp < 0x80) {
        out[0] = (char)cp;
        return 1;
    }
    if (cp < 0x800) {
        out[0] = (char)(0xC0 | cp >> 6);
        out[1] = (char)(0x80 | (cp & 0x3F));
        return 2;
    }
    if (cp >= 0xD800 && cp <= 0xDFFF)
        return 0;
    if (cp < 0x10000) {
        out[0] = (char)(0xE0 | cp >> 12);
        out[1] = (char)(0x80 | (cp >> 6 & 0x3F));
        out[2] = (char)(0x80 | (cp & 0x3F));
        return 3;
    }
    if (cp > 0x10FFFF)
        return 0;
    out[0] = (char)(0xF0 | cp >> 18);
    out[1] = (char)(0x80 | (cp >> 12 & 0x3F));
    out[2] = (char)(0x80 | (cp >> 6 & 0x3F));
    out[3] = (char)(0x80 | (cp & 0x3F));
    return 4;
}

int bz_utf8_valid(const char *s, size_t n)
{
    uint32_t cp;
    size_t i = 0;
    while (i < n) {
        size_t length = (unsigned char)s[i] < 0x80 ? 1 : bz_utf8_decode(&cp, s + i, n - i);
        if (length == 0)
            return 0;
        i += length;
    }
    return 1;
}

size_t bz_utf8_count(const char *s, size_t n)
{
    uint32_t cp;
    size_t count = 0;
    size_t i = 0;
    while (i < n) {
        size_t length = bz_utf8_decode(&cp, s + i, n - i);
        i += length > 0 ? length : 1;
        count++;
    }
    return count;
}

size_t bz_utf8_incomplete_tail(const char *s, size_t n)
{
    const unsigned char *u = (const unsigned char *)s;
    size_t back = 1;
    while (back <= 3 && back <= n && (u[n - back] & 0xC0) == 0x80)
        back++;
    if (back > 3 || back > n || utf8_lead_length(u[n - back]) <= back)
        return 0;
    if (back >= 2 && !utf8_second_ok(u[n - back], u[n - back + 1]))
        return 0;
    return back;
}

size_t bz_utf8_cut(const char *s, size_t n)
{
    return n - bz_utf8_incomplete_tail(s, n);
}

void bz_utf8_show(char *out, size_t capacity, const char *s, size_t n)
{
    size_t size = 0;
    for (size_t i = 0; i < n;) {
        uint32_t cp = 0;
        size_t step = bz_utf8_decode(&cp, s + i, n - i);
        if (size + (step == 0 ? 1 : step) + 4 > capacity) { /* the character, "..." and the NUL must fit */
            memcpy(out + size, "...", 3);
            size += 3;
            break;
        }
        if (step == 0 || cp < 0x20 || (cp >= 0x7F && cp < 0xA0)) {
            out[size++] = '?';
            i += step == 0 ? 1 : step;
        } else {
            memcpy(out + size, s + i, step);
            size += step;
            i += step;
        }
    }
    out[size] = '\0';
}
