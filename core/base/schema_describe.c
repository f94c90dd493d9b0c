/* SPDX-License-Identifier: MIT */
/* What is valid for a node, in words for a model. Main invariant: whole members and whole characters, whatever the room.
 * Prompt declarations are tools/tool_schema.c's. */
#include "base/schema_impl.h"

#include "base/number.h"
#include "base/utf8.h"

#include <stdio.h>
#include <string.h>

/* --- What is valid ------------------------------------------------------------------------ */

static void describe_enum(char *out, size_t capacity, const bz_schema *s, const bz_schema_node *node)
{
    size_t size = (size_t)snprintf(out, capacity, node->n_values > 1 ? "one of " : "");
    for (uint32_t i = 0; i < node->n_values; i++) {
        const bezel_value *m = bz_schema_member(s, node->first_value + i);
        char number[32];
        int n;
        if (bezel_value_type(m) == BEZEL_TEXT) {
            n = snprintf(out + size, capacity - size, "%s\"%s\"", i > 0 ? ", " : "", bezel_value_text(m, NULL));
        } else {
            number[bz_number_format(number, bezel_value_number(m))] = '\0';
            n = snprintf(out + size, capacity - size, "%s%s", i > 0 ? ", " : "",
                         bezel_value_type(m) != BEZEL_BOOL ? number
                         : bezel_value_bool(m)             ? "true"
                                                           : "false");
        }
        if (n < 0 || (size_t)n >= capacity - size) {
            out[size] = '\0'; /* whole members only */
            if (size + 5 < capacity)
                memcpy(out + size, ", ...", 6);
            return;
        }
        size += (size_t)n;
    }
}

static void describe_range(char *out, size_t capacity, const bz_schema_node *node, const char *what)
{
    char low[32] = "", high[32] = "";
    int is_integer = node->kind == BZ_SCHEMA_INTEGER;
    int has_low = is_integer ? node->min_integer > INT64_MIN : (node->flags & BZ_SCHEMA_HAS_MIN) != 0;
    int has_high = is_integer ? node->max_integer < INT64_MAX : (node->flags & BZ_SCHEMA_HAS_MAX) != 0;
    if (is_integer) {
        snprintf(low, sizeof low, "%lld", (long long)node->min_integer);
        snprintf(high, sizeof high, "%lld", (long long)node->max_integer);
    } else {
        low[bz_number_format(low, node->minimum)] = '\0';
        high[bz_number_format(high, node->maximum)] = '\0';
    }
    const char *above = node->flags & BZ_SCHEMA_MIN_EXCLUSIVE ? "above" : "from";
    const char *below = node->flags & BZ_SCHEMA_MAX_EXCLUSIVE ? "below" : "up to";
    if (has_low && has_high && !(node->flags & (BZ_SCHEMA_MIN_EXCLUSIVE | BZ_SCHEMA_MAX_EXCLUSIVE)))
        snprintf(out, capacity, "%s from %s to %s", what, low, high);
    else if (has_low && has_high)
        snprintf(out, capacity, "%s %s %s and %s %s", what, above, low, below, high);
    else if (has_low)
        snprintf(out, capacity, "%s %s %s", what, above, low);
    else if (has_high)
        snprintf(out, capacity, "%s %s %s", what, below, high);
    else
        snprintf(out, capacity, "%s", what);
}

size_t bz_schema_describe(char *out, size_t capacity, const bz_schema *schema, uint32_t node_index)
{
    const bz_schema_node *node = bz_schema_at(schema, node_index);
    if (node->n_values > 0 && node->kind < BZ_SCHEMA_ARRAY) {
        describe_enum(out, capacity, schema, node);
        out[bz_utf8_cut(out, strlen(out))] = '\0';
        return strlen(out);
    }
    switch (node->kind) {
    case BZ_SCHEMA_STRING: snprintf(out, capacity, "a string"); break;
    case BZ_SCHEMA_INTEGER: describe_range(out, capacity, node, "an integer"); break;
    case BZ_SCHEMA_NUMBER: describe_range(out, capacity, node, "a number"); break;
    case BZ_SCHEMA_BOOLEAN: snprintf(out, capacity, "true or false"); break;
    case BZ_SCHEMA_NULL: snprintf(out, capacity, "null"); break;
    case BZ_SCHEMA_ARRAY:
        snprintf(out, capacity, "a list of %s",
                 node->item == BZ_SCHEMA_NONE ? "values" : bz_schema_kind_name(bz_schema_at(schema, node->item)->kind));
        break;
    case BZ_SCHEMA_OBJECT: snprintf(out, capacity, "an object"); break;
    default: snprintf(out, capacity, "a value of another type");
    }
    return strlen(out);
}
