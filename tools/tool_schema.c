/* SPDX-License-Identifier: MIT */
/* Names and prompt text of a tool. Main invariant: a name resolves to a tool of the set or to none; there is no look-up
 * of any other kind. Does not validate values. */
#include "tool_schema.h"

#include <string.h>

#include "base/number.h"

/* --- Names -------------------------------------------------------------------------------- */

static int is_separator(char c)
{
    return c == '_' || c == '.' || c == '-' || c == ':';
}

static char lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c + 32) : c;
}

/* Equal but for case and separators. */
static int same_loosely(const char *a, size_t a_size, const char *b, size_t b_size)
{
    size_t i = 0, j = 0;
    for (;;) {
        while (i < a_size && is_separator(a[i]))
            i++;
        while (j < b_size && is_separator(b[j]))
            j++;
        if (i == a_size || j == b_size)
            return i == a_size && j == b_size;
        if (lower(a[i++]) != lower(b[j++]))
            return 0;
    }
}

const bz_tool *bz_tool_resolve(int *out_changed, const bezel_toolset *tools, const char *name, size_t size)
{
    static const char *const prefixes[] = {"functions.", "tools.", "default_api.", "api."};
    *out_changed = 0;
    const bz_tool *tool = bz_tool_find(tools, name, size);
    if (tool != NULL || size == 0 || size > 2 * BZ_TOOL_NAME_BYTES)
        return tool;
    *out_changed = 1;
    for (size_t i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        size_t n = strlen(prefixes[i]);
        if (size > n && memcmp(name, prefixes[i], n) == 0) {
            name += n;
            size -= n;
            tool = bz_tool_find(tools, name, size);
            break;
        }
    }
    if (tool != NULL)
        return tool;
    for (size_t i = 0; i < tools->count; i++) {
        if (!same_loosely(tools->tools[i].name, strlen(tools->tools[i].name), name, size))
            continue;
        if (tool != NULL)
            return NULL; /* two candidates: no guess */
        tool = &tools->tools[i];
    }
    return tool;
}

size_t bz_tool_parameter_count(const bz_tool *tool)
{
    return bz_schema_at(tool->schema, 0)->count;
}

const bz_schema_property *bz_tool_parameter(const bz_tool *tool, size_t i)
{
    return bz_schema_property_at(tool->schema, bz_schema_at(tool->schema, 0)->first + (uint32_t)i);
}

const bz_schema_property *bz_tool_parameter_find(const bz_tool *tool, const char *name, size_t size)
{
    const bz_schema_property *found = NULL;
    size_t n = bz_tool_parameter_count(tool);
    for (size_t i = 0; i < n; i++) {
        const bz_schema_property *p = bz_tool_parameter(tool, i);
        if (p->name_size == size && memcmp(p->name, name, size) == 0)
            return p;
    }
    for (size_t i = 0; i < n; i++) {
        const bz_schema_property *p = bz_tool_parameter(tool, i);
        if (!same_loosely(p->name, p->name_size, name, size))
            continue;
        if (found != NULL)
            return NULL;
        found = p;
    }
    return found;
}

/* --- Declaration -------------------------------------------------------------------------- */

/* Text of a schema on one line: a newline in it would start a line of the prompt. */
static void add_line(bz_strbuf *out, const char *text)
{
    for (size_t i = 0; text[i] != '\0'; i++) {
        unsigned char c = (unsigned char)text[i];
        bz_strbuf_char(out, c < 0x20 || c == 0x7F ? ' ' : text[i]);
    }
}

static void add_number(bz_strbuf *out, double x)
{
    char text[32];
    bz_strbuf_add(out, text, bz_number_format(text, x));
}

static void add_kind(bz_strbuf *out, const bz_schema *s, const bz_schema_node *node)
{
    if (node->kind == BZ_SCHEMA_ARRAY && node->item != BZ_SCHEMA_NONE) {
        bz_strbuf_format(out, "array of %s", bz_schema_kind_name(bz_schema_at(s, node->item)->kind));
        return;
    }
    if (node->kind == BZ_SCHEMA_UNION) {
        for (uint32_t i = 0; i < node->count; i++)
            bz_strbuf_format(out, "%s%s", i > 0 ? " or " : "",
                             bz_schema_kind_name(bz_schema_at(s, bz_schema_link(s, node->first + i))->kind));
        return;
    }
    bz_strbuf_text(out, bz_schema_kind_name(node->kind));
}

/* " 1-7", " from 0", " above 0", " up to 9". */
static void add_range(bz_strbuf *out, const bz_schema_node *node)
{
    int is_integer = node->kind == BZ_SCHEMA_INTEGER, has_low, has_high;
    double low = node->minimum, high = node->maximum;
    has_low = is_integer ? node->min_integer > INT64_MIN : (node->flags & BZ_SCHEMA_HAS_MIN) != 0;
    has_high = is_integer ? node->max_integer < INT64_MAX : (node->flags & BZ_SCHEMA_HAS_MAX) != 0;
    if (is_integer) {
        low = (double)node->min_integer;
        high = (double)node->max_integer;
    }
    int out_low = (node->flags & BZ_SCHEMA_MIN_EXCLUSIVE) != 0, out_high = (node->flags & BZ_SCHEMA_MAX_EXCLUSIVE) != 0;
    if (has_low && has_high && !out_low && !out_high && low >= 0) {
        bz_strbuf_char(out, ' ');
        add_number(out, low);
        bz_strbuf_char(out, '-');
        add_number(out, high);
        return;
    }
    if (has_low) {
        bz_strbuf_text(out, out_low ? " above " : " from ");
        add_number(out, low);
    }
    if (has_high) {
        bz_strbuf_text(out, has_low && !out_high && !out_low ? " to " : out_high ? " below " : " up to ");
        add_number(out, high);
    }
}

static void add_members(bz_strbuf *out, const bz_schema *s, const bz_schema_node *node)
{
    bz_strbuf_text(out, node->n_values > 1 ? ", one of " : ", only ");
    for (uint32_t i = 0; i < node->n_values; i++) {
        const bezel_value *m = bz_schema_member(s, node->first_value + i);
        bz_strbuf_text(out, i > 0 ? ", " : "");
        if (bezel_value_type(m) == BEZEL_TEXT) {
            bz_strbuf_char(out, '"');
            add_line(out, bezel_value_text(m, NULL));
            bz_strbuf_char(out, '"');
        } else if (bezel_value_type(m) == BEZEL_BOOL) {
            bz_strbuf_text(out, bezel_value_bool(m) ? "true" : "false");
        } else {
            add_number(out, bezel_value_number(m));
        }
    }
}

/* Names of an object's own properties: enough for a model to write one. */
static void add_fields(bz_strbuf *out, const bz_schema *s, const bz_schema_node *node)
{
    if (node->kind == BZ_SCHEMA_ARRAY && node->item != BZ_SCHEMA_NONE)
        node = bz_schema_at(s, node->item);
    if (node->kind != BZ_SCHEMA_OBJECT || node->count == 0)
        return;
    bz_strbuf_text(out, " with ");
    for (uint32_t i = 0; i < node->count; i++) {
        const bz_schema_property *p = bz_schema_property_at(s, node->first + i);
        bz_strbuf_text(out, i > 0 ? ", " : "");
        add_line(out, p->name);
        bz_strbuf_char(out, ' ');
        add_kind(out, s, bz_schema_at(s, p->node));
    }
}

static void add_default(bz_strbuf *out, const bezel_value *value)
{
    switch (bezel_value_type(value)) {
    case BEZEL_TEXT:
        bz_strbuf_text(out, ", default \"");
        add_line(out, bezel_value_text(value, NULL));
        bz_strbuf_char(out, '"');
        break;
    case BEZEL_BOOL: bz_strbuf_text(out, bezel_value_bool(value) ? ", default true" : ", default false"); break;
    case BEZEL_INTEGER:
    case BEZEL_NUMBER:
        bz_strbuf_text(out, ", default ");
        add_number(out, bezel_value_number(value));
        break;
    default: break;
    }
}

/* Lengths and patterns are checked but not told: a small model copies such numbers into its arguments (measured). */
static void declare_parameter(bz_strbuf *out, const bz_schema *s, const bz_schema_property *p)
{
    const bz_schema_node *node = bz_schema_at(s, p->node);
    const bz_schema_node *item = node->kind == BZ_SCHEMA_ARRAY ? bz_schema_at(s, node->item) : node;
    add_line(out, p->name);
    bz_strbuf_text(out, " (");
    add_kind(out, s, node);
    if (node->kind == BZ_SCHEMA_INTEGER || node->kind == BZ_SCHEMA_NUMBER)
        add_range(out, node);
    add_fields(out, s, node);
    if (!p->required)
        bz_strbuf_text(out, ", optional");
    if (item->n_values > 0)
        add_members(out, s, item);
    if (node->format != NULL && node->kind == BZ_SCHEMA_STRING) {
        bz_strbuf_text(out, ", ");
        add_line(out, node->format);
    }
    if (p->default_value != NULL)
        add_default(out, p->default_value);
    bz_strbuf_char(out, ')');
    if (p->description != NULL) {
        bz_strbuf_text(out, ": ");
        add_line(out, p->description);
    }
}

void bz_tool_declare(bz_strbuf *out, const bz_tool *tool)
{
    bz_strbuf_format(out, "- %s", tool->name);
    if (tool->description[0] != '\0') {
        bz_strbuf_text(out, ": ");
        add_line(out, tool->description);
    }
    bz_strbuf_text(out, "\n  Parameters: ");
    size_t n = bz_tool_parameter_count(tool);
    for (size_t i = 0; i < n; i++) {
        if (i > 0)
            bz_strbuf_text(out, "; ");
        declare_parameter(out, tool->schema, bz_tool_parameter(tool, i));
    }
    bz_strbuf_text(out, n == 0 ? "none\n" : "\n");
}
