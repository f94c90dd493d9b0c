/* SPDX-License-Identifier: MIT */
/* Order and packs of examples (see train_data.h). */
#include "train/train_data.h"

#include "base/alloc.h"
#include "base/rng.h"
#include "base/status.h"

#include <string.h>

/* --- Copying ------------------------------------------------------------------------------ */

static size_t data_cut(const bezel_train_example *e, uint32_t most)
{
    return e->count < most ? e->count : most;
}

/* Labels of an example that is cut to n ids. */
static size_t data_learned(const bezel_train_example *e, size_t n)
{
    size_t labels = 0;
    for (size_t i = 1; i < n; ++i)
        labels += e->learn[i] != 0;
    return labels;
}

static bezel_status data_check(const bezel_train_example *e, size_t number, uint32_t V, bezel_error *err)
{
    if (e->count > 0 && (e->ids == NULL || e->learn == NULL))
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "train", "example %zu: ids or learn is NULL", number);
    for (size_t i = 0; i < e->count; ++i)
        if (e->ids[i] < 0 || (uint32_t)e->ids[i] >= V)
            return bz_fail(err, BEZEL_ERR_RANGE, "train", "example %zu: id %d at %zu is none of the model's %u", number,
                           (int)e->ids[i], i, (unsigned)V);
    return BEZEL_OK;
}

static bezel_status data_alloc(bz_train_data *d, size_t n, size_t tokens, bezel_error *err)
{
    d->ids = bz_zalloc_array(d->world, tokens, sizeof *d->ids);
    d->targets = bz_zalloc_array(d->world, tokens, sizeof *d->targets);
    d->start = bz_zalloc_array(d->world, n + 1, sizeof *d->start);
    d->order = bz_zalloc_array(d->world, n, sizeof *d->order);
    d->pack = bz_zalloc_array(d->world, n + 1, sizeof *d->pack);
    d->first = bz_zalloc_array(d->world, d->max_length, sizeof *d->first);
    d->pack_ids = bz_zalloc_array(d->world, d->max_length, sizeof *d->pack_ids);
    d->pack_targets = bz_zalloc_array(d->world, d->max_length, sizeof *d->pack_targets);
    if (!d->ids || !d->targets || !d->start || !d->order || !d->pack || !d->first || !d->pack_ids || !d->pack_targets)
        return bz_fail_memory(err, "train", "the examples", tokens * 2 * sizeof *d->ids);
    return BEZEL_OK;
}

static void data_copy(bz_train_data *d, const bezel_train_example *e, size_t n)
{
    const size_t at = d->start[d->n];
    memcpy(d->ids + at, e->ids, n * sizeof *d->ids);
    for (size_t i = 0; i < n; ++i)
        d->targets[at + i] = i + 1 < n && e->learn[i + 1] ? e->ids[i + 1] : -1;
    d->start[++d->n] = at + n;
}

static void data_shuffle(uint32_t *x, size_t n, uint64_t seed)
{
    bz_rng rng;
    bz_rng_seed(&rng, seed);
    for (size_t i = n; i > 1; --i) {
        const size_t j = (size_t)(bz_rng_next(&rng) % i);
        const uint32_t kept = x[j];
        x[j] = x[i - 1];
        x[i - 1] = kept;
    }
}

bezel_status bz_train_data_init(bz_train_data *d, const bezel_model *model, const bezel_train_example *examples, size_t count,
                                const bezel_train_options *o, bezel_error *err)
{
    size_t n = 0, tokens = 0;
    *d = (bz_train_data){.world = &model->engine->world, .max_length = o->max_length, .packing = o->packing != 0, .seed = o->seed};
    for (size_t i = 0; i < count; ++i) {
        const bezel_status status = data_check(&examples[i], i, model->config.V, err);
        if (status != BEZEL_OK)
            return status;
        const size_t kept = data_cut(&examples[i], o->max_length);
        if (data_learned(&examples[i], kept) > 0) {
            tokens += kept;
            ++n;
        }
    }
    if (n == 0 || n >= UINT32_MAX)
        return bz_fail(err, BEZEL_ERR_MISSING, "train", "none of the %zu examples has an id to learn", count);
    const bezel_status status = data_alloc(d, n, tokens, err);
    if (status != BEZEL_OK) {
        bz_train_data_free(d);
        return status;
    }
    for (size_t i = 0; i < count; ++i) {
        const size_t kept = data_cut(&examples[i], o->max_length);
        if (data_learned(&examples[i], kept) > 0)
            data_copy(d, &examples[i], kept);
    }
    for (size_t i = 0; i < n; ++i)
        d->order[i] = (uint32_t)i;
    data_shuffle(d->order, n, o->seed);
    const size_t aside = (size_t)((double)n * o->validation);
    d->n_teach = n - (aside < n ? aside : n - 1);
    return BEZEL_OK;
}

void bz_train_data_free(bz_train_data *d)
{
    if (d->world == NULL)
        return;
    void *all[] = {d->ids, d->targets, d->start, d->order, d->pack, d->first, d->pack_ids, d->pack_targets};
    for (size_t i = 0; i < sizeof all / sizeof all[0]; ++i)
        bz_free(d->world, all[i]);
    memset(d, 0, sizeof *d);
}

/* --- Packs -------------------------------------------------------------------------------- */

static size_t data_size(const bz_train_data *d, size_t place)
{
    const uint32_t e = d->order[place];
    return d->start[e + 1] - d->start[e];
}

/* Fills one pack after the other with the places [begin, end). */
static size_t data_fill(bz_train_data *d, size_t begin, size_t end)
{
    size_t room = 0;
    d->n_packs = 0;
    for (size_t i = begin; i < end; ++i) {
        const size_t size = data_size(d, i);
        if (size > room || !d->packing) {
            d->pack[d->n_packs++] = (uint32_t)i;
            room = d->max_length;
        }
        room -= size;
    }
    d->pack[d->n_packs] = (uint32_t)end;
    return d->n_packs;
}

/* Order before an epoch's shuffle must not depend on the last one. */
static void data_sort(uint32_t *x, size_t n)
{
    for (size_t gap = n / 2; gap > 0; gap /= 2)
        for (size_t i = gap; i < n; ++i) {
            const uint32_t kept = x[i];
            size_t j = i;
            for (; j >= gap && kept < x[j - gap]; j -= gap)
                x[j] = x[j - gap];
            x[j] = kept;
        }
}

size_t bz_train_data_epoch(bz_train_data *d, uint64_t epoch)
{
    data_sort(d->order, d->n_teach);
    data_shuffle(d->order, d->n_teach, d->seed * 1000003U + epoch + 1);
    return data_fill(d, 0, d->n_teach);
}

size_t bz_train_data_measure(bz_train_data *d)
{
    return data_fill(d, d->n_teach, d->n);
}

bz_train_pack bz_train_data_pack(bz_train_data *d, size_t i)
{
    size_t T = 0;
    for (size_t place = d->pack[i]; place < d->pack[i + 1]; ++place) {
        const size_t n = data_size(d, place), from = d->start[d->order[place]], first = T;
        memcpy(d->pack_ids + T, d->ids + from, n * sizeof *d->pack_ids);
        memcpy(d->pack_targets + T, d->targets + from, n * sizeof *d->pack_targets);
        while (T < first + n)
            d->first[T++] = (uint32_t)first;
    }
    return (bz_train_pack){d->pack_ids, d->pack_targets, d->first, T};
}

size_t bz_train_data_labels(const bz_train_data *d, size_t i)
{
    size_t labels = 0;
    for (size_t place = d->pack[i]; place < d->pack[i + 1]; ++place)
        for (size_t t = d->start[d->order[place]]; t < d->start[d->order[place] + 1]; ++t)
            labels += d->targets[t] >= 0;
    return labels;
}
