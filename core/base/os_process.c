/* SPDX-License-Identifier: MIT */
/* Child processes on POSIX systems: posix_spawn and non-blocking pipes. Changes nothing of the host: no handler, no mask, no
 * wait for any child but its own.
 * Invariant: a signal is sent only while the child is there or waits to be collected, for its number, and that of its group,
 * may be another's afterwards. Who ignores SIGCHLD lets the system collect: what is left of the group stays then. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "base/os_process.h"

#include "base/alloc.h"
#include "base/os.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ORIGIN "process"
#define STOP_SLICE_MS 5
#define STOP_LAST_MS 2000 /* after SIGKILL; longer is a fault of the system */

enum { IN, OUT, ERR, N_STREAMS };
enum { RUNS, ENDED, COLLECTED };

struct bz_process {
    const bezel_world *world;
    pid_t id;
    int fds[N_STREAMS]; /* our ends, -1 = closed */
    int state;
    int is_known;       /* code and signal are */
    int code, signal;
};

/* --- Starting ----------------------------------------------------------------------------- */

static void process_close(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* A pipe away from the standard streams; our end does not block. */
static int process_pipe(int out[2], int ours)
{
    int fds[2];
    if (pipe2(fds, O_CLOEXEC) != 0)
        return 0;
    out[0] = bz_os_fd_high(fds[0]);
    out[1] = bz_os_fd_high(fds[1]);
    return out[0] >= 0 && out[1] >= 0 && fcntl(out[ours], F_SETFL, O_NONBLOCK) == 0;
}

static int process_is_set(const char *const *set, const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; set && set[i]; i++)
        if (strncmp(set[i], name, n) == 0 && set[i][n] == '=')
            return 1;
    return 0;
}

/* The child's environment, to be freed with its texts; NULL when memory is out. */
static char **process_environment(const bezel_world *w, const bz_process_options *o)
{
    size_t n = 0, most = 1;
    for (size_t i = 0; o->keep && o->keep[i]; i++)
        most++;
    for (size_t i = 0; o->set && o->set[i]; i++)
        most++;
    char **out = bz_zalloc_array(w, most, sizeof *out);
    for (size_t i = 0; out && o->keep && o->keep[i]; i++) {
        const char *value = process_is_set(o->set, o->keep[i]) ? NULL : bz_os_env(o->keep[i]);
        if (!value)
            continue;
        size_t name_size = strlen(o->keep[i]), size = name_size + strlen(value) + 2;
        char *text = bz_alloc(w, size);
        if (!text)
            goto failed;
        snprintf(text, size, "%s=%s", o->keep[i], value);
        out[n++] = text;
    }
    for (size_t i = 0; out && o->set && o->set[i]; i++)
        if (!(out[n++] = bz_text_dup(w, o->set[i], SIZE_MAX)))
            goto failed;
    return out;
failed:
    for (size_t i = 0; i < n; i++)
        bz_free(w, out[i]);
    bz_free(w, out);
    return NULL;
}

static int process_actions(posix_spawn_file_actions_t *actions, int pipes[N_STREAMS][2], const char *folder)
{
    int failed = 0;
    for (int i = 0; i < N_STREAMS && !failed; i++)
        failed = posix_spawn_file_actions_adddup2(actions, pipes[i][i == IN ? 0 : 1], i);
    if (!failed && folder)
        failed = posix_spawn_file_actions_addchdir_np(actions, folder);
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 34)
    if (!failed)
        failed = posix_spawn_file_actions_addclosefrom_np(actions, N_STREAMS);
#endif
    return failed;
}

static int process_attributes(posix_spawnattr_t *attributes)
{
    sigset_t set;
    sigemptyset(&set);
    int failed = posix_spawnattr_setsigmask(attributes, &set);
    sigfillset(&set);
    if (!failed)
        failed = posix_spawnattr_setsigdefault(attributes, &set);
    if (!failed)
        failed = posix_spawnattr_setpgroup(attributes, 0);
    if (!failed)
        failed = posix_spawnattr_setflags(attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
    return failed;
}

/* 0 or an errno. */
static int process_spawn(bz_process *p, int pipes[N_STREAMS][2], const bz_process_options *o, char **environment)
{
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    int failed = posix_spawn_file_actions_init(&actions);
    if (failed)
        return failed;
    failed = posix_spawnattr_init(&attributes);
    if (!failed) {
        failed = process_actions(&actions, pipes, o->folder);
        if (!failed)
            failed = process_attributes(&attributes);
        if (!failed) /* the type of argv is history: the strings are only read */
            failed = posix_spawnp(&p->id, o->command[0], &actions, &attributes, (char *const *)(uintptr_t)o->command,
                                  environment);
        posix_spawnattr_destroy(&attributes);
    }
    posix_spawn_file_actions_destroy(&actions);
    return failed;
}

static bezel_status process_refused(const bz_process_options *o, int error, bezel_error *err)
{
    const char *name = o->command[0];
    if (error == ENOMEM)
        return bz_fail_memory(err, ORIGIN, "a process", 0);
    if (error == ENOENT || error == ENOTDIR) {
        bz_fail(err, BEZEL_ERR_MISSING, ORIGIN, "%s cannot be started: there is no such program%s", name,
                o->folder ? " or folder" : "");
        return bz_error_hint(err, BEZEL_ERR_MISSING, "install it, or give its whole path");
    }
    if (error == EACCES || error == EPERM)
        return bz_fail(err, BEZEL_ERR_DENIED, ORIGIN, "%s cannot be started: the system does not allow it", name);
    if (error == E2BIG)
        return bz_fail(err, BEZEL_ERR_LIMIT, ORIGIN, "%s cannot be started: its arguments or environment are too long", name);
    return bz_fail(err, BEZEL_ERR_IO, ORIGIN, "%s cannot be started: the system gives error %d", name, error);
}

bezel_status bz_process_start(bz_process **out, const bezel_world *w, const bz_process_options *options, bezel_error *err)
{
    int pipes[N_STREAMS][2] = {{-1, -1}, {-1, -1}, {-1, -1}};
    int saved = errno, failed = 0;
    *out = NULL;
    bz_process *p = bz_zalloc(w, sizeof *p);
    char **environment = p ? process_environment(w, options) : NULL;
    if (!environment) {
        bz_free(w, p);
        return bz_fail_memory(err, ORIGIN, "a process", sizeof *p);
    }
    p->world = w;
    for (int i = 0; i < N_STREAMS && !failed; i++)
        failed = process_pipe(pipes[i], i == IN ? 1 : 0) ? 0 : errno;
    if (!failed)
        failed = process_spawn(p, pipes, options, environment);
    for (int i = 0; i < N_STREAMS; i++) {
        p->fds[i] = pipes[i][i == IN ? 1 : 0];
        process_close(&pipes[i][i == IN ? 0 : 1]);
        if (failed)
            process_close(&p->fds[i]);
    }
    for (size_t i = 0; environment[i]; i++)
        bz_free(w, environment[i]);
    bz_free(w, environment);
    errno = saved;
    if (failed) {
        bz_free(w, p);
        return process_refused(options, failed, err);
    }
    *out = p;
    return BEZEL_OK;
}

/* --- Streams ------------------------------------------------------------------------------ */

int64_t bz_process_read(bz_process *p, int stream, void *buffer, size_t size)
{
    int saved = errno;
    int64_t n = -1;
    if (p->fds[stream] >= 0) {
        n = read(p->fds[stream], buffer, size);
        if (n < 0 && (errno == EAGAIN || errno == EINTR)) {
            n = 0;
        } else if (n <= 0) {
            process_close(&p->fds[stream]);
            n = -1;
        }
    }
    errno = saved;
    return n;
}

int64_t bz_process_write(bz_process *p, const void *bytes, size_t size)
{
    int saved = errno;
    int64_t n = -1;
    if (p->fds[IN] >= 0) {
        int state = bz_os_pipe_block();
        n = write(p->fds[IN], bytes, size);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            n = 0;
        bz_os_pipe_restore(state);
        if (n < 0)
            process_close(&p->fds[IN]);
    }
    errno = saved;
    return n;
}

void bz_process_wait(bz_process *p, int want_write, int64_t timeout_ms)
{
    struct pollfd polls[N_STREAMS];
    int saved = errno;
    for (int i = 0; i < N_STREAMS; i++) /* a closed one is -1 and left alone */
        polls[i] = (struct pollfd){.fd = p->fds[i], .events = i != IN ? POLLIN : want_write ? POLLOUT : 0};
    if (poll(polls, N_STREAMS, timeout_ms < 0 ? 0 : timeout_ms > 60000 ? 60000 : (int)timeout_ms) > 0 &&
        (polls[IN].revents & POLLERR))
        process_close(&p->fds[IN]);
    errno = saved;
}

int bz_process_is_deaf(const bz_process *p)
{
    return p->fds[IN] < 0;
}

int bz_process_fd(const bz_process *p)
{
    return p->fds[OUT];
}

int64_t bz_process_id(const bz_process *p)
{
    return p->id;
}

/* --- Its end ------------------------------------------------------------------------------ */

int bz_process_has_ended(bz_process *p)
{
    siginfo_t info;
    int saved = errno;
    memset(&info, 0, sizeof info);
    if (p->state == RUNS && waitid(P_PID, (id_t)p->id, &info, WEXITED | WNOHANG | WNOWAIT) == 0) {
        if (info.si_pid == p->id) {
            p->state = ENDED;
            p->is_known = 1;
            p->code = info.si_code == CLD_EXITED ? info.si_status : 0;
            p->signal = info.si_code == CLD_EXITED ? 0 : info.si_status;
        }
    } else if (p->state == RUNS && errno == ECHILD) {
        p->state = COLLECTED; /* by somebody else */
    }
    errno = saved;
    return p->state != RUNS;
}

/* Waits for the end and drops what it writes, so that it is not stuck there. */
static int process_await(bz_process *p, int64_t timeout_ms)
{
    char dropped[4096];
    for (int64_t left = timeout_ms; !bz_process_has_ended(p); left -= STOP_SLICE_MS) {
        if (left <= 0)
            return 0;
        int got = 0;
        for (int i = OUT; i <= ERR; i++)
            got |= bz_process_read(p, i, dropped, sizeof dropped) > 0;
        if (!got)
            poll(NULL, 0, STOP_SLICE_MS);
    }
    return 1;
}

void bz_process_stop(bz_process *p, int64_t grace_ms)
{
    static const int signals[] = {SIGTERM, SIGKILL};
    int saved = errno;
    process_close(&p->fds[IN]);
    int gone = process_await(p, grace_ms);
    for (size_t i = grace_ms > 0 ? 0 : 1; !gone && i < 2; i++) {
        kill(-p->id, signals[i]);
        gone = process_await(p, signals[i] == SIGKILL ? STOP_LAST_MS : grace_ms);
    }
    if (p->state == ENDED) {
        kill(-p->id, SIGKILL);
        while (waitpid(p->id, NULL, 0) < 0 && errno == EINTR)
            continue;
        p->state = COLLECTED;
    }
    process_close(&p->fds[OUT]);
    process_close(&p->fds[ERR]);
    errno = saved;
}

void bz_process_describe(const bz_process *p, char *out, size_t capacity)
{
    if (!p->is_known)
        snprintf(out, capacity, "ended");
    else if (p->signal)
        snprintf(out, capacity, "was ended by signal %d", p->signal);
    else
        snprintf(out, capacity, "ended with status %d", p->code);
}

void bz_process_free(bz_process *p)
{
    if (!p)
        return;
    bz_process_stop(p, 0);
    bz_free(p->world, p);
}
