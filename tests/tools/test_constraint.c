/* SPDX-License-Identifier: MIT */
/* Constrained answers: whatever a model prefers, what comes out parses and is valid; masks against an oracle that tries every
 * token; which texts a schema lets through. */
#include <bezel/constraint.h>
#include <bezel/session.h>
#include <bezel/tools.h>

#include <check.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "generate/constraint_impl.h"
#include "model/model_impl.h"
#include "generate/constraint_run.h"
#include "support/test_engine.h"
#include "support/tiny_model.h"

Suite *constraint_suite(void);

static tiny_model tiny;
static bezel_tree *tree;

/* Every kind of schema that a tool may have, recursion and limits among them. */
static const char constraint_tools[] =
    "[{\"name\":\"get_time\"},"
    "{\"name\":\"get_timer\",\"parameters\":{\"type\":\"object\",\"properties\":{\"id\":{\"type\":\"integer\"}}}},"
    "{\"name\":\"weather\",\"parameters\":{\"type\":\"object\",\"properties\":{"
    "\"city\":{\"type\":\"string\",\"minLength\":2,\"maxLength\":9},"
    "\"units\":{\"type\":\"string\",\"enum\":[\"celsius\",\"fahrenheit\",\"c\"]},"
    "\"days\":{\"type\":\"integer\",\"minimum\":1,\"maximum\":17}},\"required\":[\"city\"]}},"
    "{\"name\":\"all.kinds\",\"parameters\":{\"type\":\"object\",\"properties\":{"
    "\"n\":{\"type\":\"number\",\"minimum\":0.1,\"exclusiveMaximum\":0.35},"
    "\"m\":{\"type\":\"integer\",\"multipleOf\":7,\"minimum\":-100,\"maximum\":50},"
    "\"e\":{\"enum\":[1,12,\"x\\\"y\",null,true]},"
    "\"u\":{\"anyOf\":[{\"type\":\"string\",\"pattern\":\"^[a-c]{2,3}$\"},{\"type\":\"integer\",\"minimum\":5},"
    "{\"type\":\"array\",\"items\":{\"type\":\"boolean\"},\"uniqueItems\":true}]},"
    "\"s\":{\"type\":\"string\",\"pattern\":\"a.c\"},\"d\":{\"type\":\"string\",\"format\":\"date\"},"
    "\"any\":{},\"o\":{\"type\":\"object\"},\"nul\":{\"type\":[\"string\",\"null\"],\"maxLength\":5},"
    "\"t\":{\"$ref\":\"#/$defs/tree\"}},\"required\":[\"n\",\"m\"],"
    "\"$defs\":{\"tree\":{\"type\":\"object\",\"properties\":{\"v\":{\"type\":\"number\",\"multipleOf\":0.5},"
    "\"kids\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/tree\"}},\"next\":{\"$ref\":\"#/$defs/tree\"}},"
    "\"required\":[\"v\"]}}}},"
    "{\"name\":\"tag\",\"parameters\":{\"type\":\"object\",\"properties\":{"
    "\"l\":{\"type\":\"array\",\"items\":{\"enum\":[\"a\",\"b\",\"c\"]},\"uniqueItems\":true,\"minItems\":2},"
    "\"x\":{\"type\":\"array\",\"items\":{\"type\":\"integer\"},\"minItems\":1,\"maxItems\":3},"
    "\"f\":{\"type\":\"number\"}},\"required\":[\"l\"]}}]";

static const bezel_value *read_json(const char *text)
{
    bezel_value *value = NULL;
    bezel_error err = {.size = (uint32_t)sizeof err};
    ck_assert_msg(bezel_json_read(&value, tree, text, strlen(text), &err) == BEZEL_OK, "%s: %s", err.text, text);
    return value;
}

static bezel_status calls_try(bezel_constraint **out, bezel_model *model, const char *text, const char *dialect, uint32_t any_order,
                              bezel_error *err)
{
    const bezel_value *list = read_json(text);
    bezel_constraint_function functions[8];
    bezel_constraint_options o;
    bezel_constraint_options_init(&o);
    for (size_t i = 0; i < bezel_value_count(list); i++) {
        const bezel_value *item = bezel_value_at(list, i);
        functions[i] = (bezel_constraint_function){bezel_value_text(bezel_value_get(item, "name"), NULL),
                                                   bezel_value_get(item, "parameters")};
    }
    o.functions = functions;
    o.n_functions = bezel_value_count(list);
    o.dialect = dialect;
    o.any_order = any_order;
    o.max_calls = 3;
    o.max_string = 30;
    o.max_items = 3;
    return bezel_constraint_new(out, model, &o, err);
}

static bezel_constraint *calls(const char *dialect, uint32_t any_order)
{
    bezel_constraint *c = NULL;
    bezel_error err = {.size = (uint32_t)sizeof err};
    ck_assert_msg(calls_try(&c, tiny.model, constraint_tools, dialect, any_order, &err) == BEZEL_OK, "%s", err.text);
    return c;
}

static bezel_constraint *json(const char *schema)
{
    bezel_constraint *c = NULL;
    bezel_constraint_options o;
    bezel_error err = {.size = (uint32_t)sizeof err};
    bezel_constraint_options_init(&o);
    o.kind = BEZEL_CONSTRAINT_JSON;
    o.schema = read_json(schema);
    ck_assert_msg(bezel_constraint_new(&c, tiny.model, &o, &err) == BEZEL_OK, "%s: %s", err.text, schema);
    return c;
}

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

/* --- The machine alone --------------------------------------------------------------------- */

/* Writes a random legal text; fails the test in a dead end. Prefers what closes, so that texts end. */
static size_t random_text(char *out, size_t capacity, const bz_call_form *f, bz_rng *rng)
{
    bz_call_state s;
    size_t n = 0;
    bz_call_start(&s, f, 0, NULL);
    while (!bz_call_must_end(&s, f) && !(bz_call_can_end(&s, f) && bz_rng_next(rng) % 2)) {
        uint8_t legal[256];
        size_t n_legal = 0;
        for (int b = 0; b < 256; b++) {
            bz_call_state next;
            bz_call_copy(&next, &s);
            if (bz_call_feed(&next, f, (uint8_t)b))
                legal[n_legal++] = (uint8_t)b;
        }
        ck_assert_msg(n_legal > 0 || bz_call_can_end(&s, f), "dead end after %.*s", (int)n, out);
        const int forced = bz_call_forced_byte(&s, f);
        ck_assert_msg(forced < 0 || (n_legal == 1 && legal[0] == forced), "byte %d is not forced after %.*s", forced, (int)n, out);
        uint8_t byte = legal[bz_rng_next(rng) % n_legal];
        for (size_t i = 0; n_legal > 2 && bz_rng_next(rng) % 4 == 0 && i < n_legal; i++)
            if (strchr("\")}]\xFA", legal[i]) != NULL && legal[i] != 0)
                byte = legal[i];
        ck_assert(bz_call_feed(&s, f, byte));
        ck_assert_uint_lt(n, capacity);
        out[n++] = (char)byte;
    }
    return n;
}

/* Text of the machine to text of the dialect: the tiny vocabulary has no control tokens, so nothing is left to spell. */
static void check_parses(const char *text, size_t n, bezel_toolset *tools)
{
    bezel_parser *p = NULL;
    bezel_value *result = NULL;
    ck_assert_int_eq(bezel_parser_new(&p, tools, 0, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_parser_push(p, text, n, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_parser_finish(p, BEZEL_STOPPED_END, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_parser_result(&result, tree, p, NULL), BEZEL_OK);
    char *shown = NULL;
    ck_assert_int_eq(bezel_json_write(&shown, NULL, tiny.engine, result, 0, NULL), BEZEL_OK);
    ck_assert_msg(bezel_value_count(bezel_value_get(result, "calls")) > 0 && bezel_value_count(bezel_value_get(result, "errors")) == 0,
                  "%.*s\n%s", (int)n, text, shown);
    bezel_text_free(tiny.engine, shown);
    bezel_parser_free(p);
}

static const char *const dialects[] = {"function_call", "python", "json", "functiongemma", "gemma4"};

START_TEST(every_text_that_the_machine_lets_through_is_a_valid_call)
{
    static char text[1 << 16];
    bz_rng rng;
    bezel_toolset *tools = NULL;
    bezel_constraint *c = calls(dialects[_i % 5], (uint32_t)_i / 5);
    ck_assert_int_eq(bezel_toolset_new(&tools, tiny.engine, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_toolset_add_list(tools, read_json(constraint_tools), NULL), BEZEL_OK);
    bz_rng_seed(&rng, (uint64_t)_i + 1);
    for (int round = 0; round < 60; round++) {
        const size_t n = random_text(text, sizeof text, c->form, &rng);
        check_parses(text, n, tools);
    }
    bezel_toolset_free(tools);
    bezel_constraint_free(c);
}
END_TEST

static int accepts(const bezel_constraint *c, const char *text)
{
    bz_call_state s;
    bz_call_start(&s, c->form, 0, NULL);
    return bz_call_feed_bytes(&s, c->form, text, strlen(text)) && bz_call_can_end(&s, c->form);
}

typedef struct schema_case {
    const char *schema;
    const char *good[5], *bad[6];
} schema_case;

static const schema_case schema_cases[] = {
    {"{\"type\":\"integer\"}", {"0", "-1", "12"}, {"01", "-0", "1.5", "", "1e3", "+1"}},
    {"{\"type\":\"integer\",\"minimum\":10,\"maximum\":20}", {"10", "15", "20"}, {"9", "21", "100", "1", "2"}},
    {"{\"type\":\"integer\",\"minimum\":-5,\"maximum\":-3}", {"-5", "-3"}, {"-2", "-6", "3", "0", "-30"}},
    {"{\"type\":\"integer\",\"exclusiveMinimum\":3,\"exclusiveMaximum\":6}", {"4", "5"}, {"3", "6", "40"}},
    {"{\"type\":\"integer\",\"multipleOf\":5,\"minimum\":1,\"maximum\":30}", {"5", "10", "30"}, {"1", "12", "0", "35"}},
    {"{\"type\":\"number\"}", {"0", "1.5", "-2.25", "1e5", "2.5e-3"}, {".5", "1.", "01", "1e", "e5", "NaN"}},
    {"{\"type\":\"number\",\"minimum\":0.5,\"maximum\":1}", {"0.5", "0.75", "1", "1.0"}, {"0.4", "1.1", "0", "2", "5e-1"}},
    {"{\"type\":\"number\",\"exclusiveMinimum\":0}", {"0.1", "3", "1000"}, {"0", "-1", "0.0"}},
    {"{\"type\":\"number\",\"multipleOf\":0.25,\"minimum\":0,\"maximum\":2}", {"0.25", "1.75", "2"}, {"0.3", "2.25", "1.1"}},
    {"{\"type\":\"boolean\"}", {"true", "false"}, {"True", "1", "tru", "null"}},
    {"{\"type\":\"null\"}", {"null"}, {"nul", "0", "None"}},
    {"{\"type\":\"string\"}", {"\"\"", "\"a b\"", "\"\\n\\\"\"", "\"\\u00e9\"", "\"\xC3\xA9\""}, {"a", "\"a", "\"\\x\"", "\"\\ud800\"", "\"\xC3\"", "\"\n\""}},
    {"{\"type\":\"string\",\"minLength\":2,\"maxLength\":3}", {"\"ab\"", "\"\xE6\x9D\xB1\xE4\xBA\xAC\"", "\"a\\nb\""}, {"\"a\"", "\"abcd\"", "\"\""}},
    {"{\"type\":\"string\",\"pattern\":\"^[A-Z]{2}-\\\\d+$\"}", {"\"AB-1\"", "\"ZZ-0099\""}, {"\"ab-1\"", "\"AB-\"", "\"AB1\"", "\"AB-1x\""}},
    {"{\"type\":\"string\",\"pattern\":\"b+\"}", {"\"b\"", "\"abbc\"", "\"\xC3\xA9" "b\""}, {"\"\"", "\"aac\""}},
    {"{\"type\":\"string\",\"pattern\":\"^(yes|no|may(be)?)$\"}", {"\"yes\"", "\"may\"", "\"maybe\""}, {"\"mayb\"", "\"yesno\"", "\"\""}},
    {"{\"type\":\"string\",\"pattern\":\"^.{2}$\"}", {"\"ab\"", "\"\xC3\xA9x\""}, {"\"a\"", "\"abc\""}},
    {"{\"type\":\"string\",\"pattern\":\"^[^0-9]*$\",\"maxLength\":4}", {"\"\"", "\"a\xC3\xA9\""}, {"\"a1\"", "\"abcde\""}},
    {"{\"type\":\"string\",\"format\":\"uuid\"}", {"\"123e4567-e89b-12d3-a456-426614174000\""}, {"\"123e4567\"", "\"\""}},
    {"{\"type\":\"string\",\"format\":\"ipv4\"}", {"\"1.2.3.4\"", "\"255.255.255.0\""}, {"\"256.1.1.1\"", "\"1.2.3\""}},
    {"{\"type\":\"string\",\"format\":\"date\"}", {"\"2026-11-24\"", "\"2026-01-31\""}, {"\"2026-13-01\"", "\"26-1-1\""}},
    {"{\"type\":\"string\",\"format\":\"date-time\"}", {"\"2026-11-24T10:00:00Z\"", "\"2026-11-24T10:00:00+01:00\""}, {"\"2026-11-24\"", "\"2026-11-24T25:00:00Z\""}},
    {"{\"type\":\"string\",\"format\":\"email\"}", {"\"a.b@c.de\""}, {"\"a@\"", "\"@c.de\"", "\"a b@c.de\""}},
    {"{\"enum\":[\"a\",\"ab\",1,12,null,true]}", {"\"a\"", "\"ab\"", "1", "12", "null"}, {"2", "\"b\"", "\"abc\"", "false", "11"}},
    {"{\"const\":\"only\"}", {"\"only\""}, {"\"other\"", "\"onl\""}},
    {"{\"type\":[\"string\",\"null\"]}", {"null", "\"x\""}, {"1", "true"}},
    {"{\"type\":[\"integer\",\"boolean\"]}", {"3", "true"}, {"\"3\"", "null"}},
    {"{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}", {"[]", "[1]", "[1, 2, 3]"}, {"[1,2]", "[1, ]", "[\"a\"]", "[", "[, 1]"}},
    {"{\"type\":\"array\",\"items\":{\"type\":\"boolean\"},\"minItems\":2,\"maxItems\":3}", {"[true, true]", "[true, false, true]"}, {"[]", "[true]", "[true, true, true, true]"}},
    {"{\"type\":\"array\",\"items\":{\"enum\":[\"a\",\"b\"]},\"uniqueItems\":true}", {"[]", "[\"a\"]", "[\"b\", \"a\"]"}, {"[\"a\", \"a\"]", "[\"a\", \"b\", \"a\"]"}},
    {"{\"type\":\"array\",\"items\":{\"type\":\"array\",\"items\":{\"type\":\"integer\"}}}", {"[[1, 2], []]"}, {"[1]", "[[1], 2]"}},
    {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"},\"b\":{\"type\":\"string\"}},\"required\":[\"a\"]}",
     {"{\"a\": 1}", "{\"a\": 1, \"b\": \"x\"}"}, {"{}", "{\"b\": \"x\"}", "{\"b\": \"x\", \"a\": 1}", "{\"a\": 1, \"a\": 1}", "{\"a\":1}", "{\"a\": 1, \"c\": 1}"}},
    {"{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"object\",\"properties\":{\"b\":{\"type\":\"null\"}},\"required\":[\"b\"]}},\"required\":[\"a\"]}",
     {"{\"a\": {\"b\": null}}"}, {"{\"a\": {}}", "{\"a\": null}"}},
    {"{\"type\":\"object\"}", {"{}", "{\"x\": 1}", "{\"x\": {\"y\": [1, null]}}"}, {"{x: 1}", "{\"\": 1}", "[]"}},
    {"{\"type\":\"object\",\"additionalProperties\":{\"type\":\"integer\"}}", {"{\"x\": 1, \"y\": 2}"}, {"{\"x\": \"1\"}"}},
    {"{\"anyOf\":[{\"type\":\"integer\",\"maximum\":3},{\"type\":\"integer\",\"minimum\":30}]}", {"3", "30", "300"}, {"4", "29"}},
    {"{\"anyOf\":[{\"type\":\"string\",\"pattern\":\"^ab$\"},{\"type\":\"string\",\"pattern\":\"^ac$\"}]}", {"\"ab\"", "\"ac\""}, {"\"a\"", "\"ad\""}},
    {"{\"oneOf\":[{\"type\":\"object\",\"properties\":{\"k\":{\"const\":1}},\"required\":[\"k\"]},{\"type\":\"object\",\"properties\":{\"k\":{\"const\":2},\"z\":{\"type\":\"null\"}},\"required\":[\"k\",\"z\"]}]}",
     {"{\"k\": 1}", "{\"k\": 2, \"z\": null}"}, {"{\"k\": 2}", "{\"k\": 1, \"z\": null}"}},
    {"{\"type\":\"object\",\"properties\":{\"next\":{\"$ref\":\"#\"}}}", {"{}", "{\"next\": {\"next\": {}}}"}, {"{\"next\": 1}"}},
    {"{}", {"1", "\"x\"", "[1, {\"a\": null}]", "{}", "true"}, {"", "x", "[1,2]"}},
};

START_TEST(a_schema_lets_valid_texts_through_and_no_others)
{
    const schema_case *k = &schema_cases[_i];
    bezel_constraint *c = json(k->schema);
    for (int i = 0; i < 5 && k->good[i] != NULL; i++)
        ck_assert_msg(accepts(c, k->good[i]), "%s refuses %s", k->schema, k->good[i]);
    for (int i = 0; i < 6 && k->bad[i] != NULL; i++)
        ck_assert_msg(!accepts(c, k->bad[i]), "%s accepts %s", k->schema, k->bad[i]);
    ck_assert_uint_eq(bezel_constraint_warning_count(c), 0);
    bezel_constraint_free(c);
}
END_TEST

START_TEST(a_keyword_outside_of_the_subset_is_a_warning_and_the_rest_holds)
{
    bezel_constraint *c = json("{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"string\",\"pattern\":\"(?=x)y\"},"
                               "\"b\":{\"type\":\"integer\"}},\"required\":[\"a\",\"b\"]}");
    ck_assert_uint_eq(bezel_constraint_warning_count(c), 1);
    ck_assert_int_eq(strncmp(bezel_constraint_warning(c, 0), "answer: parameters.a: pattern: ", 31), 0);
    ck_assert(accepts(c, "{\"a\": \"anything\", \"b\": 1}"));
    ck_assert(!accepts(c, "{\"a\": \"anything\", \"b\": \"1\"}"));
    bezel_constraint_free(c);
}
END_TEST

START_TEST(a_schema_that_requires_itself_is_refused_with_its_reason)
{
    bezel_constraint *c = NULL;
    bezel_constraint_options o;
    bezel_error err = {.size = (uint32_t)sizeof err};
    bezel_constraint_options_init(&o);
    o.kind = BEZEL_CONSTRAINT_JSON;
    o.schema = read_json("{\"type\":\"object\",\"properties\":{\"next\":{\"$ref\":\"#\"}},\"required\":[\"next\"]}");
    ck_assert_int_eq(bezel_constraint_new(&c, tiny.model, &o, &err), BEZEL_ERR_RANGE);
    ck_assert_ptr_null(c);
    ck_assert_ptr_nonnull(strstr(err.text, "without end"));
}
END_TEST

/* One tool that no text can call must not take the constraint of the others away. */
START_TEST(a_function_that_cannot_be_called_is_left_out_and_named)
{
    static const char list[] = "[{\"name\":\"deep\",\"parameters\":{\"type\":\"object\",\"properties\":{\"at\":{\"$ref\":\"#/$defs/n\"}},"
                               "\"required\":[\"at\"],\"$defs\":{\"n\":{\"type\":\"object\",\"properties\":{\"next\":{\"$ref\":"
                               "\"#/$defs/n\"}},\"required\":[\"next\"]}}}},{\"name\":\"flat\"}]";
    bezel_toolset *tools = NULL;
    bezel_constraint *c = NULL;
    bezel_error err = {.size = (uint32_t)sizeof err};
    ck_assert_int_eq(bezel_toolset_new(&tools, tiny.engine, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_toolset_add_list(tools, read_json(list), &err), BEZEL_OK);
    ck_assert_int_eq(bezel_toolset_constraint(&c, tools, tiny.model, NULL, NULL, &err), BEZEL_OK);
    ck_assert(accepts(c, "FUNCTION_CALL: flat()"));
    bz_call_state s;
    bz_call_start(&s, c->form, 0, NULL);
    ck_assert(!bz_call_feed_bytes(&s, c->form, "FUNCTION_CALL: d", 16));
    ck_assert_uint_eq(bezel_constraint_warning_count(c), 1);
    ck_assert_str_eq(bezel_constraint_warning(c, 0), "deep: parameters: required: the schema requires itself without end");
    bezel_constraint_free(c);
    ck_assert_int_eq(bezel_toolset_constraint(&c, tools, tiny.model, "deep", NULL, &err), BEZEL_ERR_RANGE);
    bezel_toolset_free(tools);
}
END_TEST

START_TEST(a_call_that_was_made_does_not_come_again)
{
    bezel_constraint *c = calls("function_call", 0);
    bz_call_state s;
    bz_call_start(&s, c->form, 0, NULL);
    ck_assert(bz_call_feed_bytes(&s, c->form, "FUNCTION_CALL: weather(city=\"Rome\")\nFUNCTION_CALL: ", 51));
    bz_call_state again;
    bz_call_copy(&again, &s);
    ck_assert(!bz_call_feed_bytes(&again, c->form, "weather(city=\"Rome\")", 20));
    bz_call_copy(&again, &s);
    ck_assert(bz_call_feed_bytes(&again, c->form, "weather(city=\"Rome\", days=3)", 28));
    bz_call_start(&s, c->form, 0, NULL);
    bz_call_forbid(&s, "get_time()", 10);
    ck_assert_msg(!bz_call_feed_bytes(&s, c->form, "FUNCTION_CALL: get_time(", 24), "a function without arguments is used up");
    bezel_constraint_free(c);
}
END_TEST

/* --- Masks --------------------------------------------------------------------------------- */

START_TEST(a_mask_is_what_trying_every_token_gives)
{
    static char text[1 << 16];
    bz_rng rng;
    bz_token_mask mask;
    bezel_constraint *c = calls(dialects[_i % 5], (uint32_t)_i / 5);
    const size_t V = bz_vocab_size(tiny.model->vocab);
    ck_assert_int_eq(bz_token_mask_init(&mask, c->world, c->form, c->trie, tiny.model->vocab, &c->marks, NULL), BEZEL_OK);
    bz_rng_seed(&rng, (uint64_t)_i + 77);
    for (int round = 0; round < 12; round++) {
        const size_t n = random_text(text, sizeof text, c->form, &rng), cut = bz_rng_next(&rng) % (n + 1);
        bz_call_state s;
        size_t expected = 0;
        bz_call_start(&s, c->form, 0, NULL);
        for (size_t i = 0; i < cut; i++)
            ck_assert(bz_call_feed(&s, c->form, (uint8_t)text[i]));
        const size_t count = bz_token_mask_fill(&mask, &s);
        for (size_t id = 0; id < V; id++) {
            bz_call_state next;
            bz_call_copy(&next, &s);
            const int legal = !bz_vocab_is_end(tiny.model->vocab, (int32_t)id) && bz_token_mask_accepts(&mask, &next, (int32_t)id);
            ck_assert_msg(legal == bz_token_mask_has(&mask, (int32_t)id), "token %zu after %.*s", id, (int)cut, text);
            expected += (size_t)legal;
        }
        ck_assert_uint_eq(count, expected);
    }
    bz_token_mask_free(&mask, c->world);
    bezel_constraint_free(c);
}
END_TEST

/* --- Whole answers ------------------------------------------------------------------------- */

static bezel_status answer(char *out, size_t capacity, bezel_generation *g, bezel_session *s, const bezel_generate_options *o,
                           bezel_error *err)
{
    bezel_job *job = NULL;
    bezel_status status = bezel_generate(&job, s, o, err);
    if (status == BEZEL_OK)
        status = tiny_model_drive(job, err);
    if (status == BEZEL_DONE)
        status = bezel_generation_get(job, g, err);
    if (status == BEZEL_OK)
        snprintf(out, capacity, "%s", g->text);
    bezel_job_free(job);
    return status;
}

START_TEST(random_logits_still_give_valid_calls)
{
    static char text[1 << 16];
    bezel_toolset *tools = NULL;
    bezel_constraint *c = calls(dialects[_i % 5], 0);
    size_t n_cut = 0;
    ck_assert_int_eq(bezel_toolset_new(&tools, tiny.engine, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_toolset_add_list(tools, read_json(constraint_tools), NULL), BEZEL_OK);
    for (uint64_t seed = 1; seed <= 12; seed++) {
        bezel_session *s = tiny_model_session(&tiny, 1000, 16, 0);
        bezel_generate_options o;
        bezel_generation g = {.size = (uint32_t)sizeof g};
        bezel_error err = {.size = (uint32_t)sizeof err};
        int32_t prompt[3];
        tiny_model_ids(prompt, 3, (uint32_t)seed);
        ck_assert_int_eq(bezel_session_set(s, prompt, 3, NULL), BEZEL_OK);
        bezel_generate_options_init(&o);
        o.sampling.temperature = 3.0F;
        o.sampling.seed = seed;
        o.max_tokens = seed % 3 == 0 ? 900 : (_i % 5 < 3 ? 60 : 110) + 4 * (uint32_t)seed;
        o.constraint = c;
        o.calls = BEZEL_CALLS_REQUIRED;
        ck_assert_msg(answer(text, sizeof text, &g, s, &o, &err) == BEZEL_OK, "%s", err.text);
        check_parses(text, strlen(text), tools); /* also of what had no room */
        n_cut += g.stop_reason == BEZEL_STOP_MAX_TOKENS;
        bezel_session_free(s);
    }
    ck_assert_msg(_i > 0 || n_cut > 0, "all had room");
    bezel_toolset_free(tools);
    bezel_constraint_free(c);
}
END_TEST

/* The name of the first call in text, as a place among names [n]. */
static size_t first_name(const char *text, const char *const *names, size_t n)
{
    const char *name = strstr(text, "FUNCTION_CALL: ");
    ck_assert_ptr_nonnull(name);
    name += strlen("FUNCTION_CALL: ");
    for (size_t i = 0; i < n; i++)
        if (strncmp(name, names[i], strlen(names[i])) == 0 && name[strlen(names[i])] == '(')
            return i;
    ck_abort_msg("no name in %s", text);
    return n;
}

/* Names that begin alike, one of them the beginning of another. */
START_TEST(the_bias_of_a_function_chooses_its_name_and_holds_for_one_call)
{
    static const char *const names[] = {"get", "get_time", "get_times", "set"};
    const float small[] = {0.5F, -0.5F, 0.0F, 1.0F}, wrong[] = {NAN};
    bezel_constraint_function functions[4];
    bezel_constraint *c = NULL;
    bezel_constraint_options co;
    bezel_error err = {.size = (uint32_t)sizeof err};
    static char text[1 << 12];
    int32_t prompt[3];
    bezel_constraint_options_init(&co);
    for (size_t i = 0; i < 4; i++)
        functions[i] = (bezel_constraint_function){names[i], NULL};
    co.functions = functions;
    co.n_functions = 4;
    co.max_calls = 2;
    ck_assert_msg(bezel_constraint_new(&c, tiny.model, &co, &err) == BEZEL_OK, "%s", err.text);
    tiny_model_ids(prompt, 3, 5);
    for (size_t k = 0; k < 6; k++) {
        float bias[4] = {0, 0, 0, 0};
        bezel_session *s = tiny_model_session(&tiny, 400, 16, 0);
        bezel_generate_options o;
        bezel_generation g = {.size = (uint32_t)sizeof g};
        bias[k % 4] = 60.0F;
        bias[(k + 1) % 4] = 40.0F;
        ck_assert_int_eq(bezel_session_set(s, prompt, 3, NULL), BEZEL_OK);
        bezel_generate_options_init(&o);
        bezel_sampling_greedy(&o.sampling);
        o.max_tokens = 300;
        o.constraint = c;
        o.calls = BEZEL_CALLS_REQUIRED;
        o.function_bias = k < 4 ? bias : k == 4 ? small : wrong;
        o.n_function_bias = k < 5 ? 4 : 1;
        o.no_jump = k == 2;
        const bezel_status status = answer(text, sizeof text, &g, s, &o, &err);
        if (k == 5)
            ck_assert_int_eq(status, BEZEL_ERR_RANGE);
        else
            ck_assert_msg(status == BEZEL_OK, "%s", err.text);
        if (k < 4) {
            ck_assert_uint_eq(first_name(text, names, 4), k);
            ck_assert(g.name_probability > 0.99 && g.name_probability <= 1.0);
            const char *rest = strstr(text, ")\nFUNCTION_CALL: ");
            if (rest != NULL)
                ck_assert_uint_eq(first_name(rest, names, 4), (k + 1) % 4); /* without arguments a call comes once */
        } else if (k == 4) {
            ck_assert(g.name_probability > 0.0 && g.name_probability < 1.0);
        }
        bezel_session_free(s);
    }
    bezel_constraint_free(c);
}
END_TEST

/* 1 when every token of text was taken, else 0; text is what a model writes freely first. */
static int takes(const bezel_constraint *c, uint32_t choice, const char *text)
{
    int32_t ids[200];
    size_t n = 0, i = 0;
    bz_constraint_run *run = NULL;
    bezel_generate_options o;
    bezel_generate_options_init(&o);
    o.constraint = c;
    o.calls = choice;
    ck_assert_int_eq(bezel_tokenize(ids, 200, &n, tiny.model, text, SIZE_MAX, 0, NULL), BEZEL_OK);
    ck_assert_int_eq(bz_constraint_run_new(&run, c->world, &o, -1, NULL), BEZEL_OK);
    while (i < n && bz_constraint_run_take(run, ids[i]))
        i++;
    bz_constraint_run_free(run);
    return i == n;
}

START_TEST(a_call_in_free_text_is_held_to_the_schemas_however_it_begins)
{
    static const char *const begins[] = {"FUNCTION_CALL: ", "Function_CALL: ", "Well.\n function_call: ", "", "Well.\n"};
    static const char *const free_texts[] = {"a get(1)", "get it", "FUNCTION_CALLS get(", "My FUNCTION_CALL: get(1"};
    bezel_constraint_function function = {"get", NULL};
    bezel_constraint *c = NULL;
    bezel_constraint_options co;
    char text[100];
    bezel_constraint_options_init(&co);
    co.functions = &function;
    co.n_functions = 1;
    ck_assert_int_eq(bezel_constraint_new(&c, tiny.model, &co, NULL), BEZEL_OK);
    for (size_t i = 0; i < sizeof begins / sizeof *begins; i++) {
        snprintf(text, sizeof text, "%sget()", begins[i]);
        ck_assert_msg(takes(c, BEZEL_CALLS_AUTO, text), "%s", text);
        ck_assert_msg(!takes(c, BEZEL_CALLS_NONE, text), "%s", text);
        snprintf(text, sizeof text, "%sget(1)", begins[i]);
        ck_assert_msg(!takes(c, BEZEL_CALLS_AUTO, text), "%s", text);
    }
    for (size_t i = 0; i < sizeof free_texts / sizeof *free_texts; i++)
        ck_assert_msg(takes(c, BEZEL_CALLS_AUTO, free_texts[i]), "%s", free_texts[i]);
    bezel_constraint_free(c);
}
END_TEST

START_TEST(a_choice_is_one_of_the_texts)
{
    static const char *const choices[] = {"yes", "no", "not sure"};
    char text[64];
    bezel_constraint *c = NULL;
    bezel_constraint_options o;
    bezel_constraint_options_init(&o);
    o.kind = BEZEL_CONSTRAINT_CHOICE;
    o.choices = choices;
    o.n_choices = 3;
    ck_assert_int_eq(bezel_constraint_new(&c, tiny.model, &o, NULL), BEZEL_OK);
    for (uint32_t seed = 1; seed < 9; seed++) {
        bezel_session *s = tiny_model_session(&tiny, 100, 16, 0);
        bezel_generate_options options;
        bezel_generation g = {.size = (uint32_t)sizeof g};
        int32_t prompt[4];
        tiny_model_ids(prompt, 4, seed);
        ck_assert_int_eq(bezel_session_set(s, prompt, 4, NULL), BEZEL_OK);
        bezel_generate_options_init(&options);
        bezel_sampling_greedy(&options.sampling);
        options.constraint = c;
        ck_assert_int_eq(answer(text, sizeof text, &g, s, &options, NULL), BEZEL_OK);
        const char *bare = text[0] == ' ' ? text + 1 : text;
        ck_assert_msg(strcmp(bare, "yes") == 0 || strcmp(bare, "no") == 0 || strcmp(bare, "not sure") == 0, "%s", text);
        ck_assert_int_eq(g.stop_reason, BEZEL_STOP_EOS);
        bezel_session_free(s);
    }
    bezel_constraint_free(c);
}
END_TEST

START_TEST(options_that_make_no_sense_are_named)
{
    static const char *const twice[] = {"a", "a"};
    bezel_constraint *c = NULL;
    bezel_constraint_options o;
    bezel_error err = {.size = (uint32_t)sizeof err};
    bezel_constraint_options_init(&o);
    ck_assert_int_eq(bezel_constraint_new(&c, tiny.model, &o, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(err.text, "n_functions"));
    o.dialect = "klingon";
    ck_assert_int_eq(bezel_constraint_new(&c, tiny.model, &o, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_ptr_nonnull(strstr(err.text, "klingon"));
    bezel_constraint_options_init(&o);
    o.max_calls = 0;
    ck_assert_int_eq(bezel_constraint_new(&c, tiny.model, &o, &err), BEZEL_ERR_RANGE);
    bezel_constraint_options_init(&o);
    o.kind = BEZEL_CONSTRAINT_CHOICE;
    o.choices = twice;
    o.n_choices = 2;
    ck_assert_int_eq(bezel_constraint_new(&c, tiny.model, &o, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_ptr_null(c);
}
END_TEST

/* --- Memory -------------------------------------------------------------------------------- */

/* Nothing to warn about: a warning that finds no memory is only lost. */
static const char plain_tools[] = "[{\"name\":\"say\",\"parameters\":{\"type\":\"object\",\"properties\":{"
                                  "\"text\":{\"type\":\"string\",\"pattern\":\"^[a-z]+$\"}},\"required\":[\"text\"]}}]";

static bezel_status constrained_once(test_world *tw, void *ctx)
{
    const tiny_model *t = ctx;
    bezel_constraint *c = NULL;
    bezel_session *s = NULL;
    bezel_session_options so;
    char text[4096];
    const int32_t prompt[3] = {2, 300, 301};
    bezel_generation g = {.size = (uint32_t)sizeof g};
    bezel_generate_options o;
    (void)tw;
    bezel_status status = calls_try(&c, t->model, plain_tools, "function_call", 0, NULL);
    bezel_session_options_init(&so);
    so.n_ctx = 200;
    if (status == BEZEL_OK)
        status = bezel_session_new(&s, t->model, &so, NULL);
    if (status == BEZEL_OK)
        status = bezel_session_set(s, prompt, 3, NULL);
    bezel_generate_options_init(&o);
    bezel_sampling_greedy(&o.sampling);
    o.max_tokens = 12;
    o.constraint = c;
    o.calls = BEZEL_CALLS_REQUIRED;
    if (status == BEZEL_OK)
        status = answer(text, sizeof text, &g, s, &o, NULL);
    bezel_session_free(s);
    bezel_constraint_free(c);
    return status;
}

static bezel_status trie_once(test_world *tw, void *ctx)
{
    const tiny_model *t = ctx;
    bz_vocab_trie *trie;
    const bezel_status status = bz_vocab_trie_new(&trie, &tw->world, t->model->vocab, NULL);
    bz_vocab_trie_free(trie);
    return status;
}

START_TEST(the_constraint_of_a_set_of_tools_lets_its_calls_through_and_nothing_else)
{
    bezel_toolset *set = NULL;
    bezel_constraint *all = NULL, *one = NULL;
    bezel_error err = {.size = (uint32_t)sizeof err};
    ck_assert_int_eq(bezel_toolset_new(&set, tiny.engine, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_toolset_constraint(&all, set, tiny.model, NULL, NULL, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(bezel_toolset_add_list(set, read_json(constraint_tools), &err), BEZEL_OK);
    ck_assert_int_eq(bezel_toolset_constraint(&all, set, tiny.model, NULL, NULL, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_toolset_constraint(&one, set, tiny.model, "get_time", NULL, &err), BEZEL_OK);
    bezel_toolset_free(set); /* they stand alone */
    static const struct {
        const char *text;
        int all, one;
    } rows[] = {{"FUNCTION_CALL: get_time()", 1, 1},
                {"FUNCTION_CALL: weather(city=\"Oslo\", days=3)", 1, 0},
                {"FUNCTION_CALL: weather(days=3)", 0, 0},
                {"FUNCTION_CALL: get_times()", 0, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bz_call_state s;
        bz_call_start(&s, all->form, 0, NULL);
        ck_assert_int_eq(bz_call_feed_bytes(&s, all->form, rows[i].text, strlen(rows[i].text)), rows[i].all);
        bz_call_start(&s, one->form, 0, NULL);
        ck_assert_int_eq(bz_call_feed_bytes(&s, one->form, rows[i].text, strlen(rows[i].text)), rows[i].one);
    }
    bezel_constraint_free(one);
    bezel_constraint_free(all);
}
END_TEST

START_TEST(the_constraint_of_a_set_names_the_tool_that_is_not_there)
{
    bezel_toolset *set = NULL;
    bezel_constraint *c = NULL;
    bezel_error err = {.size = (uint32_t)sizeof err};
    ck_assert_int_eq(bezel_toolset_new(&set, tiny.engine, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_toolset_add_list(set, read_json(constraint_tools), &err), BEZEL_OK);
    ck_assert_int_eq(bezel_toolset_constraint(&c, set, tiny.model, "nothing", NULL, &err), BEZEL_ERR_MISSING);
    ck_assert_ptr_null(c);
    ck_assert(strstr(err.text, "nothing") != NULL);
    bezel_toolset_free(set);
}
END_TEST

/* The canonical text of bezel_call_render is one that the machine writes. */
START_TEST(a_rendered_call_is_one_that_the_constraint_writes)
{
    static const struct {
        const char *name, *arguments;
    } rows[] = {{"get_time", "{}"},
                {"get_timer", "{\"id\":-12}"},
                {"weather", "{\"city\":\"Sao \\\"P\\\"\",\"units\":\"c\",\"days\":17}"},
                {"weather", "{\"city\":\"K\u00f6ln\"}"},
                {"all.kinds", "{\"n\":0.25,\"m\":-49,\"e\":null,\"nul\":null}"},
                {"all.kinds", "{\"n\":0.1,\"m\":49,\"e\":true,\"u\":[true,false],\"o\":{}}"},
                {"tag", "{\"l\":[\"b\",\"a\"],\"x\":[1,20,-3],\"f\":2.5}"}};
    bezel_constraint *c = calls("function_call", 0);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char *text = NULL;
        size_t size = 0;
        bz_call_state s;
        ck_assert_int_eq(bezel_call_render(&text, &size, tiny.engine, rows[i].name, read_json(rows[i].arguments), NULL), BEZEL_OK);
        bz_call_start(&s, c->form, 0, NULL);
        ck_assert_msg(bz_call_feed_bytes(&s, c->form, text, size) && bz_call_can_end(&s, c->form), "%s", text);
        bezel_text_free(tiny.engine, text);
    }
    bezel_constraint_free(c);
}
END_TEST

START_TEST(a_failing_allocation_is_an_error_without_a_leak)
{
    tiny_model t;
    test_world tw;
    bezel_constraint *first = NULL;
    test_world_init(&tw);
    tiny_model_open(&t, BEZEL_ISA_SCALAR, 1, &tw.world);
    ck_assert_int_gt(test_world_sweep(&tw, trie_once, &t, BEZEL_OK), 6);
    /* the model keeps its trie from here on */
    ck_assert_int_eq(calls_try(&first, t.model, plain_tools, "gemma4", 0, NULL), BEZEL_OK);
    ck_assert_int_gt(test_world_sweep(&tw, constrained_once, &t, BEZEL_OK), 40);
    bezel_constraint_free(first);
    tiny_model_close(&t);
    ck_assert(test_world_is_clean(&tw));
}
END_TEST

Suite *constraint_suite(void)
{
    Suite *suite = suite_create("constraint");
    TCase *t = tcase_create("forms");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, every_text_that_the_machine_lets_through_is_a_valid_call, 0, 10);
    tcase_add_loop_test(t, a_schema_lets_valid_texts_through_and_no_others, 0, (int)(sizeof schema_cases / sizeof *schema_cases));
    tcase_add_test(t, a_keyword_outside_of_the_subset_is_a_warning_and_the_rest_holds);
    tcase_add_test(t, a_schema_that_requires_itself_is_refused_with_its_reason);
    tcase_add_test(t, a_function_that_cannot_be_called_is_left_out_and_named);
    tcase_add_test(t, a_call_that_was_made_does_not_come_again);
    tcase_add_loop_test(t, a_mask_is_what_trying_every_token_gives, 0, 10);
    tcase_add_loop_test(t, random_logits_still_give_valid_calls, 0, 5);
    tcase_add_test(t, the_bias_of_a_function_chooses_its_name_and_holds_for_one_call);
    tcase_add_test(t, a_call_in_free_text_is_held_to_the_schemas_however_it_begins);
    tcase_add_test(t, a_choice_is_one_of_the_texts);
    tcase_add_test(t, options_that_make_no_sense_are_named);
    tcase_add_test(t, the_constraint_of_a_set_of_tools_lets_its_calls_through_and_nothing_else);
    tcase_add_test(t, the_constraint_of_a_set_names_the_tool_that_is_not_there);
    tcase_add_test(t, a_rendered_call_is_one_that_the_constraint_writes);
    tcase_add_test(t, a_failing_allocation_is_an_error_without_a_leak);
    suite_add_tcase(suite, t);
    return suite;
}
