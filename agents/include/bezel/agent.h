/* SPDX-License-Identifier: MIT */
/* bezel_agent: a conversation that may call tools. Without tools it is a plain chat.
 *
 *     bezel_agent_new(&agent, model, &options, &err);
 *     bezel_agent_send(agent, "Will it rain in Paris?", SIZE_MAX, &err);
 *     while ((st = bezel_agent_step(agent, 4000, &err)) > 0 && st != BEZEL_DONE)
 *         while (bezel_agent_event_next(agent, &event)) show(&event);
 *     bezel_agent_result(agent, &turn, &err);
 *
 * The loop: model turn, calls, results, model turn, ... until text, a limit or an error. Text is never lost in silence:
 * what is dropped, cut or refused is an event and a field of the turn. */
#ifndef BEZEL_AGENT_H
#define BEZEL_AGENT_H

#include <bezel/journal.h>
#include <bezel/tools.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct bezel_agent bezel_agent; /* Thread: confined, but for bezel_agent_cancel */

enum { BEZEL_OVERFLOW_DROP_OLDEST = 0, BEZEL_OVERFLOW_ERROR = 1 };

typedef struct bezel_agent_options {
    uint32_t size;             /* set by bezel_agent_options_init */
    uint32_t max_steps;        /* model calls with tools in a turn, then one that must answer in text; default 6 */
    uint32_t max_calls;        /* calls run in one model turn; default 8 */
    uint32_t max_result_tokens; /* of one result; default the smaller of 1000 and an eighth of the context */
    uint32_t overflow;         /* BEZEL_OVERFLOW_... */
    uint32_t background;       /* 1: the model works on the engine's worker; step polls. Tools still run in step */
    const char *system;        /* system text, or NULL; copied */
    const char *context;       /* R15's "Context:", or NULL; copied */
    const bezel_toolset *tools; /* borrowed, or NULL */
    const bezel_profile *profile;           /* NULL = bezel_profile_of(model) */
    const bezel_tool_profile *tool_profile; /* NULL = bezel_tool_profile_of(profile) */
    bezel_session_options session;
    bezel_generate_options generate; /* for each model call; default greedy, max_tokens 512 */
    const bezel_journal *journal;    /* copied; NULL = none */
    const char *conversation;        /* id for the journal, or NULL; copied */
    const char *user;                /* for the journal, or NULL; copied */
} bezel_agent_options;

BEZEL_API void bezel_agent_options_init(bezel_agent_options *out);

/* Owns     *out is the caller's, free with bezel_agent_free before model, tools and journal */
BEZEL_API bezel_status bezel_agent_new(bezel_agent **out, bezel_model *model, const bezel_agent_options *options,
                                       bezel_error *err);
BEZEL_API void bezel_agent_free(bezel_agent *agent);

/* --- A turn ------------------------------------------------------------------------------- */

enum {
    BEZEL_AGENT_TEXT = 1,       /* a piece of the model's text (of an answer or around calls) */
    BEZEL_AGENT_CALL = 2,       /* a call is about to run: name, arguments */
    BEZEL_AGENT_RESULT = 3,     /* it is done: name, result or error */
    BEZEL_AGENT_PARSE_ERROR = 4, /* a call that could not be read: code, error */
    BEZEL_AGENT_DROPPED = 5,    /* history did not fit: count tokens in text's sentence */
    BEZEL_AGENT_NOTE = 6        /* a limit was reached, a repeated call was not run, a result was cut: sentence in text */
};

typedef struct bezel_agent_event {
    uint32_t size; /* sizeof(bezel_agent_event), set by the caller */
    uint32_t type;
    uint32_t step; /* model call it belongs to */
    uint32_t reserved;
    const char *text; /* all pointers live until the next call on the agent */
    size_t text_size;
    const char *name;
    const char *code;
    const bezel_value *arguments;
    const bezel_value *result; /* NULL when it failed */
    uint64_t count;
} bezel_agent_event;

/* Starts a turn. Errors   BEZEL_ERR_BUSY while one runs */
BEZEL_API bezel_status bezel_agent_send(bezel_agent *agent, const char *text, size_t size, bezel_error *err);
/* Works for about budget_us microseconds (see bezel_job_step). BEZEL_MORE, BEZEL_TOKEN (an event waits),
 * BEZEL_TOOL_PENDING, BEZEL_DONE after the journal has the turn, or an error that ended the turn. A tool without code ends
 * the turn after its calls: they stand in the result without result and error.
 *   Errors   BEZEL_ERR_LOOP when the model only repeats calls or never answers, BEZEL_ERR_PARSE when its calls cannot be
 *            read twice, BEZEL_ERR_CALLBACK (or what the tool said) when a tool fails again after its error was told, BEZEL_ERR_FULL when the question does not fit, BEZEL_ERR_CANCELLED, the journal's own */
BEZEL_API bezel_status bezel_agent_step(bezel_agent *agent, int64_t budget_us, bezel_error *err);
BEZEL_API int32_t bezel_agent_event_next(bezel_agent *agent, bezel_agent_event *out); /* 1, or 0 when none waits */
/* background: a descriptor that is readable when step has something to do; ask again before each wait, because every
 * model call has its own. -1 without background. Belongs to the agent. */
BEZEL_API int32_t bezel_agent_fd(bezel_agent *agent);
/* Any thread. step then returns BEZEL_ERR_CANCELLED; the result has what there is, and text that was written stays in the
 * history. Any other failure, that of the journal too, takes the turn out of the history; the journal has both. */
BEZEL_API void bezel_agent_cancel(bezel_agent *agent);

/* The last finished turn. Pointers live until the next send. */
typedef struct bezel_agent_turn {
    uint32_t size; /* sizeof(bezel_agent_turn), set by the caller */
    uint32_t stop_reason;     /* of the last model call */
    const char *text;         /* the answer */
    size_t text_size;
    const bezel_value *calls; /* list of {name, arguments, result | error, code, repeated, step, duration_ms} */
    uint32_t n_steps;         /* model calls */
    uint32_t reserved;
    uint64_t n_prompt, n_cached, n_generated, n_dropped; /* tokens over all model calls */
    int64_t first_token_us, total_us;
} bezel_agent_turn;
BEZEL_API bezel_status bezel_agent_result(bezel_agent *agent, bezel_agent_turn *out, bezel_error *err);

/* --- History ------------------------------------------------------------------------------ */

/* Messages so far as a list of {role, text}. Owns     *out lives in tree */
BEZEL_API bezel_status bezel_agent_history(bezel_value **out, bezel_tree *tree, const bezel_agent *agent,
                                           bezel_error *err);
/* Adds messages at the end without asking the model: to resume a conversation or to prepare one. */
BEZEL_API bezel_status bezel_agent_append(bezel_agent *agent, const bezel_message *messages, size_t count,
                                          bezel_error *err);
BEZEL_API void bezel_agent_clear(bezel_agent *agent);
/* The exact prompt that send(text) would give to the model; text NULL renders the history as it stands.
 *   Owns     *out is the caller's, free with bezel_prompt_free */
BEZEL_API bezel_status bezel_agent_prompt(bezel_prompt **out, bezel_agent *agent, const char *text, size_t size,
                                          bezel_error *err);
BEZEL_API bezel_session *bezel_agent_session(bezel_agent *agent);

#ifdef __cplusplus
}
#endif
#endif
