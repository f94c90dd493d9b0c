/* SPDX-License-Identifier: MIT */
/* A turn as an agent would hand it to a journal: question, call, result, answer. */
#ifndef TEST_STORE_TURN_H
#define TEST_STORE_TURN_H

#include <bezel/store.h>

typedef struct store_turn {
    bezel_journal_turn turn;
    bezel_journal_message messages[4];
    bezel_journal_call calls[2];
    bezel_journal_usage usages[2];
    bezel_journal_decision decisions[1];
} store_turn;

/* Fills t; conversation may be NULL. Texts are borrowed. */
void store_turn_fill(store_turn *t, const char *conversation, const char *question, const char *answer);
bezel_status store_turn_write(bezel_store *store, const char *conversation, const char *question, const char *answer,
                              bezel_error *err);
/* First column of the first row as an integer; fails the test when the query does. */
int64_t store_turn_count(bezel_store *store, bezel_engine *engine, const char *sql);

#endif
