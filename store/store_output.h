/* SPDX-License-Identifier: MIT */
/* A file that a store writes for others (an export, a report), whole or not at all: pieces go to PATH.<16 hex digits>.part,
 * which gets its name at the end, all of them from one state of the store. */
#ifndef BZ_STORE_OUTPUT_H
#define BZ_STORE_OUTPUT_H

#include "base/strbuf.h"
#include "store_impl.h"

typedef struct bz_store_output {
    bezel_store *store;
    const char *what; /* "export": for messages */
    const char *path;
    bezel_file *file;
    bz_strbuf held; /* what bz_store_output_pass writes when it is much */
    uint64_t written;
} bz_store_output;

/* Makes the file: body fills it through `held`, inside of a transaction that reads. On an error nothing is at path that was not
 * there before. */
bezel_status bz_store_output_make(bezel_store *store, const char *what, const char *path,
                                  bezel_status (*body)(bz_store_output *out, void *ctx, bezel_error *err), void *ctx,
                                  bezel_error *err);
/* Writes what is held if it is a good piece, or tells that there was no memory to hold it. */
bezel_status bz_store_output_pass(bz_store_output *out, bezel_error *err);

#endif
