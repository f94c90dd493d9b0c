/* SPDX-License-Identifier: MIT */
/* bezel store: what is done with a store as a whole. */
#include "command.h"

#include <stdio.h>
#include <string.h>

static bezel_status run_export(cmd_host *host, const char *file, char *said, size_t room) {
    uint64_t n = 0;
    bezel_status st = bezel_store_export(&n, host->store, file, &host->error);
    snprintf(said, room, "%llu rows are in %s", (unsigned long long)n, file);
    return st;
}

static bezel_status run_import(cmd_host *host, const char *file, char *said, size_t room) {
    uint64_t n = 0;
    bezel_status st = bezel_store_import(&n, host->store, file, &host->error);
    snprintf(said, room, "%llu rows were new", (unsigned long long)n);
    return st;
}

static bezel_status run_backup(cmd_host *host, const char *file, char *said, size_t room) {
    snprintf(said, room, "%s is a copy", file);
    return bezel_store_backup(host->store, file, &host->error);
}

static bezel_status run_vacuum(cmd_host *host, const char *file, char *said, size_t room) {
    (void)file;
    snprintf(said, room, "the file is written anew");
    return bezel_store_vacuum(host->store, &host->error);
}

static bezel_status run_tidy(cmd_host *host, const char *file, char *said, size_t room) {
    (void)file;
    snprintf(said, room, "what was too old or too much is gone");
    return bezel_store_tidy(NULL, host->store, INT64_MAX / 1000, &host->error);
}

static const struct verb {
    const char *name;
    int takes_file;
    bezel_status (*run)(cmd_host *host, const char *file, char *said, size_t room);
} verbs[] = {
    {"export", 1, run_export}, {"import", 1, run_import}, {"backup", 1, run_backup},
    {"vacuum", 0, run_vacuum}, {"tidy", 0, run_tidy},
};

int cmd_store(int argc, char **argv) {
    cmd_options o = {.subcommand = "store",
                     .usage = "store (export FILE | import FILE | backup FILE | vacuum | tidy) [--store FILE]"};
    cmd_host host = {0};
    char said[4200];
    int status = cmd_options_read(&o, argc, argv, "store quiet");
    if (status != CMD_OK) return status;
    const struct verb *verb = NULL;
    for (size_t i = 0; o.n_positional && i < sizeof verbs / sizeof *verbs; i++)
        if (strcmp(verbs[i].name, o.positional[0]) == 0) verb = &verbs[i];
    if (!verb) return cmd_usage(&o, "what is to be done: export, import, backup, vacuum or tidy");
    if (o.n_positional != 1 + verb->takes_file) return cmd_usage(&o, verb->takes_file ? "%s needs a file" : "%s needs no file", verb->name);
    if ((status = cmd_host_engine(&host, &o)) != CMD_OK) goto done;
    if ((status = cmd_host_store(&host, &o)) != CMD_OK) goto done;
    if (verb->run(&host, o.positional[1], said, sizeof said) != BEZEL_OK)
        status = cmd_host_fail(&host);
    else if (!o.quiet)
        fprintf(stderr, "%s\n", said);
done:
    cmd_host_free(&host);
    return status;
}
