/* SPDX-License-Identifier: MIT */
/* Adapters of a session: which, how much, and what they change of its identity.
 * Invariant: what the cache holds was computed with the session's adapters; `fingerprint` names the model and them. */
#include "generate/prefix_snapshot.h"

#include "base/hash.h"
#include "base/status.h"

#include <math.h>
#include <string.h>

static bezel_status session_check_use(const bezel_session *s, const bezel_adapter_use *use, size_t i, bezel_error *err)
{
    if (use->adapter == NULL)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "session", "adapter %zu is NULL", i);
    if (use->adapter->model != s->model)
        return bz_error_hint(err, bz_fail(err, BEZEL_ERR_ARGUMENT, "session", "adapter %zu was opened for another model", i),
                             "open it with the session's model");
    if (!isfinite(use->scale))
        return bz_fail(err, BEZEL_ERR_RANGE, "session", "the scale of adapter %zu is %g, expected a finite number", i,
                       (double)use->scale);
    return BEZEL_OK;
}

void bz_session_identify(bezel_session *s)
{
    bz_hash h;
    memcpy(s->fingerprint, s->model->fingerprint, sizeof s->fingerprint);
    if (s->adapters.n == 0)
        return;
    bz_hash_init(&h);
    bz_hash_add(&h, s->model->fingerprint, sizeof s->model->fingerprint);
    for (uint32_t i = 0; i < s->adapters.n; ++i) {
        bz_hash_add(&h, s->adapters.adapter[i]->fingerprint, sizeof s->adapters.adapter[i]->fingerprint);
        bz_hash_add(&h, &s->adapters.scale[i], sizeof s->adapters.scale[i]);
    }
    bz_hash_finish(&h, s->fingerprint);
}

bezel_status bezel_session_adapt(bezel_session *session, const bezel_adapter_use *uses, size_t count, bezel_error *err)
{
    bezel_status status = bz_session_check(session, err);
    if (status != BEZEL_OK)
        return status;
    if (uses == NULL && count > 0)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "session", "uses is NULL but count is %zu", count);
    if (count > BZ_ADAPTER_MOST)
        return bz_fail(err, BEZEL_ERR_RANGE, "session", "%zu adapters, expected at most %u", count, BZ_ADAPTER_MOST);
    bz_adapter_mix mix = {.n = (uint32_t)count};
    for (size_t i = 0; i < count && status == BEZEL_OK; ++i) {
        status = session_check_use(session, &uses[i], i, err);
        mix.adapter[i] = uses[i].adapter;
        mix.scale[i] = uses[i].scale;
    }
    if (status != BEZEL_OK)
        return status;
    uint8_t before[sizeof session->fingerprint];
    memcpy(before, session->fingerprint, sizeof before);
    session->adapters = mix;
    bz_session_identify(session);
    if (memcmp(before, session->fingerprint, sizeof before) != 0) {
        (void)bz_kv_cache_trim(session->cache, 0);
        bz_prefix_snapshot_cut(session, 0);
    }
    return BEZEL_OK;
}
