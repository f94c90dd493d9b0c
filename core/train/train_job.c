/* SPDX-License-Identifier: MIT */
/* bezel_train: steps of packs, the optimiser, the log, measurements and checkpoints (see bezel/train.h).
 * Invariant: what a step computes follows from the run and the step's number: the order of the epoch and the dropout of a
 * pass are made from them, so a run that is taken up again goes on with the same bits. */
#include "train/train_run.h"

#include "base/alloc.h"
#include "base/options.h"
#include "base/status.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { PHASE_LOAD, PHASE_BEGIN, PHASE_PASS, PHASE_UPDATE, PHASE_MEASURE, PHASE_END };

/* --- Options ------------------------------------------------------------------------------ */

void bezel_train_options_init(bezel_train_options *out)
{
    *out = (bezel_train_options){.size = (uint32_t)sizeof *out,
                                 .rank = 16,
                                 .alpha = 32.0f,
                                 .dropout = 0.1f,
                                 .targets = BEZEL_TRAIN_ALL,
                                 .course = BEZEL_TRAIN_LINEAR,
                                 .rate = 2e-5,
                                 .warm_up = 100,
                                 .batch = 2,
                                 .accumulation = 8,
                                 .epochs = 3,
                                 .max_length = 2048,
                                 .packing = 1,
                                 .checkpointing = 1,
                                 .clip = 1.0,
                                 .validation = 0.1,
                                 .log_every = 10,
                                 .evaluate_every = 500,
                                 .save_every = 500,
                                 .seed = 1};
}

static bezel_status job_range(bezel_error *err, const char *name, double value, double least, double most)
{
    if (value >= least && value <= most)
        return BEZEL_OK;
    return bz_fail(err, BEZEL_ERR_RANGE, "train", "%s is %g, expected %g to %g", name, value, least, most);
}

static bezel_status job_check(const bezel_train_options *o, const bezel_model *model, bezel_error *err)
{
    const struct {
        const char *name;
        double value, least, most;
    } rows[] = {
        {"rank", o->rank, 1, BZ_ADAPTER_MAX_RANK},
        {"alpha", (double)o->alpha, 1e-6, 1e6},
        {"dropout", (double)o->dropout, 0, 0.999},
        {"targets", o->targets, 1, BEZEL_TRAIN_ALL},
        {"course", o->course, BEZEL_TRAIN_CONSTANT, BEZEL_TRAIN_COSINE},
        {"compute", o->compute, BEZEL_TRAIN_AUTO, BEZEL_TRAIN_BF16},
        {"rate", o->rate, 0, 1e3},
        {"batch", o->batch, 1, 1 << 20},
        {"accumulation", o->accumulation, 1, 1 << 20},
        {"epochs", o->epochs, 1, 1 << 20},
        {"max_length", o->max_length, 2, model->config.n_ctx},
        {"clip", o->clip, 0, 1e9},
        {"decay", o->decay, 0, 1e3},
        {"validation", o->validation, 0, 0.999},
        {"log_every", o->log_every, 1, UINT32_MAX},
        {"evaluate_every", o->evaluate_every, 1, UINT32_MAX},
        {"save_every", o->save_every, 1, UINT32_MAX},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; ++i)
        if (job_range(err, rows[i].name, rows[i].value, rows[i].least, rows[i].most) != BEZEL_OK)
            return BEZEL_ERR_RANGE;
    return BEZEL_OK;
}

/* --- Steps -------------------------------------------------------------------------------- */

static uint64_t job_step_packs(const bz_train_run *r)
{
    return (uint64_t)r->options.batch * r->options.accumulation;
}

static uint64_t job_epoch_steps(bz_train_run *r, uint64_t epoch)
{
    return (bz_train_data_epoch(&r->data, epoch) + job_step_packs(r) - 1) / job_step_packs(r);
}

/* Goes to the epoch of the step; its packs are in the data afterwards. */
static void job_seek(bz_train_run *r)
{
    if (r->packs_ready && r->step - r->epoch_step < (r->data.n_packs + job_step_packs(r) - 1) / job_step_packs(r))
        return;
    r->epoch = r->epoch_step = 0;
    for (uint64_t n; (n = job_epoch_steps(r, r->epoch)) <= r->step - r->epoch_step; ++r->epoch)
        r->epoch_step += n;
    r->packs_ready = 1;
}

static void job_pass(bz_train_run *r, double weight, int only_loss)
{
    const bz_train_pack pack = bz_train_data_pack(&r->data, r->pack);
    if (only_loss)
        bz_trainer_begin_loss(r->trainer, &pack, weight);
    else
        bz_trainer_begin(r->trainer, &pack, weight);
}

/* One more part of a pass; 1 when all packs are done. */
static int job_go_on(bz_train_run *r, int only_loss)
{
    if (bz_trainer_unit(r->trainer))
        return 0;
    if (!only_loss)
        r->step_tokens += r->trainer->pack.T;
    if (++r->pack == r->pack_end)
        return 1;
    job_pass(r, r->trainer->weight, only_loss);
    return 0;
}

static void job_begin(bz_train_run *r, size_t pack, size_t end, int only_loss)
{
    size_t labels = 0;
    for (size_t i = pack; i < end; ++i)
        labels += bz_train_data_labels(&r->data, i);
    r->pack = pack;
    r->pack_end = end;
    bz_trainer_clear(r->trainer);
    job_pass(r, 1.0 / (double)labels, only_loss);
}

static bezel_status job_begin_step(bz_train_run *r)
{
    job_seek(r);
    const size_t pack = (size_t)((r->step - r->epoch_step) * job_step_packs(r)), left = r->data.n_packs - pack;
    r->step_tokens = 0;
    r->trainer->pass = r->step * job_step_packs(r); /* decides what dropout drops */
    job_begin(r, pack, pack + (left < job_step_packs(r) ? left : (size_t)job_step_packs(r)), 0);
    r->phase = PHASE_PASS;
    return BEZEL_MORE;
}

static bezel_status job_log(bz_train_run *r, double rate, bezel_error *err)
{
    char line[320];
    const uint64_t in_epoch = r->step - r->epoch_step;
    const double part = (double)in_epoch * (double)job_step_packs(r) / (double)r->data.n_packs;
    const int n = snprintf(line, sizeof line,
                           "{\"step\":%llu,\"of\":%llu,\"epoch\":%.3f,\"loss\":%.6g,\"accuracy\":%.4f,\"rate\":%.4g,\"length\":%.4g,"
                           "\"tokens\":%llu}\n",
                           (unsigned long long)r->step, (unsigned long long)r->steps, (double)r->epoch + fmin(part, 1.0),
                           r->log_loss / (double)r->log_steps, (double)r->log_hits / (double)r->log_labels, rate, r->log_norm,
                           (unsigned long long)r->tokens);
    r->log_loss = 0.0;
    r->log_steps = r->log_labels = r->log_hits = 0;
    return bz_job_emit_text(&r->job, line, (size_t)n, err);
}

static bezel_status job_save_if(bz_train_run *r, int is_due, bezel_error *err)
{
    const bezel_status status = is_due ? bz_train_run_save(r, err) : BEZEL_OK;
    return status == BEZEL_OK ? BEZEL_MORE : status;
}

/* After a step and its measurement. */
static bezel_status job_next(bz_train_run *r, bezel_error *err)
{
    const int is_over = r->step == r->steps || (r->options.patience > 0 && r->waited >= r->options.patience);
    r->phase = is_over ? PHASE_END : PHASE_BEGIN;
    return job_save_if(r, is_over || r->step % r->options.save_every == 0, err);
}

static bezel_status job_update(bz_train_run *r, bezel_error *err)
{
    const bezel_train_options *o = &r->options;
    const bz_trainer *t = r->trainer;
    const double norm = bz_gradient_norm(t->grad);
    const double rate = o->rate * bz_rate_course(o->course, r->step, o->warm_up, r->steps);
    if (!isfinite(t->loss) || !isfinite(norm)) {
        bz_fail(err, BEZEL_ERR_NUMERIC, "train", "step %llu: loss is %g, the gradient's length %g", (unsigned long long)r->step + 1,
                t->loss, norm);
        return bz_error_hint(err, BEZEL_ERR_NUMERIC, "A lower rate or a longer warm_up helps; the last checkpoint is intact.");
    }
    bz_optimizer_step(&r->optimizer, t->grad, rate, bz_gradient_clip(norm, o->clip));
    ++r->step;
    r->tokens += r->step_tokens;
    r->is_measured = 0;
    r->log_loss += t->loss;
    r->log_norm = norm;
    r->log_labels += t->labels;
    r->log_hits += t->hits;
    ++r->log_steps;
    bezel_status status = bz_job_emit_progress(&r->job, (double)r->step / (double)r->steps, err);
    if (status == BEZEL_OK && (r->step % o->log_every == 0 || r->step == r->steps))
        status = job_log(r, rate, err);
    if (status != BEZEL_OK)
        return status;
    if (r->data.n > r->data.n_teach && (r->step % o->evaluate_every == 0 || r->step == r->steps)) {
        r->packs_ready = 0;
        job_begin(r, 0, bz_train_data_measure(&r->data), 1);
        r->phase = PHASE_MEASURE;
        return BEZEL_MORE;
    }
    return job_next(r, err);
}

static void job_keep_best(bz_train_run *r)
{
    for (uint32_t i = 0; i < r->model->config.n_layers * BZ_N_TARGETS; ++i) {
        const bz_tensor *m = bz_adapter_matrix(r->model, i / BZ_N_TARGETS, i % BZ_N_TARGETS);
        const bz_low_rank *from = &r->adapter->pairs[i], *to = &r->best->pairs[i];
        if (from->rank == 0)
            continue;
        memcpy(to->a, from->a, m->K * from->rank * sizeof *to->a);
        memcpy(to->b, from->b, m->N * from->rank * sizeof *to->b);
    }
}

static bezel_status job_measured(bz_train_run *r, bezel_error *err)
{
    char line[160];
    const double loss = r->trainer->loss;
    const int n = snprintf(line, sizeof line, "{\"step\":%llu,\"validation_loss\":%.6g,\"validation_accuracy\":%.4f}\n",
                           (unsigned long long)r->step, loss, (double)r->trainer->hits / (double)r->trainer->labels);
    r->is_measured = 1;
    ++r->waited;
    if (loss < r->best_loss) {
        r->best_loss = loss;
        r->waited = 0;
        job_keep_best(r);
    }
    const bezel_status status = bz_job_emit_text(&r->job, line, (size_t)n, err);
    return status == BEZEL_OK ? job_next(r, err) : status;
}

static bezel_status job_load(bz_train_run *r, bezel_error *err)
{
    const bezel_status status = bz_train_run_load(r, err);
    if (status != BEZEL_OK)
        return status;
    const int is_over = r->step >= r->steps || (r->options.patience > 0 && r->waited >= r->options.patience);
    r->phase = is_over ? PHASE_END : PHASE_BEGIN;
    return BEZEL_MORE;
}

static bezel_status job_unit(bezel_job *job, bezel_error *err)
{
    bz_train_run *r = (bz_train_run *)job;
    switch (r->phase) {
    case PHASE_LOAD: return job_load(r, err);
    case PHASE_BEGIN: return job_begin_step(r);
    case PHASE_PASS:
        if (job_go_on(r, 0))
            r->phase = PHASE_UPDATE;
        return BEZEL_MORE;
    case PHASE_UPDATE: return job_update(r, err);
    case PHASE_MEASURE: return job_go_on(r, 1) ? job_measured(r, err) : BEZEL_MORE;
    default: return BEZEL_DONE;
    }
}

/* --- Life --------------------------------------------------------------------------------- */

/* Between two updates the numbers are those of a whole number of steps, but a step's measurement may be missing then. */
static void job_cancelled(bezel_job *job)
{
    bz_train_run *r = (bz_train_run *)job;
    if (r->phase == PHASE_BEGIN || r->phase == PHASE_PASS || r->phase == PHASE_UPDATE)
        (void)bz_train_run_save(r, NULL); /* a failure leaves the last one */
}

static void job_destroy(bezel_job *job)
{
    bz_train_run *r = (bz_train_run *)job;
    bz_trainer_free(r->trainer);
    bz_optimizer_free(&r->optimizer);
    bezel_adapter_free(r->adapter);
    bezel_adapter_free(r->best);
    bz_train_data_free(&r->data);
    bz_free(&r->model->engine->world, r->checkpoint);
}

static const bz_job_ops job_ops = {"train", job_unit, job_cancelled, job_destroy};

static bezel_status job_make(bz_train_run *r, const bezel_train_example *examples, size_t count, bezel_error *err)
{
    const bezel_train_options *o = &r->options;
    const bezel_world *w = &r->model->engine->world;
    const bz_train_options pass = {o->max_length, o->checkpointing != 0, o->compute == BEZEL_TRAIN_BF16, o->dropout, o->seed};
    bezel_status status = bz_train_data_init(&r->data, r->model, examples, count, o, err);
    if (status == BEZEL_OK)
        status = bz_train_adapter_new(&r->adapter, r->model, o->targets, o->rank, o->alpha / (float)o->rank, o->seed, err);
    if (status == BEZEL_OK)
        status = bz_train_same_shapes(&r->best, r->adapter, err);
    if (status == BEZEL_OK)
        status = bz_optimizer_init(&r->optimizer, r->adapter, (float)o->decay, err);
    if (status == BEZEL_OK)
        status = bz_trainer_new(&r->trainer, r->adapter, &pass, err);
    if (status == BEZEL_OK && o->checkpoint != NULL) {
        r->checkpoint = bz_text_dup(w, o->checkpoint, SIZE_MAX);
        if (r->checkpoint == NULL)
            status = bz_fail_memory(err, "train", "a path", strlen(o->checkpoint) + 1);
    }
    r->options.checkpoint = NULL;
    if (status != BEZEL_OK)
        return status;
    for (uint32_t e = 0; e < o->epochs; ++e)
        r->steps += job_epoch_steps(r, e);
    r->best_loss = (double)INFINITY;
    bz_train_run_name(r);
    return bz_job_init(&r->job, &job_ops, w, r->model->engine->log, r->model->engine->worker, err);
}

bezel_status bezel_train(bezel_job **out, bezel_model *model, const bezel_train_example *examples, size_t count,
                         const bezel_train_options *options, bezel_error *err)
{
    bezel_train_options o;
    if (out == NULL || model == NULL || (examples == NULL && count > 0))
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "train", "%s is NULL", out == NULL ? "out" : model == NULL ? "model" : "examples");
    *out = NULL;
    bezel_train_options_init(&o);
    bezel_status status = bz_options_read(&o, sizeof o, options, "train", err);
    if (status == BEZEL_OK)
        status = job_check(&o, model, err);
    if (status != BEZEL_OK)
        return status;
    bz_train_run *r = bz_zalloc(&model->engine->world, sizeof *r);
    if (r == NULL)
        return bz_fail_memory(err, "train", "the job", sizeof *r);
    r->model = model;
    r->options = o;
    if (o.compute == BEZEL_TRAIN_AUTO)
        r->options.compute = bz_train_has_bf16(model->engine->kernel) ? BEZEL_TRAIN_BF16 : BEZEL_TRAIN_F32;
    status = job_make(r, examples, count, err);
    if (status != BEZEL_OK) {
        job_destroy(&r->job);
        bz_free(&model->engine->world, r);
        return status;
    }
    *out = &r->job;
    return BEZEL_OK;
}

bezel_status bezel_train_adapter(bezel_adapter **out, bezel_job *job, bezel_error *err)
{
    bz_train_run *r = (bz_train_run *)job;
    if (out == NULL || job == NULL)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "train", "%s is NULL", out == NULL ? "out" : "job");
    *out = NULL;
    if (job->ops != &job_ops)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "train", "the job is no training, but \"%s\"", job->ops->name);
    const bezel_status status = bz_job_status(job);
    if (status < 0)
        return bz_error_copy(err, &job->error);
    if (status != BEZEL_DONE)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "train", "the training is not done");
    bezel_adapter **mine = isfinite(r->best_loss) ? &r->best : &r->adapter;
    if (*mine == NULL)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "train", "the adapter of this job was taken already");
    *out = *mine;
    *mine = NULL;
    bz_adapter_seal(*out);
    return BEZEL_OK;
}
