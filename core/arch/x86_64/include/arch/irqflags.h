// SPDX-License-Identifier: MIT
// Interrupt enable flag of this CPU (x86-64). Privileged.
#pragma once
#include "base/compiler.h"
#include "base/types.h"
typedef u64 irqflags_t;
static __always_inline irqflags_t irq_save(void)
{
	irqflags_t f;
	__asm__ volatile("pushfq; popq %0; cli" : "=r"(f)::"memory");
	return f;
}
static __always_inline void irq_restore(irqflags_t f)
{
	if (f & 0x200)
		__asm__ volatile("sti" ::: "memory");
}
static __always_inline void irq_enable(void)
{
	__asm__ volatile("sti" ::: "memory");
}
static __always_inline void irq_disable(void)
{
	__asm__ volatile("cli" ::: "memory");
}
static __always_inline bool irqs_enabled(void)
{
	u64 f;
	__asm__ volatile("pushfq; popq %0" : "=r"(f));
	return f & 0x200;
}
