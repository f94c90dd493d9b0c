/* SPDX-License-Identifier: MIT */
/* Prompts: images (R18), cultures (R19), functions with a context (R15). */
#include <bezel/prompts.h>
#include <check.h>
#include <string.h>

#include "support/test_engine.h"
#include "support/test_world.h"

static test_world tw;
static bezel_engine *engine;
static bezel_tree *tree;
static bezel_error err;
static bezel_message out[2];

static void prompts_setup(void)
{
    test_world_init(&tw);
    engine = test_engine_new(&tw, 1, BEZEL_ISA_AUTO);
    err = (bezel_error)BEZEL_ERROR_INIT;
    ck_assert_int_eq(bezel_tree_new(&tree, engine, &err), BEZEL_OK);
}

static void prompts_teardown(void)
{
    bezel_tree_free(tree);
    bezel_engine_free(engine);
    ck_assert(test_world_is_clean(&tw));
}

static void has(int i, const char *word)
{
    ck_assert_msg(strstr(out[i].text, word) != NULL, "no \"%s\" in: %s", word, out[i].text);
}

START_TEST(r18_each_task_has_its_own_system_text)
{
    ck_assert_int_eq(bezel_prompts_image(out, tree, "analysis", "What is this?", "A museum", NULL, &err), BEZEL_OK);
    ck_assert_uint_eq(out[0].role, BEZEL_ROLE_SYSTEM);
    ck_assert_uint_eq(out[1].role, BEZEL_ROLE_USER);
    has(0, "Elements");
    has(0, "Context");
    has(0, "Implications");
    ck_assert_str_eq(out[1].text, "What is this?\n\nAdditional context: A museum");
    ck_assert_uint_eq(out[1].text_size, strlen(out[1].text));
    ck_assert_int_eq(bezel_prompts_image(out, tree, "Comparison", "Which is older?", NULL, NULL, &err), BEZEL_OK);
    has(0, "Similarities");
    has(0, "Differences");
    has(0, "systematically");
    ck_assert_str_eq(out[1].text, "Which is older?");
    ck_assert_int_eq(bezel_prompts_image(out, tree, "poem", "x", NULL, NULL, &err), BEZEL_ERR_MISSING);
    ck_assert_str_eq(err.place, "poem");
    ck_assert_ptr_null(out[0].text);
}
END_TEST

START_TEST(r19_five_cultures_have_their_guidelines)
{
    static const struct { const char *culture, *words[4]; } cases[] = {
        {"japanese", {"honorifics", "confrontation", "harmony"}},
        {"american", {"direct", "practical", "individual", "casual"}},
        {"german", {"precise", "thorough", "professional"}},
        {"brazilian", {"warm", "personable", "include", "social"}},
        {"indian", {"hierarchy", "diversity of regions", "comprehensively"}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ck_assert_int_eq(bezel_prompts_culture(out, tree, cases[i].culture, "casual", "Hello?", NULL, &err), BEZEL_OK);
        for (int k = 0; k < 4 && cases[i].words[k] != NULL; k++)
            has(0, cases[i].words[k]);
        has(0, "Write casually");
        ck_assert_str_eq(out[1].text, "Hello?");
    }
}
END_TEST

START_TEST(r19_an_unknown_style_is_formal_and_an_unknown_culture_an_error)
{
    static const char *const styles[] = {"formal", "shouted", NULL};
    for (int i = 0; i < 3; i++) {
        ck_assert_int_eq(bezel_prompts_culture(out, tree, "german", styles[i], "x", NULL, &err), BEZEL_OK);
        has(0, "Write formally");
    }
    ck_assert_int_eq(bezel_prompts_culture(out, tree, "german", "educational", "x", NULL, &err), BEZEL_OK);
    has(0, "Write to teach");
    ck_assert_int_eq(bezel_prompts_culture(out, tree, "martian", NULL, "x", NULL, &err), BEZEL_ERR_MISSING);
}
END_TEST

START_TEST(r19_a_host_adds_rows_and_replaces_built_in_ones)
{
    const bezel_prompts_row rows[] = {{BEZEL_PROMPTS_CULTURE, 0, "martian", "Be green."},
                                      {BEZEL_PROMPTS_STYLE, 0, "formal", "Bow first."},
                                      {BEZEL_PROMPTS_TASK, 0, "poem", "Write a poem about the image."}};
    const bezel_prompts_rows own = {rows, 3};
    ck_assert_int_eq(bezel_prompts_culture(out, tree, "Martian", NULL, "x", &own, &err), BEZEL_OK);
    has(0, "Be green.");
    has(0, "Bow first.");
    ck_assert_int_eq(bezel_prompts_image(out, tree, "poem", "x", NULL, &own, &err), BEZEL_OK);
    ck_assert_str_eq(out[0].text, "Write a poem about the image.");
    size_t n = 0;
    while (bezel_prompts_builtin(n) != NULL)
        n++;
    ck_assert_uint_eq(n, 10);
}
END_TEST

START_TEST(r15_functions_are_declared_with_rules_and_context)
{
    bezel_toolset *tools = NULL;
    bezel_tool tool = BEZEL_TOOL_INIT;
    tool.name = "get_weather";
    tool.description = "Weather of a city";
    tool.parameters_json = "{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"}},\"required\":[\"city\"]}";
    ck_assert_int_eq(bezel_toolset_new(&tools, engine, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_toolset_add(tools, &tool, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_prompts_functions(out, tree, tools, NULL, "Rain in Oslo?", "Today is Monday", &err), BEZEL_OK);
    has(0, "Available Functions:");
    has(0, "- get_weather: Weather of a city");
    has(0, "city (string");
    has(0, "FUNCTION_CALL: ");
    has(0, "Context: Today is Monday");
    ck_assert_str_eq(out[1].text, "Rain in Oslo?");
    ck_assert_int_eq(bezel_prompts_functions(out, tree, tools, NULL, "x", NULL, &err), BEZEL_OK);
    ck_assert_ptr_null(strstr(out[0].text, "Context:"));
    bezel_toolset_free(tools);
}
END_TEST

Suite *prompts_suite(void);
Suite *prompts_suite(void)
{
    Suite *s = suite_create("prompts");
    TCase *t = tcase_create("prompts");
    tcase_add_checked_fixture(t, prompts_setup, prompts_teardown);
    tcase_add_test(t, r18_each_task_has_its_own_system_text);
    tcase_add_test(t, r19_five_cultures_have_their_guidelines);
    tcase_add_test(t, r19_an_unknown_style_is_formal_and_an_unknown_culture_an_error);
    tcase_add_test(t, r19_a_host_adds_rows_and_replaces_built_in_ones);
    tcase_add_test(t, r15_functions_are_declared_with_rules_and_context);
    suite_add_tcase(s, t);
    return s;
}
