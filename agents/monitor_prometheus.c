/* SPDX-License-Identifier: MIT */
/* Sums of all requests, and their text for a Prometheus scraper. Names and bounds are those of OpenTelemetry's conventions for
 * generative AI, in Prometheus' spelling; a metric's rows stand together. */
#include "monitor_impl.h"

#include "base/number.h"
#include "base/os.h"

#include <math.h>
#include <string.h>

typedef struct sum_kind { /* ORDER of BZ_SUM_... */
    const char *name, *help, *label; /* label: a further one, or "" */
    uint32_t n_bounds;
    double bounds[BZ_MONITOR_BUCKETS];
} sum_kind;

#define TOKENS_HELP "Tokens of a request, sent (input) and written (output)."
#define TOKENS_BOUNDS 14, {1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864}

static const sum_kind kinds[BZ_SUMS] = {
    {"gen_ai_client_operation_duration_seconds", "Time from a request to its end.", "", 14,
     {0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92}},
    {"gen_ai_client_token_usage", TOKENS_HELP, ",gen_ai_token_type=\"input\"", TOKENS_BOUNDS},
    {"gen_ai_client_token_usage", TOKENS_HELP, ",gen_ai_token_type=\"output\"", TOKENS_BOUNDS},
    {"gen_ai_server_time_to_first_token_seconds", "Time from a request to its first text.", "", 15,
     {0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 10}},
    {"gen_ai_server_time_per_output_token_seconds", "Time for a token after the first.", "", 13,
     {0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5}},
};

/* --- Counting ----------------------------------------------------------------------------- */

static void sum_add(bz_monitor_model *model, int kind, double value)
{
    bz_monitor_sum *s = &model->sums[kind];
    uint32_t i = 0;
    while (i < kinds[kind].n_bounds && value > kinds[kind].bounds[i])
        i++;
    s->counts[i]++;
    s->n++;
    s->sum += value;
}

static void count_error(bz_monitor_model *model, const char *code)
{
    char word[sizeof model->codes[0]];
    const char *known = code != NULL && code[0] ? code : "error";
    size_t n = strlen(known);
    n = n < sizeof word ? n : sizeof word - 1;
    memcpy(word, known, n);
    word[n] = 0;
    uint32_t i = 0;
    while (i < model->n_codes && strcmp(model->codes[i], word) != 0)
        i++;
    if (i >= BZ_MONITOR_ERRORS - 1) {
        i = BZ_MONITOR_ERRORS - 1;
        memcpy(word, "other", 6);
    }
    if (i == model->n_codes) {
        memcpy(model->codes[i], word, sizeof word);
        model->n_codes++;
    }
    model->errors[i]++;
}

void bz_monitor_count_request(bz_monitor_model *model, const bezel_monitor_request *r)
{
    sum_add(model, BZ_SUM_DURATION, (double)r->duration_us / 1e6);
    if (r->is_success)
        model->n_success++;
    else
        count_error(model, r->code);
    if (r->n_prompt) {
        sum_add(model, BZ_SUM_INPUT, (double)r->n_prompt);
        model->n_cached += r->n_cached;
    }
    if (r->n_generated)
        sum_add(model, BZ_SUM_OUTPUT, (double)r->n_generated);
    if (r->first_token_us > 0)
        sum_add(model, BZ_SUM_FIRST, (double)r->first_token_us / 1e6);
    if (r->first_token_us > 0 && r->n_generated > 1 && r->duration_us > r->first_token_us)
        sum_add(model, BZ_SUM_PER_TOKEN, (double)(r->duration_us - r->first_token_us) / 1e6 / (double)(r->n_generated - 1));
}

/* --- Text --------------------------------------------------------------------------------- */

static void text_number(bz_strbuf *b, double x)
{
    char digits[32];
    if (isfinite(x))
        bz_strbuf_add(b, digits, bz_number_format(digits, x));
    else
        bz_strbuf_text(b, isnan(x) ? "NaN" : x > 0 ? "+Inf" : "-Inf");
}

static void text_head(bz_strbuf *b, const char *name, const char *type, const char *help)
{
    bz_strbuf_format(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A label's value: backslash, quote and newline are escaped. */
static void text_value(bz_strbuf *b, const char *text)
{
    for (; *text; text++) {
        if (*text == '\n')
            bz_strbuf_text(b, "\\n");
        else if (*text == '\\' || *text == '"')
            bz_strbuf_format(b, "\\%c", *text);
        else
            bz_strbuf_char(b, *text);
    }
}

static void text_model(bz_strbuf *b, const char *name, const char *end, const bz_monitor_model *model)
{
    bz_strbuf_format(b, "%s%s{gen_ai_provider_name=\"bezel\",gen_ai_request_model=\"", name, end);
    text_value(b, model->name);
    bz_strbuf_char(b, '"');
}

static void text_end(bz_strbuf *b, double value)
{
    bz_strbuf_text(b, "} ");
    text_number(b, value);
    bz_strbuf_char(b, '\n');
}

static void text_sum(bz_strbuf *b, const bz_monitor_model *model, int kind)
{
    static const char operation[] = ",gen_ai_operation_name=\"chat\"";
    const sum_kind *k = &kinds[kind];
    const bz_monitor_sum *s = &model->sums[kind];
    uint64_t below = 0;
    for (uint32_t i = 0; i <= k->n_bounds; i++) {
        below += s->counts[i];
        text_model(b, k->name, "_bucket", model);
        bz_strbuf_format(b, "%s%s,le=\"", operation, k->label);
        text_number(b, i < k->n_bounds ? k->bounds[i] : (double)INFINITY);
        bz_strbuf_char(b, '"');
        text_end(b, (double)below);
    }
    text_model(b, k->name, "_sum", model);
    bz_strbuf_format(b, "%s%s", operation, k->label);
    text_end(b, s->sum);
    text_model(b, k->name, "_count", model);
    bz_strbuf_format(b, "%s%s", operation, k->label);
    text_end(b, (double)s->n);
}

static void text_sums(bz_strbuf *b, const bezel_monitor *m)
{
    for (int kind = 0; kind < BZ_SUMS; kind++) {
        if (kind == 0 || strcmp(kinds[kind].name, kinds[kind - 1].name) != 0)
            text_head(b, kinds[kind].name, "histogram", kinds[kind].help);
        for (uint32_t i = 0; i < m->n_models; i++) {
            if (m->models[i]->sums[kind].n)
                text_sum(b, m->models[i], kind);
        }
    }
}

static void text_requests(bz_strbuf *b, const bezel_monitor *m)
{
    text_head(b, "bezel_requests_total", "counter", "Requests by how they ended; error_type is empty for those that succeeded.");
    for (uint32_t i = 0; i < m->n_models; i++) {
        const bz_monitor_model *model = m->models[i];
        text_model(b, "bezel_requests_total", "", model);
        bz_strbuf_text(b, ",error_type=\"\"");
        text_end(b, (double)model->n_success);
        for (uint32_t k = 0; k < model->n_codes; k++) {
            text_model(b, "bezel_requests_total", "", model);
            bz_strbuf_text(b, ",error_type=\"");
            text_value(b, model->codes[k]);
            bz_strbuf_char(b, '"');
            text_end(b, (double)model->errors[k]);
        }
    }
    text_head(b, "bezel_cached_input_tokens_total", "counter", "Of the tokens that were sent, those found in the cache.");
    for (uint32_t i = 0; i < m->n_models; i++) {
        text_model(b, "bezel_cached_input_tokens_total", "", m->models[i]);
        text_end(b, (double)m->models[i]->n_cached);
    }
    text_head(b, "bezel_guard_decisions_total", "counter", "Decisions of the guard.");
    for (uint32_t i = 0; i < m->n_decisions; i++) {
        bz_strbuf_text(b, "bezel_guard_decisions_total{kind=\"");
        text_value(b, m->decisions[i].kind);
        bz_strbuf_text(b, "\",outcome=\"");
        text_value(b, m->decisions[i].outcome);
        bz_strbuf_char(b, '"');
        text_end(b, (double)m->decisions[i].n);
    }
}

static void text_scores(bz_strbuf *b, const bezel_monitor *m)
{
    static const char *const names[] = {"relevance", "coherence", "safety", "accuracy", "satisfaction"};
    text_head(b, "bezel_quality", "summary", "Scores of answers, 0 to 1.");
    for (uint32_t i = 0; i < m->n_models; i++) {
        for (int k = 0; k < 5; k++) {
            const bz_monitor_model *model = m->models[i];
            const uint64_t n = k < 4 ? model->n_scores : model->n_satisfaction;
            if (n == 0)
                continue;
            text_model(b, "bezel_quality", "_sum", model);
            bz_strbuf_format(b, ",score=\"%s\"", names[k]);
            text_end(b, model->scores[k]);
            text_model(b, "bezel_quality", "_count", model);
            bz_strbuf_format(b, ",score=\"%s\"", names[k]);
            text_end(b, (double)n);
        }
    }
}

static void text_state(bz_strbuf *b, bezel_monitor *m)
{
    bezel_monitor_alert alert;
    uint64_t now = 0, peak = 0;
    text_head(b, "bezel_alert", "gauge", "Alerts that hold now.");
    for (size_t i = 0; bezel_monitor_alert_at(&alert, m, i); i++) {
        bz_strbuf_text(b, "bezel_alert{gen_ai_request_model=\"");
        text_value(b, alert.model);
        bz_strbuf_format(b, "\",type=\"%s\",metric=\"%s\",severity=\"%s\"", alert.type, alert.metric,
                         bezel_severity_name(alert.severity));
        text_end(b, 1);
    }
    bezel_engine_memory(m->engine, &now, &peak);
    text_head(b, "process_resident_memory_bytes", "gauge", "Resident memory of the process.");
    bz_strbuf_format(b, "process_resident_memory_bytes %llu\n", (unsigned long long)bz_os_resident_bytes());
    text_head(b, "bezel_allocator_bytes", "gauge", "Memory that the engine's allocator holds.");
    bz_strbuf_format(b, "bezel_allocator_bytes %llu\n", (unsigned long long)now);
    text_head(b, "bezel_allocator_peak_bytes", "gauge", "The most that it held.");
    bz_strbuf_format(b, "bezel_allocator_peak_bytes %llu\n", (unsigned long long)peak);
    text_head(b, "bezel_records_lost_total", "counter", "Records of turns that could not be kept.");
    bz_strbuf_format(b, "bezel_records_lost_total %llu\n", (unsigned long long)m->n_lost);
}

bezel_status bezel_monitor_prometheus(char **out, size_t *out_size, bezel_monitor *m, bezel_error *err)
{
    bz_strbuf b;
    size_t size = 0;
    bz_strbuf_init(&b, m->world, 0);
    text_sums(&b, m);
    text_requests(&b, m);
    text_scores(&b, m);
    text_state(&b, m);
    const bezel_status st = b.status;
    *out = bz_strbuf_take(&b, &size);
    bz_strbuf_free(&b);
    if (*out == NULL)
        return bz_fail(err, st == BEZEL_OK ? BEZEL_ERR_MEMORY : st, "monitor", "no room for the text");
    if (out_size != NULL)
        *out_size = size;
    return BEZEL_OK;
}
