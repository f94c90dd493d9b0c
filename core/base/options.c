/* SPDX-License-Identifier: MIT */
/* Reads and fills structs of a caller that may have been built against an older or newer header.
 * Never reads more than in->size bytes, never writes more than `known`. Says nothing about what the members mean. */
#include "base/options.h"

#include <string.h>

/* No option struct comes near this; more is an uninitialised `size`. */
#define BZ_OPTIONS_MAX_SIZE 4096u

bezel_status bz_options_read(void *out, size_t known, const void *in, const char *origin, bezel_error *err)
{
    uint32_t size;
    uint32_t own = (uint32_t)known;
    if (in == NULL)
        return BEZEL_OK;
    memcpy(&size, in, sizeof size);
    if (size < sizeof size || size > BZ_OPTIONS_MAX_SIZE) {
        bz_fail(err, BEZEL_ERR_ARGUMENT, origin, "the option struct has size %lu, expected %lu", (unsigned long)size,
                (unsigned long)known);
        return bz_error_hint(err, BEZEL_ERR_ARGUMENT, "call its _init function before setting members");
    }
    const unsigned char *bytes = in;
    for (size_t i = known; i < size; i++) {
        if (bytes[i] != 0) {
            bz_fail(err, BEZEL_ERR_VERSION, origin,
                    "the option struct has %lu bytes and sets one at %lu, this library knows %lu", (unsigned long)size,
                    (unsigned long)i, (unsigned long)known);
            return bz_error_hint(err, BEZEL_ERR_VERSION,
                                 "the program was built for a newer Bezel than %s: update the library",
                                 bezel_version());
        }
    }
    memcpy(out, in, size < known ? size : known);
    memcpy(out, &own, sizeof own);
    return BEZEL_OK;
}

int bz_struct_sized(const void *out)
{
    uint32_t size;
    memcpy(&size, out, sizeof size);
    return size >= sizeof size;
}

void bz_struct_give(void *out, const void *from, size_t known)
{
    uint32_t size;
    memcpy(&size, out, sizeof size);
    memcpy(out, from, size < known ? size : known);
    memcpy(out, &size, sizeof size);
}
