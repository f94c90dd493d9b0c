/* SPDX-License-Identifier: MIT */
/* See evidence_text.h. English words only where a number or a list is told by one; everything else is about capitals, quotes
 * and blanks. */
#include "generate/evidence_text.h"

#include "base/number.h"

#include <string.h>

/* ---- the text --------------------------------------------------------------------------------------------------------- */

int bz_evidence_is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static int is_capital(char c)
{
    return c >= 'A' && c <= 'Z';
}

char bz_evidence_small(char c)
{
    return is_capital(c) ? (char)(c + 32) : c;
}

/* Of words; all bytes beyond ASCII are. */
int bz_evidence_is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || is_capital(c) || bz_evidence_is_digit(c) || (unsigned char)c >= 0x80;
}

int bz_evidence_begins_word(const bz_evidence_text *t, uint32_t p)
{
    return p < t->size && bz_evidence_is_letter(t->text[p]) && (p == 0 || !bz_evidence_is_letter(t->text[p - 1]));
}

int bz_evidence_is_word(const bz_evidence_text *t, uint32_t p, const char *word)
{
    const uint32_t n = (uint32_t)strlen(word);
    return p + n <= t->size && bz_evidence_begins_word(t, p) && memcmp(t->text + p, word, n) == 0 &&
           (p + n == t->size || !bz_evidence_is_letter(t->text[p + n]));
}

/* Does a value that ends before p leave no rest of a word, a date or a number? */
static int text_ends_value(const char *s, uint32_t size, uint32_t p)
{
    const char c = p < size ? s[p] : ' ', next = p + 1 < size ? s[p + 1] : ' ';
    if (p == 0 || s[p - 1] == ' ')
        return 0;
    if (c == ',' && bz_evidence_is_digit(s[p - 1]) && p + 6 <= size && next == ' ' && bz_evidence_is_digit(s[p + 2]) &&
        bz_evidence_is_digit(s[p + 3]) && bz_evidence_is_digit(s[p + 4]) && bz_evidence_is_digit(s[p + 5]) &&
        (p < 3 || !bz_evidence_is_digit(s[p - 2]) || !bz_evidence_is_digit(s[p - 3])))
        return 0; /* the year of a date */
    if (c == ' ' || c == '\n')
        return 1;
    if (strchr("'", c) != NULL && next == 's' && !(p + 2 < size && bz_evidence_is_letter(s[p + 2])))
        return 1;
    return strchr(",.;:?!)]'\"%", c) != NULL && !bz_evidence_is_letter(next);
}

/* The word before p stands in capitals and does not begin a sentence. */
static int text_follows_name(const char *s, uint32_t p)
{
    uint32_t begin = p;
    if (begin < 2 || s[begin - 1] != ' ' || !bz_evidence_is_letter(s[begin - 2]))
        return 0;
    for (begin--; begin > 0 && bz_evidence_is_letter(s[begin - 1]);)
        begin--;
    return is_capital(s[begin]) && begin >= 2 && strchr(".?!:\n", s[begin - 2]) == NULL;
}

/* What stands in quotes that open before p: where it ends, 0 = none do. */
static uint32_t text_quote(const char *s, uint32_t size, uint32_t p)
{
    const char quote = p > 0 ? s[p - 1] : ' ';
    uint32_t end = p;
    if ((quote != '\'' && quote != '"') || (p > 1 && bz_evidence_is_letter(s[p - 2])))
        return 0;
    while (end < size && !(s[end] == quote && (end + 1 == size || !bz_evidence_is_letter(s[end + 1]))))
        end++;
    return end < size && end > p ? end : 0;
}

/* Does a value begin at p, outside of quotes? Not within a name, a date, a number with a unit. */
static uint8_t text_start(const char *s, uint32_t p)
{
    const char c = s[p], before = p > 0 ? s[p - 1] : ' ';
    const int is_glued = p > 1 && strchr("-_/.&'#", before) != NULL && bz_evidence_is_letter(s[p - 2]);
    if (!bz_evidence_is_letter(c) || bz_evidence_is_letter(before) || is_glued || (is_capital(c) && text_follows_name(s, p)))
        return 0;
    const int begins_sentence = p == 0 || (p > 1 && strchr(".?!\n", s[p - 2]) != NULL);
    return bz_evidence_is_digit(c) || (is_capital(c) && !begins_sentence) ? TEXT_STARTS | TEXT_STRONG : TEXT_STARTS;
}

static void evidence_mark(bz_evidence_text *t)
{
    const char *s = t->given;
    uint32_t quoted = 0; /* the end of what is in quotes */
    for (uint32_t p = 0; p <= t->size; p++) {
        const uint32_t end = p >= quoted ? text_quote(s, t->size, p) : 0;
        if (end > 0) {
            t->quote_end[p] = (uint16_t)end;
            t->flags[p] = TEXT_STARTS | TEXT_STRONG;
            quoted = end;
        } else if (p >= quoted && p < t->size) {
            t->flags[p] = text_start(s, p);
        }
        const int in_name = p + 1 < t->size && s[p] == ' ' && is_capital(s[p + 1]) && text_follows_name(s, p + 1);
        if (text_ends_value(s, t->size, p) && !in_name)
            t->flags[p] |= TEXT_ENDS;
    }
}

int bz_evidence_is_used(const bz_evidence_text *t, uint32_t begin, uint32_t end)
{
    for (; begin < end; begin++)
        if (t->flags[begin] & TEXT_USED)
            return 1;
    return 0;
}

void bz_evidence_use(bz_evidence_text *t, uint32_t begin, uint32_t end)
{
    const uint32_t n = end - begin;
    for (uint32_t p = 0; n > 0 && p + n <= t->size; p++)
        if ((p == begin || !bz_evidence_is_digit(t->text[begin])) && t->flags[p] & TEXT_STARTS &&
            (p + n == t->size || !bz_evidence_is_letter(t->text[p + n - 1]) || !bz_evidence_is_letter(t->text[p + n]) ||
             p == begin) &&
            memcmp(t->text + p, t->text + begin, n) == 0)
            for (uint32_t i = p; i < p + n; i++)
                t->flags[i] |= TEXT_USED;
}

/* ---- numbers in it ---------------------------------------------------------------------------------------------------- */

static bz_evidence_number *evidence_add_number(bz_evidence_text *t, double x, uint32_t begin, uint32_t end)
{
    char text[32];
    const size_t n = bz_number_format(text, x);
    if (t->n_numbers == BZ_EVIDENCE_NUMBERS || n >= sizeof t->numbers[0].text)
        return NULL;
    bz_evidence_number *number = &t->numbers[t->n_numbers++];
    *number = (bz_evidence_number){.begin = begin, .end = end, .size = (uint32_t)n};
    memcpy(number->text, text, n);
    return number;
}

/* The digits from p on as a number has them, into out [40]; returns where they end. */
static uint32_t text_digits(char out[40], const char *s, uint32_t size, uint32_t p)
{
    uint32_t n = 0, q = p;
    if (p > 0 && s[p - 1] == '-' && (p == 1 || !bz_evidence_is_letter(s[p - 2])))
        out[n++] = '-';
    for (; n < 38; q++) {
        const int is_group = q + 3 < size && bz_evidence_is_digit(s[q + 1]) && bz_evidence_is_digit(s[q + 2]) &&
                             bz_evidence_is_digit(s[q + 3]);
        const int digit_next = bz_evidence_is_digit(s[q]) || (s[q] != '\0' && bz_evidence_is_digit(s[q + 1]));
        if (s[q] == ',' && is_group && !bz_evidence_is_digit(s[q + 4]))
            continue;
        const int goes_on = bz_evidence_is_digit(s[q]) || (strchr(".e", s[q]) != NULL && digit_next) ||
                            (s[q] == 'e' && s[q + 1] == '-' && bz_evidence_is_digit(s[q + 2])) ||
                            (s[q] == '-' && q > p && s[q - 1] == 'e');
        if (!goes_on || s[q] == '\0')
            break;
        out[n++] = s[q];
    }
    out[n] = '\0';
    return q;
}

/* The number at p; returns where it ends. */
static uint32_t evidence_read_digits(bz_evidence_text *t, uint32_t p)
{
    static const struct {
        const char *word;
        double times;
    } scales[] = {{"thousand", 1e3}, {"million", 1e6}, {"billion", 1e9}};
    char digits[40];
    double x = 0;
    const uint32_t q = text_digits(digits, t->text, t->size, p);
    const uint32_t word = q < t->size && t->text[q] == ' ' ? q + 1 : q;
    if (!bz_number_parse(&x, digits, strlen(digits)))
        return q;
    for (size_t i = 0; i < sizeof scales / sizeof scales[0]; i++)
        if (bz_evidence_is_word(t, word, scales[i].word))
            x *= scales[i].times;
    bz_evidence_number *number = evidence_add_number(t, x, p, q);
    if (number != NULL && (t->text[q] == '%' || bz_evidence_is_word(t, word, "percent"))) {
        number->is_percent = 1;
        number = evidence_add_number(t, x / 100, p, q);
        if (number != NULL)
            number->is_fraction = 1;
    }
    return q;
}

static void evidence_find_numbers(bz_evidence_text *t)
{
    static const char *const words[] = {"zero",  "one",   "two",  "three", "four",   "five",  "six",
                                        "seven", "eight", "nine", "ten",   "eleven", "twelve"};
    for (uint32_t p = 0; p < t->size; p++) {
        if (bz_evidence_is_digit(t->text[p]) && (p == 0 || !bz_evidence_is_letter(t->text[p - 1])))
            p = evidence_read_digits(t, p);
        for (uint32_t i = 0; i < sizeof words / sizeof words[0]; i++)
            if (bz_evidence_is_word(t, p, words[i])) {
                t->flags[p] |= TEXT_NUMBER;
                (void)evidence_add_number(t, i, p, p + (uint32_t)strlen(words[i]));
            }
    }
}

/* ---- names beside a place --------------------------------------------------------------------------------------------- */

/* The next word of a parameter's name into out [32], small; 0 at its end. */
static size_t name_word(char out[32], const bz_call_text *name, uint32_t *at)
{
    size_t n = 0;
    for (; *at < name->size; (*at)++) {
        const char c = name->bytes[*at];
        if (n > 0 && (!bz_evidence_is_letter(c) || (is_capital(c) && !is_capital(name->bytes[*at - 1]))))
            break;
        if (bz_evidence_is_letter(c) && n < 32)
            out[n++] = bz_evidence_small(c);
    }
    return n;
}

/* What words that mean the same have in common at least. */
static size_t name_stem(size_t n)
{
    return n > 6 ? n - 2 : n > 4 ? n - 1 : n;
}

/* 1 when a word of the name stands in the text, in [begin, end); of short ones only the whole counts. */
int bz_evidence_has_name(const bz_evidence_text *t, const bz_call_text *name, uint32_t begin, uint32_t end, size_t least)
{
    char word[32];
    uint32_t at = 0;
    for (size_t n; (n = name_word(word, name, &at)) > 0;) {
        const size_t stem = name_stem(n);
        for (uint32_t p = begin; n >= least && p < end && p + stem <= t->size; p++)
            if (bz_evidence_begins_word(t, p) && memcmp(t->text + p, word, stem) == 0 &&
                (n > 3 || p + n == t->size || !bz_evidence_is_letter(t->text[p + n])))
                return 1;
    }
    return 0;
}

/* Where `words` words before p begin. */
uint32_t bz_evidence_back(const bz_evidence_text *t, uint32_t p, uint32_t words)
{
    while (p > 0 && words > 0) {
        while (p > 0 && !bz_evidence_is_letter(t->text[p - 1]))
            p--;
        while (p > 0 && bz_evidence_is_letter(t->text[p - 1]))
            p--;
        words--;
    }
    return p;
}

uint32_t bz_evidence_ahead(const bz_evidence_text *t, uint32_t p)
{
    while (p < t->size && !bz_evidence_is_letter(t->text[p]))
        p++;
    while (p < t->size && bz_evidence_is_letter(t->text[p]))
        p++;
    return p;
}

void bz_evidence_text_read(bz_evidence_text *t, const char *text)
{
    const size_t n = strlen(text), skip = n > BZ_EVIDENCE_BYTES ? n - BZ_EVIDENCE_BYTES : 0;
    t->size = (uint32_t)(n - skip);
    memcpy(t->given, text + skip, t->size);
    for (uint32_t i = 0; i < t->size; i++)
        t->text[i] = bz_evidence_small(t->given[i]);
    evidence_mark(t);
    evidence_find_numbers(t);
}
