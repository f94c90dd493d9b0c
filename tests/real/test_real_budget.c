/* SPDX-License-Identifier: MIT */
/* Frames of 4 ms on the demo model: load, a prompt of some hundred tokens, decoding. A frame in
 * which the system took a processor away from one of our threads says nothing of us, so it is not judged. */
#include <bezel/bezel.h>

#include <check.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "support/real_model.h"

enum { BUDGET_US = 4000 };

typedef struct frames {
    int n, n_late; /* late: over 5 ms, undisturbed */
} frames;

static int64_t now_us(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static long n_preemptions(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? usage.ru_nivcsw : 0;
}

static void play(frames *f, bezel_job *job)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_event event = {.size = sizeof event};
    bezel_status st = BEZEL_MORE;
    while (st > 0 && st != BEZEL_DONE) {
        const long before = n_preemptions();
        const int64_t start = now_us();
        st = bezel_job_step(job, BUDGET_US, &err);
        f->n_late += now_us() - start > BUDGET_US + 1000 && n_preemptions() == before;
        f->n++;
        while (bezel_job_event(job, &event))
            continue;
    }
    ck_assert_msg(st == BEZEL_DONE, "%s", err.text);
}

START_TEST(load_prompt_and_decoding_keep_to_their_frames)
{
    char path[1024], text[2048] = "";
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_engine *engine = NULL;
    bezel_model *model = NULL;
    bezel_session *session = NULL;
    bezel_job *job = NULL;
    bezel_generation result = {.size = sizeof result};
    bezel_generate_options o;
    frames f = {0, 0};
    ck_assert_int_eq(bezel_engine_new(&engine, NULL, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_model_open_job(&job, engine, real_model_path(path, sizeof path), NULL, &err), BEZEL_OK);
    play(&f, job);
    ck_assert_int_eq(bezel_model_take(&model, job, &err), BEZEL_OK);
    bezel_job_free(job);
    for (int i = 0; i < 20; i++)
        strcat(text, "The old innkeeper looked up and said that the road was closed. ");
    ck_assert_int_eq(bezel_session_new(&session, model, NULL, &err), BEZEL_OK);
    ck_assert_int_eq(bezel_session_append_text(session, text, SIZE_MAX, BEZEL_TOKENIZE_BOS, &err), BEZEL_OK);
    bezel_generate_options_init(&o);
    o.max_tokens = 16;
    o.sampling.temperature = 0;
    ck_assert_int_eq(bezel_generate(&job, session, &o, &err), BEZEL_OK);
    play(&f, job);
    ck_assert_int_eq(bezel_generation_get(job, &result, &err), BEZEL_OK);
    ck_assert_uint_eq(result.n_ids, 16);
    ck_assert_int_gt(f.n, 16);
    ck_assert_msg(f.n_late * 10 < f.n, "%d of %d frames took over 5 ms", f.n_late, f.n);
    bezel_job_free(job);
    bezel_session_free(session);
    bezel_model_free(model);
    bezel_engine_free(engine);
}
END_TEST

Suite *real_budget_suite(void);
Suite *real_budget_suite(void)
{
    char path[1024];
    Suite *s = suite_create("real_budget");
    TCase *t = tcase_create("270m");
    if (!real_model_path(path, sizeof path))
        return s; /* not downloaded: nothing to test */
    tcase_set_timeout(t, 120);
    tcase_add_test(t, load_prompt_and_decoding_keep_to_their_frames);
    suite_add_tcase(s, t);
    return s;
}
