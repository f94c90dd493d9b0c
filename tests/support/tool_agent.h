/* SPDX-License-Identifier: MIT */
/* An agent with a scripted model, a store and one set of tools, for tests of what becomes of calls.
 *
 *     tool_agent_setup(&ta);
 *     tool_agent_add(&ta, "probe", fn, ud);
 *     tool_agent_begin(&ta, replies, n);
 *     tool_agent_send(&ta, "What is it?");
 *     tool_agent_drive(&ta, 1);
 *     tool_agent_teardown(&ta);
 */
#ifndef TEST_TOOL_AGENT_H
#define TEST_TOOL_AGENT_H

#include <bezel/agent.h>
#include <bezel/store.h>

#include "support/script_source.h"
#include "support/temp_folder.h"
#include "support/test_world.h"
#include "support/tiny_model.h"

typedef struct tool_agent {
    test_world tw;
    tiny_model tiny;
    temp_folder folder;
    bezel_tool_profile profile; /* transcript without examples: the tiny context has 1024 tokens */
    bezel_toolset *tools;
    bezel_store *store;
    char conversation[32];
    bezel_agent_options options; /* with all of it; change them before begin */
    bezel_agent *agent;
    script_source script;
    bezel_error err;
    uint64_t asked;       /* id of the newest question */
    char asked_text[256]; /* what it showed */
    int n_asked;
} tool_agent;

void tool_agent_setup(tool_agent *t);
void tool_agent_teardown(tool_agent *t);
/* A tool with the parameter n (an integer) of class permission; the caller may change it before bezel_toolset_add. */
bezel_tool tool_agent_tool(const char *name, uint32_t permission, bezel_tool_fn fn, void *ud);
void tool_agent_add(tool_agent *t, const bezel_tool *tool);
void tool_agent_begin(tool_agent *t, const script_reply *replies, size_t n);
void tool_agent_send(tool_agent *t, const char *question);
/* Steps to the end, or until a tool is pending and wait is 0; notes questions. */
bezel_status tool_agent_drive(tool_agent *t, int wait);
/* First column of the first row as text, "" for null; one buffer. */
const char *tool_agent_stored(tool_agent *t, const char *sql);
/* A text field of call i of the last turn, "" when it is absent; one buffer. */
const char *tool_agent_call(tool_agent *t, size_t i, const char *key);
/* The decisions of the store in order, "kind outcome name" joined by "; "; one buffer. */
const char *tool_agent_decisions(tool_agent *t);

#endif
