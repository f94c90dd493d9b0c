/* SPDX-License-Identifier: MIT */
/* A folder of its own for a test, gone with everything in it at the end. */
#ifndef TEST_TEMP_FOLDER_H
#define TEST_TEMP_FOLDER_H

#include <stddef.h>

typedef struct temp_folder {
    char path[256];
    char file[512]; /* answer of temp_folder_file */
} temp_folder;

void temp_folder_make(temp_folder *f); /* fails the running test when it cannot */
/* path/name; belongs to f, valid until the next call. */
const char *temp_folder_file(temp_folder *f, const char *name);
/* Number of entries whose name contains `part`. */
int temp_folder_count(const temp_folder *f, const char *part);
void temp_folder_write(const char *path, const void *bytes, size_t size);
/* Whole file, NUL-terminated; free() it. NULL when there is none. */
char *temp_folder_read(const char *path, size_t *out_size);
void temp_folder_remove(temp_folder *f);

#endif
