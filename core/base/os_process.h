/* SPDX-License-Identifier: MIT */
/* A child process with pipes at its standard streams. Nothing here blocks but bz_process_wait and bz_process_stop, for as long
 * as they are told. Thread: confined. */
#ifndef BZ_OS_PROCESS_H
#define BZ_OS_PROCESS_H

#include "base/status.h"

typedef struct bz_process bz_process;

typedef struct bz_process_options {
    const char *const *command; /* NULL-terminated; the first is a path, or looked for in PATH; no shell */
    const char *const *keep;    /* NULL-terminated names: what the child gets of the host's environment */
    const char *const *set;     /* NULL-terminated "NAME=value", in place of what `keep` gives; may be NULL */
    const char *folder;         /* where it works; NULL = where the host does */
} bz_process_options;

enum { BZ_PROCESS_OUT = 1, BZ_PROCESS_ERR = 2 }; /* its standard output and error, for us to read */

/* Starts a process in a group of its own, with default signal handling, and no other descriptor of the host open where the
 * system can do that.
 *   Errors   MISSING (no such program or folder), DENIED, LIMIT (arguments), MEMORY, IO */
bezel_status bz_process_start(bz_process **out, const bezel_world *w, const bz_process_options *options, bezel_error *err);

/* Bytes read, 0 when none are there now, -1 at the end of the stream. */
int64_t bz_process_read(bz_process *p, int stream, void *buffer, size_t size);
/* Bytes taken, 0 when none fit now, -1 when nobody reads any more; never SIGPIPE. */
int64_t bz_process_write(bz_process *p, const void *bytes, size_t size);
/* Until something can be read, or (want_write) written, a stream ended or the time is over. */
void bz_process_wait(bz_process *p, int want_write, int64_t timeout_ms);
int bz_process_is_deaf(const bz_process *p); /* 1 once a write or a wait has found that nobody reads its input */
int bz_process_fd(const bz_process *p); /* its standard output; -1 once that has ended */
int64_t bz_process_id(const bz_process *p);
int bz_process_has_ended(bz_process *p); /* 1 when it ended by itself; its streams may hold more to read */

/* Ends it: closes its input, waits grace_ms for its end, then SIGTERM to its group, the same wait, then SIGKILL. What is left
 * of its group goes with it. Reads and drops what it writes meanwhile. Safe to call again. */
void bz_process_stop(bz_process *p, int64_t grace_ms);
/* After stop: "ended with status 1", "was ended by signal 9", ... */
void bz_process_describe(const bz_process *p, char *out, size_t capacity);
void bz_process_free(bz_process *p); /* stops it without grace when nobody did; NULL is fine */

#endif
