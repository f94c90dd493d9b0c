/* SPDX-License-Identifier: MIT */
/* A run's state as a file (model/side_file.h): names "BZTRAIN1", version, name of the run; then CHECKPOINT_WORDS words; data
 * are the numbers of the adapter, both moments and the best adapter, pair by pair, A before B. Little-endian machines only,
 * as the other side files. The state is that between two steps, whenever it is written. */
#include "train/train_run.h"

#include "base/hash.h"
#include "base/status.h"
#include "model/side_file.h"

#include <string.h>

enum {
    CHECKPOINT_NAMES = 28, /* kind, version, name of the run */
    CHECKPOINT_WORDS = 5,  /* step, tokens, best loss, waited, is_measured */
    CHECKPOINT_HEAD = CHECKPOINT_NAMES + CHECKPOINT_WORDS * 8,
    CHECKPOINT_SETS = 4
};

void bz_train_run_name(bz_train_run *r)
{
    bz_hash h;
    const bz_train_data *d = &r->data;
    bezel_train_options o = r->options;
    /* What changes no number. */
    o.checkpoint = NULL;
    o.log_every = o.save_every = o.checkpointing = o.size = 0;
    bz_hash_init(&h);
    bz_hash_add(&h, &o, sizeof o);
    bz_hash_add(&h, r->model->fingerprint, sizeof r->model->fingerprint);
    bz_hash_add(&h, d->start, (d->n + 1) * sizeof *d->start);
    bz_hash_add(&h, d->ids, d->start[d->n] * sizeof *d->ids);
    bz_hash_add(&h, d->targets, d->start[d->n] * sizeof *d->targets);
    bz_hash_finish(&h, r->name);
}

/* Half i of 2 * places of a set, and its bytes. */
static float *checkpoint_half(const bz_train_run *r, int set, uint32_t i, size_t *size)
{
    const bezel_adapter *sets[CHECKPOINT_SETS] = {r->adapter, r->optimizer.mean, r->optimizer.square, r->best};
    const bz_low_rank *p = &sets[set]->pairs[i / 2];
    const bz_tensor *m = bz_adapter_matrix(r->model, i / 2 / BZ_N_TARGETS, i / 2 % BZ_N_TARGETS);
    *size = (i % 2 ? m->N : m->K) * p->rank * sizeof(float);
    return i % 2 ? p->b : p->a;
}

static uint32_t checkpoint_halves(const bz_train_run *r)
{
    return r->model->config.n_layers * BZ_N_TARGETS * 2;
}

static bz_side_plan checkpoint_plan(const bz_train_run *r, uint8_t names[CHECKPOINT_NAMES])
{
    const uint32_t version = 1;
    uint64_t total = 0;
    memcpy(names, "BZTRAIN1", 8);
    memcpy(names + 8, &version, sizeof version);
    memcpy(names + 12, r->name, sizeof r->name);
    for (uint32_t i = 0; i < checkpoint_halves(r); ++i) {
        size_t size;
        (void)checkpoint_half(r, 0, i, &size);
        total += size;
    }
    return (bz_side_plan){.world = &r->model->engine->world,
                          .pool = r->model->engine->pool,
                          .origin = "train",
                          .path = r->checkpoint,
                          .names = names,
                          .names_size = CHECKPOINT_NAMES,
                          .head_size = CHECKPOINT_HEAD,
                          .data_size = total * CHECKPOINT_SETS};
}

static void checkpoint_words(const bz_train_run *r, uint64_t words[CHECKPOINT_WORDS])
{
    words[0] = r->step;
    words[1] = r->tokens;
    memcpy(&words[2], &r->best_loss, sizeof r->best_loss);
    words[3] = r->waited;
    words[4] = (uint64_t)r->is_measured;
}

bezel_status bz_train_run_save(bz_train_run *r, bezel_error *err)
{
    uint8_t names[CHECKPOINT_NAMES];
    uint64_t words[CHECKPOINT_WORDS];
    bz_side_writer writer = {0};
    if (r->checkpoint == NULL)
        return BEZEL_OK;
    const bz_side_plan plan = checkpoint_plan(r, names);
    bezel_status status = bz_side_begin(&writer, &plan, err);
    for (int set = 0; set < CHECKPOINT_SETS && status == BEZEL_OK; ++set)
        for (uint32_t i = 0; i < checkpoint_halves(r) && status == BEZEL_OK; ++i) {
            size_t size;
            const float *half = checkpoint_half(r, set, i, &size);
            if (size > 0)
                status = bz_side_add(&writer, half, size, err);
        }
    if (status != BEZEL_OK) {
        bz_side_abandon(&writer);
        return status;
    }
    checkpoint_words(r, words);
    memcpy(writer.header + CHECKPOINT_NAMES, words, sizeof words);
    return bz_side_finish(&writer, err);
}

static void checkpoint_read(bz_train_run *r, const bz_side_map *map)
{
    uint64_t words[CHECKPOINT_WORDS];
    const uint8_t *at = map->data;
    memcpy(words, map->head + CHECKPOINT_NAMES, sizeof words);
    r->step = r->optimizer.step = words[0];
    r->tokens = words[1];
    memcpy(&r->best_loss, &words[2], sizeof r->best_loss);
    r->waited = (uint32_t)words[3];
    r->is_measured = words[4] != 0;
    for (int set = 0; set < CHECKPOINT_SETS; ++set)
        for (uint32_t i = 0; i < checkpoint_halves(r); ++i) {
            size_t size;
            float *half = checkpoint_half(r, set, i, &size);
            if (size > 0)
                memcpy(half, at, size);
            at += size;
        }
}

bezel_status bz_train_run_load(bz_train_run *r, bezel_error *err)
{
    uint8_t names[CHECKPOINT_NAMES];
    bz_side_map map = {0};
    if (r->checkpoint == NULL)
        return BEZEL_OK;
    const bz_side_plan plan = checkpoint_plan(r, names);
    const bezel_status status = bz_side_open(&map, &plan, err);
    if (status == BEZEL_ERR_MISSING)
        return BEZEL_OK;
    if (status != BEZEL_OK)
        return bz_error_hint(err, status, "The file is of other examples, options or another model, or damaged: name another "
                                          "one, or remove it to begin anew.");
    checkpoint_read(r, &map);
    bz_side_close(&map, &r->model->engine->world);
    return BEZEL_OK;
}
