/* SPDX-License-Identifier: MIT */
/* Values for parameters: what the schema allows, chosen as its name and description suggest. Not a check: examples are checked
 * by the parser when they are added. */
#include "teach_impl.h"

#include <stdio.h>
#include <string.h>

#define N_ITEMS(a) (sizeof(a) / sizeof *(a))

/* What a name or description says: the first row that occurs in one of them. */
static const char *const value_kinds[][2] = {
    {"email", "email"},     {"e-mail", "email"},   {"phone", "phone"},       {"url", "url"},           {"currency", "currency"},
    {"airport", "airport"}, {"country", "country"}, {"nation", "country"},   {"city", "city"},         {"location", "city"},
    {"destination", "city"}, {"origin", "city"},   {"place", "city"},        {"town", "city"},         {"station", "city"},
    {"language", "language"}, {"color", "color"},  {"colour", "color"},      {"room", "room"},         {"device", "device"},
    {"recipient", "person"}, {"contact", "person"}, {"customer", "person"},  {"patient", "person"},    {"student", "person"},
    {"author", "person"},   {"person", "person"},  {"player", "person"},     {"guest", "person"},      {"team", "team"},
    {"company", "company"}, {"brand", "company"},  {"song", "song"},         {"track", "song"},        {"artist", "artist"},
    {"band", "artist"},     {"movie", "movie"},    {"film", "movie"},        {"book", "book"},         {"cuisine", "cuisine"},
    {"dish", "food"},       {"recipe", "food"},    {"ingredient", "food"},   {"food", "food"},         {"product", "product"},
    {"item", "product"},    {"animal", "animal"},  {"species", "animal"},    {"sport", "sport"},       {"subject", "subject"},
    {"topic", "subject"},   {"weekday", "weekday"}, {"category", "subject"}, {"message", "message"},   {"text", "message"},
    {"note", "message"},    {"reminder", "task"},  {"task", "task"},         {"title", "task"},        {"genre", "genre"},
    {"instrument", "instrument"}, {"unit", "unit"}, {"code", "code"},        {"id", "code"},           {"number", "code"},
    {"street", "address"},  {"address", "address"}, {"name", "person"},      {"user", "person"},
};

static int value_occurs(const char *in, const char *word)
{
    for (; *in; in++) {
        size_t i = 0;
        while (word[i] && (in[i] == word[i] || in[i] + 32 == word[i]))
            i++;
        if (!word[i])
            return 1;
    }
    return 0;
}

static int value_says(const char *name, const char *description, const char *word)
{
    return value_occurs(name, word) || value_occurs(description, word);
}

/* --- Texts -------------------------------------------------------------------------------- */

static bezel_value *value_date(bezel_tree *tree, const char *description, bz_rng *rng)
{
    char text[64];
    const int year = 2023 + (int)bz_teach_pick(rng, 4), month = 1 + (int)bz_teach_pick(rng, 12), day = 1 + (int)bz_teach_pick(rng, 28);
    if (value_occurs(description, "mm/dd"))
        snprintf(text, sizeof text, "%02d/%02d/%04d", month, day, year);
    else if (value_occurs(description, "dd/mm"))
        snprintf(text, sizeof text, "%02d/%02d/%04d", day, month, year);
    else
        snprintf(text, sizeof text, "%04d-%02d-%02d", year, month, day);
    return bezel_tree_text(tree, text, SIZE_MAX);
}

static bezel_value *value_time(bezel_tree *tree, bz_rng *rng)
{
    static const int minutes[] = {0, 0, 15, 30, 30, 45};
    char text[64];
    snprintf(text, sizeof text, "%02d:%02d", 6 + (int)bz_teach_pick(rng, 17), minutes[bz_teach_pick(rng, N_ITEMS(minutes))]);
    return bezel_tree_text(tree, text, SIZE_MAX);
}

static bezel_value *value_code(bezel_tree *tree, bz_rng *rng)
{
    static const char letters[] = "ABCDEFGHKLMNPRSTUVWX";
    char text[64];
    const int number = 100 + (int)bz_teach_pick(rng, 9900);
    switch (bz_teach_pick(rng, 3)) {
    case 0: snprintf(text, sizeof text, "%c%c-%d", letters[bz_teach_pick(rng, 20)], letters[bz_teach_pick(rng, 20)], number); break;
    case 1: snprintf(text, sizeof text, "%c%d", letters[bz_teach_pick(rng, 20)], number); break;
    default: snprintf(text, sizeof text, "%d", number); break;
    }
    return bezel_tree_text(tree, text, SIZE_MAX);
}

static bezel_value *value_phone(bezel_tree *tree, bz_rng *rng)
{
    char text[64];
    snprintf(text, sizeof text, "+%d %d %d", 1 + (int)bz_teach_pick(rng, 60), 100 + (int)bz_teach_pick(rng, 900),
             10000 + (int)bz_teach_pick(rng, 90000));
    return bezel_tree_text(tree, text, SIZE_MAX);
}

static bezel_value *value_word(bezel_tree *tree, const char *kind, bz_rng *rng)
{
    size_t n = 0;
    const char *const *words = bz_teach_words(kind, &n);
    if (!words)
        words = bz_teach_words("thing", &n);
    return bezel_tree_text(tree, words[bz_teach_pick(rng, n)], SIZE_MAX);
}

static bezel_value *value_text(bezel_tree *tree, const char *name, const char *description, const char *format, bz_rng *rng)
{
    if (strcmp(format, "date") == 0 || value_says(name, description, "date") || value_occurs(description, "yyyy"))
        return value_date(tree, description, rng);
    if (strcmp(format, "time") == 0 || value_occurs(description, "hh:mm") || (value_occurs(name, "time") && !value_occurs(name, "zone")))
        return value_time(tree, rng);
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; i < N_ITEMS(value_kinds); i++) {
            if (!value_occurs(pass ? description : name, value_kinds[i][0]))
                continue;
            if (strcmp(value_kinds[i][1], "code") == 0)
                return value_code(tree, rng);
            if (strcmp(value_kinds[i][1], "phone") == 0)
                return value_phone(tree, rng);
            return value_word(tree, value_kinds[i][1], rng);
        }
    }
    return value_word(tree, "thing", rng);
}

/* --- Numbers ------------------------------------------------------------------------------ */

static void value_range(double *low, double *high, const char *name, const char *description)
{
    static const struct {
        const char *word;
        double low, high;
    } rows[] = {
        {"year", 1950, 2026},    {"month", 1, 12},      {"latitude", -60, 70}, {"longitude", -170, 170}, {"hour", 0, 23},
        {"minute", 1, 59},       {"age", 5, 90},        {"rating", 1, 5},      {"rate", 0.01, 0.2},      {"probab", 0.05, 0.95},
        {"percent", 1, 90},      {"price", 5, 500},     {"amount", 10, 5000},  {"salary", 20000, 120000}, {"temperature", -10, 40},
        {"people", 1, 12},       {"guests", 1, 12},     {"days", 1, 14},       {"night", 1, 14},         {"limit", 1, 20},
        {"count", 1, 20},        {"quantity", 1, 20},   {"weight", 1, 150},    {"height", 1, 220},       {"volume", 0, 100},
    };
    *low = 1;
    *high = 100;
    for (size_t i = 0; i < N_ITEMS(rows); i++)
        if (value_says(name, i < 5 ? "" : description, rows[i].word)) {
            *low = rows[i].low;
            *high = rows[i].high;
            return;
        }
}

static bezel_value *value_number(bezel_tree *tree, const char *name, const bezel_value *schema, int whole, bz_rng *rng)
{
    const bezel_value *low_value = bezel_value_get(schema, "minimum"), *high_value = bezel_value_get(schema, "maximum");
    double low, high;
    value_range(&low, &high, name, bezel_value_text(bezel_value_get(schema, "description"), NULL));
    if (low_value) {
        const double width = high - low;
        low = bezel_value_number(low_value);
        high = high > low ? high : low + width;
    }
    if (high_value) {
        high = bezel_value_number(high_value);
        low = low < high || low_value ? low : high > 0 ? 0 : high - 100;
    }
    double x = low + bz_rng_unit(rng) * (high - low);
    if (whole) {
        x = low + (double)bz_teach_pick(rng, (size_t)(high - low) + 1);
        if (high - low >= 400 && bz_teach_chance(rng, 0.6) && x >= low + 100)
            x -= (double)((int64_t)x % 50); /* people say round numbers */
        return bezel_tree_integer(tree, (int64_t)x);
    }
    const double unit = high - low < 3 ? 100 : bz_teach_chance(rng, 0.4) ? 1 : high - low < 100 ? 10 : 2;
    x = (double)(int64_t)(x * unit) / unit;
    return x < low ? bezel_tree_number(tree, low) : bezel_tree_number(tree, x);
}

/* --- Any ---------------------------------------------------------------------------------- */

static int value_type_is(const char *type, const char *const *names)
{
    for (; *names; names++)
        if (strcmp(type, *names) == 0)
            return 1;
    return 0;
}

static bezel_value *value_list(bezel_tree *tree, const char *name, const bezel_value *schema, bz_rng *rng)
{
    const bezel_value *items = bezel_value_get(schema, "items"), *least = bezel_value_get(schema, "minItems");
    bezel_value *list = bezel_tree_list(tree);
    const char *type = bezel_value_text(bezel_value_get(items, "type"), NULL);
    const int numbers = type[0] == 'i' || type[0] == 'n' || type[0] == 'f';
    size_t n = (numbers ? 3 : 2) + bz_teach_pick(rng, numbers ? 4 : 3);
    n = least && (int64_t)n < bezel_value_integer(least) ? (size_t)bezel_value_integer(least) : n;
    for (size_t tries = 0; bezel_value_count(list) < n && tries < 4 * n; tries++) {
        bezel_value *item = bz_teach_value(tree, name, items, rng);
        int known = 0;
        for (size_t i = 0; i < bezel_value_count(list); i++)
            known |= !numbers && bezel_value_equal(bezel_value_at(list, i), item);
        if (!known)
            bezel_value_append(tree, list, item);
    }
    return list;
}

static bezel_value *value_map(bezel_tree *tree, const bezel_value *schema, bz_rng *rng)
{
    const bezel_value *properties = bezel_value_get(schema, "properties");
    bezel_value *map = bezel_tree_map(tree);
    for (size_t i = 0; i < bezel_value_count(properties); i++) {
        const char *key = bezel_value_key(properties, i, NULL);
        bezel_value_set(tree, map, key, bz_teach_value(tree, key, bezel_value_at(properties, i), rng));
    }
    return map;
}

bezel_value *bz_teach_value(bezel_tree *tree, const char *name, const bezel_value *schema, bz_rng *rng)
{
    static const char *const whole[] = {"integer", "int", "long", NULL}, *const number[] = {"number", "float", "double", NULL},
                 *const truth[] = {"boolean", "bool", NULL}, *const list[] = {"array", "list", "tuple", "set", NULL},
                 *const map[] = {"object", "dict", NULL};
    const bezel_value *members = bezel_value_get(schema, "enum"), *type_value = bezel_value_get(schema, "type");
    const bezel_value *examples = bezel_value_get(schema, "examples");
    if (bezel_value_type(type_value) == BEZEL_LIST)
        type_value = bezel_value_at(type_value, 0);
    const char *type = bezel_value_text(type_value, NULL);
    if (bezel_value_count(members) > 0)
        return bezel_tree_copy(tree, bezel_value_at(members, bz_teach_pick(rng, bezel_value_count(members))));
    if (bezel_value_count(examples) > 0)
        return bezel_tree_copy(tree, bezel_value_at(examples, bz_teach_pick(rng, bezel_value_count(examples))));
    const bezel_value *own = bezel_value_get(schema, "own examples"); /* what the user's examples have, and words like those */
    if (bezel_value_count(own) > 0 && bz_teach_chance(rng, 0.75))
        return bezel_tree_copy(tree, bezel_value_at(own, bz_teach_pick(rng, bezel_value_count(own))));
    if (bezel_value_get(schema, "const"))
        return bezel_tree_copy(tree, bezel_value_get(schema, "const"));
    if (value_type_is(type, whole))
        return value_number(tree, name, schema, 1, rng);
    if (value_type_is(type, number))
        return value_number(tree, name, schema, 0, rng);
    if (value_type_is(type, truth))
        return bezel_tree_bool(tree, bz_teach_chance(rng, 0.6));
    if (value_type_is(type, list))
        return value_list(tree, name, schema, rng);
    if (value_type_is(type, map))
        return value_map(tree, schema, rng);
    return value_text(tree, name, bezel_value_text(bezel_value_get(schema, "description"), NULL),
                      bezel_value_text(bezel_value_get(schema, "format"), NULL), rng);
}

bezel_value *bz_teach_result(bezel_tree *tree, const bezel_value *tool, bz_rng *rng)
{
    const bezel_value *schema = bezel_value_get(tool, "result");
    const char *name = bezel_value_text(bezel_value_get(tool, "name"), NULL);
    if (schema)
        return bz_teach_value(tree, "result", schema, rng);
    static const char *const done[] = {"ok", "done", "success", "completed"};
    if (value_occurs(name, "calc") || value_occurs(name, "convert") || value_occurs(name, "price") || value_occurs(name, "count"))
        return bezel_tree_number(tree, (double)(int64_t)(bz_rng_unit(rng) * 10000) / 10);
    return bezel_tree_text(tree, done[bz_teach_pick(rng, N_ITEMS(done))], SIZE_MAX);
}
