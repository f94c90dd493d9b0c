/* SPDX-License-Identifier: MIT */
/* Metadata and tensor directory of one GGUF file, version 2 or 3 (gguf.md of ggml). Only the header is read, into a
 * private copy: nothing of it can change afterwards. Every count is checked against the bytes left before memory is
 * taken; ranges, alignment and overlap of the tensors are checked; what the tensors mean is not. */
#ifndef BZ_GGUF_H
#define BZ_GGUF_H

#include <bezel/model.h>

#include "base/notes.h"

#define BZ_GGUF_MAX_KEY 65535u               /* bytes of a key (format) */
#define BZ_GGUF_MAX_TEXT (16u << 20)         /* bytes of a text */
#define BZ_GGUF_MAX_ITEMS (16u << 20)        /* items of an array */
#define BZ_GGUF_MAX_VALUES 65536u            /* keys of a file */
#define BZ_GGUF_MAX_TENSORS 65536u           /* tensors of a file, and of all its parts together */
#define BZ_GGUF_MAX_NAME 64u                 /* bytes of a tensor name (format) */
#define BZ_GGUF_MAX_HEADER (1u << 30)        /* bytes before the tensor data */
#define BZ_GGUF_MIN_ALIGNMENT 8u
#define BZ_GGUF_MAX_ALIGNMENT 65536u

enum { /* value types, the file's numbers */
    BZ_GGUF_U8 = 0,
    BZ_GGUF_I8 = 1,
    BZ_GGUF_U16 = 2,
    BZ_GGUF_I16 = 3,
    BZ_GGUF_U32 = 4,
    BZ_GGUF_I32 = 5,
    BZ_GGUF_F32 = 6,
    BZ_GGUF_BOOL = 7,
    BZ_GGUF_TEXT = 8,
    BZ_GGUF_ARRAY = 9,
    BZ_GGUF_U64 = 10,
    BZ_GGUF_I64 = 11,
    BZ_GGUF_F64 = 12
};

typedef struct bz_gguf_value {
    uint64_t key_at; /* offset of the key's text in the header */
    uint64_t at;     /* offset of the first byte of the value; of a text: its text; of an array: its first item */
    uint64_t size;   /* bytes of the value */
    uint64_t count;  /* items of an array, else 1 */
    uint32_t key_size;
    uint32_t type;      /* BZ_GGUF_... */
    uint32_t item_type; /* of an array, else as type */
} bz_gguf_value;

typedef struct bz_gguf_tensor {
    uint64_t name_at;
    uint64_t entry_at; /* offset of the directory entry, for messages */
    uint64_t offset;   /* of the data, from the start of the file */
    uint64_t size;     /* bytes of the data */
    uint64_t dims[4];  /* fastest first; missing ones 1 */
    uint32_t n_dims;
    uint32_t name_size;
    uint32_t dtype;    /* the file's number; also types that this build cannot compute with */
} bz_gguf_tensor;

typedef struct bz_gguf_input {
    bezel_read_fn read;
    void *ud;
    uint64_t size;    /* bytes that read can deliver */
    const char *name; /* for messages, not copied: lives as long as the bz_gguf */
} bz_gguf_input;

typedef struct bz_gguf {
    const bezel_world *world;
    const char *name;
    uint8_t *header;       /* private copy of the bytes before the data */
    uint64_t header_size;  /* bytes in it */
    uint64_t file_size;
    uint64_t data_at;      /* offset of the data section */
    uint32_t version;
    uint32_t alignment;
    bz_gguf_value *values; /* in file order */
    uint32_t *value_index; /* sorted by key */
    uint32_t n_values;
    bz_gguf_tensor *tensors; /* in file order */
    uint32_t *tensor_index;  /* sorted by name */
    uint32_t n_tensors;
} bz_gguf;

/* On failure nothing is held. notes may be NULL. Errors carry file, byte offset, key or tensor, value and limit.
 *   Errors   TRUNCATED, FORMAT, VERSION, LIMIT, OVERFLOW, TYPE, RANGE, SHAPE, DUPLICATE, UNSUPPORTED, MEMORY, and
 *            what input->read returns */
bezel_status bz_gguf_open(bz_gguf *out, const bezel_world *w, const bz_gguf_input *input, bz_notes *notes,
                          bezel_error *err);
void bz_gguf_free(bz_gguf *g); /* zeroed struct is fine */

/* --- Values: plain pointers lie in the header --- */

const char *bz_gguf_key(const bz_gguf *g, const bz_gguf_value *v); /* key_size bytes, no NUL */
const bz_gguf_value *bz_gguf_find(const bz_gguf *g, const char *key); /* NULL when absent */
const char *bz_gguf_type_name(uint32_t type);                        /* "u32", "array", ... */
uint32_t bz_gguf_type_size(uint32_t type);                            /* 0 for text, array and unknown types */

/* Any integer type. BEZEL_ERR_TYPE for others, BEZEL_ERR_RANGE for a negative one (uint) or one over 2^63 (int). */
bezel_status bz_gguf_uint(uint64_t *out, const bz_gguf *g, const bz_gguf_value *v, bezel_error *err);
bezel_status bz_gguf_int(int64_t *out, const bz_gguf *g, const bz_gguf_value *v, bezel_error *err);
/* f32 or f64, finite (else BEZEL_ERR_RANGE). */
bezel_status bz_gguf_float(double *out, const bz_gguf *g, const bz_gguf_value *v, bezel_error *err);
bezel_status bz_gguf_bool(int *out, const bz_gguf *g, const bz_gguf_value *v, bezel_error *err);
bezel_status bz_gguf_text(const char **out, size_t *out_size, const bz_gguf *g, const bz_gguf_value *v,
                          bezel_error *err);
/* Item i of an array of integers or bools (bools give 0 or 1). BEZEL_ERR_TYPE for other arrays. */
bezel_status bz_gguf_item(int64_t *out, const bz_gguf *g, const bz_gguf_value *v, uint64_t i, bezel_error *err);
/* Walks an array of texts: *at starts 0. Returns 0 after the last one. */
int bz_gguf_next_text(const char **out, size_t *out_size, const bz_gguf *g, const bz_gguf_value *v, uint64_t *at);
/* Fills err: file, key, what is wrong with the value. Returns status. */
bezel_status bz_gguf_value_fail(bezel_error *err, bezel_status status, const bz_gguf *g, const bz_gguf_value *v,
                                const char *format, ...) BZ_PRINTF(5, 6);

/* --- Tensors --- */

const char *bz_gguf_tensor_name(const bz_gguf *g, const bz_gguf_tensor *t); /* name_size bytes, no NUL */
const char *bz_gguf_dtype_name(uint32_t dtype); /* "Q4_K", also of types that cannot be computed with; NULL unknown */
/* Order of names: bytes, then length. */
int bz_gguf_compare_names(const char *a, size_t a_size, const char *b, size_t b_size);

#endif
