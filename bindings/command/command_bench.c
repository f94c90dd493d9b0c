/* SPDX-License-Identifier: MIT */
/* bezel bench: load, prompt and decode speed on this machine. Measures; the tests check. */
#include "command.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

typedef struct bench_row {
    const char *test;
    const char *head;  /* rows of the output layer that are computed: "full", "last" position, "screened", "none" */
    int64_t tokens, context;
    double *ms; /* [rounds] */
} bench_row;

typedef struct bench {
    cmd_host host;
    cmd_options o;
    bezel_tree *tree;
    bezel_value *rows;
} bench;

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int compare_double(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(const double *x, size_t n) {
    double sorted[1024];
    memcpy(sorted, x, n * sizeof *x);
    qsort(sorted, n, sizeof *sorted, compare_double);
    return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

static void bench_add(bench *b, const bench_row *row) {
    size_t n = (size_t)b->o.rounds;
    bezel_value *map = bezel_tree_map(b->tree), *runs = bezel_tree_list(b->tree);
    double ms = median(row->ms, n);
    for (size_t i = 0; i < n; i++) bezel_value_append(b->tree, runs, bezel_tree_number(b->tree, row->ms[i]));
    cmd_set_text(b->tree, map, "test", row->test, SIZE_MAX);
    cmd_set_integer(b->tree, map, "tokens", row->tokens);
    cmd_set_integer(b->tree, map, "threads", bezel_engine_threads(b->host.engine));
    cmd_set_number(b->tree, map, "tokens_per_second", row->tokens ? (double)row->tokens * 1e3 / ms : 0);
    cmd_set_number(b->tree, map, "milliseconds", ms);
    cmd_set_text(b->tree, map, "head", row->head, SIZE_MAX);
    cmd_set_integer(b->tree, map, "context", row->context);
    bezel_value_set(b->tree, map, "runs", runs);
    bezel_value_append(b->tree, b->rows, map);
    if (!b->o.json) {
        printf("%-8s %-8s %6lld tokens  %10.2f ms", row->test, row->head, (long long)row->tokens, ms);
        if (row->tokens) printf("  %8.1f tokens/s", (double)row->tokens * 1e3 / ms);
        printf("   (%zu rounds)\n", n);
        fflush(stdout);
    }
}

/* Opens the model `rounds` times; the last one stays open. */
static int bench_load(bench *b, double *ms) {
    for (int64_t i = 0; i < b->o.rounds; i++) {
        if (i) cmd_host_free(&b->host);
        double t = now_ms();
        b->o.quiet = 1;
        int status = cmd_host_model(&b->host, &b->o);
        if (status != CMD_OK) return status;
        ms[i] = now_ms() - t;
    }
    return CMD_OK;
}

/* A fixed text of n tokens: words of the vocabulary picked by a linear congruence, BOS first. */
static void bench_prompt(int32_t *ids, size_t n, const bezel_model *model) {
    uint32_t x = 12345, vocab = bezel_model_vocab_size(model);
    int32_t bos = bezel_token_bos(model);
    for (size_t i = 0; i < n; i++) {
        x = x * 1664525u + 1013904223u;
        ids[i] = i == 0 && bos >= 0 ? bos : (int32_t)(vocab / 8 + x % (vocab / 2));
    }
}

/* One answer that cannot end early. Times in milliseconds. */
static int bench_answer(bench *b, bezel_session *session, size_t n_prompt, uint32_t n_tokens, double *prompt_ms,
                        double *decode_ms) {
    bezel_generate_options options;
    bezel_generation g = {.size = sizeof g};
    bezel_logit_bias bias[64];
    bezel_job *job = NULL;
    int32_t *ids = malloc(n_prompt * sizeof *ids);
    bezel_status st;
    if (!ids) return cmd_error("out of memory");
    bench_prompt(ids, n_prompt, b->host.model);
    bezel_generate_options_init(&options);
    bezel_sampling_greedy(&options.sampling);
    options.max_tokens = n_tokens;
    options.sampling.bias = bias;
    for (uint32_t id = 0; id < bezel_model_vocab_size(b->host.model) && options.sampling.n_bias < 64; id++)
        if (bezel_token_is_end(b->host.model, (int32_t)id)) {
            bias[options.sampling.n_bias].id = (int32_t)id;
            bias[options.sampling.n_bias++].bias = -INFINITY;
        }
    st = bezel_session_set(session, NULL, 0, &b->host.error);
    if (st == BEZEL_OK) st = bezel_session_append(session, ids, n_prompt, &b->host.error);
    if (st == BEZEL_OK) st = bezel_generate(&job, session, &options, &b->host.error);
    if (st == BEZEL_OK) do st = bezel_job_step(job, -1, &b->host.error);
        while (st > 0 && st != BEZEL_DONE);
    if (st == BEZEL_DONE) st = bezel_generation_get(job, &g, &b->host.error);
    *prompt_ms = (double)g.prompt_us / 1e3;
    *decode_ms = (double)(g.total_us - g.first_token_us) / 1e3;
    bezel_job_free(job);
    free(ids);
    return st == BEZEL_OK ? CMD_OK : cmd_host_fail(&b->host);
}

/* Decode with each head in turn, round by round, so that what else the machine does meets both. */
static int bench_decode(bench *b, bezel_session *const sessions[2], double *ms) {
    static const char *const heads[] = {"screened", "full"};
    const cmd_options *o = &b->o;
    double other;
    int status = CMD_OK;
    for (int64_t i = 0; status == CMD_OK && i < o->rounds; i++)
        for (int k = 0; k < 2 && status == CMD_OK; k++)
            if (sessions[k])
                status = bench_answer(b, sessions[k], 16, (uint32_t)o->generate + 1, &other, &ms[k * o->rounds + i]);
    for (int k = 0; k < 2 && status == CMD_OK; k++)
        if (sessions[k]) bench_add(b, &(bench_row){"decode", heads[k], o->generate, 16, ms + k * o->rounds});
    return status;
}

/* Which heads can be measured: screened where there is a copy of the output matrix and it is not switched off. */
static int bench_sessions(bench *b, bezel_session *sessions[2], uint32_t n_ctx) {
    bezel_session_options options;
    int status = cmd_session_options(&options, &b->o);
    if (status != CMD_OK) return status;
    const char *name = getenv("BEZEL_HEAD");
    uint32_t wanted = options.head == BEZEL_HEAD_AUTO && name && strcmp(name, "full") == 0 ? BEZEL_HEAD_FULL : options.head;
    int screened = wanted != BEZEL_HEAD_FULL && bezel_engine_isa(b->host.engine) != BEZEL_ISA_SCALAR &&
                   bezel_model_prepare(b->host.model, &b->host.error) == BEZEL_OK;
    options.n_ctx = n_ctx;
    for (int k = 0; k < 2; k++) {
        options.head = k == 0 ? BEZEL_HEAD_SCREENED : BEZEL_HEAD_FULL;
        if (k == 0 ? !screened : screened && wanted == BEZEL_HEAD_SCREENED) continue;
        if (bezel_session_new(&sessions[k], b->host.model, &options, &b->host.error) != BEZEL_OK)
            return cmd_host_fail(&b->host);
    }
    return CMD_OK;
}

static int bench_rounds(bench *b, double *ms) {
    const cmd_options *o = &b->o;
    bezel_session *sessions[2] = {NULL, NULL};
    double other;
    int64_t longest = o->prompt > 16 + o->generate ? o->prompt : 16 + o->generate;
    int status = bench_sessions(b, sessions, (uint32_t)(longest + 8));
    bezel_session *first = sessions[0] ? sessions[0] : sessions[1];
    if (status == CMD_OK) status = bench_answer(b, first, 16, 4, &other, &other); /* touches the pages */
    for (int64_t i = 0; status == CMD_OK && i < o->rounds; i++)
        status = bench_answer(b, first, (size_t)o->prompt, 1, &ms[i], &other);
    if (status == CMD_OK) bench_add(b, &(bench_row){"prompt", "last", o->prompt, 0, ms});
    if (status == CMD_OK) status = bench_decode(b, sessions, ms);
    bezel_session_free(sessions[0]);
    bezel_session_free(sessions[1]);
    return status;
}

static int64_t resident_bytes(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return (int64_t)usage.ru_maxrss * 1024;
}

static int bench_print(bench *b) {
    if (!b->o.json) {
        printf("peak resident memory %.1f MB\n", (double)resident_bytes() / 1e6);
        return CMD_OK;
    }
    bezel_value *map = bezel_tree_map(b->tree);
    bezel_value_set(b->tree, map, "rows", b->rows);
    cmd_set_integer(b->tree, map, "resident_bytes", resident_bytes());
    cmd_set_text(b->tree, map, "isa", bezel_isa_name(bezel_engine_isa(b->host.engine)), SIZE_MAX);
    return cmd_print_json(&b->host, map);
}

int cmd_bench(int argc, char **argv) {
    bench b = {.o = {.subcommand = "bench", .usage = "bench [--prompt N] [--generate N] [--threads N] [--rounds N] [--json]"}};
    int status = cmd_options_read(&b.o, argc, argv,
                                  CMD_ENGINE_OPTIONS " activations head chunk seed prompt generate rounds json");
    if (status != CMD_OK) return status;
    double *ms = calloc((size_t)b.o.rounds * 2, sizeof *ms);
    if (!ms) return cmd_error("out of memory");
    if ((status = bench_load(&b, ms)) != CMD_OK) goto done;
    if (bezel_tree_new(&b.tree, b.host.engine, &b.host.error) != BEZEL_OK) {
        status = cmd_host_fail(&b.host);
        goto done;
    }
    b.rows = bezel_tree_list(b.tree);
    bench_add(&b, &(bench_row){"load", "none", 0, 0, ms});
    if ((status = bench_rounds(&b, ms)) == CMD_OK) status = bench_print(&b);
done:
    bezel_tree_free(b.tree);
    cmd_host_free(&b.host);
    free(ms);
    return status;
}
