/* SPDX-License-Identifier: MIT */
/* bezel_model: weights, tokenizer and numbers of one model file. Immutable once open, shared by threads and sessions. */
#ifndef BEZEL_MODEL_H
#define BEZEL_MODEL_H

#include <bezel/engine.h>
#include <bezel/job.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct bezel_model bezel_model;

enum {
    BEZEL_KIND_AUTO = 0,       /* a chat template in the file means instruct, none means pretrained */
    BEZEL_KIND_PRETRAINED = 1, /* continues text; talks through the transcript profile */
    BEZEL_KIND_INSTRUCT = 2    /* follows the family's chat template */
};

/* Reads `size` bytes at `offset`; all or a negative status. Called by the loading thread only. */
typedef bezel_status (*bezel_read_fn)(void *ud, uint64_t offset, void *buffer, size_t size);

typedef struct bezel_model_options {
    uint32_t size;          /* set by bezel_model_options_init */
    uint32_t kind;          /* BEZEL_KIND_... */
    int32_t map;            /* 1 (default): weights are mapped read-only; 0: read into memory */
    int32_t check_weights;  /* 1: every block scale is checked for NaN and infinity (reads the whole file) */
    int32_t bf16_embedding_scale; /* 1: round sqrt(d) to bf16 as bf16 runs of other engines do; default 0 */
    uint32_t reserved;
    bezel_read_fn read;     /* model bytes from the host instead of a file; path is then only a name */
    void *read_ud;
    uint64_t read_size;     /* bytes that `read` can deliver */
} bezel_model_options;

BEZEL_API void bezel_model_options_init(bezel_model_options *out);

/* Opens a GGUF file; of a split file name the first part. Blocks until it is loaded.
 *   Owns     *out is the caller's, free with bezel_model_free after its sessions
 *   Thread   the model is immutable: any thread
 *   Errors   MISSING, IO (no regular file), DENIED for the file; TRUNCATED, FORMAT, VERSION, TYPE, RANGE, SHAPE, OVERFLOW,
 *            LIMIT, DUPLICATE for its bytes; MISSING for a key or tensor; UNSUPPORTED for a family or tensor type this build
 *            does not know; NUMERIC with check_weights; CHANGED when the file was replaced or written to meanwhile.
 *            The text names file, byte offset, key or tensor, value found and expected
 *   Source   GGUF 2 and 3, gguf.md of ggml */
BEZEL_API bezel_status bezel_model_open(bezel_model **out, bezel_engine *engine, const char *path,
                                        const bezel_model_options *options, bezel_error *err);
/* The same as a job with progress events; take the model with bezel_model_take when it is BEZEL_DONE. The longest unit is
 * the vocabulary (about 20 ms for 262,144 tokens) or 16 MiB of weights read or checked.
 *   Owns     *out is the caller's, free with bezel_job_free */
BEZEL_API bezel_status bezel_model_open_job(bezel_job **out, bezel_engine *engine, const char *path,
                                            const bezel_model_options *options, bezel_error *err);
/* Hands the loaded model over, once.
 *   Owns     *out is the caller's; the job stays the caller's, too
 *   Errors   ARGUMENT when the job is none of loading, not done, or the model was taken; the job's own error */
BEZEL_API bezel_status bezel_model_take(bezel_model **out, bezel_job *job, bezel_error *err);
BEZEL_API void bezel_model_free(bezel_model *model);

BEZEL_API bezel_engine *bezel_model_engine(const bezel_model *model);
BEZEL_API const char *bezel_model_path(const bezel_model *model);
BEZEL_API const char *bezel_model_name(const bezel_model *model); /* general.name, else the file's name */
BEZEL_API uint32_t bezel_model_kind(const bezel_model *model);    /* PRETRAINED or INSTRUCT */
BEZEL_API uint32_t bezel_model_vocab_size(const bezel_model *model);
BEZEL_API uint32_t bezel_model_context_length(const bezel_model *model); /* positions it was trained for */

/* Everything `bezel info` shows: architecture, sizes, tensor types with bytes, kind, special ids, warnings.
 *   Owns     *out lives in tree */
BEZEL_API bezel_status bezel_model_describe(bezel_value **out, bezel_tree *tree, const bezel_model *model,
                                            bezel_error *err);
/* Memory that the file and one session of n_ctx positions will need, in bytes, from the header alone: a map with
 * "weights", "kv", "scratch", "total".
 *   Owns     *out lives in tree */
BEZEL_API bezel_status bezel_model_plan(bezel_value **out, bezel_tree *tree, bezel_engine *engine, const char *path,
                                        uint32_t n_ctx, bezel_error *err);

#ifdef __cplusplus
}
#endif
#endif
