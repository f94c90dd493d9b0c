/* SPDX-License-Identifier: MIT */
/* Messages and the form in which a model reads them: chat template or transcript, one profile each.
 *
 *     bezel_message list[2] = {
 *         {sizeof(bezel_message), BEZEL_ROLE_SYSTEM, "Answer in one sentence.", SIZE_MAX},
 *         {sizeof(bezel_message), BEZEL_ROLE_USER, "Why is the sky blue?", SIZE_MAX}};
 *     bezel_prompt *prompt = NULL;
 *     bezel_prompt_render(&prompt, model, NULL, list, 2, 1, &err);
 *     const int32_t *ids = bezel_prompt_ids(prompt, &n);
 *     bezel_session_set(session, ids, n, &err);
 *     bezel_prompt_free(prompt);
 *
 * An agent (agent.h) does this and keeps the history. */
#ifndef BEZEL_CHAT_H
#define BEZEL_CHAT_H

#include <bezel/model.h>

#ifdef __cplusplus
extern "C" {
#endif

/* --- Messages ----------------------------------------------------------------------------- */

/* Who speaks. */
enum {
    /* instructions of the host */
    BEZEL_ROLE_SYSTEM = 1,
    BEZEL_ROLE_USER = 2,
    /* the model */
    BEZEL_ROLE_ASSISTANT = 3,
    /* result lines of tools, as bezel_result_render writes them */
    BEZEL_ROLE_TOOL = 4
};

/* "system", "user", "assistant", "tool"; "" for any other number.
 *   Owns     static text
 *   Thread   any
 *   Since    0.1 */
BEZEL_API const char *bezel_role_name(uint32_t role);

/* Role with this name in lower case; "model" is the assistant, too. 0 for an unknown name or NULL.
 *   Thread   any
 *   Since    0.1 */
BEZEL_API uint32_t bezel_role_from_name(const char *name);

/* One message, borrowed by the call it is given to. */
typedef struct bezel_message {
    /* sizeof(bezel_message), exactly */
    uint32_t size;
    /* BEZEL_ROLE_... */
    uint32_t role;
    /* never becomes structure of the prompt, whatever it spells, but for `inner` of a profile; NULL is "" */
    const char *text;
    /* bytes, or SIZE_MAX for strlen(text) */
    size_t text_size;
} bezel_message;

/* --- Profiles ----------------------------------------------------------------------------- */

/* How messages become a prompt: one row for each form. The built-in rows:
 *   "gemma3"      the official template; the system text is folded into the first user turn
 *   "gemma2"      the same (the official one refuses a system message); also for Gemma 1
 *   "functiongemma", "gemma4"  the forms of these two, with a turn for the system text and results inside the model's turn
 *   "transcript"  `User: `, `Assistant: ` lines for pretrained models, which follow no template
 * For a form of your own copy a row and change it. All texts are borrowed and must outlive what uses the row; NULL is
 * the same as "" but for system_open. The texts of the row ("marks") may spell control tokens, which become their ids;
 * what messages spell never does. Everything between two control tokens is encoded as one string, since the runs of
 * blanks and newlines at a border are single tokens. */
typedef struct bezel_profile {
    /* sizeof(bezel_profile) */
    uint32_t size;
    /* 1: user and assistant take turns after at most one system message, else an error. Results of tools stand after an
     * assistant message and share the user's turn: all of them, a line each, then the user's text, if there is one,
     * after a blank line. 0: any order, each message on its own */
    uint32_t strict;
    /* for error texts and bezel_profile_find */
    const char *name;
    /* before everything: "<bos>" */
    const char *begin;
    /* before the system text; NULL: the system text is folded into the next user or tool turn */
    const char *system_open;
    /* behind the system text; when folded, what stands between it and the user's text ("\n\n") */
    const char *system_close;
    /* "<start_of_turn>user\n", "User: " */
    const char *user_open;
    /* "<end_of_turn>\n", "\n" */
    const char *user_close;
    /* "<start_of_turn>model\n", "Assistant: "; without its last spaces where an answer is to be written: in the
     * vocabulary a space belongs to the word after it, so the model writes " Paris" and the history repeats the same
     * ids */
    const char *assistant_open;
    /* "<end_of_turn>\n", "\n" */
    const char *assistant_close;
    /* before results: that of a user turn, "" in a transcript, whose lines carry "Result: " */
    const char *tool_open;
    /* behind results */
    const char *tool_close;
    /* 1: user, assistant and tool texts are stripped of blanks at both ends as Python's str.strip does */
    uint32_t trim;
    /* 1: a line of a message that begins with one of the labels gets a leading space, so that nobody can speak for
     * another. The system text is the host's own and stays as it is */
    uint32_t label_guard;
    /* line labels of a transcript, NULL-terminated list, or NULL */
    const char *const *labels;
    /* stop strings beside the end tokens, NULL-terminated list, or NULL. Rendering does not use them; agents do */
    const char *const *stops;
    /* the label that lines of tool texts carry by right ("Result:"), or NULL */
    const char *tool_label;
    /* control texts that are structure also inside of system, assistant and tool texts, NULL-terminated list, or NULL: those of
     * declarations, calls and results. Each begins with "<". Who writes such a text sees to it that nothing foreign in it spells
     * one; never read in user texts nor with label_guard */
    const char *const *inner;
    /* 1: results belong to the turn of the model that called: it stays open behind the call and goes on behind the results.
     * Of a strict profile; tool_open and tool_close are not read */
    uint32_t results_inside;
} bezel_profile;

/* Built-in profile with this name, NULL when there is none.
 *   Owns     static
 *   Thread   any
 *   Since    0.1 */
BEZEL_API const bezel_profile *bezel_profile_find(const char *name);

/* Profile of a model: "transcript" for a pretrained one, else that of its family ("functiongemma" and "gemma4" by the control tokens
 * of the vocabulary). model must not be NULL.
 * The chat template in the file is not run: files carry odd and wrong ones.
 *   Owns     static
 *   Thread   any
 *   Since    0.1 */
BEZEL_API const bezel_profile *bezel_profile_of(const bezel_model *model);

/* --- Prompts ------------------------------------------------------------------------------ */

/* Rendered messages: text and ids.
 *   Thread   immutable */
typedef struct bezel_prompt bezel_prompt;

/* Renders messages; profile NULL is the model's own. generation_prompt 1 opens the assistant's turn at the end, so that
 * a generation writes the answer; 0 renders what was said, to measure or to show it.
 *   Shapes   messages [count]
 *   Owns     *out is the caller's, free with bezel_prompt_free before the model; messages may go at once
 *   Thread   any
 *   Errors   FORMAT names the index of a message at a wrong place or with an unknown role; a system message with no
 *            turn after it to be folded into is one, too: the template would lose it. ARGUMENT for no messages; VERSION
 *            for a message of another size; LIMIT over 1 GiB of text. *out is NULL
 *   Source   the chat templates of google/gemma-2-2b-it and google/gemma-3-1b-it
 *   Since    0.1 */
BEZEL_API bezel_status bezel_prompt_render(bezel_prompt **out, const bezel_model *model, const bezel_profile *profile,
                                           const bezel_message *messages, size_t count, int32_t generation_prompt,
                                           bezel_error *err);

/* Frees a prompt; NULL is fine.
 *   Thread   any, when no other uses it
 *   Since    0.1 */
BEZEL_API void bezel_prompt_free(bezel_prompt *prompt);

/* The whole text, marks included, to show or log it. Tokenized again it need not give the same ids: a control token
 * that a message spells is plain text in the ids. prompt must not be NULL; out_size may be.
 *   Units    *out_size in bytes
 *   Owns     the prompt's; NUL-terminated
 *   Thread   any
 *   Since    0.1 */
BEZEL_API const char *bezel_prompt_text(const bezel_prompt *prompt, size_t *out_size);

/* The ids for bezel_session_set. prompt must not be NULL; out_count may be.
 *   Shapes   [*out_count] i32
 *   Owns     the prompt's
 *   Thread   any
 *   Since    0.1 */
BEZEL_API const int32_t *bezel_prompt_ids(const bezel_prompt *prompt, size_t *out_count);

#ifdef __cplusplus
}
#endif
#endif
