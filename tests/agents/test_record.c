/* SPDX-License-Identifier: MIT */
/* Sessions on record: a replay gives the same events, texts and numbers, runs no tool and computes nothing. */
#include <check.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "support/tool_agent.h"

static tool_agent ta;
static char path[600];
static int n_runs;
static char log_text[16384];

static void setup(void)
{
    tool_agent_setup(&ta);
    snprintf(path, sizeof path, "%s", temp_folder_file(&ta.folder, "session.jsonl"));
    n_runs = 0;
}

static void teardown(void) { tool_agent_teardown(&ta); }

static bezel_status probe(void *ud, bezel_call *call, bezel_error *err)
{
    (void)ud;
    n_runs++;
    if (bezel_value_integer(bezel_value_get(bezel_call_arguments(call), "n")) == 13) {
        err->status = BEZEL_ERR_IO;
        snprintf(err->text, sizeof err->text, "thirteen, for the %d. time", n_runs);
        return BEZEL_ERR_IO;
    }
    bezel_call_finish(call, bezel_tree_integer(bezel_call_tree(call), 40 + n_runs));
    return BEZEL_OK;
}

static const script_reply replies[] = {
    {" Let me see.\nFUNCTION_CALL: probe(n=1)\nFUNCTION_CALL: probe(n=13)", BEZEL_STOP_STRING, 0, NULL, NULL},
    {" It is 41.", 0, 0, NULL, NULL},
    {"\nFUNCTION_CALL: probe(n=2)", BEZEL_STOP_STRING, 0, NULL, NULL},
    {" Half of", 0, BEZEL_ERR_NUMERIC, NULL, NULL},
    {" Again \xc3\xa4.", 0, 0, NULL, NULL}};
static const char *const questions[] = {"How is it?", "And now?", "Well?"};

static void note(const char *format, ...)
{
    va_list args;
    const size_t n = strlen(log_text);
    va_start(args, format);
    vsnprintf(log_text + n, sizeof log_text - n, format, args);
    va_end(args);
}

static void note_value(const char *key, const bezel_value *value)
{
    char *json = NULL;
    if (value && bezel_json_write(&json, NULL, ta.tiny.engine, value, 0, NULL) == BEZEL_OK)
        note(" %s=%s", key, json);
    bezel_text_free(ta.tiny.engine, json);
}

/* Everything that the host sees of a turn, at the end of log_text. */
static void turn_note(const char *question)
{
    bezel_agent_event e = {.size = sizeof e};
    bezel_agent_turn turn = {.size = sizeof turn};
    bezel_status st;
    tool_agent_send(&ta, question);
    do {
        st = bezel_agent_step(ta.agent, -1, &ta.err);
        while (bezel_agent_event_next(ta.agent, &e)) {
            note("%u %u '%s' %s %s", (unsigned)e.type, (unsigned)e.step, e.text ? e.text : "", e.name ? e.name : "", e.code ? e.code : "");
            note_value("arguments", e.arguments);
            note_value("result", e.result);
            note("\n");
        }
    } while (st > 0 && st != BEZEL_DONE);
    ck_assert_int_eq(bezel_agent_result(ta.agent, &turn, NULL), BEZEL_OK);
    note("%s '%s' %s; stop %u, %u steps, %d %d %d tokens, %.9g %.9g", bezel_status_name(st), turn.text, st < 0 ? ta.err.text : "",
         (unsigned)turn.stop_reason, (unsigned)turn.n_steps, (int)turn.n_prompt, (int)turn.n_cached, (int)turn.n_generated,
         turn.call_probability, turn.name_probability);
    note_value("calls", turn.calls);
    note("\n");
}

/* Usage rows of the store with their times. */
static void rows_note(void)
{
    note("%s\n", tool_agent_stored(&ta, "SELECT group_concat(step || ' ' || prompt_tokens || ' ' || cached_tokens || ' ' ||"
                                        " generated_tokens || ' ' || first_token_us || ' ' || duration_us || ' ' || stop_reason, ', ')"
                                        " FROM usage"));
}

static void session(const char *const *asked, size_t n)
{
    log_text[0] = 0;
    for (size_t i = 0; i < n; i++)
        turn_note(asked[i]);
    rows_note();
}

static void again(void)
{
    bezel_agent_free(ta.agent);
    ta.agent = NULL;
    script_source_free(&ta.script);
    memset(&ta.script, 0, sizeof ta.script);
    bezel_store_close(ta.store);
    ta.store = NULL;
    ck_assert_int_eq(bezel_store_open(&ta.store, ta.tiny.engine, temp_folder_file(&ta.folder, "again.db"), NULL, &ta.err), BEZEL_OK);
    ck_assert_int_eq(bezel_store_begin(ta.conversation, ta.store, NULL, "ann", &ta.err), BEZEL_OK);
    ta.options.journal = bezel_store_journal(ta.store);
    ta.options.record = NULL;
    ta.options.replay = path;
    bezel_status st = bezel_agent_new(&ta.agent, ta.tiny.model, &ta.options, &ta.err);
    ck_assert_msg(st == BEZEL_OK, "%s %s", ta.err.text, ta.err.place);
}

static void record_script(void)
{
    bezel_tool tool = tool_agent_tool("probe", BEZEL_TOOL_PURE, probe, NULL);
    tool_agent_add(&ta, &tool);
    ta.options.record = path;
    tool_agent_begin(&ta, replies, sizeof replies / sizeof replies[0]);
}

START_TEST(a_replay_gives_the_same_events_results_and_rows_and_runs_no_tool)
{
    record_script();
    session(questions, 3);
    char *first = strdup(log_text);
    const int runs = n_runs;
    ck_assert_int_eq(runs, 3);
    ck_assert_ptr_nonnull(strstr(first, "thirteen"));
    ck_assert_ptr_nonnull(strstr(first, "Again \xc3\xa4."));
    again();
    session(questions, 3);
    ck_assert_str_eq(first, log_text);
    ck_assert_int_eq(n_runs, runs);
    free(first);
}
END_TEST

START_TEST(what_a_model_computed_is_replayed_with_its_probabilities)
{
    ta.options.tools = NULL;
    ta.options.generate.max_tokens = 12;
    ta.options.generate.n_logprobs = 3;
    ta.options.generate.sampling.temperature = 1.0f; /* another text each time */
    ta.options.record = path;
    ck_assert_int_eq(bezel_agent_new(&ta.agent, ta.tiny.model, &ta.options, &ta.err), BEZEL_OK);
    session(questions, 2);
    char *first = strdup(log_text), *lines = NULL;
    again();
    session(questions, 2);
    ck_assert_str_eq(first, log_text);
    size_t size = 0;
    ck_assert_ptr_null(bezel_agent_session(ta.agent)); /* nothing could compute */
    lines = temp_folder_read(path, &size);
    ck_assert_ptr_nonnull(strstr(lines, "\"top_logprobs\":[-"));
    ck_assert_ptr_nonnull(strstr(lines, "\"temperature\":1"));
    free(lines);
    free(first);
}
END_TEST

/* The same with words only: a file without weights, a model that cannot compute. */
START_TEST(a_replay_needs_no_weights)
{
    char words[600];
    bezel_model_options o;
    bezel_model *whole = ta.tiny.model;
    bezel_session *none = NULL;
    record_script();
    session(questions, 3);
    char *first = strdup(log_text);
    snprintf(words, sizeof words, "%s", temp_folder_file(&ta.folder, "words.gguf"));
    ck_assert_int_eq(bezel_model_save_vocabulary(whole, words, &ta.err), BEZEL_OK);
    ck_assert_int_eq(bezel_model_save_vocabulary(whole, words, &ta.err), BEZEL_ERR_DENIED);
    bezel_model_options_init(&o);
    ck_assert_int_lt(bezel_model_open(&ta.tiny.model, ta.tiny.engine, words, &o, &ta.err), 0); /* no weights */
    o.vocabulary_only = 1;
    ck_assert_msg(bezel_model_open(&ta.tiny.model, ta.tiny.engine, words, &o, &ta.err) == BEZEL_OK, "%s", ta.err.text);
    ck_assert_int_eq(bezel_session_new(&none, ta.tiny.model, NULL, &ta.err), BEZEL_ERR_UNSUPPORTED);
    ck_assert_ptr_nonnull(strstr(ta.err.text, "vocabulary_only"));
    again();
    session(questions, 3);
    ck_assert_str_eq(first, log_text);
    bezel_agent_free(ta.agent);
    ta.agent = NULL;
    bezel_model_free(ta.tiny.model);
    ta.tiny.model = whole;
    free(first);
}
END_TEST

START_TEST(another_question_and_a_further_one_are_missing_with_their_place)
{
    static const char *const other[] = {"How was it?"};
    record_script();
    session(questions, 3);
    again();
    session(other, 1);
    ck_assert_int_eq(ta.err.status, BEZEL_ERR_MISSING);
    ck_assert_ptr_nonnull(strstr(ta.err.text, "prompt differs"));
    ck_assert_ptr_nonnull(strstr(ta.err.place, "session.jsonl:2"));
    session(questions, 3); /* the turn left the history, so the recording goes on */
    ck_assert_ptr_nonnull(strstr(log_text, "Again \xc3\xa4."));
    tool_agent_send(&ta, "More?");
    ck_assert_int_eq(tool_agent_drive(&ta, 1), BEZEL_ERR_MISSING);
    ck_assert_ptr_nonnull(strstr(ta.err.text, "no model call left"));
}
END_TEST

static const struct {
    const char *text;
    bezel_status status;
    const char *says, *place;
} hostiles[] = {
    {"", BEZEL_ERR_TRUNCATED, "line 1", ":1"},
    {"GGUF\n", BEZEL_ERR_FORMAT, "line 1", ":1"},
    {"{}\n", BEZEL_ERR_FORMAT, "no recording", ":1"},
    {"{\"bezel_record\":1}\n", BEZEL_ERR_FORMAT, "n_ctx", ":1"},
    {"{\"bezel_record\":2}\n", BEZEL_ERR_VERSION, "form 2", ":1"},
    {"{\"bezel_record\":1,\"n_ctx\":1024}\n{\"call\":{}}\n{\"call\":[]}\n", BEZEL_ERR_FORMAT, "line 3", ":3"},
    {"{\"bezel_record\":1,\"n_ctx\":1024}\n{\"tool\":{}}\n{\"call\":{\"prompt\":[1,2", BEZEL_ERR_TRUNCATED, "line 3", ":3"},
};

START_TEST(a_file_that_is_no_recording_is_refused_with_its_line)
{
    temp_folder_write(path, hostiles[_i].text, strlen(hostiles[_i].text));
    ta.options.replay = path;
    ck_assert_msg(bezel_agent_new(&ta.agent, ta.tiny.model, &ta.options, &ta.err) == hostiles[_i].status, "%s", ta.err.text);
    ck_assert_ptr_null(ta.agent);
    ck_assert_msg(strstr(ta.err.text, hostiles[_i].says) != NULL, "%s", ta.err.text);
    ck_assert_msg(strstr(ta.err.place, hostiles[_i].place) != NULL, "%s", ta.err.place);
}
END_TEST

START_TEST(numbers_of_a_hostile_recording_do_no_harm)
{
    static const char *const calls[] = {
        "{\"n_top\":4294967295,\"ids\":[1,2],\"top_ids\":[1],\"top_logprobs\":[0.5],\"logprobs\":[1]}",
        "{\"n_top\":3,\"ids\":[1,2],\"top_ids\":[1,2,3],\"top_logprobs\":[]}",
        "{\"stop_reason\":-5,\"n_prompt\":-1,\"pieces\":[1,null,\"x\"],\"ids\":\"none\"}",
        "{\"pieces\":{},\"code\":\"nonsense\",\"error\":7}"};
    char text[512];
    for (size_t i = 0; i < sizeof calls / sizeof calls[0]; i++) {
        bezel_prompt *p = NULL;
        ta.options.replay = NULL;
        ta.options.tools = NULL;
        ck_assert_int_eq(bezel_agent_new(&ta.agent, ta.tiny.model, &ta.options, &ta.err), BEZEL_OK);
        ck_assert_int_eq(bezel_agent_prompt(&p, ta.agent, "?", 1, &ta.err), BEZEL_OK);
        size_t n = 0, size = (size_t)snprintf(text, sizeof text, "{\"bezel_record\":1,\"n_ctx\":1024}\n{\"call\":{\"prompt\":[");
        const int32_t *ids = bezel_prompt_ids(p, &n);
        for (size_t k = 0; k < n; k++)
            size += (size_t)snprintf(text + size, sizeof text - size, "%s%d", k ? "," : "", (int)ids[k]);
        snprintf(text + size, sizeof text - size, "],%s}\n", calls[i] + 1);
        bezel_prompt_free(p);
        bezel_agent_free(ta.agent);
        temp_folder_write(path, text, strlen(text));
        ta.options.replay = path;
        ck_assert_msg(bezel_agent_new(&ta.agent, ta.tiny.model, &ta.options, &ta.err) == BEZEL_OK, "%s", ta.err.text);
        tool_agent_send(&ta, "?");
        tool_agent_drive(&ta, 1);
        bezel_agent_free(ta.agent);
        ta.agent = NULL;
    }
}
END_TEST

START_TEST(a_recording_is_not_overwritten_nor_played_while_it_is_made)
{
    temp_folder_write(path, "mine", 4);
    ta.options.record = path;
    ck_assert_int_eq(bezel_agent_new(&ta.agent, ta.tiny.model, &ta.options, &ta.err), BEZEL_ERR_DENIED);
    ta.options.replay = path;
    ck_assert_int_eq(bezel_agent_new(&ta.agent, ta.tiny.model, &ta.options, &ta.err), BEZEL_ERR_ARGUMENT);
    ta.options.record = NULL;
    ta.options.replay = "/nowhere/at.all";
    ck_assert_int_lt(bezel_agent_new(&ta.agent, ta.tiny.model, &ta.options, &ta.err), 0);
    ck_assert_ptr_nonnull(strstr(ta.err.place, "/nowhere/at.all"));
}
END_TEST

/* Of a recording (script answers) or a replay: makes the agent, one turn, and frees it. */
static bezel_status one_turn(const bz_turn_source *source)
{
    bezel_status st = bz_agent_new_with(&ta.agent, ta.tiny.model, &ta.options, source, &ta.err);
    if (st == BEZEL_OK)
        st = bezel_agent_send(ta.agent, questions[0], SIZE_MAX, &ta.err);
    if (st == BEZEL_OK)
        st = tool_agent_drive(&ta, 1);
    bezel_agent_free(ta.agent);
    ta.agent = NULL;
    return st;
}

START_TEST(a_failing_allocation_at_any_point_of_a_replay_is_an_error_without_a_leak)
{
    record_script();
    session(questions, 1);
    bezel_agent_free(ta.agent);
    ta.agent = NULL;
    ta.options.record = NULL;
    ta.options.replay = path;
    ta.options.journal = NULL;
    ck_assert_int_eq(one_turn(NULL), BEZEL_DONE); /* what is made once is there */
    const int64_t blocks = ta.tw.blocks;
    int failed = 0;
    for (long n = 1;; n++) {
        test_world_arm(&ta.tw, n, 0);
        const bezel_status st = one_turn(NULL);
        const int hit = ta.tw.n_failed;
        test_world_arm(&ta.tw, 0, 0);
        ck_assert_msg(st == BEZEL_DONE || st == BEZEL_ERR_MEMORY, "allocation %ld: %s", n, ta.err.text);
        ck_assert_int_eq(ta.tw.blocks, blocks);
        failed += st == BEZEL_ERR_MEMORY;
        if (!hit)
            break;
    }
    ck_assert_int_gt(failed, 50);
}
END_TEST

START_TEST(a_recording_that_cannot_be_written_fails_the_turn)
{
    bezel_tool tool = tool_agent_tool("probe", BEZEL_TOOL_PURE, probe, NULL);
    tool_agent_add(&ta, &tool);
    ta.options.record = path;
    ta.options.journal = NULL;
    int failed = 0;
    for (long n = 1; n < 60; n++) {
        script_source_init(&ta.script, ta.tiny.model, replies, sizeof replies / sizeof replies[0]);
        unlink(path);
        test_world_arm_file(&ta.tw, n, BEZEL_ERR_IO);
        const bezel_status st = one_turn(&ta.script.source);
        test_world_arm_file(&ta.tw, 0, BEZEL_ERR_IO);
        script_source_free(&ta.script);
        ck_assert_msg(st == BEZEL_DONE || st == BEZEL_ERR_IO, "file call %ld: %s", n, ta.err.text);
        failed += st == BEZEL_ERR_IO;
    }
    ck_assert_int_gt(failed, 2);
    memset(&ta.script, 0, sizeof ta.script);
}
END_TEST

Suite *record_suite(void);
Suite *record_suite(void)
{
    Suite *s = suite_create("record");
    TCase *t = tcase_create("record");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, a_replay_gives_the_same_events_results_and_rows_and_runs_no_tool);
    tcase_add_test(t, what_a_model_computed_is_replayed_with_its_probabilities);
    tcase_add_test(t, a_replay_needs_no_weights);
    tcase_add_test(t, another_question_and_a_further_one_are_missing_with_their_place);
    tcase_add_loop_test(t, a_file_that_is_no_recording_is_refused_with_its_line, 0, (int)(sizeof hostiles / sizeof hostiles[0]));
    tcase_add_test(t, a_failing_allocation_at_any_point_of_a_replay_is_an_error_without_a_leak);
    tcase_add_test(t, a_recording_that_cannot_be_written_fails_the_turn);
    tcase_add_test(t, numbers_of_a_hostile_recording_do_no_harm);
    tcase_add_test(t, a_recording_is_not_overwritten_nor_played_while_it_is_made);
    suite_add_tcase(s, t);
    return s;
}
