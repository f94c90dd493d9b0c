/* SPDX-License-Identifier: MIT */
/* What a server answered to a call, as a value for a model: structured content as it is (the wrapper {"result": x} around
 * what is no object taken off), else the texts; a line in brackets stands for what is no text. Invents nothing: an answer
 * without content is null. */
#include "mcp_impl.h"

#include <string.h>

#define TEXT_MOST ((size_t)16 << 20)

static const char *result_field(const bezel_value *part, const char *key, const char *otherwise)
{
    const bezel_value *value = bezel_value_get(part, key);
    return bezel_value_type(value) == BEZEL_TEXT ? bezel_value_text(value, NULL) : otherwise;
}

/* Bytes behind a base64 text. */
static size_t result_data_size(const bezel_value *part, const char *key)
{
    size_t n = 0;
    const char *text = bezel_value_text(bezel_value_get(part, key), &n);
    size_t padding = n > 1 && text[n - 1] == '=' ? 1 + (text[n - 2] == '=') : 0;
    return n * 3 / 4 - padding;
}

static void result_part(bz_strbuf *b, const bezel_value *part)
{
    const char *type = result_field(part, "type", "");
    size_t n = 0;
    if (strcmp(type, "text") == 0) {
        const char *text = bezel_value_text(bezel_value_get(part, "text"), &n);
        bz_strbuf_add(b, text, n);
    } else if (strcmp(type, "image") == 0 || strcmp(type, "audio") == 0) {
        bz_strbuf_format(b, "[%s, %.100s, %llu bytes, not shown]", type, result_field(part, "mimeType", "unknown type"),
                         (unsigned long long)result_data_size(part, "data"));
    } else if (strcmp(type, "resource_link") == 0) {
        bz_strbuf_format(b, "[resource %.200s: %.1000s]", result_field(part, "name", ""), result_field(part, "uri", ""));
    } else if (strcmp(type, "resource") == 0) {
        const bezel_value *resource = bezel_value_get(part, "resource"), *text = bezel_value_get(resource, "text");
        const char *bytes = bezel_value_text(text, &n);
        if (bezel_value_type(text) == BEZEL_TEXT)
            bz_strbuf_add(b, bytes, n);
        else
            bz_strbuf_format(b, "[resource %.1000s, %.100s, %llu bytes, not shown]", result_field(resource, "uri", ""),
                             result_field(resource, "mimeType", "unknown type"),
                             (unsigned long long)result_data_size(resource, "blob"));
    } else {
        bz_strbuf_format(b, "[content of the type '%.60s', not shown]", type);
    }
}

static void result_texts(bz_strbuf *b, const bezel_value *content)
{
    for (size_t i = 0; i < bezel_value_count(content); i++) {
        if (i > 0)
            bz_strbuf_char(b, '\n');
        result_part(b, bezel_value_at(content, i));
    }
}

/* The words of a failure, on one line. */
static bezel_status result_failed(const bezel_mcp *s, bz_strbuf *b, bezel_error *err)
{
    for (size_t i = 0; i < b->size; i++)
        if (strchr("\n\r\t", b->data[i]))
            b->data[i] = ' ';
    if (b->size)
        return bz_fail(err, BEZEL_ERR_CALLBACK, BZ_MCP_ORIGIN, "%s", b->data);
    return bz_fail(err, BEZEL_ERR_CALLBACK, BZ_MCP_ORIGIN, "%s says that the tool failed, and not why", s->wire.label);
}

bezel_status bz_mcp_result(bezel_value **out, bezel_tree *tree, const bezel_mcp *s, const bezel_value *answer, bezel_error *err)
{
    const bezel_value *content = bezel_value_get(answer, "content");
    const bezel_value *structured = bezel_value_get(answer, "structuredContent");
    const char *type = result_field(answer, "resultType", "complete");
    bz_strbuf b;
    *out = NULL;
    if (strcmp(type, "complete") != 0) {
        bz_fail(err, BEZEL_ERR_UNSUPPORTED, BZ_MCP_ORIGIN, "%s wants to ask the user back (%.40s), which is not possible here",
                s->wire.label, type);
        return BEZEL_ERR_UNSUPPORTED;
    }
    int failed = bezel_value_bool(bezel_value_get(answer, "isError"));
    bz_strbuf_init(&b, s->world, TEXT_MOST);
    bezel_status st = BEZEL_OK;
    if (structured && bezel_value_type(structured) != BEZEL_NULL && !failed) {
        const bezel_value *inner = bezel_value_count(structured) == 1 ? bezel_value_get(structured, "result") : NULL;
        *out = bezel_tree_copy(tree, inner ? inner : structured);
    } else {
        result_texts(&b, content);
        if (b.status == BEZEL_ERR_LIMIT)
            st = bz_fail(err, BEZEL_ERR_LIMIT, BZ_MCP_ORIGIN, "%s answered with more than %llu bytes", s->wire.label,
                         (unsigned long long)TEXT_MOST);
        else if (b.status != BEZEL_OK)
            st = bz_fail_memory(err, BZ_MCP_ORIGIN, "an answer", b.size);
        else if (failed)
            st = result_failed(s, &b, err);
        else
            *out = bezel_value_count(content) ? bezel_tree_text(tree, bz_strbuf_cstr(&b), b.size) : bezel_tree_null(tree);
    }
    bz_strbuf_free(&b);
    return st == BEZEL_OK ? bz_mcp_tree_status(s, tree, "an answer", err) : st;
}
