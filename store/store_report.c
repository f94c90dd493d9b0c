/* SPDX-License-Identifier: MIT */
/* A store as one page of HTML. SQL adds up, so the page does not grow with the number of rows: a section is one statement,
 * its rows are JSON, and the script of the page draws them. All sections see the same state of the file. Text of the
 * store cannot leave the JSON, and the JSON cannot leave its element: < > & and the line separators are written as \u....
 *
 * The page itself are the files in report/, which the build turns into report_page.h. */
#include "store_output.h"

#include <string.h>

#include <bezel/engine.h>
#include <sodium.h>

#include "base/options.h"
#include "base/strbuf.h"
#include "report_page.h"

#define TEXT_AT_MOST "4000"          /* characters of a message or result in the page */
#define COLUMNS_AT_MOST 100          /* of a chart over time */
#define CONVERSATIONS_AT_MOST 1000
#define MARKER "<!doctype html>\n<!-- Bezel report -->" /* how a file begins that may be replaced */

/* --- Sections ----------------------------------------------------------------------------- */

/* ?1 first and ?2 last millisecond, ?3 width of a column over time in ms, ?4 conversations at most. */
#define IN_TIME " BETWEEN ?1 AND ?2"
#define TURNS " turn WHERE started_ms" IN_TIME
#define USAGES " usage WHERE started_ms" IN_TIME
#define FAILED "(status IS NOT NULL OR error IS NOT NULL)"
#define SPEED \
    "sum(max(generated_tokens - 1, 0)) * 1e6 / nullif(sum(CASE WHEN generated_tokens > 1 THEN duration_us - first_token_us" \
    " ELSE 0 END), 0) AS tokens_per_second"
/* Nearest rank: the value that p % of n sorted ones do not exceed; r counts from 1. */
#define RANK(p, us) "max(CASE WHEN r = (n * " #p " + 99) / 100 THEN " us " END) / 1e3"

/* Lower edge of the column that a time falls into: 1, 2, 3, 5, 7 in each power of ten of milliseconds. */
#define STEP(low, high) " WHEN us < " #high "000 THEN " #low
#define DECADE(z) \
    STEP(1##z, 2##z) STEP(2##z, 3##z) STEP(3##z, 5##z) STEP(5##z, 7##z) STEP(7##z, 10##z)
#define EDGE "CASE WHEN us < 1000 THEN 0" DECADE() DECADE(0) DECADE(00) DECADE(000) DECADE(0000) DECADE(00000) " ELSE 1000000 END"

#define GROUPED(key) \
    "SELECT " key ", count(DISTINCT turn) AS turns, count(DISTINCT CASE WHEN u.error IS NOT NULL THEN turn END) AS failed," \
    " sum(prompt_tokens) AS prompt_tokens, sum(generated_tokens) AS generated_tokens," \
    " avg(first_token_us) FILTER (WHERE generated_tokens > 0) / 1e3 AS first_ms, " SPEED ", max(started_ms) AS last_ms" \
    " FROM usage u WHERE started_ms" IN_TIME " GROUP BY " key " ORDER BY turns DESC, " key " LIMIT 50"

typedef struct report_section {
    const char *name;
    int one; /* a map, not a list of them */
    const char *sql;
} report_section;

static const report_section sections[] = {
    {"totals", 1,
     "WITH t AS (SELECT *, row_number() OVER (ORDER BY duration_us) AS r, count(*) OVER () AS n FROM" TURNS "),"
     " f AS (SELECT first_token_us, row_number() OVER (ORDER BY first_token_us) AS r, count(*) OVER () AS n FROM" USAGES
     "   AND generated_tokens > 0),"
     " a AS (SELECT count(*) AS turns, total(" FAILED ") AS failed, count(DISTINCT user) AS users,"
     "   count(DISTINCT conversation) AS conversations, min(started_ms) AS first_ms, max(started_ms) AS last_ms,"
     "   " RANK(50, "duration_us") " AS p50_ms, " RANK(95, "duration_us") " AS p95_ms, " RANK(99, "duration_us") " AS p99_ms FROM t),"
     " b AS (SELECT " RANK(50, "first_token_us") " AS first_p50_ms, " RANK(95, "first_token_us") " AS first_p95_ms FROM f),"
     " c AS (SELECT count(*) AS model_calls, total(prompt_tokens) AS prompt_tokens, total(cached_tokens) AS cached_tokens,"
     "   total(generated_tokens) AS generated_tokens, " SPEED " FROM" USAGES ") SELECT * FROM a, b, c"},
    {"time", 0,
     "WITH t AS (SELECT *, started_ms / ?3 AS g, row_number() OVER (PARTITION BY started_ms / ?3 ORDER BY duration_us) AS r,"
     "   count(*) OVER (PARTITION BY started_ms / ?3) AS n FROM" TURNS ")"
     " SELECT g * ?3 AS at, count(*) AS turns, sum(" FAILED ") AS failed, count(DISTINCT user) AS users,"
     "   " RANK(50, "duration_us") " AS p50_ms, " RANK(95, "duration_us") " AS p95_ms, max(duration_us) / 1e3 AS max_ms"
     " FROM t GROUP BY g ORDER BY g"},
    {"before", 0, /* of the days without rows what is left: totals, in columns of whole days */
     "WITH d AS (SELECT *, CAST(julianday(day) - 2440587.5 AS INTEGER) AS n FROM usage_total WHERE kind = 'all'"
     "   AND day < coalesce((SELECT date(min(started_ms) / 1000, 'unixepoch') FROM turn), '9')"
     "   AND day >= coalesce(date(?1 / 1000, 'unixepoch'), '')),"
     " w AS (SELECT (max(n) - min(n)) / 100 + 1 AS days FROM d)"
     " SELECT n / days * days * 86400000 AS at, sum(turns) AS turns, sum(model_calls) AS model_calls,"
     "   sum(prompt_tokens) AS prompt_tokens, sum(generated_tokens) AS generated_tokens, sum(errors) AS errors"
     " FROM d, w GROUP BY 1 ORDER BY 1"},
    {"tokens", 0,
     "SELECT started_ms / ?3 * ?3 AS at, count(*) AS model_calls, sum(prompt_tokens - cached_tokens) AS fresh,"
     " sum(cached_tokens) AS cached, sum(generated_tokens) AS generated,"
     " avg(first_token_us) FILTER (WHERE generated_tokens > 0) / 1e3 AS first_ms, " SPEED
     " FROM" USAGES " GROUP BY 1 ORDER BY 1"},
    {"latency", 0,
     "SELECT " EDGE " AS ms, count(*) AS n FROM (SELECT duration_us AS us FROM" TURNS ") GROUP BY 1 ORDER BY 1"},
    {"first_token", 0,
     "SELECT " EDGE " AS ms, count(*) AS n FROM (SELECT first_token_us AS us FROM" USAGES " AND generated_tokens > 0)"
     " GROUP BY 1 ORDER BY 1"},
    {"slowest", 0,
     "SELECT t.started_ms, t.duration_us / 1e3 AS ms, t.user, t.model, t.status,"
     " (SELECT count(*) FROM usage u WHERE u.turn = t.id) AS model_calls,"
     " (SELECT count(*) FROM tool_call k WHERE k.turn = t.id) AS tool_calls,"
     " (SELECT sum(generated_tokens) FROM usage u WHERE u.turn = t.id) AS generated_tokens"
     " FROM turn t WHERE started_ms" IN_TIME " ORDER BY duration_us DESC, id LIMIT 20"},
    {"models", 0, GROUPED("model")},
    {"users", 0, GROUPED("user")},
    {"tools", 0,
     "SELECT name AS tool, count(*) AS calls, sum(error_code IS NOT NULL) AS failed, sum(repeated) AS repeated,"
     " avg(k.duration_us) FILTER (WHERE k.duration_us > 0) / 1e3 AS mean_ms, max(k.duration_us) / 1e3 AS slowest_ms"
     " FROM tool_call k JOIN turn t ON t.id = k.turn WHERE t.started_ms" IN_TIME
     " GROUP BY name ORDER BY calls DESC, name LIMIT 50"},
    {"tool_errors", 0,
     "SELECT name AS tool, error_code AS code, name || ': ' || error_code AS what, count(*) AS n, max(t.started_ms) AS last_ms"
     " FROM tool_call k JOIN turn t ON t.id = k.turn WHERE t.started_ms" IN_TIME " AND error_code IS NOT NULL"
     " GROUP BY name, error_code ORDER BY n DESC, name, error_code LIMIT 50"},
    {"errors", 0,
     "SELECT coalesce(status, 'unknown') AS code, count(*) AS n, max(started_ms) AS last_ms FROM" TURNS " AND " FAILED
     " GROUP BY 1 ORDER BY n DESC, code LIMIT 50"},
    {"stops", 0, "SELECT stop_reason, count(*) AS n FROM" USAGES " GROUP BY 1 ORDER BY n DESC, stop_reason LIMIT 20"},
    {"recent_errors", 0,
     "SELECT started_ms, coalesce(status, 'unknown') AS status, substr(error, 1, 500) AS error, user, model FROM" TURNS
     " AND " FAILED " ORDER BY id DESC LIMIT 50"},
    {"decisions", 0,
     "SELECT kind, outcome, name, count(*) AS n, max(t.started_ms) AS last_ms FROM decision d JOIN turn t ON t.id = d.turn"
     " WHERE t.started_ms" IN_TIME " GROUP BY kind, outcome, name ORDER BY n DESC, kind, outcome, name LIMIT 100"},
    {"alerts", 0,
     "SELECT at_ms, model, type, severity, metric, value, threshold, is_over, message FROM alert WHERE at_ms" IN_TIME
     " ORDER BY id DESC LIMIT 50"},
    {"guard", 0,
     "SELECT kind, outcome, rule, count(*) AS n, max(at_ms) AS last_ms FROM guard_decision WHERE at_ms" IN_TIME
     " GROUP BY kind, outcome, rule ORDER BY n DESC, kind, outcome, rule LIMIT 100"},
    {"quality", 0,
     "SELECT model, count(*) AS n, avg(relevance) AS relevance, avg(coherence) AS coherence, avg(safety) AS safety,"
     " avg(accuracy) AS accuracy, avg(satisfaction) AS satisfaction FROM quality WHERE at_ms" IN_TIME
     " GROUP BY model ORDER BY n DESC, model LIMIT 50"},
    {"memory", 0,
     "SELECT at_ms / ?3 * ?3 AS at, max(memory_bytes) / 1048576.0 AS memory_mb FROM request WHERE at_ms" IN_TIME
     " AND memory_bytes > 0 GROUP BY 1 ORDER BY 1"},
#define NEWEST "(SELECT id FROM conversation WHERE updated_ms" IN_TIME " ORDER BY updated_ms DESC, id DESC LIMIT ?4)"
    {"conversations", 0,
     "SELECT id, title, user, model, created_ms, updated_ms,"
     " (SELECT count(*) FROM message m WHERE m.conversation = c.id) AS messages"
     " FROM conversation c WHERE id IN " NEWEST " ORDER BY updated_ms DESC, id DESC"},
    {"messages", 0,
     "SELECT conversation, turn, step, role, substr(text, 1, " TEXT_AT_MOST ") AS text, length(text) > " TEXT_AT_MOST " AS cut"
     " FROM (SELECT *, row_number() OVER (PARTITION BY conversation ORDER BY id DESC) AS r FROM message"
     "   WHERE conversation IN " NEWEST ") WHERE r <= 200 ORDER BY conversation, id"},
    {"calls", 0,
     "SELECT conversation, turn, step, name, substr(arguments, 1, " TEXT_AT_MOST ") AS arguments,"
     " substr(result, 1, " TEXT_AT_MOST ") AS result, error_code, substr(error, 1, 500) AS error, duration_us / 1e3 AS ms"
     " FROM (SELECT *, row_number() OVER (PARTITION BY conversation ORDER BY id DESC) AS r FROM tool_call"
     "   WHERE conversation IN " NEWEST ") WHERE r <= 200 ORDER BY conversation, id"},
};

/* --- The file ----------------------------------------------------------------------------- */

typedef struct report_writer {
    bezel_store *store;
    const bezel_store_report_options *options;
    bz_store_output *out;
    int64_t span[4]; /* parameters ?1 to ?4 of the sections */
} report_writer;

static bezel_status report_put(report_writer *w, const char *text, size_t size, bezel_error *err)
{
    bz_strbuf_add(&w->out->held, text, size);
    return bz_store_output_pass(w->out, err);
}

/* JSON for the inside of a script element: what could end it, begin a comment, or end a line of JavaScript is spelled. */
static void report_escape(bz_strbuf *out, const char *json, size_t size)
{
    size_t from = 0;
    for (size_t i = 0; i < size; i++) {
        const unsigned char *p = (const unsigned char *)json + i;
        int line = p[0] == 0xe2 && i + 2 < size && p[1] == 0x80 && (p[2] == 0xa8 || p[2] == 0xa9);
        if (!line && p[0] != '<' && p[0] != '>' && p[0] != '&')
            continue;
        bz_strbuf_add(out, json + from, i - from);
        if (line)
            bz_strbuf_text(out, p[2] == 0xa8 ? "\\u2028" : "\\u2029");
        else
            bz_strbuf_format(out, "\\u%04x", p[0]);
        i += line ? 2 : 0;
        from = i + 1;
    }
    bz_strbuf_add(out, json + from, size - from);
}

static bezel_status report_json(report_writer *w, const char *name, const bezel_value *value, bezel_error *err)
{
    char *json = NULL;
    size_t size = 0;
    bezel_status st = bezel_json_write(&json, &size, w->store->engine, value, 0, err);
    if (st == BEZEL_OK) {
        bz_strbuf_format(&w->out->held, "%s\"%s\":", strcmp(name, "about") == 0 ? "{" : ",\n", name);
        report_escape(&w->out->held, json, size);
        st = bz_store_output_pass(w->out, err);
    }
    bezel_text_free(w->store->engine, json);
    return st;
}

/* --- The data ----------------------------------------------------------------------------- */

static bezel_status report_rows(bezel_value **out, bezel_tree *tree, report_writer *w, const char *sql, bezel_error *err)
{
    sqlite3_stmt *stmt = NULL;
    bezel_store *store = w->store;
    bz_store_row row;
    int rc = sqlite3_prepare_v2(store->db, sql, -1, &stmt, NULL);
    bz_store_row_init(&row, stmt);
    for (int i = 0; rc == SQLITE_OK && i < sqlite3_bind_parameter_count(stmt); i++)
        bz_store_row_integer(&row, w->span[i]);
    bezel_value *list = bezel_tree_list(tree);
    bezel_status st;
    if (rc != SQLITE_OK || row.rc != SQLITE_OK)
        st = bz_store_fail(store, rc != SQLITE_OK ? rc : row.rc, "read for the report", err);
    else
        st = bz_store_rows(list, tree, store, stmt, "read for the report", err);
    sqlite3_finalize(stmt);
    if (st == BEZEL_OK && bezel_tree_status(tree) != BEZEL_OK)
        st = bz_fail(err, bezel_tree_status(tree), "store", "no room for the report");
    *out = list;
    return st;
}

static bezel_status report_section_write(report_writer *w, const report_section *section, bezel_error *err)
{
    bezel_tree *tree = NULL;
    bezel_value *rows = NULL;
    bezel_status st = bezel_tree_new(&tree, w->store->engine, err);
    if (st == BEZEL_OK)
        st = report_rows(&rows, tree, w, section->sql, err);
    if (st == BEZEL_OK)
        st = report_json(w, section->name, section->one ? bezel_value_at(rows, 0) : rows, err);
    bezel_tree_free(tree);
    return st;
}

/* Width of a column over time, so that there are COLUMNS_AT_MOST at most. */
static int64_t report_bucket(int64_t span_ms)
{
    static const int minutes[] = {1, 5, 15, 60, 180, 360, 1440, 10080, 40320, 0};
    size_t i = 0;
    while (minutes[i + 1] && span_ms / (minutes[i] * 60000LL) >= COLUMNS_AT_MOST)
        i++;
    return minutes[i] * 60000LL;
}

/* Period and width of columns, from what the options want and what is there. */
static bezel_status report_span(report_writer *w, const bezel_store_report_options *o, int64_t now, bezel_error *err)
{
    int64_t first = 0, last = 0;
    w->span[0] = o->days ? now - (int64_t)o->days * 86400000 : INT64_MIN;
    w->span[1] = INT64_MAX;
    w->span[3] = o->conversations;
    bezel_status st = bz_store_integer(&first, w->store, "SELECT min(started_ms) FROM usage", "read for the report", err);
    if (st == BEZEL_OK)
        st = bz_store_integer(&last, w->store, "SELECT max(started_ms) FROM usage", "read for the report", err);
    if (first < w->span[0])
        first = w->span[0];
    w->span[2] = report_bucket(last > first ? last - first : 0);
    return st;
}

static const char *report_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bezel_status report_about(report_writer *w, const bezel_store_report_options *o, int64_t now, bezel_error *err)
{
    bezel_tree *tree = NULL;
    bezel_status st = bezel_tree_new(&tree, w->store->engine, err);
    if (st != BEZEL_OK)
        return st;
    bezel_value *about = bezel_tree_map(tree);
    bezel_value_set(tree, about, "version", bezel_tree_text(tree, BEZEL_VERSION_TEXT, SIZE_MAX));
    bezel_value_set(tree, about, "made_ms", bezel_tree_integer(tree, now));
    bezel_value_set(tree, about, "days", o->days ? bezel_tree_integer(tree, o->days) : bezel_tree_null(tree));
    bezel_value_set(tree, about, "bucket_ms", bezel_tree_integer(tree, w->span[2]));
    bezel_value_set(tree, about, "store", bezel_tree_text(tree, report_name(w->store->path), SIZE_MAX));
    st = bezel_tree_status(tree) == BEZEL_OK ? report_json(w, "about", about, err)
                                             : bz_fail(err, bezel_tree_status(tree), "store", "no room for the report");
    bezel_tree_free(tree);
    return st;
}

static bezel_status report_data(report_writer *w, const bezel_store_report_options *o, bezel_error *err)
{
    const bezel_world *world = w->store->world;
    const int64_t now = world->wall_ms(world->ud);
    bezel_status st = report_span(w, o, now, err);
    if (st == BEZEL_OK)
        st = report_about(w, o, now, err);
    for (size_t i = 0; st == BEZEL_OK && i < sizeof sections / sizeof *sections; i++)
        st = report_section_write(w, &sections[i], err);
    return st == BEZEL_OK ? report_put(w, "}", 1, err) : st;
}

/* --- The page ----------------------------------------------------------------------------- */

/* Base64 of the SHA-256 of a text, as a Content-Security-Policy names it. */
static void report_hash(bz_strbuf *out, const char *text)
{
    unsigned char digest[crypto_hash_sha256_BYTES];
    char base64[sodium_base64_ENCODED_LEN(sizeof digest, sodium_base64_VARIANT_ORIGINAL)];
    crypto_hash_sha256(digest, (const unsigned char *)text, strlen(text));
    sodium_bin2base64(base64, sizeof base64, digest, sizeof digest, sodium_base64_VARIANT_ORIGINAL);
    bz_strbuf_text(out, base64);
}

/* report.html with its places, {{NAME}}, filled. */
static bezel_status report_page(bz_store_output *out, void *ctx, bezel_error *err)
{
    report_writer *w = ctx;
    bezel_status st = BEZEL_OK;
    w->out = out;
    const char *at = report_html, *place;
    while (st == BEZEL_OK && (place = strstr(at, "{{")) != NULL) {
        const char *name = place + 2, *end = strstr(place, "}}");
        size_t size = (size_t)(end - name);
        st = report_put(w, at, (size_t)(place - at), err);
        if (st != BEZEL_OK)
            break;
        if (strncmp(name, "STYLE_HASH", size) == 0 && size == 10)
            report_hash(&w->out->held, report_css);
        else if (strncmp(name, "SCRIPT_HASH", size) == 0 && size == 11)
            report_hash(&w->out->held, report_js);
        else if (strncmp(name, "STYLE", size) == 0)
            bz_strbuf_text(&w->out->held, report_css);
        else if (strncmp(name, "SCRIPT", size) == 0)
            bz_strbuf_text(&w->out->held, report_js);
        else
            st = report_data(w, w->options, err);
        at = end + 2;
    }
    if (st == BEZEL_OK)
        st = report_put(w, at, strlen(at), err);
    return st;
}

/* A file that is no report of ours is not replaced: a wrong word on a command line must not cost a store. */
static bezel_status report_check(const bezel_world *w, const char *path, bezel_error *err)
{
    bezel_file *file = NULL;
    bezel_file_info info = {.size = 0};
    char head[sizeof MARKER - 1];
    bezel_status st = w->file_open(w->ud, &file, path, BEZEL_FILE_READ);
    if (st == BEZEL_ERR_MISSING || st == BEZEL_ERR_IO)
        return BEZEL_OK; /* nothing there; what else may be wrong, making the file tells */
    int ours = 0;
    if (st == BEZEL_OK) {
        st = w->file_info(w->ud, file, &info);
        if (st == BEZEL_OK && info.size >= sizeof head)
            st = w->file_read(w->ud, file, 0, head, sizeof head);
        ours = st == BEZEL_OK && (!info.size || (info.size >= sizeof head && memcmp(head, MARKER, sizeof head) == 0));
        w->file_close(w->ud, file);
    }
    if (ours)
        return BEZEL_OK;
    if (st == BEZEL_OK)
        st = bz_fail(err, BEZEL_ERR_DENIED, "store", "%s exists and is no report, so it is not replaced", path);
    else
        bz_fail(err, st, "store", "%s cannot be looked at (%s)", path, bezel_status_name(st));
    bz_error_hint(err, st, "choose a new name, or remove the file first");
    return bz_error_place(err, st, "%s", path);
}

/* --- Public ------------------------------------------------------------------------------- */

void bezel_store_report_options_init(bezel_store_report_options *out)
{
    *out = (bezel_store_report_options){.size = sizeof *out, .conversations = 100};
}

bezel_status bezel_store_report(bezel_store *store, const char *path, const bezel_store_report_options *options, bezel_error *err)
{
    bezel_store_report_options o;
    if (!store || !path || !path[0])
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "store", "bezel_store_report needs a store and a path");
    bezel_store_report_options_init(&o);
    bezel_status st = bz_options_read(&o, sizeof o, options, "store", err);
    if (st == BEZEL_OK && (o.days > 100000 || o.conversations > CONVERSATIONS_AT_MOST))
        st = bz_fail(err, BEZEL_ERR_RANGE, "store", "a report has at most 100,000 days and %d conversations", CONVERSATIONS_AT_MOST);
    if (st == BEZEL_OK && (!store->db || store->in_query || !sqlite3_get_autocommit(store->db)))
        st = bz_fail(err, BEZEL_ERR_BUSY, "store", "the store cannot answer now");
    if (st == BEZEL_OK)
        st = report_check(store->world, path, err);
    if (st != BEZEL_OK)
        return st;
    report_writer w = {.store = store, .options = &o};
    return bz_store_output_make(store, "report", path, report_page, &w, err);
}
