/* SPDX-License-Identifier: MIT */
/* bezel_model: weights, tokenizer and numbers of one model file.
 *
 *     bezel_model *model = NULL;
 *     if (bezel_model_open(&model, engine, "gemma-3-270m-q4_k_m.gguf", NULL, &err) != BEZEL_OK) ...
 *     printf("%s, %u tokens of context\n", bezel_model_name(model), (unsigned)bezel_model_context_length(model));
 *     ... sessions, tokenizer, prompts ...
 *     bezel_model_free(model);   // after its sessions and prompts
 *
 * Families of this version: Gemma 1, 2 and 3 (text). A file from anywhere may be opened: everything in it is checked
 * before it is used. */
#ifndef BEZEL_MODEL_H
#define BEZEL_MODEL_H

#include <bezel/engine.h>
#include <bezel/job.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An open model.
 *   Thread   immutable: any number of threads and sessions may use it */
typedef struct bezel_model bezel_model;

/* --- Options ------------------------------------------------------------------------------ */

/* What a model was trained for; decides how messages are shown to it (bezel_profile_of). */
enum {
    /* a chat template in the file means instruct, none means pretrained */
    BEZEL_KIND_AUTO = 0,
    /* continues text; talks through the transcript profile */
    BEZEL_KIND_PRETRAINED = 1,
    /* follows the family's chat template */
    BEZEL_KIND_INSTRUCT = 2
};

/* Reads `size` bytes at `offset` of a model of the host: all, or a negative status, which ends the load with it.
 *   Thread   the one that loads: that of bezel_model_open or bezel_job_step, the engine's worker after bezel_job_start.
 *            Never called once the model is loaded */
typedef bezel_status (*bezel_read_fn)(void *ud, uint64_t offset, void *buffer, size_t size);

/* How a model is opened. Fill it with bezel_model_options_init, then set what you need. */
typedef struct bezel_model_options {
    /* set by bezel_model_options_init */
    uint32_t size;
    /* BEZEL_KIND_...; default AUTO. A file without template whose name says instruct gets a warning, not another
     * kind */
    uint32_t kind;
    /* 1 (default): weights are mapped read-only and shared with other processes; 0: read into memory, always so with
     * read */
    int32_t map;
    /* 1: every value or block scale is checked for NaN and infinity, which reads the whole file; default 0 */
    int32_t check_weights;
    /* 1: round the embedding's factor sqrt(d) to bf16 as bf16 runs of other engines do; default 0 */
    int32_t bf16_embedding_scale;
    /* 1: the layers' weights are always read as the model file has them, NAME.packed of cache_folder is neither made nor used;
     * default 0 */
    uint32_t raw_weights;
    /* model bytes from the host instead of a file; path is then only a name. Default NULL. Not for split files */
    bezel_read_fn read;
    /* first argument of read */
    void *read_ud;
    /* bytes that read can deliver; must be given with it and only with it */
    uint64_t read_size;
    /* existing folder for files that are made from the model once and mapped from then on, or NULL (default): none are
     * made and none are used. Not with read. NAME.vocab, 6 MB for 262,144 entries: the tables of the vocabulary, written by
     * the first load. NAME.trie, 8 MB: which tokens go on with a text, written by the first constraint. NAME.head, 105 MB for
     * the 270M model: a coarse copy of the output matrix, by which most tokens are found with 60 % of the bytes read
     * (BEZEL_HEAD_...); a thread of low priority makes it, or checks it, after the first token. NAME.packed, 69 MB for it: the
     * weights of the layers in the order in which decoding uses them, likewise, on levels that have kernels for it and for at
     * most 1 GiB. NAME.prefix: beginnings of prompts (bezel_session_prefix). Tokens are the same with them and without them.
     * NAME tells size, time and identity of the model file and a sample of its bytes; every byte is checked before use, and
     * what is damaged, of another version or half-written is made again. What nobody used for 90 days is removed, and the least
     * recently used above 256 MB each of .vocab and .trie and 2 GiB each of .head and .packed; any may be deleted at any time.
     * Copied */
    const char *cache_folder;
    /* most bytes of the beginnings of prompts in cache_folder, of all models together: the least recently used go first. 0
     * (default) = 512 MiB; 1 keeps none */
    uint64_t cache_limit;
    /* 1: the weights are not read and need not be there: the model tokenizes, renders prompts and serves a replay of an agent;
     * sessions, batches and adapters of it are UNSUPPORTED. The file may be one of bezel_model_save_vocabulary. Default 0 */
    uint32_t vocabulary_only;
    /* 0 */
    uint32_t reserved;
} bezel_model_options;

/* Fills the options with the defaults above.
 * out must not be NULL.
 *   Thread   any
 *   Since    0.1 */
BEZEL_API void bezel_model_options_init(bezel_model_options *out);

/* --- Open and free ------------------------------------------------------------------------ */

/* Opens a GGUF file and blocks until it is loaded; of a split model name the first part, the others are looked for
 * beside it. options NULL are the defaults.
 * A mapped file must not be written to while the model is open: change it by renaming a new one over it.
 *   Owns     *out is the caller's, free with bezel_model_free after its sessions and prompts and before the engine
 *   Thread   any
 *   Errors   MISSING, IO (no regular file), DENIED for the file; TRUNCATED, FORMAT, VERSION, TYPE, RANGE, SHAPE,
 *            OVERFLOW, LIMIT, DUPLICATE for its bytes; MISSING for a key, a tensor or a part; UNSUPPORTED for a family
 *            or tensor type this build does not know; NUMERIC with check_weights; CHANGED when the file was replaced or
 *            written to meanwhile; ARGUMENT for an option. The text names file, byte offset, key or tensor, value found
 *            and expected. Nothing stays open, *out is NULL
 *   Source   GGUF 2 and 3, gguf.md of ggml
 *   Since    0.1 */
BEZEL_API bezel_status bezel_model_open(bezel_model **out, bezel_engine *engine, const char *path,
                                        const bezel_model_options *options, bezel_error *err);

/* The same as a job with progress events; take the model with bezel_model_take when it is done.
 * For hosts that must not block. The longest unit is the vocabulary (about 20 ms for 262,144 tokens) or 16 MiB of
 * weights read or checked. Cancelling drops what was loaded. The file is opened by the first unit, so its errors come
 * from the job.
 *   Owns     *out is the caller's, free with bezel_job_free before the engine; a model that was not taken goes with it
 *   Thread   that of the job
 *   Errors   here ARGUMENT and VERSION for options, *out is NULL; from the job those of bezel_model_open and CANCELLED
 *   Since    0.1 */
BEZEL_API bezel_status bezel_model_open_job(bezel_job **out, bezel_engine *engine, const char *path,
                                            const bezel_model_options *options, bezel_error *err);

/* Hands the loaded model over, once. Events that still wait do not matter; the job may be freed before or after the
 * model.
 *   Owns     *out is the caller's, free with bezel_model_free; the job stays the caller's, too
 *   Thread   that of the job
 *   Errors   ARGUMENT when the job is none of loading, not done, or its model was taken; the job's own error when it
 *            failed. *out is NULL
 *   Since    0.1 */
BEZEL_API bezel_status bezel_model_take(bezel_model **out, bezel_job *job, bezel_error *err);

/* Frees a model and unmaps its file; NULL is fine. Its sessions and prompts must be gone: nothing checks that.
 *   Thread   any, when no other uses the model
 *   Since    0.1 */
BEZEL_API void bezel_model_free(bezel_model *model);

/* Makes what cache_folder is for, or checks what it has, and waits for it: some seconds once, 0.1 s later.
 * Waits for a beginning of a prompt that is being written, too.
 * Nobody has to call this: the first generation starts the same work in the background.
 *   Thread   any, also beside generations
 *   Errors   UNSUPPORTED without cache_folder, or for a model that gains nothing (capped logits, output matrix of a type
 *            with minima or of 64 columns or less); MISSING, DENIED, FULL, IO for the files; NUMERIC for weights that are
 *            no numbers; MEMORY. The model works as before
 *   Since    0.1 */
BEZEL_API bezel_status bezel_model_prepare(bezel_model *model, bezel_error *err);

/* --- Inspection --------------------------------------------------------------------------- */
/* Here `model` must not be NULL. Texts belong to the model. Any thread. */

/* The engine it was opened with.
 *   Since    0.1 */
BEZEL_API bezel_engine *bezel_model_engine(const bezel_model *model);

/* The path as it was given.
 *   Since    0.1 */
BEZEL_API const char *bezel_model_path(const bezel_model *model);

/* Writes what is before the weights (configuration, vocabulary, template) to a new GGUF file: 6 MB for 262,144 entries, for machines
 * that replay recorded agents and check prompts, but compute nothing. Open it with vocabulary_only.
 *   Thread   any
 *   Errors   DENIED when path is there; UNSUPPORTED for a model of several files; MISSING, IO and so on: err->place is path
 *   Since    0.1 */
BEZEL_API bezel_status bezel_model_save_vocabulary(const bezel_model *model, const char *path, bezel_error *err);

/* general.name of the file, else the last part of the path. Chosen by whoever made the file: show it, do not trust it.
 *   Since    0.1 */
BEZEL_API const char *bezel_model_name(const bezel_model *model);

/* BEZEL_KIND_PRETRAINED or BEZEL_KIND_INSTRUCT, never AUTO.
 *   Since    0.1 */
BEZEL_API uint32_t bezel_model_kind(const bezel_model *model);

/* Entries of the vocabulary; ids run from 0 to one less.
 *   Since    0.1 */
BEZEL_API uint32_t bezel_model_vocab_size(const bezel_model *model);

/* Positions it was trained for; the most that a session may have.
 *   Since    0.1 */
BEZEL_API uint32_t bezel_model_context_length(const bezel_model *model);

/* A map with everything `bezel info` shows.
 * Keys: path, name, architecture, kind ("pretrained", "instruct"), chat_template (bool), parameters, layers,
 * global_layers, width, feed_forward, heads, kv_heads, head_width, window, n_ctx, vocab_size, file_bytes, weight_bytes,
 * files, mapped, n_tensors, tensors (map of type name to {count, bytes}), tied_output, special_ids (map of bos, eos,
 * unknown, padding, end_of_turn to an id or null), end_ids (list), fingerprint (32 hex digits that a saved session is
 * bound to), warnings (list of sentences about odd but harmless things in the file).
 *   Units    bytes
 *   Owns     *out lives in tree
 *   Thread   that of the tree
 *   Errors   that of the tree when it has no room; *out is NULL
 *   Since    0.1 */
BEZEL_API bezel_status bezel_model_describe(bezel_value **out, bezel_tree *tree, const bezel_model *model,
                                            bezel_error *err);

/* A map with the memory that a file and one session of n_ctx positions will need, from the header alone.
 * Keys: weights, kv, kv_int8 (instead of kv with BEZEL_KV_INT8), scratch, total, n_ctx. For a choice before anything is loaded; the weights are read into memory or
 * mapped, the rest is allocated for each session. n_ctx 0 is the default of sessions; one that the model does not have
 * is computed all the same. Default chunk and activations are assumed.
 *   Units    bytes
 *   Owns     *out lives in tree
 *   Thread   that of the tree
 *   Errors   those of bezel_model_open for a header; LIMIT when the sum cannot be counted; that of the tree. *out is
 *            NULL
 *   Since    0.1 */
BEZEL_API bezel_status bezel_model_plan(bezel_value **out, bezel_tree *tree, bezel_engine *engine, const char *path,
                                        uint32_t n_ctx, bezel_error *err);

#ifdef __cplusplus
}
#endif
#endif
