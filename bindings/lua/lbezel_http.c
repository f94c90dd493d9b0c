/* SPDX-License-Identifier: MIT */
/* bezel.http: get and request through the careful client of <bezel/http.h>. Blocks the caller, but for a tool: that yields until
 * the answer is there, so that the host's step goes on and requests of several calls overlap. */
#include "lbezel.h"

#include <string.h>

#define MAX_HEADERS 64

#define POLL_MS 2 /* between two looks of a tool that waits */

static void response_release(void *handle) { bezel_http_response_free(handle); }

static void transfer_release(void *handle) { bezel_http_drop(handle); }

/* Adds the header lines of the table at the top: lines, anchor, headers. */
static uint32_t headers_add(lua_State *L, const char **lines) {
    uint32_t n = 0;
    for (lua_pushnil(L); lua_next(L, -2); lua_pop(L, 1)) {
        if (lua_type(L, -2) != LUA_TSTRING || !lua_isstring(L, -1) || n == MAX_HEADERS)
            luaL_error(L, "option headers: at most %d names with string values expected", MAX_HEADERS);
        const char *name = lua_tostring(L, -2), *value = lua_tostring(L, -1);
        if (strlen(name) != lua_rawlen(L, -2) || strlen(value) != lua_rawlen(L, -1))
            luaL_error(L, "option headers: a string contains a NUL byte");
        lua_pushfstring(L, "%s: %s", name, value); /* lines, anchor, headers, key, value, line */
        lines[n++] = lua_tostring(L, -1);
        lua_rawseti(L, -5, n);
    }
    return n;
}

/* Header lines from the option headers = {Name = value}; pushes what keeps them alive. */
static void option_headers(lua_State *L, int i, bezel_http_options *out) {
    const char **lines = lua_newuserdatauv(L, MAX_HEADERS * sizeof *lines, 1);
    lua_newtable(L); /* lines, anchor */
    int type = lbezel_option_push(L, i, "headers");
    if (type != LUA_TNIL && type != LUA_TTABLE)
        luaL_error(L, "option headers: a table of names and values expected, got %s", luaL_typename(L, -1));
    out->n_headers = type == LUA_TTABLE ? headers_add(L, lines) : 0;
    out->headers = lines;
    lua_pop(L, 1);
    lua_setiuservalue(L, -2, 1);
}

/* The answer as a table; o is its object. */
static int response_push(lua_State *L, lbezel_object *o) {
    size_t size = 0;
    lua_createtable(L, 0, 3);
    lua_pushinteger(L, bezel_http_response_status(o->handle));
    lua_setfield(L, -2, "status");
    const char *body = bezel_http_response_body(o->handle, &size);
    lua_pushlstring(L, body, size);
    lua_setfield(L, -2, "body");
    lua_pushstring(L, bezel_http_response_url(o->handle));
    lua_setfield(L, -2, "url");
    lbezel_object_end(o);
    return 1;
}

/* In a tool: the transfer at 1, its engine at 2; yields until the answer is there. */
static int transfer_go_on(lua_State *L, int status, lua_KContext context) {
    bezel_error err = BEZEL_ERROR_INIT;
    (void)status, (void)context;
    lua_settop(L, 2);
    lbezel_object *transfer = lua_touserdata(L, 1), *o = lbezel_object_push(L, LBEZEL_RESPONSE, sizeof *o, 2, 0);
    bezel_http_response *response = NULL;
    o->release = response_release;
    bezel_status st = bezel_http_poll(&response, transfer->handle, &err);
    if (st == BEZEL_TOOL_PENDING) {
        lua_settop(L, 2);
        lua_pushinteger(L, POLL_MS);
        return lua_yieldk(L, 1, 0, transfer_go_on);
    }
    lbezel_object_end(transfer);
    if (st != BEZEL_OK) return lbezel_fail(L, &err);
    lbezel_object_set(o, response);
    return response_push(L, o);
}

/* Begins a transfer in a tool; a coroutine that is closed ends it. */
static int transfer_start(lua_State *L, const char *url, const bezel_http_options *options) {
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_http_transfer *handle = NULL;
    bezel_engine *engine = lbezel_engine_push(L);
    lbezel_object *transfer = lbezel_object_push(L, LBEZEL_TRANSFER, sizeof *transfer, -1, 0);
    transfer->release = transfer_release;
    if (bezel_http_start(&handle, engine, url, options, &err) != BEZEL_OK) return lbezel_fail(L, &err);
    lbezel_object_set(transfer, handle);
    lua_insert(L, 1);
    lua_insert(L, 2); /* transfer, engine, url, ... */
    lua_settop(L, 2);
    lua_toclose(L, 1);
    return transfer_go_on(L, LUA_OK, 0);
}

/* http.request(url, {method=, body=, headers=, timeout_ms=, max_size=, max_redirects=, allow_private=})
 * -> {status, body, url} | nil, message, code */
static int http_request(lua_State *L) {
    static const char *const known[] = {"method",   "body",          "headers",       "timeout_ms",
                                        "max_size", "max_redirects", "allow_private", NULL};
    bezel_error err = BEZEL_ERROR_INIT;
    const char *url = lbezel_check_cstring(L, 1);
    lua_settop(L, 2);
    lbezel_options_check(L, 2, known);
    bezel_http_options options;
    bezel_http_options_init(&options);
    options.method = lbezel_option_text(L, 2, "method");
    options.body = lbezel_option_bytes(L, 2, "body", &options.body_size);
    options.timeout_ms = lbezel_option_integer(L, 2, "timeout_ms", options.timeout_ms, 0, 3600000);
    options.max_size = (uint64_t)lbezel_option_integer(L, 2, "max_size", (lua_Integer)options.max_size, 1, 1 << 30);
    options.max_redirects = (uint32_t)lbezel_option_integer(L, 2, "max_redirects", options.max_redirects, 0, 20);
    options.allow_private = lbezel_option_bool(L, 2, "allow_private", 0);
    option_headers(L, 2, &options);
    if (lbezel_callback_may_yield(L)) return transfer_start(L, url, &options);
    bezel_engine *engine = lbezel_engine_push(L);
    lbezel_object *o = lbezel_object_push(L, LBEZEL_RESPONSE, sizeof *o, -1, 0);
    o->release = response_release;
    bezel_http_response *response = NULL;
    if (bezel_http_request(&response, engine, url, &options, &err) != BEZEL_OK) return lbezel_fail(L, &err);
    lbezel_object_set(o, response);
    return response_push(L, o);
}

/* http.get(url, options): request without a body. */
static int http_get(lua_State *L) {
    if (lua_istable(L, 2) &&
        (lbezel_option_push(L, 2, "body") != LUA_TNIL || lbezel_option_push(L, 2, "method") != LUA_TNIL))
        return luaL_error(L, "http.get: use http.request for a method or a body");
    return http_request(L);
}

/* http.escape(text): for a place in a query string. */
static int http_escape(lua_State *L) {
    static const char hex[] = "0123456789ABCDEF";
    size_t size;
    const char *text = luaL_checklstring(L, 1, &size);
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        int plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' || c == '_' ||
                    c == '.' || c == '~';
        if (plain) {
            luaL_addchar(&b, (char)c);
        } else {
            luaL_addchar(&b, '%');
            luaL_addchar(&b, hex[c >> 4]);
            luaL_addchar(&b, hex[c & 15]);
        }
    }
    luaL_pushresult(&b);
    return 1;
}

void lbezel_http_open(lua_State *L) {
    static const luaL_Reg functions[] = {
        {"request", http_request}, {"get", http_get}, {"escape", http_escape}, {NULL, NULL}};
    lbezel_object_type(L, LBEZEL_RESPONSE, NULL);
    lbezel_object_type(L, LBEZEL_TRANSFER, NULL);
    luaL_newlib(L, functions);
    lua_setfield(L, -2, "http");
}
