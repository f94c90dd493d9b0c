/* SPDX-License-Identifier: MIT */
/* JSON text to values and back. */
#include "base/alloc.h"
#include "base/json_scan.h"
#include "base/rng.h"
#include "base/utf8.h"
#include "base/value_impl.h"
#include "support/test_world.h"

#include <cjson/cJSON.h>
#include <check.h>
#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static test_world tw;
static bezel_tree *tree;
static bezel_error err;

static void json_setup(void)
{
    test_world_init(&tw);
    err = (bezel_error)BEZEL_ERROR_INIT;
    ck_assert_int_eq(bz_tree_new(&tree, &tw.world, NULL), BEZEL_OK);
}

static void json_teardown(void)
{
    bezel_tree_free(tree);
    ck_assert(test_world_is_clean(&tw));
}

static bezel_value *json_ok(const char *text)
{
    bezel_value *value = NULL;
    bezel_status status = bezel_json_read(&value, tree, text, strlen(text), &err);
    ck_assert_msg(status == BEZEL_OK, "%s: %s", text, err.text);
    return value;
}

/* Text of a value, freed by the next call. */
static const char *json_text(const bezel_value *value, uint32_t indent)
{
    static char text[8192];
    bz_strbuf b;
    bz_strbuf_init(&b, &tw.world, 0);
    ck_assert_int_eq(bz_json_append(&b, value, indent, &err), BEZEL_OK);
    ck_assert_uint_lt(b.size, sizeof text);
    memcpy(text, bz_strbuf_cstr(&b), b.size + 1);
    bz_strbuf_free(&b);
    return text;
}

/* --- Reading ------------------------------------------------------------------------------ */

START_TEST(every_type_is_read_in_its_place)
{
    const bezel_value *v = json_ok(" { \"a\" : [ 1 , 2.5 , -3e2 , true , false , null , \"x\" , { } , [ ] ] ,\"b\":{\"c\":\"d\"} }\n");
    const bezel_value *a = bezel_value_get(v, "a");
    static const uint32_t types[] = {BEZEL_INTEGER, BEZEL_NUMBER, BEZEL_NUMBER, BEZEL_BOOL, BEZEL_BOOL, BEZEL_NULL,
                                     BEZEL_TEXT, BEZEL_MAP, BEZEL_LIST};
    ck_assert_uint_eq(bezel_value_count(a), 9);
    for (size_t i = 0; i < 9; i++)
        ck_assert_uint_eq(bezel_value_type(bezel_value_at(a, i)), types[i]);
    ck_assert_int_eq(bezel_value_integer(bezel_value_at(a, 0)), 1);
    ck_assert_double_eq(bezel_value_number(bezel_value_at(a, 2)), -300.0);
    ck_assert_int_eq(bezel_value_bool(bezel_value_at(a, 3)), 1);
    ck_assert_str_eq(bezel_value_text(bezel_value_get(bezel_value_get(v, "b"), "c"), NULL), "d");
    ck_assert_str_eq(bezel_value_text(json_ok("\"top\""), NULL), "top");
}
END_TEST

START_TEST(a_number_with_a_point_stays_a_number)
{
    ck_assert_uint_eq(bezel_value_type(json_ok("3")), BEZEL_INTEGER);
    ck_assert_uint_eq(bezel_value_type(json_ok("3.0")), BEZEL_NUMBER);
    ck_assert_uint_eq(bezel_value_type(json_ok("1e2")), BEZEL_NUMBER);
    const bezel_value *minus_zero = json_ok("-0");
    ck_assert_uint_eq(bezel_value_type(minus_zero), BEZEL_NUMBER);
    ck_assert(signbit(bezel_value_number(minus_zero)));
    ck_assert_int_eq(bezel_value_integer(json_ok("9007199254740992")), INT64_C(9007199254740992));
    ck_assert_int_eq(bezel_value_integer(json_ok("-9007199254740992")), INT64_C(-9007199254740992));
    ck_assert_double_eq(bezel_value_number(json_ok("0.1")), 0.1);
    ck_assert_double_eq(bezel_value_number(json_ok("1.7976931348623157e308")), 1.7976931348623157e308);
}
END_TEST

START_TEST(escapes_and_surrogate_pairs_become_utf8)
{
    ck_assert_str_eq(bezel_value_text(json_ok("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\u65E5\\ud83d\\uDE00\""), NULL),
                     "\"\\/\b\f\n\r\t\xC3\xA9\xE6\x97\xA5\xF0\x9F\x98\x80");
    const bezel_value *v = json_ok("{\"\\u0061\\n\":1}");
    ck_assert_str_eq(bezel_value_key(v, 0, NULL), "a\n");
    ck_assert_str_eq(bezel_value_text(json_ok("\"\x7F\xC3\xA9\""), NULL), "\x7F\xC3\xA9");
}
END_TEST

typedef struct json_bad {
    const char *text;
    bezel_status status;
    int64_t offset;
} json_bad;

static const json_bad json_bads[] = {
    {"", BEZEL_ERR_TRUNCATED, 0},
    {"  ", BEZEL_ERR_TRUNCATED, 2},
    {"[", BEZEL_ERR_TRUNCATED, 1},
    {"[1", BEZEL_ERR_TRUNCATED, 2},
    {"[1,", BEZEL_ERR_TRUNCATED, 3},
    {"{\"a\"", BEZEL_ERR_TRUNCATED, 4},
    {"{\"a\":", BEZEL_ERR_TRUNCATED, 5},
    {"\"abc", BEZEL_ERR_TRUNCATED, 4},
    {"\"abc\\", BEZEL_ERR_TRUNCATED, 5},
    {"\"\\u00", BEZEL_ERR_TRUNCATED, 5},
    {"tru", BEZEL_ERR_TRUNCATED, 3},
    {"-", BEZEL_ERR_TRUNCATED, 1},
    {"1.", BEZEL_ERR_TRUNCATED, 2},
    {"1e", BEZEL_ERR_TRUNCATED, 2},
    {"[1,]", BEZEL_ERR_FORMAT, 3},
    {"{\"a\":1,}", BEZEL_ERR_FORMAT, 7},
    {"{a:1}", BEZEL_ERR_FORMAT, 1},
    {"{'a':1}", BEZEL_ERR_FORMAT, 1},
    {"{\"a\" 1}", BEZEL_ERR_FORMAT, 5},
    {"[1 2]", BEZEL_ERR_FORMAT, 3},
    {"[1}", BEZEL_ERR_FORMAT, 2},
    {"{\"a\":1]", BEZEL_ERR_FORMAT, 6},
    {"]", BEZEL_ERR_FORMAT, 0},
    {"1 2", BEZEL_ERR_FORMAT, 2},
    {"{}x", BEZEL_ERR_FORMAT, 2},
    {"True", BEZEL_ERR_FORMAT, 0},
    {"nul!", BEZEL_ERR_FORMAT, 0},
    {"NaN", BEZEL_ERR_FORMAT, 0},
    {"Infinity", BEZEL_ERR_FORMAT, 0},
    {"+1", BEZEL_ERR_FORMAT, 0},
    {".5", BEZEL_ERR_FORMAT, 0},
    {"01", BEZEL_ERR_FORMAT, 1},
    {"-01", BEZEL_ERR_FORMAT, 2},
    {"1.e5", BEZEL_ERR_FORMAT, 2},
    {"0x10", BEZEL_ERR_FORMAT, 1},
    {"[/*c*/1]", BEZEL_ERR_FORMAT, 1},
    {"\v1", BEZEL_ERR_FORMAT, 0},
    {"\xEF\xBB\xBF{}", BEZEL_ERR_FORMAT, 0},
    {"\"a\nb\"", BEZEL_ERR_FORMAT, 2},
    {"\"\\x41\"", BEZEL_ERR_FORMAT, 2},
    {"\"\\u12G4\"", BEZEL_ERR_FORMAT, 1},
    {"\"\\u0000\"", BEZEL_ERR_FORMAT, 1},
    {"{\"a\\u0000b\":1}", BEZEL_ERR_FORMAT, 3},
    {"\"\\ud83d\"", BEZEL_ERR_FORMAT, 1},
    {"\"\\ud83dx\"", BEZEL_ERR_FORMAT, 1},
    {"\"\\ud83d\\u0041\"", BEZEL_ERR_FORMAT, 1},
    {"\"\\ude00\"", BEZEL_ERR_FORMAT, 1},
    {"\"a\x80\"", BEZEL_ERR_FORMAT, 2},
    {"\"\xED\xA0\x80\"", BEZEL_ERR_FORMAT, 1},
    {"\"\xC3\"", BEZEL_ERR_FORMAT, 1},
    {"[9007199254740993]", BEZEL_ERR_RANGE, 1},
    {"-9007199254740993", BEZEL_ERR_RANGE, 0},
    {"99999999999999999999999999", BEZEL_ERR_RANGE, 0},
    {"[0, 1e309]", BEZEL_ERR_RANGE, 4},
    {"-1e999999", BEZEL_ERR_RANGE, 0},
    {"{\"a\":1,\"b\":2,\"a\":3}", BEZEL_ERR_DUPLICATE, 13},
    {"{\"a\":1, \"\\u0061\":3}", BEZEL_ERR_DUPLICATE, 8},
    {"{\"x\":{\"a\":1,\"a\":[]}}", BEZEL_ERR_DUPLICATE, 12},
    {"0.00000000000000000000000000000000000000000000000000000000000000001", BEZEL_ERR_LIMIT, 0},
};

START_TEST(what_is_not_json_is_refused_with_status_and_byte)
{
    for (size_t i = 0; i < sizeof json_bads / sizeof json_bads[0]; i++) {
        const json_bad *bad = &json_bads[i];
        bezel_value *value = NULL;
        bezel_status status = bezel_json_read(&value, tree, bad->text, strlen(bad->text), &err);
        ck_assert_msg(status == bad->status && err.offset == bad->offset, "%s: %s at %lld, expected %s at %lld (%s)",
                      bad->text, bezel_status_name(status), (long long)err.offset, bezel_status_name(bad->status),
                      (long long)bad->offset, err.text);
        ck_assert_ptr_null(value);
        ck_assert_int_eq(bezel_tree_status(tree), BEZEL_OK);
    }
    ck_assert_int_eq(bezel_value_integer(json_ok("7")), 7);
}
END_TEST

START_TEST(a_raw_nul_is_refused_wherever_it_stands)
{
    static const char text[] = "{\"ab\":[1,true]}";
    for (size_t i = 0; i < sizeof text - 1; i++) {
        char copy[sizeof text];
        bezel_value *value = NULL;
        memcpy(copy, text, sizeof text);
        copy[i] = '\0';
        ck_assert_int_eq(bezel_json_read(&value, tree, copy, sizeof text - 1, &err), BEZEL_ERR_FORMAT);
    }
}
END_TEST

START_TEST(depth_64_is_read_and_65_is_not)
{
    for (size_t depth = 60; depth <= 70; depth++) {
        char text[200];
        bezel_value *value = NULL;
        for (size_t i = 0; i < depth; i++) {
            text[i] = '[';
            text[depth + i] = ']';
        }
        bezel_status status = bezel_json_read(&value, tree, text, 2 * depth, &err);
        ck_assert_int_eq(status, depth <= 64 ? BEZEL_OK : BEZEL_ERR_LIMIT);
    }
    ck_assert_int_eq(err.offset, 64);
    char *deep = malloc(1000000);
    memset(deep, '[', 1000000);
    bezel_value *value = NULL;
    ck_assert_int_eq(bezel_json_read(&value, tree, deep, 1000000, &err), BEZEL_ERR_LIMIT);
    free(deep);
}
END_TEST

START_TEST(text_over_the_limit_is_refused_before_it_is_looked_at)
{
    bezel_value *value = NULL;
    ck_assert_int_eq(bezel_json_read(&value, tree, "", ((size_t)16 << 20) + 1, &err), BEZEL_ERR_LIMIT);
    ck_assert_int_eq(bz_json_read(&value, tree, "[1]", 3, 2, &err), BEZEL_ERR_LIMIT);
    ck_assert_int_eq(bz_json_read(&value, tree, "[1]", 3, 3, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_json_read(NULL, tree, "1", 1, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(bezel_json_read(&value, NULL, "1", 1, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(bezel_json_read(&value, tree, NULL, 0, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(bezel_json_read(&value, tree, "[7]", SIZE_MAX, &err), BEZEL_OK);
}
END_TEST

START_TEST(every_cut_of_a_valid_text_is_truncated_or_valid)
{
    static const char text[] = "{\"key\": [-1.5e+3, \"\\ud83d\\ude00 caf\xC3\xA9\", true, null, {\"x\": {}}], \"n\": 10}";
    for (size_t n = 0; n < sizeof text - 1; n++) {
        bezel_value *value = NULL;
        bezel_status status = bezel_json_read(&value, tree, text, n, &err);
        /* A cut inside a character or a pair is told as such: its bytes are there, but wrong. */
        if (status != BEZEL_ERR_TRUNCATED && status != BEZEL_ERR_FORMAT)
            ck_abort_msg("cut at %zu: %s", n, bezel_status_name(status));
    }
    json_ok(text);
}
END_TEST

/* cJSON is lenient where the check is strict, never the other way round; else a broken text would be told as "memory". */
START_TEST(random_changes_never_get_past_the_check_into_a_failing_parser)
{
    static const char seed[] = "{\"a\":[1,-2.5e-3,\"\\u00e9\\n\xE6\x97\xA5\",true,false,null],\"b\":{\"c\":[{},[]]},\"d\":0}";
    static const char alphabet[] = "{}[]\",:\\u0d8e9-+.truefalsn \n\x80\xC3\xFF";
    bz_rng rng;
    size_t n_good = 0;
    bz_rng_seed(&rng, 5);
    for (int round = 0; round < 20000; round++) {
        char text[sizeof seed];
        bezel_value *value = NULL;
        size_t n = sizeof seed - 1;
        memcpy(text, seed, sizeof seed);
        for (uint64_t k = bz_rng_next(&rng) % 4; k > 0; k--)
            text[bz_rng_next(&rng) % n] = alphabet[bz_rng_next(&rng) % (sizeof alphabet - 1)];
        bezel_status status = bezel_json_read(&value, tree, text, n, &err);
        n_good += status == BEZEL_OK;
        if (status == BEZEL_ERR_MEMORY || status == BEZEL_ERR_INTERNAL || status > 0)
            ck_abort_msg("%s: %s", text, err.text);
        if (status == BEZEL_OK) {
            bezel_value *again = json_ok(json_text(value, (uint32_t)(round % 3)));
            ck_assert_int_eq(bezel_value_equal(value, again), 1);
        } else {
            ck_assert(err.offset >= 0 && err.offset <= (int64_t)n);
        }
        if (round % 500 == 0) {
            bezel_tree_free(tree);
            ck_assert_int_eq(bz_tree_new(&tree, &tw.world, NULL), BEZEL_OK);
        }
    }
    ck_assert_uint_gt(n_good, 1000);
}
END_TEST

START_TEST(many_keys_are_read_in_time_and_the_last_duplicate_is_found)
{
    bz_strbuf b;
    bezel_value *value = NULL;
    bz_strbuf_init(&b, &tw.world, 0);
    bz_strbuf_char(&b, '{');
    for (int i = 0; i < 50000; i++)
        bz_strbuf_format(&b, "\"k%d\":%d,", i, i);
    bz_strbuf_text(&b, "\"k77\":0}");
    ck_assert_int_eq(bezel_json_read(&value, tree, b.data, b.size, &err), BEZEL_ERR_DUPLICATE);
    ck_assert_int_eq(err.offset, (int64_t)b.size - 8);
    ck_assert_ptr_nonnull(strstr(err.text, "k77"));
    bz_strbuf_cut(&b, b.size - 9);
    bz_strbuf_char(&b, '}');
    ck_assert_int_eq(bezel_json_read(&value, tree, b.data, b.size, &err), BEZEL_OK);
    ck_assert_uint_eq(bezel_value_count(value), 50000);
    bz_strbuf_free(&b);
}
END_TEST

START_TEST(the_walk_over_tokens_finds_strings_numbers_and_words)
{
    static const char text[] = " {\"a\\\"]\" : [ 12, true ,\"\"],\"b\":-1e5}";
    static const char *const expected[] = {"\"a\\\"]\"", "12", "true", "\"\"", "\"b\"", "-1e5"};
    bz_json_token token;
    size_t at = 0;
    for (size_t i = 0; i < 6; i++) {
        ck_assert_int_eq(bz_json_next(&token, text, sizeof text - 1, &at), 1);
        ck_assert_uint_eq(token.size, strlen(expected[i]));
        ck_assert_mem_eq(text + token.offset, expected[i], token.size);
    }
    ck_assert_int_eq(bz_json_next(&token, text, sizeof text - 1, &at), 0);
}
END_TEST

/* --- Writing ------------------------------------------------------------------------------ */

START_TEST(values_are_written_on_one_line_or_indented)
{
    const bezel_value *v = json_ok("{\"a\":[1,2.50,true,null],\"b\":{},\"c\":[],\"d\":{\"e\":\"f\"}}");
    ck_assert_str_eq(json_text(v, 0), "{\"a\":[1,2.5,true,null],\"b\":{},\"c\":[],\"d\":{\"e\":\"f\"}}");
    ck_assert_str_eq(json_text(v, 2), "{\n  \"a\": [\n    1,\n    2.5,\n    true,\n    null\n  ],\n  \"b\": {},\n  \"c\": [],\n"
                                      "  \"d\": {\n    \"e\": \"f\"\n  }\n}");
    ck_assert_str_eq(json_text(NULL, 0), "null");
}
END_TEST

START_TEST(integers_are_written_to_their_last_bit)
{
    bezel_value *list = bezel_tree_list(tree);
    bezel_value_append(tree, list, bezel_tree_integer(tree, INT64_MIN));
    bezel_value_append(tree, list, bezel_tree_integer(tree, INT64_MAX));
    bezel_value_append(tree, list, bezel_tree_number(tree, 3.0));
    bezel_value_append(tree, list, bezel_tree_number(tree, 1e300));
    ck_assert_str_eq(json_text(list, 0), "[-9223372036854775808,9223372036854775807,3,1e300]");
}
END_TEST

START_TEST(every_character_comes_back_through_its_escape)
{
    for (uint32_t cp = 1; cp < 0x30000; cp += cp < 0x100 ? 1 : 97) {
        char bytes[4];
        size_t n = bz_utf8_encode(bytes, cp);
        if (n == 0)
            continue;
        bezel_value *v = bezel_tree_text(tree, bytes, n);
        ck_assert_int_eq(bezel_value_equal(v, json_ok(json_text(v, 0))), 1);
    }
    ck_assert_str_eq(json_text(bezel_tree_text(tree, "\0\x01\x1F\b\t\n\v\f\r\"\\/\x7F", 13), 0),
                     "\"\\u0000\\u0001\\u001f\\b\\t\\n\\u000b\\f\\r\\\"\\\\/\x7F\"");
}
END_TEST

START_TEST(nan_and_infinity_cannot_be_written)
{
    bz_strbuf b;
    bezel_value *list = bezel_tree_list(tree);
    bezel_value_append(tree, list, bezel_tree_number(tree, (double)INFINITY));
    bz_strbuf_init(&b, &tw.world, 0);
    ck_assert_int_eq(bz_json_append(&b, list, 0, &err), BEZEL_ERR_NUMERIC);
    ck_assert_ptr_nonnull(strstr(err.text, "infinity"));
    ck_assert_int_eq(bz_json_append(&b, bezel_tree_number(tree, (double)NAN), 0, &err), BEZEL_ERR_NUMERIC);
    bz_strbuf_free(&b);
}
END_TEST

START_TEST(a_decimal_comma_of_the_host_changes_nothing)
{
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "C"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (setlocale(LC_ALL, names[i]) != NULL)
            ck_assert_str_eq(json_text(json_ok("[1.5,-0.25e-3]"), 0), "[1.5,-0.00025]");
    }
    setlocale(LC_ALL, "C");
}
END_TEST

START_TEST(errno_of_the_host_is_left_alone)
{
    errno = 12345;
    ck_assert_str_eq(json_text(json_ok("[1e-400,1e-310]"), 0), "[0,1e-310]");
    ck_assert_int_eq(errno, 12345);
}
END_TEST

static bezel_status json_try(test_world *world, void *ctx)
{
    static const char text[] = "{\"city\":\"Tokyo\",\"days\":[1,2,3,4,5,6,7,8,9,10,11,12],\"deep\":{\"a\":{\"b\":[[]]}}}";
    bezel_tree *t = NULL;
    bezel_value *value = NULL;
    bezel_error e = BEZEL_ERROR_INIT;
    bz_strbuf b;
    bezel_status status = bz_tree_new(&t, &world->world, &e);
    (void)ctx;
    bz_strbuf_init(&b, &world->world, 0);
    for (int i = 0; i < 40 && status == BEZEL_OK; i++) {
        status = bezel_json_read(&value, t, text, sizeof text - 1, &e);
        if (status == BEZEL_ERR_MEMORY) {
            /* The tree stays usable: the next try needs no new tree. */
            ck_assert_int_eq(bezel_tree_status(t), BEZEL_OK);
            ck_assert_int_eq(e.status, BEZEL_ERR_MEMORY);
        }
        if (status == BEZEL_OK)
            status = bz_json_append(&b, value, 0, &e);
        if (status == BEZEL_OK)
            status = b.status;
    }
    bz_strbuf_free(&b);
    bezel_tree_free(t);
    return status;
}

START_TEST(a_failing_allocation_is_told_and_leaks_nothing)
{
    ck_assert_int_gt(test_world_sweep(&tw, json_try, NULL, BEZEL_OK), 6);
}
END_TEST

static long cjson_calls, cjson_fail_at, cjson_blocks;

static void *cjson_malloc(size_t size)
{
    if (++cjson_calls == cjson_fail_at)
        return NULL;
    void *block = malloc(size);
    cjson_blocks += block != NULL;
    return block;
}

static void cjson_free(void *block)
{
    cjson_blocks -= block != NULL;
    free(block);
}

START_TEST(a_failing_allocation_of_cjson_is_told_and_leaks_nothing)
{
    static const char text[] = "{\"a\": [1, 2.5, null, true, \"x\\u00e4\", {\"deep\": [[], {}]}], \"b\": \"text\"}";
    cJSON_Hooks hooks = {cjson_malloc, cjson_free}, none = {0};
    long n = 1;
    cJSON_InitHooks(&hooks);
    for (;; n++) {
        bezel_value *value = NULL;
        cjson_calls = 0;
        cjson_fail_at = n;
        bezel_status status = bezel_json_read(&value, tree, text, sizeof text - 1, &err);
        ck_assert_int_eq(cjson_blocks, 0);
        if (cjson_calls < n) {
            ck_assert_int_eq(status, BEZEL_OK);
            break;
        }
        ck_assert_msg(status == BEZEL_ERR_MEMORY, "allocation %ld of cJSON failing gives %s", n, err.text);
        ck_assert_ptr_null(value);
    }
    cJSON_InitHooks(&none);
    ck_assert_int_gt(n, 15);
}

Suite *json_suite(void)
{
    Suite *s = suite_create("json");
    TCase *t = tcase_create("reading");
    tcase_add_checked_fixture(t, json_setup, json_teardown);
    tcase_add_test(t, every_type_is_read_in_its_place);
    tcase_add_test(t, a_number_with_a_point_stays_a_number);
    tcase_add_test(t, escapes_and_surrogate_pairs_become_utf8);
    tcase_add_test(t, what_is_not_json_is_refused_with_status_and_byte);
    tcase_add_test(t, a_raw_nul_is_refused_wherever_it_stands);
    tcase_add_test(t, depth_64_is_read_and_65_is_not);
    tcase_add_test(t, text_over_the_limit_is_refused_before_it_is_looked_at);
    tcase_add_test(t, every_cut_of_a_valid_text_is_truncated_or_valid);
    tcase_add_test(t, random_changes_never_get_past_the_check_into_a_failing_parser);
    tcase_add_test(t, many_keys_are_read_in_time_and_the_last_duplicate_is_found);
    tcase_add_test(t, the_walk_over_tokens_finds_strings_numbers_and_words);
    suite_add_tcase(s, t);
    t = tcase_create("writing");
    tcase_add_checked_fixture(t, json_setup, json_teardown);
    tcase_add_test(t, values_are_written_on_one_line_or_indented);
    tcase_add_test(t, integers_are_written_to_their_last_bit);
    tcase_add_test(t, every_character_comes_back_through_its_escape);
    tcase_add_test(t, nan_and_infinity_cannot_be_written);
    tcase_add_test(t, a_decimal_comma_of_the_host_changes_nothing);
    tcase_add_test(t, errno_of_the_host_is_left_alone);
    tcase_add_test(t, a_failing_allocation_is_told_and_leaks_nothing);
    tcase_add_test(t, a_failing_allocation_of_cjson_is_told_and_leaks_nothing);
    suite_add_tcase(s, t);
    return s;
}
