/* SPDX-License-Identifier: MIT */
/* Statements of the host: one statement, reading only, with a limit on rows and on work. What may run is decided twice:
 * by an authorizer while it is prepared, and by SQLite's own word that the statement does not write. */
#include "store_impl.h"

#include <string.h>

#include "base/strbuf.h"

#define ROWS_AT_MOST 100000
#define WORK_AT_MOST 10000 /* times 10 000 steps of SQLite's machine: about two to five seconds */

/* --- Rows --------------------------------------------------------------------------------- */

static bezel_value *query_value(bezel_tree *tree, sqlite3_stmt *stmt, int i)
{
    switch (sqlite3_column_type(stmt, i)) {
    case SQLITE_INTEGER:
        return bezel_tree_integer(tree, sqlite3_column_int64(stmt, i));
    case SQLITE_FLOAT:
        return bezel_tree_number(tree, sqlite3_column_double(stmt, i));
    case SQLITE_NULL:
        return bezel_tree_null(tree);
    default: {
        const char *text = sqlite3_column_blob(stmt, i);
        int size = sqlite3_column_bytes(stmt, i);
        return bezel_tree_text(tree, text ? text : "", text ? (size_t)size : 0);
    }
    }
}

/* Column i under its name; a name that an earlier column has gets its number behind it. */
static void query_set(bezel_tree *tree, bezel_value *map, sqlite3_stmt *stmt, int i)
{
    const char *name = sqlite3_column_name(stmt, i);
    char numbered[80];
    if (!name)
        name = "?";
    if (bezel_value_get(map, name)) {
        sqlite3_snprintf((int)sizeof numbered, numbered, "%.60s:%d", name, i + 1);
        name = numbered;
    }
    bezel_value_set(tree, map, name, query_value(tree, stmt, i));
}

bezel_status bz_store_rows(bezel_value *list, bezel_tree *tree, bezel_store *store, sqlite3_stmt *stmt,
                           const char *doing, bezel_error *err)
{
    bezel_status st = BEZEL_OK;
    int rc = SQLITE_ROW;
    for (size_t n = 0; st == BEZEL_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW; n++) {
        if (n == ROWS_AT_MOST) {
            st = bz_fail(err, BEZEL_ERR_LIMIT, "store", "more than %d rows", ROWS_AT_MOST);
            bz_error_hint(err, st, "add a LIMIT, or open the file with another tool");
            break;
        }
        bezel_value *map = bezel_tree_map(tree);
        for (int i = 0; i < sqlite3_column_count(stmt); i++)
            query_set(tree, map, stmt, i);
        bezel_value_append(tree, list, map);
        if (bezel_tree_status(tree) != BEZEL_OK)
            st = bz_fail(err, bezel_tree_status(tree), "store", "no room for row %zu of the answer", n + 1);
    }
    if (st == BEZEL_OK && rc != SQLITE_DONE)
        st = bz_store_fail(store, rc, doing, err);
    sqlite3_reset(stmt);
    return st;
}

/* --- What may run ------------------------------------------------------------------------- */

int bz_store_authorize(void *ud, int action, const char *a, const char *b, const char *db, const char *trigger)
{
    static const char *const pragmas[] = {"table_info",     "table_xinfo", "table_list",   "index_list",  "index_info",
                                          "application_id", "page_count",  "user_version", "data_version", NULL};
    const bezel_store *store = ud;
    (void)db;
    (void)trigger;
    if (!store->in_query)
        return SQLITE_OK;
    switch (action) {
    case SQLITE_SELECT:
    case SQLITE_READ:
    case SQLITE_RECURSIVE:
        return SQLITE_OK;
    case SQLITE_FUNCTION:
        return b && sqlite3_stricmp(b, "load_extension") == 0 ? SQLITE_DENY : SQLITE_OK;
    case SQLITE_PRAGMA:
        for (size_t i = 0; pragmas[i]; i++) {
            /* these two could be set, the others only name a table */
            int sets = b && (strcmp(pragmas[i], "application_id") == 0 || strcmp(pragmas[i], "user_version") == 0);
            if (a && sqlite3_stricmp(a, pragmas[i]) == 0 && !sets)
                return SQLITE_OK;
        }
        return SQLITE_DENY;
    default:
        return SQLITE_DENY;
    }
}

int bz_store_progress(void *ud)
{
    bezel_store *store = ud;
    return store->in_query && ++store->query_work > WORK_AT_MOST;
}

/* --- Parameters --------------------------------------------------------------------------- */

static bezel_status query_bind(bezel_store *store, sqlite3_stmt *stmt, const bezel_value *params, bezel_error *err)
{
    size_t n = bezel_value_count(params), wanted = (size_t)sqlite3_bind_parameter_count(stmt);
    if (params && bezel_value_type(params) != BEZEL_LIST && bezel_value_type(params) != BEZEL_NULL)
        return bz_fail(err, BEZEL_ERR_TYPE, "store", "the parameters of a query must be a list");
    if (n != wanted)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "store", "the query has %zu parameters, %zu were given", wanted, n);
    bz_store_row row;
    bz_store_row_init(&row, stmt);
    for (size_t i = 0; i < n; i++) {
        const bezel_value *v = bezel_value_at(params, i);
        size_t size = 0;
        switch (bezel_value_type(v)) {
        case BEZEL_NULL:
            bz_store_row_text(&row, NULL);
            break;
        case BEZEL_BOOL:
            bz_store_row_integer(&row, bezel_value_bool(v));
            break;
        case BEZEL_INTEGER:
            bz_store_row_integer(&row, bezel_value_integer(v));
            break;
        case BEZEL_NUMBER:
            bz_store_row_real(&row, bezel_value_number(v));
            break;
        case BEZEL_TEXT: {
            const char *text = bezel_value_text(v, &size);
            bz_store_row_text_n(&row, text, size);
            break;
        }
        default:
            return bz_fail(err, BEZEL_ERR_TYPE, "store", "parameter %zu of the query is a list or map", i + 1);
        }
    }
    return row.rc == SQLITE_OK ? BEZEL_OK : bz_store_fail(store, row.rc, "bind the parameters", err);
}

/* Whether only blanks, semicolons and comments are left. */
static int query_tail_is_empty(const char *p)
{
    for (;;) {
        p += strspn(p, " \t\r\n\f;");
        if (p[0] == '-' && p[1] == '-') {
            p += strcspn(p, "\n");
        } else if (p[0] == '/' && p[1] == '*') {
            const char *end = strstr(p + 2, "*/");
            p = end ? end + 2 : p + strlen(p);
        } else {
            return *p == 0;
        }
    }
}

static bezel_status query_prepare(sqlite3_stmt **out, bezel_store *store, const char *sql, bezel_error *err)
{
    const char *tail = NULL;
    int rc = sqlite3_prepare_v2(store->db, sql, -1, out, &tail);
    if (rc != SQLITE_OK)
        return bz_store_fail(store, rc, "run the query", err);
    if (!*out)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "store", "the query is empty");
    if (!query_tail_is_empty(tail))
        return bz_fail(err, BEZEL_ERR_DENIED, "store", "one statement at a time; a second begins at byte %zu",
                       (size_t)(tail - sql));
    if (!sqlite3_stmt_readonly(*out))
        return bz_store_fail(store, SQLITE_AUTH, "run a statement that writes", err);
    return BEZEL_OK;
}

/* --- Public ------------------------------------------------------------------------------- */

bezel_status bezel_store_query(bezel_value **out, bezel_tree *tree, bezel_store *store, const char *sql,
                               const bezel_value *params, bezel_error *err)
{
    if (out)
        *out = NULL;
    if (!out || !tree || !store || !sql)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "store", "bezel_store_query needs out, a tree, a store and a statement");
    if (!store->db || store->in_query)
        return bz_fail(err, BEZEL_ERR_BUSY, "store", "the store cannot answer now");
    /* SQLite asks the authorizer for UPDATE when it connects the table of the word index, which may be now */
    bz_store_exec(store, "SELECT 1 FROM message_words LIMIT 0", "use the word index", NULL);
    sqlite3_stmt *stmt = NULL;
    store->in_query = 1;
    store->query_work = 0;
    bezel_value *list = bezel_tree_list(tree);
    bezel_status st = query_prepare(&stmt, store, sql, err);
    if (st == BEZEL_OK)
        st = query_bind(store, stmt, params, err);
    if (st == BEZEL_OK)
        st = bz_store_rows(list, tree, store, stmt, "run the query", err);
    sqlite3_finalize(stmt);
    store->in_query = 0;
    if (st == BEZEL_OK && !list)
        st = bz_fail_memory(err, "store", "the answer", 0);
    if (st == BEZEL_OK)
        *out = list;
    return st;
}
