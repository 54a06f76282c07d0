// SPDX-License-Identifier: MIT
// epoll(7), eventfd(2), timerfd_create(2), signalfd(2) as programs see them. Numbers and structs
// only.
#pragma once
#include "base/types.h"
#include <linux_arch/abi_epoll.h> // EPOLL_EVENT_PACKED

enum { EPOLL_CTL_ADD = 1, EPOLL_CTL_DEL = 2, EPOLL_CTL_MOD = 3 };
enum { EPOLL_CLOEXEC = 02000000 };

struct epoll_event {
	u32 events; // POLL*, EPOLL*
	u64 data;
} EPOLL_EVENT_PACKED;

enum { EFD_SEMAPHORE = 1, EFD_NONBLOCK = 04000, EFD_CLOEXEC = 02000000 };
enum { SFD_NONBLOCK = 04000, SFD_CLOEXEC = 02000000 };
enum { TFD_NONBLOCK = 04000, TFD_CLOEXEC = 02000000 };
enum { TFD_TIMER_ABSTIME = 1, TFD_TIMER_CANCEL_ON_SET = 2 };
constexpr u32 TFD_IOC_SET_TICKS = 0x40085400;

struct signalfd_siginfo {
	u32 signo;
	s32 error, code;
	u32 pid, uid;
	s32 fd;
	u32 tid, band, overrun, trapno;
	s32 status, value_int;
	u64 value_ptr, utime, stime, addr;
	u16 addr_lsb;
	u16 pad2;
	s32 syscall;
	u64 call_addr;
	u32 arch;
	u8 pad[28];
};
static_assert(sizeof(struct signalfd_siginfo) == 128);
