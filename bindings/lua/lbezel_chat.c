/* SPDX-License-Identifier: MIT */
/* model:chat{...}: a conversation, with tools an agent. ask and stream for scripts; send, step, event for hosts with a
 * loop of their own. */
#include "lbezel.h"

#include <math.h>
#include <string.h>

enum { MAX_ROLES = 8 };

typedef struct chat_object {
    lbezel_object object;  /* also holds the toolset and the store */
    lbezel_toolset *tools; /* kept by user value 2; NULL = none */
    lbezel_toolset *roles[MAX_ROLES]; /* tools of further roles, kept by user value 5; NULL = none */
    lbezel_confirm confirm;
    int stepping;          /* step is on the stack */
    lua_Integer turn;      /* number of turns begun: a stream knows whether it still reads its own */
    int asking;            /* ask is on the stack; its on_event may not begin another turn */
} chat_object;

/* The collector does not see the megabytes behind a chat: each new one makes it work, so that lost ones go soon (KiB). */
#define CHAT_GC_STEP 4096

/* User values: 1 model (parent), 2 toolset, 3 store, 4 confirm function, 5 list of toolsets of further roles, 6 monitor, 7 adapter. */
enum { CHAT_TOOLS = 2, CHAT_STORE = 3, CHAT_CONFIRM = 4, CHAT_ROLES = 5, CHAT_MONITOR = 6, CHAT_ADAPTER = 7 };

static void chat_release(void *handle) { bezel_agent_free(handle); }

static chat_object *chat_check(lua_State *L) { return lbezel_object_check(L, 1, LBEZEL_CHAT); }

/* --- Creation ----------------------------------------------------------------------------- */

static uint32_t option_overflow(lua_State *L, int i) {
    const char *name = lbezel_option_text(L, i, "overflow");
    if (!name || strcmp(name, "drop_oldest") == 0) return BEZEL_OVERFLOW_DROP_OLDEST;
    if (strcmp(name, "error") == 0) return BEZEL_OVERFLOW_ERROR;
    luaL_error(L, "option overflow: '%s' is none of drop_oldest, error", name);
    return 0;
}

/* Links what the options name to the chat object at index chat: tools and store live as long as it does. */
static void chat_links(lua_State *L, int i, int chat, bezel_agent_options *out) {
    chat_object *self = lua_touserdata(L, chat);
    if (lbezel_option_push(L, i, "tools") != LUA_TNIL) {
        self->tools = lbezel_tools_push(L, -1);
        self->object.also[0] = &self->tools->object;
        out->tools = self->tools->object.handle;
        lua_setiuservalue(L, chat, CHAT_TOOLS);
    }
    lua_pop(L, 1);
    if (lbezel_option_push(L, i, "store") != LUA_TNIL) {
        if (!luaL_testudata(L, -1, LBEZEL_STORE))
            luaL_error(L, "option store: a store expected, got %s", luaL_typename(L, -1));
        lbezel_object *store = lbezel_object_check(L, -1, LBEZEL_STORE);
        self->object.also[1] = store;
        out->journal = bezel_store_journal(store->handle);
        lua_pushvalue(L, -1);
        lua_setiuservalue(L, chat, CHAT_STORE);
    }
    lua_pop(L, 1);
}

/* The monitor of the options stands between the chat and its store. */
static bezel_status chat_monitor(lua_State *L, int i, int chat, bezel_agent_options *out, bezel_error *err) {
    chat_object *self = lua_touserdata(L, chat);
    if (lbezel_option_push(L, i, "monitor") == LUA_TNIL) return BEZEL_OK;
    if (!luaL_testudata(L, -1, LBEZEL_MONITOR)) luaL_error(L, "option monitor: a monitor expected, got %s", luaL_typename(L, -1));
    lbezel_object *monitor = lbezel_object_check(L, -1, LBEZEL_MONITOR);
    self->object.also[2 + MAX_ROLES] = monitor;
    lua_setiuservalue(L, chat, CHAT_MONITOR);
    const bezel_journal *next = out->journal;
    return bezel_monitor_journal(&out->journal, monitor->handle, next, err);
}

/* The role table at the top as an entry of the options; its toolset stays alive with the chat. */
static void chat_role(lua_State *L, int chat, int n, bezel_handoff *out) {
    static const char *const known[] = {"name", "description", "system", "tools", NULL};
    chat_object *self = lua_touserdata(L, chat);
    const int i = lua_gettop(L);
    if (!lua_istable(L, i)) luaL_error(L, "option handoffs: role %d is a %s, no table", n + 1, luaL_typename(L, i));
    lbezel_options_check(L, i, known);
    out->name = lbezel_option_text(L, i, "name");
    out->description = lbezel_option_text(L, i, "description");
    out->system = lbezel_option_text(L, i, "system");
    if (!out->name) luaL_error(L, "option handoffs: role %d needs a name", n + 1);
    if (lbezel_option_push(L, i, "tools") == LUA_TNIL) return;
    self->roles[n] = lbezel_tools_push(L, -1);
    self->object.also[2 + n] = &self->roles[n]->object;
    out->tools = self->roles[n]->object.handle;
    lua_getiuservalue(L, chat, CHAT_ROLES);
    lua_insert(L, -2);
    lua_rawseti(L, -2, (lua_Integer)lua_rawlen(L, -2) + 1);
}

/* Confirm function and further roles of the options; roles must live until the agent is made. */
static void chat_policy(lua_State *L, int i, int chat, bezel_agent_options *out, bezel_handoff roles[MAX_ROLES]) {
    chat_object *self = lua_touserdata(L, chat);
    const int top = lua_gettop(L), type = lbezel_option_push(L, i, "confirm");
    if (type != LUA_TNIL && type != LUA_TFUNCTION) luaL_error(L, "option confirm: function expected, got %s", luaL_typename(L, -1));
    if (type == LUA_TFUNCTION) {
        out->confirm = lbezel_callback_confirm;
        out->confirm_ud = &self->confirm;
        lua_setiuservalue(L, chat, CHAT_CONFIRM);
    }
    lua_settop(L, top);
    if (lbezel_option_push(L, i, "handoffs") != LUA_TNIL) {
        if (!lua_istable(L, -1)) luaL_error(L, "option handoffs: list of roles expected, got %s", luaL_typename(L, -1));
        const lua_Integer n = (lua_Integer)lua_rawlen(L, -1);
        if (n > MAX_ROLES) luaL_error(L, "option handoffs: at most %d roles", MAX_ROLES);
        const int list = lua_gettop(L);
        lua_newtable(L);
        lua_setiuservalue(L, chat, CHAT_ROLES);
        for (lua_Integer k = 0; k < n; k++) {
            lua_rawgeti(L, list, k + 1);
            chat_role(L, chat, (int)k, &roles[k]);
            lua_settop(L, list);
        }
        out->handoffs = roles;
        out->n_handoffs = (uint32_t)n;
    }
    lua_settop(L, top);
}

/* Links the adapter of the options to the chat; a pretrained model with one follows the template that it was taught. */
static bezel_status chat_adapter(lua_State *L, int i, int chat, bezel_agent_options *o, bezel_adapter_use *out, bezel_error *err) {
    chat_object *self = lua_touserdata(L, chat);
    const lbezel_object *model = lbezel_object_check(L, 1, LBEZEL_MODEL);
    bezel_status st = lbezel_adapter_option(L, 1, i, out, err);
    if (st != BEZEL_OK || !out->adapter) return st;
    self->object.also[3 + MAX_ROLES] = lua_touserdata(L, -1);
    lua_setiuservalue(L, chat, CHAT_ADAPTER);
    if (!o->profile && bezel_profile_of(model->handle)->label_guard) o->profile = bezel_profile_find("gemma3");
    return BEZEL_OK;
}

/* bezel.chat(model, {system=, tools=, store=, conversation=, user=, ...}) -> chat | nil, message, code */
static int chat_new(lua_State *L) {
    static const char *const known[] = {LBEZEL_GENERATE_OPTIONS, LBEZEL_SESSION_OPTIONS, "system", "context", "tools", "store",
        "conversation", "user", "profile", "max_steps", "max_calls", "max_result_tokens", "overflow", "background",
        "tool_choice", "constrain", "call_bias", "any_order", "fit", "evidence", "monitor", "record", "replay", "adapter",
        "adapter_scale", LBEZEL_POLICY_OPTIONS, NULL};
    bezel_error err = BEZEL_ERROR_INIT;
    lbezel_object *model = lbezel_object_check(L, 1, LBEZEL_MODEL);
    lua_settop(L, 2);
    if (lua_isnil(L, 2)) {
        lua_newtable(L);
        lua_replace(L, 2);
    }
    lbezel_options_check(L, 2, known);
    bezel_agent_options o;
    bezel_agent_options_init(&o);
    o.system = lbezel_option_text(L, 2, "system");
    o.context = lbezel_option_text(L, 2, "context");
    o.conversation = lbezel_option_text(L, 2, "conversation");
    o.user = lbezel_option_text(L, 2, "user");
    o.record = lbezel_option_text(L, 2, "record");
    o.replay = lbezel_option_text(L, 2, "replay");
    o.overflow = option_overflow(L, 2);
    o.background = (uint32_t)lbezel_option_bool(L, 2, "background", 0);
    o.max_steps = (uint32_t)lbezel_option_integer(L, 2, "max_steps", o.max_steps, 1, 1000);
    o.max_calls = (uint32_t)lbezel_option_integer(L, 2, "max_calls", o.max_calls, 1, 16);
    o.max_result_tokens = (uint32_t)lbezel_option_integer(L, 2, "max_result_tokens", o.max_result_tokens, 0, 1 << 20);
    o.tool_choice = lbezel_option_text(L, 2, "tool_choice");
    o.constrain = (uint32_t)lbezel_option_bool(L, 2, "constrain", 1);
    o.any_order = (uint32_t)lbezel_option_bool(L, 2, "any_order", 0);
    o.fit = (uint32_t)lbezel_option_bool(L, 2, "fit", 1);
    o.evidence = (uint32_t)lbezel_option_bool(L, 2, "evidence", 1);
    o.generate.call_bias = (float)lbezel_option_number(L, 2, "call_bias", 0);
    o.profile = lbezel_profile_option(L, 2);
    lbezel_session_options(L, 2, &o.session);
    lbezel_generate_options(L, 2, &o.generate); /* pushes an anchor: 3 */
    lbezel_policy_options(L, 2, &o);            /* and more of them */
    bezel_handoff roles[MAX_ROLES] = {{0}};
    chat_object *self = lbezel_object_push(L, LBEZEL_CHAT, sizeof *self, 1, 6);
    self->object.release = chat_release;
    int chat = lua_gettop(L);
    chat_links(L, 2, chat, &o);
    chat_policy(L, 2, chat, &o, roles);
    bezel_adapter_use use = {0};
    if (chat_monitor(L, 2, chat, &o, &err) != BEZEL_OK) return lbezel_fail(L, &err);
    if (chat_adapter(L, 2, chat, &o, &use, &err) != BEZEL_OK) return lbezel_fail(L, &err);
    bezel_agent *agent = NULL;
    lua_gc(L, LUA_GCSTEP, CHAT_GC_STEP);
    if (bezel_agent_new(&agent, model->handle, &o, &err) != BEZEL_OK) return lbezel_fail(L, &err);
    lbezel_object_set(&self->object, agent);
    self->confirm.agent = agent;
    if (use.adapter && bezel_session_adapt(bezel_agent_session(agent), &use, 1, &err) != BEZEL_OK)
        return lbezel_object_end(&self->object), lbezel_fail(L, &err);
    lua_pushvalue(L, chat);
    return 1;
}

/* --- Turns -------------------------------------------------------------------------------- */

/* Closes what was pending in the chat at index chat and is no more. */
static void chat_sweep(lua_State *L, int chat) {
    const chat_object *self = lua_touserdata(L, chat);
    if (self->tools) {
        lua_getiuservalue(L, chat, CHAT_TOOLS);
        lbezel_callback_sweep(L);
        lua_pop(L, 1);
    }
    if (lua_getiuservalue(L, chat, CHAT_ROLES) == LUA_TTABLE) {
        for (int k = 1; k <= MAX_ROLES; k++) {
            lua_rawgeti(L, -1, k);
            lbezel_callback_sweep(L);
            lua_pop(L, 1);
        }
    }
    lua_pop(L, 1);
}

/* Tools and questions run on L (NULL = not at all). */
static void chat_enter(chat_object *self, lua_State *L, int chat) {
    if (self->tools) self->tools->L = L;
    for (int k = 0; k < MAX_ROLES; k++)
        if (self->roles[k]) self->roles[k]->L = L;
    self->confirm.L = L;
    self->confirm.chat = chat;
}

/* One step of the chat at index chat on this Lua thread's stack: its tools run there. A tool that closes the chat, its tools or its model does so
 * when the step is over: look at self->object.closed afterwards. */
static bezel_status chat_advance(lua_State *L, int chat, int64_t budget_us, bezel_error *err) {
    chat_object *self = lua_touserdata(L, chat);
    lua_State *outer[1 + MAX_ROLES] = {self->tools ? self->tools->L : NULL}; /* two chats may share a toolset */
    const lbezel_confirm asked = self->confirm;
    for (int k = 0; k < MAX_ROLES; k++) outer[k + 1] = self->roles[k] ? self->roles[k]->L : NULL;
    chat_enter(self, L, lua_absindex(L, chat));
    const int top = lua_gettop(L), is_monitored = lua_getiuservalue(L, chat, CHAT_MONITOR) == LUA_TUSERDATA;
    lbezel_monitor_use scored;
    if (is_monitored) lbezel_monitor_enter(L, top + 1, &scored);
    self->object.holds++;
    self->stepping++;
    bezel_status st = bezel_agent_step(self->object.handle, budget_us, err);
    self->stepping--;
    if (is_monitored) lbezel_monitor_leave(L, top + 1, &scored);
    lua_settop(L, top);
    if (self->tools) self->tools->L = outer[0]; /* before the toolset may go */
    for (int k = 0; k < MAX_ROLES; k++)
        if (self->roles[k]) self->roles[k]->L = outer[k + 1];
    self->confirm = asked;
    lbezel_object_let_go(&self->object);
    chat_sweep(L, chat);
    return st;
}

/* close, __close, __gc: a turn that runs is cancelled and kept in the store, its pending tools are closed. */
static int chat_close(lua_State *L) {
    lbezel_object_close(L);
    if (luaL_testudata(L, 1, LBEZEL_CHAT)) chat_sweep(L, 1);
    return 0;
}

/* chat:wait([max_ms]): sleeps while a pending tool has nothing to do. */
static int chat_wait(lua_State *L) {
    chat_object *self = chat_check(L);
    lua_Number ms = luaL_optnumber(L, 2, -1);
    luaL_argcheck(L, ms <= 1e9, 2, "at most 1e9 milliseconds expected");
    bezel_agent_wait(self->object.handle, ms < 0 ? -1 : (int64_t)(ms * 1000));
    return 0;
}

static int chat_raise_closed(lua_State *L) { return luaL_error(L, "the chat was closed in its own turn"); }

static void event_push(lua_State *L, const bezel_agent_event *event) {
    static const char *const names[] = {"", "text", "call", "result", "parse_error", "dropped", "note", "ask"};
    lua_createtable(L, 0, 6);
    lua_pushstring(L, event->type < sizeof names / sizeof *names ? names[event->type] : "unknown");
    lua_setfield(L, -2, "type");
    lua_pushinteger(L, event->step);
    lua_setfield(L, -2, "step");
    if (event->text) {
        lua_pushlstring(L, event->text, event->text_size);
        lua_setfield(L, -2, "text");
    }
    if (event->name) {
        lua_pushstring(L, event->name);
        lua_setfield(L, -2, "name");
    }
    if (event->code && event->code[0]) {
        lua_pushstring(L, event->code);
        lua_setfield(L, -2, "code");
    }
    if (event->arguments) {
        lbezel_value_push(L, event->arguments, LBEZEL_NULL_AS_NIL);
        lua_setfield(L, -2, "arguments");
    }
    if (event->result) {
        lbezel_value_push(L, event->result, LBEZEL_NULL_AS_NIL);
        lua_setfield(L, -2, "result");
    }
    if (event->count) {
        lua_pushinteger(L, (lua_Integer)event->count);
        lua_setfield(L, -2, event->type == BEZEL_AGENT_ASK ? "id" : "count");
    }
}

static void turn_push(lua_State *L, const bezel_agent_turn *turn) {
    lua_createtable(L, 0, 4);
    lua_pushlstring(L, turn->text, turn->text_size);
    lua_setfield(L, -2, "text");
    if (turn->calls)
        lbezel_value_push(L, turn->calls, LBEZEL_NULL_AS_NIL);
    else
        lua_newtable(L);
    lua_setfield(L, -2, "calls");
    lua_pushstring(L, bezel_stop_name(turn->stop_reason));
    lua_setfield(L, -2, "stop_reason");
    if (!isnan(turn->call_probability)) {
        lua_pushnumber(L, turn->call_probability);
        lua_setfield(L, -2, "call_probability");
    }
    if (!isnan(turn->name_probability)) {
        lua_pushnumber(L, turn->name_probability);
        lua_setfield(L, -2, "name_probability");
    }
    lua_createtable(L, 0, 9);
    lua_pushinteger(L, turn->n_steps);
    lua_setfield(L, -2, "steps");
    lua_pushinteger(L, (lua_Integer)turn->n_prompt);
    lua_setfield(L, -2, "prompt_tokens");
    lua_pushinteger(L, (lua_Integer)turn->n_cached);
    lua_setfield(L, -2, "cached_tokens");
    lua_pushinteger(L, (lua_Integer)turn->n_generated);
    lua_setfield(L, -2, "tokens_generated");
    lua_pushinteger(L, (lua_Integer)turn->n_dropped);
    lua_setfield(L, -2, "dropped_tokens");
    lua_pushinteger(L, (lua_Integer)turn->n_forced);
    lua_setfield(L, -2, "forced_tokens");
    lua_pushnumber(L, (lua_Number)turn->first_token_us / 1e6);
    lua_setfield(L, -2, "first_token_time");
    lua_pushnumber(L, (lua_Number)turn->total_us / 1e6);
    lua_setfield(L, -2, "generation_time");
    lua_setfield(L, -2, "usage");
}

static int chat_push_turn(lua_State *L, chat_object *self) {
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_agent_turn turn = {.size = sizeof turn};
    if (bezel_agent_result(self->object.handle, &turn, &err) != BEZEL_OK) return lbezel_fail(L, &err);
    turn_push(L, &turn);
    return 1;
}

/* Ends a turn that is still running: a loop over stream that was left, or an on_event function that raised. */
static void chat_end_turn(lua_State *L, int chat) {
    chat_object *self = lua_touserdata(L, chat);
    bezel_status st;
    bezel_agent_event event = {.size = sizeof event};
    bezel_agent_cancel(self->object.handle);
    do {
        st = chat_advance(L, chat, -1, NULL);
        while (!self->object.closed && bezel_agent_event_next(self->object.handle, &event)) continue;
    } while (!self->object.closed && st > 0 && st != BEZEL_DONE);
}

/* Begins a turn with the text at index 2. */
static bezel_status chat_begin(lua_State *L, chat_object *self, bezel_error *err) {
    size_t size;
    const char *text = luaL_checklstring(L, 2, &size);
    if (self->asking) {
        const bezel_error busy = {sizeof busy, BEZEL_ERR_BUSY, -1, "lua", "the chat is in ask: its turn is not over",
                                  "", ""};
        *err = busy;
        return BEZEL_ERR_BUSY;
    }
    const bezel_call *call = lbezel_callback_call(L); /* a tool asks a chat of its own: the store links their turns */
    bezel_status st = call ? bezel_agent_nest(self->object.handle, call, err) : BEZEL_OK;
    if (st == BEZEL_OK) st = bezel_agent_send(self->object.handle, text, size, err);
    if (st == BEZEL_OK) self->turn++;
    return st;
}

/* A question of which nobody will see the event: without a confirm function it is denied. */
static void chat_nobody(const chat_object *self, const bezel_agent_event *event) {
    bezel_agent_answer(self->object.handle, event->count, BEZEL_PERMIT_DENY, "nobody is there to be asked", NULL);
}

/* Calls the function at index fn (0 = none) for every waiting event. */
static void chat_drain(lua_State *L, chat_object *self, int fn) {
    bezel_agent_event event = {.size = sizeof event};
    while (!self->object.closed && bezel_agent_event_next(self->object.handle, &event)) {
        if (!fn && event.type == BEZEL_AGENT_ASK) chat_nobody(self, &event);
        if (!fn) continue;
        lua_pushvalue(L, fn);
        event_push(L, &event);
        lua_call(L, 1, 0);
    }
}

/* Protected part of ask: chat, text, on_event on the stack. Leaves the status. */
static int ask_body(lua_State *L) {
    chat_object *self = chat_check(L);
    bezel_error *err = lua_touserdata(L, 4);
    bezel_status st;
    do {
        st = chat_advance(L, 1, -1, err);
        chat_drain(L, self, lua_isnil(L, 3) ? 0 : 3);
        if (self->object.closed) return chat_raise_closed(L);
        if (st == BEZEL_TOOL_PENDING) bezel_agent_wait(self->object.handle, -1);
    } while (st > 0 && st != BEZEL_DONE);
    lua_pushinteger(L, st);
    return 1;
}

/* chat:ask(text, on_event) -> {text, calls, usage, stop_reason} | nil, message, code */
static int chat_ask(lua_State *L) {
    chat_object *self = chat_check(L);
    bezel_error err = BEZEL_ERROR_INIT;
    lua_settop(L, 3);
    if (!lua_isnil(L, 3)) luaL_checktype(L, 3, LUA_TFUNCTION);
    if (chat_begin(L, self, &err) != BEZEL_OK) return lbezel_fail(L, &err);
    lua_pushcfunction(L, ask_body); /* chat, text, on_event, ask_body */
    lua_insert(L, 1);
    lua_pushvalue(L, 2);
    lua_insert(L, 1); /* chat, ask_body, chat, text, on_event */
    lua_pushlightuserdata(L, &err);
    self->asking = 1;
    int rc = lua_pcall(L, 4, 1, 0);
    self->asking = 0;
    if (rc != LUA_OK) {
        if (!self->object.closed) chat_end_turn(L, 1);
        return lua_error(L);
    }
    return lua_tointeger(L, -1) < 0 ? lbezel_fail(L, &err) : chat_push_turn(L, self);
}

/* chat:send(text) -> true | nil, message, code: begins a turn for step */
static int chat_send(lua_State *L) {
    chat_object *self = chat_check(L);
    bezel_error err = BEZEL_ERROR_INIT;
    if (chat_begin(L, self, &err) != BEZEL_OK) return lbezel_fail(L, &err);
    lua_pushboolean(L, 1);
    return 1;
}

/* chat:step(budget_ms) -> "more" | "token" | "pending", wait_ms | "done" | nil, message, code */
static int chat_step(lua_State *L) {
    chat_object *self = chat_check(L);
    bezel_error err = BEZEL_ERROR_INIT;
    lua_Number budget_ms = luaL_optnumber(L, 2, -1);
    luaL_argcheck(L, budget_ms <= 1e9, 2, "at most 1e9 milliseconds expected"); /* not a NaN either */
    bezel_status st = chat_advance(L, 1, budget_ms < 0 ? -1 : (int64_t)(budget_ms * 1000), &err);
    if (self->object.closed) return chat_raise_closed(L);
    if (st < 0) return lbezel_fail(L, &err);
    lua_pushstring(L, st == BEZEL_DONE           ? "done"
                      : st == BEZEL_TOOL_PENDING ? "pending"
                      : st == BEZEL_TOKEN        ? "token"
                                                 : "more");
    if (st != BEZEL_TOOL_PENDING) return 1;
    lua_pushnumber(L, (lua_Number)bezel_agent_wait_us(self->object.handle) / 1000);
    return 2;
}

/* chat:event() -> table or nil */
static int chat_event(lua_State *L) {
    chat_object *self = chat_check(L);
    bezel_agent_event event = {.size = sizeof event};
    if (!bezel_agent_event_next(self->object.handle, &event)) return 0;
    event_push(L, &event);
    return 1;
}

/* chat:result() -> the last finished turn | nil, message, code */
static int chat_result(lua_State *L) { return chat_push_turn(L, chat_check(L)); }

/* 1 and a piece of text pushed when an event with text waits. */
static int stream_piece(lua_State *L, chat_object *self) {
    bezel_agent_event event = {.size = sizeof event};
    while (bezel_agent_event_next(self->object.handle, &event)) {
        if (event.type == BEZEL_AGENT_ASK) chat_nobody(self, &event);
        if (event.type == BEZEL_AGENT_TEXT && event.text_size) {
            lua_pushlstring(L, event.text, event.text_size);
            return 1;
        }
    }
    return 0;
}

/* Iterator of stream: upvalue 1 the chat, 2 whether it is over, 3 its turn. The next piece of text; nil at the end; raises
 * when the turn fails, because a loop that just ends would look like a whole answer. */
static int stream_next(lua_State *L) {
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_status st = BEZEL_MORE;
    if (lua_toboolean(L, lua_upvalueindex(2))) return 0;
    lua_settop(L, 0);
    lua_pushvalue(L, lua_upvalueindex(1));
    chat_object *self = chat_check(L);
    if (self->turn != lua_tointeger(L, lua_upvalueindex(3))) return luaL_error(L, "the chat has begun another turn");
    while (!stream_piece(L, self)) {
        if (st == BEZEL_DONE) {
            lua_pushboolean(L, 1);
            lua_replace(L, lua_upvalueindex(2));
            return 0;
        }
        st = chat_advance(L, 1, -1, &err);
        if (self->object.closed) return chat_raise_closed(L);
        if (st == BEZEL_TOOL_PENDING) bezel_agent_wait(self->object.handle, -1);
        if (st < 0) return lbezel_raise(L, &err);
    }
    return 1;
}

/* Closing value of a stream loop: a loop that is left early ends its turn, unless another one has begun. */
static int stream_close(lua_State *L) {
    lua_settop(L, 1);
    luaL_checkudata(L, 1, LBEZEL_STREAM);
    lua_getiuservalue(L, 1, 1);
    lua_getiuservalue(L, 1, 2);
    chat_object *self = luaL_testudata(L, 2, LBEZEL_CHAT);
    if (self && !self->object.closed && self->object.handle && self->turn == lua_tointeger(L, 3)) chat_end_turn(L, 2);
    return 0;
}

/* for text in chat:stream(question) do ... end; chat:result() has the turn afterwards */
static int chat_stream(lua_State *L) {
    chat_object *self = chat_check(L);
    bezel_error err = BEZEL_ERROR_INIT;
    lua_settop(L, 2);
    if (chat_begin(L, self, &err) != BEZEL_OK) return lbezel_raise(L, &err);
    lua_pushvalue(L, 1);
    lua_pushboolean(L, 0);
    lua_pushinteger(L, self->turn);
    lua_pushcclosure(L, stream_next, 3);
    lua_pushnil(L);
    lua_pushnil(L);
    lua_newuserdatauv(L, 1, 2); /* next, nil, nil, closing value */
    lua_pushvalue(L, 1);
    lua_setiuservalue(L, -2, 1);
    lua_pushinteger(L, self->turn);
    lua_setiuservalue(L, -2, 2);
    luaL_setmetatable(L, LBEZEL_STREAM);
    return 4;
}

/* chat:answer(id, allowed [, reason]) -> true | nil, message, code: to an event "ask" */
static int chat_answer(lua_State *L) {
    chat_object *self = chat_check(L);
    bezel_error err = BEZEL_ERROR_INIT;
    const lua_Integer id = luaL_checkinteger(L, 2);
    luaL_checktype(L, 3, LUA_TBOOLEAN);
    const char *reason = lua_isnoneornil(L, 4) ? NULL : lbezel_check_cstring(L, 4);
    const uint32_t permit = lua_toboolean(L, 3) ? BEZEL_PERMIT_ALLOW : BEZEL_PERMIT_DENY;
    if (bezel_agent_answer(self->object.handle, (uint64_t)id, permit, reason, &err) != BEZEL_OK) return lbezel_fail(L, &err);
    lua_pushboolean(L, 1);
    return 1;
}

/* chat:taint(): the next question has text from elsewhere. chat:tainted() -> has the model read such text? */
static int chat_taint(lua_State *L) {
    bezel_agent_taint(chat_check(L)->object.handle);
    return 0;
}

static int chat_tainted(lua_State *L) {
    lua_pushboolean(L, bezel_agent_is_tainted(chat_check(L)->object.handle));
    return 1;
}

/* chat:permit(tool, "allow" | "ask" | "deny" | nil) -> true | nil, message, code: from its next call on */
static int chat_permit(lua_State *L) {
    chat_object *self = chat_check(L);
    bezel_error err = BEZEL_ERROR_INIT;
    const char *name = lbezel_check_cstring(L, 2);
    if (bezel_agent_permit(self->object.handle, name, lbezel_permit_check(L, 3), &err) != BEZEL_OK) return lbezel_fail(L, &err);
    lua_pushboolean(L, 1);
    return 1;
}

/* chat:role() -> name of the role that speaks now */
static int chat_role_name(lua_State *L) {
    lua_pushstring(L, bezel_agent_role(chat_check(L)->object.handle));
    return 1;
}

static int chat_cancel(lua_State *L) {
    bezel_agent_cancel(chat_check(L)->object.handle);
    return 0;
}

/* chat:fd() -> descriptor that is readable when step has something (background = true), else nil */
static int chat_fd(lua_State *L) {
    int fd = bezel_agent_fd(chat_check(L)->object.handle);
    if (fd < 0) return 0;
    lua_pushinteger(L, fd);
    return 1;
}

/* --- A chat as a tool --------------------------------------------------------------------- */

#define AGENT_SLICE_US 20000
#define AGENT_TOOL_MS 600000

/* Stack: arguments, chat, closing value or nil. */
enum { AGENT_ARGUMENTS = 1, AGENT_CHAT, AGENT_GUARD };

static int agent_run_again(lua_State *L, int status, lua_KContext context);

static int agent_yield(lua_State *L, lua_Number wait_ms) {
    lua_settop(L, AGENT_GUARD);
    lua_pushnumber(L, wait_ms);
    return lua_yieldk(L, 1, 0, agent_run_again);
}

/* Begins the task; the guard ends its turn when this coroutine is closed before. */
static bezel_status agent_run_begin(lua_State *L, chat_object *self, bezel_error *err) {
    size_t size = 0;
    lua_getfield(L, AGENT_ARGUMENTS, "task");
    const char *task = lua_tolstring(L, -1, &size);
    const bezel_call *call = lbezel_callback_call(L);
    bezel_status st = call ? bezel_agent_nest(self->object.handle, call, err) : BEZEL_OK;
    if (st == BEZEL_OK) {
        bezel_agent_clear(self->object.handle);
        st = bezel_agent_send(self->object.handle, task ? task : "", size, err);
    }
    lua_settop(L, AGENT_CHAT);
    if (st != BEZEL_OK) return st;
    self->turn++;
    lua_newuserdatauv(L, 1, 2);
    lua_pushvalue(L, AGENT_CHAT);
    lua_setiuservalue(L, AGENT_GUARD, 1);
    lua_pushinteger(L, self->turn);
    lua_setiuservalue(L, AGENT_GUARD, 2);
    luaL_setmetatable(L, LBEZEL_STREAM);
    lua_toclose(L, AGENT_GUARD);
    return BEZEL_OK;
}

/* Works on the task for a slice, again and again, with a yield between. */
static int agent_run_again(lua_State *L, int status, lua_KContext context) {
    bezel_error err = BEZEL_ERROR_INIT;
    (void)status, (void)context;
    lua_settop(L, AGENT_GUARD);
    chat_object *self = lbezel_object_check(L, AGENT_CHAT, LBEZEL_CHAT);
    if (lua_isnil(L, AGENT_GUARD)) {
        bezel_agent_turn turn = {.size = sizeof turn};
        if (self->stepping) return luaL_error(L, "an agent cannot be called by itself");
        const int is_busy = self->asking || (self->turn && bezel_agent_result(self->object.handle, &turn, NULL) != BEZEL_OK);
        if (is_busy) return agent_yield(L, 1); /* another task has it */
        if (agent_run_begin(L, self, &err) != BEZEL_OK) return lbezel_fail(L, &err);
    }
    bezel_status st = chat_advance(L, AGENT_CHAT, AGENT_SLICE_US, &err);
    if (self->object.closed) return chat_raise_closed(L);
    chat_drain(L, self, 0);
    if (st < 0) return lbezel_fail(L, &err);
    if (st != BEZEL_DONE)
        return agent_yield(L, st == BEZEL_TOOL_PENDING ? (lua_Number)bezel_agent_wait_us(self->object.handle) / 1000 : 0);
    bezel_agent_turn turn = {.size = sizeof turn};
    if (bezel_agent_result(self->object.handle, &turn, &err) != BEZEL_OK) return lbezel_fail(L, &err);
    lua_pushlstring(L, turn.text, turn.text_size);
    return 1;
}

/* run of the tool: arguments; upvalue 1 the chat. */
static int agent_run(lua_State *L) {
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lua_pushvalue(L, lua_upvalueindex(1));
    lua_pushnil(L);
    return agent_run_again(L, LUA_OK, 0);
}

/* bezel.agent_tool(chat, {name=, description=, ...}) -> a tool that gives its task to the chat, whose history begins anew */
static int agent_tool(lua_State *L) {
    lbezel_object_check(L, 1, LBEZEL_CHAT);
    luaL_checktype(L, 2, LUA_TTABLE);
    lua_settop(L, 2);
    lua_newtable(L);
    for (lua_pushnil(L); lua_next(L, 2);) { /* tool, key, value */
        lua_pushvalue(L, -2);
        lua_insert(L, -2);
        lua_rawset(L, 3);
    }
    lua_pushvalue(L, 1);
    lua_pushcclosure(L, agent_run, 1);
    lua_setfield(L, 3, "run");
    lua_createtable(L, 1, 0);
    lua_createtable(L, 0, 3);
    lua_pushliteral(L, "task");
    lua_setfield(L, -2, "name");
    lua_pushliteral(L, "string");
    lua_setfield(L, -2, "type");
    lua_pushliteral(L, "What to do, with everything that is needed for it");
    lua_setfield(L, -2, "description");
    lua_rawseti(L, -2, 1);
    lua_setfield(L, 3, "parameters");
    if (lua_getfield(L, 3, "timeout_ms") == LUA_TNIL) {
        lua_pushinteger(L, AGENT_TOOL_MS);
        lua_setfield(L, 3, "timeout_ms");
    }
    lua_settop(L, 3);
    return 1;
}

/* --- History ------------------------------------------------------------------------------ */

/* chat:history() -> list of {role, text} */
static int chat_history(lua_State *L) {
    chat_object *self = chat_check(L);
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_value *value = NULL;
    lbezel_object *tree = lbezel_tree_push(L);
    bezel_status st = bezel_agent_history(&value, tree->handle, self->object.handle, &err);
    if (st == BEZEL_OK) lbezel_value_push(L, value, LBEZEL_NULL_AS_NIL);
    lbezel_object_end(tree);
    return st == BEZEL_OK ? 1 : lbezel_fail(L, &err);
}

bezel_message *lbezel_messages_get(lua_State *L, int list, size_t *out_n) {
    list = lua_absindex(L, list);
    size_t n = *out_n = lua_rawlen(L, list);
    bezel_message *messages = lua_newuserdatauv(L, (n + 1) * sizeof *messages, 0);
    for (size_t i = 0; i < n; i++) {
        lua_rawgeti(L, list, (lua_Integer)(i + 1));
        if (!lua_istable(L, -1)) luaL_error(L, "message %d is a %s, no table", (int)(i + 1), luaL_typename(L, -1));
        const char *role = lbezel_option_text(L, -1, "role");
        memset(&messages[i], 0, sizeof messages[i]);
        messages[i].size = sizeof messages[i];
        messages[i].role = role ? bezel_role_from_name(role) : 0;
        if (!messages[i].role || lbezel_option_push(L, -1, "text") != LUA_TSTRING)
            luaL_error(L, "message %d needs a role (system, user, assistant, tool) and a text", (int)(i + 1));
        messages[i].text = lua_tolstring(L, -1, &messages[i].text_size);
        lua_pop(L, 2); /* the list holds the message, the message its text */
    }
    return messages;
}

/* chat:append{ {role=, text=}, ... } -> true | nil, message, code: to resume a conversation */
static int chat_append(lua_State *L) {
    chat_object *self = chat_check(L);
    bezel_error err = BEZEL_ERROR_INIT;
    luaL_checktype(L, 2, LUA_TTABLE);
    size_t n;
    bezel_message *messages = lbezel_messages_get(L, 2, &n);
    if (bezel_agent_append(self->object.handle, messages, n, &err) != BEZEL_OK) return lbezel_fail(L, &err);
    lua_pushboolean(L, 1);
    return 1;
}

static int chat_clear(lua_State *L) {
    bezel_agent_clear(chat_check(L)->object.handle);
    return 0;
}

static void prompt_release(void *handle) { bezel_prompt_free(handle); }

/* chat:prompt([text]) -> the exact text that ask(text) would send; without text the history as it stands */
static int chat_prompt(lua_State *L) {
    chat_object *self = chat_check(L);
    bezel_error err = BEZEL_ERROR_INIT;
    size_t size = 0;
    const char *text = luaL_optlstring(L, 2, NULL, &size);
    lbezel_object *o = lbezel_object_push(L, LBEZEL_PROMPT, sizeof *o, 1, 0);
    o->release = prompt_release;
    bezel_prompt *prompt = NULL;
    if (bezel_agent_prompt(&prompt, self->object.handle, text, size, &err) != BEZEL_OK) return lbezel_fail(L, &err);
    lbezel_object_set(o, prompt);
    const char *rendered = bezel_prompt_text(prompt, &size);
    lua_pushlstring(L, rendered, size);
    lbezel_object_end(o);
    return 1;
}

void lbezel_chat_open(lua_State *L) {
    static const luaL_Reg functions[] = {{"chat", chat_new}, {"agent_tool", agent_tool}, {NULL, NULL}};
    static const luaL_Reg methods[] = {
        {"ask", chat_ask},         {"stream", chat_stream}, {"send", chat_send},     {"step", chat_step},
        {"event", chat_event},     {"result", chat_result}, {"cancel", chat_cancel}, {"fd", chat_fd},
        {"history", chat_history}, {"append", chat_append}, {"clear", chat_clear},   {"prompt", chat_prompt},
        {"wait", chat_wait},       {"answer", chat_answer}, {"permit", chat_permit}, {"role", chat_role_name},
        {"taint", chat_taint},     {"tainted", chat_tainted},
        {NULL, NULL}};
    luaL_newmetatable(L, LBEZEL_STREAM);
    lua_pushcfunction(L, stream_close);
    lua_setfield(L, -2, "__close");
    lua_pushliteral(L, "bezel object");
    lua_setfield(L, -2, "__metatable");
    lua_pop(L, 1);
    lbezel_object_type(L, LBEZEL_CHAT, methods);
    luaL_getmetatable(L, LBEZEL_CHAT);
    lua_getfield(L, -1, "__index");
    lua_pushcfunction(L, chat_close);
    lua_setfield(L, -2, "close");
    lua_pop(L, 1);
    lua_pushcfunction(L, chat_close);
    lua_setfield(L, -2, "__gc");
    lua_pushcfunction(L, chat_close);
    lua_setfield(L, -2, "__close");
    lua_pop(L, 1);
    lbezel_object_type(L, LBEZEL_PROMPT, NULL);
    luaL_getmetatable(L, LBEZEL_MODEL); /* model:chat{...} is the same function */
    lua_getfield(L, -1, "__index");
    lua_pushcfunction(L, chat_new);
    lua_setfield(L, -2, "chat");
    lua_pop(L, 2);
    luaL_setfuncs(L, functions, 0);
}
