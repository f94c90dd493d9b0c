/* SPDX-License-Identifier: MIT */
/* Templates of results. Syntax: {path} a value of the result, else of the arguments; {} the result; {{ and }} braces. It
 * makes text, not prompt: what the values hold is made harmless where results are rendered. */
#include "result_summary.h"

#include <math.h>
#include <string.h>

#include "base/number.h"

#define PATH_BYTES 256u

int bz_summary_is_valid(const char *format)
{
    for (const char *f = format; *f != '\0'; f++) {
        if (*f != '{')
            continue;
        if (f[1] == '{') {
            f++;
            continue;
        }
        size_t n = strcspn(f + 1, "{}");
        if (f[1 + n] != '}' || n >= PATH_BYTES)
            return 0;
        f += n + 1;
    }
    return 1;
}

/* The value at "key.0.key" below root, or NULL. */
static const bezel_value *summary_find(const bezel_value *root, const char *path, size_t size)
{
    char part[PATH_BYTES];
    while (root != NULL && size > 0) {
        size_t n = 0, skip, index = 0;
        while (n < size && path[n] != '.')
            n++;
        memcpy(part, path, n);
        part[n] = '\0';
        if (bezel_value_type(root) == BEZEL_LIST) {
            if (n == 0 || n > 6 || strspn(part, "0123456789") != n)
                return NULL;
            for (size_t i = 0; i < n; i++)
                index = index * 10 + (size_t)(part[i] - '0');
            root = bezel_value_at(root, index);
        } else {
            root = bezel_value_type(root) == BEZEL_MAP ? bezel_value_get(root, part) : NULL;
        }
        skip = n < size ? n + 1 : n;
        path += skip;
        size -= skip;
    }
    return root;
}

static int summary_scalar(bz_strbuf *out, const bezel_value *v)
{
    char number[32];
    size_t n;
    switch (bezel_value_type(v)) {
    case BEZEL_BOOL: bz_strbuf_text(out, bezel_value_bool(v) ? "yes" : "no"); return 1;
    case BEZEL_INTEGER: bz_strbuf_format(out, "%lld", (long long)bezel_value_integer(v)); return 1;
    case BEZEL_NUMBER:
        if (!isfinite(bezel_value_number(v)))
            return 0;
        bz_strbuf_add(out, number, bz_number_format(number, bezel_value_number(v)));
        return 1;
    case BEZEL_TEXT: {
        const char *s = bezel_value_text(v, &n);
        bz_strbuf_add(out, s, n);
        return 1;
    }
    default: return 0;
    }
}

/* A list of scalars is "a, b, c"; what is nested deeper has no words. */
static int summary_value(bz_strbuf *out, const bezel_value *v)
{
    if (bezel_value_type(v) != BEZEL_LIST)
        return summary_scalar(out, v);
    for (size_t i = 0; i < bezel_value_count(v); i++) {
        bz_strbuf_text(out, i > 0 ? ", " : "");
        if (!summary_scalar(out, bezel_value_at(v, i)))
            return 0;
    }
    return 1;
}

int bz_summary_fill(bz_strbuf *out, const char *format, const bezel_value *result, const bezel_value *arguments)
{
    for (const char *f = format; *f != '\0'; f++) {
        if (*f != '{' || f[1] == '{') {
            f += (*f == '{' || *f == '}') && f[1] == *f;
            bz_strbuf_char(out, *f);
            continue;
        }
        size_t n = strcspn(f + 1, "}");
        const bezel_value *v = summary_find(result, f + 1, n);
        if (v == NULL && n > 0)
            v = summary_find(arguments, f + 1, n);
        if (v == NULL || !summary_value(out, v))
            return 0;
        f += n + 1;
    }
    return out->status == BEZEL_OK;
}
