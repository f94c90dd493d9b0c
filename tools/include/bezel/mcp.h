/* SPDX-License-Identifier: MIT */
/* Tools of MCP servers: a client of the Model Context Protocol over stdio. It starts a server as a child process and puts
 * the server's tools into a toolset, where a model calls them like any other.
 *
 *     const char *const command[] = {"python3", "server.py", NULL};
 *     bezel_mcp_options options;
 *     bezel_mcp_options_init(&options);
 *     options.command = command;
 *     if (bezel_mcp_start(&server, engine, &options, &err) == BEZEL_OK)
 *         bezel_mcp_add_tools(NULL, server, tools, &err);
 *     ...
 *     bezel_mcp_free(server);
 *
 * A server is a program of somebody else with the rights of the host's user: start only what you would run yourself. What it
 * says is hostile input here: its texts cannot become structure of a prompt, its messages are limited in size and time, and
 * a server that breaks off, floods or hangs makes calls fail, never the host.
 * bezel_has("mcp") tells whether a build has this part; one without it has none of these functions. */
#ifndef BEZEL_MCP_H
#define BEZEL_MCP_H

#include <bezel/tools.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A server and the connection to it. Tools that were added keep it alive, so it may be freed before or after their toolset.
 *   Thread   confined; that of the toolsets it gave tools to */
typedef struct bezel_mcp bezel_mcp;

/* --- Options ------------------------------------------------------------------------------ */

/* What is started and how much is allowed. Fill it with bezel_mcp_options_init, then set command. Everything is copied. */
typedef struct bezel_mcp_options {
    /* set by bezel_mcp_options_init */
    uint32_t size;
    /* BEZEL_TOOL_... of all its tools; default 0: NETWORK, or what trust_hints says */
    uint32_t permission;
    /* 1: a tool that the server calls read-only is READ, one that stays on this machine is WRITE; default 0, since it is
     * only the server that says so */
    uint32_t trust_hints;
    /* starts anew without an answered call between them, up to 100; default 3 */
    uint32_t max_restarts;
    /* NULL-terminated: the program, a path or a name that is looked for in PATH, and its arguments; no shell reads them */
    const char *const *command;
    /* NULL-terminated "NAME=value", or NULL. Of the host's environment a server gets only HOME, LANG, LC_ALL, LOGNAME, PATH,
     * SHELL, TERM, TMPDIR, TZ and USER: what else it needs, keys above all, is named here */
    const char *const *environment;
    /* where it works; NULL (default) = where the host does */
    const char *folder;
    /* tools are called NAME__tool in the toolset; NULL (default) = as the server calls them. A name of a tool, at most 32
     * bytes */
    const char *name;
    /* NULL-terminated names, as the server calls them, of the tools to take; NULL (default) = all. Small models choose well
     * among half a dozen */
    const char *const *only;
    /* version of the protocol; NULL (default) = found out: "2026-07-28" is tried, then the handshake of "2025-11-25",
     * "2025-06-18", "2025-03-26" and "2024-11-05", of which the server picks one */
    const char *protocol;
    /* milliseconds for start, handshake and list of tools, up to a day; default 30,000 */
    int64_t start_timeout_ms;
    /* milliseconds for a call, up to a day; default 30,000 */
    int64_t timeout_ms;
    /* most bytes of one message of the server, 1 KiB to 16 MiB; default 16 MiB */
    uint64_t max_message;
} bezel_mcp_options;

/* Fills the options with the defaults above.
 * out must not be NULL.
 *   Thread   any
 *   Since    0.1 */
BEZEL_API void bezel_mcp_options_init(bezel_mcp_options *out);

/* --- A server ----------------------------------------------------------------------------- */

/* Starts a server, agrees on a version of the protocol and asks for the list of tools; blocks meanwhile.
 * The process is in a group of its own, so an interrupt from the terminal reaches the host alone, and it has no descriptor
 * of the host. What it writes to its standard error goes to the log (level DEBUG) and to bezel_mcp_stderr. When it ends
 * later, the calls that wait fail, and the next call starts it anew.
 *   Owns     *out is the caller's, free with bezel_mcp_free before the engine
 *   Thread   that of the later calls
 *   Errors   MISSING (no such program), DENIED, IO (it ended, the hint has its last words), TIMEOUT, VERSION (no version in
 *            common), FORMAT (what it says is no MCP), CALLBACK (it answered with an error), LIMIT (a message, over 1,024
 *            tools), RANGE for an option. *out is NULL, the process is gone
 *   Source   Model Context Protocol 2024-11-05 to 2026-07-28: stdio, lifecycle, versioning, server/tools, cancellation,
 *            pagination
 *   Since    0.1 */
BEZEL_API bezel_status bezel_mcp_start(bezel_mcp **out, bezel_engine *engine, const bezel_mcp_options *options,
                                       bezel_error *err);

/* Ends a server: closes its input, gives it half a second to end, then SIGTERM to its group and half a second more, then
 * SIGKILL; calls that wait fail, and so do later ones of its tools. NULL is fine.
 *   Thread   that of the server
 *   Since    0.1 */
BEZEL_API void bezel_mcp_free(bezel_mcp *server);

/* Adds its tools to a set. A tool whose schema or name the set refuses is left out, with a warning; a letter that our
 * names do not have becomes '_'. Tools of this server that are in the set already stay as they are, so that this can be
 * called again after bezel_mcp_changed, between turns: the list is read anew then.
 * Calls run until the server answers or timeout_ms is over, then it is told that the call is cancelled. Answers: its
 * structured content if there is any, else its texts, joined by newlines; a line "[image, image/png, 1234 bytes, not shown]"
 * stands for what is no text. An answer that the server marks as an error is a failure of the call.
 *   Units    *out_added counts the tools that came in; it may be NULL
 *   Owns     the tools hold the server
 *   Thread   that of the set
 *   Errors   DUPLICATE when another tool of the set has a name, options.name helps; LIMIT (1,024 tools); those of
 *            bezel_mcp_start when the list is read anew. Tools that were added before the error stay
 *   Since    0.1 */
BEZEL_API bezel_status bezel_mcp_add_tools(size_t *out_added, bezel_mcp *server, bezel_toolset *tools, bezel_error *err);

/* Calls a tool for the host itself: no model and no toolset are needed, nothing is checked against its schema. Blocks.
 * `name` is the server's own, arguments NULL are none.
 *   Owns     *out lives in tree
 *   Thread   that of the server
 *   Errors   CALLBACK (the server or the tool says no, in its words), TIMEOUT, IO (it ended), LIMIT, FORMAT, NUMERIC
 *            (arguments that JSON cannot say), UNSUPPORTED (it wants to ask the user back); *out is NULL
 *   Since    0.1 */
BEZEL_API bezel_status bezel_mcp_call(bezel_value **out, bezel_tree *tree, bezel_mcp *server, const char *name,
                                      const bezel_value *arguments, bezel_error *err);

/* Reads what has arrived, and never blocks: news of the list, pings to be answered, words for the log. Calls do it, too;
 * for hosts that stay away from a server for long.
 *   Thread   that of the server
 *   Errors   IO when it has ended; the next call starts it anew
 *   Since    0.1 */
BEZEL_API bezel_status bezel_mcp_poll(bezel_mcp *server, bezel_error *err);

/* --- What is known of it ------------------------------------------------------------------ */
/* Here `server` must not be NULL. */

/* 1 when the server has said, since the list was last read, that its tools are others now.
 *   Thread   that of the server
 *   Since    0.1 */
BEZEL_API int32_t bezel_mcp_changed(const bezel_mcp *server);

/* A descriptor that is readable when bezel_mcp_poll has something to read, -1 while no process runs; another one after
 * each start.
 *   Owns     the server's
 *   Thread   that of the server
 *   Since    0.1 */
BEZEL_API int bezel_mcp_fd(const bezel_mcp *server);

/* A map: "name" and "version" as the server calls itself, "protocol", "pid" (0 while no process runs), "starts".
 *   Owns     the server's, valid until the next call of it
 *   Thread   that of the server
 *   Since    0.1 */
BEZEL_API const bezel_value *bezel_mcp_info(bezel_mcp *server);

/* A list of its tools, those that `only` leaves: {"name", "description", "parameters", "read_only", "local"}, the last two as
 * the server says; what it does not say is absent.
 *   Owns     the server's, valid until the list is read anew
 *   Thread   that of the server
 *   Since    0.1 */
BEZEL_API const bezel_value *bezel_mcp_tools(const bezel_mcp *server);

/* Sentence i about a tool that was left out or a message that made no sense, at most 32; NULL beyond the end.
 *   Owns     the server's
 *   Thread   that of the server
 *   Since    0.1 */
BEZEL_API const char *bezel_mcp_warning(const bezel_mcp *server, size_t i);

/* The end of what it has written to its standard error, at most 4 KiB, "" for nothing. Cleaned as error texts are, newlines
 * kept.
 *   Owns     the server's, valid until the next call of it
 *   Thread   that of the server
 *   Since    0.1 */
BEZEL_API const char *bezel_mcp_stderr(bezel_mcp *server);

#ifdef __cplusplus
}
#endif
#endif
