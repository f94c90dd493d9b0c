/* SPDX-License-Identifier: MIT */
/* bezel_session_prefix: a beginning that many timelines share is looked for in the cache folder, or kept there once it was
 * computed (model/prefix_folder does both).
 * Invariant: prefix_done and prefix_wanted are of the ids that the timeline begins with now; one of them is 0. */
#include "generate/prefix_snapshot.h"

#include "base/status.h"
#include "model/prefix_folder.h"

#define PREFIX_LEAST 16U /* tokens: fewer are computed faster than found */

static bz_prefix prefix_of(const bezel_session *s, size_t count)
{
    return (bz_prefix){.ids = s->ids,
                       .n = count,
                       .fingerprint = s->fingerprint,
                       .activations = s->activations,
                       .dtype = s->cache->dtype,
                       .row_size = s->cache->row_size};
}

bezel_status bezel_session_prefix(bezel_session *session, size_t count, bezel_error *err)
{
    const bezel_status status = bz_session_check(session, err);
    if (status != BEZEL_OK)
        return status;
    if (count > session->n_ids)
        return bz_fail(err, BEZEL_ERR_RANGE, "session", "count is %zu, expected at most the %zu tokens there are", count,
                       session->n_ids);
    if (session->model->prefixes == NULL || count < PREFIX_LEAST || count == session->prefix_done)
        return BEZEL_OK;
    session->prefix_done = session->prefix_wanted = 0;
    if (session->cache->n < count) {
        const bz_prefix prefix = prefix_of(session, count);
        bz_kv_base *base = bz_prefix_folder_find(session->model->prefixes, &prefix);
        if (base != NULL) {
            bz_kv_cache_attach(session->cache, base);
            session->prefix_done = count;
            return BEZEL_OK;
        }
    }
    session->prefix_wanted = count;
    return BEZEL_OK;
}

void bz_prefix_snapshot_take(bezel_session *s)
{
    if (s->prefix_wanted == 0 || s->cache->n < s->prefix_wanted)
        return;
    const bz_prefix prefix = prefix_of(s, s->prefix_wanted);
    if (!bz_prefix_folder_keep(s->model->prefixes, &prefix, s->cache))
        return;
    s->prefix_done = s->prefix_wanted;
    s->prefix_wanted = 0;
}

void bz_prefix_snapshot_cut(bezel_session *s, size_t count)
{
    if (count < s->prefix_wanted || count < s->prefix_done)
        s->prefix_wanted = s->prefix_done = 0;
}
