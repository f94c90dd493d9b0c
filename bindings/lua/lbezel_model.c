/* SPDX-License-Identifier: MIT */
/* bezel.load and the methods of a model. */
#include "lbezel.h"

#include <stdlib.h>
#include <string.h>

#define LOAD_SLICE_US 20000 /* between two calls of the script's progress function */

static void model_release(void *handle) { bezel_model_free(handle); }
static void job_release(void *handle) { bezel_job_free(handle); }
static void session_release(void *handle) { bezel_session_free(handle); }

static bezel_model *model_check(lua_State *L, int i) {
    return ((lbezel_object *)lbezel_object_check(L, i, LBEZEL_MODEL))->handle;
}

static lbezel_object *model_part(lua_State *L, const char *type, int parent, void (*release)(void *)) {
    lbezel_object *o = lbezel_object_push(L, type, sizeof *o, parent, 0);
    o->release = release;
    return o;
}

/* --- Loading ------------------------------------------------------------------------------ */

static uint32_t option_kind(lua_State *L, int i) {
    const char *kind = lbezel_option_text(L, i, "kind");
    if (!kind || strcmp(kind, "auto") == 0) return BEZEL_KIND_AUTO;
    if (strcmp(kind, "pretrained") == 0) return BEZEL_KIND_PRETRAINED;
    if (strcmp(kind, "instruct") == 0) return BEZEL_KIND_INSTRUCT;
    luaL_error(L, "option kind: '%s' is none of auto, pretrained, instruct", kind);
    return 0;
}

/* Pushes the folder for files made from the model and returns it, or NULL: option `cache`, else $XDG_CACHE_HOME/bezel or
 * ~/.cache/bezel. It is not made here; without it nothing is kept. */
static const char *option_cache(lua_State *L, int i) {
    const char *base = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
    int type = lbezel_option_push(L, i, "cache");
    if (type == LUA_TSTRING) return lbezel_check_cstring(L, -1);
    if (type == LUA_TBOOLEAN && !lua_toboolean(L, -1)) return NULL;
    if (type != LUA_TNIL) luaL_error(L, "option cache: path or false expected, got %s", luaL_typename(L, -1));
    if (base && base[0] == '/') return lua_pushfstring(L, "%s/bezel", base);
    return home && *home ? lua_pushfstring(L, "%s/.cache/bezel", home) : NULL;
}

/* Steps the load job; calls the progress function at index `progress` (0 = none) with 0..1. */
static bezel_status load_run(lua_State *L, bezel_job *job, int progress, bezel_error *err) {
    bezel_status st;
    bezel_event event = {.size = sizeof event};
    do {
        st = bezel_job_step(job, LOAD_SLICE_US, err);
        while (bezel_job_event(job, &event))
            if (progress && event.type == BEZEL_EVENT_PROGRESS) {
                lua_pushvalue(L, progress);
                lua_pushnumber(L, event.progress);
                lua_call(L, 1, 0); /* an error ends the load; the collector frees the job */
            }
    } while (st > 0 && st != BEZEL_DONE);
    return st == BEZEL_DONE ? BEZEL_OK : st;
}

/* bezel.load([path], {progress=, kind=, map=, check=, cache=, cache_mb=, raw_weights=, vocabulary_only=}) -> model | nil, message, code.
 * Without a path: BEZEL_MODEL of the environment. */
static int model_load(lua_State *L) {
    static const char *const known[] = {"progress", "kind", "map", "check", "cache", "cache_mb", "raw_weights", "vocabulary_only", NULL};
    const char *path = lua_isnoneornil(L, 1) ? getenv("BEZEL_MODEL") : lbezel_check_cstring(L, 1);
    bezel_error err = BEZEL_ERROR_INIT;
    lua_settop(L, 2);
    lbezel_options_check(L, 2, known);
    if (!path || !*path) {
        luaL_pushfail(L);
        lua_pushliteral(L, "no path is given and BEZEL_MODEL is not set. `bezel get` fetches a model");
        lua_pushstring(L, bezel_status_name(BEZEL_ERR_MISSING));
        return 3;
    }
    bezel_model_options options;
    bezel_model_options_init(&options);
    options.kind = option_kind(L, 2);
    options.map = lbezel_option_bool(L, 2, "map", 1);
    options.check_weights = lbezel_option_bool(L, 2, "check", 0);
    options.cache_folder = option_cache(L, 2);
    lua_Integer mb = lbezel_option_integer(L, 2, "cache_mb", 512, 0, 1 << 30);
    options.cache_limit = mb > 0 ? (uint64_t)mb << 20 : 1; /* 1 byte: none is kept */
    options.raw_weights = (uint32_t)lbezel_option_bool(L, 2, "raw_weights", 0);
    options.vocabulary_only = (uint32_t)lbezel_option_bool(L, 2, "vocabulary_only", 0);
    int progress = 0;
    if (lbezel_option_push(L, 2, "progress") != LUA_TNIL) {
        if (!lua_isfunction(L, -1)) return luaL_error(L, "option progress: function expected, got %s", luaL_typename(L, -1));
        progress = lua_gettop(L);
    }
    bezel_engine *engine = lbezel_engine_push(L);
    int parent = lua_gettop(L);
    lbezel_object *model = model_part(L, LBEZEL_MODEL, parent, model_release);
    lbezel_object *loading = model_part(L, LBEZEL_JOB, parent, job_release);
    bezel_job *job = NULL;
    bezel_model *handle = NULL;
    if (bezel_model_open_job(&job, engine, path, &options, &err) != BEZEL_OK) return lbezel_fail(L, &err);
    lbezel_object_set(loading, job);
    bezel_status st = load_run(L, job, progress, &err);
    if (st == BEZEL_OK) st = bezel_model_take(&handle, job, &err);
    lbezel_object_end(loading);
    if (st != BEZEL_OK) return lbezel_fail(L, &err);
    lbezel_object_set(model, handle);
    lua_pushvalue(L, parent + 1);
    return 1;
}

/* --- Text and tokens ---------------------------------------------------------------------- */

/* model:tokenize(text, {bos=, special=}) -> list of ids */
static int model_tokenize(lua_State *L) {
    static const char *const known[] = {"bos", "special", NULL};
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_model *model = model_check(L, 1);
    size_t size, count = 0;
    const char *text = luaL_checklstring(L, 2, &size);
    lua_settop(L, 3);
    lbezel_options_check(L, 3, known);
    uint32_t flags = (lbezel_option_bool(L, 3, "bos", 0) ? BEZEL_TOKENIZE_BOS : 0u) |
                     (lbezel_option_bool(L, 3, "special", 0) ? BEZEL_TOKENIZE_SPECIAL : 0u);
    size_t capacity = size + 1; /* no text has more ids than bytes, and BOS */
    int32_t *ids = lua_newuserdatauv(L, capacity * sizeof *ids, 0);
    if (bezel_tokenize(ids, capacity, &count, model, text, size, flags, &err) != BEZEL_OK) return lbezel_fail(L, &err);
    lua_createtable(L, count < INT32_MAX ? (int)count : 0, 0);
    for (size_t i = 0; i < count; i++) {
        lua_pushinteger(L, ids[i]);
        lua_rawseti(L, -2, (lua_Integer)(i + 1));
    }
    return 1;
}

/* model:detokenize(ids, {special=}) -> text */
static int model_detokenize(lua_State *L) {
    static const char *const known[] = {"special", NULL};
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_model *model = model_check(L, 1);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 3);
    lbezel_options_check(L, 3, known);
    size_t count = lua_rawlen(L, 2), size = 0;
    int32_t *ids = lua_newuserdatauv(L, (count + 1) * sizeof *ids, 0);
    for (size_t i = 0; i < count; i++) {
        int ok;
        lua_rawgeti(L, 2, (lua_Integer)(i + 1));
        lua_Integer id = lua_tointegerx(L, -1, &ok);
        if (!ok || lua_type(L, -1) != LUA_TNUMBER || id < INT32_MIN || id > INT32_MAX)
            return luaL_error(L, "detokenize: item %d is no token id", (int)(i + 1));
        ids[i] = (int32_t)id;
        lua_pop(L, 1);
    }
    char **text;
    lbezel_object *owner = lbezel_text_push(L, &text);
    if (bezel_detokenize(text, &size, model, ids, count, lbezel_option_bool(L, 3, "special", 0), &err) != BEZEL_OK)
        return lbezel_fail(L, &err);
    lua_pushlstring(L, *text, size);
    lbezel_object_end(owner);
    return 1;
}

/* --- Completion --------------------------------------------------------------------------- */

void lbezel_completion_push(lua_State *L, const bezel_generation *g) {
    lua_createtable(L, 0, 8);
    lua_pushlstring(L, g->text, g->text_size);
    lua_setfield(L, -2, "text");
    lua_pushstring(L, bezel_stop_name(g->stop_reason));
    lua_setfield(L, -2, "stop_reason");
    lua_pushinteger(L, (lua_Integer)g->n_prompt);
    lua_setfield(L, -2, "prompt_tokens");
    lua_pushinteger(L, (lua_Integer)g->n_ids);
    lua_setfield(L, -2, "tokens_generated");
    lua_pushnumber(L, (lua_Number)g->total_us / 1e6);
    lua_setfield(L, -2, "generation_time");
    int64_t decode_us = g->total_us - g->first_token_us;
    lua_pushnumber(L, g->n_ids > 1 && decode_us > 0 ? (lua_Number)(g->n_ids - 1) * 1e6 / (lua_Number)decode_us : 0);
    lua_setfield(L, -2, "tokens_per_second");
}

/* The steps of model:complete; the objects of session and job are at the top. Pushes the result when it is BEZEL_OK. */
static bezel_status complete_run(lua_State *L, lbezel_object *s, lbezel_object *j, bezel_generate_options *options,
                                 bezel_error *err) {
    bezel_job *job = NULL;
    bezel_generation g = {.size = sizeof g};
    bezel_status st = bezel_generate(&job, s->handle, options, err);
    if (st != BEZEL_OK) return st;
    lbezel_object_set(j, job);
    st = load_run(L, job, 0, err);
    if (st == BEZEL_OK) st = bezel_generation_get(job, &g, err);
    if (st == BEZEL_OK) lbezel_completion_push(L, &g);
    return st;
}

/* What the options schema and choices (at index 3) make of the answer, NULL in *out without them; pushes what holds it. */
static bezel_status complete_constraint(lua_State *L, bezel_constraint **out, bezel_error *err) {
    *out = NULL;
    if (lbezel_option_push(L, 3, "choices") != LUA_TNIL) return lbezel_form_choices(L, 1, lua_gettop(L), out, err);
    if (lbezel_option_push(L, 3, "schema") != LUA_TNIL) return lbezel_form_schema(L, 1, lua_gettop(L), out, err);
    return BEZEL_OK;
}

/* Takes the blank, with which an answer behind a text without one begins, off the text of the result at the top. */
static void complete_strip(lua_State *L) {
    lua_getfield(L, -1, "text");
    const char *text = lua_tostring(L, -1);
    if (text[0] == ' ') {
        lua_pushstring(L, text + 1);
        lua_setfield(L, -3, "text");
    }
    lua_pop(L, 1);
}

/* model:complete(text, options) -> {text, stop_reason, prompt_tokens, tokens_generated, generation_time,
 * tokens_per_second} | nil, message, code. Raw text, no template. */
static int model_complete(lua_State *L) {
    static const char *const known[] = {LBEZEL_GENERATE_OPTIONS, LBEZEL_SESSION_OPTIONS, "special", "schema", "choices", NULL};
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_model *model = model_check(L, 1);
    bezel_constraint *constraint = NULL;
    size_t size;
    const char *text = luaL_checklstring(L, 2, &size);
    lua_settop(L, 3);
    lbezel_options_check(L, 3, known);
    bezel_generate_options options;
    bezel_generate_options_init(&options);
    bezel_session_options session_options;
    lbezel_session_options(L, 3, &session_options);
    lbezel_generate_options(L, 3, &options); /* pushes the anchor of the stop strings */
    if (!lua_isnil(L, 3) && complete_constraint(L, &constraint, &err) != BEZEL_OK) return lbezel_fail(L, &err);
    options.constraint = constraint;
    uint32_t flags = BEZEL_TOKENIZE_BOS | (lbezel_option_bool(L, 3, "special", 0) ? BEZEL_TOKENIZE_SPECIAL : 0u);
    lbezel_object *s = model_part(L, LBEZEL_SESSION, 1, session_release);
    lbezel_object *j = model_part(L, LBEZEL_JOB, -1, job_release);
    bezel_session *session = NULL;
    if (bezel_session_new(&session, model, &session_options, &err) != BEZEL_OK) return lbezel_fail(L, &err);
    lbezel_object_set(s, session);
    bezel_status st = bezel_session_append_text(session, text, size, flags, &err);
    if (st == BEZEL_OK) st = complete_run(L, s, j, &options, &err);
    if (st == BEZEL_OK && constraint) complete_strip(L);
    lbezel_object_end(j);
    lbezel_object_end(s);
    return st == BEZEL_OK ? 1 : lbezel_fail(L, &err);
}

/* --- Description -------------------------------------------------------------------------- */

/* model:info() -> table */
static int model_info(lua_State *L) {
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_value *value = NULL;
    bezel_model *model = model_check(L, 1);
    lbezel_object *tree = lbezel_tree_push(L);
    bezel_status st = bezel_model_describe(&value, tree->handle, model, &err);
    if (st == BEZEL_OK) lbezel_value_push(L, value, LBEZEL_NULL_AS_NIL);
    lbezel_object_end(tree);
    return st == BEZEL_OK ? 1 : lbezel_fail(L, &err);
}

/* model:save_vocabulary(path) -> true: a file for bezel.load(path, {vocabulary_only = true}) */
static int model_save_vocabulary(lua_State *L) {
    lbezel_object *self = lbezel_object_check(L, 1, LBEZEL_MODEL);
    bezel_error err = BEZEL_ERROR_INIT;
    if (bezel_model_save_vocabulary(self->handle, lbezel_check_cstring(L, 2), &err) != BEZEL_OK) return lbezel_fail(L, &err);
    lua_pushboolean(L, 1);
    return 1;
}

/* model:kind() -> "pretrained" | "instruct" */
static int model_kind(lua_State *L) {
    lua_pushstring(L, bezel_model_kind(model_check(L, 1)) == BEZEL_KIND_INSTRUCT ? "instruct" : "pretrained");
    return 1;
}

static int model_name(lua_State *L) {
    lua_pushstring(L, bezel_model_name(model_check(L, 1)));
    return 1;
}

/* --- Options shared with chats ------------------------------------------------------------ */

/* Place of an option's text among names that end with NULL; 0 when it is not given. */
static uint32_t option_place(lua_State *L, int i, const char *key, const char *const names[]) {
    const char *text = lbezel_option_text(L, i, key);
    for (uint32_t place = 0; names[place]; place++)
        if (!text || strcmp(text, names[place]) == 0) return place;
    lua_pushstring(L, names[0]);
    for (uint32_t place = 1; names[place]; place++) {
        lua_pushfstring(L, ", %s", names[place]);
        lua_concat(L, 2);
    }
    luaL_error(L, "option %s: '%s' is none of %s", key, text, lua_tostring(L, -1));
    return 0;
}

const bezel_profile *lbezel_profile_option(lua_State *L, int i) {
    const char *name = lbezel_option_text(L, i, "profile");
    const bezel_profile *profile = name ? bezel_profile_find(name) : NULL;
    if (name && !profile)
        luaL_error(L, "option profile: '%s' is no profile (gemma3, gemma2, functiongemma, gemma4, transcript)", name);
    return profile;
}

void lbezel_session_options(lua_State *L, int i, bezel_session_options *out) {
    bezel_session_options_init(out);
    out->n_ctx = (uint32_t)lbezel_option_integer(L, i, "n_ctx", out->n_ctx, 0, 1 << 20);
    out->chunk = (uint32_t)lbezel_option_integer(L, i, "chunk", out->chunk, 0, 4096);
    static const char *const activations[] = {"auto", "f32", "q8", NULL}, *const heads[] = {"auto", "full", "screened", NULL},
                      *const kvs[] = {"auto", "f32", "f16", "int8", NULL};
    out->activations = option_place(L, i, "activations", activations); /* ORDER BEZEL_ACTIVATIONS_... */
    out->head = option_place(L, i, "head", heads);                     /* ORDER BEZEL_HEAD_... */
    out->lookup = (uint32_t)lbezel_option_bool(L, i, "lookup", 0);
    out->kv = option_place(L, i, "kv", kvs);                           /* ORDER BEZEL_KV_... */
}

/* Stop strings: one string or a list. Pushes a userdata with the pointers; the strings stay in the options table. */
static void generate_stops(lua_State *L, int i, bezel_generate_options *out) {
    int type = lbezel_option_push(L, i, "stop");
    int stop = lua_gettop(L);
    size_t n = type == LUA_TTABLE ? (size_t)lua_rawlen(L, stop) : type == LUA_TSTRING ? 1 : 0;
    if (type != LUA_TNIL && type != LUA_TTABLE && type != LUA_TSTRING)
        luaL_error(L, "option stop: string or list of strings expected, got %s", luaL_typename(L, stop));
    if (n > 64) luaL_error(L, "option stop: at most 64 strings");
    const char **stops = lua_newuserdatauv(L, (n + 1) * sizeof *stops, 1);
    for (size_t k = 0; k < n; k++) {
        if (type == LUA_TSTRING)
            lua_pushvalue(L, stop);
        else
            lua_rawgeti(L, stop, (lua_Integer)(k + 1));
        if (lua_type(L, -1) != LUA_TSTRING) luaL_error(L, "option stop: item %d is no string", (int)(k + 1));
        stops[k] = lua_tostring(L, -1);
        if (strlen(stops[k]) != lua_rawlen(L, -1)) luaL_error(L, "option stop: item %d contains a NUL byte", (int)(k + 1));
        lua_pop(L, 1);
    }
    lua_pushvalue(L, stop);
    lua_setiuservalue(L, -2, 1);
    lua_remove(L, stop);
    out->stops = stops;
    out->n_stops = (uint32_t)n;
}

void lbezel_generate_options(lua_State *L, int i, bezel_generate_options *out) {
    bezel_sampling *s = &out->sampling;
    out->max_tokens = (uint32_t)lbezel_option_integer(L, i, "max_tokens", out->max_tokens, 1, 1 << 20);
    s->temperature = (float)lbezel_option_number(L, i, "temperature", (lua_Number)s->temperature);
    s->top_k = (uint32_t)lbezel_option_integer(L, i, "top_k", s->top_k, 0, 1 << 24);
    s->top_p = (float)lbezel_option_number(L, i, "top_p", (lua_Number)s->top_p);
    s->min_p = (float)lbezel_option_number(L, i, "min_p", (lua_Number)s->min_p);
    s->repetition_penalty =
        (float)lbezel_option_number(L, i, "repetition_penalty", (lua_Number)s->repetition_penalty);
    s->seed = (uint64_t)lbezel_option_integer(L, i, "seed", (lua_Integer)s->seed, LUA_MININTEGER, LUA_MAXINTEGER);
    generate_stops(L, i, out);
}

void lbezel_model_open(lua_State *L) {
    static const luaL_Reg functions[] = {{"load", model_load}, {NULL, NULL}};
    static const luaL_Reg methods[] = {{"tokenize", model_tokenize}, {"detokenize", model_detokenize},
                                       {"complete", model_complete}, {"info", model_info},
                                       {"kind", model_kind},         {"name", model_name},
                                       {"save_vocabulary", model_save_vocabulary},
                                       {NULL, NULL}};
    lbezel_object_type(L, LBEZEL_MODEL, methods);
    lbezel_object_type(L, LBEZEL_JOB, NULL);
    lbezel_object_type(L, LBEZEL_SESSION, NULL);
    lbezel_object_type(L, LBEZEL_CONSTRAINT, NULL);
    luaL_setfuncs(L, functions, 0);
}
