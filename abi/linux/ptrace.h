// SPDX-License-Identifier: MIT
// ptrace(2) as programs see it, but for what is about registers.
#pragma once
#include "base/types.h"

enum ptrace_request {
	PTRACE_TRACEME = 0,
	PTRACE_PEEKTEXT = 1,
	PTRACE_PEEKDATA = 2,
	PTRACE_PEEKUSER = 3,
	PTRACE_POKETEXT = 4,
	PTRACE_POKEDATA = 5,
	PTRACE_POKEUSER = 6,
	PTRACE_CONT = 7,
	PTRACE_KILL = 8,
	PTRACE_SINGLESTEP = 9,
	PTRACE_ATTACH = 16,
	PTRACE_DETACH = 17,
	PTRACE_SYSCALL = 24,
	PTRACE_SYSEMU = 31,
	PTRACE_SYSEMU_SINGLESTEP = 32,
	PTRACE_SETOPTIONS = 0x4200,
	PTRACE_GETEVENTMSG = 0x4201,
	PTRACE_GETSIGINFO = 0x4202,
	PTRACE_SETSIGINFO = 0x4203,
	PTRACE_GETREGSET = 0x4204,
	PTRACE_SETREGSET = 0x4205,
	PTRACE_SEIZE = 0x4206,
	PTRACE_INTERRUPT = 0x4207,
	PTRACE_LISTEN = 0x4208,
	PTRACE_PEEKSIGINFO = 0x4209,
	PTRACE_GETSIGMASK = 0x420a,
	PTRACE_SETSIGMASK = 0x420b,
	PTRACE_GET_SYSCALL_INFO = 0x420e,
};

enum ptrace_event {
	PTRACE_EVENT_FORK = 1,
	PTRACE_EVENT_VFORK = 2,
	PTRACE_EVENT_CLONE = 3,
	PTRACE_EVENT_EXEC = 4,
	PTRACE_EVENT_VFORK_DONE = 5,
	PTRACE_EVENT_EXIT = 6,
	PTRACE_EVENT_SECCOMP = 7,
	PTRACE_EVENT_STOP = 128,
};

// Options: bit n for event n, and two more.
constexpr u32 PTRACE_O_TRACESYSGOOD = 1;
constexpr u32 PTRACE_O_TRACEEVENTS = 0xfe;
constexpr u32 PTRACE_O_EXITKILL = 1 << 20;

enum { PTRACE_EVENTMSG_SYSCALL_ENTRY = 1, PTRACE_EVENTMSG_SYSCALL_EXIT = 2 };

constexpr u32 PTRACE_PEEKSIGINFO_SHARED = 1;
struct linux_peeksiginfo_args {
	u64 off;
	u32 flags;
	s32 nr;
};

enum {
	PTRACE_SYSCALL_INFO_NONE,
	PTRACE_SYSCALL_INFO_ENTRY,
	PTRACE_SYSCALL_INFO_EXIT,
	PTRACE_SYSCALL_INFO_SECCOMP,
};
struct linux_syscall_info {
	u8 op;
	u8 pad[3];
	u32 arch;
	u64 ip;
	u64 sp;
	union {
		struct {
			u64 nr;
			u64 args[6];
		} entry;
		struct {
			s64 rval;
			u8 is_error;
		} exit;
		struct {
			u64 nr;
			u64 args[6];
			u32 ret_data;
		} seccomp;
	};
};
static_assert(sizeof(struct linux_syscall_info) == 88);

// Sets of registers, numbered as notes of core files are (NT_*).
enum { REGSET_GENERAL = 1, REGSET_FLOAT = 2, REGSET_X86_XSTATE = 0x202 };
