/* SPDX-License-Identifier: MIT */
/* Failures as nil, message, code; misuse as a raised error. */
#include "lbezel.h"

static void error_message(lua_State *L, const bezel_error *err) {
    if (err->place[0] && err->hint[0])
        lua_pushfstring(L, "%s (%s). %s", err->text, err->place, err->hint);
    else if (err->hint[0])
        lua_pushfstring(L, "%s. %s", err->text, err->hint);
    else
        lua_pushstring(L, err->text[0] ? err->text : bezel_status_name(err->status));
}

int lbezel_fail(lua_State *L, const bezel_error *err) {
    luaL_pushfail(L);
    error_message(L, err);
    lua_pushstring(L, bezel_status_name(err->status));
    return 3;
}

int lbezel_raise(lua_State *L, const bezel_error *err) {
    luaL_where(L, 1);
    error_message(L, err);
    lua_concat(L, 2);
    return lua_error(L);
}
