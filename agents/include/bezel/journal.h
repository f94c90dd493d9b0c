/* SPDX-License-Identifier: MIT */
/* bezel_journal: where an agent writes what happened. Declared here, filled by the store (bezel_store_journal) or by the
 * host. Everything of one turn comes in one record, so a journal can keep it in one transaction. */
#ifndef BEZEL_JOURNAL_H
#define BEZEL_JOURNAL_H

#include <bezel/session.h>
#include <bezel/value.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct bezel_journal_message {
    uint32_t role; /* BEZEL_ROLE_... */
    uint32_t step; /* model call it belongs to, 0-based */
    const char *text;
    size_t text_size;
} bezel_journal_message;

typedef struct bezel_journal_call {
    uint32_t step;
    int32_t repeated;        /* 1: not run, the same call was answered before */
    const char *name;
    const char *arguments;   /* JSON */
    const char *result;      /* JSON, NULL on failure */
    const char *error_code;  /* NULL on success; parse errors are calls with a code and no result */
    const char *error;       /* sentence, NULL on success */
    int64_t duration_us;
} bezel_journal_call;

typedef struct bezel_journal_usage { /* one model call */
    uint32_t step;
    uint32_t stop_reason; /* BEZEL_STOP_... */
    uint64_t n_prompt;    /* tokens sent */
    uint64_t n_cached;    /* of these, found in the cache */
    uint64_t n_generated;
    uint64_t n_dropped;   /* tokens of the history that did not fit */
    int64_t first_token_us;
    int64_t total_us;
    const char *error;    /* status name when the model call failed, else NULL */
} bezel_journal_usage;

typedef struct bezel_journal_turn {
    uint32_t size; /* sizeof(bezel_journal_turn) */
    uint32_t n_messages;
    const char *conversation; /* id of the conversation, NULL when it is not kept */
    const char *user;         /* NULL = unknown */
    const char *model;        /* name */
    const char *error;        /* NULL, or why the turn failed */
    int64_t started_ms;       /* wall clock, milliseconds since 1970 */
    int64_t duration_us;
    const bezel_journal_message *messages; /* [n_messages] question first */
    const bezel_journal_call *calls;       /* [n_calls] */
    const bezel_journal_usage *usages;     /* [n_usages] */
    uint32_t n_calls;
    uint32_t n_usages;
    int32_t withdrawn; /* 1: the turn failed and its messages are no part of the conversation that goes on */
    uint32_t reserved;
} bezel_journal_turn;

typedef struct bezel_journal {
    uint32_t size; /* sizeof(bezel_journal) */
    uint32_t reserved;
    void *ud;
    /* Keeps one turn, wholly or not at all. When it returns BEZEL_OK the turn survives a kill of the process. */
    bezel_status (*write)(void *ud, const bezel_journal_turn *turn, bezel_error *err);
} bezel_journal;

#ifdef __cplusplus
}
#endif
#endif
