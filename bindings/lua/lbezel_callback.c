/* SPDX-License-Identifier: MIT */
/* The only file that calls Lua from C. A tool runs in its own coroutine, protected, under a count hook that ends it at
 * its deadline and cannot be swallowed by the tool's own pcall. A tool that yields is an error the model can read. */
#include "lbezel.h"

#include <stdio.h>

#define HOOK_COUNT 10000 /* VM instructions between two looks at the clock: about 50 us */

typedef struct tool_run {
    const lbezel_tool *tool;
    bezel_call *call;
    const bezel_world *world;
    int64_t deadline_ns;
    bezel_status status;
    char reason[400];
} tool_run;

static const char run_key = 0; /* registry key of the tool_run that is running, a light userdata */

static int run_is_late(const tool_run *run) { return run->world->monotonic_ns(run->world->ud) > run->deadline_ns; }

static void hook_deadline(lua_State *L, lua_Debug *ar) {
    (void)ar;
    lua_rawgetp(L, LUA_REGISTRYINDEX, &run_key);
    const tool_run *run = lua_touserdata(L, -1);
    lua_pop(L, 1);
    if (run && run_is_late(run)) {
        lua_sethook(L, hook_deadline, LUA_MASKCOUNT, 1); /* sticky: the tool's own pcall meets it again at once */
        luaL_error(L, "the tool took longer than its time limit");
    }
}

static void run_fail(tool_run *run, bezel_status status, const char *text) {
    run->status = status;
    snprintf(run->reason, sizeof run->reason, "%s", text ? text : "error without a message");
}

/* Resumes co once with the function and its arguments; leaves its results or its error on L and returns their count,
 * or -1 after a failure. Everything that can raise happens on L, which is protected. */
static int run_resume(lua_State *L, lua_State *co, tool_run *run) {
    int n_results = 0;
    lua_rawgeti(L, LUA_REGISTRYINDEX, run->tool->function);
    lbezel_value_push(L, bezel_call_arguments(run->call), LBEZEL_NULL_AS_NIL);
    if (!lua_checkstack(co, 4)) luaL_error(L, "out of memory for the tool's stack");
    lua_xmove(L, co, 2);
    lua_sethook(co, hook_deadline, LUA_MASKCOUNT, HOOK_COUNT);
    int rc = lua_resume(co, L, 1, &n_results);
    lua_sethook(co, NULL, 0, 0);
    if (rc == LUA_OK) {
        if (n_results > 2) lua_pop(co, n_results - 2), n_results = 2;
        lua_xmove(co, L, n_results);
        return n_results;
    }
    if (rc == LUA_YIELD) {
        lua_resetthread(co);
        run_fail(run, BEZEL_ERR_UNSUPPORTED, "the tool yielded; it must return its result");
        return -1;
    }
    lua_xmove(co, L, 1); /* ..., error */
    run_fail(run, run_is_late(run) ? BEZEL_ERR_TIMEOUT : BEZEL_ERR_CALLBACK, luaL_tolstring(L, -1, NULL));
    return -1;
}

/* Protected body: the tool_run as light userdata. */
static int tool_body(lua_State *L) {
    tool_run *run = lua_touserdata(L, 1);
    luaL_checkstack(L, 10, "tool");
    lua_State *co = lua_newthread(L); /* run, co */
    int n = run_resume(L, co, run);
    if (n < 0) return 0;
    if (n == 2 && lua_isnil(L, -2) && lua_isstring(L, -1)) { /* nil, message: how Lua functions fail */
        run_fail(run, BEZEL_ERR_CALLBACK, lua_tostring(L, -1));
        return 0;
    }
    bezel_tree *tree = bezel_call_tree(run->call);
    bezel_call_finish(run->call, n ? lbezel_value_get(L, -n, tree) : bezel_tree_null(tree));
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

bezel_status lbezel_callback_tool(void *ud, bezel_call *call, bezel_error *err) {
    const lbezel_tool *tool = ud;
    lua_State *L = tool->owner->L;
    tool_run run = {.tool = tool, .call = call, .world = bezel_engine_world(tool->owner->engine)};
    run.deadline_ns = run.world->monotonic_ns(run.world->ud) + tool->timeout_ms * 1000000;
    if (!L || !lua_checkstack(L, 6)) {
        bezel_call_fail(call, "no Lua state is running this call");
        return BEZEL_ERR_CALLBACK;
    }
    int top = lua_gettop(L);
    const void *outer = run_swap(L, &run);
    lua_pushcfunction(L, tool_body);
    lua_pushlightuserdata(L, &run);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
        const char *text = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL;
        run_fail(&run, BEZEL_ERR_CALLBACK, text);
    }
    run_swap(L, outer);
    lua_settop(L, top);
    if (run.status == BEZEL_OK) return BEZEL_OK;
    bezel_call_fail(call, run.reason);
    if (err) {
        err->status = run.status;
        err->offset = -1;
        snprintf(err->origin, sizeof err->origin, "lua");
        snprintf(err->text, sizeof err->text, "%s", run.reason);
        err->hint[0] = err->place[0] = 0;
    }
    return run.status;
}

void lbezel_callback_tool_free(void *ud) {
    lbezel_tool *tool = ud;
    luaL_unref(tool->owner->main, LUA_REGISTRYINDEX, tool->function);
    tool->function = LUA_NOREF;
}

void lbezel_callback_open(lua_State *L) {
    lua_pushlightuserdata(L, NULL);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &run_key);
}
