/* SPDX-License-Identifier: MIT */
/* What a constrained answer may be, compiled once: functions with their schemas in one dialect, a JSON value, or one of some
 * texts. The machine (call_machine.h) reads it byte by byte.
 *
 * Main invariant: every node that a walk can reach has an answer that fits in BZ_CALL_DEPTH frames; `height` says how many it
 * needs at least, so a walk never enters what it cannot leave. Immutable once compiled.
 * Not here: reading what a model wrote freely (tools/call_parser.c). */
#ifndef BZ_CALL_FORM_H
#define BZ_CALL_FORM_H

#include "base/arena.h"
#include "base/schema.h"
#include "generate/call_pattern.h"

#define BZ_CALL_DEPTH 16U      /* objects, lists and calls inside one another */
#define BZ_CALL_OPEN_KEYS 64U  /* code points of a key that no schema names */
#define BZ_CALL_PROPERTIES 64U /* of one object, those of a call's arguments included */
#define BZ_CALL_UNIQUE 32U     /* keys of an open object, items of a unique list, that are told apart; older ones are forgotten */
#define BZ_CALL_NONE UINT32_MAX

/* Bytes that never stand in UTF-8 take the place of control tokens in the texts of a dialect. A vocabulary without the
 * token spells it; see token_mask.h. */
enum { BZ_CALL_MARK_OPEN = 0xF8, BZ_CALL_MARK_CLOSE = 0xF9, BZ_CALL_MARK_STRING = 0xFA };

typedef enum bz_call_escapes {
    BZ_CALL_ESCAPES_NONE = 0,  /* the closing mark cannot stand inside */
    BZ_CALL_ESCAPES_JSON = 1,
    BZ_CALL_ESCAPES_PYTHON = 2 /* JSON's without "\/" */
} bz_call_escapes;

/* Syntax of calls; a row of call_dialect.c. No text is NULL. */
typedef struct bz_call_dialect {
    const char *name;
    const char *list_open, *list_close; /* around all calls */
    uint32_t bare;                      /* 1: a single call may stand without the list */
    const char *call_open, *args_open, *args_close, *call_sep;
    const char *key_open, *key_close;       /* around the name of an argument */
    const char *member_open, *member_close; /* around a key of an object */
    const char *sep;                        /* between arguments, members and items */
    const char *true_text, *false_text, *null_text;
    const char *string_open, *string_close;
    bz_call_escapes escapes;
} bz_call_dialect;

const bz_call_dialect *bz_call_dialect_find(const char *name); /* NULL: there is none */

typedef struct bz_call_text {
    const char *bytes;
    uint32_t size;
    uint32_t function; /* of a name: index in the source */
} bz_call_text;

typedef struct bz_call_property {
    bz_call_text key;    /* as an argument's name, with what follows it: "days=" */
    bz_call_text member; /* as a key of an object: "\"days\": " */
    uint32_t node, required;
    uint32_t hash;       /* of the name, as bz_call_string_hash gives it for a key */
} bz_call_property;

typedef struct bz_call_node {
    uint8_t kind;     /* BZ_SCHEMA_... */
    uint8_t nullable;
    uint8_t open;     /* object: keys that are not declared, behind those that are */
    uint8_t height;   /* frames that the smallest value needs */
    uint8_t exact;    /* number: low, high and multiple hold, in units of 10^-decimals */
    uint8_t decimals;
    uint32_t first, count;          /* properties; links of a union, of a list's first items */
    uint32_t item;                  /* further items; values of unknown keys */
    uint32_t first_text, n_texts;   /* enum, sorted */
    uint32_t pattern;               /* index or BZ_CALL_NONE; object: of unknown keys */
    uint32_t min_count, max_count;  /* code points, items, keys */
    uint32_t max_open;              /* unknown keys */
    uint32_t unique;                /* list: no item twice. 1: members or booleans, 2: texts or numbers */
    int64_t low, high;
    uint64_t multiple;              /* 0 = any */
    uint64_t required;              /* object: bits of the required properties */
} bz_call_node;

typedef enum bz_call_root { BZ_CALL_ROOT_CALLS, BZ_CALL_ROOT_VALUE, BZ_CALL_ROOT_CHOICE } bz_call_root;

typedef struct bz_call_function {
    const char *name;
    const bz_schema *schema; /* its root is an object */
} bz_call_function;

/* A keyword that is only checked afterwards, a function that is left out; what: its name, or "answer". */
typedef void (*bz_call_warn_fn)(void *ud, const char *what, const char *path, const char *keyword, const char *reason);

typedef struct bz_call_source {
    const bz_call_dialect *dialect;
    bz_call_root root;
    const bz_call_function *functions; /* CALLS */
    size_t n_functions;                /* at most 1024 */
    const bz_schema *value;            /* VALUE */
    const char *const *choices;        /* CHOICE: distinct, not empty */
    size_t n_choices;
    uint32_t any_order;   /* 1: arguments and members in any order; else as declared */
    uint32_t max_calls;   /* at least 1 */
    uint32_t max_string;  /* code points of a string whose schema has no limit */
    uint32_t max_items;   /* of a list whose schema has no limit */
    bz_call_warn_fn warn; /* may be NULL */
    void *ud;
} bz_call_source;

typedef struct bz_call_form {
    const bezel_world *world;
    bz_arena arena;
    bz_call_dialect dialect;
    bz_call_root root;
    uint32_t root_node; /* VALUE */
    uint32_t any_order, max_calls;
    bz_call_node *nodes;
    uint32_t n_nodes;
    bz_call_property *properties;
    uint32_t *links;
    bz_call_text *texts; /* members of enums, choices */
    bz_call_text *names; /* [n_names] sorted, with what opens the arguments: "get_time(" */
    uint32_t n_names;
    uint32_t *function_nodes;    /* [n_functions] */
    uint64_t *function_hashes;   /* [n_functions] of the call without arguments, 0 where arguments exist */
    bz_call_text first_open, next_open; /* what stands before the first and each further name */
    bz_call_text trigger; /* the first call's opening without the blanks at its end: what free text is watched for */
    bz_call_pattern **patterns;
    uint32_t n_patterns;
} bz_call_form;

/* The schemas may go afterwards, the texts of the dialect may not. A function that no text can call, since its schema nests
 * deeper than BZ_CALL_DEPTH whatever is chosen, is left out with a warning when there are others.
 * Errors: BEZEL_ERR_LIMIT for too many nodes or required properties, BEZEL_ERR_RANGE where no function is left or a value's schema
 * nests that deep, BEZEL_ERR_MEMORY. */
bezel_status bz_call_form_new(bz_call_form **out, const bezel_world *w, const bz_call_source *source, bezel_error *err);
void bz_call_form_free(bz_call_form *form);

/* Hash of a string's bytes so far and one more, 0 = none yet. */
static inline uint32_t bz_call_string_hash(uint32_t hash, uint8_t byte)
{
    return (hash ^ byte ^ hash >> 15) * 0x9E3779B1U + 1U;
}

/* Hash of a call's bytes from its name to what closes the arguments. */
uint64_t bz_call_hash(uint64_t hash, const char *bytes, size_t n);
#define BZ_CALL_HASH_START 0xCBF29CE484222325U

#endif
