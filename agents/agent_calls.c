/* SPDX-License-Identifier: MIT */
/* The calls of a turn. Invariants: no two calls with the same name and equal arguments are run in one turn; all calls of
 * one model call are started before any is waited for, but those of serial tools one after another; their results go back as
 * one message in call order. */
#include <string.h>

#include "agent_impl.h"

#include "base/alloc.h"
#include "base/utf8.h"

int bz_agent_has_tools(const bezel_agent *a)
{
    return bezel_toolset_count(bz_agent_tools(a)) > 0;
}

/* --- Taking note -------------------------------------------------------------------------- */

static bz_agent_call *calls_push(bezel_agent *a, bezel_error *err)
{
    if (!bz_agent_grow(a->world, &a->calls, &a->calls_capacity, a->n_calls, sizeof *a->calls)) {
        bz_fail_memory(err, "agent", "the calls", (a->n_calls + 1) * sizeof *a->calls);
        return NULL;
    }
    bz_agent_call *call = &a->calls[a->n_calls];
    *call = (bz_agent_call){.step = a->step - 1, .seen = 1, .seen_step = a->step - 1};
    return call;
}

static const char *calls_text(bezel_agent *a, const char *text, size_t size)
{
    return text ? bz_arena_text(&a->arena, text, size) : NULL;
}

bz_agent_call *bz_agent_call_original(bezel_agent *a, const char *name, const bezel_value *arguments)
{
    for (size_t i = 0; i < a->n_calls; i++) {
        bz_agent_call *c = &a->calls[i];
        if (c->arguments && !c->repeated && !c->refused && strcmp(c->name, name) == 0 &&
            bezel_value_equal(c->arguments, arguments))
            return c;
    }
    return NULL;
}

bezel_status bz_agent_call_add(bezel_agent *a, const bezel_parse_event *found, bezel_error *err)
{
    bz_agent_call *same = bz_agent_call_original(a, found->tool, found->arguments);
    size_t same_index = same ? (size_t)(same - a->calls) : 0;
    bz_agent_call *call = calls_push(a, err);
    if (!call)
        return BEZEL_ERR_MEMORY;
    call->name = calls_text(a, found->tool, SIZE_MAX);
    call->arguments = bezel_tree_copy(a->tree, found->arguments);
    if (!call->name || !call->arguments)
        return bz_fail_memory(err, "agent", "a call", 0);
    a->n_calls++;
    if (!same)
        return BEZEL_OK;
    same = &a->calls[same_index];
    call->repeated = 1;
    if (same->seen_step != call->step) {
        same->seen++;
        same->seen_step = call->step;
    }
    bezel_status st = bz_agent_decide(a, "loop", "repeated", call, call->name, NULL, err);
    if (st != BEZEL_OK)
        return st;
    return bz_agent_note(a, err, "%s was already called with these arguments; it is not run again", call->name);
}

bezel_status bz_agent_parse_error_add(bezel_agent *a, const bezel_parse_event *found, bezel_error *err)
{
    bz_agent_call *call = calls_push(a, err);
    if (!call)
        return BEZEL_ERR_MEMORY;
    call->name = calls_text(a, found->tool ? found->tool : "", SIZE_MAX);
    call->code = calls_text(a, found->code ? found->code : "syntax", SIZE_MAX);
    call->error = calls_text(a, found->text ? found->text : "", found->text ? found->text_size : 0);
    if (!call->name || !call->code || !call->error)
        return bz_fail_memory(err, "agent", "a call", 0);
    call->done = 1;
    a->n_calls++;
    bezel_agent_event event = {.type = BEZEL_AGENT_PARSE_ERROR,
                               .step = call->step,
                               .text = call->error,
                               .text_size = strlen(call->error),
                               .name = call->name[0] ? call->name : NULL,
                               .code = call->code};
    return bz_agent_emit(a, &event, err);
}

/* --- Running ------------------------------------------------------------------------------ */

/* A decision for each try that failed and is made again. */
static bezel_status calls_retries(bezel_agent *a, bz_agent_call *call, bezel_error *err)
{
    bezel_error last = BEZEL_ERROR_INIT;
    uint32_t n = bezel_dispatch_retries(call->dispatch, &last);
    if (n == call->retries)
        return BEZEL_OK;
    call->retries = n;
    return bz_agent_decide(a, "retry", bezel_status_name(last.status), call, call->name, last.text, err);
}

/* --- On record ---------------------------------------------------------------------------- */

/* Tools that hand over are the agent's own: they run in a replay, too. */
static int calls_is_recorded(const bezel_agent *a, const bz_agent_call *call)
{
    return a->record && !(a->n_roles > 1 && strncmp(call->name, "transfer_to_", 12) == 0);
}

static bezel_status calls_late(bezel_agent *a, bz_agent_call *call, bezel_error *err)
{
    if (call->status != BEZEL_ERR_TIMEOUT)
        return BEZEL_OK;
    return bz_agent_decide(a, "timeout", "late", call, call->name, call->error, err);
}

static bezel_status calls_record(bezel_agent *a, const bz_agent_call *call, int is_dropped, bezel_error *err)
{
    if (!calls_is_recorded(a, call) || bz_record_plays(a->record))
        return BEZEL_OK;
    const bz_record_tool tool = {.name = call->name,
                                 .arguments = call->arguments,
                                 .result = call->result,
                                 .summary = call->summary ? bezel_value_text(call->summary, NULL) : NULL,
                                 .status = call->status,
                                 .error = call->error,
                                 .is_undeclared = call->undeclared,
                                 .is_dropped = is_dropped,
                                 .us = call->duration_us};
    return bz_record_tool_add(a->record, &tool, err);
}

/* The recorded end of the call in place of the tool. */
static bezel_status calls_play(bezel_agent *a, bz_agent_call *call, bezel_error *err)
{
    bz_record_tool tool = {.name = call->name, .arguments = call->arguments};
    bezel_status st = bz_record_tool_next(a->record, &tool, err);
    if (st != BEZEL_OK)
        return st;
    if (tool.is_dropped)
        return bz_fail(err, tool.status, "agent", "%s", tool.error ? tool.error : "the turn ended here");
    call->done = 1;
    call->undeclared = tool.is_undeclared;
    call->status = tool.status;
    call->duration_us = tool.us;
    if (tool.status < 0) {
        call->code = bezel_status_name(tool.status);
        call->error = calls_text(a, tool.error ? tool.error : call->code, SIZE_MAX);
        return call->error ? calls_late(a, call, err) : bz_fail_memory(err, "agent", "the error of a tool", 0);
    }
    call->result = tool.is_undeclared ? NULL : bezel_tree_copy(a->tree, tool.result);
    call->summary = tool.summary ? bezel_tree_text(a->tree, tool.summary, SIZE_MAX) : NULL;
    return bezel_tree_status(a->tree) == BEZEL_OK ? BEZEL_OK : bz_fail_memory(err, "agent", "a result", 0);
}

/* --- Ends --------------------------------------------------------------------------------- */

/* What a tool answered; its failure is a fact for the model, not an error of the turn. */
static bezel_status calls_settle(bezel_agent *a, bz_agent_call *call, bezel_status st, const bezel_error *why,
                                 bezel_error *err)
{
    if (st == BEZEL_TOOL_PENDING)
        return calls_retries(a, call, err);
    call->done = 1;
    if (call->dispatch)
        call->duration_us = bezel_dispatch_us(call->dispatch);
    if (st >= 0) {
        call->result = bezel_tree_copy(a->tree, bezel_dispatch_result(call->dispatch));
        if (!call->result)
            return bz_fail_memory(err, "agent", "a result", 0);
        const char *summary = bezel_dispatch_summary(call->dispatch);
        if (summary) {
            call->summary = bezel_tree_text(a->tree, summary, SIZE_MAX);
            if (!call->summary)
                return bz_fail_memory(err, "agent", "the summary of a result", 0);
        }
    } else if (st == BEZEL_ERR_UNSUPPORTED && strcmp(why->origin, "dispatch") == 0) { /* not the tool's own words */
        call->undeclared = 1;
    } else {
        call->status = st;
        call->code = bezel_status_name(st);
        if (st == BEZEL_ERR_MEMORY) { /* no fact about the question that a model could do something with */
            bz_error_copy(err, why);
            return st;
        }
        call->error = calls_text(a, why->text[0] ? why->text : call->code, SIZE_MAX);
        if (!call->error)
            return bz_fail_memory(err, "agent", "the error of a tool", 0);
    }
    bezel_dispatch_free(call->dispatch);
    call->dispatch = NULL;
    bezel_status kept = calls_record(a, call, 0, err);
    return kept == BEZEL_OK ? calls_late(a, call, err) : kept;
}

static bezel_status calls_refuse(bezel_agent *a, bz_agent_call *call, bezel_error *err)
{
    call->refused = call->done = 1;
    call->code = "too_many_calls";
    call->error = "too many calls at once; ask again with fewer";
    bezel_status st = bz_agent_decide(a, "limit", "max_calls", call, call->name, NULL, err);
    return st != BEZEL_OK ? st : bz_agent_note(a, err, "%s was not called: at most %u calls are run in one model turn", call->name,
                         (unsigned)a->options.max_calls);
}

static bezel_status calls_run(bezel_agent *a, bz_agent_call *call, bezel_error *err)
{
    bezel_agent_event event = {
        .type = BEZEL_AGENT_CALL, .step = call->step, .name = call->name, .arguments = call->arguments};
    bezel_status st = bz_agent_emit(a, &event, err);
    if (st != BEZEL_OK)
        return st;
    bezel_error why = BEZEL_ERROR_INIT;
    call->state = BZ_CALL_RUNNING;
    if (bz_record_plays(a->record) && calls_is_recorded(a, call))
        return calls_play(a, call, err);
    st = bezel_dispatch_start_in(&call->dispatch, bz_agent_tools(a), call->name, call->arguments, a->span, a->depth, &why);
    return st < 0 ? calls_settle(a, call, st, &why, err) : BEZEL_OK; /* else its answer is there to be polled, at once or later */
}

static int calls_is_serial(const bezel_agent *a, const bz_agent_call *call)
{
    return bezel_toolset_serial(bz_agent_tools(a), bz_agent_tool_place(a, call->name));
}

/* 1 while a serial call has to wait for one before it. */
static int calls_waits(const bezel_agent *a, const bz_agent_call *call)
{
    if (call->state != BZ_CALL_NEW || !calls_is_serial(a, call))
        return 0;
    for (const bz_agent_call *c = a->calls + a->step_calls; c < call; c++)
        if (!c->done && !c->repeated && calls_is_serial(a, c))
            return 1;
    return 0;
}

/* Lets a call run that may, and ends one that may not. */
static bezel_status calls_advance(bezel_agent *a, bz_agent_call *call, bezel_error *err)
{
    uint32_t permit;
    if (calls_waits(a, call))
        return BEZEL_OK;
    bezel_status st = bz_agent_permission(&permit, a, call, err);
    if (st != BEZEL_OK || permit == BEZEL_PERMIT_ASK)
        return st;
    if (permit == BEZEL_PERMIT_ALLOW)
        return calls_run(a, call, err);
    call->denied = call->done = 1;
    call->status = BEZEL_ERR_DENIED;
    call->code = bezel_status_name(BEZEL_ERR_DENIED);
    call->error = call->reason;
    return BEZEL_OK;
}

bezel_status bz_agent_calls_start(bezel_agent *a, bezel_error *err)
{
    uint32_t n_run = 0;
    bezel_status st = BEZEL_OK;
    for (size_t i = a->step_calls; st == BEZEL_OK && i < a->n_calls; i++) {
        bz_agent_call *call = &a->calls[i];
        if (call->done || call->repeated)
            continue;
        if (n_run++ >= a->options.max_calls) {
            st = calls_refuse(a, call, err);
            continue;
        }
        st = calls_advance(a, call, err);
    }
    return st;
}

bezel_status bz_agent_calls_poll(bezel_agent *a, bezel_error *err)
{
    int waits = 0;
    for (size_t i = a->step_calls; i < a->n_calls; i++) {
        bz_agent_call *call = &a->calls[i];
        if (call->done || call->repeated)
            continue;
        bezel_error why = BEZEL_ERROR_INIT;
        bezel_status st;
        if (call->state != BZ_CALL_RUNNING)
            st = calls_advance(a, call, err);
        else
            st = calls_settle(a, call, bezel_dispatch_poll(call->dispatch, &why), &why, err);
        if (st != BEZEL_OK)
            return st;
        waits |= !call->done;
    }
    return waits ? BEZEL_TOOL_PENDING : BEZEL_OK;
}

int64_t bz_agent_calls_wait_us(const bezel_agent *a)
{
    int64_t least = INT64_MAX;
    for (size_t i = a->step_calls; i < a->n_calls; i++) {
        const bz_agent_call *call = &a->calls[i];
        int64_t wait = INT64_MAX;
        if (call->dispatch)
            wait = bezel_dispatch_wait_us(call->dispatch);
        else if (!call->done && call->state == BZ_CALL_ASKED)
            wait = call->permit != BEZEL_PERMIT_DEFAULT ? 0 : (call->ask_end_ns - a->world->monotonic_ns(a->world->ud)) / 1000 + 1;
        least = wait < least ? wait : least;
    }
    return least == INT64_MAX || least < 0 ? 0 : least;
}

void bz_agent_calls_drop(bezel_agent *a, bezel_status st)
{
    for (size_t i = a->step_calls; i < a->n_calls; i++) {
        bz_agent_call *call = &a->calls[i];
        if (call->done || call->repeated)
            continue;
        if (call->dispatch && bezel_dispatch_wait_us(call->dispatch) < 0) { /* its answer is there and not lost */
            bezel_error why = BEZEL_ERROR_INIT;
            bezel_status got = bezel_dispatch_poll(call->dispatch, &why);
            if (calls_settle(a, call, got, &why, NULL) == BEZEL_OK)
                continue;
        }
        call->done = 1;
        call->status = st;
        call->code = call->dispatch ? bezel_status_name(st) : "not_run";
        call->error = call->dispatch ? "the turn ended before it answered" : "the turn ended before it was called";
        if (call->state == BZ_CALL_ASKED)
            call->error = "the turn ended before it was allowed";
        if (call->dispatch)
            call->duration_us = bezel_dispatch_us(call->dispatch);
        if (call->dispatch)
            calls_record(a, call, 1, NULL); /* the turn fails anyway */
        bezel_dispatch_free(call->dispatch);
        call->dispatch = NULL;
    }
}

void bz_agent_calls_clear(bezel_agent *a)
{
    for (size_t i = 0; i < a->n_calls; i++)
        bezel_dispatch_free(a->calls[i].dispatch);
    a->n_calls = 0;
    a->step_calls = 0;
}

/* --- Results ------------------------------------------------------------------------------ */

static size_t calls_result_limit(const bezel_agent *a)
{
    size_t eighth = a->n_ctx / 8, limit = a->options.max_result_tokens;
    if (!limit)
        limit = eighth < 1000 ? eighth : 1000;
    return limit < 16 ? 16 : limit;
}

static bezel_status calls_tokens(size_t *out, const bezel_agent *a, const char *text, size_t size, bezel_error *err)
{
    bezel_status st = bezel_tokenize(NULL, 0, out, a->model, text, size, 0, err);
    return st == BEZEL_ERR_LIMIT && *out ? BEZEL_OK : st;
}

/* One result line within the limit of tokens; *out_cut 1 when something was left out. */
static bezel_status calls_line(char **out, size_t *out_size, int *out_cut, bezel_agent *a, const bz_agent_call *call,
                               bezel_error *err)
{
    size_t allowed = calls_result_limit(a), tokens = 0;
    size_t bytes = allowed * 64; /* no text has tokens that long: a huge result is not tokenized whole */
    const char *name = call->name[0] ? call->name : "FUNCTION_CALL";
    *out = NULL;
    *out_cut = 0;
    for (int round = 0;; round++) {
        bezel_status st = bezel_result_render(out, out_size, a->engine, a->options.tool_profile, name, call->arguments,
                                              call->error     ? NULL
                                              : call->summary ? call->summary
                                                              : call->result,
                                              call->error, bytes, err);
        if (st != BEZEL_OK)
            return st;
        st = calls_tokens(&tokens, a, *out, *out_size, err);
        if (st != BEZEL_OK) {
            bezel_text_free(a->engine, *out);
            *out = NULL;
            return st;
        }
        if (tokens <= allowed || round == 6 || bytes <= 64)
            return BEZEL_OK;
        /* shrink in proportion, with a tenth of margin for the note in the middle */
        *out_cut = 1;
        size_t from = *out_size < bytes ? *out_size : bytes;
        bytes = (size_t)((double)from * (double)allowed / (double)tokens * 0.9);
        bytes = bytes < 64 ? 64 : bytes;
        bezel_text_free(a->engine, *out);
        *out = NULL;
    }
}

static const bz_agent_call *calls_original(bezel_agent *a, const bz_agent_call *call)
{
    const bz_agent_call *same = call->repeated ? bz_agent_call_original(a, call->name, call->arguments) : NULL;
    return same ? same : call;
}

static bezel_status calls_event(bezel_agent *a, const bz_agent_call *call, const bz_agent_call *from, bezel_error *err)
{
    if (!call->arguments)
        return BEZEL_OK; /* a parse error had its event when it was read */
    bezel_agent_event event = {.type = BEZEL_AGENT_RESULT,
                               .step = call->step,
                               .name = call->name,
                               .code = from->code,
                               .arguments = call->arguments,
                               .result = from->result,
                               .text = from->error,
                               .text_size = from->error ? strlen(from->error) : 0};
    return bz_agent_emit(a, &event, err);
}

/* Whether the result of this call is already in the message: the same call stood earlier in this model call. */
static int calls_told(bezel_agent *a, const bz_agent_call *call, const bz_agent_call *from)
{
    if (from == call)
        return 0;
    for (const bz_agent_call *c = a->calls + a->step_calls; c < call; c++) {
        if (c == from || (c->repeated && calls_original(a, c) == from))
            return 1;
    }
    return 0;
}

static bezel_status calls_tell(bz_strbuf *b, bezel_agent *a, const bz_agent_call *call, bezel_error *err)
{
    const bz_agent_call *from = calls_original(a, call);
    char *line = NULL;
    size_t size = 0;
    int cut = 0;
    bezel_status st = calls_event(a, call, from, err);
    if (st != BEZEL_OK || calls_told(a, call, from))
        return st;
    bz_agent_call refused = *from;
    if (from != call && from->seen >= 3)
        refused.error = "already called with these arguments; not run again. Answer with what you have";
    st = calls_line(&line, &size, &cut, a, &refused, err);
    if (st != BEZEL_OK)
        return st;
    if (b->size && !a->options.tool_profile->native)
        bz_strbuf_char(b, '\n');
    bz_strbuf_add(b, line, size);
    if (from != call && from->seen == 2 && !a->options.tool_profile->native)
        bz_strbuf_text(b, " (already called with these arguments)");
    bezel_text_free(a->engine, line);
    if (cut)
        st = bz_agent_decide(a, "limit", "result", call, call->name, NULL, err);
    if (cut && st == BEZEL_OK)
        st = bz_agent_note(a, err, "the result of %s was cut to %zu tokens", call->name, calls_result_limit(a));
    return st;
}

/* 1 when a result came from outside: what a pure tool says follows from what the model asked. */
static int calls_taint(const bezel_agent *a)
{
    for (size_t i = a->step_calls; i < a->n_calls; i++) {
        const bz_agent_call *c = &a->calls[i];
        if ((c->state == BZ_CALL_RUNNING || c->repeated) && bz_agent_class(a, c->name) != BEZEL_TOOL_PURE)
            return 1;
    }
    return 0;
}

bezel_status bz_agent_calls_reply(bezel_agent *a, bezel_error *err)
{
    bz_strbuf b;
    bezel_status st = BEZEL_OK;
    bz_strbuf_init(&b, a->world, (size_t)64 << 20);
    for (size_t i = a->step_calls; st == BEZEL_OK && i < a->n_calls; i++)
        st = calls_tell(&b, a, &a->calls[i], err);
    if (st == BEZEL_OK && a->answer_only && !a->options.profile->label_guard && !a->options.tool_profile->native)
        bz_strbuf_text(&b, "\nAnswer now with what you have; no more calls.");
    if (st == BEZEL_OK && b.status != BEZEL_OK)
        st = bz_fail(err, b.status, "agent", "no room for the results");
    if (st == BEZEL_OK)
        st = bz_agent_history_add(a, BEZEL_ROLE_TOOL, a->step - 1, bz_strbuf_cstr(&b), b.size, err);
    if (st == BEZEL_OK)
        a->history[a->n_history - 1].is_tainted = calls_taint(a);
    bz_strbuf_free(&b);
    return st;
}

/* --- Failures ----------------------------------------------------------------------------- */

static int calls_failed(const bz_agent_call *c)
{
    return c->arguments && c->code && !c->repeated && !c->refused && !c->denied;
}

/* One retry is allowed: small models seldom repair a call twice. A success in between starts anew. */
bezel_status bz_agent_calls_check(bezel_agent *a, bezel_error *err)
{
    for (size_t i = a->step_calls; i < a->n_calls; i++) {
        const bz_agent_call *c = &a->calls[i], *last = NULL;
        for (size_t k = 0; calls_failed(c) && k < a->step_calls; k++) {
            const bz_agent_call *o = &a->calls[k];
            if (o->arguments && !o->repeated && !o->refused && !o->denied && strcmp(o->name, c->name) == 0)
                last = o;
        }
        if (last && calls_failed(last)) {
            bz_agent_decide(a, "failure", "ended", c, c->name, c->error, NULL); /* the turn fails anyway */
            bezel_status st = bz_fail(err, c->status, "agent", "%s failed twice: %s", c->name, c->error);
            return bz_error_hint(err, st, "the model was told the first time; see the arguments in the turn's calls");
        }
    }
    return BEZEL_OK;
}
