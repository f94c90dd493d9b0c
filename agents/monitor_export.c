/* SPDX-License-Identifier: MIT */
/* All that a monitor has as one JSON document (R32). A file of it is there whole or not at all. */
#include "monitor_impl.h"

#include <math.h>
#include <string.h>

#define MB 1048576.0

static void json_number(bezel_tree *t, bezel_value *map, const char *key, double x)
{
    bezel_value_set(t, map, key, isfinite(x) ? bezel_tree_number(t, x) : bezel_tree_null(t));
}

static void json_count(bezel_tree *t, bezel_value *map, const char *key, uint64_t n)
{
    bezel_value_set(t, map, key, bezel_tree_integer(t, (int64_t)n));
}

static void json_text(bezel_tree *t, bezel_value *map, const char *key, const char *text)
{
    bezel_value_set(t, map, key, text != NULL && text[0] ? bezel_tree_text(t, text, SIZE_MAX) : bezel_tree_null(t));
}

static bezel_value *json_request(bezel_tree *t, const bezel_monitor *m, const bz_monitor_row *r)
{
    bezel_value *map = bezel_tree_map(t);
    json_number(t, map, "timestamp", (double)r->at_ms / 1e3);
    json_number(t, map, "response_time", (double)r->duration_us / 1e6);
    json_number(t, map, "memory_usage_mb", (double)r->memory_bytes / MB);
    json_number(t, map, "gpu_memory_mb", (double)r->gpu_bytes / MB);
    json_number(t, map, "allocator_mb", (double)r->allocator_bytes / MB);
    json_count(t, map, "token_count", r->n_generated);
    json_number(t, map, "tokens_per_second", r->tokens_per_second);
    json_text(t, map, "model_name", m->models[r->model]->name);
    json_count(t, map, "input_length", r->n_input);
    bezel_value_set(t, map, "success", bezel_tree_bool(t, r->is_success));
    json_text(t, map, "error_message", r->error);
    json_text(t, map, "error.type", r->code);
    json_text(t, map, "gen_ai.operation.name", r->operation);
    json_count(t, map, "gen_ai.usage.input_tokens", r->n_prompt);
    json_count(t, map, "gen_ai.usage.cache_read.input_tokens", r->n_cached);
    json_count(t, map, "gen_ai.usage.output_tokens", r->n_generated);
    json_number(t, map, "gen_ai.server.time_to_first_token", r->first_token_us > 0 ? (double)r->first_token_us / 1e6 : (double)NAN);
    json_text(t, map, "span", r->span);
    json_text(t, map, "input_hash", r->input_hash);
    return map;
}

static bezel_value *json_scores(bezel_tree *t, const bezel_monitor *m, const bz_monitor_score *s)
{
    bezel_value *map = bezel_tree_map(t);
    json_number(t, map, "timestamp", (double)s->at_ms / 1e3);
    json_number(t, map, "relevance_score", s->relevance);
    json_number(t, map, "coherence_score", s->coherence);
    json_number(t, map, "safety_score", s->safety);
    json_number(t, map, "factual_accuracy", s->accuracy);
    json_number(t, map, "user_satisfaction", s->satisfaction);
    bezel_value_set(t, map, "has_reference", bezel_tree_bool(t, s->has_reference));
    json_text(t, map, "model_name", m->models[s->model]->name);
    json_text(t, map, "span", s->span);
    return map;
}

static bezel_value *json_performance_summary(bezel_tree *t, const bezel_monitor *m, bezel_error *err)
{
    bezel_monitor_performance p = {.size = sizeof p};
    bezel_value *map = bezel_tree_map(t);
    bezel_status st = bezel_monitor_summary(&p, m, NULL, 100, err);
    if (st == BEZEL_ERR_MISSING)
        json_text(t, map, "error", err->text);
    json_count(t, map, "total_requests", p.n_requests);
    json_count(t, map, "successful_requests", p.n_success);
    json_number(t, map, "success_rate", p.success_rate);
    if (p.n_success) {
        json_number(t, map, "average_response_time", p.mean_response_s);
        json_number(t, map, "average_memory_usage_mb", p.mean_memory_mb);
        json_number(t, map, "average_tokens_per_second", p.mean_tokens_per_second);
        json_number(t, map, "p50_response_time", p.p50_response_s);
        json_number(t, map, "p95_response_time", p.p95_response_s);
        json_number(t, map, "p99_response_time", p.p99_response_s);
    }
    json_count(t, map, "total_tokens_generated", p.total_tokens);
    return map;
}

static bezel_value *json_quality_summary(bezel_tree *t, const bezel_monitor *m, bezel_error *err)
{
    bezel_monitor_scores s = {.size = sizeof s};
    bezel_value *map = bezel_tree_map(t);
    if (bezel_monitor_quality_summary(&s, m, NULL, 100, err) != BEZEL_OK) {
        json_text(t, map, "error", err->text);
        return map;
    }
    json_count(t, map, "total_evaluations", s.n_evaluations);
    json_number(t, map, "average_relevance", s.relevance);
    json_number(t, map, "average_coherence", s.coherence);
    json_number(t, map, "average_safety", s.safety);
    json_number(t, map, "average_factual_accuracy", s.accuracy);
    json_number(t, map, "overall_quality", s.overall);
    json_number(t, map, "average_user_satisfaction", s.satisfaction);
    return map;
}

static bezel_value *json_alerts(bezel_tree *t, bezel_monitor *m)
{
    bezel_value *list = bezel_tree_list(t);
    bezel_monitor_alert a;
    for (size_t i = 0; bezel_monitor_alert_at(&a, m, i); i++) {
        bezel_value *map = bezel_tree_map(t);
        json_text(t, map, "type", a.type);
        json_text(t, map, "severity", bezel_severity_name(a.severity));
        json_text(t, map, "message", a.message);
        json_number(t, map, "timestamp", (double)a.at_ms / 1e3);
        json_text(t, map, "metric", a.metric);
        json_number(t, map, "value", a.value);
        json_number(t, map, "threshold", a.threshold);
        json_text(t, map, "model_name", a.model);
        bezel_value_append(t, list, map);
    }
    return list;
}

bezel_status bezel_monitor_json(char **out, size_t *out_size, bezel_monitor *m, bezel_error *err)
{
    bezel_tree *t = NULL;
    bezel_error why = BEZEL_ERROR_INIT;
    *out = NULL;
    bezel_status st = bezel_tree_new(&t, m->engine, err);
    if (st != BEZEL_OK)
        return st;
    bezel_value *map = bezel_tree_map(t), *requests = bezel_tree_list(t), *scores = bezel_tree_list(t);
    const size_t n = m->rows.count;
    json_text(t, map, "model_name", n ? m->models[((bz_monitor_row *)bz_monitor_ring_at(&m->rows, n - 1))->model]->name : NULL);
    json_number(t, map, "timestamp", (double)m->world->wall_ms(m->world->ud) / 1e3);
    for (size_t i = 0; i < n; i++)
        bezel_value_append(t, requests, json_request(t, m, bz_monitor_ring_at(&m->rows, i)));
    for (size_t i = 0; i < m->scores.count; i++)
        bezel_value_append(t, scores, json_scores(t, m, bz_monitor_ring_at(&m->scores, i)));
    bezel_value_set(t, map, "performance_metrics", requests);
    bezel_value_set(t, map, "quality_metrics", scores);
    bezel_value_set(t, map, "performance_summary", json_performance_summary(t, m, &why));
    bezel_value_set(t, map, "quality_summary", json_quality_summary(t, m, &why));
    bezel_value_set(t, map, "alerts", json_alerts(t, m));
    st = why.status == BEZEL_ERR_MEMORY ? why.status : bezel_tree_status(t);
    if (st == BEZEL_OK)
        st = bezel_json_write(out, out_size, m->engine, map, 1, err);
    else
        bz_fail(err, st, "monitor", "no room for the export");
    bezel_tree_free(t);
    return st;
}

bezel_status bezel_monitor_export(bezel_monitor *m, const char *path, bezel_error *err)
{
    const bezel_world *w = m->world;
    char *text = NULL;
    size_t size = 0;
    bezel_file *file = NULL;
    bz_strbuf part;
    bz_strbuf_init(&part, w, 0);
    bz_strbuf_format(&part, "%s.part", path);
    bezel_status st = part.status;
    if (st != BEZEL_OK)
        bz_fail_memory(err, "monitor", "a path", strlen(path));
    else
        st = bezel_monitor_json(&text, &size, m, err);
    if (st == BEZEL_OK) {
        st = w->file_open(w->ud, &file, part.data, BEZEL_FILE_CREATE);
        if (st == BEZEL_OK) {
            st = w->file_write(w->ud, file, 0, text, size);
            if (st == BEZEL_OK)
                st = w->file_sync(w->ud, file);
            w->file_close(w->ud, file);
            if (st == BEZEL_OK)
                st = w->file_rename(w->ud, part.data, path);
            if (st != BEZEL_OK)
                (void)w->file_remove(w->ud, part.data);
        }
        if (st != BEZEL_OK) {
            bz_fail(err, st, "monitor", "the export cannot be written");
            bz_error_place(err, st, "%s", path);
        }
    }
    bezel_text_free(m->engine, text);
    bz_strbuf_free(&part);
    return st;
}
