// SPDX-License-Identifier: MIT
// What jump.S needs to leave the firmware's address space. Also read by the assembler.
#pragma once

#define JUMP_BRIDGE_ROOT 0
#define JUMP_ROOT	 8
#define JUMP_HHDM	 16
#define JUMP_GDT	 30
#define JUMP_ENTRY	 40
#define JUMP_STACK_TOP	 48
#define JUMP_LEFTOVERS	 56

#ifndef __ASSEMBLER__

#include <stddef.h>
#include <stdint.h>

struct jump {
	uint64_t bridge_root; /* the firmware's lower half and the kernel's upper half */
	uint64_t root;	      /* the kernel's tables */
	uint64_t hhdm;
	uint8_t pad[6];
	uint16_t gdt_limit; /* with gdt_base: LGDT's operand */
	uint64_t gdt_base;
	uint64_t entry;
	uint64_t stack_top;
	const void *leftovers; /* struct leftovers, in the direct map */
};
static_assert(offsetof(struct jump, gdt_limit) == JUMP_GDT);
static_assert(offsetof(struct jump, gdt_base) == JUMP_GDT + 2);
static_assert(offsetof(struct jump, entry) == JUMP_ENTRY);
static_assert(offsetof(struct jump, stack_top) == JUMP_STACK_TOP);
static_assert(offsetof(struct jump, leftovers) == JUMP_LEFTOVERS);

[[noreturn]] void jump_to_kernel(const struct jump *jump);

#endif
