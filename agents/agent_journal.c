/* SPDX-License-Identifier: MIT */
/* A finished turn as a record for the journal and as a list for the host. Writes no database: the journal is a callback. */
#include "agent_impl.h"

#include "base/alloc.h"

typedef struct journal_record {
    bezel_journal_message *messages;
    bezel_journal_call *calls;
    char **texts; /* JSON that bezel_json_write made */
    size_t n_texts;
} journal_record;

static bezel_status record_json(const char **out, journal_record *r, bezel_agent *a, const bezel_value *value,
                                bezel_error *err)
{
    *out = NULL;
    if (!value)
        return BEZEL_OK;
    size_t size;
    char *text = NULL;
    bezel_error why = BEZEL_ERROR_INIT;
    bezel_status st = bezel_json_write(&text, &size, a->engine, value, 0, &why);
    if (st == BEZEL_ERR_NUMERIC) { /* JSON has no infinity: keep the fact that there was a value */
        st = BEZEL_OK;
        text = bz_text_dup(a->world, "null", SIZE_MAX);
        if (!text)
            st = bz_fail_memory(err, "agent", "the journal", 5);
    } else if (st != BEZEL_OK) {
        bz_error_copy(err, &why);
    }
    if (st == BEZEL_OK) {
        r->texts[r->n_texts++] = text;
        *out = text;
    }
    return st;
}

static bezel_status record_calls(journal_record *r, bezel_agent *a, bezel_error *err)
{
    bezel_status st = BEZEL_OK;
    for (size_t i = 0; st == BEZEL_OK && i < a->n_calls; i++) {
        const bz_agent_call *c = &a->calls[i];
        bezel_journal_call *o = &r->calls[i];
        *o = (bezel_journal_call){.step = c->step,
                                  .repeated = c->repeated,
                                  .name = c->name,
                                  .error_code = c->code,
                                  .error = c->error,
                                  .duration_us = c->duration_us};
        st = record_json(&o->arguments, r, a, c->arguments, err);
        if (st == BEZEL_OK)
            st = record_json(&o->result, r, a, c->result, err);
    }
    return st;
}

bezel_status bz_agent_journal_write(bezel_agent *a, int withdrawn, bezel_error *err)
{
    if (!a->journal.write)
        return BEZEL_OK;
    size_t n_messages = a->n_history > a->turn_begin ? a->n_history - a->turn_begin : 0;
    journal_record r = {0};
    bezel_status st = BEZEL_OK;
    r.messages = bz_zalloc_array(a->world, n_messages + 1, sizeof *r.messages);
    r.calls = bz_zalloc_array(a->world, a->n_calls + 1, sizeof *r.calls);
    r.texts = bz_zalloc_array(a->world, 2 * a->n_calls + 1, sizeof *r.texts);
    if (!r.messages || !r.calls || !r.texts) {
        st = bz_fail_memory(err, "agent", "the journal", 0);
        goto done;
    }
    for (size_t i = 0; i < n_messages; i++) {
        const bz_memory_message *m = &a->history[a->turn_begin + i];
        r.messages[i] = (bezel_journal_message){m->role, m->step, m->text, m->size};
    }
    st = record_calls(&r, a, err);
    if (st != BEZEL_OK)
        goto done;
    bezel_journal_turn turn = {.size = sizeof turn,
                               .n_messages = (uint32_t)n_messages,
                               .conversation = a->conversation,
                               .user = a->user,
                               .model = bezel_model_name(a->model),
                               .error = a->final < 0 ? a->error.text : NULL,
                               .started_ms = a->started_ms,
                               .duration_us = a->total_us,
                               .messages = r.messages,
                               .calls = r.calls,
                               .usages = a->usages,
                               .n_calls = (uint32_t)a->n_calls,
                               .n_usages = (uint32_t)a->n_usages,
                               .withdrawn = withdrawn,
                               .status = a->final < 0 ? bezel_status_name(a->final) : NULL,
                               .span = a->span,
                               .parent = a->parent[0] ? a->parent : NULL,
                               .decisions = a->decisions,
                               .n_decisions = (uint32_t)a->n_decisions};
    st = a->journal.write(a->journal.ud, &turn, err);
    if (st > 0)
        st = BEZEL_OK;
done:
    for (size_t i = 0; i < r.n_texts; i++)
        bezel_text_free(a->engine, r.texts[i]);
    bz_free(a->world, r.texts);
    bz_free(a->world, r.calls);
    bz_free(a->world, r.messages);
    return st;
}

/* A repeated call shows the result that it was given. */
static const bz_agent_call *list_answered(bezel_agent *a, const bz_agent_call *call)
{
    const bz_agent_call *same = call->repeated ? bz_agent_call_original(a, call->name, call->arguments) : NULL;
    return same ? same : call;
}

bezel_status bz_agent_call_list(bezel_agent *a, bezel_error *err)
{
    bezel_tree *t = a->tree;
    bezel_value *list = bezel_tree_list(t);
    for (size_t i = 0; i < a->n_calls; i++) {
        const bz_agent_call *c = &a->calls[i], *from = list_answered(a, c);
        bezel_value *map = bezel_tree_map(t);
        bezel_value_set(t, map, "name", bezel_tree_text(t, c->name, SIZE_MAX));
        if (c->arguments)
            bezel_value_set(t, map, "arguments", bezel_tree_copy(t, c->arguments));
        if (from->result)
            bezel_value_set(t, map, "result", bezel_tree_copy(t, from->result));
        if (from->error)
            bezel_value_set(t, map, "error", bezel_tree_text(t, from->error, SIZE_MAX));
        if (from->code)
            bezel_value_set(t, map, "code", bezel_tree_text(t, from->code, SIZE_MAX));
        bezel_value_set(t, map, "repeated", bezel_tree_bool(t, c->repeated));
        bezel_value_set(t, map, "step", bezel_tree_integer(t, c->step));
        bezel_value_set(t, map, "duration_ms", bezel_tree_number(t, (double)c->duration_us / 1000.0));
        bezel_value_append(t, list, map);
    }
    if (bezel_tree_status(t) != BEZEL_OK)
        return bz_fail(err, bezel_tree_status(t), "agent", "no room for the list of calls");
    a->call_list = list;
    return BEZEL_OK;
}
