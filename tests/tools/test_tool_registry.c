/* SPDX-License-Identifier: MIT */
/* Toolsets: names, lists, warnings, and the names a model may use for them. */
#include <bezel/tools.h>

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "support/test_engine.h"
#include "tool_schema.h"

Suite *tool_registry_suite(void);

static bezel_engine *engine;
static bezel_toolset *tools;
static int freed;

static void setup(void)
{
    engine = test_engine_new(NULL, 1, BEZEL_ISA_SCALAR);
    ck_assert_int_eq(bezel_toolset_new(&tools, engine, NULL), BEZEL_OK);
    freed = 0;
}

static void teardown(void)
{
    bezel_toolset_free(tools);
    bezel_engine_free(engine);
}

static void count_free(void *ud)
{
    ++*(int *)ud;
}

static bezel_status add(const char *name, const char *json, bezel_error *err)
{
    bezel_tool tool = BEZEL_TOOL_INIT;
    tool.name = name;
    tool.parameters_json = json;
    tool.ud = &freed;
    tool.free_ud = count_free;
    return bezel_toolset_add(tools, &tool, err);
}

START_TEST(a_tool_is_copied_and_its_data_freed_with_the_set)
{
    char name[] = "one";
    ck_assert_int_eq(add(name, NULL, NULL), BEZEL_OK);
    name[0] = 'X';
    ck_assert_uint_eq(bezel_toolset_count(tools), 1);
    ck_assert_str_eq(bezel_toolset_name(tools, 0), "one");
    ck_assert_ptr_null(bezel_toolset_name(tools, 1));
    bezel_toolset_free(tools);
    ck_assert_int_eq(freed, 1);
    ck_assert_int_eq(bezel_toolset_new(&tools, engine, NULL), BEZEL_OK);
}
END_TEST

START_TEST(a_refused_tool_leaves_the_set_and_its_data_alone)
{
    static const struct {
        const char *name, *json;
        bezel_status status;
    } rows[] = {
        {"one", NULL, BEZEL_ERR_DUPLICATE},
        {"", NULL, BEZEL_ERR_RANGE},
        {NULL, NULL, BEZEL_ERR_RANGE},
        {"1x", NULL, BEZEL_ERR_RANGE},
        {"a b", NULL, BEZEL_ERR_RANGE},
        {"a\n", NULL, BEZEL_ERR_RANGE},
        {"two", "{", BEZEL_ERR_FORMAT},
        {"two", "[1]", BEZEL_ERR_FORMAT},
        {"two", "{\"type\":\"string\"}", BEZEL_ERR_FORMAT},
        {"two", "{\"properties\":{\"x\":{\"type\":\"integer\",\"minimum\":2,\"maximum\":1}}}", BEZEL_ERR_RANGE},
    };
    ck_assert_int_eq(add("one", NULL, NULL), BEZEL_OK);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        bezel_error err = BEZEL_ERROR_INIT;
        ck_assert_msg(add(rows[i].name, rows[i].json, &err) == rows[i].status, "%zu: %s", i, err.text);
        ck_assert_uint_eq(bezel_toolset_count(tools), 1);
        ck_assert_int_eq(freed, 0);
    }
    char longest[66];
    memset(longest, 'a', 65);
    longest[65] = '\0';
    ck_assert_int_eq(add(longest, NULL, NULL), BEZEL_ERR_RANGE);
    longest[64] = '\0';
    ck_assert_int_eq(add(longest, NULL, NULL), BEZEL_OK);
}
END_TEST

START_TEST(an_odd_keyword_is_a_warning_not_a_refusal)
{
    ck_assert_int_eq(add("one", "{\"properties\":{\"x\":{\"type\":\"string\",\"strange\":1}}}", NULL), BEZEL_OK);
    ck_assert_uint_eq(bezel_toolset_warning_count(tools), 1);
    ck_assert_str_eq(bezel_toolset_warning(tools, 0), "one: parameters.x: strange: not supported, ignored");
    ck_assert_ptr_null(bezel_toolset_warning(tools, 1));
    ck_assert_int_eq(add("two", "{\"properties\":{\"x\":{\"odd\":1,\"minimum\":2,\"maximum\":1}}}", NULL), BEZEL_ERR_RANGE);
    ck_assert_uint_eq(bezel_toolset_warning_count(tools), 1);
}
END_TEST

static bezel_status add_list(const char *json, bezel_error *err)
{
    bezel_tree *tree = NULL;
    bezel_value *list = NULL;
    ck_assert_int_eq(bezel_tree_new(&tree, engine, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_json_read(&list, tree, json, strlen(json), NULL), BEZEL_OK);
    bezel_status status = bezel_toolset_add_list(tools, list, err);
    bezel_tree_free(tree);
    return status;
}

START_TEST(a_list_of_tools_is_read_with_and_without_wrapper)
{
    ck_assert_int_eq(add_list("[{\"name\":\"a\",\"description\":\"d\",\"parameters\":{\"type\":\"dict\",\"properties\":{\"x\":{\"type\":"
                              "\"float\"}}}},{\"type\":\"function\",\"function\":{\"name\":\"b\",\"parameters\":null}}]", NULL),
                     BEZEL_OK);
    ck_assert_uint_eq(bezel_toolset_count(tools), 2);
    ck_assert_str_eq(bezel_toolset_name(tools, 1), "b");
    bezel_error err = BEZEL_ERROR_INIT;
    ck_assert_int_eq(add_list("[{\"name\":\"c\"},{\"description\":\"no name\"}]", &err), BEZEL_ERR_FORMAT);
    ck_assert_uint_eq(bezel_toolset_count(tools), 2); /* all or nothing */
    ck_assert_int_eq(add_list("{\"name\":\"c\"}", &err), BEZEL_ERR_FORMAT);
}
END_TEST

START_TEST(a_name_resolves_to_one_tool_or_to_none)
{
    static const struct {
        const char *name, *tool;
    } rows[] = {{"get_weather", "get_weather"}, {"GetWeather", "get_weather"}, {"getweather", "get_weather"},
                {"functions.get_weather", "get_weather"}, {"default_api.GET-WEATHER", "get_weather"},
                {"math.hypot", "math.hypot"}, {"math_hypot", "math.hypot"}, {"get_wether", NULL}, {"", NULL},
                {"_", NULL}, {"x_y", "x_y"}, {"XY", NULL}, {"../get_weather", NULL}, {"get_weather\0", "get_weather"}};
    ck_assert_int_eq(add("get_weather", NULL, NULL), BEZEL_OK);
    ck_assert_int_eq(add("math.hypot", NULL, NULL), BEZEL_OK);
    ck_assert_int_eq(add("x_y", NULL, NULL), BEZEL_OK);
    ck_assert_int_eq(add("xy", NULL, NULL), BEZEL_OK); /* "XY" is ambiguous now */
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int changed;
        const bz_tool *tool = bz_tool_resolve(&changed, tools, rows[i].name, strlen(rows[i].name));
        ck_assert_msg((tool == NULL) == (rows[i].tool == NULL), "%s", rows[i].name);
        if (tool != NULL)
            ck_assert_str_eq(tool->name, rows[i].tool);
    }
    int changed;
    ck_assert_ptr_null(bz_tool_resolve(&changed, tools, "get_weather\0x", 13));
}
END_TEST

static bezel_status build(test_world *tw, void *ctx)
{
    static const char *const examples[] = {"User: a", "Assistant: FUNCTION_CALL: one(x=\"1\")", NULL};
    bezel_engine *e = NULL;
    bezel_toolset *set = NULL;
    bezel_tool tool = BEZEL_TOOL_INIT;
    (void)ctx;
    tool.name = "one";
    tool.description = "First";
    tool.examples = examples;
    tool.parameters_json = "{\"properties\":{\"x\":{\"type\":\"string\",\"odd\":1},\"y\":{\"enum\":[\"a\"]}}}";
    bezel_status status = test_engine_try(&e, tw, 1, BEZEL_ISA_SCALAR, NULL);
    if (status == BEZEL_OK)
        status = bezel_toolset_new(&set, e, NULL);
    if (status == BEZEL_OK)
        status = bezel_toolset_add(set, &tool, NULL);
    if (status == BEZEL_OK)
        ck_assert_uint_eq(bezel_toolset_warning_count(set), 1);
    bezel_toolset_free(set);
    bezel_engine_free(e);
    return status;
}

START_TEST(failing_memory_is_an_error_without_leak)
{
    test_world tw;
    test_world_init(&tw);
    test_world_sweep(&tw, build, NULL, BEZEL_OK);
}
END_TEST

Suite *tool_registry_suite(void)
{
    Suite *suite = suite_create("tool_registry");
    TCase *t = tcase_create("registry");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_tool_is_copied_and_its_data_freed_with_the_set);
    tcase_add_test(t, a_refused_tool_leaves_the_set_and_its_data_alone);
    tcase_add_test(t, an_odd_keyword_is_a_warning_not_a_refusal);
    tcase_add_test(t, a_list_of_tools_is_read_with_and_without_wrapper);
    tcase_add_test(t, a_name_resolves_to_one_tool_or_to_none);
    tcase_add_test(t, failing_memory_is_an_error_without_leak);
    suite_add_tcase(suite, t);
    return suite;
}
