/* SPDX-License-Identifier: MIT */
/* A server as the host sees it: options, life, calls of its own. Invariants: the struct lives as long as the handle or one of
 * its tools; without the handle there is no process. An end that nobody asked for costs the calls that wait, not the server:
 * the next call starts it again, max_restarts times in a row. */
#include "mcp_impl.h"

#include "base/alloc.h"
#include "base/options.h"

#include <stdio.h>
#include <string.h>

#define DAY_MS INT64_C(86400000)
#define MESSAGE_LEAST 1024u
#define MESSAGE_MOST ((uint64_t)16 << 20)
#define NAME_BYTES 32u
#define LIST_MOST 4096u /* arguments, variables, names */

void bezel_mcp_options_init(bezel_mcp_options *out)
{
    memset(out, 0, sizeof *out);
    out->size = (uint32_t)sizeof *out;
    out->max_restarts = 3;
    out->start_timeout_ms = 30000;
    out->timeout_ms = 30000;
    out->max_message = MESSAGE_MOST;
}

/* --- Options ------------------------------------------------------------------------------ */

static bezel_status mcp_bad(bezel_error *err, bezel_status st, const char *name, const char *expected)
{
    bz_fail(err, st, BZ_MCP_ORIGIN, "%s: %s", name, expected);
    return bz_error_place(err, st, "%s", name);
}

static int mcp_is_name(const char *name)
{
    size_t n = strlen(name);
    if (!n || n > NAME_BYTES || (name[0] >= '0' && name[0] <= '9') || name[0] == '.' || name[0] == '-')
        return 0;
    for (size_t i = 0; i < n; i++)
        if (!((name[i] >= 'a' && name[i] <= 'z') || (name[i] >= 'A' && name[i] <= 'Z') || (name[i] >= '0' && name[i] <= '9') ||
              name[i] == '_' || name[i] == '-' || name[i] == '.'))
            return 0;
    return 1;
}

static bezel_status mcp_check(bezel_mcp_options *o, bezel_error *err)
{
    if (!o->command || !o->command[0] || !o->command[0][0])
        return mcp_bad(err, BEZEL_ERR_ARGUMENT, "command", "a program is needed");
    if (o->permission > BEZEL_TOOL_NETWORK)
        return mcp_bad(err, BEZEL_ERR_RANGE, "permission", "0 or one of BEZEL_TOOL_...");
    if (o->max_restarts > 100)
        return mcp_bad(err, BEZEL_ERR_RANGE, "max_restarts", "at most 100");
    if (o->start_timeout_ms < 1 || o->start_timeout_ms > DAY_MS)
        return mcp_bad(err, BEZEL_ERR_RANGE, "start_timeout_ms", "1 to 86400000");
    if (o->timeout_ms < 1 || o->timeout_ms > DAY_MS)
        return mcp_bad(err, BEZEL_ERR_RANGE, "timeout_ms", "1 to 86400000");
    if (o->max_message < MESSAGE_LEAST || o->max_message > MESSAGE_MOST)
        return mcp_bad(err, BEZEL_ERR_RANGE, "max_message", "1 KiB to 16 MiB");
    if (o->name && !mcp_is_name(o->name))
        return mcp_bad(err, BEZEL_ERR_RANGE, "name", "the name of a tool, at most 32 bytes");
    for (size_t i = 0; o->environment && o->environment[i]; i++)
        if (!strchr(o->environment[i], '=') || o->environment[i][0] == '=')
            return mcp_bad(err, BEZEL_ERR_FORMAT, "environment", "NAME=value");
    for (size_t i = 0; o->protocol && i <= BZ_MCP_N_VERSIONS; i++) {
        if (i == BZ_MCP_N_VERSIONS)
            return mcp_bad(err, BEZEL_ERR_VERSION, "protocol", "no version of the protocol that is known here");
        if (strcmp(o->protocol, bz_mcp_versions[i]) == 0) {
            o->protocol = bz_mcp_versions[i];
            break;
        }
    }
    return BEZEL_OK;
}

static void mcp_texts_free(const bezel_world *w, char **texts)
{
    for (size_t i = 0; texts && texts[i]; i++)
        bz_free(w, texts[i]);
    bz_free(w, texts);
}

/* Copies a NULL-terminated list; NULL stays NULL. 0 when memory is out or it does not end. */
static int mcp_texts_copy(char ***out, const bezel_world *w, const char *const *texts)
{
    size_t n = 0;
    *out = NULL;
    if (!texts)
        return 1;
    while (texts[n] && n < LIST_MOST)
        n++;
    *out = bz_zalloc_array(w, n + 1, sizeof **out);
    for (size_t i = 0; *out && i < n; i++)
        if (!((*out)[i] = bz_text_dup(w, texts[i], SIZE_MAX)))
            return 0;
    return *out != NULL;
}

static int mcp_text_copy(char **out, const bezel_world *w, const char *text)
{
    *out = text ? bz_text_dup(w, text, SIZE_MAX) : NULL;
    return !text || *out;
}

/* The program without its folder. */
static const char *mcp_label(const char *command)
{
    const char *slash = strrchr(command, '/');
    return slash && slash[1] ? slash + 1 : command;
}

/* --- Life --------------------------------------------------------------------------------- */

void bz_mcp_release(bezel_mcp *s)
{
    if (--s->references > 0)
        return;
    bz_mcp_wire_free(&s->wire);
    bezel_tree_free(s->list_tree);
    bezel_tree_free(s->info_tree);
    mcp_texts_free(s->world, s->command);
    mcp_texts_free(s->world, s->environment);
    mcp_texts_free(s->world, s->only);
    bz_free(s->world, s->folder);
    bz_free(s->world, s->name);
    bz_free(s->world, s);
}

void bezel_mcp_free(bezel_mcp *s)
{
    if (!s)
        return;
    bz_log *log = s->wire.log;
    s->closed = 1;
    bz_mcp_request_free(&s->wire, s->listen);
    s->listen = NULL;
    bz_mcp_wire_close(&s->wire);
    bz_mcp_release(s);
    bz_log_drain(log);
}

static bezel_status mcp_new(bezel_mcp **out, bezel_engine *engine, const bezel_mcp_options *o, bezel_error *err)
{
    const bezel_world *w = bezel_engine_world(engine);
    bezel_mcp *s = bz_zalloc(w, sizeof *s);
    *out = s;
    if (!s)
        return bz_fail_memory(err, BZ_MCP_ORIGIN, "a server", sizeof *s);
    s->world = w;
    s->references = 1;
    s->options = *o;
    bz_mcp_wire_init(&s->wire, engine, "", (size_t)o->max_message);
    if (!mcp_texts_copy(&s->command, w, o->command) || !mcp_texts_copy(&s->environment, w, o->environment) ||
        !mcp_texts_copy(&s->only, w, o->only) || !mcp_text_copy(&s->folder, w, o->folder) ||
        !mcp_text_copy(&s->name, w, o->name))
        return bz_fail_memory(err, BZ_MCP_ORIGIN, "options", 0);
    s->wire.label = mcp_label(s->command[0]);
    return BEZEL_OK;
}

bezel_status bezel_mcp_start(bezel_mcp **out, bezel_engine *engine, const bezel_mcp_options *options, bezel_error *err)
{
    bezel_mcp_options o;
    if (!out || !engine || !options)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, BZ_MCP_ORIGIN, "out, engine and options are required");
    *out = NULL;
    bezel_mcp_options_init(&o);
    bezel_mcp *s = NULL;
    bezel_status st = bz_options_read(&o, sizeof o, options, BZ_MCP_ORIGIN, err);
    if (st == BEZEL_OK)
        st = mcp_check(&o, err);
    if (st == BEZEL_OK)
        st = mcp_new(&s, engine, &o, err);
    int64_t end_ns = s ? bz_mcp_end_ns(s, o.start_timeout_ms) : 0;
    if (st == BEZEL_OK)
        st = bz_mcp_ready(s, end_ns, err);
    if (st == BEZEL_OK)
        st = bz_mcp_list(s, end_ns, err);
    bz_log_drain(bz_engine_log(engine));
    if (st != BEZEL_OK) {
        bezel_mcp_free(s);
        return st;
    }
    *out = s;
    return BEZEL_OK;
}

/* --- Waiting ------------------------------------------------------------------------------ */

int64_t bz_mcp_end_ns(const bezel_mcp *s, int64_t timeout_ms)
{
    return s->world->monotonic_ns(s->world->ud) + timeout_ms * 1000000;
}

bezel_status bz_mcp_late(const bezel_mcp *s, int64_t timeout_ms, bezel_error *err)
{
    return bz_fail(err, BEZEL_ERR_TIMEOUT, BZ_MCP_ORIGIN, "%s did not answer within %lld ms", s->wire.label,
                   (long long)timeout_ms);
}

bezel_status bz_mcp_await(bezel_mcp *s, bz_mcp_request *r, int64_t end_ns, bezel_error *err)
{
    int64_t began = s->world->monotonic_ns(s->world->ud);
    while (!r->done) {
        int64_t left = bz_mcp_left_ms(&s->wire, end_ns);
        if (!left)
            return bz_mcp_late(s, (end_ns - began + 999999) / 1000000, err);
        bz_mcp_wire_pump(&s->wire, left, NULL); /* when it ends, so does the request */
    }
    return bz_error_copy(err, &r->error);
}

bezel_status bz_mcp_answer(bezel_value **out, bezel_tree *tree, bezel_mcp *s, const bz_mcp_request *r, bezel_error *err)
{
    *out = NULL;
    if (r->tree)
        s->restarts = 0;
    return r->error.status != BEZEL_OK ? bz_error_copy(err, &r->error) : bz_mcp_result(out, tree, s, r->result, err);
}

bezel_status bz_mcp_tree_status(const bezel_mcp *s, const bezel_tree *tree, const char *what, bezel_error *err)
{
    bezel_status st = bezel_tree_status(tree);
    if (st == BEZEL_ERR_MEMORY)
        return bz_fail_memory(err, BZ_MCP_ORIGIN, what, 0);
    return st == BEZEL_OK ? st : bz_fail(err, st, BZ_MCP_ORIGIN, "%s of %s is too large or too deep", what, s->wire.label);
}

static bezel_status mcp_start_process(bezel_mcp *s, int64_t end_ns, bezel_error *err)
{
    static const char *const keep[] = {"HOME",  "LANG", "LC_ALL", "LOGNAME", "PATH",
                                       "SHELL", "TERM", "TMPDIR", "TZ",      "USER", NULL};
    const bz_process_options process = {.command = (const char *const *)s->command,
                                        .keep = keep,
                                        .set = (const char *const *)s->environment,
                                        .folder = s->folder};
    bezel_error why = BEZEL_ERROR_INIT;
    s->starts++;
    bezel_status st = bz_mcp_wire_start(&s->wire, &process, err);
    if (st == BEZEL_OK)
        st = bz_mcp_hello(s, &process, end_ns, err);
    if (st == BEZEL_OK)
        return BEZEL_OK;
    s->is_known = 0; /* it may be another one by now */
    bz_fail(&why, BEZEL_ERR_IO, BZ_MCP_ORIGIN, "the server %s was stopped", s->wire.label);
    bz_mcp_wire_stop(&s->wire, 0, &why);
    return st;
}

bezel_status bz_mcp_ready(bezel_mcp *s, int64_t end_ns, bezel_error *err)
{
    if (s->closed)
        return bz_fail(err, BEZEL_ERR_IO, BZ_MCP_ORIGIN, "the server %s was closed", s->wire.label);
    if (s->wire.process && bz_mcp_wire_pump(&s->wire, 0, err) == BEZEL_OK)
        return BEZEL_OK;
    if (s->starts > 0 && s->restarts++ >= s->options.max_restarts) {
        s->restarts--;
        bz_fail(err, BEZEL_ERR_IO, BZ_MCP_ORIGIN, "the server %s ended again and again and is not started any more",
                s->wire.label);
        return bz_error_hint(err, BEZEL_ERR_IO, "see what it wrote to its standard error; max_restarts is %u",
                             s->options.max_restarts);
    }
    return mcp_start_process(s, end_ns, err);
}

/* --- The host's own calls ----------------------------------------------------------------- */

bezel_status bezel_mcp_call(bezel_value **out, bezel_tree *tree, bezel_mcp *s, const char *name, const bezel_value *arguments,
                            bezel_error *err)
{
    if (!out || !tree || !s || !name)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, BZ_MCP_ORIGIN, "out, tree, server and name are required");
    bz_mcp_request *r = NULL;
    bz_log *log = s->wire.log;
    int64_t end_ns = bz_mcp_end_ns(s, s->options.timeout_ms);
    *out = NULL;
    bezel_status st = bz_mcp_call_send(&r, s, name, arguments, end_ns, err);
    if (st == BEZEL_OK)
        st = bz_mcp_await(s, r, end_ns, err);
    if (r && r->done)
        st = bz_mcp_answer(out, tree, s, r, err);
    else if (r)
        bz_mcp_request_cancel(&s->wire, r, "it took too long");
    bz_mcp_request_free(&s->wire, r);
    bz_log_drain(log);
    return st;
}

bezel_status bezel_mcp_poll(bezel_mcp *s, bezel_error *err)
{
    if (!s)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, BZ_MCP_ORIGIN, "server is NULL");
    bz_log *log = s->wire.log;
    bezel_status st = bz_mcp_wire_pump(&s->wire, 0, err);
    bz_log_drain(log);
    return st;
}

/* --- What is known ------------------------------------------------------------------------ */

int32_t bezel_mcp_changed(const bezel_mcp *s)
{
    return s->wire.changed;
}

int bezel_mcp_fd(const bezel_mcp *s)
{
    return s->wire.process ? bz_process_fd(s->wire.process) : -1;
}

const bezel_value *bezel_mcp_info(bezel_mcp *s)
{
    bezel_tree *tree = NULL;
    if (bezel_tree_new(&tree, s->wire.engine, NULL) != BEZEL_OK)
        return NULL;
    bezel_tree_free(s->info_tree);
    s->info_tree = tree;
    bezel_value *map = bezel_tree_map(tree);
    bezel_value_set(tree, map, "name", bezel_tree_text(tree, s->server_name, SIZE_MAX));
    bezel_value_set(tree, map, "version", bezel_tree_text(tree, s->server_version, SIZE_MAX));
    bezel_value_set(tree, map, "protocol", bezel_tree_text(tree, s->version ? s->version : "", SIZE_MAX));
    bezel_value_set(tree, map, "pid", bezel_tree_integer(tree, s->wire.process ? bz_process_id(s->wire.process) : 0));
    bezel_value_set(tree, map, "starts", bezel_tree_integer(tree, s->starts));
    return map;
}

const bezel_value *bezel_mcp_tools(const bezel_mcp *s)
{
    return s->list;
}

const char *bezel_mcp_warning(const bezel_mcp *s, size_t i)
{
    return i < s->wire.notes.count ? s->wire.notes.texts[i] : NULL;
}

const char *bezel_mcp_stderr(bezel_mcp *s)
{
    return s->wire.words;
}
