/* SPDX-License-Identifier: MIT */
/* bezel.json: encode and decode. JSON null is bezel.null, a list carries a mark so that an empty one stays a list. */
#include "lbezel.h"

/* json.encode(value, {indent=}) -> text | nil, message, code */
static int json_encode(lua_State *L) {
    static const char *const known[] = {"indent", NULL};
    bezel_error err = BEZEL_ERROR_INIT;
    luaL_checkany(L, 1);
    lua_settop(L, 2);
    lbezel_options_check(L, 2, known);
    uint32_t indent = (uint32_t)lbezel_option_integer(L, 2, "indent", 0, 0, 16);
    bezel_engine *engine = lbezel_engine_push(L);
    lbezel_object *tree = lbezel_tree_push(L);
    const bezel_value *value = lbezel_value_get(L, 1, tree->handle);
    char **text;
    lbezel_object *owner = lbezel_text_push(L, &text);
    size_t size = 0;
    bezel_status st = bezel_json_write(text, &size, engine, value, indent, &err);
    lbezel_object_end(tree);
    if (st != BEZEL_OK) return lbezel_fail(L, &err);
    lua_pushlstring(L, *text, size);
    lbezel_object_end(owner);
    return 1;
}

/* json.decode(text) -> value | nil, message, code */
static int json_decode(lua_State *L) {
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_value *value = NULL;
    size_t size;
    const char *text = luaL_checklstring(L, 1, &size);
    lbezel_object *tree = lbezel_tree_push(L);
    bezel_status st = bezel_json_read(&value, tree->handle, text, size, &err);
    if (st == BEZEL_OK) lbezel_value_push(L, value, LBEZEL_NULL_AS_SENTINEL);
    lbezel_object_end(tree);
    return st == BEZEL_OK ? 1 : lbezel_fail(L, &err);
}

void lbezel_json_open(lua_State *L) {
    static const luaL_Reg functions[] = {{"encode", json_encode}, {"decode", json_decode}, {NULL, NULL}};
    luaL_newlib(L, functions);
    lua_setfield(L, -2, "json");
}
