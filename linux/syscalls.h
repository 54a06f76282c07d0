// SPDX-License-Identifier: MIT
// How system calls are defined and counted. Privileged.
//
// A call is a function with typed parameters, listed by SYS(name) in its folder's syscalls.def:
//
//	SYSCALL(read, int fd, char __user *buf, size_t len) { ... return n or -errno; }
//
// Arguments come straight from registers: a 32-bit parameter ignores the register's upper half. A
// call that needs the program's registers takes thread_user_frame(current()).
#pragma once
#include "base/types.h"

#define SYSCALL(name, ...)            \
	long sys_##name(__VA_ARGS__); \
	long sys_##name(__VA_ARGS__)

u32 syscall_table_size(void);	  // numbers are 0 .. count-1
const char *syscall_name(u32 nr); // nullptr: no such number on this CPU
bool syscall_implemented(u32 nr);
u64 syscall_enosys_count(u32 nr); // how often a call that is not implemented was made
u64 syscall_unknown_count(void);  // numbers beyond the table

// What uname(2) reports; the strings are in linux/misc. The personality bits UNAME26 and
// ADDR_NO_RANDOMIZE are per process.
