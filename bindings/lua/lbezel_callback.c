/* SPDX-License-Identifier: MIT */
/* The only file that calls Lua from C. A tool runs in its own coroutine, protected, under a hook that ends it at its
 * deadline and cannot be swallowed by the tool's own pcall (coroutines that the tool makes inherit the hook). The hook looks at
 * the clock every so many instructions and before calls; patterns and counts are looked at before they run (lbezel_bound.c).
 * What Lua allocates meanwhile is counted and refused beyond the tool's memory. A tool that yields is pending: its coroutine is
 * parked with the toolset and resumed by the next step; what is dropped before its end is closed.
 * Does not: stop a tool inside io.read, os.execute or C functions of other modules, or in a message handler of its own that
 * the hook's error has entered; tools are the host's code, their arguments are not. What comes from the model is at most
 * 64 KiB a call; maxLength in a tool's parameters makes that less. */
#include "lbezel.h"

#include <stdio.h>
#include <string.h>

#define HOOK_COUNT 10000 /* VM instructions between two looks at the clock: about 50 us */
#define CLOSE_NS INT64_C(1000000000) /* for the closing functions of a tool that was dropped */
#define HOOK_CALLS 256   /* calls between two looks: functions of C that call each other run no instructions */

typedef struct tool_run {
    const lbezel_tool *tool;
    bezel_call *call;
    const bezel_world *world;
    lua_State *co;       /* NULL before the first run; anchored by the stack, a parked one by user value 1 of this userdata */
    int64_t end_ns;      /* of the call's own time */
    int64_t deadline_ns; /* the same, or that of an outer tool */
    bezel_status status;
    char reason[400];
    unsigned calls;
    lua_Alloc alloc; /* of the state, or of an outer tool */
    void *alloc_ud;
    int64_t used;    /* bytes above what Lua held at the start */
    int64_t held;    /* bytes that Lua held when the run was parked */
    int refused;
    int dropped;     /* parked, and nobody waits for it any more */
    struct tool_run *parked; /* the userdata that this one became */
} tool_run;

static const char run_key = 0;  /* registry key of the tool_run that is running, a light userdata */
static const char sets_key = 0; /* registry key of a table without strength: address of a toolset -> its userdata */

static int run_is_late(const tool_run *run) { return run->world->monotonic_ns(run->world->ud) > run->deadline_ns; }

static int run_is_late_ud(void *ud) { return run_is_late(ud); }

/* Counts what Lua allocates while the tool runs. */
static void *run_alloc(void *ud, void *block, size_t old_size, size_t size) {
    tool_run *run = ud;
    const int64_t more = (int64_t)size - (block ? (int64_t)old_size : 0); /* without a block old_size is a type */
    if (more > 0 && run->used + more > run->tool->memory) {
        run->refused = 1;
        return NULL;
    }
    void *fresh = run->alloc(run->alloc_ud, block, old_size, size);
    if (fresh || !size) run->used += more;
    return fresh;
}

static void hook_deadline(lua_State *L, lua_Debug *ar) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &run_key);
    tool_run *run = lua_touserdata(L, -1);
    lua_pop(L, 1);
    if (!run) return;
    int late = 0;
    if (ar->event == LUA_HOOKCOUNT || ++run->calls % HOOK_CALLS == 0) late = run_is_late(run);
    if (!late && ar->event != LUA_HOOKCOUNT) late = lbezel_bound_is_late(L, ar, run_is_late_ud, run);
    if (late) {
        lua_sethook(L, hook_deadline, LUA_MASKCALL | LUA_MASKCOUNT, 1); /* sticky: the tool's own pcall meets it again at once */
        luaL_error(L, "the tool took longer than its time limit");
    }
}

/* Keeps the reason as one line of valid UTF-8, as errors promise. */
static void run_fail(tool_run *run, bezel_status status, const char *text) {
    bezel_tree *tree = bezel_call_tree(run->call);
    size_t size = 0, n = 0;
    const char *clean = bezel_value_text(bezel_tree_text(tree, text ? text : "", SIZE_MAX), &size);
    run->status = status;
    if (size >= sizeof run->reason) {
        size = sizeof run->reason - 1;
        while (size && ((unsigned char)clean[size] & 0xc0) == 0x80) size--; /* no half character at the end */
    }
    for (; n < size; n++) {
        unsigned char c = (unsigned char)clean[n];
        run->reason[n] = (char)(c < 0x20 || c == 0x7f ? ' ' : c);
    }
    run->reason[n] = 0;
    if (!n) snprintf(run->reason, sizeof run->reason, "error without a message");
}

/* Message handler inside the coroutine, under its hook: any error value as text. */
static int run_message(lua_State *L) {
    if (lua_type(L, 1) == LUA_TSTRING) return 1;
    if (lua_type(L, 1) == LUA_TTABLE) {
        lua_pushliteral(L, "message");
        if (lua_rawget(L, 1) == LUA_TSTRING) return 1;
        lua_pop(L, 1);
    }
    if (luaL_getmetafield(L, 1, "__tostring") != LUA_TNIL || lua_type(L, 1) == LUA_TNUMBER) {
        luaL_tolstring(L, 1, NULL);
        return 1;
    }
    lua_pushfstring(L, "the tool raised a %s without a message", luaL_typename(L, 1)); /* no address for the model */
    return 1;
}

/* After the tool's function in the coroutine, at once or after yields: true and its results, or false and a text. */
static int run_ended(lua_State *L, int status, lua_KContext context) {
    const int ok = status == LUA_OK || status == LUA_YIELD;
    (void)context;
    lua_pushboolean(L, ok);
    lua_replace(L, 1);
    return ok ? 3 : 2;
}

/* Body of the coroutine: function, its arguments. */
static int run_protected(lua_State *L) {
    lua_pushcfunction(L, run_message);
    lua_insert(L, 1);
    return run_ended(L, lua_pcallk(L, lua_gettop(L) - 2, 2, 1, 0, run_ended), 0);
}

/* Pushes user value i of the toolset of a tool: 2 the functions, 3 the parked runs. */
static void run_push_list(lua_State *L, const lbezel_tool *tool, int i) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &sets_key);
    /* a finaliser that asks finds the entry gone */
    if (lua_rawgetp(L, -1, tool->owner) != LUA_TUSERDATA || lua_getiuservalue(L, -1, i) != LUA_TTABLE)
        luaL_error(L, "the toolset is gone");
    lua_replace(L, -3);
    lua_pop(L, 1);
}

/* Moves what a first run needs to a new coroutine, which is pushed. */
static void run_begin(lua_State *L, tool_run *run) {
    run->co = lua_newthread(L);
    lua_pushcfunction(L, run_protected);
    run_push_list(L, run->tool, 2);
    lua_rawgeti(L, -1, run->tool->index);
    lua_replace(L, -2);
    lbezel_value_push(L, bezel_call_arguments(run->call), LBEZEL_NULL_AS_NIL);
    if (!lua_checkstack(run->co, 4)) luaL_error(L, "out of memory for the tool's stack");
    lua_xmove(L, run->co, 3);
}

static bezel_status tool_resume(void *ud, bezel_call *call, bezel_error *err);

static void tool_cancel(void *ud, bezel_call *call) {
    tool_run *run = ud; /* lbezel_callback_sweep closes it: here may be no Lua to do that on */
    (void)call;
    run->dropped = 1;
}

/* The tool has yielded: keeps its run, with the coroutine at the top of L, until the next step. */
static void run_park(lua_State *L, tool_run *run) {
    if (!run->parked) {
        tool_run *kept = lua_newuserdatauv(L, sizeof *kept, 1); /* co, kept */
        lua_insert(L, -2);
        lua_setiuservalue(L, -2, 1);
        run_push_list(L, run->tool, 3);
        lua_pushvalue(L, -2);
        lua_rawsetp(L, -2, kept);
        *kept = *run;
        kept->parked = run->parked = kept;
        kept->reason[0] = 0;
        bezel_call_pending(run->call, tool_resume, tool_cancel, kept);
    }
    run->status = BEZEL_TOOL_PENDING;
}

/* A number that the tool yielded is a wish: not before so many milliseconds. */
static void run_delay(const tool_run *run, int n_results) {
    if (n_results && lua_type(run->co, -n_results) == LUA_TNUMBER) {
        const lua_Number ms = lua_tonumber(run->co, -n_results);
        bezel_call_delay(run->call, ms > 0 && ms < 1e9 ? (int64_t)(ms * 1000) : ms > 0 ? INT64_C(1000000000000) : 0);
    }
    lua_pop(run->co, n_results);
}

/* Runs the coroutine on, which is at the top of L at its first run; leaves two results on L and returns 1, or 0 after a
 * failure or a yield. Everything that can raise happens on L, which is protected. */
static int run_resume(lua_State *L, tool_run *run) {
    lua_State *co = run->co;
    int n_results = 0;
    lua_sethook(co, hook_deadline, LUA_MASKCALL | LUA_MASKCOUNT, HOOK_COUNT);
    int rc = lua_resume(co, L, run->parked ? 0 : 2, &n_results);
    lua_sethook(co, NULL, 0, 0);
    if (rc == LUA_YIELD) {
        run_delay(run, n_results);
        run_park(L, run);
        return 0;
    }
    if (rc == LUA_OK && n_results == 3) {
        lua_xmove(co, L, 2);
        return 1;
    }
    const char *text = lua_type(co, -1) == LUA_TSTRING ? lua_tostring(co, -1) : NULL;
    if (run->refused && text && strcmp(text, "not enough memory") == 0) {
        snprintf(run->reason, sizeof run->reason, "the tool took more than its %d MiB of memory",
                 (int)(run->tool->memory >> 20));
        run->status = BEZEL_ERR_LIMIT;
    } else
        run_fail(run, run_is_late(run) ? BEZEL_ERR_TIMEOUT : BEZEL_ERR_CALLBACK, text);
    return 0;
}

/* The words that the tool's own function has for the result at index i. When it fails the model reads the result. */
static void run_summary(lua_State *L, tool_run *run, int i) {
    int n_results = 0;
    lua_State *co = lua_newthread(L);
    lua_pushcfunction(L, run_protected);
    run_push_list(L, run->tool, 2);
    lua_rawgeti(L, -1, run->tool->index + 2);
    lua_replace(L, -2);
    lua_pushvalue(L, i);
    lbezel_value_push(L, bezel_call_arguments(run->call), LBEZEL_NULL_AS_NIL);
    if (!lua_checkstack(co, 5)) luaL_error(L, "out of memory for the tool's stack");
    lua_xmove(L, co, 4);
    lua_sethook(co, hook_deadline, LUA_MASKCALL | LUA_MASKCOUNT, HOOK_COUNT);
    const int rc = lua_resume(co, L, 3, &n_results);
    lua_sethook(co, NULL, 0, 0);
    if (rc == LUA_OK && n_results == 3 && lua_type(co, -2) == LUA_TSTRING) bezel_call_summary(run->call, lua_tostring(co, -2));
}

/* Protected body: the tool_run as light userdata. */
static int tool_body(lua_State *L) {
    tool_run *run = lua_touserdata(L, 1);
    luaL_checkstack(L, 10, "tool");
    run->status = BEZEL_OK;
    if (!run->co) run_begin(L, run); /* run, co */
    if (!run_resume(L, run)) return 0;
    if (lua_isnil(L, -2) && lua_isstring(L, -1)) { /* nil, message: how Lua functions fail */
        run_fail(run, BEZEL_ERR_CALLBACK, lua_tostring(L, -1));
        return 0;
    }
    const int result = lua_gettop(L) - 1;
    if (run->tool->has_summary) run_summary(L, run, result);
    bezel_call_finish(run->call, lbezel_value_get(L, result, bezel_call_tree(run->call)));
    return 0;
}

/* Keeps the tool_run of an outer tool (one that runs an agent of its own) while an inner one is under way. */
static const void *run_swap(lua_State *L, const void *run) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &run_key);
    const void *outer = lua_touserdata(L, -1);
    lua_pop(L, 1);
    lua_pushlightuserdata(L, (void *)(uintptr_t)run);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &run_key); /* the key exists since the module was opened: no allocation */
    return outer;
}

/* Bytes that Lua holds; -1 inside of a finaliser, where it does not tell. */
static int64_t held_by(lua_State *L) {
    const int kib = lua_gc(L, LUA_GCCOUNT);
    return kib < 0 ? -1 : (int64_t)kib * 1024 + lua_gc(L, LUA_GCCOUNTB);
}

/* Calls body(run) protected, under the limits of the run; 1, or 0 and an error message at the top of L. */
static int run_limited(lua_State *L, tool_run *run, lua_CFunction body) {
    const tool_run *outer = run_swap(L, run);
    run->deadline_ns = outer && outer->deadline_ns < run->end_ns ? outer->deadline_ns : run->end_ns;
    if (run->parked) { /* what was collected meanwhile may have been its own */
        const int64_t held = held_by(L), freed = run->held - held;
        if (held >= 0 && freed > 0) run->used = freed < run->used ? run->used - freed : 0;
    }
    run->alloc = lua_getallocf(L, &run->alloc_ud);
    lua_setallocf(L, run_alloc, run);
    lua_pushcfunction(L, body);
    lua_pushlightuserdata(L, run);
    const int rc = lua_pcall(L, 1, 0, 0);
    lua_setallocf(L, run->alloc, run->alloc_ud);
    run_swap(L, outer);
    if (run->parked) run->parked->held = held_by(L);
    return rc == LUA_OK;
}

/* Takes a parked run out of its list, which no longer holds it: the caller does not look at it again. */
static void run_unpark(lua_State *L, const tool_run *run) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &sets_key);
    if (lua_rawgetp(L, -1, run->tool->owner) == LUA_TUSERDATA && lua_getiuservalue(L, -1, 3) == LUA_TTABLE) {
        lua_pushnil(L);
        lua_rawsetp(L, -2, run);
    }
}

/* Runs a tool from its beginning or where it yielded. */
static bezel_status run_enter(tool_run *run, bezel_error *err) {
    lua_State *L = run->tool->owner->L;
    bezel_call *call = run->call;
    if (!L || !lua_checkstack(L, 8)) {
        bezel_call_fail(call, "no Lua state is running this call");
        return BEZEL_ERR_CALLBACK;
    }
    const int top = lua_gettop(L), was_parked = run->parked != NULL;
    if (!run_limited(L, run, tool_body))
        run_fail(run, BEZEL_ERR_CALLBACK, lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL);
    const bezel_status status = run->status;
    if (status < 0 && err) {
        const bezel_error fresh = BEZEL_ERROR_INIT;
        *err = fresh;
        err->status = status;
        snprintf(err->origin, sizeof err->origin, "lua");
        snprintf(err->text, sizeof err->text, "%s", run->reason);
    }
    if (was_parked && status != BEZEL_TOOL_PENDING) run_unpark(L, run);
    lua_settop(L, top);
    return status;
}

bezel_status lbezel_callback_tool(void *ud, bezel_call *call, bezel_error *err) {
    const lbezel_tool *tool = ud;
    tool_run run = {.tool = tool, .call = call, .world = bezel_engine_world(tool->owner->engine)};
    run.end_ns = run.world->monotonic_ns(run.world->ud) + tool->timeout_ms * 1000000;
    return run_enter(&run, err);
}

static bezel_status tool_resume(void *ud, bezel_call *call, bezel_error *err) {
    (void)call;
    return run_enter(ud, err);
}

/* Protected body: closes the coroutine of a dropped run, whose to-be-closed variables run under its limits. */
static int close_body(lua_State *L) {
    tool_run *run = lua_touserdata(L, 1);
    lua_sethook(run->co, hook_deadline, LUA_MASKCALL | LUA_MASKCOUNT, HOOK_COUNT);
    lua_resetthread(run->co);
    lua_sethook(run->co, NULL, 0, 0);
    return 0;
}

/* Pushes a dropped run out of the list at the top, or pushes nothing and returns NULL. */
static tool_run *sweep_next(lua_State *L) {
    for (lua_pushnil(L); lua_next(L, -2);) {
        tool_run *run = lua_touserdata(L, -1);
        if (run->dropped) { /* list, key, run */
            lua_pushnil(L);
            lua_rawsetp(L, -4, run);
            lua_replace(L, -2);
            return run;
        }
        lua_pop(L, 1);
    }
    return NULL;
}

void lbezel_callback_sweep(lua_State *L) {
    const int top = lua_gettop(L);
    if (!lua_checkstack(L, 8) || !lua_isuserdata(L, -1) || lua_getiuservalue(L, -1, 3) != LUA_TTABLE) {
        lua_settop(L, top);
        return;
    }
    tool_run *run;
    while ((run = sweep_next(L)) != NULL) { /* from the beginning: a closing function may park another */
        run->end_ns = run->world->monotonic_ns(run->world->ud) + CLOSE_NS;
        run_limited(L, run, close_body);
        lua_settop(L, top + 1);
    }
    lua_settop(L, top);
}

const bezel_call *lbezel_callback_call(lua_State *L) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &run_key);
    const tool_run *run = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return run && !run->dropped ? run->call : NULL;
}

int lbezel_callback_may_yield(lua_State *L) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &run_key);
    const tool_run *run = lua_touserdata(L, -1);
    lua_pop(L, 1);
    return run && run->co == L && lua_isyieldable(L);
}

/* --- Permissions -------------------------------------------------------------------------- */

/* Protected body: function, request. Returns what it answered and why. */
static int confirm_body(lua_State *L) {
    static const char *const classes[] = {"unknown", "pure", "read", "write", "network"};
    const bezel_permission *request = lua_touserdata(L, 2);
    lua_settop(L, 1);
    lua_createtable(L, 0, 5);
    lua_pushinteger(L, (lua_Integer)request->id);
    lua_setfield(L, 2, "id");
    lua_pushstring(L, request->name);
    lua_setfield(L, 2, "name");
    lua_pushstring(L, classes[request->permission < 5 ? request->permission : 0]);
    lua_setfield(L, 2, "permission");
    lua_pushstring(L, request->text);
    lua_setfield(L, 2, "text");
    lbezel_value_push(L, request->arguments, LBEZEL_NULL_AS_NIL);
    lua_setfield(L, 2, "arguments");
    lua_call(L, 1, 2);
    return 2;
}

uint32_t lbezel_callback_confirm(void *ud, const bezel_permission *request) {
    const lbezel_confirm *at = ud;
    lua_State *L = at->L;
    uint32_t answer = BEZEL_PERMIT_DENY;
    if (!L || !lua_checkstack(L, 8)) return answer;
    const int top = lua_gettop(L);
    lua_pushcfunction(L, confirm_body);
    lua_getiuservalue(L, at->chat, 4);
    lua_pushlightuserdata(L, (void *)(uintptr_t)request);
    const int rc = lua_pcall(L, 2, 2, 0);
    if (rc == LUA_OK && lua_isnil(L, -2)) {
        answer = BEZEL_PERMIT_ASK;
    } else if (rc == LUA_OK && lua_toboolean(L, -2)) {
        answer = BEZEL_PERMIT_ALLOW;
    } else if (rc != LUA_OK || lua_type(L, -1) == LUA_TSTRING) { /* false and a reason, or a message */
        char reason[256];
        snprintf(reason, sizeof reason, "%s%s", rc == LUA_OK ? "" : "asking failed: ",
                 lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "no message");
        if (bezel_agent_answer(at->agent, request->id, BEZEL_PERMIT_DENY, reason, NULL) == BEZEL_OK) answer = BEZEL_PERMIT_ASK;
    }
    lua_settop(L, top);
    return answer;
}

void lbezel_callback_register(lua_State *L, const lbezel_toolset *set) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &sets_key);
    lua_pushvalue(L, -2);
    lua_rawsetp(L, -2, set);
    lua_pop(L, 1);
}

typedef struct judge_job {
    const char *direction, *text;
    size_t size;
} judge_job;

/* Protected body: the function, a judge_job as light userdata. Returns whether it is allowed, and a reason. */
static int judge_body(lua_State *L) {
    const judge_job *job = lua_touserdata(L, 2);
    lua_settop(L, 1);
    lua_pushlstring(L, job->text, job->size);
    lua_pushstring(L, job->direction);
    lua_call(L, 2, 2);
    return 2;
}

int32_t lbezel_callback_judge(lua_State *L, int i, const char *direction, const char *text, size_t size, const char **reason) {
    judge_job job = {direction, text, size};
    *reason = "no room for a judge";
    if (!lua_checkstack(L, 6)) return -1;
    lua_pushcfunction(L, judge_body);
    lua_pushvalue(L, i);
    lua_pushlightuserdata(L, &job);
    const int failed = lua_pcall(L, 2, 2, 0) != LUA_OK; /* what it returns stays on the stack, and so the reason lives */
    *reason = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
    return failed ? -1 : lua_toboolean(L, -2);
}

typedef struct score_job {
    const bezel_monitor_answer *answer;
    bezel_monitor_quality *scores;
} score_job;

/* Protected body: the function, a score_job as light userdata. */
static int score_body(lua_State *L) {
    const score_job *job = lua_touserdata(L, 2);
    const bezel_monitor_answer *a = job->answer;
    static const char *const names[] = {"relevance", "coherence", "safety", "accuracy", "satisfaction"};
    double *const scores[] = {&job->scores->relevance, &job->scores->coherence, &job->scores->safety, &job->scores->accuracy,
                              &job->scores->satisfaction};
    lua_settop(L, 1);
    lua_pushstring(L, a->question);
    lua_pushstring(L, a->answer);
    lua_createtable(L, 0, 5);
    for (int i = 0; i < 5; i++) {
        if (*scores[i] != *scores[i]) continue; /* none */
        lua_pushnumber(L, *scores[i]);
        lua_setfield(L, -2, names[i]);
    }
    lua_pushstring(L, a->reference);
    lua_call(L, 4, 1);
    for (int i = 0; lua_istable(L, -1) && i < 5; i++) {
        int is_number;
        lua_pushstring(L, names[i]);
        lua_rawget(L, -2);
        const lua_Number x = lua_tonumberx(L, -1, &is_number);
        if (is_number) *scores[i] = x;
        lua_pop(L, 1);
    }
    return 0;
}

void lbezel_callback_score(lua_State *L, int i, const bezel_monitor_answer *answer, bezel_monitor_quality *scores) {
    score_job job = {answer, scores};
    if (!lua_checkstack(L, 8)) return;
    lua_pushcfunction(L, score_body);
    lua_pushvalue(L, i);
    lua_pushlightuserdata(L, &job);
    if (lua_pcall(L, 2, 0, 0) != LUA_OK) lua_pop(L, 1);
}

void lbezel_callback_open(lua_State *L) {
    lbezel_bound_open(L);
    lua_pushlightuserdata(L, NULL);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &run_key);
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &sets_key) == LUA_TNIL) {
        lua_newtable(L); /* nil, sets */
        lua_createtable(L, 0, 1);
        lua_pushliteral(L, "v");
        lua_setfield(L, -2, "__mode");
        lua_setmetatable(L, -2);
        lua_rawsetp(L, LUA_REGISTRYINDEX, &sets_key);
    }
    lua_pop(L, 1);
}
