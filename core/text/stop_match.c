/* SPDX-License-Identifier: MIT */
/* Purpose: find stop strings in text that comes in pieces, in one pass. Invariant: the state is the longest end of the
 * text so far that begins a stop string; exactly those bytes are held back, and since the state's path in the trie
 * spells them, no buffer is needed. The result does not depend on where the text is cut.
 * Source: Aho and Corasick, "Efficient string matching", CACM 18(6), 1975. Not here: characters; the strings and the
 * text are valid UTF-8, so what is held always begins at a character. */
#include "text/stop_match.h"

#include "base/alloc.h"
#include "base/utf8.h"

#include <string.h>

#define STOP_ORIGIN "stop_match"
#define STOP_MAX_STRINGS 64u
#define STOP_MAX_SIZE 256u

typedef struct stop_node {
    uint16_t child, next; /* first child, next sibling; 0 = none */
    uint16_t fail;        /* longest proper end of this path that is a path, too */
    uint16_t depth;
    uint16_t string;      /* one of the strings that begin with this path */
    int16_t found;        /* longest string that ends here (itself or along fail), -1 = none */
    char byte;
} stop_node;

struct bz_stop_match {
    const bezel_world *world;
    char *strings;                       /* all strings, one after the other */
    uint32_t starts[STOP_MAX_STRINGS + 1];
    stop_node *nodes; /* node 0: nothing held */
    size_t n_nodes;
    uint16_t state;
    int found; /* -1 = none yet */
};

static uint16_t stop_child(const bz_stop_match *m, uint16_t node, char byte)
{
    uint16_t child = m->nodes[node].child;
    while (child && m->nodes[child].byte != byte)
        child = m->nodes[child].next;
    return child;
}

static void stop_add(bz_stop_match *m, uint16_t string)
{
    const char *text = m->strings + m->starts[string];
    size_t size = m->starts[string + 1] - m->starts[string];
    uint16_t node = 0;
    for (size_t i = 0; i < size; i++) {
        uint16_t child = stop_child(m, node, text[i]);
        if (!child) {
            child = (uint16_t)m->n_nodes++;
            m->nodes[child] = (stop_node){0, m->nodes[node].child, 0, (uint16_t)(i + 1), string, -1, text[i]};
            m->nodes[node].child = child;
        }
        node = child;
    }
    if (m->nodes[node].found < 0)
        m->nodes[node].found = (int16_t)string;
}

/* Where the text goes from `state` with one more byte. */
static uint16_t stop_step(const bz_stop_match *m, uint16_t state, char byte)
{
    for (;;) {
        uint16_t child = stop_child(m, state, byte);
        if (child || !state)
            return child;
        state = m->nodes[state].fail;
    }
}

/* Failure links by depth; those of a depth need only lesser ones. queue holds n_nodes places. */
static void stop_link(bz_stop_match *m, uint16_t *queue)
{
    size_t head = 0, tail = 0;
    queue[tail++] = 0;
    while (head < tail) {
        uint16_t parent = queue[head++];
        for (uint16_t c = m->nodes[parent].child; c; c = m->nodes[c].next) {
            stop_node *n = &m->nodes[c];
            n->fail = parent ? stop_step(m, m->nodes[parent].fail, n->byte) : 0;
            if (n->found < 0)
                n->found = m->nodes[n->fail].found;
            queue[tail++] = c;
        }
    }
}

static bezel_status stop_check(const char *const *stops, size_t n, size_t *out_total, bezel_error *err)
{
    *out_total = 0;
    if (n > STOP_MAX_STRINGS)
        return bz_fail(err, BEZEL_ERR_LIMIT, STOP_ORIGIN, "%zu stop strings were given, at most %u are possible", n,
                       STOP_MAX_STRINGS);
    for (size_t i = 0; i < n; i++) {
        size_t size = stops[i] ? strlen(stops[i]) : 0;
        if (!size)
            return bz_fail(err, BEZEL_ERR_ARGUMENT, STOP_ORIGIN, "stop string %zu is empty; it would stop every answer", i);
        if (size > STOP_MAX_SIZE)
            return bz_fail(err, BEZEL_ERR_LIMIT, STOP_ORIGIN, "stop string %zu has %zu bytes, at most %u are possible", i,
                           size, STOP_MAX_SIZE);
        if (!bz_utf8_valid(stops[i], size))
            return bz_fail(err, BEZEL_ERR_ARGUMENT, STOP_ORIGIN, "stop string %zu is no valid UTF-8", i);
        *out_total += size;
    }
    return BEZEL_OK;
}

bezel_status bz_stop_match_new(bz_stop_match **out, const bezel_world *w, const char *const *stops, size_t n,
                               bezel_error *err)
{
    size_t total;
    *out = NULL;
    bezel_status st = stop_check(stops, n, &total, err);
    if (st)
        return st;
    bz_stop_match *m = bz_zalloc(w, sizeof *m);
    if (!m)
        return bz_fail_memory(err, STOP_ORIGIN, "stop strings", sizeof *m);
    m->world = w;
    m->found = -1;
    m->strings = bz_alloc(w, total + 1);
    m->nodes = bz_zalloc_array(w, total + 1, sizeof *m->nodes);
    uint16_t *queue = bz_zalloc_array(w, total + 1, sizeof *queue);
    if (!m->strings || !m->nodes || !queue) {
        bz_free(w, queue);
        bz_stop_match_free(m);
        return bz_fail_memory(err, STOP_ORIGIN, "stop strings", total * (1 + sizeof *m->nodes + sizeof *queue));
    }
    m->n_nodes = 1;
    m->nodes[0].found = -1;
    for (size_t i = 0; i < n; i++) {
        size_t size = strlen(stops[i]);
        memcpy(m->strings + m->starts[i], stops[i], size);
        m->starts[i + 1] = m->starts[i] + (uint32_t)size;
        stop_add(m, (uint16_t)i);
    }
    stop_link(m, queue);
    bz_free(w, queue);
    *out = m;
    return BEZEL_OK;
}

void bz_stop_match_free(bz_stop_match *m)
{
    if (!m)
        return;
    bz_free(m->world, m->nodes);
    bz_free(m->world, m->strings);
    bz_free(m->world, m);
}

/* Gives out the first n bytes of what was held in `state` followed by text. */
static void stop_release(const bz_stop_match *m, bz_strbuf *out, uint16_t state, const char *text, size_t n)
{
    size_t held = m->nodes[state].depth, first = n < held ? n : held;
    if (first)
        bz_strbuf_add(out, m->strings + m->starts[m->nodes[state].string], first);
    if (n > first)
        bz_strbuf_add(out, text, n - first);
}

int bz_stop_match_push(bz_stop_match *m, bz_strbuf *out, const char *text, size_t size)
{
    if (m->found >= 0)
        return m->found;
    uint16_t before = m->state, state = before;
    size_t held = m->nodes[before].depth;
    for (size_t i = 0; i < size; i++) {
        state = stop_step(m, state, text[i]);
        int found = m->nodes[state].found;
        if (found < 0)
            continue;
        size_t length = m->starts[found + 1] - m->starts[found];
        stop_release(m, out, before, text, held + i + 1 - length);
        m->found = found;
        m->state = 0;
        return found;
    }
    stop_release(m, out, before, text, held + size - m->nodes[state].depth);
    m->state = state;
    return -1;
}

void bz_stop_match_finish(bz_stop_match *m, bz_strbuf *out)
{
    stop_release(m, out, m->state, NULL, m->nodes[m->state].depth);
    m->state = 0;
}
