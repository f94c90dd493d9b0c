/* SPDX-License-Identifier: MIT */
/* Handles of C as userdata: parent links, close, __gc, __close, use after close refused.
 * Invariant: a handle is released exactly once, after all handles made from it and after the calls that are inside it. */
#include "lbezel.h"

#include <string.h>

static void object_release(lbezel_object *o) {
    void *handle = o->handle;
    if (!o->closed || o->holds || !handle) return;
    o->handle = NULL;
    o->release(handle);
    if (o->parent) lbezel_object_let_go(o->parent);
    for (int i = 0; i < LBEZEL_ALSO; i++)
        if (o->also[i]) lbezel_object_let_go(o->also[i]);
}

void lbezel_object_let_go(lbezel_object *o) {
    o->holds--;
    object_release(o);
}

void lbezel_object_set(lbezel_object *o, void *handle) {
    o->handle = handle;
    if (o->parent) o->parent->holds++;
    for (int i = 0; i < LBEZEL_ALSO; i++)
        if (o->also[i]) o->also[i]->holds++;
}

void lbezel_object_end(lbezel_object *o) {
    if (o->closed) return;
    o->closed = 1;
    object_release(o);
}

void *lbezel_object_push(lua_State *L, const char *type, size_t size, int parent, int n_extra) {
    if (parent) parent = lua_absindex(L, parent);
    lbezel_object *o = lua_newuserdatauv(L, size, n_extra + 1); /* ..., object */
    memset(o, 0, size);
    luaL_setmetatable(L, type);
    if (parent) {
        o->parent = lua_touserdata(L, parent);
        lua_pushvalue(L, parent);
        lua_setiuservalue(L, -2, 1);
    }
    return o;
}

void *lbezel_object_check(lua_State *L, int i, const char *type) {
    lbezel_object *o = luaL_checkudata(L, i, type);
    if (o->closed || !o->handle) luaL_error(L, "%s is closed", type);
    return o;
}

int lbezel_object_close(lua_State *L) {
    lbezel_object *o = lua_touserdata(L, 1);
    if (!o || !luaL_getmetafield(L, 1, "__bezel")) return luaL_error(L, "close: a bezel object expected");
    lbezel_object_end(o);
    return 0;
}

static int object_tostring(lua_State *L) {
    const lbezel_object *o = lua_touserdata(L, 1);
    luaL_getmetafield(L, 1, "__name");
    lua_pushfstring(L, "%s%s", lua_tostring(L, -1), o && !o->closed ? "" : " (closed)");
    return 1;
}

void lbezel_object_type(lua_State *L, const char *type, const luaL_Reg *methods) {
    luaL_newmetatable(L, type); /* ..., metatable */
    lua_newtable(L);            /* ..., metatable, methods */
    if (methods) luaL_setfuncs(L, methods, 0);
    lua_pushcfunction(L, lbezel_object_close);
    lua_setfield(L, -2, "close");
    lua_setfield(L, -2, "__index");
    lua_pushcfunction(L, lbezel_object_close);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, lbezel_object_close);
    lua_setfield(L, -2, "__close");
    lua_pushcfunction(L, object_tostring);
    lua_setfield(L, -2, "__tostring");
    lua_pushboolean(L, 1);
    lua_setfield(L, -2, "__bezel");
    lua_pushliteral(L, "bezel object");
    lua_setfield(L, -2, "__metatable"); /* scripts cannot reach the finaliser */
    lua_pop(L, 1);
}
