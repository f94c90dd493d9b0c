/* SPDX-License-Identifier: MIT */
/* Whose file is it, and which version? A file of another program or of a newer Bezel is refused before anything is
 * written to it; an older or empty one is raised step by step in one transaction that also sets user_version, so a kill
 * leaves the old version or the new one, never something between. It knows no table.
 *
 * An empty file counts as new: it is what a process leaves that was killed while creating the store, and it holds nothing
 * that could be lost. */
#include "store_impl.h"

typedef struct identity {
    int64_t application, version, objects;
} identity;

static bezel_status identity_read(identity *out, bezel_store *store, bezel_error *err)
{
    bezel_status st = bz_store_integer(&out->application, store, "PRAGMA application_id", "read the store", err);
    if (st == BEZEL_OK)
        st = bz_store_integer(&out->version, store, "PRAGMA user_version", "read the store", err);
    if (st == BEZEL_OK)
        st = bz_store_integer(&out->objects, store, "SELECT count(*) FROM sqlite_schema", "read the store", err);
    return st;
}

/* All three from one snapshot: another process may be creating the store at this moment. */
static bezel_status identity_look(identity *out, bezel_store *store, bezel_error *err)
{
    bezel_status st = bz_store_exec(store, "BEGIN", "read the store", err);
    if (st != BEZEL_OK)
        return st;
    st = identity_read(out, store, err);
    bezel_status end = bz_store_exec(store, "ROLLBACK", "read the store", st == BEZEL_OK ? err : NULL);
    return st == BEZEL_OK ? end : st;
}

static int identity_is_new(const identity *id)
{
    return id->application == 0 && id->version == 0 && id->objects == 0;
}

static bezel_status identity_check(const identity *id, const bezel_store *store, bezel_error *err)
{
    bezel_status st = BEZEL_OK;
    if (identity_is_new(id)) {
        if (!store->options.read_only)
            return BEZEL_OK;
        st = bz_fail(err, BEZEL_ERR_FORMAT, "store", "%s is empty, not a Bezel store", store->path);
    } else if (id->application != BZ_STORE_APPLICATION) {
        st = bz_fail(err, BEZEL_ERR_FORMAT, "store",
                     "%s is an SQLite file of another program: its application_id is 0x%08x, a Bezel store has 0x%08x",
                     store->path, (unsigned)id->application, (unsigned)BZ_STORE_APPLICATION);
        bz_error_hint(err, st, "nothing was changed in it; choose another path for the store");
    } else if (id->version > bz_store_version) {
        st = bz_fail(err, BEZEL_ERR_VERSION, "store",
                     "%s has schema version %lld, this Bezel (%s) reads up to %d", store->path,
                     (long long)id->version, BEZEL_VERSION_TEXT, bz_store_version);
        bz_error_hint(err, st, "open it with the newer Bezel that wrote it");
    } else if (id->version < 1) {
        st = bz_fail(err, BEZEL_ERR_FORMAT, "store", "%s has schema version %lld, expected 1 or more", store->path,
                     (long long)id->version);
    } else if (id->version < bz_store_version && store->options.read_only) {
        st = bz_fail(err, BEZEL_ERR_VERSION, "store", "%s has the older schema version %lld and is open read-only",
                     store->path, (long long)id->version);
        bz_error_hint(err, st, "open it once for writing: that brings it to version %d", bz_store_version);
    }
    return st == BEZEL_OK ? st : bz_error_place(err, st, "%s", store->path);
}

/* Runs the missing steps; another process may have done so since the first look. */
static bezel_status migrate_steps(bezel_store *store, bezel_error *err)
{
    bezel_status st = bz_store_exec(store, "BEGIN IMMEDIATE", "lock the store", err);
    if (st != BEZEL_OK)
        return st;
    identity id;
    st = identity_read(&id, store, err);
    if (st == BEZEL_OK)
        st = identity_check(&id, store, err);
    for (int64_t v = id.version; st == BEZEL_OK && v < bz_store_version; v++)
        st = bz_store_exec(store, bz_store_steps[v], "change the schema", err);
    if (st == BEZEL_OK) {
        char sql[96];
        sqlite3_snprintf((int)sizeof sql, sql, "PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT",
                         BZ_STORE_APPLICATION, bz_store_version);
        st = bz_store_exec(store, sql, "commit the schema", err);
    }
    if (st != BEZEL_OK)
        bz_store_exec(store, "ROLLBACK", "undo", NULL);
    return st;
}

/* The switch to the write-ahead log needs the file for itself for a moment and does not wait for that as other locks do. */
static bezel_status migrate_to_wal(bezel_store *store, bezel_error *err)
{
    sqlite3_stmt *stmt = NULL;
    int rc = SQLITE_OK, is_wal = 0;
    for (int64_t waited = 0;; waited += sqlite3_sleep(5)) {
        rc = sqlite3_prepare_v2(store->db, "PRAGMA journal_mode=WAL", -1, &stmt, NULL);
        if (rc == SQLITE_OK)
            rc = sqlite3_step(stmt);
        if (rc == SQLITE_ROW) {
            const char *mode = (const char *)sqlite3_column_text(stmt, 0);
            is_wal = mode && sqlite3_stricmp(mode, "wal") == 0;
        }
        int end = sqlite3_finalize(stmt);
        if (rc == SQLITE_ROW || rc == SQLITE_DONE)
            rc = end;
        if ((rc & 0xff) != SQLITE_BUSY || waited >= store->options.busy_ms)
            break;
    }
    if (rc != SQLITE_OK)
        return bz_store_fail(store, rc, "switch to the write-ahead log", err);
    if (is_wal)
        return BEZEL_OK;
    bezel_status st = bz_fail(err, BEZEL_ERR_IO, "store", "%s cannot have a write-ahead log", store->path);
    return bz_error_hint(err, st, "put the store on a local disk: network file systems lack what it needs");
}

bezel_status bz_store_migrate(bezel_store *store, bezel_error *err)
{
    identity id;
    bezel_status st = identity_look(&id, store, err);
    if (st == BEZEL_OK)
        st = identity_check(&id, store, err);
    if (st != BEZEL_OK || store->options.read_only)
        return st;

    if (identity_is_new(&id)) /* before the first page: free pages can be given back piece by piece */
        st = bz_store_exec(store, "PRAGMA auto_vacuum=INCREMENTAL", "set up the store", err);
    if (st == BEZEL_OK)
        st = migrate_to_wal(store, err);
    if (st == BEZEL_OK)
        st = bz_store_exec(store, store->options.durable ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL",
                           "set up the store", err);
    if (st == BEZEL_OK && id.version < bz_store_version)
        st = migrate_steps(store, err);
    return st;
}
