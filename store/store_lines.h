/* SPDX-License-Identifier: MIT */
/* A store as lines of JSON, what store_export.c writes and store_import.c reads:
 *
 *     {"bezel_store":1,"schema":6,"source":"…","user_keys":"…"}       first: form, version of the schema, whose rows, marks
 *     {"table":"turn","row":{"id":"…","conversation":null,…}}         then all rows, table by table in the order below
 *     {"table":"usage_total","source":"…","row":{…}}                  totals: one line a source that counted
 *     {"rows":2}                                                      last: how many lines were between
 *
 * A value is JSON's own, or where JSON has none a map of one key: {"integer":"9223372036854775807"} beyond 2^53,
 * {"real":"inf"} and "-inf", {"text":"hex digits"} for text that is no UTF-8 or has a NUL, {"blob":"hex digits"}.
 *
 * Totals count rows that are gone, so they cannot be made of rows again, and adding them would count twice what two files have
 * in common. So each counter belongs to the store that counted (its `source` in meta), and the table imported_total remembers
 * how far others had come: only what is beyond is added. Copies of a file have the same source: of these the larger counts. */
#ifndef BZ_STORE_LINES_H
#define BZ_STORE_LINES_H

#include "store_impl.h"

#define BZ_LINE_AT_MOST ((size_t)16 << 20) /* bytes of a line: what bezel_json_read takes */
#define BZ_LINE_VALUES 16                  /* most value columns of a table of totals */

enum { /* how rows are known again */
    BZ_LINE_KEYED = 0, /* by their first column, which is the same in every store */
    BZ_LINE_CHILD,     /* by the turn that they belong to; ids are numbers of one file */
    BZ_LINE_EVENT,     /* by being equal in everything but the id */
    BZ_LINE_TOTAL      /* by keys, a counter a source */
};

typedef struct bz_line_table {
    const char *name;
    int kind;
    const char *read;    /* the rows in their order */
    const char *merge;   /* KEYED: the end of the INSERT */
    const char *content; /* columns that are left NULL without keep_content, " a b " */
    const char *keys;    /* TOTAL: what the first columns are in imported_total: k(ind), n(ame), d(ay), s(tep) */
    const char *maxima;  /* TOTAL: columns of which the largest stays, " a b "; the others add up */
} bz_line_table;

/* ORDER: what others refer to comes first. Ends with a NULL name. */
extern const bz_line_table bz_line_tables[];

/* 1 when `word` is in a list like " a b ". */
int bz_line_has(const char *list, const char *word);

/* What one source has counted under the keys of a row of totals. */
typedef struct bz_line_counts {
    char source[64];
    double values[BZ_LINE_VALUES];
} bz_line_counts;

/* The keys of a row as imported_total has them; texts are borrowed. */
typedef struct bz_line_keys {
    const char *kind, *name, *day;
    int64_t step;
} bz_line_keys;

/* Binds what imported_total is asked for: total, kind, name, day, step. */
void bz_line_keys_bind(bz_store_row *row, const bz_line_table *table, const bz_line_keys *keys);
/* Reads "1,2.5,3" into values [BZ_LINE_VALUES], 0 for those that are missing. */
void bz_line_counts_read(double *values, const char *text);

#endif
