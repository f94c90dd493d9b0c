/* SPDX-License-Identifier: MIT */
/* The only file that calls Lua from C. A tool runs in its own coroutine, protected, under a hook that ends it at its
 * deadline and cannot be swallowed by the tool's own pcall (coroutines that the tool makes inherit the hook). The hook looks at
 * the clock every so many instructions and before calls; patterns and counts are looked at before they run (lbezel_bound.c).
 * What Lua allocates meanwhile is counted and refused beyond the tool's memory. A tool that yields is an error the model can
 * read.
 * Does not: stop a tool inside io.read, os.execute or C functions of other modules, or in a message handler of its own that
 * the hook's error has entered; tools are the host's code, their arguments are not. What comes from the model is at most
 * 64 KiB a call; maxLength in a tool's parameters makes that less. */
#include "lbezel.h"

#include <stdio.h>
#include <string.h>

#define HOOK_COUNT 10000 /* VM instructions between two looks at the clock: about 50 us */
#define HOOK_CALLS 256   /* calls between two looks: functions of C that call each other run no instructions */

typedef struct tool_run {
    const lbezel_tool *tool;
    bezel_call *call;
    const bezel_world *world;
    int64_t deadline_ns;
    bezel_status status;
    char reason[400];
    unsigned calls;
    lua_Alloc alloc; /* of the state, or of an outer tool */
    void *alloc_ud;
    int64_t used;    /* bytes above what Lua held at the start */
    int refused;
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

/* Body of the coroutine: function, arguments. Returns true and at most two results, or false and a text. Because C waits
 * here, a yield of the tool is an error that Lua raises in the tool. */
static int run_protected(lua_State *L) {
    lua_pushcfunction(L, run_message);
    lua_insert(L, 1);
    if (lua_pcall(L, 1, 2, 1) == LUA_OK) {
        lua_pushboolean(L, 1);
        lua_replace(L, 1);
        return 3;
    }
    lua_pushboolean(L, 0);
    lua_replace(L, 1);
    return 2;
}

/* Pushes the function of a tool. */
static void run_push_function(lua_State *L, const lbezel_tool *tool) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &sets_key);
    /* a finaliser that asks finds the entry gone */
    if (lua_rawgetp(L, -1, tool->owner) != LUA_TUSERDATA || lua_getiuservalue(L, -1, 2) != LUA_TTABLE)
        luaL_error(L, "the toolset is gone");
    lua_rawgeti(L, -1, tool->index); /* sets, set, list, function */
    lua_replace(L, -4);
    lua_pop(L, 2);
}

/* Resumes co once with the function and its arguments; leaves two results on L and returns 1, or 0 after a failure.
 * Everything that can raise happens on L, which is protected. */
static int run_resume(lua_State *L, lua_State *co, tool_run *run) {
    int n_results = 0;
    lua_pushcfunction(L, run_protected);
    run_push_function(L, run->tool);
    lbezel_value_push(L, bezel_call_arguments(run->call), LBEZEL_NULL_AS_NIL);
    if (!lua_checkstack(co, 4)) luaL_error(L, "out of memory for the tool's stack");
    lua_xmove(L, co, 3);
    lua_sethook(co, hook_deadline, LUA_MASKCALL | LUA_MASKCOUNT, HOOK_COUNT);
    int rc = lua_resume(co, L, 2, &n_results);
    lua_sethook(co, NULL, 0, 0);
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

/* Protected body: the tool_run as light userdata. */
static int tool_body(lua_State *L) {
    tool_run *run = lua_touserdata(L, 1);
    luaL_checkstack(L, 10, "tool");
    lua_State *co = lua_newthread(L); /* run, co */
    if (!run_resume(L, co, run)) return 0;
    if (lua_isnil(L, -2) && lua_isstring(L, -1)) { /* nil, message: how Lua functions fail */
        run_fail(run, BEZEL_ERR_CALLBACK, lua_tostring(L, -1));
        return 0;
    }
    bezel_call_finish(run->call, lbezel_value_get(L, -2, bezel_call_tree(run->call)));
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
    if (!L || !lua_checkstack(L, 6)) {
        bezel_call_fail(call, "no Lua state is running this call");
        return BEZEL_ERR_CALLBACK;
    }
    int top = lua_gettop(L);
    run.deadline_ns = run.world->monotonic_ns(run.world->ud) + tool->timeout_ms * 1000000;
    const tool_run *outer = run_swap(L, &run);
    if (outer && outer->deadline_ns < run.deadline_ns) run.deadline_ns = outer->deadline_ns;
    run.alloc = lua_getallocf(L, &run.alloc_ud);
    lua_setallocf(L, run_alloc, &run);
    lua_pushcfunction(L, tool_body);
    lua_pushlightuserdata(L, &run);
    if (lua_pcall(L, 1, 0, 0) != LUA_OK)
        run_fail(&run, BEZEL_ERR_CALLBACK, lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : NULL);
    lua_setallocf(L, run.alloc, run.alloc_ud);
    run_swap(L, outer);
    lua_settop(L, top);
    if (run.status != BEZEL_OK && err) {
        const bezel_error fresh = BEZEL_ERROR_INIT;
        *err = fresh;
        err->status = run.status;
        snprintf(err->origin, sizeof err->origin, "lua");
        snprintf(err->text, sizeof err->text, "%s", run.reason);
    }
    return run.status;
}

void lbezel_callback_register(lua_State *L, const lbezel_toolset *set) {
    lua_rawgetp(L, LUA_REGISTRYINDEX, &sets_key);
    lua_pushvalue(L, -2);
    lua_rawsetp(L, -2, set);
    lua_pop(L, 1);
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
