/* SPDX-License-Identifier: MIT */
/* Sums of a store for Prometheus, one table row a metric. Names are OpenTelemetry's for generative AI where it has one, else
 * bezel_...; durations are summaries, because the store keeps their distributions rounded. Source:
 * https://prometheus.io/docs/instrumenting/exposition_formats/ */
#include "command_stats.h"

#include <stdio.h>
#include <string.h>

/* A statement gives `value`, any labels by their names, and for a summary p50, p95, p99 and n in place of value. */
typedef struct metric {
    const char *name, *type, *help, *sql;
} metric;

#define LATENCY(which) \
    "SELECT coalesce(model, '') AS gen_ai_request_model, p50_ms / 1e3 AS p50, p95_ms / 1e3 AS p95, p99_ms / 1e3 AS p99, n" \
    " FROM latency_by_model WHERE metric = '" which "'"

static const metric metrics[] = {
    {"gen_ai_client_operation_duration_seconds", "summary", "Duration of model calls, within 8 %.", LATENCY("model_call")},
    {"gen_ai_server_time_to_first_token_seconds", "summary", "Time to the first token of model calls, within 8 %.", LATENCY("first_token")},
    {"gen_ai_server_request_duration_seconds", "summary", "Duration of requests of a monitor, within 8 %.", LATENCY("request")},
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
    {"gen_ai_execute_tool_duration_seconds", "summary", "Duration of tools, within 8 %.",
     "SELECT tool AS gen_ai_tool_name, p50_ms / 1e3 AS p50, p95_ms / 1e3 AS p95, p99_ms / 1e3 AS p99, n FROM latency_by_tool"},
    {"bezel_open_alerts", "gauge", "Alerts that have begun and are not over.",
     "SELECT coalesce(model, '') AS gen_ai_request_model, type, severity, count(*) AS value FROM open_alerts GROUP BY 1, 2, 3"},
};

static int is_label(const char *key) {
    static const char *const numbers[] = {"value", "p50", "p95", "p99", "n"};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (strcmp(key, numbers[i]) == 0) return 0;
    return 1;
}

/* {label="value",...}; quantile NULL = none. */
static void put_labels(const bezel_value *row, const char *quantile) {
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
    if (quantile) printf("%squantile=\"%s\"", before, quantile);
    if (quantile || before[0] == ',') putchar('}');
}

static void put_number(const bezel_value *v) {
    if (bezel_value_type(v) == BEZEL_INTEGER)
        printf(" %lld\n", (long long)bezel_value_integer(v));
    else if (bezel_value_type(v) == BEZEL_NUMBER)
        printf(" %.9g\n", bezel_value_number(v));
    else
        printf(" NaN\n");
}

static void put_row(const metric *m, const bezel_value *row) {
    static const char *const quantiles[][2] = {{"0.5", "p50"}, {"0.95", "p95"}, {"0.99", "p99"}};
    int summary = strcmp(m->type, "summary") == 0;
    for (size_t q = 0; summary && q < 3; q++) {
        fputs(m->name, stdout);
        put_labels(row, quantiles[q][0]);
        put_number(bezel_value_get(row, quantiles[q][1]));
    }
    printf("%s%s", m->name, summary ? "_count" : "");
    put_labels(row, NULL);
    put_number(bezel_value_get(row, summary ? "n" : "value"));
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
