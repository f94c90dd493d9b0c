/* SPDX-License-Identifier: MIT */
/* Log sink of an engine: lines of the host's call go out at once, lines of other threads wait for bz_log_drain. */
#ifndef BZ_LOG_H
#define BZ_LOG_H

#include "base/status.h"

#include <bezel/engine.h>

typedef struct bz_log bz_log;

bz_log *bz_engine_log(const bezel_engine *engine); /* in engine.c: for parts that do not see what is inside of an engine */

bezel_status bz_log_new(bz_log **out, const bezel_world *w, uint32_t level, bezel_log_fn fn, void *ud, bezel_error *err);
void bz_log_free(bz_log *log);
/* Queues a line (at most 1 KiB, cleaned like an error text; the oldest of over 256 waiting lines is dropped). Any thread. */
void bz_log_write(bz_log *log, uint32_t level, const char *origin, const char *format, ...) BZ_PRINTF(4, 5);
/* Calls the host's function for each waiting line. Only from within a call of the host. */
void bz_log_drain(bz_log *log);

#endif
