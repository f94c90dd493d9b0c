/* SPDX-License-Identifier: MIT */
/* bezel_service: one call for an answer to somebody who is not trusted. It counts the request, checks and cleans the messages,
 * filters them, generates, filters the answer while it is made, and leaves a record of all of it.
 *
 *     bezel_service_new(&service, model, NULL, &err);
 *     bezel_json_read(&messages, tree, "[{\"role\":\"user\",\"content\":\"Hello\"}]", SIZE_MAX, &err);
 *     bezel_service_answer answer = {sizeof answer};
 *     if (bezel_secure_generate(&answer, service, "ann", messages, &err) == BEZEL_OK) {
 *         if (answer.is_success) puts(answer.response);
 *         else printf("%s: %s\n", answer.error_code, answer.error);
 *     }
 *     bezel_service_free(service);
 *
 * A host with a loop calls bezel_service_ask, then bezel_service_step until BEZEL_DONE, and passes on what bezel_service_text
 * gives. A request that is refused is an answer with an error code; an error status is a fault of the host. */
#ifndef BEZEL_SERVICE_H
#define BEZEL_SERVICE_H

#include <bezel/guard.h>
#include <bezel/monitor.h>
#include <bezel/session.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A model behind a guard, one request at a time. Several services may share model and guard on one thread.
 *   Thread   confined, but for bezel_service_cancel */
typedef struct bezel_service bezel_service;

/* --- Options ------------------------------------------------------------------------------ */

/* How a service is made. Fill it with bezel_service_options_init, then set what you need. */
typedef struct bezel_service_options {
    /* set by bezel_service_options_init */
    uint32_t size;
    /* 0 */
    uint32_t reserved;
    /* cleans, filters and counts; borrowed; NULL (default): one of its own with the guard's defaults */
    bezel_guard *guard;
    /* gets a row for each request, also for refused ones, with the guard's decisions; borrowed; NULL (default): none */
    bezel_monitor *monitor;
    /* gets each request that reached the model as a turn with its use of tokens; copied; NULL (default): nobody. It is given
     * numbers without conversation, so that a store keeps no content, unless `conversation` is set */
    const bezel_journal *journal;
    /* id of a conversation that keeps messages and answers, or NULL (default); copied */
    const char *conversation;
    /* 32 bytes that hashes of inputs are keyed with, so that nobody finds an input by trying; NULL (default): random ones, and
     * hashes of two services differ. Copied */
    const void *hash_key;
    /* form of the messages, borrowed; NULL (default) = bezel_profile_of the model */
    const bezel_profile *profile;
    /* of the service's own session */
    bezel_session_options session;
    /* of each answer; default bezel_sampling_service (repetition penalty 1.05) and 512 tokens. More than 1024 tokens are taken
     * as 1024. Stop strings, biases and a constraint are borrowed and must outlive the service */
    bezel_generate_options generate;
} bezel_service_options;

/* Fills the options with the defaults above.
 * out must not be NULL.
 *   Thread   any
 *   Since    0.1 */
BEZEL_API void bezel_service_options_init(bezel_service_options *out);

/* Makes a service; options NULL are the defaults.
 *   Owns     *out is the caller's, free with bezel_service_free before model, guard, monitor and journal
 *   Thread   any
 *   Errors   ARGUMENT for a journal of another size; MISSING when no profile fits; those of bezel_session_new and
 *            bezel_guard_new. *out is NULL
 *   Since    0.1 */
BEZEL_API bezel_status bezel_service_new(bezel_service **out, bezel_model *model, const bezel_service_options *options,
                                         bezel_error *err);

/* Frees a service; NULL is fine. A request that runs is cancelled and recorded.
 *   Thread   that of the service
 *   Since    0.1 */
BEZEL_API void bezel_service_free(bezel_service *service);

/* --- A request ---------------------------------------------------------------------------- */

/* What became of a request. */
typedef struct bezel_service_answer {
    /* sizeof(bezel_service_answer), set by the caller; a smaller one of an older header gets its members */
    uint32_t size;
    /* 1 = there is a whole answer */
    int32_t is_success;
    /* the answer; "" when there is none or it was not allowed */
    const char *response;
    /* bytes */
    size_t response_size;
    /* seconds that the generation took; 0 when there was none */
    double generation_time;
    /* tokens of the answer */
    uint64_t tokens_used;
    /* NULL on success, else what happened, for the user: it quotes nothing that the model wrote */
    const char *error;
    /* NULL on success, else one of
     * "RATE_LIMIT_EXCEEDED": the user's window is full (bezel_rate tells when there is room), or it cannot be looked at
     * "VALIDATION_ERROR": the messages are no list of 1 to 50 maps with role and content, are too long, or in no order that
     * the model's template knows
     * "CONTENT_FILTERED", "RESPONSE_FILTERED": a word, pattern or judge of the guard was against the messages, the answer
     * "GENERATION_ERROR": the model failed, the messages do not fit its context, the request was cancelled */
    const char *error_code;
    /* BEZEL_STOP_... */
    uint32_t stop_reason;
    /* matches of patterns that were taken out of the messages */
    uint32_t n_removed;
    /* characters of the messages beyond the guard's limit, which were cut off */
    uint64_t n_cut;
    /* tokens of the messages, and of these those that the cache had */
    uint64_t n_prompt, n_cached;
    /* milliseconds until the user's window has room again, after RATE_LIMIT_EXCEEDED */
    int64_t retry_ms;
    /* id of the request in records, 32 hexadecimal digits */
    const char *span;
    /* keyed hash of the messages, 16 hexadecimal digits */
    const char *input_hash;
} bezel_service_answer;

/* Begins a request: everything up to the generation, which step does. The last answer is gone. messages is a list of maps with
 * "role" (system, user, assistant) and "content", as a caller sends it; user may be NULL. The log gets a line with the first 8
 * characters of the user's id and the hash of the messages, never a text of them.
 *   Owns     everything is copied
 *   Thread   that of the service
 *   Errors   BUSY while a request runs; MEMORY; a request that is refused is BEZEL_OK and done with the first step
 *   Since    0.1 */
BEZEL_API bezel_status bezel_service_ask(bezel_service *service, const char *user, const bezel_value *messages, bezel_error *err);

/* Works for about budget_us microseconds, as bezel_job_step: BEZEL_MORE; BEZEL_TOKEN when there is text that may go out;
 * BEZEL_DONE when the request is over and recorded, well or not.
 *   Thread   that of the service
 *   Errors   ARGUMENT before the first ask; those of the monitor's sink and of the journal: the request is over, its answer
 *            stands
 *   Since    0.1 */
BEZEL_API bezel_status bezel_service_step(bezel_service *service, int64_t budget_us, bezel_error *err);

/* The text that the last step found to be fit to go out, "" when there is none: nothing of what the guard finds in an answer comes out
 * here, not even a part of a word. An answer that turns out as not allowed later stops; what came before stands.
 *   Owns     the service's; lives until its next step
 *   Thread   that of the service
 *   Since    0.1 */
BEZEL_API const char *bezel_service_text(bezel_service *service, size_t *out_size);

/* The answer of a request that is over.
 *   Owns     texts are the service's and live until its next ask
 *   Thread   that of the service
 *   Errors   ARGUMENT when none is over, or out->size is not set
 *   Since    0.1 */
BEZEL_API bezel_status bezel_service_result(bezel_service_answer *out, const bezel_service *service, bezel_error *err);

/* Asks the request that runs to end; it does with the next step, as GENERATION_ERROR. NULL is fine.
 *   Thread   any, before bezel_service_free; not from a signal handler
 *   Since    0.1 */
BEZEL_API void bezel_service_cancel(bezel_service *service);

/* All of it at once: ask, step to the end, result. Blocks.
 *   Owns     as bezel_service_result
 *   Thread   that of the service
 *   Errors   those of bezel_service_ask, bezel_service_step
 *   Since    0.1 */
BEZEL_API bezel_status bezel_secure_generate(bezel_service_answer *out, bezel_service *service, const char *user,
                                             const bezel_value *messages, bezel_error *err);

/* The guard of a service, for bezel_guard_rate: requests in the window, those that are left, the time until the oldest leaves.
 *   Owns     the service's, or the host's that gave it
 *   Thread   that of the service
 *   Since    0.1 */
BEZEL_API bezel_guard *bezel_service_guard(const bezel_service *service);

#ifdef __cplusplus
}
#endif
#endif
