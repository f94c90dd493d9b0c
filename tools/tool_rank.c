/* SPDX-License-Identifier: MIT */
/* Which tools of a set fit a text: BM25 over the words of name, description, parameters and enum values. Words are runs of
 * letters, digits and bytes above ASCII, cut where case changes, without case and English endings; a word of the name counts
 * like three. No state: a set of a thousand tools is walked once a question. */
#include "tool_registry.h"

#include <bezel/engine.h>

#include <math.h>
#include <string.h>

#include "base/alloc.h"

#define ORIGIN "tools"
#define WORD_BYTES 32u
#define QUERY_WORDS 64u
#define K1 1.2 /* how soon another occurrence stops to matter, and how much long texts lose: the usual values */
#define B 0.75
enum { WEIGHT_NAME = 3, WEIGHT_TEXT = 1, SCHEMA_DEPTH = 8 };

typedef struct rank_words {
    char words[QUERY_WORDS][WORD_BYTES];
    size_t count;
} rank_words;

typedef struct rank_row {
    uint32_t counts[QUERY_WORDS]; /* weighted occurrences of each word of the query */
    uint32_t length;              /* weighted words */
    double score;
} rank_row;

typedef struct rank_scan {
    const rank_words *query;
    rank_row *row;
    uint32_t weight;
} rank_scan;

/* --- Words -------------------------------------------------------------------------------- */

static int rank_is_upper(char c)
{
    return c >= 'A' && c <= 'Z';
}

static int rank_is_word(char c)
{
    return (c >= 'a' && c <= 'z') || rank_is_upper(c) || (c >= '0' && c <= '9') || (unsigned char)c >= 0x80;
}

static int rank_ends(const char *word, size_t n, const char *end)
{
    size_t m = strlen(end);
    return n >= m + 3 && memcmp(word + n - m, end, m) == 0;
}

/* Takes an ending off, so that "forecasts", "forecasting" and "forecast" are one word. */
static size_t rank_stem(char *word, size_t n)
{
    if (rank_ends(word, n, "ies"))
        n -= 2, word[n - 1] = 'y';
    else if (rank_ends(word, n, "ing"))
        n -= 3;
    else if (rank_ends(word, n, "ed") || (rank_ends(word, n, "es") && word[n - 3] != 'c' && word[n - 3] != 't'))
        n -= 2;
    else if (rank_ends(word, n, "s") && word[n - 2] != 's')
        n -= 1;
    if (n > 3 && word[n - 1] == 'e')
        n -= 1;
    if (n > 3 && word[n - 1] == word[n - 2] && (word[n - 1] != 'l' && word[n - 1] != 's'))
        n -= 1; /* planning, plan */
    word[n] = '\0';
    return n;
}

/* Words that every question and description has. */
static int rank_is_common(const char *word)
{
    static const char *const common[] = {"a",  "an", "and", "are", "at", "be",  "by",  "can",  "do",   "for",  "from",  "get",
                                         "how", "i",  "in",  "is",  "it", "me",  "my",  "of",   "on",   "or",   "pleas", "set",
                                         "the", "thi", "to",  "use", "that", "want", "what", "with", "will", "would", "you", "your",
                                         "there", NULL}; /* in their short form */
    for (size_t i = 0; common[i] != NULL; i++)
        if (strcmp(word, common[i]) == 0)
            return 1;
    return 0;
}

/* The next word of s[*at, n) in its short form; 0 when there is none. */
static int rank_next(char word[WORD_BYTES], const char *s, size_t n, size_t *at)
{
    size_t i = *at, size = 0;
    while (i < n && !rank_is_word(s[i]))
        i++;
    if (i == n)
        return 0;
    for (size_t begin = i; i < n && rank_is_word(s[i]); i++) {
        if (i > begin && rank_is_upper(s[i]) && !rank_is_upper(s[i - 1]))
            break; /* getWeather */
        if (size + 1 < WORD_BYTES)
            word[size++] = rank_is_upper(s[i]) ? (char)(s[i] + 32) : s[i];
    }
    word[size] = '\0';
    rank_stem(word, size);
    *at = i;
    return 1;
}

static void rank_read_query(rank_words *out, const char *text)
{
    char word[WORD_BYTES];
    size_t at = 0, n = strlen(text);
    out->count = 0;
    while (out->count < QUERY_WORDS && rank_next(word, text, n, &at)) {
        size_t k = 0;
        while (k < out->count && strcmp(out->words[k], word) != 0)
            k++;
        if (k == out->count && !rank_is_common(word))
            memcpy(out->words[out->count++], word, WORD_BYTES);
    }
}

/* --- Tools -------------------------------------------------------------------------------- */

static void rank_count_text(const rank_scan *scan, const char *text, size_t n)
{
    char word[WORD_BYTES];
    size_t at = 0;
    while (text != NULL && rank_next(word, text, n, &at)) {
        if (rank_is_common(word))
            continue;
        scan->row->length += scan->weight;
        for (size_t k = 0; k < scan->query->count; k++)
            if (strcmp(scan->query->words[k], word) == 0)
                scan->row->counts[k] += scan->weight;
    }
}

/* Names, descriptions and values of a schema; keywords themselves do not count. */
static void rank_count_schema(const rank_scan *scan, const bezel_value *schema, int depth)
{
    size_t n = 0;
    if (bezel_value_type(schema) != BEZEL_MAP || depth == SCHEMA_DEPTH)
        return;
    const bezel_value *description = bezel_value_get(schema, "description"), *values = bezel_value_get(schema, "enum");
    const bezel_value *properties = bezel_value_get(schema, "properties");
    const char *text = bezel_value_type(description) == BEZEL_TEXT ? bezel_value_text(description, &n) : NULL;
    rank_count_text(scan, text, n);
    for (size_t i = 0; bezel_value_type(values) == BEZEL_LIST && i < bezel_value_count(values); i++) {
        const bezel_value *v = bezel_value_at(values, i);
        text = bezel_value_type(v) == BEZEL_TEXT ? bezel_value_text(v, &n) : NULL;
        rank_count_text(scan, text, n);
    }
    for (size_t i = 0; bezel_value_type(properties) == BEZEL_MAP && i < bezel_value_count(properties); i++) {
        text = bezel_value_key(properties, i, &n);
        rank_count_text(scan, text, n);
        rank_count_schema(scan, bezel_value_at(properties, i), depth + 1);
    }
    rank_count_schema(scan, bezel_value_get(schema, "items"), depth + 1);
}

static void rank_count_tool(rank_row *row, const rank_words *query, const bz_tool *tool)
{
    rank_scan scan = {query, row, WEIGHT_NAME};
    rank_count_text(&scan, tool->name, strlen(tool->name));
    scan.weight = WEIGHT_TEXT;
    rank_count_text(&scan, tool->description, strlen(tool->description));
    rank_count_schema(&scan, tool->parameters, 0);
}

static void rank_score(rank_row *rows, size_t n, const rank_words *query)
{
    double mean = 0;
    for (size_t i = 0; i < n; i++)
        mean += rows[i].length / (double)n;
    for (size_t k = 0; k < query->count; k++) {
        size_t with = 0;
        for (size_t i = 0; i < n; i++)
            with += rows[i].counts[k] > 0;
        double idf = log(1 + ((double)(n - with) + 0.5) / ((double)with + 0.5));
        for (size_t i = 0; i < n; i++) {
            double count = rows[i].counts[k], norm = 1 - B + B * rows[i].length / (mean > 0 ? mean : 1);
            rows[i].score += idf * count * (K1 + 1) / (count + K1 * norm);
        }
    }
}

bezel_status bezel_toolset_rank(uint32_t *out, double *out_scores, size_t *out_count, const bezel_toolset *tools,
                                const char *text, size_t k, bezel_error *err)
{
    rank_words query;
    if (out_count != NULL)
        *out_count = 0;
    if (out_count == NULL || (out == NULL && k > 0) || tools == NULL || text == NULL)
        return bz_fail(err, BEZEL_ERR_ARGUMENT, ORIGIN, "out, out_count, tools or text is NULL");
    rank_row *rows = bz_zalloc_array(tools->world, tools->count + 1, sizeof *rows);
    if (rows == NULL)
        return bz_fail_memory(err, ORIGIN, "a list of tools", (tools->count + 1) * sizeof *rows);
    rank_read_query(&query, text);
    for (size_t i = 0; i < tools->count; i++)
        rank_count_tool(&rows[i], &query, &tools->tools[i]);
    rank_score(rows, tools->count, &query);
    for (size_t n = 0; n < k; n++) { /* k is small */
        size_t best = tools->count;
        for (size_t i = 0; i < tools->count; i++)
            if (rows[i].score > 0 && (best == tools->count || rows[i].score > rows[best].score))
                best = i; /* of equals the first */
        if (best == tools->count)
            break;
        out[n] = (uint32_t)best;
        if (out_scores != NULL)
            out_scores[n] = rows[best].score;
        rows[best].score = 0;
        *out_count = n + 1;
    }
    bz_free(tools->world, rows);
    return BEZEL_OK;
}
