/* SPDX-License-Identifier: MIT */
/* The scripted model: bookkeeping only, no randomness, no time. */
#include "support/script_source.h"

#include <check.h>
#include <stdlib.h>
#include <string.h>

static char *ids_text(script_source *s, const int32_t *ids, size_t n, int *out_ok)
{
    char *text = NULL;
    size_t size;
    *out_ok = 0;
    if (bezel_detokenize(&text, &size, s->model, ids, n, 1, NULL) != BEZEL_OK)
        return NULL;
    char *copy = malloc(size + 1);
    memcpy(copy, text, size);
    copy[size] = 0;
    bezel_text_free(bezel_model_engine(s->model), text);
    *out_ok = 1;
    return copy;
}

/* Alternatives: where `other` parts from the reply, its token is the second best. */
static void script_alternative(script_source *s, const char *other, float logprob)
{
    int32_t ids[512];
    size_t n = 0;
    if (!other || bezel_tokenize(ids, 512, &n, s->model, other, strlen(other), 0, NULL) != BEZEL_OK)
        return;
    for (size_t i = 0; i < n && i < s->n_ids; i++) {
        if (ids[i] != s->ids[i]) {
            s->top_ids[2 * i + 1] = ids[i];
            s->top_logprobs[2 * i + 1] = logprob;
            return;
        }
    }
}

static bezel_status script_start(void *ud, const bz_turn_request *r, bezel_error *err)
{
    script_source *s = ud;
    int ok;
    size_t i = s->n_asked;
    ck_assert_uint_lt(i, SCRIPT_ASKED);
    s->prompts[i] = ids_text(s, r->ids, r->n_ids, &ok);
    if (ok)
        s->forced[i] = ids_text(s, r->forced, r->n_forced, &ok);
    if (!ok) {
        free(s->prompts[i]);
        s->prompts[i] = NULL;
        return bz_fail_memory(err, "script", "a prompt", 0);
    }
    s->n_bias[i] = r->options->sampling.n_bias;
    s->n_asked++; /* the texts are freed with the others */
    if (s->next == s->n_replies)
        return bz_fail(err, BEZEL_ERR_INTERNAL, "script", "the script has no reply left");
    s->now = &s->replies[s->next++];
    s->at = s->shown = 0;
    s->cancelled = 0;
    s->n_prompt = r->n_ids;
    bezel_status st = bezel_tokenize(s->ids, 512, &s->n_ids, s->model, s->now->text, strlen(s->now->text), 0, err);
    if (st == BEZEL_ERR_LIMIT)
        s->n_ids = 512;
    else if (st != BEZEL_OK)
        return st;
    s->n_top = r->options->n_logprobs && (s->now->other || s->now->other_call) ? 2 : 0;
    for (size_t k = 0; k < s->n_ids; k++) {
        s->top_ids[2 * k] = s->ids[k];
        s->top_ids[2 * k + 1] = -1;
        s->top_logprobs[2 * k] = -0.1f;
        s->top_logprobs[2 * k + 1] = -1e30f;
    }
    script_alternative(s, s->now->other, -2);
    script_alternative(s, s->now->other_call, -1);
    return BEZEL_OK;
}

static bezel_status script_step(void *ud, int64_t budget_us, bezel_error *err)
{
    script_source *s = ud;
    size_t size = strlen(s->now->text), piece = s->piece ? s->piece : 7;
    (void)budget_us;
    if (s->cancelled)
        return bz_fail(err, BEZEL_ERR_CANCELLED, "script", "cancelled");
    if (s->at < size) {
        s->at = size - s->at < piece ? size : s->at + piece;
        while (s->at < size && ((unsigned char)s->now->text[s->at] & 0xc0) == 0x80)
            s->at++;
        return BEZEL_TOKEN;
    }
    if (s->now->fails)
        return bz_fail(err, s->now->fails, "script", "the script says so");
    return BEZEL_DONE;
}

static int script_text(void *ud, const char **text, size_t *size)
{
    script_source *s = ud;
    if (!s->now || s->shown == s->at)
        return 0;
    *text = s->now->text + s->shown;
    *size = s->at - s->shown;
    s->shown = s->at;
    return 1;
}

static bezel_status script_result(void *ud, bezel_generation *out, bezel_error *err)
{
    script_source *s = ud;
    (void)err;
    *out = (bezel_generation){.size = sizeof *out,
                              .stop_reason = s->now->stop_reason ? s->now->stop_reason : BEZEL_STOP_EOS,
                              .text = s->now->text,
                              .text_size = s->at,
                              .ids = s->ids,
                              .n_ids = s->n_ids,
                              .n_prompt = s->n_prompt,
                              .n_cached = s->n_prompt / 2,
                              .first_token_us = 10,
                              .total_us = 100,
                              .n_top = s->n_top,
                              .logprobs = s->n_top ? s->top_logprobs : NULL,
                              .top_ids = s->n_top ? s->top_ids : NULL,
                              .top_logprobs = s->n_top ? s->top_logprobs : NULL};
    return BEZEL_OK;
}

static int script_fd(void *ud)
{
    (void)ud;
    return -1;
}

static void script_cancel(void *ud)
{
    ((script_source *)ud)->cancelled = 1;
}

static void script_end(void *ud)
{
    ((script_source *)ud)->now = NULL;
}

void script_source_init(script_source *s, bezel_model *model, const script_reply *replies, size_t n)
{
    memset(s, 0, sizeof *s);
    s->model = model;
    s->replies = replies;
    s->n_replies = n;
    s->source = (bz_turn_source){.ud = s,
                                 .start = script_start,
                                 .step = script_step,
                                 .text = script_text,
                                 .result = script_result,
                                 .fd = script_fd,
                                 .cancel = script_cancel,
                                 .end = script_end};
}

void script_source_free(script_source *s)
{
    for (size_t i = 0; i < s->n_asked; i++) {
        free(s->prompts[i]);
        free(s->forced[i]);
    }
    s->n_asked = 0;
}
