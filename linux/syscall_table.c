// SPDX-License-Identifier: MIT
// Owns the table of system calls: the CPU's list of numbers joined with the lists of what is
// implemented.
//
// Each number has a function. For those without an implementation it is one that counts and says
// ENOSYS, so the table has no holes and the entry code no extra test.
#include "linux/syscall_table.h"
#include "base/atomic.h"
#include "base/errno.h"
#include "linux/syscalls.h"

enum {
#define NR(number, name) NR_##name = (number),
#include <linux_arch/syscall_numbers.h>
#undef NR
	NR_COUNT = 463,
};

#define NR(number, name) static_assert((number) < NR_COUNT);
#include <linux_arch/syscall_numbers.h>
#undef NR

static atomic_u64 enosys_counts[NR_COUNT];
static atomic_u64 unknown_count;

static const char *const names[NR_COUNT] = {
#define NR(number, name) [number] = #name,
#include <linux_arch/syscall_numbers.h>
#undef NR
};

// One function a number, made for every number: the implemented ones are never entered and the
// linker drops nothing that matters.
#define NR(number, name)                            \
	static long missing_##name(void)            \
	{                                           \
		atomic_inc(&enosys_counts[number]); \
		return -ENOSYS;                     \
	}
#include <linux_arch/syscall_numbers.h>
#undef NR

static long missing_number(void)
{
	atomic_inc(&unknown_count);
	return -ENOSYS;
}

// The implementations' own types do not matter here: the core passes six registers and takes one
// back.
#define SYS(name) extern long sys_##name(void);
#include "linux/syscall_lists.h"
#undef SYS

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Winitializer-overrides"
const void *const syscall_functions[NR_COUNT] = {
	[0 ... NR_COUNT - 1] = (const void *)missing_number,
#define NR(number, name) [number] = (const void *)missing_##name,
#include <linux_arch/syscall_numbers.h>
#undef NR
#define SYS(name) [NR_##name] = (const void *)sys_##name,
#include "linux/syscall_lists.h"
#undef SYS
};
#pragma clang diagnostic pop

static const bool implemented[NR_COUNT] = {
#define SYS(name) [NR_##name] = true,
#include "linux/syscall_lists.h"
#undef SYS
};

u32 syscall_table_size(void)
{
	return NR_COUNT;
}

const char *syscall_name(u32 nr)
{
	return nr < NR_COUNT ? names[nr] : nullptr;
}

bool syscall_implemented(u32 nr)
{
	return nr < NR_COUNT && implemented[nr];
}

u64 syscall_enosys_count(u32 nr)
{
	return nr < NR_COUNT ? atomic_load(&enosys_counts[nr]) : 0;
}

u64 syscall_unknown_count(void)
{
	return atomic_load(&unknown_count);
}

long syscall_count_unknown(u64 nr)
{
	(void)nr;
	atomic_inc(&unknown_count);
	return -ENOSYS;
}
