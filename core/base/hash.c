/* SPDX-License-Identifier: MIT */
/* Two lanes of 64 bits over little-endian words of 8 bytes. Each step is a bijection of the lane (xor, multiply by an
 * odd number, xor-shift), so two inputs that differ in one word never meet in that step. The odd constants are the
 * first 64 bits of the fractions of sqrt(2), sqrt(3), sqrt(5), sqrt(7). Not for security. */
#include "base/hash.h"

#include "base/byte_order.h"

#include <string.h>

static void hash_word(bz_hash *h, uint64_t word)
{
    h->a = (h->a ^ word) * UINT64_C(0x6A09E667F3BCC909);
    h->a ^= h->a >> 29;
    h->b = (h->b ^ (word << 32 | word >> 32)) * UINT64_C(0xBB67AE8584CAA73B);
    h->b ^= h->b >> 31;
}

static uint64_t hash_mix(uint64_t x)
{
    x = (x ^ x >> 32) * UINT64_C(0x3C6EF372FE94F82B);
    x = (x ^ x >> 29) * UINT64_C(0xA54FF53A5F1D36F1);
    return x ^ x >> 32;
}

void bz_hash_init(bz_hash *h)
{
    memset(h, 0, sizeof *h);
    h->b = ~UINT64_C(0);
}

void bz_hash_add(bz_hash *h, const void *bytes, size_t n)
{
    const uint8_t *p = bytes;
    size_t held = (size_t)(h->size & 7);
    if (n == 0)
        return; /* bytes may be NULL */
    h->size += n;
    if (held) {
        size_t take = 8 - held < n ? 8 - held : n;
        memcpy(h->part + held, p, take);
        p += take;
        n -= take;
        if (held + take < 8)
            return;
        hash_word(h, bz_load_u64(h->part));
    }
    for (; n >= 8; p += 8, n -= 8)
        hash_word(h, bz_load_u64(p));
    if (n)
        memcpy(h->part, p, n);
}

void bz_hash_finish(const bz_hash *h, uint8_t out[16])
{
    bz_hash t = *h;
    size_t held = (size_t)(t.size & 7);
    uint64_t x, y;
    memset(t.part + held, 0, 8 - held);
    hash_word(&t, bz_load_u64(t.part));
    hash_word(&t, t.size);
    x = hash_mix(t.a);
    y = hash_mix(t.b + x);
    x = hash_mix(x + y);
    for (int i = 0; i < 8; i++) {
        out[i] = (uint8_t)(x >> (8 * i));
        out[8 + i] = (uint8_t)(y >> (8 * i));
    }
}
