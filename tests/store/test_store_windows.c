/* SPDX-License-Identifier: MIT */
/* Windows of a guard's users in the store (R21, R26): over restarts, steps of the clock and several processes. */
#include <bezel/bezel.h>
#include <bezel/guard.h>
#include <bezel/store.h>

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/rng.h"
#include "support/store_turn.h"
#include "support/temp_folder.h"
#include "support/test_engine.h"
#include "support/test_world.h"

static temp_folder folder;
static char path[600];
static test_world tw;
static bezel_engine *engine;
static bezel_store *store;
static bezel_guard *guard;
static bezel_error err;

static const char boot[2][17] = {"0123456789abcdef", "fedcba9876543210"};

static void open_both(uint32_t requests, uint32_t window_s, int which_boot, const bezel_store_options *options)
{
    bezel_guard_options o;
    ck_assert_msg(bezel_store_open(&store, engine, path, options, &err) == BEZEL_OK, "%s", err.text);
    bezel_guard_options_init(&o);
    o.max_requests = requests;
    o.window_s = window_s;
    o.windows = bezel_store_windows(store);
    o.boot = boot[which_boot];
    ck_assert_int_eq(bezel_guard_new(&guard, engine, &o, &err), BEZEL_OK);
}

static void close_both(void)
{
    bezel_guard_free(guard);
    bezel_store_close(store);
    guard = NULL;
    store = NULL;
}

static void setup(void)
{
    err = (bezel_error)BEZEL_ERROR_INIT;
    temp_folder_make(&folder);
    snprintf(path, sizeof path, "%s", temp_folder_file(&folder, "windows.db"));
    test_world_init(&tw);
    engine = test_engine_new(&tw, 1, BEZEL_ISA_SCALAR);
    test_world_clock(&tw, INT64_C(5000000000), 1700000000000);
    tw.step_ns = 0;
}

static void teardown(void)
{
    close_both();
    bezel_engine_free(engine);
    temp_folder_remove(&folder);
}

static void pass_ms(int64_t ms)
{
    tw.now_ns += ms * 1000000;
    tw.wall_now_ms += ms;
}

static int request(const char *user)
{
    bezel_status st = bezel_guard_request(NULL, guard, user, &err);
    ck_assert_msg(st == BEZEL_OK || st == BEZEL_ERR_DENIED, "%s", err.text);
    return st == BEZEL_OK;
}

START_TEST(r21_a_window_goes_on_after_a_restart_whatever_the_clock_did)
{
    open_both(3, 3600, 0, NULL);
    ck_assert(request("ann") && request("ann"));
    close_both();
    open_both(3, 3600, 0, NULL);
    ck_assert(request("ann"));
    ck_assert(!request("ann"));
    close_both();
    tw.wall_now_ms += 40 * INT64_C(86400000); /* the clock is set, the machine goes on: the monotonic clock counts */
    open_both(3, 3600, 0, NULL);
    ck_assert(!request("ann"));
    tw.wall_now_ms -= 80 * INT64_C(86400000);
    close_both();
    open_both(3, 3600, 0, NULL);
    ck_assert(!request("ann"));
    pass_ms(3599999);
    ck_assert(!request("ann"));
    pass_ms(1);
    ck_assert(request("ann"));
}
END_TEST

START_TEST(r21_after_a_start_of_the_machine_the_wall_clock_counts_and_is_never_trusted_backwards)
{
    open_both(2, 3600, 0, NULL);
    ck_assert(request("ann") && request("ann"));
    close_both();
    tw.now_ns = 1000000; /* another boot */
    tw.wall_now_ms += 600000;
    open_both(2, 3600, 1, NULL);
    ck_assert(!request("ann"));
    pass_ms(3000000 - 1);
    ck_assert(!request("ann"));
    pass_ms(1);
    ck_assert(request("ann"));
    close_both();
    tw.now_ns = 1000000;
    tw.wall_now_ms -= 10 * INT64_C(86400000);
    open_both(2, 3600, 0, NULL);
    ck_assert(request("ann"));
    ck_assert(!request("ann"));
}
END_TEST

/* Every decision is that of a list of all times, with restarts and steps of the clock on the way. */
START_TEST(r21_decisions_are_those_of_a_slow_reference_over_restarts)
{
    enum { USERS = 20, MOST = 5, STEPS = 3000 };
    static int64_t times[USERS][STEPS];
    int n[USERS] = {0};
    bz_rng rng;
    bz_rng_seed(&rng, 7);
    open_both(MOST, 10, 0, NULL);
    for (int i = 0; i < STEPS; i++) {
        const int user = (int)(bz_rng_next(&rng) % USERS);
        char name[16];
        snprintf(name, sizeof name, "user %d", user);
        pass_ms((int64_t)(bz_rng_next(&rng) % 200));
        if (i % 100 == 99) {
            close_both();
            tw.wall_now_ms += (int64_t)(bz_rng_next(&rng) % 200000) - 100000;
            open_both(MOST, 10, 0, NULL);
        }
        const int64_t now = tw.now_ns / 1000000;
        int young = 0;
        for (int k = 0; k < n[user]; k++)
            young += now - times[user][k] < 10000;
        ck_assert_int_eq(request(name), young < MOST);
        if (young < MOST)
            times[user][n[user]++] = now;
    }
}
END_TEST

START_TEST(r21_processes_that_share_a_store_share_the_windows)
{
    enum { N = 4, TRIES = 60, MOST = 100 };
    int ends[2], allowed = 0, status;
    pid_t pids[N];
    ck_assert_int_eq(pipe(ends), 0);
    open_both(MOST, 3600, 0, NULL); /* the world's random numbers are the same in all children: the file must be there */
    close_both();
    for (int i = 0; i < N; i++) {
        pids[i] = fork();
        if (pids[i] == 0) {
            unsigned char mine = 0;
            bezel_status st = BEZEL_OK;
            open_both(MOST, 3600, 0, NULL);
            for (int k = 0; k < TRIES && (st == BEZEL_OK || st == BEZEL_ERR_DENIED); k++)
                mine = (unsigned char)(mine + ((st = bezel_guard_request(NULL, guard, "ann", &err)) == BEZEL_OK));
            close_both();
            _exit((st != BEZEL_OK && st != BEZEL_ERR_DENIED) || write(ends[1], &mine, 1) != 1);
        }
    }
    for (int i = 0; i < N; i++) {
        unsigned char mine = 0;
        waitpid(pids[i], &status, 0);
        ck_assert_int_eq(status, 0);
        ck_assert_int_eq(read(ends[0], &mine, 1), 1);
        allowed += mine;
    }
    close(ends[0]);
    close(ends[1]);
    ck_assert_int_eq(allowed, MOST);
}
END_TEST

START_TEST(the_number_of_windows_is_bounded_and_the_oldest_go)
{
    bezel_store_options o;
    char name[24];
    bezel_store_options_init(&o);
    o.max_windows = 500;
    open_both(1, 3600, 0, &o);
    for (int i = 0; i < 2000; i++) {
        pass_ms(60000);
        snprintf(name, sizeof name, "user-%d", i);
        ck_assert(request(name));
        if (i % 50 == 0)
            ck_assert_int_le(store_turn_count(store, engine, "SELECT count(*) FROM rate_window"), 500);
    }
    ck_assert_int_eq(store_turn_count(store, engine, "SELECT count(*) FROM rate_window"),
                     store_turn_count(store, engine, "SELECT value FROM meta WHERE key = 'rate_windows'"));
    ck_assert(!request("user-1999"));
    ck_assert(request("user-0"));
    tw.wall_now_ms -= INT64_C(86400000000); /* users of now are not the oldest because the clock went back */
    ck_assert(request("after"));
    for (int i = 0; i < 399; i++) {
        snprintf(name, sizeof name, "more-%d", i);
        ck_assert(request(name));
    }
    ck_assert(!request("after"));
}
END_TEST

START_TEST(r35_windows_alone_do_not_take_a_file_over_its_bound)
{
    enum { MAX = 1000000, USERS = 12000 };
    bezel_store_options o;
    struct stat info;
    char name[24];
    bezel_store_options_init(&o);
    o.max_bytes = MAX;
    open_both(1, 3600, 0, &o);
    for (int i = 0; i < USERS; i++) {
        pass_ms(60000);
        snprintf(name, sizeof name, "user-%d", i);
        ck_assert(request(name));
        if (i % 100 == 0) {
            ck_assert_int_eq(stat(path, &info), 0);
            ck_assert_int_le(info.st_size, MAX);
        }
    }
    const int64_t n = store_turn_count(store, engine, "SELECT count(*) FROM rate_window");
    ck_assert_int_lt(n, USERS);
    ck_assert_int_gt(n, 1000);
    ck_assert_int_eq(n, store_turn_count(store, engine, "SELECT value FROM meta WHERE key = 'rate_windows'"));
    ck_assert(!request("user-11999")); /* who asked last is known */
}
END_TEST

START_TEST(a_store_that_cannot_be_written_refuses)
{
    bezel_store_options o;
    bezel_rate rate = {.size = sizeof rate};
    open_both(3, 3600, 0, NULL);
    close_both();
    bezel_store_options_init(&o);
    o.read_only = 1;
    open_both(3, 3600, 0, &o);
    ck_assert_int_eq(bezel_guard_request(&rate, guard, "ann", &err), BEZEL_ERR_DENIED);
    ck_assert_uint_eq(rate.allowed, 0);
    ck_assert_ptr_nonnull(strstr(err.text, "read-only"));
    ck_assert_ptr_null(bezel_store_windows(NULL));
}
END_TEST

Suite *store_windows_suite(void);
Suite *store_windows_suite(void)
{
    Suite *s = suite_create("store_windows");
    TCase *t = tcase_create("windows");
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    tcase_add_test(t, r21_a_window_goes_on_after_a_restart_whatever_the_clock_did);
    tcase_add_test(t, r21_after_a_start_of_the_machine_the_wall_clock_counts_and_is_never_trusted_backwards);
    tcase_add_test(t, r21_decisions_are_those_of_a_slow_reference_over_restarts);
    tcase_add_test(t, r21_processes_that_share_a_store_share_the_windows);
    tcase_add_test(t, the_number_of_windows_is_bounded_and_the_oldest_go);
    tcase_add_test(t, r35_windows_alone_do_not_take_a_file_over_its_bound);
    tcase_add_test(t, a_store_that_cannot_be_written_refuses);
    suite_add_tcase(s, t);
    return s;
}
