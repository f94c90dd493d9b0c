/* SPDX-License-Identifier: MIT */
/* bezel_journal: where an agent writes what happened. Declared here, filled by the store (bezel_store_journal) or by
 * the host. Everything of one turn comes in one record, so a journal can keep it in one transaction.
 *
 *     static bezel_status my_write(void *ud, const bezel_journal_turn *turn, bezel_error *err)
 *     {
 *         fprintf(ud, "%s: %u model calls, %lld us\n", turn->model, (unsigned)turn->n_usages,
 *                 (long long)turn->duration_us);
 *         return BEZEL_OK;
 *     }
 *     bezel_journal journal = {sizeof journal, 0, my_log_file, my_write};
 *     options.journal = &journal;
 *
 * All pointers of a record are borrowed for the call of write. Texts are NUL-terminated UTF-8. */
#ifndef BEZEL_JOURNAL_H
#define BEZEL_JOURNAL_H

#include <bezel/session.h>
#include <bezel/value.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- What one turn is made of ------------------------------------------------------------- */
/* These structs are filled by the agent. A host that replays or imports turns may fill them itself and hand them to a
 * journal, as long as counts and lists agree and every call has a name. */

/* One message that the turn added to the history.
 * The system text and the declarations of tools are not among them: they follow from the options.
 *   Since    0.1 */
typedef struct bezel_journal_message {
    /* BEZEL_ROLE_..., never SYSTEM: the system text is an option of the agent */
    uint32_t role;
    /* model call it belongs to, 0-based; the question has 0 */
    uint32_t step;
    /* as it stands in the history: the question as it was sent, what the model wrote verbatim with its calls, result
     * lines as the model read them */
    const char *text;
    /* bytes */
    size_t text_size;
} bezel_journal_message;

/* One call that the model asked for, run or not.
 * A call without result and error_code is one of a tool without code, whose answer is the host's matter, or one that
 * the end of the turn came before.
 *   Since    0.1 */
typedef struct bezel_journal_call {
    /* model call that asked for it, 0-based */
    uint32_t step;
    /* 1: not run, the same call was answered before in this turn */
    int32_t repeated;
    /* of the tool; "" for a call that could not be read so far */
    const char *name;
    /* JSON object with the defaults that the schema filled in, on one line; NULL for a call that could not be read */
    const char *arguments;
    /* JSON ("null" for one that JSON cannot say); NULL on failure, when it was not run, and for a tool without code */
    const char *result;
    /* NULL on success; a code of bezel_parse_event for a call that could not be read, "too_many_calls" or "not_run" for
     * one that was refused, else the status name of the failure: "callback", "timeout", "parse"; that of the turn, such as
     * "cancelled", for one that had no answer when the turn failed */
    const char *error_code;
    /* sentence that the model was told, NULL on success; it may quote arguments, so it is content as they are */
    const char *error;
    /* microseconds from its start to its answer, or to the moment it was found to be late; 0 when it was not run */
    int64_t duration_us;
} bezel_journal_call;

/* One model call.
 * A turn without calls has one; each round of calls and results adds one.
 * Speed of the answer is n_generated - 1 tokens in total_us - first_token_us.
 *   Since    0.1 */
typedef struct bezel_journal_usage {
    /* 0-based */
    uint32_t step;
    /* BEZEL_STOP_...; NONE when it broke off with an error or could not begin.
     * bezel_stop_name gives the word for it */
    uint32_t stop_reason;
    /* tokens sent, those found in the cache included */
    uint64_t n_prompt;
    /* of these, found in the cache: they cost nothing. After the first model call of a turn nearly all are, unless
     * messages were left out */
    uint64_t n_cached;
    /* tokens of its answer */
    uint64_t n_generated;
    /* tokens of the history that did not fit and were left out */
    uint64_t n_dropped;
    /* microseconds to the first token; 0 = there was none */
    int64_t first_token_us;
    /* microseconds from its first unit to its end, the host's pauses between steps included */
    int64_t total_us;
    /* status name when the model call failed, else NULL */
    const char *error;
    /* of n_generated, those that a constraint left no choice for */
    uint64_t n_forced;
} bezel_journal_usage;

/* One decision that was made for the turn, by the loop, the host or its user. kind and outcome are words of this list:
 * "permission": "asked"; then "granted", "denied" or "expired"; "denied" alone where a rule of the host says so
 * "taint": "held", a call that is asked for because the model has read text from elsewhere
 * "retry": the status name of the failure after which a call is run again
 * "timeout": "late", a call whose time was over
 * "failure": "ended", a tool that failed twice or calls that could not be read twice
 * "loop": "repeated", a call that was not run again; "led_away", an answer taken back because it only repeated;
 *   "text_only", no call is run any more; "ended"
 * "limit": "max_steps", "max_calls", "result" (it was cut), "depth" (of agents in agents)
 * "tools": "offered", those that were selected for the turn
 * "hand_off": "done", another role went on
 *   Since    0.1 */
typedef struct bezel_journal_decision {
    /* model call, 0-based; 0 also before the first */
    uint32_t step;
    /* place in the turn's calls; -1 = about no single one */
    int32_t call;
    /* microseconds from bezel_agent_send */
    int64_t at_us;
    /* see above; kept always */
    const char *kind;
    /* see above; kept always */
    const char *outcome;
    /* of the tool or role, or NULL; kept always */
    const char *name;
    /* what was asked, why, which tools with their scores, or NULL; it may quote arguments, so it is content */
    const char *detail;
} bezel_journal_decision;

/* --- The record --------------------------------------------------------------------------- */

/* One turn, from the question to the answer or failure.
 * Numbers are always there; whether content may be kept is the journal's to decide.
 *   Owns     every pointer is the agent's and ends with the call of write: copy what is to stay
 *   Since    0.1 */
typedef struct bezel_journal_turn {
    /* sizeof(bezel_journal_turn); a journal that was built for an older header refuses another size */
    uint32_t size;
    /* messages: question, then what the model wrote and the tools answered; also those that a failure takes out of the
     * agent's history */
    uint32_t n_messages;
    /* id of the conversation; NULL when the options named none: then only numbers should be kept */
    const char *conversation;
    /* whose turn it was, as the options say; NULL = unknown */
    const char *user;
    /* bezel_model_name, which a file chooses for itself:
     * two files may have the same */
    const char *model;
    /* NULL, or the sentence why the turn failed */
    const char *error;
    /* wall clock at bezel_agent_send, milliseconds since 1970, UTC; it may jump: durations are measured with another
     * clock and never negative */
    int64_t started_ms;
    /* microseconds from there to the end, the host's pauses between steps included */
    int64_t duration_us;
    /* [n_messages] */
    const bezel_journal_message *messages;
    /* [n_calls] in the order in which they were read, repeated and refused ones among them */
    const bezel_journal_call *calls;
    /* [n_usages] in order of steps; a step has one row at most, and a turn that failed before its first model call may
     * have none */
    const bezel_journal_usage *usages;
    /* calls of all model calls */
    uint32_t n_calls;
    /* model calls, those that failed or could not begin included */
    uint32_t n_usages;
    /* 1: the turn failed and its messages are no part of the conversation that goes on; 0: also a cancelled turn whose
     * answer, as far as it came, stays in the history */
    int32_t withdrawn;
    /* 0 */
    uint32_t reserved;
    /* NULL, or the status name of the failure: "loop", "full", "cancelled". Says why a turn failed where the sentence
     * in `error`, which may quote content, is not kept, and where no model call could begin */
    const char *status;
    /* id of this turn, 32 hexadecimal digits, made at bezel_agent_send; NULL = none (an imported turn) */
    const char *span;
    /* id of the turn whose tool call this turn was made for (bezel_agent_nest), or NULL */
    const char *parent;
    /* [n_decisions] in the order in which they were made */
    const bezel_journal_decision *decisions;
    /* decisions of the turn */
    uint32_t n_decisions;
    /* 0 */
    uint32_t reserved2;
} bezel_journal_turn;

/* --- The journal -------------------------------------------------------------------------- */

/* Where turns go. An agent copies the struct; what ud points to must outlive the agent.
 * Several agents may share one journal when they run on one thread, or when write locks for itself; that of a store
 * does not, since a store belongs to one thread.
 *   Owns     what ud points to is the host's; nothing here frees it
 *   Thread   one call at a time for an agent, inside bezel_agent_step, on the host's thread: a slow write delays step
 *   Since    0.1 */
typedef struct bezel_journal {
    /* sizeof(bezel_journal), exactly */
    uint32_t size;
    /* 0 */
    uint32_t reserved;
    /* first argument of write */
    void *ud;
    /* Keeps one turn, wholly or not at all. When it returns BEZEL_OK the turn should survive a kill of the process.
     * Called once for every turn that was sent, also for cancelled and failed ones. An error (sentence in err) becomes
     * the error of a turn that had succeeded and takes it out of the agent's history, so that history and journal
     * agree; its answer can still be read. For a turn that had failed anyway it becomes an event BEZEL_AGENT_NOTE. */
    bezel_status (*write)(void *ud, const bezel_journal_turn *turn, bezel_error *err);
} bezel_journal;

#ifdef __cplusplus
}
#endif
#endif
