/* SPDX-License-Identifier: MIT */
/* Calls of the real model under the constraint of a set of tools: the demo's question, also from a recording. */
#include <bezel/agent.h>

#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "support/real_model.h"
#include "support/temp_folder.h"

Suite *real_calls_suite(void);

static real_model real;
static bezel_toolset *tools;

static const char calls_tools[] =
    "[{\"name\":\"get_weather_forecast\",\"description\":\"Weather forecast of a city\",\"parameters\":{\"type\":\"object\","
    "\"properties\":{\"location\":{\"type\":\"string\",\"description\":\"Name of the city\"},"
    "\"days\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":7}},\"required\":[\"location\",\"days\"]}},"
    "{\"name\":\"get_weather_alerts\",\"description\":\"Weather warnings for a city\",\"parameters\":{\"type\":\"object\","
    "\"properties\":{\"location\":{\"type\":\"string\",\"description\":\"Name of the city\"},"
    "\"severity\":{\"type\":\"string\",\"enum\":[\"all\",\"severe\",\"extreme\"]}},\"required\":[\"location\"]}}]";

static void setup(void)
{
    bezel_tree *tree = NULL;
    bezel_value *list = NULL;
    real_model_open(&real, NULL);
    ck_assert_int_eq(bezel_tree_new(&tree, real.engine, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_json_read(&list, tree, calls_tools, strlen(calls_tools), NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_toolset_new(&tools, real.engine, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_toolset_add_list(tools, list, NULL), BEZEL_OK);
    bezel_tree_free(tree);
}

static void teardown(void)
{
    bezel_toolset_free(tools);
    real_model_close(&real);
}

static const char tokyo[] =
    "I'm traveling to Tokyo next week. What's the 5-day forecast, and are there any severe weather warnings?";

static void ask_tokyo(bezel_agent **agent, bezel_agent_turn *turn, const bezel_agent_options *o)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_status st;
    ck_assert_msg(bezel_agent_new(agent, real.model, o, &err) == BEZEL_OK, "%s", err.text);
    ck_assert_int_eq(bezel_agent_send(*agent, tokyo, SIZE_MAX, &err), BEZEL_OK);
    while ((st = bezel_agent_step(*agent, -1, &err)) > 0 && st != BEZEL_DONE)
        continue;
    ck_assert_msg(st == BEZEL_DONE, "%s", err.text);
    *turn = (bezel_agent_turn){.size = sizeof *turn};
    ck_assert_int_eq(bezel_agent_result(*agent, turn, &err), BEZEL_OK);
}

/* What the real model said is said again by a model without weights. */
START_TEST(a_recorded_question_is_replayed_without_the_weights)
{
    bezel_agent_options o;
    bezel_agent *agents[2];
    bezel_agent_turn turns[2];
    char *calls[2];
    size_t size;
    bezel_model_options words;
    temp_folder folder;
    temp_folder_make(&folder);
    bezel_agent_options_init(&o);
    o.tools = tools;
    o.tool_choice = "required";
    o.generate.max_tokens = 80;
    o.record = temp_folder_file(&folder, "tokyo.jsonl");
    ask_tokyo(&agents[0], &turns[0], &o);
    ck_assert_int_eq(bezel_json_write(&calls[0], &size, real.engine, turns[0].calls, 0, NULL), BEZEL_OK);
    char *text = strdup(turns[0].text);
    bezel_agent_free(agents[0]);
    bezel_model_free(real.model);
    bezel_model_options_init(&words);
    words.vocabulary_only = 1;
    real_model_open_again(&real, &words);
    o.replay = o.record;
    o.record = NULL;
    ask_tokyo(&agents[1], &turns[1], &o);
    ck_assert_int_eq(bezel_json_write(&calls[1], &size, real.engine, turns[1].calls, 0, NULL), BEZEL_OK);
    ck_assert_str_eq(turns[1].text, text);
    ck_assert_str_eq(calls[1], calls[0]);
    ck_assert_ptr_nonnull(strstr(calls[1], "Tokyo"));
    ck_assert_uint_eq(turns[1].n_generated, turns[0].n_generated);
    bezel_agent_free(agents[1]);
    bezel_text_free(real.engine, calls[0]);
    bezel_text_free(real.engine, calls[1]);
    free(text);
    temp_folder_remove(&folder);
}
END_TEST

START_TEST(the_question_about_tokyo_gets_the_call_that_was_chosen_with_its_arguments)
{
    static const char *const choices[] = {"required", "get_weather_forecast", "get_weather_alerts"};
    for (size_t i = 0; i < 3; i++) {
        bezel_agent_options o;
        bezel_agent *agent = NULL;
        bezel_agent_turn turn;
        size_t size = 0;
        bezel_agent_options_init(&o);
        o.tools = tools;
        o.tool_choice = choices[i];
        o.generate.max_tokens = 80;
        ask_tokyo(&agent, &turn, &o);
        const bezel_value *call = bezel_value_at(turn.calls, 0), *arguments = bezel_value_get(call, "arguments");
        ck_assert_str_eq(bezel_value_text(bezel_value_get(call, "name"), &size), i == 2 ? choices[2] : "get_weather_forecast");
        ck_assert_str_eq(bezel_value_text(bezel_value_get(arguments, "location"), &size), "Tokyo");
        if (i < 2)
            ck_assert_int_eq(bezel_value_integer(bezel_value_get(arguments, "days")), 5);
        ck_assert_uint_gt(turn.n_forced, 0);
        bezel_agent_free(agent);
    }
}
END_TEST

/* Tools without examples: the question itself tells whether they are meant (bezel_tool_fit). */
START_TEST(a_question_for_the_tools_is_called_and_small_talk_is_answered)
{
    static const char *const questions[] = {
        "I'm traveling to Tokyo next week. What's the 5-day forecast, and are there any severe weather warnings?", "Tell me a joke.",
        "Which is larger, the sun or the moon?"};
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_agent_options o;
    bezel_agent *agent = NULL;
    bezel_agent_options_init(&o);
    o.tools = tools;
    o.generate.max_tokens = 40;
    ck_assert_msg(bezel_agent_new(&agent, real.model, &o, &err) == BEZEL_OK, "%s", err.text);
    for (size_t i = 0; i < 3; i++) {
        bezel_agent_turn turn = {.size = sizeof turn};
        bezel_status st;
        bezel_agent_clear(agent);
        ck_assert_int_eq(bezel_agent_send(agent, questions[i], SIZE_MAX, &err), BEZEL_OK);
        while ((st = bezel_agent_step(agent, 10000, &err)) > 0 && st != BEZEL_DONE)
            continue;
        ck_assert_msg(st == BEZEL_DONE, "%s", err.text);
        ck_assert_int_eq(bezel_agent_result(agent, &turn, &err), BEZEL_OK);
        ck_assert_msg((bezel_value_count(turn.calls) > 0) == (i == 0), "%s: %zu calls", questions[i], bezel_value_count(turn.calls));
        ck_assert_msg((turn.call_probability > 0.1) == (i == 0), "%s: %g", questions[i], turn.call_probability);
    }
    bezel_agent_free(agent);
}
END_TEST

/* The first call of a question, as the model wrote it. */
static void first_call(char *out, size_t capacity, const bezel_toolset *set, const char *question, uint32_t evidence)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_agent_options o;
    bezel_agent_turn turn = {.size = sizeof turn};
    bezel_agent *agent = NULL;
    bezel_status st;
    char *text = NULL;
    bezel_agent_options_init(&o);
    o.tools = set;
    o.tool_choice = "required";
    o.generate.max_tokens = 80;
    o.evidence = evidence;
    ck_assert_msg(bezel_agent_new(&agent, real.model, &o, &err) == BEZEL_OK, "%s", err.text);
    ck_assert_int_eq(bezel_agent_send(agent, question, SIZE_MAX, &err), BEZEL_OK);
    while ((st = bezel_agent_step(agent, -1, &err)) > 0 && st != BEZEL_DONE)
        continue;
    ck_assert_msg(st == BEZEL_DONE, "%s", err.text);
    ck_assert_int_eq(bezel_agent_result(agent, &turn, &err), BEZEL_OK);
    const bezel_value *arguments = bezel_value_get(bezel_value_at(turn.calls, 0), "arguments");
    ck_assert_int_eq(bezel_json_write(&text, NULL, real.engine, arguments, 0, &err), BEZEL_OK);
    ck_assert_uint_lt(strlen(text), capacity);
    memcpy(out, text, strlen(text) + 1);
    bezel_text_free(real.engine, text);
    bezel_agent_free(agent);
}

/* The words of the question count for arguments, unless they are asked not to. */
START_TEST(arguments_lean_on_the_words_of_the_question)
{
    static const char loans[] =
        "[{\"name\":\"loan_payment\",\"description\":\"Payment of a loan\",\"parameters\":{\"type\":\"object\",\"properties\":{"
        "\"customers\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}},\"amount\":{\"type\":\"integer\"},"
        "\"rate\":{\"type\":\"number\",\"description\":\"Annual rate\"},\"rounded\":{\"type\":\"boolean\"}},\"required\":[\"customers\",\"amount\",\"rate\"]}}]";
    static const char question[] = "What do 'Ada Byron', 'Carl' and 'Emmy' pay for a loan of $12,500 at 4.5%?";
    char with[1024], without[1024];
    bezel_tree *tree = NULL;
    bezel_value *list = NULL;
    bezel_toolset *set = NULL;
    ck_assert_int_eq(bezel_tree_new(&tree, real.engine, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_json_read(&list, tree, loans, strlen(loans), NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_toolset_new(&set, real.engine, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_toolset_add_list(set, list, NULL), BEZEL_OK);
    first_call(with, sizeof with, set, question, 1);
    first_call(without, sizeof without, set, question, 0);
    ck_assert_str_eq(with, "{\"customers\":[\"Ada Byron\",\"Carl\",\"Emmy\"],\"amount\":12500,\"rate\":0.045}");
    ck_assert_str_ne(without, with);
    bezel_toolset_free(set);
    bezel_tree_free(tree);
}
END_TEST

Suite *real_calls_suite(void)
{
    char path[1024];
    Suite *s = suite_create("real_calls");
    TCase *t = tcase_create("270m");
    if (!real_model_path(path, sizeof path))
        return s; /* not downloaded: nothing to test */
    tcase_set_timeout(t, 120);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_recorded_question_is_replayed_without_the_weights);
    tcase_add_test(t, the_question_about_tokyo_gets_the_call_that_was_chosen_with_its_arguments);
    tcase_add_test(t, a_question_for_the_tools_is_called_and_small_talk_is_answered);
    tcase_add_test(t, arguments_lean_on_the_words_of_the_question);
    suite_add_tcase(s, t);
    return s;
}
