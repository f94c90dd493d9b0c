/* SPDX-License-Identifier: MIT */
/* bezel_session: one timeline of tokens with its KV cache.
 *
 *     bezel_session_new(&s, model, NULL, &err);
 *     bezel_session_append_text(s, "The capital of France is", SIZE_MAX, BEZEL_TOKENIZE_BOS, &err);
 *     bezel_generate(&job, s, NULL, &err);
 *     while ((st = bezel_job_step(job, -1, &err)) > 0 && st != BEZEL_DONE)
 *         while (bezel_job_event(job, &event)) fwrite(event.text, 1, event.text_size, stdout);
 *     bezel_job_free(job);
 *     bezel_session_free(s);
 *
 * The timeline is what the model has before its eyes; the cache is what of it is computed. Changing the timeline costs
 * nothing by itself: what is missing in the cache is computed by the next generation. */
#ifndef BEZEL_SESSION_H
#define BEZEL_SESSION_H

#include <bezel/constraint.h>
#include <bezel/model.h>
#include <bezel/sampling.h>
#include <bezel/tokenizer.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One timeline with its cache.
 *   Thread   confined. While a generation of it is not finished, perhaps on the engine's worker, every other call on
 *            the session is BEZEL_ERR_BUSY or answers as for an empty one */
typedef struct bezel_session bezel_session;

/* --- Create and free ---------------------------------------------------------------------- */

/* In what numbers a session computes; fixed for its life. */
enum {
    /* Q8 where the kernels have it, F32 on the scalar level */
    BEZEL_ACTIVATIONS_AUTO = 0,
    /* float activations, K and V in float where kv is AUTO: the reference */
    BEZEL_ACTIVATIONS_F32 = 1,
    /* integer activations, K and V in half floats where kv is AUTO: faster, half the cache */
    BEZEL_ACTIVATIONS_Q8 = 2
};

/* In what numbers a session keeps keys and values; fixed for its life. */
enum {
    /* F32 with float activations, else F16 */
    BEZEL_KV_AUTO = 0,
    /* floats: the reference */
    BEZEL_KV_F32 = 1,
    /* half floats */
    BEZEL_KV_F16 = 2,
    /* signed bytes with a float scale a row: about half of F16, at the price of accuracy: greedy text changes (docs/performance.md) */
    BEZEL_KV_INT8 = 3
};

/* How tokens are found; they are the same, drawn ones with the same seed too. Screening serves what depends only on the
 * largest logits: greedy, top-k (up to 256) with or without top-p and min-p, min-p without top-p; with a bias and a repetition
 * penalty of 1 or more. Every other generation needs all logits and takes the full head: top-p without top-k, no cut at all, a
 * penalty below 1, logprobs. Several sessions of a batch are screened together, up to 8. */
enum {
    /* BEZEL_HEAD of the environment (auto, full or screened), else screened */
    BEZEL_HEAD_AUTO = 0,
    /* by all rows of the output matrix */
    BEZEL_HEAD_FULL = 1,
    /* by the rows that its coarse copy cannot rule out, once the model has one (cache_folder); never on the scalar level */
    BEZEL_HEAD_SCREENED = 2
};

/* How a session is made. Fill it with bezel_session_options_init, then set what you need. */
typedef struct bezel_session_options {
    /* set by bezel_session_options_init */
    uint32_t size;
    /* positions: 1 to the model's own; 0 (default) = the smaller of 4096 and that. Memory grows with it:
     * bezel_model_plan */
    uint32_t n_ctx;
    /* prompt tokens a pass, 1 to 512; 0 (default) = 128. Larger makes the units of a job longer; the text does not depend on
     * it */
    uint32_t chunk;
    /* BEZEL_ACTIVATIONS_...; default AUTO */
    uint32_t activations;
    /* BEZEL_HEAD_...; default AUTO */
    uint32_t head;
    /* 1 = greedy generations guess up to 7 tokens at a time, where the last three or more repeat an earlier place of the
     * timeline, and check them in one pass: the same tokens, faster where an answer copies (edits, arguments of tools).
     * 0 (default) = off. A batch of several guesses nothing */
    uint32_t lookup;
    /* BEZEL_KV_...; default AUTO */
    uint32_t kv;
    /* 0 */
    uint32_t reserved;
    /* 0: room for members to come, because this struct lies inside others */
    uint64_t spare[2];
} bezel_session_options;

/* Fills the options with the defaults above.
 * out must not be NULL.
 *   Thread   any
 *   Since    0.1 */
BEZEL_API void bezel_session_options_init(bezel_session_options *out);

/* Makes a session with an empty timeline; options NULL are the defaults.
 * All memory of the session is allocated here, so later calls on it need little or none.
 *   Owns     *out is the caller's, free with bezel_session_free before the model
 *   Thread   any
 *   Errors   RANGE for an option; ARGUMENT for a BEZEL_HEAD that is none; OVERFLOW for a cache beyond what can be addressed; MEMORY: a smaller n_ctx needs
 *            less. *out is NULL
 *   Since    0.1 */
BEZEL_API bezel_status bezel_session_new(bezel_session **out, bezel_model *model,
                                         const bezel_session_options *options, bezel_error *err);

/* Frees a session; NULL is fine. Free its jobs first: nothing checks that.
 *   Thread   that of the session
 *   Since    0.1 */
BEZEL_API void bezel_session_free(bezel_session *session);

/* --- Timeline ----------------------------------------------------------------------------- */
/* All give BEZEL_ERR_BUSY while a generation is not finished. After an error the session is as before, but for
 * bezel_session_load as its comment says. None computes anything. */

/* Adds tokens at the end. They are computed by the next generation.
 *   Shapes   ids [count] i32
 *   Thread   that of the session
 *   Errors   FULL when they do not fit; RANGE for an id outside the vocabulary, err->offset is its index
 *   Since    0.1 */
BEZEL_API bezel_status bezel_session_append(bezel_session *session, const int32_t *ids, size_t count, bezel_error *err);

/* Adds the tokens of a text; size SIZE_MAX means strlen(text), flags are BEZEL_TOKENIZE_... .
 * A first text wants BEZEL_TOKENIZE_BOS: the models were trained with it.
 *   Units    size in bytes
 *   Thread   that of the session
 *   Errors   FULL when they do not fit; LIMIT over 1 GiB; ARGUMENT for unknown flags
 *   Since    0.1 */
BEZEL_API bezel_status bezel_session_append_text(bezel_session *session, const char *text, size_t size, uint32_t flags,
                                                 bezel_error *err);

/* Makes the timeline exactly these ids; what the cache holds of their common beginning is kept and not computed again.
 * The way to chat: render the whole conversation (bezel_prompt_render) and set it each time. count 0 empties it.
 *   Shapes   ids [count] i32; may be those of bezel_session_ids
 *   Thread   that of the session
 *   Errors   FULL, RANGE as bezel_session_append
 *   Since    0.1 */
BEZEL_API bezel_status bezel_session_set(bezel_session *session, const int32_t *ids, size_t count, bezel_error *err);

/* Drops everything from position `count` on.
 * In a model with sliding windows the local layers keep window + 512 positions. Once the timeline was longer than that,
 * going back over about 500 positions costs the cache: the whole timeline is then computed again (bezel_session_cached
 * tells).
 *   Thread   that of the session
 *   Errors   RANGE when count is more than there is
 *   Since    0.1 */
BEZEL_API bezel_status bezel_session_rewind(bezel_session *session, size_t count, bezel_error *err);

/* Says that many timelines begin with the first `count` tokens of this one: a system text, tools, examples.
 * If they were computed before, by this process or another, the cache holds them at once: their file in cache_folder of the
 * model is checked and mapped (11 MB for 1,010 tokens of the 270M model), read only and once for all sessions of the
 * model. If not, the next generation computes them and, after its first token, hands a copy to a thread that writes the
 * file; bezel_model_free waits for it. Answers are the same, bit for bit. Does nothing without cache_folder or for less than
 * 16 tokens; failures of files are for the log only. Call it after bezel_session_set, before bezel_generate.
 *   Thread   that of the session
 *   Errors   RANGE when count is more than there is
 *   Since    0.1 */
BEZEL_API bezel_status bezel_session_prefix(bezel_session *session, size_t count, bezel_error *err);

/* A second session with the same timeline, cache and options, independent from here on. Copies the cache: as much
 * memory again, and the time to copy it. For several answers to one long prompt.
 *   Owns     *out is the caller's, free with bezel_session_free before the model
 *   Thread   that of the session; the new one may then go to another
 *   Errors   those of bezel_session_new; *out is NULL
 *   Since    0.1 */
BEZEL_API bezel_status bezel_session_fork(bezel_session **out, const bezel_session *session, bezel_error *err);

/* Writes timeline and cache to a file. It is written as `path`.part, synced, then renamed, so an old file stays until
 * the new one is whole. It holds the conversation in readable ids: created for the owner only.
 *   Thread   that of the session; blocks for the disk
 *   Errors   IO, DENIED, FULL, MISSING (the folder); err->place is the path, an old file is untouched
 *   Since    0.1 */
BEZEL_API bezel_status bezel_session_save(const bezel_session *session, const char *path, bezel_error *err);

/* Reads such a file back: same model, n_ctx, activations and byte order; chunk may differ. Everything is checked, hash
 * included, before anything changes. The hash finds damage, not malice: a forged file can spoil answers, but not
 * memory.
 *   Thread   that of the session; blocks for the disk
 *   Errors   FORMAT, VERSION, TRUNCATED, CHECKSUM, RANGE for the file; ARGUMENT for another model or other options;
 *            MISSING, DENIED, IO: the session is as it was. CHANGED, or any of these in the second reading: an empty
 *            timeline
 *   Since    0.1 */
BEZEL_API bezel_status bezel_session_load(bezel_session *session, const char *path, bezel_error *err);

/* --- Inspection --------------------------------------------------------------------------- */

/* The model it was made with; NULL for NULL.
 *   Thread   any
 *   Since    0.1 */
BEZEL_API bezel_model *bezel_session_model(const bezel_session *session);

/* Positions it can hold; 0 for NULL.
 *   Thread   any
 *   Since    0.1 */
BEZEL_API uint32_t bezel_session_n_ctx(const bezel_session *session);

/* Ids of the timeline. NULL with a count of 0 for NULL and while a generation is not finished; out_count may be NULL.
 *   Shapes   [*out_count] i32
 *   Owns     the session's; dies with the next call that changes the timeline, a generation included
 *   Thread   that of the session
 *   Since    0.1 */
BEZEL_API const int32_t *bezel_session_ids(const bezel_session *session, size_t *out_count);

/* Positions of the timeline that are computed; 0 for NULL and while a generation is not finished.
 *   Thread   that of the session
 *   Since    0.1 */
BEZEL_API size_t bezel_session_cached(const bezel_session *session);

/* --- Generation --------------------------------------------------------------------------- */

/* Why a generation ended. */
enum {
    /* not finished */
    BEZEL_STOP_NONE = 0,
    /* the model ended its turn */
    BEZEL_STOP_EOS = 1,
    /* a stop string appeared */
    BEZEL_STOP_STRING = 2,
    /* max_tokens came */
    BEZEL_STOP_MAX_TOKENS = 3,
    /* the context is full */
    BEZEL_STOP_CONTEXT = 4,
    /* bezel_job_cancel was called */
    BEZEL_STOP_CANCELLED = 5
};

/* "none", "eos", "stop", "max_tokens", "context", "cancelled"; "unknown" for any other number.
 *   Owns     static text
 *   Thread   any
 *   Since    0.1 */
BEZEL_API const char *bezel_stop_name(uint32_t stop_reason);

/* When calls of a constraint may come. */
enum {
    /* free text until the marker of a call stands at the beginning of a line; then only calls */
    BEZEL_CALLS_AUTO = 0,
    /* nothing but calls */
    BEZEL_CALLS_REQUIRED = 1,
    /* none: the marker does not come */
    BEZEL_CALLS_NONE = 2
};

/* How an answer is made. Fill it with bezel_generate_options_init, then set what you need. */
typedef struct bezel_generate_options {
    /* set by bezel_generate_options_init */
    uint32_t size;
    /* most tokens of the answer, up to 2^31 - 1; default 512; 0 only computes the prompt */
    uint32_t max_tokens;
    /* how tokens are picked; default bezel_sampling_init */
    bezel_sampling sampling;
    /* [n_stops] stop strings, 1 to 256 bytes of valid UTF-8 each, copied; the text ends before the first that appears.
     * Default NULL */
    const char *const *stops;
    /* at most 64; default 0 */
    uint32_t n_stops;
    /* likeliest tokens to report at each position of the answer, at most 64; 0 (default) = none and no logprobs */
    uint32_t n_logprobs;
    /* form of the answer (constraint.h), of the session's model; must live as long as the job. Default NULL */
    const bezel_constraint *constraint;
    /* BEZEL_CALLS_...; for a constraint of kind CALLS only. Default AUTO */
    uint32_t calls;
    /* added to the logits of the tokens that begin a call when the answer begins, in AUTO: above 0 calls more often. Default
     * 0 */
    float call_bias;
    /* [n_made_calls] calls as the dialect writes them, from the name on: they do not come again. Those of the answer itself
     * never repeat. At most 32 count. Default NULL */
    const char *const *made_calls;
    /* default 0 */
    uint32_t n_made_calls;
    /* 1: the tokens of text that only one continuation allows are computed one by one; slower, and greedy answers are the same:
     * for comparison. Default 0 */
    uint32_t no_jump;
    /* [n_function_bias] for each function of the constraint, in its order: added to the logits where the name of a call is
     * chosen, to each token the largest of the names that it can lead to. A function that was called counts no more than the
     * best of the others from then on. Not where more than 1,024 tokens may come. Copied. Default NULL */
    const float *function_bias;
    /* at most as many as functions; default 0 */
    uint32_t n_function_bias;
    /* for a constraint of calls: a text that the values of their arguments are likely to stand in, such as the user's question;
     * NUL-terminated UTF-8, its last 2,048 bytes count, copied. Tokens of values that keep to it weigh more, and so do lists as
     * long as its lists, optional parameters that it speaks of, and one more call while values for it are left. Nothing that
     * the schemas allow becomes impossible. Default NULL */
    const char *evidence;
    /* how much that counts; 1 adds up to 8 nats to a logit, 0 (default) nothing */
    float evidence_weight;
    /* 0: room for members to come, because this struct lies inside others */
    uint32_t spare;
} bezel_generate_options;

/* Fills the options with the defaults above.
 * out must not be NULL.
 *   Thread   any
 *   Since    0.1 */
BEZEL_API void bezel_generate_options_init(bezel_generate_options *out);

/* Starts an answer to what the timeline holds; options NULL are the defaults. Nothing is computed yet: drive the job.
 * One generation a session at a time: until it ends or its job is freed other calls on the session are BEZEL_ERR_BUSY.
 * The answer's tokens join the timeline as they come, those of a stop string too; the end token does not, so that the
 * next turn can begin as its template wants. After a cancel or an error the timeline holds the tokens that came and the
 * session can be used on.
 * Events: progress of the prompt, then text.
 *   Owns     *out is the caller's, free with bezel_job_free before the session; options may go at once
 *   Thread   that of the session
 *   Errors   ARGUMENT when the timeline is empty or a stop string is empty or no UTF-8; RANGE for a wrong option, named
 *            in the text; LIMIT for too many or too long stop strings: *out is NULL, the session unchanged. From the
 *            job NUMERIC when logits are no numbers (a damaged file) or the bias forbids every token, MEMORY, CANCELLED
 *   Since    0.1 */
BEZEL_API bezel_status bezel_generate(bezel_job **out, bezel_session *session, const bezel_generate_options *options,
                                      bezel_error *err);

/* What a finished or cancelled generation did. */
typedef struct bezel_generation {
    /* sizeof(bezel_generation), set by the caller; a smaller one of an older header gets its members */
    uint32_t size;
    /* BEZEL_STOP_... */
    uint32_t stop_reason;
    /* whole answer without stop string and end token; valid UTF-8, NUL-terminated */
    const char *text;
    /* bytes */
    size_t text_size;
    /* [n_ids] tokens of the answer, without the end token */
    const int32_t *ids;
    /* tokens of the answer */
    size_t n_ids;
    /* tokens of the timeline before the answer */
    size_t n_prompt;
    /* of these, how many were in the cache already; the last one never counts */
    size_t n_cached;
    /* microseconds from the first unit of the job to the end of the prompt, waiting between steps included; 0 = not
     * reached */
    int64_t prompt_us;
    /* microseconds from the first unit to the first token; 0 = there was none */
    int64_t first_token_us;
    /* microseconds from the first unit to the end */
    int64_t total_us;
    /* index of the stop string that ended it, -1 = none */
    int32_t stop_index;
    /* alternatives at each token, as asked, at most the vocabulary */
    uint32_t n_top;
    /* [n_ids] natural log of each token's probability over the whole vocabulary at temperature 1, before bias and
     * penalty; under a constraint over the tokens that were legal; NULL unless asked for */
    const float *logprobs;
    /* [n_ids, n_top] likeliest ids, best first; NULL unless asked for */
    const int32_t *top_ids;
    /* [n_ids, n_top] their log-probabilities, likewise */
    const float *top_logprobs;
    /* tokens that lookup guessed */
    uint64_t n_drafted;
    /* of these, how many were right */
    uint64_t n_accepted;
    /* of n_ids, how many a constraint left no choice for: they were not sampled */
    size_t n_forced;
    /* probability of a call as the model gave it to the first token, before call_bias; NaN unless calls are AUTO */
    double call_probability;
    /* probability with which the name of the first call was chosen, function_bias included; NaN where that had no say */
    double name_probability;
} bezel_generation;

/* The result of a generation, once the job is done or cancelled (then with what there was). Events may still wait.
 *   Units    microseconds, bytes
 *   Owns     the pointers belong to the job and die with it
 *   Thread   that of the job
 *   Errors   BUSY while it runs; ARGUMENT when it failed, the job is no generation, or out->size is not set. *out is as
 *            it was
 *   Since    0.1 */
BEZEL_API bezel_status bezel_generation_get(bezel_job *job, bezel_generation *out, bezel_error *err);

/* --- Scoring ------------------------------------------------------------------------------ */

/* One position: the id there, its log-probability given those before it (NaN for the first), and the best n_top ids
 * after it with theirs. Return BEZEL_OK to go on, anything else ends the scoring. Calls on the same session are
 * BEZEL_ERR_BUSY.
 *   Shapes   top_ids [n_top] i32, top_logprobs [n_top] f32, best first; valid during the call
 *   Thread   that of bezel_score */
typedef bezel_status (*bezel_score_fn)(void *ud, size_t position, int32_t id, float logprob, const int32_t *top_ids,
                                       const float *top_logprobs, uint32_t n_top);

/* How probable each of some texts is as what follows the session's timeline: the product of the probabilities of its tokens,
 * normalised over the choices. Exact: nothing is sampled, each token counts with its share of the whole vocabulary. Where the
 * timeline ends in something else than white space, one blank comes first. Of two choices of which one is the beginning of the
 * other the shorter one is never less probable; give both what ends an answer ("\n"). Blocks; beginnings that choices share are
 * computed once. The timeline stays as it is.
 *   Shapes   out_probabilities [n_choices] f64, they sum to 1; out_logprobs [n_choices] f64, natural log of the product, or
 *            NULL; choices [n_choices]: 1 to 4,096 distinct texts, not empty, valid UTF-8
 *   Thread   that of the session
 *   Errors   ARGUMENT for a choice that is none or an empty timeline; FULL when the longest does not fit; BUSY, MEMORY;
 *            NUMERIC. The outputs are as they were
 *   Since    0.1 */
BEZEL_API bezel_status bezel_choose(double *out_probabilities, double *out_logprobs, bezel_session *session,
                                    const char *const *choices, size_t n_choices, bezel_error *err);

/* Log-probabilities (natural log, whole vocabulary, temperature 1) of every position of a text, in order.
 * For perplexity and for choosing between given answers. Blocks for the whole text and computes it all, cached or not;
 * to end it early return an error from fn. The session's timeline becomes `ids`. With count 0 fn is never called.
 *   Shapes   ids [count] i32; n_top at most 1024 and the vocabulary
 *   Thread   that of the session
 *   Errors   FULL, RANGE, BUSY, MEMORY: the session is as it was. CALLBACK when fn failed; NUMERIC, err->offset is the
 *            position: the timeline is `ids`, cached as far as it came
 *   Since    0.1 */
BEZEL_API bezel_status bezel_score(bezel_session *session, const int32_t *ids, size_t count, uint32_t n_top,
                                   bezel_score_fn fn, void *ud, bezel_error *err);

/* The same for the end of a text: fn is told the positions from `from` on, the first with its log-probability given those
 * before it. What comes before is computed only where the cache does not hold it, so several ends of one long text cost
 * little. from 0 is bezel_score.
 *   Shapes   as bezel_score; from < count
 *   Thread   that of the session
 *   Errors   those of bezel_score; RANGE for a `from` beyond the text: the session is as it was
 *   Since    0.1 */
BEZEL_API bezel_status bezel_score_from(bezel_session *session, const int32_t *ids, size_t count, size_t from, uint32_t n_top,
                                        bezel_score_fn fn, void *ud, bezel_error *err);

#ifdef __cplusplus
}
#endif
#endif
