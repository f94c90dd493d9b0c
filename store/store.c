/* SPDX-License-Identifier: MIT */
/* Opening and closing, transactions, prepared statements, and what SQLite's codes mean for the caller.
 *
 * The file may come from anywhere, so the connection trusts nothing in it: trusted_schema off, defensive, no triggers,
 * limits on everything. SQLite's process-wide settings (sqlite3_config, its soft heap limit) are the host's and are never
 * touched; so SQLite's own memory does not come from the world's allocator. */
#include "store_impl.h"

#include <string.h>

#include <bezel/engine.h>

#include "base/alloc.h"
#include "base/options.h"
#include "base/strbuf.h"

#define CHECK_AT_MOST (64 << 20) /* bytes: quick_check reads about a gigabyte a second, so this is below 0.1 s */

/* --- Errors ------------------------------------------------------------------------------- */

typedef struct rc_row {
    int rc;
    bezel_status status;
    const char *hint;
} rc_row;

static const rc_row rc_rows[] = {
    {SQLITE_NOMEM, BEZEL_ERR_MEMORY, ""},
    {SQLITE_BUSY, BEZEL_ERR_BUSY, "another process is writing; try again, or raise busy_ms"},
    {SQLITE_LOCKED, BEZEL_ERR_BUSY, "finish the other use of this store first"},
    {SQLITE_FULL, BEZEL_ERR_IO, "the disk is full: free some space and try again; what was kept before is safe"},
    {SQLITE_IOERR, BEZEL_ERR_IO, "check the disk and its quota; what was kept before is safe"},
    {SQLITE_CANTOPEN, BEZEL_ERR_IO, "check that the folder exists and that you may write to it"},
    {SQLITE_CORRUPT, BEZEL_ERR_FORMAT, "the file is damaged: restore a backup, or move it away to start a new store"},
    {SQLITE_NOTADB, BEZEL_ERR_FORMAT, "this is no SQLite file; nothing was changed in it; choose another path"},
    {SQLITE_READONLY, BEZEL_ERR_DENIED, "the file or its folder is write-protected; open it with read_only"},
    {SQLITE_PERM, BEZEL_ERR_DENIED, "check the permissions of the file"},
    {SQLITE_AUTH, BEZEL_ERR_DENIED, "only one statement that reads is allowed here"},
    {SQLITE_TOOBIG, BEZEL_ERR_LIMIT, "texts and rows in a store may have up to 64 MiB"},
    {SQLITE_INTERRUPT, BEZEL_ERR_LIMIT, "the statement did too much work; add conditions or a LIMIT"},
};

bezel_status bz_store_fail(const bezel_store *store, int rc, const char *doing, bezel_error *err)
{
    bezel_status status = BEZEL_ERR_STORE;
    const char *hint = "";
    for (size_t i = 0; i < sizeof rc_rows / sizeof rc_rows[0]; i++) {
        if (rc_rows[i].rc == (rc & 0xff)) {
            status = rc_rows[i].status;
            hint = rc_rows[i].hint;
        }
    }
    const char *words = sqlite3_errstr(rc);
    if (store->db && (sqlite3_errcode(store->db) & 0xff) == (rc & 0xff))
        words = sqlite3_errmsg(store->db);
    bz_fail(err, status, "store", "cannot %s: %s (SQLite code %d) in %s", doing, words, rc, store->path);
    bz_error_hint(err, status, "%s", hint);
    return bz_error_place(err, status, "%s", store->path);
}

/* --- Statements --------------------------------------------------------------------------- */

bezel_status bz_store_exec(bezel_store *store, const char *sql, const char *doing, bezel_error *err)
{
    int rc = sqlite3_exec(store->db, sql, NULL, NULL, NULL);
    return rc == SQLITE_OK ? BEZEL_OK : bz_store_fail(store, rc, doing, err);
}

bezel_status bz_store_integer(int64_t *out, bezel_store *store, const char *sql, const char *doing, bezel_error *err)
{
    *out = 0;
    sqlite3_stmt *stmt = NULL;
    int rc = sqlite3_prepare_v2(store->db, sql, -1, &stmt, NULL);
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(stmt);
        if (rc == SQLITE_ROW)
            *out = sqlite3_column_int64(stmt, 0);
        int end = sqlite3_finalize(stmt);
        rc = rc == SQLITE_ROW || rc == SQLITE_DONE ? end : rc;
    }
    return rc == SQLITE_OK ? BEZEL_OK : bz_store_fail(store, rc, doing, err);
}

bezel_status bz_store_statement(sqlite3_stmt **out, bezel_store *store, int which, bezel_error *err)
{
    sqlite3_stmt **stmt = &store->statements[which];
    if (!*stmt) {
        int rc = sqlite3_prepare_v3(store->db, bz_store_statement_texts[which], -1, SQLITE_PREPARE_PERSISTENT, stmt, NULL);
        if (rc != SQLITE_OK)
            return bz_store_fail(store, rc, "prepare a statement", err);
    }
    sqlite3_reset(*stmt);
    sqlite3_clear_bindings(*stmt);
    *out = *stmt;
    return BEZEL_OK;
}

void bz_store_row_init(bz_store_row *row, sqlite3_stmt *stmt)
{
    row->stmt = stmt;
    row->next = 1;
    row->rc = SQLITE_OK;
}

static void row_bound(bz_store_row *row, int rc)
{
    row->next++;
    if (row->rc == SQLITE_OK)
        row->rc = rc;
}

void bz_store_row_text_n(bz_store_row *row, const char *text, size_t size)
{
    row_bound(row, text ? sqlite3_bind_text64(row->stmt, row->next, text, size, SQLITE_STATIC, SQLITE_UTF8)
                        : sqlite3_bind_null(row->stmt, row->next));
}

void bz_store_row_text(bz_store_row *row, const char *text)
{
    bz_store_row_text_n(row, text, text ? strlen(text) : 0);
}

void bz_store_row_integer(bz_store_row *row, int64_t x)
{
    row_bound(row, sqlite3_bind_int64(row->stmt, row->next, x));
}

void bz_store_row_count(bz_store_row *row, uint64_t x)
{
    bz_store_row_integer(row, x > INT64_MAX ? INT64_MAX : (int64_t)x);
}

void bz_store_row_real(bz_store_row *row, double x)
{
    row_bound(row, sqlite3_bind_double(row->stmt, row->next, x));
}

void bz_store_row_blob(bz_store_row *row, const void *bytes, size_t size)
{
    row_bound(row, sqlite3_bind_blob64(row->stmt, row->next, size ? bytes : "", size, SQLITE_STATIC));
}

bezel_status bz_store_row_run(bz_store_row *row, bezel_store *store, const char *doing, bezel_error *err)
{
    int rc = row->rc;
    if (rc == SQLITE_OK) {
        rc = sqlite3_step(row->stmt);
        if (rc == SQLITE_DONE || rc == SQLITE_ROW)
            rc = SQLITE_OK;
    }
    bezel_status st = rc == SQLITE_OK ? BEZEL_OK : bz_store_fail(store, rc, doing, err);
    sqlite3_reset(row->stmt);
    sqlite3_clear_bindings(row->stmt);
    return st;
}

bezel_status bz_store_meta(char *out, size_t capacity, bezel_store *store, const char *key, bezel_error *err)
{
    sqlite3_stmt *stmt;
    out[0] = 0;
    bezel_status st = bz_store_statement(&stmt, store, BZ_SQL_META_READ, err);
    if (st != BEZEL_OK)
        return st;
    bz_store_row row;
    bz_store_row_init(&row, stmt);
    bz_store_row_text(&row, key);
    int rc = row.rc == SQLITE_OK ? sqlite3_step(stmt) : row.rc;
    if (rc == SQLITE_ROW && sqlite3_column_text(stmt, 0))
        sqlite3_snprintf((int)capacity, out, "%s", (const char *)sqlite3_column_text(stmt, 0));
    sqlite3_reset(stmt);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? BEZEL_OK : bz_store_fail(store, rc, "read about the store", err);
}

/* --- Connection --------------------------------------------------------------------------- */

bezel_status bz_store_file_look(int *out, const bezel_world *world, const char *path, const char *suffix)
{
    bz_strbuf name;
    *out = 0;
    bz_strbuf_init(&name, world, 0);
    bz_strbuf_text(&name, path);
    bz_strbuf_text(&name, suffix);
    bezel_file *file = NULL;
    bezel_status st = name.status;
    if (st == BEZEL_OK)
        st = world->file_open(world->ud, &file, bz_strbuf_cstr(&name), BEZEL_FILE_READ);
    if (st == BEZEL_OK) {
        bezel_file_info info = {0};
        st = world->file_info(world->ud, file, &info);
        *out = st == BEZEL_OK && info.size > 0;
        world->file_close(world->ud, file);
    }
    bz_strbuf_free(&name);
    return st == BEZEL_ERR_MISSING ? BEZEL_OK : st;
}

static void uri_add(bz_strbuf *uri, const char *path)
{
    for (const char *p = path; *p; p++) {
        if (*p == '%' || *p == '?' || *p == '#' || *p == '&' || *p == '=' || *p == '+')
            bz_strbuf_format(uri, "%%%02X", (unsigned)(unsigned char)*p);
        else
            bz_strbuf_char(uri, *p);
    }
}

static void connection_guard(sqlite3 *db)
{
    static const int limits[][2] = {
        {SQLITE_LIMIT_LENGTH, 64 << 20},      {SQLITE_LIMIT_SQL_LENGTH, 100000},
        {SQLITE_LIMIT_COLUMN, 100},           {SQLITE_LIMIT_EXPR_DEPTH, 100},
        {SQLITE_LIMIT_COMPOUND_SELECT, 10},   {SQLITE_LIMIT_VDBE_OP, 25000},
        {SQLITE_LIMIT_FUNCTION_ARG, 16},      {SQLITE_LIMIT_ATTACHED, 0},
        {SQLITE_LIMIT_LIKE_PATTERN_LENGTH, 1000}, {SQLITE_LIMIT_VARIABLE_NUMBER, 100},
        {SQLITE_LIMIT_TRIGGER_DEPTH, 10},     {SQLITE_LIMIT_WORKER_THREADS, 0},
    };
    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++)
        sqlite3_limit(db, limits[i][0], limits[i][1]);
    sqlite3_extended_result_codes(db, 1);
    sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, NULL);
    sqlite3_db_config(db, SQLITE_DBCONFIG_ENABLE_FKEY, 1, NULL);
}

/* SQLite gives a new file the mode 0644; the parameter modeof lends it the mode of another file, and the world creates
 * its files for the owner only. A file that is there already keeps its mode. */
int bz_store_connect(sqlite3 **out, const bezel_world *world, const char *path, int flags, int immutable)
{
    *out = NULL;
    int rc = SQLITE_NOMEM;
    bz_strbuf uri, model;
    bz_strbuf_init(&uri, world, 0);
    bz_strbuf_init(&model, world, 0);
    bz_strbuf_text(&uri, path[0] == '/' ? "file://" : "file:");
    uri_add(&uri, path);
    int exists = 1, create = 0;
    if (flags & SQLITE_OPEN_CREATE) {
        bezel_status st = bz_store_file_look(&exists, world, path, "");
        if (st == BEZEL_ERR_MEMORY)
            goto done;
        create = st == BEZEL_OK && !exists; /* SQLite finds the right words for what cannot be looked at */
    }
    if (create) {
        uint64_t tail = 0;
        if (world->random(world->ud, &tail, sizeof tail) != BEZEL_OK)
            goto done;
        bz_strbuf_format(&model, "%s.%016llx.new", path, (unsigned long long)tail);
        bezel_file *file = NULL;
        if (model.status != BEZEL_OK)
            goto done;
        if (world->file_open(world->ud, &file, bz_strbuf_cstr(&model), BEZEL_FILE_CREATE) == BEZEL_OK) {
            world->file_close(world->ud, file);
            bz_strbuf_text(&uri, "?modeof=");
            uri_add(&uri, bz_strbuf_cstr(&model));
        } else {
            create = 0; /* the folder is missing or protected: SQLite finds the right words for it */
        }
    } else if (immutable) {
        bz_strbuf_text(&uri, "?immutable=1");
    }
    if (uri.status == BEZEL_OK)
        rc = sqlite3_open_v2(bz_strbuf_cstr(&uri), out,
                             flags | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE, NULL);
    if (create)
        world->file_remove(world->ud, bz_strbuf_cstr(&model));
    if (*out)
        connection_guard(*out);
done:
    bz_strbuf_free(&uri);
    bz_strbuf_free(&model);
    return rc;
}

static void connection_drop(bezel_store *store)
{
    for (int i = 0; i < BZ_SQL_COUNT; i++) {
        sqlite3_finalize(store->statements[i]);
        store->statements[i] = NULL;
    }
    sqlite3_close(store->db);
    store->db = NULL;
}

/* A log that is still there means that somebody else has the store open or that its last user did not end well. */
static bezel_status connection_check(bezel_store *store, bezel_error *err)
{
    int64_t pages = 0, page_size = 0;
    bezel_status st = bz_store_integer(&pages, store, "PRAGMA page_count", "read the store", err);
    if (st == BEZEL_OK)
        st = bz_store_integer(&page_size, store, "PRAGMA page_size", "read the store", err);
    if (st != BEZEL_OK || page_size <= 0 || pages > CHECK_AT_MOST / page_size)
        return st;
    int64_t good = 0;
    st = bz_store_integer(&good, store, "SELECT quick_check = 'ok' FROM pragma_quick_check(1)", "check the store", err);
    if (st == BEZEL_OK && !good)
        st = bz_store_fail(store, SQLITE_CORRUPT, "open the store after it was not closed: quick_check failed", err);
    return st;
}

static bezel_status connection_open(bezel_store *store, int immutable, bezel_error *err)
{
    int unclean = 0;
    if (!immutable && bz_store_file_look(&unclean, store->world, store->path, "-wal") == BEZEL_ERR_MEMORY)
        return bz_fail_memory(err, "store", "a name", 0);
    int flags = store->options.read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    int rc = bz_store_connect(&store->db, store->world, store->path, flags, immutable);
    bezel_status st = BEZEL_OK;
    if (rc != SQLITE_OK) {
        st = bz_store_fail(store, rc, "open the store", err);
        goto done;
    }
    int64_t busy = store->options.busy_ms;
    sqlite3_busy_timeout(store->db, busy < 0 ? 0 : busy > 3600000 ? 3600000 : (int)busy);
    st = bz_store_exec(store, "PRAGMA cell_size_check=ON; PRAGMA mmap_size=0; PRAGMA temp_store=MEMORY", "set up the store",
                       err);
    if (st == BEZEL_OK)
        st = bz_store_migrate(store, err);
    if (st == BEZEL_OK && unclean)
        st = connection_check(store, err);
    if (st == BEZEL_OK)
        st = bz_store_exec(store, "PRAGMA secure_delete=ON; PRAGMA journal_size_limit=67108864", "set up the store", err);
    if (st == BEZEL_OK) {
        sqlite3_set_authorizer(store->db, bz_store_authorize, store);
        sqlite3_progress_handler(store->db, 10000, bz_store_progress, store);
        st = bz_store_name_open(store, err);
    }
done:
    if (st != BEZEL_OK)
        connection_drop(store);
    return st;
}

/* --- Transactions ------------------------------------------------------------------------- */

bezel_status bz_store_write_begin(bezel_store *store, bezel_error *err)
{
    if (store->options.read_only) {
        bezel_status st = bz_fail(err, BEZEL_ERR_DENIED, "store", "%s is open read-only", store->path);
        return bz_error_hint(err, st, "open it without read_only to write");
    }
    if (store->reopen || !store->db) {
        connection_drop(store);
        bezel_status st = connection_open(store, 0, err);
        if (st != BEZEL_OK)
            return st;
        store->reopen = 0;
    }
    bz_store_row row;
    sqlite3_stmt *stmt;
    bezel_status st = bz_store_statement(&stmt, store, BZ_SQL_BEGIN, err);
    if (st != BEZEL_OK)
        return st;
    bz_store_row_init(&row, stmt);
    return bz_store_row_run(&row, store, "lock the store for writing", err);
}

bezel_status bz_store_write_end(bezel_store *store, bezel_status st, bezel_error *err)
{
    sqlite3_stmt *stmt;
    bz_store_row row;
    if (st == BEZEL_OK)
        st = bz_store_statement(&stmt, store, BZ_SQL_COMMIT, err);
    if (st == BEZEL_OK) {
        bz_store_row_init(&row, stmt);
        st = bz_store_row_run(&row, store, "commit", err);
        int rc = sqlite3_extended_errcode(store->db);
        /* Linux forgets the pages of a failed sync: another try could succeed without having written them */
        store->reopen = st != BEZEL_OK && (rc == SQLITE_IOERR_FSYNC || rc == SQLITE_IOERR_DIR_FSYNC);
    }
    if (st != BEZEL_OK && !sqlite3_get_autocommit(store->db) &&
        bz_store_exec(store, "ROLLBACK", "undo", NULL) != BEZEL_OK && !sqlite3_get_autocommit(store->db))
        store->reopen = 1; /* closing the connection undoes it */
    return st;
}

/* --- Public ------------------------------------------------------------------------------- */

void bezel_store_options_init(bezel_store_options *out)
{
    *out = (bezel_store_options){.size = sizeof *out, .keep_content = 1, .busy_ms = 5000, .max_windows = 1000000,
                                  .content_days = 90, .max_bytes = UINT64_C(1) << 30};
}

bezel_status bezel_store_open(bezel_store **out, bezel_engine *engine, const char *path,
                              const bezel_store_options *options, bezel_error *err)
{
    if (out)
        *out = NULL;
    if (!out || !engine || !path || !path[0])
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "store", "bezel_store_open needs out, an engine and a path");
    bezel_store_options read;
    bezel_store_options_init(&read);
    bezel_status st = bz_options_read(&read, sizeof read, options, "store", err);
    if (st != BEZEL_OK)
        return st;
    const bezel_world *w = bezel_engine_world(engine);
    bezel_store *store = bz_zalloc(w, sizeof *store);
    if (!store)
        return bz_fail_memory(err, "store", "the store", sizeof *store);
    store->engine = engine;
    store->world = w;
    store->options = read;
    store->journal = (bezel_journal){.size = sizeof store->journal, .ud = store, .write = bz_store_journal_write};
    store->sink = (bezel_monitor_sink){.size = sizeof store->sink, .ud = store, .write = bz_store_monitor_write};
    store->windows = (bezel_guard_windows){.size = sizeof store->windows, .ud = store, .edit = bz_store_windows_edit};
    store->path = bz_text_dup(w, path, SIZE_MAX);
    if (!store->path)
        st = bz_fail_memory(err, "store", "the path", strlen(path));
    if (st == BEZEL_OK)
        st = bz_store_keys_read(store, err);
    if (st == BEZEL_OK)
        st = connection_open(store, 0, err);
    /* A store in a folder that may not be written cannot have its shared-memory file. Without a log beside it nobody
     * has anything to add to it, and it can be read as a file that does not change. */
    int there = 0, log = 0;
    if ((st == BEZEL_ERR_IO || st == BEZEL_ERR_DENIED) && store->options.read_only &&
        bz_store_file_look(&there, w, path, "") == BEZEL_OK && there &&
        bz_store_file_look(&log, w, path, "-wal") == BEZEL_OK && !log)
        st = connection_open(store, 1, err);
    if (st != BEZEL_OK) {
        bezel_store_close(store);
        return st;
    }
    *out = store;
    return BEZEL_OK;
}

void bezel_store_close(bezel_store *store)
{
    if (!store)
        return;
    connection_drop(store);
    bz_store_keys_free(store);
    bz_free(store->world, store->path);
    bz_free(store->world, store);
}

const bezel_journal *bezel_store_journal(bezel_store *store)
{
    return store ? &store->journal : NULL;
}
