/* SPDX-License-Identifier: MIT */
/* Engine, model and store as a command's options ask for them. */
#include "command.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define LOAD_SLICE_US 30000

int cmd_host_fail(const cmd_host *host) {
    const bezel_error *e = &host->error;
    fprintf(stderr, "bezel: %s", e->text[0] ? e->text : bezel_status_name(e->status));
    if (e->place[0] && !strstr(e->text, e->place)) fprintf(stderr, " (%s)", e->place);
    fputc('\n', stderr);
    if (e->hint[0]) fprintf(stderr, "       %s\n", e->hint);
    return CMD_ERROR;
}

static void log_line(void *ud, uint32_t level, const char *origin, const char *text) {
    (void)ud;
    fprintf(stderr, "bezel: %s%s: %s\n", level <= BEZEL_LOG_WARNING ? "warning: " : "", origin, text);
}

int cmd_host_engine(cmd_host *host, const cmd_options *o) {
    bezel_engine_options options;
    bezel_error fresh = BEZEL_ERROR_INIT;
    memset(host, 0, sizeof *host);
    host->error = fresh;
    bezel_engine_options_init(&options);
    options.threads = (uint32_t)o->threads;
    options.affinity = o->affinity;
    if (o->isa) {
        options.isa = bezel_isa_from_name(o->isa);
        if (options.isa == UINT32_MAX)
            return cmd_usage(o, "--isa %s: auto, scalar, avx2, avx512, neon or amx expected", o->isa);
    }
    if (!o->quiet) {
        options.log = log_line;
        options.log_level = BEZEL_LOG_WARNING;
    }
    if (bezel_engine_new(&host->engine, &options, &host->error) != BEZEL_OK) return cmd_host_fail(host);
    return CMD_OK;
}

static int kind_from_name(uint32_t *out, const cmd_options *o) {
    static const char *const names[] = {"auto", "pretrained", "instruct"};
    *out = BEZEL_KIND_AUTO;
    if (!o->kind) return CMD_OK;
    for (uint32_t i = 0; i < 3; i++)
        if (strcmp(o->kind, names[i]) == 0) {
            *out = i;
            return CMD_OK;
        }
    return cmd_usage(o, "--kind %s: auto, pretrained or instruct expected", o->kind);
}

/* Steps the load, with a bar on a terminal when it takes longer than a moment. */
static bezel_status host_load(cmd_host *host, bezel_job *job, int show) {
    bezel_status st;
    bezel_event event = {.size = sizeof event};
    int shown = 0;
    do {
        st = bezel_job_step(job, LOAD_SLICE_US, &host->error);
        while (bezel_job_event(job, &event))
            if (show && event.type == BEZEL_EVENT_PROGRESS && st == BEZEL_MORE) {
                fprintf(stderr, "\rloading the model %3d %%", (int)(event.progress * 100));
                shown = 1;
            }
    } while (st > 0 && st != BEZEL_DONE);
    if (shown) fprintf(stderr, "\r\033[K");
    return st == BEZEL_DONE ? bezel_model_take(&host->model, job, &host->error) : st;
}

int cmd_host_model(cmd_host *host, const cmd_options *o) {
    bezel_model_options options;
    bezel_job *job = NULL;
    int status = cmd_host_engine(host, o);
    if (status != CMD_OK) return status;
    bezel_model_options_init(&options);
    options.check_weights = o->check;
    status = kind_from_name(&options.kind, o);
    if (status != CMD_OK) return status;
    char *path = cmd_model_path(o);
    if (!path)
        return cmd_error("no model: --model FILE and BEZEL_MODEL are not given and none is in the cache folder\n"
                         "       `bezel get` fetches the demo model (233 MB)");
    char *folder = o->no_cache ? NULL : cmd_cache_folder_make();
    options.cache_folder = folder;
    options.raw_weights = o->raw_weights != 0;
    options.cache_limit = o->cache_mb > 0 ? (uint64_t)o->cache_mb << 20 : 1; /* 1 byte: none is kept */
    bezel_status st = bezel_model_open_job(&job, host->engine, path, &options, &host->error);
    if (st == BEZEL_OK) st = host_load(host, job, !o->quiet && isatty(STDERR_FILENO));
    bezel_job_free(job);
    free(folder);
    free(path);
    return st == BEZEL_OK ? CMD_OK : cmd_host_fail(host);
}

int cmd_host_store(cmd_host *host, const cmd_options *o) {
    if (o->no_store) return CMD_OK;
    char *path = cmd_store_path(o);
    if (!path) return cmd_error("out of memory");
    bezel_status st = bezel_store_open(&host->store, host->engine, path, NULL, &host->error);
    free(path);
    return st == BEZEL_OK ? CMD_OK : cmd_host_fail(host);
}

void cmd_host_free(cmd_host *host) {
    bezel_store_close(host->store);
    bezel_adapter_free(host->adapter);
    bezel_model_free(host->model);
    bezel_engine_free(host->engine);
}

bezel_status cmd_adapt(cmd_host *host, bezel_session *session, const cmd_options *o, bezel_error *err) {
    if (!o->adapter) return BEZEL_OK;
    if (!host->adapter) {
        bezel_status st = bezel_adapter_open(&host->adapter, host->model, o->adapter, err);
        if (st != BEZEL_OK) return st;
    }
    const bezel_adapter_use use = {host->adapter, (float)o->adapter_scale, 0};
    return bezel_session_adapt(session, &use, 1, err);
}

/* Place of a name among some that end with NULL, 0 when it is not given, that of NULL when it is none of them. */
static uint32_t place_of(const char *name, const char *const names[]) {
    uint32_t i = 0;
    while (name && names[i] && strcmp(name, names[i]) != 0) i++;
    return i;
}

int cmd_profile(const bezel_profile **out, const cmd_options *o) {
    if (!o->profile) return CMD_OK;
    *out = bezel_profile_find(o->profile);
    return *out ? CMD_OK : cmd_usage(o, "--profile %s: gemma3, gemma2, functiongemma, gemma4 or transcript expected", o->profile);
}

int cmd_session_options(bezel_session_options *out, const cmd_options *o) {
    static const char *const activations[] = {"auto", "f32", "q8", NULL}, *const heads[] = {"auto", "full", "screened", NULL},
                      *const kvs[] = {"auto", "f32", "f16", "int8", NULL};
    bezel_session_options_init(out);
    out->n_ctx = (uint32_t)o->n_ctx;
    out->chunk = (uint32_t)o->chunk;
    out->activations = place_of(o->activations, activations); /* ORDER BEZEL_ACTIVATIONS_... */
    if (out->activations > 2) return cmd_usage(o, "--activations %s: auto, f32 or q8 expected", o->activations);
    out->head = place_of(o->head, heads); /* ORDER BEZEL_HEAD_... */
    if (out->head > 2) return cmd_usage(o, "--head %s: auto, full or screened expected", o->head);
    out->kv = place_of(o->kv, kvs); /* ORDER BEZEL_KV_... */
    if (out->kv > 3) return cmd_usage(o, "--kv %s: auto, f32, f16 or int8 expected", o->kv);
    return CMD_OK;
}

void cmd_generate_options(bezel_generate_options *out, const cmd_options *o) {
    bezel_sampling *s = &out->sampling;
    if (o->given & CMD_GIVEN_TEMPERATURE) s->temperature = (float)o->temperature;
    if (s->temperature > 0) {
        s->top_k = (uint32_t)o->top_k;
        s->top_p = (float)o->top_p;
        s->min_p = (float)o->min_p;
    }
    s->repetition_penalty = (float)o->repetition_penalty;
    s->seed = (uint64_t)o->seed;
    if (o->given & CMD_GIVEN_MAX_TOKENS) out->max_tokens = (uint32_t)o->max_tokens;
    out->stops = o->n_stops ? o->stops : NULL;
    out->n_stops = (uint32_t)o->n_stops;
}
