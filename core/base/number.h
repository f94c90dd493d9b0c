/* SPDX-License-Identifier: MIT */
/* Numbers to text and back, independent of the host's locale. */
#ifndef BZ_NUMBER_H
#define BZ_NUMBER_H

#include <stddef.h>
#include <stdint.h>

/* Decimal or exponent form, all n bytes used, finite. Returns 1 and the value, or 0. */
int bz_number_parse(double *out, const char *s, size_t n);
/* Optional sign and digits, all n bytes used, fits 64 bits. */
int bz_integer_parse(int64_t *out, const char *s, size_t n);
/* Shortest text that reads back to the same double; an integral value has no point ("3"). Bytes written (<= 31). */
size_t bz_number_format(char out[32], double x);

#endif
