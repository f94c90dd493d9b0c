/* SPDX-License-Identifier: MIT */
/* Declarations, calls and results as prompt text. Main invariant: what a tool or a user wrote never becomes structure of
 * the prompt: markers, control texts and line labels in it are changed so that they are only text. Wording stands in
 * tool_profile.c. */
#include <bezel/tools.h>

#include <bezel/engine.h>

#include <math.h>
#include <string.h>

#include "base/number.h"
#include "base/utf8.h"
#include "tool_native.h"
#include "tool_schema.h"

#define ORIGIN "tools"
#define RESULT_BYTES 16384u   /* of a value when the caller sets no limit */
#define ARGUMENT_BYTES 256u   /* of the arguments shown with a result */

static bezel_status take_text(char **out, size_t *out_size, bz_strbuf *b, bezel_error *err)
{
    size_t size = 0;
    bezel_status status = b->status;
    if (status == BEZEL_OK) {
        bz_strbuf_add(b, "", 0);
        *out = bz_strbuf_take(b, &size);
        status = *out != NULL ? BEZEL_OK : BEZEL_ERR_MEMORY;
    }
    if (out_size != NULL)
        *out_size = size;
    if (status == BEZEL_ERR_MEMORY)
        bz_fail_memory(err, ORIGIN, "prompt text", b->size);
    else if (status != BEZEL_OK)
        bz_fail(err, status, ORIGIN, "prompt text of tools is too long");
    bz_strbuf_free(b);
    return status;
}

/* --- Declarations ------------------------------------------------------------------------- */

static void begin_part(bz_strbuf *b)
{
    if (b->size > 0)
        bz_strbuf_text(b, b->data[b->size - 1] == '\n' ? "\n" : "\n\n");
}

static void add_own_examples(bz_strbuf *b, const bz_tool *tool)
{
    for (size_t i = 0; tool->examples != NULL && tool->examples[i] != NULL; i++) {
        const char *line = tool->examples[i];
        if (line[0] == '\0')
            continue;
        if (i == 0 || strncmp(line, "User:", 5) == 0)
            begin_part(b); /* each question begins an exchange */
        bz_strbuf_text(b, line);
        bz_strbuf_char(b, '\n');
    }
}

/* A prompt with both is twice as long. */
int bz_tools_have_examples(const bezel_toolset *tools)
{
    for (size_t i = 0; i < tools->count; i++)
        if (tools->tools[i].examples != NULL && tools->tools[i].examples[0] != NULL)
            return 1;
    return 0;
}

static void add_list(bz_strbuf *b, const bezel_toolset *tools, const bezel_tool_profile *profile)
{
    begin_part(b);
    bz_strbuf_text(b, profile->list_label != NULL ? profile->list_label : "Available Functions:");
    bz_strbuf_char(b, '\n');
    for (size_t i = 0; i < tools->count; i++)
        bz_tool_declare(b, &tools->tools[i]);
    if (tools->count == 0)
        bz_strbuf_text(b, "none\n");
}

bezel_status bezel_toolset_render(char **out, size_t *out_size, const bezel_toolset *tools,
                                  const bezel_tool_profile *profile, const char *context, bezel_error *err)
{
    bz_strbuf b;
    if (out == NULL || tools == NULL || profile == NULL || profile->size < sizeof *profile)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, ORIGIN, "out, tools or profile is NULL, or the profile has no size");
    *out = NULL;
    bz_strbuf_init(&b, tools->world, 0);
    bz_strbuf_text(&b, profile->intro != NULL ? profile->intro : "");
    uint32_t n_examples = bz_tools_have_examples(tools) || profile->examples == NULL ? 0 : profile->n_examples;
    for (uint32_t i = 0; i < n_examples && profile->examples[i] != NULL; i++) {
        begin_part(&b);
        bz_strbuf_text(&b, profile->examples[i]);
    }
    if (!profile->native)
        add_list(&b, tools, profile);
    for (size_t i = 0; i < tools->count && profile->native; i++)
        bz_native_declare(&b, &tools->tools[i], profile); /* right behind the introduction */
    if (profile->rules != NULL && profile->rules[0] != '\0') {
        begin_part(&b);
        bz_strbuf_text(&b, profile->rules);
    }
    for (size_t i = 0; i < tools->count && profile->n_examples > 0; i++)
        add_own_examples(&b, &tools->tools[i]);
    if (context != NULL && context[0] != '\0') {
        begin_part(&b);
        bz_strbuf_text(&b, profile->context_label != NULL ? profile->context_label : "Context: ");
        if (profile->native) /* control texts of the system text are structure */
            bz_text_harmless(&b, profile, context, strlen(context));
        else
            bz_strbuf_text(&b, context);
    }
    while (b.status == BEZEL_OK && b.size > 0 && b.data[b.size - 1] == '\n')
        bz_strbuf_cut(&b, b.size - 1);
    return take_text(out, out_size, &b, err);
}

/* --- Calls -------------------------------------------------------------------------------- */

static void add_quoted(bz_strbuf *b, const char *s, size_t n)
{
    bz_strbuf_char(b, '"');
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        switch (c) {
        case '"': bz_strbuf_text(b, "\\\""); break;
        case '\\': bz_strbuf_text(b, "\\\\"); break;
        case '\n': bz_strbuf_text(b, "\\n"); break;
        case '\t': bz_strbuf_text(b, "\\t"); break;
        case '\r': bz_strbuf_text(b, "\\r"); break;
        default:
            if (c < 0x20 || c == 0x7F)
                bz_strbuf_format(b, "\\u%04x", (unsigned)c);
            else
                bz_strbuf_char(b, (char)c);
        }
    }
    bz_strbuf_char(b, '"');
}

/* Depth is bounded by the value itself (64). Sets *finite to 0 at a NaN or infinity. */
static void add_value(bz_strbuf *b, const bezel_value *v, int *finite)
{
    char number[32];
    size_t n;
    switch (bezel_value_type(v)) {
    case BEZEL_BOOL: bz_strbuf_text(b, bezel_value_bool(v) ? "true" : "false"); break;
    case BEZEL_INTEGER: bz_strbuf_format(b, "%lld", (long long)bezel_value_integer(v)); break;
    case BEZEL_NUMBER:
        if (!isfinite(bezel_value_number(v)))
            *finite = 0;
        else
            bz_strbuf_add(b, number, bz_number_format(number, bezel_value_number(v)));
        break;
    case BEZEL_TEXT: {
        const char *s = bezel_value_text(v, &n);
        add_quoted(b, s, n);
        break;
    }
    case BEZEL_LIST:
        bz_strbuf_char(b, '[');
        for (size_t i = 0; i < bezel_value_count(v); i++) {
            bz_strbuf_text(b, i > 0 ? ", " : "");
            add_value(b, bezel_value_at(v, i), finite);
        }
        bz_strbuf_char(b, ']');
        break;
    case BEZEL_MAP:
        bz_strbuf_char(b, '{');
        for (size_t i = 0; i < bezel_value_count(v); i++) {
            const char *key = bezel_value_key(v, i, &n);
            bz_strbuf_text(b, i > 0 ? ", " : "");
            add_quoted(b, key, n);
            bz_strbuf_text(b, ": ");
            add_value(b, bezel_value_at(v, i), finite);
        }
        bz_strbuf_char(b, '}');
        break;
    default: bz_strbuf_text(b, "null");
    }
}

static void add_arguments(bz_strbuf *b, const bezel_value *arguments, int *finite)
{
    for (size_t i = 0; i < bezel_value_count(arguments); i++) {
        bz_strbuf_text(b, i > 0 ? ", " : "");
        bz_strbuf_text(b, bezel_value_key(arguments, i, NULL));
        bz_strbuf_char(b, '=');
        add_value(b, bezel_value_at(arguments, i), finite);
    }
}

bezel_status bezel_call_render(char **out, size_t *out_size, bezel_engine *engine, const char *name,
                               const bezel_value *arguments, bezel_error *err)
{
    bz_strbuf b;
    int finite = 1;
    if (out == NULL || engine == NULL || name == NULL)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, ORIGIN, "out, engine or name is NULL");
    *out = NULL;
    if (arguments != NULL && bezel_value_type(arguments) != BEZEL_MAP && bezel_value_count(arguments) > 0)
        return bz_fail(err, BEZEL_ERR_TYPE, ORIGIN, "arguments of %s: expected a map", name);
    bz_strbuf_init(&b, bezel_engine_world(engine), 0);
    bz_strbuf_format(&b, "FUNCTION_CALL: %s(", name);
    if (bezel_value_type(arguments) == BEZEL_MAP)
        add_arguments(&b, arguments, &finite);
    bz_strbuf_char(&b, ')');
    if (!finite) {
        bz_strbuf_free(&b);
        return bz_fail(err, BEZEL_ERR_NUMERIC, ORIGIN, "arguments of %s hold NaN or infinity", name);
    }
    return take_text(out, out_size, &b, err);
}

/* --- Making text harmless ----------------------------------------------------------------- */

static int begins_with(const char *s, size_t n, const char *word)
{
    size_t i = 0;
    for (; word[i] != '\0'; i++)
        if (i >= n || (s[i] >= 'A' && s[i] <= 'Z' ? s[i] + 32 : s[i]) != word[i])
            return 0;
    return 1;
}

/* "<" of something that a tokenizer or a parser could take for a control text. */
static int opens_control(const char *s, size_t n)
{
    static const char *const names[] = {"start_", "end_",  "tool_", "/tool_", "escape", "bos>",   "eos>",    "pad>",  "unk>",
                                        "unused", "mask>", "think", "/think", "image",  "/image", "channel", "audio", "/s>", "s>"};
    if (n > 1 && s[1] == '|')
        return 1;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (begins_with(s + 1, n - 1, names[i]))
            return 1;
    return 0;
}

/* Bytes of "function" when call, result or error follows with a blank or "_" between: that byte is replaced. */
static size_t opens_marker(const char *s, size_t n)
{
    if (!begins_with(s, n, "function"))
        return 0;
    const char *rest = s + 8;
    size_t left = n - 8;
    if (left > 0 && (*rest == '_' || *rest == ' ')) {
        rest++;
        left--;
    }
    return begins_with(rest, left, "call") || begins_with(rest, left, "result") || begins_with(rest, left, "error") ? 8 : 0;
}

static int is_label(const bezel_tool_profile *profile, const char *s, size_t n)
{
    for (size_t i = 0; profile->labels != NULL && profile->labels[i] != NULL; i++) {
        size_t size = strlen(profile->labels[i]);
        if (size <= n && memcmp(s, profile->labels[i], size) == 0)
            return 1;
    }
    return 0;
}

void bz_text_harmless(bz_strbuf *b, const bezel_tool_profile *profile, const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        size_t marker = c == 'f' || c == 'F' ? opens_marker(s + i, n - i) : 0;
        if (marker > 0) {
            bz_strbuf_add(b, s + i, marker);
            bz_strbuf_char(b, '-');
            i += marker - 1;
            i += i + 1 < n && (s[i + 1] == '_' || s[i + 1] == ' ') ? 1 : 0;
        } else if (c == '<' && opens_control(s + i, n - i)) {
            bz_strbuf_text(b, "< ");
        } else if (c == '|' && i + 1 < n && s[i + 1] == '>') {
            bz_strbuf_text(b, "| ");
        } else if (c == '\n' && !profile->one_line) {
            bz_strbuf_char(b, '\n');
            if (is_label(profile, s + i + 1, n - i - 1))
                bz_strbuf_char(b, ' ');
        } else if (c == '\n' || c == '\t') {
            bz_strbuf_char(b, ' ');
        } else if (c >= 0x20 && c != 0x7F) {
            bz_strbuf_char(b, (char)c);
        }
    }
}

void bz_text_cut_middle(bz_strbuf *b, size_t limit)
{
    bz_strbuf copy;
    if (b->status != BEZEL_OK || b->size <= limit)
        return;
    size_t head = bz_utf8_cut(b->data, limit - limit / 3), from = b->size - limit / 3;
    while (from < b->size && ((unsigned char)b->data[from] & 0xC0) == 0x80)
        from++;
    bz_strbuf_init(&copy, b->world, 0);
    bz_strbuf_add(&copy, b->data, head);
    bz_strbuf_format(&copy, "... (%zu characters left out) ...", bz_utf8_count(b->data + head, from - head));
    bz_strbuf_add(&copy, b->data + from, b->size - from);
    bz_strbuf_free(b);
    *b = copy;
}

/* --- Results ------------------------------------------------------------------------------ */

/* The first rows of a list and how many are missing; 0, and nothing added, when not even one fits. */
static int add_rows(bz_strbuf *b, const bezel_value *list, size_t limit, int *finite)
{
    const size_t note = sizeof "... (18446744073709551615 more)]";
    size_t total = bezel_value_count(list);
    bz_strbuf_char(b, '[');
    for (size_t i = 0; i < total; i++) {
        size_t before = b->size;
        bz_strbuf_text(b, i > 0 ? ", " : "");
        add_value(b, bezel_value_at(list, i), finite);
        if (b->size + (i + 1 < total ? note : 1) <= limit)
            continue;
        bz_strbuf_cut(b, i > 0 ? before : 0);
        if (i == 0)
            return 0;
        bz_strbuf_format(b, ", ... (%zu more)", total - i);
        break;
    }
    bz_strbuf_char(b, ']');
    return 1;
}

void bz_result_text(bz_strbuf *b, const bezel_value *result, size_t limit, int *finite)
{
    size_t n;
    if (bezel_value_type(result) == BEZEL_LIST && add_rows(b, result, limit, finite))
        return;
    if (bezel_value_type(result) == BEZEL_TEXT) {
        const char *s = bezel_value_text(result, &n);
        while (n > 0 && (s[n - 1] == '\n' || s[n - 1] == ' '))
            n--;
        bz_strbuf_add(b, s, n);
    } else {
        add_value(b, result, finite);
    }
}

static void fill_format(bz_strbuf *b, const bezel_tool_profile *profile, const char *format, const bz_strbuf parts[3])
{
    for (const char *f = format; *f != '\0'; f++) {
        if (f[0] != '%' || f[1] == '\0') {
            bz_strbuf_char(b, *f);
            continue;
        }
        f++;
        if (*f == 'n' || *f == 'a' || *f == 'v') {
            const bz_strbuf *part = &parts[*f == 'n' ? 0 : *f == 'a' ? 1 : 2];
            bz_text_harmless(b, profile, bz_strbuf_cstr(part), part->size);
        } else {
            bz_strbuf_char(b, *f);
        }
    }
}

static bezel_status fail_finite(bz_strbuf *b, const char *name, bezel_error *err)
{
    bz_strbuf_free(b);
    return bz_fail(err, BEZEL_ERR_NUMERIC, ORIGIN, "the result of %s holds NaN or infinity", name);
}

bezel_status bezel_result_render(char **out, size_t *out_size, bezel_engine *engine, const bezel_tool_profile *profile,
                                 const char *name, const bezel_value *arguments, const bezel_value *result,
                                 const char *error, size_t limit, bezel_error *err)
{
    bz_strbuf parts[3], b;
    int finite = 1;
    if (out == NULL || engine == NULL || profile == NULL || profile->size < sizeof *profile || name == NULL)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, ORIGIN, "out, engine, profile or name is NULL, or the profile has no size");
    *out = NULL;
    const bezel_world *w = bezel_engine_world(engine);
    limit = limit == 0 ? RESULT_BYTES : limit < 16 ? 16 : limit;
    for (int i = 0; i < 3; i++)
        bz_strbuf_init(&parts[i], w, 0);
    bz_strbuf_init(&b, w, 0);
    if (profile->native) {
        bz_native_result(&b, profile, name, result, error, limit, &finite);
        return finite ? take_text(out, out_size, &b, err) : fail_finite(&b, name, err);
    }
    bz_strbuf_text(&parts[0], name);
    if (bezel_value_type(arguments) == BEZEL_MAP)
        add_arguments(&parts[1], arguments, &finite);
    if (error != NULL)
        bz_strbuf_text(&parts[2], error);
    else
        bz_result_text(&parts[2], result, limit, &finite);
    bz_text_cut_middle(&parts[1], ARGUMENT_BYTES);
    bz_text_cut_middle(&parts[2], limit);
    bezel_status status = BEZEL_OK;
    for (int i = 0; i < 3 && status == BEZEL_OK; i++)
        status = parts[i].status;
    if (status == BEZEL_OK && !finite)
        status = BEZEL_ERR_NUMERIC;
    if (status == BEZEL_OK)
        fill_format(&b, profile, error != NULL ? profile->error_format : profile->result_format, parts);
    for (int i = 0; i < 3; i++)
        bz_strbuf_free(&parts[i]);
    if (status == BEZEL_OK)
        return take_text(out, out_size, &b, err);
    if (status == BEZEL_ERR_NUMERIC)
        return fail_finite(&b, name, err);
    bz_strbuf_free(&b);
    return status == BEZEL_ERR_MEMORY ? bz_fail_memory(err, ORIGIN, "a result", 0)
                                      : bz_fail(err, status, ORIGIN, "the result of %s is too long", name);
}
