/* SPDX-License-Identifier: MIT */
/* Makes a guard of its options, and checks messages. Invariant: what a guard holds is compiled and checked when it is made, so
 * that using it fails for texts, never for options. */
#include "guard_impl.h"

#include "base/alloc.h"
#include "base/options.h"
#include "base/os.h"

#include <string.h>

#define GUARD_DAY 86400u

void bezel_guard_options_init(bezel_guard_options *out)
{
    memset(out, 0, sizeof *out);
    out->size = sizeof *out;
    out->max_characters = 8192;
    out->max_messages = 50;
    out->max_requests = 100;
    out->window_s = 3600;
    out->max_window_bytes = 128u << 20;
    out->max_held = 4096;
}

static bezel_status guard_options(bezel_guard_options *o, const bezel_guard_options *in, bezel_error *err)
{
    bezel_guard_options_init(o);
    bezel_status st = bz_options_read(o, sizeof *o, in, "guard", err);
    if (st != BEZEL_OK)
        return st;
    if (o->max_characters == 0 || o->max_messages == 0 || o->max_held == 0)
        return bz_fail(err, BEZEL_ERR_RANGE, "guard", "max_characters, max_messages and max_held must be at least 1");
    if (o->max_requests == 0 || o->max_requests > 10000)
        return bz_fail(err, BEZEL_ERR_RANGE, "guard", "max_requests is %u, expected 1 to 10000", o->max_requests);
    if (o->window_s == 0 || o->window_s > 31 * GUARD_DAY)
        return bz_fail(err, BEZEL_ERR_RANGE, "guard", "window_s is %u, expected 1 to %u", o->window_s, 31 * GUARD_DAY);
    if (o->max_window_bytes < 65536)
        return bz_fail(err, BEZEL_ERR_RANGE, "guard", "max_window_bytes is %llu, expected at least 65536",
                       (unsigned long long)o->max_window_bytes);
    if (o->n_remove + (uint64_t)o->n_patterns > BZ_GUARD_MAX_PATTERNS - 16)
        return bz_fail(err, BEZEL_ERR_RANGE, "guard", "%llu patterns, expected at most %d",
                       (unsigned long long)o->n_remove + o->n_patterns, BZ_GUARD_MAX_PATTERNS - 16);
    if (o->words != NULL && o->n_words > BZ_GUARD_MAX_WORDS)
        return bz_fail(err, BEZEL_ERR_RANGE, "guard", "%u words, expected at most %d", o->n_words, BZ_GUARD_MAX_WORDS);
    if ((o->n_remove && o->remove == NULL) || (o->n_patterns && o->patterns == NULL))
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "guard", "a list of patterns is NULL, its number is not 0");
    return BEZEL_OK;
}

static bezel_status guard_windows(bezel_guard *g, const bezel_guard_options *o, bezel_error *err)
{
    if (o->windows != NULL) {
        if (o->windows->size != sizeof *o->windows || o->windows->edit == NULL)
            return bz_fail(err, BEZEL_ERR_ARGUMENT, "guard", "windows is not a bezel_guard_windows with a function");
        g->windows = *o->windows;
    }
    if (o->boot != NULL)
        memcpy(g->boot, o->boot, sizeof g->boot);
    else
        bz_os_boot_id(g->boot);
    return BEZEL_OK;
}

bezel_status bezel_guard_new(bezel_guard **out, const bezel_engine *engine, const bezel_guard_options *options, bezel_error *err)
{
    const bezel_world *w = bezel_engine_world(engine);
    bezel_guard_options o;
    *out = NULL;
    bezel_status st = guard_options(&o, options, err);
    if (st != BEZEL_OK)
        return st;
    bezel_guard *g = bz_zalloc(w, sizeof *g);
    if (g == NULL)
        return bz_fail_memory(err, "guard", "a guard", sizeof *g);
    g->world = w;
    g->options = o;
    bz_strbuf_init(&g->clean, w, 0);
    bz_strbuf_init(&g->clean_names, w, 0);
    g->names = bz_zalloc_array(w, BZ_GUARD_MAX_PATTERNS, sizeof *g->names);
    if (g->names == NULL)
        st = bz_fail_memory(err, "guard", "names", BZ_GUARD_MAX_PATTERNS * sizeof *g->names);
    if (st == BEZEL_OK)
        st = bz_guard_clean_open(g, &o, err);
    if (st == BEZEL_OK)
        st = bz_guard_filter_open(g, &o, err);
    if (st == BEZEL_OK)
        st = guard_windows(g, &o, err);
    if (st != BEZEL_OK) {
        bezel_guard_free(g);
        return st;
    }
    g->options.remove = g->options.patterns = NULL; /* the host's, and it may free them now */
    g->options.words = NULL;
    g->options.windows = NULL;
    g->options.boot = NULL;
    *out = g;
    return BEZEL_OK;
}

void bezel_guard_free(bezel_guard *g)
{
    if (g == NULL)
        return;
    for (uint32_t i = 0; i < g->n_names; i++)
        bz_free(g->world, g->names[i]);
    bz_free(g->world, g->names);
    bz_patterns_free(g->remove);
    bz_patterns_free(g->forbid);
    bz_strbuf_free(&g->clean);
    bz_strbuf_free(&g->clean_names);
    bz_rate_free(g->rates, g->world);
    bz_free(g->world, g);
}

bezel_status bz_guard_add_pattern(bezel_guard *g, bz_patterns *to, const bezel_guard_pattern *pattern, bezel_error *err)
{
    char text[BZ_PATTERN_TEXT];
    size_t at = 0;
    if (pattern->name == NULL || pattern->pattern == NULL)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "guard", "a pattern or its name is NULL");
    bezel_status st = bz_pattern_add(to, BZ_PATTERN_HOST, pattern->pattern, strlen(pattern->pattern), text, &at);
    if (st == BEZEL_ERR_PARSE) {
        bz_fail(err, st, "guard", "pattern \"%s\" at byte %zu: %s", pattern->name, at, text);
        return bz_error_place(err, st, "%s", pattern->name);
    }
    char *name = st == BEZEL_OK ? bz_text_dup(g->world, pattern->name, SIZE_MAX) : NULL;
    if (name == NULL)
        return bz_fail_memory(err, "guard", "a pattern", strlen(pattern->pattern));
    g->names[g->n_names++] = name;
    return BEZEL_OK;
}

/* --- Messages ----------------------------------------------------------------------------- */

static bezel_status validate_message(const bezel_value *m, size_t i, bezel_error *err)
{
    static const char *const roles[] = {"system", "user", "assistant"};
    const bezel_value *role = bezel_value_get(m, "role"), *content = bezel_value_get(m, "content");
    if (bezel_value_type(m) != BEZEL_MAP)
        return bz_fail(err, BEZEL_ERR_TYPE, "guard", "message %zu is not a map with role and content", i + 1);
    if (role == NULL || content == NULL)
        return bz_fail(err, BEZEL_ERR_MISSING, "guard", "message %zu has no %s", i + 1, role == NULL ? "role" : "content");
    if (bezel_value_type(role) != BEZEL_TEXT || bezel_value_type(content) != BEZEL_TEXT)
        return bz_fail(err, BEZEL_ERR_TYPE, "guard", "the %s of message %zu is not a text",
                       bezel_value_type(role) != BEZEL_TEXT ? "role" : "content", i + 1);
    size_t size = 0;
    const char *text = bezel_value_text(role, &size);
    for (size_t r = 0; r < sizeof roles / sizeof *roles; r++) {
        if (size == strlen(roles[r]) && memcmp(text, roles[r], size) == 0)
            return BEZEL_OK;
    }
    char shown[40];
    bz_text_clean(shown, sizeof shown, text, size);
    return bz_fail(err, BEZEL_ERR_RANGE, "guard", "the role of message %zu is \"%s\", expected system, user or assistant", i + 1,
                   shown);
}

bezel_status bezel_guard_validate(const bezel_guard *g, const bezel_value *messages, bezel_error *err)
{
    if (bezel_value_type(messages) != BEZEL_LIST)
        return bz_fail(err, BEZEL_ERR_TYPE, "guard", "messages is not a list");
    size_t n = bezel_value_count(messages);
    if (n == 0)
        return bz_fail(err, BEZEL_ERR_RANGE, "guard", "messages is empty, expected at least one");
    if (n > g->options.max_messages)
        return bz_fail(err, BEZEL_ERR_LIMIT, "guard", "%zu messages, expected at most %u", n, g->options.max_messages);
    for (size_t i = 0; i < n; i++) {
        bezel_status st = validate_message(bezel_value_at(messages, i), i, err);
        if (st != BEZEL_OK)
            return st;
    }
    return BEZEL_OK;
}
