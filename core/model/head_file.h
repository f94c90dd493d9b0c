/* SPDX-License-Identifier: MIT */
/* Side file (side_file.h) that holds the coarse copy of the output matrix (compute/screen.h): made once, mapped from then on.
 *
 *     0     "BZHEAD\r\n", u32 version, u32 heavy dimensions, u64 N, u64 K, key [16]
 *     48    f64 norm, rest, heavy of bz_screen
 *     128   order u32 [K], mean f32 [K]
 *     data  blocks
 *
 * Little-endian, the same bytes on every level: makers at once make the same file. Does not: say which file belongs to a
 * model (head_copy). */
#ifndef BZ_HEAD_FILE_H
#define BZ_HEAD_FILE_H

#include "compute/matmul.h"
#include "compute/screen.h"
#include "model/side_file.h"

typedef struct bz_head_file {
    bz_screen screen;
    bz_side_map map;
    void *arrays; /* order and mean, copied */
} bz_head_file;

/* What a side file is made of. */
typedef struct bz_head_plan {
    const bezel_world *world;
    const bz_kernel *kernel;
    const bz_tensor *matrix;
    const double *weight;     /* [K] how large hidden states are in a dimension; any numbers do */
    const char *path;
    uint8_t key[16];          /* of the model file */
    const atomic_int *cancel; /* looked at every few milliseconds */
} bz_head_plan;

/* Bytes of the file. */
uint64_t bz_head_file_size(size_t N, size_t K);
/* Maps the file and checks every byte of it.
 *   Errors   MISSING when there is none; VERSION, FORMAT, TRUNCATED, CHECKSUM when it is another's or damaged; CANCELLED */
bezel_status bz_head_file_open(bz_head_file *out, const bz_head_plan *p, bezel_error *err);
/* Writes the file. On failure nothing is left behind.
 *   Errors   those of the world's files; MEMORY; NUMERIC for a weight that is no finite number; CANCELLED */
bezel_status bz_head_file_make(const bz_head_plan *p, bezel_error *err);
void bz_head_file_close(bz_head_file *f, const bezel_world *w); /* zeroed struct is fine */

#endif
