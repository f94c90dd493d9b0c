/* SPDX-License-Identifier: MIT */
/* JSON schema as a flat table of nodes: compiled once, read by the prompt writer, the parser and the validation.
 *
 * Main invariant: indices in a compiled table are valid, ranges are not empty, node 0 is the root. Recursion of a schema
 * ($ref) is a jump to an earlier node, so every walk bounds its own depth.
 * Not here: names of tools, prompt text, the syntax of calls. */
#ifndef BZ_SCHEMA_H
#define BZ_SCHEMA_H

#include <bezel/value.h>

#include "base/arena.h"
#include "base/status.h"

enum { /* kinds of a node */
    BZ_SCHEMA_ANY = 0,
    BZ_SCHEMA_STRING = 1,
    BZ_SCHEMA_INTEGER = 2,
    BZ_SCHEMA_NUMBER = 3,
    BZ_SCHEMA_BOOLEAN = 4,
    BZ_SCHEMA_NULL = 5,
    BZ_SCHEMA_ARRAY = 6,
    BZ_SCHEMA_OBJECT = 7,
    BZ_SCHEMA_UNION = 8 /* anyOf, oneOf, a list of types */
};

enum { /* flags of a node */
    BZ_SCHEMA_NULLABLE = 1,
    BZ_SCHEMA_HAS_MIN = 2,       /* minimum is set */
    BZ_SCHEMA_HAS_MAX = 4,
    BZ_SCHEMA_MIN_EXCLUSIVE = 8, /* the bound itself is outside; never set for integers, where it is folded in */
    BZ_SCHEMA_MAX_EXCLUSIVE = 16,
    BZ_SCHEMA_OPEN = 32,         /* object: unknown keys are allowed */
    BZ_SCHEMA_OPEN_ASKED = 64,   /* object: ... because the schema says so, not by default */
    BZ_SCHEMA_UNIQUE = 128,      /* array: no item twice */
    BZ_SCHEMA_KEYS_ONLY = 256    /* object: an unknown key has to match key_pattern */
};

enum { /* keywords that the node table does not hold: checked on the finished value */
    BZ_ASSERT_ALL_OF = 1,
    BZ_ASSERT_ANY_OF = 2,
    BZ_ASSERT_ONE_OF = 4, /* that exactly one holds */
    BZ_ASSERT_NOT = 8,
    BZ_ASSERT_IF = 16,
    BZ_ASSERT_CONTAINS = 32,
    BZ_ASSERT_NAMES = 64,
    BZ_ASSERT_DEPENDENT = 128,
    BZ_ASSERT_PATTERN_PROPERTIES = 256,
    BZ_ASSERT_MORE_PROPERTIES = 512,
    BZ_ASSERT_PROPERTIES = 1024,
    BZ_ASSERT_REF = 2048
};

#define BZ_SCHEMA_NONE UINT32_MAX

typedef struct bz_schema_node {
    uint32_t kind, flags;
    uint32_t first, count;         /* OBJECT: properties; UNION, ARRAY: links (alternatives, the first items) */
    uint32_t item;                 /* ARRAY: further items; OBJECT: unknown keys' values; BZ_SCHEMA_NONE: anything */
    uint32_t first_value, n_values; /* enum and const: members, of any type where kind is ANY, else scalars; 0 = no enum */
    uint32_t asserts;              /* BZ_ASSERT_... */
    uint32_t pattern;              /* index of a compiled pattern or BZ_SCHEMA_NONE; OBJECT: of unknown keys that item is for */
    int64_t min_count, max_count;  /* code points of a string, items of an array, keys of an object; -1 = none */
    int64_t min_integer, max_integer; /* INTEGER: both always valid */
    double minimum, maximum;       /* NUMBER */
    double multiple;               /* multipleOf, 0 = none */
    const char *format;            /* "date", ... or NULL: a hint, never checked */
    const char *pattern_text;      /* of `pattern`; NULL: none */
} bz_schema_node;

typedef struct bz_schema_property {
    const char *name;
    size_t name_size;
    uint32_t node;
    uint32_t required;
    const char *description;          /* or NULL */
    const bezel_value *default_value; /* valid against the node, or NULL */
} bz_schema_property;

typedef struct bz_schema bz_schema; /* Thread: immutable once compiled */

/* Reports an unsupported or doubtful keyword; path like "parameters.city". */
typedef void (*bz_schema_warn_fn)(void *ud, const char *path, const char *keyword, const char *reason);

typedef struct bz_schema_source {
    const bezel_value *value; /* the schema, a map or a bool; NULL = an object without properties */
    const char *what;         /* for errors: name of the tool */
    int closed;               /* 1: the root object takes no unknown keys unless the schema asks for them */
    bz_schema_warn_fn warn;   /* may be NULL */
    void *ud;
} bz_schema_source;

/* Limits: depth 64, 4,096 nodes, 4,096 enum members, 64 patterns of 1,024 bytes.
 *   Errors   BEZEL_ERR_RANGE for an empty range or enum, BEZEL_ERR_FORMAT for a keyword of the wrong type,
 *            BEZEL_ERR_UNSUPPORTED for a $ref that leaves the schema or only points to itself, BEZEL_ERR_LIMIT;
 *            err->place is the path */
bezel_status bz_schema_new(bz_schema **out, bezel_engine *engine, const bz_schema_source *source, bezel_error *err);
void bz_schema_free(bz_schema *schema);

uint32_t bz_schema_size(const bz_schema *schema); /* nodes; every index in the table is below it */
const bz_schema_node *bz_schema_at(const bz_schema *schema, uint32_t node); /* ANY for BZ_SCHEMA_NONE */
const bz_schema_property *bz_schema_property_at(const bz_schema *schema, uint32_t i); /* i in first..first+count */
uint32_t bz_schema_link(const bz_schema *schema, uint32_t i);            /* node of an alternative, of one of the first items */
const bezel_value *bz_schema_member(const bz_schema *schema, uint32_t i); /* enum member */
const char *bz_schema_kind_name(uint32_t kind); /* "string", ... */
const char *bz_schema_path(const bz_schema *schema, uint32_t node); /* where it stands: "parameters.days.items" */
/* How many different values a node takes, at most `most`; `most` where that is not known. */
uint64_t bz_schema_distinct(const bz_schema *schema, uint32_t node, uint64_t most);

/* --- Values before their type is known ---------------------------------------------------- */

enum { BZ_RAW_LEXEME = 7 }; /* beside BEZEL_NULL .. BEZEL_MAP: unquoted text whose type the schema decides */

typedef struct bz_raw {
    uint32_t kind;
    int32_t truth;
    int64_t integer;
    double number;
    const char *text; /* TEXT, LEXEME */
    size_t size;
    const char *key; /* in a map */
    size_t key_size;
    size_t offset;   /* byte in the model's output */
    struct bz_raw *first, *last, *next;
    size_t count;
} bz_raw;

/* NULL when memory is out. Limits are the value's own. */
bz_raw *bz_raw_from_value(bz_arena *arena, const bezel_value *value);
int bz_raw_is_null(const bz_raw *raw);  /* null, or a lexeme that spells it: null, none, nil, undefined */
int bz_raw_equal(const bz_raw *a, const bz_raw *b); /* as written; a lexeme equals only a lexeme */

/* --- Checking ----------------------------------------------------------------------------- */

typedef struct bz_schema_problem {
    const char *code;   /* static: "bad_type", ... */
    char parameter[72]; /* topmost key, "" at the root */
    char text[256];     /* a sentence for the model: what is wrong, what is valid */
    size_t offset;
} bz_schema_problem;

typedef struct bz_schema_check {
    const bz_schema *schema;
    bezel_tree *tree;   /* results are built here */
    int coerce;         /* 1: rules of tolerant reading ("3" is an integer); 0: typed values, only 3.0 becomes 3 */
    bz_raw *(*parse)(void *ud, const char *text, size_t size); /* text of a list or object to a value, or NULL */
    void *ud;
    bz_schema_problem problem; /* filled when the answer is BEZEL_ERR_PARSE */
    uint32_t n_coerced, n_wrapped; /* how often a value changed its type */
    /* private: */
    uint32_t depth;
    uint32_t work;
    size_t path_size;
    char path[192];
} bz_schema_check;

/* Checks a value against a node and builds the result: converted, defaults filled in, declared properties first.
 * Codes: missing_parameter, unknown_parameter, duplicate_parameter, bad_type, bad_enum, out_of_range, too_long, too_short,
 * duplicate_item, pattern, bad_value (a keyword of BZ_ASSERT_...), too_deep. BEZEL_OK, BEZEL_ERR_PARSE (see problem) or
 * BEZEL_ERR_MEMORY. */
bezel_status bz_schema_apply(bezel_value **out, bz_schema_check *check, uint32_t node, const bz_raw *raw);
/* The same for a typed value (coerce is forced to 0); scratch memory comes from the arena. */
bezel_status bz_schema_apply_value(bezel_value **out, bz_schema_check *check, uint32_t node, bz_arena *arena,
                                   const bezel_value *value);
/* Writes what is valid for a node: "an integer from 1 to 7", "one of "celsius", "fahrenheit"". Always NUL-terminated. */
size_t bz_schema_describe(char *out, size_t capacity, const bz_schema *schema, uint32_t node);

/* Numbers as a model writes them: sign, "_" between digits, 0x. 1 = integer, 2 = number, 3 = too large, 0 = none. */
int bz_lexeme_number(int64_t *out_integer, double *out_number, const char *s, size_t n);

/* Private to schema*.c: matches text against pattern i. 1, 0, -1 when the limits of work were reached, -2
 * without memory. */
int bz_schema_match(const bz_schema *schema, uint32_t pattern, const char *text, size_t size);

#endif
