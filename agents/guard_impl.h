/* SPDX-License-Identifier: MIT */
/* The parts of a guard: guard.c makes it and validates, guard_clean.c cleans, guard_filter.c filters, guard_rate.c counts. */
#ifndef BZ_GUARD_IMPL_H
#define BZ_GUARD_IMPL_H

#include <bezel/guard.h>

#include "base/pattern.h"
#include "base/status.h"
#include "base/strbuf.h"

enum {
    BZ_GUARD_MAX_PATTERNS = 256,
    BZ_GUARD_MAX_WORDS = 10000,
    BZ_GUARD_MAX_TEXT = 1 << 20,
    BZ_GUARD_MAX_ANSWER = 16 << 20,
};

typedef struct bz_rate_table bz_rate_table;

struct bezel_guard {
    const bezel_world *world;
    bezel_guard_options options; /* its lists are not kept */
    char **names;                /* [n_names] of removed patterns, then of forbidden ones */
    uint32_t n_names, n_remove;
    bz_patterns *remove; /* [n_remove] */
    bz_patterns *forbid; /* [0] are the words, when has_words; then the patterns */
    int has_words;
    bz_strbuf clean, clean_names;
    char detail[128];    /* of the last verdict */
    bezel_guard_windows windows; /* edit NULL: in memory */
    uint8_t boot[16];
    bz_rate_table *rates; /* NULL until the first request */
};

/* Fills g->remove and g->forbid from the options. */
bezel_status bz_guard_clean_open(bezel_guard *g, const bezel_guard_options *options, bezel_error *err);
bezel_status bz_guard_filter_open(bezel_guard *g, const bezel_guard_options *options, bezel_error *err);
/* Adds a pattern of the host under its name; to g->names, too. */
bezel_status bz_guard_add_pattern(bezel_guard *g, bz_patterns *to, const bezel_guard_pattern *pattern, bezel_error *err);
void bz_rate_free(bz_rate_table *t, const bezel_world *w); /* NULL is fine */

#endif
