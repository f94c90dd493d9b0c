/* SPDX-License-Identifier: MIT */
/* Declarations and results as FunctionGemma and Gemma 4 were trained on them: control texts around a syntax of bare keys,
 * keys sorted, strings between two equal marks. Main invariant: control texts come from the table below alone; whatever a tool,
 * its schema or its result says is made harmless before it stands between them.
 * Source: Google's pages on the formatting of FunctionGemma and of Gemma 4; checked against no model file. */
#include "tool_native.h"

#include <math.h>
#include <string.h>

#include "base/number.h"
#include "tool_schema.h"

#define NATIVE_DEPTH 8 /* of a schema that is shown; a recursion has no end */

typedef struct native_marks {
    const char *dialect, *declare_open, *declare_close, *response_open, *response_close, *string;
} native_marks;

static const native_marks native_rows[] = {
    {"functiongemma", "<start_function_declaration>", "<end_function_declaration>", "<start_function_response>",
     "<end_function_response>", "<escape>"},
    {"gemma4", "<|tool>", "<tool|>", "<|tool_response>", "<tool_response|>", "<|\"|>"},
};

typedef struct native_writer {
    bz_strbuf *out;
    const bezel_tool_profile *profile;
    const native_marks *marks;
} native_writer;

static int native_start(native_writer *w, bz_strbuf *out, const bezel_tool_profile *profile)
{
    *w = (native_writer){out, profile, NULL};
    for (size_t i = 0; profile->dialect != NULL && i < sizeof native_rows / sizeof *native_rows; i++)
        if (strcmp(native_rows[i].dialect, profile->dialect) == 0)
            w->marks = &native_rows[i];
    return w->marks != NULL;
}

/* --- Syntax ------------------------------------------------------------------------------- */

static void native_string(const native_writer *w, const char *s, size_t n)
{
    bz_strbuf_text(w->out, w->marks->string);
    bz_text_harmless(w->out, w->profile, s, n);
    bz_strbuf_text(w->out, w->marks->string);
}

/* A bare key: what ends one cannot stand in it. */
static void native_key(const native_writer *w, const char *s, size_t n)
{
    const size_t begin = w->out->size;
    bz_text_harmless(w->out, w->profile, s, n);
    for (size_t i = begin; w->out->status == BEZEL_OK && i < w->out->size; i++)
        if (strchr("{}[],:", w->out->data[i]) != NULL)
            w->out->data[i] = '_';
    bz_strbuf_char(w->out, ':');
}

static int native_compare(const char *a, size_t na, const char *b, size_t nb)
{
    for (size_t i = 0; i < na && i < nb; i++) {
        const int x = a[i] >= 'A' && a[i] <= 'Z' ? a[i] + 32 : (unsigned char)a[i];
        const int y = b[i] >= 'A' && b[i] <= 'Z' ? b[i] + 32 : (unsigned char)b[i];
        if (x != y)
            return x - y;
    }
    return na < nb ? -1 : na > nb;
}

static void native_value(const native_writer *w, const bezel_value *v, int *finite);

/* Members in the order of their keys, equal ones as they stand: which comes next is looked for, maps are small. */
static void native_members(const native_writer *w, const bezel_value *map, int *finite)
{
    const size_t n = bezel_value_count(map);
    size_t last = n;
    for (size_t k = 0; k < n; k++) {
        size_t best = n, size_last = 0, size_best = 0, size_i = 0;
        const char *key_last = last < n ? bezel_value_key(map, last, &size_last) : NULL, *key_best = NULL;
        for (size_t i = 0; i < n; i++) {
            const char *key = bezel_value_key(map, i, &size_i);
            const int behind = key_last == NULL ? 1 : native_compare(key, size_i, key_last, size_last);
            if (behind < 0 || (behind == 0 && i <= last) ||
                (best < n && native_compare(key, size_i, key_best, size_best) >= 0))
                continue;
            best = i;
            key_best = key;
            size_best = size_i;
        }
        if (best == n)
            return;
        if (k > 0)
            bz_strbuf_char(w->out, ',');
        native_key(w, key_best, size_best);
        native_value(w, bezel_value_at(map, best), finite);
        last = best;
    }
}

/* Depth is bounded by the value itself. */
static void native_value(const native_writer *w, const bezel_value *v, int *finite)
{
    char number[32];
    size_t n;
    switch (bezel_value_type(v)) {
    case BEZEL_BOOL: bz_strbuf_text(w->out, bezel_value_bool(v) ? "true" : "false"); break;
    case BEZEL_INTEGER: bz_strbuf_format(w->out, "%lld", (long long)bezel_value_integer(v)); break;
    case BEZEL_NUMBER:
        if (!isfinite(bezel_value_number(v)))
            *finite = 0;
        else
            bz_strbuf_add(w->out, number, bz_number_format(number, bezel_value_number(v)));
        break;
    case BEZEL_TEXT: {
        const char *s = bezel_value_text(v, &n);
        native_string(w, s, n);
        break;
    }
    case BEZEL_LIST:
        bz_strbuf_char(w->out, '[');
        for (size_t i = 0; i < bezel_value_count(v); i++) {
            bz_strbuf_text(w->out, i > 0 ? "," : "");
            native_value(w, bezel_value_at(v, i), finite);
        }
        bz_strbuf_char(w->out, ']');
        break;
    case BEZEL_MAP:
        bz_strbuf_char(w->out, '{');
        native_members(w, v, finite);
        bz_strbuf_char(w->out, '}');
        break;
    default: bz_strbuf_text(w->out, "null");
    }
}

/* --- Declarations ------------------------------------------------------------------------- */

static void native_type(const native_writer *w, uint32_t kind)
{
    bz_strbuf_text(w->out, "type:");
    bz_strbuf_text(w->out, w->marks->string);
    for (const char *s = bz_schema_kind_name(kind); *s != '\0'; s++)
        bz_strbuf_char(w->out, (char)(*s - 32)); /* the names are lower-case letters */
    bz_strbuf_text(w->out, w->marks->string);
}

static void native_node(const native_writer *w, const bz_schema *s, uint32_t at, const char *description, int depth);

/* properties:{...},required:[...], of an object that has any. */
static void native_properties(const native_writer *w, const bz_schema *s, const bz_schema_node *node, int depth)
{
    uint32_t order[64], n = node->count < 64 ? node->count : 64, n_required = 0;
    for (uint32_t i = 0; i < n; i++) { /* insertion, by name */
        const bz_schema_property *p = bz_schema_property_at(s, node->first + i);
        uint32_t k = i;
        for (; k > 0; k--) {
            const bz_schema_property *before = bz_schema_property_at(s, node->first + order[k - 1]);
            if (native_compare(before->name, before->name_size, p->name, p->name_size) <= 0)
                break;
            order[k] = order[k - 1];
        }
        order[k] = i;
    }
    bz_strbuf_text(w->out, "properties:{");
    for (uint32_t i = 0; i < n; i++) {
        const bz_schema_property *p = bz_schema_property_at(s, node->first + order[i]);
        bz_strbuf_text(w->out, i > 0 ? "," : "");
        native_key(w, p->name, p->name_size);
        native_node(w, s, p->node, p->description, depth + 1);
    }
    bz_strbuf_text(w->out, "},");
    for (uint32_t i = 0; i < n; i++) { /* as declared */
        const bz_schema_property *p = bz_schema_property_at(s, node->first + i);
        if (!p->required)
            continue;
        bz_strbuf_text(w->out, n_required++ == 0 ? "required:[" : ",");
        native_string(w, p->name, p->name_size);
    }
    bz_strbuf_text(w->out, n_required > 0 ? "]," : "");
}

static void native_enum(const native_writer *w, const bz_schema *s, const bz_schema_node *node)
{
    int finite = 1;
    bz_strbuf_text(w->out, "enum:[");
    for (uint32_t i = 0; i < node->n_values; i++) {
        bz_strbuf_text(w->out, i > 0 ? "," : "");
        native_value(w, bz_schema_member(s, node->first_value + i), &finite);
    }
    bz_strbuf_text(w->out, "],");
}

static void native_node(const native_writer *w, const bz_schema *s, uint32_t at, const char *description, int depth)
{
    const bz_schema_node *node = bz_schema_at(s, at);
    bz_strbuf_char(w->out, '{');
    if (description != NULL) {
        bz_strbuf_text(w->out, "description:");
        native_string(w, description, strlen(description));
        bz_strbuf_char(w->out, ',');
    }
    if (node->flags & BZ_SCHEMA_NULLABLE)
        bz_strbuf_text(w->out, "nullable:true,");
    while (node->kind == BZ_SCHEMA_UNION && node->count > 0 && depth++ < NATIVE_DEPTH)
        node = bz_schema_at(s, bz_schema_link(s, node->first)); /* the form has one type */
    if (node->n_values > 0)
        native_enum(w, s, node);
    if (node->kind == BZ_SCHEMA_OBJECT && node->count > 0 && depth < NATIVE_DEPTH)
        native_properties(w, s, node, depth);
    if (node->kind == BZ_SCHEMA_ARRAY && node->item != BZ_SCHEMA_NONE && depth < NATIVE_DEPTH) {
        bz_strbuf_text(w->out, "items:");
        native_node(w, s, node->item, NULL, depth + 1);
        bz_strbuf_char(w->out, ',');
    }
    native_type(w, node->kind == BZ_SCHEMA_ANY || node->kind == BZ_SCHEMA_UNION ? BZ_SCHEMA_STRING : node->kind);
    bz_strbuf_char(w->out, '}');
}

void bz_native_declare(bz_strbuf *out, const bz_tool *tool, const bezel_tool_profile *profile)
{
    native_writer w;
    if (!native_start(&w, out, profile))
        return;
    bz_strbuf_format(out, "%sdeclaration:%s{description:", w.marks->declare_open, tool->name);
    native_string(&w, tool->description, strlen(tool->description));
    bz_strbuf_text(out, ",parameters:");
    native_node(&w, tool->schema, 0, NULL, 0);
    bz_strbuf_format(out, "}%s", w.marks->declare_close);
}

/* --- Results ------------------------------------------------------------------------------ */

static void native_text_result(const native_writer *w, const char *key, const bezel_value *result, const char *text, size_t limit,
                               int *finite)
{
    bz_strbuf b;
    bz_strbuf_init(&b, w->out->world, 0);
    if (text != NULL)
        bz_strbuf_text(&b, text);
    else
        bz_result_text(&b, result, limit, finite);
    bz_text_cut_middle(&b, limit);
    bz_strbuf_format(w->out, "%s:", key);
    native_string(w, bz_strbuf_cstr(&b), b.size);
    if (b.status != BEZEL_OK)
        w->out->status = b.status;
    bz_strbuf_free(&b);
}

void bz_native_result(bz_strbuf *out, const bezel_tool_profile *profile, const char *name, const bezel_value *result,
                      const char *error, size_t limit, int *finite)
{
    native_writer w;
    if (!native_start(&w, out, profile))
        return;
    bz_strbuf_format(out, "%sresponse:", w.marks->response_open);
    bz_text_harmless(out, profile, name, strlen(name));
    bz_strbuf_char(out, '{');
    const size_t begin = out->size;
    if (error != NULL)
        native_text_result(&w, "error", NULL, error, limit, finite);
    else if (bezel_value_type(result) == BEZEL_MAP)
        native_members(&w, result, finite);
    else if (bezel_value_type(result) == BEZEL_TEXT)
        native_text_result(&w, "value", result, NULL, limit, finite);
    else {
        bz_strbuf_text(out, "value:");
        native_value(&w, result, finite);
    }
    if (error == NULL && bezel_value_type(result) != BEZEL_TEXT && out->status == BEZEL_OK && out->size - begin > limit) {
        bz_strbuf_cut(out, begin); /* marks must not be cut apart */
        native_text_result(&w, "value", result, NULL, limit, finite);
    }
    bz_strbuf_format(out, "}%s", w.marks->response_close);
}
