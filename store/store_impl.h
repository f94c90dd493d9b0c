/* SPDX-License-Identifier: MIT */
/* Inside of bezel_store: one connection, its prepared statements, the mapping of SQLite's codes. */
#ifndef BZ_STORE_IMPL_H
#define BZ_STORE_IMPL_H

#include <sqlite3.h>

#include <bezel/chat.h>
#include <bezel/store.h>

#include "base/status.h"

#define BZ_STORE_ID_SIZE 26             /* characters of an id: 10 of time, 16 random */
#define BZ_STORE_APPLICATION 0x425a4c31 /* "BZL1" in PRAGMA application_id */

enum { /* ORDER as the texts in store_statement.c */
    BZ_SQL_BEGIN,
    BZ_SQL_COMMIT,
    BZ_SQL_ROLLBACK,
    BZ_SQL_CONVERSATION_ADD,
    BZ_SQL_CONVERSATION_HAS,
    BZ_SQL_CONVERSATION_TOUCH,
    BZ_SQL_CONVERSATION_LIST,
    BZ_SQL_CONVERSATION_MESSAGES,
    BZ_SQL_TURN_ADD,
    BZ_SQL_MESSAGE_ADD,
    BZ_SQL_MESSAGE_INDEX,
    BZ_SQL_CALL_ADD,
    BZ_SQL_DECISION_ADD,
    BZ_SQL_USAGE_ADD,
    BZ_SQL_SEARCH_WORDS,
    BZ_SQL_SEARCH_PART,
    BZ_SQL_DELETE_INDEX,
    BZ_SQL_DELETE_MESSAGES,
    BZ_SQL_DELETE_CALLS,
    BZ_SQL_DELETE_DECISIONS,
    BZ_SQL_DELETE_FROM_TURNS,
    BZ_SQL_DELETE_FROM_USAGE,
    BZ_SQL_DELETE_DETAILS,
    BZ_SQL_DELETE_FROM_REQUESTS,
    BZ_SQL_DELETE_CONVERSATION,
    BZ_SQL_DELETE_MERGE,
    BZ_SQL_TOTAL_USAGE,
    BZ_SQL_TOTAL_TOOL,
    BZ_SQL_TOTAL_EVENT,
    BZ_SQL_TOTAL_TIME,
    BZ_SQL_COUNT
};

struct bezel_store {
    bezel_engine *engine;
    const bezel_world *world;
    sqlite3 *db;
    char *path;
    bezel_store_options options;
    bezel_journal journal;
    sqlite3_stmt *statements[BZ_SQL_COUNT]; /* prepared at first use, kept until close */
    int reopen;           /* a sync failed: the connection is not trusted any more */
    int in_query;         /* a statement of the host is prepared or runs: strict authorizer, work limit */
    uint64_t query_work;  /* callbacks of the progress handler since the query began */
    int64_t id_ms;        /* time part of the last id */
    uint8_t id_random[10];
};

/* --- store.c ------------------------------------------------------------------------------ */

/* Fills err from SQLite's code and words; `doing` completes "cannot ...". */
bezel_status bz_store_fail(const bezel_store *store, int rc, const char *doing, bezel_error *err);
bezel_status bz_store_exec(bezel_store *store, const char *sql, const char *doing, bezel_error *err);
/* First column of the first row as an integer, 0 when there is no row. */
bezel_status bz_store_integer(int64_t *out, bezel_store *store, const char *sql, const char *doing, bezel_error *err);
/* A cached statement, reset and unbound. Owns: the store's. */
bezel_status bz_store_statement(sqlite3_stmt **out, bezel_store *store, int which, bezel_error *err);
/* Refuses a read-only store, reopens a distrusted connection, begins a write transaction. */
bezel_status bz_store_write_begin(bezel_store *store, bezel_error *err);
/* Commits when st is BEZEL_OK, else rolls back; returns st or what the commit said. */
bezel_status bz_store_write_end(bezel_store *store, bezel_status st, bezel_error *err);
/* New private connection to a file: limits and security settings on, nothing read yet. */
int bz_store_connect(sqlite3 **out, const bezel_world *world, const char *path, int flags, int immutable);
/* *out: 1 when path + suffix is a file with something in it, 0 when there is none or an empty one. Else why it cannot be
 * told, with *out 0: something is there, but no file that may be read. */
bezel_status bz_store_file_look(int *out, const bezel_world *world, const char *path, const char *suffix);

/* Fills a statement's parameters one after the other; the first failure sticks in rc. Texts are borrowed until the
 * statement was stepped. */
typedef struct bz_store_row {
    sqlite3_stmt *stmt;
    int next;
    int rc;
} bz_store_row;
void bz_store_row_init(bz_store_row *row, sqlite3_stmt *stmt);
void bz_store_row_text(bz_store_row *row, const char *text); /* NULL = null */
void bz_store_row_text_n(bz_store_row *row, const char *text, size_t size);
void bz_store_row_integer(bz_store_row *row, int64_t x);
void bz_store_row_count(bz_store_row *row, uint64_t x); /* capped at INT64_MAX */
void bz_store_row_real(bz_store_row *row, double x);
/* Runs a statement that gives no rows, and resets it. */
bezel_status bz_store_row_run(bz_store_row *row, bezel_store *store, const char *doing, bezel_error *err);

/* --- store_statement.c -------------------------------------------------------------------- */

extern const char *const bz_store_statement_texts[BZ_SQL_COUNT];

/* --- store_total.c ------------------------------------------------------------------------ */

/* Adds the model calls, tool calls and failures of a turn, whose user is called `user` here, to the totals. */
bezel_status bz_store_total_turn(bezel_store *store, const bezel_journal_turn *turn, const char *user, bezel_error *err);

/* Adds one to a histogram of durations, and to the number of a word; texts as the schema lists them. */
bezel_status bz_store_total_time(bezel_store *store, const char *metric, const char *name, int64_t at_ms, int64_t us,
                                 bezel_error *err);
bezel_status bz_store_total_event(bezel_store *store, const char *kind, const char *name, int64_t at_ms, bezel_error *err);

/* --- store_migrate.c, store_schema.c ------------------------------------------------------ */

extern const char *const bz_store_steps[]; /* step i raises the schema from version i to i + 1 */
extern const int bz_store_version;         /* number of steps = version this build writes */
/* Refuses foreign and newer files untouched, else brings the schema to this build's version. */
bezel_status bz_store_migrate(bezel_store *store, bezel_error *err);

/* --- store_id.c --------------------------------------------------------------------------- */

/* A new id: milliseconds since 1970 and 80 random bits in Crockford's base 32; ids of one store always grow. */
bezel_status bz_store_new_id(char out[BZ_STORE_ID_SIZE + 1], bezel_store *store, bezel_error *err);

/* --- store_conversation.c ----------------------------------------------------------------- */

/* BEZEL_OK when the conversation is there, else BEZEL_ERR_MISSING. */
bezel_status bz_store_conversation_find(bezel_store *store, const char *id, bezel_error *err);

/* --- store_journal.c ---------------------------------------------------------------------- */

bezel_status bz_store_journal_write(void *ud, const bezel_journal_turn *turn, bezel_error *err);

/* --- store_query.c ------------------------------------------------------------------------ */

/* Steps a bound statement to its end and appends each row to list as a map; resets it. */
bezel_status bz_store_rows(bezel_value *list, bezel_tree *tree, bezel_store *store, sqlite3_stmt *stmt,
                           const char *doing, bezel_error *err);
int bz_store_authorize(void *ud, int action, const char *a, const char *b, const char *db, const char *trigger);
int bz_store_progress(void *ud);

#endif
