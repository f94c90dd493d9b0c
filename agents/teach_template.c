/* SPDX-License-Identifier: MIT */
/* Templates of questions (see teach.h): a text with parts that may be left out, alternatives, and values. Reads each template from
 * the left once; what is not chosen is read, too, so that a mistake in it is found whatever was chosen. */
#include "teach_impl.h"

#include <string.h>

#include "base/number.h"

size_t bz_teach_pick(bz_rng *rng, size_t n)
{
    return n > 1 ? (size_t)(bz_rng_unit(rng) * (double)n) % n : 0;
}

int bz_teach_chance(bz_rng *rng, double p)
{
    return bz_rng_unit(rng) < p;
}

/* --- Values in words ---------------------------------------------------------------------- */

static void show_date(bz_strbuf *out, const char *iso)
{
    static const char *const months[] = {"January", "February", "March",     "April",   "May",      "June",
                                         "July",    "August",   "September", "October", "November", "December"};
    int parts[3] = {0}, n = 0; /* year, month, day */
    for (const char *c = iso; *c && n < 3; c++) {
        if (*c >= '0' && *c <= '9' && parts[n] < 10000)
            parts[n] = parts[n] * 10 + (*c - '0');
        else if (*c == '-')
            n++;
        else
            n = 3;
    }
    if (n == 2 && parts[1] >= 1 && parts[1] <= 12)
        bz_strbuf_format(out, "%s %d, %d", months[parts[1] - 1], parts[2], parts[0]);
    else
        bz_strbuf_text(out, iso);
}

static void show_number(bz_strbuf *out, double x)
{
    char text[32];
    bz_strbuf_add(out, text, bz_number_format(text, x));
}

static void show_json(bz_strbuf *out, const bezel_value *value)
{
    if (bezel_value_type(value) == BEZEL_LIST) {
        for (size_t i = 0; i < bezel_value_count(value); i++) {
            bz_strbuf_text(out, i ? ", " : "[");
            bz_teach_show(out, bezel_value_at(value, i), NULL, 0);
        }
        bz_strbuf_text(out, bezel_value_count(value) ? "]" : "[]");
    } else if (bezel_value_type(value) == BEZEL_TEXT) {
        bz_strbuf_format(out, "\"%s\"", bezel_value_text(value, NULL));
    } else {
        bz_teach_show(out, value, NULL, 0);
    }
}

static void show_items(bz_strbuf *out, const bezel_value *value)
{
    const size_t n = bezel_value_count(value);
    for (size_t i = 0; i < n; i++) {
        bz_strbuf_text(out, i == 0 ? "" : i + 1 == n ? " and " : ", ");
        if (bezel_value_type(value) == BEZEL_MAP) {
            const char *key = bezel_value_key(value, i, NULL);
            for (; *key; key++)
                bz_strbuf_char(out, *key == '_' ? ' ' : *key);
            bz_strbuf_char(out, ' ');
        }
        bz_teach_show(out, bezel_value_at(value, i), NULL, 0);
    }
}

void bz_teach_show(bz_strbuf *out, const bezel_value *value, const char *form, size_t form_size)
{
    static const char *const words[] = {"zero", "one", "two",   "three", "four", "five",   "six",
                                        "seven", "eight", "nine", "ten",   "eleven", "twelve"};
    const double x = bezel_value_number(value);
    const char *text = bezel_value_text(value, NULL);
    switch (bezel_value_type(value)) {
    case BEZEL_BOOL: bz_strbuf_text(out, bezel_value_bool(value) ? "yes" : "no"); break;
    case BEZEL_INTEGER:
    case BEZEL_NUMBER:
        if (form && form_size == 5 && memcmp(form, "words", 5) == 0 && x >= 0 && x <= 12 && x == (double)(int)x)
            bz_strbuf_text(out, words[(int)x]);
        else if (form && form_size == 7 && memcmp(form, "percent", 7) == 0)
            show_number(out, (double)(int64_t)(x * 10000 + 0.5) / 100), bz_strbuf_char(out, '%');
        else
            show_number(out, x);
        break;
    case BEZEL_TEXT:
        if (form && form_size == 4 && memcmp(form, "date", 4) == 0)
            show_date(out, text);
        else
            for (; *text; text++)
                bz_strbuf_char(out, *text == '_' ? ' ' : *text);
        break;
    case BEZEL_LIST:
    case BEZEL_MAP:
        if (form && form_size == 4 && memcmp(form, "json", 4) == 0)
            show_json(out, value);
        else
            show_items(out, value);
        break;
    default: break;
    }
}

/* --- Reading ------------------------------------------------------------------------------ */

typedef struct fill_state {
    bz_strbuf *out;
    bezel_value *shown;
    bezel_tree *tree;
    const char *text;
    size_t at;
    const bezel_value *values;
    bz_rng *rng;
    bezel_error *err;
} fill_state;

static bezel_status fill_fail(fill_state *f, const char *what)
{
    bezel_status st = bz_fail(f->err, BEZEL_ERR_FORMAT, "teach", "%s at byte %zu of \"%.80s\"", what, f->at, f->text);
    return bz_error_hint(f->err, st, "{p} is a value, [a part that may be left out], (one|of these), @p=JSON implies a value; \\ before a plain one");
}

/* Alternatives of the bracket at `at`: 1 + the bars inside of it, 0 when it is never closed. */
static size_t fill_alternatives(const char *text, size_t at)
{
    size_t bars = 1;
    int depth = 0;
    for (; text[at]; at++) {
        if (text[at] == '\\' && text[at + 1])
            at++;
        else if (text[at] == '(' || text[at] == '[')
            depth++;
        else if ((text[at] == ')' || text[at] == ']') && --depth == 0)
            return bars;
        else if (text[at] == '|' && depth == 1)
            bars++;
    }
    return 0;
}

static bezel_status fill_value(fill_state *f, int quiet)
{
    const char *name = f->text + f->at + 1, *end = strchr(name, '}'), *colon = end ? memchr(name, ':', (size_t)(end - name)) : NULL;
    char key[80];
    const size_t size = end ? (size_t)((colon ? colon : end) - name) : 0;
    if (!size || size >= sizeof key)
        return fill_fail(f, "no value {name}");
    memcpy(key, name, size);
    key[size] = 0;
    const bezel_value *value = bezel_value_get(f->values, key);
    if (!value)
        return fill_fail(f, "a value that is no parameter");
    if (!quiet) {
        bz_teach_show(f->out, value, colon ? colon + 1 : NULL, colon ? (size_t)(end - colon) - 1 : 0);
        bezel_value_set(f->tree, f->shown, key, bezel_tree_copy(f->tree, value));
    }
    f->at = (size_t)(end + 1 - f->text);
    return BEZEL_OK;
}

/* @key=JSON, up to the next @ or the end of its part. */
static bezel_status fill_implied(fill_state *f, int quiet)
{
    const char *key = f->text + f->at + 1, *equals = strchr(key, '=');
    char name[80];
    int depth = 0, quoted = 0;
    bezel_value *value = NULL;
    if (!equals || equals == key || (size_t)(equals - key) >= sizeof name)
        return fill_fail(f, "no @name=JSON");
    memcpy(name, key, (size_t)(equals - key));
    name[equals - key] = 0;
    const char *end = equals + 1;
    for (; *end; end++) {
        if (*end == '"')
            quoted = !quoted;
        if (quoted)
            continue;
        if (depth == 0 && (*end == '@' || *end == '|' || *end == ']' || *end == ')'))
            break;
        depth += *end == '[' || *end == '{';
        depth -= *end == ']' || *end == '}';
    }
    bezel_error inner = BEZEL_ERROR_INIT;
    if (bezel_json_read(&value, f->tree, equals + 1, (size_t)(end - equals) - 1, &inner) != BEZEL_OK)
        return fill_fail(f, "no JSON behind the =");
    if (!bezel_value_get(f->values, name))
        return fill_fail(f, "a value that is no parameter");
    if (!quiet)
        bezel_value_set(f->tree, f->shown, name, value);
    f->at = (size_t)(end - f->text);
    return BEZEL_OK;
}

static bezel_status fill_part(fill_state *f, int quiet, int depth);

static bezel_status fill_bracket(fill_state *f, int quiet, int depth)
{
    const int optional = f->text[f->at] == '[';
    const size_t n = fill_alternatives(f->text, f->at);
    if (n == 0 || depth > 8)
        return fill_fail(f, n ? "too deep" : "a bracket that is not closed");
    const size_t chosen = optional ? !bz_teach_chance(f->rng, 0.5) : bz_teach_pick(f->rng, n);
    if (!optional && n == 1)
        return fill_fail(f, "only one alternative");
    for (size_t i = 0; i < n; i++) {
        f->at++; /* the bracket, or the bar */
        const bezel_status st = fill_part(f, quiet || i != chosen, depth + 1);
        if (st != BEZEL_OK)
            return st;
    }
    f->at++;
    return BEZEL_OK;
}

static bezel_status fill_part(fill_state *f, int quiet, int depth)
{
    bezel_status st = BEZEL_OK;
    while (st == BEZEL_OK && f->text[f->at]) {
        const char c = f->text[f->at];
        if (c == '\\' && f->text[f->at + 1]) {
            if (!quiet)
                bz_strbuf_char(f->out, f->text[f->at + 1]);
            f->at += 2;
        } else if (c == '{') {
            st = fill_value(f, quiet);
        } else if (c == '@') {
            st = fill_implied(f, quiet);
        } else if (c == '(' || c == '[') {
            st = fill_bracket(f, quiet, depth);
        } else if (c == ')' || c == ']' || c == '|') {
            return depth ? BEZEL_OK : fill_fail(f, "a bracket or bar without its beginning");
        } else {
            if (!quiet)
                bz_strbuf_char(f->out, c);
            f->at++;
        }
    }
    return st == BEZEL_OK && depth ? fill_fail(f, "a bracket that is not closed") : st;
}

bezel_status bz_teach_fill(bz_strbuf *out, bezel_value *shown, bezel_tree *tree, const char *text, const bezel_value *values,
                           bz_rng *rng, bezel_error *err)
{
    fill_state f = {.out = out, .shown = shown, .tree = tree, .text = text, .values = values, .rng = rng, .err = err};
    return fill_part(&f, 0, 0);
}
