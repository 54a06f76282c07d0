// SPDX-License-Identifier: MIT
// Per-CPU access (AArch64). Privileged. X18 is what to add to a variable's link address: it is
// reserved for that in all code of the kernel (and in services, which may run in it), loaded from
// TPIDR_EL1 by each entry, and stays the CPU's when a thread migrates, so that one load or store
// relative to it is safe. A read-modify-write is made of exclusive accesses, which fail when an
// exception came in between, and looks at X18 again after the first of them.
#pragma once
#include "base/compiler.h"
#include "base/types.h"

#define ARCH_PERCPU_LOAD_(insn, mod, name, out)       \
	__asm__ volatile(insn " %" mod "0, [%1, x18]" \
			 : "=r"(out)                  \
			 : "r"((uintptr_t)&(name)), "Q"(name))
#define this_cpu_read(name)                                                                  \
	({                                                                                   \
		u64 pc_raw_ = 0;                                                             \
		typeof(name) pc_value_;                                                      \
		static_assert(sizeof(name) == 1 || sizeof(name) == 2 || sizeof(name) == 4 || \
			      sizeof(name) == 8);                                            \
		if (sizeof(name) == 1)                                                       \
			ARCH_PERCPU_LOAD_("ldrb", "w", name, pc_raw_);                       \
		else if (sizeof(name) == 2)                                                  \
			ARCH_PERCPU_LOAD_("ldrh", "w", name, pc_raw_);                       \
		else if (sizeof(name) == 4)                                                  \
			ARCH_PERCPU_LOAD_("ldr", "w", name, pc_raw_);                        \
		else                                                                         \
			ARCH_PERCPU_LOAD_("ldr", "", name, pc_raw_);                         \
		__builtin_memcpy(&pc_value_, &pc_raw_, sizeof(pc_value_));                   \
		pc_value_;                                                                   \
	})

#define ARCH_PERCPU_STORE_(insn, mod, name, value)                                          \
	__asm__ volatile(insn " %" mod "0, [%1, x18]" ::"r"(value), "r"((uintptr_t)&(name)) \
			 : "memory")
#define this_cpu_write(name, v)                                                              \
	({                                                                                   \
		u64 pc_raw_ = 0;                                                             \
		typeof(name) pc_value_ = (v);                                                \
		static_assert(sizeof(name) == 1 || sizeof(name) == 2 || sizeof(name) == 4 || \
			      sizeof(name) == 8);                                            \
		__builtin_memcpy(&pc_raw_, &pc_value_, sizeof(pc_value_));                   \
		if (sizeof(name) == 1)                                                       \
			ARCH_PERCPU_STORE_("strb", "w", name, pc_raw_);                      \
		else if (sizeof(name) == 2)                                                  \
			ARCH_PERCPU_STORE_("strh", "w", name, pc_raw_);                      \
		else if (sizeof(name) == 4)                                                  \
			ARCH_PERCPU_STORE_("str", "w", name, pc_raw_);                       \
		else                                                                         \
			ARCH_PERCPU_STORE_("str", "", name, pc_raw_);                        \
	})

// The value after, for 4- and 8-byte integers.
#define ARCH_PERCPU_ADD_(mod, name, v, out)                                                      \
	({                                                                                       \
		u64 pc_base_, pc_at_;                                                            \
		u32 pc_failed_;                                                                  \
		__asm__ volatile("1:	mov %1, x18\n"                                              \
				 "	add %2, %1, %4\n"                                             \
				 "	ldxr %" mod "0, [%2]\n"                                  \
				 "	cmp %1, x18\n"                                                \
				 "	b.ne 1b\n"                                                    \
				 "	add %" mod "0, %" mod "0, %" mod "5\n"                   \
				 "	stxr %w3, %" mod "0, [%2]\n"                             \
				 "	cbnz %w3, 1b"                                                 \
				 : "=&r"(out), "=&r"(pc_base_), "=&r"(pc_at_), "=&r"(pc_failed_) \
				 : "r"((uintptr_t)&(name)), "r"((u64)(v))                        \
				 : "memory", "cc");                                              \
	})
#define this_cpu_add(name, v)                                          \
	({                                                             \
		u64 pc_sum_;                                           \
		static_assert(sizeof(name) == 4 || sizeof(name) == 8); \
		if (sizeof(name) == 4)                                 \
			ARCH_PERCPU_ADD_("w", name, v, pc_sum_);       \
		else                                                   \
			ARCH_PERCPU_ADD_("x", name, v, pc_sum_);       \
		(void)pc_sum_;                                         \
	})

#define ARCH_PERCPU_NEST_(insn, name)                                   \
	({                                                              \
		u32 pc_half_;                                           \
		static_assert(sizeof(name) == 4);                       \
		__asm__ volatile("ldrh %w0, [%1, x18]\n\t" insn         \
				 " %w0, %w0, #1\n\tstrh %w0, [%1, x18]" \
				 : "=&r"(pc_half_)                      \
				 : "r"((uintptr_t)&(name))              \
				 : "memory");                           \
	})
#define this_cpu_nest(name)   ARCH_PERCPU_NEST_("add", name)
#define this_cpu_unnest(name) ARCH_PERCPU_NEST_("sub", name)
#define this_cpu_unnest_is_zero(name)  \
	({                             \
		this_cpu_unnest(name); \
		!this_cpu_read(name);  \
	})
static __always_inline u64 this_cpu_offset(void)
{
	u64 v;
	__asm__ volatile("mov %0, x18" : "=r"(v));
	return v;
}
