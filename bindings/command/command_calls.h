/* SPDX-License-Identifier: MIT */
/* Parts of `bezel bench calls`: entries of the Berkeley Function Calling Leaderboard (BFCL), an answer to each, and how far up a
 * ladder of questions the answer comes. */
#ifndef BEZEL_COMMAND_CALLS_H
#define BEZEL_COMMAND_CALLS_H

#include "command.h"

#include <stddef.h>

/* --- command_calls_rules.c ---------------------------------------------------------------- */

/* Judges calls by the rules of BFCL's AST checker for Python: 1 when `calls`, a list of {name, arguments}, is what
 * `truth` [{name: {parameter: [accepted, ...]}}] asks for; `functions` are the tools as the entry declares them. In a
 * category with "parallel" in its name calls may come in any order. Types are not converted.
 *   Source   the behaviour of bfcl-eval 2026.3.23, ast_checker, written anew */
int calls_correct(const bezel_value *calls, const bezel_value *truth, const bezel_value *functions, const char *category);

/* --- command_calls_judge.c ---------------------------------------------------------------- */

/* What one answer shows; each 0 or 1. */
typedef struct calls_steps {
    int wanted;    /* the entry wants a call */
    int judged;    /* the entry has accepted answers */
    int detected;  /* something is or wanted to be a call */
    int strict;    /* nothing but calls, each as the dialect writes them */
    int parsed;    /* every call could be read */
    int valid;     /* every call is one of a tool of the entry, with arguments of its schema */
    int chosen;    /* exactly the functions that are wanted were called */
    int correct;   /* the calls are accepted, types as written */
    int converted; /* the same after conversion by the schema */
    int64_t n_calls;
} calls_steps;

typedef struct calls_entry {
    const char *id, *category; /* of the tree it was read to */
    const bezel_value *question, *functions, *truth; /* truth NULL = there is none */
} calls_entry;

/* Tools of an entry as the model is shown them, and twice for judging: without defaults, which would be filled in, and
 * without types, so that values stay what was written. Freed with calls_tools_free. */
typedef struct calls_tools {
    bezel_toolset *shown, *checked, *raw;
} calls_tools;

int calls_tools_make(calls_tools *out, cmd_host *host, const calls_entry *entry); /* CMD_OK or an error, printed */
void calls_tools_free(calls_tools *tools);

/* Judges the text of an answer; stopped is BEZEL_STOPPED_... . *out_calls is the list of {name, arguments} as written, of
 * tree. CMD_OK or an error, printed. */
int calls_judge(calls_steps *out, const bezel_value **out_calls, bezel_tree *tree, cmd_host *host, const calls_entry *entry,
                const calls_tools *tools, const char *dialect, const char *text, size_t size, uint32_t stopped);

/* --- command_calls_run.c ------------------------------------------------------------------ */

/* How answers are asked for: one variant a row. */
typedef struct calls_variant {
    const bezel_profile *profile;
    const bezel_tool_profile *tool_profile;
    const char *dialect;
    int constraint, required, no_fit, no_evidence;
    float call_bias;
} calls_variant;

typedef struct calls_answer {
    char *text; /* free() */
    size_t size;
    uint32_t stopped;
    int64_t n_ids, n_forced, decode_us, prompt_us;
    double call_probability, name_probability, fit;
} calls_answer;

/* Asks the model. session keeps what the prompts share. */
int calls_ask(calls_answer *out, cmd_host *host, bezel_session *session, const calls_entry *entry, const calls_tools *tools,
              const calls_variant *variant, uint32_t max_tokens);

int cmd_bench_calls(int argc, char **argv);

#endif
