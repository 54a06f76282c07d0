// SPDX-License-Identifier: MIT
// Interrupt enable flag of this CPU (AArch64: PSTATE.I). Privileged.
#pragma once
#include "base/compiler.h"
#include "base/types.h"
typedef u64 irqflags_t;
static __always_inline irqflags_t irq_save(void)
{
	irqflags_t f;
	__asm__ volatile("mrs %0, daif\n\tmsr daifset, #2" : "=r"(f)::"memory");
	return f;
}
static __always_inline void irq_restore(irqflags_t f)
{
	if (!(f & 0x80))
		__asm__ volatile("msr daifclr, #2" ::: "memory");
}
static __always_inline void irq_enable(void)
{
	__asm__ volatile("msr daifclr, #6" ::: "memory"); // system errors too
}
static __always_inline void irq_disable(void)
{
	__asm__ volatile("msr daifset, #2" ::: "memory");
}
static __always_inline bool irqs_enabled(void)
{
	u64 f;
	__asm__ volatile("mrs %0, daif" : "=r"(f));
	return !(f & 0x80);
}
