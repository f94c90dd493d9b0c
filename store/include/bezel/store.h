/* SPDX-License-Identifier: MIT */
/* bezel_store: conversations, calls and usage in one SQLite file that people may open with any tool.
 *
 *     bezel_store *store = NULL;
 *     char id[32];
 *     bezel_store_open(&store, engine, "bezel.db", NULL, &err);
 *     bezel_store_begin(id, store, "Trip to Tokyo", "ann", &err);   // a conversation
 *     options.journal = bezel_store_journal(store);                 // of an agent
 *     options.conversation = id;
 *     ... turns of the agent are kept ...
 *     bezel_agent_free(agent);
 *     bezel_store_close(store);
 *
 * Write-ahead log, one transaction a turn, several processes at once. A call that returned BEZEL_OK after a write
 * survives a kill of the process at any moment; a power loss only with `durable`. The file is created for the owner
 * only.
 *
 * Errors that every call here may give: BUSY when another process holds the file longer than busy_ms, or when the
 * connection was lost with a failing disk (the next write opens it again); IO for a full or failing disk; FORMAT for a
 * damaged file; LIMIT for a text over 64 MiB; DENIED for a protected file and for writes to a read-only store; STORE
 * with SQLite's words. err names the file, and what was kept before is safe. A write that fails is undone as a whole.
 * Memory of SQLite itself is not the world's, and its process-wide settings are the host's. */
#ifndef BEZEL_STORE_H
#define BEZEL_STORE_H

#include <bezel/guard.h>
#include <bezel/journal.h>
#include <bezel/monitor.h>
#include <bezel/value.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An open store: one connection.
 *   Thread   confined; open the file again for another thread */
typedef struct bezel_store bezel_store;

/* --- Open and close ----------------------------------------------------------------------- */

/* How a store is opened. Fill it with bezel_store_options_init, then set what you need. */
typedef struct bezel_store_options {
    /* set by bezel_store_options_init */
    uint32_t size;
    /* 1: nothing is written, migrated or created; default 0 */
    int32_t read_only;
    /* 1: synchronous=FULL, survives power loss, too; 0 (default): NORMAL, survives a kill */
    int32_t durable;
    /* 1 (default): texts, arguments and results of named conversations are kept; 0: numbers only, no titles */
    int32_t keep_content;
    /* milliseconds a write waits for another process, 0 to 3,600,000, others are taken as the nearest; default 5000 */
    int64_t busy_ms;
    /* n_user_keys of 32 bytes each, oldest first: users are called by keyed hashes (BLAKE2b) of their ids, see
     * bezel_store_user. NULL (default): by their ids as the host gives them. Copied */
    const void *user_keys;
    /* number of `user_keys`, at most 16; default 0 */
    uint32_t n_user_keys;
    /* users whose windows are kept for a guard; beyond it, and in a file that is full of them,
     * the ones that were not seen for longest go. Default 1,000,000 */
    uint32_t max_windows;
    /* bytes that rows may take, default 1 GiB; 0 = any number. When 90 % are used each write removes some of the oldest turns,
     * requests and so on; totals by day stay. The file does not grow beyond as long as one write fits into the rest */
    uint64_t max_bytes;
    /* days that messages, arguments, results and sentences of errors are kept after they were written, default 90; 0 = for
     * ever. Conversations whose content is gone go with it, numbers stay */
    uint32_t content_days;
    /* 0 */
    uint32_t reserved;
} bezel_store_options;

/* Fills the options with the defaults above.
 * out must not be NULL.
 *   Thread   any
 *   Since    0.1 */
BEZEL_API void bezel_store_options_init(bezel_store_options *out);

/* Opens a store, or creates it; options NULL are the defaults.
 * An older schema is brought to this version in one transaction; a file of another program or of a newer Bezel is
 * refused and not changed. A file up to 64 MiB whose last user did not close it is checked first. The content of a file
 * is not trusted: its triggers are not run. Needs a local disk: network file systems lack what the log needs.
 *   Owns     *out is the caller's, free with bezel_store_close after the agents that write to it and before the engine
 *   Thread   any
 *   Errors   DENIED when the file's users were named with other keys; ARGUMENT for more than 16 keys;
 *            FORMAT for a file of another program, or an empty one when read_only; VERSION for a newer schema, or an
 *            older one when read_only; IO when the folder is not there; those of all calls. *out is NULL
 *   Since    0.1 */
BEZEL_API bezel_status bezel_store_open(bezel_store **out, bezel_engine *engine, const char *path,
                                        const bezel_store_options *options, bezel_error *err);

/* Closes a store; NULL is fine. Its journal must not be used any more.
 *   Thread   that of the store
 *   Since    0.1 */
BEZEL_API void bezel_store_close(bezel_store *store);

/* The journal to give to agents; NULL for NULL.
 * Each turn is one transaction. A turn without conversation, or in a store without keep_content, leaves numbers only:
 * names of tools, durations, tokens, codes of errors, decisions without their details. The first question becomes the title of a
 * conversation that has none. An unknown conversation is MISSING.
 *   Owns     the store's; lives as long as it
 *   Thread   that of the store: the agents must run on it
 *   Since    0.1 */
BEZEL_API const bezel_journal *bezel_store_journal(bezel_store *store);

/* The sink to give to a bezel_monitor. Each record is one transaction, counted in the totals.
 * A sentence that may quote content (of an error, a decision's detail) is kept only for a request with a conversation in a store
 * with keep_content.
 *   Owns     the store's; lives as long as it
 *   Thread   that of the store: the monitor must be on it
 *   Since    0.1 */
BEZEL_API const bezel_monitor_sink *bezel_store_monitor(bezel_store *store);

/* The windows to give to guards, so that requests of users are counted over restarts and in all processes that share the file.
 * A request is a transaction; when the store cannot be written the guard refuses it. NULL for NULL.
 *   Owns     the store's; lives as long as it
 *   Thread   that of the store: the guards must be on it
 *   Since    0.1 */
BEZEL_API const bezel_guard_windows *bezel_store_windows(bezel_store *store);

/* --- Users -------------------------------------------------------------------------------- */

/* What a user is called in the file: with keys "u", their number, "-" and 32 hexadecimal digits, without keys the id as it is.
 *
 * A name is hashed with the first key, then again with each later one. To rotate, open the store with one more key at the end:
 * all names in the file become those of the new key in one transaction (some seconds for a million rows), also when the ids
 * themselves stood there before; a user stays the same user. From then on processes that have not got the new key cannot write
 * rows of users. A name tells nothing about the id as long as one of the keys is secret. Keys are not in the file: a host that
 * loses them cannot find a user any more.
 *   Thread   that of the store
 *   Errors   DENIED when the file's names were made with other keys; LIMIT for an id over 63 bytes without keys; those of all
 *            calls. out_name is ""
 *   Since    0.1 */
BEZEL_API bezel_status bezel_store_user(char out_name[64], bezel_store *store, const char *user, bezel_error *err);

/* --- Conversations ------------------------------------------------------------------------ */

/* Starts a conversation. out_id takes its id: 26 characters and a NUL that sort by time, also among processes.
 * title and user may be NULL; a title is not kept without keep_content.
 *   Thread   that of the store
 *   Errors   those of all calls; out_id is ""
 *   Since    0.1 */
BEZEL_API bezel_status bezel_store_begin(char out_id[32], bezel_store *store, const char *title, const char *user,
                                         bezel_error *err);

/* Conversations, the one used last first: list of {id, title, user, model, created, updated, messages, tokens}.
 * Times are texts such as "2026-01-31T12:00:00.000Z"; title, user and model may be null; tokens are those sent and
 * written in all its model calls.
 *   Units    limit and offset in rows; limit 0 gives none
 *   Owns     *out lives in tree
 *   Thread   that of the store and the tree
 *   Errors   those of all calls; LIMIT over 100,000 rows; that of the tree. *out is NULL
 *   Since    0.1 */
BEZEL_API bezel_status bezel_store_conversations(bezel_value **out, bezel_tree *tree, bezel_store *store,
                                                 uint32_t limit, uint32_t offset, bezel_error *err);

/* Messages of a conversation, oldest first: list of {role, text, created, step}: what bezel_agent_append wants to go on
 * with it. Those of turns that failed are not among them; the view conversation_text has them. text is null where
 * content was not kept.
 *   Owns     *out lives in tree
 *   Thread   that of the store and the tree
 *   Errors   MISSING for an unknown id; those of all calls; LIMIT over 100,000 rows; that of the tree. *out is NULL
 *   Since    0.1 */
BEZEL_API bezel_status bezel_store_messages(bezel_value **out, bezel_tree *tree, bezel_store *store, const char *id,
                                            bezel_error *err);

/* Full-text search: list of {conversation, title, role, snippet, created}, best first. The found words stand in [ ] in
 * the snippet.
 * Any text is a valid query. All of its words (the first 32) must occur; each also finds longer ones that begin with
 * it, case and accents do not count. When that finds nothing, the query is looked for as a part of the text, newest
 * first: scripts without blanks between words are found so. An empty query finds nothing. Messages of failed turns are
 * found, too.
 *   Units    limit in rows; 0 gives none
 *   Owns     *out lives in tree
 *   Thread   that of the store and the tree
 *   Errors   those of all calls; that of the tree. *out is NULL
 *   Since    0.1 */
BEZEL_API bezel_status bezel_store_search(bezel_value **out, bezel_tree *tree, bezel_store *store, const char *query,
                                          uint32_t limit, bezel_error *err);

/* Deletes a conversation with its messages, calls and the sentences of its errors; usage numbers stay, without its id.
 * What it held is overwritten in the file and taken out of the word index. The log is emptied when no other process
 * reads; else that happens later.
 *   Thread   that of the store
 *   Errors   MISSING for an unknown id; those of all calls; nothing is deleted then
 *   Since    0.1 */
BEZEL_API bezel_status bezel_store_delete(bezel_store *store, const char *id, bezel_error *err);

/* --- Queries ------------------------------------------------------------------------------ */

/* Rows of a read-only statement as a list of maps, column name to value. Safe for statements that a model wrote.
 * params (a list of scalars, or NULL) fills ?1, ?2, ... and must have as many; a bool is 0 or 1. Blobs become texts,
 * invalid UTF-8 in them U+FFFD. A column whose name an earlier one has gets ":" and its number behind it.
 * Limits: one statement of 100,000 bytes, 100 columns and parameters, 100,000 rows, some seconds of work.
 *   Owns     *out lives in tree
 *   Thread   that of the store and the tree
 *   Errors   DENIED for a statement that would write, attach, set a pragma, or a second one; LIMIT for too many rows or
 *            a query that does not end; ARGUMENT for a wrong number of params or an empty query; TYPE for a list or map
 *            in params; STORE with SQLite's words; those of all calls; that of the tree. *out is NULL
 *   Since    0.1 */
BEZEL_API bezel_status bezel_store_query(bezel_value **out, bezel_tree *tree, bezel_store *store, const char *sql,
                                         const bezel_value *params, bezel_error *err);

/* Names of the views for people, NULL-terminated. Read one with bezel_store_query: SELECT * FROM usage_by_day. Those of totals
 * count rows, too, that are not in the file any more; each answers within 0.1 s on a file of a million model calls, when no
 * more than its first rows are read.
 *   usage            usage_by_day, usage_by_model, usage_by_user, usage_by_tool; users_last_hour (requests in the last hour,
 *                    how many of 100 are left, when the oldest leaves it); usage_by_root (of the newest 1000 turns, each with
 *                    those of the agents that worked for it)
 *   times            latency_by_day (92 days), latency_by_model, latency_by_tool: p50, p95 and p99 within 8 % of model calls,
 *                    first tokens, requests and tools; slowest_turns, recent_turns
 *   failures         recent_errors, errors_by_code, errors_by_tool
 *   monitoring       recent_requests, requests_by_day, performance_summary and performance_by_model (of the last 100),
 *                    quality_summary and quality_by_model (of the last 100), quality_by_day, open_alerts, recent_alerts,
 *                    recent_health
 *   decisions        guard_by_day, guard_decisions; decisions (permissions, retries, loops and so on), newest first
 *   texts            conversation_text
 *   OpenTelemetry    otel_genai (a row a span: model calls and tools), otel_requests, otel_evaluations, otel_metrics
 * The limit of 100 requests is the default of bezel_guard; bezel_guard_rate knows that of yours.
 *   Owns     static
 *   Thread   any
 *   Since    0.1 */
BEZEL_API const char *const *bezel_store_views(void);

/* Does what waits to be done: removes content that is older than content_days, the oldest rows while more than max_bytes are
 * used, and gives free pages back to the system. Writes do some of it; a host that writes seldom, or wants deletions on time,
 * calls this when it is idle.
 * Works in batches of some milliseconds and ends after the first that is beyond the budget. *out_left (may be NULL) is 1 when
 * there may be more to do.
 *   Units    budget_us in microseconds; 0 = one batch
 *   Thread   that of the store
 *   Errors   those of all calls; what earlier batches removed is gone
 *   Since    0.1 */
BEZEL_API bezel_status bezel_store_tidy(int32_t *out_left, bezel_store *store, int64_t budget_us, bezel_error *err);

/* Writes the whole file anew (VACUUM): smallest size, nothing of what was deleted in it. Takes as long as a copy and needs twice
 * the space for that time; other processes wait.
 *   Thread   that of the store; blocks
 *   Errors   those of all calls; the file is as it was
 *   Since    0.1 */
BEZEL_API bezel_status bezel_store_vacuum(bezel_store *store, bezel_error *err);

/* Writes a copy of the whole store to a new file, through SQLite's backup interface, while others write.
 * The copy appears under its name only when it is complete. Works on a read-only store, too.
 *   Thread   that of the store; blocks until the copy is there
 *   Errors   DENIED when path, or its log, is a file with something in it: it is not overwritten (an empty one is). IO,
 *            DENIED and so on when something is there that cannot be looked at (a pipe, a folder, a link that leads
 *            nowhere, a file of somebody else), or the folder cannot be written: err->place is path. Those of all
 *            calls. What was written of the copy is removed
 *   Since    0.1 */
BEZEL_API bezel_status bezel_store_backup(bezel_store *store, const char *path, bezel_error *err);

/* Writes all rows as lines of JSON to a new file: for other programs, for another machine, for bezel_store_import. The first line
 * names the form and the schema ({"bezel_store":1,"schema":6,...}), then each line is a row, {"table":"turn","row":{...}}, columns
 * as they are in the file; the last counts them. One state of the store, others may write meanwhile; a read-only store will do.
 * The keys of user names are not in it, but their marks are. The file appears under its name when it is complete.
 *   Units    *out_rows (may be NULL) in rows
 *   Thread   that of the store; blocks until the file is there
 *   Errors   DENIED when path is a file with something in it; LIMIT for a row of more than 16 MiB as JSON; IO and so on: err->place
 *            is path; those of all calls. What was written is removed
 *   Since    0.1 */
BEZEL_API bezel_status bezel_store_export(uint64_t *out_rows, bezel_store *store, const char *path, bezel_error *err);

/* Adds the rows of an exported file that are not in the store, in one transaction. An empty store becomes what the exported one
 * was; of an older file, or one of several that were exchanged, only what is new is taken, so a file can be imported again.
 *   conversations, turns, windows   are known by their ids; the newer title of a conversation stays. What belongs to a turn comes
 *                                   with it, or not at all when the turn is here
 *   requests, scores, alerts, ...   are known by being equal
 *   totals                          are kept a store that counted: only what is beyond the last import is added. Copies of one
 *                                   file count as one store: the larger number stays
 * Texts are left out in a store without keep_content. What is too old or too much goes as ever, see bezel_store_tidy. The lines are
 * checked, but what they say is believed: import files of stores that you trust.
 *   Units    *out_added (may be NULL) in rows, changed ones included
 *   Thread   that of the store; blocks; others cannot write meanwhile
 *   Errors   FORMAT, TRUNCATED, TYPE, DUPLICATE, RANGE, LIMIT for a line that is wrong: its number is in the text and in
 *            err->place ("path:7"); VERSION for a file of a newer Bezel; DENIED when its users were named with other keys; MISSING,
 *            IO; those of all calls. Nothing is imported then
 *   Since    0.1 */
BEZEL_API bezel_status bezel_store_import(uint64_t *out_added, bezel_store *store, const char *path, bezel_error *err);

/* --- Report ------------------------------------------------------------------------------- */

/* What a report shows. Fill it with bezel_store_report_options_init, then set what you need. */
typedef struct bezel_store_report_options {
    /* set by bezel_store_report_options_init */
    uint32_t size;
    /* the last so many days; 0 (default): everything */
    uint32_t days;
    /* conversations with their texts, the latest ones; 0: none, numbers only. At most 1,000, default 100; of each the last 200
     * messages and calls, of each text the first 4,000 characters. Texts that were not kept are not there */
    uint32_t conversations;
    /* 0 */
    uint32_t reserved;
} bezel_store_report_options;

/* Fills the options with the defaults above.
 * out must not be NULL.
 *   Thread   any
 *   Since    0.1 */
BEZEL_API void bezel_store_report_options_init(bezel_store_report_options *out);

/* Writes the store as one page of HTML for a browser: requests and tokens over time, how long they took, models, users, tools,
 * errors, decisions, conversations. Everything is in the file: it fetches nothing and no framework is needed; texts of the store
 * cannot become markup or script. SQL adds up, so numbers of a million rows make no larger page than those of a thousand; reading
 * them takes some seconds then. All of it is one state of the store, others may write meanwhile; a read-only store will do.
 * An older report at path is replaced, once the new one is complete; another file is not.
 *   Thread   that of the store; blocks until the page is there
 *   Errors   RANGE for an option; DENIED when path is a file that is no report; IO and so on when the folder is not there or
 *            cannot be written: err->place is path; those of all calls. What was at path is as it was
 *   Since    0.1 */
BEZEL_API bezel_status bezel_store_report(bezel_store *store, const char *path, const bezel_store_report_options *options,
                                          bezel_error *err);

#ifdef __cplusplus
}
#endif
#endif
