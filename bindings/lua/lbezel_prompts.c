/* SPDX-License-Identifier: MIT */
/* bezel.prompts: prompts as lists of messages. */
#include "lbezel.h"

/* The table under a name, {name = text}, as rows of a kind; what they point to is anchored by the options. Pushes. */
static size_t prompts_rows(lua_State *L, const char *name, uint32_t kind, bezel_prompts_row *rows, size_t n, size_t room) {
    if (lbezel_option_push(L, 1, name) == LUA_TNIL) return n;
    if (!lua_istable(L, -1)) luaL_error(L, "option %s: a table of texts by name expected, got %s", name, luaL_typename(L, -1));
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING || lua_type(L, -1) != LUA_TSTRING) luaL_error(L, "option %s: texts by name expected", name);
        if (n == room) luaL_error(L, "option %s: at most %d texts", name, (int)room);
        rows[n].kind = kind;
        rows[n].reserved = 0;
        rows[n].name = lbezel_check_cstring(L, lua_gettop(L) - 1);
        rows[n++].text = lbezel_check_cstring(L, lua_gettop(L));
    }
    return n;
}

static const char *prompts_text(lua_State *L, const char *name) {
    const char *text = lbezel_option_text(L, 1, name);
    if (!text) luaL_error(L, "option %s: a text expected", name);
    return text;
}

/* Pushes {{role=, text=, content=}, ...} and ends the tree, or pushes the failure. */
static int prompts_give(lua_State *L, bezel_status st, const bezel_message list[2], lbezel_object *tree, const bezel_error *err) {
    if (st != BEZEL_OK) {
        lbezel_object_end(tree);
        return lbezel_fail(L, err);
    }
    lua_createtable(L, 2, 0);
    for (int i = 0; i < 2; i++) {
        lua_createtable(L, 0, 3);
        lua_pushstring(L, bezel_role_name(list[i].role));
        lua_setfield(L, -2, "role");
        lua_pushlstring(L, list[i].text, list[i].text_size);
        lua_pushvalue(L, -1);
        lua_setfield(L, -3, "text");
        lua_setfield(L, -2, "content");
        lua_rawseti(L, -2, i + 1);
    }
    lbezel_object_end(tree);
    return 1;
}

/* prompts.image{task=, question=, context=, tasks=} -> messages | nil, message, code */
static int prompts_image(lua_State *L) {
    static const char *const known[] = {"task", "question", "context", "tasks", NULL};
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_message list[2];
    bezel_prompts_row rows[64];
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lbezel_options_check(L, 1, known);
    const bezel_prompts_rows own = {rows, prompts_rows(L, "tasks", BEZEL_PROMPTS_TASK, rows, 0, 64)};
    const char *task = prompts_text(L, "task"), *question = prompts_text(L, "question"), *context = lbezel_option_text(L, 1, "context");
    lbezel_object *tree = lbezel_tree_push(L);
    const bezel_status st = bezel_prompts_image(list, tree->handle, task, question, context, &own, &err);
    return prompts_give(L, st, list, tree, &err);
}

/* prompts.culture{culture=, style=, request=, cultures=, styles=} -> messages | nil, message, code */
static int prompts_culture(lua_State *L) {
    static const char *const known[] = {"culture", "style", "request", "cultures", "styles", NULL};
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_message list[2];
    bezel_prompts_row rows[64];
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lbezel_options_check(L, 1, known);
    size_t n = prompts_rows(L, "cultures", BEZEL_PROMPTS_CULTURE, rows, 0, 64);
    n = prompts_rows(L, "styles", BEZEL_PROMPTS_STYLE, rows, n, 64);
    const bezel_prompts_rows own = {rows, n};
    const char *culture = prompts_text(L, "culture"), *request = prompts_text(L, "request"), *style = lbezel_option_text(L, 1, "style");
    lbezel_object *tree = lbezel_tree_push(L);
    const bezel_status st = bezel_prompts_culture(list, tree->handle, culture, style, request, &own, &err);
    return prompts_give(L, st, list, tree, &err);
}

/* prompts.functions{tools=, request=, context=} -> messages | nil, message, code */
static int prompts_functions(lua_State *L) {
    static const char *const known[] = {"tools", "request", "context", NULL};
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_message list[2];
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lbezel_options_check(L, 1, known);
    const char *request = prompts_text(L, "request"), *context = lbezel_option_text(L, 1, "context");
    if (lbezel_option_push(L, 1, "tools") == LUA_TNIL) luaL_error(L, "option tools: a list of tools expected");
    lbezel_toolset *tools = lbezel_tools_push(L, -1);
    lbezel_object *tree = lbezel_tree_push(L);
    const bezel_status st = bezel_prompts_functions(list, tree->handle, tools->object.handle, NULL, request, context, &err);
    return prompts_give(L, st, list, tree, &err);
}

/* prompts.names() -> {tasks=, cultures=, styles=} */
static int prompts_names(lua_State *L) {
    static const char *const kinds[] = {"tasks", "cultures", "styles"};
    const bezel_prompts_row *row;
    lua_newtable(L);
    for (uint32_t kind = BEZEL_PROMPTS_TASK; kind <= BEZEL_PROMPTS_STYLE; kind++) {
        lua_newtable(L);
        for (size_t i = 0; (row = bezel_prompts_builtin(i)) != NULL; i++) {
            if (row->kind != kind) continue;
            lua_pushstring(L, row->name);
            lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
        }
        lua_setfield(L, -2, kinds[kind - 1]);
    }
    return 1;
}

void lbezel_prompts_open(lua_State *L) {
    static const luaL_Reg functions[] = {{"image", prompts_image}, {"culture", prompts_culture}, {"functions", prompts_functions},
                                         {"names", prompts_names}, {NULL, NULL}};
    luaL_newlib(L, functions);
    lua_setfield(L, -2, "prompts");
}
