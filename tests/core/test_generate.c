/* SPDX-License-Identifier: MIT */
/* Generation and scoring: stream, stops, reasons, cancel, worker, log-probabilities, memory. */
#include <bezel/session.h>

#include "base/utf8.h"
#include "support/test_world.h"
#include "support/tiny_model.h"

#include <check.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

Suite *generate_suite(void);

enum { PROMPT = 40, CTX = 1000 };

static const bezel_logit_bias no_end[2] = {{1, -INFINITY}, {6, -INFINITY}};

static bezel_generate_options options_greedy(uint32_t max_tokens)
{
    bezel_generate_options o;
    bezel_generate_options_init(&o);
    bezel_sampling_greedy(&o.sampling);
    o.sampling.bias = no_end;
    o.sampling.n_bias = 2;
    o.max_tokens = max_tokens;
    return o;
}

/* A session whose timeline is the prompt. */
static bezel_session *prompted(const tiny_model *t, uint32_t n_ctx, uint32_t chunk)
{
    int32_t ids[PROMPT];
    bezel_session *s = tiny_model_session(t, n_ctx, chunk, 0);
    tiny_model_ids(ids, PROMPT, 5);
    ck_assert_int_eq(bezel_session_set(s, ids, PROMPT, NULL), BEZEL_OK);
    return s;
}

typedef struct answer {
    bezel_job *job;
    bezel_generation g;
    bezel_status status;
    char stream[8192];
    size_t stream_size, n_events, n_progress;
    double progress;
} answer;

static void answer_take(answer *a)
{
    bezel_event e = {.size = (uint32_t)sizeof e};
    while (bezel_job_event(a->job, &e)) {
        if (e.type == BEZEL_EVENT_PROGRESS) {
            ck_assert(e.progress >= a->progress && e.progress <= 1.0);
            ck_assert_uint_eq(a->stream_size, 0);
            a->progress = e.progress;
            ++a->n_progress;
            continue;
        }
        ck_assert_int_eq(e.type, BEZEL_EVENT_TEXT);
        ck_assert_uint_gt(e.text_size, 0);
        ck_assert_msg(bz_utf8_valid(e.text, e.text_size), "an event ends inside a character");
        ck_assert_uint_lt(a->stream_size + e.text_size, sizeof a->stream);
        memcpy(a->stream + a->stream_size, e.text, e.text_size);
        a->stream_size += e.text_size;
        ++a->n_events;
    }
}

static void answer_finish(answer *a)
{
    bezel_error err = BEZEL_ERROR_INIT;
    answer_take(a);
    a->g = (bezel_generation){.size = (uint32_t)sizeof a->g};
    ck_assert_msg(bezel_generation_get(a->job, &a->g, &err) == BEZEL_OK, "%s", err.text);
    ck_assert_uint_eq(a->stream_size, a->g.text_size);
    ck_assert_mem_eq(a->stream, a->g.text, a->stream_size);
}

/* Runs to the end; a->job stays, for the result. */
static void answer_run(answer *a, bezel_session *s, const bezel_generate_options *o)
{
    bezel_error err = BEZEL_ERROR_INIT;
    memset(a, 0, sizeof *a);
    ck_assert_msg(bezel_generate(&a->job, s, o, &err) == BEZEL_OK, "%s", err.text);
    do {
        a->status = bezel_job_step(a->job, -1, &err);
        answer_take(a);
    } while (a->status > 0 && a->status != BEZEL_DONE);
    ck_assert_msg(a->status == BEZEL_DONE, "%s", err.text);
    answer_finish(a);
}

START_TEST(the_events_are_the_text_and_the_text_is_the_ids)
{
    tiny_model t;
    answer a;
    char *text;
    size_t size, n;
    tiny_model_open(&t, BEZEL_ISA_AUTO, 2, NULL);
    bezel_session *s = prompted(&t, CTX, 16);
    const bezel_generate_options o = options_greedy(120);
    answer_run(&a, s, &o);
    ck_assert_uint_eq(a.g.stop_reason, BEZEL_STOP_MAX_TOKENS);
    ck_assert_uint_eq(a.g.n_ids, 120);
    ck_assert_uint_eq(a.g.n_prompt, PROMPT);
    ck_assert_uint_eq(a.g.n_cached, 0);
    ck_assert_int_eq(a.g.stop_index, -1);
    ck_assert(a.progress == 1.0);
    ck_assert_uint_ge(a.n_progress, 3);
    ck_assert(a.g.prompt_us > 0 && a.g.first_token_us >= a.g.prompt_us && a.g.total_us >= a.g.first_token_us);
    const int32_t *ids = bezel_session_ids(s, &n);
    ck_assert_uint_eq(n, PROMPT + 120);
    ck_assert_mem_eq(ids + PROMPT, a.g.ids, 120 * sizeof *ids);
    ck_assert_int_eq(bezel_detokenize(&text, &size, t.model, a.g.ids, a.g.n_ids, 0, NULL), BEZEL_OK);
    if (bz_utf8_valid(text, size)) { /* else the stream holds U+FFFD where the bytes are none */
        ck_assert_uint_eq(size, a.g.text_size);
        ck_assert_mem_eq(text, a.g.text, size);
    }
    bezel_text_free(t.engine, text);
    bezel_job_free(a.job);
    bezel_session_free(s);
    tiny_model_close(&t);
}
END_TEST

START_TEST(every_stop_string_cuts_at_its_first_place)
{
    tiny_model t;
    answer whole, cut;
    size_t tried = 0;
    tiny_model_open(&t, BEZEL_ISA_AUTO, 1, NULL);
    bezel_session *s = prompted(&t, CTX, 0);
    bezel_generate_options o = options_greedy(24);
    answer_run(&whole, s, &o);
    for (size_t begin = 0; begin < whole.g.text_size; ++begin) {
        for (size_t length = 1; length <= 9 && begin + length <= whole.g.text_size; ++length) {
            char stop[10] = {0};
            const char *const stops[2] = {"\x01never", stop};
            memcpy(stop, whole.g.text + begin, length);
            if (!bz_utf8_valid(stop, length) || strlen(stop) != length)
                continue;
            const char *first = strstr(whole.g.text, stop);
            o.stops = stops;
            o.n_stops = 2;
            ck_assert_int_eq(bezel_session_rewind(s, PROMPT, NULL), BEZEL_OK);
            answer_run(&cut, s, &o);
            ck_assert_msg(cut.g.stop_reason == BEZEL_STOP_STRING && cut.g.stop_index == 1, "at %zu, %zu bytes", begin,
                          length);
            ck_assert_uint_eq(cut.g.text_size, (size_t)(first - whole.g.text));
            ck_assert_mem_eq(cut.g.text, whole.g.text, cut.g.text_size);
            ck_assert_mem_eq(cut.g.ids, whole.g.ids, cut.g.n_ids * sizeof *cut.g.ids);
            bezel_job_free(cut.job);
            ++tried;
        }
    }
    ck_assert_uint_gt(tried, 100);
    bezel_job_free(whole.job);
    bezel_session_free(s);
    tiny_model_close(&t);
}
END_TEST

START_TEST(text_held_for_a_stop_string_is_released_at_the_end)
{
    tiny_model t;
    answer whole, a;
    char stop[64];
    const char *const stops[1] = {stop};
    tiny_model_open(&t, BEZEL_ISA_AUTO, 1, NULL);
    bezel_session *s = prompted(&t, CTX, 0);
    bezel_generate_options o = options_greedy(10);
    answer_run(&whole, s, &o);
    ck_assert_uint_gt(whole.g.text_size, 4);
    ck_assert_uint_lt(whole.g.text_size, 60);
    memcpy(stop, whole.g.text, whole.g.text_size); /* the whole text and one byte more: held to the very end */
    memcpy(stop + whole.g.text_size, "\x01", 2);
    o.stops = stops;
    o.n_stops = 1;
    ck_assert_int_eq(bezel_session_rewind(s, PROMPT, NULL), BEZEL_OK);
    answer_run(&a, s, &o);
    ck_assert_uint_eq(a.g.stop_reason, BEZEL_STOP_MAX_TOKENS);
    ck_assert_uint_eq(a.g.text_size, whole.g.text_size);
    ck_assert_uint_eq(a.n_events, 1);
    bezel_job_free(a.job);
    bezel_job_free(whole.job);
    bezel_session_free(s);
    tiny_model_close(&t);
}
END_TEST

START_TEST(the_end_token_is_not_in_ids_text_or_timeline)
{
    const bezel_logit_bias end[1] = {{1, 1e6F}};
    tiny_model t;
    answer a;
    size_t n;
    tiny_model_open(&t, BEZEL_ISA_AUTO, 1, NULL);
    bezel_session *s = prompted(&t, CTX, 0);
    bezel_generate_options o = options_greedy(10);
    o.sampling.bias = end;
    o.sampling.n_bias = 1;
    answer_run(&a, s, &o);
    ck_assert_uint_eq(a.g.stop_reason, BEZEL_STOP_EOS);
    ck_assert_uint_eq(a.g.n_ids, 0);
    ck_assert_uint_eq(a.g.text_size, 0);
    ck_assert_str_eq(a.g.text, "");
    (void)bezel_session_ids(s, &n);
    ck_assert_uint_eq(n, PROMPT);
    bezel_job_free(a.job);
    bezel_session_free(s);
    tiny_model_close(&t);
}
END_TEST

START_TEST(a_full_context_ends_the_answer_and_the_timeline_is_full)
{
    tiny_model t;
    answer a;
    size_t n;
    tiny_model_open(&t, BEZEL_ISA_AUTO, 1, NULL);
    bezel_session *s = prompted(&t, PROMPT + 5, 0);
    bezel_generate_options o = options_greedy(100);
    o.n_logprobs = 2;
    answer_run(&a, s, &o);
    ck_assert_uint_eq(a.g.stop_reason, BEZEL_STOP_CONTEXT);
    ck_assert_uint_eq(a.g.n_ids, 5);
    (void)bezel_session_ids(s, &n);
    ck_assert_uint_eq(n, PROMPT + 5);
    bezel_job_free(a.job);
    answer_run(&a, s, &o); /* already full: nothing fits */
    ck_assert_uint_eq(a.g.stop_reason, BEZEL_STOP_CONTEXT);
    ck_assert_uint_eq(a.g.n_ids, 0);
    bezel_job_free(a.job);
    bezel_session_free(s);
    tiny_model_close(&t);
}
END_TEST

START_TEST(no_tokens_asked_for_only_computes_the_prompt)
{
    tiny_model t;
    answer a;
    tiny_model_open(&t, BEZEL_ISA_AUTO, 1, NULL);
    bezel_session *s = prompted(&t, CTX, 0);
    const bezel_generate_options o = options_greedy(0);
    answer_run(&a, s, &o);
    ck_assert_uint_eq(a.g.stop_reason, BEZEL_STOP_MAX_TOKENS);
    ck_assert_uint_eq(a.g.n_ids, 0);
    ck_assert_uint_eq(bezel_session_cached(s), PROMPT);
    bezel_job_free(a.job);
    bezel_session_free(s);
    tiny_model_close(&t);
}
END_TEST

START_TEST(threads_chunks_and_seeds_give_the_same_draws)
{
    const uint32_t chunks[] = {1, 7, 32, 128};
    int32_t first[60];
    for (uint32_t i = 0; i < 8; ++i) {
        tiny_model t;
        answer a;
        tiny_model_open(&t, BEZEL_ISA_AUTO, 1 + i % 3, NULL);
        bezel_session *s = prompted(&t, CTX, chunks[i % 4]);
        bezel_generate_options o = options_greedy(60);
        bezel_sampling_init(&o.sampling);
        o.sampling.seed = 11;
        o.sampling.bias = no_end;
        o.sampling.n_bias = 2;
        answer_run(&a, s, &o);
        if (i == 0)
            memcpy(first, a.g.ids, sizeof first);
        ck_assert_mem_eq(first, a.g.ids, sizeof first);
        bezel_job_free(a.job);
        bezel_session_free(s);
        tiny_model_close(&t);
    }
}
END_TEST

START_TEST(a_cancel_at_any_unit_keeps_what_there_is)
{
    tiny_model t;
    answer whole, a, rest;
    tiny_model_open(&t, BEZEL_ISA_AUTO, 1, NULL);
    bezel_session *s = prompted(&t, CTX, 16);
    bezel_generate_options o = options_greedy(12);
    answer_run(&whole, s, &o);
    for (size_t units = 0;; units += 3) {
        bezel_error err = BEZEL_ERROR_INIT;
        size_t done = 0;
        ck_assert_int_eq(bezel_session_set(s, NULL, 0, NULL), BEZEL_OK);
        bezel_session_free(s);
        s = prompted(&t, CTX, 16);
        memset(&a, 0, sizeof a);
        ck_assert_int_eq(bezel_generate(&a.job, s, &o, &err), BEZEL_OK);
        while (done < units && a.status != BEZEL_DONE) {
            a.status = bezel_job_step(a.job, 0, &err);
            answer_take(&a);
            ++done;
        }
        if (a.status == BEZEL_DONE) {
            bezel_job_free(a.job);
            break;
        }
        bezel_job_cancel(a.job);
        do {
            a.status = bezel_job_step(a.job, -1, &err);
            answer_take(&a);
        } while (a.status > 0 && a.status != BEZEL_DONE);
        ck_assert_int_eq(a.status, BEZEL_ERR_CANCELLED);
        answer_finish(&a);
        ck_assert_uint_eq(a.g.stop_reason, BEZEL_STOP_CANCELLED);
        ck_assert_mem_eq(a.g.ids, whole.g.ids, a.g.n_ids * sizeof *a.g.ids);
        const size_t had = a.g.n_ids;
        bezel_job_free(a.job);
        o.max_tokens = (uint32_t)(12 - had);
        answer_run(&rest, s, &o); /* and goes on as if nothing had been */
        ck_assert_mem_eq(rest.g.ids, whole.g.ids + had, (12 - had) * sizeof *rest.g.ids);
        bezel_job_free(rest.job);
        o.max_tokens = 12;
    }
    bezel_job_free(whole.job);
    bezel_session_free(s);
    tiny_model_close(&t);
}
END_TEST

START_TEST(a_session_is_busy_until_its_generation_ends)
{
    tiny_model t;
    bezel_job *job, *second = NULL;
    bezel_session *fork = NULL;
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_generation g = {.size = (uint32_t)sizeof g};
    const int32_t id = 20;
    size_t n;
    tiny_model_open(&t, BEZEL_ISA_AUTO, 1, NULL);
    bezel_session *s = prompted(&t, CTX, 0);
    ck_assert_int_eq(bezel_generate(&job, s, NULL, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_generate(&second, s, NULL, &err), BEZEL_ERR_BUSY);
    ck_assert_int_eq(bezel_session_append(s, &id, 1, &err), BEZEL_ERR_BUSY);
    ck_assert_int_eq(bezel_session_set(s, &id, 1, &err), BEZEL_ERR_BUSY);
    ck_assert_int_eq(bezel_session_rewind(s, 0, &err), BEZEL_ERR_BUSY);
    ck_assert_int_eq(bezel_session_fork(&fork, s, &err), BEZEL_ERR_BUSY);
    ck_assert_int_eq(bezel_session_save(s, "/tmp/x", &err), BEZEL_ERR_BUSY);
    ck_assert_int_eq(bezel_session_load(s, "/tmp/x", &err), BEZEL_ERR_BUSY);
    ck_assert_ptr_null(bezel_session_ids(s, &n));
    ck_assert_int_eq(bezel_generation_get(job, &g, &err), BEZEL_ERR_BUSY);
    g.size = 0;
    ck_assert_int_eq(bezel_generation_get(job, &g, &err), BEZEL_ERR_ARGUMENT);
    bezel_job_free(job);
    ck_assert_int_eq(bezel_session_append(s, &id, 1, &err), BEZEL_OK);
    bezel_session_free(s);
    tiny_model_close(&t);
}
END_TEST

START_TEST(the_worker_gives_the_same_answer)
{
    tiny_model t;
    answer a, b = {.job = NULL};
    bezel_error err = BEZEL_ERROR_INIT;
    tiny_model_open(&t, BEZEL_ISA_AUTO, 2, NULL);
    bezel_session *s = prompted(&t, CTX, 16);
    const bezel_generate_options o = options_greedy(50);
    answer_run(&a, s, &o);
    ck_assert_int_eq(bezel_session_rewind(s, PROMPT, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_generate(&b.job, s, &o, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_job_start(b.job, &err), BEZEL_OK);
    do {
        b.status = bezel_job_wait(b.job, 10000, &err);
        answer_take(&b);
    } while (b.status > 0 && b.status != BEZEL_DONE);
    ck_assert_int_eq(b.status, BEZEL_DONE);
    answer_finish(&b);
    ck_assert_mem_eq(a.g.ids, b.g.ids, 50 * sizeof *a.g.ids);
    ck_assert_uint_eq(b.g.n_cached, PROMPT - 1);
    bezel_job_free(a.job);
    bezel_job_free(b.job);
    bezel_session_free(s);
    tiny_model_close(&t);
}
END_TEST

static void refuse(bezel_session *s, const bezel_generate_options *o, bezel_status expected, const char *word)
{
    bezel_job *job = NULL;
    bezel_error err = BEZEL_ERROR_INIT;
    const bezel_status status = bezel_generate(&job, s, o, &err);
    ck_assert_msg(status == expected, "%s: %s", word, bezel_status_name(status));
    ck_assert_msg(strstr(err.text, word) != NULL, "\"%s\" does not name %s", err.text, word);
    ck_assert_ptr_null(job);
}

START_TEST(wrong_options_are_refused_by_name_and_the_session_stays_free)
{
    tiny_model t;
    tiny_model_open(&t, BEZEL_ISA_AUTO, 1, NULL);
    bezel_session *s = prompted(&t, CTX, 0);
    const char *const none[1] = {NULL}, *const bytes[1] = {"\xff"}, *const empty[1] = {""};
    bezel_generate_options o = options_greedy((uint32_t)-1);
    refuse(s, &o, BEZEL_ERR_RANGE, "max_tokens");
    o = options_greedy(1);
    o.n_logprobs = 65;
    refuse(s, &o, BEZEL_ERR_RANGE, "n_logprobs");
    o = options_greedy(1);
    o.sampling.top_k = (uint32_t)-5;
    refuse(s, &o, BEZEL_ERR_RANGE, "top_k");
    o = options_greedy(1);
    o.sampling.temperature = NAN;
    refuse(s, &o, BEZEL_ERR_RANGE, "temperature");
    o = options_greedy(1);
    o.sampling.top_p = 1.0001F;
    refuse(s, &o, BEZEL_ERR_RANGE, "top_p");
    o = options_greedy(1);
    o.n_stops = 1;
    refuse(s, &o, BEZEL_ERR_ARGUMENT, "stops");
    o.stops = none;
    refuse(s, &o, BEZEL_ERR_ARGUMENT, "stop string 0");
    o.stops = bytes;
    refuse(s, &o, BEZEL_ERR_ARGUMENT, "UTF-8");
    o.stops = empty;
    refuse(s, &o, BEZEL_ERR_ARGUMENT, "");
    ck_assert_int_eq(bezel_session_set(s, NULL, 0, NULL), BEZEL_OK);
    refuse(s, NULL, BEZEL_ERR_ARGUMENT, "empty");
    bezel_session_free(s);
    tiny_model_close(&t);
}
END_TEST

/* --- Scoring ------------------------------------------------------------------------------ */

typedef struct score_log {
    size_t n;
    float logprob[200];
    int32_t ids[200];
    int32_t top[200];
    double mass[200]; /* of all alternatives */
    bezel_session *session;
    size_t stop_at;
} score_log;

static bezel_status score_note(void *ud, size_t position, int32_t id, float logprob, const int32_t *top_ids,
                               const float *top_logprobs, uint32_t n_top)
{
    score_log *l = ud;
    ck_assert_uint_eq(position, l->n);
    ck_assert_int_eq(bezel_session_rewind(l->session, 0, NULL), BEZEL_ERR_BUSY);
    if (position == l->stop_at)
        return BEZEL_ERR_LIMIT;
    l->ids[position] = id;
    l->logprob[position] = logprob;
    l->top[position] = n_top > 0 ? top_ids[0] : -1;
    l->mass[position] = 0;
    for (uint32_t i = 0; i < n_top; ++i) {
        l->mass[position] += exp((double)top_logprobs[i]);
        ck_assert(i == 0 || top_logprobs[i - 1] >= top_logprobs[i]);
    }
    ++l->n;
    return BEZEL_OK;
}

START_TEST(scores_are_log_probabilities_and_those_of_the_generation)
{
    tiny_model t;
    answer a;
    bezel_error err = BEZEL_ERROR_INIT;
    int32_t ids[100];
    size_t n;
    tiny_model_open(&t, BEZEL_ISA_AUTO, 2, NULL);
    bezel_session *s = prompted(&t, CTX, 0);
    bezel_generate_options o = options_greedy(60);
    bezel_sampling_init(&o.sampling); /* temperature and top-k must not reach the log-probabilities */
    o.sampling.temperature = 2.0F;
    o.sampling.repetition_penalty = 1.3F;
    o.sampling.seed = 3;
    o.sampling.bias = no_end;
    o.sampling.n_bias = 2;
    o.n_logprobs = 5;
    answer_run(&a, s, &o);
    ck_assert_uint_eq(a.g.n_top, 5);
    memcpy(ids, bezel_session_ids(s, &n), 100 * sizeof *ids);
    score_log l = {.session = s, .stop_at = SIZE_MAX};
    ck_assert_msg(bezel_score(s, ids, 100, 384, score_note, &l, &err) == BEZEL_OK, "%s", err.text);
    ck_assert_uint_eq(l.n, 100);
    ck_assert(isnan(l.logprob[0]));
    for (size_t i = 0; i < 100; ++i) {
        ck_assert_int_eq(l.ids[i], ids[i]);
        ck_assert_double_eq_tol(l.mass[i], 1.0, 1e-4);
    }
    for (size_t i = 0; i < 60; ++i) {
        ck_assert(a.g.logprobs[i] == l.logprob[PROMPT + i]);
        ck_assert_int_eq(a.g.top_ids[i * 5], l.top[PROMPT + i - 1]);
    }
    bezel_job_free(a.job);
    bezel_session_free(s);
    tiny_model_close(&t);
}
END_TEST

/* With what came before in the cache, after another end, and with nothing there: the very same numbers. */
START_TEST(the_end_of_a_text_scores_as_in_the_whole)
{
    static const size_t froms[] = {0, 1, 5, 16, 17, 33, 70, 71, 99};
    tiny_model t;
    bezel_error err = BEZEL_ERROR_INIT;
    int32_t ids[100];
    tiny_model_open(&t, BEZEL_ISA_AUTO, 2, NULL);
    bezel_session *s = tiny_model_session(&t, CTX, 32, 0), *other = tiny_model_session(&t, CTX, 32, 0);
    tiny_model_ids(ids, 100, 6);
    score_log whole = {.session = s, .stop_at = SIZE_MAX}, l;
    ck_assert_int_eq(bezel_score(s, ids, 100, 3, score_note, &whole, &err), BEZEL_OK);
    for (size_t i = 0; i < 2 * sizeof froms / sizeof *froms; ++i) {
        const size_t from = froms[i / 2];
        l = (score_log){.session = i % 2 ? s : other, .stop_at = SIZE_MAX, .n = from};
        if (i % 2 == 0)
            ck_assert_int_eq(bezel_session_set(other, NULL, 0, &err), BEZEL_OK);
        ck_assert_msg(bezel_score_from(l.session, ids, 100, from, 3, score_note, &l, &err) == BEZEL_OK, "%s", err.text);
        ck_assert_uint_eq(l.n, 100);
        for (size_t k = from > 0 ? from : 1; k < 100; ++k) {
            ck_assert_msg(l.logprob[k] == whole.logprob[k], "from %zu, position %zu", from, k);
            ck_assert_int_eq(l.top[k], whole.top[k]);
        }
    }
    l = (score_log){.session = s, .stop_at = SIZE_MAX};
    ck_assert_int_eq(bezel_score_from(s, ids, 100, 100, 3, score_note, &l, &err), BEZEL_ERR_RANGE);
    bezel_session_free(s);
    bezel_session_free(other);
    tiny_model_close(&t);
}
END_TEST

START_TEST(a_failing_score_callback_ends_it_and_the_session_goes_on)
{
    tiny_model t;
    bezel_error err = BEZEL_ERROR_INIT;
    int32_t ids[100], mine[5], fresh[5];
    tiny_model_open(&t, BEZEL_ISA_AUTO, 1, NULL);
    bezel_session *s = tiny_model_session(&t, CTX, 32, 0);
    tiny_model_ids(ids, 100, 6);
    score_log l = {.session = s, .stop_at = 40};
    ck_assert_int_eq(bezel_score(s, ids, 100, 1, score_note, &l, &err), BEZEL_ERR_CALLBACK);
    ck_assert_uint_eq(tiny_model_greedy(mine, s, 5), 5);
    l = (score_log){.session = s, .stop_at = SIZE_MAX};
    ck_assert_int_eq(bezel_score(s, ids, 100, 1025, score_note, &l, &err), BEZEL_ERR_RANGE);
    ck_assert_int_eq(bezel_score(s, ids, CTX + 1, 1, score_note, &l, &err), BEZEL_ERR_FULL);
    ck_assert_int_eq(bezel_score(s, ids, 0, 1, score_note, &l, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_score(s, ids, 100, 0, score_note, &l, &err), BEZEL_OK);
    ck_assert_uint_eq(tiny_model_greedy(fresh, s, 5), 5);
    ck_assert_mem_eq(mine, fresh, sizeof mine);
    bezel_session_free(s);
    tiny_model_close(&t);
}
END_TEST

/* --- Memory ------------------------------------------------------------------------------- */

static bezel_status generate_once(bezel_session *s, const bezel_generate_options *o, bezel_error *err)
{
    bezel_job *job = NULL;
    bezel_status status = bezel_generate(&job, s, o, err);
    if (status != BEZEL_OK)
        return status;
    status = tiny_model_drive(job, err);
    bezel_job_free(job);
    return status;
}

START_TEST(a_failing_allocation_in_an_answer_leaves_a_usable_session)
{
    const char *const stops[1] = {"\x01never"};
    tiny_model t;
    test_world tw;
    answer whole;
    test_world_init(&tw);
    tiny_model_open(&t, BEZEL_ISA_AUTO, 1, &tw.world);
    bezel_session *s = prompted(&t, CTX, 16);
    bezel_generate_options o = options_greedy(20);
    o.stops = stops;
    o.n_stops = 1;
    o.n_logprobs = 3;
    answer_run(&whole, s, &o);
    const int64_t bytes = tw.bytes;
    for (long n = 1;; ++n) {
        bezel_error err = BEZEL_ERROR_INIT;
        size_t count;
        ck_assert_int_eq(bezel_session_rewind(s, PROMPT, &err), BEZEL_OK);
        test_world_arm(&tw, n, 0);
        const bezel_status status = generate_once(s, &o, &err);
        const int failed = tw.n_failed;
        test_world_arm(&tw, 0, 0);
        ck_assert_int_eq(tw.bytes, bytes);
        const int32_t *ids = bezel_session_ids(s, &count);
        ck_assert_mem_eq(ids + PROMPT, whole.g.ids, (count - PROMPT) * sizeof *ids);
        if (failed == 0) {
            ck_assert_msg(status == BEZEL_DONE, "%s", err.text);
            ck_assert_int_gt(n, 10);
            break;
        }
        ck_assert_msg(status == BEZEL_ERR_MEMORY, "allocation %ld: %s", n, bezel_status_name(status));
    }
    score_log l = {.session = s, .stop_at = SIZE_MAX};
    int32_t ids[30];
    tiny_model_ids(ids, 30, 7);
    for (long n = 1;; ++n) {
        l.n = 0;
        test_world_arm(&tw, n, 0);
        const bezel_status status = bezel_score(s, ids, 30, 3, score_note, &l, NULL);
        const int failed = tw.n_failed;
        test_world_arm(&tw, 0, 0);
        ck_assert_int_eq(tw.bytes, bytes);
        if (failed == 0)
            break;
        ck_assert_int_eq(status, BEZEL_ERR_MEMORY);
    }
    bezel_job_free(whole.job);
    bezel_session_free(s);
    tiny_model_close(&t);
    ck_assert(test_world_is_clean(&tw));
}
END_TEST

Suite *generate_suite(void)
{
    Suite *s = suite_create("generate");
    TCase *t = tcase_create("generate");
    tcase_set_timeout(t, 600);
    tcase_add_test(t, the_events_are_the_text_and_the_text_is_the_ids);
    tcase_add_test(t, every_stop_string_cuts_at_its_first_place);
    tcase_add_test(t, text_held_for_a_stop_string_is_released_at_the_end);
    tcase_add_test(t, the_end_token_is_not_in_ids_text_or_timeline);
    tcase_add_test(t, a_full_context_ends_the_answer_and_the_timeline_is_full);
    tcase_add_test(t, no_tokens_asked_for_only_computes_the_prompt);
    tcase_add_test(t, threads_chunks_and_seeds_give_the_same_draws);
    tcase_add_test(t, a_cancel_at_any_unit_keeps_what_there_is);
    tcase_add_test(t, a_session_is_busy_until_its_generation_ends);
    tcase_add_test(t, the_worker_gives_the_same_answer);
    tcase_add_test(t, wrong_options_are_refused_by_name_and_the_session_stays_free);
    tcase_add_test(t, scores_are_log_probabilities_and_those_of_the_generation);
    tcase_add_test(t, the_end_of_a_text_scores_as_in_the_whole);
    tcase_add_test(t, a_failing_score_callback_ends_it_and_the_session_goes_on);
    tcase_add_test(t, a_failing_allocation_in_an_answer_leaves_a_usable_session);
    suite_add_tcase(s, t);
    return s;
}
