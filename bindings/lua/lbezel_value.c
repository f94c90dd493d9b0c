/* SPDX-License-Identifier: MIT */
/* Lua data to bezel_value and back, and typed reading of option tables. Limits: depth 60, else an error with the path. */
#include "lbezel.h"

#include <stdlib.h>
#include <string.h>

#define VALUE_DEPTH 60

/* Address of the null sentinel: bezel.null is this light userdata. */
static const char null_mark = 0;
/* Registry key of the metatable that marks a table as a list even when it is empty. */
#define LIST_MARK "bezel.list"

/* --- Values to Lua ------------------------------------------------------------------------ */

static void push_items(lua_State *L, const bezel_value *value, int nulls) {
    size_t n = bezel_value_count(value);
    int is_list = bezel_value_type(value) == BEZEL_LIST;
    luaL_checkstack(L, 6, "value too deep");
    lua_createtable(L, is_list && n < INT32_MAX ? (int)n : 0, !is_list && n < INT32_MAX ? (int)n : 0);
    if (is_list) luaL_setmetatable(L, LIST_MARK);
    for (size_t i = 0; i < n; i++) {
        size_t key_size = 0;
        const char *key = is_list ? NULL : bezel_value_key(value, i, &key_size);
        if (key) lua_pushlstring(L, key, key_size);
        const bezel_value *item = bezel_value_at(value, i);
        int keep = is_list && bezel_value_type(item) == BEZEL_NULL; /* a nil would cut the list short */
        lbezel_value_push(L, item, keep ? LBEZEL_NULL_AS_SENTINEL : nulls);
        if (key)
            lua_rawset(L, -3);
        else
            lua_rawseti(L, -2, (lua_Integer)(i + 1));
    }
}

void lbezel_value_push(lua_State *L, const bezel_value *value, int nulls) {
    size_t size = 0;
    const char *text;
    switch (bezel_value_type(value)) {
    case BEZEL_BOOL: lua_pushboolean(L, bezel_value_bool(value)); break;
    case BEZEL_INTEGER: lua_pushinteger(L, (lua_Integer)bezel_value_integer(value)); break;
    case BEZEL_NUMBER: lua_pushnumber(L, bezel_value_number(value)); break;
    case BEZEL_TEXT:
        text = bezel_value_text(value, &size);
        lua_pushlstring(L, text, size);
        break;
    case BEZEL_LIST:
    case BEZEL_MAP: push_items(L, value, nulls); break;
    default:
        if (nulls == LBEZEL_NULL_AS_SENTINEL)
            lua_pushlightuserdata(L, (void *)(uintptr_t)&null_mark);
        else
            lua_pushnil(L);
    }
}

/* --- Lua to values ------------------------------------------------------------------------ */

static bezel_value *get_at_depth(lua_State *L, int i, bezel_tree *tree, int depth);

/* Whether the table at i is a sequence 1..n and nothing else, or marked as a list. */
static int is_sequence(lua_State *L, int i, lua_Integer *out_n) {
    lua_Integer n = (lua_Integer)lua_rawlen(L, i), found = 0;
    *out_n = n;
    if (n == 0 && lua_getmetatable(L, i)) {
        luaL_getmetatable(L, LIST_MARK);
        int marked = lua_rawequal(L, -1, -2);
        lua_pop(L, 2);
        return marked;
    }
    if (n == 0) return 0;
    for (lua_pushnil(L); lua_next(L, i); lua_pop(L, 1)) found++;
    return found == n;
}

static bezel_value *get_list(lua_State *L, int i, bezel_tree *tree, lua_Integer n, int depth) {
    bezel_value *list = bezel_tree_list(tree);
    for (lua_Integer k = 1; k <= n; k++) {
        lua_rawgeti(L, i, k);
        bezel_value_append(tree, list, get_at_depth(L, lua_gettop(L), tree, depth + 1));
        lua_pop(L, 1);
    }
    return list;
}

typedef struct value_key {
    const char *text; /* held by the table it is a key of */
    size_t size;
} value_key;

static int key_compare(const void *a, const void *b) {
    const value_key *x = a, *y = b;
    size_t n = x->size < y->size ? x->size : y->size;
    int order = memcmp(x->text, y->text, n);
    return order ? order : (x->size > y->size) - (x->size < y->size);
}

/* Pushes a userdata with the keys of the table at i, sorted: Lua's own order changes from run to run, and prompts made
 * of it would, too. */
static value_key *sorted_keys(lua_State *L, int i, size_t *out_n) {
    size_t n = 0, k = 0;
    for (lua_pushnil(L); lua_next(L, i); lua_pop(L, 1)) n++;
    value_key *keys = lua_newuserdatauv(L, (n + 1) * sizeof *keys, 0);
    for (lua_pushnil(L); lua_next(L, i); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING)
            luaL_error(L, "a table with a key of type %s is neither a list 1..n nor a map of names",
                       luaL_typename(L, -2));
        keys[k].text = lua_tolstring(L, -2, &keys[k].size);
        k++;
    }
    qsort(keys, n, sizeof *keys, key_compare);
    *out_n = n;
    return keys;
}

static bezel_value *get_map(lua_State *L, int i, bezel_tree *tree, int depth) {
    bezel_value *map = bezel_tree_map(tree);
    size_t n;
    const value_key *keys = sorted_keys(L, i, &n);
    for (size_t k = 0; k < n; k++) {
        lua_pushlstring(L, keys[k].text, keys[k].size);
        lua_rawget(L, i);
        bezel_value_set_n(tree, map, keys[k].text, keys[k].size, get_at_depth(L, lua_gettop(L), tree, depth + 1));
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    return map;
}

static bezel_value *get_at_depth(lua_State *L, int i, bezel_tree *tree, int depth) {
    size_t size;
    const char *text;
    lua_Integer n;
    if (depth > VALUE_DEPTH) luaL_error(L, "table nested deeper than %d levels, or in itself", VALUE_DEPTH);
    luaL_checkstack(L, 8, "table too deep");
    switch (lua_type(L, i)) {
    case LUA_TNIL: return bezel_tree_null(tree);
    case LUA_TBOOLEAN: return bezel_tree_bool(tree, lua_toboolean(L, i));
    case LUA_TNUMBER:
        return lua_isinteger(L, i) ? bezel_tree_integer(tree, (int64_t)lua_tointeger(L, i))
                                   : bezel_tree_number(tree, (double)lua_tonumber(L, i));
    case LUA_TSTRING: text = lua_tolstring(L, i, &size); return bezel_tree_text(tree, text, size);
    case LUA_TLIGHTUSERDATA:
        if (lua_touserdata(L, i) == (const void *)&null_mark) return bezel_tree_null(tree);
        break;
    case LUA_TTABLE:
        return is_sequence(L, i, &n) ? get_list(L, i, tree, n, depth) : get_map(L, i, tree, depth);
    default: break;
    }
    luaL_error(L, "a %s cannot be a value: nil, boolean, number, string or table expected", luaL_typename(L, i));
    return NULL;
}

bezel_value *lbezel_value_get(lua_State *L, int i, bezel_tree *tree) {
    bezel_value *value = get_at_depth(L, lua_absindex(L, i), tree, 0);
    bezel_status st = bezel_tree_status(tree);
    if (st != BEZEL_OK) luaL_error(L, "value cannot be built: %s", bezel_status_name(st));
    return value;
}

static void tree_release(void *handle) { bezel_tree_free(handle); }

lbezel_object *lbezel_tree_push(lua_State *L) {
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_tree *tree = NULL;
    bezel_engine *engine = lbezel_engine_push(L);
    lbezel_object *o = lbezel_object_push(L, LBEZEL_TREE, sizeof *o, -1, 0); /* engine, tree */
    o->release = tree_release;
    if (bezel_tree_new(&tree, engine, &err) != BEZEL_OK) lbezel_raise(L, &err);
    lbezel_object_set(o, tree);
    lua_remove(L, -2);
    return o;
}

typedef struct value_text {
    lbezel_object object; /* handle: this struct */
    char *text;
    bezel_engine *engine;
} value_text;

static void text_release(void *handle) {
    value_text *t = handle;
    bezel_text_free(t->engine, t->text);
    t->text = NULL;
}

lbezel_object *lbezel_text_push(lua_State *L, char ***out_text) {
    bezel_engine *engine = lbezel_engine_push(L);
    value_text *t = lbezel_object_push(L, LBEZEL_TEXT, sizeof *t, -1, 0); /* engine, text */
    t->object.release = text_release;
    t->engine = engine;
    lbezel_object_set(&t->object, t);
    lua_remove(L, -2);
    *out_text = &t->text;
    return &t->object;
}

const char *lbezel_check_cstring(lua_State *L, int i) {
    size_t size;
    const char *text = luaL_checklstring(L, i, &size);
    luaL_argcheck(L, strlen(text) == size, i, "the string contains a NUL byte");
    return text;
}

/* --- Options ------------------------------------------------------------------------------ */

void lbezel_options_check(lua_State *L, int i, const char *const *known) {
    if (lua_isnoneornil(L, i)) return;
    luaL_checktype(L, i, LUA_TTABLE);
    for (lua_pushnil(L); lua_next(L, i); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING)
            luaL_error(L, "options: a table of names expected, found a key of type %s", luaL_typename(L, -2));
        const char *name = lua_tostring(L, -2);
        const char *const *k = known;
        while (*k && strcmp(*k, name) != 0) k++;
        if (!*k) luaL_error(L, "unknown option '%s'", name);
    }
}

int lbezel_option_push(lua_State *L, int i, const char *name) {
    if (lua_isnoneornil(L, i)) {
        lua_pushnil(L);
        return LUA_TNIL;
    }
    i = lua_absindex(L, i);
    luaL_checktype(L, i, LUA_TTABLE);
    lua_pushstring(L, name);
    return lua_rawget(L, i);
}

lua_Integer lbezel_option_integer(lua_State *L, int i, const char *name, lua_Integer fallback, lua_Integer min,
                                  lua_Integer max) {
    lua_Integer x = fallback;
    int ok = 0, type = lbezel_option_push(L, i, name);
    if (type != LUA_TNIL) {
        if (type == LUA_TNUMBER) x = lua_tointegerx(L, -1, &ok);
        if (!ok) luaL_error(L, "option %s: integer expected, got %s", name, luaL_typename(L, -1));
        if (x < min || x > max) luaL_error(L, "option %s: %I is outside %I..%I", name, (LUAI_UACINT)x,
                                           (LUAI_UACINT)min, (LUAI_UACINT)max);
    }
    lua_pop(L, 1);
    return x;
}

lua_Number lbezel_option_number(lua_State *L, int i, const char *name, lua_Number fallback) {
    lua_Number x = fallback;
    int type = lbezel_option_push(L, i, name);
    if (type != LUA_TNIL) {
        x = lua_tonumber(L, -1);
        if (type != LUA_TNUMBER) luaL_error(L, "option %s: number expected, got %s", name, luaL_typename(L, -1));
    }
    lua_pop(L, 1);
    return x;
}

int lbezel_option_bool(lua_State *L, int i, const char *name, int fallback) {
    int x = fallback;
    int type = lbezel_option_push(L, i, name);
    if (type != LUA_TNIL && type != LUA_TBOOLEAN)
        luaL_error(L, "option %s: boolean expected, got %s", name, luaL_typename(L, -1));
    if (type == LUA_TBOOLEAN) x = lua_toboolean(L, -1);
    lua_pop(L, 1);
    return x;
}

const char *lbezel_option_bytes(lua_State *L, int i, const char *name, size_t *out_size) {
    const char *text = NULL;
    int type = lbezel_option_push(L, i, name);
    *out_size = 0;
    if (type != LUA_TNIL && type != LUA_TSTRING)
        luaL_error(L, "option %s: string expected, got %s", name, luaL_typename(L, -1));
    if (type == LUA_TSTRING) text = lua_tolstring(L, -1, out_size); /* the table holds the string */
    lua_pop(L, 1);
    return text;
}

const char *lbezel_option_text(lua_State *L, int i, const char *name) {
    size_t size;
    const char *text = lbezel_option_bytes(L, i, name, &size);
    if (text && strlen(text) != size) luaL_error(L, "option %s: the string contains a NUL byte", name);
    return text;
}

const char *const *lbezel_option_strings(lua_State *L, int i, const char *name, size_t most) {
    if (lbezel_option_push(L, i, name) == LUA_TNIL) return NULL;
    if (!lua_istable(L, -1)) luaL_error(L, "option %s: list of strings expected, got %s", name, luaL_typename(L, -1));
    size_t n = lua_rawlen(L, -1);
    if (n > most) luaL_error(L, "option %s: at most %d strings", name, (int)most);
    const char **strings = lua_newuserdatauv(L, (n + 1) * sizeof *strings, 0);
    for (size_t k = 0; k < n; k++) {
        if (lua_rawgeti(L, -2, (lua_Integer)(k + 1)) != LUA_TSTRING) luaL_error(L, "option %s: strings expected", name);
        strings[k] = lua_tostring(L, -1); /* held by the list */
        if (strlen(strings[k]) != lua_rawlen(L, -1)) luaL_error(L, "option %s: a string contains a NUL byte", name);
        lua_pop(L, 1);
    }
    strings[n] = NULL; /* list, strings: both stay */
    return strings;
}

/* --- Module ------------------------------------------------------------------------------- */

/* bezel.list(t): marks t as a list, so that an empty one is written as [] and not as {}. */
static int value_list(lua_State *L) {
    if (lua_isnoneornil(L, 1)) {
        lua_settop(L, 0);
        lua_newtable(L);
    }
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    if (lua_getmetatable(L, 1)) {
        luaL_getmetatable(L, LIST_MARK);
        luaL_argcheck(L, lua_rawequal(L, -1, -2), 1, "the table has a metatable of its own");
        lua_settop(L, 1);
    }
    luaL_setmetatable(L, LIST_MARK);
    return 1;
}

void lbezel_value_open(lua_State *L) {
    luaL_newmetatable(L, LIST_MARK);
    lua_pop(L, 1);
    lbezel_object_type(L, LBEZEL_TREE, NULL);
    lbezel_object_type(L, LBEZEL_TEXT, NULL);
    lua_pushlightuserdata(L, (void *)(uintptr_t)&null_mark);
    lua_setfield(L, -2, "null");
    lua_pushcfunction(L, value_list);
    lua_setfield(L, -2, "list");
}
