/* SPDX-License-Identifier: MIT */
/* bezel bench: what this machine makes of a model: load, prompt, decode, start of a process, memory. A table, or JSON whose
 * first `decode` row is the product default. Measures; the tests check. */
#include "command_bench.h"

#include "command_calls.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#define ALL_TESTS "load,prompt,decode,forced,mixed,sessions,ttft,memory"

static int compare_double(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const double *x, int64_t n) {
    double sorted[BENCH_MAX_ROUNDS];
    memcpy(sorted, x, (size_t)n * sizeof *x);
    qsort(sorted, (size_t)n, sizeof *sorted, compare_double);
    return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

/* --- Which tests -------------------------------------------------------------------------- */

static int list_has(const char *list, const char *word, size_t n) {
    for (const char *p = list; p; p = strchr(p, ',')) {
        if (*p == ',') p++;
        if (strncmp(p, word, n) == 0 && (p[n] == ',' || p[n] == 0)) return 1;
    }
    return 0;
}

int bench_wants(const bench *b, const char *test) { return list_has(b->o.tests, test, strlen(test)); }

int bench_is_alone(const bench *b, const char *test) { return strcmp(b->o.tests, test) == 0; }

static int tests_read(bench *b) {
    if (!b->o.tests) b->o.tests = ALL_TESTS;
    for (const char *p = b->o.tests; p; p = strchr(p, ',')) {
        if (*p == ',') p++;
        size_t n = strcspn(p, ",");
        if (!n || !list_has(ALL_TESTS, p, n)) return cmd_usage(&b->o, "--tests %s: some of " ALL_TESTS " expected", b->o.tests);
    }
    return CMD_OK;
}

static int wants_runs(const bench *b) {
    static const char *const tests[] = {"prompt", "decode", "forced", "mixed", "sessions"};
    for (size_t i = 0; i < sizeof tests / sizeof *tests; i++)
        if (bench_wants(b, tests[i])) return 1;
    return 0;
}

/* "32,512" to numbers; *out_count of them. */
static int lengths_read(int64_t *out, int *out_count, const cmd_options *o, const char *name, const char *list) {
    *out_count = 0;
    for (const char *p = list; *p;) {
        char *end;
        long long x = strtoll(p, &end, 10);
        if (end == p || (*end && *end != ',') || (*end == ',' && !end[1]) || x < 1 || x > 1 << 20 ||
            *out_count == BENCH_MAX_LENGTHS)
            return cmd_usage(o, "--%s %s: up to %d numbers from 1 to 1048576 expected, with commas", name, list,
                             BENCH_MAX_LENGTHS);
        out[(*out_count)++] = x;
        p = *end ? end + 1 : end;
    }
    return *out_count ? CMD_OK : cmd_usage(o, "--%s: a number expected", name);
}

/* Lengths that nobody asked for are left out where the model is shorter. */
static void lengths_clip(int64_t *lengths, int *count, int64_t longest) {
    int n = 0;
    for (int i = 0; i < *count; i++)
        if (lengths[i] <= longest) lengths[n++] = lengths[i];
    *count = n;
}

/* --- Rows --------------------------------------------------------------------------------- */

void bench_note(const bench *b, const char *what, const char *head, int64_t size, int64_t round) {
    if (b->quiet || !isatty(STDERR_FILENO)) return;
    fprintf(stderr, "\r\033[K%s%s%s", what, *head ? " " : "", head);
    if (size) fprintf(stderr, " %lld", (long long)size);
    fprintf(stderr, ", round %lld of %lld", (long long)round + 1, (long long)b->o.rounds);
}

static void note_end(const bench *b) {
    if (!b->quiet && isatty(STDERR_FILENO)) fputs("\r\033[K", stderr);
}

void bench_take(bench *b, bench_series *series, double ms) {
    series->ms[series->n] = ms;
    series->read[series->n] = bench_probe_read(&b->probe);
    series->n++;
}

static void set_list(bezel_tree *tree, bezel_value *map, const char *key, const double *x, int64_t n) {
    bezel_value *list = bezel_tree_list(tree);
    for (int64_t i = 0; i < n; i++) bezel_value_append(tree, list, bezel_tree_number(tree, x[i]));
    bezel_value_set(tree, map, key, list);
}

static void print_row(const bench *b, const bench_row *row, double ms, double read) {
    char context[24] = "", rate[32] = "";
    if (b->o.json) return;
    note_end(b);
    if (bezel_value_count(b->rows) == 1)
        printf("%-8s %-8s %8s %8s %11s %10s %12s\n", "test", "head", "context", "tokens", "ms", "tokens/s", "memory GB/s");
    if (row->context) snprintf(context, sizeof context, "%lld", (long long)row->context);
    if (row->tokens) snprintf(rate, sizeof rate, "%.1f", (double)row->tokens * 1e3 / ms);
    printf("%-8s %-8s %8s %8lld %11.2f %10s %12.1f", row->test, row->head, context, (long long)row->tokens, ms, rate, read);
    if (row->sessions > 1) printf("   %lld sessions", (long long)row->sessions);
    printf(row->side_file ? "   side file %s\n" : "\n", row->side_file);
    fflush(stdout);
}

void bench_add(bench *b, const bench_row *row, const bench_series *series) {
    bezel_value *map = bezel_tree_map(b->tree);
    double ms = median(series->ms, series->n), read = median(series->read, series->n);
    cmd_set_text(b->tree, map, "test", row->test, SIZE_MAX);
    cmd_set_integer(b->tree, map, "tokens", row->tokens);
    cmd_set_integer(b->tree, map, "threads", bezel_engine_threads(b->host.engine));
    cmd_set_number(b->tree, map, "tokens_per_second", row->tokens ? (double)row->tokens * 1e3 / ms : 0);
    cmd_set_number(b->tree, map, "milliseconds", ms);
    cmd_set_text(b->tree, map, "head", row->head, SIZE_MAX);
    cmd_set_integer(b->tree, map, "context", row->context);
    set_list(b->tree, map, "runs", series->ms, series->n);
    cmd_set_number(b->tree, map, "read_gb_per_second", read);
    set_list(b->tree, map, "read_runs", series->read, series->n);
    if (strcmp(row->test, "sessions") == 0) cmd_set_integer(b->tree, map, "sessions", row->sessions);
    if (row->side_file) {
        cmd_set_text(b->tree, map, "side_file", row->side_file, SIZE_MAX);
        cmd_set_number(b->tree, map, "process_milliseconds", median(series->end_ms, series->n));
    }
    bezel_value_append(b->tree, b->rows, map);
    print_row(b, row, ms, read);
}

/* Opens the model, `rounds` times when that is to be measured; the last one stays open. */
static int bench_load(bench *b) {
    bench_series *s = &b->series[0];
    int64_t rounds = bench_wants(b, "load") ? b->o.rounds : 1;
    s->n = 0;
    b->o.quiet = 1;
    while (s->n < rounds) {
        bench_note(b, "load", "", 0, s->n);
        if (s->n) cmd_host_free(&b->host);
        double t = bench_now_ms();
        int status = cmd_host_model(&b->host, &b->o);
        if (status != CMD_OK) return status;
        bench_take(b, s, bench_now_ms() - t);
    }
    if (bezel_tree_new(&b->tree, b->host.engine, &b->host.error) != BEZEL_OK) return cmd_host_fail(&b->host);
    b->rows = bezel_tree_list(b->tree);
    if (bench_wants(b, "load")) bench_add(b, &(bench_row){"load", "none", 0, 0, NULL, 1}, s);
    return CMD_OK;
}

/* --- Processes ---------------------------------------------------------------------------- */

typedef struct arguments {
    char *list[24];
    int n;
    char threads[24];
} arguments;

static void argument_add(arguments *a, const char *name, const char *value) {
    if (!value) return;
    a->list[a->n++] = (char *)(uintptr_t)name; /* execve takes char *const and changes nothing */
    if (*value) a->list[a->n++] = (char *)(uintptr_t)value;
}

static void arguments_begin(arguments *a, const bench *b, const char *subcommand, const char *model) {
    *a = (arguments){0};
    snprintf(a->threads, sizeof a->threads, "%lld", (long long)b->o.threads);
    argument_add(a, "bezel", subcommand);
    argument_add(a, "--model", model);
    argument_add(a, "--threads", a->threads);
    argument_add(a, "--isa", b->o.isa);
    argument_add(a, "--activations", b->o.activations);
    argument_add(a, "--kv", b->o.kv);
    argument_add(a, "--head", b->o.head);
    argument_add(a, "--kind", b->o.kind);
    if (b->o.no_cache) argument_add(a, "--no-cache", "");
    if (b->o.raw_weights) argument_add(a, "--raw-weights", "");
    argument_add(a, "--quiet", "");
}

/* From the start of `bezel complete` to its answer of one token, with our cache folder or an empty one. */
static int bench_start(bench *b, const char *model, int absent) {
    bench_series *s = &b->series[0];
    size_t tokens = 0;
    int status = CMD_OK;
    s->n = 0;
    for (int64_t i = 0; status == CMD_OK && i < b->o.rounds; i++) {
        bench_child child;
        arguments a;
        char *folder = absent ? bench_folder_new() : NULL;
        char *text = bench_text(b, BENCH_START_TOKENS, (uint64_t)(b->o.seed + i), &tokens);
        bench_note(b, "ttft", absent ? "absent" : "present", 0, i);
        arguments_begin(&a, b, "complete", model);
        argument_add(&a, "--max-tokens", "1");
        argument_add(&a, "--", text);
        status = text && (folder || !absent) ? bench_child_run(&child, a.list, folder) : cmd_error("no folder for temporary files");
        if (status == CMD_OK) {
            s->end_ms[s->n] = child.end_ms;
            bench_take(b, s, child.first_ms);
            free(child.output);
        }
        free(text);
        bench_folder_remove(folder);
    }
    const char *head = b->o.head && strcmp(b->o.head, "full") == 0 ? "full" : "auto";
    bench_row row = {"ttft", head, 0, (int64_t)tokens, absent ? "absent" : "present", 1};
    if (status == CMD_OK) bench_add(b, &row, s);
    return status;
}

static void set_pages(bench *b, const bench_pages *pages) {
    b->memory = bezel_tree_map(b->tree);
    cmd_set_integer(b->tree, b->memory, "anonymous_bytes", pages->anonymous);
    cmd_set_integer(b->tree, b->memory, "side_file_bytes", pages->side_file);
    cmd_set_integer(b->tree, b->memory, "model_file_bytes", pages->model_file);
    cmd_set_integer(b->tree, b->memory, "other_file_bytes", pages->other_file);
}

/* The same command for its memory only, so that other sessions and the probe are not in it. */
static int bench_memory(bench *b, const char *model) {
    bench_child child;
    bench_pages pages;
    arguments a;
    bezel_value *report = NULL;
    int status;
    if (bench_is_alone(b, "memory")) {
        if ((status = bench_pages_here(b, &pages)) == CMD_OK) set_pages(b, &pages);
        return status;
    }
    arguments_begin(&a, b, "bench", model);
    argument_add(&a, "--tests", "memory");
    argument_add(&a, "--json", "");
    if ((status = bench_child_run(&child, a.list, NULL)) != CMD_OK) return status;
    if (bezel_json_read(&report, b->tree, child.output, child.size, &b->host.error) != BEZEL_OK)
        status = cmd_host_fail(&b->host);
    else
        b->memory = bezel_tree_copy(b->tree, bezel_value_get(report, "memory"));
    free(child.output);
    return status;
}

static int bench_processes(bench *b) {
    char *model = cmd_model_path(&b->o);
    int status = model ? CMD_OK : cmd_error("out of memory");
    if (status == CMD_OK && bench_wants(b, "ttft")) {
        if (!b->o.no_cache) {
            bezel_model_prepare(b->host.model, &b->host.error); /* a model without side file starts the same either way */
            status = bench_start(b, model, 0);
        }
        if (status == CMD_OK) status = bench_start(b, model, 1);
    }
    if (status == CMD_OK && bench_wants(b, "memory")) status = bench_memory(b, model);
    free(model);
    return status;
}

/* --- Whole -------------------------------------------------------------------------------- */

static int64_t resident_bytes(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (int64_t)usage.ru_maxrss * 1024;
}

static double megabytes(const bench *b, const char *key) {
    return (double)bezel_value_integer(bezel_value_get(b->memory, key)) / 1e6;
}

static int bench_print(bench *b) {
    note_end(b);
    if (!b->o.json) {
        if (b->memory)
            printf("memory with 2048 positions: %.1f MB of its own, %.1f MB of the side file, %.1f MB of the model file, %.1f MB of other files\n",
                   megabytes(b, "anonymous_bytes"), megabytes(b, "side_file_bytes"), megabytes(b, "model_file_bytes"),
                   megabytes(b, "other_file_bytes"));
        return CMD_OK;
    }
    bezel_value *map = bezel_tree_map(b->tree);
    bezel_value_set(b->tree, map, "rows", b->rows);
    cmd_set_integer(b->tree, map, "resident_bytes", resident_bytes());
    cmd_set_text(b->tree, map, "isa", bezel_isa_name(bezel_engine_isa(b->host.engine)), SIZE_MAX);
    if (b->memory) bezel_value_set(b->tree, map, "memory", b->memory);
    return cmd_print_json(&b->host, map);
}

static int bench_lengths(bench *b) {
    const cmd_options *o = &b->o;
    int status = lengths_read(b->prompts, &b->n_prompts, o, "prompt", o->prompts ? o->prompts : "512,32");
    if (status != CMD_OK) return status;
    status = lengths_read(b->contexts, &b->n_contexts, o, "context", o->context ? o->context : "16,1024,4096");
    if (status != CMD_OK) return status;
    status = lengths_read(b->sessions, &b->n_sessions, o, "sessions", o->sessions ? o->sessions : "16,32");
    for (int i = 0; status == CMD_OK && i < b->n_sessions; i++)
        if (b->sessions[i] > BENCH_MAX_SESSIONS)
            status = cmd_usage(o, "--sessions %s: at most %d expected", o->sessions, BENCH_MAX_SESSIONS);
    return status;
}

int cmd_bench(int argc, char **argv) {
    if (argc > 2 && strcmp(argv[2], "calls") == 0) return cmd_bench_calls(argc, argv);
    bench *b = calloc(1, sizeof *b);
    if (!b) return cmd_error("out of memory");
    b->o.subcommand = "bench";
    b->o.usage = "bench [--tests LIST] [--prompt LIST] [--context LIST] [--sessions LIST] [--generate N] [--threads N] [--rounds N] [--json]";
    int status = cmd_options_read(&b->o, argc, argv,
                                  CMD_ENGINE_OPTIONS " activations kv head chunk seed tests prompt context sessions generate rounds json");
    if (status == CMD_OK) status = tests_read(b);
    if (status == CMD_OK) status = bench_lengths(b);
    b->quiet = b->o.quiet;
    if (status == CMD_OK && !bench_is_alone(b, "memory")) status = bench_probe_start(&b->probe, b->o.threads);
    if (status == CMD_OK) status = bench_load(b);
    if (status == CMD_OK) {
        int64_t longest = bezel_model_context_length(b->host.model);
        if (!b->o.prompts) lengths_clip(b->prompts, &b->n_prompts, longest - 8);
        if (!b->o.context) lengths_clip(b->contexts, &b->n_contexts, longest - b->o.generate - 8);
        if (wants_runs(b)) status = bench_runs(b);
    }
    if (status == CMD_OK) status = bench_processes(b);
    if (status == CMD_OK) status = bench_print(b);
    bench_probe_stop(&b->probe);
    bezel_tree_free(b->tree);
    cmd_host_free(&b->host);
    free(b);
    return status;
}
