/* SPDX-License-Identifier: MIT */
/* The connection to an MCP server: its process, JSON-RPC messages as lines, requests that wait for their answers. Knows the
 * framing, not what methods mean; of the protocol only pings, refusals and news of the list. Thread: confined. */
#ifndef BZ_MCP_WIRE_H
#define BZ_MCP_WIRE_H

#include <bezel/mcp.h>

#include "base/notes.h"
#include "base/os_process.h"
#include "base/strbuf.h"

#define BZ_MCP_ORIGIN "mcp"
#define BZ_MCP_WORDS 4096u /* kept of its standard error */

/* A request. Its sender owns it: wait until it is done, then free it; freed before, its answer is ignored. */
typedef struct bz_mcp_request {
    struct bz_mcp_request *next; /* of those that wait */
    int64_t id;
    int done;
    bezel_error error;    /* status BEZEL_OK: answered */
    int64_t code;         /* of an error that the server gave, else 0 */
    bezel_tree *tree;     /* of the answer */
    const bezel_value *result; /* of an error: its data */
} bz_mcp_request;

typedef struct bz_mcp_wire {
    bezel_engine *engine;
    const bezel_world *world;
    bz_log *log;
    bz_notes notes;        /* what was odd */
    const char *label;     /* the program, for texts */
    bz_process *process;   /* NULL = none runs */
    const char *modern;    /* version that each request carries; NULL after a handshake, or before */
    bz_strbuf in, out;     /* the line that is not whole yet; what the pipe has not taken */
    int skips;             /* the line is too long and dropped up to its end */
    bz_mcp_request *waiting;
    int64_t last_id;
    int changed;           /* it said that its list of tools is another now */
    char line[512];        /* of its standard error, not whole yet */
    size_t line_size;
    char words[BZ_MCP_WORDS + 1];
    size_t words_size;
} bz_mcp_wire;

void bz_mcp_wire_init(bz_mcp_wire *w, bezel_engine *engine, const char *label, size_t max_message);
void bz_mcp_wire_free(bz_mcp_wire *w); /* after close, or when nothing runs */

bezel_status bz_mcp_wire_start(bz_mcp_wire *w, const bz_process_options *options, bezel_error *err);
/* Ends the process and lets all requests that wait fail with `why`. */
void bz_mcp_wire_stop(bz_mcp_wire *w, int64_t grace_ms, const bezel_error *why);

void bz_mcp_wire_close(bz_mcp_wire *w); /* the same with the grace of a host that ends */

/* Sends what waits, handles what has come, and waits up to wait_ms for something to happen.
 *   Errors   IO once it has ended (no process then) */
bezel_status bz_mcp_wire_pump(bz_mcp_wire *w, int64_t wait_ms, bezel_error *err);

/* Sends a request; params (a map of tree, or NULL) gets the version where each request carries it. */
bezel_status bz_mcp_request_send(bz_mcp_request **out, bz_mcp_wire *w, bezel_tree *tree, const char *method,
                                 bezel_value *params, bezel_error *err);
bezel_status bz_mcp_notify(bz_mcp_wire *w, bezel_tree *tree, const char *method, bezel_value *params, bezel_error *err);
/* Tells the server that nobody waits any more. */
void bz_mcp_request_cancel(bz_mcp_wire *w, const bz_mcp_request *r, const char *reason);
void bz_mcp_request_free(bz_mcp_wire *w, bz_mcp_request *r); /* NULL is fine */

int64_t bz_mcp_left_ms(const bz_mcp_wire *w, int64_t end_ns); /* 0 when end_ns has passed, else at least 1 */

#endif
