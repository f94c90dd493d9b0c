/* SPDX-License-Identifier: MIT */
/* luaopen_bezel: the module table. Every topic adds its own functions. */
#include "lbezel.h"

LUAMOD_API __attribute__((visibility("default"))) int luaopen_bezel(lua_State *L) {
    luaL_checkversion(L);
    lua_newtable(L); /* module */
    lua_pushstring(L, bezel_version());
    lua_setfield(L, -2, "version");
    lbezel_callback_open(L);
    lbezel_value_open(L);
    lbezel_engine_open(L);
    lbezel_model_open(L);
    lbezel_batch_open(L);
    lbezel_tools_open(L);
    lbezel_chat_open(L);
    lbezel_form_open(L);
    lbezel_adapter_open(L);
    lbezel_store_open(L);
    lbezel_json_open(L);
    lbezel_http_open(L);
    lbezel_guard_open(L);
    lbezel_monitor_open(L);
    lbezel_service_open(L);
    lbezel_prompts_open(L);
    lbezel_mcp_open(L);
    return 1;
}
