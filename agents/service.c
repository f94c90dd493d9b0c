/* SPDX-License-Identifier: MIT */
/* One request through the guard, the model and the guard again (R25). Invariants: nothing reaches the model that the guard has not
 * seen, nothing the user that it has not let go; each request ends in one answer and one record, however it ends. Knows no words:
 * what is allowed is the guard's. */
#include <bezel/service.h>

#include "monitor_impl.h"

#include "base/alloc.h"
#include "base/log.h"
#include "base/options.h"
#include "base/status.h"
#include "base/strbuf.h"
#include "base/utf8.h"

#include <math.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define SERVICE_MAX_TOKENS 1024u
#define SERVICE_USER_SHOWN 8 /* characters of a user's id in the log (R24) */
enum { SERVICE_DECISIONS = 8 };

enum { SERVICE_IDLE, SERVICE_RUNS, SERVICE_ENDS, SERVICE_OVER }; /* ENDS: the answer is known, its record is not written */

struct bezel_service {
    const bezel_world *world;
    bezel_engine *engine;
    bezel_model *model;
    bezel_service_options options;
    bezel_guard *guard, *own_guard;
    bezel_journal journal; /* write NULL: nobody */
    bezel_session *session;
    uint8_t key[32];
    char *conversation;

    /* the request */
    int state;
    atomic_int cancelled;
    bezel_job *job;
    bezel_guard_stream *stream;
    bz_strbuf given, piece; /* all that may go out, and of it what nobody took yet */
    bz_strbuf words;        /* sentence of an error */
    char *user;
    char *input;            /* the messages as the model got them, each on a line */
    bezel_journal_message *messages; /* of the journal, [n_messages] */
    size_t n_messages;
    bezel_service_answer answer;
    bezel_monitor_request row;
    bezel_monitor_decision decisions[SERVICE_DECISIONS];
    char rules[SERVICE_DECISIONS][64];
    uint32_t n_decisions;
    bezel_journal_usage usage;
    int has_usage;
    int64_t started_ns;
    char span[33], hash[17];
};

void bezel_service_options_init(bezel_service_options *out)
{
    memset(out, 0, sizeof *out);
    out->size = sizeof *out;
    bezel_session_options_init(&out->session);
    bezel_generate_options_init(&out->generate);
    bezel_sampling_service(&out->generate.sampling);
}

/* --- Making ------------------------------------------------------------------------------- */

static bezel_status service_fill(bezel_service *s, bezel_error *err)
{
    const bezel_service_options *o = &s->options;
    bezel_status st = BEZEL_OK;
    if (o->journal != NULL && (o->journal->size != sizeof s->journal || o->journal->write == NULL))
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "service", "the journal has a wrong size or no write function");
    if (o->journal != NULL)
        s->journal = *o->journal;
    if (s->options.profile == NULL)
        s->options.profile = bezel_profile_of(s->model);
    if (s->options.profile == NULL)
        return bz_fail(err, BEZEL_ERR_MISSING, "service", "no profile says how to talk to this model");
    if (o->hash_key != NULL)
        memcpy(s->key, o->hash_key, sizeof s->key);
    else if (s->world->random(s->world->ud, s->key, sizeof s->key) != BEZEL_OK)
        return bz_fail(err, BEZEL_ERR_IO, "service", "the random source of the world failed while making a key");
    if (o->conversation != NULL) {
        s->conversation = bz_text_dup(s->world, o->conversation, SIZE_MAX);
        if (s->conversation == NULL)
            return bz_fail_memory(err, "service", "an option", strlen(o->conversation));
    }
    s->guard = o->guard;
    if (s->guard == NULL)
        st = bezel_guard_new(&s->own_guard, s->engine, NULL, err);
    if (s->guard == NULL)
        s->guard = s->own_guard;
    return st == BEZEL_OK ? bezel_session_new(&s->session, s->model, &o->session, err) : st;
}

bezel_status bezel_service_new(bezel_service **out, bezel_model *model, const bezel_service_options *options, bezel_error *err)
{
    bezel_service_options o;
    *out = NULL;
    if (model == NULL)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "service", "bezel_service_new needs a model");
    bezel_service_options_init(&o);
    bezel_status st = bz_options_read(&o, sizeof o, options, "service", err);
    if (st != BEZEL_OK)
        return st;
    const bezel_world *w = bezel_engine_world(bezel_model_engine(model));
    bezel_service *s = bz_zalloc(w, sizeof *s);
    if (s == NULL)
        return bz_fail_memory(err, "service", "a service", sizeof *s);
    s->world = w;
    s->engine = bezel_model_engine(model);
    s->model = model;
    s->options = o;
    if (s->options.generate.max_tokens > SERVICE_MAX_TOKENS)
        s->options.generate.max_tokens = SERVICE_MAX_TOKENS;
    atomic_init(&s->cancelled, 0);
    bz_strbuf_init(&s->given, w, 0);
    bz_strbuf_init(&s->piece, w, 0);
    bz_strbuf_init(&s->words, w, 0);
    st = service_fill(s, err);
    s->options.journal = NULL;
    s->options.conversation = NULL;
    s->options.hash_key = NULL;
    if (st != BEZEL_OK) {
        bezel_service_free(s);
        return st;
    }
    *out = s;
    return BEZEL_OK;
}

/* Drops what the last request had. */
static void service_clear(bezel_service *s)
{
    bezel_job_free(s->job);
    bezel_guard_stream_free(s->stream);
    bz_free(s->world, s->user);
    bz_free(s->world, s->input);
    bz_free(s->world, s->messages);
    s->job = NULL;
    s->stream = NULL;
    s->user = s->input = NULL;
    s->messages = NULL;
    s->n_messages = 0;
    s->n_decisions = 0;
    s->has_usage = 0;
    bz_strbuf_reset(&s->given);
    bz_strbuf_reset(&s->piece);
    bz_strbuf_reset(&s->words);
}

void bezel_service_free(bezel_service *s)
{
    if (s == NULL)
        return;
    if (s->state == SERVICE_RUNS || s->state == SERVICE_ENDS) {
        bezel_service_cancel(s);
        while (s->state != SERVICE_OVER)
            bezel_service_step(s, -1, NULL);
    }
    service_clear(s);
    bz_strbuf_free(&s->given);
    bz_strbuf_free(&s->piece);
    bz_strbuf_free(&s->words);
    bezel_session_free(s->session);
    bezel_guard_free(s->own_guard);
    bz_free(s->world, s->conversation);
    bz_free(s->world, s);
}

/* --- Decisions and the end ---------------------------------------------------------------- */

static void service_decide(bezel_service *s, const char *kind, const char *outcome, const char *rule)
{
    if (s->n_decisions == SERVICE_DECISIONS)
        return;
    const uint32_t i = s->n_decisions++;
    snprintf(s->rules[i], sizeof s->rules[i], "%s", rule != NULL ? rule : "");
    s->decisions[i] = (bezel_monitor_decision){.at_us = (s->world->monotonic_ns(s->world->ud) - s->started_ns) / 1000,
                                               .kind = kind,
                                               .outcome = outcome,
                                               .rule = s->rules[i][0] ? s->rules[i] : NULL};
}

/* The request ends with an error code; text is for the user. */
static void service_refuse(bezel_service *s, const char *code, const char *text)
{
    bz_strbuf_reset(&s->words);
    bz_strbuf_text(&s->words, text);
    s->answer.is_success = 0;
    s->answer.error_code = code;
    s->answer.error = s->words.status == BEZEL_OK && s->words.size ? bz_strbuf_cstr(&s->words) : code;
    s->state = SERVICE_ENDS;
}

static bezel_status service_journal(bezel_service *s, bezel_error *err)
{
    if (s->journal.write == NULL || !s->has_usage)
        return BEZEL_OK;
    const bezel_service_answer *a = &s->answer;
    s->messages[s->n_messages] = (bezel_journal_message){BEZEL_ROLE_ASSISTANT, 0, bz_strbuf_cstr(&s->given), s->given.size};
    const bezel_journal_turn turn = {.size = sizeof turn,
                                     .n_messages = s->conversation != NULL ? (uint32_t)s->n_messages + 1 : 0,
                                     .conversation = s->conversation,
                                     .user = s->user,
                                     .model = bezel_model_name(s->model),
                                     .error = a->error,
                                     .started_ms = s->row.at_ms,
                                     .duration_us = s->usage.total_us,
                                     .messages = s->messages,
                                     .usages = &s->usage,
                                     .n_usages = 1,
                                     .withdrawn = !a->is_success,
                                     .status = a->error_code,
                                     .span = s->span};
    const bezel_status st = s->journal.write(s->journal.ud, &turn, err);
    return st > 0 ? BEZEL_OK : st;
}

static bezel_status service_monitor(bezel_service *s, bezel_error *err)
{
    bezel_monitor *m = s->options.monitor;
    if (m == NULL)
        return BEZEL_OK;
    bezel_monitor_request *r = &s->row;
    r->is_success = s->answer.is_success;
    r->first_token_us = s->usage.first_token_us;
    r->n_prompt = s->answer.n_prompt;
    r->n_cached = s->answer.n_cached;
    r->n_generated = s->answer.tokens_used;
    r->model = bezel_model_name(s->model);
    r->user = s->user;
    r->conversation = s->conversation;
    r->stop_reason = s->has_usage ? bezel_stop_name(s->answer.stop_reason) : NULL;
    r->code = s->answer.error_code;
    r->error = s->answer.error;
    r->span = s->span;
    r->input_hash = s->hash;
    bezel_monitor_measure(r, m);
    const bezel_monitor_record record = {
        .size = sizeof record, .request = r, .n_decisions = s->n_decisions, .decisions = s->decisions};
    const bezel_status st = bezel_monitor_add(m, &record, err);
    const bezel_journal_message *last = s->n_messages ? &s->messages[s->n_messages - 1] : NULL;
    if (st != BEZEL_OK || !s->answer.is_success || !m->options.score_turns || last == NULL || last->role != BEZEL_ROLE_USER)
        return st;
    char *question = bz_text_dup(s->world, last->text, last->text_size); /* the messages are one text */
    if (question == NULL)
        return bz_fail_memory(err, "service", "a question", last->text_size);
    const bezel_monitor_answer answer = {.size = sizeof answer,
                                         .question = question,
                                         .answer = s->answer.response,
                                         .satisfaction = (double)NAN,
                                         .model = r->model,
                                         .user = s->user,
                                         .span = s->span};
    const bezel_status scored = bezel_monitor_evaluate(NULL, m, &answer, err);
    bz_free(s->world, question);
    return scored;
}

/* Writes the record; the answer stands whatever comes of it. */
static bezel_status service_end(bezel_service *s, bezel_error *err)
{
    bezel_job_free(s->job);
    bezel_guard_stream_free(s->stream);
    s->job = NULL;
    s->stream = NULL;
    s->answer.response = s->answer.is_success ? bz_strbuf_cstr(&s->given) : "";
    s->answer.response_size = s->answer.is_success ? s->given.size : 0;
    s->state = SERVICE_OVER;
    bz_log *log = bz_engine_log(s->engine);
    const char *user = s->user != NULL ? s->user : "";
    size_t n = 0;
    for (int i = 0; i < SERVICE_USER_SHOWN && user[n]; i++) {
        uint32_t cp;
        const size_t bytes = bz_utf8_decode(&cp, user + n, strlen(user + n));
        n += bytes ? bytes : 1;
    }
    bz_log_write(log, BEZEL_LOG_INFO, "service", "request %s of user %.*s: %s", s->hash, (int)n, user,
                 s->answer.is_success ? "answered" : s->answer.error_code);
    bz_log_drain(log);
    const bezel_status kept = service_journal(s, err), st = service_monitor(s, kept == BEZEL_OK ? err : NULL);
    return kept != BEZEL_OK ? kept : st;
}

/* --- Up to the generation ----------------------------------------------------------------- */

static bezel_status service_begin(bezel_service *s, const char *user, bezel_error *err)
{
    uint8_t id[16];
    service_clear(s);
    if (s->world->random(s->world->ud, id, sizeof id) != BEZEL_OK)
        return bz_fail(err, BEZEL_ERR_IO, "service", "the random source of the world failed while making an id");
    for (size_t i = 0; i < sizeof id; i++)
        snprintf(s->span + 2 * i, 3, "%02x", id[i]);
    if (user != NULL) {
        s->user = bz_text_dup(s->world, user, SIZE_MAX);
        if (s->user == NULL)
            return bz_fail_memory(err, "service", "a user", strlen(user));
    }
    s->hash[0] = 0;
    s->answer = (bezel_service_answer){.size = sizeof s->answer, .response = "", .span = s->span, .input_hash = s->hash};
    s->usage = (bezel_journal_usage){0};
    s->started_ns = s->world->monotonic_ns(s->world->ud);
    s->row = (bezel_monitor_request){.size = sizeof s->row,
                                     .at_ms = s->world->wall_ms(s->world->ud),
                                     .duration_us = s->started_ns / 1000,
                                     .operation = "chat"};
    atomic_store(&s->cancelled, 0);
    return BEZEL_OK;
}

/* 16 hexadecimal digits of the messages, so that a log can tell equal ones without their text. */
static void service_hash(bezel_service *s, const bezel_value *messages)
{
    crypto_generichash_state state;
    uint8_t out[16];
    crypto_generichash_init(&state, s->key, sizeof s->key, sizeof out);
    for (size_t i = 0; i < bezel_value_count(messages); i++) {
        const bezel_value *m = bezel_value_at(messages, i);
        const char *const keys[] = {"role", "content"};
        for (int k = 0; k < 2; k++) {
            size_t size;
            const char *text = bezel_value_text(bezel_value_get(m, keys[k]), &size);
            const uint64_t n = size;
            crypto_generichash_update(&state, (const uint8_t *)&n, sizeof n);
            crypto_generichash_update(&state, (const uint8_t *)text, size);
        }
    }
    crypto_generichash_final(&state, out, sizeof out);
    for (size_t i = 0; i < 8; i++)
        snprintf(s->hash + 2 * i, 3, "%02x", out[i]);
}

static int service_rate(bezel_service *s)
{
    bezel_rate rate = {.size = sizeof rate};
    bezel_error why = BEZEL_ERROR_INIT;
    const bezel_status st = bezel_guard_request(&rate, s->guard, s->user, &why);
    service_decide(s, "rate", st == BEZEL_OK ? "allowed" : "denied", st == BEZEL_OK || st == BEZEL_ERR_DENIED ? NULL : bezel_status_name(st));
    if (st == BEZEL_OK)
        return 1;
    s->answer.retry_ms = rate.reset_ms;
    service_refuse(s, "RATE_LIMIT_EXCEEDED", st == BEZEL_ERR_DENIED ? "too many requests; try again later" : why.text);
    return 0;
}

static int service_validate(bezel_service *s, const bezel_value *messages)
{
    bezel_error why = BEZEL_ERROR_INIT;
    const bezel_status st = bezel_guard_validate(s->guard, messages, &why);
    service_decide(s, "validate", st == BEZEL_OK ? "allowed" : "denied", st == BEZEL_OK ? NULL : bezel_status_name(st));
    if (st != BEZEL_OK)
        service_refuse(s, "VALIDATION_ERROR", why.text);
    return st == BEZEL_OK;
}

/* Messages as the guard leaves them; a line each in s->input. 0 when the request is over. */
static int service_clean(bezel_service *s, bezel_message *list, size_t n)
{
    bezel_clean clean = {.size = sizeof clean};
    bezel_error why = BEZEL_ERROR_INIT;
    bz_strbuf all;
    const bezel_status st = bezel_guard_clean_messages(&clean, s->guard, list, n, &why);
    if (st != BEZEL_OK) {
        service_decide(s, "clean", "denied", bezel_status_name(st));
        service_refuse(s, "VALIDATION_ERROR", why.text);
        return 0;
    }
    service_decide(s, "clean", clean.n_removed || clean.n_invisible || clean.n_repaired || clean.n_cut ? "changed" : "unchanged",
                   clean.names);
    s->answer.n_removed = clean.n_removed;
    s->answer.n_cut = clean.n_cut;
    bz_strbuf_init(&all, s->world, 0);
    for (size_t i = 0; i < n; i++) {
        s->row.n_input += bz_utf8_count(list[i].text, list[i].text_size);
        bz_strbuf_add(&all, list[i].text, list[i].text_size);
        bz_strbuf_char(&all, '\n');
    }
    size_t size = 0, at = 0;
    s->input = bz_strbuf_take(&all, &size);
    bz_strbuf_free(&all);
    s->messages = bz_zalloc_array(s->world, n + 1, sizeof *s->messages);
    if (s->input == NULL || s->messages == NULL) {
        service_refuse(s, "GENERATION_ERROR", "out of memory");
        return 0;
    }
    for (size_t i = 0; i < n; at += list[i++].text_size + 1) {
        s->messages[s->n_messages] = (bezel_journal_message){list[i].role, 0, s->input + at, list[i].text_size};
        s->n_messages += list[i].role != BEZEL_ROLE_SYSTEM; /* that is no part of a turn */
    }
    return 1;
}

static int service_filter(bezel_service *s)
{
    bezel_verdict verdict = {.size = sizeof verdict};
    bezel_error why = BEZEL_ERROR_INIT;
    const bezel_status st = bezel_guard_check(&verdict, s->guard, BEZEL_GUARD_INPUT, s->input, SIZE_MAX, &why);
    service_decide(s, "input", st == BEZEL_OK ? "allowed" : "denied", verdict.rule);
    if (st != BEZEL_OK)
        service_refuse(s, "CONTENT_FILTERED", st == BEZEL_ERR_DENIED ? "the request has content that is not allowed" : why.text);
    return st == BEZEL_OK;
}

static void service_generate(bezel_service *s, const bezel_message *list, size_t n)
{
    bezel_prompt *prompt = NULL;
    bezel_error why = BEZEL_ERROR_INIT;
    size_t n_ids = 0;
    const char *code = "GENERATION_ERROR";
    bezel_status st = bezel_prompt_render(&prompt, s->model, s->options.profile, list, n, 1, &why);
    if (st == BEZEL_ERR_FORMAT)
        code = "VALIDATION_ERROR";
    if (st == BEZEL_OK) {
        const int32_t *ids = bezel_prompt_ids(prompt, &n_ids);
        s->answer.n_prompt = n_ids;
        st = bezel_session_set(s->session, ids, n_ids, &why);
    }
    if (st == BEZEL_OK)
        st = bezel_guard_stream_new(&s->stream, s->guard, BEZEL_GUARD_OUTPUT, &why);
    if (st == BEZEL_OK)
        st = bezel_generate(&s->job, s->session, &s->options.generate, &why);
    bezel_prompt_free(prompt);
    if (st == BEZEL_OK) {
        s->state = SERVICE_RUNS;
        return;
    }
    service_decide(s, "generate", "failed", bezel_status_name(st));
    service_refuse(s, code, why.text);
}

/* The list of a caller, which the guard has checked, as messages. */
static bezel_message *service_messages(const bezel_service *s, const bezel_value *messages, size_t n)
{
    bezel_message *list = bz_zalloc_array(s->world, n, sizeof *list);
    for (size_t i = 0; list != NULL && i < n; i++) {
        const bezel_value *m = bezel_value_at(messages, i);
        list[i].size = sizeof *list;
        list[i].role = bezel_role_from_name(bezel_value_text(bezel_value_get(m, "role"), NULL));
        list[i].text = bezel_value_text(bezel_value_get(m, "content"), &list[i].text_size);
    }
    return list;
}

bezel_status bezel_service_ask(bezel_service *s, const char *user, const bezel_value *messages, bezel_error *err)
{
    if (s->state == SERVICE_RUNS || s->state == SERVICE_ENDS)
        return bz_fail(err, BEZEL_ERR_BUSY, "service", "a request runs already; step until BEZEL_DONE, or cancel first");
    bezel_status st = service_begin(s, user, err);
    if (st != BEZEL_OK) {
        s->state = SERVICE_IDLE;
        return st;
    }
    service_hash(s, messages);
    if (!service_rate(s) || !service_validate(s, messages))
        return BEZEL_OK;
    const size_t n = bezel_value_count(messages);
    bezel_message *list = service_messages(s, messages, n);
    if (list == NULL)
        service_refuse(s, "GENERATION_ERROR", "out of memory");
    else if (service_clean(s, list, n) && service_filter(s))
        service_generate(s, list, n);
    bz_free(s->world, list);
    return BEZEL_OK;
}

/* --- The generation ----------------------------------------------------------------------- */

/* Gives a piece of the answer to the filter, and what comes out of it to the user. */
static void service_pass(bezel_service *s, const char *text, size_t size, int end)
{
    const char *out;
    size_t out_size;
    bezel_error why = BEZEL_ERROR_INIT;
    const bezel_status st = bezel_guard_stream_add(&out, &out_size, s->stream, text, size, end, &why);
    if (st == BEZEL_OK) {
        while (s->given.size == 0 && out_size && strchr(" \t\r\n", *out) != NULL) /* what a transcript begins with */
            out++, out_size--;
        bz_strbuf_add(&s->given, out, out_size);
        bz_strbuf_add(&s->piece, out, out_size);
        if (s->given.status != BEZEL_OK || s->piece.status != BEZEL_OK)
            service_refuse(s, "GENERATION_ERROR", "out of memory");
        return;
    }
    bezel_verdict verdict = {.size = sizeof verdict};
    bezel_guard_stream_verdict(&verdict, s->stream);
    service_decide(s, "output", "denied", verdict.rule);
    service_refuse(s, "RESPONSE_FILTERED", st == BEZEL_ERR_DENIED ? "the answer has content that is not allowed" : why.text);
}

/* What the generation took, also of one that was broken off. */
static void service_usage(bezel_service *s, const bezel_generation *g)
{
    s->has_usage = 1;
    s->usage.stop_reason = s->answer.stop_reason = g->stop_reason;
    s->usage.n_prompt = g->n_prompt;
    s->usage.n_cached = s->answer.n_cached = g->n_cached;
    s->usage.n_generated = s->answer.tokens_used = g->n_ids;
    s->usage.first_token_us = g->first_token_us;
    s->usage.total_us = g->total_us;
    s->usage.n_forced = g->n_forced;
    s->answer.generation_time = (double)g->total_us / 1e6;
}

static void service_finish(bezel_service *s, bezel_status st, const bezel_error *why)
{
    bezel_generation g = {.size = sizeof g};
    if (s->state == SERVICE_ENDS) { /* the filter ended it */
        bezel_job_cancel(s->job);
        while (bezel_job_step(s->job, -1, NULL) >= BEZEL_OK && bezel_generation_get(s->job, &g, NULL) != BEZEL_OK)
            continue;
    }
    if (bezel_generation_get(s->job, &g, NULL) == BEZEL_OK)
        service_usage(s, &g);
    if (s->state != SERVICE_ENDS && st == BEZEL_DONE)
        service_pass(s, "", 0, 1);
    if (s->state == SERVICE_ENDS) {
        s->usage.error = s->answer.error_code;
        return;
    }
    if (st == BEZEL_DONE) {
        service_decide(s, "output", "allowed", NULL);
        service_decide(s, "generate", "done", NULL);
        s->answer.is_success = 1;
        s->state = SERVICE_ENDS;
        return;
    }
    service_decide(s, "generate", "failed", bezel_status_name(st));
    service_refuse(s, "GENERATION_ERROR", why->text);
    s->usage.error = bezel_status_name(st);
}

static bezel_status service_work(bezel_service *s, int64_t budget_us)
{
    bezel_error why = BEZEL_ERROR_INIT;
    bezel_event event = {.size = sizeof event};
    if (atomic_load(&s->cancelled))
        bezel_job_cancel(s->job);
    const bezel_status st = bezel_job_step(s->job, budget_us, &why);
    while (s->state == SERVICE_RUNS && bezel_job_event(s->job, &event)) {
        if (event.type == BEZEL_EVENT_TEXT)
            service_pass(s, event.text, event.text_size, 0);
    }
    if (s->state == SERVICE_ENDS || st < 0 || st == BEZEL_DONE)
        service_finish(s, st, &why);
    return s->piece.size ? BEZEL_TOKEN : BEZEL_MORE;
}

bezel_status bezel_service_step(bezel_service *s, int64_t budget_us, bezel_error *err)
{
    if (s->state == SERVICE_IDLE)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "service", "no request runs; bezel_service_ask starts one");
    bz_strbuf_reset(&s->piece);
    if (s->state == SERVICE_OVER)
        return BEZEL_DONE;
    if (s->state == SERVICE_RUNS) {
        const bezel_status st = service_work(s, budget_us);
        if (s->state == SERVICE_RUNS || s->piece.size)
            return st; /* the end comes with the next step, after its last text */
    }
    const bezel_status st = service_end(s, err);
    return st == BEZEL_OK ? BEZEL_DONE : st;
}

const char *bezel_service_text(bezel_service *s, size_t *out_size)
{
    if (out_size != NULL)
        *out_size = s->piece.size;
    return bz_strbuf_cstr(&s->piece);
}

bezel_status bezel_service_result(bezel_service_answer *out, const bezel_service *s, bezel_error *err)
{
    if (!bz_struct_sized(out) || s->state != SERVICE_OVER)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "service", "no request is over, or the size of the answer is not set");
    bz_struct_give(out, &s->answer, sizeof s->answer);
    return BEZEL_OK;
}

void bezel_service_cancel(bezel_service *s)
{
    if (s != NULL)
        atomic_store(&s->cancelled, 1);
}

bezel_status bezel_secure_generate(bezel_service_answer *out, bezel_service *s, const char *user, const bezel_value *messages,
                                   bezel_error *err)
{
    bezel_status st = bezel_service_ask(s, user, messages, err);
    while (st >= 0 && st != BEZEL_DONE)
        st = bezel_service_step(s, -1, err);
    return st == BEZEL_DONE ? bezel_service_result(out, s, err) : st;
}

bezel_guard *bezel_service_guard(const bezel_service *s)
{
    return s->guard;
}
