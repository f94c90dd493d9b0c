/* SPDX-License-Identifier: MIT */
/* The downloaded demo model: $BEZEL_MODEL, else the cache folder of `make demo`. */
#ifndef TEST_REAL_MODEL_H
#define TEST_REAL_MODEL_H

#include <bezel/model.h>

#include <stddef.h>

/* Path of a readable model file in out, or NULL when there is none: leave the tests out then. */
const char *real_model_path(char *out, size_t size);

typedef struct real_model {
    bezel_engine *engine;
    bezel_model *model;
} real_model;

/* Opens it with an engine of its own; options NULL = defaults. Fails the running Check test when it cannot. */
void real_model_open(real_model *r, const bezel_engine_options *options);
void real_model_open_with(real_model *r, const bezel_engine_options *options, const bezel_model_options *model_options);
void real_model_open_again(real_model *r, const bezel_model_options *model_options); /* after its model was freed */
void real_model_close(real_model *r);

/* Text of a file of the repository with a NUL after it, malloc'ed. Fails the test when it is not there: tests run in the
 * root of the repository. */
char *real_model_file(const char *path, size_t *out_size);

#endif
