/* SPDX-License-Identifier: MIT */
/* Tools: functions that a model may call. A toolset compiles each schema once; prompt text, parser and validation come
 * from the same table.
 *
 *     bezel_toolset *tools;
 *     bezel_toolset_new(&tools, engine, &err);
 *     bezel_tool t = BEZEL_TOOL_INIT;
 *     t.name = "get_weather";
 *     t.description = "Weather of a city";
 *     t.parameters_json = "{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"}},\"required\":[\"city\"]}";
 *     t.fn = get_weather;
 *     bezel_toolset_add(tools, &t, &err);
 */
#ifndef BEZEL_TOOLS_H
#define BEZEL_TOOLS_H

#include <bezel/chat.h>
#include <bezel/value.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct bezel_toolset bezel_toolset; /* Thread: confined */
typedef struct bezel_call bezel_call;       /* one running call; belongs to the dispatcher */

/* Runs a call: reads bezel_call_arguments, builds the result in bezel_call_tree, gives it to bezel_call_finish and
 * returns BEZEL_OK. Any negative status (text in err, or bezel_call_fail) becomes an error line for the model.
 * BEZEL_TOOL_PENDING promises that bezel_call_finish or bezel_call_fail is called later, on the agent's thread; the call
 * stays valid until then even if its dispatcher is freed first, but not longer than the engine.
 *   Thread   the agent's */
typedef bezel_status (*bezel_tool_fn)(void *ud, bezel_call *call, bezel_error *err);

enum { /* what a tool can do to the world; 0 means unknown, treated as the strictest */
    BEZEL_TOOL_PURE = 1,    /* computes */
    BEZEL_TOOL_READ = 2,    /* reads files, clocks, fixed hosts */
    BEZEL_TOOL_WRITE = 3,   /* changes something */
    BEZEL_TOOL_NETWORK = 4  /* the model chooses the address */
};

typedef struct bezel_tool {
    uint32_t size; /* set by BEZEL_TOOL_INIT */
    uint32_t permission;                /* BEZEL_TOOL_... */
    const char *name;                   /* [A-Za-z_][A-Za-z0-9_.-]*, at most 64 bytes, unique in the set */
    const char *description;            /* one sentence */
    const char *parameters_json;        /* JSON schema of the arguments (an object), or NULL */
    const bezel_value *parameters;      /* the same as a value; NULL and no JSON = no parameters */
    const char *const *examples;        /* NULL-terminated transcript lines of this tool's own, or NULL: "User: ...",
                                           "Assistant: FUNCTION_CALL: ...", "Result: ...", "Assistant: ..."; each
                                           "User:" begins an exchange. Shown only where a profile shows examples */
    bezel_tool_fn fn;                   /* NULL: a declaration without code */
    void *ud;
    void (*free_ud)(void *ud);          /* called when the set is freed, never when adding failed; may be NULL */
    int64_t timeout_ms;                 /* 0 = 30,000; a C tool that is late is reported, not stopped */
} bezel_tool;
#define BEZEL_TOOL_INIT {sizeof(bezel_tool), 0, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0}

BEZEL_API bezel_status bezel_toolset_new(bezel_toolset **out, bezel_engine *engine, bezel_error *err);
BEZEL_API void bezel_toolset_free(bezel_toolset *tools);
/* Copies everything. An unknown schema keyword never refuses a tool: it is a warning ("tool: path: keyword: reason").
 * A failed add leaves the set as it was. Limits: 1,024 tools, 64 parameters each.
 *   Errors   BEZEL_ERR_DUPLICATE, BEZEL_ERR_FORMAT, BEZEL_ERR_RANGE (a name or a range that no value can meet),
 *            BEZEL_ERR_UNSUPPORTED and BEZEL_ERR_MISSING (a $ref), BEZEL_ERR_LIMIT; err->place is "tool.path" */
BEZEL_API bezel_status bezel_toolset_add(bezel_toolset *tools, const bezel_tool *tool, bezel_error *err);
/* Adds every tool of a list of {name, description, parameters}, with or without the OpenAI wrapper, without code. Type
 * names of Python and Java (dict, float, tuple, ...) are accepted. All or none. */
BEZEL_API bezel_status bezel_toolset_add_list(bezel_toolset *tools, const bezel_value *list, bezel_error *err);
BEZEL_API size_t bezel_toolset_count(const bezel_toolset *tools);
BEZEL_API const char *bezel_toolset_name(const bezel_toolset *tools, size_t i);
BEZEL_API uint32_t bezel_toolset_permission(const bezel_toolset *tools, size_t i); /* BEZEL_TOOL_..., 0 = unknown */
BEZEL_API size_t bezel_toolset_warning_count(const bezel_toolset *tools);
BEZEL_API const char *bezel_toolset_warning(const bezel_toolset *tools, size_t i);

/* --- A running call ----------------------------------------------------------------------- */

BEZEL_API const char *bezel_call_name(const bezel_call *call);
BEZEL_API const bezel_value *bezel_call_arguments(const bezel_call *call); /* a map, defaults filled in, valid */
BEZEL_API bezel_tree *bezel_call_tree(bezel_call *call); /* build the result here */
/* The first answer counts; result NULL is null. The call must not be used after either. */
BEZEL_API void bezel_call_finish(bezel_call *call, const bezel_value *result);
BEZEL_API void bezel_call_fail(bezel_call *call, const char *reason);

/* --- Prompt text -------------------------------------------------------------------------- */

/* How tools are shown to a model and how results come back; one row for each kind of model. Texts are borrowed.
 * The prompt is: intro; up to n_examples of `examples`, each a whole exchange with a list of its own; list_label with the
 * functions of the set; rules; the tools' own examples (only where n_examples is not 0; they stand instead of the row's
 * `examples`); context. Parts that are NULL or empty are left out; a blank line stands between parts. In the formats %n is the name of the function, %a its arguments,
 * %v the value or the reason. */
typedef struct bezel_tool_profile {
    uint32_t size;            /* sizeof(bezel_tool_profile) */
    uint32_t n_examples;      /* 0: a model that needs none */
    const char *name;         /* "instruct", "transcript" */
    const char *intro;        /* before everything */
    const char *rules;        /* behind the list of functions, or NULL */
    const char *call_marker;  /* "FUNCTION_CALL: " */
    const char *result_format; /* "FUNCTION_RESULT: %n(%a) = %v" or "Result: %n = %v" */
    const char *error_format;  /* "FUNCTION_ERROR: %n: %v" */
    const char *const *examples; /* NULL-terminated list of example exchanges, or NULL */
    const char *const *stops;    /* more stop strings while tools are declared, or NULL */
    const char *list_label;      /* "Available Functions:" */
    const char *context_label;   /* "Context: " */
    const char *const *labels;   /* line beginnings that a result must not have, NULL-terminated, or NULL */
    uint32_t one_line;           /* 1: a result is one line, its newlines become spaces */
    uint32_t reserved;
} bezel_tool_profile;
/* Built-in row by name, NULL when there is none. Static.
 *   Thread   any */
BEZEL_API const bezel_tool_profile *bezel_tool_profile_find(const char *name);
/* The row that goes with a chat profile. */
BEZEL_API const bezel_tool_profile *bezel_tool_profile_of(const bezel_profile *profile);

/* The system text that declares the tools (R15): introduction, functions, rules, examples, "Context:".
 *   Owns     *out is the caller's, free with bezel_text_free */
BEZEL_API bezel_status bezel_toolset_render(char **out, size_t *out_size, const bezel_toolset *tools,
                                            const bezel_tool_profile *profile, const char *context, bezel_error *err);
/* One result or error (error NULL: none) in the form of the profile. Markers and control texts in it are neutralised; a
 * value longer than `limit` bytes (0 = 16 KiB) keeps head and tail with a note of how many characters were left out.
 *   Owns     *out is the caller's, free with bezel_text_free
 *   Errors   BEZEL_ERR_NUMERIC for NaN or infinity */
BEZEL_API bezel_status bezel_result_render(char **out, size_t *out_size, bezel_engine *engine,
                                           const bezel_tool_profile *profile, const char *name,
                                           const bezel_value *arguments, const bezel_value *result, const char *error,
                                           size_t limit, bezel_error *err);
/* A call in canonical form: FUNCTION_CALL: name(p="v", n=3). The parser reads it back without a warning.
 *   Owns     *out is the caller's, free with bezel_text_free */
BEZEL_API bezel_status bezel_call_render(char **out, size_t *out_size, bezel_engine *engine, const char *name,
                                         const bezel_value *arguments, bezel_error *err);

/* --- Parsing ------------------------------------------------------------------------------ */

enum {
    BEZEL_PARSE_TEXT = 1,  /* text outside of calls, as it comes */
    BEZEL_PARSE_CALL = 2,  /* a complete, valid call */
    BEZEL_PARSE_ERROR = 3  /* something that wanted to be a call and is none */
};

typedef struct bezel_parse_event {
    uint32_t size; /* sizeof(bezel_parse_event), set by the caller */
    uint32_t type;
    const char *text;             /* TEXT: the piece; ERROR: a sentence for the model */
    size_t text_size;
    const char *tool;             /* CALL, ERROR: its name, or NULL */
    const char *parameter;        /* ERROR: its name, or NULL */
    const char *code;             /* ERROR, static: unknown_function, unknown_parameter, missing_parameter,
                                     duplicate_parameter, too_many_arguments, bad_type, bad_enum, out_of_range, too_long,
                                     too_short, pattern, nested_call, too_deep, too_many_calls, syntax, truncated */
    const bezel_value *arguments; /* CALL: a map, converted and with defaults */
    size_t offset;                /* byte of the output where it begins */
} bezel_parse_event;

enum { BEZEL_STOPPED_END = 0, BEZEL_STOPPED_LIMIT = 1 }; /* the model ended its turn, or ran into a limit */

/* Reads a model's output while it comes: FUNCTION_CALL lines first of all, and what small models write instead (Python and
 * JSON calls, fences, the control texts of FunctionGemma, Gemma 4 and Hermes). However the output is cut into pieces, the
 * events are the same. Text is given out as segments, trimmed, with one newline between them; a call comes as soon as its
 * end is sure. Limits: 64 KiB, 64 arguments and depth 32 a call, 16 calls.
 *   Thread   confined; the toolset must outlive it and not change meanwhile */
typedef struct bezel_parser bezel_parser;
/* repair_tail 1: a call whose closing bracket is missing counts when the turn ended by itself, its last value was complete
 * and every required parameter is there. */
BEZEL_API bezel_status bezel_parser_new(bezel_parser **out, const bezel_toolset *tools, int32_t repair_tail,
                                        bezel_error *err);
BEZEL_API void bezel_parser_free(bezel_parser *parser);
/* Bytes of the output, any number, cut anywhere.
 *   Errors   BEZEL_ERR_MEMORY: the bytes are kept unless not even they found room (then nothing changed); a push of 0
 *            bytes, or finish, goes on where it stopped */
BEZEL_API bezel_status bezel_parser_push(bezel_parser *parser, const char *text, size_t size, bezel_error *err);
/* The output is over; stopped BEZEL_STOPPED_... . After a limit nothing unfinished counts as a call. */
BEZEL_API bezel_status bezel_parser_finish(bezel_parser *parser, uint32_t stopped, bezel_error *err);
/* The next event: 1, or 0 when none waits. What it points to lives until the next push, finish or free. */
BEZEL_API int32_t bezel_parser_event(bezel_parser *parser, bezel_parse_event *out);
/* Everything so far as {"text","calls":[{"name","arguments"}],"errors":[{code,tool,parameter,offset,message}],"warnings":
 * {kind: count}}.
 *   Owns     *out lives in tree */
BEZEL_API bezel_status bezel_parser_result(bezel_value **out, bezel_tree *tree, const bezel_parser *parser,
                                           bezel_error *err);

/* --- Dispatch ----------------------------------------------------------------------------- */

/* Starts a call: looks the tool up (exact name), validates, runs its function. The result is there at once unless it
 * says BEZEL_TOOL_PENDING. Arguments are typed: "3" is no integer here, 3.0 is; null stands for an absent parameter.
 *   Owns     *out is the caller's, free with bezel_dispatch_free (a pending tool may still answer, nobody listens)
 *   Errors   BEZEL_ERR_DENIED for a name that is not exactly one of the set; BEZEL_ERR_PARSE for arguments that the
 *            schema refuses, err->place is "tool.parameter" */
typedef struct bezel_dispatch bezel_dispatch;
BEZEL_API bezel_status bezel_dispatch_start(bezel_dispatch **out, const bezel_toolset *tools, const char *name,
                                            const bezel_value *arguments, bezel_error *err);
/* BEZEL_OK with a result, BEZEL_TOOL_PENDING, BEZEL_ERR_TIMEOUT once more than timeout_ms have passed, or the tool's
 * failure (text in err). */
BEZEL_API bezel_status bezel_dispatch_poll(bezel_dispatch *dispatch, bezel_error *err);
BEZEL_API const bezel_value *bezel_dispatch_result(const bezel_dispatch *dispatch); /* NULL unless finished */
BEZEL_API int64_t bezel_dispatch_us(const bezel_dispatch *dispatch);                /* duration so far */
BEZEL_API void bezel_dispatch_free(bezel_dispatch *dispatch);

#ifdef __cplusplus
}
#endif
#endif
