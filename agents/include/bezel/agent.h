/* SPDX-License-Identifier: MIT */
/* bezel_agent: a conversation that may call tools. Without tools it is a plain chat.
 *
 *     bezel_agent_options_init(&options);
 *     options.system = "Answer briefly.";
 *     options.tools = tools;                                   // or NULL
 *     bezel_agent_new(&agent, model, &options, &err);
 *     bezel_agent_send(agent, "Will it rain in Paris?", SIZE_MAX, &err);
 *     while ((st = bezel_agent_step(agent, 4000, &err)) > 0 && st != BEZEL_DONE) {
 *         while (bezel_agent_event_next(agent, &event)) show(&event);
 *         if (st == BEZEL_TOOL_PENDING) bezel_agent_wait(agent, -1);   // or do something else
 *     }
 *     bezel_agent_result(agent, &turn, &err);
 *     bezel_agent_free(agent);
 *
 * The loop: model turn, calls, results, model turn, ... until text, a limit or an error. Text is never lost in silence:
 * what is dropped, cut or refused is an event and a field of the turn. A turn that failed is no part of the
 * conversation that goes on; only a cancelled answer stays as far as it came. */
#ifndef BEZEL_AGENT_H
#define BEZEL_AGENT_H

#include <bezel/journal.h>
#include <bezel/tools.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A conversation with its session.
 *   Thread   confined, but for bezel_agent_cancel */
typedef struct bezel_agent bezel_agent;

/* --- Options ------------------------------------------------------------------------------ */

/* What happens when the history does not fit the context any more. */
enum {
    /* whole exchanges are left out, oldest first, until the prompt takes at most half of the context; then, in a long
     * turn, older calls with their results. The question, the tools and the system text are never left out. The history
     * itself keeps everything */
    BEZEL_OVERFLOW_DROP_OLDEST = 0,
    /* the turn fails with BEZEL_ERR_FULL */
    BEZEL_OVERFLOW_ERROR = 1
};

/* What is done with a call before it runs. */
enum {
    /* in options: as the class says. PURE and READ tools are allowed; WRITE, NETWORK and unknown ones are asked for
     * where `confirm` is set, else allowed, since the host gave them; but WRITE and NETWORK ones are always asked for when
     * the model has read text from elsewhere (bezel_agent_is_tainted) */
    BEZEL_PERMIT_DEFAULT = 0,
    /* it runs */
    BEZEL_PERMIT_ALLOW = 1,
    /* it waits for an answer; from `confirm`: that comes later, by bezel_agent_answer */
    BEZEL_PERMIT_ASK = 2,
    /* it does not run, which the model reads */
    BEZEL_PERMIT_DENY = 3
};

/* The rule for one tool. */
typedef struct bezel_permit {
    /* of the tool */
    const char *name;
    /* BEZEL_PERMIT_... */
    uint32_t permit;
    /* 0 */
    uint32_t reserved;
} bezel_permit;

/* A call that waits for a permission. */
typedef struct bezel_permission {
    /* sizeof(bezel_permission) */
    uint32_t size;
    /* class of the tool, BEZEL_TOOL_..., 0 = unknown */
    uint32_t permission;
    /* for bezel_agent_answer */
    uint64_t id;
    /* of the tool */
    const char *name;
    /* exactly what the function will get: a map, defaults filled in */
    const bezel_value *arguments;
    /* the same as one line for people: send_mail(to="ann", subject="Hi"). Control characters are escaped */
    const char *text;
} bezel_permission;

/* Answers BEZEL_PERMIT_ALLOW or BEZEL_PERMIT_DENY, or BEZEL_PERMIT_ASK: later, by bezel_agent_answer. Any other number denies.
 * It may show a dialog and wait, which blocks step.
 *   Owns     the request is the agent's and ends with the call
 *   Thread   that of bezel_agent_step, inside of it: it may not step or send */
typedef uint32_t (*bezel_confirm_fn)(void *ud, const bezel_permission *request);

/* Another role of the same conversation: own system text and tools, the same history and model. To each role the model is
 * offered a tool transfer_to_NAME for each of the others, "main" being that of the options; after such a call the next
 * model call speaks as that role, in later turns too. */
typedef struct bezel_handoff {
    /* what may follow transfer_to_ in the name of a tool, at most 50 bytes; not "main" */
    const char *name;
    /* when to hand over to it, one sentence for the model, or NULL; copied as name and system are */
    const char *description;
    /* system text, or NULL */
    const char *system;
    /* borrowed, or NULL */
    const bezel_toolset *tools;
} bezel_handoff;

/* How an agent is made. Fill it with bezel_agent_options_init, then set what you need. */
typedef struct bezel_agent_options {
    /* set by bezel_agent_options_init */
    uint32_t size;
    /* model calls with tools in a turn, then one that must answer in text; at least 1; default 6 */
    uint32_t max_steps;
    /* calls run in one model turn, at least 1; default 8. Further ones are refused, which the model is told */
    uint32_t max_calls;
    /* tokens of one result, at least 16; 0 (default) = the smaller of 1000 and an eighth of the context. A longer one
     * keeps its head and tail */
    uint32_t max_result_tokens;
    /* BEZEL_OVERFLOW_...; default DROP_OLDEST */
    uint32_t overflow;
    /* 1: the model works on the engine's worker and step polls or waits; tools still run in step. Default 0 */
    uint32_t background;
    /* system text, or NULL (default); copied */
    const char *system;
    /* facts for the model such as date and place, shown behind "Context: ", or NULL (default); copied */
    const char *context;
    /* borrowed, or NULL (default); the set may get more tools between turns, and a turn shows those it has at send */
    const bezel_toolset *tools;
    /* form of the messages, borrowed; NULL (default) = bezel_profile_of the model */
    const bezel_profile *profile;
    /* form of tools and results, borrowed; NULL (default) = bezel_tool_profile_of the profile */
    const bezel_tool_profile *tool_profile;
    /* of the agent's own session; default bezel_session_options_init */
    bezel_session_options session;
    /* for each model call; default greedy, max_tokens 512. Stop strings and biases are copied, at most 64 with those of
     * the profiles, and 256; function_bias and evidence are not read */
    bezel_generate_options generate;
    /* where turns are kept; copied, its ud must outlive the agent; NULL (default) = nowhere */
    const bezel_journal *journal;
    /* id for the journal, or NULL (default): without it a store keeps numbers only; copied */
    const char *conversation;
    /* name for the journal, or NULL (default); copied */
    const char *user;
    /* "auto" (NULL, default): the model decides; "none": the tools are shown, but a turn answers in text; "required": the
     * first model call of a turn calls; a tool's name: it calls that tool. Later model calls of the turn are free to answer.
     * Required calls are always constrained. Copied */
    const char *tool_choice;
    /* 1 (default): calls are written under a constraint (bezel_toolset_constraint), so that each has a name and arguments of the
     * set; generate.call_bias weighs calls against text. Where no constraint can be made of the set, a note tells it. 0: the
     * model writes freely. A constraint in generate is used in place of this one */
    uint32_t constrain;
    /* above 0: of more tools than that, each turn offers only so many that fit its question best (bezel_toolset_rank), in the
     * order of the set, with those that are offered always and those that the turn before called. 0 (default) = all */
    uint32_t select_tools;
    /* rule of each class, by BEZEL_TOOL_..., that of unknown ones at 0: BEZEL_PERMIT_..., default DEFAULT */
    uint32_t permit[5];
    /* rules of single tools, which win over their class: in permits */
    uint32_t n_permits;
    /* [n_permits], copied; NULL (default) */
    const bezel_permit *permits;
    /* asks for a permission; NULL (default): where a rule says ASK, the host is asked by the event BEZEL_AGENT_ASK */
    bezel_confirm_fn confirm;
    /* first argument of confirm */
    void *confirm_ud;
    /* milliseconds until a question without an answer is denied; 0 (default) = 300,000 */
    int64_t confirm_timeout_ms;
    /* [n_handoffs] further roles, at most 8, or NULL (default) */
    const bezel_handoff *handoffs;
    /* roles in handoffs */
    uint32_t n_handoffs;
    /* most agents above one another (bezel_agent_nest); 0 (default) = 4 */
    uint32_t max_depth;
    /* 1: constrained calls may write their arguments, and keys of objects, in any order; 0 (default): as the schema declares
     * them, which leaves more of a call without a choice */
    uint32_t any_order;
    /* 1 (default): where the profile says so (fit_weight, name_weight), the first model call of a turn weighs calls against text,
     * and the tools against one another, by how well each fits the question (bezel_tool_fit). 0: the model decides alone */
    uint32_t fit;
    /* file that the session is recorded in, or NULL (default): prompts, options, tokens, results of tools and times, a line of JSON
     * each. It is made anew, for the owner only, and holds everything that was said. A call that it cannot take fails the turn */
    const char *record;
    /* such a file that stands in for the model and the tools, or NULL (default): the same questions get the same answers, byte for
     * byte, and nothing is computed. The agent does all the rest as ever: prompts, parsing, permissions, limits, journal. The model
     * is asked for words only, so it may be opened without its weights (bezel_model_options.vocabulary_only). A prompt or call that
     * differs from the recorded one ends the turn with MISSING; tools that hand over run themselves */
    const char *replay;
    /* 1 (default): where the profile says so (evidence_weight), arguments of the first model call of a turn lean on the words of the
     * question (evidence of a generation). 0: on nothing but the model */
    uint32_t evidence;
} bezel_agent_options;

/* Fills the options with the defaults above.
 * out must not be NULL.
 *   Thread   any
 *   Since    0.1 */
BEZEL_API void bezel_agent_options_init(bezel_agent_options *out);

/* --- Create and free ---------------------------------------------------------------------- */

/* Makes an agent with an empty history and a session of its own; options NULL are the defaults.
 *   Owns     *out is the caller's, free with bezel_agent_free before model, tools and journal
 *   Thread   any
 *   Errors   RANGE for an option; ARGUMENT for a journal of another size or a NULL stop string; RANGE or DUPLICATE
 *            for the name of a role; MISSING when no profile fits; DENIED when the file of record is there; FORMAT and so
 *            on for replay, with the line; IO when background finds no descriptor; those of bezel_session_new. *out is NULL. Options of the
 *            generation are checked by the first model call, tool_choice by bezel_agent_send
 *   Since    0.1 */
BEZEL_API bezel_status bezel_agent_new(bezel_agent **out, bezel_model *model, const bezel_agent_options *options,
                                       bezel_error *err);

/* Frees an agent with its session, history and events; NULL is fine. A turn that runs is ended as by bezel_agent_cancel:
 * pending tools are told (bezel_call_pending) and the journal gets the turn; the call waits until the worker lets go of
 * it. Nobody is told when the journal fails.
 *   Thread   that of the agent, not from inside one of its tools
 *   Since    0.1 */
BEZEL_API void bezel_agent_free(bezel_agent *agent);

/* Answers of the turns to come are held to a constraint, a JSON value or a choice (bezel_constraint_new): one model call, no
 * tool is called, whatever tool_choice says. NULL = none again.
 *   Owns     form is borrowed and must outlive the turns under it
 *   Thread   that of the agent
 *   Errors   ARGUMENT; BUSY while a turn runs
 *   Since    0.1 */
BEZEL_API bezel_status bezel_agent_set_form(bezel_agent *agent, const bezel_constraint *form, bezel_error *err);

/* --- A turn ------------------------------------------------------------------------------- */

/* Starts a turn with a question; size SIZE_MAX means strlen(text). Nothing is computed yet: step does that. The events
 * and the result of the turn before are gone.
 *   Owns     text is copied
 *   Thread   that of the agent
 *   Errors   BUSY while a turn runs; LIMIT for a system text or tools over 1 GiB; MISSING when tool_choice names no tool; those of
 *            bezel_toolset_constraint. The history is as it was, no turn runs
 *   Since    0.1 */
BEZEL_API bezel_status bezel_agent_send(bezel_agent *agent, const char *text, size_t size, bezel_error *err);

/* Works for about budget_us microseconds: 0 does one unit, a negative budget works until there is an event or the end
 * (see bezel_job_step). With background it waits for the worker that long instead; 0 only looks.
 * Returns BEZEL_MORE; BEZEL_TOKEN when there are new events; BEZEL_TOOL_PENDING, at once, while a tool has not
 * answered; BEZEL_DONE after the journal has the turn; or the error that ended it. After the end it returns the same
 * again. Tools run inside this call, on this thread, as long as they take; all calls of a model turn are begun before
 * any is waited for, and each step resumes the pending ones. A tool without code ends the turn after its
 * calls: they stand in the result without result and error, and the host goes on by bezel_agent_append and send.
 * The same call is not run twice in a turn: the model gets the answer that is there.
 *   Units    microseconds
 *   Thread   that of the agent
 *   Errors   LOOP when the model only repeats calls or never answers; PARSE when its calls cannot be read twice;
 *            CALLBACK, or what the tool said, when a tool fails again after its error was told; FULL when the question
 *            does not fit; CANCELLED; NUMERIC, MEMORY, RANGE and so on of the model call; the journal's own. The turn
 *            is over and taken out of the history (but see bezel_agent_cancel); bezel_agent_result has what there was.
 *            ARGUMENT before the first send, BUSY from inside a tool: nothing changes
 *   Since    0.1 */
BEZEL_API bezel_status bezel_agent_step(bezel_agent *agent, int64_t budget_us, bezel_error *err);

/* How long step would only return BEZEL_TOOL_PENDING: until a pending tool is to be resumed or is late. 0 when step has
 * something to do, and for NULL. A tool that answers by itself may do so sooner.
 *   Units    microseconds
 *   Thread   that of the agent
 *   Since    0.1 */
BEZEL_API int64_t bezel_agent_wait_us(const bezel_agent *agent);

/* Sleeps that long, but at most timeout_us (negative = no limit); a cancel wakes it. For hosts with nothing else to do
 * while a tool is pending.
 *   Units    microseconds, rounded up to milliseconds
 *   Thread   that of the agent
 *   Since    0.1 */
BEZEL_API void bezel_agent_wait(bezel_agent *agent, int64_t timeout_us);

/* What happened in a turn. */
enum {
    /* a piece of the model's text (of an answer or around calls), for the user at once */
    BEZEL_AGENT_TEXT = 1,
    /* a call is about to run: name, arguments */
    BEZEL_AGENT_CALL = 2,
    /* it is done: name, arguments, result; or code and text when it failed. Comes for a repeated call, too */
    BEZEL_AGENT_RESULT = 3,
    /* a call that could not be read: code, text, and the name if there was one */
    BEZEL_AGENT_PARSE_ERROR = 4,
    /* history did not fit: count tokens, a sentence in text */
    BEZEL_AGENT_DROPPED = 5,
    /* a limit was reached, a repeated call was not run, a result was cut, a journal failed: a sentence in text */
    BEZEL_AGENT_NOTE = 6,
    /* a call waits for a permission: name, arguments, the call in one line as text, and in count the id for
     * bezel_agent_answer. The model waits, step returns BEZEL_TOOL_PENDING */
    BEZEL_AGENT_ASK = 7
};

/* What bezel_agent_event_next gives. Members that do not apply are NULL or 0. */
typedef struct bezel_agent_event {
    /* sizeof(bezel_agent_event), set by the caller; a smaller one of an older header gets its members */
    uint32_t size;
    /* BEZEL_AGENT_... */
    uint32_t type;
    /* model call it belongs to, 0-based */
    uint32_t step;
    /* 0 */
    uint32_t reserved;
    /* NUL-terminated; as all pointers here it lives until the next call on the agent */
    const char *text;
    /* bytes */
    size_t text_size;
    /* of the tool */
    const char *name;
    /* as in bezel_journal_call */
    const char *code;
    /* a map */
    const bezel_value *arguments;
    /* NULL when it failed */
    const bezel_value *result;
    /* DROPPED: tokens; ASK: id of the question */
    uint64_t count;
} bezel_agent_event;

/* The next event: 1, or 0 when none waits, a parameter is NULL or out->size is not set.
 * Events that are not taken wait until the next send and hold nothing up.
 *   Owns     the agent's, see bezel_agent_event
 *   Thread   that of the agent
 *   Since    0.1 */
BEZEL_API int32_t bezel_agent_event_next(bezel_agent *agent, bezel_agent_event *out);

/* Answers a question of the event BEZEL_AGENT_ASK, or one that `confirm` left for later: BEZEL_PERMIT_ALLOW or
 * BEZEL_PERMIT_DENY. reason (or NULL) is a sentence for the model that was denied. The next step goes on with it.
 *   Owns     reason is copied
 *   Thread   that of the agent
 *   Errors   MISSING when no such call waits (any more); RANGE for another permit; nothing changes
 *   Since    0.1 */
BEZEL_API bezel_status bezel_agent_answer(bezel_agent *agent, uint64_t id, uint32_t permit, const char *reason,
                                          bezel_error *err);

/* Sets the rule of a tool from its next call on: "always" in a dialog.
 *   Owns     name is copied
 *   Thread   that of the agent
 *   Errors   RANGE for an unknown permit; LIMIT over 4,096 rules
 *   Since    0.1 */
BEZEL_API bezel_status bezel_agent_permit(bezel_agent *agent, const char *name, uint32_t permit, bezel_error *err);

/* The text of the next bezel_agent_send has a part that neither the host nor its user wrote: a file, a page, a mail. From then on
 * the conversation is tainted. Control tokens in such a text are no structure anyway, but what it says may be meant for the model.
 *   Thread   that of the agent
 *   Since    0.1 */
BEZEL_API void bezel_agent_taint(bezel_agent *agent);

/* 1 when what the model reads, or the beginning of the history that it has not forgotten, has text from elsewhere: results of tools
 * that are not PURE, messages of tools that bezel_agent_append added, questions after bezel_agent_taint, and what the model wrote
 * after reading them. Then tools of class WRITE and NETWORK run only where a rule allows them or somebody says so.
 *   Thread   that of the agent
 *   Since    0.1 */
BEZEL_API int32_t bezel_agent_is_tainted(const bezel_agent *agent);

/* background: a descriptor that is readable when step has something to do; -1 without background or for NULL.
 * Ask again before each wait, because every model call has its own. While a tool is pending it is readable all the
 * time: wait for the tool's own source then.
 *   Owns     the agent's; only wait on it
 *   Thread   that of the agent
 *   Since    0.1 */
BEZEL_API int32_t bezel_agent_fd(bezel_agent *agent);

/* Asks the turn to end and returns at once; the next step ends it with BEZEL_ERR_CANCELLED. A tool that runs is not
 * interrupted, a pending one is told by that step, and its call has the code "cancelled". What the model had written of an answer stays in the history and in the result; when it had written
 * none, or calls, the whole turn leaves the history. The journal has it either way. Between turns it does nothing.
 *   Thread   any, before bezel_agent_free; not from a signal handler
 *   Since    0.1 */
BEZEL_API void bezel_agent_cancel(bezel_agent *agent);

/* What the last turn was, ended well or not. */
typedef struct bezel_agent_turn {
    /* sizeof(bezel_agent_turn), set by the caller; a smaller one of an older header gets its members */
    uint32_t size;
    /* BEZEL_STOP_... of the last model call */
    uint32_t stop_reason;
    /* the answer without calls, NUL-terminated; of a failed turn what there was, or "" */
    const char *text;
    /* bytes */
    size_t text_size;
    /* list of {name, arguments, result | error, code, repeated, step, duration_ms}; keys that do not apply are absent.
     * NULL when memory had run out */
    const bezel_value *calls;
    /* model calls */
    uint32_t n_steps;
    /* 0 */
    uint32_t reserved;
    /* tokens over all model calls: sent, of these found in the cache, written, of the history left out */
    uint64_t n_prompt, n_cached, n_generated, n_dropped;
    /* microseconds from send to the first text or call (-1 = there was none) and to the end, the host's pauses
     * included */
    int64_t first_token_us, total_us;
    /* of n_generated, how many a constraint left no choice for */
    uint64_t n_forced;
    /* probability of a call as the beginning of the first model call: the model's own, and where the profile has a fit_weight
     * with what the question says about the tools (bezel_tool_fit); before call_bias. NaN unless it was constrained and free to
     * answer in text */
    double call_probability;
    /* probability with which the name of the first call was chosen, by the model and the fit of each tool; NaN where that had no
     * say */
    double name_probability;
} bezel_agent_turn;

/* The last turn, once step has told its end.
 *   Units    microseconds, bytes, tokens
 *   Owns     pointers are the agent's and live until the next send
 *   Thread   that of the agent
 *   Errors   ARGUMENT when no turn has ended or out->size is not set; *out is as it was
 *   Since    0.1 */
BEZEL_API bezel_status bezel_agent_result(bezel_agent *agent, bezel_agent_turn *out, bezel_error *err);

/* --- Agents as tools ---------------------------------------------------------------------- */

/* Describes a tool that gives a task to an agent: its parameter `task` is the question, the answer its result, an error of
 * its turn its failure. Each task begins with an empty history. Fills name (as given), parameters, fn, ud and a time limit
 * of ten minutes; the rest may be set before bezel_toolset_add. The agent works while its caller steps, a slice each step,
 * and is cancelled with the call; two tasks wait for one another. Its turns name that of the caller as parent.
 *   Owns     agent is borrowed and must outlive the tool; name and description must live until bezel_toolset_add
 *   Thread   that of both agents
 *   Since    0.1 */
BEZEL_API bezel_tool bezel_agent_tool(bezel_agent *agent, const char *name, const char *description);

/* The next turn of agent is made for this call, by the function of a tool that leads agents itself: its record names the
 * turn of the call as parent. bezel_agent_tool does it.
 *   Thread   that of the agent, between its turns
 *   Errors   LIMIT when that would be more than max_depth agents above one another; BUSY while a turn of agent runs, which
 *            for an agent that calls itself is this one
 *   Since    0.1 */
BEZEL_API bezel_status bezel_agent_nest(bezel_agent *agent, const bezel_call *call, bezel_error *err);

/* Name of the role that speaks now: "main", or one of handoffs. bezel_agent_clear goes back to "main".
 *   Owns     the agent's
 *   Thread   that of the agent
 *   Since    0.1 */
BEZEL_API const char *bezel_agent_role(const bezel_agent *agent);

/* --- History ------------------------------------------------------------------------------ */

/* Messages so far as a list of {role, text}; while a turn runs its own are among them. The system text is none of them.
 *   Owns     *out lives in tree
 *   Thread   that of the agent and the tree
 *   Errors   that of the tree when it has no room; *out is NULL
 *   Since    0.1 */
BEZEL_API bezel_status bezel_agent_history(bezel_value **out, bezel_tree *tree, const bezel_agent *agent,
                                           bezel_error *err);

/* Adds messages at the end without asking the model: to resume a conversation, to prepare one, or to give the results
 * of tools without code (bezel_result_render). All or none. Order is not checked here but by the next prompt.
 *   Owns     messages are copied
 *   Thread   that of the agent
 *   Errors   BUSY while a turn runs; FORMAT for a role that is not user, assistant or tool; ARGUMENT for a message of
 *            another size. The history is as it was
 *   Since    0.1 */
BEZEL_API bezel_status bezel_agent_append(bezel_agent *agent, const bezel_message *messages, size_t count,
                                          bezel_error *err);

/* Empties the history; options stay, the role is "main" again. Does nothing while a turn runs, or for NULL.
 *   Thread   that of the agent
 *   Since    0.1 */
BEZEL_API void bezel_agent_clear(bezel_agent *agent);

/* The exact prompt that send(text) would give to the model; text NULL renders the history as it stands. Changes
 * nothing.
 *   Owns     *out is the caller's, free with bezel_prompt_free before the model
 *   Thread   that of the agent
 *   Errors   BUSY while a turn runs; ARGUMENT when there is no message; FULL; FORMAT for messages in a wrong order.
 *            *out is NULL
 *   Since    0.1 */
BEZEL_API bezel_status bezel_agent_prompt(bezel_prompt **out, bezel_agent *agent, const char *text, size_t size,
                                          bezel_error *err);

/* The agent's session, to look at it or to save it between turns; NULL for NULL and in a replay. What the host changes in its timeline
 * costs only time: each model call sets it to the prompt.
 *   Owns     the agent's
 *   Thread   that of the agent
 *   Since    0.1 */
BEZEL_API bezel_session *bezel_agent_session(bezel_agent *agent);

#ifdef __cplusplus
}
#endif
#endif
