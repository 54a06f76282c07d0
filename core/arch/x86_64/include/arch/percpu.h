// SPDX-License-Identifier: MIT
// Per-CPU access (x86-64): GS base is what to add to a variable's link address. Privileged.
#pragma once
#include "base/compiler.h"
#include "base/types.h"
extern u64 percpu_self; // per CPU: this CPU's offset (the value of GS base)

#define ARCH_PERCPU(name) \
	(*(volatile typeof(name) __attribute__((address_space(256))) *)(uintptr_t)&(name))
#define this_cpu_read(name)	((typeof(name))ARCH_PERCPU(name))
#define this_cpu_write(name, v) ((void)(ARCH_PERCPU(name) = (v)))
// one instruction for 4- and 8-byte integers
#define this_cpu_add(name, v)                                                               \
	({                                                                                  \
		if (sizeof(name) == 4)                                                      \
			__asm__ volatile("addl %1, %%gs:%c0" ::"i"(&(name)), "ri"((u32)(v)) \
					 : "memory", "cc");                                 \
		else                                                                        \
			__asm__ volatile("addq %1, %%gs:%c0" ::"i"(&(name)), "re"((u64)(v)) \
					 : "memory", "cc");                                 \
	})
#define this_cpu_nest(name)   this_cpu_add(name, 1)
#define this_cpu_unnest(name) this_cpu_add(name, (u32) - 1)
#define this_cpu_unnest_is_zero(name)                                                      \
	({                                                                                 \
		bool z_;                                                                   \
		__asm__ volatile("decl %%gs:%c1" : "=@ccz"(z_) : "i"(&(name)) : "memory"); \
		z_;                                                                        \
	})
static __always_inline u64 this_cpu_offset(void)
{
	u64 v;
	__asm__ volatile("movq %%gs:percpu_self, %0" : "=r"(v));
	return v;
}
