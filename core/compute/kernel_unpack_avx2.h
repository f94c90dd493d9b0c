/* SPDX-License-Identifier: MIT */
/* AVX2: the pieces of a block's bytes that both the unpacker and the panels take apart. */
#ifndef BZ_KERNEL_UNPACK_AVX2_H
#define BZ_KERNEL_UNPACK_AVX2_H

#include <immintrin.h>
#include <stdint.h>
#include <string.h>

/* 16 bytes of nibbles to 32 bytes: the low ones in the lower half. */
static inline __m256i bz_avx2_nibbles(const uint8_t *p)
{
    const __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
    const __m256i both = _mm256_inserti128_si256(_mm256_castsi128_si256(x), _mm_srli_epi16(x, 4), 1);
    return _mm256_and_si256(both, _mm256_set1_epi8(15));
}

/* Byte i is 0xff where bit i of the four bytes at p is set, else 0. */
static inline __m256i bz_avx2_bits(const uint8_t *p)
{
    const __m256i spread = _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303);
    const __m256i others = _mm256_set1_epi64x(0x7fbfdfeff7fbfdfe); /* all but the bit of the byte's place */
    uint32_t bits;
    memcpy(&bits, p, sizeof bits);
    const __m256i v = _mm256_shuffle_epi8(_mm256_set1_epi32((int)bits), spread);
    return _mm256_cmpeq_epi8(_mm256_or_si256(v, others), _mm256_set1_epi8(-1));
}

#endif
