/* SPDX-License-Identifier: MIT */
/* A copy of the whole store through SQLite's backup interface, while other processes write. The copy appears under its
 * name only when it is complete; a file that is there already is never replaced. */
#include "store_impl.h"

#include <bezel/engine.h>

#include "base/strbuf.h"

static bezel_status backup_copy(bezel_store *store, const char *path, bezel_error *err)
{
    sqlite3 *db = NULL;
    int rc = bz_store_connect(&db, store->world, path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, 0);
    if (rc == SQLITE_OK) {
        sqlite3_backup *backup = sqlite3_backup_init(db, "main", store->db, "main");
        rc = backup ? SQLITE_OK : sqlite3_extended_errcode(db);
        /* all pages in one step: a copy in pieces starts again whenever somebody writes */
        for (int64_t waited = 0; backup; waited += sqlite3_sleep(5)) {
            rc = sqlite3_backup_step(backup, -1);
            if ((rc != SQLITE_BUSY && rc != SQLITE_LOCKED) || waited >= store->options.busy_ms)
                break;
        }
        int end = sqlite3_backup_finish(backup);
        rc = rc == SQLITE_DONE ? end : rc;
    }
    sqlite3_close(db);
    return rc == SQLITE_OK ? BEZEL_OK : bz_store_fail(store, rc, "write the copy", err);
}

/* A link that leads nowhere reads like an absent file, but cannot be created: so the name is tried, too. */
bezel_status bz_store_path_check(const bezel_world *w, const char *path, bezel_error *err)
{
    bezel_file *file = NULL, *seen = NULL;
    int exists = 0;
    bezel_status st = bz_store_file_look(&exists, w, path, "");
    if (st == BEZEL_OK && !exists)
        st = bz_store_file_look(&exists, w, path, "-wal");
    if (st == BEZEL_OK && !exists && w->file_open(w->ud, &seen, path, BEZEL_FILE_READ) == BEZEL_OK) {
        w->file_close(w->ud, seen); /* an empty file */
    } else if (st == BEZEL_OK && !exists) {
        st = w->file_open(w->ud, &file, path, BEZEL_FILE_CREATE);
        if (st == BEZEL_OK) {
            w->file_close(w->ud, file);
            w->file_remove(w->ud, path);
        }
    }
    if (st == BEZEL_ERR_MEMORY)
        return bz_fail_memory(err, "store", "a name", 0);
    if (st == BEZEL_OK && !exists)
        return BEZEL_OK;
    if (st == BEZEL_OK)
        st = bz_fail(err, BEZEL_ERR_DENIED, "store", "%s (or its log) exists and is not overwritten", path);
    else
        bz_fail(err, st, "store", "%s (or its log) can neither be read nor made (%s): it is left as it is", path,
                bezel_status_name(st));
    bz_error_hint(err, st, "choose a new name, or remove the file first");
    return bz_error_place(err, st, "%s", path);
}

bezel_status bezel_store_backup(bezel_store *store, const char *path, bezel_error *err)
{
    if (!store || !path || !path[0])
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "store", "bezel_store_backup needs a store and a path");
    const bezel_world *w = store->world;
    if (!store->db)
        return bz_fail(err, BEZEL_ERR_BUSY, "store", "the store cannot be copied now");
    bezel_status st = bz_store_path_check(w, path, err);
    if (st != BEZEL_OK)
        return st;
    bz_strbuf part;
    uint64_t tail = 0;
    bz_strbuf_init(&part, w, 0);
    if (w->random(w->ud, &tail, sizeof tail) != BEZEL_OK)
        st = bz_fail(err, BEZEL_ERR_IO, "store", "the random source of the world failed");
    bz_strbuf_format(&part, "%s.%016llx.part", path, (unsigned long long)tail);
    if (st == BEZEL_OK && part.status != BEZEL_OK)
        st = bz_fail_memory(err, "store", "a name", part.size);
    if (st != BEZEL_OK)
        goto done;
    st = backup_copy(store, bz_strbuf_cstr(&part), err);
    if (st == BEZEL_OK && w->file_rename(w->ud, bz_strbuf_cstr(&part), path) != BEZEL_OK)
        st = bz_fail(err, BEZEL_ERR_IO, "store", "cannot give the copy its name %s", path);
    if (st != BEZEL_OK)
        w->file_remove(w->ud, bz_strbuf_cstr(&part));
done:
    bz_strbuf_free(&part);
    return st;
}
