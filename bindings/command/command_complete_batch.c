/* SPDX-License-Identifier: MIT */
/* bezel complete --batch: JSON lines in, JSON lines out, in the same order. A line is a text, or
 * {"prompt": TEXT, "max_tokens", "temperature", "top_k", "top_p", "min_p", "repetition_penalty", "seed"} over the options of the
 * command line; a result is that of `complete`, or {"error":{"code","message"}}. So many at once have a session; one
 * that ends makes room for the next line.
 * Invariant: lines before `n_begun` have begun, those before `n_printed` are printed. */
#include "command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BATCH_TOGETHER 16
#define BATCH_SLICE_US 20000 /* between two looks at who has ended */

typedef struct batch_line {
    const char *text;
    size_t size;
    bezel_session *session; /* while it is answered */
    bezel_job *job;
    char *result; /* JSON, of the engine; NULL before its end */
    size_t result_size;
} batch_line;

typedef struct batch_run {
    cmd_host *host;
    const cmd_options *o;
    const bezel_session_options *session_options;
    const bezel_generate_options *options;
    bezel_batch *batch;
    batch_line *lines;
    size_t n, n_begun, n_printed, n_active, n_failed;
} batch_run;

/* --- One line ----------------------------------------------------------------------------- */

static bezel_status line_fail(bezel_error *err, const char *what, const char *name) {
    err->status = BEZEL_ERR_ARGUMENT;
    snprintf(err->text, sizeof err->text, what, name);
    snprintf(err->hint, sizeof err->hint, "a line is a text, or a map with prompt, max_tokens, temperature, top_k, top_p, min_p, "
             "repetition_penalty, seed");
    return err->status;
}

/* A member of the map into the options. */
static bezel_status line_option(bezel_generate_options *out, const char *key, const bezel_value *value, bezel_error *err) {
    bezel_sampling *s = &out->sampling;
    const struct { const char *name; float *number; uint32_t *count; } rows[] = {
        {"max_tokens", NULL, &out->max_tokens}, {"top_k", NULL, &s->top_k}, {"temperature", &s->temperature, NULL},
        {"top_p", &s->top_p, NULL}, {"min_p", &s->min_p, NULL}, {"repetition_penalty", &s->repetition_penalty, NULL}};
    const uint32_t type = bezel_value_type(value);
    if (strcmp(key, "prompt") == 0) return BEZEL_OK;
    if (type != BEZEL_INTEGER && type != BEZEL_NUMBER) return line_fail(err, "%s is no number", key);
    const int64_t integer = bezel_value_integer(value);
    const int is_count = type == BEZEL_INTEGER && integer >= 0;
    if (strcmp(key, "seed") == 0 && is_count) {
        s->seed = (uint64_t)integer;
        return BEZEL_OK;
    }
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strcmp(key, rows[i].name) != 0) continue;
        if (rows[i].number) *rows[i].number = (float)bezel_value_number(value);
        else if (!is_count || integer > INT32_MAX) return line_fail(err, "%s is no count", key);
        else *rows[i].count = (uint32_t)integer;
        return BEZEL_OK;
    }
    return line_fail(err, strcmp(key, "seed") == 0 ? "%s is no count" : "%s is no option of a line", key);
}

static bezel_status line_read(bezel_generate_options *out, const char **out_text, size_t *out_size, const bezel_value *value,
                              bezel_error *err) {
    if (bezel_value_type(value) == BEZEL_MAP)
        for (size_t i = 0; i < bezel_value_count(value); i++) {
            const char *key = bezel_value_key(value, i, NULL);
            bezel_status st = line_option(out, key, bezel_value_get(value, key), err);
            if (st != BEZEL_OK) return st;
        }
    const bezel_value *prompt = bezel_value_type(value) == BEZEL_MAP ? bezel_value_get(value, "prompt") : value;
    if (bezel_value_type(prompt) != BEZEL_TEXT) return line_fail(err, "the %s is no text", prompt == value ? "line" : "prompt");
    *out_text = bezel_value_text(prompt, out_size);
    return BEZEL_OK;
}

static bezel_status line_start(batch_run *r, batch_line *line, bezel_tree *tree, bezel_error *err) {
    bezel_generate_options options = *r->options;
    bezel_value *value = NULL;
    const char *text = NULL;
    size_t size = 0;
    const uint32_t flags = BEZEL_TOKENIZE_BOS | (r->o->plain ? 0u : BEZEL_TOKENIZE_SPECIAL);
    bezel_status st = bezel_json_read(&value, tree, line->text, line->size, err);
    if (st == BEZEL_OK) st = line_read(&options, &text, &size, value, err);
    if (st == BEZEL_OK) st = bezel_session_new(&line->session, r->host->model, r->session_options, err);
    if (st == BEZEL_OK) st = cmd_adapt(r->host, line->session, r->o, err);
    if (st == BEZEL_OK) st = bezel_session_append_text(line->session, text, size, flags, err);
    if (st == BEZEL_OK) st = bezel_generate(&line->job, line->session, &options, err);
    if (st == BEZEL_OK) st = bezel_batch_add(r->batch, line->job, err);
    return st;
}

/* The result as JSON; g NULL: the error. */
static int line_end(batch_run *r, batch_line *line, bezel_tree *tree, const bezel_generation *g, const bezel_error *why) {
    bezel_value *map;
    if (g) {
        map = cmd_complete_value(tree, g);
    } else {
        bezel_value *error = bezel_tree_map(tree);
        map = bezel_tree_map(tree);
        cmd_set_text(tree, error, "code", bezel_status_name(why->status), SIZE_MAX);
        cmd_set_text(tree, error, "message", why->text, SIZE_MAX);
        bezel_value_set(tree, map, "error", error);
        r->n_failed++;
    }
    bezel_status st = bezel_json_write(&line->result, &line->result_size, r->host->engine, map, 0, &r->host->error);
    bezel_job_free(line->job);
    bezel_session_free(line->session);
    line->job = NULL;
    line->session = NULL;
    return st == BEZEL_OK ? CMD_OK : cmd_host_fail(r->host);
}

/* --- All of them -------------------------------------------------------------------------- */

static int batch_begin_line(batch_run *r) {
    batch_line *line = &r->lines[r->n_begun++];
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_tree *tree;
    int status = CMD_OK;
    if (bezel_tree_new(&tree, r->host->engine, &r->host->error) != BEZEL_OK) return cmd_host_fail(r->host);
    if (line_start(r, line, tree, &err) == BEZEL_OK) r->n_active++;
    else status = line_end(r, line, tree, NULL, &err);
    bezel_tree_free(tree);
    return status;
}

/* The result of a line whose job has ended. */
static int batch_collect(batch_run *r, batch_line *line) {
    bezel_event event = {.size = sizeof event};
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_generation g = {.size = sizeof g};
    bezel_tree *tree;
    while (bezel_job_event(line->job, &event)) {}
    bezel_status st = bezel_job_poll(line->job, &err);
    if (st > 0 && st != BEZEL_DONE) return CMD_OK;
    r->n_active--;
    if (bezel_tree_new(&tree, r->host->engine, &r->host->error) != BEZEL_OK) return cmd_host_fail(r->host);
    const int has_result = (st == BEZEL_DONE || st == BEZEL_ERR_CANCELLED) && bezel_generation_get(line->job, &g, &err) == BEZEL_OK;
    int status = line_end(r, line, tree, has_result ? &g : NULL, &err);
    bezel_tree_free(tree);
    return status;
}

static void batch_print(batch_run *r) {
    for (; r->n_printed < r->n && r->lines[r->n_printed].result; r->n_printed++) {
        batch_line *line = &r->lines[r->n_printed];
        fwrite(line->result, 1, line->result_size, stdout);
        fputc('\n', stdout);
        fflush(stdout);
        bezel_text_free(r->host->engine, line->result);
        line->result = NULL;
    }
}

/* Ctrl-C ends what has begun, with what there is of it. */
static int batch_work(batch_run *r) {
    const size_t most = r->o->together > 0 ? (size_t)r->o->together : BATCH_TOGETHER;
    int status = CMD_OK;
    while (status == CMD_OK && r->n_printed < r->n) {
        const int is_over = cmd_interrupted();
        if (is_over) r->n = r->n_begun;
        while (status == CMD_OK && r->n_active < most && r->n_begun < r->n) status = batch_begin_line(r);
        for (size_t i = r->n_printed; is_over && i < r->n_begun; i++) bezel_job_cancel(r->lines[i].job);
        if (status == CMD_OK && bezel_batch_step(r->batch, BATCH_SLICE_US, &r->host->error) < 0) status = cmd_host_fail(r->host);
        for (size_t i = r->n_printed; status == CMD_OK && i < r->n_begun; i++)
            if (r->lines[i].job) status = batch_collect(r, &r->lines[i]);
        batch_print(r);
    }
    return status;
}

/* The lines of text that are not blank. */
static batch_line *batch_split(size_t *out_n, const char *text, size_t size) {
    size_t n = 1;
    for (size_t i = 0; i < size; i++) n += text[i] == '\n';
    batch_line *lines = calloc(n, sizeof *lines);
    *out_n = 0;
    for (size_t begin = 0; lines && begin < size;) {
        const char *newline = memchr(text + begin, '\n', size - begin);
        const size_t end = newline ? (size_t)(newline - text) : size;
        size_t at = begin;
        while (at < end && strchr(" \t\r", text[at]) && text[at]) at++;
        if (at < end) lines[(*out_n)++] = (batch_line){.text = text + begin, .size = end - begin};
        begin = end + 1;
    }
    return lines;
}

int cmd_complete_batch(cmd_host *host, const cmd_options *o, const bezel_session_options *session_options,
                       const bezel_generate_options *options, const char *text, size_t size) {
    batch_run r = {.host = host, .o = o, .session_options = session_options, .options = options};
    int status = CMD_OK;
    r.lines = batch_split(&r.n, text, size);
    if (!r.lines) return cmd_error("no memory for the lines");
    if (bezel_batch_new(&r.batch, host->model, NULL, &host->error) != BEZEL_OK) status = cmd_host_fail(host);
    if (status == CMD_OK) status = batch_work(&r);
    for (size_t i = 0; i < r.n_begun; i++) {
        bezel_job_free(r.lines[i].job);
        bezel_session_free(r.lines[i].session);
        bezel_text_free(host->engine, r.lines[i].result);
    }
    bezel_batch_free(r.batch);
    free(r.lines);
    return status == CMD_OK && r.n_failed > 0 ? CMD_ERROR : status;
}
