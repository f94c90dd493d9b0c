/* SPDX-License-Identifier: MIT */
/* Constraints: answers that cannot be wrong in form. A constraint is compiled once from the schemas of functions, from one
 * JSON schema or from a list of texts; a generation that is given one writes nothing else.
 *
 *     bezel_constraint_options o;
 *     bezel_constraint_options_init(&o);
 *     o.kind = BEZEL_CONSTRAINT_CHOICE;
 *     o.choices = (const char *const[]){"yes", "no"};
 *     o.n_choices = 2;
 *     bezel_constraint_new(&constraint, model, &o, &err);
 *     generate.constraint = constraint;
 *
 * Tokens that nothing else could follow are not sampled at all, and where few are legal only their logits are computed, so a
 * constrained call also takes less time than a free one.
 *
 * Where the prompt ends in something else than white space, as behind the "Assistant:" of a transcript, one blank comes first.
 *
 * Only canonical text is written: one separator, no free white space, arguments as declared. What the form leaves open the
 * model decides, by the probabilities it gives to the tokens that are legal. */
#ifndef BEZEL_CONSTRAINT_H
#define BEZEL_CONSTRAINT_H

#include <bezel/model.h>
#include <bezel/value.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A compiled form. Immutable.
 *   Thread   any, several generations at once */
typedef struct bezel_constraint bezel_constraint;

/* What an answer is. */
enum {
    /* calls of functions, in a dialect */
    BEZEL_CONSTRAINT_CALLS = 1,
    /* a JSON value of a schema */
    BEZEL_CONSTRAINT_JSON = 2,
    /* one of some texts */
    BEZEL_CONSTRAINT_CHOICE = 3
};

/* A function that may be called. */
typedef struct bezel_constraint_function {
    /* [A-Za-z_][A-Za-z0-9_.-]*, distinct */
    const char *name;
    /* JSON schema of the arguments, an object; NULL = none */
    const bezel_value *parameters;
} bezel_constraint_function;

/* How a constraint is made. Fill it with bezel_constraint_options_init, then set what you need. */
typedef struct bezel_constraint_options {
    /* set by bezel_constraint_options_init */
    uint32_t size;
    /* BEZEL_CONSTRAINT_...; default CALLS */
    uint32_t kind;
    /* syntax of the calls: "function_call" (default), "python", "json", "functiongemma", "gemma4" */
    const char *dialect;
    /* [n_functions], CALLS: 1 to 1,024 */
    const bezel_constraint_function *functions;
    /* default 0 */
    size_t n_functions;
    /* JSON: the schema of the answer, as bezel_json_read gives it */
    const bezel_value *schema;
    /* [n_choices] CHOICE: distinct texts, not empty, valid UTF-8 */
    const char *const *choices;
    /* default 0 */
    size_t n_choices;
    /* calls of one answer, 1 to 16; default 8 */
    uint32_t max_calls;
    /* 1: arguments and keys in any order; default 0, as declared */
    uint32_t any_order;
    /* code points of a string whose schema names no limit, 1 to 1,000,000; default 512 */
    uint32_t max_string;
    /* items of a list whose schema names no limit, 1 to 10,000; default 32 */
    uint32_t max_items;
} bezel_constraint_options;

/* Fills the options with the defaults above.
 * out must not be NULL.
 *   Thread   any
 *   Since    0.1 */
BEZEL_API void bezel_constraint_options_init(bezel_constraint_options *out);

/* Compiles a constraint. The first one of a model also indexes its vocabulary, about 8 MB and 50 ms.
 * A keyword that cannot be kept while writing (not, contains, a pattern outside of the subset) never refuses a schema: it is
 * a warning, and whoever validates afterwards checks it. docs/schemas.md has the table.
 *   Owns     *out is the caller's, free with bezel_constraint_free before the model; the options may go at once
 *   Thread   any
 *   Errors   ARGUMENT for a kind, dialect or list that is missing or unknown, a choice that is empty, there twice or no
 *            UTF-8; RANGE for numbers outside, an empty range and a schema that requires itself without end; FORMAT,
 *            UNSUPPORTED, MISSING, LIMIT for a schema, err->place is its path; *out is NULL
 *   Since    0.1 */
BEZEL_API bezel_status bezel_constraint_new(bezel_constraint **out, bezel_model *model,
                                            const bezel_constraint_options *options, bezel_error *err);

/* Frees a constraint that no generation uses; NULL is fine. A job that was given it must be gone before.
 *   Thread   any
 *   Since    0.1 */
BEZEL_API void bezel_constraint_free(bezel_constraint *constraint);

/* Reads an answer of a JSON constraint: the value with defaults filled in and declared keys first. Blanks around it are fine.
 *   Owns     *out is the tree's
 *   Thread   that of the tree
 *   Errors   FORMAT for text that is no JSON (an answer that a limit cut), PARSE for a value that a keyword refuses which is
 *            only checked afterwards, err->place is the key; LIMIT, MEMORY; ARGUMENT for a constraint of another kind
 *   Since    0.1 */
BEZEL_API bezel_status bezel_constraint_read(bezel_value **out, bezel_tree *tree, const bezel_constraint *constraint,
                                             const char *text, size_t size, bezel_error *err);

/* Keywords that are only checked afterwards; 0 for NULL.
 *   Thread   any
 *   Since    0.1 */
BEZEL_API size_t bezel_constraint_warning_count(const bezel_constraint *constraint);

/* Warning i, "function: path: keyword: reason"; NULL beyond the end.
 *   Owns     the constraint's
 *   Thread   any
 *   Since    0.1 */
BEZEL_API const char *bezel_constraint_warning(const bezel_constraint *constraint, size_t i);

#ifdef __cplusplus
}
#endif
#endif
