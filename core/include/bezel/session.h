/* SPDX-License-Identifier: MIT */
/* bezel_session: one timeline of tokens with its KV cache.
 *
 *     bezel_session_new(&s, model, NULL, &err);
 *     bezel_session_append_text(s, "The capital of France is", SIZE_MAX, BEZEL_TOKENIZE_BOS, &err);
 *     bezel_generate(&job, s, NULL, &err);
 *     while ((st = bezel_job_step(job, -1, &err)) > 0 && st != BEZEL_DONE)
 *         while (bezel_job_event(job, &event)) fwrite(event.text, 1, event.text_size, stdout);
 */
#ifndef BEZEL_SESSION_H
#define BEZEL_SESSION_H

#include <bezel/model.h>
#include <bezel/sampling.h>
#include <bezel/tokenizer.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct bezel_session bezel_session; /* Thread: confined */

enum {
    BEZEL_ACTIVATIONS_AUTO = 0, /* q8 where the kernels have it, f32 on the scalar level */
    BEZEL_ACTIVATIONS_F32 = 1,  /* float activations, K and V in float: the reference */
    BEZEL_ACTIVATIONS_Q8 = 2    /* 8-bit activations */
};

typedef struct bezel_session_options {
    uint32_t size;        /* set by bezel_session_options_init */
    uint32_t n_ctx;       /* positions, at most the model's own; 0 = the smaller of 4096 and that */
    uint32_t chunk;       /* prompt tokens a pass, at most 512; 0 = 128; the text does not depend on it */
    uint32_t activations; /* BEZEL_ACTIVATIONS_... */
} bezel_session_options;

BEZEL_API void bezel_session_options_init(bezel_session_options *out);

/* Owns     *out is the caller's, free with bezel_session_free before the model */
BEZEL_API bezel_status bezel_session_new(bezel_session **out, bezel_model *model,
                                         const bezel_session_options *options, bezel_error *err);
BEZEL_API void bezel_session_free(bezel_session *session);

/* --- Timeline ----------------------------------------------------------------------------- */

/* Adds tokens at the end. They are computed by the next generation.
 *   Errors   BEZEL_ERR_FULL when they do not fit: the session is unchanged */
BEZEL_API bezel_status bezel_session_append(bezel_session *session, const int32_t *ids, size_t count, bezel_error *err);
BEZEL_API bezel_status bezel_session_append_text(bezel_session *session, const char *text, size_t size, uint32_t flags,
                                                 bezel_error *err);
/* Makes the timeline exactly these ids; what the cache already holds of them is kept and not computed again. */
BEZEL_API bezel_status bezel_session_set(bezel_session *session, const int32_t *ids, size_t count, bezel_error *err);
/* Drops everything from position `count` on. Going back over about 500 positions in a model with sliding windows costs the
 * cache: the whole timeline is then computed again (bezel_session_cached tells). */
BEZEL_API bezel_status bezel_session_rewind(bezel_session *session, size_t count, bezel_error *err);
/* A second session with the same timeline and cache, independent from here on. */
BEZEL_API bezel_status bezel_session_fork(bezel_session **out, const bezel_session *session, bezel_error *err);
/* Timeline and cache to a file and back (same model, options may differ in chunk only; checked). A file that is refused
 * leaves the session as it was; one that cannot be read to its end after the check leaves an empty timeline.
 *   Errors   FORMAT, VERSION, TRUNCATED, CHECKSUM for the file; ARGUMENT for another model or other options */
BEZEL_API bezel_status bezel_session_save(const bezel_session *session, const char *path, bezel_error *err);
BEZEL_API bezel_status bezel_session_load(bezel_session *session, const char *path, bezel_error *err);

BEZEL_API bezel_model *bezel_session_model(const bezel_session *session);
BEZEL_API uint32_t bezel_session_n_ctx(const bezel_session *session);
/* Ids of the timeline; belongs to the session, dies with the next call that changes it. */
BEZEL_API const int32_t *bezel_session_ids(const bezel_session *session, size_t *out_count);
BEZEL_API size_t bezel_session_cached(const bezel_session *session); /* positions of it that are computed */

/* --- Generation --------------------------------------------------------------------------- */

enum {
    BEZEL_STOP_NONE = 0,       /* not finished */
    BEZEL_STOP_EOS = 1,        /* the model ended its turn */
    BEZEL_STOP_STRING = 2,     /* a stop string */
    BEZEL_STOP_MAX_TOKENS = 3,
    BEZEL_STOP_CONTEXT = 4,    /* the context is full */
    BEZEL_STOP_CANCELLED = 5
};
BEZEL_API const char *bezel_stop_name(uint32_t stop_reason); /* "eos", "stop", "max_tokens", "context", "cancelled" */

typedef struct bezel_generate_options {
    uint32_t size;       /* set by bezel_generate_options_init */
    uint32_t max_tokens; /* default 512; 0 only computes the prompt */
    bezel_sampling sampling;
    const char *const *stops; /* [n_stops] stop strings, valid UTF-8, copied; the text ends before the first that appears */
    uint32_t n_stops;
    uint32_t n_logprobs; /* alternatives to report for each token, at most 64; 0 = none */
} bezel_generate_options;

BEZEL_API void bezel_generate_options_init(bezel_generate_options *out);

/* What a finished (or cancelled) generation did. Pointers belong to the job. */
typedef struct bezel_generation {
    uint32_t size;            /* sizeof(bezel_generation), set by the caller */
    uint32_t stop_reason;     /* BEZEL_STOP_... */
    const char *text;         /* whole answer without stop string and end token; valid UTF-8 */
    size_t text_size;
    const int32_t *ids;       /* [n_ids] tokens of the answer, without the end token */
    size_t n_ids;
    size_t n_prompt;          /* tokens of the timeline before the answer */
    size_t n_cached;          /* of these, how many were in the cache already */
    int64_t prompt_us;        /* computing the prompt */
    int64_t first_token_us;   /* from start to the first token */
    int64_t total_us;
    int32_t stop_index;       /* which stop string, -1 = none */
    uint32_t n_top;           /* alternatives a token, as asked */
    const float *logprobs;    /* [n_ids] natural log over the whole vocabulary at temperature 1; NULL unless asked */
    const int32_t *top_ids;   /* [n_ids, n_top] */
    const float *top_logprobs; /* [n_ids, n_top] */
} bezel_generation;

/* Starts an answer to what the timeline holds. One generation a session at a time: until it ends (or its job is freed)
 * other calls on the session are BEZEL_ERR_BUSY. The session must outlive the job. The answer's tokens join the timeline as
 * they come, those of a stop string too; the end token does not, so that the next turn can begin as its template wants.
 * After a cancel or an error the timeline holds the tokens that came.
 *   Owns     *out is the caller's, free with bezel_job_free
 *   Errors   BEZEL_ERR_ARGUMENT when the timeline is empty; BEZEL_ERR_RANGE for a wrong option, named in the text;
 *            the job: BEZEL_ERR_NUMERIC when logits are no numbers (a damaged file) */
BEZEL_API bezel_status bezel_generate(bezel_job **out, bezel_session *session, const bezel_generate_options *options,
                                      bezel_error *err);
/* The result once the job is BEZEL_DONE or cancelled (then with what there was). */
BEZEL_API bezel_status bezel_generation_get(bezel_job *job, bezel_generation *out, bezel_error *err);

/* --- Scoring ------------------------------------------------------------------------------ */

/* One position: the id there, its log-probability given those before it (NaN for the first), and the best ids after it. */
typedef bezel_status (*bezel_score_fn)(void *ud, size_t position, int32_t id, float logprob, const int32_t *top_ids,
                                       const float *top_logprobs, uint32_t n_top);
/* Log-probabilities (natural log, whole vocabulary, temperature 1) of every position. Blocks. The session's timeline
 * becomes `ids`. A failing callback ends it with BEZEL_ERR_CALLBACK. */
BEZEL_API bezel_status bezel_score(bezel_session *session, const int32_t *ids, size_t count, uint32_t n_top,
                                   bezel_score_fn fn, void *ud, bezel_error *err);

#ifdef __cplusplus
}
#endif
#endif
