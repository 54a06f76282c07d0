// SPDX-License-Identifier: MIT
// What jump.S needs to leave the firmware's address space. Also read by the assembler.
#pragma once

#define JUMP_BRIDGE_ROOT 0
#define JUMP_EMPTY_ROOT	 8
#define JUMP_ROOT	 16
#define JUMP_HHDM	 24
#define JUMP_MAIR	 32
#define JUMP_TCR	 40
#define JUMP_ENTRY	 48
#define JUMP_STACK_TOP	 56
#define JUMP_LEFTOVERS	 64

/* SCTLR_EL1 with the MMU off: only what ARMv8.0 reserves as ones, which later names for what it did
 * before. And what the protocol wants set besides: M, C, SA, SA0, I. */
#define SCTLR_OFF 0x30d00800
#define SCTLR_ON  (SCTLR_OFF | 0x101d)

#ifndef __ASSEMBLER__

#include <stddef.h>
#include <stdint.h>

/* Entries of MAIR_EL1: write-back, read and write allocate; and not cached. The others are what 0
 * means, devices. */
enum : uint64_t {
	MAIR_INDEX_NORMAL = 0,
	MAIR_INDEX_COMBINING = 1,
	MAIR_VALUE = 0xff << (8 * MAIR_INDEX_NORMAL) | 0x44 << (8 * MAIR_INDEX_COMBINING),
};

struct jump {
	uint64_t bridge_root; /* for the lower half: the code in jump.S, where it lies */
	uint64_t empty_root;  /* for the lower half afterwards */
	uint64_t root;	      /* the kernel's tables, for the upper half */
	uint64_t hhdm;
	uint64_t mair;
	uint64_t tcr;
	uint64_t entry;
	uint64_t stack_top;
	const void *leftovers; /* struct leftovers, in the direct map */
};
static_assert(offsetof(struct jump, empty_root) == JUMP_EMPTY_ROOT);
static_assert(offsetof(struct jump, root) == JUMP_ROOT);
static_assert(offsetof(struct jump, hhdm) == JUMP_HHDM);
static_assert(offsetof(struct jump, mair) == JUMP_MAIR);
static_assert(offsetof(struct jump, tcr) == JUMP_TCR);
static_assert(offsetof(struct jump, entry) == JUMP_ENTRY);
static_assert(offsetof(struct jump, stack_top) == JUMP_STACK_TOP);
static_assert(offsetof(struct jump, leftovers) == JUMP_LEFTOVERS);

[[noreturn]] void jump_to_kernel(const struct jump *jump);
extern const char jump_end[];

#endif
