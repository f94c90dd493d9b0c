/* SPDX-License-Identifier: MIT */
/* The engine of a Lua state: made at first use, or by bezel.setup{threads=, isa=, affinity=} before. */
#include "lbezel.h"

#include <string.h>

static const char engine_key = 0; /* registry key of the engine object */

static void engine_release(void *handle) { bezel_engine_free(handle); }

static bezel_engine *engine_make(lua_State *L, const bezel_engine_options *options) {
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_engine *engine = NULL;
    lbezel_object *o = lbezel_object_push(L, LBEZEL_ENGINE, sizeof *o, 0, 0);
    o->release = engine_release;
    if (bezel_engine_new(&engine, options, &err) != BEZEL_OK) lbezel_raise(L, &err);
    o->handle = engine;
    lua_pushvalue(L, -1);
    lua_rawsetp(L, LUA_REGISTRYINDEX, &engine_key);
    return engine;
}

bezel_engine *lbezel_engine_push(lua_State *L) {
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &engine_key) == LUA_TUSERDATA)
        return ((lbezel_object *)lbezel_object_check(L, -1, LBEZEL_ENGINE))->handle;
    lua_pop(L, 1);
    return engine_make(L, NULL);
}

/* bezel.setup{threads=, isa=, affinity=}: options of the engine; only before its first use. */
static int engine_setup(lua_State *L) {
    static const char *const known[] = {"threads", "isa", "affinity", NULL};
    lua_settop(L, 1);
    lbezel_options_check(L, 1, known);
    if (lua_rawgetp(L, LUA_REGISTRYINDEX, &engine_key) == LUA_TUSERDATA)
        return luaL_error(L, "bezel.setup: the engine is already in use; call setup before anything else");
    bezel_engine_options options;
    bezel_engine_options_init(&options);
    options.threads = (uint32_t)lbezel_option_integer(L, 1, "threads", 0, 0, 256);
    options.affinity = lbezel_option_text(L, 1, "affinity");
    const char *isa = lbezel_option_text(L, 1, "isa");
    if (isa) {
        options.isa = bezel_isa_from_name(isa);
        if (options.isa == UINT32_MAX)
            return luaL_error(L, "option isa: '%s' is none of auto, scalar, avx2, avx512, neon, amx", isa);
    }
    engine_make(L, &options);
    return 0;
}

/* bezel.has(part) -> boolean */
static int engine_has(lua_State *L) {
    lua_pushboolean(L, bezel_has(lbezel_check_cstring(L, 1)));
    return 1;
}

/* bezel.machine() -> table: what the engine found. */
static int engine_machine(lua_State *L) {
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_value *value = NULL;
    bezel_engine *engine = lbezel_engine_push(L);
    lbezel_object *tree = lbezel_tree_push(L);
    bezel_status st = bezel_engine_describe(&value, tree->handle, engine, &err);
    if (st == BEZEL_OK) lbezel_value_push(L, value, LBEZEL_NULL_AS_NIL);
    lbezel_object_end(tree);
    return st == BEZEL_OK ? 1 : lbezel_fail(L, &err);
}

void lbezel_engine_open(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"setup", engine_setup}, {"has", engine_has}, {"machine", engine_machine}, {NULL, NULL}};
    lbezel_object_type(L, LBEZEL_ENGINE, NULL);
    luaL_setfuncs(L, functions, 0);
}
