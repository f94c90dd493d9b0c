/* SPDX-License-Identifier: MIT */
/* bezel.guard: texts cleaned and filtered, requests counted. */
#include "lbezel.h"

#include <string.h>

typedef struct guard_object { /* object LBEZEL_GUARD; user value 2 is the judge, or nil, 3 the store, or nil */
    lbezel_object object;
    lua_State *L;    /* who is inside a call of the guard right now */
    int judge_index; /* of the judge on its stack */
} guard_object;

static void guard_release(void *handle) { bezel_guard_free(handle); }

static void stream_release(void *handle) { bezel_guard_stream_free(handle); }

static int32_t guard_judge(void *ud, uint32_t direction, const char *text, size_t size, const char **reason) {
    guard_object *o = ud;
    *reason = "a judge outside of a call";
    return o->L ? lbezel_callback_judge(o->L, o->judge_index, direction == BEZEL_GUARD_INPUT ? "input" : "output", text, size, reason) : -1;
}

/* Puts the judge on the stack for the call that follows. */
static void guard_enter(lua_State *L, guard_object *o, int index) {
    lua_getiuservalue(L, index, 2);
    o->judge_index = lua_gettop(L);
    o->L = L;
}

static void guard_leave(guard_object *o) { o->L = NULL; }

void lbezel_guard_enter(lua_State *L, int i) { guard_enter(L, lbezel_object_check(L, i, LBEZEL_GUARD), i); }

void lbezel_guard_leave(lua_State *L, int i) { guard_leave(lua_touserdata(L, i)); }

/* --- Options ------------------------------------------------------------------------------ */

/* The list of texts under a name; what it points to is anchored by the options. */
static const char **guard_words(lua_State *L, const char *name, uint32_t *out_n) {
    *out_n = 0;
    if (lbezel_option_push(L, 1, name) == LUA_TNIL) return NULL;
    if (!lua_istable(L, -1)) luaL_error(L, "option %s: a list of texts expected, got %s", name, luaL_typename(L, -1));
    const lua_Unsigned n = lua_rawlen(L, -1);
    if (n > 10000) luaL_error(L, "option %s: %d texts, at most 10000", name, (int)n);
    const char **words = lua_newuserdatauv(L, (n + 1) * sizeof *words, 0);
    for (lua_Unsigned i = 0; i < n; i++) {
        if (lua_rawgeti(L, -2, (lua_Integer)(i + 1)) != LUA_TSTRING) luaL_error(L, "option %s: item %d is no text", name, (int)i + 1);
        words[i] = lbezel_check_cstring(L, -1);
        lua_pop(L, 1);
    }
    *out_n = (uint32_t)n;
    return words;
}

/* The list of {name=, pattern=} under a name. */
static bezel_guard_pattern *guard_patterns(lua_State *L, const char *name, uint32_t *out_n) {
    *out_n = 0;
    if (lbezel_option_push(L, 1, name) == LUA_TNIL) return NULL;
    if (!lua_istable(L, -1)) luaL_error(L, "option %s: a list of {name=, pattern=} expected, got %s", name, luaL_typename(L, -1));
    const lua_Unsigned n = lua_rawlen(L, -1);
    if (n > 256) luaL_error(L, "option %s: %d patterns, at most 256", name, (int)n);
    bezel_guard_pattern *patterns = lua_newuserdatauv(L, (n + 1) * sizeof *patterns, 0);
    const int list = lua_gettop(L) - 1;
    for (lua_Unsigned i = 0; i < n; i++) {
        if (lua_rawgeti(L, list, (lua_Integer)(i + 1)) != LUA_TTABLE) luaL_error(L, "option %s: item %d is no table", name, (int)i + 1);
        patterns[i].name = lbezel_option_text(L, lua_gettop(L), "name");
        patterns[i].pattern = lbezel_option_text(L, lua_gettop(L), "pattern");
        if (!patterns[i].name || !patterns[i].pattern) luaL_error(L, "option %s: item %d needs name and pattern", name, (int)i + 1);
        lua_pop(L, 1);
    }
    *out_n = (uint32_t)n;
    return patterns;
}

/* bezel.guard(options) -> guard | nil, message, code */
static int guard_open(lua_State *L) {
    static const char *const known[] = {"max_characters", "max_messages", "max_requests", "window_s", "words", "patterns", "remove",
                                        "judge", "max_held", "store", NULL};
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_guard_options o;
    lua_settop(L, 1);
    lbezel_options_check(L, 1, known);
    bezel_guard_options_init(&o);
    o.max_characters = (uint32_t)lbezel_option_integer(L, 1, "max_characters", o.max_characters, 1, INT32_MAX);
    o.max_messages = (uint32_t)lbezel_option_integer(L, 1, "max_messages", o.max_messages, 1, INT32_MAX);
    o.max_requests = (uint32_t)lbezel_option_integer(L, 1, "max_requests", o.max_requests, 1, 10000);
    o.window_s = (uint32_t)lbezel_option_integer(L, 1, "window_s", o.window_s, 1, 31 * 86400);
    o.max_held = (uint32_t)lbezel_option_integer(L, 1, "max_held", o.max_held, 1, INT32_MAX);
    o.words = guard_words(L, "words", &o.n_words);
    o.patterns = guard_patterns(L, "patterns", &o.n_patterns);
    o.remove = guard_patterns(L, "remove", &o.n_remove);
    bezel_engine *engine = lbezel_engine_push(L);
    guard_object *self = lbezel_object_push(L, LBEZEL_GUARD, sizeof *self, -1, 2);
    self->object.release = guard_release;
    const int type = lbezel_option_push(L, 1, "judge");
    if (type == LUA_TUSERDATA && luaL_testudata(L, -1, LBEZEL_JUDGE)) {
        self->object.also[1] = lbezel_object_check(L, -1, LBEZEL_JUDGE);
        o.judge = bezel_judge_decide;
        o.judge_ud = self->object.also[1]->handle;
    } else if (type != LUA_TNIL && type != LUA_TFUNCTION) {
        return luaL_error(L, "option judge: a function or a judge expected, got %s", luaL_typename(L, -1));
    }
    lua_setiuservalue(L, -2, 2);
    if (type == LUA_TFUNCTION) {
        o.judge = guard_judge;
        o.judge_ud = self;
    }
    if (lbezel_option_push(L, 1, "store") != LUA_TNIL) {
        if (!luaL_testudata(L, -1, LBEZEL_STORE)) return luaL_error(L, "option store: a store expected, got %s", luaL_typename(L, -1));
        self->object.also[0] = lbezel_object_check(L, -1, LBEZEL_STORE);
        o.windows = bezel_store_windows(self->object.also[0]->handle);
        lua_pushvalue(L, -1);
        lua_setiuservalue(L, -3, 3);
    }
    lua_pop(L, 1);
    bezel_guard *guard = NULL;
    if (bezel_guard_new(&guard, engine, &o, &err) != BEZEL_OK) return lbezel_fail(L, &err);
    lbezel_object_set(&self->object, guard);
    return 1;
}

/* --- Texts -------------------------------------------------------------------------------- */

static void guard_integer(lua_State *L, const char *name, lua_Integer value) {
    lua_pushinteger(L, value);
    lua_setfield(L, -2, name);
}

/* guard:clean(text) -> text, report | nil, message, code */
static int guard_clean(lua_State *L) {
    guard_object *self = lbezel_object_check(L, 1, LBEZEL_GUARD);
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_clean clean = {.size = sizeof clean};
    size_t size;
    const char *text = luaL_checklstring(L, 2, &size);
    if (bezel_guard_clean(&clean, self->object.handle, text, size, &err) != BEZEL_OK) return lbezel_fail(L, &err);
    lua_pushlstring(L, clean.text, clean.text_size);
    lua_createtable(L, 0, 5);
    guard_integer(L, "removed", clean.n_removed);
    guard_integer(L, "invisible", (lua_Integer)clean.n_invisible);
    guard_integer(L, "repaired", (lua_Integer)clean.n_repaired);
    guard_integer(L, "cut", (lua_Integer)clean.n_cut);
    lua_pushstring(L, clean.names);
    lua_setfield(L, -2, "names");
    return 2;
}

/* Pushes false and the verdict as a table. */
static int guard_push_verdict(lua_State *L, const bezel_verdict *v) {
    lua_pushboolean(L, 0);
    lua_createtable(L, 0, 4);
    lua_pushstring(L, v->rule);
    lua_setfield(L, -2, "rule");
    lua_pushstring(L, v->detail);
    lua_setfield(L, -2, "detail");
    guard_integer(L, "from", (lua_Integer)v->offset + 1);
    guard_integer(L, "to", (lua_Integer)(v->offset + v->length));
    return 2;
}

static uint32_t guard_direction(lua_State *L, int i) {
    static const char *const names[] = {"input", "output", NULL};
    return luaL_checkoption(L, i, "input", names) == 0 ? BEZEL_GUARD_INPUT : BEZEL_GUARD_OUTPUT;
}

/* guard:check(text, direction) -> true | false, {rule=, detail=, from=, to=} | nil, message, code */
static int guard_check(lua_State *L) {
    guard_object *self = lbezel_object_check(L, 1, LBEZEL_GUARD);
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_verdict verdict = {.size = sizeof verdict};
    size_t size;
    const char *text = luaL_checklstring(L, 2, &size);
    const uint32_t direction = guard_direction(L, 3);
    guard_enter(L, self, 1);
    bezel_status st = bezel_guard_check(&verdict, self->object.handle, direction, text, size, &err);
    guard_leave(self);
    if (st == BEZEL_ERR_DENIED) return guard_push_verdict(L, &verdict);
    if (st != BEZEL_OK) return lbezel_fail(L, &err);
    lua_pushboolean(L, 1);
    return 1;
}

/* guard:stream(direction) -> stream | nil, message, code */
static int guard_stream(lua_State *L) {
    guard_object *self = lbezel_object_check(L, 1, LBEZEL_GUARD);
    bezel_error err = BEZEL_ERROR_INIT;
    lua_settop(L, 2);
    if (lua_isnil(L, 2)) {
        lua_pushliteral(L, "output");
        lua_replace(L, 2);
    }
    const uint32_t direction = guard_direction(L, 2);
    lbezel_object *o = lbezel_object_push(L, LBEZEL_GUARD_STREAM, sizeof *o, 1, 0);
    o->release = stream_release;
    bezel_guard_stream *stream = NULL;
    if (bezel_guard_stream_new(&stream, self->object.handle, direction, &err) != BEZEL_OK) return lbezel_fail(L, &err);
    lbezel_object_set(o, stream);
    return 1;
}

/* stream:add(text, last) -> text that may go out | false, verdict | nil, message, code */
static int stream_add(lua_State *L) {
    lbezel_object *o = lbezel_object_check(L, 1, LBEZEL_GUARD_STREAM);
    guard_object *guard = (guard_object *)o->parent;
    bezel_error err = BEZEL_ERROR_INIT;
    size_t size, out_size;
    const char *text = luaL_checklstring(L, 2, &size), *out;
    const int last = lua_toboolean(L, 3);
    lua_getiuservalue(L, 1, 1);
    guard_enter(L, guard, lua_gettop(L));
    bezel_status st = bezel_guard_stream_add(&out, &out_size, o->handle, text, size, last, &err);
    guard_leave(guard);
    if (st == BEZEL_OK) {
        lua_pushlstring(L, out, out_size);
        return 1;
    }
    if (st != BEZEL_ERR_DENIED) return lbezel_fail(L, &err);
    bezel_verdict verdict = {.size = sizeof verdict};
    bezel_guard_stream_verdict(&verdict, o->handle);
    return guard_push_verdict(L, &verdict);
}

/* --- Requests ----------------------------------------------------------------------------- */

static void guard_push_rate(lua_State *L, const bezel_rate *rate) {
    lua_createtable(L, 0, 5);
    guard_integer(L, "used", rate->used);
    guard_integer(L, "remaining", rate->remaining);
    lua_pushnumber(L, (lua_Number)rate->reset_ms / 1e3);
    lua_setfield(L, -2, "reset_s");
    guard_integer(L, "forgotten", (lua_Integer)rate->n_forgotten);
    guard_integer(L, "bytes", (lua_Integer)rate->window_bytes);
}

/* guard:request(user) -> true, rate | false, rate | nil, message, code */
static int guard_request(lua_State *L) {
    guard_object *self = lbezel_object_check(L, 1, LBEZEL_GUARD);
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_rate rate = {.size = sizeof rate};
    const char *user = lua_isnoneornil(L, 2) ? NULL : lbezel_check_cstring(L, 2);
    bezel_status st = bezel_guard_request(&rate, self->object.handle, user, &err);
    if (st != BEZEL_OK && st != BEZEL_ERR_DENIED) return lbezel_fail(L, &err);
    lua_pushboolean(L, st == BEZEL_OK);
    guard_push_rate(L, &rate);
    return 2;
}

int lbezel_guard_rate_push(lua_State *L, bezel_guard *guard, int i) {
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_rate rate = {.size = sizeof rate};
    const char *user = lua_isnoneornil(L, i) ? NULL : lbezel_check_cstring(L, i);
    if (bezel_guard_rate(&rate, guard, user, &err) != BEZEL_OK) return lbezel_fail(L, &err);
    guard_push_rate(L, &rate);
    return 1;
}

/* guard:rate(user) -> rate | nil, message, code */
static int guard_rate(lua_State *L) {
    guard_object *self = lbezel_object_check(L, 1, LBEZEL_GUARD);
    return lbezel_guard_rate_push(L, self->object.handle, 2);
}

/* guard:validate(messages) -> true | nil, message, code */
static int guard_validate(lua_State *L) {
    guard_object *self = lbezel_object_check(L, 1, LBEZEL_GUARD);
    bezel_error err = BEZEL_ERROR_INIT;
    luaL_checkany(L, 2);
    lbezel_object *tree = lbezel_tree_push(L);
    bezel_status st = bezel_guard_validate(self->object.handle, lbezel_value_get(L, 2, tree->handle), &err);
    lbezel_object_end(tree);
    if (st != BEZEL_OK) return lbezel_fail(L, &err);
    lua_pushboolean(L, 1);
    return 1;
}

/* --- A model as judge --------------------------------------------------------------------- */

static void judge_release(void *handle) { bezel_judge_free(handle); }

/* bezel.judge(model, {policy=, threshold=, form=}) -> judge | nil, message, code */
static int judge_open(lua_State *L) {
    static const char *const known[] = {LBEZEL_SESSION_OPTIONS, "policy", "threshold", "form", NULL};
    bezel_error err = BEZEL_ERROR_INIT;
    lbezel_object *model = lbezel_object_check(L, 1, LBEZEL_MODEL);
    bezel_judge_options o;
    lua_settop(L, 2);
    lbezel_options_check(L, 2, known);
    bezel_judge_options_init(&o);
    o.policy = lbezel_option_text(L, 2, "policy");
    o.threshold = lbezel_option_number(L, 2, "threshold", o.threshold);
    const char *form = lbezel_option_text(L, 2, "form");
    if (form && strcmp(form, "shieldgemma") == 0) o.form = BEZEL_JUDGE_SHIELDGEMMA;
    else if (form && strcmp(form, "plain") != 0) return luaL_error(L, "option form: plain or shieldgemma expected, got %s", form);
    lbezel_session_options(L, 2, &o.session);
    lbezel_object *self = lbezel_object_push(L, LBEZEL_JUDGE, sizeof *self, 1, 0);
    self->release = judge_release;
    bezel_judge *judge = NULL;
    if (bezel_judge_new(&judge, model->handle, &o, &err) != BEZEL_OK) return lbezel_fail(L, &err);
    lbezel_object_set(self, judge);
    return 1;
}

/* judge:score(text, direction) -> probability of a violation | nil, message, code */
static int judge_score(lua_State *L) {
    lbezel_object *self = lbezel_object_check(L, 1, LBEZEL_JUDGE);
    bezel_error err = BEZEL_ERROR_INIT;
    size_t size;
    double p = 1;
    const char *text = luaL_checklstring(L, 2, &size);
    const uint32_t direction = guard_direction(L, 3);
    if (bezel_judge_score(&p, self->handle, direction, text, size, &err) != BEZEL_OK) return lbezel_fail(L, &err);
    lua_pushnumber(L, p);
    return 1;
}

void lbezel_guard_open(lua_State *L) {
    static const luaL_Reg methods[] = {{"clean", guard_clean},       {"check", guard_check}, {"stream", guard_stream},
                                       {"request", guard_request},   {"rate", guard_rate},   {"validate", guard_validate},
                                       {NULL, NULL}};
    static const luaL_Reg stream_methods[] = {{"add", stream_add}, {NULL, NULL}};
    lbezel_object_type(L, LBEZEL_GUARD, methods);
    lbezel_object_type(L, LBEZEL_GUARD_STREAM, stream_methods);
    static const luaL_Reg judge_methods[] = {{"score", judge_score}, {NULL, NULL}};
    lbezel_object_type(L, LBEZEL_JUDGE, judge_methods);
    lua_pushcfunction(L, judge_open);
    lua_setfield(L, -2, "judge");
    lua_pushcfunction(L, guard_open);
    lua_setfield(L, -2, "guard");
}
