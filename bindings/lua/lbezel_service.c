/* SPDX-License-Identifier: MIT */
/* bezel.service(model, options): answers to people who are not trusted, in one call. */
#include "lbezel.h"

#include <string.h>

/* Object LBEZEL_SERVICE; user values: 1 model (parent), 2 guard, 3 monitor, 4 store. */
enum { SERVICE_GUARD = 2, SERVICE_MONITOR = 3, SERVICE_STORE = 4 };

static void service_release(void *handle) { bezel_service_free(handle); }

/* The object of a type under a name of the options, kept by the service at index at; its handle, or NULL. */
static void *service_link(lua_State *L, int at, const char *name, const char *type, int slot) {
    lbezel_object *self = lua_touserdata(L, at);
    void *handle = NULL;
    if (lbezel_option_push(L, 2, name) != LUA_TNIL) {
        if (!luaL_testudata(L, -1, type)) luaL_error(L, "option %s: a %s expected, got %s", name, name, luaL_typename(L, -1));
        lbezel_object *o = lbezel_object_check(L, -1, type);
        self->also[slot - 2] = o;
        handle = o->handle;
        lua_pushvalue(L, -1);
        lua_setiuservalue(L, at, slot);
    }
    lua_pop(L, 1);
    return handle;
}

/* bezel.service(model, options) -> service | nil, message, code */
static int service_open(lua_State *L) {
    static const char *const known[] = {LBEZEL_GENERATE_OPTIONS, LBEZEL_SESSION_OPTIONS, "guard", "monitor", "store", "conversation",
                                        "hash_key", "profile", NULL};
    bezel_error err = BEZEL_ERROR_INIT;
    lbezel_object *model = lbezel_object_check(L, 1, LBEZEL_MODEL);
    bezel_service_options o;
    size_t key_size = 0;
    lua_settop(L, 2);
    lbezel_options_check(L, 2, known);
    bezel_service_options_init(&o);
    o.conversation = lbezel_option_text(L, 2, "conversation");
    o.hash_key = lbezel_option_bytes(L, 2, "hash_key", &key_size);
    if (o.hash_key && key_size != 32) return luaL_error(L, "option hash_key: 32 bytes expected, got %d", (int)key_size);
    o.profile = lbezel_profile_option(L, 2);
    lbezel_session_options(L, 2, &o.session);
    lbezel_generate_options(L, 2, &o.generate); /* pushes an anchor */
    const int anchor = lua_gettop(L);
    lbezel_object *self = lbezel_object_push(L, LBEZEL_SERVICE, sizeof *self, 1, 4);
    const int at = lua_gettop(L);
    self->release = service_release;
    lua_pushvalue(L, anchor);
    lua_setiuservalue(L, at, 5); /* stop strings live as long as the service */
    o.guard = service_link(L, at, "guard", LBEZEL_GUARD, SERVICE_GUARD);
    o.monitor = service_link(L, at, "monitor", LBEZEL_MONITOR, SERVICE_MONITOR);
    bezel_store *store = service_link(L, at, "store", LBEZEL_STORE, SERVICE_STORE);
    if (store) o.journal = bezel_store_journal(store);
    bezel_service *service = NULL;
    if (bezel_service_new(&service, model->handle, &o, &err) != BEZEL_OK) return lbezel_fail(L, &err);
    lbezel_object_set(self, service);
    lua_settop(L, at);
    return 1;
}

/* --- Requests ----------------------------------------------------------------------------- */

static int answer_push(lua_State *L, const lbezel_object *self) {
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_service_answer a = {.size = sizeof a};
    if (bezel_service_result(&a, self->handle, &err) != BEZEL_OK) return lbezel_fail(L, &err);
    lua_createtable(L, 0, 12);
    lua_pushboolean(L, a.is_success);
    lua_setfield(L, -2, "success");
    if (a.is_success) {
        lua_pushlstring(L, a.response, a.response_size);
        lua_setfield(L, -2, "response");
    } else {
        lua_pushstring(L, a.error);
        lua_setfield(L, -2, "error");
        lua_pushstring(L, a.error_code);
        lua_setfield(L, -2, "error_code");
    }
    lua_pushnumber(L, a.generation_time);
    lua_setfield(L, -2, "generation_time");
    lua_pushinteger(L, (lua_Integer)a.tokens_used);
    lua_setfield(L, -2, "tokens_used");
    lua_pushinteger(L, (lua_Integer)a.n_prompt);
    lua_setfield(L, -2, "prompt_tokens");
    lua_pushinteger(L, a.n_removed);
    lua_setfield(L, -2, "removed");
    lua_pushinteger(L, (lua_Integer)a.n_cut);
    lua_setfield(L, -2, "cut");
    lua_pushstring(L, bezel_stop_name(a.stop_reason));
    lua_setfield(L, -2, "stop_reason");
    lua_pushstring(L, a.span);
    lua_setfield(L, -2, "span");
    lua_pushstring(L, a.input_hash);
    lua_setfield(L, -2, "input_hash");
    if (a.retry_ms) {
        lua_pushnumber(L, (lua_Number)a.retry_ms / 1e3);
        lua_setfield(L, -2, "retry_s");
    }
    return 1;
}

typedef struct service_use {
    int top; /* then guard, monitor, and what their functions are */
    lbezel_monitor_use scored;
} service_use;

/* The guard of the service at index 1 may ask its judge now, and its monitor the function that scores. Pushes. */
static void service_enter(lua_State *L, service_use *use) {
    use->top = lua_gettop(L);
    lua_getiuservalue(L, 1, SERVICE_GUARD);
    lua_getiuservalue(L, 1, SERVICE_MONITOR);
    if (lua_type(L, use->top + 1) == LUA_TUSERDATA) lbezel_guard_enter(L, use->top + 1);
    if (lua_type(L, use->top + 2) == LUA_TUSERDATA) lbezel_monitor_enter(L, use->top + 2, &use->scored);
}

static void service_leave(lua_State *L, const service_use *use) {
    if (lua_type(L, use->top + 1) == LUA_TUSERDATA) lbezel_guard_leave(L, use->top + 1);
    if (lua_type(L, use->top + 2) == LUA_TUSERDATA) lbezel_monitor_leave(L, use->top + 2, &use->scored);
    lua_settop(L, use->top);
}

/* Begins the request of user at 2, messages at 3. */
static bezel_status service_begin(lua_State *L, lbezel_object *self, bezel_error *err) {
    const char *user = lua_isnil(L, 2) ? NULL : lbezel_check_cstring(L, 2);
    lbezel_object *tree = lbezel_tree_push(L);
    const bezel_value *messages = lbezel_value_get(L, 3, tree->handle);
    service_use use;
    service_enter(L, &use);
    const bezel_status st = bezel_service_ask(self->handle, user, messages, err);
    service_leave(L, &use);
    lbezel_object_end(tree);
    return st;
}

static bezel_status service_advance(lua_State *L, lbezel_object *self, int64_t budget_us, bezel_error *err) {
    service_use use;
    service_enter(L, &use);
    self->holds++;
    const bezel_status st = bezel_service_step(self->handle, budget_us, err);
    lbezel_object_let_go(self);
    service_leave(L, &use);
    return st;
}

/* service:generate(user, messages, on_text) -> {success=, response=, ...} | nil, message, code */
static int service_generate(lua_State *L) {
    lbezel_object *self = lbezel_object_check(L, 1, LBEZEL_SERVICE);
    bezel_error err = BEZEL_ERROR_INIT;
    lua_settop(L, 4);
    luaL_checkany(L, 3);
    if (!lua_isnil(L, 4)) luaL_checktype(L, 4, LUA_TFUNCTION);
    if (service_begin(L, self, &err) != BEZEL_OK) return lbezel_fail(L, &err);
    bezel_status st = BEZEL_MORE;
    while (st >= 0 && st != BEZEL_DONE) {
        st = service_advance(L, self, -1, &err);
        if (self->closed) return luaL_error(L, "the service was closed in its own request");
        size_t size;
        const char *text = bezel_service_text(self->handle, &size);
        if (lua_isnil(L, 4) || !size || st == BEZEL_DONE) continue;
        lua_settop(L, 4);
        lua_pushvalue(L, 4);
        lua_pushlstring(L, text, size);
        if (lua_pcall(L, 1, 0, 0) != LUA_OK) {
            bezel_service_cancel(self->handle);
            while (!self->closed && (st = service_advance(L, self, -1, NULL)) >= 0 && st != BEZEL_DONE) continue;
            return lua_error(L);
        }
        if (self->closed) return luaL_error(L, "the service was closed in its own request");
    }
    return st < 0 ? lbezel_fail(L, &err) : answer_push(L, self);
}

/* service:ask(user, messages) -> true | nil, message, code: begins a request for step */
static int service_ask(lua_State *L) {
    lbezel_object *self = lbezel_object_check(L, 1, LBEZEL_SERVICE);
    bezel_error err = BEZEL_ERROR_INIT;
    lua_settop(L, 3);
    luaL_checkany(L, 3);
    if (service_begin(L, self, &err) != BEZEL_OK) return lbezel_fail(L, &err);
    lua_pushboolean(L, 1);
    return 1;
}

/* service:step(budget_ms) -> "more" | "token", text | "done", answer | nil, message, code */
static int service_step(lua_State *L) {
    lbezel_object *self = lbezel_object_check(L, 1, LBEZEL_SERVICE);
    bezel_error err = BEZEL_ERROR_INIT;
    const lua_Number budget_ms = luaL_optnumber(L, 2, -1);
    luaL_argcheck(L, budget_ms <= 1e9, 2, "at most 1e9 milliseconds expected");
    const bezel_status st = service_advance(L, self, budget_ms < 0 ? -1 : (int64_t)(budget_ms * 1000), &err);
    if (self->closed) return luaL_error(L, "the service was closed in its own request");
    if (st < 0) return lbezel_fail(L, &err);
    lua_pushstring(L, st == BEZEL_DONE ? "done" : st == BEZEL_TOKEN ? "token" : "more");
    if (st == BEZEL_DONE) return 1 + answer_push(L, self);
    if (st != BEZEL_TOKEN) return 1;
    size_t size;
    const char *text = bezel_service_text(self->handle, &size);
    lua_pushlstring(L, text, size);
    return 2;
}

static int service_cancel(lua_State *L) {
    lbezel_object *self = lbezel_object_check(L, 1, LBEZEL_SERVICE);
    bezel_service_cancel(self->handle);
    return 0;
}

/* service:rate(user) -> as guard:rate */
static int service_rate(lua_State *L) {
    lbezel_object *self = lbezel_object_check(L, 1, LBEZEL_SERVICE);
    return lbezel_guard_rate_push(L, bezel_service_guard(self->handle), 2);
}

void lbezel_service_open(lua_State *L) {
    static const luaL_Reg methods[] = {{"generate", service_generate}, {"ask", service_ask},   {"step", service_step},
                                       {"cancel", service_cancel},     {"rate", service_rate}, {NULL, NULL}};
    lbezel_object_type(L, LBEZEL_SERVICE, methods);
    lua_pushcfunction(L, service_open);
    lua_setfield(L, -2, "service");
}
