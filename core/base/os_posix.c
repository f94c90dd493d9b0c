/* SPDX-License-Identifier: MIT */
/* POSIX systems (Linux first): the default world, locks and waitable flags.
 * Files are regular files only, descriptors are close-on-exec and never 0, 1 or 2, nothing created follows a symbolic link
 * or is readable by others. The host's errno stays as it was. Installs no signal handler and changes no process state. */
#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include "base/os.h"

#include "base/alloc.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#if defined(__linux__)
#include <sys/syscall.h>
#endif
#include <time.h>
#include <unistd.h>
#if defined(__linux__)
#include <linux/magic.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <sys/vfs.h>
#endif

/* Touched only as far as used; the process's own limit may be far smaller or larger. */
#define BZ_OS_STACK_SIZE ((size_t)2 << 20)
#define BZ_OS_LOWEST_FD 3
/* More than any file system takes in one call; larger requests go in pieces. */
#define BZ_OS_IO_SIZE ((size_t)1 << 30)

static bezel_status os_status(int error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
        return BEZEL_ERR_MISSING;
    case EACCES:
    case EPERM:
    case EROFS:
        return BEZEL_ERR_DENIED;
    case ENOMEM:
        return BEZEL_ERR_MEMORY;
    case ENOSPC:
    case EDQUOT:
        return BEZEL_ERR_FULL;
    default:
        return BEZEL_ERR_IO;
    }
}

/* Puts errno back to what the host had and returns the status of the error that was in it. */
static bezel_status os_failed(int saved)
{
    bezel_status status = os_status(errno);
    errno = saved;
    return status;
}

/* --- Memory, clocks, random --------------------------------------------------------------- */

static void *os_allocate(void *ud, void *ptr, size_t old_size, size_t new_size)
{
    int saved = errno;
    void *block = NULL;
    (void)ud;
    (void)old_size;
    if (new_size == 0)
        free(ptr);
    else
        block = realloc(ptr, new_size);
    errno = saved;
    return block;
}

static int64_t os_monotonic_ns(void *ud)
{
    struct timespec t = {0, 0};
    (void)ud;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static int64_t os_wall_ms(void *ud)
{
    struct timespec t = {0, 0};
    (void)ud;
    clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static bezel_status os_random(void *ud, void *buffer, size_t size)
{
    int saved = errno;
    unsigned char *bytes = buffer;
    (void)ud;
    while (size > 0) {
        size_t part = size < 256 ? size : 256; /* the most that getentropy gives */
        if (getentropy(bytes, part) != 0)
            return os_failed(saved);
        bytes += part;
        size -= part;
    }
    return BEZEL_OK;
}

/* --- Files -------------------------------------------------------------------------------- */

/* A bezel_file is the descriptor itself, so opening allocates nothing. */
static int os_fd(const bezel_file *file)
{
    return (int)(intptr_t)file;
}

int bz_os_fd_high(int fd)
{
    int high;
    if (fd < 0 || fd >= BZ_OS_LOWEST_FD)
        return fd;
    high = fcntl(fd, F_DUPFD_CLOEXEC, BZ_OS_LOWEST_FD);
    close(fd);
    return high;
}

/* Files of proc and sysfs call themselves regular, but their size is not what can be read. */
static int os_is_plain(int fd, const struct stat *info)
{
    if (!S_ISREG(info->st_mode))
        return 0;
#if defined(__linux__)
    struct statfs fs;
    if (fstatfs(fd, &fs) == 0 && (fs.f_type == PROC_SUPER_MAGIC || fs.f_type == SYSFS_MAGIC))
        return 0;
#else
    (void)fd;
#endif
    return 1;
}

/* O_NONBLOCK: opening a FIFO that took the place of the file must not wait for a writer. Looking at the path before
 * opening keeps devices from being opened at all; looking at the descriptor is what counts. */
static bezel_status os_file_open(void *ud, bezel_file **out, const char *path, uint32_t mode)
{
    int saved = errno;
    int flags = O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    int create = mode == BEZEL_FILE_CREATE;
    int fd;
    struct stat info;
    (void)ud;
    if (!create && mode != BEZEL_FILE_READ)
        return BEZEL_ERR_ARGUMENT;
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode))
        return BEZEL_ERR_IO;
    fd = bz_os_fd_high(open(path, flags | (create ? O_RDWR | O_CREAT | O_NOFOLLOW : O_RDONLY), 0600));
    if (fd < 0)
        return os_failed(saved);
    if (fstat(fd, &info) != 0 || (create && S_ISREG(info.st_mode) && ftruncate(fd, 0) != 0)) {
        bezel_status status = os_failed(saved);
        close(fd);
        errno = saved;
        return status;
    }
    if (!os_is_plain(fd, &info)) {
        close(fd);
        errno = saved;
        return BEZEL_ERR_IO;
    }
    *out = (bezel_file *)(intptr_t)fd;
    errno = saved;
    return BEZEL_OK;
}

static bezel_status os_file_info(void *ud, bezel_file *file, bezel_file_info *out)
{
    int saved = errno;
    struct stat info;
    (void)ud;
    if (fstat(os_fd(file), &info) != 0)
        return os_failed(saved);
    out->size = (uint64_t)info.st_size;
    out->mtime_ns = (int64_t)info.st_mtim.tv_sec * 1000000000 + info.st_mtim.tv_nsec;
    /* Odd factor: different inodes of one device stay different. */
    out->identity = (uint64_t)info.st_ino * UINT64_C(0x9E3779B97F4A7C15) ^ (uint64_t)info.st_dev;
    if (out->identity == 0)
        out->identity = 1;
    return BEZEL_OK;
}

static bezel_status os_file_read(void *ud, bezel_file *file, uint64_t offset, void *buffer, size_t size)
{
    int saved = errno;
    unsigned char *bytes = buffer;
    (void)ud;
    if (offset > INT64_MAX || size > INT64_MAX - offset)
        return BEZEL_ERR_OVERFLOW;
    while (size > 0) {
        ssize_t n = pread(os_fd(file), bytes, size < BZ_OS_IO_SIZE ? size : BZ_OS_IO_SIZE, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return os_failed(saved);
        if (n == 0) {
            errno = saved;
            return BEZEL_ERR_TRUNCATED;
        }
        bytes += n;
        size -= (size_t)n;
        offset += (uint64_t)n;
    }
    errno = saved;
    return BEZEL_OK;
}

static bezel_status os_file_write(void *ud, bezel_file *file, uint64_t offset, const void *bytes, size_t size)
{
    int saved = errno;
    const unsigned char *from = bytes;
    (void)ud;
    if (offset > INT64_MAX || size > INT64_MAX - offset)
        return BEZEL_ERR_OVERFLOW;
    while (size > 0) {
        ssize_t n = pwrite(os_fd(file), from, size < BZ_OS_IO_SIZE ? size : BZ_OS_IO_SIZE, (off_t)offset);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return os_failed(saved);
        from += n;
        size -= (size_t)n;
        offset += (uint64_t)n;
    }
    errno = saved;
    return BEZEL_OK;
}

/* Shared, so that pages are those of the page cache and count once for all processes. */
static bezel_status os_file_map(void *ud, bezel_file *file, uint64_t size, const void **out)
{
    int saved = errno;
    void *address;
    (void)ud;
    if (size == 0 || size > SIZE_MAX)
        return BEZEL_ERR_RANGE;
    address = mmap(NULL, (size_t)size, PROT_READ, MAP_SHARED, os_fd(file), 0);
    if (address == MAP_FAILED)
        return os_failed(saved);
    bz_os_huge_pages(address, (size_t)size); /* where the file system keeps them: weights are read once a token */
    *out = address;
    return BEZEL_OK;
}

static void os_file_unmap(void *ud, const void *address, uint64_t size)
{
    int saved = errno;
    (void)ud;
    munmap((void *)(uintptr_t)address, (size_t)size);
    errno = saved;
}

static bezel_status os_file_sync(void *ud, bezel_file *file)
{
    int saved = errno;
    (void)ud;
    while (fsync(os_fd(file)) != 0) {
        if (errno != EINTR)
            return os_failed(saved);
    }
    errno = saved;
    return BEZEL_OK;
}

static void os_file_close(void *ud, bezel_file *file)
{
    int saved = errno;
    (void)ud;
    close(os_fd(file));
    errno = saved;
}

/* The directory's own record of the new name, so that it survives a power loss. Some file systems cannot; the rename
 * itself has happened by then, so a failure here is not reported. */
static void os_sync_directory(const char *path)
{
    char folder[4096];
    const char *slash = strrchr(path, '/');
    size_t size = slash == NULL ? 0 : (size_t)(slash - path);
    int fd;
    if (size >= sizeof folder)
        return;
    memcpy(folder, path, size);
    folder[size] = '\0';
    if (size == 0)
        memcpy(folder, slash == NULL ? "." : "/", 2);
    fd = bz_os_fd_high(open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (fd < 0)
        return;
    fsync(fd);
    close(fd);
}

static bezel_status os_file_rename(void *ud, const char *from, const char *to)
{
    int saved = errno;
    (void)ud;
    if (rename(from, to) != 0)
        return os_failed(saved);
    os_sync_directory(to);
    errno = saved;
    return BEZEL_OK;
}

static bezel_status os_file_remove(void *ud, const char *path)
{
    int saved = errno;
    (void)ud;
    if (unlink(path) != 0)
        return os_failed(saved);
    return BEZEL_OK;
}

static bezel_status os_file_list(void *ud, const char *folder, void (*fn)(void *arg, const char *name), void *arg)
{
    int saved = errno;
    DIR *dir = opendir(folder);
    (void)ud;
    if (dir == NULL)
        return os_failed(saved);
    for (const struct dirent *entry; (entry = readdir(dir)) != NULL;)
        fn(arg, entry->d_name);
    closedir(dir);
    errno = saved;
    return BEZEL_OK;
}

/* --- Threads ------------------------------------------------------------------------------ */

struct bezel_thread {
    pthread_t id;
    void (*fn)(void *arg);
    void *arg;
    char name[16];
};

static void *os_thread_main(void *arg)
{
    bezel_thread *thread = arg;
#if defined(__linux__)
    pthread_setname_np(pthread_self(), thread->name);
#endif
    thread->fn(thread->arg);
    return NULL;
}

static bezel_status os_thread_start(void *ud, bezel_thread **out, const char *name, void (*fn)(void *arg), void *arg)
{
    bezel_thread *thread = os_allocate(NULL, NULL, 0, sizeof *thread);
    pthread_attr_t attributes;
    sigset_t all;
    sigset_t before;
    size_t length = strlen(name);
    int failed;
    (void)ud;
    if (thread == NULL)
        return BEZEL_ERR_MEMORY;
    thread->fn = fn;
    thread->arg = arg;
    if (length > sizeof thread->name - 1)
        length = sizeof thread->name - 1;
    memcpy(thread->name, name, length);
    thread->name[length] = '\0';
    failed = pthread_attr_init(&attributes);
    if (failed != 0)
        goto done;
    pthread_attr_setstacksize(&attributes, BZ_OS_STACK_SIZE);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    failed = pthread_create(&thread->id, &attributes, os_thread_main, thread);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&attributes);
done:
    if (failed != 0) {
        os_allocate(NULL, thread, sizeof *thread, 0);
        return os_status(failed);
    }
    *out = thread;
    return BEZEL_OK;
}

static void os_thread_join(void *ud, bezel_thread *thread)
{
    (void)ud;
    pthread_join(thread->id, NULL);
    os_allocate(NULL, thread, sizeof *thread, 0);
}

void bz_os_world(bezel_world *out)
{
    memset(out, 0, sizeof *out);
    out->size = (uint32_t)sizeof *out;
    out->allocate = os_allocate;
    out->monotonic_ns = os_monotonic_ns;
    out->wall_ms = os_wall_ms;
    out->random = os_random;
    out->file_open = os_file_open;
    out->file_info = os_file_info;
    out->file_read = os_file_read;
    out->file_write = os_file_write;
    out->file_map = os_file_map;
    out->file_unmap = os_file_unmap;
    out->file_sync = os_file_sync;
    out->file_close = os_file_close;
    out->file_rename = os_file_rename;
    out->file_remove = os_file_remove;
    out->file_list = os_file_list;
    out->thread_start = os_thread_start;
    out->thread_join = os_thread_join;
}

void bezel_world_init(bezel_world *out)
{
    bz_os_world(out);
}

/* --- Facts about the process -------------------------------------------------------------- */

unsigned bz_os_cores(void)
{
    long n = 0;
#if defined(__linux__)
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        n = CPU_COUNT(&set);
#endif
    if (n <= 0)
        n = sysconf(_SC_NPROCESSORS_ONLN);
    return n < 1 ? 1u : n > 4096 ? 4096u : (unsigned)n;
}

int bz_os_may_use(unsigned cpu)
{
#if defined(__linux__)
    cpu_set_t set;
    return cpu < CPU_SETSIZE && sched_getaffinity(0, sizeof set, &set) == 0 && CPU_ISSET(cpu, &set);
#else
    (void)cpu;
    return 0;
#endif
}

void bz_os_pin(unsigned cpu)
{
#if defined(__linux__)
    cpu_set_t set;
    CPU_ZERO(&set);
    if (cpu < CPU_SETSIZE) {
        CPU_SET(cpu, &set);
        (void)sched_setaffinity(0, sizeof set, &set);
    }
#else
    (void)cpu;
#endif
}

void bz_os_give_way(void)
{
#if defined(__linux__)
    (void)setpriority(PRIO_PROCESS, (id_t)gettid(), 19); /* on Linux a thread has a priority of its own */
#endif
}

size_t bz_os_page_size(void)
{
    long n = sysconf(_SC_PAGESIZE);
    return n <= 0 ? 4096u : (size_t)n;
}

void bz_os_huge_pages(void *p, size_t size)
{
#if defined(__linux__)
    int saved = errno;
    (void)madvise(p, size, MADV_HUGEPAGE);
    errno = saved;
#else
    (void)p;
    (void)size;
#endif
}

const char *bz_os_env(const char *name)
{
    const char *value = getenv(name);
    return value == NULL || value[0] == '\0' ? NULL : value;
}

/* Value in bytes of a "Name:   123 kB" line of the kernel's account of this process. */
static uint64_t os_status_line(const char *name)
{
    char text[4096];
    int saved = errno;
    int fd = bz_os_fd_high(open("/proc/self/status", O_RDONLY | O_CLOEXEC));
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    const char *line;
    if (fd >= 0)
        close(fd);
    errno = saved;
    if (n <= 0)
        return 0;
    text[n] = '\0';
    line = strstr(text, name);
    return line == NULL ? 0 : strtoull(line + strlen(name), NULL, 10) * 1024;
}

uint64_t bz_os_resident_bytes(void)
{
    return os_status_line("\nVmRSS:");
}

void bz_os_boot_id(uint8_t out[16])
{
    char text[40] = "";
    int saved = errno, digits = 0;
    int fd = bz_os_fd_high(open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC));
    ssize_t n = fd < 0 ? -1 : read(fd, text, sizeof text - 1);
    if (fd >= 0)
        close(fd);
    errno = saved;
    memset(out, 0, 16);
    for (ssize_t i = 0; i < n && digits < 32; i++) {
        const char c = text[i];
        if ((c >= '0' && c <= '9') || (c >= 'a' && c <= 'f')) {
            out[digits / 2] = (uint8_t)(out[digits / 2] * 16 + (c <= '9' ? c - '0' : c - 'a' + 10));
            digits++;
        }
    }
}

/* --- Locks -------------------------------------------------------------------------------- */

struct bz_mutex {
    pthread_mutex_t mutex;
};

struct bz_cond {
    pthread_cond_t cond;
};

bz_mutex *bz_mutex_new(const bezel_world *w)
{
    bz_mutex *m = bz_alloc(w, sizeof *m);
    if (m != NULL && pthread_mutex_init(&m->mutex, NULL) != 0) {
        bz_free(w, m);
        m = NULL;
    }
    return m;
}

void bz_mutex_free(const bezel_world *w, bz_mutex *m)
{
    if (m == NULL)
        return;
    pthread_mutex_destroy(&m->mutex);
    bz_free(w, m);
}

void bz_mutex_lock(bz_mutex *m)
{
    pthread_mutex_lock(&m->mutex);
}

int bz_mutex_try(bz_mutex *m)
{
    return pthread_mutex_trylock(&m->mutex) == 0;
}

void bz_mutex_unlock(bz_mutex *m)
{
    pthread_mutex_unlock(&m->mutex);
}

bz_cond *bz_cond_new(const bezel_world *w)
{
    bz_cond *c = bz_alloc(w, sizeof *c);
    pthread_condattr_t attributes;
    int failed;
    if (c == NULL)
        return NULL;
    failed = pthread_condattr_init(&attributes);
    if (failed == 0) {
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        failed = pthread_cond_init(&c->cond, &attributes);
        pthread_condattr_destroy(&attributes);
    }
    if (failed != 0) {
        bz_free(w, c);
        c = NULL;
    }
    return c;
}

void bz_cond_free(const bezel_world *w, bz_cond *c)
{
    if (c == NULL)
        return;
    pthread_cond_destroy(&c->cond);
    bz_free(w, c);
}

void bz_cond_wait(bz_cond *c, bz_mutex *m)
{
    pthread_cond_wait(&c->cond, &m->mutex);
}

int bz_cond_wait_ms(bz_cond *c, bz_mutex *m, int64_t timeout_ms)
{
    struct timespec end = {0, 0};
    const int64_t longest_ms = (int64_t)1 << 40; /* 34 years: no overflow below */
    if (timeout_ms < 0)
        timeout_ms = 0;
    if (timeout_ms > longest_ms)
        timeout_ms = longest_ms;
    clock_gettime(CLOCK_MONOTONIC, &end);
    end.tv_sec += (time_t)(timeout_ms / 1000);
    end.tv_nsec += (long)(timeout_ms % 1000) * 1000000;
    if (end.tv_nsec >= 1000000000) {
        end.tv_sec++;
        end.tv_nsec -= 1000000000;
    }
    return pthread_cond_timedwait(&c->cond, &m->mutex, &end) == 0;
}

void bz_cond_signal(bz_cond *c)
{
    pthread_cond_signal(&c->cond);
}

void bz_cond_broadcast(bz_cond *c)
{
    pthread_cond_broadcast(&c->cond);
}

/* --- Waitable flags ----------------------------------------------------------------------- */

/* Systems without eventfd have no descriptor here: bezel_job_start says so, and jobs are stepped there. */
int bz_os_flag_open(void)
{
#if defined(__linux__)
    int saved = errno;
    int fd = bz_os_fd_high(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    errno = saved;
    return fd;
#else
    return -1;
#endif
}

void bz_os_flag_set(int fd)
{
    int saved = errno;
    uint64_t one = 1;
    while (write(fd, &one, sizeof one) < 0 && errno == EINTR)
        continue;
    errno = saved;
}

void bz_os_flag_clear(int fd)
{
    int saved = errno;
    uint64_t count;
    while (read(fd, &count, sizeof count) < 0 && errno == EINTR)
        continue;
    errno = saved;
}

void bz_os_flag_close(int fd)
{
    int saved = errno;
    if (fd >= 0)
        close(fd);
    errno = saved;
}

static pthread_mutex_t os_process_mutex = PTHREAD_MUTEX_INITIALIZER; /* a mutable global on purpose, see os.h */

int bz_os_allow_amx(void)
{
#if defined(__linux__) && defined(SYS_arch_prctl)
    return syscall(SYS_arch_prctl, 0x1023 /* ARCH_REQ_XCOMP_PERM */, 18UL /* XFEATURE_XTILEDATA */) == 0;
#else
    return 0;
#endif
}

void bz_os_process_lock(void)
{
    pthread_mutex_lock(&os_process_mutex);
}

void bz_os_process_unlock(void)
{
    pthread_mutex_unlock(&os_process_mutex);
}

void bz_os_pause(void)
{
#if defined(__x86_64__) || defined(__i386__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}

/* --- Broken connections ------------------------------------------------------------------- */

enum { OS_PIPE_KEEP, OS_PIPE_DROP, OS_PIPE_DROP_UNBLOCK };

int bz_os_pipe_block(void)
{
    int saved = errno;
    int state = OS_PIPE_KEEP; /* one waits already, so it is blocked and the host's */
    sigset_t pipe;
    sigset_t before;
    sigset_t pending;
    sigemptyset(&pending);
    sigpending(&pending);
    if (!sigismember(&pending, SIGPIPE)) {
        sigemptyset(&pipe);
        sigaddset(&pipe, SIGPIPE);
        sigemptyset(&before);
        pthread_sigmask(SIG_BLOCK, &pipe, &before);
        state = sigismember(&before, SIGPIPE) ? OS_PIPE_DROP : OS_PIPE_DROP_UNBLOCK;
    }
    errno = saved;
    return state;
}

void bz_os_pipe_restore(int state)
{
    int saved = errno;
    sigset_t pipe;
    sigset_t pending;
    int number;
    if (state == OS_PIPE_KEEP)
        return;
    sigemptyset(&pending);
    sigpending(&pending);
    sigemptyset(&pipe);
    sigaddset(&pipe, SIGPIPE);
    if (sigismember(&pending, SIGPIPE))
        sigwait(&pipe, &number);
    if (state == OS_PIPE_DROP_UNBLOCK)
        pthread_sigmask(SIG_UNBLOCK, &pipe, NULL);
    errno = saved;
}
