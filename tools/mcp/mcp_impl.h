/* SPDX-License-Identifier: MIT */
/* Inside of bezel_mcp. Thread: confined. */
#ifndef BZ_MCP_IMPL_H
#define BZ_MCP_IMPL_H

#include "mcp_wire.h"

struct bezel_mcp {
    bz_mcp_wire wire;
    const bezel_world *world;
    bezel_mcp_options options; /* its texts are copies in the lists below */
    char **command, **environment, **only; /* NULL-terminated; the last two may be NULL */
    char *folder, *name;
    unsigned references;  /* the handle's and one of each tool in a set */
    int closed;           /* the handle is gone */
    int is_known;         /* era and version are found out: what a start after a crash need not ask again */
    const char *version;  /* agreed, one of bz_mcp_versions, or NULL */
    int listens;          /* it tells news of its list only to who asks for them */
    bz_mcp_request *listen;
    uint32_t restarts;    /* since a call was answered */
    int64_t starts;
    char server_name[128], server_version[64];
    bezel_tree *list_tree, *info_tree;
    bezel_value *list;    /* of {name, description, parameters, read_only, local} */
};

#define BZ_MCP_N_VERSIONS 5u
extern const char *const bz_mcp_versions[BZ_MCP_N_VERSIONS]; /* newest first; only [0] is without a handshake */

/* Waits until the request is done or the time is over; its error, or TIMEOUT. */
bezel_status bz_mcp_await(bezel_mcp *s, bz_mcp_request *r, int64_t end_ns, bezel_error *err);
/* A process that runs and has said hello: the one that is there, or a new one while restarts are left. */
bezel_status bz_mcp_ready(bezel_mcp *s, int64_t end_ns, bezel_error *err);
bezel_status bz_mcp_late(const bezel_mcp *s, int64_t timeout_ms, bezel_error *err); /* fills the error, TIMEOUT */
int64_t bz_mcp_end_ns(const bezel_mcp *s, int64_t timeout_ms);

/* mcp_hello.c: finds out the version, or does again what the known one begins with. */
bezel_status bz_mcp_hello(bezel_mcp *s, const bz_process_options *process, int64_t end_ns, bezel_error *err);
/* mcp_tools.c: reads the list anew; the old one stays when that fails. */
bezel_status bz_mcp_list(bezel_mcp *s, int64_t end_ns, bezel_error *err);
/* Sends a call. */
bezel_status bz_mcp_call_send(bz_mcp_request **out, bezel_mcp *s, const char *name, const bezel_value *arguments, int64_t end_ns,
                              bezel_error *err);
/* mcp_result.c: what an answered call means, as a value of tree, or the failure that it is. */
bezel_status bz_mcp_result(bezel_value **out, bezel_tree *tree, const bezel_mcp *s, const bezel_value *answer,
                           bezel_error *err);
/* What a request that is done came to: its value or its failure. */
bezel_status bz_mcp_answer(bezel_value **out, bezel_tree *tree, bezel_mcp *s, const bz_mcp_request *r, bezel_error *err);
/* The status of a tree in which something of the server's was kept, as an error. */
bezel_status bz_mcp_tree_status(const bezel_mcp *s, const bezel_tree *tree, const char *what, bezel_error *err);
void bz_mcp_release(bezel_mcp *s); /* lets go of one reference */

#endif
