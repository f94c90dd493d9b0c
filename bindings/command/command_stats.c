/* SPDX-License-Identifier: MIT */
/* bezel stats: the store's views as tables, as JSON, or its sums for Prometheus. */
#include "command_stats.h"

#include <stdio.h>
#include <string.h>

int cmd_stats_rows(const bezel_value **out, cmd_host *host, bezel_tree *tree, const char *sql) {
    bezel_value *rows = NULL;
    if (bezel_store_query(&rows, tree, host->store, sql, NULL, &host->error) != BEZEL_OK) return cmd_host_fail(host);
    *out = rows;
    return CMD_OK;
}

/* --- Over days ---------------------------------------------------------------------------- */

/* The last 30 days up to the newest one that has something. */
#define DAYS \
    "WITH RECURSIVE newest(day) AS (SELECT max(day) FROM usage_by_day), d(day) AS (" \
    "  SELECT date(day, '-29 days') FROM newest WHERE day IS NOT NULL" \
    "  UNION ALL SELECT date(d.day, '+1 day') FROM d, newest WHERE d.day < newest.day)" \
    " SELECT d.day, coalesce(u.turns, 0) AS turns, coalesce(u.prompt_tokens + u.generated_tokens, 0) AS tokens," \
    "  coalesce(u.errors, 0) AS errors, l.p95_ms FROM d LEFT JOIN usage_by_day u ON u.day = d.day" \
    "  LEFT JOIN latency_by_day l ON l.day = d.day AND l.metric = 'model_call' ORDER BY d.day"

static long long days_sum(const bezel_value *rows, const char *key) {
    long long sum = 0;
    for (size_t i = 0; i < bezel_value_count(rows); i++) sum += bezel_value_integer(bezel_value_get(bezel_value_at(rows, i), key));
    return sum;
}

static int stats_days(cmd_host *host, bezel_tree *tree, const cmd_page *page) {
    const bezel_value *rows = NULL;
    char note[96];
    int status = cmd_stats_rows(&rows, host, tree, DAYS);
    size_t n = bezel_value_count(rows);
    if (status != CMD_OK || !n) return status;
    snprintf(note, sizeof note, "30 days to %s", bezel_value_text(bezel_value_get(bezel_value_at(rows, n - 1), "day"), NULL));
    cmd_page_heading(page, note);
    snprintf(note, sizeof note, "%lld turns", days_sum(rows, "turns"));
    cmd_page_bars(page, "turns", rows, "turns", note);
    snprintf(note, sizeof note, "%lld tokens read and written", days_sum(rows, "tokens"));
    cmd_page_bars(page, "tokens", rows, "tokens", note);
    snprintf(note, sizeof note, "%lld model calls failed", days_sum(rows, "errors"));
    cmd_page_bars(page, "errors", rows, "errors", note);
    snprintf(note, sizeof note, "95 %% of the model calls of the newest day within %.0f ms",
             bezel_value_number(bezel_value_get(bezel_value_at(rows, n - 1), "p95_ms")));
    cmd_page_bars(page, "p95", rows, "p95_ms", note);
    putchar('\n');
    return CMD_OK;
}

/* --- Views -------------------------------------------------------------------------------- */

static int view_is_known(const char *name) {
    for (const char *const *v = bezel_store_views(); *v; v++)
        if (strcmp(*v, name) == 0) return 1;
    return 0;
}

typedef struct standard_view {
    const char *name;
    int64_t limit; /* rows in a terminal, when --limit is not given */
    int quiet;     /* left out in a terminal while it has no rows */
} standard_view;

static const standard_view standard[] = {
    {"usage_by_model", 20, 0}, {"usage_by_tool", 20, 0},  {"usage_by_day", 14, 0},  {"usage_by_user", 10, 1},
    {"latency_by_model", 20, 1}, {"slowest_turns", 5, 1}, {"errors_by_code", 10, 1}, {"open_alerts", 20, 1},
};

static int stats_show(cmd_host *host, bezel_tree *tree, const cmd_options *o) {
    const cmd_page page = cmd_page_of_output();
    bezel_value *all = bezel_tree_map(tree);
    int n = o->n_positional ? o->n_positional : (int)(sizeof standard / sizeof *standard), shown = 0;
    int status = o->n_positional || o->json ? CMD_OK : stats_days(host, tree, &page);
    for (int i = 0; status == CMD_OK && i < n; i++) {
        const standard_view *s = o->n_positional ? NULL : &standard[i];
        const char *view = s ? s->name : o->positional[i];
        bezel_value *rows = NULL;
        char sql[160];
        if (!view_is_known(view)) {
            fprintf(stderr, "bezel stats: '%s' is no view; there are:", view);
            for (const char *const *v = bezel_store_views(); *v; v++) fprintf(stderr, " %s", *v);
            fputc('\n', stderr);
            return CMD_USAGE;
        }
        int64_t limit = s && !o->json && !(o->given & CMD_GIVEN_LIMIT) ? s->limit : o->limit;
        snprintf(sql, sizeof sql, "SELECT * FROM %s LIMIT %lld", view, (long long)limit);
        if (bezel_store_query(&rows, tree, host->store, sql, NULL, &host->error) != BEZEL_OK) return cmd_host_fail(host);
        bezel_value_set(tree, all, view, rows);
        if (o->json || (s && s->quiet && !bezel_value_count(rows))) continue;
        if (shown++) putchar('\n');
        cmd_page_heading(&page, view);
        if (bezel_value_count(rows))
            cmd_page_table(&page, rows);
        else
            printf("(nothing yet)\n");
    }
    return status == CMD_OK && o->json ? cmd_print_json(host, all) : status;
}

int cmd_stats(int argc, char **argv) {
    cmd_options o = {.subcommand = "stats", .usage = "stats [--json | --prometheus] [--store FILE] [--limit N] [view ...]"};
    cmd_host host = {0};
    bezel_tree *tree = NULL;
    int status = cmd_options_read(&o, argc, argv, "store json prometheus limit quiet");
    if (status != CMD_OK) return status;
    if (o.prometheus && (o.json || o.n_positional)) return cmd_usage(&o, "--prometheus stands alone");
    if ((status = cmd_host_engine(&host, &o)) != CMD_OK) goto done;
    if ((status = cmd_host_store(&host, &o)) != CMD_OK) goto done;
    if (bezel_tree_new(&tree, host.engine, &host.error) != BEZEL_OK)
        status = cmd_host_fail(&host);
    else
        status = o.prometheus ? cmd_stats_prometheus(&host, tree) : stats_show(&host, tree, &o);
done:
    bezel_tree_free(tree);
    cmd_host_free(&host);
    return status;
}
