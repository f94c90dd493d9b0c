/* SPDX-License-Identifier: MIT */
/* One answer of the model to one entry, by the same parts that an agent's first model call is made of. */
#include "command_calls.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MOST_MESSAGES 32
#define MOST_TOOLS 64 /* that are measured each by itself */

/* The prompt: a system message of the entry and the declaration of the tools, then the messages of its first turn. Messages of
 * one role behind one another are joined, since most templates want the roles in turn. */
static bezel_status prompt_of(bezel_prompt **out, cmd_host *host, const calls_entry *entry, const calls_variant *v,
                              const char *declared) {
    bezel_message list[MOST_MESSAGES] = {{0}};
    const bezel_value *turn = bezel_value_at(entry->question, 0);
    size_t n = 0, room = strlen(declared) + 4, at = 0, count = bezel_value_count(turn);
    for (size_t i = 0; i < count; i++) {
        size_t size;
        bezel_value_text(bezel_value_get(bezel_value_at(turn, i), "content"), &size);
        room += size + 4;
    }
    char *text = malloc(room);
    if (!text) return BEZEL_ERR_MEMORY;
    for (size_t i = 0; i <= count; i++) { /* the declaration comes before the first message that is not the system's */
        const bezel_value *message = bezel_value_at(turn, i);
        uint32_t role = bezel_role_from_name(bezel_value_text(bezel_value_get(message, "role"), NULL));
        for (int own = role == BEZEL_ROLE_SYSTEM || !declared; own < 2; own++) {
            const char *content = own ? bezel_value_text(bezel_value_get(message, "content"), NULL) : declared;
            uint32_t as = own ? role : BEZEL_ROLE_SYSTEM;
            if (!own) declared = NULL;
            if (!as || (n == MOST_MESSAGES && list[n - 1].role != as)) break;
            if (n == 0 || list[n - 1].role != as)
                list[n++] = (bezel_message){sizeof *list, as, text + at, 0};
            else
                at += (size_t)sprintf(text + at, "\n\n");
            at += (size_t)sprintf(text + at, "%s", content);
            list[n - 1].text_size = (size_t)(text + at - list[n - 1].text);
        }
    }
    bezel_status st = bezel_prompt_render(out, host->model, v->profile, list, n, 1, &host->error);
    free(text);
    return st;
}

static bezel_status prompt_make(bezel_prompt **out, cmd_host *host, const calls_entry *entry, const calls_tools *tools,
                                const calls_variant *v) {
    char *declared = NULL;
    bezel_status st = bezel_toolset_render(&declared, NULL, tools->shown, v->tool_profile, NULL, &host->error);
    if (st == BEZEL_OK) st = prompt_of(out, host, entry, v, declared);
    bezel_text_free(host->engine, declared);
    return st;
}

/* The last message of the first turn. */
static const char *question_of(const calls_entry *entry, size_t *out_size) {
    const bezel_value *turn = bezel_value_at(entry->question, 0);
    const size_t n = bezel_value_count(turn);
    *out_size = 0;
    return n ? bezel_value_text(bezel_value_get(bezel_value_at(turn, n - 1), "content"), out_size) : "";
}

/* As an agent does before it asks: the fit of the last message to the tools, and what it adds to their names. */
static bezel_status fit_measure(calls_answer *out, float *names, size_t *out_n, cmd_host *host, const calls_entry *entry,
                                const calls_tools *tools, const calls_variant *v) {
    bezel_tool_fit *fit = NULL;
    double nats[MOST_TOOLS];
    size_t size = 0, n = 0;
    const char *question = question_of(entry, &size);
    if (v->no_fit || !bezel_tool_fit_counts(tools->shown, v->tool_profile)) return BEZEL_OK;
    if (v->required && (bezel_toolset_count(tools->shown) < 2 || v->tool_profile->name_weight == 0)) return BEZEL_OK;
    bezel_status st = bezel_tool_fit_new(&fit, tools->shown, host->model, NULL, &host->error);
    n = bezel_tool_fit_count(fit);
    for (size_t i = 0; i < n && st == BEZEL_OK; i++)
        st = bezel_tool_fit_score(&nats[i], fit, i, question, size, &host->error);
    if (st == BEZEL_OK && !v->required) st = bezel_tool_fit_score(&out->fit, fit, SIZE_MAX, question, size, &host->error);
    bezel_tool_fit_free(fit);
    if (st != BEZEL_OK) return st;
    bezel_tool_fit_name_bias(names, v->tool_profile, nats, n);
    *out_n = n;
    return BEZEL_OK;
}

static void stops_add(bezel_generate_options *o, const char **stops, const char *const *list) {
    for (size_t i = 0; list && list[i] && o->n_stops < CMD_MAX_STOPS; i++)
        stops[o->n_stops++] = list[i];
}

static bezel_status generate(calls_answer *out, cmd_host *host, bezel_session *session, const bezel_constraint *constraint, const char *question,
                             const float *names, size_t n_names, const calls_variant *v, uint32_t max_tokens) {
    const char *stops[CMD_MAX_STOPS];
    bezel_generate_options o;
    bezel_generation g = {.size = sizeof g};
    bezel_job *job = NULL;
    bezel_generate_options_init(&o);
    bezel_sampling_greedy(&o.sampling);
    o.max_tokens = max_tokens;
    o.stops = stops;
    stops_add(&o, stops, v->profile->stops);
    stops_add(&o, stops, v->tool_profile->stops);
    o.constraint = constraint;
    o.calls = !constraint ? 0 : v->required ? BEZEL_CALLS_REQUIRED : BEZEL_CALLS_AUTO;
    o.call_bias = v->call_bias + bezel_tool_fit_bias(v->tool_profile, out->fit);
    o.function_bias = names;
    o.n_function_bias = (uint32_t)n_names;
    o.evidence = question;
    o.evidence_weight = v->no_evidence ? 0 : v->tool_profile->evidence_weight;
    bezel_status st = bezel_generate(&job, session, &o, &host->error);
    while (st >= 0 && st != BEZEL_DONE)
        st = bezel_job_step(job, -1, &host->error);
    if (st == BEZEL_DONE) st = bezel_generation_get(job, &g, &host->error);
    if (st == BEZEL_OK && !(out->text = malloc(g.text_size + 1))) st = BEZEL_ERR_MEMORY;
    if (st == BEZEL_OK) {
        memcpy(out->text, g.text, g.text_size + 1);
        out->size = g.text_size;
        out->stopped =
            g.stop_reason == BEZEL_STOP_EOS || g.stop_reason == BEZEL_STOP_STRING ? BEZEL_STOPPED_END : BEZEL_STOPPED_LIMIT;
        out->n_ids = (int64_t)g.n_ids;
        out->n_forced = (int64_t)g.n_forced;
        out->prompt_us = g.prompt_us;
        out->decode_us = g.total_us - g.prompt_us;
        out->name_probability = g.name_probability;
        out->call_probability = constraint && !v->required ? g.call_probability : (double)NAN;
    }
    bezel_job_free(job);
    return st;
}

int calls_ask(calls_answer *out, cmd_host *host, bezel_session *session, const calls_entry *entry, const calls_tools *tools,
              const calls_variant *variant, uint32_t max_tokens) {
    bezel_constraint *constraint = NULL;
    bezel_prompt *prompt = NULL;
    bezel_constraint_options options;
    float names[MOST_TOOLS];
    size_t n = 0, n_names = 0;
    *out = (calls_answer){.name_probability = (double)NAN};
    bezel_constraint_options_init(&options);
    options.dialect = variant->dialect;
    bezel_status st = prompt_make(&prompt, host, entry, tools, variant);
    if (st == BEZEL_OK && variant->constraint)
        st = bezel_toolset_constraint(&constraint, tools->shown, host->model, NULL, &options, &host->error);
    if (st == BEZEL_OK) {
        const int32_t *ids = bezel_prompt_ids(prompt, &n);
        st = bezel_session_set(session, ids, n, &host->error);
    }
    if (st == BEZEL_OK && constraint) st = fit_measure(out, names, &n_names, host, entry, tools, variant);
    if (st == BEZEL_OK) st = generate(out, host, session, constraint, question_of(entry, &n), names, n_names, variant, max_tokens);
    bezel_prompt_free(prompt);
    bezel_constraint_free(constraint);
    return st == BEZEL_OK ? CMD_OK : cmd_host_fail(host);
}
