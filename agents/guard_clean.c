/* SPDX-License-Identifier: MIT */
/* Cleaning of texts: repair, invisible characters, composed form, patterns, length. Invariant: what comes out has no match of
 * any pattern and nothing invisible, also where removing one thing brings another together; texts of several messages are one
 * for the patterns. */
#include "guard_impl.h"

#include "guard_fold.h"

#include "base/alloc.h"
#include "base/options.h"
#include "base/utf8.h"

#include <string.h>
#include <utf8proc.h>

/* Steps of all patterns on a text of so many bytes: some 25 ms, and what a text full of matches needs. */
#define CLEAN_STEPS(size) ((uint32_t)(1000000u + 8u * (size)))
#define CLEAN_ROUNDS 32      /* elements inside of elements; more is no text of a person */

/* The six of the requirement (R20). */
static const bezel_guard_pattern built_in[] = {
    {"script", "<script\\b[^>]*>.*?</script\\s*>"}, {"javascript", "javascript:"},
    {"data", "data:text/html"},                     {"iframe", "<iframe\\b[^>]*>.*?</iframe\\s*>"},
    {"object", "<object\\b[^>]*>.*?</object\\s*>"}, {"embed", "<embed\\b[^>]*>.*?</embed\\s*>"},
};

bezel_status bz_guard_clean_open(bezel_guard *g, const bezel_guard_options *options, bezel_error *err)
{
    bezel_status st = bz_patterns_new(&g->remove, g->world, BZ_GUARD_MAX_PATTERNS);
    if (st != BEZEL_OK)
        return bz_fail_memory(err, "guard", "patterns", 0);
    for (size_t i = 0; st == BEZEL_OK && i < sizeof built_in / sizeof *built_in; i++)
        st = bz_guard_add_pattern(g, g->remove, &built_in[i], err);
    for (uint32_t i = 0; st == BEZEL_OK && i < options->n_remove; i++)
        st = bz_guard_add_pattern(g, g->remove, &options->remove[i], err);
    g->n_remove = g->n_names;
    return st;
}

/* --- Characters ----------------------------------------------------------------------------- */

/* Next character at *i; an invalid byte is U+FFFD. */
static uint32_t clean_next(const char *text, size_t size, size_t *i, uint64_t *n_repaired)
{
    uint32_t cp = 0;
    size_t n = bz_utf8_decode(&cp, text + *i, size - *i);
    *i += n ? n : 1;
    if (n)
        return cp;
    ++*n_repaired;
    return 0xfffd;
}

/* Appends the text without what nobody sees. */
static void clean_visible(bz_strbuf *to, const char *text, size_t size, bezel_clean *sum)
{
    uint32_t before = 0;
    char bytes[4];
    for (size_t i = 0; i < size;) {
        uint32_t cp = clean_next(text, size, &i, &sum->n_repaired);
        int keep = !bz_fold_is_invisible(cp);
        if (!keep && bz_fold_is_joiner(cp)) {
            size_t next = i;
            uint64_t ignored = 0;
            uint32_t after = next < size ? clean_next(text, size, &next, &ignored) : 0;
            keep = bz_fold_joins(before, cp, after);
        }
        if (keep)
            bz_strbuf_add(to, bytes, bz_utf8_encode(bytes, cp));
        else
            sum->n_invisible++;
        before = keep ? cp : before;
    }
}

/* Puts the composed form (NFC) of all behind `from` in its place. */
static bezel_status clean_compose(bz_strbuf *b, const bezel_world *w, size_t from)
{
    const utf8proc_option_t options = UTF8PROC_STABLE | UTF8PROC_COMPOSE;
    const utf8proc_uint8_t *text = (const utf8proc_uint8_t *)b->data + from;
    const utf8proc_ssize_t size = (utf8proc_ssize_t)(b->size - from);
    int is_ascii = 1;
    if (b->status != BEZEL_OK || b->size == from)
        return b->status;
    for (utf8proc_ssize_t i = 0; is_ascii && i < size; i++)
        is_ascii = text[i] < 0x80;
    if (is_ascii)
        return BEZEL_OK;
    utf8proc_ssize_t count = utf8proc_decompose(text, size, NULL, 0, options);
    utf8proc_int32_t *parts = count < 0 ? NULL : bz_zalloc_array(w, (size_t)count + 1, sizeof *parts);
    if (parts == NULL)
        return BEZEL_ERR_MEMORY;
    count = utf8proc_decompose(text, size, parts, count, options);
    if (count >= 0)
        count = utf8proc_reencode(parts, count, options); /* parts has room for one character more than it needs */
    if (count >= 0) {
        bz_strbuf_cut(b, from);
        bz_strbuf_add(b, parts, (size_t)count);
    }
    bz_free(w, parts);
    return b->status;
}

/* Bytes that hold at most `most` characters, cut between what a reader sees as two; *out_cut takes the characters behind. */
static size_t clean_length(const char *text, size_t size, uint32_t most, uint64_t *out_cut)
{
    size_t fits = 0, count = 0;
    utf8proc_int32_t state = 0;
    uint32_t before = 0;
    *out_cut = 0;
    if (size <= most)
        return size;
    for (size_t i = 0; i < size; count++) {
        uint64_t ignored = 0;
        size_t at = i;
        uint32_t cp = clean_next(text, size, &i, &ignored);
        int is_break = at == 0 || utf8proc_grapheme_break_stateful((utf8proc_int32_t)before, (utf8proc_int32_t)cp, &state);
        if (is_break && count <= most)
            fits = at;
        before = cp;
    }
    if (count <= most)
        return size;
    if (fits == 0) /* one character of a thousand marks */
        fits = bz_utf8_cut(text, most);
    *out_cut = bz_utf8_count(text + fits, size - fits);
    return fits;
}

/* --- Patterns ------------------------------------------------------------------------------- */

static void clean_name(bezel_guard *g, uint32_t i)
{
    const char *name = g->names[i], *known = bz_strbuf_cstr(&g->clean_names);
    const size_t n = strlen(name);
    for (const char *p = known; (p = strstr(p, name)) != NULL; p += n) {
        if ((p == known || p[-1] == ' ') && (p[n] == 0 || p[n] == ','))
            return;
    }
    bz_strbuf_format(&g->clean_names, "%s%s", *known ? ", " : "", name);
}

typedef struct clean_search {
    bz_pattern_search search;
    uint32_t n_removed;
} clean_search;

/* Copies the text to `to` without the matches of pattern i; ends move along. */
static int clean_pattern(bz_strbuf *to, size_t *ends, size_t count, const bezel_guard *g, uint32_t i, clean_search *c)
{
    size_t removed = 0, e = 0, copied = 0;
    int rc;
    c->search.text = g->clean.data;
    c->search.size = g->clean.size;
    c->search.from = 0;
    while ((rc = bz_pattern_match(g->remove, i, &c->search)) == BZ_PATTERN_FOUND) {
        bz_strbuf_add(to, g->clean.data + copied, c->search.begin - copied);
        for (; e < count && ends[e] <= c->search.begin; e++)
            ends[e] -= removed;
        for (; e < count && ends[e] < c->search.end; e++) /* a text that ends inside of the match */
            ends[e] = c->search.begin - removed;
        removed += c->search.end - c->search.begin;
        c->n_removed++;
        copied = c->search.from = c->search.end;
    }
    bz_strbuf_add(to, g->clean.data + copied, g->clean.size - copied);
    for (; e < count; e++)
        ends[e] -= removed;
    return rc;
}

static bezel_status clean_patterns(bezel_guard *g, size_t *ends, size_t count, bezel_clean *sum, bezel_error *err)
{
    clean_search c = {.search = {.steps = CLEAN_STEPS(g->clean.size)}};
    uint32_t clean_in_a_row = 0; /* patterns that found nothing since the last one that did */
    uint32_t last = 0;           /* that found something */
    for (uint32_t n = 0; clean_in_a_row < g->n_remove && g->clean.size; n++) {
        const uint32_t i = n % g->n_remove;
        bz_strbuf next;
        if (n >= CLEAN_ROUNDS * g->n_remove)
            return bz_fail(err, BEZEL_ERR_LIMIT, "guard", "after %d rounds of removing patterns there are still some (last: %s)",
                           CLEAN_ROUNDS, g->names[last]);
        bz_strbuf_init(&next, g->world, 0);
        const int rc = clean_pattern(&next, ends, count, g, i, &c);
        if (rc != BZ_PATTERN_NONE || next.status != BEZEL_OK) {
            bz_strbuf_free(&next);
            if (rc == BZ_PATTERN_SLOW)
                return bz_fail(err, BEZEL_ERR_LIMIT, "guard", "pattern \"%s\" works too long on this text", g->names[i]);
            return bz_fail_memory(err, "guard", "a clean text", g->clean.size);
        }
        clean_in_a_row++;
        if (c.n_removed) {
            sum->n_removed += c.n_removed;
            c.n_removed = clean_in_a_row = 0;
            clean_name(g, i);
            last = i;
        }
        bz_strbuf_free(&g->clean);
        g->clean = next;
    }
    return BEZEL_OK;
}

/* --- Whole texts ---------------------------------------------------------------------------- */

/* Cleans the messages' texts, one behind the other, to g->clean; ends[i] is where text i ends. */
static bezel_status clean_all(bezel_guard *g, const bezel_message *messages, size_t *ends, size_t count, bezel_clean *sum,
                              bezel_error *err)
{
    bz_strbuf *b = &g->clean;
    bezel_status st = BEZEL_OK;
    size_t total = 0;
    bz_strbuf_reset(b);
    bz_strbuf_reset(&g->clean_names);
    for (size_t i = 0; st == BEZEL_OK && i < count; i++) {
        const size_t from = b->size;
        const char *text = messages[i].text ? messages[i].text : "";
        const size_t size = messages[i].text_size == SIZE_MAX ? strlen(text) : messages[i].text_size;
        total += size;
        if (size > BZ_GUARD_MAX_TEXT || total > BZ_GUARD_MAX_TEXT)
            return bz_fail(err, BEZEL_ERR_LIMIT, "guard", "the text has over %d bytes", BZ_GUARD_MAX_TEXT);
        clean_visible(b, text, size, sum);
        st = clean_compose(b, g->world, from);
        ends[i] = b->size;
    }
    if (st == BEZEL_OK)
        st = b->status;
    if (st != BEZEL_OK)
        return bz_fail_memory(err, "guard", "a clean text", total);
    return clean_patterns(g, ends, count, sum, err);
}

/* Cuts each text and puts a NUL behind it. texts[i] and sizes are those of messages when all is done. */
static bezel_status clean_cut(bezel_guard *g, bezel_message *messages, size_t *ends, size_t count, bezel_clean *sum, bezel_error *err)
{
    bz_strbuf *b = &g->clean;
    const size_t total = b->size;
    size_t from = 0, to = 0;
    for (size_t i = 0; i < count; i++)
        bz_strbuf_char(b, 0); /* room for the ends of texts */
    if (b->status != BEZEL_OK || g->clean_names.status != BEZEL_OK)
        return bz_fail_memory(err, "guard", "a clean text", total);
    if (count == 0)
        return BEZEL_OK;
    memmove(b->data + count, b->data, total); /* texts move down from here, never over each other */
    for (size_t i = 0; i < count; i++) {
        uint64_t cut = 0;
        const char *text = b->data + count + from;
        const size_t size = clean_length(text, ends[i] - from, g->options.max_characters, &cut);
        memmove(b->data + to, text, size);
        b->data[to + size] = 0;
        messages[i].text = b->data + to;
        messages[i].text_size = size;
        sum->n_cut += cut;
        to += size + 1;
        from = ends[i];
    }
    sum->names = bz_strbuf_cstr(&g->clean_names);
    return BEZEL_OK;
}

static bezel_status clean_messages(bezel_clean *sum, bezel_guard *g, bezel_message *messages, size_t count, bezel_error *err)
{
    size_t *ends = bz_zalloc_array(g->world, count + 1, sizeof *ends);
    if (ends == NULL)
        return bz_fail_memory(err, "guard", "messages", count * sizeof *ends);
    bezel_status st = clean_all(g, messages, ends, count, sum, err);
    if (st == BEZEL_OK)
        st = clean_cut(g, messages, ends, count, sum, err);
    bz_free(g->world, ends);
    return st;
}

bezel_status bezel_guard_clean(bezel_clean *out, bezel_guard *guard, const char *text, size_t size, bezel_error *err)
{
    bezel_message message = {sizeof message, BEZEL_ROLE_USER, text, size};
    bezel_clean sum = {.size = sizeof sum};
    bezel_status st = clean_messages(&sum, guard, &message, 1, err);
    if (st == BEZEL_OK) {
        sum.text = message.text;
        sum.text_size = message.text_size;
    }
    if (out != NULL && bz_struct_sized(out))
        bz_struct_give(out, &sum, sizeof sum);
    return st;
}

bezel_status bezel_guard_clean_messages(bezel_clean *out, bezel_guard *guard, bezel_message *messages, size_t count,
                                        bezel_error *err)
{
    bezel_clean sum = {.size = sizeof sum};
    for (size_t i = 0; i < count; i++) {
        if (messages[i].size != sizeof messages[i])
            return bz_fail(err, BEZEL_ERR_ARGUMENT, "guard", "message %zu has a size that is not this library's", i + 1);
    }
    bezel_status st = clean_messages(&sum, guard, messages, count, err);
    if (out != NULL && bz_struct_sized(out))
        bz_struct_give(out, &sum, sizeof sum);
    return st;
}
