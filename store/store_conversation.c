/* SPDX-License-Identifier: MIT */
/* Conversations: begin, list, read, delete. What a deleted one held is overwritten in the file (secure_delete), in the word
 * index and, where no other process holds it, in the log; its numbers stay. */
#include "store_impl.h"

bezel_status bezel_store_begin(char out_id[32], bezel_store *store, const char *title, const char *user,
                               bezel_error *err)
{
    if (out_id)
        out_id[0] = 0;
    if (!out_id || !store)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "store", "bezel_store_begin needs out_id and a store");
    bezel_status st = bz_store_write_begin(store, err);
    if (st != BEZEL_OK)
        return st;
    char id[BZ_STORE_ID_SIZE + 1];
    bz_store_name name;
    sqlite3_stmt *stmt;
    st = bz_store_new_id(id, store, err);
    if (st == BEZEL_OK)
        st = bz_store_name_make(&name, store, user, err);
    if (st == BEZEL_OK)
        st = bz_store_statement(&stmt, store, BZ_SQL_CONVERSATION_ADD, err);
    if (st == BEZEL_OK) {
        bz_store_row row;
        bz_store_row_init(&row, stmt);
        bz_store_row_text(&row, id);
        bz_store_row_text(&row, store->options.keep_content ? title : NULL);
        bz_store_row_text(&row, name.text);
        bz_store_row_integer(&row, store->world->wall_ms(store->world->ud));
        st = bz_store_row_run(&row, store, "begin a conversation", err);
    }
    st = bz_store_write_end(store, st, err);
    for (int i = 0; st == BEZEL_OK && i <= BZ_STORE_ID_SIZE; i++)
        out_id[i] = id[i];
    return st;
}

bezel_status bz_store_conversation_find(bezel_store *store, const char *id, bezel_error *err)
{
    sqlite3_stmt *stmt;
    bezel_status st = bz_store_statement(&stmt, store, BZ_SQL_CONVERSATION_HAS, err);
    if (st != BEZEL_OK)
        return st;
    bz_store_row row;
    bz_store_row_init(&row, stmt);
    bz_store_row_text(&row, id);
    int rc = row.rc == SQLITE_OK ? sqlite3_step(stmt) : row.rc;
    if (rc == SQLITE_DONE)
        st = bz_fail(err, BEZEL_ERR_MISSING, "store", "conversation \"%.64s\" is not in %s", id, store->path);
    else if (rc != SQLITE_ROW)
        st = bz_store_fail(store, rc, "look for the conversation", err);
    sqlite3_reset(stmt);
    sqlite3_clear_bindings(stmt);
    if (st == BEZEL_ERR_MISSING)
        bz_error_hint(err, st, "start one with bezel_store_begin, or see bezel_store_conversations");
    return st;
}

/* The rows of a statement whose parameters are an id or two numbers. */
static bezel_status conversation_rows(bezel_value **out, bezel_tree *tree, bezel_store *store, bz_store_row *row,
                                      const char *doing, bezel_error *err)
{
    bezel_value *list = bezel_tree_list(tree);
    bezel_status st = BEZEL_OK;
    if (row->rc != SQLITE_OK)
        st = bz_store_fail(store, row->rc, doing, err);
    else if (!list)
        st = bz_fail_memory(err, "store", "the answer", 0);
    else
        st = bz_store_rows(list, tree, store, row->stmt, doing, err);
    sqlite3_clear_bindings(row->stmt);
    if (st == BEZEL_OK)
        *out = list;
    return st;
}

static bezel_status conversation_use(bezel_value **out, const bezel_tree *tree, const bezel_store *store,
                                     bezel_error *err)
{
    if (out)
        *out = NULL;
    if (!out || !tree || !store)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "store", "out, a tree and a store are needed");
    if (!store->db)
        return bz_fail(err, BEZEL_ERR_BUSY, "store", "the store cannot answer now");
    return BEZEL_OK;
}

bezel_status bezel_store_conversations(bezel_value **out, bezel_tree *tree, bezel_store *store, uint32_t limit,
                                       uint32_t offset, bezel_error *err)
{
    sqlite3_stmt *stmt;
    bezel_status st = conversation_use(out, tree, store, err);
    if (st == BEZEL_OK)
        st = bz_store_statement(&stmt, store, BZ_SQL_CONVERSATION_LIST, err);
    if (st != BEZEL_OK)
        return st;
    bz_store_row row;
    bz_store_row_init(&row, stmt);
    bz_store_row_integer(&row, limit);
    bz_store_row_integer(&row, offset);
    return conversation_rows(out, tree, store, &row, "list the conversations", err);
}

bezel_status bezel_store_messages(bezel_value **out, bezel_tree *tree, bezel_store *store, const char *id,
                                  bezel_error *err)
{
    sqlite3_stmt *stmt;
    bezel_status st = conversation_use(out, tree, store, err);
    if (st == BEZEL_OK && !id)
        st = bz_fail(err, BEZEL_ERR_ARGUMENT, "store", "bezel_store_messages needs the id of a conversation");
    if (st == BEZEL_OK)
        st = bz_store_conversation_find(store, id, err);
    if (st == BEZEL_OK)
        st = bz_store_statement(&stmt, store, BZ_SQL_CONVERSATION_MESSAGES, err);
    if (st != BEZEL_OK)
        return st;
    bz_store_row row;
    bz_store_row_init(&row, stmt);
    bz_store_row_text(&row, id);
    return conversation_rows(out, tree, store, &row, "read the conversation", err);
}

bezel_status bezel_store_delete(bezel_store *store, const char *id, bezel_error *err)
{
    /* ORDER rows that refer to others go first */
    static const int steps[] = {BZ_SQL_DELETE_INDEX,      BZ_SQL_DELETE_MESSAGES,   BZ_SQL_DELETE_CALLS,
                                BZ_SQL_DELETE_DECISIONS,  BZ_SQL_DELETE_FROM_TURNS, BZ_SQL_DELETE_FROM_USAGE,
                                BZ_SQL_DELETE_DETAILS,    BZ_SQL_DELETE_FROM_REQUESTS, BZ_SQL_DELETE_CONVERSATION};
    if (!store || !id)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "store", "bezel_store_delete needs a store and an id");
    bezel_status st = bz_store_write_begin(store, err);
    if (st != BEZEL_OK)
        return st;
    sqlite3_stmt *stmt;
    bz_store_row row;
    st = bz_store_conversation_find(store, id, err);
    for (size_t i = 0; st == BEZEL_OK && i < sizeof steps / sizeof steps[0]; i++) {
        st = bz_store_statement(&stmt, store, steps[i], err);
        if (st != BEZEL_OK)
            break;
        bz_store_row_init(&row, stmt);
        bz_store_row_text(&row, id);
        st = bz_store_row_run(&row, store, "delete the conversation", err);
    }
    if (st == BEZEL_OK)
        st = bz_store_statement(&stmt, store, BZ_SQL_DELETE_MERGE, err);
    if (st == BEZEL_OK) {
        bz_store_row_init(&row, stmt);
        st = bz_store_row_run(&row, store, "delete the words of the conversation", err);
    }
    st = bz_store_write_end(store, st, err);
    if (st == BEZEL_OK) /* best effort: readers of other processes may still need the log */
        bz_store_exec(store, "PRAGMA wal_checkpoint(TRUNCATE)", "empty the log", NULL);
    return st;
}
