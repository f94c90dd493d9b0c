/* SPDX-License-Identifier: MIT */
/* Words, patterns and a judge over a text that comes in pieces. Invariant: what was given out cannot become part of a match by
 * anything that comes later; the verdict does not depend on how the text was cut. A search that fails counts as found. */
#include "guard_impl.h"

#include "guard_fold.h"

#include "base/alloc.h"
#include "base/options.h"
#include "base/utf8.h"

#include <string.h>

#define FILTER_STEPS 1000000u /* of all patterns on one piece: some 20 ms */

static const char *const default_words[] = {"violence", "hate", "illegal", "harmful"};

/* --- Making ------------------------------------------------------------------------------- */

/* Appends the folded text; at, when given, takes for each of its bytes the place of the character it came from. */
static void fold_text(bz_strbuf *to, const char *text, size_t size)
{
    char folded[BZ_FOLD_MAX];
    for (size_t i = 0; i < size;) {
        uint32_t cp = 0xfffd;
        size_t n = bz_utf8_decode(&cp, text + i, size - i);
        bz_strbuf_add(to, folded, bz_fold_char(folded, n ? cp : 0xfffd));
        i += n ? n : 1;
    }
}

static void filter_add_word(bz_strbuf *pattern, const char *word)
{
    const size_t from = pattern->size;
    bz_strbuf folded;
    bz_strbuf_init(&folded, pattern->world, 0);
    fold_text(&folded, word, strlen(word));
    for (size_t i = 0; i < folded.size; i++) {
        const unsigned char c = (unsigned char)folded.data[i];
        if (c == ' ' || c == '\t' || c == '\n' || c == '\r') { /* any white space, as people write it */
            bz_strbuf_text(pattern, "\\s+");
            continue;
        }
        if (c < 0x80 && !(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9'))
            bz_strbuf_char(pattern, '\\');
        bz_strbuf_char(pattern, (char)c);
    }
    if (folded.status != BEZEL_OK)
        pattern->status = folded.status;
    if (pattern->size > from)
        bz_strbuf_char(pattern, '|');
    bz_strbuf_free(&folded);
}

static bezel_status filter_open_words(bezel_guard *g, const char *const *words, uint32_t n_words, bezel_error *err)
{
    bz_strbuf pattern;
    bezel_status st = BEZEL_OK;
    bz_strbuf_init(&pattern, g->world, 0);
    bz_strbuf_text(&pattern, "(?<![\\p{L}\\p{N}])(?:");
    for (uint32_t i = 0; st == BEZEL_OK && i < n_words; i++) {
        const size_t before = pattern.size;
        if (words[i] == NULL)
            st = bz_fail(err, BEZEL_ERR_ARGUMENT, "guard", "word %u is NULL", i + 1);
        else
            filter_add_word(&pattern, words[i]);
        if (st == BEZEL_OK && pattern.status == BEZEL_OK && pattern.size == before)
            st = bz_fail(err, BEZEL_ERR_RANGE, "guard", "word %u is empty", i + 1);
    }
    if (st == BEZEL_OK && pattern.status == BEZEL_OK) {
        bz_strbuf_cut(&pattern, pattern.size - 1);
        bz_strbuf_char(&pattern, ')');
        bezel_guard_pattern rule = {"word", bz_strbuf_cstr(&pattern)};
        st = bz_guard_add_pattern(g, g->forbid, &rule, err);
        g->has_words = 1;
    } else if (st == BEZEL_OK) {
        st = bz_fail_memory(err, "guard", "words", pattern.size);
    }
    bz_strbuf_free(&pattern);
    return st;
}

bezel_status bz_guard_filter_open(bezel_guard *g, const bezel_guard_options *options, bezel_error *err)
{
    const int own = options->words != NULL;
    const uint32_t n_words = own ? options->n_words : sizeof default_words / sizeof *default_words;
    bezel_status st = bz_patterns_new(&g->forbid, g->world, BZ_GUARD_MAX_PATTERNS);
    if (st != BEZEL_OK)
        return bz_fail_memory(err, "guard", "patterns", 0);
    if (n_words)
        st = filter_open_words(g, own ? options->words : default_words, n_words, err);
    for (uint32_t i = 0; st == BEZEL_OK && i < options->n_patterns; i++)
        st = bz_guard_add_pattern(g, g->forbid, &options->patterns[i], err);
    return st;
}

bezel_status bezel_guard_fold(char **out, size_t *out_size, const bezel_guard *guard, const char *text, size_t size,
                              bezel_error *err)
{
    bz_strbuf folded;
    size_t n = size == SIZE_MAX ? strlen(text) : size;
    bz_strbuf_init(&folded, guard->world, 0);
    fold_text(&folded, text, n);
    bz_strbuf_add(&folded, "", 0);
    if (folded.status == BEZEL_OK && folded.data == NULL)
        bz_strbuf_char(&folded, 0), bz_strbuf_cut(&folded, 0);
    *out = bz_strbuf_take(&folded, out_size);
    return *out != NULL ? BEZEL_OK : bz_fail_memory(err, "guard", "a folded text", n);
}

/* --- A stream ----------------------------------------------------------------------------- */

struct bezel_guard_stream {
    bezel_guard *guard;
    uint32_t direction;
    bezel_status status; /* what further calls give */
    bezel_error error;
    bz_strbuf raw;    /* all of the text */
    bz_strbuf folded; /* of raw up to n_folded */
    uint32_t *places; /* [folded.size] byte of raw where the character of this byte begins */
    size_t places_capacity;
    size_t n_folded, n_given; /* bytes of raw */
    size_t from[BZ_GUARD_MAX_PATTERNS]; /* bytes of folded: where the search of a pattern goes on */
    int ended;
    bezel_verdict verdict;
};

bezel_status bezel_guard_stream_new(bezel_guard_stream **out, bezel_guard *guard, uint32_t direction, bezel_error *err)
{
    bezel_guard_stream *s = bz_zalloc(guard->world, sizeof *s);
    *out = s;
    if (s == NULL)
        return bz_fail_memory(err, "guard", "a stream", sizeof *s);
    s->guard = guard;
    s->direction = direction;
    s->verdict.size = sizeof s->verdict;
    s->verdict.allowed = 1;
    bz_strbuf_init(&s->raw, guard->world, BZ_GUARD_MAX_ANSWER);
    bz_strbuf_init(&s->folded, guard->world, 0);
    return BEZEL_OK;
}

void bezel_guard_stream_free(bezel_guard_stream *s)
{
    if (s == NULL)
        return;
    const bezel_world *w = s->guard->world;
    bz_strbuf_free(&s->raw);
    bz_strbuf_free(&s->folded);
    bz_free(w, s->places);
    bz_free(w, s);
}

/* Folds what is whole of the text behind n_folded. */
static bezel_status stream_fold(bezel_guard_stream *s)
{
    const size_t whole = s->ended ? s->raw.size : s->raw.size - bz_utf8_incomplete_tail(s->raw.data, s->raw.size);
    char folded[BZ_FOLD_MAX];
    while (s->n_folded < whole) {
        uint32_t cp = 0xfffd;
        const size_t n = bz_utf8_decode(&cp, s->raw.data + s->n_folded, whole - s->n_folded);
        const size_t size = bz_fold_char(folded, n ? cp : 0xfffd), before = s->folded.size;
        if (before + size > s->places_capacity) {
            const size_t capacity = 2 * s->places_capacity + BZ_FOLD_MAX;
            uint32_t *places = bz_realloc(s->guard->world, s->places, capacity * sizeof *places);
            if (places == NULL)
                return BEZEL_ERR_MEMORY;
            s->places = places;
            s->places_capacity = capacity;
        }
        bz_strbuf_add(&s->folded, folded, size);
        for (size_t i = 0; i < size; i++)
            s->places[before + i] = (uint32_t)s->n_folded;
        s->n_folded += n ? n : 1;
    }
    return s->folded.status;
}

static bezel_status stream_found(bezel_guard_stream *s, const char *rule, size_t begin, size_t end)
{
    bezel_guard *g = s->guard;
    s->verdict.allowed = 0;
    s->verdict.rule = rule;
    if (end > begin) {
        s->verdict.offset = s->places[begin];
        s->verdict.length = (end < s->folded.size ? s->places[end] : s->n_folded) - s->verdict.offset;
        bz_text_clean(g->detail, sizeof g->detail, s->folded.data + begin, end - begin);
        s->verdict.detail = g->detail;
    }
    s->status = bz_fail(&s->error, BEZEL_ERR_DENIED, "guard", "the %s is not allowed (%s)",
                        s->direction == BEZEL_GUARD_OUTPUT ? "answer" : "text", rule);
    return s->status;
}

/* Searches behind what each pattern has seen; *hold takes the first byte of folded that may become part of a match. */
static bezel_status stream_search(bezel_guard_stream *s, size_t *hold)
{
    const bezel_guard *g = s->guard;
    bz_pattern_search search = {.text = bz_strbuf_cstr(&s->folded), .size = s->folded.size, .more = !s->ended, .steps = FILTER_STEPS};
    *hold = s->folded.size;
    for (uint32_t i = 0; i < bz_patterns_count(g->forbid); i++) {
        const char *name = g->names[g->n_remove + i];
        search.from = s->from[i];
        int rc = bz_pattern_match(g->forbid, i, &search);
        if (rc == BZ_PATTERN_FOUND)
            return stream_found(s, name, search.begin, search.end);
        if (rc == BZ_PATTERN_SLOW)
            return stream_found(s, "limit", 0, 0);
        if (rc == BZ_PATTERN_MEMORY)
            return BEZEL_ERR_MEMORY;
        s->from[i] = rc == BZ_PATTERN_OPEN ? search.begin : s->folded.size;
        if (s->from[i] < *hold)
            *hold = s->from[i];
    }
    return BEZEL_OK;
}

static bezel_status stream_judge(bezel_guard_stream *s)
{
    bezel_guard *g = s->guard;
    const char *reason = NULL;
    int32_t allowed = g->options.judge(g->options.judge_ud, s->direction, bz_strbuf_cstr(&s->raw), s->raw.size, &reason);
    if (allowed > 0)
        return BEZEL_OK;
    bezel_status st = stream_found(s, "judge", 0, 0);
    if (reason != NULL) {
        bz_text_clean(g->detail, sizeof g->detail, reason, strlen(reason));
        s->verdict.detail = g->detail;
    }
    return st;
}

/* Looks at the text with what has been added; *give takes the bytes of raw that may go out. */
static bezel_status stream_look(bezel_guard_stream *s, size_t *give)
{
    const bezel_guard *g = s->guard;
    size_t hold = 0;
    bezel_status st = s->raw.status == BEZEL_OK ? stream_fold(s) : s->raw.status;
    if (st == BEZEL_OK)
        st = stream_search(s, &hold);
    if (st != BEZEL_OK)
        return st;
    *give = hold < s->folded.size ? s->places[hold] : s->n_folded;
    if (s->n_folded - *give > g->options.max_held)
        return stream_found(s, "limit", 0, 0);
    if (g->options.judge != NULL && !s->ended)
        *give = s->n_given;
    else if (g->options.judge != NULL)
        return stream_judge(s);
    return BEZEL_OK;
}

bezel_status bezel_guard_stream_add(const char **out, size_t *out_size, bezel_guard_stream *s, const char *text, size_t size,
                                    int32_t end, bezel_error *err)
{
    size_t give = 0;
    *out = "";
    *out_size = 0;
    if (s->status != BEZEL_OK)
        return bz_error_copy(err, &s->error);
    if (s->ended)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, "guard", "the text has ended already");
    bz_strbuf_add(&s->raw, text, size == SIZE_MAX ? strlen(text) : size);
    s->ended = end != 0;
    bezel_status st = stream_look(s, &give);
    if (st == BEZEL_OK && give > s->n_given) {
        *out = s->raw.data + s->n_given;
        *out_size = give - s->n_given;
        s->n_given = give;
    }
    if (st == BEZEL_OK)
        return BEZEL_OK;
    if (s->status == BEZEL_OK) { /* not one that stream_found has told */
        s->status = st;
        s->verdict.allowed = 0;
        s->verdict.rule = "limit";
        if (st == BEZEL_ERR_LIMIT)
            bz_fail(&s->error, st, "guard", "the answer has over %d bytes", BZ_GUARD_MAX_ANSWER);
        else
            bz_fail_memory(&s->error, "guard", "an answer", s->raw.size);
    }
    return bz_error_copy(err, &s->error);
}

void bezel_guard_stream_verdict(bezel_verdict *out, const bezel_guard_stream *s)
{
    if (out != NULL && bz_struct_sized(out))
        bz_struct_give(out, &s->verdict, sizeof s->verdict);
}

bezel_status bezel_guard_check(bezel_verdict *out, bezel_guard *guard, uint32_t direction, const char *text, size_t size,
                               bezel_error *err)
{
    bezel_guard_stream *s = NULL;
    const char *given;
    size_t given_size;
    bezel_status st = bezel_guard_stream_new(&s, guard, direction, err);
    if (st != BEZEL_OK) {
        const bezel_verdict none = {.size = sizeof none, .rule = "limit"};
        if (out != NULL && bz_struct_sized(out))
            bz_struct_give(out, &none, sizeof none);
        return st;
    }
    st = bezel_guard_stream_add(&given, &given_size, s, text, size, 1, err);
    bezel_guard_stream_verdict(out, s);
    bezel_guard_stream_free(s);
    return st;
}
