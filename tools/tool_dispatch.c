/* SPDX-License-Identifier: MIT */
/* Runs calls. Main invariant: a function is reached only through the exact name of a registered tool and only with valid
 * arguments; a call lives as long as its dispatcher or its pending tool needs it (two references), so neither may dangle
 * when the other goes first. A late C function is reported, never stopped: nothing here knows how to stop it; a pending one
 * that left a cancel function is told. */
#include <bezel/tools.h>

#include <bezel/engine.h>

#include <stdio.h>
#include <string.h>

#include "base/alloc.h"
#include "base/options.h"
#include "base/strbuf.h"
#include "result_summary.h"
#include "tool_registry.h"

#define ORIGIN "dispatch"
#define POLL_US 1000 /* between two looks at a pending tool that has no wish */

struct bezel_call {
    const bezel_world *world;
    unsigned references;  /* dispatcher and tool; confined to the agent's thread */
    int pending;          /* the tool promised an answer and holds a reference */
    int finished;         /* bezel_call_finish or bezel_call_fail was called */
    int abandoned;        /* nobody waits for the answer: late, or its dispatcher has let go */
    bezel_tool_fn resume; /* how a pending tool goes on, or NULL */
    void (*cancel)(void *ud, bezel_call *call);
    void *pending_ud;
    int64_t resume_ns;    /* not resumed before; 0 = the tool has not said, at the next poll */
    int resuming;
    char name[BZ_TOOL_NAME_BYTES + 1];
    char turn[64];        /* id of the turn, or "" */
    uint32_t depth;       /* agents above */
    bz_strbuf summary;    /* what bezel_call_summary said */
    bezel_tree *tree;     /* arguments and result */
    const bezel_value *arguments;
    const bezel_value *result;
    bezel_error error;    /* status BEZEL_OK: none */
    int64_t started_ns, ended_ns, timeout_ms;
};

struct bezel_dispatch {
    bezel_call *call; /* the current try */
    const bezel_world *world;
    bezel_engine *engine;
    bezel_tool_fn fn;
    void *ud;
    const char *format; /* the tool's summary, or NULL */
    bz_strbuf summary;
    uint32_t retries_left, n_retries, retry_ms;
    int64_t retry_ns;   /* when the next try begins; 0 = the current one is under way or was the last */
    bezel_error failed; /* the try before */
};

static void release_call(bezel_call *call)
{
    if (--call->references > 0)
        return;
    bezel_tree_free(call->tree);
    bz_strbuf_free(&call->summary);
    bz_free(call->world, call);
}

static int64_t now_ns(const bezel_world *w)
{
    return w->monotonic_ns(w->ud);
}

/* --- A running call ----------------------------------------------------------------------- */

const char *bezel_call_name(const bezel_call *call)
{
    return call != NULL ? call->name : "";
}

const bezel_value *bezel_call_arguments(const bezel_call *call)
{
    return call != NULL ? call->arguments : NULL;
}

bezel_tree *bezel_call_tree(bezel_call *call)
{
    return call != NULL ? call->tree : NULL;
}

static int64_t elapsed_ns(const bezel_call *call)
{
    int64_t end = call->finished ? call->ended_ns : now_ns(call->world);
    return end > call->started_ns ? end - call->started_ns : 0;
}

/* Until the call is late; negative when it is. */
static int64_t left_ns(const bezel_call *call)
{
    int64_t timeout_ns = call->timeout_ms > INT64_MAX / 1000000 ? INT64_MAX : call->timeout_ms * 1000000;
    return timeout_ns - elapsed_ns(call);
}

static void end_call(bezel_call *call)
{
    call->finished = 1;
    call->ended_ns = now_ns(call->world);
    if (call->pending) { /* the tool's reference goes with its answer */
        call->pending = 0;
        release_call(call);
    }
}

void bezel_call_finish(bezel_call *call, const bezel_value *result)
{
    if (call == NULL || call->finished)
        return;
    bezel_value *copy = result == NULL ? bezel_tree_null(call->tree) : bezel_tree_copy(call->tree, result);
    if (copy == NULL || bezel_tree_status(call->tree) != BEZEL_OK) {
        bezel_status status = bezel_tree_status(call->tree);
        status = status != BEZEL_OK ? status : BEZEL_ERR_MEMORY;
        bz_fail(&call->error, status, ORIGIN, "the result of %s could not be kept", call->name);
        bz_error_place(&call->error, status, "%s", call->name);
    } else {
        call->result = copy;
    }
    end_call(call);
}

void bezel_call_fail(bezel_call *call, const char *reason)
{
    if (call == NULL || call->finished)
        return;
    bz_fail(&call->error, BEZEL_ERR_CALLBACK, ORIGIN, "%s", reason != NULL && reason[0] != '\0' ? reason : "the function failed");
    bz_error_place(&call->error, BEZEL_ERR_CALLBACK, "%s", call->name);
    end_call(call);
}

void bezel_call_summary(bezel_call *call, const char *text)
{
    if (call == NULL || call->finished)
        return;
    bz_strbuf_reset(&call->summary);
    bz_strbuf_text(&call->summary, text != NULL ? text : "");
}

const char *bezel_call_turn(const bezel_call *call)
{
    return call != NULL ? call->turn : "";
}

uint32_t bezel_call_depth(const bezel_call *call)
{
    return call != NULL ? call->depth : 0;
}

void bezel_call_pending(bezel_call *call, bezel_tool_fn resume, void (*cancel)(void *ud, bezel_call *call), void *ud)
{
    if (call == NULL || call->finished || call->abandoned)
        return;
    call->resume = resume;
    call->cancel = cancel;
    call->pending_ud = ud;
}

void bezel_call_delay(bezel_call *call, int64_t delay_us)
{
    if (call == NULL)
        return;
    int64_t now = now_ns(call->world);
    if (delay_us > (INT64_MAX - now) / 1000)
        call->resume_ns = INT64_MAX;
    else
        call->resume_ns = delay_us > 0 ? now + delay_us * 1000 : 1;
}

int64_t bezel_call_left_us(const bezel_call *call)
{
    int64_t left = call == NULL || call->finished || call->abandoned ? 0 : left_ns(call) / 1000;
    return left > 0 ? left : 0;
}

/* Nobody waits any more: a pending tool is told once and its reference taken back; one that left no cancel function keeps
 * the call until it answers. */
static void abandon_call(bezel_call *call)
{
    if (call->abandoned)
        return;
    call->abandoned = 1;
    if (!call->pending || call->cancel == NULL)
        return;
    call->cancel(call->pending_ud, call);
    if (!call->finished)
        end_call(call);
}

/* --- Starting ----------------------------------------------------------------------------- */

static bezel_status validate(bezel_call *call, const bz_tool *tool, const bezel_value *arguments, bezel_error *err)
{
    bz_arena arena;
    bz_schema_check check;
    bezel_value *value = NULL;
    memset(&check, 0, sizeof check);
    check.schema = tool->schema;
    check.tree = call->tree;
    bz_raw none;
    memset(&none, 0, sizeof none);
    none.kind = BEZEL_MAP;
    bz_arena_init(&arena, call->world, 0);
    bezel_status status = bezel_value_type(arguments) == BEZEL_NULL
                              ? bz_schema_apply(&value, &check, 0, &none)
                              : bz_schema_apply_value(&value, &check, 0, &arena, arguments);
    bz_arena_free(&arena);
    call->arguments = value;
    if (status == BEZEL_ERR_MEMORY)
        return bz_fail_memory(err, ORIGIN, "the arguments of a call", 0);
    if (status == BEZEL_OK)
        return status;
    bz_fail(err, BEZEL_ERR_PARSE, ORIGIN, "%s: %s", check.problem.code, check.problem.text);
    return bz_error_place(err, BEZEL_ERR_PARSE, "%s%s%s", tool->name, check.problem.parameter[0] != '\0' ? "." : "",
                          check.problem.parameter);
}

static bezel_status refuse_unknown(const bezel_toolset *tools, const char *name, bezel_error *err)
{
    char names[200];
    size_t size = 0;
    names[0] = '\0';
    for (size_t i = 0; i < tools->count; i++) {
        int n = snprintf(names + size, sizeof names - size, "%s%s", i > 0 ? ", " : "", tools->tools[i].name);
        if (n < 0 || (size_t)n >= sizeof names - size) {
            names[size] = '\0';
            break;
        }
        size += (size_t)n;
    }
    bz_fail(err, BEZEL_ERR_DENIED, ORIGIN, "there is no function %.80s", name);
    bz_error_hint(err, BEZEL_ERR_DENIED, "available: %s", names[0] != '\0' ? names : "none");
    return bz_error_place(err, BEZEL_ERR_DENIED, "%.80s", name);
}

/* What a function returned, once or after being resumed; the call's own error wins over what the function put into err. */
static void take_return(bezel_call *call, bezel_status status, const bezel_error *why)
{
    if (call->finished || status == BEZEL_TOOL_PENDING)
        return; /* end_call gave the reference back, or the tool keeps it */
    if (status < 0) {
        call->error = *why;
        if (why->status == BEZEL_OK)
            bz_fail(&call->error, status, ORIGIN, "%s failed: %s", call->name, bezel_status_name(status));
        call->error.status = status;
    } else {
        bz_fail(&call->error, BEZEL_ERR_CALLBACK, ORIGIN, "%s returned without a result", call->name);
        bz_error_hint(&call->error, BEZEL_ERR_CALLBACK, "call bezel_call_finish, or return BEZEL_TOOL_PENDING");
    }
    bz_error_place(&call->error, call->error.status, "%s", call->name);
    end_call(call);
}

static void run_tool(bezel_dispatch *d)
{
    bezel_call *call = d->call;
    bezel_error why = BEZEL_ERROR_INIT;
    if (d->fn == NULL) {
        bz_fail(&call->error, BEZEL_ERR_UNSUPPORTED, ORIGIN, "%s is a declaration without code", call->name);
        bz_error_hint(&call->error, BEZEL_ERR_UNSUPPORTED, "register a function for it");
        end_call(call);
        return;
    }
    call->references++; /* the function may keep the call */
    call->pending = 1;
    take_return(call, d->fn(d->ud, call, &why), &why);
}

static void resume_tool(bezel_call *call)
{
    bezel_error why = BEZEL_ERROR_INIT;
    if (!call->pending || call->abandoned || call->resume == NULL || call->resuming || now_ns(call->world) < call->resume_ns)
        return;
    call->resume_ns = 0;
    call->resuming = 1; /* a tool that polls its own dispatch finds itself pending */
    bezel_status status = call->resume(call->pending_ud, call, &why);
    call->resuming = 0;
    take_return(call, status, &why);
}

static bezel_status new_call(bezel_call **out, const bezel_world *w, bezel_engine *engine, const char *name, bezel_error *err)
{
    bezel_call *call = bz_zalloc(w, sizeof *call);
    if (call == NULL)
        return bz_fail_memory(err, ORIGIN, "a call", sizeof *call);
    call->world = w;
    call->references = 1;
    call->error = (bezel_error)BEZEL_ERROR_INIT;
    bz_strbuf_init(&call->summary, w, 0);
    snprintf(call->name, sizeof call->name, "%s", name);
    bezel_status status = bezel_tree_new(&call->tree, engine, err);
    if (status == BEZEL_OK)
        *out = call;
    else
        release_call(call);
    return status;
}

bezel_status bezel_dispatch_start_in(bezel_dispatch **out, const bezel_toolset *tools, const char *name,
                                     const bezel_value *arguments, const char *turn, uint32_t depth, bezel_error *err)
{
    if (out == NULL || tools == NULL || name == NULL)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, ORIGIN, "out, tools or name is NULL");
    *out = NULL;
    const bz_tool *tool = bz_tool_find(tools, name, strlen(name));
    if (tool == NULL)
        return refuse_unknown(tools, name, err);
    bezel_call *call = NULL;
    bezel_status status = new_call(&call, tools->world, tools->engine, tool->name, err);
    if (status != BEZEL_OK)
        return status;
    status = validate(call, tool, arguments, err);
    bezel_dispatch *dispatch = status == BEZEL_OK ? bz_zalloc(tools->world, sizeof *dispatch) : NULL;
    if (dispatch == NULL) {
        release_call(call);
        return status != BEZEL_OK ? status : bz_fail_memory(err, ORIGIN, "a call", sizeof *dispatch);
    }
    snprintf(call->turn, sizeof call->turn, "%s", turn != NULL ? turn : "");
    call->depth = depth;
    call->timeout_ms = tool->timeout_ms;
    call->started_ns = now_ns(tools->world);
    *dispatch = (bezel_dispatch){.call = call,
                                 .world = tools->world,
                                 .engine = tools->engine,
                                 .fn = tool->fn,
                                 .ud = tool->ud,
                                 .format = tool->summary,
                                 .retries_left = tool->retries,
                                 .retry_ms = tool->retry_ms,
                                 .failed = BEZEL_ERROR_INIT};
    bz_strbuf_init(&dispatch->summary, tools->world, 0);
    run_tool(dispatch);
    *out = dispatch;
    return BEZEL_OK;
}

bezel_status bezel_dispatch_start(bezel_dispatch **out, const bezel_toolset *tools, const char *name,
                                  const bezel_value *arguments, bezel_error *err)
{
    return bezel_dispatch_start_in(out, tools, name, arguments, NULL, 0, err);
}

/* --- Trying again ------------------------------------------------------------------------- */

/* 1 when the call has failed and another try may come in time; sets when. */
static int plan_retry(bezel_dispatch *d)
{
    const bezel_call *call = d->call;
    const bezel_status failure = call->error.status;
    if (d->retry_ns != 0)
        return 1;
    if (!call->finished || call->abandoned || d->retries_left == 0 || failure == BEZEL_OK || failure == BEZEL_ERR_MEMORY ||
        failure == BEZEL_ERR_DENIED || failure == BEZEL_ERR_UNSUPPORTED)
        return 0;
    int64_t delay_ns = (int64_t)d->retry_ms * 1000000 * ((int64_t)1 << d->n_retries), now = now_ns(d->world);
    if (call->timeout_ms <= INT64_MAX / 1000000 && now + delay_ns - call->started_ns >= call->timeout_ms * 1000000)
        return 0;
    d->retries_left--;
    d->n_retries++;
    d->retry_ns = now + delay_ns;
    d->failed = call->error;
    return 1;
}

/* Puts a new call with the same arguments in place of the failed one and runs it. */
static bezel_status run_again(bezel_dispatch *d, bezel_error *err)
{
    bezel_call *old = d->call, *call = NULL;
    bezel_status status = new_call(&call, d->world, d->engine, old->name, err);
    if (status != BEZEL_OK)
        return status;
    call->arguments = bezel_tree_copy(call->tree, old->arguments);
    if (call->arguments == NULL) {
        release_call(call);
        return bz_fail_memory(err, ORIGIN, "the arguments of a call", 0);
    }
    memcpy(call->turn, old->turn, sizeof call->turn);
    call->depth = old->depth;
    call->timeout_ms = old->timeout_ms;
    call->started_ns = old->started_ns;
    release_call(old);
    d->call = call;
    d->retry_ns = 0;
    run_tool(d);
    return BEZEL_OK;
}

/* --- Watching ----------------------------------------------------------------------------- */

bezel_status bezel_dispatch_poll(bezel_dispatch *dispatch, bezel_error *err)
{
    if (dispatch == NULL)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, ORIGIN, "dispatch is NULL");
    if (dispatch->retry_ns != 0 && now_ns(dispatch->world) >= dispatch->retry_ns) {
        bezel_status status = run_again(dispatch, err);
        if (status != BEZEL_OK)
            return status;
    } else if (left_ns(dispatch->call) > 0) {
        resume_tool(dispatch->call);
    }
    bezel_call *call = dispatch->call;
    if (left_ns(call) < 0) {
        abandon_call(call);
        bz_fail(err, BEZEL_ERR_TIMEOUT, ORIGIN, "%s took longer than %lld ms", call->name, (long long)call->timeout_ms);
        bz_error_hint(err, BEZEL_ERR_TIMEOUT, "raise timeout_ms of the tool or make it faster");
        return bz_error_place(err, BEZEL_ERR_TIMEOUT, "%s", call->name);
    }
    if (!call->finished || plan_retry(dispatch))
        return BEZEL_TOOL_PENDING;
    if (call->error.status != BEZEL_OK)
        return bz_error_copy(err, &call->error);
    if (dispatch->format != NULL && dispatch->summary.size == 0 &&
        !bz_summary_fill(&dispatch->summary, dispatch->format, call->result, call->arguments)) {
        if (dispatch->summary.status == BEZEL_ERR_MEMORY)
            return bz_fail_memory(err, ORIGIN, "the summary of a result", 0);
        bz_strbuf_reset(&dispatch->summary);
    }
    return BEZEL_OK;
}

const bezel_value *bezel_dispatch_result(const bezel_dispatch *dispatch)
{
    return dispatch != NULL && dispatch->call->finished ? dispatch->call->result : NULL;
}

const char *bezel_dispatch_summary(const bezel_dispatch *dispatch)
{
    const bezel_call *call = dispatch != NULL ? dispatch->call : NULL;
    if (call == NULL || !call->finished || call->result == NULL)
        return NULL;
    if (call->summary.size > 0 && call->summary.status == BEZEL_OK)
        return bz_strbuf_cstr(&call->summary);
    return dispatch->summary.size > 0 && dispatch->summary.status == BEZEL_OK ? bz_strbuf_cstr(&dispatch->summary) : NULL;
}

uint32_t bezel_dispatch_retries(const bezel_dispatch *dispatch, bezel_error *out_last)
{
    if (dispatch == NULL)
        return 0;
    if (dispatch->n_retries > 0)
        bz_error_copy(out_last, &dispatch->failed);
    return dispatch->n_retries;
}

int64_t bezel_dispatch_us(const bezel_dispatch *dispatch)
{
    return dispatch != NULL ? elapsed_ns(dispatch->call) / 1000 : 0;
}

int64_t bezel_dispatch_wait_us(const bezel_dispatch *dispatch)
{
    const bezel_call *call = dispatch != NULL ? dispatch->call : NULL;
    if (call != NULL && dispatch->retry_ns != 0) {
        int64_t until = dispatch->retry_ns - now_ns(call->world);
        return until > 0 ? (until - 1) / 1000 + 1 : 0;
    }
    if (call == NULL || call->finished || call->abandoned)
        return -1;
    int64_t left = left_ns(call), now = now_ns(call->world);
    int64_t late = left < 0 ? 0 : left / 1000 + 1;
    int64_t delay = call->resume_ns > now ? (call->resume_ns - now - 1) / 1000 + 1 : call->resume_ns == 0 ? POLL_US : 0;
    return call->resume == NULL || delay > late ? late : delay;
}

void bezel_dispatch_free(bezel_dispatch *dispatch)
{
    if (dispatch == NULL)
        return;
    const bezel_world *w = dispatch->world;
    abandon_call(dispatch->call);
    release_call(dispatch->call);
    bz_strbuf_free(&dispatch->summary);
    bz_free(w, dispatch);
}
