/* SPDX-License-Identifier: MIT */
/* Lines to messages to answers. Invariants: a request is in the list until it is done or freed; no process = no request in
 * the list and nothing in the buffers. One line of the server is at most max_message bytes in memory, what it writes to its
 * standard error a few KiB, and one look at it reads at most READ_MOST bytes, so that a flood cannot hold the host beyond
 * its deadline. */
#include "mcp_wire.h"

#include "base/alloc.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>

#define READ_SIZE ((size_t)16 << 10)
#define READ_MOST ((size_t)1 << 20)
#define OUT_MOST ((size_t)32 << 20)
#define GRACE_MS 500
#define SLICE_MS 100    /* an end that no stream tells is seen after this */
#define BATCH_MOST 256u /* messages in one line: a list, which 2025-03-26 allows */
#define REWRITES 32u    /* integers beyond 2^53 in one message that become texts */

void bz_mcp_wire_init(bz_mcp_wire *w, bezel_engine *engine, const char *label, size_t max_message)
{
    memset(w, 0, sizeof *w);
    w->engine = engine;
    w->world = bezel_engine_world(engine);
    w->log = bz_engine_log(engine);
    w->label = label;
    bz_notes_init(&w->notes, w->world, w->log);
    bz_strbuf_init(&w->in, w->world, max_message);
    bz_strbuf_init(&w->out, w->world, OUT_MOST);
}

int64_t bz_mcp_left_ms(const bz_mcp_wire *w, int64_t end_ns)
{
    int64_t left = end_ns - w->world->monotonic_ns(w->world->ud);
    return left <= 0 ? 0 : left / 1000000 + 1;
}

/* --- Requests ----------------------------------------------------------------------------- */

static void wire_finish(bz_mcp_wire *w, bz_mcp_request *r)
{
    for (bz_mcp_request **p = &w->waiting; *p; p = &(*p)->next)
        if (*p == r) {
            *p = r->next;
            break;
        }
    r->next = NULL;
    r->done = 1;
}

static void wire_fail_all(bz_mcp_wire *w, const bezel_error *why)
{
    while (w->waiting) {
        bz_mcp_request *r = w->waiting;
        bz_error_copy(&r->error, why);
        wire_finish(w, r);
    }
}

static bz_mcp_request *wire_find(bz_mcp_wire *w, double id)
{
    for (bz_mcp_request *r = w->waiting; r; r = r->next)
        if ((double)r->id == id)
            return r;
    return NULL;
}

void bz_mcp_request_free(bz_mcp_wire *w, bz_mcp_request *r)
{
    if (!r)
        return;
    wire_finish(w, r);
    bezel_tree_free(r->tree);
    bz_free(w->world, r);
}

/* --- Sending ------------------------------------------------------------------------------ */

/* Adds a message to what waits to be sent; the map is of tree. */
static bezel_status wire_put(bz_mcp_wire *w, bezel_tree *tree, const bezel_value *message, bezel_error *err)
{
    char *text = NULL;
    size_t size = 0;
    bezel_status st = bezel_tree_status(tree);
    if (st != BEZEL_OK)
        return st == BEZEL_ERR_MEMORY ? bz_fail_memory(err, BZ_MCP_ORIGIN, "a message", 0)
                                      : bz_fail(err, st, BZ_MCP_ORIGIN, "a message to %s cannot be made", w->label);
    st = bezel_json_write(&text, &size, w->engine, message, 0, err);
    if (st != BEZEL_OK)
        return st;
    if (size > OUT_MOST - w->out.size - 1) {
        st = bz_fail(err, BEZEL_ERR_LIMIT, BZ_MCP_ORIGIN, "%s does not read what it is sent: %llu bytes wait already", w->label,
                     (unsigned long long)w->out.size);
    } else {
        size_t before = w->out.size;
        bz_strbuf_add(&w->out, text, size);
        bz_strbuf_char(&w->out, '\n');
        if (w->out.status != BEZEL_OK) { /* never half a message */
            w->out.status = BEZEL_OK;
            bz_strbuf_cut(&w->out, before);
            st = bz_fail_memory(err, BZ_MCP_ORIGIN, "a message", size);
        }
    }
    bezel_text_free(w->engine, text);
    return st;
}

static bezel_value *wire_message(bezel_tree *tree, const char *method)
{
    bezel_value *message = bezel_tree_map(tree);
    bezel_value_set(tree, message, "jsonrpc", bezel_tree_text(tree, "2.0", SIZE_MAX));
    if (method)
        bezel_value_set(tree, message, "method", bezel_tree_text(tree, method, SIZE_MAX));
    return message;
}

static void wire_meta(const bz_mcp_wire *w, bezel_tree *tree, bezel_value *params)
{
    bezel_value *meta = bezel_tree_map(tree), *info = bezel_tree_map(tree);
    bezel_value_set(tree, info, "name", bezel_tree_text(tree, "bezel", SIZE_MAX));
    bezel_value_set(tree, info, "version", bezel_tree_text(tree, BEZEL_VERSION_TEXT, SIZE_MAX));
    bezel_value_set(tree, meta, "io.modelcontextprotocol/protocolVersion", bezel_tree_text(tree, w->modern, SIZE_MAX));
    bezel_value_set(tree, meta, "io.modelcontextprotocol/clientInfo", info);
    bezel_value_set(tree, meta, "io.modelcontextprotocol/clientCapabilities", bezel_tree_map(tree));
    bezel_value_set(tree, params, "_meta", meta);
}

bezel_status bz_mcp_notify(bz_mcp_wire *w, bezel_tree *tree, const char *method, bezel_value *params, bezel_error *err)
{
    bezel_value *message = wire_message(tree, method);
    if (params)
        bezel_value_set(tree, message, "params", params);
    return wire_put(w, tree, message, err);
}

bezel_status bz_mcp_request_send(bz_mcp_request **out, bz_mcp_wire *w, bezel_tree *tree, const char *method,
                                 bezel_value *params, bezel_error *err)
{
    *out = NULL;
    if (!w->process)
        return bz_fail(err, BEZEL_ERR_IO, BZ_MCP_ORIGIN, "%s does not run", w->label);
    bz_mcp_request *r = bz_zalloc(w->world, sizeof *r);
    if (!r)
        return bz_fail_memory(err, BZ_MCP_ORIGIN, "a request", sizeof *r);
    r->error = (bezel_error)BEZEL_ERROR_INIT;
    r->id = ++w->last_id;
    bezel_value *message = wire_message(tree, method);
    if (w->modern && !params)
        params = bezel_tree_map(tree);
    if (w->modern)
        wire_meta(w, tree, params);
    bezel_value_set(tree, message, "id", bezel_tree_integer(tree, r->id));
    if (params)
        bezel_value_set(tree, message, "params", params);
    bezel_status st = wire_put(w, tree, message, err);
    if (st != BEZEL_OK) {
        bz_free(w->world, r);
        return st;
    }
    r->next = w->waiting;
    w->waiting = r;
    *out = r;
    return BEZEL_OK;
}

void bz_mcp_request_cancel(bz_mcp_wire *w, const bz_mcp_request *r, const char *reason)
{
    bezel_tree *tree = NULL;
    if (r->done || !w->process || bezel_tree_new(&tree, w->engine, NULL) != BEZEL_OK)
        return;
    bezel_value *params = bezel_tree_map(tree);
    bezel_value_set(tree, params, "requestId", bezel_tree_integer(tree, r->id));
    bezel_value_set(tree, params, "reason", bezel_tree_text(tree, reason, SIZE_MAX));
    bz_mcp_notify(w, tree, "notifications/cancelled", params, NULL);
    bezel_tree_free(tree);
    bz_mcp_wire_pump(w, 0, NULL);
}

/* --- Messages of the server --------------------------------------------------------------- */

static void wire_answer(bz_mcp_wire *w, bezel_tree **tree, const bezel_value *message)
{
    const bezel_value *id = bezel_value_get(message, "id"), *error = bezel_value_get(message, "error");
    const bezel_value *result = bezel_value_get(message, "result");
    uint32_t type = bezel_value_type(id);
    bz_mcp_request *r = type == BEZEL_INTEGER || type == BEZEL_NUMBER ? wire_find(w, bezel_value_number(id)) : NULL;
    if (!r) { /* an answer to what was cancelled is no surprise */
        if (type != BEZEL_INTEGER || bezel_value_integer(id) < 1 || bezel_value_integer(id) > w->last_id)
            bz_notes_add(&w->notes, BZ_MCP_ORIGIN, "%s answered what was not asked %.200s", w->label,
                         bezel_value_text(bezel_value_get(error, "message"), NULL));
        return;
    }
    if (error) {
        char words[400];
        size_t size = 0;
        const char *text = bezel_value_text(bezel_value_get(error, "message"), &size);
        snprintf(words, sizeof words, "%s", text);
        for (char *p = words; *p; p++)
            *p = *p == '\n' || *p == '\r' || *p == '\t' ? ' ' : *p;
        r->code = bezel_value_integer(bezel_value_get(error, "code"));
        bz_fail(&r->error, BEZEL_ERR_CALLBACK, BZ_MCP_ORIGIN, "%s answered with error %lld: %s", w->label, (long long)r->code,
                words);
        result = bezel_value_get(error, "data");
    } else if (bezel_value_type(result) != BEZEL_MAP) {
        bz_fail(&r->error, BEZEL_ERR_FORMAT, BZ_MCP_ORIGIN, "%s sent an answer without a result", w->label);
    }
    r->tree = *tree;
    r->result = result;
    *tree = NULL;
    wire_finish(w, r);
}

/* A request of the server: after a handshake pings are answered and all else refused; without one it must send none. */
static void wire_asked(bz_mcp_wire *w, bezel_tree *tree, const char *method, const bezel_value *id)
{
    if (w->modern) {
        bz_notes_add(&w->notes, BZ_MCP_ORIGIN, "%s asked for %.60s, which its version of the protocol does not allow", w->label,
                     method);
        return;
    }
    bezel_value *message = wire_message(tree, NULL);
    bezel_value_set(tree, message, "id", bezel_tree_copy(tree, id));
    if (strcmp(method, "ping") == 0) {
        bezel_value_set(tree, message, "result", bezel_tree_map(tree));
    } else {
        bezel_value *error = bezel_tree_map(tree);
        bezel_value_set(tree, error, "code", bezel_tree_integer(tree, -32601));
        bezel_value_set(tree, error, "message", bezel_tree_text(tree, "this client has no such method", SIZE_MAX));
        bezel_value_set(tree, message, "error", error);
    }
    if (wire_put(w, tree, message, NULL) != BEZEL_OK)
        bz_notes_add(&w->notes, BZ_MCP_ORIGIN, "%s asked for %.60s and got no answer", w->label, method);
}

static void wire_message_in(bz_mcp_wire *w, bezel_tree **tree, const bezel_value *message)
{
    const bezel_value *method = bezel_value_get(message, "method"), *id = bezel_value_get(message, "id");
    if (bezel_value_type(method) == BEZEL_TEXT) {
        const char *name = bezel_value_text(method, NULL);
        if (bezel_value_type(id) != BEZEL_NULL)
            wire_asked(w, *tree, name, id);
        else if (strcmp(name, "notifications/tools/list_changed") == 0)
            w->changed = 1; /* progress, words for a log and other news need nothing */
    } else if (bezel_value_type(message) == BEZEL_MAP) {
        wire_answer(w, tree, message);
    } else {
        bz_notes_add(&w->notes, BZ_MCP_ORIGIN, "%s sent JSON that is no message", w->label);
    }
}

/* The request that a line answers which cannot be read: that is what its id says, where one stands. */
static bz_mcp_request *wire_guess(bz_mcp_wire *w, const char *line, size_t n)
{
    char id[32];
    for (bz_mcp_request *r = w->waiting; r; r = r->next)
        for (int blank = 0; blank < 2; blank++) {
            int size = snprintf(id, sizeof id, "\"id\":%s%lld", blank ? " " : "", (long long)r->id);
            const char *p = memmem(line, n, id, (size_t)size);
            if (p && p + size < line + n && (p[size] < '0' || p[size] > '9'))
                return r;
        }
    return NULL;
}

static void wire_unreadable(bz_mcp_wire *w, const char *line, size_t n, const bezel_error *why)
{
    size_t head = n < 65536 ? n : 65536;
    bz_mcp_request *r = line[0] == '{' && memmem(line, head, "\"jsonrpc\"", 9) ? wire_guess(w, line, head) : NULL;
    if (why->status == BEZEL_ERR_MEMORY) { /* whose answer it was is not known */
        wire_fail_all(w, why);
    } else if (r) {
        bz_fail(&r->error, why->status, BZ_MCP_ORIGIN, "%s sent an answer that cannot be read: %s", w->label, why->text);
        bz_error_hint(&r->error, why->status, "%s", why->hint);
        wire_finish(w, r);
    } else {
        bz_notes_add(&w->notes, BZ_MCP_ORIGIN, "%s wrote a line that is no message: %.*s", w->label, (int)(n < 80 ? n : 80),
                     line);
    }
}

/* Reads a line; integers that a value cannot hold become texts, for they are names of things. */
static bezel_status wire_parse(bezel_value **out, bz_mcp_wire *w, bezel_tree *tree, const char *line, size_t n, bezel_error *err)
{
    bezel_status st = bezel_json_read(out, tree, line, n, err);
    if (st != BEZEL_ERR_RANGE || err->offset < 0)
        return st;
    bz_strbuf text;
    bz_strbuf_init(&text, w->world, w->in.limit + 2 * REWRITES);
    size_t at = 0;
    for (unsigned i = 0; i < REWRITES && st == BEZEL_ERR_RANGE && err->offset >= 0; i++) {
        size_t from = (size_t)err->offset, to;
        if (i == 0)
            bz_strbuf_add(&text, line, n);
        for (to = from + 1; to < text.size && text.data[to] >= '0' && text.data[to] <= '9'; to++)
            continue;
        if (text.status != BEZEL_OK || (to < text.size && strchr(".eE", text.data[to])))
            break; /* no double holds it */
        at = to + 1;
        bz_strbuf_add(&text, "  ", 2);
        if (text.status != BEZEL_OK)
            break;
        memmove(text.data + to + 2, text.data + to, text.size - 2 - to);
        memmove(text.data + from + 1, text.data + from, to - from);
        text.data[from] = text.data[at] = '"';
        st = bezel_json_read(out, tree, text.data, text.size, err);
    }
    if (text.status == BEZEL_ERR_MEMORY)
        st = bz_fail_memory(err, BZ_MCP_ORIGIN, "a message", n);
    bz_strbuf_free(&text);
    return st;
}

static void wire_line(bz_mcp_wire *w, const char *line, size_t n)
{
    bezel_error why = BEZEL_ERROR_INIT;
    bezel_tree *tree = NULL;
    bezel_value *message = NULL;
    while (n && (line[n - 1] == '\r' || line[n - 1] == ' '))
        n--;
    if (!n)
        return;
    bezel_status st = bezel_tree_new(&tree, w->engine, &why);
    if (st == BEZEL_OK)
        st = wire_parse(&message, w, tree, line, n, &why);
    if (st != BEZEL_OK) {
        wire_unreadable(w, line, n, &why);
    } else if (bezel_value_type(message) == BEZEL_LIST) {
        for (size_t i = 0; i < bezel_value_count(message) && i < BATCH_MOST; i++) {
            bezel_tree *own = NULL; /* an answer takes its tree along */
            if (bezel_tree_new(&own, w->engine, NULL) != BEZEL_OK)
                break;
            const bezel_value *copy = bezel_tree_copy(own, bezel_value_at(message, i));
            if (copy)
                wire_message_in(w, &own, copy);
            bezel_tree_free(own);
        }
    } else {
        wire_message_in(w, &tree, message);
    }
    bezel_tree_free(tree);
}

/* --- Streams ------------------------------------------------------------------------------ */

/* What an answer's end brings into the buffer; a line that is too long is no answer to anybody in particular. */
static void wire_keep(bz_mcp_wire *w, const char *bytes, size_t n)
{
    bezel_error why = BEZEL_ERROR_INIT;
    if (w->skips)
        return;
    bz_strbuf_add(&w->in, bytes, n);
    if (w->in.status == BEZEL_OK)
        return;
    if (w->in.status == BEZEL_ERR_LIMIT) {
        bz_fail(&why, BEZEL_ERR_LIMIT, BZ_MCP_ORIGIN, "%s sent a message of more than %llu bytes", w->label,
                (unsigned long long)w->in.limit);
        bz_error_hint(&why, BEZEL_ERR_LIMIT, "max_message sets the limit; ask for less at once");
        bz_notes_add(&w->notes, BZ_MCP_ORIGIN, "%s", why.text);
    } else {
        bz_fail_memory(&why, BZ_MCP_ORIGIN, "a message", w->in.size);
    }
    w->skips = 1;
    bz_strbuf_free(&w->in);
    bz_strbuf_init(&w->in, w->world, w->in.limit);
    wire_fail_all(w, &why);
}

static void wire_take(bz_mcp_wire *w, const char *bytes, size_t n)
{
    const char *end;
    while (n && (end = memchr(bytes, '\n', n)) != NULL) {
        size_t size = (size_t)(end - bytes);
        if (w->in.size || w->skips) {
            wire_keep(w, bytes, size);
            if (!w->skips)
                wire_line(w, bz_strbuf_cstr(&w->in), w->in.size);
            w->skips = 0;
            bz_strbuf_reset(&w->in);
        } else {
            wire_line(w, bytes, size);
        }
        bytes = end + 1;
        n -= size + 1;
    }
    if (n)
        wire_keep(w, bytes, n);
}

/* One line of standard error, for the log and for the text that is kept. */
static void wire_words_line(bz_mcp_wire *w)
{
    char clean[sizeof w->line * 2];
    size_t n = bz_text_clean(clean, sizeof clean - 1, w->line, w->line_size);
    w->line_size = 0;
    bz_log_write(w->log, BEZEL_LOG_DEBUG, BZ_MCP_ORIGIN, "%s: %s", w->label, clean);
    clean[n++] = '\n';
    if (w->words_size + n > BZ_MCP_WORDS) {
        size_t drop = w->words_size + n - BZ_MCP_WORDS;
        while (drop < w->words_size && w->words[drop - 1] != '\n')
            drop++;
        memmove(w->words, w->words + drop, w->words_size - drop);
        w->words_size -= drop;
    }
    memcpy(w->words + w->words_size, clean, n);
    w->words_size += n;
    w->words[w->words_size] = '\0';
}

static void wire_words(bz_mcp_wire *w, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] == '\n' || w->line_size == sizeof w->line)
            wire_words_line(w);
        if (bytes[i] != '\n' && bytes[i] != '\r')
            w->line[w->line_size++] = bytes[i];
    }
}

/* Reads what is there; 1 when there was something. */
static int wire_read(bz_mcp_wire *w)
{
    char buffer[READ_SIZE];
    int any = 0;
    for (size_t left = READ_MOST; left >= READ_SIZE; left -= READ_SIZE) {
        int64_t n = bz_process_read(w->process, BZ_PROCESS_OUT, buffer, sizeof buffer);
        if (n > 0)
            wire_take(w, buffer, (size_t)n);
        int64_t m = bz_process_read(w->process, BZ_PROCESS_ERR, buffer, sizeof buffer);
        if (m > 0)
            wire_words(w, buffer, (size_t)m);
        any |= n > 0 || m > 0;
        if (n <= 0 && m <= 0)
            break;
    }
    return any;
}

static void wire_write(bz_mcp_wire *w)
{
    size_t done = 0;
    int64_t n = 1;
    while (done < w->out.size && n > 0) {
        n = bz_process_write(w->process, w->out.data + done, w->out.size - done);
        done += n > 0 ? (size_t)n : 0;
    }
    bz_strbuf_erase_front(&w->out, done);
}

/* --- Life --------------------------------------------------------------------------------- */

bezel_status bz_mcp_wire_start(bz_mcp_wire *w, const bz_process_options *options, bezel_error *err)
{
    w->words_size = w->line_size = 0;
    w->words[0] = '\0';
    return bz_process_start(&w->process, w->world, options, err);
}

void bz_mcp_wire_stop(bz_mcp_wire *w, int64_t grace_ms, const bezel_error *why)
{
    if (w->process) {
        bz_process_stop(w->process, grace_ms);
        bz_process_free(w->process);
        w->process = NULL;
    }
    w->skips = 0;
    bz_strbuf_reset(&w->in);
    bz_strbuf_reset(&w->out);
    wire_fail_all(w, why);
}

void bz_mcp_wire_close(bz_mcp_wire *w)
{
    bezel_error why = BEZEL_ERROR_INIT;
    bz_fail(&why, BEZEL_ERR_IO, BZ_MCP_ORIGIN, "the server %s was closed", w->label);
    bz_mcp_wire_stop(w, GRACE_MS, &why);
}

void bz_mcp_wire_free(bz_mcp_wire *w)
{
    bz_notes_free(&w->notes);
    bz_strbuf_free(&w->in);
    bz_strbuf_free(&w->out);
}

/* The last line of standard error, as a hint. */
static void wire_last_words(const bz_mcp_wire *w, bezel_error *err)
{
    size_t end = w->words_size, start;
    while (end && w->words[end - 1] == '\n')
        end--;
    for (start = end; start && w->words[start - 1] != '\n'; start--)
        continue;
    if (end > start)
        bz_error_hint(err, err->status, "it said: %.*s", (int)(end - start < 240 ? end - start : 240), w->words + start);
}

static bezel_status wire_ended(bz_mcp_wire *w, bezel_error *err)
{
    bezel_error why = BEZEL_ERROR_INIT;
    char how[48];
    for (int i = 0; i < 20 && !bz_process_has_ended(w->process); i++) { /* it may go on for a moment and say why */
        bz_process_wait(w->process, 0, 10);
        wire_read(w);
    }
    bz_process_stop(w->process, 0);
    bz_process_describe(w->process, how, sizeof how);
    if (w->line_size)
        wire_words_line(w);
    bz_fail(&why, BEZEL_ERR_IO, BZ_MCP_ORIGIN, "the server %s %s", w->label, how);
    wire_last_words(w, &why);
    bz_mcp_wire_stop(w, 0, &why);
    return bz_error_copy(err, &why);
}

bezel_status bz_mcp_wire_pump(bz_mcp_wire *w, int64_t wait_ms, bezel_error *err)
{
    if (!w->process)
        return bz_fail(err, BEZEL_ERR_IO, BZ_MCP_ORIGIN, "the server %s does not run", w->label);
    wire_write(w);
    bz_process_wait(w->process, w->out.size > 0, wait_ms < SLICE_MS ? wait_ms : SLICE_MS);
    int ended = bz_process_has_ended(w->process); /* asked first: then nothing comes behind what is read now */
    int any = wire_read(w);
    if (!any && (ended || bz_process_is_deaf(w->process) || bz_process_fd(w->process) < 0))
        return wire_ended(w, err);
    wire_write(w); /* what is to be said to what was read */
    return BEZEL_OK;
}
