/* SPDX-License-Identifier: MIT */
/* Parts of `bezel bench`. Every figure has beside it what the machine's memory gave at that moment, because on a shared
 * machine a speed alone says little. */
#ifndef BEZEL_COMMAND_BENCH_H
#define BEZEL_COMMAND_BENCH_H

#include "command.h"

#include <stddef.h>
#include <sys/types.h>

#define BENCH_MAX_ROUNDS 1000 /* that of --rounds */
#define BENCH_MAX_LENGTHS 16
#define BENCH_MAX_SESSIONS 1024
#define BENCH_START_TOKENS 32 /* prompt of the rows `ttft` */

/* --- command_bench_machine.c -------------------------------------------------------------- */

double bench_now_ms(void); /* of the monotonic clock */

/* A process of its own that reads memory when asked, so that its memory is not counted as ours. */
typedef struct bench_probe {
    pid_t pid; /* 0 = none */
    int ask, answer;
} bench_probe;

/* Must be called before this process has threads. */
int bench_probe_start(bench_probe *probe, int64_t threads);
/* 10^9 bytes a second that `threads` threads read from memory now; 0 when it cannot be said. */
double bench_probe_read(bench_probe *probe);
void bench_probe_stop(bench_probe *probe);

/* Bytes of this process that are in memory, by what they hold. */
typedef struct bench_pages {
    int64_t anonymous, side_file, model_file, other_file;
} bench_pages;

/* Pages of mapped files go by their path: that of the model, below the cache folder, others. */
int bench_pages_read(bench_pages *out, const char *model_path, const char *cache_folder);

typedef struct bench_child {
    double first_ms, end_ms; /* from before its start to its first byte of output, and to its end */
    char *output;            /* NUL-terminated, free() */
    size_t size;
} bench_child;

/* Runs this program with other arguments (argv[0] is replaced, NULL at the end) to its end; cache is its XDG_CACHE_HOME, or
 * NULL for ours. An error when it fails. */
int bench_child_run(bench_child *out, char *const argv[], const char *cache);
/* A new empty folder below the one for temporary files, free(); removed again with what Bezel put in. */
char *bench_folder_new(void);
void bench_folder_remove(char *folder);

/* --- command_bench_runs.c ----------------------------------------------------------------- */

/* What the rounds of one row gave. */
typedef struct bench_series {
    int64_t n;
    double ms[BENCH_MAX_ROUNDS], read[BENCH_MAX_ROUNDS], end_ms[BENCH_MAX_ROUNDS];
} bench_series;

typedef struct bench_row {
    const char *test;
    const char *head;        /* rows of the output layer that are computed: "full", "last" position, "screened", "none" */
    int64_t tokens, context; /* tokens in the time, and before them */
    const char *side_file;   /* of `ttft`: "present", "absent"; else NULL */
    int64_t sessions;        /* that were answered together */
} bench_row;

typedef struct bench {
    cmd_host host;
    cmd_options o;
    bezel_tree *tree;
    bezel_value *rows, *memory;
    bench_probe probe;
    int64_t prompts[BENCH_MAX_LENGTHS], contexts[BENCH_MAX_LENGTHS], sessions[BENCH_MAX_LENGTHS];
    int n_prompts, n_contexts, n_sessions;
    int quiet;
    bench_series series[2];
} bench;

int bench_wants(const bench *b, const char *test); /* is it among --tests? */
int bench_is_alone(const bench *b, const char *test);
void bench_note(const bench *b, const char *what, const char *head, int64_t size, int64_t round); /* on a terminal */
void bench_take(bench *b, bench_series *series, double ms); /* one round, and the probe beside it */
void bench_add(bench *b, const bench_row *row, const bench_series *series);

/* Rows of the model in this process: prompt, decode, forced, mixed, sessions. */
int bench_runs(bench *b);
/* Memory of this process with one session of 2048 positions after a prompt of 512 tokens and 64 of an answer. */
int bench_pages_here(bench *b, bench_pages *out);
/* Text of about n tokens, words by the seed; *out_tokens is what the tokenizer makes of it, BOS included. Owns: free() */
char *bench_text(bench *b, size_t n, uint64_t seed, size_t *out_tokens);

#endif
