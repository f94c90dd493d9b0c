/* SPDX-License-Identifier: MIT */
/* bezel stats: the store's views as tables, or as JSON. */
#include "command.h"

#include <stdio.h>
#include <string.h>

#define COLUMN_WIDTH 40

/* Text of a cell, at most COLUMN_WIDTH bytes shown. */
static const char *cell_text(const bezel_value *value, char out[64]) {
    switch (bezel_value_type(value)) {
    case BEZEL_INTEGER: snprintf(out, 64, "%lld", (long long)bezel_value_integer(value)); break;
    case BEZEL_NUMBER: snprintf(out, 64, "%.1f", bezel_value_number(value)); break;
    case BEZEL_TEXT: snprintf(out, COLUMN_WIDTH, "%s", bezel_value_text(value, NULL)); break;
    default: snprintf(out, 64, "-");
    }
    for (char *p = out; *p; p++)
        if ((unsigned char)*p < 0x20) *p = ' ';
    return out;
}

static int column_width(const bezel_value *rows, const char *key) {
    size_t width = strlen(key);
    char cell[64];
    for (size_t i = 0; i < bezel_value_count(rows); i++) {
        size_t n = strlen(cell_text(bezel_value_get(bezel_value_at(rows, i), key), cell));
        if (n > width) width = n;
    }
    return (int)width;
}

static void print_table(const bezel_value *rows) {
    const bezel_value *first = bezel_value_at(rows, 0);
    size_t n_columns = bezel_value_count(first);
    char cell[64];
    int widths[64];
    if (n_columns > 64) n_columns = 64;
    for (size_t c = 0; c < n_columns; c++) {
        const char *key = bezel_value_key(first, c, NULL);
        widths[c] = column_width(rows, key);
        printf("%-*s%s", c + 1 < n_columns ? widths[c] : 0, key, c + 1 < n_columns ? "  " : "\n");
    }
    for (size_t i = 0; i < bezel_value_count(rows); i++)
        for (size_t c = 0; c < n_columns; c++) {
            const char *key = bezel_value_key(first, c, NULL);
            cell_text(bezel_value_get(bezel_value_at(rows, i), key), cell);
            printf("%-*s%s", c + 1 < n_columns ? widths[c] : 0, cell, c + 1 < n_columns ? "  " : "\n");
        }
}

static int view_rows(bezel_value **out, bezel_tree *tree, cmd_host *host, const char *view, int64_t limit) {
    char sql[160];
    snprintf(sql, sizeof sql, "SELECT * FROM %s LIMIT %lld", view, (long long)limit);
    return bezel_store_query(out, tree, host->store, sql, NULL, &host->error) == BEZEL_OK ? CMD_OK : cmd_host_fail(host);
}

static int view_is_known(const char *name) {
    for (const char *const *v = bezel_store_views(); *v; v++)
        if (strcmp(*v, name) == 0) return 1;
    return 0;
}

static int stats_show(cmd_host *host, bezel_tree *tree, const cmd_options *o) {
    static const char *const standard[] = {"usage_by_model", "usage_by_tool", "usage_by_day"};
    bezel_value *all = bezel_tree_map(tree);
    int n = o->n_positional ? o->n_positional : 3;
    for (int i = 0; i < n; i++) {
        const char *view = o->n_positional ? o->positional[i] : standard[i];
        bezel_value *rows = NULL;
        if (!view_is_known(view)) {
            fprintf(stderr, "bezel stats: '%s' is no view; there are:", view);
            for (const char *const *v = bezel_store_views(); *v; v++) fprintf(stderr, " %s", *v);
            fputc('\n', stderr);
            return CMD_USAGE;
        }
        int status = view_rows(&rows, tree, host, view, o->limit);
        if (status != CMD_OK) return status;
        bezel_value_set(tree, all, view, rows);
        if (o->json) continue;
        printf("%s%s\n", i ? "\n" : "", view);
        if (bezel_value_count(rows))
            print_table(rows);
        else
            printf("(nothing yet)\n");
    }
    return o->json ? cmd_print_json(host, all) : CMD_OK;
}

int cmd_stats(int argc, char **argv) {
    cmd_options o = {.subcommand = "stats", .usage = "stats [--json] [--store FILE] [--limit N] [view ...]"};
    cmd_host host = {0};
    bezel_tree *tree = NULL;
    int status = cmd_options_read(&o, argc, argv, "store json limit quiet");
    if (status != CMD_OK) return status;
    if ((status = cmd_host_engine(&host, &o)) != CMD_OK) goto done;
    if ((status = cmd_host_store(&host, &o)) != CMD_OK) goto done;
    if (bezel_tree_new(&tree, host.engine, &host.error) != BEZEL_OK)
        status = cmd_host_fail(&host);
    else
        status = stats_show(&host, tree, &o);
done:
    bezel_tree_free(tree);
    cmd_host_free(&host);
    return status;
}
