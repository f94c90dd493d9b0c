/* SPDX-License-Identifier: MIT */
/* Totals by day, model, user and tool, and histograms of durations. Invariant: they are written in the transaction of the rows
 * that they count, so they agree with them until rows go; what they counted stays. */
#include "store_impl.h"

/* Rounded to two digits, then to the nearest of 24 steps a decade (the E24 series): neighbours are at most 15 % apart, so a
 * percentile is right within 8 %. Version 5 of the schema does the same to older rows. */
static int64_t total_rounded(int64_t us)
{
    static const unsigned char steps[] = {10, 11, 12, 13, 15, 16, 18, 20, 22, 24, 27, 30, 33,
                                          36, 39, 43, 47, 51, 56, 62, 68, 75, 82, 91, 100};
    int64_t unit = 1;
    while (us / unit >= 100)
        unit *= 10;
    if (us < 10 || us > INT64_MAX - unit)
        return us;
    const int64_t digits = (us + unit / 2) / unit;
    size_t i = 0;
    while (steps[i] < digits && 2 * digits >= steps[i] + steps[i + 1])
        i++;
    return steps[i] * unit;
}

bezel_status bz_store_total_time(bezel_store *store, const char *metric, const char *name, int64_t at_ms, int64_t us,
                                 bezel_error *err)
{
    sqlite3_stmt *stmt;
    bezel_status st = bz_store_statement(&stmt, store, BZ_SQL_TOTAL_TIME, err);
    if (st != BEZEL_OK)
        return st;
    bz_store_row row;
    bz_store_row_init(&row, stmt);
    bz_store_row_text(&row, metric);
    bz_store_row_text(&row, name ? name : "");
    bz_store_row_integer(&row, at_ms);
    bz_store_row_integer(&row, total_rounded(us < 0 ? 0 : us));
    return bz_store_row_run(&row, store, "count a duration", err);
}

bezel_status bz_store_total_event(bezel_store *store, const char *kind, const char *name, int64_t at_ms, bezel_error *err)
{
    sqlite3_stmt *stmt;
    bezel_status st = bz_store_statement(&stmt, store, BZ_SQL_TOTAL_EVENT, err);
    if (st != BEZEL_OK)
        return st;
    bz_store_row row;
    bz_store_row_init(&row, stmt);
    bz_store_row_text(&row, kind);
    bz_store_row_text(&row, name);
    bz_store_row_integer(&row, at_ms);
    return bz_store_row_run(&row, store, "count an event", err);
}

static bezel_status total_usage(bezel_store *store, const bezel_journal_turn *t, const char *user, const bezel_journal_usage *u,
                                bezel_error *err)
{
    sqlite3_stmt *stmt;
    bezel_status st = bz_store_statement(&stmt, store, BZ_SQL_TOTAL_USAGE, err);
    if (st != BEZEL_OK)
        return st;
    bz_store_row row;
    bz_store_row_init(&row, stmt);
    bz_store_row_text(&row, t->model ? t->model : "");
    bz_store_row_text(&row, user ? user : "");
    bz_store_row_integer(&row, t->started_ms);
    bz_store_row_integer(&row, u == t->usages); /* the turn is counted once */
    bz_store_row_count(&row, u->n_prompt);
    bz_store_row_count(&row, u->n_cached);
    bz_store_row_count(&row, u->n_generated);
    bz_store_row_count(&row, u->n_dropped);
    bz_store_row_count(&row, u->n_forced);
    bz_store_row_integer(&row, u->error != NULL);
    bz_store_row_integer(&row, u->total_us);
    bz_store_row_integer(&row, u->first_token_us);
    st = bz_store_row_run(&row, store, "count a model call", err);
    if (st == BEZEL_OK)
        st = bz_store_total_time(store, "model_call", t->model, t->started_ms, u->total_us, err);
    if (st == BEZEL_OK && u->n_generated)
        st = bz_store_total_time(store, "first_token", t->model, t->started_ms, u->first_token_us, err);
    return st == BEZEL_OK && u->error ? bz_store_total_event(store, "error", u->error, t->started_ms, err) : st;
}

static bezel_status total_call(bezel_store *store, const bezel_journal_turn *t, const bezel_journal_call *c, bezel_error *err)
{
    sqlite3_stmt *stmt;
    bezel_status st = bz_store_statement(&stmt, store, BZ_SQL_TOTAL_TOOL, err);
    if (st != BEZEL_OK)
        return st;
    bz_store_row row;
    bz_store_row_init(&row, stmt);
    bz_store_row_text(&row, c->name);
    bz_store_row_integer(&row, t->started_ms);
    bz_store_row_integer(&row, c->repeated != 0);
    bz_store_row_integer(&row, c->error_code != NULL);
    bz_store_row_integer(&row, c->duration_us);
    st = bz_store_row_run(&row, store, "count a tool call", err);
    if (st == BEZEL_OK && c->duration_us > 0)
        st = bz_store_total_time(store, "tool", c->name, t->started_ms, c->duration_us, err);
    if (st != BEZEL_OK || !c->error_code)
        return st;
    char event[120];
    sqlite3_snprintf((int)sizeof event, event, "%.70s %.40s", c->name, c->error_code);
    return bz_store_total_event(store, "tool", event, t->started_ms, err);
}

bezel_status bz_store_total_turn(bezel_store *store, const bezel_journal_turn *t, const char *user, bezel_error *err)
{
    bezel_status st = BEZEL_OK;
    int told = 0;
    for (uint32_t i = 0; st == BEZEL_OK && i < t->n_usages; i++) {
        st = total_usage(store, t, user, &t->usages[i], err);
        told |= t->usages[i].error != NULL;
    }
    for (uint32_t i = 0; st == BEZEL_OK && i < t->n_calls; i++)
        st = total_call(store, t, &t->calls[i], err);
    if (st == BEZEL_OK && t->status && !told) /* it failed, but none of its model calls did */
        st = bz_store_total_event(store, "error", t->status, t->started_ms, err);
    return st;
}
