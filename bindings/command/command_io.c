/* SPDX-License-Identifier: MIT */
/* Input, output, paths and Ctrl-C of the command. */
#include "command.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define INPUT_LIMIT ((size_t)1 << 30)

/* --- Messages ----------------------------------------------------------------------------- */

int cmd_error(const char *format, ...) {
    va_list args;
    va_start(args, format);
    fputs("bezel: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return CMD_ERROR;
}

int cmd_usage(const cmd_options *o, const char *format, ...) {
    va_list args;
    va_start(args, format);
    fprintf(stderr, "bezel %s: ", o->subcommand);
    vfprintf(stderr, format, args);
    fprintf(stderr, "\nusage: bezel %s (--help lists the options)\n", o->usage);
    va_end(args);
    return CMD_USAGE;
}

int cmd_is_terminal(int fd) {
    const char *no_color = getenv("NO_COLOR");
    return isatty(fd) && !(no_color && *no_color);
}

void cmd_write_text(const char *text, size_t size) {
    if (!isatty(STDOUT_FILENO)) {
        fwrite(text, 1, size, stdout);
        return;
    }
    for (size_t i = 0; i < size; i++) {
        unsigned char c = (unsigned char)text[i];
        if ((c >= 0x20 && c != 0x7f) || c == '\n' || c == '\t') putchar(c);
    }
}

/* --- Reading ------------------------------------------------------------------------------ */

static int read_stream(char **out, size_t *out_size, FILE *in, const char *name) {
    size_t size = 0, capacity = 65536;
    char *data = malloc(capacity);
    while (data) {
        size += fread(data + size, 1, capacity - size - 1, in);
        if (size + 1 < capacity) break;
        char *larger = capacity < INPUT_LIMIT ? realloc(data, capacity * 2) : NULL;
        if (!larger) free(data);
        data = larger;
        capacity *= 2;
    }
    if (!data) return cmd_error("%s is too large", name);
    if (ferror(in)) {
        free(data);
        return cmd_error("%s cannot be read: %s", name, strerror(errno));
    }
    data[size] = 0;
    *out = data;
    *out_size = size;
    return CMD_OK;
}

int cmd_read_file(char **out, size_t *out_size, const char *path) {
    if (strcmp(path, "-") == 0) return read_stream(out, out_size, stdin, "standard input");
    FILE *in = fopen(path, "rb");
    if (!in) return cmd_error("%s cannot be opened: %s", path, strerror(errno));
    int status = read_stream(out, out_size, in, path);
    fclose(in);
    return status;
}

int cmd_read_input(char **out, size_t *out_size, const cmd_options *o) {
    size_t size = 0;
    if (o->n_positional == 0) return cmd_read_file(out, out_size, "-");
    for (int i = 0; i < o->n_positional; i++) size += strlen(o->positional[i]) + 1;
    char *text = malloc(size + 1);
    if (!text) return cmd_error("out of memory");
    *text = 0;
    for (int i = 0; i < o->n_positional; i++) {
        if (i) strcat(text, " ");
        strcat(text, o->positional[i]);
    }
    *out = text;
    *out_size = strlen(text);
    return CMD_OK;
}

int cmd_read_json(bezel_value **out, bezel_tree *tree, const char *path, cmd_host *host) {
    char *text;
    size_t size;
    int status = cmd_read_file(&text, &size, path);
    if (status != CMD_OK) return status;
    bezel_status st = bezel_json_read(out, tree, text, size, &host->error);
    free(text);
    if (st == BEZEL_OK) return CMD_OK;
    if (host->error.offset >= 0)
        return cmd_error("%s: %s (byte %lld)", path, host->error.text, (long long)host->error.offset);
    return cmd_error("%s: %s", path, host->error.text);
}

int cmd_print_json(cmd_host *host, const bezel_value *value) {
    char *text;
    size_t size;
    if (bezel_json_write(&text, &size, host->engine, value, 0, &host->error) != BEZEL_OK) return cmd_host_fail(host);
    fwrite(text, 1, size, stdout);
    fputc('\n', stdout);
    fflush(stdout); /* before what is slow to take down */
    bezel_text_free(host->engine, text);
    return CMD_OK;
}

void cmd_set_text(bezel_tree *tree, bezel_value *map, const char *key, const char *text, size_t size) {
    bezel_value_set(tree, map, key, bezel_tree_text(tree, text, size));
}

void cmd_set_integer(bezel_tree *tree, bezel_value *map, const char *key, int64_t x) {
    bezel_value_set(tree, map, key, bezel_tree_integer(tree, x));
}

void cmd_set_number(bezel_tree *tree, bezel_value *map, const char *key, double x) {
    bezel_value_set(tree, map, key, bezel_tree_number(tree, x));
}

/* --- Paths -------------------------------------------------------------------------------- */

static char *path_join(const char *a, const char *b) {
    size_t n = strlen(a) + strlen(b) + 2;
    char *path = malloc(n);
    if (path) snprintf(path, n, "%s/%s", a, b);
    return path;
}

/* $variable/bezel, else ~/fallback/bezel (XDG base directories). */
static char *xdg_folder(const char *variable, const char *fallback) {
    const char *base = getenv(variable), *home = getenv("HOME");
    if (base && base[0] == '/') return path_join(base, "bezel");
    char *folder = path_join(home && *home ? home : "/tmp", fallback);
    char *path = folder ? path_join(folder, "bezel") : NULL;
    free(folder);
    return path;
}

static char *duplicate(const char *text) {
    size_t n = strlen(text) + 1;
    char *copy = malloc(n);
    if (copy) memcpy(copy, text, n);
    return copy;
}

char *cmd_cache_folder(void) { return xdg_folder("XDG_CACHE_HOME", ".cache"); }

char *cmd_model_path(const cmd_options *o) {
    const char *named = o->model ? o->model : getenv("BEZEL_MODEL");
    if (named && *named) return duplicate(named);
    char *folder = cmd_cache_folder();
    char *path = folder ? path_join(folder, CMD_DEMO_MODEL) : NULL;
    free(folder);
    if (path && access(path, R_OK) == 0) return path;
    free(path);
    return NULL;
}

void cmd_make_folders(char *path) {
    for (char *p = path + 1; (p = strchr(p, '/')) != NULL; p++) {
        *p = 0;
        mkdir(path, 0700);
        *p = '/';
    }
    mkdir(path, 0700);
}

char *cmd_cache_folder_make(void) {
    char *folder = cmd_cache_folder();
    if (folder) cmd_make_folders(folder);
    return folder;
}

char *cmd_store_path(const cmd_options *o) {
    const char *named = o->store ? o->store : getenv("BEZEL_STORE");
    if (named && *named) return duplicate(named);
    char *folder = xdg_folder("XDG_DATA_HOME", ".local/share");
    if (!folder) return NULL;
    cmd_make_folders(folder);
    char *path = path_join(folder, "bezel.db");
    free(folder);
    return path;
}

/* --- Ctrl-C ------------------------------------------------------------------------------- */

static volatile sig_atomic_t interrupts; /* the command is a program: its signal flag has to be global */

static void on_interrupt(int number) {
    (void)number;
    if (++interrupts > 1) _exit(130);
}

void cmd_interrupt_watch(void) {
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_interrupt;
    sigaction(SIGINT, &action, NULL);
}

int cmd_interrupted(void) { return interrupts > 0; }

void cmd_interrupt_reset(void) { interrupts = 0; }
