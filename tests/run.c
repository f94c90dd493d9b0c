/* SPDX-License-Identifier: MIT */
/* Runs the Check suites: all of them, or those named as arguments; `--no-real` leaves out the suites of the real model,
 * `--list` prints the names. The list is made from the file names by premake5.lua (suites.h: SUITE(folder, name)), so a suite
 * cannot be forgotten. The last line is Check's totals.
 *
 * Suites in tests/real need the demo model; without it they are left out, and a line says so. */
#include "support/real_model.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SUITE(folder, name) Suite *name##_suite(void);
#include "suites.h"
#undef SUITE

typedef struct suite_row {
    const char *folder, *name;
    Suite *(*make)(void);
} suite_row;

static const suite_row rows[] = {
#define SUITE(folder, name) {#folder, #name, name##_suite},
#include "suites.h"
#undef SUITE
};
#define N_ROWS (sizeof rows / sizeof *rows)

static int is_real(const suite_row *row) {
    return strcmp(row->folder, "real") == 0;
}

static int has_row(const char *name) {
    for (size_t i = 0; i < N_ROWS; i++)
        if (strcmp(rows[i].name, name) == 0 || strcmp(rows[i].folder, name) == 0) return 1;
    return 0;
}

/* 1 when no suite or folder was named, or this one was. */
static int is_wanted(const suite_row *row, int argc, char **argv) {
    int n_named = 0;
    for (int i = 1; i < argc; i++) {
        if (argv[i][0] == '-') continue;
        n_named++;
        if (strcmp(argv[i], row->name) == 0 || strcmp(argv[i], row->folder) == 0) return 1;
    }
    return n_named == 0;
}

/* Exit status for a wrong argument, 0 when all are right. */
static int check_arguments(int argc, char **argv, int *no_real) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--list") == 0) {
            for (size_t k = 0; k < N_ROWS; k++) printf("%s/%s\n", rows[k].folder, rows[k].name);
            exit(0);
        }
        if (strcmp(argv[i], "--no-real") == 0) {
            *no_real = 1;
        } else if (!has_row(argv[i])) {
            fprintf(stderr, "run: no suite or folder is called %s; --list shows them\n", argv[i]);
            return 2;
        }
    }
    return 0;
}

int main(int argc, char **argv) {
    char path[4096];
    int no_real = 0, n_left_out = 0, n_failed;
    int status = check_arguments(argc, argv, &no_real);
    if (status != 0) return status;
    if (!no_real) no_real = real_model_path(path, sizeof path) == NULL;
    SRunner *runner = srunner_create(NULL);
    for (size_t i = 0; i < N_ROWS; i++) {
        if (!is_wanted(&rows[i], argc, argv)) continue;
        if (is_real(&rows[i]) && no_real)
            n_left_out++;
        else
            srunner_add_suite(runner, rows[i].make());
    }
    if (n_left_out > 0)
        printf("%d suites of the real model are left out: no model was asked for or found (make demo fetches it).\n", n_left_out);
    fflush(stdout);
    srunner_run_all(runner, CK_ENV);
    n_failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return n_failed == 0 ? 0 : 1;
}
