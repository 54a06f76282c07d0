// SPDX-License-Identifier: MIT
// Per-CPU variables. They live in section .percpu, which smp_init() copies once per CPU.
// Privileged.
//
// this_cpu_read/write/add are safe against migration and interrupts of this CPU. this_cpu_nest and
// this_cpu_unnest add 1 to a u32 and take it off, where whoever interrupts leaves the lower half of
// it as it was, and nobody migrates while that is not 0; this_cpu_unnest_is_zero tells whether all
// of it is 0 then. this_cpu_ptr needs preemption (or migration) off for as long as the pointer is
// used.
#pragma once
#include "base/compiler.h"
#include "base/types.h"
#include <arch/percpu.h> // this_cpu_read, this_cpu_write, this_cpu_add, this_cpu_offset

constexpr u32 CPU_MAX = 64;

#define DEFINE_PERCPU(type, name) \
	__attribute__((section(".percpu"), aligned(alignof(type)))) typeof(type) name
#define DECLARE_PERCPU(type, name) extern __attribute__((section(".percpu"))) typeof(type) name

extern u64 percpu_offset[CPU_MAX]; // to add to a variable's link address; immutable after the CPU
				   // is up

#define percpu_ptr(name, cpu) ((typeof(name) *)((uintptr_t)&(name) + percpu_offset[cpu]))
#define this_cpu_ptr(name)    ((typeof(name) *)((uintptr_t)&(name) + this_cpu_offset()))

DECLARE_PERCPU(u32, cpu_number);
static inline u32 this_cpu_id(void)
{
	return this_cpu_read(cpu_number);
}
