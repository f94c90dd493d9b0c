/* SPDX-License-Identifier: MIT */
/* How calls are written: one row a dialect. Names as in the field: FUNCTION_CALL text, Python lists and JSON as Google's guide
 * prompts Gemma 3 for them, FunctionGemma's and Gemma 4's control tokens (as the three marks of call_form.h). */
#include "generate/call_form.h"

#include <string.h>

/* Calls between control tokens. Which tokens the three marks are, constraint.c knows. */
#define CALL_MARKED(dialect)                                                                                        \
    {                                                                                                               \
        .name = dialect, .list_open = "", .list_close = "", .call_open = "\xF8" "call:", .args_open = "{",          \
        .args_close = "}\xF9", .call_sep = "", .key_open = "", .key_close = ":", .member_open = "",                 \
        .member_close = ":", .sep = ",", .true_text = "true", .false_text = "false", .null_text = "null",           \
        .string_open = "\xFA", .string_close = "\xFA", .escapes = BZ_CALL_ESCAPES_NONE,                             \
    }

static const bz_call_dialect call_dialects[] = {
    {
        .name = "function_call",
        .list_open = "", .list_close = "",
        .call_open = "FUNCTION_CALL: ", .args_open = "(", .args_close = ")", .call_sep = "\n",
        .key_open = "", .key_close = "=", .member_open = "\"", .member_close = "\": ", .sep = ", ",
        .true_text = "true", .false_text = "false", .null_text = "null",
        .string_open = "\"", .string_close = "\"", .escapes = BZ_CALL_ESCAPES_JSON,
    },
    {
        .name = "python",
        .list_open = "[", .list_close = "]",
        .call_open = "", .args_open = "(", .args_close = ")", .call_sep = ", ",
        .key_open = "", .key_close = "=", .member_open = "\"", .member_close = "\": ", .sep = ", ",
        .true_text = "True", .false_text = "False", .null_text = "None",
        .string_open = "\"", .string_close = "\"", .escapes = BZ_CALL_ESCAPES_PYTHON,
    },
    {
        .name = "json",
        .list_open = "[", .list_close = "]", .bare = 1,
        .call_open = "{\"name\": \"", .args_open = "\", \"parameters\": {", .args_close = "}}", .call_sep = ", ",
        .key_open = "\"", .key_close = "\": ", .member_open = "\"", .member_close = "\": ", .sep = ", ",
        .true_text = "true", .false_text = "false", .null_text = "null",
        .string_open = "\"", .string_close = "\"", .escapes = BZ_CALL_ESCAPES_JSON,
    },
    CALL_MARKED("functiongemma"),
    CALL_MARKED("gemma4"),
};

const bz_call_dialect *bz_call_dialect_find(const char *name)
{
    for (size_t i = 0; name != NULL && i < sizeof call_dialects / sizeof *call_dialects; i++)
        if (strcmp(call_dialects[i].name, name) == 0)
            return &call_dialects[i];
    return NULL;
}
