/* SPDX-License-Identifier: MIT */
/* bezel doctor: what works here and what to do about the rest. Exit status 1 when something is missing. */
#include "command.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void report(int ok, const char *what, const char *detail) {
    int color = cmd_is_terminal(STDOUT_FILENO);
    const char *mark = ok ? "ok" : "!!";
    printf("%s%s%s  %-10s %s\n", !color ? "" : ok ? "\033[32m" : "\033[31m", mark, color ? "\033[0m" : "", what, detail);
}

static int doctor_machine(cmd_host *host, const cmd_options *o) {
    bezel_tree *tree = NULL;
    bezel_value *value = NULL;
    char *json = NULL;
    size_t size;
    int status = cmd_host_engine(host, o);
    if (status != CMD_OK) return status;
    if (bezel_tree_new(&tree, host->engine, &host->error) != BEZEL_OK ||
        bezel_engine_describe(&value, tree, host->engine, &host->error) != BEZEL_OK ||
        bezel_json_write(&json, &size, host->engine, value, 0, &host->error) != BEZEL_OK)
        status = cmd_host_fail(host);
    else
        report(1, "machine", json);
    bezel_text_free(host->engine, json);
    bezel_tree_free(tree);
    return status;
}

static void doctor_parts(void) {
    static const char *const parts[] = {"agents", "store", "lua", "http", "blas"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        report(bezel_has(parts[i]), parts[i], bezel_has(parts[i]) ? "in this build" : "left out of this build");
}

static int doctor_model(const cmd_options *o) {
    cmd_host host = {0};
    char *path = cmd_model_path(o);
    bezel_engine *engine = NULL;
    bezel_error err = BEZEL_ERROR_INIT;
    int ok = 0;
    if (!path) {
        report(0, "model", "none: `bezel get` fetches the demo model (233 MB), --model FILE names another");
        return CMD_ERROR;
    }
    if (bezel_engine_new(&engine, NULL, &err) == BEZEL_OK &&
        bezel_model_open(&host.model, engine, path, NULL, &err) == BEZEL_OK)
        ok = 1;
    report(ok, "model", ok ? path : err.text);
    bezel_model_free(host.model);
    bezel_engine_free(engine);
    free(path);
    return ok ? CMD_OK : CMD_ERROR;
}

/* What was made from models and is mapped by later loads; all of it may be deleted. */
static void doctor_side_files(void) {
    static const char *const kinds[] = {".vocab", ".trie", ".head", ".packed", ".prefix"};
    enum { KINDS = sizeof kinds / sizeof kinds[0] };
    long long count[KINDS + 1] = {0}, bytes[KINDS + 1] = {0}; /* the last: half-written */
    char *folder = cmd_cache_folder(), text[768];
    DIR *dir = folder ? opendir(folder) : NULL;
    for (const struct dirent *e; dir && (e = readdir(dir)) != NULL;) {
        struct stat info;
        const char *dot = strchr(e->d_name, '.');
        size_t kind = 0;
        while (dot && kind < KINDS && strcmp(dot, kinds[kind]) != 0) kind++;
        if (!dot || (kind == KINDS && !strstr(dot, ".new-")) || fstatat(dirfd(dir), e->d_name, &info, 0) != 0) continue;
        count[kind]++;
        bytes[kind] += (long long)info.st_size;
    }
    if (dir) closedir(dir);
    size_t n = 0;
    for (size_t i = 0; i < KINDS; i++)
        n += (size_t)snprintf(text + n, sizeof text - n, "%lld %s (%.1f MB), ", count[i], kinds[i], (double)bytes[i] / 1e6);
    snprintf(text + n, sizeof text - n, "%lld half-written in %s; may be deleted", count[KINDS], folder ? folder : "no folder");
    report(1, "side files", text);
    free(folder);
}

static int doctor_store(cmd_host *host, const cmd_options *o) {
    char *path = cmd_store_path(o);
    bezel_store *store = NULL;
    int ok = path && bezel_store_open(&store, host->engine, path, NULL, &host->error) == BEZEL_OK;
    report(ok, "store", ok ? path : path ? host->error.text : "out of memory");
    bezel_store_close(store);
    free(path);
    return ok ? CMD_OK : CMD_ERROR;
}

int cmd_doctor(int argc, char **argv) {
    cmd_options o = {.subcommand = "doctor", .usage = "doctor [--model FILE] [--store FILE]"};
    cmd_host host = {0};
    int status = cmd_options_read(&o, argc, argv, "model store isa threads affinity quiet");
    if (status != CMD_OK) return status;
    report(1, "version", bezel_version());
    status = doctor_machine(&host, &o);
    doctor_parts();
    if (doctor_model(&o) != CMD_OK) status = CMD_ERROR;
    doctor_side_files();
    if (host.engine && doctor_store(&host, &o) != CMD_OK) status = CMD_ERROR;
    cmd_host_free(&host);
    return status;
}
