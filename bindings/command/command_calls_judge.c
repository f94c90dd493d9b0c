/* SPDX-License-Identifier: MIT */
/* The ladder of one answer: was there a call, as the dialect writes it, readable, valid, of the right function, with accepted
 * arguments. Reads each answer twice: with the schemas of the tools, and without types, because the rules want values as
 * they were written. */
#include "command_calls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Tools -------------------------------------------------------------------------------- */

/* A copy of a parameter's schema without `default`. */
static bezel_value *without_default(bezel_tree *tree, const bezel_value *schema) {
    bezel_value *copy = bezel_tree_map(tree);
    for (size_t i = 0; i < bezel_value_count(schema); i++) {
        const char *key = bezel_value_key(schema, i, NULL);
        if (strcmp(key, "default") != 0) bezel_value_set(tree, copy, key, bezel_tree_copy(tree, bezel_value_at(schema, i)));
    }
    return copy;
}

/* The function with other properties: raw 1 = without any type, nothing required; 0 = without defaults. */
static bezel_value *function_for_judging(bezel_tree *tree, const bezel_value *function, int raw) {
    const bezel_value *parameters = bezel_value_get(function, "parameters"),
                      *properties = bezel_value_get(parameters, "properties");
    bezel_value *map = bezel_tree_map(tree), *schema = bezel_tree_map(tree), *list = bezel_tree_map(tree);
    for (size_t i = 0; i < bezel_value_count(properties); i++)
        bezel_value_set(tree, list, bezel_value_key(properties, i, NULL),
                        raw ? bezel_tree_map(tree) : without_default(tree, bezel_value_at(properties, i)));
    cmd_set_text(tree, schema, "type", "object", SIZE_MAX);
    bezel_value_set(tree, schema, "properties", list);
    if (!raw) bezel_value_set(tree, schema, "required", bezel_tree_copy(tree, bezel_value_get(parameters, "required")));
    bezel_value_set(tree, map, "name", bezel_tree_copy(tree, bezel_value_get(function, "name")));
    bezel_value_set(tree, map, "parameters", schema);
    return map;
}

static bezel_status tools_for_judging(bezel_toolset **out, cmd_host *host, const bezel_value *functions, int raw) {
    bezel_tree *tree;
    bezel_status st = bezel_tree_new(&tree, host->engine, &host->error);
    if (st != BEZEL_OK) return st;
    bezel_value *list = bezel_tree_list(tree);
    for (size_t i = 0; i < bezel_value_count(functions); i++)
        bezel_value_append(tree, list, function_for_judging(tree, bezel_value_at(functions, i), raw));
    st = bezel_toolset_new(out, host->engine, &host->error);
    if (st == BEZEL_OK) st = bezel_toolset_add_list(*out, list, &host->error);
    bezel_tree_free(tree);
    return st;
}

int calls_tools_make(calls_tools *out, cmd_host *host, const calls_entry *entry) {
    *out = (calls_tools){0};
    if (bezel_toolset_new(&out->shown, host->engine, &host->error) == BEZEL_OK &&
        bezel_toolset_add_list(out->shown, entry->functions, &host->error) == BEZEL_OK &&
        tools_for_judging(&out->checked, host, entry->functions, 0) == BEZEL_OK &&
        tools_for_judging(&out->raw, host, entry->functions, 1) == BEZEL_OK)
        return CMD_OK;
    calls_tools_free(out);
    fprintf(stderr, "bezel: entry %s\n", entry->id);
    return cmd_host_fail(host);
}

void calls_tools_free(calls_tools *tools) {
    bezel_toolset_free(tools->shown);
    bezel_toolset_free(tools->checked);
    bezel_toolset_free(tools->raw);
    *tools = (calls_tools){0};
}

/* --- Judging ------------------------------------------------------------------------------ */

static bezel_status parse(bezel_value **out, bezel_tree *tree, cmd_host *host, const bezel_toolset *tools, const char *text,
                          size_t size, uint32_t stopped) {
    bezel_parser *parser;
    bezel_status st = bezel_parser_new(&parser, tools, 0, &host->error);
    if (st != BEZEL_OK) return st;
    st = bezel_parser_push(parser, text, size, &host->error);
    if (st >= 0) st = bezel_parser_finish(parser, stopped, &host->error);
    if (st >= 0) st = bezel_parser_result(out, tree, parser, &host->error);
    bezel_parser_free(parser);
    return st;
}

/* An error of what was said, not of how it was written. */
static int is_of_sense(const char *code) {
    static const char *const form[] = {"syntax", "truncated", "nested_call", "too_deep", "too_many_calls"};
    for (size_t i = 0; i < sizeof form / sizeof *form; i++)
        if (strcmp(form[i], code) == 0) return 0;
    return 1;
}

/* Warnings that say no more than which dialect it is. */
static int is_of_dialect(const char *warning, const char *dialect) {
    if (strcmp(dialect, "python") == 0) return !strcmp(warning, "bare") || !strcmp(warning, "python_literal");
    if (strcmp(dialect, "json") == 0) return !strcmp(warning, "bare") || !strcmp(warning, "json");
    return strcmp(dialect, "function_call") != 0 && !strcmp(warning, "native");
}

static int is_strict(const bezel_value *result, const char *dialect) {
    const bezel_value *warnings = bezel_value_get(result, "warnings");
    for (size_t i = 0; i < bezel_value_count(warnings); i++)
        if (!is_of_dialect(bezel_value_key(warnings, i, NULL), dialect)) return 0;
    return bezel_value_text(bezel_value_get(result, "text"), NULL)[0] == 0;
}

static int has_warning(const bezel_value *result, const char *name) {
    return bezel_value_get(bezel_value_get(result, "warnings"), name) != NULL;
}

/* Name of the function in a call or in an error of one. */
static const char *name_in(const bezel_value *item) {
    const bezel_value *name = bezel_value_get(item, "name");
    return bezel_value_text(name ? name : bezel_value_get(item, "tool"), NULL);
}

/* How often a function is called among calls and errors; name NULL = functions that are not wanted. */
static int count_of(const bezel_value *list, const char *name, const bezel_value *truth) {
    int n = 0;
    for (size_t i = 0; i < bezel_value_count(list); i++) {
        const char *called = name_in(bezel_value_at(list, i));
        int is_wanted = 0;
        for (size_t k = 0; k < bezel_value_count(truth); k++)
            is_wanted |= strcmp(bezel_value_key(bezel_value_at(truth, k), 0, NULL), called) == 0;
        n += name ? strcmp(called, name) == 0 : !is_wanted;
    }
    return n;
}

static int is_chosen(const bezel_value *calls, const bezel_value *errors, const bezel_value *truth) {
    for (size_t i = 0; i < bezel_value_count(truth); i++) {
        const char *name = bezel_value_key(bezel_value_at(truth, i), 0, NULL);
        if (count_of(calls, name, truth) + count_of(errors, name, truth) == 0) return 0;
    }
    return count_of(calls, NULL, truth) + count_of(errors, NULL, truth) == 0;
}

int calls_judge(calls_steps *out, const bezel_value **out_calls, bezel_tree *tree, cmd_host *host, const calls_entry *entry,
                const calls_tools *tools, const char *dialect, const char *text, size_t size, uint32_t stopped) {
    bezel_value *checked = NULL, *raw = NULL;
    *out = (calls_steps){.wanted = strstr(entry->category, "irrelevance") == NULL, .judged = entry->truth != NULL, .parsed = 1};
    if (parse(&checked, tree, host, tools->checked, text, size, stopped) < 0 ||
        parse(&raw, tree, host, tools->raw, text, size, stopped) < 0)
        return cmd_host_fail(host);
    const bezel_value *errors = bezel_value_get(checked, "errors"), *calls = bezel_value_get(checked, "calls");
    const bezel_value *raw_calls = bezel_value_get(raw, "calls");
    for (size_t i = 0; i < bezel_value_count(errors); i++)
        if (!is_of_sense(bezel_value_text(bezel_value_get(bezel_value_at(errors, i), "code"), NULL))) out->parsed = 0;
    out->n_calls = (int64_t)(bezel_value_count(calls) + bezel_value_count(errors));
    out->detected = out->n_calls > 0;
    out->parsed = out->parsed && out->detected;
    out->valid = out->detected && bezel_value_count(errors) == 0;
    out->strict = out->parsed && is_strict(checked, dialect);
    *out_calls = raw_calls;
    if (!entry->truth) return CMD_OK;
    const int raw_is_whole = bezel_value_count(bezel_value_get(raw, "errors")) == 0;
    out->chosen = out->parsed && is_chosen(calls, errors, entry->truth);
    out->correct = raw_is_whole && !has_warning(raw, "positional") && !has_warning(raw, "name_normalised") &&
                   calls_correct(raw_calls, entry->truth, entry->functions, entry->category);
    out->converted = out->valid && calls_correct(calls, entry->truth, entry->functions, entry->category);
    return CMD_OK;
}
