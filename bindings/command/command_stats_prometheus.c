/* SPDX-License-Identifier: MIT */
/* Sums of a store for Prometheus, one table row a metric. Names are OpenTelemetry's for generative AI where it has one, else
 * bezel_...; durations are histograms with the bounds of bezel_monitor_prometheus, counted within the 8 % of the store's own. Source:
 * https://prometheus.io/docs/instrumenting/exposition_formats/ */
#include "command_stats.h"

#include <stdio.h>
#include <string.h>

/* A statement gives `value` and any labels by their names; for a histogram a row a bound, in order: le, below, seconds (all
 * together) and n. */
typedef struct metric {
    const char *name, *type, *help, *sql;
} metric;

#define OPERATION_BOUNDS \
    "VALUES ('0.01'), ('0.02'), ('0.04'), ('0.08'), ('0.16'), ('0.32'), ('0.64'), ('1.28'), ('2.56'), ('5.12'), ('10.24'), ('20.48')," \
    " ('40.96'), ('81.92'), ('+Inf')"
#define FIRST_BOUNDS \
    "VALUES ('0.001'), ('0.005'), ('0.01'), ('0.02'), ('0.04'), ('0.06'), ('0.08'), ('0.1'), ('0.25'), ('0.5'), ('0.75'), ('1'), ('2.5')," \
    " ('5'), ('10'), ('+Inf')"
#define HISTOGRAM(which, labels, bounds) \
    "WITH b(le) AS (" bounds ") SELECT " labels ", le, coalesce(sum(n) FILTER (WHERE le = '+Inf' OR value <= le * 1e6), 0) AS below," \
    " total(n * value) / 1e6 AS seconds, sum(n) AS n FROM histogram CROSS JOIN b WHERE metric = '" which "' AND day = ''" \
    " GROUP BY name, le ORDER BY name, le = '+Inf', CAST(le AS REAL)"
#define MODEL_LABELS "name AS gen_ai_request_model, 'bezel' AS gen_ai_provider_name, 'chat' AS gen_ai_operation_name"

static const metric metrics[] = {
    {"gen_ai_client_operation_duration_seconds", "histogram", "Time from a model call to its end.",
     HISTOGRAM("model_call", MODEL_LABELS, OPERATION_BOUNDS)},
    {"gen_ai_server_time_to_first_token_seconds", "histogram", "Time from a model call to its first token.",
     HISTOGRAM("first_token", MODEL_LABELS, FIRST_BOUNDS)},
    {"gen_ai_server_request_duration_seconds", "histogram", "Time from a request of a monitor to its end.",
     HISTOGRAM("request", MODEL_LABELS, OPERATION_BOUNDS)},
    {"gen_ai_client_token_usage_total", "counter", "Tokens read (input) and written (output).",
     "SELECT coalesce(model, '') AS gen_ai_request_model, 'input' AS gen_ai_token_type, prompt_tokens AS value FROM usage_by_model"
     " UNION ALL SELECT coalesce(model, ''), 'output', generated_tokens FROM usage_by_model"},
    {"bezel_cached_tokens_total", "counter", "Tokens of prompts that were found in the cache.",
     "SELECT coalesce(model, '') AS gen_ai_request_model, cached_tokens AS value FROM usage_by_model"},
    {"bezel_turns_total", "counter", "Turns of agents.",
     "SELECT coalesce(model, '') AS gen_ai_request_model, turns AS value FROM usage_by_model"},
    {"bezel_model_calls_total", "counter", "Model calls.",
     "SELECT coalesce(model, '') AS gen_ai_request_model, model_calls AS value FROM usage_by_model"},
    {"bezel_errors_total", "counter", "Failures by code; kind error: model calls and turns, code: requests of a monitor.",
     "SELECT kind, code AS error_type, n AS value FROM errors_by_code"},
    {"bezel_tool_calls_total", "counter", "Calls of tools.", "SELECT tool AS gen_ai_tool_name, calls AS value FROM usage_by_tool"},
    {"bezel_tool_failures_total", "counter", "Calls of tools that failed, by code.",
     "SELECT tool AS gen_ai_tool_name, code AS error_type, n AS value FROM errors_by_tool"},
    {"gen_ai_execute_tool_duration_seconds", "histogram", "Time that tools took.",
     HISTOGRAM("tool", "name AS gen_ai_tool_name", OPERATION_BOUNDS)},
    {"bezel_open_alerts", "gauge", "Alerts that have begun and are not over.",
     "SELECT coalesce(model, '') AS gen_ai_request_model, type, severity, count(*) AS value FROM open_alerts GROUP BY 1, 2, 3"},
};

static int is_label(const char *key) {
    static const char *const numbers[] = {"value", "le", "below", "seconds", "n"};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (strcmp(key, numbers[i]) == 0) return 0;
    return 1;
}

/* {label="value",...}; le NULL = none. */
static void put_labels(const bezel_value *row, const char *le) {
    const char *before = "{";
    for (size_t c = 0; c < bezel_value_count(row); c++) {
        const char *key = bezel_value_key(row, c, NULL);
        if (!is_label(key)) continue;
        printf("%s%s=\"", before, key);
        for (const char *p = bezel_value_text(bezel_value_get(row, key), NULL); *p; p++) {
            if (*p == '\n')
                fputs("\\n", stdout);
            else
                printf(*p == '"' || *p == '\\' ? "\\%c" : "%c", *p);
        }
        putchar('"');
        before = ",";
    }
    if (le) printf("%sle=\"%s\"", before, le);
    if (le || before[0] == ',') putchar('}');
}

static void put_number(const bezel_value *v) {
    if (bezel_value_type(v) == BEZEL_INTEGER)
        printf(" %lld\n", (long long)bezel_value_integer(v));
    else if (bezel_value_type(v) == BEZEL_NUMBER)
        printf(" %.9g\n", bezel_value_number(v));
    else
        printf(" NaN\n");
}

static void put_sample(const metric *m, const char *end, const bezel_value *row, const char *le, const char *column) {
    printf("%s%s", m->name, end);
    put_labels(row, le);
    put_number(bezel_value_get(row, column));
}

static void put_row(const metric *m, const bezel_value *row) {
    if (strcmp(m->type, "histogram") != 0) {
        put_sample(m, "", row, NULL, "value");
        return;
    }
    const char *le = bezel_value_text(bezel_value_get(row, "le"), NULL);
    put_sample(m, "_bucket", row, le, "below");
    if (strcmp(le, "+Inf") != 0) return;
    put_sample(m, "_sum", row, NULL, "seconds");
    put_sample(m, "_count", row, NULL, "n");
}

int cmd_stats_prometheus(cmd_host *host, bezel_tree *tree) {
    for (size_t i = 0; i < sizeof metrics / sizeof *metrics; i++) {
        const bezel_value *rows = NULL;
        int status = cmd_stats_rows(&rows, host, tree, metrics[i].sql);
        if (status != CMD_OK) return status;
        if (!bezel_value_count(rows)) continue;
        printf("# HELP %s %s\n# TYPE %s %s\n", metrics[i].name, metrics[i].help, metrics[i].name, metrics[i].type);
        for (size_t r = 0; r < bezel_value_count(rows); r++) put_row(&metrics[i], bezel_value_at(rows, r));
    }
    return CMD_OK;
}
