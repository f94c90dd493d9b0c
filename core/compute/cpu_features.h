/* SPDX-License-Identifier: MIT */
/* What the processor and the system can run. */
#ifndef BZ_CPU_FEATURES_H
#define BZ_CPU_FEATURES_H

/* 1 when BEZEL_ISA_... can run here (registers saved by the system included). SCALAR always can. */
int bz_cpu_can(unsigned isa);

#endif
