/* SPDX-License-Identifier: MIT */
/* Examples to teach with: every form and every mistake of it, what is learned, prompts as agents send them, made examples. */
#include <bezel/agent.h>
#include <bezel/teach.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/test_engine.h"
#include "support/tiny_model.h"

#define TOOLS                                                                                                                  \
    "[{\"name\":\"get_weather\",\"description\":\"Weather of a city\",\"parameters\":{\"type\":\"object\",\"properties\":{"     \
    "\"city\":{\"type\":\"string\"},\"days\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":7},"                              \
    "\"unit\":{\"type\":\"string\",\"enum\":[\"celsius\",\"fahrenheit\"]}},\"required\":[\"city\"]}},"                         \
    "{\"name\":\"set_lights\",\"description\":\"Lights of a room\",\"parameters\":{\"type\":\"object\",\"properties\":{"        \
    "\"room\":{\"type\":\"string\"},\"on\":{\"type\":\"boolean\"}},\"required\":[\"room\",\"on\"]}}]"

static tiny_model tiny;
static bezel_tree *tree;
static bezel_value *tools;
static bezel_teach *teach;
static bezel_error err;

static void teach_setup(void)
{
    tiny_model_open(&tiny, BEZEL_ISA_AUTO, 1, NULL);
    err = (bezel_error)BEZEL_ERROR_INIT;
    ck_assert_int_eq(bezel_tree_new(&tree, tiny.engine, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_json_read(&tools, tree, TOOLS, SIZE_MAX, &err), BEZEL_OK);
    bezel_teach_options o;
    bezel_teach_options_init(&o);
    o.max_length = 4096;
    ck_assert_int_eq(bezel_teach_new(&teach, tiny.model, &o, &err), BEZEL_OK);
}

static void teach_teardown(void)
{
    bezel_teach_free(teach);
    bezel_tree_free(tree);
    tiny_model_close(&tiny);
}

/* What is learned of example i, a bar behind each run; static. */
static const char *learned(size_t i)
{
    static char text[2048];
    size_t n = 0, at = 0;
    const bezel_train_example *e = bezel_teach_examples(teach, &n);
    ck_assert_uint_lt(i, n);
    e += i;
    for (size_t k = 0; k < e->count;) {
        size_t end = k + 1, size = 0;
        char *piece = NULL;
        while (end < e->count && e->learn[end] == e->learn[k])
            end++;
        if (e->learn[k]) {
            ck_assert_int_eq(bezel_detokenize(&piece, &size, tiny.model, e->ids + k, end - k, 1, &err), BEZEL_OK);
            ck_assert_uint_lt(at + size + 2, sizeof text);
            memcpy(text + at, piece, size);
            at += size;
            text[at++] = '|';
            bezel_text_free(tiny.engine, piece);
        }
        k = end;
    }
    text[at] = 0;
    return text;
}

static void good(const char *line, const char *expected)
{
    size_t n = 0;
    const bezel_status st = bezel_teach_read(teach, line, SIZE_MAX, tools, "mine.jsonl", &err);
    ck_assert_msg(st == BEZEL_OK, "%s (%s)", err.text, err.place);
    bezel_teach_examples(teach, &n);
    ck_assert_str_eq(learned(n - 1), expected);
}

START_TEST(only_the_turns_of_the_model_are_learned_with_the_mark_that_ends_them)
{
    good("{\"instruction\":\"Say hi\",\"input\":\"to Ann\",\"output\":\"Hi Ann\"}", "Hi Ann<end_of_turn>|");
    good("{\"question\":\"Weather in Oslo?\",\"calls\":[{\"name\":\"get_weather\",\"arguments\":{\"city\":\"Oslo\"}}]}",
         "FUNCTION_CALL: get_weather(city=\"Oslo\")<end_of_turn>|");
    good("{\"question\":\"Weather in Oslo?\",\"calls\":[{\"name\":\"get_weather\",\"arguments\":{\"city\":\"Oslo\"}}],"
         "\"results\":[\"sunny\"],\"answer\":\"It is sunny.\"}",
         "FUNCTION_CALL: get_weather(city=\"Oslo\")<end_of_turn>|It is sunny.<end_of_turn>|");
    good("{\"question\":\"Hello\",\"answer\":\"Hi!\"}", "Hi!<end_of_turn>|");
    good("{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"model\",\"content\":\"b\",\"learn\":false},"
         "{\"role\":\"user\",\"content\":\"c\"},{\"role\":\"assistant\",\"content\":\"d\"}]}",
         "d<end_of_turn>|");
    good("{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"assistant\",\"content\":null,\"tool_calls\":"
         "[{\"type\":\"function\",\"function\":{\"name\":\"set_lights\",\"arguments\":\"{\\\"room\\\":\\\"attic\\\",\\\"on\\\":true}\"}}]}]}",
         "FUNCTION_CALL: set_lights(room=\"attic\", on=true)<end_of_turn>|");
}
END_TEST

/* What an agent with these tools sends, and what the example has before the model's turn, are the same ids. */
START_TEST(a_rendered_example_begins_with_the_prompt_of_an_agent)
{
    bezel_toolset *set = NULL;
    bezel_agent *agent = NULL;
    bezel_prompt *prompt = NULL;
    bezel_agent_options o;
    size_t n = 0, n_ids = 0;
    bezel_tool_profile small = *bezel_tool_profile_find("instruct"); /* the tiny model has a short context */
    bezel_teach_options options;
    small.intro = small.rules = "";
    bezel_teach_free(teach);
    bezel_teach_options_init(&options);
    options.tool_profile = &small;
    ck_assert_int_eq(bezel_teach_new(&teach, tiny.model, &options, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_toolset_new(&set, tiny.engine, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_toolset_add_list(set, tools, &err), BEZEL_OK);
    bezel_agent_options_init(&o);
    o.system = "Be brief.";
    o.context = "Today is Monday.";
    o.tools = set;
    o.profile = bezel_profile_find("gemma3");
    o.tool_profile = &small;
    o.overflow = BEZEL_OVERFLOW_ERROR;
    ck_assert_int_eq(bezel_agent_new(&agent, tiny.model, &o, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_agent_prompt(&prompt, agent, "Weather in <bos> Oslo?", SIZE_MAX, &err), BEZEL_OK);
    good("{\"system\":\"Be brief.\",\"context\":\"Today is Monday.\",\"question\":\"Weather in <bos> Oslo?\","
         "\"calls\":[{\"name\":\"get_weather\",\"arguments\":{\"city\":\"Oslo\",\"days\":3}}]}",
         "FUNCTION_CALL: get_weather(city=\"Oslo\", days=3)<end_of_turn>|");
    const bezel_train_example *e = bezel_teach_examples(teach, &n);
    const int32_t *ids = bezel_prompt_ids(prompt, &n_ids);
    ck_assert_uint_lt(n_ids, e->count);
    ck_assert_mem_eq(ids, e->ids, n_ids * sizeof *ids);
    ck_assert_uint_eq(e->learn[n_ids], 1);
    ck_assert_uint_eq(e->learn[n_ids - 1], 0);
    bezel_prompt_free(prompt);
    bezel_agent_free(agent);
    bezel_toolset_free(set);
}
END_TEST

START_TEST(each_mistake_has_its_line_its_key_and_what_to_do)
{
    static const struct {
        const char *line, *place, *text;
        bezel_status status;
    } cases[] = {
        {"{\"question\":\"a\",", "mine.jsonl:2", "", BEZEL_ERR_TRUNCATED},
        {"[1]", "mine.jsonl:2", "no map", BEZEL_ERR_FORMAT},
        {"{\"text\":\"a\"}", "mine.jsonl:2", "none of", BEZEL_ERR_FORMAT},
        {"{\"question\":5,\"answer\":\"a\"}", "mine.jsonl:2: question", "no text", BEZEL_ERR_FORMAT},
        {"{\"question\":\"a\"}", "mine.jsonl:2: answer", "without calls and answer", BEZEL_ERR_FORMAT},
        {"{\"instruction\":\"a\"}", "mine.jsonl:2: output", "missing", BEZEL_ERR_FORMAT},
        {"{\"messages\":[]}", "mine.jsonl:2: messages", "no list", BEZEL_ERR_FORMAT},
        {"{\"messages\":[{\"role\":\"bot\",\"content\":\"a\"}]}", "mine.jsonl:2: messages[0]", "\"bot\" is no role", BEZEL_ERR_FORMAT},
        {"{\"messages\":[{\"role\":\"user\",\"content\":\"a\"}]}", "mine.jsonl:2: messages", "no turn of the model", BEZEL_ERR_FORMAT},
        {"{\"messages\":[{\"role\":\"assistant\",\"content\":\"a\"}]}", "mine.jsonl:2", "role", BEZEL_ERR_FORMAT},
        {"{\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"tool\",\"content\":1}]}", "mine.jsonl:2: messages[1]",
         "without a call", BEZEL_ERR_FORMAT},
        {"{\"question\":\"a\",\"calls\":[{\"arguments\":{}}]}", "mine.jsonl:2: calls[0]", "without a name", BEZEL_ERR_FORMAT},
        {"{\"question\":\"a\",\"calls\":[{\"name\":\"fly\"}]}", "mine.jsonl:2: calls[0]", "fly", BEZEL_ERR_PARSE},
        {"{\"question\":\"a\",\"calls\":[{\"name\":\"get_weather\",\"arguments\":{}}]}", "mine.jsonl:2: calls[0]", "city", BEZEL_ERR_PARSE},
        {"{\"question\":\"a\",\"calls\":[{\"name\":\"get_weather\",\"arguments\":{\"city\":\"O\",\"days\":\"3\"}}]}",
         "mine.jsonl:2: calls[0]", "", BEZEL_ERR_PARSE},
        {"{\"question\":\"a\",\"calls\":[{\"name\":\"get_weather\",\"arguments\":{\"city\":\"O\",\"days\":9}}]}",
         "mine.jsonl:2: calls[0]", "", BEZEL_ERR_PARSE},
        {"{\"question\":\"a\",\"calls\":[{\"name\":\"get_weather\",\"arguments\":{\"city\":\"O\"}}],\"answer\":\"b\"}",
         "mine.jsonl:2: results", "no results", BEZEL_ERR_FORMAT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char lines[512];
        size_t n = 0;
        snprintf(lines, sizeof lines, "{\"question\":\"Hello\",\"answer\":\"Hi!\"}\n%s\n", cases[i].line);
        bezel_teach_examples(teach, &n);
        const bezel_status st = bezel_teach_read(teach, lines, SIZE_MAX, tools, "mine.jsonl", &err);
        ck_assert_msg(st == cases[i].status, "%s: %s, %s (%s)", cases[i].line, bezel_status_name(st), err.text, err.place);
        ck_assert_msg(strcmp(err.place, cases[i].place) == 0, "%s: place %s, %s", cases[i].line, err.place, err.text);
        ck_assert_msg(strstr(err.text, cases[i].text) != NULL, "%s: %s", cases[i].line, err.text);
        ck_assert_msg(err.hint[0] != 0 || i == 9, "%s: no hint", cases[i].line);
        size_t after = 0;
        bezel_teach_examples(teach, &after);
        ck_assert_uint_eq(after, n + 1);
    }
}
END_TEST

START_TEST(lines_end_where_their_size_says)
{
    static const char text[] = "{\"question\":\"Hello\",\"answer\":\"Hi!\"}\n \t ";
    const size_t size = sizeof text - 1;
    char *lines = malloc(size); /* nothing behind it: reading on is seen by the sanitizers */
    size_t n = 0;
    ck_assert_ptr_nonnull(lines);
    memcpy(lines, text, size);
    ck_assert_int_eq(bezel_teach_read(teach, lines, size, NULL, NULL, &err), BEZEL_OK);
    free(lines);
    bezel_teach_examples(teach, &n);
    ck_assert_uint_eq(n, 1);
}
END_TEST

START_TEST(long_examples_are_left_out_and_counted)
{
    bezel_teach_counts counts = {.size = sizeof counts};
    bezel_teach_options o;
    bezel_teach *short_one = NULL;
    bezel_teach_options_init(&o);
    o.max_length = 24;
    ck_assert_int_eq(bezel_teach_new(&short_one, tiny.model, &o, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_teach_read(short_one,
                                      "\n{\"question\":\"a\",\"answer\":\"b\"}\n\n{\"question\":\"a a a a a a a a a a a a a a a a a a a a a\","
                                      "\"answer\":\"b\"}",
                                      SIZE_MAX, NULL, "x", &err), BEZEL_OK);
    bezel_teach_count(&counts, short_one);
    ck_assert_uint_eq(counts.n_examples, 1);
    ck_assert_uint_eq(counts.n_too_long, 1);
    ck_assert_uint_gt(counts.longest, 24);
    ck_assert_str_eq(bezel_teach_from(short_one, 0), "x:2");
    ck_assert_ptr_null(bezel_teach_from(short_one, 1));
    bezel_teach_free(short_one);
}
END_TEST

static char *made(uint64_t seed, uint64_t number, uint32_t vary, const char *own)
{
    bezel_teach_maker *maker = NULL;
    bezel_teach_maker_options o;
    bezel_value *example = NULL, *mine = NULL;
    char *json = NULL, *copy;
    bezel_teach_maker_options_init(&o);
    o.seed = seed;
    o.vary = vary;
    if (own)
        ck_assert_int_eq(bezel_json_read(&mine, tree, own, SIZE_MAX, &err), BEZEL_OK);
    const bezel_status st = bezel_teach_maker_new(&maker, tiny.engine, tools, mine, &o, &err);
    ck_assert_msg(st == BEZEL_OK, "%s (%s)", err.text, err.place);
    ck_assert_int_eq(bezel_teach_maker_make(&example, maker, tree, number, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_json_write(&json, NULL, tiny.engine, example, 0, &err), BEZEL_OK);
    copy = strdup(json);
    bezel_text_free(tiny.engine, json);
    bezel_teach_maker_free(maker);
    return copy;
}

START_TEST(made_examples_follow_from_seed_and_number_and_can_be_taught)
{
    size_t differ = 0;
    for (uint64_t i = 0; i < 300; i++) {
        char *a = made(7, i, i % 2, NULL), *b = made(7, i, i % 2, NULL), *c = made(8, i, i % 2, NULL);
        bezel_value *example = NULL;
        ck_assert_str_eq(a, b);
        differ += strcmp(a, c) != 0;
        ck_assert_int_eq(bezel_json_read(&example, tree, a, SIZE_MAX, &err), BEZEL_OK);
        const bezel_status st = bezel_teach_add(teach, example, NULL, NULL, &err);
        ck_assert_msg(st == BEZEL_OK, "%s: %s (%s)", a, err.text, err.place);
        free(a);
        free(b);
        free(c);
    }
    ck_assert_uint_gt(differ, 290);
}
END_TEST

START_TEST(own_examples_become_templates_with_other_values)
{
    size_t lights = 0, same = 0;
    for (uint64_t i = 0; i < 60; i++) {
        char *a = made(1, i, 0, "[{\"question\":\"Make it dark in the kitchen\",\"calls\":[{\"name\":\"set_lights\",\"arguments\":"
                                "{\"room\":\"kitchen\",\"on\":false}}]}]");
        if (strstr(a, "t dark in the ") && strstr(a, "\"kind\":\"single\"")) {
            lights++;
            same += strstr(a, "kitchen") != NULL;
            ck_assert_ptr_nonnull(strstr(a, "\"on\":false"));
        }
        free(a);
    }
    ck_assert_uint_gt(lights, 5);
    ck_assert_uint_lt(same, lights);
}
END_TEST

START_TEST(a_wrong_template_is_refused_with_its_place)
{
    static const struct {
        const char *question, *text;
    } cases[] = {{"What {nothing}?", "no parameter"}, {"What [is {city}?", "not closed"}, {"{city} (only)", "only one"},
                 {"{city}@days=x", "no JSON"}, {"{city}@none=1", "no parameter"}, {"a ] b", "without its beginning"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char json[512];
        bezel_value *list = NULL;
        bezel_teach_maker *maker = NULL;
        snprintf(json, sizeof json,
                 "[{\"name\":\"f\",\"parameters\":{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"},\"days\":"
                 "{\"type\":\"integer\"}}},\"questions\":[\"{city}\",\"%s\"]}]", cases[i].question);
        ck_assert_int_eq(bezel_json_read(&list, tree, json, SIZE_MAX, &err), BEZEL_OK);
        ck_assert_int_eq(bezel_teach_maker_new(&maker, tiny.engine, list, NULL, NULL, &err), BEZEL_ERR_FORMAT);
        ck_assert_ptr_null(maker);
        ck_assert_msg(strstr(err.text, cases[i].text) != NULL, "%s: %s", cases[i].question, err.text);
        ck_assert_str_eq(err.place, "f.questions[1]");
    }
}
END_TEST

Suite *teach_suite(void);
Suite *teach_suite(void)
{
    Suite *s = suite_create("teach");
    TCase *tc = tcase_create("teach");
    tcase_add_checked_fixture(tc, teach_setup, teach_teardown);
    tcase_set_timeout(tc, 60);
    tcase_add_test(tc, only_the_turns_of_the_model_are_learned_with_the_mark_that_ends_them);
    tcase_add_test(tc, a_rendered_example_begins_with_the_prompt_of_an_agent);
    tcase_add_test(tc, each_mistake_has_its_line_its_key_and_what_to_do);
    tcase_add_test(tc, lines_end_where_their_size_says);
    tcase_add_test(tc, long_examples_are_left_out_and_counted);
    tcase_add_test(tc, made_examples_follow_from_seed_and_number_and_can_be_taught);
    tcase_add_test(tc, own_examples_become_templates_with_other_values);
    tcase_add_test(tc, a_wrong_template_is_refused_with_its_place);
    suite_add_tcase(s, tc);
    return s;
}
