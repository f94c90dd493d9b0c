/* SPDX-License-Identifier: MIT */
/* Special-purpose address ranges as tables. Does not resolve names: that is the HTTP client's work. */
#include "base/address.h"

#include <stddef.h>
#include <string.h>

typedef struct address_range {
    uint8_t prefix[16];
    uint8_t bits;
} address_range;

static const address_range special_v4[] = {
    {{0}, 8},             /* this network */
    {{10}, 8},            /* private */
    {{100, 64}, 10},      /* shared by carriers */
    {{127}, 8},           /* loopback */
    {{169, 254}, 16},     /* link-local, cloud metadata */
    {{172, 16}, 12},      /* private */
    {{192, 0, 0}, 24},    /* protocol assignments */
    {{192, 0, 2}, 24},    /* documentation */
    {{192, 31, 196}, 24}, /* AS112 */
    {{192, 52, 193}, 24}, /* AMT */
    {{192, 88, 99}, 24},  /* 6to4 relay */
    {{192, 168}, 16},     /* private */
    {{192, 175, 48}, 24}, /* AS112 */
    {{198, 18}, 15},      /* benchmarks */
    {{198, 51, 100}, 24}, /* documentation */
    {{203, 0, 113}, 24},  /* documentation */
    {{224}, 4},           /* multicast */
    {{240}, 4},           /* reserved, broadcast */
};

static const address_range special_v6[] = {
    {{0x20, 0x01}, 23},                   /* protocol assignments, Teredo, ORCHID */
    {{0x20, 0x01, 0x0d, 0xb8}, 32},       /* documentation */
    {{0x3f, 0xff}, 20},                   /* documentation */
    {{0x26, 0x20, 0x00, 0x4f, 0x80}, 48}, /* AS112 */
};

static int range_holds(const address_range *range, const uint8_t *a)
{
    size_t whole = range->bits / 8u, rest = range->bits % 8u;
    if (memcmp(range->prefix, a, whole) != 0)
        return 0;
    return !rest || ((range->prefix[whole] ^ a[whole]) >> (8u - rest)) == 0;
}

int bz_address_is_public_v4(const uint8_t a[4])
{
    for (size_t i = 0; i < sizeof special_v4 / sizeof *special_v4; i++)
        if (range_holds(&special_v4[i], a))
            return 0;
    return 1;
}

int bz_address_is_public_v6(const uint8_t a[16])
{
    static const address_range mapped = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96};
    static const address_range nat64 = {{0x00, 0x64, 0xff, 0x9b}, 96};
    static const address_range six_to_four = {{0x20, 0x02}, 16};
    if (range_holds(&mapped, a) || range_holds(&nat64, a))
        return bz_address_is_public_v4(a + 12);
    if (range_holds(&six_to_four, a))
        return bz_address_is_public_v4(a + 2);
    if ((a[0] & 0xe0) != 0x20)
        return 0; /* outside global unicast 2000::/3 */
    for (size_t i = 0; i < sizeof special_v6 / sizeof *special_v6; i++)
        if (range_holds(&special_v6[i], a))
            return 0;
    return 1;
}
