/* SPDX-License-Identifier: MIT */
/* bezel.mcp{command = {...}}: an MCP server, whose tools go into a chat or a toolset as an item of the list:
 *
 *     local chat = model:chat { tools = { assert(bezel.mcp { command = { "python3", "server.py" } }) } }
 *
 * A build without tools/mcp has no bezel.mcp. */
#include "lbezel.h"

#if LBEZEL_HAS_MCP
#include <bezel/mcp.h>

#define STRINGS_MOST 4096

static void mcp_release(void *handle) { bezel_mcp_free(handle); }

/* The option environment = {NAME = value} as NAME=value strings; pushes what holds them. */
static const char *const *option_environment(lua_State *L, int i) {
    lua_newtable(L);
    if (lbezel_option_push(L, i, "environment") != LUA_TNIL) {
        lua_Integer n = 0;
        if (!lua_istable(L, -1))
            luaL_error(L, "option environment: a table of names and values expected, got %s", luaL_typename(L, -1));
        for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) { /* lines, environment, key, value */
            if (lua_type(L, -2) != LUA_TSTRING || !lua_isstring(L, -1))
                luaL_error(L, "option environment: names with string values expected");
            lua_pushvalue(L, -1);
            lua_pushfstring(L, "%s=%s", lua_tostring(L, -3), lua_tostring(L, -1));
            if (lua_rawlen(L, -1) != lua_rawlen(L, -4) + lua_rawlen(L, -2) + 1)
                luaL_error(L, "option environment: a string contains a NUL byte");
            lua_rawseti(L, -6, ++n);
            lua_pop(L, 1);
        }
    }
    lua_pop(L, 1);
    lua_newtable(L); /* lines, {lines = lines} */
    lua_pushvalue(L, -2);
    lua_setfield(L, -2, "environment");
    return lbezel_option_strings(L, lua_gettop(L), "environment", STRINGS_MOST);
}

/* bezel.mcp{command=, name=, only=, environment=, folder=, permission=, ...} -> server | nil, message, code */
static int mcp_new(lua_State *L) {
    static const char *const known[] = {"command", "name", "only", "environment", "folder", "permission", "trust_hints",
                                        "protocol", "timeout_ms", "start_timeout_ms", "max_restarts", "max_message", NULL};
    bezel_error err = BEZEL_ERROR_INIT;
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lbezel_options_check(L, 1, known);
    bezel_mcp_options o;
    bezel_mcp_options_init(&o);
    o.name = lbezel_option_text(L, 1, "name");
    o.folder = lbezel_option_text(L, 1, "folder");
    o.protocol = lbezel_option_text(L, 1, "protocol");
    o.permission = lbezel_option_permission(L, 1);
    o.trust_hints = (uint32_t)lbezel_option_bool(L, 1, "trust_hints", 0);
    o.timeout_ms = (int64_t)lbezel_option_integer(L, 1, "timeout_ms", (lua_Integer)o.timeout_ms, 1, 86400000);
    o.start_timeout_ms = (int64_t)lbezel_option_integer(L, 1, "start_timeout_ms", (lua_Integer)o.start_timeout_ms, 1, 86400000);
    o.max_restarts = (uint32_t)lbezel_option_integer(L, 1, "max_restarts", (lua_Integer)o.max_restarts, 0, 100);
    o.max_message = (uint64_t)lbezel_option_integer(L, 1, "max_message", (lua_Integer)o.max_message, 1024, 16 << 20);
    o.command = lbezel_option_strings(L, 1, "command", STRINGS_MOST);
    o.only = lbezel_option_strings(L, 1, "only", STRINGS_MOST);
    o.environment = option_environment(L, 1);
    if (!o.command || !o.command[0]) return luaL_error(L, "option command: a list of the program and its arguments is needed");
    bezel_engine *engine = lbezel_engine_push(L);
    lbezel_object *self = lbezel_object_push(L, LBEZEL_MCP, sizeof *self, -1, 0);
    self->release = mcp_release;
    bezel_mcp *server = NULL;
    if (bezel_mcp_start(&server, engine, &o, &err) != BEZEL_OK) return lbezel_fail(L, &err);
    lbezel_object_set(self, server);
    return 1;
}

static bezel_mcp *mcp_check(lua_State *L) { return ((lbezel_object *)lbezel_object_check(L, 1, LBEZEL_MCP))->handle; }

/* server:call(name, arguments) -> value | nil, message, code */
static int mcp_call(lua_State *L) {
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_mcp *server = mcp_check(L);
    const char *name = lbezel_check_cstring(L, 2);
    lua_settop(L, 3);
    lbezel_object *tree = lbezel_tree_push(L);
    bezel_value *arguments = NULL, *value = NULL;
    if (!lua_isnil(L, 3)) {
        luaL_checktype(L, 3, LUA_TTABLE);
        lua_pushnil(L);
        if (lua_next(L, 3)) { /* an empty table would be a list */
            lua_pop(L, 2);
            arguments = lbezel_value_get(L, 3, tree->handle);
        }
    }
    bezel_status st = bezel_mcp_call(&value, tree->handle, server, name, arguments, &err);
    if (st == BEZEL_OK) lbezel_value_push(L, value, LBEZEL_NULL_AS_SENTINEL);
    lbezel_object_end(tree);
    return st == BEZEL_OK ? 1 : lbezel_fail(L, &err);
}

/* server:poll() -> true | nil, message, code */
static int mcp_poll(lua_State *L) {
    bezel_error err = BEZEL_ERROR_INIT;
    if (bezel_mcp_poll(mcp_check(L), &err) != BEZEL_OK) return lbezel_fail(L, &err);
    lua_pushboolean(L, 1);
    return 1;
}

static int mcp_changed(lua_State *L) {
    lua_pushboolean(L, bezel_mcp_changed(mcp_check(L)));
    return 1;
}

static int mcp_fd(lua_State *L) {
    int fd = bezel_mcp_fd(mcp_check(L));
    if (fd < 0) return 0;
    lua_pushinteger(L, fd);
    return 1;
}

static int mcp_info(lua_State *L) {
    lbezel_value_push(L, bezel_mcp_info(mcp_check(L)), LBEZEL_NULL_AS_NIL);
    return 1;
}

static int mcp_tools(lua_State *L) {
    lbezel_value_push(L, bezel_mcp_tools(mcp_check(L)), LBEZEL_NULL_AS_NIL);
    return 1;
}

static int mcp_stderr(lua_State *L) {
    lua_pushstring(L, bezel_mcp_stderr(mcp_check(L)));
    return 1;
}

static int mcp_warnings(lua_State *L) {
    const bezel_mcp *server = mcp_check(L);
    const char *text;
    lua_newtable(L);
    for (size_t i = 0; (text = bezel_mcp_warning(server, i)) != NULL; i++) {
        lua_pushstring(L, text);
        lua_rawseti(L, -2, (lua_Integer)(i + 1));
    }
    return 1;
}

int lbezel_mcp_add(lua_State *L, int i, bezel_toolset *tools) {
    bezel_error err = BEZEL_ERROR_INIT;
    if (!luaL_testudata(L, i, LBEZEL_MCP)) return 0;
    lbezel_object *server = lbezel_object_check(L, i, LBEZEL_MCP);
    if (bezel_mcp_add_tools(NULL, server->handle, tools, &err) != BEZEL_OK) lbezel_raise(L, &err);
    return 1;
}

void lbezel_mcp_open(lua_State *L) {
    static const luaL_Reg functions[] = {{"mcp", mcp_new}, {NULL, NULL}};
    static const luaL_Reg methods[] = {{"call", mcp_call},       {"poll", mcp_poll},   {"changed", mcp_changed},
                                       {"fd", mcp_fd},           {"info", mcp_info},   {"tools", mcp_tools},
                                       {"warnings", mcp_warnings}, {"stderr", mcp_stderr}, {NULL, NULL}};
    lbezel_object_type(L, LBEZEL_MCP, methods);
    luaL_setfuncs(L, functions, 0);
}
#else
int lbezel_mcp_add(lua_State *L, int i, bezel_toolset *tools) {
    (void)L, (void)i, (void)tools;
    return 0;
}

void lbezel_mcp_open(lua_State *L) { (void)L; }
#endif
