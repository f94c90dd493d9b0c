/* SPDX-License-Identifier: MIT */
/* Answers in a form: a value of a schema (chat:json), one of some texts with the probability of each (chat:choose,
 * model:choose), and the constraints of model:complete. */
#include "lbezel.h"

static void constraint_release(void *handle) { bezel_constraint_free(handle); }
static void session_release(void *handle) { bezel_session_free(handle); }
static void prompt_release(void *handle) { bezel_prompt_free(handle); }

/* --- Constraints -------------------------------------------------------------------------- */

/* Texts of the list at index i, which keeps them; pushes what holds the pointers. Raises. */
static const char **form_texts(lua_State *L, int i, size_t *out_n) {
    if (!lua_istable(L, i)) luaL_error(L, "choices: a list of texts expected, got %s", luaL_typename(L, i));
    size_t n = *out_n = lua_rawlen(L, i);
    const char **texts = lua_newuserdatauv(L, (n + 1) * sizeof *texts, 0);
    for (size_t k = 0; k < n; k++) {
        if (lua_rawgeti(L, i, (lua_Integer)(k + 1)) != LUA_TSTRING)
            luaL_error(L, "choices: text %d is a %s", (int)(k + 1), luaL_typename(L, -1));
        texts[k] = lua_tostring(L, -1);
        lua_pop(L, 1);
    }
    return texts;
}

static bezel_status form_new(lua_State *L, int model, const bezel_constraint_options *o, bezel_constraint **out,
                             bezel_error *err) {
    lbezel_object *source = lbezel_object_check(L, model, LBEZEL_MODEL);
    lbezel_object *holder = lbezel_object_push(L, LBEZEL_CONSTRAINT, sizeof *holder, model, 0);
    holder->release = constraint_release;
    bezel_status st = bezel_constraint_new(out, source->handle, o, err);
    if (st == BEZEL_OK) lbezel_object_set(holder, *out);
    return st;
}

bezel_status lbezel_form_choices(lua_State *L, int model, int list, bezel_constraint **out, bezel_error *err) {
    bezel_constraint_options o;
    bezel_constraint_options_init(&o);
    o.kind = BEZEL_CONSTRAINT_CHOICE;
    o.choices = form_texts(L, list, &o.n_choices);
    return form_new(L, model, &o, out, err);
}

bezel_status lbezel_form_schema(lua_State *L, int model, int schema, bezel_constraint **out, bezel_error *err) {
    bezel_constraint_options o;
    bezel_value *value = NULL;
    bezel_status st = BEZEL_OK;
    size_t size;
    bezel_constraint_options_init(&o);
    lbezel_object *tree = lbezel_tree_push(L);
    if (lua_type(L, schema) == LUA_TSTRING) {
        const char *text = lua_tolstring(L, schema, &size);
        st = bezel_json_read(&value, tree->handle, text, size, err);
    } else {
        value = lbezel_value_get(L, schema, tree->handle);
    }
    o.kind = BEZEL_CONSTRAINT_JSON;
    o.schema = value;
    if (st == BEZEL_OK) st = form_new(L, model, &o, out, err);
    lbezel_object_end(tree);
    return st;
}

/* --- JSON --------------------------------------------------------------------------------- */

/* What the turn of the chat at index 1 wrote, read by the constraint; its value is pushed. */
static bezel_status form_read(lua_State *L, const bezel_constraint *constraint, bezel_error *err) {
    lbezel_object *chat = lbezel_object_check(L, 1, LBEZEL_CHAT);
    bezel_agent_turn turn = {.size = sizeof turn};
    bezel_value *value = NULL;
    lbezel_object *tree = lbezel_tree_push(L);
    bezel_status st = bezel_agent_result(chat->handle, &turn, err);
    if (st == BEZEL_OK) st = bezel_constraint_read(&value, tree->handle, constraint, turn.text, turn.text_size, err);
    if (st == BEZEL_OK) lbezel_value_push(L, value, LBEZEL_NULL_AS_NIL);
    lbezel_object_end(tree);
    return st;
}

/* chat:json(schema, question) -> value, turn | nil, message, code: a turn whose answer is a value of the schema */
static int chat_json(lua_State *L) {
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_constraint *constraint = NULL;
    lbezel_object *chat = lbezel_object_check(L, 1, LBEZEL_CHAT);
    luaL_checkstring(L, 3);
    lua_settop(L, 3);
    lua_getiuservalue(L, 1, 1); /* 4: the model */
    if (lbezel_form_schema(L, 4, 2, &constraint, &err) != BEZEL_OK) return lbezel_fail(L, &err);
    if (bezel_agent_set_form(chat->handle, constraint, &err) != BEZEL_OK) return lbezel_fail(L, &err);
    int base = lua_gettop(L);
    lua_getfield(L, 1, "ask");
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 3);
    int rc = lua_pcall(L, 2, LUA_MULTRET, 0);
    if (!chat->closed) bezel_agent_set_form(chat->handle, NULL, NULL);
    if (rc != LUA_OK) return lua_error(L);
    if (lua_isnil(L, base + 1)) return lua_gettop(L) - base; /* nil, message, code */
    if (form_read(L, constraint, &err) != BEZEL_OK) return lbezel_fail(L, &err);
    lua_pushvalue(L, base + 1);
    return 2;
}

/* --- Choices ------------------------------------------------------------------------------ */

/* Pushes the most probable of the choices and a table with the probability of each. */
static bezel_status form_choose(lua_State *L, bezel_session *session, const char *const *choices, size_t n, bezel_error *err) {
    double *probabilities = lua_newuserdatauv(L, (n + 1) * sizeof *probabilities, 0);
    bezel_status st = bezel_choose(probabilities, NULL, session, choices, n, err);
    size_t best = 0;
    if (st != BEZEL_OK) return st;
    for (size_t i = 1; i < n; i++)
        if (probabilities[i] > probabilities[best]) best = i;
    lua_pushstring(L, choices[best]);
    lua_createtable(L, 0, (int)n);
    for (size_t i = 0; i < n; i++) {
        lua_pushnumber(L, probabilities[i]);
        lua_setfield(L, -2, choices[i]);
    }
    return st;
}

/* chat:choose(choices [, question]) -> choice, {[choice] = probability} | nil, message, code: which of the texts the model
 * would answer. Beside the conversation: the history stays as it is. */
static int chat_choose(lua_State *L) {
    bezel_error err = BEZEL_ERROR_INIT;
    lbezel_object *chat = lbezel_object_check(L, 1, LBEZEL_CHAT);
    size_t n, size = 0, n_ids;
    const char *text = luaL_optlstring(L, 3, NULL, &size);
    const char **choices = form_texts(L, 2, &n);
    lbezel_object *holder = lbezel_object_push(L, LBEZEL_PROMPT, sizeof *holder, 1, 0);
    holder->release = prompt_release;
    bezel_prompt *prompt = NULL;
    if (bezel_agent_prompt(&prompt, chat->handle, text, size, &err) != BEZEL_OK) return lbezel_fail(L, &err);
    lbezel_object_set(holder, prompt);
    const int32_t *ids = bezel_prompt_ids(prompt, &n_ids);
    bezel_session *session = bezel_agent_session(chat->handle);
    bezel_status st = bezel_session_set(session, ids, n_ids, &err);
    if (st == BEZEL_OK) st = form_choose(L, session, choices, n, &err);
    lbezel_object_end(holder);
    return st == BEZEL_OK ? 2 : lbezel_fail(L, &err);
}

/* model:choose(text, choices [, options]) -> choice, {[choice] = probability} | nil, message, code: which of the texts
 * follows. Raw text, no template. */
static int model_choose(lua_State *L) {
    static const char *const known[] = {LBEZEL_SESSION_OPTIONS, "special", NULL};
    bezel_error err = BEZEL_ERROR_INIT;
    lbezel_object *model = lbezel_object_check(L, 1, LBEZEL_MODEL);
    size_t size, n;
    const char *text = luaL_checklstring(L, 2, &size);
    bezel_session_options options;
    lua_settop(L, 4);
    lbezel_options_check(L, 4, known);
    lbezel_session_options(L, 4, &options);
    const char **choices = form_texts(L, 3, &n);
    uint32_t flags = BEZEL_TOKENIZE_BOS | (lbezel_option_bool(L, 4, "special", 0) ? BEZEL_TOKENIZE_SPECIAL : 0u);
    lbezel_object *holder = lbezel_object_push(L, LBEZEL_SESSION, sizeof *holder, 1, 0);
    holder->release = session_release;
    bezel_session *session = NULL;
    if (bezel_session_new(&session, model->handle, &options, &err) != BEZEL_OK) return lbezel_fail(L, &err);
    lbezel_object_set(holder, session);
    bezel_status st = bezel_session_append_text(session, text, size, flags, &err);
    if (st == BEZEL_OK) st = form_choose(L, session, choices, n, &err);
    lbezel_object_end(holder);
    return st == BEZEL_OK ? 2 : lbezel_fail(L, &err);
}

static void form_method(lua_State *L, const char *type, const char *name, lua_CFunction fn) {
    luaL_getmetatable(L, type);
    lua_getfield(L, -1, "__index");
    lua_pushcfunction(L, fn);
    lua_setfield(L, -2, name);
    lua_pop(L, 2);
}

void lbezel_form_open(lua_State *L) {
    form_method(L, LBEZEL_CHAT, "json", chat_json);
    form_method(L, LBEZEL_CHAT, "choose", chat_choose);
    form_method(L, LBEZEL_MODEL, "choose", model_choose);
}
