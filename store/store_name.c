/* SPDX-License-Identifier: MIT */
/* What a user is called in the file: a keyed hash of the host's id, or the id itself when the host gives no key. A name is
 * made with the first key, then hashed again with each later one, so that adding a key renames what is there without knowing
 * any id, and a user stays the same user. Invariant: `meta` has a mark of each key that the names in the file were made with.
 *
 * Who learns a name and all keys but one learns nothing about the id. Keys never get into the file. */
#include "store_impl.h"

#include <sodium.h>
#include <string.h>

#include "base/alloc.h"

enum { KEY_BYTES = 32, HASH_BYTES = 16, MARK_HEX = BZ_STORE_MARK_HEX };

void bz_store_hex(char *out, const void *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < size; i++) {
        const unsigned char byte = ((const unsigned char *)bytes)[i];
        *out++ = digits[byte >> 4];
        *out++ = digits[byte & 15];
    }
    *out = 0;
}

/* "u", the number of the key, "-", 32 hexadecimal digits; out may be what `text` points to. */
static void name_hash(char out[BZ_STORE_NAME_SIZE], const bezel_store *store, uint32_t key, const char *text, size_t size)
{
    unsigned char hash[HASH_BYTES];
    crypto_generichash(hash, sizeof hash, (const unsigned char *)text, size, store->keys + (size_t)key * KEY_BYTES, KEY_BYTES);
    sqlite3_snprintf(BZ_STORE_NAME_SIZE - 2 * HASH_BYTES, out, "u%u-", key + 1);
    bz_store_hex(out + strlen(out), hash, sizeof hash);
}

bezel_status bz_store_name_make(bz_store_name *out, bezel_store *store, const char *user, bezel_error *err)
{
    char there[BZ_STORE_MARKS_SIZE];
    out->text = user;
    if (!user)
        return BEZEL_OK;
    bezel_status st = bz_store_meta(there, sizeof there, store, "user_keys", err);
    if (st != BEZEL_OK)
        return st;
    if (strcmp(there, store->marks) != 0) {
        st = bz_fail(err, BEZEL_ERR_DENIED, "store", "users in %s are named with %zu keys, this store was opened with %u",
                     store->path, strlen(there) / MARK_HEX, (unsigned)store->n_keys);
        bz_error_hint(err, st, "open it again with all keys, oldest first, in user_keys");
        return bz_error_place(err, st, "%s", store->path);
    }
    for (uint32_t i = 0; i < store->n_keys; i++) {
        name_hash(out->buffer, store, i, out->text, strlen(out->text));
        out->text = out->buffer;
    }
    return BEZEL_OK;
}

/* --- Rotation ----------------------------------------------------------------------------- */

typedef struct name_rename {
    const bezel_store *store;
    uint32_t from; /* keys that the names were made with */
} name_rename;

/* bezel_rename(name): the name after the keys that are new. */
static void name_rename_function(sqlite3_context *context, int n, sqlite3_value **values)
{
    const name_rename *r = sqlite3_user_data(context);
    const char *text = (const char *)sqlite3_value_text(values[0]);
    char name[BZ_STORE_NAME_SIZE];
    (void)n;
    if (!text)
        return;
    name_hash(name, r->store, r->from, text, strlen(text));
    for (uint32_t i = r->from + 1; i < r->store->n_keys; i++)
        name_hash(name, r->store, i, name, strlen(name));
    sqlite3_result_text(context, name, -1, SQLITE_TRANSIENT);
}

static bezel_status name_rename_all(bezel_store *store, bezel_error *err)
{
    static const char *const steps[] = {
        "UPDATE conversation SET user = bezel_rename(user) WHERE user IS NOT NULL",
        "UPDATE turn SET user = bezel_rename(user) WHERE user IS NOT NULL",
        "UPDATE usage SET user = bezel_rename(user) WHERE user IS NOT NULL",
        "UPDATE request SET user = bezel_rename(user) WHERE user IS NOT NULL",
        "UPDATE quality SET user = bezel_rename(user) WHERE user IS NOT NULL",
        "UPDATE usage_total SET name = bezel_rename(name) WHERE kind = 'user' AND name <> ''",
        "UPDATE imported_total SET name = bezel_rename(name) WHERE total = 'usage_total' AND kind = 'user' AND name <> ''",
        "UPDATE rate_window SET key = bezel_rename(key)",
    };
    bezel_status st = BEZEL_OK;
    for (size_t i = 0; st == BEZEL_OK && i < sizeof steps / sizeof steps[0]; i++)
        st = bz_store_exec(store, steps[i], "name the users with a new key", err);
    sqlite3_stmt *stmt;
    if (st == BEZEL_OK)
        st = bz_store_statement(&stmt, store, BZ_SQL_META_WRITE, err);
    if (st != BEZEL_OK)
        return st;
    bz_store_row row;
    bz_store_row_init(&row, stmt);
    bz_store_row_text(&row, "user_keys");
    bz_store_row_text(&row, store->marks);
    return bz_store_row_run(&row, store, "keep the marks of the keys", err);
}

static bezel_status name_rotate(bezel_store *store, uint32_t from, bezel_error *err)
{
    name_rename rename = {store, from};
    int rc = sqlite3_create_function_v2(store->db, "bezel_rename", 1, SQLITE_UTF8 | SQLITE_DETERMINISTIC | SQLITE_DIRECTONLY,
                                        &rename, name_rename_function, NULL, NULL, NULL);
    if (rc != SQLITE_OK)
        return bz_store_fail(store, rc, "name the users with a new key", err);
    bezel_status st = name_rename_all(store, err);
    sqlite3_create_function_v2(store->db, "bezel_rename", 1, SQLITE_UTF8, NULL, NULL, NULL, NULL, NULL);
    return st;
}

bezel_status bz_store_name_open(bezel_store *store, bezel_error *err)
{
    char there[BZ_STORE_MARKS_SIZE];
    if (!store->n_keys)
        return BEZEL_OK;
    bezel_status st = bz_store_meta(there, sizeof there, store, "user_keys", err);
    if (st != BEZEL_OK || strcmp(there, store->marks) == 0)
        return st;
    if (!store->options.read_only) {
        st = bz_store_exec(store, "BEGIN IMMEDIATE", "lock the store", err);
        if (st != BEZEL_OK)
            return st;
        st = bz_store_meta(there, sizeof there, store, "user_keys", err); /* another process may have been faster */
    }
    if (st == BEZEL_OK && strncmp(there, store->marks, strlen(there)) != 0) {
        st = bz_fail(err, BEZEL_ERR_DENIED, "store", "the users in %s are named with other keys than the %u given", store->path,
                     (unsigned)store->n_keys);
        bz_error_hint(err, st, "give all keys that the file has seen in user_keys, oldest first, a new one behind them");
        bz_error_place(err, st, "%s", store->path);
    }
    if (store->options.read_only)
        return st;
    const int rename = st == BEZEL_OK && strcmp(there, store->marks) != 0;
    if (rename)
        st = name_rotate(store, (uint32_t)(strlen(there) / MARK_HEX), err);
    st = bz_store_write_end(store, st, err);
    if (st == BEZEL_OK && rename) /* best effort: the old names stay in the log until nobody reads it */
        bz_store_exec(store, "PRAGMA wal_checkpoint(TRUNCATE)", "empty the log", NULL);
    return st;
}

bezel_status bz_store_keys_read(bezel_store *store, bezel_error *err)
{
    const bezel_store_options *o = &store->options;
    if (!o->n_user_keys)
        return BEZEL_OK;
    if (!o->user_keys || o->n_user_keys > BZ_STORE_KEYS)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "store", "n_user_keys is %u: expected at most %d keys in user_keys",
                       (unsigned)o->n_user_keys, BZ_STORE_KEYS);
    store->keys = bz_alloc(store->world, (size_t)o->n_user_keys * KEY_BYTES);
    if (!store->keys)
        return bz_fail_memory(err, "store", "keys", (size_t)o->n_user_keys * KEY_BYTES);
    memcpy(store->keys, o->user_keys, (size_t)o->n_user_keys * KEY_BYTES);
    store->n_keys = o->n_user_keys;
    for (uint32_t i = 0; i < store->n_keys; i++) {
        static const char text[] = "Bezel user key";
        unsigned char hash[HASH_BYTES];
        crypto_generichash(hash, sizeof hash, (const unsigned char *)text, sizeof text, store->keys + (size_t)i * KEY_BYTES,
                           KEY_BYTES);
        bz_store_hex(store->marks + (size_t)i * MARK_HEX, hash, MARK_HEX / 2);
    }
    return BEZEL_OK;
}

void bz_store_keys_free(bezel_store *store)
{
    if (store->keys)
        sodium_memzero(store->keys, (size_t)store->n_keys * KEY_BYTES);
    bz_free(store->world, store->keys);
}

/* --- Public ------------------------------------------------------------------------------- */

bezel_status bezel_store_user(char out_name[64], bezel_store *store, const char *user, bezel_error *err)
{
    if (out_name)
        out_name[0] = 0;
    if (!out_name || !store || !user)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "store", "bezel_store_user needs out_name, a store and a user");
    if (!store->db)
        return bz_fail(err, BEZEL_ERR_BUSY, "store", "the store cannot answer now");
    bz_store_name name;
    bezel_status st = bz_store_name_make(&name, store, user, err);
    if (st == BEZEL_OK && strlen(name.text) > 63)
        return bz_fail(err, BEZEL_ERR_LIMIT, "store", "a name of %zu bytes, room for 63", strlen(name.text));
    if (st == BEZEL_OK)
        sqlite3_snprintf(64, out_name, "%s", name.text);
    return st;
}
