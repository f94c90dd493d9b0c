/* SPDX-License-Identifier: MIT */
/* What the processor and the system can run. */
#ifndef BZ_CPU_FEATURES_H
#define BZ_CPU_FEATURES_H

/* 1 when BEZEL_ISA_... can run here (registers saved by the system included). SCALAR always can. */
int bz_cpu_can(unsigned isa);

/* 1 when an x86 processor that can run AVX2 also has the 256-bit vpdpwssd of AVX-VNNI. */
int bz_cpu_has_avx_vnni(void);

/* 1 when a processor that can run AVX-512 also has its products of bf16. */
int bz_cpu_has_bf16(void);

/* 1 when an Arm processor has the dot products of bytes of Armv8.2 (sdot, udot). */
int bz_cpu_has_dotprod(void);

#endif
