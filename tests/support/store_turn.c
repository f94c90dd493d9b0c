/* SPDX-License-Identifier: MIT */
/* Sample turns for the tests of the store. */
#include "support/store_turn.h"

#include <bezel/chat.h>
#include <check.h>
#include <string.h>

void store_turn_fill(store_turn *t, const char *conversation, const char *question, const char *answer)
{
    static const char call[] = "FUNCTION_CALL: get_weather(city=\"Tokyo\")", result[] = "Result: get_weather = rain";
    memset(t, 0, sizeof *t);
    t->messages[0] = (bezel_journal_message){BEZEL_ROLE_USER, 0, question, strlen(question)};
    t->messages[1] = (bezel_journal_message){BEZEL_ROLE_ASSISTANT, 0, call, strlen(call)};
    t->messages[2] = (bezel_journal_message){BEZEL_ROLE_TOOL, 0, result, strlen(result)};
    t->messages[3] = (bezel_journal_message){BEZEL_ROLE_ASSISTANT, 1, answer, strlen(answer)};
    t->calls[0] = (bezel_journal_call){0, 0, "get_weather", "{\"city\":\"Tokyo\"}", "\"rain\"", NULL, NULL, 1500};
    t->calls[1] = (bezel_journal_call){0, 0, "get_tide", "{}", NULL, "network", "no network", 500};
    t->usages[0] = (bezel_journal_usage){0, BEZEL_STOP_STRING, 100, 0, 20, 0, 200000, 1200000, NULL, 0};
    t->usages[1] = (bezel_journal_usage){1, BEZEL_STOP_EOS, 130, 100, 11, 7, 50000, 550000, NULL, 0};
    t->decisions[0] = (bezel_journal_decision){0, 1, 600, "timeout", "late", "get_tide", "no network"};
    t->turn = (bezel_journal_turn){.size = sizeof t->turn,
                                   .n_messages = 4,
                                   .conversation = conversation,
                                   .user = "ann",
                                   .model = "tiny",
                                   .started_ms = 1700000000000,
                                   .duration_us = 2000000,
                                   .messages = t->messages,
                                   .calls = t->calls,
                                   .usages = t->usages,
                                   .n_calls = 2,
                                   .decisions = t->decisions,
                                   .n_decisions = 1,
                                   .n_usages = 2};
}

bezel_status store_turn_write(bezel_store *store, const char *conversation, const char *question, const char *answer,
                              bezel_error *err)
{
    store_turn t;
    store_turn_fill(&t, conversation, question, answer);
    const bezel_journal *journal = bezel_store_journal(store);
    return journal->write(journal->ud, &t.turn, err);
}

int64_t store_turn_count(bezel_store *store, bezel_engine *engine, const char *sql)
{
    bezel_error err = BEZEL_ERROR_INIT;
    bezel_tree *tree = NULL;
    bezel_value *rows = NULL;
    ck_assert_int_eq(bezel_tree_new(&tree, engine, &err), BEZEL_OK);
    bezel_status st = bezel_store_query(&rows, tree, store, sql, NULL, &err);
    ck_assert_msg(st == BEZEL_OK, "%s: %s", sql, err.text);
    int64_t n = bezel_value_integer(bezel_value_at(bezel_value_at(rows, 0), 0));
    bezel_tree_free(tree);
    return n;
}
