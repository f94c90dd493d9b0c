/* SPDX-License-Identifier: MIT */
/* Many sessions of the real model: in a batch each answers what it answers alone, whatever its length, sampler, constraint and
 * output layer, and whenever it joins or leaves. Guesses from the text change no greedy token. */
#include <bezel/batch.h>
#include <bezel/constraint.h>
#include <bezel/session.h>
#include <bezel/value.h>

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/real_model.h"
#include "support/temp_folder.h"

Suite *real_batch_suite(void);

enum { N_MEMBERS = 11, N_TOKENS = 40 };

static const char *const texts[] = {
    "The capital of France is", "Once upon a time in a small village by the sea there lived an old fisherman who",
    "def quicksort(arr):\n    ", "Die Geschichte der Stadt Hamburg beginnt", "A person as JSON: ", "Il était une fois",
    "In 1969, the Apollo 11 mission", "SELECT name, COUNT(*) FROM users", "人工智能的发展历史", "Is water wet? Answer: ",
    "The sun rises in the"};

typedef struct reply {
    size_t n_ids;
    int32_t ids[N_TOKENS];
    uint32_t stop_reason;
} reply;

typedef struct many {
    temp_folder folder;
    bezel_engine *engine;
    bezel_model *model;
    bezel_constraint *json, *choice;
} many;

static void many_open(many *m)
{
    char path[4096];
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_model_options o;
    bezel_tree *tree;
    bezel_constraint_options c;
    static const char *const choices[] = {"yes", "no", "only when it is warm"};
    static const char schema[] = "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"age\":{\"type\":\"integer\"}},"
                                 "\"required\":[\"name\",\"age\"]}";
    memset(m, 0, sizeof *m);
    temp_folder_make(&m->folder);
    ck_assert_msg(bezel_engine_new(&m->engine, NULL, &err) == BEZEL_OK, "%s", err.text);
    bezel_model_options_init(&o);
    o.cache_folder = m->folder.path;
    ck_assert_msg(bezel_model_open(&m->model, m->engine, real_model_path(path, sizeof path), &o, &err) == BEZEL_OK, "%s", err.text);
    ck_assert_msg(bezel_model_prepare(m->model, &err) == BEZEL_OK, "%s", err.text);
    ck_assert_int_eq(bezel_tree_new(&tree, m->engine, &err), BEZEL_OK);
    bezel_constraint_options_init(&c);
    c.kind = BEZEL_CONSTRAINT_JSON;
    bezel_value *value;
    ck_assert_int_eq(bezel_json_read(&value, tree, schema, sizeof schema - 1, &err), BEZEL_OK);
    c.schema = value;
    ck_assert_msg(bezel_constraint_new(&m->json, m->model, &c, &err) == BEZEL_OK, "%s", err.text);
    bezel_constraint_options_init(&c);
    c.kind = BEZEL_CONSTRAINT_CHOICE;
    c.choices = choices;
    c.n_choices = 3;
    ck_assert_msg(bezel_constraint_new(&m->choice, m->model, &c, &err) == BEZEL_OK, "%s", err.text);
    bezel_tree_free(tree);
}

static void many_close(many *m)
{
    bezel_constraint_free(m->json);
    bezel_constraint_free(m->choice);
    bezel_model_free(m->model);
    bezel_engine_free(m->engine);
    temp_folder_remove(&m->folder);
}

/* Member i: text, context, sampler, constraint and output layer differ. */
static bezel_session *member_session(const many *m, int i)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_session *s;
    bezel_session_options o;
    bezel_session_options_init(&o);
    o.n_ctx = 128 + 32 * (uint32_t)i;
    o.head = i % 4 == 3 ? BEZEL_HEAD_FULL : BEZEL_HEAD_SCREENED;
    ck_assert_msg(bezel_session_new(&s, m->model, &o, &err) == BEZEL_OK, "%s", err.text);
    ck_assert_int_eq(bezel_session_append_text(s, texts[i], SIZE_MAX, BEZEL_TOKENIZE_BOS, &err), BEZEL_OK);
    return s;
}

static bezel_job *member_job(const many *m, bezel_session *s, int i)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_job *job;
    bezel_generate_options o;
    bezel_generate_options_init(&o); /* drawn, top-k 64, top-p 0.95 */
    if (i % 3 == 0)
        bezel_sampling_greedy(&o.sampling);
    if (i % 5 == 2)
        bezel_sampling_service(&o.sampling); /* top-p alone, with a penalty */
    o.sampling.seed = 40 + (uint64_t)i;
    o.max_tokens = (uint32_t)(N_TOKENS - 3 * (i % 4));
    o.constraint = i == 4 ? m->json : i == 9 ? m->choice : NULL;
    ck_assert_msg(bezel_generate(&job, s, &o, &err) == BEZEL_OK, "%s", err.text);
    return job;
}

/* Takes the result of a job that has ended, and frees it with its session. */
static void member_end(reply *out, bezel_job *job, bezel_session *s)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_generation g = {.size = (uint32_t)sizeof g};
    ck_assert_msg(bezel_generation_get(job, &g, &err) == BEZEL_OK, "%s", err.text);
    *out = (reply){.n_ids = g.n_ids, .stop_reason = g.stop_reason};
    memcpy(out->ids, g.ids, g.n_ids * sizeof *g.ids);
    bezel_job_free(job);
    bezel_session_free(s);
}

static void drain(bezel_job *job)
{
    bezel_event e = {.size = (uint32_t)sizeof e};
    while (bezel_job_event(job, &e))
        continue;
}

static void run_alone(bezel_job *job)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_status status;
    do {
        status = bezel_job_step(job, -1, &err);
        drain(job);
    } while (status > 0 && status != BEZEL_DONE);
    ck_assert_msg(status == BEZEL_DONE, "%s", err.text);
}

/* Members join one every `pause` steps; every third leaves after some more and goes on alone. */
static void run_together(const many *m, reply *out, int pause)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_batch *batch;
    bezel_session *s[N_MEMBERS];
    bezel_job *job[N_MEMBERS];
    bezel_status status = BEZEL_MORE;
    int n = 0;
    ck_assert_int_eq(bezel_batch_new(&batch, m->model, NULL, &err), BEZEL_OK);
    for (int step = 0; n < N_MEMBERS || status != BEZEL_DONE; step++) {
        if (n < N_MEMBERS && step % pause == 0) {
            s[n] = member_session(m, n);
            job[n] = member_job(m, s[n], n);
            ck_assert_msg(bezel_batch_add(batch, job[n], &err) == BEZEL_OK, "%s", err.text);
            n++;
        }
        if (step % (7 * pause) == 6 * pause && step / (7 * pause) * 3 < n) /* it may have ended: then it is over and stays */
            (void)bezel_batch_remove(batch, job[step / (7 * pause) * 3], &err);
        status = bezel_batch_step(batch, -1, &err);
        ck_assert_msg(status >= 0, "%s", err.text);
        for (int i = 0; i < n; i++)
            drain(job[i]);
    }
    for (int i = 0; i < N_MEMBERS; i++) {
        run_alone(job[i]);
        member_end(&out[i], job[i], s[i]);
    }
    bezel_batch_free(batch);
}

START_TEST(answers_together_are_those_alone)
{
    many m;
    reply alone[N_MEMBERS], together[N_MEMBERS];
    many_open(&m);
    for (int i = 0; i < N_MEMBERS; i++) {
        bezel_session *s = member_session(&m, i);
        bezel_job *job = member_job(&m, s, i);
        run_alone(job);
        member_end(&alone[i], job, s);
    }
    for (int pause = 1; pause <= 5; pause += 4) {
        run_together(&m, together, pause);
        for (int i = 0; i < N_MEMBERS; i++) {
            ck_assert_msg(alone[i].n_ids == together[i].n_ids && alone[i].stop_reason == together[i].stop_reason,
                          "pause %d, member %d: %zu tokens, alone %zu", pause, i, together[i].n_ids, alone[i].n_ids);
            ck_assert_msg(memcmp(alone[i].ids, together[i].ids, alone[i].n_ids * sizeof *alone[i].ids) == 0,
                          "pause %d, member %d: other tokens", pause, i);
        }
    }
    many_close(&m);
}
END_TEST

/* Greedy tokens with guesses, or without; how many guesses held. */
static uint64_t look_up(const many *m, reply *out, const char *text, uint32_t head, uint32_t lookup)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_session *s;
    bezel_session_options so;
    bezel_job *job;
    bezel_generate_options o;
    bezel_generation g = {.size = (uint32_t)sizeof g};
    bezel_session_options_init(&so);
    so.n_ctx = 1024;
    so.head = head;
    so.lookup = lookup;
    ck_assert_msg(bezel_session_new(&s, m->model, &so, &err) == BEZEL_OK, "%s", err.text);
    ck_assert_int_eq(bezel_session_append_text(s, text, SIZE_MAX, BEZEL_TOKENIZE_BOS, &err), BEZEL_OK);
    bezel_generate_options_init(&o);
    bezel_sampling_greedy(&o.sampling);
    o.max_tokens = N_TOKENS;
    ck_assert_msg(bezel_generate(&job, s, &o, &err) == BEZEL_OK, "%s", err.text);
    run_alone(job);
    ck_assert_int_eq(bezel_generation_get(job, &g, &err), BEZEL_OK);
    const uint64_t n_accepted = g.n_accepted;
    member_end(out, job, s);
    return n_accepted;
}

START_TEST(guesses_from_the_text_change_no_greedy_token)
{
    static const char copy[] =
        "Text: The ferry to Ostend leaves at 7:45 from quay 12, and every passenger needs a ticket with a name.\n"
        "The same text again: The ferry to Ostend leaves at 7:45 from quay 12, and every passenger needs a ticket with a name.\n"
        "The same text again:";
    many m;
    uint64_t n_accepted = 0;
    many_open(&m);
    for (int i = -1; i < N_MEMBERS; i++) {
        reply with, without;
        const char *text = i < 0 ? copy : texts[i];
        for (uint32_t head = BEZEL_HEAD_FULL; head <= BEZEL_HEAD_SCREENED; head++) {
            look_up(&m, &without, text, head, 0);
            n_accepted += look_up(&m, &with, text, head, 1);
            ck_assert_uint_eq(with.n_ids, without.n_ids);
            ck_assert_uint_eq(with.stop_reason, without.stop_reason);
            ck_assert_msg(memcmp(with.ids, without.ids, with.n_ids * sizeof *with.ids) == 0, "\"%s\": other tokens", text);
        }
    }
    ck_assert_uint_gt(n_accepted, N_TOKENS);
    many_close(&m);
}
END_TEST

Suite *real_batch_suite(void)
{
    Suite *s = suite_create("real_batch");
    char path[4096];
    if (!real_model_path(path, sizeof path))
        return s; /* not downloaded: nothing to test */
    TCase *c = tcase_create("batch");
    tcase_set_timeout(c, 600);
    tcase_add_test(c, answers_together_are_those_alone);
    tcase_add_test(c, guesses_from_the_text_change_no_greedy_token);
    suite_add_tcase(s, c);
    return s;
}
