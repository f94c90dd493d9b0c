/* SPDX-License-Identifier: MIT */
/* Writes a store as lines of JSON (store_lines.h). All of it is one state of the store; the file gets its name when it is
 * complete. */
#include "store_lines.h"
#include "store_output.h"

#include <math.h>
#include <string.h>

#include <bezel/engine.h>

#include "base/number.h"
#include "base/strbuf.h"
#include "base/utf8.h"

#define EXACT (INT64_C(1) << 53) /* integers up to it are JSON's */

/* --- Tables ------------------------------------------------------------------------------- */

#define BY_ID(table) "SELECT * FROM " table " ORDER BY id"
#define TOTAL(table, keys, order, maxima) \
    {table, BZ_LINE_TOTAL, "SELECT * FROM " table " ORDER BY " order, NULL, "", keys, maxima}
/* What is newer of a row that both have. */
#define NEWER(table, time, columns) " ON CONFLICT DO UPDATE SET " columns " WHERE excluded." time " > " table "." time
#define NEW(column) column " = excluded." column

const bz_line_table bz_line_tables[] = {
    {"conversation", BZ_LINE_KEYED, BY_ID("conversation"),
     NEWER("conversation", "updated_ms", "title = coalesce(excluded.title, title), " NEW("user") ", " NEW("model") ", " NEW("updated_ms")), " title ", "", ""},
    {"turn", BZ_LINE_KEYED, BY_ID("turn"), " ON CONFLICT DO NOTHING", " error ", "", ""},
    {"message", BZ_LINE_CHILD, BY_ID("message"), NULL, " text ", "", ""},
    {"tool_call", BZ_LINE_CHILD, BY_ID("tool_call"), NULL, " arguments result error ", "", ""},
    {"usage", BZ_LINE_CHILD, BY_ID("usage"), NULL, "", "", ""},
    {"decision", BZ_LINE_CHILD, BY_ID("decision"), NULL, " detail ", "", ""},
    {"request", BZ_LINE_EVENT, BY_ID("request"), NULL, " error ", "", ""},
    {"quality", BZ_LINE_EVENT, BY_ID("quality"), NULL, "", "", ""},
    {"alert", BZ_LINE_EVENT, BY_ID("alert"), NULL, "", "", ""},
    {"guard_decision", BZ_LINE_EVENT,
     "SELECT d.id, r.id AS request, d.at_ms, d.kind, d.outcome, d.rule, d.detail FROM guard_decision d"
     " LEFT JOIN request r ON r.id = d.request ORDER BY d.id", NULL, " detail ", "", ""},
    {"health", BZ_LINE_EVENT, BY_ID("health"), NULL, "", "", ""},
    {"rate_window", BZ_LINE_KEYED, "SELECT * FROM rate_window ORDER BY key",
     NEWER("rate_window", "used_minute", NEW("state") ", " NEW("used_minute")), "", "", ""},
    TOTAL("usage_total", "kdn", "kind, day, name", ""),
    TOTAL("tool_total", "nd", "name, day", " slowest_us last_ms "),
    TOTAL("request_total", "nd", "model, day", " memory_bytes "),
    TOTAL("quality_total", "nd", "model, day", ""),
    TOTAL("event_total", "knd", "kind, name, day", ""),
    TOTAL("histogram", "knds", "metric, name, day, value", ""),
    {0},
};

int bz_line_has(const char *list, const char *word)
{
    const size_t n = strlen(word);
    for (const char *p = list; (p = strstr(p, word)) != NULL; p++) {
        if (p > list && p[-1] == ' ' && p[n] == ' ')
            return 1;
    }
    return 0;
}

void bz_line_keys_bind(bz_store_row *row, const bz_line_table *table, const bz_line_keys *keys)
{
    bz_store_row_text(row, table->name);
    bz_store_row_text(row, keys->kind);
    bz_store_row_text(row, keys->name);
    bz_store_row_text(row, keys->day);
    bz_store_row_integer(row, keys->step);
}

void bz_line_counts_read(double *values, const char *text)
{
    for (int i = 0; i < BZ_LINE_VALUES; i++) {
        const size_t n = text ? strcspn(text, ",") : 0;
        if (!n || !bz_number_parse(&values[i], text, n))
            values[i] = 0;
        text = text && text[n] ? text + n + 1 : NULL;
    }
}

/* --- Lines -------------------------------------------------------------------------------- */

typedef struct exporter {
    bezel_store *store;
    bz_store_output *out;
    uint64_t rows;
    bezel_tree *tree; /* of one line */
    char source[64];
} exporter;

/* A map with one key and hex digits, or what `text` says. */
static bezel_value *export_other(bezel_tree *tree, const char *kind, const void *bytes, size_t size, const char *text)
{
    bezel_value *map = bezel_tree_map(tree);
    if (text) {
        bezel_value_set(tree, map, kind, bezel_tree_text(tree, text, SIZE_MAX));
        return map;
    }
    char *hex = sqlite3_malloc64(2 * (sqlite3_uint64)size + 1);
    if (!hex)
        return NULL;
    bz_store_hex(hex, bytes, size);
    bezel_value_set(tree, map, kind, bezel_tree_text(tree, hex, 2 * size));
    sqlite3_free(hex);
    return map;
}

static bezel_value *export_value(bezel_tree *tree, sqlite3_stmt *stmt, int i)
{
    switch (sqlite3_column_type(stmt, i)) {
    case SQLITE_INTEGER: {
        const int64_t x = sqlite3_column_int64(stmt, i);
        char digits[32];
        if (x <= EXACT && x >= -EXACT)
            return bezel_tree_integer(tree, x);
        sqlite3_snprintf((int)sizeof digits, digits, "%lld", (long long)x);
        return export_other(tree, "integer", NULL, 0, digits);
    }
    case SQLITE_FLOAT: {
        const double x = sqlite3_column_double(stmt, i);
        return isfinite(x) ? bezel_tree_number(tree, x) : export_other(tree, "real", NULL, 0, x > 0 ? "inf" : "-inf");
    }
    case SQLITE_NULL:
        return bezel_tree_null(tree);
    default: {
        const int is_blob = sqlite3_column_type(stmt, i) == SQLITE_BLOB;
        const char *bytes = sqlite3_column_blob(stmt, i);
        const size_t size = (size_t)sqlite3_column_bytes(stmt, i);
        if (!size)
            return is_blob ? export_other(tree, "blob", NULL, 0, "") : bezel_tree_text(tree, "", 0);
        if (!is_blob && bz_utf8_valid(bytes, size) && !memchr(bytes, 0, size))
            return bezel_tree_text(tree, bytes, size);
        return export_other(tree, is_blob ? "blob" : "text", bytes, size, NULL);
    }
    }
}

/* Writes the map and a newline; what names the row for an error. */
static bezel_status export_line(exporter *x, const bezel_value *map, const char *what, bezel_error *err)
{
    char *text = NULL;
    size_t size = 0;
    bezel_status st = bezel_tree_status(x->tree);
    if (st != BEZEL_OK || !map)
        return bz_fail(err, st != BEZEL_OK ? st : BEZEL_ERR_MEMORY, "store", "no room for a row of %s", what);
    st = bezel_json_write(&text, &size, x->store->engine, map, 0, err);
    if (st == BEZEL_OK && size > BZ_LINE_AT_MOST) {
        st = bz_fail(err, BEZEL_ERR_LIMIT, "store", "row %llu of the export, of %s, has %zu bytes, at most 16 MiB can be read again",
                     (unsigned long long)x->rows + 1, what, size);
        bz_error_hint(err, st, "use bezel_store_backup, or delete its conversation first");
        bz_error_place(err, st, "%s", x->store->path);
    }
    if (st == BEZEL_OK) {
        bz_strbuf_add(&x->out->held, text, size);
        bz_strbuf_char(&x->out->held, '\n');
    }
    bezel_text_free(x->store->engine, text);
    return st == BEZEL_OK ? bz_store_output_pass(x->out, err) : st;
}

static bezel_status export_tree(exporter *x, bezel_error *err)
{
    bezel_tree_free(x->tree);
    x->tree = NULL;
    return bezel_tree_new(&x->tree, x->store->engine, err);
}

/* A line of the current row; counts (or NULL) stand in for the columns behind the keys. */
static bezel_status export_row(exporter *x, const bz_line_table *t, sqlite3_stmt *stmt, const bz_line_counts *counts,
                               bezel_error *err)
{
    bezel_status st = export_tree(x, err);
    if (st != BEZEL_OK)
        return st;
    bezel_tree *tree = x->tree;
    const int n_keys = (int)strlen(t->keys);
    bezel_value *line = bezel_tree_map(tree), *map = bezel_tree_map(tree);
    bezel_value_set(tree, line, "table", bezel_tree_text(tree, t->name, SIZE_MAX));
    if (counts)
        bezel_value_set(tree, line, "source", bezel_tree_text(tree, counts->source, SIZE_MAX));
    for (int i = 0; i < sqlite3_column_count(stmt); i++) {
        bezel_value *v;
        if (!counts || i < n_keys)
            v = export_value(tree, stmt, i);
        else if (sqlite3_column_type(stmt, i) == SQLITE_FLOAT)
            v = bezel_tree_number(tree, counts->values[i - n_keys]);
        else
            v = bezel_tree_integer(tree, (int64_t)counts->values[i - n_keys]);
        bezel_value_set(tree, map, sqlite3_column_name(stmt, i), v);
    }
    bezel_value_set(tree, line, "row", map);
    st = export_line(x, line, t->name, err);
    x->rows += st == BEZEL_OK;
    return st;
}

/* --- Totals ------------------------------------------------------------------------------- */

static bz_line_keys export_keys(const bz_line_table *t, sqlite3_stmt *stmt)
{
    bz_line_keys keys = {.kind = "", .name = "", .day = ""};
    for (int i = 0; t->keys[i]; i++) {
        const char *text = t->keys[i] == 's' ? NULL : (const char *)sqlite3_column_text(stmt, i);
        if (t->keys[i] == 's')
            keys.step = sqlite3_column_int64(stmt, i);
        else if (text)
            *(t->keys[i] == 'k' ? &keys.kind : t->keys[i] == 'n' ? &keys.name : &keys.day) = text;
    }
    return keys;
}

/* The lines of a row of totals: what this store has counted itself, then what came from each other one. */
static bezel_status export_total(exporter *x, const bz_line_table *t, sqlite3_stmt *stmt, sqlite3_stmt *others, bezel_error *err)
{
    const int n_keys = (int)strlen(t->keys), n = sqlite3_column_count(stmt) - n_keys;
    const bz_line_keys keys = export_keys(t, stmt);
    bz_line_counts own = {.values = {0}}, other = {.values = {0}};
    bz_store_row row;
    int rc = SQLITE_ROW, n_others = 0, is_any = 0;
    sqlite3_snprintf((int)sizeof own.source, own.source, "%s", x->source);
    for (int i = 0; i < n && i < BZ_LINE_VALUES; i++)
        own.values[i] = sqlite3_column_double(stmt, n_keys + i);
    for (int pass = 0; pass < 2; pass++) { /* first what others have is taken off, then it is written */
        bezel_status st = BEZEL_OK;
        bz_store_row_init(&row, others);
        bz_line_keys_bind(&row, t, &keys);
        rc = row.rc == SQLITE_OK ? SQLITE_ROW : row.rc;
        while (st == BEZEL_OK && rc == SQLITE_ROW && (rc = sqlite3_step(others)) == SQLITE_ROW) {
            sqlite3_snprintf((int)sizeof other.source, other.source, "%s", (const char *)sqlite3_column_text(others, 0));
            bz_line_counts_read(other.values, (const char *)sqlite3_column_text(others, 1));
            n_others += !pass;
            for (int i = 0; !pass && i < n; i++) {
                if (!bz_line_has(t->maxima, sqlite3_column_name(stmt, n_keys + i)))
                    own.values[i] = own.values[i] > other.values[i] ? own.values[i] - other.values[i] : 0;
            }
            if (pass)
                st = export_row(x, t, stmt, &other, err);
        }
        sqlite3_reset(others);
        if (st == BEZEL_OK && rc != SQLITE_DONE)
            st = bz_store_fail(x->store, rc, "read the totals of other stores", err);
        for (int i = 0; !pass && i < n; i++)
            is_any |= own.values[i] != 0 && !bz_line_has(t->maxima, sqlite3_column_name(stmt, n_keys + i));
        if (st == BEZEL_OK && !pass && (is_any || !n_others))
            st = export_row(x, t, stmt, &own, err);
        if (st != BEZEL_OK)
            return st;
    }
    return BEZEL_OK;
}

static bezel_status export_table(exporter *x, const bz_line_table *t, bezel_error *err)
{
    sqlite3_stmt *stmt = NULL, *others = NULL;
    sqlite3 *db = x->store->db;
    bezel_status st = BEZEL_OK;
    int rc = sqlite3_prepare_v2(db, t->read, -1, &stmt, NULL);
    if (rc == SQLITE_OK && t->kind == BZ_LINE_TOTAL)
        rc = sqlite3_prepare_v2(db,
                                "SELECT source, counts FROM imported_total WHERE total = ?1 AND kind = ?2 AND name = ?3"
                                " AND day = ?4 AND step = ?5 ORDER BY source",
                                -1, &others, NULL);
    while (st == BEZEL_OK && (rc == SQLITE_OK || rc == SQLITE_ROW) && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
        st = others ? export_total(x, t, stmt, others, err) : export_row(x, t, stmt, NULL, err);
    if (st == BEZEL_OK && rc != SQLITE_DONE)
        st = bz_store_fail(x->store, rc, "read the rows for the export", err);
    sqlite3_finalize(others);
    sqlite3_finalize(stmt);
    return st;
}

/* --- The file ----------------------------------------------------------------------------- */

static bezel_status export_head(exporter *x, bezel_error *err)
{
    char marks[BZ_STORE_MARKS_SIZE];
    bezel_status st = bz_store_meta(x->source, sizeof x->source, x->store, "source", err);
    if (st == BEZEL_OK)
        st = bz_store_meta(marks, sizeof marks, x->store, "user_keys", err);
    if (st == BEZEL_OK)
        st = export_tree(x, err);
    if (st != BEZEL_OK)
        return st;
    bezel_value *head = bezel_tree_map(x->tree);
    bezel_value_set(x->tree, head, "bezel_store", bezel_tree_integer(x->tree, 1));
    bezel_value_set(x->tree, head, "schema", bezel_tree_integer(x->tree, bz_store_version));
    bezel_value_set(x->tree, head, "source", bezel_tree_text(x->tree, x->source, SIZE_MAX));
    bezel_value_set(x->tree, head, "user_keys", bezel_tree_text(x->tree, marks, SIZE_MAX));
    return export_line(x, head, "the head", err);
}

static bezel_status export_lines(bz_store_output *out, void *ctx, bezel_error *err)
{
    exporter *x = ctx;
    x->out = out;
    bezel_status st = export_head(x, err);
    for (const bz_line_table *t = bz_line_tables; st == BEZEL_OK && t->name; t++)
        st = export_table(x, t, err);
    if (st == BEZEL_OK)
        st = export_tree(x, err);
    if (st != BEZEL_OK)
        return st;
    bezel_value *end = bezel_tree_map(x->tree);
    bezel_value_set(x->tree, end, "rows", bezel_tree_integer(x->tree, (int64_t)x->rows));
    return export_line(x, end, "the end", err);
}

bezel_status bezel_store_export(uint64_t *out_rows, bezel_store *store, const char *path, bezel_error *err)
{
    if (out_rows)
        *out_rows = 0;
    if (!store || !path || !path[0])
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "store", "bezel_store_export needs a store and a path");
    if (!store->db || store->in_query || !sqlite3_get_autocommit(store->db))
        return bz_fail(err, BEZEL_ERR_BUSY, "store", "the store cannot be exported now");
    bezel_status st = bz_store_path_check(store->world, path, err);
    if (st != BEZEL_OK)
        return st;
    exporter x = {.store = store};
    st = bz_store_output_make(store, "export", path, export_lines, &x, err);
    if (st == BEZEL_OK && out_rows)
        *out_rows = x.rows;
    bezel_tree_free(x.tree);
    return st;
}
