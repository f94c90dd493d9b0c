/* SPDX-License-Identifier: MIT */
/* A careful HTTP client (libcurl): time and size limits, redirects checked again, private addresses refused unless
 * allowed, the checked address is the one connected to, no proxy from the environment. bezel_has("http") tells. */
#ifndef BEZEL_HTTP_H
#define BEZEL_HTTP_H

#include <bezel/engine.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Body bytes as they come; return BEZEL_OK to go on, anything else ends the request with BEZEL_ERR_CALLBACK. */
typedef bezel_status (*bezel_http_body_fn)(void *ud, const void *bytes, size_t size, uint64_t total_expected);

typedef struct bezel_http_options {
    uint32_t size;          /* set by bezel_http_options_init */
    int32_t allow_private;  /* 1: loopback, private, link-local and other special addresses are allowed */
    int64_t timeout_ms;     /* whole request; default 10000; 0 = none */
    uint64_t max_size;      /* body bytes after decompression; default 1 MiB */
    uint32_t max_redirects; /* default 3 */
    uint32_t n_headers;
    const char *const *headers; /* "Name: value" lines [n_headers] */
    const char *method;     /* NULL = GET, or POST when there is a body */
    const void *body;
    size_t body_size;
    uint64_t resume_from;   /* asks for bytes from here on (206); 0 = whole */
    bezel_http_body_fn on_body; /* NULL = collected in the response */
    void *ud;
} bezel_http_options;

BEZEL_API void bezel_http_options_init(bezel_http_options *out);

typedef struct bezel_http_response bezel_http_response;

/* Blocks until the answer is there. Any HTTP status is a success of the call.
 *   Owns     *out is the caller's, free with bezel_http_response_free
 *   Errors   BEZEL_ERR_DENIED (address, scheme), BEZEL_ERR_TIMEOUT, BEZEL_ERR_LIMIT, BEZEL_ERR_NETWORK,
 *            BEZEL_ERR_UNSUPPORTED in a build without libcurl */
BEZEL_API bezel_status bezel_http_request(bezel_http_response **out, bezel_engine *engine, const char *url,
                                          const bezel_http_options *options, bezel_error *err);
BEZEL_API void bezel_http_response_free(bezel_http_response *response);
BEZEL_API int32_t bezel_http_response_status(const bezel_http_response *response); /* 200, 404, ... */
BEZEL_API const char *bezel_http_response_body(const bezel_http_response *response, size_t *out_size);
BEZEL_API const char *bezel_http_response_header(const bezel_http_response *response, const char *name); /* NULL */
BEZEL_API const char *bezel_http_response_url(const bezel_http_response *response); /* after redirects */

#ifdef __cplusplus
}
#endif
#endif
