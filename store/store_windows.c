/* SPDX-License-Identifier: MIT */
/* Windows of a guard's users: each state is read, changed by the guard and written in one transaction, so processes that share
 * the store share the windows. The store does not look into a state; which of its times still count is the guard's matter, so no
 * window goes because a clock says so. Their number is bounded: beyond it, and in a file that is full of them, those go that were
 * not used for longest. */
#include "store_impl.h"

#include "base/alloc.h"

enum { WINDOW_KEY_BYTES = 16, WINDOWS_AT_ONCE = 100 };

/* Reads the state; *size is 0 when there is none. Owns: the statement's, until it is reset. */
static bezel_status window_read(const void **state, size_t *size, bezel_store *store, const char *key, sqlite3_stmt **stmt,
                                bezel_error *err)
{
    *state = NULL;
    *size = 0;
    bezel_status st = bz_store_statement(stmt, store, BZ_SQL_WINDOW_READ, err);
    if (st != BEZEL_OK)
        return st;
    bz_store_row row;
    bz_store_row_init(&row, *stmt);
    bz_store_row_text(&row, key);
    int rc = row.rc == SQLITE_OK ? sqlite3_step(*stmt) : row.rc;
    if (rc == SQLITE_ROW) {
        *state = sqlite3_column_blob(*stmt, 0);
        *size = (size_t)sqlite3_column_bytes(*stmt, 0);
        return BEZEL_OK;
    }
    return rc == SQLITE_DONE ? BEZEL_OK : bz_store_fail(store, rc, "read a window", err);
}

static bezel_status window_run(bezel_store *store, int which, int64_t number, bezel_error *err)
{
    sqlite3_stmt *stmt;
    bz_store_row row;
    bezel_status st = bz_store_statement(&stmt, store, which, err);
    if (st != BEZEL_OK)
        return st;
    bz_store_row_init(&row, stmt);
    bz_store_row_integer(&row, number);
    return bz_store_row_run(&row, store, "count the windows", err);
}

bezel_status bz_store_windows_forget(int *out_done, bezel_store *store, int64_t n, bezel_error *err)
{
    bezel_status st = window_run(store, BZ_SQL_WINDOW_FORGET, n, err);
    *out_done = st == BEZEL_OK ? sqlite3_changes(store->db) : 0;
    return *out_done ? window_run(store, BZ_SQL_WINDOW_COUNT, -*out_done, err) : st;
}

/* One more window: when there are too many, some of the oldest go. */
static bezel_status window_count(bezel_store *store, bezel_error *err)
{
    int64_t n = 0;
    bezel_status st = window_run(store, BZ_SQL_WINDOW_COUNT, 1, err);
    if (st == BEZEL_OK)
        st = bz_store_integer(&n, store, "SELECT value FROM meta WHERE key = 'rate_windows'", "count the windows", err);
    if (st != BEZEL_OK || n <= store->options.max_windows)
        return st;
    int done;
    return bz_store_windows_forget(&done, store, n - store->options.max_windows + WINDOWS_AT_ONCE, err);
}

static bezel_status window_write(bezel_store *store, const char *key, const void *state, size_t size, int is_new,
                                 bezel_error *err)
{
    sqlite3_stmt *stmt;
    bezel_status st = bz_store_statement(&stmt, store, BZ_SQL_WINDOW_WRITE, err);
    if (st != BEZEL_OK)
        return st;
    bz_store_row row;
    bz_store_row_init(&row, stmt);
    bz_store_row_text(&row, key);
    bz_store_row_blob(&row, state, size);
    bz_store_row_integer(&row, store->world->wall_ms(store->world->ud) / 60000);
    st = bz_store_row_run(&row, store, "keep a window", err);
    return st == BEZEL_OK && is_new ? window_count(store, err) : st;
}

bezel_status bz_store_windows_edit(void *ud, const void *key, size_t capacity, bezel_guard_edit_fn edit, void *edit_ud,
                                   bezel_error *err)
{
    bezel_store *store = ud;
    char hex[2 * WINDOW_KEY_BYTES + 1];
    bz_store_name name;
    sqlite3_stmt *stmt = NULL;
    const void *state;
    size_t size = 0, next_size = 0;
    bz_store_hex(hex, key, WINDOW_KEY_BYTES);
    void *next = bz_alloc(store->world, capacity ? capacity : 1);
    if (!next)
        return bz_fail_memory(err, "store", "a window", capacity);
    bezel_status st = bz_store_write_begin(store, err);
    if (st != BEZEL_OK)
        goto done;
    st = bz_store_name_make(&name, store, hex, err);
    if (st == BEZEL_OK)
        st = window_read(&state, &size, store, name.text, &stmt, err);
    if (st == BEZEL_OK)
        edit(edit_ud, state, size, next, capacity, &next_size);
    if (stmt)
        sqlite3_reset(stmt);
    if (st == BEZEL_OK && next_size > capacity)
        st = bz_fail(err, BEZEL_ERR_RANGE, "store", "a window of %zu bytes, room for %zu", next_size, capacity);
    if (st == BEZEL_OK)
        st = window_write(store, name.text, next, next_size, size == 0, err);
    st = bz_store_write_end(store, st, err);
    if (st == BEZEL_OK)
        bz_store_tidy_write(store);
done:
    bz_free(store->world, next);
    return st;
}

const bezel_guard_windows *bezel_store_windows(bezel_store *store)
{
    return store ? &store->windows : NULL;
}
