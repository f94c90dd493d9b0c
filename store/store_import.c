/* SPDX-License-Identifier: MIT */
/* Reads lines of JSON (store_lines.h) into a store, in one transaction: all of them or none. The file may come from anywhere:
 * every line is checked against the columns of its table, and what is wrong is told with its number. */
#include "store_lines.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <bezel/engine.h>

#include "base/number.h"
#include "base/strbuf.h"
#include "base/utf8.h"

enum { COLUMNS = 32, BLOCK = 64 << 10 };
#define ID_AT_MOST (INT64_C(1) << 60) /* so that later rows find larger ids */

typedef struct import_column {
    char name[32];
    char type; /* I(NTEGER), R(EAL), T(EXT), B(LOB) */
} import_column;

typedef struct import_table { /* what a line of it needs, made at its first line */
    int is_ready, n;
    import_column columns[COLUMNS];
    sqlite3_stmt *insert, *find, *found; /* find, found: EVENT */
    int64_t next_id;
} import_table;

enum { IMPORT_TABLES = 20 };

typedef struct importer {
    bezel_store *store;
    const char *path;
    bezel_file *file;
    uint64_t size, at; /* of the file; bytes read into block */
    bz_strbuf line;
    char *block; /* [BLOCK] */
    size_t block_size, block_at;
    uint64_t number; /* of the line, from 1 */
    uint64_t rows, added;
    char own[64], source[64];
    bezel_tree *tree; /* of the line */
    char *bytes[COLUMNS]; /* decoded values of the row, or NULL */
    import_table tables[IMPORT_TABLES];
    sqlite3_stmt *turn_look, *turn_add, *request_look, *request_add, *counts_look, *counts_add;
} importer;

/* --- Errors ------------------------------------------------------------------------------- */

static bezel_status import_place(const importer *x, bezel_status st, bezel_error *err)
{
    bz_error_hint(err, st, "nothing was imported; make the file anew, or correct the line");
    return bz_error_place(err, st, "%s:%llu", x->path, (unsigned long long)x->number);
}

#define import_fail(x, st, err, format, ...) \
    import_place(x, bz_fail(err, st, "store", "line %llu: " format, (unsigned long long)(x)->number, __VA_ARGS__), err)

/* What SQLite said about a row; one that breaks the schema's rules is the file's fault. */
static bezel_status import_sql(const importer *x, int rc, const char *table, bezel_error *err)
{
    if ((rc & 0xff) == SQLITE_CONSTRAINT)
        return import_fail(x, BEZEL_ERR_FORMAT, err, "a row that %s cannot have: %s", table, sqlite3_errmsg(x->store->db));
    return bz_store_fail(x->store, rc, "import a row", err);
}

static bezel_status import_prepare(sqlite3_stmt **out, importer *x, const char *sql, bezel_error *err)
{
    int rc = sqlite3_prepare_v2(x->store->db, sql, -1, out, NULL);
    return rc == SQLITE_OK ? BEZEL_OK : bz_store_fail(x->store, rc, "prepare a statement", err);
}

/* Steps a bound statement: BEZEL_MORE for a row (not reset then), BEZEL_OK for none. */
static bezel_status import_step(importer *x, bz_store_row *row, const char *table, bezel_error *err)
{
    int rc = row->rc == SQLITE_OK ? sqlite3_step(row->stmt) : row->rc;
    if (rc == SQLITE_ROW)
        return BEZEL_MORE;
    bezel_status st = rc == SQLITE_DONE ? BEZEL_OK : import_sql(x, rc, table, err);
    sqlite3_reset(row->stmt);
    return st;
}

/* --- Lines -------------------------------------------------------------------------------- */

/* The next line without its end; *out_any 0 at the end of the file. A last line without a newline is cut off. */
static bezel_status import_read(int *out_any, importer *x, bezel_error *err)
{
    const bezel_world *w = x->store->world;
    bz_strbuf_reset(&x->line);
    *out_any = 0;
    x->number++;
    for (;;) {
        if (x->block_at == x->block_size) {
            const uint64_t left = x->size - x->at;
            x->block_at = 0;
            x->block_size = left < BLOCK ? (size_t)left : BLOCK;
            if (!left)
                return x->line.size ? import_fail(x, BEZEL_ERR_TRUNCATED, err, "the file ends in the middle of it, at byte %llu",
                                                  (unsigned long long)x->size)
                                    : BEZEL_OK;
            bezel_status st = w->file_read(w->ud, x->file, x->at, x->block, x->block_size);
            if (st != BEZEL_OK)
                return import_fail(x, st, err, "the file cannot be read (%s)", bezel_status_name(st));
            x->at += x->block_size;
        }
        const char *begin = x->block + x->block_at, *end = memchr(begin, '\n', x->block_size - x->block_at);
        const size_t n = end ? (size_t)(end - begin) : x->block_size - x->block_at;
        bz_strbuf_add(&x->line, begin, n);
        x->block_at += n + (end != NULL);
        if (x->line.status == BEZEL_ERR_LIMIT)
            return import_fail(x, BEZEL_ERR_LIMIT, err, "it has more than %zu bytes", BZ_LINE_AT_MOST);
        if (x->line.status != BEZEL_OK)
            return bz_fail_memory(err, "store", "a line", n);
        if (end) {
            *out_any = 1;
            return BEZEL_OK;
        }
    }
}

static bezel_status import_json(const bezel_value **out, importer *x, bezel_error *err)
{
    bezel_value *value = NULL;
    bezel_error why = BEZEL_ERROR_INIT;
    *out = NULL;
    bezel_tree_free(x->tree);
    x->tree = NULL;
    bezel_status st = bezel_tree_new(&x->tree, x->store->engine, err);
    if (st != BEZEL_OK)
        return st;
    st = bezel_json_read(&value, x->tree, bz_strbuf_cstr(&x->line), x->line.size, &why);
    if (st == BEZEL_ERR_MEMORY)
        return bz_fail_memory(err, "store", "a line", x->line.size);
    if (st != BEZEL_OK)
        return import_fail(x, st, err, "%s", why.text);
    if (bezel_value_type(value) != BEZEL_MAP)
        return import_fail(x, BEZEL_ERR_FORMAT, err, "%s", "a JSON object expected");
    *out = value;
    return BEZEL_OK;
}

/* --- Values ------------------------------------------------------------------------------- */

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* 1 and the bytes of hex digits, at `slot` of the row. */
static int import_hex(importer *x, int slot, const char *hex, size_t size)
{
    char *bytes = size % 2 ? NULL : sqlite3_malloc64((sqlite3_uint64)size / 2 + 1);
    x->bytes[slot] = bytes;
    for (size_t i = 0; bytes && i < size; i += 2) {
        const int high = hex_digit(hex[i]), low = hex_digit(hex[i + 1]);
        if (high < 0 || low < 0)
            return 0;
        bytes[i / 2] = (char)(high << 4 | low);
    }
    return bytes != NULL;
}

/* Binds a map of one key, as store_lines.h says; 0 when it is none or not of the column's type. */
static int import_other(importer *x, bz_store_row *row, int slot, char type, const bezel_value *v)
{
    size_t size = 0;
    const char *kind = bezel_value_key(v, 0, NULL), *text = bezel_value_text(bezel_value_at(v, 0), &size);
    char *end = NULL;
    if (bezel_value_count(v) != 1 || bezel_value_type(bezel_value_at(v, 0)) != BEZEL_TEXT)
        return 0;
    if (type == 'I' && strcmp(kind, "integer") == 0 && size && size < 21) {
        const long long n = strtoll(text, &end, 10);
        bz_store_row_integer(row, n);
        return *end == 0;
    }
    if (type == 'R' && strcmp(kind, "real") == 0 && (strcmp(text, "inf") == 0 || strcmp(text, "-inf") == 0)) {
        bz_store_row_real(row, text[0] == '-' ? -(double)INFINITY : (double)INFINITY);
        return 1;
    }
    if (!(type == 'T' && strcmp(kind, "text") == 0) && !(type == 'B' && strcmp(kind, "blob") == 0))
        return 0;
    if (!import_hex(x, slot, text, size))
        return 0;
    if (type == 'T')
        bz_store_row_text_n(row, x->bytes[slot], size / 2);
    else
        bz_store_row_blob(row, x->bytes[slot], size / 2);
    return 1;
}

static bezel_status import_bind(importer *x, bz_store_row *row, int slot, const import_column *c, const bezel_value *v,
                                bezel_error *err)
{
    size_t size = 0;
    const uint32_t type = bezel_value_type(v);
    int good = 1;
    sqlite3_free(x->bytes[slot]);
    x->bytes[slot] = NULL;
    if (type == BEZEL_NULL) {
        bz_store_row_text(row, NULL);
    } else if (type == BEZEL_INTEGER && c->type == 'I') {
        bz_store_row_integer(row, bezel_value_integer(v));
    } else if ((type == BEZEL_INTEGER || type == BEZEL_NUMBER) && c->type == 'R') {
        bz_store_row_real(row, bezel_value_number(v));
    } else if (type == BEZEL_TEXT && c->type == 'T') {
        const char *text = bezel_value_text(v, &size);
        bz_store_row_text_n(row, text, size);
    } else {
        good = type == BEZEL_MAP && import_other(x, row, slot, c->type, v);
    }
    return good ? BEZEL_OK : import_fail(x, BEZEL_ERR_TYPE, err, "the value of %s is not of the column's type", c->name);
}

/* --- Tables ------------------------------------------------------------------------------- */

/* Columns of the table and its statement that adds a row; a column that a line lacks takes its default. */
static bezel_status table_columns(import_table *it, importer *x, const bz_line_table *t, bezel_error *err)
{
    char sql[128];
    sqlite3_stmt *stmt = NULL;
    bz_strbuf insert;
    bz_strbuf_init(&insert, x->store->world, 0);
    sqlite3_snprintf((int)sizeof sql, sql, "SELECT name, type, dflt_value FROM pragma_table_info('%s') ORDER BY cid", t->name);
    bezel_status st = import_prepare(&stmt, x, sql, err);
    bz_strbuf_format(&insert, "INSERT INTO %s VALUES (", t->name);
    int rc = SQLITE_DONE;
    while (st == BEZEL_OK && it->n < COLUMNS && (rc = sqlite3_step(stmt)) == SQLITE_ROW) {
        import_column *c = &it->columns[it->n++];
        const char *standard = (const char *)sqlite3_column_text(stmt, 2);
        sqlite3_snprintf((int)sizeof c->name, c->name, "%s", (const char *)sqlite3_column_text(stmt, 0));
        c->type = *(const char *)sqlite3_column_text(stmt, 1);
        bz_strbuf_format(&insert, standard ? "%scoalesce(?%d, %s)" : "%s?%d", it->n > 1 ? ", " : "", it->n, standard);
    }
    if (st == BEZEL_OK && rc != SQLITE_DONE)
        st = bz_store_fail(x->store, rc, "read the schema", err);
    sqlite3_finalize(stmt);
    bz_strbuf_text(&insert, ")");
    bz_strbuf_text(&insert, t->merge ? t->merge : "");
    if (st == BEZEL_OK && t->kind == BZ_LINE_TOTAL) {
        bz_strbuf_text(&insert, " ON CONFLICT DO UPDATE SET ");
        for (int i = (int)strlen(t->keys), first = i; i < it->n; i++) {
            const char *name = it->columns[i].name;
            bz_strbuf_format(&insert, bz_line_has(t->maxima, name) ? "%s%s = max(%s, excluded.%s)" : "%s%s = %s + excluded.%s",
                             i > first ? ", " : "", name, name, name);
        }
    }
    if (st == BEZEL_OK)
        st = insert.status == BEZEL_OK ? import_prepare(&it->insert, x, bz_strbuf_cstr(&insert), err)
                                       : bz_fail_memory(err, "store", "a statement", insert.size);
    bz_strbuf_free(&insert);
    return st;
}

/* Rows that were there before, by their time: each stands for one line that equals it. */
static bezel_status table_events(import_table *it, importer *x, const bz_line_table *t, bezel_error *err)
{
    bz_strbuf sql;
    bz_strbuf_init(&sql, x->store->world, 0);
    bz_strbuf_format(&sql, "INSERT INTO temp.import_old SELECT '%s', at_ms, id FROM %s", t->name, t->name);
    bezel_status st = sql.status == BEZEL_OK ? bz_store_exec(x->store, bz_strbuf_cstr(&sql), "look for known rows", err)
                                             : bz_fail_memory(err, "store", "a statement", sql.size);
    bz_strbuf_reset(&sql);
    bz_strbuf_format(&sql, "SELECT t.id FROM temp.import_old o CROSS JOIN %s t ON t.id = o.id WHERE o.name = '%s'", t->name, t->name);
    for (int i = 1; i < it->n; i++) {
        if (strcmp(it->columns[i].name, "at_ms") == 0)
            bz_strbuf_format(&sql, " AND o.at_ms = ?%d", i + 1);
        else if (strcmp(it->columns[i].name, "request") == 0) /* one that is gone reads as none, as it is exported */
            bz_strbuf_format(&sql, " AND (SELECT r.id FROM request r WHERE r.id = t.request) IS ?%d", i + 1);
        else
            bz_strbuf_format(&sql, " AND t.%s IS ?%d", it->columns[i].name, i + 1);
    }
    bz_strbuf_text(&sql, " ORDER BY o.id LIMIT 1");
    if (st == BEZEL_OK)
        st = sql.status == BEZEL_OK ? import_prepare(&it->find, x, bz_strbuf_cstr(&sql), err)
                                    : bz_fail_memory(err, "store", "a statement", sql.size);
    bz_strbuf_free(&sql);
    char drop[256];
    sqlite3_snprintf((int)sizeof drop, drop, "DELETE FROM temp.import_old WHERE name = '%s' AND id = ?1 AND at_ms ="
                     " (SELECT at_ms FROM %s WHERE id = ?1)", t->name, t->name);
    return st == BEZEL_OK ? import_prepare(&it->found, x, drop, err) : st;
}

static bezel_status table_open(import_table *it, importer *x, const bz_line_table *t, bezel_error *err)
{
    if (it->is_ready)
        return BEZEL_OK;
    bezel_status st = table_columns(it, x, t, err);
    if (st == BEZEL_OK && (t->kind == BZ_LINE_CHILD || t->kind == BZ_LINE_EVENT)) {
        char sql[96];
        sqlite3_snprintf((int)sizeof sql, sql, "SELECT coalesce(max(id), 0) + 1 FROM %s", t->name);
        st = bz_store_integer(&it->next_id, x->store, sql, "look for the last row", err);
    }
    if (st == BEZEL_OK && t->kind == BZ_LINE_EVENT)
        st = table_events(it, x, t, err);
    it->is_ready = st == BEZEL_OK;
    return st;
}

/* Binds all columns from `first` on of the row to a statement that has one parameter for each. */
static bezel_status table_bind(sqlite3_stmt *stmt, importer *x, const bz_line_table *t, const import_table *it, int first,
                               const bezel_value *values, bezel_error *err)
{
    bz_store_row row;
    bezel_status st = BEZEL_OK;
    bz_store_row_init(&row, stmt);
    row.next = first + 1;
    for (int i = first; st == BEZEL_OK && i < it->n; i++) {
        const import_column *c = &it->columns[i];
        const bezel_value *v = bezel_value_get(values, c->name);
        if (!x->store->options.keep_content && bz_line_has(t->content, c->name))
            v = NULL;
        st = import_bind(x, &row, i, c, v, err);
    }
    return st == BEZEL_OK && row.rc != SQLITE_OK ? bz_store_fail(x->store, row.rc, "bind a row", err) : st;
}

static bezel_status table_check(const importer *x, const bz_line_table *t, const import_table *it, const bezel_value *values,
                                bezel_error *err)
{
    for (size_t k = 0; k < bezel_value_count(values); k++) {
        const char *key = bezel_value_key(values, k, NULL);
        char shown[48];
        int known = 0;
        for (int i = 0; i < it->n; i++)
            known |= strcmp(it->columns[i].name, key) == 0;
        bz_utf8_show(shown, sizeof shown, key, strlen(key));
        if (!known)
            return import_fail(x, BEZEL_ERR_FORMAT, err, "%s has no column '%s'", t->name, shown);
    }
    return BEZEL_OK;
}

/* --- Rows --------------------------------------------------------------------------------- */

static bezel_status row_keyed(importer *x, const bz_line_table *t, import_table *it, const bezel_value *values, bezel_error *err)
{
    bz_store_row row;
    bezel_status st = table_bind(it->insert, x, t, it, 0, values, err);
    bz_store_row_init(&row, it->insert);
    if (st == BEZEL_OK)
        st = import_step(x, &row, t->name, err);
    if (st != BEZEL_OK || !sqlite3_changes(x->store->db))
        return st;
    x->added++;
    if (strcmp(t->name, "turn") != 0)
        return BEZEL_OK;
    bz_store_row_init(&row, x->turn_add);
    bz_store_row_text(&row, bezel_value_text(bezel_value_get(values, "id"), NULL));
    return import_step(x, &row, t->name, err);
}

/* Adds a row under its own id, or the next one when that is taken; *out_id is that. Rows keep their order. */
static bezel_status row_add(int64_t *out_id, importer *x, const bz_line_table *t, import_table *it, const bezel_value *values,
                            bezel_error *err)
{
    const int64_t id = bezel_value_integer(bezel_value_get(values, "id"));
    bz_store_row row;
    if (bezel_value_type(bezel_value_get(values, "id")) != BEZEL_INTEGER || id < 1 || id > ID_AT_MOST)
        return import_fail(x, BEZEL_ERR_FORMAT, err, "%s", "the id is no positive integer");
    *out_id = id > it->next_id ? id : it->next_id;
    it->next_id = *out_id + 1;
    bezel_status st = table_bind(it->insert, x, t, it, 1, values, err);
    bz_store_row_init(&row, it->insert);
    bz_store_row_integer(&row, *out_id);
    if (st == BEZEL_OK)
        st = import_step(x, &row, t->name, err);
    x->added += st == BEZEL_OK;
    return st;
}

static bezel_status row_child(importer *x, const bz_line_table *t, import_table *it, const bezel_value *values, bezel_error *err)
{
    const bezel_value *turn = bezel_value_get(values, "turn"), *text = bezel_value_get(values, "text");
    const int is_message = strcmp(t->name, "message") == 0;
    bz_store_row row;
    size_t size = 0;
    int64_t id = 0;
    bz_store_row_init(&row, x->turn_look);
    bz_store_row_text(&row, bezel_value_text(turn, NULL));
    bezel_status st = import_step(x, &row, t->name, err);
    const int is_new = st == BEZEL_MORE && sqlite3_column_int(x->turn_look, 0);
    const int is_known = st == BEZEL_MORE && sqlite3_column_int(x->turn_look, 1);
    sqlite3_reset(x->turn_look);
    if (st < 0)
        return st;
    if (!is_known)
        return import_fail(x, BEZEL_ERR_FORMAT, err, "the turn of this row of %s is not in a line before", t->name);
    if (!is_new || (is_message && !x->store->options.keep_content))
        return BEZEL_OK; /* the store has the turn with what belongs to it, or keeps no texts */
    st = row_add(&id, x, t, it, values, err);
    if (st != BEZEL_OK || !is_message || bezel_value_type(text) == BEZEL_NULL)
        return st;
    sqlite3_stmt *index;
    st = bz_store_statement(&index, x->store, BZ_SQL_MESSAGE_INDEX, err);
    if (st != BEZEL_OK)
        return st;
    bz_store_row_init(&row, index);
    bz_store_row_integer(&row, id);
    if (bezel_value_type(text) == BEZEL_TEXT) {
        const char *words = bezel_value_text(text, &size);
        bz_store_row_text_n(&row, words, size);
    } else { /* decoded when the row was bound */
        bezel_value_text(bezel_value_at(text, 0), &size);
        for (int i = 0; i < it->n; i++) {
            if (strcmp(it->columns[i].name, "text") == 0)
                bz_store_row_text_n(&row, x->bytes[i], size / 2);
        }
    }
    return bz_store_row_run(&row, x->store, "index a message", err);
}

/* The id that a request of the file has here, into the row; null for one that is not in the file. */
static bezel_status row_request(importer *x, const bezel_value *values, bezel_error *err)
{
    bezel_value *map = (bezel_value *)(uintptr_t)values; /* of our tree */
    bz_store_row row;
    if (bezel_value_type(bezel_value_get(values, "request")) == BEZEL_NULL)
        return BEZEL_OK;
    bz_store_row_init(&row, x->request_look);
    bz_store_row_integer(&row, bezel_value_integer(bezel_value_get(values, "request")));
    bezel_status st = import_step(x, &row, "guard_decision", err);
    if (st == BEZEL_OK)
        return import_fail(x, BEZEL_ERR_FORMAT, err, "%s", "the request of this row of guard_decision is not in a line before");
    if (st < 0)
        return st;
    bezel_value_set(x->tree, map, "request", bezel_tree_integer(x->tree, sqlite3_column_int64(x->request_look, 0)));
    sqlite3_reset(x->request_look);
    return bezel_tree_status(x->tree) == BEZEL_OK ? BEZEL_OK : bz_fail_memory(err, "store", "a row", 0);
}

static bezel_status row_event(importer *x, const bz_line_table *t, import_table *it, const bezel_value *values, bezel_error *err)
{
    bz_store_row row;
    int64_t id = 0;
    bezel_status st = strcmp(t->name, "guard_decision") == 0 ? row_request(x, values, err) : BEZEL_OK;
    if (st == BEZEL_OK)
        st = table_bind(it->find, x, t, it, 1, values, err);
    bz_store_row_init(&row, it->find);
    if (st == BEZEL_OK)
        st = import_step(x, &row, t->name, err);
    if (st == BEZEL_MORE) {
        id = sqlite3_column_int64(it->find, 0);
        sqlite3_reset(it->find);
        bz_store_row_init(&row, it->found);
        bz_store_row_integer(&row, id);
        st = import_step(x, &row, t->name, err);
    } else if (st == BEZEL_OK) {
        st = row_add(&id, x, t, it, values, err);
    }
    if (st != BEZEL_OK || strcmp(t->name, "request") != 0)
        return st;
    bz_store_row_init(&row, x->request_add);
    bz_store_row_integer(&row, bezel_value_integer(bezel_value_get(values, "id")));
    bz_store_row_integer(&row, id);
    return import_step(x, &row, t->name, err);
}

/* --- Totals ------------------------------------------------------------------------------- */

/* What is known of this source under these keys: from imported_total, or for the store itself the total without the others'. */
static bezel_status total_known(double *known, importer *x, const bz_line_table *t, const import_table *it, const char *source,
                                const bz_line_keys *keys, bezel_error *err)
{
    const int n_keys = (int)strlen(t->keys), is_own = strcmp(source, x->own) == 0;
    bz_line_counts other;
    bz_store_row row;
    char sql[256];
    bezel_status st = BEZEL_OK;
    memset(known, 0, BZ_LINE_VALUES * sizeof *known);
    if (is_own) {
        sqlite3_stmt *stmt = NULL;
        const char *step = strchr(t->keys, 's') ? it->columns[n_keys - 1].name : "?4";
        char where[192] = "";
        for (int i = 0; t->keys[i]; i++)
            if (t->keys[i] != 's')
                sqlite3_snprintf((int)(sizeof where - strlen(where)), where + strlen(where), "%s = ?%d AND ", it->columns[i].name,
                                 t->keys[i] == 'k' ? 1 : t->keys[i] == 'n' ? 2 : 3);
        sqlite3_snprintf((int)sizeof sql, sql, "SELECT * FROM %s WHERE %s%s IS ?4", t->name, where, step);
        st = import_prepare(&stmt, x, sql, err);
        if (st != BEZEL_OK)
            return st;
        sqlite3_bind_text(stmt, 1, keys->kind, -1, SQLITE_STATIC);
        sqlite3_bind_text(stmt, 2, keys->name, -1, SQLITE_STATIC);
        sqlite3_bind_text(stmt, 3, keys->day, -1, SQLITE_STATIC);
        sqlite3_bind_int64(stmt, 4, keys->step);
        int rc = sqlite3_step(stmt);
        for (int i = n_keys; rc == SQLITE_ROW && i < it->n; i++)
            known[i - n_keys] = sqlite3_column_double(stmt, i);
        sqlite3_finalize(stmt);
        if (rc != SQLITE_ROW && rc != SQLITE_DONE)
            return bz_store_fail(x->store, rc, "read a total", err);
    }
    bz_store_row_init(&row, x->counts_look);
    bz_line_keys_bind(&row, t, keys);
    while ((st = import_step(x, &row, t->name, err)) == BEZEL_MORE) {
        const char *from = (const char *)sqlite3_column_text(x->counts_look, 0);
        bz_line_counts_read(other.values, (const char *)sqlite3_column_text(x->counts_look, 1));
        for (int i = n_keys; i < it->n; i++) {
            if (is_own && !bz_line_has(t->maxima, it->columns[i].name))
                known[i - n_keys] -= other.values[i - n_keys];
            else if (!is_own && strcmp(from, source) == 0)
                known[i - n_keys] = other.values[i - n_keys];
        }
    }
    return st;
}

static bezel_status total_keep(importer *x, const bz_line_table *t, int n, const char *source, const bz_line_keys *keys,
                               const double *values, bezel_error *err)
{
    char counts[BZ_LINE_VALUES * 33];
    size_t size = 0;
    bz_store_row row;
    for (int i = 0; i < n; i++) {
        if (i)
            counts[size++] = ',';
        size += bz_number_format(counts + size, values[i]);
    }
    bz_store_row_init(&row, x->counts_add);
    bz_line_keys_bind(&row, t, keys);
    bz_store_row_text(&row, source);
    bz_store_row_text_n(&row, counts, size);
    return import_step(x, &row, t->name, err);
}

static bezel_status row_total(importer *x, const bz_line_table *t, import_table *it, const char *source, const bezel_value *values,
                              bezel_error *err)
{
    const int n_keys = (int)strlen(t->keys), n = it->n - n_keys;
    bz_line_keys keys = {.kind = "", .name = "", .day = ""};
    double known[BZ_LINE_VALUES], told[BZ_LINE_VALUES] = {0};
    bz_store_row row;
    int is_more = 0;
    bezel_status st = table_bind(it->insert, x, t, it, 0, values, err);
    for (int i = 0; i < it->n; i++) {
        const bezel_value *v = bezel_value_get(values, it->columns[i].name);
        const int is_text = i < n_keys && t->keys[i] != 's';
        if (st == BEZEL_OK && bezel_value_type(v) == BEZEL_MAP)
            return import_fail(x, BEZEL_ERR_FORMAT, err, "%s of a total is too large or no plain text", it->columns[i].name);
        if (st == BEZEL_OK && (bezel_value_type(v) == BEZEL_NULL || (i >= n_keys && bezel_value_number(v) < 0)))
            return import_fail(x, BEZEL_ERR_FORMAT, err, "%s of a total is missing or below 0", it->columns[i].name);
        if (is_text)
            *(t->keys[i] == 'k' ? &keys.kind : t->keys[i] == 'n' ? &keys.name : &keys.day) = bezel_value_text(v, NULL);
        else if (i < n_keys)
            keys.step = bezel_value_integer(v);
        else
            told[i - n_keys] = bezel_value_number(v);
    }
    if (st == BEZEL_OK)
        st = total_known(known, x, t, it, source, &keys, err);
    if (st != BEZEL_OK)
        return st;
    for (int i = 0; i < n; i++) {
        const int is_max = bz_line_has(t->maxima, it->columns[n_keys + i].name);
        double more = is_max ? told[i] : told[i] - known[i];
        is_more |= told[i] > known[i];
        more = more > 0 ? more : 0;
        if (it->columns[n_keys + i].type == 'R')
            sqlite3_bind_double(it->insert, n_keys + i + 1, more);
        else
            sqlite3_bind_int64(it->insert, n_keys + i + 1, (int64_t)more);
        told[i] = told[i] > known[i] ? told[i] : known[i];
    }
    if (!is_more)
        return BEZEL_OK;
    x->added++;
    bz_store_row_init(&row, it->insert);
    st = import_step(x, &row, t->name, err);
    return st == BEZEL_OK && strcmp(source, x->own) != 0 ? total_keep(x, t, n, source, &keys, told, err) : st;
}

/* --- The file ----------------------------------------------------------------------------- */

static bezel_status import_row(importer *x, const bezel_value *line, bezel_error *err)
{
    const char *name = bezel_value_text(bezel_value_get(line, "table"), NULL);
    const char *source = bezel_value_text(bezel_value_get(line, "source"), NULL);
    const bezel_value *values = bezel_value_get(line, "row");
    char shown[48];
    int i = 0;
    while (bz_line_tables[i].name && strcmp(bz_line_tables[i].name, name) != 0)
        i++;
    const bz_line_table *t = &bz_line_tables[i];
    import_table *it = &x->tables[i];
    bz_utf8_show(shown, sizeof shown, name, strlen(name));
    if (!t->name)
        return import_fail(x, BEZEL_ERR_FORMAT, err, "there is no table '%s'", shown);
    if (bezel_value_type(values) != BEZEL_MAP)
        return import_fail(x, BEZEL_ERR_FORMAT, err, "a row of %s must be an object", t->name);
    if (t->kind == BZ_LINE_TOTAL && (!source[0] || strlen(source) >= sizeof x->source))
        return import_fail(x, BEZEL_ERR_FORMAT, err, "a row of %s needs its source", t->name);
    bezel_status st = table_open(it, x, t, err);
    if (st == BEZEL_OK)
        st = table_check(x, t, it, values, err);
    if (st != BEZEL_OK)
        return st;
    x->rows++;
    switch (t->kind) {
    case BZ_LINE_KEYED:
        return row_keyed(x, t, it, values, err);
    case BZ_LINE_CHILD:
        return row_child(x, t, it, values, err);
    case BZ_LINE_EVENT:
        return row_event(x, t, it, values, err);
    default:
        return row_total(x, t, it, source, values, err);
    }
}

static bezel_status import_head(importer *x, bezel_error *err)
{
    char marks[BZ_STORE_MARKS_SIZE];
    const bezel_value *head;
    int any;
    bezel_status st = import_read(&any, x, err);
    if (st == BEZEL_OK)
        st = import_json(&head, x, err);
    if (st != BEZEL_OK)
        return st;
    const int64_t form = bezel_value_integer(bezel_value_get(head, "bezel_store"));
    const int64_t schema = bezel_value_integer(bezel_value_get(head, "schema"));
    if (!form)
        return import_fail(x, BEZEL_ERR_FORMAT, err, "%s", "this is no export of a store: the head has no \"bezel_store\"");
    if (form != 1 || schema > bz_store_version)
        return import_fail(x, BEZEL_ERR_VERSION, err, "form %lld with schema %lld, this Bezel (%s) reads form 1 up to schema %d",
                           (long long)form, (long long)schema, BEZEL_VERSION_TEXT, bz_store_version);
    st = bz_store_meta(marks, sizeof marks, x->store, "user_keys", err);
    if (st == BEZEL_OK)
        st = bz_store_meta(x->own, sizeof x->own, x->store, "source", err);
    if (st == BEZEL_OK && strcmp(marks, bezel_value_text(bezel_value_get(head, "user_keys"), NULL)) != 0) {
        st = import_fail(x, BEZEL_ERR_DENIED, err, "%s", "users in the file are named with other keys than those in the store");
        bz_error_hint(err, st, "open both stores with the same user_keys before");
    }
    return st;
}

static bezel_status import_lines(importer *x, bezel_error *err)
{
    const bezel_value *line;
    int any;
    bezel_status st = import_head(x, err);
    for (;;) {
        if (st == BEZEL_OK)
            st = import_read(&any, x, err);
        if (st == BEZEL_OK && !any)
            return import_fail(x, BEZEL_ERR_TRUNCATED, err, "%s", "the last line, {\"rows\":…}, is missing");
        if (st == BEZEL_OK)
            st = import_json(&line, x, err);
        if (st != BEZEL_OK)
            return st;
        if (bezel_value_get(line, "rows"))
            break;
        st = import_row(x, line, err);
    }
    if (bezel_value_integer(bezel_value_get(line, "rows")) != (int64_t)x->rows)
        return import_fail(x, BEZEL_ERR_FORMAT, err, "it counts other lines than the %llu before", (unsigned long long)x->rows);
    st = import_read(&any, x, err);
    return st == BEZEL_OK && any ? import_fail(x, BEZEL_ERR_FORMAT, err, "%s", "nothing may follow the last line") : st;
}

static bezel_status import_begin(importer *x, bezel_error *err)
{
    static const char tables[] =
        "DROP TABLE IF EXISTS temp.import_turn; DROP TABLE IF EXISTS temp.import_request; DROP TABLE IF EXISTS temp.import_old;"
        "CREATE TEMP TABLE import_turn(id TEXT PRIMARY KEY) WITHOUT ROWID;"
        "CREATE TEMP TABLE import_request(file INTEGER PRIMARY KEY, here INTEGER);"
        "CREATE TEMP TABLE import_old(name TEXT, at_ms INTEGER, id INTEGER, PRIMARY KEY(name, at_ms, id)) WITHOUT ROWID";
    static const struct {
        size_t at;
        const char *sql;
    } statements[] = {
        {offsetof(importer, turn_look), "SELECT EXISTS(SELECT 1 FROM temp.import_turn WHERE id = ?1),"
                                        " EXISTS(SELECT 1 FROM turn WHERE id = ?1)"},
        {offsetof(importer, turn_add), "INSERT INTO temp.import_turn VALUES (?1)"},
        {offsetof(importer, request_look), "SELECT here FROM temp.import_request WHERE file = ?1"},
        {offsetof(importer, request_add), "INSERT INTO temp.import_request VALUES (?1, ?2)"},
        {offsetof(importer, counts_look), "SELECT source, counts FROM imported_total WHERE total = ?1 AND kind = ?2 AND name = ?3"
                                          " AND day = ?4 AND step = ?5"},
        {offsetof(importer, counts_add), "INSERT INTO imported_total(total, kind, name, day, step, source, counts)"
                                         " VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
                                         " ON CONFLICT DO UPDATE SET counts = excluded.counts"},
    };
    bezel_status st = bz_store_exec(x->store, tables, "prepare the import", err);
    for (size_t i = 0; st == BEZEL_OK && i < sizeof statements / sizeof statements[0]; i++)
        st = import_prepare((sqlite3_stmt **)(void *)((char *)x + statements[i].at), x, statements[i].sql, err);
    return st;
}

static void import_end(importer *x)
{
    sqlite3_stmt *const all[] = {x->turn_look,   x->turn_add,    x->request_look,
                                 x->request_add, x->counts_look, x->counts_add};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
        sqlite3_finalize(all[i]);
    for (int i = 0; i < IMPORT_TABLES; i++) {
        sqlite3_finalize(x->tables[i].insert);
        sqlite3_finalize(x->tables[i].find);
        sqlite3_finalize(x->tables[i].found);
    }
    for (int i = 0; i < COLUMNS; i++)
        sqlite3_free(x->bytes[i]);
    bezel_tree_free(x->tree);
    bz_strbuf_free(&x->line);
    sqlite3_free(x->block);
}

static bezel_status import_open(importer *x, bezel_error *err)
{
    const bezel_world *w = x->store->world;
    bezel_file_info info = {.size = 0};
    bezel_status st = w->file_open(w->ud, &x->file, x->path, BEZEL_FILE_READ);
    if (st == BEZEL_OK)
        st = w->file_info(w->ud, x->file, &info);
    if (st != BEZEL_OK) {
        bz_fail(err, st, "store", "%s cannot be read (%s)", x->path, bezel_status_name(st));
        bz_error_hint(err, st, "an export is made by bezel_store_export");
        return bz_error_place(err, st, "%s", x->path);
    }
    x->size = info.size;
    x->block = sqlite3_malloc64(BLOCK);
    return x->block ? BEZEL_OK : bz_fail_memory(err, "store", "a block of the file", BLOCK);
}

bezel_status bezel_store_import(uint64_t *out_added, bezel_store *store, const char *path, bezel_error *err)
{
    if (out_added)
        *out_added = 0;
    if (!store || !path || !path[0])
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "store", "bezel_store_import needs a store and a path");
    if (store->in_query)
        return bz_fail(err, BEZEL_ERR_BUSY, "store", "the store cannot import now");
    importer x = {.store = store, .path = path};
    bz_strbuf_init(&x.line, store->world, BZ_LINE_AT_MOST);
    bezel_status st = import_open(&x, err);
    if (st == BEZEL_OK)
        st = bz_store_write_begin(store, err);
    if (st == BEZEL_OK) {
        st = import_begin(&x, err);
        if (st == BEZEL_OK)
            st = import_lines(&x, err);
        const uint64_t added = x.added;
        import_end(&x); /* statements that wait would hold the transaction */
        x = (importer){.store = store, .path = path, .file = x.file};
        st = bz_store_write_end(store, st, err);
        bz_store_exec(store, "DROP TABLE IF EXISTS temp.import_turn; DROP TABLE IF EXISTS temp.import_request;"
                             " DROP TABLE IF EXISTS temp.import_old", "end the import", NULL);
        if (st == BEZEL_OK && out_added)
            *out_added = added;
    } else {
        import_end(&x);
    }
    if (x.file)
        store->world->file_close(store->world->ud, x.file);
    if (st == BEZEL_OK)
        bz_store_tidy_write(store);
    return st;
}
