/* SPDX-License-Identifier: MIT */
/* The HTTP client over libcurl. Optional: a build without this file says so through bezel_has("http").
 *
 * Invariants: every connection, redirects included, passes http_open_socket with the very address that is connected to; an
 * address that is not public is refused there, whatever name led to it (no gap between check and use). Redirects are
 * followed here, not by libcurl, so that each is a new request that passes all checks again. It never calls curl_global_*:
 * those settings belong to the host. */
#include <bezel/http.h>

#include "base/address.h"
#include "base/alloc.h"
#include "base/options.h"
#include "base/os.h"
#include "base/strbuf.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define ORIGIN "http"
#define CONNECT_TIMEOUT_MS 10000
#define STALL_SECONDS 60L /* without a time limit: this long without a byte ends a request */
#define HEADERS_LIMIT (256u * 1024u)
#define URL_LIMIT 16384u
#define POLL_MS 1000 /* a blocking request wakes up at least so often */

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
    const char *url;  /* of this hop */
    const char *body; /* NULL after a redirect that turns the request into a GET */
    const char *method;
    int send_headers;  /* 0 after a redirect to another origin */
    int64_t end_ns;    /* monotonic clock, INT64_MAX = no limit */
    uint64_t received; /* body bytes of this hop */
    uint64_t skip;     /* body bytes to leave out: the server sent the whole file where a part was asked for */
    bezel_status stop; /* why a callback ended the transfer; BEZEL_OK = none did */
    int is_denied;     /* an address was refused */
    char denied[64];   /* which */
    char text[CURL_ERROR_SIZE];
} http_call;

struct bezel_http_transfer {
    const bezel_world *world;
    http_call call;
    bezel_http_options options; /* what it points to are copies */
    char **headers;             /* [options.n_headers] */
    char *method;
    void *body;
    char *first_url;
    CURLM *multi;
    struct curl_slist *list; /* header lines of this hop */
    uint32_t hop;
    int is_adding; /* a hop is under way: its handle is with multi */
};

void bezel_http_options_init(bezel_http_options *out)
{
    memset(out, 0, sizeof *out);
    out->size = sizeof *out;
    out->timeout_ms = 10000;
    out->max_size = 1u << 20;
    out->max_redirects = 3;
}

/* --- Callbacks of libcurl, all inside the caller's call ----------------------------------- */

static int http_address_allowed(const struct curl_sockaddr *address, char text[64])
{
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
        if (address->addrlen < sizeof in6)
            return 0;
        memcpy(&in6, p, sizeof in6); /* curl's buffer holds any address; its type only names the first bytes */
        inet_ntop(AF_INET6, &in6.sin6_addr, text, 64);
        uint16_t port = ntohs(in6.sin6_port);
        return bz_address_is_public_v6(in6.sin6_addr.s6_addr) && (port == 80 || port == 443 || port >= 1024);
    }
    return 0;
}

static curl_socket_t http_open_socket(void *ud, curlsocktype purpose, struct curl_sockaddr *address)
{
    http_call *call = ud;
    if (purpose != CURLSOCKTYPE_IPCXN)
        return CURL_SOCKET_BAD;
    if (!call->options->allow_private && !http_address_allowed(address, call->denied)) {
        call->is_denied = 1; /* another address of the name may still do */
        return CURL_SOCKET_BAD;
    }
    return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
}

static size_t http_header(char *bytes, size_t one, size_t n, void *ud)
{
    http_call *call = ud;
    bz_strbuf *headers = &call->response->headers;
    (void)one;
    if (n > 5 && memcmp(bytes, "HTTP/", 5) == 0)
        bz_strbuf_reset(headers); /* those of a 1xx answer are over */
    bz_strbuf_add(headers, bytes, n);
    call->stop = headers->status;
    return headers->status == BEZEL_OK ? n : 0;
}

/* Value of a header in lines that end with CR LF, with its length; NULL when absent. */
static const char *http_find_header(size_t *out_size, const bz_strbuf *headers, const char *name)
{
    size_t n = strlen(name);
    const char *line = headers->data, *end = line ? line + headers->size : NULL;
    while (line < end) {
        size_t length = 0;
        while (line + length < end && line[length] && line[length] != '\r' && line[length] != '\n')
            length++;
        if (length > n && line[n] == ':' && curl_strnequal(line, name, n)) {
            const char *value = line + n + 1;
            while (value < line + length && (*value == ' ' || *value == '\t'))
                value++;
            *out_size = (size_t)(line + length - value);
            return value;
        }
        line += length + 1;
    }
    return NULL;
}

static long http_code(const http_call *call)
{
    long code = 0;
    curl_easy_getinfo(call->curl, CURLINFO_RESPONSE_CODE, &code);
    return code;
}

static int http_is_redirect(const http_call *call)
{
    size_t n;
    long code = http_code(call);
    int moves = code == 301 || code == 302 || code == 303 || code == 307 || code == 308;
    return moves && call->options->max_redirects && http_find_header(&n, &call->response->headers, "Location");
}

static void http_deliver(http_call *call, const char *bytes, size_t n)
{
    const bezel_http_options *o = call->options;
    long code = http_code(call);
    if (call->skip) {
        size_t k = call->skip < n ? (size_t)call->skip : n;
        call->skip -= k;
        bytes += k;
        n -= k;
    }
    if (!n)
        return;
    if (o->on_body && code >= 200 && code < 300) {
        curl_off_t length = -1;
        curl_easy_getinfo(call->curl, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
        uint64_t total = length > 0 ? (uint64_t)length : 0;
        if (total && code == 206)
            total += o->resume_from;
        if (o->on_body(o->ud, bytes, n, total) != BEZEL_OK)
            call->stop = BEZEL_ERR_CALLBACK;
    } else {
        bz_strbuf_add(&call->response->body, bytes, n);
        call->stop = call->response->body.status;
    }
}

static size_t http_body(char *bytes, size_t one, size_t n, void *ud)
{
    http_call *call = ud;
    (void)one;
    if (!call->received && call->options->resume_from && http_code(call) == 200)
        call->skip = call->options->resume_from;
    call->received += n;
    if (call->received > call->options->max_size)
        call->stop = BEZEL_ERR_LIMIT;
    else if (!http_is_redirect(call))
        http_deliver(call, bytes, n);
    return call->stop == BEZEL_OK ? n : 0;
}

/* --- Checks before anything is sent ------------------------------------------------------- */

static bezel_status http_denied(const char *url, const char *what, bezel_error *err)
{
    return bz_fail(err, BEZEL_ERR_DENIED, ORIGIN, "%s is refused: %s", url, what);
}

/* Part of a parsed URL or NULL; free with curl_free. */
static char *http_part(CURLU *parsed, CURLUPart which)
{
    char *text = NULL;
    return curl_url_get(parsed, which, &text, which == CURLUPART_PORT ? CURLU_DEFAULT_PORT : 0) == CURLUE_OK ? text : NULL;
}

/* Only http and https with a host and without a user. *out_parsed is the caller's. */
static bezel_status http_check_url(CURLU **out_parsed, const char *url, bezel_error *err)
{
    CURLU *parsed = *out_parsed = curl_url();
    bezel_status st = BEZEL_OK;
    if (!parsed)
        return bz_fail_memory(err, ORIGIN, "address", 0);
    if (strlen(url) > URL_LIMIT)
        return bz_fail(err, BEZEL_ERR_LIMIT, ORIGIN, "the URL is longer than %u bytes", URL_LIMIT);
    CURLUcode rc = curl_url_set(parsed, CURLUPART_URL, url, CURLU_NON_SUPPORT_SCHEME);
    if (rc == CURLUE_OUT_OF_MEMORY)
        return bz_fail_memory(err, ORIGIN, "address", strlen(url));
    if (rc != CURLUE_OK) {
        st = bz_fail(err, BEZEL_ERR_FORMAT, ORIGIN, "'%s' is no URL: %s", url, curl_url_strerror(rc));
        return bz_error_hint(err, st, "a whole one is needed: https://host/path");
    }
    char *scheme = http_part(parsed, CURLUPART_SCHEME), *user = http_part(parsed, CURLUPART_USER);
    char *password = http_part(parsed, CURLUPART_PASSWORD), *host = http_part(parsed, CURLUPART_HOST);
    if (!scheme || (strcmp(scheme, "http") != 0 && strcmp(scheme, "https") != 0))
        st = http_denied(url, "only http and https are spoken", err);
    else if (user || password)
        st = http_denied(url, "a name before @ hides the real host", err);
    else if (!host || !*host || host[strlen(host) - 1] == '.')
        st = http_denied(url, "the host is empty or ends with a dot", err);
    curl_free(host);
    curl_free(scheme);
    curl_free(user);
    curl_free(password);
    return st;
}

/* A line that would become two, or none. */
static int http_is_clean(const char *text, int token)
{
    if (!text || !*text)
        return 0;
    for (const char *p = text; *p; p++) {
        unsigned char c = (unsigned char)*p;
        if ((c < 0x20 && c != '\t') || c == 0x7f || (token && !(c >= 'A' && c <= 'Z')))
            return 0;
    }
    return 1;
}

static bezel_status http_check_options(const bezel_http_options *o, bezel_error *err)
{
    if (o->timeout_ms < 0 || o->timeout_ms > 86400000)
        return bz_fail(err, BEZEL_ERR_RANGE, ORIGIN, "timeout_ms %lld is outside 0..86400000", (long long)o->timeout_ms);
    if (o->max_redirects > 100)
        return bz_fail(err, BEZEL_ERR_RANGE, ORIGIN, "max_redirects %u is outside 0..100", o->max_redirects);
    if (o->method && (!http_is_clean(o->method, 1) || strlen(o->method) > 20))
        return bz_fail(err, BEZEL_ERR_FORMAT, ORIGIN, "the method '%s' is not a word of capital letters", o->method);
    if (o->n_headers && !o->headers)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, ORIGIN, "headers is NULL");
    for (uint32_t i = 0; i < o->n_headers; i++) {
        const char *line = o->headers[i], *colon = line ? strchr(line, ':') : NULL;
        if (!http_is_clean(line, 0) || !colon || colon == line)
            return bz_fail(err, BEZEL_ERR_FORMAT, ORIGIN, "header %u is no single line 'Name: value'", i);
    }
    return BEZEL_OK;
}

/* --- One hop ------------------------------------------------------------------------------ */

/* Milliseconds that are left, at least 1; 0 = no limit; -1 = none are left. */
static long http_time_left(const http_call *call)
{
    const bezel_world *w = call->response->world;
    if (call->end_ns == INT64_MAX)
        return 0;
    int64_t left = call->end_ns - w->monotonic_ns(w->ud);
    return left <= 0 ? -1 : (long)(left / 1000000) + 1;
}

/* Everything that makes the client careful. Returns CURLE_OK or the first refusal. */
static CURLcode http_set_rules(http_call *call, long left)
{
    CURL *curl = call->curl;
    const bezel_http_options *o = call->options;
    CURLcode rc = CURLE_OK;
#define SET(option, value)                                                                                                  \
    if (rc == CURLE_OK)                                                                                                     \
    rc = curl_easy_setopt(curl, option, value)
    SET(CURLOPT_URL, call->url);
    SET(CURLOPT_NOSIGNAL, 1L);
    SET(CURLOPT_ERRORBUFFER, call->text);
    SET(CURLOPT_PROTOCOLS_STR, "http,https");
    SET(CURLOPT_DISALLOW_USERNAME_IN_URL, 1L);
    SET(CURLOPT_PROXY, ""); /* not the environment's */
    SET(CURLOPT_NOPROXY, "*");
    SET(CURLOPT_FOLLOWLOCATION, 0L);
    SET(CURLOPT_TIMEOUT_MS, left);
    SET(CURLOPT_CONNECTTIMEOUT_MS, left && left < CONNECT_TIMEOUT_MS ? left : CONNECT_TIMEOUT_MS);
    SET(CURLOPT_LOW_SPEED_LIMIT, left ? 0L : 1L);
    SET(CURLOPT_LOW_SPEED_TIME, left ? 0L : STALL_SECONDS);
    SET(CURLOPT_USERAGENT, "bezel/" BEZEL_VERSION_TEXT);
    if (!o->on_body && !o->resume_from)
        SET(CURLOPT_ACCEPT_ENCODING, ""); /* a file comes as it is */
    SET(CURLOPT_OPENSOCKETFUNCTION, http_open_socket);
    SET(CURLOPT_OPENSOCKETDATA, call);
    SET(CURLOPT_HEADERFUNCTION, http_header);
    SET(CURLOPT_HEADERDATA, call);
    SET(CURLOPT_WRITEFUNCTION, http_body);
    SET(CURLOPT_WRITEDATA, call);
    return rc;
}

static CURLcode http_set_request(http_call *call, struct curl_slist *headers)
{
    CURL *curl = call->curl;
    const bezel_http_options *o = call->options;
    char range[32];
    CURLcode rc = CURLE_OK;
    SET(CURLOPT_HTTPGET, 1L);
    if (call->body) {
        SET(CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)o->body_size);
        SET(CURLOPT_POSTFIELDS, call->body); /* borrowed for the call */
    }
    if (call->method && strcmp(call->method, "HEAD") == 0) {
        SET(CURLOPT_NOBODY, 1L);
    } else {
        SET(CURLOPT_CUSTOMREQUEST, call->method);
    }
    SET(CURLOPT_HTTPHEADER, headers);
    if (o->resume_from) {
        snprintf(range, sizeof range, "%llu-", (unsigned long long)o->resume_from);
        SET(CURLOPT_RANGE, range);
    }
    return rc;
#undef SET
}

/* NULL when there are none or memory is out (*out_ok 0). */
static struct curl_slist *http_header_list(const http_call *call, int *out_ok)
{
    const bezel_http_options *o = call->options;
    struct curl_slist *list = NULL;
    *out_ok = 1;
    for (uint32_t i = 0; call->send_headers && i < o->n_headers; i++) {
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

static bezel_status http_address_denied(const http_call *call, bezel_error *err)
{
    bz_fail(err, BEZEL_ERR_DENIED, ORIGIN, "%s leads to %s, which is no public address or port", call->url, call->denied);
    return bz_error_hint(err, BEZEL_ERR_DENIED, "allow_private permits loopback and private networks");
}

static bezel_status http_stopped(const http_call *call, bezel_error *err)
{
    switch (call->stop) {
    case BEZEL_ERR_LIMIT:
        bz_fail(err, BEZEL_ERR_LIMIT, ORIGIN, "the answer of %s is larger than %llu bytes, or its header than %u", call->url,
                (unsigned long long)call->options->max_size, HEADERS_LIMIT);
        return bz_error_hint(err, BEZEL_ERR_LIMIT, "max_size sets the limit");
    case BEZEL_ERR_CALLBACK:
        return bz_fail(err, BEZEL_ERR_CALLBACK, ORIGIN, "the body function ended the request of %s", call->url);
    default:
        return bz_fail_memory(err, ORIGIN, "answer", (size_t)call->received);
    }
}

static bezel_status http_late(const http_call *call, bezel_error *err)
{
    if (!call->options->timeout_ms)
        return bz_fail(err, BEZEL_ERR_TIMEOUT, ORIGIN, "%s sent nothing for %ld s", call->url, STALL_SECONDS);
    return bz_fail(err, BEZEL_ERR_TIMEOUT, ORIGIN, "%s did not answer within %lld ms", call->url,
                   (long long)call->options->timeout_ms);
}

static bezel_status http_failed(const http_call *call, CURLcode rc, bezel_error *err)
{
    const char *text = call->text[0] ? call->text : curl_easy_strerror(rc);
    if (call->stop != BEZEL_OK)
        return http_stopped(call, err);
    switch (rc) {
    case CURLE_OUT_OF_MEMORY:
        return bz_fail_memory(err, ORIGIN, "request", 0);
    case CURLE_OPERATION_TIMEDOUT:
        return http_late(call, err);
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_LOGIN_DENIED:
        return http_denied(call->url, text, err);
    case CURLE_URL_MALFORMAT:
        return bz_fail(err, BEZEL_ERR_FORMAT, ORIGIN, "'%s' is no URL: %s", call->url, text);
    default:
        if (call->is_denied)
            return http_address_denied(call, err);
        return bz_fail(err, BEZEL_ERR_NETWORK, ORIGIN, "%s: %s", call->url, text);
    }
}

/* Takes the handle of this hop, if it is under way, back from multi. */
static void http_hop_end(bezel_http_transfer *t)
{
    if (t->is_adding)
        curl_multi_remove_handle(t->multi, t->call.curl);
    t->is_adding = 0;
    if (t->call.curl) {
        curl_easy_setopt(t->call.curl, CURLOPT_HTTPHEADER, NULL);
    }
    curl_slist_free_all(t->list);
    t->list = NULL;
}

/* Sends the request of this hop; http_hop_poll reads its answer. */
static bezel_status http_hop_begin(bezel_http_transfer *t, bezel_error *err)
{
    http_call *call = &t->call;
    int list_ok;
    long left = http_time_left(call);
    if (left < 0)
        return http_late(call, err);
    call->url = call->response->url;
    call->received = call->skip = 0;
    call->is_denied = 0;
    call->text[0] = 0;
    bz_strbuf_reset(&call->response->headers);
    bz_strbuf_reset(&call->response->body);
    t->list = http_header_list(call, &list_ok);
    if (!list_ok)
        return bz_fail_memory(err, ORIGIN, "headers", 0);
    CURLcode rc = http_set_rules(call, left);
    if (rc == CURLE_OK)
        rc = http_set_request(call, t->list);
    if (rc == CURLE_OK && curl_multi_add_handle(t->multi, call->curl) != CURLM_OK)
        rc = CURLE_OUT_OF_MEMORY;
    t->is_adding = rc == CURLE_OK;
    if (rc != CURLE_OK)
        http_hop_end(t);
    return rc == CURLE_OK ? BEZEL_OK : http_failed(call, rc, err);
}

/* BEZEL_OK once the answer of this hop is there, BEZEL_TOOL_PENDING, or why it failed. */
static bezel_status http_hop_poll(bezel_http_transfer *t, bezel_error *err)
{
    int n_running = 0, n_messages;
    CURLcode rc = CURLE_OK;
    if (curl_multi_perform(t->multi, &n_running) != CURLM_OK)
        rc = CURLE_OUT_OF_MEMORY;
    else if (n_running)
        return BEZEL_TOOL_PENDING;
    for (CURLMsg *m; (m = curl_multi_info_read(t->multi, &n_messages)) != NULL;)
        if (m->msg == CURLMSG_DONE)
            rc = m->data.result;
    http_hop_end(t);
    return rc == CURLE_OK ? BEZEL_OK : http_failed(&t->call, rc, err);
}

/* --- Redirects ---------------------------------------------------------------------------- */

/* Same scheme, host and port: only then do the caller's headers travel on. */
static int http_same_origin(CURLU *a, CURLU *b)
{
    static const CURLUPart parts[] = {CURLUPART_SCHEME, CURLUPART_HOST, CURLUPART_PORT};
    int same = 1;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        char *x = http_part(a, parts[i]), *y = http_part(b, parts[i]);
        same &= x && y && curl_strequal(x, y);
        curl_free(x);
        curl_free(y);
    }
    return same;
}

/* What the answer's Location says about the next hop: checks it and changes method, body and headers as RFC 9110 15.4
 * wants it. *out_url is the caller's, free with bz_free. */
static bezel_status http_redirect(char **out_url, http_call *call, bezel_error *err)
{
    const bezel_world *w = call->response->world;
    CURLU *from = NULL, *to = NULL;
    char *next = NULL, *old_scheme = NULL, *new_scheme = NULL;
    long code = http_code(call);
    curl_easy_getinfo(call->curl, CURLINFO_REDIRECT_URL, &next); /* absolute; belongs to the handle */
    if (!next)
        return bz_fail(err, BEZEL_ERR_DENIED, ORIGIN, "%s redirects to something that is no address to go to", call->url);
    bezel_status st = http_check_url(&from, call->url, err);
    if (st == BEZEL_OK)
        st = http_check_url(&to, next, err);
    if (st != BEZEL_OK)
        goto done;
    old_scheme = http_part(from, CURLUPART_SCHEME);
    new_scheme = http_part(to, CURLUPART_SCHEME);
    if (!old_scheme || !new_scheme || (strcmp(old_scheme, "https") == 0 && strcmp(new_scheme, "https") != 0)) {
        st = http_denied(next, "a redirect leads from https to http", err);
        goto done;
    }
    if (!http_same_origin(from, to))
        call->send_headers = 0;
    int is_post = call->body && (!call->method || strcmp(call->method, "POST") == 0);
    int is_head = call->method && strcmp(call->method, "HEAD") == 0;
    if ((code == 303 && !is_head) || ((code == 301 || code == 302) && is_post))
        call->body = call->method = NULL;
    *out_url = bz_text_dup(w, next, SIZE_MAX);
    if (!*out_url)
        st = bz_fail_memory(err, ORIGIN, "address", strlen(next));
done:
    curl_free(old_scheme);
    curl_free(new_scheme);
    curl_url_cleanup(from);
    curl_url_cleanup(to);
    return st;
}

/* Ends every header line with NUL in place, for bezel_http_response_header. */
static void http_split_headers(bz_strbuf *headers)
{
    for (size_t i = 0; i < headers->size; i++)
        if (headers->data[i] == '\r' || headers->data[i] == '\n')
            headers->data[i] = 0;
}

/* After a hop: BEZEL_OK when its answer is the answer, BEZEL_TOOL_PENDING when the next hop has begun, or an error. */
static bezel_status http_next(bezel_http_transfer *t, bezel_error *err)
{
    http_call *call = &t->call;
    bezel_http_response *response = call->response;
    char *next = NULL;
    bezel_status st;
    if (!http_is_redirect(call)) {
        response->status = (int32_t)http_code(call);
        http_split_headers(&response->headers);
        return BEZEL_OK;
    }
    if (t->hop++ >= t->options.max_redirects)
        st = bz_fail(err, BEZEL_ERR_LIMIT, ORIGIN, "%s redirects more than %u times", t->first_url, t->options.max_redirects);
    else
        st = http_redirect(&next, call, err);
    if (st != BEZEL_OK)
        return st;
    bz_free(response->world, response->url);
    response->url = next;
    st = http_hop_begin(t, err);
    return st == BEZEL_OK ? BEZEL_TOOL_PENDING : st;
}

/* --- Transfers ---------------------------------------------------------------------------- */

/* Copies what the options point to, for as long as the transfer lives. */
static bezel_status http_copy_options(bezel_http_transfer *t, const bezel_world *w, bezel_error *err)
{
    bezel_http_options *o = &t->options;
    int ok = 1;
    t->headers = bz_zalloc_array(w, (size_t)o->n_headers + 1, sizeof *t->headers);
    for (uint32_t i = 0; t->headers && i < o->n_headers; i++)
        ok &= (t->headers[i] = bz_text_dup(w, o->headers[i], SIZE_MAX)) != NULL;
    if (o->method)
        ok &= (t->method = bz_text_dup(w, o->method, SIZE_MAX)) != NULL;
    if (o->body)
        ok &= (t->body = bz_alloc(w, o->body_size + 1)) != NULL;
    if (!t->headers || !ok)
        return bz_fail_memory(err, ORIGIN, "request", o->body_size);
    if (o->body)
        memcpy(t->body, o->body, o->body_size);
    o->headers = (const char *const *)t->headers;
    o->method = t->method;
    o->body = t->body;
    return BEZEL_OK;
}

static bezel_status http_begin(bezel_http_transfer *t, const bezel_world *w, const char *url, bezel_error *err)
{
    CURLU *parsed = NULL;
    bezel_http_response *response = bz_zalloc(w, sizeof *response);
    if (!response)
        return bz_fail_memory(err, ORIGIN, "response", sizeof *response);
    t->call.response = response;
    response->world = w;
    bz_strbuf_init(&response->body, w, t->options.max_size < SIZE_MAX - 1 ? (size_t)t->options.max_size + 1 : 0);
    bz_strbuf_init(&response->headers, w, HEADERS_LIMIT);
    bezel_status st = http_copy_options(t, w, err);
    if (st == BEZEL_OK)
        st = http_check_url(&parsed, url, err);
    curl_url_cleanup(parsed);
    if (st != BEZEL_OK)
        return st;
    t->call.options = &t->options;
    t->call.body = t->options.body;
    t->call.method = t->options.method;
    t->call.send_headers = 1;
    t->call.end_ns = t->options.timeout_ms ? w->monotonic_ns(w->ud) + t->options.timeout_ms * 1000000 : INT64_MAX;
    response->url = bz_text_dup(w, url, SIZE_MAX);
    t->first_url = bz_text_dup(w, url, SIZE_MAX);
    t->multi = curl_multi_init();
    t->call.curl = curl_easy_init();
    if (!response->url || !t->first_url || !t->multi || !t->call.curl)
        return bz_fail_memory(err, ORIGIN, "request", 0);
    return http_hop_begin(t, err);
}

void bezel_http_drop(bezel_http_transfer *transfer)
{
    if (!transfer)
        return;
    const bezel_world *w = transfer->world;
    int saved = errno, pipe = bz_os_pipe_block();
    http_hop_end(transfer);
    curl_easy_cleanup(transfer->call.curl);
    curl_multi_cleanup(transfer->multi);
    bz_os_pipe_restore(pipe);
    errno = saved;
    bezel_http_response_free(transfer->call.response);
    for (uint32_t i = 0; transfer->headers && i < transfer->options.n_headers; i++)
        bz_free(w, transfer->headers[i]);
    bz_free(w, transfer->headers);
    bz_free(w, transfer->method);
    bz_free(w, transfer->body);
    bz_free(w, transfer->first_url);
    bz_free(w, transfer);
}

bezel_status bezel_http_start(bezel_http_transfer **out, bezel_engine *engine, const char *url,
                              const bezel_http_options *options, bezel_error *err)
{
    if (out)
        *out = NULL;
    if (!out || !engine || !url)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, ORIGIN, "out, engine and url are required");
    bezel_http_options o;
    bezel_http_options_init(&o);
    bezel_status st = bz_options_read(&o, sizeof o, options, ORIGIN, err);
    if (st == BEZEL_OK)
        st = http_check_options(&o, err);
    if (st != BEZEL_OK)
        return st;
    const bezel_world *w = bezel_engine_world(engine);
    bezel_http_transfer *t = bz_zalloc(w, sizeof *t);
    if (!t)
        return bz_fail_memory(err, ORIGIN, "request", sizeof *t);
    t->world = w;
    t->options = o;
    st = http_begin(t, w, url, err);
    if (st == BEZEL_OK)
        *out = t;
    else
        bezel_http_drop(t);
    return st;
}

bezel_status bezel_http_poll(bezel_http_response **out, bezel_http_transfer *transfer, bezel_error *err)
{
    if (out)
        *out = NULL;
    if (!out || !transfer || !transfer->call.response || !transfer->is_adding)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, ORIGIN, "bezel_http_poll needs out and a transfer that is not over");
    int saved = errno, pipe = bz_os_pipe_block(); /* with NOSIGNAL libcurl leaves SIGPIPE to its caller */
    bezel_status st = http_hop_poll(transfer, err);
    if (st == BEZEL_OK)
        st = http_next(transfer, err);
    bz_os_pipe_restore(pipe);
    errno = saved;
    if (st == BEZEL_OK) {
        *out = transfer->call.response;
        transfer->call.response = NULL;
    }
    return st;
}

bezel_status bezel_http_request(bezel_http_response **out, bezel_engine *engine, const char *url,
                                const bezel_http_options *options, bezel_error *err)
{
    bezel_http_transfer *t = NULL;
    if (out)
        *out = NULL;
    if (!out)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, ORIGIN, "out, engine and url are required");
    bezel_status st = bezel_http_start(&t, engine, url, options, err);
    if (st == BEZEL_OK)
        st = BEZEL_TOOL_PENDING;
    while (st == BEZEL_TOOL_PENDING && (st = bezel_http_poll(out, t, err)) == BEZEL_TOOL_PENDING)
        if (curl_multi_poll(t->multi, NULL, 0, POLL_MS, NULL) != CURLM_OK)
            st = bz_fail_memory(err, ORIGIN, "request", 0);
    bezel_http_drop(t);
    return st;
}

/* --- Reading ------------------------------------------------------------------------------ */

void bezel_http_response_free(bezel_http_response *response)
{
    if (!response)
        return;
    bz_strbuf_free(&response->body);
    bz_strbuf_free(&response->headers);
    bz_free(response->world, response->url);
    bz_free(response->world, response);
}

int32_t bezel_http_response_status(const bezel_http_response *response)
{
    return response->status;
}

const char *bezel_http_response_body(const bezel_http_response *response, size_t *out_size)
{
    if (out_size)
        *out_size = response->body.size;
    return bz_strbuf_cstr(&response->body);
}

const char *bezel_http_response_url(const bezel_http_response *response)
{
    return response->url;
}

const char *bezel_http_response_header(const bezel_http_response *response, const char *name)
{
    size_t n;
    return name && *name ? http_find_header(&n, &response->headers, name) : NULL;
}
