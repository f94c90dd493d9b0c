/* SPDX-License-Identifier: MIT */
/* Evidence for the arguments of calls. The model's logits are random; under a large weight what comes out is what the text
 * says, so each case is a question and the call that has to come. */
#include <bezel/constraint.h>
#include <bezel/session.h>
#include <bezel/tools.h>

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "base/rng.h"
#include "support/tiny_model.h"

Suite *call_evidence_suite(void);

static tiny_model tiny;
static bezel_tree *tree;

static void setup(void)
{
    tiny_model_open(&tiny, BEZEL_ISA_SCALAR, 1, NULL);
    ck_assert_int_eq(bezel_tree_new(&tree, tiny.engine, NULL), BEZEL_OK);
}

static void teardown(void)
{
    bezel_tree_free(tree);
    tiny_model_close(&tiny);
}

/* A set with one tool: its properties, and the names of those that are required. */
static bezel_toolset *tools_of(const char *properties, const char *required)
{
    char text[2048];
    bezel_toolset *tools = NULL;
    bezel_value *list = NULL;
    bezel_error err = BEZEL_ERROR_INIT;
    snprintf(text, sizeof text,
             "[{\"name\":\"f\",\"parameters\":{\"type\":\"object\",\"properties\":{%s},\"required\":[%s]}}]", properties,
             required);
    ck_assert_msg(bezel_json_read(&list, tree, text, strlen(text), &err) == BEZEL_OK, "%s: %s", err.text, text);
    ck_assert_int_eq(bezel_toolset_new(&tools, tiny.engine, &err), BEZEL_OK);
    ck_assert_msg(bezel_toolset_add_list(tools, list, &err) == BEZEL_OK, "%s", err.text);
    return tools;
}

static bezel_status ask(char *out, size_t capacity, const bezel_toolset *tools, const char *evidence, float weight,
                        uint32_t max_calls, uint32_t seed, uint32_t no_jump)
{
    bezel_constraint *c = NULL;
    bezel_constraint_options co;
    bezel_generate_options o;
    bezel_generation g = {.size = (uint32_t)sizeof g};
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_job *job = NULL;
    int32_t prompt[3];
    bezel_session *s = tiny_model_session(&tiny, 1000, 16, 0);
    bezel_constraint_options_init(&co);
    co.max_calls = max_calls;
    co.max_string = 40;
    co.max_items = 6;
    ck_assert_msg(bezel_toolset_constraint(&c, tools, tiny.model, NULL, &co, &err) == BEZEL_OK, "%s", err.text);
    tiny_model_ids(prompt, 3, seed);
    ck_assert_int_eq(bezel_session_set(s, prompt, 3, NULL), BEZEL_OK);
    bezel_generate_options_init(&o);
    bezel_sampling_greedy(&o.sampling);
    o.max_tokens = 600;
    o.constraint = c;
    o.calls = BEZEL_CALLS_REQUIRED;
    o.no_jump = no_jump;
    o.evidence = evidence;
    o.evidence_weight = weight;
    bezel_status status = bezel_generate(&job, s, &o, &err);
    if (status == BEZEL_OK)
        status = tiny_model_drive(job, &err);
    if (status == BEZEL_DONE)
        status = bezel_generation_get(job, &g, &err);
    snprintf(out, capacity, "%s", status == BEZEL_OK ? g.text : err.text);
    bezel_job_free(job);
    bezel_session_free(s);
    bezel_constraint_free(c);
    return status;
}

#define TEXT "{\"type\":\"string\"}"
#define WHOLE "{\"type\":\"integer\"}"
#define NUMBER "{\"type\":\"number\"}"
#define TRUTH "{\"type\":\"boolean\"}"
#define LIST(items) "{\"type\":\"array\",\"items\":" items "}"
#define UNITS "{\"type\":\"string\",\"enum\":[\"celsius\",\"fahrenheit\",\"kelvin\"]}"

static const struct {
    const char *properties, *required, *question, *arguments;
} cases[] = {
    {"\"city\":" TEXT, "\"city\"", "how is the weather in Lisbon?", "city=\"Lisbon\""},
    {"\"city\":" TEXT, "\"city\"", "how is the weather in New York City?", "city=\"New York City\""},
    {"\"title\":" TEXT, "\"title\"", "find 'the old man' by anyone", "title=\"the old man\""},
    {"\"season\":" TEXT, "\"season\"", "all games of 2022-2023", "season=\"2022-2023\""},
    {"\"origin\":" TEXT ",\"to\":" TEXT, "\"origin\",\"to\"", "fly from origin Oslo to Rome",
     "origin=\"Oslo\", to=\"Rome\""},
    {"\"days\":" WHOLE, "\"days\"", "rain for 14 days", "days=14"},
    {"\"nights\":" WHOLE ",\"guests\":" WHOLE, "\"nights\",\"guests\"", "two guests for five nights", "nights=5, guests=2"},
    {"\"price\":" WHOLE, "\"price\"", "houses of $1,250,000", "price=1250000"},
    {"\"rate\":" NUMBER, "\"rate\"", "a loan at 7.5%", "rate=0.075"},
    {"\"rate\":" WHOLE, "\"rate\"", "a loan at 7%", "rate=7"},
    {"\"people\":" WHOLE, "\"people\"", "a city of 3 million people", "people=3000000"},
    {"\"numbers\":" LIST(WHOLE), "\"numbers\"", "the mean of 12, 15 and 30, rounded", "numbers=[12, 15, 30]"},
    {"\"names\":" LIST(TEXT), "\"names\"", "sort ['Sam', 'Alice', 'Jack']", "names=[\"Sam\", \"Alice\", \"Jack\"]"},
    {"\"units\":" UNITS, "\"units\"", "in Kelvin, please", "units=\"kelvin\""},
    {"\"city\":" TEXT ",\"units\":" UNITS, "\"city\"", "weather in Lisbon in celsius", "city=\"Lisbon\", units=\"celsius\""},
    {"\"city\":" TEXT ",\"units\":" UNITS ",\"days\":" WHOLE ",\"hourly\":" TRUTH, "\"city\"", "weather in Lisbon",
     "city=\"Lisbon\""},
    {"\"city\":" TEXT ",\"hourly\":" TRUTH, "\"city\"", "hourly weather in Lisbon", "city=\"Lisbon\", hourly=true"},
    {"\"size\":{\"type\":\"object\",\"properties\":{\"width\":" WHOLE ",\"height\":" WHOLE
     "},\"required\":[\"width\",\"height\"]}",
     "\"size\"", "a wall with a height of 12 and a width of 20", "size={\"width\": 20, \"height\": 12}"},
};

START_TEST(arguments_are_what_the_question_says)
{
    char text[4096], wanted[512];
    bezel_toolset *tools = tools_of(cases[_i].properties, cases[_i].required);
    snprintf(wanted, sizeof wanted, "FUNCTION_CALL: f(%s)", cases[_i].arguments);
    for (uint32_t seed = 1; seed <= 3; seed++) {
        ck_assert_int_eq(ask(text, sizeof text, tools, cases[_i].question, 40.0F, 1, seed, seed == 2), BEZEL_OK);
        const char *call = strstr(text, "FUNCTION_CALL");
        ck_assert_ptr_nonnull(call);
        ck_assert_str_eq(call, wanted);
    }
    bezel_toolset_free(tools);
}
END_TEST

START_TEST(a_question_with_values_for_two_calls_gets_two)
{
    char text[4096];
    bezel_toolset *tools = tools_of("\"city\":" TEXT, "\"city\"");
    ck_assert_int_eq(ask(text, sizeof text, tools, "how is the weather in Lisbon, in Rome and in Oslo", 60.0F, 8, 1, 0),
                     BEZEL_OK);
    const char *first = strstr(text, "city=\"Lisbon\""), *second = strstr(text, "city=\"Rome\""),
               *third = strstr(text, "city=\"Oslo\"");
    ck_assert_msg(first != NULL && second > first && third > second, "%s", text);
    ck_assert_msg(strchr(third, '\n') == NULL, "no fourth: %s", text);
    ck_assert_int_eq(ask(text, sizeof text, tools, "how is the weather in Lisbon today", 60.0F, 8, 1, 0), BEZEL_OK);
    ck_assert_msg(strstr(text, "city=\"Lisbon\")") != NULL && strchr(strstr(text, "city="), '\n') == NULL, "%s", text);
    bezel_toolset_free(tools);
}
END_TEST

START_TEST(without_weight_or_text_the_model_is_alone)
{
    char text[4096], same[4096];
    bezel_toolset *tools = tools_of("\"city\":" TEXT ",\"days\":" WHOLE, "\"city\"");
    ck_assert_int_eq(ask(text, sizeof text, tools, NULL, 1.0F, 1, 4, 0), BEZEL_OK);
    ck_assert_int_eq(ask(same, sizeof same, tools, "in Lisbon for 4 days", 0.0F, 1, 4, 0), BEZEL_OK);
    ck_assert_str_eq(same, text);
    ck_assert_int_eq(ask(same, sizeof same, tools, "", 1.0F, 1, 4, 0), BEZEL_OK);
    ck_assert_int_eq(ask(same, sizeof same, tools, "in Lisbon", -1.0F, 1, 4, 0), BEZEL_ERR_RANGE);
    bezel_toolset_free(tools);
}
END_TEST

/* Texts of what the marks look at, and bytes of any kind; longer ones than count. */
static void random_question(char *out, size_t capacity, bz_rng *rng)
{
    static const char *const parts[] = {"Rome",      " and ",    "'",          "\"",   ", ",   "12",
                                        "%",         "1e",       "-",          ".",    " 7.5", "1,000",
                                        " million ", "\xC3\xA9", "\xFF",       " to ", "\n",   "(",
                                        "five ",     "X",        "2022-01-02", "$",    "{",    "9999999999999999999999"};
    const size_t n = bz_rng_next(rng) % 60 == 0 ? capacity - 1 : bz_rng_next(rng) % 200;
    size_t size = 0;
    out[0] = '\0';
    while (size < n) {
        const char *part = parts[bz_rng_next(rng) % (sizeof parts / sizeof parts[0])];
        if (size + strlen(part) >= capacity)
            break;
        memcpy(out + size, part, strlen(part) + 1);
        size += strlen(part);
    }
}

START_TEST(calls_stay_valid_whatever_the_text_is)
{
    static char question[4000];
    char text[8192];
    bezel_toolset *tools =
        tools_of("\"city\":" TEXT ",\"n\":" WHOLE ",\"x\":" NUMBER
                 ",\"l\":" LIST(TEXT) ",\"m\":" LIST(NUMBER) ",\"u\":" UNITS ",\"b\":" TRUTH
                                                             ",\"o\":{\"type\":\"object\",\"properties\":{\"k\":" TEXT "}}",
                 "\"city\",\"l\"");
    bz_rng rng;
    bz_rng_seed(&rng, (uint64_t)_i + 1);
    for (uint32_t round = 0; round < 8; round++) {
        bezel_parser *parser = NULL;
        bezel_value *result = NULL;
        random_question(question, sizeof question, &rng);
        ck_assert_msg(ask(text, sizeof text, tools, question, round % 2 ? 1.0F : 30.0F, 2, round + 1, 0) == BEZEL_OK,
                      "%s: %s", text, question);
        ck_assert_int_eq(bezel_parser_new(&parser, tools, 0, NULL), BEZEL_OK);
        ck_assert_int_ge(bezel_parser_push(parser, text, strlen(text), NULL), 0);
        ck_assert_int_ge(bezel_parser_finish(parser, BEZEL_STOPPED_END, NULL), 0);
        ck_assert_int_eq(bezel_parser_result(&result, tree, parser, NULL), BEZEL_OK);
        ck_assert_msg(bezel_value_count(bezel_value_get(result, "errors")) == 0, "%s", text);
        ck_assert_uint_ge(bezel_value_count(bezel_value_get(result, "calls")), 1);
        bezel_parser_free(parser);
    }
    bezel_toolset_free(tools);
}
END_TEST

Suite *call_evidence_suite(void)
{
    Suite *suite = suite_create("call_evidence");
    TCase *tc = tcase_create("call_evidence");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_set_timeout(tc, 120);
    tcase_add_loop_test(tc, arguments_are_what_the_question_says, 0, (int)(sizeof cases / sizeof cases[0]));
    tcase_add_test(tc, a_question_with_values_for_two_calls_gets_two);
    tcase_add_test(tc, without_weight_or_text_the_model_is_alone);
    tcase_add_loop_test(tc, calls_stay_valid_whatever_the_text_is, 0, 10);
    suite_add_tcase(suite, tc);
    return suite;
}
