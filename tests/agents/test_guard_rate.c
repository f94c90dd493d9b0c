/* SPDX-License-Identifier: MIT */
/* Requests of users in a sliding window (R21, R26), beside a slow reference that keeps everything. */
#include <bezel/guard.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "support/test_engine.h"
#include "support/test_world.h"

static test_world tw;
static bezel_engine *engine;
static bezel_error err;

static void rate_setup(void)
{
    test_world_init(&tw);
    engine = test_engine_new(&tw, 1, BEZEL_ISA_AUTO);
    test_world_clock(&tw, INT64_C(5000000000), 1700000000000);
    tw.step_ns = 0;
}

static void rate_teardown(void)
{
    bezel_engine_free(engine);
    ck_assert(test_world_is_clean(&tw));
}

static void pass_ms(int64_t ms)
{
    tw.now_ns += ms * 1000000;
    tw.wall_now_ms += ms;
}

static bezel_guard *guard_of(uint32_t requests, uint32_t window_s, uint64_t bytes, const bezel_guard_windows *windows, const void *boot)
{
    bezel_guard *g = NULL;
    bezel_guard_options o;
    bezel_guard_options_init(&o);
    if (requests)
        o.max_requests = requests, o.window_s = window_s;
    if (bytes)
        o.max_window_bytes = bytes;
    o.windows = windows;
    o.boot = boot;
    ck_assert_msg(bezel_guard_new(&g, engine, &o, &err) == BEZEL_OK, "%s", err.text);
    return g;
}

static int request(bezel_guard *g, const char *user, bezel_rate *rate)
{
    bezel_rate own = {.size = sizeof own};
    bezel_status st = bezel_guard_request(&own, g, user, &err);
    ck_assert_msg(st == BEZEL_OK || st == BEZEL_ERR_DENIED, "%s", err.text);
    ck_assert_int_eq(own.allowed, st == BEZEL_OK);
    if (rate != NULL)
        *rate = own;
    return st == BEZEL_OK;
}

START_TEST(r21_r26_a_user_has_100_requests_an_hour_that_slide)
{
    bezel_guard *g = guard_of(0, 0, 0, NULL, NULL);
    bezel_rate rate = {.size = sizeof rate};
    for (int i = 0; i < 100; i++) {
        ck_assert(request(g, "ann", &rate));
        ck_assert_uint_eq(rate.used, (uint32_t)i + 1);
        ck_assert_uint_eq(rate.remaining, 99u - (uint32_t)i);
        pass_ms(1000);
    }
    ck_assert(!request(g, "ann", &rate));
    ck_assert_int_eq(rate.reset_ms, 3500000); /* R26: when the oldest request leaves the window */
    ck_assert_ptr_nonnull(strstr(err.hint, "3500000 ms"));
    ck_assert(request(g, "bob", NULL));
    ck_assert(request(g, NULL, NULL));
    pass_ms(3499999);
    ck_assert(!request(g, "ann", NULL));
    pass_ms(1);
    ck_assert(request(g, "ann", NULL));
    ck_assert(!request(g, "ann", &rate));
    ck_assert_int_eq(rate.reset_ms, 1000);
    ck_assert_int_eq(bezel_guard_rate(&rate, g, "ann", &err), BEZEL_OK);
    ck_assert_uint_eq(rate.used, 100);
    ck_assert_int_eq(bezel_guard_rate(&rate, g, "never seen", &err), BEZEL_OK);
    ck_assert_uint_eq(rate.remaining, 100);
    ck_assert_int_eq(rate.reset_ms, 0);
    bezel_guard_free(g);
}
END_TEST

START_TEST(r21_the_wall_clock_gives_and_takes_no_quota)
{
    bezel_guard *g = guard_of(2, 60, 0, NULL, NULL);
    ck_assert(request(g, "ann", NULL) && request(g, "ann", NULL));
    tw.wall_now_ms += 86400000;
    ck_assert(!request(g, "ann", NULL));
    tw.wall_now_ms -= 2 * 86400000;
    ck_assert(!request(g, "ann", NULL));
    pass_ms(60000);
    ck_assert(request(g, "ann", NULL));
    bezel_guard_free(g);
}
END_TEST

/* The reference: all times of each user. */
enum { USERS = 200, MOST = 7 };
typedef struct reference {
    int64_t times[USERS][4000];
    int n[USERS];
} reference;

static int reference_request(reference *r, int user, int64_t now, int64_t window)
{
    int young = 0;
    for (int i = 0; i < r->n[user]; i++)
        young += now - r->times[user][i] < window;
    if (young >= MOST)
        return 0;
    r->times[user][r->n[user]++] = now;
    return 1;
}

static void compare(bezel_guard *g, int steps, int64_t longest_ms, uint64_t seed)
{
    reference *r = calloc(1, sizeof *r);
    bz_rng rng;
    bz_rng_seed(&rng, seed);
    for (int i = 0; i < steps; i++) {
        char name[16];
        const int user = (int)(bz_rng_next(&rng) % USERS);
        snprintf(name, sizeof name, "user %d", user);
        pass_ms((int64_t)(bz_rng_next(&rng) % (uint64_t)(longest_ms + 1)));
        ck_assert_int_eq(request(g, name, NULL), reference_request(r, user, tw.now_ns / 1000000, 10000));
    }
    free(r);
}

START_TEST(decisions_are_those_of_a_slow_reference)
{
    bezel_guard *g = guard_of(MOST, 10, 0, NULL, NULL);
    compare(g, 20000, 20, 1);
    pass_ms(10000); /* the same names again, many at one moment */
    compare(g, 3000, 1, 2);
    bezel_guard_free(g);
}
END_TEST

START_TEST(times_go_on_beyond_32_bits)
{
    bezel_guard *g = guard_of(3, 86400, 0, NULL, NULL);
    for (int day = 0; day < 120; day++) { /* 2^32 ms are 49.7 days */
        ck_assert(request(g, "ann", NULL));
        pass_ms(1000);
        ck_assert(request(g, "ann", NULL) && request(g, "ann", NULL));
        ck_assert(!request(g, "ann", NULL));
        pass_ms(86400000 - 1000 - 1);
        ck_assert(!request(g, "ann", NULL));
        pass_ms(1);
        ck_assert(request(g, "ann", NULL));
        ck_assert(!request(g, "ann", NULL));
        pass_ms(86400000 + 5000);
    }
    bezel_guard_free(g);
}
END_TEST

START_TEST(r21_a_million_users_fit_in_the_default_and_memory_stays_under_its_bound)
{
    bezel_guard *g = guard_of(2, 3600, 0, NULL, NULL);
    bezel_rate rate = {.size = sizeof rate};
    char name[24];
    for (int i = 0; i < 1000000; i++) {
        snprintf(name, sizeof name, "user-%d", i);
        ck_assert(request(g, name, NULL));
    }
    for (int i = 0; i < 1000000; i += 997) { /* all are still known */
        snprintf(name, sizeof name, "user-%d", i);
        ck_assert(request(g, name, NULL));
        ck_assert(!request(g, name, &rate));
    }
    ck_assert_uint_eq(rate.n_forgotten, 0);
    ck_assert_uint_le(rate.window_bytes, 128u << 20);
    bezel_guard_free(g);
}
END_TEST

START_TEST(without_room_the_user_who_asked_longest_ago_is_forgotten)
{
    bezel_guard *g = guard_of(1, 3600, 65536, NULL, NULL);
    bezel_rate rate = {.size = sizeof rate};
    char name[24];
    const int64_t before = tw.bytes;
    for (int i = 0; i < 5000; i++) {
        pass_ms(1);
        snprintf(name, sizeof name, "user-%d", i);
        ck_assert(request(g, name, &rate));
        ck_assert_uint_le(rate.window_bytes, 65536);
    }
    ck_assert_int_le(tw.bytes - before, 65536 + 1024);
    ck_assert_uint_gt(rate.n_forgotten, 3500);
    ck_assert(!request(g, "user-4999", NULL));
    ck_assert(!request(g, "user-4500", NULL));
    ck_assert(request(g, "user-0", NULL));
    const uint64_t forgotten = rate.n_forgotten + 1;
    pass_ms(3600000); /* all windows are over: nobody is forgotten any more */
    for (int i = 0; i < 400; i++) {
        snprintf(name, sizeof name, "new-%d", i);
        ck_assert(request(g, name, &rate));
    }
    ck_assert_uint_eq(rate.n_forgotten, forgotten);
    bezel_guard_free(g);
    g = guard_of(10000, 3600, 65536, NULL, NULL); /* the most requests of one user fit in the least room */
    for (int i = 0; i < 10000; i++)
        ck_assert(request(g, "ann", NULL));
    ck_assert(!request(g, "ann", NULL));
    bezel_guard_free(g);
}
END_TEST

/* --- Windows elsewhere -------------------------------------------------------------------- */

typedef struct shelf {
    struct { uint8_t key[16]; size_t size; char state[200]; } entries[USERS + 1];
    int n;
    bezel_status status;
} shelf;

static bezel_status shelf_edit(void *ud, const void *key, size_t capacity, bezel_guard_edit_fn edit, void *edit_ud, bezel_error *e)
{
    shelf *s = ud;
    char next[200];
    size_t size = 0;
    int i = 0;
    if (s->status != BEZEL_OK) {
        e->status = s->status;
        return s->status;
    }
    while (i < s->n && memcmp(s->entries[i].key, key, 16) != 0)
        i++;
    ck_assert_int_le(i, USERS);
    ck_assert_uint_le(capacity, sizeof next);
    edit(edit_ud, s->entries[i].state, i < s->n ? s->entries[i].size : 0, next, capacity, &size);
    ck_assert_uint_le(size, capacity);
    memcpy(s->entries[i].key, key, 16);
    memcpy(s->entries[i].state, next, size);
    s->entries[i].size = size;
    s->n += i == s->n;
    return BEZEL_OK;
}

START_TEST(windows_elsewhere_are_shared_and_decide_the_same)
{
    shelf *s = calloc(1, sizeof *s);
    const bezel_guard_windows windows = {.size = sizeof windows, .ud = s, .edit = shelf_edit};
    bezel_guard *a = guard_of(MOST, 10, 0, &windows, NULL), *b = guard_of(MOST, 10, 0, &windows, NULL);
    bezel_rate rate = {.size = sizeof rate};
    compare(a, 20000, 20, 3);
    pass_ms(10000);
    for (int i = 0; i < MOST; i++)
        ck_assert(request(i % 2 ? a : b, "ann", NULL));
    ck_assert(!request(a, "ann", NULL) && !request(b, "ann", &rate));
    ck_assert_int_eq(rate.reset_ms, 10000);
    ck_assert_int_eq(bezel_guard_rate(&rate, b, "ann", &err), BEZEL_OK);
    ck_assert_uint_eq(rate.used, MOST);
    s->status = BEZEL_ERR_BUSY;
    ck_assert_int_eq(bezel_guard_request(&rate, a, "ann", &err), BEZEL_ERR_BUSY);
    ck_assert_uint_eq(rate.allowed, 0);
    bezel_guard_free(a);
    bezel_guard_free(b);
    free(s);
}
END_TEST

START_TEST(a_restart_of_the_machine_keeps_windows_by_the_wall_clock_within_reason)
{
    static const struct { int64_t wall_ms; int allowed; } cases[] = {
        {5000, 0}, {59000, 0}, {60000, 1}, {-86400000, 0}, {86400000, 1}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        shelf *s = calloc(1, sizeof *s);
        const bezel_guard_windows windows = {.size = sizeof windows, .ud = s, .edit = shelf_edit};
        bezel_guard *g = guard_of(1, 60, 0, &windows, "boot number one");
        ck_assert(request(g, "ann", NULL));
        bezel_guard_free(g);
        g = guard_of(1, 60, 0, &windows, "boot number one");
        ck_assert(!request(g, "ann", NULL)); /* another process */
        bezel_guard_free(g);
        test_world_clock(&tw, 1000000, tw.wall_now_ms + cases[i].wall_ms);
        g = guard_of(1, 60, 0, &windows, "boot number two");
        ck_assert_msg(request(g, "ann", NULL) == cases[i].allowed, "wall clock %lld ms later", (long long)cases[i].wall_ms);
        bezel_guard_free(g);
        test_world_clock(&tw, INT64_C(5000000000), 1700000000000);
        free(s);
    }
}
END_TEST

START_TEST(a_state_that_is_none_is_an_empty_window)
{
    shelf *s = calloc(1, sizeof *s);
    const bezel_guard_windows windows = {.size = sizeof windows, .ud = s, .edit = shelf_edit};
    bezel_guard *g = guard_of(2, 60, 0, &windows, NULL);
    bz_rng rng;
    bz_rng_seed(&rng, 9);
    ck_assert(request(g, "ann", NULL));
    for (int i = 0; i < 3000; i++) {
        s->entries[0].size = bz_rng_next(&rng) % 60;
        s->entries[0].state[bz_rng_next(&rng) % sizeof s->entries[0].state] = (char)bz_rng_next(&rng);
        request(g, "ann", NULL); /* any answer; the sanitizers look */
    }
    memset(s->entries[0].state, 0xff, sizeof s->entries[0].state);
    s->entries[0].size = 150;
    ck_assert(request(g, "ann", NULL));
    bezel_guard_free(g);
    free(s);
}
END_TEST

Suite *guard_rate_suite(void)
{
    Suite *s = suite_create("guard_rate");
    TCase *t = tcase_create("windows");
    tcase_add_checked_fixture(t, rate_setup, rate_teardown);
    tcase_set_timeout(t, 60);
    tcase_add_test(t, r21_r26_a_user_has_100_requests_an_hour_that_slide);
    tcase_add_test(t, r21_the_wall_clock_gives_and_takes_no_quota);
    tcase_add_test(t, decisions_are_those_of_a_slow_reference);
    tcase_add_test(t, times_go_on_beyond_32_bits);
    tcase_add_test(t, r21_a_million_users_fit_in_the_default_and_memory_stays_under_its_bound);
    tcase_add_test(t, without_room_the_user_who_asked_longest_ago_is_forgotten);
    tcase_add_test(t, windows_elsewhere_are_shared_and_decide_the_same);
    tcase_add_test(t, a_restart_of_the_machine_keeps_windows_by_the_wall_clock_within_reason);
    tcase_add_test(t, a_state_that_is_none_is_an_empty_window);
    suite_add_tcase(s, t);
    return s;
}
