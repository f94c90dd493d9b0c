/* SPDX-License-Identifier: MIT */
/* The queue of events between the loop and the host. An event that the host took stays valid until its next call on the
 * agent; events that it does not take wait until the next turn and hold nothing up. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "agent_impl.h"

#include "base/alloc.h"
#include "base/options.h"
#include "base/utf8.h"

static const char *event_copy(char **at, const char *text, size_t size)
{
    char *copy = *at;
    if (!text)
        return NULL;
    memcpy(copy, text, size);
    copy[size] = 0;
    *at += size + 1;
    return copy;
}

bezel_status bz_agent_emit(bezel_agent *a, const bezel_agent_event *event, bezel_error *err)
{
    size_t name = event->name ? strlen(event->name) : 0, code = event->code ? strlen(event->code) : 0;
    size_t size = sizeof(bz_agent_event_node);
    if (!bz_size_add(&size, size, event->text_size) || !bz_size_add(&size, size, name) ||
        !bz_size_add(&size, size, code) || !bz_size_add(&size, size, 3))
        return bz_fail(err, BEZEL_ERR_OVERFLOW, "agent", "an event is too large");
    bz_agent_event_node *node = bz_alloc(a->world, size);
    if (!node)
        return bz_fail_memory(err, "agent", "an event", size);
    char *at = (char *)(node + 1);
    node->next = NULL;
    node->event = *event;
    node->event.size = sizeof node->event;
    node->event.text = event_copy(&at, event->text, event->text_size);
    node->event.name = event_copy(&at, event->name, name);
    node->event.code = event_copy(&at, event->code, code);
    if (a->last_event)
        a->last_event->next = node;
    else
        a->first_event = node;
    a->last_event = node;
    a->fresh_events = 1;
    return BEZEL_OK;
}

bezel_status bz_agent_emit_text(bezel_agent *a, uint32_t type, const char *text, size_t size, uint64_t count,
                                bezel_error *err)
{
    bezel_agent_event event = {.type = type, .step = a->step - 1, .text = text, .text_size = size, .count = count};
    return bz_agent_emit(a, &event, err);
}

bezel_status bz_agent_note(bezel_agent *a, bezel_error *err, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    size_t size = n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : bz_utf8_cut(text, sizeof text - 1);
    return bz_agent_emit_text(a, BEZEL_AGENT_NOTE, text, size, 0, err);
}

void bz_agent_events_clear(bezel_agent *a)
{
    while (a->first_event) {
        bz_agent_event_node *next = a->first_event->next;
        bz_free(a->world, a->first_event);
        a->first_event = next;
    }
    a->last_event = NULL;
    bz_free(a->world, a->shown_event);
    a->shown_event = NULL;
    a->fresh_events = 0;
}

int32_t bezel_agent_event_next(bezel_agent *agent, bezel_agent_event *out)
{
    if (!agent || !out || !bz_struct_sized(out))
        return 0;
    bz_free(agent->world, agent->shown_event);
    agent->shown_event = agent->first_event;
    if (!agent->shown_event)
        return 0;
    agent->first_event = agent->shown_event->next;
    if (!agent->first_event) {
        agent->last_event = NULL;
        agent->fresh_events = 0;
    }
    bz_struct_give(out, &agent->shown_event->event, sizeof agent->shown_event->event);
    return 1;
}
