/* SPDX-License-Identifier: MIT */
/* Reads a constrained answer byte by byte and says at each byte whether it can still become a whole one. The state is a plain
 * struct: copying it is trying something. Separators are canonical, white space is never free. Thread: any, no memory. */
#ifndef BZ_CALL_MACHINE_H
#define BZ_CALL_MACHINE_H

#include "generate/call_form.h"

#define BZ_CALL_THREADS 8U /* alternatives of a union that are open at once; more are dropped, the first stay */
#define BZ_CALL_MADE 32U   /* calls of one turn that are not made again */

typedef struct bz_call_frame {
    uint32_t node;
    uint16_t count; /* members, items so far */
    uint8_t is_list, is_call;
    uint64_t used;  /* bits of properties, of enum members of a unique list */
    uint16_t n_open; /* unknown keys so far */
    uint16_t n_hashes;
    uint16_t hashes[BZ_CALL_UNIQUE]; /* of unknown keys, of items of a unique list */
} bz_call_frame;

typedef struct bz_call_leaf_text { /* a fixed text, a name, a member of an enum */
    const char *bytes;   /* LITERAL */
    uint32_t size, at;   /* at: bytes read */
    uint32_t low, high;  /* NAME, ENUM: range of sorted texts that begin with what was read */
    uint64_t keys;       /* KEY: candidates */
} bz_call_leaf_text;

typedef struct bz_call_leaf_string {
    uint32_t count;        /* code points */
    uint32_t hash;         /* of an unknown key */
    uint8_t need, low, high; /* continuation bytes to come, range of the next */
    uint8_t escape;        /* 1 after a backslash, 2..5 hex digits */
    uint8_t is_key;
    uint8_t is_unique;     /* a key, or an item of a unique list: no \\uXXXX, which would be other bytes for the same text */
    uint8_t zeros;         /* hex digits so far are zeros: \u0000..\u001f are refused */
    uint8_t surrogate;     /* the first hex digit was d */
    bz_call_pattern_set pattern;
} bz_call_leaf_string;

typedef struct bz_call_leaf_number {
    uint64_t digits; /* all digits read, without the point */
    uint8_t part;    /* where in the number: see call_scalar.c */
    uint8_t negative;
    uint8_t n_digits, n_decimals, n_exponent;
} bz_call_leaf_number;

typedef struct bz_call_thread {
    uint8_t leaf, then; /* what is being read; what comes when it is done */
    uint8_t depth;      /* frames */
    uint8_t in_list;    /* calls stand in a list */
    uint16_t n_calls;   /* begun */
    uint16_t spare;
    uint32_t node;      /* of the value */
    uint32_t spare2;
    uint64_t hash;      /* of the call so far */
    union {
        bz_call_leaf_text text;
        bz_call_leaf_string string;
        bz_call_leaf_number number;
    } at;
    bz_call_frame frames[BZ_CALL_DEPTH];
} bz_call_thread;

typedef struct bz_call_state {
    uint32_t n_threads; /* 0: refused */
    uint32_t n_made;
    uint64_t made[BZ_CALL_MADE]; /* hashes of calls that are not allowed (again) */
    bz_call_thread threads[BZ_CALL_THREADS];
} bz_call_state;

/* The beginning of an answer. spaced: 1 when one blank comes first, as behind the "Assistant:" of a transcript. made: a state
 * whose forbidden calls stay forbidden, NULL = none; it may be s. */
void bz_call_start(bz_call_state *s, const bz_call_form *f, int spaced, const bz_call_state *made);
/* Forbids a call, given as the dialect writes it from its name on. Beyond BZ_CALL_MADE it is forgotten. */
void bz_call_forbid(bz_call_state *s, const char *call, size_t size);
void bz_call_copy(bz_call_state *to, const bz_call_state *from); /* only what is in use */
/* 0 when the byte is refused: the state is spent then. */
int bz_call_feed(bz_call_state *s, const bz_call_form *f, uint8_t byte);
/* 0 when one of the bytes is refused: the state is spent then. */
int bz_call_feed_bytes(bz_call_state *s, const bz_call_form *f, const char *bytes, size_t n);
/* The answer may end here. */
int bz_call_can_end(const bz_call_state *s, const bz_call_form *f);
/* 1 when only the end is legal. */
int bz_call_must_end(const bz_call_state *s, const bz_call_form *f);
/* 1 behind the separator of two calls: the next one was not begun, and a model that writes something else meant the end. */
int bz_call_between(const bz_call_state *s, const bz_call_form *f);
/* The one byte that may come, -1 when there are several or the answer may end. */
int bz_call_forced_byte(const bz_call_state *s, const bz_call_form *f);
/* to = from and the byte; to is spent when it is 0. */
int bz_call_feed_to(bz_call_state *to, const bz_call_state *from, const bz_call_form *f, uint8_t byte);

typedef enum bz_call_string_kind {
    BZ_CALL_STRING_NONE,
    BZ_CALL_STRING_PLAIN,  /* every character but the closing mark, a backslash, '<' and control characters may come, up to the
                              most; texts that are longer than `longest` are not told when there are several alternatives */
    BZ_CALL_STRING_PATTERN /* likewise, as the pattern allows */
} bz_call_string_kind;

typedef struct bz_call_site { /* where in a string */
    uint32_t count, least, most;      /* code points */
    const bz_call_pattern *pattern;   /* PATTERN */
    const bz_call_pattern_set *state; /* PATTERN: in the state that was asked */
} bz_call_site;

/* What a state says about texts of up to `longest` bytes without those characters: exactly these are legal inside of a string. */
bz_call_string_kind bz_call_in_string(bz_call_site *out, const bz_call_state *s, const bz_call_form *f, uint32_t longest);
/* A short text that ends the answer from here, as far as it fits in out [capacity]; returns its bytes, 0 when it may end. */
size_t bz_call_closing(char *out, size_t capacity, const bz_call_state *s, const bz_call_form *f);
/* 1 where the name of a call is chosen from several: *out_names [*out_n] of the form's are left, *out_at bytes of each were read. */
int bz_call_in_name(const bz_call_state *s, const bz_call_form *f, const bz_call_text **out_names, uint32_t *out_n, uint32_t *out_at);

/* --- Scalars: call_scalar.c. Each reads one byte of the leaf; BZ_CALL_READ, BZ_CALL_REFUSED, BZ_CALL_FINISHED (the byte was its
 * last) or BZ_CALL_BEFORE (it ended before this byte, which belongs to what follows). */
enum { BZ_CALL_READ, BZ_CALL_REFUSED, BZ_CALL_FINISHED, BZ_CALL_BEFORE };

int bz_call_number_read(bz_call_leaf_number *n, const bz_call_node *node, uint8_t byte);
uint32_t bz_call_number_hash(const bz_call_leaf_number *n); /* the same for 1 and 1.0 */
int bz_call_number_complete(const bz_call_leaf_number *n, const bz_call_node *node);
/* is_key: of an object's unknown key, node is the object then. */
void bz_call_string_start(bz_call_leaf_string *s, const bz_call_form *f, const bz_call_node *node, int is_key);
int bz_call_string_read(bz_call_leaf_string *s, const bz_call_form *f, const bz_call_node *node, uint8_t byte);

#endif
