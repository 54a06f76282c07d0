// SPDX-License-Identifier: MIT
// Access to programs' memory, instruction by instruction (x86-64). Privileged. Use core/uaccess.h.
#pragma once
#include "base/compiler.h"
#include "base/errno.h"
#include "base/types.h"
#include <arch/paging.h>

// Bytes not copied. One side may be a program's memory; ranges were checked. (uaccess.S)
size_t arch_copy_user(void *dst, const void *src, size_t len);
size_t arch_clear_user(void *dst, size_t len);
int arch_user_cmpxchg(u32 *p, u32 expected, u32 desired, u32 *old); // 0 or -EFAULT
// Faults at insn are resumed at fixup.
#define ARCH_EXTABLE(insn, fixup)                                                  \
	".pushsection .extable,\"a\"\n.balign 4\n.long " insn " - .\n.long " fixup \
	" - .\n.popsection\n"

// SMAP: AC set lets the kernel reach program pages. An elevated thread of the flat backend has AC
// clear while in the kernel too.
static __always_inline void user_access_begin(void)
{
	__asm__ volatile("stac" ::: "memory");
}
static __always_inline void user_access_end(void)
{
	__asm__ volatile("clac" ::: "memory");
}

#define ARCH_GET_(suffix, reg)                                                                  \
	__asm__ goto("stac\n1: mov" suffix " (%1), %" reg "0\nclac\n" ARCH_EXTABLE("1b", "%l2") \
		     : "=r"(v)                                                                  \
		     : "r"(p)                                                                   \
		     : "memory"                                                                 \
		     : fault)
static __always_inline int arch_get_user(u64 *out, const void __user *up, size_t size)
{
	const void *p = user_force(const void, up);
	u64 v;
	switch (size) {
	case 1:
		ARCH_GET_("zbl", "k");
		break;
	case 2:
		ARCH_GET_("zwl", "k");
		break;
	case 4:
		ARCH_GET_("l", "k");
		break;
	default:
		ARCH_GET_("q", "");
		break;
	}
	*out = v;
	return 0;
fault:
	user_access_end();
	*out = 0;
	return -EFAULT;
}
#define ARCH_PUT_(suffix, reg)                                                                  \
	__asm__ goto("stac\n1: mov" suffix " %" reg "0, (%1)\nclac\n" ARCH_EXTABLE("1b", "%l2") \
		     :                                                                          \
		     : "r"(v), "r"(p)                                                           \
		     : "memory"                                                                 \
		     : fault)
static __always_inline int arch_put_user(u64 v, void __user *up, size_t size)
{
	void *p = user_force(void, up);
	switch (size) {
	case 1:
		ARCH_PUT_("b", "b");
		break;
	case 2:
		ARCH_PUT_("w", "w");
		break;
	case 4:
		ARCH_PUT_("l", "k");
		break;
	default:
		ARCH_PUT_("q", "");
		break;
	}
	return 0;
fault:
	user_access_end();
	return -EFAULT;
}
