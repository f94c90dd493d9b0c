/* SPDX-License-Identifier: MIT */
/* Child processes: streams, environment, folder, ends of every kind, and that nothing of them is left. */
#include "base/os_process.h"

#include <check.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/child.h"
#include "support/test_world.h"

Suite *os_process_suite(void);

static test_world tw;
static bz_process *process;
static bezel_error err;
static char text[8192];
static int n_fds;

static int count_fds(void)
{
    int n = 0;
    for (int fd = 0; fd < 256; fd++)
        n += lseek(fd, 0, SEEK_CUR) != -1 || errno != EBADF;
    return n;
}

static void setup(void)
{
    const bezel_error fresh = BEZEL_ERROR_INIT;
    err = fresh;
    test_world_init(&tw);
    process = NULL;
    n_fds = count_fds();
}

static void teardown(void)
{
    bz_process_free(process);
    ck_assert(test_world_is_clean(&tw));
    ck_assert_int_eq(count_fds(), n_fds);
    ck_assert_int_eq(child_none_left(), 1);
}

static bezel_status start(const char *script, const char *const *keep, const char *const *set, const char *folder)
{
    const char *const command[] = {"sh", "-c", script, NULL};
    const bz_process_options options = {.command = command, .keep = keep, .set = set, .folder = folder};
    return bz_process_start(&process, &tw.world, &options, &err);
}

/* What it writes to a stream until the end of that. */
static const char *read_all(int stream)
{
    size_t n = 0;
    int64_t got;
    while ((got = bz_process_read(process, stream, text + n, sizeof text - 1 - n)) >= 0) {
        n += (size_t)got;
        if (got == 0)
            bz_process_wait(process, 0, 1000);
    }
    text[n] = '\0';
    return text;
}

START_TEST(what_is_written_comes_back)
{
    ck_assert_int_eq(start("read x; echo \"got $x\"; echo bad >&2; exit 5", NULL, NULL, NULL), BEZEL_OK);
    ck_assert_int_eq(bz_process_read(process, BZ_PROCESS_OUT, text, 10), 0);
    ck_assert_int_eq(bz_process_write(process, "hello\n", 6), 6);
    ck_assert_str_eq(read_all(BZ_PROCESS_OUT), "got hello\n");
    ck_assert_str_eq(read_all(BZ_PROCESS_ERR), "bad\n");
    ck_assert_int_eq(bz_process_fd(process), -1);
    bz_process_stop(process, 1000);
    bz_process_describe(process, text, sizeof text);
    ck_assert_str_eq(text, "ended with status 5");
}
END_TEST

START_TEST(a_child_gets_the_named_environment_alone)
{
    const char *const keep[] = {"PATH", "BEZEL_TEST_KEPT", "BEZEL_TEST_SET", "BEZEL_TEST_UNSET", NULL};
    const char *const set[] = {"BEZEL_TEST_SET=new", NULL};
    setenv("BEZEL_TEST_KEPT", "kept", 1);
    setenv("BEZEL_TEST_SET", "old", 1);
    setenv("BEZEL_TEST_SECRET", "secret", 1);
    ck_assert_int_eq(start("env | grep ^BEZEL | sort; pwd", keep, set, "/"), BEZEL_OK);
    ck_assert_str_eq(read_all(BZ_PROCESS_OUT), "BEZEL_TEST_KEPT=kept\nBEZEL_TEST_SET=new\n/\n");
    unsetenv("BEZEL_TEST_KEPT");
    unsetenv("BEZEL_TEST_SET");
    unsetenv("BEZEL_TEST_SECRET");
}
END_TEST

START_TEST(a_child_has_no_other_descriptor_and_no_blocked_signal)
{
    sigset_t set;
    int fd = dup(0); /* not close-on-exec, as a careless host has them */
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_BLOCK, &set, NULL);
    ck_assert_int_eq(start("ls /proc/self/fd | wc -l; grep SigBlk /proc/self/status", NULL, NULL, NULL), BEZEL_OK);
    sigprocmask(SIG_UNBLOCK, &set, NULL);
    ck_assert_str_eq(read_all(BZ_PROCESS_OUT), "4\nSigBlk:\t0000000000000000\n"); /* three, and the folder that is listed */
    close(fd);
}
END_TEST

START_TEST(what_cannot_be_started_says_why)
{
    const char *const command[] = {"/no/such/program", NULL}, *const folder[] = {"/", NULL};
    bz_process_options options = {.command = command};
    ck_assert_int_eq(bz_process_start(&process, &tw.world, &options, &err), BEZEL_ERR_MISSING);
    ck_assert_ptr_null(process);
    ck_assert_str_eq(err.text, "/no/such/program cannot be started: there is no such program");
    ck_assert_int_eq(start("true", NULL, NULL, "/no/such/folder"), BEZEL_ERR_MISSING);
    options.command = folder;
    ck_assert_int_eq(bz_process_start(&process, &tw.world, &options, &err), BEZEL_ERR_DENIED);
}
END_TEST

START_TEST(writing_to_one_that_is_gone_is_no_signal)
{
    ck_assert_int_eq(start("exit 0", NULL, NULL, NULL), BEZEL_OK);
    while (!bz_process_has_ended(process))
        bz_process_wait(process, 0, 5);
    ck_assert_int_eq(bz_process_write(process, "x", 1), -1);
    ck_assert_int_eq(bz_process_write(process, "x", 1), -1);
}
END_TEST

START_TEST(one_that_ignores_everything_is_killed_with_its_children)
{
    ck_assert_int_eq(start("trap '' TERM HUP; sleep 300 & echo $!; cat >/dev/null; wait", NULL, NULL, NULL), BEZEL_OK);
    while (bz_process_read(process, BZ_PROCESS_OUT, text, sizeof text) == 0)
        bz_process_wait(process, 0, 1000);
    long child = atol(text);
    ck_assert_int_eq(kill((pid_t)child, 0), 0);
    bz_process_stop(process, 30);
    bz_process_describe(process, text, sizeof text);
    ck_assert_str_eq(text, "was ended by signal 9");
    ck_assert_int_eq(child_is_gone(child), 1);
}
END_TEST

START_TEST(one_that_somebody_else_collects_is_only_ended)
{
    ck_assert_int_eq(start("exit 3", NULL, NULL, NULL), BEZEL_OK);
    ck_assert_int_eq(waitpid((pid_t)bz_process_id(process), NULL, 0), bz_process_id(process));
    ck_assert_int_eq(bz_process_has_ended(process), 1);
    bz_process_stop(process, 10);
    bz_process_describe(process, text, sizeof text);
    ck_assert_str_eq(text, "ended");
}
END_TEST

static bezel_status try_once(test_world *world, void *ctx)
{
    const char *const command[] = {"true", NULL}, *const keep[] = {"PATH", "HOME", NULL}, *const set[] = {"A=b", NULL};
    const bz_process_options options = {.command = command, .keep = keep, .set = set};
    bz_process *p = NULL;
    (void)ctx;
    bezel_status st = bz_process_start(&p, &world->world, &options, NULL);
    bz_process_free(p);
    return st;
}

START_TEST(every_failing_allocation_leaves_nothing)
{
    ck_assert_int_ge(test_world_sweep(&tw, try_once, NULL, BEZEL_OK), 3);
}
END_TEST

Suite *os_process_suite(void)
{
    Suite *s = suite_create("os_process");
    TCase *tc = tcase_create("process");
    tcase_add_checked_fixture(tc, setup, teardown);
    tcase_add_test(tc, what_is_written_comes_back);
    tcase_add_test(tc, a_child_gets_the_named_environment_alone);
    tcase_add_test(tc, a_child_has_no_other_descriptor_and_no_blocked_signal);
    tcase_add_test(tc, what_cannot_be_started_says_why);
    tcase_add_test(tc, writing_to_one_that_is_gone_is_no_signal);
    tcase_add_test(tc, one_that_ignores_everything_is_killed_with_its_children);
    tcase_add_test(tc, one_that_somebody_else_collects_is_only_ended);
    tcase_add_test(tc, every_failing_allocation_leaves_nothing);
    suite_add_tcase(s, tc);
    return s;
}
