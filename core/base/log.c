/* SPDX-License-Identifier: MIT */
/* Log sink of an engine. Lines wait in a queue until a call of the host drains it, so the host's function never runs on a
 * thread of ours, and never while a lock is held. A line that finds no memory or no room is dropped and counted. */
#include "base/log.h"

#include "base/alloc.h"
#include "base/os.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define BZ_LOG_LINE 1024
#define BZ_LOG_WAITING 256u

typedef struct log_line {
    struct log_line *next;
    uint32_t level;
    char origin[32];
    char text[];
} log_line;

struct bz_log {
    const bezel_world *world;
    bezel_log_fn fn;
    void *ud;
    uint32_t level;
    bz_mutex *mutex; /* guards what follows */
    log_line *first, *last;
    uint32_t n_waiting;
    uint64_t n_dropped; /* since the last line that said so */
    int draining;       /* some thread is handing lines out: order is kept, a line is handed out once */
};

bezel_status bz_log_new(bz_log **out, const bezel_world *w, uint32_t level, bezel_log_fn fn, void *ud, bezel_error *err)
{
    bz_log *log;
    if (level > BEZEL_LOG_DEBUG)
        return bz_fail(err, BEZEL_ERR_RANGE, "log", "log level is %lu, expected 0 to %d", (unsigned long)level,
                       BEZEL_LOG_DEBUG);
    log = bz_zalloc(w, sizeof *log);
    if (log != NULL)
        log->mutex = bz_mutex_new(w);
    if (log == NULL || log->mutex == NULL) {
        bz_free(w, log);
        return bz_fail_memory(err, "log", "the log", sizeof *log);
    }
    log->world = w;
    log->level = fn == NULL ? 0 : level;
    log->fn = fn;
    log->ud = ud;
    *out = log;
    return BEZEL_OK;
}

static log_line *log_pop(bz_log *log)
{
    log_line *line = log->first;
    if (line != NULL) {
        log->first = line->next;
        if (log->first == NULL)
            log->last = NULL;
        log->n_waiting--;
    }
    return line;
}

void bz_log_free(bz_log *log)
{
    log_line *line;
    if (log == NULL)
        return;
    while ((line = log_pop(log)) != NULL)
        bz_free(log->world, line);
    bz_mutex_free(log->world, log->mutex);
    bz_free(log->world, log);
}

void bz_log_write(bz_log *log, uint32_t level, const char *origin, const char *format, ...)
{
    char raw[BZ_LOG_LINE];
    char text[BZ_LOG_LINE];
    va_list arguments;
    log_line *line;
    log_line *oldest = NULL;
    size_t size;
    int n;
    if (log == NULL || level == 0 || level > log->level)
        return;
    va_start(arguments, format);
    n = vsnprintf(raw, sizeof raw, format, arguments);
    va_end(arguments);
    size = n < 0 ? 0 : (size_t)n < sizeof raw ? (size_t)n : sizeof raw - 1;
    size = bz_text_clean(text, sizeof text, raw, size);
    line = bz_alloc(log->world, sizeof *line + size + 1);
    if (line != NULL) {
        line->next = NULL;
        line->level = level;
        bz_text_clean(line->origin, sizeof line->origin, origin, strlen(origin));
        memcpy(line->text, text, size + 1);
    }
    bz_mutex_lock(log->mutex);
    if (line == NULL || log->n_waiting == BZ_LOG_WAITING)
        log->n_dropped++;
    if (line != NULL) {
        if (log->n_waiting == BZ_LOG_WAITING)
            oldest = log_pop(log);
        if (log->last != NULL)
            log->last->next = line;
        else
            log->first = line;
        log->last = line;
        log->n_waiting++;
    }
    bz_mutex_unlock(log->mutex);
    bz_free(log->world, oldest);
}

void bz_log_drain(bz_log *log)
{
    if (log == NULL || log->level == 0)
        return;
    bz_mutex_lock(log->mutex);
    if (log->draining) {
        bz_mutex_unlock(log->mutex);
        return;
    }
    log->draining = 1;
    while (log->first != NULL || log->n_dropped > 0) {
        uint64_t dropped = log->n_dropped;
        log_line *line = dropped > 0 ? NULL : log_pop(log);
        log->n_dropped = 0;
        bz_mutex_unlock(log->mutex);
        if (dropped > 0) {
            char text[64];
            snprintf(text, sizeof text, "%llu older log lines were dropped", (unsigned long long)dropped);
            log->fn(log->ud, BEZEL_LOG_WARNING, "log", text);
        } else {
            log->fn(log->ud, line->level, line->origin, line->text);
            bz_free(log->world, line);
        }
        bz_mutex_lock(log->mutex);
    }
    log->draining = 0;
    bz_mutex_unlock(log->mutex);
}
