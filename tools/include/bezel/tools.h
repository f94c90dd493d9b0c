/* SPDX-License-Identifier: MIT */
/* Tools: functions that a model may call. A toolset compiles each schema once; prompt text, parser and validation come
 * from the same table.
 *
 *     bezel_toolset *tools = NULL;
 *     bezel_toolset_new(&tools, engine, &err);
 *     bezel_tool t = BEZEL_TOOL_INIT;
 *     t.name = "get_weather";
 *     t.description = "Weather of a city";
 *     t.parameters_json = "{\"type\": \"object\", \"properties\": {\"city\": {\"type\": \"string\"}},"
 *                         " \"required\": [\"city\"]}";
 *     t.permission = BEZEL_TOOL_READ;
 *     t.fn = get_weather;
 *     bezel_toolset_add(tools, &t, &err);
 *
 * An agent (agent.h) shows the tools, reads the calls and runs them. The sections behind the first three are for hosts
 * that have a loop of their own. What a model writes is hostile input here: names match exactly or not at all,
 * arguments are checked against the schema before a function sees them, and results cannot become structure of the
 * prompt. */
#ifndef BEZEL_TOOLS_H
#define BEZEL_TOOLS_H

#include <bezel/chat.h>
#include <bezel/constraint.h>
#include <bezel/session.h>
#include <bezel/value.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A set of tools.
 *   Thread   confined */
typedef struct bezel_toolset bezel_toolset;
/* One running call. Belongs to its dispatcher, and to the tool while that has promised an answer.
 *   Thread   that of the dispatcher, an agent's is the agent's */
typedef struct bezel_call bezel_call;

/* --- A tool ------------------------------------------------------------------------------- */

/* Runs a call: reads bezel_call_arguments, builds the result in bezel_call_tree, gives it to bezel_call_finish and
 * returns BEZEL_OK.
 *
 *     static bezel_status get_weather(void *ud, bezel_call *call, bezel_error *err)
 *     {
 *         const char *city = bezel_value_text(bezel_value_get(bezel_call_arguments(call), "city"), NULL);
 *         if (strcmp(city, "Atlantis") == 0)
 *             bezel_call_fail(call, "no such city");
 *         else
 *             bezel_call_finish(call, bezel_tree_text(bezel_call_tree(call), "sunny", SIZE_MAX));
 *         return BEZEL_OK;
 *     }
 *
 * A negative status (sentence in err) is a failure like bezel_call_fail: the model reads it and may try something else;
 * an answer that was given before wins over it. Returning without an answer is a failure, too.
 * BEZEL_TOOL_PENDING promises an answer for later, so that the host's loop goes on and the calls of a turn overlap. It
 * comes by bezel_call_finish or bezel_call_fail, from anywhere between two steps on the thread of the agent (a tool that
 * waits for another thread takes its answer from there itself), or from a function that bezel_call_pending left. The
 * call stays valid until then even if its dispatcher is freed first, but not longer than the engine; a tool that left a
 * cancel function is told instead.
 *   Thread   that of bezel_dispatch_start, for an agent that of bezel_agent_step; it blocks them as long as it runs */
typedef bezel_status (*bezel_tool_fn)(void *ud, bezel_call *call, bezel_error *err);

/* What a tool can do to the world; 0 means unknown, treated as the strictest. Nothing here is refused because of it: an
 * agent asks by it (bezel_agent_options.permit), offers only PURE and READ tools to itself when it leads a model that
 * repeats a call to another one, and only those may be run again after a failure unless they say that they are
 * idempotent. */
enum {
    /* computes */
    BEZEL_TOOL_PURE = 1,
    /* reads files, clocks, fixed hosts */
    BEZEL_TOOL_READ = 2,
    /* changes something */
    BEZEL_TOOL_WRITE = 3,
    /* the model chooses the address */
    BEZEL_TOOL_NETWORK = 4
};

/* Description of a tool for bezel_toolset_add, which copies all of it but ud. Begin with BEZEL_TOOL_INIT. */
typedef struct bezel_tool {
    /* set by BEZEL_TOOL_INIT */
    uint32_t size;
    /* BEZEL_TOOL_...; default 0, unknown */
    uint32_t permission;
    /* [A-Za-z_][A-Za-z0-9_.-]*, at most 64 bytes, unique in the set */
    const char *name;
    /* one sentence for the model, or NULL */
    const char *description;
    /* JSON schema of the arguments (an object), or NULL; unused when parameters is given */
    const char *parameters_json;
    /* the same as a value, or NULL; NULL and no JSON = no parameters */
    const bezel_value *parameters;
    /* NULL-terminated transcript lines of this tool's own, or NULL: "User: ...", "Assistant: FUNCTION_CALL: ...",
     * "Result: ...", "Assistant: ..."; each "User:" begins an exchange. Shown only where a profile shows examples; then
     * the profile's own are left out */
    const char *const *examples;
    /* NULL: a declaration without code, whose calls the host runs itself */
    bezel_tool_fn fn;
    /* first argument of fn; must live as long as the set, or until free_ud */
    void *ud;
    /* called with ud when the set is freed, never when adding failed; may be NULL */
    void (*free_ud)(void *ud);
    /* milliseconds until a call is late, retries included; 0 = 30,000. A late function is reported, not stopped */
    int64_t timeout_ms;
    /* how a result reads in words, for small models, or NULL: "{city}: {days.0.max} degrees". In braces stands the path of
     * a value in the result, else in the arguments: keys, and places from 0 in a list; {} is the whole result, {{ a brace.
     * Where a path leads nowhere the model reads the result itself */
    const char *summary;
    /* how often a call that failed is run again, at most 10; default 0. Only for a PURE or READ tool, or an idempotent one */
    uint32_t retries;
    /* milliseconds before the first of them, doubled for each further one; 0 = 100 */
    uint32_t retry_ms;
    /* 1: running it twice does no more than once; default 0 */
    uint32_t idempotent;
    /* 1: offered in every turn, also where an agent selects tools; default 0 */
    uint32_t always;
    /* 1: serial. Where a model calls several serial functions at once an agent begins one only when the one before has ended, and
     * its time limit and the question whether it may run begin then; default 0, calls overlap */
    uint32_t serial;
} bezel_tool;

/* Initial value of a bezel_tool: bezel_tool t = BEZEL_TOOL_INIT; */
#define BEZEL_TOOL_INIT {sizeof(bezel_tool), 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, NULL, 0, 0, 0, 0, 0}

/* --- A set of tools ----------------------------------------------------------------------- */

/* Makes an empty set.
 *   Owns     *out is the caller's, free with bezel_toolset_free after the parsers and agents that use it
 *   Thread   any
 *   Errors   none of its own; *out is NULL after MEMORY
 *   Since    0.1 */
BEZEL_API bezel_status bezel_toolset_new(bezel_toolset **out, bezel_engine *engine, bezel_error *err);

/* Frees a set and calls free_ud of its tools in the order they were added; NULL is fine. Calls that are still pending
 * stay valid.
 *   Thread   that of the set
 *   Since    0.1 */
BEZEL_API void bezel_toolset_free(bezel_toolset *tools);

/* Adds a tool, with its schema compiled, or nothing.
 * Type names of Python and Java (dict, float, tuple, ...) are accepted. An unknown schema keyword never refuses a tool:
 * it is a warning, and the keyword is not checked. Do not add while a parser or a turn of an agent uses the set.
 * Limits: 1,024 tools, 64 parameters each.
 *   Owns     everything is copied; ud stays the caller's when adding fails
 *   Thread   that of the set
 *   Errors   DUPLICATE; FORMAT (no JSON, no schema, no object at its root, a brace of a summary that is not closed);
 *            RANGE (a name, permission, timeout or retries, or limits that no value can meet); UNSUPPORTED and MISSING (a $ref); LIMIT; VERSION without BEZEL_TOOL_INIT.
 *            err->place is "tool.path"; the set is as it was
 *   Source   JSON Schema: the keywords that function calling uses
 *   Since    0.1 */
BEZEL_API bezel_status bezel_toolset_add(bezel_toolset *tools, const bezel_tool *tool, bezel_error *err);

/* Adds every tool of a list of {name, description, parameters}, with or without the OpenAI wrapper {type, function},
 * without code: all or none. To parse and check calls that something else runs.
 *   Owns     everything is copied
 *   Thread   that of the set
 *   Errors   FORMAT for no list or a tool without name, err->place is "[index]"; else those of bezel_toolset_add. The
 *            set is as it was
 *   Since    0.1 */
BEZEL_API bezel_status bezel_toolset_add_list(bezel_toolset *tools, const bezel_value *list, bezel_error *err);

/* Adds tool i of another set, which keeps it: to make a part of a set, or to join several. free_ud stays with `from`.
 *   Owns     nothing is copied; `from` must outlive the set
 *   Thread   that of both sets
 *   Errors   RANGE beyond the end of `from`; DUPLICATE; LIMIT; the set is as it was
 *   Since    0.1 */
BEZEL_API bezel_status bezel_toolset_borrow(bezel_toolset *tools, const bezel_toolset *from, size_t i, bezel_error *err);

/* The k tools that fit a text best, by the words that it shares with names, descriptions, parameters and their values
 * (BM25; endings of English words do not count). In out [k] their places, in out_scores [k] (or NULL) how well each fits, best
 * first; tools without a shared word are not among them. *out_count tells how many there are.
 *   Thread   that of the set
 *   Errors   none of its own; *out_count is 0
 *   Source   Robertson and Zaragoza, The Probabilistic Relevance Framework: BM25 and Beyond, 2009
 *   Since    0.1 */
BEZEL_API bezel_status bezel_toolset_rank(uint32_t *out, double *out_scores, size_t *out_count, const bezel_toolset *tools,
                                          const char *text, size_t k, bezel_error *err);

/* 1 when tool i is offered always.
 *   Thread   that of the set
 *   Since    0.1 */
BEZEL_API int32_t bezel_toolset_always(const bezel_toolset *tools, size_t i);

/* 1 when tool i is serial.
 *   Thread   that of the set
 *   Since    0.1 */
BEZEL_API int32_t bezel_toolset_serial(const bezel_toolset *tools, size_t i);

/* Tools in the set; 0 for NULL.
 *   Thread   that of the set
 *   Since    0.1 */
BEZEL_API size_t bezel_toolset_count(const bezel_toolset *tools);

/* Name of tool i in the order of adding, NULL beyond the end.
 *   Owns     the set's
 *   Thread   that of the set
 *   Since    0.1 */
BEZEL_API const char *bezel_toolset_name(const bezel_toolset *tools, size_t i);

/* BEZEL_TOOL_... of tool i; 0 when unknown or beyond the end.
 *   Thread   that of the set
 *   Since    0.1 */
BEZEL_API uint32_t bezel_toolset_permission(const bezel_toolset *tools, size_t i);

/* Warnings about schemas so far, at most 1,000.
 *   Thread   that of the set
 *   Since    0.1 */
BEZEL_API size_t bezel_toolset_warning_count(const bezel_toolset *tools);

/* Warning i, "tool: path: keyword: reason"; NULL beyond the end.
 *   Owns     the set's
 *   Thread   that of the set
 *   Since    0.1 */
BEZEL_API const char *bezel_toolset_warning(const bezel_toolset *tools, size_t i);

/* The constraint under which a model can call nothing but these tools, with arguments of their schemas; only: the name of the
 * one tool that may be called, NULL = all. options NULL are the defaults; kind and functions of them are not read. Tools
 * that are added later are not part of it.
 *   Owns     *out is the caller's, free with bezel_constraint_free before the model; the set may go at once
 *   Thread   that of the set
 *   Errors   MISSING when only is no tool of the set; ARGUMENT for an empty set; those of bezel_constraint_new. *out is NULL
 *   Since    0.1 */
BEZEL_API bezel_status bezel_toolset_constraint(bezel_constraint **out, const bezel_toolset *tools, bezel_model *model,
                                                const char *only, const bezel_constraint_options *options, bezel_error *err);

/* --- A running call ----------------------------------------------------------------------- */
/* For the function of a tool, on its thread, until it has answered. NULL is accepted. */

/* Name of the tool as it is in the set; "" for NULL.
 *   Owns     the call's
 *   Since    0.1 */
BEZEL_API const char *bezel_call_name(const bezel_call *call);

/* A map that the schema accepts, defaults filled in; parameters that are optional and were not given are absent.
 *   Owns     the call's
 *   Since    0.1 */
BEZEL_API const bezel_value *bezel_call_arguments(const bezel_call *call);

/* The tree to build the result in. A tree that fails makes the call fail.
 *   Owns     the call's
 *   Since    0.1 */
BEZEL_API bezel_tree *bezel_call_tree(bezel_call *call);

/* Answers with a result; NULL is null. The first answer counts, later ones do nothing. The call must not be used after
 * it: a pending one may be gone.
 *   Owns     the result is copied, whatever tree it is of
 *   Since    0.1 */
BEZEL_API void bezel_call_finish(bezel_call *call, const bezel_value *result);

/* Answers with a failure, status BEZEL_ERR_CALLBACK: one sentence that the model reads, so say what would help it. NULL
 * or "" is "the function failed". Otherwise as bezel_call_finish.
 *   Owns     the reason is copied, cut at 511 bytes
 *   Since    0.1 */
BEZEL_API void bezel_call_fail(bezel_call *call, const char *reason);

/* Says how the result reads in words, for small models: before bezel_call_finish; in place of the tool's summary. NULL takes
 * it back. What is shown to people and kept is the result itself.
 *   Owns     copied
 *   Since    0.1 */
BEZEL_API void bezel_call_summary(bezel_call *call, const char *text);

/* Id of the turn that the call belongs to, as its record in the journal has it (bezel_journal_turn.span); "" outside of
 * an agent.
 *   Owns     the call's
 *   Since    0.1 */
BEZEL_API const char *bezel_call_turn(const bezel_call *call);

/* How many agents are above that one: 0 for an agent that the host started itself.
 *   Since    0.1 */
BEZEL_API uint32_t bezel_call_depth(const bezel_call *call);

/* For a function that is about to return BEZEL_TOOL_PENDING: how its call goes on, in place of what an earlier one said.
 * resume(ud, call, err) is called by each step of the agent (each bezel_dispatch_poll) until the answer is there, and
 * returns what a tool's function returns: BEZEL_OK after an answer, BEZEL_TOOL_PENDING, or a failure. NULL: the answer
 * comes by itself.
 * cancel(ud, call) is called once, when nobody waits for the answer any more: the turn was cancelled or failed, the
 * agent or dispatch was freed, the time was over. It lets go of what belongs to the call, and the call must not be used
 * after it. NULL: the tool keeps the call until it answers, and bezel_call_left_us tells it.
 *
 *     struct job *job = begin(bezel_call_arguments(call));
 *     bezel_call_pending(call, job_look, job_drop, job);
 *     return BEZEL_TOOL_PENDING;
 *
 *   Owns     ud is the tool's; nothing here frees it
 *   Thread   both are called on that of the agent or dispatch, inside of its calls
 *   Since    0.1 */
BEZEL_API void bezel_call_pending(bezel_call *call, bezel_tool_fn resume, void (*cancel)(void *ud, bezel_call *call),
                                  void *ud);

/* A hint for a pending call: resume is not called before delay_us have passed, and the host need not step before
 * (bezel_dispatch_wait_us). Holds for one call of resume. Without a hint a host that waits looks each millisecond.
 *   Units    microseconds; 0 or less = at once
 *   Since    0.1 */
BEZEL_API void bezel_call_delay(bezel_call *call, int64_t delay_us);

/* Time that the call has left before it is late; 0 when it is, when nobody waits for it any more, or for NULL.
 *   Units    microseconds
 *   Since    0.1 */
BEZEL_API int64_t bezel_call_left_us(const bezel_call *call);

/* --- Prompt text -------------------------------------------------------------------------- */

/* How tools are shown to a model and how results come back; one row for each kind of model. Texts are borrowed.
 * The prompt is: intro; up to n_examples of `examples`, each a whole exchange with a list of its own, unless a tool has
 * examples; list_label with the functions of the set; rules; the tools' own examples (only where n_examples is not 0);
 * context. Parts that are NULL or empty are left out; a blank line stands between parts. In the formats %n is the name
 * of the function, %a its arguments, %v the value or the reason. */
typedef struct bezel_tool_profile {
    /* sizeof(bezel_tool_profile) */
    uint32_t size;
    /* examples that are shown; 0: a model that needs none */
    uint32_t n_examples;
    /* "instruct", "transcript" */
    const char *name;
    /* before everything */
    const char *intro;
    /* behind the list of functions, or NULL */
    const char *rules;
    /* what a call begins with: "FUNCTION_CALL: " */
    const char *call_marker;
    /* "FUNCTION_RESULT: %n(%a) = %v" or "Result: %n = %v" */
    const char *result_format;
    /* "FUNCTION_ERROR: %n: %v" or "Result: %n = error: %v" */
    const char *error_format;
    /* NULL-terminated list of example exchanges, or NULL */
    const char *const *examples;
    /* more stop strings while tools are declared, NULL-terminated list, or NULL */
    const char *const *stops;
    /* NULL is "Available Functions:" */
    const char *list_label;
    /* NULL is "Context: " */
    const char *context_label;
    /* line beginnings that a result must not have, NULL-terminated list, or NULL */
    const char *const *labels;
    /* 1: a result is one line, its newlines become spaces */
    uint32_t one_line;
    /* how much a nat of fit (bezel_tool_fit_score) counts for a call, in nats of the model's own decision; 0: that stands
     * alone */
    float fit_weight;
    /* how calls are written, a name of bezel_constraint_options.dialect; NULL is "function_call" */
    const char *dialect;
    /* nats of fit that speak neither for a call nor against it */
    float fit_neutral;
    /* how much a nat of fit of one tool before another counts where the name of a call is chosen; 0: the model alone chooses */
    float name_weight;
    /* 1: declarations and results are written in the control texts of the dialect ("functiongemma" or "gemma4"), as models that were
     * trained on them know them: sorted keys, upper-case types. list_label, result_format and error_format are not read, and agents
     * let arguments come in any order. What tools, results and the context say cannot become structure */
    uint32_t native;
    /* how much the words of the question count for the arguments of a call (evidence_weight of a generation); 0: nothing */
    float evidence_weight;
} bezel_tool_profile;

/* Built-in row with this name, "instruct" or "transcript"; NULL when there is none ("native" has dialects of its own only).
 *   Owns     static
 *   Thread   any
 *   Since    0.1 */
BEZEL_API const bezel_tool_profile *bezel_tool_profile_find(const char *name);

/* The same row with calls in another dialect ("function_call", "python", "json", "functiongemma", "gemma4"): rules, examples
 * and the constraint of agents. Examples that tools bring must be written in it. "native" is there for the last two: the form of
 * the models that were trained on them. NULL when there is none.
 *   Owns     static
 *   Thread   any
 *   Since    0.1 */
BEZEL_API const bezel_tool_profile *bezel_tool_profile_find_in(const char *name, const char *dialect);

/* The row that goes with a chat profile: "transcript" for one with label_guard, "native" for "functiongemma" and "gemma4",
 * "instruct" for others and for NULL.
 *   Owns     static
 *   Thread   any
 *   Since    0.1 */
BEZEL_API const bezel_tool_profile *bezel_tool_profile_of(const bezel_profile *profile);

/* The system text that declares the tools: introduction, functions, rules, examples, "Context:" (left out when context
 * is NULL or ""). An empty set lists "none".
 *   Units    *out_size in bytes; out_size may be NULL
 *   Owns     *out is the caller's, free with bezel_text_free
 *   Thread   that of the set
 *   Errors   ARGUMENT for a profile without size; LIMIT over 1 GiB; *out is NULL
 *   Since    0.1 */
BEZEL_API bezel_status bezel_toolset_render(char **out, size_t *out_size, const bezel_toolset *tools,
                                            const bezel_tool_profile *profile, const char *context, bezel_error *err);

/* One result, or an error when `error` is not NULL, in the form of the profile.
 * Markers of calls and results, control texts of tokenizers, labels at the beginning of a line and control characters
 * in name, arguments and value are changed so that they are only text. A list longer than `limit` keeps its first
 * items and how many more there are; any other value two thirds from the front, the rest from the end, and a note of how
 * many characters were left out; arguments are cut at 256 bytes.
 *   Units    limit in bytes before that change; 0 = 16 KiB, at least 16. *out_size in bytes; out_size may be NULL
 *   Owns     *out is the caller's, free with bezel_text_free
 *   Thread   any, while the values do not change
 *   Errors   NUMERIC for NaN or infinity; ARGUMENT for a profile without size; *out is NULL
 *   Since    0.1 */
BEZEL_API bezel_status bezel_result_render(char **out, size_t *out_size, bezel_engine *engine,
                                           const bezel_tool_profile *profile, const char *name,
                                           const bezel_value *arguments, const bezel_value *result, const char *error,
                                           size_t limit, bezel_error *err);

/* A call in canonical form: FUNCTION_CALL: name(p="v", n=3). The parser reads it back without a warning when the name
 * is one of its set. arguments is a map or NULL.
 *   Units    *out_size in bytes; out_size may be NULL
 *   Owns     *out is the caller's, free with bezel_text_free
 *   Thread   any, while the value does not change
 *   Errors   TYPE for a list with items; NUMERIC for NaN or infinity; *out is NULL
 *   Since    0.1 */
BEZEL_API bezel_status bezel_call_render(char **out, size_t *out_size, bezel_engine *engine, const char *name,
                                         const bezel_value *arguments, bezel_error *err);

/* --- Does the set fit a question? --------------------------------------------------------- */

/* Measures how well tools fit a question, by the probabilities that a model gives to the words of the question: with the
 * declarations of the tools before its eyes and without anything. A question that a tool is for becomes more probable by
 * them. Small models tell so much better than by what they would answer whether a call is in place.
 * Keeps two short sessions of its own, so that the declarations are computed once.
 *   Thread   confined */
typedef struct bezel_tool_fit bezel_tool_fit;

/* Makes a measure for the tools that the set has now; session: options of the sessions, n_ctx is not read, NULL = default.
 *   Owns     *out is the caller's, free with bezel_tool_fit_free before the model; the set may go at once
 *   Thread   that of the set
 *   Errors   ARGUMENT for an empty set; FULL when the declarations do not fit into the model's context; those of
 *            bezel_session_new. *out is NULL
 *   Since    0.1 */
BEZEL_API bezel_status bezel_tool_fit_new(bezel_tool_fit **out, const bezel_toolset *tools, bezel_model *model,
                                          const bezel_session_options *session, bezel_error *err);

/* Frees a measure; its job must be gone before. NULL is fine.
 *   Thread   that of the measure
 *   Since    0.1 */
BEZEL_API void bezel_tool_fit_free(bezel_tool_fit *fit);

/* How many tools are measured each by itself, too: those of the set, 0 for a single one and where there are more than 16.
 *   Thread   that of the measure
 *   Since    0.1 */
BEZEL_API size_t bezel_tool_fit_count(const bezel_tool_fit *fit);

/* A job that computes the declaration of a tool in steps, SIZE_MAX: those of the whole set. Without it the first score does,
 * in one call.
 *   Owns     *out is the caller's, free with bezel_job_free before the measure
 *   Thread   that of the measure
 *   Errors   RANGE for no such tool; those of bezel_generate; *out is NULL
 *   Since    0.1 */
BEZEL_API bezel_status bezel_tool_fit_prepare(bezel_job **out, bezel_tool_fit *fit, size_t tool, bezel_error *err);

/* log P(question | declaration of the tool) - log P(question | nothing), over the first 64 tokens of the question; tool SIZE_MAX:
 * the declarations of the whole set. Blocks for two passes over them, for one where the same question was measured last. size
 * SIZE_MAX means strlen(question); a question of no token fits by 0.
 *   Units    nats
 *   Thread   that of the measure
 *   Errors   RANGE for no such tool; NUMERIC, MEMORY of the passes; BUSY while its job runs; *out is as it was
 *   Since    0.1 */
BEZEL_API bezel_status bezel_tool_fit_score(double *out, bezel_tool_fit *fit, size_t tool, const char *question, size_t size,
                                            bezel_error *err);

/* 1 where the fit counts: the profile has a fit_weight and no tool of the set brings examples of its own, since those show the
 * model better when to call.
 *   Thread   that of the set
 *   Since    0.1 */
BEZEL_API int32_t bezel_tool_fit_counts(const bezel_toolset *tools, const bezel_tool_profile *profile);

/* What a fit adds to the logits of a call's beginning (call_bias of a generation) under a profile: fit_weight for each nat beyond
 * fit_neutral, at most 12 either way; 0 where the profile has no weight.
 *   Thread   any
 *   Since    0.1 */
BEZEL_API float bezel_tool_fit_bias(const bezel_tool_profile *profile, double fit);

/* What the fits nats [n] of the tools add to the logits of their names (function_bias of a generation) under a profile, to
 * out [n]: name_weight for each nat behind the best, at most 12.
 *   Thread   any
 *   Since    0.1 */
BEZEL_API void bezel_tool_fit_name_bias(float *out, const bezel_tool_profile *profile, const double *nats, size_t n);

/* --- Parsing ------------------------------------------------------------------------------ */

/* What a parser finds. */
enum {
    /* text outside of calls, as it comes */
    BEZEL_PARSE_TEXT = 1,
    /* a complete, valid call */
    BEZEL_PARSE_CALL = 2,
    /* something that wanted to be a call and is none */
    BEZEL_PARSE_ERROR = 3
};

/* What bezel_parser_event gives. Members that do not apply are NULL or 0. */
typedef struct bezel_parse_event {
    /* sizeof(bezel_parse_event), set by the caller; a smaller one of an older header gets its members */
    uint32_t size;
    /* BEZEL_PARSE_... */
    uint32_t type;
    /* TEXT: the piece, not NUL-terminated; ERROR: a sentence for the model */
    const char *text;
    /* bytes */
    size_t text_size;
    /* CALL: name of the tool; ERROR: name as the model wrote it or of the tool, or NULL */
    const char *tool;
    /* ERROR: name of the parameter, or NULL */
    const char *parameter;
    /* ERROR, static: unknown_function, unknown_parameter, missing_parameter, duplicate_parameter, too_many_arguments,
     * bad_type, bad_enum, out_of_range, too_long, too_short, duplicate_item, pattern, bad_value, nested_call, too_deep,
     * too_many_calls, syntax, truncated */
    const char *code;
    /* CALL: a map, converted and with defaults */
    const bezel_value *arguments;
    /* byte of the output where it begins */
    size_t offset;
} bezel_parse_event;

/* Why the output is over, for bezel_parser_finish. */
enum {
    /* the model ended its turn, or a stop string came */
    BEZEL_STOPPED_END = 0,
    /* it ran into a limit of tokens or context, or was cancelled */
    BEZEL_STOPPED_LIMIT = 1
};

/* Reads a model's output while it comes.
 *
 *     bezel_parser_new(&parser, tools, 1, &err);
 *     while (next_piece(&text, &size)) {
 *         bezel_parser_push(parser, text, size, &err);
 *         while (bezel_parser_event(parser, &event)) handle(&event);
 *     }
 *     bezel_parser_finish(parser, BEZEL_STOPPED_END, &err);   // then take the last events
 *
 * FUNCTION_CALL lines first of all, and what small models write instead (Python and JSON calls, fences, the control
 * texts of FunctionGemma, Gemma 4 and Hermes). However the output is cut into pieces, calls, errors and the whole text
 * are the same. Text is given out as segments, trimmed, with one newline between them; a call comes as soon as its end
 * is sure. Limits: 64 KiB, 64 arguments and depth 32 a call, 16 calls, 16 MiB of text outside of calls.
 *   Thread   confined; the toolset must outlive it and not change meanwhile */
typedef struct bezel_parser bezel_parser;

/* Makes a parser for one output.
 * repair_tail 1: a call whose closing bracket is missing counts when the turn ended by itself, its last value was
 * complete and every required parameter is there; 0: it is an error.
 *   Owns     *out is the caller's, free with bezel_parser_free before the toolset
 *   Thread   that of the toolset
 *   Errors   none of its own; *out is NULL after MEMORY
 *   Since    0.1 */
BEZEL_API bezel_status bezel_parser_new(bezel_parser **out, const bezel_toolset *tools, int32_t repair_tail,
                                        bezel_error *err);

/* Frees a parser with its events; NULL is fine.
 *   Thread   that of the parser
 *   Since    0.1 */
BEZEL_API void bezel_parser_free(bezel_parser *parser);

/* Takes bytes of the output, any number, cut anywhere, even inside a character.
 *   Units    bytes
 *   Thread   that of the parser
 *   Errors   MEMORY, or IO of the random source: the bytes are kept unless not even they found room (then nothing
 *            changed); a push of 0 bytes, or finish, goes on where it stopped. LIMIT over 16 MiB of text outside of
 *            calls, where this parser reads no further, and over 1 GiB that waits; ARGUMENT after finish
 *   Since    0.1 */
BEZEL_API bezel_status bezel_parser_push(bezel_parser *parser, const char *text, size_t size, bezel_error *err);

/* Says that the output is over; stopped is BEZEL_STOPPED_... . After a limit nothing unfinished counts as a call. A
 * second call does nothing.
 *   Thread   that of the parser
 *   Errors   MEMORY, or IO of the random source: call it again; LIMIT as for push; ARGUMENT for another value of
 *            stopped
 *   Since    0.1 */
BEZEL_API bezel_status bezel_parser_finish(bezel_parser *parser, uint32_t stopped, bezel_error *err);

/* The next event: 1, or 0 when none waits, a parameter is NULL or out->size is not set.
 *   Owns     what it points to lives until the next push, finish or free
 *   Thread   that of the parser
 *   Since    0.1 */
BEZEL_API int32_t bezel_parser_event(bezel_parser *parser, bezel_parse_event *out);

/* Everything so far, whether its events were taken or not, as {"text", "calls": [{"name", "arguments"}], "errors":
 * [{"code", "tool", "parameter", "offset", "message"}], "warnings": {kind: count}}. Warnings count what was read
 * although it was not in canonical form.
 *   Owns     *out lives in tree
 *   Thread   that of the parser and the tree
 *   Errors   that of the tree when it has no room or has failed before; *out is NULL
 *   Since    0.1 */
BEZEL_API bezel_status bezel_parser_result(bezel_value **out, bezel_tree *tree, const bezel_parser *parser,
                                           bezel_error *err);

/* --- Dispatch ----------------------------------------------------------------------------- */

/* One call that was started, for hosts with a loop of their own.
 *
 *     if (bezel_dispatch_start(&d, tools, event.tool, event.arguments, &err) == BEZEL_OK) {
 *         while ((st = bezel_dispatch_poll(d, &err)) == BEZEL_TOOL_PENDING) wait_for_something();
 *         bezel_result_render(&line, NULL, engine, profile, event.tool, event.arguments, bezel_dispatch_result(d),
 *                             st < 0 ? err.text : NULL, 0, NULL);
 *     }
 *     bezel_dispatch_free(d);
 *
 *   Thread   confined; that of the toolset */
typedef struct bezel_dispatch bezel_dispatch;

/* Starts a call: looks the tool up (exact name), checks the arguments, runs its function, which blocks this call.
 * Success means that the function was run, not that it succeeded: poll tells. Arguments are typed: "3" is no integer
 * here, 3.0 is; null stands for an absent parameter; arguments NULL are none.
 *   Owns     *out is the caller's, free with bezel_dispatch_free
 *   Thread   that of the toolset
 *   Errors   DENIED for a name that is not exactly one of the set, the hint lists them; PARSE for arguments that the
 *            schema refuses, err->place is "tool.parameter"; IO when the random source of the world fails. No function
 *            was run, *out is NULL
 *   Since    0.1 */
BEZEL_API bezel_status bezel_dispatch_start(bezel_dispatch **out, const bezel_toolset *tools, const char *name,
                                            const bezel_value *arguments, bezel_error *err);

/* The same for a call of a turn that has an id, which a tool may ask for (bezel_call_turn, bezel_call_depth).
 *   Owns     turn is copied, cut at 63 bytes; as bezel_dispatch_start
 *   Thread   that of the toolset
 *   Errors   those of bezel_dispatch_start
 *   Since    0.1 */
BEZEL_API bezel_status bezel_dispatch_start_in(bezel_dispatch **out, const bezel_toolset *tools, const char *name,
                                               const bezel_value *arguments, const char *turn, uint32_t depth,
                                               bezel_error *err);

/* How the call stands: BEZEL_OK with a result, BEZEL_TOOL_PENDING, or why it failed. Resumes a pending tool that wants it
 * (bezel_call_pending), and runs one again that failed and has retries left, which blocks as long as that runs. MEMORY, DENIED and
 * UNSUPPORTED are final, and so is what leaves no time for another try.
 *   Thread   that of the dispatch
 *   Errors   TIMEOUT once more than timeout_ms have passed, even when the answer came, but too late; UNSUPPORTED for a
 *            tool without code; else the tool's failure, its sentence in err
 *   Since    0.1 */
BEZEL_API bezel_status bezel_dispatch_poll(bezel_dispatch *dispatch, bezel_error *err);

/* The result; NULL while it is pending, when the call failed, or for NULL.
 *   Owns     the dispatch's
 *   Thread   that of the dispatch
 *   Since    0.1 */
BEZEL_API const bezel_value *bezel_dispatch_result(const bezel_dispatch *dispatch);

/* The result in words, where the tool has a summary; else NULL.
 *   Owns     the dispatch's
 *   Thread   that of the dispatch
 *   Since    0.1 */
BEZEL_API const char *bezel_dispatch_summary(const bezel_dispatch *dispatch);

/* How often the call has failed and was, or will be, run again; 0 for NULL. out_last, unless NULL or without size, gets the
 * failure before the last of them.
 *   Thread   that of the dispatch
 *   Since    0.1 */
BEZEL_API uint32_t bezel_dispatch_retries(const bezel_dispatch *dispatch, bezel_error *out_last);

/* Time from the start to the answer, or until now while there is none; 0 for NULL.
 *   Units    microseconds
 *   Thread   that of the dispatch
 *   Since    0.1 */
BEZEL_API int64_t bezel_dispatch_us(const bezel_dispatch *dispatch);

/* How long the host may wait before the next poll: until a pending tool is to be resumed, or until it is late. An answer
 * that a tool gives by itself may come sooner. -1 when the call is over, and for NULL.
 *   Units    microseconds
 *   Thread   that of the dispatch
 *   Since    0.1 */
BEZEL_API int64_t bezel_dispatch_wait_us(const bezel_dispatch *dispatch);

/* Lets go of a call; NULL is fine. The tool of a pending one is told, or keeps it until it answers.
 *   Thread   that of the dispatch
 *   Since    0.1 */
BEZEL_API void bezel_dispatch_free(bezel_dispatch *dispatch);

#ifdef __cplusplus
}
#endif
#endif
