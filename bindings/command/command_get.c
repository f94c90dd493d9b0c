/* SPDX-License-Identifier: MIT */
/* bezel get: the demo model through the fetch script, or any URL with its hash: resumable, checked before it gets its
 * name. */
#include "command.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

typedef struct download {
    FILE *file;
    uint64_t done;
    int show;
    int percent;
} download;

/* --- The demo model ----------------------------------------------------------------------- */

/* The script beside an installed program (../share/bezel) or in the source tree (../tests/make). */
static int fetch_script(char out[4096]) {
    static const char *const places[] = {"share/bezel/fetch_model.sh", "tests/make/fetch_model.sh"};
    char self[2048];
    ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
    if (n < 0) return 0;
    self[n] = 0;
    for (int up = 0; up < 2; up++) {
        char *slash = strrchr(self, '/');
        if (!slash) return 0;
        *slash = 0;
    }
    for (int i = 0; i < 2; i++) {
        snprintf(out, 4096, "%s/%s", self, places[i]);
        if (access(out, R_OK) == 0) return 1;
    }
    return 0;
}

static int get_demo(void) {
    char script[4096];
    int state = 0;
    if (!fetch_script(script)) return cmd_error("fetch_model.sh is not beside this program; run `make install`");
    pid_t child = fork();
    if (child < 0) return cmd_error("the fetch script cannot be started: %s", strerror(errno));
    if (child == 0) {
        execlp("sh", "sh", script, (char *)NULL);
        _exit(127);
    }
    while (waitpid(child, &state, 0) < 0 && errno == EINTR) continue;
    return WIFEXITED(state) && WEXITSTATUS(state) == 0 ? CMD_OK : CMD_ERROR; /* the script has said why */
}

/* --- A URL -------------------------------------------------------------------------------- */

static bezel_status download_bytes(void *ud, const void *bytes, size_t size, uint64_t total) {
    download *d = ud;
    if (cmd_interrupted()) return BEZEL_ERR_CANCELLED;
    if (fwrite(bytes, 1, size, d->file) != size) return BEZEL_ERR_IO;
    d->done += size;
    int percent = total ? (int)(d->done * 100 / total) : 0;
    if (d->show && percent != d->percent) {
        d->percent = percent;
        fprintf(stderr, "\r%3d %%  %.1f MB", percent, (double)d->done / 1e6);
    }
    return BEZEL_OK;
}

static int hash_file(char out[65], const char *path) {
    unsigned char buffer[65536], digest[crypto_hash_sha256_BYTES];
    crypto_hash_sha256_state state;
    size_t n;
    FILE *in = fopen(path, "rb");
    if (!in) return cmd_error("%s cannot be read: %s", path, strerror(errno));
    crypto_hash_sha256_init(&state);
    while ((n = fread(buffer, 1, sizeof buffer, in)) > 0) crypto_hash_sha256_update(&state, buffer, n);
    crypto_hash_sha256_final(&state, digest);
    int bad = ferror(in);
    fclose(in);
    if (bad) return cmd_error("%s cannot be read", path);
    sodium_bin2hex(out, 65, digest, sizeof digest);
    return CMD_OK;
}

/* Requests what is missing behind d->done bytes and appends it. */
static int get_rest(cmd_host *host, const char *url, download *d) {
    bezel_http_options options;
    bezel_http_response *response = NULL;
    bezel_http_options_init(&options);
    options.timeout_ms = 0;
    options.max_size = (uint64_t)1 << 42;
    options.max_redirects = 10;
    options.allow_private = 1; /* the person at the keyboard chose the address */
    options.resume_from = d->done;
    options.on_body = download_bytes;
    options.ud = d;
    bezel_status st = bezel_http_request(&response, host->engine, url, &options, &host->error);
    int32_t code = st == BEZEL_OK ? bezel_http_response_status(response) : 0;
    bezel_http_response_free(response);
    if (d->show) fputc('\n', stderr);
    if (cmd_interrupted()) return cmd_error("interrupted; the same command goes on where it was");
    if (ferror(d->file)) return cmd_error("the file cannot be written: %s", strerror(errno));
    if (st != BEZEL_OK) return cmd_host_fail(host);
    if (code == 416 && options.resume_from) return CMD_OK; /* nothing is left to fetch */
    if (code < 200 || code >= 300) return cmd_error("%s answered with status %d", url, (int)code);
    return CMD_OK;
}

/* Opens the part for this process alone and fetches into it. */
static int get_part(cmd_host *host, const char *url, const char *part) {
    download d = {.show = isatty(STDERR_FILENO), .percent = -1};
    struct stat info;
    int status;
    d.file = fopen(part, "ab");
    if (!d.file || fstat(fileno(d.file), &info) != 0) {
        status = cmd_error("%s cannot be written: %s", part, strerror(errno));
    } else if (flock(fileno(d.file), LOCK_EX | LOCK_NB) != 0) {
        status = cmd_error("another process is fetching %s", part);
    } else {
        d.done = (uint64_t)info.st_size;
        status = get_rest(host, url, &d);
    }
    if (d.file && fclose(d.file) != 0 && status == CMD_OK)
        status = cmd_error("%s cannot be written: %s", part, strerror(errno));
    return status;
}

static int is_sha256(const char *text) { return strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64; }

/* Where the file goes: --output, else the last part of the URL's path in the cache folder, which is made. */
static int get_target(char out[4096], const cmd_options *o, const char *url) {
    size_t end = strcspn(url, "?#"), begin = end;
    int n;
    if (o->output) {
        n = snprintf(out, 4096, "%s", o->output);
    } else {
        while (begin > 0 && url[begin - 1] != '/') begin--;
        if (begin == end || url[begin] == '.') return cmd_error("%s names no file; --output FILE does", url);
        char *folder = cmd_cache_folder();
        if (!folder) return cmd_error("out of memory");
        cmd_make_folders(folder);
        n = snprintf(out, 4096, "%s/%.*s", folder, (int)(end - begin), url + begin);
        free(folder);
    }
    return n > 0 && n < 4096 ? CMD_OK : cmd_error("the name of the file is too long, or empty");
}

static int get_url(cmd_host *host, const cmd_options *o, const char *url) {
    char part[4200], target[4096], hash[65];
    struct stat info;
    int status = get_target(target, o, url);
    if (status != CMD_OK) return status;
    snprintf(part, sizeof part, "%s.part", target);
    if (stat(target, &info) == 0) {
        if ((status = hash_file(hash, target)) != CMD_OK) return status;
        if (strcmp(hash, o->sha256) != 0) return cmd_error("%s is there with another hash: %s", target, hash);
        printf("%s\n", target);
        return CMD_OK;
    }
    if ((status = get_part(host, url, part)) != CMD_OK) return status;
    if ((status = hash_file(hash, part)) != CMD_OK) return status;
    if (strcmp(hash, o->sha256) != 0) {
        unlink(part);
        return cmd_error("the file has the hash %s, not %s; it was removed", hash, o->sha256);
    }
    if (rename(part, target) != 0) return cmd_error("%s cannot be named %s: %s", part, target, strerror(errno));
    printf("%s\n", target);
    return CMD_OK;
}

int cmd_get(int argc, char **argv) {
    cmd_options o = {.subcommand = "get", .usage = "get [URL --sha256 HEX [--output FILE]]"};
    cmd_host host = {0};
    int status = cmd_options_read(&o, argc, argv, "sha256 output quiet");
    if (status != CMD_OK) return status;
    if (o.n_positional == 0) return get_demo();
    if (o.n_positional > 1) return cmd_usage(&o, "one URL at a time");
    if (!o.sha256 || !is_sha256(o.sha256))
        return cmd_usage(&o, "--sha256 with 64 lower-case hex digits is needed: a model file is code for the machine "
                             "that reads it");
    if (sodium_init() < 0) return cmd_error("the hash library cannot start");
    cmd_interrupt_watch();
    if ((status = cmd_host_engine(&host, &o)) == CMD_OK) status = get_url(&host, &o, o.positional[0]);
    cmd_host_free(&host);
    return status;
}
