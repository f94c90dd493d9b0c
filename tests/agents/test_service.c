/* SPDX-License-Identifier: MIT */
/* One call through guard and model (R25), private logging (R24), its records. A constraint with one choice makes the small model
 * write what a test needs. */
#include <bezel/service.h>
#include <check.h>
#include <stdio.h>
#include <string.h>

#include "support/test_world.h"
#include "support/tiny_model.h"

static test_world tw;
static bezel_engine *engine;
static bezel_model *model;
static bezel_monitor *monitor;
static bezel_guard *guard;
static bezel_service *service;
static bezel_constraint *form;
static bezel_tree *tree;
static bezel_error err;
static char logged[4096];

typedef struct seen_rows {
    int n, n_turns, n_messages;
    char decisions[512], code[32], user[64], hash[32], turn_status[32];
    int is_success;
    uint64_t n_generated, n_input;
} seen_rows;
static seen_rows seen;

static bezel_status see(void *ud, const bezel_monitor_record *r, bezel_error *e)
{
    (void)ud, (void)e;
    if (r->request == NULL)
        return BEZEL_OK;
    seen.n++;
    seen.decisions[0] = 0;
    for (uint32_t i = 0; i < r->n_decisions; i++) {
        const bezel_monitor_decision *d = &r->decisions[i];
        const size_t at = strlen(seen.decisions);
        snprintf(seen.decisions + at, sizeof seen.decisions - at, "%s%s %s%s%s", i ? "; " : "", d->kind, d->outcome,
                 d->rule ? " " : "", d->rule ? d->rule : "");
    }
    snprintf(seen.code, sizeof seen.code, "%s", r->request->code ? r->request->code : "");
    snprintf(seen.user, sizeof seen.user, "%s", r->request->user ? r->request->user : "");
    snprintf(seen.hash, sizeof seen.hash, "%s", r->request->input_hash ? r->request->input_hash : "");
    seen.is_success = r->request->is_success;
    seen.n_generated = r->request->n_generated;
    seen.n_input = r->request->n_input;
    return BEZEL_OK;
}

static bezel_status see_turn(void *ud, const bezel_journal_turn *turn, bezel_error *e)
{
    (void)ud, (void)e;
    seen.n_turns++;
    seen.n_messages = (int)turn->n_messages;
    snprintf(seen.turn_status, sizeof seen.turn_status, "%s", turn->status ? turn->status : "");
    return BEZEL_OK;
}

static void take_log(void *ud, uint32_t level, const char *origin, const char *text)
{
    const size_t at = strlen(logged);
    (void)ud, (void)level;
    snprintf(logged + at, sizeof logged - at, "%s: %s\n", origin, text);
}

static void service_setup(void)
{
    bezel_engine_options o;
    const bezel_monitor_sink sink = {sizeof sink, 0, NULL, see};
    bezel_monitor_options mo;
    test_world_init(&tw);
    bezel_engine_options_init(&o);
    o.threads = 1;
    o.world = &tw.world;
    o.log = take_log;
    o.log_level = BEZEL_LOG_INFO;
    memset(&seen, 0, sizeof seen);
    err = (bezel_error)BEZEL_ERROR_INIT;
    ck_assert_int_eq(bezel_engine_new(&engine, &o, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_model_open(&model, engine, TINY_MODEL_PATH, NULL, &err), BEZEL_OK);
    bezel_monitor_options_init(&mo);
    mo.sink = &sink;
    ck_assert_int_eq(bezel_monitor_new(&monitor, engine, &mo, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_tree_new(&tree, engine, &err), BEZEL_OK);
    guard = NULL;
    form = NULL;
    service = NULL;
    logged[0] = 0;
}

static void service_teardown(void)
{
    bezel_service_free(service);
    bezel_guard_free(guard);
    bezel_constraint_free(form);
    bezel_monitor_free(monitor);
    bezel_tree_free(tree);
    bezel_model_free(model);
    bezel_engine_free(engine);
    ck_assert(test_world_is_clean(&tw));
}

/* A service whose model answers with the text (NULL = with what it likes). */
static void service_open(const char *answer, const bezel_guard_options *guard_options, const char *conversation)
{
    static const uint8_t key[32] = "a key of a host";
    const bezel_journal journal = {sizeof journal, 0, NULL, see_turn};
    bezel_service_options o;
    bezel_service_options_init(&o);
    ck_assert_int_eq(bezel_guard_new(&guard, engine, guard_options, &err), BEZEL_OK);
    o.guard = guard;
    o.monitor = monitor;
    o.journal = &journal;
    o.hash_key = key;
    o.conversation = conversation;
    o.session.n_ctx = 256;
    o.generate.max_tokens = 40;
    if (answer != NULL) {
        const char *const choices[] = {answer};
        bezel_constraint_options c;
        bezel_constraint_options_init(&c);
        c.kind = BEZEL_CONSTRAINT_CHOICE;
        c.choices = choices;
        c.n_choices = 1;
        ck_assert_msg(bezel_constraint_new(&form, model, &c, &err) == BEZEL_OK, "%s", err.text);
        o.generate.constraint = form;
    }
    ck_assert_msg(bezel_service_new(&service, model, &o, &err) == BEZEL_OK, "%s", err.text);
}

static const bezel_value *json(const char *text)
{
    bezel_value *v = NULL;
    ck_assert_msg(bezel_json_read(&v, tree, text, SIZE_MAX, &err) == BEZEL_OK, "%s", err.text);
    return v;
}

static bezel_service_answer ask(const char *user, const char *messages)
{
    bezel_service_answer a = {.size = sizeof a};
    bezel_status st = bezel_secure_generate(&a, service, user, json(messages), &err);
    ck_assert_msg(st == BEZEL_OK, "%s", err.text);
    return a;
}

#define HELLO "[{\"role\":\"user\",\"content\":\"Hello there\"}]"

START_TEST(r25_an_answer_has_response_time_and_tokens)
{
    service_open("All is well.", NULL, NULL);
    const bezel_service_answer a = ask("ann", HELLO);
    ck_assert_msg(a.is_success == 1, "%s: %s", a.error_code, a.error);
    ck_assert_str_eq(a.response, "All is well.");
    ck_assert_uint_eq(a.response_size, 12);
    ck_assert_double_gt(a.generation_time, 0);
    ck_assert_uint_gt(a.tokens_used, 0);
    ck_assert_ptr_null(a.error);
    ck_assert_ptr_null(a.error_code);
    ck_assert_str_eq(seen.decisions, "rate allowed; validate allowed; clean unchanged; input allowed; output allowed; generate done");
    ck_assert_int_eq(seen.is_success, 1);
    ck_assert_uint_eq(seen.n_generated, a.tokens_used);
    ck_assert_uint_eq(seen.n_input, 11);
    ck_assert_str_eq(seen.user, "ann");
    ck_assert_int_eq(seen.n_turns, 1);
    ck_assert_int_eq(seen.n_messages, 0); /* no content unless asked */
}
END_TEST

START_TEST(r25_defaults_are_those_of_the_service)
{
    bezel_service_options o;
    bezel_service_options_init(&o);
    ck_assert(o.generate.sampling.repetition_penalty == 1.05f);
    ck_assert(o.generate.sampling.temperature == 0.7f);
    ck_assert_uint_eq(o.generate.max_tokens, 512);
    o.generate.max_tokens = 100000; /* taken as 1024; the tiny context ends before, so its stop tells nothing: n_ctx is 1024 */
    o.session.n_ctx = 1024;
    o.generate.sampling.temperature = 0;
    ck_assert_int_eq(bezel_service_new(&service, model, &o, &err), BEZEL_OK);
    const bezel_service_answer a = ask(NULL, HELLO);
    ck_assert_uint_le(a.tokens_used, 1024);
}
END_TEST

START_TEST(r25_each_refusal_has_its_code_and_a_record)
{
    bezel_guard_options o;
    bezel_guard_options_init(&o);
    o.max_requests = 4;
    service_open("this is h\xd0\xb0rmful", &o, NULL);
    static const struct { const char *messages, *code, *decisions; } cases[] = {
        {"[]", "VALIDATION_ERROR", "rate allowed; validate denied range"},
        {"[{\"role\":\"robot\",\"content\":\"x\"}]", "VALIDATION_ERROR", "rate allowed; validate denied range"},
        {"[{\"role\":\"user\",\"content\":\"I h\\u200bate it\"}]", "CONTENT_FILTERED",
         "rate allowed; validate allowed; clean changed; input denied word"},
        {HELLO, "RESPONSE_FILTERED", "rate allowed; validate allowed; clean unchanged; input allowed; output denied word"},
        {HELLO, "RATE_LIMIT_EXCEEDED", "rate denied"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const bezel_service_answer a = ask("ann", cases[i].messages);
        ck_assert_int_eq(a.is_success, 0);
        ck_assert_str_eq(a.error_code, cases[i].code);
        ck_assert_str_ne(a.error, "");
        ck_assert_str_eq(a.response, "");
        ck_assert_str_eq(seen.decisions, cases[i].decisions);
        ck_assert_str_eq(seen.code, cases[i].code);
        ck_assert_int_eq(seen.n, (int)i + 1);
        ck_assert_int_eq(a.retry_ms > 0, i == 4);
    }
    ck_assert_int_eq(seen.n_turns, 1); /* only one reached the model */
    ck_assert_str_eq(seen.turn_status, "RESPONSE_FILTERED");
    const bezel_service_answer b = ask("bob", HELLO);
    ck_assert_str_eq(b.error_code, "RESPONSE_FILTERED");
    bezel_rate rate = {.size = sizeof rate}; /* R26 */
    ck_assert_int_eq(bezel_guard_rate(&rate, bezel_service_guard(service), "bob", &err), BEZEL_OK);
    ck_assert_uint_eq(rate.used, 1);
    ck_assert_uint_eq(rate.remaining, 3);
}
END_TEST

START_TEST(r25_a_model_that_fails_is_a_generation_error)
{
    static char text[6000];
    service_open(NULL, NULL, NULL);
    memcpy(text, "[{\"role\":\"user\",\"content\":\"", 27);
    memset(text + 27, 'x', 5000);
    for (int i = 0; i < 5000; i += 2)
        text[27 + i] = ' ';
    strcat(text, "\"}]");
    const bezel_service_answer a = ask("ann", text);
    ck_assert_str_eq(a.error_code, "GENERATION_ERROR");
    ck_assert_str_eq(seen.code, "GENERATION_ERROR");
}
END_TEST

START_TEST(nothing_of_a_forbidden_word_leaves_a_stream)
{
    service_open("It is violet, not violence, no.", NULL, NULL);
    char out[256] = "";
    bezel_status st = bezel_service_ask(service, "ann", json(HELLO), &err);
    ck_assert_int_eq(st, BEZEL_OK);
    ck_assert_int_eq(bezel_service_ask(service, "ann", json(HELLO), &err), BEZEL_ERR_BUSY);
    while ((st = bezel_service_step(service, 0, &err)) != BEZEL_DONE) {
        ck_assert_int_ge(st, 0);
        strcat(out, bezel_service_text(service, NULL));
    }
    ck_assert_msg(strstr(out, "viol") == strstr(out, "violet") && strstr(out, "violence") == NULL && strstr(out, "not v") == NULL,
                  "%s", out);
    bezel_service_answer a = {.size = sizeof a};
    ck_assert_int_eq(bezel_service_result(&a, service, &err), BEZEL_OK);
    ck_assert_str_eq(a.error_code, "RESPONSE_FILTERED");
    ck_assert_str_eq(a.response, "");
}
END_TEST

START_TEST(a_stream_gives_the_answer_and_a_cancel_ends_it)
{
    char out[256] = "";
    bezel_service_answer a = {.size = sizeof a};
    service_open("One two three.", NULL, "0123456789");
    ck_assert_int_eq(bezel_service_step(service, 0, &err), BEZEL_ERR_ARGUMENT);
    ck_assert_int_eq(bezel_service_ask(service, "ann", json(HELLO), &err), BEZEL_OK);
    while (bezel_service_step(service, 0, &err) != BEZEL_DONE)
        strcat(out, bezel_service_text(service, NULL));
    ck_assert_str_eq(out, "One two three.");
    ck_assert_int_eq(seen.n_messages, 2); /* a named conversation keeps them */
    ck_assert_int_eq(bezel_service_ask(service, "ann", json(HELLO), &err), BEZEL_OK);
    bezel_service_cancel(service);
    while (bezel_service_step(service, 0, &err) != BEZEL_DONE)
        continue;
    ck_assert_int_eq(bezel_service_result(&a, service, &err), BEZEL_OK);
    ck_assert_str_eq(a.error_code, "GENERATION_ERROR");
    ck_assert_int_eq(bezel_service_ask(service, "ann", json(HELLO), &err), BEZEL_OK); /* freed while it runs: recorded */
    bezel_service_free(service);
    service = NULL;
    ck_assert_int_eq(seen.n, 3);
}
END_TEST

START_TEST(r24_the_log_has_a_hash_and_eight_characters_of_a_user)
{
    service_open("Planted answer.", NULL, NULL);
    const bezel_service_answer a = ask("ann.longname@example.org", "[{\"role\":\"user\",\"content\":\"planted question\"}]");
    char hash[17], line[128];
    snprintf(hash, sizeof hash, "%s", a.input_hash);
    ck_assert_uint_eq(strlen(hash), 16);
    ck_assert_str_eq(seen.hash, hash);
    snprintf(line, sizeof line, "service: request %s of user ann.long: answered\n", hash);
    ck_assert_msg(strstr(logged, line) != NULL, "%s", logged);
    ck_assert(strstr(logged, "planted") == NULL && strstr(logged, "Planted") == NULL && strstr(logged, "example") == NULL);
    ck_assert_str_eq(ask("x", "[{\"role\":\"user\",\"content\":\"planted question\"}]").input_hash, hash);
    ck_assert_str_ne(ask("x", "[{\"role\":\"user\",\"content\":\"planted question.\"}]").input_hash, hash);
}
END_TEST

static bezel_status serve_once(test_world *w, void *ctx)
{
    bezel_engine *e = NULL;
    bezel_model *m = NULL;
    bezel_service *s = NULL;
    bezel_tree *t = NULL;
    bezel_value *v = NULL;
    bezel_engine_options eo;
    bezel_service_options so;
    (void)ctx;
    bezel_engine_options_init(&eo);
    eo.threads = 1;
    eo.world = &w->world;
    bezel_service_options_init(&so);
    so.session.n_ctx = 64;
    so.generate.max_tokens = 2;
    bezel_status st = bezel_engine_new(&e, &eo, NULL);
    if (st == BEZEL_OK)
        st = bezel_model_open(&m, e, TINY_MODEL_PATH, NULL, NULL);
    if (st == BEZEL_OK)
        st = bezel_service_new(&s, m, &so, NULL);
    if (st == BEZEL_OK)
        st = bezel_tree_new(&t, e, NULL);
    if (st == BEZEL_OK)
        st = bezel_json_read(&v, t, HELLO, SIZE_MAX, NULL);
    bezel_service_answer a = {.size = sizeof a};
    if (st == BEZEL_OK)
        st = bezel_secure_generate(&a, s, "ann", v, NULL);
    if (st == BEZEL_OK && !a.is_success) /* a request that memory ends is an answer with a code */
        st = BEZEL_ERR_MEMORY;
    bezel_service_free(s);
    bezel_tree_free(t);
    bezel_model_free(m);
    bezel_engine_free(e);
    return st;
}

START_TEST(every_failing_allocation_is_reported)
{
    test_world_sweep(&tw, serve_once, NULL, BEZEL_OK);
}
END_TEST

Suite *service_suite(void);
Suite *service_suite(void)
{
    Suite *s = suite_create("service");
    TCase *t = tcase_create("service");
    tcase_add_checked_fixture(t, service_setup, service_teardown);
    tcase_set_timeout(t, 120);
    tcase_add_test(t, r25_an_answer_has_response_time_and_tokens);
    tcase_add_test(t, r25_defaults_are_those_of_the_service);
    tcase_add_test(t, r25_each_refusal_has_its_code_and_a_record);
    tcase_add_test(t, r25_a_model_that_fails_is_a_generation_error);
    tcase_add_test(t, nothing_of_a_forbidden_word_leaves_a_stream);
    tcase_add_test(t, a_stream_gives_the_answer_and_a_cancel_ends_it);
    tcase_add_test(t, r24_the_log_has_a_hash_and_eight_characters_of_a_user);
    tcase_add_test(t, every_failing_allocation_is_reported);
    suite_add_tcase(s, t);
    return s;
}
