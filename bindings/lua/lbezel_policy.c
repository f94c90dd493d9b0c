/* SPDX-License-Identifier: MIT */
/* Options of a chat that say what may run: permit = {write = "ask", network = "deny", send_mail = "allow"}, where the names of
 * classes (pure, read, write, network, unknown) are rules of classes and all others those of tools. */
#include "lbezel.h"

#include <string.h>

#define MAX_PERMITS 4096

uint32_t lbezel_permit_check(lua_State *L, int i) {
    static const char *const names[] = {"allow", "ask", "deny"}; /* ORDER BEZEL_PERMIT_... */
    if (lua_isnoneornil(L, i)) return BEZEL_PERMIT_DEFAULT;
    const char *name = lua_type(L, i) == LUA_TSTRING ? lua_tostring(L, i) : luaL_typename(L, i);
    for (uint32_t k = 0; k < 3; k++)
        if (strcmp(name, names[k]) == 0) return k + 1;
    luaL_error(L, "permit: '%s' is none of allow, ask, deny", name);
    return 0;
}

/* Place of a class in the options, -1 = no class. */
static int policy_class(const char *name) {
    static const char *const names[] = {"unknown", "pure", "read", "write", "network"}; /* ORDER BEZEL_TOOL_... */
    for (int k = 0; k < 5; k++)
        if (strcmp(name, names[k]) == 0) return k;
    return -1;
}

void lbezel_policy_options(lua_State *L, int i, bezel_agent_options *out) {
    out->select_tools = (uint32_t)lbezel_option_integer(L, i, "select_tools", 0, 0, 1024);
    out->confirm_timeout_ms = lbezel_option_integer(L, i, "confirm_timeout_ms", 0, 0, 86400000);
    out->max_depth = (uint32_t)lbezel_option_integer(L, i, "max_depth", 0, 0, 64);
    if (lbezel_option_push(L, i, "permit") == LUA_TNIL) return; /* the nil is the anchor */
    if (!lua_istable(L, -1)) luaL_error(L, "option permit: table of rules expected, got %s", luaL_typename(L, -1));
    lua_Integer n = 0;
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) n++;
    if (n > MAX_PERMITS) luaL_error(L, "option permit: at most %d rules", MAX_PERMITS);
    bezel_permit *permits = lua_newuserdatauv(L, (size_t)(n + 1) * sizeof *permits, 0); /* permit, permits */
    for (lua_pushnil(L); lua_next(L, -3); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING) luaL_error(L, "option permit: names of classes and tools expected as keys");
        const char *name = lua_tostring(L, -2); /* held by the table */
        const uint32_t rule = lbezel_permit_check(L, lua_gettop(L));
        const int class = policy_class(name);
        if (class >= 0)
            out->permit[class] = rule;
        else
            permits[out->n_permits++] = (bezel_permit){name, rule, 0};
    }
    out->permits = permits; /* the table and the list stay on the stack */
}
