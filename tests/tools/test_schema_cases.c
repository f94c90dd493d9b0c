/* SPDX-License-Identifier: MIT */
/* The table of tests/golden/schema_cases.json: for each schema instances that are valid and that are not, by JSON Schema
 * 2020-12 (checked with Python's jsonschema 4.26). The validation agrees with all of them. The constraint agrees with
 * "valid" and "invalid"; "later" are invalid ones that it lets through with a warning, "unwritten" are valid ones that it does
 * not write (another order, keys that nobody declared), "form" are wrong only by their format, which the constraint keeps and
 * the validation does not check. */
#include <bezel/constraint.h>

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/schema.h"
#include "base/strbuf.h"
#include "generate/constraint_impl.h"
#include "support/tiny_model.h"

Suite *schema_cases_suite(void);

static tiny_model tiny;
static bezel_tree *tree;
static const bezel_value *cases;

static void setup(void)
{
    static char text[1 << 17];
    bezel_value *value = NULL;
    FILE *f = fopen("tests/golden/schema_cases.json", "rb");
    ck_assert_msg(f != NULL, "tests/golden/schema_cases.json is missing: run the tests from the root of the repository");
    const size_t n = fread(text, 1, sizeof text, f);
    fclose(f);
    tiny_model_open(&tiny, BEZEL_ISA_SCALAR, 1, NULL);
    ck_assert_int_eq(bezel_tree_new(&tree, tiny.engine, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_json_read(&value, tree, text, n, NULL), BEZEL_OK);
    cases = value;
}

static void teardown(void)
{
    bezel_tree_free(tree);
    tiny_model_close(&tiny);
}

/* As the constraint writes JSON: ", " and ": ", keys in the order of the instance. */
static void write_canonical(bz_strbuf *b, const bezel_value *v)
{
    const uint32_t type = bezel_value_type(v);
    if (type != BEZEL_LIST && type != BEZEL_MAP) {
        char *text = NULL;
        ck_assert_int_eq(bezel_json_write(&text, NULL, tiny.engine, v, 0, NULL), BEZEL_OK);
        bz_strbuf_text(b, text);
        bezel_text_free(tiny.engine, text);
        return;
    }
    bz_strbuf_char(b, type == BEZEL_LIST ? '[' : '{');
    for (size_t i = 0; i < bezel_value_count(v); i++) {
        bz_strbuf_text(b, i > 0 ? ", " : "");
        if (type == BEZEL_MAP)
            bz_strbuf_format(b, "\"%s\": ", bezel_value_key(v, i, NULL));
        write_canonical(b, bezel_value_at(v, i));
    }
    bz_strbuf_char(b, type == BEZEL_LIST ? ']' : '}');
}

static int constraint_takes(const bezel_constraint *c, const char *text, size_t n)
{
    bz_call_state s;
    bz_call_start(&s, c->form, 0, NULL);
    return bz_call_feed_bytes(&s, c->form, text, n) && bz_call_can_end(&s, c->form);
}

static int check_takes(const bz_schema *schema, const bezel_value *instance, char problem[256])
{
    bz_schema_check check;
    bz_arena arena;
    bezel_value *result = NULL;
    memset(&check, 0, sizeof check);
    check.schema = schema;
    check.tree = tree;
    bz_arena_init(&arena, bezel_engine_world(tiny.engine), 0);
    const bezel_status status = bz_schema_apply_value(&result, &check, 0, &arena, instance);
    bz_arena_free(&arena);
    ck_assert(status == BEZEL_OK || status == BEZEL_ERR_PARSE);
    snprintf(problem, 256, "%s", check.problem.text);
    return status == BEZEL_OK;
}

static const struct {
    const char *name;
    int by_check, by_constraint;
} groups[] = {{"valid", 1, 1}, {"invalid", 0, 0}, {"later", 0, 1}, {"unwritten", 1, 0}, {"form", 1, 0}};

static size_t check_case(const bezel_value *row)
{
    bz_schema *schema = NULL;
    bezel_constraint *c = NULL;
    bezel_constraint_options o;
    bezel_error err = BEZEL_ERROR_INIT;
    char *shown = NULL, problem[256];
    size_t n = 0;
    const bz_schema_source source = {bezel_value_get(row, "schema"), "case", 0, NULL, NULL};
    ck_assert_int_eq(bezel_json_write(&shown, NULL, tiny.engine, source.value, 0, NULL), BEZEL_OK);
    ck_assert_msg(bz_schema_new(&schema, tiny.engine, &source, &err) == BEZEL_OK, "%s: %s", shown, err.text);
    bezel_constraint_options_init(&o);
    o.kind = BEZEL_CONSTRAINT_JSON;
    o.schema = source.value;
    ck_assert_msg(bezel_constraint_new(&c, tiny.model, &o, &err) == BEZEL_OK, "%s: %s", shown, err.text);
    for (size_t g = 0; g < sizeof groups / sizeof *groups; g++) {
        const bezel_value *list = bezel_value_get(row, groups[g].name);
        for (size_t i = 0; i < bezel_value_count(list); i++, n++) {
            bz_strbuf b;
            bz_strbuf_init(&b, bezel_engine_world(tiny.engine), 0);
            write_canonical(&b, bezel_value_at(list, i));
            ck_assert_msg(check_takes(schema, bezel_value_at(list, i), problem) == groups[g].by_check,
                          "%s: validation of %s (%s): %s", shown, bz_strbuf_cstr(&b), groups[g].name, problem);
            ck_assert_msg(constraint_takes(c, bz_strbuf_cstr(&b), b.size) == groups[g].by_constraint,
                          "%s: constraint on %s (%s)", shown, bz_strbuf_cstr(&b), groups[g].name);
            bz_strbuf_free(&b);
        }
        ck_assert_msg(strcmp(groups[g].name, "later") != 0 || bezel_value_count(list) == 0 ||
                          bezel_constraint_warning_count(c) > 0,
                      "%s: nothing says that it is checked afterwards", shown);
    }
    bezel_constraint_free(c);
    bz_schema_free(schema);
    bezel_text_free(tiny.engine, shown);
    return n;
}

START_TEST(each_instance_is_taken_or_refused_as_the_standard_says)
{
    size_t n = 0;
    for (size_t i = 0; i < bezel_value_count(cases); i++)
        n += check_case(bezel_value_at(cases, i));
    ck_assert_uint_ge(n, 500);
}
END_TEST

Suite *schema_cases_suite(void)
{
    Suite *suite = suite_create("schema_cases");
    TCase *t = tcase_create("cases");
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, each_instance_is_taken_or_refused_as_the_standard_says);
    suite_add_tcase(suite, t);
    return suite;
}
