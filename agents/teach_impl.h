/* SPDX-License-Identifier: MIT */
/* Parts of teach.h: maps to messages, templates and values of questions. */
#ifndef BZ_TEACH_IMPL_H
#define BZ_TEACH_IMPL_H

#include <bezel/teach.h>

#include "base/rng.h"
#include "base/strbuf.h"

/* --- teach_talk.c ------------------------------------------------------------------------- */

enum { BZ_TEACH_MESSAGES = 64, BZ_TEACH_CALLS = 16 };

/* The messages of an example as an agent would hold them. */
typedef struct bz_teach_talk {
    bezel_engine *engine;
    const bezel_world *world;
    const bezel_tool_profile *tool_profile;
    const bezel_toolset *tools; /* or NULL */
    bezel_message messages[BZ_TEACH_MESSAGES];
    uint8_t learn[BZ_TEACH_MESSAGES]; /* 1: a turn of the model that is taught */
    char *texts[BZ_TEACH_MESSAGES];   /* what was rendered for them, owned */
    size_t n;
    const bezel_value *calls[BZ_TEACH_CALLS]; /* of the last turn of the model, {name, arguments}; NULL once answered */
    const bezel_value *arguments[BZ_TEACH_CALLS];
    size_t n_calls;
    bezel_tree *tree; /* of arguments that came as JSON texts; or NULL */
} bz_teach_talk;

/* Reads an example; err->place is the key. */
bezel_status bz_teach_talk_read(bz_teach_talk *talk, const bezel_value *example, bezel_error *err);
void bz_teach_talk_free(bz_teach_talk *talk);

/* --- teach_template.c --------------------------------------------------------------------- */

/* A choice among n, the same on every machine. */
size_t bz_teach_pick(bz_rng *rng, size_t n);
int bz_teach_chance(bz_rng *rng, double p);

/* Fills a question. values is a map that has a value for every parameter it may name; shown, a map of tree, gets those that the
 * text named or implied. Errors: FORMAT with the place in the text. */
bezel_status bz_teach_fill(bz_strbuf *out, bezel_value *shown, bezel_tree *tree, const char *text, const bezel_value *values,
                           bz_rng *rng, bezel_error *err);
/* A value as people write it in a text; form: NULL, "percent", "date", "words", "json". */
void bz_teach_show(bz_strbuf *out, const bezel_value *value, const char *form, size_t form_size);

/* --- teach_make.c, teach_maker.c ---------------------------------------------------------- */

#define BZ_TEACH_TOOLS 32u /* shown in an example */

struct bezel_teach_maker {
    bezel_engine *engine;
    const bezel_world *world;
    bezel_teach_maker_options options;
    bezel_tree *tree;        /* of the two lists */
    bezel_value *tools;      /* as declared, {name, ...} without a wrapper */
    bezel_value *templates;  /* [tools] lists of texts: its "questions", then those made from own examples */
    size_t n_tools;
};

/* --- teach_value.c ------------------------------------------------------------------------ */

/* A value that a schema of a parameter (a map) allows, by its type, enum, range and examples, and by what its name and
 * description say it is. */
bezel_value *bz_teach_value(bezel_tree *tree, const char *name, const bezel_value *schema, bz_rng *rng);
/* What a tool may have returned: by its "result", else by its name. */
bezel_value *bz_teach_result(bezel_tree *tree, const bezel_value *tool, bz_rng *rng);

/* --- teach_words.c ------------------------------------------------------------------------ */

/* Word list by what its words are; NULL for an unknown kind. */
const char *const *bz_teach_words(const char *kind, size_t *out_count);
const char *const *bz_teach_words_like(const char *word, size_t *out_count); /* the list that has this word, or NULL */
typedef struct bz_teach_chat {
    const char *question, *answer;
} bz_teach_chat;
const bz_teach_chat *bz_teach_talks(size_t *out_count);   /* small talk and general questions */
const char *const *bz_teach_others(size_t *out_count);    /* requests for functions that a set seldom has */

#endif
