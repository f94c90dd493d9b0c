/* SPDX-License-Identifier: MIT */
/* bezel_session: one timeline of tokens with its KV cache.
 *
 * Invariant: the cache holds positions [0, cache->n) of the ids that stand there now, cache->n <= n_ids <= n_ctx; every id
 * is inside the vocabulary. Appending only writes ids: computing is the generation's work. While a generation runs,
 * perhaps on the worker, `busy` keeps every other call out. */
#include "generate/prefix_snapshot.h"
#include "generate/scheduler.h"
#include "generate/session_impl.h"

#include "base/alloc.h"
#include "base/options.h"
#include "base/os.h"
#include "base/status.h"
#include "text/tokenizer_impl.h"

#include <string.h>

/* --- Checks ------------------------------------------------------------------------------- */

bezel_status bz_session_check(const bezel_session *session, bezel_error *err)
{
    if (session == NULL)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "session", "session is NULL");
    if (__atomic_load_n(&session->busy, __ATOMIC_ACQUIRE))
        return bz_error_hint(err, bz_fail(err, BEZEL_ERR_BUSY, "session", "a generation of this session is not finished"),
                             "step it to its end, or cancel and free the job");
    return BEZEL_OK;
}

bezel_status bz_session_acquire(bezel_session *session, bezel_error *err)
{
    const bezel_status status = bz_session_check(session, err);
    if (status == BEZEL_OK)
        __atomic_store_n(&session->busy, 1, __ATOMIC_RELEASE);
    return status;
}

void bz_session_release(bezel_session *session)
{
    __atomic_store_n(&session->busy, 0, __ATOMIC_RELEASE);
}

bezel_status bz_session_check_ids(const bezel_session *session, const int32_t *ids, size_t count, bezel_error *err)
{
    const uint32_t V = session->model->config.V;
    if (ids == NULL && count > 0)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "session", "ids is NULL but count is %zu", count);
    for (size_t i = 0; i < count; ++i)
        if (ids[i] < 0 || (uint32_t)ids[i] >= V)
            return bz_error_offset(err,
                                   bz_fail(err, BEZEL_ERR_RANGE, "session", "id %zu is %d, expected 0 to %u", i,
                                           (int)ids[i], (unsigned)(V - 1)),
                                   (int64_t)i);
    return BEZEL_OK;
}

static bezel_status session_check_room(const bezel_session *session, size_t used, size_t count, bezel_error *err)
{
    if (count <= session->n_ctx - used)
        return BEZEL_OK;
    return bz_error_hint(err,
                         bz_fail(err, BEZEL_ERR_FULL, "session",
                                 "%zu tokens do not fit: the context has %u positions, %zu are taken", count,
                                 (unsigned)session->n_ctx, used),
                         "open the session with a larger n_ctx, or shorten the text");
}

/* --- Life --------------------------------------------------------------------------------- */

void bezel_session_options_init(bezel_session_options *out)
{
    *out = (bezel_session_options){.size = (uint32_t)sizeof *out};
}

static bezel_status session_resolve_head(bezel_session_options *o, bezel_error *err)
{
    const char *name = o->head == BEZEL_HEAD_AUTO ? bz_os_env("BEZEL_HEAD") : NULL;
    if (o->head > BEZEL_HEAD_SCREENED)
        return bz_fail(err, BEZEL_ERR_RANGE, "session", "head is %u, expected 0 (auto), 1 (full) or 2 (screened)",
                       (unsigned)o->head);
    if (name != NULL && strcmp(name, "full") != 0 && strcmp(name, "screened") != 0 && strcmp(name, "auto") != 0)
        return bz_error_hint(err, bz_fail(err, BEZEL_ERR_ARGUMENT, "session", "BEZEL_HEAD is \"%s\"", name),
                             "use auto, full or screened, or unset it");
    if (o->head == BEZEL_HEAD_AUTO)
        o->head = name != NULL && strcmp(name, "full") == 0 ? BEZEL_HEAD_FULL : BEZEL_HEAD_SCREENED;
    return BEZEL_OK;
}

/* Fills what is 0 or AUTO. */
static bezel_status session_resolve(bezel_session_options *o, const bezel_model *model, bezel_error *err)
{
    const uint32_t most = model->config.n_ctx;
    if (o->n_ctx == 0)
        o->n_ctx = most < BZ_DEFAULT_CTX ? most : BZ_DEFAULT_CTX;
    if (o->n_ctx > most || o->n_ctx == 0)
        return bz_fail(err, BEZEL_ERR_RANGE, "session", "n_ctx is %u, expected 1 to %u, the context of this model",
                       (unsigned)o->n_ctx, (unsigned)most);
    if (o->chunk == 0)
        o->chunk = BZ_DEFAULT_CHUNK;
    if (o->chunk > BZ_KV_SLACK)
        return bz_fail(err, BEZEL_ERR_RANGE, "session", "chunk is %u, expected 1 to %u, or 0 for the default",
                       (unsigned)o->chunk, (unsigned)BZ_KV_SLACK);
    if (o->activations > BEZEL_ACTIVATIONS_Q8)
        return bz_fail(err, BEZEL_ERR_RANGE, "session", "activations is %u, expected 0 (auto), 1 (f32) or 2 (q8)",
                       (unsigned)o->activations);
    if (o->activations == BEZEL_ACTIVATIONS_AUTO)
        o->activations = bz_decoder_default_q8(model->engine) ? BEZEL_ACTIVATIONS_Q8 : BEZEL_ACTIVATIONS_F32;
    if (o->kv > BEZEL_KV_INT8)
        return bz_fail(err, BEZEL_ERR_RANGE, "session", "kv is %u, expected 0 (auto), 1 (f32), 2 (f16) or 3 (int8)",
                       (unsigned)o->kv);
    if (o->kv == BEZEL_KV_AUTO)
        o->kv = o->activations == BEZEL_ACTIVATIONS_Q8 ? BEZEL_KV_F16 : BEZEL_KV_F32;
    if (o->lookup > 1)
        return bz_fail(err, BEZEL_ERR_RANGE, "session", "lookup is %u, expected 0 (off) or 1 (on)", (unsigned)o->lookup);
    return session_resolve_head(o, err);
}

/* ORDER BEZEL_KV_... */
static const uint32_t session_kv_dtypes[4] = {BZ_DTYPE_F32, BZ_DTYPE_F32, BZ_DTYPE_F16, BZ_DTYPE_I8};

static bezel_status session_make(bezel_session **out, bezel_model *model, const bezel_session_options *o,
                                 bezel_error *err)
{
    const bezel_world *w = &model->engine->world;
    bezel_status status;
    bezel_session *s = bz_zalloc(w, sizeof *s);
    if (s == NULL)
        return bz_fail_memory(err, "session", "the session", sizeof *s);
    s->model = model;
    s->world = w;
    s->n_ctx = o->n_ctx;
    s->chunk = o->chunk;
    s->activations = o->activations;
    s->head = o->head;
    s->kv = o->kv;
    s->lookup = o->lookup;
    bz_session_identify(s);
    const int use_q8 = o->activations == BEZEL_ACTIVATIONS_Q8;
    status = bz_kv_cache_new(&s->cache, w, &model->config, o->n_ctx, session_kv_dtypes[o->kv], err);
    if (status != BEZEL_OK)
        goto done;
    status = bz_decoder_new(&s->decoder, model, o->chunk, use_q8, err);
    if (status != BEZEL_OK)
        goto done;
    s->ids = bz_zalloc_array(w, o->n_ctx, sizeof *s->ids);
    s->n_logits = bz_screen_blocks(model->config.V) * BZ_SCREEN_ROWS; /* V, and what a scan writes beyond */
    if (o->lookup && o->head == BEZEL_HEAD_SCREENED)
        s->n_logits *= BZ_HEADS_ALONE; /* for each guess */
    if (s->n_logits < (size_t)64 * BZ_HEADS_ALONE)
        s->n_logits = (size_t)64 * BZ_HEADS_ALONE; /* a slice for each of a few positions */
    s->logits = bz_alloc_aligned(w, s->n_logits * sizeof *s->logits);
    if (s->ids == NULL || s->logits == NULL) {
        status = bz_fail_memory(err, "session", "timeline and logits",
                                (size_t)o->n_ctx * sizeof *s->ids + s->n_logits * sizeof *s->logits);
        goto done;
    }
    *out = s;
    s = NULL;
done:
    bezel_session_free(s);
    return status;
}

bezel_status bezel_session_new(bezel_session **out, bezel_model *model, const bezel_session_options *options,
                               bezel_error *err)
{
    if (out == NULL || model == NULL)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "session", "%s is NULL", out == NULL ? "out" : "model");
    *out = NULL;
    bezel_session_options o;
    bezel_session_options_init(&o);
    bezel_status status = bz_options_read(&o, sizeof o, options, "session", err);
    if (status == BEZEL_OK)
        status = session_resolve(&o, model, err);
    return status == BEZEL_OK ? session_make(out, model, &o, err) : status;
}

void bezel_session_free(bezel_session *session)
{
    if (session == NULL)
        return;
    const bezel_world *w = session->world;
    bz_kv_cache_free(session->cache);
    bz_decoder_free(session->decoder);
    bz_free(w, session->ids);
    bz_free_aligned(w, session->logits);
    bz_free(w, session);
}

/* --- Timeline ----------------------------------------------------------------------------- */

bezel_status bezel_session_append(bezel_session *session, const int32_t *ids, size_t count, bezel_error *err)
{
    bezel_status status = bz_session_check(session, err);
    if (status == BEZEL_OK)
        status = session_check_room(session, session->n_ids, count, err);
    if (status == BEZEL_OK)
        status = bz_session_check_ids(session, ids, count, err);
    if (status != BEZEL_OK || count == 0)
        return status;
    memcpy(session->ids + session->n_ids, ids, count * sizeof *ids);
    session->n_ids += count;
    return BEZEL_OK;
}

bezel_status bezel_session_append_text(bezel_session *session, const char *text, size_t size, uint32_t flags,
                                       bezel_error *err)
{
    bezel_status status = bz_session_check(session, err);
    if (status != BEZEL_OK)
        return status;
    if (text == NULL)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "session", "text is NULL");
    if (flags & ~(uint32_t)(BEZEL_TOKENIZE_BOS | BEZEL_TOKENIZE_SPECIAL))
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "session", "flags is 0x%x, expected BEZEL_TOKENIZE_... only",
                       (unsigned)flags);
    bz_ids ids;
    bz_ids_init(&ids, session->world);
    const int32_t bos = bz_vocab_bos(session->model->vocab);
    if ((flags & BEZEL_TOKENIZE_BOS) && bos >= 0)
        bz_ids_add(&ids, bos);
    status = bz_tokenize(&ids, session->model->vocab, text, size == SIZE_MAX ? strlen(text) : size,
                         (flags & BEZEL_TOKENIZE_SPECIAL) != 0, err);
    if (status == BEZEL_OK && ids.status != BEZEL_OK)
        status = bz_fail(err, ids.status, "session", "no memory for the tokens of the text");
    if (status == BEZEL_OK)
        status = bezel_session_append(session, ids.ids, ids.count, err);
    bz_ids_free(&ids);
    return status;
}

void bz_session_assign(bezel_session *session, const int32_t *ids, size_t count)
{
    size_t same = 0;
    while (same < count && same < session->n_ids && ids[same] == session->ids[same])
        ++same;
    (void)bz_kv_cache_trim(session->cache, same);
    bz_prefix_snapshot_cut(session, same);
    if (count > same)
        memmove(session->ids + same, ids + same, (count - same) * sizeof *ids);
    session->n_ids = count;
}

bezel_status bezel_session_set(bezel_session *session, const int32_t *ids, size_t count, bezel_error *err)
{
    bezel_status status = bz_session_check(session, err);
    if (status == BEZEL_OK)
        status = session_check_room(session, 0, count, err);
    if (status == BEZEL_OK)
        status = bz_session_check_ids(session, ids, count, err);
    if (status == BEZEL_OK)
        bz_session_assign(session, ids, count);
    return status;
}

bezel_status bezel_session_rewind(bezel_session *session, size_t count, bezel_error *err)
{
    const bezel_status status = bz_session_check(session, err);
    if (status != BEZEL_OK)
        return status;
    if (count > session->n_ids)
        return bz_fail(err, BEZEL_ERR_RANGE, "session", "count is %zu, expected at most the %zu tokens there are", count,
                       session->n_ids);
    (void)bz_kv_cache_trim(session->cache, count);
    bz_prefix_snapshot_cut(session, count);
    session->n_ids = count;
    return BEZEL_OK;
}

bezel_status bezel_session_fork(bezel_session **out, const bezel_session *session, bezel_error *err)
{
    if (out == NULL)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "session", "out is NULL");
    *out = NULL;
    bezel_status status = bz_session_check(session, err);
    if (status != BEZEL_OK)
        return status;
    const bezel_session_options o = {.size = (uint32_t)sizeof o,
                                     .n_ctx = session->n_ctx,
                                     .chunk = session->chunk,
                                     .activations = session->activations,
                                     .head = session->head,
                                     .lookup = session->lookup,
                                     .kv = session->kv};
    status = session_make(out, session->model, &o, err);
    if (status != BEZEL_OK)
        return status;
    (*out)->adapters = session->adapters;
    bz_session_identify(*out);
    bz_kv_cache_copy((*out)->cache, session->cache);
    memcpy((*out)->ids, session->ids, session->n_ids * sizeof *session->ids);
    (*out)->n_ids = session->n_ids;
    return BEZEL_OK;
}

/* --- Inspection --------------------------------------------------------------------------- */

bezel_model *bezel_session_model(const bezel_session *session)
{
    return session != NULL ? session->model : NULL;
}

uint32_t bezel_session_n_ctx(const bezel_session *session)
{
    return session != NULL ? session->n_ctx : 0;
}

const int32_t *bezel_session_ids(const bezel_session *session, size_t *out_count)
{
    const int is_free = session != NULL && bz_session_check(session, NULL) == BEZEL_OK;
    if (out_count != NULL)
        *out_count = is_free ? session->n_ids : 0;
    return is_free ? session->ids : NULL;
}

size_t bezel_session_cached(const bezel_session *session)
{
    return session != NULL && bz_session_check(session, NULL) == BEZEL_OK ? session->cache->n : 0;
}

const char *bezel_stop_name(uint32_t stop_reason)
{
    switch (stop_reason) {
    case BEZEL_STOP_NONE:
        return "none";
    case BEZEL_STOP_EOS:
        return "eos";
    case BEZEL_STOP_STRING:
        return "stop";
    case BEZEL_STOP_MAX_TOKENS:
        return "max_tokens";
    case BEZEL_STOP_CONTEXT:
        return "context";
    case BEZEL_STOP_CANCELLED:
        return "cancelled";
    default:
        return "unknown";
    }
}
