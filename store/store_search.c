/* SPDX-License-Identifier: MIT */
/* Full-text search. Any text is a valid query: each of its words is quoted, so no character has a meaning for the index.
 * A word also finds longer ones that begin with it; all words must occur. Scripts without spaces between words are one
 * long word for the index, so a query that finds nothing is tried again as a part of the text. */
#include "store_impl.h"

#include <string.h>

#include "base/strbuf.h"

#define WORDS_AT_MOST 32

/* "word"* for each word; a quote inside is doubled. Returns their number. */
static size_t search_quote(bz_strbuf *out, const char *query)
{
    static const char blanks[] = " \t\r\n\f\v";
    size_t n = 0;
    for (const char *p = query; n < WORDS_AT_MOST; n++) {
        p += strspn(p, blanks);
        if (!*p)
            break;
        bz_strbuf_text(out, n ? " \"" : "\"");
        for (; *p && !strchr(blanks, *p); p++)
            bz_strbuf_text(out, (char[3]){*p, *p == '"' ? '"' : 0, 0});
        bz_strbuf_text(out, "\"*");
    }
    return n;
}

static bezel_status search_run(bezel_value *list, bezel_tree *tree, bezel_store *store, int which, const char *query,
                               uint32_t limit, bezel_error *err)
{
    sqlite3_stmt *stmt;
    bezel_status st = bz_store_statement(&stmt, store, which, err);
    if (st != BEZEL_OK)
        return st;
    bz_store_row row;
    bz_store_row_init(&row, stmt);
    bz_store_row_text(&row, query);
    bz_store_row_integer(&row, limit);
    if (row.rc != SQLITE_OK)
        st = bz_store_fail(store, row.rc, "search", err);
    else
        st = bz_store_rows(list, tree, store, stmt, "search", err);
    sqlite3_clear_bindings(stmt);
    return st;
}

bezel_status bezel_store_search(bezel_value **out, bezel_tree *tree, bezel_store *store, const char *query,
                                uint32_t limit, bezel_error *err)
{
    if (out)
        *out = NULL;
    if (!out || !tree || !store || !query)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "store", "bezel_store_search needs out, a tree, a store and a query");
    if (!store->db)
        return bz_fail(err, BEZEL_ERR_BUSY, "store", "the store cannot answer now");
    bz_strbuf words;
    bz_strbuf_init(&words, store->world, 0);
    bezel_value *list = bezel_tree_list(tree);
    bezel_status st = BEZEL_OK;
    size_t n = search_quote(&words, query);
    if (words.status != BEZEL_OK || !list)
        st = bz_fail_memory(err, "store", "the query", words.size);
    if (st == BEZEL_OK && n > 0) {
        st = search_run(list, tree, store, BZ_SQL_SEARCH_WORDS, bz_strbuf_cstr(&words), limit, err);
        if (st == BEZEL_OK && bezel_value_count(list) == 0)
            st = search_run(list, tree, store, BZ_SQL_SEARCH_PART, query, limit, err);
    }
    bz_strbuf_free(&words);
    if (st == BEZEL_OK)
        *out = list;
    return st;
}
