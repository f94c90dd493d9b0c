/* SPDX-License-Identifier: MIT */
/* An example as a map to the messages of a conversation, with calls and results written as an agent writes and reads them.
 * Main invariant: a call in it is one that the parser reads without a warning and the schemas allow. */
#include "teach_impl.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agent_impl.h"
#include "base/status.h"

void bz_teach_talk_free(bz_teach_talk *talk)
{
    for (size_t i = 0; i < talk->n; i++)
        bezel_text_free(talk->engine, talk->texts[i]);
    bezel_tree_free(talk->tree);
    talk->tree = NULL;
    talk->n = 0;
}

static bezel_status talk_fail(bezel_error *err, const char *place, const char *hint, const char *format, ...) BZ_PRINTF(4, 5);
static bezel_status talk_fail(bezel_error *err, const char *place, const char *hint, const char *format, ...)
{
    char text[256];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    bezel_status st = bz_fail(err, BEZEL_ERR_FORMAT, "teach", "%s", text);
    bz_error_place(err, st, "%s", place);
    return bz_error_hint(err, st, "%s", hint);
}

/* The text under a key: *out NULL when it is absent and may be. */
static bezel_status talk_text(const char **out, const bezel_value *map, const char *key, int required, bezel_error *err)
{
    const bezel_value *v = bezel_value_get(map, key);
    *out = NULL;
    if (!v || (bezel_value_type(v) == BEZEL_NULL && !required))
        return required ? talk_fail(err, key, "add it, as a text", "\"%s\" is missing", key) : BEZEL_OK;
    if (bezel_value_type(v) != BEZEL_TEXT)
        return talk_fail(err, key, "write it in quotes", "\"%s\" is no text", key);
    *out = bezel_value_text(v, NULL);
    return BEZEL_OK;
}

static bezel_status talk_push(bz_teach_talk *talk, uint32_t role, int learn, const char *text, char *owned, const char *place,
                              bezel_error *err)
{
    if (talk->n == BZ_TEACH_MESSAGES) {
        bezel_text_free(talk->engine, owned);
        return talk_fail(err, place, "split the conversation", "over %d messages", BZ_TEACH_MESSAGES);
    }
    talk->texts[talk->n] = owned;
    talk->learn[talk->n] = (uint8_t)learn;
    talk->messages[talk->n++] = (bezel_message){sizeof(bezel_message), role, owned ? owned : text, SIZE_MAX};
    return BEZEL_OK;
}

/* --- Calls -------------------------------------------------------------------------------- */

/* Reads back what was rendered: exactly one call, no error, no warning. */
static bezel_status talk_check_call(const bz_teach_talk *talk, const char *line, const char *name, const char *place,
                                    bezel_error *err)
{
    bezel_parser *parser = NULL;
    bezel_tree *tree = NULL;
    bezel_value *result = NULL;
    bezel_status st = bezel_parser_new(&parser, talk->tools, 0, err);
    if (st == BEZEL_OK)
        st = bezel_parser_push(parser, line, strlen(line), err);
    if (st == BEZEL_OK)
        st = bezel_parser_finish(parser, BEZEL_STOPPED_END, err);
    if (st == BEZEL_OK)
        st = bezel_tree_new(&tree, talk->engine, err);
    if (st == BEZEL_OK)
        st = bezel_parser_result(&result, tree, parser, err);
    if (st == BEZEL_OK) {
        const bezel_value *error = bezel_value_at(bezel_value_get(result, "errors"), 0);
        const bezel_value *warnings = bezel_value_get(result, "warnings");
        const char *message = bezel_value_text(bezel_value_get(error, "message"), NULL);
        if (error)
            st = bz_fail(err, BEZEL_ERR_PARSE, "teach", "%s", message);
        else if (bezel_value_count(warnings) > 0)
            st = bz_fail(err, BEZEL_ERR_PARSE, "teach", "the call of %s is not as its schema has it: %s", name,
                         bezel_value_key(warnings, 0, NULL));
        else if (bezel_value_count(bezel_value_get(result, "calls")) != 1)
            st = bz_fail(err, BEZEL_ERR_PARSE, "teach", "the call of %s cannot be read back", name);
        if (st != BEZEL_OK) {
            bz_error_place(err, st, "%s", place);
            bz_error_hint(err, st, "teach what the tools allow: names, types and required arguments as declared");
        }
    }
    bezel_tree_free(tree);
    bezel_parser_free(parser);
    return st;
}

/* {name, arguments}, or OpenAI's {type, function: {name, arguments: text or map}}. */
static bezel_status talk_call(bz_strbuf *out, bz_teach_talk *talk, const bezel_value *call, const char *place, bezel_error *err)
{
    const bezel_value *function = bezel_value_get(call, "function"), *from = function ? function : call;
    const bezel_value *arguments = bezel_value_get(from, "arguments");
    const char *name = bezel_value_text(bezel_value_get(from, "name"), NULL);
    char *line = NULL;
    if (!name[0])
        return talk_fail(err, place, "a call is {\"name\": ..., \"arguments\": {...}}", "a call without a name");
    if (!talk->tools)
        return talk_fail(err, place, "add \"tools\" to the example, or give the tools beside it", "a call of %s, but no tools", name);
    if (talk->n_calls == BZ_TEACH_CALLS)
        return talk_fail(err, place, "split the turn", "over %d calls in a turn", BZ_TEACH_CALLS);
    bezel_status st = BEZEL_OK;
    if (bezel_value_type(arguments) == BEZEL_TEXT) {
        size_t size = 0;
        bezel_value *read = NULL;
        const char *json = bezel_value_text(arguments, &size);
        if (!talk->tree)
            st = bezel_tree_new(&talk->tree, talk->engine, err);
        if (st == BEZEL_OK)
            st = bezel_json_read(&read, talk->tree, json, size, err);
        if (st != BEZEL_OK)
            return bz_error_place(err, st, "%s.arguments", place);
        arguments = read;
    }
    if (arguments && bezel_value_type(arguments) != BEZEL_MAP && bezel_value_type(arguments) != BEZEL_NULL)
        return talk_fail(err, place, "write them as a map of names to values", "the arguments of %s are no map", name);
    st = bezel_call_render(&line, NULL, talk->engine, name, arguments, err);
    if (st == BEZEL_OK)
        st = talk_check_call(talk, line, name, place, err);
    if (st == BEZEL_OK) {
        bz_strbuf_text(out, out->size ? "\n" : "");
        bz_strbuf_text(out, line);
        talk->calls[talk->n_calls] = from;
        talk->arguments[talk->n_calls++] = arguments;
    }
    bezel_text_free(talk->engine, line);
    return st;
}

/* A turn of the model: text, then calls, a line each. */
static bezel_status talk_answer(bz_teach_talk *talk, const char *text, const bezel_value *calls, int learn, const char *place,
                                bezel_error *err)
{
    bz_strbuf b;
    char where[128];
    bezel_status st = BEZEL_OK;
    size_t size = 0;
    bz_strbuf_init(&b, talk->world, 0);
    bz_strbuf_text(&b, text ? text : "");
    talk->n_calls = 0;
    if (calls && bezel_value_type(calls) != BEZEL_LIST && bezel_value_type(calls) != BEZEL_NULL)
        st = talk_fail(err, place, "calls are a list of {\"name\": ..., \"arguments\": {...}}", "the calls are no list");
    for (size_t i = 0; st == BEZEL_OK && i < bezel_value_count(calls); i++) {
        snprintf(where, sizeof where, "%.80s[%zu]", place, i);
        st = talk_call(&b, talk, bezel_value_at(calls, i), where, err);
    }
    if (st == BEZEL_OK && b.size == 0 && b.status == BEZEL_OK)
        st = talk_fail(err, place, "write a text, calls, or both", "a turn of the model without text and calls");
    if (st == BEZEL_OK && b.status != BEZEL_OK)
        st = bz_fail(err, b.status, "teach", "no room for a turn of the model");
    if (st == BEZEL_OK) {
        char *owned = bz_strbuf_take(&b, &size);
        st = owned ? talk_push(talk, BEZEL_ROLE_ASSISTANT, learn, NULL, owned, place, err)
                   : bz_fail_memory(err, "teach", "a turn of the model", b.size);
    }
    bz_strbuf_free(&b);
    return st;
}

/* A result of the first call of that name that has none yet, or of the first call. */
static bezel_status talk_result(bz_teach_talk *talk, const char *name, const bezel_value *value, const char *error,
                                const char *place, bezel_error *err)
{
    size_t i = 0;
    char *line = NULL;
    while (i < talk->n_calls &&
           (!talk->calls[i] || (name && strcmp(name, bezel_value_text(bezel_value_get(talk->calls[i], "name"), NULL)) != 0)))
        i++;
    if (i == talk->n_calls)
        return talk_fail(err, place, "each result answers a call of the turn before it, in order",
                         "a result%s%.64s without a call that waits for it", name ? " of " : "", name ? name : "");
    const char *called = bezel_value_text(bezel_value_get(talk->calls[i], "name"), NULL);
    bezel_status st = bezel_result_render(&line, NULL, talk->engine, talk->tool_profile, called, talk->arguments[i],
                                          error ? NULL : value, error, 0, err);
    talk->calls[i] = NULL;
    return st == BEZEL_OK ? talk_push(talk, BEZEL_ROLE_TOOL, 0, NULL, line, place, err) : bz_error_place(err, st, "%s", place);
}

/* --- Forms -------------------------------------------------------------------------------- */

static bezel_status talk_message(bz_teach_talk *talk, const bezel_value *m, const char *place, bezel_error *err)
{
    const char *name = NULL, *text = NULL, *role_name = bezel_value_text(bezel_value_get(m, "role"), NULL);
    const uint32_t role = bezel_role_from_name(role_name);
    const bezel_value *content = bezel_value_get(m, "content");
    char where[160];
    if (!role)
        return talk_fail(err, place, "roles are system, user, assistant (or model) and tool", "\"%.32s\" is no role", role_name);
    if (role == BEZEL_ROLE_TOOL) {
        const bezel_value *error = bezel_value_get(m, "error");
        bezel_status st = talk_text(&name, m, "name", 0, err);
        if (st == BEZEL_OK && !content && bezel_value_type(error) != BEZEL_TEXT)
            st = talk_fail(err, place, "give \"content\", or \"error\" as a text", "a result without content");
        return st == BEZEL_OK ? talk_result(talk, name, content, content ? NULL : bezel_value_text(error, NULL), place, err) : st;
    }
    const bezel_value *calls = bezel_value_get(m, "calls"), *openai = bezel_value_get(m, "tool_calls");
    snprintf(where, sizeof where, "%.80s.%s", place, calls ? "calls" : openai ? "tool_calls" : "content");
    calls = calls ? calls : openai;
    if (content && bezel_value_type(content) != BEZEL_TEXT && bezel_value_type(content) != BEZEL_NULL)
        return talk_fail(err, where, "images and parts are not taught", "the content is no text");
    text = bezel_value_text(content, NULL);
    if (role == BEZEL_ROLE_ASSISTANT) {
        const bezel_value *learn = bezel_value_get(m, "learn");
        return talk_answer(talk, text, calls, !learn || bezel_value_bool(learn), where, err);
    }
    if (!text[0])
        return talk_fail(err, where, "write its text as \"content\"", "an empty message of the %s", role_name);
    return talk_push(talk, role, 0, text, NULL, place, err);
}

static bezel_status talk_messages(bz_teach_talk *talk, const bezel_value *list, bezel_error *err)
{
    char place[64];
    if (bezel_value_type(list) != BEZEL_LIST || bezel_value_count(list) == 0)
        return talk_fail(err, "messages", "messages are a list of {\"role\": ..., \"content\": ...}", "no list of messages");
    for (size_t i = 0; i < bezel_value_count(list); i++) {
        const bezel_value *m = bezel_value_at(list, i);
        snprintf(place, sizeof place, "messages[%zu]", i);
        if (bezel_value_type(m) != BEZEL_MAP)
            return talk_fail(err, place, "a message is {\"role\": ..., \"content\": ...}", "no map");
        if (i > 0 && bezel_role_from_name(bezel_value_text(bezel_value_get(m, "role"), NULL)) == BEZEL_ROLE_SYSTEM)
            return talk_fail(err, place, "put it first", "a system message behind others");
        if (i == 0 && talk->n > 0 && bezel_role_from_name(bezel_value_text(bezel_value_get(m, "role"), NULL)) == BEZEL_ROLE_SYSTEM)
            continue; /* it is part of the system text already */
        bezel_status st = talk_message(talk, m, place, err);
        if (st != BEZEL_OK)
            return st;
    }
    return BEZEL_OK;
}

static bezel_status talk_question(bz_teach_talk *talk, const bezel_value *example, bezel_error *err)
{
    const char *question = NULL, *answer = NULL;
    const bezel_value *calls = bezel_value_get(example, "calls"), *results = bezel_value_get(example, "results");
    char place[64];
    bezel_status st = talk_text(&question, example, "question", 1, err);
    if (st == BEZEL_OK)
        st = talk_text(&answer, example, "answer", 0, err);
    if (st == BEZEL_OK && !calls && !answer)
        st = talk_fail(err, "answer", "add \"calls\" or \"answer\"", "a question without calls and answer");
    if (st == BEZEL_OK && calls && answer && bezel_value_count(calls) > 0 && !results)
        st = talk_fail(err, "results", "add \"results\": what the calls gave", "an answer after calls that have no results");
    if (st == BEZEL_OK)
        st = talk_push(talk, BEZEL_ROLE_USER, 0, question, NULL, "question", err);
    const int has_calls = calls && bezel_value_count(calls) > 0;
    if (st == BEZEL_OK && (has_calls || !answer))
        st = talk_answer(talk, NULL, calls, 1, "calls", err);
    for (size_t i = 0; st == BEZEL_OK && has_calls && i < bezel_value_count(results); i++) {
        snprintf(place, sizeof place, "results[%zu]", i);
        st = talk_result(talk, NULL, bezel_value_at(results, i), NULL, place, err);
    }
    if (st == BEZEL_OK && answer)
        st = talk_answer(talk, answer, NULL, 1, "answer", err);
    return st;
}

static bezel_status talk_instruction(bz_teach_talk *talk, const bezel_value *example, bezel_error *err)
{
    const char *instruction = NULL, *input = NULL, *output = NULL;
    bz_strbuf b;
    size_t size = 0;
    bezel_status st = talk_text(&instruction, example, "instruction", 1, err);
    if (st == BEZEL_OK)
        st = talk_text(&input, example, "input", 0, err);
    if (st == BEZEL_OK)
        st = talk_text(&output, example, "output", 1, err);
    if (st != BEZEL_OK)
        return st;
    bz_strbuf_init(&b, talk->world, 0);
    bz_strbuf_format(&b, "%s%s%s", instruction, input && input[0] ? "\n\n" : "", input ? input : "");
    if (!b.size && b.status == BEZEL_OK)
        st = talk_fail(err, "instruction", "write what the model is asked", "an empty instruction");
    char *owned = st == BEZEL_OK ? bz_strbuf_take(&b, &size) : NULL;
    if (st == BEZEL_OK)
        st = owned ? talk_push(talk, BEZEL_ROLE_USER, 0, NULL, owned, "instruction", err)
                   : bz_fail_memory(err, "teach", "an instruction", b.size);
    bz_strbuf_free(&b);
    return st == BEZEL_OK ? talk_answer(talk, output, NULL, 1, "output", err) : st;
}

/* What an agent with these options would say first: its system text, which holds the tools. */
static bezel_status talk_system(bz_teach_talk *talk, const bezel_value *example, bezel_error *err)
{
    const char *system = NULL, *context = NULL;
    const bezel_value *first = bezel_value_at(bezel_value_get(example, "messages"), 0);
    bz_strbuf b;
    size_t size = 0;
    bezel_status st = talk_text(&system, example, "system", 0, err);
    if (st == BEZEL_OK)
        st = talk_text(&context, example, "context", 0, err);
    if (st == BEZEL_OK && bezel_role_from_name(bezel_value_text(bezel_value_get(first, "role"), NULL)) == BEZEL_ROLE_SYSTEM) {
        if (system)
            return talk_fail(err, "system", "leave one of them out", "both \"system\" and a system message");
        st = talk_text(&system, first, "content", 1, err);
    }
    if (st != BEZEL_OK)
        return st;
    bz_strbuf_init(&b, talk->world, 0);
    st = bz_agent_system_text(&b, talk->engine, system, talk->tools, talk->tool_profile, context, err);
    char *owned = st == BEZEL_OK && b.size ? bz_strbuf_take(&b, &size) : NULL;
    if (st == BEZEL_OK && b.size && !owned)
        st = bz_fail_memory(err, "teach", "the system text", b.size);
    if (st == BEZEL_OK && owned)
        st = talk_push(talk, BEZEL_ROLE_SYSTEM, 0, NULL, owned, "system", err);
    bz_strbuf_free(&b);
    return st;
}

bezel_status bz_teach_talk_read(bz_teach_talk *talk, const bezel_value *example, bezel_error *err)
{
    const char *const hint = "each example is {\"question\": ...}, {\"messages\": ...} or {\"instruction\": ...}";
    if (bezel_value_type(example) != BEZEL_MAP)
        return talk_fail(err, "", hint, "an example that is no map");
    bezel_status st = talk_system(talk, example, err);
    if (st != BEZEL_OK)
        return st;
    if (bezel_value_get(example, "messages"))
        st = talk_messages(talk, bezel_value_get(example, "messages"), err);
    else if (bezel_value_get(example, "question"))
        st = talk_question(talk, example, err);
    else if (bezel_value_get(example, "instruction"))
        st = talk_instruction(talk, example, err);
    else
        return talk_fail(err, "", hint, "none of \"question\", \"messages\" and \"instruction\"");
    size_t learned = 0;
    for (size_t i = 0; st == BEZEL_OK && i < talk->n; i++)
        learned += talk->learn[i];
    if (st == BEZEL_OK && learned == 0)
        st = talk_fail(err, "messages", "add what the assistant is to say", "no turn of the model to learn");
    return st;
}
