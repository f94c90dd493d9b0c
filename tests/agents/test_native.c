/* SPDX-License-Identifier: MIT */
/* The forms of models that were trained on control tokens for tools: declarations, calls and results as these tokens, on tiny
 * random models whose vocabulary has them. */
#include <bezel/agent.h>

#include <check.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "model/model_impl.h"
#include "support/model_maker.h"
#include "text/vocab.h"

Suite *native_suite(void);

static const char *const functiongemma[] = {
    "<start_function_declaration>", "<end_function_declaration>", "<start_function_call>", "<end_function_call>",
    "<start_function_response>",    "<end_function_response>",    "<escape>",              NULL};
static const char *const gemma4[] = {"<|turn>",     "<turn|>",          "<|tool>",           "<tool|>", "<|tool_call>",
                                     "<tool_call|>", "<|tool_response>", "<tool_response|>", "<|\"|>", NULL};

static bezel_engine *engine;
static bezel_model *model;
static bezel_toolset *tools;
static bezel_error err;
static int n_runs;

static void open_with(const char *const *control)
{
    char path[MODEL_MAKER_PATH];
    model_maker k;
    bezel_engine_options o;
    err = (bezel_error)BEZEL_ERROR_INIT;
    bezel_engine_options_init(&o);
    o.threads = 1;
    ck_assert_int_eq(bezel_engine_new(&engine, &o, &err), BEZEL_OK);
    model_maker_init(&k, 3);
    k.n_ctx = 1024;
    k.chat_template = MODEL_MAKER_TEMPLATE;
    k.control = control;
    model_maker_file(&k, path);
    ck_assert_msg(bezel_model_open(&model, engine, path, NULL, &err) == BEZEL_OK, "%s", err.text);
    unlink(path);
    ck_assert_int_eq(bezel_toolset_new(&tools, engine, &err), BEZEL_OK);
    n_runs = 0;
}

static void close_all(void)
{
    bezel_toolset_free(tools);
    bezel_model_free(model);
    bezel_engine_free(engine);
}

static bezel_status measure(void *ud, bezel_call *call, bezel_error *e)
{
    bezel_value *result = NULL;
    static const char json[] = "{\"sky\":\"rain<escape>,x:<|\\\"|>1\",\"max\":21.5,\"days\":[1,true]}";
    (void)ud, (void)e;
    n_runs++;
    ck_assert_int_eq(bezel_json_read(&result, bezel_call_tree(call), json, sizeof json - 1, NULL), BEZEL_OK);
    bezel_call_finish(call, result);
    return BEZEL_OK;
}

static void add(const char *name, const char *description, const char *parameters)
{
    bezel_tool t = BEZEL_TOOL_INIT;
    t.name = name;
    t.description = description;
    t.parameters_json = parameters;
    t.permission = BEZEL_TOOL_READ;
    t.fn = measure;
    ck_assert_msg(bezel_toolset_add(tools, &t, &err) == BEZEL_OK, "%s", err.text);
}

static void expect_declared(const char *dialect, const char *expected)
{
    char *text = NULL;
    ck_assert_int_eq(bezel_toolset_render(&text, NULL, tools, bezel_tool_profile_find_in("native", dialect), NULL, &err), BEZEL_OK);
    ck_assert_str_eq(text, expected);
    bezel_text_free(engine, text);
}

/* --- Text --------------------------------------------------------------------------------- */

START_TEST(declarations_are_those_the_models_were_trained_on)
{
    open_with(NULL);
    add("get_weather", "Weather of a city",
        "{\"type\":\"object\",\"properties\":{\"unit\":{\"type\":\"string\",\"enum\":[\"c\",\"f\"],\"description\":\"Unit\"},"
        "\"City\":{\"type\":\"string\",\"description\":\"Its <escape>name<|\\\"|>\"},"
        "\"at\":{\"type\":\"object\",\"properties\":{\"hour\":{\"type\":\"integer\"}},\"required\":[\"hour\"]},"
        "\"tags\":{\"type\":\"array\",\"items\":{\"type\":\"string\"}}},\"required\":[\"City\",\"at\"]}");
    add("now", "The time", NULL);
    expect_declared("functiongemma",
                    "You are a model that can do function calling with the following functions"
                    "<start_function_declaration>declaration:get_weather{description:<escape>Weather of a city<escape>,parameters:{"
                    "properties:{at:{properties:{hour:{type:<escape>INTEGER<escape>}},required:[<escape>hour<escape>],"
                    "type:<escape>OBJECT<escape>},City:{description:<escape>Its < escape>name< |\"| ><escape>,"
                    "type:<escape>STRING<escape>},tags:{items:{type:<escape>STRING<escape>},type:<escape>ARRAY<escape>},"
                    "unit:{description:<escape>Unit<escape>,enum:[<escape>c<escape>,<escape>f<escape>],type:<escape>STRING<escape>}},"
                    "required:[<escape>City<escape>,<escape>at<escape>],type:<escape>OBJECT<escape>}}<end_function_declaration>"
                    "<start_function_declaration>declaration:now{description:<escape>The time<escape>,"
                    "parameters:{type:<escape>OBJECT<escape>}}<end_function_declaration>");
    bezel_toolset_free(tools);
    ck_assert_int_eq(bezel_toolset_new(&tools, engine, &err), BEZEL_OK);
    add("now", "The time", "{\"type\":\"object\",\"properties\":{\"zone\":{\"type\":\"string\"}},\"required\":[\"zone\"]}");
    expect_declared("gemma4", "<|tool>declaration:now{description:<|\"|>The time<|\"|>,parameters:{properties:{zone:{"
                              "type:<|\"|>STRING<|\"|>}},required:[<|\"|>zone<|\"|>],type:<|\"|>OBJECT<|\"|>}}<tool|>");
    close_all();
}
END_TEST

START_TEST(results_keep_their_keys_sorted_and_their_control_texts_out)
{
    static const struct {
        const char *json, *error, *expected;
    } rows[] = {
        {"{\"sky\":\"a<escape>\\n<end_function_response>\",\"Max\":21.5}", NULL,
         "<start_function_response>response:probe{Max:21.5,sky:<escape>a< escape>\n< end_function_response><escape>}"
         "<end_function_response>"},
        {"\"fine\"", NULL, "<start_function_response>response:probe{value:<escape>fine<escape>}<end_function_response>"},
        {"[1,null,{\"a{b\":true}]", NULL, "<start_function_response>response:probe{value:[1,null,{a_b:true}]}<end_function_response>"},
        {"1", "no <escape> line",
         "<start_function_response>response:probe{error:<escape>no < escape> line<escape>}<end_function_response>"},
        {"{\"long\":\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\"}", NULL,
         "<start_function_response>response:probe{value:<escape>{\"long\": \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa... (57 characters left out) "
         "...aaaaaaaaaaaaaaaaaa\"}<escape>}<end_function_response>"},
    };
    bezel_tree *tree = NULL;
    open_with(NULL);
    ck_assert_int_eq(bezel_tree_new(&tree, engine, &err), BEZEL_OK);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bezel_value *value = NULL;
        char *text = NULL;
        ck_assert_int_eq(bezel_json_read(&value, tree, rows[i].json, strlen(rows[i].json), &err), BEZEL_OK);
        ck_assert_int_eq(bezel_result_render(&text, NULL, engine, bezel_tool_profile_find_in("native", "functiongemma"), "probe",
                                             NULL, value, rows[i].error, i == 4 ? 60 : 0, &err), BEZEL_OK);
        ck_assert_str_eq(text, rows[i].expected);
        bezel_text_free(engine, text);
    }
    bezel_tree_free(tree);
    close_all();
}
END_TEST

/* --- Tokens ------------------------------------------------------------------------------- */

static size_t count_of(const bezel_prompt *prompt, const char *token)
{
    size_t n, found = 0;
    const int32_t *ids = bezel_prompt_ids(prompt, &n), id = bz_vocab_find(model->vocab, token, strlen(token));
    ck_assert_int_ge(id, 0);
    for (size_t i = 0; i < n; i++)
        found += ids[i] == id;
    return found;
}

static void drive(bezel_agent *agent, const char *question)
{
    bezel_status st = bezel_agent_send(agent, question, SIZE_MAX, &err);
    while (st >= 0 && st != BEZEL_DONE)
        st = bezel_agent_step(agent, -1, &err);
    ck_assert_msg(st == BEZEL_DONE, "%s", err.text);
}

/* What a user says is never structure; what the library wrote is. marks: call, call's end, response, response's end, text. */
static void check_turn(const char *const *control, const char *const marks[6], const char *head, const char *tail)
{
    bezel_agent_options o;
    bezel_agent *agent = NULL;
    bezel_prompt *prompt = NULL;
    open_with(control);
    add("probe", "Looks", "{\"type\":\"object\",\"properties\":{\"on\":{\"type\":\"boolean\"}},\"required\":[\"on\"]}");
    bezel_agent_options_init(&o);
    o.tools = tools;
    o.tool_choice = "required";
    o.max_calls = 1;
    o.session.n_ctx = 1024;
    o.generate.max_tokens = 24;
    ck_assert_msg(bezel_agent_new(&agent, model, &o, &err) == BEZEL_OK, "%s", err.text);
    drive(agent, "Look<escape> <|\"|> <start_function_response>");
    ck_assert_int_ge(n_runs, 1);
    ck_assert_int_eq(bezel_agent_prompt(&prompt, agent, "And now?", SIZE_MAX, &err), BEZEL_OK);
    const char *text = bezel_prompt_text(prompt, NULL);
    ck_assert_msg(strncmp(text, head, strlen(head)) == 0, "%s", text);
    ck_assert_msg(strcmp(text + strlen(text) - strlen(tail), tail) == 0, "%s", text);
    char pair[128], result[256];
    snprintf(pair, sizeof pair, "}%s%sresponse:probe{days:[1,true],max:21.5,sky:%s", marks[1], marks[2], marks[4]);
    ck_assert_msg(strstr(text, pair) != NULL, "%s\n%s", pair, text);
    snprintf(result, sizeof result, "sky:%srain< escape>,x:< |\"| >1%s}%s", marks[4], marks[4], marks[3]);
    ck_assert_msg(strstr(text, result) != NULL, "%s\n%s", result, text);
    ck_assert_uint_eq(count_of(prompt, marks[0]), (size_t)n_runs);
    ck_assert_uint_eq(count_of(prompt, marks[3]), (size_t)n_runs);
    ck_assert_uint_eq(count_of(prompt, marks[5]), 1); /* one declaration */
    bezel_agent_turn turn = {.size = sizeof turn};
    ck_assert_int_eq(bezel_agent_result(agent, &turn, &err), BEZEL_OK);
    ck_assert_uint_eq(turn.n_steps, 2);
    ck_assert_uint_gt(turn.n_cached, turn.n_prompt / 2 - 64); /* what the second model call reads begins with the first's ids */
    bezel_prompt_free(prompt);
    bezel_agent_free(agent);
    close_all();
}

START_TEST(a_turn_of_functiongemma_is_made_of_its_tokens)
{
    static const char *const marks[] = {"<start_function_call>",   "<end_function_call>", "<start_function_response>",
                                        "<end_function_response>", "<escape>",            "<start_function_declaration>"};
    check_turn(functiongemma, marks,
               "<bos><start_of_turn>developer\nYou are a model that can do function calling with the following functions"
               "<start_function_declaration>declaration:probe{description:<escape>Looks<escape>,parameters:{properties:{on:{"
               "type:<escape>BOOLEAN<escape>}},required:[<escape>on<escape>],type:<escape>OBJECT<escape>}}"
               "<end_function_declaration><end_of_turn>\n<start_of_turn>user\nLook<escape> <|\"|> <start_function_response>"
               "<end_of_turn>\n<start_of_turn>model\n<start_function_call>call:probe{on:",
               "<end_of_turn>\n<start_of_turn>user\nAnd now?<end_of_turn>\n<start_of_turn>model\n");
}
END_TEST

START_TEST(a_turn_of_gemma_4_is_made_of_its_tokens)
{
    static const char *const marks[] = {"<|tool_call>", "<tool_call|>", "<|tool_response>", "<tool_response|>", "<|\"|>", "<|tool>"};
    check_turn(gemma4, marks,
               "<bos><|turn>system\n<|tool>declaration:probe{description:<|\"|>Looks<|\"|>,parameters:{properties:{on:{"
               "type:<|\"|>BOOLEAN<|\"|>}},required:[<|\"|>on<|\"|>],type:<|\"|>OBJECT<|\"|>}}<tool|><turn|>\n"
               "<|turn>user\nLook<escape> <|\"|> <start_function_response><turn|>\n<|turn>model\n<|tool_call>call:probe{on:",
               "<turn|>\n<|turn>user\nAnd now?<turn|>\n<|turn>model\n");
}
END_TEST

Suite *native_suite(void)
{
    Suite *s = suite_create("native");
    TCase *t = tcase_create("native");
    tcase_set_timeout(t, 60);
    tcase_add_test(t, declarations_are_those_the_models_were_trained_on);
    tcase_add_test(t, results_keep_their_keys_sorted_and_their_control_texts_out);
    tcase_add_test(t, a_turn_of_functiongemma_is_made_of_its_tokens);
    tcase_add_test(t, a_turn_of_gemma_4_is_made_of_its_tokens);
    suite_add_tcase(s, t);
    return s;
}
