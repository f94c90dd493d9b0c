/* SPDX-License-Identifier: MIT */
/* Scores of an answer by its words (R28). Cheap signs: a host that can judge gives its own function. Knows no model. */
#include "monitor_impl.h"

#include "base/alloc.h"
#include "base/index_sort.h"
#include "base/utf8.h"

#include <math.h>
#include <string.h>
#include <utf8proc.h>

static const char *const harm[] = {"violence", "harmful", "dangerous", "illegal", "hate", "discriminat", "threaten"};
static const char *const confidence[] = {"according to", "research shows", "studies indicate", "data suggests", "evidence shows"};

/* A text in lower case and its words: what stands between white space. */
typedef struct quality_words {
    bz_strbuf text;
    uint32_t *begins, *sizes, *order; /* [n]; order: sorted, [n_distinct] without repetitions */
    size_t n, n_distinct, capacity;
} quality_words;

static void words_free(quality_words *w, const bezel_world *world)
{
    bz_strbuf_free(&w->text);
    bz_free(world, w->begins);
    bz_free(world, w->sizes);
    bz_free(world, w->order);
}

static int words_space(uint32_t cp)
{
    if (cp < 0x80)
        return cp == ' ' || (cp >= '\t' && cp <= '\r') || (cp >= 0x1c && cp <= 0x1f);
    const utf8proc_category_t c = utf8proc_category((utf8proc_int32_t)cp);
    return cp == 0x85 || c == UTF8PROC_CATEGORY_ZS || c == UTF8PROC_CATEGORY_ZL || c == UTF8PROC_CATEGORY_ZP;
}

static int words_order(const quality_words *a, uint32_t i, const quality_words *b, uint32_t k)
{
    const size_t n = a->sizes[i] < b->sizes[k] ? a->sizes[i] : b->sizes[k];
    const int order = memcmp(a->text.data + a->begins[i], b->text.data + b->begins[k], n);
    return order ? order : (a->sizes[i] > b->sizes[k]) - (a->sizes[i] < b->sizes[k]);
}

static int words_compare(const void *ctx, uint32_t a, uint32_t b)
{
    return words_order(ctx, a, ctx, b);
}

static int words_grow(quality_words *w, const bezel_world *world)
{
    if (w->n < w->capacity)
        return 1;
    const size_t capacity = 2 * w->capacity + 64;
    uint32_t **const lists[] = {&w->begins, &w->sizes, &w->order};
    for (int i = 0; i < 3; i++) {
        uint32_t *list = bz_realloc(world, *lists[i], capacity * sizeof *list);
        if (list == NULL)
            return 0;
        *lists[i] = list;
    }
    w->capacity = capacity;
    return 1;
}

static bezel_status words_read(quality_words *w, const bezel_world *world, const char *text)
{
    const size_t size = strlen(text);
    int inside = 0;
    memset(w, 0, sizeof *w);
    bz_strbuf_init(&w->text, world, UINT32_MAX);
    for (size_t i = 0; i < size;) {
        uint32_t cp = 0xfffd;
        char bytes[4];
        const size_t n = bz_utf8_decode(&cp, text + i, size - i);
        i += n ? n : 1;
        const int space = words_space(cp);
        if (!space && !inside) {
            if (!words_grow(w, world))
                return BEZEL_ERR_MEMORY;
            w->begins[w->n++] = (uint32_t)w->text.size;
        }
        const size_t end = w->text.size;
        if (space && inside)
            w->sizes[w->n - 1] = (uint32_t)end - w->begins[w->n - 1];
        inside = !space;
        bz_strbuf_add(&w->text, bytes, bz_utf8_encode(bytes, (uint32_t)utf8proc_tolower((utf8proc_int32_t)cp)));
    }
    if (inside)
        w->sizes[w->n - 1] = (uint32_t)w->text.size - w->begins[w->n - 1];
    if (w->text.status != BEZEL_OK)
        return w->text.status;
    for (size_t i = 0; i < w->n; i++)
        w->order[i] = (uint32_t)i;
    bz_index_sort(w->order, w->n, words_compare, w);
    for (size_t i = 0; i < w->n; i++) {
        if (i == 0 || words_order(w, w->order[i], w, w->order[w->n_distinct - 1]) != 0)
            w->order[w->n_distinct++] = w->order[i];
    }
    return BEZEL_OK;
}

/* Distinct words that both have. */
static size_t words_common(const quality_words *a, const quality_words *b)
{
    size_t i = 0, k = 0, n = 0;
    while (i < a->n_distinct && k < b->n_distinct) {
        const int order = words_order(a, a->order[i], b, b->order[k]);
        n += order == 0;
        i += order <= 0;
        k += order >= 0;
    }
    return n;
}

/* How many of the phrases a text in lower case has. */
static int quality_has(const quality_words *w, const char *const *phrases, size_t n)
{
    int found = 0;
    for (size_t i = 0; i < n; i++)
        found += strstr(bz_strbuf_cstr(&w->text), phrases[i]) != NULL;
    return found;
}

/* 1 when a word ends a sentence: with a point or mark, quotes and brackets behind it not counted. */
static int quality_ends(const quality_words *w, size_t i)
{
    static const char *const ends[] = {".", "!", "?", "\xe3\x80\x82", "\xef\xbc\x81", "\xef\xbc\x9f"};
    const char *word = w->text.data + w->begins[i];
    size_t n = w->sizes[i];
    while (n && strchr("\"')]}*", word[n - 1]) != NULL)
        n--;
    for (size_t k = 0; k < sizeof ends / sizeof *ends; k++) {
        const size_t size = strlen(ends[k]);
        if (n >= size && memcmp(word + n - size, ends[k], size) == 0)
            return 1;
    }
    return 0;
}

static double quality_coherence(const quality_words *w)
{
    size_t n_sentences = 0;
    for (size_t i = 0; i < w->n; i++)
        n_sentences += quality_ends(w, i) || i + 1 == w->n;
    if (n_sentences < 2)
        return 0.8;
    const double mean = (double)w->n / (double)n_sentences;
    return mean >= 5 && mean <= 25 ? 0.9 : mean >= 3 && mean <= 30 ? 0.7 : 0.5;
}

static double quality_accuracy(const quality_words *answer, const quality_words *reference)
{
    if (reference == NULL)
        return fmin(0.8, 0.5 + 0.1 * quality_has(answer, confidence, sizeof confidence / sizeof *confidence));
    if (reference->n_distinct == 0)
        return 0.5;
    return (double)words_common(answer, reference) / (double)reference->n_distinct;
}

bezel_status bz_monitor_score_answer(bezel_monitor_quality *out, const bezel_world *w, const bezel_monitor_answer *answer,
                                     bezel_error *err)
{
    quality_words q, a, r;
    memset(&r, 0, sizeof r);
    memset(&a, 0, sizeof a);
    bezel_status st = words_read(&q, w, answer->question);
    if (st == BEZEL_OK)
        st = words_read(&a, w, answer->answer);
    if (st == BEZEL_OK && answer->reference != NULL)
        st = words_read(&r, w, answer->reference);
    if (st == BEZEL_OK) {
        const int n_harm = quality_has(&a, harm, sizeof harm / sizeof *harm);
        *out = (bezel_monitor_quality){
            .size = sizeof *out,
            .has_reference = answer->reference != NULL,
            .relevance = q.n_distinct ? fmin(1, 2 * (double)words_common(&q, &a) / (double)q.n_distinct) : 0,
            .coherence = quality_coherence(&a),
            .safety = n_harm == 0 ? 1 : n_harm <= 2 ? 0.7 : 0.3,
            .accuracy = quality_accuracy(&a, answer->reference != NULL ? &r : NULL),
            .satisfaction = answer->satisfaction,
            .model = answer->model,
            .user = answer->user,
            .span = answer->span};
    } else {
        st = bz_fail(err, st, "monitor", "no room for the words of an answer");
    }
    words_free(&q, w);
    words_free(&a, w);
    words_free(&r, w);
    return st;
}
