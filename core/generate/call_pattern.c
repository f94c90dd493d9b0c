/* SPDX-License-Identifier: MIT */
/* Position automaton of a regular expression (see call_pattern.h).
 *
 * Every atom of the expression becomes a position with a class of bytes; counted repetition reads its atom again. A class
 * that holds characters beyond ASCII is two positions: one for ASCII and lead bytes, one for continuation bytes that follows
 * itself; which of them make up a character is decided by whoever checks the UTF-8. */
#include "generate/call_pattern.h"

#include <string.h>

enum { PATTERN_LENGTHS = 63, PATTERN_START = 0,
       PATTERN_ANY = 255, PATTERN_POSITIONS = 254, PATTERN_DEPTH = 24, PATTERN_REPEAT = 254,
       PATTERN_STATES = 128, PATTERN_DEAD = 0xFFFF };
_Static_assert(BZ_CALL_PATTERN_FAR > PATTERN_LENGTHS, "what is beyond never limits");

struct bz_call_pattern {
    bz_call_pattern_set class_of[256]; /* positions whose class holds the byte */
    bz_call_pattern_set follow[256];   /* [position] positions that may come next; [0] those that may come first */
    bz_call_pattern_set last;          /* positions (or the start) after which the pattern has matched */
    uint64_t lengths[256];             /* bit k: k code points may follow to a match; bit PATTERN_LENGTHS: as many or more */
    uint32_t n;                        /* positions 1..n */
    int open_start, open_end;          /* no ^, no $ */
    /* The sets that can be reached, when they are few: a set is given out as its number then. */
    uint32_t n_states;                       /* 0: they are many */
    uint8_t byte_class[256];
    uint16_t *next[PATTERN_STATES];          /* [state][class of the byte] */
    uint64_t state_lengths[PATTERN_STATES];  /* as lengths */
};

typedef struct pattern_part { /* of the expression */
    bz_call_pattern_set first, last;
    int nullable;
} pattern_part;

typedef struct pattern_reader {
    bz_call_pattern *p;
    const char *text;
    size_t size, at;
    uint32_t depth;
    const char *reason;
} pattern_reader;

typedef struct pattern_class {
    uint8_t ascii[128];
    int beyond; /* every character beyond ASCII */
} pattern_class;

/* ---- sets ------------------------------------------------------------------------------------------------------------- */

static void pattern_set_add(bz_call_pattern_set *set, uint32_t i)
{
    set->bits[i / 64] |= (uint64_t)1 << (i % 64);
}

static int pattern_set_has(const bz_call_pattern_set *set, uint32_t i)
{
    return (int)(set->bits[i / 64] >> (i % 64) & 1);
}

static void pattern_set_join(bz_call_pattern_set *set, const bz_call_pattern_set *other)
{
    for (int i = 0; i < BZ_CALL_PATTERN_WORDS; i++)
        set->bits[i] |= other->bits[i];
}

static int pattern_set_empty(const bz_call_pattern_set *set)
{
    uint64_t all = 0;
    for (int i = 0; i < BZ_CALL_PATTERN_WORDS; i++)
        all |= set->bits[i];
    return all == 0;
}

static void pattern_follow(bz_call_pattern *p, const bz_call_pattern_set *from, const bz_call_pattern_set *to)
{
    for (uint32_t i = 1; i <= p->n; i++)
        if (pattern_set_has(from, i))
            pattern_set_join(&p->follow[i], to);
}

/* ---- parts ------------------------------------------------------------------------------------------------------------ */

static pattern_part pattern_empty(void)
{
    pattern_part part;
    memset(&part, 0, sizeof part);
    part.nullable = 1;
    return part;
}

static void pattern_append(bz_call_pattern *p, pattern_part *a, const pattern_part *b)
{
    pattern_follow(p, &a->last, &b->first);
    if (a->nullable)
        pattern_set_join(&a->first, &b->first);
    if (!b->nullable)
        memset(&a->last, 0, sizeof a->last);
    pattern_set_join(&a->last, &b->last);
    a->nullable &= b->nullable;
}

static uint32_t pattern_position(pattern_reader *r)
{
    if (r->p->n >= PATTERN_POSITIONS) {
        r->reason = "is too long for constrained text";
        return 0;
    }
    return ++r->p->n;
}

static pattern_part pattern_from_class(pattern_reader *r, const pattern_class *c)
{
    pattern_part part = pattern_empty();
    const uint32_t lead = pattern_position(r), tail = c->beyond ? pattern_position(r) : 0;
    part.nullable = 0;
    if (r->reason != NULL)
        return part;
    for (uint32_t b = 0; b < 128; b++)
        if (c->ascii[b])
            pattern_set_add(&r->p->class_of[b], lead);
    pattern_set_add(&part.first, lead);
    pattern_set_add(&part.last, lead);
    if (!c->beyond)
        return part;
    for (uint32_t b = 0xC2; b <= 0xF4; b++)
        pattern_set_add(&r->p->class_of[b], lead);
    for (uint32_t b = 0x80; b <= 0xBF; b++)
        pattern_set_add(&r->p->class_of[b], tail);
    pattern_set_add(&part.last, tail);
    pattern_set_add(&r->p->follow[lead], tail);
    pattern_set_add(&r->p->follow[tail], tail);
    return part;
}

static pattern_part pattern_from_byte(pattern_reader *r, uint8_t byte)
{
    pattern_part part = pattern_empty();
    const uint32_t i = pattern_position(r);
    part.nullable = 0;
    if (i == 0)
        return part;
    pattern_set_add(&r->p->class_of[byte], i);
    pattern_set_add(&part.first, i);
    pattern_set_add(&part.last, i);
    return part;
}

/* ---- classes ---------------------------------------------------------------------------------------------------------- */

static int pattern_is_word(uint32_t b)
{
    return (b >= '0' && b <= '9') || (b >= 'A' && b <= 'Z') || (b >= 'a' && b <= 'z') || b == '_';
}

/* d, w, s and their capitals, added to c; 0 for another letter. */
static int pattern_class_escape(pattern_class *c, char letter)
{
    const char kind = (char)(letter | 0x20);
    const int negated = letter != kind;
    if (kind != 'd' && kind != 'w' && kind != 's')
        return 0;
    for (uint32_t b = 0; b < 128; b++) {
        const int in = kind == 'd'   ? b >= '0' && b <= '9'
                       : kind == 'w' ? pattern_is_word(b)
                                     : b == ' ' || (b >= '\t' && b <= '\r');
        c->ascii[b] |= (uint8_t)(in != negated);
    }
    c->beyond |= negated;
    return 1;
}

/* The byte that an escape stands for: letters only where they mean a control character; -1 for what is not covered. */
static int pattern_escaped_byte(char letter)
{
    static const char letters[] = "tnrfv", bytes[] = "\t\n\r\f\v";
    const char *found = letter != '\0' ? strchr(letters, letter) : NULL;
    if (found != NULL)
        return bytes[found - letters];
    return (uint8_t)letter < 128 && !pattern_is_word((uint8_t)letter) ? letter : -1;
}

/* One byte of a bracket, or -1. Escaped classes are added to c and give -2. */
static int pattern_bracket_byte(pattern_reader *r, pattern_class *c)
{
    const uint8_t b = (uint8_t)r->text[r->at++];
    if (b >= 128) {
        r->reason = "has a class beyond ASCII";
        return -1;
    }
    if (b != '\\')
        return b;
    if (r->at >= r->size) {
        r->reason = "ends in a backslash";
        return -1;
    }
    const char letter = r->text[r->at++];
    if (pattern_class_escape(c, letter))
        return -2;
    const int byte = pattern_escaped_byte(letter);
    if (byte < 0)
        r->reason = "has an escape that is not covered";
    return byte;
}

static pattern_part pattern_bracket(pattern_reader *r)
{
    pattern_class c;
    memset(&c, 0, sizeof c);
    const int negated = r->at < r->size && r->text[r->at] == '^';
    r->at += (size_t)negated;
    for (int first = 1; r->reason == NULL; first = 0) {
        if (r->at >= r->size) {
            r->reason = "has no end of a class";
            break;
        }
        if (r->text[r->at] == ']' && !first) {
            r->at++;
            break;
        }
        if (r->text[r->at] == '[' && r->at + 1 < r->size && r->text[r->at + 1] == ':') {
            r->reason = "has a named class";
            break;
        }
        const int low = pattern_bracket_byte(r, &c);
        int high = low;
        if (low >= 0 && r->at + 1 < r->size && r->text[r->at] == '-' && r->text[r->at + 1] != ']') {
            r->at++;
            high = pattern_bracket_byte(r, &c);
            if (high < low && r->reason == NULL)
                r->reason = "has a range that is no range";
        }
        for (int b = low; b >= 0 && b <= high; b++)
            c.ascii[b] = 1;
    }
    for (uint32_t b = 0; negated && b < 128; b++)
        c.ascii[b] = !c.ascii[b];
    if (negated)
        c.beyond = !c.beyond;
    return pattern_from_class(r, &c);
}

/* ---- the expression --------------------------------------------------------------------------------------------------- */

static pattern_part pattern_alternatives(pattern_reader *r);

static pattern_part pattern_group(pattern_reader *r)
{
    if (r->at < r->size && r->text[r->at] == '?') {
        if (r->at + 1 >= r->size || r->text[r->at + 1] != ':') {
            r->reason = "has a group that is not covered";
            return pattern_empty();
        }
        r->at += 2;
    }
    if (++r->depth > PATTERN_DEPTH) {
        r->reason = "nests too deep";
        return pattern_empty();
    }
    const pattern_part part = pattern_alternatives(r);
    r->depth--;
    if (r->reason == NULL && (r->at >= r->size || r->text[r->at] != ')'))
        r->reason = "has no end of a group";
    r->at++;
    return part;
}

static pattern_part pattern_atom(pattern_reader *r)
{
    pattern_class c;
    memset(&c, 0, sizeof c);
    const char b = r->text[r->at++];
    if (b == '(')
        return pattern_group(r);
    if (b == '[')
        return pattern_bracket(r);
    if (b == '.') {
        memset(c.ascii, 1, sizeof c.ascii);
        c.ascii['\n'] = 0;
        c.beyond = 1;
        return pattern_from_class(r, &c);
    }
    if (b == '\\' && r->at < r->size) {
        const char letter = r->text[r->at++];
        if (pattern_class_escape(&c, letter))
            return pattern_from_class(r, &c);
        const int byte = pattern_escaped_byte(letter);
        if (byte >= 0)
            return pattern_from_byte(r, (uint8_t)byte);
    }
    if (strchr("\\^$*+?{", b) != NULL) {
        r->reason = b == '^' || b == '$' ? "has an anchor inside" : "has something that is not covered";
        return pattern_empty();
    }
    pattern_part part = pattern_from_byte(r, (uint8_t)b);
    while ((uint8_t)b >= 0xC2 && r->at < r->size && ((uint8_t)r->text[r->at] & 0xC0) == 0x80 && r->reason == NULL) {
        const pattern_part tail = pattern_from_byte(r, (uint8_t)r->text[r->at++]);
        pattern_append(r->p, &part, &tail);
    }
    return part;
}

/* "{2}", "{2,}", "{2,5}": 1 and the numbers (-1 = no end); what is no such thing is a literal brace in some dialects: refused. */
static int pattern_counts(pattern_reader *r, int *low, int *high)
{
    int values[2] = {0, -1}, n = 0;
    for (r->at++; r->at < r->size && r->text[r->at] != '}'; r->at++) {
        const char b = r->text[r->at];
        if (b == ',' && n == 0) {
            n = 1;
        } else if (b >= '0' && b <= '9') {
            values[n] = (values[n] < 0 ? 0 : values[n]) * 10 + (b - '0');
            if (values[n] > PATTERN_REPEAT)
                return 0;
        } else {
            return 0;
        }
    }
    r->at++;
    *low = values[0];
    *high = n == 0 ? values[0] : values[1];
    return r->at <= r->size && (*high < 0 || *high >= *low);
}

static void pattern_loop(bz_call_pattern *p, pattern_part *part)
{
    pattern_follow(p, &part->last, &part->first);
}

/* An atom with what repeats it. */
static pattern_part pattern_repeated(pattern_reader *r)
{
    const size_t begin = r->at;
    pattern_part atom = pattern_atom(r);
    int low = 1, high = 1;
    if (r->reason != NULL || r->at >= r->size)
        return atom;
    const char b = r->text[r->at];
    if (b == '*' || b == '+' || b == '?') {
        low = b == '+';
        high = b == '?' ? 1 : -1;
        r->at++;
    } else if (b == '{') {
        if (!pattern_counts(r, &low, &high)) {
            r->reason = "has a repetition that is not covered";
            return atom;
        }
    } else {
        return atom;
    }
    if (r->at < r->size && r->text[r->at] == '?') /* lazy: the same texts */
        r->at++;
    else if (r->at < r->size && r->text[r->at] == '+') {
        r->reason = "has a possessive repetition";
        return atom;
    }
    if (high == 0)
        return pattern_empty(); /* its positions stay, nothing leads to them */
    const size_t after = r->at;
    pattern_part all = pattern_empty();
    const int copies = high < 0 ? (low > 1 ? low : 1) : high;
    for (int i = 0; i < copies && r->reason == NULL; i++) {
        if (i > 0) {
            r->at = begin;
            atom = pattern_atom(r);
        }
        if (high < 0 && i == copies - 1)
            pattern_loop(r->p, &atom);
        if (i >= low)
            atom.nullable = 1;
        pattern_append(r->p, &all, &atom);
    }
    r->at = after;
    return all;
}

static int pattern_at_end(const pattern_reader *r)
{
    return r->at >= r->size || r->text[r->at] == '|' || r->text[r->at] == ')' ||
           (r->depth == 0 && r->text[r->at] == '$' && (r->at + 1 == r->size || r->text[r->at + 1] == '|'));
}

static pattern_part pattern_sequence(pattern_reader *r)
{
    pattern_part all = pattern_empty();
    while (r->reason == NULL && !pattern_at_end(r)) {
        const pattern_part next = pattern_repeated(r);
        pattern_append(r->p, &all, &next);
    }
    return all;
}

static pattern_part pattern_alternatives(pattern_reader *r)
{
    pattern_part all = pattern_sequence(r);
    while (r->reason == NULL && r->at < r->size && r->text[r->at] == '|') {
        r->at++;
        const pattern_part next = pattern_sequence(r);
        pattern_set_join(&all.first, &next.first);
        pattern_set_join(&all.last, &next.last);
        all.nullable |= next.nullable;
    }
    return all;
}

/* The outermost level, where ^ and $ may stand: all alternatives must agree on them. */
static pattern_part pattern_whole(pattern_reader *r)
{
    pattern_part all = pattern_empty();
    int anchors = -1;
    all.nullable = 0;
    do {
        const int start = r->at < r->size && r->text[r->at] == '^';
        r->at += (size_t)start;
        const pattern_part next = pattern_sequence(r);
        const int end = r->at < r->size && r->text[r->at] == '$';
        r->at += (size_t)end;
        if (anchors >= 0 && anchors != start * 2 + end)
            r->reason = "is anchored in some alternatives only";
        anchors = start * 2 + end;
        pattern_set_join(&all.first, &next.first);
        pattern_set_join(&all.last, &next.last);
        all.nullable |= next.nullable;
    } while (r->reason == NULL && r->at < r->size && r->text[r->at] == '|' && r->at++ < r->size);
    if (r->reason == NULL && r->at < r->size)
        r->reason = "has a bracket too many";
    r->p->open_start = !(anchors & 2);
    r->p->open_end = !(anchors & 1);
    return all;
}

/* One code point more: lengths of PATTERN_LENGTHS and more stay there. */
static uint64_t pattern_longer(uint64_t lengths)
{
    return lengths << 1 | (lengths & (uint64_t)1 << PATTERN_LENGTHS);
}

/* lengths[i]: how many code points may follow position i to a match; a continuation byte costs nothing. */
static void pattern_measure(bz_call_pattern *p)
{
    uint8_t cost[256] = {0};
    for (uint32_t b = 0; b < 256; b++)
        for (uint32_t i = 1; i <= p->n; i++)
            if ((b & 0xC0) != 0x80 && pattern_set_has(&p->class_of[b], i))
                cost[i] = 1;
    for (uint32_t i = 0; i <= p->n; i++)
        p->lengths[i] = !pattern_set_has(&p->last, i) ? 0 : p->open_end ? UINT64_MAX : 1;
    for (int changed = 1; changed;) {
        changed = 0;
        for (uint32_t i = p->n + 1; i-- > 0;) {
            uint64_t all = p->lengths[i];
            for (uint32_t q = 1; q <= p->n; q++)
                if (pattern_set_has(&p->follow[i], q))
                    all |= cost[q] ? pattern_longer(p->lengths[q]) : p->lengths[q];
            if (i == PATTERN_START && p->open_start)
                all |= pattern_longer(all);
            changed |= all != p->lengths[i];
            p->lengths[i] = all;
        }
    }
}

/* ---- states ----------------------------------------------------------------------------------------------------------- */

static void pattern_start(bz_call_pattern_set *out, const bz_call_pattern *p)
{
    memset(out, 0, sizeof *out);
    pattern_set_add(out, PATTERN_START);
    if (p->open_end && pattern_set_has(&p->last, PATTERN_START))
        pattern_set_add(out, PATTERN_ANY);
}

static int pattern_advance(bz_call_pattern_set *set, const bz_call_pattern *p, uint8_t byte)
{
    bz_call_pattern_set next;
    memset(&next, 0, sizeof next);
    if (pattern_set_has(set, PATTERN_ANY))
        return 1;
    for (int word = 0; word < BZ_CALL_PATTERN_WORDS; word++) {
        uint64_t bits = set->bits[word];
        for (uint32_t i = (uint32_t)word * 64; bits != 0; i++, bits >>= 1)
            if (bits & 1)
                pattern_set_join(&next, &p->follow[i]);
    }
    for (int i = 0; i < BZ_CALL_PATTERN_WORDS; i++)
        next.bits[i] &= p->class_of[byte].bits[i];
    if (p->open_start) /* the match may begin at each character */
        pattern_set_add(&next, PATTERN_START);
    if (pattern_set_empty(&next))
        return 0;
    bz_call_pattern_set ends = next;
    for (int i = 0; i < BZ_CALL_PATTERN_WORDS; i++)
        ends.bits[i] &= p->last.bits[i];
    if (p->open_end && !pattern_set_empty(&ends))
        pattern_set_add(&next, PATTERN_ANY);
    *set = next;
    return 1;
}

static uint64_t pattern_lengths(const bz_call_pattern_set *set, const bz_call_pattern *p)
{
    uint64_t all = pattern_set_has(set, PATTERN_ANY) ? UINT64_MAX : 0;
    for (uint32_t word = 0; word < BZ_CALL_PATTERN_WORDS && all != UINT64_MAX; word++)
        for (uint64_t bits = set->bits[word], i = word * 64U; bits != 0; bits >>= 1, i++)
            all |= bits & 1 ? p->lengths[i] : 0;
    return all;
}

/* Numbers the sets that can be reached; 0 without memory. */
static int pattern_count_states(bz_call_pattern *p, bz_arena *arena)
{
    bz_call_pattern_set sets[PATTERN_STATES];
    uint8_t bytes[256]; /* one of each class */
    uint32_t n = 1, n_classes = 0;
    for (uint32_t byte = 0; byte < 256; byte++) {
        uint32_t k = 0;
        while (k < n_classes && memcmp(&p->class_of[bytes[k]], &p->class_of[byte], sizeof *sets) != 0)
            k++;
        if (k == n_classes)
            bytes[n_classes++] = (uint8_t)byte;
        p->byte_class[byte] = (uint8_t)k;
    }
    pattern_start(&sets[0], p);
    for (uint32_t i = 0; i < n; i++) {
        p->state_lengths[i] = pattern_lengths(&sets[i], p);
        p->next[i] = bz_arena_alloc(arena, n_classes * sizeof *p->next[i]);
        if (p->next[i] == NULL)
            return 0;
        for (uint32_t k = 0; k < n_classes; k++) {
            bz_call_pattern_set set = sets[i];
            uint32_t to = 0;
            if (!pattern_advance(&set, p, bytes[k])) {
                p->next[i][k] = PATTERN_DEAD;
                continue;
            }
            while (to < n && memcmp(&sets[to], &set, sizeof set) != 0)
                to++;
            if (to == PATTERN_STATES)
                return 1;
            if (to == n)
                sets[n++] = set;
            p->next[i][k] = (uint16_t)to;
        }
    }
    p->n_states = n;
    return 1;
}

bz_call_pattern *bz_call_pattern_new(bz_arena *arena, const char *pattern, size_t size, const char **out_reason)
{
    *out_reason = NULL;
    bz_call_pattern *p = bz_arena_alloc(arena, sizeof *p);
    if (p == NULL)
        return NULL;
    pattern_reader r = {p, pattern, size, 0, 0, NULL};
    const pattern_part all = pattern_whole(&r);
    if (r.reason != NULL) {
        *out_reason = r.reason;
        return NULL;
    }
    p->follow[PATTERN_START] = all.first;
    p->last = all.last;
    if (all.nullable)
        pattern_set_add(&p->last, PATTERN_START);
    pattern_measure(p);
    if (p->lengths[PATTERN_START] == 0) {
        *out_reason = "matches nothing";
        return NULL;
    }
    return pattern_count_states(p, arena) ? p : NULL;
}

const char *bz_call_pattern_format(const char *format)
{
    static const char *const table[][2] = {
        {"date", "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])$"},
        {"time", "^([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"},
        {"date-time", "^[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]"
                      "(Z|[+-]([01][0-9]|2[0-3]):[0-5][0-9])$"},
        {"uuid", "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"},
        {"ipv4", "^((25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])\\.){3}(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])$"},
        {"email", "^[A-Za-z0-9_+-]+(\\.[A-Za-z0-9_+-]+)*@([A-Za-z0-9]+(-[A-Za-z0-9]+)*\\.)+[A-Za-z]{2,12}$"},
    };
    for (size_t i = 0; format != NULL && i < sizeof table / sizeof *table; i++)
        if (strcmp(format, table[i][0]) == 0)
            return table[i][1];
    return NULL;
}

/* ---- running ---------------------------------------------------------------------------------------------------------- */

void bz_call_pattern_start(bz_call_pattern_set *out, const bz_call_pattern *p)
{
    if (p->n_states == 0)
        pattern_start(out, p);
    else
        memset(out, 0, sizeof *out);
}

int bz_call_pattern_step(bz_call_pattern_set *set, const bz_call_pattern *p, uint8_t byte)
{
    if (p->n_states == 0)
        return pattern_advance(set, p, byte);
    const uint16_t to = p->next[set->bits[0]][p->byte_class[byte]];
    set->bits[0] = to;
    return to != PATTERN_DEAD;
}

static uint64_t pattern_ways(const bz_call_pattern_set *set, const bz_call_pattern *p)
{
    return p->n_states == 0 ? pattern_lengths(set, p) : p->state_lengths[set->bits[0]];
}

int bz_call_pattern_allows(bz_call_pattern_set *set, const bz_call_pattern *p, uint8_t byte, uint32_t missing, uint32_t room)
{
    return bz_call_pattern_step(set, p, byte) && bz_call_pattern_needs(set, p, missing) <= room;
}

int bz_call_pattern_accepts(const bz_call_pattern_set *set, const bz_call_pattern *p)
{
    return (int)(pattern_ways(set, p) & 1);
}

uint32_t bz_call_pattern_needs(const bz_call_pattern_set *set, const bz_call_pattern *p, uint32_t low)
{
    const uint64_t lengths = pattern_ways(set, p);
    for (uint32_t k = low; k < PATTERN_LENGTHS; k++)
        if (lengths >> k & 1)
            return k;
    return !(lengths >> PATTERN_LENGTHS & 1) ? UINT32_MAX : low > PATTERN_LENGTHS ? low : PATTERN_LENGTHS;
}

int bz_call_pattern_goes_on(const bz_call_pattern *p)
{
    for (uint32_t i = 0; !p->open_end && i <= p->n; i++)
        if (pattern_set_has(&p->last, i) && pattern_set_empty(&p->follow[i]))
            return 0;
    return 1;
}
