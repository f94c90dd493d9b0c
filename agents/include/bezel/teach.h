/* SPDX-License-Identifier: MIT */
/* Examples to teach a model with: read from JSON lines or made from the declarations of tools, rendered exactly as agents
 * render their prompts, for bezel_train.
 *
 *     bezel_teach_new(&teach, model, NULL, &err);
 *     bezel_teach_read(teach, lines, size, tools, "mine.jsonl", &err);      // a file of the user
 *     bezel_teach_maker_new(&maker, engine, tools, own, NULL, &err);
 *     for (i = 0; i < 1000; i++) {                                          // and examples made from the tools
 *         bezel_teach_maker_make(&example, maker, tree, i, &err);
 *         bezel_teach_add(teach, example, NULL, NULL, &err);
 *     }
 *     examples = bezel_teach_examples(teach, &n);
 *     bezel_train(&job, model, examples, n, &options, &err);
 *
 * An example is a map in one of three forms; "tools" (a list of {name, description, parameters}) may be absent where the
 * caller gives tools for all, "system" and "context" are texts that may be absent, other keys are not read:
 *
 *     {"instruction": "...", "input": "...", "output": "..."}               // input may be absent
 *     {"question": "...", "calls": [{"name": "f", "arguments": {...}}], "results": [...], "answer": "..."}
 *     {"messages": [{"role": "user", "content": "..."},
 *                   {"role": "assistant", "content": "...", "calls": [...]},  // calls, or tool_calls as OpenAI writes them
 *                   {"role": "tool", "name": "f", "content": anything}, ...]} // or "error": "..."
 *
 * The model learns its own turns with the mark that ends them, and nothing of what it is told; "learn": false in a message of the
 * assistant leaves that one out. */
#ifndef BEZEL_TEACH_H
#define BEZEL_TEACH_H

#include <bezel/tools.h>
#include <bezel/train.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- A set of examples -------------------------------------------------------------------- */

/* Rendered examples.
 *   Thread   confined */
typedef struct bezel_teach bezel_teach;

/* How examples are rendered. bezel_teach_options_init fills in what is named last in each comment. */
typedef struct bezel_teach_options {
    /* set by bezel_teach_options_init */
    uint32_t size;
    /* examples of more tokens are left out and counted, since a cut one would teach to end too late or never; 2048 */
    uint32_t max_length;
    /* form of the messages, borrowed; NULL = "gemma3", which a pretrained model is to learn */
    const bezel_profile *profile;
    /* form of tools and results, borrowed; NULL = bezel_tool_profile_of the profile. Calls are written as FUNCTION_CALL lines */
    const bezel_tool_profile *tool_profile;
} bezel_teach_options;

/* Fills in the defaults above.
 *   Thread   any
 *   Since    0.1 */
BEZEL_API void bezel_teach_options_init(bezel_teach_options *out);

/* Makes an empty set; options NULL are the defaults.
 *   Owns     *out is the caller's, free with bezel_teach_free before the model
 *   Thread   any
 *   Errors   UNSUPPORTED for a tool profile of another dialect than function_call; MEMORY. *out is NULL
 *   Since    0.1 */
BEZEL_API bezel_status bezel_teach_new(bezel_teach **out, const bezel_model *model, const bezel_teach_options *options,
                                       bezel_error *err);

/* Frees a set; NULL is fine. bezel_train has copied what it needs.
 *   Thread   that of the set
 *   Since    0.1 */
BEZEL_API void bezel_teach_free(bezel_teach *teach);

/* Adds one example. tools: for an example without its own, NULL = none. from: where it comes from, for errors and reports; NULL =
 * its key "from". Calls must be of its tools, with arguments as their schemas have them: what is taught is what can be called.
 *   Owns     everything is copied, but tools must live as long as the set: they are compiled once
 *   Thread   that of the set
 *   Errors   FORMAT for a key that is missing or of a wrong type, for a role or an order of messages that the profile has no
 *            place for, for no turn of the model; PARSE for a call that its tools do not allow; those of bezel_toolset_add_list.
 *            err->place is "from: key". The set is as it was
 *   Since    0.1 */
BEZEL_API bezel_status bezel_teach_add(bezel_teach *teach, const bezel_value *example, const bezel_value *tools,
                                       const char *from, bezel_error *err);

/* Adds the examples of a text, one a line; empty lines are passed over. size SIZE_MAX means strlen(lines). name: of the file,
 * each example comes from "name:line".
 *   Owns     as bezel_teach_add
 *   Thread   that of the set
 *   Errors   those of bezel_json_read and bezel_teach_add; err->place is "name:line: key". What came before the bad line stays
 *            in the set
 *   Since    0.1 */
BEZEL_API bezel_status bezel_teach_read(bezel_teach *teach, const char *lines, size_t size, const bezel_value *tools,
                                        const char *name, bezel_error *err);

/* The examples, for bezel_train.
 *   Shapes   [*out_count]
 *   Owns     the set's, until the next one is added
 *   Thread   that of the set
 *   Since    0.1 */
BEZEL_API const bezel_train_example *bezel_teach_examples(const bezel_teach *teach, size_t *out_count);

/* Where example i comes from; NULL beyond the end.
 *   Owns     the set's
 *   Thread   that of the set
 *   Since    0.1 */
BEZEL_API const char *bezel_teach_from(const bezel_teach *teach, size_t i);

/* What is in a set. */
typedef struct bezel_teach_counts {
    /* sizeof(bezel_teach_counts), set by the caller; a smaller one of an older header gets its members */
    uint32_t size;
    /* 0 */
    uint32_t reserved;
    /* examples in it, and those left out because they are longer than max_length */
    uint64_t n_examples, n_too_long;
    /* tokens of those in it, how many of them are learned, and the tokens of the longest one, left out or not */
    uint64_t n_tokens, n_learned, longest;
} bezel_teach_counts;

/* Counts; all 0 for NULL.
 *   Thread   that of the set
 *   Since    0.1 */
BEZEL_API void bezel_teach_count(bezel_teach_counts *out, const bezel_teach *teach);

/* --- Making examples ---------------------------------------------------------------------- */

/* Makes examples from the declarations of tools: questions with values that fit the schemas, their calls, and questions that no
 * tool is for. The same tools, own examples, options and number always give the same example.
 * Beside what a schema says, a tool may have, as keys of its declaration:
 *
 *     "questions": ["What is {base} times {factor}[, in {unit}]?", ...]   // see below
 *     "answers": ["It is {result}.", ...]                                 // what the model says to a result
 *     "result": {schema of what it returns}                               // else a text or number by its name
 *     "names": ["other_name", ...], "group": "..."                        // for `vary`, and tools that do the same
 *
 * and a parameter "examples": [values it may have]. A question is a text in which {p} is the value of a parameter, {p:percent},
 * {p:date}, {p:words}, {p:json} that value written in another way, [text] stands or is left out, (a|b|c) is one of them, and
 * @p=JSON at the end of such a part, or of the whole, gives a value that the words imply: "[ with breakfast@breakfast=true]".
 * A backslash makes the next character plain.
 *   Thread   confined */
typedef struct bezel_teach_maker bezel_teach_maker;

/* What kinds of examples are made. bezel_teach_maker_options_init fills in what is named last in each comment. */
typedef struct bezel_teach_maker_options {
    /* set by bezel_teach_maker_options_init */
    uint32_t size;
    /* 1: names of tools and parameters, descriptions and the order of parameters are varied, and each question has its own
     * choice of the tools: a model learns to read declarations. 0: the tools as they are, nearly always all of them, for an adapter
     * of these tools only; 0 */
    uint32_t vary;
    /* other numbers give other examples; 1 */
    uint64_t seed;
    /* how often each kind comes, in parts of their sum: one call; the same function several times; several functions; a question
     * that none of the functions is for; talk; a call, its result and the answer; 50, 8, 8, 14, 8, 12 */
    uint32_t single, parallel, several, missing, talk, answer;
    /* most tools shown with `vary`, 1 to 32; 4 */
    uint32_t max_tools;
    /* most questions of an example, one behind the other, 1 to 16: the tools are declared once for all of them, which is most of
     * the text; 1 */
    uint32_t turns;
} bezel_teach_maker_options;

/* Fills in the defaults above.
 *   Thread   any
 *   Since    0.1 */
BEZEL_API void bezel_teach_maker_options_init(bezel_teach_maker_options *out);

/* Makes a maker for a list of tools. own: a list of examples of the user (with "question" or "messages"), or NULL: their questions
 * become templates, with other values in place of theirs.
 *   Owns     *out is the caller's, free with bezel_teach_maker_free; tools and own are copied
 *   Thread   any
 *   Errors   FORMAT for no list of tools, and for a question that is no template; those of bezel_toolset_add_list; *out is NULL
 *   Since    0.1 */
BEZEL_API bezel_status bezel_teach_maker_new(bezel_teach_maker **out, bezel_engine *engine, const bezel_value *tools,
                                             const bezel_value *own, const bezel_teach_maker_options *options,
                                             bezel_error *err);

/* Frees a maker; NULL is fine.
 *   Thread   that of the maker
 *   Since    0.1 */
BEZEL_API void bezel_teach_maker_free(bezel_teach_maker *maker);

/* Example `number`: {"tools", "messages", "kind", "from"}; from names the tool, its question and the seed.
 *   Owns     *out lives in tree
 *   Thread   that of the maker and the tree
 *   Errors   that of the tree; *out is NULL
 *   Since    0.1 */
BEZEL_API bezel_status bezel_teach_maker_make(bezel_value **out, bezel_teach_maker *maker, bezel_tree *tree, uint64_t number,
                                              bezel_error *err);

#ifdef __cplusplus
}
#endif
#endif
