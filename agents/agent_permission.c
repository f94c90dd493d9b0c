/* SPDX-License-Identifier: MIT */
/* May a call run? A rule of its tool, else of its class, says allow, ask or deny; who is asked sees exactly what will run. The
 * answer comes at once from a callback, or later by the id of the question. Runs nothing. */
#include <string.h>

#include "agent_impl.h"

#include "base/alloc.h"

#define ASK_MS 300000
#define PERMITS_AT_MOST 4096u

/* --- Rules -------------------------------------------------------------------------------- */

bezel_status bezel_agent_permit(bezel_agent *agent, const char *name, uint32_t permit, bezel_error *err)
{
    if (!agent || !name)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "agent", "bezel_agent_permit needs an agent and the name of a tool");
    if (permit > BEZEL_PERMIT_DENY)
        return bz_fail(err, BEZEL_ERR_RANGE, "agent", "permit of %.64s is %u, expected one of BEZEL_PERMIT_...", name,
                       (unsigned)permit);
    for (size_t i = 0; i < agent->n_permits; i++) {
        if (strcmp(agent->permits[i].name, name) == 0) {
            agent->permits[i].permit = permit;
            return BEZEL_OK;
        }
    }
    if (agent->n_permits == PERMITS_AT_MOST)
        return bz_fail(err, BEZEL_ERR_LIMIT, "agent", "more than %u rules for tools", PERMITS_AT_MOST);
    char *copy = bz_text_dup(agent->world, name, SIZE_MAX);
    if (!copy || !bz_agent_grow(agent->world, &agent->permits, &agent->permits_capacity, agent->n_permits,
                                sizeof *agent->permits)) {
        bz_free(agent->world, copy);
        return bz_fail_memory(err, "agent", "a rule", strlen(name));
    }
    agent->permits[agent->n_permits++] = (bz_agent_permit){copy, permit};
    return BEZEL_OK;
}

bezel_status bz_agent_permits_make(bezel_agent *a, const bezel_agent_options *o, bezel_error *err)
{
    bezel_status st = BEZEL_OK;
    for (size_t i = 0; i < sizeof o->permit / sizeof o->permit[0]; i++) {
        if (o->permit[i] > BEZEL_PERMIT_DENY)
            return bz_fail(err, BEZEL_ERR_RANGE, "agent", "permit[%zu] is %u, expected one of BEZEL_PERMIT_...", i,
                           (unsigned)o->permit[i]);
    }
    if (o->confirm_timeout_ms < 0 || o->confirm_timeout_ms > 86400000 || (o->n_permits && !o->permits))
        return bz_fail(err, BEZEL_ERR_RANGE, "agent", "confirm_timeout_ms must be 0 to 86400000, and permits a list");
    for (uint32_t i = 0; st == BEZEL_OK && i < o->n_permits; i++)
        st = bezel_agent_permit(a, o->permits[i].name, o->permits[i].permit, err);
    return st;
}

void bz_agent_permits_free(bezel_agent *a)
{
    for (size_t i = 0; i < a->n_permits; i++)
        bz_free(a->world, a->permits[i].name);
    bz_free(a->world, a->permits);
}

uint32_t bz_agent_class(const bezel_agent *a, const char *name)
{
    return bezel_toolset_permission(bz_agent_tools(a), bz_agent_tool_place(a, name));
}

/* Text that nobody vouches for may have asked for this call: what changes something or sends it away waits for a person. */
static int permission_taint(const bezel_agent *a, uint32_t class)
{
    return (class == BEZEL_TOOL_WRITE || class == BEZEL_TOOL_NETWORK) && bezel_agent_is_tainted(a);
}

static uint32_t permission_rule(const bezel_agent *a, const char *name, uint32_t class)
{
    for (size_t i = 0; i < a->n_permits; i++) {
        if (a->permits[i].permit != BEZEL_PERMIT_DEFAULT && strcmp(a->permits[i].name, name) == 0)
            return a->permits[i].permit;
    }
    if (a->options.permit[class] != BEZEL_PERMIT_DEFAULT)
        return a->options.permit[class];
    if (permission_taint(a, class))
        return BEZEL_PERMIT_ASK;
    if (class == BEZEL_TOOL_PURE || class == BEZEL_TOOL_READ || !a->options.confirm)
        return BEZEL_PERMIT_ALLOW;
    return BEZEL_PERMIT_ASK;
}

/* --- Questions ---------------------------------------------------------------------------- */

/* The call as a person reads it, in the arena: what the parser reads, without the marker. */
static bezel_status permission_text(const char **out, bezel_agent *a, const bz_agent_call *call, bezel_error *err)
{
    static const char marker[] = "FUNCTION_CALL: ";
    char *text = NULL;
    size_t size = 0;
    bezel_status st = bezel_call_render(&text, &size, a->engine, call->name, call->arguments, err);
    if (st != BEZEL_OK)
        return st;
    *out = bz_arena_text(&a->arena, text + sizeof marker - 1, size - (sizeof marker - 1));
    bezel_text_free(a->engine, text);
    return *out ? BEZEL_OK : bz_fail_memory(err, "agent", "a question", size);
}

static bezel_status permission_ask(bezel_agent *a, bz_agent_call *call, uint32_t class, bezel_error *err)
{
    const char *text = NULL;
    bezel_status st = permission_text(&text, a, call, err);
    if (st == BEZEL_OK)
        st = bz_agent_decide(a, "permission", "asked", call, call->name, text, err);
    if (st != BEZEL_OK)
        return st;
    int64_t ms = a->options.confirm_timeout_ms ? a->options.confirm_timeout_ms : ASK_MS;
    call->state = BZ_CALL_ASKED;
    call->permit = BEZEL_PERMIT_DEFAULT;
    call->ask_id = ++a->last_ask;
    call->ask_end_ns = a->world->monotonic_ns(a->world->ud) + ms * 1000000;
    uint32_t answer = BEZEL_PERMIT_ASK;
    if (a->options.confirm) {
        const bezel_permission request = {.size = sizeof request,
                                          .permission = class,
                                          .id = call->ask_id,
                                          .name = call->name,
                                          .arguments = call->arguments,
                                          .text = text};
        answer = a->options.confirm(a->options.confirm_ud, &request);
    }
    if (call->permit == BEZEL_PERMIT_DEFAULT && answer != BEZEL_PERMIT_ASK) /* else it was answered by its id meanwhile */
        call->permit = answer == BEZEL_PERMIT_ALLOW ? BEZEL_PERMIT_ALLOW : BEZEL_PERMIT_DENY;
    if (call->permit != BEZEL_PERMIT_DEFAULT)
        return BEZEL_OK;
    bezel_agent_event event = {.type = BEZEL_AGENT_ASK,
                               .step = call->step,
                               .name = call->name,
                               .arguments = call->arguments,
                               .text = text,
                               .text_size = strlen(text),
                               .count = call->ask_id};
    return bz_agent_emit(a, &event, err);
}

bezel_status bz_agent_permission(uint32_t *out_permit, bezel_agent *a, bz_agent_call *call, bezel_error *err)
{
    bezel_status st = BEZEL_OK;
    *out_permit = BEZEL_PERMIT_ASK;
    if (call->state == BZ_CALL_NEW) {
        uint32_t class = bz_agent_class(a, call->name), rule = permission_rule(a, call->name, class);
        if (rule == BEZEL_PERMIT_ALLOW) {
            *out_permit = rule;
            return BEZEL_OK;
        }
        if (rule == BEZEL_PERMIT_DENY) {
            *out_permit = rule;
            call->reason = "not allowed here";
            return bz_agent_decide(a, "permission", "denied", call, call->name, "by a rule of the host", err);
        }
        if (permission_taint(a, class))
            st = bz_agent_decide(a, "taint", "held", call, call->name, "text from elsewhere is among what the model read", err);
        if (st == BEZEL_OK)
            st = permission_ask(a, call, class, err);
    }
    const char *outcome = call->permit == BEZEL_PERMIT_ALLOW  ? "granted"
                          : call->permit == BEZEL_PERMIT_DENY ? "denied"
                                                              : NULL;
    if (st == BEZEL_OK && !outcome && a->world->monotonic_ns(a->world->ud) >= call->ask_end_ns) {
        outcome = "expired";
        call->permit = BEZEL_PERMIT_DENY;
        call->reason = "nobody answered whether it is allowed";
    }
    if (st != BEZEL_OK || !outcome)
        return st;
    *out_permit = call->permit;
    if (call->permit == BEZEL_PERMIT_DENY && !call->reason)
        call->reason = "not allowed by the user";
    return bz_agent_decide(a, "permission", outcome, call, call->name, call->permit == BEZEL_PERMIT_DENY ? call->reason : NULL,
                           err);
}

bezel_status bezel_agent_answer(bezel_agent *agent, uint64_t id, uint32_t permit, const char *reason, bezel_error *err)
{
    if (!agent)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "agent", "bezel_agent_answer needs an agent");
    if (permit != BEZEL_PERMIT_ALLOW && permit != BEZEL_PERMIT_DENY)
        return bz_fail(err, BEZEL_ERR_RANGE, "agent", "an answer is BEZEL_PERMIT_ALLOW or BEZEL_PERMIT_DENY, not %u",
                       (unsigned)permit);
    for (size_t i = agent->step_calls; agent->state == BZ_AGENT_WAIT && i < agent->n_calls; i++) {
        bz_agent_call *call = &agent->calls[i];
        if (call->done || call->state != BZ_CALL_ASKED || call->ask_id != id || call->permit != BEZEL_PERMIT_DEFAULT)
            continue;
        if (reason && reason[0] && permit == BEZEL_PERMIT_DENY) {
            call->reason = bz_arena_text(&agent->arena, reason, SIZE_MAX);
            if (!call->reason)
                return bz_fail_memory(err, "agent", "a reason", strlen(reason));
        }
        call->permit = permit;
        return BEZEL_OK;
    }
    bezel_status st = bz_fail(err, BEZEL_ERR_MISSING, "agent", "no call waits for answer %llu", (unsigned long long)id);
    return bz_error_hint(err, st, "take the id from the newest BEZEL_AGENT_ASK; its time may be over");
}
