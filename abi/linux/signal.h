// SPDX-License-Identifier: MIT
// Signals as programs see them: numbers, flags, siginfo.
#pragma once
#include "base/types.h"
#include <linux_arch/abi_signal.h> // MINSIGSTKSZ

enum {
	SIGHUP = 1,
	SIGINT,
	SIGQUIT,
	SIGILL,
	SIGTRAP,
	SIGABRT,
	SIGBUS,
	SIGFPE,
	SIGKILL,
	SIGUSR1,
	SIGSEGV,
	SIGUSR2,
	SIGPIPE,
	SIGALRM,
	SIGTERM,
	SIGSTKFLT,
	SIGCHLD,
	SIGCONT,
	SIGSTOP,
	SIGTSTP,
	SIGTTIN,
	SIGTTOU,
	SIGURG,
	SIGXCPU,
	SIGXFSZ,
	SIGVTALRM,
	SIGPROF,
	SIGWINCH,
	SIGIO,
	SIGPWR,
	SIGSYS,
	SIGRTMIN = 32,
	SIGRTMAX = 64,
};

constexpr u64 SIG_DFL = 0;
constexpr u64 SIG_IGN = 1;

enum {
	SA_NOCLDSTOP = 0x00000001,
	SA_NOCLDWAIT = 0x00000002,
	SA_SIGINFO = 0x00000004,
	SA_UNSUPPORTED = 0x00000400,
	SA_EXPOSE_TAGBITS = 0x00000800,
	SA_RESTORER = 0x04000000,
	SA_ONSTACK = 0x08000000,
	SA_RESTART = 0x10000000,
	SA_NODEFER = 0x40000000,
};
constexpr u32 SA_RESETHAND = 0x80000000;

enum { SIG_BLOCK = 0, SIG_UNBLOCK = 1, SIG_SETMASK = 2 };

enum { SS_ONSTACK = 1, SS_DISABLE = 2 };
constexpr u32 SS_AUTODISARM = 1u << 31;
struct linux_stack {
	u64 ss_sp;
	s32 ss_flags;
	u32 pad;
	u64 ss_size;
};
static_assert(sizeof(struct linux_stack) == 24);

// As the kernel's system call takes it (a C library's own struct differs).
struct linux_sigaction {
	u64 handler;
	u64 flags;
	u64 restorer;
	u64 mask;
};
static_assert(sizeof(struct linux_sigaction) == 32);

// si_code
enum {
	SI_USER = 0,
	SI_KERNEL = 0x80,
	SYS_SECCOMP = 1,
	SI_QUEUE = -1,
	SI_TIMER = -2,
	SI_MESGQ = -3,
	SI_ASYNCIO = -4,
	SI_SIGIO = -5,
	SI_TKILL = -6,
	ILL_ILLOPC = 1,
	ILL_ILLOPN = 2,
	ILL_PRVOPC = 5,
	FPE_INTDIV = 1,
	FPE_INTOVF = 2,
	FPE_FLTDIV = 3,
	FPE_FLTOVF = 4,
	FPE_FLTUND = 5,
	FPE_FLTRES = 6,
	FPE_FLTINV = 7,
	SEGV_MAPERR = 1,
	SEGV_ACCERR = 2,
	SEGV_PKUERR = 4,
	BUS_ADRALN = 1,
	BUS_ADRERR = 2,
	BUS_OBJERR = 3,
	TRAP_BRKPT = 1,
	TRAP_TRACE = 2,
	TRAP_HWBKPT = 4,
	CLD_EXITED = 1,
	CLD_KILLED = 2,
	CLD_DUMPED = 3,
	CLD_TRAPPED = 4,
	CLD_STOPPED = 5,
	CLD_CONTINUED = 6,
	POLL_IN = 1,
	POLL_OUT = 2,
	POLL_MSG = 3,
	POLL_ERR = 4,
	POLL_PRI = 5,
	POLL_HUP = 6,
};

// The part of siginfo_t that carries data; a program's copy is followed by zeroes up to 128 bytes.
struct siginfo {
	s32 signo;
	s32 error; // si_errno
	s32 code;
	u32 pad;
	union {
		struct {
			s32 pid;
			u32 uid;
			u64 value;
		} rt; // kill: without value
		struct {
			s32 id;
			s32 overrun;
			u64 value;
		} timer;
		struct {
			s32 pid;
			u32 uid;
			s32 status;
			s32 pad;
			s64 utime, stime;
		} child; // times in clock ticks
		struct {
			u64 addr;
			u16 addr_lsb;
			u16 pad[3];
			u64 lower, upper;
		} fault;
		struct {
			s64 band;
			s32 fd;
			u32 pad;
		} poll;
		struct {
			u64 call_addr;
			s32 nr;
			u32 arch;
		} sys;
		u64 raw[4];
	};
};
static_assert(sizeof(struct siginfo) == 48);
constexpr u32 LINUX_SIGINFO_SIZE = 128;

// sigevent
enum { SIGEV_SIGNAL = 0, SIGEV_NONE = 1, SIGEV_THREAD = 2, SIGEV_THREAD_ID = 4 };
struct linux_sigevent {
	u64 value;
	s32 signo;
	s32 notify;
	s32 tid;
	s32 pad[11];
};
static_assert(sizeof(struct linux_sigevent) == 64);
