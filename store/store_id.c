/* SPDX-License-Identifier: MIT */
/* Ids that sort by time: 48 bits of milliseconds, then 80 random bits, as 26 characters of Crockford's base 32 (the
 * form that the ULID specification describes). Two ids of one store in the same millisecond, or after the clock went
 * back, count the random part up, so they still sort in the order they were made. They are no secrets. */
#include "store_impl.h"

static void id_write(char out[BZ_STORE_ID_SIZE + 1], int64_t ms, const uint8_t random[10])
{
    static const char digits[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    for (int i = 9; i >= 0; i--) {
        out[i] = digits[ms & 31];
        ms >>= 5;
    }
    for (int i = 0; i < 16; i++) { /* 5 bits each: bit 5i of the 80 */
        unsigned bit = (unsigned)i * 5, byte = bit / 8, shift = bit % 8;
        unsigned pair = (unsigned)random[byte] << 8 | (byte < 9 ? random[byte + 1] : 0u);
        out[10 + i] = digits[pair >> (11 - shift) & 31];
    }
    out[BZ_STORE_ID_SIZE] = 0;
}

void bz_store_id_at(char out[BZ_STORE_ID_SIZE + 1], int64_t ms)
{
    static const uint8_t lowest[10] = {0};
    id_write(out, ms < 0 ? 0 : ms, lowest);
}

bezel_status bz_store_new_id(char out[BZ_STORE_ID_SIZE + 1], bezel_store *store, bezel_error *err)
{
    const bezel_world *w = store->world;
    int64_t ms = w->wall_ms(w->ud);
    if (ms < 0)
        ms = 0;
    if (ms >= (int64_t)1 << 48)
        ms = ((int64_t)1 << 48) - 1;
    if (ms > store->id_ms) {
        uint8_t fresh[10];
        if (w->random(w->ud, fresh, sizeof fresh) != BEZEL_OK)
            return bz_fail(err, BEZEL_ERR_IO, "store", "the random source of the world failed while making an id");
        fresh[0] &= 0x7f; /* room to count up */
        for (int i = 0; i < 10; i++)
            store->id_random[i] = fresh[i];
        store->id_ms = ms;
    } else {
        for (int i = 9; i >= 0 && ++store->id_random[i] == 0; i--) {}
    }
    id_write(out, store->id_ms, store->id_random);
    return BEZEL_OK;
}
