/* SPDX-License-Identifier: MIT */
/* tests/golden/malformed_calls.json: what models get wrong when they write calls, by class. Each output gives exactly the calls
 * and error codes of its row, whole, byte by byte and cut at every byte; an error never comes with a call of its own, so
 * nothing of it can be run. The tools are those of call_cases.h. */
#include <bezel/tools.h>

#include <check.h>
#include <stdio.h>
#include <string.h>

#include "support/test_engine.h"
#include "tools/call_cases.h"

Suite *malformed_calls_suite(void);

static bezel_engine *engine;
static bezel_tree *tree;
static bezel_toolset *tools;
static bezel_value *rows;

static bezel_value *read_json(const char *text, size_t n)
{
    bezel_value *value = NULL;
    ck_assert_int_eq(bezel_json_read(&value, tree, text, n, NULL), BEZEL_OK);
    return value;
}

static void setup(void)
{
    static char text[1 << 17];
    FILE *f = fopen("tests/golden/malformed_calls.json", "rb");
    ck_assert_msg(f != NULL, "tests/golden/malformed_calls.json is missing: run the tests from the root of the repository");
    const size_t n = fread(text, 1, sizeof text, f);
    fclose(f);
    engine = test_engine_new(NULL, 1, BEZEL_ISA_SCALAR);
    ck_assert_int_eq(bezel_tree_new(&tree, engine, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_toolset_new(&tools, engine, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_toolset_add_list(tools, read_json(call_case_tools, strlen(call_case_tools)), NULL), BEZEL_OK);
    rows = read_json(text, n);
}

static void teardown(void)
{
    bezel_toolset_free(tools);
    bezel_tree_free(tree);
    bezel_engine_free(engine);
}

/* How many calls are announced: those that an agent would run. */
static size_t count_calls(bezel_parser *p)
{
    bezel_parse_event e = {.size = sizeof e};
    size_t n = 0;
    while (bezel_parser_event(p, &e))
        n += e.type == BEZEL_PARSE_CALL;
    return n;
}

/* piece: bytes of each push but the last; first: bytes of the first one, 0 = piece. */
static void check_row(const bezel_value *row, size_t first, size_t piece)
{
    bezel_parser *p = NULL;
    bezel_tree *scratch = NULL;
    bezel_value *result = NULL;
    size_t size, n_calls = 0;
    const char *output = bezel_value_text(bezel_value_get(row, "output"), &size);
    const bezel_value *calls = bezel_value_get(row, "calls"), *errors = bezel_value_get(row, "errors");
    ck_assert_int_eq(bezel_parser_new(&p, tools, 0, NULL), BEZEL_OK);
    for (size_t at = 0, n; at < size; at += n) {
        n = at == 0 && first > 0 ? first : piece;
        n = n < size - at ? n : size - at;
        ck_assert_int_eq(bezel_parser_push(p, output + at, n, NULL), BEZEL_OK);
        n_calls += count_calls(p);
    }
    ck_assert_int_eq(bezel_parser_finish(p, BEZEL_STOPPED_END, NULL), BEZEL_OK);
    n_calls += count_calls(p);
    ck_assert_int_eq(bezel_tree_new(&scratch, engine, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_parser_result(&result, scratch, p, NULL), BEZEL_OK);
    const bezel_value *got = bezel_value_get(result, "calls"), *codes = bezel_value_get(result, "errors");
    const char *about = bezel_value_text(bezel_value_get(row, "about"), NULL);
    ck_assert_msg(n_calls == bezel_value_count(calls) && bezel_value_count(got) == n_calls, "%s: %s: %zu calls", about, output, n_calls);
    for (size_t i = 0; i < n_calls; i++) {
        const bezel_value *call = bezel_value_at(got, i), *expected = bezel_value_at(calls, i);
        ck_assert_msg(bezel_value_equal(bezel_value_get(call, "name"), bezel_value_at(expected, 0)) &&
                          bezel_value_equal(bezel_value_get(call, "arguments"), bezel_value_at(expected, 1)),
                      "%s: %s: call %zu", about, output, i);
    }
    ck_assert_msg(bezel_value_count(codes) == bezel_value_count(errors), "%s: %s: %zu errors", about, output, bezel_value_count(codes));
    for (size_t i = 0; i < bezel_value_count(codes); i++)
        ck_assert_msg(bezel_value_equal(bezel_value_get(bezel_value_at(codes, i), "code"), bezel_value_at(errors, i)), "%s: %s: %s",
                      about, output, bezel_value_text(bezel_value_get(bezel_value_at(codes, i), "code"), NULL));
    bezel_tree_free(scratch);
    bezel_parser_free(p);
}

START_TEST(each_output_has_exactly_its_calls_and_errors)
{
    ck_assert_uint_ge(bezel_value_count(rows), 300);
    for (size_t i = 0; i < bezel_value_count(rows); i++)
        check_row(bezel_value_at(rows, i), 0, SIZE_MAX);
}
END_TEST

START_TEST(each_output_gives_the_same_however_it_is_cut)
{
    for (size_t i = 0; i < bezel_value_count(rows); i++) {
        size_t size;
        bezel_value_text(bezel_value_get(bezel_value_at(rows, i), "output"), &size);
        check_row(bezel_value_at(rows, i), 0, 1);
        for (size_t cut = 1; cut < size; cut++)
            check_row(bezel_value_at(rows, i), cut, SIZE_MAX);
    }
}
END_TEST

Suite *malformed_calls_suite(void)
{
    Suite *suite = suite_create("malformed_calls");
    TCase *t = tcase_create("table");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, each_output_has_exactly_its_calls_and_errors);
    tcase_add_test(t, each_output_gives_the_same_however_it_is_cut);
    suite_add_tcase(suite, t);
    return suite;
}
