/* SPDX-License-Identifier: MIT */
/* Writes a GGUF file, version 3, little-endian: metadata of every type, then tensors. The first failure sticks; finish
 * reports it. Names and keys are written as given; a reader checks them. Thread: confined. */
#ifndef BZ_GGUF_WRITER_H
#define BZ_GGUF_WRITER_H

#include "format/gguf.h"

typedef struct bz_gguf_writer bz_gguf_writer;

bezel_status bz_gguf_writer_new(bz_gguf_writer **out, const bezel_world *w, bezel_error *err);
void bz_gguf_writer_free(bz_gguf_writer *g); /* NULL is fine */

void bz_gguf_writer_uint(bz_gguf_writer *g, const char *key, uint32_t type, uint64_t value); /* any integer type, bool */
void bz_gguf_writer_float(bz_gguf_writer *g, const char *key, uint32_t type, double value);  /* f32 or f64 */
void bz_gguf_writer_text(bz_gguf_writer *g, const char *key, const char *text, size_t size); /* SIZE_MAX = strlen */
/* Items as they lie in memory of this machine: uint8_t.. for integers, float, double, uint8_t 0 or 1 for bool. */
void bz_gguf_writer_array(bz_gguf_writer *g, const char *key, uint32_t type, const void *items, size_t count);
void bz_gguf_writer_texts(bz_gguf_writer *g, const char *key, const char *const *texts, const uint32_t *sizes,
                          size_t count);
/* Also writes general.alignment; before the first tensor. A power of two, 8..65536. */
void bz_gguf_writer_alignment(bz_gguf_writer *g, uint32_t alignment);
/* dims fastest first; `size` bytes of blocks, borrowed until finish. */
void bz_gguf_writer_tensor(bz_gguf_writer *g, const char *name, uint32_t dtype, uint32_t n_dims, const uint64_t *dims,
                           const void *data, size_t size);

/* The whole file. Owns: free with bz_free. */
bezel_status bz_gguf_writer_memory(void **out, size_t *out_size, bz_gguf_writer *g, bezel_error *err);
/* Writes beside `path` ("path.tmp"), syncs and renames, so that path is the whole file or what it was before. */
bezel_status bz_gguf_writer_file(bz_gguf_writer *g, const char *path, bezel_error *err);

#endif
