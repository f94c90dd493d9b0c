/* SPDX-License-Identifier: MIT */
/* The server for HTTP tests: reads one request, writes one answer, closes. */
#include "support/http_server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#define REQUEST_LIMIT 65536
#define ANSWER_LIMIT 65536

typedef struct server_request {
    char text[REQUEST_LIMIT + 1]; /* request line and headers, then the body */
    size_t head;                  /* bytes with the empty line */
    size_t size;
    char method[16];
    char target[4096];
} server_request;

/* gzip -9n of 100 000 zeros */
static const unsigned char zeros_gz[] = {
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0xed, 0xc1, 0x31, 0x01, 0x00, 0x00, 0x00, 0xc2, 0xa0,
    0xf5, 0x4f, 0x6d, 0x0d, 0x0f, 0xa0, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x80, 0x57, 0x03, 0x7d, 0x95, 0x11, 0xd4, 0xa0, 0x86, 0x01, 0x00};

unsigned char http_server_byte(size_t i) { return (unsigned char)(i * 2654435761u >> 13); }

/* --- Reading ------------------------------------------------------------------------------ */

/* Value of a header, or NULL. Ends at the line's CR. */
static const char *request_header(const server_request *r, const char *name)
{
    size_t n = strlen(name);
    const char *end = r->text + r->head;
    for (const char *line = strstr(r->text, "\r\n"); line && line + 4 < end; line = strstr(line + 2, "\r\n")) {
        if (strncasecmp(line + 2, name, n) == 0 && line[2 + n] == ':')
            return line + 3 + n + strspn(line + 3 + n, " ");
    }
    return NULL;
}

static int request_read(server_request *r, int fd)
{
    const char *end = NULL;
    size_t want = 0;
    r->size = r->head = 0;
    while (!end || r->size < want) {
        ssize_t n = r->size < REQUEST_LIMIT ? recv(fd, r->text + r->size, REQUEST_LIMIT - r->size, 0) : 0;
        if (n <= 0)
            return 0;
        r->size += (size_t)n;
        r->text[r->size] = 0;
        if (!end && (end = strstr(r->text, "\r\n\r\n")) != NULL) {
            r->head = (size_t)(end - r->text) + 4;
            const char *length = request_header(r, "Content-Length");
            want = r->head + (length ? strtoul(length, NULL, 10) : 0);
        }
    }
    return sscanf(r->text, "%15s %4095s", r->method, r->target) == 2;
}

/* --- Answering ---------------------------------------------------------------------------- */

static int send_all(int fd, const void *bytes, size_t size)
{
    const char *p = bytes;
    while (size) {
        ssize_t n = send(fd, p, size, MSG_NOSIGNAL);
        if (n <= 0)
            return 0;
        p += n;
        size -= (size_t)n;
    }
    return 1;
}

static void answer(int fd, int status, const char *headers, const void *body, size_t size)
{
    char head[2048];
    int n = snprintf(head, sizeof head, "HTTP/1.1 %d Canned\r\nConnection: close\r\nContent-Length: %zu\r\n%s\r\n", status,
                     size, headers);
    if (send_all(fd, head, (size_t)n))
        send_all(fd, body, size);
}

/* Waits until the client hangs up, the server stops, or ms are over. */
static void wait_ms(http_server *s, int fd, int ms)
{
    for (int i = 0; i < ms / 20 && !atomic_load(&s->stop); i++) {
        struct pollfd p = {.fd = fd, .events = POLLRDHUP};
        if (poll(&p, 1, 20) > 0)
            return;
    }
}

static size_t argument(const server_request *r)
{
    const char *q = strchr(r->target, '?');
    return q ? strtoul(q + 1, NULL, 10) : 0;
}

/* Bytes from..size of the pattern under a Content-Length of promised bytes. */
static void answer_bytes(int fd, int status, size_t from, size_t to, size_t promised, size_t size)
{
    char head[256], block[4096];
    int n = snprintf(head, sizeof head, "HTTP/1.1 %d Canned\r\nConnection: close\r\nContent-Length: %zu\r\n", status, promised);
    if (status == 206)
        n += snprintf(head + n, sizeof head - (size_t)n, "Content-Range: bytes %zu-%zu/%zu\r\n", from, size - 1, size);
    n += snprintf(head + n, sizeof head - (size_t)n, "\r\n");
    int ok = send_all(fd, head, (size_t)n);
    while (ok && from < to) {
        size_t k = to - from < sizeof block ? to - from : sizeof block;
        for (size_t i = 0; i < k; i++)
            block[i] = (char)http_server_byte(from + i);
        ok = send_all(fd, block, k);
        from += k;
    }
}

static void answer_file(int fd, const server_request *r)
{
    size_t size = argument(r), from = 0;
    const char *range = request_header(r, "Range");
    int is_cut = strncmp(r->target, "/cut", 4) == 0, is_whole = strncmp(r->target, "/whole", 6) == 0;
    if (range && !is_whole && strncmp(range, "bytes=", 6) == 0)
        from = strtoul(range + 6, NULL, 10);
    if (from && from >= size)
        answer(fd, 416, "", "", 0);
    else
        answer_bytes(fd, from ? 206 : 200, from, is_cut && !from ? size / 2 : size, size - from, size);
}

static void answer_redirect(int fd, const server_request *r)
{
    char headers[1500];
    const char *q = strchr(r->target, '?');
    snprintf(headers, sizeof headers, "Location: %.1400s\r\n", q ? q + 1 : "/hello");
    answer(fd, atoi(r->target + 10), headers, "moved", 5);
}

static void answer_header(int fd, size_t n)
{
    char line[1024];
    memset(line, 'x', sizeof line);
    memcpy(line, "X-Long: ", 8);
    memcpy(line + sizeof line - 2, "\r\n", 2);
    int ok = send_all(fd, "HTTP/1.1 200 Canned\r\nConnection: close\r\n", 40);
    for (size_t sent = 0; ok && sent < n; sent += sizeof line)
        ok = send_all(fd, line, sizeof line);
    if (ok)
        send_all(fd, "\r\n", 2);
}

static void server_answer(http_server *s, int fd, const server_request *r)
{
    const char *t = r->target;
    char body[ANSWER_LIMIT];
    if (strcmp(t, "/hello") == 0) {
        answer(fd, 200, "Content-Type: text/plain\r\nX-Kind:  canned\r\n", "hello", 5);
    } else if (strncmp(t, "/echo", 5) == 0) {
        answer(fd, 200, "", r->text, r->size);
    } else if (strncmp(t, "/status/", 8) == 0) {
        int n = snprintf(body, sizeof body, "this is status %d", atoi(t + 8));
        answer(fd, atoi(t + 8), "", body, (size_t)n);
    } else if (strncmp(t, "/redirect/", 10) == 0) {
        answer_redirect(fd, r);
    } else if (strcmp(t, "/loop") == 0) {
        answer(fd, 302, "Location: /loop\r\n", "", 0);
    } else if (strcmp(t, "/slow") == 0) {
        wait_ms(s, fd, 2000);
        answer(fd, 200, "", "late", 4);
    } else if (strncmp(t, "/bytes", 6) == 0 || strncmp(t, "/whole", 6) == 0 || strncmp(t, "/cut", 4) == 0) {
        answer_file(fd, r);
    } else if (strcmp(t, "/gzip") == 0) {
        int accepts = request_header(r, "Accept-Encoding") != NULL;
        answer(fd, accepts ? 200 : 406, accepts ? "Content-Encoding: gzip\r\n" : "", zeros_gz, sizeof zeros_gz);
    } else if (strncmp(t, "/header?", 8) == 0) {
        answer_header(fd, argument(r));
    } else if (strcmp(t, "/quit") == 0) {
        answer(fd, 200, "", "bye", 3);
        atomic_store(&s->stop, 1);
    } else if (strncmp(t, "/v1/", 4) == 0) {
        int status = weather_answer(body, sizeof body, t);
        answer(fd, status, "Content-Type: application/json; charset=utf-8\r\n", body, strlen(body));
    } else {
        answer(fd, 404, "", "no such canned answer", 21);
    }
}

/* --- Life --------------------------------------------------------------------------------- */

static void *server_run(void *arg)
{
    http_server *s = arg;
    server_request *r = malloc(sizeof *r);
    while (r && !atomic_load(&s->stop)) {
        struct pollfd p = {.fd = s->fd, .events = POLLIN};
        if (poll(&p, 1, 20) <= 0)
            continue;
        int fd = accept(s->fd, NULL, NULL);
        if (fd < 0)
            continue;
        struct timeval wait = {.tv_sec = 2};
        setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof wait);
        if (request_read(r, fd)) {
            atomic_fetch_add(&s->n_requests, 1);
            server_answer(s, fd, r);
        }
        shutdown(fd, SHUT_WR);
        close(fd);
    }
    free(r);
    return NULL;
}

int http_server_start(http_server *s)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    memset(s, 0, sizeof *s);
    s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (s->fd < 0 || bind(s->fd, (struct sockaddr *)&address, size) != 0 || listen(s->fd, 16) != 0 ||
        getsockname(s->fd, (struct sockaddr *)&address, &size) != 0)
        return 0;
    s->port = ntohs(address.sin_port);
    snprintf(s->url, sizeof s->url, "http://127.0.0.1:%d", s->port);
    return pthread_create(&s->thread, NULL, server_run, s) == 0;
}

void http_server_stop(http_server *s)
{
    atomic_store(&s->stop, 1);
    pthread_join(s->thread, NULL);
    close(s->fd);
}
