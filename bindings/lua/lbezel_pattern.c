/* SPDX-License-Identifier: MIT */
/* Walks a Lua 5.4 pattern over a subject as string.find, match, gmatch and gsub do, only to see whether that ends in time: the
 * same order of tries, a look at the clock every few thousand steps. It makes no strings and raises nothing.
 * Invariant: takes at least as many steps as the stock function up to the point where that ends or raises.
 * Does not: check the pattern beyond what a walk meets, as the stock functions do not either. */
#include "lbezel.h"

#include <ctype.h>
#include <string.h>

enum {
    WALK_DEPTH = 200,     /* nested tries; the stock functions raise "pattern too complex" there */
    WALK_CAPTURES = 32,   /* LUA_MAXCAPTURES of a stock build */
    WALK_FUEL = 8192      /* steps between two looks at the clock: about 20 us */
};
enum { CAPTURE_OPEN = -1, CAPTURE_POSITION = -2 }; /* in place of a length */
enum { WALK_GOES_ON, WALK_LATE, WALK_RAISES };     /* RAISES: the stock function ends here with an error */

typedef const unsigned char *bytes;

typedef struct walk {
    const lbezel_pattern *job;
    bytes begin, end, p_end;
    int state, depth, level;
    size_t fuel;
    struct {
        bytes at;
        ptrdiff_t length;
    } captures[WALK_CAPTURES];
} walk;

/* A single character of the pattern with its suffix. */
typedef struct walk_item {
    bytes p, end; /* the class */
    int suffix;   /* * + - ? or another byte that means nothing */
} walk_item;

static bytes walk_try(walk *w, bytes s, bytes p);

static void walk_spend(walk *w, size_t steps) {
    if (steps < w->fuel) {
        w->fuel -= steps;
        return;
    }
    w->fuel = WALK_FUEL;
    if (w->job->is_late(w->job->ud)) w->state = WALK_LATE;
}

static bytes walk_raise(walk *w) {
    if (w->state == WALK_GOES_ON) w->state = WALK_RAISES;
    return NULL;
}

/* --- One character ------------------------------------------------------------------------ */

/* Byte at p; patterns and subjects of Lua end in a zero that may be looked at. */
static int walk_letter(int c, int letter) {
    int is = 0;
    switch (tolower(letter)) {
        case 'a': is = isalpha(c); break;
        case 'c': is = iscntrl(c); break;
        case 'd': is = isdigit(c); break;
        case 'g': is = isgraph(c); break;
        case 'l': is = islower(c); break;
        case 'p': is = ispunct(c); break;
        case 's': is = isspace(c); break;
        case 'u': is = isupper(c); break;
        case 'w': is = isalnum(c); break;
        case 'x': is = isxdigit(c); break;
        case 'z': is = c == 0; break;
        default: return c == letter;
    }
    return isupper(letter) ? !is : is != 0;
}

/* c in the set from '[' at p to ']' at last. */
static int walk_set(int c, bytes p, bytes last) {
    int found = 0;
    const int negated = p[1] == '^';
    for (p += 1 + negated; p < last && !found; p++) {
        if (*p == '%')
            found = walk_letter(c, *++p);
        else if (p[1] == '-' && p + 2 < last) {
            found = p[0] <= c && c <= p[2];
            p += 2;
        } else
            found = *p == c;
    }
    return found != negated;
}

/* End of the class at p; NULL where the stock function raises. */
static bytes walk_class_end(walk *w, bytes p) {
    if (*p == '%') return p + 1 < w->p_end ? p + 2 : walk_raise(w);
    if (*p != '[') return p + 1;
    p += p[1] == '^' ? 2 : 1;
    do { /* a ']' that stands first is an element */
        if (p >= w->p_end) return walk_raise(w);
        p += *p == '%' && p + 1 < w->p_end ? 2 : 1;
    } while (p >= w->p_end || *p != ']');
    return p + 1;
}

static int walk_fits(walk *w, bytes s, const walk_item *item) {
    walk_spend(w, 1 + (size_t)(item->end - item->p) / 4);
    if (s >= w->end || w->state != WALK_GOES_ON) return 0;
    switch (*item->p) {
        case '.': return 1;
        case '%': return walk_letter(*s, item->p[1]);
        case '[': return walk_set(*s, item->p, item->end - 1);
        default: return *s == *item->p;
    }
}

/* --- Parts of a pattern ------------------------------------------------------------------- */

static bytes walk_longest(walk *w, bytes s, const walk_item *item) {
    bytes most = s;
    while (walk_fits(w, most, item)) most++;
    for (;; most--) {
        bytes e = walk_try(w, most, item->end + 1);
        if (e || most == s || w->state != WALK_GOES_ON) return e;
    }
}

static bytes walk_shortest(walk *w, bytes s, const walk_item *item) {
    for (;; s++) {
        bytes e = walk_try(w, s, item->end + 1);
        if (e || !walk_fits(w, s, item)) return e;
    }
}

static bytes walk_open(walk *w, bytes s, bytes p, ptrdiff_t length) {
    if (w->level >= WALK_CAPTURES) return walk_raise(w);
    w->captures[w->level].at = s;
    w->captures[w->level].length = length;
    w->level++;
    bytes e = walk_try(w, s, p);
    if (!e) w->level--;
    return e;
}

static bytes walk_close(walk *w, bytes s, bytes p) {
    int i = w->level - 1;
    while (i >= 0 && w->captures[i].length != CAPTURE_OPEN) i--;
    if (i < 0) return walk_raise(w);
    w->captures[i].length = s - w->captures[i].at;
    bytes e = walk_try(w, s, p);
    if (!e) w->captures[i].length = CAPTURE_OPEN;
    return e;
}

/* The text of an earlier capture again: its end. */
static bytes walk_again(walk *w, bytes s, int digit) {
    const int i = digit - '1';
    if (i < 0 || i >= w->level || w->captures[i].length == CAPTURE_OPEN) return walk_raise(w);
    const ptrdiff_t length = w->captures[i].length;
    if (length < 0 || w->end - s < length) return NULL;
    walk_spend(w, (size_t)length / 16 + 1);
    return memcmp(w->captures[i].at, s, (size_t)length) == 0 ? s + length : NULL;
}

/* %bxy at p: the end of the balanced text. */
static bytes walk_balance(walk *w, bytes s, bytes p) {
    if (p + 3 >= w->p_end) return walk_raise(w);
    if (s >= w->end || *s != p[2]) return NULL;
    for (size_t open = 1; ++s < w->end && w->state == WALK_GOES_ON;) {
        walk_spend(w, 1);
        if (*s == p[3]) {
            if (--open == 0) return s + 1;
        } else if (*s == p[2])
            open++;
    }
    return NULL;
}

/* %f[set] at p: the end of the set when a border is at s. */
static bytes walk_frontier(walk *w, bytes s, bytes p) {
    if (p[2] != '[') return walk_raise(w);
    bytes end = walk_class_end(w, p + 2);
    if (!end) return NULL;
    walk_spend(w, (size_t)(end - p) / 4 + 1);
    return !walk_set(s == w->begin ? 0 : s[-1], p + 2, end - 1) && walk_set(*s, p + 2, end - 1) ? end : NULL;
}

/* --- Walk --------------------------------------------------------------------------------- */

/* %b, %f, %1 at p: 1 and the places after it, 0 when they do not fit, -1 for another thing. */
static int walk_special(walk *w, bytes *s, bytes *p) {
    bytes e;
    switch ((*p)[1]) {
        case 'b':
            if (!(e = walk_balance(w, *s, *p))) return 0;
            *s = e;
            *p += 4;
            return 1;
        case 'f':
            if (!(e = walk_frontier(w, *s, *p))) return 0;
            *p = e;
            return 1;
        default:
            if (!isdigit((*p)[1])) return -1;
            if (!(e = walk_again(w, *s, (*p)[1]))) return 0;
            *s = e;
            *p += 2;
            return 1;
    }
}

/* A character of the pattern at p: 1 and the places after it, or 0 and the answer of the whole in *e. */
static int walk_single(walk *w, bytes *s, bytes *p, bytes *e) {
    walk_item item = {*p, walk_class_end(w, *p), 0};
    *e = NULL;
    if (!item.end) return 0;
    item.suffix = item.end < w->p_end ? *item.end : 0;
    if (item.suffix == '*' || item.suffix == '-') {
        *e = item.suffix == '*' ? walk_longest(w, *s, &item) : walk_shortest(w, *s, &item);
        return 0;
    }
    const int fits = walk_fits(w, *s, &item);
    if (item.suffix == '?') {
        if (fits && ((*e = walk_try(w, *s + 1, item.end + 1)) != NULL || w->state != WALK_GOES_ON)) return 0;
        *p = item.end + 1;
        return 1;
    }
    if (!fits) return 0;
    if (item.suffix == '+') {
        *e = walk_longest(w, *s + 1, &item);
        return 0;
    }
    ++*s;
    *p = item.end;
    return 1;
}

/* Where the pattern from p on ends when it begins at s, NULL = it does not fit, or the walk is over (state). */
static bytes walk_try(walk *w, bytes s, bytes p) {
    bytes e = NULL;
    if (w->depth-- == 0) return walk_raise(w);
    while (w->state == WALK_GOES_ON) {
        int more = -1;
        if (p == w->p_end) {
            e = s;
            break;
        }
        if (*p == '(') {
            e = p[1] == ')' ? walk_open(w, s, p + 2, CAPTURE_POSITION) : walk_open(w, s, p + 1, CAPTURE_OPEN);
            break;
        }
        if (*p == ')') {
            e = walk_close(w, s, p + 1);
            break;
        }
        if (*p == '$' && p + 1 == w->p_end) {
            e = s == w->end ? s : NULL;
            break;
        }
        if (*p == '%') more = walk_special(w, &s, &p);
        if (more < 0) more = walk_single(w, &s, &p, &e);
        if (!more) break;
    }
    w->depth++;
    return w->state == WALK_GOES_ON ? e : NULL;
}

/* A find without magic: every place where the first byte stands, compared up to the first difference. */
static void walk_plain(walk *w, bytes s, bytes p) {
    const size_t n = (size_t)(w->p_end - p);
    for (; n && (size_t)(w->end - s) >= n && w->state == WALK_GOES_ON; s++) {
        size_t same = 0;
        while (same < n && s[same] == p[same]) {
            if ((++same & 63) == 0) walk_spend(w, 64);
            if (w->state != WALK_GOES_ON) return;
        }
        if (same == n) return;
        walk_spend(w, 1 + (same & 63));
    }
}

int lbezel_pattern_is_late(const lbezel_pattern *job) {
    walk w = {.job = job, .fuel = WALK_FUEL};
    bytes s = (bytes)job->s + job->init, p = (bytes)job->p, last = NULL;
    w.begin = (bytes)job->s;
    w.end = w.begin + job->s_size;
    w.p_end = p + job->p_size;
    if (job->is_plain) {
        walk_plain(&w, s, p);
        return w.state == WALK_LATE;
    }
    const int is_anchored = job->may_anchor && *p == '^' && job->p_size > 0;
    p += is_anchored;
    for (size_t n = 0; n < job->most;) {
        w.level = 0;
        w.depth = WALK_DEPTH;
        bytes e = walk_try(&w, s, p);
        if (w.state != WALK_GOES_ON) break;
        if (e && e != last) {
            n++;
            s = last = e;
        } else if (s++ >= w.end)
            break;
        if (is_anchored) break;
    }
    return w.state == WALK_LATE;
}
