/* SPDX-License-Identifier: MIT */
/* A result in the words that its tool has for it. */
#ifndef BZ_RESULT_SUMMARY_H
#define BZ_RESULT_SUMMARY_H

#include <bezel/value.h>

#include "base/strbuf.h"

/* 1 when every brace of the template is closed. */
int bz_summary_is_valid(const char *format);
/* Adds the template with its values; 0 when a path leads nowhere or a value cannot be said. */
int bz_summary_fill(bz_strbuf *out, const char *format, const bezel_value *result, const bezel_value *arguments);

#endif
