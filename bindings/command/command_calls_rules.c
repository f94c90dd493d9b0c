/* SPDX-License-Identifier: MIT */
/* The rules by which BFCL judges calls, on values: names, required and unknown parameters, types as written, accepted values.
 * What is peculiar here is so on purpose, because the scores must be comparable: a parameter of type "any" is a text, a type
 * that the accepted values have in place of the declared one is accepted, an empty text among them means "may be left out". */
#include "command_calls.h"

#include <stdlib.h>
#include <string.h>

#define NO_TYPE UINT32_MAX

/* --- Types and equality ------------------------------------------------------------------- */

static uint32_t declared_type(const bezel_value *schema) {
    static const struct {
        const char *name;
        uint32_t type;
    } rows[] = {{"string", BEZEL_TEXT},   {"any", BEZEL_TEXT},     {"integer", BEZEL_INTEGER}, {"float", BEZEL_NUMBER},
                {"number", BEZEL_NUMBER}, {"boolean", BEZEL_BOOL}, {"array", BEZEL_LIST},      {"tuple", BEZEL_LIST},
                {"dict", BEZEL_MAP},      {"object", BEZEL_MAP}};
    const char *name = bezel_value_text(bezel_value_get(schema, "type"), NULL);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (strcmp(rows[i].name, name) == 0) return rows[i].type;
    return NO_TYPE;
}

static int is_omission(const bezel_value *accepted) {
    size_t size = 1;
    return bezel_value_type(accepted) == BEZEL_TEXT && (bezel_value_text(accepted, &size), size == 0);
}

static int has_omission(const bezel_value *accepted) {
    for (size_t i = 0; i < bezel_value_count(accepted); i++)
        if (is_omission(bezel_value_at(accepted, i))) return 1;
    return 0;
}

/* Type of the first accepted value that is none of omission. */
static uint32_t accepted_type(const bezel_value *accepted) {
    for (size_t i = 0; i < bezel_value_count(accepted); i++)
        if (!is_omission(bezel_value_at(accepted, i))) return bezel_value_type(bezel_value_at(accepted, i));
    return NO_TYPE;
}

/* The next byte that counts of a text: blanks and ,./-_*^ do not, letters are small, ' is ". 0 at the end. */
static unsigned next_byte(const char **at, const char *end) {
    while (*at < end) {
        unsigned char c = (unsigned char)*(*at)++;
        if (c == 0 || strchr(" ,./-_*^", c)) continue;
        if (c >= 'A' && c <= 'Z') return c + 32u;
        if (c == '\'') return '"';
        return c;
    }
    return 0;
}

/* The same for the letters of Latin-1 in UTF-8; no others have a small form here. */
static unsigned small_letter(unsigned before, unsigned c) {
    if (before == 0xC3 && c >= 0x80 && c <= 0x9E && c != 0x97) return c + 0x20;
    return c;
}

static int same_text(const bezel_value *a, const bezel_value *b) {
    size_t a_size, b_size;
    const char *p = bezel_value_text(a, &a_size), *q = bezel_value_text(b, &b_size);
    const char *p_end = p + a_size, *q_end = q + b_size;
    unsigned before = 0;
    for (;;) {
        unsigned x = next_byte(&p, p_end), y = next_byte(&q, q_end);
        if (small_letter(before, x) != small_letter(before, y)) return 0;
        if (x == 0) return 1;
        before = x;
    }
}

/* As Python compares: numbers and bools by value, texts exactly or (loose) as above, lists item by item. */
static int same_value(const bezel_value *a, const bezel_value *b, int loose) {
    uint32_t x = bezel_value_type(a), y = bezel_value_type(b);
    if (x == BEZEL_TEXT && y == BEZEL_TEXT && loose) return same_text(a, b);
    if ((x == BEZEL_BOOL && (y == BEZEL_INTEGER || y == BEZEL_NUMBER))) return bezel_value_number(b) == bezel_value_bool(a);
    if ((y == BEZEL_BOOL && (x == BEZEL_INTEGER || x == BEZEL_NUMBER))) return bezel_value_number(a) == bezel_value_bool(b);
    return bezel_value_equal(a, b);
}

static int is_among(const bezel_value *value, const bezel_value *accepted, int loose) {
    for (size_t i = 0; i < bezel_value_count(accepted); i++)
        if (same_value(value, bezel_value_at(accepted, i), loose)) return 1;
    return 0;
}

/* --- Lists and objects -------------------------------------------------------------------- */

static int same_items(const bezel_value *value, const bezel_value *accepted) {
    size_t n = bezel_value_count(value);
    if (is_omission(accepted)) return n == 0;
    if (bezel_value_type(accepted) != BEZEL_LIST || bezel_value_count(accepted) != n) return 0;
    for (size_t i = 0; i < n; i++)
        if (!same_value(bezel_value_at(value, i), bezel_value_at(accepted, i), 1)) return 0;
    return 1;
}

/* A map against one accepted map of lists of accepted values. */
static int map_fits(const bezel_value *value, const bezel_value *accepted) {
    if (bezel_value_type(value) != BEZEL_MAP || bezel_value_type(accepted) != BEZEL_MAP) return 0;
    for (size_t i = 0; i < bezel_value_count(value); i++) {
        const bezel_value *list = bezel_value_get(accepted, bezel_value_key(value, i, NULL));
        if (!list || !is_among(bezel_value_at(value, i), list, 1)) return 0;
    }
    for (size_t i = 0; i < bezel_value_count(accepted); i++)
        if (!bezel_value_get(value, bezel_value_key(accepted, i, NULL)) && !has_omission(bezel_value_at(accepted, i))) return 0;
    return 1;
}

static int maps_fit(const bezel_value *list, const bezel_value *accepted) {
    size_t n = bezel_value_count(list);
    if (bezel_value_type(accepted) != BEZEL_LIST || bezel_value_count(accepted) != n) return n == 0 && is_omission(accepted);
    for (size_t i = 0; i < n; i++)
        if (!map_fits(bezel_value_at(list, i), bezel_value_at(accepted, i))) return 0;
    return 1;
}

/* --- One argument ------------------------------------------------------------------------- */

/* Items have the declared type, or that of the items of one accepted list. */
static int items_have_type(const bezel_value *value, const bezel_value *accepted, uint32_t type) {
    for (size_t k = 0; k < bezel_value_count(accepted); k++) {
        const bezel_value *list = bezel_value_at(accepted, k);
        if (bezel_value_type(list) != BEZEL_LIST) return 1;
        uint32_t other = accepted_type(list);
        size_t i = 0, n = bezel_value_count(value);
        while (i < n &&
               (bezel_value_type(bezel_value_at(value, i)) == type || bezel_value_type(bezel_value_at(value, i)) == other))
            i++;
        if (i == n) return 1;
    }
    return 0;
}

static int argument_accepted(const bezel_value *value, const bezel_value *accepted, const bezel_value *schema) {
    const uint32_t type = declared_type(schema), other = accepted_type(accepted);
    const bezel_value *items = bezel_value_get(schema, "items");
    uint32_t found = bezel_value_type(value);
    int as_declared;
    if (type == BEZEL_NUMBER && found == BEZEL_INTEGER) found = BEZEL_NUMBER;
    if (found == type) {
        if (type == BEZEL_LIST && items && !items_have_type(value, accepted, declared_type(items))) return 0;
        as_declared = other == NO_TYPE || other == type;
    } else {
        if (found != other) return 0;
        as_declared = 0; /* the name of a variable in place of a value */
    }
    for (size_t i = 0; as_declared && i < bezel_value_count(accepted); i++) {
        const bezel_value *one = bezel_value_at(accepted, i);
        if (type == BEZEL_MAP                                                  ? map_fits(value, one)
            : type == BEZEL_LIST && items && declared_type(items) == BEZEL_MAP ? maps_fit(value, one)
            : type == BEZEL_LIST                                               ? same_items(value, one)
                                                                               : same_value(value, one, type == BEZEL_TEXT))
            return 1;
    }
    return !as_declared && is_among(value, accepted, 0);
}

/* --- Calls -------------------------------------------------------------------------------- */

static const bezel_value *function_named(const bezel_value *functions, const char *name) {
    for (size_t i = 0; i < bezel_value_count(functions); i++)
        if (strcmp(bezel_value_text(bezel_value_get(bezel_value_at(functions, i), "name"), NULL), name) == 0)
            return bezel_value_at(functions, i);
    return NULL;
}

/* One call against {name: {parameter: [accepted, ...]}}. */
static int call_accepted(const bezel_value *call, const bezel_value *wanted, const bezel_value *functions) {
    const char *name = bezel_value_key(wanted, 0, NULL);
    const bezel_value *given = bezel_value_get(call, "arguments"), *accepted = bezel_value_at(wanted, 0);
    const bezel_value *parameters = bezel_value_get(function_named(functions, name), "parameters");
    const bezel_value *required = bezel_value_get(parameters, "required"),
                      *properties = bezel_value_get(parameters, "properties");
    if (!parameters || strcmp(bezel_value_text(bezel_value_get(call, "name"), NULL), name) != 0) return 0;
    for (size_t i = 0; i < bezel_value_count(required); i++)
        if (!bezel_value_get(given, bezel_value_text(bezel_value_at(required, i), NULL))) return 0;
    for (size_t i = 0; i < bezel_value_count(given); i++) {
        const char *key = bezel_value_key(given, i, NULL);
        const bezel_value *schema = bezel_value_get(properties, key), *list = bezel_value_get(accepted, key);
        if (!schema || !list || !argument_accepted(bezel_value_at(given, i), list, schema)) return 0;
    }
    for (size_t i = 0; i < bezel_value_count(accepted); i++)
        if (!bezel_value_get(given, bezel_value_key(accepted, i, NULL)) && !has_omission(bezel_value_at(accepted, i))) return 0;
    return 1;
}

int calls_correct(const bezel_value *calls, const bezel_value *truth, const bezel_value *functions, const char *category) {
    size_t n = bezel_value_count(truth);
    uint64_t taken = 0; /* bits of the calls that have found their place */
    if (bezel_value_count(calls) != n || n > 64) return 0;
    if (!strstr(category, "parallel"))
        return n == 1 && call_accepted(bezel_value_at(calls, 0), bezel_value_at(truth, 0), functions);
    for (size_t i = 0; i < n; i++) {
        size_t k = 0;
        while (k < n && ((taken >> k & 1) || !call_accepted(bezel_value_at(calls, k), bezel_value_at(truth, i), functions)))
            k++;
        if (k == n) return 0;
        taken |= (uint64_t)1 << k;
    }
    return 1;
}
