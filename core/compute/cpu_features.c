/* SPDX-License-Identifier: MIT */
/* Asks CPUID and XGETBV which levels the machine can run. A level needs both the instructions and a system that saves its
 * registers, so a virtual machine that masks one of them falls back instead of trapping. On Arm the system is asked; NEON is
 * a part of 64-bit Arm. Holds no state: the answer is asked for once per engine. */
#include "compute/cpu_features.h"

#include <bezel/engine.h>

#include "base/os.h"

#include <stdint.h>

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#elif defined(__aarch64__) && defined(__APPLE__)
#include <sys/sysctl.h>
#endif

#if defined(__x86_64__) || defined(__i386__)
#include <cpuid.h>

static uint64_t cpu_saved_registers(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return ((uint64_t)high << 32) | low;
}

static int cpu_can_x86(unsigned isa)
{
    uint32_t a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d))
        return 0;
    /* ecx of leaf 1: 12 FMA, 27 OSXSAVE, 28 AVX, 29 F16C */
    const uint32_t need1 = (1u << 12) | (1u << 27) | (1u << 28) | (1u << 29);
    if ((c & need1) != need1)
        return 0;
    const uint64_t saved = cpu_saved_registers();
    if ((saved & 0x6) != 0x6) /* XMM, YMM */
        return 0;
    if (!__get_cpuid_count(7, 0, &a, &b, &c, &d))
        return 0;
    if (!(b & (1u << 5))) /* AVX2 */
        return 0;
    if (isa == BEZEL_ISA_AVX2)
        return 1;
    /* ebx of leaf 7: 16 F, 17 DQ, 30 BW, 31 VL; ecx: 11 VNNI; XCR0: opmask, upper ZMM, ZMM16-31 */
    const uint32_t need7 = (1u << 16) | (1u << 17) | (1u << 30) | (1u << 31);
    return (b & need7) == need7 && (c & (1u << 11)) != 0 && (saved & 0xe6) == 0xe6;
}
#endif

#if defined(__x86_64__) || defined(__i386__)
/* edx of leaf 7: 24 tiles, 25 products of bytes; XCR0: tile configuration and data. */
static int cpu_has_amx(void)
{
    uint32_t a, b, c, d;
    return __get_cpuid_count(7, 0, &a, &b, &c, &d) && (d >> 24 & 3) == 3 && (cpu_saved_registers() >> 17 & 3) == 3;
}
#endif

int bz_cpu_can(unsigned isa)
{
    if (isa == BEZEL_ISA_SCALAR)
        return 1;
#if defined(__x86_64__) || defined(__i386__)
    if (isa == BEZEL_ISA_AVX2 || isa == BEZEL_ISA_AVX512)
        return cpu_can_x86(isa);
    if (isa == BEZEL_ISA_AMX)
        return cpu_can_x86(BEZEL_ISA_AVX512) && cpu_has_amx() && bz_os_allow_amx();
#elif defined(__aarch64__)
    if (isa == BEZEL_ISA_NEON)
        return 1;
#endif
    return 0;
}

int bz_cpu_has_avx_vnni(void)
{
#if defined(__x86_64__) || defined(__i386__)
    uint32_t a, b, c, d;
    return bz_cpu_can(BEZEL_ISA_AVX2) && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & (1u << 4)) != 0;
#else
    return 0;
#endif
}

int bz_cpu_has_bf16(void)
{
#if defined(__x86_64__) || defined(__i386__)
    uint32_t a, b, c, d;
    return bz_cpu_can(BEZEL_ISA_AVX512) && __get_cpuid_count(7, 1, &a, &b, &c, &d) && (a & (1u << 5)) != 0;
#else
    return 0;
#endif
}

int bz_cpu_has_dotprod(void)
{
#if defined(__aarch64__) && defined(__linux__)
    return (getauxval(AT_HWCAP) >> 20 & 1) != 0; /* HWCAP_ASIMDDP */
#elif defined(__aarch64__) && defined(__APPLE__)
    int has = 0;
    size_t size = sizeof has;
    return sysctlbyname("hw.optional.arm.FEAT_DotProd", &has, &size, NULL, 0) == 0 && has != 0;
#else
    return 0;
#endif
}
