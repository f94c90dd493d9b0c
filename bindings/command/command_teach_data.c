/* SPDX-License-Identifier: MIT */
/* bezel teach: tools, own examples and made ones as a set to train on. */
#include "command_teach.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Values of the lines of a text onto the end of a list. is_checked: a line that is no JSON is an error with its place, else it is
 * left out. */
static bezel_status data_lines(bezel_value *list, bezel_tree *tree, const char *text, size_t size, const char *path, int is_checked,
                               bezel_error *err) {
    size_t line = 1;
    for (size_t at = 0, n; at < size; at += n + 1, line++) {
        const char *end = memchr(text + at, '\n', size - at);
        bezel_value *value = NULL;
        n = end ? (size_t)(end - text) - at : size - at;
        if (strspn(text + at, " \t\r") >= n) continue;
        bezel_status st = bezel_json_read(&value, tree, text + at, n, is_checked ? err : NULL);
        if (st == BEZEL_OK) {
            bezel_value_append(tree, list, value);
        } else if (is_checked) {
            snprintf(err->place, sizeof err->place, "%.200s:%zu", path, line);
            return st;
        }
    }
    return BEZEL_OK;
}

/* The lines of a file as one list; what is wrong in them is found when they are rendered, with their line. */
static int data_own(teach_data *d, cmd_host *host, const char *path) {
    char *text = NULL;
    size_t size = 0;
    int status = cmd_read_file(&text, &size, path);
    if (status != CMD_OK) return status;
    d->own = bezel_tree_list(d->tree);
    data_lines(d->own, d->tree, text, size, path, 0, NULL);
    bezel_status st = bezel_teach_read(d->teach, text, size, d->tools, path, &host->error);
    free(text);
    return st == BEZEL_OK ? CMD_OK : cmd_host_fail(host);
}

/* A JSON list, or a tool a line. */
static int data_tools(teach_data *d, cmd_host *host, const char *path) {
    char *text = NULL;
    size_t size = 0;
    int status = cmd_read_file(&text, &size, path);
    if (status != CMD_OK) return status;
    const int is_list = text[strspn(text, " \t\r\n")] == '[';
    if (!is_list) d->tools = bezel_tree_list(d->tree);
    bezel_status st = is_list ? bezel_json_read(&d->tools, d->tree, text, size, &host->error)
                              : data_lines(d->tools, d->tree, text, size, path, 1, &host->error);
    free(text);
    return st == BEZEL_OK ? CMD_OK : cmd_host_fail(host);
}

int teach_data_open(teach_data *out, cmd_host *host, const cmd_options *o) {
    bezel_teach_options options;
    bezel_teach_maker_options maker;
    bezel_teach_options_init(&options);
    bezel_teach_maker_options_init(&maker);
    options.max_length = (uint32_t)o->max_length;
    maker.seed = o->seed ? (uint64_t)o->seed : 1;
    maker.vary = o->vary != 0;
    maker.turns = o->vary ? 1 : 6; /* of a few tools that stay the same: their declarations are most of an example */
    if (cmd_profile(&options.profile, o) != CMD_OK) return CMD_USAGE;
    bezel_status st = bezel_tree_new(&out->tree, host->engine, &host->error);
    if (st == BEZEL_OK) st = bezel_teach_new(&out->teach, host->model, &options, &host->error);
    if (st != BEZEL_OK) return cmd_host_fail(host);
    int status = o->tools ? data_tools(out, host, o->tools) : CMD_OK;
    if (status == CMD_OK && o->examples) status = data_own(out, host, o->examples);
    if (status == CMD_OK && out->tools &&
        bezel_teach_maker_new(&out->maker, host->engine, out->tools, out->own, &maker, &host->error) != BEZEL_OK)
        status = cmd_host_fail(host);
    return status;
}

/* Example `i` of the maker, in a tree of its own that the caller frees also after an error. */
static bezel_status data_make(bezel_tree **out_tree, bezel_value **out, teach_data *d, cmd_host *host, size_t i) {
    bezel_status st = bezel_tree_new(out_tree, host->engine, &host->error);
    return st == BEZEL_OK ? bezel_teach_maker_make(out, d->maker, *out_tree, i, &host->error) : st;
}

int teach_data_fill(teach_data *d, cmd_host *host, size_t made) {
    bezel_status st = BEZEL_OK;
    for (size_t i = 0; st == BEZEL_OK && d->maker && i < made; i++) {
        bezel_tree *tree = NULL;
        bezel_value *example = NULL;
        st = data_make(&tree, &example, d, host, i);
        if (st == BEZEL_OK) st = bezel_teach_add(d->teach, example, NULL, NULL, &host->error);
        bezel_tree_free(tree);
    }
    return st == BEZEL_OK ? CMD_OK : cmd_host_fail(host);
}

/* The ids of an example as text, what is learned between marks. */
static int data_print_text(cmd_host *host, const bezel_train_example *e, const char *from) {
    const int color = cmd_is_terminal(1);
    printf("--- %s\n", from);
    for (size_t i = 0; i < e->count;) {
        size_t n = i + 1, size = 0;
        char *text = NULL;
        while (n < e->count && e->learn[n] == e->learn[i]) n++;
        if (bezel_detokenize(&text, &size, host->model, e->ids + i, n - i, 1, &host->error) != BEZEL_OK) return cmd_host_fail(host);
        if (e->learn[i]) fputs(color ? "\033[32m" : ">>>", stdout);
        fwrite(text, 1, size, stdout);
        if (e->learn[i]) fputs(color ? "\033[0m" : "<<<", stdout);
        bezel_text_free(host->engine, text);
        i = n;
    }
    putchar('\n');
    return CMD_OK;
}

int teach_data_print(teach_data *d, cmd_host *host, const cmd_options *o, size_t made) {
    size_t n = 0;
    if (o->json) {
        int status = CMD_OK;
        for (size_t i = 0; status == CMD_OK && d->maker && i < made; i++) {
            bezel_tree *tree = NULL;
            bezel_value *example = NULL;
            const bezel_status st = data_make(&tree, &example, d, host, i);
            status = st == BEZEL_OK ? cmd_print_json(host, example) : cmd_host_fail(host);
            bezel_tree_free(tree);
        }
        return status;
    }
    int status = teach_data_fill(d, host, made);
    const bezel_train_example *examples = bezel_teach_examples(d->teach, &n);
    for (size_t i = 0; status == CMD_OK && i < n; i++) status = data_print_text(host, &examples[i], bezel_teach_from(d->teach, i));
    return status;
}

void teach_data_free(teach_data *d) {
    bezel_teach_maker_free(d->maker);
    bezel_teach_free(d->teach);
    bezel_tree_free(d->tree);
}
