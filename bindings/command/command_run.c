/* SPDX-License-Identifier: MIT */
/* bezel run: a Lua script in an interpreter of its own, with require "bezel" ready. */
#include "command.h"

#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdlib.h>

int luaopen_bezel(lua_State *L); /* bindings/lua */

static int run_traceback(lua_State *L) {
    luaL_traceback(L, L, luaL_tolstring(L, 1, NULL), 1);
    return 1;
}

/* Protected: argc, argv. */
static int run_script(lua_State *L) {
    int argc = (int)lua_tointeger(L, 1);
    char **argv = lua_touserdata(L, 2);
    luaL_openlibs(L);
    luaL_getsubtable(L, LUA_REGISTRYINDEX, LUA_PRELOAD_TABLE);
    lua_pushcfunction(L, luaopen_bezel);
    lua_setfield(L, -2, "bezel");
    lua_newtable(L); /* arg: the script at 0, its arguments from 1 */
    for (int i = 2; i < argc; i++) {
        lua_pushstring(L, argv[i]);
        lua_rawseti(L, -2, i - 2);
    }
    lua_setglobal(L, "arg");
    if (luaL_loadfilex(L, argv[2], "t") != LUA_OK) return lua_error(L);
    for (int i = 3; i < argc; i++) lua_pushstring(L, argv[i]);
    lua_call(L, argc - 3, 0);
    return 0;
}

int cmd_run(int argc, char **argv) {
    cmd_options o = {.subcommand = "run", .usage = "run SCRIPT.lua [arguments]"};
    if (argc >= 3 && argv[2][0] == '-' && argv[2][1] == '-') { /* before the script's name stand only options of ours */
        int read = cmd_options_read(&o, argc, argv, "");
        return read == CMD_OK ? cmd_usage(&o, "a script is needed") : read;
    }
    if (argc < 3) return cmd_usage(&o, "a script is needed");
    /* Scripts find the cached model and the user's store as the command does. */
    char *model = cmd_model_path(&o), *store = cmd_store_path(&o);
    if (model) setenv("BEZEL_MODEL", model, 0);
    if (store) setenv("BEZEL_STORE", store, 0);
    free(model);
    free(store);
    lua_State *L = luaL_newstate();
    if (!L) return cmd_error("out of memory");
    lua_pushcfunction(L, run_traceback);
    lua_pushcfunction(L, run_script);
    lua_pushinteger(L, argc);
    lua_pushlightuserdata(L, argv);
    int status = CMD_OK;
    if (lua_pcall(L, 2, 0, 1) != LUA_OK) status = cmd_error("%s", lua_tostring(L, -1));
    lua_close(L);
    return status;
}
