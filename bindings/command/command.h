/* SPDX-License-Identifier: MIT */
/* Shared parts of the command `bezel`: a binding for the shell. Public headers of Bezel only; one file a subcommand.
 * Exit status: 0 done, 1 an error (one line on standard error, a hint on the next), 2 wrong use. */
#ifndef BEZEL_COMMAND_H
#define BEZEL_COMMAND_H

#include <bezel/agent.h>
#include <bezel/bezel.h>
#include <bezel/store.h>
#include <bezel/tools.h>

#include <stdint.h>

enum { CMD_OK = 0, CMD_ERROR = 1, CMD_USAGE = 2 };

/* --- command_options.c -------------------------------------------------------------------- */

#define CMD_MAX_STOPS 64
#define CMD_MAX_POSITIONAL 64

typedef struct cmd_options {
    const char *subcommand;
    const char *usage; /* first line of its help */
    const char *model, *store, *isa, *affinity, *activations, *kv, *head, *kind, *profile, *system, *context, *user, *conversation;
    const char *tools, *results, *ids, *sha256, *output, *stopped, *title, *overflow, *tool_choice, *constrain, *allow, *deny, *schema, *prompts, *sessions, *tests;
    const char *data, *category, *dialect, *answers, *html, *adapter, *examples;
    const char *stops[CMD_MAX_STOPS]; /* of choose: the choices */
    int n_stops;
    int64_t threads, chunk, n_ctx, seed, max_tokens, top, top_k, max_steps, rounds, generate, limit, together, cache_mb, days, conversations;
    int64_t count, rank, epochs, batch_size, accumulation, max_length, warm_up, patience, evaluate_every, save_every, log_every;
    double minutes, rate, dropout, validation;
    double temperature, top_p, min_p, repetition_penalty, call_bias, adapter_scale;
    int json, special, bos, plain, no_store, show_prompt, repair_tail, check, quiet, no_cache, no_fit, no_evidence, raw_weights, lookup, batch, all, prometheus;
    int vary, resume, dry_run;
    uint32_t given; /* bits of CMD_GIVEN_... for options whose absence means something else than their default */
    const char *positional[CMD_MAX_POSITIONAL];
    int n_positional;
} cmd_options;

enum { CMD_GIVEN_TEMPERATURE = 1, CMD_GIVEN_MAX_TOKENS = 2, CMD_GIVEN_TOP = 4, CMD_GIVEN_LIMIT = 8, CMD_GIVEN_COUNT = 16 };

/* Reads argv after the subcommand. `allowed` lists its options ("model threads json"); anything else prints the usage.
 * Returns CMD_OK or CMD_USAGE. Texts are borrowed from argv. */
int cmd_options_read(cmd_options *out, int argc, char **argv, const char *allowed);
#define CMD_ENGINE_OPTIONS "model threads affinity isa kind quiet no-cache raw-weights cache-mb"
#define CMD_SESSION_OPTIONS "activations kv head chunk n-ctx"
#define CMD_SAMPLING_OPTIONS "max-tokens temperature top-k top-p min-p repetition-penalty seed stop"

/* --- command_host.c ----------------------------------------------------------------------- */

/* Engine, model and store of one run, freed together. */
typedef struct cmd_host {
    bezel_engine *engine;
    bezel_model *model;
    bezel_store *store;
    bezel_adapter *adapter; /* of cmd_adapt */
    bezel_error error;
} cmd_host;

int cmd_host_engine(cmd_host *host, const cmd_options *o); /* CMD_OK, or prints and gives the exit status */
int cmd_host_model(cmd_host *host, const cmd_options *o);  /* engine and model; progress on a terminal */
int cmd_host_store(cmd_host *host, const cmd_options *o);  /* opens the store, unless --no-store */
void cmd_host_free(cmd_host *host);
/* Gives a session the adapter of --adapter, which the first call opens. Fills err, which may be the host's. */
bezel_status cmd_adapt(cmd_host *host, bezel_session *session, const cmd_options *o, bezel_error *err);
/* Prints the error of the host: "bezel: text (place)" and its hint. Returns CMD_ERROR. */
int cmd_host_fail(const cmd_host *host);

int cmd_profile(const bezel_profile **out, const cmd_options *o); /* that of --profile; *out stays without. CMD_OK or CMD_USAGE */
int cmd_session_options(bezel_session_options *out, const cmd_options *o); /* CMD_OK or CMD_USAGE */
/* Sampling, stops and max_tokens over what out holds already. */
void cmd_generate_options(bezel_generate_options *out, const cmd_options *o);

/* --- command_io.c ------------------------------------------------------------------------- */

/* Whole input: the positional arguments joined by blanks, else standard input to its end, byte for byte.
 *   Owns     *out is the caller's, free() */
int cmd_read_input(char **out, size_t *out_size, const cmd_options *o);
int cmd_read_file(char **out, size_t *out_size, const char *path); /* "-" = standard input */
/* A JSON file (or text) as a value of tree. */
int cmd_read_json(bezel_value **out, bezel_tree *tree, const char *path, cmd_host *host);
int cmd_print_json(cmd_host *host, const bezel_value *value); /* one line on standard output */
int cmd_error(const char *format, ...) __attribute__((format(printf, 1, 2))); /* prints "bezel: ...", CMD_ERROR */
int cmd_usage(const cmd_options *o, const char *format, ...) __attribute__((format(printf, 2, 3))); /* CMD_USAGE */
int cmd_is_terminal(int fd); /* and NO_COLOR is unset */
/* Writes text for a terminal: control characters other than newline and tab are left out. */
void cmd_write_text(const char *text, size_t size);

/* Path of the model: --model, BEZEL_MODEL, the cache folder. NULL when there is none. Owns: free(). */
char *cmd_model_path(const cmd_options *o);
char *cmd_store_path(const cmd_options *o); /* --store, BEZEL_STORE, the data folder (made when missing) */
char *cmd_cache_folder(void);
char *cmd_cache_folder_make(void); /* the same, made when it is not there */
void cmd_make_folders(char *path); /* every missing one, private to the user; path is as it was afterwards */
#define CMD_DEMO_MODEL "gemma-3-270m-q4_k_m.gguf"

/* 1 after Ctrl-C since the last call of cmd_interrupt_reset. */
int cmd_interrupted(void);
void cmd_interrupt_watch(void); /* from now on Ctrl-C only sets the flag; a second one ends the program */
void cmd_interrupt_reset(void);

/* Sets a text, integer or number in a map of tree. */
void cmd_set_text(bezel_tree *tree, bezel_value *map, const char *key, const char *text, size_t size);
void cmd_set_integer(bezel_tree *tree, bezel_value *map, const char *key, int64_t x);
void cmd_set_number(bezel_tree *tree, bezel_value *map, const char *key, double x);

/* A JSON list of token ids. Owns: *out is the caller's, free() */
int cmd_ids_read(int32_t **out, size_t *out_count, const char *json, size_t size, cmd_host *host);

/* --- command_tools.c ---------------------------------------------------------------------- */

/* Toolset of a JSON list; results (a map of tool name to result, or NULL) stands in for code and must outlive it. */
int cmd_tools_from_value(bezel_toolset **out, cmd_host *host, const bezel_value *list, bezel_value *results);
/* The same from --tools and --results; *out stays NULL without --tools. Values live in tree. */
int cmd_tools_read(bezel_toolset **out, cmd_host *host, bezel_tree *tree, const cmd_options *o);

int cmd_tool_class(uint32_t *out, const char *name); /* BEZEL_TOOL_... of pure, read, write, network, unknown; 0 = no class */

/* --- command_permit.c --------------------------------------------------------------------- */

/* Rules of --allow and --deny and the question at the terminal into the options of an agent. rules [CMD_MAX_RULES] and names
 * [CMD_RULE_BYTES] must live until the agent is made. CMD_OK or CMD_USAGE. */
int cmd_permit_options(bezel_agent_options *out, const cmd_options *o, bezel_permit *rules, char *names);
enum { CMD_MAX_RULES = 64, CMD_RULE_BYTES = 4096 };

/* --- command_talk.c ----------------------------------------------------------------------- */

/* Agent of the options, journal to the host's store. Returns CMD_OK or the exit status. */
int cmd_talk_agent(bezel_agent **out, cmd_host *host, const cmd_options *o, const bezel_toolset *tools,
                   const char *conversation);
int cmd_talk_resume(bezel_agent *agent, cmd_host *host, const char *conversation); /* appends the stored messages */
/* One turn, Ctrl-C cancels it; show 1 prints text to standard output, calls and notes to standard error. */
bezel_status cmd_talk_turn(cmd_host *host, bezel_agent *agent, const char *text, size_t size, int show);

/* --- command_complete.c, command_complete_batch.c ------------------------------------------ */

bezel_value *cmd_complete_value(bezel_tree *tree, const bezel_generation *g); /* what `complete` prints */
/* Each line of text is a prompt; prints a line of JSON for each, in order. Returns the exit status. */
int cmd_complete_batch(cmd_host *host, const cmd_options *o, const bezel_session_options *session_options,
                       const bezel_generate_options *options, const char *text, size_t size);

/* --- subcommands, one file each: return the exit status ----------------------------------- */

int cmd_ask(int argc, char **argv);
int cmd_bench(int argc, char **argv);
int cmd_chat(int argc, char **argv);
int cmd_choose(int argc, char **argv);
int cmd_complete(int argc, char **argv);
int cmd_detokenize(int argc, char **argv);
int cmd_doctor(int argc, char **argv);
int cmd_get(int argc, char **argv);
int cmd_info(int argc, char **argv);
int cmd_parse(int argc, char **argv);
int cmd_render(int argc, char **argv);
int cmd_report(int argc, char **argv);
int cmd_store(int argc, char **argv);
int cmd_run(int argc, char **argv);
int cmd_score(int argc, char **argv);
int cmd_stats(int argc, char **argv);
int cmd_teach(int argc, char **argv);
int cmd_tokenize(int argc, char **argv);

#endif
