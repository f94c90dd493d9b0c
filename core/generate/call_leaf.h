/* SPDX-License-Identifier: MIT */
/* What a thread of the machine reads: between call_machine.c and call_byte.c, which read, and call_state.c, which asks. */
#ifndef BZ_CALL_LEAF_H
#define BZ_CALL_LEAF_H

#include "generate/call_machine.h"

enum { /* leaves */
    LEAF_DONE = 0, /* only the end */
    LEAF_LITERAL,  /* a fixed text, then `then` */
    LEAF_CALLS,    /* before the first call: a list or a bare call */
    LEAF_NAME,
    LEAF_NEXT_CALL,/* behind a call */
    LEAF_FIRST,    /* behind what opens a frame: the first member or its end */
    LEAF_AFTER,    /* behind a member */
    LEAF_KEY,
    LEAF_VALUE,    /* the first byte of a value of `node` */
    LEAF_ENUM,
    LEAF_STRING,
    LEAF_NUMBER,
    /* these read nothing: call_settle turns them into one of the above */
    LEAF_BEGIN_NAME,
    LEAF_BEGIN_STRING,
    LEAF_BEGIN_KEY, /* of an open object */
    LEAF_MEMBER,    /* behind a separator: the next member */
    LEAF_VALUE_END, /* a value is whole */
    LEAF_CALL_END   /* what closes the arguments was read */
};

/* Node i of a form; one that takes any value for BZ_CALL_NONE. */
const bz_call_node *bz_call_node_at(const bz_call_form *f, uint32_t i);

/* What closes a frame. */
const char *bz_call_closer(const bz_call_form *f, const bz_call_frame *frame);
/* The list around the value when it takes no member twice, else NULL. */
bz_call_frame *bz_call_unique(const bz_call_form *f, bz_call_thread *t);
/* Reads a byte that changes the one thread of s and nothing else, inside of a fixed text, a string, a number: 1, or 0 when it is
 * refused. -1: it may do more, and nothing was read. */
int bz_call_feed_inside(bz_call_state *s, const bz_call_form *f, uint8_t byte);

#endif
