/* SPDX-License-Identifier: MIT */
/* Which network addresses a model or a script may reach without being allowed to: only public ones. */
#ifndef BZ_ADDRESS_H
#define BZ_ADDRESS_H

#include <stdint.h>

/* 4 bytes in network order: 0 for loopback, private, shared, link-local, documentation, multicast and reserved ranges
 * (IANA IPv4 special-purpose registry). */
int bz_address_is_public_v4(const uint8_t a[4]);
/* 16 bytes: only 2000::/3 without its special ranges; forms that carry an IPv4 address (mapped, NAT64, 6to4) count as
 * that address (IANA IPv6 special-purpose registry). */
int bz_address_is_public_v6(const uint8_t a[16]);

#endif
