/* SPDX-License-Identifier: MIT */
/* bezel_value: null, bool, integer, number, text, list or map; the one shape of tool arguments, results and rows.
 *
 *     bezel_tree *tree;
 *     bezel_tree_new(&tree, engine, NULL);
 *     bezel_value *m = bezel_tree_map(tree);
 *     bezel_value_set(tree, m, "city", bezel_tree_text(tree, "Tokyo", 5));
 *     if (bezel_tree_status(tree) != BEZEL_OK) ...   // one check for all of the above
 *     bezel_tree_free(tree);                         // frees every value made in it
 *
 * Values live in the tree they were made in and die with it. Builders return NULL when memory or a limit runs out and
 * accept NULL, so a whole tree can be built before the one check. Limits: depth 64, 16 Mi values a tree. */
#ifndef BEZEL_VALUE_H
#define BEZEL_VALUE_H

#include <bezel/base.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct bezel_engine bezel_engine;
typedef struct bezel_tree bezel_tree;   /* owns values. Thread: confined */
typedef struct bezel_value bezel_value; /* one node. Thread: readable by many once built */

enum {
    BEZEL_NULL = 0,
    BEZEL_BOOL = 1,
    BEZEL_INTEGER = 2,
    BEZEL_NUMBER = 3,
    BEZEL_TEXT = 4,
    BEZEL_LIST = 5,
    BEZEL_MAP = 6
};

/* --- Trees -------------------------------------------------------------------------------- */

BEZEL_API bezel_status bezel_tree_new(bezel_tree **out, bezel_engine *engine, bezel_error *err);
BEZEL_API void bezel_tree_free(bezel_tree *tree); /* NULL is fine */
/* BEZEL_OK, or the first thing that went wrong while building. */
BEZEL_API bezel_status bezel_tree_status(const bezel_tree *tree);

BEZEL_API bezel_value *bezel_tree_null(bezel_tree *tree);
BEZEL_API bezel_value *bezel_tree_bool(bezel_tree *tree, int32_t truth);
BEZEL_API bezel_value *bezel_tree_integer(bezel_tree *tree, int64_t integer);
BEZEL_API bezel_value *bezel_tree_number(bezel_tree *tree, double number);
/* Copies `size` bytes; invalid UTF-8 becomes U+FFFD; NUL bytes are kept. size SIZE_MAX = strlen(text). */
BEZEL_API bezel_value *bezel_tree_text(bezel_tree *tree, const char *text, size_t size);
BEZEL_API bezel_value *bezel_tree_list(bezel_tree *tree);
BEZEL_API bezel_value *bezel_tree_map(bezel_tree *tree);
/* Deep copy of a value of any tree. */
BEZEL_API bezel_value *bezel_tree_copy(bezel_tree *tree, const bezel_value *value);

/* Adds an item made in the same tree at the end of a list. An item has one place: one that is in a list or map already
 * (or of another tree) is BEZEL_ERR_ARGUMENT; put a bezel_tree_copy there. */
BEZEL_API void bezel_value_append(bezel_tree *tree, bezel_value *list, bezel_value *item);
/* Sets a key (copied); an existing key keeps its place and gets the new item. */
BEZEL_API void bezel_value_set(bezel_tree *tree, bezel_value *map, const char *key, bezel_value *item);
BEZEL_API void bezel_value_set_n(bezel_tree *tree, bezel_value *map, const char *key, size_t key_size,
                                 bezel_value *item);

/* --- Reading ------------------------------------------------------------------------------ */
/* All accept NULL and answer as for null. Plain pointers belong to the tree. */

BEZEL_API uint32_t bezel_value_type(const bezel_value *value);
BEZEL_API int32_t bezel_value_bool(const bezel_value *value);      /* 0 unless a true bool */
BEZEL_API int64_t bezel_value_integer(const bezel_value *value);   /* a number is truncated; 0 for other types */
BEZEL_API double bezel_value_number(const bezel_value *value);     /* an integer is converted; 0 for other types */
BEZEL_API const char *bezel_value_text(const bezel_value *value, size_t *out_size); /* "" for other types; NUL-terminated */
BEZEL_API size_t bezel_value_count(const bezel_value *value);      /* items of a list or map */
BEZEL_API const bezel_value *bezel_value_at(const bezel_value *value, size_t i); /* item i of a list or map */
BEZEL_API const char *bezel_value_key(const bezel_value *map, size_t i, size_t *out_size); /* key i of a map */
BEZEL_API const bezel_value *bezel_value_get(const bezel_value *map, const char *key); /* NULL when absent */
BEZEL_API int32_t bezel_value_equal(const bezel_value *a, const bezel_value *b); /* deep; map order does not count; 3 equals 3.0 */

/* --- JSON --------------------------------------------------------------------------------- */

/* Reads one JSON value (RFC 8259; nothing may follow but blanks). Integers beyond 2^53 are BEZEL_ERR_RANGE, depth over
 * 64 and text over 16 MiB BEZEL_ERR_LIMIT, a duplicate key BEZEL_ERR_DUPLICATE, NUL in a text (\u0000) BEZEL_ERR_FORMAT;
 * err->offset is the byte. A failure leaves the tree usable. size SIZE_MAX = strlen(json). */
BEZEL_API bezel_status bezel_json_read(bezel_value **out, bezel_tree *tree, const char *json, size_t size,
                                       bezel_error *err);
/* Writes JSON: indent 0 gives one line without spaces, n > 0 indents by n. NaN and infinity are BEZEL_ERR_NUMERIC.
 *   Owns     *out is the caller's, free with bezel_text_free */
BEZEL_API bezel_status bezel_json_write(char **out, size_t *out_size, bezel_engine *engine, const bezel_value *value,
                                        uint32_t indent, bezel_error *err);

/* Frees any text that a Bezel function handed out with "free with bezel_text_free"; NULL is fine. */
BEZEL_API void bezel_text_free(bezel_engine *engine, char *text);

#ifdef __cplusplus
}
#endif
#endif
