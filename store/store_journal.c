/* SPDX-License-Identifier: MIT */
/* The journal of an agent, kept in the store: one turn, one transaction. Numbers are always kept; texts, arguments and
 * results only for a named conversation of a store that keeps content. It never changes what it was given. */
#include "store_impl.h"

#include "base/utf8.h"

#define TITLE_AT_MOST 80 /* bytes of a question that become the title of an unnamed conversation */

typedef struct journal_turn {
    bezel_store *store;
    const bezel_journal_turn *turn;
    char id[BZ_STORE_ID_SIZE + 1];
    int keep;           /* content of this turn */
    bz_store_name user; /* as the store calls it */
} journal_turn;

static bezel_status journal_check(bezel_store *store, const bezel_journal_turn *t, bezel_error *err)
{
    if (!t || t->size != sizeof *t || (t->n_messages && !t->messages) || (t->n_calls && !t->calls) ||
        (t->n_usages && !t->usages) || (t->n_decisions && !t->decisions))
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "store", "the turn has a wrong size or a list that is missing");
    for (uint32_t i = 0; i < t->n_messages; i++) {
        if (t->messages[i].role < BEZEL_ROLE_SYSTEM || t->messages[i].role > BEZEL_ROLE_TOOL ||
            (t->messages[i].text_size && !t->messages[i].text))
            return bz_fail(err, BEZEL_ERR_ARGUMENT, "store", "message %u of the turn has no role or no text", (unsigned)i);
    }
    for (uint32_t i = 0; i < t->n_calls; i++) {
        if (!t->calls[i].name)
            return bz_fail(err, BEZEL_ERR_ARGUMENT, "store", "call %u of the turn has no name", (unsigned)i);
    }
    for (uint32_t i = 0; i < t->n_decisions; i++) {
        if (!t->decisions[i].kind || !t->decisions[i].outcome)
            return bz_fail(err, BEZEL_ERR_ARGUMENT, "store", "decision %u of the turn has no kind or outcome", (unsigned)i);
    }
    return t->conversation ? bz_store_conversation_find(store, t->conversation, err) : BEZEL_OK;
}

static bezel_status journal_turn_add(journal_turn *j, bezel_error *err)
{
    const bezel_journal_turn *t = j->turn;
    sqlite3_stmt *stmt;
    bezel_status st = bz_store_statement(&stmt, j->store, BZ_SQL_TURN_ADD, err);
    if (st != BEZEL_OK)
        return st;
    bz_store_row row;
    bz_store_row_init(&row, stmt);
    bz_store_row_text(&row, j->id);
    bz_store_row_text(&row, t->conversation);
    bz_store_row_text(&row, j->user.text);
    bz_store_row_text(&row, t->model);
    bz_store_row_integer(&row, t->started_ms);
    bz_store_row_integer(&row, t->duration_us);
    bz_store_row_text(&row, t->status); /* a name without content: kept always */
    bz_store_row_text(&row, t->error && !j->keep ? "not kept" : t->error);
    bz_store_row_integer(&row, t->withdrawn != 0);
    bz_store_row_text(&row, t->span);
    bz_store_row_text(&row, t->parent);
    return bz_store_row_run(&row, j->store, "keep a turn", err);
}

static bezel_status journal_message_add(journal_turn *j, const bezel_journal_message *m, bezel_error *err)
{
    bz_store_row row;
    sqlite3_stmt *stmt;
    bezel_status st = bz_store_statement(&stmt, j->store, BZ_SQL_MESSAGE_ADD, err);
    if (st != BEZEL_OK)
        return st;
    const char *text = !j->keep ? NULL : m->text ? m->text : "";
    bz_store_row_init(&row, stmt);
    bz_store_row_text(&row, j->id);
    bz_store_row_text(&row, j->turn->conversation);
    bz_store_row_integer(&row, m->step);
    bz_store_row_text(&row, bezel_role_name(m->role));
    bz_store_row_count(&row, m->text_size);
    bz_store_row_text_n(&row, text, m->text_size);
    st = bz_store_row_run(&row, j->store, "keep a message", err);
    if (st != BEZEL_OK || !text)
        return st;
    int64_t id = sqlite3_last_insert_rowid(j->store->db);
    st = bz_store_statement(&stmt, j->store, BZ_SQL_MESSAGE_INDEX, err);
    if (st != BEZEL_OK)
        return st;
    bz_store_row_init(&row, stmt);
    bz_store_row_integer(&row, id);
    bz_store_row_text_n(&row, text, m->text_size);
    return bz_store_row_run(&row, j->store, "index a message", err);
}

static bezel_status journal_call_add(journal_turn *j, const bezel_journal_call *c, bezel_error *err)
{
    sqlite3_stmt *stmt;
    bezel_status st = bz_store_statement(&stmt, j->store, BZ_SQL_CALL_ADD, err);
    if (st != BEZEL_OK)
        return st;
    bz_store_row row;
    bz_store_row_init(&row, stmt);
    bz_store_row_text(&row, j->id);
    bz_store_row_text(&row, j->turn->conversation);
    bz_store_row_integer(&row, c->step);
    bz_store_row_text(&row, c->name);
    bz_store_row_text(&row, j->keep ? c->arguments : NULL);
    bz_store_row_text(&row, j->keep ? c->result : NULL);
    bz_store_row_text(&row, c->error_code);
    bz_store_row_text(&row, j->keep ? c->error : NULL);
    bz_store_row_integer(&row, c->repeated != 0);
    bz_store_row_integer(&row, c->duration_us);
    return bz_store_row_run(&row, j->store, "keep a call", err);
}

static bezel_status journal_decision_add(journal_turn *j, const bezel_journal_decision *d, bezel_error *err)
{
    sqlite3_stmt *stmt;
    bezel_status st = bz_store_statement(&stmt, j->store, BZ_SQL_DECISION_ADD, err);
    if (st != BEZEL_OK)
        return st;
    bz_store_row row;
    bz_store_row_init(&row, stmt);
    bz_store_row_text(&row, j->id);
    bz_store_row_text(&row, j->turn->conversation);
    bz_store_row_integer(&row, d->step);
    if (d->call >= 0)
        bz_store_row_integer(&row, d->call);
    else
        bz_store_row_text(&row, NULL);
    bz_store_row_integer(&row, d->at_us);
    bz_store_row_text(&row, d->kind);
    bz_store_row_text(&row, d->outcome);
    bz_store_row_text(&row, d->name);
    bz_store_row_text(&row, j->keep ? d->detail : NULL);
    return bz_store_row_run(&row, j->store, "keep a decision", err);
}

static bezel_status journal_usage_add(journal_turn *j, const bezel_journal_usage *u, bezel_error *err)
{
    sqlite3_stmt *stmt;
    bezel_status st = bz_store_statement(&stmt, j->store, BZ_SQL_USAGE_ADD, err);
    if (st != BEZEL_OK)
        return st;
    const char *stop = bezel_stop_name(u->stop_reason);
    bz_store_row row;
    bz_store_row_init(&row, stmt);
    bz_store_row_text(&row, j->id);
    bz_store_row_text(&row, j->turn->conversation);
    bz_store_row_text(&row, j->user.text);
    bz_store_row_text(&row, j->turn->model);
    bz_store_row_integer(&row, u->step);
    bz_store_row_integer(&row, j->turn->started_ms);
    bz_store_row_count(&row, u->n_prompt);
    bz_store_row_count(&row, u->n_cached);
    bz_store_row_count(&row, u->n_generated);
    bz_store_row_count(&row, u->n_dropped);
    bz_store_row_integer(&row, u->first_token_us);
    bz_store_row_integer(&row, u->total_us);
    /* as R10 counts: all tokens of the answer by the whole time of the call; null without a duration */
    if (u->total_us > 0)
        bz_store_row_real(&row, (double)u->n_generated * 1e6 / (double)u->total_us);
    else
        bz_store_row_text(&row, NULL);
    bz_store_row_text(&row, stop ? stop : "none");
    bz_store_row_text(&row, u->error);
    bz_store_row_count(&row, u->n_forced);
    return bz_store_row_run(&row, j->store, "keep a usage row", err);
}

/* The first question of an unnamed conversation is its title: one line, cut at a character. */
static size_t journal_title_size(const bezel_journal_turn *t, const char **out)
{
    *out = NULL;
    for (uint32_t i = 0; i < t->n_messages; i++) {
        if (t->messages[i].role != BEZEL_ROLE_USER || !t->messages[i].text)
            continue;
        const char *text = t->messages[i].text;
        size_t n = 0, size = t->messages[i].text_size;
        while (n < size && n <= TITLE_AT_MOST && text[n] && text[n] != '\n' && text[n] != '\r')
            n++;
        *out = text;
        return n > TITLE_AT_MOST ? bz_utf8_cut(text, TITLE_AT_MOST) : n;
    }
    return 0;
}

static bezel_status journal_conversation_touch(journal_turn *j, bezel_error *err)
{
    sqlite3_stmt *stmt;
    bezel_status st = bz_store_statement(&stmt, j->store, BZ_SQL_CONVERSATION_TOUCH, err);
    if (st != BEZEL_OK)
        return st;
    const char *title = NULL;
    size_t title_size = j->keep ? journal_title_size(j->turn, &title) : 0;
    int64_t end_ms = j->turn->duration_us > 0 ? j->turn->duration_us / 1000 : 0;
    if (j->turn->started_ms <= INT64_MAX - end_ms)
        end_ms += j->turn->started_ms;
    bz_store_row row;
    bz_store_row_init(&row, stmt);
    bz_store_row_text(&row, j->turn->conversation);
    bz_store_row_text_n(&row, title_size ? title : NULL, title_size);
    bz_store_row_text(&row, j->turn->model);
    bz_store_row_integer(&row, end_ms);
    return bz_store_row_run(&row, j->store, "update the conversation", err);
}

bezel_status bz_store_journal_write(void *ud, const bezel_journal_turn *turn, bezel_error *err)
{
    bezel_store *store = ud;
    bezel_status st = bz_store_write_begin(store, err);
    if (st != BEZEL_OK)
        return st;
    journal_turn j = {.store = store, .turn = turn};
    st = journal_check(store, turn, err);
    if (st != BEZEL_OK)
        goto done;
    j.keep = store->options.keep_content && turn->conversation;
    st = bz_store_new_id(j.id, store, err);
    if (st == BEZEL_OK)
        st = bz_store_name_make(&j.user, store, turn->user, err);
    if (st == BEZEL_OK)
        st = journal_turn_add(&j, err);
    for (uint32_t i = 0; st == BEZEL_OK && turn->conversation && i < turn->n_messages; i++)
        st = journal_message_add(&j, &turn->messages[i], err);
    for (uint32_t i = 0; st == BEZEL_OK && i < turn->n_calls; i++)
        st = journal_call_add(&j, &turn->calls[i], err);
    for (uint32_t i = 0; st == BEZEL_OK && i < turn->n_decisions; i++)
        st = journal_decision_add(&j, &turn->decisions[i], err);
    for (uint32_t i = 0; st == BEZEL_OK && i < turn->n_usages; i++)
        st = journal_usage_add(&j, &turn->usages[i], err);
    if (st == BEZEL_OK)
        st = bz_store_total_turn(store, turn, j.user.text, err);
    if (st == BEZEL_OK && turn->conversation)
        st = journal_conversation_touch(&j, err);
done:
    st = bz_store_write_end(store, st, err);
    if (st == BEZEL_OK)
        bz_store_tidy_write(store);
    return st;
}
