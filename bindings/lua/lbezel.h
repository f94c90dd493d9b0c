/* SPDX-License-Identifier: MIT */
/* Shared helpers of the Lua module, listed under the file that defines them. Public headers of Bezel only.
 *
 * Rules: the userdata is made before the resource it holds, so that an error leaves nothing behind; state lives in
 * userdata and upvalues, never in statics; Lua is entered from C only in lbezel_callback.c, always protected. */
#ifndef LBEZEL_H
#define LBEZEL_H

#include <bezel/agent.h>
#include <bezel/bezel.h>
#include <bezel/guard.h>
#include <bezel/monitor.h>
#include <bezel/prompts.h>
#include <bezel/service.h>
#include <bezel/store.h>
#include <bezel/tools.h>
#include <lauxlib.h>
#include <lua.h>

/* A part that may be left out with its folder. */
#if __has_include("../../tools/mcp/mcp.c")
#define LBEZEL_HAS_MCP 1
#else
#define LBEZEL_HAS_MCP 0
#endif

/* --- lbezel_object.c ---------------------------------------------------------------------- */

enum { LBEZEL_ALSO = 12 }; /* a chat: tools, store, tools of 8 further roles, monitor, adapter */
typedef struct lbezel_object lbezel_object;
/* A handle of C in Lua. It holds what it was made from (parent, in user value 1) and what it uses (also, in user values of
 * the type); what is closed while it is held refuses use at once and frees its handle when the last hold is gone. */
struct lbezel_object {
    void *handle;           /* NULL before creation and after the free */
    void (*release)(void *handle);
    lbezel_object *parent;  /* kept alive by user value 1 */
    lbezel_object *also[LBEZEL_ALSO]; /* NULL = none */
    int closed;             /* the script called close, or the collector came */
    int holds;              /* living handles made from this one, and calls that are inside it */
};
/* Pushes a new object of at least `size` bytes with the metatable `type`, child of the object at index `parent` (0 = none).
 * User values 2..n_extra+1 are free for the type. */
void *lbezel_object_push(lua_State *L, const char *type, size_t size, int parent, int n_extra);
/* Gives the object its handle and takes its holds. */
void lbezel_object_set(lbezel_object *o, void *handle);
/* The object at index i; raises for another type or a closed one. */
void *lbezel_object_check(lua_State *L, int i, const char *type);
int lbezel_object_close(lua_State *L); /* close, __close, __gc */
/* Closes it from C: what it holds in C is not left to the collector, which does not see it. */
void lbezel_object_end(lbezel_object *o);
/* Takes back a hold that was added to o->holds; frees the handle when it was closed and this was the last. */
void lbezel_object_let_go(lbezel_object *o);
/* Creates the metatable of a type with its methods. */
void lbezel_object_type(lua_State *L, const char *type, const luaL_Reg *methods);

#define LBEZEL_ENGINE "bezel.engine"
#define LBEZEL_MODEL "bezel.model"
#define LBEZEL_CHAT "bezel.chat"
#define LBEZEL_TOOLS "bezel.tools"
#define LBEZEL_STORE "bezel.store"
#define LBEZEL_MCP "bezel.mcp"
#define LBEZEL_TREE "bezel.tree"
#define LBEZEL_JOB "bezel.job"
#define LBEZEL_SESSION "bezel.session"
#define LBEZEL_CONSTRAINT "bezel.constraint"
#define LBEZEL_ADAPTER "bezel.adapter"
#define LBEZEL_BATCH "bezel.batch"
#define LBEZEL_TEXT "bezel.text"
#define LBEZEL_STREAM "bezel.stream"
#define LBEZEL_RESPONSE "bezel.response"
#define LBEZEL_TRANSFER "bezel.transfer"
#define LBEZEL_PARSER "bezel.parser"
#define LBEZEL_PROMPT "bezel.prompt"
#define LBEZEL_GUARD "bezel.guard"
#define LBEZEL_GUARD_STREAM "bezel.guard_stream"
#define LBEZEL_MONITOR "bezel.monitor"
#define LBEZEL_PROBE "bezel.probe"
#define LBEZEL_SERVICE "bezel.service"
#define LBEZEL_JUDGE "bezel.judge"

/* --- lbezel_error.c ----------------------------------------------------------------------- */

int lbezel_fail(lua_State *L, const bezel_error *err); /* nil, message, code name */
/* Raises "what: message" for misuse. */
int lbezel_raise(lua_State *L, const bezel_error *err);

/* --- lbezel_value.c ----------------------------------------------------------------------- */

enum { LBEZEL_NULL_AS_NIL = 0, LBEZEL_NULL_AS_SENTINEL = 1 };
/* Pushes a value as Lua data. */
void lbezel_value_push(lua_State *L, const bezel_value *value, int nulls);
/* The Lua value at index i as a value of tree; raises with the path of what cannot be converted. */
bezel_value *lbezel_value_get(lua_State *L, int i, bezel_tree *tree);
/* Pushes an object that owns a new tree; lbezel_object_end when done. */
lbezel_object *lbezel_tree_push(lua_State *L);
/* Pushes an object for a text that *out_text takes; lbezel_object_end when done. */
lbezel_object *lbezel_text_push(lua_State *L, char ***out_text);
/* The string argument i without NUL bytes, which C would take for its end; raises. */
const char *lbezel_check_cstring(lua_State *L, int i);
void lbezel_value_open(lua_State *L); /* the null sentinel and the list marker in the module at the top */

/* Fields of an options table at index i (nil or none = all defaults); each raises "option NAME: ..." on a wrong type. */
void lbezel_options_check(lua_State *L, int i, const char *const *known);
lua_Integer lbezel_option_integer(lua_State *L, int i, const char *name, lua_Integer fallback, lua_Integer min,
                                  lua_Integer max);
lua_Number lbezel_option_number(lua_State *L, int i, const char *name, lua_Number fallback);
int lbezel_option_bool(lua_State *L, int i, const char *name, int fallback);
/* Text of the field without NUL bytes, anchored by the table; NULL when absent. */
const char *lbezel_option_text(lua_State *L, int i, const char *name);
/* The same with any bytes. */
const char *lbezel_option_bytes(lua_State *L, int i, const char *name, size_t *out_size);
/* NULL-terminated array of a list of at most `most` strings, NULL when absent; pushes what holds it. */
const char *const *lbezel_option_strings(lua_State *L, int i, const char *name, size_t most);
/* Pushes the field as it stands in the table (no metamethods), nil when there is no table; its type. */
int lbezel_option_push(lua_State *L, int i, const char *name);

/* --- lbezel_callback.c -------------------------------------------------------------------- */

/* Body of a tool whose function is in its toolset's userdata; ud is an lbezel_tool. */
bezel_status lbezel_callback_tool(void *ud, bezel_call *call, bezel_error *err);
typedef struct lbezel_toolset { /* object LBEZEL_TOOLS; user value 2: list of functions, 3: the parked runs by address */
    lbezel_object object;
    lua_State *L;        /* who is inside bezel_agent_step right now: tools run on its stack */
    bezel_engine *engine;
} lbezel_toolset;
typedef struct lbezel_tool {
    lbezel_toolset *owner;
    lua_Integer index; /* of its function in the list in user value 2 of the toolset */
    int64_t timeout_ms;
    int has_summary; /* a function stands behind this in the list */
    int64_t memory; /* most bytes that Lua may hold above what it held when the call began */
} lbezel_tool;
/* The call of the tool that is running in this state, or NULL. */
const bezel_call *lbezel_callback_call(lua_State *L);
/* 1 when a C function that L calls may yield to the step of a chat: L is the tool's own coroutine. */
int lbezel_callback_may_yield(lua_State *L);
typedef struct lbezel_confirm { /* ud of lbezel_callback_confirm */
    lua_State *L;       /* who is inside bezel_agent_step right now */
    int chat;           /* where its chat stands on the stack; user value 4: the function */
    bezel_agent *agent;
} lbezel_confirm;
/* Asks the function of a chat for a permission. */
uint32_t lbezel_callback_confirm(void *ud, const bezel_permission *request);
/* Closes the coroutines of pending tools of the toolset at the top that nobody waits for any more. */
void lbezel_callback_sweep(lua_State *L);
/* Makes the toolset at the top findable by its address. */
void lbezel_callback_register(lua_State *L, const lbezel_toolset *set);
/* Asks a judge of a guard, the function at index i, about a text: as bezel_guard_judge_fn says; an error of it is -1. */
int32_t lbezel_callback_judge(lua_State *L, int i, const char *direction, const char *text, size_t size, const char **reason);
/* Lets the function at index i change scores; an error of it leaves them. */
void lbezel_callback_score(lua_State *L, int i, const bezel_monitor_answer *answer, bezel_monitor_quality *scores);
void lbezel_callback_open(lua_State *L);

/* --- lbezel_policy.c ---------------------------------------------------------------------- */

/* Rules about calls in the options of a chat at index i; pushes what holds their texts. */
void lbezel_policy_options(lua_State *L, int i, bezel_agent_options *out);
uint32_t lbezel_permit_check(lua_State *L, int i); /* "allow", "ask", "deny" or nil; raises */
#define LBEZEL_POLICY_OPTIONS "permit", "confirm", "confirm_timeout_ms", "select_tools", "handoffs", "max_depth"

/* --- lbezel_bound.c, lbezel_pattern.c ----------------------------------------------------- */

void lbezel_bound_open(lua_State *L); /* notes which C functions are those of the library */
/* In the call hook of a tool: 1 = the call that is about to happen is a pattern that does not end before is_late; raises for
 * a count beyond all reason. */
int lbezel_bound_is_late(lua_State *L, lua_Debug *ar, int (*is_late)(void *ud), void *ud);
typedef struct lbezel_pattern {
    const char *s, *p; /* subject and pattern, each with a zero after its end */
    size_t s_size, p_size, init;
    size_t most;    /* matches after which it is over */
    int may_anchor; /* a leading ^ is one */
    int is_plain;
    int (*is_late)(void *ud);
    void *ud;
} lbezel_pattern;
int lbezel_pattern_is_late(const lbezel_pattern *job); /* 1 = is_late was true before the end */

/* --- lbezel_guard.c ----------------------------------------------------------------------- */

/* Around calls that use the guard at index i: its judge runs on this stack. enter pushes the judge. */
void lbezel_guard_enter(lua_State *L, int i);
void lbezel_guard_leave(lua_State *L, int i);
/* Returns where the user at index i of the stack stands, as guard:rate does. */
int lbezel_guard_rate_push(lua_State *L, bezel_guard *guard, int i);

/* --- lbezel_monitor.c --------------------------------------------------------------------- */

/* Around calls that may score answers by the monitor at index i: its function runs on this stack. enter pushes the function (or
 * nil) and keeps who was inside, for a call inside of a call. */
typedef struct lbezel_monitor_use {
    lua_State *L;
    int index;
} lbezel_monitor_use;
void lbezel_monitor_enter(lua_State *L, int i, lbezel_monitor_use *outer);
void lbezel_monitor_leave(lua_State *L, int i, const lbezel_monitor_use *outer);

/* --- topics ------------------------------------------------------------------------------- */

/* The engine of this Lua state, made at first use; its object is pushed. */
bezel_engine *lbezel_engine_push(lua_State *L);
void lbezel_engine_open(lua_State *L); /* module at the top */
void lbezel_model_open(lua_State *L);
void lbezel_batch_open(lua_State *L); /* after models */
void lbezel_tools_open(lua_State *L);
void lbezel_monitor_open(lua_State *L);
void lbezel_service_open(lua_State *L);
void lbezel_prompts_open(lua_State *L);
void lbezel_chat_open(lua_State *L);
void lbezel_store_open(lua_State *L);
void lbezel_json_open(lua_State *L);
void lbezel_http_open(lua_State *L);
void lbezel_guard_open(lua_State *L);
void lbezel_mcp_open(lua_State *L); /* nothing where the part is left out */

/* Sampling and generation options of the table at index i; stop strings are anchored by a table that is pushed. */
void lbezel_generate_options(lua_State *L, int i, bezel_generate_options *out);
/* Names of the options that lbezel_generate_options reads, for lbezel_options_check lists. */
#define LBEZEL_GENERATE_OPTIONS "max_tokens", "temperature", "top_k", "top_p", "min_p", "repetition_penalty", "seed", "stop"
#define LBEZEL_SESSION_OPTIONS "n_ctx", "chunk", "activations", "head", "lookup", "kv"
void lbezel_session_options(lua_State *L, int i, bezel_session_options *out);
/* The chat profile that the field `profile` names, NULL when absent. */
const bezel_profile *lbezel_profile_option(lua_State *L, int i);

/* Pushes the table of model:complete. */
void lbezel_completion_push(lua_State *L, const bezel_generation *g);
/* The list of {role=, text=} at index i as messages, whose texts stay the tables'; pushes what holds them. Raises. */
bezel_message *lbezel_messages_get(lua_State *L, int i, size_t *out_n);

/* The option permission as BEZEL_TOOL_..., 0 when absent; raises. */
uint32_t lbezel_option_permission(lua_State *L, int i);
/* Adds the tools of the server at index i; 0 when no server is there. Raises. */
int lbezel_mcp_add(lua_State *L, int i, bezel_toolset *tools);
/* --- lbezel_form.c: answers in a form. Each pushes what holds the constraint; model is the index of its model. Raises for what
 * is no list of texts or no schema. */
bezel_status lbezel_form_choices(lua_State *L, int model, int list, bezel_constraint **out, bezel_error *err);
/* The schema at an index: a table or JSON text. */
bezel_status lbezel_form_schema(lua_State *L, int model, int schema, bezel_constraint **out, bezel_error *err);
/* Pushes the adapter of the options (an object, or a path that is opened), or nil; raises for another type. */
bezel_status lbezel_adapter_option(lua_State *L, int model, int options, bezel_adapter_use *out, bezel_error *err);
void lbezel_adapter_open(lua_State *L); /* model:adapter; after models */
void lbezel_form_open(lua_State *L); /* chat:json, chat:choose, model:choose; after chats */

/* Toolset object from a list of tools (or a tools object) at index i; pushes it. */
lbezel_toolset *lbezel_tools_push(lua_State *L, int i);

LUAMOD_API int luaopen_bezel(lua_State *L);

#endif
