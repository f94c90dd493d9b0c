/* SPDX-License-Identifier: MIT */
/* bezel_guard: what stands between a service's users and a model. It cleans texts, checks messages, counts requests and
 * filters what is asked and what is answered; each part can be used alone.
 *
 *     bezel_guard *guard = NULL;
 *     bezel_guard_new(&guard, engine, NULL, &err);
 *     bezel_rate rate = {sizeof rate};
 *     if (bezel_guard_request(&rate, guard, "ann", &err) == BEZEL_OK) {
 *         bezel_clean clean = {sizeof clean};
 *         bezel_guard_clean(&clean, guard, text, SIZE_MAX, &err);
 *         bezel_verdict verdict = {sizeof verdict};
 *         if (bezel_guard_check(&verdict, guard, BEZEL_GUARD_INPUT, clean.text, clean.text_size, &err) == BEZEL_OK)
 *             answer(clean.text);
 *     }
 *     bezel_guard_free(guard);
 *
 * The filter is advice, no boundary: it knows words, not meanings, and whoever wants to get past it will. Nothing that must
 * not happen may depend on it; permissions of tools are what holds (tools.h). */
#ifndef BEZEL_GUARD_H
#define BEZEL_GUARD_H

#include <bezel/chat.h>
#include <bezel/engine.h>
#include <bezel/session.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Patterns, words and the windows of users.
 *   Thread   confined */
typedef struct bezel_guard bezel_guard;

/* --- Options ------------------------------------------------------------------------------ */

/* A named pattern in PCRE2's syntax, matched without regard to case. Matches of nothing are refused when the guard is made. */
typedef struct bezel_guard_pattern {
    /* for reports; not NULL */
    const char *name;
    /* NUL-terminated, at most 1024 bytes */
    const char *pattern;
} bezel_guard_pattern;

/* Which way a text goes. */
enum {
    /* from a user to the model */
    BEZEL_GUARD_INPUT = 1,
    /* from the model to a user */
    BEZEL_GUARD_OUTPUT = 2
};

/* Looks at a text after words and patterns have found nothing: 1 = allowed, 0 = not allowed, negative = it could not be
 * decided, which counts as not allowed. reason may be left pointing to a static text.
 *   Thread   that of the call of the guard */
typedef int32_t (*bezel_guard_judge_fn)(void *ud, uint32_t direction, const char *text, size_t size, const char **reason);

/* Changes the kept state of one user; see bezel_guard_windows. */
typedef void (*bezel_guard_edit_fn)(void *edit_ud, const void *state, size_t size, void *out, size_t capacity,
                                    size_t *out_size);

/* Where the windows of users live instead of in memory, for several processes and for restarts; bezel_store_windows makes
 * one. Copied by bezel_guard_new. */
typedef struct bezel_guard_windows {
    /* sizeof(bezel_guard_windows) */
    uint32_t size;
    /* 0 */
    uint32_t reserved;
    /* first argument of the function; must outlive the guard */
    void *ud;
    /* reads the state of a key (size 0: there is none), lets edit write the next one, at most `capacity` bytes, and keeps it,
     * in one transaction against all processes. key has 16 bytes. A negative status refuses the request */
    bezel_status (*edit)(void *ud, const void *key, size_t capacity, bezel_guard_edit_fn edit, void *edit_ud, bezel_error *err);
} bezel_guard_windows;

/* How a guard is made. Fill it with bezel_guard_options_init, then set what you need. Everything is copied. */
typedef struct bezel_guard_options {
    /* set by bezel_guard_options_init */
    uint32_t size;
    /* characters that a cleaned text keeps, at least 1; default 8192 */
    uint32_t max_characters;
    /* messages of a request, at least 1; default 50 */
    uint32_t max_messages;
    /* requests of a user in a window, 1 to 10,000; default 100 */
    uint32_t max_requests;
    /* seconds of a window, 1 to 31 days; default 3600 */
    uint32_t window_s;
    /* number of `remove` */
    uint32_t n_remove;
    /* removed by bezel_guard_clean besides the built-in ones; n_remove of them */
    const bezel_guard_pattern *remove;
    /* words that a text may not have, at the beginning of a word ("hate" finds "hateful", not "whatever"); NULL (default) =
     * violence, hate, illegal, harmful */
    const char *const *words;
    /* number of `words`; ignored when words is NULL */
    uint32_t n_words;
    /* number of `patterns` */
    uint32_t n_patterns;
    /* patterns that a text may not match; they see it as bezel_guard_fold gives it */
    const bezel_guard_pattern *patterns;
    /* asked last, or NULL (default). The answer of a model is then held back until it is whole */
    bezel_guard_judge_fn judge;
    /* first argument of judge */
    void *judge_ud;
    /* where the windows of users live, or NULL (default): in memory */
    const bezel_guard_windows *windows;
    /* most bytes of memory for windows; default 128 MiB, at least 64 KiB: a million users with up to six requests each. Beyond
     * it the user who has not asked for longest is forgotten, which bezel_rate tells */
    uint64_t max_window_bytes;
    /* most bytes of an answer that the output filter holds back; default 4096. An answer that goes beyond it while a pattern
     * is undecided is not allowed */
    uint32_t max_held;
    /* 0 */
    uint32_t reserved;
    /* 16 bytes that name this boot of the machine, with windows: their times are of its clock. NULL (default) = the system's */
    const void *boot;
} bezel_guard_options;

/* Fills the options with the defaults above.
 * out must not be NULL.
 *   Thread   any
 *   Since    0.1 */
BEZEL_API void bezel_guard_options_init(bezel_guard_options *out);

/* Makes a guard; options NULL are the defaults.
 *   Owns     *out is the caller's, free with bezel_guard_free before the engine
 *   Thread   any
 *   Errors   RANGE for an option; PARSE for a pattern, with its name and the place in it; ARGUMENT for a NULL text; MEMORY.
 *            *out is NULL
 *   Since    0.1 */
BEZEL_API bezel_status bezel_guard_new(bezel_guard **out, const bezel_engine *engine, const bezel_guard_options *options,
                                       bezel_error *err);

/* Frees a guard after its streams; NULL is fine.
 *   Thread   that of the guard
 *   Since    0.1 */
BEZEL_API void bezel_guard_free(bezel_guard *guard);

/* --- Cleaning ----------------------------------------------------------------------------- */

/* What bezel_guard_clean did. As with the other structs that are filled here, NULL may be given in its place. */
typedef struct bezel_clean {
    /* sizeof(bezel_clean), set by the caller; a smaller one of an older header gets its members */
    uint32_t size;
    /* matches of patterns that were removed */
    uint32_t n_removed;
    /* NUL-terminated, valid UTF-8, composed (NFC); NULL from bezel_guard_clean_messages */
    const char *text;
    /* bytes */
    size_t text_size;
    /* invisible characters that were removed */
    uint64_t n_invisible;
    /* bytes that were no UTF-8 and became U+FFFD */
    uint64_t n_repaired;
    /* characters cut off at the end */
    uint64_t n_cut;
    /* names of the patterns that matched, separated by ", ", or "" */
    const char *names;
} bezel_clean;

/* Removes what has no place in a text for a model: script, iframe, object and embed elements, "javascript:" and
 * "data:text/html", the host's own patterns, each until none is left; zero-width and bidirectional characters, tags and other
 * invisible ones, but not the joiners that emoji, Arabic, Persian and the scripts of India need. Then cuts at max_characters,
 * never inside of what a reader sees as one character.
 *   Owns     the texts are the guard's and live until its next cleaning
 *   Thread   that of the guard
 *   Errors   LIMIT for texts over 1 MiB, or one on which a pattern works too long (treat it as refused); MEMORY
 *   Since    0.1 */
BEZEL_API bezel_status bezel_guard_clean(bezel_clean *out, bezel_guard *guard, const char *text, size_t size, bezel_error *err);

/* The same for the messages of a request together: a pattern that begins in one message and ends in a later one is found,
 * too. Each message is cut by itself; the numbers are sums.
 *   Owns     messages[i].text and text_size are set to texts of the guard, which live until its next cleaning
 *   Thread   that of the guard
 *   Errors   as above, and ARGUMENT for a message of another size. The messages are as they were
 *   Since    0.1 */
BEZEL_API bezel_status bezel_guard_clean_messages(bezel_clean *out, bezel_guard *guard, bezel_message *messages, size_t count,
                                                  bezel_error *err);

/* --- Filter ------------------------------------------------------------------------------- */

/* What a filter found. */
typedef struct bezel_verdict {
    /* sizeof(bezel_verdict), set by the caller; a smaller one of an older header gets its members */
    uint32_t size;
    /* 1 = nothing was found */
    uint32_t allowed;
    /* bytes from the beginning of the text to what was found, and its length; 0 and 0 for a judge */
    size_t offset, length;
    /* "word", the name of the pattern, "judge", or "limit" when a pattern worked too long or held back too much; NULL when
     * allowed */
    const char *rule;
    /* the word, the judge's reason, or NULL */
    const char *detail;
} bezel_verdict;

/* Looks for words and patterns, then asks the judge. Case, width, accents, invisible characters, Unicode forms and letters of
 * other scripts that look like Latin ones make no difference.
 *   Owns     texts of the verdict are the guard's
 *   Thread   that of the guard
 *   Errors   DENIED when the text is not allowed, the verdict has the reason; MEMORY (treat it as not allowed)
 *   Since    0.1 */
BEZEL_API bezel_status bezel_guard_check(bezel_verdict *out, bezel_guard *guard, uint32_t direction, const char *text,
                                         size_t size, bezel_error *err);

/* The text as words and patterns see it.
 *   Owns     *out is the caller's, free with bezel_text_free
 *   Thread   any
 *   Errors   MEMORY. *out is NULL
 *   Since    0.1 */
BEZEL_API bezel_status bezel_guard_fold(char **out, size_t *out_size, const bezel_guard *guard, const char *text, size_t size,
                                        bezel_error *err);

/* Filters an answer while it is made: gives out what no word and no pattern can take back any more.
 *   Thread   that of the guard */
typedef struct bezel_guard_stream bezel_guard_stream;

/* Begins an answer.
 *   Owns     *out is the caller's, free with bezel_guard_stream_free before the guard
 *   Thread   that of the guard
 *   Errors   MEMORY. *out is NULL
 *   Since    0.1 */
BEZEL_API bezel_status bezel_guard_stream_new(bezel_guard_stream **out, bezel_guard *guard, uint32_t direction,
                                              bezel_error *err);
/* Frees a stream; NULL is fine.
 *   Thread   that of the guard
 *   Since    0.1 */
BEZEL_API void bezel_guard_stream_free(bezel_guard_stream *stream);

/* Takes the next piece, any bytes of a text; end = 1 with the last one. *out is what may go to the user now: together the
 * pieces that come out are the text that came in, in any cut the same up to what was found.
 *   Owns     *out lives until the next call on the stream
 *   Thread   that of the guard
 *   Errors   DENIED when something was found: *out is then empty, verdict tells what, and further calls give the same; MEMORY
 *            and LIMIT (an answer over 16 MiB) end the stream, too
 *   Since    0.1 */
BEZEL_API bezel_status bezel_guard_stream_add(const char **out, size_t *out_size, bezel_guard_stream *stream, const char *text,
                                              size_t size, int32_t end, bezel_error *err);

/* What the stream found; allowed = 1 as long as it found nothing.
 *   Owns     texts are the guard's
 *   Thread   that of the guard
 *   Since    0.1 */
BEZEL_API void bezel_guard_stream_verdict(bezel_verdict *out, const bezel_guard_stream *stream);

/* --- A model as judge --------------------------------------------------------------------- */

/* A model that is asked whether a text breaks a rule, and measured by the probabilities of Yes and No: ShieldGemma, or any other
 * instruction-tuned one, small ones with little to say. Give bezel_judge_decide as the judge of a guard.
 *
 *     bezel_judge_new(&judge, model, NULL, &err);
 *     options.judge = bezel_judge_decide;
 *     options.judge_ud = judge;
 *   Thread   confined */
typedef struct bezel_judge bezel_judge;

/* How a judge asks. */
enum {
    /* the text and the rule in one message of the model's own form: for any instruction-tuned model */
    BEZEL_JUDGE_PLAIN = 0,
    /* what ShieldGemma was trained on, word by word as its model card has it: a text from a person as "Human Question", one from
     * a model as "Chatbot Response" to an empty question, then the policy, as a line `* "No ...": The prompt shall not ...` */
    BEZEL_JUDGE_SHIELDGEMMA = 1,
};

/* How a judge is made. Fill it with bezel_judge_options_init, then set what you need. */
typedef struct bezel_judge_options {
    /* set by bezel_judge_options_init */
    uint32_t size;
    /* BEZEL_JUDGE_PLAIN (default) or BEZEL_JUDGE_SHIELDGEMMA */
    uint32_t form;
    /* the rule, whole sentences; NULL (default): no violence, hatred, sexual content or help for dangerous and illegal acts; in
     * ShieldGemma's form one question for each of its four harms, and the worst counts. Copied */
    const char *policy;
    /* from this probability of Yes on a text is not allowed, above 0, at most 1; default 0.5 */
    double threshold;
    /* of the judge's own session */
    bezel_session_options session;
} bezel_judge_options;

/* Fills the options with the defaults above.
 * out must not be NULL.
 *   Thread   any
 *   Since    0.1 */
BEZEL_API void bezel_judge_options_init(bezel_judge_options *out);

/* Makes a judge; options NULL are the defaults.
 *   Owns     *out is the caller's, free with bezel_judge_free after the guards that ask it and before the model
 *   Thread   any
 *   Errors   RANGE for the threshold and the form; those of bezel_session_new. *out is NULL
 *   Since    0.1 */
BEZEL_API bezel_status bezel_judge_new(bezel_judge **out, bezel_model *model, const bezel_judge_options *options,
                                       bezel_error *err);

/* Frees a judge; NULL is fine.
 *   Thread   that of the judge
 *   Since    0.1 */
BEZEL_API void bezel_judge_free(bezel_judge *judge);

/* The probability that a text breaks the rule: that of "Yes" among "Yes" and "No", exactly, nothing is sampled. A text that does
 * not fit the context is judged in pieces, and the worst counts. Blocks.
 *   Thread   that of the judge
 *   Errors   those of bezel_choose
 *   Source   Zeng et al. 2024, "ShieldGemma: Generative AI Content Moderation Based on Gemma"
 *   Since    0.1 */
BEZEL_API bezel_status bezel_judge_score(double *out, bezel_judge *judge, uint32_t direction, const char *text, size_t size,
                                         bezel_error *err);

/* A bezel_guard_judge_fn whose ud is a bezel_judge.
 *   Thread   that of the judge
 *   Since    0.1 */
BEZEL_API int32_t bezel_judge_decide(void *ud, uint32_t direction, const char *text, size_t size, const char **reason);

/* --- Rate --------------------------------------------------------------------------------- */

/* Where a user stands. */
typedef struct bezel_rate {
    /* sizeof(bezel_rate), set by the caller; a smaller one of an older header gets its members */
    uint32_t size;
    /* 1 = the request may go on, or the next one may */
    uint32_t allowed;
    /* requests in the window that ends now */
    uint32_t used;
    /* requests that are left */
    uint32_t remaining;
    /* milliseconds until the oldest request leaves the window; 0 when there is none */
    int64_t reset_ms;
    /* users whose windows were forgotten for lack of memory since the guard was made; each got a new window */
    uint64_t n_forgotten;
    /* bytes that windows take in memory now */
    uint64_t window_bytes;
} bezel_rate;

/* Counts a request of a user, if there is room in the sliding window of the monotonic clock: changes of the wall clock give
 * and take nothing. user NULL is a user like any other. A refused request is not counted.
 *   Units    milliseconds
 *   Thread   that of the guard
 *   Errors   DENIED when there is no room: the rate tells when there will be; those of the windows, and MEMORY (treat both as
 *            refused)
 *   Since    0.1 */
BEZEL_API bezel_status bezel_guard_request(bezel_rate *out, bezel_guard *guard, const char *user, bezel_error *err);

/* Where a user stands, without a request.
 *   Thread   that of the guard
 *   Errors   those of the windows
 *   Since    0.1 */
BEZEL_API bezel_status bezel_guard_rate(bezel_rate *out, bezel_guard *guard, const char *user, bezel_error *err);

/* --- Messages ----------------------------------------------------------------------------- */

/* Checks a request as a caller sends it: a list of 1 to max_messages maps, each with "role" (system, user or assistant) and
 * "content" (a text). err names the message and what is wrong.
 *   Thread   that of the guard
 *   Errors   TYPE, MISSING, RANGE or LIMIT
 *   Since    0.1 */
BEZEL_API bezel_status bezel_guard_validate(const bezel_guard *guard, const bezel_value *messages, bezel_error *err);

#ifdef __cplusplus
}
#endif
#endif
