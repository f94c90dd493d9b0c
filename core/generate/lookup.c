/* SPDX-License-Identifier: MIT */
/* Guesses from the text itself (see lookup.h): what stood after the longest earlier copy of its last tokens.
 *
 * Invariant: only ids [n, n + room) are written. The length grows while guesses hold and falls to what held; after a guess
 * of which nothing held come pauses of growing length, so a text without repetition pays for few of them. */
#include "generate/lookup.h"

#include <string.h>

enum {
    LOOKUP_LEAST = 3,         /* tokens that must repeat */
    LOOKUP_LONGEST = 16,      /* a longer copy is no better */
    LOOKUP_REACH = 8192,      /* tokens back */
    LOOKUP_LONGEST_WAIT = 64, /* tokens */
    LOOKUP_FIRST = 3          /* length of the first guess */
};

void bz_lookup_init(bz_lookup *l, int is_on)
{
    *l = (bz_lookup){.length = is_on ? LOOKUP_FIRST : 0};
}

/* Length of the copy of the end of ids [n] that ends before `at`, at most LOOKUP_LONGEST. */
static size_t lookup_copy_length(const int32_t *ids, size_t n, size_t at)
{
    size_t length = 0;
    while (length < LOOKUP_LONGEST && length < at && ids[at - 1 - length] == ids[n - 1 - length])
        ++length;
    return length;
}

/* Place after the best copy, 0 = none; the newest among the longest. */
static size_t lookup_find(const int32_t *ids, size_t n)
{
    size_t best = 0, longest = LOOKUP_LEAST - 1;
    for (size_t at = n - 1; at >= LOOKUP_LEAST && n - at <= LOOKUP_REACH && longest < LOOKUP_LONGEST; --at) {
        if (ids[at - 1] != ids[n - 1])
            continue;
        const size_t length = lookup_copy_length(ids, n, at);
        if (length > longest) {
            longest = length;
            best = at;
        }
    }
    return best;
}

size_t bz_lookup_draft(bz_lookup *l, int32_t *ids, size_t n, size_t room)
{
    if (l->length == 0 || n <= LOOKUP_LEAST)
        return 0;
    if (l->wait > 0) {
        --l->wait;
        return 0;
    }
    const size_t at = lookup_find(ids, n);
    if (at == 0)
        return 0;
    size_t count = l->length < room ? l->length : room;
    for (size_t i = 0; i < count; ++i)
        ids[n + i] = ids[at + i]; /* may run into the guess itself: a period that goes on */
    return count;
}

void bz_lookup_note(bz_lookup *l, size_t n_drafted, size_t n_accepted)
{
    l->n_drafted += n_drafted;
    l->n_accepted += n_accepted;
    if (n_accepted == n_drafted && l->length <= n_drafted)
        l->length = l->length * 2 < BZ_LOOKUP_MOST ? l->length * 2 : BZ_LOOKUP_MOST;
    else if (n_accepted < n_drafted)
        l->length = (uint32_t)n_accepted + 1;
    if (n_accepted > 0) {
        l->penalty = 0;
        return;
    }
    l->penalty = l->penalty == 0 ? 2 : l->penalty * 2;
    if (l->penalty > LOOKUP_LONGEST_WAIT)
        l->penalty = LOOKUP_LONGEST_WAIT;
    l->wait = l->penalty;
}
