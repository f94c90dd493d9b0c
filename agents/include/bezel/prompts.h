/* SPDX-License-Identifier: MIT */
/* Prompts: tasks about images, answers that suit a culture, functions with a context. Each is two messages, system and user, for
 * bezel_prompt_render, an agent (the first one's text as its system text) or a service.
 *
 *     bezel_message list[2];
 *     bezel_prompts_culture(list, tree, "japanese", "formal", "How do I ask for a raise?", NULL, &err);
 *     bezel_prompt_render(&prompt, model, NULL, list, 2, 1, &err);
 *
 * The built-in texts are rows of one table in prompts.c;
 * a host adds its own tasks, cultures and styles by giving rows. */
#ifndef BEZEL_PROMPTS_H
#define BEZEL_PROMPTS_H

#include <bezel/chat.h>
#include <bezel/tools.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a row is. */
enum {
    /* a task about images: "analysis" (sections for elements, context, implications),
     * "comparison" (similarities and differences) */
    BEZEL_PROMPTS_TASK = 1,
    /* a culture: "japanese", "american",
     * "german", "brazilian", "indian" */
    BEZEL_PROMPTS_CULTURE = 2,
    /* a style of answers: "formal",
     * "casual", "educational" */
    BEZEL_PROMPTS_STYLE = 3
};

/* A name and its guideline.
 *   Since    0.1 */
typedef struct bezel_prompts_row {
    /* BEZEL_PROMPTS_... */
    uint32_t kind;
    /* 0 */
    uint32_t reserved;
    /* of the task, culture or style, compared without regard to the case of ASCII letters; not NULL */
    const char *name;
    /* system text of a task;
     * guideline of a culture or style, whole sentences;
     * not NULL */
    const char *text;
} bezel_prompts_row;

/* Rows of a host. Those with the name of a built-in one take its place.
 *   Since    0.1 */
typedef struct bezel_prompts_rows {
    /* [n_rows], borrowed
     * for the call */
    const bezel_prompts_row *rows;
    /* their number,
     * as many as the host likes */
    size_t n_rows;
} bezel_prompts_rows;

/* Built-in row i, NULL beyond the last: to list what there is.
 *   Owns     static
 *   Thread   any
 *   Since    0.1 */
BEZEL_API const bezel_prompts_row *bezel_prompts_builtin(size_t i);

/* A question about images, as a task asks for it; question and context ("Additional context", NULL = none) are the user's text.
 * The images themselves stand before that text once a model takes them.
 *   Owns     texts of out[0] (system) and out[1] (user) live in tree
 *   Thread   that of the tree
 *   Errors   MISSING for an unknown task, err->place is its name; that of the tree
 *   Since    0.1 */
BEZEL_API bezel_status bezel_prompts_image(bezel_message out[2], bezel_tree *tree, const char *task, const char *question,
                                           const char *context, const bezel_prompts_rows *own, bezel_error *err);

/* A request that is answered as suits a culture, in a style. An unknown style, and NULL, is "formal".
 *   Owns     as above
 *   Thread   that of the tree
 *   Errors   MISSING for an unknown culture, err->place is its name; that of the tree
 *   Since    0.1 */
BEZEL_API bezel_status bezel_prompts_culture(bezel_message out[2], bezel_tree *tree, const char *culture, const char *style,
                                             const char *request, const bezel_prompts_rows *own, bezel_error *err);

/* A request that may call functions: introduction, "Available Functions:" with their parameters, numbered rules, "Context:" (NULL
 * = none). profile NULL is "instruct". An agent with tools writes the same by itself.
 *   Owns     as above
 *   Thread   that of the tree and the set
 *   Errors   those of bezel_toolset_render; that of the tree
 *   Since    0.1 */
BEZEL_API bezel_status bezel_prompts_functions(bezel_message out[2], bezel_tree *tree, const bezel_toolset *tools,
                                               const bezel_tool_profile *profile, const char *request, const char *context,
                                               bezel_error *err);

#ifdef __cplusplus
}
#endif
#endif
