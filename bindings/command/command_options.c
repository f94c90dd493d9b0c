/* SPDX-License-Identifier: MIT */
/* Options of all subcommands in one table; each subcommand allows some of them. */
#include "command.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { KIND_FLAG, KIND_TEXT, KIND_INPUT, KIND_INTEGER, KIND_NUMBER, KIND_LIST }; /* INPUT: a text; - or none = standard input */

typedef struct option_row {
    const char *name;
    int kind;
    size_t offset;
    double min, max;
    uint32_t given;
    const char *argument;
    const char *help;
} option_row;

#define AT(field) offsetof(cmd_options, field)
static const option_row option_rows[] = {
    {"model", KIND_TEXT, AT(model), 0, 0, 0, "FILE", "model file; else BEZEL_MODEL, else the cached demo model"},
    {"store", KIND_TEXT, AT(store), 0, 0, 0, "FILE", "store file; else BEZEL_STORE, else the data folder"},
    {"no-store", KIND_FLAG, AT(no_store), 0, 0, 0, "", "keep nothing"},
    {"isa", KIND_TEXT, AT(isa), 0, 0, 0, "NAME", "auto, scalar, avx2, avx512, neon, amx; else BEZEL_ISA"},
    {"activations", KIND_TEXT, AT(activations), 0, 0, 0, "NAME", "auto, f32, q8"},
    {"kv", KIND_TEXT, AT(kv), 0, 0, 0, "NAME", "auto, f32, f16, int8: how keys and values are kept"},
    {"adapter", KIND_TEXT, AT(adapter), 0, 0, 0, "PATH", "low-rank adapter of the model: a folder of peft or a GGUF file"},
    {"adapter-scale", KIND_NUMBER, AT(adapter_scale), -1000, 1000, 0, "X", "how much of it, 1 = as trained"},
    {"head", KIND_TEXT, AT(head), 0, 0, 0, "NAME", "auto, full, screened: how tokens are found; else BEZEL_HEAD"},
    {"no-cache", KIND_FLAG, AT(no_cache), 0, 0, 0, "", "make and use no files beside the model's in the cache folder"},
    {"raw-weights", KIND_FLAG, AT(raw_weights), 0, 0, 0, "", "read the layers' weights as the model file has them, not packed in the cache folder"},
    {"cache-mb", KIND_INTEGER, AT(cache_mb), 0, 1 << 30, 0, "N", "most MiB of kept beginnings of prompts in the cache folder; 0 = none"},
    {"kind", KIND_TEXT, AT(kind), 0, 0, 0, "NAME", "auto, pretrained, instruct"},
    {"profile", KIND_TEXT, AT(profile), 0, 0, 0, "NAME", "form of the prompt: gemma3, gemma2, functiongemma, gemma4, transcript"},
    {"system", KIND_TEXT, AT(system), 0, 0, 0, "TEXT", "system text"},
    {"context", KIND_TEXT, AT(context), 0, 0, 0, "TEXT", "context for the tools' prompt; of bench: tokens before an answer, such as 16,1024"},
    {"user", KIND_TEXT, AT(user), 0, 0, 0, "NAME", "who asks, for the store"},
    {"conversation", KIND_TEXT, AT(conversation), 0, 0, 0, "ID", "go on with a stored conversation"},
    {"tools", KIND_TEXT, AT(tools), 0, 0, 0, "FILE", "JSON list of tools: {name, description, parameters}"},
    {"allow", KIND_TEXT, AT(allow), 0, 0, 0, "LIST", "classes (pure, read, write, network, unknown, all) or tools that run without a question"},
    {"deny", KIND_TEXT, AT(deny), 0, 0, 0, "LIST", "those that do not run; else write, network and unknown are asked for at the terminal"},
    {"results", KIND_TEXT, AT(results), 0, 0, 0, "FILE", "JSON map of tool name to the result it gives"},
    {"ids", KIND_INPUT, AT(ids), 0, 0, 0, "LIST", "JSON list of token ids instead of a text; - = on standard input"},
    {"sha256", KIND_TEXT, AT(sha256), 0, 0, 0, "HEX", "what the file must hash to"},
    {"html", KIND_TEXT, AT(html), 0, 0, 0, "FILE", "the page; an older report there is replaced"},
    {"days", KIND_INTEGER, AT(days), 0, 100000, 0, "N", "the last N days only; 0 = all"},
    {"conversations", KIND_INTEGER, AT(conversations), 0, 1000, 0, "N", "latest conversations with their texts, where they were kept; 0 = none"},
    {"output", KIND_TEXT, AT(output), 0, 0, 0, "FILE", "where to put it"},
    {"stopped", KIND_TEXT, AT(stopped), 0, 0, 0, "HOW", "end (default) or limit: how the output ended"},
    {"overflow", KIND_TEXT, AT(overflow), 0, 0, 0, "HOW", "drop_oldest (default) or error when the context is full"},
    {"tool-choice", KIND_TEXT, AT(tool_choice), 0, 0, 0, "NAME", "auto (default), none, required, or the tool to call first"},
    {"constrain", KIND_TEXT, AT(constrain), 0, 0, 0, "on|off", "calls are held to the schemas of the tools; default on"},
    {"schema", KIND_TEXT, AT(schema), 0, 0, 0, "FILE", "JSON schema: the answer is JSON of it"},
    {"stop", KIND_LIST, 0, 0, 0, 0, "TEXT", "stop string; may be given several times"},
    {"choice", KIND_LIST, 0, 0, 0, 0, "TEXT", "a text that may follow; given several times"},
    {"threads", KIND_INTEGER, AT(threads), 0, 256, 0, "N", "0 = one a core"},
    {"affinity", KIND_TEXT, AT(affinity), 0, 0, 0, "LIST", "processors the threads stay on, such as 0,2-3; the first is the caller's own"},
    {"chunk", KIND_INTEGER, AT(chunk), 0, 4096, 0, "N", "prompt tokens a pass"},
    {"n-ctx", KIND_INTEGER, AT(n_ctx), 0, 1 << 20, 0, "N", "context length"},
    {"seed", KIND_INTEGER, AT(seed), 0, 9e15, 0, "N", "0 = a new one each time"},
    {"max-tokens", KIND_INTEGER, AT(max_tokens), 1, 1 << 20, CMD_GIVEN_MAX_TOKENS, "N", "longest answer"},
    {"top", KIND_INTEGER, AT(top), 0, 64, CMD_GIVEN_TOP, "N", "alternatives to report"},
    {"top-k", KIND_INTEGER, AT(top_k), 0, 1 << 24, 0, "N", "0 = off"},
    {"max-steps", KIND_INTEGER, AT(max_steps), 1, 1000, 0, "N", "model calls with tools in a turn"},
    {"rounds", KIND_INTEGER, AT(rounds), 1, 1000, 0, "N", "repetitions of each measurement"},
    {"prompt", KIND_TEXT, AT(prompts), 0, 0, 0, "LIST", "prompt tokens, such as 32,512"},
    {"generate", KIND_INTEGER, AT(generate), 1, 1 << 20, 0, "N", "answer tokens"},
    {"sessions", KIND_TEXT, AT(sessions), 0, 0, 0, "LIST", "how many are answered together, such as 16,32"},
    {"together", KIND_INTEGER, AT(together), 0, 1024, 0, "N", "lines of --batch that are answered at once; 0 = 16"},
    {"tests", KIND_TEXT, AT(tests), 0, 0, 0, "LIST", "what to measure; all when not given"},
    {"limit", KIND_INTEGER, AT(limit), 1, 100000, CMD_GIVEN_LIMIT, "N", "rows to show; of bench calls: entries of a category"},
    {"data", KIND_TEXT, AT(data), 0, 0, 0, "DIR", "folder of files CATEGORY.jsonl in the form of BFCL"},
    {"category", KIND_TEXT, AT(category), 0, 0, 0, "LIST", "which of them; all when not given"},
    {"dialect", KIND_TEXT, AT(dialect), 0, 0, 0, "NAME", "how calls are written: function_call, python, json, functiongemma, gemma4"},
    {"constraint", KIND_TEXT, AT(constrain), 0, 0, 0, "on|off", "calls are held to the schemas of the tools; default on"},
    {"answers", KIND_TEXT, AT(answers), 0, 0, 0, "FILE", "judge these instead of asking the model: lines of {id, text}"},
    {"call-bias", KIND_NUMBER, AT(call_bias), -100, 100, 0, "X", "added to the logits of a call's beginning"},
    {"no-fit", KIND_FLAG, AT(no_fit), 0, 0, 0, "", "the model alone chooses between call and text and between tools"},
    {"no-evidence", KIND_FLAG, AT(no_evidence), 0, 0, 0, "", "arguments do not lean on the words of the question"},
    {"all", KIND_FLAG, AT(all), 0, 0, 0, "", "every profile, dialect, constraint and choice that is not given"},
    {"temperature", KIND_NUMBER, AT(temperature), 0, 100, CMD_GIVEN_TEMPERATURE, "X", "0 = greedy"},
    {"top-p", KIND_NUMBER, AT(top_p), 0, 1, 0, "X", "1 = off"},
    {"min-p", KIND_NUMBER, AT(min_p), 0, 1, 0, "X", "0 = off"},
    {"repetition-penalty", KIND_NUMBER, AT(repetition_penalty), 0.01, 100, 0, "X", "1 = off"},
    {"batch", KIND_FLAG, AT(batch), 0, 0, 0, "", "each line is a prompt: a text, or JSON; a line of JSON for each, in order"},
    {"lookup", KIND_FLAG, AT(lookup), 0, 0, 0, "", "guess greedy tokens from repetitions; the same answer"},
    {"examples", KIND_TEXT, AT(examples), 0, 0, 0, "FILE", "lines of JSON: {question, calls, answer}, {messages} or {instruction, output}"},
    {"count", KIND_INTEGER, AT(count), 0, 10000000, CMD_GIVEN_COUNT, "N", "examples to make from the tools; 600"},
    {"minutes", KIND_NUMBER, AT(minutes), 0, 100000, 0, "X", "as many examples as can be trained on in that time, unless --count; 0 = off"},
    {"vary", KIND_FLAG, AT(vary), 0, 0, 0, "", "many tools, names and subsets: learns to read declarations, not these tools"},
    {"rank", KIND_INTEGER, AT(rank), 1, 256, 0, "N", "rank of the adapter; 16"},
    {"rate", KIND_NUMBER, AT(rate), 1e-9, 1, 0, "X", "learning rate at its highest; 5e-4"},
    {"epochs", KIND_INTEGER, AT(epochs), 1, 10000, 0, "N", "times that every example is used; 1"},
    {"batch-size", KIND_INTEGER, AT(batch_size), 1, 1024, 0, "N", "packs a batch; 1"},
    {"accumulation", KIND_INTEGER, AT(accumulation), 1, 1024, 0, "N", "batches a step; 1"},
    {"max-length", KIND_INTEGER, AT(max_length), 16, 1 << 20, 0, "N", "tokens of a pack; longer examples are left out; 1024"},
    {"warm-up", KIND_INTEGER, AT(warm_up), 0, 1000000, 0, "N", "steps over which the rate rises; 10"},
    {"dropout", KIND_NUMBER, AT(dropout), 0, 0.99, 0, "X", "0"},
    {"validation", KIND_NUMBER, AT(validation), 0, 0.9, 0, "X", "part of the examples that is kept aside to measure with; 0.03"},
    {"patience", KIND_INTEGER, AT(patience), 0, 1000000, 0, "N", "ends after so many measurements without a better one; 0 = never"},
    {"evaluate-every", KIND_INTEGER, AT(evaluate_every), 1, 100000000, 0, "N", "steps between measurements; 100"},
    {"save-every", KIND_INTEGER, AT(save_every), 1, 100000000, 0, "N", "steps between checkpoints; 50"},
    {"log-every", KIND_INTEGER, AT(log_every), 1, 100000000, 0, "N", "steps between lines; 5"},
    {"resume", KIND_FLAG, AT(resume), 0, 0, 0, "", "go on with a run that was stopped"},
    {"dry-run", KIND_FLAG, AT(dry_run), 0, 0, 0, "", "print examples and what is learned of them; with --json as data"},
    {"json", KIND_FLAG, AT(json), 0, 0, 0, "", "JSON on standard output"},
    {"prometheus", KIND_FLAG, AT(prometheus), 0, 0, 0, "", "sums of the store in Prometheus' text format"},
    {"special", KIND_FLAG, AT(special), 0, 0, 0, "", "the text may spell control tokens"},
    {"bos", KIND_FLAG, AT(bos), 0, 0, 0, "", "begin with BOS"},
    {"plain", KIND_FLAG, AT(plain), 0, 0, 0, "", "control tokens spelled in the text stay text"},
    {"show-prompt", KIND_FLAG, AT(show_prompt), 0, 0, 0, "", "print what would be sent, and stop"},
    {"repair-tail", KIND_FLAG, AT(repair_tail), 0, 0, 0, "", "accept a last call that lacks its closing bracket"},
    {"check", KIND_FLAG, AT(check), 0, 0, 0, "", "look at every weight"},
    {"quiet", KIND_FLAG, AT(quiet), 0, 0, 0, "", "no progress"},
};
#define N_ROWS (sizeof option_rows / sizeof *option_rows)

static int is_allowed(const char *allowed, const char *name, size_t n) {
    for (const char *p = allowed; (p = strstr(p, name)) != NULL; p++)
        if ((p == allowed || p[-1] == ' ') && (p[n] == 0 || p[n] == ' ')) return 1;
    return 0;
}

static const option_row *row_find(const char *name, size_t n, const char *allowed) {
    for (size_t i = 0; i < N_ROWS; i++)
        if (strlen(option_rows[i].name) == n && memcmp(option_rows[i].name, name, n) == 0)
            return is_allowed(allowed, option_rows[i].name, n) ? &option_rows[i] : NULL;
    return NULL;
}

static void options_help(const cmd_options *o, const char *allowed) {
    printf("usage: bezel %s\n\n", o->usage);
    for (size_t i = 0; i < N_ROWS; i++) {
        const option_row *row = &option_rows[i];
        char left[64];
        if (!is_allowed(allowed, row->name, strlen(row->name))) continue;
        snprintf(left, sizeof left, "--%s %s", row->name, row->argument);
        printf("  %-26s %s\n", left, row->help);
    }
}

static int number_read(double *out, const char *text) {
    char *end;
    errno = 0;
    *out = strtod(text, &end); /* the program never calls setlocale, so the point is a point */
    return *text && !*end && errno == 0;
}

/* Stores the value of a row that takes one. */
static int option_store(cmd_options *o, const option_row *row, const char *text) {
    char *field = (char *)o + row->offset;
    double x = 0;
    if (row->kind == KIND_TEXT || row->kind == KIND_INPUT) {
        memcpy(field, &text, sizeof text);
        return CMD_OK;
    }
    if (row->kind == KIND_LIST) {
        if (o->n_stops == CMD_MAX_STOPS) return cmd_usage(o, "--%s: at most %d", row->name, CMD_MAX_STOPS);
        o->stops[o->n_stops++] = text;
        return CMD_OK;
    }
    if (!number_read(&x, text) || x < row->min || x > row->max || (row->kind == KIND_INTEGER && x != (double)(int64_t)x))
        return cmd_usage(o, "--%s %s: %s between %g and %g expected", row->name, text,
                         row->kind == KIND_INTEGER ? "whole number" : "number", row->min, row->max);
    int64_t whole = (int64_t)x;
    if (row->kind == KIND_INTEGER)
        memcpy(field, &whole, sizeof whole);
    else
        memcpy(field, &x, sizeof x);
    return CMD_OK;
}

static void options_defaults(cmd_options *out, const cmd_options *named) {
    bezel_sampling sampling;
    bezel_sampling_init(&sampling);
    memset(out, 0, sizeof *out);
    out->subcommand = named->subcommand;
    out->usage = named->usage;
    out->top_k = sampling.top_k;
    out->temperature = (double)sampling.temperature;
    out->top_p = (double)sampling.top_p;
    out->min_p = (double)sampling.min_p;
    out->repetition_penalty = (double)sampling.repetition_penalty;
    out->adapter_scale = 1.0;
    out->count = 600;
    out->rank = 16;
    out->rate = 5e-4;
    out->epochs = out->batch_size = out->accumulation = 1;
    out->max_length = 1024;
    out->warm_up = 10;
    out->validation = 0.03;
    out->evaluate_every = 100;
    out->save_every = 50;
    out->log_every = 5;
    out->max_tokens = 512;
    out->rounds = 3;
    out->generate = 128;
    out->limit = 20;
    out->cache_mb = 512;
    out->conversations = 100;
}

/* One argument that begins with --. Moves *i over its value. */
static int option_read(cmd_options *o, int argc, char **argv, int *i, const char *allowed) {
    const char *name = argv[*i] + 2, *equals = strchr(name, '=');
    size_t n = equals ? (size_t)(equals - name) : strlen(name);
    const option_row *row = row_find(name, n, allowed);
    if (!row) return cmd_usage(o, "unknown option %s", argv[*i]);
    o->given |= row->given;
    if (row->kind == KIND_FLAG) {
        int one = 1;
        if (equals) return cmd_usage(o, "--%s takes no value", row->name);
        memcpy((char *)o + row->offset, &one, sizeof one);
        return CMD_OK;
    }
    if (equals) return option_store(o, row, equals + 1);
    if (row->kind == KIND_INPUT && (*i + 1 >= argc || strncmp(argv[*i + 1], "--", 2) == 0)) return option_store(o, row, "-");
    if (*i + 1 >= argc) return cmd_usage(o, "--%s needs a value", row->name);
    return option_store(o, row, argv[++*i]);
}

int cmd_options_read(cmd_options *out, int argc, char **argv, const char *allowed) {
    cmd_options named = *out;
    int only_text = 0;
    options_defaults(out, &named);
    for (int i = 2; i < argc; i++) {
        const char *a = argv[i];
        if (!only_text && strcmp(a, "--help") == 0) {
            options_help(out, allowed);
            exit(CMD_OK);
        }
        if (!only_text && strcmp(a, "--") == 0) {
            only_text = 1;
        } else if (!only_text && a[0] == '-' && a[1] == '-') {
            int status = option_read(out, argc, argv, &i, allowed);
            if (status != CMD_OK) return status;
        } else if (out->n_positional == CMD_MAX_POSITIONAL) {
            return cmd_usage(out, "more than %d words; put the text in quotes", CMD_MAX_POSITIONAL);
        } else {
            out->positional[out->n_positional++] = a;
        }
    }
    return CMD_OK;
}
