/* SPDX-License-Identifier: MIT */
/* A careful HTTP client (libcurl): time and size limits, every redirect checked like the first address, private
 * addresses refused unless allowed, the checked address is the one connected to, no proxy from the environment.
 *
 *     bezel_http_options options;
 *     bezel_http_options_init(&options);
 *     options.timeout_ms = 3000;
 *     if (bezel_http_request(&response, engine, "https://example.org/data", &options, &err) == BEZEL_OK)
 *         use(bezel_http_response_status(response), bezel_http_response_body(response, &size));
 *     bezel_http_response_free(response);
 *
 * Made for addresses that a model or a stranger has chosen. bezel_has("http") tells whether a build has it; one without
 * it has none of these functions. */
#ifndef BEZEL_HTTP_H
#define BEZEL_HTTP_H

#include <bezel/engine.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- Options ------------------------------------------------------------------------------ */

/* Takes body bytes of a 2xx answer as the server has them, never decompressed; total_expected counts from the beginning
 * of the file, 0 when the server does not say. Return BEZEL_OK to go on, anything else ends the request with CALLBACK.
 *   Units    bytes
 *   Thread   that of bezel_http_request, inside of it */
typedef bezel_status (*bezel_http_body_fn)(void *ud, const void *bytes, size_t size, uint64_t total_expected);

/* What is asked and how much is allowed. Fill it with bezel_http_options_init, then set what you need. Everything is
 * borrowed for the call. */
typedef struct bezel_http_options {
    /* set by bezel_http_options_init */
    uint32_t size;
    /* 1: loopback, private, link-local and other special addresses and all ports are allowed; default 0 */
    int32_t allow_private;
    /* milliseconds for the whole request, redirects included, up to 86,400,000 (a day); default 10000; 0 = no limit,
     * but 60 seconds without a byte end it. A connection must stand within 10 seconds either way */
    int64_t timeout_ms;
    /* most body bytes of one answer, after decompression, those that resume_from skips included; default 1 MiB */
    uint64_t max_size;
    /* redirects that are followed, up to 100; default 3; 0 = a redirect is the answer */
    uint32_t max_redirects;
    /* lines in headers; default 0 */
    uint32_t n_headers;
    /* [n_headers] "Name: value" lines without line breaks; not sent on to another origin by a redirect */
    const char *const *headers;
    /* up to 20 capital letters; NULL (default) = GET, or POST when there is a body */
    const char *method;
    /* bytes to send, or NULL (default) */
    const void *body;
    /* bytes in body */
    size_t body_size;
    /* first byte that is wanted; default 0. Asks for a range; a server that sends all has the first ones skipped */
    uint64_t resume_from;
    /* takes the body; NULL (default) = it is collected in the response, as are bodies of other answers than 2xx */
    bezel_http_body_fn on_body;
    /* first argument of on_body */
    void *ud;
} bezel_http_options;

/* Fills the options with the defaults above.
 * out must not be NULL.
 *   Thread   any
 *   Since    0.1 */
BEZEL_API void bezel_http_options_init(bezel_http_options *out);

/* --- Requests ----------------------------------------------------------------------------- */

/* An answer.
 *   Thread   immutable */
typedef struct bezel_http_response bezel_http_response;

/* Sends a request and blocks until the answer is there; options NULL are the defaults.
 * Any HTTP status is a success of the call: 404 is an answer. Only http and https to ports 80, 443 and 1024 up; a URL
 * with a user name or of over 16 KiB is refused; so is a redirect from https to http. Certificates are checked as
 * libcurl does. libcurl's global settings are the host's: one that starts with requests on several threads and an old
 * libcurl calls curl_global_init first. A broken connection raises no SIGPIPE in the host.
 *   Units    milliseconds, bytes
 *   Owns     *out is the caller's, free with bezel_http_response_free before the engine
 *   Thread   any
 *   Errors   DENIED (address, port, scheme, user name, where a redirect leads); TIMEOUT; LIMIT (body, header over 256
 *            KiB, URL, redirects); NETWORK (name lookup, connection, TLS, HTTP); FORMAT (URL, method, header line);
 *            RANGE for an option; CALLBACK. *out is NULL; on_body may have had a part
 *   Source   RFC 9110 15.4 for redirects; the IANA special-purpose address registries for what is private
 *   Since    0.1 */
BEZEL_API bezel_status bezel_http_request(bezel_http_response **out, bezel_engine *engine, const char *url,
                                          const bezel_http_options *options, bezel_error *err);

/* A request under way, for hosts that do not want to wait for it.
 *
 *     bezel_http_start(&transfer, engine, url, &options, &err);
 *     while ((st = bezel_http_poll(&response, transfer, &err)) == BEZEL_TOOL_PENDING) do_something_else();
 *     bezel_http_drop(transfer);
 *
 *   Thread   confined */
typedef struct bezel_http_transfer bezel_http_transfer;

/* Begins a request as bezel_http_request makes it, but does not wait. on_body is called by bezel_http_poll.
 *   Owns     *out is the caller's, end it with bezel_http_drop before the engine; url and options are copied
 *   Thread   any
 *   Errors   those of bezel_http_request that are known before a byte is sent; *out is NULL
 *   Since    0.1 */
BEZEL_API bezel_status bezel_http_start(bezel_http_transfer **out, bezel_engine *engine, const char *url,
                                        const bezel_http_options *options, bezel_error *err);

/* Sends and reads what can be without waiting: BEZEL_OK with the answer, or BEZEL_TOOL_PENDING. After an answer or an
 * error the transfer is over.
 *   Owns     *out is the caller's, free with bezel_http_response_free; NULL while it is pending
 *   Thread   that of the transfer
 *   Errors   those of bezel_http_request; ARGUMENT for a transfer that is over
 *   Since    0.1 */
BEZEL_API bezel_status bezel_http_poll(bezel_http_response **out, bezel_http_transfer *transfer, bezel_error *err);

/* Ends a transfer at any time; NULL is fine. May wait for a name lookup that has begun.
 *   Thread   that of the transfer
 *   Since    0.1 */
BEZEL_API void bezel_http_drop(bezel_http_transfer *transfer);

/* Frees an answer; NULL is fine.
 *   Thread   any, when no other uses it
 *   Since    0.1 */
BEZEL_API void bezel_http_response_free(bezel_http_response *response);

/* --- Parts of an answer ------------------------------------------------------------------- */
/* Here `response` must not be NULL. Pointers belong to the answer. Any thread. */

/* HTTP status: 200, 404, ...
 *   Since    0.1 */
BEZEL_API int32_t bezel_http_response_status(const bezel_http_response *response);

/* The collected body, "" when there is none. Bytes of a stranger: they may hold NUL and be no UTF-8. out_size may be
 * NULL.
 *   Units    *out_size in bytes, without the NUL that is put behind them
 *   Owns     the answer's
 *   Since    0.1 */
BEZEL_API const char *bezel_http_response_body(const bezel_http_response *response, size_t *out_size);

/* Value of the first header with this name, any case; NULL when absent. Of the last answer, not of redirects.
 *   Owns     the answer's; NUL-terminated
 *   Since    0.1 */
BEZEL_API const char *bezel_http_response_header(const bezel_http_response *response, const char *name);

/* The address that answered, after redirects.
 *   Owns     the answer's
 *   Since    0.1 */
BEZEL_API const char *bezel_http_response_url(const bezel_http_response *response);

#ifdef __cplusplus
}
#endif
#endif
