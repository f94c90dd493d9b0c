/* SPDX-License-Identifier: MIT */
/* bezel.store(path): conversations and usage in SQLite, rows as Lua tables. */
#include "lbezel.h"

#include <string.h>

typedef struct store_object {
    lbezel_object object;
} store_object;

static void store_release(void *handle) { bezel_store_close(handle); }

static store_object *store_check(lua_State *L) { return lbezel_object_check(L, 1, LBEZEL_STORE); }

/* The keys of an option, one behind the other, at most 16 of 32 bytes; anchored by the stack. */
static const void *store_keys(lua_State *L, uint32_t *out_n) {
    *out_n = 0;
    if (lbezel_option_push(L, 2, "user_keys") == LUA_TNIL) return NULL;
    if (!lua_istable(L, -1)) luaL_error(L, "option user_keys: a list of texts expected, got %s", luaL_typename(L, -1));
    const lua_Unsigned n = lua_rawlen(L, -1);
    if (n > 16) luaL_error(L, "option user_keys: %d keys, at most 16", (int)n);
    char *keys = lua_newuserdatauv(L, (n + 1) * 32, 0);
    for (lua_Unsigned i = 0; i < n; i++) {
        size_t size = 0;
        const char *key = lua_rawgeti(L, -2, (lua_Integer)(i + 1)) == LUA_TSTRING ? lua_tolstring(L, -1, &size) : NULL;
        if (size != 32) luaL_error(L, "option user_keys: item %d is no text of 32 bytes", (int)i + 1);
        memcpy(keys + i * 32, key, 32);
        lua_pop(L, 1);
    }
    *out_n = (uint32_t)n;
    return keys;
}

/* bezel.store(path, {read_only=, durable=, keep_content=, busy_ms=, user_keys=, ...}) -> store | nil, message, code */
static int store_open(lua_State *L) {
    static const char *const known[] = {"read_only", "durable", "keep_content", "busy_ms", "user_keys", "max_windows", "max_bytes",
                                        "content_days", NULL};
    bezel_error err = BEZEL_ERROR_INIT;
    const char *path = lbezel_check_cstring(L, 1);
    lua_settop(L, 2);
    lbezel_options_check(L, 2, known);
    bezel_store_options options;
    bezel_store_options_init(&options);
    options.read_only = lbezel_option_bool(L, 2, "read_only", options.read_only);
    options.durable = lbezel_option_bool(L, 2, "durable", options.durable);
    options.keep_content = lbezel_option_bool(L, 2, "keep_content", options.keep_content);
    options.busy_ms = lbezel_option_integer(L, 2, "busy_ms", options.busy_ms, 0, 3600000);
    options.max_windows = (uint32_t)lbezel_option_integer(L, 2, "max_windows", options.max_windows, 1, INT32_MAX);
    options.max_bytes = (uint64_t)lbezel_option_integer(L, 2, "max_bytes", (lua_Integer)options.max_bytes, 0, INT64_MAX);
    options.content_days = (uint32_t)lbezel_option_integer(L, 2, "content_days", options.content_days, 0, 100000);
    options.user_keys = store_keys(L, &options.n_user_keys);
    bezel_engine *engine = lbezel_engine_push(L);
    store_object *o = lbezel_object_push(L, LBEZEL_STORE, sizeof *o, -1, 0);
    o->object.release = store_release;
    bezel_store *store = NULL;
    if (bezel_store_open(&store, engine, path, &options, &err) != BEZEL_OK) return lbezel_fail(L, &err);
    lbezel_object_set(&o->object, store);
    return 1;
}

/* Pushes the rows and ends their tree, or pushes the failure. */
static int store_rows(lua_State *L, bezel_status st, const bezel_value *value, lbezel_object *tree, const bezel_error *err) {
    if (st == BEZEL_OK) lbezel_value_push(L, value, LBEZEL_NULL_AS_NIL);
    lbezel_object_end(tree);
    return st == BEZEL_OK ? 1 : lbezel_fail(L, err);
}

/* store:query(sql, ...) -> list of rows | nil, message, code. Read only; the other arguments fill ?1, ?2, ... */
static int store_query(lua_State *L) {
    store_object *self = store_check(L);
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_value *value = NULL;
    const char *sql = lbezel_check_cstring(L, 2);
    int top = lua_gettop(L);
    lbezel_object *tree = lbezel_tree_push(L);
    bezel_value *params = bezel_tree_list(tree->handle);
    for (int i = 3; i <= top; i++) bezel_value_append(tree->handle, params, lbezel_value_get(L, i, tree->handle));
    bezel_status st = bezel_store_query(&value, tree->handle, self->object.handle, sql, params, &err);
    return store_rows(L, st, value, tree, &err);
}

/* store:view(name, limit) -> rows of a view for people ("usage_by_day", ...) */
static int store_view(lua_State *L) {
    store_object *self = store_check(L);
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_value *value = NULL;
    const char *name = lbezel_check_cstring(L, 2);
    const lua_Integer limit = luaL_optinteger(L, 3, 10000);
    luaL_argcheck(L, limit >= 0 && limit <= 100000, 3, "0..100000 expected");
    const char *const *known = bezel_store_views();
    while (*known && strcmp(*known, name) != 0) known++;
    if (!*known) return luaL_error(L, "store:view: '%s' is no view; store:views() lists them", name);
    lbezel_object *tree = lbezel_tree_push(L);
    lua_pushfstring(L, "SELECT * FROM %s LIMIT %I", name, (LUAI_UACINT)limit);
    bezel_status st = bezel_store_query(&value, tree->handle, self->object.handle, lua_tostring(L, -1), NULL, &err);
    return store_rows(L, st, value, tree, &err);
}

static int store_views(lua_State *L) {
    const char *const *known = bezel_store_views();
    store_check(L);
    lua_newtable(L);
    for (lua_Integer i = 0; known[i]; i++) {
        lua_pushstring(L, known[i]);
        lua_rawseti(L, -2, i + 1);
    }
    return 1;
}

/* store:user(id) -> what the user is called in the store */
static int store_user(lua_State *L) {
    store_object *self = store_check(L);
    bezel_error err = BEZEL_ERROR_INIT;
    char name[64];
    if (bezel_store_user(name, self->object.handle, lbezel_check_cstring(L, 2), &err) != BEZEL_OK) return lbezel_fail(L, &err);
    lua_pushstring(L, name);
    return 1;
}

/* store:begin(title, user) -> id of a new conversation */
static int store_begin(lua_State *L) {
    store_object *self = store_check(L);
    bezel_error err = BEZEL_ERROR_INIT;
    char id[32];
    const char *title = lua_isnoneornil(L, 2) ? NULL : lbezel_check_cstring(L, 2);
    const char *user = lua_isnoneornil(L, 3) ? NULL : lbezel_check_cstring(L, 3);
    if (bezel_store_begin(id, self->object.handle, title, user, &err) != BEZEL_OK) return lbezel_fail(L, &err);
    lua_pushstring(L, id);
    return 1;
}

/* store:conversations(limit, offset) -> newest first */
static int store_conversations(lua_State *L) {
    store_object *self = store_check(L);
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_value *value = NULL;
    lua_Integer limit = luaL_optinteger(L, 2, 100), offset = luaL_optinteger(L, 3, 0);
    luaL_argcheck(L, limit >= 0 && limit <= 100000, 2, "0..100000 expected");
    luaL_argcheck(L, offset >= 0 && offset <= INT32_MAX, 3, "0 or more expected");
    lbezel_object *tree = lbezel_tree_push(L);
    bezel_status st = bezel_store_conversations(&value, tree->handle, self->object.handle, (uint32_t)limit, (uint32_t)offset, &err);
    return store_rows(L, st, value, tree, &err);
}

/* store:messages(id) -> oldest first */
static int store_messages(lua_State *L) {
    store_object *self = store_check(L);
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_value *value = NULL;
    const char *id = lbezel_check_cstring(L, 2);
    lbezel_object *tree = lbezel_tree_push(L);
    bezel_status st = bezel_store_messages(&value, tree->handle, self->object.handle, id, &err);
    return store_rows(L, st, value, tree, &err);
}

/* store:search(text, limit) -> best first */
static int store_search(lua_State *L) {
    store_object *self = store_check(L);
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_value *value = NULL;
    const char *query = lbezel_check_cstring(L, 2);
    lua_Integer limit = luaL_optinteger(L, 3, 20);
    luaL_argcheck(L, limit >= 0 && limit <= 1000, 3, "0..1000 expected");
    lbezel_object *tree = lbezel_tree_push(L);
    bezel_status st = bezel_store_search(&value, tree->handle, self->object.handle, query, (uint32_t)limit, &err);
    return store_rows(L, st, value, tree, &err);
}

static int store_done(lua_State *L, bezel_status st, const bezel_error *err) {
    if (st != BEZEL_OK) return lbezel_fail(L, err);
    lua_pushboolean(L, 1);
    return 1;
}

static int store_delete(lua_State *L) {
    store_object *self = store_check(L);
    bezel_error err = BEZEL_ERROR_INIT;
    return store_done(L, bezel_store_delete(self->object.handle, lbezel_check_cstring(L, 2), &err), &err);
}

static int store_backup(lua_State *L) {
    store_object *self = store_check(L);
    bezel_error err = BEZEL_ERROR_INIT;
    return store_done(L, bezel_store_backup(self->object.handle, lbezel_check_cstring(L, 2), &err), &err);
}

/* store:export(path) -> rows written; store:import(path) -> rows added */
static int store_lines(lua_State *L, bezel_status (*run)(uint64_t *, bezel_store *, const char *, bezel_error *)) {
    store_object *self = store_check(L);
    bezel_error err = BEZEL_ERROR_INIT;
    uint64_t n = 0;
    if (run(&n, self->object.handle, lbezel_check_cstring(L, 2), &err) != BEZEL_OK) return lbezel_fail(L, &err);
    lua_pushinteger(L, (lua_Integer)n);
    return 1;
}

static int store_export(lua_State *L) { return store_lines(L, bezel_store_export); }
static int store_import(lua_State *L) { return store_lines(L, bezel_store_import); }

/* store:report(path, {days=, conversations=}): the store as one page of HTML */
static int store_report(lua_State *L) {
    static const char *const known[] = {"days", "conversations", NULL};
    store_object *self = store_check(L);
    bezel_error err = BEZEL_ERROR_INIT;
    const char *path = lbezel_check_cstring(L, 2);
    bezel_store_report_options options;
    bezel_store_report_options_init(&options);
    lua_settop(L, 3);
    lbezel_options_check(L, 3, known);
    options.days = (uint32_t)lbezel_option_integer(L, 3, "days", options.days, 0, 100000);
    options.conversations = (uint32_t)lbezel_option_integer(L, 3, "conversations", options.conversations, 0, 1000);
    return store_done(L, bezel_store_report(self->object.handle, path, &options, &err), &err);
}

/* store:tidy(budget_ms) -> true when nothing is left to remove, else false */
static int store_tidy(lua_State *L) {
    store_object *self = store_check(L);
    bezel_error err = BEZEL_ERROR_INIT;
    int32_t left = 0;
    const lua_Integer budget = luaL_optinteger(L, 2, 100);
    luaL_argcheck(L, budget >= 0 && budget <= 3600000, 2, "0..3600000 expected");
    if (bezel_store_tidy(&left, self->object.handle, budget * 1000, &err) != BEZEL_OK) return lbezel_fail(L, &err);
    lua_pushboolean(L, !left);
    return 1;
}

static int store_vacuum(lua_State *L) {
    store_object *self = store_check(L);
    bezel_error err = BEZEL_ERROR_INIT;
    return store_done(L, bezel_store_vacuum(self->object.handle, &err), &err);
}

void lbezel_store_open(lua_State *L) {
    static const luaL_Reg functions[] = {{"store", store_open}, {NULL, NULL}};
    static const luaL_Reg methods[] = {
        {"query", store_query},       {"view", store_view},     {"views", store_views},   {"begin", store_begin},
        {"user", store_user},         {"tidy", store_tidy},     {"vacuum", store_vacuum},
        {"conversations", store_conversations},                 {"messages", store_messages},
        {"search", store_search},     {"delete", store_delete}, {"backup", store_backup}, {"report", store_report},
        {"export", store_export},     {"import", store_import},
        {NULL, NULL}};
    lbezel_object_type(L, LBEZEL_STORE, methods);
    luaL_setfuncs(L, functions, 0);
}
