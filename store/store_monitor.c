/* SPDX-License-Identifier: MIT */
/* The sink of a monitor, kept in the store: one record, one transaction, its totals with it. Numbers and codes are always
 * kept; sentences that may quote content only for a named conversation of a store that keeps content. */
#include "store_impl.h"

#include <bezel/monitor.h>

#include <math.h>
#include <string.h>

#include "base/strbuf.h"

typedef struct monitor_write {
    bezel_store *store;
    const bezel_monitor_record *record;
    int keep;        /* content of this request */
    int64_t request; /* row of the request, 0 = none */
} monitor_write;

static bezel_status monitor_check(const bezel_monitor_record *r, bezel_error *err)
{
    if (!r || r->size != sizeof *r || (r->n_alerts && !r->alerts) || (r->n_decisions && !r->decisions) ||
        (r->request && r->request->size != sizeof *r->request) || (r->quality && r->quality->size != sizeof *r->quality) ||
        (r->health && (r->health->size != sizeof *r->health || !r->health->errors)))
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "store", "the record has a wrong size or a list that is missing");
    for (uint32_t i = 0; i < r->n_alerts; i++) {
        if (!r->alerts[i].type)
            return bz_fail(err, BEZEL_ERR_ARGUMENT, "store", "alert %u of the record has no type", (unsigned)i);
    }
    for (uint32_t i = 0; i < r->n_decisions; i++) {
        if (!r->decisions[i].kind || !r->decisions[i].outcome)
            return bz_fail(err, BEZEL_ERR_ARGUMENT, "store", "decision %u of the record has no kind or outcome", (unsigned)i);
    }
    return BEZEL_OK;
}

static bezel_status monitor_request_total(monitor_write *w, const bezel_monitor_request *r, bezel_error *err)
{
    sqlite3_stmt *stmt;
    bezel_status st = bz_store_statement(&stmt, w->store, BZ_SQL_TOTAL_REQUEST, err);
    if (st != BEZEL_OK)
        return st;
    bz_store_row row;
    bz_store_row_init(&row, stmt);
    bz_store_row_text(&row, r->model ? r->model : "");
    bz_store_row_integer(&row, r->at_ms);
    bz_store_row_integer(&row, r->is_success != 0);
    bz_store_row_count(&row, r->n_prompt);
    bz_store_row_count(&row, r->n_generated);
    bz_store_row_integer(&row, r->duration_us);
    bz_store_row_count(&row, r->memory_bytes);
    st = bz_store_row_run(&row, w->store, "count a request", err);
    if (st == BEZEL_OK && r->is_success)
        st = bz_store_total_time(w->store, "request", r->model, r->at_ms, r->duration_us, err);
    return st == BEZEL_OK && r->code ? bz_store_total_event(w->store, "code", r->code, r->at_ms, err) : st;
}

static bezel_status monitor_request(monitor_write *w, const bezel_monitor_request *r, bezel_error *err)
{
    bz_store_name user;
    sqlite3_stmt *stmt;
    bezel_status st = bz_store_name_make(&user, w->store, r->user, err);
    if (st == BEZEL_OK)
        st = bz_store_statement(&stmt, w->store, BZ_SQL_REQUEST_ADD, err);
    if (st != BEZEL_OK)
        return st;
    bz_store_row row;
    bz_store_row_init(&row, stmt);
    bz_store_row_integer(&row, r->at_ms);
    bz_store_row_text(&row, r->span);
    bz_store_row_text(&row, r->conversation);
    bz_store_row_text(&row, user.text);
    bz_store_row_text(&row, r->model);
    bz_store_row_text(&row, r->operation);
    bz_store_row_integer(&row, r->is_success != 0);
    bz_store_row_text(&row, r->code);
    bz_store_row_text(&row, r->error && !w->keep ? "not kept" : r->error);
    bz_store_row_text(&row, r->stop_reason);
    bz_store_row_text(&row, r->input_hash);
    bz_store_row_count(&row, r->n_input);
    bz_store_row_count(&row, r->n_prompt);
    bz_store_row_count(&row, r->n_cached);
    bz_store_row_count(&row, r->n_generated);
    bz_store_row_integer(&row, r->first_token_us);
    bz_store_row_integer(&row, r->duration_us);
    bz_store_row_real(&row, r->tokens_per_second);
    bz_store_row_count(&row, r->memory_bytes);
    bz_store_row_count(&row, r->allocator_bytes);
    bz_store_row_count(&row, r->gpu_bytes);
    st = bz_store_row_run(&row, w->store, "keep a request", err);
    w->request = sqlite3_last_insert_rowid(w->store->db);
    return st == BEZEL_OK ? monitor_request_total(w, r, err) : st;
}

static bezel_status monitor_decision(monitor_write *w, const bezel_monitor_decision *d, bezel_error *err)
{
    const bezel_monitor_request *r = w->record->request;
    const int64_t began = r ? r->at_ms : w->store->world->wall_ms(w->store->world->ud);
    sqlite3_stmt *stmt;
    bezel_status st = bz_store_statement(&stmt, w->store, BZ_SQL_GUARD_ADD, err);
    if (st != BEZEL_OK)
        return st;
    bz_store_row row;
    bz_store_row_init(&row, stmt);
    if (w->request)
        bz_store_row_integer(&row, w->request);
    else
        bz_store_row_text(&row, NULL);
    bz_store_row_integer(&row, began + (r ? d->at_us / 1000 : 0));
    bz_store_row_text(&row, d->kind);
    bz_store_row_text(&row, d->outcome);
    bz_store_row_text(&row, d->rule);
    bz_store_row_text(&row, w->keep ? d->detail : NULL);
    st = bz_store_row_run(&row, w->store, "keep a decision of a guard", err);
    char event[160];
    sqlite3_snprintf((int)sizeof event, event, "%.30s %.30s%s%.80s", d->kind, d->outcome, d->rule ? " " : "",
                     d->rule ? d->rule : "");
    return st == BEZEL_OK ? bz_store_total_event(w->store, "guard", event, began, err) : st;
}

/* A score that is no number counts as 0; the row has null for it. */
static void monitor_score(bz_store_row *row, double score)
{
    bz_store_row_real(row, isnan(score) ? 0 : score);
}

static bezel_status monitor_quality(monitor_write *w, const bezel_monitor_quality *q, bezel_error *err)
{
    bz_store_name user;
    sqlite3_stmt *stmt;
    bezel_status st = bz_store_name_make(&user, w->store, q->user, err);
    if (st == BEZEL_OK)
        st = bz_store_statement(&stmt, w->store, BZ_SQL_QUALITY_ADD, err);
    if (st != BEZEL_OK)
        return st;
    bz_store_row row;
    bz_store_row_init(&row, stmt);
    bz_store_row_integer(&row, q->at_ms);
    bz_store_row_text(&row, q->span);
    bz_store_row_text(&row, user.text);
    bz_store_row_text(&row, q->model);
    bz_store_row_real(&row, q->relevance);
    bz_store_row_real(&row, q->coherence);
    bz_store_row_real(&row, q->safety);
    bz_store_row_real(&row, q->accuracy);
    bz_store_row_integer(&row, q->has_reference != 0);
    bz_store_row_real(&row, q->satisfaction);
    st = bz_store_row_run(&row, w->store, "keep scores", err);
    if (st == BEZEL_OK)
        st = bz_store_statement(&stmt, w->store, BZ_SQL_TOTAL_QUALITY, err);
    if (st != BEZEL_OK)
        return st;
    bz_store_row_init(&row, stmt);
    bz_store_row_text(&row, q->model ? q->model : "");
    bz_store_row_integer(&row, q->at_ms);
    monitor_score(&row, q->relevance);
    monitor_score(&row, q->coherence);
    monitor_score(&row, q->safety);
    monitor_score(&row, q->accuracy);
    bz_store_row_integer(&row, !isnan(q->satisfaction));
    monitor_score(&row, q->satisfaction);
    return bz_store_row_run(&row, w->store, "count scores", err);
}

static bezel_status monitor_alert(monitor_write *w, const bezel_monitor_alert *a, bezel_error *err)
{
    sqlite3_stmt *stmt;
    bezel_status st = bz_store_statement(&stmt, w->store, BZ_SQL_ALERT_ADD, err);
    if (st != BEZEL_OK)
        return st;
    bz_store_row row;
    bz_store_row_init(&row, stmt);
    bz_store_row_integer(&row, a->at_ms);
    bz_store_row_text(&row, a->model);
    bz_store_row_text(&row, a->type);
    bz_store_row_text(&row, bezel_severity_name(a->severity));
    bz_store_row_text(&row, a->metric);
    bz_store_row_real(&row, a->value);
    bz_store_row_real(&row, a->threshold);
    bz_store_row_integer(&row, a->is_over != 0);
    bz_store_row_text(&row, a->message);
    st = bz_store_row_run(&row, w->store, "keep an alert", err);
    if (st != BEZEL_OK || a->is_over)
        return st;
    char event[80];
    sqlite3_snprintf((int)sizeof event, event, "%.30s %.40s", a->type, a->metric ? a->metric : "");
    return bz_store_total_event(w->store, "alert", event, a->at_ms, err);
}

static bezel_status monitor_health(monitor_write *w, const bezel_monitor_health *h, bezel_error *err)
{
    bz_strbuf errors;
    bz_strbuf_init(&errors, w->store->world, 0);
    for (size_t i = 0; h->errors[i]; i++) {
        bz_strbuf_text(&errors, i ? "\n" : "");
        bz_strbuf_text(&errors, h->errors[i]);
    }
    sqlite3_stmt *stmt;
    bezel_status st = errors.status != BEZEL_OK ? bz_fail_memory(err, "store", "errors of a health check", errors.size)
                                                : bz_store_statement(&stmt, w->store, BZ_SQL_HEALTH_ADD, err);
    if (st == BEZEL_OK) {
        bz_store_row row;
        bz_store_row_init(&row, stmt);
        bz_store_row_integer(&row, h->at_ms);
        bz_store_row_text(&row, bezel_health_name(h->status));
        bz_store_row_text(&row, h->model);
        bz_store_row_integer(&row, h->is_model_loaded != 0);
        bz_store_row_integer(&row, h->is_multimodal != 0);
        bz_store_row_integer(&row, h->response_us);
        bz_store_row_count(&row, h->memory_bytes);
        bz_store_row_text(&row, h->errors[0] ? bz_strbuf_cstr(&errors) : NULL);
        st = bz_store_row_run(&row, w->store, "keep a health check", err);
    }
    bz_strbuf_free(&errors);
    return st;
}

bezel_status bz_store_monitor_write(void *ud, const bezel_monitor_record *record, bezel_error *err)
{
    monitor_write w = {.store = ud, .record = record};
    bezel_status st = monitor_check(record, err);
    if (st == BEZEL_OK)
        st = bz_store_write_begin(w.store, err);
    if (st != BEZEL_OK)
        return st;
    w.keep = w.store->options.keep_content && record->request && record->request->conversation;
    if (record->request)
        st = monitor_request(&w, record->request, err);
    for (uint32_t i = 0; st == BEZEL_OK && i < record->n_decisions; i++)
        st = monitor_decision(&w, &record->decisions[i], err);
    if (st == BEZEL_OK && record->quality)
        st = monitor_quality(&w, record->quality, err);
    for (uint32_t i = 0; st == BEZEL_OK && i < record->n_alerts; i++)
        st = monitor_alert(&w, &record->alerts[i], err);
    if (st == BEZEL_OK && record->health)
        st = monitor_health(&w, record->health, err);
    st = bz_store_write_end(w.store, st, err);
    if (st == BEZEL_OK)
        bz_store_tidy_write(w.store);
    return st;
}

const bezel_monitor_sink *bezel_store_monitor(bezel_store *store)
{
    return store ? &store->sink : NULL;
}
