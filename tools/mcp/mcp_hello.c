/* SPDX-License-Identifier: MIT */
/* The beginning of a conversation with a server. From 2026-07-28 on each request carries its version and there is nothing to
 * agree on; before, "initialize" comes first. Which of the two a server speaks is found out by asking for "server/discover":
 * an answer, or an error that only the newer protocol has, means the newer one; any other error, silence, or an end means the
 * handshake. A server that was only slow may answer the question while the handshake is under way; that counts, too. */
#include "mcp_impl.h"

#include "base/alloc.h"

#include <stdio.h>
#include <string.h>

#define PROBE_MS 2000
#define VERSION_REFUSED (-32022) /* codes that the newer protocol keeps for itself: -32020 to -32099 */

const char *const bz_mcp_versions[BZ_MCP_N_VERSIONS] = {"2026-07-28", "2025-11-25", "2025-06-18", "2025-03-26", "2024-11-05"};

static const char *hello_version(const bezel_value *text)
{
    for (size_t i = 0; i < BZ_MCP_N_VERSIONS; i++)
        if (strcmp(bezel_value_text(text, NULL), bz_mcp_versions[i]) == 0)
            return bz_mcp_versions[i];
    return NULL;
}

static bezel_status hello_known(bezel_error *err)
{
    return bz_error_hint(err, BEZEL_ERR_VERSION, "known: %s to %s", bz_mcp_versions[BZ_MCP_N_VERSIONS - 1],
                         bz_mcp_versions[0]);
}

static void hello_note_server(bezel_mcp *s, const bezel_value *info)
{
    const char *name = bezel_value_text(bezel_value_get(info, "name"), NULL);
    const char *version = bezel_value_text(bezel_value_get(info, "version"), NULL);
    bz_text_clean(s->server_name, sizeof s->server_name, name, strlen(name));
    bz_text_clean(s->server_version, sizeof s->server_version, version, strlen(version));
}

/* Asks for news of the list. What the server says to that is not waited for. */
static bezel_status hello_listen(bezel_mcp *s, bezel_error *err)
{
    bezel_tree *tree = NULL;
    bz_mcp_request_free(&s->wire, s->listen);
    s->listen = NULL;
    bezel_status st = s->listens ? bezel_tree_new(&tree, s->wire.engine, err) : BEZEL_OK;
    if (!tree)
        return st;
    bezel_value *params = bezel_tree_map(tree), *filter = bezel_tree_map(tree);
    bezel_value_set(tree, filter, "toolsListChanged", bezel_tree_bool(tree, 1));
    bezel_value_set(tree, params, "notifications", filter);
    st = bz_mcp_request_send(&s->listen, &s->wire, tree, "subscriptions/listen", params, err);
    bezel_tree_free(tree);
    return st;
}

/* --- The handshake ------------------------------------------------------------------------ */

static bezel_status hello_initialize_send(bz_mcp_request **out, bezel_mcp *s, const char *version, bezel_error *err)
{
    bezel_tree *tree = NULL;
    bezel_status st = bezel_tree_new(&tree, s->wire.engine, err);
    if (st != BEZEL_OK)
        return st;
    bezel_value *params = bezel_tree_map(tree), *info = bezel_tree_map(tree);
    bezel_value_set(tree, info, "name", bezel_tree_text(tree, "bezel", SIZE_MAX));
    bezel_value_set(tree, info, "version", bezel_tree_text(tree, BEZEL_VERSION_TEXT, SIZE_MAX));
    bezel_value_set(tree, params, "protocolVersion", bezel_tree_text(tree, version, SIZE_MAX));
    bezel_value_set(tree, params, "capabilities", bezel_tree_map(tree));
    bezel_value_set(tree, params, "clientInfo", info);
    st = bz_mcp_request_send(out, &s->wire, tree, "initialize", params, err);
    bezel_tree_free(tree);
    return st;
}

/* What an answered "initialize" says; tells the server that it has begun. */
static bezel_status hello_initialized(bezel_mcp *s, const bezel_value *answer, bezel_error *err)
{
    const bezel_value *named = bezel_value_get(answer, "protocolVersion");
    const char *version = hello_version(named);
    bezel_tree *tree = NULL;
    if (!version || version == bz_mcp_versions[0]) {
        bz_fail(err, BEZEL_ERR_VERSION, BZ_MCP_ORIGIN, "%s speaks version '%.40s' of the protocol", s->wire.label,
                bezel_value_text(named, NULL));
        return hello_known(err);
    }
    hello_note_server(s, bezel_value_get(answer, "serverInfo"));
    bezel_status st = bezel_tree_new(&tree, s->wire.engine, err);
    if (st == BEZEL_OK)
        st = bz_mcp_notify(&s->wire, tree, "notifications/initialized", NULL, err);
    bezel_tree_free(tree);
    if (st == BEZEL_OK)
        s->version = version;
    return st;
}

static bezel_status hello_handshake(bezel_mcp *s, const char *version, int64_t end_ns, bezel_error *err)
{
    bz_mcp_request *r = NULL;
    bezel_status st = hello_initialize_send(&r, s, version, err);
    if (st == BEZEL_OK)
        st = bz_mcp_await(s, r, end_ns, err);
    if (st == BEZEL_OK)
        st = hello_initialized(s, r->result, err);
    bz_mcp_request_free(&s->wire, r);
    return st;
}

/* --- Without a handshake ------------------------------------------------------------------ */

/* Goes on with the newest version of a list of the server's that is ours, too. */
static bezel_status hello_choose(bezel_mcp *s, const bezel_value *theirs, int64_t end_ns, bezel_error *err)
{
    const char *best = NULL;
    for (size_t i = 0; i < bezel_value_count(theirs); i++) {
        const char *version = hello_version(bezel_value_at(theirs, i));
        if (version && (!best || strcmp(version, best) > 0))
            best = version;
    }
    if (!best) {
        bz_fail(err, BEZEL_ERR_VERSION, BZ_MCP_ORIGIN, "%s speaks no version of the protocol that is known here, but '%.40s'",
                s->wire.label, bezel_value_text(bezel_value_at(theirs, 0), NULL));
        return hello_known(err);
    }
    if (best != bz_mcp_versions[0])
        return hello_handshake(s, best, end_ns, err);
    s->version = s->wire.modern = best;
    return BEZEL_OK;
}

/* A server that answered the question. */
static bezel_status hello_discovered(bezel_mcp *s, const bz_mcp_request *r, int64_t end_ns, bezel_error *err)
{
    if (r->error.status != BEZEL_OK && r->code == VERSION_REFUSED)
        return hello_choose(s, bezel_value_get(r->result, "supported"), end_ns, err);
    if (r->error.status != BEZEL_OK)
        return bz_error_copy(err, &r->error);
    const bezel_value *meta = bezel_value_get(r->result, "_meta");
    const bezel_value *tools = bezel_value_get(bezel_value_get(r->result, "capabilities"), "tools");
    hello_note_server(s, bezel_value_get(meta, "io.modelcontextprotocol/serverInfo"));
    s->listens = bezel_value_bool(bezel_value_get(tools, "listChanged"));
    return hello_choose(s, bezel_value_get(r->result, "supportedVersions"), end_ns, err);
}

/* Refused as only a server of the newer protocol does. */
static int hello_is_refusal(const bz_mcp_request *r)
{
    return r->done && r->code <= -32020 && r->code >= -32099;
}

static int hello_is_modern(const bz_mcp_request *question)
{
    return (question->done && question->error.status == BEZEL_OK) || hello_is_refusal(question);
}

/* The handshake with a server that has said nothing for a while: it may be old and silent, or new and slow. */
static bezel_status hello_either(bezel_mcp *s, bz_mcp_request *question, int64_t end_ns, bezel_error *err)
{
    bz_mcp_request *r = NULL;
    bezel_status st = hello_initialize_send(&r, s, bz_mcp_versions[1], err);
    while (st == BEZEL_OK && !hello_is_modern(question) && (!r->done || hello_is_refusal(r))) {
        int64_t left = bz_mcp_left_ms(&s->wire, end_ns);
        st = left ? bz_mcp_wire_pump(&s->wire, left, err) : bz_mcp_late(s, s->options.start_timeout_ms, err);
    }
    if (st == BEZEL_OK && hello_is_modern(question))
        st = hello_discovered(s, question, end_ns, err);
    else if (st == BEZEL_OK)
        st = r->error.status != BEZEL_OK ? bz_error_copy(err, &r->error) : hello_initialized(s, r->result, err);
    bz_mcp_request_free(&s->wire, r);
    return st;
}

static bezel_status hello_probe(bezel_mcp *s, const bz_process_options *process, int64_t end_ns, bezel_error *err)
{
    bezel_tree *tree = NULL;
    bz_mcp_request *r = NULL;
    int64_t probe_ns = bz_mcp_end_ns(s, PROBE_MS);
    bezel_status st = bezel_tree_new(&tree, s->wire.engine, err);
    if (st != BEZEL_OK)
        return st;
    s->wire.modern = bz_mcp_versions[0]; /* for this request; until it is answered nothing is known */
    st = bz_mcp_request_send(&r, &s->wire, tree, "server/discover", NULL, err);
    s->wire.modern = NULL;
    bezel_tree_free(tree);
    if (st != BEZEL_OK)
        return st;
    st = bz_mcp_await(s, r, probe_ns < end_ns ? probe_ns : end_ns, err);
    if (hello_is_modern(r)) {
        st = hello_discovered(s, r, end_ns, err);
    } else if (st != BEZEL_ERR_MEMORY && !s->options.protocol) {
        st = BEZEL_OK;
        if (!s->wire.process) { /* the question was its end */
            s->starts++;
            st = bz_mcp_wire_start(&s->wire, process, err);
        }
        if (st == BEZEL_OK)
            st = r->done ? hello_handshake(s, bz_mcp_versions[1], end_ns, err) : hello_either(s, r, end_ns, err);
    }
    bz_mcp_request_free(&s->wire, r);
    return st;
}

bezel_status bz_mcp_hello(bezel_mcp *s, const bz_process_options *process, int64_t end_ns, bezel_error *err)
{
    bezel_status st = BEZEL_OK;
    s->wire.modern = NULL;
    if (!s->is_known && (!s->options.protocol || s->options.protocol == bz_mcp_versions[0]))
        st = hello_probe(s, process, end_ns, err);
    else if (s->is_known && s->version == bz_mcp_versions[0])
        s->wire.modern = s->version;
    else
        st = hello_handshake(s, s->is_known ? s->version : s->options.protocol, end_ns, err);
    if (st != BEZEL_OK)
        return st;
    s->is_known = 1;
    return s->wire.modern ? hello_listen(s, err) : BEZEL_OK;
}
