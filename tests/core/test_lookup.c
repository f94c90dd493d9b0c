/* SPDX-License-Identifier: MIT */
/* Lookup: what is guessed, how it adapts, and that no answer changes by it. */
#include "generate/lookup.h"

#include "compute/kernel.h"
#include "support/test_engine.h"
#include "support/tiny_model.h"

#include <check.h>
#include <math.h>
#include <string.h>

Suite *lookup_suite(void);

START_TEST(the_guess_is_what_followed_the_longest_newest_copy)
{
    int32_t ids[64] = {1, 2, 3, 4, 50, 9, 2, 3, 4, 60, 9, 7, 3, 4, 70, 8, 2, 3, 4};
    bz_lookup l;
    bz_lookup_init(&l, 1);
    l.length = 2;
    ck_assert_uint_eq(bz_lookup_draft(&l, ids, 19, 10), 2); /* 2 3 4 twice: the newer */
    ck_assert_int_eq(ids[19], 60);
    ck_assert_int_eq(ids[20], 9);
    ids[15] = 1; /* 1 2 3 4: the longer */
    ck_assert_uint_eq(bz_lookup_draft(&l, ids, 19, 10), 2);
    ck_assert_int_eq(ids[19], 50);
    ck_assert_uint_eq(bz_lookup_draft(&l, ids, 19, 1), 1);
    ck_assert_uint_eq(bz_lookup_draft(&l, ids, 19, 0), 0);
    ids[18] = 99; /* nothing ends so */
    ck_assert_uint_eq(bz_lookup_draft(&l, ids, 19, 10), 0);
    for (size_t n = 0; n < 5; ++n)
        ck_assert_uint_eq(bz_lookup_draft(&l, ids, n, 10), 0);
    int32_t same[16] = {5, 5, 5, 5, 5};
    l.length = 7;
    ck_assert_uint_eq(bz_lookup_draft(&l, same, 5, 10), 7); /* a period goes on */
    for (size_t i = 0; i < 12; ++i)
        ck_assert_int_eq(same[i], 5);
    bz_lookup_init(&l, 0);
    ck_assert_uint_eq(bz_lookup_draft(&l, same, 5, 10), 0);
}
END_TEST

START_TEST(guesses_grow_while_they_hold_and_pause_when_none_does)
{
    int32_t ids[64];
    bz_lookup l;
    bz_lookup_init(&l, 1);
    memset(ids, 0, sizeof ids);
    ck_assert_uint_eq(bz_lookup_draft(&l, ids, 20, 40), 3);
    bz_lookup_note(&l, 3, 3);
    ck_assert_uint_eq(bz_lookup_draft(&l, ids, 20, 40), 6);
    bz_lookup_note(&l, 6, 6);
    ck_assert_uint_eq(bz_lookup_draft(&l, ids, 20, 40), BZ_LOOKUP_MOST);
    bz_lookup_note(&l, 7, 2);
    ck_assert_uint_eq(bz_lookup_draft(&l, ids, 20, 40), 3);
    for (uint32_t want = 2; want < 200; want *= 2) {
        uint32_t waited = 0;
        bz_lookup_note(&l, 3, 0);
        while (bz_lookup_draft(&l, ids, 20, 40) == 0)
            ++waited;
        ck_assert_uint_eq(waited, want < 64 ? want : 64);
    }
    ck_assert_uint_eq(l.n_accepted, 11);
}
END_TEST

typedef struct told {
    bezel_status status;
    bezel_generation g;
    int32_t ids[256];
    char text[4096];
    size_t cached;
} told;

/* An answer of the tiny model to a prompt that repeats itself; cancelled after `units`, -1 = never. */
static void answer_once(told *out, const tiny_model *t, uint32_t lookup, uint32_t chunk, uint32_t n_ctx,
                        const bezel_generate_options *o, long units)
{
    bezel_session_options so;
    bezel_session *s = NULL;
    bezel_job *job = NULL;
    int32_t ids[60];
    memset(out, 0, sizeof *out);
    bezel_session_options_init(&so);
    so.lookup = lookup;
    so.chunk = chunk;
    so.n_ctx = n_ctx;
    ck_assert_int_eq(bezel_session_new(&s, t->model, &so, NULL), BEZEL_OK);
    tiny_model_ids(ids, 20, 3);
    memcpy(ids + 20, ids, 20 * sizeof *ids);
    memcpy(ids + 40, ids, 20 * sizeof *ids);
    ck_assert_int_eq(bezel_session_set(s, ids, 60, NULL), BEZEL_OK);
    ck_assert_int_eq(bezel_generate(&job, s, o, NULL), BEZEL_OK);
    do {
        if (units-- == 0)
            bezel_job_cancel(job);
        out->status = bezel_job_step(job, 0, NULL);
    } while (out->status > 0 && out->status != BEZEL_DONE);
    out->g.size = (uint32_t)sizeof out->g;
    ck_assert_int_eq(bezel_generation_get(job, &out->g, NULL), BEZEL_OK);
    ck_assert_uint_lt(out->g.n_ids, 256);
    ck_assert_uint_lt(out->g.text_size, sizeof out->text);
    memcpy(out->ids, out->g.ids, out->g.n_ids * sizeof *out->ids);
    memcpy(out->text, out->g.text, out->g.text_size);
    bezel_job_free(job);
    size_t n;
    const int32_t *timeline = bezel_session_ids(s, &n);
    ck_assert_uint_eq(n, 60 + out->g.n_ids);
    ck_assert_mem_eq(timeline + 60, out->ids, out->g.n_ids * sizeof *out->ids);
    ck_assert_uint_le(bezel_session_cached(s), n);
    int32_t next[2][6]; /* what is in the cache is right: going on gives what a fresh session gives */
    bezel_session *fresh = tiny_model_session(t, n_ctx + 10 > 1000 ? 1000 : n_ctx + 10, chunk, 0);
    ck_assert_int_eq(bezel_session_set(fresh, timeline, n, NULL), BEZEL_OK);
    const size_t count = tiny_model_greedy(next[0], s, 6);
    ck_assert_uint_ge(tiny_model_greedy(next[1], fresh, 6), count);
    ck_assert_mem_eq(next[0], next[1], count * sizeof(int32_t));
    bezel_session_free(fresh);
    bezel_session_free(s);
}

static void compare_answers(const told *a, const told *b)
{
    ck_assert_int_eq(a->status, b->status);
    ck_assert_uint_eq(a->g.stop_reason, b->g.stop_reason);
    ck_assert_uint_eq(a->g.n_ids, b->g.n_ids);
    ck_assert_mem_eq(a->ids, b->ids, a->g.n_ids * sizeof *a->ids);
    ck_assert_uint_eq(a->g.text_size, b->g.text_size);
    ck_assert_mem_eq(a->text, b->text, a->g.text_size);
}

static told plain, guessed;

START_TEST(an_answer_with_lookup_is_the_one_without)
{
    static const bezel_logit_bias no_end[2] = {{1, -INFINITY}, {6, -INFINITY}};
    static const char *const stops[2] = {"er", "n"};
    const uint32_t levels[] = {BEZEL_ISA_SCALAR, TEST_FAST_LEVELS}, chunks[] = {128, 3, 1};
    uint64_t n_accepted = 0;
    for (size_t l = 0; l < 3; ++l) {
        tiny_model t;
        if (!bz_kernel_has(levels[l]))
            continue;
        tiny_model_open(&t, levels[l], 2, NULL);
        for (uint32_t i = 0; i < 24; ++i) {
            bezel_generate_options o;
            bezel_generate_options_init(&o);
            bezel_sampling_greedy(&o.sampling);
            o.sampling.bias = no_end;
            o.sampling.n_bias = i % 2 ? 2 : 0;
            o.max_tokens = i % 4 < 2 ? 200 : 30 + i;
            o.stops = stops;
            o.n_stops = i % 8 == 5 ? 2 : 0;
            const uint32_t n_ctx = i % 6 == 3 ? 110 : 400;
            answer_once(&plain, &t, 0, chunks[i % 3], n_ctx, &o, -1);
            answer_once(&guessed, &t, 1, chunks[i % 3], n_ctx, &o, -1);
            compare_answers(&guessed, &plain);
            ck_assert_uint_eq(plain.g.n_drafted, 0);
            ck_assert_uint_le(guessed.g.n_accepted, guessed.g.n_drafted);
            n_accepted += guessed.g.n_accepted;
        }
        tiny_model_close(&t);
    }
    ck_assert_uint_gt(n_accepted, 50);
}
END_TEST

START_TEST(a_cancel_at_any_unit_of_guessing_leaves_a_right_session)
{
    tiny_model t;
    bezel_generate_options o;
    bezel_generate_options_init(&o);
    bezel_sampling_greedy(&o.sampling);
    o.max_tokens = 40;
    tiny_model_open(&t, BEZEL_ISA_AUTO, 1, NULL);
    answer_once(&plain, &t, 0, 64, 400, &o, -1);
    for (long units = 0; units < 150; units += 1) {
        answer_once(&guessed, &t, 1, 64, 400, &o, units);
        ck_assert_uint_le(guessed.g.n_ids, plain.g.n_ids);
        ck_assert_mem_eq(guessed.ids, plain.ids, guessed.g.n_ids * sizeof(int32_t));
    }
    tiny_model_close(&t);
}
END_TEST

START_TEST(a_draw_guesses_nothing_and_a_wrong_option_is_refused)
{
    tiny_model t;
    bezel_session *s = NULL;
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_session_options so;
    bezel_generate_options o;
    bezel_generate_options_init(&o);
    o.sampling.seed = 5;
    o.max_tokens = 50;
    tiny_model_open(&t, BEZEL_ISA_AUTO, 1, NULL);
    answer_once(&plain, &t, 0, 64, 400, &o, -1);
    answer_once(&guessed, &t, 1, 64, 400, &o, -1);
    compare_answers(&guessed, &plain);
    ck_assert_uint_eq(guessed.g.n_drafted, 0);
    bezel_session_options_init(&so);
    so.lookup = 2;
    ck_assert_int_eq(bezel_session_new(&s, t.model, &so, &err), BEZEL_ERR_RANGE);
    ck_assert_ptr_nonnull(strstr(err.text, "lookup is 2"));
    tiny_model_close(&t);
}
END_TEST

Suite *lookup_suite(void)
{
    Suite *s = suite_create("lookup");
    TCase *t = tcase_create("lookup");
    tcase_set_timeout(t, 600);
    tcase_add_test(t, the_guess_is_what_followed_the_longest_newest_copy);
    tcase_add_test(t, guesses_grow_while_they_hold_and_pause_when_none_does);
    tcase_add_test(t, an_answer_with_lookup_is_the_one_without);
    tcase_add_test(t, a_cancel_at_any_unit_of_guessing_leaves_a_right_session);
    tcase_add_test(t, a_draw_guesses_nothing_and_a_wrong_option_is_refused);
    suite_add_tcase(s, t);
    return s;
}
