/* SPDX-License-Identifier: MIT */
/* Makes small random Gemma files: any sizes, any tensor types, with or without chat template, whole or with one thing wrong.
 * The default is a Gemma 3 of seven layers (one of them global), width 64, window 8, about 700 tokens, Q8_0, 0.4 MiB.
 *
 *     model_maker k;
 *     model_maker_init(&k, 1);                       // seed
 *     k.chat_template = MODEL_MAKER_TEMPLATE;        // an instruct model
 *     model_maker_file(&k, path);                    // path: at least MODEL_MAKER_PATH bytes, filled
 *     ... bezel_model_open(&m, engine, path, NULL, &err); unlink(path);
 */
#ifndef TEST_MODEL_MAKER_H
#define TEST_MODEL_MAKER_H

#include "format/gguf_writer.h"

#define MODEL_MAKER_PATH 256
#define MODEL_MAKER_MAX_TOKENS 1024
/* A stand-in with Gemma's marks: what counts is that the file has a template. */
#define MODEL_MAKER_TEMPLATE \
    "{{ bos_token }}{% for m in messages %}<start_of_turn>{{ m.role }}\n{{ m.content }}<end_of_turn>\n{% endfor %}"

enum { /* what is done to the tensor `spoil` */
    MODEL_MAKER_WHOLE = 0,
    MODEL_MAKER_LEAVE_OUT,
    MODEL_MAKER_TRANSPOSE, /* dimensions exchanged */
    MODEL_MAKER_SHORT,     /* one row (of a vector: one element) less */
    MODEL_MAKER_LONG,      /* one more */
    MODEL_MAKER_AS_I32,    /* a type no kernel reads */
    MODEL_MAKER_BAD_SCALE  /* NaN in the last block */
};

typedef struct model_maker {
    uint64_t seed;
    const char *arch; /* "gemma3"; "gemma" and "gemma2" leave out the norms they lack */
    const char *name; /* general.name */
    uint32_t layers, n_ctx, D, F, H, Hkv, Dh, window;
    uint32_t matrix_dtype, embedding_dtype, norm_dtype; /* BZ_DTYPE_...; K types need D and F of 256 */
    uint32_t down_dtype;  /* of ffn_down; as matrix_dtype when 0xFFFFFFFF */
    int untied;           /* with output.weight */
    const char *chat_template; /* NULL = none */
    const char *const *control; /* further control tokens, NULL-terminated, or NULL */
    const char *skip_key;      /* a metadata key that is left out (tokens and types too) */
    void (*extra)(bz_gguf_writer *g, void *ud); /* adds or replaces keys (leave the old one out with skip_key) */
    void *extra_ud;
    const char *spoil;    /* name of a tensor */
    int spoil_how;        /* MODEL_MAKER_... */
    uint32_t split_no, split_count; /* part split_no (from 0) of a split file: tensors i with i % split_count == split_no */
} model_maker;

void model_maker_init(model_maker *k, uint64_t seed);
/* The file's bytes; free with free(). Fails the running Check test when it cannot. */
void *model_maker_bytes(const model_maker *k, size_t *out_size);
/* Writes the bytes to a new file of a name of its own under the temporary folder. */
void model_maker_file(const model_maker *k, char path[MODEL_MAKER_PATH]);
/* The same with any bytes. */
void model_maker_put(char path[MODEL_MAKER_PATH], const void *bytes, size_t size);
/* A new empty folder of a name of its own. */
void model_maker_folder(char path[MODEL_MAKER_PATH]);
/* Names of the tensors the file has, in its order; NULL after the last. Static text, changed by the next call. */
const char *model_maker_tensor(const model_maker *k, uint32_t i);

#endif
