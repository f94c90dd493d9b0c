/* SPDX-License-Identifier: MIT */
/* Keeps a file within its bounds: content goes when it is too old, whole rows, oldest first, when the file is too big. Work is
 * done in batches, each a transaction of a few dozen turns, one behind a write now and then, more when the host asks
 * (bezel_store_tidy). What rows counted stays in the totals.
 *
 * Age is the time of a turn's id, which is when it was written: order of ids is order of age, so a batch looks at nothing
 * else. */
#include "store_impl.h"

enum { TIDY_TURNS = 20, TIDY_ROWS = 100, TIDY_EVERY = 16, TIDY_FREE_PAGES = 1000, TIDY_GIVE_PAGES = 500, DAY_MS = 86400000 };

typedef struct tidy_turn {
    char id[BZ_STORE_ID_SIZE + 1];
} tidy_turn;

/* Bytes of pages in use; free ones are taken before the file grows. */
static bezel_status tidy_bytes(int64_t *out_used, int64_t *out_free_pages, bezel_store *store, bezel_error *err)
{
    int64_t pages = 0, page_size = 0;
    bezel_status st = bz_store_integer(&pages, store, "PRAGMA page_count", "measure the store", err);
    if (st == BEZEL_OK)
        st = bz_store_integer(out_free_pages, store, "PRAGMA freelist_count", "measure the store", err);
    if (st == BEZEL_OK)
        st = bz_store_integer(&page_size, store, "PRAGMA page_size", "measure the store", err);
    *out_used = (pages - *out_free_pages) * page_size;
    return st;
}

/* Full means 90 % of the bound: what one write adds fits into the rest. */
static int tidy_is_full(const bezel_store *store, int64_t used)
{
    const uint64_t max = store->options.max_bytes;
    return max && (uint64_t)used > max - max / 10;
}

/* Ids of the oldest turns up to (and without) the id `before`, NULL = all; with content only, or all. */
static bezel_status tidy_oldest(tidy_turn turns[TIDY_TURNS], int *out_n, bezel_store *store, int which, const char *before,
                                bezel_error *err)
{
    sqlite3_stmt *stmt;
    *out_n = 0;
    bezel_status st = bz_store_statement(&stmt, store, which, err);
    if (st != BEZEL_OK)
        return st;
    bz_store_row row;
    bz_store_row_init(&row, stmt);
    bz_store_row_text(&row, before ? before : "~");
    bz_store_row_integer(&row, TIDY_TURNS);
    int rc = row.rc;
    while (rc == SQLITE_OK && *out_n < TIDY_TURNS && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        sqlite3_snprintf((int)sizeof turns->id, turns[(*out_n)++].id, "%s", (const char *)sqlite3_column_text(stmt, 0));
        rc = SQLITE_OK;
    }
    sqlite3_reset(stmt);
    return rc == SQLITE_OK || rc == SQLITE_DONE ? BEZEL_OK : bz_store_fail(store, rc, "look for old turns", err);
}

static bezel_status tidy_run(bezel_store *store, int which, const char *text, int64_t number, bezel_error *err)
{
    sqlite3_stmt *stmt;
    bezel_status st = bz_store_statement(&stmt, store, which, err);
    if (st != BEZEL_OK)
        return st;
    bz_store_row row;
    bz_store_row_init(&row, stmt);
    if (text)
        bz_store_row_text(&row, text);
    if (number >= 0)
        bz_store_row_integer(&row, number);
    return bz_store_row_run(&row, store, "remove what is old", err);
}

static bezel_status tidy_run_all(bezel_store *store, const int *steps, size_t n, const char *turn, bezel_error *err)
{
    bezel_status st = BEZEL_OK;
    for (size_t i = 0; st == BEZEL_OK && i < n; i++)
        st = tidy_run(store, steps[i], turn, -1, err);
    return st;
}

/* --- Content ------------------------------------------------------------------------------ */

static bezel_status tidy_content(int *out_done, bezel_store *store, bezel_error *err)
{
    static const int steps[] = {BZ_SQL_TIDY_INDEX,    BZ_SQL_TIDY_MESSAGES, BZ_SQL_TIDY_CALLS,
                                BZ_SQL_TIDY_DECISIONS, BZ_SQL_TIDY_USAGE,    BZ_SQL_TIDY_TURN};
    char before[BZ_STORE_ID_SIZE + 1];
    tidy_turn turns[TIDY_TURNS];
    int n = 0;
    if (!store->options.content_days)
        return BEZEL_OK;
    const int64_t cutoff = store->world->wall_ms(store->world->ud) - (int64_t)store->options.content_days * DAY_MS;
    bz_store_id_at(before, cutoff);
    bezel_status st = tidy_oldest(turns, &n, store, BZ_SQL_TIDY_CONTENT_TURNS, before, err);
    for (int i = 0; st == BEZEL_OK && i < n; i++)
        st = tidy_run_all(store, steps, sizeof steps / sizeof steps[0], turns[i].id, err);
    *out_done += n;
    if (st == BEZEL_OK && n) /* a bounded part of the work that takes deleted words out of older parts of the index */
        st = tidy_run(store, BZ_SQL_TIDY_MERGE, NULL, -1, err);
    if (st == BEZEL_OK)
        st = tidy_run(store, BZ_SQL_TIDY_CONVERSATIONS, NULL, cutoff, err);
    if (st == BEZEL_OK)
        *out_done += sqlite3_changes(store->db);
    if (st == BEZEL_OK)
        st = tidy_run(store, BZ_SQL_TIDY_DETAILS, NULL, cutoff, err);
    if (st == BEZEL_OK)
        st = tidy_run(store, BZ_SQL_TIDY_REQUESTS, NULL, cutoff, err);
    if (st == BEZEL_OK)
        *out_done += sqlite3_changes(store->db);
    return st;
}

/* --- Rows --------------------------------------------------------------------------------- */

/* Deletes the oldest rows of each kind; when none is left, windows of users; last what is always small (alerts, totals). */
static bezel_status tidy_rows(int *out_done, bezel_store *store, bezel_error *err)
{
    static const int steps[] = {BZ_SQL_TIDY_INDEX,  BZ_SQL_TIDY_MESSAGES,     BZ_SQL_TIDY_DROP_CALLS, BZ_SQL_TIDY_DROP_DECISIONS,
                                BZ_SQL_TIDY_DROP_USAGE, BZ_SQL_TIDY_DROP_TURN};
    static const int tables[] = {BZ_SQL_TIDY_DROP_REQUESTS, BZ_SQL_TIDY_DROP_QUALITY, BZ_SQL_TIDY_DROP_GUARD,
                                 BZ_SQL_TIDY_DROP_HEALTH};
    static const int last[] = {BZ_SQL_TIDY_DROP_USER_DAYS, BZ_SQL_TIDY_DROP_ALERTS};
    tidy_turn turns[TIDY_TURNS];
    int n = 0;
    bezel_status st = tidy_oldest(turns, &n, store, BZ_SQL_TIDY_ALL_TURNS, NULL, err);
    for (int i = 0; st == BEZEL_OK && i < n; i++)
        st = tidy_run_all(store, steps, sizeof steps / sizeof steps[0], turns[i].id, err);
    *out_done += n;
    for (size_t i = 0; st == BEZEL_OK && i < sizeof tables / sizeof tables[0]; i++) {
        st = tidy_run(store, tables[i], NULL, TIDY_ROWS, err);
        *out_done += st == BEZEL_OK ? sqlite3_changes(store->db) : 0;
    }
    if (st == BEZEL_OK)
        st = tidy_run(store, BZ_SQL_TIDY_CONVERSATIONS, NULL, store->world->wall_ms(store->world->ud) - DAY_MS, err);
    if (st == BEZEL_OK && *out_done == 0)
        st = bz_store_windows_forget(out_done, store, TIDY_ROWS, err);
    for (size_t i = 0; st == BEZEL_OK && *out_done == 0 && i < sizeof last / sizeof last[0]; i++) {
        st = tidy_run(store, last[i], NULL, TIDY_ROWS, err);
        *out_done += st == BEZEL_OK ? sqlite3_changes(store->db) : 0;
    }
    return st;
}

/* --- Batches ------------------------------------------------------------------------------ */

/* One batch; *out_done is 0 when there was nothing to do. */
static bezel_status tidy_batch(int *out_done, bezel_store *store, bezel_error *err)
{
    int64_t used = 0, free_pages = 0;
    *out_done = 0;
    bezel_status st = bz_store_write_begin(store, err);
    if (st != BEZEL_OK)
        return st;
    st = tidy_content(out_done, store, err);
    if (st == BEZEL_OK)
        st = tidy_bytes(&used, &free_pages, store, err);
    store->is_full = st == BEZEL_OK && tidy_is_full(store, used);
    if (store->is_full)
        st = tidy_rows(out_done, store, err);
    return bz_store_write_end(store, st, err);
}

void bz_store_tidy_write(bezel_store *store)
{
    int done;
    if (!store->is_full && ++store->since_tidy < TIDY_EVERY)
        return;
    store->since_tidy = 0;
    tidy_batch(&done, store, NULL); /* the write is done and kept; what could not be removed is tried again */
}

/* --- Public ------------------------------------------------------------------------------- */

bezel_status bezel_store_tidy(int32_t *out_left, bezel_store *store, int64_t budget_us, bezel_error *err)
{
    if (out_left)
        *out_left = 0;
    if (!store)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "store", "bezel_store_tidy needs a store");
    const bezel_world *w = store->world;
    const int64_t begin = w->monotonic_ns(w->ud);
    for (;;) {
        int done = 0;
        bezel_status st = tidy_batch(&done, store, err);
        if (st != BEZEL_OK)
            return st;
        int64_t used = 0, free_pages = 0;
        st = tidy_bytes(&used, &free_pages, store, err);
        if (st == BEZEL_OK && free_pages > TIDY_FREE_PAGES) { /* does nothing in a file that was made without this wish */
            int64_t before = free_pages;
            char sql[64];
            sqlite3_snprintf((int)sizeof sql, sql, "PRAGMA incremental_vacuum(%d)", TIDY_GIVE_PAGES);
            st = bz_store_exec(store, sql, "give free pages back", err);
            if (st == BEZEL_OK)
                st = tidy_bytes(&used, &free_pages, store, err);
            done += free_pages < before;
        }
        if (st != BEZEL_OK || !done)
            return st;
        if (w->monotonic_ns(w->ud) - begin >= budget_us * 1000) {
            if (out_left)
                *out_left = 1;
            return BEZEL_OK;
        }
    }
}

bezel_status bezel_store_vacuum(bezel_store *store, bezel_error *err)
{
    if (!store)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "store", "bezel_store_vacuum needs a store");
    bezel_status st = bz_store_write_begin(store, err); /* refuses a read-only store, opens a lost connection */
    if (st == BEZEL_OK)
        st = bz_store_write_end(store, st, err);
    if (st != BEZEL_OK)
        return st;
    st = bz_store_exec(store, "PRAGMA auto_vacuum=INCREMENTAL", "set up the store", err);
    sqlite3_limit(store->db, SQLITE_LIMIT_ATTACHED, 1); /* the new file, for as long as it is written */
    if (st == BEZEL_OK)
        st = bz_store_exec(store, "VACUUM", "write the store anew", err);
    sqlite3_limit(store->db, SQLITE_LIMIT_ATTACHED, 0);
    if (st == BEZEL_OK) /* best effort: readers of other processes may still need the log */
        bz_store_exec(store, "PRAGMA wal_checkpoint(TRUNCATE)", "empty the log", NULL);
    return st;
}
