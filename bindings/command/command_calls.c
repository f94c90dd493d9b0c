/* SPDX-License-Identifier: MIT */
/* bezel bench calls: how well a model calls functions, as a ladder of shares for each category of entries. Asks the model, or
 * judges answers of a file. Reads a folder of files CATEGORY.jsonl, an entry {id, question, function, ground_truth} a line. */
#include "command_calls.h"

#include <dirent.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MOST_CATEGORIES 64
#define N_STEPS 8 /* S0 to S6, S6b */

typedef struct category {
    char name[64];
    bezel_tree *tree;
    bezel_value *entries; /* list */
} category;

/* Sums of one row. */
typedef struct row {
    int64_t n, of[N_STEPS], yes[N_STEPS]; /* answers a step says something about, and of these for which it holds */
    int64_t n_failed, n_calls, n_called, sampled, forced, decode_us, prompt_us;
} row;

typedef struct ladder {
    cmd_host host;
    cmd_options o;
    category categories[MOST_CATEGORIES];
    int n_categories;
    bezel_tree *tree;
    bezel_value *rows, *answers; /* answers: map of id to text, NULL = ask the model */
    bezel_session *session;
    FILE *output;
    int64_t done, all; /* answers, for the bar */
} ladder;

/* --- Entries ------------------------------------------------------------------------------ */

static int is_listed(const char *list, const char *name) {
    size_t n = strlen(name);
    for (const char *p = list; p; p = strchr(p, ',')) {
        if (*p == ',') p++;
        if (strncmp(p, name, n) == 0 && (p[n] == ',' || p[n] == 0)) return 1;
    }
    return 0;
}

static int category_compare(const void *a, const void *b) {
    return strcmp(((const category *)a)->name, ((const category *)b)->name);
}

static uint64_t mix(uint64_t x) { /* the finaliser of MurmurHash3 */
    x = (x ^ x >> 33) * 0xff51afd7ed558ccdu;
    x = (x ^ x >> 33) * 0xc4ceb9fe1a85ec53u;
    return x ^ x >> 33;
}

/* Of `count` lines the first --limit ones, or with a seed as many drawn ones: 1 when this line is among them. */
static int is_drawn(const ladder *l, uint64_t line, uint64_t count) {
    uint64_t limit = l->o.given & CMD_GIVEN_LIMIT ? (uint64_t)l->o.limit : count, before = 0;
    if (!l->o.seed) return line < limit;
    const uint64_t mine = mix((uint64_t)l->o.seed * 0x9e3779b97f4a7c15u + line);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t other = mix((uint64_t)l->o.seed * 0x9e3779b97f4a7c15u + i);
        before += other < mine || (other == mine && i < line);
    }
    return before < limit;
}

static uint64_t line_count(const char *text) {
    uint64_t n = 0;
    for (const char *p = text; *p; p++)
        n += *p == '\n' || p[1] == 0;
    return n;
}

/* Reads JSON lines to a list; pick may be NULL. */
static int lines_read(bezel_value *list, bezel_tree *tree, ladder *l, const char *path,
                      int (*pick)(const ladder *, uint64_t, uint64_t)) {
    char *text;
    size_t size;
    int status = cmd_read_file(&text, &size, path);
    if (status != CMD_OK) return status;
    uint64_t count = line_count(text), line = 0;
    for (char *p = text; status == CMD_OK && *p; line++) {
        size_t n = strcspn(p, "\n");
        bezel_value *value = NULL;
        if (n && (!pick || pick(l, line, count))) {
            if (bezel_json_read(&value, tree, p, n, &l->host.error) != BEZEL_OK)
                status = cmd_error("%s: line %llu: %s", path, (unsigned long long)line + 1, l->host.error.text);
            else
                bezel_value_append(tree, list, value);
        }
        p += n + (p[n] != 0);
    }
    free(text);
    return status;
}

static int category_read(ladder *l, category *c) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s.jsonl", l->o.data, c->name);
    if (bezel_tree_new(&c->tree, l->host.engine, &l->host.error) != BEZEL_OK) return cmd_host_fail(&l->host);
    c->entries = bezel_tree_list(c->tree);
    int status = lines_read(c->entries, c->tree, l, path, is_drawn);
    if (status == CMD_OK && bezel_value_count(c->entries) == 0) return cmd_error("%s holds no entry", path);
    return status;
}

static int categories_find(ladder *l) {
    DIR *folder = opendir(l->o.data);
    if (!folder) return cmd_error("--data %s: %s", l->o.data, strerror(errno));
    for (struct dirent *d; (d = readdir(folder)) != NULL;) {
        size_t n = strlen(d->d_name);
        category *c = &l->categories[l->n_categories];
        if (n < 7 || n - 6 >= sizeof c->name || strcmp(d->d_name + n - 6, ".jsonl") != 0) continue;
        memcpy(c->name, d->d_name, n - 6);
        c->name[n - 6] = 0;
        if (l->o.category && !is_listed(l->o.category, c->name)) continue;
        if (++l->n_categories == MOST_CATEGORIES) break;
    }
    closedir(folder);
    if (!l->n_categories)
        return cmd_error("--data %s has no file %s.jsonl", l->o.data, l->o.category ? l->o.category : "CATEGORY");
    qsort(l->categories, (size_t)l->n_categories, sizeof *l->categories, category_compare);
    return CMD_OK;
}

/* --- Rows --------------------------------------------------------------------------------- */

static void progress(ladder *l, const char *name) {
    enum { WIDTH = 30 };
    if (l->o.quiet || !isatty(STDERR_FILENO)) return;
    int full = l->all ? (int)(l->done * WIDTH / l->all) : 0;
    fprintf(stderr, "\r\033[K[%.*s%*s] %lld of %lld %s", full, "##############################", WIDTH - full, "",
            (long long)l->done, (long long)l->all, name);
}

static void row_step(row *r, int step, int counts, int holds) {
    r->of[step] += counts != 0;
    r->yes[step] += counts && holds;
}

static void row_add(row *r, const calls_steps *s, const calls_answer *a, int required) {
    r->n++;
    row_step(r, 0, !required, s->detected == s->wanted);
    row_step(r, 1, 1, s->detected);
    row_step(r, 2, 1, s->strict);
    row_step(r, 3, 1, s->parsed);
    row_step(r, 4, s->detected, s->valid);
    row_step(r, 5, s->judged, s->chosen);
    row_step(r, 6, s->judged, s->correct);
    row_step(r, 7, s->judged, s->converted);
    r->n_calls += s->n_calls;
    r->n_called += s->detected;
    r->sampled += a->n_ids - a->n_forced;
    r->forced += a->n_forced;
    r->prompt_us += a->prompt_us;
    if (s->detected) r->decode_us += a->decode_us;
}

static double share(const row *r, int step) { return (double)r->yes[step] / (double)r->of[step]; }

/* Standard error of a share in a sample of that size. */
static double sampling_error(const row *r, int step) {
    double p = share(r, step);
    return sqrt(p * (1 - p) / (double)r->of[step]);
}

static const char *const step_names[N_STEPS] = {"S0", "S1", "S2", "S3", "S4", "S5", "S6", "S6b"};

static void set_or_null(bezel_tree *tree, bezel_value *map, const char *key, int has, double x) {
    bezel_value_set(tree, map, key, has ? bezel_tree_number(tree, x) : bezel_tree_null(tree));
}

static void row_print(const ladder *l, const char *name, const calls_variant *v, const row *r) {
    char text[16];
    if (l->o.json) return;
    if (!l->o.quiet && isatty(STDERR_FILENO)) fputs("\r\033[K", stderr);
    if (bezel_value_count(l->rows) == 1)
        printf(
            "%-22s %-11s %-13s %-4s %-8s %5s   S0     S1     S2     S3     S4     S5     S6     S6b      ms sampled forced\n",
            "category", "profile", "dialect", "held", "choice", "n");
    printf("%-22s %-11s %-13s %-4s %-8s %5lld ", name, v->tool_profile ? v->tool_profile->name : "", v->dialect,
           v->constraint ? "on" : "off", v->required ? "required" : "auto", (long long)r->n);
    for (int i = 0; i < N_STEPS; i++) {
        text[0] = 0;
        if (r->of[i])
            snprintf(text, sizeof text, "%.0f±%.0f", share(r, i) * 100, sampling_error(r, i) * 100);
        printf(" %6s", text);
    }
    if (r->n_calls) printf(" %6.1f", (double)r->decode_us / 1e3 / (double)r->n_calls);
    printf(" %7.1f %6.1f\n", (double)r->sampled / (double)r->n, (double)r->forced / (double)r->n);
    if (r->n_failed) printf("%-22s %lld entries could not be asked\n", "", (long long)r->n_failed);
    fflush(stdout);
}

static void row_keep(ladder *l, const char *name, const calls_variant *v, const row *r) {
    bezel_tree *t = l->tree;
    bezel_value *map = bezel_tree_map(t), *errors = bezel_tree_map(t);
    cmd_set_text(t, map, "category", name, SIZE_MAX);
    cmd_set_text(t, map, "profile", v->tool_profile ? v->tool_profile->name : "", SIZE_MAX);
    cmd_set_text(t, map, "dialect", v->dialect, SIZE_MAX);
    cmd_set_text(t, map, "constraint", v->constraint ? "on" : "off", SIZE_MAX);
    cmd_set_text(t, map, "tool_choice", v->required ? "required" : "auto", SIZE_MAX);
    cmd_set_integer(t, map, "n", r->n);
    for (int i = 0; i < N_STEPS; i++) {
        set_or_null(t, map, step_names[i], r->of[i] > 0, share(r, i));
        set_or_null(t, errors, step_names[i], r->of[i] > 0, sampling_error(r, i));
    }
    set_or_null(t, map, "ms_per_call", r->n_calls > 0 && !l->answers, (double)r->decode_us / 1e3 / (double)r->n_calls);
    set_or_null(t, map, "sampled", r->n > 0 && !l->answers, (double)r->sampled / (double)r->n);
    set_or_null(t, map, "forced", r->n > 0 && !l->answers, (double)r->forced / (double)r->n);
    bezel_value_set(t, map, "sampling_error", errors);
    bezel_value_append(t, l->rows, map);
    row_print(l, name, v, r);
}

/* --- Answers ------------------------------------------------------------------------------ */

static int output_write(ladder *l, bezel_tree *tree, const calls_entry *entry, const calls_steps *s, const calls_answer *a,
                        const bezel_value *calls) {
    char *text;
    size_t size;
    bezel_value *map = bezel_tree_map(tree);
    const int steps[N_STEPS] = {
        s->detected == s->wanted, s->detected, s->strict, s->parsed, s->valid, s->chosen, s->correct, s->converted};
    cmd_set_text(tree, map, "id", entry->id, SIZE_MAX);
    cmd_set_text(tree, map, "text", a->text, a->size);
    cmd_set_text(tree, map, "stopped", a->stopped == BEZEL_STOPPED_END ? "end" : "limit", SIZE_MAX);
    bezel_value_set(tree, map, "calls", bezel_tree_copy(tree, calls));
    for (int i = 0; i < N_STEPS; i++)
        cmd_set_integer(tree, map, step_names[i], steps[i]);
    if (!isnan(a->call_probability)) cmd_set_number(tree, map, "call_probability", a->call_probability);
    if (!isnan(a->name_probability)) cmd_set_number(tree, map, "name_probability", a->name_probability);
    if (a->fit != 0) cmd_set_number(tree, map, "fit", a->fit);
    cmd_set_number(tree, map, "ms", (double)a->decode_us / 1e3);
    if (bezel_json_write(&text, &size, l->host.engine, map, 0, &l->host.error) != BEZEL_OK) return cmd_host_fail(&l->host);
    fwrite(text, 1, size, l->output);
    fputc('\n', l->output);
    bezel_text_free(l->host.engine, text);
    return CMD_OK;
}

/* The answer of the file, or the model's; *out_found 0 when the file has none. */
static int answer_get(calls_answer *out, int *out_found, ladder *l, const calls_entry *entry, const calls_tools *tools,
                      const calls_variant *v) {
    *out_found = 1;
    if (!l->answers) return calls_ask(out, &l->host, l->session, entry, tools, v, (uint32_t)l->o.max_tokens);
    const bezel_value *given = bezel_value_get(l->answers, entry->id), *stopped = bezel_value_get(given, "stopped");
    *out = (calls_answer){.call_probability = (double)NAN, .name_probability = (double)NAN};
    const char *text = bezel_value_text(bezel_value_get(given, "text"), &out->size);
    *out_found = given != NULL;
    out->stopped = stopped && strcmp(bezel_value_text(stopped, NULL), "limit") == 0 ? BEZEL_STOPPED_LIMIT : BEZEL_STOPPED_END;
    if (!(out->text = malloc(out->size + 1))) return cmd_error("out of memory");
    memcpy(out->text, text, out->size + 1);
    return CMD_OK;
}

static int entry_run(row *r, ladder *l, const category *c, const bezel_value *item, const calls_variant *v) {
    const calls_entry entry = {bezel_value_text(bezel_value_get(item, "id"), NULL), c->name, bezel_value_get(item, "question"),
                               bezel_value_get(item, "function"), bezel_value_get(item, "ground_truth")};
    calls_tools tools;
    calls_answer answer = {0};
    calls_steps steps;
    const bezel_value *calls;
    bezel_tree *tree = NULL;
    int found = 0, status = calls_tools_make(&tools, &l->host, &entry);
    if (status != CMD_OK) { /* tools that Bezel refuses are a finding of the bench, not its end */
        r->n_failed++;
        return CMD_OK;
    }
    if (bezel_tree_new(&tree, l->host.engine, &l->host.error) != BEZEL_OK) status = cmd_host_fail(&l->host);
    if (status == CMD_OK) status = answer_get(&answer, &found, l, &entry, &tools, v);
    if (status == CMD_OK && found)
        status =
            calls_judge(&steps, &calls, tree, &l->host, &entry, &tools, v->dialect, answer.text, answer.size, answer.stopped);
    if (status == CMD_OK && found) row_add(r, &steps, &answer, v->required);
    if (status == CMD_OK && found && l->output) status = output_write(l, tree, &entry, &steps, &answer, calls);
    free(answer.text);
    bezel_tree_free(tree);
    calls_tools_free(&tools);
    return status;
}

static int variant_run(ladder *l, const calls_variant *v) {
    int status = CMD_OK;
    for (int i = 0; status == CMD_OK && i < l->n_categories; i++) {
        const category *c = &l->categories[i];
        row r = {0};
        for (size_t k = 0; status == CMD_OK && k < bezel_value_count(c->entries) && !cmd_interrupted(); k++) {
            progress(l, c->name);
            status = entry_run(&r, l, c, bezel_value_at(c->entries, k), v);
            l->done++;
        }
        if (status == CMD_OK && r.n + r.n_failed > 0) row_keep(l, c->name, v, &r);
    }
    return status;
}

/* --- Variants ----------------------------------------------------------------------------- */

static int is_wanted(const char *given, const char *value, const char *standard, int all) {
    return given ? strcmp(given, value) == 0 : all || strcmp(value, standard) == 0;
}

/* Every combination that the options name; what they leave open is the default, with --all everything. */
static int variants_run(ladder *l, int only_count) {
    static const char *const dialects[] = {"function_call", "python", "json", "functiongemma", "gemma4"};
    static const char *const profiles[] = {"instruct", "transcript", "native"}, *const held[] = {"off", "on"},
                             *const choices[] = {"auto", "required"};
    const cmd_options *o = &l->o;
    const bezel_profile *chat = l->host.model ? bezel_profile_of(l->host.model) : NULL;
    const bezel_tool_profile *own = chat ? bezel_tool_profile_of(chat) : bezel_tool_profile_find("transcript");
    const char *standard = o->adapter ? "instruct" : own->name;
    int status = CMD_OK, n = 0;
    for (size_t k = 0; status == CMD_OK && k < 3 * 5 * 2 * 2; k++) {
        calls_variant v = {.dialect = dialects[k / 4 % 5], .constraint = k / 2 % 2 == 1, .required = k % 2 == 1};
        const char *profile = profiles[k / 20];
        if (!is_wanted(o->profile, profile, standard, o->all) || !is_wanted(o->dialect, v.dialect, own->dialect, o->all) ||
            !is_wanted(o->constrain, held[v.constraint], "on", o->all) ||
            !is_wanted(o->tool_choice, choices[v.required], "auto", o->all) || (v.required && !v.constraint))
            continue;
        v.tool_profile = bezel_tool_profile_find_in(profile, v.dialect);
        if (!v.tool_profile || (v.tool_profile->native && !own->native && !o->profile))
            continue; /* "native" has two dialects, and is of models that were trained on them */
        v.profile = v.tool_profile->native       ? bezel_profile_find(v.dialect)
                    : k / 20                     ? bezel_profile_find("transcript")
                    : chat && !chat->label_guard ? chat
                                                 : bezel_profile_find("gemma3");
        v.call_bias = (float)o->call_bias;
        v.no_fit = o->no_fit;
        v.no_evidence = o->no_evidence;
        n++;
        if (!only_count) status = variant_run(l, &v);
    }
    if (status == CMD_OK && !n)
        return cmd_usage(
            o, "no such variant: profiles instruct, transcript, native; dialects function_call, python, json, functiongemma, gemma4; "
               "calls are required under a constraint only");
    for (int i = 0; only_count && i < l->n_categories; i++)
        l->all += n * (int64_t)bezel_value_count(l->categories[i].entries);
    return status;
}

/* --- Whole -------------------------------------------------------------------------------- */

static int answers_read(ladder *l) {
    bezel_value *list = bezel_tree_list(l->tree);
    int status = lines_read(list, l->tree, l, l->o.answers, NULL);
    l->answers = bezel_tree_map(l->tree);
    for (size_t i = 0; i < bezel_value_count(list); i++)
        bezel_value_set(l->tree, l->answers, bezel_value_text(bezel_value_get(bezel_value_at(list, i), "id"), NULL),
                        bezel_tree_copy(l->tree, bezel_value_at(list, i)));
    return status;
}

static int ladder_open(ladder *l) {
    bezel_session_options options;
    int status = l->o.answers ? cmd_host_engine(&l->host, &l->o) : cmd_host_model(&l->host, &l->o);
    if (status != CMD_OK) return status;
    if (bezel_tree_new(&l->tree, l->host.engine, &l->host.error) != BEZEL_OK) return cmd_host_fail(&l->host);
    l->rows = bezel_tree_list(l->tree);
    status = categories_find(l);
    for (int i = 0; status == CMD_OK && i < l->n_categories; i++)
        status = category_read(l, &l->categories[i]);
    if (status == CMD_OK && l->o.answers) return answers_read(l);
    if (status == CMD_OK) status = cmd_session_options(&options, &l->o);
    if (status == CMD_OK && !l->o.no_cache) bezel_model_prepare(l->host.model, &l->host.error);
    if (status == CMD_OK && bezel_session_new(&l->session, l->host.model, &options, &l->host.error) != BEZEL_OK)
        status = cmd_host_fail(&l->host);
    if (status == CMD_OK && cmd_adapt(&l->host, l->session, &l->o, &l->host.error) != BEZEL_OK) status = cmd_host_fail(&l->host);
    return status;
}

static int ladder_check(const cmd_options *o) {
    if (!o->data) return cmd_usage(o, "--data DIR is needed: a folder of files CATEGORY.jsonl in the form of BFCL");
    if (o->constrain && strcmp(o->constrain, "on") != 0 && strcmp(o->constrain, "off") != 0)
        return cmd_usage(o, "--constraint %s: on or off expected", o->constrain);
    if (o->tool_choice && strcmp(o->tool_choice, "auto") != 0 && strcmp(o->tool_choice, "required") != 0)
        return cmd_usage(o, "--tool-choice %s: auto or required expected", o->tool_choice);
    return CMD_OK;
}

int cmd_bench_calls(int argc, char **argv) {
    ladder *l = calloc(1, sizeof *l);
    if (!l) return cmd_error("out of memory");
    l->o.subcommand = "bench calls";
    l->o.usage = "bench calls --data DIR [--category LIST] [--limit N] [--constraint on|off] [--tool-choice auto|required] "
                 "[--all] [--json]";
    int status = cmd_options_read(
        &l->o, argc - 1, argv + 1,
        CMD_ENGINE_OPTIONS
        " " CMD_SESSION_OPTIONS
        " adapter adapter-scale data category limit seed constraint tool-choice profile dialect all call-bias no-fit no-evidence max-tokens "
        "answers output json");
    if (status == CMD_OK) status = ladder_check(&l->o);
    if (status == CMD_OK) cmd_interrupt_watch();
    if (status == CMD_OK) status = ladder_open(l);
    if (status == CMD_OK && l->o.output && !(l->output = fopen(l->o.output, "wb")))
        status = cmd_error("--output %s: %s", l->o.output, strerror(errno));
    if (status == CMD_OK) status = variants_run(l, 1);
    if (status == CMD_OK) status = variants_run(l, 0);
    if (status == CMD_OK && l->o.json) {
        bezel_value *map = bezel_tree_map(l->tree);
        bezel_value_set(l->tree, map, "rows", l->rows);
        status = cmd_print_json(&l->host, map);
    }
    if (!l->o.quiet && isatty(STDERR_FILENO)) fputs("\r\033[K", stderr);
    if (l->output && fclose(l->output) != 0) status = cmd_error("--output %s: %s", l->o.output, strerror(errno));
    bezel_session_free(l->session);
    for (int i = 0; i < l->n_categories; i++)
        bezel_tree_free(l->categories[i].tree);
    bezel_tree_free(l->tree);
    cmd_host_free(&l->host);
    free(l);
    return status;
}
