/* SPDX-License-Identifier: MIT */
/* Folding by utf8proc, and what Unicode's tables do not hold: letters of other scripts that look like Latin ones.
 * Invariant: the result of a character depends on nothing but the character. */
#include "guard_fold.h"

#include "base/utf8.h"

#include <string.h>
#include <utf8proc.h>

/* --- Looks ---------------------------------------------------------------------------------- */

typedef struct fold_look {
    uint16_t cp;
    char latin;
} fold_look;

/* Letters that pass for a Latin one in common typefaces; ORDER by code point. Capitals stand where the small letter looks
 * otherwise. Made for this file by looking; Unicode's own list (UTS 39, confusables.txt) is longer and serves names, not words. */
static const fold_look looks[] = {
    {0x00d8, 'o'}, {0x00f8, 'o'}, {0x0110, 'd'}, {0x0111, 'd'}, {0x0126, 'h'}, {0x0127, 'h'}, {0x0131, 'i'}, {0x0141, 'l'},
    {0x0142, 'l'}, {0x0166, 't'}, {0x0167, 't'}, {0x0180, 'b'}, {0x0237, 'j'}, {0x0251, 'a'}, {0x0261, 'g'}, {0x0262, 'g'},
    {0x0269, 'i'}, {0x026a, 'i'}, {0x026f, 'm'}, {0x0274, 'n'}, {0x0280, 'r'}, {0x028b, 'v'}, {0x028f, 'y'}, {0x0299, 'b'},
    {0x029c, 'h'}, {0x029f, 'l'},
    /* Greek */
    {0x0391, 'a'}, {0x0392, 'b'}, {0x0395, 'e'}, {0x0396, 'z'}, {0x0397, 'h'}, {0x0399, 'i'}, {0x039a, 'k'}, {0x039c, 'm'},
    {0x039d, 'n'}, {0x039f, 'o'}, {0x03a1, 'p'}, {0x03a4, 't'}, {0x03a5, 'y'}, {0x03a7, 'x'}, {0x03b1, 'a'}, {0x03b2, 'b'},
    {0x03b3, 'y'}, {0x03b5, 'e'}, {0x03b7, 'n'}, {0x03b9, 'i'}, {0x03ba, 'k'}, {0x03bd, 'v'}, {0x03bf, 'o'}, {0x03c1, 'p'},
    {0x03c3, 'o'}, {0x03c4, 't'}, {0x03c5, 'u'}, {0x03c7, 'x'}, {0x03c9, 'w'}, {0x03f2, 'c'}, {0x03f3, 'j'}, {0x03f9, 'c'},
    /* Cyrillic */
    {0x0405, 's'}, {0x0406, 'i'}, {0x0408, 'j'}, {0x0410, 'a'}, {0x0412, 'b'}, {0x0415, 'e'}, {0x041a, 'k'}, {0x041c, 'm'},
    {0x041d, 'h'}, {0x041e, 'o'}, {0x0420, 'p'}, {0x0421, 'c'}, {0x0422, 't'}, {0x0423, 'y'}, {0x0425, 'x'}, {0x042c, 'b'},
    {0x0430, 'a'}, {0x0432, 'b'}, {0x0433, 'r'}, {0x0435, 'e'}, {0x043a, 'k'}, {0x043c, 'm'}, {0x043d, 'h'}, {0x043e, 'o'},
    {0x043f, 'n'}, {0x0440, 'p'}, {0x0441, 'c'}, {0x0442, 't'}, {0x0443, 'y'}, {0x0445, 'x'}, {0x044c, 'b'}, {0x0455, 's'},
    {0x0456, 'i'}, {0x0458, 'j'}, {0x0461, 'w'}, {0x0474, 'v'}, {0x0475, 'v'}, {0x04ae, 'y'}, {0x04af, 'y'}, {0x04ba, 'h'},
    {0x04bb, 'h'}, {0x04c0, 'i'}, {0x04cf, 'l'}, {0x0501, 'd'}, {0x050c, 'g'}, {0x050d, 'g'}, {0x051a, 'q'}, {0x051b, 'q'},
    {0x051c, 'w'}, {0x051d, 'w'},
    /* Armenian */
    {0x054f, 's'}, {0x0555, 'o'}, {0x0561, 'w'}, {0x0563, 'q'}, {0x0566, 'q'}, {0x0570, 'h'}, {0x0578, 'n'}, {0x057c, 'n'},
    {0x057d, 'u'}, {0x0581, 'g'}, {0x0582, 'i'}, {0x0585, 'o'},
    /* Cherokee */
    {0x13a0, 'd'}, {0x13a1, 'r'}, {0x13a2, 't'}, {0x13a5, 'i'}, {0x13a9, 'y'}, {0x13aa, 'a'}, {0x13ab, 'j'}, {0x13ac, 'e'},
    {0x13b3, 'w'}, {0x13b7, 'm'}, {0x13bb, 'h'}, {0x13bd, 'y'}, {0x13c0, 'g'}, {0x13c3, 'z'}, {0x13cf, 'b'}, {0x13d2, 'r'},
    {0x13d4, 'w'}, {0x13d5, 's'}, {0x13d9, 'v'}, {0x13da, 's'}, {0x13de, 'l'}, {0x13df, 'c'}, {0x13e2, 'p'}, {0x13e6, 'k'},
    {0x13f4, 'b'},
    /* small capitals */
    {0x1d00, 'a'}, {0x1d04, 'c'}, {0x1d05, 'd'}, {0x1d07, 'e'}, {0x1d0a, 'j'}, {0x1d0b, 'k'}, {0x1d0d, 'm'}, {0x1d0f, 'o'},
    {0x1d18, 'p'}, {0x1d1b, 't'}, {0x1d1c, 'u'}, {0x1d20, 'v'}, {0x1d21, 'w'}, {0x1d22, 'z'}, {0xa730, 'f'}, {0xa731, 's'},
};

static char look_of(uint32_t cp)
{
    size_t low = 0, high = sizeof looks / sizeof *looks;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (looks[middle].cp < cp)
            low = middle + 1;
        else
            high = middle;
    }
    if (low < sizeof looks / sizeof *looks && looks[low].cp == cp)
        return looks[low].latin;
    /* letters in circles and squares that have no compatibility form, and those that flags are made of */
    if (cp >= 0x1f150 && cp <= 0x1f169)
        return (char)('a' + (cp - 0x1f150));
    if (cp >= 0x1f170 && cp <= 0x1f189)
        return (char)('a' + (cp - 0x1f170));
    if (cp >= 0x1f1e6 && cp <= 0x1f1ff)
        return (char)('a' + (cp - 0x1f1e6));
    return 0;
}

/* --- Folding -------------------------------------------------------------------------------- */

size_t bz_fold_char(char out[BZ_FOLD_MAX], uint32_t cp)
{
    const utf8proc_option_t options = UTF8PROC_COMPAT | UTF8PROC_DECOMPOSE | UTF8PROC_CASEFOLD | UTF8PROC_IGNORE | UTF8PROC_STRIPMARK;
    utf8proc_int32_t parts[32];
    int boundary = 0;
    size_t n = 0;
    if (cp < 0x80) {
        if ((cp < 0x20 && cp != '\t' && cp != '\n' && cp != '\r') || cp == 0x7f)
            return 0;
        out[0] = (char)(cp >= 'A' && cp <= 'Z' ? cp + ('a' - 'A') : cp);
        return 1;
    }
    if (look_of(cp)) {
        out[0] = look_of(cp);
        return 1;
    }
    utf8proc_ssize_t count = utf8proc_decompose_char((utf8proc_int32_t)cp, parts, 32, options, &boundary);
    if (count < 0 || count > 32)
        return bz_utf8_encode(out, cp);
    for (utf8proc_ssize_t i = 0; i < count && n + 4 < BZ_FOLD_MAX; i++) {
        uint32_t part = (uint32_t)parts[i];
        char look = look_of(part);
        if (bz_fold_is_invisible(part))
            continue;
        if (look)
            out[n++] = look;
        else
            n += bz_utf8_encode(out + n, part);
    }
    return n;
}

/* --- What nobody sees ----------------------------------------------------------------------- */

int bz_fold_is_joiner(uint32_t cp)
{
    return cp == 0x200c || cp == 0x200d || cp == 0xfe0f;
}

/* Unicode's Default_Ignorable_Code_Point, and the controls that no text needs; ORDER. */
static const struct {
    uint32_t first, last;
} invisible[] = {
    {0x0, 0x8},         {0xb, 0xc},         {0xe, 0x1f},        {0x7f, 0x9f},         {0xad, 0xad},       {0x34f, 0x34f},
    {0x61c, 0x61c},     {0x115f, 0x1160},   {0x17b4, 0x17b5},   {0x180b, 0x180f},     {0x200b, 0x200f},   {0x202a, 0x202e},
    {0x2060, 0x206f},   {0x3164, 0x3164},   {0xfe00, 0xfe0f},   {0xfeff, 0xfeff},     {0xffa0, 0xffa0},   {0xfff0, 0xfffb},
    {0x1bca0, 0x1bca3}, {0x1d173, 0x1d17a}, {0xe0000, 0xe0fff},
};

int bz_fold_is_invisible(uint32_t cp)
{
    size_t i = 0;
    while (i < sizeof invisible / sizeof *invisible && cp > invisible[i].last)
        i++;
    return i < sizeof invisible / sizeof *invisible && cp >= invisible[i].first;
}

static int is_pictographic(uint32_t cp)
{
    return cp == 0xfe0f || (cp >= 0x1f3fb && cp <= 0x1f3ff) || /* skin tones stand before a joiner, too */
           utf8proc_get_property((utf8proc_int32_t)cp)->boundclass == UTF8PROC_BOUNDCLASS_EXTENDED_PICTOGRAPHIC;
}

/* Scripts whose letters change their form beside others: Arabic, Syriac, N'Ko, Mongolian; and the scripts of India, where a
 * joiner stands behind a virama or a vowel sign. */
static int is_joining(uint32_t cp)
{
    return (cp >= 0x0600 && cp <= 0x07ff) || (cp >= 0x0860 && cp <= 0x08ff) || (cp >= 0x0900 && cp <= 0x0dff) ||
           (cp >= 0x1000 && cp <= 0x109f) || (cp >= 0x1780 && cp <= 0x18af) || (cp >= 0xfb50 && cp <= 0xfdff) ||
           (cp >= 0xfe70 && cp <= 0xfefc);
}

int bz_fold_joins(uint32_t before, uint32_t joiner, uint32_t after)
{
    if (joiner == 0xfe0f) /* also the digits of keycaps */
        return is_pictographic(before) || (before >= '0' && before <= '9') || before == '#' || before == '*';
    if (is_joining(before))
        return after == 0 || is_joining(after);
    return joiner == 0x200d && is_pictographic(before) && is_pictographic(after);
}
