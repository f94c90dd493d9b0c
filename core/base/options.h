/* SPDX-License-Identifier: MIT */
/* Reads and fills structs of a caller that may have been built against an older or newer header. */
#ifndef BZ_OPTIONS_H
#define BZ_OPTIONS_H

#include "base/status.h"

/* Every option struct starts with `uint32_t size`. `out` holds the defaults (this build's _init) and is `known` bytes;
 * `in` is the caller's struct, NULL keeps the defaults. A smaller `in` leaves the members it lacks at their defaults, a
 * larger one is accepted while the bytes this build does not know are zero. out->size becomes `known`.
 *   Errors   BEZEL_ERR_ARGUMENT for a size that no _init function sets; BEZEL_ERR_VERSION for unknown members in use */
bezel_status bz_options_read(void *out, size_t known, const void *in, const char *origin, bezel_error *err);

/* For structs that the library fills and whose first member is `uint32_t size`, set by the caller: 0 when it is not. */
int bz_struct_sized(const void *out);
/* Copies `from`, `known` bytes, to such a struct: a smaller one gets only the members it has, of a larger one the rest is
 * left alone; out->size stays what it was. */
void bz_struct_give(void *out, const void *from, size_t known);

#endif
