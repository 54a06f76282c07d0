// SPDX-License-Identifier: MIT
// I/O ports (x86-64). Privileged. Callers: core/gate/.
#pragma once
#include "base/types.h"

// size: 1, 2 or 4. -ENODEV: this CPU has no ports (never here).
static inline s64 arch_port_read(u16 port, u32 size)
{
	u32 v = 0;

	if (size == 1)
		__asm__ volatile("inb %1, %b0" : "+a"(v) : "Nd"(port) : "memory");
	else if (size == 2)
		__asm__ volatile("inw %1, %w0" : "+a"(v) : "Nd"(port) : "memory");
	else
		__asm__ volatile("inl %1, %0" : "=a"(v) : "Nd"(port) : "memory");
	return v;
}
static inline int arch_port_write(u16 port, u32 size, u32 v)
{
	if (size == 1)
		__asm__ volatile("outb %b0, %1" ::"a"(v), "Nd"(port) : "memory");
	else if (size == 2)
		__asm__ volatile("outw %w0, %1" ::"a"(v), "Nd"(port) : "memory");
	else
		__asm__ volatile("outl %0, %1" ::"a"(v), "Nd"(port) : "memory");
	return 0;
}
