/* SPDX-License-Identifier: MIT */
/* bezel.monitor: requests, scores, summaries, alerts, health, exports. */
#include "lbezel.h"

#include <math.h>
#include <string.h>

typedef struct monitor_object { /* object LBEZEL_MONITOR; user value 2: the store, 3: the function that scores */
    lbezel_object object;
    lua_State *L;    /* who is inside a call that may score right now */
    int score_index; /* of the function on its stack */
} monitor_object;

static void monitor_release(void *handle) { bezel_monitor_free(handle); }

static void monitor_score(void *ud, const bezel_monitor_answer *answer, bezel_monitor_quality *scores) {
    monitor_object *o = ud;
    if (o->L) lbezel_callback_score(o->L, o->score_index, answer, scores);
}

void lbezel_monitor_enter(lua_State *L, int i, lbezel_monitor_use *outer) {
    monitor_object *o = lua_touserdata(L, i);
    *outer = (lbezel_monitor_use){o->L, o->score_index};
    o->object.holds++;
    const int scores = lua_getiuservalue(L, i, 3) == LUA_TFUNCTION;
    o->score_index = lua_gettop(L);
    o->L = scores ? L : NULL;
}

void lbezel_monitor_leave(lua_State *L, int i, const lbezel_monitor_use *outer) {
    monitor_object *o = lua_touserdata(L, i);
    o->L = outer->L;
    o->score_index = outer->index;
    lbezel_object_let_go(&o->object);
}

static void number_set(lua_State *L, const char *name, lua_Number value) {
    if (isnan(value)) return;
    lua_pushnumber(L, value);
    lua_setfield(L, -2, name);
}

static void count_set(lua_State *L, const char *name, uint64_t value) {
    lua_pushinteger(L, (lua_Integer)value);
    lua_setfield(L, -2, name);
}

static void text_set(lua_State *L, const char *name, const char *value) {
    lua_pushstring(L, value);
    lua_setfield(L, -2, name);
}

/* --- Options ------------------------------------------------------------------------------ */

/* The table at the top as thresholds of a model. */
static void thresholds_read(lua_State *L, const char *model, bezel_monitor_thresholds *out) {
    static const char *const known[] = {"max_response_s", "max_memory_mb", "min_tokens_per_second", "min_success_rate", NULL};
    const int i = lua_gettop(L);
    if (!lua_istable(L, i)) luaL_error(L, "option thresholds: a table expected, got %s", luaL_typename(L, i));
    lbezel_options_check(L, i, known);
    *out = (bezel_monitor_thresholds)BEZEL_THRESHOLDS_INIT;
    out->model = model;
    out->max_response_s = lbezel_option_number(L, i, "max_response_s", out->max_response_s);
    out->max_memory_mb = lbezel_option_number(L, i, "max_memory_mb", out->max_memory_mb);
    out->min_tokens_per_second = lbezel_option_number(L, i, "min_tokens_per_second", out->min_tokens_per_second);
    out->min_success_rate = lbezel_option_number(L, i, "min_success_rate", out->min_success_rate);
}

/* thresholds = {...} for all models, models = {NAME = {...}} for some. */
static void monitor_thresholds(lua_State *L, bezel_monitor_options *o, bezel_monitor_thresholds list[64]) {
    uint32_t n = 0;
    if (lbezel_option_push(L, 1, "thresholds") != LUA_TNIL) thresholds_read(L, NULL, &list[n++]);
    lua_pop(L, 1);
    if (lbezel_option_push(L, 1, "models") != LUA_TNIL) {
        if (!lua_istable(L, -1)) luaL_error(L, "option models: a table expected, got %s", luaL_typename(L, -1));
        for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
            if (n == 64) luaL_error(L, "option models: at most 63 models");
            if (lua_type(L, -2) != LUA_TSTRING) luaL_error(L, "option models: names of models expected");
            thresholds_read(L, lbezel_check_cstring(L, lua_gettop(L) - 1), &list[n++]);
        }
    }
    lua_pop(L, 1);
    o->thresholds = list;
    o->n_thresholds = n;
}

/* bezel.monitor(options) -> monitor | nil, message, code */
static int monitor_open(lua_State *L) {
    static const char *const known[] = {"max_records", "alert_window", "max_probe_ms", "thresholds", "models", "store", "score", NULL};
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_monitor_options o;
    bezel_monitor_thresholds list[64];
    lua_settop(L, 1);
    lbezel_options_check(L, 1, known);
    bezel_monitor_options_init(&o);
    o.max_records = (uint32_t)lbezel_option_integer(L, 1, "max_records", o.max_records, 1, 1000000);
    o.alert_window = (uint32_t)lbezel_option_integer(L, 1, "alert_window", o.alert_window, 1, 1000);
    o.max_probe_ms = (uint32_t)lbezel_option_integer(L, 1, "max_probe_ms", o.max_probe_ms, 1, INT32_MAX);
    monitor_thresholds(L, &o, list);
    bezel_engine *engine = lbezel_engine_push(L);
    monitor_object *self = lbezel_object_push(L, LBEZEL_MONITOR, sizeof *self, -1, 2);
    const int at = lua_gettop(L);
    self->object.release = monitor_release;
    if (lbezel_option_push(L, 1, "store") != LUA_TNIL) {
        lbezel_object *store = lbezel_object_check(L, -1, LBEZEL_STORE);
        self->object.also[0] = store;
        o.sink = bezel_store_monitor(store->handle);
        lua_setiuservalue(L, at, 2);
    }
    lua_settop(L, at);
    const int type = lbezel_option_push(L, 1, "score");
    if (type != LUA_TNIL && type != LUA_TFUNCTION) return luaL_error(L, "option score: a function expected, got %s", luaL_typename(L, -1));
    if (type == LUA_TFUNCTION) {
        o.score = monitor_score;
        o.score_ud = self;
    }
    lua_setiuservalue(L, at, 3);
    bezel_monitor *monitor = NULL;
    if (bezel_monitor_new(&monitor, engine, &o, &err) != BEZEL_OK) return lbezel_fail(L, &err);
    lbezel_object_set(&self->object, monitor);
    lua_settop(L, at);
    return 1;
}

/* --- Rows --------------------------------------------------------------------------------- */

/* monitor:add{model=, response_time=, tokens=, ...} -> true | nil, message, code. Memory is measured unless it is given. */
static int monitor_add(lua_State *L) {
    static const char *const known[] = {"model", "user", "conversation", "operation", "span", "code", "error", "success", "response_time",
                                        "first_token_time", "tokens", "prompt_tokens", "cached_tokens", "input_length", "memory_mb", NULL};
    lbezel_object *self = lbezel_object_check(L, 1, LBEZEL_MONITOR);
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_monitor_request r;
    luaL_checktype(L, 2, LUA_TTABLE);
    lbezel_options_check(L, 2, known);
    bezel_monitor_begin(&r, self->handle);
    bezel_monitor_measure(&r, self->handle);
    r.model = lbezel_option_text(L, 2, "model");
    r.user = lbezel_option_text(L, 2, "user");
    r.conversation = lbezel_option_text(L, 2, "conversation");
    r.span = lbezel_option_text(L, 2, "span");
    r.code = lbezel_option_text(L, 2, "code");
    r.error = lbezel_option_text(L, 2, "error");
    const char *operation = lbezel_option_text(L, 2, "operation");
    if (operation) r.operation = operation;
    r.is_success = lbezel_option_bool(L, 2, "success", !r.error && !r.code);
    const lua_Number seconds = lbezel_option_number(L, 2, "response_time", 0), first = lbezel_option_number(L, 2, "first_token_time", 0);
    luaL_argcheck(L, seconds >= 0 && seconds < 1e9 && first >= 0 && first < 1e9, 2, "times in seconds expected");
    r.duration_us = (int64_t)(seconds * 1e6);
    r.first_token_us = (int64_t)(first * 1e6);
    r.n_generated = (uint64_t)lbezel_option_integer(L, 2, "tokens", 0, 0, LUA_MAXINTEGER);
    r.n_prompt = (uint64_t)lbezel_option_integer(L, 2, "prompt_tokens", 0, 0, LUA_MAXINTEGER);
    r.n_cached = (uint64_t)lbezel_option_integer(L, 2, "cached_tokens", 0, 0, LUA_MAXINTEGER);
    r.n_input = (uint64_t)lbezel_option_integer(L, 2, "input_length", 0, 0, LUA_MAXINTEGER);
    r.tokens_per_second = seconds > 0 ? (double)r.n_generated / seconds : 0;
    const lua_Number mb = lbezel_option_number(L, 2, "memory_mb", -1);
    if (mb >= 0 && mb < 1e12) r.memory_bytes = (uint64_t)(mb * 1048576);
    const bezel_monitor_record record = {.size = sizeof record, .request = &r};
    if (bezel_monitor_add(self->handle, &record, &err) != BEZEL_OK) return lbezel_fail(L, &err);
    lua_pushboolean(L, 1);
    return 1;
}

/* monitor:evaluate{question=, answer=, reference=, satisfaction=, model=} -> scores | nil, message, code */
static int monitor_evaluate(lua_State *L) {
    static const char *const known[] = {"question", "answer", "reference", "satisfaction", "model", "user", "span", NULL};
    monitor_object *self = lbezel_object_check(L, 1, LBEZEL_MONITOR);
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_monitor_quality q;
    bezel_monitor_answer a = {.size = sizeof a};
    luaL_checktype(L, 2, LUA_TTABLE);
    lbezel_options_check(L, 2, known);
    a.question = lbezel_option_text(L, 2, "question");
    a.answer = lbezel_option_text(L, 2, "answer");
    a.reference = lbezel_option_text(L, 2, "reference");
    a.model = lbezel_option_text(L, 2, "model");
    a.user = lbezel_option_text(L, 2, "user");
    a.span = lbezel_option_text(L, 2, "span");
    a.satisfaction = lbezel_option_number(L, 2, "satisfaction", (lua_Number)NAN);
    luaL_argcheck(L, a.question && a.answer, 2, "question and answer expected");
    lbezel_monitor_use outer;
    lbezel_monitor_enter(L, 1, &outer);
    const bezel_status st = bezel_monitor_evaluate(&q, self->object.handle, &a, &err);
    lbezel_monitor_leave(L, 1, &outer);
    if (st != BEZEL_OK) return lbezel_fail(L, &err);
    lua_createtable(L, 0, 5);
    number_set(L, "relevance", q.relevance);
    number_set(L, "coherence", q.coherence);
    number_set(L, "safety", q.safety);
    number_set(L, "accuracy", q.accuracy);
    number_set(L, "satisfaction", q.satisfaction);
    return 1;
}

/* --- Summaries ---------------------------------------------------------------------------- */

/* monitor:summary(n, model) -> table | nil, message, code */
static int monitor_summary(lua_State *L) {
    lbezel_object *self = lbezel_object_check(L, 1, LBEZEL_MONITOR);
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_monitor_performance p = {.size = sizeof p};
    const lua_Integer n = luaL_optinteger(L, 2, 100);
    const char *model = lua_isnoneornil(L, 3) ? NULL : lbezel_check_cstring(L, 3);
    luaL_argcheck(L, n >= 1 && n <= 1000000, 2, "1..1000000 expected");
    if (bezel_monitor_summary(&p, self->handle, model, (uint32_t)n, &err) != BEZEL_OK) return lbezel_fail(L, &err);
    lua_createtable(L, 0, 10);
    count_set(L, "requests", p.n_requests);
    count_set(L, "successful", p.n_success);
    number_set(L, "success_rate", p.success_rate);
    number_set(L, "mean_response_time", p.mean_response_s);
    number_set(L, "mean_memory_mb", p.mean_memory_mb);
    number_set(L, "mean_tokens_per_second", p.mean_tokens_per_second);
    number_set(L, "p50_response_time", p.p50_response_s);
    number_set(L, "p95_response_time", p.p95_response_s);
    number_set(L, "p99_response_time", p.p99_response_s);
    count_set(L, "total_tokens", p.total_tokens);
    return 1;
}

/* monitor:quality(n, model) -> table | nil, message, code */
static int monitor_quality(lua_State *L) {
    lbezel_object *self = lbezel_object_check(L, 1, LBEZEL_MONITOR);
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_monitor_scores s = {.size = sizeof s};
    const lua_Integer n = luaL_optinteger(L, 2, 100);
    const char *model = lua_isnoneornil(L, 3) ? NULL : lbezel_check_cstring(L, 3);
    luaL_argcheck(L, n >= 1 && n <= 1000000, 2, "1..1000000 expected");
    if (bezel_monitor_quality_summary(&s, self->handle, model, (uint32_t)n, &err) != BEZEL_OK) return lbezel_fail(L, &err);
    lua_createtable(L, 0, 7);
    count_set(L, "evaluations", s.n_evaluations);
    number_set(L, "relevance", s.relevance);
    number_set(L, "coherence", s.coherence);
    number_set(L, "safety", s.safety);
    number_set(L, "accuracy", s.accuracy);
    number_set(L, "overall", s.overall);
    number_set(L, "satisfaction", s.satisfaction);
    return 1;
}

static void alert_push(lua_State *L, const bezel_monitor_alert *a) {
    lua_createtable(L, 0, 9);
    text_set(L, "type", a->type);
    text_set(L, "severity", bezel_severity_name(a->severity));
    text_set(L, "metric", a->metric);
    text_set(L, "message", a->message);
    text_set(L, "model", a->model);
    number_set(L, "value", a->value);
    number_set(L, "threshold", a->threshold);
    number_set(L, "timestamp", (lua_Number)a->at_ms / 1e3);
    lua_pushboolean(L, a->is_over);
    lua_setfield(L, -2, "over");
}

/* monitor:alerts() -> those that hold now */
static int monitor_alerts(lua_State *L) {
    lbezel_object *self = lbezel_object_check(L, 1, LBEZEL_MONITOR);
    bezel_monitor_alert a;
    lua_newtable(L);
    for (size_t i = 0; bezel_monitor_alert_at(&a, self->handle, i); i++) {
        alert_push(L, &a);
        lua_rawseti(L, -2, (lua_Integer)i + 1);
    }
    return 1;
}

/* monitor:event() -> an alert that began or ended, or nil */
static int monitor_event(lua_State *L) {
    lbezel_object *self = lbezel_object_check(L, 1, LBEZEL_MONITOR);
    bezel_monitor_alert a;
    if (!bezel_monitor_alert_next(&a, self->handle)) return 0;
    alert_push(L, &a);
    return 1;
}

static int health_push(lua_State *L, const bezel_monitor_health *h) {
    lua_createtable(L, 0, 6);
    text_set(L, "status", bezel_health_name(h->status));
    lua_pushboolean(L, h->is_model_loaded);
    lua_setfield(L, -2, "model_loaded");
    lua_pushboolean(L, h->is_multimodal);
    lua_setfield(L, -2, "multimodal_enabled");
    number_set(L, "response_time", (lua_Number)h->response_us / 1e6);
    number_set(L, "memory_usage", (lua_Number)h->memory_bytes / 1048576);
    lua_newtable(L);
    for (lua_Integer i = 0; h->errors[i]; i++) {
        lua_pushstring(L, h->errors[i]);
        lua_rawseti(L, -2, i + 1);
    }
    lua_setfield(L, -2, "errors");
    return 1;
}

/* monitor:health(model) -> table | nil, message, code */
static int monitor_health(lua_State *L) {
    lbezel_object *self = lbezel_object_check(L, 1, LBEZEL_MONITOR);
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_monitor_health h;
    lbezel_object *model = lua_isnoneornil(L, 2) ? NULL : lbezel_object_check(L, 2, LBEZEL_MODEL);
    if (bezel_monitor_check(&h, self->handle, model ? model->handle : NULL, &err) != BEZEL_OK) return lbezel_fail(L, &err);
    return health_push(L, &h);
}

static void probe_release(void *handle) { bezel_monitor_probe_free(handle); }

/* monitor:probe(model) -> probe | nil, message, code */
static int monitor_probe(lua_State *L) {
    lbezel_object *self = lbezel_object_check(L, 1, LBEZEL_MONITOR);
    bezel_error err = BEZEL_ERROR_INIT;
    lua_settop(L, 2);
    lbezel_object *model = lua_isnil(L, 2) ? NULL : lbezel_object_check(L, 2, LBEZEL_MODEL);
    lbezel_object *o = lbezel_object_push(L, LBEZEL_PROBE, sizeof *o, 1, 1);
    o->release = probe_release;
    o->also[0] = model;
    lua_pushvalue(L, 2);
    lua_setiuservalue(L, -2, 2);
    bezel_monitor_probe *probe = NULL;
    const bezel_status st = bezel_monitor_probe_new(&probe, self->handle, model ? model->handle : NULL, &err);
    if (st != BEZEL_OK) return lbezel_fail(L, &err);
    lbezel_object_set(o, probe);
    return 1;
}

/* probe:step(budget_ms) -> "more" | table | nil, message, code */
static int probe_step(lua_State *L) {
    lbezel_object *self = lbezel_object_check(L, 1, LBEZEL_PROBE);
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_monitor_health h;
    const lua_Number budget_ms = luaL_optnumber(L, 2, -1);
    luaL_argcheck(L, budget_ms <= 1e9, 2, "at most 1e9 milliseconds expected");
    const bezel_status st = bezel_monitor_probe_step(&h, self->handle, budget_ms < 0 ? -1 : (int64_t)(budget_ms * 1000), &err);
    if (st < 0) return lbezel_fail(L, &err);
    if (st == BEZEL_DONE) return health_push(L, &h);
    lua_pushliteral(L, "more");
    return 1;
}

/* --- Export ------------------------------------------------------------------------------- */

static int monitor_text(lua_State *L, bezel_status (*write)(char **, size_t *, bezel_monitor *, bezel_error *)) {
    lbezel_object *self = lbezel_object_check(L, 1, LBEZEL_MONITOR);
    bezel_error err = BEZEL_ERROR_INIT;
    char **text;
    size_t size;
    lbezel_object *o = lbezel_text_push(L, &text);
    if (write(text, &size, self->handle, &err) != BEZEL_OK) return lbezel_fail(L, &err);
    lua_pushlstring(L, *text, size);
    lbezel_object_end(o);
    return 1;
}

static int monitor_json(lua_State *L) { return monitor_text(L, bezel_monitor_json); }

static int monitor_prometheus(lua_State *L) { return monitor_text(L, bezel_monitor_prometheus); }

/* monitor:export(path) -> true | nil, message, code */
static int monitor_export(lua_State *L) {
    lbezel_object *self = lbezel_object_check(L, 1, LBEZEL_MONITOR);
    bezel_error err = BEZEL_ERROR_INIT;
    if (bezel_monitor_export(self->handle, lbezel_check_cstring(L, 2), &err) != BEZEL_OK) return lbezel_fail(L, &err);
    lua_pushboolean(L, 1);
    return 1;
}

void lbezel_monitor_open(lua_State *L) {
    static const luaL_Reg methods[] = {{"add", monitor_add},         {"evaluate", monitor_evaluate}, {"summary", monitor_summary},
                                       {"quality", monitor_quality}, {"alerts", monitor_alerts},     {"event", monitor_event},
                                       {"health", monitor_health},   {"json", monitor_json},         {"prometheus", monitor_prometheus},
                                       {"export", monitor_export},   {"probe", monitor_probe},       {NULL, NULL}};
    static const luaL_Reg probe_methods[] = {{"step", probe_step}, {NULL, NULL}};
    lbezel_object_type(L, LBEZEL_MONITOR, methods);
    lbezel_object_type(L, LBEZEL_PROBE, probe_methods);
    lua_pushcfunction(L, monitor_open);
    lua_setfield(L, -2, "monitor");
}
