/* SPDX-License-Identifier: MIT */
/* The call parser: the table of cases however it is cut, hostile output, limits, events. */
#include <bezel/tools.h>

#include <check.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/rng.h"
#include "support/test_engine.h"
#include "tools/call_cases.h"

Suite *call_parser_suite(void);

static bezel_engine *engine;
static bezel_toolset *tools;

static bezel_status add_case_tools(bezel_toolset *set, bezel_engine *e)
{
    bezel_tree *tree = NULL;
    bezel_value *list = NULL;
    bezel_status status = bezel_tree_new(&tree, e, NULL);
    if (status == BEZEL_OK)
        status = bezel_json_read(&list, tree, call_case_tools, strlen(call_case_tools), NULL);
    if (status == BEZEL_OK)
        status = bezel_toolset_add_list(set, list, NULL);
    bezel_tree_free(tree);
    return status;
}

static void setup(void)
{
    engine = test_engine_new(NULL, 1, BEZEL_ISA_SCALAR);
    ck_assert_int_eq(bezel_toolset_new(&tools, engine, NULL), BEZEL_OK);
    ck_assert_int_eq(add_case_tools(tools, engine), BEZEL_OK);
}

static void teardown(void)
{
    bezel_toolset_free(tools);
    bezel_engine_free(engine);
}

/* --- Running a parser --------------------------------------------------------------------- */

enum { BYTE_BY_BYTE = -1, WHOLE = -2 };

typedef struct outcome {
    bezel_tree *tree;
    bezel_value *result;
    char *streamed; /* TEXT events joined */
    size_t streamed_size;
    int events[4];
} outcome;

static void drain(bezel_parser *p, outcome *o)
{
    bezel_parse_event e = {.size = sizeof e};
    while (bezel_parser_event(p, &e)) {
        ck_assert(e.type >= BEZEL_PARSE_TEXT && e.type <= BEZEL_PARSE_ERROR);
        o->events[e.type]++;
        if (e.type == BEZEL_PARSE_TEXT) {
            o->streamed = realloc(o->streamed, o->streamed_size + e.text_size + 1);
            memcpy(o->streamed + o->streamed_size, e.text, e.text_size);
            o->streamed_size += e.text_size;
            o->streamed[o->streamed_size] = '\0';
        } else if (e.type == BEZEL_PARSE_CALL) {
            ck_assert_ptr_nonnull(e.tool);
            ck_assert_uint_eq(bezel_value_type(e.arguments), BEZEL_MAP);
        } else {
            ck_assert_ptr_nonnull(e.code);
            ck_assert(e.text_size > 0);
        }
    }
}

/* cut: bytes of the first piece, or BYTE_BY_BYTE, or WHOLE. */
static outcome parse_with(const char *s, size_t n, long cut, int repair, uint32_t stopped)
{
    outcome o;
    bezel_parser *p = NULL;
    memset(&o, 0, sizeof o);
    ck_assert_int_eq(bezel_parser_new(&p, tools, repair, NULL), BEZEL_OK);
    if (cut == BYTE_BY_BYTE) {
        for (size_t i = 0; i < n; i++) {
            ck_assert_int_eq(bezel_parser_push(p, s + i, 1, NULL), BEZEL_OK);
            drain(p, &o);
        }
    } else {
        size_t first = cut == WHOLE ? n : (size_t)cut;
        ck_assert_int_eq(bezel_parser_push(p, s, first, NULL), BEZEL_OK);
        drain(p, &o);
        ck_assert_int_eq(bezel_parser_push(p, s + first, n - first, NULL), BEZEL_OK);
        drain(p, &o);
    }
    ck_assert_int_eq(bezel_parser_finish(p, stopped, NULL), BEZEL_OK);
    drain(p, &o);
    ck_assert_int_eq(bezel_tree_new(&o.tree, engine, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_parser_result(&o.result, o.tree, p, NULL), BEZEL_OK);
    bezel_parser_free(p);
    return o;
}

static outcome parse(const char *s)
{
    return parse_with(s, strlen(s), WHOLE, 0, BEZEL_STOPPED_END);
}

static void drop(outcome *o)
{
    bezel_tree_free(o->tree);
    free(o->streamed);
}

static const bezel_value *part(const outcome *o, const char *name)
{
    return bezel_value_get(o->result, name);
}

static const char *code_at(const outcome *o, size_t i)
{
    return bezel_value_text(bezel_value_get(bezel_value_at(part(o, "errors"), i), "code"), NULL);
}

static const bezel_value *argument(const outcome *o, size_t call, const char *name)
{
    return bezel_value_get(bezel_value_get(bezel_value_at(part(o, "calls"), call), "arguments"), name);
}

static char *show(const outcome *o)
{
    char *text = NULL;
    ck_assert_int_eq(bezel_json_write(&text, NULL, engine, o->result, 0, NULL), BEZEL_OK);
    return text;
}

static void check_case(const call_case *c, const outcome *o, long cut)
{
    bezel_value *expected = NULL;
    const bezel_value *calls = part(o, "calls"), *errors = part(o, "errors");
    char *shown = show(o), codes[256] = "";
    ck_assert_int_eq(bezel_json_read(&expected, o->tree, c->calls, strlen(c->calls), NULL), BEZEL_OK);
    ck_assert_msg(bezel_value_count(calls) == bezel_value_count(expected), "case %d cut %ld: %s", c->nr, cut, shown);
    for (size_t i = 0; i < bezel_value_count(calls); i++) {
        const bezel_value *call = bezel_value_at(calls, i), *want = bezel_value_at(expected, i);
        ck_assert_msg(bezel_value_equal(bezel_value_get(call, "name"), bezel_value_at(want, 0)) &&
                          bezel_value_equal(bezel_value_get(call, "arguments"), bezel_value_at(want, 1)),
                      "case %d cut %ld: %s", c->nr, cut, shown);
    }
    for (size_t i = 0; i < bezel_value_count(errors); i++) {
        strcat(codes, i > 0 ? " " : "");
        strcat(codes, bezel_value_text(bezel_value_get(bezel_value_at(errors, i), "code"), NULL));
    }
    ck_assert_msg(strcmp(codes, c->errors) == 0, "case %d cut %ld: %s", c->nr, cut, shown);
    const char *text = bezel_value_text(part(o, "text"), NULL);
    if (c->text != NULL)
        ck_assert_msg(strcmp(text, c->text) == 0, "case %d cut %ld: %s", c->nr, cut, shown);
    ck_assert_msg(strcmp(text, o->streamed != NULL ? o->streamed : "") == 0, "case %d cut %ld: streamed %s", c->nr, cut, shown);
    bezel_text_free(engine, shown);
}

static int same_result(const outcome *a, const outcome *b)
{
    return bezel_value_equal(a->result, b->result) && a->streamed_size == b->streamed_size &&
           (a->streamed_size == 0 || memcmp(a->streamed, b->streamed, a->streamed_size) == 0);
}

/* Any input: whole, byte by byte and in two pieces at `cuts` places give the same. */
static void check_cuts(const char *s, size_t n, size_t cuts)
{
    outcome whole = parse_with(s, n, WHOLE, 0, BEZEL_STOPPED_END), bytes = parse_with(s, n, BYTE_BY_BYTE, 0, BEZEL_STOPPED_END);
    char *a = show(&whole), *b = show(&bytes);
    ck_assert_msg(same_result(&whole, &bytes), "%s\n%s\n%s", s, a, b);
    bezel_text_free(engine, b);
    for (size_t k = 1; k <= cuts; k++) {
        outcome two = parse_with(s, n, (long)(n * k / (cuts + 1)), 0, BEZEL_STOPPED_END);
        ck_assert_msg(same_result(&whole, &two), "%s", s);
        drop(&two);
    }
    bezel_text_free(engine, a);
    drop(&whole);
    drop(&bytes);
}

/* --- The table ---------------------------------------------------------------------------- */

START_TEST(every_case_of_the_table_is_read)
{
    for (size_t i = 0; i < N_CALL_CASES; i++) {
        outcome o = parse(call_cases[i].input);
        check_case(&call_cases[i], &o, WHOLE);
        drop(&o);
    }
}
END_TEST

START_TEST(every_case_cut_at_every_byte_gives_the_same)
{
    for (size_t i = 0; i < N_CALL_CASES; i++) {
        size_t n = strlen(call_cases[i].input);
        for (size_t cut = 0; cut <= n; cut++) {
            outcome o = parse_with(call_cases[i].input, n, (long)cut, 0, BEZEL_STOPPED_END);
            check_case(&call_cases[i], &o, (long)cut);
            drop(&o);
        }
    }
}
END_TEST

START_TEST(every_case_byte_by_byte_gives_the_same)
{
    for (size_t i = 0; i < N_CALL_CASES; i++) {
        outcome o = parse_with(call_cases[i].input, strlen(call_cases[i].input), BYTE_BY_BYTE, 0, BEZEL_STOPPED_END);
        check_case(&call_cases[i], &o, BYTE_BY_BYTE);
        drop(&o);
    }
}
END_TEST

START_TEST(every_prefix_of_a_case_is_read_alike_in_any_pieces_and_makes_no_new_call)
{
    for (size_t i = 0; i < N_CALL_CASES; i++) {
        const char *s = call_cases[i].input;
        for (size_t n = 0; n < strlen(s); n++) {
            outcome whole = parse_with(s, n, WHOLE, 0, BEZEL_STOPPED_LIMIT);
            outcome bytes = parse_with(s, n, BYTE_BY_BYTE, 0, BEZEL_STOPPED_LIMIT);
            ck_assert_msg(same_result(&whole, &bytes), "case %d prefix %zu", call_cases[i].nr, n);
            bezel_value *full = NULL;
            ck_assert_int_eq(bezel_json_read(&full, whole.tree, call_cases[i].calls, strlen(call_cases[i].calls), NULL), 0);
            ck_assert_uint_le(bezel_value_count(part(&whole, "calls")), bezel_value_count(full));
            drop(&whole);
            drop(&bytes);
        }
    }
}
END_TEST

/* --- The end of the output ---------------------------------------------------------------- */

START_TEST(repair_tail_closes_a_call_only_after_a_complete_value_and_the_end_of_a_turn)
{
    static const struct {
        const char *input;
        size_t calls;
    } rows[] = {
        {FC "get_weather(city=\"Paris\"", 1}, {FC "get_weather(city=\"Par", 0},   {FC "add(a=1, b=2", 1},
        {FC "add(a=1", 0},                    {FC "get_weather(city=Par", 0},     {FC "tag(id=\"x\", tags=[\"a\"", 0},
        {FC "get_weather(city=\"Paris\",", 1}, {FC "get_weather(", 0},            {FC "tag(id=\"x\", tags=[\"a\"]", 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        size_t n = strlen(rows[i].input);
        outcome end = parse_with(rows[i].input, n, WHOLE, 1, BEZEL_STOPPED_END);
        outcome limit = parse_with(rows[i].input, n, WHOLE, 1, BEZEL_STOPPED_LIMIT);
        ck_assert_msg(bezel_value_count(part(&end, "calls")) == rows[i].calls, "%s", rows[i].input);
        ck_assert_uint_eq(bezel_value_count(part(&end, "errors")), 1 - rows[i].calls);
        ck_assert_uint_eq(bezel_value_count(part(&limit, "calls")), 0);
        ck_assert_str_eq(code_at(&limit, 0), "truncated");
        drop(&end);
        drop(&limit);
    }
}
END_TEST

START_TEST(a_name_alone_is_no_call_when_the_output_ran_into_a_limit)
{
    outcome o = parse_with(FC "get_time", strlen(FC "get_time"), WHOLE, 0, BEZEL_STOPPED_LIMIT);
    ck_assert_uint_eq(bezel_value_count(part(&o, "calls")), 0);
    ck_assert_str_eq(code_at(&o, 0), "truncated");
    drop(&o);
}
END_TEST

START_TEST(a_complete_call_before_the_limit_stands)
{
    const char *s = FC "get_time()\n" FC "get_weather(city=\"Par";
    outcome o = parse_with(s, strlen(s), WHOLE, 0, BEZEL_STOPPED_LIMIT);
    ck_assert_uint_eq(bezel_value_count(part(&o, "calls")), 1);
    ck_assert_str_eq(code_at(&o, 0), "truncated");
    drop(&o);
}
END_TEST

/* --- Streaming ---------------------------------------------------------------------------- */

START_TEST(text_that_cannot_begin_a_call_comes_at_once)
{
    bezel_parser *p = NULL;
    bezel_parse_event e = {.size = sizeof e};
    ck_assert_int_eq(bezel_parser_new(&p, tools, 0, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_parser_push(p, "It is ", 6, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_parser_event(p, &e), 1);
    ck_assert_uint_eq(e.type, BEZEL_PARSE_TEXT);
    ck_assert_uint_eq(e.text_size, 5); /* the blank waits: it may be the last byte of the text */
    ck_assert_int_eq(bezel_parser_push(p, "no", 2, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_parser_event(p, &e), 1);
    ck_assert_uint_eq(e.text_size, 3);
    ck_assert_int_eq(memcmp(e.text, " no", 3), 0);
    ck_assert_int_eq(bezel_parser_push(p, "on.\nFUNCTION", 12, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_parser_event(p, &e), 1);
    ck_assert_uint_eq(e.text_size, 3);
    ck_assert_int_eq(bezel_parser_event(p, &e), 0);
    bezel_parser_free(p);
}
END_TEST

START_TEST(a_call_comes_as_soon_as_its_bracket_closes)
{
    bezel_parser *p = NULL;
    bezel_parse_event e = {.size = sizeof e};
    const char *s = FC "get_weather(days=3, city=\"Paris\")";
    ck_assert_int_eq(bezel_parser_new(&p, tools, 0, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_parser_push(p, s, strlen(s), NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_parser_event(p, &e), 0); /* `")` may still be text */
    ck_assert_int_eq(bezel_parser_push(p, "\n", 1, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_parser_event(p, &e), 1);
    ck_assert_uint_eq(e.type, BEZEL_PARSE_CALL);
    ck_assert_str_eq(e.tool, "get_weather");
    ck_assert_uint_eq(e.offset, strlen(FC));
    bezel_parser_free(p);
}
END_TEST

START_TEST(half_characters_are_never_given_out)
{
    const char *s = "caf\xC3\xA9 \xF0\x9F\x8C\x9E!";
    outcome o = parse_with(s, strlen(s), BYTE_BY_BYTE, 0, BEZEL_STOPPED_END);
    ck_assert_str_eq(o.streamed, s);
    ck_assert_int_le(o.events[BEZEL_PARSE_TEXT], 7);
    drop(&o);
}
END_TEST

START_TEST(nothing_can_be_pushed_behind_the_end)
{
    bezel_parser *p = NULL;
    ck_assert_int_eq(bezel_parser_new(&p, tools, 0, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_parser_finish(p, BEZEL_STOPPED_END, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_parser_push(p, "x", 1, NULL), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(bezel_parser_finish(p, BEZEL_STOPPED_END, NULL), BEZEL_OK);
    bezel_parser_free(p);
}
END_TEST

/* --- Hostile output ----------------------------------------------------------------------- */

/* One error with this code, no call, whatever the pieces. */
static void check_one_error(const char *s, size_t n, const char *code)
{
    outcome o = parse_with(s, n, WHOLE, 0, BEZEL_STOPPED_END);
    ck_assert_msg(bezel_value_count(part(&o, "errors")) == 1, "%.100s: %zu errors", s, bezel_value_count(part(&o, "errors")));
    ck_assert_uint_eq(bezel_value_count(part(&o, "calls")), 0);
    ck_assert_msg(strcmp(code_at(&o, 0), code) == 0, "%.100s: %s, not %s", s, code_at(&o, 0), code);
    drop(&o);
}

START_TEST(a_broken_call_is_one_named_error)
{
    static const struct {
        const char *input, *code;
    } rows[] = {
        {FC, "truncated"},
        {FC "(", "syntax"},
        {FC "get_weather", "missing_parameter"},
        {FC "get_weather(", "truncated"},
        {FC "../get_time()", "syntax"},
        {FC "__index()", "unknown_function"},
        {FC "os.execute(\"ls\")", "unknown_function"},
        {FC "add(a=1e400, b=1)", "out_of_range"},
        {FC "add(a=NaN, b=1)", "bad_type"},
        {FC "make(opts={}, n=9223372036854775808)", "out_of_range"},
        {FC "make(opts={}, n=-9223372036854775809)", "out_of_range"},
        {FC "get_weather(\"a\", \"celsius\", 3, 4)", "too_many_arguments"},
        {FC "say(text=\"x\"]", "syntax"},
        {FC "say(text={\"a\": 1})", "bad_type"},
        {FC "make(opts={a 1})", "syntax"},
        {FC "make(opts=[1)", "syntax"},
        {FC "{\"name\": \"add\", \"arguments\": 3}", "syntax"},
        {"<tool_call>{\"name\": \"nothing\", \"arguments\": {}}</tool_call>", "unknown_function"},
        {"<start_function_call>call:say{text:<escape>a", "truncated"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        check_one_error(rows[i].input, strlen(rows[i].input), rows[i].code);
        check_cuts(rows[i].input, strlen(rows[i].input), strlen(rows[i].input));
    }
}
END_TEST

START_TEST(integers_at_the_ends_of_64_bits_are_exact)
{
    outcome o = parse(FC "make(opts={}, n=9223372036854775807)\n" FC "make(opts={}, n=-9223372036854775808)");
    ck_assert_int_eq(bezel_value_integer(argument(&o, 0, "n")), INT64_MAX);
    ck_assert_int_eq(bezel_value_integer(argument(&o, 1, "n")), INT64_MIN);
    drop(&o);
}
END_TEST

START_TEST(escapes_are_decoded_exactly_or_left_as_written)
{
    outcome o = parse(FC "say(text=\"a\\u0000b \\ud800 \\xZZ \\x41 \\q\")");
    size_t n;
    const char *text = bezel_value_text(argument(&o, 0, "text"), &n);
    ck_assert_uint_eq(n, 20);
    ck_assert_int_eq(memcmp(text, "a\0b \\ud800 \\xZZ A \\q", 20), 0);
    drop(&o);
}
END_TEST

START_TEST(nul_bytes_and_invalid_utf8_are_data)
{
    static const char s[] = FC "say(text=\"a\0b\xFF\")";
    outcome o = parse_with(s, sizeof s - 1, WHOLE, 0, BEZEL_STOPPED_END);
    size_t n;
    const char *text = bezel_value_text(argument(&o, 0, "text"), &n);
    ck_assert_uint_eq(n, 6);
    ck_assert_int_eq(memcmp(text, "a\0b\xEF\xBF\xBD", 6), 0);
    drop(&o);
    static const char name[] = FC "get_time\0x()";
    check_one_error(name, sizeof name - 1, "syntax");
}
END_TEST

static char *repeat(const char *before, const char *unit, size_t times, const char *after, size_t *out_size)
{
    size_t b = strlen(before), u = strlen(unit), a = strlen(after);
    char *s = malloc(b + u * times + a + 1);
    memcpy(s, before, b);
    for (size_t i = 0; i < times; i++)
        memcpy(s + b + i * u, unit, u);
    memcpy(s + b + u * times, after, a + 1);
    *out_size = b + u * times + a;
    return s;
}

START_TEST(nesting_is_fine_up_to_32_and_one_error_beyond)
{
    static const size_t depths[] = {33, 1000, 10000, 1000000};
    size_t n, m;
    char *inner = repeat("", "]", 30, "})", &m), *s = repeat(FC "make(opts={\"a\":", "[", 30, inner, &n);
    outcome o = parse_with(s, n, WHOLE, 0, BEZEL_STOPPED_END);
    ck_assert_uint_eq(bezel_value_count(part(&o, "calls")), 1);
    drop(&o);
    free(s);
    free(inner);
    for (size_t i = 0; i < 4; i++) {
        s = repeat(FC "make(opts=", "[", depths[i], "", &n);
        check_one_error(s, n, "too_deep");
        free(s);
        s = repeat("", "[", depths[i], "", &n);
        o = parse_with(s, n, WHOLE, 0, BEZEL_STOPPED_END);
        ck_assert_uint_eq(bezel_value_count(part(&o, "errors")), 0); /* no call: text */
        ck_assert_uint_eq(o.streamed_size, n);
        drop(&o);
        free(s);
    }
}
END_TEST

START_TEST(a_call_beyond_64_kib_is_one_error_and_the_end)
{
    size_t n;
    char *s = repeat(FC "say(text=\"", "x", 1 << 20, "\")\n" FC "get_time()", &n);
    check_one_error(s, n, "too_long");
    outcome bytes = parse_with(s, n, 70000, 0, BEZEL_STOPPED_END);
    ck_assert_str_eq(code_at(&bytes, 0), "too_long");
    drop(&bytes);
    free(s);
    s = repeat(FC "say(text=\"", "x", 60000, "\")", &n);
    outcome o = parse_with(s, n, WHOLE, 0, BEZEL_STOPPED_END);
    ck_assert_uint_eq(bezel_value_count(part(&o, "calls")), 1);
    drop(&o);
    free(s);
}
END_TEST

START_TEST(too_many_arguments_and_a_long_key_are_one_error)
{
    size_t n;
    char *s = repeat(FC "make(", "a=1, ", 10000, ")", &n);
    check_one_error(s, n, "too_many_arguments");
    free(s);
    s = repeat(FC "make(", "k", 1 << 20, "=1)", &n);
    check_one_error(s, n, "too_long");
    free(s);
    s = repeat(FC "make(", "k", 1000, "=1)", &n);
    check_one_error(s, n, "unknown_parameter");
    free(s);
}
END_TEST

START_TEST(sixteen_calls_are_read_and_the_rest_is_one_error)
{
    size_t n;
    char *s = repeat("", FC "get_time()\n", 1000, "", &n);
    outcome o = parse_with(s, n, WHOLE, 0, BEZEL_STOPPED_END);
    ck_assert_uint_eq(bezel_value_count(part(&o, "calls")), 16);
    ck_assert_uint_eq(bezel_value_count(part(&o, "errors")), 1);
    ck_assert_str_eq(code_at(&o, 0), "too_many_calls");
    drop(&o);
    check_cuts(s, n, 3);
    free(s);
}
END_TEST

START_TEST(work_is_linear_in_the_output)
{
    static const char *const units[] = {"FUNCTION_CALL get_time(", "\"), ", "a, ", "[get_time(), ", "<tool_call>", "```json\n{",
                                        "\n- - - -", "f", "FUNCTION_CALL: say(text=\"", "  ", "{\"a\":", "(", "' "};
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        for (int marked = 0; marked < 2; marked++) {
            size_t n;
            char *s = repeat(marked ? FC "say(text=\"" : "", units[i], (160u << 10) / strlen(units[i]), "", &n);
            clock_t start = clock();
            outcome whole = parse_with(s, n, WHOLE, 0, BEZEL_STOPPED_END);
            outcome bytes = parse_with(s, n, BYTE_BY_BYTE, 0, BEZEL_STOPPED_END);
            double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
            ck_assert_msg(same_result(&whole, &bytes), "%s", units[i]);
            ck_assert_msg(seconds < 30, "%s: %.1f s", units[i], seconds);
            drop(&whole);
            drop(&bytes);
            free(s);
        }
    }
}
END_TEST

/* --- Sites -------------------------------------------------------------------------------- */

START_TEST(trigger_words_inside_words_and_thoughts_are_text)
{
    static const char *const rows[] = {
        "functional programs", "FUNCTION_CALLER: get_time()", "my_function_call: get_time()",
        "<|channel>thought\nFUNCTION_CALL: get_time()\n<channel|>", "<think>\nFUNCTION_CALL: get_time()</think>",
        "get_time() tells the time.", "[1, 2, 3]", "[get_time(), 3]", "{\"name\": \"Bob\", \"age\": 3}", "```python\nx = 3\n```",
        "</tool_call> and <end_function_call>", "```\nplain\n```"};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        outcome o = parse(rows[i]);
        ck_assert_msg(strcmp(bezel_value_text(part(&o, "text"), NULL), rows[i]) == 0, "%s: %s", rows[i],
                      bezel_value_text(part(&o, "text"), NULL));
        ck_assert_uint_eq(bezel_value_count(part(&o, "calls")) + bezel_value_count(part(&o, "errors")), 0);
        drop(&o);
        check_cuts(rows[i], strlen(rows[i]), strlen(rows[i]));
    }
}
END_TEST

START_TEST(other_shapes_of_calls_are_read)
{
    static const struct {
        const char *input;
        size_t calls;
        const char *text;
    } rows[] = {
        {"get_time()", 1, ""},
        {"get_time()\nget_weather(city=\"Paris\")", 2, ""},
        {"print(get_time())", 1, ""},
        {FC "get_weather(city=\"Paris\") to find out.", 1, "to find out."},
        {FC "get_weather(city=\"Paris\").", 1, "."},
        {FC "get_time()\nget_time() tells the time", 1, "get_time() tells the time"},
        {"Ok.\n" FC "get_time()\nDone.", 1, "Ok.\nDone."},
        {"Now FUNCTION_CALL: get_time() runs", 1, "Now\nruns"},
        {"{\"tool_calls\": [{\"type\": \"function\", \"function\": {\"name\": \"get_time\", \"arguments\": \"{}\"}}]}", 1, ""},
        {"{\"get_weather\": {\"city\": \"Paris\"}}", 1, ""},
        {"{\"arguments\": {\"city\": \"Paris\"}, \"name\": \"get_weather\"}", 1, ""},
        {"```json\n{\"name\": \"get_time\"}\n```\nThat is all.", 1, "That is all."},
        {"```tool_code\nget_time()\nadd(a=1, b=2)\n```", 2, ""},
        {"<tool_call>get_time</tool_call>", 1, ""},
        {"<tool_call>{\"name\": \"get_time\", \"arguments\": {}}</tool_call><tool_call>{\"name\": \"get_time\"}</tool_call>", 2, ""},
        {"<|tool_call>call:get_weather(city: \"Rome\")<tool_call|><|tool_response>", 1, ""},
        {"<start_function_call>call:get_time{}<end_function_call><start_function_call>call:get_time{}<end_function_call>", 2, ""},
        {FC "{\"name\": \"get_time\"}\n{\"name\": \"get_time\"}", 2, ""},
        {FC "add(a=1; b=0x10)", 1, ""},
        {FC "get_weather(city=Washington, D.C., days=2)", 1, ""},
        {FC "get_weather(city=\"Paris\n" FC "get_time()", 1, ""},
        {"\xEF\xBB\xBF" FC "get_time()", 1, ""},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        outcome o = parse(rows[i].input);
        char *shown = show(&o);
        ck_assert_msg(bezel_value_count(part(&o, "calls")) == rows[i].calls, "%s: %s", rows[i].input, shown);
        if (rows[i].text != NULL)
            ck_assert_msg(strcmp(bezel_value_text(part(&o, "text"), NULL), rows[i].text) == 0, "%s: %s", rows[i].input, shown);
        bezel_text_free(engine, shown);
        drop(&o);
        check_cuts(rows[i].input, strlen(rows[i].input), strlen(rows[i].input));
    }
}
END_TEST

START_TEST(an_unquoted_text_keeps_its_commas)
{
    outcome o = parse(FC "get_weather(city=Washington, D.C., days=2)");
    ck_assert_str_eq(bezel_value_text(argument(&o, 0, "city"), NULL), "Washington, D.C.");
    ck_assert_int_eq(bezel_value_integer(argument(&o, 0, "days")), 2);
    drop(&o);
}
END_TEST

START_TEST(an_error_names_tool_parameter_and_place)
{
    const char *s = "Hm.\n" FC "get_weather(city=\"Paris\", days=9)";
    outcome o = parse(s);
    const bezel_value *e = bezel_value_at(part(&o, "errors"), 0);
    ck_assert_str_eq(bezel_value_text(bezel_value_get(e, "tool"), NULL), "get_weather");
    ck_assert_str_eq(bezel_value_text(bezel_value_get(e, "parameter"), NULL), "days");
    ck_assert_int_eq(bezel_value_integer(bezel_value_get(e, "offset")), strstr(s, "days") - s);
    ck_assert_str_eq(bezel_value_text(bezel_value_get(e, "message"), NULL), "days must be an integer from 1 to 7, not 9");
    drop(&o);
    o = parse(FC "get_wether()");
    e = bezel_value_at(part(&o, "errors"), 0);
    ck_assert_ptr_nonnull(strstr(bezel_value_text(bezel_value_get(e, "message"), NULL), "get_weather, add"));
    drop(&o);
}
END_TEST

START_TEST(warnings_are_counted)
{
    outcome o = parse(FC "get_weather('Paris', days=\"3\")");
    ck_assert_int_eq(bezel_value_integer(bezel_value_get(part(&o, "warnings"), "positional")), 1);
    ck_assert_int_eq(bezel_value_integer(bezel_value_get(part(&o, "warnings"), "single_quote")), 1);
    ck_assert_int_eq(bezel_value_integer(bezel_value_get(part(&o, "warnings"), "coerced")), 1);
    drop(&o);
    o = parse(FC "get_weather(city=\"Paris\")");
    ck_assert_uint_eq(bezel_value_count(part(&o, "warnings")), 0);
    drop(&o);
}
END_TEST

/* --- Random output and failing memory ----------------------------------------------------- */

START_TEST(mutated_cases_are_read_alike_in_any_pieces)
{
    static const char *const bits[] = {"\"", "'", "(", ")", "{", "}", "[", "]", ",", ":", "=", "\n", "FUNCTION_CALL: ", "<tool_call>",
                                       "```", "\\", "get_time", " ", "<|\"|>", "\xC3", "1", ";", "call:", "<escape>", "</tool_call>"};
    bz_rng rng;
    bz_rng_seed(&rng, 20260821);
    for (int round = 0; round < 6000; round++) {
        char s[512];
        const call_case *c = &call_cases[bz_rng_next(&rng) % N_CALL_CASES];
        size_t n = strlen(c->input);
        memcpy(s, c->input, n);
        for (uint64_t k = 1 + bz_rng_next(&rng) % 4; k > 0; k--) {
            const char *bit = bits[bz_rng_next(&rng) % (sizeof bits / sizeof bits[0])];
            size_t at = bz_rng_next(&rng) % (n + 1), size = strlen(bit);
            if (bz_rng_next(&rng) % 2 && at < n) { /* take one byte out */
                memmove(s + at, s + at + 1, n - at - 1);
                n--;
            }
            at = at > n ? n : at;
            memmove(s + at + size, s + at, n - at);
            memcpy(s + at, bit, size);
            n += size;
        }
        s[n] = '\0';
        check_cuts(s, n, 3);
    }
}
END_TEST

START_TEST(text_over_its_limit_and_a_full_tree_are_told_as_they_are)
{
    enum { PIECE = 1 << 20 };
    bezel_parser *p = NULL;
    bezel_tree *tree = NULL;
    bezel_value *result = NULL;
    bezel_error err = BEZEL_ERROR_INIT;
    char *text = malloc(PIECE);
    memset(text, 'x', PIECE);
    ck_assert_int_eq(bezel_parser_new(&p, tools, 0, NULL), BEZEL_OK);
    for (int i = 0; i < 16; i++)
        ck_assert_int_eq(bezel_parser_push(p, text, PIECE, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_parser_push(p, text, PIECE, &err), BEZEL_ERR_LIMIT);
    ck_assert_int_eq(err.status, BEZEL_ERR_LIMIT);
    ck_assert_int_eq(bezel_parser_finish(p, BEZEL_STOPPED_END, &err), BEZEL_ERR_LIMIT);
    ck_assert_int_eq(bezel_tree_new(&tree, engine, NULL), BEZEL_OK);
    bezel_value_append(tree, bezel_tree_map(tree), bezel_tree_null(tree)); /* a map takes no items: the tree has failed */
    bezel_status failed = bezel_tree_status(tree);
    ck_assert_int_lt(failed, 0);
    ck_assert_int_ne(failed, BEZEL_ERR_MEMORY);
    ck_assert_int_eq(bezel_parser_result(&result, tree, p, &err), failed);
    ck_assert_int_eq(err.status, failed);
    bezel_tree_free(tree);
    bezel_parser_free(p);
    free(text);
}
END_TEST

START_TEST(an_event_goes_only_into_a_struct_whose_size_is_set)
{
    bezel_parser *p = NULL;
    bezel_parse_event e = {0};
    ck_assert_int_eq(bezel_parser_new(&p, tools, 0, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_parser_push(p, "Hello.", 6, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_parser_finish(p, BEZEL_STOPPED_END, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_parser_event(p, &e), 0);
    e.size = offsetof(bezel_parse_event, tool); /* as an older header may have it */
    e.offset = 77;
    ck_assert_int_eq(bezel_parser_event(p, &e), 1);
    ck_assert_uint_eq(e.type, BEZEL_PARSE_TEXT);
    ck_assert_uint_eq(e.text_size, 6);
    ck_assert_uint_eq(e.size, offsetof(bezel_parse_event, tool));
    ck_assert_uint_eq(e.offset, 77);
    bezel_parser_free(p);
}
END_TEST

/* Memory fails at each point: an error, no leak, and another push of nothing goes on where it stopped. */
static bezel_status parse_all(test_world *tw, void *ctx)
{
    const char *s = ctx;
    bezel_engine *e = NULL;
    bezel_toolset *set = NULL;
    bezel_parser *p = NULL;
    bezel_tree *tree = NULL;
    bezel_value *result = NULL;
    bezel_parse_event event = {.size = sizeof event};
    bezel_status status = test_engine_try(&e, tw, 1, BEZEL_ISA_SCALAR, NULL);
    if (status == BEZEL_OK)
        status = bezel_toolset_new(&set, e, NULL);
    if (status == BEZEL_OK)
        status = add_case_tools(set, e);
    if (status == BEZEL_OK)
        status = bezel_parser_new(&p, set, 0, NULL);
    for (size_t i = 0, n = strlen(s); i < n && status == BEZEL_OK; i += 8)
        status = bezel_parser_push(p, s + i, n - i < 8 ? n - i : 8, NULL);
    if (status == BEZEL_OK)
        status = bezel_parser_finish(p, BEZEL_STOPPED_END, NULL);
    if (status == BEZEL_OK)
        status = bezel_tree_new(&tree, e, NULL);
    if (status == BEZEL_OK)
        status = bezel_parser_result(&result, tree, p, NULL);
    while (bezel_parser_event(p, &event))
        ck_assert_uint_ge(event.type, BEZEL_PARSE_TEXT);
    bezel_tree_free(tree);
    bezel_parser_free(p);
    bezel_toolset_free(set);
    bezel_engine_free(e);
    return status;
}

START_TEST(failing_memory_is_an_error_without_leak)
{
    char s[] = "Hello.\n" FC "get_weather(city=\"Paris\", days=3)\nand\n" FC "get_wether()\n" FC
               "tag(id=1, tags=\"[\\\"a\\\"]\")\n" FC "get_weather(city=\"a\", days=9)\n";
    test_world tw;
    test_world_init(&tw);
    test_world_sweep(&tw, parse_all, s, BEZEL_OK);
}
END_TEST

START_TEST(a_parser_goes_on_after_memory_ran_out)
{
    const char *s = "Hello.\n" FC "get_weather(city=\"Paris\", days=3)\nand " FC "get_time()\nend";
    test_world tw;
    test_world_init(&tw);
    bezel_engine *e = test_engine_new(&tw, 1, BEZEL_ISA_SCALAR);
    bezel_toolset *set = NULL;
    ck_assert_int_eq(bezel_toolset_new(&set, e, NULL), BEZEL_OK);
    ck_assert_int_eq(add_case_tools(set, e), BEZEL_OK);
    for (long n = 1; n < 200; n++) {
        bezel_parser *p = NULL;
        bezel_tree *tree = NULL;
        bezel_value *result = NULL;
        ck_assert_int_eq(bezel_parser_new(&p, set, 0, NULL), BEZEL_OK);
        ck_assert_int_eq(bezel_parser_push(p, "", 0, NULL), BEZEL_OK);
        test_world_arm(&tw, n, 0);
        bezel_status status = bezel_parser_push(p, s, strlen(s), NULL);
        if (status != BEZEL_OK) {
            ck_assert_int_eq(status, BEZEL_ERR_MEMORY);
            bezel_parse_event event = {.size = sizeof event};
            bezel_status again = bezel_parser_push(p, n == 1 ? s : "", n == 1 ? strlen(s) : 0, NULL);
            ck_assert_int_eq(again, BEZEL_OK);
            while (bezel_parser_event(p, &event))
                ck_assert_uint_ge(event.type, BEZEL_PARSE_TEXT);
        }
        test_world_arm(&tw, 0, 0);
        ck_assert_int_eq(bezel_parser_finish(p, BEZEL_STOPPED_END, NULL), BEZEL_OK);
        ck_assert_int_eq(bezel_tree_new(&tree, e, NULL), BEZEL_OK);
        ck_assert_int_eq(bezel_parser_result(&result, tree, p, NULL), BEZEL_OK);
        ck_assert_uint_eq(bezel_value_count(bezel_value_get(result, "calls")), 2);
        ck_assert_str_eq(bezel_value_text(bezel_value_get(result, "text"), NULL), "Hello.\nand\nend");
        bezel_tree_free(tree);
        bezel_parser_free(p);
        if (status == BEZEL_OK)
            break;
    }
    bezel_toolset_free(set);
    bezel_engine_free(e);
    ck_assert(test_world_is_clean(&tw));
}
END_TEST

Suite *call_parser_suite(void)
{
    Suite *suite = suite_create("call_parser");
    TCase *table = tcase_create("table"), *rules = tcase_create("rules"), *hostile = tcase_create("hostile");
    tcase_add_checked_fixture(table, setup, teardown);
    tcase_add_checked_fixture(rules, setup, teardown);
    tcase_add_checked_fixture(hostile, setup, teardown);
    tcase_set_timeout(table, 120);
    tcase_set_timeout(hostile, 300);
    tcase_add_test(table, every_case_of_the_table_is_read);
    tcase_add_test(table, every_case_cut_at_every_byte_gives_the_same);
    tcase_add_test(table, every_case_byte_by_byte_gives_the_same);
    tcase_add_test(table, every_prefix_of_a_case_is_read_alike_in_any_pieces_and_makes_no_new_call);
    tcase_add_test(rules, repair_tail_closes_a_call_only_after_a_complete_value_and_the_end_of_a_turn);
    tcase_add_test(rules, a_name_alone_is_no_call_when_the_output_ran_into_a_limit);
    tcase_add_test(rules, a_complete_call_before_the_limit_stands);
    tcase_add_test(rules, text_that_cannot_begin_a_call_comes_at_once);
    tcase_add_test(rules, a_call_comes_as_soon_as_its_bracket_closes);
    tcase_add_test(rules, half_characters_are_never_given_out);
    tcase_add_test(rules, nothing_can_be_pushed_behind_the_end);
    tcase_add_test(rules, an_event_goes_only_into_a_struct_whose_size_is_set);
    tcase_add_test(rules, trigger_words_inside_words_and_thoughts_are_text);
    tcase_add_test(rules, other_shapes_of_calls_are_read);
    tcase_add_test(rules, an_unquoted_text_keeps_its_commas);
    tcase_add_test(rules, an_error_names_tool_parameter_and_place);
    tcase_add_test(rules, warnings_are_counted);
    tcase_add_test(hostile, a_broken_call_is_one_named_error);
    tcase_add_test(hostile, integers_at_the_ends_of_64_bits_are_exact);
    tcase_add_test(hostile, escapes_are_decoded_exactly_or_left_as_written);
    tcase_add_test(hostile, nul_bytes_and_invalid_utf8_are_data);
    tcase_add_test(hostile, nesting_is_fine_up_to_32_and_one_error_beyond);
    tcase_add_test(hostile, a_call_beyond_64_kib_is_one_error_and_the_end);
    tcase_add_test(hostile, too_many_arguments_and_a_long_key_are_one_error);
    tcase_add_test(hostile, sixteen_calls_are_read_and_the_rest_is_one_error);
    tcase_add_test(hostile, work_is_linear_in_the_output);
    tcase_add_test(hostile, mutated_cases_are_read_alike_in_any_pieces);
    tcase_add_test(hostile, text_over_its_limit_and_a_full_tree_are_told_as_they_are);
    tcase_add_test(hostile, failing_memory_is_an_error_without_leak);
    tcase_add_test(hostile, a_parser_goes_on_after_memory_ran_out);
    suite_add_tcase(suite, table);
    suite_add_tcase(suite, rules);
    suite_add_tcase(suite, hostile);
    return suite;
}
