/* SPDX-License-Identifier: MIT */
/* bezel_store: conversations, calls and usage in one SQLite file that people may open with any tool.
 *
 *     bezel_store_open(&store, engine, "bezel.db", NULL, &err);
 *     bezel_store_begin(&id, store, "Trip to Tokyo", "ann", &err);   // a conversation
 *     options.journal = bezel_store_journal(store);
 *     options.conversation = id;
 *
 * WAL, one transaction a turn, several processes at once. A call that returned BEZEL_OK after a write survives a kill of
 * the process at any moment. */
#ifndef BEZEL_STORE_H
#define BEZEL_STORE_H

#include <bezel/journal.h>
#include <bezel/value.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct bezel_store bezel_store; /* Thread: one connection, one thread */

typedef struct bezel_store_options {
    uint32_t size;      /* set by bezel_store_options_init */
    int32_t read_only;  /* 1: nothing is written, migrated or created */
    int32_t durable;    /* 1: synchronous=FULL, survives power loss, too; 0 (default): NORMAL, survives a kill */
    int32_t keep_content; /* 1 (default): texts of named conversations are kept; 0: numbers only */
    int64_t busy_ms;    /* how long a write waits for another process; default 5000 */
} bezel_store_options;

BEZEL_API void bezel_store_options_init(bezel_store_options *out);

/* Opens or creates. Errors   BEZEL_ERR_FORMAT for a file of another program, BEZEL_ERR_VERSION for a newer schema,
 * BEZEL_ERR_STORE with SQLite's words. Of all calls here: BEZEL_ERR_BUSY when another process holds the file longer than
 * busy_ms, BEZEL_ERR_IO for a full or failing disk, BEZEL_ERR_FORMAT for a damaged file, BEZEL_ERR_LIMIT for a text over
 * 64 MiB; err names the file. Memory of SQLite itself is not the world's. */
BEZEL_API bezel_status bezel_store_open(bezel_store **out, bezel_engine *engine, const char *path,
                                        const bezel_store_options *options, bezel_error *err);
BEZEL_API void bezel_store_close(bezel_store *store);

/* Journal of this store; lives as long as the store. */
BEZEL_API const bezel_journal *bezel_store_journal(bezel_store *store);

/* --- Conversations ------------------------------------------------------------------------ */

/* Starts a conversation. out_id takes its id: 26 characters that sort by time.
 * user may be NULL. */
BEZEL_API bezel_status bezel_store_begin(char out_id[32], bezel_store *store, const char *title, const char *user,
                                         bezel_error *err);
/* Newest first: list of {id, title, user, model, created, updated, messages, tokens}. Owns     *out lives in tree */
BEZEL_API bezel_status bezel_store_conversations(bezel_value **out, bezel_tree *tree, bezel_store *store,
                                                 uint32_t limit, uint32_t offset, bezel_error *err);
/* Messages, oldest first: list of {role, text, created, step}: what bezel_agent_append wants to go on with the
 * conversation. Those of turns that failed are not among them; the view conversation_text has them.
 *   Errors   BEZEL_ERR_MISSING for an unknown id */
BEZEL_API bezel_status bezel_store_messages(bezel_value **out, bezel_tree *tree, bezel_store *store, const char *id,
                                            bezel_error *err);
/* Full-text search: list of {conversation, title, role, snippet, created}, best first. Any text is a valid query. */
BEZEL_API bezel_status bezel_store_search(bezel_value **out, bezel_tree *tree, bezel_store *store, const char *query,
                                          uint32_t limit, bezel_error *err);
/* Deletes a conversation with its messages and calls; usage numbers stay. */
BEZEL_API bezel_status bezel_store_delete(bezel_store *store, const char *id, bezel_error *err);

/* --- Queries ------------------------------------------------------------------------------ */

/* Rows of a read-only statement as a list of maps. params (a list or NULL) fills ?1, ?2, ...; at most 100 000 rows.
 * Errors   BEZEL_ERR_DENIED for a statement that would write; BEZEL_ERR_LIMIT for too many rows or a query that does not
 *          end; BEZEL_ERR_STORE with SQLite's words */
BEZEL_API bezel_status bezel_store_query(bezel_value **out, bezel_tree *tree, bezel_store *store, const char *sql,
                                         const bezel_value *params, bezel_error *err);
/* Names of the views for people, NULL-terminated: "usage_by_day", "usage_by_model", ... Static. */
BEZEL_API const char *const *bezel_store_views(void);
/* Copy through SQLite's backup interface while others write. Errors   BEZEL_ERR_DENIED when path exists: nothing is
 * overwritten */
BEZEL_API bezel_status bezel_store_backup(bezel_store *store, const char *path, bezel_error *err);

#ifdef __cplusplus
}
#endif
#endif
