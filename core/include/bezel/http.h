/* SPDX-License-Identifier: MIT */
/* A careful HTTP client (libcurl): time and size limits, every redirect checked like the first address, private addresses
 * refused unless allowed, the checked address is the one connected to, no proxy from the environment.
 *
 *     bezel_http_options options;
 *     bezel_http_options_init(&options);
 *     options.timeout_ms = 3000;
 *     if (bezel_http_request(&response, engine, "https://example.org/data", &options, &err) == BEZEL_OK)
 *         use(bezel_http_response_status(response), bezel_http_response_body(response, &size));
 *     bezel_http_response_free(response);
 *
 * bezel_has("http") tells whether a build has it. */
#ifndef BEZEL_HTTP_H
#define BEZEL_HTTP_H

#include <bezel/engine.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Body bytes of a 2xx answer as the server has them (never compressed); total_expected counts from the beginning of the file, 0
 * when the server does not say. Return BEZEL_OK to go on, anything else ends the request with BEZEL_ERR_CALLBACK. */
typedef bezel_status (*bezel_http_body_fn)(void *ud, const void *bytes, size_t size, uint64_t total_expected);

typedef struct bezel_http_options {
    uint32_t size;          /* set by bezel_http_options_init */
    int32_t allow_private;  /* 1: loopback, private, link-local and other special addresses and ports are allowed */
    int64_t timeout_ms;     /* whole request, redirects included; default 10000; 0 = none but 60 s without a byte */
    uint64_t max_size;      /* body bytes after decompression; default 1 MiB */
    uint32_t max_redirects; /* default 3; 0 = a redirect is the answer */
    uint32_t n_headers;
    const char *const *headers; /* "Name: value" lines [n_headers]; not sent on to another origin by a redirect */
    const char *method;     /* NULL = GET, or POST when there is a body */
    const void *body;
    size_t body_size;
    uint64_t resume_from;   /* bytes from here on are wanted; a server that sends all has the first ones skipped */
    bezel_http_body_fn on_body; /* NULL = collected in the response, as are bodies of other answers than 2xx */
    void *ud;
} bezel_http_options;

BEZEL_API void bezel_http_options_init(bezel_http_options *out);

typedef struct bezel_http_response bezel_http_response; /* Thread: immutable */

/* Sends a request and blocks until the answer is there. Any HTTP status is a success of the call.
 * Only http and https to ports 80, 443 and 1024 up; a URL with a user name is refused; so is a redirect from https to http.
 *   Units    milliseconds, bytes
 *   Owns     *out is the caller's, free with bezel_http_response_free before the engine
 *   Thread   any
 *   Errors   BEZEL_ERR_DENIED (address, port, scheme, user name), BEZEL_ERR_TIMEOUT, BEZEL_ERR_LIMIT (size, redirects),
 *            BEZEL_ERR_NETWORK, BEZEL_ERR_FORMAT (URL, method, header line), BEZEL_ERR_CALLBACK
 *   Source   RFC 9110 15.4 for redirects; the IANA special-purpose address registries for what is private */
BEZEL_API bezel_status bezel_http_request(bezel_http_response **out, bezel_engine *engine, const char *url,
                                          const bezel_http_options *options, bezel_error *err);
BEZEL_API void bezel_http_response_free(bezel_http_response *response); /* NULL is fine */

/* Parts of an answer; pointers belong to it. */
BEZEL_API int32_t bezel_http_response_status(const bezel_http_response *response); /* 200, 404, ... */
BEZEL_API const char *bezel_http_response_body(const bezel_http_response *response, size_t *out_size);
/* Value of the first header with this name, any case; NULL when absent. */
BEZEL_API const char *bezel_http_response_header(const bezel_http_response *response, const char *name);
BEZEL_API const char *bezel_http_response_url(const bezel_http_response *response); /* after redirects */

#ifdef __cplusplus
}
#endif
#endif
