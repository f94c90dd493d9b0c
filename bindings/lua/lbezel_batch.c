/* SPDX-License-Identifier: MIT */
/* model:batch and model:each: many texts or conversations answered together.
 * Invariant: all jobs and sessions of a call are in one handle, so that an error of the script's functions or a loop that is
 * left early frees them all. Does not: run tools; a chat does. */
#include "lbezel.h"

#include <string.h>

#define BATCH_SLICE_US 20000 /* between two looks at who has ended */
#define BATCH_MOST 4096      /* items a call */

typedef struct batch_item {
    bezel_session *session;
    bezel_job *job; /* NULL: it failed before it began, or was given out */
} batch_item;

typedef struct batch_handle { /* object LBEZEL_BATCH, its own handle */
    lbezel_object object;
    bezel_batch *batch;
    size_t n, n_told; /* items, and how many ended */
    batch_item items[];
} batch_handle;

static void batch_release(void *handle) {
    batch_handle *b = handle;
    for (size_t i = 0; i < b->n; i++) {
        bezel_job_free(b->items[i].job);
        bezel_session_free(b->items[i].session);
    }
    bezel_batch_free(b->batch);
}

/* Timeline from the item at the top: a text, or a list of messages in the model's template. */
static bezel_status batch_fill(lua_State *L, bezel_model *model, bezel_session *session, size_t item, uint32_t flags,
                               bezel_error *err) {
    size_t size;
    if (lua_type(L, -1) == LUA_TSTRING) {
        const char *text = lua_tolstring(L, -1, &size);
        return bezel_session_append_text(session, text, size, BEZEL_TOKENIZE_BOS | flags, err);
    }
    if (!lua_istable(L, -1)) luaL_error(L, "batch: item %d is a %s, no text and no list of messages", (int)item, luaL_typename(L, -1));
    size_t n;
    bezel_message *messages = lbezel_messages_get(L, -1, &n);
    bezel_prompt *prompt = NULL;
    bezel_status st = bezel_prompt_render(&prompt, model, NULL, messages, n, 1, err);
    lua_pop(L, 1);
    if (st != BEZEL_OK) return st;
    size_t count;
    const int32_t *ids = bezel_prompt_ids(prompt, &count);
    st = bezel_session_set(session, ids, count, err);
    bezel_prompt_free(prompt);
    return st;
}

/* A conversation also ends at the stop strings of the model's profile. */
static void batch_stops(lua_State *L, const bezel_model *model, bezel_generate_options *out) {
    const bezel_profile *profile = bezel_profile_of(model);
    size_t own = 0;
    while (profile->stops && profile->stops[own]) own++;
    const char **stops = lua_newuserdatauv(L, (out->n_stops + own + 1) * sizeof *stops, 0);
    uint32_t n = 0;
    for (size_t i = 0; i < own; i++) stops[n++] = profile->stops[i];
    for (uint32_t i = 0; i < out->n_stops; i++) stops[n++] = out->stops[i];
    out->stops = stops;
    out->n_stops = n;
}

/* The item's result when it ended or failed before it began: pushed, 1. */
static void batch_push_failure(lua_State *L, const bezel_error *err) {
    lua_createtable(L, 0, 2);
    lua_pushstring(L, err->text);
    lua_setfield(L, -2, "error");
    lua_pushstring(L, bezel_status_name(err->status));
    lua_setfield(L, -2, "code");
}

/* Makes all sessions and jobs of the list at index 2 with the options at index 3. Failures of items go into the table at
 * index `failed`. */
static void batch_start(lua_State *L, batch_handle *b, bezel_model *model, int failed) {
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_session_options session_options;
    bezel_generate_options options, turns;
    uint32_t flags = lbezel_option_bool(L, 3, "special", 0) ? BEZEL_TOKENIZE_SPECIAL : 0u;
    lbezel_session_options(L, 3, &session_options);
    bezel_generate_options_init(&options);
    lbezel_generate_options(L, 3, &options);
    turns = options;
    batch_stops(L, model, &turns);
    if (bezel_batch_new(&b->batch, model, NULL, &err) != BEZEL_OK) lbezel_raise(L, &err);
    for (size_t i = 0; i < b->n; i++) {
        batch_item *item = &b->items[i];
        lua_rawgeti(L, 2, (lua_Integer)(i + 1));
        bezel_status st = bezel_session_new(&item->session, model, &session_options, &err);
        if (st == BEZEL_OK) st = batch_fill(L, model, item->session, i + 1, flags, &err);
        if (st == BEZEL_OK) st = bezel_generate(&item->job, item->session, lua_istable(L, -1) ? &turns : &options, &err);
        if (st == BEZEL_OK) st = bezel_batch_add(b->batch, item->job, &err);
        lua_pop(L, 1);
        if (st == BEZEL_OK) continue;
        bezel_job_free(item->job);
        item->job = NULL;
        bezel_session_free(item->session);
        item->session = NULL;
        batch_push_failure(L, &err);
        lua_rawseti(L, failed, (lua_Integer)(i + 1));
    }
}

/* Works until an item ends: its number with the result pushed, 0 when all have. `failed`: results of items that never began. */
static size_t batch_next(lua_State *L, batch_handle *b, int failed) {
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_event event = {.size = sizeof event};
    while (b->n_told < b->n) {
        for (size_t i = 0; i < b->n; i++) {
            batch_item *item = &b->items[i];
            if (lua_rawgeti(L, failed, (lua_Integer)(i + 1)) == LUA_TTABLE) {
                lua_pushnil(L);
                lua_rawseti(L, failed, (lua_Integer)(i + 1));
                b->n_told++;
                return i + 1;
            }
            lua_pop(L, 1);
            while (bezel_job_event(item->job, &event)) {}
            if (!item->job) continue;
            bezel_status st = bezel_job_poll(item->job, &err);
            if (st > 0 && st != BEZEL_DONE) continue;
            bezel_generation g = {.size = sizeof g};
            if (st == BEZEL_DONE && bezel_generation_get(item->job, &g, &err) == BEZEL_OK)
                lbezel_completion_push(L, &g);
            else
                batch_push_failure(L, &err);
            bezel_job_free(item->job);
            bezel_session_free(item->session);
            *item = (batch_item){0};
            b->n_told++;
            return i + 1;
        }
        bezel_batch_step(b->batch, BATCH_SLICE_US, &err);
    }
    return 0;
}

/* Checks the arguments and makes the object with its items; index of the table of failures, the object lies below it. */
static int batch_begin(lua_State *L, int with_progress) {
    static const char *const known[] = {LBEZEL_GENERATE_OPTIONS, LBEZEL_SESSION_OPTIONS, "special", "progress", NULL};
    bezel_model *model = ((lbezel_object *)lbezel_object_check(L, 1, LBEZEL_MODEL))->handle;
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 3);
    lbezel_options_check(L, 3, known);
    int type = lbezel_option_push(L, 3, "progress"); /* index 4 */
    if (type != LUA_TNIL && (type != LUA_TFUNCTION || !with_progress))
        luaL_error(L, "option progress: %s", with_progress ? "function expected" : "the loop of model:each tells it");
    size_t n = lua_rawlen(L, 2);
    if (n > BATCH_MOST) luaL_error(L, "batch: %d items, expected at most %d", (int)n, BATCH_MOST);
    batch_handle *b = lbezel_object_push(L, LBEZEL_BATCH, sizeof *b + n * sizeof *b->items, 1, 0); /* 5 */
    b->n = n;
    b->object.release = batch_release;
    lbezel_object_set(&b->object, b);
    lua_newtable(L); /* 6 */
    batch_start(L, b, model, 6);
    lua_settop(L, 6);
    return 6;
}

/* model:batch(items, options) -> {responses, results, batch_generation_time, average_time_per_item} */
static int batch_all(lua_State *L) {
    int failed = batch_begin(L, 1);
    lbezel_object *owner = lua_touserdata(L, failed - 1);
    batch_handle *b = owner->handle;
    bezel_engine *engine = lbezel_engine_push(L);
    const bezel_world *world = bezel_engine_world(engine);
    int64_t start = world->monotonic_ns(world->ud);
    lua_createtable(L, (int)b->n, 0); /* 8: responses */
    lua_createtable(L, (int)b->n, 0); /* 9: results */
    size_t i, n = b->n;
    while ((i = batch_next(L, b, failed)) > 0) {
        if (lua_getfield(L, -1, "text") != LUA_TSTRING) {
            lua_pop(L, 1);
            lua_pushliteral(L, "");
        }
        lua_rawseti(L, 8, (lua_Integer)i);
        lua_rawseti(L, 9, (lua_Integer)i);
        if (lua_isnil(L, 4)) continue;
        lua_pushvalue(L, 4);
        lua_pushinteger(L, (lua_Integer)b->n_told);
        lua_pushinteger(L, (lua_Integer)n);
        lua_call(L, 2, 0); /* an error ends it; the collector frees the rest */
    }
    double seconds = (double)(world->monotonic_ns(world->ud) - start) / 1e9;
    lbezel_object_end(owner);
    lua_createtable(L, 0, 4);
    lua_pushvalue(L, 8);
    lua_setfield(L, -2, "responses");
    lua_pushvalue(L, 9);
    lua_setfield(L, -2, "results");
    lua_pushnumber(L, seconds);
    lua_setfield(L, -2, "batch_generation_time");
    lua_pushnumber(L, n > 0 ? seconds / (double)n : 0);
    lua_setfield(L, -2, "average_time_per_item");
    return 1;
}

/* Iterator of model:each; upvalues: object, failures. -> index, result, share of the items that ended */
static int batch_iterate(lua_State *L) {
    lbezel_object *owner = lua_touserdata(L, lua_upvalueindex(1));
    if (owner->closed || !owner->handle) return 0;
    batch_handle *b = owner->handle;
    size_t i = batch_next(L, b, lua_upvalueindex(2));
    if (i == 0) {
        lbezel_object_end(owner);
        return 0;
    }
    lua_pushinteger(L, (lua_Integer)i);
    lua_insert(L, -2);
    lua_pushnumber(L, (lua_Number)b->n_told / (lua_Number)b->n);
    return 3;
}

/* for i, result, done in model:each(items, options): in the order in which they end; leaving the loop ends the rest */
static int batch_each(lua_State *L) {
    int failed = batch_begin(L, 0);
    lua_pushvalue(L, failed - 1);
    lua_pushvalue(L, failed);
    lua_pushcclosure(L, batch_iterate, 2);
    lua_pushnil(L);
    lua_pushnil(L);
    lua_pushvalue(L, failed - 1); /* closed with the loop */
    return 4;
}

/* The methods into the method table of models at the top. */
void lbezel_batch_open(lua_State *L) {
    lbezel_object_type(L, LBEZEL_BATCH, NULL);
    static const luaL_Reg methods[] = {{"batch", batch_all}, {"each", batch_each}, {NULL, NULL}};
    luaL_getmetatable(L, LBEZEL_MODEL);
    lua_getfield(L, -1, "__index");
    luaL_setfuncs(L, methods, 0);
    lua_pop(L, 2);
}
