/* SPDX-License-Identifier: MIT */
/* bezel_value: null, bool, integer, number, text, list or map; the one shape of tool arguments, results and rows.
 *
 *     bezel_tree *tree = NULL;
 *     bezel_tree_new(&tree, engine, NULL);
 *     bezel_value *m = bezel_tree_map(tree);
 *     bezel_value_set(tree, m, "city", bezel_tree_text(tree, "Tokyo", SIZE_MAX));
 *     if (bezel_tree_status(tree) != BEZEL_OK) ...   // one check for all of the above
 *     const char *city = bezel_value_text(bezel_value_get(m, "city"), NULL);
 *     bezel_tree_free(tree);                         // frees every value made in it
 *
 * Values live in the tree they were made in and die with it; none can be freed alone. Builders return NULL once memory
 * or a limit has run out and accept NULL, so a whole tree can be built before the one check.
 * Limits: lists and maps 64 deep, 16 Mi values a tree. */
#ifndef BEZEL_VALUE_H
#define BEZEL_VALUE_H

#include <bezel/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Declared here because a tree takes its memory from one; see engine.h. */
typedef struct bezel_engine bezel_engine;
/* Owns values.
 *   Thread   confined */
typedef struct bezel_tree bezel_tree;
/* One node.
 *   Thread   readable by many once nothing is built in its tree any more */
typedef struct bezel_value bezel_value;

/* Type of a value. */
enum {
    BEZEL_NULL = 0,
    BEZEL_BOOL = 1,
    /* 64 bits with sign */
    BEZEL_INTEGER = 2,
    /* double, NaN and infinity included */
    BEZEL_NUMBER = 3,
    /* valid UTF-8 with a size; may hold NUL */
    BEZEL_TEXT = 4,
    BEZEL_LIST = 5,
    /* text keys in the order in which they were first set */
    BEZEL_MAP = 6
};

/* --- Trees -------------------------------------------------------------------------------- */

/* Makes an empty tree.
 *   Owns     *out is the caller's, free with bezel_tree_free before the engine
 *   Thread   any
 *   Errors   that of the world's random source, which seeds the hashing of keys; *out is NULL
 *   Since    0.1 */
BEZEL_API bezel_status bezel_tree_new(bezel_tree **out, bezel_engine *engine, bezel_error *err);

/* Frees a tree with every value in it; NULL is fine.
 *   Thread   that of the tree
 *   Since    0.1 */
BEZEL_API void bezel_tree_free(bezel_tree *tree);

/* BEZEL_OK, or the first thing that went wrong while building; BEZEL_ERR_ARGUMENT for NULL.
 * A tree that has failed builds nothing more and keeps its status until it is freed; what was built before can be read.
 *   Thread   that of the tree
 *   Errors   MEMORY; LIMIT for depth, number or size; ARGUMENT for a NULL text or key and for an item that is NULL, of
 *            another tree or has a place already; TYPE for a container of the wrong type
 *   Since    0.1 */
BEZEL_API bezel_status bezel_tree_status(const bezel_tree *tree);

/* --- Building ----------------------------------------------------------------------------- */
/* Each function returns a new value that has no place yet, or NULL when the tree has failed or is NULL. */

/* A null.
 *   Owns     the tree's
 *   Thread   that of the tree
 *   Since    0.1 */
BEZEL_API bezel_value *bezel_tree_null(bezel_tree *tree);

/* A bool: any truth but 0 is true.
 *   Owns     the tree's
 *   Thread   that of the tree
 *   Since    0.1 */
BEZEL_API bezel_value *bezel_tree_bool(bezel_tree *tree, int32_t truth);

/* An integer of the whole range. Beyond 2^53 it can be written as JSON, but not be read back.
 *   Owns     the tree's
 *   Thread   that of the tree
 *   Since    0.1 */
BEZEL_API bezel_value *bezel_tree_integer(bezel_tree *tree, int64_t integer);

/* A number. NaN and infinity are kept; only writing them as JSON fails.
 *   Owns     the tree's
 *   Thread   that of the tree
 *   Since    0.1 */
BEZEL_API bezel_value *bezel_tree_number(bezel_tree *tree, double number);

/* A text: copies `size` bytes, or strlen(text) when size is SIZE_MAX. Invalid UTF-8 becomes U+FFFD, a byte each; NUL
 * bytes are kept.
 * A text of NULL fails the tree.
 *   Units    bytes
 *   Owns     the tree's
 *   Thread   that of the tree
 *   Since    0.1 */
BEZEL_API bezel_value *bezel_tree_text(bezel_tree *tree, const char *text, size_t size);

/* An empty list.
 *   Owns     the tree's
 *   Thread   that of the tree
 *   Since    0.1 */
BEZEL_API bezel_value *bezel_tree_list(bezel_tree *tree);

/* An empty map.
 *   Owns     the tree's
 *   Thread   that of the tree
 *   Since    0.1 */
BEZEL_API bezel_value *bezel_tree_map(bezel_tree *tree);

/* A deep copy of a value of any tree, this one included; NULL copies as null.
 * The way to keep a value longer than its tree, or to put one into two places.
 *   Owns     the tree's
 *   Thread   that of the tree; the source must not change meanwhile
 *   Since    0.1 */
BEZEL_API bezel_value *bezel_tree_copy(bezel_tree *tree, const bezel_value *value);

/* Adds an item at the end of a list.
 * An item has one place: one that is in a list or map already, or of another tree, fails the tree with ARGUMENT; put a
 * bezel_tree_copy there. Nothing is added then.
 *   Thread   that of the tree
 *   Errors   in bezel_tree_status
 *   Since    0.1 */
BEZEL_API void bezel_value_append(bezel_tree *tree, bezel_value *list, bezel_value *item);

/* Sets a key of a map to an item, under the rules of bezel_value_append.
 * The key is copied. One that is there already keeps its place in the order and gets the new item; the old item has no
 * place any more and may be put elsewhere.
 *   Thread   that of the tree
 *   Errors   in bezel_tree_status
 *   Since    0.1 */
BEZEL_API void bezel_value_set(bezel_tree *tree, bezel_value *map, const char *key, bezel_value *item);

/* The same with a key of key_size bytes, which may hold NUL; SIZE_MAX is not strlen here. Invalid UTF-8 becomes U+FFFD.
 *   Thread   that of the tree
 *   Errors   in bezel_tree_status; LIMIT for a key over 1 GiB
 *   Since    0.1 */
BEZEL_API void bezel_value_set_n(bezel_tree *tree, bezel_value *map, const char *key, size_t key_size,
                                 bezel_value *item);

/* --- Reading ------------------------------------------------------------------------------ */
/* All accept NULL and answer as for null, so a chain of gets needs no check. Plain pointers belong to the tree. */

/* Type of a value, BEZEL_NULL for NULL.
 *   Thread   any, while nothing is built in the tree; so for all below
 *   Since    0.1 */
BEZEL_API uint32_t bezel_value_type(const bezel_value *value);

/* 1 for a true bool, 0 for everything else: the integer 1 is not true.
 *   Since    0.1 */
BEZEL_API int32_t bezel_value_bool(const bezel_value *value);

/* The integer. A number is cut towards 0, or to the end of the range it is beyond; NaN and other types give 0.
 *   Since    0.1 */
BEZEL_API int64_t bezel_value_integer(const bezel_value *value);

/* The number. An integer is converted, rounded beyond 2^53; other types give 0.
 *   Since    0.1 */
BEZEL_API double bezel_value_number(const bezel_value *value);

/* The text, NUL-terminated, "" for other types. *out_size takes its bytes; out_size may be NULL.
 *   Owns     the tree's; static for other types
 *   Since    0.1 */
BEZEL_API const char *bezel_value_text(const bezel_value *value, size_t *out_size);

/* Items of a list or map, 0 for other types.
 *   Since    0.1 */
BEZEL_API size_t bezel_value_count(const bezel_value *value);

/* Item i of a list or map, NULL beyond its end.
 *   Owns     the tree's
 *   Since    0.1 */
BEZEL_API const bezel_value *bezel_value_at(const bezel_value *value, size_t i);

/* Key i of a map, NUL-terminated, "" beyond its end. *out_size takes its bytes; out_size may be NULL.
 *   Owns     the tree's
 *   Since    0.1 */
BEZEL_API const char *bezel_value_key(const bezel_value *map, size_t i, size_t *out_size);

/* Item under a key, NULL when it is absent or `map` is no map. Large maps are searched through an index.
 *   Owns     the tree's
 *   Since    0.1 */
BEZEL_API const bezel_value *bezel_value_get(const bezel_value *map, const char *key);

/* 1 when both say the same: deep, the order of keys does not count, integer 3 equals number 3.0, NaN equals nothing.
 *   Since    0.1 */
BEZEL_API int32_t bezel_value_equal(const bezel_value *a, const bezel_value *b);

/* --- JSON --------------------------------------------------------------------------------- */

/* Reads one JSON value; nothing may follow it but blanks. size SIZE_MAX means strlen(json).
 * A number without point and exponent is an integer, 3.0 stays a number, -0 is one. Stricter than the format: texts are
 * valid UTF-8 without NUL and without half surrogate pairs, no key occurs twice, no byte order mark stands before it.
 *   Units    size in bytes, at most 16 MiB; numbers of at most 63 characters
 *   Owns     *out lives in tree
 *   Thread   that of the tree
 *   Errors   FORMAT, TRUNCATED, DUPLICATE; RANGE for an integer beyond 2^53 or a number no double can hold; LIMIT for
 *            depth over 64 and sizes.
 *            err->offset is the byte. The tree stays usable, *out is NULL; a tree that has failed before gives its own
 *            status
 *   Source   RFC 8259
 *   Since    0.1 */
BEZEL_API bezel_status bezel_json_read(bezel_value **out, bezel_tree *tree, const char *json, size_t size,
                                       bezel_error *err);

/* Writes a value as JSON; NULL writes null. indent 0 gives one line without blanks, n > 0 indents by n (at most 16).
 * Characters beyond ASCII stand as they are. out_size may be NULL.
 *   Units    *out_size in bytes, without the NUL at the end
 *   Owns     *out is the caller's, free with bezel_text_free
 *   Thread   any, while the value does not change
 *   Errors   NUMERIC for NaN and infinity; LIMIT over 1 GiB; *out is NULL
 *   Source   RFC 8259
 *   Since    0.1 */
BEZEL_API bezel_status bezel_json_write(char **out, size_t *out_size, bezel_engine *engine, const bezel_value *value,
                                        uint32_t indent, bezel_error *err);

/* Frees a text whose comment says "free with bezel_text_free"; NULL is fine. The engine must be the one it came from;
 * with an engine of NULL nothing is freed.
 *   Thread   any
 *   Since    0.1 */
BEZEL_API void bezel_text_free(bezel_engine *engine, char *text);

#ifdef __cplusplus
}
#endif
#endif
