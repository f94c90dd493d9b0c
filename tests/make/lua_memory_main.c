/* SPDX-License-Identifier: MIT */
/* The Lua module where Lua's allocations fail, one after the other:
 *
 *     lua_memory MODEL.gguf FOLDER      MODEL of script_model, instruct, calling get_stock; FOLDER for stores
 *
 * A script loads, chats with a tool, streams, completes, reads and writes JSON and a store. It runs with Lua's n-th growing
 * allocation and all after it refused, for n that cover the whole run. Such a run must end in an error that speaks of memory;
 * then the same state runs the script whole, and closing it gives every byte back. Leaks of C are found under the address
 * sanitizer. */
#include <lauxlib.h>
#include <lua.h>
#include <lualib.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int luaopen_bezel(lua_State *L);

static const char text[] =
    "local bezel = require 'bezel'\n"
    "local model <close> = assert(bezel.load(MODEL))\n"
    "local store <close> = assert(bezel.store(STORE))\n"
    "local id = assert(store:begin('Shop', 'ann'))\n"
    "local function get_stock(args) return { item = args.item, count = 12, shelves = bezel.list { 1, 2, { deep = 'x' } } } end\n"
    "local chat <close> = assert(model:chat { store = store, conversation = id, user = 'ann', tools = { {\n"
    "  name = 'get_stock', description = 'How many there are', run = get_stock,\n"
    "  parameters = { { name = 'item', type = 'string' } } } } })\n"
    "local turn = assert(chat:ask 'How many lamps?')\n"
    "assert(turn.calls[1].result.count == 12, 'wrong result')\n"
    "local answer = turn.text\n"
    "chat:clear()\n"
    "local parts = {}\n"
    "for piece in chat:stream 'How many lamps?' do parts[#parts + 1] = piece end\n"
    "assert(table.concat(parts) == answer, 'the stream has another text')\n"
    "local ids = assert(model:tokenize 'one two three')\n"
    "assert(model:detokenize(ids) == 'one two three', 'wrong detokenized text')\n"
    "assert(model:complete('x', { max_tokens = 3, schema = { type = 'boolean' } }))\n"
    "local round = assert(bezel.json.encode(assert(bezel.json.decode '{\"a\":[1,2.5,null,\"x\"]}')))\n"
    "assert(#round > 10, 'wrong JSON')\n"
    "assert(#assert(store:messages(id)) > 2 and #assert(store:view 'usage_by_tool') == 1, 'wrong store')\n"
    "assert(store:delete(id))\n"
    "return answer\n";

typedef struct heap {
    long count, fail_at; /* growing allocations so far; the first that is refused, 0 = none */
    long refused;
    long long bytes;
} heap;

static void *heap_alloc(void *ud, void *block, size_t old_size, size_t size)
{
    heap *h = ud;
    const size_t had = block ? old_size : 0;
    if (!size) {
        free(block);
        h->bytes -= (long long)had;
        return NULL;
    }
    if (size > had && ++h->count >= h->fail_at && h->fail_at) {
        h->refused++;
        return NULL;
    }
    void *fresh = realloc(block, size);
    if (fresh)
        h->bytes += (long long)size - (long long)had;
    return fresh;
}

/* Protected body: model, store; returns the script's answer. */
static int run_script(lua_State *L)
{
    luaL_openlibs(L);
    luaL_requiref(L, "bezel", luaopen_bezel, 0);
    lua_pushvalue(L, 1);
    lua_setglobal(L, "MODEL");
    lua_pushvalue(L, 2);
    lua_setglobal(L, "STORE");
    if (luaL_loadstring(L, text) != LUA_OK)
        return lua_error(L);
    lua_call(L, 0, 1);
    return 1;
}

/* Runs the script with allocation fail_at and all later ones refused (0 = none). 1 when it ended well. */
static int try_script(lua_State *L, heap *h, long fail_at, char *message, size_t size)
{
    lua_settop(L, 2);
    lua_pushcfunction(L, run_script);
    lua_pushvalue(L, 1);
    lua_pushvalue(L, 2);
    h->count = h->refused = 0;
    h->fail_at = fail_at;
    const int rc = lua_pcall(L, 2, 1, 0);
    h->fail_at = 0;
    const char *said = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "(no text)";
    snprintf(message, size, "%s", said);
    return rc == LUA_OK;
}

/* One state: a run that fails at n, then a whole one. Returns the growing allocations of the failing run, 0 when it did not
 * fail because it needs fewer than n, -1 after saying what is wrong. */
static long one_state(const char *model, const char *store, long n)
{
    heap h = {0};
    char message[500];
    long counted = 0;
    lua_State *L = lua_newstate(heap_alloc, &h);
    if (!L || !lua_checkstack(L, 10)) {
        fprintf(stderr, "lua_memory: no memory for a Lua state\n");
        exit(1);
    }
    lua_pushstring(L, model);
    lua_pushstring(L, store);
    if (!try_script(L, &h, n, message, sizeof message)) {
        counted = h.count;
        if (!strstr(message, "memory")) {
            fprintf(stderr, "lua_memory: allocation %ld refused: \"%s\" does not speak of memory\n", n, message);
            counted = -1;
        }
        if (!try_script(L, &h, 0, message, sizeof message)) {
            fprintf(stderr, "lua_memory: allocation %ld refused, then none: %s\n", n, message);
            counted = -1;
        }
    } else if (h.refused) {
        fprintf(stderr, "lua_memory: allocation %ld refused, and nobody noticed\n", n);
        counted = -1;
    }
    if (strcmp(message, "There are twelve lamps.") != 0) {
        fprintf(stderr, "lua_memory: allocation %ld: the answer is \"%s\"\n", n, message);
        counted = -1;
    }
    lua_close(L);
    if (h.bytes) {
        fprintf(stderr, "lua_memory: allocation %ld refused: %lld bytes of Lua are left\n", n, h.bytes);
        counted = -1;
    }
    return counted;
}

int main(int argc, char **argv)
{
    long n = 1, tries = 0, got = 1;
    int failed = 0;
    if (argc != 3) {
        fprintf(stderr, "usage: lua_memory MODEL.gguf FOLDER\n");
        return 2;
    }
    char store[1000];
    snprintf(store, sizeof store, "%s/lua_memory.db", argv[2]);
    if (one_state(argv[1], store, 0)) /* so that what fails below fails for its refused allocation */
        return 1;
    for (; got; n += 1 + n / 60, tries++) { /* the stride grows: later allocations look alike */
        remove(store);
        got = one_state(argv[1], store, n);
        failed += got < 0;
    }
    if (tries < 100) {
        fprintf(stderr, "lua_memory: only %ld tries\n", tries);
        return 1;
    }
    printf("lua_memory: %ld places up to allocation %ld, %d failed\n", tries, n, failed);
    return failed > 0;
}
