/* SPDX-License-Identifier: MIT */
/* bezel get: the demo model through the fetch script, or any URL with its hash: resumable, checked before it gets its
 * name. */
#include "command.h"

#include <errno.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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
    fclose(in);
    sodium_bin2hex(out, 65, digest, sizeof digest);
    return CMD_OK;
}

/* Requests the rest of the file after `have` bytes and appends it. */
static int get_rest(cmd_host *host, const char *url, const char *part, uint64_t have) {
    bezel_http_options options;
    bezel_http_response *response = NULL;
    download d = {.show = isatty(STDERR_FILENO)};
    d.file = fopen(part, have ? "ab" : "wb");
    if (!d.file) return cmd_error("%s cannot be written: %s", part, strerror(errno));
    bezel_http_options_init(&options);
    options.timeout_ms = 0;
    options.max_size = (uint64_t)1 << 42;
    options.allow_private = 1; /* the person at the keyboard chose the address */
    options.resume_from = have;
    options.on_body = download_bytes;
    options.ud = &d;
    bezel_status st = bezel_http_request(&response, host->engine, url, &options, &host->error);
    int32_t code = st == BEZEL_OK ? bezel_http_response_status(response) : 0;
    bezel_http_response_free(response);
    if (fclose(d.file) != 0) return cmd_error("%s cannot be written: %s", part, strerror(errno));
    if (d.show) fputc('\n', stderr);
    if (cmd_interrupted()) return cmd_error("interrupted; the same command goes on where it was");
    if (st != BEZEL_OK) return cmd_host_fail(host);
    if (code == 416 && have) return CMD_OK; /* nothing is left to fetch */
    if (code >= 400 || (have && code == 200)) {
        unlink(part); /* what was written is an error page, or a whole file behind a part */
        if (code == 200) return get_rest(host, url, part, 0);
        return cmd_error("%s answered with status %d", url, (int)code);
    }
    return CMD_OK;
}

static int is_sha256(const char *text) { return strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64; }

static int get_url(cmd_host *host, const cmd_options *o, const char *url) {
    char part[4200], target[4096], hash[65];
    struct stat info;
    const char *name = strrchr(url, '/');
    char *folder = cmd_cache_folder();
    int status = CMD_OK;
    if (!folder) return cmd_error("out of memory");
    if (o->output)
        snprintf(target, sizeof target, "%s", o->output);
    else
        snprintf(target, sizeof target, "%s/%.*s", folder, (int)strcspn(name ? name + 1 : "model", "?#"),
                 name ? name + 1 : "model");
    if (!o->output) mkdir(folder, 0700);
    free(folder);
    snprintf(part, sizeof part, "%s.part", target);
    if (stat(target, &info) == 0) {
        if ((status = hash_file(hash, target)) != CMD_OK) return status;
        if (strcmp(hash, o->sha256) != 0) return cmd_error("%s is there with another hash: %s", target, hash);
        printf("%s\n", target);
        return CMD_OK;
    }
    status = get_rest(host, url, part, stat(part, &info) == 0 ? (uint64_t)info.st_size : 0);
    if (status != CMD_OK) return status;
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
