// SPDX-License-Identifier: MIT
// Access to programs' memory, instruction by instruction (AArch64). Privileged. Use core/uaccess.h.
#pragma once
#include "base/compiler.h"
#include "base/errno.h"
#include "base/types.h"
#include <arch/cpu.h>
#include <arch/paging.h>

// Bytes not copied. One side may be a program's memory; ranges were checked. (uaccess.S)
size_t arch_copy_user(void *dst, const void *src, size_t len);
size_t arch_clear_user(void *dst, size_t len);
int arch_user_cmpxchg(u32 *p, u32 expected, u32 desired, u32 *old); // 0 or -EFAULT
// Faults at insn are resumed at fixup.
#define ARCH_EXTABLE(insn, fixup)                                                  \
	".pushsection .extable,\"a\"\n.balign 4\n.long " insn " - .\n.long " fixup \
	" - .\n.popsection\n"

// PAN, where the CPU has it: clear, the kernel reaches program pages. (S0_0_C4_C0_4 is MSR PAN,
// #imm, which the assembler refuses for armv8.0.)
static __always_inline void user_access_begin(void)
{
	if (cpu_has(CPU_PAN))
		__asm__ volatile(".inst 0xd500409f" ::: "memory"); // msr pan, #0
}
static __always_inline void user_access_end(void)
{
	if (cpu_has(CPU_PAN))
		__asm__ volatile(".inst 0xd500419f" ::: "memory"); // msr pan, #1
}

#define ARCH_GET_(insn, mod)                                                   \
	__asm__ goto("1: " insn " %" mod "0, [%1]\n" ARCH_EXTABLE("1b", "%l2") \
		     : "=r"(v)                                                 \
		     : "r"(p)                                                  \
		     : "memory"                                                \
		     : fault)
static __always_inline int arch_get_user(u64 *out, const void __user *up, size_t size)
{
	const void *p = user_force(const void, up);
	u64 v;

	user_access_begin();
	switch (size) {
	case 1:
		ARCH_GET_("ldrb", "w");
		break;
	case 2:
		ARCH_GET_("ldrh", "w");
		break;
	case 4:
		ARCH_GET_("ldr", "w");
		break;
	default:
		ARCH_GET_("ldr", "");
		break;
	}
	user_access_end();
	*out = v;
	return 0;
fault:
	user_access_end();
	*out = 0;
	return -EFAULT;
}
#define ARCH_PUT_(insn, mod)                                                   \
	__asm__ goto("1: " insn " %" mod "0, [%1]\n" ARCH_EXTABLE("1b", "%l2") \
		     :                                                         \
		     : "r"(v), "r"(p)                                          \
		     : "memory"                                                \
		     : fault)
static __always_inline int arch_put_user(u64 v, void __user *up, size_t size)
{
	void *p = user_force(void, up);

	user_access_begin();
	switch (size) {
	case 1:
		ARCH_PUT_("strb", "w");
		break;
	case 2:
		ARCH_PUT_("strh", "w");
		break;
	case 4:
		ARCH_PUT_("str", "w");
		break;
	default:
		ARCH_PUT_("str", "");
		break;
	}
	user_access_end();
	return 0;
fault:
	user_access_end();
	return -EFAULT;
}
