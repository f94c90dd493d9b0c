/* SPDX-License-Identifier: MIT */
/* A small HTTP/1.1 server on 127.0.0.1 with canned answers, one request after the other, on a thread of its own. No Check
 * inside: the test program tests/make/http_server_main.c uses it, too.
 *
 *     /hello             "hello"
 *     /echo              method, path and header lines, an empty line, the body
 *     /status/N          an answer with that status and a body that says so
 *     /redirect/N?URL    status N, Location: URL
 *     /loop              redirects to itself
 *     /slow              answers after two seconds
 *     /bytes?N           N bytes of http_server_byte, honours Range: bytes=A-
 *     /whole?N           the same, ignores Range
 *     /cut?N             promises N bytes and sends half, the rest when Range asks for it
 *     /gzip              100 000 zeros, compressed to about 130 bytes
 *     /header?N          header lines of N bytes in all
 *     /quit              ends the server
 *     /v1/search?name=   Open-Meteo's geocoding (weather_server.c)
 *     /v1/forecast?...   Open-Meteo's forecast */
#ifndef TEST_HTTP_SERVER_H
#define TEST_HTTP_SERVER_H

#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>

typedef struct http_server {
    int fd;
    int port;
    char url[64]; /* "http://127.0.0.1:PORT" */
    atomic_int stop;
    atomic_int n_requests;
    pthread_t thread;
} http_server;

int http_server_start(http_server *s); /* 1, or 0 when the system refuses */
void http_server_stop(http_server *s);
/* What /bytes has at position i. */
unsigned char http_server_byte(size_t i);

/* --- weather_server.c --------------------------------------------------------------------- */

/* Body in JSON for a target ("/v1/search?name=Oslo"); returns the status. A wrong request gets 400 and Open-Meteo's
 * {"error":true,"reason":"..."}. "Nowhere" is no place, "Breakdown" a status 503, "Babel" no JSON. */
int weather_answer(char *out, size_t capacity, const char *target);

#endif
