/* SPDX-License-Identifier: MIT */
/* Declarations and results in the control texts of models that were trained on them (tool_native.c). */
#ifndef BZ_TOOL_NATIVE_H
#define BZ_TOOL_NATIVE_H

#include <bezel/tools.h>

#include "base/strbuf.h"
#include "tool_registry.h"

/* Nothing where the profile's dialect has no control texts. */
void bz_native_declare(bz_strbuf *out, const bz_tool *tool, const bezel_tool_profile *profile);
/* response:name{key:value}; error NULL: the result. What is longer than limit bytes becomes a text that is cut in the middle.
 * Sets *finite to 0 at a NaN or infinity. */
void bz_native_result(bz_strbuf *out, const bezel_tool_profile *profile, const char *name, const bezel_value *result,
                      const char *error, size_t limit, int *finite);

/* --- call_render.c ------------------------------------------------------------------------ */

/* Text in which nothing is a control text, marker or label of the profile. */
void bz_text_harmless(bz_strbuf *out, const bezel_tool_profile *profile, const char *s, size_t n);
/* At most limit bytes: two thirds from the front, the rest from the end, and how much is missing. */
void bz_text_cut_middle(bz_strbuf *b, size_t limit);
/* Text plain, everything else as in a call; of a list as many items as fit. */
void bz_result_text(bz_strbuf *b, const bezel_value *result, size_t limit, int *finite);

#endif
