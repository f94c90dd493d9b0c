/* SPDX-License-Identifier: MIT */
/* An agent as a tool of another one. The inner agent works in slices while its caller steps; invariant: a call that is dropped
 * ends the inner turn, whose journal then has it. Two calls of one agent wait for one another. */
#include <stdio.h>
#include <string.h>

#include "agent_impl.h"

#define DEPTH 4u
#define SLICE_US 20000 /* between two looks of the caller at its own budget and cancel */
#define TOOL_MS 600000

bezel_status bezel_agent_nest(bezel_agent *agent, const bezel_call *call, bezel_error *err)
{
    if (!agent || !call)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "agent", "bezel_agent_nest needs an agent and a call");
    uint32_t depth = bezel_call_depth(call) + 1, most = agent->options.max_depth ? agent->options.max_depth : DEPTH;
    if (agent->inside || (agent->state != BZ_AGENT_IDLE && agent->state != BZ_AGENT_FINISHED))
        return bz_fail(err, BEZEL_ERR_BUSY, "agent", agent->inside ? "an agent cannot be called by itself" : "a turn runs already");
    if (depth >= most) {
        bezel_status st = bz_fail(err, BEZEL_ERR_LIMIT, "agent", "more than %u agents call one another", (unsigned)most);
        return bz_error_hint(err, st, "answer with what is known, or raise max_depth");
    }
    snprintf(agent->next_parent, sizeof agent->next_parent, "%s", bezel_call_turn(call));
    agent->next_depth = depth;
    return BEZEL_OK;
}

static bezel_status tool_answer(bezel_agent *a, bezel_call *call, bezel_error *err)
{
    bezel_agent_turn turn = {.size = sizeof turn};
    bezel_status st = bezel_agent_result(a, &turn, err);
    a->led_by = NULL;
    if (st == BEZEL_OK)
        bezel_call_finish(call, bezel_tree_text(bezel_call_tree(call), turn.text, turn.text_size));
    return st;
}

static bezel_status tool_begin(bezel_agent *a, bezel_call *call, bezel_error *err)
{
    size_t size = 0;
    const char *task = bezel_value_text(bezel_value_get(bezel_call_arguments(call), "task"), &size);
    bezel_status st = bezel_agent_nest(a, call, err);
    if (st != BEZEL_OK)
        return st;
    bezel_agent_clear(a);
    st = bezel_agent_send(a, task, size, err);
    if (st == BEZEL_OK)
        a->led_by = call;
    return st;
}

/* Works on, or waits for the call that has the agent now. */
static bezel_status tool_go_on(void *ud, bezel_call *call, bezel_error *err)
{
    bezel_agent *a = ud;
    bezel_agent_event event = {.size = sizeof event};
    bezel_status st = BEZEL_OK;
    if (a->led_by != call && !a->inside && a->state != BZ_AGENT_IDLE && a->state != BZ_AGENT_FINISHED)
        return BEZEL_TOOL_PENDING;
    if (a->led_by != call)
        st = tool_begin(a, call, err);
    if (st == BEZEL_OK)
        st = bezel_agent_step(a, SLICE_US, err);
    while (a->led_by == call && bezel_agent_event_next(a, &event)) {
        if (event.type == BEZEL_AGENT_ASK && !a->options.confirm) /* nobody sees the events of an agent that is a tool */
            bezel_agent_answer(a, event.count, BEZEL_PERMIT_DENY, "nobody is there to be asked", NULL);
    }
    if (st == BEZEL_DONE)
        return tool_answer(a, call, err);
    if (st < 0) {
        if (a->led_by == call)
            a->led_by = NULL;
        return st;
    }
    bezel_call_delay(call, st == BEZEL_TOOL_PENDING ? bezel_agent_wait_us(a) : 0);
    return BEZEL_TOOL_PENDING;
}

static void tool_drop(void *ud, bezel_call *call)
{
    bezel_agent *a = ud;
    if (a->led_by != call)
        return;
    a->led_by = NULL;
    bezel_agent_cancel(a);
    while (bezel_agent_step(a, -1, NULL) == BEZEL_TOKEN) {}
}

static bezel_status tool_run(void *ud, bezel_call *call, bezel_error *err)
{
    bezel_call_pending(call, tool_go_on, tool_drop, ud);
    return tool_go_on(ud, call, err);
}

bezel_tool bezel_agent_tool(bezel_agent *agent, const char *name, const char *description)
{
    bezel_tool tool = BEZEL_TOOL_INIT;
    tool.name = name;
    tool.description = description;
    tool.parameters_json = "{\"type\":\"object\",\"properties\":{\"task\":{\"type\":\"string\",\"description\":"
                           "\"What to do, with everything that is needed for it\"}},\"required\":[\"task\"]}";
    tool.fn = agent ? tool_run : NULL;
    tool.ud = agent;
    tool.timeout_ms = TOOL_MS;
    return tool;
}
