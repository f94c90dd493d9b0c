/* SPDX-License-Identifier: MIT */
/* Inside of bezel_store: one connection, its prepared statements, the mapping of SQLite's codes. */
#ifndef BZ_STORE_IMPL_H
#define BZ_STORE_IMPL_H

#include <sqlite3.h>

#include <bezel/chat.h>
#include <bezel/guard.h>
#include <bezel/monitor.h>
#include <bezel/store.h>

#include "base/status.h"

#define BZ_STORE_ID_SIZE 26             /* characters of an id: 10 of time, 16 random */
#define BZ_STORE_NAME_SIZE 64           /* bytes of a user's name with its NUL */
#define BZ_STORE_KEYS 16                /* most keys of user names */
#define BZ_STORE_MARK_HEX 16            /* characters of the mark of a key */
#define BZ_STORE_MARKS_SIZE (BZ_STORE_KEYS * BZ_STORE_MARK_HEX + 1)
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
    BZ_SQL_TOTAL_REQUEST,
    BZ_SQL_TOTAL_QUALITY,
    BZ_SQL_REQUEST_ADD,
    BZ_SQL_GUARD_ADD,
    BZ_SQL_QUALITY_ADD,
    BZ_SQL_ALERT_ADD,
    BZ_SQL_HEALTH_ADD,
    BZ_SQL_WINDOW_READ,
    BZ_SQL_WINDOW_WRITE,
    BZ_SQL_WINDOW_COUNT,
    BZ_SQL_WINDOW_FORGET,
    BZ_SQL_META_READ,
    BZ_SQL_META_WRITE,
    BZ_SQL_TIDY_CONTENT_TURNS,
    BZ_SQL_TIDY_ALL_TURNS,
    BZ_SQL_TIDY_INDEX,
    BZ_SQL_TIDY_MESSAGES,
    BZ_SQL_TIDY_CALLS,
    BZ_SQL_TIDY_DECISIONS,
    BZ_SQL_TIDY_USAGE,
    BZ_SQL_TIDY_TURN,
    BZ_SQL_TIDY_MERGE,
    BZ_SQL_TIDY_CONVERSATIONS,
    BZ_SQL_TIDY_DETAILS,
    BZ_SQL_TIDY_REQUESTS,
    BZ_SQL_TIDY_DROP_CALLS,
    BZ_SQL_TIDY_DROP_DECISIONS,
    BZ_SQL_TIDY_DROP_USAGE,
    BZ_SQL_TIDY_DROP_TURN,
    BZ_SQL_TIDY_DROP_REQUESTS,
    BZ_SQL_TIDY_DROP_QUALITY,
    BZ_SQL_TIDY_DROP_GUARD,
    BZ_SQL_TIDY_DROP_HEALTH,
    BZ_SQL_TIDY_DROP_USER_DAYS,
    BZ_SQL_TIDY_DROP_ALERTS,
    BZ_SQL_COUNT
};

struct bezel_store {
    bezel_engine *engine;
    const bezel_world *world;
    sqlite3 *db;
    char *path;
    bezel_store_options options;
    bezel_journal journal;
    bezel_monitor_sink sink;
    bezel_guard_windows windows;
    unsigned char *keys; /* n_keys of 32 bytes, oldest first, or NULL */
    uint32_t n_keys;
    char marks[BZ_STORE_MARKS_SIZE]; /* of the keys, as `meta` has them */
    sqlite3_stmt *statements[BZ_SQL_COUNT]; /* prepared at first use, kept until close */
    int is_full;         /* the last look found more bytes than max_bytes wants: every write removes some */
    uint32_t since_tidy; /* writes since that look */
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

/* A text of `meta`, "" when it is not there. */
bezel_status bz_store_meta(char *out, size_t capacity, bezel_store *store, const char *key, bezel_error *err);

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
void bz_store_row_real(bz_store_row *row, double x); /* NaN = null */
void bz_store_row_blob(bz_store_row *row, const void *bytes, size_t size);
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

/* The lowest id of a moment, milliseconds since 1970. */
void bz_store_id_at(char out[BZ_STORE_ID_SIZE + 1], int64_t ms);

/* --- store_tidy.c ------------------------------------------------------------------------- */

/* After a write: every now and then, and always when the file is full, a batch of what is too old goes. */
void bz_store_tidy_write(bezel_store *store);

/* --- store_conversation.c ----------------------------------------------------------------- */

/* BEZEL_OK when the conversation is there, else BEZEL_ERR_MISSING. */
bezel_status bz_store_conversation_find(bezel_store *store, const char *id, bezel_error *err);

/* --- store_backup.c ----------------------------------------------------------------------- */

/* Nothing that is at path, or its log, may be lost: an error when something with content is there. */
bezel_status bz_store_path_check(const bezel_world *w, const char *path, bezel_error *err);

/* --- store_journal.c ---------------------------------------------------------------------- */

bezel_status bz_store_journal_write(void *ud, const bezel_journal_turn *turn, bezel_error *err);

/* --- store_monitor.c, store_windows.c ----------------------------------------------------- */

bezel_status bz_store_monitor_write(void *ud, const bezel_monitor_record *record, bezel_error *err);
/* Inside a transaction: the n windows that were not used for longest go; *out_done is how many went. */
bezel_status bz_store_windows_forget(int *out_done, bezel_store *store, int64_t n, bezel_error *err);
bezel_status bz_store_windows_edit(void *ud, const void *key, size_t capacity, bezel_guard_edit_fn edit, void *edit_ud,
                                   bezel_error *err);

/* --- store_name.c ------------------------------------------------------------------------- */

/* What a user is called in the file. */
typedef struct bz_store_name {
    const char *text; /* the buffer, or the user as given, or NULL for NULL */
    char buffer[BZ_STORE_NAME_SIZE];
} bz_store_name;
/* DENIED when the names in the file were made with other keys than this connection has. */
bezel_status bz_store_name_make(bz_store_name *out, bezel_store *store, const char *user, bezel_error *err);
/* Copies the keys of the options; frees and wipes them. */
bezel_status bz_store_keys_read(bezel_store *store, bezel_error *err);
void bz_store_keys_free(bezel_store *store);
/* Compares the keys with those of the file just opened, and renames its users when there are new ones. */
bezel_status bz_store_name_open(bezel_store *store, bezel_error *err);
/* Writes 2 * size hexadecimal digits and a NUL. */
void bz_store_hex(char *out, const void *bytes, size_t size);

/* --- store_query.c ------------------------------------------------------------------------ */

/* Steps a bound statement to its end and appends each row to list as a map; resets it. */
bezel_status bz_store_rows(bezel_value *list, bezel_tree *tree, bezel_store *store, sqlite3_stmt *stmt,
                           const char *doing, bezel_error *err);
int bz_store_authorize(void *ud, int action, const char *a, const char *b, const char *db, const char *trigger);
int bz_store_progress(void *ud);

#endif
