/* SPDX-License-Identifier: MIT */
/* Files of safetensors: u64 little-endian size of the header, the header (JSON: name -> dtype, shape, data_offsets), the data.
 * The reader takes the whole file into memory and checks each entry against it; it is meant for small files: adapters. */
#ifndef BZ_SAFETENSORS_H
#define BZ_SAFETENSORS_H

#include "base/value_impl.h"

#define BZ_SAFETENSORS_MAX_HEADER ((uint64_t)8 << 20)
#define BZ_SAFETENSORS_MAX_SIZE ((uint64_t)2 << 30)

typedef struct bz_safetensors {
    const bezel_world *world;
    const char *path; /* of the caller */
    uint8_t *bytes;
    uint64_t size, data_at;
    bezel_tree *tree;
    bezel_value *header;
} bz_safetensors;

typedef struct bz_safetensor {
    const char *name;
    uint32_t dtype;   /* BZ_DTYPE_F32, _F16 or _BF16 */
    uint64_t rows, columns; /* of a matrix; of a vector rows is 1 */
    const void *data; /* as in the file: alignment of a byte */
} bz_safetensor;

/* Reads the file and its header.
 *   Errors   MISSING, IO, DENIED for the file; LIMIT; TRUNCATED; FORMAT and those of JSON for the header */
bezel_status bz_safetensors_open(bz_safetensors *out, const bezel_world *w, const char *path, bezel_error *err);
void bz_safetensors_free(bz_safetensors *s); /* zeroed is fine */
size_t bz_safetensors_count(const bz_safetensors *s);
/* Entry i; BEZEL_MORE for what is no tensor ("__metadata__").
 *   Errors   UNSUPPORTED for another dtype; SHAPE for more than two dimensions; RANGE for offsets outside the data or of the
 *            wrong size; TYPE */
bezel_status bz_safetensors_at(bz_safetensor *out, const bz_safetensors *s, size_t i, bezel_error *err);

/* Writes float matrices: beside `path` ("path.tmp"), synced and renamed. */
bezel_status bz_safetensors_write(const bezel_world *w, const char *path, const bz_safetensor *tensors, size_t n,
                                  bezel_error *err);

#endif
