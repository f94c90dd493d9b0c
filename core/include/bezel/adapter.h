/* SPDX-License-Identifier: MIT */
/* bezel_adapter: low-rank additions to the matrices of a model (LoRA), read from files of peft or of llama.cpp.
 *
 *     bezel_adapter_open(&a, model, "my-adapter", &err);      // folder of peft, or a .gguf
 *     bezel_adapter_use use = {a, 1.0f, 0};
 *     bezel_session_adapt(session, &use, 1, &err);            // from now on; other sessions are as before
 *     ...
 *     bezel_session_free(session);
 *     bezel_adapter_free(a);
 *
 * The model stays as it is: with an adapter a matrix W gives W x + scale B (A x). Sessions of one model may use different
 * ones at once, in one batch too, and change them without loading anything. */
#ifndef BEZEL_ADAPTER_H
#define BEZEL_ADAPTER_H

#include <bezel/session.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Additions to a model's matrices: attention q, k, v and o, feed-forward gate, up and down, each of any rank from 1 to 256.
 *   Thread   immutable: any number of sessions may use it at once */
typedef struct bezel_adapter bezel_adapter;

/* Forms of bezel_adapter_save. */
enum {
    /* adapter_model.safetensors (floats) and adapter_config.json, as peft writes them */
    BEZEL_ADAPTER_PEFT = 1,
    /* one file, as llama.cpp reads it */
    BEZEL_ADAPTER_GGUF = 2
};

/* Reads an adapter for this model: a folder of peft, or a GGUF file. All of it is read and checked at once: the family and
 * each shape must be the model's, each pair must be whole and of numbers.
 *   Owns     *out is the caller's, free with bezel_adapter_free after the sessions that use it and before the model
 *   Thread   any
 *   Errors   MISSING, DENIED, IO for the files; FORMAT, TRUNCATED and others for their bytes; SHAPE when it was made for
 *            another model; RANGE for a rank over 256; MISSING for half of a pair, or an adapter without any; UNSUPPORTED
 *            for what is no plain addition (DoRA, trained biases, embeddings or whole modules); NUMERIC for NaN and
 *            infinity. *out is NULL
 *   Source   peft (adapter_config.json), llama.cpp (convert_lora_to_gguf)
 *   Since    0.1 */
BEZEL_API bezel_status bezel_adapter_open(bezel_adapter **out, bezel_model *model, const char *path, bezel_error *err);

/* Frees an adapter; NULL is fine. Sessions that use it must be gone, or use others: nothing checks that.
 *   Thread   any, when no other uses the adapter
 *   Since    0.1 */
BEZEL_API void bezel_adapter_free(bezel_adapter *adapter);

/* Writes the adapter. PEFT: path is an existing folder, its two files are replaced; GGUF: path is the file.
 * Each file is written beside its name and renamed. What was trained with another scale a matrix is written with the first
 * one's, its B multiplied accordingly.
 *   Thread   any
 *   Errors   RANGE for the form; DENIED, FULL, IO, MISSING for the files; MEMORY
 *   Since    0.1 */
BEZEL_API bezel_status bezel_adapter_save(const bezel_adapter *adapter, const char *path, uint32_t form, bezel_error *err);

/* Pairs of matrices in it, and the largest rank; 0 for NULL. out_rank may be NULL.
 *   Thread   any
 *   Since    0.1 */
BEZEL_API size_t bezel_adapter_pairs(const bezel_adapter *adapter, uint32_t *out_rank);

/* An adapter in use: what it adds is multiplied by scale, beside what its own file says. */
typedef struct bezel_adapter_use {
    const bezel_adapter *adapter;
    /* 1 = as trained; 0 adds nothing; any finite number */
    float scale;
    /* 0 */
    uint32_t reserved;
} bezel_adapter_use;

/* Sets the adapters of a session, up to 8, one added after the other; count 0 takes them away. The timeline stays; what
 * the cache holds was computed with the old ones and is computed anew by the next generation, unless nothing changes.
 * A fork uses the same ones. Saved sessions and kept beginnings of prompts belong to their adapters and scales.
 *   Shapes   uses [count]
 *   Owns     the adapters stay the caller's and outlive their use
 *   Thread   that of the session
 *   Errors   BUSY while a generation is not finished; RANGE for the count or a scale that is not finite; ARGUMENT for an
 *            adapter that is NULL or was opened for another model. The session is as before
 *   Since    0.1 */
BEZEL_API bezel_status bezel_session_adapt(bezel_session *session, const bezel_adapter_use *uses, size_t count,
                                           bezel_error *err);

#ifdef __cplusplus
}
#endif
#endif
