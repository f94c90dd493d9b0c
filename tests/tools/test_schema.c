/* SPDX-License-Identifier: MIT */
/* JSON schema to node table, and values through it: every keyword, refusals by path, coercion, limits. */
#include "base/schema.h"

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "support/test_engine.h"

Suite *schema_suite(void);

static bezel_engine *engine;
static bezel_tree *tree;
static bz_arena arena;
static char warnings[2048];

static void setup(void)
{
    engine = test_engine_new(NULL, 1, BEZEL_ISA_SCALAR);
    ck_assert_int_eq(bezel_tree_new(&tree, engine, NULL), BEZEL_OK);
    bz_arena_init(&arena, bezel_engine_world(engine), 0);
    warnings[0] = '\0';
}

static void teardown(void)
{
    bz_arena_free(&arena);
    bezel_tree_free(tree);
    bezel_engine_free(engine);
}

static void keep_warning(void *ud, const char *path, const char *keyword, const char *reason)
{
    (void)ud;
    size_t n = strlen(warnings);
    snprintf(warnings + n, sizeof warnings - n, "%s/%s: %s\n", path, keyword, reason);
}

static bezel_value *json(const char *text)
{
    bezel_value *value = NULL;
    bezel_error err = BEZEL_ERROR_INIT;
    ck_assert_msg(bezel_json_read(&value, tree, text, strlen(text), &err) == BEZEL_OK, "%s: %s", text, err.text);
    return value;
}

static bezel_status compile(bz_schema **out, const char *text, bezel_error *err)
{
    bz_schema_source source = {json(text), "tool", 1, keep_warning, NULL};
    return bz_schema_new(out, engine, &source, err);
}

static bz_schema *made(const char *text)
{
    bz_schema *schema = NULL;
    bezel_error err = BEZEL_ERROR_INIT;
    ck_assert_msg(compile(&schema, text, &err) == BEZEL_OK, "%s: %s", text, err.text);
    return schema;
}

/* Result as JSON, or the code of the problem. coerce: texts are lexemes that a model wrote. */
static const char *apply(const char *schema_text, const char *value, int coerce)
{
    static char out[512];
    bz_schema *schema = made(schema_text);
    bz_schema_check check;
    bezel_value *result = NULL;
    char *text = NULL;
    memset(&check, 0, sizeof check);
    check.schema = schema;
    check.tree = tree;
    check.coerce = coerce;
    bz_raw *raw = bz_raw_from_value(&arena, json(value));
    for (bz_raw *item = raw->first; coerce && item != NULL; item = item->next)
        if (item->kind == BEZEL_TEXT && item->size > 0 && item->text[0] == '~') { /* "~x" stands for an unquoted x */
            item->kind = BZ_RAW_LEXEME;
            item->text++;
            item->size--;
        }
    bezel_status status = bz_schema_apply(&result, &check, 0, raw);
    if (status == BEZEL_OK) {
        ck_assert_int_eq(bezel_json_write(&text, NULL, engine, result, 0, NULL), BEZEL_OK);
        snprintf(out, sizeof out, "%s", text);
        bezel_text_free(engine, text);
    } else {
        ck_assert_int_eq(status, BEZEL_ERR_PARSE);
        snprintf(out, sizeof out, "%s", check.problem.code);
        ck_assert(strlen(check.problem.text) > 0);
    }
    bz_schema_free(schema);
    return out;
}

/* One property "x" with this schema. */
static const char *apply_x(const char *schema, const char *value, int coerce)
{
    char object[1024], map[1024];
    snprintf(object, sizeof object, "{\"type\":\"object\",\"properties\":{\"x\":%s}}", schema);
    snprintf(map, sizeof map, "{\"x\":%s}", value);
    return apply(object, map, coerce);
}

typedef struct row {
    const char *schema, *value, *expected;
    int coerce;
} row;

static void check_rows(const row *rows, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        char expected[512];
        int is_code = rows[i].expected[0] >= 'a' && (strchr(rows[i].expected, '_') != NULL || rows[i].expected[0] == 'p');
        snprintf(expected, sizeof expected, is_code ? "%s" : "{\"x\":%s}", rows[i].expected);
        const char *got = apply_x(rows[i].schema, rows[i].value, rows[i].coerce);
        ck_assert_msg(strcmp(got, expected) == 0, "%s with %s: %s, expected %s", rows[i].schema, rows[i].value, got, expected);
    }
}

START_TEST(typed_values_are_checked_without_conversion)
{
    static const row rows[] = {
        {"{\"type\":\"string\"}", "\"a\"", "\"a\"", 0},
        {"{\"type\":\"string\"}", "3", "bad_type", 0},
        {"{\"type\":\"integer\"}", "3", "3", 0},
        {"{\"type\":\"integer\"}", "3.0", "3", 0},
        {"{\"type\":\"integer\"}", "2.5", "bad_type", 0},
        {"{\"type\":\"integer\"}", "\"3\"", "bad_type", 0},
        {"{\"type\":\"integer\"}", "1e300", "out_of_range", 0},
        {"{\"type\":\"number\"}", "-2.5", "-2.5", 0},
        {"{\"type\":\"number\"}", "\"1\"", "bad_type", 0},
        {"{\"type\":\"boolean\"}", "true", "true", 0},
        {"{\"type\":\"boolean\"}", "\"yes\"", "bad_type", 0},
        {"{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}", "[1,2]", "[1,2]", 0},
        {"{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}", "[1,\"a\"]", "bad_type", 0},
        {"{\"type\":\"array\"}", "5", "bad_type", 0},
        {"{\"type\":\"object\"}", "{\"a\":[1]}", "{\"a\":[1]}", 0},
        {"{}", "[1,\"a\",null]", "[1,\"a\",null]", 0},
    };
    check_rows(rows, sizeof rows / sizeof rows[0]);
}
END_TEST

START_TEST(what_a_model_wrote_is_converted_by_the_schema)
{
    static const row rows[] = {
        {"{\"type\":\"string\"}", "\"~007\"", "\"007\"", 1},
        {"{\"type\":\"integer\"}", "\"3\"", "3", 1},
        {"{\"type\":\"integer\"}", "\"~3.0\"", "3", 1},
        {"{\"type\":\"integer\"}", "\"~1_000\"", "1000", 1},
        {"{\"type\":\"integer\"}", "\"~0x1F\"", "31", 1},
        {"{\"type\":\"integer\"}", "\"~+5\"", "5", 1},
        {"{\"type\":\"integer\"}", "\"~three\"", "bad_type", 1},
        {"{\"type\":\"integer\"}", "\"~99999999999999999999\"", "out_of_range", 1},
        {"{\"type\":\"number\"}", "\"~.5\"", "0.5", 1},
        {"{\"type\":\"number\"}", "\"~1e400\"", "out_of_range", 1},
        {"{\"type\":\"number\"}", "\"~nan\"", "bad_type", 1},
        {"{\"type\":\"boolean\"}", "\"~True\"", "true", 1},
        {"{\"type\":\"boolean\"}", "\"off\"", "false", 1},
        {"{\"type\":\"boolean\"}", "\"~1\"", "true", 1},
        {"{\"type\":\"boolean\"}", "\"maybe\"", "bad_type", 1},
        {"{\"type\":\"array\",\"items\":{\"type\":\"string\"}}", "\"solo\"", "[\"solo\"]", 1},
        {"{\"enum\":[\"celsius\",\"fahrenheit\"]}", "\"Celsius\"", "\"celsius\"", 1},
        {"{\"enum\":[\"a\",\"A\"]}", "\"~a\"", "\"a\"", 1},
        {"{\"enum\":[\"Ab\",\"aB\"]}", "\"ab\"", "bad_enum", 1},
        {"{\"enum\":[1,2]}", "\"~2\"", "2", 1},
        {"{\"type\":[\"string\",\"integer\"]}", "\"3\"", "\"3\"", 1},
        {"{\"type\":[\"string\",\"integer\"]}", "\"~3\"", "3", 1},
        {"{\"anyOf\":[{\"type\":\"integer\"},{\"type\":\"boolean\"}]}", "\"yes\"", "true", 1},
        {"{}", "\"~12\"", "12", 1},
        {"{}", "\"~some text\"", "\"some text\"", 1},
    };
    check_rows(rows, sizeof rows / sizeof rows[0]);
}
END_TEST

START_TEST(ranges_lengths_patterns_and_members_are_enforced)
{
    static const row rows[] = {
        {"{\"type\":\"integer\",\"minimum\":1,\"maximum\":7}", "7", "7", 0},
        {"{\"type\":\"integer\",\"minimum\":1,\"maximum\":7}", "8", "out_of_range", 0},
        {"{\"type\":\"integer\",\"exclusiveMinimum\":1}", "1", "out_of_range", 0},
        {"{\"type\":\"integer\",\"minimum\":1,\"exclusiveMinimum\":true}", "1", "out_of_range", 0},
        {"{\"type\":\"number\",\"exclusiveMaximum\":1}", "1", "out_of_range", 0},
        {"{\"type\":\"number\",\"exclusiveMaximum\":1}", "0.99", "0.99", 0},
        {"{\"type\":\"integer\",\"multipleOf\":5}", "12", "out_of_range", 0},
        {"{\"type\":\"string\",\"maxLength\":2}", "\"\xC3\xA9\xC3\xA9\"", "\"\xC3\xA9\xC3\xA9\"", 0},
        {"{\"type\":\"string\",\"maxLength\":2}", "\"abc\"", "too_long", 0},
        {"{\"type\":\"string\",\"minLength\":1}", "\"\"", "too_short", 0},
        {"{\"type\":\"string\",\"pattern\":\"^[a-z]+$\"}", "\"abc\"", "\"abc\"", 0},
        {"{\"type\":\"string\",\"pattern\":\"^[a-z]+$\"}", "\"abc\\n\"", "pattern", 0},
        {"{\"type\":\"string\",\"pattern\":\"b\"}", "\"abc\"", "\"abc\"", 0},
        {"{\"type\":\"array\",\"minItems\":1}", "[]", "too_short", 0},
        {"{\"type\":\"array\",\"maxItems\":1}", "[1,2]", "too_long", 0},
        {"{\"type\":\"array\",\"uniqueItems\":true}", "[1,\"1\",2]", "[1,\"1\",2]", 0},
        {"{\"type\":\"array\",\"uniqueItems\":true}", "[1,2,1.0]", "duplicate_item", 0},
        {"{\"type\":\"array\",\"uniqueItems\":false}", "[1,1]", "[1,1]", 0},
        {"{\"const\":\"x\"}", "\"y\"", "bad_enum", 0},
        {"{\"enum\":[true,3,\"a\"]}", "3", "3", 0},
        {"{\"type\":\"string\",\"enum\":[\"a\",null]}", "null", "null", 0},
        {"{\"type\":[\"integer\",\"null\"]}", "null", "null", 0},
        {"{\"anyOf\":[{\"type\":\"integer\"},{\"type\":\"null\"}]}", "null", "null", 0},
        {"{\"type\":\"integer\",\"nullable\":true}", "null", "null", 0},
        {"{\"type\":\"object\",\"properties\":{\"a\":{}},\"additionalProperties\":false}", "{\"b\":1}", "unknown_parameter", 0},
        {"{\"type\":\"object\",\"additionalProperties\":{\"type\":\"integer\"}}", "{\"b\":\"x\"}", "bad_type", 0},
        {"{\"type\":\"object\",\"properties\":{\"a\":{}},\"required\":[\"a\"]}", "{}", "missing_parameter", 0},
    };
    check_rows(rows, sizeof rows / sizeof rows[0]);
}
END_TEST

START_TEST(python_names_of_types_are_known)
{
    bz_schema *s = made("{\"type\":\"dict\",\"properties\":{\"a\":{\"type\":\"float\"},\"b\":{\"type\":\"tuple\",\"items\":{\"type\":"
                        "\"str\"}},\"c\":{\"type\":\"any\"},\"d\":{\"type\":\"Boolean\"},\"e\":{\"type\":\"int\"}}}");
    static const uint32_t kinds[] = {BZ_SCHEMA_NUMBER, BZ_SCHEMA_ARRAY, BZ_SCHEMA_ANY, BZ_SCHEMA_BOOLEAN, BZ_SCHEMA_INTEGER};
    ck_assert_uint_eq(bz_schema_at(s, 0)->kind, BZ_SCHEMA_OBJECT);
    for (uint32_t i = 0; i < 5; i++)
        ck_assert_uint_eq(bz_schema_at(s, bz_schema_property_at(s, bz_schema_at(s, 0)->first + i)->node)->kind, kinds[i]);
    ck_assert_str_eq(warnings, "");
    bz_schema_free(s);
}
END_TEST

START_TEST(defaults_are_filled_in_and_null_is_absent)
{
    const char *s = "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\",\"default\":3},\"b\":{\"type\":\"string\"},"
                    "\"c\":{\"type\":\"integer\",\"default\":\"x\"}},\"required\":[\"b\"]}";
    ck_assert_str_eq(apply(s, "{\"b\":\"x\"}", 0), "{\"a\":3,\"b\":\"x\"}");
    ck_assert_str_eq(apply(s, "{\"b\":\"x\",\"a\":null}", 0), "{\"a\":3,\"b\":\"x\"}");
    ck_assert_str_eq(apply(s, "{\"b\":null}", 0), "missing_parameter");
    ck_assert_str_eq(apply(s, "{\"b\":\"x\",\"z\":1}", 0), "unknown_parameter");
    ck_assert_ptr_nonnull(strstr(warnings, "parameters.c/default"));
}
END_TEST

START_TEST(an_impossible_schema_is_refused_with_tool_and_path)
{
    static const struct {
        const char *schema, *place;
        bezel_status status;
    } rows[] = {
        {"{\"type\":\"integer\",\"minimum\":5,\"maximum\":1}", "tool.parameters.x", BEZEL_ERR_RANGE},
        {"{\"type\":\"integer\",\"exclusiveMinimum\":3,\"exclusiveMaximum\":4}", "tool.parameters.x", BEZEL_ERR_RANGE},
        {"{\"type\":\"string\",\"minLength\":5,\"maxLength\":1}", "tool.parameters.x", BEZEL_ERR_RANGE},
        {"{\"type\":\"string\",\"minLength\":-1}", "tool.parameters.x", BEZEL_ERR_RANGE},
        {"{\"type\":\"array\",\"items\":{\"type\":\"integer\",\"minimum\":2,\"maximum\":1}}", "tool.parameters.x.items", BEZEL_ERR_RANGE},
        {"{\"enum\":[]}", "tool.parameters.x", BEZEL_ERR_RANGE},
        {"{\"type\":\"array\",\"items\":{\"enum\":[\"a\",\"b\",\"a\"]},\"uniqueItems\":true,\"minItems\":3}", "tool.parameters.x",
         BEZEL_ERR_RANGE},
        {"{\"items\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/few\"},\"uniqueItems\":true,\"minItems\":4}}",
         "tool.parameters.x.items", BEZEL_ERR_RANGE},
        {"{\"type\":\"array\",\"items\":{\"type\":\"boolean\"},\"uniqueItems\":true,\"minItems\":3}", "tool.parameters.x",
         BEZEL_ERR_RANGE},
        {"{\"type\":\"array\",\"items\":{\"type\":\"number\",\"minimum\":0,\"maximum\":1,\"multipleOf\":0.25},\"uniqueItems\":true,"
         "\"minItems\":6}", "tool.parameters.x", BEZEL_ERR_RANGE},
        {"{\"enum\":3}", "tool.parameters.x", BEZEL_ERR_FORMAT},
        {"{\"minimum\":\"a\"}", "tool.parameters.x", BEZEL_ERR_FORMAT},
        {"3", "tool.parameters.x", BEZEL_ERR_FORMAT},
        {"{\"$ref\":\"http://example.com/x\"}", "tool.parameters.x", BEZEL_ERR_UNSUPPORTED},
        {"{\"$ref\":\"#/properties/x\"}", "tool.parameters.x", BEZEL_ERR_UNSUPPORTED},
        {"{\"$ref\":\"#/$defs/none\"}", "tool.parameters.x", BEZEL_ERR_MISSING},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[512];
        bz_schema *schema = NULL;
        bezel_error err = BEZEL_ERROR_INIT;
        snprintf(text, sizeof text, "{\"type\":\"object\",\"properties\":{\"x\":%s},"
                                      "\"$defs\":{\"few\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":3}}}", rows[i].schema);
        ck_assert_msg(compile(&schema, text, &err) == rows[i].status, "%s: %d %s", text, err.status, err.text);
        ck_assert_str_eq(err.place, rows[i].place);
        ck_assert_ptr_nonnull(strstr(err.text, "tool"));
        ck_assert_ptr_null(schema);
    }
}
END_TEST

START_TEST(a_list_of_as_many_different_items_as_there_are_is_taken)
{
    static const char *const schemas[] = {
        "{\"items\":{\"enum\":[\"a\",\"b\",\"a\"]},\"uniqueItems\":true,\"minItems\":2}",
        "{\"items\":{\"type\":\"boolean\",\"nullable\":true},\"uniqueItems\":true,\"minItems\":3}",
        "{\"items\":{\"type\":\"number\",\"minimum\":0,\"maximum\":1,\"multipleOf\":0.25},\"uniqueItems\":true,\"minItems\":5}",
        "{\"items\":{\"type\":\"number\",\"minimum\":0,\"maximum\":1},\"uniqueItems\":true,\"minItems\":100}",
        "{\"items\":{\"type\":\"integer\"},\"uniqueItems\":true,\"minItems\":100}",
        "{\"uniqueItems\":true,\"minItems\":100}"};
    for (size_t i = 0; i < sizeof schemas / sizeof *schemas; i++) {
        char text[256];
        snprintf(text, sizeof text, "{\"type\":\"object\",\"properties\":{\"x\":%s}}", schemas[i]);
        bz_schema_free(made(text));
    }
}
END_TEST

START_TEST(an_unknown_keyword_is_a_warning_with_its_path)
{
    bz_schema *s = made("{\"type\":\"object\",\"properties\":{\"x\":{\"type\":\"string\",\"contentEncoding\":\"base64\"},"
                        "\"y\":{\"type\":\"strange\"},\"z\":{\"type\":\"string\",\"pattern\":\"(\"}},\"required\":[\"q\"]}");
    ck_assert_ptr_nonnull(strstr(warnings, "parameters.x/contentEncoding: "));
    ck_assert_ptr_nonnull(strstr(warnings, "parameters.y/type: "));
    ck_assert_ptr_nonnull(strstr(warnings, "parameters.z/pattern: "));
    ck_assert_ptr_nonnull(strstr(warnings, "parameters/required: "));
    bz_schema_free(s);
}
END_TEST

/* The value is shown in the sentence for the model: 34 bytes and a character of 4 end where the room for it ends. */
START_TEST(a_wrong_value_of_any_characters_is_cut_where_it_is_shown)
{
    char value[128];
    for (int n = 30; n < 40; n++) {
        snprintf(value, sizeof value, "\"%.*s\xF0\x9F\x98\x80\xF0\x9F\x98\x80\xF0\x9F\x98\x80\"", n,
                 "0123456789012345678901234567890123456789");
        ck_assert_str_eq(apply_x("{\"type\":\"integer\"}", value, 0), "bad_type");
    }
}
END_TEST

START_TEST(the_parts_of_an_allof_are_one_object)
{
    static const char schema[] = "{\"allOf\":[{\"$ref\":\"#/$defs/place\"},{\"properties\":{\"days\":{\"type\":\"integer\"}}},"
                                 "{\"properties\":{\"city\":{\"type\":\"integer\"}},\"required\":[\"city\"]}],"
                                 "\"type\":\"object\",\"properties\":{\"unit\":{\"enum\":[\"c\",\"f\"]}},\"required\":[\"days\"],"
                                 "\"$defs\":{\"place\":{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"}},"
                                 "\"additionalProperties\":false}}}";
    ck_assert_str_eq(apply(schema, "{\"days\":2,\"city\":\"Oslo\"}", 0), "{\"city\":\"Oslo\",\"days\":2}");
    ck_assert_str_eq(apply(schema, "{\"city\":\"Oslo\"}", 0), "missing_parameter");
    ck_assert_str_eq(apply(schema, "{\"days\":2}", 0), "missing_parameter");
    ck_assert_str_eq(apply(schema, "{\"days\":2,\"city\":\"Oslo\",\"unit\":\"k\"}", 0), "bad_enum");
    ck_assert_str_eq(apply(schema, "{\"days\":2,\"city\":\"Oslo\",\"more\":1}", 0), "unknown_parameter");
    ck_assert_ptr_nonnull(strstr(warnings, "parameters.city/allOf: no value meets all of it"));
    ck_assert_str_eq(apply_x("{\"allOf\":[{\"type\":\"integer\"},{\"minimum\":3}]}", "2", 0), "out_of_range");
    ck_assert_str_eq(apply("{\"properties\":{\"a\":{\"type\":\"integer\"}},\"allOf\":[{\"$ref\":\"#\"}]}", "{\"a\":1}", 0), "{\"a\":1}");
}
END_TEST

START_TEST(a_recursive_schema_is_followed_and_bounded)
{
    const char *s = "{\"type\":\"object\",\"properties\":{\"x\":{\"$ref\":\"#/$defs/n\"}},\"$defs\":{\"n\":{\"type\":\"object\","
                    "\"properties\":{\"v\":{\"type\":\"integer\"},\"next\":{\"$ref\":\"#/$defs/n\"}}}}}";
    ck_assert_str_eq(apply(s, "{\"x\":{\"v\":1,\"next\":{\"v\":2}}}", 0), "{\"x\":{\"v\":1,\"next\":{\"v\":2}}}");
    ck_assert_str_eq(apply(s, "{\"x\":{\"next\":{\"v\":\"a\"}}}", 0), "bad_type");
    const char *loop = "{\"type\":\"object\",\"properties\":{\"x\":{\"$ref\":\"#/$defs/n\"}},\"$defs\":{\"n\":{\"anyOf\":["
                       "{\"$ref\":\"#/$defs/n\"},{\"$ref\":\"#/$defs/n\"}]}}}";
    ck_assert_str_eq(apply(loop, "{\"x\":1}", 0), "too_deep");
}
END_TEST

START_TEST(a_pattern_that_backtracks_stops_at_its_limit)
{
    ck_assert_str_eq(apply_x("{\"type\":\"string\",\"pattern\":\"^(a+)+$\"}", "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab\"", 0),
                     "pattern");
    ck_assert_str_eq(apply_x("{\"type\":\"string\",\"pattern\":\"(((x{999}){999}){999})\"}", "\"x\"", 0), "{\"x\":\"x\"}");
    ck_assert_ptr_nonnull(strstr(warnings, "pattern"));
}
END_TEST

START_TEST(depth_and_count_of_a_schema_are_limited)
{
    ck_assert_str_eq(apply_x("{\"type\":\"array\",\"items\":{\"type\":\"array\"}}", "[[1]]", 0), "{\"x\":[[1]]}");
    bezel_value *deep = json("{}");
    for (int i = 0; i < 30; i++) { /* a tree of 64 levels is a schema of 32: one value level is a keyword */
        bezel_value *outer = bezel_tree_map(tree);
        bezel_value_set(tree, outer, "items", deep);
        deep = outer;
    }
    bz_schema_source source = {deep, "tool", 0, NULL, NULL};
    bz_schema *schema = NULL;
    ck_assert_int_eq(bz_schema_new(&schema, engine, &source, NULL), BEZEL_OK);
    bz_schema_free(schema);
    bezel_value *wide = bezel_tree_map(tree), *map = bezel_tree_map(tree);
    for (int i = 0; i < 5000; i++) {
        char key[16];
        snprintf(key, sizeof key, "p%d", i);
        bezel_value_set(tree, map, key, bezel_tree_map(tree));
    }
    bezel_value_set(tree, wide, "properties", map);
    source.value = wide;
    ck_assert_int_eq(bz_schema_new(&schema, engine, &source, NULL), BEZEL_ERR_LIMIT);
}
END_TEST

START_TEST(an_enum_beside_an_array_belongs_to_its_items)
{
    ck_assert_str_eq(apply_x("{\"type\":\"array\",\"items\":{\"type\":\"string\"},\"enum\":[\"a\",\"b\"]}", "[\"a\",\"c\"]", 0), "bad_enum");
    ck_assert_str_eq(apply_x("{\"type\":\"array\",\"items\":{\"type\":\"string\"},\"enum\":[\"a\",\"b\"]}", "[\"b\"]", 0), "{\"x\":[\"b\"]}");
}
END_TEST

START_TEST(what_is_valid_is_said_in_words)
{
    static const struct {
        const char *schema, *words;
    } rows[] = {
        {"{\"type\":\"integer\",\"minimum\":1,\"maximum\":7}", "an integer from 1 to 7"},
        {"{\"type\":\"number\",\"exclusiveMinimum\":0,\"maximum\":1}", "a number above 0 and up to 1"},
        {"{\"type\":\"string\",\"enum\":[\"a\",\"b\"]}", "one of \"a\", \"b\""},
        {"{\"type\":\"boolean\"}", "true or false"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char words[128], text[256];
        snprintf(text, sizeof text, "{\"properties\":{\"x\":%s}}", rows[i].schema);
        bz_schema *s = made(text);
        bz_schema_describe(words, sizeof words, s, bz_schema_property_at(s, 0)->node);
        ck_assert_str_eq(words, rows[i].words);
        bz_schema_describe(words, 12, s, bz_schema_property_at(s, 0)->node);
        ck_assert_uint_le(strlen(words), 11);
        bz_schema_free(s);
    }
}
END_TEST

START_TEST(lexemes_of_numbers_are_read)
{
    static const struct {
        const char *text;
        int form;
        double value;
    } rows[] = {{"3", 1, 3}, {"-2.5", 2, -2.5}, {"1e3", 2, 1000}, {"0x10", 1, 16}, {"-0x10", 1, -16}, {"1_000", 1, 1000},
                {"+7", 1, 7}, {".5", 2, 0.5}, {"5.", 2, 5}, {"9223372036854775808", 3, 0}, {"1e999", 3, 0}, {"", 0, 0},
                {"-", 0, 0}, {"1.2.3", 0, 0}, {"1e", 0, 0}, {"_1", 0, 0}, {"1_", 0, 0}, {"inf", 0, 0}, {"0x", 0, 0}, {"--1", 0, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int64_t integer = 0;
        double number = 0;
        int form = bz_lexeme_number(&integer, &number, rows[i].text, strlen(rows[i].text));
        ck_assert_msg(form == rows[i].form, "%s: %d", rows[i].text, form);
        if (form == 1 || form == 2)
            ck_assert_msg(fabs(number - rows[i].value) < 1e-12, "%s", rows[i].text);
    }
}
END_TEST

static bezel_status compile_and_apply(test_world *tw, void *ctx)
{
    bezel_engine *e = NULL;
    bezel_tree *t = NULL;
    bezel_value *value = NULL, *result = NULL;
    bz_schema *schema = NULL;
    bz_arena a;
    bezel_status status = test_engine_try(&e, tw, 1, BEZEL_ISA_SCALAR, NULL);
    if (status != BEZEL_OK)
        return status;
    bz_arena_init(&a, bezel_engine_world(e), 0);
    status = bezel_tree_new(&t, e, NULL);
    if (status == BEZEL_OK)
        status = bezel_json_read(&value, t, ctx, strlen(ctx), NULL);
    bz_schema_source source = {value, "tool", 1, NULL, NULL};
    if (status == BEZEL_OK)
        status = bz_schema_new(&schema, e, &source, NULL);
    if (status == BEZEL_OK) {
        bz_schema_check check;
        memset(&check, 0, sizeof check);
        check.schema = schema;
        check.tree = t;
        bezel_value *map = bezel_tree_map(t);
        bezel_value_set(t, map, "a", bezel_tree_text(t, "abc", 3));
        bezel_value_set(t, map, "b", bezel_tree_integer(t, 3));
        status = bezel_tree_status(t);
        if (status == BEZEL_OK)
            status = bz_schema_apply_value(&result, &check, 0, &a, map);
    }
    bz_schema_free(schema);
    bezel_tree_free(t);
    bz_arena_free(&a);
    bezel_engine_free(e);
    return status;
}

START_TEST(failing_memory_is_an_error_without_leak)
{
    char s[] = "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\",\"pattern\":\"^[a-c]+$\",\"default\":\"a\"},"
               "\"b\":{\"anyOf\":[{\"enum\":[1,2,3]},{\"type\":\"array\",\"items\":{\"$ref\":\"#/properties/a\"}}]},"
               "\"c\":{\"allOf\":[{\"properties\":{\"d\":{\"type\":\"integer\"}}},{\"properties\":{\"e\":{\"type\":\"array\"}}}]}}}";
    test_world tw;
    test_world_init(&tw);
    test_world_sweep(&tw, compile_and_apply, s, BEZEL_OK);
}
END_TEST

Suite *schema_suite(void)
{
    Suite *suite = suite_create("schema");
    TCase *t = tcase_create("schema");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, typed_values_are_checked_without_conversion);
    tcase_add_test(t, what_a_model_wrote_is_converted_by_the_schema);
    tcase_add_test(t, ranges_lengths_patterns_and_members_are_enforced);
    tcase_add_test(t, python_names_of_types_are_known);
    tcase_add_test(t, defaults_are_filled_in_and_null_is_absent);
    tcase_add_test(t, an_impossible_schema_is_refused_with_tool_and_path);
    tcase_add_test(t, a_list_of_as_many_different_items_as_there_are_is_taken);
    tcase_add_test(t, an_unknown_keyword_is_a_warning_with_its_path);
    tcase_add_test(t, a_wrong_value_of_any_characters_is_cut_where_it_is_shown);
    tcase_add_test(t, the_parts_of_an_allof_are_one_object);
    tcase_add_test(t, a_recursive_schema_is_followed_and_bounded);
    tcase_add_test(t, a_pattern_that_backtracks_stops_at_its_limit);
    tcase_add_test(t, depth_and_count_of_a_schema_are_limited);
    tcase_add_test(t, an_enum_beside_an_array_belongs_to_its_items);
    tcase_add_test(t, what_is_valid_is_said_in_words);
    tcase_add_test(t, lexemes_of_numbers_are_read);
    tcase_add_test(t, failing_memory_is_an_error_without_leak);
    suite_add_tcase(suite, t);
    return suite;
}
