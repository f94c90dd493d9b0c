/* SPDX-License-Identifier: MIT */
/* What the C functions of Lua's own library may take while a tool runs. The tool's hook sees every call before it happens:
 * find, match, gmatch and gsub are walked in advance under the tool's deadline (lbezel_pattern.c) and then run as they are, so
 * results and messages are the stock ones; rep of nothing and table.move have a bound on their count. What they and the others make is
 * bounded by the tool's memory, and so is the time of functions whose work is linear.
 * Invariant: no table, metatable or function of the host is changed; a function that the host kept in a local is met too.
 * Does not: see functions that are no longer those of the library when the module is opened, nor io and os. */
#include "lbezel.h"

#include <string.h>

enum { BOUND_COUNT = 1 << 26 }; /* rounds of a loop in C of some ns each */
#define BOUND_FREE 1e6           /* tries that need no walk: some ms */

enum { BOUND_FIND, BOUND_MATCH, BOUND_GMATCH, BOUND_GSUB, BOUND_REP, BOUND_MOVE, BOUND_LIMIT };

static const struct {
    const char *library, *name;
} bound_names[BOUND_LIMIT] = { /* ORDER: as the enum */
    {"string", "find"}, {"string", "match"}, {"string", "gmatch"}, {"string", "gsub"}, {"string", "rep"}, {"table", "move"}};

static const char functions_key = 0; /* registry key of a userdata with the functions of the library */

void lbezel_bound_open(lua_State *L) {
    lua_CFunction *functions = lua_newuserdatauv(L, BOUND_LIMIT * sizeof *functions, 0);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_LOADED_TABLE);
    for (int i = 0; i < BOUND_LIMIT; i++) {
        functions[i] = NULL;
        if (lua_getfield(L, -1, bound_names[i].library) == LUA_TTABLE) {
            lua_pushstring(L, bound_names[i].name);
            lua_rawget(L, -2);
            functions[i] = lua_tocfunction(L, -1);
            lua_pop(L, 1);
        }
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &functions_key);
}

/* Which of them the call is, BOUND_LIMIT = none. */
static int bound_which(lua_State *L, lua_Debug *ar) {
    int i = BOUND_LIMIT;
    lua_getinfo(L, "fr", ar);
    lua_CFunction fn = lua_tocfunction(L, -1);
    if (fn) {
        lua_rawgetp(L, LUA_REGISTRYINDEX, &functions_key);
        const lua_CFunction *functions = lua_touserdata(L, -1);
        for (i = 0; i < BOUND_LIMIT && functions[i] != fn;) i++;
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return i;
}

/* Pushes argument i of the call, nil where there is none; its type. */
static int bound_push(lua_State *L, lua_Debug *ar, int i) {
    if (i > ar->ntransfer || !lua_getlocal(L, ar, i)) lua_pushnil(L);
    return lua_type(L, -1);
}

static lua_Integer bound_integer(lua_State *L, lua_Debug *ar, int i, lua_Integer fallback) {
    if (bound_push(L, ar, i) != LUA_TNIL) fallback = lua_tointeger(L, -1); /* the function itself refuses a wrong one */
    lua_pop(L, 1);
    return fallback;
}

/* Bytes of argument i, 0 = no text. */
static size_t bound_size(lua_State *L, lua_Debug *ar, int i) {
    size_t size = 0;
    if (bound_push(L, ar, i) != LUA_TNIL) lua_tolstring(L, -1, &size);
    lua_pop(L, 1);
    return size;
}

/* Most tries that the pattern can need: the length to the power of its quantifiers. */
static int bound_is_cheap(const lbezel_pattern *job) {
    double cost = (double)job->p_size + 1;
    for (size_t i = 0; i < job->p_size && cost < BOUND_FREE; i++)
        if (strchr("*+-?%", job->p[i])) cost *= (double)job->s_size + 1;
    return cost * ((double)job->s_size + 1) < BOUND_FREE;
}

/* 1 = find takes the pattern as plain text. */
static int bound_is_plain(lua_State *L, lua_Debug *ar, const lbezel_pattern *job) {
    int is_plain = ar->ntransfer >= 4 && bound_push(L, ar, 4) != LUA_TNIL && lua_toboolean(L, -1);
    if (ar->ntransfer >= 4) lua_pop(L, 1);
    for (size_t i = 0; !is_plain && i <= job->p_size; i++) {
        if (i == job->p_size) return 1;
        if (job->p[i] && strchr("^$*+?.([%-", job->p[i])) return 0;
    }
    return is_plain;
}

static int bound_pattern_is_late(lua_State *L, lua_Debug *ar, int which, int (*is_late)(void *ud), void *ud) {
    lbezel_pattern job = {.is_late = is_late, .ud = ud, .most = 1, .may_anchor = which != BOUND_GMATCH};
    const int top = lua_gettop(L);
    int late = 0;
    bound_push(L, ar, 1); /* copies: a number becomes its text here, not in the call */
    bound_push(L, ar, 2);
    job.s = lua_tolstring(L, -2, &job.s_size);
    job.p = lua_tolstring(L, -1, &job.p_size);
    if (job.s && job.p) {
        const lua_Integer init = which == BOUND_GSUB ? 1 : bound_integer(L, ar, 3, 1);
        if (init > 0)
            job.init = (lua_Unsigned)init - 1 > job.s_size ? SIZE_MAX : (size_t)init - 1;
        else if (init < 0 && init >= -(lua_Integer)job.s_size)
            job.init = job.s_size - (size_t)-init;
        if (which == BOUND_GMATCH) job.most = SIZE_MAX;
        if (which == BOUND_GSUB) {
            const lua_Integer most = bound_integer(L, ar, 4, LUA_MAXINTEGER);
            job.most = most > 0 ? (size_t)most : 0;
        }
        job.is_plain = which == BOUND_FIND && bound_is_plain(L, ar, &job);
        late = job.init <= job.s_size && !bound_is_cheap(&job) && lbezel_pattern_is_late(&job);
    }
    lua_settop(L, top);
    return late;
}

int lbezel_bound_is_late(lua_State *L, lua_Debug *ar, int (*is_late)(void *ud), void *ud) {
    if (!lua_checkstack(L, 8)) return 0;
    const int which = bound_which(L, ar);
    if (which == BOUND_REP) {
        /* of nothing: else the tool's memory is the bound */
        if (bound_integer(L, ar, 2, 0) > BOUND_COUNT && bound_size(L, ar, 1) + bound_size(L, ar, 3) == 0)
            luaL_error(L, "string.rep: more than %d copies in a tool", BOUND_COUNT);
    } else if (which == BOUND_MOVE) {
        const lua_Integer first = bound_integer(L, ar, 2, 0), last = bound_integer(L, ar, 3, 0);
        if (last >= first && (lua_Unsigned)last - (lua_Unsigned)first >= BOUND_COUNT)
            luaL_error(L, "table.move: more than %d elements in a tool", BOUND_COUNT);
    } else if (which != BOUND_LIMIT)
        return bound_pattern_is_late(L, ar, which, is_late, ud);
    return 0;
}
