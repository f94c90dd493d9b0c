/* SPDX-License-Identifier: MIT */
/* Finds calls in a model's output while it comes. Main invariant: every decision is made by an attempt that saw all bytes
 * it depends on (see call_scan.h), so any way to cut the output gives the same events. Text that cannot be the start of a
 * call is passed on at once; what can be is held, at most one call long.
 *
 * Work is linear: an attempt on more than 1 KiB is repeated only after the held text grew by a sixteenth, and a failed
 * attempt is not made again before the place where it failed. Does not run calls. */
#include <bezel/tools.h>

#include <bezel/engine.h>

#include <string.h>

#include "base/alloc.h"
#include "base/options.h"
#include "base/utf8.h"
#include "call_event.h"
#include "call_site.h"

#define ORIGIN "parser"

enum { FOUND_NONE = 0, FOUND_MORE = 1, FOUND_TAKEN = 2, FOUND_FAILED = 3 };

struct bezel_parser {
    bezel_engine *engine;
    const bezel_world *world;
    const bezel_toolset *tools;
    int repair_tail;
    bz_strbuf buffer; /* output that is not decided; bytes before `pos` are */
    size_t pos;
    size_t base;      /* offset of buffer.data[0] in the output */
    int previous;     /* byte before pos, '\n' at the start */
    bz_arena arena;   /* of one attempt */
    bz_site *site;
    bz_event_list events;
    uint32_t n_calls; /* and errors of calls */
    int finishing, cut, finished;
    bezel_status failure; /* why a step was FOUND_FAILED */
    int stopped;      /* at a limit: nothing more is read */
    int skip_line;    /* behind a broken call: up to the end of its line */
    int whole_tried;  /* the reply as a whole is no call */
    int think;        /* inside <think> */
    size_t quiet;     /* offset before which no unmarked attempt is made */
    size_t tried_at, tried_size; /* the last attempt that wants more */
    /* behind a call: */
    int in_group, bracket, tag, fence, report, decorated, json;
};

/* --- Attempts ----------------------------------------------------------------------------- */

static void begin_site(bezel_parser *p, size_t at)
{
    bz_scan *scan = &p->site->scan;
    bz_arena_reset(&p->arena);
    memset(scan, 0, sizeof *scan); /* calls are cleared one by one as they begin */
    p->site->count = 0;
    p->site->current = NULL;
    scan->s = p->buffer.data;
    scan->base = p->base;
    scan->i = at;
    scan->n = p->buffer.size;
    if (scan->n - p->pos > BZ_CALL_BYTES) {
        scan->n = p->pos + BZ_CALL_BYTES;
        scan->capped = 1;
    }
    scan->final = p->finishing && !scan->capped;
    scan->cut = p->cut;
    scan->repair_tail = p->repair_tail;
    scan->arena = &p->arena;
    scan->tools = p->tools;
}

static void advance(bezel_parser *p, size_t to)
{
    if (to > p->pos)
        p->previous = (unsigned char)p->buffer.data[to - 1];
    p->pos = to;
}

static void end_group(bezel_parser *p)
{
    p->in_group = p->bracket = p->tag = p->fence = p->report = p->decorated = p->json = 0;
}

static int failed(bezel_parser *p, bezel_status status)
{
    p->failure = status;
    return FOUND_FAILED;
}

/* Errors and calls share one limit; the first one beyond it is reported, then nothing more is read. */
static bezel_status report_error(bezel_parser *p, const char *code, const char *tool, const char *message, size_t at)
{
    if (p->n_calls >= BZ_CALL_COUNT) {
        code = "too_many_calls";
        message = "more than 16 calls in one answer";
        tool = NULL;
    }
    bezel_status status = bz_events_error(&p->events, code, tool, message, at);
    if (status == BEZEL_OK) {
        p->stopped |= p->n_calls >= BZ_CALL_COUNT;
        p->n_calls++;
    }
    return status;
}

/* Turns what an attempt read into events and steps behind it. All of it or, without memory, nothing. */
static int commit_calls(bezel_parser *p)
{
    bz_site *site = p->site;
    bezel_status status = bz_events_reserve(&p->events, site->count + 1);
    for (size_t i = 0; i < site->count && status == BEZEL_OK; i++)
        status = bz_call_bind(&site->calls[i], &site->scan, p->engine);
    size_t before = p->events.count;
    uint32_t n_calls = p->n_calls;
    int broken = p->events.broken;
    for (size_t i = 0; i < site->count && status == BEZEL_OK && !p->stopped; i++) {
        if (p->n_calls >= BZ_CALL_COUNT) {
            status = report_error(p, NULL, NULL, NULL, site->calls[i].offset);
        } else {
            status = bz_events_call(&p->events, &site->calls[i]);
            p->n_calls++;
        }
    }
    for (size_t i = 0; i < site->count; i++)
        bezel_tree_free(site->calls[i].tree);
    if (status != BEZEL_OK) {
        while (p->events.count > before) {
            bz_event *event = &p->events.items[--p->events.count];
            bz_free(p->world, event->tool);
            bz_free(p->world, event->parameter);
            bz_free(p->world, event->message);
            bezel_tree_free(event->tree);
        }
        p->n_calls = n_calls;
        p->events.broken = broken;
        p->stopped = 0;
        return failed(p, status);
    }
    for (int i = 0; i < BZ_WARN_COUNT; i++)
        p->events.warnings[i] += site->scan.warnings[i];
    advance(p, site->scan.i);
    return FOUND_TAKEN;
}

/* A broken call at p->pos whose end is unknown: one error, then its line is skipped. */
static int commit_failure(bezel_parser *p, size_t at)
{
    const bz_scan *scan = &p->site->scan;
    const bz_site_call *call = p->site->current;
    const char *tool = call == NULL ? NULL : call->tool != NULL ? call->tool->name : call->name;
    const char *code = scan->code, *reason = scan->reason;
    if (call != NULL && call->code != NULL && strcmp(call->code, "unknown_function") == 0) {
        code = call->code; /* the wrong name is what matters, whatever follows it */
        reason = call->message;
    }
    bezel_status status = report_error(p, code, tool, reason, scan->base + at);
    if (status != BEZEL_OK)
        return failed(p, status);
    end_group(p);
    p->skip_line = 1;
    advance(p, scan->i > scan->n ? scan->n : scan->i);
    return FOUND_TAKEN;
}

/* Judges an attempt that began at `at`; found is what its reader said. */
static int settle(bezel_parser *p, int found, int report, size_t at)
{
    bz_scan *scan = &p->site->scan;
    if (scan->failed)
        return failed(p, BEZEL_ERR_MEMORY);
    if (scan->more)
        return FOUND_MORE;
    if (scan->limit) {
        if (!report)
            return FOUND_NONE;
        const bz_site_call *call = p->site->current;
        const char *tool = call == NULL ? NULL : call->tool != NULL ? call->tool->name : call->name;
        bezel_status status =
            report_error(p, "too_long", tool, "a call of more than 64 KiB; nothing behind it was read", scan->base + at);
        if (status != BEZEL_OK)
            return failed(p, status);
        end_group(p);
        p->stopped = 1;
        return FOUND_TAKEN;
    }
    if (found)
        return commit_calls(p);
    if (!report)
        return FOUND_NONE;
    if (scan->code == NULL)
        bz_scan_fail(scan, scan->ended ? "truncated" : "syntax", "expected name(parameter=value)");
    return commit_failure(p, at);
}

/* A call or a JSON call at the cursor of the site. */
static int scan_payload(bezel_parser *p, int flags)
{
    bz_scan *scan = &p->site->scan;
    int c = bz_scan_peek(scan, 0);
    if (c == '{') {
        p->json = 1;
        return bz_call_scan_json(p->site, flags);
    }
    if (c == '[') {
        size_t at = scan->i;
        scan->i++;
        bz_scan_blanks(scan, 1);
        c = bz_scan_peek(scan, 0);
        if (c == '{') {
            scan->i = at;
            p->json = 1;
            return bz_call_scan_json(p->site, flags);
        }
        p->bracket = 1;
    }
    return bz_call_scan(p->site, flags);
}

/* The first call of a site; on success the group behind it is open. */
static int try_payload(bezel_parser *p, size_t at, int report)
{
    begin_site(p, at);
    bz_scan *scan = &p->site->scan;
    int saved_bracket = p->bracket, saved_json = p->json;
    p->bracket = p->json = 0;
    bz_scan_blanks(scan, 1);
    int found = scan_payload(p, (report ? BZ_SITE_REPORT : 0) | BZ_SITE_BARE_NAME);
    size_t failed_at = p->base + scan->i;
    int result = settle(p, found, report, p->pos);
    if (result == FOUND_TAKEN && !p->skip_line && !p->stopped) {
        p->in_group = 1;
        p->report = report;
    } else if (result != FOUND_TAKEN) {
        p->bracket = saved_bracket;
        p->json = saved_json;
        if (result == FOUND_NONE && failed_at > p->quiet)
            p->quiet = failed_at;
    }
    return result;
}

/* --- Sites -------------------------------------------------------------------------------- */

/* FUNCTION_CALL at p->pos, at a line start or in mid-line. */
static int try_marker(bezel_parser *p, int at_line)
{
    size_t end = 0;
    int colon = 0, found;
    begin_site(p, p->pos);
    bz_scan *scan = &p->site->scan;
    if (at_line) {
        found = bz_scan_marked_line(scan, p->pos, &end, &colon);
    } else {
        size_t n = bz_scan_marker(scan, p->pos);
        found = n > 0 && bz_scan_marked_line(scan, p->pos, &end, &colon);
    }
    if (scan->more)
        return FOUND_MORE;
    if (!found || scan->limit)
        return FOUND_NONE;
    int report = at_line && colon;
    if (!report && p->base + p->pos < p->quiet)
        return FOUND_NONE;
    int result = try_payload(p, end, report);
    if (result == FOUND_TAKEN && p->in_group) {
        p->decorated = 1;
        p->events.warnings[BZ_WARN_MIDLINE] += !at_line;
    }
    return result;
}

static int try_fence(bezel_parser *p)
{
    size_t end = 0, marked = 0;
    int colon = 0;
    begin_site(p, p->pos);
    int kind = bz_scan_fence(&p->site->scan, p->pos, &end);
    if (p->site->scan.more)
        return FOUND_MORE;
    if (kind == BZ_FENCE_NONE || kind == BZ_FENCE_OTHER || p->site->scan.limit)
        return FOUND_NONE;
    int found = bz_scan_marked_line(&p->site->scan, end, &marked, &colon);
    if (p->site->scan.more)
        return FOUND_MORE;
    int result;
    if (found && colon) {
        result = try_payload(p, marked, 1);
        p->decorated = result == FOUND_TAKEN && p->in_group;
    } else if (kind == BZ_FENCE_PLAIN || p->base + p->pos < p->quiet) {
        return FOUND_NONE;
    } else {
        result = try_payload(p, end, kind == BZ_FENCE_TOOL);
    }
    if (result == FOUND_TAKEN && p->in_group) {
        p->fence = 1;
        p->events.warnings[BZ_WARN_FENCE]++;
    }
    return result;
}

/* Control texts of other dialects. */
static int try_tag(bezel_parser *p)
{
    size_t size = 0;
    begin_site(p, p->pos);
    int kind = bz_scan_tag(&p->site->scan, p->pos, &size);
    if (p->site->scan.more)
        return FOUND_MORE;
    if (kind == BZ_TAG_THINK || kind == BZ_TAG_THINK_END)
        p->think = kind == BZ_TAG_THINK;
    if (kind != BZ_TAG_OPEN || p->think)
        return FOUND_NONE;
    int result = try_payload(p, p->pos + size, 1);
    if (result == FOUND_TAKEN && p->in_group) {
        p->tag = 1;
        p->events.warnings[BZ_WARN_NATIVE]++;
    }
    return result;
}

/* Could a JSON object with this first key be a call? Decides early, so that JSON answers stream. */
static int is_call_key(bezel_parser *p, size_t at)
{
    static const char *const keys[] = {"name", "function", "tool", "arguments", "parameters", "args", "params", "type", "id",
                                       "tool_calls", "tool_name", "function_name"};
    bz_scan *scan = &p->site->scan;
    while (bz_is_blank(bz_scan_at(scan, at)))
        at++;
    int quote = bz_scan_at(scan, at), changed;
    if (quote != '"' && quote != '\'')
        return bz_scan_identifier(scan, at) > 0;
    size_t n = 0;
    while (n <= BZ_CALL_NAME_BYTES && bz_scan_at(scan, at + 1 + n) >= 0 && bz_scan_at(scan, at + 1 + n) != quote)
        n++;
    if (bz_scan_stuck(scan))
        return 0;
    for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++)
        if (strlen(keys[k]) == n && memcmp(scan->s + at + 1, keys[k], n) == 0)
            return 1;
    return at + 1 + n <= scan->n && bz_tool_resolve(&changed, p->tools, scan->s + at + 1, n) != NULL;
}

/* Calls up to the closing bracket (or the end): [f(x), g()] and f(x) alone. */
static int scan_all(bezel_parser *p, int close)
{
    bz_scan *scan = &p->site->scan;
    size_t count = 0;
    for (;;) {
        bz_scan_blanks(scan, 1);
        int c = bz_scan_peek(scan, 0);
        if (c == ',' || c == ';') {
            scan->i++;
            continue;
        }
        if (c < 0 || (close && c == close)) {
            scan->i += c >= 0;
            return count > 0 && (c >= 0) == (close != 0);
        }
        if (!bz_call_scan(p->site, 0))
            return 0;
        count++;
    }
}

/* The whole reply as calls without any marker: decided at its end, or as soon as it cannot be. */
static int try_whole(bezel_parser *p)
{
    begin_site(p, p->pos);
    bz_scan *scan = &p->site->scan;
    bz_scan_blanks(scan, 1);
    int c = bz_scan_peek(scan, 0), found = 0;
    size_t after = scan->i + 1;
    if (scan->more)
        return FOUND_MORE;
    if (c == '[')
        for (scan->i = after; bz_is_blank(bz_scan_peek(scan, 0)); scan->i++)
            ;
    int inner = bz_scan_peek(scan, 0);
    size_t first_key = scan->i + 1;
    if (c == '[' && inner != '{') {
        found = scan_all(p, ']');
    } else if (c == '{' || c == '[') {
        scan->i = after - 1;
        found = is_call_key(p, first_key) && bz_call_scan_json(p->site, 0);
    } else {
        found = bz_is_word(c) && scan_all(p, 0);
    }
    if (found && !bz_scan_stuck(scan)) {
        bz_scan_blanks(scan, 1);
        found = bz_scan_peek(scan, 0) < 0;
    }
    int result = settle(p, found, 0, p->pos);
    p->whole_tried = result == FOUND_NONE || result == FOUND_TAKEN;
    if (result == FOUND_TAKEN)
        p->events.warnings[BZ_WARN_BARE]++;
    return result;
}

/* --- Behind a call ------------------------------------------------------------------------ */

/* Closers of what was opened around the call; 1 when something was taken. */
static int take_closer(bezel_parser *p, size_t at)
{
    bz_scan *scan = &p->site->scan;
    size_t size = 0;
    int c = bz_scan_at(scan, at);
    if (p->bracket && c == ']') {
        p->bracket = 0;
        advance(p, at + 1);
        return 1;
    }
    if (p->fence && c == '`' && bz_scan_at(scan, at + 1) == '`' && bz_scan_at(scan, at + 2) == '`') {
        end_group(p);
        advance(p, at + 3);
        return 1;
    }
    if (c != '<')
        return 0;
    int kind = bz_scan_tag(scan, at, &size);
    if (scan->more || (kind != BZ_TAG_CLOSE && kind != BZ_TAG_NOISE) || (kind == BZ_TAG_CLOSE && !p->tag))
        return 0;
    if (kind == BZ_TAG_CLOSE)
        p->tag = p->report = 0;
    advance(p, at + size);
    return 1;
}

/* A further call at `at`, without marker: only of a registered tool unless a bracket or tag says that calls stand here. */
static int try_next(bezel_parser *p, size_t at, int separated)
{
    begin_site(p, at);
    bz_scan *scan = &p->site->scan;
    int report = p->report && (p->bracket || p->tag), colon = 0, found = 0;
    size_t end = 0;
    if (!p->bracket && separated && bz_scan_marker(scan, at) > 0 && bz_scan_marked_line(scan, at, &end, &colon) && colon) {
        scan->i = end; /* ", FUNCTION_CALL: name()" */
        report = 0;
    }
    if (scan->more)
        return FOUND_MORE;
    int c = bz_scan_peek(scan, 0);
    if (c == '{')
        found = (p->json || p->tag) && bz_call_scan_json(p->site, report ? BZ_SITE_REPORT : 0);
    else if (bz_is_word(c))
        found = bz_call_scan(p->site, report ? BZ_SITE_REPORT : 0);
    else
        return scan->more ? FOUND_MORE : FOUND_NONE;
    if (found && !report && !bz_scan_stuck(scan)) { /* "name() tells the time" is prose */
        size_t behind = scan->i;
        while (bz_scan_at(scan, behind) == ' ' || bz_scan_at(scan, behind) == '\r')
            behind++;
        c = bz_scan_at(scan, behind);
        found = c < 0 || strchr("\n,;])}`*<", c) != NULL;
    }
    return settle(p, found, report, at);
}

/* Decides whether the group of calls goes on at p->pos. */
static int try_group(bezel_parser *p)
{
    begin_site(p, p->pos);
    bz_scan *scan = &p->site->scan;
    size_t at = p->pos, rest;
    while (p->decorated && (bz_scan_at(scan, at) == '*' || bz_scan_at(scan, at) == '`') &&
           !(p->fence && bz_scan_at(scan, at) == '`' && bz_scan_at(scan, at + 1) == '`'))
        at++;
    if (scan->more)
        return FOUND_MORE;
    rest = at;
    int separated = 0, new_line = 0, c = bz_scan_at(scan, at);
    for (; bz_is_blank(c) || c == ',' || c == ';'; c = bz_scan_at(scan, ++at)) {
        separated |= c == ',' || c == ';';
        new_line |= c == '\n';
    }
    if (scan->more)
        return FOUND_MORE;
    if (c < 0) {
        advance(p, scan->limit ? rest : at);
        end_group(p);
        return FOUND_TAKEN;
    }
    if (take_closer(p, at))
        return FOUND_TAKEN;
    if (scan->more)
        return FOUND_MORE;
    int result = FOUND_NONE;
    /* after a new line a marker is a new site, found by the usual way */
    if (!(new_line && bz_scan_marker(scan, at) > 0))
        result = scan->more ? FOUND_MORE : try_next(p, at, separated);
    if (result == FOUND_NONE) {
        advance(p, rest);
        end_group(p);
        return FOUND_TAKEN;
    }
    return result;
}

/* --- The loop ----------------------------------------------------------------------------- */

/* Text up to `to` goes to the reader. */
static bezel_status flush_text(bezel_parser *p, size_t to)
{
    if (to <= p->pos)
        return BEZEL_OK;
    bezel_status status = bz_events_text(&p->events, p->buffer.data + p->pos, to - p->pos, p->base + p->pos);
    if (status == BEZEL_OK)
        advance(p, to);
    return status;
}

/* Too much of the same held text was looked at already. */
static int too_soon(const bezel_parser *p)
{
    size_t held = p->buffer.size - p->pos;
    return !p->finishing && held > 1024 && held <= BZ_CALL_BYTES && p->tried_at == p->base + p->pos &&
           held < p->tried_size + p->tried_size / 16;
}

static int remember(bezel_parser *p, int result)
{
    if (result == FOUND_MORE) {
        p->tried_at = p->base + p->pos;
        p->tried_size = p->buffer.size - p->pos;
    }
    return result;
}

/* Is a site at i? Everything before i is passed on first. */
static int try_site(bezel_parser *p, size_t i)
{
    int previous = i > p->pos ? (unsigned char)p->buffer.data[i - 1] : p->previous;
    int c = (unsigned char)p->buffer.data[i], at_line = previous == '\n', result = FOUND_NONE;
    int is_f = (c == 'f' || c == 'F') && !bz_is_word(previous);
    if (p->think ? c != '<' : !(at_line || c == '<' || is_f))
        return FOUND_NONE;
    bezel_status status = flush_text(p, i);
    if (status != BEZEL_OK)
        return failed(p, status);
    if (too_soon(p))
        return FOUND_MORE;
    if (at_line && !p->think) {
        result = try_marker(p, 1);
        if (result == FOUND_NONE)
            result = try_fence(p);
    }
    if (result == FOUND_NONE && c == '<')
        result = try_tag(p);
    if (result == FOUND_NONE && is_f && !at_line && !p->think)
        result = try_marker(p, 0);
    return remember(p, result);
}

/* Passes text on up to the next site, or all of it. */
static int step_text(bezel_parser *p)
{
    size_t i = p->pos;
    for (; i < p->buffer.size; i++) {
        int result = try_site(p, i);
        if (result != FOUND_NONE)
            return result;
    }
    size_t end = p->buffer.size;
    if (!p->finishing)
        end -= bz_utf8_incomplete_tail(p->buffer.data + p->pos, end - p->pos);
    bezel_status status = flush_text(p, end);
    return status == BEZEL_OK ? FOUND_MORE : failed(p, status);
}

static int step_skip(bezel_parser *p)
{
    const char *newline = memchr(p->buffer.data + p->pos, '\n', p->buffer.size - p->pos);
    if (newline == NULL) {
        advance(p, p->buffer.size);
        return FOUND_MORE;
    }
    advance(p, (size_t)(newline - p->buffer.data));
    p->skip_line = 0;
    return FOUND_TAKEN;
}

/* A byte order mark before the reply is nothing. */
static int skip_mark(bezel_parser *p)
{
    static const char mark[] = "\xEF\xBB\xBF";
    size_t n = p->buffer.size - p->pos < 3 ? p->buffer.size - p->pos : 3;
    if (p->base + p->pos > 0 || memcmp(p->buffer.data + p->pos, mark, n) != 0 || (n < 3 && p->finishing))
        return FOUND_NONE;
    if (n < 3)
        return FOUND_MORE;
    p->pos += 3;
    return FOUND_TAKEN;
}

static int step(bezel_parser *p)
{
    if (p->stopped) {
        advance(p, p->buffer.size);
        return FOUND_MORE;
    }
    if (p->skip_line)
        return step_skip(p);
    if (p->in_group)
        return too_soon(p) ? FOUND_MORE : remember(p, try_group(p));
    if (!p->whole_tried) {
        if (too_soon(p))
            return FOUND_MORE;
        int result = skip_mark(p);
        if (result == FOUND_NONE)
            result = remember(p, try_whole(p));
        if (result != FOUND_NONE)
            return result;
    }
    return step_text(p);
}

static bezel_status run(bezel_parser *p, bezel_error *err)
{
    int result = FOUND_TAKEN;
    while (result == FOUND_TAKEN && p->pos < p->buffer.size)
        result = step(p);
    if (result == FOUND_FAILED && p->failure == BEZEL_ERR_MEMORY)
        return bz_fail_memory(err, ORIGIN, "the output of a model", p->buffer.size);
    if (result == FOUND_FAILED && p->failure == BEZEL_ERR_LIMIT)
        return bz_fail(err, p->failure, ORIGIN, "more than 16 MiB of text outside of calls");
    if (result == FOUND_FAILED)
        return bz_fail(err, p->failure, ORIGIN, "a call could not be kept: %s", bezel_status_name(p->failure));
    /* drop what is decided, seldom enough to stay linear */
    if (p->pos == p->buffer.size || p->pos > p->buffer.size / 2) {
        p->base += p->pos;
        bz_strbuf_erase_front(&p->buffer, p->pos);
        p->pos = 0;
    }
    return BEZEL_OK;
}

/* --- Public ------------------------------------------------------------------------------- */

bezel_status bezel_parser_new(bezel_parser **out, const bezel_toolset *tools, int32_t repair_tail, bezel_error *err)
{
    if (out == NULL || tools == NULL)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, ORIGIN, "out or tools is NULL");
    *out = NULL;
    const bezel_world *w = tools->world;
    bezel_parser *p = bz_zalloc(w, sizeof *p);
    if (p == NULL)
        return bz_fail_memory(err, ORIGIN, "a parser", sizeof *p);
    p->engine = tools->engine;
    p->world = w;
    p->tools = tools;
    p->repair_tail = repair_tail != 0;
    p->previous = '\n';
    bz_strbuf_init(&p->buffer, w, 0);
    bz_arena_init(&p->arena, w, 64u << 20);
    bz_events_init(&p->events, w);
    p->site = bz_zalloc(w, sizeof *p->site);
    if (p->site == NULL) {
        bezel_parser_free(p);
        return bz_fail_memory(err, ORIGIN, "a parser", sizeof *p->site);
    }
    *out = p;
    return BEZEL_OK;
}

void bezel_parser_free(bezel_parser *parser)
{
    if (parser == NULL)
        return;
    bz_events_free(&parser->events);
    bz_arena_free(&parser->arena);
    bz_strbuf_free(&parser->buffer);
    bz_free(parser->world, parser->site);
    bz_free(parser->world, parser);
}

bezel_status bezel_parser_push(bezel_parser *parser, const char *text, size_t size, bezel_error *err)
{
    if (parser == NULL || (text == NULL && size > 0))
        return bz_fail(err, BEZEL_ERR_ARGUMENT, ORIGIN, "parser or text is NULL");
    if (parser->finished)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, ORIGIN, "the output was finished; make a new parser");
    size_t before = parser->buffer.size;
    bz_strbuf_add(&parser->buffer, text, size);
    if (parser->buffer.status != BEZEL_OK) {
        bezel_status status = parser->buffer.status;
        parser->buffer.status = BEZEL_OK;
        bz_strbuf_cut(&parser->buffer, before);
        return status == BEZEL_ERR_MEMORY ? bz_fail_memory(err, ORIGIN, "the output of a model", size)
                                          : bz_fail(err, status, ORIGIN, "more than 1 GiB of output");
    }
    return run(parser, err);
}

bezel_status bezel_parser_finish(bezel_parser *parser, uint32_t stopped, bezel_error *err)
{
    if (parser == NULL || stopped > BEZEL_STOPPED_LIMIT)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, ORIGIN, "parser is NULL or stopped is none of BEZEL_STOPPED_...");
    if (parser->finished)
        return BEZEL_OK;
    parser->finishing = 1;
    parser->cut = stopped == BEZEL_STOPPED_LIMIT;
    bezel_status status = run(parser, err);
    parser->finished = status == BEZEL_OK;
    return status;
}

int32_t bezel_parser_event(bezel_parser *parser, bezel_parse_event *out)
{
    if (parser == NULL || out == NULL || !bz_struct_sized(out) || parser->events.next == parser->events.count)
        return 0;
    const bz_event *event = &parser->events.items[parser->events.next++];
    int is_text = event->type == BEZEL_PARSE_TEXT;
    bezel_parse_event found = {.type = event->type,
                               .text = is_text ? parser->events.text.data + event->from : event->message,
                               .text_size = is_text                  ? event->to - event->from
                                            : event->message != NULL ? strlen(event->message)
                                                                     : 0,
                               .tool = event->tool,
                               .parameter = event->parameter,
                               .code = event->code,
                               .arguments = event->arguments,
                               .offset = event->offset};
    bz_struct_give(out, &found, sizeof found);
    return 1;
}

/* --- The result as one value -------------------------------------------------------------- */

static bezel_value *text_or_null(bezel_tree *tree, const char *text)
{
    return text != NULL ? bezel_tree_text(tree, text, SIZE_MAX) : bezel_tree_null(tree);
}

static bezel_value *error_value(bezel_tree *tree, const bz_event *event)
{
    bezel_value *map = bezel_tree_map(tree);
    bezel_value_set(tree, map, "code", bezel_tree_text(tree, event->code, SIZE_MAX));
    bezel_value_set(tree, map, "tool", text_or_null(tree, event->tool));
    bezel_value_set(tree, map, "parameter", text_or_null(tree, event->parameter));
    bezel_value_set(tree, map, "offset", bezel_tree_integer(tree, (int64_t)event->offset));
    bezel_value_set(tree, map, "message", bezel_tree_text(tree, event->message, SIZE_MAX));
    return map;
}

bezel_status bezel_parser_result(bezel_value **out, bezel_tree *tree, const bezel_parser *parser, bezel_error *err)
{
    if (out == NULL || tree == NULL || parser == NULL)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, ORIGIN, "out, tree or parser is NULL");
    const bz_event_list *events = &parser->events;
    bezel_value *map = bezel_tree_map(tree), *calls = bezel_tree_list(tree), *errors = bezel_tree_list(tree);
    bezel_value *warnings = bezel_tree_map(tree);
    *out = NULL;
    for (size_t i = 0; i < events->count; i++) {
        const bz_event *event = &events->items[i];
        if (event->type == BEZEL_PARSE_CALL) {
            bezel_value *call = bezel_tree_map(tree);
            bezel_value_set(tree, call, "name", bezel_tree_text(tree, event->tool, SIZE_MAX));
            bezel_value_set(tree, call, "arguments", bezel_tree_copy(tree, event->arguments));
            bezel_value_append(tree, calls, call);
        } else if (event->type == BEZEL_PARSE_ERROR) {
            bezel_value_append(tree, errors, error_value(tree, event));
        }
    }
    for (int i = 0; i < BZ_WARN_COUNT; i++)
        if (events->warnings[i] > 0)
            bezel_value_set(tree, warnings, bz_warning_name(i), bezel_tree_integer(tree, events->warnings[i]));
    bezel_value_set(tree, map, "text", bezel_tree_text(tree, bz_strbuf_cstr(&events->text), events->text.size));
    bezel_value_set(tree, map, "calls", calls);
    bezel_value_set(tree, map, "errors", errors);
    bezel_value_set(tree, map, "warnings", warnings);
    if (bezel_tree_status(tree) != BEZEL_OK)
        return bz_fail(err, bezel_tree_status(tree), ORIGIN, "the tree has no room for the result of a parse");
    *out = map;
    return BEZEL_OK;
}
