/* SPDX-License-Identifier: MIT */
/* The list of what was found. Main invariant: an event is complete or not in the list; blanks at the ends of a segment
 * never reach a reader, so nothing that was given out is ever taken back. */
#include "call_event.h"

#include <string.h>

#include "base/alloc.h"

#define TEXT_LIMIT (16u << 20)

void bz_events_init(bz_event_list *list, const bezel_world *world)
{
    memset(list, 0, sizeof *list);
    list->world = world;
    bz_strbuf_init(&list->text, world, TEXT_LIMIT);
    bz_strbuf_init(&list->blanks, world, TEXT_LIMIT);
}

static void release_event(const bezel_world *w, bz_event *event)
{
    bz_free(w, event->tool);
    bz_free(w, event->parameter);
    bz_free(w, event->message);
    bezel_tree_free(event->tree);
}

void bz_events_free(bz_event_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        release_event(list->world, &list->items[i]);
    bz_free(list->world, list->items);
    bz_strbuf_free(&list->text);
    bz_strbuf_free(&list->blanks);
}

bezel_status bz_events_reserve(bz_event_list *list, size_t n)
{
    if (list->capacity - list->count >= n)
        return BEZEL_OK;
    size_t wanted = (list->count + n) * 2;
    bz_event *grown = bz_realloc(list->world, list->items, wanted * sizeof *grown);
    if (grown == NULL)
        return BEZEL_ERR_MEMORY;
    list->items = grown;
    list->capacity = wanted;
    return BEZEL_OK;
}

/* Appends to both buffers or to none, so that a call may be tried again. */
static bezel_status add_text(bz_event_list *list, const char *before, size_t n_before, const char *s, size_t n)
{
    size_t size = list->text.size;
    bz_strbuf_add(&list->text, before, n_before);
    bz_strbuf_add(&list->text, s, n);
    bezel_status status = list->text.status;
    if (status != BEZEL_OK) {
        list->text.status = BEZEL_OK;
        bz_strbuf_cut(&list->text, size);
    }
    return status;
}

bezel_status bz_events_text(bz_event_list *list, const char *s, size_t n, size_t offset)
{
    size_t end = n, start = 0, from = list->text.size;
    while (end > 0 && bz_is_blank((unsigned char)s[end - 1]))
        end--;
    int fresh = from == 0 || list->broken;
    while (fresh && start < end && bz_is_blank((unsigned char)s[start]))
        start++;
    size_t held = list->blanks.size;
    bezel_status status = bz_events_reserve(list, 1);
    if (status != BEZEL_OK)
        return status;
    if (end == 0) { /* blanks only: they wait */
        if (fresh)
            return BEZEL_OK;
        bz_strbuf_add(&list->blanks, s, n);
        status = list->blanks.status;
        list->blanks.status = BEZEL_OK;
        if (status != BEZEL_OK)
            bz_strbuf_cut(&list->blanks, held);
        return status;
    }
    bz_strbuf_add(&list->blanks, s + end, n - end); /* first: what is behind must not be lost either */
    status = list->blanks.status;
    list->blanks.status = BEZEL_OK;
    if (status == BEZEL_OK) {
        const char *before = fresh ? "\n" : bz_strbuf_cstr(&list->blanks);
        status = add_text(list, before, from == 0 ? 0 : fresh ? 1 : held, s + start, end - start);
    }
    if (status != BEZEL_OK) {
        bz_strbuf_cut(&list->blanks, held);
        return status;
    }
    bz_strbuf_erase_front(&list->blanks, held);
    list->broken = 0;
    bz_event *last = list->count > list->next ? &list->items[list->count - 1] : NULL;
    if (last != NULL && last->type == BEZEL_PARSE_TEXT) {
        last->to = list->text.size;
        return BEZEL_OK;
    }
    bz_event *event = &list->items[list->count++];
    memset(event, 0, sizeof *event);
    event->type = BEZEL_PARSE_TEXT;
    event->offset = offset + start;
    event->from = from;
    event->to = list->text.size;
    return BEZEL_OK;
}

/* A segment of text ends here. */
static void break_text(bz_event_list *list)
{
    list->broken = 1;
    bz_strbuf_reset(&list->blanks);
}

bezel_status bz_events_error(bz_event_list *list, const char *code, const char *tool, const char *message, size_t offset)
{
    bz_event event;
    memset(&event, 0, sizeof event);
    bezel_status status = bz_events_reserve(list, 1);
    event.type = BEZEL_PARSE_ERROR;
    event.offset = offset;
    event.code = code;
    event.message = bz_text_dup(list->world, message, SIZE_MAX);
    event.tool = tool != NULL ? bz_text_dup(list->world, tool, SIZE_MAX) : NULL;
    if (status != BEZEL_OK || event.message == NULL || (tool != NULL && event.tool == NULL)) {
        release_event(list->world, &event);
        return BEZEL_ERR_MEMORY;
    }
    list->items[list->count++] = event;
    break_text(list);
    return BEZEL_OK;
}

bezel_status bz_events_call(bz_event_list *list, bz_site_call *call)
{
    const char *name = call->tool != NULL ? call->tool->name : call->name;
    bezel_status status = bz_events_reserve(list, 1);
    if (status != BEZEL_OK)
        return status;
    if (call->code != NULL) {
        status = bz_events_error(list, call->code, name, call->message, call->offset);
        bz_event *event = status == BEZEL_OK ? &list->items[list->count - 1] : NULL;
        if (event != NULL && call->parameter[0] != '\0') {
            event->parameter = bz_text_dup(list->world, call->parameter, SIZE_MAX);
            if (event->parameter == NULL) {
                release_event(list->world, event);
                list->count--;
                status = BEZEL_ERR_MEMORY;
            }
        }
        return status;
    }
    bz_event event;
    memset(&event, 0, sizeof event);
    event.type = BEZEL_PARSE_CALL;
    event.offset = call->offset;
    event.tool = bz_text_dup(list->world, name, SIZE_MAX);
    if (event.tool == NULL)
        return BEZEL_ERR_MEMORY;
    event.tree = call->tree;
    event.arguments = call->arguments;
    call->tree = NULL;
    list->items[list->count++] = event;
    break_text(list);
    return BEZEL_OK;
}

const char *bz_warning_name(int warning)
{
    static const char *const names[BZ_WARN_COUNT] = {/* ORDER: the enum in call_scan.h */
        "python_literal", "single_quote", "unquoted", "positional", "inner_quote", "name_normalised", "coerced", "wrapped",
        "fence", "midline", "json", "native", "bare", "repaired", "repeated"};
    return names[warning];
}
