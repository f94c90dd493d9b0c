/* SPDX-License-Identifier: MIT */
/* The HTTP client over libcurl. Optional: a build without this file says so through bezel_has("http").
 *
 * Invariant: every connection, redirects included, passes http_open_socket with the very address that is connected to;
 * an address that is not public is refused there, whatever name led to it (no gap between check and use). It never calls
 * curl_global_*: those settings belong to the host. */
#include <bezel/http.h>

#include "base/address.h"
#include "base/alloc.h"
#include "base/options.h"
#include "base/strbuf.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#define ORIGIN "http"
#define CONNECT_TIMEOUT_MS 10000
#define HEADERS_LIMIT (256u * 1024u)

struct bezel_http_response {
    const bezel_world *world;
    bz_strbuf body;
    bz_strbuf headers; /* of the last answer: lines, each ends with NUL once the request is over */
    char *url;
    int32_t status;
};

typedef struct http_call {
    const bezel_http_options *options;
    bezel_http_response *response;
    CURL *curl;
    uint64_t received;
    uint64_t expected; /* Content-Length, 0 = unknown */
    bezel_status stop; /* why a callback ended the transfer; BEZEL_OK = none did */
    char denied[64];   /* address that was refused */
    char text[CURL_ERROR_SIZE];
} http_call;

void bezel_http_options_init(bezel_http_options *out) {
    memset(out, 0, sizeof *out);
    out->size = sizeof *out;
    out->timeout_ms = 10000;
    out->max_size = 1u << 20;
    out->max_redirects = 3;
}

/* --- Callbacks of libcurl, all inside the caller's call ----------------------------------- */

static int http_address_allowed(const struct curl_sockaddr *address, char text[64]) {
    const void *p = &address->addr;
    if (address->family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, p, sizeof in);
        inet_ntop(AF_INET, &in.sin_addr, text, 64);
        uint16_t port = ntohs(in.sin_port);
        return bz_address_is_public_v4((const uint8_t *)&in.sin_addr) && (port == 80 || port == 443 || port >= 1024);
    }
    if (address->family == AF_INET6) {
        struct sockaddr_in6 in6;
        if (address->addrlen < sizeof in6) return 0;
        memcpy(&in6, p, sizeof in6); /* curl's buffer holds any address; its type only names the first bytes */
        inet_ntop(AF_INET6, &in6.sin6_addr, text, 64);
        uint16_t port = ntohs(in6.sin6_port);
        return bz_address_is_public_v6(in6.sin6_addr.s6_addr) && (port == 80 || port == 443 || port >= 1024);
    }
    return 0;
}

static curl_socket_t http_open_socket(void *ud, curlsocktype purpose, struct curl_sockaddr *address) {
    http_call *call = ud;
    if (purpose != CURLSOCKTYPE_IPCXN) return CURL_SOCKET_BAD;
    if (!call->options->allow_private && !http_address_allowed(address, call->denied)) {
        call->stop = BEZEL_ERR_DENIED;
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static size_t http_header(char *bytes, size_t one, size_t n, void *ud) {
    http_call *call = ud;
    bz_strbuf *headers = &call->response->headers;
    (void)one;
    if (n > 5 && memcmp(bytes, "HTTP/", 5) == 0) bz_strbuf_reset(headers); /* a redirect's headers are over */
    bz_strbuf_add(headers, bytes, n);
    call->stop = headers->status;
    return headers->status == BEZEL_OK ? n : 0;
}

static size_t http_body(char *bytes, size_t one, size_t n, void *ud) {
    http_call *call = ud;
    (void)one;
    call->received += n;
    if (call->received > call->options->max_size) {
        call->stop = BEZEL_ERR_LIMIT;
        return 0;
    }
    if (call->options->on_body) {
        curl_off_t length = -1;
        curl_easy_getinfo(call->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
        call->expected = length > 0 ? (uint64_t)length : 0;
        if (call->options->on_body(call->options->ud, bytes, n, call->expected) != BEZEL_OK)
            call->stop = BEZEL_ERR_CALLBACK;
    } else {
        bz_strbuf_add(&call->response->body, bytes, n);
        call->stop = call->response->body.status;
    }
    return call->stop == BEZEL_OK ? n : 0;
}

/* --- One request -------------------------------------------------------------------------- */

/* Everything that makes the client careful. Returns CURLE_OK or the first refusal. */
static CURLcode http_set_rules(CURL *curl, http_call *call, const char *url) {
    const bezel_http_options *o = call->options;
    int is_https = strncmp(url, "https:", 6) == 0;
    CURLcode rc = CURLE_OK;
#define SET(option, value) \
    if (rc == CURLE_OK) rc = curl_easy_setopt(curl, option, value)
    SET(CURLOPT_URL, url);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_ERRORBUFFER, call->text);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_REDIR_PROTOCOLS_STR, is_https ? "https" : "http,https"); /* never from TLS to plain */
    SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    SET(CURLOPT_PROXY, ""); /* not the environment's */
    SET(CURLOPT_NOPROXY, "*");
    SET(CURLOPT_FOLLOWLOCATION, o->max_redirects ? 1L : 0L);
    SET(CURLOPT_MAXREDIRS, (long)o->max_redirects);
    SET(CURLOPT_TIMEOUT_MS, (long)o->timeout_ms);
    SET(CURLOPT_CONNECTTIMEOUT_MS,
        (long)(o->timeout_ms && o->timeout_ms < CONNECT_TIMEOUT_MS ? o->timeout_ms : CONNECT_TIMEOUT_MS));
    SET(CURLOPT_USERAGENT, "bezel/" BEZEL_VERSION_TEXT);
    if (!o->resume_from) SET(CURLOPT_ACCEPT_ENCODING, ""); /* parts of a file come as they are */
    SET(CURLOPT_RESUME_FROM_LARGE, (curl_off_t)o->resume_from);
    SET(CURLOPT_OPENSOCKETFUNCTION, http_open_socket);
    SET(CURLOPT_OPENSOCKETDATA, call);
    SET(CURLOPT_HEADERFUNCTION, http_header);
    SET(CURLOPT_HEADERDATA, call);
    SET(CURLOPT_WRITEFUNCTION, http_body);
    SET(CURLOPT_WRITEDATA, call);
    return rc;
}

static CURLcode http_set_body(CURL *curl, const bezel_http_options *o, struct curl_slist *headers) {
    CURLcode rc = CURLE_OK;
    if (o->body) {
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)o->body_size);
        SET(CURLOPT_POSTFIELDS, o->body); /* borrowed for the call */
    }
    if (o->method) SET(CURLOPT_CUSTOMREQUEST, o->method);
    if (headers) SET(CURLOPT_HTTPHEADER, headers);
    return rc;
#undef SET
}

/* NULL when there are none or memory is out (*out_ok 0). */
static struct curl_slist *http_header_list(const bezel_http_options *o, int *out_ok) {
    struct curl_slist *list = NULL;
    *out_ok = 1;
    for (uint32_t i = 0; i < o->n_headers; i++) {
        struct curl_slist *next = curl_slist_append(list, o->headers[i]);
        if (!next) {
            curl_slist_free_all(list);
            *out_ok = 0;
            return NULL;
        }
        list = next;
    }
    return list;
}

static bezel_status http_stopped(const http_call *call, const char *url, bezel_error *err) {
    switch (call->stop) {
    case BEZEL_ERR_DENIED:
        bz_fail(err, BEZEL_ERR_DENIED, ORIGIN, "%s leads to %s, which is no public address or port", url, call->denied);
        return bz_error_hint(err, BEZEL_ERR_DENIED, "allow_private permits loopback and private networks");
    case BEZEL_ERR_LIMIT:
        bz_fail(err, BEZEL_ERR_LIMIT, ORIGIN, "the answer of %s is larger than %llu bytes", url,
                (unsigned long long)call->options->max_size);
        return bz_error_hint(err, BEZEL_ERR_LIMIT, "max_size sets the limit");
    case BEZEL_ERR_CALLBACK:
        return bz_fail(err, BEZEL_ERR_CALLBACK, ORIGIN, "the body function ended the request of %s", url);
    default: return bz_fail_memory(err, ORIGIN, "answer", (size_t)call->received);
    }
}

static bezel_status http_failed(const http_call *call, CURLcode rc, const char *url, bezel_error *err) {
    const char *text = call->text[0] ? call->text : curl_easy_strerror(rc);
    if (call->stop != BEZEL_OK) return http_stopped(call, url, err);
    switch (rc) {
    case CURLE_OUT_OF_MEMORY: return bz_fail_memory(err, ORIGIN, "request", 0);
    case CURLE_OPERATION_TIMEDOUT:
        return bz_fail(err, BEZEL_ERR_TIMEOUT, ORIGIN, "%s did not answer within %lld ms", url,
                       (long long)call->options->timeout_ms);
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_LOGIN_DENIED:
        return bz_fail(err, BEZEL_ERR_DENIED, ORIGIN, "%s is refused: %s", url, text);
    case CURLE_URL_MALFORMAT: return bz_fail(err, BEZEL_ERR_FORMAT, ORIGIN, "'%s' is no URL: %s", url, text);
    case CURLE_TOO_MANY_REDIRECTS:
        return bz_fail(err, BEZEL_ERR_LIMIT, ORIGIN, "%s redirects more than %u times", url, call->options->max_redirects);
    default: return bz_fail(err, BEZEL_ERR_NETWORK, ORIGIN, "%s: %s", url, text);
    }
}

/* Ends every header line with NUL in place, for bezel_http_response_header. */
static void http_split_headers(bz_strbuf *headers) {
    for (size_t i = 0; i < headers->size; i++)
        if (headers->data[i] == '\r' || headers->data[i] == '\n') headers->data[i] = 0;
}

static bezel_status http_perform(http_call *call, const char *url, bezel_error *err) {
    int list_ok;
    char *last = NULL;
    long code = 0;
    bezel_status st = BEZEL_OK;
    struct curl_slist *headers = http_header_list(call->options, &list_ok);
    CURL *curl = call->curl = list_ok ? curl_easy_init() : NULL;
    if (!curl) {
        st = bz_fail_memory(err, ORIGIN, "request", 0);
        goto done;
    }
    CURLcode rc = http_set_rules(curl, call, url);
    if (rc == CURLE_OK) rc = http_set_body(curl, call->options, headers);
    if (rc == CURLE_OK) rc = curl_easy_perform(curl);
    if (rc != CURLE_OK) {
        st = http_failed(call, rc, url, err);
        goto done;
    }
    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &code);
    curl_easy_getinfo(curl, CURLINFO_EFFECTIVE_URL, &last);
    call->response->status = (int32_t)code;
    call->response->url = bz_text_dup(call->response->world, last ? last : url, SIZE_MAX);
    if (!call->response->url) st = bz_fail_memory(err, ORIGIN, "address", 0);
    http_split_headers(&call->response->headers);
done:
    curl_easy_cleanup(curl);
    curl_slist_free_all(headers);
    return st;
}

bezel_status bezel_http_request(bezel_http_response **out, bezel_engine *engine, const char *url,
                                const bezel_http_options *options, bezel_error *err) {
    if (!out || !engine || !url) return bz_fail(err, BEZEL_ERR_ARGUMENT, ORIGIN, "out, engine and url are required");
    bezel_http_options o;
    *out = NULL;
    bezel_http_options_init(&o);
    bezel_status st = bz_options_read(&o, sizeof o, options, ORIGIN, err);
    if (st != BEZEL_OK) return st;
    if (o.timeout_ms < 0 || o.timeout_ms > 86400000)
        return bz_fail(err, BEZEL_ERR_RANGE, ORIGIN, "timeout_ms %lld is outside 0..86400000", (long long)o.timeout_ms);
    const bezel_world *w = bezel_engine_world(engine);
    bezel_http_response *response = bz_zalloc(w, sizeof *response);
    if (!response) return bz_fail_memory(err, ORIGIN, "response", sizeof *response);
    response->world = w;
    bz_strbuf_init(&response->body, w, o.max_size < SIZE_MAX - 1 ? (size_t)o.max_size + 1 : 0);
    bz_strbuf_init(&response->headers, w, HEADERS_LIMIT);
    http_call call = {.options = &o, .response = response};
    st = http_perform(&call, url, err);
    if (st != BEZEL_OK) {
        bezel_http_response_free(response);
        return st;
    }
    *out = response;
    return BEZEL_OK;
}

/* --- Reading ------------------------------------------------------------------------------ */

void bezel_http_response_free(bezel_http_response *response) {
    if (!response) return;
    bz_strbuf_free(&response->body);
    bz_strbuf_free(&response->headers);
    bz_free(response->world, response->url);
    bz_free(response->world, response);
}

int32_t bezel_http_response_status(const bezel_http_response *response) { return response->status; }

const char *bezel_http_response_body(const bezel_http_response *response, size_t *out_size) {
    if (out_size) *out_size = response->body.size;
    return bz_strbuf_cstr(&response->body);
}

const char *bezel_http_response_url(const bezel_http_response *response) { return response->url; }

const char *bezel_http_response_header(const bezel_http_response *response, const char *name) {
    size_t n = strlen(name);
    const char *line = response->headers.data, *end = line ? line + response->headers.size : NULL;
    while (line < end) {
        size_t length = strlen(line); /* data ends with NUL */
        if (length > n && line[n] == ':' && curl_strnequal(line, name, n)) {
            line += n + 1;
            return line + strspn(line, " \t");
        }
        line += length + 1;
    }
    return NULL;
}
