/* SPDX-License-Identifier: MIT */
/* Inside of bezel_session: timeline, cache, decoder. Everything is allocated when it opens. */
#ifndef BZ_SESSION_IMPL_H
#define BZ_SESSION_IMPL_H

#include <bezel/session.h>

#include "model/decoder.h"

struct bezel_session {
    bezel_model *model;
    const bezel_world *world;
    uint32_t n_ctx, chunk;
    uint32_t activations; /* BEZEL_ACTIVATIONS_F32 or _Q8, never AUTO */
    uint32_t lookup;      /* 1 = generations guess from the timeline */
    uint32_t head;        /* BEZEL_HEAD_FULL or _SCREENED, never AUTO */
    int32_t *ids;         /* [n_ctx] */
    size_t n_ids;
    bz_kv_cache *cache; /* cache->n <= n_ids */
    uint32_t kv;        /* BEZEL_KV_..., never AUTO */
    size_t prefix_wanted, prefix_done; /* positions that are to be kept in the cache folder, that need not be; 0 = none */
    bz_decoder *decoder;
    bz_adapter_mix adapters;
    uint8_t fingerprint[16]; /* of the model and the adapters */
    size_t n_logits;
    float *logits; /* [n_logits], V or more: of the last position that a generation drew from; room for slices and scans */
    int busy;      /* atomic: a generation or scoring holds it, maybe on the worker */
};

/* BEZEL_ERR_ARGUMENT for NULL, BEZEL_ERR_BUSY while a generation holds it. Every call that reads or changes the timeline
 * begins with it. */
bezel_status bz_session_check(const bezel_session *session, bezel_error *err);
/* As bz_session_check, and takes it; give it back with bz_session_release (any thread). */
bezel_status bz_session_acquire(bezel_session *session, bezel_error *err);
void bz_session_release(bezel_session *session);
/* BEZEL_ERR_RANGE naming the first id outside the vocabulary. */
bezel_status bz_session_check_ids(const bezel_session *session, const int32_t *ids, size_t count, bezel_error *err);
/* Fills the fingerprint. */
void bz_session_identify(bezel_session *session);
/* Timeline to exactly ids [count], which were checked and fit; keeps what the cache holds of a common prefix. */
void bz_session_assign(bezel_session *session, const int32_t *ids, size_t count);

#endif
