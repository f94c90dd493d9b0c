/* SPDX-License-Identifier: MIT */
/* The tools of a server: its list, page by page; their names and schemas in a toolset; calls. What the set refuses is left
 * out with a warning, so that one odd tool does not cost the others. A call is pending until its answer is there: each step of
 * the agent looks for it, so calls of several tools and servers overlap. */
#include "mcp_impl.h"

#include "base/alloc.h"
#include "tool_registry.h"

#include <stdio.h>
#include <string.h>

#define PAGES_MOST 1024u
#define METHOD_MISSING (-32601)
#define LOOK_LEAST_US 500 /* between two looks for an answer */
#define LOOK_MOST_US 20000
#define SERVER_NAME_BYTES 256u /* of a tool, as the server calls it */

/* --- The list ----------------------------------------------------------------------------- */

static int tools_has(const bezel_value *list, const char *name)
{
    for (size_t i = 0; i < bezel_value_count(list); i++)
        if (strcmp(bezel_value_text(bezel_value_get(bezel_value_at(list, i), "name"), NULL), name) == 0)
            return 1;
    return 0;
}

static int tools_is_wanted(const bezel_mcp *s, const char *name)
{
    for (size_t i = 0; s->only && s->only[i]; i++)
        if (strcmp(s->only[i], name) == 0)
            return 1;
    return !s->only;
}

static void tools_copy_field(bezel_tree *tree, bezel_value *to, const char *key, const bezel_value *value, uint32_t type)
{
    if (bezel_value_type(value) == type)
        bezel_value_set(tree, to, key, bezel_tree_copy(tree, value));
}

static void tools_take(bezel_mcp *s, bezel_tree *tree, bezel_value *list, const bezel_value *item)
{
    const bezel_value *hints = bezel_value_get(item, "annotations"), *about = bezel_value_get(item, "description");
    size_t size = 0;
    const char *name = bezel_value_text(bezel_value_get(item, "name"), &size);
    if (!size || size > SERVER_NAME_BYTES || strlen(name) != size) {
        bz_notes_add(&s->wire.notes, BZ_MCP_ORIGIN, "%s: a tool without a usable name was left out", s->wire.label);
        return;
    }
    if (!tools_is_wanted(s, name))
        return;
    if (tools_has(list, name)) {
        bz_notes_add(&s->wire.notes, BZ_MCP_ORIGIN, "%s: %s is listed twice", s->wire.label, name);
        return;
    }
    bezel_value *tool = bezel_tree_map(tree);
    bezel_value_set(tree, tool, "name", bezel_tree_text(tree, name, size));
    if (!*bezel_value_text(about, NULL)) /* a title says more than nothing */
        about = bezel_value_get(item, "title");
    tools_copy_field(tree, tool, "description", about, BEZEL_TEXT);
    tools_copy_field(tree, tool, "parameters", bezel_value_get(item, "inputSchema"), BEZEL_MAP);
    tools_copy_field(tree, tool, "read_only", bezel_value_get(hints, "readOnlyHint"), BEZEL_BOOL);
    const bezel_value *open = bezel_value_get(hints, "openWorldHint");
    if (bezel_value_type(open) == BEZEL_BOOL)
        bezel_value_set(tree, tool, "local", bezel_tree_bool(tree, !bezel_value_bool(open)));
    bezel_value_append(tree, list, tool);
}

/* One page; *cursor is that of the next, or NULL, and lives in *page. */
static bezel_status tools_page(bz_mcp_request **page, const bezel_value **cursor, bezel_mcp *s, int64_t end_ns, bezel_error *err)
{
    bezel_tree *tree = NULL;
    bezel_value *params = NULL;
    bezel_status st = bezel_tree_new(&tree, s->wire.engine, err);
    if (st != BEZEL_OK)
        return st;
    if (*cursor) {
        params = bezel_tree_map(tree);
        bezel_value_set(tree, params, "cursor", bezel_tree_copy(tree, *cursor));
    }
    bz_mcp_request_free(&s->wire, *page);
    st = bz_mcp_request_send(page, &s->wire, tree, "tools/list", params, err);
    bezel_tree_free(tree);
    if (st == BEZEL_OK)
        st = bz_mcp_await(s, *page, end_ns, err);
    *cursor = st == BEZEL_OK ? bezel_value_get((*page)->result, "nextCursor") : NULL;
    if (bezel_value_type(*cursor) != BEZEL_TEXT)
        *cursor = NULL;
    return st;
}

static bezel_status tools_check(const bezel_mcp *s, const bezel_value *list, bezel_error *err)
{
    if (bezel_value_count(list) > BZ_TOOL_COUNT)
        return bz_fail(err, BEZEL_ERR_LIMIT, BZ_MCP_ORIGIN, "%s has more than %u tools", s->wire.label, BZ_TOOL_COUNT);
    for (size_t i = 0; s->only && s->only[i]; i++)
        if (!tools_has(list, s->only[i])) {
            bz_fail(err, BEZEL_ERR_MISSING, BZ_MCP_ORIGIN, "%s has no tool %.80s", s->wire.label, s->only[i]);
            return bz_error_place(err, BEZEL_ERR_MISSING, "only");
        }
    return BEZEL_OK;
}

bezel_status bz_mcp_list(bezel_mcp *s, int64_t end_ns, bezel_error *err)
{
    bz_mcp_request *page = NULL;
    bezel_tree *tree = NULL;
    const bezel_value *cursor = NULL;
    bezel_status st = bezel_tree_new(&tree, s->wire.engine, err);
    bezel_value *list = bezel_tree_list(tree);
    s->wire.changed = 0; /* before it is asked: news that come meanwhile count */
    for (unsigned i = 0; st == BEZEL_OK && (i == 0 || cursor); i++) {
        if (i == PAGES_MOST) {
            st = bz_fail(err, BEZEL_ERR_LIMIT, BZ_MCP_ORIGIN, "the list of tools of %s does not end", s->wire.label);
            break;
        }
        st = tools_page(&page, &cursor, s, end_ns, err);
        if (st != BEZEL_OK && page && page->code == METHOD_MISSING && i == 0) {
            bz_notes_add(&s->wire.notes, BZ_MCP_ORIGIN, "%s offers no tools", s->wire.label);
            st = BEZEL_OK;
        }
        const bezel_value *items = page && page->done && st == BEZEL_OK ? bezel_value_get(page->result, "tools") : NULL;
        for (size_t k = 0; k < bezel_value_count(items) && bezel_value_count(list) <= BZ_TOOL_COUNT; k++)
            tools_take(s, tree, list, bezel_value_at(items, k));
        if (bezel_value_count(list) > BZ_TOOL_COUNT)
            break;
    }
    if (st == BEZEL_OK)
        st = bz_mcp_tree_status(s, tree, "the list of tools", err);
    if (st == BEZEL_OK)
        st = tools_check(s, list, err);
    bz_mcp_request_free(&s->wire, page);
    if (st != BEZEL_OK) {
        s->wire.changed = 1; /* still to be read */
        bezel_tree_free(tree);
        return st;
    }
    bezel_tree_free(s->list_tree);
    s->list_tree = tree;
    s->list = list;
    return BEZEL_OK;
}

/* --- Calls -------------------------------------------------------------------------------- */

bezel_status bz_mcp_call_send(bz_mcp_request **out, bezel_mcp *s, const char *name, const bezel_value *arguments, int64_t end_ns,
                              bezel_error *err)
{
    bezel_tree *tree = NULL;
    *out = NULL;
    bezel_status st = bz_mcp_ready(s, end_ns, err);
    if (st == BEZEL_OK)
        st = bezel_tree_new(&tree, s->wire.engine, err);
    if (st != BEZEL_OK)
        return st;
    bezel_value *params = bezel_tree_map(tree);
    bezel_value_set(tree, params, "name", bezel_tree_text(tree, name, SIZE_MAX));
    bezel_value_set(tree, params, "arguments", arguments && bezel_value_type(arguments) != BEZEL_NULL
                                                   ? bezel_tree_copy(tree, arguments)
                                                   : bezel_tree_map(tree));
    st = bz_mcp_request_send(out, &s->wire, tree, "tools/call", params, err);
    bezel_tree_free(tree);
    return st;
}

/* A tool in a set. */
typedef struct mcp_tool {
    bezel_mcp *server;
    char name[]; /* as the server calls it */
} mcp_tool;

/* A call of a model that waits for its answer. */
typedef struct mcp_running {
    bezel_mcp *server; /* one of its references */
    bz_mcp_request *request;
    int64_t left_us; /* when it began */
} mcp_running;

static void tools_end(mcp_running *running)
{
    bezel_mcp *s = running->server;
    bz_mcp_request_free(&s->wire, running->request);
    bz_free(s->world, running);
    bz_mcp_release(s);
}

/* Looks for the answer; the longer it takes, the less often. */
static bezel_status tools_resume(void *ud, bezel_call *call, bezel_error *err)
{
    mcp_running *running = ud;
    bezel_mcp *s = running->server;
    bezel_value *value = NULL;
    if (!running->request->done)
        bz_mcp_wire_pump(&s->wire, 0, NULL); /* when it ends, so does the request */
    if (!running->request->done) {
        int64_t delay = (running->left_us - bezel_call_left_us(call)) / 8;
        bezel_call_delay(call, delay < LOOK_LEAST_US ? LOOK_LEAST_US : delay > LOOK_MOST_US ? LOOK_MOST_US : delay);
        return BEZEL_TOOL_PENDING;
    }
    bezel_status st = bz_mcp_answer(&value, bezel_call_tree(call), s, running->request, err);
    if (st == BEZEL_OK)
        bezel_call_finish(call, value);
    tools_end(running);
    return st;
}

static void tools_cancel(void *ud, bezel_call *call)
{
    mcp_running *running = ud;
    (void)call;
    bz_mcp_request_cancel(&running->server->wire, running->request, "nobody waits for the answer any more");
    tools_end(running);
}

static bezel_status tools_run(void *ud, bezel_call *call, bezel_error *err)
{
    const mcp_tool *tool = ud;
    bezel_mcp *s = tool->server;
    int64_t left_us = bezel_call_left_us(call), end_ns = bz_mcp_end_ns(s, left_us / 1000);
    mcp_running *running = bz_alloc(s->world, sizeof *running);
    if (!running)
        return bz_fail_memory(err, BZ_MCP_ORIGIN, "a call", sizeof *running);
    *running = (mcp_running){.server = s, .left_us = left_us};
    bezel_status st = bz_mcp_call_send(&running->request, s, tool->name, bezel_call_arguments(call), end_ns, err);
    if (st != BEZEL_OK) {
        bz_free(s->world, running);
        return st;
    }
    s->references++;
    bz_mcp_wire_pump(&s->wire, 0, NULL); /* it is on its way before the next call begins */
    bezel_call_pending(call, tools_resume, tools_cancel, running);
    bezel_call_delay(call, LOOK_LEAST_US);
    return BEZEL_TOOL_PENDING;
}

static void tools_free_ud(void *ud)
{
    mcp_tool *tool = ud;
    bezel_mcp *s = tool->server;
    bz_free(s->world, tool);
    bz_mcp_release(s);
}

/* --- Into a set --------------------------------------------------------------------------- */

/* The name of a tool in a set: with the server's before it, letters that ours do not have changed, cut. */
static void tools_name(char out[BZ_TOOL_NAME_BYTES + 1], const bezel_mcp *s, const char *name)
{
    snprintf(out, BZ_TOOL_NAME_BYTES + 1, "%s%s%s", s->name ? s->name : "", s->name ? "__" : "", name);
    for (char *p = out; *p; p++) {
        int letter = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || *p == '_';
        int later = p > out && ((*p >= '0' && *p <= '9') || *p == '-' || *p == '.');
        if (!letter && !later)
            *p = '_';
    }
}

static uint32_t tools_permission(const bezel_mcp *s, const bezel_value *item)
{
    if (s->options.permission)
        return s->options.permission;
    if (s->options.trust_hints && bezel_value_bool(bezel_value_get(item, "read_only")))
        return BEZEL_TOOL_READ;
    if (s->options.trust_hints && bezel_value_bool(bezel_value_get(item, "local")))
        return BEZEL_TOOL_WRITE;
    return BEZEL_TOOL_NETWORK;
}

/* What the set refuses about this one tool, not about all. */
static int tools_is_odd(bezel_status st)
{
    return st == BEZEL_ERR_FORMAT || st == BEZEL_ERR_UNSUPPORTED || st == BEZEL_ERR_MISSING || st == BEZEL_ERR_RANGE ||
           st == BEZEL_ERR_LIMIT;
}

/* BEZEL_DONE when it is not added and that is fine. */
static bezel_status tools_add(bezel_mcp *s, bezel_toolset *tools, const bezel_value *item, bezel_error *err)
{
    const char *name = bezel_value_text(bezel_value_get(item, "name"), NULL);
    char ours[BZ_TOOL_NAME_BYTES + 1];
    bezel_error why = BEZEL_ERROR_INIT;
    tools_name(ours, s, name);
    const bz_tool *same = bz_tool_find(tools, ours, strlen(ours));
    if (same && same->fn == tools_run && ((const mcp_tool *)same->ud)->server == s) {
        if (strcmp(((const mcp_tool *)same->ud)->name, name) != 0)
            bz_notes_add(&s->wire.notes, BZ_MCP_ORIGIN, "%s was left out: another tool is called %s here already", name, ours);
        return BEZEL_DONE;
    }
    mcp_tool *tool = bz_alloc(s->world, sizeof *tool + strlen(name) + 1);
    if (!tool)
        return bz_fail_memory(err, BZ_MCP_ORIGIN, "a tool", sizeof *tool);
    tool->server = s;
    memcpy(tool->name, name, strlen(name) + 1);
    bezel_tool spec = BEZEL_TOOL_INIT;
    spec.name = ours;
    spec.description = bezel_value_get(item, "description") ? bezel_value_text(bezel_value_get(item, "description"), NULL) : NULL;
    spec.parameters = bezel_value_get(item, "parameters");
    spec.permission = tools_permission(s, item);
    spec.timeout_ms = s->options.timeout_ms;
    spec.fn = tools_run;
    spec.ud = tool;
    spec.free_ud = tools_free_ud;
    bezel_status st = bezel_toolset_add(tools, &spec, &why);
    if (st == BEZEL_OK) {
        s->references++;
        return BEZEL_OK;
    }
    bz_free(s->world, tool);
    if (bezel_toolset_count(tools) < BZ_TOOL_COUNT && tools_is_odd(st)) {
        bz_notes_add(&s->wire.notes, BZ_MCP_ORIGIN, "%s was left out: %s", ours, why.text);
        return BEZEL_DONE;
    }
    bz_error_copy(err, &why);
    if (st == BEZEL_ERR_DUPLICATE)
        bz_error_hint(err, st, "give the server a name; its tools are called NAME__tool then");
    return st;
}

bezel_status bezel_mcp_add_tools(size_t *out_added, bezel_mcp *s, bezel_toolset *tools, bezel_error *err)
{
    size_t added = 0;
    if (out_added)
        *out_added = 0;
    if (!s || !tools)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, BZ_MCP_ORIGIN, "server and tools are required");
    bz_log *log = s->wire.log;
    int64_t end_ns = bz_mcp_end_ns(s, s->options.start_timeout_ms);
    bezel_status st = BEZEL_OK;
    if (s->wire.changed) {
        st = bz_mcp_ready(s, end_ns, err);
        if (st == BEZEL_OK)
            st = bz_mcp_list(s, end_ns, err);
    }
    for (size_t i = 0; st == BEZEL_OK && i < bezel_value_count(s->list); i++) {
        st = tools_add(s, tools, bezel_value_at(s->list, i), err);
        added += st == BEZEL_OK;
        st = st == BEZEL_DONE ? BEZEL_OK : st;
    }
    if (out_added)
        *out_added = added;
    bz_log_drain(log);
    return st;
}
