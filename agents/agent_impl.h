/* SPDX-License-Identifier: MIT */
/* Inside of bezel_agent: one struct, and what its files offer each other. */
#ifndef BZ_AGENT_IMPL_H
#define BZ_AGENT_IMPL_H

#include <stdatomic.h>

#include <bezel/agent.h>

#include "base/arena.h"
#include "memory.h"
#include "record.h"
#include "turn.h"

typedef struct bz_agent_event_node bz_agent_event_node;
struct bz_agent_event_node {
    bz_agent_event_node *next;
    bezel_agent_event event; /* texts are behind the struct, values in the turn's tree */
};

enum { /* where a call that is not done stands */
    BZ_CALL_NEW = 0, /* or serial and behind another one */
    BZ_CALL_ASKED,   /* waits for a permission */
    BZ_CALL_RUNNING  /* dispatched */
};

typedef struct bz_agent_call { /* a call, or a parse error (no arguments, a code) */
    int state;
    int denied;       /* not run: no permission */
    uint64_t ask_id;
    uint32_t permit;  /* what the host has answered, BEZEL_PERMIT_..., DEFAULT = nothing yet */
    const char *reason; /* of its denial, or NULL */
    int64_t ask_end_ns;
    uint32_t retries; /* of these a decision tells */
    const bezel_value *summary; /* the result in words, or NULL */
    uint32_t step;
    int repeated;     /* not run: the same call was answered before */
    int refused;      /* not run: a limit */
    int done;         /* result or error is there */
    int undeclared;   /* the tool is a declaration without code: the host answers */
    uint32_t seen;    /* model calls that asked for it, counted at its first occurrence */
    uint32_t seen_step; /* the last of them */
    const char *name;
    const bezel_value *arguments;
    const bezel_value *result;
    const char *code;
    const char *error;
    bezel_status status; /* of a tool that failed */
    bezel_dispatch *dispatch;
    int64_t duration_us;
} bz_agent_call;

typedef struct bz_agent_role { /* a system text with its tools; 0 is that of the options */
    struct bezel_agent *agent;
    char *name, *description, *system;
    const bezel_toolset *tools; /* borrowed, or NULL */
} bz_agent_role;

typedef struct bz_agent_permit { /* the rule of a tool */
    char *name;
    uint32_t permit;
} bz_agent_permit;

enum { /* what step does next */
    BZ_AGENT_IDLE = 0,
    BZ_AGENT_ASK,      /* choose history, render, start a model call */
    BZ_AGENT_LISTEN,   /* the model works */
    BZ_AGENT_JUDGE,    /* the model call is over: answer, calls, limits */
    BZ_AGENT_WAIT,     /* calls run */
    BZ_AGENT_REPLY,    /* results go into the history */
    BZ_AGENT_RECORD,   /* the journal gets the turn */
    BZ_AGENT_FINISHED
};

struct bezel_agent {
    const bezel_world *world;
    bezel_engine *engine;
    bezel_model *model;
    bezel_agent_options options; /* pointers are the agent's copies or borrowed as agent.h says */
    bezel_journal journal;
    char *context, *conversation, *user, *tool_choice;
    char **stops; /* [options.generate.n_stops] */
    bezel_logit_bias *bias;
    bezel_session *session; /* NULL in a replay */
    uint32_t n_ctx;         /* tokens that a prompt and its answer may have */
    bz_turn_session session_source;
    bz_turn_source source;
    bz_turn_source heard; /* what source records, when there is a recording */
    bz_record *record;       /* or NULL */
    bz_record_say say;       /* of the model call in progress */
    int is_computed;         /* by the session, not by a script or a recording */

    bz_memory_message *history; /* [n_history] */
    size_t n_history, history_capacity;
    bz_memory_plan plan; /* of the last prompt */
    int taint_next;      /* the next question has text from elsewhere */
    char *system_text;   /* system and tools as the current turn sends them, or NULL */
    size_t system_size;
    int32_t *prefix; /* [n_prefix] tokens of system_text before the first message */
    size_t n_prefix;

    /* the current turn; all of it lives until the next send */
    int state;
    bezel_status final; /* BEZEL_DONE or why it failed, once FINISHED */
    bezel_error error;
    atomic_int cancelled;
    size_t turn_begin; /* index of the question in history */
    uint32_t step;     /* model calls begun */
    int answer_only;   /* no call is run any more */
    int answer_lost;   /* an answer-only call brought no text */
    uint32_t n_bad;    /* model calls whose calls could not be read */
    bz_arena arena;
    bezel_tree *tree;
    bz_agent_call *calls;
    size_t n_calls, calls_capacity;
    size_t step_calls; /* index of the first call of this model call */
    bezel_journal_usage *usages;
    size_t n_usages, usages_capacity;
    int32_t *forced; /* ids the next model call begins with */
    size_t n_forced;
    uint32_t n_branches;
    bezel_constraint *constraint;  /* of n_constrained tools, or NULL; kept over turns */
    size_t n_constrained;
    bezel_constraint *first_constraint; /* of the one tool that tool_choice names */
    bezel_tool_fit *fit;  /* of n_fitted tools, or NULL; kept over turns */
    bezel_job *fit_job;   /* computes the declarations */
    size_t n_fitted, n_fit_ready; /* ready: computed declarations of tools, then of all */
    double *fits;         /* [n_fits of bezel_tool_fit_count + 1] of the turn's question: of each tool, of all */
    size_t n_fits;
    float *name_bias;     /* [bezel_tool_fit_count], once fit_done */
    int fit_done;         /* of this turn */
    float fit_bias;
    const bezel_constraint *form;  /* of the turns to come, the host's; NULL = none */
    uint64_t n_tokens_forced;
    double call_probability, name_probability;
    bz_turn turn;
    bz_strbuf answer;
    const bezel_value *call_list;
    uint64_t n_dropped_pending; /* tokens dropped for the model call in progress */
    int64_t started_ms, started_ns, total_us, first_token_us;
    uint32_t stop_reason;

    bz_agent_event_node *first_event, *last_event, *shown_event;
    int recorded;     /* the journal was asked to keep the turn */
    int fresh_events; /* queued since step last returned BEZEL_TOKEN */
    int ready_fd;     /* always readable, or -1 */
    int inside;       /* step is on the stack: a tool may not step or send */
    bz_agent_role *roles;     /* [n_roles] */
    uint32_t n_roles, role, next_role;
    bezel_toolset *joined;    /* tools of the role with those that hand over, or NULL: there is only one role */
    size_t n_joined_from;     /* tools that the role's set had when it was joined */
    bezel_toolset *selected;  /* what the turn offers, or NULL: all */
    uint32_t *selection;      /* [n_selection] its places in the whole set */
    size_t n_selection;
    bz_strbuf offer_detail;   /* which, with their scores */
    bz_agent_permit *permits; /* [n_permits] */
    size_t n_permits, permits_capacity;
    uint64_t last_ask;
    bezel_journal_decision *decisions; /* [n_decisions] of the turn */
    size_t n_decisions, decisions_capacity;
    char span[33], parent[64], next_parent[64]; /* next_parent: of the turn that is sent next */
    uint32_t depth, next_depth;
    const bezel_call *led_by; /* the call that this agent works for, as a tool */
    bz_mutex *wait_mutex; /* of bezel_agent_wait, which a cancel wakes */
    bz_cond *wait_cond;
};

/* --- agent_event.c ------------------------------------------------------------------------ */

/* Queues an event. Texts are copied, values must live in the turn's tree. */
bezel_status bz_agent_emit(bezel_agent *a, const bezel_agent_event *event, bezel_error *err);
bezel_status bz_agent_emit_text(bezel_agent *a, uint32_t type, const char *text, size_t size, uint64_t count,
                                bezel_error *err);
bezel_status bz_agent_note(bezel_agent *a, bezel_error *err, const char *format, ...) BZ_PRINTF(3, 4);
void bz_agent_events_clear(bezel_agent *a);

/* --- agent_history.c ---------------------------------------------------------------------- */

bezel_status bz_agent_history_add(bezel_agent *a, uint32_t role, uint32_t step, const char *text, size_t size,
                                  bezel_error *err);
void bz_agent_history_cut(bezel_agent *a, size_t count);
/* Renders system and tools anew (tools may have been added) into system_text. */
bezel_status bz_agent_system_render(bezel_agent *a, bezel_error *err);
/* The system text of an agent and of examples to teach: its own, its tools (or NULL), its context. */
bezel_status bz_agent_system_text(bz_strbuf *out, bezel_engine *engine, const char *system, const bezel_toolset *tools,
                                  const bezel_tool_profile *profile, const char *context, bezel_error *err);
/* Chooses the part of the history that fits and renders it; *plan in and out as bz_memory_choose. */
bezel_status bz_agent_prompt_render(bezel_prompt **out, bezel_agent *a, bz_memory_plan *plan, bezel_error *err);

/* --- agent_offer.c ------------------------------------------------------------------------ */

/* Copies roles of the options. */
bezel_status bz_agent_roles_make(bezel_agent *a, const bezel_agent_options *o, bezel_error *err);
void bz_agent_roles_free(bezel_agent *a);
/* Which tools the turn offers: those of the role, joined with the ways to others, and of these the ones that fit text
 * (NULL = as before). */
bezel_status bz_agent_offer(bezel_agent *a, const char *text, bezel_error *err);
/* The tools that are offered; NULL = none. */
const bezel_toolset *bz_agent_tools(const bezel_agent *a);
size_t bz_agent_tool_place(const bezel_agent *a, const char *name); /* in bz_agent_tools; their count when it is not there */
/* Notes which they are, when not all. */
bezel_status bz_agent_offer_decide(bezel_agent *a, bezel_error *err);
bezel_status bz_agent_role_set(bezel_agent *a, uint32_t role, bezel_error *err);
/* After the calls of a model call: another role goes on when one of them wanted it. */
bezel_status bz_agent_role_change(bezel_agent *a, bezel_error *err);

/* --- agent_decision.c --------------------------------------------------------------------- */

/* Notes a decision about call (NULL = none); name and detail are copied, NULL = none. kind and outcome are static. */
bezel_status bz_agent_decide(bezel_agent *a, const char *kind, const char *outcome, const bz_agent_call *call, const char *name,
                             const char *detail, bezel_error *err);

/* --- agent_permission.c ------------------------------------------------------------------- */

bezel_status bz_agent_permits_make(bezel_agent *a, const bezel_agent_options *o, bezel_error *err);
void bz_agent_permits_free(bezel_agent *a);
/* Class of a tool that the turn offers, 0 for one that it does not. */
uint32_t bz_agent_class(const bezel_agent *a, const char *name);
/* May a new or asked call run? *out_permit: ALLOW, DENY (call->reason says why) or ASK (it waits). */
bezel_status bz_agent_permission(uint32_t *out_permit, bezel_agent *a, bz_agent_call *call, bezel_error *err);

/* --- agent_calls.c ------------------------------------------------------------------------ */

/* Notes what the parser found; runs nothing. */
bezel_status bz_agent_call_add(bezel_agent *a, const bezel_parse_event *found, bezel_error *err);
bezel_status bz_agent_parse_error_add(bezel_agent *a, const bezel_parse_event *found, bezel_error *err);
/* Starts every new call of this model call that may run. */
bezel_status bz_agent_calls_start(bezel_agent *a, bezel_error *err);
/* The call of this turn that one with this name and these arguments repeats, or NULL. */
bz_agent_call *bz_agent_call_original(bezel_agent *a, const char *name, const bezel_value *arguments);
/* After the reply: an error when a tool failed twice in a row, in two model calls. */
bezel_status bz_agent_calls_check(bezel_agent *a, bezel_error *err);
/* BEZEL_OK when all have answered, BEZEL_TOOL_PENDING, or an error. */
bezel_status bz_agent_calls_poll(bezel_agent *a, bezel_error *err);
/* Until one of the pending calls has something to do; 0 = now. */
int64_t bz_agent_calls_wait_us(const bezel_agent *a);
/* The turn fails with st: pending tools are told, what has no answer gets the failure as its own. */
void bz_agent_calls_drop(bezel_agent *a, bezel_status st);
/* The results of this model call as one message into the history, events in call order. */
bezel_status bz_agent_calls_reply(bezel_agent *a, bezel_error *err);
void bz_agent_calls_clear(bezel_agent *a);
int bz_agent_has_tools(const bezel_agent *a);

/* --- agent_branch.c ----------------------------------------------------------------------- */

/* After a model call that only repeated answered calls: sets `forced` to the beginning of the most probable other
 * answer. *out_found 0 when there is none. */
bezel_status bz_agent_branch(bezel_agent *a, int *out_found, bezel_error *err);

/* --- agent_constraint.c ------------------------------------------------------------------- */

/* Makes the constraints that the options want, of the tools that the set has now. One that cannot be made is a note when the
 * model need not call. */
bezel_status bz_agent_constraint_make(bezel_agent *a, bezel_error *err);
void bz_agent_constraint_free(bezel_agent *a);
/* 1 when the turn must begin with a call. */
int bz_agent_must_call(const bezel_agent *a);
/* Puts the constraint into the options of the next model call. */
void bz_agent_constraint_set(const bezel_agent *a, bezel_generate_options *o);

/* --- agent_fit.c -------------------------------------------------------------------------- */

/* BEZEL_MORE while the fit of the turn's question is being measured, BEZEL_OK when it is known or not wanted. */
bezel_status bz_agent_fit_step(bezel_agent *a, int64_t budget_us, bezel_error *err);
/* The model's probability of a call with the evidence of the fit. */
double bz_agent_fit_probability(const bezel_agent *a, double p);
void bz_agent_fit_stop(bezel_agent *a); /* drops work that is not finished */
void bz_agent_fit_free(bezel_agent *a);

/* --- agent_loop.c ------------------------------------------------------------------------- */

/* One unit of the turn. BEZEL_MORE, BEZEL_TOOL_PENDING, BEZEL_DONE (state FINISHED) or an error that ends the turn. */
bezel_status bz_agent_unit(bezel_agent *a, int64_t budget_us, bezel_error *err);
/* Ends the turn with an error: what was written is kept for the journal, the history stays one that can be continued. */
void bz_agent_fail(bezel_agent *a, bezel_status st, const bezel_error *err);

/* --- agent_journal.c ---------------------------------------------------------------------- */

/* withdrawn: the turn leaves the history. */
bezel_status bz_agent_journal_write(bezel_agent *a, int withdrawn, bezel_error *err);
/* The list of bezel_agent_turn, built once at the end. */
bezel_status bz_agent_call_list(bezel_agent *a, bezel_error *err);

/* --- agent.c ------------------------------------------------------------------------------ */

/* bezel_agent_new with another source in place of the session; NULL = the session. The source is copied. */
bezel_status bz_agent_new_with(bezel_agent **out, bezel_model *model, const bezel_agent_options *options,
                               const bz_turn_source *source, bezel_error *err);
/* Room for one more element of `size` bytes; 0 when memory is out. */
int bz_agent_grow(const bezel_world *w, void *list, size_t *capacity, size_t count, size_t size);

#endif
