/* SPDX-License-Identifier: MIT */
/* Adapters of a model: model:adapter(path), and what a chat does with one. */
#include "lbezel.h"

static void adapter_release(void *handle) { bezel_adapter_free(handle); }

/* Pushes the adapter at path for the model object at index model. */
static bezel_status adapter_push(lua_State *L, int model, const char *path, bezel_error *err) {
    bezel_adapter *adapter = NULL;
    lbezel_object *source = lbezel_object_check(L, model, LBEZEL_MODEL);
    lbezel_object *self = lbezel_object_push(L, LBEZEL_ADAPTER, sizeof *self, model, 0);
    self->release = adapter_release;
    bezel_status st = bezel_adapter_open(&adapter, source->handle, path, err);
    if (st == BEZEL_OK) lbezel_object_set(self, adapter);
    return st;
}

/* model:adapter(path) -> adapter | nil, message, code */
static int model_adapter(lua_State *L) {
    bezel_error err = BEZEL_ERROR_INIT;
    lbezel_object_check(L, 1, LBEZEL_MODEL);
    return adapter_push(L, 1, lbezel_check_cstring(L, 2), &err) == BEZEL_OK ? 1 : lbezel_fail(L, &err);
}

bezel_status lbezel_adapter_option(lua_State *L, int model, int options, bezel_adapter_use *out, bezel_error *err) {
    bezel_status st = BEZEL_OK;
    out->scale = (float)lbezel_option_number(L, options, "adapter_scale", 1);
    if (lbezel_option_push(L, options, "adapter") == LUA_TSTRING) {
        const char *path = lbezel_option_text(L, options, "adapter");
        lua_pop(L, 1);
        st = adapter_push(L, model, path, err);
    } else if (!lua_isnil(L, -1) && !luaL_testudata(L, -1, LBEZEL_ADAPTER)) {
        luaL_error(L, "option adapter: an adapter or a path expected, got %s", luaL_typename(L, -1));
    }
    if (st == BEZEL_OK && !lua_isnil(L, -1)) out->adapter = ((lbezel_object *)lbezel_object_check(L, -1, LBEZEL_ADAPTER))->handle;
    return st;
}

void lbezel_adapter_open(lua_State *L) {
    lbezel_object_type(L, LBEZEL_ADAPTER, NULL);
    luaL_getmetatable(L, LBEZEL_MODEL);
    lua_getfield(L, -1, "__index");
    lua_pushcfunction(L, model_adapter);
    lua_setfield(L, -2, "adapter");
    lua_pop(L, 2);
}
