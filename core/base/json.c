/* SPDX-License-Identifier: MIT */
/* JSON text to values through cJSON, and values to JSON text. cJSON sees only text that bz_json_check accepted; numbers and
 * the offsets of keys are taken from the text itself, so 3.0 stays a number and nothing depends on the host's locale.
 * cJSON's own memory comes from malloc: its hooks are one set for the whole process and therefore the host's. */
#include "base/json_scan.h"

#include <bezel/engine.h>

#include "base/alloc.h"
#include "base/number.h"
#include "base/value_impl.h"

#include <cjson/cJSON.h>
#include <errno.h>
#include <math.h>
#include <string.h>

#define BZ_JSON_MAX_SIZE ((size_t)16 << 20)
#define BZ_JSON_MAX_INDENT 16u

/* --- Reading ------------------------------------------------------------------------------ */

typedef struct json_read {
    bezel_tree *tree;
    const char *json;
    size_t size, at;
    bezel_error *err;
} json_read;

static bezel_status json_memory(bezel_error *err, size_t size)
{
    return bz_fail_memory(err, "json", "the values of a JSON text", size);
}

/* -0 has no integer of its own. */
static bezel_value *json_read_number(bezel_tree *tree, const char *text, size_t size)
{
    int64_t integer = 0;
    double number = 0.0;
    if (bz_integer_parse(&integer, text, size) && (integer != 0 || text[0] != '-'))
        return bezel_tree_integer(tree, integer);
    bz_number_parse(&number, text, size);
    return bezel_tree_number(tree, number);
}

/* The key that stands next in the text, before its value is read. */
static bezel_status json_read_key(json_read *r, const bezel_value *map, const char *key)
{
    bz_json_token token = {0, 0};
    bz_json_next(&token, r->json, r->size, &r->at);
    if (bezel_value_get(map, key) == NULL)
        return BEZEL_OK;
    bz_fail(r->err, BEZEL_ERR_DUPLICATE, "json", "key \"%s\" occurs twice in one object", key);
    return bz_error_offset(r->err, BEZEL_ERR_DUPLICATE, (int64_t)token.offset);
}

/* Depth was checked, so recursion is at most BZ_VALUE_MAX_DEPTH deep. A NULL result with BEZEL_OK means that the tree has
 * the reason. */
static bezel_status json_read_value(bezel_value **out, json_read *r, const cJSON *node)
{
    bz_json_token token = {0, 0};
    bezel_value *value;
    bezel_value *item;
    bezel_status status;
    size_t n = 0;
    *out = NULL;
    if (!cJSON_IsArray(node) && !cJSON_IsObject(node)) {
        bz_json_next(&token, r->json, r->size, &r->at);
        if (cJSON_IsNumber(node))
            *out = json_read_number(r->tree, r->json + token.offset, token.size);
        else if (cJSON_IsString(node))
            *out = bezel_tree_text(r->tree, node->valuestring, SIZE_MAX);
        else
            *out = cJSON_IsNull(node) ? bezel_tree_null(r->tree) : bezel_tree_bool(r->tree, cJSON_IsTrue(node));
        return BEZEL_OK;
    }
    value = cJSON_IsArray(node) ? bezel_tree_list(r->tree) : bezel_tree_map(r->tree);
    for (const cJSON *child = node->child; child != NULL; child = child->next)
        n++;
    bz_value_reserve(r->tree, value, n);
    for (const cJSON *child = node->child; child != NULL && r->tree->status == BEZEL_OK; child = child->next) {
        if (cJSON_IsObject(node)) {
            status = json_read_key(r, value, child->string);
            if (status != BEZEL_OK)
                return status;
        }
        status = json_read_value(&item, r, child);
        if (status != BEZEL_OK)
            return status;
        if (cJSON_IsArray(node))
            bezel_value_append(r->tree, value, item);
        else
            bezel_value_set(r->tree, value, child->string, item);
    }
    *out = value;
    return BEZEL_OK;
}

bezel_status bz_json_read(bezel_value **out, bezel_tree *tree, const char *json, size_t size, size_t max_size,
                          bezel_error *err)
{
    json_read r = {.tree = tree, .json = json, .size = size, .err = err};
    bezel_value *value = NULL;
    bezel_status status;
    cJSON *root;
    int saved;
    *out = NULL;
    if (tree->status != BEZEL_OK)
        return bz_fail(err, tree->status, "json", "the tree has failed before (%s)", bezel_status_name(tree->status));
    if (size > max_size)
        return bz_fail(err, BEZEL_ERR_LIMIT, "json", "the text has %llu bytes, at most %llu are read",
                       (unsigned long long)size, (unsigned long long)max_size);
    status = bz_json_check(json, size, err);
    if (status != BEZEL_OK)
        return status;
    saved = errno; /* cJSON reads numbers with strtod, which reports underflow there */
    root = cJSON_ParseWithLengthOpts(json, size, NULL, 0);
    errno = saved;
    if (root == NULL)
        return json_memory(err, size);
    status = json_read_value(&value, &r, root);
    cJSON_Delete(root);
    if (status == BEZEL_OK && tree->status != BEZEL_OK) {
        /* Told here, so the tree may be used again. */
        status = tree->status;
        tree->status = BEZEL_OK;
        if (status == BEZEL_ERR_MEMORY)
            return json_memory(err, size);
        return bz_fail(err, status, "json", "the tree would have more than %u values", BZ_VALUE_MAX_COUNT);
    }
    if (status == BEZEL_OK)
        *out = value;
    return status;
}

bezel_status bezel_json_read(bezel_value **out, bezel_tree *tree, const char *json, size_t size, bezel_error *err)
{
    if (out == NULL || tree == NULL || json == NULL)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "json", "%s is NULL",
                       out == NULL ? "out" : tree == NULL ? "tree" : "json");
    return bz_json_read(out, tree, json, size == SIZE_MAX ? strlen(json) : size, BZ_JSON_MAX_SIZE, err);
}

/* --- Writing ------------------------------------------------------------------------------ */

void bz_json_append_text(bz_strbuf *b, const char *text, size_t size)
{
    static const char hex[] = "0123456789abcdef";
    static const char named[] = "btn\0fr"; /* \b \t \n, none for \v, \f \r */
    size_t plain = 0; /* start of bytes that need no escape */
    bz_strbuf_char(b, '"');
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        char escape[6] = {'\\', 'u', '0', '0', hex[c >> 4], hex[c & 15]};
        size_t n = sizeof escape;
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        if (c >= 0x20) {
            escape[1] = (char)c;
            n = 2;
        } else if (c >= 8 && c <= 13 && named[c - 8] != '\0') {
            escape[1] = named[c - 8];
            n = 2;
        }
        bz_strbuf_add(b, text + plain, i - plain);
        bz_strbuf_add(b, escape, n);
        plain = i + 1;
    }
    bz_strbuf_add(b, text + plain, size - plain);
    bz_strbuf_char(b, '"');
}

static void json_newline(bz_strbuf *b, uint32_t indent, unsigned depth)
{
    static const char blanks[] = "                "; /* BZ_JSON_MAX_INDENT */
    if (indent == 0)
        return;
    bz_strbuf_char(b, '\n');
    for (unsigned i = 0; i < depth; i++)
        bz_strbuf_add(b, blanks, indent);
}

static void json_append_scalar(bz_strbuf *b, const bezel_value *value)
{
    char text[32];
    size_t size;
    const char *bytes;
    switch (bezel_value_type(value)) {
    case BEZEL_BOOL:
        bz_strbuf_text(b, bezel_value_bool(value) ? "true" : "false");
        break;
    case BEZEL_INTEGER:
        bz_strbuf_format(b, "%lld", (long long)value->as.integer);
        break;
    case BEZEL_NUMBER:
        size = bz_number_format(text, value->as.number);
        bz_strbuf_add(b, text, size);
        break;
    case BEZEL_TEXT:
        bytes = bezel_value_text(value, &size);
        bz_json_append_text(b, bytes, size);
        break;
    default:
        bz_strbuf_text(b, "null");
        break;
    }
}

/* Recursion as deep as the tree: at most BZ_VALUE_MAX_DEPTH. */
static bezel_status json_append_value(bz_strbuf *b, const bezel_value *value, uint32_t indent, unsigned depth,
                                      bezel_error *err)
{
    uint32_t type = bezel_value_type(value);
    size_t n = bezel_value_count(value);
    if (type == BEZEL_NUMBER && !isfinite(value->as.number)) {
        bz_fail(err, BEZEL_ERR_NUMERIC, "json", "%s cannot be written as JSON",
                isnan(value->as.number) ? "NaN" : "infinity");
        return bz_error_hint(err, BEZEL_ERR_NUMERIC, "use null or a text for it");
    }
    if (type != BEZEL_LIST && type != BEZEL_MAP) {
        json_append_scalar(b, value);
        return BEZEL_OK;
    }
    bz_strbuf_char(b, type == BEZEL_LIST ? '[' : '{');
    for (size_t i = 0; i < n; i++) {
        bezel_status status;
        if (i > 0)
            bz_strbuf_char(b, ',');
        json_newline(b, indent, depth + 1);
        if (type == BEZEL_MAP) {
            size_t key_size;
            const char *key = bezel_value_key(value, i, &key_size);
            bz_json_append_text(b, key, key_size);
            bz_strbuf_text(b, indent == 0 ? ":" : ": ");
        }
        status = json_append_value(b, bezel_value_at(value, i), indent, depth + 1, err);
        if (status != BEZEL_OK)
            return status;
    }
    if (n > 0)
        json_newline(b, indent, depth);
    bz_strbuf_char(b, type == BEZEL_LIST ? ']' : '}');
    return BEZEL_OK;
}

bezel_status bz_json_append(bz_strbuf *b, const bezel_value *value, uint32_t indent, bezel_error *err)
{
    return json_append_value(b, value, indent < BZ_JSON_MAX_INDENT ? indent : BZ_JSON_MAX_INDENT, 0, err);
}

bezel_status bezel_json_write(char **out, size_t *out_size, bezel_engine *engine, const bezel_value *value,
                              uint32_t indent, bezel_error *err)
{
    bz_strbuf b;
    bezel_status status;
    if (out == NULL || engine == NULL)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "json", "%s is NULL", out == NULL ? "out" : "engine");
    *out = NULL;
    bz_strbuf_init(&b, bezel_engine_world(engine), 0);
    status = bz_json_append(&b, value, indent, err);
    if (status == BEZEL_OK && b.status == BEZEL_ERR_LIMIT)
        status = bz_fail(err, BEZEL_ERR_LIMIT, "json", "the JSON text would be longer than %llu bytes",
                         (unsigned long long)b.limit);
    else if (status == BEZEL_OK && b.status != BEZEL_OK)
        status = bz_fail_memory(err, "json", "a JSON text", b.size);
    if (status == BEZEL_OK)
        *out = bz_strbuf_take(&b, out_size);
    bz_strbuf_free(&b);
    return status;
}

void bezel_text_free(bezel_engine *engine, char *text)
{
    if (engine != NULL)
        bz_free(bezel_engine_world(engine), text);
}
