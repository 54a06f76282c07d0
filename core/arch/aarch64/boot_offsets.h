/* SPDX-License-Identifier: MIT */
/* Numbers of the first instructions and of the MMU, shared by assembly and C (AArch64). Privileged.
 */
#pragma once

/* SCTLR_EL1. Off: the bits that are always 1 in ARMv8.0. */
#define SCTLR_OFF      0x30d00800
#define SCTLR_M	       (1 << 0)
#define SCTLR_C	       (1 << 2)
#define SCTLR_SA       (1 << 3)
#define SCTLR_SA0      (1 << 4)
#define SCTLR_I	       (1 << 12)
#define SCTLR_DZE      (1 << 14) /* programs may use DC ZVA, */
#define SCTLR_UCT      (1 << 15) /* read CTR_EL0, */
#define SCTLR_UCI      (1 << 26) /* and clean caches */
#define SCTLR_NTWI     (1 << 16)
#define SCTLR_NTWE     (1 << 18)
#define SCTLR_SPAN     (1 << 23) /* not set: entries set PSTATE.PAN */
#define SCTLR_ON       (SCTLR_OFF | SCTLR_M | SCTLR_C | SCTLR_SA | SCTLR_I)
#define SCTLR_PROGRAMS (SCTLR_SA0 | SCTLR_DZE | SCTLR_UCT | SCTLR_UCI | SCTLR_NTWI | SCTLR_NTWE)

/* 47 bits in each half, pages of 4 KiB, walks cacheable and inner-shareable; IPS and AS are the
 * CPU's. */
#define TCR_VALUE_  0xb5113511
#define MAIR_VALUE_ 0x4404ff

/* Blocks of the first tables. */
#define BLOCK_NORMAL	   0x701 /* valid, normal memory, inner-shareable, accessed */
#define BLOCK_NORMAL_DATA  0x60000000000701
#define BLOCK_DEVICE	   0x60000000000405
#define EARLY_IMAGE_BLOCKS 33 /* 64 MiB of image */

/* struct secondary_boot */
#define SECONDARY_TTBR0	 0
#define SECONDARY_TTBR1	 8
#define SECONDARY_PERCPU 16
#define SECONDARY_STACK	 24
