/* SPDX-License-Identifier: MIT */
/* bezel.tools{...}: a toolset of plain Lua functions, and of MCP servers (lbezel_mcp.c).
 *
 *     { name = "get_weather", description = "...", permission = "read",
 *       parameters = { {name = "city", type = "string"}, {name = "days", type = "integer", optional = true} },
 *       run = function(args) return ... end }
 *
 * parameters is this short form (a list, in order) or a JSON schema ({type = "object", properties = ...}). */
#include "lbezel.h"

#include <string.h>

#define TOOL_TIMEOUT_MS 30000
#define TOOL_MEMORY_MB 256

static void tools_release(void *handle) { bezel_toolset_free(handle); }

uint32_t lbezel_option_permission(lua_State *L, int i) {
    static const char *const names[] = {"pure", "read", "write", "network"};
    const char *name = lbezel_option_text(L, i, "permission");
    if (!name) return 0;
    for (uint32_t k = 0; k < 4; k++)
        if (strcmp(name, names[k]) == 0) return k + 1;
    luaL_error(L, "option permission: '%s' is none of pure, read, write, network", name);
    return 0;
}

/* Schema of the short form: a list of {name=, type=, ..., optional=true}, kept in its order. "name" and "optional" are
 * ours, everything else is JSON schema. */
static bezel_value *short_schema(lua_State *L, bezel_tree *tree, const bezel_value *list) {
    bezel_value *schema = bezel_tree_map(tree), *properties = bezel_tree_map(tree), *required = bezel_tree_list(tree);
    for (size_t i = 0; i < bezel_value_count(list); i++) {
        const bezel_value *parameter = bezel_value_at(list, i);
        const bezel_value *name = bezel_value_get(parameter, "name");
        if (bezel_value_type(name) != BEZEL_TEXT) luaL_error(L, "parameters: item %d needs a name", (int)(i + 1));
        bezel_value *property = bezel_tree_map(tree);
        for (size_t k = 0; k < bezel_value_count(parameter); k++) {
            const char *key = bezel_value_key(parameter, k, NULL);
            if (strcmp(key, "name") != 0 && strcmp(key, "optional") != 0)
                bezel_value_set(tree, property, key, bezel_tree_copy(tree, bezel_value_at(parameter, k)));
        }
        bezel_value_set(tree, properties, bezel_value_text(name, NULL), property);
        if (!bezel_value_bool(bezel_value_get(parameter, "optional")))
            bezel_value_append(tree, required, bezel_tree_copy(tree, name));
    }
    bezel_value_set(tree, schema, "type", bezel_tree_text(tree, "object", SIZE_MAX));
    bezel_value_set(tree, schema, "properties", properties);
    bezel_value_set(tree, schema, "required", required);
    return schema;
}

/* A Lua table has no order: parameters come as `required` lists them, then the others by name. */
static void order_properties(bezel_tree *tree, bezel_value *schema) {
    const bezel_value *old = bezel_value_get(schema, "properties"), *required = bezel_value_get(schema, "required");
    if (bezel_value_type(old) != BEZEL_MAP || bezel_value_type(required) != BEZEL_LIST) return;
    bezel_value *properties = bezel_tree_map(tree);
    for (size_t i = 0; i < bezel_value_count(required); i++) {
        const char *key = bezel_value_text(bezel_value_at(required, i), NULL);
        if (bezel_value_get(old, key))
            bezel_value_set(tree, properties, key, bezel_tree_copy(tree, bezel_value_get(old, key)));
    }
    for (size_t i = 0; i < bezel_value_count(old); i++)
        bezel_value_set(tree, properties, bezel_value_key(old, i, NULL), bezel_tree_copy(tree, bezel_value_at(old, i)));
    bezel_value_set(tree, schema, "properties", properties);
}

/* Schema of the tool table at index i, in tree; NULL when it has none. */
static const bezel_value *tool_schema_get(lua_State *L, int i, bezel_tree *tree) {
    bezel_value *schema = NULL;
    if (lbezel_option_push(L, i, "parameters") != LUA_TNIL) {
        if (!lua_istable(L, -1)) luaL_error(L, "option parameters: table expected, got %s", luaL_typename(L, -1));
        schema = lbezel_value_get(L, -1, tree);
        if (bezel_value_type(schema) == BEZEL_LIST)
            schema = short_schema(L, tree, schema);
        else
            order_properties(tree, schema);
    }
    lua_pop(L, 1);
    return schema;
}

/* Adds the tool table at index i to set; anchor is the list of the set's userdata: function, struct, summary, function, ... */
static void tools_add(lua_State *L, int i, lbezel_toolset *set, int anchor) {
    static const char *const known[] = {"name",       "description", "parameters", "run",      "permission", "examples", "timeout_ms",
                                        "memory_mb", "summary",     "retries",    "retry_ms", "idempotent", "always",
                                        "parallel",  NULL};
    bezel_error err = BEZEL_ERROR_INIT;
    int top = lua_gettop(L);
    lbezel_options_check(L, i, known);
    bezel_tool spec = BEZEL_TOOL_INIT;
    spec.name = lbezel_option_text(L, i, "name");
    spec.description = lbezel_option_text(L, i, "description");
    spec.permission = lbezel_option_permission(L, i);
    if (!spec.name) luaL_error(L, "tool: a name is missing");
    lbezel_object *tree = lbezel_tree_push(L);
    spec.parameters = tool_schema_get(L, i, tree->handle);
    spec.examples = lbezel_option_strings(L, i, "examples", 256);
    lbezel_tool *tool = lua_newuserdatauv(L, sizeof *tool, 0);
    memset(tool, 0, sizeof *tool);
    tool->owner = set;
    tool->index = (lua_Integer)lua_rawlen(L, anchor) + 1;
    tool->timeout_ms = (int64_t)lbezel_option_integer(L, i, "timeout_ms", TOOL_TIMEOUT_MS, 1, 86400000);
    spec.timeout_ms = tool->timeout_ms;
    tool->memory = (int64_t)lbezel_option_integer(L, i, "memory_mb", TOOL_MEMORY_MB, 1, 1 << 20) << 20;
    spec.retries = (uint32_t)lbezel_option_integer(L, i, "retries", 0, 0, 10);
    spec.retry_ms = (uint32_t)lbezel_option_integer(L, i, "retry_ms", 0, 0, 3600000);
    spec.idempotent = (uint32_t)lbezel_option_bool(L, i, "idempotent", 0);
    spec.always = (uint32_t)lbezel_option_bool(L, i, "always", 0);
    spec.serial = !lbezel_option_bool(L, i, "parallel", 1);
    if (lbezel_option_push(L, i, "summary") == LUA_TFUNCTION) {
        tool->has_summary = 1;
    } else {
        lua_pop(L, 1);
        spec.summary = lbezel_option_text(L, i, "summary");
        lua_pushboolean(L, 0);
    }
    lua_insert(L, -2); /* ..., summary or false, tool */
    if (lbezel_option_push(L, i, "run") != LUA_TFUNCTION)
        luaL_error(L, "tool %s: run must be a function, got %s", spec.name, luaL_typename(L, -1));
    lua_rawseti(L, anchor, tool->index);
    lua_rawseti(L, anchor, tool->index + 1);
    lua_rawseti(L, anchor, tool->index + 2);
    spec.fn = lbezel_callback_tool;
    spec.ud = tool;
    if (bezel_toolset_add(set->object.handle, &spec, &err) != BEZEL_OK) lbezel_raise(L, &err);
    lbezel_object_end(tree);
    lua_settop(L, top);
}

/* A single tool in place of a list would otherwise be an empty list. */
static void tools_check_list(lua_State *L, int i) {
    lua_Integer n = (lua_Integer)lua_rawlen(L, i), found = 0;
    for (lua_pushnil(L); lua_next(L, i); lua_pop(L, 1)) found++;
    if (found != n) luaL_error(L, "tools: a list of tools expected, found other keys than 1..%d", (int)n);
}

lbezel_toolset *lbezel_tools_push(lua_State *L, int i) {
    i = lua_absindex(L, i);
    if (luaL_testudata(L, i, LBEZEL_TOOLS)) {
        lua_pushvalue(L, i);
        return lbezel_object_check(L, -1, LBEZEL_TOOLS);
    }
    if (!lua_istable(L, i)) luaL_error(L, "tools: a list of tools expected, got %s", luaL_typename(L, i));
    tools_check_list(L, i);
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_engine *engine = lbezel_engine_push(L);
    lbezel_toolset *set = lbezel_object_push(L, LBEZEL_TOOLS, sizeof *set, -1, 2);
    set->object.release = tools_release;
    set->engine = engine;
    bezel_toolset *handle = NULL;
    if (bezel_toolset_new(&handle, engine, &err) != BEZEL_OK) lbezel_raise(L, &err);
    lbezel_object_set(&set->object, handle);
    lbezel_callback_register(L, set);
    lua_newtable(L);
    lua_setiuservalue(L, -2, 3);
    lua_newtable(L); /* engine, set, anchor */
    lua_pushvalue(L, -1);
    lua_setiuservalue(L, -3, 2);
    lua_Integer n = (lua_Integer)lua_rawlen(L, i);
    for (lua_Integer k = 1; k <= n; k++) {
        lua_rawgeti(L, i, k);
        if (lbezel_mcp_add(L, -1, handle)) { /* lives as long as the set */
            lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
            continue;
        }
        if (!lua_istable(L, -1)) luaL_error(L, "tools: item %d is a %s, no table", (int)k, luaL_typename(L, -1));
        tools_add(L, lua_gettop(L), set, lua_gettop(L) - 1);
        lua_pop(L, 1);
    }
    lua_pop(L, 1);
    lua_remove(L, -2);
    return set;
}

/* bezel.tools{tool, ...} -> toolset */
static int tools_new(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lbezel_tools_push(L, 1);
    return 1;
}

/* tools:warnings() -> list of sentences about schema keywords that are only checked afterwards, or ignored */
static int tools_warnings(lua_State *L) {
    lbezel_toolset *set = lbezel_object_check(L, 1, LBEZEL_TOOLS);
    lua_newtable(L);
    for (size_t i = 0; i < bezel_toolset_warning_count(set->object.handle); i++) {
        lua_pushstring(L, bezel_toolset_warning(set->object.handle, i));
        lua_rawseti(L, -2, (lua_Integer)(i + 1));
    }
    return 1;
}

/* tools:names() -> list */
static int tools_names(lua_State *L) {
    lbezel_toolset *set = lbezel_object_check(L, 1, LBEZEL_TOOLS);
    lua_newtable(L);
    for (size_t i = 0; i < bezel_toolset_count(set->object.handle); i++) {
        lua_pushstring(L, bezel_toolset_name(set->object.handle, i));
        lua_rawseti(L, -2, (lua_Integer)(i + 1));
    }
    return 1;
}

static void parser_release(void *handle) { bezel_parser_free(handle); }

/* tools:parse(text, {repair_tail=, stopped="end"|"limit"}) -> {text, calls, errors, warnings}: what a model's output means,
 * without running anything */
static int tools_parse(lua_State *L) {
    static const char *const known[] = {"repair_tail", "stopped", NULL};
    bezel_error err = BEZEL_ERROR_INIT;
    lbezel_toolset *set = lbezel_object_check(L, 1, LBEZEL_TOOLS);
    size_t size;
    const char *text = luaL_checklstring(L, 2, &size);
    lua_settop(L, 3);
    lbezel_options_check(L, 3, known);
    const char *stopped = lbezel_option_text(L, 3, "stopped");
    if (stopped && strcmp(stopped, "limit") != 0 && strcmp(stopped, "end") != 0)
        return luaL_error(L, "option stopped: '%s' is none of end, limit", stopped);
    uint32_t how = stopped && strcmp(stopped, "limit") == 0 ? BEZEL_STOPPED_LIMIT : BEZEL_STOPPED_END;
    int repair_tail = lbezel_option_bool(L, 3, "repair_tail", 0);
    lbezel_object *tree = lbezel_tree_push(L);
    lbezel_object *p = lbezel_object_push(L, LBEZEL_PARSER, sizeof *p, 1, 0);
    p->release = parser_release;
    bezel_parser *parser = NULL;
    if (bezel_parser_new(&parser, set->object.handle, repair_tail, &err) != BEZEL_OK) return lbezel_fail(L, &err);
    lbezel_object_set(p, parser);
    bezel_value *value = NULL;
    bezel_status st = bezel_parser_push(parser, text, size, &err);
    if (st >= 0) st = bezel_parser_finish(parser, how, &err);
    if (st >= 0) st = bezel_parser_result(&value, tree->handle, parser, &err);
    if (st >= 0) lbezel_value_push(L, value, LBEZEL_NULL_AS_NIL);
    lbezel_object_end(p);
    lbezel_object_end(tree);
    return st >= 0 ? 1 : lbezel_fail(L, &err);
}

void lbezel_tools_open(lua_State *L) {
    static const luaL_Reg functions[] = {{"tools", tools_new}, {NULL, NULL}};
    static const luaL_Reg methods[] = {
        {"warnings", tools_warnings}, {"names", tools_names}, {"parse", tools_parse}, {NULL, NULL}};
    lbezel_object_type(L, LBEZEL_TOOLS, methods);
    lbezel_object_type(L, LBEZEL_PARSER, NULL);
    luaL_setfuncs(L, functions, 0);
}
