/* SPDX-License-Identifier: MIT */
/* What `bezel bench` asks of the machine: read bandwidth, pages in memory, processes of its own. Knows no model. */
#include "command_bench.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

extern char **environ;

#define PROBE_BYTES ((size_t)256 << 20) /* more than the last cache of common machines has */
#define PROBE_MAX_THREADS 256

double bench_now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* --- Read bandwidth ----------------------------------------------------------------------- */

typedef struct probe_part {
    const uint64_t *words;
    size_t n;
    uint64_t sum;
} probe_part;

static void *probe_scan(void *argument) {
    probe_part *part = argument;
    uint64_t a = 0, b = 0, c = 0, d = 0;
    for (size_t i = 0; i + 8 <= part->n; i += 8) { /* a cache line each time */
        a ^= part->words[i] ^ part->words[i + 4];
        b ^= part->words[i + 1] ^ part->words[i + 5];
        c ^= part->words[i + 2] ^ part->words[i + 6];
        d ^= part->words[i + 3] ^ part->words[i + 7];
    }
    part->sum = a ^ b ^ c ^ d;
    return NULL;
}

static double probe_once(const uint64_t *words, int threads, uint64_t *sum) {
    probe_part parts[PROBE_MAX_THREADS];
    pthread_t ids[PROBE_MAX_THREADS];
    size_t n = PROBE_BYTES / sizeof *words / (size_t)threads;
    int started = 1;
    double t = bench_now_ms();
    for (int i = 0; i < threads; i++) parts[i] = (probe_part){words + n * (size_t)i, n, 0};
    while (started < threads && pthread_create(&ids[started], NULL, probe_scan, &parts[started]) == 0) started++;
    probe_scan(&parts[0]);
    for (int i = 1; i < started; i++) pthread_join(ids[i], NULL);
    t = bench_now_ms() - t;
    for (int i = 0; i < started; i++) *sum ^= parts[i].sum;
    return (double)(n * (size_t)started * sizeof *words) / t / 1e6;
}

static _Noreturn void probe_serve(int ask, int answer, int threads) {
    uint64_t *words = mmap(NULL, PROBE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    uint64_t sum = 0;
    char request;
    if (words == MAP_FAILED) _exit(1);
    madvise(words, PROBE_BYTES, MADV_HUGEPAGE);
    for (size_t i = 0; i < PROBE_BYTES / sizeof *words; i += 8) words[i] = i;
    while (read(ask, &request, 1) == 1) {
        double rate = probe_once(words, threads, &sum);
        if (sum == 1) rate = 0; /* the sum is used, so the reads stay */
        if (write(answer, &rate, sizeof rate) != (ssize_t)sizeof rate) break;
    }
    _exit(0);
}

int bench_probe_start(bench_probe *probe, int64_t threads) {
    int ask[2], answer[2];
    long cores = sysconf(_SC_NPROCESSORS_ONLN);
    if (threads < 1) threads = cores < 1 ? 1 : cores > 8 ? 8 : cores;
    if (threads > PROBE_MAX_THREADS) threads = PROBE_MAX_THREADS;
    if (pipe2(ask, O_CLOEXEC) != 0) return cmd_error("no pipe for the bandwidth probe: %s", strerror(errno));
    if (pipe2(answer, O_CLOEXEC) != 0) {
        close(ask[0]);
        close(ask[1]);
        return cmd_error("no pipe for the bandwidth probe: %s", strerror(errno));
    }
    fflush(NULL);
    pid_t pid = fork();
    if (pid == 0) {
        close(ask[1]);
        close(answer[0]);
        probe_serve(ask[0], answer[1], (int)threads);
    }
    close(ask[0]);
    close(answer[1]);
    *probe = (bench_probe){pid, ask[1], answer[0]};
    if (pid > 0) return CMD_OK;
    close(ask[1]);
    close(answer[0]);
    *probe = (bench_probe){0};
    return cmd_error("the bandwidth probe does not start: %s", strerror(errno));
}

double bench_probe_read(bench_probe *probe) {
    double rate = 0;
    if (!probe->pid || write(probe->ask, "r", 1) != 1) return 0;
    return read(probe->answer, &rate, sizeof rate) == (ssize_t)sizeof rate ? rate : 0;
}

void bench_probe_stop(bench_probe *probe) {
    if (!probe->pid) return;
    close(probe->ask); /* it ends when nobody can ask any more */
    close(probe->answer);
    waitpid(probe->pid, NULL, 0);
    probe->pid = 0;
}

/* --- Pages -------------------------------------------------------------------------------- */

/* Adds the pages of a finished mapping to the kind that its path says. */
static void pages_count(bench_pages *out, const char *path, int64_t resident, int64_t anonymous, const char *model,
                        const char *folder) {
    int64_t clean = resident - anonymous;
    out->anonymous += anonymous;
    if (model && strcmp(path, model) == 0)
        out->model_file += clean;
    else if (folder && *folder && strncmp(path, folder, strlen(folder)) == 0 && path[strlen(folder)] == '/')
        out->side_file += clean;
    else
        out->other_file += clean;
}

int bench_pages_read(bench_pages *out, const char *model_path, const char *cache_folder) {
    FILE *in = fopen("/proc/self/smaps", "r");
    char line[8192], path[4096] = "";
    char *model = realpath(model_path, NULL), *folder = cache_folder ? realpath(cache_folder, NULL) : NULL;
    long long resident = 0, anonymous = 0;
    memset(out, 0, sizeof *out);
    while (in && fgets(line, sizeof line, in)) {
        char *slash = strchr(line, '/');
        unsigned long long from, to;
        if (sscanf(line, "%llx-%llx ", &from, &to) == 2) { /* the first line of the next mapping */
            pages_count(out, path, resident, anonymous, model, folder);
            resident = anonymous = 0;
            line[strcspn(line, "\n")] = 0;
            snprintf(path, sizeof path, "%s", slash ? slash : "");
        } else if (sscanf(line, "Rss: %lld kB", &resident) == 1) {
            resident *= 1024;
        } else if (sscanf(line, "Anonymous: %lld kB", &anonymous) == 1) {
            anonymous *= 1024;
        }
    }
    pages_count(out, path, resident, anonymous, model, folder);
    free(model);
    free(folder);
    if (!in) return cmd_error("/proc/self/smaps cannot be read: %s", strerror(errno));
    fclose(in);
    return CMD_OK;
}

/* --- Processes ---------------------------------------------------------------------------- */

/* Our environment with XDG_CACHE_HOME=cache in front. Owns: free() for the list and its first text. */
static char **child_environment(const char *cache) {
    size_t n = 0, size = strlen(cache) + sizeof "XDG_CACHE_HOME=";
    while (environ[n]) n++;
    char **list = malloc((n + 2) * sizeof *list), *text = malloc(size);
    if (!list || !text) {
        free(list);
        free(text);
        return NULL;
    }
    snprintf(text, size, "XDG_CACHE_HOME=%s", cache);
    list[0] = text;
    size_t to = 1;
    for (size_t i = 0; i < n; i++)
        if (strncmp(environ[i], "XDG_CACHE_HOME=", sizeof "XDG_CACHE_HOME=" - 1) != 0) list[to++] = environ[i];
    list[to] = NULL;
    return list;
}

/* Reads everything; the time of the first byte goes to out. */
static int child_read(bench_child *out, int from, double start) {
    size_t capacity = 4096;
    ssize_t n = 1;
    out->output = malloc(capacity);
    while (out->output && n > 0) {
        n = read(from, out->output + out->size, capacity - out->size - 1);
        if (n < 0 && errno == EINTR) n = 1;
        else if (n > 0 && out->size == 0) out->first_ms = bench_now_ms() - start;
        if (n > 0) out->size += (size_t)n;
        if (out->size + 1 < capacity) continue;
        char *larger = realloc(out->output, capacity *= 2);
        if (!larger) free(out->output);
        out->output = larger;
    }
    if (!out->output) return cmd_error("out of memory");
    out->output[out->size] = 0;
    return CMD_OK;
}

int bench_child_run(bench_child *out, char *const argv[], const char *cache) {
    int ends[2], result = -1;
    pid_t pid = 0;
    posix_spawn_file_actions_t actions;
    char **environment = cache ? child_environment(cache) : environ;
    memset(out, 0, sizeof *out);
    if (!environment) return cmd_error("out of memory");
    if (pipe2(ends, O_CLOEXEC) != 0) return cmd_error("no pipe: %s", strerror(errno));
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO); /* what else is open closes with exec */
    double start = bench_now_ms();
    int failed = posix_spawn(&pid, "/proc/self/exe", &actions, NULL, argv, environment);
    posix_spawn_file_actions_destroy(&actions);
    close(ends[1]);
    int status = failed ? cmd_error("no process: %s", strerror(failed)) : child_read(out, ends[0], start);
    close(ends[0]);
    if (!failed)
        while (waitpid(pid, &result, 0) < 0 && errno == EINTR) continue;
    out->end_ms = bench_now_ms() - start;
    if (cache) {
        free(environment[0]);
        free(environment);
    }
    if (status == CMD_OK && (!WIFEXITED(result) || WEXITSTATUS(result) != 0 || out->size == 0))
        status = cmd_error("bezel %s as a process of its own fails", argv[1]);
    if (status == CMD_OK) return CMD_OK;
    free(out->output);
    out->output = NULL;
    return status;
}

char *bench_folder_new(void) {
    const char *base = getenv("TMPDIR");
    size_t n;
    if (!base || base[0] != '/') base = "/tmp";
    n = strlen(base) + sizeof "/bezel-bench-XXXXXX";
    char *path = malloc(n);
    if (!path) return NULL;
    snprintf(path, n, "%s/bezel-bench-XXXXXX", base);
    if (mkdtemp(path)) return path;
    free(path);
    return NULL;
}

/* Files of path/bezel, then both folders: no other ever gets anything into them. */
void bench_folder_remove(char *folder) {
    char path[4096];
    if (!folder) return;
    snprintf(path, sizeof path, "%s/bezel", folder);
    DIR *dir = opendir(path);
    for (struct dirent *e; dir && (e = readdir(dir)) != NULL;)
        if (e->d_name[0] != '.') unlinkat(dirfd(dir), e->d_name, 0);
    if (dir) closedir(dir);
    rmdir(path);
    rmdir(folder);
    free(folder);
}
