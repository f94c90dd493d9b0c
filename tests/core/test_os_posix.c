/* SPDX-License-Identifier: MIT */
/* The system's world: what it refuses, what it leaves alone. Works in a folder of its own below TMPDIR. */
#include "base/os.h"
#include "support/test_world.h"

#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static bezel_world w;
static char folder[256];
static char path[512];

static void os_setup(void)
{
    const char *tmp = getenv("TMPDIR");
    bezel_world_init(&w);
    snprintf(folder, sizeof folder, "%s/bezel-os-XXXXXX", tmp != NULL && strlen(tmp) < 200 ? tmp : "/tmp");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static const char *os_path(const char *name)
{
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return path;
}

static void os_teardown(void)
{
    static const char *const names[] = {"a", "b", "link", "loop", "fifo", "socket", "dir"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        remove(os_path(names[i]));
    ck_assert_int_eq(rmdir(folder), 0);
}

static bezel_status os_open(bezel_file **out, const char *name, uint32_t mode)
{
    return w.file_open(w.ud, out, os_path(name), mode);
}

static void os_make(const char *name, const char *text)
{
    bezel_file *f = NULL;
    ck_assert_int_eq(os_open(&f, name, BEZEL_FILE_CREATE), BEZEL_OK);
    ck_assert_int_eq(w.file_write(w.ud, f, 0, text, strlen(text)), BEZEL_OK);
    ck_assert_int_eq(w.file_sync(w.ud, f), BEZEL_OK);
    w.file_close(w.ud, f);
}

START_TEST(what_is_written_is_read_and_mapped)
{
    bezel_file *f = NULL;
    bezel_file_info info;
    const void *map = NULL;
    char text[16] = "";
    os_make("a", "hello world");
    ck_assert_int_eq(os_open(&f, "a", BEZEL_FILE_READ), BEZEL_OK);
    ck_assert_int_eq(w.file_info(w.ud, f, &info), BEZEL_OK);
    ck_assert_uint_eq(info.size, 11);
    ck_assert_int_gt(info.mtime_ns, INT64_C(1500000000000000000));
    ck_assert_uint_ne(info.identity, 0);
    ck_assert_int_eq(w.file_read(w.ud, f, 6, text, 5), BEZEL_OK);
    ck_assert_str_eq(text, "world");
    ck_assert_int_eq(w.file_read(w.ud, f, 7, text, 5), BEZEL_ERR_TRUNCATED);
    ck_assert_int_eq(w.file_read(w.ud, f, UINT64_MAX, text, 5), BEZEL_ERR_OVERFLOW);
    ck_assert_int_eq(w.file_read(w.ud, f, 99, text, 0), BEZEL_OK);
    ck_assert_int_eq(w.file_write(w.ud, f, 0, "x", 1), BEZEL_ERR_IO);
    ck_assert_int_eq(w.file_map(w.ud, f, 11, &map), BEZEL_OK);
    ck_assert_mem_eq(map, "hello world", 11);
    w.file_unmap(w.ud, map, 11);
    ck_assert_int_eq(w.file_map(w.ud, f, 0, &map), BEZEL_ERR_RANGE);
    w.file_close(w.ud, f);
}
END_TEST

START_TEST(only_regular_files_are_opened_and_nothing_hangs)
{
    bezel_file *f = NULL;
    static const char *const system[] = {"/dev/zero", "/dev/null", "/proc/self/mem", "/proc/self/status", "/"};
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int s = socket(AF_UNIX, SOCK_STREAM, 0);
    mkfifo(os_path("fifo"), 0600);
    mkdir(os_path("dir"), 0700);
    ck_assert_int_eq(symlink("loop", os_path("loop")), 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%.100s", os_path("socket"));
    ck_assert_int_eq(bind(s, (struct sockaddr *)&address, sizeof address), 0);
    static const char *const names[] = {"fifo", "dir", "loop", "socket"};
    for (size_t i = 0; i < 4; i++) {
        ck_assert_int_eq(os_open(&f, names[i], BEZEL_FILE_READ), BEZEL_ERR_IO);
        ck_assert_int_eq(os_open(&f, names[i], BEZEL_FILE_CREATE), BEZEL_ERR_IO);
    }
    for (size_t i = 0; i < sizeof system / sizeof system[0]; i++)
        ck_assert_int_eq(w.file_open(w.ud, &f, system[i], BEZEL_FILE_READ), BEZEL_ERR_IO);
    close(s);
    ck_assert_int_eq(os_open(&f, "missing", BEZEL_FILE_READ), BEZEL_ERR_MISSING);
    ck_assert_int_eq(os_open(&f, "missing/x", BEZEL_FILE_CREATE), BEZEL_ERR_MISSING);
    ck_assert_int_eq(os_open(&f, "a", 3), BEZEL_ERR_ARGUMENT);
    ck_assert_ptr_null(f);
}
END_TEST

START_TEST(a_created_file_is_private_and_does_not_follow_a_link)
{
    bezel_file *f = NULL;
    struct stat info;
    mode_t mask = umask(0);
    os_make("a", "precious");
    umask(mask);
    ck_assert_int_eq(stat(os_path("a"), &info), 0);
    ck_assert_int_eq(info.st_mode & 0777, 0600);
    ck_assert_int_eq(symlink("a", os_path("link")), 0);
    ck_assert_int_eq(os_open(&f, "link", BEZEL_FILE_CREATE), BEZEL_ERR_IO);
    ck_assert_int_eq(stat(os_path("a"), &info), 0);
    ck_assert_int_eq(info.st_size, 8);
    ck_assert_int_eq(os_open(&f, "link", BEZEL_FILE_READ), BEZEL_OK);
    w.file_close(w.ud, f);
    os_make("a", "new");
    ck_assert_int_eq(stat(os_path("a"), &info), 0);
    ck_assert_int_eq(info.st_size, 3);
}
END_TEST

START_TEST(rename_replaces_and_remove_removes)
{
    bezel_file *f = NULL;
    char from[512];
    char text[4] = "";
    os_make("a", "new");
    os_make("b", "old");
    snprintf(from, sizeof from, "%s", os_path("a"));
    ck_assert_int_eq(w.file_rename(w.ud, from, os_path("b")), BEZEL_OK);
    ck_assert_int_eq(w.file_rename(w.ud, from, os_path("b")), BEZEL_ERR_MISSING);
    ck_assert_int_eq(os_open(&f, "b", BEZEL_FILE_READ), BEZEL_OK);
    ck_assert_int_eq(w.file_read(w.ud, f, 0, text, 3), BEZEL_OK);
    w.file_close(w.ud, f);
    ck_assert_str_eq(text, "new");
    ck_assert_int_eq(w.file_remove(w.ud, os_path("b")), BEZEL_OK);
    ck_assert_int_eq(w.file_remove(w.ud, os_path("b")), BEZEL_ERR_MISSING);
}
END_TEST

START_TEST(a_replaced_file_has_another_identity)
{
    bezel_file *a = NULL;
    bezel_file *b = NULL;
    bezel_file_info info_a;
    bezel_file_info info_b;
    char from[512];
    os_make("a", "one");
    os_make("b", "two");
    ck_assert_int_eq(os_open(&a, "b", BEZEL_FILE_READ), BEZEL_OK);
    snprintf(from, sizeof from, "%s", os_path("a"));
    ck_assert_int_eq(w.file_rename(w.ud, from, os_path("b")), BEZEL_OK);
    ck_assert_int_eq(os_open(&b, "b", BEZEL_FILE_READ), BEZEL_OK);
    w.file_info(w.ud, a, &info_a);
    w.file_info(w.ud, b, &info_b);
    ck_assert_uint_ne(info_a.identity, info_b.identity);
    w.file_close(w.ud, a);
    w.file_close(w.ud, b);
}
END_TEST

/* The host closed its standard streams: our descriptors must not take their place. */
START_TEST(descriptors_are_never_those_of_the_standard_streams)
{
    bezel_file *f = NULL;
    int kept = fcntl(0, F_DUPFD_CLOEXEC, 50);
    os_make("a", "x");
    close(0);
    bezel_status status = os_open(&f, "a", BEZEL_FILE_READ);
    int flag = bz_os_flag_open();
    int zero_is_free = fcntl(0, F_GETFD) < 0;
    if (kept >= 0) {
        dup2(kept, 0);
        close(kept);
    }
    ck_assert_int_eq(status, BEZEL_OK);
    ck_assert(zero_is_free && flag >= 3);
    ck_assert_int_eq(fcntl(flag, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
    w.file_close(w.ud, f);
    bz_os_flag_close(flag);
}
END_TEST

START_TEST(errno_of_the_host_is_left_alone)
{
    bezel_file *f = NULL;
    char c;
    errno = 12345;
    w.file_open(w.ud, &f, "/no/such/file", BEZEL_FILE_READ);
    w.file_open(w.ud, &f, "/", BEZEL_FILE_READ);
    w.file_remove(w.ud, "/no/such/file");
    w.file_rename(w.ud, "/no/such/file", "/no/other");
    w.random(w.ud, &c, 1);
    bz_os_resident_bytes();
    ck_assert_int_eq(errno, 12345);
}
END_TEST

static int pipe_is_blocked(void)
{
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, NULL, &mask);
    return sigismember(&mask, SIGPIPE);
}

/* Writes where nobody reads. */
static void pipe_break(void)
{
    int ends[2];
    ck_assert_int_eq(pipe(ends), 0);
    close(ends[0]);
    ck_assert_int_eq((int)write(ends[1], "x", 1), -1);
    ck_assert_int_eq(errno, EPIPE);
    close(ends[1]);
}

START_TEST(a_broken_connection_between_block_and_restore_ends_nothing)
{
    sigset_t pipe_only, pending;
    sigemptyset(&pipe_only);
    sigaddset(&pipe_only, SIGPIPE);
    errno = 12345;
    int state = bz_os_pipe_block();
    ck_assert_int_eq(errno, 12345);
    pipe_break();
    errno = 12345;
    bz_os_pipe_restore(state);
    ck_assert_int_eq(errno, 12345);
    ck_assert_int_eq(pipe_is_blocked(), 0);
    bz_os_pipe_restore(bz_os_pipe_block()); /* nothing came */
    ck_assert_int_eq(pipe_is_blocked(), 0);

    pthread_sigmask(SIG_BLOCK, &pipe_only, NULL); /* a host that holds the signal back keeps its own */
    pipe_break();
    state = bz_os_pipe_block();
    pipe_break();
    bz_os_pipe_restore(state);
    sigpending(&pending);
    ck_assert_int_eq(sigismember(&pending, SIGPIPE), 1);
    ck_assert_int_eq(pipe_is_blocked(), 1);
    int number;
    sigwait(&pipe_only, &number);
    state = bz_os_pipe_block();
    pipe_break();
    bz_os_pipe_restore(state);
    sigpending(&pending);
    ck_assert_int_eq(sigismember(&pending, SIGPIPE), 0);
    ck_assert_int_eq(pipe_is_blocked(), 1);
    pthread_sigmask(SIG_UNBLOCK, &pipe_only, NULL);
}
END_TEST

START_TEST(random_bytes_differ_and_clocks_go_on)
{
    unsigned char a[1000];
    unsigned char b[1000];
    memset(a, 0, sizeof a);
    ck_assert_int_eq(w.random(w.ud, a, sizeof a), BEZEL_OK);
    ck_assert_int_eq(w.random(w.ud, b, sizeof b), BEZEL_OK);
    ck_assert_mem_ne(a, b, 16);
    ck_assert_mem_ne(a + sizeof a - 16, b + sizeof b - 16, 16);
    int64_t t = w.monotonic_ns(w.ud);
    ck_assert_int_ge(w.monotonic_ns(w.ud), t);
    ck_assert_int_gt(w.wall_ms(w.ud), INT64_C(1500000000000));
    ck_assert_uint_ge(bz_os_cores(), 1);
    ck_assert_uint_gt(bz_os_resident_bytes(), 100000);
}
END_TEST

typedef struct thread_facts {
    sigset_t mask;
    char name[32];
} thread_facts;

static void thread_look(void *arg)
{
    thread_facts *facts = arg;
    pthread_sigmask(SIG_SETMASK, NULL, &facts->mask);
    pthread_getname_np(pthread_self(), facts->name, sizeof facts->name);
}

START_TEST(a_thread_has_its_name_and_takes_no_signals)
{
    bezel_thread *thread = NULL;
    thread_facts facts = {.name = ""};
    sigset_t before;
    sigset_t after;
    pthread_sigmask(SIG_SETMASK, NULL, &before);
    ck_assert_int_eq(w.thread_start(w.ud, &thread, "bezel-a-name-that-is-long", thread_look, &facts), BEZEL_OK);
    w.thread_join(w.ud, thread);
    pthread_sigmask(SIG_SETMASK, NULL, &after);
    ck_assert_int_eq(sigismember(&facts.mask, SIGINT), 1);
    ck_assert_int_eq(sigismember(&facts.mask, SIGALRM), 1);
    ck_assert_int_eq(sigismember(&facts.mask, SIGTERM), 1);
    ck_assert_str_eq(facts.name, "bezel-a-name-th");
    ck_assert_int_eq(sigismember(&after, SIGINT), sigismember(&before, SIGINT));
}
END_TEST

START_TEST(locks_and_flags_do_what_they_say)
{
    bz_mutex *m = bz_mutex_new(&w);
    bz_cond *c = bz_cond_new(&w);
    bz_mutex_lock(m);
    ck_assert_int_eq(bz_mutex_try(m), 0);
    int64_t start = w.monotonic_ns(w.ud);
    ck_assert_int_eq(bz_cond_wait_ms(c, m, 20), 0);
    ck_assert_int_ge(w.monotonic_ns(w.ud) - start, 19000000);
    ck_assert_int_eq(bz_cond_wait_ms(c, m, -5), 0);
    bz_mutex_unlock(m);
    ck_assert_int_eq(bz_mutex_try(m), 1);
    bz_mutex_unlock(m);
    bz_cond_free(&w, c);
    bz_mutex_free(&w, m);
    bz_cond_free(&w, NULL);
    bz_mutex_free(&w, NULL);
    int fd = bz_os_flag_open();
    struct pollfd p = {fd, POLLIN, 0};
    ck_assert_int_eq(poll(&p, 1, 0), 0);
    bz_os_flag_clear(fd);
    bz_os_flag_set(fd);
    bz_os_flag_set(fd);
    ck_assert_int_eq(poll(&p, 1, 0), 1);
    bz_os_flag_clear(fd);
    ck_assert_int_eq(poll(&p, 1, 0), 0);
    bz_os_flag_close(fd);
    bz_os_flag_close(-1);
}
END_TEST

START_TEST(an_empty_variable_counts_as_unset)
{
    setenv("BEZEL_TEST_VARIABLE", "x", 1);
    ck_assert_str_eq(bz_os_env("BEZEL_TEST_VARIABLE"), "x");
    setenv("BEZEL_TEST_VARIABLE", "", 1);
    ck_assert_ptr_null(bz_os_env("BEZEL_TEST_VARIABLE"));
    unsetenv("BEZEL_TEST_VARIABLE");
    ck_assert_ptr_null(bz_os_env("BEZEL_TEST_VARIABLE"));
}
END_TEST

Suite *os_posix_suite(void)
{
    Suite *s = suite_create("os_posix");
    TCase *t = tcase_create("files");
    tcase_add_checked_fixture(t, os_setup, os_teardown);
    tcase_add_test(t, what_is_written_is_read_and_mapped);
    tcase_add_test(t, only_regular_files_are_opened_and_nothing_hangs);
    tcase_add_test(t, a_created_file_is_private_and_does_not_follow_a_link);
    tcase_add_test(t, rename_replaces_and_remove_removes);
    tcase_add_test(t, a_replaced_file_has_another_identity);
    tcase_add_test(t, descriptors_are_never_those_of_the_standard_streams);
    suite_add_tcase(s, t);
    t = tcase_create("process");
    tcase_add_checked_fixture(t, os_setup, os_teardown);
    tcase_add_test(t, errno_of_the_host_is_left_alone);
    tcase_add_test(t, a_broken_connection_between_block_and_restore_ends_nothing);
    tcase_add_test(t, random_bytes_differ_and_clocks_go_on);
    tcase_add_test(t, a_thread_has_its_name_and_takes_no_signals);
    tcase_add_test(t, locks_and_flags_do_what_they_say);
    tcase_add_test(t, an_empty_variable_counts_as_unset);
    suite_add_tcase(s, t);
    return s;
}
