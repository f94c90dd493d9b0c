/* SPDX-License-Identifier: MIT */
/* bezel teach: an adapter from tools and examples. */
#include "command_teach.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { TEACH_SLICE_US = 50000, TEACH_PATH = 4096 };

static double teach_now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void teach_options(bezel_train_options *out, const cmd_options *o, const char *checkpoint) {
    bezel_train_options_init(out);
    out->rank = (uint32_t)o->rank;
    out->alpha = (float)(2 * o->rank);
    out->dropout = (float)o->dropout;
    out->rate = o->rate;
    out->warm_up = (uint32_t)o->warm_up;
    out->batch = (uint32_t)o->batch_size;
    out->accumulation = (uint32_t)o->accumulation;
    out->epochs = (uint32_t)o->epochs;
    out->max_length = (uint32_t)o->max_length;
    out->validation = o->validation;
    out->patience = (uint32_t)o->patience;
    out->evaluate_every = (uint32_t)o->evaluate_every;
    out->save_every = (uint32_t)o->save_every;
    out->log_every = (uint32_t)o->log_every;
    out->seed = o->seed ? (uint64_t)o->seed : 1;
    out->checkpoint = checkpoint;
}

/* Drives a training to its end, or to an interruption. */
static bezel_status teach_drive(bezel_job *job, teach_curve *curve, cmd_host *host, int quiet) {
    const double began = teach_now();
    bezel_event event = {.size = sizeof event};
    bezel_status st;
    do {
        st = bezel_job_step(job, TEACH_SLICE_US, &host->error);
        while (bezel_job_event(job, &event))
            if (curve && event.type == BEZEL_EVENT_TEXT) teach_show_line(curve, host, event.text, event.text_size, teach_now() - began, quiet);
        if (cmd_interrupted()) bezel_job_cancel(job);
    } while (st > 0 && st != BEZEL_DONE);
    return st;
}

/* How many made examples fit into the minutes: a few steps are trained and timed, and thrown away. */
static int teach_fit(size_t *out, cmd_host *host, const cmd_options *o, double left) {
    teach_data probe = {0};
    bezel_train_options options;
    bezel_job *job = NULL;
    bezel_teach_counts counts = {.size = sizeof counts};
    size_t n = 0;
    int status = teach_data_open(&probe, host, o);
    if (status == CMD_OK) status = teach_data_fill(&probe, host, 4);
    if (status != CMD_OK) {
        teach_data_free(&probe);
        return status;
    }
    const bezel_train_example *examples = bezel_teach_examples(probe.teach, &n);
    bezel_teach_count(&counts, probe.teach);
    teach_options(&options, o, NULL);
    options.epochs = 1;
    options.accumulation = options.batch = 1;
    options.validation = 0;
    options.log_every = 1000;
    const double began = teach_now();
    bezel_status st = bezel_train(&job, host->model, examples, n, &options, &host->error);
    if (st == BEZEL_OK) st = teach_drive(job, NULL, host, 1);
    bezel_job_free(job);
    const double seconds = teach_now() - began, each = n ? (double)counts.n_tokens / (double)n : 1;
    teach_data_free(&probe);
    if (st != BEZEL_DONE) return cmd_interrupted() ? CMD_ERROR : cmd_host_fail(host);
    const double speed = (double)counts.n_tokens / seconds, fits = (left - seconds) * speed * 0.93 / each / (double)o->epochs - (double)n;
    *out = fits > 8 ? (size_t)fits : 8;
    if (!o->quiet)
        fprintf(stderr, "%.0f tokens/s, %.0f tokens an example: %zu examples fit into %.3g minutes (--count %zu gives the same again)\n",
                speed, each, *out, o->minutes, *out);
    return CMD_OK;
}

/* 1: --output names a GGUF file, 0: a folder. */
static int teach_is_file(const char *output) {
    const size_t n = strlen(output);
    return n > 5 && strcmp(output + n - 5, ".gguf") == 0;
}

static int teach_save(cmd_host *host, const cmd_options *o, bezel_adapter *adapter, const teach_curve *curve) {
    char path[TEACH_PATH];
    const int one_file = teach_is_file(o->output);
    bezel_status st = BEZEL_OK;
    if (!one_file) st = bezel_adapter_save(adapter, o->output, BEZEL_ADAPTER_PEFT, &host->error);
    snprintf(path, sizeof path, one_file ? "%s" : "%s/adapter.gguf", o->output);
    if (st == BEZEL_OK) st = bezel_adapter_save(adapter, path, BEZEL_ADAPTER_GGUF, &host->error);
    if (st != BEZEL_OK) return cmd_host_fail(host);
    snprintf(path, sizeof path, one_file ? "%s.svg" : "%s/loss.svg", o->output);
    int status = teach_show_svg(curve, path);
    if (status == CMD_OK && !o->quiet)
        fprintf(stderr, "written to %s; use it with: bezel ask --adapter %s --profile gemma3 --tools ...\n", o->output, o->output);
    return status;
}

static int teach_train(cmd_host *host, const cmd_options *o, teach_data *data, const char *checkpoint) {
    bezel_train_options options;
    bezel_job *job = NULL;
    bezel_adapter *adapter = NULL;
    teach_curve *curve = calloc(1, sizeof *curve);
    size_t n = 0;
    if (!curve) return cmd_error("out of memory");
    const bezel_train_example *examples = bezel_teach_examples(data->teach, &n);
    teach_options(&options, o, checkpoint);
    bezel_status st = bezel_train(&job, host->model, examples, n, &options, &host->error);
    if (st == BEZEL_OK) st = teach_drive(job, curve, host, o->quiet);
    if (st == BEZEL_DONE) st = bezel_train_adapter(&adapter, job, &host->error);
    int status = CMD_OK;
    if (st == BEZEL_OK) {
        teach_show_end(curve, o->quiet);
        status = teach_save(host, o, adapter, curve);
        if (status == CMD_OK) unlink(checkpoint);
    } else if (st == BEZEL_ERR_CANCELLED) {
        status = cmd_error("stopped; its state is in %s\n       the same command with --resume goes on from there", checkpoint);
    } else {
        status = cmd_host_fail(host);
        if (access(checkpoint, F_OK) == 0) fprintf(stderr, "       the last checkpoint is whole: %s\n", checkpoint);
    }
    bezel_adapter_free(adapter);
    bezel_job_free(job);
    free(curve);
    return status;
}

/* The folder of the result, and the checkpoint beside it or in it. */
static int teach_place(char checkpoint[TEACH_PATH], const cmd_options *o) {
    const int one_file = teach_is_file(o->output);
    if (strlen(o->output) + 32 > TEACH_PATH) return cmd_usage(o, "--output: a shorter path, please");
    if (!one_file && mkdir(o->output, 0777) != 0 && errno != EEXIST) return cmd_error("%s: %s", o->output, strerror(errno));
    snprintf(checkpoint, TEACH_PATH, one_file ? "%s.checkpoint" : "%s/teach.checkpoint", o->output);
    const int there = access(checkpoint, F_OK) == 0;
    if (o->resume && !there) return cmd_error("--resume: %s is not there; leave --resume out to begin anew", checkpoint);
    if (!o->resume && there)
        return cmd_error("%s is left from a run that was stopped\n       --resume goes on with it; delete it to begin anew", checkpoint);
    return CMD_OK;
}

int cmd_teach(int argc, char **argv) {
    cmd_options o = {.subcommand = "teach",
                     .usage = "teach --tools tools.json [--examples mine.jsonl] --output FOLDER|FILE.gguf [options]"};
    cmd_host host = {.error = BEZEL_ERROR_INIT};
    teach_data data = {0};
    char checkpoint[TEACH_PATH];
    size_t made = 0;
    bezel_teach_counts counts = {.size = sizeof counts};
    int status = cmd_options_read(&o, argc, argv,
                                  CMD_ENGINE_OPTIONS " tools examples output count minutes vary seed rank rate epochs batch-size accumulation "
                                                     "max-length warm-up dropout validation patience evaluate-every save-every log-every "
                                                     "profile resume dry-run json");
    if (status != CMD_OK) return status;
    if (!o.tools && !o.examples) return cmd_usage(&o, "--tools or --examples: there is nothing to learn from");
    if (!o.output && !o.dry_run) return cmd_usage(&o, "--output: where should the adapter go?");
    const double began = teach_now();
    if (!o.dry_run) status = teach_place(checkpoint, &o);
    if (status == CMD_OK) status = cmd_host_model(&host, &o);
    cmd_interrupt_watch();
    made = (size_t)o.count;
    if (status == CMD_OK && !o.dry_run && o.tools && o.minutes > 0 && !(o.given & CMD_GIVEN_COUNT))
        status = teach_fit(&made, &host, &o, o.minutes * 60 - (teach_now() - began));
    if (status == CMD_OK) status = teach_data_open(&data, &host, &o);
    if (status == CMD_OK && o.dry_run) {
        status = teach_data_print(&data, &host, &o, o.given & CMD_GIVEN_COUNT ? made : 8);
    } else if (status == CMD_OK) {
        status = teach_data_fill(&data, &host, made);
        bezel_teach_count(&counts, data.teach);
        if (status == CMD_OK && !o.quiet) {
            fprintf(stderr, "%llu examples, %llu tokens, %llu of them learned, the longest example has %llu\n",
                    (unsigned long long)counts.n_examples, (unsigned long long)counts.n_tokens, (unsigned long long)counts.n_learned,
                    (unsigned long long)counts.longest);
            if (counts.n_too_long)
                fprintf(stderr, "%llu examples are left out: more than %lld tokens (--max-length)\n",
                        (unsigned long long)counts.n_too_long, (long long)o.max_length);
        }
        if (status == CMD_OK) status = teach_train(&host, &o, &data, checkpoint);
    }
    teach_data_free(&data);
    cmd_host_free(&host);
    return status;
}
